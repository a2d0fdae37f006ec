"""Bilevel solvers: plain twins, counted calls, invariances, fixed points, who diverges where, bad input."""

import _thread
import math
import re
import subprocess
import sys
import threading

import numpy as np
import pytest
from scipy.optimize import brentq

from pessimism._status import Status
from pessimism.bilevel import METHODS, minimize_bilevel
from pessimism.bilevel._loops import LoopRun
from pessimism.bilevel.problem import KINDS, OracleError
from pessimism.bilevel.problems import Cosh, HyperCleaning, PessimismTuning, Quadratic, Quartic, Ridge
from tests.reference import bilevel_solvers as twins

NINE = ("bo-rep", "slip", "soba", "ma-soba", "amigo", "stocbio", "bsa", "ttsa", "f2sa")
NORMALISED = ("bo-rep", "slip")
LEVELS = {"lower_step": 0.05, "z_step": 0.07}
DOUBLE = {"step": 0.02, "inner_steps": 3, "terms": 4, "decay": 0.3, "decay_y": 0.2, **LEVELS}
OPTIONS = {  # none at its default, so that a number read from the wrong place shows
    "bo-rep": {"step": 0.3, "momentum": 0.7, "period": 3, "inner_steps": 4, "radius": 0.15, "decay": 0.4, "epochs": 2,
               "epoch_length": 3, "epoch_step": 0.11, "epoch_radius": 0.5, **LEVELS},
    "slip": {"step": 0.3, "momentum": 0.7, "decay": 0.4, "warm_steps": 4, "warm_step": 0.11, **LEVELS},
    "soba": {"step": 0.03, "lower_step": 0.05, "decay": 0.4},
    "ma-soba": {"step": 0.03, "lower_step": 0.05, "weight": 0.3, "clip": 0.8, "decay": 0.2},
    "amigo": DOUBLE, "stocbio": DOUBLE, "bsa": DOUBLE, "ttsa": {**DOUBLE, "inner_steps": 2},
    "f2sa": {"step": 0.02, "inner_steps": 3, "lower_step": 0.03, "w_step": 0.06, "penalty": 2.0, "penalty_growth": 0.1,
             "decay": 0.3},
}  # fmt: skip
SMALL = {"n_samples": 6, "batch": 3}
PROBLEMS = {
    "quadratic": lambda: Quadratic.random(3, 2, noise=0.3, curvature_noise=0.4, **SMALL, rng=1),
    "one by one": lambda: Quadratic.random(1, 1, noise=0.3, curvature_noise=0.4, **SMALL, rng=2),
    "quartic": lambda: Quartic.random(2, 4, **SMALL, rng=5),
    "cosh": lambda: Cosh.random(2, 3, **SMALL, rng=3),
    "ridge": lambda: Ridge.random(7, 5, dim=3, rho=0.2, batch=3, rng=6),
    "ridge, one penalty": lambda: Ridge.random(7, 5, dim=3, rho=0.2, per_coordinate=False, batch=3, rng=7),
    "cleaning": lambda: HyperCleaning.random(6, 4, dim=2, damping=0.1, rho=0.2, batch=3, rng=11),
    "tuning": lambda: PessimismTuning.random(4, 40, rho=0.1, rng=13),
}
every_method = pytest.mark.parametrize("method", NINE)
every_problem = pytest.mark.parametrize("make", PROBLEMS.values(), ids=PROBLEMS)
normalised = pytest.mark.parametrize("method", NORMALISED)


def start(problem, seed=0):
    return np.random.default_rng(seed).normal(size=problem.dim_x)


def near(expected, rel=1e-12):
    return pytest.approx(expected, rel=rel, abs=rel * (1 + np.abs(expected).max()))


def same(a, b):
    """Whether two results agree to the last bit."""
    return all(np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True) for name in ("x", "y", "z", "memory"))


@pytest.fixture
def uncompiled(monkeypatch):
    """minimize_bilevel on the plain loops, with the stream of the compiled ones."""

    def run(*args, **options):
        with monkeypatch.context() as patch:
            patch.setattr(LoopRun, "_compiled", staticmethod(LoopRun._plain))
            return minimize_bilevel(*args, **options)

    return run


class Own:
    """A user's problem: the oracles of another one, as plain functions, and a count of the calls."""

    def __init__(self, problem, *, sampled=False):
        self.problem, self.dim_x, self.dim_y = problem, problem.dim_x, problem.dim_y
        self.calls = dict.fromkeys(KINDS, 0)
        if sampled:
            self.sample = problem.sample

    def _ask(self, kind, *where):
        self.calls[kind] += 1
        return getattr(self.problem, kind)(*where)

    def grad_f(self, x, y, s=None):
        return self._ask("grad_f", x, y, s)

    def grad_g(self, x, y, s=None):
        return self._ask("grad_g", x, y, s)

    def grad_gx(self, x, y, s=None):
        return self._ask("grad_gx", x, y, s)

    def hvp(self, x, y, v, s=None):
        return self._ask("hvp", x, y, v, s)

    def cvp(self, x, y, v, s=None):
        return self._ask("cvp", x, y, v, s)


