"""Exact sums over binomial outcomes: rows of the law and their tails against SciPy, comparisons against plain sums."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from pessimism import _binomial
from tests.conftest import with_entry

pytestmark = pytest.mark.kernels

kernels = _binomial.binomial_row, _binomial.tails, _binomial.overtakes
binomial_row, tails, overtakes = map(with_entry, kernels)

probabilities = st.floats(1e-6, 1.0, exclude_max=True)


@given(st.integers(0, 300), probabilities)
def test_a_row_is_the_binomial_law_above_the_cut(m, p):
    row = np.empty(m + 2)
    first, length = binomial_row(m, p, 1.0 - p, 1e-36, row)
    assert 0 <= first <= first + length - 1 <= m
    assert row[:length] == pytest.approx(binom.pmf(np.arange(first, first + length), m, p), rel=1e-9)
    outside = [k for k in (first - 1, first + length) if 0 <= k <= m]
    assert all(binom.pmf(k, m, p) < 1e-36 for k in outside)


def test_a_row_at_its_corners():
    row = np.empty(12)
    assert binomial_row(0, 0.3, 0.7, 1e-36, row) == (0, 1)
    assert binomial_row(10, 0.0, 1.0, 1e-36, row) == (0, 1)
    assert binomial_row(10, 1.0, 0.0, 1e-36, row) == (10, 1)
    assert binomial_row(10, 3.0, 1.0, 1e-36, row) == (0, 11)  # odds need not be normalised
    assert row[:11] == pytest.approx(binom.pmf(np.arange(11), 10, 0.75), rel=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_tails_are_plain_sums_from_the_end(weights):
    row, tail = np.array([*weights, 0.0]), np.empty(len(weights) + 1)
    tails(row, len(weights), tail)
    assert tail[-1] == 0
    for k in range(len(weights)):
        plain = 0.0
        for weight in reversed(weights[k:]):
            plain += weight
        assert tail[k] == plain


@given(
    st.integers(1, 12), st.integers(1, 12), st.floats(0, 1), st.floats(0, 1), st.sampled_from([-0.5, 0.0, 0.25, 1 / 3])
)
def test_overtakes_is_the_double_sum(m, n, p, q, shift):
    """Arm b against arm a with its index shifted: all pairs of outcomes, ties one half."""
    a, b = np.empty(m + 2), np.empty(n + 2)
    a_first, a_length = binomial_row(m, p, 1 - p, 1e-36, a)
    b_first, b_length = binomial_row(n, q, 1 - q, 1e-36, b)
    tail = np.empty(n + 3)
    tails(b, b_length, tail)
    start, stride = (a_first / m + shift - b_first / n) * n, n / m
    fast = overtakes(a, a_length, start, stride, b_length, tail, 1e-40)
    plain = 0.0
    for i in range(a_length):
        for j in range(b_length):
            difference = (b_first + j) / n - (a_first + i) / m - shift
            plain += a[i] * b[j] * (0.5 if abs(difference) < 1e-11 else float(difference > 0))
    assert fast == pytest.approx(plain, rel=1e-12, abs=1e-30)
