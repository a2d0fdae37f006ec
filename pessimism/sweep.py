r"""Cells to rows: every cell has its own random stream, every finished cell its own file.

A sweep applies :math:`\text{run\_cell}(c, \text{rng}(c))` to every cell c of a grid, with

.. math:: \text{key}(c) = \text{SHA-256}(\text{name}, \text{version}, \text{seed}, c), \quad
          \text{rng}(c) = \text{default\_rng}(\text{key}(c)).

A row is thus a function of the key and of the code alone: it does not depend on the order of the cells, on the number
of workers, on restarts or on the other cells of the grid. A sweep may be killed at any moment and resumed with other
workers, and its rows are the same byte for byte. The hash is `_Job.key`, the stream `_stream`, the folder of files
`_store.Store`; `run` puts them together.
"""

import copy
import hashlib
import json
import math
import os
import pickle
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Future
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol
from uuid import uuid4

import numpy as np

from pessimism._store import Row, Store, StoreWarning, encode

__all__ = ["StoreWarning", "SweepError", "pending", "rng_for", "run"]

Cell = dict[str, Any]
Failure = tuple[Cell, BaseException]


class SweepError(RuntimeError):
    """A sweep that ended without all of its rows.

    Parameters
    ----------
    message : str
        What happened, and how to resume.
    failures : list of (dict, exception)
        The cells that raised, in the order of the grid; those of a pool that died are not among them. An attribute.
    rows : list of dict
        The rows of the finished cells, in the order of the grid. An attribute.

    Examples
    --------
    >>> try:
    ...     run(lambda cell, rng: {"x": 1 / cell["n"]}, [{"n": 0}, {"n": 2}], seed=0, progress=False)
    ... except SweepError as error:
    ...     print(error.failures, error.rows)
    [({'n': 0}, ZeroDivisionError('division by zero'))] [{'n': 2, 'x': 0.5}]
    """

    def __init__(self, message: str, failures: Sequence[Failure] = (), rows: Sequence[Row] = ()) -> None:
        super().__init__(message)
        self.failures = list(failures)
        self.rows = list(rows)


class _Executor(Protocol):
    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Any: ...


class _DeadPoolError(Exception):
    """The workers of a pool have died; the cause says why."""


# ---- cells and their streams


@dataclass(frozen=True, slots=True)
class _Job:
    cell: Cell
    """As `run_cell` gets it: JSON types, integral floats up to 2^53 as integers, infinities still numbers."""
    identity: str
    """Canonical JSON of all that the numbers depend on."""
    key: str
    """SHA-256 of `identity`: the seed, and the name of the file."""


def _job(cell: Cell, where: str, *, seed: int, name: str, version: int) -> _Job:
    if not isinstance(cell, dict):
        raise TypeError(f"{where} must be a dict, got {type(cell).__name__}")
    canonical = _spelled(_plain(cell, where, integers_to=math.inf))
    identity = encode({"cell": canonical, "name": name, "seed": seed, "version": version})
    plain = _plain(cell, where, integers_to=2**53)  # NumPy knows no larger integers
    return _Job(plain, identity, hashlib.sha256(identity.encode()).hexdigest())


def _jobs(
    cells: Iterable[Cell], *, seed: int, name: str, version: int, shard: tuple[int, int] | None = None
) -> list[_Job]:
    if not isinstance(name, str):
        raise TypeError(f"name must be a string, got {name!r}")
    seed, version = _whole("seed", seed), _whole("version", version)
    jobs = [_job(cell, f"cells[{i}]", seed=seed, name=name, version=version) for i, cell in enumerate(cells)]
    first: dict[str, int] = {}
    for i, job in enumerate(jobs):
        if first.setdefault(job.key, i) != i:
            raise ValueError(
                f"cells[{first[job.key]}] and cells[{i}] are identical and would give the same numbers: {job.cell!r}; "
                "add a block key to replicate a cell"
            )
    start, step = _shard(shard)
    return jobs[start::step]


def _shard(shard: tuple[int, int] | None) -> tuple[int, int]:
    try:
        i, n = (0, 1) if shard is None else shard
    except (TypeError, ValueError):
        raise TypeError(f"shard must be a pair (i, n), got {shard!r}") from None
    if not 0 <= (i := _whole("shard[0]", i)) < (n := _whole("shard[1]", n)):
        raise ValueError(f"shard must be (i, n) with 0 <= i < n, got {shard!r}")
    return i, n


