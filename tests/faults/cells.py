"""What the sweeps under test run: importable, because spawned workers import it. ``-m tests.faults.cells`` is a victim.

Everything here is the same in every process, so that files written by any of them can be compared byte by byte.
"""

import os
import resource
import signal
import subprocess
import sys
import time
import warnings
from hashlib import sha256
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info

from pessimism import sweep

SEED, NAME = 20_240_607, "faults"
GRID = [{"n": n, "c": c, "block": block} for n in (10.0, 100, float("inf")) for c in (0.5, 2) for block in range(4)]
ROOT = Path(__file__).parents[2]
PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
FUSE = "PESSIMISM_TEST_FUSE"


def draws(cell, rng):
    """Two rows; a solve large enough for BLAS to use threads if it may, which would move the last bits."""
    x = rng.normal(size=(150, 150))
    solved = np.linalg.solve(x @ x.T + np.eye(150), x[0])
    return [{"rule": "a", "mean": solved.mean(), "top": np.inf}, {"rule": "b", "mean": x.mean(), "first": x[0, :3]}]


def slow(cell, rng):
    time.sleep(0.03)
    return draws(cell, rng)


def sleeps(cell, rng):
    """For longer than any test, once it has said where; the first cell is done at once."""
    if cell != {"n": 10, "c": 0.5, "block": 0}:
        os.write(1, b"%d\n" % os.getpid())
        time.sleep(600)
    return draws(cell, rng)


def long(cell, rng):
    """Only one row, but a line of about 3 kB in the last block."""
    return {"x": rng.random(150 if cell["block"] == 3 else 2)}


def fails_at_100(cell, rng):
    if cell["n"] == 100:
        raise LookupError(f"no data at c = {cell['c']}")
    return draws(cell, rng)


class UnbuildableError(Exception):
    """Pickles, but its pickle cannot be loaded: in a bare process pool that breaks the pool."""

    def __init__(self, cell, reason):
        super().__init__(f"{reason} in {cell}")


def raises_unbuildable(cell, rng):
    raise UnbuildableError(cell, "lost")


def blows_its_fuse(cell, rng):
    """Kill the worker, once: the fuse is a file that exists before the first time."""
    if cell["block"] == 2 and (fuse := Path(os.environ[FUSE])).exists():
        fuse.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return slow(cell, rng)


def counts_blas_threads(cell, rng):
    # imported here, as a user's cell would: it loads a second BLAS
    import scipy.linalg  # noqa: F401  the BLAS whose threads are counted

    return {"threads": max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")}


def run(store, run_cell=draws, **options):
    """A sweep whose store may hold rows of the other functions here, which compute the same."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "run_cell is no longer the one", sweep.StoreWarning)
        return sweep.run(run_cell, GRID, seed=SEED, name=NAME, store=store, **({"progress": False} | options))


def python(*arguments):
    """A process that can import the package and the tests."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, *map(str, arguments)], env=environment, cwd=ROOT, text=True, **PIPES)


def start(store, run_cell, *, file_size_limit=0):
    """A sweep in a process of its own."""
    return python("-m", "tests.faults.cells", store, run_cell.__name__, file_size_limit)


def resume(store, done):
    """What an error says of a sweep that has got so far."""
    return f"{done} of {len(GRID)} cells are in {store}; run again with the same store to resume."


def rows_in(store):
    """{key: JSON text of its rows} of all whole lines of all segments, read without the package."""
    found = {}
    for path in Path(store).glob("rows-*.jsonl"):
        for line in path.read_text().splitlines(keepends=True):
            checksum, _, body = line.partition(" ")
            if line.endswith("\n") and checksum == sha256(body[:-1].encode()).hexdigest()[:16]:
                key, _, text = body[:-1].partition(" ")
                found[key] = text
    found.pop("header", None)
    return found


def wait_until(happened, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"it has not happened within {seconds} s"
        time.sleep(0.002)


def wait_for_rows(store, count):
    wait_until(lambda: len(rows_in(store)) >= count)


if __name__ == "__main__":
    if limit := int(sys.argv[3]):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    # by its importable module, not __main__, so that nothing in the rows depends on how this was started
    from tests.faults import cells

    cells.run(sys.argv[1], getattr(cells, sys.argv[2]))
