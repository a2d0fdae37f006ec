"""Exact risks of estimators from episodes, against every episode written out in fractions; the bounds on them."""

from collections import Counter
from itertools import combinations_with_replacement, product
from math import factorial, prod

import numpy as np
import pytest

from pessimism.mdp import MDP, MDPData, bounds, estimators, generators, risk
from pessimism.mdp._engine import efficiency
from tests.mdp import paths
from tests.mdp import reference as plain
from tests.mdp.paths import F

checks = pytest.mark.checks
WORLDS = {"stepped": paths.stepped(), "ending": paths.ending()}


@pytest.fixture(params=WORLDS)
def world(request):
    return WORLDS[request.param]


def wrong_q(world):
    """A model that is off, and not 0 in a terminal state, where nothing may ask it."""
    q, _ = world.values()
    return [[[x + F(h + s - a, 3) for a, x in enumerate(row)] for s, row in enumerate(t)] for h, t in enumerate(q)]


def doubly_robust(world, steps, q):
    total, w = F(0), world.weights(steps)
    for h, (s, a, r, _) in enumerate(steps):
        if s not in world.terminal:
            v = sum(x * y for x, y in zip(world.target[h][s], q[h][s], strict=True))
            total += world.discount**h * (w[h] * v + w[h + 1] * (r - q[h][s][a]))
    return total


def test_unbiased_estimators_by_every_episode(world):
    """The estimate of each episode, and the variance over all of them."""
    mdp, (pi, b) = world.mdp(), world.policies
    every, q = world.episodes(), wrong_q(world)
    met, seen = world.laws(world.target), world.laws(world.logged)

    def marginal(steps):
        own = [met[h][s][a] / seen[h][s][a] for h, (s, a, _, _) in enumerate(steps)]
        return sum(w * g for w, g in zip(own, world.gains(steps), strict=True))

    def per_decision(steps):
        return sum(w * g for w, g in zip(world.weights(steps)[1:], world.gains(steps), strict=True))

    terms = {
        "trajectory_is": lambda steps: world.weights(steps)[-1] * sum(world.gains(steps)),
        "per_decision_is": per_decision,
        "doubly_robust": lambda steps: doubly_robust(world, steps, q),
        "marginal_weights": marginal,
    }
    log = world.log(every)
    single = [getattr(log, name)[:, None] for name in ("states", "actions", "rewards", "next_states", "terminated")]
    for name, term in terms.items():
        each = [term(steps) for _, steps in every]
        mean, variance = paths.moments([(p, x) for (p, _), x in zip(every, each, strict=True)])
        assert mean == world.value()
        more = {"q": paths.floats(q)} if name == "doubly_robust" else {}
        result = getattr(risk, f"{name}_risk")(mdp, pi, b, n=[1, 4], **more)
        assert result.variance == pytest.approx([float(variance), float(variance) / 4], rel=1e-12)
        assert result.bias.tolist() == result.undefined.tolist() == [0.0, 0.0]
        if name != "marginal_weights":
            found = getattr(estimators, name)(type(log)(*single), pi, b, float(world.discount), **more)
            assert found == pytest.approx(paths.floats(each), rel=1e-12, abs=1e-12)
    weights = [sum(p * world.weights(steps)[t + 1] ** 2 for p, steps in every) for t in range(world.horizon)]
    assert np.exp(risk.log_second_moments(mdp, pi, b)) == pytest.approx(paths.floats(weights), rel=1e-12)


@pytest.mark.parametrize("n", [1, 2])
def test_weighted_is_by_every_log(world, n):
    every = Counter()
    for p, steps in world.episodes():
        every[world.weights(steps)[-1], sum(world.gains(steps))] += p
    logs = []
    for atoms in combinations_with_replacement(every.items(), n):
        ways = factorial(n) // prod(factorial(k) for k in Counter(atoms).values())
        if total := sum(w for (w, _), _ in atoms):
            logs.append((ways * prod(p for _, p in atoms), sum(w * g for (w, g), _ in atoms) / total))
    defined = sum(p for p, _ in logs)
    result = risk.weighted_is_risk(world.mdp(), *world.policies, n=n)
    assert float(result.undefined) == pytest.approx(float(1 - defined), abs=1e-12)
    mean, variance = paths.moments([(p / defined, x) for p, x in logs])
    assert float(result.bias) == pytest.approx(float(mean - world.value()), rel=1e-9)
    assert float(result.variance) == pytest.approx(float(variance), rel=1e-9)


