"""List the simulations, or run one, resume it, and draw it."""

import argparse
import ast
import importlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from . import _rows, begin_worker, expect_imitation

HERE = Path(__file__).parent


def simulations() -> dict[str, str]:
    """Name -> first line of the docstring, read without importing anything."""
    files = sorted(file for file in HERE.glob("*.py") if not file.stem.startswith("_"))
    docs = {file.stem.replace("_", "-"): ast.get_docstring(ast.parse(file.read_text())) or "" for file in files}
    return {name: doc.partition("\n")[0] for name, doc in docs.items()}


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pessimism simulations", description="Run a simulation and draw its figure.")
    parser.add_argument("name", nargs="?", metavar="NAME", help="which one, or 'all'; without it they are listed")
    parser.add_argument("--profile", choices=("quick", "full"), default="quick", help="quick (default) or publication")
    parser.add_argument("--workers", type=positive, default=os.cpu_count(), metavar="N", help="default: all cores")
    parser.add_argument("--executor", choices=("threads", "processes", "dask"), default="threads")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a running dask scheduler; default: a local cluster")
    parser.add_argument("--shard", type=shard, metavar="I/N", help="every N-th cell from I, counted from 0; no figure")
    parser.add_argument("--store", type=Path, default=Path(".sweeps"), metavar="DIR", help="finished cells (.sweeps)")
    parser.add_argument("--out", type=Path, default=Path("figures"), metavar="DIR", help="figures and rows (figures)")
    parser.add_argument("--redraw", action="store_true", help="also where the rows are those of the last run")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument("--dry-run", action="store_true", help="say how many cells are done and to do")
    options = parser.parse_args(arguments)
    known = simulations()
    if options.name is not None and options.name != "all" and options.name not in known:
        parser.error(f"no simulation {options.name!r}; there are: {', '.join(known)}, all")
    if options.name is None and len(sys.argv[1:] if arguments is None else arguments):
        parser.error("which simulation? NAME is missing")
    if options.scheduler and options.executor != "dask":
        parser.error("--scheduler goes with --executor dask")
    if options.seed < 0:
        parser.error(f"--seed must be at least 0, got {options.seed}")
    return options


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def shard(text: str) -> tuple[int, int]:
    index, slash, count = text.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise argparse.ArgumentTypeError(f"must be I/N with 0 <= I < N, as in 0/4, got {text!r}")
    return int(index), int(count)


@contextmanager
def executor(options: argparse.Namespace) -> Iterator[Any]:
    """The engine asked for; cells not yet begun are dropped when the sweep is interrupted."""
    if options.executor == "dask":
        distributed: Any = importlib.import_module("distributed")  # partly typed
        if options.scheduler:
            with distributed.Client(options.scheduler) as client:
                yield client.get_executor()
            return
        local = distributed.LocalCluster(options.workers, threads_per_worker=1, dashboard_address=None)
        with local as cluster, distributed.Client(cluster) as client:
            client.run(begin_worker)
            yield client.get_executor()
        return
    if options.executor == "threads":
        from concurrent.futures import ThreadPoolExecutor

        pool: Any = ThreadPoolExecutor(options.workers)
    else:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        # a worker that Ctrl-C stops while it holds a queue would leave the others waiting for ever: only we are stopped
        pool = ProcessPoolExecutor(options.workers, get_context("spawn"), initializer=begin_worker)
    try:
        yield pool
    finally:
        stop(pool)


def stop(pool: Any) -> None:
    """Drop the cells that have not begun and wait for those that threads have; a second Ctrl-C does not wait."""
    workers = list((getattr(pool, "_processes", None) or {}).values())
    try:
        pool.shutdown(wait=True, cancel_futures=True)
    except KeyboardInterrupt:
        for worker in workers:
            worker.kill()
        print("\nStopped at once. The same command continues where this one stopped.", file=sys.stderr, flush=True)
        os._exit(130)  # an interpreter that ends in the usual way would wait for the cells after all


def run(name: str, options: argparse.Namespace) -> None:
    from pessimism import sweep

    module: ModuleType = importlib.import_module(f".{name.replace('-', '_')}", __package__)
    cells = module.GRID[options.profile]
    identity = {"seed": options.seed, "name": name, "version": module.VERSION, "store": options.store}
    if options.dry_run:
        todo = len(sweep.pending(cells, shard=options.shard, **identity))
        total = len(cells[options.shard[0] :: options.shard[1]] if options.shard else cells)
        print(f"{name}: {total - todo} of {total} cells done, {todo} to do")
        return
    options.out.mkdir(parents=True, exist_ok=True)  # an output folder that cannot be is found out before the work
    began = time.perf_counter()
    with executor(options) as pool:
        rows = sweep.run(module.run_cell, cells, executor=pool, shard=options.shard, **identity)
    if options.shard:
        print(f"{name}: shard {options.shard[0]}/{options.shard[1]} done; run without --shard to collect and draw")
        return
    stem = name if options.profile == "quick" else f"{name}-{options.profile}"
    done = draw(module, rows, options.out / stem, anew=options.redraw)
    print(f"{name}: {done} ({time.perf_counter() - began:.0f} s)")


def draw(module: Any, rows: Sequence[dict[str, Any]], stem: Path, *, anew: bool) -> str:
    """Write the figure and its rows, unless those that are there differ by rounding only; say what was done."""
    from pessimism import plotting

    table, picture = Path(f"{stem}.csv"), Path(f"{stem}.png")
    old = _rows.kept(rows, table, getattr(module, "ROUNDING_FLOOR", 0.0))
    if old is not None and picture.exists() and not anew:
        return f"{table}, {picture} unchanged"
    moved = table.exists() and old is None
    shown = [_rows.printed(row) for row in rows] if old is None else old
    with plotting.style():
        files = plotting.save(module.plot(shown), stem)
    if old is None:
        _rows.write(shown, table)  # last: rows that are there vouch for the picture
    told = ", ".join(map(str, files))
    if moved:
        told += "; its rows moved"
        told += f" (the last bit of a number: {module.LAST_BIT})" if hasattr(module, "LAST_BIT") else ""
    return told


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    known = simulations()
    if options.name is None:
        width = max(map(len, known))
        print("\n".join(f"{name:<{width}}  {line}" for name, line in known.items()))
        return 0
    from pessimism.sweep import SweepError

    expect_imitation()
    status = 0
    for name in known if options.name == "all" else [options.name]:
        try:
            run(name, options)
        except KeyboardInterrupt as stop:
            print("\n".join(["", f"{name}: interrupted.", *getattr(stop, "__notes__", [])]), file=sys.stderr)
            print("The same command continues where this one stopped.", file=sys.stderr)
            return 130
        except (SweepError, OSError) as error:  # the other simulations can still be drawn
            print("\n".join([f"{name}: {error}", *getattr(error, "__notes__", [])]), file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
