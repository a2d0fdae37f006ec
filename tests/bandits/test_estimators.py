"""Estimators against plain loops over rounds, the identities between them, and refusals."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pessimism.bandits import Bandit, BanditData, PropensityData, behavior, estimators
from tests import obp

PERFECT = np.array([[300, 294, 6], [100, 100, 200]])
MEANS = np.array([[1 / 3, 1 / 2, 5 / 6], [1 / 4, 3 / 5, 1 / 8]])
POLICY = np.array([[0.2, 0.0, 0.8], [0.5, 0.3, 0.2]])
MODEL = np.array([[0.2, 0.3, 0.4], [0.5, 0.6, 0.7]])
RHO = np.array([0.3, 0.7])
EMPTY = BanditData(np.zeros((2, 2), int), np.zeros((2, 2)))

EXACT_ON_PERFECT = {
    "direct": estimators.direct,
    "ips": estimators.ips,
    "per_context_ips": estimators.per_context_ips,
    "snips": estimators.snips,
    "clipped": partial(estimators.clipped, cap=80.0),
    "switch": partial(estimators.switch, model=MODEL, threshold=80.0),
    "doubly_robust": partial(estimators.doubly_robust, model=MODEL),
    "switch_doubly_robust": partial(estimators.switch_doubly_robust, model=MODEL, threshold=80.0),
}


@pytest.mark.parametrize("known", [True, False], ids=["known", "estimated"])
@pytest.mark.parametrize("name", EXACT_ON_PERFECT)
def test_a_perfect_log_gives_the_value(name, known):
    """Counts n mu and sums n mu r: the largest weight is 80, the arm of weight 0 was logged."""
    data = BanditData(PERFECT, PERFECT * MEANS)
    law = PERFECT / 1000 if known else None
    assert EXACT_ON_PERFECT[name](data, POLICY, law) == pytest.approx(0.572, rel=1e-12)
    anew = (RHO[:, None] * POLICY * MEANS).sum()
    if name not in ("clipped", "switch", "switch_doubly_robust"):  # their limits are on other weights then
        assert EXACT_ON_PERFECT[name](data, POLICY, law, contexts=RHO) == pytest.approx(anew, rel=1e-12)


def rounds(seed, n=60, contexts=2, arms=3):
    rng = np.random.default_rng(seed)
    laws = rng.dirichlet(np.ones(arms), size=n)
    s, a = rng.integers(contexts, size=n), np.array([rng.choice(arms, p=law) for law in laws])
    return s, a, rng.random(n).round(3), laws[np.arange(n), a], rng.dirichlet(np.ones(arms), size=(2, contexts))


BY_ROUND = {
    "ips": (estimators.ips, lambda w, r, p, v, q: (w * r).mean()),
    "snips": (estimators.snips, lambda w, r, p, v, q: (w * r).sum() / w.sum()),
    "clipped": (partial(estimators.clipped, cap=1.5), lambda w, r, p, v, q: (np.minimum(w, 1.5) * r).mean()),
    "implicit_exploration": (
        partial(estimators.implicit_exploration, gamma=0.1),
        lambda w, r, p, v, q: (w * p / (p + 0.1) * r).mean(),
    ),
    "log_smoothing": (
        partial(estimators.log_smoothing, smoothing=0.3),
        lambda w, r, p, v, q: (np.log(1 + 0.3 * w * r) / 0.3).mean(),
    ),
    "doubly_robust": (
        partial(estimators.doubly_robust, model=MODEL),
        lambda w, r, p, v, q: (v + w * (r - q)).mean(),
    ),
    "switch_doubly_robust": (
        partial(estimators.switch_doubly_robust, model=MODEL, threshold=1.5),
        lambda w, r, p, v, q: (v + w * (w <= 1.5) * (r - q)).mean(),
    ),
    "shrunk_doubly_robust": (
        partial(estimators.shrunk_doubly_robust, model=MODEL, shrinkage=2.0),
        lambda w, r, p, v, q: (v + 2 * w / (w**2 + 2) * (r - q)).mean(),
    ),
}


@pytest.mark.parametrize("name", BY_ROUND)
@pytest.mark.parametrize("seed", range(3))
def test_stated_propensities_give_what_a_loop_over_rounds_gives(name, seed):
    s, a, r, p, policies = rounds(seed)
    estimator, plain = BY_ROUND[name]
    log = PropensityData.from_log(s, a, r, p, n_contexts=2, n_arms=3)
    expected = [plain(pi[s, a] / p, r, p, (pi * MODEL).sum(axis=1)[s], MODEL[s, a]) for pi in policies]
    assert estimator(log, policies) == pytest.approx(expected, rel=1e-12)
    halves = [
        PropensityData.from_log(s[k], a[k], r[k], p[k], n_contexts=2, n_arms=3) for k in (slice(25), slice(25, 60))
    ]
    assert estimator(halves[0].merge(halves[1]), policies) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("threshold", [0.5, 1.0, 2.0, 3.0])
def test_a_weight_equal_to_the_threshold_is_used(threshold):
    """Also where pi / p and pi / threshold round differently."""
    p = np.repeat([0.1, 0.2, 0.3, 0.7, 0.25, 1 / 3], 3)
    log = PropensityData.from_log(None, np.zeros(18, int), np.ones(18), p, n_arms=2)
    for chance in (0.1, 0.3, 0.6, 0.7, 0.9, 1.0):
        w, pi = chance / p, [[chance, 1.0 - chance]]
        found = estimators.switch_doubly_robust(log, pi, model=0.0, threshold=threshold)
        assert found == pytest.approx((w * (w <= threshold)).mean(), rel=1e-12)


def test_table_and_rounds_agree_where_propensities_do_not_move():
    law = np.array([[0.1, 0.3, 0.1], [0.2, 0.1, 0.2]])
    s, a, r = Bandit(MEANS).sample_log(law, n=300, rng=1)
    p = (law / law.sum(axis=1, keepdims=True))[s, a]
    data, log = BanditData.from_log(s, a, r, n_contexts=2, n_arms=3), PropensityData.from_log(s, a, r, p)
    for estimator, _ in BY_ROUND.values():
        assert estimator(data, POLICY, law) == pytest.approx(estimator(log, POLICY), rel=1e-12)
    here = estimators.per_context_ips(data, POLICY, law, contexts=RHO)
    assert here == pytest.approx(estimators.per_context_ips(log, POLICY, contexts=RHO), rel=1e-12)
    assert here == pytest.approx(sum(RHO[k] * (POLICY[s, a] / p * r)[s == k].mean() for k in (0, 1)), rel=1e-12)


@st.composite
def seen_logs(draw):
    """Logs in which every pair has a round."""
    counts = np.array(draw(st.lists(st.integers(1, 9), min_size=6, max_size=6))).reshape(2, 3)
    hits = np.array([draw(st.integers(0, int(c))) for c in counts.ravel()], float).reshape(2, 3)
    return BanditData(counts, hits, hits)


@given(seen_logs(), st.floats(0.05, 0.95))
def test_identities_with_the_empirical_law(data, q):
    direct = estimators.direct(data, POLICY)
    assert estimators.ips(data, POLICY) == pytest.approx(direct, rel=1e-9)
    assert estimators.snips(data, POLICY) == pytest.approx(direct, rel=1e-9)
    assert estimators.doubly_robust(data, POLICY, model=q) == pytest.approx(direct, rel=1e-9)
    law = np.array([[0.1, 0.3, 0.1], [0.2, 0.1, 0.2]])
    own = estimators.doubly_robust(data, POLICY, law, model=data.means)
    assert own == pytest.approx(direct, rel=1e-9)


@given(st.lists(st.integers(1, 9), min_size=3, max_size=3), st.integers(0, 2), st.floats(0.01, 1.0))
def test_identities_of_one_context(counts, arm, gamma):
    hits = np.array(counts, float) / 2
    data, law = BanditData([counts], [hits]), [[0.2, 0.3, 0.5]]
    mean = float(data.means[0, arm])
    assert estimators.snips(data, [arm], law) == pytest.approx(mean, rel=1e-9)
    n, pulls = sum(counts), counts[arm]
    shrunk = mean * pulls / (pulls + gamma * n)
    assert estimators.implicit_exploration(data, [arm], gamma=gamma) == pytest.approx(shrunk, rel=1e-9)
    average = hits.sum() / n
    for estimator in (estimators.ips, estimators.snips):
        assert estimator(data, law, law) == pytest.approx(average, rel=1e-9)


def test_limits():
    data, law = BanditData(PERFECT, PERFECT * MEANS), np.array([[0.1, 0.3, 0.1], [0.2, 0.1, 0.2]])
    given_model = estimators.direct(BanditData(PERFECT, PERFECT * MODEL), POLICY)
    ips, robust = estimators.ips(data, POLICY, law), estimators.doubly_robust(data, POLICY, law, model=MODEL)
    shrunk = partial(estimators.shrunk_doubly_robust, data, POLICY, law, model=MODEL)
    for found, limit in (
        (estimators.clipped(data, POLICY, law, cap=1e9), ips),
        (estimators.implicit_exploration(data, POLICY, law, gamma=1e-12), ips),
        (estimators.switch(data, POLICY, law, model=MODEL, threshold=1e9), ips),
        (estimators.switch(data, POLICY, law, model=MODEL, threshold=1e-9), given_model),
        (shrunk(shrinkage=1e12), robust),
        (shrunk(shrinkage=1e-12), given_model),
        (estimators.shrunken(data, POLICY, strength=1e-9, center=0.5), estimators.direct(data, POLICY)),
        (estimators.lumped(data, POLICY, law, groups=[0, 1, 2]), ips),
    ):
        assert found == pytest.approx(limit, rel=1e-6)


def test_groups_serve_arms_that_were_never_played():
    data = BanditData([[0, 5, 10]], [[0.0, 2.0, 3.0]])
    law = [[0.0, 1 / 3, 2 / 3]]
    assert estimators.lumped(data, [0], law, groups=[0, 0, 1]) == pytest.approx(2.0 / 15 * 3, rel=1e-12)
    with pytest.raises(ValueError, match="group that the policy plays: not that of arm 0 in context 0"):
        estimators.lumped(data, [0], law, groups=[0, 1, 1])


def test_unseen_pairs():
    data = BanditData([[3, 0], [0, 0]], [[1.5, 0.0], [0.0, 0.0]])
    assert estimators.direct(data, [0, 0]) == 0.5  # the second context was never met and does not count
    assert np.isnan(estimators.direct(data, [1, 0]))
    assert estimators.direct(data, [1, 0], fill=[[0.1, 0.2], [0.3, 0.4]]) == pytest.approx(0.2)
    known = estimators.direct(data, [1, 0], fill=[[0.1, 0.2], [0.3, 0.4]], contexts=[0.5, 0.5])
    assert known == pytest.approx(0.5 * 0.2 + 0.5 * 0.3)
    for estimator in (estimators.ips, estimators.snips, partial(estimators.clipped, cap=2.0)):
        assert np.isnan(estimator(data, [1, 0]))
        assert np.isnan(estimator(BanditData([[0, 0], [0, 0]], np.zeros((2, 2))), [0, 0], np.full((2, 2), 0.25)))
    assert np.isnan(estimators.per_context_ips(data, [0, 0], np.full((2, 2), 0.25), contexts=[0.5, 0.5]))
    assert estimators.switch(data, [1, 0], model=0.25, threshold=9.0) == 0.25


def test_batches_are_single_data_sets():
    data = Bandit(MEANS).sample(np.full((2, 3), 1 / 6), n=50, size=(4, 2), rng=0)
    log_smoothing = partial(estimators.log_smoothing, smoothing=0.5)
    folds = data.folds(3, rng=1)
    assert sum(fold.counts for fold in folds).tolist() == data.counts.tolist()
    assert [int(fold.n.flat[0]) for fold in folds] == [17, 17, 16]
    law = np.full((2, 3), 1 / 6)
    for estimator in (*EXACT_ON_PERFECT.values(), log_smoothing):
        whole = estimator(data, POLICY, law)
        assert whole.shape == (4, 2)
        assert whole[2, 1] == pytest.approx(float(estimator(data[2, 1], POLICY, law)), rel=1e-12)
    crossed = estimators.cross_fit(folds, POLICY, law, fill=0.5)
    assert crossed[1, 0] == pytest.approx(estimators.cross_fit([f[1, 0] for f in folds], POLICY, law, fill=0.5))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: estimators.ips(d, [0, 0], np.full((2, 2), 0.5)), "each of its rows sums to 1: one law for each"),
        (lambda d: estimators.ips(d, [1, 0], [[0.5, 0], [0.25, 0.25]]), "never plays arm 1 in context 0"),
        (lambda d: estimators.ips(d, [1, 0], [[0, 0.5], [0.25, 0.25]]), "it is 0 at context 0, arm 0"),
        (lambda d: estimators.ips(d, [2, 0], np.full((2, 2), 0.25)), r"policy\[0\]"),
        (lambda d: estimators.clipped(d, [0, 0], cap=0.0), "cap must be positive"),
        (lambda d: estimators.switch(d, [0, 0], model=0.5, threshold=-1.0), "threshold must be positive"),
        (lambda d: estimators.doubly_robust(d, [0, 0], model=[[1.0, 2.0, 3.0]] * 2), "model must have shape"),
        (lambda d: estimators.direct(d, [0, 0], fill=2.0), "fill.* must be in reward_range"),
        (lambda d: estimators.cross_fit([d], [0, 0], fill=0.5), "folds must be at least 2 logs"),
        (
            lambda d: estimators.cross_fit(
                [d, d[:0] if d.shape else BanditData([[0, 0]] * 2, [[0, 0.0]] * 2)], [0, 0], fill=0.5
            ),
            r"folds\[1\] must not be empty",
        ),
        (lambda d: estimators.log_smoothing(d, [0, 0], smoothing=1.0), "known to be 0 or 1"),
        (lambda d: PropensityData.from_log(None, [0], [1.0], [-0.7], batch=()), "are they logarithms"),
        (
            lambda d: PropensityData.from_log(None, [0, 0], [1.0, 0.0], [0.5, 1.5]),
            r"propensities\[1\] must be in \(0, 1\]",
        ),
        (lambda d: behavior.from_conditional([[0.5, 0.4]], [1.0]), "conditional.* must sum to 1"),
    ],
)
def test_refusals_name_argument_place_and_expectation(call, message):
    data = BanditData([[3, 0], [2, 2]], [[1.0, 0.0], [1.5, 1.0]])
    with pytest.raises(ValueError, match=message):
        call(data)


def test_what_is_no_list_of_folds_is_named():
    data, other = BanditData([[3, 1]], [[1.0, 0.0]]), BanditData([[3]], [[1.0]])
    with pytest.raises(TypeError, match=r"folds must be a sequence.*divide it with folds\(k\)"):
        estimators.cross_fit(data, [0], fill=0.5)
    with pytest.raises(ValueError, match=r"folds\[1\] must have the contexts, arms and reward_range of folds\[0\]"):
        estimators.cross_fit([data, other], [0], fill=0.5)
    with pytest.raises(TypeError, match="fill must hold numbers"):
        estimators.direct(data, [0], fill="x")
    with pytest.raises(TypeError, match="switch_doubly_robust takes them"):
        estimators.switch(PropensityData.from_log(None, [0, 0], [1, 0], [0.5, 0.5]), [0], model=0.5, threshold=1.0)


def test_infinite_ranges_have_no_lower_bounds():
    data = BanditData([[3]], [[1.0]], reward_range=(-np.inf, np.inf))
    with pytest.raises(ValueError, match="finite reward_range for implicit_exploration"):
        estimators.implicit_exploration(data, [0], gamma=0.1)
    assert estimators.ips(data, [0], [[1.0]]) == pytest.approx(1 / 3)


def test_propensity_data_print_save_and_load(tmp_path):
    s, a, r, p, policies = rounds(5)
    log = PropensityData.from_log(s, a, r, p)
    assert "rounds=kept" in repr(log)
    again = PropensityData.load(log.save(tmp_path / "log"))
    assert estimators.clipped(again, policies, cap=1.5).tolist() == estimators.clipped(log, policies, cap=1.5).tolist()
    small = PropensityData.from_log(s, a, r, p, keep_rounds=False)
    assert estimators.snips(small.merge(small), policies) == pytest.approx(estimators.snips(log, policies), rel=1e-12)
    with pytest.raises(ValueError, match="clipped needs the rounds themselves"):
        estimators.clipped(small, policies, cap=1.5)
    inverse = np.where(log.counts > 0, log.counts, np.nan) / log.stated
    assert np.nan_to_num(inverse) == pytest.approx(log.inverse)


def test_the_open_bandit_pipeline_computes_the_same_numbers():
    s, a, r, p, policy, model = obp.log(2000)
    theirs = obp.calls(obp.estimators(), s, a, r, p, policy, model)
    own = obp.ours(PropensityData.from_log(s, a, r, p, n_contexts=3, n_arms=80), policy, model)
    assert set(own) == set(theirs)
    for name, estimate in theirs.items():
        assert own[name]() == pytest.approx(estimate(), rel=1e-12)
