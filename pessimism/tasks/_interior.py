r"""What optimal designs and cheapest purchases share: one interior-point method, and least norms for any scales.

With shares or samples :math:`x \ge 0`, heads W and functionals C, both wanted quantities are smooth and convex in x,

.. math::
    \varphi(x) = \mathrm{tr}\, C^\top M(x)^{-1} C, \qquad M(x) = W \mathrm{diag}(x) W^\top, \qquad
    \partial_m \varphi = -\|C^\top M^{-1} w_m\|^2,

and the second derivatives are closed forms, so a primal-dual Newton method ends in a dozen steps with a relative gap
near rounding; cone programs of the same functions ended at gaps of 1e-6 to 5e-5. Whoever calls it computes the gap
again from the answer: convergence is not assumed anywhere.
"""

from collections.abc import Callable

import numpy as np

from pessimism._types import Floats
from pessimism.tasks.relevance import OUTSIDE, RANK

GOAL = 1e-10
"""Relative gap at which the interior-point method rests."""

TOLERANCE = 1e-6
"""Largest relative gap that is returned, of designs and of convex purchases; 1e-9 is usual."""

STEPS = 100
"""Largest number of Newton steps; fifteen are usual."""

Local = Callable[[Floats], tuple[float, Floats, Floats]]
"""Relative gap, gradient and matrix of second derivatives of a convex function at a point."""


def minimise(local: Local, floors: Floats, slack: Floats, *, total: bool) -> Floats:
    """The best point met, less the floors, while minimising over x >= floors; sum(x) stays what it is if `total`.

    `slack` is the start, positive: x less the floors, which is kept itself, for it may be far below their rounding.
    """
    best, least = slack, np.inf
    multipliers, length = None, 0.0
    with np.errstate(all="ignore"):  # what is not finite ends the loop
        for _ in range(STEPS):
            try:
                gap, gradient, curvature = local(floors + slack)
                if gap < least:
                    best, least = slack, gap
                if multipliers is None:
                    multipliers = gradient - gradient.min() + 0.5 * np.abs(gradient).max()
                centring = 0.1 if length > 0.9 else 0.8  # after short steps, back to the middle
                barrier = centring * (slack @ multipliers) / len(slack)
                scale = np.sqrt(multipliers / slack)[:, None]  # their ratios grow without limit: divided out
                right = np.stack([barrier / slack - gradient, np.ones(len(slack))], axis=1) / scale
                step, shift = (np.linalg.solve(curvature / (scale * scale.T) + np.eye(len(slack)), right) / scale).T
            except np.linalg.LinAlgError:  # too close to the boundary for float64
                break
            if total:
                step = step - shift * (step.sum() / shift.sum())
            change = barrier / slack - multipliers - multipliers / slack * step
            lengths = _length(slack, step), _length(multipliers, change)
            slack, multipliers, length = slack + lengths[0] * step, multipliers + lengths[1] * change, min(lengths)
            if least < GOAL or not np.isfinite(slack + multipliers).all():
                break
    return best


def _length(point: Floats, step: Floats) -> float:
    """How much of the step keeps the point positive, at most all of it."""
    return min(1.0, 0.99 / max(float((-step / point).max()), 0.5))


def root(rows: Floats, x: Floats) -> Floats:
    """R (n, n) with R'R = M(x)^-1, from a pivoted factorisation that shares of very different size do not disturb."""
    from scipy.linalg import qr

    basis, triangle, _ = qr(rows * np.sqrt(x), mode="economic", pivoting=True, check_finite=False)
    lengths = np.diagonal(triangle)[:, None]
    left, sizes, _ = np.linalg.svd(triangle / lengths, full_matrices=False)  # rows at most 1: the grading is gone
    return np.asarray((left.T @ (basis.T / lengths)) / sizes[:, None])


def information(rows: Floats, functionals: Floats, x: Floats) -> tuple[Floats, Floats, Floats]:
    """M(x)^-1 C (n, p), the slopes -(d/dx) of tr C'M(x)^-1 C (M), and its second derivatives (M, M)."""
    half = root(rows, x)
    points = half.T @ (half @ functionals)
    effects, spread = rows.T @ points, half @ rows
    cross = effects @ effects.T
    return points, np.diagonal(cross), 2.0 * cross * (spread.T @ spread)


