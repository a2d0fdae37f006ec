"""Composite strategies behind `task_problems`, `linear_tasks` and `task_data`, whose arguments have been checked."""

import math

import numpy as np
from hypothesis import strategies as st

from pessimism._types import Floats
from pessimism.tasks import LinearTasks, TaskData
from pessimism.testing._whole_numbers import several

CONDITION = 100.0
"""Largest condition number of the k heads that span the space, before some are scaled."""

NOISE_STEPS = 4
"""Standard deviations are multiples of 1/NOISE_STEPS, up to 2."""

# made once, so that Hypothesis caches what it knows of them
ENTRIES, PARTS, CHOICES = st.integers(-9, 9), st.integers(-3, 3), st.integers(0, 5)
COPY, OPPOSITE, NOTHING = 3, 4, 5  # what a task beyond the first k may be, besides one of its own
LONGER, SHORTER = 4, 5  # what happens to the length of a head


@st.composite
def drawn_problems(
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
def drawn_linear_tasks(
    draw: st.DrawFn, max_dimension: int, max_k: int, max_tasks: int, size: tuple[int, ...]
) -> LinearTasks:
    heads, target = draw(drawn_problems(min(max_k, max_dimension), max_tasks, False, 16.0, size))
    k = heads.shape[-2]
    d = draw(st.integers(k, max_dimension))
    noise = draw(st.integers(0, 2 * NOISE_STEPS)) / NOISE_STEPS
    columns = np.reshape(draw(several(d * k, PARTS)), (d, k)) + 10.0 * np.eye(d, k)  # of full rank
    basis, factor = np.linalg.qr(columns)
    return LinearTasks(basis * np.sign(np.diagonal(factor)), heads, target, noise)


@st.composite
def drawn_task_data(
    draw: st.DrawFn, max_dimension: int, max_tasks: int, max_rows: int, size: tuple[int, ...]
) -> TaskData:
    d, n_tasks = draw(st.integers(1, max_dimension)), draw(st.integers(1, max_tasks))
    groups = math.prod(size) * n_tasks
    counts = np.array(draw(several(groups, st.integers(0, max_rows))), np.int64)
    drawn = draw(st.tuples(*[PARTS] * int(counts.sum() * (d + 1))))
    rows = np.split(np.reshape(np.array(drawn, np.float64), (-1, d + 1)), np.cumsum(counts)[:-1])
    sums = np.reshape([part.T @ part for part in rows], (*size, n_tasks, d + 1, d + 1))
    return TaskData(counts.reshape(*size, n_tasks), sums[..., :d, :d], sums[..., :d, d], sums[..., d, d])
