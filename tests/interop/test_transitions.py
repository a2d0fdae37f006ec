"""Tables of transitions: equal to the raw steps, in any order and any library, one error for bad input."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pessimism.interop.transitions import transition_log
from pessimism.mdp import MDP, MDPData, Transitions
from tests.interop.tables import LABELS, MAKERS, backends, same

NAMES = {"state": "s", "action": "a", "reward": "r", "next_state": "t"}


@st.composite
def steps(draw):
    """Positions of states, actions and next states, and rewards: what a table of steps stands for."""
    n = draw(st.integers(1, 20))
    positions = st.lists(st.integers(0, 1), min_size=n, max_size=n)
    s, a, t = (np.array(draw(positions)) for _ in range(3))
    return s, a, np.array(draw(st.lists(st.floats(-1, 2), min_size=n, max_size=n))), t


@settings(deadline=None, max_examples=25)
@given(steps(), st.sampled_from([*LABELS, [False, True]]), st.sampled_from(LABELS), st.sampled_from(list(MAKERS)))
def test_a_table_equals_its_raw_steps(log, state_labels, action_labels, backend):
    s, a, r, t = log
    frame = MAKERS[backend](
        {
            "s": [state_labels[i] for i in s],
            "a": [action_labels[i] for i in a],
            "r": r.tolist(),
            "t": [state_labels[i] for i in t],
        }
    )
    raw = Transitions(s, a, r, t)
    full = transition_log(frame, **NAMES, states=iter(state_labels), actions=action_labels)
    same(full.transitions, raw)
    sizes = {"n_states": len(state_labels), "n_actions": len(action_labels)}
    same(full.data(), MDPData.from_transitions(raw, **sizes))

    seen = transition_log(frame, **NAMES)  # only what occurs, sorted
    states_seen, code = np.unique(np.concatenate([s, t]), return_inverse=True)
    actions_seen, taken = np.unique(a, return_inverse=True)
    same(seen.transitions, Transitions(code[: len(s)], taken, r, code[len(s) :]))
    assert seen.states == tuple(state_labels[i] for i in states_seen)
    assert seen.actions == tuple(action_labels[i] for i in actions_seen)


@pytest.fixture(scope="module")
def episodes():
    law = np.random.default_rng(2).dirichlet(np.ones(4), (4, 3))
    mdp = MDP.dense(law, np.random.default_rng(4).random((4, 3, 4)), horizon=5)
    return mdp.sample_log(np.full((4, 3), 1 / 3), n=6, rng=1)


@backends
@pytest.mark.parametrize("with_step", [True, False])
def test_episodes_are_found_in_any_order_of_their_rows(make, with_step, episodes):
    """With a step column the rows may be shuffled; without, episodes may be interleaved."""
    k, h = np.indices((6, 5))
    rng = np.random.default_rng(0)
    order = rng.permutation(30) if with_step else np.argsort(h.ravel() + 0.1 * rng.random(30), kind="stable")
    columns = {
        "s": episodes.states,
        "a": episodes.actions,
        "r": episodes.rewards,
        "t": episodes.next_states,
        "episode": np.array(list("abcdef"))[k],
        "step": h * 10 - 3,
    }
    frame = make({name: x.ravel()[order].tolist() for name, x in columns.items()})
    log = transition_log(
        frame, **NAMES, episode="episode", step="step" if with_step else None, states=range(4), actions=range(3)
    )
    same(log.transitions, episodes)
    sizes = {"n_states": 4, "n_actions": 3}
    same(log.data(per_step=True), MDPData.from_transitions(episodes, **sizes, per_step=True))
    flat = Transitions(*(getattr(episodes, x).ravel() for x in Transitions.__slots__))
    same(log.data(reward_range=(-1, 3)), MDPData.from_transitions(flat, **sizes, reward_range=(-1, 3)))


@backends
def test_several_columns_are_their_combinations(make):
    frame = make({"x": [0, 1], "y": ["u", "v"], "a": [0, 0], "r": [True, False], "x2": [1, 0], "y2": ["v", "v"]})
    log = transition_log(frame, state=["x", "y"], action="a", reward="r", next_state=("x2", "y2"))
    assert log.states == ((0, "u"), (0, "v"), (1, "v"))
    same(log.transitions, Transitions([0, 2], [0, 0], [1, 0], [2, 1]))
    assert log.decisions([0, 0, 0]) == dict.fromkeys(log.states, 0)


GOOD = {"s": ["x", "y", "x", "y"], "a": [0, 1, 0, 1], "r": [0.0, 1.0, 0.5, 1.0], "t": ["y", "x", "y", "x"]}
GOOD |= {"e": ["m", "m", "n", "n"], "h": [0, 1, 0, 1]}
STEPS = {"episode": "e", "step": "h"}


@pytest.mark.parametrize(
    ("change", "arguments", "error", "message"),
    [
        ({}, {"episode": "z"}, ValueError, "episode must be a column of frame"),
        ({}, {"state": ["s", "s"], "next_state": ["t", "e"]}, ValueError, "state must be a column of its own"),
        ({}, {"state": ["s", "a"]}, ValueError, "next_state must name as many columns as state, got 't' beside ['s'"),
        ({}, {"state": ["s"]}, ValueError, "next_state must name as many columns as state"),
        ({}, {"state": [], "next_state": []}, ValueError, "state must name at least one column, got none"),
        ({}, {"step": "h"}, ValueError, "step must come with episode"),
        ({"t": ["y", "x", "y", None]}, {}, ValueError, "column 't' must hold a label in every row, got None in row 3"),
        ({"r": [0.0, float("inf"), 0.0, 0.0]}, {}, ValueError, "column 'r' must hold a finite number"),
        ({"t": [1, 2, 3, 4]}, {}, TypeError, "column 't' must hold labels of the type in 's', got 'x' and 1 in row 0"),
        ({}, {"states": ["y"]}, ValueError, "column 's' must hold one of the 1 labels in states in every row, got 'x'"),
        ({"t": ["y", "x", "w", "x"]}, {"states": ["x", "y"]}, ValueError, "one of the 2 labels in states in every row"),
        ({}, {"actions": [1]}, ValueError, "column 'a' must hold one of the 1 labels in actions in every row, got 0"),
        ({}, {"states": "xy"}, TypeError, "states must be a sequence of labels, got the string 'xy'"),
        ({"e": list("mmmn")}, {"episode": "e"}, ValueError, "episodes of equal length, got 3 rows of 'm', 1 of 'n'"),
        ({"h": [0, 1, 0, 2]}, STEPS, ValueError, "every episode, got 0 rows with step 2 in episode 'm'"),
        ({"h": [0, 1, 1, 1]}, STEPS, ValueError, "every episode, got 0 rows with step 0 in episode 'n'"),
    ],
)
def test_a_bad_table_is_one_error_that_names_the_column_and_the_row(change, arguments, error, message):
    frame = pl.DataFrame(GOOD | change)
    with pytest.raises(error, match=re.escape(message)):
        transition_log(frame, **(NAMES | arguments))


def test_only_whole_policies():
    log = transition_log(pd.DataFrame(GOOD), **NAMES)
    with pytest.raises(ValueError, match=re.escape("policy must be one action for each of 2 states, got (2, 2)")):
        log.decisions([[0, 1], [0, 1]])
    with pytest.raises(ValueError, match=r"policy\[1\] must be a whole number in \[0, 1\], got 2"):
        log.decisions([0, 2])
    with pytest.raises(ValueError, match="to be kept per step"):
        log.data(per_step=True)
    with pytest.raises(ValueError, match="in reward_range"):
        log.data(reward_range=(0, 0.5))
