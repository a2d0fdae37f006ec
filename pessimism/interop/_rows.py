"""Rows of sweeps as typed columns: one kind of value a column, infinities as numbers."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from pessimism import _check
from pessimism._optional import optional
from pessimism._shown import shown

SPELLING = {math.inf: "inf", -math.inf: "-inf"}
"""How rows write what JSON has no number for."""

ABSENT = {b"null": b"absent"}
"""Marks a Parquet column whose nulls are keys that a row did not have, as against None."""

Row = Mapping[str, Any]


class Column(NamedTuple):
    """The values of one key."""

    kind: str | None
    """What its leaves are, in the words of `_kind`; None if there are none."""
    values: list[Any]
    """One a row, infinities as floats, numbers of one type; None where the row has none."""

    @property
    def is_numeric(self) -> bool:
        return self.kind in ("a number", "a boolean") and not any(isinstance(value, list) for value in self.values)


def arrow_table(rows: Iterable[Row]) -> Any:
    """A pyarrow table."""
    pyarrow = optional("pyarrow", "frames")
    rows = listed(rows)
    if rows and not keys_of(rows):
        raise ValueError("rows must have at least one key, got none in any row")
    arrays, fields = [], []
    for name in keys_of(rows):
        try:
            array = pyarrow.array(column_of(rows, name).values)
        except (pyarrow.ArrowException, OverflowError) as error:
            raise ValueError(f"column {name!r} must fit a typed table: {error}") from None
        lacking = any(name not in row for row in rows) and not any(row.get(name, "") is None for row in rows)
        arrays.append(array)
        fields.append(pyarrow.field(name, array.type, metadata=ABSENT if lacking else None))
    return pyarrow.table(arrays, schema=pyarrow.schema(fields))


def column_of(rows: list[Row], name: str) -> Column:
    """The column of one key, of one kind of value; else an error that names the first row of another."""
    values = [leafwise(_plain, row.get(name)) for row in rows]
    if {leaf for value in values for leaf in _leaves(value) if isinstance(leaf, str)} <= set(SPELLING.values()):
        values = [leafwise(_unspelled, value) for value in values]
    told = {_kind(leaf) for value in values for leaf in _leaves(value) if leaf == leaf}
    if told in ({"a string"}, {"a boolean"}):  # beside these NaN is how pandas writes that there is nothing
        values = [leafwise(lambda leaf: leaf if leaf == leaf else None, value) for value in values]
    leaves = [(i, leaf) for i, value in enumerate(values) for leaf in _leaves(value)]
    kinds = [_kind(leaf) for _, leaf in leaves]
    for (i, leaf), kind in zip(leaves, kinds, strict=True):
        if kind is None:
            raise TypeError(f"column {name!r} must hold JSON scalars or lists of them, got {shown(leaf)} in row {i}")
        if kind != kinds[0]:
            others = f"{kinds[0]} in row {leaves[0][0]}, {kind} in row {i}"
            raise TypeError(f"column {name!r} must hold one kind of value, got {others}")
    if any(isinstance(leaf, float) for _, leaf in leaves):
        for i, leaf in leaves:
            if abs(leaf) > 2**53 and isinstance(leaf, int):
                raise ValueError(f"column {name!r} must hold exact floats, got {leaf} beside fractions in row {i}")
        values = [leafwise(float, value) for value in values]
    return Column(kinds[0] if kinds else None, values)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for entry in value:
            yield from _leaves(entry)
    elif value is not None:
        yield value


def leafwise(function: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [leafwise(function, entry) for entry in value]
    return None if value is None else function(value)


def _kind(leaf: Any) -> str | None:
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string"}
    return next((name for kind, name in names.items() if isinstance(leaf, kind)), None)


def _plain(leaf: Any) -> Any:
    if type(leaf).__name__ in ("NAType", "NaTType"):  # what pandas has for nothing, without importing it
        return None
    return leaf.item() if isinstance(leaf, np.generic) else leaf


def spelled(leaf: Any) -> Any:
    return SPELLING.get(leaf, leaf) if isinstance(leaf, float) else leaf


def _unspelled(leaf: Any) -> Any:
    return float(leaf) if isinstance(leaf, str) else leaf


def listed(rows: Iterable[Row]) -> list[Row]:
    found = _check.listed("rows", rows, "dicts")
    for i, row in enumerate(found):
        if not isinstance(row, Mapping) or not all(isinstance(key, str) for key in row):
            raise TypeError(f"rows[{i}] must be a dict with strings as keys, got {shown(row)}")
    return found


def keys_of(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row))
