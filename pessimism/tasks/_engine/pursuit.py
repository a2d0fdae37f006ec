r"""Basis pursuit with a cost for each task: min sum c|nu| subject to W nu = w, at a vertex.

The dual simplex method (HiGHS) answers what float64 can prove. Where it cannot, because heads are nearly dependent or
costs per length differ by many orders of magnitude, the simplex method runs on whole numbers: entries and costs are
taken as exact, and so is the optimality of the vertex where it ends.
"""

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pessimism._types import Floats, Ints
from pessimism.tasks._engine.linear_algebra import Span

TRACE = 1e-11
"""Weights below this part of the largest are rounding errors, if without them the target is still reached."""

REACHED, ENOUGH, TINY = 1e-13, 1e-11, 1e-300
"""Residual, entry by entry, of a target that is reached; gap or such residual that needs no other attempt; no 0 / 0."""

VISIBLE = 1e-9
"""Rounding of the slopes of a dual point, in parts of their limits, above which it proves nothing."""

UNEVEN = 1e9
"""Lengths over costs of heads that differ by more are left to whole numbers."""

STEEP = 3
"""Steps, in parts of rank and tasks, that go along the steepest slope, before those that cannot cycle."""

WORK = 3_000_000
"""Largest rank^2 M for which whole numbers are tried: some ten seconds."""


class Pursued(NamedTuple):
    """Weights (M), a dual point (k), steps, and the least cost where it was found in whole numbers."""

    weights: Floats
    dual: Floats
    steps: int
    exact: Fraction | None


def pursue(heads: Floats, target: Floats, costs: Floats, spanned: Span) -> Pursued:
    """The best proved of several attempts; the target is not 0."""
    rank = int((spanned.sizes > 0).sum())
    there = spanned.lengths > 0
    with np.errstate(over="ignore"):
        pulls = spanned.lengths / costs
        even = bool(pulls.max() < UNEVEN * pulls[there].min())
    solvable = rank**2 * heads.shape[1] <= WORK
    found, doubt = Pursued(np.zeros(heads.shape[1]), np.zeros(len(target)), 0, None), np.inf
    if even or (not solvable and np.isfinite(pulls).all()):
        found, doubt = _in_floats(heads, target, costs, spanned, pulls)
    if doubt <= ENOUGH or not solvable:
        return found
    order = np.argsort(-pulls, kind="stable")  # long and cheap heads first, after those in use
    order = np.concatenate([order[found.weights[order] != 0], order[found.weights[order] == 0]])
    return _in_whole_numbers(heads, target, costs, _rows(heads, spanned, rank), order[there[order]], found.steps)


def _in_floats(heads: Floats, target: Floats, costs: Floats, spanned: Span, pulls: Floats) -> tuple[Pursued, float]:
    """An answer, and its gap or residual, the larger."""
    rank = int((spanned.sizes > 0).sum())
    basis, sizes = spanned.basis[:, :rank], spanned.sizes[:rank]
    rows, right = spanned.tasks[:rank] * pulls, (target @ basis) / sizes
    best, found = np.inf, Pursued(np.zeros(heads.shape[1]), np.zeros(len(target)), 0, None)
    largest = np.abs(right).max()
    # the solver's tolerances are absolute: where right sides differ by much, each row is scaled by its own
    for scales in (np.full(rank, largest), np.where(right != 0, np.abs(right), largest)):
        solution, point, steps = _vertex(rows / scales[:, None], right / scales)
        for trace in (TRACE, 0.0):
            used = np.flatnonzero(np.abs(solution) > trace * np.abs(solution).max())
            weights = _on_support(heads, target, spanned.lengths, used)
            dual = basis @ (_on_signs(rows[:, used], np.sign(solution[used]), point / scales) / sizes)
            slope, norm = (np.abs(heads.T @ dual) / costs).max(), (costs * np.abs(weights)).sum()
            missed = np.abs(heads @ weights - target)
            residual = float((missed / np.maximum(np.abs(heads) @ np.abs(weights) + np.abs(target), TINY)).max())
            doubt = max(abs(norm - target @ dual / slope) / norm, residual) if slope > 0 and norm > 0 else np.inf
            if doubt < best:
                noise = np.finfo(float).eps * ((np.abs(heads.T) @ np.abs(dual)) / costs).max() / slope
                best, found = doubt if noise < VISIBLE else max(doubt, noise), Pursued(weights, dual, steps, None)
            if residual < REACHED:  # what was left out was rounding
                break
        if best <= ENOUGH:
            break
    return found, best


