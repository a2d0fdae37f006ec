r"""Data: the samples of many regression tasks, reduced to the statistics that least squares needs.

Task m has inputs :math:`x_i \in R^d` with outputs :math:`y_i`, :math:`i = 1, \dots, n_m`. Every estimator of this
wing, the method of moments excepted, depends on them through

.. math:: A_m = \sum_i x_i x_i^\top, \qquad b_m = \sum_i y_i x_i, \qquad c_m = \sum_i y_i^2,

the `grams`, `moments` and `squares` beside the number of rows, `counts`. The phases of an algorithm are pooled by
adding these statistics, and the squared error of coefficients :math:`\theta` is
:math:`c_m - 2 b_m^\top\theta + \theta^\top A_m \theta` (`loss`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._objects import Stored
from pessimism._types import Floats, Ints
from pessimism.tasks._rows import row_pairs, row_pairs_by_label

__all__ = ["TaskData"]

ROUNDING = 1e-9
"""Relative tolerance for rounding when given statistics are checked against each other."""


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class TaskData(Stored):
    r"""Rows, Gram matrices, cross moments and squared outputs per task, of one or of many data sets.

    Parameters
    ----------
    counts : (..., M) array_like of int
        Rows :math:`n_m` of every task, at least 0.
    grams : (..., M, d, d) array_like of float
        :math:`A_m = X_m^\top X_m`.
    moments : (..., M, d) array_like of float
        :math:`b_m = X_m^\top y_m`.
    squares : (..., M) array_like of float
        :math:`c_m = y_m^\top y_m`.

    Raises
    ------
    ValueError, TypeError
        If shapes do not fit together, an entry is not finite, or no rows could have these statistics: Gram matrices
        that are not symmetric, :math:`[[A, b], [b^\top, c]]` not positive semi-definite, nonzero statistics of a task
        without rows. Whether the rank of a Gram matrix is at most the number of rows is not checked. The methods raise
        likewise where arguments do not fit.

    Examples
    --------
    >>> data = TaskData(counts=[2], grams=[[[2.0]]], moments=[[3.0]], squares=[5.0])
    >>> data.loss([1.0]).tolist()
    [1.0]
    """

    counts: Ints
    grams: Floats
    moments: Floats
    squares: Floats

    def __init__(self, counts: ArrayLike, grams: ArrayLike, moments: ArrayLike, squares: ArrayLike) -> None:
        rows = _check.whole_array("counts", counts)
        if rows.ndim < 1 or rows.shape[-1] == 0:
            raise ValueError(f"counts must have shape (..., tasks) with at least one task, got {rows.shape}")
        second, first, outputs = (
            _check.real_array(name, value)
            for name, value in (("grams", grams), ("moments", moments), ("squares", squares))
        )
        d = first.shape[-1] if first.ndim else 0
        for name, array, shape in (
            ("moments", first, (*rows.shape, d)),
            ("grams", second, (*rows.shape, d, d)),
            ("squares", outputs, rows.shape),
        ):
            if array.shape != shape or d == 0:
                raise ValueError(
                    f"{name} must have shape {shape}, to go with counts {rows.shape} and moments {first.shape}, "
                    f"got {array.shape}"
                )
        _check_possible(rows, second, first, outputs)
        self._set(rows, second, first, outputs)

    def _set(self, *arrays: NDArray[Any]) -> None:
        for name, value in zip(("counts", "grams", "moments", "squares"), arrays, strict=True):
            value.setflags(write=False)
            object.__setattr__(self, name, value)

    @classmethod
    def trusted(cls, counts: Ints, grams: Floats, moments: Floats, squares: Floats) -> Self:
        """Take arrays that are right by construction, without a copy or a check: for samplers.

        Parameters
        ----------
        counts, grams, moments, squares : as in the class
            Arrays of int64 and float64; they become read-only.

        Returns
        -------
        TaskData
            It holds the given arrays.

        Examples
        --------
        >>> one = np.ones(1)
        >>> TaskData.trusted(np.array([1]), one[:, None, None], one[:, None], one).n_tasks
        1
        """
        self = object.__new__(cls)
        self._set(counts, grams, moments, squares)
        return self

    @classmethod
    def from_arrays(
        cls,
        inputs: ArrayLike | Sequence[ArrayLike],
        outputs: ArrayLike | Sequence[ArrayLike],
        tasks: ArrayLike | None = None,
        *,
        n_tasks: int | None = None,
    ) -> Self:
        r"""Add up raw rows.

        Parameters
        ----------
        inputs : (n, d) array_like or sequence of M (n_m, d) array_like
            One table of all rows, with `tasks` saying which task each belongs to, or a table for every task.
        outputs : (n,) array_like or sequence of M (n_m,) array_like
            Outputs, in the same form.
        tasks : (n,) array_like of int, optional
            Task of every row, from 0. Without it `inputs` and `outputs` are sequences, an entry for each task.
        n_tasks : int, optional
            M, when rows come with `tasks`. Default: one more than the largest label.

        Returns
        -------
        TaskData
            One data set, of batch shape ().

        Notes
        -----
        Cost O(n d^2), once. Columns of a data frame are arrays: ``from_arrays(frame[features], frame["y"],
        frame["task"])``.

        Examples
        --------
        >>> data = TaskData.from_arrays([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]], [1.0, 2.0, 3.0], tasks=[0, 0, 1])
        >>> data.counts.tolist(), data.moments.tolist()
        ([2, 1], [[3.0, 2.0], [0.0, 6.0]])
        """
        if tasks is None:
            if n_tasks is not None:
                raise ValueError("n_tasks goes with tasks; sequences have an entry for every task")
            pairs = row_pairs(inputs, outputs)
        else:
            pairs = row_pairs_by_label(inputs, outputs, tasks, n_tasks)
        counts = np.array([len(y) for _, y in pairs], np.int64)
        grams = np.array([x.T @ x for x, _ in pairs])
        return cls.trusted(
            counts,
            (grams + grams.mT) / 2,
            np.array([y @ x for x, y in pairs]),
            np.array([y @ y for _, y in pairs]),
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Batch of data sets."""
        return self.counts.shape[:-1]

    @property
    def n_tasks(self) -> int:
        """M, the number of tasks."""
        return int(self.counts.shape[-1])

    @property
    def dimension(self) -> int:
        """Length d of an input."""
        return int(self.moments.shape[-1])

    @property
    def n(self) -> Ints:
        """(...) int, rows of all tasks together."""
        return np.asarray(self.counts.sum(axis=-1))

    def __getitem__(self, index: Any) -> Self:
        """Select data sets of the batch, as indexing an array does."""
        if not self.shape:
            raise IndexError("this is a single data set: it has no batch axis to index")
        place = np.arange(math.prod(self.shape)).reshape(self.shape)[index]

        def pick(array: NDArray[Any]) -> NDArray[Any]:  # numpydoc ignore=GL08
            return np.array(array.reshape(-1, *array.shape[len(self.shape) :])[place])

        return self.trusted(pick(self.counts), pick(self.grams), pick(self.moments), pick(self.squares))

    def merge(self, *others: "TaskData") -> Self:
        """Pool with other rows of the same tasks, those of another phase for instance.

        Parameters
        ----------
        *others : TaskData
            With as many tasks and inputs of the same length; batches broadcast.

        Returns
        -------
        TaskData
            The sums of all statistics.

        Examples
        --------
        >>> data = TaskData.from_arrays([[[1.0]]], [[2.0]])
        >>> data.merge(data).counts.tolist()
        [2]
        """
        for i, other in enumerate(others):
            _check.instance(f"others[{i}]", other, TaskData)
            if (other.n_tasks, other.dimension) != (self.n_tasks, self.dimension):
                raise ValueError(
                    f"others[{i}] must have {self.n_tasks} tasks and inputs of length {self.dimension}, "
                    f"got {other.n_tasks} and {other.dimension}"
                )
            _check.broadcast(f"self and others[{i}]", self.shape, other.shape)
        logs = (self, *others)
        return self.trusted(
            *(np.array(sum(getattr(log, name) for log in logs)) for name in ("counts", "grams", "moments", "squares"))
        )

    def weighted(self, weights: ArrayLike) -> Self:
        """Count every row of a task `weights` times, for tasks of unequal noise.

        Parameters
        ----------
        weights : (..., M) array_like of float
            Weight of a row of each task, positive; 1/variance for tasks of unequal noise.

        Returns
        -------
        TaskData
            The same counts, with scaled statistics.

        See Also
        --------
        pessimism.tasks.bounds.weighted_risk : Leading order of the risk of a weighted fit.

        Notes
        -----
        With ``data.weighted(1 / data.counts)`` the loss of a task is its average over rows. A fit to that ignores how
        many rows a task has: its risk is governed by the minimum-norm relevance, whatever was bought (derived by us).

        Examples
        --------
        >>> TaskData.from_arrays([[[1.0], [1.0]]], [[2.0, 4.0]]).weighted([0.5]).moments.tolist()
        [[3.0]]
        """
        factor = _check.vector("weights", weights, self.n_tasks)
        _check.require("weights", factor, factor > 0, "positive")
        batch = _check.broadcast("weights and counts", factor.shape, self.counts.shape)
        return self.trusted(
            np.array(np.broadcast_to(self.counts, batch)),
            self.grams * factor[..., None, None],
            self.moments * factor[..., None],
            self.squares * factor,
        )

    def loss(self, coefficients: ArrayLike) -> Floats:
        """Compute the sum of squared errors of every task.

        Parameters
        ----------
        coefficients : (..., d) or (..., M, d) array_like of float
            The same coefficients for all tasks, or some for each: the latter if the next to last axis has length M.

        Returns
        -------
        (..., M) float
            Divided by `counts` it is the mean squared error.

        Examples
        --------
        >>> TaskData.from_arrays([[[1.0], [1.0]]], [[2.0, 4.0]]).loss([3.0]).tolist()
        [2.0]
        """
        theta = _check.real_array("coefficients", coefficients)
        if theta.ndim < 1 or theta.shape[-1] != self.dimension:
            raise ValueError(f"coefficients must have shape (..., {self.dimension}), got {theta.shape}")
        if theta.ndim < 2 or theta.shape[-2] != self.n_tasks:
            theta = theta[..., None, :]
        _check.broadcast("coefficients and moments", theta.shape, self.moments.shape)
        quadratic = np.einsum("...i,...ij,...j->...", theta, self.grams, theta, optimize=False)
        return np.asarray(self.squares - 2.0 * (self.moments * theta).sum(axis=-1) + quadratic)


