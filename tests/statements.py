"""What a test marked ``statement`` owes: it passes, and fails once the bound it names is moved by one per cent.

A wing takes part by importing the hook in its conftest.py, and is then listed in test_statements.py.
"""

import importlib

import pytest

MOVES = (1.01, 1 / 1.01)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    result = yield
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    for mark in pyfuncitem.iter_markers("statement"):
        module, _, name = mark.args[0].rpartition(".")
        stated = getattr(importlib.import_module(module), name)
        for move in MOVES:

            def moved(*args, stated=stated, move=move, **kwargs):
                return move * stated(*args, **kwargs)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(mark.args[0], moved)
                try:
                    pyfuncitem.obj(**arguments)
                except AssertionError:
                    continue
            pytest.fail(f"the test passes with {mark.args[0]} times {move:.3f}, too")
    return result
