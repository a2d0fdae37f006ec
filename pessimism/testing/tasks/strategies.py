r"""Hypothesis strategies for the heads of source and target tasks, for linear tasks, and for what their samples say.

Heads are drawn as whole numbers, and targets as whole-numbered combinations of them, so they lie in the span exactly
and shrink to numbers that a reader can check by hand. Tasks that occur twice, with either sign, tasks whose head is 0,
heads far longer or shorter than the others, and as many tasks as dimensions are common. Samples are drawn as rows of
whole numbers, whose sums are exact.

The kernels of the wing are loaded, or compiled, before the first example: deadlines do not count it.
"""

from hypothesis.strategies import SearchStrategy

from pessimism import _check
from pessimism._types import Floats
from pessimism.tasks import LinearTasks, TaskData
from pessimism.testing._whole_numbers import batch_axes, length, ready
from pessimism.testing.tasks._drawn import drawn_linear_tasks, drawn_problems, drawn_task_data

__all__ = ["linear_tasks", "task_data", "task_problems"]


def task_problems(
    *,
    max_k: int = 4,
    max_tasks: int = 8,
    rank_deficient: bool = False,
    spread: float = 1024.0,
    size: int | tuple[int, ...] = (),
) -> SearchStrategy[tuple[Floats, Floats]]:
    r"""Strategy for what relevance is computed from: the heads of the source tasks, and a target in their span.

    Parameters
    ----------
    max_k : int
        Largest dimension k of the heads, at least 1.
    max_tasks : int
        Largest number M of source tasks, at least 1.
    rank_deficient : bool
        Whether the heads may span less than all k dimensions; there may then be more dimensions than tasks.
    spread : float
        Some heads are longer or shorter by this factor, at least 1. A power of two keeps the numbers exact.
    size : int or tuple of int
        Batch of problems of the same k and M, in front of the other axes.

    Returns
    -------
    SearchStrategy of ((..., k, M) float, (..., k) float)
        Heads W and target w. The target may be 0. Shrinks to heads [[1]] and target [0].

    Raises
    ------
    ValueError, TypeError
        If a size or `spread` is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from hypothesis import given, settings
    >>> from pessimism.tasks import min_l1, min_l2
    >>> @settings(max_examples=10, database=None, deadline=None)
    ... @given(task_problems())
    ... def no_feasible_relevance_is_shorter(problem):
    ...     l1, l2 = (np.abs(found(*problem).weights).sum() for found in (min_l1, min_l2))
    ...     assert l1 <= l2 * (1 + 1e-8)
    >>> no_feasible_relevance_is_shorter()
    """
    factor = _check.between("spread", spread, 1.0, 1e6)
    largest = length("max_k", max_k), length("max_tasks", max_tasks)
    deficient = _check.flag("rank_deficient", rank_deficient)
    return ready("tasks", drawn_problems(*largest, deficient, factor, batch_axes(size)))


def linear_tasks(
    *, max_dimension: int = 5, max_k: int = 3, max_tasks: int = 6, size: int | tuple[int, ...] = ()
) -> SearchStrategy[LinearTasks]:
    """Strategy for linear tasks on a shared representation.

    Parameters
    ----------
    max_dimension, max_k, max_tasks : int
        Largest length d of an input, dimension k <= d of the representation, and number M >= k of source tasks, at
        least 1.
    size : int or tuple of int
        Batch of such tasks.

    Returns
    -------
    SearchStrategy of LinearTasks
        Heads and targets as `task_problems` draws them, of full rank; noise between 0 and 2, 0 included. Shrinks to
        one input, one task and the target 0.

    Raises
    ------
    ValueError, TypeError
        If a size is out of its range.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, database=None, deadline=None)
    ... @given(linear_tasks())
    ... def the_truth_costs_nothing(tasks):
    ...     assert tasks.risk(tasks.target_coefficients) == 0
    >>> the_truth_costs_nothing()
    """
    largest = length("max_dimension", max_dimension), length("max_k", max_k), length("max_tasks", max_tasks)
    return ready("tasks", drawn_linear_tasks(*largest, batch_axes(size)))


def task_data(
    *, max_dimension: int = 4, max_tasks: int = 4, max_rows: int = 6, size: int | tuple[int, ...] = ()
) -> SearchStrategy[TaskData]:
    """Strategy for what the samples of tasks say: counts, Gram matrices and moments that some rows have.

    Parameters
    ----------
    max_dimension, max_tasks : int
        Largest length d of an input and number M of tasks, at least 1.
    max_rows : int
        Most rows of a task, at least 0.
    size : int or tuple of int
        Batch of data sets.

    Returns
    -------
    SearchStrategy of TaskData
        With whole numbers in it. Tasks without rows, and with fewer rows than d, are common. Shrinks to one task
        without rows.

    Raises
    ------
    ValueError, TypeError
        If a size is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, database=None, deadline=None)
    ... @given(task_data(size=(2,)))
    ... def no_coefficients_lose_all_outputs(data):
    ...     assert (data.loss(np.zeros(data.dimension)) == data.squares).all()
    >>> no_coefficients_lose_all_outputs()
    """
    rows = _check.whole("max_rows", max_rows, high=10**6)
    largest = length("max_dimension", max_dimension), length("max_tasks", max_tasks)
    return ready("tasks", drawn_task_data(*largest, rows, batch_axes(size)))
