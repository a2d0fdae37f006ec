"""Problems from PyTorch functions, with PyTorch: `make test-torch` runs this in an environment of its own."""

import numpy as np
import pytest

from pessimism.bilevel import minimize_bilevel
from pessimism.bilevel.check import ProblemError, check_problem
from pessimism.bilevel.implicit import hypergradient
from pessimism.bilevel.problems import Ridge
from pessimism.interop.torch_problem import from_torch

torch = pytest.importorskip("torch", reason="needs PyTorch: make test-torch")

RIDGE = Ridge.random(30, 20, dim=4, relevant=2, batch=6, per_coordinate=True, rng=0)
INPUTS, OUTPUTS, HELD_INPUTS, HELD_OUTPUTS = (
    torch.tensor(np.array(array))
    for array in (RIDGE.inputs, RIDGE.outputs, RIDGE.validation_inputs, RIDGE.validation_outputs)
)


def rows(sample, inputs, outputs):
    return (inputs, outputs) if sample is None else (inputs[sample], outputs[sample])


def upper(x, y, sample):
    a, b = rows(sample, HELD_INPUTS, HELD_OUTPUTS)
    return 0.5 * ((a @ y - b) ** 2).mean() + 0.5 * RIDGE.rho * x @ x


def lower(x, y, sample):
    a, b = rows(sample, INPUTS, OUTPUTS)
    return 0.5 * ((a @ y - b) ** 2).mean() + 0.5 * (torch.exp(x) * y**2).sum()


@pytest.fixture(scope="module")
def problem():
    return from_torch(upper, lower, RIDGE.dim_x, RIDGE.dim_y, sample=RIDGE.sample, solve_y=RIDGE.solve_y)


POINT = np.array([0.3, -0.2, 0.1, 0.4]), np.array([0.5, -1.0, 0.2, 0.7]), np.array([1.0, 2.0, -0.5, 0.1])


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_oracles_are_those_of_the_built_in_problem(problem, seed):
    x, y, v = POINT
    for name in ("grad_f", "grad_g", "grad_gx", "hvp", "cvp"):
        handle = None if seed is None else RIDGE.sample(np.random.default_rng(seed), "f" if name == "grad_f" else "g")
        arguments = (x, y, v, handle) if name in ("hvp", "cvp") else (x, y, handle)
        found, exact = (np.hstack(getattr(p, name)(*arguments)) for p in (problem, RIDGE))
        np.testing.assert_allclose(found, exact, rtol=1e-12, atol=1e-13)
        assert found.dtype == np.float64
    assert problem.f(x, y) == pytest.approx(RIDGE.f(x, y), rel=1e-13)
    assert problem.g(x, y) == pytest.approx(RIDGE.g(x, y), rel=1e-13)


def test_arrays_are_the_callers_own_and_nothing_is_kept(problem):
    x, y, v = (array.copy() for array in POINT)
    first, second = (problem.hvp(x, y, v) for _ in range(2))
    first[:] = 0.0
    assert np.any(second)
    assert all(map(np.array_equal, (x, y, v), POINT))
    assert INPUTS.grad is None


def test_the_hypergradient_and_a_run_are_those_of_the_built_in_problem(problem):
    x = POINT[0]
    found = hypergradient(problem, x, rtol=1e-12).value
    np.testing.assert_allclose(found, RIDGE.gradient(x), rtol=1e-9, atol=1e-12)
    runs = [
        minimize_bilevel(p, x, method="soba", step=0.1, lower_step=0.1, budget=60, exact=True, rng=0).x
        for p in (problem, RIDGE)
    ]
    np.testing.assert_allclose(*runs, rtol=1e-10)


def test_newton_steps_are_an_inner_solver():
    newton = from_torch(upper, lower, RIDGE.dim_x, RIDGE.dim_y, sample=RIDGE.sample, solve_y="newton")
    np.testing.assert_allclose(newton.solve_y(POINT[0]), RIDGE.solve_y(POINT[0]), rtol=1e-9)


def test_every_oracle_passes_and_a_wrong_derivative_is_found(problem):
    report = check_problem(problem, *POINT[:2])
    assert max(report.grad_f_x, report.grad_g, report.hvp, report.cvp, report.samples) < 1e-5

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, t):
            ctx.save_for_backward(t)
            return t * t

        @staticmethod
        def backward(ctx, grad):
            return grad * ctx.saved_tensors[0]  # lacks a factor of 2

    wrong = from_torch(lambda x, y: (y**2).sum(), lambda x, y: ((y - x) ** 2).sum() + Square.apply(y).sum(), 3, 3)
    with pytest.raises(ProblemError, match="grad_g"):
        check_problem(wrong, np.zeros(3), np.ones(3))


def test_what_a_function_does_not_depend_on_has_derivative_0():
    problem = from_torch(lambda x, y: (y**2).sum(), lambda x, y: (y**2).sum(), 2, 3)
    x, y = np.ones(2), np.ones(3)
    assert problem.grad_f(x, y)[0].tolist() == problem.grad_gx(x, y).tolist() == [0.0, 0.0]
    assert problem.cvp(x, y, y).tolist() == [0.0, 0.0]
    assert from_torch(lambda x, y: y.sum(), lambda x, y: y.sum(), 2, 3).hvp(x, y, y).tolist() == [0.0] * 3


def test_gradients_that_are_switched_off_are_switched_on_where_they_can_be(problem):
    with torch.no_grad():
        assert np.any(problem.cvp(*POINT))
        assert not torch.is_grad_enabled()
    with torch.inference_mode(), pytest.raises(RuntimeError, match=r"outside torch.inference_mode\(\)"):
        problem.grad_g(*POINT[:2])


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda x, y: y, r"got torch.float64 of shape \(3,\)"),
        (lambda x, y: y.sum().float(), r"got torch.float32 of shape \(\)"),
        (lambda x, y: 1.0, "got float"),
    ],
)
def test_functions_that_do_not_return_one_number_in_float64(function, told):
    problem = from_torch(lambda x, y: y.sum(), function, 2, 3)
    with pytest.raises(TypeError, match=f"g must return a tensor of one number in float64, {told}"):
        problem.grad_g(np.ones(2), np.ones(3))
