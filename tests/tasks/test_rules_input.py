"""Bad input of the active algorithms and the baselines: one error that names it, before anything is bought."""

from functools import partial

import numpy as np
import pytest

from pessimism.tasks import (
    LinearTasks,
    a_mtrl,
    fixed,
    l1_a_mtrl,
    method_moments,
    passive,
    random_s,
    target_only,
    top_s,
)
from tests.tasks.test_rules import ADAPTIVE, PHASED, WORLD, pool, target

LONG = LinearTasks(np.eye(7, 2), WORLD.heads, WORLD.target)
TWO = WORLD.sample([9, 9, 9, 9, 9], rng=1)
ROWS = target()


def adaptive(algorithm=l1_a_mtrl, world=WORLD, rows=ROWS, **changes):
    return lambda: algorithm(world, rows, **PHASED | {"rng": 1} | changes)


@pytest.mark.parametrize(
    ("algorithm", "changes"),
    [
        (top_s, {"s": 9}),
        (a_mtrl, {"power": -1.0}),
        (l1_a_mtrl, {"regularization": 5.0}),
        (l1_a_mtrl, {"budgets": [100, 14]}),
        (l1_a_mtrl, {"budgets": [100, 1000]}),
        (l1_a_mtrl, {"k": 6}),
    ],
)
def test_a_wrong_option_buys_nothing(algorithm, changes):
    source = pool()
    full = source.caps.tolist()
    with pytest.raises(ValueError, match="must"):
        algorithm(source, target(), **PHASED | {"budgets": [100, 100], "rng": 1} | changes)
    assert source.caps.tolist() == full


def test_too_few_tasks_for_a_representation_buy_nothing():
    source = pool((90, 0, 0, 0, 0))
    with pytest.raises(ValueError, match=r"tasks with rows in source must be at least 2, .*, got 1"):
        adaptive(world=source, budgets=[30, 30])()
    source = pool()
    with pytest.raises(ValueError, match="tasks with rows in n must be at least 2"):
        fixed(source, target(), k=2, n=[9, 0, 0, 0, 0])
    assert source.caps.tolist() == pool().caps.tolist()


@pytest.mark.parametrize("pooled", ["last", None, 1])
def test_pooled_is_true_or_false(pooled):
    with pytest.raises(TypeError, match="pooled must be True or False"):
        adaptive(pooled=pooled)()


def test_what_is_no_source_and_no_target_is_named():
    for call in (partial(passive, k=2, budget=100), partial(method_moments, k=2, n=9), target_only):
        with pytest.raises(TypeError, match="source must have n_tasks and sample"):
            call("abc", target())
        with pytest.raises(TypeError, match="target must be a TaskData"):
            call(WORLD, np.ones(3))
    with pytest.raises(TypeError, match="source must have sample_rows"):
        method_moments(pool(), target(), k=2, n=9)


