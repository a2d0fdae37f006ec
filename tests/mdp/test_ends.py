"""Where an episode ends: a terminal state is an absorbing one that is known, and never the worst there is."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pessimism.mdp import (
    MDP,
    MDPData,
    Transitions,
    behavior,
    behavior_cloning,
    cql,
    cql_values,
    lcb_q,
    pevi,
    plan,
    plug_in,
    vi_lcb,
    vi_lcb_bernstein,
    vi_lcb_episodic,
)
from tests.mdp import reference as plain
from tests.mdp.sizes import examples

pytestmark = pytest.mark.filterwarnings("ignore::pessimism.mdp.ImitationWarning")
SEEDS = st.integers(0, 2**32)
PLENTY = 2**50
"""Visits that leave no width."""


def corridor(size, **settings):
    """States in a row, left and right, at a cost of 1 a step until the last."""

    def step(s, a):
        return [(1.0, max(s - 1, 0) if a == 0 else s + 1, -1.0)]

    return MDP.from_function(step, size, 2, np.eye(size)[0], terminal=np.arange(size) == size - 1, **settings)


def world(seed, *, horizon=None, low=-2.0, high=3.0):
    """A random model of five states, of which the last two are terminal, and the same with explicit rows."""
    rng = np.random.default_rng(seed)
    matrices, rewards, start = plain.tables(rng, 5, 2)
    rewards = low + (high - low) * rng.random(rewards.shape)
    ends = np.arange(5) >= 3
    rest = {"start": start, "discount": None if horizon else 0.9, "horizon": horizon, "reward_range": (low, high)}
    implicit, explicit = matrices.copy(), matrices.copy()
    implicit[ends], explicit[ends] = 0.0, np.eye(5)[ends, None]
    rewards[ends] = 0.0
    told = (min(low, 0.0), max(high, 0.0))
    return MDP.dense(implicit, rewards, terminal=ends, **rest), MDP.dense(
        explicit, rewards, **rest | {"reward_range": told}
    )


def with_rows(data):
    """The same data with visits of terminal states that stay and earn nothing, more than any width can see."""
    counts, next_counts = data.counts.copy(), data.next_counts.copy()
    counts[..., data.terminal, :] = PLENTY
    next_counts[..., data.terminal, :, 0] = PLENTY
    low, high = data.reward_range
    span = min(low, 0.0), max(high, 0.0)
    return MDPData.trusted(counts, data.next_states, next_counts, data.reward_sums, span, data.reward_law)


@examples(0.4)
@given(SEEDS, st.sampled_from([None, 4]), st.sampled_from([(-2.0, 3.0), (-3.0, -1.0), (1.0, 2.0)]))
def test_a_terminal_state_is_an_absorbing_one_that_earns_nothing(seed, horizon, span):
    """Exactly, in models; and no policy's value leaves the range that contains 0."""
    mdp, explicit = world(seed, horizon=horizon, low=span[0], high=span[1])
    law = np.random.default_rng(seed).dirichlet(np.ones(2), 5)
    assert np.array_equal(mdp.evaluate(law), explicit.evaluate(law))
    assert np.array_equal(mdp.optimal_values, explicit.optimal_values)
    assert np.array_equal(mdp.occupancy(law), explicit.occupancy(law))
    assert mdp.value_range == explicit.value_range
    low, high = mdp.value_range
    assert low <= 0.0 <= high
    assert np.all((mdp.evaluate(law) >= low - 1e-12) & (mdp.evaluate(law) <= high + 1e-12))
    assert mdp.reward_range == span
    found = plan(mdp, tolerance=1e-9)
    assert np.all(found.value[..., 3:] == 0)
    assert found.value == pytest.approx(mdp.optimal_values, abs=2e-9)


