"""Composite strategies behind `bandits`, `behaviors` and `bandit_data`, whose arguments have been checked."""

import math

import numpy as np
from hypothesis import strategies as st

from pessimism._types import Floats, Ints
from pessimism.bandits import Bandit, BanditData, PropensityData
from pessimism.testing._whole_numbers import GRID, SHARES, STEPS, counts_and_shares, laws, several

SPREADS = 4
"""Within-arm variances are multiples of 1/SPREADS of the largest possible."""

UNBOUNDED_WIDTH = 20.0
"""Rewards of an infinite range are drawn from an interval this wide."""

SPREAD = st.integers(0, SPREADS)


@st.composite
def drawn_bandits(draw: st.DrawFn, max_contexts: int, max_arms: int, rewards: str) -> Bandit:
    n_contexts, n_arms = draw(st.integers(1, max_contexts)), draw(st.integers(1, max_arms))
    steps = st.integers(-10 * GRID, 10 * GRID) if rewards == "gaussian" else st.integers(0, GRID)
    means = np.reshape(draw(several(n_contexts * n_arms, steps)), (n_contexts, n_arms)) / GRID
    contexts = draw(laws((n_contexts,), zeros=True))
    scale = draw(st.integers(1, 16)) / 4 if rewards == "gaussian" else 0.5
    return Bandit(means, contexts, rewards, scale)


@st.composite
def drawn_behaviors(draw: st.DrawFn, max_contexts: int, max_arms: int, zeros: bool) -> Floats:
    shape = draw(st.integers(1, max_contexts)), draw(st.integers(1, max_arms))
    return draw(laws(shape, zeros))


@st.composite
def drawn_rounds(
    draw: st.DrawFn,
    largest: tuple[int, int],
    max_pulls: int,
    size: tuple[int, ...],
    reward_range: tuple[float, float],
    ties: bool,
) -> BanditData:
    n_contexts, n_arms = (draw(st.integers(1, n)) for n in largest)
    drawn = draw(several(math.prod(size) * n_contexts * n_arms, STEPS, SHARES, SPREAD))
    steps, shares, spread = np.reshape(drawn, (-1, n_arms, 3)).astype(np.int64).transpose(2, 0, 1)
    counts, shares = counts_and_shares(steps, shares, max_pulls, ties)
    counts, shares, spread = (table.reshape(*size, n_contexts, n_arms) for table in (counts, shares, spread))
    return _assemble(counts, shares / GRID, spread / SPREADS, reward_range)


@st.composite
def drawn_logs(draw: st.DrawFn, contexts: int, arms: int, most: int) -> tuple[BanditData, Floats, Floats]:
    data = draw(drawn_rounds((contexts, arms), most, (), (0.0, 1.0), True))
    shape = data.counts.shape
    policy = np.stack([draw(laws((shape[1],), zeros=True)) for _ in range(shape[0])])
    return data, policy, draw(laws(shape, zeros=False))


@st.composite
def drawn_propensities(draw: st.DrawFn, contexts: int, arms: int, rounds: int) -> PropensityData:
    s, a, n = (draw(st.integers(1, most)) for most in (contexts, arms, rounds))
    columns = draw(several(n, st.integers(0, s - 1), st.integers(0, a - 1), st.integers(0, 1), st.integers(1, 100)))
    where, arm, reward, chance = np.reshape(columns, (n, 4)).T
    return PropensityData.from_log(where, arm, reward, chance / 100, n_contexts=s, n_arms=a, batch=())


def _assemble(counts: Ints, share: Floats, spread: Floats, reward_range: tuple[float, float]) -> BanditData:
    """Data whose mean rewards divide the range at `share`, and whose variances are `spread` times the largest."""
    low, high = reward_range
    if not math.isfinite(high - low):
        low = low if math.isfinite(low) else (high if math.isfinite(high) else UNBOUNDED_WIDTH / 2) - UNBOUNDED_WIDTH
        high = high if math.isfinite(high) else low + UNBOUNDED_WIDTH
    width = high - low
    means = low + width * share
    variance = width**2 * share * (1.0 - share) * np.where(counts > 1, spread, 0.0)  # one reward has none
    return BanditData(counts, counts * means, counts * (means**2 + variance), reward_range)
