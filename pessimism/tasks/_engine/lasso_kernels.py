"""Compiled homotopy for the Lasso. No checks: callers pass clean, C-contiguous arrays.

On an active set A with signs s and W_A = Q'R, the solution at every level l of the penalty is a straight line,

    a(l) = R^-1 (t - l z),  t = Qw,  R'z = s,      W'(w - W a(l)) = b + l g,  b = W'(w - Q't),  g = W'Q'z.

The next change of A is the largest l at which an idle |b + l g| reaches l, or an active entry of a(l) reaches 0. Lines
come from the factors, never from the last point: errors do not add up along the path. Inner loops run over the tasks.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pessimism._compiled import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DEPENDENT = 1e-11
"""A column this close to the span of the active ones, in parts of its length, does not enter."""

FLAT = 1e-12
"""Slopes below this are rounding: their lines do not cross."""

TIE = 1.0 - 1e-13
"""Changes at levels in this ratio happen at one level."""


@compiled
def solve_upper(factor: Floats, n: int, right: Floats) -> None:
    """R x = right in place, for the first n."""
    for j in range(n - 1, -1, -1):
        right[j] /= factor[j, j]
        for i in range(j):
            right[i] -= factor[i, j] * right[j]


@compiled
def solve_lower(factor: Floats, n: int, right: Floats) -> None:
    """R' x = right in place, for the first n."""
    for i in range(n):
        right[i] /= factor[i, i]
        for j in range(i + 1, n):
            right[j] -= factor[i, j] * right[i]


@compiled
def enter(heads: Floats, column: int, rows: Floats, factor: Floats, n: int, parts: Floats) -> bool:
    """Append a column to the factors, orthogonalised twice; False if it depends on the n there are. `parts` is work."""
    size = heads.shape[0]
    if n == size:
        return False
    fresh, length = rows[n], 0.0
    for i in range(size):
        fresh[i] = heads[i, column]
        length += fresh[i] ** 2
    for m in range(n):
        factor[m, n] = 0.0
    for _ in range(2):
        for m in range(n):
            parts[m] = 0.0
        for i in range(size):
            for m in range(n):
                parts[m] += rows[m, i] * fresh[i]
        for m in range(n):
            factor[m, n] += parts[m]
            for i in range(size):
                fresh[i] -= parts[m] * rows[m, i]
    rest = 0.0
    for i in range(size):
        rest += fresh[i] ** 2
    if rest <= DEPENDENT**2 * length:
        return False
    factor[n, n] = math.sqrt(rest)
    for i in range(size):
        fresh[i] /= factor[n, n]
    return True


@compiled
def leave(place: int, rows: Floats, factor: Floats, n: int) -> None:
    """Take the column at `place` out of the factors of n columns, by rotations."""
    for j in range(place, n - 1):
        for m in range(j + 2):
            factor[m, j] = factor[m, j + 1]
        length = math.hypot(factor[j, j], factor[j + 1, j])
        cos, sin = factor[j, j] / length, factor[j + 1, j] / length
        factor[j, j], factor[j + 1, j] = length, 0.0
        for m in range(j + 2, n):  # the columns that have yet to move left
            above, below = factor[j, m], factor[j + 1, m]
            factor[j, m], factor[j + 1, m] = cos * above + sin * below, cos * below - sin * above
        for i in range(rows.shape[1]):
            above, below = rows[j, i], rows[j + 1, i]
            rows[j, i], rows[j + 1, i] = cos * above + sin * below, cos * below - sin * above


@compiled
def lines(
    heads: Floats,
    target: Floats,
    rows: Floats,
    factor: Floats,
    signs: Floats,
    first: int,
    n: int,
    work: Floats,
    at: Floats,
) -> None:
    """at[0], at[1]: x and d of a(l) = x - l d; work[0], work[1]: b and g of the correlations b + l g.

    at[2], at[3], at[4], at[5] hold t, z, w - Q't and Q'z; those of the first `first` columns are taken over.
    """
    size = heads.shape[0]
    parts, pulls, rest, ahead = at[2], at[3], at[4], at[5]
    if first == 0:
        for i in range(size):
            rest[i], ahead[i] = target[i], 0.0
    for m in range(first, n):
        part, pull = 0.0, signs[m]
        for i in range(size):
            part += rows[m, i] * rest[i]
        for i in range(m):
            pull -= factor[i, m] * pulls[i]
        parts[m], pulls[m] = part, pull / factor[m, m]
        for i in range(size):
            rest[i] -= part * rows[m, i]
            ahead[i] += pulls[m] * rows[m, i]
    for m in range(n):
        at[0, m], at[1, m] = parts[m], pulls[m]
    solve_upper(factor, n, at[0])
    solve_upper(factor, n, at[1])
    level, slope = work[0], work[1]
    for j in range(level.size):
        level[j], slope[j] = 0.0, 0.0
    for i in range(size):
        row, one, two = heads[i], rest[i], ahead[i]
        for j in range(row.size):
            level[j] += one * row[j]
            slope[j] += two * row[j]


