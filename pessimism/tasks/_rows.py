"""Raw rows of tasks, checked and put in order of their tasks."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats


def row_pairs(inputs: Any, outputs: Any) -> list[tuple[Floats, Floats]]:
    """Checked inputs (n_m, d) and outputs (n_m,), a pair for each task, from a sequence of each."""
    try:
        len(inputs), len(outputs)
    except Exception:
        raise TypeError(
            f"inputs and outputs must be sequences of arrays, got {type(inputs)} and {type(outputs)}"
        ) from None
    if len(inputs) == 0 or len(inputs) != len(outputs):
        raise ValueError(
            f"inputs and outputs must have an entry for every task and as many as each other, got {len(inputs)} and "
            f"{len(outputs)}; for one table of rows pass tasks"
        )
    pairs = [_rows(f"inputs[{m}]", x, f"outputs[{m}]", y) for m, (x, y) in enumerate(zip(inputs, outputs, strict=True))]
    for m, (x, _) in enumerate(pairs):
        if x.shape[1] != pairs[0][0].shape[1]:
            raise ValueError(
                f"inputs[{m}] must have {pairs[0][0].shape[1]} columns, as inputs[0] has, got {x.shape[1]}"
            )
    return pairs


def row_pairs_by_label(inputs: Any, outputs: Any, tasks: ArrayLike, n_tasks: int | None) -> list[tuple[Floats, Floats]]:
    """The same from one table of rows, and the task of each row."""
    x, y = _rows("inputs", inputs, "outputs", outputs)
    try:
        label = _check.whole_array("tasks", tasks)
    except TypeError:
        raise TypeError(
            "tasks must be positions 0, 1, 2, ...; pessimism.interop.task_rows.task_data makes positions of any labels"
        ) from None
    if n_tasks is None:
        fits = label <= len(y)
        _check.require("tasks", label, fits, f"at most {len(y)}, the number of rows, or n_tasks given")
    else:
        high = _check.count("n_tasks", n_tasks) - 1
        _check.require("tasks", label, label <= high, f"below n_tasks = {high + 1}")
    if label.shape != y.shape:
        raise ValueError(f"tasks must have shape {y.shape}, a label for every row, got {label.shape}")
    m = int(label.max(initial=0)) + 1 if n_tasks is None else int(n_tasks)
    order = np.argsort(label, kind="stable")
    ends = np.cumsum(np.bincount(label, minlength=m))[:-1]
    return list(zip(np.split(x[order], ends), np.split(y[order], ends), strict=True))


def _rows(name: str, x: ArrayLike, output_name: str, y: ArrayLike) -> tuple[Floats, Floats]:
    table, column = _check.real_array(name, x), _check.real_array(output_name, y)
    if table.ndim != 2 or table.shape[1] == 0:
        raise ValueError(
            f"{name} must have shape (rows, d), got {table.shape}; one table of all tasks goes with tasks=, whose "
            "row it is"
        )
    if column.shape != table.shape[:1]:
        raise ValueError(
            f"{output_name} must have shape {table.shape[:1]}, an entry for every row of {name}, got {column.shape}"
        )
    return table, column
