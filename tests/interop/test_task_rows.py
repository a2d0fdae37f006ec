"""Tables of rows of many tasks: equal to the raw rows, in any order and any library, one error for bad input."""

import re

import numpy as np
import pandas as pd
import pytest

from pessimism.interop.task_rows import task_data
from pessimism.tasks import TaskData
from tests.interop.tables import LABELS, backends, same


def rows(n=40, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)), rng.normal(size=n), rng.integers(0, 3, n)


@backends
@pytest.mark.parametrize("labels", [["ward b", "ward a", "ward c"], *LABELS, [True, False, True]])
def test_a_table_equals_its_raw_rows(make, labels):
    x, y, code = rows()
    names = [labels[i] for i in code]
    frame = make({"a": x[:, 0].tolist(), "task": names, "b": x[:, 1].tolist(), "y": y.tolist(), "c": x[:, 2].tolist()})
    data, found = task_data(frame, task="task", output="y")
    assert found == tuple(sorted(set(names)))
    assert [type(label) for label in found] == [type(labels[0])] * len(found)
    same(data, TaskData.from_arrays(x, y, [found.index(name) for name in names]), rtol=1e-12)
    some, _ = task_data(frame, task="task", output="y", inputs=["c", "a"])
    same(some, TaskData.from_arrays(x[:, [2, 0]], y, [found.index(name) for name in names]), rtol=1e-12)
    one, _ = task_data(frame, task="task", output="y", inputs="b")
    same(one, TaskData.from_arrays(x[:, [1]], y, [found.index(name) for name in names]), rtol=1e-12)


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
    same(one, two, rtol=1e-12)


@backends
def test_whole_numbers_and_booleans_are_numbers(make):
    frame = make({"t": [0, 0, 1], "x": [True, False, True], "k": [1, 2, 3], "y": [False, True, True]})
    data, _ = task_data(frame, task="t", output="y")
    same(data, TaskData.from_arrays([[1, 1], [0, 2], [1, 3]], [0, 1, 1], [0, 0, 1]), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["category", "Int64", "Float64", "float32", "int8"])
def test_pandas_types(dtype):
    table = pd.DataFrame({"t": ["b", "a", "b"], "x": [1, 2, 4], "y": [1, 2, 3]})
    changed = table.astype({"t": dtype}) if dtype == "category" else table.astype({"x": dtype, "y": dtype})
    (one, labels), (two, others) = (task_data(frame, task="t", output="y") for frame in (table, changed))
    assert labels == others == ("a", "b")
    same(one, two, rtol=1e-12)


GOOD = {"t": ["u", "v", "u"], "x": [1.0, 2.0, 3.0], "z": [0.5, 0.5, 0.5], "y": [0.0, 1.0, 2.0]}


@pytest.mark.parametrize(
    ("change", "arguments", "error", "message"),
    [
        ({}, {"output": ["y"]}, TypeError, "output must be the name of a column, a string, got ['y']"),
        ({}, {"inputs": 3}, TypeError, "inputs must be the name of a column, or a sequence of names, got 3"),
        ({}, {"inputs": ["x", "q"]}, ValueError, "inputs must be a column of frame"),
        ({}, {"inputs": []}, ValueError, "inputs must name at least one column, got none: leave it out"),
        ({}, {"inputs": ["x", "y"]}, ValueError, "inputs must be a column of its own, got 'y', which is in output too"),
        ({}, {"inputs": ["x", "x"]}, ValueError, "inputs must be a column of its own, got 'x', which is in inputs too"),
        ({"x": None, "z": None}, {}, ValueError, "frame must have a column beside 't' and 'y', got none left"),
        ({"x": [1.0, 2.0, None]}, {}, ValueError, "column 'x' must hold a number in every row, got"),
        ({"z": [float("nan"), 1.0, 1.0]}, {}, ValueError, "column 'z' must hold a number in every row, got nan"),
        ({"y": [0.0, 0.0, float("inf")]}, {}, ValueError, "column 'y' must hold a number of at most 1e+150 in size"),
        ({"x": ["1", "2", "3"]}, {}, TypeError, "column 'x' must hold numbers, got String ('1' in row 0): convert it"),
    ],
)
def test_bad_tables_are_one_error(change, arguments, error, message):
    columns = {name: value for name, value in (GOOD | change).items() if value is not None}
    with pytest.raises(error, match=re.escape(message)):
        task_data(pd.DataFrame(columns), **{"task": "t", "output": "y", **arguments})
