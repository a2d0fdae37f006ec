r"""Compiled loops that fit a representation. No checks: callers pass clean, C-contiguous arrays.

The Gram matrices of a data set are one matrix (M d, d), task below task. For a basis B (d, k), the best head of task m
solves :math:`B^\top A_m B\, h_m = B^\top b_m`, and the summed squared error, less the squares of the outputs, is then

.. math:: \ell(B) = -\sum_m h_m^\top B^\top b_m .

`alternate` solves for all heads and for the basis in turn; `descend` solves for the heads and takes gradient steps in
the basis. Products with Gram matrices go through BLAS, small systems through the loops below: those compile within a
second, `numpy.linalg.solve` and slice assignments would take several.
"""

import math

import numpy as np

from pessimism._compiled import compiled
from pessimism._types import Floats, Ints

HEAD_SHIFT = 1e-13
"""Part of the mean diagonal added to the system of one head: it makes singular systems regular and moves no other."""

BASIS_SHIFT = 1e-11
"""The same for a basis, which is pulled towards the previous one: that moves no fixed point."""


@compiled
def solve(matrix: Floats, x: Floats) -> None:
    """Replace x by matrix^-1 x, by elimination with partial pivoting; the matrix is written over."""
    size = x.shape[0]
    for j in range(size):
        pivot = j
        for i in range(j + 1, size):
            if abs(matrix[i, j]) > abs(matrix[pivot, j]):
                pivot = i
        if matrix[pivot, j] == 0.0:
            raise np.linalg.LinAlgError("a matrix is singular")
        if pivot != j:
            x[j], x[pivot] = x[pivot], x[j]
            for c in range(j, size):
                matrix[j, c], matrix[pivot, c] = matrix[pivot, c], matrix[j, c]
        for i in range(j + 1, size):
            factor = matrix[i, j] / matrix[j, j]
            x[i] -= factor * x[j]
            for c in range(j + 1, size):
                matrix[i, c] -= factor * matrix[j, c]
    for i in range(size - 1, -1, -1):
        for c in range(i + 1, size):
            x[i] -= matrix[i, c] * x[c]
        x[i] /= matrix[i, i]


@compiled
def solve_positive(matrix: Floats, x: Floats) -> None:
    """Replace x by matrix^-1 x; the matrix is symmetric positive definite, and only its lower half is read."""
    lower = np.linalg.cholesky(matrix)  # its columns are contiguous
    size = x.shape[0]
    for j in range(size):
        x[j] /= lower[j, j]
        for i in range(j + 1, size):
            x[i] -= x[j] * lower[i, j]
    for i in range(size - 1, -1, -1):
        for j in range(i + 1, size):
            x[i] -= lower[j, i] * x[j]
        x[i] /= lower[i, i]


@compiled
def orthonormalize(matrix: Floats) -> None:
    """Replace the columns (d, k), k <= d, by an orthonormal basis of their span: Householder's QR, signs as LAPACK's.

    Dependent columns give orthonormal ones too, beyond their span.
    """
    d, k = matrix.shape
    scales = np.empty(k)  # of the reflections 1 - scale v v', v below the diagonal of `matrix` with 1 on it
    for step in range(2 * k):  # one reflection for each column, and the same in reverse order to the identity
        j = step if step < k else 2 * k - 1 - step
        if step < k:
            first, below = matrix[j, j], 0.0
            for i in range(j + 1, d):
                below += matrix[i, j] ** 2
            reflected = -math.copysign(math.sqrt(first**2 + below), first)
            scales[j] = (reflected - first) / reflected if below > 0.0 else 0.0
            if below > 0.0:
                for i in range(j + 1, d):
                    matrix[i, j] /= first - reflected
        for c in range(j + 1, k):
            along = matrix[j, c]
            for i in range(j + 1, d):
                along += matrix[i, j] * matrix[i, c]
            along *= scales[j]
            matrix[j, c] -= along
            for i in range(j + 1, d):
                matrix[i, c] -= along * matrix[i, j]
        if step >= k:
            for i in range(d):
                matrix[i, j] *= -scales[j] if i > j else 0.0
            matrix[j, j] = 1.0 - scales[j]


