r"""Fixed allocation: rows as they are given, :math:`n_1, \dots, n_M`, and least squares summed over them."""

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Rng
from pessimism.tasks._arguments import sampled
from pessimism.tasks.data import TaskData
from pessimism.tasks.representation import _fitted
from pessimism.tasks.rules._buying import Outcome, check_dimension, check_run, decision
from pessimism.tasks.runs import ActiveRun, Source

__all__ = ["fixed"]


def fixed(source: Source, target: TaskData, *, k: int, n: ArrayLike, ridge: float = 0.0, rng: Rng = None) -> ActiveRun:
    """Buy given numbers of rows, and fit.

    Parameters
    ----------
    source : Source
        The source tasks.
    target : TaskData
        Rows of the target, one task: at least k of them unless there is a ridge; its batch is the batch of runs.
    k : int
        Columns of the representation.
    n : (..., M) array_like of int
        Rows of every task, positive for at least k of them. `allocate` makes them from a relevance or from the shares
        of a design; without a floor there may be too few such tasks.
    ridge : float
        As in `fit_representation`, for the sources and for the target, at least 0.
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
        If the fit did not end; in a batch of runs such a run has a status and NaN, and there is one warning.

    See Also
    --------
    pessimism.tasks.model.LinearTasks.predicted_risk : Leading order of its risk.
    pessimism.tasks.designs.c_optimal : Optimal shares.
    simulations.task_dominance : Simulation of the rules that it stands for, with known relevance.

    Examples
    --------
    >>> from pessimism.tasks import LinearTasks
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
    outcome = Outcome(batch[:-1])
    fit, good, message = _fitted(data, k, ridge=ridge)
    outcome.add(fit, good, message, fit.status)
    return decision(source, target, fit.basis, fit, data.counts[..., None, :], outcome, ridge=ridge)
