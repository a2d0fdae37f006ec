"""What the strategies share: examples are drawn as tuples of whole numbers and divided once, so they shrink well."""

import math
import warnings
from functools import cache, lru_cache
from importlib import import_module
from itertools import permutations
from typing import TypeVar

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from pessimism import _check
from pessimism._draw import front_axes
from pessimism._types import Floats, Ints

Example = TypeVar("Example")

GRID = 1009
"""Mean rewards of data are multiples of 1/GRID of the reward range: a prime."""

UNPULLED = 4
"""One arm in UNPULLED + 1 or so was never pulled; the counts of the others are cubes, so that small ones are common."""

MAX_WEIGHT = 100
"""A law's smallest positive probability is at least 1/(MAX_WEIGHT x cells)."""

# made once, so that Hypothesis caches what it knows of them
ORDERS = st.sampled_from(list(permutations(range(4))))
STEPS, SHARES = st.integers(-GRID // UNPULLED, GRID), st.integers(0, GRID)


@lru_cache
def several(times: int, *elements: SearchStrategy[int]) -> SearchStrategy[tuple[int, ...]]:
    return st.tuples(*elements * times)  # half the cost of a list of fixed length, or of tuples of tuples


def ready(part: str, strategy: SearchStrategy[Example]) -> SearchStrategy[Example]:
    """The strategy, before whose first use in a test kernels of a wing are loaded, or compiled, and SciPy is imported.

    Hypothesis asks for a deferred strategy before its clock runs: the first example then keeps its deadline.
    """

    def definition() -> SearchStrategy[Example]:
        _load(part)
        return strategy

    return st.deferred(definition)


@cache
def _load(part: str) -> None:
    import numba

    from pessimism import _first_calls

    for module in ("linalg", "optimize", "sparse.linalg", "special", "stats"):  # which take longer than a deadline too
        import_module(f"scipy.{module}")
    if not vars(numba.config)["DISABLE_JIT"]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _first_calls.PARTS[part]()


def below(size: int, order: tuple[int, ...]) -> tuple[int, ...]:
    """An order of `size` things, from one of as many or more."""
    return tuple(i for i in order if i < size)


def length(name: str, value: int) -> int:
    """Of an axis: at least 1."""
    return _check.count(name, value)


def batch_axes(size: int | tuple[int, ...]) -> tuple[int, ...]:
    return front_axes(size)


@st.composite
def laws(draw: st.DrawFn, shape: tuple[int, ...], zeros: bool) -> Floats:
    weights = np.reshape(draw(several(math.prod(shape), st.integers(0 if zeros else 1, MAX_WEIGHT))), shape)
    if not weights.any():
        weights.flat[0] = 1  # weights of 0 are no law; nothing to filter
    return np.asarray(weights / weights.sum())


def limits(name: str, arms: int, most: tuple[str, int], cells: int, ties: bool) -> int:
    """The largest count of a cell, if as many arms as that can have counts and means of their own."""
    if not _check.flag(
        "ties", ties
    ):  # each arm rules out two means for the next: one like its own, one with a sum like its own
        _check.whole(name, arms, low=1, high=GRID // 2)
    if cells > _check.MAX_COUNT:
        raise ValueError(f"{name} must be smaller: the largest table has {cells} cells, more than {_check.MAX_COUNT}")
    return _check.whole(*most, low=0 if ties else arms, high=_check.MAX_TOTAL // cells)


def counts_and_shares(steps: Ints, shares: Ints, most: int, ties: bool) -> tuple[Ints, Ints]:
    """Counts (rows, arms) up to `most`, and mean rewards in multiples of 1/GRID, from drawn STEPS and SHARES."""
    counts = np.ceil(most * (np.maximum(steps, 0) / GRID) ** 3).astype(np.int64)
    if not ties:
        for row_counts, row_shares in zip(counts, shares, strict=True):
            _untie(row_counts, row_shares, most)
    return counts, shares


def _untie(counts: Ints, shares: Ints, most: int) -> None:
    """Move every count, mean and sum of pulled arms on to a free value: nothing to filter, so examples shrink well."""
    seen: set[tuple[str, int]] = set()
    for arm in np.flatnonzero(counts):
        pulls, mean = int(counts[arm]), int(shares[arm])
        while ("pulls", pulls) in seen:
            pulls = pulls % most + 1
        while ("mean", mean) in seen or ("sum", pulls * mean) in seen:
            mean = (mean + 1) % (GRID + 1)
        seen |= {("pulls", pulls), ("mean", mean), ("sum", pulls * mean)}
        counts[arm], shares[arm] = pulls, mean
