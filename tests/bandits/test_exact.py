"""Exact losses: plain enumeration, an outside implementation, closed forms, worst cases, bad input."""

import math
from fractions import Fraction
from functools import partial

import mpmath
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import binom, norm

from pessimism._status import Status
from pessimism.bandits import Bandit, behavior, bounds, exact, hoeffding_level, index_rule, instances
from pessimism.bandits._engine import most_played
from tests.bandits.enumeration import expected_loss

LEVELS = (0.0, 0.3, 2.0, -0.5, math.inf, -math.inf)
tenths = st.integers(0, 10).map(lambda k: Fraction(k, 10))


def floats(table):
    return np.array([[float(x) for x in row] for row in table])


@pytest.mark.kernels
@given(
    means=st.lists(st.tuples(tenths, tenths), min_size=1, max_size=2),
    shares=st.lists(tenths, min_size=3, max_size=3),
    n=st.integers(0, 6),
    level=st.sampled_from(LEVELS) | st.floats(-2, 2),
    unseen=st.sampled_from([-math.inf, -1.0, 0.0, 0.5, math.inf]),
)
@example([(Fraction(1), Fraction(0))], [Fraction(1, 2)] * 3, 5, 0.0, -math.inf)
@example([(Fraction(7, 10), Fraction(4, 10)), (Fraction(2, 10), Fraction(9, 10))], [Fraction(0)] * 3, 3, 0.3, 0.5)
def test_equals_the_sum_over_all_data_sets(means, shares, n, level, unseen):
    law = [[shares[0], 1 - shares[0]], [shares[1], 1 - shares[1]]][: len(means)]
    if len(means) == 2:
        n, law = min(n, 3), [[w * p for p in row] for w, row in zip((shares[2], 1 - shares[2]), law, strict=True)]
    plain = expected_loss([list(row) for row in means], [Fraction(1, len(means))] * len(means), law, n, level, unseen)
    fast = exact.suboptimality(Bandit(floats(means)), floats(law), n, level=level, unseen=unseen)
    assert fast == pytest.approx(plain, rel=1e-11, abs=1e-15)


def by_scipy(p, n, r, level):
    """One context by binomial tails of SciPy: loss of the rule that prefers arm 1 when its index is larger."""
    total = 0.0
    for n1 in range(n + 1):
        n2, weight = n - n1, binom.pmf(n1, n, p)
        if n1 == 0 or n2 == 0:
            total += weight * (n1 == 0)
            continue
        s1 = np.arange(n1 + 1)
        threshold = n2 * (s1 / n1 - math.sqrt(level / n1) + math.sqrt(level / n2))
        nearest = np.round(threshold)
        tie = np.abs(threshold - nearest) < 1e-9
        above = binom.sf(np.where(tie, nearest, np.ceil(threshold) - 1), n2, r[1])
        total += weight * np.sum(binom.pmf(s1, n1, r[0]) * (above + 0.5 * tie * binom.pmf(nearest, n2, r[1])))
    return (r[0] - r[1]) * total


@pytest.mark.parametrize(("p", "gap"), [(0.9, 0.02), (0.25, 0.1), (0.5, 0.4), (0.999, 0.3)])
@pytest.mark.parametrize("level", [0.0, 2.5])
def test_agrees_with_binomial_tails_of_scipy(p, gap, level):
    n = 300
    r = (0.5 + gap / 2, 0.5 - gap / 2)
    loss = exact.suboptimality(Bandit([r]), [[p, 1 - p]], n, level=level)
    assert loss == pytest.approx(by_scipy(p, n, r, level), rel=1e-9)


