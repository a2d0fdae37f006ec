"""Exact losses of stay-exit replicas: plain enumeration, value iteration on drawn data, worst cases, bad input."""

import math
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from pessimism._status import Status
from pessimism.mdp import MDP, exact, instances, plug_in, vi_lcb
from pessimism.mdp._engine import stay_exit as engine
from pessimism.mdp.instances import lower_bounds
from tests.bandits.enumeration import compositions

LEVELS = (0.0, 0.05, 0.16, 0.5, math.inf)
tenths = st.integers(0, 10).map(lambda k: Fraction(k, 10))


def stay_exit(stay, start, discount):
    """Model of len(stay) replicas, written down independently of the package's own."""
    count = len(stay)
    transitions = np.zeros((count + 1, 2, count + 1))
    for s, pair in enumerate(stay):
        for a, p in enumerate(pair):
            transitions[s, a, s] += float(p)
            transitions[s, a, count] += 1 - float(p)
    transitions[count, :, count] = 1.0
    rewards = np.ones((count + 1, 2))
    rewards[count] = 0.0
    return MDP.dense(transitions, rewards, [*map(float, start), 0.0], float(discount))


def wrong(pulls, stays, discount, level):
    """Probability of action 1 by the fixed point of V = max(0, max_a 1 - b_a + discount * stay_a * V)."""
    h = 1 / (1 - float(discount))
    widths = [h * math.sqrt(level / n) if n else math.inf for n in pulls]
    active = [a for a in (0, 1) if widths[a] < 1 - 1e-13]
    if not active:
        return 0.5 if pulls[0] == pulls[1] else float(pulls[1] > pulls[0])
    shares = {a: stays[a] / pulls[a] for a in active}
    value = 0.0
    for _ in range(400):
        indices = {a: 1 - widths[a] + float(discount) * shares[a] * value for a in active}
        value = max(0.0, *indices.values())
    top = [a for a in active if indices[a] > value - 1e-11]
    return sum(top) / len(top)


def expected_loss(stay, start, law, discount, n, level):
    """Sum over all counts of (replica, action, stayed or left) and of the rest; probabilities are exact."""
    chance = [
        law[s][a] * (p if kept else 1 - p) for s, pair in enumerate(stay) for a, p in enumerate(pair) for kept in (1, 0)
    ]
    chance.append(1 - sum(map(sum, law)))
    total = 0.0
    for counts in compositions(n, len(chance)):
        weight = Fraction(math.factorial(n))
        for p, k in zip(chance, counts, strict=True):
            weight *= p**k / math.factorial(k)
        if weight == 0:
            continue
        for s, pair in enumerate(stay):
            cells = counts[4 * s : 4 * s + 4]
            better = int(pair[1] > pair[0])
            pulls, stays = (cells[0] + cells[1], cells[2] + cells[3]), (cells[0], cells[2])
            error = abs(wrong(pulls, stays, discount, level) - better)
            values = [1 / (1 - discount * p) for p in pair]
            total += float(weight * start[s] * abs(values[0] - values[1])) * error
    return total


@pytest.mark.kernels
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("stay", "law", "n"),
    [
        ([[Fraction(7, 10), Fraction(4, 10)]], [[Fraction(3, 10), Fraction(5, 10)]], 6),
        ([[Fraction(1), Fraction(0)]], [[Fraction(1, 2), Fraction(1, 2)]], 5),
        (
            [[Fraction(7, 10), Fraction(4, 10)], [Fraction(2, 10), Fraction(9, 10)]],
            [[Fraction(3, 10), Fraction(2, 10)], [Fraction(2, 10), Fraction(1, 10)]],
            3,
        ),
    ],
)
def test_equals_the_sum_over_all_data_sets(stay, law, n, level):
    discount, start = Fraction(3, 5), [Fraction(1, len(stay))] * len(stay)
    plain = expected_loss(stay, start, law, discount, n, level)
    behavior = np.array([[float(x) for x in row] for row in law] + [[1 - float(sum(map(sum, law))), 0.0]])
    fast = exact.stay_exit_loss(stay_exit(stay, start, discount), behavior, n, level=level)
    assert fast == pytest.approx(plain, rel=1e-10, abs=1e-15)


