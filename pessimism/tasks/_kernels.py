"""Compiled loops that fit a representation. No checks: callers pass clean, C-contiguous arrays.

A loss here is the summed squared error minus the squares of the outputs, :math:`-\\sum_m h_m^\\top w_m`.
"""

import numpy as np
from numpy.typing import NDArray

from pessimism._compiled import compiled

Floats = NDArray[np.float64]

TINY = 1e-13
"""Part of the mean diagonal by which a system of one head is shifted: it settles singular ones and moves no other."""

PULL = 1e-11
"""The same for a basis, which is pulled towards the old one: that moves no fixed point."""


@compiled
def best_heads(grams: Floats, moments: Floats, basis: Floats, heads: Floats) -> float:
    """Least-squares heads (M, k) on a basis (d, k), written over `heads`; returns the loss."""
    tasks, d = moments.shape
    k = basis.shape[1]
    products = (grams.reshape(tasks * d, d) @ basis).reshape(tasks, d, k)
    across = np.ascontiguousarray(basis.T)
    right = moments @ basis
    loss = 0.0
    for m in range(tasks):
        inner = across @ products[m]
        inner += TINY * (1e-300 + np.trace(inner) / k) * np.eye(k)
        heads[m] = np.linalg.solve(inner, right[m])
        loss -= right[m] @ heads[m]
    return loss


@compiled
def solve_positive(matrix: Floats, right: Floats) -> Floats:
    """Solution of a symmetric positive definite system, by Cholesky and two triangular passes along rows."""
    lower = np.linalg.cholesky(matrix)
    x = right.copy()
    size = len(x)
    for i in range(size):
        x[i] = (x[i] - lower[i, :i] @ x[:i]) / lower[i, i]
    for i in range(size - 1, -1, -1):
        x[i] /= lower[i, i]
        x[:i] -= x[i] * lower[i, :i]
    return x


@compiled
def best_basis(grams: Floats, moments: Floats, heads: Floats, basis: Floats) -> Floats:
    """Least-squares basis (d, k) for given heads (M, k), made orthonormal.

    Normal equations sum_m (w_m w_m') kron A_m: the blocks of all pairs of heads are one matrix product. A shift towards
    the old basis settles directions without data and keeps the loss falling.
    """
    tasks, d = moments.shape
    k = heads.shape[1]
    pairs = np.empty((k * (k + 1) // 2, tasks))
    row = 0
    for a in range(k):
        for b in range(a + 1):
            pairs[row] = heads[:, a] * heads[:, b]
            row += 1
    blocks = (pairs @ grams.reshape(tasks, d * d)).reshape(len(pairs), d, d)
    system = np.zeros((k * d, k * d))  # its lower half, which is all that the factorisation reads
    row = 0
    for a in range(k):
        for b in range(a + 1):
            system[a * d : (a + 1) * d, b * d : (b + 1) * d] = blocks[row]
            row += 1
    old = np.ascontiguousarray(basis.T).reshape(k * d)
    right = (np.ascontiguousarray(heads.T) @ moments).reshape(k * d)
    shift = PULL * (1e-300 + np.trace(system) / (k * d))
    for i in range(k * d):
        system[i, i] += shift
    solution = solve_positive(system, right + shift * old)
    return orthonormal(np.ascontiguousarray(solution.reshape(k, d).T))


@compiled
def orthonormal(matrix: Floats) -> Floats:
    """Orthonormal basis of the columns."""
    return np.ascontiguousarray(np.linalg.qr(matrix)[0])


@compiled
def gradient(grams: Floats, moments: Floats, heads: Floats, basis: Floats) -> Floats:
    """Half the gradient (d, k) of the loss in the basis: sum_m (A_m B w_m - b_m) w_m'."""
    tasks, d = moments.shape
    fitted = heads @ np.ascontiguousarray(basis.T)
    errors = np.empty((tasks, d))
    for m in range(tasks):
        errors[m] = grams[m] @ fitted[m] - moments[m]
    return np.ascontiguousarray(errors.T) @ heads


@compiled
def alternate(
    grams: Floats, moments: Floats, bases: Floats, heads: Floats, scales: Floats, tolerance: float, limit: int
) -> NDArray[np.int64]:
    """Alternating least squares for every item of a batch; bases and heads are written over.

    Ends when a step lowers the loss by less than tolerance * scale. Returns the steps, negative if they did not end.
    """
    steps = np.empty(len(bases), np.int64)
    for i in range(len(bases)):
        loss = best_heads(grams[i], moments[i], bases[i], heads[i])
        steps[i] = -limit
        for step in range(limit):
            bases[i] = best_basis(grams[i], moments[i], heads[i], bases[i])
            now = best_heads(grams[i], moments[i], bases[i], heads[i])
            if not loss - now > tolerance * scales[i]:
                steps[i] = step + 1
                break
            loss = now
    return steps


@compiled
def descend(
    grams: Floats, moments: Floats, bases: Floats, heads: Floats, scales: Floats, tolerance: float, limit: int
) -> NDArray[np.int64]:
    """As `alternate`, with a gradient step in the basis, halved until it pays (Armijo), in place of the solution.

    The step is preconditioned by P = sum_m (tr A_m / d) w_m w_m' on the side of the heads and by the mean Gram matrix,
    scaled to trace d, on that of the inputs: it would be the solution if all Gram matrices were multiples of one.
    """
    steps = np.empty(len(bases), np.int64)
    tasks, d, k = moments.shape[1], moments.shape[2], heads.shape[2]
    rows = np.empty(tasks)
    trial_heads = np.empty((tasks, k))
    for i in range(len(bases)):
        for m in range(tasks):
            rows[m] = np.trace(grams[i, m]) / d
        mean = np.sum(grams[i], axis=0) / (1e-300 + np.sum(rows))
        inverse = np.linalg.inv(mean + PULL * np.eye(d))
        loss = best_heads(grams[i], moments[i], bases[i], heads[i])
        steps[i] = -limit
        length = 1.0
        for step in range(limit):
            weighted = np.ascontiguousarray((heads[i] * rows.reshape(tasks, 1)).T) @ heads[i]
            weighted += TINY * (1e-300 + np.trace(weighted) / k) * np.eye(k)
            slope = gradient(grams[i], moments[i], heads[i], bases[i])
            direction = inverse @ np.ascontiguousarray(np.linalg.solve(weighted, np.ascontiguousarray(slope.T)).T)
            fall = np.sum(slope * direction)
            now = loss
            for _ in range(60):
                trial = orthonormal(bases[i] - length * direction)
                now = best_heads(grams[i], moments[i], trial, trial_heads)
                if loss - now >= 0.1 * length * fall:  # a step far too long may also lower the loss, a little
                    break
                length *= 0.5
            if now < loss:
                bases[i] = trial
                heads[i] = trial_heads
                curvature = (now - loss) / length**2 + 2.0 * fall / length
                if curvature > 0.0:  # the next step: the minimum of the parabola through this one
                    length = min(max(fall / curvature, 0.1), 4.0)
            if not loss - now > tolerance * scales[i]:
                steps[i] = step + 1
                break
            loss = now
    return steps
