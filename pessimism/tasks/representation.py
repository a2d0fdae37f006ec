r"""The shared representation: least squares over all rows of all tasks.

The empirical risk minimiser is

.. math::

    (\hat B, \hat W) \in \arg\min_{B \in R^{d\times k},\,W} \sum_m \sum_i (y_{m,i} - x_{m,i}^\top B w_m)^2
    = \arg\min \sum_m \bigl(c_m - 2 b_m^\top B w_m + w_m^\top B^\top A_m B w_m\bigr),

a sum over *rows*: a task weighs as many rows as it has, and averaging the loss of every task instead throws the
allocation away. Only the span of B is identified; it is returned with orthonormal columns. The problem is not convex:
every step lowers the loss and the answer is stationary (`stationarity`), but no method certifies the global minimum.
A ValueError or TypeError names the argument that is out of its range or has the wrong shape.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._objects import Speaking
from pessimism._status import Status, conclude
from pessimism._types import Floats, Ints
from pessimism.tasks._arguments import orthonormal, sampled
from pessimism.tasks._engine import representation as engine
from pessimism.tasks.data import TaskData

__all__ = [
    "Representation",
    "fit_heads",
    "fit_representation",
    "moment_representation",
    "principal_angles",
]

ORDINARY = 200
"""Largest exponent of two of Gram matrices and squared outputs that is left as it is; a larger one is divided out."""

SMALLEST = 1e-290
"""Squares whose largest is below this have lost digits."""

SINGULAR = 1e-12
"""Rows whose Gram matrix, scaled to a unit diagonal, has an eigenvalue below this do not determine a head."""

STEEP = 100.0
"""Largest stationarity of an accepted fit, as a multiple of the root of the tolerance; 1 is usual."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Representation(Speaking):
    r"""A fitted representation, of one data set or of a batch.

    Attributes
    ----------
    basis : (..., d, k) float
        :math:`\hat B`, with orthonormal columns.
    heads : (..., k, M) float
        :math:`\hat W` in that basis; NaN for tasks without rows.
    loss : (...) float
        Sum of squared errors over all rows, plus the ridge.
    stationarity : (...) float
        Norm of the loss's gradient along the representations of that rank, relative to the size of the terms that
        cancel in it; recomputed from the answer and the data. At most 100 times the root of the tolerance, or it is an
        error; the root itself is usual.
    status : Status or (...) array of Status
        How it ended: STATIONARY, or NOT_CONVERGED; UNDETERMINED, with NaN for the rest, if float64 could not solve.
    iterations : (...) int
        Steps.

    Examples
    --------
    >>> data = TaskData.from_arrays([np.eye(2)] * 3, [[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])
    >>> found = fit_representation(data, 1)
    >>> (found.basis[:, 0] / found.basis[0, 0]).round(9).tolist(), bool(found.loss < 1e-12)
    ([1.0, 2.0], True)
    """

    basis: Floats
    heads: Floats
    loss: Floats
    stationarity: Floats
    status: Any
    iterations: Ints


