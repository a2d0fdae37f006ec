"""Minimax risks: brackets against linear programs over all rules, closed forms, other exact code and Monte Carlo."""

import math
from functools import cache, partial
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import binom, multinomial

from pessimism import _boxes
from pessimism.bandits import (
    Bandit,
    BanditData,
    bounds,
    count_vote,
    exact,
    greedy,
    hoeffding_level,
    instances,
    lcb,
    minimax,
    most_played,
    screened_greedy,
)
from pessimism.bandits._engine import two_arms, worst_worlds
from pessimism.bandits._engine.two_arms import Logs
from tests.bandits import logs as plain

solve = cache(minimax.solve)


def every(n):
    return Logs(n, tuple(range(n + 1)), True)


def table_rule(errors):
    """A rule from the probabilities of the second arm, a matrix for each number of pulls of the first."""

    def rule(data):
        first, second = data.sums[..., 0, 0].astype(int), data.sums[..., 0, 1].astype(int)
        e = np.array([errors[k][i, j] for k, i, j in zip(data.counts[..., 0, 0], first, second, strict=True)])
        return np.stack([1.0 - e, e], axis=-1)[:, None]

    return rule


def random_errors(rng, n, steep=1.0):
    return [rng.random((k + 1, n - k + 1)) ** steep for k in range(n + 1)]


# ---- the engine against dictionaries


def test_sums_over_logs_are_those_of_a_dictionary():
    rng, n = np.random.default_rng(0), 4
    worlds = np.column_stack([np.sort(rng.random((5, 2)), axis=1)[:, ::-1], rng.random(5)])
    worlds[0], worlds[1, 1] = (1.0, 0.0, 1.0), 0.0
    mass, of, every_log = rng.dirichlet(np.ones(5)), two_arms.weights(every(n), worlds), plain.logs(n)
    errors = random_errors(rng, n)
    at = {log: (k, log[1], log[3]) for log in every_log for k in [log[0]]}
    e = np.array([errors[k][i, j] for k, i, j in at.values()])
    joint = np.zeros((2, len(every_log)))
    for m, (better, other, p), found in zip(mass, worlds, two_arms.losses(of, errors), strict=True):
        own = plain.chances(every_log, n, (better, other, p))
        assert found == pytest.approx((better - other) * float(own @ e), rel=1e-12)
        joint += m * (better - other) * np.stack([own, plain.chances(every_log, n, (other, better, 1 - p))])
    risk, rule = two_arms.bayes(every(n), two_arms.joint(of, mass))
    assert risk == pytest.approx(joint.min(axis=0).sum() / 2, rel=1e-12)
    half = [matrix / 2 for matrix in rule]
    assert mass @ two_arms.losses(of, half) == pytest.approx(risk, rel=1e-12)
    assert two_arms.losses_of_many(of, [rule, rule])[1] == pytest.approx(two_arms.losses(of, half), rel=1e-12)
    grid = rng.random((2, 2, 3))
    q = two_arms.chances_on_blocks(every(n), errors, grid[0], grid[1], grid[0])
    world = (grid[0, 1, 2], grid[1, 1, 0], grid[0, 1, 1])
    assert q[1, 2, 0, 1] == pytest.approx(float(plain.chances(every_log, n, world) @ e), rel=1e-12)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 40.0]))
def test_no_world_costs_more_than_a_box_bound(seed, steep):
    """Of random rules, some of which hardly err: losses of 1e-20 are bounded as relatively as others."""
    rng, n = np.random.default_rng(seed), 5
    errors = [matrix * 1e-20 if steep > 1 else matrix for matrix in random_errors(rng, n, steep)]
    p = 0.3 if steep > 1 else 0.6
    worst = worst_worlds.certify(every(n), errors, [_boxes.Slab(p, 1.0)], 0.0, 0.05)
    worlds = np.column_stack(
        [rng.random((200, 2)) ** rng.choice([0.1, 1.0, 10.0], size=(200, 1)), p + (1 - p) * rng.random(200)]
    )
    worlds[:20, 0], worlds[10:30, 1], worlds[25:35, 2] = 1.0, 0.0, 1.0
    losses = two_arms.losses(two_arms.weights(every(n), worlds), errors)
    assert losses.max() <= worst.bound
    assert worst.loss <= worst.bound <= 1.0501 * worst.loss
    assert two_arms.losses(two_arms.weights(every(n), worst.world[None]), errors)[0] == pytest.approx(
        worst.loss, rel=1e-9
    )


