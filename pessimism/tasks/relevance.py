r"""Relevance: how much each source task matters for a target task.

With the heads :math:`W = [w_1, \ldots, w_M]` (k, M) of the source tasks and the head :math:`w` (k) of the target,

.. math::
    \nu^p = \arg\min \|\nu\|_p \ \text{ s.t. }\ W\nu = w, \qquad
    \hat\nu(\lambda) = \arg\min \tfrac12\|W\nu - w\|_2^2 + \lambda\|\nu\|_1.

(`min_l1`, `min_l2`, `lasso`). Every answer carries a dual point y (`Relevance.dual`), which proves it optimal whatever
method found it; the gap is computed from it in `_constrained`, for the Lasso in `certify` of ``_engine/lasso.py``. With
1/p + 1/q = 1,

.. math::
    \min\{\|\nu\|_p : W\nu = w\} = \max\{w^\top y : \|W^\top y\|_q \le 1\}, \qquad
    \min_\nu \tfrac12\|W\nu - w\|_2^2 + \lambda\|\nu\|_1
    = \max\{\tfrac12\|w\|^2 - \tfrac12\|w - y\|^2 : \|W^\top y\|_\infty \le \lambda\}.

The constrained :math:`\nu^p` are the same in every basis of the representation. The Lasso's :math:`\hat\nu` is the same
only in bases that differ by a rotation: it needs heads on an orthonormal representation.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._objects import Speaking
from pessimism._status import Status, conclude
from pessimism._types import Floats, Ints
from pessimism.tasks._arguments import heads_and_target, source_deviations
from pessimism.tasks._engine import lasso as engine
from pessimism.tasks._engine.linear_algebra import OUTSIDE, Span, least_norm, length, near_one, span, times
from pessimism.tasks._engine.pursuit import Pursued, pursue

__all__ = ["Relevance", "lasso", "min_l1", "min_l2"]

CERTIFICATE = 1e-8
"""Largest relative gap and residual of `min_l1` and `min_l2`."""

AXES = (2, 1, 2, 1, 0)
"""Axes of the fields of `Span` behind those of the batch."""

NEAR, UNEVEN = 1e-7, 6.0
"""Singular values of heads of length 1 that are near 0, and decades of lengths over costs that float64 may not bear."""

GRADED = 1e-6
"""Heads whose singular values spread further are solved with heads of length 1."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Relevance(Speaking):
    r"""Weights of the source tasks, with a certificate that they are optimal.

    Attributes
    ----------
    weights : (..., M) float
        :math:`\nu`: how the target is composed of the source tasks.
    dual : (..., k) float
        y, a point of the dual program above, scaled to be feasible: :math:`\|W^\top y\|_q` is at most 1, for the Lasso
        at most :math:`\lambda`.
    gap : (...) float
        Duality gap, recomputed from weights and dual point: relative to the norm of the weights where
        :math:`W\nu = w` is a constraint, to :math:`\tfrac12\|w\|^2` for the Lasso.
    residual : (...) float
        :math:`\|W\nu - w\|_2 / \|w\|_2`, recomputed; 0 if the target is 0.
    status : Status or (...) array of Status
        How it ended: EXACT or CONVERGED; DEPENDENT where some heads are dependent but for rounding, and were taken to
        be; ROUNDING where gap or residual is too large.
    iterations : (...) int
        Steps of the engine, 0 for closed forms.

    Notes
    -----
    Statement: by weak duality the objective of the weights exceeds the minimum by at most the gap, up to the residual.
    The gap is an absolute value: rounding or a residual may make the difference negative. Cost O(kM) to check.

    Examples
    --------
    >>> found = min_l1([[1.0, 0.0, 0.8], [0.0, 1.0, 0.6]], [0.8, 0.6])
    >>> bool(found.gap < 1e-12), bool(found.residual < 1e-12)
    (True, True)
    """

    weights: Floats
    dual: Floats
    gap: Floats
    residual: Floats
    status: Status | NDArray[Any]
    iterations: Ints