@given(
    stay=st.tuples(tenths, tenths),
    first=tenths,
    second=tenths,
    discount=tenths.filter(lambda g: g < 1),
    n=st.integers(0, 4),
    level=st.sampled_from(LEVELS) | st.floats(0, 2),
)
def test_equals_the_sum_over_all_data_sets_everywhere(stay, first, second, discount, n, level):
    law = [[first, (1 - first) * second]]
    plain = expected_loss([stay], [Fraction(1)], law, discount, n, level)
    behavior = np.array([[float(x) for x in law[0]], [float(1 - sum(law[0])), 0.0]])
    fast = exact.stay_exit_loss(stay_exit([stay], [1.0], discount), behavior, n, level=level)
    assert fast == pytest.approx(plain, rel=1e-9, abs=1e-14)


@pytest.mark.parametrize(
    ("family", "n", "level"),
    [
        (partial(instances.stay_exit, 4.0, 2, 0.2, discount=0.75), 60, 0.0),
        (partial(instances.stay_exit, 4.0, 2, 0.25, discount=0.75), 500, 0.5),
        (partial(instances.stay_exit, 1.2, 2, 0.25, discount=0.75), 120, 0.7),
        (partial(lower_bounds.ambiguous_replicas, 1.6, 2, 0.3, discount=0.75, best=[0, 1]), 120, 0.2),
    ],
)
def test_agrees_with_the_rules_on_drawn_data(family, n, level):
    """Ties go to action 0, which is the better one in one of both replicas: on average they are split.

    False alarm below 1e-6 a case; detects a loss off by 5 standard errors, a few per cent, with probability 0.5.
    """
    mdp, law = family()
    data = mdp.sample(law, n=n, size=8000, rng=3)
    widths = {"delta": 0.5, "constant": level / math.log(4 * law.size)}
    found = vi_lcb(data, discount=0.75, **widths) if level else plug_in(data, discount=0.75)
    losses = mdp.suboptimality(found.policy)
    assert losses.std() > 0
    exactly = exact.stay_exit_loss(mdp, law, n, level=level)
    assert abs(losses.mean() - exactly) < 4.9 * losses.std() / math.sqrt(losses.size)


def by_scipy(law, stay, discount, n, level):
    """One replica, the better action first, by binomial laws of SciPy."""
    h, total = 1 / (1 - discount), 0.0
    for n0 in range(n + 1):
        for n1 in range(n - n0 + 1):
            weight = binom.pmf(n0, n, law[0]) * binom.pmf(n1, n - n0, law[1] / (1 - law[0]))
            b0, b1 = (h * math.sqrt(level / m) if m else math.inf for m in (n0, n1))
            if weight < 1e-30 or (b0 < 1 and b1 >= 1):
                continue
            if b0 >= 1:
                total += weight * (1.0 if b1 < 1 or n1 > n0 else 0.5 * (n0 == n1))
                continue
            k0, k1 = np.arange(n0 + 1), np.arange(n1 + 1)
            ahead = (1 - b1) * (1 - discount * k0[:, None] / n0) - (1 - b0) * (1 - discount * k1 / n1)
            error = np.where(np.abs(ahead) < 1e-11, 0.5, ahead > 0)
            total += weight * binom.pmf(k0, n0, stay[0]) @ error @ binom.pmf(k1, n1, stay[1])
    return (1 / (1 - discount * stay[0]) - 1 / (1 - discount * stay[1])) * total


@pytest.mark.parametrize(
    ("cstar", "discount", "gap", "level"), [(4.0, 0.7, 0.2, 0.0), (1.3, 0.8, 0.1, 0.3), (3.0, 0.6, 0.3, 0.9)]
)
def test_agrees_with_binomial_laws_of_scipy(cstar, discount, gap, level):
    n = 50
    mdp, law = instances.stay_exit(cstar, 1, gap, discount=discount)
    stay = mdp.probabilities[0, :, 0]
    loss = exact.stay_exit_loss(mdp, law, n, level=level)
    assert loss == pytest.approx(by_scipy(law[0], stay, discount, n, level), rel=1e-9)


