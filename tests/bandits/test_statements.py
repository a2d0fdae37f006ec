"""Every statement of `bounds` against the exact loss it speaks of: attained, or as loose as is said here.

Each test is marked with the names of its statements and fails when one of them is moved by one per cent (conftest.py).
"""

import math
from functools import cache, partial

import numpy as np
import pytest
from scipy.special import xlogy
from scipy.stats import binom, norm

from pessimism.bandits import (
    Bandit,
    BanditData,
    behavior,
    bounds,
    exact,
    greedy,
    hoeffding_level,
    instances,
    lcb,
    minimax,
)

INF = math.inf
checks = pytest.mark.checks


@cache
def worst_of_lcb(n, cstar, contexts):
    """Largest loss of LCB over the gap of `covered_contexts`, whose contexts are copies of `symmetric`."""
    family = partial(instances.covered_contexts, cstar, contexts, best=[0] * contexts)
    if contexts == 1:
        family = partial(instances.symmetric, cstar)
    return exact.worst_case(family, n, level=float(hoeffding_level(n, contexts, 2))).loss


def minority(p, m):
    """Probability that fewer than half of m coins of bias p > 1/2 land on their likelier side, ties one half."""
    return math.exp(exact.most_played_log_error(p, m))


def bayes_risk(n, chance, p, lost):
    """Smallest average loss on two equally likely worlds, when each round is with `chance` a vote for the right one.

    A vote is right with probability p; the best rule goes with the majority, and a wrong choice costs `lost`.
    """
    return lost * sum(weight * minority(p, m) for m, weight in enumerate(binom.pmf(np.arange(n + 1), n, chance)))


@checks("bandits.lcb_upper")
def test_lcb_upper_is_eleven_times_the_worst_loss():
    """On `symmetric`, at C* = 5 and N = 300."""
    assert bounds.lcb_upper(300, 5.0, 2) == pytest.approx(11.178 * worst_of_lcb(300, 5.0, 1), rel=2e-3)


@checks("bandits.minimax_lower")
@pytest.mark.parametrize(("n", "cstar"), [(100, 4.0), (1000, 20.0)])
def test_minimax_lower_is_half_of_the_best_risk_on_its_pair(n, cstar):
    """Bretagnolle-Huber gives away a factor of 2.1."""
    gap = math.sqrt(cstar / (17.6 * n))
    risk = bayes_risk(n, 1 / cstar, 0.5 + gap, gap)
    assert risk == pytest.approx(2.0995 * bounds.minimax_lower(n, cstar), rel=2e-3)
    hardest = max(bayes_risk(n, 1 / cstar, 0.5 + g, g) for g in gap * np.linspace(1.4, 1.7, 7))
    assert hardest == pytest.approx(2.35 * bounds.minimax_lower(n, cstar), rel=8e-3)


@checks("bandits.imitation_exponent")
@pytest.mark.parametrize("cstar", [1.1, 1.5, 1.9])
def test_imitation_exponent_is_that_of_the_exact_error(cstar):
    log_errors = [exact.most_played_log_error(1 / cstar, n) for n in (10**6, 2 * 10**6)]
    assert (log_errors[0] - log_errors[1]) / 10**6 == pytest.approx(bounds.imitation_exponent(cstar), rel=1e-3)


@checks("bandits.imitation_upper")
@pytest.mark.parametrize(("n", "ratio"), [(100, 8.958), (200, 12.269)])
def test_imitation_upper_has_the_exponent_and_is_loose_by_a_root_of_n(n, ratio):
    error = minority(1 / 1.5, n)
    assert bounds.imitation_upper(n, 1.5) == pytest.approx(ratio * error, rel=2e-3)


@checks("bandits.imitation_lower")
@pytest.mark.parametrize(("n", "cstar", "gap", "ratio"), [(10, 1.5, 0.1, 10.047), (40, 1.9, 0.05, 2.8507)])
def test_imitation_lower_against_the_best_risk_on_its_pair(n, cstar, gap, ratio):
    """Counts and rewards are two independent polls: the best rule weighs them by their log-likelihood ratios."""
    k = np.arange(n + 1)
    chance = binom.pmf(k, n, 1 / cstar)[:, None] * binom.pmf(k, n, 0.5 + gap)
    evidence = (2 * k - n)[:, None] * -math.log(cstar - 1) + (2 * k - n) * math.log((0.5 + gap) / (0.5 - gap))
    risk = 2 * gap * (chance[evidence < -1e-9].sum() + 0.5 * chance[np.abs(evidence) < 1e-9].sum())
    assert risk == pytest.approx(ratio * bounds.imitation_lower(n, cstar, gap), rel=2e-3)


