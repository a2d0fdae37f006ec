r"""An upper bound of gap x probability over a continuum of worlds, relative to its size, by branch and bound.

Let q be the probability of any event of n Bernoulli rounds, logged or chosen adaptively, with success probability
:math:`\theta_k = 1/(1 + e^{-\eta_k})` on arm k and, where arms are logged, probability
:math:`p = 1/(1 + e^{-\zeta})` of arm 1. Then, in log-odds,

.. math:: \frac{\partial^2 \log q}{\partial \eta_k^2} \ge -n\,\theta_k (1 - \theta_k), \qquad
          \frac{\partial^2 \log q}{\partial \zeta^2} \ge -n\,p (1 - p),

because the second derivative of :math:`\log \sum_x h(x) e^{s_k \eta_k - n_k \psi(\eta_k)}`, with
:math:`\psi = \log(1 + e^\eta)`, is a variance minus :math:`\psi''` times a mean of :math:`n_k \le n`. So on a box with
sides :math:`h_i`, :math:`\log q` is at most its largest value at a corner plus :math:`\sum_i \kappa_i h_i^2 / 8`, where
:math:`\kappa_i` bounds the right-hand sides. The log of the gap :math:`\theta_1 - \theta_2` adds curvature of its own.
The bound is relative: it serves losses of 1e-27.

Means within `eps` of 0 or 1 are cut off; there :math:`q \le (1 - \epsilon)^{-n} q(\text{cut-off})`, once for the means
and once for p, and the gap grows by at most `eps` for each mean.
"""

import math
from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pessimism._types import Floats

Chances = Callable[[Floats, Floats, Floats], Floats]
"""Maps (M, I), (M, J) means and (M, L) laws to the probabilities (M, I, J, L) on the grid of each of M blocks."""

FLOOR = 1e-305
"""Stands for probabilities that underflow."""

TINY = 1e-300
"""Losses below it are not told apart."""

ROUNDING = 1e-9
"""Sums of positive terms: their relative error is far smaller."""


class Slab(NamedTuple):
    """Laws from low to high, in which losses are divided by scale."""

    low: float
    high: float
    scale: float = 1.0


class Bound(NamedTuple):
    """An upper bound of the loss, the largest loss met, its world (theta_1, theta_2, p), and the boxes looked at."""

    bound: float
    loss: float
    world: Floats
    boxes: int
    complete: bool


class _Boxes(NamedTuple):
    """M boxes in log-odds: corners (M, 3), and the slab of each."""

    low: Floats
    high: Floats
    slab: NDArray[np.int64]


