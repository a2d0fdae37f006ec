"""Exponents from rows: exact lines, honest intervals, refusals with a reason."""

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, linregress

from pessimism import rates
from pessimism.bandits import exact, hoeffding_level, instances, lcb

X = np.array([100.0, 1000.0, 10_000.0, 100_000.0])


@given(st.floats(-3, 3), st.floats(1e-3, 1e3))
def test_a_power_law_gives_its_exponent(beta, scale):
    fit = rates.fit(X, scale * X**beta)
    assert fit.slope == fit.low == fit.high == pytest.approx(beta, abs=1e-9)
    assert fit.exact
    assert fit.local == pytest.approx(np.full(3, beta), abs=1e-9)


def test_exact_points_give_ordinary_least_squares():
    y = np.array([0.3, 0.11, 0.02, 0.009])
    assert rates.fit(X, y).slope == pytest.approx(linregress(np.log(X), np.log(y)).slope, rel=1e-12)


def test_weights_are_those_of_statsmodels():
    import statsmodels.api as sm

    y, se = np.array([0.3, 0.11, 0.02, 0.009]), np.array([0.02, 0.001, 0.001, 0.0002])
    model = sm.WLS(np.log(y), sm.add_constant(np.log(X)), weights=(y / se) ** 2).fit(cov_type="fixed scale")
    fit = rates.fit(X, y, se)
    assert fit.slope == pytest.approx(model.params[1], rel=1e-10)
    assert (fit.low, fit.high) == pytest.approx(tuple(model.conf_int(0.05)[1]), rel=1e-8)


def test_intervals_cover_at_their_level():
    """False alarm 1e-6 a side; detects intervals half as wide (coverage 0.67 instead of 0.95)."""
    rng, runs, truth = np.random.default_rng(5), 2000, X**-0.5
    se = 0.05 * truth
    covered = 0
    for _ in range(runs):
        fit = rates.fit(X, truth * np.exp(0.05 * rng.standard_normal(4)), se)
        covered += fit.low <= -0.5 <= fit.high
    assert binom.ppf(1e-6, runs, 0.94) <= covered <= binom.isf(1e-6, runs, 0.96)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((X[:2], X[:2]), "at least 3 points, got 2"),
        (([10, 20, 900], [3.0, 2.0, 1.0]), "at least 2 decades, got 10 to 900"),
        (([10, 20, 90], [3.0, 2.0, 1.0]), "at least 2 decades, got 10 to 90"),
        ((X, [1.0, 0.1, 0.0, 0.1]), "x = 10000 is not positive"),
        ((X, 1 / X, 0.2 / X), "x = 100 has a relative error above 10%"),
        ((X, 1 / X, 0.0 / X), "has standard error 0"),
        ((X, 1 / X, 0.01 / X, [500, 400, 99, 98]), "x = 10000 rests on fewer than 100 events"),
    ],
)
def test_points_that_support_no_slope_are_refused_with_the_reason(arguments, reason):
    with pytest.raises(rates.SlopeError, match=reason):
        rates.fit(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X, X[:3]), r"y must have the shape \(4,\) of x"),
        ((X[::-1], X), "x must increase"),
        ((-X[::-1], X), r"x\[0\] must be positive"),
        ((X, [1.0, math.nan, 1.0, 1.0]), r"y\[1\] must be finite"),
        ((X, X, X[:2]), "se must have the shape"),
        ((X, X, -X), r"se\[0\] must be in"),
        (([X], [X]), "x must have one axis"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        rates.fit(*arguments)


@given(st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=9), min_size=1, max_size=4))
def test_averaged_blocks_are_the_pooled_sample(blocks):
    rows = [{"n": 7, "block": i, "note": [1, 2], **rates.summarize("loss", b)} for i, b in enumerate(blocks)]
    pooled = np.concatenate(blocks)
    (row,) = rates.average_blocks(rows)
    assert row["loss"] == pytest.approx(pooled.mean(), abs=1e-12)
    assert row["loss_events"] == np.count_nonzero(pooled)
    assert row["replicates"] == pooled.size
    expected = math.sqrt(sum(len(b) ** 2 * np.var(b, ddof=1) / len(b) for b in blocks)) / pooled.size
    assert row["loss_se"] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert "block" not in row
    assert row["n"] == 7


