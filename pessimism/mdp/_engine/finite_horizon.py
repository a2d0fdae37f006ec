"""Backward and forward recursions over the steps of a finite horizon. Kernels take clean, C-contiguous arrays.

Axes: items (models, data sets or policies of a batch), steps, states S, actions A, successors B. An array whose first
axis has length 1 is shared by all items; a table with one step serves all steps.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pessimism._batch import items, on_threads, part_of
from pessimism._compiled import compiled
from pessimism._types import Floats
from pessimism.mdp._engine.bellman import step_values
from pessimism.mdp._engine.solution import Solution, finished
from pessimism.mdp._engine.tables import States, Tables


def backward_induction(tables: Tables, fallback: Floats) -> Solution:
    """Optimal policies; a state without actions is worth `fallback` (H,), by the step."""
    batch, horizon = tables.shape, fallback.size
    p, rewards = items(tables.probabilities, batch, 4), items(tables.rewards, batch, 3)
    count = 1 if len(p) == len(rewards) == 1 else math.prod(batch)  # all the same: solved once

    def work(part: slice) -> Any:
        return plan_backward(tables.next_states, part_of(p, part), part_of(rewards, part), tables.discount, fallback)

    values, policies = (np.concatenate(x) for x in zip(*on_threads(work, count), strict=True))
    shape = (*batch, horizon, tables.n_states)
    full = (math.prod(batch), *shape[-2:])
    policy, value = (np.broadcast_to(x, full).reshape(shape) for x in (policies, values))
    return finished(policy, value, batch, horizon, q=step_values(tables, value))


@compiled
def backward(
    next_states: States, probabilities: Floats, source: Floats, policies: Floats, discount: float, horizon: int
) -> Floats:
    """Sums of `source` (items, steps, S, A) to come (items, horizon, S), following policies (items, steps, S, A)."""
    items, n_states, n_actions = policies.shape[0], policies.shape[2], policies.shape[3]
    values = np.zeros((items, horizon + 1, n_states))
    for i in range(items):
        for h in range(horizon - 1, -1, -1):
            p = probabilities[i % probabilities.shape[0], h % probabilities.shape[1]]
            c = source[i % source.shape[0], h % source.shape[1]]
            chosen = policies[i, h % policies.shape[1]]
            successors = next_states[h % next_states.shape[0]]
            for s in range(n_states):
                for a in range(n_actions):
                    weight = chosen[s, a]
                    if weight > 0.0:
                        later = 0.0
                        for b in range(p.shape[2]):
                            later += p[s, a, b] * values[i, h + 1, successors[s, a, b]]
                        values[i, h, s] += weight * (c[s, a] + discount * later)
    return values[:, :horizon]


@compiled
def forward(next_states: States, probabilities: Floats, start: Floats, policies: Floats, horizon: int) -> Floats:
    """Laws of the states (items, horizon, S) met by policies (items, steps, S, A) from `start` (items, S)."""
    items, n_states, n_actions = policies.shape[0], policies.shape[2], policies.shape[3]
    laws = np.zeros((items, horizon, n_states))
    for i in range(items):
        for s in range(n_states if horizon > 0 else 0):
            laws[i, 0, s] = start[i % start.shape[0], s]
        for h in range(horizon - 1):
            p = probabilities[i % probabilities.shape[0], h % probabilities.shape[1]]
            chosen = policies[i, h % policies.shape[1]]
            successors = next_states[h % next_states.shape[0]]
            for s in range(n_states):
                for a in range(n_actions):
                    weight = laws[i, h, s] * chosen[s, a]
                    if weight > 0.0:
                        for b in range(p.shape[2]):
                            laws[i, h + 1, successors[s, a, b]] += weight * p[s, a, b]
    return laws


@compiled
def plan_backward(
    next_states: States, probabilities: Floats, rewards: Floats, discount: float, fallback: Floats
) -> tuple[Floats, NDArray[np.int64]]:
    """Optimal values (items, horizon, S) and lowest optimal actions of finite-horizon models (items, steps, S, A, B).

    A reward of -inf forbids an action; a state without actions is worth `fallback` (horizon,) and has action 0.
    """
    horizon = fallback.size
    items = max(probabilities.shape[0], rewards.shape[0])
    n_states, n_actions, width = probabilities.shape[2:]
    values = np.zeros((items, horizon + 1, n_states))
    policies = np.zeros((items, horizon, n_states), np.int64)
    for i in range(items):
        for h in range(horizon - 1, -1, -1):
            p = probabilities[i % probabilities.shape[0], h % probabilities.shape[1]]
            r = rewards[i % rewards.shape[0], h % rewards.shape[1]]
            successors = next_states[h % next_states.shape[0]]
            for s in range(n_states):
                best = -np.inf
                for a in range(n_actions):
                    if r[s, a] > -np.inf:
                        later = 0.0
                        for b in range(width):
                            later += p[s, a, b] * values[i, h + 1, successors[s, a, b]]
                        q = r[s, a] + discount * later
                        if q > best:
                            best, policies[i, h, s] = q, a
                values[i, h, s] = best if best > -np.inf else fallback[h]
    return values[:, :horizon], policies
