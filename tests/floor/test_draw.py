"""Draws without replacement from more than NumPy takes: exact laws of small numbers, spread of large ones."""

import numpy as np
import pytest
from scipy.stats import chisquare, hypergeom, kstest

from pessimism import _draw


@pytest.mark.parametrize(
    ("good", "bad", "n"),
    [(5, 7, 4), (7, 5, 4), (5, 7, 9), (60, 3, 30), (1, 80, 40), (400, 500, 100), (0, 9, 3)],
)
def test_small_numbers_have_their_exact_law(good, bad, n):
    """Chi-square at 1e-6 over the likely outcomes; sees a shift of the mean by 2 % of a standard deviation."""
    size = 100_000
    drawn = _draw._from_many(np.random.default_rng(1), *(np.full(size, x) for x in (good, bad, n)))
    law = hypergeom(good + bad, good, n)
    assert drawn.min() >= max(0, n - bad)
    assert drawn.max() <= min(n, good)
    k = np.flatnonzero(size * law.pmf(np.arange(n + 1)) > 20)
    seen = np.array([*(np.sum(drawn == j) for j in k), np.sum(~np.isin(drawn, k))])
    expected = np.append(size * law.pmf(k), size * (1 - law.pmf(k).sum()))
    kept = expected > 1e-6
    assert seen[~kept].sum() == 0
    assert kept.sum() == 1 or chisquare(seen[kept], expected[kept] * seen.sum() / expected[kept].sum()).pvalue > 1e-6


@pytest.mark.parametrize("total", [2 * 10**9, 2**53])
@pytest.mark.parametrize("share", [0.5, 1e-3])
def test_large_numbers_are_normal(total, share):
    """Kolmogorov-Smirnov at 1e-6: sees a standard deviation off by 5 %."""
    good, n, size = int(share * total), total // 3, 20_000
    drawn = _draw.hypergeometric(np.random.default_rng(2), np.full(size, good), np.full(size, total - good), n)
    mean, p = n * (good / total), good / total
    spread = np.sqrt(n * p * (1 - p) * ((total - n) / (total - 1)))
    assert kstest((drawn - mean) / spread, "norm").pvalue > 1e-6


def test_what_numpy_takes_is_drawn_by_numpy():
    good, bad, n = np.array([5, 10**9, 7]), np.array([6, 10**9, 8]), np.array([4, 10**6, 3])
    drawn = _draw.hypergeometric(np.random.default_rng(3), good, bad, n)
    assert drawn[[0, 2]].tolist() == np.random.default_rng(3).hypergeometric([5, 7], [6, 8], [4, 3]).tolist()
    assert abs(drawn[1] - 500_000) < 6 * 500
