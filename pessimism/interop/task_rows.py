"""Tables of rows of many tasks: a data frame becomes `TaskData`.

A table has one row for each example: the task that it belongs to, the inputs, and the output.

=====================  ============================================================================================
in the table           in our structure
=====================  ============================================================================================
task column            task m, a position in the sorted labels
input columns          x, in the order named; added up in ``grams`` and ``moments``
output column          y; added up in ``moments`` and ``squares``
row                    one row in ``counts[m]``; the order of the rows is lost
=====================  ============================================================================================

Common mistakes, and what they lead to:

- *No intercept.* None is added: put a column of ones among the inputs, or centre every task.
- *Inputs on different scales.* The theory of this wing has inputs of covariance I. Whiten them, by one and the same
  map for all tasks and the target.
- *The target among the sources.* Give the target's rows as a table of their own, with the inputs in the same order.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pessimism import _check
from pessimism._types import Floats
from pessimism.interop._columns import (
    as_floats,
    known_labels,
    labels_in,
    name,
    names,
    opened,
    positions,
    require_rows,
    without_nulls,
)
from pessimism.tasks import TaskData

__all__ = ["task_data"]


def task_data(
    frame: Any, *, task: str, output: str, inputs: str | Sequence[str] | None = None
) -> tuple[TaskData, tuple[Any, ...]]:
    """Add up the rows of a data frame, task by task.

    Parameters
    ----------
    frame : data frame
        Whatever narwhals reads eagerly: pandas, polars, pyarrow, Modin, cuDF.
    task : str
        Column that names the task of a row.
    output : str
        Column of the output, which is predicted: numbers or booleans.
    inputs : str or sequence of str, optional
        Columns of the inputs: numbers or booleans. Default: all others, in the order of the table.

    Returns
    -------
    data : TaskData
        One data set, equal to `TaskData.from_arrays` on the same rows.
    labels : tuple
        Label of every task: `labels[m]` names task m of the data, whatever the order of the rows. Sorted, or in the
        order of the categories if the column has one.

    Raises
    ------
    ValueError
        If a column is missing or used twice, none is left for the inputs, the frame is empty, or a value is null, NaN
        or infinite. The message names the column, the first bad row and what was expected.
    TypeError
        If `frame` is not an eager data frame, an input or output is not a number, or the labels mix types.
    ImportError
        If narwhals is not installed.

    Notes
    -----
    Cost O(rows d^2), plus sorting the distinct labels.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"ward": ["b", "a", "b"], "age": [1.0, 0.5, 0.0], "one": 1, "stay": [3, 2, 1]})
    >>> data, labels = task_data(table, task="ward", output="stay")
    >>> labels, data.counts.tolist(), data.moments.tolist()
    (('a', 'b'), [1, 2], [[1.0, 2.0], [3.0, 4.0]])
    """
    given = () if inputs is None else names("inputs", inputs)
    if inputs is not None and not given:
        raise ValueError("inputs must name at least one column, got none: leave it out to take all others")
    table = opened(frame, {"task": name("task", task), "output": name("output", output), "inputs": given})
    columns = given or tuple(name for name in table.columns if name not in (task, output))
    if not columns:
        raise ValueError(f"frame must have a column beside {task!r} and {output!r}, got none left for the inputs")
    named = labels_in(table, task)
    known = [label for label in known_labels(table, task)[0] or sorted(set(named)) if label in set(named)]
    owners = positions(task, named, "tasks", None, known)
    rows = np.stack([_numbers(table, column) for column in columns], axis=1)
    data = TaskData.from_arrays(rows, _numbers(table, output), owners.codes, n_tasks=len(owners.labels))
    return data, owners.labels


def _numbers(table: Any, column: str) -> Floats:
    series = without_nulls(table, column, "a number")
    values = as_floats(series)
    if values is None:
        raise TypeError(
            f"column {column!r} must hold numbers, got {series.dtype} ({series[0]!r} in row 0): "
            "convert it, or name the inputs without it"
        )
    require_rows(column, np.abs(values) <= _check.MAX_SIZE, values, f"a number of at most {_check.MAX_SIZE:g} in size")
    return values