@compiled
def polish(
    heads: Floats, target: Floats, penalty: float, active: Ints, signs: Floats, factor: Floats, n: int, at: Floats
) -> None:
    """One correction of the active weights at[0] by the original columns: W_A'(w - W_A a) = penalty s."""
    size = heads.shape[0]
    rest = at[4]
    for i in range(size):
        rest[i] = target[i]
        for m in range(n):
            rest[i] -= heads[i, active[m]] * at[0, m]
    for m in range(n):
        at[1, m] = -penalty * signs[m]
        for i in range(size):
            at[1, m] += heads[i, active[m]] * rest[i]
    solve_lower(factor, n, at[1])
    solve_upper(factor, n, at[1])
    for m in range(n):
        at[0, m] += at[1, m]


@compiled
def homotopy(
    heads: Floats, target: Floats, regularization: float, max_steps: int, weights: Floats, dual: Floats
) -> int:
    """Weights at the level `regularization` of the largest that matters; the number of changes of the active set."""
    size, n_tasks = heads.shape
    rows, factor, at = np.empty((size + 1, size)), np.zeros((size + 1, size + 1)), np.empty((7, size + 1))
    active, signs = np.empty(size + 1, np.int64), np.empty(size + 1)
    none: Any = np.int64(0)  # typed: for a literal every kernel below is compiled once more
    n = none
    idle, barred, work = np.ones(n_tasks, np.bool_), np.zeros(n_tasks, np.bool_), np.empty((2, n_tasks))
    lines(heads, target, rows, factor, signs, none, n, work, at)
    current, steps = 0.0, 0
    for j in range(n_tasks):
        current, weights[j] = max(current, abs(work[0, j])), 0.0
    end = regularization * current
    while steps < max_steps and end < current:
        best, chosen, out, sign = end, n_tasks, n, 0.0
        for j in range(n_tasks):
            if idle[j]:
                side = 1.0 if work[0, j] > 0.0 else -1.0
                num, den = side * work[0, j], 1.0 - side * work[1, j]
                if den > FLAT and num > best * den and not (barred[j] and num >= current * TIE * den):
                    best, chosen, sign = num / den, j, side
        for m in range(n):
            if signs[m] * at[1, m] < -FLAT and signs[m] * at[0, m] < best * signs[m] * at[1, m]:
                best, out = at[0, m] / at[1, m], m
        if chosen == n_tasks and out == n:
            break
        steps += 1
        if best < current * TIE:
            current = best
            barred[:] = False
        if out < n:
            barred[active[out]] = True  # it may come back, but at a lower level
            leave(out, rows, factor, n)
            n, first = n - 1, none
            idle[:] = True
            for m in range(n):
                if m >= out:
                    active[m], signs[m] = active[m + 1], signs[m + 1]
                idle[active[m]] = False
        else:
            idle[chosen] = False
            if not enter(heads, chosen, rows, factor, n, at[6]):
                continue  # dependent on the active ones until one of them leaves
            active[n], signs[n] = chosen, sign
            n, first = n + 1, n
        lines(heads, target, rows, factor, signs, first, n, work, at)
    for i in range(size):  # from the factors: more digits than what is left of the target once large weights cancel
        dual[i] = at[4, i] + end * at[5, i]
    for m in range(n):
        at[0, m] -= end * at[1, m]
    polish(heads, target, end, active, signs, factor, n, at)
    for m in range(n):
        weights[active[m]] = at[0, m] if at[0, m] * signs[m] > 0.0 else 0.0
    return steps


@compiled
def solve_many(
    heads: Floats, targets: Floats, regularization: Floats, count: int, max_steps: int
) -> tuple[Floats, Floats, Ints]:
    """Weights (count, M), dual points (count, k) and steps of a batch; an argument with one item has it for all."""
    weights, duals, steps = (
        np.empty((count, heads.shape[2])),
        np.empty((count, heads.shape[1])),
        np.empty(count, np.int64),
    )
    for i in range(count):
        level = regularization[i % regularization.size]
        steps[i] = homotopy(heads[i % len(heads)], targets[i % len(targets)], level, max_steps, weights[i], duals[i])
    return weights, duals, steps