@checks("bandits.imitation_lower_recalled")
@pytest.mark.parametrize(("cstar", "ratio"), [(1.5, 11.770), (1.9, 57.572)])
def test_the_recalled_exponent_is_many_times_the_exact_one(cstar, ratio):
    recalled = -math.log(bounds.imitation_lower_recalled(1, cstar))
    assert recalled == pytest.approx(ratio * bounds.imitation_exponent(cstar), rel=1e-3)


@checks("bandits.two_point_exponent")
@pytest.mark.parametrize(("cstar", "gap"), [(1.5, 0.3), (1.2, 0.05), (2.0, 0.4)])
def test_two_point_exponent_is_the_chernoff_information_of_a_round(cstar, gap):
    play, win = np.array([1 / cstar, 1 - 1 / cstar]), np.array([0.5 + gap, 0.5 - gap])
    one = np.stack([play * win, play * (1 - win)])  # (won, arm) under the one hypothesis; arms swapped under the other
    shares = np.linspace(0, 1, 1001)[:, None, None]
    overlap = np.exp(xlogy(shares, one) + xlogy(1 - shares, one[:, ::-1])).sum(axis=(1, 2))
    assert bounds.two_point_exponent(cstar, gap) == pytest.approx(-math.log(overlap.min()), rel=1e-9)


@checks("bandits.greedy_failure_loss")
@pytest.mark.parametrize("q", [0.3, 0.5671, 0.9])
def test_greedy_failure_loss_is_the_limit_of_the_exact_loss(q):
    loss = exact.suboptimality(*instances.greedy_failure(5000, q), 5000, level=0.0)
    assert loss == pytest.approx(bounds.greedy_failure_loss(q), rel=2e-3)


@checks("bandits.lcb_normal_prediction")
@checks("bandits.lcb_normal_gap")
def test_the_normal_prediction_is_a_supremum_and_its_gap_attains_it():
    n, cstar, level = 500, 3.0, 2.0
    p = 1 / cstar
    sigma = math.sqrt((1 / p + 1 / (1 - p)) / (4 * n))
    shift = math.sqrt(level / n) * (1 / math.sqrt(1 - p) - 1 / math.sqrt(p))
    gaps = np.geomspace(1e-5, 1, 200_000)
    values = gaps * norm.sf((gaps + shift) / sigma)
    assert bounds.lcb_normal_prediction(n, cstar, level) == pytest.approx(values.max(), rel=1e-8)
    assert bounds.lcb_normal_gap(n, cstar, level) == pytest.approx(gaps[values.argmax()], rel=1e-3)


@checks("bandits.lcb_exponent")
@pytest.mark.parametrize(("cstar", "k"), [(1.1, 1), (1.5, 1), (1.5, 2), (1.9, 1), (3.0, 2)])
def test_lcb_exponent_is_the_limit_of_the_predicted_slope(cstar, k):
    """The slope misses its limit by a multiple of 1/log N, which two slopes at N and N^2 cancel."""

    def slope(log_n):
        level = 0.5 * (math.log(4) + k * np.log(10.0) * np.array([log_n, log_n + 1]))
        first, second = bounds.lcb_normal_prediction(10.0 ** np.array([log_n, log_n + 1]), cstar, level)
        return math.log10(first / second)

    assert 2 * slope(120) - slope(60) == pytest.approx(bounds.lcb_exponent(cstar, k), abs=1e-3)


@checks("bandits.crossing")
@pytest.mark.parametrize(("n", "cstar"), [(10**4, 1.94233), (10**5, 1.97944)])
def test_crossing_is_where_the_two_losses_cross(n, cstar):
    """Of imitation, whose worst gap is 1, and of LCB as predicted: within 0.004 of the formula."""
    level = float(hoeffding_level(n, 1, 2))
    difference = [
        exact.most_played_log_error(1 / c, n) - math.log(bounds.lcb_normal_prediction(n, c, level))
        for c in (cstar - 1e-4, cstar + 1e-4)
    ]
    assert difference[0] < 0 < difference[1]
    assert bounds.crossing(n) == pytest.approx(cstar, abs=0.004)


@checks("bandits.contextual_rate")
def test_contextual_rate_is_one_term_or_the_other():
    assert bounds.contextual_rate(10**4, 1.0, 10) == 10 / 10**4
    assert bounds.contextual_rate(10**12, 3.0, 10) == pytest.approx(math.sqrt(20 / 10**12), rel=1e-5)
    assert bounds.contextual_rate(10, 3.0, 10) == 1.0


