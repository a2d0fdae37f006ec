"""Value iteration with Bernstein widths, for rewards in [0, 1].

Kernels take clean, C-contiguous arrays, one item a data set.
"""

import math
from typing import Any

import numpy as np

from pessimism._batch import items, on_threads
from pessimism._compiled import compiled
from pessimism._types import Floats, Ints
from pessimism.mdp._engine.bellman import EPSILON
from pessimism.mdp._engine.tables import States, Tables

PLAIN = 10_000
"""Sweeps after which long ways are shortened: discounts up to 0.999 hardly need so many."""


def discounted(
    tables: Tables,
    counts: Ints,
    level: Floats,
    total: Floats,
    tolerance: float,
    limit: int,
    given: Floats,
    plain: int = PLAIN,
) -> tuple[Floats, Ints, Ints, Floats]:
    """Values and policies (..., S), sweeps and error bounds (...) of the fixed points, reached from below.

    `tables` are the empirical models of data with visits `counts` (..., S, A); `level` (...) is c times the log factor,
    `total` (...) the number of transitions. Where nothing is certified the policy is the most frequent action. `given`
    (S,) are values that are known, -1 where none is. After `plain` sweeps long ways are shortened.
    """
    shape, count = tables.shape, math.prod(tables.shape)
    arrays = (tables.probabilities, 3), (counts, 2), (tables.rewards, 2), (counts.argmax(axis=-1), 1)
    shares, visits, rewards, starts = (items(x, shape, core, full=True) for x, core in arrays)
    levels, totals = (np.broadcast_to(x, shape).reshape(count).astype(np.float64) for x in (level, total))

    def work(part: slice) -> Any:
        own = shares[part], visits[part], rewards[part], tables.discount, levels[part], totals[part]
        return bernstein_fixed_points(tables.next_states, *own, tolerance, limit, starts[part], given, plain)

    values, policies, sweeps, bounds = (np.concatenate(x) for x in zip(*on_threads(work, count), strict=True))
    full = (*shape, tables.n_states)
    return values.reshape(full), policies.reshape(full), sweeps.reshape(shape), bounds.reshape(shape)


def episodic(tables: Tables, counts: Ints, level: Floats, given: Floats) -> tuple[Floats, Ints]:
    """Values and policies (..., H, S) of the backward pass over data with visits `counts` (..., H, S, A).

    `given` (H, S) are values that are known, -1 where none is.
    """
    shape, count = tables.shape, math.prod(tables.shape)
    arrays = (tables.probabilities, 4), (counts, 3), (tables.rewards, 3)
    shares, visits, rewards = (items(x, shape, core, full=True) for x, core in arrays)
    levels = np.broadcast_to(level, shape).reshape(count).astype(np.float64)

    def work(part: slice) -> Any:
        return bernstein_backward(tables.next_states, shares[part], visits[part], rewards[part], levels[part], given)

    values, policies = (np.concatenate(x) for x in zip(*on_threads(work, count), strict=True))
    full = (*shape, *counts.shape[-3:-1])
    return values.reshape(full), policies.reshape(full)


def discounted_q(tables: Tables, counts: Ints, level: Floats, total: Floats, values: Floats) -> Floats:
    """Q (..., S, A) of values (..., S): one application of the discounted operator, 0 for pairs never seen."""
    v_max, log, n = 1.0 / (1.0 - tables.discount), np.asarray(level)[..., None, None], np.maximum(counts, 1)
    mean, variance = _moments(tables.probabilities, values[..., tables.next_states])
    width = np.minimum(np.maximum(np.sqrt(log * variance / n), 2.0 * log * v_max / n), v_max)
    q = tables.rewards + tables.discount * mean - width - 5.0 / np.asarray(total)[..., None, None]
    return np.where(counts > 0, np.maximum(q, 0.0), 0.0)


def episodic_q(tables: Tables, counts: Ints, level: Floats, values: Floats) -> Floats:
    """Q (..., H, S, A) of the values (..., H, S) of the steps, 0 for pairs never seen."""
    horizon, lists = values.shape[-2], tables.next_states
    if horizon == 0:
        return np.zeros(counts.shape)
    after = np.concatenate([values[..., 1:, :], np.zeros_like(values[..., :1, :])], axis=-2)
    later = np.stack([after[..., h, :][..., lists[h % len(lists)]] for h in range(horizon)], axis=-4)
    mean, variance = _moments(tables.probabilities, later)
    log, n = np.asarray(level)[..., None, None, None], np.maximum(counts, 1)
    width = np.minimum(np.sqrt(log * variance / n) + log * horizon / n, float(horizon))
    return np.where(counts > 0, np.maximum(tables.rewards + mean - width, 0.0), 0.0)


def _moments(shares: Floats, later: Floats) -> tuple[Floats, Floats]:
    """Mean and variance of the values of the next state."""
    mean = (shares * later).sum(axis=-1)
    return mean, (shares * (later - mean[..., None]) ** 2).sum(axis=-1)


