"""Building blocks of the exact enumeration against SciPy, mpmath and plain sums."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from pessimism.bandits import _kernels

probabilities = st.floats(1e-6, 1.0, exclude_max=True)


@given(st.integers(0, 300), probabilities)
def test_a_row_is_the_binomial_law_above_the_cut(m, p):
    row = np.empty(m + 2)
    first, length = _kernels.binomial_row(m, p, 1.0 - p, 1e-36, row)
    assert 0 <= first <= first + length - 1 <= m
    assert row[:length] == pytest.approx(binom.pmf(np.arange(first, first + length), m, p), rel=1e-9)
    outside = [k for k in (first - 1, first + length) if 0 <= k <= m]
    assert all(binom.pmf(k, m, p) < 1e-36 for k in outside)


def test_a_row_at_its_corners():
    row = np.empty(12)
    assert _kernels.binomial_row(0, 0.3, 0.7, 1e-36, row) == (0, 1)
    assert _kernels.binomial_row(10, 0.0, 1.0, 1e-36, row) == (0, 1)
    assert _kernels.binomial_row(10, 1.0, 0.0, 1e-36, row) == (10, 1)
    assert _kernels.binomial_row(10, 3.0, 1.0, 1e-36, row) == (0, 11)  # odds need not be normalised
    assert row[:11] == pytest.approx(binom.pmf(np.arange(11), 10, 0.75), rel=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_tails_are_plain_sums_from_the_end(weights):
    row, tail, half = np.array([*weights, 0.0]), np.empty(len(weights) + 1), np.empty(len(weights) + 1)
    _kernels.tails(row, len(weights), tail, half)
    for k in range(len(weights)):
        plain = 0.0
        for weight in reversed(weights[k + 1 :]):
            plain += weight
        assert tail[k] == plain + weights[k]
        assert half[k] == plain + 0.5 * weights[k]


@given(
    st.integers(1, 12), st.integers(1, 12), st.floats(0, 1), st.floats(0, 1), st.sampled_from([-0.5, 0.0, 0.25, 1 / 3])
)
def test_overtakes_is_the_double_sum(m, n, p, q, shift):
    """Arm b against arm a with its index shifted: all pairs of outcomes, ties one half."""
    a, b = np.empty(m + 2), np.empty(n + 2)
    a_first, a_length = _kernels.binomial_row(m, p, 1 - p, 1e-36, a)
    b_first, b_length = _kernels.binomial_row(n, q, 1 - q, 1e-36, b)
    tail, half = np.empty(n + 3), np.empty(n + 3)
    _kernels.tails(b, b_length, tail, half)
    fast = _kernels.overtakes(
        a_length, a_first / m + shift, 1 / m, a, b_length, b_first / n, 1 / n, tail, half, 1e-40
    )  # fmt: skip
    plain = 0.0
    for i in range(a_length):
        for j in range(b_length):
            difference = (b_first + j) / n - (a_first + i) / m - shift
            plain += a[i] * b[j] * (0.5 if abs(difference) < 1e-11 else float(difference > 0))
    assert fast == pytest.approx(plain, rel=1e-12, abs=1e-30)


@given(st.integers(1, 12), st.floats(0, 1), st.floats(0, 1), st.sampled_from([-1.0, 0.0, 0.25, 0.5]))
def test_both_sides_of_unseen_are_summed(m, p, width, unseen):
    above, below = _kernels.against_unseen(_kernels.BERNOULLI, p, 0.5, m, width, unseen, np.empty(m + 2))
    index = np.arange(m + 1) / m - width
    weight = binom.pmf(np.arange(m + 1), m, p)
    tie = np.abs(index - unseen) < 1e-11
    assert above == pytest.approx(np.sum(weight * np.where(tie, 0.5, index > unseen)), rel=1e-9, abs=1e-30)
    assert above + below == pytest.approx(1.0, rel=1e-12)


def test_gaussian_and_deterministic_arms_against_unseen():
    row = np.empty(10)
    above, below = _kernels.against_unseen(_kernels.GAUSSIAN, 0.3, 0.5, 4, 0.1, 0.2, row)
    assert (above, below) == pytest.approx((0.5, 0.5), rel=1e-15)
    assert _kernels.against_unseen(_kernels.DETERMINISTIC, 0.3, 0.5, 4, 0.1, 0.1, row) == (1.0, 0.0)
    assert _kernels.against_unseen(_kernels.BERNOULLI, 0.3, 0.5, 4, 0.1, math.inf, row) == (0.0, 1.0)


@pytest.mark.parametrize("n", [1, 2, 5, 15, 16, 17, 100, 10**6, 2**32, 2**33, 2**53])
def test_stirling_error_to_the_last_digits(n):
    with mpmath.workdps(40):
        plain = mpmath.loggamma(n + 1) - ((n + mpmath.mpf("0.5")) * mpmath.log(n) - n + mpmath.log(2 * mpmath.pi) / 2)
    assert _kernels.stirling_error(n) == pytest.approx(float(plain), rel=1e-12, abs=3e-15)


@pytest.mark.parametrize(
    ("k", "m", "p"), [(0, 10, 0.3), (10, 10, 0.3), (3, 10, 0.3), (1000, 2000, 0.999), (5 * 10**8, 10**9, 0.50001)]
)
def test_log_binomial_without_cancellation(k, m, p):
    with mpmath.workdps(50):
        exact_p = mpmath.mpf(p)
        choose = mpmath.loggamma(m + 1) - mpmath.loggamma(k + 1) - mpmath.loggamma(m - k + 1)
        plain = choose + k * mpmath.log(exact_p) + (m - k) * mpmath.log(1 - exact_p)
    assert _kernels.log_binomial(k, m, p, 1 - p) == pytest.approx(
        float(plain), rel=1e-12, abs=1e-6 if m > 10**6 else 1e-12
    )


def test_log_binomial_of_impossible_outcomes():
    assert _kernels.log_binomial(3, 5, 0.0, 1.0) == -math.inf
    assert _kernels.log_binomial(0, 5, 0.0, 1.0) == 0.0
    assert _kernels.log_binomial(5, 5, 1.0, 0.0) == 0.0