def _vertex(rows: Floats, right: Floats) -> tuple[Floats, Floats, int]:
    """A basic solution (M) of min |x|_1 subject to rows x = right, and the dual point of its basis."""
    from scipy.optimize import linprog

    n_tasks = rows.shape[1]
    found = linprog(
        np.ones(2 * n_tasks),
        A_eq=np.hstack([rows, -rows]),
        b_eq=right,
        method="highs-ds",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if found.x is None:  # feasible and bounded, so numerical trouble: the certificate reports it
        return rows.T @ right, np.zeros(len(right)), int(found.nit)
    return found.x[:n_tasks] - found.x[n_tasks:], found.eqlin.marginals, int(found.nit)


def _on_signs(rows: Floats, signs: Floats, point: Floats) -> Floats:
    """The dual point nearest to a given one at which the rows' slopes are the signs."""
    lengths = np.linalg.norm(rows, axis=0)
    lacking = (signs - rows.T @ point) / lengths
    return np.asarray(point + np.linalg.lstsq((rows / lengths).T, lacking)[0])


def _on_support(heads: Floats, target: Floats, lengths: Floats, used: NDArray[np.intp]) -> Floats:
    """Weights on some tasks, by least squares on heads of length 1."""
    weights, units = np.zeros(len(lengths)), heads[:, used] / lengths[used]
    found = np.linalg.lstsq(units, target)[0]
    weights[used] = (found + np.linalg.lstsq(units, target - units @ found)[0]) / lengths[used]
    return weights


def _rows(heads: Floats, spanned: Span, rank: int) -> Ints:
    """Rows of the heads that are independent beyond rounding, as many as the rank."""
    from scipy.linalg import qr

    units = np.divide(heads, spanned.lengths, out=np.zeros_like(heads), where=spanned.lengths > 0)
    return np.sort(qr(units.T, mode="r", pivoting=True)[1][:rank])


def _in_whole_numbers(
    heads: Floats, target: Floats, costs: Floats, rows: Ints, order: NDArray[np.intp], steps: int
) -> Pursued:
    """The optimal vertex for some rows, in exact arithmetic: a tableau of whole numbers over a common divisor.

    A task may have a weight of either sign, so that every set of independent tasks is a feasible basis.
    """
    table, lows = _whole(heads[np.ix_(rows, order)])
    right, low = _whole(target[rows, None])
    prices, bottom = _whole_costs(costs[order], -lows)
    rank, n_tasks = table.shape
    table = np.hstack([table, np.eye(rank, dtype=np.int64).astype(object), right])
    basis, divisor = np.full(rank, -1), 1
    for j in range(n_tasks):
        open_rows = np.flatnonzero((basis < 0) & (table[:, j] != 0))
        if open_rows.size:
            table, divisor = _pivot(table, divisor, int(open_rows[0]), j)
            basis[open_rows[0]] = j
    signs = np.where(table[:, -1] < 0, -1, 1).astype(object)  # Python's integers, which have no largest
    while True:
        slopes = (signs * prices[basis]) @ table[:, :-1]
        excess = np.abs(slopes[:n_tasks]) - prices * divisor
        entering = np.flatnonzero(excess > 0)
        if not entering.size:
            break
        j = int(entering[0])  # and the lowest index among ties of ratios: Bland's rule, which always ends
        if steps < STEEP * (rank + n_tasks):
            j = max(entering.tolist(), key=lambda m: abs(slopes[m]).bit_length() - int(prices[m]).bit_length())
        steps += 1
        sign = 1 if slopes[j] > 0 else -1
        falls = signs * sign * table[:, j]
        rows_that_fall = np.flatnonzero(falls > 0)
        ratios = [(Fraction(signs[i] * table[i, -1], falls[i]), int(basis[i]), int(i)) for i in rows_that_fall]
        leaving = min(ratios)[2]
        table, divisor = _pivot(table, divisor, leaving, j)
        basis[leaving], signs[leaving] = j, sign
    weights, dual = np.zeros(heads.shape[1]), np.zeros(len(target))
    exact = Fraction(0)
    for i, j in enumerate(basis):
        x = Fraction(table[i, -1], divisor)
        exact += abs(x) * prices[j]
        weights[order[j]] = rounded(x * power_of_two(int(low[0]) - int(lows[j])))
    for i, row in enumerate(rows):
        dual[row] = rounded(Fraction(slopes[n_tasks + i], divisor) * power_of_two(bottom))
    return Pursued(weights, dual, steps, exact * power_of_two(int(low[0]) + bottom))


def _pivot(table: NDArray[Any], divisor: int, row: int, column: int) -> tuple[NDArray[Any], int]:
    """A step of elimination without fractions; every division is exact."""
    pivot = table[row, column]
    changed = (table * pivot - np.multiply.outer(table[:, column], table[row])) // divisor
    changed[row] = table[row]
    return (changed, pivot) if pivot > 0 else (-changed, -pivot)


def _whole(columns: Floats) -> tuple[NDArray[Any], Ints]:
    """Whole numbers (k, M) and powers of two (M): columns = numbers * 2^powers."""
    parts, powers = np.frexp(columns)
    numbers = np.ldexp(parts, 53).astype(np.int64).astype(object)
    powers = powers.astype(np.int64) - 53
    lows = np.where(columns != 0, powers, np.iinfo(np.int64).max).min(axis=0)
    numbers = numbers << np.where(columns != 0, powers - lows, 0).astype(object)
    for j in range(numbers.shape[1]):  # the zeros at the end of all numbers of a column
        together = int(np.bitwise_or.reduce(numbers[:, j]))
        shift = (together & -together).bit_length() - 1 if together else 0
        numbers[:, j] >>= shift
        lows[j] += shift
    return numbers, lows


def _whole_costs(costs: Floats, powers: Ints) -> tuple[NDArray[Any], int]:
    """Costs times 2^powers as whole numbers times one power of two."""
    parts, own = np.frexp(costs)
    total = own + powers - 53
    low = int(total.min())
    return np.ldexp(parts, 53).astype(np.int64).astype(object) << (total - low).astype(object), low


def power_of_two(exponent: int) -> Fraction:
    return Fraction(1 << exponent) if exponent >= 0 else Fraction(1, 1 << -exponent)


def rounded(value: Fraction) -> float:
    """The nearest float64, inf where there is none."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
