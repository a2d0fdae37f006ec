"""Problems from JAX functions: closed forms, finite differences, float64 whatever JAX is set to; PyTorch's refusal."""

from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pessimism.bilevel import OracleError, minimize_bilevel
from pessimism.bilevel.check import ProblemError, check_problem
from pessimism.bilevel.implicit import hypergradient
from pessimism.interop.jax_problem import from_jax
from pessimism.interop.torch_problem import _Autodiff, from_torch

RNG = np.random.default_rng(0)
A = (lambda m: m @ m.T + np.eye(3))(RNG.normal(size=(3, 3)))
B, C, T = RNG.normal(size=(3, 2)), RNG.normal(size=3), RNG.normal(size=3)
ROWS, LABELS = RNG.normal(size=(30, 3)), RNG.choice([-1.0, 1.0], size=30)


def upper(x, y):
    return 0.5 * jnp.sum((y - T) ** 2) + jnp.sum(jnp.cosh(x))


def lower(x, y):
    return 0.5 * y @ A @ y - y @ (B @ x + C)


def logistic(x, y, sample):
    rows, labels = (ROWS, LABELS) if sample is None else (jnp.asarray(ROWS)[sample], jnp.asarray(LABELS)[sample])
    return jnp.mean(jnp.logaddexp(0.0, -labels * (rows @ y))) + 0.5 * jnp.exp(x[0]) * jnp.sum(y**2) + x[1] * y[0] ** 2


def draw(rng, level):
    return rng.integers(30, size=8)


@pytest.fixture(scope="module")
def quadratic():
    return from_jax(upper, lower, 2, 3, solve_y=lambda x: np.linalg.solve(A, B @ x + C), project_x=lambda x: x)


@pytest.fixture(scope="module")
def sampled():
    return from_jax(upper, logistic, 2, 3, sample=draw)


def test_oracles_are_the_closed_forms(quadratic):
    x, y, v = RNG.normal(size=2), RNG.normal(size=3), RNG.normal(size=3)
    gx, gy = quadratic.grad_f(x, y)
    for found, exact in [
        (gx, np.sinh(x)),
        (gy, y - T),
        (quadratic.grad_g(x, y), A @ y - B @ x - C),
        (quadratic.grad_gx(x, y), -B.T @ y),
        (quadratic.hvp(x, y, v), A @ v),
        (quadratic.cvp(x, y, v), -B.T @ v),
    ]:
        assert isinstance(found, np.ndarray)
        assert found.dtype == np.float64
        assert found.flags.writeable
        np.testing.assert_allclose(found, exact, rtol=1e-13, atol=1e-13)
    assert isinstance(quadratic.f(x, y), float)
    assert quadratic.g(x, y) == pytest.approx(0.5 * y @ A @ y - y @ (B @ x + C), rel=1e-13)


def test_the_hypergradient_is_the_closed_form(quadratic):
    x = np.array([0.5, -0.2])
    y = np.linalg.solve(A, B @ x + C)
    exact = np.sinh(x) + B.T @ np.linalg.solve(A, y - T)
    np.testing.assert_allclose(hypergradient(quadratic, x, rtol=1e-12).value, exact, rtol=1e-10)


def test_newton_steps_are_an_inner_solver(quadratic):
    """With them a run knows its gradient norms, those of the closed form."""
    x, newton = np.array([0.5, -0.2]), from_jax(upper, lower, 2, 3, solve_y="newton")
    y = newton.solve_y(x)
    assert isinstance(y, np.ndarray)
    np.testing.assert_allclose(y, np.linalg.solve(A, B @ x + C), rtol=1e-12)
    check_problem(newton, x, np.ones(3))
    runs = [
        minimize_bilevel(problem, x, method="soba", step=0.05, lower_step=0.05, budget=60, exact=True, rng=0)
        for problem in (newton, quadratic)
    ]
    np.testing.assert_allclose(*(run.history["gradient_norm"] for run in runs), rtol=1e-9)

    steep = from_jax(upper, lambda x, y: jnp.sum(jnp.cosh(3 * y) - jnp.exp(4 * x[0]) * y), 2, 3, solve_y="newton")
    for at in (-1.0, 0.0, 2.0):
        np.testing.assert_allclose(steep.solve_y([at, 0.0]), np.arcsinh(np.exp(4 * at) / 3) / 3 * np.ones(3), rtol=1e-9)


