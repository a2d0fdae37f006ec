r"""Top-s selection: rows in proportion to the s largest entries of the relevance of the Lasso.

With the :math:`\hat\nu` of `l1_a_mtrl` and the set S of its s largest entries by absolute value, a phase after the
first buys of source task m

.. math:: n_m = \max(c\,|\hat\nu_m| 1\{m \in S\}, N_{\min}),

with c such that the total is the budget of the phase. The first phase is divided evenly.
"""

from collections.abc import Sequence
from functools import partial

from pessimism import _check
from pessimism._types import Rng
from pessimism.tasks.allocation import allocate, keep_largest
from pessimism.tasks.data import TaskData
from pessimism.tasks.relevance import lasso
from pessimism.tasks.rules._buying import Phases, limits
from pessimism.tasks.runs import ActiveRun, Source

__all__ = ["top_s"]


def top_s(
    source: Source,
    target: TaskData,
    *,
    k: int,
    budgets: Sequence[int],
    floor: int,
    s: int,
    regularization: float = 1e-2,
    pooled: bool = True,
    ridge: float = 0.0,
    rng: Rng = None,
) -> ActiveRun:
    """Buy as `l1_a_mtrl` does, but beyond the floor from the s most relevant tasks only.

    Parameters
    ----------
    source : Source
        The source tasks.
    target : TaskData
        Rows of the target, one task: at least k of them unless there is a ridge; its batch is the batch of runs.
    k : int
        Columns of the representation.
    budgets : sequence of int
        Rows of every phase; the first is divided evenly.
    floor : int
        Least rows of every task in every phase, part of the budgets; at least 1. A task with fewer rows left gives
        them all.
    s : int
        Tasks to select, in {1, ..., M}.
    regularization : float
        As in `l1_a_mtrl`.
    pooled : bool
        Whether to fit to the rows of all phases so far (default) or to those of the last phase alone.
    ridge : float
        As in `fit_representation`, for the sources and for the target, at least 0.
    rng : Generator, SeedSequence or int, optional
        Source of randomness (SPEC 7).

    Returns
    -------
    ActiveRun
        With the `relevances` before the selection. In the phases after the first at most s tasks have more than the
        floor.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, k above the number of tasks, or a budget below the floors: before anything
        is bought.
    ConvergenceError
        If a fit did not end or an answer of the Lasso could not be certified.

    See Also
    --------
    pessimism.tasks.rules.random_s.random_s : The baseline that selects s tasks at random.

    Notes
    -----
    Source: the public experiment code of Wang et al. (2023) has this variant.

    Examples
    --------
    >>> import numpy as np
    >>> from pessimism.tasks import LinearTasks
    >>> tasks = LinearTasks(np.eye(9, 2), heads=[[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]], target=[1.0, 0.5])
    >>> run = top_s(tasks, tasks.sample_target(50, rng=0), k=2, budgets=[300, 600], floor=20, s=1, rng=1)
    >>> sorted(run.allocations[1].tolist())
    [20, 20, 560]
    """
    part = _check.scalar("regularization", regularization, lambda x: 0.0 < x <= 1.0, "in (0, 1]")
    run = Phases(source, target, k=k, budgets=budgets, floor=floor, pooled=pooled, ridge=ridge, rng=rng)
    kept = _check.whole("s", s, low=1, high=source.n_tasks)
    for budget in run.budgets:
        nu = run.relevance(partial(lasso, regularization=part))
        if run.relevances:
            nu = keep_largest(nu, kept)
        run.buy(allocate(nu, budget, **limits(source, run.floor)))
    return run.decision()
