"""A store may be damaged, full, stale or shared: either the right bytes, or a clear error; never a wrong row."""

import json
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pessimism import sweep
from pessimism.sweep import StoreWarning
from tests.faults import cells
from tests.faults.cells import GRID, rows_in

DEEP = "PESSIMISM_KILLS" in os.environ
ONE = {"cells": [{"n": 3, "c": 0.5}], "seed": 1, "name": "damage"}


def one(store):
    return sweep.run(lambda cell, rng: {"x": rng.random()}, **ONE, store=store, progress=False)


@pytest.fixture
def finished(tmp_path):
    """A store with one row: (store, its file, the bytes of it)."""
    one(tmp_path)
    (path,) = (p for p in tmp_path.glob("*.json") if p.name != "manifest.json")
    return tmp_path, path, path.read_bytes()


def assert_reported_and_not_read(store, path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert len(sweep.pending(**ONE, store=store)) == 1
    (warning,) = caught
    assert warning.category is StoreWarning
    assert str(path) in str(warning.message)
    assert "computed again" in str(warning.message)
    assert warning.filename == __file__


def test_every_changed_byte_is_noticed(finished):
    store, path, good = finished
    flips = range(1, 256) if DEEP else np.random.default_rng(0).integers(1, 256, size=3).tolist()
    for offset in range(len(good)):
        for flip in flips:
            path.write_bytes(good[:offset] + bytes([good[offset] ^ flip]) + good[offset + 1 :])
            assert_reported_and_not_read(store, path)


def test_every_truncation_is_noticed(finished):
    store, path, good = finished
    for length in range(len(good)):
        path.write_bytes(good[:length])
        assert_reported_and_not_read(store, path)


@pytest.mark.parametrize("damage", [b"", b"\n", b"null\n", b"\x00" * 300])
def test_a_damaged_row_is_computed_again_and_its_file_replaced(finished, damage):
    store, path, good = finished
    undisturbed = one(None)
    path.write_bytes(damage)
    with pytest.warns(StoreWarning, match=r"is damaged \(wrong checksum\): .* computed again"):
        assert one(store) == undisturbed
    assert path.read_bytes() == good
    assert one(store) == undisturbed  # and silent again


@pytest.mark.parametrize("line", ["[]", "3", "{}", '{"rows":[]}', '{"rows":[{"x":1}],"seed":1}', "{"])
def test_a_right_checksum_does_not_make_a_row(finished, line):
    store, path, _ = finished
    from hashlib import sha256

    path.write_text(f"{line}\n{sha256(line.encode()).hexdigest()}\n")
    assert_reported_and_not_read(store, path)


def test_rows_under_the_names_of_others_are_not_read(tmp_path):
    rows = cells.run(tmp_path)
    good = rows_in(tmp_path)
    a, b = sorted(good)[:2]
    (tmp_path / a).write_bytes(good[b])
    (tmp_path / b).write_bytes(good[a])
    with pytest.warns(StoreWarning, match="the rows of another cell") as caught:
        assert cells.run(tmp_path) == rows
    assert sorted(name for name in good for w in caught if name in str(w.message)) == [a, b]
    assert rows_in(tmp_path) == good


def test_drafts_of_the_dead_are_harmless(tmp_path):
    rows = cells.run(tmp_path)
    good = rows_in(tmp_path)
    victim = sorted(good)[0]
    (tmp_path / victim).unlink()
    (tmp_path / f".{victim}.0123.tmp").write_bytes(good[victim][:20])
    (tmp_path / f".{victim}.4567.tmp").write_bytes(good[victim])
    assert len(sweep.pending(GRID, seed=cells.SEED, name=cells.NAME, store=tmp_path)) == 1
    assert cells.run(tmp_path) == rows
    assert rows_in(tmp_path) == good


def test_a_full_disk_leaves_whole_rows_only_and_the_sweep_resumes(tmp_path):
    """Files may have 1,000 bytes, the last blocks need 3,000."""
    limited, undisturbed = tmp_path / "limited", tmp_path / "undisturbed"
    rows = cells.run(undisturbed, cells.long)
    victim = cells.start(limited, cells.long, file_size_limit=1000)
    _, stderr = victim.communicate()
    assert victim.returncode == 1
    assert "OSError" in stderr
    assert f"The sweep's store is {limited}." in stderr
    assert f"3 of {len(GRID)} cells are in {limited}; run again with the same store to resume." in stderr
    assert len(list(limited.iterdir())) == 4  # three rows, the manifest, no draft
    assert rows_in(limited).items() < rows_in(undisturbed).items()
    assert cells.run(limited, cells.long) == rows
    assert rows_in(limited) == rows_in(undisturbed)


def test_a_store_that_cannot_be_one_is_named(tmp_path):
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(OSError, match="exists") as refused:
        one(path)
    assert refused.value.__notes__ == [f"The sweep's store is {path}."]


@pytest.mark.parametrize("moment", ["fsync", "replace"])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, PermissionError])
def test_a_write_that_is_stopped_leaves_nothing(tmp_path, monkeypatch, moment, stop):
    one(tmp_path)  # the manifest is there
    before = {path.name for path in tmp_path.iterdir()}
    real, calls = getattr(os, moment), []

    def stopped(*args):
        calls.append(args)
        if len(calls) == 3:
            raise stop
        return real(*args)

    monkeypatch.setattr(os, moment, stopped)
    with pytest.raises(stop) as interrupt:
        cells.run(tmp_path)
    assert f"2 of {len(GRID)} cells are in {tmp_path}; run again with the same store to resume." in (
        interrupt.value.__notes__
    )
    assert len({path.name for path in tmp_path.iterdir()} - before) == 2
    monkeypatch.undo()
    assert cells.run(tmp_path) == cells.run(None)


def test_two_sweeps_may_share_a_store(tmp_path):
    alone = cells.run(tmp_path / "alone")
    with ThreadPoolExecutor(2) as both:
        first, second = both.map(lambda _: cells.run(tmp_path / "shared", cells.slow), range(2))
    assert first == second == alone
    assert rows_in(tmp_path / "shared") == rows_in(tmp_path / "alone")


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
    rows = one(tmp_path)
    manifest = tmp_path / "manifest.json"
    good = manifest.read_bytes()
    manifest.write_bytes(damage)
    with pytest.warns(StoreWarning, match=r"manifest\.json is damaged and is replaced"):
        assert one(tmp_path) == rows
    assert manifest.read_bytes() == good


def test_pending_writes_nothing(tmp_path):
    store = tmp_path / "store"
    assert sweep.pending(**ONE, store=store) == ONE["cells"]
    assert not store.exists()
    one(store)
    assert sweep.pending(**ONE, store=store) == []
    assert sweep.pending(**(ONE | {"seed": 2}), store=store) == ONE["cells"]


def test_a_store_is_found_by_a_string_too(tmp_path):
    assert one(str(tmp_path / "a" / "b")) == one(Path(tmp_path / "a" / "b"))
