"""Checks of arguments that several files of this wing take: heads and targets, bases, relevance, rows of tasks."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._status import conclude
from pessimism._types import Floats, Ints
from pessimism.tasks._engine.linear_algebra import LeastNorm

DEPENDENT = 1e-10
"""A column closer than this, in parts of its length, to the span of those before it leaves their span few digits."""


def heads_and_target(heads: ArrayLike, target: ArrayLike, *, single: bool = False) -> tuple[Floats, Floats]:
    """Heads (..., k, M) and a target (..., k) whose batches broadcast; one of each, without batch, if `single`."""
    matrices = _check.matrix("heads", heads, "k, tasks", single=single)
    vectors = _check.vector("target", target, matrices.shape[-2], "an entry for each row of heads", single=single)
    _check.broadcast("heads and target", matrices.shape[:-2], vectors.shape[:-1])
    return matrices, vectors


def source_deviations(source_noise: ArrayLike, n_tasks: int) -> tuple[Floats, Ints]:
    """Deviations (..., M) of the source tasks, the largest in [1, 2), and the powers of two (...) divided out."""
    value = _check.real_array("source_noise", source_noise)
    if value.ndim and value.shape[-1] != n_tasks:
        raise ValueError(
            f"source_noise must be one number or have shape (..., {n_tasks}), an entry for each source task in heads, "
            f"got {value.shape}"
        )
    _check.require("source_noise", value, value > 0, "positive")
    value = np.asarray(value if value.ndim else np.broadcast_to(value, (n_tasks,)))
    exponents = np.frexp(value.max(axis=-1))[1].astype(np.int64) - 1
    return np.ldexp(value, -exponents[..., None]), exponents


def single_deviations(source_noise: ArrayLike, n_tasks: int) -> tuple[Floats, int]:
    """The same (M,) for one problem."""
    noise, exponent = source_deviations(source_noise, n_tasks)
    if noise.ndim > 1:
        raise ValueError(f"source_noise must be one number or have shape ({n_tasks},), got {noise.shape}")
    return noise, int(exponent)


def precisions(name: str, samples: Floats, noise: Floats) -> Floats:
    """Samples over the variances of their noise."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        value = samples / noise**2
    _check.require(f"{name} / source_noise**2", value, np.isfinite(value), "finite")
    return value


def orthonormal(name: str, columns: Floats) -> Floats:
    """Orthonormal basis (..., d, k) of the span of columns (..., d, k), which must be independent."""
    if columns.shape[-1] > columns.shape[-2]:
        raise ValueError(f"{name} must have at most as many columns as rows, got shape {columns.shape}")
    q, r = np.linalg.qr(columns)
    apart = np.abs(np.diagonal(r, axis1=-2, axis2=-1))
    if not np.all(apart > DEPENDENT * np.linalg.norm(columns, axis=-2)):
        raise ValueError(f"{name} must have linearly independent columns")
    return np.asarray(q)


def six_digits(found: LeastNorm) -> Floats:
    """Least variances; NaN those of a batch of which float64 leaves fewer than six digits."""
    good = found.clear
    return conclude(
        found.value if not good.ndim else np.where(good, found.value, np.nan),
        good,
        f"fewer than six digits of the variance of {np.count_nonzero(~good)} of {good.size} targets are certain: "
        "sampled heads are nearly dependent, drop the direction in which they differ from heads and target",
        "NaN",
    )


def weights(name: str, value: Any, *, each: tuple[int, ...] = (), of: str = "") -> Floats:
    """Weights (..., M) of the tasks: those of a Relevance, or an array.

    An array (..., 1) may be a column of one problem, unless `of`, of shape `each`, has an entry for every problem.
    """
    for part in ("samples", "shares"):  # of a Purchase, whose weights are not what it buys, and of a Design
        if hasattr(value, part):
            raise TypeError(f"{name} must be a Relevance or an array, got a {type(value).__name__}: pass its {part}")
    array = _check.real_array(name, getattr(value, "weights", value))
    if array.ndim < 1 or array.shape[-1] == 0:
        raise ValueError(f"{name} must have shape (..., tasks) with at least one task, got {array.shape}")
    if array.ndim > 1 and array.shape[-1] == 1 and not each and not hasattr(value, "weights"):
        raise ValueError(
            f"{name} must have shape (M,) for M tasks, got {array.shape}: a column must lose its last axis, as in "
            f"{name}[:, 0]" + f", and problems of one task each need {of} each" * bool(of)
        )
    return array


def sampled(name: str, counts: Ints, k: int, d: int) -> None:
    """Raise unless k tasks of every data set have rows (one task if k = d): fewer leave a part of the basis open."""
    least = k if k < d else 1
    tasks = np.asarray((counts > 0).sum(axis=-1))
    what = f"at least {least}, or a part of the representation is arbitrary (lower k = {k}, or give a floor)"
    _check.require(f"tasks with rows in {name}", tasks, tasks >= least, what)