@pytest.mark.parametrize("size", [4, 5])
@pytest.mark.parametrize("marked", [True, False])
def test_costs_are_paid_to_reach_the_goal(size, marked):
    """-2.71 from the start of three steps, -3.439 of four; unmarked, never to arrive looks best and is said."""
    mdp = corridor(size, discount=0.9)
    log = mdp.sample_log(np.full((size, 2), 0.5), n=400, steps=40, rng=1)
    flat = Transitions(*(getattr(log, name).ravel() for name in Transitions.__slots__))
    best = -(1 - 0.9 ** (size - 1)) / 0.1
    if marked:
        data = MDPData.from_transitions(flat, n_actions=2)
        assert data.terminal.tolist() == [False] * (size - 1) + [True]
        rules = {
            "plug_in": plug_in(data, discount=0.9),
            "vi_lcb": vi_lcb(data, discount=0.9),
            "vi_lcb unseen": vi_lcb(data, discount=0.9, monotone=False, unseen=20.0),
            "bernstein": vi_lcb_bernstein(data, discount=0.9),
        }
        for found in rules.values():
            assert found.policy[:-1].tolist() == [1] * (size - 1)
            assert found.value[0] <= best + 1e-6
            assert found.value[-1] == 0
        assert rules["plug_in"].value[0] == pytest.approx(best, abs=1e-6)
        assert cql(data, discount=0.9, alpha=1e-3).policy[:-1, 1].min() > 0.99
        assert mdp.suboptimality(plug_in(data, horizon=3 * size).policy[0]) == 0
        assert data.model(0.9, start=mdp.start).value(np.ones(size, int)) == pytest.approx(best, abs=1e-12)
        return
    keep = flat.states < size - 1
    bare = Transitions(*(getattr(flat, name)[keep] for name in ("states", "actions", "rewards", "next_states")))
    with pytest.warns(
        UserWarning, match=rf"state {size - 1} is entered, never left and not marked: .*-1 a step"
    ) as caught:
        data = MDPData.from_transitions(bare, n_actions=2)
    assert [warning.filename for warning in caught] == [__file__]
    assert plug_in(data, discount=0.9).value == pytest.approx(-10.0, abs=1e-5)
    ended = bare.next_states == size - 1
    again = MDPData.from_transitions(bare, n_actions=2, terminated=ended)
    assert plug_in(again, discount=0.9).value[0] == pytest.approx(best, abs=1e-6)


# ---- Rules


@examples(0.4)
@given(SEEDS, st.sampled_from([(-2.0, 3.0), (-3.0, -1.0), (1.0, 2.0)]))
def test_rules_treat_the_mask_as_rows_without_a_width(seed, span):
    """At equal radii: the mask is not counted among the pairs, and not among the transitions."""
    mdp, _ = world(seed, low=span[0], high=span[1])
    data = mdp.sample(behavior.uniform(mdp), n=300, rng=seed)
    rows = with_rows(data)
    assert data.n < rows.n
    for rule, own, other in (
        (plug_in, {"tolerance": 1e-9}, {"tolerance": 1e-9}),
        (vi_lcb, {"constant": 0.01, "delta": 0.06}, {"constant": 0.01, "delta": 0.1}),  # 6 and 10 pairs
        (
            vi_lcb,
            {"constant": 0.01, "delta": 0.06, "monotone": False},
            {"constant": 0.01, "delta": 0.1, "monotone": False},
        ),
        (cql, {"alpha": 0.3, "tolerance": 1e-9}, {"alpha": 0.3, "tolerance": 1e-9}),
    ):
        one, two = rule(data, discount=0.9, **own), rule(rows, discount=0.9, **other)
        assert one.value == pytest.approx(two.value, abs=2e-5)
        assert np.all(one.value[3:] == 0)
    law = np.full((5, 2), 0.5)
    seen = data.counts[:3].min() > 0
    if seen:
        assert cql_values(data, law, discount=0.9, alpha=0.3) == pytest.approx(
            cql_values(rows, law, discount=0.9, alpha=0.3), abs=1e-9
        )


def scaled_world(seed, horizon=None):
    mdp, _ = world(seed, horizon=horizon)
    return mdp, mdp.sample(behavior.uniform(mdp), n=2000, rng=seed)


@examples(0.3)
@pytest.mark.kernels
@given(SEEDS, st.sampled_from([0.01, 0.5]))
def test_bernstein_widths_around_known_values(seed, constant):
    """The plain loop on rewards scaled to [0, 1], in which what has ended is worth 0.4 / (1 - discount)."""
    _, data = scaled_world(seed)
    found = vi_lcb_bernstein(data, discount=0.8, constant=constant, log_factor=2.0, tolerance=1e-9)
    shares, total, level = plain.dense(data.next_states, data.transition_shares), int(data.n), 2 * constant
    rewards, v, v_max = (data.mean_rewards + 2.0) / 5.0, np.where(data.terminal, 2.0, 0.0), 5.0
    for _ in range(150):
        q = np.zeros((5, 2))
        for s, a in np.ndindex(3, 2):
            mean, n = shares[s, a] @ v, data.counts[s, a]
            width = max(math.sqrt(level * (shares[s, a] @ (v - mean) ** 2) / n), 2 * level * v_max / n) if n else v_max
            q[s, a] = rewards[s, a] + 0.8 * mean - min(width, v_max) - 5 / total
        v = np.where(data.terminal, 2.0, np.maximum(q, 0.0).max(axis=1))
    assert found.value == pytest.approx(np.where(data.terminal, 0.0, 5.0 * v - 10.0), abs=1e-8)
    assert (found.status.name == "NO_UPDATE") == (not np.any(v[:3] > 0))


