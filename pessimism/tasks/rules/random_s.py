r"""Random selection: :math:`n_m = \max(c\,1\{m \in S\}, N_{\min})` rows, S a set of s tasks drawn at random."""

from pessimism import _check
from pessimism._types import Rng
from pessimism.tasks.allocation import allocate
from pessimism.tasks.data import TaskData
from pessimism.tasks.rules._buying import check_run, limits
from pessimism.tasks.rules.fixed import fixed
from pessimism.tasks.runs import ActiveRun, Source

__all__ = ["random_s"]


def random_s(
    source: Source, target: TaskData, *, k: int, budget: int, floor: int, s: int, ridge: float = 0.0, rng: Rng = None
) -> ActiveRun:
    """Buy the floor of every task, beyond it equal numbers of s tasks drawn at random, and fit.

    Parameters
    ----------
    source, target, k : as in `fixed`
        See there, also for what is raised.
    budget : int
        Rows of all tasks together.
    floor : int
        Least rows of every task, part of the budget. A task with fewer rows left gives them all.
    s : int
        Tasks to draw, in {1, ..., M}, independently for every run of the batch.
    ridge : float
        As in `fixed`.
    rng : Generator, SeedSequence or int, optional
        Source of randomness (SPEC 7): the choices first, then the rows.

    Returns
    -------
    ActiveRun
        With one phase and no relevance.

    See Also
    --------
    pessimism.tasks.rules.top_s.top_s : The rule whose baseline it is, with the same total of rows.

    Examples
    --------
    >>> import numpy as np
    >>> from pessimism.tasks import LinearTasks
    >>> tasks = LinearTasks(np.eye(9, 2), heads=[[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]], target=[1.0, 0.0])
    >>> run = random_s(tasks, tasks.sample_target(50, rng=0), k=2, budget=300, floor=20, s=1, rng=1)
    >>> sorted(run.allocations[0].tolist())
    [20, 20, 260]
    """
    check_run(source, target, k, ridge)
    chosen = _check.whole("s", s, low=1, high=source.n_tasks)
    generator = _check.generator(rng)
    order = generator.random((*target.shape, source.n_tasks)).argsort(axis=-1)
    least, total = _check.whole("floor", floor), _check.whole("budget", budget, low=1)
    n = allocate((order < chosen).astype(float), total, **limits(source, least))
    return fixed(source, target, k=k, n=n, ridge=ridge, rng=generator)
