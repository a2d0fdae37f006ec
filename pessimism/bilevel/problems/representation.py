r"""A linear representation learned above, its ridge head below.

.. math::

   g(W, y) = \tfrac1{2n} \|X W^\top y - b\|^2 + \tfrac\lambda2 \|y\|^2, \qquad
   f(W, y) = \tfrac1{2m} \|X_v W^\top y - b_v\|^2 + \tfrac\rho2 \|W\|^2,

where x is W (k x p) row by row. With :math:`S = X^\top X/n`, :math:`\theta = W^\top y`,
:math:`s = S\theta - X^\top b/n` and :math:`q = X_v^\top (X_v \theta - b_v)/m`: :math:`H = W S W^\top + \lambda I`,
:math:`C v = v s^\top + y (S W^\top v)^\top` and :math:`\nabla F = \rho W + y q^\top - C z` with :math:`H z = W q`.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats, Ints, Rng
from pessimism.bilevel.problems._closed_form import Kernels, clean_rows, extremes
from pessimism.bilevel.problems._least_squares import LeastSquares, Stack, regression

__all__ = ["HyperRepresentation"]


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class HyperRepresentation(LeastSquares):
    r"""Learn W (k x p) such that the ridge head fitted to training rows predicts validation rows.

    Parameters
    ----------
    inputs, outputs : (n, p) and (n,) array_like of float
        Training rows X and their outputs b.
    validation_inputs, validation_outputs : (m, p) and (m,) array_like of float
        Validation rows and their outputs.
    width : int
        Rows k of W: dim_y = k and dim_x = k p.
    damping : float, optional
        :math:`\lambda > 0`, the ridge of the head. Default 0.1.
    rho : float, optional
        :math:`\rho \ge 0`. Default 0.
    batch : int, optional
        Rows in a handle. Default 32.

    Notes
    -----
    F is not convex, grows polynomially, and does not change when W becomes Q W for a rotation Q: minimisers come in
    orbits, so compare F and the length of the gradient, never W. At W = 0 the gradient is 0.

    Scales: the lower level has curvature between lambda and lambda + eig_max(W S W'), which grows with the square of W
    (`curvature`). It is strongly convex everywhere, but Lipschitz and bounded-gradient assumptions hold on bounded sets
    of W only. Derived by us.

    Examples
    --------
    >>> problem = HyperRepresentation([[1.0], [1.0]], [2.0, 4.0], [[1.0]], [1.0], width=1, damping=1.0)
    >>> problem.solve_y([1.0]), problem.gradient([0.0])
    (array([1.5]), array([0.]))
    """

    width: int
    damping: float

    def __init__(
        self,
        inputs: ArrayLike,
        outputs: ArrayLike,
        validation_inputs: ArrayLike,
        validation_outputs: ArrayLike,
        width: int,
        *,
        damping: float = 0.1,
        rho: float = 0.0,
        batch: int = 32,
    ) -> None:
        data = clean_rows((inputs, outputs, validation_inputs, validation_outputs), "outputs")
        k, ridge = _check.count("width", width), _check.positive("damping", damping)
        object.__setattr__(self, "width", k)
        object.__setattr__(self, "damping", ridge)
        self._build(data, rho, ridge, batch, k * data[0].shape[1], k)

    @property
    def compiled_oracles(self) -> Kernels:  # numpydoc ignore=GL08
        from pessimism.bilevel._engine import least_squares as kernels

        first = kernels.representation_grad_f, kernels.representation_grad_g, kernels.representation_grad_gx
        return Kernels(*first, kernels.representation_hvp, kernels.representation_cvp)

    def _w(self, x: Floats) -> Floats:
        return x.reshape(self.width, -1)

    def _f(self, x: Floats, y: Floats, rows: Ints | None) -> float:
        return self._loss(y @ self._w(x), True, rows) + float(0.5 * self.rho * x @ x)

    def _g(self, x: Floats, y: Floats, rows: Ints | None) -> float:
        return self._loss(y @ self._w(x), False, rows) + float(0.5 * self.damping * y @ y)

    def _stack(self, x: Floats) -> Stack:
        return Stack(np.full(self.width, np.sqrt(self.damping)), self.reduced[0][0] @ self._w(x).T)

    def _solve(self, x: Floats) -> Floats:
        return self._stack(x).least_squares(self.reduced[0][1])

    def _gradient(self, x: Floats, y: Floats) -> Floats:
        w, theta = self._w(x), y @ self._w(x)
        s, q = self._slope(theta, False), self._slope(theta, True)
        stack, r = self._stack(x), self.reduced[0][0]
        z = stack.back(stack.forward(w @ q))
        through = np.outer(z, s) + np.outer(y, r.T @ (r @ (z @ w)))
        return np.asarray((self.rho * w + np.outer(y, q) - through).ravel())

    def _curvature(self, x: Floats) -> tuple[float, float]:
        w = self._w(x)
        low, high = extremes(w @ self.grams[0] @ w.T + self.damping * np.eye(self.width))
        return max(low, self.damping), high

    @classmethod
    def random(
        cls,
        n: int = 200,
        m: int = 100,
        *,
        dim: int = 10,
        width: int = 3,
        noise: float = 0.5,
        damping: float = 0.1,
        rho: float = 0.01,
        batch: int = 32,
        rng: Rng = None,
    ) -> Self:
        r"""Draw a standard instance: standard normal inputs and coefficients.

        Parameters
        ----------
        n, m : int, optional
            Training and validation rows.
        dim : int, optional
            Inputs p. Default 10.
        width : int, optional
            Rows k of W. Default 3.
        noise : float, optional
            Standard deviation of the outputs. Default 0.5.
        damping, rho, batch : optional
            As for the constructor.
        rng : Generator, SeedSequence or int, optional
            Source of randomness (SPEC 7).

        Returns
        -------
        HyperRepresentation
            With one task, so that k = 1 would do; more rows of W make the flat directions.

        Examples
        --------
        >>> problem = HyperRepresentation.random(dim=4, width=2, rng=0)
        >>> problem.dim_x, problem.dim_y
        (8, 2)
        """
        generator = _check.generator(rng)
        rows = _check.count("n", n), _check.count("m", m)
        scale = _check.nonnegative("noise", noise, _check.MAX_SIZE / 1e10)
        theta = generator.standard_normal(_check.count("dim", dim))
        train, validation = (regression(generator, count, theta, scale) for count in rows)
        return cls(*train, *validation, width, damping=damping, rho=rho, batch=batch)
