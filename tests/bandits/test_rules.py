"""Rules: the theorem they rest on, the family that holds them, ties, unseen arms, bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import binom

from pessimism.bandits import (
    Bandit,
    BanditData,
    bernstein_lcb,
    bounds,
    greedy,
    hoeffding_level,
    index_rule,
    lcb,
    most_played,
)
from pessimism.bandits.rules import index_rule as family
from tests.bandits import FEW
from tests.bandits.enumeration import index

INF = math.inf


@st.composite
def data_sets(draw, max_count=50, squares=False):
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=4))
    counts = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, max_count)))
    sums = np.floor(counts * draw(hnp.arrays(np.float64, shape, elements=st.floats(0, 1))))
    return BanditData(counts, sums, sums if squares else None)


def at(table, arms):
    return np.take_along_axis(table, arms[..., None], axis=-1)[..., 0]


def plain_index_rule(data, level, unseen=-INF):
    """The definition, one arm at a time."""
    policy = []
    for counts, sums in zip(data.counts.tolist(), data.sums.tolist(), strict=True):
        scores = [index(n, x, level, unseen) for n, x in zip(counts, sums, strict=True)]
        policy.append(scores.index(max(scores)))
    return policy


@given(data_sets(), st.sampled_from([0.0, INF, -INF]) | st.floats(-20, 20), st.sampled_from([-INF, -1.0, 0.0, 2.0]))
def test_index_rule_equals_its_plain_twin(data, level, unseen):
    assert index_rule(data, level, unseen).tolist() == plain_index_rule(data, level, unseen)


@pytest.mark.kernels
@pytest.mark.parametrize("unseen", [-INF, -1.0, 0.0, INF])
@pytest.mark.parametrize("rule", [lcb, greedy, lambda data, unseen: index_rule(data, -2.0, unseen)])
def test_the_compiled_loop_chooses_what_numpy_chooses(monkeypatch, rule, unseen):
    """Bit for bit, ties and unpulled arms among them: few pulls, so both are many."""
    rng = np.random.default_rng(4)
    counts = rng.poisson(2.0, size=(50, 7, 3, 10))
    data = BanditData(counts, rng.binomial(counts, 0.5))
    assert data.counts.size >= family.COMPILED_FROM
    compiled = rule(data, unseen=unseen)
    monkeypatch.setattr(family, "COMPILED_FROM", INF)
    assert np.array_equal(compiled, rule(data, unseen=unseen))
    assert compiled.dtype == np.intp


@pytest.mark.kernels
@pytest.mark.parametrize("shape", [(0, 1, 2), (3, 1, 1), (1, 2), (2, 0, 3, 4)])
def test_the_compiled_loop_takes_any_shape(monkeypatch, shape):
    monkeypatch.setattr(family, "COMPILED_FROM", 0)
    data = BanditData(np.ones(shape, int), np.ones(shape))
    assert index_rule(data, 0.5).tolist() == np.zeros(shape[:-1], int).tolist()


@FEW
@given(data_sets(), st.floats(0.01, 0.99))
def test_named_rules_are_members_of_the_family(data, delta):
    level = float(hoeffding_level(data.n, data.n_contexts, data.n_arms, delta))
    assert level == pytest.approx(0.5 * math.log(2 * data.counts.size / delta), rel=1e-14)
    assert np.array_equal(lcb(data, delta=delta), index_rule(data, level))
    assert np.array_equal(greedy(data), index_rule(data, 0.0))
    assert np.array_equal(most_played(data), index_rule(data, INF))
    default = 0.5 * np.log(2 * data.counts.size * max(int(data.n), 1))
    assert np.array_equal(lcb(data), index_rule(data, default))
    assert np.array_equal(lcb(data, paper_constants=True), index_rule(data, 4000 * default, -1.0))


@given(data_sets(), st.floats(0.01, 0.99))
def test_width_bounds_hold_for_the_worst_means_and_laws(data, delta):
    """The chosen arm at the bottom of its interval, the comparator at the top of its own, for every comparator."""
    width = np.sqrt(hoeffding_level(data.n, data.n_contexts, data.n_arms, delta) / np.maximum(data.counts, 1))
    low, high = data.means - width, data.means + width
    seen, rho = data.counts > 0, np.full(data.n_contexts, 1 / data.n_contexts)
    pessimist = lcb(data, delta=delta)
    assert np.all((high - at(low, pessimist)[:, None] <= 2 * width + 1e-12)[seen])  # the theorem of LCB, rewards in R
    low, high = np.where(seen, np.maximum(low, 0.0), 0.0), np.where(seen, np.minimum(high, 1.0), 1.0)
    for arms, bound in ((pessimist, bounds.lcb_width_bound), (greedy(data), bounds.greedy_width_bound)):
        for arm in range(data.n_arms):
            comparator = np.full(data.n_contexts, arm)
            loss = np.where(arms == comparator, 0.0, at(high, comparator) - at(low, arms))
            assert rho @ np.maximum(loss, 0.0) <= bound(data, comparator, rho, delta) + 1e-12


def test_intervals_miss_no_more_often_than_delta():
    """False alarm 1e-6 on correct code; detects a miss rate of 0.26 instead of 0.2 with probability 0.95."""
    bandit, runs, delta = Bandit([[0.5, 0.1, 0.9]]), 2000, 0.2
    data = bandit.sample([[0.6, 0.3, 0.1]], n=80, size=runs, rng=11)
    width = np.sqrt(hoeffding_level(80, 1, 3, delta) / np.maximum(data.counts, 1))
    misses = np.sum(np.any((np.abs(data.means - bandit.means) > width) & (data.counts > 0), axis=(-2, -1)))
    assert misses <= binom.isf(1e-6, runs, delta)


def plain_bernstein(counts, sums, squares, delta, spread):
    best, choice = -INF, 0
    for arm, (n, x, y) in enumerate(zip(counts, sums, squares, strict=True)):
        if n == 0:
            continue
        term = math.log(2 * len(counts) / delta)
        variance = max(y - x * x / n, 0.0) / max(n - 1, 1)
        score = x / n - math.sqrt(2 * variance * term / n) - 7 * spread * term / (3 * max(n - 1, 1))
        if score > best + 1e-12:
            best, choice = score, arm
    return choice


@given(st.lists(st.lists(st.floats(-1, 2, width=16), max_size=8), min_size=1, max_size=4), st.floats(0.01, 0.99))
def test_bernstein_equals_its_plain_twin(rewards, delta):
    arms = np.repeat(np.arange(len(rewards)), [len(r) for r in rewards])
    data = BanditData.from_log(None, arms, np.concatenate(rewards), n_arms=len(rewards), reward_range=(-1, 2))
    plain = plain_bernstein(data.counts[0], data.sums[0], data.squares[0], delta, 3.0)
    chosen = int(bernstein_lcb(data, delta=delta)[0])
    if chosen != plain:  # the twin sums in another order: only a tie may be broken the other way
        assert data.counts[0, chosen] == data.counts[0, plain]
        assert data.means[0, chosen] == pytest.approx(data.means[0, plain], abs=1e-9)


def test_bernstein_bound_holds_at_its_level():
    """False alarm 1e-6; a bound without its second term (7/3 range) would miss 0.63 of the time, not 0.05."""
    mean, n, delta, runs = 0.99, 100, 0.05, 4000
    hits = np.random.default_rng(2).binomial(n, mean, runs).astype(float)
    variance = hits * (1 - hits / n) / (n - 1)
    term = math.log(2 / delta)
    low = hits / n - np.sqrt(2 * variance * term / n) - 7 * term / (3 * (n - 1))
    assert np.sum(low > mean) <= binom.isf(1e-6, runs, delta)
    assert np.sum(hits / n - np.sqrt(2 * variance * term / n) > mean) > binom.isf(1e-6, runs, delta)  # it has power


def test_bernstein_prefers_the_steady_arm():
    steady = BanditData([[100, 100]], [[50.0, 50.0]], squares=[[50.0, 25.0]])
    assert bernstein_lcb(steady).tolist() == [1]
    lonely = BanditData([[1, 0]], [[0.0, 0.0]], squares=[[0.0, 0.0]])
    assert bernstein_lcb(lonely).tolist() == [0]


def test_bernstein_sees_the_variance_of_rewards_away_from_0_or_refuses():
    """The steady arm wins, not the coin; far away rounding would hide which is which."""
    arms, rewards = np.repeat([0, 1], 500), np.r_[np.tile([0.0, 1.0], 250), np.full(500, 0.45)]
    near, below, far = (
        BanditData.from_log(None, arms, rewards + away, reward_range=(away, away + 1)) for away in (1000.0, -1000, 1e7)
    )
    assert bernstein_lcb(near).tolist() == bernstein_lcb(below).tolist() == [1]
    with pytest.raises(ValueError, match=r"variance of 500 rewards in \[10000000, .* subtract 10000000 from every"):
        bernstein_lcb(far)


RULES = (lcb, greedy, most_played, bernstein_lcb)


@pytest.mark.parametrize("rule", RULES)
def test_an_unpulled_arm_is_chosen_only_where_nothing_was_pulled(rule):
    sums = np.zeros((3, 3))
    data = BanditData([[0, 0, 1], [0, 7, 0], [0, 0, 0]], sums, sums)
    assert rule(data).tolist() == [2, 1, 0]
    assert rule(BanditData([[0, 0]], [[0.0, 0.0]], [[0.0, 0.0]])).tolist() == [0]
    assert rule(BanditData([[0]], [[0.0]], [[0.0]])).tolist() == [0]


def test_the_papers_conventions_are_the_argument_unseen():
    data = BanditData([[0, 1]], [[0.0, 0.0]])
    assert lcb(data).tolist() == [1]
    assert lcb(data, delta=0.01, unseen=-1).tolist() == [0]  # one pull has an index below -1
    assert greedy(data, unseen=0.0).tolist() == [0]
    assert greedy(data).tolist() == [1]
    assert lcb(BanditData([[0, 4000]], [[0, 4000.0]]), paper_constants=True).tolist() == [0]
    for rounds, chosen in ((20_800, 2), (20_900, 0)):  # as its docstring says
        half = BanditData([[rounds // 2] * 2 + [0]], [[rounds / 4] * 2 + [0.0]])
        assert lcb(half, paper_constants=True).tolist() == [chosen]
    assert index_rule(data, INF, unseen=100.0).tolist() == [1]
    assert index_rule(data, -INF, unseen=100.0).tolist() == [1]


def test_widths_scale_with_the_range_and_with_sigma():
    counts, means = np.array([[1000, 100]]), np.array([[0.5, 0.63]])
    unit = BanditData(counts, counts * means)
    wide = BanditData(counts, counts * (10 * means - 5), reward_range=(-5, 5))
    assert lcb(unit).tolist() == lcb(wide).tolist() == [0]
    # in the same range, rewards ten times as large stand out
    assert lcb(BanditData(counts, counts * means, reward_range=(0, 1)), sigma=0.05).tolist() == [1]
    unbounded = BanditData(counts, counts * means, reward_range=(-INF, INF))
    assert lcb(unbounded, sigma=0.5).tolist() == lcb(unit).tolist()
    assert greedy(unbounded).tolist() == [1]
    assert most_played(unbounded).tolist() == [0]


def test_ties_go_to_the_lowest_index_or_evenly_with_an_rng():
    """False alarm 1e-6 a bin; detects a share of 0.36 instead of 1/3 with probability above 0.9."""
    tied = BanditData(np.full((20_000, 1, 4), [3, 3, 3, 2]), np.full((20_000, 1, 4), [2.0, 2.0, 2.0, 0.0]))
    tied = BanditData(tied.counts, tied.sums, tied.sums)
    for rule in RULES:
        assert np.all(rule(tied) == 0)
        picks = np.bincount(rule(tied, rng=4).ravel(), minlength=4)
        assert picks[3] == 0
        assert np.all(np.abs(picks[:3] - 20_000 / 3) < 4.9 * math.sqrt(20_000 * 2 / 9))
    empty = BanditData(np.zeros((1000, 1, 3), int), np.zeros((1000, 1, 3)))
    assert set(lcb(empty, rng=0).ravel().tolist()) == {0, 1, 2}


@FEW
@given(st.integers(0, 2**32))
def test_batches_equal_single_data_sets(seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 6, (2, 3, 2, 3))
    sums = np.floor(counts * rng.random(counts.shape))
    data = BanditData(counts, sums, sums)
    for rule in RULES:
        policy = rule(data)
        assert policy.shape == (2, 3, 2)
        for i in np.ndindex(2, 3):
            assert np.array_equal(policy[i], rule(data[i]))
    levels = rng.choice([0.0, 1.0, INF, -INF, -0.5], (2, 3))
    policy = index_rule(data, levels)
    for i in np.ndindex(2, 3):
        assert np.array_equal(policy[i], index_rule(data[i], levels[i]))


@pytest.mark.parametrize("n", [0, 1, 2, 10**15])
def test_default_delta_is_valid_for_every_n(n):
    assert hoeffding_level(n, 3, 4) == pytest.approx(0.5 * math.log(24 * max(n, 1)))


def test_the_smallest_delta_is_a_finite_level():
    assert hoeffding_level(1, 1, 2, delta=1e-320) == pytest.approx(0.5 * (math.log(4) + 320 * math.log(10)), rel=1e-5)
    assert bernstein_lcb(BanditData([[9, 1]], [[6.0, 1.0]], [[6.0, 1.0]]), delta=1e-320).tolist() == [0]


DATA = BanditData([[3, 1]], [[2.0, 1.0]])
UNBOUNDED = BanditData([[3, 1]], [[2.0, 1.0]], [[2.0, 1.0]], (0.0, INF))
BAD = [
    (lambda: lcb(DATA, delta=0.0), ValueError, r"delta must be in \(0, 1\), got 0.0"),
    (lambda: lcb(DATA, delta=1.0), ValueError, "delta must be in"),
    (lambda: lcb(DATA, delta=-1.0), ValueError, "delta must be in"),
    (lambda: lcb(DATA, delta=math.nan), ValueError, "delta must be in"),
    (lambda: lcb(DATA, delta="x"), TypeError, "delta must hold numbers"),
    (lambda: lcb(DATA, delta=[0.1, 0.2]), ValueError, "delta must be one number"),
    (lambda: lcb(DATA, constant=0.0), ValueError, "constant must be positive"),
    (lambda: lcb(DATA, constant=1e308), ValueError, r"constant must be in \[1e-300, 1e\+150\], got 1e\+308"),
    (lambda: lcb(DATA, sigma=1e308), ValueError, r"sigma must be in \[1e-300, 1e\+150\]"),
    (lambda: lcb([[1, 2]]), TypeError, "data must be a BanditData, got list"),
    (lambda: greedy(None), TypeError, "data must be a BanditData, got NoneType"),
    (lambda: bernstein_lcb(Bandit([[0.5, 0.5]])), TypeError, "data must be a BanditData, got Bandit"),
    (lambda: lcb(DATA, sigma=-1.0), ValueError, "sigma must be positive"),
    (lambda: lcb(DATA, unseen=math.nan), ValueError, "unseen must be a number, not NaN"),
    (lambda: lcb(DATA, paper_constants=True, constant=1.0), ValueError, "paper_constants sets constant"),
    (lambda: lcb(UNBOUNDED), ValueError, "sigma must be given"),
    (lambda: index_rule(DATA, math.nan), ValueError, "level must be a number"),
    (lambda: index_rule(DATA, [1.0, 2.0]), ValueError, "level"),
    (lambda: index_rule(DATA, "a"), TypeError, "level must hold numbers"),
    (lambda: index_rule(DATA, 1j), TypeError, "level must hold numbers"),
    (lambda: index_rule(DATA, None), TypeError, "level must hold numbers"),
    (lambda: hoeffding_level(10, [1, 2], 2), ValueError, r"contexts must be one number, got shape \(2,\)"),
    (lambda: bernstein_lcb(DATA), ValueError, "needs data.squares"),
    (lambda: bernstein_lcb(UNBOUNDED), ValueError, "needs a finite reward_range"),
    (lambda: hoeffding_level(-1, 1, 1), ValueError, "n must be a whole number"),
    (lambda: hoeffding_level(1, 0, 1), ValueError, "contexts must be a whole number"),
    (lambda: hoeffding_level(1, 1, 1.5), ValueError, "arms must be a whole number"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_input_is_one_error_that_names_it(call, error, message):
    with pytest.raises(error, match=message):
        call()
