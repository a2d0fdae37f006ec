"""Every public name of the package, once, at the shortest path by which users import it."""

import importlib
import inspect
import pkgutil
from functools import cache
from types import ModuleType
from typing import Any

import pessimism

# `rules` and `methods` are reached through their wings, which export the functions
REACHED_OTHERWISE = ("rules", "methods")


@cache
def modules() -> tuple[ModuleType, ...]:
    """The public modules, the wings before their parts."""
    found = []
    for entry in pkgutil.walk_packages(pessimism.__path__, "pessimism."):
        parts = entry.name.split(".")
        if not any(part.startswith("_") or part in REACHED_OTHERWISE for part in parts):
            found.append(importlib.import_module(entry.name))
    return tuple(sorted(found, key=lambda module: module.__name__.count(".")))


@cache
def home() -> dict[str, dict[str, Any]]:
    """Module -> its names that are documented there and nowhere else."""
    taken: set[int] = set()
    homes: dict[str, dict[str, Any]] = {}
    for module in modules():
        names = {name: getattr(module, name) for name in getattr(module, "__all__", ())}
        here = {name: value for name, value in names.items() if not isinstance(value, ModuleType)}
        new = {name: value for name, value in here.items() if not (documented(value) and id(value) in taken)}
        taken |= {id(value) for value in new.values() if documented(value)}
        if new:
            homes[module.__name__] = new
    return homes


def documented(value: Any) -> bool:
    """Whether it is a function or a class, which is the same thing under every name."""
    return inspect.isclass(value) or inspect.isroutine(value)


@cache
def canonical() -> dict[str, str]:
    """Full name in the file that defines it -> full name in the book."""
    return {
        f"{value.__module__}.{value.__qualname__}": f"{module}.{name}"
        for module, names in home().items()
        for name, value in names.items()
        if documented(value)
    }
