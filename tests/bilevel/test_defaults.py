"""Runs as they come: steps left open, whose step is blamed, tolerances, records, totals, samplers with a state."""

import numpy as np
import pytest

from pessimism._status import Status
from pessimism.bilevel import METHODS, minimize_bilevel, problems
from pessimism.bilevel.problem import OracleError
from pessimism.bilevel.problems import Cosh, HyperRepresentation, LogisticRidge, Quadratic, Ridge
from tests.bilevel.cases import OPTIONS, PROBLEMS, Own, every_method, near, same, start

RANDOM = {name: getattr(problems, name).random(rng=1) for name in problems.__all__}


def starts(problem):
    normal = np.random.default_rng(3).normal(size=problem.dim_x)
    return {"small": 0.1 * normal, "-3": np.full(problem.dim_x, -3.0), "large": 3.0 * normal}


# Steps left open


@every_method
@pytest.mark.parametrize("exact", [False, True])
def test_no_built_in_problem_is_diverged_from(method, exact):
    for name, problem in RANDOM.items():
        for where, x0 in starts(problem).items():
            result = minimize_bilevel(problem, x0, method=method, budget=700, rng=1, exact=exact, record=10**9)
            assert result.status is Status.BUDGET, (name, where, result.message)
            assert result.cost == sum(result.ncalls.values()) == 700
            assert np.isfinite(result.x).all()
            if method != "f2sa" and name != "PessimismTuning":  # a penalty has a bias, and so has y at the start
                assert problem.value(result.x) <= problem.value(x0), (name, where)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("method", ["bo-rep", "slip", "amigo", "aid-cg"])
def test_steps_on_the_lower_level_follow_its_curvature(method, seed):
    """Along the way from a small representation the curvature of its head grows, fivefold or more."""
    problem = HyperRepresentation.random(rng=seed)
    own = Own(problem)
    x0 = 0.1 * np.random.default_rng(seed).normal(size=problem.dim_x)
    result = minimize_bilevel(own, x0, method=method, step=0.1, budget=4000)
    (_, before), (_, after) = problem.curvature(x0), problem.curvature(result.x)
    assert result.status is Status.BUDGET
    assert after > 5.0 * before
    assert result.options["lower_step"] <= 2.0 / after
    assert f"; steps were shortened to lower_step = {result.options['lower_step']:.3g}" in result.message
    assert own.calls == result.ncalls
    assert sum(result.ncalls.values()) == result.cost == 4000
    assert np.linalg.norm(problem.gradient(result.x)) < 0.05 * np.linalg.norm(problem.gradient(x0))
    assert same(result, minimize_bilevel(problem, x0, method=method, step=0.1, budget=4000, exact=True))


def test_ridge_from_small_penalties_at_the_defaults():
    for seed in range(3):
        problem = Ridge.random(rng=seed)
        result = minimize_bilevel(problem, np.full(20, -3.0), rng=seed, step=1.0)
        assert result.status is Status.BUDGET
        assert problem.value(result.x) < problem.value(np.full(20, -3.0))
        assert (
            result.options["lower_step"] <= 2.0 / problem.curvature(result.x)[1] * 1.5
        )  # samples differ from their mean


def test_where_nothing_grows_the_steps_stay():
    problem = PROBLEMS["quadratic"]()
    short, long = (minimize_bilevel(problem, start(problem), exact=True, budget=budget) for budget in (100, 3000))
    assert short.options == long.options
    assert long.message == Status.BUDGET.value


def test_a_run_that_diverges_begins_again_with_a_shorter_step():
    problem, x0 = Cosh.random(5, 8, rng=0), [9.0, -9.0, 9.0, -9.0, 9.0]
    own = Own(problem)
    result = minimize_bilevel(own, x0, method="soba", budget=6000)
    tries = round(-np.log10(result.options["step"])) - 1
    assert tries > 0
    assert result.options["step"] == pytest.approx(0.1 * 10.0**-tries)
    assert f"; the run diverged {tries} times and began again, at last with step = " in result.message
    assert (result.status, result.cost) == (Status.BUDGET, 6000.0)
    assert own.calls == result.ncalls
    assert np.array_equal(result.history["x"][0], x0)
    assert np.all(np.diff(result.history["nit"]) > 0)
    assert problem.value(result.x) < 0.01 * problem.value(x0)
    given = {"method": "soba", "step": result.options["step"], "lower_step": result.options["lower_step"]}
    spent = result.cost - minimize_bilevel(own, x0, budget=4 * result.nit, **given).cost  # by the runs before
    assert same(result, minimize_bilevel(own, x0, budget=4 * result.nit, **given))
    assert spent > 0