@compiled
def bernstein_sweep(
    next_states: States,
    shares: Floats,
    counts: Ints,
    rewards: Floats,
    discount: float,
    level: float,
    total: float,
    values: Floats,
    improved: Floats,
    policy: Ints,
    start: Ints,
    given: Floats,
) -> float:
    """One application of the discounted Bernstein operator; the largest change. `level` is c times the log factor.

    `given` (S,) are values that are known, -1 where none is.
    """
    largest, v_max = 0.0, 1.0 / (1.0 - discount)
    for s in range(values.size):
        best, choice = max(given[s], 0.0), start[s]
        for a in range(counts.shape[1]):
            n = counts[s, a]
            if n == 0 or given[s] >= 0.0:
                continue  # its width is above V_max: the value is 0
            mean = 0.0
            for b in range(shares.shape[2]):
                mean += shares[s, a, b] * values[next_states[s, a, b]]
            variance = 0.0
            for b in range(shares.shape[2]):
                deviation = values[next_states[s, a, b]] - mean
                variance += shares[s, a, b] * (deviation * deviation)
            width = max(math.sqrt(level * variance / n), 2.0 * level * v_max / n)
            q = rewards[s, a] + discount * mean - min(width, v_max) - 5.0 / total
            if q > best:
                best, choice = q, a
        improved[s], policy[s] = best, choice
        largest = max(largest, abs(best - values[s]))
    return largest


@compiled
def bernstein_fixed_points(
    next_states: States,
    shares: Floats,
    counts: Ints,
    rewards: Floats,
    discount: float,
    levels: Floats,
    totals: Floats,
    tolerance: float,
    max_sweeps: int,
    starts: Ints,
    given: Floats,
    plain: int,
) -> tuple[Floats, Ints, Ints, Floats]:
    """Values from below, policies, sweeps and error bounds; `starts` (items, S) where nothing is certified.

    After `plain` sweeps half of the way that is left along the last change is tried at once, and taken if the operator
    lowers the point that is reached nowhere: the operator is monotone, so such a point is below the fixed point. The
    change is taken as it is or, by turns where one fails, without the differences that its rounding makes.
    """
    items, n_states = starts.shape
    values, policies = np.empty((items, n_states)), np.empty((items, n_states), np.int64)
    sweeps, bounds, improved = np.empty(items, np.int64), np.empty(items), np.empty(n_states)
    ahead, further, scratch = np.empty(n_states), np.empty(n_states), np.empty(n_states, np.int64)
    for i in range(items):
        for s in range(n_states):
            values[i, s] = max(given[s], 0.0)
        model = shares[i], counts[i], rewards[i], discount, levels[i], totals[i]
        sweep, due, wait, level_out = 0, plain, 1, True
        while sweep < max_sweeps:
            change = bernstein_sweep(next_states, *model, values[i], improved, policies[i], starts[i], given)
            sweep += 1
            top = 0.0
            for s in range(n_states):
                top = max(top, improved[s])
            # a sweep is exact to some EPSILON times the largest value
            rounding = 16.0 * EPSILON * top / (1.0 - discount)
            residual = change / (1.0 - discount)
            sweeps[i], bounds[i] = sweep, residual + rounding
            if bounds[i] <= tolerance or residual <= rounding:
                break  # the bound is that of these values; without a break it also holds for the next ones
            if sweep >= due and sweep < max_sweeps - 1:
                for s in range(n_states):
                    ahead[s] = improved[s] - values[i, s]
                if level_out:
                    least_ahead(next_states, shares[i], policies[i], ahead)
                for s in range(n_states):
                    ahead[s] = improved[s] + 0.5 * ahead[s] * discount / (1.0 - discount)
                bernstein_sweep(next_states, *model, ahead, further, scratch, starts[i], given)
                sweep += 1
                below, risen = True, False
                for s in range(n_states):
                    below, risen = below and further[s] >= ahead[s] >= improved[s], risen or ahead[s] > improved[s]
                if below and risen:
                    improved[:] = further
                    wait = 1
                else:
                    wait, level_out = 2 * wait, not level_out
                due = sweep + wait
            for s in range(n_states):
                values[i, s] = improved[s]
    return values, policies, sweeps, bounds


@compiled
def least_ahead(next_states: States, shares: Floats, policy: Ints, change: Floats) -> None:
    """Lower the change of every state to the least of all states that it leads to, in place."""
    moved = True
    while moved:
        moved = False
        for s in range(change.size):
            for b in range(shares.shape[2]):
                least = change[next_states[s, policy[s], b]]
                if shares[s, policy[s], b] > 0.0 and least < change[s]:
                    change[s], moved = least, True


@compiled
def bernstein_backward(
    next_states: States, shares: Floats, counts: Ints, rewards: Floats, levels: Floats, given: Floats
) -> tuple[Floats, Ints]:
    """Values and policies (items, H, S) of the episodic rule; the most frequent action where nothing is certified."""
    items, horizon, n_states, n_actions = counts.shape
    values = np.zeros((items, horizon + 1, n_states))
    policies = np.zeros((items, horizon, n_states), np.int64)
    for i in range(items):
        for h in range(horizon - 1, -1, -1):
            lists = next_states[h % next_states.shape[0]]
            for s in range(n_states):
                best, choice, most = max(given[h, s], 0.0), 0, -1
                for a in range(n_actions):
                    if counts[i, h, s, a] > most:
                        choice, most = a, counts[i, h, s, a]
                for a in range(n_actions):
                    n = counts[i, h, s, a]
                    if n == 0 or given[h, s] >= 0.0:
                        continue  # its width is H: the value is 0
                    mean = 0.0
                    for b in range(shares.shape[4]):
                        mean += shares[i, h, s, a, b] * values[i, h + 1, lists[s, a, b]]
                    variance = 0.0
                    for b in range(shares.shape[4]):
                        deviation = values[i, h + 1, lists[s, a, b]] - mean
                        variance += shares[i, h, s, a, b] * (deviation * deviation)
                    width = math.sqrt(levels[i] * variance / n) + levels[i] * horizon / n
                    q = rewards[i, h, s, a] + mean - min(width, float(horizon))
                    if q > best:
                        best, choice = q, a
                values[i, h, s], policies[i, h, s] = best, choice
    return values[:, :horizon], policies
