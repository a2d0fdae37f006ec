r"""Hypothesis strategies for Markov decision processes, laws of logged pairs and logged transitions.

As for bandits, everything is drawn as whole numbers and divided once: laws :math:`k_i / \sum_j k_j`, mean rewards
:math:`k / 100` in models and :math:`k / 1009` of the reward range in data. Lists of successors are drawn with entries
of weight 0 (padding) and with states that occur twice, which a model allows; states that nothing leads to, and states
that are never left, are common.
"""

import math
from functools import lru_cache

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from pessimism import _check
from pessimism._types import Floats, Ints
from pessimism.mdp.data import MDPData
from pessimism.mdp.model import MDP
from pessimism.testing.strategies import GRID, UNPULLED, _laws, _several, _size, _untie

__all__ = ["mdp_behaviors", "mdp_data", "mdps"]

DISCOUNTS = (0.5, 0.9, 0.0, 0.99, 0.999)
"""Discounts of models without a horizon; with one, `EPISODIC_DISCOUNTS`."""

EPISODIC_DISCOUNTS = (1.0, 0.5, 0.9, 0.0)

MAX_SUCCESSORS = 3
"""Longest list of successors."""

STEPS = 100
"""Mean rewards of models are multiples of 1/STEPS."""

ABSORBING = 3
"""One state in ABSORBING + 1 or so is never left."""

