"""Bad input: every argument of every public callable spoiled in turn; what does not fit; nothing is bought."""

import re

import numpy as np
import pytest

from pessimism import tasks
from pessimism.tasks import (
    TaskData,
    TaskPool,
    bounds,
    costs,
    designs,
    fixed,
    instances,
    method_moments,
    passive,
    random_s,
    target_only,
    top_s,
)
from tests.tasks.test_rules import WORLD, pool, target

ROWS, TARGET, POINTS = WORLD.sample(20, rng=1), target(), np.eye(6, 2)
COUNTS, SHARES, NU, ONE = [40, 20, 30, 50, 60], np.ones(5) / 5, [0.5, -0.25, 0.1, 0.2, 0.3], np.ones(6)
BUY = {"source": WORLD, "target": TARGET, "k": 2, "ridge": 0.5, "rng": 1}
PHASES = BUY | {"budgets": [150, 300], "floor": 15, "pooled": False}
SPREAD = [0.5, 1.0, 2.0, 1.5, 0.25]
PROBLEM, WORLDLY = {"heads": WORLD.heads, "target": WORLD.target}, {"dimension": 6, "noise": 0.5}
RISK, ORDER = PROBLEM | WORLDLY | {"n": 100.0}, WORLDLY | {"n": 100.0, "k": 2}
TABLES = {"inputs": [np.eye(6)] * 5, "outputs": [ONE] * 5}


def labelled(**arguments):
    """One table of rows."""
    return TaskData.from_arrays(**arguments)


