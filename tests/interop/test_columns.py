"""What every reader of tables refuses, in every library: one error that names the column and the row."""

import re

import pandas as pd
import polars as pl
import pytest

from pessimism.interop.frames import bandit_log
from pessimism.interop.task_rows import task_data
from pessimism.interop.transitions import transition_log
from tests.interop.tables import backends

GOOD = {"l": ["u", "v", "u"], "m": ["v", "v", "u"], "k": ["w", "w", "x"], "x": [0.5, 1.0, 0.0]}
READERS = {
    bandit_log: {"arm": "l", "context": "m", "reward": "x"},
    task_data: {"task": "l", "output": "x", "inputs": "y"},
    transition_log: {"state": "l", "next_state": "m", "action": "k", "reward": "x"},
}
readers = pytest.mark.parametrize("reader", READERS)


def read(reader, make=pd.DataFrame, **change):
    """What the reader makes of a table in which some columns, or some arguments, are others."""
    columns = GOOD | {"y": GOOD["x"]} | {name: values for name, values in change.items() if name in (*GOOD, "y")}
    arguments = {name: value for name, value in change.items() if name not in columns}
    return reader(make(columns), **READERS[reader] | arguments)


@readers
@backends
def test_bad_columns(reader, make):
    label, number = "column 'l' must hold a label in every row, got", "column 'x' must hold a number in every row, got"
    for change, error, message in (
        ({"l": ["u", None, "u"]}, ValueError, f"{label} .* in row 1 "),
        ({"l": [1.0, 1.0, float("nan")]}, ValueError, f"{label} nan in row 2 "),
        ({"x": [None, 1.0, 0.0]}, ValueError, f"{number} .* in row 0 "),
        ({"x": [0.0, float("nan"), 0.0]}, ValueError, f"{number} nan in row 1 "),
        ({"x": ["0", "1", "1"]}, TypeError, "column 'x' must hold .*'0' in row 0"),
        ({name: [] for name in (*GOOD, "y")}, ValueError, "frame must have at least one row, got none"),
    ):
        with pytest.raises(error, match=message):
            read(reader, make, **change)


@readers
def test_bad_labels_and_names(reader):
    """Objects of several types are known to pandas only."""
    (argument, column), *_, (last, _) = READERS[reader].items()
    for change, error, message in (
        ({"l": ["x", 1, "x"]}, TypeError, "column 'l' must hold labels of one type, got 'x' in row 0, 1 in row 1"),
        ({"l": [True, 1, 0]}, TypeError, "column 'l' must hold labels of one type, got True in row 0, 1 in row 1"),
        (
            {argument: "z"},
            ValueError,
            f"{argument} must be a column of frame, one of ['l', 'm', 'k', 'x', 'y'], got 'z'",
        ),
        ({last: column}, ValueError, f"{last} must be a column of its own, got '{column}', which is in {argument} too"),
    ):
        with pytest.raises(error, match=re.escape(message)):
            read(reader, **change)


@readers
@pytest.mark.parametrize("frame", [GOOD, [1], None, pl.LazyFrame(GOOD), pl.Series([1])])
def test_what_is_no_frame_in_memory(reader, frame):
    with pytest.raises(TypeError, match=r"frame must be a data frame in memory \(collect a lazy one first\), got"):
        reader(frame, **READERS[reader])