def test_small_losses_keep_their_digits():
    """Plug-in with a sure first action: the second wins if it alone was logged, and ties if it never left."""
    n, p, q = 40, Fraction(1, 2), Fraction(1, 10)
    law = [Fraction(7, 10), Fraction(3, 10)]
    only = law[1] ** n
    never_left = (law[0] + law[1] * q) ** n - law[0] ** n - (law[1] * q) ** n
    value = [1 / (1 - p * 1), 1 / (1 - p * q)]
    expected = (value[0] - value[1]) * (only + never_left / 2)
    model = stay_exit([[Fraction(1), q]], [1.0], p)
    loss = exact.stay_exit_loss(model, [[0.7, 0.3], [0.0, 0.0]], n, level=0.0)
    assert loss == pytest.approx(float(expected), rel=1e-9)
    for rare in (1e-13, 1e-16):  # the second action is logged once in a blue moon
        loss = exact.stay_exit_loss(model, [[1 - rare, rare], [0.0, 0.0]], n, level=0.0)
        assert loss == pytest.approx(float(value[0] - value[1]) * n * rare * 0.1 / 2, rel=1e-9)


def test_plug_in_never_plays_what_was_never_logged():
    model = stay_exit([[0.1, 0.9]], [1.0], 0.9)
    gap = 1 / (1 - 0.81) - 1 / (1 - 0.09)
    for level in LEVELS:
        assert exact.stay_exit_loss(model, [[1.0, 0.0], [0.0, 0.0]], 7, level=level) == pytest.approx(gap)
        assert exact.stay_exit_loss(model, [[0.0, 1.0], [0.0, 0.0]], 7, level=level) == 0
        assert exact.stay_exit_loss(model, [[0.0, 0.0], [1.0, 0.0]], 7, level=level) == pytest.approx(gap / 2)


@pytest.mark.kernels
def test_a_width_of_exactly_one_certifies_nothing():
    """L/(1 - discount)^2 = 100 visits, not a whole number in floating point; action 1 has 100 visits or fewer."""
    model = stay_exit([[0.2, 0.7]], [1.0], 0.9)
    value = 1 / (1 - 0.63) - 1 / (1 - 0.18)
    assert exact._width_one(1.0, 0.9) == 100.0
    all_logged = [[0.0, 1.0], [0.0, 0.0]], 100
    assert exact.stay_exit_loss(model, *all_logged, level=1.0) == 0
    assert engine.by_counts(100, 99, 100.0) == 0.0
    assert engine.by_counts(99, 100, 100.0) == 1.0
    assert engine.by_counts(101, 500, 100.0) == -1.0
    assert engine.by_counts(101, 100, 100.0) == 0.0
    assert engine.by_counts(7, 101, 100.0) == 1.0
    assert engine.by_counts(3, 3, 100.0) == 0.5
    assert exact.stay_exit_loss(model, [[0.5, 0.5], [0.0, 0.0]], 100, level=1.0) == pytest.approx(value / 2)


def test_batches_equal_single_calls():
    exits = np.array([[[0.2, 0.3]], [[0.5, 0.1]]])
    models = [stay_exit(1 - e, [1.0], 0.8) for e in exits]
    batch = MDP(models[0].next_states, np.stack([m.probabilities for m in models]), [[1, 1], [0, 0]], [1, 0], 0.8)
    law, n, level = [[0.3, 0.5], [0.2, 0.0]], np.array([[5], [8], [0]]), 0.1
    losses = exact.stay_exit_loss(batch, law, n, level=level)
    assert losses.shape == (3, 2)
    for i, j in np.ndindex(3, 2):
        assert losses[i, j] == exact.stay_exit_loss(models[j], law, int(n[i, 0]), level=level)


def test_labels_do_not_matter_and_identical_replicas_are_computed_once(monkeypatch):
    calls = []
    original = engine.replica_error
    monkeypatch.setattr(engine, "replica_error", lambda *args: calls.append(1) or original(*args))
    losses = []
    for best in ([0] * 7, [1] * 7, [0, 1, 1, 0, 1, 0, 0]):
        mdp, law = instances.stay_exit(2.7, 7, 0.2, discount=0.85, best=best)
        losses.append(exact.stay_exit_loss(mdp, law, 90, level=0.02))
    assert len(calls) == 3
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-12)
    assert losses[0] > 1e-3


