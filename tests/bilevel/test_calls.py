"""Counted calls: how many a step makes, where a budget ends a run, what a call costs."""

import numpy as np
import pytest

from pessimism._status import Status
from pessimism.bilevel import minimize_bilevel
from tests.bilevel import twin_methods as twins
from tests.bilevel.cases import (
    OPTIONS,
    PROBLEMS,
    every_method,
    method_by_calls,
    same,
    start,
)


def per_step(method, t):
    """Calls of outer step t, of the kinds in order; TTSA and BSA have up to terms - 1 products."""
    o = OPTIONS[method]
    if method == "bo-rep":
        setup = sum(o["epoch_length"] * 2**s for s in range(o["epochs"]))
        return 1, setup if t == 0 else o["inner_steps"] * (t % o["period"] == 0), 0, 1, 1
    if method == "slip":
        return 1, 1 + (o["warm_steps"] if t == 0 else 0), 0, 1, 1
    if "soba" in method:
        return 1, 1, 0, 1, 1
    if method == "f2sa":
        return o["inner_steps"] + 1, 2 * o["inner_steps"], 2, 0, 0
    return 1, o["inner_steps"], 0, o["terms"], 1


@method_by_calls
def test_calls_of_a_step_are_the_table(method):
    problem = PROBLEMS["quadratic"]()
    expected, steps, costs = np.zeros(5, int), [], []

    def after(result):
        steps.append(list(result.ncalls.values()))
        costs.append(result.cost)

    minimize_bilevel(problem, start(problem), method=method, budget=400, rng=0, record=1, callback=after,
                     **OPTIONS[method])  # fmt: skip
    assert len(steps) > 10
    assert costs == [sum(calls) for calls in steps]
    products = []
    for t, (calls, before) in enumerate(zip(steps, [[0] * 5, *steps], strict=False)):
        expected, made = np.array(per_step(method, t)), np.subtract(calls, before)
        if method in ("bsa", "ttsa"):
            products.append(made[3])
            made[3] = expected[3]
        assert np.array_equal(made, expected)
    if products:
        assert set(products) == set(range(OPTIONS[method]["terms"]))


def steps_of(problem, method, **options):
    """Results after every outer step, the start first."""
    seen = []
    last = minimize_bilevel(
        problem, start(problem), method=method, record=1, callback=seen.append, **{**OPTIONS[method], **options}
    )
    return [*seen, last]


COUNTS = {  # grad_f, grad_g, grad_gx, hvp, cvp
    "accbo": (
        lambda t: 3 if t == 0 else 2 if t % 3 == 0 else 0,
        lambda t: (1 if t == 0 else 2) * np.array([1, 0, 3, 1]),
    ),
    "mrbo": (lambda t: 1 if t == 0 else 2, lambda t: (1 if t == 0 else 2) * np.array([1, 0, 3, 1])),
    "saba": (lambda t: 7 if t == 0 else 1, lambda t: np.array([7, 0, 7, 7]) if t == 0 else np.array([1, 0, 1, 1])),
    "aid-cg": (lambda t: 3, lambda t: np.array([1, 0, 3, 1])),
    "itd": (lambda t: 3, lambda t: np.array([1, 0, 2, 3])),
}


@pytest.mark.parametrize("method", COUNTS)
def test_calls_of_a_step(method):
    """Three steps on y before the first and two every third; Q = 4 or 3 terms; six rows in each sum; D = 3, J = 2."""
    lower, others = COUNTS[method]
    results = steps_of(PROBLEMS["quadratic"](), method, budget=200, rng=3)
    calls = np.array([list(result.ncalls.values()) for result in results[:-1]])
    assert len(calls) > 6
    found = np.diff(calls, axis=0)
    first = calls[0]
    expected = [np.insert(others(t), 1, lower(t)) for t in range(len(calls))]
    assert np.array_equal(first, expected[0])
    assert np.array_equal(found, expected[1:])


def test_calls_of_a_step_of_sustain():
    """The same random factors at both points: p uniform on {0, 1, 2}; every count within five deviations of its mean.

    False alarm below 1e-6; a p on {0, ..., 3} or never 0 is found.
    """
    steps = 600
    results = steps_of(PROBLEMS["quadratic"](), "sustain", budget=9 * steps, rng=3, exact=True)
    calls = np.diff([list(result.ncalls.values()) for result in results[:-1]], axis=0)
    for column in (0, 1, 4):
        assert np.all(calls[:, column] == 2)
    assert np.all(calls[:, 3] % 2 == 0)
    counts = np.bincount(calls[:, 3] // 2, minlength=3)
    assert len(counts) == 3
    assert np.abs(counts / len(calls) - 1 / 3).max() < 5 * np.sqrt(2 / 9 / len(calls))


@pytest.mark.kernels
@every_method
def test_the_budget_ends_a_run_anywhere(method):
    """Every budget: each run is the beginning of the longer ones, and no call is made beyond."""
    problem = PROBLEMS["one by one"]()
    x0 = start(problem)
    whole = [minimize_bilevel(problem, x0, method=method, budget=0, **OPTIONS[method])]
    longest = minimize_bilevel(
        problem, x0, method=method, budget=61, rng=2, record=1, callback=whole.append, **OPTIONS[method]
    )
    costs, path = longest.history["cost"][: longest.nit + 1], longest.history["x"]
    for budget in range(61):
        result = minimize_bilevel(problem, x0, method=method, budget=budget, rng=2, **OPTIONS[method])
        assert sum(result.ncalls.values()) == result.cost == budget
        assert result.status is Status.BUDGET
        assert result.nit == np.searchsorted(costs, budget, side="right") - 1
        assert np.array_equal(result.x, path[result.nit])
        assert same(result, whole[result.nit])


@method_by_calls
def test_costs_weigh_calls(method):
    """Weights that float64 adds exactly."""
    problem = PROBLEMS["one by one"]()
    costs = {"grad_f": 2.0, "grad_g": 0.5, "hvp": 0.25, "grad_gx": 3.0}
    weights = np.array([2.0, 0.5, 3.0, 0.25, 1.0])
    for budget in (0.4, 7.3, 50.0):
        shared = {"budget": budget, "rng": 2, "costs": costs}
        result = minimize_bilevel(problem, start(problem), method=method, **shared, **OPTIONS[method])
        twin = twins.run(method, problem, start(problem), **shared, options=OPTIONS[method])
        calls = np.array(list(result.ncalls.values()))
        assert result.cost == weights @ calls <= budget
        assert result.cost > budget - 3.0
        assert result.ncalls == twin.calls


@every_method
@pytest.mark.parametrize("exact", [False, True])
def test_a_run_in_pieces_is_one_run(method, exact):
    """Bit for bit, wherever between steps it is cut; with samples, if the same Generator goes on."""
    problem = PROBLEMS["quadratic"]()
    options = {"method": method, "exact": exact, **OPTIONS[method]}
    whole = minimize_bilevel(problem, start(problem), budget=400, record=1, rng=3, **options)
    for cut in (1, 2, 7):
        budget, rng = whole.history["cost"][cut], np.random.default_rng(3)
        first = minimize_bilevel(problem, start(problem), budget=budget, rng=rng, **options)
        kept = first.x.copy()
        second = minimize_bilevel(problem, first, budget=400 - budget, rng=rng, **options)
        assert (first.nit, second.nit) == (cut, whole.nit)
        assert same(second, whole)
        assert first.cost + second.cost == whole.cost
        assert np.array_equal(first.x, kept)
        assert second.history["nit"][0] == cut
