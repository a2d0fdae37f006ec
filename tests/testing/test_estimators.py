"""`check_estimator`: every mistake by its own name, no right estimator accused, nor the Open Bandit Pipeline's."""

import re
from functools import partial

import numpy as np
import pytest
from hypothesis import settings
from scipy import stats

from pessimism.bandits import BanditData, estimators, intervals
from pessimism.testing import EstimatorError, check_estimator, check_interval, from_rows
from tests import obp
from tests.testing import wrong_estimators as wrong

EXAMPLES = 1000 if settings.default.max_examples > 1000 else 20
IPS = ["perfect", "unbiased", "support", "doubled", "split", "linear", "on_policy", "scale"]
MODEL = wrong.MODEL
robust = partial(estimators.doubly_robust, model=MODEL)


@pytest.mark.parametrize("name", wrong.WRONG)
def test_a_mistake_has_its_own_name(name):
    estimator, message = wrong.WRONG[name]
    with pytest.raises(EstimatorError) as error:
        check_estimator(estimator, like=estimators.ips, promises=IPS, waive=["support", "unused"], examples=1)
    assert re.search(f'breaks "[a-z_]*": .*{message}', str(error.value))


@pytest.mark.parametrize("name", wrong.WRONG_ROBUST)
def test_a_mistake_of_a_doubly_robust_estimator_has_its_own_name(name):
    estimator, message = wrong.WRONG_ROBUST[name]
    waive = ["support", "unused", "arms", "contexts"]  # the model stays where it is
    with pytest.raises(EstimatorError) as error:
        check_estimator(estimator, like=robust, promises=["perfect", "unbiased"], waive=waive, examples=1)
    assert re.search(f'breaks "[a-z_]*": .*{message}', str(error.value))


KEPT = {
    "ips": (estimators.ips, IPS, []),
    "snips": (
        estimators.snips,
        ["perfect", "support", "doubled", "on_policy", "constant", "within", "scale", "shift"],
        [],
    ),
    "direct": (
        partial(estimators.direct, fill=0.5),
        ["perfect", "doubled", "constant", "within", "linear"],
        ["support", "unused"],
    ),
    "doubly robust": (
        robust,
        ["perfect", "unbiased", "support", "doubled", "split", "linear"],
        ["arms", "contexts", "unused"],
    ),
    "doubly robust, one number": (
        partial(estimators.doubly_robust, model=0.3),
        ["perfect", "unbiased", "support", "doubled", "split", "linear"],
        [],
    ),
    "clipped": (partial(estimators.clipped, cap=5.0), ["support", "doubled", "split", "scale"], []),
    "implicit exploration": (
        partial(estimators.implicit_exploration, gamma=0.1),
        ["support", "doubled", "split", "linear", "scale"],
        [],
    ),
    "shrunken": (partial(estimators.shrunken, strength=1.0, center=0.5), ["within", "linear"], []),
    "switch": (partial(estimators.switch, model=0.3, threshold=5.0), ["doubled", "split"], []),
    "switch doubly robust": (
        partial(estimators.switch_doubly_robust, model=0.3, threshold=5.0),
        ["doubled", "split"],
        [],
    ),
    "shrunk doubly robust": (
        partial(estimators.shrunk_doubly_robust, model=0.3, shrinkage=9.0),
        ["doubled", "split", "support"],
        [],
    ),
}


@pytest.mark.parametrize("name", KEPT)
def test_ours_keep_what_they_promise(name):
    estimator, promises, waive = KEPT[name]
    check_estimator(estimator, like=estimator, promises=promises, waive=waive, examples=EXAMPLES)


@pytest.mark.parametrize(
    ("estimator", "promise"),
    [
        (estimators.ips, "constant"),
        (estimators.ips, "within"),
        (estimators.snips, "split"),
        (estimators.snips, "unbiased"),
        (estimators.snips, "linear"),
        (partial(estimators.direct, fill=0.5), "on_policy"),
        (partial(estimators.clipped, cap=5.0), "perfect"),
        (partial(estimators.clipped, cap=1.0), "linear"),
        (partial(estimators.shrunken, strength=1.0, center=0.5), "doubled"),
        (partial(estimators.doubly_robust, model=0.3), "shift"),
    ],
)
def test_what_is_not_kept_is_found(estimator, promise):
    with pytest.raises(EstimatorError, match=f'breaks "{promise}"'):
        check_estimator(estimator, promises=[promise], waive=["unused"], examples=20)


def in_rows(name):
    theirs = obp.estimators()

    def estimate(contexts, arms, rewards, propensities, target):
        n = len(arms)
        dist, position = target[:, :, None], np.zeros(n, int)
        rounds = {"reward": rewards, "action": arms, "position": position, "action_dist": dist, "pscore": propensities}
        predicted = {"estimated_rewards_by_reg_model": MODEL[contexts][:, :, None]}
        if name == "direct":
            return theirs.DirectMethod().estimate_policy_value(action_dist=dist, position=position, **predicted)
        if name == "doubly robust":
            return theirs.DoublyRobust().estimate_policy_value(**rounds, **predicted)
        if name == "snips":
            return theirs.SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**rounds)
        return theirs.InverseProbabilityWeighting().estimate_policy_value(**rounds)

    return from_rows(estimate)


