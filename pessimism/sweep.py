r"""Cells to rows: every cell has its own random stream, every finished cell a line in a store.

A sweep applies :math:`\text{run\_cell}(c, \text{rng}(c))` to every cell c of a grid, with

.. math:: \text{key}(c) = \text{SHA-256}(\text{name}, \text{version}, \text{seed}, c), \quad
          \text{rng}(c) = \text{default\_rng}(\text{key}(c)).

A row is thus a function of the key and of the code alone: it does not depend on the order of the cells, on the number
of workers, on restarts or on the other cells of the grid. A sweep may be killed at any moment and resumed with other
workers, and its rows are the same byte for byte. Keys and streams are made in `_cells`, a cell is computed in
`_workers`, `_store` keeps what is finished; `run` puts them together.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol
from uuid import uuid4

import numpy as np

from pessimism import _check
from pessimism._cells import Cell, Job, Row, jobs_of, stream_of
from pessimism._fingerprint import fingerprint
from pessimism._shown import shown
from pessimism._store import Segment, Store, StoreWarning
from pessimism._workers import (
    attempt,
    can_be_started,
    end_with_this_process,
    hold_one_blas_thread,
    importable_by_workers,
    kill_workers,
    ready,
    release_one_blas_thread,
    work,
)

__all__ = ["StoreWarning", "SweepError", "pending", "rng_for", "run"]

Failure = tuple[Cell, BaseException]

SUBMITTED = 10_000
"""Cells handed to an executor at a time: a grid of millions must not become millions of futures."""


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


_WANTED = (
    "executor must have the interface of concurrent.futures: submit(function, *arguments) returns a "
    "concurrent.futures.Future; for a dask client pass client.get_executor()"
)


_NEVER_BEGAN = (
    "They finished no cell: if that is so again, they cannot begin, for the reason that they print on stderr. A script "
    "that spawns processes must do it below if __name__ == '__main__'."
)


class _DeadPoolError(Exception):
    """The workers of a pool have died; the cause says why."""


def _compute(
    run_cell: Callable[..., Any],
    todo: dict[int, Job],
    executor: _Executor | None,
    note: Callable[[int, str | BaseException], None],
) -> None:
    """Give `note` the index of every cell, as it finishes, and its rows as text or its exception."""
    if executor is None:
        for i, job in todo.items():
            note(i, attempt(run_cell, job.cell, job.key))
        return
    run_id = uuid4().hex
    waiting: dict[Future[Any], int] = {}
    # not as_completed, which waits forever if a future is cancelled from outside
    ended: SimpleQueue[Future[Any]] = SimpleQueue()
    rest = iter(todo.items())
    try:
        while True:
            for i, job in islice(rest, SUBMITTED - len(waiting)):
                future = executor.submit(work, run_cell, job.cell, job.key, run_id)
                waiting[future] = i
                future.add_done_callback(ended.put)
            if not waiting:
                return
            outcome = _outcome(future := ended.get())
            note(waiting.pop(future), outcome)
    except Exception as error:
        if not _is_death(error):
            raise
        # results that arrived before the pool died are valid
        for future in [f for f in waiting if f.done() and not f.cancelled() and f.exception() is None]:
            note(waiting.pop(future), future.result())
        raise _DeadPoolError from error
    except BaseException:  # Ctrl-C: nobody will read what the cells that have begun return
        kill_workers(executor, waiting)
        raise
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
    hold_one_blas_thread()
    try:
        from tqdm import tqdm

        with tqdm(total=total, initial=initial, desc=name or None, unit="cell", disable=not show) as bar:
            yield bar.update
    finally:
        release_one_blas_thread()


@dataclass(slots=True)
class _Sweep:
    """Rows and errors of the cells so far, by their index in `jobs`."""

    jobs: list[Job]
    store: Store | None
    segment: Segment | None
    done: dict[int, list[Row]]
    errors: dict[int, BaseException]

    def compute(
        self,
        run_cell: Callable[..., Any],
        todo: dict[int, Job],
        executor: _Executor | None,
        around: AbstractContextManager[Callable[[], object]],
    ) -> None:
        before = len(self.done)
        try:
            with around as advance:

                def note(i: int, outcome: str | BaseException) -> None:
                    self._note(i, outcome)
                    advance()

                _compute(run_cell, todo, executor, note)
            if self.store and self.segment:
                with self.store.named_in_errors():
                    self.segment.sync()
        except _DeadPoolError as died:
            never = "" if len(self.done) + len(self.errors) > before else f" {_NEVER_BEGAN}"
            raise self._error(f"The executor lost its workers: {self._standing()}{never}") from died.__cause__
        except BaseException as stop:
            stop.add_note(self._standing())
            raise

    def _note(self, i: int, outcome: str | BaseException) -> None:
        if isinstance(outcome, BaseException):
            self.errors[i] = outcome
            return
        if self.store and self.segment:
            with self.store.named_in_errors():
                self.segment.write(self.jobs[i].key, outcome)
        self.done[i] = json.loads(outcome)

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
        failed = [f"\n  {shown(self.jobs[i].cell)}: {self.errors[i]!r:.300}" for i in sorted(self.errors)]
        more = f"\n  and {len(failed) - 3} more in .failures" if len(failed) > 3 else ""
        kept = self._standing() if self.store else f"The rows of the {len(self.done)} finished cells are in .rows."
        return f"{len(failed)} of {len(self.jobs)} cells failed:{''.join(failed[:3])}{more}\n{kept}"


def _store(store: str | os.PathLike[str] | None) -> Store | None:
    if store is None:
        return None
    return Store(Path(_check.path("store", store)))


def _check_call(run_cell: Any, executor: Any) -> None:
    if not callable(run_cell):
        raise TypeError(f"run_cell must be a function of a cell and a Generator, got {shown(run_cell)}")
    if executor is None:
        return
    no_submit = isinstance(executor, type) or not callable(getattr(executor, "submit", None))
    if no_submit or callable(getattr(executor, "get_executor", None)):
        raise TypeError(f"{_WANTED}; got {shown(executor):.80}")
    if isinstance(executor, ProcessPoolExecutor) and not importable_by_workers(run_cell):
        raise ValueError(
            "run_cell must be importable by the processes of the executor, and one that was defined in an interactive "
            "session is not: move it into a module, or use threads"
        )
    if isinstance(executor, ProcessPoolExecutor) and not can_be_started(executor):
        raise ValueError(
            "executor must be threads in a program that is read from a pipe: every process that is spawned reads the "
            "program again, from a file that does not exist; save it as a file to use processes"
        )


def _check_submit(run_cell: Callable[..., Any], job: Job, executor: _Executor) -> None:
    """Submit a call that has the arguments of a cell and returns at once: no store is made before it is accepted."""
    try:
        future = executor.submit(ready, run_cell, job.cell, job.key, uuid4().hex)
    except (TypeError, NotImplementedError) as error:
        raise TypeError(f"{_WANTED}; its submit raised {error!r:.200}") from error
    except Exception as error:
        wanted = "executor must take work, and one that was shut down or lost its workers does not: pass a new one"
        raise ValueError(f"{wanted}; its submit raised {error!r:.200}") from error
    if not isinstance(future, Future):
        raise TypeError(f"{_WANTED}; its submit returned a {type(future).__name__}")


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
        Folder of finished cells; cells found there are not computed again.
    executor : executor, optional
        Anything with the interface of `concurrent.futures`, whose ``submit`` returns one of its futures; for dask
        ``client.get_executor()``. Start processes by spawning, not forking. It is not shut down, but Ctrl-C kills its
        processes, since nobody would read the rows of the cells that have begun. Default: this thread.
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
        If a part of the store is damaged (its cells are computed again), other versions wrote the store, or `run_cell`
        is no longer the one that wrote a row.

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
    jobs = jobs_of(cells, seed=seed, name=name, version=version, shard=shard)
    _check_call(run_cell, executor)
    _check.flag("progress", progress)
    kept, written = _store(store), fingerprint(run_cell)
    done: dict[int, list[Row]] = {}
    if kept:
        done = kept.read(jobs, written)
    todo = {i: job for i, job in enumerate(jobs) if i not in done}
    if executor is not None and todo:
        end_with_this_process(executor)
        _check_submit(run_cell, next(iter(todo.values())), executor)
    if kept:
        kept.open()
    header = {"name": name, "seed": int(seed), "version": int(version), "run_cell": written}
    with kept.segment(header) if kept else nullcontext() as segment:
        sweep = _Sweep(jobs, kept, segment, done, errors={})
        sweep.compute(run_cell, todo, executor, _around_cells(progress, name, len(jobs), len(done)))
    return sweep.rows()


def rng_for(cell: Cell, *, seed: int, name: str = "", version: int = 1) -> np.random.Generator:
    """The random stream that `run` gives to a cell, to replay it by hand.

    Parameters
    ----------
    cell : dict
        The cell; no other cell of the grid matters.
    seed, name, version : int, str, int
        As for `run`.

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
    return stream_of(cell, seed=seed, name=name, version=version)


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
    cells, seed, name, version, store, shard : iterable of dict, int, str, int, path, (int, int)
        As for `run`; the store need not exist.

    Returns
    -------
    list of dict
        The cells as `run_cell` would get them, in their order.

    Raises
    ------
    ValueError, TypeError
        If an argument is malformed.
    OSError
        If `store` cannot be read.

    Warns
    -----
    StoreWarning
        If a part of the store is damaged.

    Examples
    --------
    >>> pending([{"n": 10.0}, {"n": 20.0}], seed=0)
    [{'n': 10}, {'n': 20}]
    """
    jobs, kept = jobs_of(cells, seed=seed, name=name, version=version, shard=shard), _store(store)
    finished = kept.read(jobs, None) if kept else {}
    return [job.cell for i, job in enumerate(jobs) if i not in finished]
