"""Columns of data frames: labels become positions, numbers become arrays, and the first bad row is named."""

import datetime
import decimal
import numbers
from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pessimism import _check
from pessimism._optional import optional
from pessimism._shown import shown
from pessimism._types import Floats, Ints

DAYTIMES = ("Time", "time64[ns]")
"""How polars and Arrow (also under pandas) begin the names of their times of day in nanoseconds."""


def names(argument: str, value: Any) -> tuple[str, ...]:
    """The columns that an argument names: one string, or a sequence of them."""
    try:
        found: tuple[Any, ...] = (value,) if isinstance(value, str) else tuple(value)
    except Exception:
        found = (None,)
    if not all(isinstance(name, str) for name in found):
        raise TypeError(f"{argument} must be the name of a column, or a sequence of names, got {shown(value)}")
    return found


def name(argument: str, value: Any) -> tuple[str, ...]:
    """The column that an argument names, as the only entry of a tuple."""
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be the name of a column, a string, got {shown(value)}")
    return (value,)


def opened(frame: Any, columns: dict[str, tuple[str, ...]]) -> Any:
    """The frame as narwhals sees it, with at least one row and the columns that each argument names, each once."""
    user: dict[str, str] = {}
    for argument, own in columns.items():
        for column in own:
            if column in user:
                other = user[column]
                raise ValueError(f"{argument} must be a column of its own, got {column!r}, which is in {other} too")
            user[column] = argument
    try:
        table = optional("narwhals", "frames").from_native(frame, eager_only=True)
    except TypeError:
        raise TypeError(
            f"frame must be a data frame in memory (collect a lazy one first), got {type(frame).__qualname__}"
        ) from None
    for column, argument in user.items():
        if column not in table.columns:
            raise ValueError(f"{argument} must be a column of frame, one of {table.columns}, got {column!r}")
    if len(table) == 0:
        raise ValueError("frame must have at least one row, got none")
    return table


class Positions(NamedTuple):
    """Labels, and the position of every row's label among them."""

    codes: Ints
    labels: tuple[Any, ...]


def positions(
    column: str | list[str],
    values: list[Any],
    argument: str,
    given: Iterable[Hashable] | None,
    known: list[Any] | None = None,
    others: bool = False,
) -> Positions:
    """Positions among the labels given, else among all that the type of the column knows, else those seen, sorted.

    A label that is not among those given is an error; or -1, where `others` may occur.
    """
    try:
        seen = set(values)
        labels = (sorted(seen) if known is None else known) if given is None else []
    except TypeError as error:
        raise TypeError(f"column {column!r} must hold labels that can be hashed and sorted: {error}") from None
    if given is not None:
        labels = given_labels(argument, given)
        if isinstance(values[0], (np.datetime64, np.timedelta64)):
            labels = [type(values[0])(label, "ns") for label in labels]
    position = {_instant(label): i for i, label in enumerate(labels)}
    codes = np.array([position.get(_instant(value), -1) for value in values], dtype=np.int64)
    require_rows(column, (codes >= 0) | others, values, f"one of the {len(labels)} labels in {argument}")
    return Positions(codes, tuple(labels))


def given_labels(argument: str, given: Iterable[Hashable]) -> list[Any]:
    """Labels that a caller listed, as plain objects, at least one and each once."""
    labels_given = _check.listed(argument, given, "labels")
    labels = [tuple(map(plain, label)) if isinstance(label, tuple) else plain(label) for label in labels_given]
    if not labels:
        raise ValueError(f"{argument} must hold at least one label, got none")
    first: dict[Any, int] = {}
    for i, label in enumerate(labels):
        try:
            earlier = first.setdefault(label, i)
        except TypeError:
            raise TypeError(f"{argument}[{i}] must be hashable (a tuple, not a list), got {shown(label)}") from None
        if earlier != i:
            raise ValueError(f"{argument}[{i}] must differ from {argument}[{earlier}], got {shown(label)} twice")
    return labels


