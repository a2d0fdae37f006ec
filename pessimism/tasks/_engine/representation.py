"""Fits of a representation to the statistics of a batch: where they start, the steps on all cores, the certificate."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pessimism._batch import on_threads
from pessimism._types import Floats, Ints

LARGEST_SYSTEM = 100
"""Unknowns dk of a basis up to which "auto" solves for all of them at once."""

START_SHIFT = 1e-12
"""Part of the mean diagonal added to the Gram matrices of a start: it makes singular ones regular."""

LIMITS = {"alternate": 1_000, "descend": 20_000}
"""Largest number of steps of each method."""


class Fit(NamedTuple):
    """Fits of n data sets: bases (n, d, k), heads (n, M, k), and (n) losses, stationarities and numbers of steps.

    The number of steps is negative where they did not end, and 0, with NaN for the rest, where float64 could not solve.
    """

    bases: Floats
    heads: Floats
    loss: Floats
    stationarity: Floats
    steps: Ints


def fit(
    grams: Floats, moments: Floats, squares: Floats, counts: Ints, start: str | Floats, k: int, method: str, goal: float
) -> Fit:
    """Minimise the summed squared error of n data sets, each until a step lowers it by less than goal * its squares.

    `start` is a kind of `spectral_start`, or bases (n, d, k), which are written over.
    """
    from pessimism.tasks._engine import representation_kernels

    n, n_tasks, d = moments.shape
    if method == "auto":
        method = "alternate" if d * k <= LARGEST_SYSTEM else "descend"
    steps_of: Callable[..., Ints] = getattr(representation_kernels, method)
    bases = np.empty((n, d, k)) if isinstance(start, str) else start
    heads = np.zeros((n, n_tasks, k))
    scales = squares.sum(axis=-1)
    stacked = grams.reshape(n, n_tasks * d, d)
    for array in (stacked, moments):  # always read-only, since the kernels are compiled anew for arrays that are not
        array.setflags(write=False)

    def work(part: slice) -> Ints:
        before = bases[part].copy()
        try:
            if isinstance(start, str):
                bases[part] = spectral_start(grams[part], moments[part], counts[part], k, start)
            return steps_of(stacked[part], moments[part], bases[part], heads[part], scales[part], goal, LIMITS[method])
        except np.linalg.LinAlgError:  # of one of them
            bases[part] = before
            if part.stop - part.start > 1:
                return np.concatenate([work(slice(i, i + 1)) for i in range(part.start, part.stop)])
            bases[part], heads[part] = np.nan, np.nan
            return np.zeros(1, np.int64)

    steps = np.concatenate(on_threads(work, n, blas=True))
    return Fit(bases, heads, *_certificate(grams, moments, squares, bases, heads), steps)


def spectral_start(grams: Floats, moments: Floats, counts: Ints, k: int, kind: str = "auto") -> Floats:
    r"""Leading left singular vectors (n, d, k) of the tasks' estimates, a one-shot estimate to start from.

    `kind` "ols" takes least squares :math:`\sqrt{n_m}\, A_m^{-1} b_m` for the estimates, "moments"
    :math:`b_m/\sqrt{n_m}`, "auto" the former in data sets whose tasks all have 2d rows or none. Alone it is not the
    least-squares representation: with two or three d rows a task its risk is well above that of the iterated answer.
    O(M d^3) for "ols", O(M d^2) for "moments".
    """
    d = moments.shape[-1]
    there = counts > 0
    rows = np.maximum(counts, 1)[..., None].astype(np.float64)
    columns = moments / np.sqrt(rows)
    # item by item, so that no answer depends on what else is in the batch
    enough = (kind == "ols") | ((kind == "auto") & (~there | (counts >= 2 * d)).all(axis=-1))
    if enough.any():
        size = np.trace(grams[enough], axis1=-2, axis2=-1)
        shift = np.where(size > 0, START_SHIFT * size / d, 1.0)  # for inputs that do not span the space
        safe = grams[enough] + shift[..., None, None] * np.eye(d)
        columns[enough] = np.linalg.solve(safe, moments[enough, ..., None])[..., 0] * np.sqrt(rows[enough])
    columns *= there[..., None]
    vectors = np.linalg.eigh(columns.mT @ columns).eigenvectors
    return np.ascontiguousarray(vectors[..., :, ::-1][..., :k])


def _certificate(
    grams: Floats, moments: Floats, squares: Floats, bases: Floats, heads: Floats
) -> tuple[Floats, Floats]:
    """Loss, and the norm of its gradient along the bases, relative to the terms that cancel in it."""
    theta = heads @ bases.mT  # (n, M, d)
    fitted = np.einsum("nmij,nmj->nmi", grams, theta)
    loss = squares.sum(axis=-1) - (2.0 * moments * theta - fitted * theta).sum(axis=(-2, -1))
    gradient = (fitted - moments).mT @ heads
    gradient -= bases @ (bases.mT @ gradient)
    size = np.linalg.norm(moments.mT @ heads, axis=(-2, -1))
    return loss, np.linalg.norm(gradient, axis=(-2, -1)) / np.where(size > 0, size, 1.0)
