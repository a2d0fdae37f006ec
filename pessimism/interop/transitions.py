r"""Tables of transitions: steps logged in a data frame become `Transitions` and `MDPData`.

A log has one row for each step: the state, the action, the reward, and the next state.

======================  ===========================================================================================
in the table            in our structure
======================  ===========================================================================================
state, next_state       :math:`s` and :math:`s'`: positions in the sorted labels of both (`states`); several columns:
                        their combinations
action                  :math:`a`, a position in the sorted labels (`actions`)
reward                  ``rewards``
terminated              ``terminated``: the next state ends the episode, and is worth 0
truncated               ``truncated``: the log merely stops there, and nothing is known of what follows
episode                 one axis of the log, sorted by label; the steps of an episode stand on the other. Episodes of
                        unequal length stand in one row, one after the other (`lengths`)
step                    the order within an episode, which the type of the column must have: numbers, times, ordered
                        categories; without it the order of the rows
======================  ===========================================================================================

Common mistakes, and what they lead to:

- *Actions that were never taken and states that were never met are missing*: no table can name them. Widths and
  :math:`C^*` count all of them, so pass ``actions=`` and ``states=`` whenever you know them.
- *Ends without a mark.* No row leaves the state in which an episode ends, so nothing says what it is worth: it is taken
  for never seen, the worst there is, and a warning says so. Name the column that marks it, ``terminated=`` or
  ``truncated=``. A null next state is refused unless its step has terminated.
- *Ends that are passed.* If a state in which an episode terminated is also left, or entered without an end, or has no
  name, terminated steps lead to a state of their own: the last, with label None.
- *States that do not say enough.* If the next state depends on more than state and action, no MDP fits. Add columns.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pessimism import _check
from pessimism._objects import Speaking
from pessimism._types import Floats, Ints
from pessimism.interop._columns import (
    Positions,
    flags,
    in_order,
    known_labels,
    labels_in,
    name,
    names,
    nulls,
    opened,
    plain,
    positions,
    require_rows,
    rewards,
)
from pessimism.interop._logs import Decided, Reduced, labelled_by
from pessimism.mdp import Transitions

__all__ = ["TransitionLog", "transition_log"]

Columns = str | Sequence[str]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TransitionLog(Decided, Reduced, Speaking):
    """A log with the names that its positions stand for.

    Attributes
    ----------
    transitions : Transitions
        Of shape (n,); or (K, H) if episodes were named and are equally long.
    states : tuple
        Label of every state, a tuple each if several columns make a state.
    actions : tuple
        Label of every action.
    lengths : (K,) int or None
        Steps of every episode, in their order; None if episodes were not named.

    Examples
    --------
    >>> log = TransitionLog(Transitions([0], [1], [1.0], [0]), states=("home",), actions=("go", "stay"))
    >>> log.data().counts.tolist(), log.decisions([1])
    ([[0, 1]], {'home': 'stay'})
    """

    transitions: Transitions
    states: tuple[Any, ...]
    actions: tuple[Any, ...]
    lengths: Ints | None = None

    def __post_init__(self) -> None:
        _check.instance("transitions", self.transitions, Transitions)
        if self.lengths is not None:
            _check.whole_array("lengths", self.lengths)
        labelled_by("states", self.states)
        labelled_by("actions", self.actions)

    def _names(self) -> tuple[tuple[Any, ...], tuple[Any, ...], str, str]:
        return self.states, self.actions, "action", "states"

    def _sizes(self) -> tuple[int, int]:
        return len(self.states), len(self.actions)


def transition_log(
    frame: Any,
    *,
    state: Columns,
    action: str,
    reward: str,
    next_state: Columns,
    episode: str | None = None,
    step: str | None = None,
    terminated: str | None = None,
    truncated: str | None = None,
    states: Iterable[Hashable] | None = None,
    actions: Iterable[Hashable] | None = None,
) -> TransitionLog:
    """Read logged transitions from a data frame, one row for each step.

    Parameters
    ----------
    frame : data frame
        Whatever narwhals reads eagerly: pandas, polars, pyarrow, Modin, cuDF.
    state : str or sequence of str
        Column, or columns, of the state before the step.
    action : str
        Column of the action.
    reward : str
        Column of the reward: numbers or booleans.
    next_state : str or sequence of str
        Column, or columns, of the state after the step, with labels of the same types.
    episode : str, optional
        Column that names the episode of a row. Default: the rows are transitions, in any order.
    step : str, optional
        Column that orders the rows of an episode: times, which may differ between episodes; or numbers or ordered
        categories, of which every episode must have the first few, each once. Default: the rows are in order.
    terminated, truncated : str, optional
        Columns of booleans (or 0 and 1): which steps ended their episode for good, and after which the log merely
        stops. With `episode` and one of them, the last step of an episode that is not marked is truncated.
    states, actions : iterable, optional
        All labels in the order wanted; tuples of them if `state` is a sequence. Default: the categories if the columns
        are of such a type, else those that occur, sorted, which misses what was never seen.

    Returns
    -------
    TransitionLog
        With transitions of shape (n,), or (K, H) if `episode` is given and all have H steps.

    Raises
    ------
    ValueError
        If a column is missing or used twice, the frame is empty, a value is null or NaN, a label is not among those
        given, a step of an episode is missing, occurs twice, does not begin where the one before it led, or follows a
        termination. The message names the column, the first bad row or episode and what was expected.
    TypeError
        If `frame` is not an eager data frame, a reward is not a number, labels mix types, or steps are text.
    ImportError
        If narwhals is not installed.

    Notes
    -----
    Cost O(rows), plus sorting the distinct labels.

    Examples
    --------
    >>> import pandas as pd
    >>> from pessimism.mdp import MDP
    >>> table = pd.DataFrame({"drug": ["a", "b", "a"], "cost": [-1, -2, 0]})
    >>> table["stage"], table["then"] = ["ill", "ill", "well"], ["ill", "well", "well"]
    >>> log = transition_log(table, state="stage", action="drug", reward="cost", next_state="then")
    >>> log.states, log.data().counts.tolist()
    (('ill', 'well'), [[1, 1], [1, 0]])
    >>> log.decisions(MDP.from_data(log.data(), 0.9).best_policy)
    {'ill': 'b', 'well': 'a'}

    Two episodes end where they want to; the first takes longer.

    >>> walk = pd.DataFrame({"day": [1, 2, 1], "who": ["a", "a", "b"], "at": [0, 1, 1], "to": [1, 9, 9], "go": "on"})
    >>> walk["cost"], walk["done"] = -1.0, [False, True, True]
    >>> columns = {"state": "at", "action": "go", "reward": "cost", "next_state": "to", "terminated": "done"}
    >>> log = transition_log(walk, **columns, episode="who", step="day")
    >>> log.lengths.tolist(), log.data().model(0.9).evaluate([0, 0, 0]).tolist()
    ([2, 1], [-1.9, -1.0, 0.0])
    """
    here, there = _several("state", state), _several("next_state", next_state)
    if isinstance(state, str) != isinstance(next_state, str) or len(here) != len(there):
        raise ValueError(f"next_state must name as many columns as state, got {next_state!r} beside {state!r}")
    if step is not None and episode is None:
        raise ValueError("step must come with episode, the column that names the episodes")
    single = {"action": action, "reward": reward, "episode": episode, "step": step}
    single |= {"terminated": terminated, "truncated": truncated}
    named = {x: name(x, column) for x, column in single.items() if column is not None or x in ("action", "reward")}
    table = opened(frame, {"state": here, **named, "next_state": there})
    ended, cut = (
        np.zeros(len(table), np.bool_) if column is None else flags(table, column) for column in (terminated, truncated)
    )
    absent = ended & np.logical_or.reduce([nulls(table.get_column(column)) for column in there])
    where, then_at = _states(table, (here, there), states, absent, plain=isinstance(state, str))
    done = positions(action, labels_in(table, action), "actions", actions, known_labels(table, action)[0])
    earned, lengths = rewards(table, reward, (-np.inf, np.inf)), None
    order = np.arange(len(table))
    if episode is not None:
        order, lengths = _episodes(table, episode, step)
    if lengths is not None:
        last = np.zeros(len(table), np.bool_)
        last[order[np.cumsum(lengths) - 1]] = True
        _require_joined(table, (here, there), (where.codes, then_at.codes), order, last)
        if terminated is not None or truncated is not None:
            require_rows(str(terminated), ~ended | last, ended, "False before the last step of an episode")
            cut = cut | (last & ~ended)
    labels, led = _own_end(where, then_at, ended, earned, named=not absent.any())
    alike = lengths is not None and np.all(lengths == lengths[0])
    shape = (len(lengths), -1) if lengths is not None and alike else (-1,)
    fields = where.codes, done.codes, earned, led, ended, cut
    return TransitionLog(Transitions(*(x[order].reshape(shape) for x in fields)), labels, done.labels, lengths)


def _several(argument: str, columns: Columns) -> tuple[str, ...]:
    found = names(argument, columns)
    if not found:
        raise ValueError(f"{argument} must name at least one column, got none")
    return found


def _states(
    table: Any,
    columns: tuple[tuple[str, ...], tuple[str, ...]],
    states: Iterable[Hashable] | None,
    absent: NDArray[np.bool_],
    *,
    plain: bool,
) -> tuple[Positions, Positions]:
    """Positions of states and next states among the same labels; `plain` if they are no tuples.

    Where the next state is `absent` its position is that of the state.
    """
    began = [labels_in(table, column) for column in columns[0]]
    led = [labels_in(table, column, absent, own) for column, own in zip(columns[1], began, strict=True)]
    for column, then, one, other in zip(*columns, began, led, strict=True):
        _require_one_type(column, then, one[0], other[0])
    first, last = (x[0] if plain else list(zip(*x, strict=True)) for x in (began, led))
    shown = [own[0] if plain else list(own) for own in columns]
    known = None
    if plain:
        named, also = (known_labels(table, own[0])[0] for own in columns)
        if named is not None and also is not None:  # an order that both share, else that of the labels
            known = named if named == also else sorted({*named, *also})
    everywhere = states if states is not None else positions(shown[0], first + last, "states", None, known).labels
    where = positions(shown[0], first, "states", everywhere)
    return where, positions(shown[1], last, "states", where.labels)


def _require_one_type(column: str, other_column: str, one: Any, other: Any) -> None:
    # 1, 1.0 and True are one key of a dict: they would be merged in silence
    if type(one) is not type(other):
        raise TypeError(
            f"column {other_column!r} must hold labels of the type in {column!r}, got {one!r} and {other!r} in row 0"
        )


def _episodes(table: Any, episode: str, step: str | None) -> tuple[Ints, Ints]:
    """Rows in the order of episodes and their steps, and the steps of every episode."""
    of = positions(episode, labels_in(table, episode), "episode", None)
    lengths = np.bincount(of.codes)
    if step is None:
        return np.argsort(of.codes, kind="stable"), lengths
    at, times = in_order(table, step)
    order = np.lexsort((at.codes, of.codes))
    place = np.arange(len(order)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    same = (np.diff(at.codes[order]) == 0) & (np.diff(of.codes[order]) == 0)
    wrong = np.append(False, same) if times else at.codes[order] != place
    if wrong.any():
        i = int(wrong.argmax())
        k, expected = of.labels[of.codes[order[i]]], at.labels[at.codes[order[i]] if times else place[i]]
        rows = int(np.sum((of.codes == of.codes[order[i]]) & (at.codes == at.labels.index(expected))))
        rule = "every step once" if times else "every step up to the last, once,"
        found = f"{rows} rows with step {expected!r} in episode {k!r}"
        raise ValueError(f"column {step!r} must hold {rule} in every episode, got {found}")
    return order, lengths


def _require_joined(
    table: Any, columns: tuple[tuple[str, ...], tuple[str, ...]], codes: tuple[Ints, Ints], order: Ints, last: Any
) -> None:
    """Every step of an episode begins where the one before it led."""
    here, led = codes
    apart = (here[order][1:] != led[order][:-1]) & ~last[order][:-1]
    if apart.any():
        i = int(apart.argmax())
        before, row = int(order[i]), int(order[i + 1])
        (came, went) = (
            [plain(table.get_column(x)[r]) for x in own] for own, r in zip(columns, (row, before), strict=True)
        )
        shown = [x[0] if len(x) == 1 else tuple(x) for x in (came, went)]
        raise ValueError(
            f"column {', '.join(columns[0])!r} must begin every step where the one before it in its episode led, got "
            f"{shown[0]!r} in row {row} after {shown[1]!r} in row {before}: without episode the rows are separate steps"
        )


def _own_end(
    where: Positions, then_at: Positions, ended: Any, earned: Floats, *, named: bool
) -> tuple[tuple[Any, ...], Ints]:
    """Labels and next states; whatever terminates leads to a state None if a state in which it does is also passed.

    Or if not all of these are `named`.
    """
    is_end = np.zeros(len(where.labels), np.bool_)
    is_end[then_at.codes[ended]] = True
    stays = (where.codes == then_at.codes) & (earned == 0)
    passed = (is_end[where.codes] & ~stays) | (is_end[then_at.codes] & ~ended & ~is_end[where.codes])
    if named and not passed.any():
        return where.labels, then_at.codes
    return (*where.labels, None), np.where(ended, len(where.labels), then_at.codes)
