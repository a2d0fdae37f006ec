"""Columns of data frames: labels become positions, numbers become arrays, and the first bad row is named."""

import numbers
from collections.abc import Hashable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pessimism._optional import optional
from pessimism._types import Floats, Ints


def opened(frame: Any, columns: dict[str, tuple[str, ...]]) -> Any:
    """The frame as narwhals sees it, with at least one row and the columns that each argument names, each once."""
    user: dict[str, str] = {}
    for argument, names in columns.items():
        for name in names:
            if name in user:
                raise ValueError(f"{argument} must be a column of its own, got {name!r}, which is in {user[name]} too")
            user[name] = argument
    try:
        table = optional("narwhals", "frames").from_native(frame, eager_only=True)
    except TypeError:
        raise TypeError(
            f"frame must be a data frame in memory (collect a lazy one first), got {type(frame).__qualname__}"
        ) from None
    for name, argument in user.items():
        if name not in table.columns:
            raise ValueError(f"{argument} must be a column of frame, one of {table.columns}, got {name!r}")
    if len(table) == 0:
        raise ValueError("frame must have at least one row, got none")
    return table


class Positions(NamedTuple):
    """Labels, and the position of every row's label among them."""

    codes: Ints
    labels: tuple[Any, ...]


def positions(column: str | list[str], values: list[Any], argument: str, given: Iterable[Hashable] | None) -> Positions:
    try:
        seen = set(values)
        labels = sorted(seen) if given is None else []
    except TypeError as error:
        raise TypeError(f"column {column!r} must hold labels that can be hashed and sorted: {error}") from None
    if given is not None:
        labels = _given(argument, given)
    position = {label: i for i, label in enumerate(labels)}
    codes = np.array([position.get(value, -1) for value in values], dtype=np.int64)
    require_rows(column, codes >= 0, values, f"one of the {len(labels)} labels in {argument}")
    return Positions(codes, tuple(labels))


def _given(argument: str, given: Iterable[Hashable]) -> list[Any]:
    if isinstance(given, str):
        raise TypeError(f"{argument} must be a sequence of labels, got the string {given!r}")
    labels: list[Any] = given.tolist() if isinstance(given, np.ndarray) else list(given)
    if not labels:
        raise ValueError(f"{argument} must hold at least one label, got none")
    first: dict[Any, int] = {}
    for i, label in enumerate(labels):
        try:
            earlier = first.setdefault(label, i)
        except TypeError:
            raise TypeError(f"{argument}[{i}] must be hashable (a tuple, not a list), got {label!r}") from None
        if earlier != i:
            raise ValueError(f"{argument}[{i}] must differ from {argument}[{earlier}], got {label!r} twice")
    return labels


def labels_in(table: Any, column: str) -> list[Any]:
    values: list[Any] = without_nulls(table, column, "a label").to_list()
    # 1, 1.0 and True are one key of a dict: in one column they would be merged in silence
    mixed = [type(value) is not type(values[0]) for value in values]
    if any(mixed):
        row = mixed.index(True)
        raise TypeError(
            f"column {column!r} must hold labels of one type, got {values[0]!r} in row 0, {values[row]!r} in row {row}"
        )
    return values


def rewards(table: Any, column: str, reward_range: tuple[float, float]) -> Floats:
    """Finite numbers in a range; Python's own numbers are numbers too, in a column of objects."""
    series = without_nulls(table, column, "a number")
    found = as_floats(series)
    if found is None:
        values = series.to_list()
        real = np.array([isinstance(value, numbers.Real) for value in values])
        require_rows(column, real, values, "a number", TypeError)
        found = np.array(values, dtype=np.float64)
    low, high = reward_range
    good = np.isfinite(found) & (found >= low) & (found <= high)
    require_rows(column, good, found, f"a finite number in reward_range = [{low:g}, {high:g}]")
    return found


def as_floats(series: Any) -> Floats | None:
    """A column of numbers or booleans; None if it is of another type."""
    narwhals = optional("narwhals", "frames")
    if not (series.dtype.is_numeric() or series.dtype == narwhals.Boolean):
        return None
    return np.asarray(series.cast(narwhals.Float64).to_numpy(), dtype=np.float64)


def without_nulls(table: Any, column: str, expectation: str) -> Any:
    series = table.get_column(column)
    bad = series.is_null().to_numpy().astype(bool)
    if not bad.any() and series.dtype.is_float():
        bad = series.is_nan().to_numpy().astype(bool)
    if bad.any():  # only then is the list worth its making
        require_rows(column, ~bad, series.to_list(), expectation)
    return series


def require_rows(
    column: str | list[str],
    good: NDArray[np.bool_],
    values: Any,
    expectation: str,
    error: type[ValueError | TypeError] = ValueError,
) -> None:
    """Raise an error that names the first row of a column that is not `good`, and what was expected of every row."""
    if not good.all():
        row = int(good.argmin())
        value = values[row].item() if isinstance(values, np.ndarray) else values[row]
        raise error(
            f"column {column!r} must hold {expectation} in every row, got {value!r} in row {row} (counted from 0)"
        )
