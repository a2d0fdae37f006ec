"""What the risks of estimators have in common in all wings: bias and variance, and the moments of a ratio of sums."""

from dataclasses import dataclass

import numpy as np

from pessimism._objects import Speaking
from pessimism._types import Floats

STEP = 0.1
"""Of the trapezoidal rule in log t: its error is below exp(-4.9 / STEP)."""

ENTRIES = 2**21
"""Of the largest table over t and the weights: 16 MB."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Risk(Speaking):
    """Bias and variance of an estimator.

    Attributes
    ----------
    bias : (...,) float
        Mean error given that the estimator is defined, in reward units.
    variance : (...,) float
        Variance given that it is defined.
    undefined : (...,) float
        Probability that it is undefined, because nothing in the log tells anything.

    Examples
    --------
    >>> import numpy as np
    >>> from pessimism.bandits.risk import Risk
    >>> float(Risk(np.array(0.5), np.array(0.25), np.array(0.0)).mse)
    0.5
    """

    __module__ = "pessimism.bandits.risk"

    bias: Floats
    variance: Floats
    undefined: Floats

    @property
    def mse(self) -> Floats:
        """(...,) float, mean squared error given that the estimator is defined."""
        return np.asarray(self.bias**2 + self.variance)


def ratio_moments(n: int, mu: Floats, log_w: Floats, v: Floats, c: Floats) -> tuple[Floats, Floats, Floats]:
    r"""First and second moment of the self-normalised estimator about J, where it is defined, and P(undefined).

    Atoms (K,) of probability mu, the logarithm of their weight w, the variance v and the error c = r - J of what is
    weighted. E[A / B] is the integral of E[A exp(-tB)] over t, taken over log t.
    """
    weighted = (mu > 0) & (log_w > -np.inf)
    undefined = np.asarray((mu * (log_w == -np.inf)).sum(axis=-1)) ** n
    largest, smallest = float(log_w[weighted].max()), float(log_w[weighted].min())
    log_t = np.arange(np.log(1e-12 / n) - largest, np.log(800.0) - smallest, STEP)
    parts = np.array_split(log_t, 1 + log_t.size * mu.size // ENTRIES)
    first, second = np.sum([_integrals(part, n, mu, log_w, v, c, largest) for part in parts], axis=0)
    return np.asarray(STEP * first), np.asarray(STEP * second), undefined


def _integrals(
    log_t: Floats, n: int, mu: Floats, log_w: Floats, v: Floats, c: Floats, largest: float
) -> tuple[float, float]:
    """The sums of both integrands over some log t (T,)."""
    u = np.exp(np.minimum(log_t[:, None] + log_w, 7.0))  # t w; of exp(-exp(7)) nothing is left
    decay, less = np.exp(-u), np.expm1(-u)
    early = log_t + largest < 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        log_phi = np.where(early, np.log1p((mu * less).sum(axis=-1)), np.log((mu * decay).sum(axis=-1)))
        first = np.where(early, (mu * u * c * less).sum(axis=-1), (mu * u * c * decay).sum(axis=-1))
        second = n * (mu * u**2 * (v + c**2) * decay).sum(axis=-1)
        power = np.ones(len(u))
        if n > 1:
            power, lower = np.exp((n - 1) * log_phi), np.exp((n - 2) * log_phi)
            second = second * power + np.where(first != 0, n * (n - 1.0) * first**2 * lower, 0.0)
    return float((n * first * power).sum()), float(second.sum())