@compiled
def best_heads(grams: Floats, moments: Floats, basis: Floats, heads: Floats, images: Floats) -> float:
    """Write the least-squares heads (M, k) on a basis, and the images A_m B (M d, k); return the loss."""
    tasks, d = moments.shape
    k = basis.shape[1]
    np.dot(grams, basis, images)
    inner, right = np.empty((k, k)), np.empty(k)
    loss = 0.0
    for m in range(tasks):
        for a in range(k):
            right[a] = 0.0
            for b in range(k):
                inner[a, b] = 0.0
        for i in range(d):
            for a in range(k):
                right[a] += basis[i, a] * moments[m, i]
                for b in range(k):
                    inner[a, b] += basis[i, a] * images[m * d + i, b]
        shift_diagonal(inner, HEAD_SHIFT)
        for a in range(k):
            heads[m, a] = right[a]
        solve(inner, heads[m])
        for a in range(k):
            loss -= right[a] * heads[m, a]
    return float(loss)


@compiled
def shift_diagonal(matrix: Floats, part: float) -> float:
    """Add a part of the mean diagonal to the diagonal; return what was added."""
    size, trace = matrix.shape[0], 0.0
    for i in range(size):
        trace += matrix[i, i]
    shift = part * (1e-300 + trace / size)
    for i in range(size):
        matrix[i, i] += shift
    return float(shift)


