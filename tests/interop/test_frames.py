"""Tables in and out: equal to the raw rounds, equal after the round trip, one error for bad input."""

import datetime as dt
import decimal
import math
import re
import zoneinfo

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pessimism import sweep
from pessimism.bandits import BanditData, PropensityData
from pessimism.interop.frames import BanditLog, bandit_log, read_parquet, rows_to_frame, to_xarray, write_parquet
from tests.interop import tables
from tests.interop.tables import MAKERS, backends, same

# Decisions in.


@st.composite
def rounds(draw):
    """Positions of contexts and arms, and rewards: what a table of rounds stands for."""
    n = draw(st.integers(1, 30))
    positions = st.lists(st.integers(0, 4), min_size=n, max_size=n)
    rewards = st.lists(st.floats(-1, 2), min_size=n, max_size=n)
    return np.array(draw(positions)), np.array(draw(positions)), np.array(draw(positions)), np.array(draw(rewards))


LABELS = [*tables.LABELS, [pd.Timestamp(2024, 1, day).to_pydatetime() for day in range(1, 6)]]


@settings(deadline=None, max_examples=40)
@given(rounds(), st.sampled_from(LABELS), st.sampled_from(LABELS), st.sampled_from(list(MAKERS)))
def test_a_table_equals_its_raw_rounds(log, arm_labels, context_labels, backend):
    context, _, arm, reward = log
    frame = MAKERS[backend](
        {"s": [context_labels[s] for s in context], "a": [arm_labels[a] for a in arm], "r": reward.tolist()}
    )
    names = {"arm": "a", "reward": "r", "context": "s", "reward_range": (-1, 2)}
    raw = BanditData.from_log(context, arm, reward, n_contexts=5, n_arms=5, reward_range=(-1, 2))
    full = bandit_log(frame, **names, arms=arm_labels, contexts=context_labels)
    same(full.data, raw)

    seen = bandit_log(frame, **names)  # only what occurs, sorted
    (arms_seen, arm_seen), (contexts_seen, context_seen) = (np.unique(x, return_inverse=True) for x in (arm, context))
    same(seen.data, BanditData.from_log(context_seen, arm_seen, reward, reward_range=(-1, 2)))
    assert seen.arms == tuple(arm_labels[a] for a in arms_seen)
    assert seen.contexts == tuple(context_labels[s] for s in contexts_seen)


@settings(deadline=None, max_examples=40)
@given(rounds(), st.sampled_from(list(MAKERS)), st.randoms(use_true_random=False))
def test_several_columns_are_their_combinations_and_the_order_of_labels_is_the_users(log, backend, random):
    first, second, arm, reward = log
    frame = MAKERS[backend]({"x": first, "y": [LABELS[0][i] for i in second], "a": arm, "r": reward})
    pairs = [(x, y) for x in range(5) for y in LABELS[0]]
    random.shuffle(pairs)
    got = bandit_log(
        frame, arm="a", reward="r", context=["x", "y"], reward_range=(-1, 2), arms=range(5), contexts=pairs
    )
    where = np.array([pairs.index((x, LABELS[0][y])) for x, y in zip(first, second, strict=True)])
    same(got.data, BanditData.from_log(where, arm, reward, n_contexts=25, n_arms=5, reward_range=(-1, 2)))
    assert got.contexts == tuple(pairs)


