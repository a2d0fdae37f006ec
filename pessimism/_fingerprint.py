"""What can be known of a function from outside: a hash that changes when its meaning may have changed.

It covers the syntax of the source (not comments, docstrings or layout) and the constants that the function reads: its
defaults, its closure, the arguments of a partial, and of its module the functions (also decorated, cached or compiled
ones), the classes, the upper-case constants and whatever is plain and never changes in place, but for what the function
itself declares global. Functions and classes of the same module count with their own source, those of other modules by
name: their source changes with every release. Where there is no source, compiled code stands for it. Of an object, its
class counts, and its state only if it is a frozen dataclass.
"""

import ast
import dis
import functools
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np

PLAIN = (int, float, complex, str, bytes, bool, type(None), range, np.generic)


def fingerprint(function: Callable[..., Any]) -> str | None:
    """A hash of 16 hexadecimal digits; None for what is not written in Python."""
    inner: Any = function
    while not isinstance(inner, FunctionType):
        if (beneath := _beneath(inner)) is None and not isinstance(inner, type):
            beneath = getattr(inner.__call__, "__func__", None)
        if beneath is None:
            return None
        inner = beneath
    try:
        parts = _Reader(inner.__module__).parts([inner, function], {})
    except (OSError, TypeError, SyntaxError, ValueError, RecursionError):
        return None
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _beneath(value: Any) -> Any:
    """What a partial, a method, or an object that a decorator made (a cache, a kernel) calls; None of what is none."""
    if isinstance(value, functools.partial):
        return value.func
    if isinstance(value, (MethodType, staticmethod, classmethod)):
        return value.__func__
    if isinstance(value, property):
        return value.fget
    return None if isinstance(value, (type, FunctionType)) else getattr(value, "__wrapped__", None)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads values as nested lists of text; `seen` holds what has been read, which may be shared or refer to itself."""

    module: str

    def parts(self, value: Any, seen: dict[int, Any]) -> Any:
        if isinstance(value, (np.ndarray, np.generic)) and not value.dtype.hasobject:
            return value.dtype.str, value.shape, hashlib.sha256(value.tobytes()).hexdigest()
        if isinstance(value, PLAIN):
            return type(value).__name__, repr(value)
        if isinstance(value, (set, frozenset)):  # in no order, so that no entry may count on another
            return sorted(repr(self.parts(entry, dict(seen))) for entry in value)
        if isinstance(value, (tuple, list)):
            return [self.parts(entry, seen) for entry in value]
        if isinstance(value, dict):
            return [(self.parts(key, seen), self.parts(entry, seen)) for key, entry in value.items()]
        if isinstance(value, CodeType):
            return value.co_code.hex(), value.co_names, [self.parts(entry, seen) for entry in value.co_consts]
        if id(value) in seen:
            return "seen", getattr(value, "__qualname__", "")
        seen[id(value)] = value
        if isinstance(value, functools.partial):
            return [self.parts(part, seen) for part in (value.func, value.args, value.keywords)]
        if isinstance(value, FunctionType):
            return self.of_function(value, seen)
        if isinstance(value, type):
            return self.of_class(value, seen)
        beneath = self.parts(_beneath(value), seen)
        return beneath, self.of_object(value.__self__ if isinstance(value, MethodType) else value, seen)

    def of_function(self, function: FunctionType, seen: dict[int, Any]) -> Any:
        space, wrapped = function.__globals__, getattr(function, "__wrapped__", None)
        if space.get("__name__") != self.module and function.__module__ != self.module:
            return function.__module__, function.__qualname__
        if space.get("__name__", self.module) != self.module and wrapped is not None:  # by another's decorator
            return space["__name__"], self.parts(wrapped, seen)
        tree = _syntax(function.__code__)
        own = {name for node in _walk(tree) if isinstance(node, ast.Global) for name in node.names}
        known = {
            name: space[name] for name in set(_names(function.__code__)) - own if name in space and name[:2] != "__"
        }
        read = {name: value for name, value in known.items() if name.isupper() or self.is_constant(value)}
        read |= inspect.getclosurevars(function).nonlocals
        return [
            tree if isinstance(tree, str) else ast.unparse(tree),
            self.parts(dict(sorted(read.items())), seen),
            self.parts((function.__defaults__, function.__kwdefaults__ or {}), seen),
        ]

    def of_class(self, kind: type, seen: dict[int, Any]) -> Any:
        if kind.__module__ != self.module:
            return kind.__module__, kind.__qualname__
        # not what was made for the class from text, as the methods of a dataclass are: other Pythons make others
        members = {
            name: member
            for name, member in vars(kind).items()
            if self.is_constant(member)
            and getattr(getattr(member, "__code__", None), "co_filename", "") != "<string>"
            and name not in ("__module__", "__doc__", "__firstlineno__", "__static_attributes__")
        }
        return [self.parts(kind.__bases__, seen), self.parts(dict(sorted(members.items())), seen)]

    def of_object(self, value: Any, seen: dict[int, Any]) -> Any:
        kind = value if isinstance(value, type) else type(value)
        if kind.__module__ != self.module:
            return "opaque"
        state = [getattr(value, field.name, None) for field in fields(kind)] if self.is_frozen(value) else []
        return self.parts(kind, seen), self.parts(state, seen)

    def is_constant(self, value: Any) -> bool:
        if isinstance(value, tuple):
            return all(map(self.is_constant, value))
        if isinstance(value, type):
            return value.__module__ == self.module
        return isinstance(value, (*PLAIN, FunctionType)) or _beneath(value) is not None or self.is_frozen(value)

    def is_frozen(self, value: Any) -> bool:
        """Whether a value is an instance of a frozen dataclass of the module."""
        kind = type(value)
        return kind.__module__ == self.module and is_dataclass(kind) and bool(kind.__dataclass_params__.frozen)  # type: ignore[attr-defined]


def _names(code: CodeType) -> Iterator[str]:
    """The globals that a function reads, and that the functions and comprehensions in it do; attributes are none."""
    yield from (step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL")
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _syntax(code: CodeType) -> ast.AST | str:
    try:
        source = textwrap.dedent(inspect.getsource(code))
    except (OSError, TypeError):
        return repr(_Reader("").parts(code, {}))
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
