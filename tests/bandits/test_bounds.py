"""Bounds: never violated by exact losses, attained or close where the proof says so, known numbers."""

import math
from functools import partial

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pessimism.bandits import BanditData, bounds, exact, hoeffding_level, instances

INF = math.inf


def kl(p, q):
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


def test_constants_are_those_of_two_points():
    assert pytest.approx(math.exp(-0.5) / (4 * math.sqrt(17.6)), rel=5e-3) == bounds.TWO_POINT
    assert pytest.approx(math.exp(-0.5) / (4 * math.sqrt(8.8)), rel=5e-3) == bounds.TWO_SIDED
    assert math.exp(-0.5) / (4 * math.sqrt(17.6)) >= bounds.TWO_POINT
    assert math.exp(-0.5) / (4 * math.sqrt(8.8)) >= bounds.TWO_SIDED
    gaps = np.linspace(1e-4, 0.25, 1000)  # the divergence bound behind both
    assert all(kl(0.5 + g, 0.5 - g) <= 8.8 * g**2 for g in gaps)
    assert kl(0.75, 0.25) > 8.7 * 0.25**2  # and it is nearly attained at the end


@pytest.mark.parametrize("cstar", [1.2, 2.0, 5.0])
@pytest.mark.parametrize("n", [100, 400])
def test_lcb_upper_is_valid_for_the_worst_gap(n, cstar):
    worst = exact.worst_case(partial(instances.symmetric, cstar), n, level=float(hoeffding_level(n, 1, 2)))
    bound = float(bounds.lcb_upper(n, cstar, 2))
    if n < 8 * cstar * math.log(n):
        assert math.isnan(bound)
    else:
        assert worst.loss <= bound == pytest.approx(2 * math.sqrt(cstar * math.log(4 * n) / n) + 2 / n)


@pytest.mark.parametrize("level", [0.0, 1.0, 5.0, INF, -INF])
@pytest.mark.parametrize(("n", "cstar"), [(20, 2.0), (100, 4.0), (200, 50.0)])
def test_minimax_lower_holds_for_the_whole_family_of_rules(n, cstar, level):
    gap = math.sqrt(cstar / (17.6 * n))
    losses = [exact.suboptimality(*instances.two_point(cstar, gap, best), n, level=level) for best in (0, 1)]
    assert max(losses) >= bounds.minimax_lower(n, cstar) == pytest.approx(0.036 * math.sqrt(cstar / n))


def test_minimax_lower_is_silent_outside_its_range():
    assert np.isnan(bounds.minimax_lower([3, 10], [4.0, 1.5])).all()


@given(st.floats(1.001, 2.0))
def test_imitation_exponent_is_a_divergence(cstar):
    assert bounds.imitation_exponent(cstar) == pytest.approx(kl(0.5, 1 / cstar), rel=1e-9, abs=1e-12)


def test_large_n_and_cstar_near_two_keep_their_digits():
    with mpmath.workdps(50):
        for cstar in (1.4999, 1.5, 1.99, 1.999999, 2 - 1e-8):
            c = mpmath.mpf(cstar)
            exponent = mpmath.log(c**2 / (4 * (c - 1))) / 2
            assert bounds.imitation_exponent(cstar) == pytest.approx(float(exponent), rel=1e-9)
        for n in (10**3, 10**12, 2**53):
            unmet = (mpmath.mpf(n) / (n + 1)) ** n / (n + 1) / 2
            assert bounds.missing_mass_loss(n, 2) == pytest.approx(float(unmet), rel=1e-12)
        n, rho = 10**12, np.array([1 - 1e-12, 1e-12])
        kappa = 1 - mpmath.exp(-mpmath.mpf(float(bounds.imitation_exponent(1.5))))
        plain = mpmath.fsum(mpmath.mpf(float(r)) * (1 - mpmath.mpf(float(r)) * kappa) ** n for r in rho)
        assert bounds.imitation_equal_marginals(n, 1.5, rho) == pytest.approx(float(plain), rel=1e-9)


