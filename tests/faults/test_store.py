"""A store may be damaged, full, stale or shared: either the right bytes, or a clear error; never a wrong row."""

import json
import linecache
import os
import re
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256

import numpy as np
import pytest

from pessimism import sweep
from pessimism._fingerprint import fingerprint
from pessimism.sweep import StoreWarning
from tests.faults import cells
from tests.faults.cells import GRID, resume, rows_in

DEEP = "PESSIMISM_KILLS" in os.environ
ONE = {"cells": [{"n": 3, "c": 0.5}], "seed": 1, "name": "damage"}


def one(store, **other):
    return sweep.run(lambda cell, rng: {"x": rng.random()}, **(ONE | other), store=store, progress=False)


def write_as_version_0_1(store):
    """The row of `one` as the first version kept it: a file of a line and its checksum, named by the key."""
    identity = {"cell": ONE["cells"][0], "name": ONE["name"], "seed": ONE["seed"], "version": 1}
    compact = {"sort_keys": True, "separators": (",", ":")}
    key = sha256(json.dumps(identity, **compact).encode()).hexdigest()
    line = json.dumps(identity | {"rows": one(None)}, **compact)
    path = store / f"{key}.json"
    path.write_text(f"{line}\n{sha256(line.encode()).hexdigest()}\n")
    return path


@pytest.fixture(params=["segment", "file of version 0.1"])
def finished(tmp_path, request):
    """A store with one row: (store, its file, where in it the row begins, where the bytes end that matter)."""
    if request.param == "segment":
        one(tmp_path)
        (path,) = tmp_path.glob("rows-*.jsonl")
        data = path.read_bytes()
        return tmp_path, path, data.index(b"\n") + 1, len(data) - 1
    path = write_as_version_0_1(tmp_path)
    return tmp_path, path, 0, len(path.read_bytes())


def read_again(store):
    """How many cells would be computed, and what is said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        left = len(sweep.pending(**ONE, store=store))
    assert all(warning.category is StoreWarning for warning in caught)
    assert all(warning.filename == __file__ for warning in caught)
    return left, [str(warning.message) for warning in caught]


def assert_reported_and_not_read(store, path):
    left, (message,) = read_again(store)
    assert left == 1
    assert str(path) in message
    assert "computed again" in message


def test_every_changed_byte_is_noticed(finished):
    """A row is not read; a header may be lost, which is said, and costs nothing but the name of who wrote."""
    store, path, begin, end = finished
    good = path.read_bytes()
    flips = range(1, 256) if DEEP else np.random.default_rng(0).integers(1, 256, size=3).tolist()
    for offset in range(end):
        for flip in flips:
            path.write_bytes(good[:offset] + bytes([good[offset] ^ flip]) + good[offset + 1 :])
            if offset >= begin - 1:  # the end of the header counts: it joins both lines
                assert_reported_and_not_read(store, path)
            else:
                left, messages = read_again(store)
                assert left == 0
                assert len(messages) == 1


def test_every_truncation_loses_the_row_and_nothing_else(finished):
    """A torn last line is what a kill leaves: it is nobody's row, and no reason to warn."""
    store, path, begin, _ = finished
    good = path.read_bytes()
    for length in range(len(good)):
        path.write_bytes(good[:length])
        if begin:
            assert read_again(store) == (1, [])
        else:
            assert_reported_and_not_read(store, path)


@pytest.mark.parametrize(
    "damage", [b"\n", b"null\n", b"\x00" * 300 + b"\n", b"0123456789abcdef " + b"[" * 10**5 + b"\n"]
)
def test_a_damaged_row_is_computed_again(finished, damage):
    store, path, _, _ = finished
    undisturbed = one(None)
    path.write_bytes(damage)
    with pytest.warns(StoreWarning, match=r"damaged.*computed again"):
        assert one(store) == undisturbed
    assert len(rows_in(store)) == 1
    path.unlink()
    assert one(store) == undisturbed  # and silent again