@backends
def test_rounds_of_other_arms_are_left_out_on_request_and_counted(make):
    """The same as filtering the rows first; contexts stay, and rewards of other arms are not looked at."""
    table = {"s": ["u", "v", "w", "u", "v"], "a": ["x", "y", "z", "z", "x"], "r": [1.0, 0.0, 7.0, None, 0.5]}
    names = {"arm": "a", "reward": "r", "context": "s"}
    log = bandit_log(make(table), **names, arms=["y", "x"], drop_others=True)
    filtered = make({name: [column[i] for i in (0, 1, 4)] for name, column in table.items()})
    same(log.data, bandit_log(filtered, **names, arms=["y", "x"], contexts=["u", "v", "w"]).data)
    assert (log.arms, log.contexts, log.dropped) == (("y", "x"), ("u", "v", "w"), 2)
    assert "dropped=2" in repr(log)

    clean = table | {"r": [1.0, 0.0, 1.0, 0.0, 0.5]}
    whole = bandit_log(make(clean), **names)
    assert whole.dropped == 0
    restricted = whole.restrict(["y", "x"])
    same(restricted.data, log.data)
    assert (restricted.arms, restricted.contexts, restricted.dropped) == (log.arms, log.contexts, 2)
    assert restricted.restrict(["x"]).dropped == 3

    with pytest.raises(ValueError, match="column 'a' must hold one of the 2 labels in arms"):
        bandit_log(make(clean), **names, arms=["y", "x"])
    with pytest.raises(ValueError, match=r"column 'r' must hold .*, got .* in row 3 \(counted from 0\)"):
        bandit_log(make(table), **names, arms=["y", "z"], drop_others=True)
    with pytest.raises(ValueError, match="arms must hold a label that occurs in column 'a', got none in 5 rows"):
        bandit_log(make(table), **names, arms=["nobody"], drop_others=True)
    with pytest.raises(ValueError, match="drop_others must come with arms"):
        bandit_log(make(table), **names, drop_others=True)
    with pytest.raises(ValueError, match=r"arms\[1\] must be one of the 3 arms of the log, got 'q'"):
        whole.restrict(["x", "q"])


@backends
def test_without_context_there_is_one(make):
    log = bandit_log(make({"a": ["x", "y", "x"], "r": [True, False, False]}), arm="a", reward="r")
    same(log.data, BanditData.from_log(None, [0, 1, 0], [1, 0, 0]))
    assert (log.arms, log.contexts) == (("x", "y"), (None,))
    assert log.decisions([1]) == {None: "y"}


CATEGORIES = {
    "pandas-category": (pd.DataFrame, pd.Series(["x", "y", "x"], dtype="category")),
    "pandas-object": (pd.DataFrame, pd.Series(["x", "y", "x"], dtype=object)),
    "polars-categorical": (pl.DataFrame, pl.Series(["x", "y", "x"], dtype=pl.Categorical)),
    "polars-enum": (pl.DataFrame, pl.Series(["x", "y", "x"], dtype=pl.Enum(["y", "x", "z"]))),
    "arrow-dictionary": (pa.table, pa.array(["x", "y", "x"]).dictionary_encode()),
}


@pytest.mark.parametrize(("make", "column"), CATEGORIES.values(), ids=CATEGORIES)
def test_categories_are_labels_by_their_value(make, column):
    log = bandit_log(make({"a": column, "r": [1, 0, 1]}), arm="a", reward="r")
    assert dict(zip(log.arms, log.data.counts[0].tolist(), strict=True)) in ({"x": 2, "y": 1}, {"x": 2, "y": 1, "z": 0})


NAMED = ["low", "mid", "high"]
NEVER_MID = {
    "pandas-category": (pd.DataFrame, pd.Series(pd.Categorical(["high", "low"], NAMED)), sorted(NAMED)),
    "pandas-ordered": (pd.DataFrame, pd.Series(pd.Categorical(["high", "low"], NAMED, ordered=True)), NAMED),
    "polars-enum": (pl.DataFrame, pl.Series(["high", "low"], dtype=pl.Enum(NAMED)), NAMED),
    "arrow": (pa.table, pa.DictionaryArray.from_arrays([2, 0], NAMED), sorted(NAMED)),
    "arrow-ordered": (pa.table, pa.DictionaryArray.from_arrays([2, 0], NAMED, ordered=True), NAMED),
}


@pytest.mark.parametrize(("make", "column", "expected"), NEVER_MID.values(), ids=NEVER_MID)
def test_an_arm_that_the_type_names_counts_though_nobody_pulled_it(make, column, expected):
    log = bandit_log(make({"a": column, "s": column, "r": [1, 0]}), arm="a", reward="r", context="s")
    assert log.arms == log.contexts == tuple(expected)
    pulled = [expected.index("high"), expected.index("low")]
    assert log.data.counts[pulled, pulled].tolist() == [1, 1]
    assert int(log.data.n) == 2


