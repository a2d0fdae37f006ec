"""Generators against independent models; every instance has the C* and the loss it claims, by the model itself."""

import math
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pessimism.mdp import bounds, exact, generators, instances, plan
from pessimism.mdp.instances import lower_bounds
from tests.mdp.reference import half
from tests.mdp.sizes import examples

discounts = st.sampled_from([0.55, 0.75, 0.9, 0.99])
labels = st.lists(st.integers(0, 1), min_size=1, max_size=4)


def values(*stays, discount):
    return [1 / (1 - discount * p) for p in stays]


# Generators


@pytest.mark.parametrize(("states", "actions", "width"), [(7, 2, 3), (5, 3, 5), (1, 1, 1), (200, 2, 1)])
def test_garnet_has_distinct_successors_and_is_reproducible(states, actions, width):
    mdp = generators.garnet(states, actions, width, discount=0.9, rng=4)
    assert mdp.next_states.shape == (states, actions, width)
    distinct = [len(set(pair)) for pair in mdp.next_states.reshape(-1, width).tolist()]
    assert distinct == [width] * (states * actions)
    assert mdp.rewards.min() >= 0
    assert mdp.rewards.max() <= 1
    again = generators.garnet(states, actions, width, discount=0.9, rng=np.random.default_rng(4))
    assert np.array_equal(mdp.probabilities, again.probabilities)
    assert np.array_equal(mdp.next_states, again.next_states)
    assert plan(mdp, tolerance=1e-9).value == pytest.approx(mdp.optimal_values, abs=1e-8)


def test_garnet_successors_are_uniform_subsets():
    """Chi-square over the 10 subsets of size 3 of 5 states; false alarm 1e-6, a doubled subset is found for sure."""
    from scipy.stats import chisquare

    mdp = generators.garnet(5, 4000, 3, discount=0.5, rng=0)
    subsets = np.sort(mdp.next_states.reshape(-1, 3), axis=-1) @ [25, 5, 1]
    _, counts = np.unique(subsets, return_counts=True)
    assert len(counts) == 10
    assert chisquare(counts).pvalue > 1e-6


@pytest.mark.parametrize("slip", [0.0, 0.3, 1.0])
def test_torus_moves_as_documented(slip):
    side = 4
    mdp = generators.torus(side, discount=0.95, slip=slip)
    dense = np.zeros((side * side, 4, side * side))
    for s in range(side * side):
        row, column = divmod(s, side)
        around = [((row - 1) % side, column), (row, (column + 1) % side), ((row + 1) % side, column)]
        around = [r * side + c for r, c in [*around, (row, (column - 1) % side)]]
        for a in range(4):
            dense[s, a, around[a]] += 1 - slip
            for successor in [s, *around]:
                dense[s, a, successor] += slip / 5
    own = np.zeros_like(dense)
    for index in np.ndindex(mdp.next_states.shape):
        own[(*index[:2], mdp.next_states[index])] += mdp.probabilities[index]
    assert own == pytest.approx(dense, abs=1e-15)
    assert mdp.rewards.sum() == 4
    if slip == 0:  # from cell 0 the walk leaves and returns: 1 + g^2 + ...
        assert mdp.optimal_values[0] == pytest.approx(1 / (1 - 0.95**2), rel=1e-9)


def test_torus_mixes_slowly():
    """Second eigenvalue of the uniform policy: 1 - (1 - cos(2 pi/side)) (1 - stay)/2, closed form of a torus walk."""
    gaps = []
    for side in (6, 12):
        mdp = generators.torus(side, discount=0.9, slip=0.5)
        walk = np.zeros((side * side, side * side))
        for s, a, b in np.ndindex(mdp.next_states.shape):
            walk[s, mdp.next_states[s, a, b]] += mdp.probabilities[s, a, b] / 4
        gaps.append(1 - np.sort(np.linalg.eigvals(walk).real)[-2])
        assert gaps[-1] == pytest.approx((1 - math.cos(2 * math.pi / side)) * 0.9 / 2, rel=1e-9)
    assert gaps[0] > 3.5 * gaps[1]


def bold_play(s, goal, heads):
    """Probability of reaching the goal by staking all one may, exactly, for a goal that is a power of two."""
    if s in (0, goal):
        return Fraction(int(s == goal))
    stake = min(s, goal - s)
    return heads * bold_play(s + stake, goal, heads) + (1 - heads) * bold_play(s - stake, goal, heads)


