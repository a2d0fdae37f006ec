r"""Three upper levels over one quadratic lower level: smooth, and with two kinds of unbounded smoothness.

.. math:: g(x, y) = \tfrac12 y^\top A y - y^\top (B x + c), \qquad y^*(x) = A^{-1}(B x + c),

with H = A (`hessian`) and C v = -B'v (B: `coupling`, c: `offset`), so that
:math:`\nabla F = \nabla_x f + B^\top A^{-1} \nabla_y f`. With r = y - t (`target`) the upper levels are

.. math::

   \text{Quadratic: } \tfrac12 \|r\|^2 + \tfrac\rho2 \|x\|^2, \quad
   \text{Cosh: } \sum_i (\cosh x_i - 1) + \sum_j (\sqrt{1 + r_j^2} - 1), \quad
   \text{Quartic: } \tfrac14 \sum_i x_i^4 + \sum_j (\sqrt{1 + r_j^2} - 1).

Noise is a finite sum: sample i is :math:`g_i = (1 + a_i)(\tfrac12 y^\top A y - y^\top (Bx + c)) + \langle e_i, y
\rangle` below and :math:`f_i = f + \langle u_i, (y, x) \rangle` above. Rows 2j and 2j + 1 carry opposite noise, so that
the mean over all rows is the exact problem to the last bit, and every sample is a function of its own.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats, Ints, Rng
from pessimism.bilevel.problems._closed_form import ClosedForm, Kernels, pack, solve

__all__ = ["Cosh", "Quadratic", "Quartic"]

SYMMETRIC = 1e-12
"""How far A may be from its transpose, relative to its largest entry."""


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class _QuadraticLower(ClosedForm):
    """The lower level, its noise, and what follows for every upper level."""

    hessian: Floats
    coupling: Floats
    offset: Floats
    target: Floats
    rho: float
    table: Floats

    def __init__(
        self,
        hessian: ArrayLike,
        coupling: ArrayLike,
        offset: ArrayLike,
        target: ArrayLike,
        rho: float = 0.0,
        *,
        noise: float = 0.0,
        curvature_noise: float = 0.0,
        n_samples: int = 512,
        batch: int = 32,
        rng: Rng = None,
    ) -> None:
        matrix = _positive_definite("hessian", hessian)
        dy = len(matrix)
        mixed = _check.matrix("coupling", coupling, "dy, dx", single=True)
        if len(mixed) != dy:
            raise ValueError(f"coupling must have shape ({dy}, dx), a row for each of hessian, got {mixed.shape}")
        c = _check.vector("offset", offset, dy, "an entry for each row of hessian", single=True)
        t = _check.vector("target", target, dy, "an entry for each row of hessian", single=True)
        rho, dx = _check.nonnegative("rho", rho), mixed.shape[1]
        n, batch = _even("n_samples", n_samples), _check.whole("batch", batch, low=1)
        table = _opposites(n, dy, dx, (noise, curvature_noise), rng)
        fields = {"hessian": matrix, "coupling": mixed, "offset": c, "target": t, "table": table}
        counts = {"dim_x": dx, "dim_y": dy, "n_samples": n, "n_samples_f": n, "batch": batch}
        pack(self, [matrix, mixed, c, t, rho, table], [dx, dy], rho=rho, **fields, **counts)

    def _mean_noise(self, rows: Ints | None) -> tuple[float, Floats, Floats]:
        mean = np.zeros(self.table.shape[1]) if rows is None else self.table[rows].mean(axis=0)
        return float(mean[0]), mean[1 : 1 + self.dim_y], mean[1 + self.dim_y :]

    def _g(self, x: Floats, y: Floats, rows: Ints | None) -> float:
        a, e, _ = self._mean_noise(rows)
        exact = 0.5 * y @ self.hessian @ y - y @ (self.coupling @ x + self.offset)
        return float((1.0 + a) * exact + e @ y)

    def _f_noise(self, x: Floats, y: Floats, rows: Ints | None) -> float:
        _, _, u = self._mean_noise(rows)
        return float(u @ np.concatenate([y, x]))

    def _solve(self, x: Floats) -> Floats:
        return solve(self.hessian, self.coupling @ x + self.offset)

    def _through_y(self, gy: Floats) -> Floats:
        return np.asarray(self.coupling.T @ solve(self.hessian, gy))

    def _curvature(self, x: Floats) -> tuple[float, float]:
        eigenvalues = np.linalg.eigvalsh(self.hessian)
        return eigenvalues[0], eigenvalues[-1]


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class Quadratic(_QuadraticLower):  # numpydoc ignore=PR02
    r"""Both levels quadratic: all gradients are linear, and every method should work.

    Parameters
    ----------
    hessian : (dy, dy) array_like of float
        A, symmetric positive definite.
    coupling : (dy, dx) array_like of float
        B.
    offset : (dy,) array_like of float
        Vector c.
    target : (dy,) array_like of float
        Where the upper level wants y: t.
    rho : float, optional
        :math:`\rho \ge 0`. Default 0.
    noise : float, optional
        Standard deviation of each entry of e and u, at least 0. Default 0, none.
    curvature_noise : float, optional
        Half-width of the uniform law of a, in [0, 1). Default 0, none.
    n_samples : int, optional
        Rows of both finite sums, even. Default 512.
    batch : int, optional
        Rows in a handle. Default 32.
    rng : Generator, SeedSequence or int, optional
        Source of the noise table (SPEC 7).

    Notes
    -----
    :math:`\nabla F = \rho x + B^\top A^{-1}(y^* - t)`; F is quadratic, and `minimiser` is one linear system. Scales:
    steps below 2/eig_max(A) on y, below 2/(rho + eig_max(J'J)) with J = A^-1 B on x when y follows exactly. f_y is not
    bounded, even at y*(x): assumptions of the kind "smooth in x, bounded f_y at y*(x)" hold on bounded sets only.

    Examples
    --------
    >>> problem = Quadratic([[2.0]], [[1.0]], [0.0], target=[3.0], rho=1.0)
    >>> problem.minimiser(), problem.gradient(problem.minimiser()).round(12) + 0.0
    (array([1.2]), array([0.]))
    """

    @property
    def compiled_oracles(self) -> Kernels:  # numpydoc ignore=GL08
        from pessimism.bilevel._engine import quadratic as kernels

        return Kernels(kernels.quadratic_grad_f, kernels.grad_g, kernels.grad_gx, kernels.hvp, kernels.cvp)

    def _f(self, x: Floats, y: Floats, rows: Ints | None) -> float:
        r = y - self.target
        return float(0.5 * r @ r + 0.5 * self.rho * x @ x) + self._f_noise(x, y, rows)

    def _gradient(self, x: Floats, y: Floats) -> Floats:
        return self.rho * x + self._through_y(y - self.target)

    def minimiser(self) -> Floats:
        r"""Minimiser of F; the shortest one if there are many.

        Returns
        -------
        (dim_x,) float
            Solution of :math:`(\rho I + J^\top J) x = J^\top (t - A^{-1} c)` with :math:`J = A^{-1} B`.

        Notes
        -----
        By least squares on (J, sqrt(rho) I), which does not square the condition number.

        Examples
        --------
        >>> Quadratic([[2.0]], [[1.0]], [0.0], target=[3.0]).minimiser()
        array([6.])
        """
        slope = solve(self.hessian, self.coupling)
        rows = np.concatenate([slope, np.sqrt(self.rho) * np.eye(self.dim_x)])
        right = np.concatenate([self.target - solve(self.hessian, self.offset), np.zeros(self.dim_x)])
        return np.asarray(np.linalg.lstsq(rows, right)[0])

    @classmethod
    def random(
        cls,
        dim_x: int = 10,
        dim_y: int = 20,
        *,
        condition: float = 10.0,
        rho: float = 0.1,
        noise: float = 0.1,
        curvature_noise: float = 0.1,
        n_samples: int = 512,
        batch: int = 32,
        rng: Rng = None,
    ) -> Self:
        r"""Draw a standard instance.

        Parameters
        ----------
        dim_x, dim_y : int, optional
            Sizes. Default 10 and 20.
        condition : float, optional
            Eigenvalues of A run from 1 to this, evenly in their logarithm. Default 10.
        rho, noise, curvature_noise, n_samples, batch : optional
            As for the constructor.
        rng : Generator, SeedSequence or int, optional
            Source of randomness (SPEC 7).

        Returns
        -------
        Quadratic
            The axes of A are uniform; B / sqrt(dim_x), c and t are standard normal.

        Examples
        --------
        >>> problem = Quadratic.random(dim_x=2, dim_y=3, rng=0)
        >>> low, high = problem.curvature([0.0, 0.0])
        >>> round(low, 9), round(high, 9)
        (1.0, 10.0)
        """
        generator = _check.generator(rng)
        lower, options = _random(generator, dim_x, dim_y, condition), {"n_samples": n_samples, "batch": batch}
        return cls(*lower, rho, noise=noise, curvature_noise=curvature_noise, **options, rng=generator)


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class _BoundedUpper(_QuadraticLower):
    """Upper levels whose gradient in y is bounded."""

    def __init__(
        self,
        hessian: ArrayLike,
        coupling: ArrayLike,
        offset: ArrayLike,
        target: ArrayLike,
        *,
        noise: float = 0.0,
        curvature_noise: float = 0.0,
        n_samples: int = 512,
        batch: int = 32,
        rng: Rng = None,
    ) -> None:
        sums: Any = {"noise": noise, "curvature_noise": curvature_noise, "n_samples": n_samples, "batch": batch}
        _QuadraticLower.__init__(self, hessian, coupling, offset, target, **sums, rng=rng)

    def _bounded(self, x: Floats, y: Floats, rows: Ints | None) -> float:
        r = y - self.target
        return float((r * (r / (1.0 + np.hypot(1.0, r)))).sum()) + self._f_noise(x, y, rows)  # sqrt(1 + r^2) - 1

    def _bounded_gradient(self, y: Floats) -> Floats:
        r = y - self.target
        return self._through_y(r / np.hypot(1.0, r))

    @classmethod
    def random(
        cls,
        dim_x: int = 10,
        dim_y: int = 20,
        *,
        condition: float = 10.0,
        noise: float = 0.1,
        curvature_noise: float = 0.1,
        n_samples: int = 512,
        batch: int = 32,
        rng: Rng = None,
    ) -> Self:
        """Draw a standard instance.

        The arguments are those of `Quadratic.random`, without `rho`, and so is the law of A, B, c and t.

        Examples
        --------
        >>> Cosh.random(dim_x=2, dim_y=3, rng=0).coupling.shape
        (3, 2)
        """
        generator = _check.generator(rng)
        lower, options = _random(generator, dim_x, dim_y, condition), {"n_samples": n_samples, "batch": batch}
        return cls(*lower, noise=noise, curvature_noise=curvature_noise, **options, rng=generator)


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class Cosh(_BoundedUpper):  # numpydoc ignore=PR01
    r"""Exponential growth in x: unbounded smoothness that the gradient bounds, everywhere.

    The arguments are those of `Quadratic`, without `rho`.

    Notes
    -----
    :math:`\nabla F = \sinh x + B^\top A^{-1} (r / \sqrt{1 + r^2})`. F is 1-strongly convex; its minimiser has no closed
    form, but is 0 if t = A^-1 c.

    What Hao, Gong and Liu (2024) assume of f and g holds globally, as we recall it: :math:`|f_{xx}| = \cosh x \le 1 +
    |\sinh x|`, which is relaxed smoothness with constants (1, 1) in the form of a Hessian; in the form of gradients,
    within one over the second constant (a radius that we have not verified), (1.5, 1.5) works and (1, 1) does not; f_y
    is 1-Lipschitz in y and at most :math:`\sqrt{dy}` long. What is assumed of noise, that it is bounded almost surely
    (so a later paper of the same group), holds for `curvature_noise` = 0 only: otherwise that of the lower gradient
    grows with the gradient. Derived by us.

    Scales: steps below 2/eig_max(A) on y. No constant step :math:`\gamma` on x is safe: without coupling (B = 0) and
    with exact gradients, gradient descent on one coordinate diverges from exactly those starts with
    :math:`\sinh|x_0| / |x_0| > 2/\gamma`: 3.264 for a step of 0.5, 5.370 for 0.1, 7.284 for 0.02. (The curvature passes
    :math:`2/\gamma` already at arccosh(2/gamma), which is not where it starts to diverge.) Derived by us.

    Examples
    --------
    >>> Cosh([[2.0]], [[1.0]], [6.0], target=[3.0]).gradient([0.0])
    array([0.])
    """

    @property
    def compiled_oracles(self) -> Kernels:  # numpydoc ignore=GL08
        from pessimism.bilevel._engine import quadratic as kernels

        return Kernels(kernels.cosh_grad_f, kernels.grad_g, kernels.grad_gx, kernels.hvp, kernels.cvp)

    def _f(self, x: Floats, y: Floats, rows: Ints | None) -> float:
        return float(2.0 * (np.sinh(0.5 * x) ** 2).sum()) + self._bounded(x, y, rows)  # cosh - 1, without cancellation

    def _gradient(self, x: Floats, y: Floats) -> Floats:
        return np.asarray(np.sinh(x) + self._bounded_gradient(y))


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class Quartic(_BoundedUpper):  # numpydoc ignore=PR01
    r"""Polynomial growth in x: unbounded smoothness again, milder than `Cosh`.

    The arguments are those of `Quadratic`, without `rho`.

    Notes
    -----
    :math:`\nabla F = x^3 + B^\top A^{-1} (r / \sqrt{1 + r^2})`; F is convex, and 0 is its minimiser if t = A^-1 c.
    :math:`3 x^2 \le 4/L_1^2 + L_1 |x|^3` for every :math:`L_1 > 0`: relaxed smoothness in the form of a Hessian, with a
    choice of constants, everywhere; f_y and the noise as for `Cosh`. Scales: steps below 2/eig_max(A) on y; without
    coupling, gradient descent on x with a step :math:`\gamma` diverges from :math:`|x_0| > \sqrt{2/\gamma}`. Derived by
    us.

    Examples
    --------
    >>> Quartic([[2.0]], [[0.0]], [6.0], target=[3.0]).gradient([2.0])
    array([8.])
    """

    @property
    def compiled_oracles(self) -> Kernels:  # numpydoc ignore=GL08
        from pessimism.bilevel._engine import quadratic as kernels

        return Kernels(kernels.quartic_grad_f, kernels.grad_g, kernels.grad_gx, kernels.hvp, kernels.cvp)

    def _f(self, x: Floats, y: Floats, rows: Ints | None) -> float:
        return float(0.25 * (x**4).sum()) + self._bounded(x, y, rows)

    def _gradient(self, x: Floats, y: Floats) -> Floats:
        return np.asarray(x**3 + self._bounded_gradient(y))


def _positive_definite(name: str, value: ArrayLike) -> Floats:
    array = _check.matrix(name, value, "n, n", single=True)
    if array.shape[0] != array.shape[1]:
        raise ValueError(f"{name} must be square, got shape {array.shape}")
    apart = np.abs(array - array.T) <= SYMMETRIC * np.abs(array).max()
    _check.require(name, array, apart, "the entry across the diagonal: a Hessian is symmetric")
    lowest = np.linalg.eigvalsh(array)[0]
    if not lowest > np.finfo(float).eps * np.abs(array).max():
        raise ValueError(f"{name} must be positive definite, its lowest eigenvalue is {lowest:.3g}")
    return array


def _even(name: str, value: int) -> int:
    n = _check.count(name, value, low=2)
    if n % 2:
        raise ValueError(f"{name} must be even, since rows come in pairs of opposite noise, got {n}")
    return n


def _opposites(n: int, dy: int, dx: int, noise: tuple[float, float], rng: Rng) -> Floats:
    """Table (n, 1 + 2 dy + dx) of (a, e, u); every second row is minus the one above."""
    scale, generator = _check.nonnegative("noise", noise[0], _check.MAX_SIZE / 1e10), _check.generator(rng)
    width = _check.between("curvature_noise", noise[1], 0.0, 1.0, "[)")
    half = np.zeros((n // 2, 1 + 2 * dy + dx))
    if scale or width:
        half[:, 0] = width * generator.uniform(-1.0, 1.0, n // 2)
        half[:, 1:] = scale * generator.standard_normal((n // 2, 2 * dy + dx))
    table = np.stack([half, -half], axis=1).reshape(n, -1)
    table.setflags(write=False)
    return table


def _random(
    generator: np.random.Generator, dim_x: int, dim_y: int, condition: float
) -> tuple[Floats, Floats, Floats, Floats]:
    dx, dy = _check.count("dim_x", dim_x), _check.count("dim_y", dim_y)
    largest = _check.between("condition", condition, 1.0, 1e14)
    q, r = np.linalg.qr(generator.standard_normal((dy, dy)))
    axes = q * np.sign(np.diag(r))  # uniform over rotations
    hessian = (axes * np.geomspace(1.0, largest, dy)) @ axes.T
    coupling = generator.standard_normal((dy, dx)) / np.sqrt(dx)
    return 0.5 * (hessian + hessian.T), coupling, generator.standard_normal(dy), generator.standard_normal(dy)
