r"""Tables in, tables out: decisions logged in a data frame become `BanditData`, rows of a sweep become a table.

A log of decisions has one row for each round: the context, the arm that was chosen, and the reward.

=====================  ============================================================================================
in the table           in our structure
=====================  ============================================================================================
context column(s)      context :math:`s`, a position in the sorted labels (`contexts`); several columns: their
                       combinations
arm column             arm :math:`a`, a position in the sorted labels (`arms`)
reward column          added to ``sums[s, a]``; its square to ``squares[s, a]``
row                    one pull in ``counts[s, a]``; the order of the rows is lost, which no rule here minds
=====================  ============================================================================================

Common mistakes, and what they lead to:

- *Labels taken for positions.* A policy holds positions: arm 1 is the second label, not the label 1.
  `BanditLog.decisions` translates back.
- *Arms that were never pulled are missing*, unless the type of the column names its categories. Widths and
  :math:`C^*` count all arms one could have pulled, so pass ``arms=`` (and ``contexts=``) whenever you know them.
- *Rounds of other arms are not dropped in silence*: a label that is not in ``arms=`` is an error. To leave such rounds
  out, say ``drop_others=True``, or use `BanditLog.restrict`; either way ``log.dropped`` counts them.
- *Rewards on another scale.* Widths are those of rewards in `reward_range`. A click is 0 or 1; a price is not. Pass
  the range that is known beforehand, not the range that was seen.
- *Labels* are equal where the type of the column says so, at its own resolution: times with a zone are instants, given
  in UTC by polars and Arrow.
- *Contexts that are too fine.* Every combination of context columns is learned on its own. With few rows a context
  the answer is the width, not the data: look at ``log.data.counts`` before anything else.

In the other direction, rows are flat dicts of JSON values, in which infinities are spelled "inf" and "-inf". A typed
table has real infinities, so they are translated on the way out and on the way back.
"""

import math
import os
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pessimism import _check
from pessimism._objects import Speaking
from pessimism._optional import optional
from pessimism._shown import shown
from pessimism._types import Ints
from pessimism.bandits import BanditData, PropensityData
from pessimism.interop import _columns
from pessimism.interop._columns import Positions, labels_in
from pessimism.interop._logs import Decided, labelled_by
from pessimism.interop._rows import ABSENT, Row, arrow_table, column_of, keys_of, leafwise, listed, spelled

__all__ = ["BanditLog", "bandit_log", "read_parquet", "rows_to_frame", "to_xarray", "write_parquet"]

BACKENDS = ("pandas", "polars", "pyarrow")


# Decisions in.


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BanditLog(Decided, Speaking):
    """A log with the names that its positions stand for.

    Attributes
    ----------
    data : BanditData
        Counts, sums and squares over (context, arm).
    arms : tuple
        Label of every arm, in the order of the last axis.
    contexts : tuple
        Label of every context, in the order of the axis before; a tuple each if several columns make a context,
        ``(None,)`` if no column does.
    dropped : int
        Rounds of other arms that the reader, or `restrict`, was asked to leave out.
    propensities : PropensityData or None
        The rounds with the propensities that the log states, if a column of them was read: what estimators take.

    Examples
    --------
    >>> log = BanditLog(BanditData([[2, 1]], [[1.0, 1.0]]), arms=("left", "right"), contexts=(None,))
    >>> log.decisions(log.data.means.argmax(axis=-1))
    {None: 'right'}
    """

    data: BanditData
    arms: tuple[Any, ...]
    contexts: tuple[Any, ...]
    dropped: int = 0
    propensities: PropensityData | None = None

    def __post_init__(self) -> None:
        _check.instance("data", self.data, BanditData)
        labelled_by("arms", self.arms, self.data.counts.shape[-1])
        labelled_by("contexts", self.contexts, self.data.counts.shape[-2])
        _check.whole("dropped", self.dropped)
        if self.propensities is not None:
            _check.instance("propensities", self.propensities, PropensityData)

    def _names(self) -> tuple[tuple[Any, ...], tuple[Any, ...], str, str]:
        return self.contexts, self.arms, "arm", "contexts"

    def restrict(self, arms: Iterable[Hashable]) -> "BanditLog":
        """The log of some of the arms, by their labels: the rounds of all others are left out.

        Parameters
        ----------
        arms : iterable
            Labels of the arms to keep, each once, in the order wanted.

        Returns
        -------
        BanditLog
            With all contexts, also those of which no round is left; `dropped` counts what was left out. It has no
            propensities: those of the log are not those among the arms that are left.

        Raises
        ------
        ValueError, TypeError
            If `arms` is empty, repeats a label, or holds one that the log does not have.

        Examples
        --------
        >>> log = BanditLog(BanditData([[2, 1, 4]], [[1.0, 1.0, 0.0]]), arms=("a", "b", "c"), contexts=(None,))
        >>> kept = log.restrict(["c", "a"])
        >>> kept.data.counts.tolist(), kept.arms, kept.dropped
        ([[4, 2]], ('c', 'a'), 1)
        """
        labels = _columns.given_labels("arms", arms)
        place = {label: i for i, label in enumerate(self.arms)}
        for i, label in enumerate(labels):
            if label not in place:
                raise ValueError(f"arms[{i}] must be one of the {len(place)} arms of the log, got {shown(label)}")
        data = self.data.restrict([place[label] for label in labels])
        left_out = int(self.data.counts.sum() - data.counts.sum())
        return BanditLog(data, tuple(labels), self.contexts, self.dropped + left_out)