def test_a_step_that_is_given_is_blamed():
    representation = HyperRepresentation.random(rng=0)
    small = 0.1 * np.random.default_rng(0).normal(size=representation.dim_x)
    rates = {"lower_step": 9.0, "z_step": 1.0, "epoch_step": 1.0}
    result = minimize_bilevel(representation, small, step=0.1, exact=True, **rates)
    text = "; too long: lower_step = 9; the curvature of g in y reached "
    assert result.status is Status.DIVERGED
    assert text in result.message
    stable = float(result.message.partition("steps on y and z below ")[2].split()[0])
    assert 0.0 < stable < 9.0
    far = minimize_bilevel(Cosh.random(2, 3, rng=0), [9.0, -9.0], method="soba", step=0.1, exact=True)
    assert far.message.endswith("; too long: step = 0.1, since those on y and z are stable")


# Tolerances and records


@pytest.mark.parametrize("method", ["bo-rep", "soba", "f2sa"])
def test_a_run_ends_at_its_tolerance(method):
    problem = Quadratic.random(2, 3, noise=0.0, curvature_noise=0.0, rng=0)
    x0 = start(problem)
    result = minimize_bilevel(problem, x0, method=method, tol=0.3, budget=50_000, rng=0)
    norms = result.history["gradient_norm"]
    assert result.status is Status.CONVERGED
    assert norms[-1] <= 0.3 < norms[:-1].min()
    assert np.linalg.norm(problem.gradient(result.x)) == norms[-1]
    assert result.cost < 50_000
    assert result.message == f"the exact gradient has the norm {norms[-1]:.3g}, tol is 0.3"
    there = minimize_bilevel(problem, result, method=method, tol=0.3)
    assert (there.nit, there.cost, there.status) == (result.nit, result.cost, Status.CONVERGED)
    with pytest.raises(ValueError, match="tol needs the exact gradient: Own has neither gradient nor solve_y"):
        minimize_bilevel(Own(problem), x0, method=method, tol=0.3)


@pytest.mark.parametrize("method", ["soba", "amigo", "bo-rep"])
@pytest.mark.parametrize("budget", [300, 20_000])
def test_records_divide_the_budget(method, budget):
    """About a hundred, or every step; and looking changes nothing."""
    problem = PROBLEMS["quadratic"]()
    given = {"method": method, "budget": budget, "rng": 1, **OPTIONS[method]}
    result, all_at_once = (
        minimize_bilevel(problem, start(problem), **given, **more) for more in ({}, {"record": 10**9})
    )
    assert same(result, all_at_once)
    gaps = np.diff(result.history["cost"])[2:-1]
    assert min(result.nit, 50) <= len(result.history["nit"]) <= 150
    assert gaps.max() <= 2.0 * max(budget / 100, 25)


def test_a_users_problem_that_solves_its_lower_level_knows_its_gradient():
    problem = LogisticRidge.random(30, 20, dim=3, rng=0)
    own = Own(problem)
    own.solve_y = problem.solve_y
    given = {"method": "slip", "step": 0.1, "budget": 200, "tol": 1e-3}
    result, known = (minimize_bilevel(p, np.zeros(3), exact=True, **given) for p in (own, problem))
    assert same(result, known)
    assert result.history["gradient_norm"] == near(known.history["gradient_norm"], 1e-7)


def test_a_gradient_that_cannot_be_told_is_nan_and_ends_no_run():
    """But at the start what is wrong with `solve_y` is told."""
    problem = LogisticRidge.random(30, 20, dim=3, rng=0)
    own, solved = Own(problem), []

    def solve_y(x):
        solved.append(x)
        return problem.solve_y(x) if len(solved) <= good else np.full(3, np.nan)

    own.solve_y = solve_y
    for good in (2, 0):
        solved.clear()
        given = {"method": "slip", "step": 0.1, "budget": 60, "record": 1}
        if good == 0:
            with pytest.raises(OracleError, match="solve_y must return finite numbers"):
                minimize_bilevel(own, np.zeros(3), **given)
        else:
            norms = minimize_bilevel(own, np.zeros(3), **given).history["gradient_norm"]
            assert np.isfinite(norms).tolist() == [True, True] + [False] * (len(norms) - 2)


