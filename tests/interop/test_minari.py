"""Minari: the same numbers after the round trip, real episodes of Gymnasium, ends that absorb, one error a mistake."""

import itertools
import re
from types import SimpleNamespace

import gymnasium
import minari
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple
from minari.data_collector import EpisodeBuffer

from pessimism.interop.gymnasium import mdp_from_env
from pessimism.interop.minari import from_minari, position_of, to_minari, value_at
from pessimism.mdp import MDP, MDPData, Transitions, plug_in, vi_lcb
from tests.interop.tables import same

pytestmark = pytest.mark.filterwarnings("ignore:.*(is set to None|env_spec is None):UserWarning:minari")


@pytest.fixture(autouse=True)
def local_datasets(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


FOUR, TWO = Discrete(4), Discrete(2)


def stored(*episodes, observations=FOUR, actions=TWO, env=None):
    """A data set of episodes (observations, actions, rewards, terminated), truncated if False, not marked if None."""
    buffers = [
        EpisodeBuffer(
            observations=np.array(seen),
            actions=np.array(done),
            rewards=earned,
            terminations=[False] * (len(earned) - 1) + [ended is True],
            truncations=[False] * (len(earned) - 1) + [ended is False],
        )
        for seen, done, earned, ended in episodes
    ]
    name = f"test/case-v{len(minari.list_local_datasets())}"
    spaces = {"observation_space": observations, "action_space": actions}
    return minari.create_dataset_from_buffers(name, buffers, env=env, **spaces)


ENDS_IN_3 = ([0, 1, 3], [0, 1], [0.0, -2.0], True)
STOPS_IN_2 = ([1, 1, 2], [1, 1], [0.5, 0.0], False)


def random_mdp(horizon):
    rng = np.random.default_rng(7)
    return MDP.dense(rng.dirichlet(np.ones(5), (5, 3)), rng.normal(size=(5, 3, 5)), horizon=horizon)


@pytest.mark.parametrize("horizon", [1, 6])
def test_the_round_trip_is_exact(horizon):
    log = random_mdp(horizon).sample_log(np.full((5, 3), 1 / 3), n=9, rng=1)
    to_minari(log, "random/uniform-v0", n_states=5, n_actions=3)
    back = from_minari("random/uniform-v0", horizon=horizon)
    same(back.transitions, log)
    assert (back.n_states, back.n_actions, back.lengths.tolist()) == (5, 3, [horizon] * 9)
    assert not back.terminated.any()
    direct = MDPData.from_transitions(log, n_states=5, n_actions=3, per_step=True)
    same(back.data(per_step=True), direct)
    flat = from_minari("random/uniform-v0")
    same(flat.transitions, Transitions(*(getattr(log, name).ravel() for name in Transitions.__slots__)))
    np.testing.assert_array_equal(flat.data().counts, direct.counts.sum(axis=0))


def test_episodes_that_terminate_come_back_too():
    dataset = stored(ENDS_IN_3, ([1, 3], [0], [1.0], True), STOPS_IN_2)
    log = from_minari(dataset, horizon=2)
    again = to_minari(log.transitions, "again/case-v0", terminated=log.terminated, n_states=4, n_actions=2)
    for one, two in zip(dataset.iterate_episodes(), again.iterate_episodes(), strict=True):
        for name in ("observations", "actions", "rewards", "terminations", "truncations"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    back = from_minari(again, horizon=2)
    same(back.transitions, log.transitions)
    np.testing.assert_array_equal(back.terminated, log.terminated)
    np.testing.assert_array_equal(back.lengths, [2, 1, 2])


def walk(env, episodes, seed):
    """Episodes of a uniform agent, and every (s, a, r, s', terminated) beside them."""
    rng, rows, episodes_seen = np.random.default_rng(seed), [], []
    for k in range(episodes):
        s, over, first = env.reset(seed=seed if k == 0 else None)[0], False, len(rows)
        while not over:
            a = int(rng.integers(env.action_space.n))
            t, reward, terminated, truncated, _ = env.step(a)
            rows.append((s, a, float(reward), t, terminated))
            s, over = t, terminated or truncated
        states, actions, rewards, _, ends = map(list, zip(*rows[first:], strict=True))
        episodes_seen.append(([*states, s], actions, rewards, ends[-1]))
    return episodes_seen, rows


def test_a_real_log_of_a_lake_agrees_with_its_model():
    env = gymnasium.make("FrozenLake-v1", max_episode_steps=8)
    episodes, rows = walk(env, 60, seed=5)
    dataset = stored(*episodes, observations=env.observation_space, actions=env.action_space, env=env)
    log = from_minari(dataset)
    s, a, r, t, ended = map(np.array, zip(*rows, strict=True))
    cut = np.zeros(len(ended), bool)
    cut[np.cumsum(log.lengths) - 1] = True
    same(log.transitions, Transitions(s, a, r, t, ended, cut & ~ended))
    np.testing.assert_array_equal(log.terminated, ended)
    mdp = mdp_from_env(dataset.recover_environment(), horizon=8)
    assert (log.n_states, log.n_actions) == (mdp.n_states, mdp.n_actions) == (16, 4)
    padded = from_minari(dataset, horizon=8, n_states=mdp.n_states)
    assert padded.transitions.states.shape == (60, 8)
    assert 0 < ended.sum() < 60  # some were cut off
    dense = np.zeros((16, 4, 16))
    np.add.at(dense, (*np.indices((16, 4))[..., None], mdp.next_states[0]), mdp.probabilities[0])
    x = padded.transitions
    for i in np.ndindex(60, 8):
        assert dense[x.states[i], x.actions[i], x.next_states[i]] > 0
    assert padded.data(per_step=True).counts.sum(axis=(1, 2)).tolist() == [sum(log.lengths > h) for h in range(8)]
    same(padded.data(per_step=True), log.data(per_step=True))
    assert x.rewards.sum() == r.sum()


def test_a_log_of_a_taxi_has_the_states_of_its_model():
    name = max(name for name in gymnasium.registry if name.startswith("Taxi-"))
    env = gymnasium.make(name, max_episode_steps=5)
    mdp = mdp_from_env(env, discount=0.9)
    # just before the passenger is let out where they want to go: at red, in the taxi
    s = env.unwrapped.encode(0, 0, 4, 0)
    (_, t, reward, ended), *_ = env.unwrapped.P[s][5]
    dataset = stored(([s, t], [5], [reward], ended), observations=env.observation_space, actions=env.action_space)
    assert from_minari(dataset).n_states == 500  # all that the log shows
    log = from_minari(dataset, n_states=mdp.n_states)
    assert (log.n_states, log.transitions.next_states.tolist()) == (501, [500])
    assert mdp.next_states[s, 5][mdp.probabilities[s, 5] > 0].tolist() == [500]
    env.close()


def test_terminal_states_that_are_also_passed_get_a_state_beyond():
    for other in (([0, 3, 0], [0, 0], [0.0, 0.0], False), ([3, 0], [0], [0.0], False)):
        log = from_minari(stored(ENDS_IN_3, other))
        assert log.n_states == 5
        assert log.transitions.next_states.tolist()[:2] == [1, 4]
    with pytest.raises(ValueError, match="n_states must be 5, got 4: a state that terminates is also passed"):
        from_minari(stored(ENDS_IN_3, ([3, 0], [0], [0.0], False)), n_states=4)


def test_what_follows_an_end_is_known_to_earn_nothing():
    dataset = stored(ENDS_IN_3, ENDS_IN_3)
    log = from_minari(dataset, horizon=5, n_states=5)
    assert log.transitions.next_states.tolist() == [[1, 4, 4, 4, 4]] * 2
    assert log.terminated.tolist() == [[False, True, False, False, False]] * 2
    data = log.data()
    assert data.counts.sum(axis=1).tolist() == [2, 2, 0, 0, 0]
    assert data.terminal.tolist() == [False] * 4 + [True]
    assert data.reward_range == (-2, 0)
    assert log.data(reward_range=(-3, 1)).reward_range == (-3, 1)
    same(from_minari(dataset, n_states=5).data(), data)
    assert from_minari(stored(([0, 1, 0], [0, 0], [-1.0, -2.0], False))).data().reward_range == (-2, -1)


def test_episodes_of_unequal_length_keep_their_steps():
    log = from_minari(stored(ENDS_IN_3, ([2, 2], [0], [0.0], False)))
    assert log.transitions.truncated.tolist() == [False, False, True]
    data = log.data(per_step=True)
    assert data.counts.sum(axis=-1).tolist() == [[1, 0, 1, 0], [0, 1, 0, 0]]
    assert data.terminal.tolist() == [False, False, False, True]


def test_a_data_set_that_marks_no_end_says_so_once():
    """Nothing tells its ends from goals; where another episode has a mark, what has none was cut."""
    unmarked = (*STOPS_IN_2[:3], None)
    log = from_minari(stored(unmarked))
    with pytest.warns(UserWarning, match="state 2 is entered, never left and not marked"):
        log.data()
    for other in (ENDS_IN_3, STOPS_IN_2):
        log = from_minari(stored(unmarked, other))
        assert log.transitions.truncated.tolist() == [False, True, False, other is STOPS_IN_2]
        assert not log.data().terminal[2]  # warnings are errors here


def test_the_cliff_is_left_behind():
    """Random walks at a cost of 1 a step: without an end, never to arrive would be the best there is."""
    env = gymnasium.make("CliffWalking-v1", max_episode_steps=400)
    episodes, _ = walk(env, 60, seed=1)
    assert 0 < sum(ended for *_, ended in episodes) < 60
    log = from_minari(stored(*episodes, observations=env.observation_space, actions=env.action_space))
    mdp = mdp_from_env(env, discount=0.9)
    data = log.data()
    assert np.array_equal(data.terminal, mdp.terminal)
    first = mdp.start > 0
    for found in (plug_in(data, discount=0.9), vi_lcb(data, discount=0.9, constant=1e-8)):
        assert mdp.suboptimality(found.policy) == pytest.approx(0.0, abs=1e-9)
    assert plug_in(data, discount=0.9).value[first] == pytest.approx(-(1 - 0.9**13) / 0.1, abs=1e-5)
    env.close()


def test_spaces_may_start_anywhere():
    log = from_minari(
        stored(([5, 6], [-1], [1.0], False), observations=Discrete(2, start=5), actions=Discrete(2, start=-1))
    )
    assert (log.transitions.states.tolist(), log.transitions.next_states.tolist()) == ([0], [1])
    assert (log.transitions.actions.tolist(), log.n_states, log.n_actions) == ([0], 2, 2)


SPACES = {
    "discrete": (Discrete(3, start=-1), [3]),
    "multi-discrete": (MultiDiscrete([3, 2], start=[4, -1]), [3, 2]),
    "matrix": (MultiDiscrete([[2, 3], [1, 2]]), [2, 3, 1, 2]),
    "multi-binary": (MultiBinary((2, 2)), [2, 2, 2, 2]),
    "tuple": (Tuple([Discrete(2, start=5), MultiBinary(2), Discrete(3)]), [2, 2, 2, 3]),
    "nested": (Dict({"b": Discrete(2), "a": Tuple([MultiDiscrete([2, 3]), Dict({"c": Discrete(2, start=1)})])}),
               [2, 3, 2, 2]),
}  # fmt: skip


@pytest.mark.parametrize(("space", "sizes"), SPACES.values(), ids=SPACES)
def test_values_of_a_space_are_numbered_row_by_row(space, sizes):
    """Every position has one value, digits run as those of `np.ndindex`, and the way back is the same."""
    for position, digits in enumerate(np.ndindex(*sizes)):
        value = value_at(space, position)
        assert space.contains(value) or space.contains(np.int64(value))
        assert position_of(space, value) == position
        smallest = value_at(space, 0)
        assert np.subtract(*(np.hstack(flat(v)) for v in (value, smallest))).tolist() == list(digits)
    assert position == np.prod(sizes) - 1
    with pytest.raises(ValueError, match=rf"position must be a whole number in \[0, {position}\]"):
        value_at(space, position + 1)


def flat(value):
    """Numbers of a value in the order of its parts; of a dict, of its sorted keys."""
    if isinstance(value, dict):
        value = [value[key] for key in sorted(value)]
    return [np.hstack(flat(part)) for part in value] if isinstance(value, (tuple, list)) else [np.ravel(value)]


def stacked(space, values):
    """Values of steps as Minari stores them: one array for each part."""
    if isinstance(space, Dict):
        return {key: stacked(part, [v[key] for v in values]) for key, part in space.items()}
    if isinstance(space, Tuple):
        return tuple(stacked(part, [v[i] for v in values]) for i, part in enumerate(space))
    return np.array(values)


@pytest.mark.parametrize(("space", "sizes"), SPACES.values(), ids=SPACES)
def test_data_sets_with_parts_are_the_same_log_as_with_positions(space, sizes):
    total = int(np.prod(sizes))
    rng = np.random.default_rng(3)
    plain, parted = [], []
    for end in (True, False):
        states, actions, rewards = rng.integers(total, size=6), rng.integers(total, size=5), rng.random(5).tolist()
        plain.append((states, actions, rewards, end))
        values = (stacked(space, [value_at(space, int(i)) for i in x]) for x in (states, actions))
        parted.append((*values, rewards, end))
    found = from_minari(stored_parts(*parted, space=space))
    expected = from_minari(stored(*plain, observations=Discrete(total), actions=Discrete(total)))
    same(found.transitions, expected.transitions)
    assert (found.n_states, found.n_actions) == (expected.n_states, expected.n_actions)


def stored_parts(*episodes, space):
    buffers = [
        EpisodeBuffer(observations=seen, actions=done, rewards=earned, terminations=[False] * 4 + [end],
                      truncations=[False] * 4 + [not end])
        for seen, done, earned, end in episodes
    ]  # fmt: skip
    name = f"test/parts-v{len(minari.list_local_datasets())}"
    return minari.create_dataset_from_buffers(name, buffers, observation_space=space, action_space=space)


def test_other_spaces_are_refused():
    box = Box(0, 1, (2,))
    dataset = stored(([[0, 0], [1, 1]], [0], [1.0], False), observations=box)
    with pytest.raises(TypeError, match=r"have Discrete observations, got Box\(0.0, 1.0, \(2,\), float32\)"):
        from_minari(dataset)
    dataset = stored(([0, 1], [[0, 0]], [1.0], False), actions=box)
    with pytest.raises(TypeError, match="dataset must have Discrete actions, got Box"):
        from_minari(dataset)


@pytest.mark.parametrize(
    ("space", "value", "error", "message"),
    [
        (Dict({"a": Tuple([Discrete(2), Text(3)])}), 0, TypeError, "space must be Discrete['a'][1], got Text("),
        ([3, 2], 0, TypeError, "space must be a space of Gymnasium, got [3, 2]"),
        (MultiBinary(64), 0, ValueError, "with 1 to 1,000,000,000 values, as tables have rows, got 18,446,744,073,709"),
        (Tuple([]), (), ValueError, "with 1 to 1,000,000,000 values"),
        (Discrete(3, start=2), 1, ValueError, "value must be a whole number in [2, 4], got 1"),
        (Discrete(3), 0.5, ValueError, "value must be a whole number in [0, 2], got 0.5"),
        (MultiDiscrete([2, 3]), [1, 3], ValueError, "value[1] must be of MultiDiscrete([2 3]), got 3"),
        (MultiDiscrete([2, 3]), [1], ValueError, "value must have shape (2,), got (1,)"),
        (Tuple([Discrete(2), Discrete(2)]), (1,), ValueError, "value must be a tuple of 2, as the space is"),
        (Tuple([Discrete(2), MultiBinary(1)]), (1, [2]), ValueError, "value[1][0] must be of MultiBinary(1), got 2"),
        (Dict({"a": Discrete(2)}), {"b": 1}, ValueError, "value must be a dict with the keys ['a'], as the space is"),
        (Dict({"a": Discrete(2)}), {"a": 2}, ValueError, "value['a'] must be a whole number in [0, 1], got 2"),
    ],
)
def test_what_is_not_in_a_space_is_named(space, value, error, message):
    with pytest.raises(error, match=re.escape(message)):
        position_of(space, value)


def fake(observations, actions=(0,), rewards=(0.0,), terminations=(False,)):
    """What Minari itself would not have written."""
    fields = {"observations": observations, "actions": actions, "rewards": rewards, "terminations": terminations}
    episode = SimpleNamespace(id=3, **fields)
    return SimpleNamespace(observation_space=FOUR, action_space=TWO, iterate_episodes=lambda: [episode])


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (lambda: stored(ENDS_IN_3), {"n_states": 6}, "n_states must be 4, as the observations have, or 5, got 6"),
        (lambda: stored(ENDS_IN_3), {"horizon": 1}, "horizon must fit every episode"),
        (lambda: stored(ENDS_IN_3, STOPS_IN_2), {"horizon": 3}, "episode 1 has 2 steps, not 3"),
        (lambda: stored(ENDS_IN_3), {"horizon": 0}, "horizon must be a whole number in [1, 1000000000], got 0"),
        (lambda: stored(ENDS_IN_3).filter_episodes(lambda _: False), {}, "dataset must hold at least one episode"),
        (lambda: fake([[0], [1]]), {}, "episode 3: observations must have shape (n,), one label a step, got (2, 1)"),
        (
            lambda: fake([0, 1, 2], [0, 0], [0.0, 0.0], [True, False]),
            {},
            "terminations[0] must be False before the last",
        ),
        (lambda: fake([0, 4]), {}, "episode 3: observations[1] must be a whole number in [0, 3], got 4"),
        (lambda: fake([0, 1], actions=[2]), {}, "episode 3: actions[0] must be a whole number in [0, 1], got 2"),
        (lambda: fake([0, 1], rewards=[np.nan]), {}, "episode 3: rewards[0] must be finite, got nan"),
        (lambda: fake([0]), {}, "episode 3 must have one observation more than steps, got 1 observations, 1 actions"),
    ],
)
def test_a_bad_data_set_is_one_error_that_names_its_episode(make, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        from_minari(make(), **arguments)


LOG = Transitions([[0, 1], [0, 0]], [[1, 0], [0, 0]], [[1.0, 0.0], [0.0, 0.0]], [[1, 1], [0, 1]])
EARNS = Transitions([[0, 0]], [[0, 0]], [[0.0, 1.0]], [[0, 0]])
NAMES = (f"bad/case-v{i}" for i in itertools.count())


@pytest.mark.parametrize(
    ("log", "arguments", "message"),
    [
        (Transitions([0], [0], [0.0], [0]), {}, "log must have shape (episodes, steps), at least one of each, got (1,"),
        (Transitions([[]], [[]], [[]], [[]]), {}, "at least one of each, got (1, 0)"),
        (Transitions([[0, 1]], [[0, 0]], [[0.0, 0.0]], [[0, 0]]), {}, "states[0, 1] must be where the step before it"),
        (LOG, {"terminated": [True, False]}, "must be bool of shape (2, 2) as the log, got bool of shape (2,)"),
        (LOG, {"terminated": [[1, 0], [0, 0]]}, "terminated must be bool of shape (2, 2) as the log, got int64"),
        (LOG, {"terminated": [[False] * 2, [True, False]]}, "next_states[1, 1] must be absorbing after termination"),
        (EARNS, {"terminated": [[True, False]]}, "rewards[0, 1] must be 0 after its episode has terminated, got 1.0"),
        (LOG, {"n_states": 1}, "n_states must be a whole number in [2, 2**53], got 1"),
        (LOG, {"n_actions": 1}, "n_actions must be a whole number in [2, 2**53], got 1"),
    ],
)
def test_a_log_that_is_no_list_of_episodes_is_refused_before_anything_is_written(log, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        to_minari(log, next(NAMES), **arguments)
    assert minari.list_local_datasets() == {}


def test_episodes_of_a_model_that_ends_survive():
    """Marks come from the log itself; what pads its rows is not written."""
    step = MDP.from_function(lambda s, a: [(0.5, s, -1.0), (0.5, s + 1, -1.0)], 3, 1, [1, 0, 0], horizon=4,
                             terminal=[False, False, True])  # fmt: skip
    log = step.sample_log([0, 0, 0], n=20, rng=0)
    same(from_minari(to_minari(log, "ends/case-v0", n_states=3), horizon=4).transitions, log)


def test_a_number_is_no_data_set():
    with pytest.raises(TypeError, match="dataset_id must be a str, got int"):
        to_minari(LOG, 3)
    with pytest.raises(TypeError, match="log must be a Transitions, got list"):
        to_minari([], "no/case-v0")
    with pytest.raises(TypeError, match="dataset must be a MinariDataset or the id of one, got int"):
        from_minari(3)


def test_names_are_local_and_taken_once():
    with pytest.raises(FileNotFoundError, match="not found locally"):
        from_minari("nobody/has-this-v0")
    dataset = to_minari(LOG, "twice/case-v0")
    assert (dataset.observation_space, dataset.action_space) == (TWO, TWO)
    with pytest.raises(ValueError, match="already exists"):
        to_minari(LOG, "twice/case-v0")