@pytest.mark.parametrize("heads", [Fraction(9, 20), Fraction(1, 4), Fraction(0), Fraction(1, 2)])
def test_gambler_plays_boldly(heads):
    """Bold play is optimal for heads <= 1/2 and is over after log2(goal) tosses."""
    goal, horizon = 16, 6
    mdp = generators.gamblers_problem(goal, heads=float(heads), horizon=horizon)
    expected = [float(bold_play(s, goal, heads)) for s in range(1, goal)]
    assert mdp.optimal_values[0, 1:-1] == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert mdp.optimal_values[0, [0, goal]].tolist() == [0, 0]  # the reward is for reaching it
    assert mdp.start == pytest.approx(np.full(goal + 1, 1 / (goal + 1)))
    bold = [max(0, min(s, goal - s) - 1) for s in range(goal + 1)]
    assert mdp.suboptimality(bold) == pytest.approx(0, abs=1e-13)


def test_forbidden_stakes_are_copies_of_the_largest_allowed():
    goal = 9
    mdp, allowed = generators.gamblers_problem(goal, horizon=3), generators.allowed_stakes(goal)
    for s in range(goal + 1):
        assert allowed[s].sum() == min(s, goal - s)
        for a in range(goal // 2):
            stake = min(a + 1, s, goal - s)
            assert allowed[s, a] == (stake == a + 1)
            assert mdp.next_states[0, s, a].tolist() == [s + stake, s - stake]


# Simulation instances


@examples(0.5)
@given(st.floats(1, 100), labels, st.floats(1e-3, 1), discounts)
def test_stay_exit_claims(cstar, best, share, discount):
    gap = share * half(discount)
    mdp, law = instances.stay_exit(cstar, len(best), gap, discount=discount, best=best)
    count = len(best)
    assert mdp.check_behavior(law).sum() == pytest.approx(1.0, abs=1e-12)
    assert mdp.best_policy[:count].tolist() == best
    assert mdp.coverage(law) == pytest.approx(cstar, rel=1e-12)
    good, bad = values(half(discount), half(discount) - gap, discount=discount)
    assert (1 - discount) * good == pytest.approx(0.5)
    flipped = [1 - best[0], *best[1:], 0]
    assert mdp.suboptimality(flipped) == pytest.approx((good - bad) / count, rel=1e-9)
    everything_wrong = [*(1 - a for a in best), 0]
    assert mdp.suboptimality(everything_wrong) == pytest.approx(good - bad, rel=1e-9)
    d = mdp.occupancy(mdp.best_policy)
    assert d[:count].sum() == pytest.approx(0.5, rel=1e-12)
    ratio = law[np.arange(count), 1 - np.array(best)] / law[np.arange(count), best]
    assert np.all((ratio > 1 + 1e-12) == (cstar > 1.5 + 1e-12)) or cstar == pytest.approx(1.5)


@pytest.mark.parametrize(("cstar", "level"), [(1.3, 0.1), (4.0, 0.1), (4.0, 0.0)])
def test_vi_lcb_failure_is_near_the_worst_of_its_family(cstar, level):
    n, discount = 500, 0.75
    gaps = np.geomspace(0.01, half(discount), 20)
    losses = [
        exact.stay_exit_loss(*instances.stay_exit(cstar, 1, gap, discount=discount), n, level=level) for gap in gaps
    ]
    mdp, law = instances.vi_lcb_failure(cstar, 1, n, level, discount=discount)
    assert exact.stay_exit_loss(mdp, law, n, level=level) > 0.9 * max(losses)
    assert mdp.coverage(law) == pytest.approx(cstar, rel=1e-12)


def test_vi_lcb_failure_where_counts_decide_has_the_largest_gap():
    mdp, _ = instances.vi_lcb_failure(4.0, 2, 100, 5.0, discount=0.9)
    assert mdp.probabilities[:2, :, 0].min() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("discount", "more"), [(0.6, 2.009), (0.75, 1.0646), (0.8, 1.0105), (0.9, 1.0004)])
@pytest.mark.parametrize("best", [0, 1])
@pytest.mark.checks("mdp.plug_in_failure_loss")
def test_plug_in_failure_loses_a_constant_while_imitation_does_not(discount, more, best):
    """`more` is what the bound leaves out, as its notes say."""
    n = 1000
    mdp, law = instances.plug_in_failure(n, discount=discount, best=best)
    assert mdp.coverage(law) == pytest.approx(1 / (1 - 1 / n), rel=1e-12)
    q = mdp.probabilities[0, 1 - best, 0]
    good, bad = values(half(discount), q, discount=discount)
    hit = (1 - (1 - q) / n) ** n - (1 - 1 / n) ** n - 0.5 * (1 - law[0, best] * (1 - half(discount))) ** n
    loss = exact.stay_exit_loss(mdp, law, n, level=0.0)
    assert loss >= (good - bad) * hit * (1 - 1e-9)
    limit = bounds.plug_in_failure_loss(discount, q)
    assert loss == pytest.approx(limit * more, rel=1e-3)
    assert exact.stay_exit_loss(mdp, law, n, level=math.inf) < 1e-9
    others = np.linspace(0, half(discount) - 1e-9, 300)
    assert bounds.plug_in_failure_loss(discount, q) >= bounds.plug_in_failure_loss(discount, others).max() * (1 - 1e-6)


