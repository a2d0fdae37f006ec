"""Exact risks against every log written out in fractions, at large n against their leading terms; bounds on risk."""

import itertools
import math
from fractions import Fraction
from functools import partial

import numpy as np
import pytest

from pessimism.bandits import Bandit, BanditData, bounds, estimators, intervals, risk

LAW = np.array([[0.1, 0.2], [0.3, 0.4]])
POLICY = np.array([[0.3, 0.7], [0.0, 1.0]])
RHO = np.array([0.5, 0.5])
MODEL = np.array([[0.9, 0.1], [0.4, 0.7]])
checks = pytest.mark.checks

AVERAGES = {
    "ips": estimators.ips,
    "clipped": partial(estimators.clipped, cap=1.1),
    "switch": partial(estimators.switch, model=MODEL, threshold=1.2),
    "doubly_robust": partial(estimators.doubly_robust, model=MODEL),
    "switch_doubly_robust": partial(estimators.switch_doubly_robust, model=MODEL, threshold=1.2),
    "shrunk_doubly_robust": partial(estimators.shrunk_doubly_robust, model=MODEL, shrinkage=2.0),
    "implicit_exploration": partial(estimators.implicit_exploration, gamma=0.2),
    "log_smoothing": partial(estimators.log_smoothing, smoothing=0.3),
    "lumped": partial(estimators.lumped, groups=[0, 0]),
}


def fractions(text):
    return [Fraction(x) for x in text.split()]


def by_hand(n, mu, r, estimate):
    """Mean and variance of `estimate(counts, sums)` over all sequences of n rounds, in fractions."""
    cells = list(itertools.product(range(len(mu)), (0, 1)))
    first = second = Fraction(0)
    for log in itertools.product(cells, repeat=n):
        chance, counts, sums = Fraction(1), [0] * len(mu), [0] * len(mu)
        for x, y in log:
            chance *= mu[x] * (r[x] if y else 1 - r[x])
            counts[x] += 1
            sums[x] += y
        value = estimate(counts, sums)
        first += chance * value
        second += chance * value**2
    return first, second - first**2


def test_the_worked_example_in_fractions():
    """Three arms, n = 4: direct with fill 0, importance sampling, self-normalised, doubly robust."""
    n = 4
    mu, r = fractions("1/2 1/5 3/10"), fractions("1/3 3/4 1/2")
    d, q = fractions("1/5 3/5 1/5"), fractions("1/2 1/2 1/4")
    w, value = [x / y for x, y in zip(d, mu, strict=True)], sum(x * y for x, y in zip(d, r, strict=True))

    def dot(x, y):
        return sum(a * b for a, b in zip(x, y, strict=True))

    def corrected(c, s):
        return dot(d, q) + dot(w, [k - a * m for k, a, m in zip(s, q, c, strict=True)]) / n

    plain = {
        "direct": lambda c, s: sum(x * Fraction(k, m) for x, k, m in zip(d, s, c, strict=True) if m),
        "ips": lambda c, s: dot(w, s) / n,
        "snips": lambda c, s: dot(w, s) / dot(w, c),
        "doubly_robust": lambda c, s: (
            dot(d, q) + (dot(w, s) - sum(a * b * m for a, b, m in zip(w, q, c, strict=True))) / n
        ),
    }
    world, law, pi = Bandit([[float(x) for x in r]]), [[float(x) for x in mu]], [[float(x) for x in d]]
    model = [[float(x) for x in q]]
    ours = {
        "direct": [
            risk.direct_risk(world, pi, law, n=n, fill=0.0, contexts=[1.0]),
            risk.exact_risk(partial(estimators.direct, fill=0.0), world, pi, law, n=n),
        ],
        "ips": [risk.average_risk(estimators.ips, world, pi, law, n=n)],
        "snips": [risk.ratio_risk(world, pi, law, n=n), risk.exact_risk(estimators.snips, world, pi, law, n=n)],
        "doubly_robust": [risk.average_risk(partial(estimators.doubly_robust, model=model), world, pi, law, n=n)],
    }
    for name, found in ours.items():
        mean, variance = by_hand(n, mu, r, plain[name])
        for each in found:
            assert each.bias == pytest.approx(float(mean - value), rel=1e-11, abs=1e-14)
            assert each.variance == pytest.approx(float(variance), rel=1e-11)