@pytest.mark.parametrize(
    "text",
    ["[]", "3", "{}", '[{"x":1},2]', '{"rows":[]}', '{"rows":[{"x":1}],"seed":1}', "{", "[" * 10**5],
    ids=range(8),
)
def test_a_right_checksum_does_not_make_a_row(finished, text):
    store, path, begin, _ = finished
    if begin:
        text = f"{next(iter(rows_in(store)))} {text}"
        path.write_text(f"{sha256(text.encode()).hexdigest()[:16]} {text}\n")
    else:
        path.write_text(f"{text}\n{sha256(text.encode()).hexdigest()}\n")
    assert_reported_and_not_read(store, path)


@pytest.mark.parametrize("text", ["", "[]", "3", "{bad", "[" * 10**5], ids=range(5))
def test_a_right_checksum_does_not_make_a_header(tmp_path, text):
    """The rows below it are read; who wrote them is not known."""
    rows = one(tmp_path)
    (path,) = tmp_path.glob("rows-*.jsonl")
    line = f"header {text}".encode()
    path.write_bytes(
        b"%s %s\n%s" % (sha256(line).hexdigest()[:16].encode(), line, path.read_bytes().split(b"\n", 1)[1])
    )
    left, (message,) = read_again(tmp_path)
    assert left == 0
    assert f"{path}, line 1: damaged" in message
    with pytest.warns(StoreWarning, match="line 1: damaged"):
        assert one(tmp_path) == rows


def test_a_store_of_version_0_1_is_read_and_grows_in_segments(tmp_path):
    path = write_as_version_0_1(tmp_path)
    assert read_again(tmp_path) == (0, [])
    assert one(tmp_path, cells=[*ONE["cells"], {"n": 4}])[:1] == one(None)
    assert path.exists()
    assert len(rows_in(tmp_path)) == 1
    path.rename(tmp_path / f"{'0' * 64}.json")  # under the name of another it is nobody's
    assert read_again(tmp_path) == (1, [])


def test_drafts_of_the_dead_are_removed(tmp_path):
    for name, age in (("old", 4000), ("new", 0)):  # somebody may be writing the new one
        (tmp_path / f".{name}.tmp").touch()
        os.utime(tmp_path / f".{name}.tmp", 2 * (time.time() - age,))
    one(tmp_path)
    assert [path.name for path in tmp_path.glob(".*.tmp")] == [".new.tmp"]


def test_a_full_disk_leaves_whole_rows_only_and_the_sweep_resumes(tmp_path):
    """The file may have 6,000 bytes; a block of four has a line of 3,000 and three short ones."""
    limited, undisturbed = tmp_path / "limited", tmp_path / "undisturbed"
    rows = cells.run(undisturbed, cells.long)
    victim = cells.start(limited, cells.long, file_size_limit=6000)
    _, stderr = victim.communicate()
    assert victim.returncode == 1
    assert "OSError" in stderr
    assert f"The sweep's store is {limited}." in stderr
    done = len(rows_in(limited))
    assert 3 <= done < len(GRID)
    assert resume(limited, done) in stderr
    (segment,) = limited.glob("rows-*.jsonl")
    assert segment.read_bytes().endswith(b"\n")
    assert segment.read_bytes().count(b"\n") == done + 1  # the header
    assert cells.run(limited, cells.long) == rows
    assert rows_in(limited) == rows_in(undisturbed)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, PermissionError])
