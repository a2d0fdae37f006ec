"""Rows beside a figure: ten digits, and a file that is kept where a new run differs from it by rounding only."""

import errno
import math
import os
import re

import pytest

from simulations import __main__ as cli
from simulations import _rows

ROW = {"n": 100, "name": "0.5", "loss": 1 / 3, "step": None, "curve": [0.1 + 0.2, "inf", [2.0]], "edge": True}
ROWS = [ROW, {"n": 200, "loss": 1e-20}]


@pytest.mark.parametrize(
    ("value", "text"),
    [(2 / 3, "0.6666666667"), (2e-300 / 3, "6.666666667e-301"), (0.0, "0.0"), (1e10, "10000000000.0"),
     (10**12, "1000000000000"), (123456789.123456789, "123456789.1"), (math.inf, "inf"), (True, "True"),
     ("0.12345678901234", "0.12345678901234"),
     ([1 / 3, {"a": 1 / 3}], "[0.3333333333, {'a': 0.3333333333}]")],
)  # fmt: skip
def test_floats_are_printed_to_ten_digits_and_nothing_else_changes(value, text):
    assert str(_rows.printed(value)) == text


def test_a_number_agrees_with_its_own_print():
    for mantissa in (1.0, 1.0000000005, 1.00000000049999, 9.99999999949999, math.pi):
        for exponent in (-9, 0, 15):
            assert _rows.agree(mantissa * 10.0**exponent, _rows.printed(mantissa * 10.0**exponent))


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "rows.csv"
    _rows.write([_rows.printed(row) for row in ROWS], path)
    return path


def test_rows_come_back_as_printed_with_their_own_keys_and_types(table):
    assert _rows.kept(ROWS, table) == [_rows.printed(row) for row in ROWS]
    assert [list(row) for row in _rows.kept(ROWS, table)] == [list(row) for row in ROWS]


@pytest.mark.parametrize(
    ("change", "stays"),
    [({"loss": (1 + 3e-10) / 3}, True), ({"loss": (1 + 3e-9) / 3}, False), ({"loss": math.nan}, False),
     ({"loss": "inf"}, False), ({"loss": None}, False), ({"loss": 0}, False), ({"loss": [1 / 3]}, False),
     ({"n": 101}, False), ({"n": 100.0}, True), ({"name": "0.50"}, False), ({"step": 0.1}, False), ({"edge": 1}, False),
     ({"curve": [0.3, "inf", [2.0]]}, True), ({"curve": [0.3, math.inf, [2.0]]}, False),
     ({"curve": [0.3, "inf"]}, False), ({"curve": [0.3, "inf", [2.1]]}, False), ({"more": 1}, False)],
)  # fmt: skip
def test_rounding_keeps_the_file_and_all_else_does_not(table, change, stays):
    assert (_rows.kept([ROW | change, ROWS[1]], table) is not None) == stays


def test_below_a_stated_floor_there_is_only_rounding(table):
    """Without one an exponentially small loss is a number like any other."""
    assert _rows.kept([ROW, ROWS[1] | {"loss": -9e-14}], table, 1e-13)[1]["loss"] == 1e-20
    assert _rows.kept([ROW, ROWS[1] | {"loss": 2e-13}], table, 1e-13) is None
    assert _rows.kept([ROW, ROWS[1] | {"loss": 2e-20}], table) is None


def test_nan_and_infinity_agree_with_themselves_only():
    assert _rows.agree(math.nan, math.nan)
    assert _rows.agree(math.inf, math.inf)
    assert not _rows.agree(math.inf, -math.inf)
    assert not _rows.agree(math.nan, 0.0)


def test_other_rows_or_columns_are_other_files(table, tmp_path):
    assert _rows.kept(ROWS[:1], table) is None
    assert _rows.kept([*ROWS, ROW], table) is None
    assert _rows.kept([dict(reversed(ROW.items())), ROWS[1]], table) is None
    assert _rows.kept([{**ROW, "step": 1}, ROWS[1]], table) is None
    assert _rows.kept([ROW, {"n": 200}], table) is None
    assert _rows.kept(ROWS, tmp_path / "none.csv") is None


@pytest.mark.parametrize("cut", [8, 30, 60])
def test_a_torn_file_is_written_again(table, cut):
    table.write_bytes(table.read_bytes()[:-cut])
    assert _rows.kept(ROWS, table) is None


class Simulation:
    """Draws a figure that knows its rows."""

    LAST_BIT = "a butterfly"

    def __init__(self):
        self.drawn = []

    def plot(self, rows):
        from pessimism import plotting

        self.drawn.append(rows)
        return plotting.panels(1, 1)[0]


def test_a_figure_is_drawn_from_its_rows_when_they_move(tmp_path):
    simulation, stem = Simulation(), tmp_path / "stem"
    table, picture = tmp_path / "stem.csv", tmp_path / "stem.png"
    assert "stem.png" in cli.draw(simulation, ROWS, stem, anew=False)
    before = table.read_bytes()
    near = [ROW | {"loss": (1 + 3e-10) / 3}, ROWS[1]]
    picture.write_bytes(b"of another machine")
    assert cli.draw(simulation, near, stem, anew=False).endswith("unchanged")
    assert (table.read_bytes(), picture.read_bytes()) == (before, b"of another machine")
    cli.draw(simulation, near, stem, anew=True)
    picture.unlink()
    cli.draw(simulation, near, stem, anew=False)
    assert picture.exists()
    assert table.read_bytes() == before
    assert simulation.drawn == [[_rows.printed(row) for row in ROWS]] * 3
    assert "a butterfly" in cli.draw(simulation, [ROW | {"loss": 0.5}, ROWS[1]], stem, anew=False)
    assert table.read_bytes() != before
    assert simulation.drawn[-1][0]["loss"] == 0.5


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_table_and_names_it(tmp_path, monkeypatch, moment):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    table = tmp_path / "x.csv"
    _rows.write([{"n": 1}], table)
    before = table.read_bytes()
    monkeypatch.setattr(os, moment, full)
    with pytest.raises(OSError, match=re.escape(str(table))):
        _rows.write([{"n": 2}], table)
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]
    assert table.read_bytes() == before
