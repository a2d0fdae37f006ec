"""Gymnasium's toy texts: values equal those of env.step, exactly and by rollouts; known optima; one error a mistake."""

import math
import re
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest

from pessimism.interop.gymnasium import mdp_from_env
from pessimism.mdp import MDPData

TAXI = max(name for name in gymnasium.registry if name.startswith("Taxi-"))  # the version moves with Gymnasium's

ENVS = {
    "lake": lambda: gymnasium.make("FrozenLake-v1"),
    "lake-8x8": lambda: gymnasium.make("FrozenLake-v1", map_name="8x8"),
    "lake-of-our-own": lambda: gymnasium.make("FrozenLake-v1", desc=["SFH", "HFG"]),
    "still-lake": lambda: gymnasium.make("FrozenLake-v1", is_slippery=False),
    "cliff": lambda: gymnasium.make("CliffWalking-v1"),
    "slippery-cliff": lambda: gymnasium.make("CliffWalking-v1", is_slippery=True),
    "taxi": lambda: gymnasium.make(TAXI),
    "rainy-taxi": lambda: gymnasium.make(TAXI, is_rainy=True),
}


@pytest.fixture(params=ENVS)
def env(request):
    made = ENVS[request.param]()
    yield made
    made.close()


def best_and_followed(env, horizon, discount, policy):
    """What env.step pays until it terminates, by recursion over its own tuples: best possible, and under a policy."""
    law = env.unwrapped.P
    best, followed = np.zeros(len(law)), np.zeros(len(law))
    for _ in range(horizon):
        q = np.zeros((2, len(law), len(law[0])))
        for s in law:
            for a in law[s]:
                for p, successor, reward, terminated in law[s][a]:
                    for i, ahead in enumerate((best, followed)):
                        q[i, s, a] += p * (reward + (0 if terminated else discount * ahead[successor]))
        best, followed = q[0].max(axis=-1), (policy * q[1]).sum(axis=-1)
    return best, followed