def instants(library):
    """Half past two in Berlin, twice, an hour apart; and a label of another day."""
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    twice = [dt.datetime(2024, 10, 27, hour, 30, tzinfo=dt.UTC) for hour in (0, 1)]
    labels = [*twice, twice[0] + dt.timedelta(days=1), twice[1]]
    if library == "object":
        return pd.DataFrame({"s": pd.Series([t.astimezone(zone) for t in labels], dtype=object)}), twice
    if library == "pandas":
        return pd.DataFrame({"s": pd.to_datetime(labels).tz_convert("Europe/Berlin")}), twice
    if library == "polars":
        return pl.DataFrame({"s": pl.Series(labels).dt.convert_time_zone("Europe/Berlin")}), twice
    return pa.table({"s": pa.array(labels, pa.timestamp("us", "Europe/Berlin"))}), twice


@pytest.mark.parametrize("library", ["pandas", "polars", "arrow", "object"])
def test_two_instants_are_two_labels_though_clocks_show_one(library):
    frame, twice = instants(library)
    frame = nw.from_native(frame, eager_only=True)
    frame = frame.with_columns(a=nw.lit(0), r=nw.lit(1.0)).to_native()
    log = bandit_log(frame, arm="a", reward="r", context="s")
    assert log.data.counts.tolist() == [[1], [2], [1]]
    assert len(log.decisions([0, 0, 0])) == 3
    assert list(log.contexts[:2]) == [pd.Timestamp(t) for t in twice]
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    known = [t.astimezone(zone) for t in (*twice[::-1], twice[0] + dt.timedelta(days=1))]
    for labels in (known, list(map(pd.Timestamp, known))):  # whose hashes differ in that hour
        log = bandit_log(frame, arm="a", reward="r", context="s", contexts=labels)
        assert log.data.counts.tolist() == [[2], [1], [1]]


@pytest.mark.parametrize("make", [pl.DataFrame, pa.table])
def test_labels_are_told_apart_at_the_resolution_of_their_column(make):
    ticks = np.array([0, 1, 1000], "M8[ns]")
    log = bandit_log(make({"a": ticks, "r": [0, 1, 0]}), arm="a", reward="r")
    assert (log.arms, log.data.counts.tolist()) == (tuple(ticks), [[1, 1, 1]])
    half = make({"a": np.array([0.1, 0.2], np.float32), "r": [0, 1]})
    assert bandit_log(half, arm="a", reward="r", arms=[0.2, 0.1]).data.sums.tolist() == [[1, 0]]


def daytimes(make):
    """A nanosecond apart just after midnight, as each library has them."""
    ticks = pa.array([1, 2, 1000], pa.time64("ns"))
    if make is pd.DataFrame:
        return pd.Series(ticks, dtype=pd.ArrowDtype(ticks.type))
    return pl.Series(ticks.cast(pa.int64()).to_pylist()).cast(pl.Time) if make is pl.DataFrame else ticks


@backends
def test_times_of_day_are_told_apart_too(make):
    log = bandit_log(make({"a": daytimes(make), "r": [0, 1, 0]}), arm="a", reward="r")
    assert (list(log.arms), log.data.counts.tolist()) == ([np.timedelta64(n, "ns") for n in (1, 2, 1000)], [[1, 1, 1]])


@pytest.mark.parametrize("make", [pa.table, pd.DataFrame])
@pytest.mark.parametrize("kind", [pa.time64("ns"), pa.duration("ns"), pa.timestamp("ns", "Europe/Berlin")], ids=str)
def test_categories_of_arrow_are_labels_of_their_type(make, kind):
    column = pa.array([1, 2, 1], kind).dictionary_encode()
    if make is pd.DataFrame:
        column = pd.Series(column, dtype=pd.ArrowDtype(column.type))
    log = bandit_log(make({"a": column, "r": [0, 1, 0]}), arm="a", reward="r")
    assert (np.array(log.arms).astype(int).tolist(), log.data.counts.tolist()) == ([1, 2], [[2, 1]])


def test_numbers_of_numpy_are_numbers():
    frame = pd.DataFrame({"a": pd.Series([1, np.int64(1), 2], dtype=object), "r": [0, 1, 1]})
    assert bandit_log(frame, arm="a", reward="r").data.counts.tolist() == [[2, 1]]
    assert bandit_log(frame, arm="a", reward="r", arms=np.array([2, 1])).data.counts.tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("make", "column"),
    [
        (pd.DataFrame, pd.array([1, 0, 0.5], dtype="Float64")),
        (pd.DataFrame, pd.Series([1, False, 0.5], dtype=object)),
        (pl.DataFrame, [decimal.Decimal("1"), decimal.Decimal("0"), decimal.Decimal("0.5")]),
        (pl.DataFrame, pl.Series([1, 0, 0.5], dtype=pl.Float32)),
        (pa.table, pa.array([1, 0, 0.5], pa.float32())),
    ],
)
def test_rewards_are_any_numbers(make, column):
    assert bandit_log(make({"a": [0, 0, 0], "r": column}), arm="a", reward="r").data.sums.tolist() == [[1.5]]


