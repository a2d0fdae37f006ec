"""Right relevances and allocations pass, wrong ones fail with the message meant for them; what strategies draw."""

import itertools
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pessimism.tasks import lasso, min_l1, min_l2
from pessimism.testing import (
    RelevanceError,
    check_relevance,
)
from pessimism.testing.tasks import _allocation, _relevance, _relevance_mistakes, _relevance_promises
from tests.testing import wrong_tasks as wrong

# check_relevance


@pytest.mark.parametrize("norm", [1, 2])
def test_all_mistakes_have_weights_of_their_own_on_the_probe(norm):
    subjects = [
        _relevance.RelevanceSubject(wrong.pseudo_inverse, frozenset(), norm),
        _relevance.RelevanceSubject(wrong.pseudo_inverse, frozenset(), None, 0.1),
    ]
    for subject in subjects:
        found = [weights for _, weights in _relevance_mistakes.mistakes(subject, *_relevance_mistakes.probe())]
        for weights, others in itertools.combinations(found, 2):
            assert np.abs(weights - others).max() > 1e-3


def test_values_are_compared_where_weights_are_not_unique():
    """Of two equal tasks any division is optimal for norm 1 and for the Lasso, and one only for norm 2."""

    def divided(heads, target, rule):
        weights = np.array(rule(heads, target).weights)
        if heads.shape[-1] == 3 and heads.ndim == 2 and np.array_equal(heads[:, 0], heads[:, 1]):
            weights[:2] = np.array([0.25, 0.75]) * weights[:2].sum()
        return weights

    case = _relevance.case_of([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [1.0, 2.0])
    for rule, norm, part, passes in (
        (min_l1, 1, None, True),
        (partial(lasso, regularization=0.1), None, 0.1, True),
        (min_l2, 2, None, False),
    ):
        subject = _relevance.RelevanceSubject(partial(divided, rule=rule), frozenset(), norm, part)
        answer = subject.answer(case)
        assert (subject.wrong(answer.problem, answer.weights) is None) == passes
        if passes:
            assert _relevance_promises.zeros(subject, case, answer) is None


def test_dual_points_move_with_the_problem():
    """Weak duality in every relative: the dual point stays feasible, and its value is our optimum there."""
    rng = np.random.default_rng(1)
    heads, target = rng.normal(size=(3, 6)), rng.normal(size=3)
    for norm, rule in ((1, min_l1), (2, min_l2)):
        subject = _relevance.RelevanceSubject(rule, frozenset(), norm)
        for member in _relevance_promises.relatives(subject, subject.solved(heads, target)):
            assert np.linalg.norm(member.heads.T @ member.dual, np.inf if norm == 1 else 2) <= 1 + 1e-12
            best = np.linalg.norm(rule(member.heads, member.target).weights, norm)
            assert member.target @ member.dual == pytest.approx(best, abs=1e-12)
    subject = _relevance.RelevanceSubject(lasso, frozenset(), None, 0.2)
    for member in _relevance_promises.relatives(subject, subject.solved(heads, target)):
        penalty = subject.penalty(member.heads, member.target)
        weights = lasso(member.heads, member.target, regularization=0.2).weights
        value = _relevance.objective(member.heads, member.target, penalty, weights)
        assert np.abs(member.heads.T @ member.dual).max() <= penalty * (1 + 1e-12)
        left = member.target - member.dual
        assert 0.5 * (member.target @ member.target - left @ left) == pytest.approx(value, abs=1e-10)


def test_lasso_is_not_held_to_bases_that_are_not_orthonormal():
    """Its weights change there, so a check that held it to them would be wrong."""
    heads, target = np.array([[1.0, 0.6, 0.0], [0.0, 0.8, 1.0]]), np.array([1.0, 0.25])
    weights = [lasso(q @ heads, q @ target, regularization=0.1).weights for q in (np.eye(2), np.diag([1.0, 3.0]))]
    assert np.abs(weights[0] - weights[1]).max() > 0.01


def test_the_tolerance_is_the_claim():
    def nearly(heads, target):
        return wrong.pseudo_inverse(heads, target) * (1 + 1e-4)

    check_relevance(nearly, norm=2, tolerance=2e-4, examples=5)
    with pytest.raises(RelevanceError, match=r'"feasible": W nu misses the target by 0\.0001'):
        check_relevance(nearly, norm=2, tolerance=0.4e-4, examples=5)


@pytest.mark.parametrize("name", ["gap", "residual"])
def test_half_a_certificate_is_named(name):
    with pytest.raises(RelevanceError, match=f'breaks "certificate": it has a dual but no {name}\n'):
        check_relevance(wrong.without(name), norm=2, examples=1)
    check_relevance(wrong.without("dual"), norm=2, examples=1)


# check_allocation


@settings(max_examples=30)
@given(_allocation.cases(caps=True), st.sampled_from([0.0, 0.5, 1.0, 2.0]))
def test_the_claimed_shares_are_what_they_say(case, q):
    """Total N, within bounds, and a common c on all tasks that no bound holds."""
    problem = case.problem
    found = _allocation.shares(problem, q)
    size = np.abs(problem.relevance) ** q
    if found is None:
        assert np.where(size > 0, problem.most, problem.floor).sum() < problem.budget or not size.any()
        return
    assert found.sum() == pytest.approx(int(problem.budget), rel=1e-12, abs=1e-12)
    assert np.all((found >= problem.floor) & (found <= problem.most))
    free = (found > problem.floor + 1e-6) & (found < problem.most - 1e-6)
    if free.any():
        c = (found[free] / size[free])[0]
        assert found == pytest.approx(np.clip(c * size, problem.floor, problem.most), rel=1e-9, abs=1e-9)