LIKE = {
    "ips": estimators.ips,
    "snips": estimators.snips,
    "direct": partial(estimators.switch, model=MODEL, threshold=1e-300),
    "doubly robust": robust,
}


@pytest.mark.parametrize("name", LIKE)
def test_the_open_bandit_pipeline_is_not_accused(name):
    check_estimator(in_rows(name), like=LIKE[name], examples=5)


@pytest.mark.parametrize("name", KEPT)
def test_what_is_like_ours_need_not_say_what_it_does_not_keep(name):
    estimator = KEPT[name][0]
    check_estimator(lambda *log: estimator(*log), like=estimator, examples=5)


@pytest.mark.parametrize("estimator", [estimators.ips, estimators.snips, partial(estimators.direct, fill=0.5)])
def test_what_keeps_the_usual_promises_says_nothing(estimator):
    check_estimator(estimator, examples=5)


def limited(limit, normalised):
    def estimator(data, policy, behavior):
        w = limit(policy, wrong.conditional(behavior))
        by = (w * data.counts).sum(axis=(-2, -1)) if normalised else data.n
        with np.errstate(invalid="ignore"):
            return (w * data.sums).sum(axis=(-2, -1)) / by

    return estimator


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (lambda pi, p: np.minimum(pi / p, 3e5), "weights are clipped at 300000, or propensities"),
        (lambda pi, p: pi / np.maximum(p, 1e-4), "or propensities have a floor of 0.0001"),
        (lambda pi, p: pi / (p + 1e-8), 'breaks "(perfect|within)"'),
    ],
)
def test_a_hidden_limit_of_the_weights_is_found_by_the_usual_promises(limit, message, normalised):
    with pytest.raises(EstimatorError, match=message):
        check_estimator(limited(limit, normalised), waive=["support"], examples=1)


def test_a_probability_of_an_arm_drawn_anew_is_caught():
    rng = np.random.default_rng(0)

    def ips(contexts, arms, rewards, propensities, target):
        drawn = rng.integers(3, size=len(arms))
        return (target[np.arange(len(arms)), drawn] / propensities * rewards).mean()

    with pytest.raises(EstimatorError, match=r'breaks "(repeat|perfect|batch)"'):
        check_estimator(from_rows(ips), waive=["support"], examples=5)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (lambda d, p, b: 0.5, 'breaks "batch": .*returned float64 of shape'),
        (lambda d, p, b: np.zeros(d.shape, np.float32), "float32"),
        (lambda d, p, b: d.sums.sum(axis=(-2, -1)) / (d.n - d.n), "warned of RuntimeWarning"),
        (lambda d, p, b: 1 / 0, "raised ZeroDivisionError"),
        (lambda d, p, b: p.fill(0.1) or np.full(d.shape, 0.1), 'breaks "mutation": it wrote into policy'),
    ],
)
def test_the_contract_is_told(estimator, message):
    with pytest.raises(EstimatorError, match=message):
        check_estimator(estimator, promises=[], examples=2)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"promises": ["rubbish"]}, ValueError, "promises must be one of"),
        ({"waive": ["unbiased"]}, ValueError, "waive must be one of"),
        ({"waive": "support"}, TypeError, r"like \['support'\]"),
        ({"like": 3}, TypeError, "like must be a function"),
        ({"like": lambda *given: None}, TypeError, "the answer of like must hold numbers"),
        ({"like": lambda data, *rest: np.zeros((2, 3))}, ValueError, "the answer of like must have shape"),
        ({"examples": 0}, ValueError, "examples must be"),
    ],
)
def test_arguments_are_named(options, error, message):
    with pytest.raises(error, match=message):
        check_estimator(estimators.ips, **options)


def test_rows_are_the_table():
    data = BanditData([[3, 0, 2], [1, 4, 0]], [[1, 0, 2], [0, 3, 0]], [[1, 0, 2], [0, 3, 0]])
    seen = []

    def keep(contexts, arms, rewards, propensities, target):
        seen.append(BanditData.from_log(contexts, arms, rewards, n_contexts=2, n_arms=3))
        assert target.shape == (10, 3)
        assert np.allclose(propensities, 1 / 3)
        return 1.0

    from_rows(keep)(data, np.full((2, 3), 1 / 3), np.full((2, 3), 1 / 6))
    assert seen[0].counts.tolist() == data.counts.tolist()
    assert seen[0].sums.tolist() == data.sums.tolist()


