"""What all checks do alike: wrong functions get the message meant for them, wrong arguments are named."""

import math
import re
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pessimism.bandits import BanditData, bernstein_lcb, greedy, hoeffding_level, index_rule, lcb, most_played
from pessimism.mdp import MDP, MDPData, plan, vi_lcb
from pessimism.mdp.planning import PLANNING_METHODS
from pessimism.tasks import allocate, lasso, min_l1, min_l2
from pessimism.testing import (
    AllocationError,
    PlannerError,
    RelevanceError,
    RuleError,
    check_allocation,
    check_offline_rule,
    check_planner,
    check_relevance,
    check_rule,
)
from tests.testing import wrong_planners, wrong_rules, wrong_tasks

RIGHT = {
    check_rule: (RuleError, greedy, "the data", "'repeat', 'batch'"),
    check_planner: (PlannerError, plan, "the model", "'repeat', 'batch'"),
    check_offline_rule: (RuleError, wrong_planners.certainty, "the data", "'repeat', 'batch'"),
    check_relevance: (RelevanceError, min_l2, "heads and target", "'repeat', 'certificate'"),
    check_allocation: (AllocationError, allocate, "relevance and budget", "'repeat', 'signs'"),
}

BOUND = {"lower_bound": True, "waive": ["shift"], "examples": 1}


def told(check, table, examples=12, **claims):
    for name, (rule, *more, message) in table.items():
        options = {"examples": examples} | claims | (more[0] if more else {})
        yield pytest.param(check, rule, options, message, id=f"{check.__name__}: {name}")


WRONG = [
    *told(check_rule, wrong_rules.WRONG, 50, level=hoeffding_level),
    *told(check_planner, wrong_planners.WRONG_PLANNERS),
    *told(check_planner, wrong_planners.WRONG_BACKWARD, horizon=3),
    *told(check_offline_rule, wrong_planners.WRONG_OFFLINE, discount=0.5),
    *told(check_offline_rule, wrong_planners.WRONG_EPISODIC, horizon=3),
    *told(check_offline_rule, wrong_planners.WRONG_WIDTHS, 1, level=hoeffding_level),
    *told(check_offline_rule, wrong_planners.WRONG_BOUNDS, **BOUND),
    *told(check_relevance, wrong_tasks.WRONG_RELEVANCES),
    *told(check_allocation, wrong_tasks.WRONG_ALLOCATIONS, 40),  # which are drawn depends on what is imported
]


@pytest.mark.usefixtures("hardly_shrunk")
@pytest.mark.parametrize(("check", "rule", "options", "message"), WRONG)
def test_a_wrong_function_is_told_what_it_does_wrong(check, rule, options, message):
    with pytest.raises(RIGHT[check][0]) as error:
        check(rule, **options)
    assert re.match(rf"\S+ breaks ({message})", str(error.value).split("\n")[0])


def among_the_common(data):
    """Best mean among the arms with more than a fifth of the rounds: a threshold is no overflow."""
    common = (5 * data.counts > data.counts.sum(axis=-1, keepdims=True)) & (data.counts > 0)
    return np.where(common, data.means, -np.inf).argmax(axis=-1)


UNSEEN = {"waive": ["pulled"]}

