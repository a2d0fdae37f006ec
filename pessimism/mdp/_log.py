"""Raw logs to tables of counts and sums."""

import math
from typing import TYPE_CHECKING

import numpy as np

from pessimism import _check
from pessimism._types import Floats, Ints
from pessimism.mdp._tables import States

if TYPE_CHECKING:
    from pessimism.mdp.data import Transitions

LARGEST_TABLE = 10**9
"""Cells of one call: more is a label mistaken for a position."""

Fields = tuple[Ints, States, Ints, Floats, tuple[float, float], str]


def add_up(
    log: "Transitions",
    n_states: int | None,
    n_actions: int | None,
    per_step: bool,
    reward_range: tuple[float, float] | None,
) -> Fields:
    low, high = _range(log.rewards, reward_range)
    if per_step and log.rewards.ndim < 2:
        raise ValueError(f"log must have shape (..., episodes, steps) to be kept per step, got {log.rewards.shape}")
    visited = max(int(log.states.max(initial=0)), int(log.next_states.max(initial=0)))
    size_s = visited + 1 if n_states is None else _check.whole("n_states", n_states, low=1)
    size_a = int(log.actions.max(initial=0)) + 1 if n_actions is None else _check.whole("n_actions", n_actions, low=1)
    for name, size in (("states", size_s), ("actions", size_a), ("next_states", size_s)):
        labels = getattr(log, name)
        _check.require(name, labels, labels < size, f"a whole number in [0, {size - 1}]")
    steps = log.rewards.shape[-1] if per_step else 1
    batch = log.rewards.shape[: -2 if per_step else -1]
    logs = math.prod(batch)
    if logs * steps * size_s * size_a > LARGEST_TABLE:
        raise ValueError(f"a table of {size_s} states x {size_a} actions is too large: labels must be 0, 1, 2, ...")
    step = np.broadcast_to(np.arange(steps), log.rewards.shape) if per_step else np.zeros(log.rewards.shape, np.int64)
    pair = (step * size_s + log.states) * size_a + log.actions
    pairs = steps * size_s * size_a
    successors, slot = _lists(pair.ravel(), log.next_states.ravel(), pairs, size_s, size_a)
    width = successors.shape[-1]
    place = np.broadcast_to(np.arange(logs).reshape(*batch, *[1] * (log.rewards.ndim - len(batch))), log.rewards.shape)
    cell = (place.ravel() * pairs + pair.ravel()) * width + slot
    front = (*batch, steps, size_s, size_a) if per_step else (*batch, size_s, size_a)
    cells = logs * pairs * width
    next_counts = np.bincount(cell, minlength=cells).reshape(*front, width)
    sums = np.bincount(cell, log.rewards.ravel(), minlength=cells).reshape(*front, width)
    lists = successors.reshape((steps, size_s, size_a, width) if per_step else (size_s, size_a, width))
    law = _reward_law(log.rewards.ravel(), cell, cells)
    return next_counts.sum(axis=-1), lists, next_counts, sums.astype(np.float64), (low, high), law


def _range(rewards: Floats, reward_range: tuple[float, float] | None) -> tuple[float, float]:
    if reward_range is None:
        if rewards.size == 0 or (rewards.min() >= 0 and rewards.max() <= 1):
            return 0.0, 1.0
        low, high = float(rewards.min()), float(rewards.max())
        return low, (high if high > low else low + 1.0)
    low, high = _check.interval("reward_range", reward_range)
    _check.require("rewards", rewards, (rewards >= low) & (rewards <= high), f"in reward_range [{low:g}, {high:g}]")
    return low, high


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