@checks("bandits.contextual_upper")
def test_contextual_upper_against_the_worst_loss_in_covered_contexts():
    """At C* = 4, S = 2, N = 400."""
    worst = worst_of_lcb(400, 4.0, 2)
    assert bounds.contextual_upper(400, 4.0, 2, 2) == pytest.approx(14.306 * worst, rel=2e-3)
    assert bounds.contextual_upper(20, 4.0, 2, 2) == 1.0


@checks("bandits.contextual_lower")
def test_contextual_lower_against_the_best_risk_on_its_instances():
    """Half of it on the first two, as for one context; the third is attained as N grows."""
    n, contexts = 1000, 3
    gap = math.sqrt(1.5 * (contexts - 1) / (8.8 * n * 0.5))
    risk = 0.5 * bayes_risk(n, 2 * 0.5 / (contexts - 1) / 1.5, 0.5 + gap / 2, gap)
    assert risk == pytest.approx(2.0899 * bounds.contextual_lower(n, 1.5, contexts), rel=2e-3)
    gap = math.sqrt(contexts * 4.0 / (17.6 * n))
    risk = bayes_risk(n, 1 / (4.0 * contexts), 0.5 + gap, gap)
    assert risk == pytest.approx(2.0986 * bounds.contextual_lower(n, 4.0, contexts), rel=2e-3)
    assert bounds.missing_mass_loss(10**6, 11, 4) == pytest.approx(bounds.contextual_lower(10**6, 1.0, 11, 4), rel=1e-5)


@checks("bandits.missing_mass_upper")
@checks("bandits.missing_mass_published")
def test_missing_mass_is_attained_by_equal_contexts_and_published_a_fifth_above():
    """S = 500 contexts of probability C*/(N + 1) each; the published constant is 4/9 for 1/e."""
    n, cstar, contexts = 999, 2.0, 500
    missing = (1 - 1 / (contexts * cstar)) ** n
    assert bounds.missing_mass_upper(n, cstar, contexts) == pytest.approx(missing, rel=1e-3)
    assert bounds.missing_mass_published(n, cstar, contexts) == pytest.approx(4 * math.e / 9 * missing, rel=1e-3)


@checks("bandits.missing_mass_loss")
@pytest.mark.parametrize(("n", "contexts"), [(1, 2), (10, 6), (100, 6)])
def test_missing_mass_is_lost_by_every_rule(n, contexts):
    """Averaged over the unknown best arms; the ties of unmet contexts are split evenly, which is that average."""
    bandit, law = instances.missing_mass(n, contexts, gap=0.8)
    assert np.array_equal(law, behavior.expert(bandit))
    assert bandit.coverage(law) == pytest.approx(1.0, rel=1e-12)
    unmet = 0.8 / 2 * bandit.contexts[0] * (1 - bandit.contexts[0]) ** n
    claimed = bounds.missing_mass_loss(n, contexts, gap=0.8) + unmet
    for level in (0.0, 1.0, INF):
        assert exact.suboptimality(bandit, law, n, level=level) == pytest.approx(claimed, rel=1e-10)


@checks("bandits.imitation_equal_marginals")
@pytest.mark.parametrize(("cstar", "ratio"), [(1.0, 2.0), (1.5, 4.6766)])
def test_equal_marginals_against_the_exact_loss_of_imitation(cstar, ratio):
    """Twice the loss of two arms on expert data, where only the split of an unmet context's tie is given away."""
    bandit = Bandit([[1.0, 0.0], [1.0, 0.0]], contexts=[0.7, 0.3])
    loss = exact.suboptimality(bandit, behavior.prescribe(bandit, cstar=cstar), 40, level=INF)
    assert bounds.imitation_equal_marginals(40, cstar, bandit.contexts) == pytest.approx(ratio * loss, rel=2e-3)


@checks("bandits.imitation_floor")
def test_imitation_is_stuck_on_ambiguous_contexts():
    n, cstar, gap = 2001, 1.5, 0.4
    bandit, law = instances.ambiguous_contexts(cstar, 3, gap)
    missed = (2 - cstar) * gap / 2 * (1 - law[0].sum()) ** n
    loss = exact.suboptimality(bandit, law, n, level=INF)
    assert loss == pytest.approx(bounds.imitation_floor(cstar, gap) + missed, rel=1e-10)


@checks("bandits.transition_exponent")
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_transition_exponent_is_the_slope_of_the_rate_between_expert_and_broad_data(alpha):
    first, second = (bounds.contextual_rate(n, 1 + n**-alpha, 2) for n in (1e12, 1e13))
    assert math.log10(first / second) == pytest.approx(bounds.transition_exponent(alpha), abs=1e-3)