def bandit_log(
    frame: Any,
    *,
    arm: str,
    reward: str,
    context: str | Sequence[str] | None = None,
    reward_range: tuple[float, float] = (0.0, 1.0),
    arms: Iterable[Hashable] | None = None,
    contexts: Iterable[Hashable] | None = None,
    drop_others: bool = False,
    propensity: str | None = None,
) -> BanditLog:
    """Read logged decisions from a data frame, one row for each round, as counts and sums.

    Parameters
    ----------
    frame : data frame
        Whatever narwhals reads eagerly: pandas, polars, pyarrow, Modin, cuDF.
    arm : str
        Column of the arm that was chosen.
    reward : str
        Column of the reward: numbers or booleans.
    context : str or sequence of str, optional
        Column, or columns, of the context. Default: there is one context.
    reward_range : (float, float)
        Interval known beforehand to hold every reward.
    arms : iterable, optional
        All labels of arms in the order wanted. Default: the categories if the column is of such a type, in their order
        if it has one; else those that occur, sorted, which misses arms that were never pulled.
    contexts : iterable, optional
        The same for contexts; tuples if `context` is a sequence, by default those that occur, sorted.
    drop_others : bool
        Leave out the rounds of arms that are not in `arms`, whose rewards are then not looked at; the log says how many
        (`dropped`), and keeps their contexts. Default: such a round is an error.
    propensity : str, optional
        Column of the probabilities, in (0, 1], with which the arms were chosen, given their context; not together with
        `drop_others`.

    Returns
    -------
    BanditLog
        Its ``data`` equal `BanditData.from_log` on the same rounds, bit for bit.

    Raises
    ------
    ValueError
        If a column is missing or used twice, the frame is empty, a value is null or NaN, a label is not among those
        given, or a reward is outside its range. The message names the column, the first bad row and what was expected.
    TypeError
        If `frame` is not an eager data frame, a reward is not a number, or the labels of a column mix types.
    ImportError
        If narwhals is not installed.

    Notes
    -----
    Cost O(rows), plus sorting the distinct labels. The module docstring lists the common mistakes.

    Examples
    --------
    >>> import pandas as pd
    >>> from pessimism.bandits import lcb
    >>> table = pd.DataFrame({"drug": ["b", "a", "b", "b"], "healed": [1, 0, 1, 0], "sex": ["f", "f", "m", "m"]})
    >>> log = bandit_log(table, arm="drug", reward="healed", context="sex", arms=["a", "b", "placebo"])
    >>> log.data.counts.tolist()
    [[1, 1, 0], [0, 2, 0]]
    >>> log.decisions(lcb(log.data))
    {'f': 'b', 'm': 'b'}

    Only some of the arms are of interest.

    >>> log = bandit_log(table, arm="drug", reward="healed", arms=["b"], drop_others=True)
    >>> log.data.counts.tolist(), log.dropped
    ([[3]], 1)

    A log that states its propensities can value another policy.

    >>> from pessimism.bandits import estimators
    >>> table = pd.DataFrame({"drug": ["b", "a", "b"], "healed": [1, 0, 1], "chance": [0.5, 0.5, 0.75]})
    >>> log = bandit_log(table, arm="drug", reward="healed", propensity="chance")
    >>> round(float(estimators.ips(log.propensities, [[0.0, 1.0]])), 4)
    1.1111
    """
    given = () if context is None else _columns.names("context", context)
    if context is not None and not given:
        raise ValueError("context must name at least one column, got none: leave it out if there is one context")
    if contexts is not None and not given:
        raise ValueError("contexts must come with context, the column that they label")
    if _check.flag("drop_others", drop_others) and arms is None:
        raise ValueError("drop_others must come with arms, the labels of the arms to keep")
    own = {"arm": _columns.name("arm", arm), "reward": _columns.name("reward", reward)}
    if propensity is not None:
        own["propensity"] = _columns.name("propensity", propensity)
        if drop_others:
            raise ValueError("propensity must not come with drop_others: among fewer arms the probabilities are others")
    table = _columns.opened(frame, own | {"context": given})
    known = _columns.known_labels(table, arm)[0]
    played = _columns.positions(arm, labels_in(table, arm), "arms", arms, known, others=drop_others)
    kept = played.codes >= 0
    if not kept.any():
        raise ValueError(f"arms must hold a label that occurs in column {arm!r}, got none in {len(table)} rows")
    columns = [labels_in(table, column) for column in given]
    if context is None:
        met = Positions(np.zeros(len(table), np.int64), (None,))
    elif isinstance(context, str):
        everywhere = _columns.known_labels(table, context)[0]
        met = _columns.positions(context, columns[0], "contexts", contexts, everywhere)
    else:
        met = _columns.positions(list(given), list(zip(*columns, strict=True)), "contexts", contexts)
    span = _check.interval("reward_range", reward_range)
    rewards = _columns.rewards(table, reward, span, kept if drop_others else None)
    known_sizes: dict[str, Any] = {"n_contexts": len(met.labels), "n_arms": len(played.labels), "reward_range": span}
    data = BanditData.from_log(met.codes[kept], played.codes[kept], rewards, **known_sizes)
    stated = None
    if propensity is not None:
        chances = _columns.propensities(table, propensity)
        stated = PropensityData.from_log(met.codes, played.codes, rewards, chances, **known_sizes)
    return BanditLog(data, played.labels, met.labels, int(len(kept) - kept.sum()), stated)


