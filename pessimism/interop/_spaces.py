"""Finite spaces of Gymnasium as positions 0, 1, 2, ..., in row-major order of their parts."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pessimism import _check
from pessimism._optional import optional
from pessimism._shown import shown
from pessimism._types import Ints

LARGEST = 10**9
"""Values of a space that can still be the rows of a table."""


def require_finite(name: str, space: Any, what: str = "") -> Any:
    """The space, if it consists of Discrete, MultiDiscrete and MultiBinary, and has few enough values for a table."""
    spaces = optional("gymnasium.spaces", "rl")
    if not isinstance(space, spaces.Space):
        raise TypeError(f"{name} must be a space of Gymnasium, got {shown(space)}")
    whose = f"{name} must have Discrete {what}" if what else f"{name} must be Discrete"
    for place, part in _leaves(space):
        if not isinstance(part, (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)):
            raise TypeError(
                f"{whose}{place}, got {part}: MultiDiscrete, MultiBinary, and Tuple and Dict of these are read too, "
                "but there are no tables for anything else; make it discrete first"
            )
    if not 1 <= size(space) <= LARGEST or not any(_leaves(space)):
        raise ValueError(f"{whose} with 1 to {LARGEST:,} values, as tables have rows, got {size(space):,} in {space}")
    return space


def size(space: Any) -> int:
    """How many values a space has."""
    return math.prod(math.prod(_digits(part)[0].tolist()) for _, part in _leaves(space))


def encoded(name: str, values: Any, space: Any, axes: int = 1) -> Ints:
    """Positions of values that stand in `axes` axes in front of every array, in the structure of the space."""
    position: Any = None
    for place, part, array in _taken("", values, space, name):
        sizes, starts, shape = _digits(part)
        digits = _check.numeric(f"{name}{place}", array)
        front = digits.shape[:axes] if position is None else position.shape
        if digits.ndim < axes or digits.shape != (*front, *shape):
            got = f"{digits.shape}" + (f" after {front[0]} labels" if position is not None and front else "")
            form = ", ".join([*["n"] * axes, *map(str, shape)]) + ("," if axes + len(shape) == 1 else "")
            steps = ", one label a step" if axes else ""
            raise ValueError(f"{name}{place} must have shape ({form}){steps}, got {got}")
        low, high = starts.reshape(shape), (starts + sizes - 1).reshape(shape)
        good = (digits >= low) & (digits <= high) & ((digits == np.floor(digits)) if digits.dtype.kind == "f" else True)
        expected = f"a whole number in [{low}, {high}]" if not shape else f"of {part}"
        _check.require(f"{name}{place}", digits, np.asarray(good), expected)
        position = np.zeros(front, np.int64) if position is None else position
        for digit, count, start in zip(np.moveaxis(digits.reshape(*front, -1), -1, 0), sizes, starts, strict=True):
            position = position * count + (digit.astype(np.int64) - start)
    return np.asarray(position)


def decoded(position: int, space: Any) -> Any:
    """The value at a position, in the form in which an environment gives and takes it."""
    digits = []
    for count in reversed([int(count) for _, part in _leaves(space) for count in _digits(part)[0]]):
        position, digit = divmod(position, count)
        digits.append(digit)
    return _built(space, iter(digits[::-1]))


def _built(space: Any, digits: Iterator[int]) -> Any:
    parts = _parts(space)
    if parts is not None:
        built = {key: _built(part, digits) for key, part in parts.items()}
        return built if _keyed(space) else tuple(built.values())
    sizes, starts, shape = _digits(space)
    own = np.array([next(digits) for _ in sizes]) + starts
    return own.reshape(shape).astype(space.dtype) if shape else int(own[0])


def _keyed(space: Any) -> bool:
    return isinstance(space, optional("gymnasium.spaces", "rl").Dict)


def _parts(space: Any) -> dict[Any, Any] | None:
    """Of a Dict its spaces by key, of a Tuple by place, in the order of the space; None of others."""
    if _keyed(space):
        return dict(space.spaces)
    return dict(enumerate(space.spaces)) if isinstance(space, optional("gymnasium.spaces", "rl").Tuple) else None


def _leaves(space: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """The spaces that have no parts, and where each is."""
    parts = _parts(space)
    if parts is None:
        yield place, space
    else:
        for key, part in parts.items():
            yield from _leaves(part, f"{place}[{key!r}]")


def _taken(place: str, values: Any, space: Any, name: str) -> Iterator[tuple[str, Any, Any]]:
    """The same with what `values` has there."""
    parts = _parts(space)
    if parts is None:
        yield place, space, values
        return
    kinds = dict if _keyed(space) else (tuple, list)
    if not isinstance(values, kinds) or (set(values) if _keyed(space) else set(range(len(values)))) != set(parts):
        form = f"a dict with the keys {list(parts)}" if _keyed(space) else f"a tuple of {len(parts)}"
        raise ValueError(f"{name}{place} must be {form}, as the space is, got {shown(values)}")
    for key, part in parts.items():
        yield from _taken(f"{place}[{key!r}]", values[key], part, name)


def _digits(space: Any) -> tuple[Ints, Ints, tuple[int, ...]]:
    """Of a space without parts: the sizes and the smallest values of its entries, and the shape of a value."""
    spaces = optional("gymnasium.spaces", "rl")
    if isinstance(space, spaces.Discrete):
        return np.array([int(space.n)]), np.array([int(space.start)]), ()
    sizes: NDArray[Any] = np.full(space.shape, 2) if isinstance(space, spaces.MultiBinary) else space.nvec
    starts = np.zeros(space.shape, np.int64) + getattr(space, "start", 0)
    return sizes.ravel().astype(np.int64), starts.ravel(), tuple(space.shape)