def _whole(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be a non-negative integer, got {value!r}")
    if value < 0:
        raise ValueError(f"{name} must be a non-negative integer, got {value!r}")
    return int(value)


def _plain(value: Any, where: str, *, integers_to: float) -> Any:
    """`value` in JSON types, freshly built; integral floats up to `integers_to` as integers: 3.0 and 3 are one cell."""
    if value is None or isinstance(value, (bool, np.bool_)):
        return None if value is None else bool(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        number = float(value)
        if math.isnan(number):
            raise ValueError(f"{where} is NaN: use None where there is no value")
        return int(number) if abs(number) <= integers_to and number.is_integer() else number
    if isinstance(value, np.ndarray) and not np.ma.is_masked(value):
        return _plain(value.tolist(), where, integers_to=integers_to)
    if isinstance(value, (list, tuple)):
        return [_plain(entry, f"{where}[{i}]", integers_to=integers_to) for i, entry in enumerate(value)]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{where} must have strings as keys, got {key!r}")
        return {str.__str__(k): _plain(entry, f"{where}[{k!r}]", integers_to=integers_to) for k, entry in value.items()}
    raise TypeError(
        f"{where} must be a number, string, bool, None, or lists, arrays and dicts of them; "
        f"got {'a masked array' if isinstance(value, np.ndarray) else type(value).__name__}"
    )


def _spelled(value: Any) -> Any:
    """Plain `value` with its infinities as "inf" and "-inf", for which JSON has no number."""
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if isinstance(value, list):
        return [_spelled(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _spelled(entry) for key, entry in value.items()}
    return value


def _stream(key: str) -> np.random.Generator:
    return np.random.default_rng(int(key, 16))


# ---- one cell, in this process or in a worker


def _attempt(run_cell: Callable[..., Any], cell: Cell, key: str) -> str | BaseException:
    """The rows as JSON text, or what the cell raised; an exception that a future raises itself comes from the pool."""
    try:
        # a deep copy, so that a run_cell that changes its cell does not change the row
        return _rows(cell, run_cell(copy.deepcopy(cell), _stream(key)))
    except (Exception, SystemExit) as error:
        return error


def _rows(cell: Cell, returned: Any) -> str:
    tables = returned if isinstance(returned, list) else [returned]
    if not tables or not all(isinstance(columns, dict) for columns in tables):
        raise TypeError(f"run_cell must return a dict of columns or a list of them, got {returned!r:.80}")
    given, rows = _spelled(cell), []
    for columns in tables:
        plain = _plain(columns, "columns", integers_to=-1)
        if clash := sorted(given.keys() & plain.keys()):
            raise ValueError(f"run_cell returned columns that are keys of its cell: {', '.join(clash)}; rename them")
        rows.append(given | _spelled(plain))
    return encode(rows)


def _work(run_cell: Callable[..., Any], cell: Cell, key: str, run_id: str) -> str | BaseException:
    """`_attempt` inside a pool. A new `run_id` keeps dask from returning a result cached in an earlier run."""
    # In its own process, `run` holds the limit for all threads. If nobody holds it, this is a worker process at its
    # first cell. It keeps the limit until it exits: cells that start and end in several threads would lift it early.
    if not _blas_holders:
        _hold_one_blas_thread()
    outcome = _attempt(run_cell, cell, key)
    return _portable(outcome) if isinstance(outcome, BaseException) else outcome


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


def _hold_one_blas_thread() -> None:
    global _blas_holders, _blas_limits
    with _blas_lock:
        if not _blas_holders:
            import scipy.linalg  # noqa: F401  SciPy ships a BLAS of its own; only a loaded one can be limited

            _free_openblas()
            _blas_limits = _blas(len(sys.modules)).limit(limits=1)
        _blas_holders += 1


@lru_cache(maxsize=1)
def _blas(loaded: int) -> Any:
    """The BLAS libraries of this process, looked up again when the number of `loaded` modules has changed."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _release_one_blas_thread() -> None:
    global _blas_holders
    with _blas_lock:
        _blas_holders -= 1
        if not _blas_holders:
            _free_openblas()
            _blas_limits.restore_original_limits()
            _free_openblas()


def _free_openblas() -> None:
    """Let any thread limit OpenBLAS.

    Since threadpoolctl 3.8, only the first thread that set a limit may change it while that thread lives; limits that
    other threads set are silently ignored.
    """
    from threadpoolctl import OpenBLASController

    if hasattr(OpenBLASController, "clear_controlling_thread"):
        OpenBLASController.clear_controlling_thread(force=True)


# ---- the sweep


def _finished(jobs: list[_Job], store: Store | None) -> dict[int, list[Row]]:
    finished: dict[int, list[Row]] = {}
    if store is None:
        return finished
    for i, job in enumerate(jobs):
        if (rows := store.read(job.key, job.identity)) is not None:
            finished[i] = rows
    return finished


def _outcomes(
    run_cell: Callable[..., Any], todo: dict[int, _Job], executor: _Executor | None
) -> Generator[tuple[int, str | BaseException], None, None]:
    """(index, rows as text or exception) as cells finish."""
    if executor is None:
        for i, job in todo.items():
            yield i, _attempt(run_cell, job.cell, job.key)
        return
    run_id = uuid4().hex
    waiting: dict[Future[Any], int] = {}
    # not as_completed, which waits forever if a future is cancelled from outside
    ended: SimpleQueue[Future[Any]] = SimpleQueue()
    try:
        for i, job in todo.items():
            future = executor.submit(_work, run_cell, job.cell, job.key, run_id)
            if not isinstance(future, Future):
                raise TypeError(
                    f"executor.submit must return a concurrent.futures.Future, got {type(future).__name__}; "
                    "for a dask client pass client.get_executor()"
                )
            waiting[future] = i
            future.add_done_callback(ended.put)
        while waiting:
            outcome = _outcome(future := ended.get())
            yield waiting.pop(future), outcome
    except Exception as error:
        if not _is_death(error):
            raise
        # results that arrived before the pool died are valid
        for future in [f for f in waiting if f.done() and not f.cancelled() and f.exception() is None]:
            yield waiting.pop(future), future.result()
        raise _DeadPoolError from error
    finally:
        for future in waiting:
            future.cancel()


def _outcome(future: Future[Any]) -> Any:
    try:
        return future.result()
    except Exception as error:
        if _is_death(error):
            raise
        return error  # concerns this cell only: run_cell cannot be pickled, or the result is too large


def _is_death(error: Exception) -> bool:
    # dask's exceptions are recognised by name, so that dask need not be imported
    return isinstance(error, (BrokenExecutor, CancelledError)) or any(
        base.__name__ in ("KilledWorker", "CommClosedError") for base in type(error).__mro__
    )


@contextmanager
def _around_cells(show: bool, name: str, total: int, initial: int) -> Iterator[Callable[[], object]]:
    """One BLAS thread and a progress bar; yields what advances the bar."""
    _hold_one_blas_thread()
    try:
        from tqdm import tqdm

        with tqdm(total=total, initial=initial, desc=name or None, unit="cell", disable=not show) as bar:
            yield bar.update
    finally:
        _release_one_blas_thread()


@dataclass(slots=True)
class _Sweep:
    """Rows and errors of the cells so far, by their index in `jobs`."""

    jobs: list[_Job]
    store: Store | None
    done: dict[int, list[Row]]
    errors: dict[int, BaseException]

    def compute(self, run_cell: Callable[..., Any], executor: _Executor | None, advance: Callable[[], object]) -> None:
        todo = {i: job for i, job in enumerate(self.jobs) if i not in self.done}
        try:
            with closing(_outcomes(run_cell, todo, executor)) as outcomes:
                for i, outcome in outcomes:
                    self._note(i, outcome)
                    advance()
        except _DeadPoolError as died:
            raise self._error(f"The executor lost its workers: {self._standing()}") from died.__cause__
        except BaseException as stop:
            stop.add_note(self._standing())
            raise

    def _note(self, i: int, outcome: str | BaseException) -> None:
        if isinstance(outcome, BaseException):
            self.errors[i] = outcome
            return
        rows = json.loads(outcome)
        if self.store:
            self.store.write(self.jobs[i].key, self.jobs[i].identity, rows)
        self.done[i] = rows

    def rows(self) -> list[Row]:
        if self.errors:
            raise self._error(self._summary()) from self.errors[min(self.errors)]
        return [row for i in sorted(self.done) for row in self.done[i]]

    def _error(self, message: str) -> SweepError:
        failures = [(self.jobs[i].cell, self.errors[i]) for i in sorted(self.errors)]
        return SweepError(message, failures, [row for i in sorted(self.done) for row in self.done[i]])

    def _standing(self) -> str:
        share = f"{len(self.done)} of {len(self.jobs)} cells"
        if self.store:
            return f"{share} are in {self.store}; run again with the same store to resume."
        return f"{share} were done; with a store, running again would resume there."

    def _summary(self) -> str:
        failed = [f"\n  {self.jobs[i].cell!r:.200}: {self.errors[i]!r:.300}" for i in sorted(self.errors)]
        more = f"\n  and {len(failed) - 3} more in .failures" if len(failed) > 3 else ""
        kept = self._standing() if self.store else f"The rows of the {len(self.done)} finished cells are in .rows."
        return f"{len(failed)} of {len(self.jobs)} cells failed:{''.join(failed[:3])}{more}\n{kept}"


def run(
    run_cell: Callable[[Cell, np.random.Generator], Any],
    cells: Iterable[Cell],
    *,
    seed: int,
    name: str = "",
    version: int = 1,
    store: str | os.PathLike[str] | None = None,
    executor: _Executor | None = None,
    shard: tuple[int, int] | None = None,
    progress: bool = True,
) -> list[Row]:
    """Apply `run_cell` to every cell, each with its own random stream, and return the rows.

    Parameters
    ----------
    run_cell : callable
        ``run_cell(cell, rng)`` returns a dict of columns or a list of such dicts, one a row. It must draw from `rng`
        only. Worker processes import it by name, so for them it must be defined at the top level of a module.
    cells : iterable of dict
        JSON values by string key; NumPy scalars and arrays are welcome, infinities too, NaN is not. Identical cells
        are refused: replicates are cells that differ in a key such as ``block``.
    seed, name, version : int, str, int
        With the cell, all that its stream depends on. Raise `version` when `run_cell` changes; otherwise rows of the
        old one are taken from the store.
    store : path, optional
        Folder with one file for each finished cell; cells found there are not computed again.
    executor : executor, optional
        Anything with the interface of `concurrent.futures`; for dask ``client.get_executor()``. Start processes by
        spawning, not forking. It is not shut down. Default: this thread.
    shard : (int, int), optional
        ``(i, n)`` computes and returns cells i, i + n, ... only.
    progress : bool
        Progress bar on stderr.

    Returns
    -------
    list of dict
        Cell plus columns, in the order of the cells: integral floats of the cell are integers, infinities are "inf"
        and "-inf".

    Raises
    ------
    ValueError, TypeError
        If an argument is malformed, before any cell runs.
    SweepError
        After all cells, if some of them failed; at once if the executor lost its workers.
    OSError
        If the store cannot be written.

    Warns
    -----
    StoreWarning
        If a file in the store is damaged (its cell is computed again), or the store was written by other versions.

    See Also
    --------
    rng_for : The stream of one cell.

    Notes
    -----
    While cells run, BLAS is limited to one thread, since the last bits of its results depend on the number of threads.

    Examples
    --------
    >>> def run_cell(cell, rng):
    ...     return {"replicates": 100, "mean": float(rng.normal(cell["mu"], size=100).mean())}
    >>> rows = run(run_cell, [{"mu": mu} for mu in (-9.0, 9.0)], seed=0, progress=False)
    >>> [(row["mu"], row["mean"] > 0) for row in rows]
    [(-9, False), (9, True)]
    """
    jobs = _jobs(cells, seed=seed, name=name, version=version, shard=shard)
    kept = None if store is None else Store(Path(store))
    if kept:
        kept.open()
    sweep = _Sweep(jobs, kept, done=_finished(jobs, kept), errors={})
    with _around_cells(progress, name, len(jobs), len(sweep.done)) as advance:
        sweep.compute(run_cell, executor, advance)
    return sweep.rows()


def rng_for(cell: Cell, *, seed: int, name: str = "", version: int = 1) -> np.random.Generator:
    """The random stream that `run` gives to a cell, to replay it by hand.

    Parameters
    ----------
    cell : dict
        The cell; no other cell of the grid matters.
    seed, name, version : int, str, int
        As given to `run`.

    Returns
    -------
    Generator
        Fresh, at the start of the stream.

    Raises
    ------
    ValueError, TypeError
        If an argument is malformed.

    Examples
    --------
    >>> rows = run(lambda cell, rng: {"x": rng.random()}, [{"n": 10}, {"n": 20}], seed=0, progress=False)
    >>> rows[1]["x"] == rng_for({"n": 20}, seed=0).random()
    True
    """
    return _stream(_jobs([cell], seed=seed, name=name, version=version)[0].key)


def pending(
    cells: Iterable[Cell],
    *,
    seed: int,
    name: str = "",
    version: int = 1,
    store: str | os.PathLike[str] | None = None,
    shard: tuple[int, int] | None = None,
) -> list[Cell]:
    """List the cells that `run` would compute; nothing is written.

    Parameters
    ----------
    cells : iterable of dict
        As given to `run`.
    seed, name, version : int, str, int
        As given to `run`.
    store : path, optional
        As given to `run`; it need not exist.
    shard : (int, int), optional
        As given to `run`.

    Returns
    -------
    list of dict
        The cells as `run_cell` would get them, in their order.

    Raises
    ------
    ValueError, TypeError
        If an argument is malformed.

    Warns
    -----
    StoreWarning
        If a file in the store is damaged.

    Examples
    --------
    >>> pending([{"n": 10.0}, {"n": 20.0}], seed=0)
    [{'n': 10}, {'n': 20}]
    """
    jobs = _jobs(cells, seed=seed, name=name, version=version, shard=shard)
    finished = _finished(jobs, None if store is None else Store(Path(store)))
    return [job.cell for i, job in enumerate(jobs) if i not in finished]