# Against the plain twins


@every_problem
@every_method
@pytest.mark.parametrize("exact", [False, True])
def test_a_solver_is_its_formula(make, method, exact):
    """On the same uniforms; the budget ends most of these runs in the middle of a step."""
    problem = make()
    y0 = np.random.default_rng(1).normal(size=problem.dim_y)
    shared = {"budget": 107, "rng": 8, "exact": exact}
    result = minimize_bilevel(problem, start(problem), y0, method=method, record=1, **shared, **OPTIONS[method])
    twin = twins.run(method, problem, start(problem), y0, **shared, options=OPTIONS[method])
    assert (result.nit, result.ncalls, result.cost) == (twin.nit, twin.calls, twin.cost)
    assert result.nit > 5
    for name in ("x", "y", "z"):
        assert getattr(result, name) == near(getattr(twin, name)), name
    assert result.history["x"][: twin.nit + 1] == near(np.array(twin.path))


def test_every_method_has_a_twin():
    assert set(NINE) <= set(METHODS)
    for method in NINE:
        assert set(OPTIONS[method]) == set(METHODS[method].options)
        for name, value in OPTIONS[method].items():
            assert value != METHODS[method].options[name], (method, name)


@every_method
@pytest.mark.parametrize("name", ["quadratic", "quartic", "cosh", "ridge"])
def test_compiled_and_plain_loops_agree(method, name, uncompiled):
    """To the last bit where there are only + - * / and square roots."""
    problem = PROBLEMS[name]()
    options = {"method": method, "budget": 301, "rng": 4, "record": 7, **OPTIONS[method]}
    fast = minimize_bilevel(problem, start(problem), **options)
    slow = uncompiled(problem, start(problem), **options)
    assert fast.ncalls == slow.ncalls
    if name in ("quadratic", "quartic"):
        assert same(fast, slow)
        assert np.array_equal(fast.history["x"], slow.history["x"])
    assert fast.x == near(slow.x)
    assert fast.history["x"] == near(slow.history["x"])


@every_method
def test_a_users_oracles_run_the_same_loops(method):
    problem = PROBLEMS["quadratic"]()
    own = Own(problem)
    options = {"method": method, "budget": 301, "rng": 4, **OPTIONS[method]}
    ours = minimize_bilevel(problem, start(problem), exact=True, **options)
    theirs = minimize_bilevel(own, start(problem), **options)  # without `sample` every call is exact
    assert same(ours, theirs)
    assert "gradient_norm" in ours.history
    assert "gradient_norm" not in theirs.history
    assert own.calls == theirs.ncalls == ours.ncalls


@every_method
def test_a_users_samples_are_drawn_from_tickets(method):
    """The same seed, the same samples; another seed, others; exact=True, none."""
    own = Own(PROBLEMS["quadratic"](), sampled=True)
    options = {"method": method, "budget": 90, **OPTIONS[method]}
    first, again, other = (minimize_bilevel(own, start(own), rng=seed, **options) for seed in (4, 4, 5))
    exact = minimize_bilevel(own, start(own), rng=4, exact=True, **options)
    assert same(first, again)
    for result in (other, exact):
        assert not same(first, result)
    ticket = int(np.random.default_rng(4).random() * 2**53)
    levels, handles = [], []

    def sample(rng, level):
        levels.append(level)
        handles.append(own.problem.sample(rng, level))
        return handles[-1]

    own.sample = sample
    minimize_bilevel(own, start(own), rng=4, **{**options, "budget": 1})
    assert levels == ["f" if method in ("soba", "ma-soba", "f2sa") else "g"]
    assert np.array_equal(handles[0], own.problem.sample(np.random.default_rng(ticket), levels[0]))


