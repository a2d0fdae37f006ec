"""Every instance has the C* it claims and, at its gap, the loss it claims, by exact enumeration."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pessimism.bandits import bounds, exact, hoeffding_level, instances
from tests.bandits import FEW


@FEW
@given(st.floats(2, 1e6), st.floats(1e-6, 0.5))
def test_two_point_has_one_law_under_both_hypotheses(cstar, gap):
    (good, law), (bad, same) = (instances.two_point(cstar, gap, best) for best in (0, 1))
    assert np.array_equal(law, same)
    assert good.coverage(law) == pytest.approx(cstar, rel=1e-12)
    assert bad.coverage(law) <= 2 + 1e-12
    assert good.suboptimality([1]) == pytest.approx(gap)
    assert bad.suboptimality([0]) == pytest.approx(gap)


@FEW
@given(st.floats(1, 2), st.floats(1e-6, 0.5), st.sampled_from([0, 1]))
def test_swapped_and_symmetric_swap_means_and_law(cstar, gap, best):
    for instance, lost, largest in ((instances.swapped, 2 * gap, 1), (instances.symmetric, gap, 1e6)):
        c = 1 + (cstar - 1) * largest  # any C* from 1 for the second
        bandit, law = instance(c, gap, best)
        assert bandit.best_policy[0] == best
        assert bandit.coverage(law) == pytest.approx(c, rel=1e-12)
        assert bandit.suboptimality([1 - best]) == pytest.approx(lost)


@pytest.mark.parametrize("best", [0, 1])
def test_losses_do_not_depend_on_the_label(best):
    loss = exact.suboptimality(*instances.symmetric(1.5, 0.2, best), 30, level=1.0)
    assert loss == pytest.approx(exact.suboptimality(*instances.symmetric(1.5, 0.2), 30, level=1.0), rel=1e-12)


@pytest.mark.parametrize("cstar", [1.5, 4.0])
def test_lcb_failure_is_near_the_worst_of_its_family(cstar):
    n = 1000
    level = float(hoeffding_level(n, 1, 2))
    worst = exact.worst_case(lambda g: instances.symmetric(cstar, g), n, level=level)
    bandit, law = instances.lcb_failure(cstar, n, level)
    assert exact.suboptimality(bandit, law, n, level=level) > 0.9 * worst.loss


def test_greedy_failure_loses_what_it_claims_while_lcb_does_not():
    n, q, short = 500, 0.5671, 1e-6
    bandit, law = instances.greedy_failure(n, q, short)
    assert bandit.coverage(law) == pytest.approx(1 / (1 - 1 / n), rel=1e-12)
    closed = (1 - short - q) * ((1 - (1 - q) / n) ** n - (1 - 1 / n) ** n)
    # and the one log in which arm 0 was never met, so that arm 1 is all there is
    closed += (1 - short - q) * (1 / n) ** n
    assert exact.suboptimality(bandit, law, n, level=0.0) == pytest.approx(closed, rel=1e-10)
    limits = [float(exact.suboptimality(*instances.greedy_failure(m, q), m, level=0.0)) for m in (500, 5000)]
    assert limits[1] == pytest.approx(bounds.greedy_failure_loss(q), rel=3e-4)
    assert abs(limits[1] - 0.12153) < abs(limits[0] - 0.12153) < 2e-4
    assert exact.suboptimality(bandit, law, n, level=hoeffding_level(n, 1, 2)) < 1e-30


def test_the_default_q_maximises_the_limit():
    grid = np.linspace(0, 1, 10_001)
    assert bounds.greedy_failure_loss(0.567143) >= bounds.greedy_failure_loss(grid).max() - 1e-12
    assert bounds.greedy_failure_loss(0.567143) == pytest.approx(0.12153, abs=5e-6)


@FEW
@given(st.floats(1, 2), st.integers(2, 6), st.floats(1e-3, 1))
def test_ambiguous_contexts_claims(cstar, contexts, gap):
    bandit, law = instances.ambiguous_contexts(cstar, contexts, gap)
    bandit.check_behavior(law)
    assert bandit.coverage(law) == pytest.approx(cstar, rel=1e-12)
    assert law[1:, 0] == pytest.approx(law[1:, 1])
    assert law[0].min() == 0
    _, same = instances.ambiguous_contexts(cstar, contexts, gap, best=[0] + [s % 2 for s in range(contexts - 1)])
    assert np.array_equal(law[1:], same[1:])  # the law of the ambiguous contexts does not know the answer


def test_covered_contexts_know_the_answer():
    bandit, law = instances.covered_contexts(4.0, 3, 0.3)
    assert bandit.coverage(law) == pytest.approx(4.0, rel=1e-12)
    n = 400
    assert exact.suboptimality(bandit, law, n, level=-math.inf) < exact.suboptimality(bandit, law, n, level=0.0)


def test_contextual_two_point_has_one_law():
    for best in ([0, 0, 0], [0, 1, 0], [1, 1, 1]):
        bandit, law = instances.contextual_two_point(5.0, 3, 0.1, best)
        assert bandit.best_policy.tolist() == best
        assert law.tolist() == instances.contextual_two_point(5.0, 3, 0.1)[1].tolist()
        assert bandit.coverage(law) <= 5.0 * (1 + 1e-12)
    assert instances.contextual_two_point(5.0, 3, 0.1)[0].coverage(law) == pytest.approx(5.0, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: instances.two_point(1.9, 0.1), r"cstar must be in \[2, inf\), got 1.9"),
        (lambda: instances.two_point(4, 0.6), r"gap must be in \(0, 0.5\], got 0.6"),
        (lambda: instances.two_point(4, 0.1, best=2), "best must be a whole number"),
        (lambda: instances.swapped(2.1, 0.1), r"cstar must be in \[1, 2\]"),
        (lambda: instances.symmetric(0.9, 0.1), r"cstar must be in \[1, inf\)"),
        (lambda: instances.symmetric(math.inf, 0.1), "cstar must be in"),
        (lambda: instances.symmetric(2, 0.0), "gap must be in"),
        (lambda: instances.symmetric(2, math.nan), "gap must be in"),
        (lambda: instances.lcb_failure(3.0, [3, 4], 2.0), r"n must be one number, got shape \(2,\)"),
        (lambda: instances.lcb_failure(3.0, 1.5, 2.0), "n must be a whole number"),
        (lambda: instances.lcb_failure([3.0, 4.0], 3, 2.0), "cstar must be one number"),
        (lambda: instances.lcb_failure(3.0, 3, 0.0), "level must be positive"),
        (lambda: instances.greedy_failure(1), "n must be a whole number"),
        (lambda: instances.greedy_failure(10, q=1.0), "q must be in"),
        (lambda: instances.greedy_failure(10, shortfall=0.1), "shortfall must be in"),
        (lambda: instances.ambiguous_contexts(2.5, 3, 0.1), r"cstar must be in \[1, 2\]"),
        (lambda: instances.ambiguous_contexts(1.5, 1, 0.1), "contexts must be a whole number"),
        (lambda: instances.ambiguous_contexts(1.5, 3, 0.1, best=[0, 1]), "best must hold one arm for each of 3"),
        (lambda: instances.contextual_two_point(1.5, 3, 0.1), "cstar must be in"),
        (lambda: instances.missing_mass(3, 6), r"contexts must be at most n \+ 2 = 5, got 6"),
    ],
)
def test_bad_parameters_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