def test_plug_in_at_fixed_counts_by_every_data_set():
    """One or two transitions of every pair; rewards by successor. Unbiased, with the variance of the recursion."""
    rng = np.random.default_rng(5)
    p, r = rng.dirichlet([1, 1], (2, 2, 2)), rng.random((2, 2, 2, 2))
    mdp = MDP(np.broadcast_to([0, 1], (2, 2, 2, 2)), p / p.sum(-1, keepdims=True), r, [0.3, 0.7], 0.8, horizon=2)
    pi, counts = rng.dirichlet([1, 1], (2, 2)), np.array([[[1, 2], [2, 1]], [[2, 2], [1, 2]]])
    first = np.array(list(product(*(range(n + 1) for n in counts.ravel())))).reshape(-1, 2, 2, 2)
    moved = np.stack([first, counts - first], axis=-1)
    data = MDPData(
        np.broadcast_to(counts, first.shape), mdp.next_states, moved, moved * mdp.rewards, reward_law="deterministic"
    )
    q = mdp.probabilities[..., 0]
    ways = np.where((counts == 2) & (first == 1), 2, 1)
    chance = (ways * q**first * (1 - q) ** (counts - first)).prod(axis=(1, 2, 3))
    found = estimators.model_based(data, pi, discount=0.8, start=[0.3, 0.7])
    result = risk.fixed_counts_risk(mdp, pi, counts)
    assert chance @ found == pytest.approx(float(mdp.value(pi)), rel=1e-12)
    assert float(result.variance) == pytest.approx(chance @ (found - mdp.value(pi)) ** 2, rel=1e-10)
    with pytest.raises(ValueError, match=r"counts\[1, 0, 0\] must be positive"):
        risk.fixed_counts_risk(mdp, pi, [[[1, 2], [2, 1]], [[0, 2], [1, 2]]])


# The ring of the theory: five states, left and right, reversed with probability 0.1

RING = {
    5: (19.93, 7.919, 3.822, 2.413, None),
    20: (3.69e5, 1.64e4, 6602, 6.774, 4.271),
    80: (4.1e19, 1.2e17, 5.0e16, 19.44, None),
}
PI, B = np.tile([0.1, 0.9], (5, 1)), np.full((5, 2), 0.5)


def ring(horizon, discount=1.0):
    s, a = np.ogrid[:5, :2]
    ahead = (s + 2 * a - 1) % 5
    lists = np.stack([ahead, (s - 2 * a + 1) % 5], axis=-1)
    rewards = np.where(np.arange(5) == 2, 0.6, 0.1)[:, None].repeat(2, axis=1)
    p = np.broadcast_to([0.9, 0.1], lists.shape)
    return MDP(lists, p, rewards, np.eye(5)[0], discount, horizon=horizon, reward_law="bernoulli")


@checks("mdp.value_markov")
@checks("mdp.value_tree")
@pytest.mark.parametrize("horizon", RING)
def test_the_ring_of_the_theory(horizon):
    mdp, told = ring(horizon), RING[horizon]
    value = np.append(mdp.evaluate(PI), np.zeros((1, 5)), axis=0)
    q = mdp.rewards + (mdp.probabilities * value[1:][:, mdp.next_states[0]]).sum(axis=-1)
    tree = bounds.value_tree(mdp, PI, B, 1)
    found = [
        risk.trajectory_is_risk(mdp, PI, B, n=1).variance,
        risk.per_decision_is_risk(mdp, PI, B, n=1).variance,
        risk.doubly_robust_risk(mdp, PI, B, n=1, q=q).variance,
        bounds.value_markov(mdp, PI, B, 1),
        bounds.value_pooled(mdp, PI, B, 1),
    ]
    for number, stated in zip(found, told, strict=True):
        assert stated is None or float(number) == pytest.approx(stated, rel=0.03 if stated > 1e10 else 4e-3)
    assert float(found[3]) == pytest.approx(told[3], rel=3e-4)
    assert float(found[2]) == pytest.approx(float(tree), rel=1e-12)
    assert np.max(mdp.occupancy(PI) / np.maximum(mdp.occupancy(B), 1e-300)) < 13.04


