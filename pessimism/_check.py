"""User input to clean arrays, or one error that names the argument, the first bad entry and what was expected.

Nothing is repaired: no clipping, no renormalising, no rounding. Clean arrays are C-contiguous, owned by us and
read-only, so a frozen dataclass that holds them is frozen in fact (copies through pickle are writable again).
"""

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random.bit_generator import BitGenerator, ISeedSequence
from numpy.typing import ArrayLike, NDArray

from pessimism._shown import shown as shown
from pessimism._types import Rng

SUM_TOLERANCE = 1e-12
"""How far a law may miss a total of one: what rounding leaves, and what NumPy's multinomial accepts."""

MAX_TOTAL = 2**53
"""Largest number of rounds: beyond it, float64 cannot hold a reward sum exactly."""

MAX_AXES = 24
"""NumPy broadcasts 32, and a few are added to those of an argument."""

MAX_COUNT = 10**9
"""Largest number of rows, states, ... that an argument can ask for: tables of more fit into no memory."""

MAX_SIZE = 1e150
"""Largest number accepted as input: its square does not overflow."""

MIN_SIZE = 1e-300
"""Smallest positive number accepted where 0 is not: smaller ones lose digits, and their inverses overflow."""


def numeric(name: str, value: ArrayLike) -> NDArray[Any]:
    """Array of numbers, the caller's own if it was one."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise TypeError(f"{name} must not be masked: fill or drop the masked entries first")
    array = as_array(name, value, "numbers")
    if array.dtype.kind == "O" and _beyond_64_bits(array):
        try:
            return array.astype(np.float64)
        except OverflowError:
            raise ValueError(f"{name} must hold numbers that float64 can hold") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold numbers, got dtype {array.dtype}")
    if array.ndim > MAX_AXES:
        raise ValueError(f"{name} must have at most {MAX_AXES} axes, got {array.ndim}")
    return array


def as_array(name: str, value: ArrayLike, of: str) -> NDArray[Any]:
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a rectangular array of {of}: {error}") from None
    except Exception as error:  # of a class with an __array__ of its own
        raise TypeError(f"{name} must hold {of}, got {shown(value)}: {error}") from None


def _beyond_64_bits(array: NDArray[Any]) -> bool:
    return all(type(entry) is int for entry in array.flat) and any(abs(entry) >= 2**63 for entry in array.flat)


def instance(name: str, value: object, kind: type) -> None:
    """Raise a TypeError unless `value` is a `kind`."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, got {type(value).__name__}")