@pytest.mark.parametrize("exact", [False, True])
def test_steps_left_open_are_one_over_an_estimate_that_is_counted(exact):
    """Ten power iterations from one normal vector, always the same, on samples of their own."""
    problem = PROBLEMS["quadratic"]()
    rng, v = np.random.default_rng(3), np.random.default_rng(0).standard_normal(problem.dim_y)
    v /= np.linalg.norm(v)
    x0, y0 = start(problem), np.zeros(problem.dim_y)
    for _ in range(10):
        product = problem.hvp(x0, y0, v, None if exact else problem.sample(rng, "g"))
        v = product / np.linalg.norm(product)
    rate = 1 / np.linalg.norm(product)
    result = minimize_bilevel(problem, x0, method="slip", step=0.3, budget=200, rng=3, exact=exact)
    rates = {"lower_step": rate, "z_step": rate, "warm_step": rate, "warm_steps": 10, "momentum": 0.9, "decay": 0.5}
    twin = twins.run("slip", problem, x0, budget=190, rng=rng, exact=exact, options={"step": 0.3, **rates})
    assert result.x == near(twin.x, 1e-11)
    assert result.ncalls == {**twin.calls, "hvp": twin.calls["hvp"] + 10}
    assert result.cost == 200
    if exact:
        assert 1 / rate <= problem.curvature(x0)[1] * (1 + 1e-12)  # from below
    bought = minimize_bilevel(problem, x0, method="slip", step=0.3, budget=7, rng=3)
    assert (bought.nit, bought.ncalls["hvp"], bought.cost) == (0, 7, 7.0)
    dear = minimize_bilevel(problem, x0, method="slip", step=0.3, budget=100, costs={"hvp": 1000.0})
    assert (dear.cost, dear.status, dear.options) == (0.0, Status.BUDGET, {})  # no estimate, no steps


def test_the_estimate_sees_a_structured_hessian():
    """The vector of ones is an eigenvector of mu I + a graph's Laplacian, to its smallest eigenvalue."""
    n = 6
    ring = 2 * np.eye(n) - np.roll(np.eye(n), 1, 0) - np.roll(np.eye(n), -1, 0)
    problem = Quadratic(0.1 * np.eye(n) + 5 * ring, np.ones((n, 2)), np.arange(6.0), np.zeros(n), 1.0)
    rate = minimize_bilevel(problem, [1, 1], method="slip", step=0.01, budget=50, exact=True).options["lower_step"]
    assert 1 / 20.1 <= rate <= 1.5 / 20.1


# Calls


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


@every_method
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


@every_method
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


# Normalised methods


@normalised
@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_a_normalised_step_has_exactly_its_length(method, decay):
    for name in ("quadratic", "one by one", "cosh", "ridge"):
        problem = PROBLEMS[name]()
        options = {**OPTIONS[method], "decay": decay}
        result = minimize_bilevel(problem, 5 * start(problem), method=method, budget=400, rng=3, record=1, **options)
        path = result.history["x"][: result.nit + 1]
        eta = options["step"] * (1.0 + np.arange(result.nit)) ** -decay
        lengths, sizes = np.linalg.norm(np.diff(path, axis=0), axis=1), np.linalg.norm(path[:-1], axis=1)
        assert np.all(np.abs(lengths - eta) <= 8 * np.finfo(float).eps * (sizes + eta))


class Scaled(Own):
    """f times a number."""

    def __init__(self, problem, factor):
        super().__init__(problem, sampled=True)
        self.factor = factor

    def grad_f(self, x, y, s=None):
        return tuple(self.factor * part for part in super().grad_f(x, y, s))


@pytest.mark.parametrize("factor", [2.0**40, 2.0**-40, 3.0, 1e-6, 1e160, 1e-165])
def test_a_multiple_of_f_changes_no_normalised_iterate(factor):
    """z and m are linear in f as they begin at 0. To the last bit for powers of 2; an unnormalised method moves."""
    problem = PROBLEMS["cosh"]()
    x0 = start(problem)
    for method in (*NORMALISED, "soba"):
        options = {"method": method, "budget": 200, "rng": 3, **OPTIONS[method]}
        ours, theirs = (minimize_bilevel(Scaled(problem, c), x0, **options) for c in (1.0, factor))
        if method == "soba":
            assert np.abs(ours.x - theirs.x).max() > 1e-2 or not np.isfinite(theirs.x).all()
        elif np.log2(factor) % 1 == 0:
            assert np.array_equal(ours.x, theirs.x)
            assert np.array_equal(factor * ours.z, theirs.z)
        else:
            assert theirs.x == near(ours.x)


@every_method
def test_an_orthogonal_change_of_x_rotates_the_trajectory(method):
    """In its own coordinates, Quadratic with B Q' is the problem of Q x; its u rotates along, e stays."""
    rng = np.random.default_rng(0)
    problem = Quadratic.random(3, 2, noise=0.0, curvature_noise=0.3, **SMALL, rng=rng)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turned = Quadratic(problem.hessian, problem.coupling @ turn.T, problem.offset, problem.target, problem.rho, **SMALL)
    options = {"method": method, "budget": 200, "rng": 3, "record": 1, "exact": True, **OPTIONS[method]}
    x0 = start(problem)
    ours, theirs = minimize_bilevel(problem, x0, **options), minimize_bilevel(turned, turn @ x0, **options)
    assert theirs.history["x"] == near(ours.history["x"] @ turn.T)
    assert theirs.y == near(ours.y)
    assert theirs.z == near(ours.z)


