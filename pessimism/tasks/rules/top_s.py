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
from pessimism.tasks.relevance import _penalised
from pessimism.tasks.rules._buying import Phases, checked_regularization, limits
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
    source, target, k, budgets, floor : as in `a_mtrl`
        See there, also for what is raised.
    s : int
        Tasks to select, in {1, ..., M}.
    regularization : float
        As in `l1_a_mtrl`.
    pooled, ridge, rng : as in `a_mtrl`
        See there.

    Returns
    -------
    ActiveRun
        With the `relevances` before the selection. In the phases after the first at most s tasks have more than the
        floor.

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
    estimate = partial(_penalised, regularization=checked_regularization(regularization))
    run = Phases(source, target, k, budgets, floor, pooled, ridge, rng)
    kept = _check.whole("s", s, low=1, high=source.n_tasks)
    for budget in run.budgets:
        nu = run.relevance(estimate)
        if run.relevances:
            nu = keep_largest(nu, kept)
        run.buy(allocate(nu, budget, **limits(source, run.floor)))
    return run.decision()
