"""Whatever dies, however and whenever: the rows in the end are the bytes of an undisturbed sweep.

`PESSIMISM_KILLS` is the number of times the parent is killed.
"""

import logging
import math
import os
import signal
import sys
import threading
import time
import warnings
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import joblib
import numpy as np
import pytest

from pessimism.sweep import SweepError
from tests.faults import cells
from tests.faults.cells import GRID, resume, rows_in, wait_for_rows, wait_until

KILLS = int(os.environ.get("PESSIMISM_KILLS", 4))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    store = tmp_path_factory.mktemp("undisturbed")
    return cells.run(store), rows_in(store)


@pytest.fixture(scope="module")
def client():
    import distributed

    with (
        warnings.catch_warnings(),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        warnings.simplefilter("ignore")  # those of dask's own threads
        yield client


def test_killed_parents_resume_to_the_same_bytes(tmp_path, undisturbed):
    """Kills uniform over the length of a sweep; the first waits for a row, so that one at least is in mid-grid."""
    moments = np.random.default_rng().uniform(size=KILLS)
    began = time.monotonic()
    cells.start(tmp_path / "timed", cells.slow).communicate()
    length = time.monotonic() - began
    in_mid_grid, sweeps = 0, 0
    store = tmp_path / "0"
    for kill, moment in enumerate(moments):
        victim = cells.start(store, cells.slow)
        if kill:
            time.sleep(moment * length)
        else:
            wait_for_rows(store, 1)
        victim.kill()
        victim.communicate()
        in_mid_grid += 0 < len(rows_in(store)) < len(GRID)
        if len(rows_in(store)) == len(GRID):
            assert rows_in(store) == undisturbed[1], f"moments {moments}"
            sweeps += 1
            store = tmp_path / str(sweeps)
    assert cells.run(store) == undisturbed[0], f"moments {moments}"
    assert rows_in(store) == undisturbed[1], f"moments {moments}"
    assert in_mid_grid >= (KILLS // 4 if KILLS >= 100 else 1)


def test_a_killed_worker_ends_the_sweep_with_one_sentence_and_it_resumes(tmp_path, monkeypatch, undisturbed):
    fuse, store = tmp_path / "fuse", tmp_path / "store"
    fuse.touch()
    monkeypatch.setenv(cells.FUSE, str(fuse))
    with (
        ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool,
        pytest.raises(SweepError) as stopped,
    ):
        cells.run(store, cells.blows_its_fuse, executor=pool)
    done = len(rows_in(store))
    assert done < len(GRID)
    assert str(stopped.value) == f"The executor lost its workers: {resume(store, done)}"
    assert stopped.value.failures == []
    assert len(stopped.value.rows) == 2 * done
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert cells.run(store, cells.blows_its_fuse, executor=pool) == undisturbed[0]
    assert rows_in(store) == undisturbed[1]


def test_a_pool_that_is_cancelled_is_a_pool_that_died():
    class Cancels(ThreadPoolExecutor):
        def submit(self, fn, /, *args):
            future = super().submit(fn, *args)
            if args[1] == {"n": math.inf, "c": 2, "block": 3}:  # the last
                self.shutdown(wait=False, cancel_futures=True)
            return future

    with pytest.raises(SweepError, match=r"lost its workers: \d+ of 24 cells were done; with a store") as stopped:
        cells.run(None, cells.slow, executor=Cancels(1))
    assert stopped.value.failures == []


def notes(store, done):
    """What may be said of `done` rows: Ctrl-C can fall between the writing of a line and the counting of it."""
    return resume(store, done - 1), resume(store, done)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_says_how_to_resume(tmp_path, undisturbed):
    store = tmp_path / "store"
    victim = cells.start(store, cells.slow)
    wait_for_rows(store, 2)
    victim.send_signal(signal.SIGINT)
    _, stderr = victim.communicate()
    assert victim.returncode == -signal.SIGINT
    done = len(rows_in(store))
    assert 2 <= done < len(GRID)
    assert "KeyboardInterrupt" in stderr
    assert stderr.rstrip().endswith(notes(store, done))
    assert not list(store.glob("*.tmp"))
    assert cells.run(store) == undisturbed[0]
    assert rows_in(store) == undisturbed[1]


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_cancels_what_waits_and_leaves_the_executor_alive(tmp_path):
    def interrupts_the_parent(cell, rng):
        if cell == {"n": 10, "c": 0.5, "block": 2}:
            wait_for_rows(tmp_path, 2)
            time.sleep(0.1)  # now the parent waits for this cell
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.3)
        return cells.draws(cell, rng)

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(KeyboardInterrupt) as interrupt:
            cells.run(tmp_path, interrupts_the_parent, executor=pool)
        assert pool.submit(abs, -1).result(timeout=10) == 1  # at once: nothing of the sweep is left before it
    done = len(rows_in(tmp_path))
    assert done <= 3
    assert len(interrupt.value.__notes__) == 1
    assert interrupt.value.__notes__[0] in notes(tmp_path, done)


def test_dask_gives_the_same_bytes(tmp_path, client, undisturbed):
    assert cells.run(tmp_path, executor=client.get_executor()) == undisturbed[0]
    assert rows_in(tmp_path) == undisturbed[1]


def test_dask_recomputes_what_a_killed_worker_held(tmp_path, client, undisturbed):
    workers = list(client.run(os.getpid).values())
    rows_at_kill = []

    def kill():
        wait_for_rows(tmp_path, 3)
        os.kill(workers[0], signal.SIGKILL)
        rows_at_kill.append(len(rows_in(tmp_path)))

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        rows = cells.run(tmp_path, cells.slow, executor=client.get_executor())
    finally:
        killer.join()
    assert 0 < rows_at_kill[0] < len(GRID)
    assert rows == undisturbed[0]
    assert rows_in(tmp_path) == undisturbed[1]


def test_rows_that_came_back_before_a_death_are_kept(undisturbed):
    """Dask's deaths are matched by name, so a new name upstream must be noticed here."""
    import distributed

    class Pool:
        def __init__(self, error):
            self.error = error

        def submit(self, fn, /, run_cell, cell, *args):
            future = Future()
            if cell == {"n": 10, "c": 0.5, "block": 0}:
                future.set_exception(self.error)
            else:
                future.set_result(fn(run_cell, cell, *args))
            return future

    for error in (distributed.scheduler.KilledWorker("key", None, 3), distributed.comm.CommClosedError("gone")):
        with pytest.raises(SweepError, match="lost its workers: 23 of 24") as stopped:
            cells.run(None, executor=Pool(error))
        assert stopped.value.__cause__ is error
        assert stopped.value.rows == undisturbed[0][2:]


def test_a_dask_client_is_not_its_executor(client, tmp_path):
    with pytest.raises(TypeError, match=r"client\.get_executor\(\); got"):
        cells.run(tmp_path / "store", executor=client)
    assert not (tmp_path / "store").exists()


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("engine", ["ProcessPoolExecutor", "ThreadPoolExecutor"])
def test_a_second_ctrl_c_does_not_wait(engine):
    """The first waits for cells that have begun, here for ten minutes."""
    pool = f"{engine}(2" + (", get_context('spawn'), initializer=begin_worker)" if "Process" in engine else ")")
    code = f"""
import time
from concurrent.futures import {engine}
from multiprocessing import get_context
from simulations import begin_worker
from simulations.__main__ import stop
pool = {pool}
asleep = pool.submit(time.sleep, 600)
while not asleep.running():
    time.sleep(0.01)
print("asleep", flush=True)
stop(pool)
"""
    process = cells.python("-c", code)
    assert process.stdout.readline() == "asleep\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "continues where this one stopped" in errors


POOLS = ['ProcessPoolExecutor(3, mp_context=get_context("spawn"))', "loky.ProcessPoolExecutor(3, timeout=600)"]


def script(folder, pool, text):
    path = folder / "script.py"
    path.write_text(f"""
import time
import loky
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pessimism import sweep
from tests.faults import cells
if __name__ == "__main__":
    with {pool} as pool:
        {text}
""")
    return cells.python(path)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("pool", POOLS)
def test_two_ctrl_c_end_a_pool_of_the_user_and_its_workers(pool, tmp_path):
    """A pool that is interrupted while it waits for its cells would wait for ever when Python ends."""
    store = tmp_path / "store"
    process = script(tmp_path, pool, f"cells.run({str(store)!r}, cells.sleeps, executor=pool)")
    workers = {int(process.stdout.readline()) for _ in range(3)}
    wait_for_rows(store, 1)
    time.sleep(0.2)  # the row is counted a little after it is written
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)  # at once, while the first has the workers killed
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert resume(store, 1) in errors
    assert len(workers) == 3
    wait_until(lambda: not any(map(runs, workers)))


