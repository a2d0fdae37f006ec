r"""Active algorithms: they learn how many rows to buy from each source task.

Every one buys rows in phases, fits the representation to them (least squares summed over rows), and the target's head
on it to the few target rows there are. Between phases these estimate the relevance :math:`\hat\nu` from the
fitted heads, :math:`\hat W\hat\nu \approx \hat w`, and divide the next budget by it:

=============  ==============================  =============================================
function       relevance                       rows of the next phase
=============  ==============================  =============================================
`a_mtrl`       minimum norm (or given)         :math:`\propto \hat\nu_m^2`, with a floor
`l1_a_mtrl`    Lasso (or given)                :math:`\propto |\hat\nu_m|`, with a floor
`top_s`        Lasso, its s largest entries    :math:`\propto |\hat\nu_m|`, the floor elsewhere
=============  ==============================  =============================================

A source is anything with `n_tasks` and ``sample(n, rng=) -> TaskData``: a `LinearTasks`, a `TaskPool` of real rows, or
your own; a `caps` attribute limits what can be bought, a `risk` method values the decision. The target's rows are a
`TaskData` of one task; its batch is the batch of runs.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Ints, Rng
from pessimism.tasks._phases import Estimate, in_phases, phases
from pessimism.tasks.allocation import allocate, keep_largest
from pessimism.tasks.data import TaskData
from pessimism.tasks.relevance import Relevance, lasso, min_l2
from pessimism.tasks.runs import ActiveRun, Source


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
    r"""A-MTRL: rows in proportion to the squared minimum-norm relevance.

    Parameters
    ----------
    source : Source
        The source tasks.
    target : TaskData
        Rows of the target, one task, with k rows at least unless there is a ridge; its batch is the batch of runs.
    k : int
        Columns of the representation.
    budgets : sequence of int
        Rows of every phase; the first is divided evenly, unless the relevance is given. See `phase_budgets`.
    floor : int
        Least rows of every task in every phase, inside the budgets; 1 or more. A task of lower cap gives all it has.
    relevance : Relevance or (..., M) array_like of float, optional
        :math:`\nu`, if it is known: every phase is then divided by it. Default: estimated after each phase.
    power : float
        2; with 1 it is the ablation that does not square.
    pooled : bool
        Fit to the rows of all phases so far (default) or to those of the last alone.
    ridge : float
        As in `fit_representation`, for the sources and for the target; for real tasks.
    rng : Generator, SeedSequence or int, optional
        Source of randomness (SPEC 7).

    Returns
    -------
    ActiveRun
        With `relevances` of the phases after the first.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, k above the number of tasks, or a budget below the floors: before anything
        is bought.
    ConvergenceError
        If a fit did not end, or the fitted heads are nearly dependent so that their relevance cannot be certified.

    Notes
    -----
    :math:`n_m = \max(c\,\nu_m^2, N_{\min})`. Source: Chen, Jamieson, Du (2022), arXiv:2202.00911. The phases have given
    budgets in place of the paper's accuracies :math:`\epsilon_i`, whose constants we have not verified; fresh rows in
    every phase, pooled or not.

    Examples
    --------
    >>> import numpy as np
    >>> from pessimism.tasks import LinearTasks
    >>> tasks = LinearTasks(np.eye(9, 2), heads=[[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]], target=[1.0, 0.0])
    >>> run = a_mtrl(tasks, tasks.sample_target(50, rng=0), k=2, budgets=[300, 600], floor=20, rng=1)
    >>> run.allocations.sum(axis=-1).tolist(), run.allocations[0].tolist()
    ([300, 600], [100, 100, 100])
    """

    plan = phases(source, target, k=k, budgets=budgets, floor=floor, pooled=pooled, ridge=ridge)
    exponent = _check.scalar("power", power, lambda x: 0.0 <= x < math.inf, "at least 0 and finite")
    return in_phases(source, target, plan, relevance, min_l2, partial(allocate, power=exponent), rng)


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
    r"""L1-A-MTRL: rows in proportion to the relevance of the Lasso.

    Parameters
    ----------
    source : Source
        The source tasks.
    target : TaskData
        Rows of the target, one task, with k rows at least unless there is a ridge; its batch is the batch of runs.
    k : int
        Columns of the representation.
    budgets : sequence of int
        Rows of every phase; the first is divided evenly, unless the relevance is given. See `phase_budgets`.
    floor : int
        Least rows of every task in every phase, inside the budgets; 1 or more. A task of lower cap gives all it has.
    relevance : Relevance or (..., M) array_like of float, optional
        :math:`\nu`, if it is known (`min_l1` of the true heads): every phase is then divided by it.
    regularization : float
        :math:`\lambda/\lambda_{\max}` of the Lasso, in (0, 1].
    pooled : bool
        Fit to the rows of all phases so far (default) or to those of the last alone.
    ridge : float
        As in `fit_representation`, for the sources and for the target; for real tasks.
    rng : Generator, SeedSequence or int, optional
        Source of randomness (SPEC 7).

    Returns
    -------
    ActiveRun
        With `relevances` of the phases after the first.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, k above the number of tasks, or a budget below the floors: before anything
        is bought.
    ConvergenceError
        If a fit did not end or an answer of the Lasso could not be certified.

    Notes
    -----
    :math:`n_m = \max(c\,|\hat\nu_m|, N_{\min})` with
    :math:`\hat\nu = \arg\min \frac12\|\hat W\nu - \hat w\|^2 + \lambda\|\nu\|_1`. Source: Wang, Chen, Jamieson, Du
    (2023), arXiv:2306.02556; budgets and a relative :math:`\lambda` in place of the paper's constants, which we have
    not verified. With thin exploration, or hardly more target rows than k, the estimate concentrates on wrong tasks
    and loses to `a_mtrl`: see the simulation ``task-exploration``.

    Examples
    --------
    >>> import numpy as np
    >>> from pessimism.tasks import LinearTasks
    >>> tasks = LinearTasks(np.eye(9, 2), heads=[[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]], target=[1.0, 0.0])
    >>> run = l1_a_mtrl(tasks, tasks.sample_target(50, rng=0), k=2, budgets=[300, 600], floor=20, rng=1)
    >>> bool(run.relevances[0].gap < 1e-8), int(run.allocations[1].argmax())
    (True, 0)
    """

    plan = phases(source, target, k=k, budgets=budgets, floor=floor, pooled=pooled, ridge=ridge)
    return in_phases(source, target, plan, relevance, _lasso_at(regularization), allocate, rng)


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
    """`l1_a_mtrl` that buys beyond the floor from the s most relevant tasks only.

    Parameters
    ----------
    source : Source
        The source tasks.
    target : TaskData
        Rows of the target, one task, with k rows at least unless there is a ridge; its batch is the batch of runs.
    k : int
        Columns of the representation.
    budgets : sequence of int
        Rows of every phase; the first is divided evenly.
    floor : int
        Least rows of every task in every phase, inside the budgets; 1 or more. A task of lower cap gives all it has.
    s : int
        Tasks to select, in {1, ..., M}.
    regularization : float
        As in `l1_a_mtrl`.
    pooled : bool
        Fit to the rows of all phases so far (default) or to those of the last alone.
    ridge : float
        As in `fit_representation`, for the sources and for the target; for real tasks.
    rng : Generator, SeedSequence or int, optional
        Source of randomness (SPEC 7).

    Returns
    -------
    ActiveRun
        In later phases all but s tasks at most have exactly the floor.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, k above the number of tasks, or a budget below the floors: before anything
        is bought.
    ConvergenceError
        If a fit did not end or an answer of the Lasso could not be certified.

    Notes
    -----
    The public experiment code of Wang et al. (2023) has this variant; `random_s` is its baseline of the same total.

    Examples
    --------
    >>> import numpy as np
    >>> from pessimism.tasks import LinearTasks
    >>> tasks = LinearTasks(np.eye(9, 2), heads=[[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]], target=[1.0, 0.5])
    >>> run = top_s(tasks, tasks.sample_target(50, rng=0), k=2, budgets=[300, 600], floor=20, s=1, rng=1)
    >>> sorted(run.allocations[1].tolist())
    [20, 20, 560]
    """

    plan = phases(source, target, k=k, budgets=budgets, floor=floor, pooled=pooled, ridge=ridge)
    kept = _check.whole("s", s, low=1, high=source.n_tasks)

    def divide(weights: Relevance, budget: int, **bounds: Any) -> Ints:  # numpydoc ignore=GL08
        return allocate(keep_largest(weights, kept), budget, **bounds)

    return in_phases(source, target, plan, None, _lasso_at(regularization), divide, rng)


def _lasso_at(regularization: float) -> Estimate:
    part = _check.scalar("regularization", regularization, lambda x: 0.0 < x <= 1.0, "in (0, 1]")
    return partial(lasso, regularization=part)
