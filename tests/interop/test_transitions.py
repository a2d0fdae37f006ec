"""Tables of transitions: equal to the raw steps, in any order and any library, one error for bad input."""

import datetime as dt
import decimal
import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pessimism.interop.transitions import TransitionLog, transition_log
from pessimism.mdp import MDP, MDPData, Transitions, plug_in
from pessimism.mdp.estimators import per_decision_is
from tests.interop.tables import LABELS, MAKERS, backends, same

NAMES = {"state": "s", "action": "a", "reward": "r", "next_state": "t"}


@st.composite
def steps(draw):
    """Positions of states, actions and next states, and rewards: what a table of steps stands for."""
    n = draw(st.integers(1, 20))
    positions = st.lists(st.integers(0, 1), min_size=n, max_size=n)
    s, a, t = (np.array(draw(positions)) for _ in range(3))
    return s, a, np.array(draw(st.lists(st.floats(-1, 2), min_size=n, max_size=n))), t


@pytest.mark.filterwarnings("ignore:.*entered, never left")
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
        "cut": episodes.truncated,
        "episode": np.array(list("abcdef"))[k],
        "step": h * 10 - 3,
    }
    frame = make({name: x.ravel()[order].tolist() for name, x in columns.items()})
    known = {"states": range(4), "actions": range(3), "truncated": "cut"}
    log = transition_log(frame, **NAMES, **known, episode="episode", step="step" if with_step else None)
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
        ({"h": [0, 1, 0, 2]}, STEPS, ValueError, "every episode, got 0 rows with step 1 in episode 'n'"),
        ({"h": [0, 1, 1, 1]}, STEPS, ValueError, "every episode, got 0 rows with step 0 in episode 'n'"),
        ({"h": [0, 1, 0, 0]}, STEPS, ValueError, "every episode, got 0 rows with step 1 in episode 'n'"),
        ({"h": list("0123")}, STEPS, TypeError, "'h' must hold numbers, times or ordered categories, as text has no"),
        ({"t": list("yxxx")}, STEPS, ValueError, "led, got 'y' in row 3 after 'x' in row 2: without episode"),
        (
            {"f": [1, 0, 0, 1]},
            STEPS | {"terminated": "f"},
            ValueError,
            "'f' must hold False before the last step of an",
        ),
        ({"f": [1, 0, 0, 2]}, {"terminated": "f"}, ValueError, "'f' must hold true or false in every row, got 2"),
        (
            {"f": list("abcd")},
            {"truncated": "f"},
            ValueError,
            "'f' must hold true or false in every row, got 'a' in row 0",
        ),
        ({}, {"action": 3}, TypeError, "action must be the name of a column, a string, got 3"),
        ({}, {"state": 3}, TypeError, "state must be the name of a column, or a sequence of names, got 3"),
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
    with pytest.raises(ValueError, match="with per_step"):
        log.data(per_step=True)
    with pytest.raises(ValueError, match="in reward_range"):
        log.data(reward_range=(0, 0.5))


# Where an episode ends, and in which order it came there.

WALK = {
    "s": [0, 1, 2, 1],
    "a": [1, 1, 1, 1],
    "r": [-1.0] * 4,
    "t": [1, 2, 3, 2],
    "e": [0, 0, 0, 1],
    "done": [0, 0, 1, 0],
}
ENDS = NAMES | {"terminated": "done"}


@backends
@pytest.mark.parametrize("named", [True, False])
def test_the_goal_is_worth_nothing_and_what_was_cut_the_worst(make, named):
    """A corridor at a cost of 1 a step; the second walk breaks off in state 2, from which another went on."""
    log = transition_log(make(WALK), **ENDS, episode="e" if named else None)
    assert log.transitions.rewards.shape == (4,)
    data = log.data()
    assert (data.terminal.tolist(), data.counts.ravel().tolist()) == ([False] * 3 + [True], [1, 2, 1, 0])
    assert plug_in(data, discount=0.9).value == pytest.approx([-2.71, -1.9, -1.0, 0.0], abs=1e-6)
    if named:
        assert log.lengths.tolist() == [3, 1]
        per_step = log.data(per_step=True)
        assert per_step.counts[..., 0].tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
        assert plug_in(per_step).value[0, 0] == -3
        assert log.transitions.truncated.tolist() == [False, False, False, True]


def test_ends_that_are_also_passed_get_a_state_of_their_own():
    """A passenger may be at the goal without having been driven there."""
    table = pl.DataFrame(
        {"s": [0, 1, 2], "a": 0, "r": [-1.0, 20.0, -1.0], "t": [2, 2, 0], "done": [False, True, False]}
    )
    log = transition_log(table, **ENDS)
    assert log.states == (0, 1, 2, None)
    assert log.data().terminal.tolist() == [False, False, False, True]
    assert log.data().model(0.5).evaluate([0] * 4).tolist() == [-2.0, 20.0, -2.0, 0.0]
    assert log.decisions([0, 0, 0, 0])[None] == 0


