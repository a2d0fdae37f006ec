r"""Hypothesis strategies for the heads of source and target tasks, for linear tasks, and for what their samples say.

Heads are drawn as whole numbers, and targets as whole-numbered combinations of them, so they lie in the span exactly
and shrink to numbers that a reader can check by hand. Tasks that occur twice, with either sign, tasks whose head is 0,
heads far longer or shorter than the others, and as many tasks as dimensions are common. Samples are drawn as rows of
whole numbers, whose sums are exact.
"""

import math

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from pessimism import _check
from pessimism._types import Floats
from pessimism.tasks import LinearTasks, TaskData
from pessimism.testing._whole_numbers import batch_axes, length, several

__all__ = ["linear_tasks", "task_data", "task_problems"]

CONDITION = 100.0
"""Largest condition number of the k heads that span the space, before some are scaled."""

NOISE_STEPS = 4
"""Standard deviations are multiples of 1/NOISE_STEPS, up to 2."""

# made once, so that Hypothesis caches what it knows of them
ENTRIES, PARTS, CHOICES = st.integers(-9, 9), st.integers(-3, 3), st.integers(0, 5)
COPY, OPPOSITE, NOTHING = 3, 4, 5  # what a task beyond the first k may be, besides one of its own
LONGER, SHORTER = 4, 5  # what happens to the length of a head


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
    return _task_problems(
        length("max_k", max_k),
        length("max_tasks", max_tasks),
        _check.flag("rank_deficient", rank_deficient),
        factor,
        batch_axes(size),
    )


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
    return _linear_tasks(*largest, batch_axes(size))


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
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, database=None, deadline=None)
    ... @given(task_data(size=(2,)))
    ... def no_coefficients_lose_all_outputs(data):
    ...     assert (data.loss(np.zeros(data.dimension)) == data.squares).all()
    >>> no_coefficients_lose_all_outputs()
    """
    rows = _check.whole("max_rows", max_rows, high=10**6)
    return _task_data(length("max_dimension", max_dimension), length("max_tasks", max_tasks), rows, batch_axes(size))


@st.composite
def _task_problems(
    draw: st.DrawFn, max_k: int, max_tasks: int, deficient: bool, spread: float, size: tuple[int, ...]
) -> tuple[Floats, Floats]:
    rank = draw(st.integers(1, min(max_k, max_tasks)))
    n_tasks = rank + draw(st.integers(0, max_tasks - rank))
    k = draw(st.integers(rank, max_k)) if deficient else rank
    shift = draw(st.integers(0, n_tasks - 1))
    flat = [_heads(draw, rank, n_tasks, spread) for _ in range(math.prod(size))]
    heads = np.roll(np.reshape(flat, (*size, rank, n_tasks)), shift, axis=-1)
    if k > rank:
        more = np.reshape(draw(several((k - rank) * rank, PARTS)), (k - rank, rank))
        heads = np.vstack([np.eye(rank), more]) @ heads
    composition = np.reshape(draw(several(math.prod(size) * n_tasks, PARTS)), (*size, n_tasks, 1))
    return heads, (heads @ composition)[..., 0]


def _heads(draw: st.DrawFn, k: int, n_tasks: int, spread: float) -> Floats:
    """Heads (k, M) of rank k: k that span the space, then others, copies and zeros."""
    entries = np.reshape(draw(several(k * n_tasks, ENTRIES)), (n_tasks, k)).T.astype(np.float64)
    kinds, lengths = np.reshape(draw(several(2 * n_tasks, CHOICES)), (2, n_tasks))
    if _condition(entries[:, :k]) > CONDITION:
        entries[:, :k] = np.eye(k)  # nothing to filter
    entries *= np.where(lengths == LONGER, spread, np.where(lengths == SHORTER, 1.0 / spread, 1.0))
    for m in range(k, n_tasks):
        if kinds[m] in (COPY, OPPOSITE):
            entries[:, m] = entries[:, m % k] * (1.0 if kinds[m] == COPY else -1.0)
        elif kinds[m] == NOTHING:
            entries[:, m] = 0.0
    return entries + 0.0  # no -0.0


def _condition(square: Floats) -> float:
    sizes = np.linalg.svd(square, compute_uv=False)
    return float(sizes[0] / sizes[-1]) if sizes[-1] > 0 else np.inf


@st.composite
def _linear_tasks(
    draw: st.DrawFn, max_dimension: int, max_k: int, max_tasks: int, size: tuple[int, ...]
) -> LinearTasks:
    heads, target = draw(_task_problems(min(max_k, max_dimension), max_tasks, False, 16.0, size))
    k = heads.shape[-2]
    d = draw(st.integers(k, max_dimension))
    noise = draw(st.integers(0, 2 * NOISE_STEPS)) / NOISE_STEPS
    columns = np.reshape(draw(several(d * k, PARTS)), (d, k)) + 10.0 * np.eye(d, k)  # of full rank
    basis, factor = np.linalg.qr(columns)
    return LinearTasks(basis * np.sign(np.diagonal(factor)), heads, target, noise)


@st.composite
def _task_data(draw: st.DrawFn, max_dimension: int, max_tasks: int, max_rows: int, size: tuple[int, ...]) -> TaskData:
    d, n_tasks = draw(st.integers(1, max_dimension)), draw(st.integers(1, max_tasks))
    groups = math.prod(size) * n_tasks
    counts = np.array(draw(several(groups, st.integers(0, max_rows))), np.int64)
    drawn = draw(st.tuples(*[PARTS] * int(counts.sum() * (d + 1))))
    rows = np.split(np.reshape(np.array(drawn, np.float64), (-1, d + 1)), np.cumsum(counts)[:-1])
    sums = np.reshape([part.T @ part for part in rows], (*size, n_tasks, d + 1, d + 1))
    return TaskData(counts.reshape(*size, n_tasks), sums[..., :d, :d], sums[..., :d, d], sums[..., d, d])
