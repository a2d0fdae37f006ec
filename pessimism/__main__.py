"""The command of the package, `pessimism` or `python -m pessimism`: simulations, theorems, compile, version."""

import argparse
import importlib
import importlib.metadata
import os
import platform
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any

from pessimism._version import __version__

REPORTED = ("numpy", "scipy", "numba", "llvmlite", "cvxpy", "matplotlib", "hypothesis")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="pessimism", description="Tools around the library.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    # its options are its own, --help included
    commands.add_parser("simulations", help="list the simulations, or run one and draw its figure", add_help=False)
    theorems = commands.add_parser("theorems", help="print the statements the package knows")
    theorems.add_argument("word", nargs="?", default="", metavar="WORD", help="those that mention it, whole")
    commands.add_parser("compile", help="compile every kernel now, so that no later process has to")
    commands.add_parser("version", help="print the versions that matter for a bug report")
    options, others = parser.parse_known_args(arguments)
    if options.command == "simulations":
        return int(simulations().main(others))
    if others:
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    if options.command == "compile":
        return compile_everything()
    if options.command == "theorems":
        from pessimism import _theorems

        print(_theorems.printed(options.word))
        return 0
    print(versions())
    return 0


def simulations() -> Any:
    """The simulations' own command: inside the package in a wheel, beside it in a checkout."""
    try:
        return importlib.import_module("pessimism.simulations.__main__")
    except ModuleNotFoundError:
        return importlib.import_module("simulations.__main__")


def versions() -> str:
    """The versions of the package, of Python and of what results depend on, and where compiled kernels are kept."""
    from pessimism import _compiled

    lines = [f"pessimism {__version__}", f"Python {platform.python_version()} on {platform.platform()}"]
    lines += [f"{name} {importlib.metadata.version(name)}" for name in REPORTED]
    return "\n".join([*lines, f"compiled kernels: {_compiled.cache_folder() or 'no folder can be written'}"])


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
