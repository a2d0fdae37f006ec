"""Right planners and offline rules pass, wrong ones fail with the message meant for them; what strategies draw."""

import itertools
import math
import re
from functools import partial
from random import Random

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from pessimism.mdp import MDP, MDPData, plan
from pessimism.mdp.planning import METHODS
from pessimism.testing import (
    PlannerError,
    RuleError,
    check_offline_rule,
    check_planner,
    mdp_behaviors,
    mdp_data,
    mdps,
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


def first_line(error):
    return str(error.value).split("\n")[0]


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


@pytest.mark.usefixtures("hardly_shrunk")
@pytest.mark.parametrize("planner", wrong.WRONG_PLANNERS, ids=lambda planner: planner.__name__)
def test_a_wrong_planner_is_told_what_it_does_wrong(planner):
    with pytest.raises(PlannerError) as error:
        check_planner(planner, examples=FIXED_OR_DRAWN)
    assert re.match(f"{planner.__name__} breaks {wrong.WRONG_PLANNERS[planner]}", first_line(error))


@pytest.mark.usefixtures("hardly_shrunk")
@pytest.mark.parametrize("planner", wrong.WRONG_BACKWARD, ids=lambda planner: planner.__name__)
def test_a_wrong_planner_with_a_horizon_is_told_what_it_does_wrong(planner):
    with pytest.raises(PlannerError) as error:
        check_planner(planner, horizon=3, examples=FIXED_OR_DRAWN)
    assert re.match(f"{planner.__name__} breaks {wrong.WRONG_BACKWARD[planner]}", first_line(error))


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


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"planner": 3}, TypeError, "planner must be a function of the model, got 3"),
        ({"examples": 0}, ValueError, "examples must be"),
        ({"horizon": 0}, ValueError, "horizon must be"),
        ({"tolerance": 0.0}, ValueError, "tolerance must be positive"),
        ({"waive": ["value"]}, ValueError, "waive must be one of 'repeat', 'batch'"),
        ({"waive": "batch"}, TypeError, "waive must be a collection of names"),
    ],
)
def test_bad_arguments_of_check_planner_are_named(arguments, kind, message):
    with pytest.raises(kind, match=message):
        check_planner(**{"planner": plan, "examples": 1} | arguments)


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


@pytest.mark.usefixtures("hardly_shrunk")
@pytest.mark.parametrize("rule", wrong.WRONG_OFFLINE, ids=lambda rule: rule.__name__)
def test_a_wrong_offline_rule_is_told_what_it_does_wrong(rule):
    with pytest.raises(RuleError) as error:
        check_offline_rule(rule, discount=0.5, examples=FIXED_OR_DRAWN)
    assert re.match(f"{rule.__name__} breaks {wrong.WRONG_OFFLINE[rule]}", first_line(error))


@pytest.mark.usefixtures("hardly_shrunk")
@pytest.mark.parametrize("rule", wrong.WRONG_EPISODIC, ids=lambda rule: rule.__name__)
def test_a_wrong_offline_rule_with_steps_is_told_what_it_does_wrong(rule):
    with pytest.raises(RuleError) as error:
        check_offline_rule(rule, horizon=3, examples=FIXED_OR_DRAWN)
    assert re.match(f"{rule.__name__} breaks {wrong.WRONG_EPISODIC[rule]}", first_line(error))


