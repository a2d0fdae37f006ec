"""One cell of a sweep, in this process or in a worker: its rows as text, or what it raised, with one BLAS thread."""

import multiprocessing
import os
import pickle
import sys
import threading
import traceback
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from pessimism._cells import Cell, copied, rows_text, stream


def attempt(run_cell: Callable[..., Any], cell: Cell, key: str) -> str | BaseException:
    """The rows as JSON text, or what the cell raised: whatever a future raises instead is the pool's own trouble."""
    try:
        return rows_text(cell, run_cell(copied(cell), stream(key)))
    except (Exception, SystemExit) as error:
        return error


def work(run_cell: Callable[..., Any], cell: Cell, key: str, run_id: str) -> str | BaseException:
    """`attempt` inside a pool. A new `run_id` keeps dask from answering out of an earlier run."""
    # a sweep holds the limit for the threads of its own process. If nobody does, this is a worker process at its first
    # cell, which keeps it to its end: cells that come and go in several threads would lift it too early.
    if not _blas_holders:
        hold_one_blas_thread()
        _end_with_parent()
    outcome = attempt(run_cell, cell, key)
    return _portable(outcome) if isinstance(outcome, BaseException) else outcome


def importable_by_workers(run_cell: Callable[..., Any]) -> bool:
    """Whether a spawned process can find the function: what an interactive session defines is in no file."""
    while isinstance(run_cell, partial):
        run_cell = run_cell.func
    module = getattr(run_cell, "__module__", None)
    return module != "__main__" or hasattr(sys.modules["__main__"], "__file__")


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for its next cell for ever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="ends with its parent", daemon=True).start()


def _portable(error: BaseException) -> BaseException:
    """`error` ready to travel: its traceback as a note, its class kept if it can be pickled at all."""
    text = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))  # some classes pickle but cannot be built again, which kills a whole pool
    except Exception:
        error = RuntimeError(f"{type(error).__qualname__}: {error}")
    error.add_note(f"In the worker:\n{text}")
    return error.with_traceback(None)


_blas_lock = threading.Lock()
_blas_holders = 0
"""Who relies on one BLAS thread in this process: its running sweeps or, until it ends, that it is a worker."""
_blas_limits: Any = None


def hold_one_blas_thread() -> None:
    global _blas_holders, _blas_limits
    with _blas_lock:
        if not _blas_holders:
            import scipy.linalg  # noqa: F401  it brings a BLAS of its own, which the limit must find loaded

            _free_openblas()
            _blas_limits = _blas(len(sys.modules)).limit(limits=1)
        _blas_holders += 1


def release_one_blas_thread() -> None:
    global _blas_holders
    with _blas_lock:
        _blas_holders -= 1
        if not _blas_holders:
            _free_openblas()
            _blas_limits.restore_original_limits()
            _free_openblas()


@lru_cache(maxsize=1)
def _blas(loaded: int) -> Any:
    """The BLAS libraries of this process, looked up again when more modules have been `loaded`."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _free_openblas() -> None:
    """Since threadpoolctl 3.8 the first thread to set a limit is obeyed until it ends, any other silently ignored."""
    from threadpoolctl import OpenBLASController

    if hasattr(OpenBLASController, "clear_controlling_thread"):
        OpenBLASController.clear_controlling_thread(force=True)
