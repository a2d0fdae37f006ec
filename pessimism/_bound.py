"""Pieces of the bounds of several wings: their arguments, where they say nothing, roots, a supremum of normal tails."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._types import Floats


def rounds(n: ArrayLike) -> Floats:
    """Sample sizes: numbers of at least 1."""
    return _check.real_array("n", n, low=1.0)


def concentrability(cstar: ArrayLike) -> Floats:
    """Values of C*: numbers of at least 1."""
    return _check.real_array("cstar", cstar, low=1.0)


def where(stated: NDArray[np.bool_], bound: Floats) -> Floats:
    """The bound where it is stated; NaN elsewhere."""
    return np.asarray(np.where(stated, bound, np.nan))


def root(falling: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """Where a falling function changes its sign between two positive numbers, by bisection of their logarithm."""
    for _ in range(100):  # 100 halvings leave nothing of a double
        middle = np.sqrt(low * high)
        up = falling(middle) > 0.0
        low, high = np.where(up, middle, low), np.where(up, high, middle)
    return low


def normal_peak(shift: Floats) -> tuple[Floats, Floats]:
    r"""The z that maximises :math:`z\,\bar\Phi(z + \text{shift})`, and :math:`\bar\Phi` there."""
    from scipy.special import log_ndtr

    def slope(z: Floats) -> Floats:  # of log z + log Phibar(z + shift); falls from +inf to below 0
        hazard = np.exp(-0.5 * (z + shift) ** 2 - log_ndtr(-(z + shift))) / math.sqrt(2.0 * math.pi)
        return np.asarray(1.0 / z - hazard)

    z = root(slope, np.full(shift.shape, 1e-12), np.abs(shift) + 2.0)
    return z, np.asarray(np.exp(log_ndtr(-(z + shift))))
