r"""Two JAX functions become a bilevel problem: its oracles are their derivatives.

=============  ======================================================================
oracle         in JAX
=============  ======================================================================
``grad_f``     ``grad(f, argnums=(0, 1))``
``grad_g``     ``grad(g, argnums=1)``
``grad_gx``    ``grad(g, argnums=0)``
``hvp``        ``jvp`` of ``grad_g`` in y along v
``cvp``        ``grad`` in x of ``vdot(grad_g, v)``
=============  ======================================================================

Every oracle is compiled at its first call, and takes and returns NumPy arrays in float64, also where JAX computes in
float32 elsewhere: float64 is switched on for the duration of a call, and for no other. Arrays that f and g hold should
be NumPy arrays, or JAX arrays made in float64: one made in float32 keeps its seven digits.
"""

import importlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._optional import optional
from pessimism._types import Floats
from pessimism.bilevel import BilevelProblem
from pessimism.bilevel.problems._closed_form import variable
from pessimism.interop._functions import given, of_three, users_solver, with_solver

__all__ = ["from_jax"]


def from_jax(
    f: Callable[..., Any],
    g: Callable[..., Any],
    dim_x: int,
    dim_y: int,
    *,
    sample: Callable[[np.random.Generator, str], Any] | None = None,
    solve_y: Callable[[Floats], ArrayLike] | str | None = None,
    project_x: Callable[[Floats], ArrayLike] | None = None,
) -> BilevelProblem:
    r"""A bilevel problem from its two functions.

    Parameters
    ----------
    f : callable
        Upper level: ``f(x, y)`` or ``f(x, y, sample)``, one number, made of JAX operations.
    g : callable
        Lower level, the same; strongly convex in y.
    dim_x : int
        Entries of x.
    dim_y : int
        Entries of y.
    sample : callable, optional
        ``sample(rng, level)``, with level "f" or "g": a handle, such as an array of row indices, always of one shape
        (another shape is compiled anew). It is called once a sample, also where several oracles share it. Functions of
        three arguments get it as the third, and None for exact.
    solve_y : callable or "newton", optional
        ``solve_y(x)``, the minimiser of g in y: NumPy, or a solver written in JAX, which computes in float64 here. Or
        "newton": Newton steps from y = 0, by conjugate gradients with `hvp`, until `grad_g` no longer gets shorter.
        With either the history of a run has its `gradient_norm`, and `hypergradient` starts at the solution. Default:
        none.
    project_x : callable, optional
        ``project_x(x)``, the allowed x nearest to x; it computes in float64 too.

    Returns
    -------
    BilevelProblem
        With `f`, `g`, `grad_f`, `grad_g`, `grad_gx`, `hvp`, `cvp`, and those of the optional oracles that were given.

    Raises
    ------
    ValueError, TypeError
        If a dimension is below 1, f or g does not return one number in float64, or neither takes the sample. At a
        call: if x, y or v has another shape.
    OracleError
        At a call of `solve_y`, if it is "newton" and ends where the next Newton step is longer than
        :math:`10^{-8} \max(1, \|y\|)`: g is then not strongly convex in y, or as good as not.
    ImportError
        If JAX is not installed.

    Notes
    -----
    Statement: the derivatives are those of the functions, up to rounding, by the rules of JAX; `check_problem` compares
    them with finite differences. Cost: a product with H or C is a small multiple of one evaluation of g, plus some
    twenty microseconds for the call.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> problem = from_jax(
    ...     lambda x, y: jnp.sum((y - 1.0) ** 2), lambda x, y: jnp.sum((y - x[0]) ** 2), dim_x=1, dim_y=2
    ... )
    >>> problem.cvp(np.ones(1), np.zeros(2), np.array([1.0, 2.0])).tolist()
    [-6.0]

    With a lower level that has no closed form.

    >>> problem = from_jax(
    ...     lambda x, y: jnp.sum(y**2), lambda x, y: jnp.sum(jnp.cosh(y) - x * y), dim_x=2, dim_y=2, solve_y="newton"
    ... )
    >>> bool(np.allclose(problem.solve_y(np.array([0.5, 2.0])), np.arcsinh([0.5, 2.0])))
    True
    """
    dim_x, dim_y = _check.count("dim_x", dim_x), _check.count("dim_y", dim_y)
    upper, lower = of_three(f, g, sample)
    others = given(sample=sample, solve_y=users_solver(solve_y), project_x=project_x)
    jax = optional("jax", "jax")
    others |= {name: _in_float64(jax, others[name]) for name in ("solve_y", "project_x") if name in others}
    _require_numbers(jax, {"f": upper, "g": lower}, dim_x, dim_y)
    f_value, g_value, grad_f, grad_g, grad_gx, hvp, cvp = (
        _compiled(jax, function, dim_x, dim_y) for function in _derivatives(jax, upper, lower)
    )
    problem: Any = SimpleNamespace(
        dim_x=dim_x,
        dim_y=dim_y,
        f=lambda x, y, s=None: float(f_value(x, y, s)),
        g=lambda x, y, s=None: float(g_value(x, y, s)),
        grad_f=lambda x, y, s=None: grad_f(x, y, s),
        grad_g=lambda x, y, s=None: grad_g(x, y, s),
        grad_gx=lambda x, y, s=None: grad_gx(x, y, s),
        hvp=lambda x, y, v, s=None: hvp(x, y, v, s),
        cvp=lambda x, y, v, s=None: cvp(x, y, v, s),
        **others,
    )
    return cast(BilevelProblem, with_solver(problem, solve_y))


