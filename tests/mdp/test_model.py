"""MDP: every policy by brute force, layouts of one model, horizons, corners, bad input."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pessimism.bandits import Bandit
from pessimism.mdp import MDP
from pessimism.mdp._engine import bellman, evaluation, optimum
from tests.mdp import reference as plain
from tests.mdp.sizes import examples

SEEDS = st.integers(0, 2**32)
DISCOUNTS = st.sampled_from([0.0, 0.5, 0.9, 0.9999])
ALL = plain.policies(3, 2)


def close(value, rel=1e-9):
    return pytest.approx(np.asarray(value), rel=rel, abs=1e-12)


@examples(0.4)
@given(SEEDS, DISCOUNTS)
def test_every_policy_of_three_states_by_brute_force(seed, discount):
    """All that take one action, and one that mixes them."""
    rng = np.random.default_rng(seed)
    matrices, rewards, rho = plain.tables(rng, 3, 2)
    mdp = MDP.dense(matrices, rewards, rho, discount)
    laws = np.concatenate([plain.as_law(ALL, 2), rng.dirichlet(np.ones(2), (1, 3))])
    values = np.array([plain.evaluate(matrices, rewards, discount, law) for law in laws])
    met = np.array([plain.occupancy(matrices, rho, discount, law) for law in laws])
    best, mu = values.max(axis=0), rng.dirichlet(np.ones(6)).reshape(3, 2)
    mu /= mu.sum()
    for policies, own in ((laws, slice(None)), (ALL, slice(len(ALL)))):
        assert mdp.evaluate(policies) == close(values[own])
        assert mdp.value(policies) == close(values[own] @ rho)
        assert mdp.suboptimality(policies) == pytest.approx((best - values[own]) @ rho, abs=1e-10 * best.max())
        assert mdp.occupancy(policies) == close(met[own])
        # the two meanings of J
        assert mdp.value(policies) * (1 - discount) == close((met[own] * rewards).sum(axis=(1, 2)))
        assert mdp.coverage(mu, policies) == close([plain.coverage(d, mu) for d in met[own]])
        assert mdp.coverage(mu, policies, clipped=True) == close([plain.coverage(d, mu, clip=1 / 3) for d in met[own]])
    assert mdp.optimal_values == close(best)
    assert mdp.best_policy.tolist() == ALL[np.all(values[:-1] >= best * (1 - 1e-9), axis=1).argmax()].tolist()
    assert mdp.suboptimality(mdp.best_policy) == 0.0
    q = rewards + discount * matrices @ best
    assert mdp.gaps == pytest.approx(q.max(axis=1, keepdims=True) - q, abs=1e-10 * best.max())
    assert mdp.coverage(mu) == mdp.coverage(mu, mdp.best_policy)


@given(SEEDS, st.sampled_from([None, 2]))
def test_equal_actions_are_tied_and_the_lowest_is_taken(seed, horizon):
    rng = np.random.default_rng(seed)
    matrices, rewards, rho = plain.tables(rng, 3, 2)
    order = [0, 1, 0, 1]
    discount = 0.9999 if horizon is None else 1.0
    mdp = MDP.dense(matrices[:, order], rewards[:, order], rho, discount, horizon=horizon)
    assert np.all(mdp.best_policy < 2)
    assert np.array_equal(mdp.gaps[..., :2], mdp.gaps[..., 2:])
    assert np.all(mdp.gaps.min(axis=-1) == 0.0)
    assert mdp.suboptimality(mdp.best_policy + 2) == 0.0


def test_symmetry_ties_actions_that_rounding_tells_apart():
    """A ring with a prize in one state: from the state opposite, left and right are worth the same."""
    n = 8
    ring = MDP.from_function(
        lambda s, a: [(0.7, (s + 1 - 2 * a) % n, s == 0), (0.3, (s - 1 + 2 * a) % n, s == 0)], n, 2, discount=0.999
    )
    assert ring.best_policy.tolist() == [0, 1, 1, 1, 0, 0, 0, 0]
    assert np.flatnonzero(np.all(ring.gaps == 0.0, axis=1)).tolist() == [0, 4]


def test_small_losses_are_not_differences_of_large_values():
    """Seldom met, or a small gap: the loss has its digits, the difference of the values has none."""
    stay = np.eye(2)[:, None].repeat(2, axis=1)
    rare = MDP.dense(stay, [[1.0, 1.0], [0.75, 0.5]], [1 - 2**-50, 2**-50], 1 - 2**-14)
    assert rare.suboptimality([0, 1]) == pytest.approx(2**-38, rel=1e-10)
    near = MDP.dense(stay, [[1.0, 1.0], [1.0, 1.0 - 2**-30]], [0.0, 1.0], 0.5)
    assert near.suboptimality([0, 1]) == 2**-29


def test_batches_of_models_and_policies_broadcast():
    rng = np.random.default_rng(1)
    matrices, rewards, _ = plain.tables(rng, 3, 2)
    many = rng.random((4, 1, 3, 2))
    starts = rng.dirichlet(np.ones(3), 5)
    starts /= starts.sum(axis=1, keepdims=True)
    mdp = MDP.dense(matrices, many, starts, 0.9)
    policy, mu = rng.integers(0, 2, (6, 4, 5, 3)), np.full((3, 2), 1 / 6)
    assert mdp.shape == (4, 5)
    values, losses, occupied = mdp.value(policy), mdp.suboptimality(policy), mdp.occupancy(policy)
    assert (values.shape, occupied.shape, mdp.gaps.shape) == ((6, 4, 5), (6, 4, 5, 3, 2), (4, 5, 3, 2))
    for k, i, j in np.ndindex(6, 4, 5):
        single = MDP.dense(matrices, many[i, 0], starts[j], 0.9)
        assert values[k, i, j] == close(single.value(policy[k, i, j]), 1e-12)
        assert losses[k, i, j] == close(single.suboptimality(policy[k, i, j]), 1e-11)
        assert occupied[k, i, j] == close(single.occupancy(policy[k, i, j]), 1e-12)
        assert mdp.coverage(mu)[i, j] == close(single.coverage(mu), 1e-12)
    tables = np.stack([plain.tables(rng, 3, 2)[0] for _ in range(3)])
    lists = np.broadcast_to(np.arange(3), (3, 2, 3))
    steps = MDP(lists, tables, rewards, horizon=2)
    assert steps.optimal_values.shape == (3, 2, 3)
    for i in range(3):
        assert steps.optimal_values[i] == close(MDP.dense(tables[i], rewards, horizon=2).optimal_values)
        assert np.array_equal(steps.best_policy[i], MDP.dense(tables[i], rewards, horizon=2).best_policy)


def padded(rng, matrices, rewards):
    """The same model on lists in another order, with successors in two parts and rubbish of probability 0."""
    lists = np.broadcast_to(rng.permutation(3), (*matrices.shape[:-1], 3))
    p = np.take_along_axis(matrices, lists, axis=-1)
    part = rng.random(p.shape)
    r = np.take_along_axis(rewards, lists, axis=-1)
    rubbish = rng.integers(0, 3, (*matrices.shape[:-1], 2))
    return (
        np.concatenate([lists, rubbish, lists], axis=-1),
        np.concatenate([p * part, np.zeros(rubbish.shape), p * (1 - part)], axis=-1),
        np.concatenate([r, 1e9 - 2e9 * (rubbish > 0), r], axis=-1),
    )


@examples(0.4)
@given(SEEDS, st.sampled_from([None, 3]))
def test_padded_lists_are_the_dense_model(seed, horizon):
    rng = np.random.default_rng(seed)
    matrices, _, rho = plain.tables(rng, 3, 2)
    rewards = rng.random((3, 2, 3))
    discount = 0.9 if horizon is None else 1.0
    full = MDP.dense(matrices, rewards, rho, discount, horizon=horizon)
    lists = MDP(*padded(rng, matrices, rewards), rho, discount, horizon=horizon)
    assert full.per_successor
    assert full.mean_rewards == close(np.broadcast_to((matrices * rewards).sum(axis=-1), full.mean_rewards.shape))
    policy = rng.dirichlet(np.ones(2), 3)
    assert lists.evaluate(policy) == close(full.evaluate(policy), 1e-12)
    assert lists.occupancy(policy) == close(full.occupancy(policy), 1e-12)
    assert lists.gaps == close(full.gaps, 1e-10)
    assert np.array_equal(lists.best_policy, full.best_policy)
    assert lists.value_range == close(full.value_range)  # no policy earns the rubbish
    low, high = full.value_range
    assert low <= full.value(full.best_policy) <= high


def test_from_function_adds_up_what_occurs_twice():
    def step(s, a):
        return [(0.25, 1, 0.0), (0.5, 0, 4.0 * a), (0.0, 1, np.nan), (0.25, 1, 2.0)]

    mdp = MDP.from_function(step, 2, 2, [1, 0], 0.5)
    assert mdp.next_states.tolist() == [[[0, 1]] * 2] * 2
    assert mdp.probabilities.tolist() == [[[0.5, 0.5]] * 2] * 2
    assert mdp.rewards.tolist() == [[[0.0, 1.0], [4.0, 1.0]]] * 2
    assert mdp.mean_rewards.tolist() == [[0.5, 2.5]] * 2
    assert mdp.value([1, 1]) == 5.0
    assert MDP.from_function(step, 2, 2, horizon=3).best_policy.tolist() == [[1, 1]] * 3


@examples(0.4)
@given(SEEDS, DISCOUNTS)
def test_large_models_are_solved_sparsely_with_the_same_result(seed, discount):
    rng = np.random.default_rng(seed)
    lists, p, rewards = plain.garnet(rng, 12, 2, 3)
    start = np.eye(12)[0]
    mdp = MDP(lists, p, rewards, start, discount)
    policy = rng.dirichlet(np.ones(2), (2, 12))
    dense = mdp.evaluate(policy), mdp.occupancy(policy), mdp.suboptimality(policy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "DENSE_STATES", 11)
        sparse = mdp.evaluate(policy), mdp.occupancy(policy), mdp.suboptimality(policy)
        best = MDP(lists, p, rewards, start, discount).best_policy
    for ours, theirs in zip(sparse, dense, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-8, abs=1e-13)
    assert np.array_equal(sparse[1] > 0, dense[1] > 0)  # what is never met has mass 0, exactly
    assert np.array_equal(best, mdp.best_policy)


def test_sweeps_finish_what_krylov_steps_cannot(monkeypatch):
    """A deterministic ring: BiCGSTAB breaks down on shifts. From state 0 state k is met at times k, k + n, ..."""
    n, discount = 60, 0.999
    ring = MDP.from_function(lambda s, a: [(1.0, (s + 1) % n, float(s == 0))], n, 1, np.eye(n)[0], discount)
    monkeypatch.setattr(evaluation, "DENSE_STATES", 1)
    power = discount ** np.arange(n)
    policy = np.zeros(n, int)
    assert ring.occupancy(policy)[:, 0] == close(power * (1 - discount) / (1 - discount**n))
    assert ring.evaluate(policy) == close([discount ** (-s % n) / (1 - discount**n) for s in range(n)])


def test_the_largest_dense_model_and_the_smallest_sparse_one():
    rng = np.random.default_rng(4)
    for n in (evaluation.DENSE_STATES, evaluation.DENSE_STATES + 1):
        lists, p, rewards = plain.garnet(rng, n, 1, 2)
        mdp = MDP(lists, p, rewards, discount=0.9)
        values = mdp.evaluate(np.zeros(n, int))
        residual = rewards[:, 0] + 0.9 * (p[:, 0] * values[lists[:, 0]]).sum(axis=1) - values
        assert np.abs(residual).max() < 1e-12
        assert mdp.occupancy(np.zeros(n, int)).sum() == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("discount", [0.99, 0.999])
def test_an_occupancy_is_a_law_that_data_can_be_drawn_from(discount, sparse, monkeypatch):
    """Rounding of a nearly singular system is not left to the total, which samplers check to 1e-12."""
    if sparse:
        monkeypatch.setattr(evaluation, "DENSE_STATES", 1)
    lists, p, rewards = plain.garnet(np.random.default_rng(2), 30, 2, 2)
    ring = np.stack([np.arange(30), (np.arange(30) + 1) % 30], axis=-1)[:, None].repeat(2, axis=1)
    for successors in (lists, ring):
        mdp = MDP(successors, p, rewards, np.eye(30)[0], discount)
        mdp.check_behavior(mdp.occupancy(np.zeros(30, int)))


@pytest.mark.kernels
@given(SEEDS, st.integers(0, 4), st.sampled_from([0.0, 0.9, 1.0]), st.booleans())
def test_horizons_by_plain_recursion(seed, horizon, discount, stationary):
    rng = np.random.default_rng(seed)
    matrices, rewards, rho = plain.tables(rng, 3, 2, () if stationary else (horizon,))
    mdp = MDP.dense(matrices, rewards, rho, discount, horizon=horizon)
    if stationary:
        matrices, rewards = (np.broadcast_to(x, (horizon, *x.shape)) for x in (matrices, rewards))
    policy = rng.dirichlet(np.ones(2), (horizon, 3))
    values, met = plain.backward(matrices, rewards, discount, policy), plain.forward(matrices, rho, policy)
    best, actions = plain.backward_induction(matrices, rewards, discount)
    assert mdp.evaluate(policy) == close(values)
    assert mdp.occupancy(policy) == close(met.reshape(horizon, 3, 2))
    assert mdp.value(policy) == close(rho @ values[0] if horizon else 0.0)
    assert mdp.optimal_values == close(best.reshape(horizon, 3))
    assert np.array_equal(mdp.best_policy, actions.reshape(horizon, 3))
    assert mdp.suboptimality(policy) == close(rho @ (best[0] - values[0]) if horizon else 0.0)
    mu = rng.dirichlet(np.ones(6), horizon).reshape(horizon, 3, 2)
    mu /= mu.sum(axis=(1, 2), keepdims=True)
    assert mdp.coverage(mu, policy) == close(plain.coverage(met, mu))
    assert mdp.coverage(mu, policy, clipped=True) == close(plain.coverage(met, mu, clip=1 / 3))
    some = rng.integers(0, 2, 3)
    assert np.array_equal(mdp.evaluate(some), mdp.evaluate(np.broadcast_to(some, (horizon, 3))))


def test_every_policy_of_two_steps_by_brute_force():
    rng = np.random.default_rng(6)
    matrices, rewards, rho = plain.tables(rng, 3, 2, (2,))
    mdp = MDP.dense(matrices, rewards, rho, horizon=2)
    every = plain.policies(3, 2, (2,))
    values = np.array([plain.backward(matrices, rewards, 1.0, plain.as_law(p, 2)) for p in every])
    assert mdp.evaluate(every) == close(values)
    assert np.array_equal(mdp.best_policy, every[np.all(values >= values.max(axis=0) - 1e-12, axis=(1, 2)).argmax()])
    assert mdp.suboptimality(every) == close((values.max(axis=0) - values)[:, 0] @ rho)


@given(SEEDS)
def test_tables_of_equal_steps_are_the_stationary_model(seed):
    rng = np.random.default_rng(seed)
    matrices, rewards, rho = plain.tables(rng, 3, 2)
    rewards = rewards if rng.random() < 0.5 else rng.random((3, 2, 3))
    once = MDP.dense(matrices, rewards, rho, 0.8, horizon=3)
    for steps in (1, 3):
        tables = [np.broadcast_to(x, (steps, *x.shape)) for x in (matrices, rewards)]
        repeated = MDP.dense(*tables, rho, 0.8, horizon=3)
        assert len(repeated.next_states) == steps
        assert np.array_equal(repeated.optimal_values, once.optimal_values)
        assert np.array_equal(repeated.gaps, once.gaps)


def test_a_long_horizon_tends_to_the_discounted_model():
    matrices, rewards, rho = plain.tables(np.random.default_rng(3), 3, 2)
    endless, long = MDP.dense(matrices, rewards, rho, 0.5), MDP.dense(matrices, rewards, rho, 0.5, horizon=60)
    assert long.value([1, 0, 1]) == pytest.approx(endless.value([1, 0, 1]), rel=1e-14)
    assert long.optimal_values[0] == pytest.approx(endless.optimal_values, rel=1e-14)
    assert long.value_range == pytest.approx(endless.value_range, rel=1e-14)


def test_no_steps_at_all():
    empty = MDP.dense(np.ones((0, 2, 1, 2)) / 2, np.ones((0, 2, 1)), horizon=0)
    assert empty.value(np.zeros((0, 2), int)) == empty.suboptimality(np.zeros((0, 2), int)) == 0.0
    assert empty.occupancy([0, 0]).shape == (0, 2, 1)
    assert empty.value_range == (0.0, 0.0)


def test_absorbing_and_unreachable_states():
    """0 -> 1 or 2; both absorb; 3 leads to all and is never met."""
    lists = [[[1, 1, 1], [2, 2, 2]], [[1] * 3] * 2, [[2] * 3] * 2, [[0, 1, 2]] * 2]
    p = np.full((4, 2, 3), 1 / 3)
    mdp = MDP(lists, p, [[0.0, 0.5], [1.0, 1.0], [0.25, 0.25], [9.0, 9.0]], [1.0, 0, 0, 0], 0.75)
    assert mdp.occupancy([0, 0, 0, 0])[:, 0].tolist() == [0.25, 0.75, 0.0, 0.0]
    assert mdp.evaluate([0, 0, 0, 0])[:3] == pytest.approx([3.0, 4.0, 1.0], rel=1e-15)
    assert mdp.suboptimality([1, 0, 0, 0]) == pytest.approx(3.0 - (0.5 + 0.75), rel=1e-14)
    expert = np.zeros((4, 2))
    expert[:, 0] = [0.125, 0.375, 0.0, 0.5]
    assert mdp.coverage(expert) == 2.0  # 0/0 = 0 where the policy never is
    assert mdp.coverage(expert, clipped=True) == 2.0
    assert mdp.coverage(np.diag([0.5, 0.5, 0, 0])[:, :2]) == math.inf
    assert mdp.coverage(np.full((4, 2), 1 / 8), clipped=True) == 2.0  # min(3/4, 1/4) * 8


@given(SEEDS, st.sampled_from([1, 3]))
def test_states_without_a_future_are_contexts(seed, states):
    """And a single one the multi-armed bandit: what one action is worth is then the same to the last digit."""
    rng = np.random.default_rng(seed)
    matrices, means, rho = plain.tables(rng, states, 2)
    bandit, mu, rounding = Bandit(means, rho), np.full((states, 2), 0.5 / states), 0.0 if states == 1 else 1e-14
    for mdp in (MDP.dense(matrices, means, rho, 0.0), MDP.dense(matrices, means, rho, horizon=1)):
        assert np.array_equal(mdp.best_policy.reshape(states), bandit.best_policy)
        for policy in (*rng.integers(0, 2, (5, states)), rng.dirichlet(np.ones(2), states)):
            own, law = (policy, mu) if mdp.horizon is None else (policy[None], mu[None])
            rel = rounding if policy.dtype.kind == "i" else 1e-14
            assert mdp.value(own) == pytest.approx(bandit.value(policy), rel=rel, abs=0)
            assert mdp.suboptimality(own) == pytest.approx(bandit.suboptimality(policy), rel=rel, abs=1e-15)
            assert mdp.coverage(law, own) == pytest.approx(bandit.coverage(mu, policy), rel=rel, abs=0)


def test_a_model_that_earns_nothing():
    matrices, _, rho = plain.tables(np.random.default_rng(3), 3, 2)
    mdp = MDP.dense(matrices, np.zeros((3, 2)), rho, 0.9)
    assert mdp.best_policy.tolist() == [0, 0, 0]
    assert mdp.suboptimality([1, 1, 1]) == 0.0


def test_any_layout_gives_the_same_numbers():
    matrices, rewards, rho = plain.tables(np.random.default_rng(5), 4, 2)
    rewards = np.float32(rewards)
    mdp = MDP.dense(matrices, rewards.astype(float), rho, 0.5)
    law = np.full((4, 2), 1 / 8)
    law.setflags(write=False)
    wide = np.zeros((4, 4, 8))
    wide[:, ::2, ::2] = matrices
    for tables in (
        (np.asfortranarray(matrices), np.asfortranarray(rewards)),
        (wide[:, ::2, ::2], rewards.astype(">f4")),
        (matrices.tolist(), rewards),
    ):
        other = MDP.dense(*tables, rho, 0.5)
        assert np.array_equal(other.optimal_values, mdp.optimal_values)
        assert np.array_equal(other.evaluate(np.ones(8, np.int16)[::2]), mdp.evaluate([1, 1, 1, 1]))
        assert np.array_equal(other.sample(law, n=9, rng=1).next_counts, mdp.sample(law, n=9, rng=1).next_counts)
        assert np.array_equal(other.coverage(law[::-1]), mdp.coverage(law))
    assert np.array_equal(pickle.loads(pickle.dumps(mdp)).optimal_values, mdp.optimal_values)


def test_input_arrays_stay_the_callers():
    rewards = np.array([[0.5, 0.25]])
    mdp = MDP.dense(np.ones((1, 2, 1)), rewards, discount=0.5)
    rewards[0, 0] = 9.0
    assert mdp.value([0]) == 1.0
    for array in (mdp.rewards, mdp.probabilities, mdp.next_states, mdp.start):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(AttributeError):
        mdp.rewards = rewards


LISTS, HALF, GAIN = [[[0, 1]], [[1, 1]]], np.full((2, 1, 2), 0.5), np.ones((2, 1))


def model(next_states=LISTS, probabilities=HALF, rewards=GAIN, start=None, discount=0.5, **options):
    return MDP(next_states, probabilities, rewards, start, discount, **options)


def listed(outcomes):
    return MDP.from_function(lambda s, a: outcomes, 1, 1)


PAIR = MDP(LISTS, HALF, GAIN, discount=0.5)
STEPS = MDP(LISTS, HALF, GAIN, horizon=3)
BATCH = MDP(LISTS, HALF, np.ones((3, 2, 1)), discount=0.5)
BAD = [
    (lambda: model([[[0, 2]], [[1, 1]]]), r"next_states\[0, 0, 1\] must be a whole number in \[0, 1\], got 2"),
    (lambda: model([[[0, 0.5]], [[1, 1]]]), r"next_states\[0, 0, 1\] must be a whole number"),
    (lambda: model([[[0, 1]], [[1]]]), "next_states must be a rectangular array"),
    (lambda: model([[0, 1], [1, 1]]), r"next_states must have shape \(S, A, B\) with no axis of length 0"),
    (lambda: model([[LISTS]], horizon=2), r"next_states must have shape \(S, A, B\) or \(H, S, A, B\)"),
    (lambda: model(np.zeros((2, 0, 2), int)), r"no axis of length 0, got \(2, 0, 2\)"),
    (lambda: model([LISTS] * 2, [HALF] * 2, horizon=3), "next_states must have 1 or horizon = 3 steps, got 2"),
    (lambda: model(probabilities=HALF * 0.9), r"probabilities\[0, 0\] must sum to 1 within 1e-12, got 0.9"),
    (lambda: model(probabilities=[[[0.5, 0.5]], [[1.5, -0.5]]]), r"probabilities\[1, 0, 1\] must be in"),
    (lambda: model(probabilities=[[[0.5, np.nan]]] * 2), r"probabilities\[0, 0, 1\] must be finite, got nan"),
    (lambda: model(probabilities=np.full((2, 1, 1), 1.0)), "probabilities must end in the shape"),
    (
        lambda: model(rewards=np.ones((2, 2))),
        r"rewards must end in shape \(2, 1\) or \(2, 1, 2\), as the transitions have, got \(2, 2\)",
    ),
    # silently a batch of H models, they would be valued as what they are not
    (
        lambda: model(rewards=np.ones((3, 2, 1)), horizon=3),
        r"rewards of shape \(3, 2, 1\) would be a batch of 3 models",
    ),
    (lambda: model(rewards=np.ones((3, 2, 2)), horizon=2), r"rewards must end in shape \(2, 1\) or \(2, 1, 2\)"),
    (lambda: model([LISTS] * 2, [HALF] * 2, horizon=2), r"rewards must end in shape \(2, 2, 1\) or"),
    (lambda: model(rewards=[[math.inf], [0.0]]), r"rewards\[0, 0\] must be finite, got inf"),
    (lambda: model(rewards=[[2.0], [0.0]], reward_law="bernoulli"), r"rewards\[0, 0\] must be in \[0, 1\]"),
    (lambda: model(reward_law="normal"), "reward_law must be one of 'deterministic', 'bernoulli'"),
    (lambda: model(start=[1.0]), "start must have 2 entries, one a state, got 1"),
    (lambda: model(start=[0.5, 0.6]), r"start must sum to 1 within 1e-12, got 1.1"),
    (lambda: model(start=[1.5, -0.5]), r"start\[1\] must be in"),
    (lambda: model(rewards=np.ones((3, 2, 1)), start=np.full((2, 2), 0.5)), "probabilities, rewards and start"),
    (lambda: model(discount=None), r"discount must be given, in \[0, 1\), unless there is a horizon"),
    (lambda: model(discount=1.0), r"discount must be in \[0, 1\), got 1.0"),
    (lambda: model(discount=math.nan), r"discount must be in \[0, 1\)"),
    (lambda: model(discount=1.1, horizon=2), r"discount must be in \[0, 1\], got 1.1"),
    (lambda: model(discount=[0.5, 0.6]), "discount must be one number"),
    (lambda: model(horizon=-1), "horizon must be a whole number in"),
    (lambda: model(horizon=2.5), "horizon must be a whole number in"),
    (lambda: MDP.dense(np.ones((2, 1, 3)) / 3, GAIN, discount=0.5), r"transitions must have shape \(S, A, S\)"),
    (lambda: MDP.dense(np.ones((2, 1, 2)), GAIN, discount=0.5), r"transitions\[0, 0\] must sum to 1"),
    (lambda: listed([(0.5, 0, 0.0)]), r"step\(0, 0\) must list probabilities that"),
    (
        lambda: listed([(1.0, 1, 0.0)]),
        r"step\(0, 0\)\[0\] must be \(probability >= 0, next state below n_states = 1, finite reward\), got",
    ),
    (lambda: listed([(np.nan, 0, 0.0)]), r"step\(0, 0\)\[0\] must be \(probability >= 0"),
    (lambda: listed([(1.0, 0, 0.0), (1.0, 0)]), r"step\(0, 0\)\[1\] must be \(probability .* got \(1.0, 0\)"),
    (lambda: listed((1.0, 0)), r"step\(0, 0\)\[0\] must be .* got 1.0"),
    (lambda: listed([(1.0, 0, "x")]), r"step\(0, 0\)\[0\] must be .* got \(1.0, 0, 'x'\)"),
    (lambda: listed([(1.0, None, 0.0)]), r"step\(0, 0\)\[0\] must be .* got \(1.0, None, 0.0\)"),
    (lambda: listed([(1.0, 0, math.nan)]), r"step\(0, 0\)\[0\] must be .* finite reward\), got \(1.0, 0, nan\)"),
    (lambda: listed([]), r"step\(0, 0\) must list probabilities that sum to 1"),
    (lambda: MDP.from_function(lambda s, a: [], 0, 1), r"n_states must be a whole number in \[1"),
    (lambda: PAIR.value([0, 1]), r"policy\[1\] must be a whole number in \[0, 0\], got 1"),
    (lambda: PAIR.value([0]), r"policy must have shape \(..., S\) of int or .* got int of shape \(1,\)"),
    (lambda: PAIR.value([[0.5], [1.0]]), r"policy\[0\] must sum to 1"),
    (lambda: PAIR.value([0.5, 0.5]), r"policy must have shape .* got float of shape \(2,\)"),
    (lambda: PAIR.value([True, False]), r"policy must have shape .* got bool of shape \(2,\)"),
    (lambda: STEPS.value(np.zeros((2, 2), int)), r"policy must have shape \(..., H, S\) .* H = 3, got int"),
    (lambda: BATCH.value(np.zeros((2, 2), int)), r"policy and model must have shapes that broadcast"),
    (lambda: PAIR.coverage([[0.5], [0.4]]), "behavior must sum to 1"),
    (lambda: PAIR.coverage([[1.5], [-0.5]]), r"behavior\[1, 0\] must be in"),
    (lambda: PAIR.coverage([[0.5, 0.5]]), r"behavior must end in shape \(2, 1\), got \(1, 2\)"),
    (lambda: STEPS.coverage([[0.5], [0.5]]), r"behavior must end in shape \(3, 2, 1\)"),
    (lambda: BATCH.coverage(np.full((2, 2, 1), 0.5)), "behavior and model must have shapes that broadcast"),
    (
        lambda: PAIR.coverage(np.full((2, 2, 1), 0.5), np.zeros((3, 2), int)),
        "behavior, policy and model must have shapes that broadcast",
    ),
    (lambda: PAIR.sample([[0.5], [0.5]], n=-1), r"n must be a whole number in \[0, 2\*\*53\]"),
    (lambda: PAIR.sample([[0.5], [0.5]], n=1.5), "n must be a whole number"),
    (lambda: PAIR.sample([[0.5], [0.5]], n=1, size=-1), "size must be"),
    (lambda: BATCH.sample([[0.5], [0.5]], n=[1, 2]), "n, behavior and model must have shapes that broadcast"),
    (lambda: PAIR.sample_at([[1.5], [0]]), r"counts\[0, 0\] must be a whole number"),
    (lambda: PAIR.sample_at([[1, 0]]), r"counts must end in shape \(2, 1\), got \(1, 2\)"),
    (lambda: BATCH.sample_at(np.ones((2, 2, 1))), "counts and model must have shapes that broadcast"),
    (lambda: PAIR.sample_episodes([0, 0], n=2), "steps must be given for a model without a horizon"),
    (lambda: STEPS.sample_episodes([0, 0], n=2, steps=3), "steps must not be given: the horizon"),
    (lambda: BATCH.sample_episodes([0, 0], n=2, steps=3), "episodes follow one policy in one model"),
    (lambda: STEPS.sample_episodes([0, 0], n=-2), "n must be a whole number"),
    (lambda: PAIR.sample_log([0, 0], n=2.5, steps=1), "n must be a whole number"),
    (lambda: PAIR.sample_log([0, 0], n=2, steps=-1), "steps must be a whole number"),
]
OF_ANOTHER_KIND = [
    (lambda: listed(None), r"step\(0, 0\) must list outcomes \(probability, next state, reward\), got None"),
    (lambda: model(np.array([[[0, None]]])), "next_states must hold numbers, got dtype object"),
    (lambda: model(probabilities=HALF.astype(object)), "probabilities must hold numbers, got dtype object"),
    (lambda: model(rewards=[[None], [0.0]]), "rewards must hold numbers, got dtype object"),
    (lambda: MDP.from_function("x", 1, 1), "step must be a function of state and action, got 'x'"),
    (lambda: PAIR.value([0, None]), "policy must hold numbers, got dtype object"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input_is_one_error_that_names_it(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(("call", "message"), OF_ANOTHER_KIND)
def test_arguments_of_another_kind_are_named(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_the_reward_range_is_that_of_the_means_or_the_one_given():
    def built(rewards, **kwargs):
        return MDP(np.zeros((1, 1, 2), int), [[[1.0, 0.0]]], rewards, discount=0.5, **kwargs)

    assert built([[0.3]]).reward_range == (0.0, 1.0)
    assert built([[-2.0]]).reward_range == (-2.0, -1.0)
    assert built([[[3.0, 1e9]]]).reward_range == (3.0, 4.0)  # the billion cannot happen
    assert built([[-2.0]], reward_range=(-4, 0)).sample([[1.0]], n=3).reward_range == (-4.0, 0.0)
    with pytest.raises(ValueError, match=r"reward_range must hold the rewards, which are in \[-2, -2\]"):
        built([[-2.0]], reward_range=(0, 1))


# ---- NumPy pieces of the engine


@given(SEEDS, st.booleans(), st.booleans())
def test_action_values(seed, one_table, one_reward):
    rng = np.random.default_rng(seed)
    lists, p = plain.step_tables(rng, 1 if one_table else 3, 1)
    p, rewards, values = p[:, 0].copy(), rng.normal(size=(1 if one_reward else 3, 4, 2)), rng.normal(size=(3, 4))
    rewards[0, 1, 1] = -np.inf  # a forbidden action
    q = bellman.action_values(lists[0], p, rewards, 0.9, values)
    for i in range(3):
        expected = rewards[i % len(rewards)] + 0.9 * plain.dense(lists[0], p[i % len(p)]) @ values[i]
        assert q[i] == pytest.approx(expected, rel=1e-12, abs=1e-14)


@examples(0.4)
@given(SEEDS, st.sampled_from([0.0, 0.9, 0.999]))
def test_small_and_large_models_have_the_same_optimum(seed, discount):
    """From the actions of largest reward and from a plan; ties included, because rewards are coarse."""
    rng = np.random.default_rng(seed)
    lists, p, rewards = plain.garnet(rng, 6, 3, 2, (2,))
    tables = MDP(lists, p, np.round(3 * rewards), discount=discount).tables
    scale = 3.0 / (1.0 - discount)
    small = optimum._policy_iteration(tables, optimum._greedy(tables))
    large = optimum._policy_iteration(tables, optimum._nearly_optimal(tables, scale))
    assert np.array_equal(small[0], large[0])
    assert small[1] == pytest.approx(large[1], rel=1e-12)
    assert small[2] == pytest.approx(large[2], rel=1e-9, abs=1e-11 * scale)


def test_a_small_model_that_needs_many_rounds_starts_from_a_plan(monkeypatch):
    """Along a corridor every round of policy iteration wins one state."""
    n = 60
    steps = [[[max(s - 1, 0)], [min(s + 1, n - 1)]] for s in range(n)]
    rewards = np.zeros((n, 2))
    rewards[0, 0], rewards[-1, 1] = 1e-3, 1.0
    corridor = MDP(steps, np.ones((n, 2, 1)), rewards, discount=0.99)
    assert optimum._policy_iteration(corridor.tables, optimum._greedy(corridor.tables)) is None
    assert corridor.best_policy.tolist() == [1] * n
    monkeypatch.setattr(optimum, "_nearly_optimal", lambda tables, scale: optimum._greedy(tables))
    with pytest.raises(RuntimeError, match="did not settle within 50 rounds"):
        _ = MDP(steps, np.ones((n, 2, 1)), rewards, discount=0.99).gaps