CALLS = [
    (tasks.allocate, {"relevance": NU, "budget": 100, "power": 0.5, "floor": 3, "caps": 90, "source_noise": SPREAD}),
    (tasks.keep_largest, {"relevance": NU, "s": 2}),
    (tasks.phase_budgets, {"total": 100, "phases": 3, "growth": 1.5}),
    (tasks.min_l1, PROBLEM | {"source_noise": SPREAD}),
    (tasks.min_l2, PROBLEM),
    (tasks.lasso, PROBLEM | {"regularization": 0.1, "tolerance": 1e-8}),
    (tasks.fit_representation, {"data": ROWS, "k": 2, "start": POINTS}),
    (tasks.fit_representation, {"data": ROWS, "k": 2, "start": "ols", "method": "descend", "ridge": 0.5}),
    (tasks.fit_representation, {"data": ROWS, "k": 2, "tolerance": 1e-9}),
    (tasks.fit_heads, {"basis": POINTS, "data": ROWS, "ridge": 0.5}),
    (tasks.moment_representation, {"inputs": np.eye(6), "outputs": ONE, "k": 2}),
    (tasks.principal_angles, {"basis": POINTS, "other": np.eye(6, 2, 1)}),
    (tasks.a_mtrl, PHASES | {"power": 1.0, "relevance": NU}),
    (tasks.l1_a_mtrl, PHASES | {"regularization": 0.1, "relevance": NU}),
    (top_s, PHASES | {"s": 2, "regularization": 0.1}),
    (fixed, BUY | {"n": COUNTS}),
    (passive, BUY | {"budget": 300}),
    (random_s, BUY | {"budget": 300, "floor": 15, "s": 2}),
    (method_moments, {"source": WORLD, "target": TARGET, "k": 2, "n": COUNTS, "rng": 1}),
    (target_only, {"source": WORLD, "target": TARGET, "ridge": 0.5}),
    (tasks.LinearTasks, PROBLEM | {"representation": POINTS, "noise": 0.5, "source_noise": SPREAD}),
    (WORLD.sample, {"n": COUNTS, "size": 2, "rng": 1}),
    (WORLD.sample_target, {"n": 30, "size": 2, "rng": 1}),
    (WORLD.sample_rows, {"n": COUNTS, "rng": 1}),
    (WORLD.risk, {"coefficients": ONE}),
    (WORLD.representation_risk, {"basis": POINTS}),
    (WORLD.total_risk, {"basis": POINTS, "n_target": 20}),
    (WORLD.predicted_risk, {"n": SHARES, "n_target": 20}),
    (TaskData, {name: getattr(ROWS, name) for name in ("counts", "grams", "moments", "squares")}),
    (TaskData.from_arrays, TABLES),
    (labelled, {"inputs": np.eye(6), "outputs": ONE, "tasks": [0, 0, 1, 1, 2, 2], "n_tasks": 4}),
    (ROWS.weighted, {"weights": SHARES}),
    (ROWS.loss, {"coefficients": ONE}),
    (TaskPool, TABLES),
    (TaskPool(**TABLES).sample, {"n": [1, 2, 3, 0, 1], "rng": 1}),
    (designs.c_optimal, PROBLEM | {"floor": 0.1, "source_noise": SPREAD}),
    *((design, {"heads": WORLD.heads, "floor": 0.1}) for design in (designs.a_optimal, designs.d_optimal)),
    (designs.e_optimal, {"heads": WORLD.heads, "floor": 0.1, "source_noise": SPREAD}),
    (designs.variance, PROBLEM | {"samples": SHARES, "source_noise": SPREAD}),
    (costs.linear_cost, PROBLEM | {"variance": 0.1, "prices": SHARES, "source_noise": SPREAD}),
    (costs.power_cost, PROBLEM | {"variance": 0.1, "exponent": 2.0, "source_noise": SPREAD}),
    (costs.jump_cost, PROBLEM | {"variance": 0.1, "jump": 2.0, "source_noise": SPREAD}),
    (bounds.power_bound, {"n": 100.0, "relevance": NU, "power": 1.5}),
    *((bound, RISK) for bound in (bounds.l1_risk, bounds.l2_bound, bounds.uniform_risk)),
    (bounds.weighted_risk, PROBLEM | WORLDLY | {"counts": SHARES, "weights": SHARES, "source_noise": SPREAD}),
    (bounds.known_noise_risk, PROBLEM | {"n": 100.0, "dimension": 6, "source_noise": SPREAD}),
    (bounds.target_term, {"n": 30, "k": 2, "noise": 0.5, "source_term": 0.1}),
    (bounds.target_only_risk, WORLDLY | {"n": 30}),
    (bounds.passive_order, ORDER | {"n_target": 30.0}),
    *((bound, ORDER | {"relevance": NU}) for bound in (bounds.a_mtrl_order, bounds.l1_a_mtrl_order)),
    (bounds.effective_tasks, {"n": 100.0, "relevance": NU}),
    (instances.spike_and_pairs, WORLDLY | {"pairs": 2, "coherence": 0.25}),
    (instances.spike_and_pairs_ratio, {"pairs": 2, "coherence": 0.25, "power": 1.5}),
    (instances.identity, WORLDLY | {"k": 2, "others": 0.5}),
    (instances.identity_ratio, {"k": 2, "others": 0.5, "power": 1.5}),
    (instances.block_spikes, WORLDLY | {"blocks": 2, "block_size": 3, "others": 0.5}),
    (instances.block_spikes_ratio, {"blocks": 2, "block_size": 3, "others": 0.5, "power": 1.5}),
    (instances.random_gaussian, WORLDLY | {"k": 2, "tasks": 5, "rng": 1}),
]
SIGNED = {"relevance", "target", "heads", "inputs", "outputs", "moments", "grams", "basis", "other", "coefficients"}
SIGNED |= {"start", "representation"}
OPTIONAL = {"source_noise", "caps", "relevance", "n_tasks", "tasks", "size", "n_target", "coherence"}


def spoiled(name, value):
    """What is no such value: other kinds of objects, and numbers that are not finite, negative, or not whole."""
    yield from ("text", b"\x01", object(), {"a": 1}, [[1.0], [1.0, 2.0]], 1j, np.array(["2020"], "M8[D]"))
    if name not in OPTIONAL:
        yield None
    if isinstance(value, bool):
        yield from (None, 1, np.array([True, False]))
    elif isinstance(value, (int, float, list, np.ndarray)) and name != "rng":
        yield from (np.nan, np.inf, 10**5000)
        if name not in SIGNED:
            yield -1
        if np.asarray(value).dtype.kind == "i":
            yield 0.5
        if np.ndim(value):
            last = np.array(value, float)
            last.flat[-1] = np.nan
            yield last


@pytest.mark.parametrize(
    ("call", "valid", "name"),
    [
        pytest.param(call, valid, name, id=f"{call.__name__}-{name}")
        for call, valid in CALLS
        for name in valid
        if name != "rng"
    ],
)
def test_a_spoiled_argument_is_named(call, valid, name):
    for value in spoiled(name, valid[name]):
        with pytest.raises((ValueError, TypeError)) as caught:
            call(**valid | {name: value})
        assert re.search(rf"\b{name}\b", str(caught.value)), value


