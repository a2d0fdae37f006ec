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
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._objects import Speaking
from pessimism._status import ConvergenceError, Status
from pessimism._types import Floats, Ints
from pessimism.tasks._arguments import heads_and_target
from pessimism.tasks._engine import lasso as engine
from pessimism.tasks._engine.linear_algebra import OUTSIDE, RANK, length, near_one, times

__all__ = ["Relevance", "lasso", "min_l1", "min_l2"]

CERTIFICATE = 1e-8
"""Largest relative gap and residual of `min_l1` and `min_l2`."""

TRACE = 1e-11
"""Weights below this part of the largest are rounding errors: without them the residual hardly changes."""


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
        How it ended.
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
        If gap or residual is above 1e-8, because the heads are nearly dependent.

    See Also
    --------
    pessimism.tasks.bounds.l2_bound : Bound on the risk of buying by its squares.

    Notes
    -----
    Statement: :math:`\nu^2 = \arg\min\{\|\nu\|_2 : W\nu = w\}`, the same for :math:`(QW, Qw)` with any invertible Q.
    Singular values below 1e-12 of the largest count as zero. Cost :math:`O(k^2 M)` an item. Source: Chen et al. (2022)
    buy in proportion to :math:`(\nu^2_m)^2`; the dual certificate is derived by us.

    Examples
    --------
    >>> min_l2([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], [1.0, 0.0]).weights.round(12).tolist()
    [0.5, 0.0, 0.5]
    """
    scaled, goal, batch, exponents = _problem(heads, target)
    basis, sizes, tasks = _singular(scaled, goal)
    inverse = np.divide(1.0, sizes, out=np.zeros_like(sizes), where=sizes > 0)
    parts = times(basis.mT, goal)
    weights = times(tasks.mT, inverse * parts)
    weights = np.where((scaled == 0).all(axis=-2), 0.0, weights)  # and not what rounding leaves
    dual = times(basis, inverse**2 * parts)
    return _constrained(scaled, goal, weights, dual, np.zeros(batch, np.int64), exponents, order=2)


def min_l1(heads: ArrayLike, target: ArrayLike) -> Relevance:
    r"""Find the relevance of smallest L1 norm (basis pursuit), at a vertex: at most rank(W) tasks matter.

    Parameters
    ----------
    heads, target : as in `min_l2`
        See there, also for what is raised.

    Returns
    -------
    Relevance
        :math:`\nu^1`; the dual point has :math:`\|W^\top y\|_\infty = 1` and proves it optimal. Where several are
        optimal, as with duplicated tasks, it is one vertex of them: compare norms then, not entries.

    See Also
    --------
    pessimism.tasks.bounds.l1_risk : Leading order of the risk of buying in proportion to it.
    pessimism.tasks.designs.c_optimal : The same optimum as a design, with floors.

    Notes
    -----
    Statement: :math:`\nu^1 = \arg\min\{\|\nu\|_1 : W\nu = w\}`, and :math:`\nu^1_m \ne 0` implies
    :math:`|w_m^\top y| = 1`. :math:`\|\nu^1\|_1` is the same for :math:`(QW, Qw)` with any invertible Q, so that
    the program can be solved for orthonormal rows, by the dual simplex method (HiGHS); weights and dual point are then
    computed again from its final basis. Cost: a linear program with 2M variables an item, milliseconds. Source:
    Wang et al. (2023) buy in proportion to :math:`|\nu^1_m|`; support and certificate are derived by us.

    Examples
    --------
    >>> min_l1([[1.0, 0.0, 0.8], [0.0, 1.0, 0.6]], [0.8, 0.6]).weights.round(12).tolist()
    [0.0, 0.0, 1.0]
    """
    scaled, goal, batch, exponents = _problem(heads, target)
    basis, sizes, tasks = _singular(scaled, goal)
    basis, tasks, columns = (np.broadcast_to(x, batch + x.shape[-2:]) for x in (basis, tasks, scaled))
    sizes, goals = (np.broadcast_to(x, batch + x.shape[-1:]) for x in (sizes, goal))
    weights, dual = np.zeros(batch + scaled.shape[-1:]), np.zeros(batch + scaled.shape[-2:-1])
    steps = np.zeros(batch, np.int64)
    for item in np.ndindex(batch):
        rank = int((sizes[item] > 0).sum())
        if rank == 0 or not goals[item].any():
            continue
        right = (goals[item] @ basis[item][:, :rank]) / sizes[item][:rank]
        signs, point, steps[item] = _vertex(tasks[item][:rank], right)
        used = np.flatnonzero(signs)
        weights[item][used] = _least_squares(columns[item][:, used], goals[item])
        dual[item] = basis[item][:, :rank] @ (point / sizes[item][:rank])
    return _constrained(scaled, goal, weights, dual, steps, exponents, order=1)


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
        If a gap is above `tolerance`.

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
    scaled, goal, batch, exponents = _problem(heads, target, part)
    found, points, gaps, steps = engine.solve(scaled, goal, part, batch, limit)
    weights, dual = found.reshape(batch + scaled.shape[-1:]), points.reshape(batch + goal.shape[-1:])
    gap = gaps.reshape(batch)
    good = gap <= limit
    result = Relevance(
        np.ldexp(weights, (exponents[1] - exponents[0])[..., None]),
        np.ldexp(dual, exponents[1][..., None]),
        gap,
        np.asarray(np.linalg.norm(times(scaled, weights) - goal, axis=-1) / length(goal)),
        _statuses(good, Status.CONVERGED),
        steps.reshape(batch),
    )
    if not good.all():
        raise ConvergenceError(
            f"the gap of {np.count_nonzero(~good)} of {good.size} answers is above tolerance = {limit:g}, the largest "
            f"is {np.max(gap[~good]):.3g}: raise tolerance or regularization; the partial result is the attribute "
            "result",
            result,
        )
    return result


def _problem(
    heads: ArrayLike, target: ArrayLike, *more: Floats
) -> tuple[Floats, Floats, tuple[int, ...], tuple[Ints, Ints]]:
    """Heads and target with largest entries in [1/2, 1), their batch, and the powers of two that were divided out."""
    columns, goal = heads_and_target(heads, target)
    parts = columns.shape[:-2], goal.shape[:-1], *(array.shape for array in more)
    batch = _check.broadcast("heads, target and regularization", *parts)
    columns, goal, sizes = near_one(columns, goal)
    return columns, goal, batch, sizes


def _singular(heads: Floats, target: Floats) -> tuple[Floats, Floats, Floats]:
    """Singular vectors and values U (k, n), s (n), V' (n, M), negligible ones set to 0; w must be in the span of U."""
    basis, sizes, tasks = np.linalg.svd(heads, full_matrices=False)
    sizes = np.where(sizes > RANK * sizes[..., :1], sizes, 0.0)
    basis = np.where(sizes[..., None, :] > 0, basis, 0.0)
    missed = target - times(basis, times(basis.mT, target))
    distance = np.linalg.norm(missed, axis=-1) / length(target)
    if (distance > OUTSIDE).any():
        worst = tuple(int(i) for i in np.argwhere(distance > OUTSIDE)[0])
        where = f"target {worst} of the batch" if worst else "target"
        raise ValueError(
            f"{where} must lie in the span of heads, its distance is {distance[worst]:.3g} of its length: add source "
            "tasks that reach it, or project it on their span"
        )
    return basis, sizes, tasks


