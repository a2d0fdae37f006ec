"""Sweeps: a row depends on its cell and the seed alone, whoever computes it; what goes wrong is named."""

import contextlib
import json
import math
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from pessimism import sweep
from pessimism.sweep import SweepError
from tests.faults import cells as fault_cells
from tests.faults.cells import GRID, rows_in


def uniform(cell, rng):
    return {"x": rng.random()}


def run(cells, run_cell=uniform, **options):
    return sweep.run(run_cell, cells, **({"seed": 0, "progress": False} | options))


# The stream of a cell.

CANONICAL = [
    ({"n": 3}, '{"n":3}'),
    ({"n": 3.0}, '{"n":3}'),
    ({"n": np.int64(3)}, '{"n":3}'),
    ({"n": np.float32(3)}, '{"n":3}'),
    ({"n": np.array(3)}, '{"n":3}'),
    ({"n": -0.0}, '{"n":0}'),
    ({"n": 1e16}, '{"n":10000000000000000}'),
    ({"n": 0.1}, '{"n":0.1}'),
    ({"n": np.longdouble(0.5)}, '{"n":0.5}'),
    ({"n": True}, '{"n":true}'),
    ({"n": np.True_}, '{"n":true}'),
    ({"n": None, "a": "é"}, '{"a":"\\u00e9","n":null}'),
    ({"b": (1.0, 2.5), "a": np.array([[1, 2], [3, 4]])}, '{"a":[[1,2],[3,4]],"b":[1,2.5]}'),
    ({"n": math.inf, "m": [-np.inf]}, '{"m":["-inf"],"n":"inf"}'),
    ({"n": {"z": 1, "a": np.str_("x")}}, '{"n":{"a":"x","z":1}}'),
]


@pytest.mark.parametrize(("cell", "text"), CANONICAL)
def test_the_stream_is_the_hash_of_canonical_json(cell, text):
    digest = sha256(f'{{"cell":{text},"name":"grid","seed":7,"version":2}}'.encode()).digest()
    expected = np.random.default_rng(int.from_bytes(digest, "big")).random(4)
    assert np.array_equal(sweep.rng_for(cell, seed=np.int64(7), name="grid", version=2).random(4), expected)
    (row,) = run([cell], lambda _, rng: {"draws": rng.random(4)}, seed=7, name="grid", version=2)
    assert row == json.loads(text) | {"draws": expected.tolist()}


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def disguised(value):
    """The same value, as other code might write it."""
    if isinstance(value, dict):
        return {key: disguised(value[key]) for key in reversed(value)}
    if isinstance(value, list):
        return tuple(map(disguised, value))
    if isinstance(value, bool):
        return np.bool_(value)
    if isinstance(value, int) and abs(value) <= 2**53:
        return np.float64(value)
    return np.array(value) if isinstance(value, float) else value


@given(st.dictionaries(st.text(max_size=4), plain, max_size=4))
def test_disguises_do_not_change_the_cell(cell):
    draw = sweep.rng_for(cell, seed=1).random()
    assert sweep.rng_for(disguised(cell), seed=1).random() == draw
    given_to_run_cell = sweep.pending([disguised(cell)], seed=1)
    assert given_to_run_cell == [cell]
    (row,) = run([cell], seed=1)
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    if "x" not in cell:
        assert row["x"] == draw


def test_large_numbers_stay_floats_for_numpy():
    """NumPy has no integer above 2^64 and no logarithm of Python's; the stream is that of the same integer."""
    (row,) = run([{"n": 1e20}], lambda cell, rng: {"log": float(np.log10(cell["n"])), "x": rng.random()}, seed=2)
    assert row["log"] == 20
    assert row["x"] == sweep.rng_for({"n": 10**20}, seed=2).random()


@given(
    st.lists(
        st.dictionaries(st.sampled_from("ab"), st.sampled_from([0, 1, False, True, None, "1", 0.5, [1]])),
        min_size=2,
        max_size=2,
    )
)
def test_different_cells_have_different_streams(pair):
    texts = {json.dumps(cell, sort_keys=True) for cell in pair}
    assert len({sweep.rng_for(cell, seed=1).random() for cell in pair}) == len(texts)


