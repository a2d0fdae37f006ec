"""BanditData: from logs, merged, mixed, subsampled; what it says about a policy; bad input."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import binom, hypergeom

from pessimism.bandits import Bandit, BanditData, ValueInterval, behavior
from tests.bandits import FEW
from tests.interop.tables import same

COINS = st.sampled_from([0.0, 1.0])


@st.composite
def logs(draw, rewards=COINS):
    n, s, a = draw(st.integers(0, 30)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    contexts = draw(hnp.arrays(np.int64, n, elements=st.integers(0, s - 1)))
    arms = draw(hnp.arrays(np.int64, n, elements=st.integers(0, a - 1)))
    return contexts, arms, draw(hnp.arrays(np.float64, n, elements=rewards)), s, a


@FEW
@given(logs(st.floats(-2, 3, width=32)))
def test_from_log_equals_a_plain_loop(log):
    contexts, arms, rewards, s, a = log
    data = BanditData.from_log(contexts, arms, rewards, n_contexts=s, n_arms=a, reward_range=(-2, 3))
    counts, sums, squares = np.zeros((s, a), int), np.zeros((s, a)), np.zeros((s, a))
    for i, j, r in zip(contexts, arms, rewards, strict=True):
        counts[i, j] += 1
        sums[i, j] += r
        squares[i, j] += r**2
    assert np.array_equal(data.counts, counts)
    assert np.array_equal(data.sums, sums)
    assert np.array_equal(data.squares, squares)
    BanditData(data.counts, data.sums, data.squares, data.reward_range)  # its own checks accept what it made


@FEW
@given(logs(), st.integers(0, 30))
def test_merging_two_logs_is_concatenating_them(log, cut):
    contexts, arms, rewards, s, a = log
    parts = [slice(0, cut), slice(cut, None)]
    first, second = (BanditData.from_log(contexts[p], arms[p], rewards[p], n_contexts=s, n_arms=a) for p in parts)
    whole, merged = BanditData.from_log(contexts, arms, rewards, n_contexts=s, n_arms=a), first.merge(second)
    assert np.array_equal(merged.counts, whole.counts)
    assert np.array_equal(merged.sums, whole.sums)
    assert np.array_equal(merged.squares, whole.squares)
    assert BanditData(first.counts, first.sums).merge(second).squares is None


def test_logs_with_leading_axes_are_separate():
    bandit = Bandit([[0.3, 0.6], [0.8, 0.1]])
    contexts, arms, rewards = bandit.sample_log(behavior.uniform(bandit), n=20, size=(2, 3), rng=1)
    data = BanditData.from_log(contexts, arms, rewards, n_contexts=2, n_arms=2)
    assert data.shape == (2, 3)
    for i in np.ndindex(2, 3):
        single = BanditData.from_log(contexts[i], arms[i], rewards[i], n_contexts=2, n_arms=2)
        assert np.array_equal(data[i].counts, single.counts)
        assert np.array_equal(data[i].sums, single.sums)
    assert BanditData.from_log(None, [[0], [1], [1]], [[1], [0], [1]], batch=(3,)).shape == (3,)
    assert data[0].shape == (3,)
    assert data[:, 1:].shape == (2, 2)
    assert np.array_equal(data[..., 0].counts, data.counts[:, 0])
    with pytest.raises(IndexError, match="no batch axis"):
        data[0, 0][0]


@FEW
@given(logs(), st.data())
def test_a_subsample_is_part_of_the_log(log, draw):
    contexts, arms, rewards, s, a = log
    data = BanditData.from_log(contexts, arms, rewards, n_contexts=s, n_arms=a)
    keep = draw.draw(st.integers(0, len(rewards)))
    part = data.subsample(keep, rng=draw.draw(st.integers(0, 1000)))
    assert part.n == keep
    assert np.all(part.counts <= data.counts)
    assert np.all(part.sums <= data.sums)
    assert np.all(part.counts - part.sums <= data.counts - data.sums)
    assert np.array_equal(data.subsample(len(rewards), rng=0).sums, data.sums)


def test_subsample_has_the_law_of_draws_without_replacement():
    """False alarm 1e-6 (Hoeffding-Serfling is looser than the exact tails used); detects replacement (variance x 2)."""
    data = BanditData([[60, 40]], s := np.array([[30.0, 10.0]]), s)
    batch = BanditData(np.tile(data.counts, (4000, 1, 1)), *[np.tile(s, (4000, 1, 1))] * 2)
    kept = batch.subsample(50, rng=7)
    for cell, total in ((kept.sums[:, 0, 0], 30), (kept.counts[:, 0, 0], 60)):
        law = hypergeom(100, total, 50)
        middle = np.abs(cell - law.mean()) <= 2
        share = law.cdf(law.mean() + 2) - law.cdf(law.mean() - 3)
        assert binom.ppf(2.5e-7, 4000, share) <= middle.sum() <= binom.isf(2.5e-7, 4000, share)


def test_mix_hits_its_shares_exactly():
    sums = np.zeros((1, 2))
    a, b = BanditData([[60, 0]], sums, sums), BanditData([[0, 90]], sums, sums)
    mixed = a.mix(b, shares=(0.25, 0.75), n=80, rng=0)
    assert mixed.counts.tolist() == [[20, 60]]
    assert a.mix(b, shares=(1 / 3, 2 / 3), n=8, rng=0).counts.tolist() == [[3, 5]]  # largest remainders
    assert a.mix(b, shares=(0.5, 0.5), rng=0).counts.tolist() == [[60, 60]]  # as many as there are
    assert a.mix(b, shares=(0.0, 1.0), rng=0).counts.tolist() == [[0, 90]]
    assert a.mix(b, b, shares=(0.5, 0.25, 0.25), n=40, rng=0).n == 40


def test_interval_covers_the_value_at_its_level():
    """False alarm 1e-6: misses <= binom.isf(1e-6, 4000, 0.1); detects a width without its 1/2 in the logarithm."""
    bandit = Bandit([[0.5, 0.4], [0.2, 0.9]], contexts=[0.3, 0.7])
    data = bandit.sample([[0.1, 0.2], [0.3, 0.4]], n=60, size=4000, rng=3)
    policy = [[0.5, 0.5], [0.0, 1.0]]
    interval = data.value(policy, contexts=bandit.contexts, delta=0.1)
    missed = (bandit.value(policy) < interval.low) | (bandit.value(policy) > interval.high)
    assert interval.level == 0.9
    assert missed.sum() <= binom.isf(1e-6, 4000, 0.1)


def test_interval_by_hand():
    data = BanditData([[400, 100]], [[200.0, 60.0]])
    interval = data.value([1], delta=0.05)
    half = math.sqrt(math.log(2 / 0.05) / 200)
    assert (interval.estimate, interval.low, interval.high) == pytest.approx((0.6, 0.6 - half, 0.6 + half))
    scaled = BanditData([[400, 100]], [[0.0, 20.0]], reward_range=(-1, 1)).value([1])
    assert (scaled.low, scaled.high) == pytest.approx((0.2 - 2 * half, 0.2 + 2 * half))
    sub_gaussian = BanditData([[4, 100]], [[0.0, 20.0]], reward_range=(-math.inf, math.inf)).value([1], sigma=0.5)
    assert sub_gaussian.high == pytest.approx(0.2 + half)


def test_pickles_from_before_the_interval_moved_still_load():
    assert pickle.loads(b"cpessimism.bandits._estimate\nValueInterval\n.") is ValueInterval


def test_what_was_never_logged_adds_its_whole_range():
    data = BanditData([[10, 0], [10, 10]], [[5.0, 0.0], [5.0, 10.0]])
    interval = data.value([1, 1], contexts=[0.5, 0.5])
    assert np.isnan(interval.estimate)
    assert interval.low < 0.5 < interval.high
    assert interval.high == 1.0
    unknown = data.value([1, 0], contexts=[1.0, 0.0])
    assert (unknown.low, unknown.high) == (0.0, 1.0)
    with_empty = BanditData([data.counts, data.counts * 0], [data.sums, data.sums * 0]).value([0, 0])
    assert with_empty.estimate[0] == data.value([0, 0]).estimate
    assert math.isnan(with_empty.estimate[1])
    assert (with_empty.low[1], with_empty.high[1]) == (0.0, 1.0)


def test_describe_says_which_intervals_deserve_trust():
    """By the policy's own pairs: rounds of the same worth are n / V."""
    log = BanditData([[60, 40], [0, 100]], [[30.0, 12.0], [0.0, 95.0]])
    assert "worth about 114 rounds of its own" in log.describe([1, 1])  # 200^2 / (100^2 / 40 + 100^2 / 100)
    assert "do not trust them, a pair it plays has 5 successes or failures" in log.describe([1, 1])
    assert "only `given_counts` says something" in log.describe([1, 0])
    single = BanditData([[60, 40]], [[30.0, 12.5]]).describe([1])
    assert "hold at every n: given_counts\n" in single
    assert "usable, 40 rounds or more" in single


