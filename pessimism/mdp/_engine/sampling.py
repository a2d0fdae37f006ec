"""Drawing transitions: in law as counts and sums, and step by step, to test that law against.

Laws of pairs, policies and tables are clean arrays. Without a horizon `tables` has no step axis.
"""

import numpy as np
from numpy.typing import NDArray

from pessimism import _draw
from pessimism._types import Floats, Ints
from pessimism.mdp._engine.splitting import arrivals
from pessimism.mdp._engine.tables import States, Tables


def visits(law: Floats, n: Ints, shape: tuple[int, ...], rng: np.random.Generator) -> Ints:
    """Counts of pairs, of `shape` (..., [H,] S, A), from n (...) draws (a step) of laws (..., [H,] S, A)."""
    flat = law.reshape(*law.shape[:-2], law.shape[-2] * law.shape[-1])
    return _draw.multinomial(rng, n, flat, shape[:-2]).reshape(shape)


def outcomes(tables: Tables, reward_law: str, counts: Ints, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Next counts (..., [H,] S, A, B) and reward sums of given visits (..., [H,] S, A)."""
    next_counts = _draw.multinomial(rng, counts, tables.probabilities, counts.shape)
    return next_counts, reward_sums(tables, reward_law, counts, next_counts, rng)


def reward_sums(tables: Tables, reward_law: str, counts: Ints, next_counts: Ints, rng: np.random.Generator) -> Floats:
    """Summed rewards of given transitions: of pairs, or of pairs and successors if the rewards depend on them."""
    seen = next_counts if tables.per_successor else counts
    if reward_law == "bernoulli":
        return rng.binomial(seen, tables.rewards).astype(np.float64)
    return np.asarray(seen * tables.rewards)


def episodes(
    tables: Tables,
    start: Floats,
    law: Floats,
    n: int,
    horizon: int,
    front: tuple[int, ...],
    terminal: NDArray[np.bool_],
    rng: np.random.Generator,
) -> Ints:
    """Next counts (front, [H,] S, A, B) of n episodes that follow a policy (1 or H, S, A), drawn step by step in law.

    Without a horizon in `tables` the steps are added up. What reaches a `terminal` state (S,) ends.
    """
    probabilities, lists = _by_step(tables)
    keep_steps = tables.horizon is not None
    pairs = (tables.n_states, tables.n_actions, tables.next_states.shape[-1])
    next_counts = np.zeros((*front, horizon, *pairs) if keep_steps else (*front, *pairs), np.int64)
    states = _draw.multinomial(rng, np.asarray(n), start, front)
    for h in range(horizon):
        states[..., terminal] = 0
        counts = _draw.multinomial(rng, states, law[h % len(law)], states.shape)
        moved = _draw.multinomial(rng, counts, probabilities[h % len(probabilities)], counts.shape)
        if keep_steps:
            next_counts[..., h, :, :, :] = moved
        else:
            next_counts += moved
        states = arrivals(lists[h % len(lists)], moved)
    return next_counts


def log(
    tables: Tables,
    reward_law: str,
    start: Floats,
    law: Floats,
    front: tuple[int, ...],
    horizon: int,
    rng: np.random.Generator,
) -> tuple[Ints, Ints, Floats, Ints]:
    """States, actions, rewards and next states (front, horizon) of episodes that follow a policy (1 or H, S, A)."""
    probabilities, lists = _by_step(tables)
    means = tables.rewards if tables.horizon is not None else tables.rewards[None]
    states = np.empty((*front, horizon), np.int64)
    actions, next_states, rewards = np.empty_like(states), np.empty_like(states), np.empty(states.shape)
    here = np.searchsorted(_draw.cdf(start), rng.random(front), side="right")
    for h in range(horizon):
        action = _pick(law[h % len(law)][here], rng)
        slot = _pick(probabilities[h % len(probabilities)][here, action], rng)
        mean = means[h % len(means)][(here, action, slot) if tables.per_successor else (here, action)]
        reward = (rng.random(front) < mean).astype(np.float64) if reward_law == "bernoulli" else mean
        states[..., h], actions[..., h], rewards[..., h] = here, action, reward
        here = lists[h % len(lists)][here, action, slot].astype(np.int64)
        next_states[..., h] = here
    return states, actions, rewards, next_states


def _by_step(tables: Tables) -> tuple[Floats, States]:
    """Probabilities and lists with a step axis."""
    if tables.horizon is not None:
        return tables.probabilities, tables.next_states
    return tables.probabilities[None], tables.next_states[None]


def _pick(laws: Floats, rng: np.random.Generator) -> Ints:
    """One draw from each of the laws (..., K); never an entry of probability 0."""
    steps = np.cumsum(laws, axis=-1)
    u = rng.random(laws.shape[:-1]) * steps[..., -1]
    return np.asarray((u[..., None] < steps).argmax(axis=-1))