@compiled
def normal_equations(grams: Floats, moments: Floats, heads: Floats, basis: Floats, system: Floats, x: Floats) -> None:
    """Write the system (dk, dk), its lower half alone, and the right side (dk) of the best basis for heads (M, k).

    sum_m (h_m h_m') kron A_m: the blocks of all pairs of heads are one matrix product. A shift towards the previous
    basis determines directions without data and keeps the loss falling.
    """
    tasks, d = moments.shape
    k = heads.shape[1]
    pairs = np.empty((k * (k + 1) // 2, tasks))
    for a in range(k):
        for b in range(a + 1):
            for m in range(tasks):
                pairs[a * (a + 1) // 2 + b, m] = heads[m, a] * heads[m, b]
    blocks = np.empty((len(pairs), d * d))
    np.dot(pairs, grams.reshape(tasks, d * d), blocks)
    for a in range(k):
        for b in range(a + 1):
            block = blocks[a * (a + 1) // 2 + b]
            for i in range(d):
                for j in range(d):
                    system[a * d + i, b * d + j] = block[i * d + j]
    shift = shift_diagonal(system, BASIS_SHIFT)
    for a in range(k):
        for i in range(d):
            x[a * d + i] = shift * basis[i, a]
            for m in range(tasks):
                x[a * d + i] += heads[m, a] * moments[m, i]


@compiled
def gradient(moments: Floats, heads: Floats, images: Floats, slope: Floats) -> None:
    """Write half the gradient (d, k) of the loss in the basis, sum_m (A_m B h_m - b_m) h_m', from the images A_m B."""
    tasks, d = moments.shape
    k = heads.shape[1]
    for i in range(d):
        for a in range(k):
            slope[i, a] = 0.0
        for m in range(tasks):
            error = -moments[m, i]
            for a in range(k):
                error += images[m * d + i, a] * heads[m, a]
            for a in range(k):
                slope[i, a] += error * heads[m, a]


@compiled
def alternate(
    grams: Floats, moments: Floats, bases: Floats, heads: Floats, scales: Floats, tolerance: float, limit: int
) -> Ints:
    """Alternating least squares for every item of a batch; bases and heads are written over.

    Ends when a step lowers the loss by less than tolerance * scale. Returns the steps, negative if they did not end.
    """
    steps = np.empty(len(bases), np.int64)
    tasks, d, k = moments.shape[1], moments.shape[2], heads.shape[2]
    images, system, x = np.empty((tasks * d, k)), np.empty((d * k, d * k)), np.empty(d * k)
    for i in range(len(bases)):
        loss = best_heads(grams[i], moments[i], bases[i], heads[i], images)
        steps[i] = -limit
        for step in range(limit):
            normal_equations(grams[i], moments[i], heads[i], bases[i], system, x)
            solve_positive(system, x)
            for j in range(d):
                for a in range(k):
                    bases[i, j, a] = x[a * d + j]
            orthonormalize(bases[i])
            now = best_heads(grams[i], moments[i], bases[i], heads[i], images)
            if not loss - now > tolerance * scales[i]:
                steps[i] = step + 1
                break
            loss = now
    return steps


@compiled
def mean_gram(grams: Floats, traces: Floats) -> Floats:
    """Mean Gram matrix (d, d), scaled to trace d, with a shifted diagonal; tr A_m / d is written to `traces` (M)."""
    tasks, d = len(traces), grams.shape[1]
    mean, total = np.empty((d, d)), 1e-300
    for i in range(d):
        for j in range(d):
            mean[i, j] = 0.0
    for m in range(tasks):
        traces[m] = 0.0
        for i in range(d):
            traces[m] += grams[m * d + i, i] / d
            for j in range(d):
                mean[i, j] += grams[m * d + i, j]
        total += traces[m]
    for i in range(d):
        for j in range(d):
            mean[i, j] /= total
        mean[i, i] += BASIS_SHIFT
    return mean


@compiled
def copy_to(target: Floats, source: Floats) -> None:
    """Write one matrix over another."""
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[i, j] = source[i, j]


@compiled
def descend(
    grams: Floats, moments: Floats, bases: Floats, heads: Floats, scales: Floats, tolerance: float, limit: int
) -> Ints:
    """As `alternate`, with a gradient step in the basis, halved until it pays (Armijo), in place of the solution.

    The step is preconditioned by P = sum_m (tr A_m / d) h_m h_m' on the side of the heads and by the mean Gram matrix,
    scaled to trace d, on that of the inputs: it would be the solution if all Gram matrices were multiples of one.
    """
    steps = np.empty(len(bases), np.int64)
    tasks, d, k = moments.shape[1], moments.shape[2], heads.shape[2]
    images, traces, weighted = np.empty((tasks * d, k)), np.empty(tasks), np.empty((k, k))
    slope, solved, direction = np.empty((d, k)), np.empty((d, k)), np.empty((d, k))
    trial, trial_heads = np.empty((d, k)), np.empty((tasks, k))
    for i in range(len(bases)):
        inverse = np.linalg.inv(mean_gram(grams[i], traces))
        loss = best_heads(grams[i], moments[i], bases[i], heads[i], images)
        steps[i] = -limit
        length = 1.0
        for step in range(limit):
            for a in range(k):
                for b in range(k):
                    weighted[a, b] = 0.0
                    for m in range(tasks):
                        weighted[a, b] += traces[m] * heads[i, m, a] * heads[i, m, b]
            shift_diagonal(weighted, HEAD_SHIFT)
            gradient(moments[i], heads[i], images, slope)
            across = np.linalg.inv(weighted)
            for j in range(d):
                for a in range(k):
                    solved[j, a] = 0.0
                    for b in range(k):
                        solved[j, a] += slope[j, b] * across[b, a]
            np.dot(inverse, solved, direction)
            fall = 0.0
            for j in range(d):
                for a in range(k):
                    fall += slope[j, a] * direction[j, a]
            now = loss
            for _ in range(60):
                for j in range(d):
                    for a in range(k):
                        trial[j, a] = bases[i, j, a] - length * direction[j, a]
                orthonormalize(trial)
                now = best_heads(grams[i], moments[i], trial, trial_heads, images)
                if loss - now >= 0.1 * length * fall:  # a step far too long may also lower the loss, a little
                    break
                length *= 0.5
            if now < loss:
                copy_to(bases[i], trial)
                copy_to(heads[i], trial_heads)
                curvature = (now - loss) / length**2 + 2.0 * fall / length
                if curvature > 0.0:  # the next step: the minimum of the parabola through this one
                    length = min(max(fall / curvature, 0.1), 4.0)
            if not loss - now > tolerance * scales[i]:
                steps[i] = step + 1
                break
            loss = now
    return steps
