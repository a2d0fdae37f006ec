r"""L1-A-MTRL: rows in proportion to the relevance of the Lasso.

With heads :math:`\hat W` and :math:`\hat w` fitted to the rows of the phases so far, a phase buys of source task m

.. math:: n_m = \max(c\,|\hat\nu_m|, N_{\min}), \qquad
    \hat\nu = \arg\min_\nu \tfrac12\|\hat W\nu - \hat w\|_2^2 + \lambda\|\nu\|_1,

with c such that the total is the budget of the phase (`budgets`), :math:`N_{\min}` the `floor` and
:math:`\lambda = r \|\hat W^\top \hat w\|_\infty`, r the `regularization`. The first phase is divided evenly.
"""

from collections.abc import Sequence
from functools import partial

from numpy.typing import ArrayLike

from pessimism._types import Rng
from pessimism.tasks.allocation import allocate
from pessimism.tasks.data import TaskData
from pessimism.tasks.relevance import Relevance, _penalised
from pessimism.tasks.rules._buying import Phases, checked_regularization, limits
from pessimism.tasks.runs import ActiveRun, Source

__all__ = ["l1_a_mtrl"]


def l1_a_mtrl(
    source: Source,
    target: TaskData,
    *,
    k: int,
    budgets: Sequence[int],
    floor: int,
    relevance: Relevance | ArrayLike | None = None,
    regularization: float = 1e-2,
    pooled: bool = True,
    ridge: float = 0.0,
    rng: Rng = None,
) -> ActiveRun:
    r"""Buy rows in proportion to the relevance of the Lasso.

    Parameters
    ----------
    source, target, k, budgets, floor : as in `a_mtrl`
        See there, also for what is raised.
    relevance : Relevance or (..., M) array_like of float, optional
        :math:`\nu`, if it is known (`min_l1` of the true heads): every phase is then divided by it.
    regularization : float
        :math:`\lambda/\lambda_{\max}` of the Lasso, in (0, 1].
    pooled, ridge, rng : as in `a_mtrl`
        See there.

    Returns
    -------
    ActiveRun
        With the `relevances` by which the phases after the first were divided.

    See Also
    --------
    pessimism.tasks.bounds.l1_risk : Leading order of its source term where the relevance is known.
    pessimism.tasks.bounds.l1_a_mtrl_order : The order of the paper's rate.
    pessimism.tasks.instances.spike_and_pairs : Worlds in which it buys much better than `a_mtrl`.
    simulations.task_exploration : Simulation of what exploration costs it.

    Notes
    -----
    Source: Wang, Chen, Jamieson, Du (2023), arXiv:2306.02556; budgets and a relative :math:`\lambda` take the place of
    the paper's constants, which we have not verified. With thin exploration, or hardly more target rows than k, the
    estimate concentrates on wrong tasks, and the risk is above that of `a_mtrl`.

    Examples
    --------
    >>> import numpy as np
    >>> from pessimism.tasks import LinearTasks
    >>> tasks = LinearTasks(np.eye(9, 2), heads=[[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]], target=[1.0, 0.0])
    >>> run = l1_a_mtrl(tasks, tasks.sample_target(50, rng=0), k=2, budgets=[300, 600], floor=20, rng=1)
    >>> bool(run.relevances[0].gap < 1e-8), int(run.allocations[1].argmax())
    (True, 0)
    """
    estimate = partial(_penalised, regularization=checked_regularization(regularization))
    run = Phases(source, target, k, budgets, floor, pooled, ridge, rng, relevance)
    for budget in run.budgets:
        run.buy(allocate(run.relevance(estimate), budget, **limits(source, run.floor)))
    return run.decision()