# ---- brackets


@pytest.mark.checks("bandits.one_round_minimax")
@pytest.mark.parametrize("cstar", [1.2, 1.4, 2.0, 4.0, 50.0])
def test_one_round_has_a_closed_form(cstar):
    risk = solve(1, cstar)
    assert risk.lower <= bounds.one_round_minimax(cstar) <= risk.upper


@pytest.mark.parametrize(
    ("n", "setting"),
    [(2, {"cstar": 1.3}), (4, {"cstar": 1.3}), (3, {"cstar": 3.0}), (4, {"law": (0.3, 0.7)}), (5, {"counts": (2, 3)})],
)
def test_a_linear_program_over_all_rules_lies_in_the_bracket(n, setting):
    """On the worlds of the prior: the program knows no symmetry, prior, cut or background."""
    risk = minimax.solve(n, **setting)
    assert risk.status.name == "CONVERGED"
    assert risk.upper <= 1.001 * risk.lower
    kept = risk.worlds[np.argsort(-risk.prior)[:60]]
    known = "cstar" not in setting
    pulls = setting["counts"][0] if "counts" in setting else None
    if pulls is not None:
        assert np.isnan(kept[:, 2]).all()
        flipped = [(1 - b, 1 - a, 0.5) for a, b, _ in kept]
        kept = [*((a, b, 0.5) for a, b, _ in kept), *flipped]
    elif known:
        kept = [*map(tuple, kept), *((1 - b, 1 - a, p) for a, b, p in kept)]
    value = plain.lp_value(n, kept, pulls=pulls, known=known)
    assert risk.lower * (1 - 1e-4) <= value <= risk.upper


def test_published_brackets_of_the_sheet():
    """N = 100: known to 8e-4; and fixed counts of 100 and 300."""
    small = solve(100, 1.5)
    assert max(small.lower, 1.7340e-5) <= min(small.upper, 1.7354e-5)
    fixed = minimax.solve(51, counts=(1, 50))
    worst = minimax.certified_worst(greedy, 51, counts=(1, 50))
    assert worst.loss / fixed.lower == pytest.approx(2.4, rel=0.01)


@given(st.integers(0, 2**32 - 1))
def test_no_prior_and_no_rule_crosses_the_bracket(seed):
    rng, n, c = np.random.default_rng(seed), 6, 1.7
    risk = solve(n, c)
    worlds = np.column_stack([np.sort(rng.random((6, 2)), axis=1)[:, ::-1], 1 / c + (1 - 1 / c) * rng.random(6) ** 3])
    prior = two_arms.joint(two_arms.weights(every(n), worlds), rng.dirichlet(np.ones(6)))
    assert two_arms.bayes(every(n), prior)[0] <= risk.upper
    mixed = rng.random()  # of the minimax rule and a random one: far from minimax, or close to it
    errors = [
        m * own + (1 - m) * other
        for m in [mixed]
        for own, other in zip(risk._errors, random_errors(rng, n), strict=True)
    ]
    for split in (True, False):
        assert minimax.certified_worst(table_rule(errors), n, c, split_ties=split, tolerance=0.05).bound >= risk.lower