def min_l2(heads: ArrayLike, target: ArrayLike) -> Relevance:
    r"""Find the relevance of smallest Euclidean norm: the pseudo-inverse applied to the target.

    Parameters
    ----------
    heads : (..., k, M) array_like of float
        W, a column for each source task.
    target : (..., k) array_like of float
        The target's head w, in the span of the heads. Leading axes broadcast.

    Returns
    -------
    Relevance
        :math:`\nu^2 = W^+ w`, unique; the dual point has :math:`\|W^\top y\|_2 = 1`.

    Raises
    ------
    ValueError, TypeError
        If an entry is not finite, shapes do not fit, or the target lies outside the span of the heads, where only
        `lasso` is defined.
    ConvergenceError
        If gap or residual is above 1e-8, because the heads are nearly dependent; in a batch a warning and a status.

    Warns
    -----
    ConvergenceWarning
        If that is so for some of a batch.

    See Also
    --------
    pessimism.tasks.bounds.l2_bound : Bound on the risk of buying by its squares.

    Notes
    -----
    Statement: :math:`\nu^2 = \arg\min\{\|\nu\|_2 : W\nu = w\}`, the same for :math:`(QW, Qw)` with any invertible Q.
    Heads are taken as dependent where their singular values, in lengths of 1, are below 2e-16 max(k, M) of the largest.
    Cost :math:`O(k^2 M)` an item. Source: Chen et al. (2022)
    buy in proportion to :math:`(\nu^2_m)^2`; the dual certificate is derived by us.

    Examples
    --------
    >>> min_l2([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], [1.0, 0.0]).weights.round(12).tolist()
    [0.5, 0.0, 0.5]
    """
    return conclude(*_shortest(heads, target))


def min_l1(heads: ArrayLike, target: ArrayLike, *, source_noise: ArrayLike = 1.0) -> Relevance:
    r"""Find the relevance of smallest L1 norm (basis pursuit), at a vertex: at most rank(W) tasks matter.

    Parameters
    ----------
    heads, target : as in `min_l2`
        See there, also for what is raised.
    source_noise : float or (..., M) array_like of float
        Standard deviation :math:`\sigma_m` of the noise of each source task, positive. Only ratios matter.

    Returns
    -------
    Relevance
        :math:`\nu^1`, and with `source_noise` the weights of smallest :math:`\sum_m \sigma_m|\nu_m|`, to which the gap
        is then relative; the dual point has :math:`\max_m |w_m^\top y| / \sigma_m = 1` and proves it optimal. Where
        several are optimal, as with duplicated tasks, it is one vertex of them: compare norms then, not entries.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, shapes do not fit or the target lies outside the span of the heads.
    ConvergenceError
        If the heads are nearly dependent.

    See Also
    --------
    pessimism.tasks.bounds.l1_risk : Leading order of the risk of buying in proportion to it.
    pessimism.tasks.designs.c_optimal : The same optimum as a design, with floors.

    Notes
    -----
    Statement: :math:`\nu^1 = \arg\min\{\|\nu\|_1 : W\nu = w\}`, and :math:`\nu^1_m \ne 0` implies
    :math:`|w_m^\top y| = 1`. :math:`\|\nu^1\|_1` is the same for :math:`(QW, Qw)` with any invertible Q, so that
    the program can be solved for orthonormal rows, by the dual simplex method (HiGHS); weights and dual point are then
    computed again from its final basis. Where float64 cannot prove them, a simplex method on whole numbers takes the
    entries as exact and ends at the optimum; an error then says what keeps its dual point out of float64. Cost: a
    linear program with 2M variables an item, milliseconds, and seconds for the few that need whole numbers. Source:
    Wang et al. (2023) buy in proportion to :math:`|\nu^1_m|`; support, certificate, and the weighing by the noise
    (`designs.c_optimal`) are derived by us.

    Examples
    --------
    >>> min_l1([[1.0, 0.0, 0.8], [0.0, 1.0, 0.6]], [0.8, 0.6]).weights.round(12).tolist()
    [0.0, 0.0, 1.0]
    """
    deviations, exponent = source_deviations(source_noise, _check.matrix("heads", heads, "k, tasks").shape[-1])
    scaled, goal, batch, exponents = _problem(heads, target, deviations[..., 0], name="source_noise")
    spanned = _within(scaled, goal)
    found = _vertices(scaled, goal, deviations, spanned, batch)
    weights = np.reshape([part.weights for part in found], batch + scaled.shape[-1:])
    dual = np.reshape([part.dual for part in found], batch + goal.shape[-1:])
    steps = np.reshape([part.steps for part in found], batch).astype(np.int64)
    noise = deviations, exponent
    return conclude(*_constrained(scaled, goal, weights, dual, steps, exponents, spanned, order=1, noise=noise))