def largest(
    chances: Chances, n: int, slabs: list[Slab], best: float, tolerance: float, most_boxes: int = 10**6
) -> Bound:
    """Bound the largest (theta_1 - theta_2) q / scale within a relative tolerance of the largest that is found.

    `best` is a loss that is known to be attained. A box is split until its bound is below (1 + tolerance) x the best.
    """
    eps = tolerance / (6.0 * max(n, 1))
    boxes = _whole(slabs, eps)
    bound, world = best, np.full(3, np.nan)
    looked = 0
    logs = np.log([slab.scale for slab in slabs])
    open_slab = np.array([slab.high > 1.0 - eps for slab in slabs])
    pieces = np.tile([4, 4, 2], (len(boxes.low), 1))
    while len(boxes.low):
        if looked > most_boxes:
            return Bound(math.inf, best, world, looked, False)
        parts = []
        for shape in np.unique(pieces, axis=0):
            chosen = np.flatnonzero((pieces == shape).all(axis=1))
            for some in np.array_split(chosen, max(1, len(chosen) * 60 * n * n // 2**25)):
                part = _Boxes(boxes.low[some], boxes.high[some], boxes.slab[some])
                inner, ceiling, excess, found, where = _split(chances, n, eps, part, shape, logs, open_slab)
                looked += len(inner.low)
                if found > best:
                    best, world = found, where
                parts.append((inner, ceiling, excess))
        low, high, slab = (np.concatenate([part[0][i] for part in parts]) for i in range(3))
        ceiling, excess = (np.concatenate([part[i] for part in parts]) for i in (1, 2))
        kept = ceiling > math.log(max(best, TINY) * (1.0 + tolerance))
        if not np.all(kept):
            bound = max(bound, math.exp(ceiling[~kept].max()))
        boxes = _Boxes(low[kept], high[kept], slab[kept])
        pieces = _pieces(excess[kept])
    return Bound(max(bound, best) * (1.0 + ROUNDING), best, world, looked, True)


def _whole(slabs: list[Slab], eps: float) -> _Boxes:
    end = -math.log(eps) + math.log1p(-eps)
    low = [[-end, -end, _odds(slab.low)] for slab in slabs]
    high = [[end, end, _odds(max(slab.low, min(slab.high, 1.0 - eps)))] for slab in slabs]
    return _Boxes(np.array(low), np.array(high), np.arange(len(slabs)))


def _odds(p: float) -> float:
    return math.log(p) - math.log1p(-p) if p < 1.0 else 40.0  # where 1 / (1 + exp(-40)) is 1


def _chance(odds: Floats) -> Floats:
    """1 / (1 + exp(-odds)) with all digits at both ends."""
    small = np.exp(-np.abs(odds))
    return np.where(odds > 0, 1.0, small) / (1.0 + small)


def _split(
    chances: Chances, n: int, eps: float, boxes: _Boxes, shape: Floats, logs: Floats, open_slab: NDArray[np.bool_]
) -> tuple[_Boxes, Floats, Floats, float, Floats]:
    """The smaller boxes, the logs of their bounds, their excess by side, and the largest loss at a corner."""
    grids = [
        boxes.low[:, i, None] + (boxes.high - boxes.low)[:, i, None] * np.linspace(0, 1, shape[i] + 1) for i in range(3)
    ]
    for i, grid in enumerate(grids):
        grid[:, -1] = boxes.high[:, i]
    first, second, p = (_chance(grid) for grid in grids)
    q = chances(first, second, p)
    scale = logs[boxes.slab][:, None, None, None]
    gap = first[:, :, None, None] - second[:, None, :, None]
    log_q = np.log(np.maximum(q, FLOOR))
    log_loss = np.where(gap > 0, np.log(np.maximum(gap, FLOOR)) + log_q, -np.inf) - scale
    top = np.unravel_index(log_loss.argmax(), log_loss.shape)
    found, world = (
        math.exp(log_loss[top]) if q[top] > 0 else 0.0,
        np.array([x[top[0], k] for x, k in zip((first, second, p), top[1:], strict=True)]),
    )
    low, high = (np.stack(_cells(grids, side), axis=-1).reshape(-1, 3) for side in (0, 1))
    slab = np.repeat(boxes.slab, int(np.prod(shape)))
    inner = _Boxes(low, high, slab)
    ceiling, excess = _ceilings(n, eps, inner, _corner(log_q), _corner(log_loss), logs[slab], open_slab[slab])
    return inner, ceiling, excess, found, world


def _cells(grids: list[Floats], side: int) -> list[Floats]:
    """Lower (side 0) or upper (1) ends of all cells of M grids, each (M, I, J, L)."""
    a, b, c = (grid[:, side : grid.shape[1] - 1 + side] for grid in grids)
    shape = (len(a), a.shape[1], b.shape[1], c.shape[1])
    return [np.broadcast_to(x, shape) for x in (a[:, :, None, None], b[:, None, :, None], c[:, None, None, :])]


def _corner(values: Floats) -> Floats:
    """Largest value at the eight corners of every cell, flat."""
    _, i, j, k = values.shape
    views = [values[:, a : i - 1 + a, b : j - 1 + b, c : k - 1 + c] for a, b, c in product((0, 1), repeat=3)]
    return np.asarray(np.maximum.reduce(views)).ravel()


def _ceilings(
    n: int, eps: float, boxes: _Boxes, log_q: Floats, log_loss: Floats, logs: Floats, open_slab: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Logs of upper bounds of the loss in every box, and what each side adds to them."""
    low, high = _chance(boxes.low), _chance(boxes.high)
    middle = np.clip(0.5, low, high)
    slope = middle * (1.0 - middle)  # the largest theta' and p' in the box
    squares = (boxes.high - boxes.low) ** 2 / 8.0
    least, most = low[:, 0] - high[:, 1], high[:, 0] - low[:, 1]
    edge = (low[:, :2] <= eps * (1 + 1e-9)) | (high[:, :2] >= 1.0 - eps * (1 + 1e-9))
    edges = edge.sum(axis=1)
    beyond = edges.astype(bool) + (open_slab & (high[:, 2] >= 1.0 - eps * (1 + 1e-9))).astype(float)
    stretch = -n * math.log1p(-eps) * beyond
    plain = n * slope * squares
    log_most = np.log(np.maximum(most + eps * edges, FLOOR))
    wide = np.where(most > 0, log_most + np.minimum(0.0, log_q + plain.sum(axis=1) + stretch) - logs, -np.inf)
    # the log of the gap is concave in each mean: (theta')^2 / gap^2 plus what theta'' adds with the wrong sign
    with np.errstate(divide="ignore", over="ignore"):
        gap = np.where(least > 0, least, np.nan)[:, None]
        bend = np.stack([2.0 * high[:, 0] - 1.0, 1.0 - 2.0 * low[:, 1]], axis=1)
        own = (slope[:, :2] / gap) ** 2 + slope[:, :2] * np.maximum(bend, 0.0) / gap
        curved = plain + np.concatenate([own, np.zeros((len(own), 1))], axis=1) * squares
        tight = log_loss + curved.sum(axis=1) + stretch + np.log1p(eps * edges / gap[:, 0])
    ceiling = np.fmin(wide, tight)
    spread = plain + np.concatenate(
        [(high - low)[:, :2] / np.maximum(most, FLOOR)[:, None], np.zeros((len(low), 1))], axis=1
    )
    return ceiling, np.where(np.isfinite(curved) & (tight <= wide)[:, None], curved, spread)


def _pieces(excess: Floats) -> NDArray[np.int64]:
    """Into how many parts each side is split: 4, 2 or 1 by its share of what the box adds."""
    share = excess / np.maximum(excess.sum(axis=1, keepdims=True), FLOOR)
    out = np.select([share > 0.5, share > 0.1], [4, 2], 1)
    return np.where(out.max(axis=1, keepdims=True) == 1, 2, out)
