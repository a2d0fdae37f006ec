"""Where runs go: invariances, fixed points and their biases, who diverges and from where."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from pessimism._status import Status
from pessimism.bilevel import METHODS, minimize_bilevel
from pessimism.bilevel.problems import Cosh, Quadratic
from tests.bilevel.cases import (
    NORMALISED,
    OPTIONS,
    PROBLEMS,
    SMALL,
    Own,
    every_method,
    near,
    normalised,
    sampled_or_not,
    start,
    users_method,
)

# Normalised methods


@pytest.mark.parametrize("method", [*NORMALISED, "accbo"])
@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_a_normalised_step_has_exactly_its_length(method, decay):
    for name in ("quadratic", "quadratic, one by one", "cosh", "ridge"):
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


@users_method
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


# Fixed points


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


def test_unbiased_methods_reach_the_minimiser():
    problem = Quadratic.random(3, 4, condition=4.0, rho=0.5, rng=3)
    best = problem.minimiser()
    two = {"inner_steps": 3, "cg_steps": 2}  # conjugate gradient steps for four unknowns: the warm start does the rest
    for method, budget, options in (
        ("soba", 4000, {"step": 0.1}),
        ("ma-soba", 8000, {"step": 0.1}),
        ("amigo", 8000, {"step": 0.3}),
        ("aid-cg", 8000, {"step": 0.1, **two}),
    ):
        given = {"method": method, "budget": budget, "exact": True, "decay": 0, **options}
        result = minimize_bilevel(problem, start(problem), **given)
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


def biased(problem, rate, factors):
    """Zero of the gradient with a sum of `factors` Neumann terms for the inverse of A."""
    damp = np.eye(problem.dim_y) - rate * problem.hessian
    inverse = rate * sum(np.linalg.matrix_power(damp, q) for q in range(factors))

    def gradient(x):
        return problem.rho * x + problem.coupling.T @ inverse @ (problem.solve_y(x) - problem.target)

    at_zero = gradient(np.zeros(problem.dim_x))  # it is affine
    return np.linalg.solve(np.stack([gradient(e) - at_zero for e in np.eye(problem.dim_x)], axis=1), -at_zero)


RATE = 0.1
TRUNCATED = {
    "mrbo": ({"terms": 4, "weight": 0.5, "decay": 0.0}, 5),
    "sustain": ({"terms": 1, "weight": 0.5, "decay": 0.0}, 1),
    "itd": ({"inner_steps": 6}, 6),
}


@pytest.mark.parametrize("method", TRUNCATED)
def test_a_truncated_sum_leaves_its_bias(method):
    """Convergence, to the minimiser of the truncated problem; there grad F = B'A^-1 (I - aA)^K (y* - t)."""
    problem = Quadratic.random(3, 4, rho=1.0, condition=9.0, noise=0.0, curvature_noise=0.0, n_samples=2, rng=4)
    options, factors = TRUNCATED[method]
    levels = {"lower_step": RATE} if method == "itd" else {"lower_step": RATE, "z_step": RATE}
    given = {"method": method, "exact": True, "budget": 60_000, "rng": 0, "step": 0.05, **levels, **options}
    result = minimize_bilevel(problem, start(problem), **given)
    fixed = biased(problem, RATE, factors)
    assert result.x == near(fixed, rel=1e-9)
    damped = np.linalg.matrix_power(np.eye(4) - RATE * problem.hessian, factors) @ (
        problem.solve_y(fixed) - problem.target
    )
    left = problem.coupling.T @ np.linalg.solve(problem.hessian, damped)
    assert problem.gradient(result.x) == near(left, rel=1e-8)
    assert np.linalg.norm(left) > 1e-3
    assert np.linalg.norm(damped) <= (1 - RATE) ** factors * np.linalg.norm(problem.solve_y(fixed) - problem.target)


def test_conjugate_gradients_end_at_the_solution():
    """As many steps as unknowns solve the system; more are not made once the residual is 0, also for one unknown."""
    problem = Quadratic([[2.0]], [[1.0]], [0.0], target=[3.0], rho=1.0)
    options = {"step": 0.0, "inner_steps": 1, "lower_step": 0.25, "cg_steps": 9}
    result = minimize_bilevel(problem, [1.0], [0.5], method="aid-cg", budget=5, **options)
    assert result.nit == 1
    assert result.ncalls["hvp"] == 2  # for the residual and for the one step
    assert result.z.tolist() == [(result.y[0] - 3.0) / 2.0]
    wide = Quadratic.random(3, 4, condition=9.0, rng=4)
    result = minimize_bilevel(
        wide, start(wide), method="aid-cg", budget=13, **{**options, "cg_steps": 4, "lower_step": 0.1}
    )
    assert wide.hessian @ result.z == near(result.y - wide.target)


def test_saba_finds_the_minimiser_on_sampled_rows():
    """Constant steps and noise that never fades: only the tables can remove it. Their means stay theirs."""
    problem = Quadratic.random(2, 2, condition=3.0, rho=1.0, noise=0.5, curvature_noise=0.3, **SMALL, rng=1)
    result = minimize_bilevel(problem, start(problem), method="saba", budget=40_000, rng=2, step=0.02, lower_step=0.1)
    assert np.linalg.norm(problem.gradient(result.x)) < 1e-9
    upper, lower = result.memory.table_f, result.memory.table_g
    assert lower.shape == (6, 6)
    assert result.memory.mean_f == near(upper.mean(axis=0), rel=1e-13)
    assert result.memory.mean_g == near(lower.mean(axis=0), rel=1e-13)
    noisy = minimize_bilevel(
        problem, start(problem), method="soba", budget=12_000, rng=2, step=0.02, lower_step=0.1, decay=0.0
    )
    assert np.linalg.norm(problem.gradient(noisy.x)) > 1e-4


# Divergence


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
    assert result.message.startswith(Status.DIVERGED.value)
    assert ("; too long: lower_step = 50; the curvature of g in y reached " in result.message) == (method != "f2sa")
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


@pytest.mark.parametrize("method", METHODS)
@sampled_or_not
def test_a_direction_that_overflows_ends_as_diverged(method, exact):
    """Sinh 800 is infinite where all iterates still are finite."""
    options = {"step": 0.1} | ({"lower_step": 0.1, "w_step": 0.1} if method == "f2sa" else {})
    problem = Cosh.random(2, 3, n_samples=4, batch=2, rng=0)
    result = minimize_bilevel(problem, [800.0, 800.0], method=method, budget=1000, rng=1, exact=exact, **options)
    assert result.status is Status.DIVERGED
    assert result.cost < 200
    assert np.isfinite(result.x).all()


def test_tables_are_not_filled_again():
    problem = Quadratic.random(2, 3, rng=0)
    first = minimize_bilevel(problem, [1.0, 1.0], method="saba", budget=5000, rng=1, step=0.01)
    more = minimize_bilevel(problem, first, method="saba", budget=40, rng=1, step=0.01, lower_step=0.1)
    assert more.nit == first.nit + 10