def normal(quantile, deviation, bend=lambda half: half):
    """A normal interval as somebody may write it, with a mistake."""

    def interval(data, policy, behavior, delta):
        n, w = data.n, policy / behavior
        mean = np.einsum("sa,...sa->...", w, data.sums) / n
        second = np.einsum("sa,...sa->...", w**2, data.sums) / n
        half = bend(stats.norm.ppf(quantile(delta)) * deviation(np.maximum(second - mean**2, 0.0)) / np.sqrt(n))
        return np.clip(mean - half, 0, 1), np.clip(mean + half, 0, 1)

    return interval


def moments(data, policy, behavior):
    w = policy / behavior
    mean = np.einsum("sa,...sa->...", w, data.sums) / data.n
    return mean, np.sqrt(np.maximum(np.einsum("sa,...sa->...", w**2, data.sums) / data.n - mean**2, 0.0))


def multiplied(cut):
    def interval(data, policy, behavior, delta):
        mean, deviation = moments(data, policy, behavior)
        half = stats.norm.ppf(1 - delta / 2) * deviation * np.sqrt(data.n)
        ends = mean - half, mean + half
        return tuple(np.clip(end, 0, 1) for end in ends) if cut else ends

    return interval


def fixed_normaliser(data, policy, behavior, delta):
    mean, deviation = moments(data, policy, behavior)
    centre = mean * data.n / np.einsum("sa,...sa->...", policy / behavior, data.counts)
    half = stats.norm.ppf(1 - delta / 2) * deviation / np.sqrt(data.n)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def hoeffding(level, range_of=lambda data, w: w.max()):
    def interval(data, policy, behavior, delta):
        w = policy / behavior
        mean = np.einsum("sa,...sa->...", w, data.sums) / data.n
        half = range_of(data, w) * np.sqrt(level(delta) / (2 * data.n))
        return np.clip(mean - half, 0, 1), np.clip(mean + half, 0, 1)

    return interval


def seen_range(data, w):
    return (w * (data.sums > 0)).max(axis=(-2, -1))


WRONG_INTERVALS = {
    "one side": (normal(lambda d: 1 - d, np.sqrt), "the quantile is of 1 - delta, not 1 - delta/2"),
    "swapped": (normal(lambda d: 1 - (1 - d) / 2, np.sqrt), "delta and 1 - delta are swapped"),
    "variance": (normal(lambda d: 1 - d / 2, lambda s2: s2), "the variance stands for the standard deviation"),
    "halved": (normal(lambda d: 1 - d / 2, np.sqrt, lambda h: h / 2), "the half-width is halved"),
    "asymptotic": (
        normal(lambda d: 1 - d / 2, np.sqrt),
        r"it is asymptotic \(normal interval of importance sampling\)",
    ),
    "log10": (hoeffding(lambda d: np.log10(2 / d)), "the logarithm is of base 10"),
    "one-sided": (hoeffding(lambda d: np.log(1 / d)), "delta is not halved"),
    "multiplied": (multiplied(cut=False), r"it multiplies by sqrt\(n\)"),
    "multiplied and cut": (multiplied(cut=True), "does it multiply by"),
    "fixed normaliser": (fixed_normaliser, "the self-normaliser is treated as fixed"),
    "range of the sample": (hoeffding(lambda d: np.log(2 / d), seen_range), "its range is read off the sample"),
    "no sqrt": (lambda data, p, b, delta: (0 * data.n + 0.49, 0 * data.n + 0.5), "at four times as many rounds"),
    "not nested": (hoeffding(lambda d: np.log(2 / (1 - d)) + 3), 'breaks "nested"|it does not hold that at'),
}


@pytest.mark.parametrize("name", WRONG_INTERVALS)
def test_a_mistake_in_an_interval_has_its_own_name(name):
    interval, message = WRONG_INTERVALS[name]
    with pytest.raises(EstimatorError, match=message):
        check_interval(interval, like=intervals.hoeffding)


ASYMPTOTIC = ["coverage", "width"]


@pytest.mark.parametrize(
    ("interval", "options"),
    [
        (intervals.given_counts, {}),
        (intervals.hoeffding, {}),
        (intervals.empirical_bernstein, {"waive": ["shrinks"]}),
        (intervals.clopper_pearson, {"arm": True}),
        (intervals.wilson, {"arm": True, "waive": ["coverage"]}),
        (intervals.normal_direct, {"waive": ASYMPTOTIC}),
        (intervals.normal_ips, {"waive": ASYMPTOTIC}),
        (intervals.normal_snips, {"waive": ASYMPTOTIC}),
        (partial(intervals.implicit_exploration, gamma=0.2), {"waive": ["shrinks"]}),
        (partial(intervals.log_smoothing, smoothing=0.4), {"waive": ["shrinks"]}),
    ],
)
def test_our_intervals_keep_what_they_promise(interval, options):
    check_interval(interval, like=interval, delta=0.1, **options)
