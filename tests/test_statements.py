"""Every public bound has a test that proves it, or says how loose it is: one marked with its name (``checks``)."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

WINGS = ("bandits", "mdp", "tasks", "bilevel")


@pytest.mark.parametrize("wing", WINGS)
def test_every_bound_has_a_test_that_fails_at_one_per_cent(wing):
    module = importlib.import_module(f"pessimism.{wing}.bounds")
    public = {f"{wing}.{name}" for name in module.__all__ if inspect.isfunction(getattr(module, name))}
    text = "".join(path.read_text() for path in Path(__file__).parent.glob(f"{wing}/test_*.py"))
    assert set(re.findall(r'checks\("([^"]+)"\)', text)) == public