def test_weighted_is_of_one_episode_and_of_very_many():
    """One: the return under the behavior, with weights beyond float64. Many: the leading term, E W^2 (G - J)^2."""
    mdp = ring(500)
    one = risk.weighted_is_risk(mdp, PI, B, n=1)
    assert float(one.bias) == pytest.approx(float(mdp.value(B) - mdp.value(PI)), rel=1e-9)
    assert float(one.variance) == pytest.approx(float(risk.per_decision_is_risk(mdp, B, B, n=1).variance), rel=1e-9)
    worlds = [
        MDP(*mdp.tables[:2], mdp.rewards - shift, np.eye(5)[0], horizon=4) for shift in (0.0, ring(4).value(PI) / 4)
    ]
    many = risk.weighted_is_risk(worlds[0], PI, B, n=10**12).variance * 1e12
    assert float(many) == pytest.approx(float(risk.trajectory_is_risk(worlds[1], PI, B, n=1).variance), rel=1e-8)


def test_weights_grow_by_the_spectral_radius():
    """Beyond float64: the variance of whole weights is infinite, that of discounted per-decision sums is not."""
    mdp = ring(3000, 0.5)
    assert risk.growth_rate(mdp, PI, B) == pytest.approx(1.64, rel=1e-12)
    assert risk.log_second_moments(mdp, PI, B) == pytest.approx(np.arange(1, 3001) * np.log(1.64), rel=1e-9)
    assert risk.trajectory_is_risk(mdp, PI, B, n=1).variance == np.inf
    short = ring(60, 0.5)
    for now in (
        lambda world: risk.per_decision_is_risk(world, PI, B, n=1).variance,
        lambda world: bounds.value_tree(world, PI, B, 1),
    ):
        assert float(now(mdp)) == pytest.approx(float(now(short)), rel=1e-12)


@pytest.mark.parametrize("size", [3, 700])
def test_growth_of_large_and_small_models(monkeypatch, size):
    """A class above a number of states is left to ARPACK."""
    monkeypatch.setattr(efficiency, "DENSE_STATES", size)
    assert risk.growth_rate(ring(None, 0.5), PI, B) == pytest.approx(1.64, rel=1e-9)


def test_infeasible_actions_are_not_read():
    """In state 0 there is no action 1: the same as a world in which nobody takes it."""
    p, r = np.array([[[0.5, 0.5], [1.0, 0.0]], [[0.3, 0.7], [0.0, 1.0]]]), np.array([[0.3, 0.0], [0.6, 0.1]])
    pi, b = np.array([[1.0, 0.0], [0.2, 0.8]]), np.array([[1.0, 0.0], [0.6, 0.4]])
    plain_world = MDP.dense(p, r, [1, 0], horizon=4, reward_law="bernoulli")
    p[0, 1], r[0, 1] = np.nan, -np.inf
    feasible = [[True, False], [True, True]]
    world = MDP.dense(p, r, [1, 0], horizon=4, reward_law="bernoulli", feasible=feasible)
    for number in (
        lambda mdp: risk.trajectory_is_risk(mdp, pi, b, n=2).variance,
        lambda mdp: risk.per_decision_is_risk(mdp, pi, b, n=2).variance,
        lambda mdp: risk.weighted_is_risk(mdp, pi, b, n=2).variance,
        lambda mdp: bounds.value_pooled(mdp, pi, b, 2),
    ):
        assert 0.0 < float(number(world)) == pytest.approx(float(number(plain_world)), rel=1e-12)
    with pytest.raises(ValueError, match="action 1 is infeasible in state 0"):
        risk.growth_rate(world, pi, B[:2])


