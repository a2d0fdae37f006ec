r"""Ridge penalties of a logistic regression from validation rows: one for all coefficients, or one for each.

.. math::

   g(x, y) = \tfrac1n \sum_i \ell(b_i a_i^\top y) + \tfrac12 \sum_j e^{x_j} y_j^2, \qquad
   f(x, y) = \tfrac1m \sum_i \ell(b^v_i\, {a^v_i}^\top y) + \tfrac\rho2 \|x\|^2,

with :math:`\ell(t) = \log(1 + e^{-t})`, labels b in {-1, 1}, and one x for all j or one for each. With the rows
:math:`a_i` in A and :math:`\sigma(t) = 1/(1 + e^{-t})`, :math:`H = A^\top \mathrm{diag}(\sigma'(A y)) A/n +
\mathrm{diag}(e^x)`, :math:`C v = e^x \odot y \odot v` (summed for one x), and
:math:`\nabla F = \rho x - e^x \odot y^* \odot z` with :math:`H z = \nabla_y f`.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats, Ints, Rng
from pessimism.bilevel.problems._closed_form import Kernels, extremes, few_ones, sigmoid
from pessimism.bilevel.problems._logistic import Logistic, clean_labelled

__all__ = ["LogisticRidge"]


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class LogisticRidge(Logistic):  # numpydoc ignore=PR01
    r"""Choose the logarithms x of ridge penalties so that a logistic regression predicts validation rows.

    The arguments are those of `Ridge`, with labels, -1 or 1, in place of outputs, and one more.

    Parameters
    ----------
    block : int, optional
        Consecutive rows in a term; it divides n and m. Default 1. Where rows are in random order, a term of
        64 rows is as good a sample as 64 terms of one row, and faster to read.

    Notes
    -----
    y* has no formula: damped Newton steps to rounding. Cost O(n p^2) each.

    Scales: the lower level has curvature between min e^x and eig_max(A'A/(4n) + diag(e^x)) (`curvature`), so a step on
    y that is stable at x = 0 explodes at larger x: recompute it, or keep x in a box. The gradient of f in y is bounded,
    by the longest validation row, but strong convexity has no lower limit: assumptions of the kind "g strongly convex
    with Lipschitz derivatives" hold on bounded sets of x only. Where the training rows are separable, y* runs off as x
    goes to minus infinity. Derived by us.

    Examples
    --------
    >>> problem = LogisticRidge([[1.0]], [1], [[1.0]], [-1])
    >>> problem.solve_y([0.0]).round(3), problem.gradient([0.0]).round(3)
    (array([0.401]), array([-0.194]))
    """

    block: int

    def __init__(
        self,
        inputs: ArrayLike,
        labels: ArrayLike,
        validation_inputs: ArrayLike,
        validation_labels: ArrayLike,
        rho: float = 0.0,
        *,
        per_coordinate: bool = True,
        batch: int = 32,
        block: int = 1,
    ) -> None:
        data = clean_labelled((inputs, labels, validation_inputs, validation_labels))
        (n, p), m = data[0].shape, len(data[2])
        dim_x, width = p if _check.flag("per_coordinate", per_coordinate) else 1, _check.count("block", block)
        if n % width or m % width:
            raise ValueError(f"block must divide the numbers of rows, {n} and {m}, got {width}")
        self._build(data, dim_x, [_check.nonnegative("rho", rho)], [dim_x, p, n, m, width], batch)
        for name, value in {"block": width, "n_samples": n // width, "n_samples_f": m // width}.items():
            object.__setattr__(self, name, value)

    @property
    def compiled_oracles(self) -> Kernels:  # numpydoc ignore=GL08
        from pessimism.bilevel._engine import logistic as kernels
        from pessimism.bilevel._engine.least_squares import ridge_cvp, ridge_grad_gx  # of the same penalty

        return Kernels(kernels.grad_f, kernels.grad_g, ridge_grad_gx, kernels.hvp, ridge_cvp)

    def _rows(self, terms: Ints | None) -> Ints | None:
        return None if terms is None else (terms[:, None] * self.block + np.arange(self.block)).ravel()

    def _f(self, x: Floats, y: Floats, rows: Ints | None) -> float:
        return Logistic._f(self, x, y, self._rows(rows))  # super() does not know a class with slots

    def _g(self, x: Floats, y: Floats, rows: Ints | None) -> float:
        z = self.rows if rows is None else self.rows[self._rows(rows)]
        return float(np.logaddexp(0.0, -(z @ y)).mean() + 0.5 * (np.exp(x) * y**2).sum())

    def _weights(self, x: Floats) -> tuple[Floats, Floats]:
        return np.full(len(self.rows), 1.0 / len(self.rows)), np.exp(x) * np.ones(self.dim_y)

    def _gradient(self, x: Floats, y: Floats) -> Floats:
        through = np.exp(x) * y * self._system(x, y)
        return np.asarray(self.rho * x - (through if self.dim_x > 1 else through.sum()))

    def _curvature(self, x: Floats) -> tuple[float, float]:
        penalties = np.exp(x) * np.ones(self.dim_y)
        steepest = self.rows.T @ self.rows / (4.0 * len(self.rows)) + np.diag(penalties)
        return float(penalties.min()), extremes(steepest)[1]

    @classmethod
    def random(
        cls,
        n: int = 200,
        m: int = 100,
        *,
        dim: int = 20,
        relevant: int = 5,
        rho: float = 0.01,
        per_coordinate: bool = True,
        batch: int = 32,
        block: int = 1,
        rng: Rng = None,
    ) -> Self:  # numpydoc ignore=PR01,RT01
        r"""Draw a standard instance: few coefficients matter, and only penalties of their own can tell.

        The arguments are those of `Ridge.random`, without `noise`, and `block`. Inputs are standard normal, a label is
        1 with probability :math:`\sigma(a^\top \theta)`.

        Examples
        --------
        >>> problem = LogisticRidge.random(per_coordinate=False, rng=0)
        >>> problem.dim_x, problem.dim_y
        (1, 20)
        """
        generator = _check.generator(rng)
        counts = _check.count("n", n), _check.count("m", m)
        theta = few_ones(dim, relevant)
        sets = [generator.standard_normal((count, len(theta))) for count in counts]
        labels = [np.where(generator.random(len(rows)) < sigmoid(rows @ theta), 1, -1) for rows in sets]
        options = {"batch": batch, "block": block}
        return cls(sets[0], labels[0], sets[1], labels[1], rho, per_coordinate=per_coordinate, **options)