def test_describe_names_what_the_log_cannot_tell():
    data = BanditData([[50, 0, 50], [0, 0, 0]], [[25.0, 0.0, 10.0], [0.0, 0.0, 0.0]])
    text = data.describe(policy=[2, 0])
    assert "100 rounds, 2 contexts, 3 arms" in text
    assert "the given policy: C* about 2" in text
    assert "1 context never met (first: 1)" in text
    assert "1 pair never pulled (first: context 0, arm 1)" in text
    assert "C* infinite (its arm was never pulled in context 0)" in data.describe(policy=[1, 0])
    assert "empty" in BanditData([[0, 0]], [[0.0, 0.0]]).describe()
    many = BanditData(np.arange(1, 41)[None], np.zeros((1, 40))).describe()
    assert "pulls from 1 (arm 0) to 40 (arm 39)" in many
    with pytest.raises(ValueError, match=r"pick one, as in data\[0\]"):
        BanditData([[[1, 2]]], [[[0.0, 0.0]]]).describe()


@pytest.mark.parametrize("n", [10**9, 2**52])
def test_logs_of_any_length_are_divided(n):
    """A third of each pair and of its ones, within six standard deviations: a false alarm in 1e8."""
    log = BanditData([[[n // 4, n - n // 4]]] * 2, [[[n // 8, 0]]] * 2, [[[n // 8, 0]]] * 2)
    part = log.subsample(n // 3, rng=0)
    assert part.n.tolist() == [n // 3] * 2
    for found, all_of_them in ((part.counts[..., 0], n // 4), (part.sums[..., 0], n // 8)):
        assert np.all(np.abs(found - all_of_them / 3) < 6 * np.sqrt(all_of_them * 2 / 9))
    assert log.mix(log, shares=(0.25, 0.75), n=n, rng=0).n.tolist() == [n] * 2


LOG = BanditData([[2, 3]], [[1.0, 3.0]], [[1.0, 3.0]])
LOGS = BanditData([[[2, 3]]] * 2, [[[1.0, 3.0]]] * 2)
BAD = [
    (lambda: BanditData([[-1, 2]], [[0, 0]]), ValueError, r"counts\[0, 0\] must be .* \[0, 2\*\*53\], got -1"),
    (lambda: BanditData([[1.5, 2]], [[0, 0]]), ValueError, r"counts\[0, 0\] must be a whole number"),
    (lambda: BanditData([[math.nan, 2]], [[0, 0]]), ValueError, r"counts\[0, 0\] must be a whole number"),
    (lambda: BanditData([[2**53, 2]], [[0, 0]]), ValueError, "counts must total at most 2"),
    (lambda: BanditData(np.array([[1, None]]), [[0, 0]]), TypeError, "counts must hold numbers, got dtype object"),
    (lambda: BanditData([1, 2], [0, 0]), ValueError, "counts must have shape"),
    (lambda: BanditData([[]], [[]]), ValueError, "at least one context and one arm"),
    (lambda: BanditData([[1, 2]], [[0, 0, 0]]), ValueError, r"sums must have the shape \(1, 2\) of counts"),
    (lambda: BanditData([[1, 2]], [[0, 2.001]]), ValueError, r"sums\[0, 1\] must be within counts x reward_range"),
    (lambda: BanditData([[1, 2]], [[-0.001, 0]]), ValueError, r"sums\[0, 0\] must be within counts"),
    (lambda: BanditData([[0, 2]], [[0.5, 0]]), ValueError, r"sums\[0, 0\] must be within counts"),
    (lambda: BanditData([[0, 2]], [[0.5, 0]], reward_range=(-math.inf, math.inf)), ValueError, r"sums\[0, 0\]"),
    (lambda: BanditData([[1, 2]], [[math.inf, 0]]), ValueError, r"sums\[0, 0\] must be finite"),
    (lambda: BanditData([[1, 2]], [[0, 0]], reward_range=(1, 1)), ValueError, "reward_range must be a pair low < high"),
    (lambda: BanditData([[1, 2]], [[0, 0]], reward_range=(1, math.nan)), ValueError, "reward_range"),
    (lambda: BanditData([[1, 2]], [[0, 0]], reward_range=3), ValueError, "reward_range must be a pair"),
    (lambda: BanditData([[1, 4]], [[1, 2]], [[1, 0.9]]), ValueError, r"squares\[0, 1\] must be what rewards"),
    (lambda: BanditData([[1, 4]], [[1, 2]], [[1, 2.1]]), ValueError, r"squares\[0, 1\] must be what rewards"),
    (lambda: BanditData([[1, 4]], [[0.5, 2]], [[0.3, 1]]), ValueError, r"squares\[0, 0\] must be what rewards"),
    (lambda: BanditData([[1, 4]], [[1, 2]], [[1]]), ValueError, "squares must have the shape"),
    (lambda: BanditData(np.array([[1, 4]], object), [[1, 2]]), TypeError, "counts must hold numbers, got dtype object"),
    (lambda: BanditData.from_log([0, 2], [0, 1], [0, 1], n_contexts=2), ValueError, r"contexts\[1\] must be"),
    (lambda: BanditData.from_log(None, [0, -1], [0, 1]), ValueError, r"arms\[1\] must be a whole number"),
    (
        lambda: BanditData.from_log(None, [0, 1], [0, 1.5]),
        ValueError,
        r"rewards\[1\] must be in reward_range \[0, 1\], got 1.5",
    ),
    (lambda: BanditData.from_log(None, [0, 1, 1], [0, 1]), ValueError, "arms must have the shape"),
    (lambda: BanditData.from_log(None, [[0], [1]], [[1], [0]]), ValueError, r"^rewards must .*, got \(2, 1\): columns"),
    (lambda: BanditData.from_log([[0]], [[1]], [[1]], n_arms=9), ValueError, r"as in rewards\[:, 0\], .*batch=\(1,\)"),
    (lambda: BanditData.from_log(None, [[[0]]], [[[1]]]), ValueError, r"rewards\[\.\.\., 0\], .*batch=\(1, 1\)"),
    (lambda: BanditData.from_log(None, [[0, 1]], [[0, 1]], batch=(2,)), ValueError, r"batch must be the axes \(1,\)"),
    (lambda: BanditData.from_log(None, [0], [0], batch="a"), TypeError, "batch must hold numbers"),
    (lambda: BanditData.from_log(None, [0], [0], n_arms=0), ValueError, r"n_arms must be a whole number in \[1"),
    (lambda: BanditData.from_log(None, [0], [0], n_arms=[2]), ValueError, "n_arms must be one number"),
    (lambda: BanditData.from_log(None, [0, 10**15], [0, 0]), ValueError, "labels must be positions 0, 1, 2"),
    (
        lambda: BanditData.from_log(None, [0, 0], [0, 1e200], reward_range=(-math.inf, math.inf)),
        ValueError,
        r"rewards\[1\] must be at most 1e\+150 in size",
    ),
    (lambda: LOG.merge(BanditData([[1]], [[0]])), ValueError, r"others\[0\] must have \(contexts, arms\)"),
    (lambda: LOG.merge(BanditData([[1, 1]], [[0, 0]], reward_range=(0, 2))), ValueError, "reward_range"),
    (lambda: LOG.merge(3), TypeError, r"others\[0\] must be a BanditData, got int"),
    (
        lambda: LOGS.merge(LOGS[:1], LOGS[[0, 1, 1]]),
        ValueError,
        r"the logs must have shapes that broadcast, got \(2,\)",
    ),
    (lambda: LOG.mix(LOG, shares=(0.5,)), ValueError, "shares must sum to 1"),
    (lambda: LOG.mix(LOG, shares=(1.0,)), ValueError, "shares must hold one number for each of 2 logs"),
    (lambda: LOG.mix(LOG, shares=(0.4, 0.6), n=10), ValueError, r"shares\[1\] = 0.6 asks log 1 for 6 rounds, it has 5"),
    (lambda: LOG.subsample(6), ValueError, "n must be at most the 5 rounds of the log, got 6"),
    (lambda: LOG.subsample([3, 4]), ValueError, r"n must be one number, got shape \(2,\)"),
    (lambda: BanditData([[3, 1]], [[1.5, 1.0]], [[1.5, 1.0]]).subsample(4), ValueError, "subsample needs rewards"),
    (lambda: BanditData([[2**53, 1]], [[0, 0]]), ValueError, "counts must total at most 2"),
    (lambda: BanditData([[1]], [[0]], reward_range=(-1e308, 1e308)), ValueError, "reward_range must be a pair"),
    (lambda: LOG.subsample(-1), ValueError, "n must be a whole number"),
    (lambda: BanditData([[2, 3]], [[1, 3]]).subsample(2), ValueError, "subsample needs rewards known to be 0 or 1"),
    (lambda: BanditData([[2, 3]], [[1, 2]], [[1, 1.5]]).subsample(2), ValueError, "subsample needs rewards"),
    (lambda: LOG.value([0], delta=0.0), ValueError, r"delta must be in \(0, 1\)"),
    (lambda: LOGS.value([[0]] * 3), ValueError, "data, contexts and policy must have shapes that broadcast"),
    (lambda: LOGS.value([0], contexts=[[1.0]] * 3), ValueError, "data, contexts and policy must have shapes"),
    (lambda: LOG.value([0], contexts=[0.5, 0.5]), ValueError, "contexts must have 1 entries"),
    (lambda: BanditData([[2, 3]], [[1, 3]], reward_range=(0, math.inf)).value([0]), ValueError, "sigma must be given"),
    (
        lambda: BanditData([[0, 0]], [[0, 0]]).describe([7]),
        ValueError,
        r"policy\[0\] must be a whole number in \[0, 1\]",
    ),
    (lambda: LOG.describe([[0.5, 0.5]]), ValueError, "policy must be one arm per context"),
    (lambda: LOG.restrict([]), ValueError, "arms must keep at least one of 2 arms, got none"),
    (lambda: LOG.restrict([False, False]), ValueError, "arms must keep at least one of 2 arms, got none"),
    (lambda: LOG.restrict([True]), ValueError, r"a mask of shape \(2,\), got \(1,\)"),
    (lambda: LOG.restrict(1), ValueError, r"arms must be positions, of shape \(k,\), or a mask"),
    (lambda: LOG.restrict([0, 2]), ValueError, r"arms\[1\] must be a whole number in \[0, 1\], got 2"),
    (lambda: LOG.restrict([1, -1]), ValueError, r"arms\[1\] must be a whole number in \[0, 1\], got -1"),
    (lambda: LOG.restrict([1, 0, 1]), ValueError, r"arms\[2\] must be named once, got 1"),
    (lambda: LOG.restrict(["a"]), TypeError, "arms must hold numbers"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_input_is_one_error_that_names_it(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("arms", [[3], [2, 0], [0, 1, 2, 3], [True, False, False, True]])
def test_restricting_is_filtering_the_rounds_before_they_are_counted(arms):
    rng = np.random.default_rng(4)
    context, arm, reward = rng.integers(3, size=50), rng.integers(4, size=50), rng.random(50)
    log = BanditData.from_log(context, arm, reward, n_contexts=3, n_arms=4)
    kept = np.flatnonzero(arms) if isinstance(arms[0], bool) else np.array(arms)
    at = np.isin(arm, kept)
    place = np.argsort(kept)[np.searchsorted(np.sort(kept), arm[at])]
    filtered = BanditData.from_log(context[at], place, reward[at], n_contexts=3, n_arms=len(kept))
    found = log.restrict(arms)
    same(found, filtered)
    assert found.counts.flags.c_contiguous
    assert log.n - found.n == np.sum(~at)


def test_a_batch_without_squares_is_restricted_too():
    kept = LOGS.restrict([1])
    assert kept.shape == LOGS.shape
    assert np.array_equal(kept.counts[..., 0], LOGS.counts[..., 1])
    assert BanditData([[2, 3]], [[1, 3]], reward_range=(-1, 5)).restrict([1]).squares is None


def test_rounded_sums_of_real_logs_are_accepted():
    rewards = np.full(10**5, 0.1)
    data = BanditData.from_log(None, np.zeros(10**5, int), rewards, reward_range=(0.0, 0.1))
    BanditData(data.counts, data.sums, data.squares, (0.0, 0.1))


def test_arrays_are_owned():
    counts = np.array([[1, 2]])
    data = BanditData(counts, [[0.0, 0.0]])
    counts[0, 0] = 7
    assert data.counts[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        data.counts[0, 0] = 7


def test_squares_may_have_been_taken_in_float32():
    rewards = np.random.default_rng(1).random((1, 1000), np.float32)
    data = BanditData(np.ones((1, 1000), int), rewards, rewards * rewards)
    assert np.array_equal(data.squares, rewards * rewards)
