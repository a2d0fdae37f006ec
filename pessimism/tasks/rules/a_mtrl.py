r"""A-MTRL, active multi-task representation learning: rows in proportion to the squared minimum-norm relevance.

With heads :math:`\hat W` and :math:`\hat w` fitted to the rows of the phases so far, a phase buys of source task m

.. math:: n_m = \max(c\,\hat\nu_m^2, N_{\min}), \qquad
    \hat\nu = \arg\min\{\|\nu\|_2 : \hat W\nu = \hat w\},

with c such that the total is the budget of the phase (`budgets`) and :math:`N_{\min}` the `floor`. The first phase is
divided evenly.
"""

from collections.abc import Sequence
from functools import partial

from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Rng
from pessimism.tasks.allocation import allocate
from pessimism.tasks.data import TaskData
from pessimism.tasks.relevance import Relevance, _shortest
from pessimism.tasks.rules._buying import Phases, limits
from pessimism.tasks.runs import ActiveRun, Source

__all__ = ["a_mtrl"]


def a_mtrl(
    source: Source,
    target: TaskData,
    *,
    k: int,
    budgets: Sequence[int],
    floor: int,
    relevance: Relevance | ArrayLike | None = None,
    power: float = 2.0,
    pooled: bool = True,
    ridge: float = 0.0,
    rng: Rng = None,
) -> ActiveRun:
    r"""Buy rows in proportion to the squared minimum-norm relevance.

    Parameters
    ----------
    source : Source
        The source tasks.
    target : TaskData
        Rows of the target, one task: at least k of them unless there is a ridge; its batch is the batch of runs.
    k : int
        Columns of the representation.
    budgets : sequence of int
        Rows of every phase; the first is divided evenly, unless the relevance is given. See `phase_budgets`.
    floor : int
        Least rows of every task in every phase, part of the budgets; at least 1. A task with fewer rows left gives
        them all.
    relevance : Relevance or (..., M) array_like of float, optional
        :math:`\nu`, if it is known: every phase is then divided by it. Default: estimated before each phase but the
        first.
    power : float
        Exponent q of the relevance, at least 0: 2 for A-MTRL, 1 for the ablation that does not square.
    pooled : bool
        Whether to fit to the rows of all phases so far (default) or to those of the last phase alone.
    ridge : float
        As in `fit_representation`, for the sources and for the target, at least 0.
    rng : Generator, SeedSequence or int, optional
        Source of randomness (SPEC 7).

    Returns
    -------
    ActiveRun
        With the `relevances` by which the phases after the first were divided.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, k above the number of tasks, or a budget below the floors: before anything
        is bought.
    ConvergenceError
        If a fit did not end, or the fitted heads are nearly dependent so that their relevance cannot be certified; in a
        batch of runs such a run has a status and NaN, and there is one warning.

    See Also
    --------
    pessimism.tasks.bounds.l2_bound : Bound on its source term where the relevance is known.
    pessimism.tasks.bounds.a_mtrl_order : The order of the paper's rate.
    simulations.task_exploration : Simulation of what exploration costs it.

    Notes
    -----
    Source: Chen, Du, Jamieson (2022), arXiv:2202.00911. The phases have given budgets in place of the paper's
    accuracies :math:`\epsilon_i`, whose constants we have not verified. Every phase buys fresh rows, pooled or not.

    Examples
    --------
    >>> import numpy as np
    >>> from pessimism.tasks import LinearTasks
    >>> tasks = LinearTasks(np.eye(9, 2), heads=[[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]], target=[1.0, 0.0])
    >>> run = a_mtrl(tasks, tasks.sample_target(50, rng=0), k=2, budgets=[300, 600], floor=20, rng=1)
    >>> run.allocations.sum(axis=-1).tolist(), run.allocations[0].tolist()
    ([300, 600], [100, 100, 100])
    """
    exponent = _check.nonnegative("power", power)
    run = Phases(source, target, k, budgets, floor, pooled, ridge, rng, relevance)
    for budget in run.budgets:
        run.buy(
            allocate(
                run.relevance(partial(_shortest, within=False)), budget, power=exponent, **limits(source, run.floor)
            )
        )
    return run.decision()