@examples(0.3)
@pytest.mark.kernels
@given(SEEDS, st.sampled_from([0.01, 0.5]))
def test_rules_for_episodes_treat_the_mask_as_rows_without_a_width(seed, constant):
    _, data = scaled_world(seed, horizon=3)
    rows, features = with_rows(data), np.eye(10).reshape(5, 2, 10)
    for one, two in (
        (plug_in(data), plug_in(rows)),
        (
            vi_lcb_episodic(data, constant=constant, log_factor=1.0),
            vi_lcb_episodic(rows, constant=constant, log_factor=1.0),
        ),
        (pevi(data, features, beta=constant, ridge=1e-3), pevi(rows, features, beta=constant, ridge=1e-3)),
    ):
        assert one.value == pytest.approx(two.value, abs=1e-6)
        assert np.all(one.value[:, 3:] == 0)
    imitated = behavior_cloning(data)
    assert np.all(imitated.value[:, 3:] == 0)
    assert imitated.value[0, :3].tolist() == [-6.0] * 3  # three steps at the worst


@examples(0.3)
@pytest.mark.kernels
@given(SEEDS, st.sampled_from([1e-3, 0.1]))
def test_lcb_q_learns_nothing_from_what_follows_an_end(seed, constant):
    mdp, _ = world(seed, horizon=3)
    log = mdp.sample_log(np.full((5, 2), 0.5), n=60, rng=seed)
    found = lcb_q(log, n_states=5, n_actions=2, constant=constant, delta=0.1, reward_range=(-2, 3))
    ended = np.zeros(5, bool)
    ended[log.next_states[log.terminated]] = True
    bonus = constant * math.sqrt(27) * math.log((5 - ended.sum()) * 2 * 180 / 0.1)
    q, v, n = np.zeros((3, 5, 2)), np.zeros((4, 5)), np.zeros((3, 5, 2), int)
    v[:3, ended] = 0.4 * np.arange(3, 0, -1)[:, None]
    for k, h in np.ndindex(60, 3):
        s, a = log.states[k, h], log.actions[k, h]
        if not ended[s]:
            n[h, s, a] += 1
            rate = 4 / (3 + n[h, s, a])
            target = (log.rewards[k, h] + 2) / 5 + v[h + 1, log.next_states[k, h]] - bonus / math.sqrt(n[h, s, a])
            q[h, s, a] = (1 - rate) * q[h, s, a] + rate * target
            v[h, s] = max(v[h, s], q[h, s].max())
    expected = np.where(ended, 0.0, 5 * v[:3] - 2.0 * np.arange(3, 0, -1)[:, None])
    assert found.value == pytest.approx(expected, abs=1e-9)


def test_the_split_rule_knows_what_has_ended():
    data = corridor(4, discount=0.5).sample(np.full((4, 2), 1 / 8), n=10**7, rng=0)
    found = vi_lcb(data, discount=0.5, split=True, rng=0)
    assert found.policy[:-1].tolist() == [1, 1, 1]
    assert found.value[-1] == 0
    assert np.all(found.value <= corridor(4, discount=0.5).optimal_values)
    few = corridor(4, discount=0.9).sample(np.full((4, 2), 1 / 8), n=8, rng=0)
    assert vi_lcb(few, discount=0.9, constant=50.0).status.name == "NO_UPDATE"  # though the goal is above the floor
    assert vi_lcb_bernstein(few, discount=0.9, constant=5.0).status.name == "NO_UPDATE"


# ---- Data


