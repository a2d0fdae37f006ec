"""Laws of `sample` (so of `sample_at`), `sample_episodes`, `folds` and `split_episodes` against raw transitions."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binom, chi2, kstest

from pessimism.bandits import Bandit
from pessimism.mdp import MDP, MDPData, Transitions
from tests.bandits.test_laws import homogeneous

FALSE_ALARM = 1e-6
MATRICES = np.array([[[0.3, 0.7], [1.0, 0.0]], [[0.5, 0.5], [0.1, 0.9]]])
PAIR_REWARDS = np.array([[0.2, 0.7], [0.5, 0.9]])
START = np.array([0.4, 0.6])
POLICY = np.array([[0.25, 0.75], [0.5, 0.5]])


def world(per_successor, horizon=None, actions=2):
    """Two states, one or two actions, one impossible move; with a horizon the steps differ."""
    moves, rewards = MATRICES[:, :actions], PAIR_REWARDS[:, :actions]
    rewards = np.stack([rewards, 1 - rewards], axis=-1) if per_successor else rewards
    if horizon is None:
        return MDP.dense(moves, rewards, START, 0.9, reward_law="bernoulli")
    matrices = np.stack([moves if h % 2 == 0 else moves[::-1] for h in range(horizon)])
    return MDP.dense(matrices, np.stack([rewards] * horizon), START, horizon=horizon, reward_law="bernoulli")


def statistics(data, per_successor):
    """(runs, ...) counts of every successor by name, and sums, as one vector a data set."""
    steps = data.horizon or 1
    lists = np.broadcast_to(
        data.next_states.reshape(-1, *data.next_states.shape[-3:]), (steps, *data.next_states.shape[-3:])
    )
    runs, named = len(data.counts), [] if per_successor else [data.pair_sums.reshape(len(data.counts), -1)]
    for table in (data.next_counts, data.reward_sums)[: 1 + per_successor]:
        full = np.zeros((runs, *lists.shape[:-1], 2))
        for index in np.ndindex(lists.shape):
            full[(slice(None), *index[:-1], lists[index])] += table.reshape(runs, *lists.shape)[(slice(None), *index)]
        named.append(full.reshape(runs, -1))
    return np.concatenate(named, axis=1)


@pytest.mark.parametrize("per_successor", [False, True])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_counts_and_sums_have_the_joint_law_of_raw_transitions(n, per_successor):
    """False alarm 1e-6 a case; with 20,000 data sets each it detects a total variation of 0.08 with probability 0.9."""
    size, mdp = 20_000, world(per_successor)
    data = mdp.sample(START[:, None] * POLICY, n=n, size=size, rng=101)
    log = mdp.sample_log(POLICY, n=n, steps=1, size=size, rng=202)
    raw = Transitions(*(getattr(log, name)[..., 0] for name in log.__slots__))
    logged = MDPData.from_transitions(raw, n_states=2, n_actions=2, batch=(size,))
    both = [statistics(d, per_successor) for d in (data, logged)]
    assert homogeneous(*both) > FALSE_ALARM


@pytest.mark.parametrize("per_successor", [False, True])
@pytest.mark.parametrize(("n", "horizon", "actions"), [(1, 2, 2), (2, 2, 1), (1, 3, 1)])
def test_episodes_have_the_joint_law_of_all_their_steps(n, horizon, actions, per_successor):
    """False alarm 1e-6 a case; steps drawn independently of each other are detected, which the last line shows."""
    size, mdp, law = 20_000, world(per_successor, horizon, actions), POLICY if actions == 2 else np.ones((2, 1))
    data = mdp.sample_episodes(law, n=n, size=size, rng=11)
    log = mdp.sample_log(law, n=n, size=size, rng=12)
    raw = MDPData.from_transitions(log, n_states=2, n_actions=actions, per_step=True)
    assert homogeneous(statistics(data, per_successor), statistics(raw, per_successor)) > FALSE_ALARM
    apart = mdp.sample(mdp.occupancy(law), n=n, size=size, rng=13)
    assert homogeneous(statistics(data, per_successor), statistics(apart, per_successor)) < FALSE_ALARM


def test_episodes_without_a_horizon_are_added_up():
    """False alarm 1e-6; detects a total variation of 0.08 with probability 0.9."""
    size, mdp = 20_000, world(True)
    data = mdp.sample_episodes(POLICY, n=2, steps=2, size=size, rng=21)
    log = mdp.sample_log(POLICY, n=2, steps=2, size=size, rng=22)
    flat = Transitions(*(getattr(log, name).reshape(size, 4) for name in log.__slots__))
    raw = MDPData.from_transitions(flat, n_states=2, n_actions=2)
    assert homogeneous(statistics(data, True), statistics(raw, True)) > FALSE_ALARM


def in_halves(n, horizon, per_successor, size):
    """Logged episodes of one action in two halves: divided as statistics, and divided as they are."""
    mdp, only = world(per_successor, horizon, actions=1), np.ones((2, 1))
    log = mdp.sample_log(only, n=n, size=size, rng=33)
    raw = (as_table(log, slice(0, n // 2)), as_table(log, slice(n // 2, n)))
    return mdp.sample_episodes(only, n=n, size=size, rng=31).split_episodes(rng=32), raw


def as_table(log, piece):
    fields = (getattr(log, name)[:, piece] for name in log.__slots__)
    return MDPData.from_transitions(Transitions(*fields), n_states=2, n_actions=1, per_step=True)


def moves_of(data):
    """Counts of every move at every step, without the rewards."""
    return statistics(data, False)[:, data.horizon * data.n_states * data.n_actions :]


@pytest.mark.parametrize(("n", "horizon"), [(2, 3), (3, 2), (4, 2)])
def test_split_statistics_have_the_law_of_split_episodes(n, horizon):
    """Moves of both halves jointly. False alarm 1e-6 a case; the next test but one shows what is detected."""
    both = (np.concatenate([moves_of(x) for x in pair], axis=1) for pair in in_halves(n, horizon, False, 20_000))
    assert homogeneous(*both) > FALSE_ALARM


@pytest.mark.parametrize("per_successor", [False, True])
def test_split_rewards_go_with_their_transitions(per_successor):
    """Moves and rewards of the half, rewards of the rest. False alarm 1e-6; detects a total variation of 0.05."""
    split, raw = in_halves(2, 2, per_successor, 20_000)
    both = (
        np.column_stack([statistics(half, per_successor), rest.pair_sums.sum(axis=(1, 2, 3))])
        for half, rest in (split, raw)
    )
    assert homogeneous(*both) > FALSE_ALARM


def test_a_split_that_ignores_the_flow_would_be_seen():
    """The power of the tests above: a half of every step by itself, drawn without replacement, has another law."""
    half = in_halves(4, 2, False, 20_000)[0][0]
    data = world(False, 2, actions=1).sample_episodes(np.ones((2, 1)), n=4, size=len(half.counts), rng=31)

    def step(table, h):
        return MDPData(table.counts[:, h], table.next_states[h], table.next_counts[:, h], table.pair_sums[:, h])

    own = np.concatenate([statistics(step(half, h), False) for h in (0, 1)], axis=1)
    apart = np.concatenate([statistics(step(data, h).subsample(2, rng=h), False) for h in (0, 1)], axis=1)
    assert homogeneous(own, apart) < FALSE_ALARM


COINS = np.array([[1, 1], [0, 1], [1, 0]])  # successor and reward of three transitions of one pair


def coins(runs):
    """`runs` copies of the data set of these transitions."""
    zeros, ones = np.zeros((runs, 3), int), np.ones((runs, 1), int)
    log = Transitions(zeros, zeros, ones * COINS[:, 1], ones * COINS[:, 0])
    return MDPData.from_transitions(log, n_states=2, n_actions=1, truncated=zeros == 0)


def exactly(samples, outcomes):
    """Chi-square of samples against equally likely elementary outcomes, given as rows (repetitions add up)."""
    expected: dict[tuple, float] = {}
    for row in outcomes:
        expected[tuple(row)] = expected.get(tuple(row), 0.0) + len(samples) / len(outcomes)
    rows, seen = np.unique(samples, axis=0, return_counts=True)
    table = {tuple(row): k for row, k in zip(rows, seen, strict=True)}
    assert set(table) <= set(expected)
    return chi2.sf(sum((table.get(row, 0) - e) ** 2 / e for row, e in expected.items()), len(expected) - 1)


def of_part(part):
    """(visits, ones) of both successors for the transitions `part` of COINS."""
    return [np.sum((COINS[part, 0] == b) & (COINS[part, 1] >= r)) for r in (0, 1) for b in (0, 1)]


def test_folds_are_all_assignments_with_equal_probability():
    """Exact: 3 transitions to 3 folds in 27 ways. False alarm 1e-6; detects a total variation of 0.03."""
    folds = coins(30_000).folds(3, rng=41)
    sample = np.concatenate([x[k, :, 0, 0] for k in range(3) for x in (folds.next_counts, folds.reward_sums)], axis=1)
    ways = [
        np.concatenate([of_part(np.array(assigned) == k) for k in range(3)])
        for assigned in itertools.product(range(3), repeat=3)
    ]
    assert exactly(sample.astype(int), ways) > FALSE_ALARM


def test_subsamples_are_all_subsets_with_equal_probability():
    """Exact: 2 of 3 transitions in 3 ways. False alarm 1e-6; detects a total variation of 0.03."""
    part = coins(30_000).subsample(2, rng=42)
    sample = np.concatenate([part.next_counts[:, 0, 0], part.reward_sums[:, 0, 0]], axis=1)
    ways = [of_part(list(kept)) for kept in itertools.combinations(range(3), 2)]
    assert exactly(sample.astype(int), ways) > FALSE_ALARM


def test_one_state_has_the_data_of_the_bandit():
    """False alarm 1e-6; detects a total variation of 0.08 with probability 0.9."""
    size, means, mu = 20_000, [[0.3, 0.8]], [[0.6, 0.4]]
    ours = MDP.dense(np.ones((1, 2, 1)), means, discount=0.0, reward_law="bernoulli").sample(mu, n=4, size=size, rng=51)
    theirs = Bandit(means).sample(mu, n=4, size=size, rng=52)
    both = (ours.counts, ours.pair_sums), (theirs.counts, theirs.sums)
    assert homogeneous(*(np.concatenate(pair, axis=-1).reshape(size, 4) for pair in both)) > FALSE_ALARM


@pytest.mark.parametrize("n", [10**6, 10**12])
def test_large_samples_are_binomial_in_every_cell(n):
    """DKW with n = 4000 at 1e-6 allows 0.043; detects a standard deviation off by 15 %."""
    size, mdp = 4000, world(False)
    mu = START[:, None] * POLICY
    data = mdp.sample(mu, n=n, size=size, rng=7)
    allowed = math.sqrt(math.log(2 / FALSE_ALARM) / (2 * size))
    for s, a, b in np.ndindex(2, 2, 2):
        p = mu[s, a] * mdp.probabilities[s, a, b]
        if p > 0:
            assert kstest(data.next_counts[:, s, a, b], binom(n, p).cdf).statistic < allowed
        hits = mu[s, a] * PAIR_REWARDS[s, a]
        z = (data.reward_sums[:, s, a] - n * hits) / math.sqrt(n * hits * (1 - hits))
        assert kstest(z, "norm").statistic < allowed


def test_raw_logs_have_the_law_they_were_asked_for():
    """False alarm 1e-6; 40,000 episodes of 2 steps detect a move off by 5 % of its probability."""
    log = world(True).sample_log(POLICY, n=40_000, steps=2, rng=9)
    paths = np.stack([log.states[:, 0], log.actions[:, 0], log.states[:, 1], log.actions[:, 1], log.next_states[:, 1]])
    seen = np.bincount(np.ravel_multi_index(paths, (2,) * 5), minlength=32)
    law = np.einsum("s,sa,sat,tb,tbu->satbu", START, POLICY, MATRICES, POLICY, MATRICES).ravel()
    assert np.all(seen[law == 0] == 0)
    expected = 40_000 * law[law > 0]
    assert np.sum((seen[law > 0] - expected) ** 2 / expected) < chi2.isf(FALSE_ALARM, expected.size - 1)
    assert np.array_equal(log.next_states[:, 0], log.states[:, 1])
    s, a, t = log.states[:, 0], log.actions[:, 0], log.next_states[:, 0]
    for cell in np.ndindex(2, 2, 2):
        coin = log.rewards[(s == cell[0]) & (a == cell[1]) & (t == cell[2]), 0]
        mean = PAIR_REWARDS[cell[:2]] if cell[2] == 0 else 1 - PAIR_REWARDS[cell[:2]]
        assert binom.ppf(FALSE_ALARM, coin.size, mean) <= coin.sum() <= binom.isf(FALSE_ALARM, coin.size, mean)


@pytest.mark.parametrize("n", [0, 1, 1000, 10**12, 2**53])
def test_everything_is_counted_and_the_impossible_never_happens(n):
    """A pair or a move of probability 0 is never drawn, not even once in 10^15; nothing is left over for it either."""
    p = np.array([[[0.1, 0.0, 0.9], [0.0, 1 / 3, 2 / 3]], [[0.0, 0.7, 0.3], [1.0, 0.0, 0.0]], [[0.4, 0.6, 0.0]] * 2])
    lists = np.broadcast_to(np.arange(3), (3, 2, 3))
    mdp = MDP(lists, p, np.full((3, 2), 0.5), [0.5, 0.5, 0.0], 0.9, reward_law="bernoulli")
    mu = np.array([[0.1, 0.0], [0.2, 0.3], [0.4, 0.0]])
    policy = np.array([[0.3, 0.7], [1.0, 0.0], [0.0, 1.0]])
    data, logged = mdp.sample(mu, n=n, size=200, rng=1), mdp.sample_episodes(policy, n=n // 4, steps=4, size=50, rng=2)
    assert np.all(data.n == n)
    assert np.all(logged.n == n // 4 * 4)
    assert np.all(data.counts[:, mu == 0] == 0)
    assert np.all(logged.counts[:, policy == 0] == 0)
    for each in (data, logged, mdp.sample_at(np.full((3, 2), n), size=20, rng=3)):
        assert np.all(each.next_counts[:, p == 0] == 0)
        assert np.array_equal(each.next_counts.sum(axis=-1), each.counts)
        assert np.all((each.reward_sums >= 0) & (each.reward_sums <= each.counts))


def test_rewards_are_those_of_the_model_and_stay_in_their_range():
    rewards = np.array([[[2.0, -1.0], [0.5, 1e9]], [[0.5, 0.5], [0.25, 3.0]]])
    mdp = MDP(np.broadcast_to([0, 1], (2, 2, 2)), MATRICES, rewards, START, 0.9)
    data = mdp.sample(np.full((2, 2), 0.25), n=100, size=5, rng=1)
    assert np.array_equal(data.reward_sums, data.next_counts * rewards)
    assert (data.reward_law, data.reward_range) == ("deterministic", (-1.0, 3.0))  # the billion cannot happen
    MDPData(*(getattr(data, name) for name in data.__slots__))  # passes its own checks


def test_streams_are_reproducible_and_shapes_broadcast():
    mdp, law = world(True), np.full((2, 2), 0.25)
    steps = world(True, 3)
    calls = [
        lambda rng: mdp.sample(law, n=50, size=10, rng=rng),
        lambda rng: mdp.sample_at([[9, 9], [9, 9]], size=10, rng=rng),
        lambda rng: steps.sample_episodes(POLICY, n=50, size=10, rng=rng),
        lambda rng: steps.sample_episodes(POLICY, n=50, size=10, rng=3).split_episodes(rng)[0],
        lambda rng: mdp.sample(law, n=50, size=10, rng=3).folds(2, rng)[0],
        lambda rng: MDPData.from_transitions(mdp.sample_log(POLICY, n=10, steps=20, rng=rng)),
    ]
    for call in calls:
        first, second, other = call(5), call(np.random.default_rng(5)), call(np.random.SeedSequence(6))
        assert np.array_equal(first.next_counts, second.next_counts)
        assert np.array_equal(first.reward_sums, second.reward_sums)
        assert not np.array_equal(first.next_counts, other.next_counts)
        assert len(np.unique(first.next_counts.reshape(10, -1), axis=0)) > 4
    many = MDP.dense(MATRICES, np.full((4, 1, 2, 2), 0.5), START, 0.9)
    laws = np.broadcast_to(law, (5, 2, 2))
    data = many.sample(laws, n=[10, 20, 30, 40, 50], size=(7,), rng=1)
    assert (data.counts.shape, data.next_counts.shape) == ((7, 4, 5, 2, 2), (7, 4, 5, 2, 2, 2))
    assert np.array_equal(data.n, np.broadcast_to([10, 20, 30, 40, 50], (7, 4, 5)))
    assert many.sample_at(np.ones((5, 2, 2)), size=(2, 3), rng=1).shape == (2, 3, 4, 5)
    assert mdp.sample(law, n=3, rng=1).shape == ()
    per_step = steps.sample(np.broadcast_to(law, (3, 2, 2)), n=[5, 6], size=4, rng=1)
    assert (per_step.shape, per_step.horizon) == ((4, 2), 3)
    assert np.array_equal(per_step.counts.sum(axis=(-2, -1)), np.broadcast_to([[5] * 3, [6] * 3], (4, 2, 3)))
    assert steps.sample_episodes(POLICY, n=6, size=(2, 3), rng=1).counts.shape == (2, 3, 3, 2, 2)
    assert steps.sample_log(POLICY, n=6, size=(2, 3), rng=1).states.shape == (2, 3, 6, 3)