def _vertex(rows: Floats, right: Floats) -> tuple[Floats, Floats, int]:
    """Signs (M) of a basic solution of min |x|_1 subject to rows x = right, and the dual point of that basis."""
    from scipy.optimize import linprog

    n_tasks = rows.shape[1]
    found = linprog(
        np.ones(2 * n_tasks),
        A_eq=np.hstack([rows, -rows]),
        b_eq=right / np.abs(right).max(),
        method="highs-ds",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if found.x is None:  # feasible and bounded, so numerical trouble: the certificate reports it
        return np.sign(rows.T @ right), np.zeros(len(right)), int(found.nit)
    sizes = found.x[:n_tasks] - found.x[n_tasks:]
    # at a degenerate vertex some basic variables are 0 up to rounding, of either sign
    signs = np.where(np.abs(sizes) > TRACE * np.abs(sizes).max(), np.sign(sizes), 0.0)
    used = np.flatnonzero(signs)
    point = found.eqlin.marginals
    lacking = signs[used] - rows[:, used].T @ point
    return signs, point + np.linalg.lstsq(rows[:, used].T, lacking)[0], int(found.nit)


def _least_squares(columns: Floats, right: Floats) -> Floats:
    found = np.linalg.lstsq(columns, right)[0]
    return np.asarray(found + np.linalg.lstsq(columns, right - columns @ found)[0])


def _constrained(
    heads: Floats,
    target: Floats,
    weights: Floats,
    dual: Floats,
    iterations: Ints,
    exponents: tuple[Ints, Ints],
    *,
    order: int,
) -> Relevance:
    """The relevance in the user's units, with the certificate of min |nu|_order computed in the scaled problem."""
    slopes = np.linalg.norm(times(heads.mT, dual), 2 if order == 2 else np.inf, axis=-1)
    dual = dual / np.where(slopes > 0, slopes, 1.0)[..., None]
    norm = np.linalg.norm(weights, order, axis=-1)
    gap = np.asarray(np.abs(norm - (target * dual).sum(axis=-1)) / np.where(norm > 0, norm, 1.0))
    residual = np.asarray(np.linalg.norm(times(heads, weights) - target, axis=-1) / length(target))
    good = np.maximum(gap, residual) <= CERTIFICATE
    result = Relevance(
        np.ldexp(weights, (exponents[1] - exponents[0])[..., None]),
        np.ldexp(np.broadcast_to(dual, (*iterations.shape, dual.shape[-1])), -exponents[0][..., None]),
        gap,
        residual,
        _statuses(good, Status.EXACT),
        iterations,
    )
    if not good.all():
        raise ConvergenceError(
            f"the certificate of {np.count_nonzero(~good)} of {good.size} targets misses {CERTIFICATE:g}: largest gap "
            f"{gap.max():.3g}, largest residual {residual.max():.3g}. Directions of heads are nearly dependent: "
            "drop them from heads and target; the partial result is the attribute result",
            result,
        )
    return result


def _statuses(good: NDArray[np.bool_], reached: Status) -> Any:
    """One Status, or an array of them in the shape of the batch."""
    status = np.full(good.shape, Status.ROUNDING, object)
    status[good] = reached
    return status if good.ndim else status.item()