def test_counts_say_where_their_episodes_end():
    """Visits that stay and earn nothing are dropped, in data as in logs; n and the ranges are those of the others."""
    counts, lists = [[3, 1], [5, 0]], [[[0, 1], [1, 1]], [[1, 0], [1, 0]]]
    moved = [[[2, 1], [1, 0]], [[5, 0], [0, 0]]]
    data = MDPData(counts, lists, moved, [[6.0, 2.0], [0, 0]], (1, 3), "other", terminal=[False, True])
    assert (int(data.n), data.counts.tolist()) == (4, [[3, 1], [0, 0]])
    assert data.mean_rewards.tolist() == [[2.0, 2.0], [0.0, 0.0]]
    assert data.model(0.5).evaluate([1, 0]).tolist() == [2.0, 0.0]
    for bad, message in (
        (
            {"moved": [[[2, 1], [1, 0]], [[4, 1], [0, 0]]]},
            "next_counts[1, 0, 1] must be 0 where a terminal state would",
        ),
        (
            {"sums": [[6.0, 2.0], [5.0, 0.0]]},
            "reward_sums[1, 0] must be 0 in terminal states, which earn nothing, got 5",
        ),
        ({"terminal": [0, 1]}, "terminal must be bool of shape (2,), one a state, got int64 of shape (2,)"),
        ({"terminal": [True]}, "terminal must be bool of shape (2,), one a state, got bool of shape (1,)"),
    ):
        given = {"moved": moved, "sums": [[6.0, 2.0], [0, 0]], "terminal": [False, True]} | bad
        with pytest.raises(ValueError, match=re.escape(message)):
            MDPData(counts, lists, given["moved"], given["sums"], (1, 3), "other", terminal=given["terminal"])


def test_an_unseen_pair_is_worth_the_low_end_of_a_range_that_contains_nothing():
    """Rewards of 1 to 2: before an end they count for nothing, so nothing is the worst; of -2 to -1 for ever -2."""
    ends, lists, moved = [False, False, True], [[[2]], [[1]], [[2]]], [[[1]], [[0]], [[0]]]
    for span, worst in (((1.0, 2.0), 0.0), ((-2.0, -1.0), -4.0)):
        reward = span[0]
        data = MDPData([[1], [0], [0]], lists, moved, [[reward], [0], [0]], span, "other", terminal=ends)
        for found in (plug_in(data, discount=0.5), vi_lcb(data, discount=0.5), vi_lcb_bernstein(data, discount=0.5)):
            assert found.value[1] == pytest.approx(worst, abs=1e-6)
        assert plug_in(data, discount=0.5).value[0] == pytest.approx(reward, abs=1e-6)
        assert data.model(0.5).evaluate([0, 0, 0])[1] == worst
        lowest = [min(reward, 0.0) * left for left in (2, 1)]
        assert plug_in(data, horizon=2).value[:, 1].tolist() == lowest


def test_a_truncated_episode_is_not_terminal():
    """-1, then the worst for ever, of a range that the user knows to reach down to -2."""
    log = Transitions([0], [0], [-1.0], [1], truncated=[True])
    data = MDPData.from_transitions(log, reward_range=(-2, 0))
    assert not data.terminal.any()
    assert plug_in(data, discount=0.5).value == pytest.approx([-3.0, -4.0], abs=1e-6)


def test_joining_and_dividing_keep_the_ends():
    mdp = corridor(4, horizon=6)
    data = mdp.sample_episodes(np.full((4, 2), 0.5), n=500, rng=0)
    main, auxiliary = data.split_episodes(rng=1)
    assert np.array_equal(main.merge(auxiliary).counts, data.counts)
    assert data.counts[..., -1, :].sum() == 0
    flat = corridor(4, discount=0.9).sample(np.full((4, 2), 1 / 8), n=400, size=3, rng=0)
    parts = main, auxiliary, flat[0], flat.folds(2, rng=0), flat.subsample(100, rng=0), flat.merge(flat)
    assert all(part.terminal.tolist() == [False, False, False, True] for part in parts)
    unknown = MDPData([[1]] * 4, [[[1]]] * 4, [[[1]]] * 4, [[0.0]] * 4, (-1, 0), "other")
    known = MDPData([[1]] * 3 + [[0]], [[[1]]] * 4, [[[1]]] * 3 + [[[0]]], [[0.0]] * 4, (-1, 0), "other",
                    terminal=[False] * 3 + [True])  # fmt: skip
    with pytest.raises(
        ValueError, match=re.escape("others[0] must not leave state 3, which is terminal in another log")
    ):
        known.merge(unknown)
    silent = MDPData([[1]] * 3 + [[0]], [[[1]]] * 4, [[[1]]] * 3 + [[[0]]], [[0.0]] * 4, (-1, 0), "other")
    both = silent.merge(known)
    assert both.terminal.tolist() == [False] * 3 + [True]
    assert both.model(0.9).evaluate([0] * 4)[3] == 0