VALID = dict(reversed(CALLS))
PAIR = tasks.LinearTasks(WORLD.representation, WORLD.heads, WORLD.target, [1.0, 2.0])
LONG = tasks.LinearTasks(np.eye(7, 2), WORLD.heads, WORLD.target)
TWO, SHORT = WORLD.sample(9, rng=1), WORLD.sample([20, 20, 3, 20, 20], rng=1)
THIN = {"data": WORLD.sample([[20] * 5, [0] * 5], rng=1), "start": "auto"}
FLAT, SOLD = {"heads": [[1.0], [0.0]], "target": [0.0, 1.0]}, pool((20,) * 5)
UNSCALED = {"data": TaskData.from_arrays([np.eye(6) * 1e-160] * 3, [ONE] * 3)}
DIM = {"data": TaskData.from_arrays([np.eye(6)] * 3, [ONE * 1e-170] * 3)}
TWICE = {"data": TaskData.from_arrays([np.ones((4, 6))], [np.ones(4)]), "ridge": 0.0}
PLAIN = {"counts": [2], "grams": [[[2.0, 1.0], [1.0, 2.0]]], "moments": [[1.0, 1.0]], "squares": [2.0]}
SPAN, BROADCAST = "target must lie in the span of heads", "must have shapes that broadcast"
SOME = "must be those of some rows"
GRAMS, FEW = "grams, moments and squares at [0] " + SOME, "tasks with rows in n must be at least 2"
INDEFINITE = {"grams": [[[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]]], "moments": [[0.0] * 3]}
FIND, BUYERS = (tasks.min_l1, tasks.min_l2, tasks.lasso), (costs.linear_cost, costs.power_cost, costs.jump_cost)
PHASED = (tasks.a_mtrl, tasks.l1_a_mtrl, top_s)
RULES = (*PHASED, fixed, passive, random_s, method_moments)

