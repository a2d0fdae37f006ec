r"""Where a rule for two Bernoulli arms loses most: local maxima over means and law, and a bound of the largest.

Means and laws are searched on the scale :math:`\arcsin\sqrt\theta`, on which binomial counts tell equal distances
equally well. The last word is the bound of `pessimism._boxes`.
"""

import numpy as np
from numpy.typing import NDArray

from pessimism._boxes import Bound, Slab, largest
from pessimism._types import Floats
from pessimism.bandits._engine import two_arms
from pessimism.bandits._engine.two_arms import Logs, Table

CANDIDATES = 12
"""Local maxima that are followed, of each slab of laws."""


def certify(logs: Logs, error: Table, slabs: list[Slab], best: float, tolerance: float) -> Bound:
    """Bound the largest loss of a rule over the continuum; 0 for a rule that never takes the second arm."""
    if not any(matrix.any() for matrix in error):
        return Bound(0.0, 0.0, np.array([1.0, 0.0, slabs[0].low]), 0, True)
    return largest(lambda *grid: two_arms.chances_on_blocks(logs, error, *grid), logs.n, slabs, best, tolerance)


def scales(worlds: Floats, slabs: list[Slab]) -> Floats:
    """(K,) scale of the first slab that holds the law of each world: slabs come from the smallest class on."""
    inside = [(slab.low <= worlds[:, 2]) & (worlds[:, 2] <= slab.high) for slab in slabs]
    return np.select(inside, [slab.scale for slab in slabs], np.nan)


def local_maxima(logs: Logs, error: Table, slabs: list[Slab]) -> tuple[Floats, Floats]:
    """Worlds (M, 3) at which the scaled loss of a rule has a local maximum, and the losses there, largest first."""
    side = max(25, min(65, 4 * int(np.sqrt(logs.n)) + 1))
    worlds, values = [], []
    for slab in slabs:
        low, high = (2.0 / np.pi * np.arcsin(np.sqrt(x)) for x in (slab.low, slab.high))
        grid = np.linspace(0.0, 1.0, side)
        laws = np.linspace(low, high, max(3, int(side * (high - low)) + 2) if high > low else 1)
        loss = _losses(logs, error, slab, grid[None], grid[None], laws[None])[0]
        starts, steps = _peaks(loss), np.array([grid[1], grid[1], laws[1] - laws[0] if len(laws) > 1 else 0.0])
        points = np.column_stack([grid[starts[:, 0]], grid[starts[:, 1]], laws[starts[:, 2]]])
        found, loss_there = _climb(logs, error, slab, points, steps, np.array([[0, 0, low], [1, 1, high]]))
        worlds.append(found)
        values.append(loss_there)
    everywhere, there = np.concatenate(worlds), np.concatenate(values)
    order = np.argsort(-there, kind="stable")
    return everywhere[order], there[order]


def _losses(logs: Logs, error: Table, slab: Slab, first: Floats, second: Floats, law: Floats) -> Floats:
    """Scaled losses on blocks, all three on the scale of arcsines."""
    better, other, p = (np.sin(np.pi / 2.0 * x) ** 2 for x in (first, second, law))
    if slab.low == slab.high:
        p = np.full_like(p, slab.low)
    q = two_arms.chances_on_blocks(logs, error, better, other, p)
    return np.asarray((better[:, :, None, None] - other[:, None, :, None]) * q / slab.scale)


def _peaks(loss: Floats) -> NDArray[np.int64]:
    """Positions (M, 3) of the largest local maxima of a table, at most `CANDIDATES`."""
    from scipy.ndimage import maximum_filter

    top = (loss == maximum_filter(loss, 3, mode="nearest")) & (loss >= 0.3 * loss.max())
    places = np.argwhere(top)
    return places[np.argsort(-loss[top], kind="stable")[:CANDIDATES]]


def _climb(
    logs: Logs, error: Table, slab: Slab, points: Floats, steps: Floats, limits: Floats
) -> tuple[Floats, Floats]:
    """Move every point to the best of its 27 neighbours; halve the step where none is better."""
    size, best, fine = np.tile(steps / 2.0, (len(points), 1)), np.zeros(len(points)), 1e-3 / np.sqrt(max(logs.n, 1))
    low, high = limits[:, :, None]
    moving = np.arange(len(points))
    for _ in range(60):
        lines = np.clip(points[moving, :, None] + size[moving, :, None] * np.array([-1.0, 0.0, 1.0]), low, high)
        loss = _losses(logs, error, slab, lines[:, 0], lines[:, 1], lines[:, 2]).reshape(len(moving), -1)
        loss[:, 13] *= 1.0 + 1e-12  # the middle keeps a tie
        place = loss.argmax(axis=1)
        own = np.stack(np.unravel_index(place, (3, 3, 3)), axis=1)
        points[moving] = np.take_along_axis(lines, own[:, :, None], axis=2)[:, :, 0]
        best[moving] = loss[np.arange(len(moving)), place]
        size[moving[place == 13]] /= 2.0
        moving = moving[size[moving].max(axis=1) > fine]
        if not len(moving):
            break
    worlds = np.sin(np.pi / 2.0 * points) ** 2
    worlds[:, 2] = np.clip(worlds[:, 2], slab.low, slab.high)
    return worlds, best
