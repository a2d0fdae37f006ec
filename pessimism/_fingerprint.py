"""What can be known of a function from outside: a hash that changes when its meaning may have changed.

It covers the syntax tree of the source (not comments, docstrings or layout) and the constants that the function reads:
its defaults, its closure, the arguments of a partial, and of its module the functions, the upper-case constants and
whatever is plain and never changes in place, but for what the function itself declares global. Functions of the same
module count with their own source, those of other modules by name: their source changes with every release. Where
there is no source, compiled code stands for it. Of a method or an object that is called, its function counts, not its
state.
"""

import ast
import dis
import functools
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np

PLAIN = (int, float, complex, str, bytes, bool, type(None), range, np.generic)


def fingerprint(function: Callable[..., Any]) -> str | None:
    """A hash of 16 hexadecimal digits; None for what is not written in Python."""
    if not isinstance(function, (FunctionType, functools.partial)):
        method: Any = function
        method = method if isinstance(method, MethodType) else method.__call__
        function = getattr(method, "__func__", method)
        if not isinstance(function, FunctionType):
            return None
    try:
        parts = _parts(function, (), None)
    except (OSError, TypeError, SyntaxError, ValueError, RecursionError):
        return None
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _parts(value: Any, seen: tuple[int, ...], module: str | None) -> Any:
    if isinstance(value, (np.ndarray, np.generic)) and not value.dtype.hasobject:
        return value.dtype.str, value.shape, hashlib.sha256(value.tobytes()).hexdigest()
    if isinstance(value, PLAIN):
        return type(value).__name__, repr(value)
    if isinstance(value, (set, frozenset)):
        return sorted(repr(_parts(entry, seen, module)) for entry in value)
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
    if isinstance(value, CodeType):
        return value.co_code.hex(), value.co_names, [_parts(entry, seen, module) for entry in value.co_consts]
    return "opaque"


def _of_function(function: FunctionType, seen: tuple[int, ...]) -> Any:
    tree, module, space = _syntax(function), function.__module__, function.__globals__
    own = {name for node in _walk(tree) if isinstance(node, ast.Global) for name in node.names}
    known = {name: space[name] for name in set(_names(function.__code__)) - own if name in space and name[:2] != "__"}
    constants = {name: value for name, value in known.items() if name.isupper() or _is_constant(value)}
    read = dict(sorted((constants | dict(inspect.getclosurevars(function).nonlocals)).items()))
    defaults = function.__defaults__, function.__kwdefaults__ or {}
    shown = tree if isinstance(tree, str) else ast.dump(tree)
    return [shown, _parts(read, seen, module), _parts(defaults, seen, module)]


def _is_constant(value: Any) -> bool:
    return isinstance(value, (*PLAIN, FunctionType)) or (isinstance(value, tuple) and all(map(_is_constant, value)))


def _names(code: CodeType) -> Iterator[str]:
    """The globals that a function reads, and that the functions and comprehensions in it do; attributes are none."""
    yield from (step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL")
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _syntax(function: FunctionType) -> ast.AST | str:
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        return repr(_parts(function.__code__, (), None))
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a lambda in the middle of a call
        return " ".join(source.split())
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def _walk(tree: ast.AST | str) -> Iterator[ast.AST]:
    return iter(()) if isinstance(tree, str) else ast.walk(tree)
