r"""Hyper-cleaning: weights of training rows, some of whose labels are wrong, from clean validation rows.

.. math::

   g(x, y) = \tfrac1n \sum_i \sigma(x_i) \ell(b_i a_i^\top y) + \tfrac\mu2 \|y\|^2, \qquad
   f(x, y) = \tfrac1m \sum_i \ell(b^v_i\, {a^v_i}^\top y) + \tfrac\rho2 \|x\|^2,

with :math:`\ell(t) = \log(1 + e^{-t})`, :math:`\sigma(t) = 1/(1 + e^{-t})`, labels b in {-1, 1} and one x for each of n
training rows. With :math:`r_i = -b_i \sigma(-b_i a_i^\top y)` and the rows :math:`a_i` in A,
:math:`C v = \sigma'(x) \odot r \odot (A v)/n` and :math:`\nabla F = \rho x - C z`, :math:`H z = \nabla_y f`.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats, Ints, Rng
from pessimism.bilevel.problems._closed_form import Kernels, sigmoid
from pessimism.bilevel.problems._logistic import Logistic, clean_labelled

__all__ = ["HyperCleaning"]


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class HyperCleaning(Logistic):
    r"""Weigh training rows so that the logistic regression fitted to them predicts clean rows.

    Parameters
    ----------
    inputs, labels : (n, p) array_like of float and (n,) array_like of int
        Training rows; dim_x = n and dim_y = p. Their labels are -1 or 1, and some may be wrong.
    validation_inputs, validation_labels : (m, p) array_like of float and (m,) array_like of int
        Clean validation rows, the same.
    damping : float, optional
        :math:`\mu > 0`, the ridge of the regression. Default 0.01.
    rho : float, optional
        :math:`\rho \ge 0`. Default 0.001.
    batch : int, optional
        Rows in a handle. Default 32.

    Notes
    -----
    y* has no formula: damped Newton steps to rounding. Cost O(n p^2) each.

    Assumptions of the kind "f relaxed smooth, f_y bounded at y*(x), g strongly convex with Lipschitz derivatives" hold
    globally: losses and weights have bounded derivatives, and y*(x) stays in a ball, since
    :math:`\mu\|y^*\| \le \max_i \|a_i\|`. Scales: the lower level has curvature between mu and
    mu + eig_max(A' diag(sigma(x)) A)/(4n) (`curvature`); the upper gradient is of size 1/n an entry. Derived by us.

    At minimisers the rows with wrong labels tend to have the lowest x: an observation on our instances, not a theorem.

    Examples
    --------
    >>> problem = HyperCleaning([[1.0], [1.0]], [1, -1], [[1.0]], [1], rho=0.0)
    >>> problem.solve_y([0.0, 0.0]), bool(problem.gradient([0.0, 0.0]) @ [1.0, -1.0] < 0)
    (array([0.]), True)
    """

    damping: float

    def __init__(
        self,
        inputs: ArrayLike,
        labels: ArrayLike,
        validation_inputs: ArrayLike,
        validation_labels: ArrayLike,
        *,
        damping: float = 0.01,
        rho: float = 0.001,
        batch: int = 32,
    ) -> None:
        data = clean_labelled((inputs, labels, validation_inputs, validation_labels))
        (n, p), m = data[0].shape, len(data[2])
        mu = _check.positive("damping", damping)
        self._build(data, n, [mu, _check.nonnegative("rho", rho)], [n, p, m], batch)
        object.__setattr__(self, "damping", mu)

    @property
    def compiled_oracles(self) -> Kernels:  # numpydoc ignore=GL08
        from pessimism.bilevel._engine import cleaning as kernels

        return Kernels(kernels.grad_f, kernels.grad_g, kernels.grad_gx, kernels.hvp, kernels.cvp)

    def _g(self, x: Floats, y: Floats, rows: Ints | None) -> float:
        z, weights = (self.rows, x) if rows is None else (self.rows[rows], x[rows])
        return float((sigmoid(weights) * np.logaddexp(0.0, -(z @ y))).mean() + 0.5 * self.damping * y @ y)

    def _weights(self, x: Floats) -> tuple[Floats, Floats]:
        return sigmoid(x) / len(x), np.full(self.dim_y, self.damping)

    def _gradient(self, x: Floats, y: Floats) -> Floats:
        slopes = -sigmoid(-(self.rows @ y)) * (self.rows @ self._system(x, y))
        through = sigmoid(x) * sigmoid(-x) * slopes / len(x)
        return np.asarray(self.rho * x - through)

    def _curvature(self, x: Floats) -> tuple[float, float]:
        steepest = np.linalg.eigvalsh((self.rows.T * (0.25 * sigmoid(x) / len(x))) @ self.rows)[-1]
        return self.damping, self.damping + steepest

    @classmethod
    def random(
        cls,
        n: int = 100,
        m: int = 50,
        *,
        dim: int = 5,
        flipped: float = 0.2,
        damping: float = 0.01,
        rho: float = 0.001,
        batch: int = 32,
        rng: Rng = None,
    ) -> Self:
        r"""Draw a standard instance: standard normal inputs, labels their signs along the diagonal.

        Parameters
        ----------
        n, m : int, optional
            Training and validation rows.
        dim : int, optional
            Inputs p. Default 5.
        flipped : float, optional
            Share in [0, 1] of training rows with the wrong label: the first ``round(flipped * n)``. Default 0.2.
        damping, rho, batch : optional
            As for the constructor.
        rng : Generator, SeedSequence or int, optional
            Source of randomness (SPEC 7).

        Returns
        -------
        HyperCleaning
            Validation labels are right.

        Examples
        --------
        The wrong rows lose weight on the first step, the others gain.

        >>> slope = HyperCleaning.random(rng=0).gradient(np.zeros(100))
        >>> bool(slope[:20].mean() > 0 > slope[20:].mean())
        True
        """
        generator = _check.generator(rng)
        share = _check.between("flipped", flipped, 0.0, 1.0)
        p = _check.count("dim", dim)
        sets = [generator.standard_normal((_check.count(*size), p)) for size in (("n", n), ("m", m))]
        labels = [np.where(rows.sum(axis=1) >= 0, 1, -1) for rows in sets]
        labels[0][: round(share * n)] *= -1
        return cls(sets[0], labels[0], sets[1], labels[1], damping=damping, rho=rho, batch=batch)