def test_growth_counts_what_the_policy_reaches_class_by_class():
    """Two classes, the worse of which is left for ever or never met."""
    k = [[[0.5, 0.5, 0, 0], [0, 0, 0, 1]], [[0, 1, 0, 0]] * 2, [[0, 0, 1, 0]] * 2, [[0, 0, 0, 1]] * 2]
    mdp = MDP.dense(k, np.zeros((4, 2)), [1, 0, 0, 0], 0.9)
    pi, b = [0, 1, 1, 0], [[0.8, 0.2], [0.5, 0.5], [0.1, 0.9], [0.5, 0.5]]
    assert risk.growth_rate(mdp, pi, b) == pytest.approx(2.0, rel=1e-9)  # state 1; from state 3 nothing is reached
    assert risk.growth_rate(mdp, [1, 0, 0, 0], b) == pytest.approx(2.0, rel=1e-9)
    assert risk.growth_rate(mdp, [1, 0, 0, 0], [[0.5, 0.5]] * 3 + [[1.0, 0.0]]) == pytest.approx(1.0, rel=1e-9)


def test_sparse_and_dense_models_are_one():
    """Lists of two successors among thirty states, and the same with all states listed."""
    garnet = generators.garnet(30, 3, 2, discount=0.9, rng=0)
    start, full = np.eye(30)[0], plain.dense(garnet.next_states, garnet.probabilities)
    told = {"start": start, "discount": 0.9, "horizon": 6, "reward_law": "bernoulli"}
    every = np.broadcast_to(np.arange(30), full.shape)
    sparse = MDP(garnet.next_states, garnet.probabilities, garnet.rewards, **told)
    layouts = sparse, MDP(every, full, garnet.rewards, **told)
    rng = np.random.default_rng(1)
    pi, b = rng.dirichlet(np.ones(3), (2, 6, 30))
    counts = rng.integers(1, 5, (6, 30, 3))
    found = [
        [
            risk.trajectory_is_risk(mdp, pi, b, n=1).variance,
            risk.per_decision_is_risk(mdp, pi, b, n=1).variance,
            risk.marginal_weights_risk(mdp, pi, b, n=1).variance,
            risk.fixed_counts_risk(mdp, pi, counts).variance,
            bounds.value_markov(mdp, pi, b, 1),
            bounds.value_pooled(mdp, pi, b, 1, known_start=True),
            risk.log_second_moments(mdp, pi, b)[-1],
            risk.growth_rate(mdp, pi[0], b[0]),
        ]
        for mdp in layouts
    ]
    assert np.array(found[0]) == pytest.approx(np.array(found[1]), rel=1e-10)
    assert float(found[0][2]) > float(found[0][4])


# Bounds by the delta method: derivatives of the value by every entry of the estimated tables


def derivative(value, table):
    """By a complex step: exact up to rounding."""
    out = np.empty(table.shape)
    for place in np.ndindex(table.shape):
        moved = table.astype(complex)
        moved[place] += 1e-30j
        out[place] = value(moved).imag / 1e-30
    return out


def spread(p, x):
    """Variance of the last axis of x under p."""
    return (p * (x - (p * x).sum(-1, keepdims=True)) ** 2).sum(-1)


def delta_method(value, p, r, visits, coins):
    """n Var of value(p, r) with tables (..., S, A, S) and (..., S, A) of `visits` rounds out of n."""
    noise = spread(p, derivative(lambda x: value(x, r), p))
    if coins:
        noise = noise + derivative(lambda x: value(p, x), r) ** 2 * r * (1 - r)
    return np.sum(noise / visits)


@checks("mdp.value_markov")
@checks("mdp.value_pooled")
@checks("mdp.value_pairs")
@pytest.mark.parametrize("coins", [True, False])
def test_bounds_are_those_of_the_delta_method(coins):
    rng = np.random.default_rng(4)
    p, rewards, start = plain.tables(rng, 3, 2)
    pi, b = rng.dirichlet([2, 2], (2, 4, 3))
    law = "bernoulli" if coins else "deterministic"
    mdp = MDP.dense(p, rewards, start, 0.8, horizon=4, reward_law=law)
    seen = mdp.occupancy(b)

    def value(p, r, rho=start):
        v = np.zeros(3)
        for h in range(3, -1, -1):
            v = (pi[h] * (r[h % len(r)] + 0.8 * p[h % len(p)] @ v)).sum(axis=-1)
        return rho @ v

    first = spread(start, derivative(lambda rho: value(p[None], rewards[None], rho), start))
    own = delta_method(value, np.array([p] * 4), np.array([rewards] * 4), seen, coins)
    shared = delta_method(value, p[None], rewards[None], seen.sum(axis=0), coins)
    for bound, expected in ((bounds.value_markov, own), (bounds.value_pooled, shared)):
        assert bound(mdp, pi, b, [1, 10]) == pytest.approx(np.array([1, 0.1]) * (first + expected), rel=1e-10)
        assert float(bound(mdp, pi, b, 1, known_start=True)) == pytest.approx(expected, rel=1e-10)

    def fixed_point(p, r):
        moves = np.einsum("sa,sat->st", pi[0], p[0])
        return start @ np.linalg.solve(np.eye(3) - 0.8 * moves, (pi[0] * r[0]).sum(axis=-1))

    mu = rng.dirichlet(np.ones(6)).reshape(3, 2)
    discounted = MDP.dense(p, rewards, start, 0.8, reward_law=law)
    expected = delta_method(fixed_point, p[None], rewards[None], mu, coins)
    assert float(bounds.value_pairs(discounted, pi[0], mu / mu.sum(), 1)) == pytest.approx(expected, rel=1e-10)