def test_values_are_what_the_environment_pays_until_it_terminates(env):
    """From every state that is not terminal: those go on for whoever starts there, but nobody does."""
    n_states, n_actions = len(env.unwrapped.P), len(env.unwrapped.P[0])
    policy = np.random.default_rng(3).dirichlet(np.ones(n_actions), n_states)
    horizon, discount = 12, 0.97
    best, followed = best_and_followed(env, horizon, discount, policy)
    mdp = mdp_from_env(env, horizon=horizon, discount=discount)
    ours = np.vstack([policy, np.full((mdp.n_states - n_states, n_actions), 1 / n_actions)])
    ends = {x[1] for actions in env.unwrapped.P.values() for listed in actions.values() for x in listed if x[3]}
    open_states = sorted(set(range(n_states)) - ends)
    np.testing.assert_allclose(mdp.optimal_values[0][open_states], best[open_states], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(mdp.evaluate(ours)[0][open_states], followed[open_states], rtol=1e-12, atol=1e-12)
    assert np.array_equal(mdp.start[:n_states], env.unwrapped.initial_state_distrib)


def test_terminal_states_stay_where_they_are_unless_entered_otherwise(env):
    n_states = len(env.unwrapped.P)
    taxi = type(env.unwrapped).__name__ == "TaxiEnv"
    mdp = mdp_from_env(env, discount=0.9)
    assert mdp.n_states == n_states + taxi
    ends = [n_states] if taxi else [n_states - 1]  # the goal of lakes and cliffs is the last state
    assert set(ends) <= set(np.flatnonzero(mdp.terminal))
    assert mdp.terminal.sum() == (
        1 if taxi else len({t for x in env.unwrapped.P.values() for y in x.values() for _, t, _, done in y if done})
    )
    for s in ends:
        assert np.all((mdp.next_states[s] == s) | (mdp.probabilities[s] == 0))
        assert np.all(mdp.rewards[s] == 0)
    assert np.all(mdp.start[ends] == 0)


@pytest.mark.parametrize("action", ["uniform", "best"])
def test_rollouts_of_the_real_environment_have_the_value_of_the_model(action):
    """Hoeffding for returns in [0, 1]: false alarm 1e-6 on correct code, two-sided; 0.060 wide at 2000 episodes."""
    n, horizon = 2000, 25
    env = gymnasium.make("FrozenLake-v1", desc=["SFFF", "FFFG"]).unwrapped
    mdp = mdp_from_env(env, horizon=horizon)
    law = np.full((horizon, 8, 4), 0.25) if action == "uniform" else np.eye(4)[mdp.best_policy]
    rng = np.random.default_rng(8)
    env.reset(seed=8)
    total = 0.0
    for _ in range(n):
        s, _ = env.reset()
        for h in range(horizon):
            s, reward, terminated, _, _ = env.step(int(rng.choice(4, p=law[h, s])))
            total += reward
            if terminated:
                break
    assert abs(total / n - mdp.value(law)) <= math.sqrt(math.log(2 / 1e-6) / (2 * n))
    assert 0.2 < mdp.value(law) < 0.999  # else the comparison says little


def test_the_shortest_way_over_the_still_lake_is_six_steps():
    for size, steps in (("4x4", 6), ("8x8", 14)):
        lake = mdp_from_env(gymnasium.make("FrozenLake-v1", is_slippery=False, map_name=size), discount=0.9)
        assert lake.optimal_values[0] == pytest.approx(0.9 ** (steps - 1), rel=1e-12)


def test_the_best_on_the_slippery_lake_is_the_known_number():
    """0.5420259 at discount 0.99 is in every course; in the long run 14 of 17 arrive."""
    assert mdp_from_env("FrozenLake-v1", discount=0.99).optimal_values[0] == pytest.approx(0.5420259, abs=5e-8)
    assert mdp_from_env("FrozenLake-v1", discount=1 - 1e-9).optimal_values[0] == pytest.approx(14 / 17, abs=1e-6)


def test_the_cliff_costs_thirteen():
    mdp = mdp_from_env("CliffWalking-v1", horizon=30)
    assert mdp.value(mdp.best_policy) == -13
    discounted = mdp_from_env("CliffWalking-v1", discount=0.9)
    assert discounted.value(discounted.best_policy) == pytest.approx(-(1 - 0.9**13) / 0.1, rel=1e-12)


def test_the_taxi_earns_its_known_mean():
    """Twenty for arriving, one a step before: 7.93 is the mean of the best, and every start is served in 18 steps."""
    mdp = mdp_from_env(TAXI, horizon=18)
    assert mdp.value(mdp.best_policy) == pytest.approx(7.93, abs=1e-12)
    assert mdp.optimal_values[0][:500][mdp.start[:500] > 0].min() == 20 - 17


def test_what_is_drawn_has_the_rewards_of_the_environment():
    """At the foot of the slippery cliff one successor has two rewards: into the wall, or down and back."""
    env = gymnasium.make("CliffWalking-v1", is_slippery=True)
    mdp = mdp_from_env(env, discount=0.9)
    log = mdp.sample_log(np.full((48, 4), 0.25), n=200, steps=50, rng=0)
    seen = set(zip(*(x.ravel().tolist() for x in (log.states, log.actions, log.next_states, log.rewards)), strict=True))
    listed = {(s, a, int(x[1]), float(x[2])) for s in range(47) for a in range(4) for x in env.unwrapped.P[s][a]} | {
        (47, a, 47, 0.0) for a in range(4)
    }
    assert seen <= listed
    assert {reward for s, _, successor, reward in seen if s == successor == 36} == {-1, -100}
    assert isinstance(mdp.sample(np.full((48, 4), 1 / 192), n=1000, rng=0), MDPData)


def test_tuples_with_one_successor_are_one():
    """In the first corner of the slippery lake, left and up both stay."""
    mdp = mdp_from_env("FrozenLake-v1", discount=0.9)
    assert mdp.next_states[0, 0, :2].tolist() == [0, 4]
    assert mdp.probabilities[0, 0] == pytest.approx([2 / 3, 1 / 3, 0], abs=1e-15)


def test_the_start_is_the_environments_or_the_users():
    start = np.zeros((2, 500))
    start[[0, 1], [3, 11]] = 1
    mdp = mdp_from_env(TAXI, horizon=18, start=start)
    assert mdp.shape == (2,)
    assert np.array_equal(mdp.start[:, :500], start)
    bare = SimpleNamespace(P=[[[(1.0, 0, 1.0, False)]]])
    bare.unwrapped = bare
    with pytest.raises(ValueError, match=r"start must be given: env\.unwrapped has no initial_state_distrib"):
        mdp_from_env(bare, discount=0.5)
    assert mdp_from_env(bare, discount=0.5, start=[1.0]).value([0]) == 2
    for wrong in ([0.5, 0.5], [[1.0, 0.0]]):
        with pytest.raises(ValueError, match="start must have 1 entries, one a state of env, got 2"):
            mdp_from_env(bare, discount=0.5, start=wrong)


def test_a_start_in_a_terminal_state_is_an_entrance():
    """State 1 ends episodes that come from 0, but one that begins there earns 5."""
    world = SimpleNamespace(P={0: {0: [(1.0, 1, 1.0, True)]}, 1: {0: [(1.0, 1, 5.0, True)]}})
    world.unwrapped, world.initial_state_distrib = world, np.array([0.5, 0.5])
    mdp = mdp_from_env(world, discount=0.5)
    assert mdp.n_states == 3
    assert mdp.evaluate([0, 0, 0]).tolist() == [1, 5, 0]
    world.initial_state_distrib = np.array([1.0, 0.0])
    assert mdp_from_env(world, discount=0.5).evaluate([0, 0]).tolist() == [1, 0]


STAY = [(1.0, 0, 0.0, False)]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[STAY, STAY], [STAY]], "P[1] must have the 2 actions of P[0], got 1"),
        ({1: [STAY], 2: [STAY]}, "P must have the keys 0 to 1, got none for 0"),
        ([{"go": STAY}], "P[0] must have the keys 0 to 0, got none for 0"),
        ([[[(0.5, 0, 0.0, False), (0.25, 0, 1.0, True)]]], "P[0][0] must list probabilities that sum to 1, got 0.75"),
        ([[[]]], "P[0][0] must list probabilities that sum to 1, got 0"),
        ([[[(1.0, 1, 0.0, True)]]], "P[0][0][0] must be (probability, next state in [0, 0], reward, terminated)"),
        ([[[(-1.0, 0, 0.0, True)]]], "P[0][0][0] must be (probability, "),
        ([[[(1.0, 0, 0.0)]]], "P[0][0][0] must be (probability, "),
        ([[[(float("nan"), 0, 0.0, False)]]], "P[0][0][0] must be (probability, "),
        ([[[(1.0, 0, float("nan"), False)]]], "rewards[0, 0, 0] must be finite, got nan"),
    ],
)
def test_a_bad_table_is_one_error_that_names_its_entry(table, message):
    world = SimpleNamespace(P=table, initial_state_distrib=np.eye(len(table))[0])
    world.unwrapped = world
    with pytest.raises(ValueError, match=re.escape(message)):
        mdp_from_env(world, discount=0.5)


def test_environments_without_a_true_table_are_refused():
    with pytest.raises(TypeError, match=r"env must list its transitions in env\.unwrapped\.P, .* got <.*CartPole"):
        mdp_from_env("CartPole-v1", discount=0.5)
    with pytest.raises(TypeError, match="got 3"):
        mdp_from_env(3, discount=0.5)
    with pytest.raises(ValueError, match="passengers who change their mind"):
        mdp_from_env(gymnasium.make(TAXI, fickle_passenger=True), discount=0.5)
    with pytest.raises(ValueError, match="discount must be given"):
        mdp_from_env("FrozenLake-v1")