def lasso(
    heads: ArrayLike, target: ArrayLike, *, regularization: ArrayLike = 1e-2, tolerance: float = 1e-8
) -> Relevance:
    r"""Find the relevance by the Lasso: defined for every target, and stable where heads are estimates.

    Parameters
    ----------
    heads : (..., k, M) array_like of float
        W, a column for each source task, on an orthonormal representation.
    target : (..., k) array_like of float
        The target's head w. Leading axes broadcast, with those of `regularization` too: one call gives a path.
    regularization : (...) array_like of float
        :math:`\lambda / \|W^\top w\|_\infty`, in (0, 1]; at 1 all weights are 0.
    tolerance : float
        Largest relative duality gap, positive.

    Returns
    -------
    Relevance
        The dual point has :math:`\|W^\top y\|_\infty \le \lambda`. Weights off the support are exactly 0.

    Raises
    ------
    ValueError, TypeError
        If an entry is not finite or out of its range, or shapes do not fit.
    ConvergenceError
        If the gap is above `tolerance`; in a batch a warning and a status.

    Warns
    -----
    ConvergenceWarning
        If some of a batch did not converge.

    See Also
    --------
    pessimism.tasks.rules.l1_a_mtrl.l1_a_mtrl : The rule that buys by it.

    Notes
    -----
    Statement: :math:`\arg\min \tfrac12\|W\nu - w\|_2^2 + \lambda\|\nu\|_1`, the same for :math:`(QW, Qw)` with
    orthogonal Q only. scikit-learn's ``alpha`` is :math:`\lambda / k`. The path of solutions is followed down to
    :math:`\lambda` (homotopy), and the weights are corrected once with the original columns. Where the gap is then
    above the tolerance, the path is followed again with ties between changes of the support broken, and after that a
    conic program (Clarabel) is solved. ``_engine/lasso.py`` holds all three, and its `certify` computes the gap from
    weights and dual point alone. Cost about 2k steps of O(kM) an item, items in parallel. Source: Wang et al.
    (2023) estimate relevance by this program; the penalty of their public experiment code is practically 0, which
    gives basis pursuit, `min_l1`. Invariance and certificate are derived by us.

    Examples
    --------
    >>> path = lasso([[1.0, 0.6], [0.0, 0.8]], [1.0, 0.25], regularization=[1.0, 0.5, 0.01])
    >>> path.weights.round(3).tolist(), bool((path.gap < 1e-8).all())
    ([[0.0, 0.0], [0.5, 0.0], [0.806, 0.306]], True)
    """
    part = _check.real_array("regularization", regularization)
    _check.require("regularization", part, (part > 0) & (part <= 1), "in (0, 1]")
    limit = _check.positive("tolerance", tolerance)
    return conclude(*_penalised(heads, target, part, limit))


def _shortest(heads: ArrayLike, target: ArrayLike, *, within: bool = True) -> tuple[Relevance, NDArray[np.bool_], str]:
    """`min_l2`, what of it is certified, and what to say of the rest; a target out of reach is an error if `within`."""
    scaled, goal, batch, exponents = _problem(heads, target)
    spanned = _within(scaled, goal) if within else span(scaled)
    basis, sizes, tasks = np.linalg.svd(scaled, full_matrices=False)
    plain = np.asarray(sizes[..., -1] > GRADED * sizes[..., 0])
    inverse = 1.0 / np.where(plain[..., None], sizes, 1.0)
    parts = times(basis.mT, goal)
    weights = np.where(
        (scaled == 0).all(axis=-2), 0.0, times(tasks.mT, inverse * parts)
    )  # and not what rounding leaves
    dual = times(basis, inverse**2 * parts)
    if not plain.all():
        found = _shortest_of_graded(scaled, goal, spanned)
        weights, dual = (np.where(plain[..., None], x, y) for x, y in zip((weights, dual), found, strict=True))
    steps = np.zeros(batch, np.int64)
    return _constrained(scaled, goal, weights, dual, steps, exponents, spanned, order=2)


