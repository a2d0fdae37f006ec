r"""Ridge penalties from validation rows: one for all coefficients, or one for each.

.. math::

   g(x, y) = \tfrac1{2n} \|X y - b\|^2 + \tfrac12 \sum_j e^{x_j} y_j^2, \qquad
   f(x, y) = \tfrac1{2m} \|X_v y - b_v\|^2 + \tfrac\rho2 \|x\|^2,

with one x for all j or one for each. Then :math:`H = X^\top X/n + \mathrm{diag}(e^x)`, :math:`y^* = H^{-1} X^\top b/n`,
:math:`C v = e^x \odot y \odot v` (summed for one x), and :math:`\nabla F = \rho x - e^x \odot y^* \odot z` with
:math:`H z = X_v^\top (X_v y^* - b_v)/m`.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._draw import Floats, Ints, Rng
from pessimism.bilevel.problems._closed_form import Kernels, extremes, matrix, not_negative, solve
from pessimism.bilevel.problems._least_squares import LeastSquares, regression


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Ridge(LeastSquares):
    r"""Choose the logarithms x of ridge penalties so that validation rows are fitted best.

    Parameters
    ----------
    inputs : (n, p) array_like of float
        Training rows X; dim_y = p.
    outputs : (n,) array_like of float
        Their outputs b.
    validation_inputs : (m, p) array_like of float
        Validation rows.
    validation_outputs : (m,) array_like of float
        Their outputs.
    rho : float, optional
        :math:`\rho \ge 0`, which keeps x from running off. Default 0.
    per_coordinate : bool, optional
        One x for each coefficient, dim_x = p (default), or one for all, dim_x = 1.
    batch : int, optional
        Rows in a handle. Default 32.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, its first bad entry and what was expected.

    Notes
    -----
    Exact oracles, values and gradients read the Gram matrices and never the rows: a gradient costs O(p^3) whatever n.

    Scales: the lower level has curvature up to eig_max(X'X/n) + max e^x, so a step on y that is stable at x = 0
    explodes at larger x: recompute it (`curvature`), or keep x in a box. Where more penalty never helps, F falls as x
    goes to minus infinity: use `rho` or a box. For the same reason assumptions of the kind "the lower gradient is
    Lipschitz" hold on bounded sets of x only, and those on f_y too. Derived by us.

    Examples
    --------
    >>> problem = Ridge([[1.0], [1.0]], [2.0, 4.0], [[1.0]], [1.0])
    >>> problem.solve_y([0.0]), problem.gradient([0.0])
    (array([1.5]), array([-0.375]))
    """

    def __init__(
        self,
        inputs: ArrayLike,
        outputs: ArrayLike,
        validation_inputs: ArrayLike,
        validation_outputs: ArrayLike,
        rho: float = 0.0,
        *,
        per_coordinate: bool = True,
        batch: int = 32,
    ) -> None:
        x = matrix("inputs", inputs, (None, None), "a row for each sample")
        data = (x, outputs, validation_inputs, validation_outputs)
        self._build(data, rho, 0.0, batch, x.shape[1] if per_coordinate else 1, x.shape[1])

    @property
    def kernels(self) -> Kernels:
        """Compiled `grad_f`, `grad_g`, `hvp`, `cvp` and `grad_gx`, all of one type."""
        from pessimism.bilevel.problems import _least_squares_kernels as loops

        return loops.ridge_grad_f, loops.ridge_grad_g, loops.ridge_hvp, loops.ridge_cvp, loops.ridge_grad_gx

    def _f(self, x: Floats, y: Floats, rows: Ints | None) -> float:
        return self._loss(y, True, rows) + float(0.5 * self.rho * x @ x)

    def _g(self, x: Floats, y: Floats, rows: Ints | None) -> float:
        return self._loss(y, False, rows) + float(0.5 * (np.exp(x) * y**2).sum())

    def _hessian(self, x: Floats) -> Floats:
        hessian: Floats = self.grams[0].copy()
        np.einsum("jj->j", hessian)[:] += np.exp(x)  # a view of the diagonal
        return hessian

    def _solve(self, x: Floats) -> Floats:
        return solve(self._hessian(x), self.moments[0])

    def _gradient(self, x: Floats, y: Floats) -> Floats:
        through = np.exp(x) * y * solve(self._hessian(x), self._slope(y, True))
        return np.asarray(self.rho * x - (through if self.dim_x > 1 else through.sum()))

    def _curvature(self, x: Floats) -> tuple[float, float]:
        return extremes(self._hessian(x))

    @classmethod
    def random(
        cls,
        n: int = 200,
        m: int = 100,
        *,
        dim: int = 20,
        relevant: int = 5,
        noise: float = 1.0,
        rho: float = 0.01,
        per_coordinate: bool = True,
        batch: int = 32,
        rng: Rng = None,
    ) -> Self:
        r"""Draw a standard instance: few coefficients matter, and only penalties of their own can tell.

        Parameters
        ----------
        n, m : int, optional
            Training and validation rows. Default 200 and 100.
        dim : int, optional
            Coefficients p. Default 20.
        relevant : int, optional
            How many of them, the first, are not 0 but 1. Default 5.
        noise : float, optional
            Standard deviation of the outputs. Default 1.
        rho : float, optional
            :math:`\rho \ge 0`. Default 0.01.
        per_coordinate : bool, optional
            As for the constructor.
        batch : int, optional
            As for the constructor.
        rng : Generator, SeedSequence or int, optional
            Source of randomness (SPEC 7).

        Returns
        -------
        Ridge
            Its inputs are standard normal.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of its range.

        Examples
        --------
        >>> problem = Ridge.random(per_coordinate=False, rng=0)
        >>> problem.dim_x, problem.dim_y
        (1, 20)
        """
        generator = np.random.default_rng(rng)
        rows = _check.whole("n", n, low=1), _check.whole("m", m, low=1)
        p = _check.whole("dim", dim, low=1)
        theta = (np.arange(p) < _check.whole("relevant", relevant)).astype(float)
        scale = not_negative("noise", noise)
        train, validation = (regression(generator, count, theta, scale) for count in rows)
        return cls(*train, *validation, rho, per_coordinate=per_coordinate, batch=batch)
