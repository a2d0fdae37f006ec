"""Hypergradients: closed forms, finite differences of F, the error bound and where it is met, and bad oracles."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import gmres, minres

from pessimism._status import ConvergenceError, Status
from pessimism.bilevel import hypergradient
from pessimism.bilevel.problem import OracleError
from pessimism.bilevel.problems import LogisticRidge


class Dense:
    """g = y'Ay/2 - y'(Bx + c), f = |y - t|^2/2 + rho |x|^2/2; counts its calls."""

    def __init__(self, seed=0, dim_x=2, dim_y=3, condition=10.0):
        rng = np.random.default_rng(seed)
        q, _ = np.linalg.qr(rng.normal(size=(dim_y, dim_y)))
        self.a = (q * np.geomspace(0.4, 0.4 * condition, dim_y)) @ q.T
        self.a = (self.a + self.a.T) / 2
        self.b, self.c, self.t = rng.normal(size=(dim_y, dim_x)), rng.normal(size=dim_y), rng.normal(size=dim_y)
        self.dim_x, self.dim_y, self.rho, self.calls = dim_x, dim_y, 0.3, dict.fromkeys("fghc", 0)

    def grad_f(self, x, y, s=None):
        self.calls["f"] += 1
        return self.rho * x, y - self.t

    def grad_g(self, x, y, s=None):
        self.calls["g"] += 1
        return self.a @ y - self.b @ x - self.c

    def hvp(self, x, y, v, s=None):
        self.calls["h"] += 1
        return self.a @ v

    def cvp(self, x, y, v, s=None):
        self.calls["c"] += 1
        return -self.b.T @ v

    def solve_y(self, x):
        return np.linalg.solve(self.a, self.b @ x + self.c)

    def gradient(self, x):
        return self.rho * x + self.b.T @ np.linalg.solve(self.a, self.solve_y(x) - self.t)

    def mu(self):
        return float(np.linalg.eigvalsh(self.a)[0])

    def slope(self):
        """Lipschitz constant of y -> G(y, H^-1 grad_y f), which is linear."""
        return float(np.linalg.norm(self.b.T @ np.linalg.inv(self.a), 2))


def with_minres(operator, b, z0, rtol):
    return minres(operator, b, x0=z0, rtol=rtol / 100)[0]


def with_gmres(operator, b, z0, rtol):
    return gmres(operator, b, x0=z0, rtol=rtol, atol=0.0)[0]


SOLVERS = ["cg", "neumann", "direct", with_minres, with_gmres]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("dim_x", "dim_y"), [(1, 1), (2, 3), (4, 2), (3, 3)])
def test_closed_form(solver, dim_x, dim_y):
    problem, x = Dense(1, dim_x, dim_y), np.linspace(-1, 1, dim_x)
    found = hypergradient(problem, x, solver=solver, rtol=1e-10)
    np.testing.assert_allclose(found.value, problem.gradient(x), rtol=1e-8, atol=1e-8)
    z = np.linalg.solve(problem.a, problem.solve_y(x) - problem.t)
    np.testing.assert_allclose(found.z, z, rtol=1e-8, atol=1e-8)
    again = np.linalg.norm(problem.a @ found.z - found.y + problem.t) / np.linalg.norm(found.y - problem.t)
    assert found.residual == pytest.approx(again, rel=1e-6, abs=1e-15)
    assert found.residual <= 1e-10
    assert found.status is (Status.EXACT if solver == "direct" else Status.CONVERGED)
    assert not any(array.flags.writeable for array in (found.value, found.z, found.y))


@pytest.mark.parametrize("solver", ["cg", "neumann", "direct"])
@pytest.mark.parametrize("log_penalty", [-3.0, 0.0, 1.0])
def test_against_finite_differences_of_the_upper_value(solver, log_penalty):
    """The Hessian moves with x and y."""
    problem, h = LogisticRidge.random(40, 40, dim=4, per_coordinate=False, rng=0), 1e-5
    up, down = (problem.value([log_penalty + s * h]) for s in (1, -1))
    found = hypergradient(problem, [log_penalty], solver=solver, rtol=1e-10)
    # rounding 1e-16 / h and truncation h^2 of a central difference
    assert found.value[0] == pytest.approx((up - down) / (2 * h), rel=1e-6, abs=1e-10)


def test_a_warm_start_saves_products_and_changes_nothing_else():
    problem, x = Dense(2, 3, 40, condition=1e3), np.ones(3)
    cold = hypergradient(problem, x, rtol=1e-8)
    near = hypergradient(problem, x + 1e-3, rtol=1e-8, z=cold.z)
    there = hypergradient(problem, x, rtol=1e-7, z=cold.z)
    assert near.iterations < cold.iterations
    assert there.iterations <= 1
    np.testing.assert_allclose(near.value, hypergradient(problem, x + 1e-3, rtol=1e-8).value, rtol=1e-5)


def test_conjugate_gradients_end_after_as_many_steps_as_there_are_eigenvalues():
    problem = Dense(3, 2, 30)
    problem.a = np.diag(np.repeat([1.0, 2.0, 5.0], 10))
    assert hypergradient(problem, np.ones(2), rtol=1e-10).iterations == 3


def test_the_neumann_series_needs_steps_in_proportion_to_the_condition_number():
    # |r| falls by 1 - 1/condition a step, so log(1/rtol) * condition steps at most, and twice that for the safe half
    steps = [hypergradient(Dense(4, 2, 5, k), np.ones(2), solver="neumann", rtol=1e-6).iterations for k in (10, 100)]
    assert steps[0] <= 22 + 10 * np.log(2e6) + 1
    assert steps[1] <= 22 + 100 * np.log(2e6) + 1
    assert steps[1] > 3 * steps[0]


seeds = st.integers(0, 2**32)
shapes = st.tuples(st.integers(1, 4), st.integers(1, 4))


@settings(max_examples=60)
@given(seed=seeds, shape=shapes, damping=st.sampled_from([0.0, 0.1, 10.0]), solver=st.sampled_from(SOLVERS[:3]))
def test_the_error_bound_holds_for_inexact_y_and_z(seed, shape, damping, solver):
    problem, rng = Dense(seed, *shape), np.random.default_rng(seed)
    x = rng.normal(size=shape[0])
    y = problem.solve_y(x) + rng.normal(size=shape[1]) * 10.0 ** rng.integers(-6, 1)
    known = {"mu": problem.mu(), "cross": float(np.linalg.norm(problem.b, 2)), "slope": problem.slope()}
    found = hypergradient(problem, x, y, solver=solver, rtol=0.1, damping=damping, **known)
    assert np.linalg.norm(found.value - problem.gradient(x)) <= found.error_bound * (1 + 1e-9) + 1e-12


@settings(max_examples=60)
@given(seed=seeds, shape=shapes, damping=st.sampled_from([0.0, 0.1, 10.0]))
def test_the_bound_of_direct_needs_no_constants(seed, shape, damping):
    problem = Dense(seed, *shape)
    x = np.random.default_rng(seed).normal(size=shape[0])
    found = hypergradient(problem, x, solver="direct", damping=damping)
    error = np.linalg.norm(found.value - problem.gradient(x))
    assert error <= found.error_bound * (1 + 1e-9) + 1e-12
    assert not damping or found.error_bound > 0


@settings(max_examples=60)
@given(seed=seeds, solver=st.sampled_from(["cg", "neumann"]))
def test_the_estimated_bound_holds_and_is_not_idle(seed, solver):
    # mu is a Ritz value; the norm of C is missed with probability 1e-6 over the probes
    problem = Dense(seed, 3, 6, condition=50.0)
    x = np.random.default_rng(seed).normal(size=3)
    found = hypergradient(problem, x, solver=solver, rtol=1e-2)
    error = np.linalg.norm(found.value - problem.gradient(x))
    assert error <= found.error_bound
    longest = np.linalg.norm(np.random.default_rng(0).normal(size=(6, 6)), axis=1).max()
    left = found.residual * np.linalg.norm(found.y - problem.t)
    most = 10 * np.sqrt(2 / np.pi) * longest * np.linalg.norm(problem.b, 2) * left / problem.mu()
    assert found.error_bound <= most * (1 + 1e-9)


def test_the_bound_is_met_in_one_dimension():
    problem, x = Dense(5, 1, 1), np.array([0.7])
    cross, mu = float(abs(problem.b[0, 0])), problem.mu()
    damped = hypergradient(problem, x, damping=0.5, mu=mu, cross=cross)
    off = abs(damped.value[0] - problem.gradient(x)[0])
    assert damped.error_bound == pytest.approx(off, rel=1e-10)
    shifted = hypergradient(problem, x, problem.solve_y(x) + 0.1, mu=mu, slope=problem.slope())
    off = abs(shifted.value[0] - problem.gradient(x)[0])
    assert shifted.error_bound == pytest.approx(off, rel=1e-10)


@settings(max_examples=40)
@given(seed=seeds, extra=st.integers(0, 2), dim_y=st.integers(1, 4))
def test_the_first_term_is_within_the_condition_numbers(seed, extra, dim_y):
    problem = Dense(seed, dim_y + extra, dim_y)
    x = np.random.default_rng(seed).normal(size=problem.dim_x)
    found = hypergradient(problem, x, solver="direct", damping=0.3)
    factor = np.linalg.cond(problem.a) * np.linalg.cond(problem.b)
    assert found.error_bound <= factor * np.linalg.norm(found.value - problem.gradient(x)) * (1 + 1e-6)


def test_a_bound_without_constants_is_that_of_a_newton_step():
    """For a quadratic g that step is exact; a matrix with a kernel has none, whatever the damping."""
    problem, x = Dense(), np.ones(2)
    y, known = problem.solve_y(x), {"slope": problem.slope(), "mu": problem.mu()}
    assert hypergradient(problem, x).error_bound < 1e-5
    for shift in (1e-12, 1e-6, 1.0):
        found, told = (hypergradient(problem, x, y + shift, rtol=1e-12, **given) for given in ({}, known))
        error = np.linalg.norm(found.value - problem.gradient(x))
        assert error <= found.error_bound + 1e-14 <= error + 1e-9 + 1e-14
        assert told.error_bound >= error - 1e-14
    semi = Dense()
    semi.a = np.diag([0.0, 1.0, 2.0])
    assert hypergradient(semi, x, np.zeros(3), damping=0.1, slope=1.0, solver="direct").error_bound == np.inf


@pytest.mark.parametrize("solver", SOLVERS[:3])
@pytest.mark.parametrize("off", [1e-12, 1e-9, 1e-6])
def test_the_bound_of_a_nearly_exact_y_is_finite_where_the_hessian_moves(solver, off):
    problem = LogisticRidge.random(40, 40, dim=4, rng=0)
    x = np.random.default_rng(0).normal(size=4)
    y = problem.solve_y(x) + off * np.random.default_rng(1).normal(size=4)
    found = hypergradient(problem, x, y, solver=solver, rtol=1e-13)
    error = np.linalg.norm(found.value - problem.gradient(x))
    assert error <= found.error_bound + 1e-14
    assert found.error_bound <= 1.01 * error + 1e-11  # the triangle inequality loses what rtol leaves


class Steep:
    """g = cosh(y - x), f = y + y^2 / 20: F(x) = x + x^2 / 20, and H is 1 at y* = x but 74 at x + 5."""

    dim_x = dim_y = 1

    def grad_f(self, x, y, s=None):
        return np.zeros(1), 1 + y / 10

    def grad_g(self, x, y, s=None):
        return np.sinh(y - x)

    def hvp(self, x, y, v, s=None):
        return np.cosh(y - x) * v

    def cvp(self, x, y, v, s=None):
        return -np.cosh(y - x) * v


def test_the_curvature_at_y_bounds_no_distance_to_the_solution():
    far = hypergradient(Steep(), [0.0], [5.0], slope=0.1, solver="direct")
    assert far.value[0] - 1.0 == pytest.approx(0.5)
    assert far.error_bound == np.inf
    known = hypergradient(Steep(), [0.0], [5.0], slope=0.1, mu=1.0, solver="direct")
    assert known.error_bound == pytest.approx(0.1 * np.sinh(5.0))


@pytest.mark.parametrize("solver", ["cg", "neumann", "direct"])
def test_solve_y_is_believed_only_where_grad_g_is_rounding(solver):
    problem, x = Dense(), np.ones(2)
    true, exact = hypergradient(problem, x, solver="direct"), problem.solve_y
    problem.solve_y = lambda x: exact(x) + 1e-3
    for known in ({}, {"mu": problem.mu(), "slope": problem.slope()}):
        found = hypergradient(problem, x, solver=solver, **known)
        assert 1e-4 < np.linalg.norm(found.value - true.value) <= found.error_bound < 1.0
    problem.solve_y = lambda x: exact(x) * (1 + 1e-15)
    assert hypergradient(problem, x, solver="direct").error_bound < 1e-12
    assert hypergradient(problem, x, exact(x), solver="direct").error_bound < 1e-12


class Bare(Dense):
    """Nobody has solved its lower level."""

    solve_y = None


def test_the_lower_level_is_solved_by_newton_steps_or_by_a_given_solver():
    """Also where they must be halved: cosh(4 y) and a start ten times too far."""
    x = np.ones(2)
    expected = Dense().gradient(x)
    asked = []

    def solve(at):
        asked.append(at)
        return Dense().solve_y(at)

    for y in (None, solve):
        found = hypergradient(Bare(), x, y, rtol=1e-12)
        np.testing.assert_allclose(found.value, expected, rtol=1e-9)
        assert found.error_bound < 1e-8
    assert np.array_equal(asked, [x])
    logistic = LogisticRidge.random(40, 40, dim=4, rng=0)
    oracles = {name: getattr(logistic, name) for name in ("dim_x", "dim_y", "grad_f", "grad_g", "hvp", "cvp")}
    for scale in (-3.0, 0.0, 2.0):
        found = hypergradient(SimpleNamespace(**oracles), np.full(4, scale), rtol=1e-12)
        assert np.linalg.norm(found.value - logistic.gradient(np.full(4, scale))) <= found.error_bound + 1e-13 < 1e-8
    far = hypergradient(Steep(), [30.0])  # y* = 30, and a full step from 0 goes no further than 1
    assert far.y[0] == pytest.approx(30.0)
    assert far.value[0] == pytest.approx(1 + 30 / 10)
    with pytest.raises(OracleError, match="y must return 3 numbers"):
        hypergradient(Bare(), x, lambda at: at)


@pytest.mark.parametrize("solver", ["cg", "neumann", "direct"])
@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1e-160, 1e160, 1e200, 1e300])
def test_units_whose_squares_are_zero_or_infinite(solver, unit):
    def times_unit(oracle):
        return lambda *a: unit * oracle(*a)

    enlarged = Dense()
    for name in ("grad_g", "hvp", "cvp"):
        setattr(enlarged, name, times_unit(getattr(enlarged, name)))
    enlarged.grad_f = lambda *a: tuple(unit * part for part in Dense.grad_f(enlarged, *a))
    x, start = np.ones(2), np.full(3, 0.1)
    scaled, plain = (hypergradient(problem, x, solver=solver, z=start) for problem in (enlarged, Dense()))
    np.testing.assert_allclose(scaled.value / unit, plain.value, rtol=1e-7)
    np.testing.assert_allclose(scaled.z, plain.z, rtol=1e-7)
    assert scaled.iterations == plain.iterations
    error = np.linalg.norm(scaled.value / unit - Dense().gradient(x))
    assert error <= scaled.error_bound / unit + 1e-12
    assert scaled.error_bound / unit == pytest.approx(plain.error_bound, rel=1e-3, abs=1e-12)


def test_an_upper_level_that_ignores_y():
    problem = Dense()
    problem.grad_f = lambda x, y, s=None: (2 * x, np.zeros(3))
    for solver in ("cg", "neumann", "direct"):
        found = hypergradient(problem, [1.0, 2.0], solver=solver, z=np.ones(3))
        assert found.value.tolist() == [2.0, 4.0]
        assert (found.residual, found.error_bound, found.iterations, found.status) == (0.0, 0.0, 0, Status.EXACT)


def test_the_calls_are_those_documented():
    for solver, extra_h, cvps in (("cg", (2, 3), 7), ("neumann", (2, 2), 7), ("direct", (2, 2), 4)):
        problem = Dense()
        found = hypergradient(problem, np.ones(2), solver=solver, z=np.full(3, 0.1))
        assert problem.calls["f"] == 1
        assert problem.calls["g"] == 1
        assert extra_h[0] <= problem.calls["h"] - found.iterations <= extra_h[1]
        assert problem.calls["c"] == cvps
    problem = Dense()
    hypergradient(problem, np.ones(2), np.zeros(3), cross=10.0, slope=1.0, mu=0.1)
    assert (problem.calls["f"], problem.calls["g"], problem.calls["c"]) == (1, 1, 1)
    hypergradient(problem, np.ones(2), np.zeros(3), cross=10.0)  # and a Newton step, after which all is done again
    assert (problem.calls["f"], problem.calls["g"], problem.calls["c"]) == (3, 4, 3)


def test_too_few_iterations():
    problem = Dense(6, 2, 30, condition=1e4)
    for solver in ("cg", "neumann"):
        with pytest.raises(ConvergenceError, match=r"residual .* is above rtol = 1e-08 after .*maxiter") as caught:
            hypergradient(problem, np.ones(2), solver=solver, maxiter=3)
        partial = caught.value.result
        assert partial.status is Status.NOT_CONVERGED
        assert partial.residual > 1e-8
        assert np.linalg.norm(partial.value - problem.gradient(np.ones(2))) <= partial.error_bound
    with pytest.raises(ConvergenceError):
        hypergradient(problem, np.ones(2), solver=lambda operator, b, z0, rtol: z0)
    stiff = Dense(6, 2, 30, condition=1e4)
    with pytest.raises(ConvergenceError, match=r"with H: allow a larger rtol, or some damping$") as caught:
        hypergradient(stiff, np.ones(2), solver="direct", rtol=1e-17)
    assert caught.value.result.status is Status.ROUNDING
    # from so far away the recursive residual drifts: conjugate gradients start again, 19 products if they may
    with pytest.raises(ConvergenceError) as caught:
        hypergradient(Dense(1, 2, 6), np.ones(2), rtol=1e-10, maxiter=12, z=np.full(6, 1e10))
    assert caught.value.result.iterations <= 12 + 1


@pytest.mark.parametrize("solver", ["cg", "neumann", "direct", with_minres])
def test_matrices_that_are_not_positive_definite(solver):
    x, y = np.ones(2), np.zeros(3)
    skew = Dense()
    skew.a = skew.a + np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 0]])
    with pytest.raises(ValueError, match="hvp must be symmetric"):
        hypergradient(skew, x, y, solver=solver)
    for a in (-skew.a, np.diag([1.0, -5.0, 2.0])):
        indefinite = Dense()
        indefinite.a = (a + a.T) / 2
        with pytest.raises(ValueError, match="hvp must be positive definite, got a direction of curvature -"):
            hypergradient(indefinite, x, y, solver=solver)


def test_a_singular_matrix_is_rescued_by_damping():
    problem, x, y = Dense(), np.ones(2), np.zeros(3)
    problem.a = np.diag([0.0, 1.0, 2.0])
    with pytest.raises(ValueError, match=r"positive definite.*or damp it"):
        hypergradient(problem, x, y, solver="direct")
    for solver in ("cg", "neumann", "direct"):
        found = hypergradient(problem, x, y, solver=solver, damping=0.5, rtol=1e-10)
        np.testing.assert_allclose(found.z, -problem.t / np.array([0.5, 1.5, 2.5]), rtol=1e-8)


@pytest.mark.parametrize(
    ("oracle", "name"),
    [("grad_f", "grad_f in y"), ("grad_g", "grad_g"), ("hvp", "hvp"), ("cvp", "cvp"), ("solve_y", "solve_y")],
)
@pytest.mark.parametrize("bad", [np.nan, np.inf, "shape"])
def test_bad_oracles_are_named(oracle, name, bad):
    problem = Dense()
    good = getattr(problem, oracle)

    def broken(*arguments):
        result = good(*arguments)
        array = (result[1] if oracle == "grad_f" else result).copy()
        if bad == "shape":
            array = np.append(array, 0.0)
        else:
            array[-1] = bad
        return (result[0], array) if oracle == "grad_f" else array

    setattr(problem, oracle, broken)
    expected = "must return . numbers, got shape" if bad == "shape" else "must return finite numbers, got "
    with pytest.raises(OracleError, match=f"^{name} {expected}"):
        hypergradient(problem, np.ones(2), None if oracle == "solve_y" else np.zeros(3))


@pytest.mark.parametrize(
    ("arguments", "options", "expected"),
    [
        (([1.0],), {}, r"x must have shape \(2,\), got \(1,\)"),
        (([1.0, np.nan],), {}, r"x\[1\] must be finite"),
        (([1.0, 1.0], [0.0]), {}, r"y must have shape \(3,\), got \(1,\)"),
        (([1.0, 1.0],), {"z": [1.0]}, r"z must have shape \(3,\)"),
        (([1.0, 1.0],), {"solver": "bicg"}, "solver must be one of 'cg', 'neumann', 'direct', got 'bicg'"),
        (([1.0, 1.0],), {"rtol": 0.0}, "rtol must be in"),
        (([1.0, 1.0],), {"damping": -1.0}, "damping must be at least 0 and finite"),
        (([1.0, 1.0],), {"maxiter": 0}, "maxiter must be a whole number"),
        (([1.0, 1.0],), {"mu": 0.0}, "mu must be positive"),
        (([1.0, 1.0],), {"mu": 5.0, "rtol": 0.5}, "mu must be at most the smallest eigenvalue of H"),
        (([1.0, 1.0],), {"slope": -1.0}, "slope must be at least 0 and finite"),
        (([1.0, 1.0],), {"solver": lambda *_: [1.0]}, "solver must return 3 numbers"),
        (([1.0, 1.0],), {"solver": lambda *_: (np.ones(3), 0)}, "solver must return z alone, got a tuple of 2"),
        (([1.0, 1.0],), {"solver": lambda operator, *_: operator @ np.full(3, np.inf)}, "solver must ask for products"),
        (([1.0, 1.0],), {"solver": lambda *_: [1.0, np.nan, 0.0]}, "solver must return finite numbers"),
    ],
)
def test_bad_input(arguments, options, expected):
    with pytest.raises(ValueError, match=expected):
        hypergradient(Dense(), *arguments, **options)


def test_missing_oracles():
    bare = Bare()
    bare.cvp = None
    with pytest.raises(TypeError, match="must have the oracle cvp, which hypergradient needs"):
        hypergradient(bare, [1.0, 1.0], np.zeros(3))