def labels_in(table: Any, column: str, absent: NDArray[np.bool_] | None = None, instead: Any = ()) -> list[Any]:
    """Labels of the rows, equal where the type of the column says so: instants, not what a clock shows.

    Rows that are `absent` have the label `instead`, whatever they hold.
    """
    if absent is None or not absent.any():
        values = _values(without_nulls(table, column, "a label"))
    else:
        series = table.get_column(column)
        require_rows(column, ~nulls(series) | absent, series.to_list(), "a label")
        values, found = list(instead), _values(series.filter((~absent).tolist()))
        if hasattr(series.to_native(), "iloc") and all(type(label) is int for label in values):
            # beside nothing pandas has no whole numbers but as floats
            found = [int(x) if type(x) is float and x.is_integer() else x for x in found]
        for place, label in zip(np.flatnonzero(~absent), found, strict=True):
            values[place] = label
    # 1, 1.0 and True are one key of a dict: in one column they would be merged in silence
    mixed = [type(value) is not type(values[0]) for value in values]
    if any(mixed):
        row = mixed.index(True)
        raise TypeError(
            f"column {column!r} must hold labels of one type, got {shown(values[0])} in row 0, "
            f"{shown(values[row])} in row {row}"
        )
    return values


def _values(series: Any) -> list[Any]:
    """Python's objects for a column, without loss."""
    narwhals = optional("narwhals", "frames")
    kind, native = series.dtype, series.to_native()
    arrow = _dictionary(native) if kind == narwhals.Categorical else None
    if arrow is not None:
        return _values(narwhals.from_native(arrow.cast(arrow.type.value_type), series_only=True))
    if kind.is_integer() or kind in (narwhals.String, narwhals.Boolean, narwhals.Float64):
        return list(series.to_list())
    if kind == narwhals.Float32:  # 0.1 is 0.1 at the resolution of the column
        return list(map(plain, series.to_numpy()))
    foreign = not hasattr(native, "iloc")  # pandas has objects of its own for instants and durations
    if foreign and kind == narwhals.Datetime and kind.time_zone is not None:
        # when summer time ends, two instants show one time of day, and Python holds them to be equal
        series = series.dt.convert_time_zone("UTC")
    unit = getattr(kind, "time_unit", None) if foreign else None
    if kind == narwhals.Time:
        unit = "ns" if str(native.dtype if hasattr(native, "dtype") else native.type)[:10] in DAYTIMES else None
    if unit == "ns":
        ticks = np.asarray(series.cast(narwhals.Int64).to_numpy(), dtype=np.int64)
        if np.any(ticks % 1000):  # Python's own types end at microseconds; of a time of day, what passed since midnight
            return list(ticks.view("M8[ns]" if kind == narwhals.Datetime else "m8[ns]"))
    return list(map(plain, series.to_list()))


def plain(label: Any) -> Any:
    """A label as Python's own object where that says the same: NumPy's numbers, and instants in UTC."""
    if isinstance(label, (np.float32, np.float16)):
        return float(str(label))
    if isinstance(label, (np.bool_, np.integer)) or (isinstance(label, np.generic) and type(label.item()) is not int):
        return label.item()  # but for nanoseconds, which Python has no type for
    if type(label) is datetime.datetime and label.tzinfo is not None:
        return label.astimezone(datetime.UTC)
    return label


def _instant(label: Any) -> Any:
    """A key for a label: pandas hashes an instant by what the clock shows when summer time ends, Python does not."""
    if isinstance(label, tuple):
        return tuple(map(_instant, label))
    if isinstance(label, datetime.datetime) and label.tzinfo is not None:
        return label.astimezone(datetime.UTC)
    return label


def _dictionary(native: Any) -> Any:
    """A column of categories that is Arrow's, also under pandas; else None."""
    if hasattr(native, "iloc") and not hasattr(native, "cat"):
        return native.array.__arrow_array__()
    return native if hasattr(native, "unify_dictionaries") else None


def known_labels(table: Any, column: str) -> tuple[list[Any] | None, bool]:
    """All labels that the type of a column names, in its order, and whether it has one; None if it names none."""
    narwhals = optional("narwhals", "frames")
    series = table.get_column(column)
    native = series.to_native()
    if series.dtype == narwhals.Enum and hasattr(native, "to_physical"):  # polars
        return list(native.dtype.categories), True
    if series.dtype not in (narwhals.Categorical, narwhals.Enum) or hasattr(native, "to_physical"):
        return None, False
    arrow = _dictionary(native)
    if arrow is not None:
        categories = optional("pyarrow", "frames").chunked_array([arrow.unify_dictionaries().chunks[0].dictionary])
        labels, ordered = _values(narwhals.from_native(categories, series_only=True)), bool(arrow.type.ordered)
    else:
        labels, ordered = list(map(plain, native.cat.categories.tolist())), bool(native.cat.ordered)
    try:
        return (labels if ordered else sorted(labels)), ordered
    except TypeError:  # no order at all: as the type has them
        return labels, False