def test_small_losses_keep_their_digits():
    """Only one arm 1 lucky every time can win: loss g P(N1 >= 1, all successes), about 1e-13, in closed form."""
    n, q, short = 30, 1e-13, 1e-6
    bandit = Bandit([[1 - short, 0.5]], rewards=[["deterministic", "bernoulli"]])
    with mpmath.workdps(40):
        hit = (1 - mpmath.mpf(q) / 2) ** n - (1 - mpmath.mpf(q)) ** n
        expected = float((mpmath.mpf(1 - short) - 0.5) * hit)
    assert exact.suboptimality(bandit, [[1 - q, q]], n, level=0.0) == pytest.approx(expected, rel=1e-9)


@pytest.mark.kernels
@pytest.mark.parametrize("level", [0.0, 0.7])
def test_gaussian_arms_in_closed_form(level):
    """Given the counts the difference of the indices is normal."""
    n, p, sigma = 12, 0.3, (0.4, 0.9)
    bandit = Bandit([[0.2, -0.1]], rewards="gaussian", scale=[sigma])
    total = 0.0
    for n1 in range(n + 1):
        n2, weight = n - n1, binom.pmf(n1, n, p)
        if 0 < n1 < n:
            shift = 0.3 - math.sqrt(level / n1) + math.sqrt(level / n2)
            total += weight * norm.sf(shift / math.hypot(sigma[0] / math.sqrt(n1), sigma[1] / math.sqrt(n2)))
        else:
            total += weight * (n1 == 0)
    loss = exact.suboptimality(bandit, [[p, 1 - p]], n, level=level, sigma=0.5)
    assert loss == pytest.approx(0.3 * total, rel=1e-12)


KINDS = ("bernoulli", "gaussian", "deterministic")


@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
def test_every_pair_of_reward_kinds_agrees_with_monte_carlo(first, second):
    """False alarm below 1e-6 a case; detects a loss off by 5 standard errors, 4 % of it, with probability 0.5."""
    size = 40_000
    bandit = Bandit([[0.6, 0.45]], rewards=[[first, second]], scale=0.3)
    law = behavior.prescribe(bandit, cstar=2.5)
    data = bandit.sample(law, n=15, size=size, rng=5)
    losses = bandit.suboptimality(index_rule(data, 0.2, -0.3, sigma=0.5, rng=6))
    loss = exact.suboptimality(bandit, law, 15, level=0.2, unseen=-0.3, sigma=0.5)
    assert abs(losses.mean() - loss) < 4.9 * losses.std() / math.sqrt(size)