def agree(one, other):
    for field in ("bias", "variance", "undefined"):
        assert getattr(one, field) == pytest.approx(getattr(other, field), rel=1e-10, abs=1e-13)


WORLDS = Bandit(np.random.default_rng(1).random((4, 2, 2)))


@pytest.mark.parametrize("contexts", [None, RHO], ids=["logged", "known"])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_closed_forms_equal_enumeration(n, contexts):
    """A batch of worlds, two contexts of unequal shares, an arm that the policy never plays."""
    for estimator in AVERAGES.values():
        args = (estimator, WORLDS, POLICY, LAW)
        agree(risk.average_risk(*args, n=n, contexts=contexts), risk.exact_risk(*args, n=n, contexts=contexts))
    filled = partial(estimators.direct, fill=MODEL)
    closed = risk.direct_risk(WORLDS, POLICY, LAW, n=n, fill=MODEL, contexts=contexts)
    agree(closed, risk.exact_risk(filled, WORLDS, POLICY, LAW, n=n, contexts=contexts))
    closed = risk.ratio_risk(WORLDS, POLICY, LAW, n=n, contexts=contexts)
    assert closed.undefined == pytest.approx(0.3**n)
    agree(closed, risk.exact_risk(estimators.snips, WORLDS, POLICY, LAW, n=n, contexts=contexts))


def test_cross_fitting_equals_enumeration_of_both_folds():
    world, pi, law = Bandit([[1 / 3, 3 / 4]]), [[0.3, 0.7]], [[0.6, 0.4]]
    mean = second = 0.0
    first, last = risk.every_log(2, 1, 2), risk.every_log(3, 1, 2)
    chances = [np.exp(risk.log_probability(logs, world, law)) for logs in (first, last)]
    for i, chance in enumerate(chances[0]):
        alone = BanditData(*(np.broadcast_to(x[i], last.counts.shape) for x in (first.counts, first.sums)))
        folds = [alone, last]
        estimate = estimators.cross_fit(folds, pi, law, fill=[[0.2, 0.9]], contexts=[1.0])
        mean += chance * (chances[1] @ estimate)
        second += chance * (chances[1] @ estimate**2)
    found = risk.cross_fit_risk(world, pi, law, n=(2, 3), fill=[[0.2, 0.9]], contexts=[1.0])
    assert mean == pytest.approx(0.3 / 3 + 0.7 * 0.75, rel=1e-12)
    assert found.variance == pytest.approx(second - mean**2, rel=1e-10)


def test_large_n_follows_the_leading_terms():
    """At n = 10^12, where uncentred moments would be noise."""
    n, world = 10**12, Bandit([[1 / 3, 3 / 4, 1 / 2]])
    mu, d, r = np.array([0.5, 0.2, 0.3]), np.array([0.2, 0.6, 0.2]), world.means[0]
    w, v, c = d / mu, r * (1 - r), r - d @ r
    found = risk.ratio_risk(world, [d], [mu], n=n)
    assert n * found.variance == pytest.approx((mu * w**2 * (v + c**2)).sum(), rel=1e-9)
    assert n * found.bias == pytest.approx(-(mu * w**2 * c).sum(), rel=1e-9)
    assert n * risk.direct_risk(world, [d], [mu], n=n, fill=0.5).variance == pytest.approx((d * w * v).sum(), rel=1e-9)


@pytest.mark.parametrize("n", [4096, 4097])
@pytest.mark.parametrize("p", [1e-4, 0.3, 1 - 1e-9])
def test_mean_of_inverse_counts_is_the_binomial_sum(n, p):
    """On both sides of the switch from recursion to integral."""
    from scipy.stats import binom

    from pessimism.bandits._engine.risk import mean_inverse

    k = np.arange(1, n + 1)
    assert mean_inverse(n, np.array([p]))[0] == pytest.approx((binom.pmf(k, n, p) / k).sum(), rel=1e-9)