def test_numbers_of_the_theory_sheet():
    values = bounds.imitation_exponent([1.1, 1.5, 1.9, 2.0])
    assert values == pytest.approx([0.553456, 0.058892, 0.001387, 0.0], abs=5e-7)
    assert bounds.imitation_exponent(1.0) == INF
    assert math.isnan(bounds.imitation_exponent(2.1))
    assert bounds.lcb_exponent([1.1, 1.5, 1.9]) == pytest.approx([0.925, 0.557, 0.501], abs=5e-4)
    assert bounds.lcb_exponent(4.0) == 0.5
    assert bounds.crossing([10**4, 10**5]) == pytest.approx([1.942, 1.979], abs=3e-3)
    assert np.isnan(bounds.crossing([2, 3, 5, 8])).all()
    sigma = math.sqrt((1.5 + 3.0) / (4 * 10**6))
    assert bounds.lcb_normal_prediction(10**6, 1.5, 0.0) / sigma == pytest.approx(0.17, abs=5e-4)
    assert bounds.lcb_normal_gap(10**6, 1.5, 0.0) / sigma == pytest.approx(0.7518, abs=5e-5)
    level = 0.5 * np.log(4.0 * np.array([1e16, 1e17]))
    first, second = bounds.lcb_normal_prediction([1e16, 1e17], 1.1, level)
    assert math.log10(first / second) == pytest.approx(0.949, abs=5e-4)


@pytest.mark.parametrize("n", [10, 51, 200])
@pytest.mark.parametrize("cstar", [1.1, 1.5, 1.9, 2.0])
def test_imitation_upper_is_valid(n, cstar):
    assert math.exp(exact.most_played_log_error(1 / cstar, n)) <= bounds.imitation_upper(n, cstar)


@pytest.mark.parametrize("level", [0.0, 1.0, INF])
@pytest.mark.parametrize(("n", "cstar", "gap"), [(10, 1.5, 0.1), (40, 1.9, 0.05), (7, 1.2, 0.25)])
def test_imitation_lower_holds_for_the_whole_family_of_rules(n, cstar, gap, level):
    losses = [exact.suboptimality(*instances.swapped(cstar, gap, best), n, level=level) for best in (0, 1)]
    assert max(losses) >= bounds.imitation_lower(n, cstar, gap) > 0


def test_exponents_are_ordered():
    cstar = np.linspace(1.01, 1.99, 50)
    exponent = bounds.imitation_exponent(cstar)
    assert np.all(-np.log(bounds.imitation_lower_recalled(1, cstar)) > exponent)
    assert np.all(-np.log(bounds.imitation_lower(1, cstar, 1e-9) / 5e-10) > exponent)
    assert bounds.two_point_exponent(1.5, 0.3) == pytest.approx(
        bounds.imitation_exponent(1.5) - 0.5 * math.log(1 - 4 * 0.09)
    )
    assert bounds.two_point_exponent(1.5, 0.0) == bounds.imitation_exponent(1.5)


@pytest.mark.parametrize("cstar", [1.5, 4.0])
def test_normal_prediction_is_close_to_the_exact_worst_case(cstar):
    n = 2000
    for level in (0.0, float(hoeffding_level(n, 1, 2))):
        worst = exact.worst_case(partial(instances.symmetric, cstar), n, level=level)
        assert bounds.lcb_normal_prediction(n, cstar, level) == pytest.approx(worst.loss, rel=0.02)
        assert bounds.lcb_normal_gap(n, cstar, level) == pytest.approx(worst.gap, rel=0.15)


@pytest.mark.parametrize("level", [0.0, 2.0, INF])
@pytest.mark.parametrize(("cstar", "n"), [(1.0, 12), (1.2, 60), (2.0, 60)])
def test_contextual_lower_holds_for_the_whole_family_of_rules(cstar, n, level):
    """The worst of the three instances it is built from; unknown labels are the even split of ties and both labels."""
    contexts = 3
    candidates = [exact.suboptimality(*instances.missing_mass(n, contexts), n, level=level)]
    if cstar > 1:
        gap = min(1.0, math.sqrt(cstar * (contexts - 1) / (8.8 * n * (cstar - 1))))
        candidates.append(exact.suboptimality(*instances.ambiguous_contexts(cstar, contexts, gap), n, level=level))
    if cstar >= 2:
        gap = math.sqrt(contexts * cstar / (17.6 * n))
        for best in ([0] * 3, [1] * 3):
            candidates.append(
                exact.suboptimality(*instances.contextual_two_point(cstar, contexts, gap, best), n, level=level)
            )
    assert max(candidates) >= bounds.contextual_lower(n, cstar, contexts) > 0


