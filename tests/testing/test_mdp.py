"""Right planners and offline rules pass, wrong ones fail with the message meant for them; what strategies draw."""

import itertools
import re
from functools import partial

import numpy as np
import pytest

from pessimism.mdp import MDP, MDPData, plan
from pessimism.mdp.planning import METHODS
from pessimism.testing import (
    PlannerError,
    RuleError,
    check_offline_rule,
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

FIXED_OR_DRAWN = 12
"""Enough examples for every mistake below."""


# check_planner


@pytest.mark.parametrize("method", METHODS[:-1])
def test_every_method_of_plan_passes(method):
    check_planner(partial(plan, method=method), examples=12)


@pytest.mark.parametrize("method", ["auto", "backward_induction"])
def test_plan_with_a_horizon_passes(method):
    check_planner(partial(plan, method=method), horizon=3, examples=12)


def test_dense_planners_of_a_few_lines_pass():
    check_planner(wrong.policy_iteration, examples=12)
    check_planner(wrong.backward_induction, horizon=2, examples=12)


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


def test_a_waived_promise_of_a_planner_is_not_held_and_the_message_says_how():
    with pytest.raises(PlannerError, match=r'declare it: check_planner\(\.\.\., waive=\["batch"\]\)'):
        check_planner(wrong.wrong_batch_axis, examples=1)
    check_planner(wrong.wrong_batch_axis, waive=["batch"], examples=12)
    check_planner(wrong.certifies_the_last_change, waive=["certificate"], examples=12)


def test_the_tolerance_is_the_claim():
    def nearly(mdp):
        right = wrong.policy_iteration(mdp)
        right.value = right.value + 1e-4
        return right

    check_planner(nearly, tolerance=2e-4, examples=5)
    with pytest.raises(PlannerError, match='"value": in state 0 its value is'):
        check_planner(nearly, tolerance=0.5e-4, examples=5)


def test_the_lines_of_a_message_rebuild_its_model():
    with pytest.raises(PlannerError) as error:
        check_planner(wrong.ten_sweeps)
    lines: dict[str, object] = {}
    exec("\n".join(line.strip() for line in str(error.value).split("\n")[1:-1]), lines)
    policy, value = lines.pop("policy"), lines.pop("value")
    lines.pop("__builtins__")
    again = wrong.ten_sweeps(MDP(**lines))
    assert again.policy.tolist() == policy
    assert again.value.tolist() == value


# check_offline_rule


@pytest.mark.parametrize("name", wrong.RIGHT_OFFLINE)
def test_certainty_equivalence_and_pessimism_pass(name):
    check_offline_rule(wrong.RIGHT_OFFLINE[name], discount=0.5, examples=20)


def test_certainty_equivalence_with_steps_passes():
    check_offline_rule(wrong.episodic, horizon=3, examples=20)


@pytest.mark.parametrize("discount", [0.5, 0.9])
def test_a_lower_bound_passes(discount):
    check_offline_rule(wrong.pessimistic, discount=discount, lower_bound=True, examples=5)


def test_stochastic_policies_pass():
    def cloned(data, *, discount):
        law = np.where(data.counts > 0, data.counts, 0) / np.maximum(data.counts.sum(axis=-1, keepdims=True), 1)
        law[..., 0] += ~data.counts.any(axis=-1)
        plan = wrong.certainty(data, discount=discount)
        plan.policy = law
        return plan

    check_offline_rule(cloned, discount=0.5, examples=20)


def test_a_bound_that_misses_as_often_as_it_may_passes():
    """The misses of a bound of confidence 0.9 are Binomial(400, 0.1): 72 of them or more have probability 1e-6."""
    allowed = _lower_bound.allowed_misses()
    for misses, passes in ((allowed, True), (allowed + 1, False)):

        def oracle(data, *, discount, misses=misses):
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


def test_a_waived_promise_of_an_offline_rule_is_not_held():
    with pytest.raises(RuleError, match=r'declare it: check_offline_rule\(\.\.\., waive=\["seen"\]\)'):
        check_offline_rule(wrong.unseen_pairs_optimistic, discount=0.5, examples=5)
    for rule, promises in (
        (wrong.unseen_pairs_optimistic, ["seen"]),
        (wrong.argmax_over_axis_one, ["batch"]),
        (wrong.unseen_states_at_zero, ["shift", "highest"]),
        (wrong.adds_the_width, ["highest"]),
    ):
        check_offline_rule(rule, discount=0.5, waive=promises, examples=12)


def test_the_lines_of_a_message_rebuild_its_data():
    with pytest.raises(RuleError) as error:
        check_offline_rule(wrong.dense_by_assignment, discount=0.5, examples=FIXED_OR_DRAWN)
    lines: dict[str, object] = {"bernoulli": "bernoulli", "deterministic": "deterministic"}
    exec("\n".join(line.strip() for line in str(error.value).split("\n")[2:]), lines)
    data = MDPData(*(lines[name] for name in MDPData.__slots__))
    assert wrong.dense_by_assignment(data, discount=lines["discount"]).policy.tolist() == lines["policy"]
