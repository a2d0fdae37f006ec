"""Hypothesis profiles, sizes without the compiler, the list of allowed skips, and which tests enter which kernels."""

import importlib
import os
import pkgutil
import signal
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import pessimism
import pessimism._compiled
from tests.statements import pytest_pyfunc_call as pytest_pyfunc_call

COMPILED = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")
ALLOWED_SKIPS = Path(__file__).parent / "skips.txt"

# derandomised, so that a red test is a change in behaviour; `make deep` draws new examples
settings.register_profile("default", deadline=None, max_examples=30, derandomize=True)
settings.register_profile("plain", deadline=None, max_examples=15, derandomize=True)
settings.register_profile("deep", deadline=None, max_examples=5000)
settings.load_profile("default" if COMPILED else "plain")

entered: set[str] = set()
"""Kernels that Python has called in this process; without the compiler also those that kernels have called."""


def watch_kernels() -> None:
    if COMPILED:
        from numba.core.dispatcher import Dispatcher

        call = Dispatcher.__call__

        def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
            entered.add(f"{self.__module__}.{self.__name__}")
            return call(self, *args, **kwargs)

        Dispatcher.__call__ = watched
        return

    def recorded(function: Callable[..., Any], _signature: Any) -> Callable[..., Any]:
        name = f"{function.__module__}.{function.__name__}"

        @wraps(function)
        def call(*args: Any) -> Any:
            entered.add(name)
            return function(*args)

        call.is_kernel = True
        return call

    pessimism._compiled._dispatcher = recorded


watch_kernels()


def with_entry(kernel: Any) -> Any:
    """A kernel that only kernels call, compiled again with an entry from Python, for its test."""
    from numba import njit

    return njit(kernel.py_func) if hasattr(kernel, "py_func") else kernel


def kernels() -> dict[str, Any]:
    """All kernels of the package by name."""
    found = {}
    for info in pkgutil.walk_packages(pessimism.__path__, "pessimism."):
        if "._engine" in info.name or ".methods." in info.name or info.name.count("._") == 1:
            for name, value in vars(importlib.import_module(info.name)).items():
                if (hasattr(value, "py_func") or hasattr(value, "is_kernel")) and value.__module__ == info.name:
                    found[f"{info.name}.{name}"] = value
    return found


@pytest.fixture(autouse=True)
def enters_a_kernel(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test marked `kernels` is run again without the compiler, which is a waste unless it enters a kernel."""
    if request.node.get_closest_marker("kernels") is None:
        yield
        return
    before = set(entered)
    entered.clear()
    yield
    none = not entered
    entered.update(before)
    if none:
        pytest.fail("marked `kernels`, but it enters none")


@pytest.fixture(scope="session")
def sized() -> Callable[[int, int], int]:
    """sized(compiled, plain): the size of a test with the compiler, and the lower one without it."""
    return lambda compiled, plain: compiled if COMPILED else plain


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not COMPILED:
        for item in items:
            if item.get_closest_marker("compiled_only"):
                item.add_marker(pytest.mark.skip(reason="compiled_only: needs the compiler"))


def pytest_testnodedown(node: Any) -> None:
    entered.update(node.workeroutput.get("entered", ()) if hasattr(node, "workeroutput") else ())


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A skip that nobody agreed to is a failure: tests/skips.txt lists the agreed ones, `where: reason`.

    So is a kernel that the run without the compiler, whose job is to check their bounds, never entered.
    """
    if hasattr(session.config, "workerinput"):
        session.config.workeroutput["entered"] = sorted(entered)
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    complaints = []
    allowed = {line for line in ALLOWED_SKIPS.read_text().splitlines() if line and not line.startswith("#")}
    for report in reporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        entry = f"{report.nodeid}: {reason.removeprefix('Skipped: ')}"
        if entry not in allowed:
            complaints.append(f"not in tests/skips.txt: {entry}")
    whole = session.config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if not COMPILED and whole and session.config.option.markexpr == "kernels":
        complaints += [f"never entered without the compiler: {name}" for name in sorted(kernels().keys() - entered)]
    for complaint in complaints:
        reporter.write_line(complaint, red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C as in a terminal; a shell that starts the tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
