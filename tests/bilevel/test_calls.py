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


def steps_of(problem, method, **options):
    """Results after every outer step."""
    seen = []
    given = {**OPTIONS[method], **options}
    minimize_bilevel(problem, start(problem), method=method, record=1, callback=seen.append, **given)
    return seen


def twice(t):
    """Methods that compare two points make every call at both, but for the first step."""
    return 1 if t == 0 else 2


REFINED, DOUBLE = 3 + 6, (1, 3, 0, 4, 1)
CALLS = {  # grad_f, grad_g, grad_gx, hvp and cvp of outer step t, with the options of `cases`
    "bo-rep": lambda t: (1, REFINED if t == 0 else 4 if t % 3 == 0 else 0, 0, 1, 1),
    "slip": lambda t: (1, 4 + 1 if t == 0 else 1, 0, 1, 1),
    "soba": lambda t: (1, 1, 0, 1, 1),
    "ma-soba": lambda t: (1, 1, 0, 1, 1),
    "amigo": lambda t: DOUBLE,
    "stocbio": lambda t: DOUBLE,
    "bsa": lambda t: DOUBLE,  # but up to 3 products
    "ttsa": lambda t: (1, 2, 0, 4, 1),  # the same
    "f2sa": lambda t: (4, 6, 2, 0, 0),
    "accbo": lambda t: (twice(t), 3 if t == 0 else 2 if t % 3 == 0 else 0, 0, 3 * twice(t), twice(t)),
    "mrbo": lambda t: (twice(t), twice(t), 0, 3 * twice(t), twice(t)),
    "saba": lambda t: (7, 7, 0, 7, 7) if t == 0 else (1, 1, 0, 1, 1),  # six rows in each sum
    "aid-cg": lambda t: (1, 3, 0, 3, 1),
    "itd": lambda t: (1, 3, 0, 2, 3),
}


@pytest.mark.parametrize("method", CALLS)
def test_calls_of_a_step_are_the_table(method):
    results = steps_of(PROBLEMS["quadratic"](), method, budget=400, rng=3)
    calls = np.array([list(result.ncalls.values()) for result in results])
    assert [result.cost for result in results] == calls.sum(axis=1).tolist()
    made = np.diff(calls, axis=0, prepend=0)
    assert len(made) > 10
    expected = np.array([CALLS[method](t) for t in range(len(made))])
    if method in ("bsa", "ttsa"):
        assert set(made[:, 3]) == set(range(4))
        expected[:, 3] = made[:, 3]
    assert np.array_equal(made, expected)


def test_calls_of_a_step_of_sustain():
    """The same random factors at both points: p uniform on {0, 1, 2}; every count within five deviations of its mean.

    False alarm below 1e-6; a p on {0, ..., 3} or never 0 is found.
    """
    steps = 600
    results = steps_of(PROBLEMS["quadratic"](), "sustain", budget=9 * steps, rng=3, exact=True)
    calls = np.diff([list(result.ncalls.values()) for result in results], axis=0)
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
    problem = PROBLEMS["quadratic, one by one"]()
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
    problem = PROBLEMS["quadratic, one by one"]()
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
        assert (second.cost, second.ncalls) == (whole.cost, whole.ncalls)
        assert np.array_equal(first.x, kept)
        assert second.history["nit"][0] == cut
