"""A log of one round whose propensity is 1e-9: any limit of the weights shows, and says what it is."""

from collections.abc import Callable

import numpy as np

from pessimism._types import Floats
from pessimism.bandits import BanditData

POLICY = np.array([[0.2, 0.0, 0.8], [0.5, 0.3, 0.2]])
USUAL, RARE = 0.1, 1e-9
CLOSE = 1e-6
"""Relative; what a model adds to a weight of 1e8 is below it."""

Estimate = Callable[[BanditData, Floats, Floats], float]


def hidden_limit(estimate: Estimate) -> tuple[str, BanditData, Floats] | None:
    """What limits the weights, with a log and a law on which it shows; None if nothing does.

    Twice the propensity is half the weight: the estimate must halve, unless it does not read the propensity. One that
    is self-normalised is 1 on a log of one round, and is asked about two: a rare one without reward, a usual one with.
    """
    one, two = _log([2], [1.0]), _log([2, 0], [0.0, 1.0])
    single = [estimate(one, POLICY, _law(p)) for p in (USUAL, RARE, 2 * RARE)]
    if _limited(single):
        return f"{_limit(single[1])} on a log of one round with propensity {RARE:g}", one, _law(RARE)
    nothing = estimate(_log([2], [0.0]), POLICY, _law(RARE))
    if max(abs(single[1] - 1.0), abs(nothing)) > CLOSE:
        return None
    pair = [estimate(two, POLICY, _law(p)) for p in (USUAL, RARE, 2 * RARE)]
    if not _limited([1.0 / x if x else np.inf for x in pair]):
        return None
    usual = POLICY[0, 0] / (1.0 - RARE - USUAL)
    return f"{_limit(usual * (1.0 / pair[1] - 1.0))} on a log with a propensity of {RARE:g}", two, _law(RARE)


def _limited(found: list[float]) -> bool:
    usual, rare, twice = found
    if not np.all(np.isfinite(found)) or abs(rare) <= 2.0 or abs(rare - usual) <= CLOSE * abs(rare):
        return False
    return abs(rare / twice - 2.0) > CLOSE


def _limit(weight: float) -> str:
    return f"weights are clipped at {weight:.6g}, or propensities have a floor of {POLICY[0, 2] / weight:.6g}:"


def _law(p: float) -> Floats:
    """In context 0 the last arm has probability p, the middle one the usual one."""
    return np.array([[1.0 - p - USUAL, USUAL, p], [1.0, 1.0, 1.0]]) * [[0.5], [1 / 6]]


def _log(arms: list[int], rewards: list[float]) -> BanditData:
    counts, sums = np.zeros((2, 3), np.int64), np.zeros((2, 3))
    counts[0, arms], sums[0, arms] = 1, rewards
    return BanditData(counts, sums)