@pytest.mark.kernels
@pytest.mark.parametrize(("p", "n"), [(0.999, 2000), (0.6, 50), (0.6, 51), (0.5, 10), (0.2, 9), (0.75, 300)])
def test_log_tails_agree_with_sixty_digits(monkeypatch, p, n):
    """Down to 1e-2400: every term in 60 digits, added up."""
    with mpmath.workdps(60):
        good = mpmath.mpf(p)
        terms = (mpmath.binomial(n, k) * good**k * (1 - good) ** (n - k) for k in range((n + 1) // 2))
        half = mpmath.binomial(n, n // 2) * (good * (1 - good)) ** (n // 2) / 2 if n % 2 == 0 else 0
        expected = mpmath.log(mpmath.fsum(terms) + half)
    for compiled_from in (0, math.inf):
        monkeypatch.setattr(most_played, "COMPILED_FROM", compiled_from)
        assert exact.most_played_log_error(p, n) == pytest.approx(float(expected), rel=1e-12, abs=1e-13)


@pytest.mark.kernels
def test_log_tails_at_the_ends():
    assert exact.most_played_log_error(1.0, 5) == -math.inf
    assert exact.most_played_log_error(0.0, 5) == 0.0
    assert exact.most_played_log_error(0.7, 0) == math.log(0.5)
    for n in (2**32, 2**33, 2**53):
        exponent = n * float(bounds.imitation_exponent(1 / 0.9))
        assert exact.most_played_log_error(0.9, n) == pytest.approx(-exponent, rel=1e-8)
    assert exact.most_played_log_error(0.9, 10**12) == pytest.approx(
        -(10**12) * bounds.imitation_exponent(1 / 0.9), rel=1e-9
    )


@pytest.mark.kernels
def test_imitation_in_contexts_equals_the_general_sum():
    """Level inf in log space against a level so large that counts decide (n odd, so that no count ties)."""
    n = 61
    bandit = Bandit([[0.6, 0.4], [0.3, 0.7]], contexts=[0.4, 0.6])
    law = np.array([[0.2, 0.15], [0.3, 0.35]])
    by_rule = exact.suboptimality(bandit, law, n, level=math.inf)
    total = sum(
        rho
        * gap
        * sum(math.exp(binom.logpmf(m, n, a + b) + exact.most_played_log_error(a / (a + b), m)) for m in range(n + 1))
        for rho, gap, (a, b) in ((0.4, 0.2, law[0]), (0.6, 0.4, law[1][::-1]))
    )
    assert by_rule == pytest.approx(total, rel=1e-10)


@pytest.mark.kernels
def test_batches_equal_single_calls():
    bandit = Bandit(np.array([[[0.6, 0.5]], [[0.2, 0.4]]]))
    n, level = np.array([[5], [8], [0]]), 0.4
    losses = exact.suboptimality(bandit, [[0.3, 0.7]], n, level=level)
    assert losses.shape == (3, 2)
    for i, j in np.ndindex(3, 2):
        single = exact.suboptimality(Bandit(bandit.means[j]), [[0.3, 0.7]], int(n[i, 0]), level=level)
        assert losses[i, j] == single


def test_swapping_arms_swaps_nothing():
    forward = exact.suboptimality(Bandit([[0.6, 0.5]]), [[0.3, 0.7]], 20, level=0.5)
    assert exact.suboptimality(Bandit([[0.5, 0.6]]), [[0.7, 0.3]], 20, level=0.5) == forward


@pytest.mark.kernels
def test_identical_contexts_are_computed_once(monkeypatch):
    from pessimism.bandits._engine import enumeration

    calls = []
    original = enumeration.error_probability
    monkeypatch.setattr(enumeration, "error_probability", lambda *args: calls.append(1) or original(*args))
    bandit, law = instances.covered_contexts(4.0, contexts=32, gap=0.2, best=[0] * 32)
    loss = exact.suboptimality(bandit, law, 20, level=0.5)
    assert len(calls) == 1
    single = exact.suboptimality(*instances.covered_contexts(4.0, contexts=32, gap=0.2), 20, level=0.5)
    assert single == pytest.approx(loss, rel=1e-12)


@pytest.mark.parametrize("cstar", [1.5, 4.0])
@pytest.mark.parametrize("level", [0.0, 2.5, math.inf])
def test_worst_case_agrees_with_a_fine_grid(cstar, level):
    n = 24
    family = partial(instances.symmetric, cstar)
    worst = exact.worst_case(family, n, level=level, gaps=(1e-2, 1.0))
    grid = np.geomspace(1e-2, 1.0, 900)
    bandits = Bandit(np.stack([0.5 + grid / 2, 0.5 - grid / 2], axis=-1)[:, None, :])
    losses = exact.suboptimality(bandits, family(0.5)[1], n, level=level)
    assert worst.loss >= losses.max() * (1 - 1e-9)
    assert worst.loss == pytest.approx(losses.max(), rel=1e-5)
    # the certificate: the loss of the gap that is returned; it falls when the gap is altered
    assert worst.loss == exact.suboptimality(*family(worst.gap), n, level=level)
    assert exact.suboptimality(*family(0.8 * worst.gap), n, level=level) < worst.loss


def test_worst_case_says_when_it_lies_at_an_end():
    imitation = exact.worst_case(partial(instances.symmetric, 1.5), 10, level=math.inf)
    assert imitation.gap == 1.0
    assert imitation.status is Status.EDGE_MAXIMUM
    assert "wider" in imitation.status.value
    lcb = exact.worst_case(partial(instances.symmetric, 1.5), 10, level=lambda n: float(hoeffding_level(n, 1, 2)))
    assert lcb.status is Status.INTERIOR_MAXIMUM


def test_the_worst_of_one_family_is_not_the_worst_of_all():
    """As the simulations say: means around 0.95 cost LCB more than means around 1/2."""
    level, law = float(hoeffding_level(200, 1, 2)), [[0.25, 0.75]]
    centred = exact.worst_case(partial(instances.symmetric, 4.0), 200, level=level)
    high = exact.worst_case(
        lambda gap: (Bandit([[0.95 + gap / 2, 0.95 - gap / 2]]), law), 200, level=level, gaps=(1e-6, 0.099)
    )
    assert (centred.loss, high.loss) == pytest.approx((0.0548, 0.0665), abs=5e-5)


def test_more_than_two_arms_name_the_monte_carlo_route():
    with pytest.raises(ValueError, match=r"two arms, got 3.*bandit.sample"):
        exact.suboptimality(Bandit([[0.1, 0.2, 0.3]]), [[0.2, 0.3, 0.5]], 10, level=0.0)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"level": math.nan}, "level must be a number"),
        ({"level": 0.0, "unseen": math.nan}, "unseen must be"),
        ({"level": 0.0, "n": -1}, "n must be a whole number"),
        ({"level": 0.0, "n": 1.5}, "n must be a whole number"),
        (
            {"level": 0.0, "n": 10**9},
            "n must be at most 1e.08 for exact enumeration here, got 1000000000; by Monte Carlo",
        ),
        ({"level": [0.0, 1.0], "n": [3, 4, 5]}, "bandit, behavior, n and level must have shapes that broadcast"),
        ({"level": 0.0, "law": [[0.5, 0.6]]}, "behavior must sum to 1"),
        ({"level": 0.0, "law": [[0.5, 0.5], [0.0, 0.0]]}, "behavior must end in shape"),
    ],
)
def test_bad_input_is_named(kwargs, message):
    arguments = {"n": 10, "law": [[0.5, 0.5]], **kwargs}
    n, law = arguments.pop("n"), arguments.pop("law")
    with pytest.raises(ValueError, match=message):
        exact.suboptimality(Bandit([[0.6, 0.5]]), law, n, **arguments)


