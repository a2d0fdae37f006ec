"""Rates and schedules of bilevel methods: powers to the last digit, drift attained, schedules taken by the methods."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from pessimism.bilevel import bounds, minimize_bilevel
from pessimism.bilevel.problems import Quadratic

EPS = np.array([0.5, 0.1, 0.02])


@pytest.mark.checks("bilevel.calls_rate")
def test_calls_have_the_powers_of_the_theorems():
    assert_allclose(bounds.calls_rate(EPS), [16.0, 1e4, 6.25e6], rtol=1e-12)
    assert_allclose(bounds.calls_rate(EPS, "slip"), bounds.calls_rate(EPS), rtol=1e-12)
    assert_allclose(bounds.calls_rate(EPS, "accbo"), [8.0, 1e3, 1.25e5], rtol=1e-12)


@pytest.mark.checks("bilevel.calls_lower_rate")
def test_lower_rates_have_the_powers_of_the_theorem():
    assert_allclose(bounds.calls_lower_rate(EPS, 4.0), 32.0 * np.array([16.0, 1e4, 6.25e6]), rtol=1e-12)
    assert_allclose(bounds.calls_lower_rate(EPS, [9.0, 1.0, 4.0], noisy=False), [108.0, 100.0, 20_000.0], rtol=1e-12)


@pytest.mark.checks("bilevel.noise_adaptive_rate")
def test_the_noise_adaptive_rate_has_both_ends():
    assert_allclose(bounds.noise_adaptive_rate([1, 100, 10**8], 0.0), [1.0, 0.1, 1e-4], rtol=1e-12)
    assert_allclose(bounds.noise_adaptive_rate(10**8, [4.0, 0.25]), [0.0201, 0.0051], rtol=1e-12)


@pytest.mark.checks("bilevel.drift")
def test_the_lower_solution_drifts_by_no_more_and_attains_it():
    # g(x, y) = mu |y|^2 / 2 - y' B x, so y*(x) = B x / mu
    rng = np.random.default_rng(0)
    cross, modulus = rng.normal(size=(4, 3)), 0.7
    top = np.linalg.svd(cross)
    bound = bounds.drift(0.2, cross=top.S[0], modulus=modulus)
    for direction in rng.normal(size=(100, 3)):
        move = 0.2 * direction / np.linalg.norm(direction)
        assert np.linalg.norm(cross @ move) / modulus <= bound * (1 + 1e-12)
    assert_allclose(np.linalg.norm(cross @ (0.2 * top.Vh[0])) / modulus, bound, rtol=1e-12)


@pytest.mark.checks("bilevel.theorem_schedule")
@pytest.mark.parametrize(("method", "power"), [("bo-rep", 3), ("slip", 3), ("accbo", 2)])
def test_a_schedule_has_the_powers_of_the_analysis_and_is_taken_by_the_method(method, power):
    options = bounds.theorem_schedule(method, 0.1, scale=2.0)
    assert_allclose(options["step"], 2.0 * 0.1**power, rtol=1e-12)
    assert_allclose(1.0 - options["momentum"], 0.01, rtol=1e-12)
    assert options.get("period", 100) == 100
    run = minimize_bilevel(Quadratic.random(2, 2, rng=0), [1.0, 1.0], method=method, budget=500, rng=0, **options)
    assert run.options["step"] == options["step"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bounds.calls_rate([0.1, 0.0]), r"eps\[1\] must be positive, got 0.0"),
        (lambda: bounds.calls_rate(0.1, "soba"), "method"),
        (lambda: bounds.calls_lower_rate(0.1, 0.5), "condition"),
        (lambda: bounds.calls_lower_rate(0.1, 2.0, noisy="no"), "noisy"),
        (lambda: bounds.noise_adaptive_rate(0, 1.0), "iterations"),
        (lambda: bounds.drift(0.1, cross=1.0, modulus=0.0), "modulus"),
        (lambda: bounds.theorem_schedule("bo-rep", 1.5), "eps"),
        (lambda: bounds.theorem_schedule("bo-rep", 0.5, scale=0), "scale"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
