"""What all checks do alike: wrong functions get the message meant for them, wrong arguments are named."""

import math
import re

import pytest

from pessimism.bandits import greedy, hoeffding_level
from pessimism.mdp import plan
from pessimism.tasks import allocate, min_l2
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


BAD = [
    (check_rule, {"waive": ["level"]}, ValueError, "waive must be one of 'repeat', 'batch'"),
    (check_rule, {"level": math.nan}, ValueError, "level must be a number, not NaN"),
    (check_rule, {"level": lambda n, s, a: math.nan}, ValueError, "level must be a number, not NaN"),
    (check_rule, {"level": lambda n, s, a: n}, ValueError, "level must be small beside n"),
    (check_planner, {"horizon": 0}, ValueError, "horizon must be"),
    (check_planner, {"tolerance": 0.0}, ValueError, "tolerance must be positive"),
    (check_offline_rule, {"discount": 1.0}, ValueError, "discount must be"),
    (check_offline_rule, {"horizon": 0}, ValueError, "horizon must be"),
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