def flag(name: str, value: object) -> bool:
    """True or False; other values are refused, although Python would take each for one of the two."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")
    return bool(value)


def flag_array(name: str, value: ArrayLike | None, shape: tuple[int, ...], what: str) -> NDArray[np.bool_]:
    """Flags of a shape, all False by default; `what` says what they are."""
    array = np.zeros(shape, np.bool_) if value is None else as_array(name, value, "flags")
    if array.dtype != np.bool_ or array.shape != shape:
        raise ValueError(f"{name} must be bool of shape {shape}{what}, got {array.dtype} of shape {array.shape}")
    return _own(array, np.bool_)


def _entry(name: str, index: tuple[int, ...]) -> str:
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def require(name: str, array: NDArray[Any], good: NDArray[np.bool_], expectation: str) -> None:
    """Raise a ValueError for the first entry of `array` that is not `good`."""
    if not good.all():
        index = tuple(int(i) for i in np.argwhere(~good)[0])
        raise ValueError(f"{_entry(name, index)} must be {expectation}, got {array[index].item()!r}")


def _own(array: NDArray[Any], dtype: type) -> NDArray[Any]:
    # a copy even if no conversion is needed: the caller may write into their array later
    with np.errstate(over="ignore"):  # what only a long double holds becomes infinite
        owned: NDArray[Any] = np.array(array, dtype=dtype, order="C")
    owned.setflags(write=False)
    return owned


def real_array(
    name: str, value: ArrayLike, *, min_ndim: int = 0, low: float = -math.inf, high: float = math.inf
) -> NDArray[np.float64]:
    """Finite float64 array with entries in [low, high]."""
    array = _own(numeric(name, value), np.float64)
    require_ndim(name, array, min_ndim)
    require(name, array, np.isfinite(array), "finite")
    require(name, array, np.abs(array) <= MAX_SIZE, f"at most {MAX_SIZE:g} in size")
    if low > -math.inf or high < math.inf:
        require(name, array, (array >= low) & (array <= high), f"in [{low:g}, {high:g}]")
    return array


def whole_array(
    name: str, value: ArrayLike, *, min_ndim: int = 0, low: int = 0, high: int = MAX_TOTAL
) -> NDArray[np.int64]:
    """int64 array with entries in {low, ..., high}; floats that are whole numbers are accepted."""
    array = numeric(name, value)
    require_ndim(name, array, min_ndim)
    expectation = f"a whole number in [{low}, {'2**53' if high == MAX_TOTAL else high}]"
    if array.dtype.kind in "iu" and (array.size == 0 or (array.min() >= low and array.max() <= high)):
        return _own(array, np.int64)  # the usual case: two passes over the array
    if array.dtype.kind == "f":  # half precision would turn `high` into infinity
        array = _own(array, np.float64)
    with np.errstate(invalid="ignore"):  # comparisons with NaN are False, as they should be
        good = (array >= low) & (array <= high) & (array == np.floor(array))
    require(name, array, np.asarray(good), expectation)
    return _own(array, np.int64)


def positions(name: str, value: ArrayLike, size: int, what: str) -> NDArray[np.intp]:
    """Distinct positions among `size` of `what`, at least one: as they are, or those where a mask is True."""
    array = numeric(name, value)
    if array.dtype == np.bool_ and array.shape == (size,):
        array = np.flatnonzero(array)
    elif array.dtype == np.bool_ or array.ndim != 1:
        raise ValueError(f"{name} must be positions, of shape (k,), or a mask of shape ({size},), got {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name} must keep at least one of {size} {what}, got none")
    found = whole_array(name, array, high=size - 1)
    first = np.unique(found, return_index=True)[1]
    require(name, found, np.isin(np.arange(found.size), first), "named once")
    return found.astype(np.intp)


def require_ndim(name: str, array: NDArray[Any], min_ndim: int) -> None:
    if array.ndim < min_ndim:
        axes = {1: "(..., n)", 2: "(..., contexts, arms)"}[min_ndim]
        raise ValueError(f"{name} must have shape {axes}, got {array.shape}")


def log_axes(name: str, shape: tuple[int, ...], batch: tuple[int, ...] | None) -> None:
    """Axes of logs (..., n) in front of their rounds: where n = 1 they may be columns of one log, so `batch` says."""
    front = shape[:-1]
    if batch is None and front and shape[-1] == 1:
        column = f"{name}[{'..., ' if len(front) > 1 else ':, '}0]"
        raise ValueError(
            f"{name} must have shape (..., n), got {shape}: columns must lose their last axis, as in {column}, and "
            f"logs of one round each need batch={front}"
        )
    if batch is not None and front != tuple(whole_array("batch", batch).reshape(-1).tolist()):
        raise ValueError(f"batch must be the axes {front} of {name} in front of the rounds, got {shown(batch)}")


def matrix(name: str, value: ArrayLike, axes: str, *, single: bool = False) -> NDArray[np.float64]:
    """Finite float array (..., rows, columns) with at least one of each; `axes` says what they are."""
    array = real_array(name, value)
    if array.ndim < 2 or (single and array.ndim > 2) or 0 in array.shape[-2:]:
        shape = f"({axes})" if single else f"(..., {axes})"
        raise ValueError(f"{name} must have shape {shape} with at least one of each, got {array.shape}")
    return array


def vector(
    name: str, value: ArrayLike, length: int, what: str = "", *, single: bool = False, low: float = -math.inf
) -> NDArray[np.float64]:
    """Finite float array (..., length) with entries of at least `low`; `what` says what they are."""
    array = real_array(name, value, low=low)
    if array.ndim < 1 or (single and array.ndim > 1) or array.shape[-1] != length:
        shape = f"({length},)" if single else f"(..., {length})"
        raise ValueError(f"{name} must have shape {', '.join(filter(None, (shape, what)))}, got {array.shape}")
    return array


def law(name: str, value: ArrayLike, *, axes: int) -> NDArray[np.float64]:
    """Probabilities over the last `axes` axes: non-negative, total one within `SUM_TOLERANCE`."""
    array = real_array(name, value, min_ndim=axes, low=0.0)
    require_total_one(name, array, axes)
    return array


def require_total_one(name: str, array: NDArray[np.float64], axes: int) -> None:
    last = tuple(range(-axes, 0))
    total = np.asarray(array.sum(axis=last))
    good = np.abs(total - 1.0) <= SUM_TOLERANCE
    if not good.all():
        index = tuple(int(i) for i in np.argwhere(~good)[0])
        raise ValueError(
            f"{_entry(name, index)} must sum to 1 within {SUM_TOLERANCE:g}, got {total[index].item()!r}: "
            "if that is what you mean, divide by it in float64"
        )


def scalar(
    name: str, value: float, good: Callable[[float], bool] = lambda _: True, expectation: str = "a number"
) -> float:
    """A Python float for which `good` holds."""
    number = numeric(name, value)
    if number.ndim:
        raise ValueError(f"{name} must be one number, got shape {number.shape}")
    if not good(float(number)):
        raise ValueError(f"{name} must be {expectation}, got {number.item()!r}")
    return float(number)


def whole(name: str, value: int, *, low: int = 0, high: int = MAX_TOTAL) -> int:
    """One Python int in {low, ..., high}."""
    scalar(name, value)
    return int(whole_array(name, value, low=low, high=high))


def at_least(name: str, value: int, low: int, of: str) -> int:
    """A whole number of at least another argument, which `of` names, but for sizes that no table has."""
    number = whole(name, value, high=MAX_COUNT)
    if number < low:
        raise ValueError(f"{name} must be at least {of} = {low}, got {number}")
    return number


def count(name: str, value: int, *, low: int = 1) -> int:
    """How many arms, states, ... a table is to have: a whole number from `low` to `MAX_COUNT`."""
    return whole(name, value, low=low, high=MAX_COUNT)


def extended_array(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """float64 array whose entries may be infinite but not NaN."""
    array: NDArray[np.float64] = _own(numeric(name, value), np.float64)
    require(name, array, ~np.isnan(array), "a number or +-inf")
    return array


def between(name: str, value: float, low: float, high: float, ends: str = "[]") -> float:
    """A number between two others; a round bracket in `ends` excludes the end on its side."""

    def inside(x: float) -> bool:
        above = low <= x if ends[0] == "[" else low < x
        return above and (x <= high if ends[1] == "]" else x < high)

    return scalar(name, value, inside, f"in {ends[0]}{low:g}, {high:g}{ends[1]}")


def open_unit_interval(name: str, value: float) -> float:
    return between(name, value, 0.0, 1.0, "()")


def positive(name: str, value: float, high: float = MAX_SIZE) -> float:
    """A number above 0, of which all digits are kept; its square does not overflow."""
    expectation = "positive and finite" if high == MAX_SIZE else f"positive and at most {high:g}"
    number = scalar(name, value, lambda x: 0.0 < x < math.inf and (x <= high or high == MAX_SIZE), expectation)
    return between(name, number, MIN_SIZE, high)


def nonnegative(name: str, value: float, high: float = MAX_SIZE) -> float:
    """A number of at least 0 whose square does not overflow."""
    expectation = "at least 0 and finite" if high == MAX_SIZE else f"at least 0 and at most {high:g}"
    number = scalar(name, value, lambda x: 0.0 <= x < math.inf and (x <= high or high == MAX_SIZE), expectation)
    return between(name, number, 0.0, high)


def not_nan(name: str, value: float) -> float:
    return scalar(name, value, lambda x: not math.isnan(x), "a number, not NaN")


def interval(name: str, value: tuple[float, float]) -> tuple[float, float]:
    """A pair low < high; both ends may be infinite."""
    pair = isinstance(value, (tuple, list)) or (isinstance(value, np.ndarray) and value.ndim == 1)
    if not (pair and len(value) == 2):
        raise ValueError(f"{name} must be a pair (low, high), got {shown(value)}")
    low, high = not_nan(f"{name}[0]", value[0]), not_nan(f"{name}[1]", value[1])
    if not (low < high and all(abs(end) <= MAX_SIZE or math.isinf(end) for end in (low, high))):
        raise ValueError(f"{name} must be a pair low < high, got {shown(value)}")
    return low, high


def choice(name: str, value: str, known: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {shown(value)}")
    return value


def path(name: str, value: Any) -> str:
    """Where a file is or is to be, as text."""
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a path, got {shown(value)}")
    try:
        possible = bool(text) and b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:  # half a character
        possible = False
    if not possible:
        raise ValueError(f"{name} must be a path that a file can have, got {shown(value)}")
    return text


def function(name: str, value: Any, of: str) -> Any:
    """A callable; `of` says what it takes and returns."""
    if not callable(value):
        raise TypeError(f"{name} must be a function {of}, got {shown(value)}")
    return value


def listed(name: str, value: Any, of: str) -> list[Any]:
    """The entries of an iterable; a string is none, and `of` says what they are."""
    if isinstance(value, (str, bytes)):
        raise TypeError(f"{name} must be a sequence of {of}, got the string {shown(value)}")
    try:
        return list(value)
    except Exception:
        raise TypeError(f"{name} must be a sequence of {of}, got {shown(value)}") from None


def is_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.timedelta64))


def generator(rng: Rng, name: str = "rng") -> np.random.Generator:
    """NumPy's Generator for what a user gave as `rng`; None is a fresh one, a list of whole numbers one seed."""
    sources = (np.random.Generator, np.random.RandomState, BitGenerator, ISeedSequence)
    if rng is None or isinstance(rng, sources):
        return np.random.default_rng(rng)
    # NumPy's own look at what else there is takes True for 1 and ends the process at a matrix
    given: Any = rng
    if type(given) is np.ndarray and given.dtype.kind in "iu" and given.ndim < 2:
        given = given.tolist()
    many = isinstance(given, (list, tuple))
    seeds = list(given) if many else [given]
    if not seeds or not all(is_integer(seed) for seed in seeds):
        expected = "a Generator, a SeedSequence, a whole number of at least 0 or None"
        raise TypeError(f"{name} must be {expected}, got {shown(rng)}")
    for k, seed in enumerate(seeds):
        if seed < 0:
            entry = f"{name}[{k}]" if many else name
            raise ValueError(f"{entry} must be a whole number of at least 0, got {shown(seed)}")
    return np.random.default_rng([int(seed) for seed in seeds] if many else int(seeds[0]))


def broadcast(names: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Common shape, or an error naming the arguments whose shapes do not fit together."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"{names} must have shapes that broadcast, got {' and '.join(map(str, shapes))}") from None
