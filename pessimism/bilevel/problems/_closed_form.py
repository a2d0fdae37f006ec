r"""What the built-in problems share: compiled oracles, and exact values computed from an exact lower solution.

.. math:: \min_x F(x) = f(x, y^*(x)), \qquad y^*(x) = \arg\min_y g(x, y).

With H the Hessian of g in y and :math:`C v = \nabla_x \langle \nabla_y g(x, y), v \rangle`, the implicit function
theorem gives :math:`\nabla F = \nabla_x f - C z` at :math:`y^*(x)`, where :math:`H z = \nabla_y f`. A problem is packed
into two flat arrays (`reals`, `sizes`), which its `compiled_oracles` read; everything else is NumPy.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._types import Floats, Ints, Rng

Kernels = tuple[Callable[..., None], ...]

LEVELS = ("f", "g")
quiet = np.errstate(over="ignore", invalid="ignore", divide="ignore")  # inf and NaN say that a run diverges


@dataclass(frozen=True, slots=True, eq=False, init=False)
class ClosedForm(ABC):
    """A bilevel problem whose lower solution, value and gradient are known to rounding; see the module.

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
    """

    dim_x: int
    dim_y: int
    n_samples: int
    n_samples_f: int
    batch: int
    reals: Floats
    sizes: Ints

    @property
    @abstractmethod
    def compiled_oracles(self) -> Kernels:
        """Compiled `grad_f`, `grad_g`, `hvp`, `cvp` and `grad_gx`, all of one type."""

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
            Uniform and with replacement, so that sampled oracles have no bias.

        Raises
        ------
        ValueError
            If the level is neither of the two.

        Notes
        -----
        Spends one uniform a position, as the compiled loops do.

        Examples
        --------
        >>> from pessimism.bilevel.problems import Quadratic
        >>> problem = Quadratic.random(n_samples=100, batch=3, rng=0)
        >>> problem.sample(0, "g").tolist()
        [63, 26, 4]
        """
        n = self.n_samples_f if _check.choice("level", level, LEVELS) == "f" else self.n_samples
        rows: Ints = (np.random.default_rng(rng).random(self.batch) * n).astype(np.int64)
        return rows

    def grad_f(self, x: ArrayLike, y: ArrayLike, s: ArrayLike | None = None) -> tuple[Floats, Floats]:
        """Both gradients of the upper level.

        Parameters
        ----------
        x : (dim_x,) array_like of float
            Upper variable.
        y : (dim_y,) array_like of float
            Lower variable.
        s : (batch,) array_like of int, optional
            Handle of level "f". Default: the whole sum.

        Returns
        -------
        gx : (dim_x,) float
            Gradient in x.
        gy : (dim_y,) float
            Gradient in y.

        Raises
        ------
        ValueError, TypeError
            If a shape does not fit or a handle points outside the sum.

        Examples
        --------
        >>> from pessimism.bilevel.problems import Quadratic
        >>> Quadratic([[2.0]], [[1.0]], [0.0], target=[3.0], rho=1.0).grad_f([5.0], [4.0])
        (array([5.]), array([1.]))
        """
        out = self._call(0, x, y, y, s, self.dim_x + self.dim_y)
        return out[: self.dim_x], out[self.dim_x :]

    def grad_g(self, x: ArrayLike, y: ArrayLike, s: ArrayLike | None = None) -> Floats:
        """Gradient of the lower level in y.

        Parameters
        ----------
        x : (dim_x,) array_like of float
            Upper variable.
        y : (dim_y,) array_like of float
            Lower variable.
        s : (batch,) array_like of int, optional
            Handle of level "g". Default: the whole sum.

        Returns
        -------
        (dim_y,) float
            Zero at `solve_y(x)`, up to rounding.

        Raises
        ------
        ValueError, TypeError
            If a shape does not fit or a handle points outside the sum.

        Examples
        --------
        >>> from pessimism.bilevel.problems import Quadratic
        >>> Quadratic([[2.0]], [[1.0]], [0.0], target=[3.0], rho=1.0).grad_g([5.0], [4.0])
        array([3.])
        """
        return self._call(1, x, y, y, s, self.dim_y)

    def hvp(self, x: ArrayLike, y: ArrayLike, v: ArrayLike, s: ArrayLike | None = None) -> Floats:
        """Hessian of the lower level in y, times a vector.

        Parameters
        ----------
        x : (dim_x,) array_like of float
            Upper variable.
        y : (dim_y,) array_like of float
            Lower variable.
        v : (dim_y,) array_like of float
            The vector.
        s : (batch,) array_like of int, optional
            Handle of level "g". Default: the whole sum.

        Returns
        -------
        (dim_y,) float
            H v.

        Raises
        ------
        ValueError, TypeError
            If a shape does not fit or a handle points outside the sum.

        Examples
        --------
        >>> from pessimism.bilevel.problems import Quadratic
        >>> Quadratic([[2.0]], [[1.0]], [0.0], target=[3.0], rho=1.0).hvp([5.0], [4.0], [1.0])
        array([2.])
        """
        return self._call(2, x, y, v, s, self.dim_y)

    def cvp(self, x: ArrayLike, y: ArrayLike, v: ArrayLike, s: ArrayLike | None = None) -> Floats:
        r"""Mixed derivative of the lower level, times a vector.

        Parameters
        ----------
        x : (dim_x,) array_like of float
            Upper variable.
        y : (dim_y,) array_like of float
            Lower variable.
        v : (dim_y,) array_like of float
            The vector.
        s : (batch,) array_like of int, optional
            Handle of level "g". Default: the whole sum.

        Returns
        -------
        (dim_x,) float
            :math:`C v = \nabla_x \langle \nabla_y g(x, y), v \rangle`.

        Raises
        ------
        ValueError, TypeError
            If a shape does not fit or a handle points outside the sum.

        Examples
        --------
        >>> from pessimism.bilevel.problems import Quadratic
        >>> Quadratic([[2.0]], [[1.0]], [0.0], target=[3.0], rho=1.0).cvp([5.0], [4.0], [1.0])
        array([-1.])
        """
        return self._call(3, x, y, v, s, self.dim_x)

    def grad_gx(self, x: ArrayLike, y: ArrayLike, s: ArrayLike | None = None) -> Floats:
        """Gradient of the lower level in x, which only first-order methods need.

        Parameters
        ----------
        x : (dim_x,) array_like of float
            Upper variable.
        y : (dim_y,) array_like of float
            Lower variable.
        s : (batch,) array_like of int, optional
            Handle of level "g". Default: the whole sum.

        Returns
        -------
        (dim_x,) float
            The gradient.

        Raises
        ------
        ValueError, TypeError
            If a shape does not fit or a handle points outside the sum.

        Examples
        --------
        >>> from pessimism.bilevel.problems import Quadratic
        >>> Quadratic([[2.0]], [[1.0]], [0.0], target=[3.0], rho=1.0).grad_gx([5.0], [4.0])
        array([-4.])
        """
        return self._call(4, x, y, y, s, self.dim_x)

    @quiet
    def f(self, x: ArrayLike, y: ArrayLike, s: ArrayLike | None = None) -> float:
        """Upper level.

        Parameters
        ----------
        x : (dim_x,) array_like of float
            Upper variable.
        y : (dim_y,) array_like of float
            Lower variable.
        s : (batch,) array_like of int, optional
            Handle of level "f". Default: the whole sum.

        Returns
        -------
        float
            The value.

        Raises
        ------
        ValueError, TypeError
            If a shape does not fit or a handle points outside the sum.

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
        """Lower level.

        Parameters
        ----------
        x : (dim_x,) array_like of float
            Upper variable.
        y : (dim_y,) array_like of float
            Lower variable.
        s : (batch,) array_like of int, optional
            Handle of level "g". Default: the whole sum.

        Returns
        -------
        float
            The value.

        Raises
        ------
        ValueError, TypeError
            If a shape does not fit or a handle points outside the sum.

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
        """Minimiser of the lower level, exact up to rounding.

        Parameters
        ----------
        x : (dim_x,) array_like of float
            Upper variable.

        Returns
        -------
        (dim_y,) float
            y*(x); NaN where x is not finite or the Hessian is singular in float64.

        Raises
        ------
        ValueError, TypeError
            If the shape does not fit.

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
        """Upper level at the minimiser of the lower one: F(x).

        Parameters
        ----------
        x : (dim_x,) array_like of float
            Upper variable.

        Returns
        -------
        float
            Exact up to rounding; NaN where `solve_y` is.

        Raises
        ------
        ValueError, TypeError
            If the shape does not fit.

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
        """Gradient of F by the formula of the module, without the oracles.

        Parameters
        ----------
        x : (dim_x,) array_like of float
            Upper variable.

        Returns
        -------
        (dim_x,) float
            Exact up to rounding; NaN where `solve_y` is.

        Raises
        ------
        ValueError, TypeError
            If the shape does not fit.

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

        Raises
        ------
        ValueError, TypeError
            If the shape does not fit.

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
    def _call(self, oracle: int, x: ArrayLike, y: ArrayLike, v: ArrayLike, s: ArrayLike | None, size: int) -> Floats:
        point = variable("x", x, self.dim_x), variable("y", y, self.dim_y), variable("v", v, self.dim_y)
        rows = _rows(s, self.n_samples if oracle else self.n_samples_f)
        out = np.empty(size)
        self.compiled_oracles[oracle](self.reals, self.sizes, *point, _EVERY if rows is None else rows, out)
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
    rows = np.array(handle, order="C")
    if rows.size == 0:
        return None
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise TypeError(f"s must be a handle from sample, positions of shape (batch,), got {handle!r}")
    positions: Ints = rows.astype(np.int64, copy=False)
    if positions.view(np.uint64).max() >= n:  # negative ones are huge here, and the loops check no bounds
        _check.whole_array("s", rows, high=n - 1)
    return positions


def pack(problem: ClosedForm, parts: list[Floats | float], sizes: list[int], **fields: object) -> None:
    """Fill a frozen problem: the flat arrays of its loops, and its other fields."""
    reals = np.concatenate([np.ravel(part) for part in parts]).astype(np.float64)
    for name, value in {"reals": reals, "sizes": np.array(sizes, np.int64), **fields}.items():
        object.__setattr__(problem, name, value)


def matrix(name: str, value: ArrayLike, shape: tuple[int | str, int | str], what: str) -> Floats:
    """Finite float array of two axes, at least one of each; a name in `shape` leaves an axis free."""
    array = _check.real_array(name, value)
    fits = array.ndim == 2 and 0 not in array.shape
    if not fits or any(isinstance(w, int) and w != has for w, has in zip(shape, array.shape, strict=True)):
        raise ValueError(f"{name} must have shape ({shape[0]}, {shape[1]}), {what}, got {array.shape}")
    return array


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
    """1 / (1 + e^-t), without overflow."""
    e = np.exp(-np.abs(t))
    return np.where(t >= 0, 1.0, e) / (1.0 + e)