@pytest.mark.parametrize("pool", POOLS)
def test_workers_end_with_a_killed_parent(pool, tmp_path):
    """They would wait for a next cell for ever; most of them for a first one, as there is one cell only."""
    run = "sweep.run(cells.draws, cells.GRID[:1], seed=0, executor=pool, progress=False)"
    process = script(tmp_path, pool, f"{run}; print(*pool._processes, flush=True); time.sleep(600)")
    workers = [int(pid) for pid in process.stdout.readline().split()]
    assert workers
    process.kill()
    process.communicate()
    wait_until(lambda: not any(map(runs, workers)))


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Notebook(ProcessPoolExecutor):
    def submit(self, *_):
        pytest.fail("must be refused before anything is sent")


@pytest.mark.parametrize("file", [None, "<stdin>"])
def test_a_function_of_an_interactive_session_is_not_sent_to_processes(file, tmp_path, monkeypatch):
    def run_cell(cell, rng):
        return {}

    run_cell.__module__ = "__main__"
    monkeypatch.setattr(sys.modules["__main__"], "__file__", file, raising=False)
    for function in (run_cell, partial(run_cell)):
        with pytest.raises(ValueError, match=r"run_cell must be importable by the processes.*move it into a module"):
            cells.run(tmp_path / "store", function, executor=Notebook(1))
    assert not (tmp_path / "store").exists()


