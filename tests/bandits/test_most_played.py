"""Logarithms of binomial probabilities against mpmath: no digits lost at any size."""

import math

import mpmath
import pytest

from pessimism.bandits._engine.most_played import log_binomial, stirling_error

pytestmark = pytest.mark.kernels


@pytest.mark.parametrize("n", [1, 2, 5, 15, 16, 17, 100, 10**6, 2**32, 2**33, 2**53])
def test_stirling_error_to_the_last_digits(n):
    with mpmath.workdps(40):
        plain = mpmath.loggamma(n + 1) - ((n + mpmath.mpf("0.5")) * mpmath.log(n) - n + mpmath.log(2 * mpmath.pi) / 2)
    assert stirling_error(n) == pytest.approx(float(plain), rel=1e-12, abs=3e-15)


@pytest.mark.parametrize(
    ("k", "m", "p"), [(0, 10, 0.3), (10, 10, 0.3), (3, 10, 0.3), (1000, 2000, 0.999), (5 * 10**8, 10**9, 0.50001)]
)
def test_log_binomial_without_cancellation(k, m, p):
    with mpmath.workdps(50):
        exact_p = mpmath.mpf(p)
        choose = mpmath.loggamma(m + 1) - mpmath.loggamma(k + 1) - mpmath.loggamma(m - k + 1)
        plain = choose + k * mpmath.log(exact_p) + (m - k) * mpmath.log(1 - exact_p)
    assert log_binomial(k, m, p, 1 - p) == pytest.approx(float(plain), rel=1e-12, abs=1e-6 if m > 10**6 else 1e-12)


def test_log_binomial_of_impossible_outcomes():
    assert log_binomial(3, 5, 0.0, 1.0) == -math.inf
    assert log_binomial(0, 5, 0.0, 1.0) == 0.0
    assert log_binomial(5, 5, 1.0, 0.0) == 0.0
