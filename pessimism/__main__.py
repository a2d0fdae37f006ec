"""The command of the package: ``python -m pessimism compile`` and ``python -m pessimism version``."""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence

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
    """Make all first calls, a line for each wing, then delete the folders that older sources have left."""
    from pessimism import _compiled, _first_calls
    from pessimism._batch import one_blas_thread

    folder = _compiled.cache_folder()
    if folder is None:
        print("No folder can be written: set NUMBA_CACHE_DIR to one that can.", file=sys.stderr)
        return 1
    with one_blas_thread():
        for wing, calls in _first_calls.WINGS.items():
            began = time.perf_counter()
            print(f"{wing} ...", end=" ", flush=True)
            calls()
            print(f"{time.perf_counter() - began:.1f} s", flush=True)
    stale = _compiled.stale_folders()
    for old in stale:
        shutil.rmtree(old, ignore_errors=True)
    print(f"The compiled kernels are in {folder}; folders of older sources deleted: {len(stale)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