def test_contextual_lower_says_which_part_speaks():
    assert math.isnan(bounds.contextual_lower(1, 1.5, 10))
    assert bounds.contextual_lower(10**6, 1.5, 11) == pytest.approx(0.0511 * math.sqrt(1.5 * 10 * 0.5 / 10**6))
    assert bounds.contextual_lower(10**6, 4.0, 10) == pytest.approx(0.036 * math.sqrt(40 / 10**6))
    assert bounds.contextual_lower(1000, 1.0, 11, arms=4) == pytest.approx(10 * 0.75 / (math.e * 1001))


@pytest.mark.parametrize("cstar", [1.0, 1.3, 2.0])
def test_contextual_upper_is_valid(cstar):
    n = 200
    level = float(hoeffding_level(n, 2, 2))
    worst = exact.worst_case(partial(instances.ambiguous_contexts, cstar, 2), n, level=level)
    missed = exact.suboptimality(*instances.missing_mass(n, 2), n, level=level)
    assert max(worst.loss, missed) <= bounds.contextual_upper(n, cstar, 2, 2)
    assert bounds.contextual_rate(n, cstar, 2) == pytest.approx(math.sqrt(2 * (cstar - 1) / n) + 2 / n)


@given(st.integers(1, 1000), st.floats(1, 10), st.integers(1, 6), st.integers(0, 2**32))
def test_missing_mass_bounds_hold_for_every_law(n, cstar, contexts, seed):
    rho = np.random.default_rng(seed).dirichlet(np.full(contexts, 0.3))
    missing = np.sum(rho * (1 - rho / cstar) ** n)
    assert missing <= bounds.missing_mass_upper(n, cstar, contexts) <= bounds.missing_mass_published(n, cstar, contexts)


def test_equal_marginals_make_imitation_look_good():
    n, cstar, rho = 40, 1.5, np.array([0.7, 0.3])
    from pessimism.bandits import Bandit, behavior

    bandit = Bandit([[1.0, 0.0], [1.0, 0.0]], contexts=rho)
    loss = exact.suboptimality(bandit, behavior.prescribe(bandit, cstar=cstar), n, level=INF)
    bound = bounds.imitation_equal_marginals(n, cstar, rho)
    kappa = 1 - math.exp(-bounds.imitation_exponent(cstar))
    assert loss <= bound <= 2 / (math.e * kappa * n)
    assert math.isnan(bounds.imitation_equal_marginals(n, 2.5, rho))
    assert bounds.imitation_floor([1.0, 1.5, 2.5], 0.4) == pytest.approx([0.0, 0.1, math.nan], nan_ok=True)
    assert bounds.imitation_equal_marginals([10, 20], 1.0, rho) == pytest.approx(
        [0.7 * 0.3**n + 0.3 * 0.7**n for n in (10, 20)]
    )