# ---- Raw logs


@examples(0.5)
@given(SEEDS, st.booleans())
def test_marks_become_terminal_states_by_a_plain_loop(seed, grows):
    """Random rows, some of which terminate: where such a state is also passed, ends have a state of their own."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 12))
    s, a, t = rng.integers(0, 4, n), rng.integers(0, 2, n), rng.integers(0, 4, n)
    r, ended = rng.integers(-1, 2, n).astype(float), rng.random(n) < 0.3
    ends = {int(t[i]) for i in range(n) if ended[i]}
    padding = [s[i] in ends and s[i] == t[i] and r[i] == 0 for i in range(n)]
    passed = any(
        (s[i] in ends and not padding[i]) or (t[i] in ends and not ended[i] and s[i] not in ends) for i in range(n)
    )
    size = max(*s, *t) + 1 if grows else 5
    data = MDPData.from_transitions(
        Transitions(s, a, r, t, ended, ~ended), n_states=None if grows else 5, n_actions=2, reward_range=(-1, 1)
    )
    own = size if grows else 4
    expected = {}
    for i in range(n):
        if passed or not padding[i]:
            key = (int(s[i]), int(a[i]), own if passed and ended[i] else int(t[i]))
            count, total = expected.get(key, (0, 0.0))
            expected[key] = count + 1, total + r[i]
    assert data.n_states == (size + passed if grows else 5)
    assert set(np.flatnonzero(data.terminal)) == ({own} if passed else ends)
    counts, sums = (plain.dense(data.next_states, x) for x in (data.next_counts, data.reward_sums))
    assert {k: (counts[k], sums[k]) for k in expected} == expected
    assert counts.sum() == sum(count for count, _ in expected.values())


def test_no_room_for_an_end_of_its_own():
    log = Transitions([0, 1], [0, 0], [1.0, 1.0], [1, 0], [True, False])
    message = "n_states must be at least 3: transition 0 terminates in state 1, which transition 1 passes, so that ends"
    with pytest.raises(ValueError, match=re.escape(message)):
        MDPData.from_transitions(log, n_states=2)
    assert MDPData.from_transitions(log).terminal.tolist() == [False, False, True]
    assert MDPData.from_transitions(log, n_states=9).terminal.tolist() == [False] * 8 + [True]
    for name in ("terminated", "truncated"):
        with pytest.raises(
            ValueError, match=rf"{name} must be bool of shape \(2,\) as the log, got float64 of shape \(2,\)"
        ):
            MDPData.from_transitions(log, **{name: [0.0, 1.0]})


def test_episodes_of_any_length_step_by_step():
    """One ends exactly at the horizon, one before, one is cut; what is entered at the last step needs no mark."""
    walks = [
        Transitions([0, 1, 2], [1, 1, 1], [-1.0] * 3, [1, 2, 3], [False, False, True]),
        Transitions([1, 2], [1, 1], [-1.0] * 2, [2, 3], [False, True]),
        Transitions([0], [0], [-1.0], [0]),
    ]
    data = MDPData.from_episodes(iter(walks), horizon=3)
    assert data.counts.sum(axis=-1).tolist() == [[2, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0]]
    assert data.terminal.tolist() == [False, False, False, True]
    assert plug_in(data).value[0].tolist() == [-3.0, -2.0, -3.0, 0.0]
    flat = MDPData.from_episodes(walks)
    assert flat.counts.sum(axis=-1).tolist() == [2, 2, 2, 0]
    assert plug_in(flat, horizon=3).value[0].tolist() == [-3.0, -2.0, -1.0, 0.0]
    unmarked = Transitions([0, 1], [0, 0], [-1.0] * 2, [1, 2])
    assert not MDPData.from_episodes([unmarked], horizon=2).terminal.any()  # without a warning: nothing follows
    with pytest.warns(UserWarning, match="state 2 is entered, never left"):
        MDPData.from_episodes([unmarked])
    with pytest.warns(UserWarning, match="state 2 is entered, never left"):
        MDPData.from_episodes([unmarked], horizon=3)


@pytest.mark.parametrize(
    ("walk", "message"),
    [
        (
            Transitions([0, 1], [0, 0], [0.0, 0.0], [1, 0], [True, False]),
            "episodes[1].terminated[0] must be False before",
        ),
        (
            Transitions([0, 0], [0, 0], [0.0, 0.0], [1, 0]),
            "episodes[1].states[1:][0] must be where the step before it led",
        ),
        (Transitions([[0]], [[0]], [[0.0]], [[1]]), "episodes[1] must have shape (T,) with T >= 1, got (1, 1)"),
        (
            Transitions([0, 0, 0], [0] * 3, [0.0] * 3, [0] * 3),
            "lengths of episodes[1] must be at most horizon = 2, got 3",
        ),
        (Transitions([0], [0], [0.0], [7]), "episodes[1].next_states[0] must be below n_states = 2, got 7"),
    ],
)
def test_what_is_no_episode_is_named(walk, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        MDPData.from_episodes([Transitions([0], [0], [0.0], [1]), walk], horizon=2, n_states=2)


def test_no_episodes_are_no_log():
    with pytest.raises(ValueError, match="episodes must hold at least one episode, got none"):
        MDPData.from_episodes([])
    with pytest.raises(TypeError, match=re.escape("episodes[0] must be a Transitions, got list")):
        MDPData.from_episodes([[0]])


# ---- Models and what is drawn from them


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"matrix": [[[0.0, 1.0]], [[1.0, 0.0]]]},
            "probabilities[1, 0, 0] must be 0 where a terminal state would be left",
        ),
        ({"rewards": [[1.0], [1.0]]}, "rewards[1, 0] must be 0 in terminal states, which earn nothing, got 1.0"),
        ({"terminal": [1, 0]}, "terminal must be bool of shape (2,), one a state, got int64 of shape (2,)"),
        ({"terminal": [[True, False]]}, "terminal must be bool of shape (2,), one a state, got bool of shape (1, 2)"),
        ({"terminal": None}, "transitions[1, 0] must sum to 1"),
    ],
)
def test_rows_of_terminal_states_say_nothing(change, message):
    given = {"matrix": [[[0.0, 1.0]], [[0.0, 0.0]]], "rewards": [[1.0], [0.0]], "terminal": [False, True]}
    assert MDP.dense(given["matrix"], given["rewards"], discount=0.5, terminal=given["terminal"]).value([0, 0]) == 0.5
    given |= change
    with pytest.raises(ValueError, match=re.escape(message)):
        MDP.dense(given["matrix"], given["rewards"], discount=0.5, terminal=given["terminal"])


def test_nothing_is_logged_from_a_terminal_state():
    mdp = corridor(3, discount=0.5)
    law = np.full((3, 2), 1 / 6)
    assert behavior.uniform(mdp).sum(axis=1).tolist() == [0.5, 0.5, 0.0]
    drawn = mdp.sample(law, n=600, rng=0)
    assert 350 < drawn.n < 450  # six standard deviations of the 400 that are due
    assert int(mdp.sample(behavior.uniform(mdp), n=600, rng=0).n) == 600
    walked = mdp.sample_episodes([1, 1, 1], n=7, steps=5, rng=0)
    assert walked.counts.tolist() == [[0, 7], [0, 7], [0, 0]]
    log = mdp.sample_log([1, 1, 1], n=2, steps=4, rng=0)
    assert log.terminated.tolist() == [[False, True, False, False]] * 2
    assert not log.truncated.any()
    assert MDPData.from_transitions(log, n_actions=2)[0].counts.tolist() == [[0, 1], [0, 1], [0, 0]]
    assert mdp.sample_log([0, 0, 0], n=1, steps=2, rng=0).truncated.tolist() == [[False, True]]
    with pytest.raises(ValueError, match=re.escape("counts[2, 0] must be 0 in terminal states, got 1")):
        mdp.sample_at([[1, 1], [1, 1], [1, 0]], rng=0)


def test_coverage_asks_only_for_what_can_be_logged():
    mdp = corridor(3, discount=0.5)
    assert mdp.occupancy([1, 1, 0]).tolist() == [[0, 0.5], [0, 0.25], [0.25, 0]]
    assert mdp.coverage(behavior.uniform(mdp)) == 2.0
    for cstar in (1.5, 3.0):
        assert mdp.coverage(behavior.prescribe(mdp, cstar=cstar)) == pytest.approx(cstar, rel=1e-12)
    mixed = behavior.prescribe(mdp, cstar=1.5, mix=behavior.uniform(mdp))
    assert mdp.coverage(mixed) == pytest.approx(1.5, rel=1e-12)