GOOD = {"a": ["x", "y", "x"], "s": ["u", "u", "v"], "r": [0.0, 1.0, 0.5]}


@pytest.mark.parametrize(
    ("change", "arguments", "error", "message"),
    [
        ({}, {"context": ["s", "z"]}, ValueError, "context must be a column of frame, one of ['a', 's', 'r'], got 'z'"),
        ({}, {"context": ["s", "s"]}, ValueError, "context must be a column of its own, got 's', which is in context"),
        ({}, {"context": []}, ValueError, "context must name at least one column"),
        ({}, {"contexts": ["u"], "context": None}, ValueError, "contexts must come with context"),
        ({}, {"arms": ["x"]}, ValueError, "'a' must hold one of the 1 labels in arms in every row, got 'y' in row 1"),
        ({}, {"contexts": ["u"]}, ValueError, "one of the 1 labels in contexts in every row, got 'v' in row 2"),
        ({}, {"context": ["s"], "contexts": ["u", "v"]}, ValueError, "column ['s'] must hold one of the 2 labels in"),
        ({}, {"arms": ["x", "y", "x"]}, ValueError, "arms[2] must differ from arms[0], got 'x' twice"),
        ({}, {"arms": "xy"}, TypeError, "arms must be a sequence of labels, got the string 'xy'"),
        ({}, {"context": ["s"], "contexts": [["u"]]}, TypeError, "contexts[0] must be hashable (a tuple, not a list)"),
        ({"a": [[1], [2], [1]]}, {"arms": [1]}, TypeError, "column 'a' must hold labels that can be hashed and sorted"),
        ({}, {"arms": []}, ValueError, "arms must hold at least one label"),
        ({}, {"arms": 3}, TypeError, "arms must be a sequence of labels, got 3"),
        ({}, {"contexts": map(int, "a")}, TypeError, "contexts must be a sequence of labels, got <map"),
        ({}, {"context": np.array(1)}, TypeError, "context must be the name of a column, or a sequence of names, got"),
        ({}, {"arm": 0}, TypeError, "arm must be the name of a column, a string, got 0"),
        ({}, {"context": 2}, TypeError, "context must be the name of a column, or a sequence of names, got 2"),
        (
            {},
            {"context": ["s", 2]},
            TypeError,
            "context must be the name of a column, or a sequence of names, got ['s', 2]",
        ),
        ({"a": [[1], [2], [1]]}, {}, TypeError, "column 'a' must hold labels that can be hashed and sorted"),
        ({"r": [0.0, math.inf, 1.0]}, {}, ValueError, "column 'r' must hold a finite number in reward_range = [0, 1]"),
        ({"r": [0.0, 1.0, 3.0]}, {}, ValueError, "in reward_range = [0, 1] in every row, got 3.0 in row 2"),
        ({"r": [0, "1", 1]}, {}, TypeError, "column 'r' must hold a number in every row, got '1' in row 1"),
        ({"r": [0, 1j, 1]}, {}, TypeError, "column 'r' must hold a number in every row"),
        ({}, {"reward_range": (1, 0)}, ValueError, "reward_range must be a pair low < high"),
    ],
)
def test_bad_input_is_one_error_that_names_it(change, arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        bandit_log(pd.DataFrame(GOOD | change), **({"arm": "a", "reward": "r", "context": "s"} | arguments))


@pytest.mark.parametrize("policy", [[2], [0, 0], [[0]], [[0.5, 0.5]]])
def test_decisions_needs_one_arm_a_context(policy):
    log = bandit_log(pd.DataFrame(GOOD), arm="a", reward="r")
    with pytest.raises(ValueError, match="policy"):
        log.decisions(policy)


# Rows out.

INFINITIES = st.sampled_from(["inf", "-inf"])
SAFE = st.integers(-(2**53), 2**53)
LEAVES = {
    "int": st.integers(-(2**63), 2**63 - 1),
    "number": st.one_of(SAFE, st.floats(allow_nan=False, allow_infinity=False), INFINITIES),
    "bool": st.booleans(),
    "str": st.text(st.characters(codec="utf-8"), max_size=5) | INFINITIES,
}


@st.composite
def sweep_rows(draw):
    """Rows of typed columns; each may have rows without the key, or rows with None, not both."""
    n = draw(st.integers(0, 8))
    rows = [{"key": i} for i in range(n)]
    for name in draw(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=4), unique=True, max_size=4)):
        leaf = LEAVES[draw(st.sampled_from(list(LEAVES)))]
        value = st.lists(leaf | st.none(), max_size=3) if draw(st.booleans()) else leaf
        lacks_key = draw(st.booleans())
        for row in rows:
            if draw(st.integers(0, 3)):
                row[name] = draw(value)
            elif not lacks_key:
                row[name] = None
    return rows


