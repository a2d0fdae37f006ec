r"""Method of moments: given numbers of rows, and the leading eigenvectors of :math:`\sum_i y_i^2 x_i x_i^\top / N`."""

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._status import Status
from pessimism._types import Rng
from pessimism.tasks._arguments import sampled
from pessimism.tasks.data import TaskData
from pessimism.tasks.model import LinearTasks
from pessimism.tasks.representation import moment_representation
from pessimism.tasks.rules._buying import Outcome, check_dimension, check_run, decision
from pessimism.tasks.runs import ActiveRun

__all__ = ["method_moments"]


def method_moments(source: LinearTasks, target: TaskData, *, k: int, n: ArrayLike, rng: Rng = None) -> ActiveRun:
    """Buy given numbers of rows, and take the representation from moments in place of least squares.

    Parameters
    ----------
    source : LinearTasks
        The source tasks, or any source with a method `sample_rows` like theirs.
    target, k : as in `fixed`
        See there.
    n : int or (M,) array_like of int
        Rows of every task, positive for at least k of them.
    rng : as in `fixed`
        See there, also for what is raised.

    Returns
    -------
    ActiveRun
        Without a fit.

    See Also
    --------
    pessimism.tasks.representation.moment_representation : The estimator, applied to all rows together.

    Notes
    -----
    Source: Tripuraneni, Jin, Jordan (2021). Every row is drawn: O(N d) memory and O(N d^2) time a run.

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
    counts = _check.whole_array("n", n, high=_check.MAX_COUNT)
    if counts.shape not in ((), (source.n_tasks,)):
        raise ValueError(f"n must have shape ({source.n_tasks},), an entry for each task, got {counts.shape}")
    rows = np.broadcast_to(counts, (*target.shape, 1, source.n_tasks))
    sampled("n", rows[..., 0, :], int(k), target.dimension)
    generator = _check.generator(rng)
    bases = np.empty((*target.shape, target.dimension, int(k)))
    for run in np.ndindex(target.shape):
        inputs, outputs, _ = source.sample_rows(n, rng=generator)
        check_dimension(target, inputs.shape[1])
        bases[run] = moment_representation(inputs, outputs, k)
    return decision(source, target, bases, None, np.array(rows), Outcome(target.shape, Status.EXACT))
