r"""Pools: rows of real tasks from which a rule buys, where there is no model of the world.

Task m has a finite number of rows; buying :math:`n_m` of them draws without replacement from those left (`caps`).
A ValueError or TypeError names the rows, or the numbers of them, that are not as described.
"""

from collections.abc import Sequence
from copy import copy

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Ints, Rng
from pessimism.tasks._rows import row_pairs
from pessimism.tasks.data import TaskData

__all__ = ["TaskPool"]


class TaskPool:
    """Rows of real source tasks, each sold once: a row that was sampled is not sampled again.

    Parameters
    ----------
    inputs : sequence of M (n_m, d) array_like of float
        Inputs of every task.
    outputs : sequence of M (n_m,) array_like of float
        Outputs of every task.

    Notes
    -----
    The only object of the wing whose state changes: every run of an algorithm needs its own (`restocked`).

    Examples
    --------
    >>> pool = TaskPool([np.eye(3), np.eye(3)], [[1.0, 2.0, 3.0], [0.0, 0.0, 1.0]])
    >>> pool.sample([2, 1], rng=0).counts.tolist(), pool.caps.tolist()
    ([2, 1], [1, 2])
    """

    def __init__(self, inputs: Sequence[ArrayLike], outputs: Sequence[ArrayLike]) -> None:
        self._rows = row_pairs(inputs, outputs)
        self._left = [np.arange(len(y)) for _, y in self._rows]

    def __repr__(self) -> str:
        rows, width = sum(len(y) for _, y in self._rows), self._rows[0][0].shape[1]
        return f"TaskPool(tasks={self.n_tasks}, dimension={width}, rows_left={int(self.caps.sum()):,} of {rows:,})"

    def restocked(self) -> "TaskPool":
        """Make a pool of the same rows with none of them sold.

        Returns
        -------
        TaskPool
            It shares the memory of the rows.

        Examples
        --------
        >>> pool = TaskPool([np.eye(2)], [[1.0, 2.0]])
        >>> pool.sample([2], rng=0).n.item(), pool.caps.tolist(), pool.restocked().caps.tolist()
        (2, [0], [2])
        """
        pool = copy(self)
        pool._left = [np.arange(len(y)) for _, y in self._rows]
        return pool

    @property
    def n_tasks(self) -> int:
        """M, the number of source tasks."""
        return len(self._rows)

    @property
    def caps(self) -> Ints:
        """(M,) int, rows of every task that are left."""
        return np.array([len(left) for left in self._left], np.int64)

    def sample(self, n: ArrayLike, *, rng: Rng = None) -> TaskData:
        """Draw rows without replacement from those that are left.

        Parameters
        ----------
        n : (M,) array_like of int
            Rows of each task, at most `caps`.
        rng : Generator, SeedSequence or int, optional
            Source of randomness (SPEC 7).

        Returns
        -------
        TaskData
            Of batch shape ().

        Examples
        --------
        >>> TaskPool([np.eye(2)], [[1.0, 2.0]]).sample([2], rng=0).moments.tolist()
        [[1.0, 2.0]]
        """
        counts = _check.whole_array("n", n)
        if counts.ndim > 1:
            raise ValueError(
                f"n must have shape ({self.n_tasks},), got {counts.shape}: a pool serves one run, so pass a target of "
                "batch shape (), and `restocked()` for every run"
            )
        if counts.shape != (self.n_tasks,):
            raise ValueError(f"n must have shape ({self.n_tasks},), an entry for each task, got {counts.shape}")
        _check.require("n", counts, counts <= self.caps, "at most the rows left of the task")
        generator = _check.generator(rng)
        taken = []
        for m, count in enumerate(counts.tolist()):
            order = generator.permutation(self._left[m])
            taken.append(np.sort(order[:count]))
            self._left[m] = order[count:]
        pairs = [(x[rows], y[rows]) for rows, (x, y) in zip(taken, self._rows, strict=True)]
        return TaskData.from_arrays([x for x, _ in pairs], [y for _, y in pairs])
