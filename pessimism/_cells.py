r"""Cells of a sweep in canonical form, and the key that names a cell and seeds its stream.

.. math:: \text{key}(c) = \text{SHA-256}(\text{name}, \text{version}, \text{seed}, c), \quad
          \text{rng}(c) = \text{default\_rng}(\text{key}(c)),

of canonical JSON: keys sorted, NumPy scalars as Python's, integral floats as integers, infinities as the strings "inf"
and "-inf". A grid may hold a million cells, so the usual ones, flat dicts of numbers and strings, take a short way.
"""

import copy
import hashlib
import json
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from pessimism._shown import shown

Cell = dict[str, Any]
Row = dict[str, Any]

encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True).encode

LARGEST_INTEGER = 2**53
"""Larger integral floats stay floats for `run_cell`: NumPy knows no larger integers."""

LARGEST_SEED = 10**4000
"""Python spells integers of up to 4,300 digits."""

UNCHANGED = frozenset((int, str, bool, type(None)))


class Job(NamedTuple):
    """A cell to be computed: as `run_cell` gets it, the JSON text of all that its numbers depend on, and its hash."""

    cell: Cell
    identity: str
    key: str


def jobs_of(
    cells: Iterable[Cell], *, seed: int, name: str, version: int, shard: tuple[int, int] | None = None
) -> list[Job]:
    """All cells, checked and different from each other; of these every n-th from the i-th on, with ``shard=(i, n)``."""
    rest = _identity(seed, name, version)
    start, step = _shard(shard)
    try:
        listed = list(cells)
    except Exception:
        raise TypeError(f"cells must be dicts in a list or another iterable, got {type(cells).__name__}") from None
    jobs = [_job(cell, f"cells[{i}]", rest) for i, cell in enumerate(listed)]
    first: dict[str, int] = {}
    for i, job in enumerate(jobs):
        if first.setdefault(job.key, i) != i:
            raise ValueError(
                f"cells[{first[job.key]}] and cells[{i}] are identical and would give the same numbers: "
                f"{shown(job.cell)}; add a block key to replicate a cell"
            )
    return jobs[start::step]


def stream_of(cell: Cell, *, seed: int, name: str, version: int) -> np.random.Generator:
    return stream(_job(cell, "cell", _identity(seed, name, version)).key)


def stream(key: str) -> np.random.Generator:
    return np.random.default_rng(int(key, 16))


def copied(cell: Cell) -> Cell:
    """A copy for `run_cell`, which may edit it."""
    return {key: value if type(value) in UNCHANGED else copy.deepcopy(value) for key, value in cell.items()}


def rows_text(cell: Cell, returned: Any) -> str:
    """What `run_cell` returned as the JSON text of a list of rows, each the cell and its columns."""
    tables = returned if isinstance(returned, list) else [returned]
    if not tables or not all(isinstance(columns, dict) for columns in tables):
        raise TypeError(f"run_cell must return a dict of columns or a list of them, got {shown(returned):.80}")
    given, rows = spelled(cell), []
    for columns in tables:
        values = plain(columns, "columns", integers_to=-1)
        if clash := sorted(given.keys() & values.keys()):
            raise ValueError(f"run_cell returned columns that are keys of its cell: {', '.join(clash)}; rename them")
        rows.append(given | spelled(values))
    return encode(rows)


def _identity(seed: int, name: str, version: int) -> str:
    """JSON text of what all cells of a sweep have in common, without its opening brace."""
    if not isinstance(name, str):
        raise TypeError(f"name must be a string, got {shown(name)}")
    return encode({"name": name, "seed": _whole("seed", seed), "version": _whole("version", version)})[1:]


def _job(cell: Cell, where: str, rest: str) -> Job:
    if type(cell) is dict and all(map(_is_canonical, cell.values())) and all(type(key) is str for key in cell):
        given = canonical = dict(cell)
    elif isinstance(cell, dict):
        try:
            canonical = spelled(plain(cell, where, integers_to=math.inf))
            given = plain(cell, where, integers_to=LARGEST_INTEGER)
        except RecursionError:
            raise ValueError(f"{where} must not be nested so deeply") from None
    else:
        raise TypeError(f"{where} must be a dict, got {type(cell).__name__}")
    try:
        identity = f'{{"cell":{encode(canonical)},{rest}'
    except ValueError as error:  # an integer with more digits than Python prints
        raise ValueError(f"{where} must be what JSON can hold: {error}") from None
    return Job(given, identity, hashlib.sha256(identity.encode()).hexdigest())


def _is_canonical(value: Any) -> bool:
    """Whether a value is spelled in JSON as it stands: true of most, so that most cells need no rebuilding."""
    kind = type(value)
    return kind in UNCHANGED or (kind is float and math.isfinite(value) and not value.is_integer())


def _shard(shard: tuple[int, int] | None) -> tuple[int, int]:
    try:
        i, n = (0, 1) if shard is None else shard
        if isinstance(shard, (set, frozenset, dict)):  # in no order
            raise TypeError
    except Exception:
        raise TypeError(f"shard must be a pair (i, n), got {shown(shard)}") from None
    if not 0 <= (i := _whole("shard[0]", i)) < (n := _whole("shard[1]", n)):
        raise ValueError(f"shard must be (i, n) with 0 <= i < n, got {shown(shard)}")
    return i, n


def _whole(name: str, value: int) -> int:
    if isinstance(value, (bool, np.timedelta64)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be a non-negative integer, got {shown(value)}")
    if value < 0:
        raise ValueError(f"{name} must be a non-negative integer, got {shown(value)}")
    if value >= LARGEST_SEED:
        raise ValueError(f"{name} must have at most 4,000 digits, got {shown(value)}")
    return int(value)


def plain(value: Any, where: str, *, integers_to: float) -> Any:
    """`value` in JSON types, freshly built; integral floats up to `integers_to` as integers: 3.0 and 3 are one cell."""
    if value is None or isinstance(value, (bool, np.bool_)):
        return None if value is None else bool(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        number = float(value)
        if math.isnan(number):
            raise ValueError(f"{where} is NaN: use None where there is no value")
        return int(number) if abs(number) <= integers_to and number.is_integer() else number
    if isinstance(value, np.ndarray) and not np.ma.is_masked(value):
        return plain(value.tolist(), where, integers_to=integers_to)
    if isinstance(value, (list, tuple)):
        return [plain(entry, f"{where}[{i}]", integers_to=integers_to) for i, entry in enumerate(value)]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{where} must have strings as keys, got {shown(key)}")
        return {str.__str__(k): plain(entry, f"{where}[{k!r}]", integers_to=integers_to) for k, entry in value.items()}
    raise TypeError(
        f"{where} must be a number, string, bool, None, or lists, arrays and dicts of them; "
        f"got {'a masked array' if isinstance(value, np.ndarray) else type(value).__name__}"
    )


def spelled(value: Any) -> Any:
    """Plain `value` with its infinities as "inf" and "-inf", for which JSON has no number."""
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if isinstance(value, list):
        return [spelled(entry) for entry in value]
    if isinstance(value, dict):
        return {key: spelled(entry) for key, entry in value.items()}
    return value
