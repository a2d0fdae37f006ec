"""The value of a policy from the statistics of a log, with Hoeffding's interval given the counts."""

import numpy as np

from pessimism._types import Floats, Ints


def value_interval(
    counts: Ints, means: Floats, weight: Floats, reward_range: tuple[float, float], factor: float
) -> tuple[Floats, Floats, Floats]:
    """Estimate, low and high of the mean reward under `weight` (..., S, A); the half-width is factor * sqrt(sum w^2/N).

    A pair without pulls adds its weight times the whole range to the interval, and leaves no estimate.
    """
    seen, (low, high) = counts > 0, reward_range
    half = factor * np.sqrt(np.where(seen, weight**2 / np.maximum(counts, 1), 0.0).sum(axis=(-2, -1)))
    known = np.where(seen, weight * means, 0.0).sum(axis=(-2, -1))
    unknown = np.where(seen, 0.0, weight).sum(axis=(-2, -1))
    with np.errstate(invalid="ignore"):  # 0 x infinity where nothing is unknown: replaced by 0
        below = np.where(unknown > 0, unknown * low, 0.0)
        above = np.where(unknown > 0, unknown * high, 0.0)
    estimate = np.where(unknown > 0, np.nan, known)
    # the value itself lies in the range
    return estimate, np.maximum(known - half + below, low), np.minimum(known + half + above, high)
