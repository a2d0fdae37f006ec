"""The largest loss over a one-parameter family of instances."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pessimism import _check
from pessimism._status import Status

GRID_POINTS = 41


@dataclass(frozen=True, slots=True)
class WorstCase:
    """Largest loss over a family of instances, and where it is attained.

    Attributes
    ----------
    loss : float
        Largest expected suboptimality found, in reward units; recomputed at `gap`.
    gap : float
        The member of the family that attains it.
    status : Status
        Whether the maximum lies inside the interval searched or at its end.
    evaluations : int
        Exact losses computed.

    Examples
    --------
    >>> from pessimism.bandits import exact, instances
    >>> exact.worst_case(lambda gap: instances.symmetric(4.0, gap), 100, level=0.0).status.name
    'INTERIOR_MAXIMUM'
    """

    __module__ = "pessimism.bandits.exact"

    loss: float
    gap: float
    status: Status
    evaluations: int


def model_and_law(member: Any) -> tuple[Any, Any]:
    """What `family` returned for a gap, if it is a pair."""
    if not (isinstance(member, tuple) and len(member) == 2):
        raise TypeError(f"family must return a pair of a model and a law, got {_check.shown(member)}")
    return member


def member(family: Callable[[float], Any], gap: float) -> Any:
    """``family(gap)``; a gap that it refuses is the fault of `gaps`."""
    try:
        return family(gap)
    except ValueError as error:
        raise ValueError(f"gaps must hold only gaps that family takes: {error}") from error


def largest_loss(loss: Callable[[float], float], gaps: tuple[float, float]) -> WorstCase:
    """Maximise ``loss(gap)``: a logarithmic grid, then a bounded search around every high local maximum."""
    from scipy.optimize import minimize_scalar

    low, high = _check.interval("gaps", gaps)
    if not (low > 0.0 and high < math.inf):
        raise ValueError(f"gaps must be a pair 0 < low < high < inf, got {_check.shown(gaps)}")
    known: dict[float, float] = {}

    def negative(log_gap: float) -> float:
        gap = math.exp(log_gap)
        known[gap] = loss(gap)
        return -known[gap]

    grid = np.geomspace(low, high, GRID_POINTS).tolist()
    losses = np.array([loss(gap) for gap in grid])
    known.update(zip(grid, losses.tolist(), strict=True))
    padded = np.concatenate([[-math.inf], losses, [-math.inf]])
    peaks = (losses >= padded[:-2]) & (losses >= padded[2:]) & (losses >= 0.5 * losses.max()) & (losses > 0)
    for i in np.flatnonzero(peaks).tolist():
        between = (math.log(grid[max(i - 1, 0)]), math.log(grid[min(i + 1, GRID_POINTS - 1)]))
        minimize_scalar(negative, bounds=between, method="bounded", options={"xatol": 1e-6})
    gap = max(sorted(known), key=known.__getitem__)
    status = Status.EDGE_MAXIMUM if gap in (low, high) else Status.INTERIOR_MAXIMUM
    return WorstCase(known[gap], gap, status, len(known))