# Lower bounds: one law


@examples(0.5)
@given(st.floats(1.001, 2), labels, st.floats(1e-3, 1), discounts)
def test_ambiguous_replicas_claims(cstar, best, share, discount):
    gap = share * half(discount)
    family = partial(lower_bounds.ambiguous_replicas, cstar, len(best), gap, discount=discount)
    mdp, law = family()
    single, same = family(best=best)
    assert np.array_equal(law, same)
    assert mdp.check_behavior(law).sum() == pytest.approx(1.0, abs=1e-12)
    assert mdp.coverage(law) == pytest.approx([cstar] * 2, rel=1e-12)
    assert single.coverage(law) == pytest.approx(cstar, rel=1e-12)
    assert single.best_policy.tolist() == [0, *best, 0]
    assert law[1:-1, 0] == pytest.approx(law[1:-1, 1])
    ratio = single.occupancy(single.best_policy)[1:-1].max(axis=-1) / law[1:-1, 0]
    assert ratio == pytest.approx([2 * cstar / 3] * len(best), rel=1e-12)
    good, bad = values(half(discount), half(discount) - gap, discount=discount)
    wrong = [0, *(1 - a for a in best), 0]
    assert single.suboptimality(wrong) == pytest.approx((cstar - 1) * (good - bad), rel=1e-9)


def test_imitation_is_stuck_on_ambiguous_replicas():
    n, cstar, gap = 301, 1.5, 0.4
    mdp, law = lower_bounds.ambiguous_replicas(cstar, 2, gap, discount=0.75, best=[0, 1])
    good, bad = values(half(0.75), half(0.75) - gap, discount=0.75)
    missed = (2 - cstar) * (good - bad) / 2 * (1 - law[0].sum()) ** n
    loss = exact.stay_exit_loss(mdp, law, n, level=math.inf)
    assert loss == pytest.approx((cstar - 1) * (good - bad) / 2 + missed, rel=1e-9)


@examples(0.5)
@given(st.floats(2, 100), labels, st.floats(1e-3, 1), discounts)
def test_two_point_replicas_have_one_law(cstar, best, share, discount):
    p = half(discount)
    gap = share * min(p, 1 - p)
    single, law = lower_bounds.two_point_replicas(cstar, len(best), gap, discount=discount, best=best)
    family, same = lower_bounds.two_point_replicas(cstar, len(best), gap, discount=discount)
    assert np.array_equal(law, same)
    assert family.shape == (2,)
    assert single.check_behavior(law).sum() == pytest.approx(1.0, abs=1e-12)
    assert single.best_policy.tolist() == [*best, 0]
    assert np.all(family.coverage(law) <= cstar * (1 + 1e-12))
    if 0 in best:
        assert single.coverage(law) == pytest.approx(cstar, rel=1e-12)
    above, middle, below = values(p + gap, p, p - gap, discount=discount)
    lost = sum(middle - below if a else above - middle for a in best) / len(best)
    assert single.suboptimality([*(1 - a for a in best), 0]) == pytest.approx(lost, rel=1e-9)


@pytest.mark.checks("mdp.missing_mass_loss")
@pytest.mark.parametrize("n", [40, 400])
def test_missing_mass_is_lost_by_every_rule(n):
    """A rule that plays what it saw and guesses elsewhere, averaged over its guesses and the better actions."""
    discount, count = 0.9, 3
    mdp, law = lower_bounds.missing_mass(n, count, discount=discount)
    assert mdp.coverage(law) == pytest.approx([1.0, 1.0], rel=1e-12)
    assert np.array(law) == pytest.approx(mdp.occupancy(mdp.best_policy), abs=1e-15)
    miss = (1 - 1 / (n + 1)) ** n
    guess = np.full((count + 2, 2), 0.5)
    loss = miss * mdp.suboptimality(guess)
    assert loss == pytest.approx([float(bounds.missing_mass_loss(n, count, discount))] * 2, rel=1e-12)
    assert mdp.optimal_values[:, 0] == pytest.approx([discount / (1 - discount)] * 2)


