"""The command of the package: ``python -m pessimism compile`` and ``python -m pessimism version``."""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from pessimism._version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m pessimism", description="Tools around the library.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("compile", help="compile every kernel now, so that no later process has to")
    commands.add_parser("version", help="print the version")
    if parser.parse_args(arguments).command == "compile":
        return compile_everything()
    print(__version__)
    return 0


def compile_everything() -> int:
    """Make all first calls, in several processes; then delete what older sources have left."""
    from pessimism import _compiled, _first_calls

    folder = _compiled.cache_folder()
    if folder is None:
        print("No folder can be written: set NUMBA_CACHE_DIR to one that can.", file=sys.stderr)
        return 1
    # Numba compiles in one thread at a time
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        began = time.perf_counter()
        parts = {pool.submit(calls): part for part, calls in _first_calls.PARTS.items()}
        for number, future in enumerate(as_completed(parts), 1):
            future.result()
            seconds = time.perf_counter() - began
            print(f"{number} of {len(parts)}: {parts[future]}, after {seconds:.0f} s", flush=True)
    stale = _compiled.stale_folders()
    for old in stale:
        shutil.rmtree(old, ignore_errors=True)
    print(f"The compiled kernels are in {folder}; folders of older sources deleted: {len(stale)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
