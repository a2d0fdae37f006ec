"""Raw logs to what learners need of them: where episodes end, which labels there are, what the rewards show."""

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._types import Floats, Ints
from pessimism._warn import warn
from pessimism.mdp import _feasible, _input
from pessimism.mdp._engine import counting, ending
from pessimism.mdp._engine.counting import Rows
from pessimism.mdp._engine.splitting import Statistics
from pessimism.mdp._engine.tables import staying

LARGEST_TABLE = 10**9
"""Cells of a table of counts: more is a label mistaken for a position."""


class Log(Protocol):
    """A raw log, as `Transitions` is."""

    @property
    def states(self) -> Ints: ...

    @property
    def actions(self) -> Ints: ...

    @property
    def rewards(self) -> Floats: ...

    @property
    def next_states(self) -> Ints: ...

    @property
    def terminated(self) -> NDArray[np.bool_]: ...


def marked(name: str, value: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which transitions are marked; none by default."""
    return _check.flag_array(name, value, shape, " as the log")


def in_a_row(log: Log, place: Ints) -> Rows:
    """The transitions in a row; `place` says which log each belongs to, and the last axis is the step."""
    step = np.broadcast_to(np.arange(log.rewards.shape[-1]), log.rewards.shape)
    labels = log.states.ravel(), log.actions.ravel()
    return Rows(*labels, log.rewards.ravel(), log.next_states.ravel(), place.ravel(), step.ravel())


def require_episode(name: str, log: Log) -> None:
    """Raise a ValueError unless the log is one episode."""
    if log.rewards.ndim != 1 or log.rewards.size == 0:
        raise ValueError(f"{name} must have shape (T,) with T >= 1, got {log.rewards.shape}")
    _check.require(f"{name}.terminated", log.terminated[:-1], ~log.terminated[:-1], "False before the last step")
    joined = log.states[1:] == log.next_states[:-1]
    _check.require(f"{name}.states[1:]", log.states[1:], joined, "where the step before it led")


def added_up(
    rows: Rows,
    marks: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    sizes: tuple[int, int],
    may_grow: bool,
    steps: int | None,
    reward_range: tuple[float, float] | None,
    feasible: ArrayLike | None,
) -> Statistics:
    """Rows with marks of what terminated and was truncated, reduced; `shapes` are those of the batch and the log."""
    (terminated, truncated), (batch, shape) = marks, shapes
    if math.prod(batch) * (1 if steps is None else steps) * sizes[0] * sizes[1] > LARGEST_TABLE:
        shown = f"{sizes[0]} (n_states) x {sizes[1]} (n_actions)" + ("" if steps is None else f" x {steps} (horizon)")
        raise ValueError(f"states and actions make a table of {shown}, too large: labels must be 0, 1, 2, ...")
    size_s, extra = _input.room_for_ends(rows, terminated, sizes[0], may_grow)
    led, terminal, counted = ending.resolve(rows, terminated, size_s, extra)
    span = _range(rows.rewards.reshape(shape), reward_range, counted.reshape(shape))
    kept = rows._replace(next_states=led).where(counted)
    mask = mask_of(feasible, rows, terminal, counted.reshape(shape), sizes)
    low = min(span[0], 0.0) if terminal.any() else span[0]
    _warn_of_ends(ending.never_left(kept, (terminated | truncated)[counted], size_s, steps), low)
    counts, lists, next_counts, sums, law = counting.count(kept, batch, (size_s, sizes[1]), steps)
    return Statistics(counts, lists, next_counts, sums, span, law, terminal, mask)


def mask_of(
    feasible: ArrayLike | None, rows: Rows, ends: NDArray[np.bool_], counted: NDArray[np.bool_], sizes: tuple[int, int]
) -> NDArray[np.bool_]:
    """The mask, with a row for a state that was added; `counted` has the shape of the log."""
    mask = np.ones((ends.size, sizes[1]), np.bool_)
    if feasible is None:
        return mask
    mask[: sizes[0]] = _feasible.feasible(feasible, sizes, ends[: sizes[0]])
    taken, good = rows.actions.reshape(counted.shape), mask[rows.states, rows.actions].reshape(counted.shape) | ~counted
    if not good.all():
        state = rows.states[np.flatnonzero(~good)[0]]
        _check.require("actions", taken, good, f"an action that is feasible in state {state}")
    return mask


def _warn_of_ends(states: Ints, low: float) -> None:
    if states.size:
        shown = ", ".join(map(str, states[:5].tolist())) + (", ..." if states.size > 5 else "")
        which = f"state {shown} is" if states.size == 1 else f"{states.size} states ({shown}) are"
        warn(
            f"{which} entered, never left and not marked: taken for never seen, worth the low end of the range of "
            f"values ({low:g} a step, for ever). If episodes end there, say so with terminated=, and they are worth 0; "
            "if the log merely stops there, with truncated="
        )


def _range(
    rewards: Floats, reward_range: tuple[float, float] | None, counted: NDArray[np.bool_]
) -> tuple[float, float]:
    """The interval given, if it holds the rewards of a log; by default (0, 1) or the smallest that does."""
    if reward_range is None:
        received = rewards[counted]
        if received.size == 0 or (received.min() >= 0 and received.max() <= 1):
            return 0.0, 1.0
        low, high = float(received.min()), float(received.max())
        return low, _input.above(low, high)
    low, high = _check.interval("reward_range", reward_range)
    inside = (rewards >= low) & (rewards <= high)
    _check.require("rewards", rewards, inside | ~counted, f"in reward_range [{low:g}, {high:g}]")
    return low, high


def sizes_of(
    logs: dict[str, Log], n_states: int | None, n_actions: int | None, feasible: ArrayLike | None = None
) -> tuple[int, int]:
    """S and A, as given, of the mask, or from the largest labels; the keys are prefixes of the names in messages."""
    n_states, n_actions = sizes_given(n_states, n_actions, feasible)
    largest = [
        max((int(getattr(log, name).max(initial=0)) for log in logs.values() for name in names), default=0)
        for names in (("states", "next_states"), ("actions",))
    ]
    size_s = largest[0] + 1 if n_states is None else _check.count("n_states", n_states)
    size_a = largest[1] + 1 if n_actions is None else _check.count("n_actions", n_actions)
    for prefix, log in logs.items():
        for name, kind in (("states", "n_states"), ("actions", "n_actions"), ("next_states", "n_states")):
            labels, size = getattr(log, name), size_s if kind == "n_states" else size_a
            _check.require(prefix + name, labels, labels < size, f"below {kind} = {size}")
    return size_s, size_a


def ended(visits: Ints, lists: Any, moved: Ints, sums: Floats, ends: NDArray[np.bool_]) -> tuple[Any, Any, Any, Any]:
    """Tables in which terminal states have no visits and lead to themselves."""
    core = ends[:, None, None]
    stays = (moved == 0) | (lists == np.arange(len(ends))[:, None, None])
    _check.require("next_counts", moved, stays | ~core, "0 where a terminal state would be left")
    own = core if sums.shape == moved.shape else ends[:, None]
    _check.require("reward_sums", sums, (sums == 0) | ~own, "0 in terminal states, which earn nothing")
    visits, moved = np.where(ends[:, None], 0, visits), np.where(core, 0, moved)
    return visits, staying(lists, ends).astype(np.int32), moved, sums


def sizes_given(
    n_states: int | None, n_actions: int | None, feasible: ArrayLike | None
) -> tuple[int | None, int | None]:
    """S and A as given, or of the mask."""
    if feasible is None:
        return n_states, n_actions
    mask = _check.as_array("feasible", feasible, "flags")
    if mask.dtype != np.bool_ or mask.ndim != 2 or 0 in mask.shape:
        got = f"{mask.dtype} of shape {mask.shape}"
        raise ValueError(f"feasible must be bool of shape (S, A) with at least one of each, got {got}")
    states, actions = mask.shape
    return states if n_states is None else n_states, actions if n_actions is None else n_actions