@pytest.mark.parametrize(("size", "zero", "lucky"), [(10, 0.334, 0.334), (100, 0.457, 0.422)])
def test_many_contexts_cost_the_direct_method_and_not_the_weights(size, zero, lucky):
    """n MSE at n = 1000 with uniform contexts; the fill .6 equals the answer, which no data told it."""
    means = np.where(np.arange(size)[:, None] < size // 2, 0.8, 0.4) * np.ones((size, 2))
    world, law, pi = Bandit(means), np.full((size, 2), 0.5 / size), np.tile([0.9, 0.1], (size, 1))
    known = {"contexts": world.contexts}
    for fill, expected in ((0.0, zero), (0.6, lucky)):
        found = risk.direct_risk(world, pi, law, n=1000, fill=fill, **known)
        assert 1000 * found.mse == pytest.approx(expected, abs=6e-4)
    assert 1000 * risk.average_risk(estimators.ips, world, pi, law, n=1000, **known).mse == pytest.approx(
        0.624, abs=6e-4
    )
    assert 1000 * risk.ratio_risk(world, pi, law, n=1000, **known).mse == pytest.approx(0.394, abs=6e-4)


def test_gaussian_and_deterministic_rewards_have_their_own_variance():
    world = Bandit([[0.4, 1.5]], rewards="gaussian", scale=2.0)
    found = risk.average_risk(estimators.ips, world, [1], [[0.75, 0.25]], n=10)
    assert 10 * found.variance == pytest.approx(4.0 * (4.0 + 1.5**2) - 1.5**2)
    still = risk.average_risk(estimators.ips, Bandit([[0.4, 0.5]], rewards="deterministic"), [1], [[0.75, 0.25]], n=10)
    assert 10 * still.variance == pytest.approx(4.0 * 0.25 - 0.25)


INTERVALS = {
    "normal": (intervals.normal_ips, 0.2214, 0.141),
    "wilson": (intervals.wilson, 0.9737, 0.787),
    "clopper_pearson": (intervals.clopper_pearson, 0.9979, 0.783),
    "empirical_bernstein": (intervals.empirical_bernstein, 1.0, 1.0),
}


@pytest.mark.parametrize("name", INTERVALS)
def test_exact_coverage_of_intervals_for_one_arm(name):
    """95 %, C* = 20 and r = .05: whatever is asymptotic ends at the chance of a success."""
    interval, coverage, width = INTERVALS[name]
    found = risk.coverage_probability(interval, Bandit([[0.05, 0.5]]), [0], [[0.05, 0.95]], n=100)
    assert found.probability == pytest.approx(coverage, abs=6e-5)
    assert found.width == pytest.approx(width, abs=6e-4)


def test_smallest_coverage_over_a_grid_of_means():
    r = np.linspace(0.05, 0.95, 19)
    worlds = Bandit(np.stack([r, np.full(19, 0.5)], axis=-1)[:, None, :])
    for interval, expected in (
        (intervals.normal_ips, 0.681),
        (intervals.normal_snips, 0.842),
        (intervals.normal_direct, 0.607),
        (intervals.given_counts, 0.997),
    ):
        found = risk.coverage_probability(interval, worlds, [[0.7, 0.3]], [[0.25, 0.75]], n=20)
        assert found.probability.min() == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize("name", ["hoeffding", "empirical_bernstein", "implicit_exploration", "log_smoothing"])
def test_guarantees_hold_at_every_n(name):
    """The worst of a grid of worlds at n = 3, where every log is one of 364."""
    options = {"implicit_exploration": {"gamma": 0.3}, "log_smoothing": {"smoothing": 0.6}}.get(name, {})
    interval = partial(getattr(intervals, name), delta=0.25, **options)
    grid = np.array(list(itertools.product([0.02, 0.5, 0.98], repeat=4))).reshape(-1, 2, 2)
    for contexts in (None, RHO):
        found = risk.coverage_probability(interval, Bandit(grid), POLICY, LAW, n=3, contexts=contexts)
        assert found.probability.min() >= 0.75
        assert np.all(found.undefined == 0)


def test_log_smoothing_is_the_sharper_lower_limit():
    data = risk.every_log(6, 1, 2)
    by_weights = partial(intervals.implicit_exploration, data, [1], [[0.8, 0.2]], delta=0.05)
    by_logs = partial(intervals.log_smoothing, data, [1], [[0.8, 0.2]], delta=0.05)
    for gamma in (0.05, 0.5):
        assert np.all(by_logs(smoothing=2 * gamma).low >= by_weights(gamma=gamma).low - 1e-12)


@checks("bandits.value_efficiency")
@pytest.mark.parametrize("contexts", [None, RHO], ids=["logged", "known"])
def test_direct_attains_the_efficiency_bound(contexts):
    n, world = 10**8, Bandit([[0.2, 0.9], [0.7, 0.6]])
    found = risk.direct_risk(world, POLICY, LAW, n=n, fill=0.5, contexts=contexts)
    assert found.mse == pytest.approx(bounds.value_efficiency(world, POLICY, LAW, n, contexts=contexts), rel=1e-5)


@checks("bandits.value_missing_mass")
def test_missing_mass_is_attained_by_a_fill_of_one_half():
    """One pair of small weight: both worlds, in which it pays 0 or 1, cost the same."""
    law, d = [[0.95, 0.05]], [[0.0, 1.0]]
    for r in (0.0, 1.0):
        found = risk.direct_risk(Bandit([[0.0, r]], rewards="deterministic"), d, law, n=40, fill=0.5)
        assert found.mse == pytest.approx(bounds.value_missing_mass(d, law, 40), rel=1e-9)


@checks("bandits.value_van_trees")
def test_van_trees_is_sharp_to_leading_order():
    """Target one arm in ten of the behavior's; at n = 100 the direct method's worst risk is 4.2 times as large."""
    n, law = 10**10, [[0.9, 0.1]]
    worst = risk.direct_risk(Bandit([[0.5, 0.5]]), [1], law, n=n, fill=0.5).mse
    assert worst == pytest.approx(bounds.value_van_trees(n, 10.0, 10.0), rel=4e-4)
    assert bounds.value_van_trees(100, 10.0, 10.0) == pytest.approx(0.00629, rel=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: risk.average_risk(estimators.snips, w, POLICY, LAW, n=3), "must be an average of terms"),
        (lambda w: risk.average_risk(estimators.ips, w, POLICY, LAW, n=0), "n must be"),
        (lambda w: risk.exact_risk(lambda d, p, b: np.zeros(3), w, POLICY, LAW, n=2), "one number for each of 36 data"),
        (lambda w: risk.ratio_risk(w, [1, 1], [[0.5, 0.0], [0.25, 0.25]], n=2), "never plays arm 1 in context 0"),
        (lambda w: risk.direct_risk(w, [1, 1], np.full((2, 2), 0.5), n=2, fill=0.0), "one law for each context"),
        (lambda w: risk.every_log(60, 2, 2), "more than 3,000,000"),
        (lambda w: risk.cross_fit_risk(w, POLICY, LAW, n=5, fill=0.5, contexts=RHO), "n must be a pair"),
        (lambda w: intervals.hoeffding(risk.every_log(1, 2, 2), POLICY), "behavior must be given to hoeffding"),
        (lambda w: intervals.wilson(risk.every_log(1, 2, 2), [0, 0]), "must have one context for wilson"),
        (lambda w: intervals.normal_ips(risk.every_log(1, 2, 2), POLICY, LAW, delta=1.0), r"delta must be in \(0, 1\)"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call(Bandit([[0.2, 0.9], [0.7, 0.6]]))


def test_overlap_is_read_first():
    data = BanditData([[30, 10], [0, 60]], np.zeros((2, 2)))
    seen = intervals.overlap(data, [1, 0])
    assert math.isinf(seen.largest)
    assert seen.unsupported.tolist() == [[False, False], [True, False]]
    known = intervals.overlap(data, [1, 1], [[0.25, 0.25], [0.1, 0.4]])
    assert known.largest == 2.0
    assert known.second_moment == pytest.approx(0.5**2 / 0.25 + 0.5**2 / 0.4)
    assert known.mean_weight == pytest.approx((10 * 2 + 60 * 1.25) / 100)