def test_seed_name_and_version_all_count():
    grid = [{"seed": 0, "name": "", "version": 1}]
    others = [
        dict(zip(("seed", "name", "version"), v, strict=True))
        for v in [(0, "", 1), (1, "", 1), (0, "b", 1), (0, "", 2)]
    ]
    assert len({run(grid, **other)[0]["x"] for other in others}) == 4


def test_a_grown_grid_moves_no_other_number(tmp_path):
    small = [{"n": n, "block": b} for n in (1, 2) for b in range(2)]
    large = [{"block": b, "n": float(n)} for n in (3, 2, 1) for b in range(3)]
    rows = {(row["n"], row["block"]): row for row in run(large, store=tmp_path)}
    assert [rows[row["n"], row["block"]] for row in run(small)] == run(small)
    assert len(rows_in(tmp_path)) == 9
    with pytest.warns(sweep.StoreWarning, match="no longer the one that wrote 4 of the 4"):
        assert run(small, lambda *_: pytest.fail("must be read"), store=tmp_path) == run(small)


def test_a_cell_can_be_replayed_from_its_row():
    for row in run(GRID, seed=3, name="replay"):
        cell = {key: row[key] for key in ("n", "c", "block")}  # n may be "inf" here
        assert sweep.rng_for(cell, seed=3, name="replay").random() == row["x"]


# Who computes.


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    store = tmp_path_factory.mktemp("serial")
    return fault_cells.run(store), rows_in(store)


@contextlib.contextmanager
def loky():
    import loky

    executor = loky.ProcessPoolExecutor(2)
    try:
        yield executor
    finally:
        executor.shutdown()


ENGINES = {
    "threads": lambda: ThreadPoolExecutor(4),
    "processes": lambda: ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")),
    "loky": loky,
}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_gives_the_same_bytes(tmp_path, serial, engine):
    """Dask is in faults/test_kill.py, where it also loses a worker."""
    before = threadpool_info()
    with ENGINES[engine]() as executor:
        rows = fault_cells.run(tmp_path, executor=executor)
        assert rows == serial[0]
        assert [list(row) for row in rows] == [list(row) for row in serial[0]]  # columns in the same order
        assert rows_in(tmp_path) == serial[1]
        threads = sweep.run(fault_cells.counts_blas_threads, GRID, seed=0, executor=executor, progress=False)
        assert {row["threads"] for row in threads} == {1}
    assert threadpool_info() == before


