"""Every public bound has a test that proves it, or says how loose it is: one marked with its name (``statement``)."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

WINGS = ("bandits",)  # those whose conftest.py moves every statement by one per cent


@pytest.mark.parametrize("wing", WINGS)
def test_every_bound_has_a_test_that_fails_at_one_per_cent(wing):
    module = importlib.import_module(f"pessimism.{wing}.bounds")
    root = module.__name__
    public = {f"{root}.{name}" for name in module.__all__ if inspect.isfunction(getattr(module, name))}
    text = "".join(path.read_text() for path in Path(__file__).parent.glob(f"{wing}/test_*.py"))
    marked = re.findall(r'statement\(f?"([^"]+)"\)', text.replace("{ROOT}", root))
    assert len(public) > 10
    assert set(marked) == public