@checks("bandits.lcb_width_bound")
def test_lcb_width_bound_is_attained_where_two_indices_are_equal():
    """The loss against the arm not chosen is twice its width; widths are at most 1."""
    counts, delta = np.array([[400, 100]]), 0.1
    level = float(hoeffding_level(500, 1, 2, delta))
    means = np.array([[0.5, 0.5 + math.sqrt(level / 100) - math.sqrt(level / 400)]])
    data, width = BanditData(counts, counts * means), np.sqrt(level / counts)[0]
    chosen = int(lcb(data, delta=delta)[0])
    worst = (means[0] + width)[1 - chosen] - (means[0] - width)[chosen]
    assert bounds.lcb_width_bound(data, [1 - chosen], [1.0], delta) == pytest.approx(worst, rel=1e-12)
    assert bounds.lcb_width_bound(BanditData([[9, 0]], [[0.0, 0.0]]), [1], [1.0], delta) == 2.0


@checks("bandits.greedy_width_bound")
def test_greedy_width_bound_is_attained_where_two_means_are_equal():
    """The arm with fewer pulls at the bottom of its interval, the other at the top of its own."""
    counts, delta = np.array([[100, 400]]), 0.1
    data, width = BanditData(counts, counts * 0.5), np.sqrt(hoeffding_level(500, 1, 2, delta) / counts)[0]
    assert greedy(data).tolist() == [0]
    worst = (0.5 + width[1]) - (0.5 - width[0])
    assert bounds.greedy_width_bound(data, [1], [1.0], delta) == pytest.approx(worst, rel=1e-12)


@checks("bandits.two_point_minimax")
def test_one_pair_of_worlds_is_the_minimax_risk_below_two():
    """To 1e-3 at N = 20, the width of the bracket; and not at N = 1, where it stays below."""
    cstar = 1.6
    risk = minimax.solve(20, cstar)
    assert risk.lower * (1 - 1e-3) <= bounds.two_point_minimax(20, cstar) <= risk.upper
    assert bounds.two_point_minimax(1, 1.5) < 0.97 * minimax.solve(1, 1.5).lower


@checks("bandits.minimax_leading")
@pytest.mark.parametrize(("n", "cstar", "ratio"), [(30, 2.0, 0.9968), (30, 4.0, 1.0051)])
def test_the_leading_term_above_two(n, cstar, ratio):
    risk = minimax.solve(n, law=(1 / cstar, 1 - 1 / cstar))
    assert bounds.minimax_leading(n, cstar) == pytest.approx(ratio * risk.lower, rel=2e-3)


@checks("bandits.minimax_leading")
@pytest.mark.parametrize(("n", "cstar", "ratio"), [(40, 1.1, 1.01335), (41, 1.1, 1.00278), (60, 1.3, 1.02617)])
def test_the_leading_term_below_two(n, cstar, ratio):
    assert bounds.minimax_leading(n, cstar) == pytest.approx(
        ratio * bounds.two_point_minimax(n, cstar), rel=1e-4, abs=0
    )


@checks("bandits.adaptivity_price")
@pytest.mark.parametrize(("low", "high"), [(2.0, 4.0), (3.0, 30.0)])
def test_the_price_is_that_of_the_best_shift(low, high):
    """By a grid of shifts d: the less played arm may be the better one, in the larger class, or the other."""
    gaps = np.linspace(0.01, 6.0, 6000)

    def largest(d):
        return (gaps * norm.cdf(-(gaps + d))).max()

    def spread(c):
        return c / (2 * math.sqrt(c - 1))

    shifts = np.linspace(0.0, 2.0, 401)
    costs = [max(spread(high) / spread(low) * largest(d), largest(-d)) / largest(0.0) for d in shifts]
    assert bounds.adaptivity_price(low, high) == pytest.approx(min(costs), rel=3e-3)


@checks("bandits.greedy_floor")
@pytest.mark.parametrize("m", [0.5, 1.537, 5.0])
def test_greedy_loses_its_floor_in_a_long_log(m):
    """At N = 10^7, where the better arm misses a mean of 1 by 1e-5."""
    n, gaps = 10**7, np.linspace(0.05, 0.9, 171)
    losses = [float(exact.suboptimality(Bandit([[1 - 1e-5, 1 - g]]), [[1 - m / n, m / n]], n, level=0.0)) for g in gaps]
    assert bounds.greedy_floor(m) == pytest.approx(max(losses), rel=1e-3)
    assert bounds.greedy_floor(m) <= bounds.greedy_floor() * (1 + 1e-9)
