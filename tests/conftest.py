"""Hypothesis profiles, sizes without the compiler, and the list of allowed skips."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

COMPILED = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")
ALLOWED_SKIPS = Path(__file__).parent / "skips.txt"

# derandomised, so that a red test is a change in behaviour; `make deep` draws new examples
settings.register_profile("default", deadline=None, max_examples=100, derandomize=True)
settings.register_profile("plain", deadline=None, max_examples=25, derandomize=True)
settings.register_profile("deep", deadline=None, max_examples=5000)
settings.load_profile("default" if COMPILED else "plain")


@pytest.fixture(scope="session")
def sized() -> Callable[[int, int], int]:
    """sized(compiled, plain): the size of a test with the compiler, and the lower one without it."""
    return lambda compiled, plain: compiled if COMPILED else plain


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not COMPILED:
        for item in items:
            if item.get_closest_marker("compiled_only"):
                item.add_marker(pytest.mark.skip(reason="compiled_only: needs the compiler"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A skip that nobody agreed to is a failure: tests/skips.txt lists the agreed ones, `where: reason`."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput"):
        return
    allowed = {line for line in ALLOWED_SKIPS.read_text().splitlines() if line and not line.startswith("#")}
    for report in reporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        entry = f"{report.nodeid}: {reason.removeprefix('Skipped: ')}"
        if entry not in allowed:
            reporter.write_line(f"not in tests/skips.txt: {entry}", red=True)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def interruptible():
    """Ctrl-C as in a terminal; a shell that starts the tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
