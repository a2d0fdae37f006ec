"""What a test marked ``checks`` owes: it passes, and fails once the statement it names is moved by one per cent."""

import importlib
from typing import Any

import pytest

MOVES = (1.01, 1 / 1.01)


def bound(name: str) -> tuple[Any, str]:
    """The module and the function of "bandits.lcb_upper"."""
    wing, function = name.split(".")
    return importlib.import_module(f"pessimism.{wing}.bounds"), function


def scaled(value: Any, move: float) -> Any:
    if isinstance(value, dict):
        return {key: scaled(entry, move) if isinstance(entry, float) else entry for key, entry in value.items()}
    return move * value


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    result = yield
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    for name in (name for mark in pyfuncitem.iter_markers("checks") for name in mark.args):
        module, function = bound(name)
        stated = getattr(module, function)
        for move in MOVES:

            def moved(*args, stated=stated, move=move, **kwargs):
                return scaled(stated(*args, **kwargs), move)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(module, function, moved)
                try:
                    pyfuncitem.obj(**arguments)
                except AssertionError:
                    continue
            pytest.fail(f"the test passes with {name} times {move:.3f}, too")
    return result
