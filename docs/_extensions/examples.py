"""Examples that can be pasted: the imports that an example needs stand above it.

A doctest runs in the namespace of its module, so the docstrings do not import what the module has. A reader's
interpreter has none of it.
"""

import ast
import builtins
import doctest
import importlib
import inspect
from types import ModuleType
from typing import Any

from sphinx.application import Sphinx

from _extensions import _names

USUAL = {"numpy": "import numpy as np", "math": "import math", "pathlib": "from pathlib import Path"}


def add_imports(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Insert the import lines before the first example of a docstring."""
    first = next((i for i, line in enumerate(lines) if line.lstrip().startswith(">>> ")), None)
    owner = thing.fget if isinstance(thing, property) else thing
    module = inspect.getmodule(owner)
    if first is None or module is None:
        return
    indent = lines[first][: len(lines[first]) - len(lines[first].lstrip())]
    lines[first:first] = [f"{indent}>>> {line}" for line in imports("\n".join(lines), module)]


def imports(docstring: str, module: ModuleType) -> list[str]:
    """What the examples of a docstring of this module must import first."""
    code = "".join(example.source for example in doctest.DocTestParser().get_examples(docstring))
    lines: dict[str, None] = {}
    for name in missing(code):
        if (line := import_line(name, vars(module).get(name), module)) is not None:
            lines[line] = None
    return sorted(lines, key=lambda line: (line.startswith("from pessimism"), line))


def missing(code: str) -> list[str]:
    """Names that a program reads and nowhere makes."""
    tree = ast.parse(code)
    made = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    made |= {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    made |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    made |= {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}
    made |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    read = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    return [name for name in dict.fromkeys(read) if name not in made and not hasattr(builtins, name)]


def import_line(name: str, value: Any, module: ModuleType) -> str | None:
    """How a reader imports this name, at the path by which the book documents it."""
    if isinstance(value, ModuleType):
        if value.__name__ in USUAL:
            return USUAL[value.__name__]
        package, _, last = value.__name__.rpartition(".")
        return f"from {package} import {last}" if package else f"import {last}"
    if _names.documented(value):
        full = _names.canonical().get(
            f"{value.__module__}.{value.__qualname__}", f"{value.__module__}.{value.__qualname__}"
        )
    else:
        homes = [home for home, names in _names.home().items() if name in names]
        full = f"{homes[0] if homes else module.__name__}.{name}"
    where, _, last = full.rpartition(".")
    return f"from {where} import {last}" if hasattr(importlib.import_module(where), last) else None


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", add_imports, priority=400)  # before numpydoc, which rewrites the sections
    return {"parallel_read_safe": True, "parallel_write_safe": True}
