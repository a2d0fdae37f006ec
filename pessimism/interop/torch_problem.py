r"""Two PyTorch functions become a bilevel problem: its oracles are their derivatives.

=============  ==========================================================================================
oracle         in PyTorch
=============  ==========================================================================================
``grad_f``     ``autograd.grad(f, (x, y))``
``grad_g``     ``autograd.grad(g, y)``
``grad_gx``    ``autograd.grad(g, x)``
``hvp``        ``autograd.grad`` in y of ``dot(grad_g, v)``: H is symmetric
``cvp``        ``autograd.grad`` in x of ``dot(grad_g, v)``
=============  ==========================================================================================

Every call makes new tensors in float64 on the CPU, without touching the `.grad` of anything, and returns NumPy arrays
of its own, also under ``torch.no_grad()``; tensors that f and g hold should be in float64 too. Derivatives of what a
function does not depend on are 0.

The derivatives are not among what the tests of this package run: compare them with finite differences by
`check_problem`.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from pessimism import _check
from pessimism._optional import optional
from pessimism._types import Floats
from pessimism.bilevel import BilevelProblem
from pessimism.bilevel.problems._closed_form import variable
from pessimism.interop._functions import given, of_three, users_solver, with_solver

__all__ = ["from_torch"]


def from_torch(
    f: Callable[..., Any],
    g: Callable[..., Any],
    dim_x: int,
    dim_y: int,
    *,
    sample: Callable[[np.random.Generator, str], Any] | None = None,
    solve_y: Callable[[Floats], Floats] | str | None = None,
    project_x: Callable[[Floats], Floats] | None = None,
) -> BilevelProblem:
    r"""A bilevel problem from its two functions.

    Parameters
    ----------
    f, g : callable
        Upper and lower level: ``f(x, y)`` or ``f(x, y, sample)`` of float64 tensors, a tensor of one number; g strongly
        convex in y and twice differentiable.
    dim_x, dim_y, sample, solve_y, project_x : as there
        As for `pessimism.interop.jax_problem.from_jax`; the optional functions are of NumPy arrays.

    Returns
    -------
    BilevelProblem
        With the same oracles.

    Raises
    ------
    ValueError, TypeError
        If a dimension is below 1, a function takes other arguments, or neither takes the sample. At a call: if f or g
        does not return one number in float64, or x, y or v has another shape.
    OracleError
        At a call of `solve_y`, if it is "newton" and fails, as there.
    RuntimeError
        At a call for derivatives under ``torch.inference_mode()``.
    ImportError
        If PyTorch is not installed.

    Notes
    -----
    Statement: the derivatives are those of the functions, up to rounding, by the rules of PyTorch. Cost: a product
    with H or C is a small multiple of one evaluation of g.

    Examples
    --------
    >>> from_torch(lambda x, y: (y**2).sum(), lambda x, y: ((y - x) ** 2).sum(), 0, 1)
    Traceback (most recent call last):
    ...
    ValueError: dim_x must be a whole number in [1, 1000000000], got 0
    """
    dim_x, dim_y = _check.count("dim_x", dim_x), _check.count("dim_y", dim_y)
    upper, lower = of_three(f, g, sample)
    others = given(sample=sample, solve_y=users_solver(solve_y), project_x=project_x)
    torch = optional("torch", "torch")
    autodiff = _Autodiff(torch, upper, lower, (dim_x, dim_y))
    oracles = {name: getattr(autodiff, name) for name in ("f", "g", "grad_f", "grad_g", "grad_gx", "hvp", "cvp")}
    problem: Any = SimpleNamespace(dim_x=dim_x, dim_y=dim_y, **oracles, **others)
    return cast(BilevelProblem, with_solver(problem, solve_y))


class _Autodiff:
    """The oracles, each in float64 on tensors of its own."""

    def __init__(
        self, torch: Any, upper: Callable[..., Any], lower: Callable[..., Any], sizes: tuple[int, int]
    ) -> None:
        self.torch, self.upper, self.lower, self.sizes = torch, upper, lower, sizes

    def f(self, x: Floats, y: Floats, s: Any = None) -> float:
        return float(self._value("f", self.upper, *self._variables(x, y), s).detach())

    def g(self, x: Floats, y: Floats, s: Any = None) -> float:
        return float(self._value("g", self.lower, *self._variables(x, y), s).detach())

    def grad_f(self, x: Floats, y: Floats, s: Any = None) -> tuple[Floats, Floats]:
        at = self._variables(x, y)
        gx, gy = self._derivative(self._value("f", self.upper, *at, s), at)
        return self._array(gx), self._array(gy)

    def grad_g(self, x: Floats, y: Floats, s: Any = None) -> Floats:
        return self._slope(x, y, None, s, slice(1, 2))

    def grad_gx(self, x: Floats, y: Floats, s: Any = None) -> Floats:
        return self._slope(x, y, None, s, slice(0, 1))

    def hvp(self, x: Floats, y: Floats, v: Floats, s: Any = None) -> Floats:
        return self._slope(x, y, v, s, slice(1, 2))

    def cvp(self, x: Floats, y: Floats, v: Floats, s: Any = None) -> Floats:
        return self._slope(x, y, v, s, slice(0, 1))

    def _slope(self, x: Floats, y: Floats, v: Floats | None, s: Any, of: slice) -> Floats:
        """Gradient in one variable of g, or of its slope in y along v."""
        at = self._variables(x, y)
        value = self._value("g", self.lower, *at, s) if v is None else self._along(at, v, s)
        return self._array(self._derivative(value, at[of])[0])

    def _along(self, at: tuple[Any, Any], v: Floats, s: Any) -> Any:
        """The slope of g in y along v, still differentiable."""
        with self.torch.enable_grad():
            slope = self._derivative(self._value("g", self.lower, *at, s), at[1:], again=True)[0]
            return self.torch.dot(slope, self.torch.tensor(variable("v", v, self.sizes[1])))

    def _variables(self, x: Floats, y: Floats) -> tuple[Any, Any]:
        points = variable("x", x, self.sizes[0]), variable("y", y, self.sizes[1])
        return self.torch.tensor(points[0], requires_grad=True), self.torch.tensor(points[1], requires_grad=True)

    def _value(self, name: str, function: Callable[..., Any], x: Any, y: Any, s: Any) -> Any:
        with self.torch.enable_grad():  # also for the reshape: the caller may have switched gradients off
            value = function(x, y, s)
            if not isinstance(value, self.torch.Tensor) or value.numel() != 1 or value.dtype != self.torch.float64:
                kind = (
                    f"{value.dtype} of shape {tuple(value.shape)}" if hasattr(value, "dtype") else type(value).__name__
                )
                raise TypeError(f"{name} must return a tensor of one number in float64, got {kind}")
            return value.reshape(())

    def _derivative(self, value: Any, variables: tuple[Any, ...], again: bool = False) -> list[Any]:
        """Gradients; zeros for what the value does not depend on, of which PyTorch keeps no trace at all."""
        if self.torch.is_inference_mode_enabled():  # which enable_grad does not end: everything would be 0
            raise RuntimeError("derivatives must be asked for outside torch.inference_mode(), which records nothing")
        if not value.requires_grad:
            return [self.torch.zeros_like(t) for t in variables]
        found = self.torch.autograd.grad(value, variables, create_graph=again, allow_unused=True)
        return [self.torch.zeros_like(t) if d is None else d for t, d in zip(variables, found, strict=True)]

    def _array(self, tensor: Any) -> Floats:
        return np.array(tensor.detach().cpu().numpy(), dtype=np.float64)