def test_the_prior_and_the_rule_prove_the_bounds():
    """Both computed again from the answer; the loss of the rule by Monte Carlo, too.

    10^5 logs at a false alarm of 1e-6: a loss off by 15 % would be seen.
    """
    n, c = 20, 1.5
    risk = solve(n, c)
    assert risk.prior.sum() == pytest.approx(1.0, abs=1e-12)
    assert (risk.worlds[:, 2] >= 1 / c - 1e-12).all()
    again = two_arms.bayes(every(n), two_arms.joint(two_arms.weights(every(n), risk.worlds), risk.prior))[0]
    assert risk.lower <= again <= risk.lower * (1 + 1e-8)
    worst = minimax.certified_worst(risk.rule, n, c)
    assert risk.lower <= worst.bound <= risk.upper * (1 + 1e-3)
    data = worst.world.bandit.sample([worst.world.law], n=n, size=100_000, rng=1)
    losses = worst.world.bandit.suboptimality(risk.rule(data))
    error = losses.std() / math.sqrt(losses.size)
    assert abs(losses.mean() - worst.loss) < 4.9 * error
    assert 4.9 * error < 0.08 * worst.loss
    drawn = risk.rule(data, rng=3)
    assert drawn.shape == (100_000, 1)
    assert abs(drawn.mean() - risk.rule(data)[:, 0, 1].mean()) < 4.9 * 0.5 / math.sqrt(drawn.size)


def test_the_risk_rises_with_the_class_and_falls_with_the_rounds():
    for n in (3, 8):
        row = [solve(n, c) for c in (1.0, 1.2, 1.6, 2.0, 3.0, 9.0)]
        assert all(a.lower <= b.upper for a, b in pairwise(row))
        assert row[0].upper == 0.0 == row[0].lower
        assert row[-1].lower > 3 * row[1].upper
    for c in (1.2, 3.0):
        column = [solve(n, c) for n in (0, 1, 3, 8)]
        assert all(a.upper >= b.lower for a, b in pairwise(column))
    assert minimax.solve(5, law=(0.25, 0.75)).upper < 0.8 * solve(5, 4.0).lower  # a law that is known helps
    assert solve(0, 1.0).lower == solve(0, 7.0).upper == 0.5


def test_a_budget_that_is_spent_is_said():
    risk = minimax.solve(10, 4.0, max_calls=3)
    assert risk.status.name == "BUDGET"
    assert risk.lower <= solve(10, 4.0).upper
    assert risk.upper >= solve(10, 4.0).lower


# ---- certified worst cases


@pytest.mark.parametrize(
    ("rule", "level"), [(lcb, hoeffding_level), (greedy, lambda n, s, a: 0.0), (most_played, lambda *_: math.inf)]
)
@pytest.mark.parametrize("cstar", [1.5, 4.0])
def test_the_worst_case_is_attained_and_holds_the_family(rule, level, cstar):
    """The loss in the world that was found, by the exact code for index rules; and the symmetric family is a part."""
    n = 40
    worst = minimax.certified_worst(rule, n, cstar)
    loss = exact.suboptimality(worst.world.bandit, [worst.world.law], n, level=float(level(n, 1, 2)))
    assert float(loss) == pytest.approx(worst.loss, rel=1e-6)
    family = exact.worst_case(partial(instances.symmetric, cstar), n, level=float(level(n, 1, 2))).loss
    assert family <= worst.bound
    assert worst.bound <= 1.001 * worst.loss


def test_the_family_understates_lcb():
    """By 11 % at C* = 1.1 and 15 % at 4 for N = 100; the worst world at 4 is at the edge of the class."""
    for cstar, share in ((1.1, 0.11), (2.0, 0.0), (4.0, 0.15)):
        worst = minimax.certified_worst(lcb, 100, cstar)
        family = exact.worst_case(
            partial(instances.symmetric, cstar), 100, level=float(hoeffding_level(100, 1, 2))
        ).loss
        assert 1 - family / worst.loss == pytest.approx(share, abs=0.005)
    assert worst.world.means == pytest.approx((1.0, 0.886), abs=2e-3)


def test_a_rule_that_knows_an_arm_is_judged_in_its_worse_order():
    def first(data):
        return np.zeros((*data.shape, 1), int)

    assert minimax.certified_worst(first, 10, 1.5, split_ties=False).bound == pytest.approx(1.0, abs=1e-3)
    assert minimax.certified_worst(first, 10, 1.5).loss == pytest.approx(0.5, abs=1e-3)
    known = minimax.solve(10, law=(0.25, 0.75))
    worst = minimax.certified_worst(known.rule, 10, law=(0.25, 0.75), split_ties=False)
    assert known.lower <= worst.bound <= known.upper * 1.001
    assert worst.world.law in ((0.25, 0.75), pytest.approx((0.25, 0.75)))