# Rows out.


def rows_to_frame(rows: Iterable[Row], *, backend: str = "pandas") -> Any:
    """Data frame of the rows of a sweep.

    Parameters
    ----------
    rows : iterable of dict
        Flat: numbers, strings, booleans, None, or lists of them, by string key. Keys may be missing. NaN beside strings
        or booleans is None, as in rows that pandas gives.
    backend : str
        "pandas", "polars" or "pyarrow".

    Returns
    -------
    pandas.DataFrame, polars.DataFrame or pyarrow.Table
        One column for each key, in the order in which keys first occur. In a column whose only strings are "inf" and
        "-inf" these are infinities. Whole numbers beside fractions or infinities become floats. Missing keys and None
        are null (in pandas: NaN beside numbers, so whole numbers turn to floats there).

    Raises
    ------
    TypeError
        If a column mixes numbers, strings, booleans or lists, or holds something else.
    ValueError
        If a whole number does not fit: 64 bits, or 53 beside fractions.
    ImportError
        If the backend or pyarrow is not installed.

    Examples
    --------
    >>> frame = rows_to_frame([{"cstar": 1, "loss": 0.5}, {"cstar": "inf", "loss": None}], backend="polars")
    >>> frame["cstar"].to_list(), frame["loss"].to_list()
    ([1.0, inf], [0.5, None])
    """
    _check.choice("backend", backend, BACKENDS)
    table = arrow_table(rows)
    if backend == "pyarrow":
        return table
    engine = optional(backend, "frames")  # for its ImportError even where pyarrow does the work
    return table.to_pandas() if backend == "pandas" else engine.from_arrow(table)


def write_parquet(rows: Iterable[Row], path: str | os.PathLike[str]) -> None:
    """Write the rows of a sweep as one Parquet file, which `read_parquet` turns back into equal rows.

    Parameters
    ----------
    rows : iterable of dict
        As for `rows_to_frame`; rows without any key cannot be told from no rows and are refused.
    path : str or path
        File to write; an existing one is replaced.

    Raises
    ------
    TypeError, ValueError, ImportError
        As for `rows_to_frame`.
    OSError
        If the file cannot be written.

    Notes
    -----
    What comes back equals what was written (``==``), with three exceptions. Float infinities come back as the strings
    that rows spell them with, tuples as lists. In a column where some rows hold None and others lack the key, all come
    back as None. Equal is not identical: whole numbers in a column with fractions or infinities come back as floats
    (2 as 2.0), which is the same cell to a sweep.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> rows = [{"n": 10, "cstar": 1.5}, {"n": 100, "cstar": "inf", "note": "uncovered"}]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_parquet(rows, pathlib.Path(folder) / "rows.parquet")
    ...     read_parquet(pathlib.Path(folder) / "rows.parquet") == rows
    True
    """
    optional("pyarrow.parquet", "frames").write_table(arrow_table(rows), _check.path("path", path))