@pytest.mark.parametrize("level", [0.0, 0.05])
@pytest.mark.parametrize("cstar", [1.3, 4.0])
def test_worst_case_agrees_with_a_fine_grid(cstar, level):
    n, points = 120, 300
    family = partial(instances.stay_exit, cstar, 1, discount=0.8)
    worst = exact.worst_case(family, n, level=level, gaps=(1e-3, 0.75))
    grid = np.geomspace(1e-3, 0.75, points)
    mdp, law = family(0.5)
    leave = np.stack([np.full(points, 0.25), 0.25 + grid], axis=-1)[:, None, :]
    leave = np.concatenate([leave, np.zeros((points, 1, 2))], axis=-2)
    batch = MDP(mdp.next_states, np.stack([1 - leave, leave], axis=-1), mdp.rewards, mdp.start, 0.8)
    losses = exact.stay_exit_loss(batch, law, n, level=level)
    assert worst.loss >= losses.max() * (1 - 1e-9)
    assert worst.loss == pytest.approx(losses.max(), rel=1e-3)
    # the certificate: the loss of the gap that is returned; it falls when the gap is altered
    assert worst.loss == exact.stay_exit_loss(*family(worst.gap), n, level=level)
    assert exact.stay_exit_loss(*family(0.7 * worst.gap), n, level=level) < worst.loss


def test_worst_case_says_when_it_lies_at_an_end_and_takes_the_worst_hypothesis():
    family = partial(lower_bounds.two_point_replicas, 4.0, 1, discount=0.75)
    worst = exact.worst_case(family, 30, level=lambda n: n, gaps=(1e-3, 1 / 3))  # imitation: the largest gap
    assert worst.status is Status.EDGE_MAXIMUM
    assert worst.gap == pytest.approx(1 / 3)
    both = exact.stay_exit_loss(*family(worst.gap), 30, level=30)
    assert worst.loss == both.max() > both.min()
    assert exact.worst_case(family, 20, level=0.0, gaps=(1e-3, 1 / 3)).status is Status.INTERIOR_MAXIMUM


def test_the_worst_loss_shrinks_like_a_root():
    """Exponent 1/2 for plug-in, between two sample sizes: without widths there is no logarithm."""
    small, large = 250, 1000
    losses = [
        exact.worst_case(partial(instances.stay_exit, 2.0, 1, discount=0.75), n, level=0.0, gaps=(1e-2, 0.6)).loss
        for n in (small, large)
    ]
    assert math.log(losses[0] / losses[1]) / math.log(4) == pytest.approx(0.5, abs=0.03)


GOOD = instances.stay_exit(2.0, 1, 0.1, discount=0.8)
THREE = MDP.dense(np.ones((1, 3, 1)), np.ones((1, 3)), discount=0.5)
EPISODES = MDP.dense(np.ones((1, 2, 1)), np.zeros((1, 2)), horizon=2)
POOR = MDP.dense([[[0.5, 0.5]] * 2, [[0.0, 1.0]] * 2], [[1, 0.5], [0, 0]], discount=0.5)
WANDER = MDP.dense(np.full((2, 2, 2), 0.5), [[1, 1], [0, 0]], discount=0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exact.stay_exit_loss(*GOOD, 10, level=-1.0), "level must be at least 0, got -1.0"),
        (lambda: exact.stay_exit_loss(*GOOD, 10, level=math.nan), "level must be a number"),
        (lambda: exact.stay_exit_loss(*GOOD, -1, level=0.0), "n must be a whole number"),
        (lambda: exact.stay_exit_loss(*GOOD, 10**7, level=0.0), "n must be at most 1e.06.*by Monte Carlo"),
        (lambda: exact.stay_exit_loss(GOOD[0], [[0.5, 0.6], [0, 0]], 9, level=0.0), "behavior must sum to 1"),
        (lambda: exact.stay_exit_loss(THREE, [[1, 0, 0]], 9, level=0.0), "two actions; by Monte Carlo"),
        (lambda: exact.stay_exit_loss(EPISODES, [[[1, 0]]] * 2, 9, level=0.0), "needs a discounted model"),
        (lambda: exact.stay_exit_loss(POOR, [[1, 0], [0, 0]], 9, level=0.0), "state 0 is neither"),
        (lambda: exact.stay_exit_loss(WANDER, [[1, 0], [0, 0]], 9, level=0.0), "state 1 is neither"),
        (lambda: exact.worst_case(lambda g: GOOD, 10, level=0.0, gaps=(0.0, 1.0)), "gaps must be a pair 0 < low"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