def fit_representation(
    data: TaskData,
    k: int,
    *,
    start: str | ArrayLike = "auto",
    method: str = "auto",
    ridge: float = 0.0,
    tolerance: float = 1e-12,
) -> Representation:
    r"""Fit the least-squares representation of rank k, summed over all rows.

    Parameters
    ----------
    data : TaskData
        Samples of the source tasks, in every data set of k tasks at least, or one if k = d. Those without rows take no
        part.
    k : int
        Columns of the representation, in {1, ..., d}.
    start : {"auto", "ols", "moments"} or (..., d, k) array_like of float
        Where to start: the leading left singular vectors of :math:`[\sqrt{n_m}\,\hat\theta_m]` ("ols"; all tasks with
        rows need d of them), of :math:`[b_m/\sqrt{n_m}]` ("moments"; for inputs of covariance near a multiple of
        the identity), or a basis. "auto": "ols" if every task has 2d rows or more.
    method : {"auto", "alternate", "descend"}
        Alternating least squares, or least squares for the heads and preconditioned gradient steps for the basis.
        "auto": the first while dk <= 100, by measurement.
    ridge : float
        At least 0; adds ridge times the squared norm of the coefficients of every task to the loss.
    tolerance : float
        The iterations end when a step lowers the loss by less than this part of the squared outputs.

    Returns
    -------
    Representation
        With status STATIONARY.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, fewer than k tasks have rows, or squares of inputs or outputs are below
        1e-290, where float64 loses their digits.
    ConvergenceError
        If 1,000 alternations or 20,000 gradient steps were not enough; `result` is the partial answer. In a batch it is
        a warning and a status.

    Notes
    -----
    Both halves of an alternation are exact, so the loss never rises. Starts may end in different minima: on 1,000 draws
    of ``instances.random_gaussian(2, 5, dimension=10)``, noise 1, the default start ended above the best of 20 normal
    ones in 6 % with 2d rows a task, in 0.7 % with 3d, in none with 5d; with few rows compare the `loss` of several.
    Rows identify as many directions as the heads of their tasks span: the rest of the basis is fitted to noise. An
    alternation costs O(M d^2 k^2 + (dk)^3), a gradient step O(M d^2 k). A batch runs on all cores. The first call
    compiles for some five seconds, once; later processes read the compiled loops from disk.

    Examples
    --------
    >>> data = TaskData.from_arrays([np.eye(3)] * 4, [[1.0, 0, 0], [0, 1.0, 0], [1.0, 1.0, 0], [1.0, -1.0, 0]])
    >>> abs(fit_representation(data, 2).basis[2]).round(9).tolist()  # no task reaches into the third direction
    [0.0, 0.0]
    """
    return conclude(*_fitted(data, k, start=start, method=method, ridge=ridge, tolerance=tolerance))


def _fitted(
    data: TaskData,
    k: int,
    *,
    start: str | ArrayLike = "auto",
    method: str = "auto",
    ridge: float = 0.0,
    tolerance: float = 1e-12,
) -> tuple[Representation, NDArray[np.bool_], str]:
    """`fit_representation`, which fits ended at a stationary point, and what to say of the others."""
    _check.instance("data", data, TaskData)
    rank = _check.whole("k", k, low=1, high=data.dimension)
    penalty = _check.nonnegative("ridge", ridge)
    goal = _check.open_unit_interval("tolerance", tolerance)
    _check.choice("method", method, ("auto", "alternate", "descend"))
    sampled("data", data.counts, rank, data.dimension)
    grams, moments, squares, exponents = _statistics(data, penalty)
    first, counts = _start(start, data, rank), data.counts.reshape(-1, data.n_tasks)
    found = engine.fit(grams, moments, squares, counts, first, rank, method, goal)
    return _certified(found, data, exponents, STEEP * np.sqrt(goal))


def _statistics(data: TaskData, ridge: float) -> tuple[Floats, Floats, Floats, tuple[Ints, Ints]]:
    """Statistics with one batch axis in front, and the powers of two by which inputs and outputs were divided.

    The ridge is added to the Gram matrices of the tasks with rows.
    """
    m, d = data.n_tasks, data.dimension
    grams = np.ascontiguousarray(data.grams.reshape(-1, m, d, d))
    if ridge > 0:
        grams = grams + ridge * np.eye(d) * (data.counts.reshape(-1, m) > 0)[..., None, None]
    moments, squares = np.ascontiguousarray(data.moments.reshape(-1, m, d)), data.squares.reshape(-1, m)
    something = np.asarray(moments.any(axis=(-2, -1)))
    inputs = _half_exponent("inputs", np.einsum("nmii->nmi", grams).max(axis=(-2, -1)), something)
    outputs = _half_exponent("outputs", squares.max(axis=-1), something)
    if inputs.any() or outputs.any():
        grams = np.ldexp(grams, -2 * inputs[:, None, None, None])
        moments = np.ldexp(moments, -(inputs + outputs)[:, None, None])
        squares = np.ldexp(squares, -2 * outputs[:, None])
    return grams, moments, squares, (inputs, outputs)