def whitened(heads: Floats) -> tuple[Floats, Floats]:
    """Rows Q W (n, M), orthogonal and of length sqrt(M), on the span of the heads; Q (n, k).

    What is invariant under (W, C) -> (QW, QC) is computed there: uniform shares then have M = I.
    """
    basis, sizes, tasks = np.linalg.svd(heads, full_matrices=False)
    kept = sizes > RANK * sizes[0]
    length = np.sqrt(heads.shape[1])
    return tasks[kept] * length, basis[:, kept].T * (length / sizes[kept, None])


def least_norm(heads: Floats, target: Floats, samples: Floats) -> tuple[Floats, Floats]:
    """Value (...) and weights (..., M) of min sum nu^2/n subject to W nu = w; inf and 0 where w is out of reach.

    Pivoted Gram-Schmidt on unit heads: rank and span are those of the sampled tasks, not of their scales, and every
    task enters with a relative error, however far the counts differ.
    """
    batch = np.broadcast_shapes(heads.shape[:-2], target.shape[:-1], samples.shape[:-1])
    k, n_tasks = heads.shape[-2:]
    left, norms = _unit(heads, axis=-2)
    left = np.broadcast_to(left, (*batch, k, n_tasks))
    scales = np.broadcast_to(np.sqrt(samples) * norms[..., 0, :], (*batch, n_tasks))
    direction, distance = _unit(target, axis=-1)
    rest = np.broadcast_to(direction, (*batch, k))
    basis, rows = np.zeros((*batch, k, k)), np.zeros((*batch, k, n_tasks))
    goal, empty = np.zeros((*batch, k)), np.ones((*batch, k))
    for i in range(min(k, n_tasks)):
        sizes = np.linalg.norm(left, axis=-2)
        lengths = np.where(sizes > RANK, scales * sizes, 0.0)
        chosen = lengths.argmax(axis=-1)[..., None]
        pivot = np.take_along_axis(lengths, chosen, axis=-1)
        q = np.take_along_axis(left, chosen[..., None, :], axis=-1)
        q = q - basis @ (np.swapaxes(basis, -1, -2) @ q)  # twice is enough: a small rest is no longer orthogonal
        length = np.linalg.norm(q, axis=-2)
        q = np.divide(q, length[..., None], out=np.zeros_like(q), where=(pivot > 0)[..., None])[..., 0]
        along = (q[..., None, :] @ left)[..., 0, :]
        left = left - q[..., :, None] * along[..., None, :]
        reach = (q * rest).sum(axis=-1, keepdims=True)
        rest = rest - q * reach
        divisor = np.where(pivot > 0, pivot, 1.0)  # rows are then at most 1: the grading is gone
        basis[..., i], rows[..., i, :] = q, along * scales / divisor
        goal[..., i], empty[..., i] = (reach / divisor)[..., 0], pivot[..., 0] <= 0
    left_vectors, sizes, right_vectors = np.linalg.svd(
        np.concatenate([rows, empty[..., None] * np.eye(k)], axis=-1), full_matrices=False
    )
    shortest = distance * (np.swapaxes(left_vectors, -1, -2) @ goal[..., None])[..., 0] / sizes
    weights = np.sqrt(samples) * (shortest[..., None, :] @ right_vectors)[..., 0, :n_tasks]
    reached = np.linalg.norm(rest, axis=-1) <= OUTSIDE
    value = np.where(reached, (shortest**2).sum(axis=-1), np.inf)
    return np.asarray(value), np.where(reached[..., None], weights, 0.0)


def _unit(vectors: Floats, *, axis: int) -> tuple[Floats, Floats]:
    """Vectors of length 1 (or 0), and the lengths that were divided out, with the axis kept."""
    top = np.abs(vectors).max(axis=axis, keepdims=True)
    scaled = np.divide(vectors, top, out=np.zeros_like(vectors), where=top > 0)  # squares of 1e-200 would be 0
    sizes = np.linalg.norm(scaled, axis=axis, keepdims=True)
    return np.divide(scaled, sizes, out=np.zeros_like(scaled), where=sizes > 0), top * sizes