def _check_possible(counts: Ints, grams: Floats, moments: Floats, squares: Floats) -> None:
    diagonal = np.diagonal(grams, axis1=-2, axis2=-1)
    size = np.sqrt(np.maximum(diagonal, 0.0))
    limit = size[..., :, None] * size[..., None, :]
    _check.require("grams", diagonal, diagonal >= 0, "at least 0 on the diagonal")
    _check.require("grams", grams, np.abs(grams - grams.mT) <= ROUNDING * limit, "symmetric")
    _check.require("squares", squares, squares >= 0, "at least 0")
    empty = counts == 0
    _check.require("squares", squares, ~empty | (squares == 0), "0 where counts are 0")
    _check.require("grams", diagonal, ~empty[..., None] | (diagonal == 0), "0 where counts are 0")
    joint = np.concatenate([grams, moments[..., None]], axis=-1)
    joint = np.concatenate([joint, np.concatenate([moments, squares[..., None]], axis=-1)[..., None, :]], axis=-2)
    size = np.concatenate([size, np.sqrt(squares)[..., None]], axis=-1)
    scale = np.where(size > 0, size, 1.0)
    smallest = np.linalg.eigvalsh(joint / scale[..., :, None] / scale[..., None, :])[..., 0]
    if not np.all(smallest >= -ROUNDING):
        worst = tuple(int(i) for i in np.argwhere(smallest < -ROUNDING)[0])
        raise ValueError(
            f"grams, moments and squares at {list(worst)} must be those of some rows: [[A, b], [b', c]], scaled to a "
            f"unit diagonal, has the eigenvalue {smallest[worst]:.3g}, and no eigenvalue may be negative"
        )
