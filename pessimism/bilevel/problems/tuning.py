r"""The level of pessimism itself as the upper variable. Our own construction, an illustration only.

K arms with logged means :math:`\bar r`, bonuses :math:`b_a = 1/\sqrt{n_a}` and a level :math:`\beta = e^x`:

.. math::

   g(x, y) = \tfrac12 \|y - \bar r\|^2 + \beta\, b^\top y + \tfrac\lambda2 \|y\|^2, \qquad
   f(x, y) = -\langle \mathrm{softmax}(y/\tau), \tilde r \rangle + \tfrac\rho2 x^2,

so that :math:`y^* = (\bar r - \beta b)/(1 + \lambda)`, the shrunken lower confidence bound, is followed softly, and
judged by held-out estimates :math:`\tilde r`. With the covariance under :math:`\pi = \mathrm{softmax}(y^*/\tau)`,

.. math:: F'(x) = \rho x + \frac{\beta}{\tau (1 + \lambda)} \mathrm{Cov}_\pi(b, \tilde r):

pessimism should rise exactly while the arms that are little known are those that the held-out rewards find bad.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats, Ints, Rng
from pessimism.bilevel.problems._closed_form import ClosedForm, Kernels, pack, quiet, variable

__all__ = ["PessimismTuning"]

LEVEL = 15.0
"""Logarithm of the level above which the smallest bonus is subtracted from all of them, which changes no policy."""


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class PessimismTuning(ClosedForm):
    r"""Learn the logarithm of an LCB's level from held-out rewards.

    Parameters
    ----------
    counts : (K,) array_like of int
        Logged rounds of each arm, at least 1; dim_y = K and dim_x = 1.
    means : (K,) array_like of float
        Their mean rewards.
    held_out : (K,) array_like of float
        Estimates of the same means from other rounds.
    temperature : float, optional
        :math:`\tau > 0`. Default 0.1.
    damping : float, optional
        :math:`\lambda \ge 0`. Default 0.1.
    rho : float, optional
        :math:`\rho \ge 0`. Default 0.

    Notes
    -----
    `held_out` must come from rounds that `means` has not seen and must be valid off policy (importance weights, or a
    model whose error is controlled). Estimates that share the noise of the logged means reward what was lucky, and
    tuning then removes the pessimism. No paper that we know tunes the level this way.

    Oracles are exact: the finite sums have one term, and every handle means the whole problem.

    Scales: the lower level has curvature 1 + lambda everywhere; gradients in x are of size beta/(tau(1 + lambda)) times
    a small covariance, often 0.01, so steps on x may be large. The mixed derivative grows with e^x: Lipschitz
    assumptions hold on bounded sets of x only. As x goes to minus infinity F' does to :math:`\rho x`: with rho = 0 the
    greedy end is flat. Derived by us.

    Examples
    --------
    >>> problem = PessimismTuning([100, 1], [0.5, 0.6], held_out=[0.5, 0.2])
    >>> problem.solve_y([0.0]).round(3), bool(problem.gradient([0.0])[0] < 0)
    (array([ 0.364, -0.364]), True)
    """

    counts: Ints
    means: Floats
    held_out: Floats
    temperature: float
    damping: float
    rho: float
    bonus: Floats

    def __init__(
        self,
        counts: ArrayLike,
        means: ArrayLike,
        held_out: ArrayLike,
        *,
        temperature: float = 0.1,
        damping: float = 0.1,
        rho: float = 0.0,
    ) -> None:
        rounds = _check.whole_array("counts", counts, low=1)
        if rounds.ndim != 1 or rounds.size == 0:
            raise ValueError(f"counts must have shape (n,), an entry for each arm, got {rounds.shape}")
        arms = rounds.size
        logged = _check.vector("means", means, arms, "an entry for each arm of counts", single=True)
        held = _check.vector("held_out", held_out, arms, "an entry for each arm of counts", single=True)
        tau, shrinkage = _check.positive("temperature", temperature), _check.nonnegative("damping", damping)
        bonus, ridge = 1.0 / np.sqrt(rounds), _check.nonnegative("rho", rho)
        fields = {"counts": rounds, "means": logged, "held_out": held, "bonus": bonus, "dim_x": 1, "dim_y": arms}
        fields |= {"temperature": tau, "damping": shrinkage, "rho": ridge}
        parts: list[Floats | float] = [tau, shrinkage, ridge, bonus, logged, held]
        pack(self, parts, [arms], n_samples=1, n_samples_f=1, batch=1, **fields)

    @property
    def compiled_oracles(self) -> Kernels:  # numpydoc ignore=GL08
        from pessimism.bilevel._engine import tuning as kernels

        return Kernels(kernels.grad_f, kernels.grad_g, kernels.grad_gx, kernels.hvp, kernels.cvp)

    @quiet
    def policy(self, x: ArrayLike) -> Floats:
        r"""Softmax policy at a level of pessimism.

        Parameters
        ----------
        x : (1,) array_like of float
            Logarithm of the level.

        Returns
        -------
        (K,) float
            :math:`\pi = \mathrm{softmax}(y^*(x)/\tau)`; its value is the product with the arms' true means. NaN where
            x is not finite.

        Examples
        --------
        >>> PessimismTuning([100, 1], [0.5, 0.6], held_out=[0.5, 0.2]).policy([0.0]).round(3)
        array([0.999, 0.001])
        """
        point = variable("x", x, 1)
        return self._softmax(self._scores(point)) if np.isfinite(point).all() else np.full(self.dim_y, np.nan)

    def _scores(self, x: Floats) -> Floats:
        """y*, up to a number that all arms share and that would hide the means where the level is high."""
        if x[0] < LEVEL:
            return self._solve(x)
        return np.asarray((self.means - np.exp(min(x[0], 700.0)) * self._more) / (1.0 + self.damping))

    @property
    def _more(self) -> Floats:
        return np.asarray(self.bonus - self.bonus.min())

    def _softmax(self, y: Floats) -> Floats:
        e = np.exp((y - y.max()) / self.temperature)
        return np.asarray(e / e.sum())

    def _f(self, x: Floats, y: Floats, rows: Ints | None) -> float:
        return float(0.5 * self.rho * x @ x - self._softmax(y) @ self.held_out)

    def _g(self, x: Floats, y: Floats, rows: Ints | None) -> float:
        gap = y - self.means
        return float(0.5 * gap @ gap + np.exp(x[0]) * (self.bonus @ y) + 0.5 * self.damping * y @ y)

    def _value(self, x: Floats) -> float:
        return self._f(x, self._scores(x), None)

    def _solve(self, x: Floats) -> Floats:
        return np.asarray((self.means - np.exp(x[0]) * self.bonus) / (1.0 + self.damping))

    def _gradient(self, x: Floats, y: Floats) -> Floats:
        policy, bonus = self._softmax(self._scores(x)), self._more
        covariance = policy @ ((bonus - policy @ bonus) * (self.held_out - policy @ self.held_out))
        level = np.exp(np.minimum(x, 700.0))
        return np.asarray(self.rho * x + level / (self.temperature * (1.0 + self.damping)) * covariance)

    def _curvature(self, x: Floats) -> tuple[float, float]:
        return 1.0 + self.damping, 1.0 + self.damping

    @classmethod
    def random(
        cls,
        arms: int = 10,
        n: int = 200,
        *,
        held_out: int = 1000,
        temperature: float = 0.1,
        damping: float = 0.1,
        rho: float = 0.0,
        rng: Rng = None,
    ) -> Self:
        r"""Draw a standard instance: rewards 0 or 1, every arm logged half as often as the one before it.

        Parameters
        ----------
        arms : int, optional
            K. Default 10.
        n : int, optional
            Logged rounds of the first arm. Default 200.
        held_out : int, optional
            Held-out rounds of each arm. Default 1000.
        temperature, damping, rho : float, optional
            As for the constructor.
        rng : Generator, SeedSequence or int, optional
            Source of randomness (SPEC 7).

        Returns
        -------
        PessimismTuning
            The true means are uniform on (0, 1).

        Examples
        --------
        >>> PessimismTuning.random(4, rng=0).counts.tolist()
        [200, 100, 50, 25]
        """
        generator = _check.generator(rng)
        size, most = _check.count("arms", arms), _check.count("n", n)
        other = _check.count("held_out", held_out)
        counts = np.maximum(most // 2 ** np.minimum(np.arange(size), 62), 1)
        truth = generator.random(size)
        means, held = generator.binomial(counts, truth) / counts, generator.binomial(other, truth) / other
        return cls(counts, means, held, temperature=temperature, damping=damping, rho=rho)