def _shortest_of_graded(heads: Floats, target: Floats, spanned: Span) -> tuple[Floats, Floats]:
    """Weights and dual point of the least Euclidean norm, whatever the lengths of the heads."""
    weights, ones = np.zeros(heads.shape[-1]), np.ones(heads.shape[-1])
    for _ in range(2):  # the second time what rounding left of large weights that cancel
        weights = weights + least_norm(heads, target - times(heads, weights), ones).weights
    inverse = np.divide(1.0, spanned.sizes, out=np.zeros_like(spanned.sizes), where=spanned.sizes > 0)
    slopes = np.divide(weights, spanned.lengths, out=np.zeros(weights.shape), where=spanned.lengths > 0)
    return weights, times(spanned.basis, inverse * times(spanned.tasks, slopes))  # W'y = nu, of heads of length 1


def _penalised(
    heads: ArrayLike, target: ArrayLike, regularization: Floats, tolerance: float = 1e-8
) -> tuple[Relevance, NDArray[np.bool_], str]:
    """`lasso`, what of it is certified, and what to say of the rest."""
    scaled, goal, batch, exponents = _problem(heads, target, regularization)
    found, points, gaps, steps = engine.solve(scaled, goal, regularization, batch, tolerance)
    weights, dual = found.reshape(batch + scaled.shape[-1:]), points.reshape(batch + goal.shape[-1:])
    gap = gaps.reshape(batch)
    good = np.asarray(gap <= tolerance)
    with np.errstate(over="ignore"):  # the weights of heads near 1e-308 are infinite
        whole = np.ldexp(weights, (exponents[1] - exponents[0])[..., None])
    result = Relevance(
        whole,
        np.ldexp(dual, exponents[1][..., None]),
        gap,
        np.asarray(np.linalg.norm(times(scaled, weights) - goal, axis=-1) / length(goal)),
        _statuses(good, np.zeros(batch, np.bool_), Status.CONVERGED),
        steps.reshape(batch),
    )
    return (
        result,
        good,
        f"the gap of {np.count_nonzero(~good)} of {good.size} answers is above tolerance = {tolerance:g}, the largest "
        f"is {np.max(gap[~good], initial=0.0):.3g}: raise tolerance or regularization",
    )


def _reached(found: Relevance, status: Status) -> Status:
    """The status of what is computed from a certified relevance: as uncertain as that."""
    return Status.DEPENDENT if found.status is Status.DEPENDENT else status


def _problem(
    heads: ArrayLike, target: ArrayLike, *more: Floats, name: str = "regularization"
) -> tuple[Floats, Floats, tuple[int, ...], tuple[Ints, Ints]]:
    """Heads and target with largest entries in [1/2, 1), their batch, and the powers of two that were divided out."""
    columns, goal = heads_and_target(heads, target)
    parts = columns.shape[:-2], goal.shape[:-1], *(array.shape for array in more)
    batch = _check.broadcast(f"heads, target and {name}", *parts)
    columns, goal, sizes = near_one(columns, goal)
    return columns, goal, batch, sizes


def _within(heads: Floats, target: Floats) -> Span:
    """What the heads span; raises unless it holds the targets."""
    spanned = span(heads)
    missed = target - times(spanned.basis, times(spanned.basis.mT, target))
    distance = np.linalg.norm(missed, axis=-1) / length(target)
    if (distance > OUTSIDE).any():
        worst = tuple(int(i) for i in np.argwhere(distance > OUTSIDE)[0])
        where = f"target {worst} of the batch" if worst else "target"
        raise ValueError(
            f"{where} must lie in the span of heads, its distance is {distance[worst]:.3g} of its length: add source "
            "tasks that reach it, or project it on their span"
            + " (and drop what is dependent but for rounding: its span is not seen)"
            * bool(spanned.lost.any())
        )
    return spanned


def _vertices(heads: Floats, target: Floats, costs: Floats, spanned: Span, batch: tuple[int, ...]) -> list[Pursued]:
    """What basis pursuit finds for each item of a batch."""
    parts = [np.broadcast_to(x, batch + x.shape[x.ndim - n :]) for x, n in zip(spanned, AXES, strict=True)]
    columns, goals, prices = (
        np.broadcast_to(x, batch + x.shape[x.ndim - n :]) for x, n in ((heads, 2), (target, 1), (costs, 1))
    )
    nothing = Pursued(np.zeros(heads.shape[-1]), np.zeros(heads.shape[-2]), 0, None)
    return [
        pursue(columns[item], goals[item], prices[item], Span(*(part[item] for part in parts)))
        if goals[item].any()
        else nothing
        for item in np.ndindex(batch)
    ]