@checks("mdp.value_tree")
def test_the_tree_is_the_doubly_robust_sum_with_the_right_q(world):
    mdp, (pi, b) = world.mdp(), world.policies
    q, v = world.values()
    each = [(p, doubly_robust(world, steps, q)) for p, steps in world.episodes()]
    variance = float(paths.moments(each)[1])
    assert float(bounds.value_tree(mdp, pi, b, 1)) == pytest.approx(variance, rel=1e-12)
    first = float(paths.moments(list(zip(world.start, v[0], strict=True)))[1])
    assert float(bounds.value_tree(mdp, pi, b, 1, known_start=True)) == pytest.approx(variance - first, rel=1e-10)


def test_one_table_for_rewards_by_successor_is_one_for_every_step_added_up():
    """With one step both bounds are the same, and terminal states count for nothing."""
    world = WORLDS["ending"]
    one = paths.World(world.p[:1], world.start, world.target[:1], world.logged[:1], world.discount, terminal=(2,))
    found = [
        bound(one.mdp(1), *one.policies, 1) for bound in (bounds.value_markov, bounds.value_pooled, bounds.value_tree)
    ]
    assert found == pytest.approx([float(found[0])] * 3, rel=1e-12)
    assert bounds.value_pooled(world.mdp(1), *world.policies, 1) < bounds.value_markov(world.mdp(), *world.policies, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: risk.per_decision_is_risk(ring(3), PI, [1, 1, 1, 1, 1], n=1),
            "at step 0 it never takes action 0 in state 0",
        ),
        (lambda: risk.per_decision_is_risk(ring(3), PI, B / 5, n=1), "the joint law of"),
        (lambda: risk.per_decision_is_risk(ring(3), PI, 0.4 * B, n=1), r"behavior\[0\] must sum to 1"),
        (lambda: risk.weighted_is_risk(ring(3), PI, B, n=0), "n must be"),
        (lambda: risk.trajectory_is_risk(ring(None, 0.5), PI, B, n=1), "mdp must have a horizon"),
        (lambda: risk.doubly_robust_risk(ring(3), PI, B, n=1, q=np.zeros((2, 5, 2))), r"q must have shape \(H, S, A\)"),
        (lambda: risk.growth_rate(ring(3), np.array([PI] * 3), B), "must be the same at all steps"),
        (lambda: risk.fixed_counts_risk(ring(3), PI, np.ones((5, 2), int)), r"counts must have shape"),
        (lambda: risk.log_second_moments(ring(3), np.array([[PI] * 3] * 2), B), "policy must be a single policy"),
        (lambda: bounds.value_pooled(WORLDS["stepped"].mdp(), *WORLDS["stepped"].policies, 1), "same at all steps"),
        (lambda: bounds.value_pairs(ring(3), PI, B / 5, 1), "mdp must be a single model without a horizon"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_bounds_without_support_are_infinite():
    for bound in (bounds.value_markov, bounds.value_tree, bounds.value_pooled):
        assert bound(ring(3), PI, [1, 1, 1, 1, 1], [1, 2]).tolist() == [np.inf] * 2
    law = np.array([[0.2, 0.0]] * 5)
    assert bounds.value_pairs(ring(None, 0.5), PI, law, 1) == np.inf
