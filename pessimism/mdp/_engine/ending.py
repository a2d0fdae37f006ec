"""Where the episodes of a raw log end: which states are terminal, which rows count, which states are never left."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pessimism._types import Ints
from pessimism.mdp._engine.counting import Rows


class Ending(NamedTuple):
    """A log whose terminated transitions lead to terminal states, and the transitions to leave out."""

    next_states: Ints
    terminal: NDArray[np.bool_]
    counted: NDArray[np.bool_]


def conflict(rows: Rows, terminated: NDArray[np.bool_], size: int) -> tuple[int, int] | None:
    """A row that terminates in a state, and one by which that state is left or entered otherwise, if there are such.

    Rows of a terminal state that stay and earn 0 are the padding of an episode that has ended: they leave nothing.
    """
    first = np.full(size, -1, np.int64)
    first[rows.next_states[terminated][::-1]] = np.flatnonzero(terminated)[::-1]
    from_end = first[rows.states] >= 0
    leaves = from_end & ~padding(rows)
    passes = (first[rows.next_states] >= 0) & ~terminated & ~from_end
    bad = np.flatnonzero(leaves | passes)
    if bad.size == 0:
        return None
    other = int(bad[0])
    ended = rows.states[other] if leaves[other] else rows.next_states[other]
    return int(first[ended]), other


def padding(rows: Rows) -> NDArray[np.bool_]:
    return np.asarray((rows.next_states == rows.states) & (rows.rewards == 0))


def resolve(rows: Rows, terminated: NDArray[np.bool_], size: int, extra: int | None) -> Ending:
    """The log of S = `size` states; with `extra`, whatever terminates leads to that state."""
    led = rows.next_states if extra is None else np.where(terminated, extra, rows.next_states)
    terminal = np.zeros(size, np.bool_)
    terminal[led[terminated]] = True
    return Ending(led, terminal, ~terminal[rows.states])


def never_left(rows: Rows, marked: NDArray[np.bool_], size: int, steps: int | None) -> Ints:
    """States that rows that are not `marked` lead to and that no row leaves (at the next step, if there are steps)."""
    now = np.zeros_like(rows.step) if steps is None else rows.step
    last = 0 if steps is None else steps - 1
    later = 0 if steps is None else 1
    entered = np.zeros((last + 1, size), np.bool_)
    left = np.zeros((last + 1, size), np.bool_)
    left[now, rows.states] = True
    goes_on = ~marked & (now + later <= last)
    entered[now[goes_on] + later, rows.next_states[goes_on]] = True
    return np.flatnonzero((entered & ~left).any(axis=0))