def _cheapest(heads: Floats, target: Floats, costs: Floats, *, unit: str) -> tuple[Floats, Fraction, Any]:
    """Weights of least sum c|nu|, a lower bound of it, and how it ended; proved, or an error that names the unit."""
    spanned = _within(heads, target)
    (found,) = _vertices(heads, target, costs, spanned, ())
    none, steps = (np.zeros((), np.int64),) * 2, np.zeros((), np.int64)
    relevance, good, message = _constrained(
        heads, target, found.weights, found.dual, steps, none, spanned, order=1, noise=(costs, none[0]), unit=unit
    )
    if found.exact is not None and np.isfinite(found.weights).all() and relevance.residual <= CERTIFICATE:
        return found.weights, found.exact, Status.DEPENDENT if spanned.lost else Status.EXACT
    conclude(relevance, good, message)
    value = Fraction(float(target @ relevance.dual)) if target.any() else Fraction(0)
    return found.weights, value, relevance.status


def _constrained(
    heads: Floats,
    target: Floats,
    weights: Floats,
    dual: Floats,
    iterations: Ints,
    exponents: tuple[Ints, Ints],
    spanned: Span,
    *,
    order: int,
    noise: tuple[Floats, Ints] | None = None,
    unit: str = "source_noise",
) -> tuple[Relevance, NDArray[np.bool_], str]:
    """The relevance in the user's units, with the certificate of min |nu|_order computed in the scaled problem."""
    costs, exponent = noise or (np.ones(heads.shape[-1]), np.zeros((), np.int64))
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is not certified
        slopes = np.linalg.norm(times(heads.mT, dual) / costs, 2 if order == 2 else np.inf, axis=-1)
        dual = dual / np.where(slopes > 0, slopes, 1.0)[..., None]
        norm = np.linalg.norm(costs * weights, order, axis=-1)
        gap = np.asarray(np.abs(norm - (target * dual).sum(axis=-1)) / np.where(norm > 0, norm, 1.0))
        residual = np.asarray(np.linalg.norm(times(heads, weights) - target, axis=-1) / length(target))
    good = np.asarray(np.maximum(gap, residual) <= CERTIFICATE)
    status = _statuses(good, np.broadcast_to(spanned.lost & target.any(axis=-1), good.shape), Status.EXACT)
    result = Relevance(
        np.ldexp(weights, (exponents[1] - exponents[0])[..., None]),
        np.ldexp(np.broadcast_to(dual, (*iterations.shape, dual.shape[-1])), (exponent - exponents[0])[..., None]),
        gap,
        residual,
        status,
        iterations,
    )
    message = (
        ""
        if good.all()
        else (
            f"the certificate of {np.count_nonzero(~good)} of {good.size} targets misses {CERTIFICATE:g}: largest gap "
            f"{gap.max():.3g}, largest residual {residual.max():.3g}. {_why(spanned, costs, unit)}"
        )
    )
    return result, good, message


def _why(spanned: Span, costs: Floats, unit: str) -> str:
    """What keeps a certificate out of float64."""
    there = spanned.lengths > 0
    least = np.where(spanned.sizes > 0, spanned.sizes, np.inf).min(axis=-1)
    pulls = np.log10(np.where(there, spanned.lengths, 1.0)) - np.log10(costs)
    decades = (np.where(there, pulls, -np.inf).max(axis=-1) - np.where(there, pulls, np.inf).min(axis=-1)).max()
    if decades > UNEVEN and not (least < NEAR * spanned.sizes[..., 0]).any():
        return (
            f"The lengths of the heads over {unit} differ by a factor of 1e{decades:.0f}, too much for a dual point in "
            "float64; heads themselves are not nearly dependent"
        )
    return "Directions of heads are nearly dependent: drop them from heads and target"


def _statuses(good: NDArray[np.bool_], lost: NDArray[np.bool_], reached: Status) -> Any:
    """One Status, or an array of them in the shape of the batch."""
    status = np.full(good.shape, Status.ROUNDING, object)
    status[good] = reached
    status[good & lost] = Status.DEPENDENT
    return status if good.ndim else status.item()
