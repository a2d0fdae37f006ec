r"""Hypothesis strategies for models, laws and data.

Laws and rewards are drawn as whole numbers and divided once: weights :math:`k_i / \sum_j k_j`, mean rewards
:math:`k / 1009` of the reward range. So examples shrink to numbers that a reader can check by hand. The denominator of
the means is a prime: unless two arms are given the same statistics, the index :math:`\hat r - w\sqrt{L/N}` of one does
not equal that of another by an accident of arithmetic, for any simple level :math:`L`.
"""

import math
from functools import lru_cache

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from pessimism import _check
from pessimism._types import Floats, Ints
from pessimism.bandits.data import BanditData
from pessimism.bandits.model import KINDS, Bandit

__all__ = ["bandit_data", "bandits", "behaviors"]

GRID = 1009
"""Mean rewards are multiples of 1/GRID of the reward range: a prime."""

MAX_WEIGHT = 100
"""A law's smallest positive probability is at least 1/(MAX_WEIGHT x cells)."""

SPREADS = 4
"""Within-arm variances are multiples of 1/SPREADS of the largest possible."""

UNPULLED = 4
"""One arm in UNPULLED + 1 or so was never pulled; the counts of the others are cubes, so that small ones are common."""

UNBOUNDED_WIDTH = 20.0
"""Rewards of an infinite range are drawn from an interval this wide."""


def bandits(*, max_contexts: int = 4, max_arms: int = 4, rewards: str = "bernoulli") -> SearchStrategy[Bandit]:
    """Strategy for single models.

    Parameters
    ----------
    max_contexts, max_arms : int
        Largest S and A, at least 1.
    rewards : str
        "bernoulli", "deterministic" (means in [0, 1]) or "gaussian" (means in [-10, 10], any scale from 1/4 to 4).

    Returns
    -------
    SearchStrategy of Bandit
        Means of shape (S, A); ties between arms and contexts of probability 0 occur. Shrinks to one context, one arm.

    Raises
    ------
    ValueError, TypeError
        If a size is below 1 or `rewards` is not known.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, database=None)
    ... @given(bandits(max_arms=3))
    ... def best_policy_loses_nothing(bandit):
    ...     assert bandit.suboptimality(bandit.best_policy) == 0
    >>> best_policy_loses_nothing()
    """
    sizes = _size("max_contexts", max_contexts), _size("max_arms", max_arms)
    return _bandits(*sizes, _check.choice("rewards", rewards, KINDS))


def behaviors(
    *, bandit: Bandit | None = None, max_contexts: int = 4, max_arms: int = 4, zeros: bool = True
) -> SearchStrategy[Floats]:
    r"""Strategy for laws of the logged (context, arm) pairs.

    Parameters
    ----------
    bandit : Bandit, optional
        The model the law must fit. Default: any shape up to the two sizes.
    max_contexts, max_arms : int
        Largest S and A, at least 1; not used with a `bandit`.
    zeros : bool
        Whether pairs may have probability 0. Without zeros every :math:`C^*` is finite.

    Returns
    -------
    SearchStrategy of (S, A) float
        Non-negative, total one within 1e-12. Shrinks to a law on the first pair, or to the uniform law without zeros.

    Raises
    ------
    ValueError, TypeError
        If a size is below 1 or `bandit` is not a Bandit.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> bandit = Bandit([[0.6, 0.5]])
    >>> @settings(max_examples=10, database=None)
    ... @given(behaviors(bandit=bandit, zeros=False))
    ... def is_covered(behavior):
    ...     assert 1 <= bandit.coverage(behavior) < float("inf")
    >>> is_covered()
    """
    if bandit is None:
        return _behaviors(_size("max_contexts", max_contexts), _size("max_arms", max_arms), zeros)
    if not isinstance(bandit, Bandit):
        raise TypeError(f"bandit must be a Bandit, got {type(bandit).__name__}: to draw it too, use bandits().flatmap")
    return _laws((bandit.n_contexts, bandit.n_arms), zeros)


