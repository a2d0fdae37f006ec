"""Raw logs to tables of counts and sums."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pessimism._types import Floats, Ints
from pessimism.mdp._engine.tables import States


class Rows(NamedTuple):
    """Transitions in any order: labels and rewards (n,), which log each belongs to, and its step."""

    states: Ints
    actions: Ints
    rewards: Floats
    next_states: Ints
    log: Ints
    step: Ints

    def where(self, good: NDArray[np.bool_]) -> "Rows":
        """Some of the transitions."""
        return Rows._make(x[good] for x in self)


def count(
    rows: Rows, batch: tuple[int, ...], sizes: tuple[int, int], steps: int | None
) -> tuple[Ints, States, Ints, Floats, str]:
    """Counts, lists of successors, next counts, reward sums per successor, and the law that the rewards show.

    Labels are below `sizes` = (S, A); without `steps` there is no step axis.
    """
    size_s, size_a = sizes
    logs, pairs = math.prod(batch), (1 if steps is None else steps) * size_s * size_a
    pair = ((0 if steps is None else rows.step * size_s) + rows.states) * size_a + rows.actions
    successors, slot = _lists(pair, rows.next_states, pairs, size_s, size_a)
    width = successors.shape[-1]
    cell, cells = (rows.log * pairs + pair) * width + slot, logs * pairs * width
    core = (*(() if steps is None else (steps,)), size_s, size_a, width)
    next_counts = np.bincount(cell, minlength=cells).reshape(*batch, *core)
    sums = np.bincount(cell, rows.rewards, minlength=cells).reshape(*batch, *core).astype(np.float64)
    law = _reward_law(rows.rewards, cell, cells)
    return next_counts.sum(axis=-1), successors.reshape(core), next_counts, sums, law


def _lists(pair: Ints, successor: Ints, pairs: int, size_s: int, size_a: int) -> tuple[States, Ints]:
    """Successors seen from every pair, padded with the state itself, and each transition's place in its list."""
    seen, position = np.unique(pair * size_s + successor, return_inverse=True)
    owner = seen // size_s
    first = np.searchsorted(owner, np.arange(pairs))
    rank = np.arange(seen.size) - first[owner]
    width = int(rank.max(initial=0)) + 1
    lists = np.repeat(np.arange(pairs) // size_a % size_s, width).reshape(pairs, width)
    lists[owner, rank] = seen % size_s
    return lists.astype(np.int32), rank[position]


def _reward_law(rewards: Floats, cell: Ints, cells: int) -> str:
    if np.all((rewards == 0) | (rewards == 1)):
        return "bernoulli"
    low, high = np.full(cells, np.inf), np.full(cells, -np.inf)
    np.minimum.at(low, cell, rewards)
    np.maximum.at(high, cell, rewards)
    return "deterministic" if np.all(high <= low) or np.all((low == high) | (high == -np.inf)) else "other"