def _half_exponent(name: str, size: Floats, related: NDArray[np.bool_]) -> Ints:
    """Power of two of inputs or outputs whose largest square is `size`: 0 where ordinary, or 0 and not `related`."""
    bad = ~(size >= SMALLEST) & (related | (size > 0))
    if bad.any():
        raise ValueError(
            f"{name} of data must have squares of at least {SMALLEST:g} in every data set, or they have lost digits; "
            f"the largest is {size[bad][0]:.3g}: multiply {name} by a constant"
        )
    exponent = np.frexp(size)[1].astype(np.int64)
    return np.where(np.abs(exponent) > ORDINARY, exponent // 2, 0)


def _start(start: str | ArrayLike, data: TaskData, k: int) -> str | Floats:
    """The kind of start, or bases (items, d, k)."""
    if isinstance(start, str):
        _check.choice("start", start, ("auto", "ols", "moments"))
        few = (data.counts > 0) & (data.counts < data.dimension)
        if start == "ols" and few.any():
            raise ValueError(
                f'start "ols" needs {data.dimension} rows of every task that has any, the least is '
                f'{data.counts[few].min()}; start from "moments"'
            )
        return start
    shape = (*data.shape, data.dimension, k)
    basis = _check.matrix("start", start, "d, k")
    if basis.shape[-2:] != shape[-2:] or _check.broadcast("start and the data", basis.shape, shape) != shape:
        raise ValueError(f"start must have shape (..., {shape[-2]}, {k}) within {shape}, got {basis.shape}")
    q = np.broadcast_to(orthonormal("start", basis), shape)
    return np.array(q.reshape(-1, *shape[-2:]), order="C")


def _certified(
    found: engine.Fit, data: TaskData, exponents: tuple[Ints, Ints], steepest: float
) -> tuple[Representation, NDArray[np.bool_], str]:
    """The fits in the shape and the units of the data, which of them are stationary, and what to say of the others."""
    bases, heads, loss, stationarity, steps = found
    failed = (steps <= 0) | ~(stationarity <= steepest)
    ended = np.full(len(steps), Status.STATIONARY, object)
    ended[failed] = Status.NOT_CONVERGED
    ended[steps == 0] = Status.UNDETERMINED
    if not data.shape and not steps.all():
        raise ValueError("data must have positive semi-definite grams and sizes that float64 can solve")
    heads[data.counts.reshape(heads.shape[:2]) == 0] = np.nan
    heads = np.ldexp(heads, (exponents[1] - exponents[0])[:, None, None])
    batch = data.shape
    result = Representation(
        bases.reshape(*batch, *bases.shape[1:]),
        np.array(heads.mT).reshape(*batch, heads.shape[2], heads.shape[1]),
        np.ldexp(np.maximum(loss, 0.0), 2 * exponents[1]).reshape(batch),
        stationarity.reshape(batch),
        ended.reshape(batch) if batch else ended.item(),
        np.abs(steps).reshape(batch),
    )
    return (
        result,
        ~failed.reshape(batch),
        f"{np.count_nonzero(failed)} of {len(steps)} fits are not stationary after {np.abs(steps).max(initial=0)} "
        f"steps, the largest stationarity is {np.max(stationarity[failed], initial=0.0):.2g}: with few rows there may "
        "be no minimum, add rows or a ridge",
    )


def fit_heads(basis: ArrayLike, data: TaskData, *, ridge: float = 0.0) -> Floats:
    r"""Fit least-squares heads on a given representation, the target's for instance.

    Parameters
    ----------
    basis : (..., d, k) array_like of float
        The representation.
    data : TaskData
        Of one task or many; every task with k rows at least, unless there is a ridge.
    ridge : float
        At least 0; adds ridge times the squared norm of the coefficients to the loss.

    Returns
    -------
    (..., k, M) float
        A column for each task; the coefficients are basis @ heads.

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit, a task has fewer than k rows, or its rows do not determine the head.

    Notes
    -----
    Solves :math:`B^\top (A_m + rI) B\, w_m = B^\top b_m`. Cost O(M d^2 k).

    Examples
    --------
    >>> data = TaskData.from_arrays([np.eye(2)], [[3.0, 4.0]])
    >>> fit_heads([[1.0], [0.0]], data).tolist()
    [[3.0]]
    """
    _check.instance("data", data, TaskData)
    heads, determined = _heads_on(basis, data, ridge)
    if not determined.all():
        worst = [int(i) for i in np.argwhere(~determined)[0]]
        raise ValueError(f"data must determine the heads: the rows of task {worst} do not span the basis")
    return heads


def _heads_on(basis: ArrayLike, data: TaskData, ridge: float) -> tuple[Floats, NDArray[np.bool_]]:
    """`fit_heads`, 0 where rows do not determine the head, and where they do (..., M)."""
    columns = _check.matrix("basis", basis, "d, k")
    if columns.shape[-2] != data.dimension:
        raise ValueError(f"basis must have {data.dimension} rows, the length of an input, got shape {columns.shape}")
    _check.broadcast("basis and data", columns.shape[:-2], data.shape)
    k = columns.shape[-1]
    penalty = _check.nonnegative("ridge", ridge)
    enough = (data.counts >= k) | (penalty > 0)
    _check.require("counts", data.counts, enough, f"at least k = {k}, the columns of basis")
    spread = columns[..., None, :, :]
    inner = spread.mT @ (data.grams @ spread + penalty * spread)
    right = spread.mT @ data.moments[..., None]
    size = np.sqrt(np.einsum("...ii->...i", inner))
    size = np.where(size > 0, size, 1.0)
    least = np.linalg.eigvalsh(inner / size[..., :, None] / size[..., None, :])[..., 0]
    determined = np.asarray(least > SINGULAR)
    inner = np.where(determined[..., None, None], inner, np.eye(k))
    heads = np.linalg.solve(inner, np.where(determined[..., None, None], right, 0.0))[..., 0]
    return np.array(heads.mT), determined


def moment_representation(inputs: ArrayLike, outputs: ArrayLike, k: int) -> Floats:
    r"""Leading eigenvectors of :math:`\frac1N\sum_i y_i^2 x_i x_i^\top`, the method of moments on raw rows.

    Parameters
    ----------
    inputs : (N, d) array_like of float
        Rows of all tasks together, standard normal or nearly so.
    outputs : (N,) array_like of float
        Outputs.
    k : int
        Eigenvectors, in {1, ..., d}.

    Returns
    -------
    (d, k) float
        Orthonormal columns.

    Notes
    -----
    For Gaussian inputs the expectation is a multiple of the identity plus twice the mean of
    :math:`B w w^\top B^\top` over the rows. It needs fourth moments and is noisy. Source: Tripuraneni, Jin, Jordan
    (2021). Cost O(N d^2).

    Examples
    --------
    >>> abs(moment_representation([[1.0, 0.0], [0.0, 1.0]], [2.0, 0.0], 1)).tolist()
    [[1.0], [0.0]]
    """
    x, y = _check.real_array("inputs", inputs), _check.real_array("outputs", outputs)
    if x.ndim != 2 or 0 in x.shape or y.shape != x.shape[:1]:
        raise ValueError(f"inputs must have shape (N, d) and outputs (N,), got {x.shape} and {y.shape}")
    rank = _check.whole("k", k, low=1, high=x.shape[1])
    scaled = x * y[:, None]
    vectors = np.linalg.eigh(scaled.T @ scaled).eigenvectors
    return np.ascontiguousarray(vectors[:, ::-1][:, :rank])


def principal_angles(basis: ArrayLike, other: ArrayLike) -> Floats:
    """Compute the angles between the spans of two bases, smallest first.

    Parameters
    ----------
    basis, other : (..., d, k) array_like of float
        Bases of full column rank, with as many columns.

    Returns
    -------
    (..., k) float
        In radians, in [0, pi/2].

    Notes
    -----
    Sines and cosines are both computed, so that small angles keep their digits. Cost O(d k^2).

    Examples
    --------
    >>> principal_angles([[1.0], [0.0]], [[1.0], [1.0]]).round(6).tolist()
    [0.785398]
    """
    first, second = _check.matrix("basis", basis, "d, k"), _check.matrix("other", other, "d, k")
    if first.shape[-2:] != second.shape[-2:]:
        raise ValueError(f"other must have the shape {first.shape[-2:]} of basis, got {second.shape[-2:]}")
    _check.broadcast("basis and other", first.shape, second.shape)
    p, q = orthonormal("basis", first), orthonormal("other", second)
    inner = p.mT @ q
    cosines = np.linalg.svd(inner, compute_uv=False)
    sines = np.linalg.svd(q - p @ inner, compute_uv=False)[..., ::-1]
    angles: NDArray[np.float64] = np.arctan2(sines, cosines)
    return angles
