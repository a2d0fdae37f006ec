"""An estimated value with its interval: what `BanditData.value` returns."""

from dataclasses import dataclass

from pessimism._objects import Speaking
from pessimism._types import Floats

__all__ = ["ValueInterval"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ValueInterval(Speaking):
    """Estimated value of a policy with an interval of stated level.

    Attributes
    ----------
    estimate : (...,) float
        Point estimate in reward units; NaN where the policy uses a pair that was never logged.
    low, high : (...,) float
        Interval, in reward units; infinite where a pair that was never logged may be worth anything.
    level : float
        Probability, in (0, 1), with which the interval covers the value: at least, or as n grows.
    guarantee : str
        "every n", or "asymptotic" for an interval that may miss far more often at the n of the log.

    See Also
    --------
    pessimism.bandits.data.BanditData.value : Computes it from a log.

    Examples
    --------
    >>> import numpy as np
    >>> float(ValueInterval(np.array(0.5), np.array(0.4), np.array(0.6), 0.95).low)
    0.4
    """

    estimate: Floats
    low: Floats
    high: Floats
    level: float
    guarantee: str = "every n"