@pytest.mark.parametrize("name", ADAPTIVE)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": TWO}, "target must hold the rows of one task, got 5"),
        ({"rows": target(n=1)}, r"target.counts\[0\] must be at least k = 2"),
        ({"k": 7}, r"k must be a whole number in \[1, 6\]"),
        ({"k": 0}, r"k must be a whole number in \[1, 6\]"),
        ({"k": np.nan}, "k must be a whole number"),
        ({"world": LONG}, "target must have inputs of length 7"),
        ({"floor": 0}, "floor must be a whole number in"),
        ({"floor": np.nan}, "floor must be a whole number in"),
        ({"floor": 31}, "budgets\\[0\\] must be at least 155, the total of the floors, got 151"),
        ({"k": 6}, "k must be at most the number of source tasks, 5, got 6"),
        ({"budgets": []}, "budgets must be a sequence"),
        ({"budgets": 300}, "budgets must be a sequence"),
        ({"budgets": [300, -1]}, r"budgets\[1\] must be a whole number"),
        ({"budgets": [300, np.nan]}, r"budgets\[1\] must be a whole number"),
        ({"ridge": -1.0}, "ridge must be at least 0"),
        ({"ridge": np.nan}, "ridge must be at least 0"),
    ],
)
def test_bad_input_of_the_adaptive_is_named(name, changes, message):
    with pytest.raises(ValueError, match=message):
        adaptive(ADAPTIVE[name], **changes)()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (adaptive(relevance=np.ones(1)), r"relevance must have shape \(..., 5\)"),
        (adaptive(relevance=np.ones(4)), r"relevance must have shape \(..., 5\)"),
        (adaptive(relevance=[1.0, 2.0, 3.0, 4.0, np.nan]), r"relevance\[4\] must be finite"),
        (adaptive(relevance=np.ones((2, 5)), rows=target(size=3)), "relevance and target must have shapes"),
        (adaptive(a_mtrl, power=-1.0), "power must be at least 0"),
        (adaptive(a_mtrl, power=np.nan), "power must be at least 0"),
        (adaptive(regularization=0.0), "regularization must be in"),
        (adaptive(regularization=np.nan), "regularization must be in"),
        (adaptive(top_s, s=0), "s must be a whole number"),
        (adaptive(top_s, s=6), "s must be a whole number"),
        (adaptive(world=pool((20,) * 5)), "budgets must total at most 100, what the source has, got 853"),
        (lambda: fixed(WORLD, ROWS, k=2, n=30), r"n must have shape \(..., 5\)"),
        (lambda: fixed(WORLD, ROWS, k=2, n=[1, 2, 3]), r"n must have shape \(..., 5\)"),
        (lambda: fixed(WORLD, ROWS, k=2, n=[1, 2, 3, 4, -5]), r"n\[4\] must be a whole number"),
        (lambda: fixed(WORLD, ROWS, k=2, n=[0] * 5), r"tasks with rows in n must be at least 2, .*, got 0"),
        (
            lambda: fixed(WORLD, ROWS, k=2, n=[[9, 9, 0, 0, 0], [60, 0, 0, 0, 0]]),
            r"tasks with rows in n\[1\] must be at",
        ),
        (lambda: passive(WORLD, ROWS, k=2, budget=1), "tasks with rows in n must be at least 2, .*, got 1"),
        (lambda: fixed(WORLD, TWO, k=2, n=[9] * 5), "target must hold the rows of one task"),
        (lambda: fixed(WORLD, ROWS, k=7, n=[9] * 5), "k must be a whole number"),
        (lambda: fixed(LONG, ROWS, k=2, n=[9] * 5), "target must have inputs of length 7"),
        (lambda: fixed(WORLD, target(size=3), k=2, n=np.full((2, 5), 9)), "n and target must have shapes"),
        (lambda: fixed(pool((20,) * 5), ROWS, k=2, n=[21, 1, 1, 1, 1]), r"n\[0\] must be at most the rows left"),
        (lambda: fixed(pool(), target(size=3), k=2, n=[9] * 5), r"n must have shape \(5,\)"),
        (lambda: fixed(WORLD, ROWS, k=2, n=[9] * 5, ridge=np.inf), "ridge must be at least 0"),
        (lambda: passive(WORLD, ROWS, k=2, budget=0), "budget must be a whole number"),
        (lambda: passive(WORLD, ROWS, k=2, budget=np.nan), "budget must be a whole number"),
        (lambda: passive(WORLD, ROWS, k=9, budget=99), "k must be a whole number"),
        (lambda: random_s(WORLD, ROWS, k=2, budget=500, floor=15, s=0), "s must be a whole number"),
        (lambda: random_s(WORLD, ROWS, k=2, budget=500, floor=15, s=6), "s must be a whole number"),
        (lambda: random_s(WORLD, ROWS, k=2, budget=500, floor=101, s=2), "budget must be at least 505"),
        (lambda: random_s(WORLD, ROWS, k=2, budget=500, floor=-1, s=2), "floor must be a whole number"),
        (lambda: random_s(WORLD, ROWS, k=2, budget=500, floor=0, s=1), "tasks with rows in n must be at least 2"),
        (lambda: random_s(WORLD, target(size=2), k=2, budget=[90, 120], floor=9, s=1), "budget must be one number"),
        (lambda: random_s(WORLD, ROWS, k=2, budget=[], floor=9, s=1), "budget must be one number"),
        (lambda: method_moments(WORLD, ROWS, k=7, n=9), "k must be a whole number"),
        (lambda: method_moments(WORLD, TWO, k=2, n=9), "target must hold the rows of one task"),
        (lambda: method_moments(WORLD, ROWS, k=2, n=[1, 2]), r"n must have shape \(5,\)"),
        (lambda: method_moments(LONG, ROWS, k=2, n=9), "target must have inputs of length 7"),
        (lambda: method_moments(WORLD, ROWS, k=2, n=0), "tasks with rows in n must be at least 2, .*, got 0"),
        (
            lambda: method_moments(WORLD, ROWS, k=2, n=[60, 0, 0, 0, 0]),
            "tasks with rows in n must be at least 2, .*, got 1",
        ),
        (lambda: target_only(WORLD, TWO), "target must hold the rows of one task"),
        (lambda: target_only(WORLD, ROWS, ridge=-1.0), "ridge must be at least 0"),
        (lambda: target_only(WORLD, ROWS, ridge=np.nan), "ridge must be at least 0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
