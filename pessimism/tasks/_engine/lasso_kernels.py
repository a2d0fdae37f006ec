"""Compiled homotopy for the Lasso. No checks: callers pass clean, C-contiguous arrays.

On an active set A with signs s and W_A = Q'R, the solution at every level l of the penalty is a straight line,

    a(l) = R^-1 (t - l z),  t = Qw,  R'z = s,      W'(w - W a(l)) = b + l g,  b = W'(w - Q't),  g = W'Q'z.

The next change of A is the largest l at which an idle |b + l g| reaches l, or an active entry of a(l) reaches 0. Lines
come from the factors, never from the last point: errors do not add up along the path. Inner loops run over the tasks.
"""

import math
from typing import Any

import numpy as np

from pessimism._compiled import INNER, compiled
from pessimism._types import Floats, Ints

DEPENDENT = 1e-11
"""A column this close to the span of the active ones, in parts of its length, does not enter."""

FLAT = 1e-12
"""Slopes below this are rounding: their lines do not cross."""

TIE = 1.0 - 1e-13
"""Changes at levels in this ratio happen at one level."""


@compiled(INNER)
def solve_upper(factor: Floats, n: int, at: Floats, row: int) -> None:
    """R x = at[row] in place, for the first n."""
    for j in range(n - 1, -1, -1):
        at[row, j] /= factor[j, j]
        for i in range(j):
            at[row, i] -= factor[i, j] * at[row, j]


@compiled(INNER)
def solve_lower(factor: Floats, n: int, at: Floats, row: int) -> None:
    """R' x = at[row] in place, for the first n."""
    for i in range(n):
        at[row, i] /= factor[i, i]
        for j in range(i + 1, n):
            at[row, j] -= factor[i, j] * at[row, i]


@compiled(INNER)
def enter(heads: Floats, column: int, rows: Floats, factor: Floats, n: int, at: Floats) -> bool:
    """Append a column to the factors, orthogonalised twice; False if it depends on the n there are. at[6] is work."""
    size = heads.shape[0]
    if n == size:
        return False
    length = 0.0
    for i in range(size):
        rows[n, i] = heads[i, column]
        length += rows[n, i] * rows[n, i]
    for m in range(n):
        factor[m, n] = 0.0
    for _ in range(2):
        for m in range(n):
            at[6, m] = 0.0
        for i in range(size):
            for m in range(n):
                at[6, m] += rows[m, i] * rows[n, i]
        for m in range(n):
            factor[m, n] += at[6, m]
            for i in range(size):
                rows[n, i] -= at[6, m] * rows[m, i]
    rest = 0.0
    for i in range(size):
        rest += rows[n, i] * rows[n, i]
    if rest <= DEPENDENT * DEPENDENT * length:
        return False
    factor[n, n] = math.sqrt(rest)
    for i in range(size):
        rows[n, i] /= factor[n, n]
    return True


@compiled(INNER)
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
    size, n_tasks = heads.shape
    if first == 0:
        for i in range(size):
            at[4, i], at[5, i] = target[i], 0.0
    for m in range(first, n):
        part, pull = 0.0, signs[m]
        for i in range(size):
            part += rows[m, i] * at[4, i]
        for i in range(m):
            pull -= factor[i, m] * at[3, i]
        at[2, m], at[3, m] = part, pull / factor[m, m]
        for i in range(size):
            at[4, i] -= part * rows[m, i]
            at[5, i] += at[3, m] * rows[m, i]
    for m in range(n):
        at[0, m], at[1, m] = at[2, m], at[3, m]
    for j in range(n_tasks):
        work[0, j], work[1, j] = 0.0, 0.0
    for i in range(size):
        one, two = at[4, i], at[5, i]
        for j in range(n_tasks):
            work[0, j] += one * heads[i, j]
            work[1, j] += two * heads[i, j]


@compiled(INNER)
def defect(heads: Floats, target: Floats, penalty: float, active: Ints, signs: Floats, n: int, at: Floats) -> None:
    """Write W_A'(w - W_A a) - penalty s, of the original columns, to at[1]; at[0] has the active weights a."""
    size = heads.shape[0]
    for i in range(size):
        at[4, i] = target[i]
        for m in range(n):
            at[4, i] -= heads[i, active[m]] * at[0, m]
    for m in range(n):
        lack = -penalty * signs[m]
        for i in range(size):
            lack += heads[i, active[m]] * at[4, i]
        at[1, m] = lack


@compiled
def homotopy(
    heads: Floats,
    targets: Floats,
    regularization: Floats,
    max_steps: int,
    weights: Floats,
    duals: Floats,
    steps: Ints,
    rows: Floats,
    factor: Floats,
    at: Floats,
    work: Floats,
    signs: Floats,
    places: Ints,
) -> None:
    """Write weights (count, M), dual points (count, k) and numbers of changes of the active set, of every problem.

    Every path ends at the level `regularization` of the largest that matters. An argument with one item has it for all.
    The last six arguments are work: (k + 1, k), (k + 1, k + 1), (7, k + 1), (2, M), (k + 1) and (3, max(k + 1, M)).
    """
    size, n_tasks, count = heads.shape[1], heads.shape[2], len(weights)
    active, idle, barred = places[0], places[1], places[2]
    zero: Any = np.int64(0)  # typed: for a literal the kernels above would be compiled once more
    for item in range(count):
        columns, target = heads[item % len(heads)], targets[item % len(targets)]
        current = 0.0
        for j in range(n_tasks):
            slope = 0.0
            for i in range(size):
                slope += target[i] * columns[i, j]
            current = abs(slope) if abs(slope) > current else current
            idle[j], barred[j], weights[item, j] = 1, 0, 0.0
        end, step = regularization[item % len(regularization)] * current, 0
        first = n = zero
        while True:
            lines(columns, target, rows, factor, signs, first, n, work, at)
            solve_upper(factor, n, at, 0)
            solve_upper(factor, n, at, 1)
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
                    if enter(columns, active[m], rows, factor, n, at):
                        active[n], signs[n] = active[m], signs[m]
                        n += 1
                for m in range(n):
                    idle[active[m]] = 0
            else:
                idle[chosen], first = 0, n  # if it depends on the active ones, until one of them leaves
                if enter(columns, chosen, rows, factor, n, at):
                    active[n], signs[n] = chosen, sign
                    n += 1
        for i in range(size):  # from the factors: residuals lose digits where large weights cancel
            duals[item, i] = at[4, i] + end * at[5, i]
        for m in range(n):
            at[0, m] -= end * at[1, m]
        defect(columns, target, end, active, signs, n, at)  # one correction of the weights
        solve_lower(factor, n, at, 1)
        solve_upper(factor, n, at, 1)
        for m in range(n):
            at[0, m] += at[1, m]
            weights[item, active[m]] = at[0, m] if at[0, m] * signs[m] > 0.0 else 0.0
        steps[item] = step