# made once: Hypothesis then knows them again
REWARDS, KINDS = st.integers(0, STEPS), st.integers(0, ABSORBING)
VISITS, SHARES = st.integers(-GRID // UNPULLED, GRID), st.integers(0, GRID)
WEIGHTS = st.integers(-2, 4)


def mdps(
    *, max_states: int = 4, max_actions: int = 3, horizon: int | None = None, discount: float | None = None
) -> SearchStrategy[MDP]:
    """Strategy for single models.

    Parameters
    ----------
    max_states, max_actions : int
        Largest S and A, at least 1.
    horizon : int, optional
        H, at least 1. The tables then are the same at all steps or differ from step to step.
    discount : float, optional
        As for `MDP`. Default: 0.5, 0.9, 0, 0.99 or 0.999; with a horizon 1, 0.5, 0.9 or 0.

    Returns
    -------
    SearchStrategy of MDP
        Rewards in [0, 1], per pair or per successor. Absorbing and unreachable states, states of start probability 0,
        deterministic transitions, padded lists, lists that name a state twice, and tied actions occur. Shrinks to one
        state, one action and reward 0.

    Raises
    ------
    ValueError, TypeError
        If a size, `horizon` or `discount` is out of its range.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, database=None, deadline=None)
    ... @given(mdps(max_states=3))
    ... def best_policy_loses_nothing(mdp):
    ...     assert mdp.suboptimality(mdp.best_policy) == 0
    >>> best_policy_loses_nothing()
    """
    sizes = _size("max_states", max_states), _size("max_actions", max_actions)
    steps = None if horizon is None else _size("horizon", horizon)
    known: tuple[float, ...] = DISCOUNTS if horizon is None else EPISODIC_DISCOUNTS
    if discount is not None:
        MDP.dense([[[1.0]]], [[0.0]], None, discount, horizon=steps)  # checks the discount
        known = (float(discount),)
    return _mdps(*sizes, steps, known)


def mdp_behaviors(
    *,
    mdp: MDP | None = None,
    max_states: int = 4,
    max_actions: int = 3,
    horizon: int | None = None,
    zeros: bool = True,
) -> SearchStrategy[Floats]:
    r"""Strategy for laws of the logged (state, action) pairs.

    Parameters
    ----------
    mdp : MDP, optional
        The model the law must fit. Default: any shape up to the two sizes.
    max_states, max_actions : int
        Largest S and A, at least 1; not used with an `mdp`.
    horizon : int, optional
        H, at least 1: a law for every step. Not used with an `mdp`.
    zeros : bool
        Whether pairs may have probability 0. Without zeros every :math:`C^*` is finite.

    Returns
    -------
    SearchStrategy of ([H,] S, A) float
        Non-negative, total one (at every step) within 1e-12. Shrinks to a law on the first pair, or to the uniform law
        without zeros.

    Raises
    ------
    ValueError, TypeError
        If a size is below 1 or `mdp` is not an MDP.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> mdp = MDP.dense([[[1.0], [1.0]]], [[0.6, 0.5]], discount=0.5)
    >>> @settings(max_examples=10, database=None, deadline=None)
    ... @given(mdp_behaviors(mdp=mdp, zeros=False))
    ... def is_covered(behavior):
    ...     assert 1 <= mdp.coverage(behavior) < float("inf")
    >>> is_covered()
    """
    if mdp is not None:
        if not isinstance(mdp, MDP):
            raise TypeError(f"mdp must be an MDP, got {type(mdp).__name__}: to draw it too, use mdps().flatmap")
        return _step_laws(mdp.n_states, mdp.n_actions, mdp.horizon, zeros)
    sizes = st.integers(1, _size("max_states", max_states)), st.integers(1, _size("max_actions", max_actions))
    steps = None if horizon is None else _size("horizon", horizon)
    return st.tuples(*sizes).flatmap(lambda shape: _step_laws(*shape, steps, zeros))


def mdp_data(
    *,
    max_states: int = 4,
    max_actions: int = 3,
    max_visits: int = 100,
    horizon: int | None = None,
    size: int | tuple[int, ...] = (),
    reward_range: tuple[float, float] = (0.0, 1.0),
    ties: bool = True,
) -> SearchStrategy[MDPData]:
    """Strategy for data sets: visits, successors and reward sums that some log of independent transitions has.

    Parameters
    ----------
    max_states, max_actions : int
        Largest S and A, at least 1.
    max_visits : int
        Largest count of a pair (and step), at least 0; without ties, at least `max_actions`. Small counts are common
        however large it is.
    horizon : int, optional
        H, at least 1, for data with a step axis. Steps are drawn on their own: the data are not of episodes.
    size : int or tuple of int
        Batch of data sets, in front of ([H,] S, A).
    reward_range : (float, float)
        Interval that holds every reward; finite.
    ties : bool
        Whether two visited actions of a state may share their count or mean (or, for rewards in [0, 1], sum).

    Returns
    -------
    SearchStrategy of MDPData
        Of reward law "deterministic", with sums per pair or per successor. Pairs, states and logs that were never
        visited, padded lists and lists that name a state twice occur. Shrinks to one pair that was never visited.

    Raises
    ------
    ValueError, TypeError
        If a size is out of its range or `reward_range` is not a finite pair low < high.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from pessimism.mdp import plan
    >>> @settings(max_examples=10, database=None, deadline=None)
    ... @given(mdp_data(size=(3,)))
    ... def one_action_per_state(data):
    ...     assert plan(MDP.from_data(data, 0.9)).policy.shape == data.counts.shape[:-1]
    >>> one_action_per_state()
    """
    states, actions = _size("max_states", max_states), _size("max_actions", max_actions)
    steps = None if horizon is None else _size("horizon", horizon)
    if not ties:  # as for bandits: each action rules out two means for the next
        actions = int(_check.whole_array("max_actions", actions, low=1, high=GRID // 2))
    most = _check.MAX_TOTAL // (states * actions * (steps or 1))
    visits = _check.whole("max_visits", max_visits, low=0 if ties else actions, high=most)
    batch = tuple(int(k) for k in _check.whole_array("size", np.atleast_1d(size)))
    low, high = _check.interval("reward_range", reward_range)
    if not math.isfinite(high - low):
        raise ValueError(f"reward_range must be finite, got {reward_range!r}")
    return _mdp_data(states, actions, visits, steps, batch, (low, high), ties)


@st.composite
def _mdps(draw: st.DrawFn, max_states: int, max_actions: int, horizon: int | None, discounts: tuple[float, ...]) -> MDP:
    discount = draw(st.sampled_from(discounts))
    steps = horizon if horizon is not None and draw(st.booleans()) else 1
    core = draw(st.integers(1, max_states)), draw(st.integers(1, max_actions))
    per_successor = draw(st.booleans())
    successors = _lists(draw, (steps, *core))
    weights = _weights(draw, successors.shape)
    absorbing = np.array(draw(_several(core[0], KINDS))) == ABSORBING
    successors[:, absorbing] = np.flatnonzero(absorbing)[:, None, None]
    shape = successors.shape if per_successor else successors.shape[:-1]
    rewards = np.reshape(draw(_several(math.prod(shape), REWARDS)), shape) / STEPS
    tables = successors, weights / weights.sum(axis=-1, keepdims=True), rewards
    if horizon is None:
        tables = successors[0], tables[1][0], rewards[0]
    return MDP(*tables, draw(_laws((core[0],), zeros=True)), discount, horizon=horizon)


def _lists(draw: st.DrawFn, pairs: tuple[int, ...]) -> Ints:
    """Successors (*pairs, B); the states are the axis before the last."""
    shape = (*pairs, draw(st.integers(1, MAX_SUCCESSORS)))
    return np.reshape(draw(_several(math.prod(shape), _below(pairs[-2]))), shape).astype(np.int64)


@lru_cache
def _below(size: int) -> SearchStrategy[int]:
    return st.integers(0, size - 1)


def _weights(draw: st.DrawFn, shape: tuple[int, ...]) -> Ints:
    """Weights of list entries, at least 0 and in no list all 0."""
    weights: Ints = np.maximum(np.reshape(draw(_several(math.prod(shape), WEIGHTS)), shape).astype(np.int64), 0)
    weights[..., 0] += ~weights.any(axis=-1)  # weights of 0 are no law; nothing to filter
    return weights


def _step_laws(n_states: int, n_actions: int, horizon: int | None, zeros: bool) -> SearchStrategy[Floats]:
    law = _laws((n_states, n_actions), zeros)
    return law if horizon is None else st.tuples(*[law] * horizon).map(np.stack)


@st.composite
def _mdp_data(
    draw: st.DrawFn,
    max_states: int,
    max_actions: int,
    max_visits: int,
    horizon: int | None,
    size: tuple[int, ...],
    reward_range: tuple[float, float],
    ties: bool,
) -> MDPData:
    pairs = draw(st.integers(1, max_states)), draw(st.integers(1, max_actions))
    lists = (horizon if horizon is not None and draw(st.booleans()) else 1, *pairs)
    per_successor = draw(st.booleans())
    successors = _lists(draw, lists)
    shape = (*size, *(() if horizon is None else (horizon,)), *pairs)
    drawn = draw(_several(math.prod(shape), VISITS, SHARES))
    steps, share = np.reshape(drawn, (-1, pairs[1], 2)).astype(np.int64).transpose(2, 0, 1)
    counts = np.ceil(max_visits * (np.maximum(steps, 0) / GRID) ** 3).astype(np.int64)
    if not ties:
        for row_counts, row_share in zip(counts, share, strict=True):
            _untie(row_counts, row_share, max_visits)
    counts, share = counts.reshape(shape), share.reshape(shape)
    next_counts = _split(draw, counts, successors.shape[-1])
    low, high = reward_range
    means = low + (high - low) * share / GRID
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
