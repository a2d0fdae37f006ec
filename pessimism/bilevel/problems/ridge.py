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
from pessimism._types import Floats, Ints, Rng
from pessimism.bilevel.problems._closed_form import Kernels, clean_rows, extremes, few_ones
from pessimism.bilevel.problems._least_squares import LeastSquares, Stack, regression

__all__ = ["Ridge"]


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class Ridge(LeastSquares):
    r"""Choose the logarithms x of ridge penalties so that validation rows are fitted best.

    Parameters
    ----------
    inputs, outputs : (n, p) and (n,) array_like of float
        Training rows X and their outputs b; dim_y = p.
    validation_inputs, validation_outputs : (m, p) and (m,) array_like of float
        Validation rows and their outputs.
    rho : float, optional
        :math:`\rho \ge 0`, which keeps x from running off. Default 0.
    per_coordinate : bool, optional
        One x for each coefficient, dim_x = p (default), or one for all, dim_x = 1.
    batch : int, optional
        Rows in a handle. Default 32.

    Notes
    -----
    Exact oracles read Gram matrices, values and gradients the R of a QR factorisation, and none the rows: a gradient
    costs O(p^3) whatever n. Values and gradients are those of rows changed in their last bits, for penalties of any
    size from e^-1400 on. Such a change weighs eps / e^x in one case: columns with tiny penalties that depend on each
    other, beside penalised columns that do not depend on them.

    Scales: the lower level has curvature up to eig_max(X'X/n) + max e^x, so a step on y that is stable at x = 0
    explodes at larger x: recompute it (`curvature`), or keep x in a box. Where more penalty never helps, F falls as x
    goes to minus infinity: use `rho` or a box. The gradient of g in y has the Lipschitz constant e^x at least, and
    where X has dependent columns (as for n < p) strong convexity goes to 0 with e^x: assumptions on either hold on
    bounded sets of x only. With independent columns f_y at y*(x) is bounded, since :math:`\|X y^*\| \le \|b\|`.
    Derived by us.

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
        data = clean_rows((inputs, outputs, validation_inputs, validation_outputs), "outputs")
        p = data[0].shape[1]
        self._build(data, rho, 0.0, batch, p if _check.flag("per_coordinate", per_coordinate) else 1, p)

    @property
    def compiled_oracles(self) -> Kernels:  # numpydoc ignore=GL08
        from pessimism.bilevel._engine import least_squares as kernels

        first = kernels.ridge_grad_f, kernels.ridge_grad_g, kernels.ridge_grad_gx
        return Kernels(*first, kernels.ridge_hvp, kernels.ridge_cvp)

    def _f(self, x: Floats, y: Floats, rows: Ints | None) -> float:
        return self._loss(y, True, rows) + float(0.5 * self.rho * x @ x)

    def _g(self, x: Floats, y: Floats, rows: Ints | None) -> float:
        return self._loss(y, False, rows) + float(0.5 * (np.exp(x) * y**2).sum())

    def _stack(self, x: Floats) -> tuple[Stack, Floats, Floats]:
        """For w = y / shrink, in which no penalty overflows; root^2 is the penalty of w."""
        each = x * np.ones(self.dim_y)
        root, shrink = np.exp(0.5 * np.minimum(each, 0.0)), np.exp(-0.5 * np.clip(each, 0.0, 1400.0))
        return Stack(root, self.reduced[0][0] * shrink), root, shrink

    def _solve(self, x: Floats) -> Floats:
        stack, _, shrink = self._stack(x)
        return shrink * stack.least_squares(self.reduced[0][1])

    def _gradient(self, x: Floats, y: Floats) -> Floats:
        stack, root, shrink = self._stack(x)
        half = stack.forward(shrink * self._slope(y, True))
        size = np.abs(half).max() or 1.0  # z overflows long before root z does
        through = (root * stack.back(half / size)) * (size * root * (y / shrink))
        return np.asarray(self.rho * x - (through if self.dim_x > 1 else through.sum()))

    def _curvature(self, x: Floats) -> tuple[float, float]:
        penalties = np.exp(x) * np.ones(self.dim_y)
        high = extremes(self.grams[0] + np.diag(penalties))[1]
        stack, _, shrink = self._stack(x)
        inverse = shrink[:, None] * stack.back(np.eye(self.dim_y))
        low = np.linalg.norm(inverse, 2) ** -2.0 if np.isfinite(inverse).all() else 0.0
        return min(max(float(low), float(penalties.min())), high), high

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
            Training and validation rows.
        dim : int, optional
            Coefficients p. Default 20.
        relevant : int, optional
            How many of them, the first, are not 0 but 1. Default 5.
        noise : float, optional
            Standard deviation of the outputs. Default 1.
        rho, per_coordinate, batch : optional
            As for the constructor.
        rng : Generator, SeedSequence or int, optional
            Source of randomness (SPEC 7).

        Returns
        -------
        Ridge
            Its inputs are standard normal.

        Examples
        --------
        >>> problem = Ridge.random(per_coordinate=False, rng=0)
        >>> problem.dim_x, problem.dim_y
        (1, 20)
        """
        generator = _check.generator(rng)
        rows = _check.count("n", n), _check.count("m", m)
        theta = few_ones(dim, relevant)
        scale = _check.nonnegative("noise", noise, _check.MAX_SIZE / 1e10)
        train, validation = (regression(generator, count, theta, scale) for count in rows)
        return cls(*train, *validation, rho, per_coordinate=per_coordinate, batch=batch)
