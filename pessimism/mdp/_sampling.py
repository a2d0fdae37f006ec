"""Drawing transitions: in law as counts and sums, and step by step as the oracle of that law."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check, _draw
from pessimism._types import Floats, Ints
from pessimism.mdp import _solve
from pessimism.mdp._split import arrivals
from pessimism.mdp._tables import Policy

if TYPE_CHECKING:
    from pessimism.mdp.data import MDPData, Transitions
    from pessimism.mdp.model import MDP


def pairs(
    mdp: "MDP", mu: Floats, n: ArrayLike, size: int | tuple[int, ...] | None, rng: np.random.Generator
) -> "MDPData":
    total = _check.whole_array("n", n)
    core = mu.shape[-2:] if mdp.horizon is None else mu.shape[-3:]
    batch = _check.broadcast("n, behavior and model", total.shape, mu.shape[: -len(core)], mdp.shape)
    shape = (*_draw.front_axes(size), *batch, *core)
    flat = mu.reshape(*mu.shape[:-2], core[-2] * core[-1])
    rounds = total if mdp.horizon is None else total[..., None]
    counts = _draw.multinomial(rng, rounds, flat, shape[:-2])
    return _outcomes(mdp, counts.reshape(shape), rng)


def at_counts(mdp: "MDP", counts: ArrayLike, size: int | tuple[int, ...] | None, rng: np.random.Generator) -> "MDPData":
    visits = _check.whole_array("counts", counts)
    core = (mdp.n_states, mdp.n_actions) if mdp.horizon is None else (mdp.horizon, mdp.n_states, mdp.n_actions)
    if visits.shape[-len(core) :] != core:
        raise ValueError(f"counts must end in shape {core}, got {visits.shape}")
    batch = _check.broadcast("counts and model", visits.shape[: -len(core)], mdp.shape)
    return _outcomes(mdp, np.broadcast_to(visits, (*_draw.front_axes(size), *batch, *core)).copy(), rng)


def _outcomes(mdp: "MDP", counts: Ints, rng: np.random.Generator) -> "MDPData":
    """Next states and rewards of given visits."""
    next_counts = _draw.multinomial(rng, counts, mdp.probabilities, counts.shape)
    return _with_rewards(mdp, counts, next_counts, rng)


def _with_rewards(mdp: "MDP", counts: Ints, next_counts: Ints, rng: np.random.Generator) -> "MDPData":
    from pessimism.mdp.data import MDPData

    visits = next_counts if mdp.per_successor else counts
    if mdp.reward_law == "bernoulli":
        sums = rng.binomial(visits, mdp.rewards).astype(np.float64)
    else:
        sums = visits * mdp.rewards
    return MDPData.trusted(counts, mdp.next_states, next_counts, sums, mdp.reward_range, mdp.reward_law)


def _episode_law(mdp: "MDP", policy: Policy, steps: int | None) -> tuple[Floats, int]:
    law = _solve.as_law(policy, mdp.n_actions)
    if mdp.shape != () or law.ndim != (2 if mdp.horizon is None else 3):
        raise ValueError(f"episodes follow one policy in one model, got batches {mdp.shape} and {policy.shape}")
    if mdp.horizon is not None:
        if steps is not None:
            raise ValueError(f"steps must not be given: the horizon of the model is {mdp.horizon}")
        return law, mdp.horizon
    if steps is None:
        raise ValueError("steps must be given for a model without a horizon")
    return law[None], _check.whole("steps", steps)


def episodes(
    mdp: "MDP",
    policy: Policy,
    n: int,
    steps: int | None,
    size: int | tuple[int, ...] | None,
    rng: np.random.Generator,
) -> "MDPData":
    law, horizon = _episode_law(mdp, policy, steps)
    front = _draw.front_axes(size)
    tables = mdp.probabilities if mdp.horizon is not None else mdp.probabilities[None]
    successors = mdp.next_states if mdp.horizon is not None else mdp.next_states[None]
    per_step = (*front, horizon, mdp.n_states, mdp.n_actions)
    keep_steps = mdp.horizon is not None
    next_counts = np.zeros(
        (*per_step, mdp.n_successors) if keep_steps else (*front, *per_step[-2:], mdp.n_successors), np.int64
    )
    states = _draw.multinomial(rng, np.asarray(_check.whole("n", n)), mdp.start, front)
    for h in range(horizon):
        counts = _draw.multinomial(rng, states, law[h % len(law)], states.shape)
        moved = _draw.multinomial(rng, counts, tables[h % len(tables)], counts.shape)
        if keep_steps:
            next_counts[..., h, :, :, :] = moved
        else:
            next_counts += moved
        states = arrivals(successors[h % len(successors)][None], moved[..., None, :, :, :], 0)
    return _with_rewards(mdp, next_counts.sum(axis=-1), next_counts, rng)


def log(
    mdp: "MDP",
    policy: Policy,
    n: int,
    steps: int | None,
    size: int | tuple[int, ...] | None,
    rng: np.random.Generator,
) -> "Transitions":
    from pessimism.mdp.data import Transitions

    law, horizon = _episode_law(mdp, policy, steps)
    front = (*_draw.front_axes(size), _check.whole("n", n))
    tables = mdp.probabilities if mdp.horizon is not None else mdp.probabilities[None]
    lists = mdp.next_states if mdp.horizon is not None else mdp.next_states[None]
    means = mdp.rewards if mdp.horizon is not None else mdp.rewards[None]
    states = np.empty((*front, horizon), np.int64)
    actions, next_states, rewards = np.empty_like(states), np.empty_like(states), np.empty(states.shape)
    here = np.searchsorted(_draw.cdf(mdp.start), rng.random(front), side="right")
    for h in range(horizon):
        action = _pick(law[h % len(law)][here], rng)
        slot = _pick(tables[h % len(tables)][here, action], rng)
        mean = means[h % len(means)][(here, action, slot) if mdp.per_successor else (here, action)]
        reward = (rng.random(front) < mean).astype(np.float64) if mdp.reward_law == "bernoulli" else mean
        states[..., h], actions[..., h], rewards[..., h] = here, action, reward
        here = lists[h % len(lists)][here, action, slot].astype(np.int64)
        next_states[..., h] = here
    return Transitions(states, actions, rewards, next_states)


def _pick(laws: Floats, rng: np.random.Generator) -> Ints:
    """One draw from each of the laws (..., K); never an entry of probability 0."""
    steps = np.cumsum(laws, axis=-1)
    u = rng.random(laws.shape[:-1]) * steps[..., -1]
    return np.asarray((u[..., None] < steps).argmax(axis=-1))