def test_a_write_that_is_stopped_leaves_no_part_of_a_line(tmp_path, monkeypatch, stop):
    real, calls = os.write, []

    def stopped(descriptor, data):
        calls.append(data)
        if len(calls) == 5:
            raise stop
        return real(descriptor, data[: max(1, len(data) // 2)])  # a disk that takes half of it

    monkeypatch.setattr(os, "write", stopped)
    with pytest.raises(stop) as interrupt:
        cells.run(tmp_path)
    assert resume(tmp_path, len(rows_in(tmp_path))) in interrupt.value.__notes__
    assert all(path.read_bytes()[-1:] in (b"", b"\n") for path in tmp_path.glob("rows-*.jsonl"))
    monkeypatch.undo()
    assert cells.run(tmp_path) == cells.run(None)


def test_a_store_that_cannot_be_one_is_named(tmp_path):
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(OSError, match="exists") as refused:
        one(path)
    assert refused.value.__notes__ == [f"The sweep's store is {path}."]
    for wrong in ("", "a\0b"):  # "" would be the working folder
        with pytest.raises(ValueError, match="store must be a path that a file can have"):
            one(wrong)


@pytest.mark.parametrize("moment", ["fsync", "replace"])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, PermissionError])
def test_a_manifest_that_is_stopped_leaves_nothing(tmp_path, monkeypatch, moment, stop):
    def stopped(*_):
        raise stop

    monkeypatch.setattr(os, moment, stopped)
    with pytest.raises(stop):
        cells.run(tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    assert cells.run(tmp_path) == cells.run(None)


def test_two_sweeps_may_share_a_store(tmp_path):
    alone = cells.run(tmp_path / "alone")
    with ThreadPoolExecutor(2) as both:
        first, second = both.map(lambda _: cells.run(tmp_path / "shared", cells.slow), range(2))
    assert first == second == alone
    assert rows_in(tmp_path / "shared") == rows_in(tmp_path / "alone")
    assert len(list((tmp_path / "shared").glob("rows-*"))) == 2


def test_a_changed_run_cell_is_named_and_its_old_rows_are_kept(tmp_path):
    """Comments and docstrings may change; a constant that the source reads may not."""

    def version(source, **constants):
        path = tmp_path / f"{len(list(tmp_path.glob('*.py')))}.py"
        path.write_text(source)
        space = {"__name__": "users", **constants}
        linecache.checkcache(str(path))
        exec(compile(source, path, "exec"), space)
        return space["run_cell"]

    grid = [{"n": 1}, {"n": 2}]
    source = 'def run_cell(cell, rng):\n    """Old."""\n    return {"x": SCALE * cell["n"]}\n'
    reworded = source.replace("Old", "New").replace("return", "# why\n    return")
    for i, changed in enumerate((version(source, SCALE=2), version(source.replace("SCALE *", "2 *")))):
        options = {"seed": 0, "store": tmp_path / f"store {i}", "progress": False}
        old = sweep.run(version(source, SCALE=1), grid[:1], **options)
        assert sweep.run(version(reworded, SCALE=1), grid[:1], **options) == old == [{"n": 1, "x": 1}]
        with pytest.warns(StoreWarning, match=r"no longer the one that wrote 1 of the 2 cells .*raise version="):
            assert sweep.run(changed, grid, **options) == [{"n": 1, "x": 1}, {"n": 2, "x": 4}]
        assert sweep.run(changed, grid, version=2, **options)[0] == {"n": 1, "x": 2}


def test_constants_of_closures_defaults_and_partials_count():
    def made(level, *, twice=2):
        def run_cell(cell, rng, factor=3):
            return {"x": level * factor}

        return run_cell

    same, other = fingerprint(made(1)), fingerprint(made(2))
    assert same == fingerprint(made(1)) != other
    assert fingerprint(partial(made, 1)) != fingerprint(partial(made, 2))
    changed = made(1)
    changed.__defaults__ = (4,)
    assert fingerprint(changed) != same
    assert fingerprint(len) is None


def test_functions_without_a_source_and_methods_are_known_too():
    def made(factor):
        space = {}
        exec(f"def run_cell(cell, rng):\n    return {{'x': [{factor} * n for n in (1, 2)]}}", space)
        return space["run_cell"]

    def kept(factor):
        space = {"factor": made(factor)}
        exec("class Kept:\n    __call__ = named = factor", space)
        return space["Kept"]()

    for maker in (made, kept, lambda factor: kept(factor).named):
        assert fingerprint(maker(1)) == fingerprint(maker(1)) != fingerprint(maker(2))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("LEVELS = np.array([1, 2])", "LEVELS = np.array([1, 3])"),
        ("LEVELS = [np.int64(1)]", "LEVELS = [np.int64(2)]"),
        ("LEVELS = {1, 2}", "LEVELS = {1, 3}"),
        ("scale = 1", "scale = 2"),
        ("def helper(x): return scale * x", "def helper(x): return x"),
    ],
)
def test_what_a_run_cell_reads_counts_wherever_it_stands(before, after, tmp_path, monkeypatch):
    """Of arrays, in comprehensions, by way of another function; not what the function counts up, nor attributes."""
    source = (
        "import numpy as np\nLEVELS, scale, calls, n = None, 1, 0, 0\n\n"
        "def helper(x): return scale * x\n"
        "{}\n"
        "def run_cell(cell, rng):\n    global calls\n    calls += cell.n\n"
        "    return {{'x': [helper(LEVELS) for _ in 'a']}}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    for i, text in enumerate((before, before.replace("=", "=  "), after)):
        (tmp_path / f"users{i}.py").write_text(source.format(text))
        module = __import__(f"users{i}")
        module.calls = module.n = i
        found.append(fingerprint(module.run_cell))
    assert found[0] == found[1] != found[2]


HEAD = """
from dataclasses import dataclass
from functools import lru_cache, partial, wraps

def traced(f):
    @wraps(f)
    def inner(cell, rng):
        return f(cell, rng) | {"traced": 1}
    return inner

class Rule:
    def level(self): return 2

@dataclass(frozen=True)
class Options:
    power: int

@lru_cache
def cached(): return 3

def scaled(x, factor): return factor * x

RULES, options, WEIGHTS, triple = {Rule: Rule()}, Options(power=4), {scaled: 1}, partial(scaled, factor=5)

@traced
def run_cell(cell, rng):
    return {"x": [RULES, options, WEIGHTS, cached(), triple(6)]}
"""


@pytest.mark.parametrize(
    "change", ['"traced": 1', "return 2", "power=4", "return 3", "factor * x", "factor=5", "triple(6)", "# no change"]
)
def test_what_stands_around_a_run_cell_counts_too(change, tmp_path, monkeypatch):
    """Its decorators, classes, caches, partials and frozen dataclasses; not where in memory they happen to be."""
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    changed = HEAD.replace(change, re.sub(r"\d|factor(?= )", "9", change))
    for i, source in enumerate((HEAD, HEAD.replace("@lru_cache", "# of late\n@lru_cache"), changed)):
        (tmp_path / f"around{i}.py").write_text(source)
        found.append(fingerprint(__import__(f"around{i}").run_cell))
        del sys.modules[f"around{i}"]
    assert found[0] == found[1]
    assert (found[1] == found[2]) == (change == "# no change")


def test_functions_that_share_their_helpers_are_read_once_each():
    """Else this one of sixty would be read 2^60 times."""
    space = {"__name__": "shared"}
    exec("\n".join(f"def f{i}(x): return f{i + 1}(x) + f{i + 2}(x)" for i in range(60)), space)
    assert fingerprint(space["f0"]) != fingerprint(space["f1"])


def test_the_manifest_says_which_versions_wrote_and_reports_a_mismatch(tmp_path):
    rows = one(tmp_path)
    manifest = tmp_path / "manifest.json"
    said = json.loads(manifest.read_text())
    assert said["numpy"] == np.__version__
    assert set(said) == {"pessimism", "python", "numpy", "numba", "scipy", "platform"}
    manifest.write_text(json.dumps(said | {"numpy": "0.9"}))
    with pytest.warns(
        StoreWarning, match=rf"numpy 0\.9 \(stored\) against {np.__version__} \(now\); it will hold rows of both"
    ) as caught:
        assert one(tmp_path) == rows
    assert caught[0].filename == __file__
    assert "scipy" not in str(caught[0].message)
    assert json.loads(manifest.read_text())["numpy"] == "0.9"  # still true of the older rows


@pytest.mark.parametrize("damage", [b"", b"[1]", b"3", b'{"numpy', b"\xff"])
def test_a_damaged_manifest_is_reported_and_written_again(tmp_path, damage):
    rows, manifest = one(tmp_path), tmp_path / "manifest.json"
    good = manifest.read_bytes()
    manifest.write_bytes(damage)
    with pytest.warns(StoreWarning, match=r"manifest\.json is damaged and is replaced"):
        assert one(tmp_path) == rows
    assert manifest.read_bytes() == good


def test_pending_writes_nothing(tmp_path):
    store = tmp_path / "store"
    assert sweep.pending(**ONE, store=store) == ONE["cells"]
    assert not store.exists()
    one(str(store))
    assert sweep.pending(**ONE, store=store) == []
    assert sweep.pending(**(ONE | {"seed": 2}), store=store) == ONE["cells"]