def in_order(table: Any, column: str) -> tuple[Positions, bool]:
    """Positions of rows in the order that the type of a column says, and whether it is one of time."""
    values, (known, ordered) = labels_in(table, column), known_labels(table, column)
    if ordered and known is not None:
        seen = set(values)
        return positions(column, values, "step", None, [label for label in known if label in seen]), False
    times = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
    if isinstance(values[0], (numbers.Real, decimal.Decimal, *times)):
        return positions(column, values, "step", None), isinstance(values[0], times)
    raise TypeError(
        f"column {column!r} must hold numbers, times or ordered categories, as text has no order of steps, "
        f"got {shown(values[0])} in row 0"
    )


def flags(table: Any, column: str) -> NDArray[np.bool_]:
    """Booleans, or numbers 0 and 1."""
    series = without_nulls(table, column, "true or false")
    found = as_floats(series)
    values = series.to_list() if found is None else found
    if found is None:
        found = np.array([float(value) if isinstance(value, (bool, np.bool_)) else np.nan for value in values])
    require_rows(column, (found == 0) | (found == 1), values, "true or false")
    return np.asarray(found == 1)


def rewards(
    table: Any, column: str, reward_range: tuple[float, float], kept: NDArray[np.bool_] | None = None
) -> Floats:
    """Rewards in their range, of the rows that are `kept`."""
    low, high = reward_range

    def inside(found: Floats) -> NDArray[np.bool_]:
        return np.asarray((found >= low) & (found <= high))

    return numbers_of(table, column, inside, f"a finite number in reward_range = [{low:g}, {high:g}]", kept)


def propensities(table: Any, column: str) -> Floats:
    """Probabilities with which the arms of a log were chosen."""

    def chance(found: Floats) -> NDArray[np.bool_]:
        return np.asarray((found > 0.0) & (found <= 1.0))

    return numbers_of(table, column, chance, "a probability in (0, 1] (not its logarithm)")


def numbers_of(
    table: Any,
    column: str,
    good: Callable[[Floats], NDArray[np.bool_]],
    expectation: str,
    kept: NDArray[np.bool_] | None = None,
) -> Floats:
    """Finite numbers for which `good` holds; in a column of objects Python's own numbers are some."""
    rows = None if kept is None else np.flatnonzero(kept)
    series = without_nulls(table if kept is None else table.filter(kept.tolist()), column, "a number", rows)
    found = as_floats(series)
    if found is None:
        values = series.to_list()
        real = np.array([isinstance(value, numbers.Real) for value in values])
        require_rows(column, real, values, "a number", TypeError, rows)
        found = np.array(values, dtype=np.float64)
    require_rows(column, np.isfinite(found) & good(found), found, expectation, rows=rows)
    return found


def as_floats(series: Any) -> Floats | None:
    """A column of numbers or booleans; None if it is of another type."""
    narwhals = optional("narwhals", "frames")
    if not (series.dtype.is_numeric() or series.dtype == narwhals.Boolean):
        return None
    return np.asarray(series.cast(narwhals.Float64).to_numpy(), dtype=np.float64)


def without_nulls(table: Any, column: str, expectation: str, rows: Ints | None = None) -> Any:
    series = table.get_column(column)
    bad = nulls(series)
    if bad.any():  # only then is the list worth its making
        require_rows(column, ~bad, series.to_list(), expectation, rows=rows)
    return series


def nulls(series: Any) -> NDArray[np.bool_]:
    """Rows without a value, or with NaN."""
    bad = series.is_null().to_numpy().astype(bool)
    if not bad.any() and series.dtype.is_float():
        bad = series.is_nan().to_numpy().astype(bool)
    return np.asarray(bad)


def require_rows(
    column: str | list[str],
    good: NDArray[np.bool_],
    values: Any,
    expectation: str,
    error: type[ValueError | TypeError] = ValueError,
    rows: Ints | None = None,
) -> None:
    """Raise an error that names the first row of a column that is not `good`, and what was expected of every row.

    `rows` are their numbers in the user's table, where only some of them are looked at.
    """
    if not good.all():
        first = int(good.argmin())
        value = values[first].item() if isinstance(values, np.ndarray) else values[first]
        row = first if rows is None else int(rows[first])
        raise error(
            f"column {column!r} must hold {expectation} in every row, got {shown(value)} in row {row} (counted from 0)"
        )
