"""Compiled homotopy for the Lasso. No checks: callers pass clean, C-contiguous arrays.

On an active set A with signs s and W_A = Q'R, the solution at every level l of the penalty is a straight line,

    a(l) = R^-1 (t - l z),  t = Qw,  R'z = s,      W'(w - W a(l)) = b + l g,  b = W'(w - Q't),  g = W'Q'z.

The next change of A is the largest l at which an idle |b + l g| reaches l, or an active entry of a(l) reaches 0. Lines
come from the factors, never from the last point: errors do not add up along the path. Inner loops run over the tasks.
"""

import math
from typing import Any

import numpy as np

from pessimism._compiled import compiled
from pessimism._types import Floats, Ints

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
    """Write t and z to at[0] and at[1], and b and g of the correlations b + l g to work[0] and work[1].

    at[2], at[3], at[4], at[5] keep t, z, w - Q't and Q'z; what they hold of the first `first` columns is kept.
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
    level, slope = work[0], work[1]
    for j in range(level.size):
        level[j], slope[j] = 0.0, 0.0
    for i in range(size):
        row, one, two = heads[i], rest[i], ahead[i]
        for j in range(row.size):
            level[j] += one * row[j]
            slope[j] += two * row[j]


@compiled
def defect(heads: Floats, target: Floats, penalty: float, active: Ints, signs: Floats, n: int, at: Floats) -> None:
    """Write W_A'(w - W_A a) - penalty s, of the original columns, to at[1]; at[0] has the active weights a."""
    size = heads.shape[0]
    rest = at[4]
    for i in range(size):
        rest[i] = target[i]
        for m in range(n):
            rest[i] -= heads[i, active[m]] * at[0, m]
    for m in range(n):
        lack = -penalty * signs[m]
        for i in range(size):
            lack += heads[i, active[m]] * rest[i]
        at[1, m] = lack


@compiled
def homotopy(
    heads: Floats, targets: Floats, regularization: Floats, count: int, max_steps: int
) -> tuple[Floats, Floats, Ints]:
    """Weights (count, M), dual points (count, k) and numbers of changes of the active set, for a batch of problems.

    Every path ends at the level `regularization` of the largest that matters. An argument with one item has it for all.
    """
    size, n_tasks = heads.shape[1], heads.shape[2]
    weights, duals, steps = np.empty((count, n_tasks)), np.empty((count, size)), np.empty(count, np.int64)
    rows, factor, at = np.empty((size + 1, size)), np.empty((size + 1, size + 1)), np.empty((7, size + 1))
    active, signs, work = np.empty(size + 1, np.int64), np.empty(size + 1), np.empty((2, n_tasks))
    idle, barred = np.empty(n_tasks, np.int64), np.empty(n_tasks, np.int64)
    zero: Any = np.int64(0)  # typed: for a literal the kernels above would be compiled once more
    for item in range(count):
        columns, target = heads[item % len(heads)], targets[item % len(targets)]
        current = 0.0
        for j in range(n_tasks):
            slope = 0.0
            for i in range(size):
                slope += target[i] * columns[i, j]
            current = max(current, abs(slope))
            idle[j], barred[j], weights[item, j] = 1, 0, 0.0
        end, step = regularization[item % len(regularization)] * current, 0
        first = n = zero
        while True:
            lines(columns, target, rows, factor, signs, first, n, work, at)
            solve_upper(factor, n, at[0])
            solve_upper(factor, n, at[1])
            if step == max_steps or not end < current:
                break
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
            step += 1
            if best < current * TIE:
                current = best
                for j in range(n_tasks):
                    barred[j] = 0
            if out < n:
                barred[active[out]] = 1  # it may come back, but at a lower level
                for j in range(n_tasks):
                    idle[j] = 1
                last, n, first = n, out, zero
                for m in range(out + 1, last):
                    if enter(columns, active[m], rows, factor, n, at[6]):
                        active[n], signs[n] = active[m], signs[m]
                        n += 1
                for m in range(n):
                    idle[active[m]] = 0
            else:
                idle[chosen], first = 0, n  # if it depends on the active ones, until one of them leaves
                if enter(columns, chosen, rows, factor, n, at[6]):
                    active[n], signs[n] = chosen, sign
                    n += 1
        for i in range(size):  # from the factors: residuals lose digits where large weights cancel
            duals[item, i] = at[4, i] + end * at[5, i]
        for m in range(n):
            at[0, m] -= end * at[1, m]
        defect(columns, target, end, active, signs, n, at)  # one correction of the weights
        solve_lower(factor, n, at[1])
        solve_upper(factor, n, at[1])
        for m in range(n):
            at[0, m] += at[1, m]
            weights[item, active[m]] = at[0, m] if at[0, m] * signs[m] > 0.0 else 0.0
        steps[item] = step
    return weights, duals, steps