PASSES = [
    (check_rule, bernstein_lcb, {}),
    *(
        (check_rule, rule, {"level": level} | options)
        for rule, level, options in (
            (lcb, hoeffding_level, {}),
            (greedy, 0.0, {}),
            (most_played, math.inf, {}),
            *((partial(index_rule, level=level), level, {}) for level in (-1.0, 0.3, 1, 5, math.inf, -math.inf)),
            (partial(lcb, delta=0.1), lambda n, s, a: hoeffding_level(n, s, a, delta=0.1), {}),
            (partial(lcb, paper_constants=True), partial(hoeffding_level, constant=2000.0), UNSEEN),
            (partial(lcb, unseen=0.0), hoeffding_level, UNSEEN),
            (partial(greedy, unseen=5.0), 0, UNSEEN),
            (partial(lcb, rng=0), hoeffding_level, {}),
            (wrong_rules.correct, hoeffding_level, {}),
        )
    ),
    (check_rule, among_the_common, {}),
    (check_rule, wrong_rules.needs_rounds, {"accepts": lambda data: data.n > 0, "level": hoeffding_level}),
    (check_rule, wrong_rules.forgot_square_root, {}),  # without a claim no width is wrong
    *(pytest.param(check_planner, partial(plan, method=method), {}) for method in PLANNING_METHODS[:-1]),
    *(
        pytest.param(check_planner, partial(plan, method=method), {"horizon": 3})
        for method in PLANNING_METHODS[:: len(PLANNING_METHODS) - 1]
    ),
    (check_planner, wrong_planners.policy_iteration, {}),
    (check_planner, wrong_planners.backward_induction, {"horizon": 2}),
    *((check_offline_rule, rule, {"discount": 0.5}) for rule in wrong_planners.RIGHT_OFFLINE.values()),
    (check_offline_rule, wrong_planners.episodic, {"horizon": 3}),
    *(
        (check_offline_rule, wrong_planners.pessimistic, {"discount": x, "lower_bound": True, "level": hoeffding_level})
        for x in (0.5, 0.9)
    ),
    (check_offline_rule, vi_lcb, {"level": hoeffding_level}),
    (check_offline_rule, wrong_planners.imitation, {"discount": 0.5}),
    (check_offline_rule, wrong_planners.smoothed_over_states, {"discount": 0.5}),
    (check_offline_rule, wrong_planners.in_single_precision, {"discount": 0.5}),
    (check_offline_rule, wrong_planners.cql_in_its_unit, {"discount": 0.5, "examples": 5}),
    (check_offline_rule, wrong_planners.random_ties, {"discount": 0.5, "waive": ["repeat"]}),
    (check_offline_rule, wrong_planners.needs_data, {"discount": 0.5, "accepts": lambda data: data.n > 0}),
    *((check_relevance, min_l1, {"norm": 1, "rank_deficient": x}) for x in (False, True)),
    *((check_relevance, min_l2, {"norm": 2, "rank_deficient": x}) for x in (False, True)),
    *(
        pytest.param(
            check_relevance,
            partial(lasso, regularization=part),
            {"regularization": part, "rank_deficient": deficient},
            marks=pytest.mark.kernels,
        )
        for part in (0.1, 1e-3)
        for deficient in (False, True)
    ),
    *((check_relevance, wrong_tasks.pseudo_inverse, {"norm": x, "rank_deficient": True}) for x in (None, 2)),
    (check_relevance, wrong_tasks.normal_equations, {"norm": 2}),
    (check_relevance, wrong_tasks.linear_program, {"norm": 1, "waive": ["batch"]}),
    *(
        (check_allocation, partial(allocate, power=q), {"power": q, "caps": caps})
        for q in (0, 0.5, 1, 2)
        for caps in (False, True)
    ),
    (check_allocation, wrong_tasks.by_bisection, {"power": 1}),
]


@pytest.mark.parametrize(("check", "rule", "options"), PASSES)
def test_a_right_function_passes(check, rule, options):
    """Rules that cost nothing are tried as often as the profile says; in a deep run thousands of times."""
    check(rule, **{"examples": settings.default.max_examples if check is check_rule else 12} | options)


L1, L2, HALF = {"norm": 1}, {"norm": 2}, {"discount": 0.5}

WAIVED = [
    (check_rule, partial(lcb, paper_constants=True), {}, ["pulled"]),
    (check_rule, wrong_rules.no_batch, {}, ["batch"]),
    *(
        (check_rule, wrong_rules.WRONG[name][0], {}, waive)
        for name, waive in {
            "unit range": ["scale"],
            "total over the batch": ["batch"],
            "low numbers": ["arms", "scale"],
            "odd contexts": ["contexts"],
            "argmin": ["better"],
            "random ties": ["repeat"],
        }.items()
    ),
    (check_planner, wrong_planners.wrong_batch_axis, {}, ["batch"]),
    (check_planner, wrong_planners.certifies_the_last_change, {}, ["certificate"]),
    (check_offline_rule, wrong_planners.unseen_pairs_optimistic, HALF, ["seen"]),
    (check_offline_rule, wrong_planners.argmax_over_axis_one, HALF, ["batch"]),
    (check_offline_rule, wrong_planners.unseen_states_at_zero, HALF, ["shift", "highest"]),
    (check_offline_rule, wrong_planners.adds_the_width, HALF, ["highest", "value"]),
    (check_relevance, wrong_tasks.interior_point, L1, ["zeros"]),
    (check_relevance, wrong_tasks.false_gap, L2, ["certificate"]),
    (check_relevance, wrong_tasks.without("gap"), L2, ["certificate"]),
    (check_allocation, wrong_tasks.unscaled, {}, ["scale"]),
    (check_allocation, wrong_tasks.least_relevant_first, {}, ["monotone"]),
]


@pytest.mark.usefixtures("hardly_shrunk")
@pytest.mark.parametrize(("check", "rule", "options", "waive"), WAIVED)
def test_a_waived_promise_is_not_held_and_the_message_says_how(check, rule, options, waive):
    names, number = "|".join(waive), {"examples": 25 if check is check_rule else 12}
    with pytest.raises(RIGHT[check][0], match=rf'declare it: {check.__name__}\(\.\.\., waive=\["({names})"\]\)'):
        check(rule, **number, **options)
    check(rule, waive=waive, **number, **options)


REBUILT = [
    (check_rule, wrong_rules.sums_for_means, {}, lambda x: wrong_rules.sums_for_means(BanditData(**x)), ["answer"]),
    (check_planner, wrong_planners.ten_sweeps, {}, lambda x: wrong_planners.ten_sweeps(MDP(**x)), ["policy", "value"]),
    (
        check_offline_rule,
        wrong_planners.rewards_summed,
        HALF,
        lambda x: wrong_planners.rewards_summed(MDPData(**x), discount=0.5),
        ["policy", "value"],
    ),
    (check_relevance, wrong_tasks.pseudo_inverse, L1, lambda x: wrong_tasks.pseudo_inverse(**x), ["weights"]),
    (
        check_allocation,
        wrong_tasks.floor_and_share,
        {"power": 1},
        lambda x: wrong_tasks.floor_and_share(x["relevance"], x["budget"], x["floor"]),
        ["rows"],
    ),
]