def test_no_rounds_and_a_single_arm_are_cases_like_others():
    assert minimax.certified_worst(greedy, 0, 2.0).loss == pytest.approx(0.5)
    assert minimax.certified_worst(greedy, 5, 1.0).bound < 1e-299  # one arm is always played
    least = minimax.certified_worst(lambda data: data.counts.argmin(axis=-1), 5, 1.0)
    assert least.loss == pytest.approx(1.0)
    assert least.world.law == (1.0, 0.0)


def test_risks_beneath_the_floats_end_at_once():
    risk = minimax.solve(80, 1.000000001, max_calls=5)
    assert (risk.lower, risk.status) == (0.0, minimax.Status.CONVERGED)
    assert risk.upper < 1.01e-300


@pytest.mark.parametrize(
    ("rule", "n", "cstar", "ratio"),
    [
        (count_vote, 20, 1.5, 1.0035),
        (count_vote, 11, 1.15, 1.152),
        (screened_greedy, 30, 2.0, 1.016),
        (screened_greedy, 12, 4.0, 2.726),
    ],
)
def test_explicit_rules_are_as_close_to_the_risk_as_their_docs_say(rule, n, cstar, ratio):
    worst = minimax.certified_worst(partial(rule, cstar=cstar), n, cstar)
    assert worst.loss / solve(n, cstar).lower == pytest.approx(ratio, rel=2e-3)


# ---- adaptivity


def test_the_price_of_two_classes():
    price = minimax.adaptive(10, [2.0, 1.5])
    assert price.cstars.tolist() == [1.5, 2.0]
    assert 1.19 < price.lower <= price.upper < 1.205
    ratios = [
        minimax.certified_worst(price.rule, 10, c).bound / r.upper
        for c, r in zip(price.cstars, price.risks, strict=True)
    ]
    assert max(ratios) == pytest.approx(price.upper, rel=3e-3)
    for rule in (lcb, greedy, most_played, partial(count_vote, cstar=1.5)):
        worst = [
            minimax.certified_worst(rule, 10, c).bound / r.lower for c, r in zip(price.cstars, price.risks, strict=True)
        ]
        assert max(worst) >= price.lower
    assert minimax.adaptive(4, [3.0]).upper == pytest.approx(1.0, abs=3e-3)