def _derivatives(jax: Any, upper: Callable[..., Any], lower: Callable[..., Any]) -> tuple[Callable[..., Any], ...]:
    """f, g, grad_f, grad_g, grad_gx, hvp and cvp, of JAX arrays."""
    slope = jax.grad(lower, argnums=1)

    def _hvp(x: Any, y: Any, v: Any, s: Any) -> Any:
        return jax.jvp(lambda t: slope(x, t, s), (y,), (v,))[1]

    def _cvp(x: Any, y: Any, v: Any, s: Any) -> Any:
        return jax.grad(lambda t: jax.numpy.vdot(slope(t, y, s), v))(x)

    return upper, lower, jax.grad(upper, argnums=(0, 1)), slope, jax.grad(lower, argnums=0), _hvp, _cvp


def _compiled(jax: Any, function: Callable[..., Any], dim_x: int, dim_y: int) -> Callable[..., Any]:
    fast, sizes = jax.jit(function), {"x": dim_x, "y": dim_y, "v": dim_y}

    def call(*arguments: Any) -> Any:
        points = [variable(name, t, sizes[name]) for name, t in zip(sizes, arguments[:-1], strict=False)]
        with _float64(jax):
            returned = fast(*points, arguments[-1])
            return jax.tree.map(np.array, returned)  # copies: what JAX returns is read-only

    return call


def _in_float64(jax: Any, function: Callable[[Floats], Any]) -> Callable[[Floats], Any]:
    """A function of the user's, which may be written in JAX, and what it returns as NumPy's."""

    def call(x: Floats) -> Any:
        with _float64(jax):
            returned = function(x)
            return np.array(returned) if isinstance(returned, jax.Array) else returned

    return call


def _float64(jax: Any) -> Any:
    """A context in which JAX computes in float64."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    return importlib.import_module("jax.experimental").enable_x64()


def _require_numbers(jax: Any, functions: dict[str, Callable[..., Any]], dim_x: int, dim_y: int) -> None:
    """f and g return one number in float64, for what they do without a sample."""
    for name, function in functions.items():
        with _float64(jax):
            try:
                made = jax.eval_shape(
                    lambda x, y, function=function: function(x, y, None), np.zeros(dim_x), np.zeros(dim_y)
                )
            except (TypeError, ValueError) as error:  # it is the user's, with its own traceback above ours
                sizes = f"dim_x = {dim_x} and dim_y = {dim_y}"
                raise type(error)(f"{name} must take x and y of the sizes {sizes}: {error}") from error
        if getattr(made, "shape", None) != () or made.dtype != np.float64:
            raise TypeError(
                f"{name} must return one number in float64, got {made}: reduce it to a scalar, and cast nothing to "
                "float32"
            )
