"""What can be known of a function from outside: a hash that changes when its meaning may have changed.

It covers the syntax tree of the source (not comments, docstrings or layout) and the constants that the function reads:
its defaults, its closure, the arguments of a partial, and the upper-case constants of its module. Functions of the same
module among these count with their own source, those of other modules by name: their source changes with every
release.
"""

import ast
import functools
import hashlib
import inspect
import textwrap
from collections.abc import Callable
from types import FunctionType
from typing import Any

PLAIN = (int, float, complex, str, bytes, bool, type(None))


def fingerprint(function: Callable[..., Any]) -> str | None:
    """A hash of 16 hexadecimal digits; None where there is no source, and for objects that are no functions."""
    if not isinstance(function, (FunctionType, functools.partial)):
        return None
    try:
        parts = _parts(function, (), None)
    except (OSError, TypeError, SyntaxError, ValueError, RecursionError):
        return None
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _parts(value: Any, seen: tuple[int, ...], module: str | None) -> Any:
    if isinstance(value, PLAIN):
        return type(value).__name__, repr(value)
    if isinstance(value, (tuple, list)):
        return [_parts(entry, seen, module) for entry in value]
    if isinstance(value, dict):
        return [(repr(key), _parts(entry, seen, module)) for key, entry in value.items()]
    if isinstance(value, functools.partial):
        return [_parts(part, seen, module) for part in (value.func, value.args, value.keywords)]
    if isinstance(value, FunctionType) and id(value) not in seen:
        if module not in (None, value.__module__):
            return value.__module__, value.__qualname__
        return _of_function(value, (*seen, id(value)))
    return "opaque"


def _of_function(function: FunctionType, seen: tuple[int, ...]) -> Any:
    variables, module = inspect.getclosurevars(function), function.__module__
    constants = {name: value for name, value in variables.globals.items() if name.isupper()}
    read = dict(sorted((constants | dict(variables.nonlocals)).items()))
    defaults = function.__defaults__, function.__kwdefaults__ or {}
    return [_syntax(function), _parts(read, seen, module), _parts(defaults, seen, module)]


def _syntax(function: FunctionType) -> str:
    source = textwrap.dedent(inspect.getsource(function))
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a lambda in the middle of a call
        return " ".join(source.split())
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)
