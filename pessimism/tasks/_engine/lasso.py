r"""The Lasso with certificates: homotopy, then homotopy with ties broken, then a conic program.

For heads W (k, M), a target w and the penalty :math:`\lambda = r \|W^\top w\|_\infty`, r the `regularization`, weights
a and a dual point y with :math:`\|W^\top y\|_\infty \le \lambda` have the duality gap

.. math:: \tfrac12\|Wa - w\|^2 + \lambda \|a\|_1 - \tfrac12\|w\|^2 + \tfrac12\|w - y\|^2 .

The items of a batch are one leading axis.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pessimism._batch import items, on_threads, part_of
from pessimism._types import Floats, Ints
from pessimism.tasks._engine.linear_algebra import length, times

UNTIE = 1e-11
"""Relative amount by which columns are shrunk, each differently, where changes of the active set coincide."""

TIGHT = {"tol_gap_abs": 1e-14, "tol_gap_rel": 1e-14, "tol_feas": 1e-14, "max_iter": 500}
"""Options of the conic solver: as accurate as it can be; its answer is polished and checked here."""

ROUNDING = 1e-12
"""Gaps below this are differences of rounded numbers: none is better than another."""


def solve(
    heads: Floats, target: Floats, regularization: Floats, batch: tuple[int, ...], tolerance: float
) -> tuple[Floats, Floats, Floats, Ints]:
    """Weights, feasible dual points, relative gaps and steps of the items; some gaps may be above the tolerance."""
    count = int(np.prod(batch))
    problem = items(heads, batch, 2), items(target, batch, 1), items(regularization, batch, 0)
    weights, points, steps = homotopy(*problem, count)
    gaps, points = certify(*problem, weights, points)
    for method in (without_ties, conic):
        bad = np.flatnonzero(~(gaps <= tolerance))
        if bad.size:
            some = tuple(array if len(array) == 1 else array[bad] for array in problem)
            left = some[0], some[1], some[2]
            found, duals, spent = method(*left, bad.size)
            better, duals = certify(*left, found, duals)
            gain = better < np.where(np.isnan(gaps[bad]), np.inf, gaps[bad])
            changed = bad[gain]
            weights[changed], points[changed] = found[gain], duals[gain]
            gaps[changed], steps[changed] = better[gain], spent[gain]
    return weights, points, gaps, steps


def certify(
    heads: Floats, targets: Floats, regularization: Floats, weights: Floats, points: Floats
) -> tuple[Floats, Floats]:
    """Gaps of weights and dual points, relative to half the squared length of the targets; the points made feasible."""
    penalty = regularization * np.abs(times(heads.mT, targets)).max(axis=-1)
    slope = np.abs(times(heads.mT, points)).max(axis=-1)
    points = points * np.divide(penalty, slope, out=np.ones(len(points)), where=slope > penalty)[:, None]
    missed = times(heads, weights) - targets
    primal = 0.5 * (missed**2).sum(axis=-1) + penalty * np.abs(weights).sum(axis=-1)
    dual = 0.5 * (targets**2).sum(axis=-1) - 0.5 * ((targets - points) ** 2).sum(axis=-1)
    return np.abs(primal - dual) / (0.5 * length(targets) ** 2), points


def homotopy(heads: Floats, targets: Floats, regularization: Floats, count: int) -> tuple[Floats, Floats, Ints]:
    """Weights, dual points and steps of `count` items, on all cores."""
    limit = 20 * (heads.shape[-1] + heads.shape[-2])  # paths of a generic problem have about 2 min(k, M) changes

    def work(part: slice) -> Any:
        columns, goals, levels = (part_of(array, part).view() for array in (heads, targets, regularization))
        return paths(columns, goals, levels, part.stop - part.start, limit)

    weights, points, steps = (np.concatenate(found) for found in zip(*on_threads(work, count), strict=True))
    return weights, points, steps


def paths(
    heads: Floats, targets: Floats, regularization: Floats, count: int, limit: int
) -> tuple[Floats, Floats, Ints]:
    """The same on this thread, with at most `limit` changes of the active set an item."""
    from pessimism.tasks._engine import lasso_kernels

    for array in (heads, targets, regularization):
        array.setflags(write=False)  # always: the kernel would be compiled anew for arrays that are not
    k, n_tasks = heads.shape[-2:]
    weights, duals, steps = np.empty((count, n_tasks)), np.empty((count, k)), np.empty(count, np.int64)
    factors = np.empty((k + 1, k)), np.empty((k + 1, k + 1)), np.empty((7, k + 1))
    lists = np.empty((2, n_tasks)), np.empty(k + 1), np.empty((3, max(k + 1, n_tasks)), np.int64)
    lasso_kernels.homotopy(heads, targets, regularization, limit, weights, duals, steps, *factors, *lists)
    return weights, duals, steps


def without_ties(heads: Floats, targets: Floats, regularization: Floats, count: int) -> tuple[Floats, Floats, Ints]:
    """The same for columns shrunk by different tiny amounts, which change the optimum by about as much."""
    shrink = 1.0 - UNTIE * np.modf(np.arange(1, heads.shape[-1] + 1) * 0.6180339887498949)[0]
    return homotopy(heads * shrink, targets, regularization, count)


def conic(heads: Floats, targets: Floats, regularization: Floats, count: int) -> tuple[Floats, Floats, Ints]:
    """The same by an interior-point method, item by item, with the weights computed again on the support it finds."""
    import cvxpy as cp
    from cvxpy.atoms.norm1 import norm1
    from cvxpy.atoms.sum_squares import sum_squares

    size, n_tasks = heads.shape[1:]
    a, level = cp.Variable(n_tasks), cp.Parameter(nonneg=True)
    matrix, vector = cp.Parameter((size, n_tasks)), cp.Parameter(size)
    program = cp.Problem(cp.Minimize(0.5 * sum_squares(matrix @ a - vector) + level * norm1(a)))
    weights, points, steps = np.zeros((count, n_tasks)), np.zeros((count, size)), np.zeros(count, np.int64)
    for i in range(count):
        columns, goal, part = heads[i % len(heads)], targets[i % len(targets)], regularization[i % len(regularization)]
        matrix.value, vector.value, level.value = columns, goal, part * np.abs(columns.T @ goal).max()
        answer = _conic_answer(program, a)
        candidates = [_on_support(columns, goal, level.value, answer), answer]  # of two as good, that with zeros
        residuals = np.stack([goal - columns @ candidate for candidate in candidates])
        gaps, _ = certify(columns[None], goal[None], np.array([part]), np.stack(candidates), residuals)
        best = 0 if gaps[0] <= max(gaps[1], ROUNDING) else 1
        weights[i], points[i] = candidates[best], residuals[best]
        steps[i] = program.solver_stats.num_iters if program.solver_stats and program.solver_stats.num_iters else 0
    return weights, points, steps


def _conic_answer(program: Any, variable: Any) -> Floats:
    """The solver's answer, whatever its status: the certificate decides. 0 if there is none."""
    import warnings

    import cvxpy as cp

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "solution may be inaccurate"
        try:
            program.solve(solver=cp.CLARABEL, **TIGHT)
        except cp.SolverError:
            variable.value = None
    return np.zeros(variable.shape) if variable.value is None else np.asarray(variable.value)


def _on_support(columns: Floats, goal: Floats, penalty: float, answer: Floats) -> Floats:
    """The optimum with the support S and the signs s of an answer: W_S'(w - W_S a) = penalty s."""
    used: NDArray[np.intp] = np.flatnonzero(np.abs(answer) > 1e-8 * np.abs(answer).max())
    polished = np.zeros_like(answer)
    rows, factor = np.linalg.qr(columns[:, used])
    if used.size <= len(goal) and np.linalg.matrix_rank(factor) == used.size:
        pull = np.linalg.solve(factor.T, np.sign(answer[used]))
        polished[used] = np.linalg.solve(factor, rows.T @ goal - penalty * pull)
    return polished