@pytest.mark.parametrize("rule", wrong.WRONG_BOUNDS, ids=lambda rule: rule.__name__)
def test_a_wrong_lower_bound_is_told_what_it_does_wrong(rule):
    with pytest.raises(RuleError) as error:
        check_offline_rule(rule, lower_bound=True, waive=["shift"], examples=1)
    assert re.match(f"{rule.__name__} breaks {wrong.WRONG_BOUNDS[rule]}", first_line(error))


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
    data = MDPData(*(lines[name] for name in MDPData.__slots__ if name in lines))
    assert wrong.dense_by_assignment(data, discount=lines["discount"]).policy.tolist() == lines["policy"]


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"rule": 3}, TypeError, "rule must be a function of the data, got 3"),
        ({"examples": 0}, ValueError, "examples must be"),
        ({"discount": 1.0}, ValueError, "discount must be"),
        ({"horizon": 0}, ValueError, "horizon must be"),
        ({"lower_bound": "yes"}, ValueError, "lower_bound must be one of 'known rewards'"),
        ({"waive": ["contract"]}, ValueError, "waive must be one of 'repeat', 'batch'"),
        ({"waive": "seen"}, TypeError, "waive must be a collection of names"),
    ],
)
def test_bad_arguments_of_check_offline_rule_are_named(arguments, kind, message):
    with pytest.raises(kind, match=message):
        check_offline_rule(**{"rule": wrong.certainty, "examples": 1} | arguments)


# strategies


@pytest.mark.kernels
@settings(max_examples=25)
@given(st.sampled_from([None, 2]).flatmap(lambda horizon: mdps(horizon=horizon)), st.data())
def test_a_model_and_its_behaviors_fit(mdp, data):
    assert mdp.n_states <= 4
    assert mdp.n_actions <= 3
    assert mdp.shape == ()
    behavior = data.draw(mdp_behaviors(mdp=mdp))
    assert np.array_equal(mdp.check_behavior(behavior), behavior)
    assert np.isfinite(mdp.coverage(data.draw(mdp_behaviors(mdp=mdp, zeros=False))))
    assert mdp.sample(behavior, n=5, rng=0).n == 5 * (mdp.horizon or 1)


@settings(max_examples=25)
@given(mdp_data(max_states=2, max_visits=9, size=(2,), reward_range=(-1, 3)), mdp_data(horizon=2, ties=False))
def test_data_are_as_asked(data, untied):
    assert data.shape == (2,)
    assert max(data.n_states, data.n_actions - 1) <= 2
    assert data.counts.max() <= 9
    for log in (data, untied):
        MDPData(*(getattr(log, name) for name in MDPData.__slots__))
    assert untied.horizon == 2
    rows = (x.reshape(-1, untied.n_actions) for x in (untied.counts, untied.pair_sums.round(9)))
    for counts, sums in zip(*rows, strict=True):
        for statistic in (counts, sums):
            assert np.unique(statistic[counts > 0]).size == (counts > 0).sum()


def reachable(mdp):
    """States met from the first one under some policy."""
    found = {0}
    for _ in range(mdp.n_states):
        found |= {int(x) for s in found for x in mdp.next_states[s][mdp.probabilities[s] > 0].ravel()}
    return found


def absorbing(mdp):
    stays = (mdp.next_states == np.arange(mdp.n_states)[:, None, None]) | (mdp.probabilities == 0)
    return stays.all(axis=(-2, -1))


