"""Decisions from limited data, and the composition of that data."""

import importlib
from typing import TYPE_CHECKING, Any

from pessimism._version import __version__

if TYPE_CHECKING:
    from pessimism import bandits, bilevel, interop, mdp, plotting, rates, sweep, tasks, testing

__all__ = [
    "__version__",
    "bandits",
    "bilevel",
    "interop",
    "mdp",
    "plotting",
    "rates",
    "sweep",
    "tasks",
    "testing",
]


def __getattr__(name: str) -> Any:
    # a part is imported when it is first used, as SPEC 1 proposes: the package itself loads nothing
    if name in __all__:
        return importlib.import_module(f"pessimism.{name}")
    raise AttributeError(f"module 'pessimism' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