@pytest.mark.parametrize("g", [lambda x, y: jnp.sum(jnp.exp(-y) + 0 * x[0]), lambda x, y: jnp.sum(x[0] * y)])
def test_newton_steps_that_find_no_minimiser_say_so(g):
    with pytest.raises(OracleError, match="solve_y must come closer to the minimiser of g"):
        from_jax(upper, g, 2, 3, solve_y="newton").solve_y(np.ones(2))


def test_a_solver_written_in_jax_computes_in_float64():
    def solve(x):
        return jnp.linalg.solve(jnp.asarray(A), jnp.asarray(B) @ x + C)

    problem = from_jax(upper, lower, 2, 3, solve_y=solve, project_x=lambda x: jnp.clip(x, 0.1, 1.0))
    x = np.array([0.5, -0.2])
    np.testing.assert_allclose(problem.solve_y(x), np.linalg.solve(A, B @ x + C), rtol=1e-12)
    assert problem.project_x(x).tolist() == [0.5, 0.1]
    assert hypergradient(problem, x).error_bound < 1e-9


def test_the_checker_agrees_with_jax(quadratic, sampled):
    check_problem(quadratic, [0.3, 0.1], [0.1, 0.2, 0.3])
    report = check_problem(sampled, [0.3, 0.1], [0.1, 0.2, 0.3])
    assert max(report.hvp, report.cvp, report.samples) < 1e-6


def test_samples_reach_the_functions_that_take_them(sampled):
    x, y, s = np.ones(2), np.full(3, 0.1), np.array([0, 1, 2])
    margin = LABELS[s] * (ROWS[s] @ y)
    by_hand = -ROWS[s].T @ (LABELS[s] / (1 + np.exp(margin))) / 3 + np.exp(1) * y + [2 * y[0], 0, 0]
    np.testing.assert_allclose(sampled.grad_g(x, y, s), by_hand, rtol=1e-13)
    np.testing.assert_array_equal(sampled.grad_f(x, y, s)[1], sampled.grad_f(x, y)[1])
    # the mean over single rows is the exact one
    singles = [sampled.cvp(x, y, y, np.array([i])) for i in range(30)]
    np.testing.assert_allclose(np.mean(singles, axis=0), sampled.cvp(x, y, y), rtol=1e-13)


def test_float64_is_on_inside_the_calls_only():
    assert jnp.ones(1).dtype == jnp.float32  # as JAX is set by default
    problem = from_jax(lambda x, y: jnp.sum(y) + x[0], lambda x, y: jnp.sum((y - 1.0) ** 2), 1, 1)
    tiny = 1.0 + 2.0**-40
    assert problem.grad_g(np.ones(1), np.array([tiny])).tolist() == [2.0**-39]
    assert jnp.ones(1).dtype == jnp.float32
    assert not jax.config.jax_enable_x64


def test_a_wrong_custom_derivative_is_found():
    @jax.custom_jvp
    def square(t):
        return t * t

    square.defjvp(lambda primals, tangents: (square(*primals), primals[0] * tangents[0]))  # lacks a factor of 2
    problem = from_jax(upper, lambda x, y: lower(x, y) + jnp.sum(square(y)), 2, 3)
    with pytest.raises(ProblemError, match="grad_g is not the gradient of g in y"):
        check_problem(problem, np.zeros(2), np.ones(3))


def test_only_what_was_given_is_there(quadratic, sampled):
    assert not hasattr(quadratic, "sample")
    assert callable(quadratic.project_x)
    assert not hasattr(sampled, "solve_y")


