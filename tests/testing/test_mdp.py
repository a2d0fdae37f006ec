"""Right planners and offline rules pass, wrong ones fail with the message meant for them; what strategies draw."""

import itertools
import re
from functools import partial

import numpy as np
import pytest

from pessimism.mdp import MDP, MDPData, plan
from pessimism.testing import (
    PlannerError,
    check_planner,
)
from pessimism.testing.mdp import (
    _lower_bound,
    _offline,
    _offline_promises,
    _planner,
    _planner_mistakes,
    _planner_promises,
)
from pessimism.testing.mdp.offline_rules import _OfflineTrial
from tests.testing import wrong_planners as wrong

# check_planner


@pytest.mark.parametrize("horizon", [None, 3])
def test_all_mistakes_have_values_of_their_own_on_the_probe(horizon):
    mdp = _planner_mistakes.probe(horizon)
    found = dict(list(_planner_mistakes.mistakes(mdp))[:40])
    found = {sentence: values for sentence, values in found.items() if " 1 s" not in sentence}  # which is one step
    for (_, values), (_, others) in itertools.combinations(found.items(), 2):
        assert np.abs(values - others).max() > 1e-3
    assert not np.array_equal(mdp.best_policy, np.broadcast_to(mdp.mean_rewards.argmax(axis=-1), mdp.best_policy.shape))
    assert _planner_mistakes.likely_cause(_planner.PlannerSubject(plan, frozenset(), 1e-6, horizon)) is None


@pytest.mark.parametrize("promise", ["states", "actions"])
def test_a_planner_that_goes_by_numbers_is_told_so(promise):
    mdp = MDP.dense([[[1, 0], [0, 1]], [[0, 1], [0, 1]]], [[0.0, 0.25], [1.0, 0.5]], discount=0.5)

    def favours_a_place(model):
        p = policy_iteration = wrong.policy_iteration(model)
        wrong_place = model.mean_rewards[0, 0] != 0.0
        p.value = policy_iteration.value + wrong_place
        return p

    subject = _planner.PlannerSubject(favours_a_place, frozenset(), 1e-6)
    case = _planner.case_of(mdp)
    wrong_there = getattr(_planner_promises, promise)(subject, case, subject.ask(mdp))
    assert re.match(rf"with the {promise} in the order \[1, 0\], .* their numbering", wrong_there)


def test_the_tolerance_is_the_claim():
    def nearly(mdp):
        right = wrong.policy_iteration(mdp)
        right.value = right.value + 1e-4
        return right

    check_planner(nearly, tolerance=2e-4, examples=5)
    with pytest.raises(PlannerError, match='"value": in state 0 its value is'):
        check_planner(nearly, tolerance=0.5e-4, examples=5)


# check_offline_rule


def test_a_bound_that_misses_as_often_as_it_may_passes():
    """The misses of a bound of confidence 0.9 are Binomial(400, 0.1): 72 of them or more have probability 1e-6."""
    assert _lower_bound.allowed_misses() == 71
    for more, passes in ((0, True), (1, False)):

        def oracle(data, *, discount, more=more):
            misses = _lower_bound.allowed_misses(len(data.n)) + more
            plan = wrong.certainty(data, discount=discount, unseen_state=0.0)
            plan.policy = np.zeros_like(plan.policy)
            plan.value = np.where(np.arange(len(data.n)) < misses, 100.0, -100.0)[:, None] + 0 * plan.value
            return plan

        checked = _offline.OfflineSubject(oracle, frozenset(), 0.9)
        assert (_lower_bound.broken_bound(checked, known_rewards=False) is None) == passes


def test_rewards_may_be_taken_as_known():
    def no_width_for_rewards(data, *, discount):
        later = wrong.pessimistic(data, discount=discount)
        settled = (data.next_counts.max(axis=-1) == data.counts) & (data.counts > 0)
        gains = data.mean_rewards - np.where(settled, 0.0, wrong.widths(data, discount))
        return wrong.certainty(data, discount=discount, gains=gains) if data.shape else later

    bound = partial(_lower_bound.broken_bound)
    subject = _offline.OfflineSubject(no_width_for_rewards, frozenset(), 0.9)
    assert bound(subject, known_rewards=True) is None
    assert "noise of the rewards" in str(bound(subject, known_rewards=False))


def test_a_tie_that_is_an_accident_is_no_failure():
    """Two actions of equal Q, the lowest is taken: renumbering changes the choice, and that is no mistake."""
    data = MDPData([[3, 2]], [[[0], [0]]], [[[3], [2]]], [[1.5, 1.0]], reward_law="other")
    case = _offline.Case(data, (1, 0), (0,), 1.0, 4.0)
    subject = _offline.OfflineSubject(wrong.certainty, frozenset(), 0.9)
    trial = _OfflineTrial(subject, _offline_promises.PROMISES, _offline.cases(None), 1)
    assert "actions" not in trial.judge(case, ["actions"])
    assert "it depends on their numbering" in _offline_promises.actions(subject, case, subject.ask(data))
