r"""Baselines of the active algorithms: they buy rows without looking at any.

==================  ==========================================================================
function            what it buys and fits
==================  ==========================================================================
`passive`           equal numbers of every task; least squares (P-MTRL)
`random_s`          the floor, and equal numbers of s tasks drawn at random; least squares
`fixed`             the numbers it is told, by an optimal design for instance; least squares
`method_moments`    the numbers it is told; fourth moments of raw rows
`target_only`       nothing: ridge regression on the target's rows
==================  ==========================================================================
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats, Rng
from pessimism.tasks._phases import check_dimension, check_run, finished
from pessimism.tasks._shapes import sampled
from pessimism.tasks.allocation import allocate
from pessimism.tasks.data import TaskData
from pessimism.tasks.model import LinearTasks
from pessimism.tasks.representation import fit_representation, moment_representation
from pessimism.tasks.runs import ActiveRun, Source


def fixed(source: Source, target: TaskData, *, k: int, n: ArrayLike, ridge: float = 0.0, rng: Rng = None) -> ActiveRun:
    """Buy what one is told, and fit.

    Parameters
    ----------
    source : Source
        The source tasks.
    target : TaskData
        Rows of the target, one task with k rows at least; its batch is the batch of runs.
    k : int
        Columns of the representation.
    n : (..., M) array_like of int
        Rows of every task, more than 0 of k tasks at least: `allocate` makes them from a relevance or from the shares
        of a design; without a floor it may buy too few tasks.
    ridge : float
        As in `fit_representation`, for the sources and for the target; for real tasks.
    rng : Generator, SeedSequence or int, optional
        Source of randomness (SPEC 7).

    Returns
    -------
    ActiveRun
        With one phase and no relevance.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, or fewer than k tasks get rows: before anything is bought.
    ConvergenceError
        If the fit did not end.

    Examples
    --------
    >>> tasks = LinearTasks(np.eye(9, 2), heads=np.eye(2), target=[1.0, 0.0])
    >>> fixed(tasks, tasks.sample_target(50, rng=0), k=2, n=[900, 100], rng=1).allocations.tolist()
    [[900, 100]]
    """
    check_run(source, target, k, ridge)
    rows = _check.whole_array("n", n)
    if rows.ndim < 1 or rows.shape[-1] != source.n_tasks:
        raise ValueError(f"n must have shape (..., {source.n_tasks}), an entry for each task, got {rows.shape}")
    batch = _check.broadcast("n and target", rows.shape, (*target.shape, source.n_tasks))
    sampled("n", rows, int(k), target.dimension)
    data = source.sample(np.array(np.broadcast_to(rows, batch)), rng=rng)
    check_dimension(target, data.dimension)
    fit = fit_representation(data, k, ridge=ridge)
    return finished(source, target, fit.basis, fit, data.counts[..., None, :], ridge=ridge)


def passive(source: Source, target: TaskData, *, k: int, budget: int, ridge: float = 0.0, rng: Rng = None) -> ActiveRun:
    r"""P-MTRL: buy equal numbers of every task.

    Parameters
    ----------
    source : Source
        The source tasks.
    target : TaskData
        Rows of the target, one task with k rows at least; its batch is the batch of runs.
    k : int
        Columns of the representation.
    budget : int
        Rows of all tasks together.
    ridge : float
        As in `fit_representation`, for the sources and for the target; for real tasks.
    rng : Generator, SeedSequence or int, optional
        Source of randomness (SPEC 7).

    Returns
    -------
    ActiveRun
        With one phase and no relevance.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, or fewer than k tasks get rows: before anything is bought.
    ConvergenceError
        If the fit did not end.

    Notes
    -----
    The estimator of Du, Hu, Kakade, Lee, Lei (2021), whose risk is of order
    :math:`dk/(n_1 M) + k/n_T` with :math:`n_1` rows a task.

    Examples
    --------
    >>> tasks = LinearTasks(np.eye(9, 2), heads=np.eye(2), target=[1.0, 0.0])
    >>> passive(tasks, tasks.sample_target(50, rng=0), k=2, budget=1001, rng=1).allocations.tolist()
    [[501, 500]]
    """
    check_run(source, target, k, ridge)
    capacity = getattr(source, "caps", None)
    n = allocate(np.ones(source.n_tasks), _check.whole("budget", budget, low=1), caps=capacity)
    return fixed(source, target, k=k, n=n, ridge=ridge, rng=rng)


def random_s(
    source: Source, target: TaskData, *, k: int, budget: int, floor: int, s: int, ridge: float = 0.0, rng: Rng = None
) -> ActiveRun:
    """Buy the floor of every task, and beyond it equal numbers of s tasks drawn at random.

    Parameters
    ----------
    source : Source
        The source tasks.
    target : TaskData
        Rows of the target, one task with k rows at least; its batch is the batch of runs.
    k : int
        Columns of the representation.
    budget : int
        Rows of all tasks together.
    floor : int
        Least rows of every task, inside the budget.
    s : int
        Tasks to draw, in {1, ..., M}; anew for every run of the batch.
    ridge : float
        As in `fit_representation`, for the sources and for the target; for real tasks.
    rng : Generator, SeedSequence or int, optional
        Source of randomness (SPEC 7): the choices first, then the rows.

    Returns
    -------
    ActiveRun
        With one phase and no relevance.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, the budget is below the floors, or fewer than k tasks get rows.
    ConvergenceError
        If the fit did not end.

    Notes
    -----
    The baseline of `top_s` at the same total.

    Examples
    --------
    >>> tasks = LinearTasks(np.eye(9, 2), heads=[[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]], target=[1.0, 0.0])
    >>> run = random_s(tasks, tasks.sample_target(50, rng=0), k=2, budget=300, floor=20, s=1, rng=1)
    >>> sorted(run.allocations[0].tolist())
    [20, 20, 260]
    """
    check_run(source, target, k, ridge)
    chosen = _check.whole("s", s, low=1, high=source.n_tasks)
    generator = np.random.default_rng(rng)
    order = generator.random((*target.shape, source.n_tasks)).argsort(axis=-1)
    caps = getattr(source, "caps", None)
    least = _check.whole("floor", floor)
    bounds: dict[str, Any] = {
        "floor": least if caps is None else np.minimum(least, caps),
        "caps": caps,
    }  # what is nearly sold out
    n = allocate((order < chosen).astype(float), _check.whole("budget", budget, low=1), **bounds)
    return fixed(source, target, k=k, n=n, ridge=ridge, rng=generator)


def method_moments(source: LinearTasks, target: TaskData, *, k: int, n: ArrayLike, rng: Rng = None) -> ActiveRun:
    """Buy what one is told, and take the representation from moments in place of least squares.

    Parameters
    ----------
    source : LinearTasks
        The source tasks, or anything with `n_tasks`, `sample` and the same `sample_rows`.
    target : TaskData
        Rows of the target, one task with k rows at least; its batch is the batch of runs.
    k : int
        Columns of the representation.
    n : int or (M,) array_like of int
        Rows of every task; of k tasks at least, more than 0.
    rng : Generator, SeedSequence or int, optional
        Source of randomness (SPEC 7).

    Returns
    -------
    ActiveRun
        Without a fit.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, or fewer than k tasks get rows: before anything is bought.

    Notes
    -----
    `moment_representation` on all rows together. Source: Tripuraneni, Jin, Jordan (2021). Draws every row:
    O(N d) memory and O(N d^2) time a run.

    Examples
    --------
    >>> tasks = LinearTasks(np.eye(9, 2), heads=np.eye(2), target=[1.0, 0.0])
    >>> run = method_moments(tasks, tasks.sample_target(50, rng=0), k=2, n=[500, 500], rng=1)
    >>> run.representation is None, run.coefficients.shape
    (True, (9,))
    """
    check_run(source, target, k)
    if not hasattr(source, "sample_rows"):
        raise TypeError(f"source must have sample_rows, as LinearTasks has, got {type(source)}")
    counts = _check.whole_array("n", n)
    if counts.shape not in ((), (source.n_tasks,)):
        raise ValueError(f"n must have shape ({source.n_tasks},), an entry for each task, got {counts.shape}")
    rows = np.broadcast_to(counts, (*target.shape, 1, source.n_tasks))
    sampled("n", rows[..., 0, :], int(k), target.dimension)
    generator = np.random.default_rng(rng)
    bases = np.empty((*target.shape, target.dimension, int(k)))
    for run in np.ndindex(target.shape):
        inputs, outputs, _ = source.sample_rows(n, rng=generator)
        check_dimension(target, inputs.shape[1])
        bases[run] = moment_representation(inputs, outputs, k)
    return finished(source, target, bases, None, np.array(rows))


def target_only(source: Source, target: TaskData, *, ridge: float = 0.0) -> ActiveRun:
    r"""Buy nothing: ridge regression on the target's own rows.

    Parameters
    ----------
    source : Source
        Only counts its tasks and values the decision.
    target : TaskData
        Rows of the target, one task; its batch is the batch of runs.
    ridge : float
        At least 0. At 0 it is least squares, of minimum norm if there are fewer rows than entries.

    Returns
    -------
    ActiveRun
        Without a fit and without phases.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    Notes
    -----
    For Gaussian rows and no ridge the expected excess risk is :math:`\sigma^2 d/(n_T - d - 1)` if
    :math:`n_T \ge d + 2`. Cost O(d^3).

    Examples
    --------
    >>> tasks = LinearTasks(np.eye(3, 1), heads=[[1.0]], target=[1.0], noise=0.0)
    >>> (target_only(tasks, tasks.sample_target(9, rng=0)).coefficients.round(9) + 0.0).tolist()  # no -0.0
    [1.0, 0.0, 0.0]
    """
    check_run(source, target, ridge=ridge)
    gram, moment = target.grams[..., 0, :, :], target.moments[..., 0, :, None]
    # with a ridge nothing is cut off: its eigenvalues are at least the ridge
    inverse = np.linalg.pinv(gram + ridge * np.eye(target.dimension), rcond=1e-12, hermitian=True)
    coefficients: Floats = (inverse @ moment)[..., 0]
    allocations = np.zeros((*target.shape, 0, source.n_tasks), np.int64)
    risk = source.risk(coefficients) if hasattr(source, "risk") else None
    return ActiveRun(coefficients, None, allocations, (), risk)