@pytest.mark.parametrize(
    ("strategy", "property_"),
    [
        (mdps(), lambda mdp: mdp.n_states == 4 and mdp.n_actions == 3 and mdp.n_successors == 3),
        (mdps(), lambda mdp: mdp.n_states == 3 and absorbing(mdp).sum() == 1),
        (mdps(), lambda mdp: mdp.n_states == 3 and len(reachable(mdp)) == 2),
        (mdps(), lambda mdp: mdp.n_states > 1 and np.any(mdp.start == 0)),
        (
            mdps(),
            lambda mdp: mdp.n_actions > 1 and mdp.n_successors > 1 and np.all(mdp.probabilities.max(axis=-1) == 1),
        ),
        (mdps(), lambda mdp: mdp.n_states > 1 and np.any((mdp.probabilities == 0) & (mdp.next_states > 0))),
        (mdps(), lambda mdp: mdp.n_states > 1 and mdp.per_successor and mdp.discount == 0.999),
        (mdps(max_actions=1), lambda mdp: mdp.n_states == 4 and mdp.discount == 0),
        (mdps(), lambda mdp: mdp.n_actions > 1 and mdp.rewards.max() > 0 and np.any(np.diff(mdp.optimal_values) == 0)),
        (mdps(horizon=3), lambda mdp: len(mdp.next_states) == 3 and mdp.n_states > 1 and mdp.discount == 1),
        (mdps(horizon=3), lambda mdp: len(mdp.next_states) == 1 and mdp.n_states > 1),
        (mdp_behaviors(), lambda law: law.size > 2 and (law == 0).any() and law.max() < 1),
        (mdp_behaviors(horizon=2), lambda law: law.shape == (2, 4, 3)),
        (mdp_data(), lambda data: data.n > 0 and (data.counts == 0).any()),
        (mdp_data(), lambda data: data.n > 0 and (data.counts == 0).all(axis=-1).any()),
        (mdp_data(), lambda data: data.n > 0 and data.per_successor and data.counts.shape == (4, 3)),
        (mdp_data(), lambda data: data.n == 0),
        (mdp_data(), lambda data: data.counts.max() > 90 and data.next_counts.max() < 90),
        (mdp_data(horizon=2), lambda data: data.next_states.shape[0] == 1 and data.n_states == 4),
        (mdp_data(horizon=2, size=3), lambda data: data.counts.shape == (3, 2, 4, 3)),
        (mdp_data(size=0), lambda data: data.counts.size == 0),
        (mdp_data(max_visits=0), lambda data: data.counts.shape == (4, 3)),
    ],
)
def test_instructive_examples_occur(strategy, property_):
    unshrunk = settings(max_examples=2000, database=None, deadline=None, phases=[Phase.generate])
    find(strategy, property_, settings=unshrunk, random=Random(1))


def test_examples_shrink_to_the_simplest():
    quiet = settings(database=None, deadline=None, phases=[Phase.generate, Phase.shrink])
    mdp = find(mdps(), lambda mdp: True, settings=quiet)
    assert [mdp.next_states.tolist(), mdp.probabilities.tolist(), mdp.rewards.tolist()] == [[[[0]]], [[[1]]], [[0]]]
    assert find(mdp_behaviors(horizon=2), lambda law: True, settings=quiet).tolist() == [[[1]], [[1]]]
    assert find(mdp_data(), lambda data: True, settings=quiet).counts.tolist() == [[0]]
    two = find(mdps(max_states=2), lambda mdp: mdp.n_states == 2 and mdp.rewards.max() > 0, settings=quiet)
    assert sorted(set(two.rewards.ravel().tolist())) == [0, 0.01]
    assert two.n_actions == two.n_successors == 1


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: mdps(max_states=0), ValueError, "max_states must be"),
        (lambda: mdps(max_actions=1.5), ValueError, "max_actions must be"),
        (lambda: mdps(horizon=0), ValueError, "horizon must be"),
        (lambda: mdps(discount=1.0), ValueError, "discount must be in"),
        (lambda: mdp_behaviors(max_actions=0), ValueError, "max_actions must be"),
        (lambda: mdp_behaviors(mdp=mdps()), TypeError, "mdp must be an MDP, .* use mdps\\(\\).flatmap"),
        (lambda: mdp_data(max_visits=-1), ValueError, "max_visits must be"),
        (lambda: mdp_data(max_visits=2, ties=False), ValueError, "max_visits must be a whole number in \\[3,"),
        (lambda: mdp_data(max_visits=2**53), ValueError, "max_visits must be"),
        (lambda: mdp_data(size=(2, -1)), ValueError, r"size\[1\] must be"),
        (lambda: mdp_data(reward_range=(1, 0)), ValueError, "reward_range must be a pair low < high"),
        (lambda: mdp_data(reward_range=(0, math.inf)), ValueError, "reward_range must be finite"),
    ],
)
def test_invalid_arguments_are_refused_when_the_strategy_is_made(make, kind, message):
    with pytest.raises(kind, match=message):
        make()