@pytest.mark.parametrize("discount", [2 / 3, 0.8, 0.95])
@pytest.mark.parametrize("states", [2, 5])
@pytest.mark.parametrize("share", [0.01, 1.0])
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_rare_state_claims(discount, states, share, scale):
    cstar, epsilon = scale * 8 * discount / states, share / (42 * (1 - discount))
    mdp, law = lower_bounds.rare_state(cstar, states, epsilon, discount=discount)
    assert law.sum() == pytest.approx(1.0, abs=1e-12)
    assert mdp.best_policy[:, 0].tolist() == [0, 1]
    assert mdp.coverage(law, clipped=True) == pytest.approx([cstar, cstar], rel=1e-12)
    for a in (0, 1):
        wrong = np.where(np.arange(states) == 0, a, 0)
        losses = mdp.suboptimality(wrong)
        assert losses[a] == pytest.approx(0, abs=1e-9)
        assert losses[1 - a] > epsilon
    # stationary under the uniform behavior, so that data of long episodes have the same law
    dense = np.zeros((states, states))
    for s, a, b in np.ndindex(mdp.next_states.shape):
        dense[s, mdp.next_states[s, a, b]] += mdp.probabilities[0, s, a, b] / 2
    assert law.sum(axis=-1) @ dense == pytest.approx(law.sum(axis=-1), abs=1e-14)


@pytest.mark.parametrize("n", [2, 10, 1000])
def test_unknowable_coverage_claims(n):
    mdp, law = lower_bounds.unknowable_coverage(n, 0.25)
    assert mdp.best_policy[:, 0, 0].tolist() == [0, 1]
    assert mdp.coverage(law) == pytest.approx([1 / (1 - 1 / n), n], rel=1e-12)
    assert mdp.coverage(law, clipped=True) == pytest.approx([1.0, max(1.0, n / 2)], rel=1e-12)
    assert mdp.suboptimality([1, 0]) == pytest.approx([0.25, 0.0])
    if n == 1000:  # a log without action 1 has the same law under both hypotheses
        assert (1 - law[0, 0, 1]) ** n == pytest.approx(math.exp(-1), rel=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: generators.garnet(3, 2, 4, discount=0.9), "n_successors must be at most n_states = 3, got 4"),
        (lambda: generators.garnet(0, 2, 1, discount=0.9), "n_states must be a whole number"),
        (lambda: generators.torus(2, discount=0.9), "side must be a whole number"),
        (lambda: generators.torus(4, discount=0.9, slip=1.1), r"slip must be in \[0, 1\]"),
        (lambda: generators.gamblers_problem(1), "goal must be a whole number"),
        (lambda: generators.gamblers_problem(10, heads=-0.1), r"heads must be in \[0, 1\]"),
        (lambda: instances.stay_exit(0.9, 1, 0.1, discount=0.9), r"cstar must be in \[1, inf\)"),
        (lambda: instances.stay_exit(2.0, 0, 0.1, discount=0.9), "replicas must be a whole number"),
        (lambda: instances.stay_exit(2.0, 1, 0.1, discount=0.5), r"discount must be in \(0.5, 1\)"),
        (lambda: instances.stay_exit(2.0, 1, 0.0, discount=0.9), "gap must be in"),
        (
            lambda: instances.stay_exit(2.0, 1, 0.9, discount=0.9),
            r"gap must be in \(0, 0.888889\] at this discount",
        ),
        (lambda: instances.stay_exit(2.0, 2, 0.1, discount=0.9, best=[0]), r"best must have shape \(2,\)"),
        (lambda: instances.stay_exit(2.0, 2, 0.1, discount=0.9, best=[[0, 1]]), r"best must have shape \(2,\)"),
        (lambda: instances.stay_exit(2.0, 2, 0.1, discount=0.9, best=[0, 2]), r"best\[1\] must be a whole number"),
        (lambda: instances.vi_lcb_failure(1.0, 1, 10, 0.1, discount=0.9), "cstar must be greater than 1"),
        (lambda: instances.plug_in_failure(1, discount=0.9), "n must be a whole number"),
        (lambda: instances.plug_in_failure(10, discount=0.9, stay=0.9), "stay must be in"),
        (lambda: lower_bounds.ambiguous_replicas(2.1, 1, 0.1, discount=0.9), r"cstar must be in \[1, 2\]"),
        (lambda: lower_bounds.two_point_replicas(1.9, 1, 0.1, discount=0.9), r"cstar must be in \[2, inf\)"),
        (lambda: lower_bounds.two_point_replicas(3.0, 1, 0.2, discount=0.9), r"gap must be in \(0, 0.111111\]"),
        (lambda: lower_bounds.missing_mass(10, 3, discount=0.9), r"n \+ 1 must be at least .* = 30, got n = 10"),
        (lambda: lower_bounds.rare_state(1.0, 2, 0.1, discount=0.9), r"cstar must be in \[3.6, inf\)"),
        (lambda: lower_bounds.rare_state(9.0, 2, 0.5, discount=0.9), "epsilon must be in"),
        (lambda: lower_bounds.rare_state(9.0, 2, 0.1, discount=0.6), r"discount must be in \[2/3, 1\)"),
        (lambda: lower_bounds.unknowable_coverage(1), "n must be a whole number"),
    ],
)
def test_bad_parameters_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
