"""What a test marked ``checks`` owes: it passes, and fails once the statement it names is moved by one per cent."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

MOVES = (1.01, 1 / 1.01)
THRESHOLDS = {"mdp.no_update": "level"}
"""Statements that answer yes or no: they are moved by the argument to which their threshold is proportional."""


def bound(name: str) -> tuple[Any, str]:
    """The module and the function of "bandits.lcb_upper"."""
    wing, function = name.split(".")
    return importlib.import_module(f"pessimism.{wing}.bounds"), function


def scaled(value: Any, move: float) -> Any:
    if isinstance(value, dict):
        return {key: scaled(entry, move) if isinstance(entry, float) else entry for key, entry in value.items()}
    return move * value


def displaced(name: str, stated: Callable[..., Any], move: float) -> Callable[..., Any]:
    """The statement, as wrong as that."""

    def moved(*args: Any, **kwargs: Any) -> Any:
        if name not in THRESHOLDS:
            return scaled(stated(*args, **kwargs), move)
        given = inspect.signature(stated).bind(*args, **kwargs)
        given.arguments[THRESHOLDS[name]] = move * np.asarray(given.arguments[THRESHOLDS[name]])
        return stated(*given.args, **given.kwargs)

    return moved


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    result = yield
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    for name in (name for mark in pyfuncitem.iter_markers("checks") for name in mark.args):
        module, function = bound(name)
        stated = getattr(module, function)
        for move in MOVES:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(module, function, displaced(name, stated, move))
                try:
                    pyfuncitem.obj(**arguments)
                except AssertionError:
                    continue
            pytest.fail(f"the test passes with {name} times {move:.3f}, too")
    return result