def test_shards_partition_the_grid(tmp_path, serial):
    order = [fault_cells.run(tmp_path, shard=(np.int64(i), 3)) for i in (2, 0, 1)]
    assert [len(rows) for rows in order] == [16, 16, 16]
    assert order[1] == [row for i, row in enumerate(serial[0]) if i // 2 % 3 == 0]  # two rows a cell
    assert rows_in(tmp_path) == serial[1]
    assert fault_cells.run(tmp_path, lambda *_: pytest.fail("must be read")) == serial[0]
    assert len(sweep.pending(GRID, seed=0, shard=(1, 5))) == 5
    assert run(GRID[:1], shard=(1, 2)) == run([]) == []


def test_blas_has_one_thread_while_cells_run():
    import scipy.linalg  # noqa: F401  so that nothing new is loaded in between

    before = threadpool_info()
    assert {row["threads"] for row in run(GRID, fault_cells.counts_blas_threads)} == {1}
    assert threadpool_info() == before
    with pytest.raises(SweepError):
        run(GRID, fault_cells.fails_at_100)
    assert threadpool_info() == before


def test_blas_has_one_thread_whoever_was_the_first_to_limit_it():
    """A thread that set a limit once, and lives, would make threadpoolctl ignore those of all other threads."""
    threadpool_limits(threadpool_info()[0]["num_threads"])
    before = threadpool_info()
    with ThreadPoolExecutor(2) as both:
        for rows in both.map(lambda _: run(GRID, fault_cells.counts_blas_threads), range(2)):
            assert {row["threads"] for row in rows} == {1}
        assert threadpool_info() == before


def test_a_cell_gets_a_copy_of_its_own():
    grid = [{"a": [1.0, 2], "top": np.inf}]
    seen = []

    def vandal(cell, rng):
        seen.append(json.loads(json.dumps(cell)))
        cell["a"].append(3)
        del cell["top"]
        return {}

    assert run(grid, vandal) == run(grid, vandal) == [{"a": [1, 2], "top": "inf"}]
    assert seen == [{"a": [1, 2], "top": math.inf}] * 2  # numbers for run_cell, strings in rows
    assert grid == [{"a": [1.0, 2], "top": np.inf}]


def test_columns_keep_their_type():
    returned = {"whole": 3.0, "count": np.int32(3), "zero": -0.0, "array": np.arange(2.0), "low": -np.inf, "none": None}
    (row,) = run([{"n": 1}], lambda *_: returned)
    assert json.dumps(row) == (
        '{"array": [0.0, 1.0], "count": 3, "low": "-inf", "n": 1, "none": null, "whole": 3.0, "zero": -0.0}'
    )


def test_progress_is_on_stderr_and_counts_what_the_store_has(tmp_path, capsys):
    run(GRID[:6], store=tmp_path)
    assert capsys.readouterr() == ("", "")
    run(GRID[:6], store=tmp_path, progress=True, name="")
    out, err = capsys.readouterr()
    assert out == ""
    assert "6/6" in err


# What goes wrong.


@pytest.mark.parametrize("engine", ["serial", "threads", "processes"])
def test_a_cell_that_raises_stops_no_other_and_is_named(tmp_path, serial, engine):
    with ENGINES[engine]() if engine != "serial" else contextlib.nullcontext() as executor:
        with pytest.raises(SweepError) as stopped:
            fault_cells.run(tmp_path, fault_cells.fails_at_100, executor=executor)
        error = stopped.value
        message = str(error)
        assert message.startswith("8 of 24 cells failed:\n  {'n': 100, 'c': 0.5, 'block': 0}: LookupError('no data at")
        assert "and 5 more in .failures" in message
        assert message.endswith(f"16 of 24 cells are in {tmp_path}; run again with the same store to resume.")
        assert error.rows == [row for row in serial[0] if row["n"] != 100]
        assert [cell["block"] for cell, _ in error.failures] == [0, 1, 2, 3] * 2
        assert error.__cause__ is error.failures[0][1]
        assert isinstance(error.__cause__, LookupError)
        text = traceback_of(error.__cause__)
        assert "in fails_at_100" in text
        assert fault_cells.run(tmp_path, executor=executor) == serial[0]
        assert rows_in(tmp_path) == serial[1]


def traceback_of(error):
    import traceback

    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_an_exception_that_cannot_travel_does_not_break_the_pool(engine):
    with ENGINES[engine]() as executor, pytest.raises(SweepError, match="24 of 24 cells failed") as stopped:
        fault_cells.run(None, fault_cells.raises_unbuildable, executor=executor)
    # as itself where another library has taught pickle to carry it, else under its name
    assert "UnbuildableError" in str(stopped.value)
    assert "lost in {" in str(stopped.value)
    assert "The rows of the 0 finished cells are in .rows." in str(stopped.value)
    assert "in raises_unbuildable" in traceback_of(stopped.value.__cause__)


def test_a_function_that_does_not_pickle_is_a_failure_not_a_dead_pool():
    with ENGINES["processes"]() as executor, pytest.raises(SweepError, match=r"24 of 24 cells failed:(.|\n)*pickle"):
        fault_cells.run(None, lambda cell, rng: {}, executor=executor)


BAD_COLUMNS = [
    ({"gap": float("nan")}, r"columns\['gap'\] is NaN: use None"),
    ({"gap": np.array([0, np.nan])}, r"columns\['gap'\]\[1\] is NaN"),
    ({"gap": 1j}, r"columns\['gap'\] must be a number.*got complex"),
    ({"gap": np.ma.masked_array([1], [True])}, r"columns\['gap'\] .*got a masked array"),
    ({"when": np.datetime64("2020-01-01")}, r"columns\['when'\] .*got datetime64"),
    ({3: 1}, "columns must have strings as keys, got 3"),
    ([{"x": 1}, {"n": 1}], "columns that are keys of its cell: n; rename"),
    ([], r"must return a dict of columns or a list of them, got \[\]"),
    (None, "must return a dict of columns or a list of them, got None"),
    ([{"x": 1}, 2], "must return a dict of columns or a list of them, got"),
]


@pytest.mark.parametrize(("returned", "message"), BAD_COLUMNS)
def test_bad_columns_are_a_failure_of_their_cell(returned, message):
    with pytest.raises(SweepError, match=message) as stopped:
        run([{"n": 1}, {"n": 2}], lambda cell, rng: returned if cell["n"] == 1 else {"x": 1})
    assert [cell for cell, _ in stopped.value.failures] == [{"n": 1}]
    assert stopped.value.rows == [{"n": 2, "x": 1}]
    assert stopped.value.__cause__ is not None


def test_a_cell_that_exits_is_a_failure_of_that_cell():
    with pytest.raises(SweepError, match=r"SystemExit\(3\)"):
        run([{"n": 1}], lambda *_: sys.exit(3))


BAD_ARGUMENTS = [
    ({"cells": [{"n": 1}, {"n": np.nan}]}, ValueError, r"cells\[1\]\['n'\] is NaN"),
    ({"cells": [{"n": [0, float("nan")]}]}, ValueError, r"cells\[0\]\['n'\]\[1\] is NaN"),
    ({"cells": [{"n": {1, 2}}]}, TypeError, r"cells\[0\]\['n'\] must be .* got set"),
    ({"cells": [{"n": b"x"}]}, TypeError, r"cells\[0\]\['n'\] must be .* got bytes"),
    ({"cells": [{"n": {2: 1}}]}, TypeError, r"cells\[0\]\['n'\] must have strings as keys, got 2"),
    ({"cells": [{2: 1}]}, TypeError, r"cells\[0\] must have strings as keys, got 2"),
    ({"cells": [{"n": 1}, [1]]}, TypeError, r"cells\[1\] must be a dict, got list"),
    (
        {"cells": [{"n": 1}, {"n": 2}, {"n": 1.0}]},
        ValueError,
        r"cells\[0\] and cells\[2\] are identical.*add a block key",
    ),
    ({"seed": -1}, ValueError, "seed must be a non-negative integer, got -1"),
    ({"seed": True}, TypeError, "seed must be a non-negative integer, got True"),
    ({"seed": np.True_}, TypeError, "seed must be"),
    ({"seed": 1.0}, TypeError, "seed must be"),
    ({"seed": None}, TypeError, "seed must be"),
    ({"version": "a"}, TypeError, "version must be"),
    ({"name": 3}, TypeError, "name must be a string"),
    ({"shard": (3, 3)}, ValueError, r"shard must be \(i, n\) with 0 <= i < n, got \(3, 3\)"),
    ({"shard": (0, 0)}, ValueError, "shard must be"),
    ({"shard": (-1, 2)}, ValueError, r"shard\[0\] must be a non-negative integer"),
    ({"shard": (0, 1.5)}, TypeError, r"shard\[1\] must be"),
    ({"shard": 1}, TypeError, r"shard must be a pair \(i, n\), got 1"),
    ({"shard": (0, 1, 2)}, TypeError, "shard must be a pair"),
    ({"shard": {0, 2}}, TypeError, "shard must be a pair"),  # in which order?
]


@pytest.mark.parametrize(("bad", "error", "message"), BAD_ARGUMENTS)
def test_bad_arguments_are_named_before_any_cell_runs(tmp_path, bad, error, message):
    arguments = {"cells": [{"n": 1}], "seed": 0} | bad
    with pytest.raises(error, match=message):
        sweep.run(lambda *_: pytest.fail("must not run"), **arguments, store=tmp_path / "store", progress=False)
    assert not (tmp_path / "store").exists()
    with pytest.raises(error, match=message):
        sweep.pending(**arguments)


def test_a_sweep_error_survives_pickling():
    import pickle

    with pytest.raises(SweepError) as stopped:
        run(GRID, fault_cells.fails_at_100)
    travelled = pickle.loads(pickle.dumps(stopped.value))
    assert travelled.rows == stopped.value.rows
    assert str(travelled) == str(stopped.value)