def read_parquet(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read the rows of a Parquet file, of `write_parquet` or of anyone else.

    Parameters
    ----------
    path : str or path
        File to read.

    Returns
    -------
    list of dict
        Infinities spelled "inf" and "-inf"; a null is a missing key where `write_parquet` found one, else None.

    Raises
    ------
    OSError, ValueError
        If there is no such file, or it is not Parquet.
    ImportError
        If pyarrow is not installed.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_parquet([{"n": 1, "loss": float("inf")}], pathlib.Path(folder) / "rows.parquet")
    ...     read_parquet(pathlib.Path(folder) / "rows.parquet")
    [{'n': 1, 'loss': 'inf'}]
    """
    # not read_table: in a folder called "n=3" that adds a column n of its own
    with optional("pyarrow.parquet", "frames").ParquetFile(_check.path("path", path)) as file:
        table = file.read()
    absent = {field.name for field in table.schema if (field.metadata or {}).items() >= ABSENT.items()}
    return [
        {key: leafwise(spelled, value) for key, value in row.items() if value is not None or key not in absent}
        for row in table.to_pylist()
    ]


def to_xarray(rows: Iterable[Row], *, dims: Sequence[str], values: Sequence[str] | None = None) -> Any:
    """Put the rows of a sweep on the grid of their cells.

    Parameters
    ----------
    rows : iterable of dict
        As for `rows_to_frame`.
    dims : sequence of str
        Keys of the cell that span the grid, in the order of the axes; every row must have them.
    values : sequence of str, optional
        Columns of numbers to put on the grid. Default: all that hold numbers or booleans, and are not in `dims`.

    Returns
    -------
    xarray.Dataset
        A float64 variable for each of `values`: NaN where the grid has no row, or the row no number. Coordinates are
        the distinct values of each key, sorted.

    Raises
    ------
    ValueError
        If there are no rows, a row lacks a coordinate, or two rows have the same coordinates.
    TypeError
        If a column that was asked for holds no numbers, or one mixes kinds.
    ImportError
        If xarray is not installed.

    Examples
    --------
    >>> rows = [{"cstar": c, "n": n, "loss": n**-0.5} for c in (1.5, "inf") for n in (100, 400)]
    >>> grid = to_xarray(rows[:3], dims=["cstar", "n"])
    >>> grid["loss"].values.tolist()
    [[0.1, 0.05], [0.1, nan]]
    >>> float(grid["loss"].sel(cstar=float("inf"), n=100))
    0.1
    """
    xarray = optional("xarray", "frames")
    rows, dims = listed(rows), _names("dims", dims)
    if not rows:
        raise ValueError("rows must hold at least one row, got none")
    axes = [_coordinates(rows, dim) for dim in dims]
    shape = tuple(len(axis.labels) for axis in axes)
    cell = np.ravel_multi_index([axis.codes for axis in axes], shape)
    _require_one_row_a_cell(rows, dims, cell)
    columns = {}
    for name in _number_columns(rows, dims) if values is None else _names("values", values):
        column = column_of(rows, name)
        if name in dims or not column.is_numeric:
            raise TypeError(f"values must name columns of numbers that are not in dims, got {shown(name)}")
        grid = np.full(math.prod(shape), np.nan)
        grid[cell] = [math.nan if value is None else float(value) for value in column.values]
        columns[name] = (dims, grid.reshape(shape))
    coordinates = {dim: list(axis.labels) for dim, axis in zip(dims, axes, strict=True)}
    return xarray.Dataset(columns, coords=coordinates)


def _names(argument: str, names: Sequence[str]) -> list[str]:
    found = _check.listed(argument, names, "column names")
    if not all(isinstance(name, str) for name in found):
        raise TypeError(f"{argument} must be a sequence of column names, got {shown(names)}")
    if not found or len(set(found)) != len(found):
        raise ValueError(f"{argument} must name at least one column, and none twice, got {shown(names)}")
    return found


def _number_columns(rows: list[Row], dims: list[str]) -> list[str]:
    return [name for name in keys_of(rows) if name not in dims and column_of(rows, name).is_numeric]


def _coordinates(rows: list[Row], dim: str) -> Positions:
    column = column_of(rows, dim)
    for i, value in enumerate(column.values):
        if value is None or isinstance(value, list) or value != value:
            got = repr(value) if dim in rows[i] else "no such key"
            raise ValueError(
                f"rows[{i}] must have a number, string or boolean for {dim!r}, which is in dims, got {got}"
            )
    return _columns.positions(dim, column.values, "rows", None)


def _require_one_row_a_cell(rows: list[Row], dims: list[str], cell: Ints) -> None:
    _, first, inverse = np.unique(cell, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[inverse] != np.arange(len(rows)))
    if again.size:
        i, j = int(first[inverse[again[0]]]), int(again[0])
        place = ", ".join(f"{dim}={rows[j][dim]!r}" for dim in dims)
        raise ValueError(
            f"rows[{i}] and rows[{j}] are both at {place}: average blocks first, "
            "or add to dims the key that tells them apart"
        )
