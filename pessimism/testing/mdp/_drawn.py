"""Composite strategies behind `mdps` and `mdp_data`, whose arguments have been checked."""

import math
from functools import lru_cache

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from pessimism._types import Ints
from pessimism.mdp import MDP, MDPData
from pessimism.testing._whole_numbers import GRID, SHARES, STEPS, counts_and_shares, laws, several

DISCOUNTS = (0.5, 0.9, 0.0, 0.99, 0.999)
"""Discounts of models without a horizon; with one, `EPISODIC_DISCOUNTS`."""

EPISODIC_DISCOUNTS = (1.0, 0.5, 0.9, 0.0)

MAX_SUCCESSORS = 3
"""Longest list of successors."""

CENTS = 100
"""Mean rewards of models are multiples of 1/CENTS."""

ABSORBING = 3
"""One state in ABSORBING + 1 or so is never left."""

# made once, so that Hypothesis caches what it knows of them
REWARDS, KINDS, WEIGHTS = st.integers(0, CENTS), st.integers(0, ABSORBING), st.integers(-2, 4)


@st.composite
def drawn_mdps(
    draw: st.DrawFn, max_states: int, max_actions: int, horizon: int | None, discounts: tuple[float, ...]
) -> MDP:
    discount = draw(st.sampled_from(discounts))
    steps = horizon if horizon is not None and draw(st.booleans()) else 1
    core = draw(st.integers(1, max_states)), draw(st.integers(1, max_actions))
    per_successor = draw(st.booleans())
    successors = _lists(draw, (steps, *core))
    weights = _weights(draw, successors.shape)
    absorbing = np.array(draw(several(core[0], KINDS))) == ABSORBING
    successors[:, absorbing] = np.flatnonzero(absorbing)[:, None, None]
    shape = successors.shape if per_successor else successors.shape[:-1]
    rewards = np.reshape(draw(several(math.prod(shape), REWARDS)), shape) / CENTS
    tables = successors, weights / weights.sum(axis=-1, keepdims=True), rewards
    if horizon is None:
        tables = successors[0], tables[1][0], rewards[0]
    return MDP(*tables, draw(laws((core[0],), zeros=True)), discount, horizon=horizon)


def _lists(draw: st.DrawFn, pairs: tuple[int, ...]) -> Ints:
    """Successors (*pairs, B); the states are the axis before the last."""
    shape = (*pairs, draw(st.integers(1, MAX_SUCCESSORS)))
    return np.reshape(draw(several(math.prod(shape), _below(pairs[-2]))), shape).astype(np.int64)


@lru_cache
def _below(size: int) -> SearchStrategy[int]:
    return st.integers(0, size - 1)


def _weights(draw: st.DrawFn, shape: tuple[int, ...]) -> Ints:
    """Weights of list entries, at least 0 and in no list all 0."""
    weights: Ints = np.maximum(np.reshape(draw(several(math.prod(shape), WEIGHTS)), shape).astype(np.int64), 0)
    weights[..., 0] += ~weights.any(axis=-1)  # weights of 0 are no law; nothing to filter
    return weights


@st.composite
def drawn_data(
    draw: st.DrawFn,
    largest: tuple[int, int],
    max_visits: int,
    horizon: int | None,
    size: tuple[int, ...],
    reward_range: tuple[float, float],
    ties: bool,
) -> MDPData:
    pairs = tuple(draw(st.integers(1, n)) for n in largest)
    lists = (horizon if horizon is not None and draw(st.booleans()) else 1, *pairs)
    per_successor = draw(st.booleans())
    successors = _lists(draw, lists)
    shape = (*size, *(() if horizon is None else (horizon,)), *pairs)
    drawn = draw(several(math.prod(shape), STEPS, SHARES))
    steps, shares = np.reshape(drawn, (-1, pairs[1], 2)).astype(np.int64).transpose(2, 0, 1)
    counts, shares = (table.reshape(shape) for table in counts_and_shares(steps, shares, max_visits, ties))
    next_counts = _split(draw, counts, successors.shape[-1])
    low, high = reward_range
    means = low + (high - low) * shares / GRID
    sums = next_counts * means[..., None] if per_successor else counts * means
    kept = successors if horizon is not None else successors[0]
    return MDPData(counts, kept, next_counts, sums, reward_range, "deterministic")


def _split(draw: st.DrawFn, counts: Ints, width: int) -> Ints:
    """Counts (...) divided among successors (..., B) in proportion to drawn weights."""
    weights = _weights(draw, (*counts.shape, width))
    shares: Ints = np.floor(counts[..., None] * (weights / weights.sum(axis=-1, keepdims=True))).astype(np.int64)
    most = weights.argmax(axis=-1)[..., None]  # has room for what rounding left over
    rest = counts - shares.sum(axis=-1)
    np.put_along_axis(shares, most, np.take_along_axis(shares, most, axis=-1) + rest[..., None], axis=-1)
    return shares