def bandit_data(
    *,
    max_contexts: int = 4,
    max_arms: int = 4,
    max_pulls: int = 100,
    size: int | tuple[int, ...] = (),
    reward_range: tuple[float, float] = (0.0, 1.0),
    ties: bool = True,
) -> SearchStrategy[BanditData]:
    """Strategy for data sets: pulls, reward sums and sums of squares that some log has.

    Parameters
    ----------
    max_contexts, max_arms : int
        Largest S and A, at least 1.
    max_pulls : int
        Largest count of a (context, arm) pair, at least 0; without ties, at least `max_arms`. Small counts are common
        however large it is.
    size : int or tuple of int
        Batch of data sets, in front of (S, A).
    reward_range : (float, float)
        Interval that holds every reward; if infinite, rewards are drawn from 20 units of it.
    ties : bool
        Whether two pulled arms of a context may share their count or mean (or, for rewards in [0, 1], sum). Without
        ties, a rule that does not look at an arm's number has one answer wherever an arm was pulled.

    Returns
    -------
    SearchStrategy of BanditData
        Always with ``squares``; arms, contexts and logs without pulls occur. Shrinks to one arm that was never pulled.

    Raises
    ------
    ValueError, TypeError
        If a size is out of its range or `reward_range` is not a pair low < high.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from pessimism.bandits import greedy
    >>> @settings(max_examples=10, database=None)
    ... @given(bandit_data(size=(3,)))
    ... def one_arm_per_context(data):
    ...     assert greedy(data).shape == data.counts.shape[:-1]
    >>> one_arm_per_context()
    """
    contexts, arms = _size("max_contexts", max_contexts), _size("max_arms", max_arms)
    if not ties:  # each arm rules out two means for the next: one like its own, one with a sum like its own
        arms = int(_check.whole_array("max_arms", arms, low=1, high=GRID // 2))
    most = _check.MAX_TOTAL // (contexts * arms)
    pulls = _check.whole("max_pulls", max_pulls, low=0 if ties else arms, high=most)
    batch = tuple(int(k) for k in _check.whole_array("size", np.atleast_1d(size)))
    low, high = _check.interval("reward_range", reward_range)
    return _bandit_data(contexts, arms, pulls, batch, (low, high), ties)


@st.composite
def _bandits(draw: st.DrawFn, max_contexts: int, max_arms: int, rewards: str) -> Bandit:
    n_contexts, n_arms = draw(st.integers(1, max_contexts)), draw(st.integers(1, max_arms))
    steps = st.integers(-10 * GRID, 10 * GRID) if rewards == "gaussian" else st.integers(0, GRID)
    means = np.reshape(draw(_several(n_contexts * n_arms, steps)), (n_contexts, n_arms)) / GRID
    contexts = draw(_laws((n_contexts,), zeros=True))
    scale = draw(st.integers(1, 16)) / 4 if rewards == "gaussian" else 0.5
    return Bandit(means, contexts, rewards, scale)


@st.composite
def _behaviors(draw: st.DrawFn, max_contexts: int, max_arms: int, zeros: bool) -> Floats:
    shape = draw(st.integers(1, max_contexts)), draw(st.integers(1, max_arms))
    return draw(_laws(shape, zeros))


@st.composite
def _laws(draw: st.DrawFn, shape: tuple[int, ...], zeros: bool) -> Floats:
    weights = np.reshape(draw(_several(math.prod(shape), st.integers(0 if zeros else 1, MAX_WEIGHT))), shape)
    if not weights.any():
        weights.flat[0] = 1  # weights of 0 are no law; nothing to filter
    return np.asarray(weights / weights.sum())


@st.composite
def _bandit_data(
    draw: st.DrawFn,
    max_contexts: int,
    max_arms: int,
    max_pulls: int,
    size: tuple[int, ...],
    reward_range: tuple[float, float],
    ties: bool,
) -> BanditData:
    n_contexts, n_arms = draw(st.integers(1, max_contexts)), draw(st.integers(1, max_arms))
    steps_share_spread = st.integers(-GRID // UNPULLED, GRID), st.integers(0, GRID), st.integers(0, SPREADS)
    drawn = draw(_several(math.prod(size) * n_contexts * n_arms, *steps_share_spread))
    steps, share, spread = np.reshape(drawn, (-1, n_arms, 3)).astype(np.int64).transpose(2, 0, 1)
    counts = np.ceil(max_pulls * (np.maximum(steps, 0) / GRID) ** 3).astype(np.int64)
    if not ties:
        for row_counts, row_share in zip(counts, share, strict=True):
            _untie(row_counts, row_share, max_pulls)
    counts, share, spread = (table.reshape(*size, n_contexts, n_arms) for table in (counts, share, spread))
    return _assemble(counts, share / GRID, spread / SPREADS, reward_range)


def _untie(counts: Ints, share: Ints, max_pulls: int) -> None:
    """Move every count, mean and sum of pulled arms on to a free value: nothing to filter, so examples shrink well."""
    seen: set[tuple[str, int]] = set()
    for arm in np.flatnonzero(counts):
        pulls, mean = int(counts[arm]), int(share[arm])
        while ("pulls", pulls) in seen:
            pulls = pulls % max_pulls + 1
        while ("mean", mean) in seen or ("sum", pulls * mean) in seen:
            mean = (mean + 1) % (GRID + 1)
        seen |= {("pulls", pulls), ("mean", mean), ("sum", pulls * mean)}
        counts[arm], share[arm] = pulls, mean


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


@lru_cache
def _several(times: int, *elements: SearchStrategy[int]) -> SearchStrategy[tuple[int, ...]]:
    return st.tuples(*elements * times)  # half the cost of a list of fixed length, or of tuples of tuples


def _size(name: str, value: int) -> int:
    return int(_check.whole_array(name, value, low=1))
