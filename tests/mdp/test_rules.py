"""Rules for MDPs: naive twins, the theorems they rest on, what they do with nothing, bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from pessimism._status import Status
from pessimism.bandits import BanditData, lcb
from pessimism.mdp import (
    MDP,
    ConvergenceError,
    ConvergenceWarning,
    MDPData,
    Transitions,
    algorithm_3,
    behavior_cloning,
    cql,
    cql_values,
    lcb_q,
    pevi,
    plug_in,
    vi_lcb,
    vi_lcb_bernstein,
    vi_lcb_episodic,
)
from pessimism.mdp._engine.bernstein import bernstein_sweep
from pessimism.mdp.rules import vi_lcb_bernstein as bernstein
from pessimism.mdp.rules.vi_lcb import fold_count
from tests.mdp.reference import empirical, raised
from tests.mdp.sizes import examples

SEEDS = st.integers(0, 2**32)
pytestmark = pytest.mark.filterwarnings("ignore::pessimism.mdp.ImitationWarning")  # of that see test_imitation


def world(seed, n_states=3, n_actions=2, horizon=None, discount=0.8, reward_law="bernoulli"):
    rng = np.random.default_rng(seed)
    steps = () if horizon is None else (horizon,)
    p = rng.dirichlet(np.full(n_states, 0.7), (*steps, n_states, n_actions))
    r = rng.random((*steps, n_states, n_actions))
    discount = discount if horizon is None else None
    return MDP.dense(p, r, discount=discount, horizon=horizon, reward_law=reward_law)


def log(seed, n=400, size=None, **kwargs):
    """Data of a random law; every third pair is never seen."""
    mdp = world(seed, **kwargs)
    rng = np.random.default_rng(seed + 1)
    shape = (() if mdp.horizon is None else (mdp.horizon,)) + (mdp.n_states, mdp.n_actions)
    counts = rng.integers(0, n, shape) * (rng.random(shape) < 0.67)
    return mdp, mdp.sample_at(counts, size=size, rng=rng)


# ---- VI-LCB


@examples(0.4)
@given(SEEDS, st.sampled_from([0.0, 0.3, 0.8, 0.95]), st.sampled_from([1e-4, 0.01, 0.5]))
def test_vi_lcb_reaches_the_fixed_point_of_the_plain_loop_from_below(seed, discount, constant):
    _, data = log(seed, discount=discount)
    plan = vi_lcb(data, discount=discount, constant=constant, tolerance=1e-9)
    level = constant * math.log(2 * data.counts.size * max(int(data.n), 1))
    value, policy = raised([empirical(data)] * 2000, data.counts.argmax(axis=-1), discount, level)
    assert np.all(plan.value <= value + 1e-12)
    assert plan.value == pytest.approx(value, abs=2e-9)
    assert plan.policy.tolist() == policy.tolist()
    assert plan.error_bound <= 1e-9


@given(SEEDS, st.floats(0.01, 2))
def test_without_the_monotone_update_it_is_the_bandit_rule_at_discount_zero(seed, constant):
    _, data = log(seed, n=40, n_states=4, n_actions=3, discount=0.0)
    bandit = BanditData(data.counts, data.pair_sums)
    plan = vi_lcb(data, discount=0.0, constant=constant, monotone=False)
    assert np.array_equal(plan.policy, lcb(bandit, constant=constant))


def test_nothing_moves_exactly_while_every_width_is_at_least_one():
    """max m <= L V_max^2 is no update, theorem; one visit more of a pair that always pays 1 is an update."""
    discount, level = 0.5, 25.0
    v_max = 2.0
    edge = int(level * v_max**2)
    for m, moved in ((edge, False), (edge + 1, True)):
        data = MDPData([[m, m + 7 * (not moved)]], [[[0], [0]]], [[[m], [m + 7 * (not moved)]]], [[float(m), 0.0]])
        constant = level / math.log(2 * 2 / 0.1)
        plan = vi_lcb(data, discount=discount, constant=constant, delta=0.1)
        assert (plan.status is Status.NO_UPDATE) == (not moved)
        assert plan.policy.tolist() == ([0] if moved else [1])
        assert (plan.value[0] > 0) == moved


@examples(0.4)
@given(SEEDS, st.sampled_from([0.05, 0.5]))
def test_the_split_rule_is_the_papers_loop_on_folds(seed, constant):
    discount = 0.3
    _, data = log(seed, n=4000, discount=discount)
    plan = vi_lcb(data, discount=discount, constant=constant, split=True, rng=5)
    steps = fold_count(int(data.n), discount)
    level = constant * math.log(2 * (steps + 1) * data.counts.size * max(int(data.n), 1))
    first, *folds = (data.folds(steps + 1, rng=5)[t] for t in range(steps + 1))
    value, policy = raised(map(empirical, folds), first.counts.argmax(axis=-1), discount, level)
    assert plan.value == pytest.approx(value, abs=1e-12)
    assert plan.policy.tolist() == policy.tolist()
    assert (plan.iterations, plan.error_bound) == (steps, math.inf)  # no fixed point is claimed


def test_split_values_are_lower_bounds():
    """delta = 0.2: a false alarm has probability 1e-6; sees a failure rate of 0.26 with probability 0.95."""
    runs, delta = 1000, 0.2
    mdp = world(3, discount=0.4)
    data = mdp.sample(np.full((3, 2), 1 / 6), n=200_000, size=runs, rng=1)
    plan = vi_lcb(data, discount=0.4, delta=delta, split=True, rng=2)
    assert np.mean([status is not Status.NO_UPDATE for status in plan.status]) > 0.9  # values did rise
    true = mdp.evaluate(plan.policy)
    failures = np.any(plan.value > true + 1e-12, axis=-1).sum()
    assert failures <= binom.isf(1e-6, runs, delta)


def test_logs_of_any_length_are_split():
    """NumPy draws without replacement from fewer than 1e9: folds and halves do not stop there."""
    mdp, game = world(3, discount=0.4), world(4, horizon=3)
    data = mdp.sample(np.full((3, 2), 1 / 6), n=10**11, rng=1)
    episodes = game.sample_episodes(np.full((3, 2), 0.5), n=10**11, rng=1)
    found, plan = vi_lcb(data, discount=0.4, split=True, rng=2), vi_lcb_episodic(episodes, subsample=True, rng=2)
    assert np.all((found.value > 0) & (found.value <= mdp.evaluate(found.policy)))
    assert np.array_equal(plan.policy, game.best_policy)


def test_literal_constants_imitate():
    _, data = log(5, discount=0.9)
    plan = algorithm_3(data, discount=0.9, rng=3)
    assert plan.status is Status.NO_UPDATE
    first = data.folds(fold_count(int(data.n), 0.9) + 1, rng=3)[0]
    assert plan.policy.tolist() == first.counts.argmax(axis=-1).tolist()
    same = vi_lcb(data, discount=0.9, split=True, paper_constants=True, rng=3)
    assert same.policy.tolist() == plan.policy.tolist()
    spelled_out = vi_lcb(data, discount=0.9, split=True, constant=2000.0, rng=3)
    assert np.array_equal(spelled_out.value, same.value)


@pytest.mark.parametrize("split", [True, False])
def test_widths_may_not_shrink_below_the_range_of_values_where_nothing_was_seen(split):
    """L < 1: the literal width V_max sqrt(L) of an unseen pair would make it the best choice."""
    data = MDPData([[200_000, 0]], [[[0], [0]]], [[[200_000], [0]]], [[100_000.0, 0.0]])
    plan = vi_lcb(data, discount=0.5, constant=1e-3, split=split, monotone=False, rng=0)
    assert plan.policy.tolist() == [0]
    with pytest.raises(ValueError, match="unseen must be at least V_max = 2"):
        vi_lcb(data, discount=0.5, unseen=1.9)
    assert vi_lcb(data, discount=0.5, unseen=2.0, monotone=False, constant=10.0**7).policy.tolist() == [1]


def test_values_of_another_range_are_shifted_and_scaled():
    _, data = log(7, n=3000, discount=0.6)
    moved = MDPData(
        data.counts, data.next_states, data.next_counts, 4 * data.reward_sums - 3 * data.counts, (-3.0, 1.0), "other"
    )
    for rule in (vi_lcb, vi_lcb_bernstein, plug_in):
        plan, other = rule(data, discount=0.6), rule(moved, discount=0.6)
        assert np.array_equal(plan.policy, other.policy)
        assert other.value == pytest.approx(4 * plan.value - 3 / 0.4, abs=1e-5)


@pytest.mark.parametrize("near_one", [True, False])
def test_values_fall_as_widths_grow_and_stay_finite(near_one):
    discount = 0.9999 if near_one else 0.5
    _, data = log(11, n=10**6, discount=discount)
    last = np.full(3, np.inf)
    for constant in (1e-12, 1e-9, 1e-6, 1e-3, 1.0, 1e3, 1e9):
        for rule in (vi_lcb, vi_lcb_bernstein):
            plan = rule(data, discount=discount, constant=constant, tolerance=1e-5)
            assert np.all(np.isfinite(plan.value))
        value = vi_lcb(data, discount=discount, constant=constant, tolerance=1e-5).value
        assert np.all(value <= last + 2e-5)
        last = value


# ---- Bernstein


def moments(p, v):
    """Mean and variance of the value of the next state."""
    mean = p @ v
    return mean, (p * (v - mean[..., None]) ** 2).sum(axis=-1)


def plain_bernstein(data, discount, level, v):
    p, r, n = empirical(data)
    visits, v_max, (mean, variance) = np.maximum(n, 1), 1 / (1 - discount), moments(p, v)
    b = np.minimum(np.maximum(np.sqrt(level * variance / visits), 2 * level * v_max / visits), v_max)
    return np.where(n > 0, np.maximum(r + discount * mean - b - 5 / max(int(data.n), 1), 0.0), 0.0)


@examples(0.4)
@pytest.mark.kernels
@given(SEEDS, st.sampled_from([0.5, 0.8, 0.95]), st.sampled_from([1e-3, 0.05, 1.0]))
def test_bernstein_fixed_point_equals_the_plain_loop(seed, discount, constant):
    _, data = log(seed, n=3000, discount=discount)
    plan = vi_lcb_bernstein(data, discount=discount, constant=constant, delta=0.1, tolerance=1e-9)
    n = max(int(data.n), 1)
    level = constant * math.log(n / ((1 - discount) * 0.1))
    v, change = np.zeros(3), 1.0
    while change > 1e-12:
        last, v = v, plain_bernstein(data, discount, level, v).max(axis=1)
        change = np.abs(v - last).max()
    assert plan.value == pytest.approx(v, abs=2e-9)
    assert np.all(plan.value <= v + 1e-12)
    q = plain_bernstein(data, discount, level, v)
    imitated = data.counts.argmax(axis=-1)
    best = np.where(v > 0, q.argmax(axis=1), imitated)
    gap = np.sort(q, axis=1)[:, -1] - np.sort(q, axis=1)[:, -2]
    clear = (gap > 1e-6) | (v == 0)
    assert np.array_equal(plan.policy[clear], best[clear])


@pytest.mark.kernels
@given(SEEDS, st.floats(0.5, 0.97), st.floats(1e-3, 5), st.floats(0, 1), st.floats(0, 1))
def test_the_bernstein_operator_is_a_monotone_contraction(seed, discount, level, low, high):
    """Adversarial values: extreme ones, since the variance is what might break it."""
    _, data = log(seed, n=60, discount=discount)
    rng = np.random.default_rng(seed)
    v_max = 1 / (1 - discount)
    v = v_max * np.where(rng.random(3) < 0.5, rng.integers(0, 2, 3), rng.random(3))
    w = np.clip(v + v_max * (low + (high - low) * rng.random(3)) * rng.integers(0, 2, 3), 0, v_max)

    def apply(x):
        out, policy = np.empty(3), np.empty(3, np.int64)
        shares, means = data.transition_shares, data.mean_rewards
        n = max(float(data.n), 1.0)
        nothing, unknown = np.zeros(3, np.int64), np.full(3, -1.0)
        tables = data.next_states, shares, data.counts, means
        bernstein_sweep(*tables, discount, level, n, x, out, policy, nothing, unknown)
        return out

    assert np.abs(apply(v) - apply(w)).max() <= discount * np.abs(v - w).max() + 1e-12
    assert np.all(apply(v) <= apply(np.maximum(v, w)) + 1e-12)


def test_the_sum_of_both_terms_would_not_contract():
    """Why the episodic form is never iterated: two values that it sends further apart. The maximum form does not."""
    discount, n, level, v_max = 0.9, 50, 25.0, 10.0
    p = np.array([0.98, 0.02])
    v, w = np.array([0.0, 10.0]), np.array([0.01, 9.99])

    def image(x, join):
        terms = math.sqrt(level * (p @ (x - p @ x) ** 2) / n), (1 if join is sum else 2) * level * v_max / n
        return 5.0 + discount * p @ x - min(join(terms), v_max)  # 5: rewards, or the maximum with 0 hides it

    assert abs(image(v, sum) - image(w, sum)) > 1.05 * 0.01
    assert abs(image(v, max) - image(w, max)) <= discount * 0.01


def test_bernstein_constants_and_discounts():
    _, data = log(2, discount=0.8)
    assert vi_lcb_bernstein(data, discount=0.8, paper_constants=True).status is Status.NO_UPDATE
    assert vi_lcb_bernstein(data, discount=0.8, paper_constants=True).policy.tolist() == (
        data.counts.argmax(axis=-1).tolist()
    )


# ---- episodic rules


def per_step(data):
    """One data set per step, the lists of both forms read alike."""
    for h in range(data.horizon):
        lists_h = data.next_states[h % len(data.next_states)]
        yield empirical(MDPData(data.counts[h], lists_h, data.next_counts[h], data.pair_sums[h], (0, 1), "other"))


def plain_episodic(data, level):
    horizon, policy = data.horizon, data.counts.argmax(axis=-1)
    v = np.zeros((horizon + 1, data.n_states))
    for h, (p, r, n) in reversed(list(enumerate(per_step(data)))):
        visits, (mean, variance) = np.maximum(n, 1), moments(p, v[h + 1])
        b = np.minimum(np.sqrt(level * variance / visits) + level * horizon / visits, horizon)
        q = np.where(n > 0, np.maximum(r + mean - b, 0.0), 0.0)
        v[h], policy[h] = q.max(axis=1), np.where(q.max(axis=1) > 0, q.argmax(axis=1), policy[h])
    return v[:-1], policy


@examples(0.4)
@pytest.mark.kernels
@given(SEEDS, st.sampled_from([1e-3, 0.05, 1.0]), st.integers(1, 4))
def test_the_episodic_rule_equals_the_plain_recursion(seed, constant, horizon):
    _, data = log(seed, horizon=horizon)
    plan = vi_lcb_episodic(data, constant=constant, delta=0.1)
    level = constant * math.log(max(int(data.n), 1) * horizon / 0.1)
    value, policy = plain_episodic(data, level)
    assert plan.value == pytest.approx(value, abs=1e-12)
    assert np.array_equal(plan.policy, policy)
    free = vi_lcb_episodic(data, constant=constant, log_factor=1.0)
    assert free.value == pytest.approx(plain_episodic(data, constant)[0], abs=1e-12)


def test_subsampling_keeps_what_the_other_half_promises():
    mdp = world(4, horizon=3)
    data = mdp.sample_episodes(np.full((3, 2), 0.5), n=40_000, rng=0)
    plan = vi_lcb_episodic(data, subsample=True, delta=0.1, constant=0.01, rng=1)
    main, other = data.split_episodes(rng=np.random.default_rng(1))
    promised = other.counts.sum(axis=-1)
    trimmed = np.maximum(promised - 10 * np.sqrt(promised * math.log(9 / 0.1)), 0)
    kept = np.minimum(np.floor(trimmed), main.counts.sum(axis=-1)).sum()
    assert 0 < kept < data.n / 2
    whole = vi_lcb_episodic(data, delta=0.1, constant=0.01)
    assert np.all(plan.value[0] <= whole.value[0])  # fewer data, larger widths: holds for this seed
    few = vi_lcb_episodic(mdp.sample_episodes(np.full((3, 2), 0.5), n=100, rng=0), subsample=True, rng=0)
    assert few.status is Status.NO_UPDATE


def test_episodic_values_are_lower_bounds():
    """Known rewards, the theorem's constant: every value below the policy's own, in every one of 200 data sets."""
    mdp = world(6, horizon=3, reward_law="deterministic")
    data = mdp.sample_episodes(np.full((3, 2), 0.5), n=3_000_000, size=200, rng=3)
    plan = vi_lcb_episodic(data, paper_constants=True)
    assert np.all(plan.value <= mdp.evaluate(plan.policy) + 1e-9)
    assert plan.value.max() > 1


def plain_lcb_q(log, n_states, n_actions, bonus):
    episodes, horizon = log.states.shape
    q, v = np.zeros((horizon, n_states, n_actions)), np.zeros((horizon + 1, n_states))
    n, policy = np.zeros(q.shape, int), np.full((horizon, n_states), -1)
    for k in range(episodes):
        for h in range(horizon):
            s, a = log.states[k, h], log.actions[k, h]
            n[h, s, a] += 1
            rate = (horizon + 1) / (horizon + n[h, s, a])
            target = log.rewards[k, h] + v[h + 1, log.next_states[k, h]] - bonus / math.sqrt(n[h, s, a])
            q[h, s, a] = (1 - rate) * q[h, s, a] + rate * target
            if q[h, s].max() > v[h, s]:
                v[h, s], policy[h, s] = q[h, s].max(), q[h, s].argmax()
    policy = np.where(policy < 0, n.argmax(axis=-1), policy)
    return v[:-1], policy


@examples(0.4)
@pytest.mark.kernels
@given(SEEDS, st.sampled_from([1e-4, 0.01, 1.0]))
def test_lcb_q_equals_the_plain_stream(seed, constant):
    mdp = world(seed, horizon=3)
    episodes = mdp.sample_log(np.full((3, 2), 0.5), n=60, rng=seed)
    plan = lcb_q(episodes, n_states=3, n_actions=2, constant=constant, delta=0.1)
    bonus = constant * math.sqrt(27) * math.log(6 * 180 / 0.1)
    value, policy = plain_lcb_q(episodes, 3, 2, bonus)
    assert plan.value == pytest.approx(value, abs=1e-13)
    assert np.array_equal(plan.policy, policy)


def test_lcb_q_learns_and_says_when_it_did_not():
    mdp = world(8, horizon=2, reward_law="deterministic")
    episodes = mdp.sample_log(np.full((3, 2), 0.5), n=20_000, rng=1)
    plan = lcb_q(episodes, n_states=3, n_actions=2, constant=1e-3)
    assert mdp.suboptimality(plan.policy) < 0.2 * mdp.suboptimality(1 - mdp.best_policy)
    assert lcb_q(episodes, constant=100.0).status is Status.NO_UPDATE
    with pytest.raises(ValueError, match="n_states must be at least 3"):
        lcb_q(episodes, n_states=2)
    with pytest.raises(ValueError, match="log must be of episodes"):
        lcb_q(Transitions([0], [0], [1.0], [0]))


@given(SEEDS, st.floats(0, 2), st.floats(0.1, 3))
def test_pevi_with_one_feature_a_pair_is_a_table_with_a_ridge(seed, beta, ridge):
    _, data = log(seed, horizon=3)
    plan = pevi(data, np.eye(6).reshape(3, 2, 6), beta=beta, ridge=ridge)
    v, policy = np.zeros((4, 3)), data.counts.argmax(axis=-1)
    for h, (p, r, n) in reversed(list(enumerate(per_step(data)))):
        q = n / (n + ridge) * (r + p @ v[h + 1]) - beta / np.sqrt(n + ridge)
        v[h] = np.clip(q.max(axis=1), 0, 3 - h)
        policy[h] = np.where(q.max(axis=1) > 0, q.argmax(axis=1), policy[h])
    assert plan.value == pytest.approx(v[:-1], abs=1e-10)
    assert np.mean(plan.policy == policy) == 1.0


def test_pevi_equals_regression_on_the_raw_log():
    mdp = world(9, horizon=2)
    episodes = mdp.sample_log(np.full((3, 2), 0.5), n=50, rng=4)
    phi = np.random.default_rng(0).random((3, 2, 4))
    plan = pevi(MDPData.from_transitions(episodes, per_step=True, n_states=3, n_actions=2), phi, beta=0.3)
    v = np.zeros((3, 3))
    for h in (1, 0):
        x = phi[episodes.states[:, h], episodes.actions[:, h]]
        y = episodes.rewards[:, h] + v[h + 1, episodes.next_states[:, h]]
        gram = x.T @ x + np.eye(4)
        q = phi @ np.linalg.solve(gram, x.T @ y)
        q -= 0.3 * np.sqrt(np.einsum("sai,ij,saj->sa", phi, np.linalg.inv(gram), phi))
        v[h] = np.clip(q.max(axis=1), 0, 2 - h)
    assert plan.value == pytest.approx(v[:2], abs=1e-10)


# ---- CQL


def test_cql_closed_form_minimises_the_objective():
    """The gradient of alpha (E_nu Q - E_D Q) + 1/2 E_D (Q - B Q_k)^2 vanishes at the update, entry by entry."""
    mdp = world(12, discount=0.7)
    data = mdp.sample_at(np.random.default_rng(1).integers(1, 50, (3, 2)), rng=2)
    p, r, n = empirical(data)
    policy = np.random.default_rng(0).dirichlet(np.ones(2), 3)
    q, alpha = cql_values(data, policy, discount=0.7, alpha=0.3), 0.3
    target = r + 0.7 * p @ (policy * q).sum(axis=1)
    visits = n.sum(axis=1, keepdims=True)
    gradient = alpha * (visits * policy - n) + n * (q - target)  # per logged transition, nu = policy
    assert np.abs(gradient / n.sum()).max() < 1e-12
    # the value of a state pays a chi-square penalty
    shares = n / visits
    penalty = alpha * ((policy - shares) ** 2 / shares).sum(axis=1)
    value = (policy * q).sum(axis=1)
    assert value == pytest.approx((policy * target).sum(axis=1) - penalty, abs=1e-12)


@examples(0.4)
@given(SEEDS, st.sampled_from([1e-3, 0.1, 10.0]))
def test_cql_beats_every_other_policy_against_its_penalty(seed, alpha):
    _, data = log(seed, discount=0.7)
    plan = cql(data, discount=0.7, alpha=alpha, tolerance=1e-9)
    seen = data.counts.sum(axis=-1) > 0
    own = cql_values(data, np.where(seen[:, None], plan.policy, [[1.0, 0.0]]), discount=0.7, alpha=alpha)
    value = np.where(seen, (plan.policy * np.where(np.isfinite(own), own, 0)).sum(axis=1), 0.0)
    assert value == pytest.approx(plan.value, abs=1e-6 * (1 + alpha))
    rng = np.random.default_rng(seed)
    for _ in range(5):
        law = rng.dirichlet(np.ones(2), 3) * (data.counts > 0) + 1e-300
        law /= law.sum(axis=1, keepdims=True)
        law[~seen] = [1.0, 0.0]
        law = np.where((data.counts == 0) & seen[:, None], 0.0, law)
        other = cql_values(data, law, discount=0.7, alpha=alpha)
        worth = np.where(seen, (law * np.where(np.isfinite(other), other, 0)).sum(axis=1), 0.0)
        assert np.all(worth <= plan.value + 1e-6 * (1 + alpha))


def test_cql_runs_from_plug_in_to_the_logged_shares():
    _, data = log(13, n=3000, discount=0.7)
    greedy = cql(data, discount=0.7, alpha=0.0)
    plain = plug_in(data, discount=0.7)
    assert np.array_equal(greedy.policy.argmax(axis=-1), plain.policy)
    assert greedy.value == pytest.approx(plain.value, abs=1e-5)
    shares = data.counts / data.counts.sum(axis=-1, keepdims=True)
    assert cql(data, discount=0.7, alpha=1e9).policy == pytest.approx(shares, abs=1e-6)


@pytest.mark.parametrize(("discount", "alphas"), [(0.9, (1e-300, 1e-14, 1e-5, 0.01, 1.0, 1e150)), (0.999, (1e-5,))])
def test_laws_of_conservative_learning_sum_to_one_at_any_alpha(discount, alphas):
    """From 1e-300, where they and the values are those of the plug-in rule, up to where they are the shares."""
    _, data = log(13, n=3000, n_actions=3, discount=discount)
    goal, greedy = 1e-2 / (1 - discount), plug_in(data, discount=discount)
    for alpha in alphas:
        plan = cql(data, discount=discount, alpha=alpha, tolerance=goal)
        assert plan.status is Status.CONVERGED
        assert plan.policy.sum(axis=-1) == pytest.approx(1.0, abs=1e-12)
        if alpha <= 1e-5:
            assert np.array_equal(plan.policy.argmax(axis=-1), greedy.policy)
            assert plan.value == pytest.approx(greedy.value, abs=1.01 * goal)
        if alpha == 1e150:
            shares = data.counts / data.counts.sum(axis=-1, keepdims=True)
            own = np.where(shares > 0, cql_values(data, shares, discount=discount, alpha=1.0), 0.0)
            assert plan.policy == pytest.approx(shares, abs=1e-12)
            assert plan.value == pytest.approx((shares * own).sum(axis=-1), abs=1.01 * goal)


# ---- all of them

RULES = {
    "cloning": lambda data: behavior_cloning(data, discount=0.8),
    "plug-in": lambda data: plug_in(data, discount=0.8),
    "vi_lcb": lambda data: vi_lcb(data, discount=0.8, constant=0.01),
    "vi_lcb, plain": lambda data: vi_lcb(data, discount=0.8, constant=0.01, monotone=False),
    "bernstein": lambda data: vi_lcb_bernstein(data, discount=0.8),
    "cql": lambda data: cql(data, discount=0.8),
}


@pytest.mark.parametrize("name", RULES)
def test_a_batch_is_answered_as_its_members_are(name):
    _, data = log(20, size=(2, 7), n_states=4)
    plan = RULES[name](data)
    assert plan.shape == (2, 7)
    for index in ((0, 0), (1, 3)):
        alone = RULES[name](data[index[0]][index[1]])
        assert np.array_equal(plan.policy[index], alone.policy)
        assert plan.value[index] == pytest.approx(alone.value, abs=1e-12)
        assert plan.status[index] is alone.status
        assert plan.iterations[index] == alone.iterations
        assert type(alone.error_bound) is np.ndarray  # of every rule


@pytest.mark.parametrize(
    "name", [x if x in ("cloning", "cql") else pytest.param(x, marks=pytest.mark.kernels) for x in RULES]
)
def test_nothing_logged_is_answered(name):
    nothing = MDPData(np.zeros((2, 2), int), [[[0, 1]] * 2] * 2, np.zeros((2, 2, 2), int), np.zeros((2, 2)))
    plan = RULES[name](nothing)
    assert np.all(np.isfinite(plan.value))
    assert np.all(plan.value == 0)
    one = MDPData([[0, 1], [0, 0]], [[[0, 1]] * 2] * 2, [[[0, 0], [0, 1]], [[0, 0], [0, 0]]], [[0.0, 1.0], [0.0, 0.0]])
    policy = RULES[name](one).policy
    assert (policy[0] if policy.ndim == 1 else policy[0].argmax()) == 1


def test_finite_horizon_baselines_use_pooled_data_at_every_step():
    _, data = log(21, discount=0.8)
    plan = plug_in(data, horizon=3)
    p, r, n = empirical(data)
    v = np.zeros(3)
    for h in (2, 1, 0):
        q = np.where(n > 0, r + p @ v, -np.inf)
        v = np.where(n.sum(axis=1) > 0, q.max(axis=1), 0.0)
        assert plan.value[h] == pytest.approx(v, abs=1e-12)
    assert behavior_cloning(data, horizon=3).policy.tolist() == [data.counts.argmax(axis=-1).tolist()] * 3


def test_widths_far_above_the_values_end_at_rounding():
    """Values of -1e10 at discount 0.9999: 1e-6 cannot be had, and the status says so."""
    _, data = log(11, n=10**6, discount=0.999)
    plan = vi_lcb(data, discount=0.999, constant=1e6, monotone=False)
    assert plan.status is Status.ROUNDING
    assert np.all(np.isfinite(plan.value))
    assert 1e-6 < plan.error_bound < 1e-6 * abs(plan.value).max()


@pytest.mark.parametrize("discount", [0.99, 0.999, 0.9999])
def test_widths_of_any_size_are_planned_for_without_the_monotone_update(discount):
    """Two states whose errors become equal: the span is 0, and rounding is above the tolerance."""
    counts = [[[3, 2], [1, 0]], [[0, 0], [4, 4]]]
    data = MDPData([[5, 1], [0, 8]], [[[0, 1], [0, 1]]] * 2, counts, [[2.0, 1.0], [0.0, 5.0]])
    last = math.inf
    for constant in (1e-300, 1e-6, 0.5, 1e6, 1e12, 1e150):
        plan = vi_lcb(data, discount=discount, constant=constant, monotone=False)
        assert plan.status in (Status.CONVERGED, Status.IMITATION, Status.ROUNDING)
        assert np.all(np.isfinite(plan.value))
        assert plan.iterations < 20
        assert plan.error_bound <= 1e-6 + 1e-10 * np.abs(plan.value).max()
        assert plan.value.max() <= last
        last = plan.value.max()
    empty = MDPData(0 * data.counts, data.next_states, 0 * data.next_counts, 0 * data.reward_sums)
    for unseen in (1e12, 1e150):
        plan = vi_lcb(empty, discount=discount, monotone=False, unseen=unseen)
        assert plan.value == pytest.approx(-unseen / (1 - discount), rel=1e-10)
    for unseen in (1e300, 1.7e308):
        with pytest.raises(ValueError, match=r"unseen must be at most 1e\+150"):
            vi_lcb(empty, discount=discount, monotone=False, unseen=unseen)


@pytest.mark.kernels
def test_a_batch_with_an_empty_data_set_is_answered_as_its_members_are():
    """States without data stop the shift of values; not that of the other data sets."""
    both = world(22, n_states=4).sample_at(np.stack([np.full((4, 2), 50), np.zeros((4, 2), int)]), rng=1)
    together, alone = plug_in(both, discount=0.9), plug_in(both[0], discount=0.9)
    assert np.array_equal(together.value[0], alone.value)
    assert together.iterations[0] == alone.iterations


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(vi_lcb_episodic, marks=pytest.mark.kernels),
        pytest.param(plug_in, marks=pytest.mark.kernels),
        behavior_cloning,
        lambda d: pevi(d, np.ones((2, 1, 1))),
    ],
)
def test_no_steps_at_all(call):
    none = MDP.dense(np.ones((2, 1, 2)) / 2, np.ones((2, 1)), horizon=0).sample_episodes([0, 0], n=5, rng=0)
    plan = call(none)
    assert plan.policy.shape == plan.value.shape == (0, 2)


@pytest.mark.kernels
def test_lcb_q_without_steps():
    nothing = np.zeros((5, 0))
    assert lcb_q(Transitions(nothing, nothing, nothing, nothing), n_states=2, n_actions=2).policy.shape == (0, 2)


def test_noise_in_rewards_is_not_in_the_widths_of_the_bernstein_rule():
    """What its docstring warns of: random rewards, no variance of values, so it is half of the time above the truth."""
    runs = 400
    data = MDPData(
        np.full((runs, 1, 1), 10**10),
        [[[0]]],
        np.full((runs, 1, 1, 1), 10**10),
        np.random.default_rng(0).binomial(10**10, 0.5, (runs, 1, 1)).astype(float),
    )
    plan = vi_lcb_bernstein(data, discount=0.5, paper_constants=True, delta=0.001)
    assert 0.2 < np.mean(plan.value > 1.0) < 0.5


@pytest.mark.parametrize("n_states", [1, 5])
@pytest.mark.parametrize("discount", [0.99999, 1 - 1e-7])
def test_discounts_next_to_one_end_at_what_rounding_allows(n_states, discount):
    """Against exact values of the policies found; those of VI-LCB are reached from below."""
    _, data = log(30, n=10**14, n_states=n_states, discount=discount)
    model, scale = data.model(discount), 1 / (1 - discount)
    rounding = 1e-13 * scale**2
    pessimistic = vi_lcb(data, discount=discount, constant=1e-6)
    width = scale * np.sqrt(1e-6 * math.log(2 * data.counts.size * data.n) / np.maximum(data.counts, 1))
    lowered = MDP(model.next_states, model.probabilities, model.rewards - width, discount=discount)
    exactly = lowered.evaluate(pessimistic.policy)
    assert exactly.min() > 0.1 * scale  # well above the smallest possible value
    assert np.all(pessimistic.value <= exactly + 10 * rounding)
    assert pessimistic.value == pytest.approx(exactly, rel=1e-6)
    conservative = cql(data, discount=discount, alpha=0.1)
    own = cql_values(data, conservative.policy, discount=discount, alpha=0.1)
    value = (conservative.policy * np.where(data.counts > 0, own, 0.0)).sum(axis=-1)
    assert conservative.value == pytest.approx(value, rel=1e-6)
    for plan in (pessimistic, conservative, plug_in(data, discount=discount)):
        assert plan.status is Status.ROUNDING
        assert plan.iterations < 3000
        assert plan.error_bound < rounding
    plan = vi_lcb_bernstein(data, discount=discount, constant=1e-6, log_factor=1.0)
    again = plain_bernstein(data, discount, 1e-6, plan.value).max(axis=1)
    assert again == pytest.approx(plan.value, abs=1e-14 * scale)
    assert plan.value.min() > 0.1 * scale
    assert plan.status is Status.ROUNDING
    assert plan.iterations < 11_000


def test_convergence_errors_carry_what_was_reached(monkeypatch):
    _, data = log(2, n=10**6, discount=0.99)
    monkeypatch.setattr(bernstein, "SWEEPS", 0.05)  # five sweeps
    with pytest.raises(ConvergenceError) as caught:
        vi_lcb_bernstein(data, discount=0.99, constant=1e-3)
    assert caught.value.result.status is Status.NOT_CONVERGED
    assert caught.value.result.error_bound > 1e-6


def test_one_data_set_that_does_not_converge_does_not_abort_the_others(monkeypatch):
    mdp = world(2, discount=0.99)
    data = mdp.sample_at(np.broadcast_to([[[3, 2]], [[10**6 + 1, 10**6]]], (2, 3, 2)), rng=0)
    monkeypatch.setattr(bernstein, "SWEEPS", 0.05)  # five sweeps, enough only for the log that raises no value
    with pytest.warns(ConvergenceWarning, match="error bound of 1 of 2 models is above .* status says which"):
        learnt = vi_lcb_bernstein(data, discount=0.99, constant=1e-3)
    assert learnt.status.tolist() == [Status.NO_UPDATE, Status.NOT_CONVERGED]
    assert learnt.policy[0].tolist() == behavior_cloning(data[0], discount=0.99).policy.tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d, e: vi_lcb(d, discount=1.0), r"discount must be in \[0, 1\)"),
        (lambda d, e: vi_lcb(d, discount=0.5, delta=0.0), r"delta must be in \(0, 1\)"),
        (lambda d, e: vi_lcb(d, discount=0.5, constant=-1.0), "constant must be positive"),
        (
            lambda d, e: vi_lcb(d, discount=0.5, paper_constants=True, constant=1.0),
            "paper_constants sets constant: pass",
        ),
        (lambda d, e: vi_lcb_bernstein(d, discount=0.4), r"discount must be in \[0.5, 1\)"),
        (lambda d, e: vi_lcb(d, discount=0.5, tolerance=0.0), "tolerance must be positive"),
        (lambda d, e: vi_lcb(e, discount=0.5), "data must have no step axis"),
        (lambda d, e: vi_lcb_bernstein(e, discount=0.5), "data must have no step axis"),
        (lambda d, e: vi_lcb_episodic(d), "data must have a step axis"),
        (lambda d, e: vi_lcb_episodic(e, horizon=5), "horizon must be the 2 steps of the data, got 5"),
        (lambda d, e: pevi(d, np.eye(6).reshape(3, 2, 6)), "data must have a step axis"),
        (lambda d, e: pevi(e, np.eye(6)), "features must have shape"),
        (lambda d, e: pevi(e, np.ones((3, 2, 0))), r"features must have shape .* with d >= 1, got \(3, 2, 0\)"),
        (lambda d, e: pevi(e, np.ones((3, 2, 2)), ridge=1e-20), "ridge must be larger for these features"),
        (lambda d, e: plug_in(d), "discount must be given"),
        (lambda d, e: plug_in(e, tolerance=-1.0), "tolerance must be positive"),
        (lambda d, e: vi_lcb(d, discount=0.5, split=True, tolerance=-1.0), "tolerance must be positive"),
        (lambda d, e: pevi(e, np.eye(6).reshape(3, 2, 6), beta=1.0, delta=7.0), "delta must be in"),
        (lambda d, e: behavior_cloning(d, horizon=0), r"horizon must be a whole number in \[1"),
        (lambda d, e: cql(d, discount=0.5, alpha=-1.0), r"alpha must be in \[0"),
        (lambda d, e: cql(e, discount=0.5), "data must have no step axis"),
        (lambda d, e: cql_values(d, [9, 0, 0], discount=0.5, alpha=1.0), r"policy\[0\] must be a whole number"),
    ],
)
def test_bad_arguments_are_named(call, message):
    _, data = log(1)
    _, episodes = log(1, horizon=2)
    with pytest.raises(ValueError, match=message):
        call(data, episodes)


@pytest.mark.parametrize(
    "rule", [vi_lcb, algorithm_3, vi_lcb_bernstein, plug_in, behavior_cloning, cql, pevi, vi_lcb_episodic]
)
def test_data_are_not_a_model(rule):
    mdp, _ = log(1)
    with pytest.raises(TypeError, match="data must be a MDPData, got MDP"):
        rule(mdp, **({} if rule is vi_lcb_episodic else {"features": 1} if rule is pevi else {"discount": 0.5}))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d, e: lcb_q(d), "log must be a Transitions, got MDPData"),
        (lambda d, e: vi_lcb(d, discount=0.5, split="no"), "split must be True or False, got 'no'"),
        (lambda d, e: vi_lcb(d, discount=0.5, monotone=None), "monotone must be True or False, got None"),
        (lambda d, e: vi_lcb_bernstein(d, discount=0.5, paper_constants=1), "paper_constants must be True or False"),
        (lambda d, e: vi_lcb_episodic(e, subsample="no"), "subsample must be True or False, got 'no'"),
    ],
)
def test_arguments_of_another_kind_are_named(call, message):
    _, data = log(1)
    _, episodes = log(1, horizon=2)
    with pytest.raises(TypeError, match=message):
        call(data, episodes)


@pytest.mark.kernels
@pytest.mark.parametrize("batch", [(0,), (2,)])
@pytest.mark.parametrize("horizon", [0, 2])
def test_nothing_is_subsampled_of_nothing(batch, horizon):
    mdp = MDP.dense(np.ones((2, 1, 2)) / 2, np.ones((2, 1)), horizon=horizon)
    data = mdp.sample_episodes([0, 0], n=0 if horizon else 5, size=batch, rng=0)
    plan = vi_lcb_episodic(data, subsample=True, rng=1)
    assert plan.policy.shape == (*batch, horizon, 2)
    assert not plan.value.any()


# ---- one constant a data set, caps on iterations, Q


def split(data, **options):
    return vi_lcb(data, split=True, rng=1, **options)


def linear(data, **options):
    return pevi(data, np.eye(6).reshape(3, 2, 6), **options)


KNOBS = [
    (vi_lcb, {"discount": 0.8}, "constant"),
    (split, {"discount": 0.8}, "constant"),
    (vi_lcb_bernstein, {"discount": 0.8}, "constant"),
    (vi_lcb_bernstein, {"discount": 0.8}, "log_factor"),
    (vi_lcb_episodic, {}, "constant"),
    (vi_lcb_episodic, {}, "log_factor"),
    (linear, {}, "constant"),
    (linear, {}, "beta"),
    (lcb_q, {"n_states": 3, "n_actions": 2}, "constant"),
]


@pytest.mark.parametrize(("rule", "fixed", "knob"), KNOBS)
def test_a_vector_of_constants_is_a_loop_over_them(rule, fixed, knob):
    """Bit for bit where no linear algebra is between, on a single data set and on a batch of them."""
    values, horizon = np.array([1e-4, 0.003, 0.2]), None if "discount" in fixed else 3
    if rule is lcb_q:
        mdp = world(7, horizon=3)
        many = mdp.sample_log(np.full((3, 2), 0.5), n=60, size=3, rng=2)
        single = mdp.sample_log(np.full((3, 2), 0.5), n=60, rng=3)
    else:
        many, single = (log(7, n=2_000, size=size, horizon=horizon)[1] for size in (3, None))
    for data, knobs in ((many, values), (many, values[:, None]), (single, values)):
        found = rule(data, **{knob: knobs}, **fixed)
        shape = np.broadcast_shapes(knobs.shape, () if data is single else (3,))
        assert found.shape == shape
        wide = np.broadcast_to(knobs, shape)
        for place in np.ndindex(*shape):
            alone = rule(data, **{knob: wide[place]}, **fixed)
            own = place[-1:] if data is many else ()
            if rule is split and shape != data.shape:  # a batch is divided at random item by item
                continue
            assert found.status[place] is (alone.status[own] if own else alone.status)
            for name in ("policy", "value", "iterations", "error_bound", "q"):
                ours, theirs = getattr(found, name)[place], getattr(alone, name)[own]
                assert np.array_equal(ours, theirs) or (rule is linear and ours == pytest.approx(theirs, rel=1e-12))


@pytest.mark.parametrize(("rule", "fixed", "knob"), KNOBS)
def test_constants_that_do_not_fit_are_named(rule, fixed, knob):
    data = log(7, size=3, horizon=None if "discount" in fixed else 3)[1]
    if rule is lcb_q:
        data = world(7, horizon=3).sample_log(np.full((3, 2), 0.5), n=6, size=3, rng=2)
    with pytest.raises(ValueError, match=rf"{knob}\[1\] must be"):
        rule(data, **{knob: [1.0, -1.0, 2.0]}, **fixed)
    with pytest.raises(ValueError, match=rf"{knob} must have shapes that broadcast"):
        rule(data, **{knob: [1.0, 1.0]}, **fixed)


def test_a_cap_makes_iterations_that_can_be_followed_by_hand():
    _, data = log(3, n=2_000)
    matrices, rewards, counts = empirical(data)
    unit = np.log(12.0 * data.n)
    for k in (1, 3):
        for rule, options, level in ((vi_lcb, {"constant": 1e-3}, 1e-3 * unit), (plug_in, {}, 0.0)):
            with pytest.raises(ConvergenceError) as caught:
                rule(data, discount=0.8, max_iterations=k, **options)
            found = caught.value.result
            value, _ = raised([(matrices, rewards, counts)] * k, np.zeros(3, int), 0.8, level)
            assert found.value == pytest.approx(value, rel=1e-12)
            width = np.where(counts > 0, np.sqrt(level / np.maximum(counts, 1)) / 0.2, np.inf)
            assert found.q == pytest.approx(rewards - width + 0.8 * matrices @ value, rel=1e-12)
            assert found.iterations == k
        for rule, options in ((vi_lcb_bernstein, {"constant": 1e-3}), (cql, {})):
            with pytest.raises(ConvergenceError, match=rf"after at most {k} iterations"):
                rule(data, discount=0.8, max_iterations=k, **options)
    with pytest.raises(ValueError, match="max_iterations must not be given with split"):
        vi_lcb(data, discount=0.8, split=True, max_iterations=3)
    with pytest.raises(ValueError, match="max_iterations must be a whole number"):
        plug_in(data, discount=0.8, max_iterations=0)


@pytest.mark.parametrize(
    "rule",
    [
        lambda data: vi_lcb(data, discount=0.8, constant=1e-3, tolerance=1e-12),
        lambda data: vi_lcb_bernstein(data, discount=0.8, constant=1e-3, tolerance=1e-12),
        lambda data: plug_in(data, discount=0.8, tolerance=1e-12),
        lambda data: plug_in(data, horizon=2),
        lambda data: vi_lcb_episodic(log(3, n=2_000, horizon=2, size=2)[1], constant=1e-3),
        lambda data: pevi(log(3, n=2_000, horizon=2, size=2)[1], np.eye(6).reshape(3, 2, 6), beta=0.1),
    ],
)
def test_the_largest_q_is_the_value(rule):
    """Where something was seen; what was not is worth the low end or left out."""
    plan = rule(log(3, n=2_000, size=2)[1])
    assert np.maximum(plan.q.max(axis=-1), 0.0) == pytest.approx(plan.value, abs=1e-11)
    best = np.take_along_axis(plan.q, plan.policy[..., None], axis=-1)[..., 0]
    assert np.maximum(best, 0.0) == pytest.approx(plan.value, abs=1e-11)


@pytest.mark.kernels
@pytest.mark.parametrize("n_states", [1, 5])
def test_the_least_change_ahead_is_the_smallest_of_all_states_that_are_reached(n_states):
    from pessimism.mdp._engine.bernstein import least_ahead

    rng = np.random.default_rng(n_states)
    following = rng.integers(n_states, size=(n_states, 2, 3))
    shares = rng.random((n_states, 2, 3)) * (rng.random((n_states, 2, 3)) < 0.4)
    policy, change = rng.integers(2, size=n_states), rng.normal(size=n_states)
    reached = np.eye(n_states, dtype=bool)
    for s, b in np.ndindex(n_states, 3):
        reached[s, following[s, policy[s], b]] |= shares[s, policy[s], b] > 0
    for _ in range(n_states):
        reached = (reached.astype(int) @ reached.astype(int)) > 0
    expected = [change[reached[s]].min() for s in range(n_states)]
    least_ahead(following, shares, policy, change)
    assert change.tolist() == expected