@backends
def test_an_end_needs_no_name(make):
    """After a termination the next state may be null; elsewhere it may not."""
    columns = {"s": ["a", "b"], "a": [0, 0], "r": [-1.0, -1.0], "t": ["b", None], "done": [False, True]}
    log = transition_log(make(columns), **ENDS, states=["a", "b", "c"])
    assert (log.states, log.transitions.next_states.tolist()) == (("a", "b", "c", None), [1, 3])
    assert log.data().model(0.5).evaluate([0] * 4)[:2].tolist() == [-1.5, -1.0]
    with pytest.raises(ValueError, match=r"column 't' must hold a label in every row, got \S+ in row 1 "):
        transition_log(make(columns | {"done": [True, False]}), **ENDS)
    numbers = make(columns | {"s": [0, 1], "t": [1, None]})  # in pandas 1.0 and NaN
    assert transition_log(numbers, **ENDS).states == (0, 1, None)


def test_what_is_never_left_and_not_marked_is_said_once_where_it_was_asked():
    open_end = pl.DataFrame(WALK).drop("done")
    with pytest.warns(
        UserWarning, match="state 3 is entered, never left and not marked: taken for never seen"
    ) as caught:
        data = transition_log(open_end, **NAMES).data()
    assert [warning.filename for warning in caught] == [__file__]
    assert data.reward_range[0] == -1
    for marks in ({"truncated": "done"}, {"terminated": "done"}):
        transition_log(pl.DataFrame(WALK), **NAMES, **marks).data()  # warnings are errors here


WEEKS = [f"week {i}" for i in range(1, 12)]
ORDERS = {
    "pandas-ordered": lambda: pd.Categorical(WEEKS[::-1], WEEKS, ordered=True),
    "polars-enum": lambda: pl.Series(WEEKS[::-1], dtype=pl.Enum(WEEKS)),
    "arrow-ordered": lambda: pa.DictionaryArray.from_arrays(list(range(10, -1, -1)), WEEKS, ordered=True),
    "numbers": lambda: list(range(11, 0, -1)),
    "decimals": lambda: [decimal.Decimal(i) for i in range(11, 0, -1)],
    "dates": lambda: [dt.date(2024, 1, day) for day in range(31, 9, -2)],
}


@pytest.mark.parametrize("order", ORDERS)
def test_steps_come_in_the_order_of_their_type(order):
    """Eleven steps along a line, the last row first; as text the tenth would come second."""
    make = {"pandas": pd.DataFrame, "arrow": pa.table}.get(order.split("-")[0], pl.DataFrame)
    back = list(range(10, -1, -1))
    columns = {"s": back, "a": [0] * 11, "r": [0.0] * 11, "t": [s + 1 for s in back], "e": [0] * 11}
    log = transition_log(make(columns | {"h": ORDERS[order]()}), **NAMES, episode="e", step="h")
    assert log.transitions.states.tolist() == [list(range(11))]


def test_times_order_each_episode_on_its_own():
    times = [dt.datetime(2024, 1, day, tzinfo=dt.UTC) for day in (3, 1, 2, 7)]
    table = pl.DataFrame({"s": [1, 0, 0, 1], "a": 0, "r": 0.0, "t": [2, 1, 1, 2], "e": [0, 0, 1, 1], "h": times})
    log = transition_log(table, **NAMES, episode="e", step="h")
    assert log.transitions.states.tolist() == [[0, 1], [0, 1]]
    twice = table.with_columns(h=pl.Series([times[0], times[0], *times[2:]]))
    with pytest.raises(ValueError, match="must hold every step once in every episode, got 2 rows with step"):
        transition_log(twice, **NAMES, episode="e", step="h")


def test_steps_that_do_not_join_are_shown_as_they_stand_in_the_table():
    table = pd.DataFrame({"s": [0, 2], "a": 0, "r": 0.0, "t": [1, 3], "e": 0})
    with pytest.raises(ValueError, match="got 2 in row 1 after 1 in row 0: without episode"):
        transition_log(table, **NAMES, episode="e")


def test_text_in_unordered_categories_is_no_order():
    weeks = pd.Categorical(["1", "2"], ["2", "1"])
    table = pd.DataFrame({"s": [0, 1], "a": 0, "r": 0.0, "t": [1, 2], "e": 0, "h": weeks})
    with pytest.raises(TypeError, match="ordered categories, as text has no order of steps, got '1' in row 0"):
        transition_log(table, **NAMES, episode="e", step="h")


def test_episodes_of_a_table_reach_the_estimators():
    """Two steps and one; the second step of the first episode has half the chance under the behavior."""
    table = pd.DataFrame({"who": ["a", "a", "b"], "at": [0, 1, 1], "to": [1, 9, 9], "go": ["x", "y", "x"]})
    table["won"], table["done"] = [0.0, 1.0, 0.5], [False, True, True]
    columns = {"state": "at", "action": "go", "reward": "won", "next_state": "to", "episode": "who"}
    log = transition_log(table, **columns, terminated="done")
    assert [episode.rewards.tolist() for episode in log.episodes()] == [[0.0, 1.0], [0.5]]
    behavior = [[1.0, 0.0], [0.5, 0.5], [1.0, 0.0]]
    assert float(per_decision_is(log.episodes(), [0, 1, 0], behavior)) == pytest.approx(1.0)
    flat = TransitionLog(log.transitions, log.states, log.actions)
    with pytest.raises(ValueError, match="the episodes of this log were not named"):
        flat.episodes()