@every_method
def test_without_a_gradient_nothing_moves(method):
    """f = 0 and y0 = y*: no direction to divide by its length; finite, and exactly where it began."""

    class Flat(Own):
        def grad_f(self, x, y, s=None):
            return np.zeros(self.dim_x), np.zeros(self.dim_y)

    problem = Quadratic([[2.0, 0.0], [0.0, 1.0]], np.zeros((2, 3)), [0.0, 0.0], target=[1.0, 1.0])
    x0 = start(problem)
    result = minimize_bilevel(Flat(problem), x0, method=method, budget=200, **OPTIONS[method])
    assert result.nit > 5
    assert result.status is Status.BUDGET
    for array, expected in ((result.x, x0), (result.y, np.zeros(2)), (result.z, np.zeros(2))):
        assert np.array_equal(array, expected)


@pytest.mark.parametrize("method", ["bo-rep", "slip", "soba", "ma-soba", "amigo"])
def test_min_max_problems_need_no_implicit_gradient(method):
    """With g = -f, f_y is 0 at y*, so z goes to 0 and F' is f_x: f = x'Bcy + x'x/2 - y'Ay/2."""
    rng = np.random.default_rng(1)
    hessian, coupling = np.diag([1.0, 2.0, 1.5]), rng.normal(size=(3, 2)) / 2

    class MinMax:
        dim_x, dim_y = 2, 3

        def grad_f(self, x, y, s=None):
            return coupling.T @ y + x, coupling @ x - hessian @ y

        def grad_g(self, x, y, s=None):
            return hessian @ y - coupling @ x

        def hvp(self, x, y, v, s=None):
            return hessian @ v

        def cvp(self, x, y, v, s=None):
            return -coupling.T @ v

    rates = {"step": 0.1, "lower_step": 0.5, "decay": 0.0}
    if method in NORMALISED:
        rates = {"momentum": 0.0, "z_step": 0.5, "lower_step": 0.5, "step": 1.0, "decay": 1.0}
    result = minimize_bilevel(MinMax(), [1.0, -1.0], method=method, budget=4000, **rates)
    assert np.linalg.norm(result.z) < (1e-2 if method in NORMALISED else 1e-9)
    assert np.linalg.norm(result.x) < (1e-2 if method in NORMALISED else 1e-9)


# Where they end


def test_unbiased_methods_reach_the_minimiser():
    problem = Quadratic.random(3, 4, condition=4.0, rho=0.5, rng=3)
    best = problem.minimiser()
    for method, step, budget in (("soba", 0.1, 4000), ("ma-soba", 0.1, 8000), ("amigo", 0.3, 8000)):
        result = minimize_bilevel(problem, start(problem), method=method, budget=budget, exact=True, step=step, decay=0)
        assert result.x == near(best, 1e-10)
        assert result.y == near(problem.solve_y(best), 1e-10)
        assert result.history["gradient_norm"][-1] < 1e-10


@normalised
def test_normalised_methods_end_in_a_cycle_of_the_size_of_their_step(method):
    """So a run whose step is halved again and again, each from the last result, reaches the minimiser."""
    problem = Quadratic.random(3, 4, condition=4.0, rho=0.5, rng=3)
    best = problem.minimiser()
    options = {"method": method, "momentum": 0.0, "budget": 1000, "exact": True, "decay": 0.0, "rng": 0}
    state, step = best + 3.0, 0.5
    while step > 1e-9:
        state = minimize_bilevel(problem, state, step=step, **options)
        away = np.linalg.norm(state.x - best)
        assert away < 10 * step
        step /= 4.0
    assert state.history["gradient_norm"][-1] < 1e-7


@pytest.mark.parametrize("terms", [0, 1, 2, 5, 40])
def test_stocbio_ends_at_a_wrong_point_that_is_known(terms):
    """Coordinate by coordinate z = k (y - t)/a_i with k = 1 - (1 - a a_i)^(Q+1), and rho x + b z = 0."""
    a, b, c, t, rho, rate = np.array([0.5, 2.0]), np.array([1.0, -1.5]), np.array([0.3, -1.0]), np.ones(2), 0.7, 0.2
    problem = Quadratic(np.diag(a), np.diag(b), c, t, rho)
    bias = (1 - rate * a) ** (terms + 1)
    slope, k = b / a, 1 - bias
    expected = slope * k * (t - c / a) / (rho + k * slope**2)
    options = {"method": "stocbio", "step": 0.3, "lower_step": 0.4, "inner_steps": 20, "budget": 150 * (22 + terms)}
    result = minimize_bilevel(problem, np.zeros(2), terms=terms, z_step=rate, **options)
    assert result.x == near(expected)
    best = problem.minimiser()
    distance = slope * (t - c / a) * rho * bias / ((rho + k * slope**2) * (rho + slope**2))
    assert best - result.x == near(distance, 1e-11)
    assert (np.abs(best - result.x).max() > 1e-3) == (terms < 40)


