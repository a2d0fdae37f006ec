"""Lasso answers with their certificates: homotopy, the same with its ties broken, and a conic program at the last.

Items of a batch are one leading axis. The penalty is l = regularization * max |W'w|; a dual point y is feasible if
max |W'y| <= l, and proves the gap 1/2 |Wa - w|^2 + l |a|_1 - 1/2 |w|^2 + 1/2 |w - y|^2.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pessimism._batch import items, on_threads, part_of
from pessimism._types import Floats, Ints

UNTIE = 1e-11
"""How much columns are shrunk, each by its own amount, where changes of the active set coincide."""

TIGHT = {"tol_gap_abs": 1e-14, "tol_gap_rel": 1e-14, "tol_feas": 1e-14, "max_iter": 500}
"""What is asked of the conic solver: all it can give, since its answer is polished and checked by us."""

ROUNDING = 1e-12
"""Gaps below are differences of rounded numbers, and none is better than another."""


def times(matrix: Floats, vector: Floats) -> Floats:
    """Matrices (..., m, n) times vectors (..., n)."""
    return np.asarray((matrix @ vector[..., None])[..., 0])


def length(vector: Floats) -> Floats:
    """Euclidean norm; 1 for the vector 0, by which it may be divided."""
    norm = np.linalg.norm(vector, axis=-1)
    return np.asarray(np.where(norm > 0, norm, 1.0))


def solve(
    heads: Floats, target: Floats, regularization: Floats, batch: tuple[int, ...], tolerance: float
) -> tuple[Floats, Floats, Floats, Ints]:
    """Weights, feasible dual points, relative gaps and steps of a batch, flat; gaps may be above the tolerance."""
    count = int(np.prod(batch))
    problem = items(heads, batch, 2), items(target, batch, 1), items(regularization, batch, 0)
    weights, points, steps = homotopy(*problem, count)
    gaps, points = certify(*problem, weights, points)
    for engine in (without_ties, conic):
        bad = np.flatnonzero(~(gaps <= tolerance))
        if bad.size:
            some = tuple(array if len(array) == 1 else array[bad] for array in problem)
            left = some[0], some[1], some[2]
            found, duals, spent = engine(*left, bad.size)
            better, duals = certify(*left, found, duals)
            gain = better < np.where(np.isnan(gaps[bad]), np.inf, gaps[bad])
            changed = bad[gain]
            weights[changed], points[changed] = found[gain], duals[gain]
            gaps[changed], steps[changed] = better[gain], spent[gain]
    return weights, points, gaps, steps


def certify(
    heads: Floats, targets: Floats, regularization: Floats, weights: Floats, points: Floats
) -> tuple[Floats, Floats]:
    """Gaps, relative to half the squared length of the targets, of weights and of dual points scaled to be feasible."""
    back = np.swapaxes(heads, -1, -2)
    penalty = regularization * np.abs(times(back, targets)).max(axis=-1)
    slope = np.abs(times(back, points)).max(axis=-1)
    points = points * np.divide(penalty, slope, out=np.ones(len(points)), where=slope > penalty)[:, None]
    missed = times(heads, weights) - targets
    primal = 0.5 * (missed**2).sum(axis=-1) + penalty * np.abs(weights).sum(axis=-1)
    dual = 0.5 * (targets**2).sum(axis=-1) - 0.5 * ((targets - points) ** 2).sum(axis=-1)
    return np.abs(primal - dual) / (0.5 * length(targets) ** 2), points


def homotopy(heads: Floats, targets: Floats, regularization: Floats, count: int) -> tuple[Floats, Floats, Ints]:
    """Weights, dual points and steps of `count` items, on all cores."""
    from pessimism.tasks import _lasso_kernels

    limit = 20 * (heads.shape[-1] + heads.shape[-2])  # paths of a generic problem have about 2 min(k, M) changes

    def work(part: slice) -> Any:
        arrays = [part_of(array, part).view() for array in (heads, targets, regularization)]
        for array in arrays:
            array.setflags(write=False)  # always, since the kernel is compiled anew for arrays that are not
        return _lasso_kernels.solve_many(arrays[0], arrays[1], arrays[2], part.stop - part.start, limit)

    weights, points, steps = (np.concatenate(found) for found in zip(*on_threads(work, count), strict=True))
    return weights, points, steps


def without_ties(heads: Floats, targets: Floats, regularization: Floats, count: int) -> tuple[Floats, Floats, Ints]:
    """The same for columns shrunk by different tiny amounts: their optimum is ours up to those amounts."""
    shrink = 1.0 - UNTIE * np.modf(np.arange(1, heads.shape[-1] + 1) * 0.6180339887498949)[0]
    return homotopy(heads * shrink, targets, regularization, count)


def conic(heads: Floats, targets: Floats, regularization: Floats, count: int) -> tuple[Floats, Floats, Ints]:
    """The same by an interior point method, one item after the other, solved for again on the support it finds."""
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
    """What the solver says, whatever it says of it: the certificate decides."""
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
    """Optimum for the support and the signs of an answer: W_S'(w - W_S a) = penalty s."""
    used: NDArray[np.intp] = np.flatnonzero(np.abs(answer) > 1e-8 * np.abs(answer).max())
    polished = np.zeros_like(answer)
    rows, factor = np.linalg.qr(columns[:, used])
    if used.size <= len(goal) and np.linalg.matrix_rank(factor) == used.size:
        pull = np.linalg.solve(factor.T, np.sign(answer[used]))
        polished[used] = np.linalg.solve(factor, rows.T @ goal - penalty * pull)
    return polished