# Samplers with a state


class Stateful(Own):
    """It draws from a stream of its own, as a data loader does, and counts the samples."""

    def __init__(self, problem, seed):
        super().__init__(problem)
        self.stream, self.drawn = np.random.default_rng(seed), []

    def sample(self, rng, level):
        self.drawn.append(level)
        return self.problem.sample(self.stream, level)


SHARED = sorted(set(METHODS) - {"saba", "aid-cg", "itd", "sustain", "bsa", "ttsa"})


@pytest.mark.parametrize("method", SHARED)
def test_a_sampler_with_a_state_is_asked_once_a_sample(method):
    """Its run is that of the built-in problem to rounding, so recursions keep the sample that both points share.

    Methods that draw more than samples, or none, are left out; the next test has them.
    """
    problem = PROBLEMS["quadratic"]()
    own = Stateful(problem, 8)
    given = {"method": method, "budget": 300, **OPTIONS[method]}
    ours, theirs = (minimize_bilevel(p, start(problem), rng=8, **given) for p in (own, problem))
    assert ours.ncalls == theirs.ncalls
    for name in ("x", "y", "z"):
        assert getattr(ours, name) == near(getattr(theirs, name))


@pytest.mark.parametrize("method", ["accbo", "mrbo", "sustain", "soba", "ma-soba"])
def test_a_sample_is_drawn_for_those_who_share_it(method):
    """Calls of a pair of points, or of SOBA's three products, on one sample."""
    own = Stateful(PROBLEMS["quadratic"](), 8)
    result = minimize_bilevel(own, start(own), method=method, budget=300, rng=1, **OPTIONS[method])
    calls = result.ncalls
    if "soba" in method:
        upper, lower = calls["grad_f"], calls["grad_g"]
    else:
        upper = (calls["grad_f"] + 1) // 2  # the first step has one point, and the last may be cut short
        lower = sum(calls[kind] for kind in ("grad_g", "hvp", "cvp"))
        lower -= calls["grad_g"] if method == "accbo" else 0
        lower = lower // 2 + (calls["grad_g"] if method == "accbo" else 0)
    assert abs(own.drawn.count("f") - upper) <= 1
    assert abs(own.drawn.count("g") - lower) <= 5


@pytest.mark.parametrize("method", ["mrbo", "sustain", "accbo"])
def test_a_sampler_with_a_state_keeps_the_variance_reduction(method):
    """The squared error of a direction around the exact one, in the mean of ten runs, and without any shared sample.

    A handle that only names a level serves a new sample at every call: then the error is more than 100 times as large.
    """

    class Forgetful(Stateful):
        def sample(self, rng, level):
            return level

        def _ask(self, kind, *where):
            *point, s = where
            return super()._ask(kind, *point, None if s is None else self.problem.sample(self.stream, s))

    problem = Quadratic.random(3, 2, noise=0.5, curvature_noise=0.5, n_samples=64, batch=2, rng=1)
    options = {**OPTIONS[method], "step": 0.01, "decay": 0.0, "terms": 3}
    recursion, alone = {"weight": 0.05, "weight_decay": 0.0}, {"weight": 1.0}
    if method == "accbo":
        recursion, alone = {"momentum": 0.9, "period": 1, "inner_steps": 1}, {"momentum": 0.0}

    def error(own):
        seen = []
        given = {"method": method, "rng": 0, "record": 1, **options, **recursion}
        minimize_bilevel(own, start(problem), budget=300, callback=seen.append, **given)
        there = {**given, **alone, "exact": True, "budget": 100, "callback": lambda result: True}
        exact = minimize_bilevel(problem, seen[-2], **there)
        return np.sum((seen[-1].memory.direction - exact.memory.direction) ** 2)

    kept, lost = ([error(kind(problem, seed)) for seed in range(10)] for kind in (Stateful, Forgetful))
    assert 20 * np.mean(kept) < np.mean(lost)