@pytest.mark.parametrize("gamma", [0.5, 0.1, 0.02])
def test_on_cosh_gradient_descent_diverges_exactly_beyond_its_threshold(gamma):
    """sinh|x|/|x| > 2/gamma, without coupling; every unnormalised method is then gradient descent on cosh."""
    edge = brentq(lambda x: math.sinh(x) / x - 2 / gamma, 1e-3, 20)
    assert edge == pytest.approx({0.5: 3.264, 0.1: 5.370, 0.02: 7.284}[gamma], abs=5e-4)
    problem = Cosh([[1.0]], [[0.0]], [0.0], target=[0.0])
    base = {"step": gamma, "decay": 0.0, "exact": True, "budget": 4000, "record": 500}
    for method, options in (
        ("soba", {"lower_step": 0.5}),
        ("ma-soba", {"lower_step": 0.5, "weight": 1.0}),
        ("amigo", {"inner_steps": 1, "lower_step": 0.5, "terms": 1, "z_step": 0.5}),
        ("stocbio", {"inner_steps": 1, "lower_step": 0.5, "terms": 1, "z_step": 0.5}),
    ):
        inside = minimize_bilevel(problem, [edge * 0.999], method=method, **base, **options)
        outside = minimize_bilevel(problem, [-edge * 1.001], method=method, **base, **options)
        assert inside.status is Status.BUDGET
        assert abs(inside.x[0]) < 1e-3
        assert outside.status is Status.DIVERGED, (method, outside.x, outside.cost)
        assert outside.cost < 4000
        assert np.isfinite(outside.history["x"][0]).all()


@normalised
def test_on_cosh_normalised_methods_come_back_from_anywhere(method):
    problem = Cosh.random(2, 3, rng=0)
    for far in (9.0, 40.0, 300.0):
        options = {"step": far / 2, "decay": 1.0, "momentum": 0.0}
        result = minimize_bilevel(problem, [far, -far], method=method, budget=3000, rng=1, **options)
        assert result.status is Status.BUDGET
        assert result.history["gradient_norm"][-1] < 1.0 < result.history["gradient_norm"][0]
    for rival in ("soba", "amigo"):
        assert minimize_bilevel(problem, [9.0, -9.0], method=rival, step=0.1, rng=1).status is Status.DIVERGED


@every_method
def test_a_diverging_run_ends_with_its_history(method):
    """Steps on y beyond 2/curvature: no error, no warning, the way there is kept."""
    problem = PROBLEMS["quadratic"]()
    options = {**OPTIONS[method], "lower_step": 50.0, "radius": np.inf, "epoch_radius": np.inf, "decay": 0.0}
    options = {name: value for name, value in options.items() if name in METHODS[method].options}
    result = minimize_bilevel(problem, start(problem), method=method, budget=10**5, rng=0, record=3, **options)
    assert result.status is Status.DIVERGED
    assert result.message == Status.DIVERGED.value
    assert result.cost < 10**5
    assert result.cost == sum(result.ncalls.values())
    assert len(result.history["nit"]) == len(result.history["x"]) > 1


@every_method
def test_gradients_whose_squares_overflow_are_no_silent_stop(method):
    """sinh 400 is a number and its square is not: normalised runs go on, others go on or say that they diverged."""
    problem = Cosh.random(2, 3, rng=0)
    result = minimize_bilevel(problem, [400.0, -400.0], method=method, budget=500, rng=1, **OPTIONS[method])
    if method in NORMALISED:
        assert (result.status, result.cost) == (Status.BUDGET, 500)
        assert np.abs(result.x).max() < 400
    else:
        assert result.status is Status.DIVERGED or result.cost == 500


@every_method
def test_infinite_gradients_are_told(method):
    problem = Cosh.random(2, 3, rng=0)
    result = minimize_bilevel(problem, [800.0, -800.0], method=method, budget=500, rng=1, **OPTIONS[method])
    assert result.status is Status.DIVERGED
    last = minimize_bilevel(problem, [800.0, -800.0], method=method, budget=result.cost, rng=1, **OPTIONS[method])
    assert (last.cost, last.status) == (result.cost, Status.DIVERGED)  # not BUDGET: no call was refused


# History, callback, resume


