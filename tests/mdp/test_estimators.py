"""Estimators from episodes and transitions: identities, plain twins, episodes that end, bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from pessimism.bandits import BanditData
from pessimism.bandits import estimators as bandit
from pessimism.mdp import MDP, MDPData, Transitions
from pessimism.mdp.estimators import (
    doubly_robust,
    marginalised,
    model_based,
    per_decision_is,
    trajectory_is,
    weighted_is,
    weighted_per_decision_is,
)
from tests.mdp import reference as plain
from tests.mdp.sizes import examples

SEEDS = st.integers(0, 2**32)
FIELDS = ("states", "actions", "rewards", "next_states", "terminated", "truncated")
WEIGHTED = (trajectory_is, per_decision_is, weighted_is, weighted_per_decision_is)


def close(value, rel=1e-11):
    return pytest.approx(np.asarray(value), rel=rel, abs=1e-12, nan_ok=True)


def world(rng, horizon, discount=0.9, **more):
    matrices, rewards, start = plain.tables(rng, 3, 2, () if horizon is None else (horizon,))
    return MDP.dense(matrices, rewards, start, discount, horizon=horizon, reward_law="bernoulli", **more)


def laws(rng, horizon, zeros=0.0):
    """A target, with some actions never taken, and a behavior."""
    pi, b = rng.dirichlet([1, 1], (2, horizon, 3))
    pi = np.where(rng.random(pi.shape) < zeros, 0.0, pi)
    pi[..., 0] += pi.sum(axis=-1) == 0
    return pi / pi.sum(axis=-1, keepdims=True), b


def fitted_q(data, pi, discount, start, sweeps):
    """In plain loops; NaN where nothing was seen."""
    shape = data.counts.shape[-2:]
    value = np.zeros(shape[0])
    for h in range(sweeps - 1, -1, -1):
        now = np.zeros(shape[0])
        for s, a in np.ndindex(shape):
            place = (h, s, a) if data.horizon is not None else (s, a)
            n, law = data.counts[place], (pi[h] if pi.ndim == 3 else pi)[s, a]
            if law > 0:
                lists = data.next_states[(h % len(data.next_states), s, a) if data.horizon is not None else (s, a)]
                later = sum(k * value[t] for t, k in zip(lists, data.next_counts[place], strict=True) if k)
                now[s] += law * ((data.pair_sums[place] + discount * later) / n if n else np.nan)
        value = now
    return sum(p * v for p, v in zip(start, value, strict=True) if p)


@examples(0.1)
@given(SEEDS, st.sampled_from([3, 40]))
def test_marginalised_plug_in_and_fitted_q_are_one_estimator(seed, n):
    """Of step tables, the start as logged; small logs leave pairs unseen."""
    rng = np.random.default_rng(seed)
    mdp, (pi, b) = world(rng, 3), laws(rng, 3, zeros=0.4)
    data = mdp.sample_episodes(b, n=n, size=4, rng=rng)
    first = data.counts[..., 0, :, :].sum(axis=-1) / n
    twins = [fitted_q(data[i], pi, 0.9, first[i], 3) for i in range(4)]
    assert model_based(data, pi, discount=0.9) == close(twins)
    assert marginalised(data, pi, discount=0.9) == close(twins)


@examples(0.1)
@given(SEEDS)
def test_discounted_pairs_and_sweeps(seed):
    """k sweeps from 0 are the value of k steps of one shared table; their limit is the fixed point."""
    rng = np.random.default_rng(seed)
    mdp, start = world(rng, None, 0.6), [0.2, 0.8, 0.0]
    data, pi = mdp.sample(rng.dirichlet(np.ones(6)).reshape(3, 2), n=30, size=3, rng=rng), laws(rng, 1)[0][0]
    for sweeps in (1, 4, 80):
        twins = [fitted_q(data[i], pi, 0.6, start, sweeps) for i in range(3)]
        for estimator in (model_based, marginalised):
            assert estimator(data, pi, discount=0.6, start=start, horizon=sweeps) == close(twins)
    for estimator in (model_based, marginalised):
        assert estimator(data, pi, discount=0.6, start=start) == close(twins, 1e-9)


def test_only_what_the_policy_meets_must_have_been_seen():
    """State 2 is entered only by an action that the policy does not take; the uniform fill is never used."""
    data = MDPData(
        [[4, 0], [2, 1], [0, 0]],
        [[[0, 1]] * 2, [[1, 2]] * 2, [[0, 2]] * 2],
        [[[2, 2], [0, 0]], [[2, 0], [0, 1]], [[0, 0]] * 2],
        [[4, 0], [0, 1], [0, 0]],
    )
    start = [1, 0, 0]
    for estimator in (model_based, marginalised):
        assert float(estimator(data, [0, 0, 0], discount=0.5, start=start)) == pytest.approx(1 / 0.75)
        assert np.isnan(estimator(data, [[1, 0], [0.9, 0.1], [1, 0]], discount=0.5, start=start))
        assert np.isnan(estimator(data, [1, 0, 0], discount=0.5, start=start))
        assert float(estimator(data, [0, 1, 0], discount=0.5, start=start, horizon=2)) == pytest.approx(1.5)
        assert np.isnan(estimator(data, [0, 1, 0], discount=0.5, start=start, horizon=3))
        assert float(estimator(data, [0, 1, 0], discount=0.0, start=start)) == 1.0


def test_a_table_that_is_used_twice_biases_the_plug_in():
    """Stay with p = 0.9 or end: V = 1/(1 - g p) from ten transitions, exactly."""
    stays = np.arange(11)
    moved = np.stack([stays, 10 - stays], axis=-1)[:, None, None] * [[[1]], [[0]]]
    data = MDPData(moved.sum(axis=-1), [[[0, 1]], [[1, 1]]], moved, moved.sum(axis=-1), terminal=[False, True])
    found = model_based(data, [0, 0], discount=0.9, start=[1, 0])
    assert binom.pmf(stays, 10, 0.9) @ found - 1 / 0.19 == pytest.approx(1.1368, abs=5e-5)


def rows(log):
    return zip(*(getattr(log, name) for name in FIELDS[:4]), strict=True)


def test_doubly_robust_with_the_plug_in_q_and_its_marginal_weights_is_the_plug_in():
    """Its correction is 0. With the weights of paths it is not."""
    rng = np.random.default_rng(1)
    mdp, (pi, b) = world(rng, 3), laws(rng, 3)
    log = mdp.sample_log(b, n=60, rng=rng)
    data = MDPData.from_transitions(log, n_states=3, n_actions=2, per_step=True)
    plug_in = float(model_based(data, pi, discount=0.9))
    model = data.model(0.9, start=data.counts[0].sum(axis=-1) / 60)
    value = np.append(model.evaluate(pi), np.zeros((1, 3)), axis=0)
    q = model.mean_rewards + 0.9 * np.array(
        [
            (model.probabilities[h] * value[h + 1][model.next_states[h % len(model.next_states)]]).sum(-1)
            for h in range(3)
        ]
    )
    w = model.occupancy(pi) / (data.counts / 60)
    total = 0.0
    for s, a, r, _ in rows(log):
        before = 1.0
        for h in range(3):
            own = w[h, s[h], a[h]]
            total += 0.9**h * (before * value[h, s[h]] + own * (r[h] - q[h, s[h], a[h]]))
            before = own
    assert total / 60 == pytest.approx(plug_in, rel=1e-12)
    assert abs(float(doubly_robust(log, pi, b, 0.9, q=q)) - plug_in) > 1e-3


def test_per_decision_sums_with_propensities_of_histories_are_the_plug_in_on_the_tree():
    """A state is the whole history. With propensities of states it is neither that nor the known ones."""
    rng = np.random.default_rng(2)
    mdp, (pi, _), b = world(rng, 2), laws(rng, 2), np.full((3, 2), 0.5)
    log = mdp.sample_log(b, n=400, rng=rng)
    index, tree, after = {}, np.zeros((400, 2), int), np.zeros((400, 2), int)
    for i, (s, a, _, then) in enumerate(rows(log)):
        for h in range(2):
            history = tuple(s[: h + 1]), tuple(a[:h])
            tree[i, h] = index.setdefault(history, len(index))
            after[i, h] = index.setdefault(((*s[: h + 1], then[h]), tuple(a[: h + 1])), len(index))
    last = np.array([states[-1] for states, _ in index])
    history_log = Transitions(tree, log.actions, log.rewards, after, truncated=log.truncated)
    target = pi[:, last]
    data = MDPData.from_transitions(history_log, n_states=len(index), n_actions=2, per_step=True)
    by_tree = float(per_decision_is(history_log, target, None, 0.9))
    assert by_tree == pytest.approx(float(model_based(data, target, discount=0.9)), rel=1e-12)
    others = float(per_decision_is(log, pi, None, 0.9)), float(per_decision_is(log, pi, b, 0.9))
    assert len({round(x, 6) for x in (by_tree, *others)}) == 3


def test_the_behavior_itself_gives_the_mean_return():
    rng = np.random.default_rng(3)
    mdp, (_, b) = world(rng, 4), laws(rng, 4)
    choice = rng.integers(0, 2, (4, 3))
    drawn = mdp.sample_log(choice, n=50, rng=rng)
    for log, policy in ((mdp.sample_log(b, n=50, rng=rng), b), (drawn, choice)):
        mean = float((log.rewards * 0.9 ** np.arange(4)).sum(axis=-1).mean())
        for estimator in WEIGHTED:
            assert float(estimator(log, policy, policy, 0.9)) == pytest.approx(mean, rel=1e-13)
    data = MDPData.from_transitions(drawn, n_states=3, n_actions=2, per_step=True)
    assert float(model_based(data, choice, discount=0.9)) == pytest.approx(mean, rel=1e-12)
    assert float(doubly_robust(drawn, choice, choice, 0.9, q=rng.random((4, 3, 2)))) == pytest.approx(mean, rel=1e-12)


def test_one_step_is_the_bandit_with_contexts_as_logged():
    rng = np.random.default_rng(6)
    mdp, (pi, b) = world(rng, 1), laws(rng, 1)
    log, q = mdp.sample_log(b, n=40, size=5, rng=rng), rng.random((3, 2))
    data = MDPData.from_transitions(log, n_states=3, n_actions=2, per_step=True)
    rounds = BanditData(data.counts[:, 0], data.pair_sums[:, 0])
    mu = np.array(mdp.start)[:, None] * b[0]
    for own, theirs in (
        (trajectory_is(log, pi, b), bandit.ips(rounds, pi[0], mu)),
        (per_decision_is(log, pi), bandit.ips(rounds, pi[0])),
        (weighted_is(log, pi, b), bandit.snips(rounds, pi[0], mu)),
        (doubly_robust(log, pi, b, q=q), bandit.doubly_robust(rounds, pi[0], mu, model=q)),
        (model_based(data, pi), bandit.direct(rounds, pi[0])),
    ):
        assert own == close(theirs)


def twin(episodes, pi, b, discount, horizon, q):
    """All estimators, episode by episode in plain Python: ratio 1 and reward 0 once an episode has ended."""
    weights, gains, robust = [], [], []
    for s, a, r in episodes:
        w, own = [1.0], 0.0
        for h in range(horizon):
            live = h < len(s)
            w.append(w[-1] * (pi[h, s[h], a[h]] / b[h, s[h], a[h]] if live else 1.0))
            if live:
                v = (pi[h, s[h]] * q[h, s[h]]).sum()
                own += discount**h * (w[-2] * v + w[-1] * (r[h] - q[h, s[h], a[h]]))
        weights.append(w[1:])
        gains.append([discount**h * (r[h] if h < len(r) else 0.0) for h in range(horizon)])
        robust.append(own)
    w, g = np.array(weights), np.array(gains)
    whole = w[:, -1] * g.sum(axis=1)
    by_step = (w * g).sum(axis=0)
    totals = w.sum(axis=0)
    return [whole.mean(), by_step.sum() / len(w), whole.sum() / totals[-1], (by_step / totals).sum(), np.mean(robust)]


def all_of(log, pi, b, discount, q):
    return [*(estimator(log, pi, b, discount) for estimator in WEIGHTED), doubly_robust(log, pi, b, discount, q=q)]


def cut(log, k):
    """Episode k up to its end."""
    end = int(np.argmax(log.terminated[k])) + 1 if log.terminated[k].any() else log.rewards.shape[1]
    return Transitions(*(getattr(log, name)[k, :end] for name in FIELDS[:5]))


@examples(0.2)
@given(SEEDS)
def test_episodes_that_end_are_padded(seed):
    """As drawn, as a list of unequal length, with other labels after the end, and in plain Python."""
    rng = np.random.default_rng(seed)
    table, rewards, _ = plain.tables(rng, 3, 2)
    ends = np.array([False, False, True])
    rewards[2], table[2] = 0.0, 0.0
    mdp = MDP.dense(table, rewards, [0.5, 0.5, 0], 0.9, horizon=4, reward_law="bernoulli", terminal=ends)
    (pi, b), q = laws(rng, 4, zeros=0.3), rng.random((4, 3, 2))
    log = mdp.sample_log(b, n=8, rng=rng)
    single = [cut(log, k) for k in range(8)]
    expected = twin([(x.states, x.actions, x.rewards) for x in single], pi, b, 0.9, 4, q)
    with np.errstate(invalid="ignore"):
        assert np.array(all_of(log, pi, b, 0.9, q)) == close(expected)
    over = np.cumsum(log.terminated, axis=1) - log.terminated > 0
    other = Transitions(
        *(np.where(over, fill, getattr(log, name)) for name, fill in zip(FIELDS[:4], (1, 1, 0, 0), strict=True)),
        log.terminated,
    )
    assert np.array(all_of(other, pi, b, 0.9, q)) == close(expected)
    if max(len(x.rewards) for x in single) == 4 and all(x.terminated[-1] or len(x.rewards) == 4 for x in single):
        assert np.array(all_of(single, pi, b, 0.9, q)) == close(expected)


def test_an_episode_may_begin_where_it_ends():
    log = Transitions(
        [[0, 2], [2, 2]], [[0, 1], [0, 0]], [[1, 0], [0, 0]], [[2, 2], [2, 2]], [[True, False], [False, False]]
    )
    assert float(trajectory_is(log, [0, 0, 1], np.full((3, 2), 0.5))) == pytest.approx(1.0)


def test_batches_of_logs_and_policies_broadcast():
    rng = np.random.default_rng(8)
    mdp, q = world(rng, 3), rng.random((3, 2))
    (pi, b), (other, _) = laws(rng, 3), laws(rng, 3)
    log, both = mdp.sample_log(b, n=20, size=4, rng=rng), np.stack([pi, other])[:, None]
    found = all_of(log, both, b, 0.9, q)
    for i, j in np.ndindex(2, 4):
        one = Transitions(*(getattr(log, name)[j] for name in FIELDS))
        assert np.array([x[i, j] for x in found]) == close(all_of(one, both[i, 0], b, 0.9, q))
    same = all_of(log, pi[0], b[0], 0.9, q)
    assert np.array(same) == close(all_of(log, np.array([pi[0]] * 3), np.array([b[0]] * 3), 0.9, np.array([q] * 3)))


def test_weights_beyond_float64():
    """1e500 and 1e-500: what is normalised is finite, and what is not is infinite, with no NaN on the way."""
    steps = 500
    log = Transitions(
        *(np.stack([np.full(steps, x), np.full(steps, y)]) for x, y in ((0, 0), (1, 0), (1.0, 0.5), (0, 0)))
    )
    rare = np.array([[0.9, 0.1]]), np.array([[0.99, 0.01]])
    assert float(weighted_is(log, [[0.0, 1.0]], rare[0])) == pytest.approx(500.0)
    assert float(weighted_per_decision_is(log, rare[0], rare[1])) == pytest.approx(500.0, rel=1e-2)
    assert float(trajectory_is(log, [[0.0, 1.0]], rare[0])) == math.inf
    assert float(per_decision_is(log, [[0.0, 1.0]], rare[0], 0.0)) == pytest.approx(5.0)
    assert float(per_decision_is(log, [[0.0, 1.0]], rare[0], 0.01)) == pytest.approx(5.0 / 0.9, rel=1e-12)
    assert float(trajectory_is(log, [[0.9999, 0.0001]], [[1e-6, 1 - 1e-6]])) == math.inf
    zero = Transitions(*(np.zeros((1, steps)) for _ in range(4)))
    assert float(doubly_robust(zero, [[1.0, 0.0]], rare[1], q=[[0.0, 0.0]])) == 0.0


def test_no_estimate_is_nan():
    empty = Transitions(*(np.zeros((0, 2)) for _ in range(4)))
    never = Transitions([[0, 0]], [[0, 0]], [[1, 1]], [[0, 0]])
    pi, b = [[0.5, 0.5]], [[0.5, 0.5]]
    for estimator in (*WEIGHTED, lambda *args: doubly_robust(*args, q=[[0.0, 0.0]])):
        assert np.isnan(estimator(empty, pi, b))
        assert np.isnan(estimator(never, pi))  # the estimated behavior lacks action 1
        assert float(estimator(never, [0])) == pytest.approx(2.0)
    assert np.isnan(weighted_is(never, [1], b))
    assert np.isnan(weighted_per_decision_is(never, [1], b))
    assert float(trajectory_is(never, [1], b)) == 0.0
    data = MDPData(np.zeros((2, 1, 1), int), [[[[0]]]], np.zeros((2, 1, 1, 1), int), np.zeros((2, 1, 1)))
    assert np.isnan(model_based(data, [0]))
    assert np.isnan(marginalised(data, [0]))


def test_what_truncated_episodes_leave_out_is_said():
    log = Transitions(
        [[0, 0], [0, 0]], [[0, 0], [0, 0]], [[1, 0], [1, 1]], [[0, 0], [0, 0]], truncated=[[True, False], [False, True]]
    )
    with pytest.warns(UserWarning, match="1 episodes were truncated before the last of 2 steps") as caught:
        assert float(trajectory_is(log, [0], [0])) == 1.5
    assert caught[0].filename == __file__
    ended, not_said = Transitions([0, 0], [0, 0], [1, 1], [0, 1], [False, True]), Transitions([0], [0], [1], [0])
    with pytest.warns(UserWarning, match="episode 1 after step 0"):
        weighted_is([ended, not_said], [0, 0], [0, 0])
    unmarked = [Transitions([0, 0], [0, 0], [1, 1], [0, 1]), not_said]
    assert float(weighted_is(unmarked, [0, 0], [0, 0])) == 1.5


LOG = Transitions([[0, 1], [1, 0]], [[0, 1], [1, 0]], [[1, 0], [0, 1]], [[1, 0], [0, 1]])
HALF = np.full((2, 2), 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: trajectory_is(LOG, HALF, [0, 0]), "in episode 0, step 1, it took action 1 in state 1"),
        (lambda: trajectory_is(LOG, HALF, [[1, 0], [0.5, 0.5]]), "at step 0 it never takes action 1 in state 0"),
        (lambda: trajectory_is(LOG, HALF, HALF / 2), "the joint law of"),
        (lambda: trajectory_is(LOG, HALF / 2, HALF), r"policy\[0\] must sum to 1"),
        (lambda: trajectory_is(LOG, HALF, [[0.5, 0.5], [0.5, 0.4]]), r"behavior\[1\] must sum to 1"),
        (lambda: trajectory_is(LOG, HALF, np.log(HALF)), "logarithms"),
        (lambda: trajectory_is(LOG, [[1.0, 0.0]], [[1.0, 0.0]]), r"log.states\[0, 1\] must be below 1"),
        (
            lambda: trajectory_is(LOG, HALF, np.full((3, 2), 0.5)),
            r"over the same states and actions, got shapes \(2, 2\) and",
        ),
        (lambda: trajectory_is(LOG, HALF, HALF, 1.5), r"discount must be in \[0, 1\]"),
        (lambda: trajectory_is(Transitions([0], [0], [1], [0]), [0], [0]), "or be a list of episodes"),
        (lambda: trajectory_is([LOG], HALF, HALF), r"log\[0\] must be one episode of shape \(T,\)"),
        (
            lambda: trajectory_is(Transitions([[0, 1]], [[0, 0]], [[0, 0]], [[0, 0]]), HALF, HALF),
            "where the step before it",
        ),
        (
            lambda: trajectory_is(Transitions([[0, 1]], [[0, 0]], [[0, 1]], [[1, 1]], [[True, False]]), HALF, HALF),
            r"log.rewards\[0, 1\] must be 0 after its episode has ended",
        ),
        (lambda: doubly_robust(LOG, HALF, HALF, q=np.zeros((3, 2, 2))), r"q must have shape \(..., \[2,\] 2, 2\)"),
        (lambda: doubly_robust(LOG, HALF, HALF, q=[[0.0, np.nan]] * 2), r"q\[0, 1\] must be finite"),
        (lambda: model_based(MDPData.from_transitions(LOG), HALF, discount=0.5), "start must be given"),
        (
            lambda: model_based(MDPData.from_transitions(LOG, per_step=True), HALF, horizon=2),
            "horizon must not be given",
        ),
        (
            lambda: marginalised(MDPData.from_transitions(LOG, per_step=True), HALF, start=[1.0]),
            "start must have 2 entries",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_counts_are_no_log_of_episodes():
    with pytest.raises(TypeError, match="log must be Transitions or a list of them, got MDPData"):
        trajectory_is(MDPData.from_transitions(LOG, per_step=True), HALF, HALF)


def test_support_counts_only_where_the_policy_can_still_be():
    """An episode that the policy would have left excuses a behavior without support where it went on."""
    log = Transitions([[0, 1], [0, 0]], [[1, 0], [0, 0]], [[0, 0], [1, 1]], [[1, 1], [0, 0]])
    with pytest.raises(ValueError, match="at step 1 it never takes action 1 in state 1"):
        trajectory_is(log, [1, 1], [[0.5, 0.5], [1.0, 0.0]])
    assert float(trajectory_is(log, [0, 1], [[0.5, 0.5], [1.0, 0.0]])) == pytest.approx(4.0)
