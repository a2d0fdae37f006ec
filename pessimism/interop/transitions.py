r"""Tables of transitions: steps logged in a data frame become `Transitions` and `MDPData`.

A log has one row for each step: the state, the action, the reward, and the next state.

======================  ===========================================================================================
in the table            in our structure
======================  ===========================================================================================
state, next_state       :math:`s` and :math:`s'`: positions in the sorted labels of both (`states`); several columns:
                        their combinations
action                  :math:`a`, a position in the sorted labels (`actions`)
reward                  ``rewards``
episode                 one axis of the log, sorted by label; the steps of an episode stand on the other
step                    the order within an episode; without it the order of the rows
======================  ===========================================================================================

Common mistakes, and what they lead to:

- *Actions that were never taken and states that were never met are missing*: no table can name them. Widths and
  :math:`C^*` count all of them, so pass ``actions=`` and ``states=`` whenever you know them.
- *Ends without a name.* A null next state is refused. Where an episode terminated, give the state a label of its
  own ("done"); no row leaves it, so nothing says that it earns 0. If rewards can be negative, add rows that do: from
  "done" to "done", for 0.
- *States that do not say enough.* If the next state depends on more than state and action, no MDP fits. Add columns.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pessimism._objects import Speaking
from pessimism._types import Ints
from pessimism.interop._columns import labels_in, opened, positions, rewards
from pessimism.interop._logs import Decided, Reduced
from pessimism.mdp import Transitions

__all__ = ["TransitionLog", "transition_log"]

Columns = str | Sequence[str]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TransitionLog(Decided, Reduced, Speaking):
    """A log with the names that its positions stand for.

    Attributes
    ----------
    transitions : Transitions
        Of shape (n,), or (K, H) if episodes were named.
    states : tuple
        Label of every state, a tuple each if several columns make a state.
    actions : tuple
        Label of every action.

    Examples
    --------
    >>> log = TransitionLog(Transitions([0], [1], [1.0], [0]), states=("home",), actions=("go", "stay"))
    >>> log.data().counts.tolist(), log.decisions([1])
    ([[0, 1]], {'home': 'stay'})
    """

    transitions: Transitions
    states: tuple[Any, ...]
    actions: tuple[Any, ...]

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
        Column that names the episode of a row. All episodes must have the same number of steps. Default: the rows are
        transitions, in any order.
    step : str, optional
        Column that orders the rows of an episode. Every episode must have the same steps, each once. Default: they
        are in order.
    states, actions : iterable, optional
        All labels in the order wanted; tuples of them if `state` is a sequence. Default: those that occur, sorted,
        which misses what was never seen.

    Returns
    -------
    TransitionLog
        With transitions of shape (n,), or (K, H) if `episode` is given.

    Raises
    ------
    ValueError
        If a column is missing or used twice, the frame is empty, a value is null or NaN, a label is not among those
        given, or episodes differ in their steps. The message names the column, the first bad row or episode and what
        was expected.
    TypeError
        If `frame` is not an eager data frame, a reward is not a number, or labels mix types.
    ImportError
        If narwhals is not installed.

    Notes
    -----
    Cost O(rows), plus sorting the distinct labels. Episodes of different lengths are a flat log: leave `episode` out.

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
    """
    here, there = _names("state", state), _names("next_state", next_state)
    if isinstance(state, str) != isinstance(next_state, str) or len(here) != len(there):
        raise ValueError(f"next_state must name as many columns as state, got {next_state!r} beside {state!r}")
    if step is not None and episode is None:
        raise ValueError("step must come with episode, the column that names the episodes")
    rest = {"action": action, "reward": reward, "episode": episode, "step": step}
    columns = {"state": here, **{name: (x,) for name, x in rest.items() if x is not None}, "next_state": there}
    table = opened(frame, columns)
    began, led = ([labels_in(table, name) for name in names] for names in (here, there))
    for name, then, one, other in zip(here, there, began, led, strict=True):
        _require_one_type(name, then, one[0], other[0])
    first, last = (x[0] if isinstance(state, str) else list(zip(*x, strict=True)) for x in (began, led))
    shown = [names[0] if isinstance(state, str) else list(names) for names in (here, there)]
    everywhere = states if states is not None else positions(shown[0], first + last, "states", None).labels
    where = positions(shown[0], first, "states", everywhere)
    then_at = positions(shown[1], last, "states", where.labels)
    done = positions(action, labels_in(table, action), "actions", actions)
    order = np.arange(len(table)) if episode is None else _grid(table, episode, step)
    earned = rewards(table, reward, (-np.inf, np.inf))
    log = Transitions(where.codes[order], done.codes[order], earned[order], then_at.codes[order])
    return TransitionLog(log, where.labels, done.labels)


def _names(argument: str, columns: Columns) -> tuple[str, ...]:
    names = (columns,) if isinstance(columns, str) else tuple(columns)
    if not names:
        raise ValueError(f"{argument} must name at least one column, got none")
    return names


def _require_one_type(column: str, other_column: str, one: Any, other: Any) -> None:
    # 1, 1.0 and True are one key of a dict: they would be merged in silence
    if type(one) is not type(other):
        raise TypeError(
            f"column {other_column!r} must hold labels of the type in {column!r}, got {one!r} and {other!r} in row 0"
        )


def _grid(table: Any, episode: str, step: str | None) -> Ints:
    """Row of every (episode, step), shape (K, H)."""
    of = positions(episode, labels_in(table, episode), "episode", None)
    sizes = np.bincount(of.codes)
    if step is None:
        k = int((sizes != sizes[0]).argmax())
        if sizes[k] != sizes[0]:
            raise ValueError(
                f"column {episode!r} must name episodes of equal length, got {sizes[0]} rows of {of.labels[0]!r}, "
                f"{sizes[k]} of {of.labels[k]!r}: without episode they are a flat log"
            )
        return np.argsort(of.codes, kind="stable").reshape(len(sizes), -1)
    at = positions(step, labels_in(table, step), "step", None)
    rows = np.zeros((len(sizes), len(at.labels)), np.int64)
    np.add.at(rows, (of.codes, at.codes), 1)
    if np.any(rows != 1):
        k, h = np.argwhere(rows != 1)[0]
        raise ValueError(
            f"column {step!r} must hold every step once in every episode, got {rows[k, h]} rows with step "
            f"{at.labels[h]!r} in episode {of.labels[k]!r}"
        )
    return np.lexsort((at.codes, of.codes)).reshape(rows.shape)
