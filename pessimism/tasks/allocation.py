r"""Allocations: from the relevance of the tasks to whole numbers of rows whose total is the budget.

The (p, q) rule buys :math:`n_m = \max(c\,|\nu^p_m|^q, N_{\min})`, with c such that the total is the budget. p is the
norm that the relevance :math:`\nu^p` minimises, q is `power`:

====================  =================================================================================
``(p, q)``            rule
====================  =================================================================================
``(1, 1)``            L1: optimal to leading order in the budget, for equal noise (`designs.c_optimal`)
``(2, 2)``            L2: the squares of the minimum-norm relevance
``(2, 1)``            ablation: minimum norm, but not squared
``(any, 0)``          uniform
====================  =================================================================================

For a fixed :math:`\nu` the bound :math:`\sum_m \nu_m^2/n_m` is least at q = 1 and the same for q and 2 - q. A
ValueError or TypeError names the argument that is out of its range.
"""

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._shares import largest_remainders
from pessimism._types import Floats, Ints
from pessimism.tasks import _arguments
from pessimism.tasks.relevance import Relevance

__all__ = ["allocate", "keep_largest", "phase_budgets"]


def allocate(
    relevance: Relevance | ArrayLike,
    budget: ArrayLike,
    *,
    power: float = 1.0,
    floor: ArrayLike = 0,
    caps: ArrayLike | None = None,
    source_noise: ArrayLike = 1.0,
) -> Ints:
    r"""Divide a budget in proportion to :math:`|\nu_m|^q`, between floors and caps.

    Parameters
    ----------
    relevance : Relevance or (..., M) array_like of float
        :math:`\nu`; only absolute values matter. The shares of a design can take its place.
    budget : (...) array_like of int
        Rows of all tasks together, floors included.
    power : float
        Exponent q, at least 0: 1 for L1, 2 for L2, 0 for uniform.
    floor : int or (..., M) array_like of int
        Least rows of each task, :math:`N_{\min}`. At 0 some tasks may get none, so that their heads stay unknown.
    caps : int or (..., M) array_like of int, optional
        Most rows of each task. Default: no cap.
    source_noise : float or (..., M) array_like of float
        Standard deviation :math:`\sigma_m` of the noise of each source task, positive: :math:`\sigma_m |\nu_m|` takes
        the place of :math:`|\nu_m|`.

    Returns
    -------
    (..., M) int
        Rows, between floor and cap, with totals exactly the budgets.

    Raises
    ------
    ValueError, TypeError
        If a budget is below the total of the floors or above that of the caps, a floor is above its cap, or an
        argument is out of its range.

    See Also
    --------
    pessimism.tasks.bounds.power_bound : The bound as a function of the power.
    pessimism.tasks.designs.c_optimal : Optimal shares with floors.

    Notes
    -----
    For a fixed :math:`\nu`, :math:`n_m \propto \sigma_m |\nu_m|` minimises :math:`\sum_m \sigma_m^2 \nu_m^2 / n_m` at
    a given total, by the inequality of Cauchy and Schwarz (derived by us); the :math:`\nu` to go with it is that of
    `min_l1` with the same `source_noise`.

    Tasks that leave their bounds are fixed at them in turn, and fractions are rounded by largest remainders, the
    lowest index first among equals. Where every task of positive relevance is at its cap, the rest of the budget is
    spread evenly over the others, as is all of it if no task is relevant. Cost O(M log M) a turn, at most M turns.

    Examples
    --------
    >>> allocate([0.5, -0.25, 0.0], 100).tolist()
    [67, 33, 0]
    >>> allocate([0.5, -0.25, 0.0], 100, power=2, floor=10).tolist()
    [72, 18, 10]
    >>> allocate([0.5, -0.25, 0.0], 100, source_noise=[1.0, 2.0, 1.0]).tolist()
    [50, 50, 0]
    """
    weights, least, most, total = _purchase(relevance, budget, floor, caps, source_noise)
    q = _check.nonnegative("power", power)
    largest = weights.max(axis=-1, keepdims=True)
    weights = (weights / np.where(largest > 0, largest, 1.0)) ** q
    # rows are left when all tasks of positive weight are at their caps: spread them over the rest
    spilled = np.where(weights > 0, most, least).sum(axis=-1, dtype=np.float64) < total
    lower = np.where(spilled[..., None] & (weights > 0), most, least).astype(np.float64)
    weights = np.where(spilled[..., None], 1.0, weights)
    shares = _between(weights, total.astype(np.float64), lower, most.astype(np.float64))
    return largest_remainders(shares, total, least, most)


