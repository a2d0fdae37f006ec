"""Linear algebra on stacks of matrices, accurate whatever the scales of tasks and counts."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pessimism._types import Floats, Ints

OUTSIDE = 1e-8
"""A target further than this part of its length from the span of the heads lies outside it."""

VAGUE = 1e-9
"""A head nearer than this, in parts of its length, to the span of others leaves least norms fewer than six digits."""


def times(matrix: Floats, vector: Floats) -> Floats:
    """Matrices (..., m, n) times vectors (..., n)."""
    return np.asarray((matrix @ vector[..., None])[..., 0])


def length(vector: Floats) -> Floats:
    """Euclidean norm; 1 for the vector 0, so that it can be divided by."""
    norm = np.linalg.norm(vector, axis=-1)
    return np.asarray(np.where(norm > 0, norm, 1.0))


def near_one(heads: Floats, target: Floats) -> tuple[Floats, Floats, tuple[Ints, Ints]]:
    """Heads and target with largest entries in [1/2, 1), and the powers of two that were divided out."""
    sizes = np.frexp(np.abs(heads).max(axis=(-2, -1)))[1], np.frexp(np.abs(target).max(axis=-1))[1]
    return np.ldexp(heads, -sizes[0][..., None, None]), np.ldexp(target, -sizes[1][..., None]), sizes


def rounding(heads: Floats) -> float:
    """Singular values below this part of the largest cannot be told from 0: the rounding of the entries makes them."""
    return float(max(heads.shape[-2:]) * np.finfo(float).eps)


class Span(NamedTuple):
    """Heads W = U s V' diag(lengths), the singular values being those of heads of length 1.

    U (..., k, n), s (..., n), V' (..., n, M) and lengths (..., M); s and U are 0 where s is but rounding. `lost` (...)
    says where the rank of the heads, their entries taken as exact, is higher: a direction may have been left out.
    """

    basis: Floats
    sizes: Floats
    tasks: Floats
    lengths: Floats
    lost: NDArray[np.bool_]


def span(heads: Floats) -> Span:
    """What heads (..., k, M) span, whatever their lengths."""
    units, lengths = _unit(heads, axis=-2)
    basis, sizes, tasks = np.linalg.svd(units, full_matrices=False)
    kept = sizes > rounding(heads) * sizes[..., :1]
    there = np.minimum((units != 0).any(axis=-1).sum(axis=-1), (units != 0).any(axis=-2).sum(axis=-1))
    lost = np.asarray(kept.sum(axis=-1) < there)  # also where rounding has left a singular value of 0
    for item in map(tuple, np.argwhere(lost)):
        lost[item] = exact_rank(heads[item]) > kept[item].sum()
    basis, sizes = np.where(kept[..., None, :], basis, 0.0), np.where(kept, sizes, 0.0)
    return Span(basis, sizes, tasks, lengths[..., 0, :], lost)


def exact_rank(matrix: Floats) -> int:
    """Rank (k, M) of entries that are taken as exact, by elimination modulo 2^61 - 1, where 2^61 = 1."""
    prime = 2**61 - 1
    parts, exponents = np.frexp(matrix)
    rows = (np.ldexp(parts, 53).astype(np.int64).astype(object) << (exponents % 61).astype(object)) % prime
    rank = 0
    for column in range(rows.shape[1]):
        there = np.flatnonzero(rows[rank:, column]) + rank
        if there.size:
            rows[[rank, there[0]]] = rows[[there[0], rank]]
            rows[rank] = rows[rank] * pow(int(rows[rank, column]), -1, prime) % prime
            rows[rank + 1 :] = (rows[rank + 1 :] - rows[rank + 1 :, column, None] * rows[rank]) % prime
            rank += 1
    return rank


def whitened(heads: Floats) -> tuple[Floats, Floats]:
    """Q W (n, M) with orthogonal rows of length sqrt(M), n the rank of the heads W, and Q (n, k).

    Criteria that are invariant under (W, C) -> (QW, QC) are computed with Q W, for which uniform shares have M(x) = I.
    """
    from scipy.linalg import qr, solve_triangular

    spanned = span(heads)
    rank, order = int((spanned.sizes > 0).sum()), np.argsort(-spanned.lengths, kind="stable")
    # long heads first: then Householder's reflections keep the digits of the short ones, and so does pivoting
    basis, triangle, pivots = qr(heads.T[order], mode="economic", pivoting=True, check_finite=False)
    rows, change = np.empty((rank, heads.shape[1])), np.zeros((rank, heads.shape[0]))
    rows[:, order] = basis[:, :rank].T
    change[:, pivots[:rank]] = solve_triangular(triangle[:rank, :rank], np.eye(rank), trans="T")
    return rows * np.sqrt(heads.shape[1]), change * np.sqrt(heads.shape[1])


class LeastNorm(NamedTuple):
    """Value (...) and weights (..., M) of min sum nu^2/n subject to W nu = w; inf and 0 where w is out of reach.

    `clear` (...) says where the value has six digits: no head that adds a direction is within `VAGUE` of the others,
    and what was taken for dependent is so exactly.
    """

    value: Floats
    weights: Floats
    clear: NDArray[np.bool_]


@np.errstate(over="ignore", invalid="ignore")  # what tiny samples or heads make too large is infinite
def least_norm(heads: Floats, target: Floats, samples: Floats) -> LeastNorm:
    """The least weighted norm of weights nu with W nu = w, sum nu^2/n.

    By Gram-Schmidt with pivoting on heads of length 1: rank and span depend on which tasks are sampled and not on their
    scales, and the contribution of every task has a small relative error, however far the counts differ.
    """
    batch = np.broadcast_shapes(heads.shape[:-2], target.shape[:-1], samples.shape[:-1])
    k, n_tasks = heads.shape[-2:]
    left, norms = _unit(heads, axis=-2)
    left = np.broadcast_to(left, (*batch, k, n_tasks))
    scales = np.broadcast_to(np.sqrt(samples) * norms[..., 0, :], (*batch, n_tasks))
    direction, distance = _unit(target, axis=-1)
    rest = np.broadcast_to(direction, (*batch, k))
    basis, rows, least = np.zeros((*batch, k, k)), np.zeros((*batch, k, n_tasks)), np.ones(batch)
    goal, empty = np.zeros((*batch, k)), np.ones((*batch, k))
    for i in range(min(k, n_tasks)):
        sizes = np.linalg.norm(left, axis=-2)
        lengths = np.where(sizes > rounding(heads), scales * sizes, 0.0)
        chosen = lengths.argmax(axis=-1)[..., None]
        pivot = np.take_along_axis(lengths, chosen, axis=-1)
        q = np.take_along_axis(left, chosen[..., None, :], axis=-1)
        q = q - basis @ (basis.mT @ q)  # again: a small remainder is no longer orthogonal; twice is enough
        length = np.linalg.norm(q, axis=-2)
        least = np.where((pivot > 0)[..., 0], np.minimum(least, length[..., 0]), least)
        q = np.divide(q, length[..., None], out=np.zeros_like(q), where=(pivot > 0)[..., None])[..., 0]
        along = (q[..., None, :] @ left)[..., 0, :]
        left = left - q[..., :, None] * along[..., None, :]
        reach = (q * rest).sum(axis=-1, keepdims=True)
        rest = rest - q * reach
        divisor = np.where(pivot > 0, pivot, 1.0)  # entries are then at most 1, without the grading of the counts
        basis[..., i], rows[..., i, :] = q, along * scales / divisor
        goal[..., i], empty[..., i] = (reach / divisor)[..., 0], pivot[..., 0] <= 0
    left_vectors, sizes, right_vectors = np.linalg.svd(
        np.concatenate([rows, empty[..., None] * np.eye(k)], axis=-1), full_matrices=False
    )
    shortest = distance * (left_vectors.mT @ goal[..., None])[..., 0] / sizes
    weights = np.where(scales > 0, np.sqrt(samples), 0.0) * (shortest[..., None, :] @ right_vectors)[..., 0, :n_tasks]
    reached = np.linalg.norm(rest, axis=-1) <= OUTSIDE
    value = np.asarray(np.where(reached & np.isfinite(goal).all(axis=-1), (shortest**2).sum(axis=-1), np.inf))
    clear = np.array((least > VAGUE) | ~reached)
    rank, there = (empty == 0).sum(axis=-1), scales > 0
    for item in map(tuple, np.argwhere((rank < k) & (rank < there.sum(axis=-1)))):
        clear[item] &= exact_rank(np.broadcast_to(heads, (*batch, k, n_tasks))[item][:, there[item]]) == rank[item]
    return LeastNorm(value, np.where(reached[..., None], weights, 0.0), clear | (distance[..., 0] == 0))


def fit_variance(weights: Floats, samples: Floats, noise: Floats | float = 1.0) -> Floats:
    """Sum of (noise nu)^2/n over the sampled tasks (..., M)."""
    with np.errstate(over="ignore"):
        squares = (noise * weights) ** 2
        terms = np.zeros(np.broadcast_shapes(squares.shape, samples.shape))
        np.divide(squares, samples, out=terms, where=samples > 0)
        return np.asarray(terms.sum(axis=-1))


def _unit(vectors: Floats, *, axis: int) -> tuple[Floats, Floats]:
    """Vectors of length 1 (or 0), and the lengths that were divided out, with the axis kept."""
    top = np.abs(vectors).max(axis=axis, keepdims=True)
    scaled = np.divide(vectors, top, out=np.zeros_like(vectors), where=top > 0)  # the square of 1e-200 would be 0
    sizes = np.linalg.norm(scaled, axis=axis, keepdims=True)
    return np.divide(scaled, sizes, out=np.zeros_like(scaled), where=sizes > 0), top * sizes
