"""Batches as one leading axis of items, and their division into parts that run on threads."""

import math
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHUNK_BYTES = 2**26
"""Work arrays of a batch are kept below about this size."""


def items(array: NDArray[Any], batch: tuple[int, ...], core: int, *, full: bool = False) -> NDArray[Any]:
    """View (or copy) of shape (items, core axes), to read only; a single item if the array has no batch axes.

    Kernels read item i as ``array[i % len(array)]``. With `full` there is one for every item of the batch.
    """
    tail = array.shape[array.ndim - core :]
    if not full and math.prod(array.shape[: array.ndim - core]) == 1:
        return read_only(array.reshape(1, *tail))
    return read_only(np.ascontiguousarray(np.broadcast_to(array, batch + tail).reshape(math.prod(batch), *tail)))


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A view that nobody can write to: a kernel has one compiled version for stored and for computed tables."""
    view = array.view()
    view.flags.writeable = False
    return view


def part_of(array: NDArray[Any], part: slice) -> NDArray[Any]:
    """The items of a part, or the single item that all parts share."""
    return array if len(array) == 1 else array[part]


def chunks(count: int, item_bytes: int) -> Iterator[slice]:
    """Slices of a batch whose work arrays take about `CHUNK_BYTES`."""
    step = max(1, CHUNK_BYTES // max(item_bytes, 1))
    return (slice(first, min(first + step, count)) for first in range(0, count, step))


def on_threads(work: Callable[[slice], Any], count: int, *, blas: bool = False) -> list[Any]:
    """``work(part)`` for parts that make up ``range(count)``, on all cores: kernels release the GIL.

    Outside the main thread there is a single part, since the caller then runs on threads already. The results do not
    depend on the division. If the work calls `blas`, BLAS is limited to one thread: its threads would compete with
    ours for the cores, which costs up to a factor of forty on small matrices.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    main = threading.current_thread() is threading.main_thread()
    workers = min(cores, count) if main else 1
    with one_blas_thread() if blas and main else nullcontext():
        if workers <= 1:
            return [work(slice(0, count))]
        parts = [slice(count * k // workers, count * (k + 1) // workers) for k in range(workers)]
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(work, parts))


def small_matrices() -> AbstractContextManager[Any]:
    """One BLAS thread for matrices too small to share out; from other threads than the main one nothing is changed."""
    main = threading.current_thread() is threading.main_thread()
    return one_blas_thread() if main else nullcontext()


def one_blas_thread() -> AbstractContextManager[Any]:
    """Limit every BLAS of the process to one thread until the ``with`` block ends; for the main thread."""
    from threadpoolctl import threadpool_limits

    limit: AbstractContextManager[Any] = threadpool_limits(1, user_api="blas")
    return limit
