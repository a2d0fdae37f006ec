"""Compiled loops that draw logs of 0/1 rewards; callers pass checked, C-contiguous arrays.

Few rounds are drawn one by one. For more, cell after cell takes its binomial share of the rounds that are left, and of
these its rewards, each binomial by inverting its distribution function F_n at a uniform. Many data sets need F_n for
the same few n, and Pascal's rule

    F_{n+1}(k) = (1 - p) F_n(k) + p F_n(k - 1)

makes that table for less than a rejection sampler's start at each pair (n, p).
"""

import math

import numpy as np

from pessimism._compiled import compiled
from pessimism._types import Floats, Ints


@compiled
def draw_rounds(cdf: Floats, guide: Ints, n: int, counts: Ints, rng: np.random.Generator) -> None:
    """Count the outcomes of n rounds into every row of `counts` (replicates, outcomes); `cdf` ends in 1.

    Spends exactly one uniform a round. `guide[j]` is the first outcome whose cdf exceeds j / len(guide), so the search
    seldom takes a step; the length is a power of two, so that u * len(guide) is not rounded.
    """
    for i in range(counts.shape[0]):
        for _ in range(n):
            u = rng.random()
            outcome = guide[int(u * guide.size)]
            while u >= cdf[outcome]:
                outcome += 1
            counts[i, outcome] += 1


@compiled
def window(n: int, p: float) -> tuple[int, int]:
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
    first, end = window(low, p)
    cdfs = np.empty((high - low + 1, window(high, p)[1] - first + 1))
    row, odds, mode = cdfs[0], p / (1.0 - p), min(max(int((low + 1) * p), first), end)
    row[mode - first] = 1.0  # weights, relative to that of the mode
    for k in range(mode, end):
        row[k + 1 - first] = row[k - first] * ((low - k) / (k + 1) * odds)
    for k in range(mode, first, -1):
        row[k - 1 - first] = row[k - first] * (k / ((low - k + 1) * odds))
    for k in range(1, end - first + 1):
        row[k] += row[k - 1]
    total = row[end - first]
    for k in range(row.size):
        row[k] = row[k] / total if k <= end - first else 1.0
    for i in range(1, cdfs.shape[0]):
        cdfs[i, 0] = cdfs[i - 1, 0] - p * cdfs[i - 1, 0]
        for k in range(1, cdfs.shape[1]):
            cdfs[i, k] = cdfs[i - 1, k] - p * (cdfs[i - 1, k] - cdfs[i - 1, k - 1])
    return first, cdfs


@compiled
def draw_binomials(n: Ints, p: float, drawn: Ints, rng: np.random.Generator) -> None:
    """drawn[i] from Binomial(n[i], p), the least k with u < F(k). Spends one uniform each, none where p is 0 or 1.

    The search starts at the u-quantile of the middle row, moved by p for each trial more.
    """
    if p <= 0.0 or p >= 1.0 or n.size == 0:
        for i in range(n.size):
            drawn[i] = n[i] if p >= 1.0 else 0
        return
    low, high = n[0], n[0]
    for i in range(n.size):
        low, high = min(low, n[i]), max(high, n[i])
    first, cdfs = binomial_cdfs(low, high, p)
    middle, slots, k = (low + high) // 2, 128, 0
    guide = np.empty(slots)
    for j in range(slots):
        while cdfs[middle - low, k] <= (j + 0.5) / slots:
            k += 1
        guide[j] = k + 0.5 - middle * p
    last = cdfs.shape[1] - 1
    for i in range(n.size):
        u, cdf = rng.random(), cdfs[n[i] - low]
        k = min(max(int(guide[int(u * slots)] + n[i] * p), 0), last)
        while k < last and u >= cdf[k]:
            k += 1
        while k > 0 and u < cdf[k - 1]:
            k -= 1
        drawn[i] = first + k


@compiled
def draw_cells(chances: Floats, means: Floats, n: int, counts: Ints, hits: Ints, rng: np.random.Generator) -> None:
    """Counts and rewards of 1 (cells, replicates) in n rounds; a cell takes a round not taken before it by its chance.

    Cell after cell: the counts of all data sets, then their rewards, each by `draw_binomials`.
    """
    left = np.full(counts.shape[1], n)
    for k in range(chances.size):
        draw_binomials(left, chances[k], counts[k], rng)
        draw_binomials(counts[k], means[k], hits[k], rng)
        for i in range(left.size):
            left[i] -= counts[k, i]
