"""Input shared by the files of this wing: heads, targets, labels and sizes."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._types import Floats, Ints

DEPENDENT = 1e-12
"""A column nearer than this part of its length to the span of those before it depends on them."""


def matrix(name: str, value: ArrayLike, axes: str, *, single: bool = False) -> Floats:
    """Finite float array (..., rows, columns) with at least one of each; `axes` says what they are."""
    array = _check.real_array(name, value)
    if array.ndim < 2 or (single and array.ndim > 2) or 0 in array.shape[-2:]:
        shape = f"({axes})" if single else f"(..., {axes})"
        raise ValueError(f"{name} must have shape {shape} with at least one of each, got {array.shape}")
    return array


def vector(
    name: str, value: ArrayLike, length: int, what: str, *, single: bool = False, low: float = -math.inf
) -> Floats:
    """Finite float array (..., length) with entries of at least `low`."""
    array = _check.real_array(name, value, low=low)
    if array.ndim < 1 or (single and array.ndim > 1) or array.shape[-1] != length:
        shape = f"({length},)" if single else f"(..., {length})"
        raise ValueError(f"{name} must have shape {shape}, {what}, got {array.shape}")
    return array


def orthonormal(name: str, columns: Floats) -> Floats:
    """Orthonormal basis (..., d, k) of the span of independent columns (..., d, k)."""
    if columns.shape[-1] > columns.shape[-2]:
        raise ValueError(f"{name} must have at most as many columns as rows, got shape {columns.shape}")
    q, r = np.linalg.qr(columns)
    apart = np.abs(np.diagonal(r, axis1=-2, axis2=-1))
    if not np.all(apart > DEPENDENT * np.linalg.norm(columns, axis=-2)):
        raise ValueError(f"{name} must have linearly independent columns")
    return np.asarray(q)


def heads_and_target(heads: ArrayLike, target: ArrayLike, *, single: bool = False) -> tuple[Floats, Floats]:
    """Heads (..., k, M) and a target (..., k) whose batches broadcast; or one of each, if `single`."""
    matrices = matrix("heads", heads, "k, tasks", single=single)
    vectors = vector("target", target, matrices.shape[-2], "an entry for each row of heads", single=single)
    _check.broadcast("heads and target", matrices.shape[:-2], vectors.shape[:-1])
    return matrices, vectors


def near_one(heads: Floats, target: Floats) -> tuple[Floats, Floats, tuple[Ints, Ints]]:
    """Heads and target with largest entries in [1/2, 1), and the powers of two that were divided out."""
    sizes = np.frexp(np.abs(heads).max(axis=(-2, -1)))[1], np.frexp(np.abs(target).max(axis=-1))[1]
    return np.ldexp(heads, -sizes[0][..., None, None]), np.ldexp(target, -sizes[1][..., None]), sizes


def sampled(name: str, counts: Ints, k: int, d: int) -> None:
    """Raise unless k tasks of every data set have rows, or k = d: fewer leave a part of the basis to chance."""
    least = k if k < d else 1
    tasks = np.asarray((counts > 0).sum(axis=-1))
    what = f"at least {least}, or a part of the representation is arbitrary (lower k = {k}, or give a floor)"
    _check.require(f"tasks with rows in {name}", tasks, tasks >= least, what)


def transposed(array: NDArray[np.floating[Any]]) -> Floats:
    """The last two axes exchanged."""
    return np.swapaxes(array, -1, -2)


def weights(name: str, value: Any) -> Floats:
    """Weights (..., M) of the tasks, from a Relevance or an array."""
    from pessimism.tasks.relevance import Relevance  # which is made with this file

    part = {"Purchase": "samples", "Design": "shares"}.get(type(value).__name__)
    if part is not None:  # the weights of a Purchase are not what it buys
        raise TypeError(f"{name} must be a Relevance or an array, got a {type(value).__name__}: pass its {part}")
    array = _check.real_array(name, value.weights if isinstance(value, Relevance) else value)
    if array.ndim < 1 or array.shape[-1] == 0:
        raise ValueError(f"{name} must have shape (..., tasks) with at least one task, got {array.shape}")
    return array