REFUSED = [
    *(
        pytest.param(call, {"relevance": np.ones((5, 1))} | more, message)
        for call, more, message in (
            (tasks.keep_largest, {"s": 1}, "got (5, 1): a column must lose its last axis, as in relevance[:, 0]"),
            (bounds.effective_tasks, {}, "relevance[:, 0], and problems of one task each need a budget n each"),
            (bounds.power_bound, {}, "got (5, 1): a column must lose its last axis"),
            (bounds.a_mtrl_order, {}, "got (5, 1): a column must lose its last axis"),
            (bounds.l1_a_mtrl_order, {}, "got (5, 1): a column must lose its last axis"),
        )
    ),
    (tasks.allocate, {"relevance": 0.5}, "relevance must have shape (..., tasks)"),
    (tasks.allocate, {"relevance": []}, "relevance must have shape (..., tasks)"),
    (tasks.allocate, {"floor": 60}, "budget must be at least 300, the total of the floors, got 100"),
    (tasks.allocate, {"floor": [1, 2, 3]}, "floor must have shape (..., 5)"),
    (tasks.allocate, {"floor": 4, "caps": [9, 3, 9, 9, 9]}, "floor[1] must be at most the cap"),
    (tasks.allocate, {"caps": 4}, "budget must be at most 20, the total of the caps, got 100"),
    (
        tasks.allocate,
        {"relevance": np.ones((3, 5)), "budget": [90, 90]},
        "relevance, budget, floor, caps and source_noise must have",
    ),
    (tasks.allocate, {"relevance": [[0.5], [0.2]]}, "relevance must have shape (M,) for M tasks, got (2, 1): a column"),
    (tasks.keep_largest, {"s": 0}, "s must be a whole number in [1, 2**53], got 0"),
    (tasks.phase_budgets, {"phases": 0}, "phases must be a whole number in [1, 1000], got 0"),
    (tasks.phase_budgets, {"growth": 0.0}, "growth must be positive"),
    (tasks.lasso, {"regularization": 0.0}, "regularization must be in (0, 1], got 0.0"),
    (tasks.lasso, {"regularization": [0.5, 1.5]}, "regularization[1] must be in (0, 1], got 1.5"),
    (tasks.lasso, {"tolerance": 0.0}, "tolerance must be positive and finite, got 0.0"),
    *((find, {"heads": [1.0, 2.0]}, "heads must have shape (..., k, tasks) with at least one") for find in FIND),
    *((find, {"heads": np.ones((2, 0))}, "got (2, 0)") for find in FIND),
    *((find, {"target": ONE}, "target must have shape (..., 2), an entry for each row of heads") for find in FIND),
    *((find, {"heads": np.ones((4, 2, 3)), "target": np.ones((3, 2))}, BROADCAST) for find in FIND),
    (tasks.fit_representation, {"k": 7}, "k must be a whole number in [1, 6]"),
    (tasks.fit_representation, {"tolerance": 0.0}, "tolerance must be in"),
    (tasks.fit_representation, {"data": SHORT, "start": "ols"}, 'start "ols" needs 6 rows of every task that has any'),
    (tasks.fit_representation, {"start": np.eye(5, 2)}, "start must have shape (..., 6, 2)"),
    (tasks.fit_representation, {"start": np.ones((4, 6, 2))}, "start must have"),
    (tasks.fit_representation, {"start": np.ones((6, 2))}, "start must have linearly independent columns"),
    (tasks.fit_representation, THIN, "tasks with rows in data[1] must be at least 2, or a part of the representation"),
    (tasks.fit_representation, UNSCALED, "inputs of data must have squares of at least 1e-290"),
    (tasks.fit_representation, DIM, "outputs of data must have squares of at least 1e-290"),
    (tasks.fit_heads, {"data": WORLD.sample([9, 9, 9, 1, 9]), "ridge": 0.0}, "counts[3] must be at least k = 2"),
    (tasks.fit_heads, {"basis": np.eye(5, 2)}, "basis must have 6 rows"),
    (tasks.fit_heads, {"basis": ONE}, "basis must have shape"),
    (tasks.fit_heads, {"basis": np.ones((2, 6, 1)), "data": WORLD.sample(9, size=3)}, "basis and data must have"),
    (tasks.fit_heads, TWICE, "data must determine the heads"),
    (tasks.moment_representation, {"outputs": np.ones(2)}, "inputs must have shape (N, d) and outputs (N,)"),
    (tasks.moment_representation, {"inputs": np.ones((0, 2)), "outputs": []}, "inputs must have shape"),
    (tasks.moment_representation, {"k": 7}, "k must be a whole number"),
    (tasks.principal_angles, {"other": np.eye(6, 3)}, "other must have the shape (6, 2) of basis"),
    (tasks.principal_angles, {"other": np.ones((6, 2))}, "other must have linearly independent columns"),
    (tasks.principal_angles, {"basis": np.eye(2, 3), "other": np.eye(2, 3)}, "at most as many columns as rows"),
    (tasks.principal_angles, {"basis": np.ones((2, 3, 1)), "other": np.ones((3, 3, 1))}, "basis and other must have"),
    (tasks.LinearTasks, {"representation": ONE}, "representation must have shape (..., d, k)"),
    (tasks.LinearTasks, {"representation": np.eye(1, 2)}, "representation must have at most as many columns as rows"),
    (tasks.LinearTasks, {"representation": [[1.0], [0.1]]}, "representation must have orthonormal columns: B'B is"),
    (tasks.LinearTasks, {"heads": ONE}, "heads must have shape"),
    (tasks.LinearTasks, {"heads": np.ones((3, 5))}, "heads must have 2 rows"),
    (tasks.LinearTasks, {"target": ONE}, "target must have shape (..., 2)"),
    (tasks.LinearTasks, {"heads": np.ones((3, 2, 5)), "target": np.ones((2, 2))}, "representation, heads, target and"),
    (WORLD.sample, {"n": [1, 2]}, "n must have shape (..., 5)"),
    (PAIR.sample, {"n": np.ones((3, 5))}, "n and the world must have shapes that broadcast"),
    (PAIR.sample_target, {"n": [1, 2, 3]}, "n and the world must have shapes that broadcast"),
    (WORLD.sample_rows, {"n": [1, 2]}, "n must have shape (5,)"),
    (PAIR.sample_rows, {"n": 3}, "sample_rows takes one world"),
    (WORLD.risk, {"coefficients": np.ones(5)}, "coefficients must have shape (..., 6)"),
    (WORLD.representation_risk, {"basis": np.ones((5, 1))}, "basis must have 6 rows"),
    (WORLD.representation_risk, {"basis": ONE}, "basis must have shape (..., d, k)"),
    (WORLD.representation_risk, {"basis": np.zeros((6, 1))}, "basis must have linearly independent columns"),
    (WORLD.total_risk, {"basis": np.ones((6, 2))}, "basis must have linearly independent columns"),
    (WORLD.total_risk, {"n_target": [9, 0]}, "n_target[1] must be at least k + 2 = 4"),
    (WORLD.predicted_risk, {"n_target": 3}, "n_target must be at least k + 2 = 4"),
    (WORLD.predicted_risk, {"n": [1, 2]}, "n must have shape (..., 5)"),
    (TaskData, PLAIN | {"counts": 2}, "counts must have shape (..., tasks)"),
    (TaskData, PLAIN | {"counts": [2, 2]}, "moments must have shape"),
    (TaskData, PLAIN | {"moments": [[1.0, 1.0, 1.0]]}, "grams must have shape"),
    (TaskData, PLAIN | {"squares": 2.0}, "squares must have shape"),
    (TaskData, PLAIN | {"grams": [[[2.0, 1.0], [0.5, 2.0]]]}, "grams[0, 0, 1] must be symmetric"),
    (TaskData, PLAIN | {"grams": [[[-2.0, 1.0], [1.0, 2.0]]]}, "grams[0, 0] must be at least 0 on the diagonal"),
    (TaskData, PLAIN | {"grams": [[[2.0, 3.0], [3.0, 2.0]]]}, GRAMS),
    (TaskData, PLAIN | {"grams": [[[1.0, 0.99], [0.99, 1.0]]], "moments": [[1.0, -1.0]], "squares": [1.0]}, SOME),
    (TaskData, PLAIN | INDEFINITE, GRAMS),
    (TaskData, PLAIN | {"moments": [[1.0, 3.0]]}, GRAMS),
    (TaskData, PLAIN | {"counts": [0]}, "squares[0] must be 0 where counts are 0"),
    (TaskData, PLAIN | {"counts": [0], "squares": [0.0], "moments": [[0.0, 0.0]]}, "grams[0, 0] must be 0 where"),
    (TaskPool, {"inputs": [], "outputs": []}, "inputs and outputs must have an entry for every task"),
    (TaskPool, {"inputs": [np.eye(6)]}, "as many as each other, got 1 and 5"),
    (TaskPool, {"outputs": [ONE, ONE, np.ones(4), ONE, ONE]}, "outputs[2] must have shape (6,)"),
    (TaskPool, {"inputs": [np.eye(6)] * 4 + [np.eye(6, 4)]}, "inputs[4] must have 6 columns"),
    (TaskPool, {"inputs": np.eye(5)}, "inputs[0] must have shape (rows, d)"),
    (TaskData.from_arrays, {"n_tasks": 5}, "n_tasks goes with tasks"),
    (labelled, {"tasks": [2] * 6, "n_tasks": 2}, "tasks[0] must be below n_tasks = 2, got 2"),
    (labelled, {"tasks": [7] * 6, "n_tasks": None}, "tasks[0] must be at most 6, the number of rows, or n_tasks given"),
    (labelled, {"tasks": [0, 0]}, "tasks must have shape (6,)"),
    (labelled, {"n_tasks": 0}, "n_tasks must be a whole number"),
    (ROWS.weighted, {"weights": [1.0, 0.0, 1.0, 1.0, 1.0]}, "weights[1] must be positive"),
    (ROWS.weighted, {"weights": 1.0}, "weights must have shape (..., 5)"),
    (ROWS.loss, {"coefficients": np.ones(5)}, "coefficients must have shape (..., 6)"),
    (ROWS.loss, {"coefficients": 1.0}, "coefficients must have shape (..., 6)"),
    (SOLD.sample, {"n": [21, 1, 1, 1, 1]}, "n[0] must be at most the rows left"),
    (SOLD.sample, {"n": 1}, "n must have shape (5,)"),
    (SOLD.sample, {"n": [[1] * 5]}, "n must have shape (5,), got (1, 5): a pool serves one run"),
    (designs.d_optimal, {"floor": 0.4}, "floor must leave a total of at most 1 over 5 tasks, got 2"),
    (designs.d_optimal, {"floor": [0.1, 0.1]}, "floor must be one number or have shape (5,)"),
    (designs.a_optimal, {"heads": [[1.0, 2.0], [2.0, 4.0]]}, "heads must have rank k = 2, got rank 1 from 2 tasks"),
    (designs.e_optimal, {"heads": np.zeros((1, 2))}, "heads must have rank k = 1, got rank 0"),
    (designs.c_optimal, {"heads": np.ones((2, 3, 4))}, "heads must have shape (k, tasks)"),
    (designs.c_optimal, {"target": np.ones((4, 2))}, "target must have shape (2,), an entry for each row"),
    (designs.c_optimal, FLAT, SPAN),
    (designs.variance, {"samples": [1.0]}, "samples must have shape (..., 5), an entry for each"),
    (designs.variance, {"heads": np.ones((2, 1, 5)), "target": np.ones((3, 1))}, "heads and target " + BROADCAST),
    (
        designs.variance,
        {"heads": np.ones((2, 2, 5)), "samples": np.ones((3, 5))},
        "heads, target, samples and source_noise",
    ),
    *((buy, FLAT | {"prices": 1.0} if buy is costs.linear_cost else FLAT, SPAN) for buy in BUYERS),
    *((buy, {"variance": 0.0}, "variance must be positive") for buy in BUYERS),
    (costs.linear_cost, {"prices": [1.0] * 3}, "prices must be one number or have shape (5,)"),
    (costs.power_cost, {"exponent": 0.0}, "exponent must be positive"),
    (costs.power_cost, {"variance": 1e-100, "exponent": 50.0}, "variance and source_noise must be such that"),
    (bounds.power_bound, {"n": 0}, "n must be positive, got 0.0"),
    (bounds.power_bound, {"power": 2.5}, "power must be in [0, 2], got 2.5"),
    (bounds.power_bound, {"n": [1, 2], "relevance": np.ones((3, 1))}, "n, relevance and power must have shapes that"),
    (bounds.l1_risk, {"dimension": 1}, "dimension must be a whole number in [2,"),
    (bounds.l2_bound, FLAT, SPAN),
    (bounds.uniform_risk, {"n": [1, 2], "noise": [1, 2, 3]}, "n, noise and the worlds must have shapes that"),
    (bounds.weighted_risk, {"weights": [1, 0, 1, 1, 1]}, "weights[1] must be positive, got 0.0"),
    (bounds.weighted_risk, {"weights": 1.0}, "weights must have shape (..., 5), an entry for each task"),
    (bounds.weighted_risk, {"counts": np.ones((2, 5)), "weights": np.ones((3, 5))}, BROADCAST),
    (bounds.target_term, {"k": 0}, "k must be a whole number in [1, 2**53], got 0"),
    (bounds.target_term, {"n": [5, 6], "noise": [1, 1, 1]}, "n, noise and source_term must have shapes that"),
    (bounds.target_only_risk, {"dimension": 0}, "dimension must be a whole number in [1,"),
    (bounds.passive_order, {"n_target": 0}, "n_target must be positive, got 0.0"),
    (bounds.passive_order, {"k": 7}, "dimension must be at least k = 7, got 6"),
    (bounds.effective_tasks, {"n": [1, 2], "relevance": np.ones((3, 2))}, "n and relevance must have shapes that"),
    (bounds.l1_a_mtrl_order, {"n": [1, 2], "relevance": np.ones((3, 2))}, "n, noise and relevance must have"),
    (instances.spike_and_pairs, {"pairs": 0}, "pairs must be a whole number in [1,"),
    (instances.spike_and_pairs, {"coherence": 1.0}, "coherence must be in [0, 1), got 1.0"),
    (instances.spike_and_pairs, {"dimension": 1}, "dimension must be at least k = 2, got 1"),
    (instances.spike_and_pairs_ratio, {"pairs": [1, 0]}, "pairs[1] must be a whole number in [1,"),
    (instances.spike_and_pairs_ratio, {"coherence": [0.5, 1.5]}, "coherence[1] must be in [0, 1), got 1.5"),
    (
        instances.spike_and_pairs_ratio,
        {"pairs": [1, 2], "coherence": [0.1] * 3},
        "tasks, coherence and power " + BROADCAST,
    ),
    (instances.identity, {"others": 0.0}, "others must be positive and finite, got 0.0"),
    (instances.identity, {"k": 7}, "dimension must be at least k = 7, got 6"),
    (instances.identity_ratio, {"others": [0.1, 0.0]}, "others[1] must be positive, got 0.0"),
    (instances.identity_ratio, {"k": [2, 3], "others": [0.1] * 3}, "others and power " + BROADCAST),
    (instances.block_spikes, {"blocks": 0}, "blocks must be a whole number in [1,"),
    (instances.block_spikes, {"block_size": 0}, "block_size must be a whole number in [1,"),
    (
        instances.block_spikes_ratio,
        {"block_size": [2, 3], "others": [0.1] * 3},
        "others, block_size and power " + BROADCAST,
    ),
    (instances.random_gaussian, {"k": 6}, "tasks must be at least k = 6, got 5"),
    (fixed, {"n": 30}, "n must have shape (..., 5)"),
    (fixed, {"n": [0] * 5}, FEW),
    (fixed, {"n": [[9, 9, 0, 0, 0], [60, 0, 0, 0, 0]]}, "tasks with rows in n[1] must be at least 2"),
    (fixed, {"target": target(size=3), "n": np.full((2, 5), 9)}, "n and target must have shapes"),
    (fixed, {"source": pool(), "target": target(size=3), "n": [9] * 5}, "n must have shape (5,)"),
    (passive, {"budget": 0}, "budget must be a whole number"),
    (passive, {"budget": 1}, "budget must be at least 2"),
    (random_s, {"s": 0}, "s must be a whole number"),
    (random_s, {"floor": 101}, "budget must be at least 505"),
    (random_s, {"floor": 0, "s": 1}, FEW),
    (random_s, {"budget": [90, 120]}, "budget must be one number"),
    (method_moments, {"n": [1, 2]}, "n must have shape (5,)"),
    (method_moments, {"n": 0}, FEW),
    *((rule, {"source": LONG}, "target must have inputs of length 7") for rule in (fixed, method_moments)),
    *((rule, {"k": 7}, "k must be a whole number in [1, 6]") for rule in RULES),
    *((rule, {"k": 6}, "k must be at most the number of source tasks, 5, got 6") for rule in RULES),
    *((rule, {"target": TWO}, "target must hold the rows of one task, got 5") for rule in (*RULES, target_only)),
    *((rule, {"budgets": []}, "budgets must be a sequence") for rule in PHASED),
    *((rule, {"budgets": 300}, "budgets must be a sequence") for rule in PHASED),
    *((rule, {"floor": 0}, "floor must be a whole number in") for rule in PHASED),
    *((rule, {"floor": 31}, "budgets[0] must be at least 155, the total of the floor of every") for rule in PHASED),
    *((rule, {"target": target(n=1), "ridge": 0.0}, "target.counts[0] must be at least k = 2") for rule in PHASED),
    *((rule, {"source": SOLD, "budgets": [90, 90]}, "budgets must total at most 100, what the") for rule in PHASED),
    *((rule, {"source": pool((90, 0, 0, 0, 0))}, "tasks with rows in source must be at least 2") for rule in PHASED),
    *((rule, {"relevance": np.ones(4)}, "relevance must have shape (..., 5)") for rule in PHASED[:2]),
    (tasks.a_mtrl, {"relevance": np.ones((2, 5)), "target": target(size=3)}, "relevance and target must have"),
]


@pytest.mark.parametrize(("call", "changes", "message"), REFUSED)
def test_what_does_not_fit_is_refused_in_one_sentence(call, changes, message):
    valid = {name: value for name, value in VALID.get(call, {}).items() if name != "source_noise"}
    with pytest.raises(ValueError, match=re.escape(message)):
        call(**valid | changes)


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        (top_s, {"s": 9}),
        (tasks.a_mtrl, {"power": -1.0}),
        (tasks.l1_a_mtrl, {"regularization": 5.0}),
        (tasks.l1_a_mtrl, {"budgets": [100, 14]}),
        (tasks.l1_a_mtrl, {"budgets": [100, 1000]}),
        (tasks.l1_a_mtrl, {"k": 6}),
        (fixed, {"n": [9, 0, 0, 0, 0]}),
    ],
)
def test_a_wrong_option_buys_nothing(rule, changes):
    source = pool()
    with pytest.raises(ValueError, match="must"):
        rule(**VALID[rule] | {"source": source} | changes)
    assert source.caps.tolist() == pool().caps.tolist()


def test_a_source_without_rows_has_no_moments():
    with pytest.raises(TypeError, match="source must have sample_rows"):
        method_moments(**VALID[method_moments] | {"source": pool()})