@settings(deadline=None, max_examples=40)
@given(sweep_rows())
def test_parquet_gives_equal_rows(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    write_parquet(rows, path)
    back = read_parquet(str(path))
    assert back == rows
    assert [[type(v) is bool for v in row.values()] for row in back] == [
        [type(row[k]) is bool for k in other] for row, other in zip(rows, back, strict=True)
    ]


def test_the_documented_exceptions_of_the_round_trip(tmp_path):
    rows = [{"a": None, "b": math.inf, "c": (1, 2), "d": 2}, {"b": -math.inf, "d": 0.5}]
    write_parquet(rows, tmp_path / "rows.parquet")
    back = read_parquet(tmp_path / "rows.parquet")
    assert back == [{"a": None, "b": "inf", "c": [1, 2], "d": 2.0}, {"a": None, "b": "-inf", "d": 0.5}]
    assert type(back[0]["d"]) is float


def test_a_folder_named_like_a_partition_adds_no_column(tmp_path):
    (tmp_path / "n=3").mkdir()
    write_parquet([{"loss": 0.5}], tmp_path / "n=3" / "rows.parquet")
    assert read_parquet(tmp_path / "n=3" / "rows.parquet") == [{"loss": 0.5}]


def test_a_foreign_file_is_read_too(tmp_path):
    pq.write_table(pa.table({"x": [1.5, None, math.inf]}), tmp_path / "rows.parquet")
    assert read_parquet(tmp_path / "rows.parquet") == [{"x": 1.5}, {"x": None}, {"x": "inf"}]


def sweep_cell(cell, rng):
    return [{"rule": rule, "loss": float(rng.random()), "policy": [0, 1], "bound": None} for rule in ("lcb", "greedy")]


def test_rows_of_a_sweep_survive_and_span_a_grid(tmp_path):
    cells = [{"cstar": c, "n": n} for c in (1, 1.5, math.inf) for n in (10, 100)]
    rows = sweep.run(sweep_cell, cells, seed=1, progress=False)
    write_parquet(rows, tmp_path / "rows.parquet")
    assert read_parquet(tmp_path / "rows.parquet") == rows
    grid = to_xarray(rows, dims=["rule", "cstar", "n"])
    assert grid["loss"].shape == (2, 3, 2)
    assert not np.isnan(grid["loss"]).any()
    with pytest.raises(ValueError, match="are both at cstar=1, n=10: average blocks first, or add to dims the key"):
        to_xarray(rows, dims=["cstar", "n"])


ROWS = [{"n": 1, "cstar": 1.5, "rule": "lcb", "ok": True}, {"n": np.int64(2), "cstar": "inf", "rule": None}]


def test_three_backends_hold_the_same_table():
    frames = {backend: rows_to_frame(ROWS, backend=backend) for backend in MAKERS}
    assert [type(frame) for frame in frames.values()] == [pd.DataFrame, pl.DataFrame, pa.Table]
    for frame in frames.values():
        assert list(frame["cstar"]) in ([1.5, math.inf], [pa.scalar(1.5), pa.scalar(math.inf)])
    assert frames["pyarrow"].to_pylist() == frames["polars"].to_dicts()
    assert list(frames["pandas"].columns) == frames["polars"].columns == ["n", "cstar", "rule", "ok"]
    assert frames["pandas"]["n"].dtype == np.int64
    assert frames["pandas"]["rule"].isna().tolist() == frames["pandas"]["ok"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([{"x": 1}, {"x": "a"}], TypeError, "one kind of value, got a number in row 0, a string in row 1"),
        ([{"x": "inf"}, {}, {"x": "a"}, {"x": 1}], TypeError, "got a string in row 0, a number in row 3"),
        ([{"x": True}, {"x": 1}], TypeError, "got a boolean in row 0, a number in row 1"),
        ([{"x": [1, "a"]}], TypeError, "got a number in row 0, a string in row 0"),
        ([{"x": 1}, {"x": [1]}], ValueError, "column 'x' must fit a typed table"),
        ([{"x": {"y": 1}}], TypeError, "column 'x' must hold JSON scalars or lists of them, got {'y': 1} in row 0"),
        ([{"x": 2**63}], ValueError, "column 'x' must fit a typed table"),
        ([{"x": 0.5}, {"x": 2**53 + 1}], ValueError, "exact floats, got 9007199254740993 beside fractions in row 1"),
        ([{"x": 1}, [2]], TypeError, "rows[1] must be a dict with strings as keys, got [2]"),
        ([{1: 2}], TypeError, "rows[0] must be a dict with strings as keys"),
        ([{}, {}], ValueError, "rows must have at least one key"),
    ],
)
def test_bad_rows_are_named(rows, error, message, tmp_path):
    for call in (lambda: rows_to_frame(rows), lambda: write_parquet(rows, tmp_path / "rows.parquet")):
        with pytest.raises(error, match=re.escape(message)):
            call()


