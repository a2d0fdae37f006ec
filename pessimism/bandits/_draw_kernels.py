"""Compiled loops that draw logs of 0/1 rewards. No checks: callers pass clean, C-contiguous arrays.

Few rounds are drawn one by one. For more, cell after cell takes its binomial share of the rounds that are left, and of
these its rewards, each binomial by inverting its distribution function F_n at a uniform. Many data sets need F_n for
the same few n, and Pascal's rule

    F_{n+1}(k) = (1 - p) F_n(k) + p F_n(k - 1)

makes that table for less than a rejection sampler's start at each pair (n, p).
"""

import math

import numpy as np
from numpy.typing import NDArray

from pessimism._compiled import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@compiled
def draw_rounds(cdf: Floats, n: int, replicates: int, rng: np.random.Generator) -> Ints:
    """How often each outcome came up (replicates, outcomes) in n rounds, round by round; `cdf` ends in 1.

    Spends exactly one uniform a round. `guide[j]` is the first outcome whose cdf exceeds j / slots, so the search
    seldom takes a step; slots is a power of two, so that u * slots is not rounded.
    """
    slots = 4
    while slots < 4 * cdf.size:
        slots *= 2
    guide = np.searchsorted(cdf, np.arange(slots) / slots, side="right")
    counts = np.zeros((replicates, cdf.size), np.int64)
    for i in range(replicates):
        for _ in range(n):
            u = rng.random()
            outcome = guide[int(u * slots)]
            while u >= cdf[outcome]:
                outcome += 1
            counts[i, outcome] += 1
    return counts


@compiled
def within(n: int, p: float) -> tuple[int, int]:
    """Least and largest k of Binomial(n, p) by Bernstein's inequality: 2 exp(-38) < 2^-53 lies outside."""
    mean = n * p
    margin = 13.0 + math.sqrt(161.0 + 76.0 * mean * (1.0 - p))
    return max(0, int(mean - margin)), min(n, 1 + int(mean + margin))


@compiled
def binomial_cdfs(low: int, high: int, p: float) -> tuple[int, Floats]:
    """Distribution functions of Binomial(n, p), 0 < p < 1, for n = low..high: rows over k = first, first + 1, ...

    The first row is built outwards from its mode. A later one is the row before minus p times its steps: zeros and ones
    stay exact, and a row adds one rounding at the most.
    """
    first, end = within(low, p)
    cdfs = np.ones((high - low + 1, within(high, p)[1] - first + 1))
    row, odds, mode = cdfs[0], p / (1.0 - p), min(max(int((low + 1) * p), first), end)
    for k in range(mode, end):  # weights, that of the mode being 1
        row[k + 1 - first] = row[k - first] * ((low - k) / (k + 1) * odds)
    for k in range(mode, first, -1):
        row[k - 1 - first] = row[k - first] * (k / ((low - k + 1) * odds))
    for k in range(1, end - first + 1):
        row[k] += row[k - 1]
    row[: end - first + 1] /= row[end - first]
    for i in range(1, cdfs.shape[0]):
        cdfs[i, 0] = cdfs[i - 1, 0] - p * cdfs[i - 1, 0]
        for k in range(1, cdfs.shape[1]):
            cdfs[i, k] = cdfs[i - 1, k] - p * (cdfs[i - 1, k] - cdfs[i - 1, k - 1])
    return first, cdfs


@compiled
def draw_binomials(n: Ints, p: float, rng: np.random.Generator) -> Ints:
    """Binomial(n[i], p) for every i: the least k with u < F(k). Spends one uniform each, none where p is 0 or 1.

    The search starts at the u-quantile of the middle row, moved by p for each trial more.
    """
    if p <= 0.0:
        return np.zeros_like(n)
    if p >= 1.0:
        return n.copy()
    low, high = n.min(), n.max()
    first, cdfs = binomial_cdfs(low, high, p)
    middle, slots, k = (low + high) // 2, 128, 0
    guide = np.empty(slots)
    for j in range(slots):
        while cdfs[middle - low, k] <= (j + 0.5) / slots:
            k += 1
        guide[j] = k + 0.5 - middle * p
    drawn, last = np.empty_like(n), cdfs.shape[1] - 1
    for i in range(n.size):
        u, cdf = rng.random(), cdfs[n[i] - low]
        k = min(max(int(guide[int(u * slots)] + n[i] * p), 0), last)
        while k < last and u >= cdf[k]:
            k += 1
        while k > 0 and u < cdf[k - 1]:
            k -= 1
        drawn[i] = first + k
    return drawn


@compiled
def draw_cells(chances: Floats, means: Floats, n: int, replicates: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Counts and rewards of 1 (cells, replicates) in n rounds; a cell takes a round not taken before it by its chance.

    Cell after cell: the counts of all data sets, then their rewards, each by `draw_binomials`.
    """
    counts = np.empty((chances.size, replicates), np.int64)
    hits = np.empty((chances.size, replicates), np.int64)
    left = np.full(replicates, n)
    for j in range(chances.size):
        counts[j] = draw_binomials(left, chances[j], rng)
        hits[j] = draw_binomials(counts[j], means[j], rng)
        left -= counts[j]
    return counts, hits
