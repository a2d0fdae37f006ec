"""One cell of a sweep, in this process or in a worker: its rows as text, or what it raised, with one BLAS thread."""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any

from pessimism._cells import Cell, copied, rows_text, stream

PATIENCE = 5.0
"""Seconds that a pool has to see that its workers are dead."""


def attempt(run_cell: Callable[..., Any], cell: Cell, key: str) -> str | BaseException:
    """The rows as JSON text, or what the cell raised; an exception that a future raises itself comes from the pool."""
    try:
        return rows_text(cell, run_cell(copied(cell), stream(key)))
    except (Exception, SystemExit) as error:
        return error


def work(run_cell: Callable[..., Any], cell: Cell, key: str, run_id: str) -> str | BaseException:
    """`attempt` inside a pool. A new `run_id` keeps dask from returning a result cached in an earlier run."""
    # In its own process, a sweep holds the limit for all threads. If nobody holds it, this is a worker process at its
    # first cell. It keeps the limit until it exits: cells that start and end in several threads would lift it early.
    if not _blas_holders:
        hold_one_blas_thread()
        _end_with_parent()
    outcome = attempt(run_cell, cell, key)
    return _portable(outcome) if isinstance(outcome, BaseException) else outcome


def ready(*_: Any) -> None:
    """What is submitted to see whether an executor takes work."""


def kill_workers(executor: Any, futures: Iterable[Future[Any]]) -> None:
    """End the processes of a pool at once, which breaks it, and let the pool see it.

    To wait for its cells would be in vain: nobody reads their rows any more. And Python's pools do not survive a second
    Ctrl-C: interrupted while they wait, they deadlock when the interpreter ends.
    """
    while True:
        try:
            with _deaf_to_ctrl_c():
                return _kill(list((getattr(executor, "_processes", None) or {}).values()), futures)
        except KeyboardInterrupt:  # a second one that came before we were deaf
            continue


def _kill(processes: list[Any], futures: Iterable[Future[Any]]) -> None:
    for process in processes:
        if process.is_alive():
            os.kill(process.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    if processes:
        wait(futures, timeout=PATIENCE)  # the pool marks them broken; one cancelled before would stop it half-way


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Only the main thread is interrupted, and only it may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if heard is None else heard)


def end_with_this_process(executor: Any) -> None:
    """Have the workers that a pool has yet to start end with this process, also those that never get a cell."""
    if hasattr(executor, "_initializer") and hasattr(executor, "_initargs") and not getattr(executor, "_processes", 1):
        executor._initargs = (executor._initializer, executor._initargs)
        executor._initializer = begin


def begin(initializer: Callable[..., Any] | None, arguments: tuple[Any, ...]) -> None:
    """In a new worker, before the initializer of its pool."""
    _end_with_parent()
    if initializer is not None:
        initializer(*arguments)


def importable_by_workers(run_cell: Callable[..., Any]) -> bool:
    """Whether a spawned process can find the function: an interactive session, or a pipe, is in no file."""
    while isinstance(run_cell, partial):
        run_cell = run_cell.func
    module = getattr(run_cell, "__module__", None)
    return module != "__main__" or os.path.isfile(getattr(sys.modules["__main__"], "__file__", None) or "")


def can_be_started(pool: ProcessPoolExecutor) -> bool:
    """Whether new processes find the main program, which spawned ones read again: one from a pipe has a false name."""
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    context: Any = getattr(pool, "_mp_context", None)
    forks = context is not None and context.get_start_method() == "fork"
    return forks or file is None or getattr(main, "__spec__", None) is not None or os.path.isfile(file)


def _end_with_parent() -> None:
    """End this worker when its parent dies: it would wait for its next cell forever."""
    global _watched
    parent = multiprocessing.parent_process()
    if parent is None or _watched:
        return
    _watched = True

    def watch() -> None:
        try:
            parent.join()
        except ValueError:  # loky starts its workers without the pipe that tells
            while os.getppid() == parent.pid:
                time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, name="ends with its parent", daemon=True).start()


_watched = False


def _portable(error: BaseException) -> BaseException:
    """`error` in a form that can be sent to another process: its traceback is a note, its class kept if it pickles."""
    text = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))  # a class that can be pickled but not unpickled would break the whole pool
    except Exception:
        error = RuntimeError(f"{type(error).__qualname__}: {error}")
    error.add_note(f"In the worker:\n{text}")
    return error.with_traceback(None)


_blas_lock = threading.Lock()
_blas_holders = 0
"""How many need BLAS limited to one thread in this process: the running sweeps or, until it exits, a worker."""
_blas_limits: Any = None


def hold_one_blas_thread() -> None:
    global _blas_holders, _blas_limits
    with _blas_lock:
        if not _blas_holders:
            import scipy.linalg  # noqa: F401  SciPy ships a BLAS of its own; only a loaded one can be limited

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
    """The BLAS libraries of this process, looked up again when the number of `loaded` modules has changed."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _free_openblas() -> None:
    """Let any thread limit OpenBLAS.

    Since threadpoolctl 3.8, only the first thread that set a limit may change it while that thread lives; limits that
    other threads set are silently ignored.
    """
    from threadpoolctl import OpenBLASController

    if hasattr(OpenBLASController, "clear_controlling_thread"):
        OpenBLASController.clear_controlling_thread(force=True)