def test_rows_that_went_through_pandas_are_the_rows():
    """NaN, NA and NaT beside strings and booleans say that there is nothing; beside numbers NaN stays a number."""
    rows = [{"rule": "lcb", "ok": True, "names": ["a", None]}, {"rule": None, "ok": None, "names": None}]
    nothing = {"rule": math.nan, "ok": pd.NA, "names": pd.NaT}
    for missing in (pd.DataFrame(rows).to_dict("records")[1], nothing):
        assert rows_to_frame([rows[0], missing], backend="pyarrow").to_pylist() == rows
    assert math.isnan(rows_to_frame([{"x": 1}, {"x": math.nan}], backend="polars")["x"][1])
    assert rows_to_frame([{"x": math.nan}, {"x": "inf"}], backend="polars")["x"][1] == math.inf


def test_an_unknown_backend_is_named():
    with pytest.raises(ValueError, match="backend must be one of 'pandas', 'polars', 'pyarrow', got 'dask'"):
        rows_to_frame([], backend="dask")


def test_a_number_is_no_path():
    for call in (lambda: read_parquet(3), lambda: write_parquet([], 3)):
        with pytest.raises(TypeError, match="path must be a path, got 3"):
            call()


def test_labels_fit_their_data():
    data = BanditData([[1, 0]], [[0.0, 0.0]])
    with pytest.raises(ValueError, match="arms must hold 2 labels, one for each position, got 1"):
        BanditLog(data, ("a",), (None,))
    with pytest.raises(TypeError, match="contexts must be a tuple, got list"):
        BanditLog(data, ("a", "b"), [None])
    with pytest.raises(TypeError, match="data must be a BanditData, got int"):
        BanditLog(3, ("a", "b"), (None,))


# The grid.


def grid_rows(**extra):
    return [
        {"rule": rule, "cstar": c, "n": n, "loss": c_ / n, **extra}
        for rule in ("lcb", "greedy")
        for c, c_ in ((2, 2), (1.5, 1.5), ("inf", 9.0))
        for n in (100, 10)
    ]


def test_every_row_is_found_at_its_coordinates_and_the_rest_is_nan():
    rows = grid_rows(seeds=[1, 2], exact=True)
    gone = rows.pop(3)
    grid = to_xarray(rows, dims=["n", "cstar", "rule"])
    assert list(grid.data_vars) == ["loss", "exact"]  # lists have no place on the grid
    assert grid["loss"].dims == ("n", "cstar", "rule")
    assert grid["cstar"].values.tolist() == [1.5, 2.0, math.inf]
    assert grid["n"].values.tolist() == [10, 100]
    assert grid["rule"].values.tolist() == ["greedy", "lcb"]
    for row in rows:
        place = {"n": row["n"], "cstar": float(row["cstar"]), "rule": row["rule"]}
        assert float(grid["loss"].sel(place)) == row["loss"]
    assert np.isnan(grid["loss"].sel(n=gone["n"], cstar=gone["cstar"], rule=gone["rule"]))
    assert int(np.isnan(grid["exact"]).sum()) == 1


