"""Compiled pessimistic Q-learning. The kernel takes clean, C-contiguous arrays, one item a log."""

import math

import numpy as np

from pessimism._compiled import compiled
from pessimism._types import Floats, Ints


@compiled
def q_learning(
    states: Ints,
    actions: Ints,
    rewards: Floats,
    next_states: Ints,
    n_states: int,
    n_actions: int,
    bonuses: Floats,
    given: Floats,
) -> tuple[Floats, Ints, Ints, Floats]:
    """Pessimistic Q-learning over logs (items, K, H): values and policies (items, H, S), updates, Q (items, H, S, A).

    `bonuses` (items,) are the widths of a pair seen once; after n visits they are divided by sqrt(n). `given` (H, S)
    are values that are known, -1 where none is; from such states nothing is learned.
    """
    items, episodes, horizon = states.shape
    values = np.zeros((items, horizon + 1, n_states))
    policies = np.full((items, horizon, n_states), -1, np.int64)
    updates, tables = np.zeros(items, np.int64), np.zeros((items, horizon, n_states, n_actions))
    for i in range(items):
        for h in range(horizon):
            for s in range(n_states):
                values[i, h, s] = max(given[h, s], 0.0)
        q, bonus = tables[i], bonuses[i]
        visits = np.zeros((horizon, n_states, n_actions), np.int64)
        for k in range(episodes):
            for h in range(horizon):
                s, a = states[i, k, h], actions[i, k, h]
                if given[h, s] >= 0.0:
                    continue
                visits[h, s, a] += 1
                n = visits[h, s, a]
                rate = (horizon + 1.0) / (horizon + n)
                target = rewards[i, k, h] + values[i, h + 1, next_states[i, k, h]] - bonus / math.sqrt(n)
                q[h, s, a] = (1.0 - rate) * q[h, s, a] + rate * target
                best = 0
                for b in range(1, n_actions):
                    if q[h, s, b] > q[h, s, best]:
                        best = b
                if q[h, s, best] > values[i, h, s]:
                    values[i, h, s], policies[i, h, s] = q[h, s, best], best
                    updates[i] += 1
        for h in range(horizon):
            for s in range(n_states):
                if policies[i, h, s] < 0:
                    most = 0
                    for b in range(1, n_actions):
                        if visits[h, s, b] > visits[h, s, most]:
                            most = b
                    policies[i, h, s] = most
    return values[:, :horizon], policies, updates, tables
