r"""P-MTRL, passive multi-task representation learning: :math:`n_m = N/M` rows of every task, and least squares."""

import numpy as np

from pessimism import _check
from pessimism._types import Rng
from pessimism.tasks.allocation import allocate
from pessimism.tasks.data import TaskData
from pessimism.tasks.rules._buying import check_run
from pessimism.tasks.rules.fixed import fixed
from pessimism.tasks.runs import ActiveRun, Source

__all__ = ["passive"]


def passive(source: Source, target: TaskData, *, k: int, budget: int, ridge: float = 0.0, rng: Rng = None) -> ActiveRun:
    r"""Buy equal numbers of rows of every task, and fit.

    Parameters
    ----------
    source, target, k : as in `fixed`
        See there.
    budget : int
        Rows of all tasks together.
    ridge, rng : as in `fixed`
        See there, also for what is raised.

    Returns
    -------
    ActiveRun
        With one phase and no relevance.

    See Also
    --------
    pessimism.tasks.bounds.uniform_risk : Leading order of its source term.
    pessimism.tasks.bounds.passive_order : The order of the paper's rate.

    Notes
    -----
    Source: the estimator of Du, Hu, Kakade, Lee, Lei (2021), arXiv:2002.09434, whose risk is of order
    :math:`dk/(n_1 M) + k/n_T` with :math:`n_1` rows a task.

    Examples
    --------
    >>> from pessimism.tasks import LinearTasks
    >>> tasks = LinearTasks(np.eye(9, 2), heads=np.eye(2), target=[1.0, 0.0])
    >>> passive(tasks, tasks.sample_target(50, rng=0), k=2, budget=1001, rng=1).allocations.tolist()
    [[501, 500]]
    """
    check_run(source, target, k, ridge)
    total, caps = _check.whole("budget", budget, low=1), getattr(source, "caps", None)
    if total < (least := k if k < target.dimension else 1):
        raise ValueError(f"budget must be at least {least}, or a part of the representation is arbitrary, got {total}")
    n = allocate(np.ones(source.n_tasks), total, caps=caps)
    return fixed(source, target, k=k, n=n, ridge=ridge, rng=rng)
