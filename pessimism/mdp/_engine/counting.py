"""Raw logs to tables of counts and sums."""

import math

import numpy as np

from pessimism._types import Floats, Ints
from pessimism.mdp._engine.tables import States


def count(
    labels: tuple[Ints, Ints, Ints], rewards: Floats, sizes: tuple[int, int], per_step: bool
) -> tuple[Ints, States, Ints, Floats, str]:
    """Counts, lists of successors, next counts, reward sums per successor, and the law that the rewards show.

    `labels` are states, actions and next states (..., n), or (..., K, H) `per_step`, below `sizes` = (S, A).
    """
    states, actions, next_states = labels
    size_s, size_a = sizes
    steps = rewards.shape[-1] if per_step else 1
    batch = rewards.shape[: -2 if per_step else -1]
    logs, pairs = math.prod(batch), steps * size_s * size_a
    step = np.broadcast_to(np.arange(steps), rewards.shape) if per_step else np.zeros(rewards.shape, np.int64)
    pair = (step * size_s + states) * size_a + actions
    successors, slot = _lists(pair.ravel(), next_states.ravel(), pairs, size_s, size_a)
    width = successors.shape[-1]
    place = np.broadcast_to(np.arange(logs).reshape(*batch, *[1] * (rewards.ndim - len(batch))), rewards.shape)
    cell, cells = (place.ravel() * pairs + pair.ravel()) * width + slot, logs * pairs * width
    core = (steps, size_s, size_a, width) if per_step else (size_s, size_a, width)
    next_counts = np.bincount(cell, minlength=cells).reshape(*batch, *core)
    sums = np.bincount(cell, rewards.ravel(), minlength=cells).reshape(*batch, *core).astype(np.float64)
    law = _reward_law(rewards.ravel(), cell, cells)
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