def test_rows_read_from_csv_have_a_slope_too():
    rows = [{"n": str(n), "loss": str(1 / n)} for n in (10, 100, 1000)]
    assert rates.fit_rows(rows).slope == pytest.approx(-1)


def test_rows_of_different_cells_are_not_averaged_and_a_block_given_twice_is_refused():
    rows = [{"n": n, "block": b, **rates.summarize("loss", [0.0, 1.0])} for n in (1, 2) for b in (0, 1)]
    assert [row["n"] for row in rates.average_blocks(rows)] == [1, 2]
    rows = [{"n": 1, "block": b, "law": {"p": [0.1]}, **rates.summarize("loss", [0.0, 1.0])} for b in (0, 1, 1)]
    assert rates.average_blocks(rows[:2])[0]["replicates"] == 4
    with pytest.raises(ValueError, match=r"rows must hold every block once, got 1 again beside \{'n': 1, "):
        rates.average_blocks(rows)


def test_fit_rows_uses_the_errors_that_rows_carry():
    rows = [{"n": n, "loss": n**-0.5, "loss_se": 0.01 * n**-0.5, "loss_events": 1000} for n in (10, 1000, 100)]
    fit = rates.fit_rows(rows)
    assert not fit.exact
    assert fit.low < -0.5 < fit.high
    with pytest.raises(ValueError, match="loss_se must be in every row or in none: the row at n = 100"):
        rates.fit_rows([row if row["n"] != 100 else {"n": 100, "loss": 0.1} for row in rows])
    rows[1]["loss_events"] = 3
    with pytest.raises(rates.SlopeError, match="x = 1000 rests on fewer than 100 events"):
        rates.fit_rows(rows)
    with pytest.raises(rates.SlopeError, match="at least 3 points, got 0"):
        rates.fit_rows([])
    with pytest.raises(TypeError, match=r"rows\[0\]\['loss'\] must be a number, got None"):
        rates.fit_rows([{"n": 1, "loss": None}])


def test_group_keeps_order():
    rows = [{"a": 2, "b": 1}, {"a": 1, "b": 1}, {"a": 2, "b": 2}]
    assert list(rates.group(rows, "a")) == [2, 1]
    assert list(rates.group(rows, "a", "b")) == [(2, 1), (1, 1), (2, 2)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda rows: rates.group(rows, "n", "typo"),
            r"keys\[1\] must name a column of rows\[0\], which are 'n', 'block'",
        ),
        (lambda rows: rates.average_blocks(rows, block="typo"), r"block must name a column of rows\[0\]"),
        (
            lambda rows: rates.average_blocks(rows, "typo"),
            r"y must name a column of rows\[0\], which are .* got 'typo'",
        ),
        (lambda rows: rates.fit_rows(rows, "typo"), r"x must name a column of rows\[0\]"),
        (lambda rows: rates.fit_rows(rows, y="typo"), r"y must name a column of rows\[0\]"),
        (lambda rows: rates.fit_rows(rows, y=["loss"]), "y must be a str, got list"),
        (lambda rows: rates.fit_rows([3, 4]), r"rows\[0\] must be a mapping of columns to values, got int"),
        (
            lambda rows: rates.average_blocks([*rows, {"n": 2}]),
            r"block must name a column of rows\[3\], which are 'n', got",
        ),
    ],
)
def test_columns_that_are_not_there_are_named(call, message):
    rows = [{"n": 10**k, "block": 0, **rates.summarize("loss", [0.0, 1.0])} for k in range(3)]
    with pytest.raises((ValueError, TypeError), match=message):
        call(rows)


def test_a_mean_of_one_value_has_no_standard_error():
    with pytest.raises(ValueError, match="at least two replicates"):
        rates.summarize("loss", [1.0])


def test_worst_rows_estimate_the_exact_worst_loss():
    """Six standard errors (a false alarm in 1e-8) and one per cent for the grid; a tenth too much would be found."""
    level = float(hoeffding_level(1_000, 1, 2))
    truth = exact.worst_case(partial(instances.symmetric, 4.0), 1_000, level=level).loss
    (row,) = rates.worst_rows({"lcb": lcb}, cstar=4, n=[1_000], size=40_000, rng=1)
    assert abs(row["loss"] - truth) <= 6 * row["loss_se"] + 0.01 * truth
    assert row["loss_se"] < 0.01 * truth