@every_method
def test_history_has_the_records(method):
    problem = PROBLEMS["quadratic"]()
    options = {"method": method, "budget": 300, "rng": 1, **OPTIONS[method]}
    every, some = (minimize_bilevel(problem, start(problem), record=n, **options) for n in (1, 4))
    assert same(every, some)  # looking changes nothing
    assert set(some.history) == {"nit", "cost", "x", "gradient_norm"}
    nit = some.history["nit"]
    assert nit[0] == 0
    assert nit[-1] == some.nit
    assert np.all(nit[:-1] % 4 == 0)
    assert np.array_equal(some.history["x"], every.history["x"][nit])
    assert np.array_equal(some.history["cost"][:-1], every.history["cost"][nit[:-1]])
    assert some.history["cost"][-1] == some.cost
    for x, norm in zip(some.history["x"], some.history["gradient_norm"], strict=True):
        assert norm == pytest.approx(np.linalg.norm(problem.gradient(x)), rel=1e-14)


def test_a_callback_sees_records_and_may_stop():
    problem = PROBLEMS["quadratic"]()
    seen = []

    def third(result):
        seen.append((result.nit, result.x.copy()))
        result.x[:] = np.nan  # its own copy
        return len(seen) == 3

    options = {"method": "soba", "record": 5, "rng": 1, **OPTIONS["soba"]}
    stopped = minimize_bilevel(problem, start(problem), budget=1000, callback=third, **options)
    assert [nit for nit, _ in seen] == [5, 10, 15]
    assert stopped.status is Status.STOPPED
    assert (stopped.nit, stopped.cost) == (15, 60.0)
    full = minimize_bilevel(problem, start(problem), budget=60, **options)
    assert same(stopped, full)
    assert np.array_equal(seen[-1][1], full.x)


def test_a_callback_sees_the_last_record_and_how_the_run_stands():
    seen = []
    problem = PROBLEMS["quadratic"]()
    result = minimize_bilevel(problem, start(problem), method="soba", budget=90, record=10, callback=seen.append,
                              rng=1, **OPTIONS["soba"])  # fmt: skip
    assert [r.nit for r in seen] == result.history["nit"][1:].tolist() == [10, 20, 22]
    assert [r.status for r in seen] == [Status.RUNNING, Status.RUNNING, Status.BUDGET]


@pytest.mark.usefixtures("interruptible")
def test_a_run_between_records_can_be_interrupted():
    problem = PROBLEMS["quadratic"]()
    threading.Timer(0.3, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        minimize_bilevel(problem, start(problem), method="soba", budget=1e15, record=10**9, **OPTIONS["soba"])


def test_a_gradient_is_a_stranger():
    """It may write into what it is given, and it is not asked where x is not finite."""

    class Rude(Own):
        def gradient(self, x):
            assert np.isfinite(x).all()
            x[:] = 0.0
            return x

    given = {"method": "soba", "budget": 40, "record": 1, **OPTIONS["soba"]}
    polite, rude = (minimize_bilevel(kind(PROBLEMS["quadratic"]()), np.ones(3), **given) for kind in (Own, Rude))
    assert np.array_equal(polite.x, rude.x)
    far = Rude(Cosh.random(3, 2, rng=0))
    assert minimize_bilevel(far, [9.0, -9.0, 9.0], **given | {"step": 1e9}).status is Status.DIVERGED


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


def test_arguments_are_left_as_they_were():
    problem = PROBLEMS["quadratic"]()
    x0, y0 = start(problem), np.ones(problem.dim_y)
    given = x0.copy(), problem.reals.copy()
    minimize_bilevel(problem, x0, y0, method="amigo", budget=99, rng=0, **OPTIONS["amigo"])
    assert np.array_equal(x0, given[0])
    assert np.array_equal(y0, np.ones(problem.dim_y))
    assert np.array_equal(problem.reals, given[1])


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"saba"}))
def test_x_stays_where_the_problem_allows_it(method):
    """A box, for a user's problem; every iterate is the projection of the step."""

    class Boxed(Own):
        def project_x(self, x):
            return np.clip(x, -0.5, 0.5)

    problem = Boxed(Quadratic.random(3, 2, rng=1))
    x0 = np.array([4.0, -4.0, 0.2])
    options = OPTIONS.get(method, {"step": 0.3, "lower_step": 0.05})
    result = minimize_bilevel(problem, x0, method=method, budget=300, record=1, **options)
    assert np.array_equal(result.history["x"][0], [0.5, -0.5, 0.2])
    assert np.abs(result.history["x"]).max() <= 0.5
    assert np.abs(np.diff(result.history["x"], axis=0)).max() > 0


@pytest.mark.parametrize("method", ["soba", "saba"])
def test_a_box_on_a_built_in_problem_is_respected(method):
    """Its own rows are drawn, and a box that is never reached changes nothing."""

    class Boxed(Ridge):
        __slots__ = ("wide",)

        def project_x(self, x):
            return np.clip(x, -self.wide, self.wide)

    problem, free = Boxed.random(7, 5, dim=3, rng=0), Ridge.random(7, 5, dim=3, rng=0)
    for wide in (0.01, 1e9):
        object.__setattr__(problem, "wide", wide)
        given = {"method": method, "step": 0.5, "lower_step": 0.01, "budget": 100, "rng": 0}
        result = minimize_bilevel(problem, np.zeros(3), **given)
        assert np.abs(result.x).max() <= wide
    assert result.x == near(minimize_bilevel(free, np.zeros(3), **given).x)


