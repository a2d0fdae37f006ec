"""What the tests of the checks share."""

import pytest

from pessimism.testing import _driver


@pytest.fixture
def hardly_shrunk(monkeypatch):
    """What a message says about the mistake does not depend on how small its example is."""
    monkeypatch.setattr(_driver, "SHRINKS", 3)
