"""Plain twins for MDPs: dense matrices ([H,] S, A, S), one model, one policy, loops and linear solves."""

import itertools
from collections import Counter

import numpy as np


def tables(rng, n_states, n_actions, steps=()):
    """Random matrices with zeros, rewards and a start."""
    matrices = rng.dirichlet(np.ones(n_states), (*steps, n_states, n_actions))
    matrices[rng.random(matrices.shape) < 0.3] = 0.0
    matrices[..., 0] += matrices.sum(axis=-1) == 0.0
    start = rng.dirichlet(np.ones(n_states))
    matrices /= matrices.sum(axis=-1, keepdims=True)
    return matrices, rng.random((*steps, n_states, n_actions)), start / start.sum()


def garnet(rng, n_states, n_actions, n_successors, batch=()):
    """Lists of random successors, probabilities and rewards."""
    next_states = rng.integers(0, n_states, (n_states, n_actions, n_successors))
    p = rng.dirichlet(np.ones(n_successors), (*batch, n_states, n_actions))
    return next_states, p / p.sum(axis=-1, keepdims=True), rng.random((*batch, n_states, n_actions))


def dense(next_states, values):
    """Padded lists ([H,] S, A, B) as full tables ([H,] S, A, S); entries of one successor are added up."""
    full = np.zeros((*values.shape[:-1], values.shape[-3]), values.dtype)
    for index in np.ndindex(*values.shape):
        full[(*index[:-1], next_states[index])] += values[index]
    return full


def step_tables(rng, items, steps, n_states=4, n_actions=2, width=3):
    """Lists and tables (items or 1, steps or 1, S, A, B) with a padded, repeated successor."""
    lists = rng.integers(0, n_states, (steps, n_states, n_actions, width)).astype(np.int32)
    p = rng.dirichlet(np.ones(width), (items, steps, n_states, n_actions))
    p[..., -1] *= rng.random(p.shape[:-1]) < 0.5
    return lists, p / p.sum(axis=-1, keepdims=True)


def policies(n_states, n_actions, steps=()):
    """All deterministic policies, in lexicographic order: the first optimal one has the lowest actions."""
    shape = (*steps, n_states)
    return np.array(list(itertools.product(range(n_actions), repeat=int(np.prod(shape))))).reshape(-1, *shape)


def half(discount):
    """The probability of staying at which the decision states of stay-exit replicas have half of the occupancy."""
    return (2 * discount - 1) / discount


def empirical(data):
    """Transition matrix (S, A, S), mean rewards and counts of one data set without steps; 0 for unseen pairs."""
    visits = np.maximum(data.counts, 1)
    return dense(data.next_states, data.next_counts) / visits[..., None], data.pair_sums / visits, data.counts


def raised(tables, policy, discount, level):
    """VI-LCB: raise a value, and change the action, only where that is an improvement, by one table an iteration."""
    value = np.zeros(len(policy))
    for p, r, n in tables:
        width = np.where(n > 0, np.sqrt(level / np.maximum(n, 1)) / (1 - discount), np.inf)
        q = r - width + discount * p @ value
        up = q.max(axis=1) > value
        value, policy = np.where(up, q.max(axis=1), value), np.where(up, q.argmax(axis=1), policy)
    return value, policy


def as_law(policy, n_actions):
    return np.eye(n_actions)[policy] if np.asarray(policy).dtype.kind == "i" else np.asarray(policy)


def evaluate(matrices, rewards, discount, law):
    moves, gained = np.einsum("sa,sat->st", law, matrices), (law * rewards).sum(axis=1)
    return np.linalg.solve(np.eye(len(law)) - discount * moves, gained)


def occupancy(matrices, start, discount, law):
    moves = np.einsum("sa,sat->st", law, matrices)
    states = np.linalg.solve(np.eye(len(law)) - discount * moves.T, (1 - discount) * start)
    return states[:, None] * law


def backward(matrices, rewards, discount, laws):
    """Values (H, S) of a policy, one law a step."""
    later, values = np.zeros(rewards.shape[1]), []
    for p, r, law in zip(matrices[::-1], rewards[::-1], laws[::-1], strict=True):
        later = (law * (r + discount * p @ later)).sum(axis=1)
        values.append(later)
    return np.array(values[::-1]).reshape(rewards.shape[:2])


def forward(matrices, start, laws):
    """Laws (H, S, A) of the pairs at every step."""
    states, met = start, []
    for p, law in zip(matrices, laws, strict=True):
        met.append(states[:, None] * law)
        states = np.einsum("sa,sat->t", met[-1], p)
    return np.array(met)


def coverage(occupied, behavior, clip=np.inf):
    """Maximum of min(d, clip) / mu over everything, 0/0 = 0."""
    ratios = [0.0]
    for d, mu in zip(np.ravel(occupied), np.ravel(behavior), strict=True):
        if d > 0:
            ratios.append(np.inf if mu == 0 else min(d, clip) / mu)
    return max(ratios)


def bellman(matrices, rewards, discount, values):
    return (rewards + discount * matrices @ values).max(axis=1)


def value_iteration(matrices, rewards, discount, sweeps):
    values = np.zeros(len(rewards))
    for _ in range(sweeps):
        values = bellman(matrices, rewards, discount, values)
    return values


def backward_induction(matrices, rewards, discount):
    """Optimal values (H, S) and lowest optimal actions."""
    later, values, actions = np.zeros(rewards.shape[1]), [], []
    for p, r in zip(matrices[::-1], rewards[::-1], strict=True):
        q = r + discount * p @ later
        later = q.max(axis=1)
        values.append(later)
        actions.append(q.argmax(axis=1))
    return np.array(values[::-1]), np.array(actions[::-1])


def count(states, actions, rewards, next_states):
    """Visits and reward sums of every (*key, state, action, next state) of a log; the key is the index of the row."""
    visits, sums = Counter(), Counter()
    for index in np.ndindex(*states.shape):
        cell = (*index, int(states[index]), int(actions[index]), int(next_states[index]))
        visits[cell] += 1
        sums[cell] += rewards[index]
    return visits, sums
