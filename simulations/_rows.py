"""Rows beside a figure: printed to ten digits, and left alone where a new run differs from them by rounding only.

Another processor sums in another order, so the last digits of a row are those of one machine. A file that agrees with
the new rows is kept, and the figure is drawn from what the file says: the checkout stays as it was.
"""

import ast
import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pessimism._store import write_whole

Row = dict[str, Any]

RELATIVE = 1e-9  # twice what printing ten digits takes, so a number agrees with its own print


def printed(value: Any) -> Any:
    """A value, or lists and dicts of them, with every float to ten significant digits."""
    if isinstance(value, float):
        return float(f"{value:.10g}")
    if isinstance(value, list):
        return [printed(entry) for entry in value]
    if isinstance(value, dict):
        return {key: printed(entry) for key, entry in value.items()}
    return value


def agree(new: Any, old: Any, floor: float = 0.0) -> bool:
    """The same value but for rounding: floats to 1e-9 relative or both at most the floor, all else exactly."""
    if isinstance(new, float) and isinstance(old, float):
        if max(abs(new), abs(old)) <= floor or (math.isnan(new) and math.isnan(old)):
            return True
        return math.isclose(new, old, rel_tol=RELATIVE)
    if type(new) is not type(old):
        return False
    if isinstance(new, list):
        return len(new) == len(old) and all(agree(*pair, floor) for pair in zip(new, old, strict=True))
    if isinstance(new, dict):
        return new.keys() == old.keys() and all(agree(new[key], old[key], floor) for key in new)
    return bool(new == old)


def write(rows: Sequence[Row], path: Path) -> None:
    """Write the table whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())


def kept(rows: Sequence[Row], path: Path, floor: float = 0.0) -> list[Row] | None:
    """The rows as the file has them, if it is there and every one of them agrees; None if the file must be written."""
    if not path.exists():
        return None
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        lines = list(reader)
    if list(reader.fieldnames or []) != _columns(rows) or len(lines) != len(rows):
        return None
    try:
        old = [_read(line, like) for line, like in zip(lines, rows, strict=True)]
    except (TypeError, ValueError, SyntaxError):  # a number that is none, or a torn line
        return None
    return old if agree(list(rows), old, floor) else None


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row))


def _read(line: dict[str, str], like: Row) -> Row:
    """A line of the file with the keys and the types of a row."""
    if any(text for key, text in line.items() if key not in like):
        raise ValueError("the line has a value where the row has none")
    return {key: _value(line[key], value) for key, value in like.items()}


def _value(text: str, like: Any) -> Any:
    if isinstance(like, str):
        return text
    if like is None:
        return text or None
    return float(text) if isinstance(like, float) else ast.literal_eval(text)
