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


def ratio_moments(n: int, mu: Floats, w: Floats, v: Floats, c: Floats) -> tuple[Floats, Floats, Floats]:
    r"""First and second moment of the self-normalised estimator about J, where it is defined, and P(undefined).

    E[A / B] is the integral of E[A exp(-tB)] over t. c = r - J.
    """
    weighted = (mu > 0) & (w > 0)
    undefined = np.asarray((mu * (w == 0)).sum(axis=-1)) ** n
    largest, smallest = float(w[weighted].max()), float(w[weighted].min())
    t = np.exp(np.arange(np.log(1e-12 / (n * largest)), np.log(800.0 / smallest), STEP))
    parts = np.array_split(t, 1 + t.size * w.size // ENTRIES)
    first, second = np.sum([_integrals(part[:, None], n, mu, w, v, c, largest) for part in parts], axis=0)
    return np.asarray(first), np.asarray(second), undefined


def _integrals(t: Floats, n: int, mu: Floats, w: Floats, v: Floats, c: Floats, largest: float) -> tuple[float, float]:
    """The part of both integrals at some t (T, 1)."""
    decay, less = np.exp(-t * w), np.expm1(-t * w)
    early = t[:, 0] * largest < 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        log_phi = np.where(early, np.log1p((mu * less).sum(axis=-1)), np.log((mu * decay).sum(axis=-1)))
        first = np.where(early, (mu * w * c * less).sum(axis=-1), (mu * w * c * decay).sum(axis=-1))
        second = (mu * w**2 * (v + c**2) * decay).sum(axis=-1)
        power, lower = np.exp((n - 1) * log_phi), np.exp((n - 2) * log_phi)
        squared = n * second * power + np.where(first != 0, n * (n - 1.0) * first**2 * lower, 0.0)
    step = STEP * t[:, 0]
    return float((step * n * first * power).sum()), float((step * t[:, 0] * squared).sum())