def keep_largest(relevance: Relevance | ArrayLike, s: int) -> Floats:
    r"""Set all but the s largest entries of a relevance to 0, for top-s selection.

    Parameters
    ----------
    relevance : Relevance or (..., M) array_like of float
        :math:`\nu`.
    s : int
        Tasks to keep, in {1, ..., M}.

    Returns
    -------
    (..., M) float
        `allocate` gives the others exactly the floor. Among equals the lowest index is kept.

    Examples
    --------
    >>> keep_largest([0.5, -0.75, 0.25], 2).tolist()
    [0.5, -0.75, 0.0]
    """
    weights = _arguments.weights("relevance", relevance)
    kept = _check.whole("s", s, low=1)
    if kept > weights.shape[-1]:
        raise ValueError(f"s must be at most the number of tasks in relevance, {weights.shape[-1]}, got {kept}")
    order = np.argsort(-np.abs(weights), axis=-1, kind="stable")
    result = weights.copy()
    np.put_along_axis(result, order[..., kept:], 0.0, axis=-1)
    return result


def phase_budgets(total: int, phases: int, *, growth: float = 2.0) -> list[int]:
    """Divide a budget into phases that grow geometrically.

    Parameters
    ----------
    total : int
        Rows of all phases together.
    phases : int
        Number of phases, at least 1.
    growth : float
        Budget of a phase over that of the one before, positive: 2 for doubling, 1 for equal phases.

    Returns
    -------
    list of int
        Budgets, in order, with sum `total`.

    Examples
    --------
    >>> phase_budgets(700, 3)
    [100, 200, 400]
    """
    count = _check.whole("phases", phases, low=1, high=1000)
    factor = _check.positive("growth", growth)
    shares = np.exp(np.log(factor) * (np.arange(count) - (count - 1 if factor > 1 else 0)))
    return [int(n) for n in allocate(shares, _check.whole("total", total))]


def _purchase(
    relevance: Relevance | ArrayLike, budget: ArrayLike, floor: ArrayLike, caps: ArrayLike | None, noise: ArrayLike
) -> tuple[Floats, Ints, Ints, Ints]:
    """Weights, floors, caps (batch, M) and budgets (batch), checked against each other."""
    total = _check.whole_array("budget", budget)
    weights = np.abs(_arguments.weights("relevance", relevance, each=total.shape, of="a budget"))
    least = _check.whole_array("floor", floor)
    most = _check.whole_array("caps", _check.MAX_TOTAL if caps is None else caps)
    for name, bound in (("floor", least), ("caps", most)):
        if bound.ndim and bound.shape[-1] not in (1, weights.shape[-1]):
            raise ValueError(f"{name} must have shape (..., {weights.shape[-1]}), a task each, got {bound.shape}")
    deviations, _ = _arguments.source_deviations(noise, weights.shape[-1])
    names = "relevance, budget, floor, caps and source_noise"
    batch = _check.broadcast(names, weights.shape, (*total.shape, 1), least.shape, most.shape, deviations.shape)
    weights = weights * deviations
    weights, least, most = (np.broadcast_to(x, batch) for x in (weights, least, most))
    total = np.broadcast_to(total, batch[:-1])
    _check.require("floor", least, least <= most, "at most the cap of its task in caps")
    needed, room = least.sum(axis=-1, dtype=np.float64), most.sum(axis=-1, dtype=np.float64)
    if not np.all(needed <= total):
        worst = int(needed.ravel()[np.argmax((needed > total).ravel())])
        raise ValueError(
            f"budget must be at least {worst}, the total of the floors, got {total[needed > total].flat[0]}: "
            "buy more or lower the floor"
        )
    if not np.all(total <= room):
        worst = int(room.ravel()[np.argmax((total > room).ravel())])
        raise ValueError(f"budget must be at most {worst}, the total of the caps, got {total[total > room].flat[0]}")
    return weights, least, np.minimum(most, total[..., None]), total


def _between(weights: Floats, total: Floats, least: Floats, most: Floats) -> Floats:
    """c * weights clipped to [least, most], with c such that the sum is the total.

    In turn the shares beyond their bounds are fixed at them, on the side where they are beyond by more in total: for
    the final c they are then still at these bounds.
    """
    fixed = np.zeros(weights.shape, np.bool_)
    shares = np.array(least)
    for _ in range(weights.shape[-1] + 1):
        rest = total - np.where(fixed, shares, 0.0).sum(axis=-1)
        scale = np.where(fixed, 0.0, weights).sum(axis=-1)
        level = np.divide(rest, scale, out=np.zeros_like(rest), where=scale > 0)[..., None]
        shares = np.where(fixed, shares, level * weights)
        under, over = np.maximum(least - shares, 0.0), np.maximum(shares - most, 0.0)
        if not (under.any() or over.any()):
            break
        low = under.sum(axis=-1, keepdims=True) >= over.sum(axis=-1, keepdims=True)
        leaving = np.where(low, under, over) > 0
        shares = np.where(leaving, np.where(low, least, most), shares)
        fixed |= leaving
    return shares
