"""Tables of rows of many tasks: equal to the raw rows, in any order and any library, one error for bad input."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from pessimism.interop.task_rows import task_data
from pessimism.tasks import TaskData

MAKERS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}
backends = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
LABELS = [["ward b", "ward a", "ward c"], [10, -3, 0], [0.5, -0.25, 7.0], [True, False, True]]


def same(one, two):
    for name in ("counts", "grams", "moments", "squares"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=1e-12, atol=1e-12)


def rows(n=40, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)), rng.normal(size=n), rng.integers(0, 3, n)


@backends
@pytest.mark.parametrize("labels", LABELS, ids=["str", "int", "float", "bool"])
def test_a_table_equals_its_raw_rows(make, labels):
    x, y, code = rows()
    names = [labels[i] for i in code]
    frame = make({"a": x[:, 0].tolist(), "task": names, "b": x[:, 1].tolist(), "y": y.tolist(), "c": x[:, 2].tolist()})
    data, found = task_data(frame, task="task", output="y")
    assert found == tuple(sorted(set(labels)))
    assert [type(label) for label in found] == [type(labels[0])] * len(found)
    same(data, TaskData.from_arrays(x, y, [found.index(name) for name in names]))
    some, _ = task_data(frame, task="task", output="y", inputs=["c", "a"])
    same(some, TaskData.from_arrays(x[:, [2, 0]], y, [found.index(name) for name in names]))
    one, _ = task_data(frame, task="task", output="y", inputs="b")
    same(one, TaskData.from_arrays(x[:, [1]], y, [found.index(name) for name in names]))


@backends
def test_the_order_of_the_rows_does_not_matter(make):
    x, y, code = rows()
    shuffled = np.random.default_rng(1).permutation(len(y))
    tables = [
        make({"t": code[at].tolist(), "y": y[at].tolist(), **{f"x{i}": x[at, i].tolist() for i in range(3)}})
        for at in (np.arange(len(y)), shuffled)
    ]
    (one, labels), (two, others) = (task_data(table, task="t", output="y") for table in tables)
    assert labels == others == (0, 1, 2)
    same(one, two)


@backends
def test_whole_numbers_and_booleans_are_numbers(make):
    frame = make({"t": [0, 0, 1], "x": [True, False, True], "k": [1, 2, 3], "y": [False, True, True]})
    data, _ = task_data(frame, task="t", output="y")
    same(data, TaskData.from_arrays([[1, 1], [0, 2], [1, 3]], [0, 1, 1], [0, 0, 1]))


@pytest.mark.parametrize("dtype", ["category", "Int64", "Float64", "float32", "int8"])
def test_pandas_types(dtype):
    table = pd.DataFrame({"t": ["b", "a", "b"], "x": [1, 2, 4], "y": [1, 2, 3]})
    changed = table.astype({"t": dtype}) if dtype == "category" else table.astype({"x": dtype, "y": dtype})
    (one, labels), (two, others) = (task_data(frame, task="t", output="y") for frame in (table, changed))
    assert labels == others == ("a", "b")
    same(one, two)


GOOD = {"t": ["u", "v", "u"], "x": [1.0, 2.0, 3.0], "z": [0.5, 0.5, 0.5], "y": [0.0, 1.0, 2.0]}


@backends
@pytest.mark.parametrize(
    ("change", "arguments", "error", "message"),
    [
        ({}, {"task": "q"}, ValueError, "task must be a column of frame, one of ['t', 'x', 'z', 'y'], got 'q'"),
        ({}, {"output": "q"}, ValueError, "output must be a column of frame"),
        ({}, {"inputs": ["x", "q"]}, ValueError, "inputs must be a column of frame"),
        ({}, {"inputs": []}, ValueError, "inputs must name at least one column, got none: leave it out"),
        ({}, {"output": "t"}, ValueError, "output must be a column of its own, got 't', which is in task too"),
        ({}, {"inputs": ["x", "y"]}, ValueError, "inputs must be a column of its own, got 'y', which is in output too"),
        ({}, {"inputs": ["x", "x"]}, ValueError, "inputs must be a column of its own, got 'x', which is in inputs too"),
        ({"t": [], "x": [], "z": [], "y": []}, {}, ValueError, "frame must have at least one row, got none"),
        ({"x": None, "z": None}, {}, ValueError, "frame must have a column beside 't' and 'y', got none left"),
        ({"t": ["u", None, "v"]}, {}, ValueError, "column 't' must hold a label in every row, got None in row 1"),
        ({"x": [1.0, 2.0, None]}, {}, ValueError, "column 'x' must hold a number in every row, got"),
        ({"z": [float("nan"), 1.0, 1.0]}, {}, ValueError, "column 'z' must hold a number in every row, got nan"),
        ({"y": [0.0, float("nan"), 1.0]}, {}, ValueError, "column 'y' must hold a number in every row, got nan in row"),
        ({"y": [0.0, 0.0, float("inf")]}, {}, ValueError, "column 'y' must hold a number of at most 1e+150 in size"),
        ({"x": ["1", "2", "3"]}, {}, TypeError, "column 'x' must hold numbers, got String ('1' in row 0): convert it"),
        ({"y": ["a", "b", "c"]}, {}, TypeError, "column 'y' must hold numbers, got String ('a' in row 0): convert it"),
    ],
)
def test_bad_tables_are_one_error(make, change, arguments, error, message):
    columns = {name: value for name, value in (GOOD | change).items() if value is not None}
    if make is pd.DataFrame and "None in row" in message:
        message = message.partition("got")[0]  # pandas may spell it nan
    with pytest.raises(error) as caught:
        task_data(make(columns), **{"task": "t", "output": "y", **arguments})
    assert message in str(caught.value)


def test_labels_of_mixed_types_are_refused():
    table = pd.DataFrame(GOOD | {"t": pd.Series(["u", 1, "v"], dtype=object)})
    with pytest.raises(TypeError, match="column 't' must hold labels of one type, got 'u' in row 0, 1 in row 1"):
        task_data(table, task="t", output="y")


@pytest.mark.parametrize("frame", [GOOD, [1, 2], pl.DataFrame(GOOD).lazy()], ids=["dict", "list", "lazy"])
def test_only_frames_in_memory(frame):
    with pytest.raises(TypeError, match=r"frame must be a data frame in memory \(collect a lazy one first\), got"):
        task_data(frame, task="t", output="y")
