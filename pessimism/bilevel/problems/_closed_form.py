r"""What the built-in problems share: compiled oracles, and exact values computed from an exact lower solution.

.. math:: \min_x F(x) = f(x, y^*(x)), \qquad y^*(x) = \arg\min_y g(x, y).

With H the Hessian of g in y and :math:`C v = \nabla_x \langle \nabla_y g(x, y), v \rangle`, the implicit function
theorem gives :math:`\nabla F = \nabla_x f - C z` at :math:`y^*(x)`, where :math:`H z = \nabla_y f`. A problem is packed
into two flat arrays (`reals`, `sizes`), which its `compiled_oracles` read; everything else is NumPy.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._objects import Speaking
from pessimism._types import Floats, Ints, Rng
from pessimism.bilevel.problem import BilevelProblem

Kernel = Callable[..., None]
Data = tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike]
Rows = tuple[Floats, Floats, Floats, Floats]

LEVELS = ("f", "g")
quiet = np.errstate(over="ignore", invalid="ignore", divide="ignore")  # inf and NaN say that a run diverges


class Kernels(NamedTuple):
    """Compiled oracles, all of one type."""

    grad_f: Kernel
    grad_g: Kernel
    grad_gx: Kernel
    hvp: Kernel
    cvp: Kernel


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class ClosedForm(BilevelProblem, Speaking, ABC):
    """A bilevel problem whose lower solution, value and gradient are known to rounding; see the module.

    Its methods accept what NumPy makes an array of, and raise a ValueError or TypeError if a shape does not fit or a
    handle points outside the sum. Points may be inf or NaN, since a run may diverge: what they return then is too.

    Attributes
    ----------
    dim_x, dim_y : int
        Upper and lower variables.
    n_samples, n_samples_f : int
        Terms of the finite sums g and f; a handle holds positions in them.
    batch : int
        Positions in a handle.
    reals : (...) float
        The packed problem. Writable, because compiled loops take writable arrays; never write into it.
    sizes : (...) int
        Where to find what in `reals`.

    Examples
    --------
    >>> from pessimism.bilevel.problems import Quadratic
    >>> problem, x, y = Quadratic([[2.0]], [[1.0]], [0.0], target=[3.0], rho=1.0), [5.0], [4.0]
    >>> problem.grad_f(x, y), problem.grad_g(x, y), problem.hvp(x, y, [1.0]), problem.cvp(x, y, [1.0])
    ((array([5.]), array([1.])), array([3.]), array([2.]), array([-1.]))
    """

    dim_x: int
    dim_y: int
    n_samples: int
    n_samples_f: int
    batch: int
    reals: Floats
    sizes: Ints

    def _shown(self) -> dict[str, Any]:
        names = ("dim_x", "dim_y", "n_samples", "n_samples_f", "batch", "rho")
        return {name: getattr(self, name) for name in names}

    @property
    @abstractmethod
    def compiled_oracles(self) -> Kernels:
        """Compiled oracles, all of one type."""

    def sample(self, rng: Rng, level: str) -> Ints:
        """Draw a handle: the terms of a finite sum that an oracle is to average over.

        Parameters
        ----------
        rng : Generator, SeedSequence or int, optional
            Source of randomness (SPEC 7).
        level : {"f", "g"}
            "f" for `f` and `grad_f`, "g" for the others.

        Returns
        -------
        (batch,) int
            Uniform and with replacement, so that sampled oracles have no bias. A position takes one uniform number
            from `rng`, as in the compiled loops.

        Examples
        --------
        >>> from pessimism.bilevel.problems import Quadratic
        >>> problem = Quadratic.random(n_samples=100, batch=3, rng=0)
        >>> problem.sample(0, "g").tolist()
        [63, 26, 4]
        """
        n = self.n_samples_f if _check.choice("level", level, LEVELS) == "f" else self.n_samples
        rows: Ints = (_check.generator(rng).random(self.batch) * n).astype(np.int64)
        return rows

    def grad_f(self, x: ArrayLike, y: ArrayLike, s: ArrayLike | None = None) -> tuple[Floats, Floats]:
        out = self._call("grad_f", x, y, y, s, self.dim_x + self.dim_y)
        return out[: self.dim_x], out[self.dim_x :]

    def grad_g(self, x: ArrayLike, y: ArrayLike, s: ArrayLike | None = None) -> Floats:
        return self._call("grad_g", x, y, y, s, self.dim_y)

    def hvp(self, x: ArrayLike, y: ArrayLike, v: ArrayLike, s: ArrayLike | None = None) -> Floats:
        return self._call("hvp", x, y, v, s, self.dim_y)

    def cvp(self, x: ArrayLike, y: ArrayLike, v: ArrayLike, s: ArrayLike | None = None) -> Floats:
        return self._call("cvp", x, y, v, s, self.dim_x)

    def grad_gx(self, x: ArrayLike, y: ArrayLike, s: ArrayLike | None = None) -> Floats:
        """Gradient of g in x, (dim_x,), which only first-order methods need; s is a handle of level "g".

        Examples
        --------
        >>> from pessimism.bilevel.problems import Quadratic
        >>> Quadratic([[2.0]], [[1.0]], [0.0], target=[3.0], rho=1.0).grad_gx([5.0], [4.0])
        array([-4.])
        """
        return self._call("grad_gx", x, y, y, s, self.dim_x)

    @quiet
    def f(self, x: ArrayLike, y: ArrayLike, s: ArrayLike | None = None) -> float:
        """Upper level at (x, y), one number; s is a handle of level "f".

        Examples
        --------
        >>> from pessimism.bilevel.problems import Quadratic
        >>> Quadratic([[2.0]], [[1.0]], [0.0], target=[3.0], rho=1.0).f([5.0], [4.0])
        13.0
        """
        rows = _rows(s, self.n_samples_f)
        return float(self._f(variable("x", x, self.dim_x), variable("y", y, self.dim_y), rows))

    @quiet
    def g(self, x: ArrayLike, y: ArrayLike, s: ArrayLike | None = None) -> float:
        """Lower level at (x, y), one number; s is a handle of level "g".

        Examples
        --------
        >>> from pessimism.bilevel.problems import Quadratic
        >>> Quadratic([[2.0]], [[1.0]], [0.0], target=[3.0], rho=1.0).g([5.0], [4.0])
        -4.0
        """
        rows = _rows(s, self.n_samples)
        return float(self._g(variable("x", x, self.dim_x), variable("y", y, self.dim_y), rows))

    @quiet
    def solve_y(self, x: ArrayLike) -> Floats:
        """Minimiser y*(x) of the lower level, (dim_y,), exact up to rounding.

        It is NaN where x is not finite or the Hessian is singular in float64.

        Examples
        --------
        >>> from pessimism.bilevel.problems import Quadratic
        >>> Quadratic([[2.0]], [[1.0]], [0.0], target=[3.0], rho=1.0).solve_y([5.0])
        array([2.5])
        """
        point = variable("x", x, self.dim_x)
        return self._solve(point) if np.isfinite(point).all() else np.full(self.dim_y, np.nan)

    @quiet
    def value(self, x: ArrayLike) -> float:
        """Upper level at the minimiser of the lower one, F(x), exact up to rounding; NaN where `solve_y` is.

        Examples
        --------
        >>> from pessimism.bilevel.problems import Quadratic
        >>> Quadratic([[2.0]], [[1.0]], [0.0], target=[3.0], rho=1.0).value([5.0])
        12.625
        """
        point = variable("x", x, self.dim_x)
        return self._value(point) if np.isfinite(point).all() else np.nan

    @quiet
    def gradient(self, x: ArrayLike) -> Floats:
        """Gradient of F, (dim_x,), by the formula of the module, without the oracles; NaN where `solve_y` is.

        Examples
        --------
        >>> from pessimism.bilevel.problems import Quadratic
        >>> Quadratic([[2.0]], [[1.0]], [0.0], target=[3.0], rho=1.0).gradient([5.0])
        array([4.75])
        """
        point = variable("x", x, self.dim_x)
        if not np.isfinite(point).all():
            return np.full(self.dim_x, np.nan)
        return self._gradient(point, self._solve(point))

    @quiet
    def curvature(self, x: ArrayLike) -> tuple[float, float]:
        """Strong convexity and smoothness of the lower level at x: the scale of its learning rates.

        Parameters
        ----------
        x : (dim_x,) array_like of float
            Upper variable.

        Returns
        -------
        low : float
            No eigenvalue of H is lower, for any y.
        high : float
            None is higher: gradient descent on y (and on z) converges for steps below 2 / high.

        Examples
        --------
        >>> from pessimism.bilevel.problems import Quadratic
        >>> Quadratic([[2.0]], [[1.0]], [0.0], target=[3.0], rho=1.0).curvature([5.0])
        (2.0, 2.0)
        """
        point = variable("x", x, self.dim_x)
        if not np.isfinite(point).all():
            return np.nan, np.nan
        low, high = self._curvature(point)
        return float(low), float(high)

    @quiet
    def _call(self, kind: str, x: ArrayLike, y: ArrayLike, v: ArrayLike, s: ArrayLike | None, size: int) -> Floats:
        point = variable("x", x, self.dim_x), variable("y", y, self.dim_y), variable("v", v, self.dim_y)
        rows = _rows(s, self.n_samples_f if kind == "grad_f" else self.n_samples)
        out = np.empty(size)
        kernel = getattr(self.compiled_oracles, kind)
        kernel(self.reals, self.sizes, *point, _EVERY if rows is None else rows, out)
        return out

    def _value(self, x: Floats) -> float:
        return float(self._f(x, self._solve(x), None))

    @abstractmethod
    def _f(self, x: Floats, y: Floats, rows: Ints | None) -> Any: ...

    @abstractmethod
    def _g(self, x: Floats, y: Floats, rows: Ints | None) -> Any: ...

    @abstractmethod
    def _solve(self, x: Floats) -> Floats: ...

    @abstractmethod
    def _gradient(self, x: Floats, y: Floats) -> Floats: ...

    @abstractmethod
    def _curvature(self, x: Floats) -> tuple[Any, Any]: ...


_EVERY = np.empty(0, np.int64)


def variable(name: str, value: ArrayLike, size: int) -> Floats:
    """A copy of a point, since compiled loops take writable arrays; inf and NaN pass, as a run may diverge."""
    array = np.array(_check.numeric(name, value), dtype=np.float64, order="C")
    if array.shape != (size,):
        raise ValueError(f"{name} must have shape ({size},), got {array.shape}")
    return array


def _rows(handle: ArrayLike | None, n: int) -> Ints | None:
    """Positions in a sum of n terms; None for all of it."""
    if handle is None:
        return None
    rows = np.array(_check.as_array("s", handle, "positions"), order="C")
    if rows.size == 0:
        return None
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise TypeError(f"s must be a handle from sample, positions of shape (batch,), got {_check.shown(handle)}")
    positions: Ints = rows.astype(np.int64, copy=False)
    if positions.view(np.uint64).max() >= n:  # negative ones are huge here, and the loops check no bounds
        _check.whole_array("s", rows, high=n - 1)
    return positions


def pack(problem: ClosedForm, parts: list[Floats | float], sizes: list[int], **fields: object) -> None:
    """Fill a frozen problem: the flat arrays of its loops, and its other fields."""
    reals = np.concatenate([np.ravel(part) for part in parts]).astype(np.float64)
    for name, value in {"reals": reals, "sizes": np.array(sizes, np.int64), **fields}.items():
        object.__setattr__(problem, name, value)


def clean_rows(data: Data, kind: str) -> Rows:
    """Training and validation rows whose shapes fit together; an entry for each, "outputs" or "labels", is `kind`."""
    inputs = _check.matrix("inputs", data[0], "n, p", single=True)
    validation_inputs = _check.matrix("validation_inputs", data[2], "m, p", single=True)
    p = inputs.shape[1]
    if validation_inputs.shape[1] != p:
        raise ValueError(
            f"validation_inputs must have shape (m, {p}), columns as inputs, got {validation_inputs.shape}"
        )
    entries = "an entry for each row of"
    first = _check.vector(kind, data[1], len(inputs), f"{entries} inputs", single=True)
    name, what = f"validation_{kind}", f"{entries} validation_inputs"
    return inputs, first, validation_inputs, _check.vector(name, data[3], len(validation_inputs), what, single=True)


def few_ones(dim: int, relevant: int) -> Floats:
    """Coefficients of which only the first few matter."""
    return (np.arange(_check.count("dim", dim)) < _check.whole("relevant", relevant)).astype(float)


def solve(hessian: Floats, right: NDArray[np.float64]) -> Floats:
    """Solution of a linear system; NaN if it is singular in float64."""
    try:
        return np.asarray(np.linalg.solve(hessian, right))
    except np.linalg.LinAlgError:
        return np.full_like(right, np.nan)


def extremes(hessian: Floats) -> tuple[float, float]:
    """Lowest and highest eigenvalue; NaN if entries are not finite."""
    if not np.isfinite(hessian).all():
        return np.nan, np.nan
    eigenvalues = np.linalg.eigvalsh(hessian)
    return float(eigenvalues[0]), float(eigenvalues[-1])


def sigmoid(t: Floats) -> Floats:
    """1 / (1 + e^-t) of arrays, without overflow; the compiled oracles have their own, of one number."""
    e = np.exp(-np.abs(t))
    return np.where(t >= 0, 1.0, e) / (1.0 + e)