def test_values_that_a_row_does_not_have_are_nan():
    rows = [{"n": 1, "x": 1, "y": "inf"}, {"n": 2, "y": None}, {"n": 3, "x": None, "y": 2, "name": "a"}]
    grid = to_xarray(rows, dims=["n"])
    assert list(grid.data_vars) == ["x", "y"]
    assert np.array_equal(grid["x"].values, [1, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(grid["y"].values, [np.inf, np.nan, 2], equal_nan=True)
    assert list(to_xarray(rows, dims=["n"], values=["y"]).data_vars) == ["y"]


@pytest.mark.parametrize(
    ("rows", "arguments", "error", "message"),
    [
        ([], {"dims": ["n"]}, ValueError, "rows must hold at least one row"),
        (
            grid_rows() * 2,
            {"dims": ["rule", "cstar", "n"]},
            ValueError,
            "rows[12] are both at rule='lcb', cstar=2, n=1",
        ),
        ([{"n": 1}, {"n": 1.0}], {"dims": ["n"]}, ValueError, "rows[0] and rows[1] are both at n=1.0"),
        ([{"n": 1}, {"m": 1}], {"dims": ["n"]}, ValueError, "rows[1] must have a number, string or boolean for 'n'"),
        ([{"n": 1}, {"n": None}], {"dims": ["n"]}, ValueError, "for 'n', which is in dims, got None"),
        ([{"n": math.nan}], {"dims": ["n"]}, ValueError, "for 'n', which is in dims, got nan"),
        ([{"n": [1]}], {"dims": ["n"]}, ValueError, "for 'n', which is in dims, got [1]"),
        ([{"n": 1}], {"dims": "n"}, TypeError, "dims must be a sequence of column names, got the string 'n'"),
        ([{"n": 1}], {"dims": 3}, TypeError, "dims must be a sequence of column names, got 3"),
        (3, {"dims": ["n"]}, TypeError, "rows must be a sequence of dicts, got 3"),
        ([{"n": 1}], {"dims": []}, ValueError, "dims must name at least one column"),
        ([{"n": 1}], {"dims": ["n", "n"]}, ValueError, "none twice"),
        ([{"n": 1, "x": "a"}], {"dims": ["n"], "values": ["x"]}, TypeError, "values must name columns of numbers"),
        ([{"n": 1}], {"dims": ["n"], "values": ["x"]}, TypeError, "that are not in dims, got 'x'"),
        ([{"n": 1}], {"dims": ["n"], "values": ["n"]}, TypeError, "that are not in dims, got 'n'"),
    ],
)
def test_a_bad_grid_is_named(rows, arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        to_xarray(rows, **arguments)


@backends
def test_stated_propensities_reach_the_estimators(make):
    """As `PropensityData` of the same rows, whatever the names of arms and contexts."""
    rng = np.random.default_rng(0)
    arms, places, clicks = rng.integers(3, size=50), rng.integers(2, size=50), rng.integers(2, size=50)
    chance = rng.uniform(1e-3, 1.0, size=50)
    labels = {"item": np.array(["c", "a", "b"])[arms].tolist(), "place": np.array(["left", "right"])[places].tolist()}
    table = labels | {"click": clicks.tolist(), "p": chance.tolist()}
    roles = {"arm": "item", "reward": "click", "propensity": "p"}
    log = bandit_log(make(table), context="place", arms=["c", "a", "b"], **roles)
    plain = PropensityData.from_log(places, arms, clicks, chance)
    for field in ("counts", "inverse", "weighted", "smallest"):
        assert np.array_equal(getattr(log.propensities, field), getattr(plain, field))
    assert log.restrict(["a"]).propensities is None
    with pytest.raises(ValueError, match="propensity must not come with drop_others"):
        bandit_log(make(table), arms=["a"], drop_others=True, **roles)
    table["p"][7] = 0.0
    with pytest.raises(ValueError, match=r"'p' must hold a probability in \(0, 1\].* got 0.0 in row 7"):
        bandit_log(make(table), **roles)