def test_spawned_processes_cannot_begin_in_a_program_from_a_pipe(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "<stdin>", raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    with pytest.raises(ValueError, match="executor must be threads in a program that is read from a pipe"):
        cells.run(tmp_path / "store", executor=Notebook(1, mp_context=get_context("spawn")))
    assert not (tmp_path / "store").exists()


def test_workers_that_never_begin_are_said_to_be_so():
    class Dead:
        def submit(self, *_):
            future = Future()
            future.set_exception(BrokenProcessPool("gone"))
            return future

    with pytest.raises(SweepError, match=r"lost its workers: 0 of 24.*They finished no cell: .*__main__"):
        cells.run(None, executor=Dead())


def closed(pool):
    pool.shutdown()
    return pool


class TakesNoArguments:
    def submit(self, function):
        return Future()


class Immediate:
    def submit(self, function, *arguments):
        return function(*arguments)


INTERFACE = r"executor must have the interface of concurrent\.futures.*client\.get_executor\(\)"


@pytest.mark.parametrize(
    ("executor", "error", "message"),
    [
        *((wrong, TypeError, INTERFACE) for wrong in (object(), 3, "threads", ThreadPoolExecutor, joblib.Parallel(2))),
        (TakesNoArguments(), TypeError, f"{INTERFACE}; its submit raised TypeError"),
        (Executor(), TypeError, f"{INTERFACE}; its submit raised NotImplementedError"),
        (Immediate(), TypeError, f"{INTERFACE}; its submit returned a NoneType"),
        (closed(ThreadPoolExecutor()), ValueError, "executor must take work.*pass a new one.*after shutdown"),
        (closed(ProcessPoolExecutor()), ValueError, "executor must take work.*pass a new one.*after shutdown"),
    ],
)
def test_what_is_no_executor_is_refused_before_the_store_is_made(tmp_path, executor, error, message):
    with pytest.raises(error, match=message):
        cells.run(tmp_path / "store", executor=executor)
    assert not (tmp_path / "store").exists()