def test_a_default_is_the_callers_own(quadratic):
    """A third argument with a default is no sample, unless it is called so."""
    own = from_jax(lambda x, y, target=T: 0.5 * jnp.sum((y - target) ** 2), lower, 2, 3)
    assert own.grad_f(np.ones(2), np.ones(3))[1] == pytest.approx(1 - T)
    named = from_jax(upper, lambda x, y, s=None: logistic(x, y, s), 2, 3, sample=draw)
    assert not np.array_equal(named.grad_g(np.ones(2), np.ones(3)), named.grad_g(np.ones(2), np.ones(3), np.arange(8)))


def test_shapes_are_checked(quadratic):
    x, y = np.ones(2), np.ones(3)
    for call, name in (
        (lambda: quadratic.f(y, y), "x"),
        (lambda: quadratic.grad_g(x, np.ones((3, 1))), "y"),
        (lambda: quadratic.hvp(x, y, 1.0), "v"),
    ):
        with pytest.raises(ValueError, match=f"{name} must have shape"):
            call()


class Tape:
    """As much of PyTorch as one value needs: what is made while gradients are off is not differentiable."""

    float64, on, inference = "float64", False, False

    class Tensor:
        dtype = "float64"

        def __init__(self, differentiable):
            self.requires_grad = differentiable

        def numel(self):
            return 1

        def reshape(self, shape):
            return Tape.Tensor(self.requires_grad and Tape.on)

    @contextmanager
    @staticmethod
    def enable_grad():
        Tape.on = True
        yield
        Tape.on = False

    @staticmethod
    def is_inference_mode_enabled():
        return True


def test_pytorch_keeps_the_tape_where_gradients_are_off_and_says_where_it_cannot():
    oracles = _Autodiff(Tape, None, None, (1, 1))
    value = oracles._value("f", lambda x, y, s: Tape.Tensor(Tape.on), 0.0, 0.0, None)
    assert value.requires_grad
    with pytest.raises(RuntimeError, match=r"outside torch.inference_mode\(\)"):
        oracles._derivative(value, ())


ADAPTERS = pytest.mark.parametrize("adapter", [from_jax, from_torch])


@ADAPTERS
@pytest.mark.parametrize(
    ("arguments", "options", "error", "expected"),
    [
        ((upper, lower, 0, 3), {}, ValueError, "dim_x must be a whole number"),
        ((upper, lower, 2, 1.5), {}, ValueError, "dim_y must be a whole number"),
        ((lambda x: x, lower, 2, 3), {}, TypeError, r"f must take \(x, y\) or \(x, y, sample\), got 1 arguments"),
        ((upper, 3.0, 2, 3), {}, TypeError, "g must be a function, got float"),
        ((lambda *both: 0.0, lower, 2, 3), {}, TypeError, r"f must name its arguments, \(x, y\)"),
        ((lambda x, y, s, t: 0.0, lower, 2, 3), {}, TypeError, "got 4 arguments"),
        ((upper, lower, 2, 3), {"solve_y": 3.0}, TypeError, "solve_y must be a function or 'newton', got 3.0"),
        ((upper, lower, 2, 3), {"solve_y": "cg"}, TypeError, "solve_y must be a function or 'newton', got 'cg'"),
        ((upper, lower, 2, 3), {"sample": draw}, TypeError, r"sample must come with an f or g that takes"),
    ],
)
def test_bad_input(adapter, arguments, options, error, expected):
    with pytest.raises(error, match=expected):
        adapter(*arguments, **options)


def test_functions_that_do_not_return_one_number_in_float64():
    with pytest.raises(TypeError, match=r"g must return one number in float64, got .*shape=\(3,\)"):
        from_jax(upper, lambda x, y: y, 2, 3)
    with pytest.raises(TypeError, match=r"f must return one number in float64, got .*float32"):
        from_jax(lambda x, y: upper(x, y).astype(jnp.float32), lower, 2, 3)