@pytest.mark.parametrize(
    ("family", "n", "level", "error", "message"),
    [
        (3, 5, 0.0, TypeError, r"family must be a function gap -> \(bandit, behavior\), got 3"),
        (lambda gap: (gap, [[1.0]]), 5, 0.0, TypeError, "bandit must be a Bandit, got float"),
        (partial(instances.symmetric, 2), [3, 4], 0.0, ValueError, r"n must be one number, got shape \(2,\)"),
        (partial(instances.symmetric, 2), 3, lambda n: [0.0, n], ValueError, "level must be one number"),
        (lambda gap: (Bandit(np.full((3, 1, 2), gap)), [[0.5, 0.5]]), 3, 0.0, ValueError, r"a batch of shape \(3,\)"),
    ],
)
def test_bad_input_to_a_worst_case_is_named(family, n, level, error, message):
    with pytest.raises(error, match=message):
        exact.worst_case(family, n, level=level)


def test_gaussian_rewards_need_a_sigma_unless_widths_play_no_role():
    bandit = Bandit([[0.6, 0.5]], rewards="gaussian")
    with pytest.raises(ValueError, match="sigma must be given"):
        exact.suboptimality(bandit, [[0.5, 0.5]], 10, level=1.0)
    assert exact.suboptimality(bandit, [[0.5, 0.5]], 10, level=0.0) > 0
    with pytest.raises(ValueError, match="p must be in"):
        exact.most_played_log_error(1.5, 10)
    with pytest.raises(ValueError, match="gaps must be a pair"):
        exact.worst_case(partial(instances.symmetric, 1.5), 10, level=0.0, gaps=(0.0, 1.0))