@pytest.mark.parametrize(("check", "rule", "options", "again", "names"), REBUILT)
def test_the_lines_of_a_message_rebuild_its_small_example(check, rule, options, again, names):
    with pytest.raises(RIGHT[check][0]) as error:
        check(rule, examples=40, **options)
    lines = dict(re.findall(r"(?m)^  ([a-z_]+) = (.*)", str(error.value)))
    values = {name: text if text == "deterministic" else eval(text) for name, text in lines.items()}
    said = [values.pop(name) for name in names]
    values.pop("discount", None) if check is check_offline_rule else None
    given = {name: np.array(x) if isinstance(x, list) else x for name, x in values.items()}
    assert sum(np.size(x) for x in given.values()) <= 36  # the probes, which break first, are larger
    found = again(given)
    assert [getattr(found, name, found).tolist() for name in names] == said


@pytest.mark.usefixtures("hardly_shrunk")
def test_a_fault_hides_no_other():
    """An exception where there are no rounds, and a sum for a mean."""

    def both(data):
        return wrong_rules.sums_for_means(wrong_rules.with_rounds(data))

    with pytest.raises(RuleError) as error:
        check_rule(both, examples=30)
    first, *more = str(error.value).split("\n")
    assert first.startswith('both breaks "contract": it raised ValueError: no rounds')
    assert "  This is a fixed example: no rounds at all." in more
    for name in ("batch", "shift"):
        assert any(line.startswith(f'  It also breaks "{name}"') for line in more)


def test_a_check_may_stand_in_a_drawn_test():
    @settings(max_examples=2)
    @given(st.floats(0.01, 0.5))
    def drawn(delta):
        check_rule(partial(lcb, delta=delta), examples=2)
        with pytest.raises(RuleError, match="as if the best were taken over axis 1"):
            check_rule(wrong_rules.WRONG["argmax over axis 1"][0], examples=2)

    drawn()


def test_what_accepts_nothing_is_not_checked_in_silence():
    with pytest.raises(ValueError, match="accepts must hold for some of what is tried"):
        check_rule(greedy, accepts=lambda data: False, examples=5)


BAD = [
    (check_rule, {"waive": ["level"]}, ValueError, "waive must be one of 'repeat', 'batch'"),
    (check_rule, {"level": math.nan}, ValueError, "level must be a number, not NaN"),
    (check_rule, {"level": lambda n, s, a: math.nan}, ValueError, "level must be a number, not NaN"),
    (check_rule, {"level": lambda n, s, a: n}, ValueError, "level must be small beside n"),
    (check_planner, {"horizon": 0}, ValueError, "horizon must be"),
    (check_planner, {"tolerance": 0.0}, ValueError, "tolerance must be positive"),
    (check_offline_rule, {"discount": 1.0}, ValueError, "discount must be"),
    (check_offline_rule, {"horizon": 0}, ValueError, "horizon must be"),
    (check_offline_rule, {"horizon": 2, "level": 1.0}, ValueError, "level must be None with a horizon"),
    (check_offline_rule, {"level": -1.0}, ValueError, "level must be at least 0 and finite, got -1.0"),
    (check_offline_rule, {"lower_bound": "yes"}, ValueError, "lower_bound must be one of 'known rewards'"),
    (check_relevance, {"norm": 3}, ValueError, "norm must be 1, 2 or None, got 3"),
    (check_relevance, {"regularization": 2.0}, ValueError, r"regularization must be in \(0, 1\], got 2.0"),
    (check_relevance, {"regularization": 0.1, "norm": 1}, ValueError, "norm must be None where a regularization is"),
    (check_relevance, {"tolerance": 0.0}, ValueError, "tolerance must be positive"),
    (check_allocation, {"power": -1}, ValueError, "power must be at least 0"),
]


@pytest.mark.parametrize(("check", "arguments", "kind", "message"), BAD)
def test_bad_arguments_are_named(check, arguments, kind, message):
    with pytest.raises(kind, match=message):
        check(RIGHT[check][1], **{"examples": 1} | arguments)


@pytest.mark.parametrize("check", RIGHT, ids=lambda check: check.__name__)
def test_bad_arguments_of_every_check_are_named(check):
    _, right, takes, waivable = RIGHT[check]
    for arguments, kind, message in (
        ({"examples": 0}, ValueError, "examples must be"),
        ({"waive": "batch"}, TypeError, "waive must be a collection of names"),
        ({"waive": ["no such promise"]}, ValueError, f"waive must be one of {waivable}"),
    ):
        with pytest.raises(kind, match=message):
            check(right, **arguments)
    with pytest.raises(TypeError, match=f"must be a function of {takes}, got 3"):
        check(3)