# Bad input


class Untouchable(Own):
    """Any call is one too many."""

    def _ask(self, kind, *where):
        raise AssertionError(kind)


@every_method
def test_a_missing_oracle_is_named_before_any_call(method):
    for oracle in METHODS[method].needs:
        problem = Untouchable(PROBLEMS["quadratic"]())
        setattr(problem, oracle, None)
        text = f"problem must have the oracle {oracle}, which {method} needs, and Untouchable has none"
        with pytest.raises(TypeError, match=text):
            minimize_bilevel(problem, np.zeros(3), method=method, **OPTIONS[method])


@every_method
def test_an_unknown_option_is_answered_by_the_known_ones(method):
    known = ", ".join(METHODS[method].options)
    with pytest.raises(TypeError, match=f"{method} has no option 'stepp'; it has {known}$"):
        minimize_bilevel(Untouchable(PROBLEMS["quadratic"]()), np.zeros(3), method=method, stepp=1.0)
    with pytest.raises(TypeError, match=f"{method} needs the option step"):
        minimize_bilevel(Untouchable(PROBLEMS["quadratic"]()), np.zeros(3), method=method)


BAD = {
    "unknown method": ({"method": "sobo"}, ValueError, "method must be one of 'bo-rep', 'slip', "),
    "x0 too long": ({"x0": np.zeros(4)}, ValueError, r"x0 must have shape \(3,\), got \(4,\)"),
    "x0 a number": ({"x0": 0.0}, ValueError, r"x0 must have shape \(3,\)"),
    "x0 NaN": ({"x0": [0.0, np.nan, 0.0]}, ValueError, r"x0\[1\]"),
    "x0 text": ({"x0": ["a", "b", "c"]}, TypeError, "x0"),
    "y0 too long": ({"y0": np.zeros(3)}, ValueError, r"y0 must have shape \(2,\), got \(3,\)"),
    "y0 infinite": ({"y0": [np.inf, 0.0]}, ValueError, r"y0\[0\]"),
    "budget negative": ({"budget": -1}, ValueError, "budget"),
    "budget endless": ({"budget": np.inf}, ValueError, "budget"),
    "budget NaN": ({"budget": np.nan}, ValueError, "budget"),
    "record 0": ({"record": 0}, ValueError, "record"),
    "record a fraction": ({"record": 1.5}, ValueError, "record"),
    "cost of nothing known": ({"costs": {"hessian": 1.0}}, ValueError, "costs"),
    "costs a list": ({"costs": [1, 2]}, TypeError, "costs must map kinds of calls to their costs, got list"),
    "callback a number": ({"callback": 3}, TypeError, "callback must be a function of a result, got 3"),
    "step infinite": ({"step": np.inf}, ValueError, "step must be at least 0 and finite"),
    "cost negative": ({"costs": {"hvp": -1.0}}, ValueError, r"costs\['hvp'\]"),
    "cost NaN": ({"costs": {"hvp": np.nan}}, ValueError, r"costs\['hvp'\]"),
    "cost 0, which ends no run": ({"costs": {"hvp": 0.0}}, ValueError, r"costs\['hvp'\]"),
    "step negative": ({"step": -0.1}, ValueError, "step"),
    "step NaN": ({"step": np.nan}, ValueError, "step"),
    "momentum 1": ({"momentum": 1.0}, ValueError, "momentum"),
    "warm_steps a fraction": ({"warm_steps": 2.5}, ValueError, "warm_steps"),
    "warm_steps negative": ({"warm_steps": -1}, ValueError, "warm_steps"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_named_before_any_call(case):
    changes, kind, text = BAD[case]
    arguments = {"x0": np.zeros(3), "y0": None, "method": "slip", **OPTIONS["slip"], **changes}
    problem = Untouchable(PROBLEMS["quadratic"]())
    with pytest.raises(kind, match=text):
        minimize_bilevel(problem, arguments.pop("x0"), arguments.pop("y0"), **arguments)


def test_threads_may_start_their_first_runs_together():
    """In a fresh process, where the loop is not in memory yet: compiled, or read, by one of them for all."""
    code = """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from pessimism.bilevel import minimize_bilevel
from pessimism.bilevel.problems import Quartic
together = Barrier(4)
def first(_):
    problem = Quartic.random(2, 2, rng=1)
    together.wait()
    return minimize_bilevel(problem, [1.0, 1.0], method="soba", step=0.01, lower_step=0.01, budget=9, rng=1).ncalls
with ThreadPoolExecutor(4) as pool:
    assert len({tuple(calls.items()) for calls in pool.map(first, range(4))}) == 1
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_budget_of_0_is_a_run_without_calls():
    x0 = np.arange(3.0)
    for method in NINE:
        result = minimize_bilevel(Untouchable(PROBLEMS["quadratic"]()), x0, method=method, budget=0, **OPTIONS[method])
        assert (result.nit, result.cost, result.status) == (0, 0.0, Status.BUDGET)
        assert np.array_equal(result.x, x0)


def test_a_result_brings_its_own_y():
    problem = PROBLEMS["quadratic"]()
    result = minimize_bilevel(problem, np.zeros(3), method="soba", budget=9, rng=0, **OPTIONS["soba"])
    with pytest.raises(ValueError, match="y0 must be left out"):
        minimize_bilevel(problem, result, np.zeros(2), method="soba", budget=9, **OPTIONS["soba"])


WRONG = {
    "grad_f in x": ("grad_f", lambda x, y: (y, y), "bo-rep"),
    "grad_f in y": ("grad_f", lambda x, y: (x, x), "f2sa"),
    "grad_f must return a pair": ("grad_f", lambda x, y: np.concatenate([x, y]), "soba"),
    "grad_g": ("grad_g", lambda x, y: x, "slip"),
    "grad_gx": ("grad_gx", lambda x, y: y, "f2sa"),
    "hvp": ("hvp", lambda x, y, v: np.outer(v, v), "amigo"),
    "cvp": ("cvp", lambda x, y, v: v, "stocbio"),
    "hvp must return numbers": ("hvp", lambda x, y, v: 1j * v, "soba"),
    "project_x": ("project_x", lambda x: x[:2], "soba"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_oracle_of_the_wrong_shape_is_named(case):
    oracle, wrong, method = WRONG[case]
    problem = Own(PROBLEMS["quadratic"]())
    setattr(problem, oracle, lambda *arguments: wrong(*arguments[: wrong.__code__.co_argcount]))
    with pytest.raises(OracleError, match=case):
        minimize_bilevel(problem, np.ones(3), method=method, **OPTIONS[method])


def test_a_lower_level_without_curvature_is_told():
    for scale in (0.0, -1.0):
        problem = Own(PROBLEMS["quadratic"]())
        problem.hvp = lambda x, y, v, s=None, scale=scale: scale * v
        with pytest.raises(OracleError, match="hvp must come from a positive definite Hessian"):
            minimize_bilevel(problem, np.ones(3), method="slip", step=0.1)
    for bad in (np.nan, np.inf):
        problem.hvp = lambda x, y, v, s=None, bad=bad: bad * np.ones(2)
        result = minimize_bilevel(problem, np.ones(3), method="slip", step=0.1)
        assert (result.status, result.nit, result.options) == (Status.DIVERGED, 0, {})
        assert result.message.endswith(f"came from hvp, entry 0: {bad}")


def test_an_oracle_that_is_none_is_absent():
    problem = Own(PROBLEMS["quadratic"]())
    problem.sample = problem.project_x = problem.gradient = None
    result = minimize_bilevel(problem, np.ones(3), method="soba", budget=40, **OPTIONS["soba"])
    assert "gradient_norm" not in result.history
    assert np.array_equal(
        result.x,
        minimize_bilevel(Own(PROBLEMS["quadratic"]()), np.ones(3), method="soba", budget=40, **OPTIONS["soba"]).x,
    )


def test_a_problem_without_sizes_is_told():
    problem = Own(PROBLEMS["quadratic"]())
    for size, kind, text in (("2", TypeError, "dim_x"), (0, ValueError, "dim_x"), (2.5, ValueError, "dim_x")):
        problem.dim_x = size
        with pytest.raises(kind, match=text):
            minimize_bilevel(problem, np.ones(3), method="soba", **OPTIONS["soba"])
    with pytest.raises(TypeError, match="problem must have dim_x, the length of x, and object has none"):
        minimize_bilevel(object(), np.ones(3), method=lambda *_: None)
    with pytest.raises(TypeError, match="problem must be an object, got the class Uncalled"):
        minimize_bilevel(Uncalled, np.ones(3), method=lambda *_: None)


class Uncalled:
    dim_x, dim_y = 3, 2


@every_method
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_oracles_that_return_nan_end_the_run(method, bad):
    problem = Own(PROBLEMS["quadratic"]())
    problem.grad_f = lambda x, y, s=None: (np.full(3, bad), np.full(2, bad))
    result = minimize_bilevel(problem, np.ones(3), method=method, budget=500, **OPTIONS[method])
    assert result.status is Status.DIVERGED
    first = rf"; the first number that is not came from grad_f in x, entry 0: {bad}$"
    assert re.search(first, result.message)