DATA = BanditData([[3, 1]], [[2.0, 1.0]])
CONTEXTS = BanditData([[300, 100], [100, 200]], [[200.0, 10.0], [0.0, 100.0]])
TWO, THREE = [1.5, 1.7], [1.2, 1.5, 1.7]  # numbers that no shape joins
SHAPES = "must have shapes that broadcast, got"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bounds.lcb_upper(THREE, TWO, 2), f"^n and cstar {SHAPES}"),
        (lambda: bounds.minimax_lower(THREE, TWO), f"^n and cstar {SHAPES}"),
        (lambda: bounds.imitation_upper(THREE, TWO), f"^n and cstar {SHAPES}"),
        (lambda: bounds.imitation_lower(THREE, TWO, 0.1), f"^n, cstar and gap {SHAPES}"),
        (lambda: bounds.imitation_lower_recalled(THREE, TWO), f"^n and cstar {SHAPES}"),
        (lambda: bounds.two_point_exponent(THREE, [0.1, 0.2]), f"^cstar and gap {SHAPES}"),
        (lambda: bounds.lcb_normal_gap(THREE, 2.0, TWO), f"^n, cstar and level {SHAPES}"),
        (lambda: bounds.contextual_rate(THREE, TWO, 2), f"^n and cstar {SHAPES}"),
        (lambda: bounds.contextual_upper(THREE, TWO, 2, 2), f"^n and cstar {SHAPES}"),
        (lambda: bounds.contextual_lower(THREE, TWO, 2), f"^n and cstar {SHAPES}"),
        (lambda: bounds.missing_mass_upper(THREE, TWO, 2), f"^n and cstar {SHAPES}"),
        (lambda: bounds.missing_mass_published(THREE, TWO, 2), f"^n and cstar {SHAPES}"),
        (lambda: bounds.missing_mass_loss(THREE, 2, gap=TWO), f"^n and gap {SHAPES}"),
        (lambda: bounds.imitation_equal_marginals(THREE, 1.5, [[1.0]] * 2), f"^n and contexts {SHAPES}"),
        (lambda: bounds.imitation_floor(THREE, TWO), f"^cstar and gap {SHAPES}"),
        (lambda: bounds.lcb_width_bound(DATA, [[0]] * 2, [[1.0]] * 3, 0.1), f"^data, policy and contexts {SHAPES}"),
        (lambda: bounds.lcb_upper(0, 2.0, 2), r"n must be in \[1, inf\], got 0"),
        (lambda: bounds.lcb_upper([10, math.nan], 2.0, 2), r"n\[1\] must be finite"),
        (lambda: bounds.lcb_upper(10, 0.5, 2), r"cstar must be in \[1, inf\], got 0.5"),
        (lambda: bounds.lcb_upper(10, 2.0, 0), "arms must be a whole number"),
        (lambda: bounds.lcb_normal_prediction(10, 1.0, 1.0), "cstar must be greater than 1"),
        (lambda: bounds.lcb_normal_prediction(10, 2.0, -1.0), "level must be in"),
        (lambda: bounds.lcb_exponent(2.0, k=-1), "k must be at least 0"),
        (lambda: bounds.greedy_failure_loss(1.5), r"q must be in \[0, 1\]"),
        (lambda: bounds.contextual_rate(10, 2.0, 1), "contexts must be a whole number"),
        (lambda: bounds.transition_exponent(1.5), r"alpha must be in \[0, 1\]"),
        (lambda: bounds.two_point_exponent(1.5, 0.6), r"gap must be in \[0, 0.5\]"),
        (lambda: bounds.lcb_width_bound(DATA, [2], [1.0], 0.1), r"policy\[0\] must be"),
        (lambda: bounds.lcb_width_bound(DATA, [0], [0.5], 0.1), "contexts must sum to 1"),
        (lambda: bounds.lcb_width_bound(DATA, [0], [0.5, 0.5], 0.1), "contexts must have 1 entries to go with data"),
        (lambda: bounds.greedy_width_bound(CONTEXTS, [0, 1], [1.0], 0.1), "contexts must have 2 entries to go with"),
        (lambda: bounds.lcb_width_bound(DATA, [0], [1.0], 2.0), "delta must be in"),
        (lambda: bounds.lcb_width_bound(BanditData([[1]], [[1]], None, (0, 2)), [0], [1.0], 0.1), "reward_range must"),
        (lambda: bounds.imitation_equal_marginals(10, 0.5, [1.0]), "cstar must be at least 1"),
        (lambda: bounds.lcb_width_bound(DATA, [[0.5, 0.5]], [1.0], 0.1), "policy must hold one arm per context as int"),
        (lambda: bounds.lcb_width_bound([[3, 1]], [0], [1.0], 0.1), "data must be a BanditData, got list"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
