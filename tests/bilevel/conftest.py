"""Methods without their compiled loops."""

import pytest

from pessimism._compiled import plain
from pessimism.bilevel import minimize_bilevel
from pessimism.bilevel._method_run import MethodRun


@pytest.fixture
def uncompiled(monkeypatch):
    """minimize_bilevel on the plain loops, with the stream of the compiled ones."""
    begin = MethodRun.__init__

    def begin_plain(self, *args, **options):
        begin(self, *args, **options)
        self.run = plain(self.run)

    def run(*args, **options):
        with monkeypatch.context() as patch:
            patch.setattr(MethodRun, "__init__", begin_plain)
            return minimize_bilevel(*args, **options)

    return run