# ---- input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: minimax.solve(10), "cstar, law or counts must be given, one of them, got none"),
        (lambda: minimax.solve(10, 1.5, law=(0.5, 0.5)), "got cstar and law"),
        (lambda: minimax.solve(10, 0.9), "cstar must be in"),
        (lambda: minimax.solve(10, math.nan), "cstar must be in"),
        (lambda: minimax.solve(300, 1.5), "two_point_minimax"),
        (lambda: minimax.solve(10, counts=(4, 5)), "counts must have the total n = 10"),
        (lambda: minimax.solve(10, law=(1.0, 0.0)), r"law\[1\] must be positive"),
        (lambda: minimax.solve(10, law=(0.2, 0.2, 0.6)), "law must have one entry for each of two arms"),
        (lambda: minimax.solve(10, 2.0, tolerance=0.0), "tolerance must be in"),
        (lambda: minimax.solve(10, 2.0, arms=4), "arms must be"),
        (lambda: minimax.solve(10, arms=3, law=(0.5, 0.5)), "cstar must be given"),
        (lambda: minimax.solve(17, 2.0, arms=3), r"n must be in \[1, 16\] for three arms"),
        (lambda: minimax.adaptive(10, [1.0, 2.0]), r"cstars\[0\] must be above 1"),
        (lambda: minimax.adaptive(10, []), "cstars must hold at least one"),
        (lambda: minimax.adaptive(80, [2.0, 1.00000001]), "cstars must be further from 1"),
        (lambda: minimax.certified_worst(lambda data: np.zeros(3, int), 3, 2.0), "rule must return arms of shape"),
        (lambda: minimax.certified_worst(lambda data: np.full((*data.shape, 1), 2), 3, 2.0), "must be an arm, 0 or 1"),
        (lambda: solve(3, 2.0).rule(BanditData([[1, 1]], [[1.0, 1.0]])), "must be 3 rounds"),
        (lambda: solve(3, 2.0).rule(BanditData([[1, 1, 1]], [[1.0, 1.0, 0.0]])), "one context and two arms"),
        (lambda: solve(3, 2.0).rule(BanditData([[2, 1]], [[0.5, 1.0]])), "must be whole"),
        (lambda: bounds.adaptivity_price(1.5, 4.0), r"low must be in \[2, 1e\+12\]"),
        (lambda: bounds.adaptivity_price(4.0, 2.0), "high must be at least low"),
        (lambda: count_vote(BanditData([[1, 1]], [[1.0, 1.0]]), cstar=2.0), "cstar must be in"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---- three arms


def lp_value_of_three(n, worlds):
    """Over all rules, every renaming a world of its own; logs by recursion and probabilities by SciPy."""
    logs = [
        (a, b, n - a - b, i, j, k)
        for a in range(n + 1)
        for b in range(n + 1 - a)
        for i in range(a + 1)
        for j in range(b + 1)
        for k in range(n - a - b + 1)
    ]
    counts, sums = np.array(logs)[:, :3], np.array(logs)[:, 3:]
    rows = []
    for world in worlds:
        for order in permutations(range(3)):
            means, law = world[list(order)], world[[3 + a for a in order]]
            law = law / law.sum()
            chance = multinomial.pmf(counts, n, law) * binom.pmf(sums, counts, means).prod(axis=1)
            rows.append(np.append((chance[:, None] * (means.max() - means)).ravel(), -1.0))
    sums_to_one = np.hstack([np.kron(np.eye(len(logs)), np.ones((1, 3))), np.zeros((len(logs), 1))])
    cost = np.append(np.zeros(3 * len(logs)), 1.0)
    found = linprog(cost, np.array(rows), np.zeros(len(rows)), sums_to_one, np.ones(len(logs)), method="highs")
    return found.fun


@pytest.mark.parametrize(("n", "cstar"), [(1, 4.0), (2, 1.7)])
def test_three_arms_by_a_linear_program_over_all_rules(n, cstar):
    risk = minimax.solve(n, cstar, arms=3)
    assert risk.status.name == "SEARCHED"
    assert risk.upper <= 1.001 * risk.lower
    value = lp_value_of_three(n, risk.worlds[np.argsort(-risk.prior)[:12]])
    assert risk.lower * (1 - 1e-3) <= value <= risk.upper
    assert risk.lower > solve(n, cstar).upper  # a third arm costs something in so short a log


def test_the_rule_for_three_arms_loses_what_it_is_said_to():
    """By the model's own losses over every log that is drawn: 10^5 logs, a false alarm of 1e-6, off by 5 % is seen."""
    risk = minimax.solve(4, 3.0, arms=3)
    world = risk.worlds[risk.prior.argmax()]
    bandit = Bandit([world[:3]])
    data = bandit.sample([world[3:] / world[3:].sum()], n=4, size=100_000, rng=0)
    losses = bandit.suboptimality(risk.rule(data))
    error = losses.std() / math.sqrt(losses.size)
    assert losses.mean() - 4.9 * error <= risk.upper
    assert losses.mean() + 4.9 * error >= 0.95 * risk.lower  # a world with mass is among the worst
    turned = BanditData(data.counts[..., [2, 0, 1]], data.sums[..., [2, 0, 1]])
    assert np.allclose(risk.rule(turned), risk.rule(data)[..., [2, 0, 1]], atol=1e-12)
    assert set(np.unique(risk.rule(data, rng=0))) <= {0, 1, 2}
