r"""What a wrong planner computed instead, read off a model on which every known mistake has values of its own."""

from collections.abc import Callable, Iterator

import numpy as np

from pessimism._types import Floats
from pessimism.mdp import MDP
from pessimism.testing.mdp._planner import PlannerSubject

LINKS = 7
"""States of a chain."""

SWEEPS = 1000
"""Sweeps after which a planner is no longer asked whether it stopped too early."""


FIXED = (0.5, 0.8, 0.9, 0.95, 0.99, 0.999)
"""Discounts that someone may write into a planner."""


def probe(horizon: int | None, discount: float = 0.9) -> MDP:
    """A model on which every mistake below has values of its own: padding, a successor named twice, no symmetry."""
    successors = [[[1, 2, 0], [2, 0, 2]], [[0, 1, 0], [0, 2, 1]], [[2, 0, 0], [1, 0, 0]]]
    weights = [[[3, 2, 5], [6, 3, 1]], [[7, 3, 0], [4, 4, 2]], [[9, 1, 0], [4, 6, 0]]]
    rewards = [[0.17, 0.31], [0.83, 0.29], [0.41, 0.35]]
    return MDP(successors, np.array(weights) / 10, rewards, [0.5, 0.3, 0.2], discount, horizon=horizon)


def chain(horizon: int | None) -> MDP:
    """Two chains with a prize at the end, on which a step of policy iteration improves one state.

    In each state one can stay and earn a little, move on, or fall into a trap; the chains number these differently.
    """
    trap, moves, rewards = 2 * LINKS, [], []
    for first, order in ((0, (0, 1, 2)), (LINKS, (1, 2, 0))):
        for s in range(first, first + LINKS):
            last = s == first + LINKS - 1
            moves.append([(s, s if last else s + 1, trap)[i] for i in order])
            rewards.append([(0.5, 1.0 if last else 0.0, 0.0)[i] for i in order])
    moves.append([trap] * 3)
    rewards.append([0.0] * 3)
    successors = np.array(moves)[..., None]
    return MDP(successors, np.ones(successors.shape), rewards, None, 0.9, horizon=horizon)


def likely_cause(subject: PlannerSubject) -> str | None:
    """The known mistake that explains the values on the probe, if one does."""
    mdp = probe(subject.horizon)
    found = subject.ask(mdp).value
    close = max(10 * subject.tolerance, 1e-9)
    other = subject.ask(probe(subject.horizon, 0.6)).value
    if np.abs(found - other).max() <= close:
        for gamma in FIXED:
            if np.abs(found - probe(subject.horizon, gamma).optimal_values).max() <= close:
                return f"the discount of the model makes no difference: it is fixed at {gamma:g}"
    if np.abs(found - mdp.optimal_values).max() <= close:
        return None if subject.horizon is not None else _stops_improving(subject, close)
    for sentence, candidate in mistakes(mdp):
        if np.abs(found - candidate).max() <= close:
            return sentence
    if (cause := _near_optimal(subject, mdp, found, close)) is not None:
        return cause
    if found.max() > mdp.value_range[1] + close:
        return (
            f"on a model with rewards up to {mdp.rewards.max():g} and discount {mdp.discount:g} its values reach "
            f"{found.max():.4g}, and none can exceed {mdp.value_range[1]:.4g}: is the discount missing?"
        )
    return None


def _near_optimal(subject: PlannerSubject, mdp: MDP, found: Floats, close: float) -> str | None:
    """Whether the values are a multiple of the optimal ones, a constant more, or those of another discount."""
    from scipy.optimize import brentq

    best = mdp.optimal_values
    factor, more = float(np.median(found / best)), float(np.median(found - best))
    known = {
        f"its values are {factor:.6g} times the optimal ones": factor * best,
        f"its values are the optimal ones and {more:.3g} more in every state: does it stop too early, from a start at "
        "a constant?": best + more,
    }

    def off(gamma: float) -> float:
        return float((found - probe(subject.horizon, gamma).optimal_values).max())

    if off(0.0) * off(0.995) < 0:
        gamma = float(brentq(off, 0.0, 0.995, xtol=1e-13))
        there = f"its values are those of the discount {gamma:.6g}, where the model has {mdp.discount:g}"
        known[there] = probe(subject.horizon, gamma).optimal_values
    errors = {sentence: float(np.abs(found - values).max()) for sentence, values in known.items()}
    nearest = min(errors, key=lambda sentence: errors[sentence])
    return nearest if errors[nearest] <= close else None


def _stops_improving(subject: PlannerSubject, close: float) -> str | None:
    """Whether it stops after some steps of policy iteration, which the probe is too small to show."""
    mdp = chain(None)
    found, matrix, r = subject.ask(mdp).value, dense(mdp, add=True), mdp.mean_rewards
    states, uniform = np.arange(mdp.n_states), np.full(r.shape, 1.0 / mdp.n_actions)
    pure = np.eye(mdp.n_actions)
    for law in (pure[0 * states], pure[0 * states - 1], pure[r.argmax(axis=-1)], uniform):
        for k in range(LINKS):
            moves = np.einsum("sa,sat->st", law, matrix)
            v = np.linalg.solve(np.eye(len(states)) - mdp.discount * moves, (law * r).sum(axis=-1))
            if np.abs(found - v).max() <= close and np.abs(v - mdp.optimal_values).max() > close:
                return f"it stops after {k} step{'s' * (k != 1)} of policy iteration: until no action changes"
            law = pure[(r + mdp.discount * matrix @ v).argmax(axis=-1)]
    return None


def likely_policy_cause(subject: PlannerSubject) -> str | None:
    """The known mistake that explains the policy on the probe and on the chain, if one does."""
    models = probe(subject.horizon), chain(subject.horizon)
    taken = [subject.ask(mdp).law.argmax(axis=-1) for mdp in models]

    def follows(index: Callable[[MDP], Floats]) -> bool:
        """Whether the best actions of this index are taken, wherever it makes a difference what is taken."""
        matters = [(mdp.gaps > 0).any(axis=-1) for mdp in models]
        best = [np.broadcast_to(index(mdp), mdp.gaps.shape).argmax(axis=-1) for mdp in models]
        return all(bool((a == b)[here].all()) for a, b, here in zip(taken, best, matters, strict=True))

    if follows(lambda mdp: mdp.mean_rewards):
        return "its policy is greedy for the next reward: the value of what comes after is not in its Q"
    if follows(lambda mdp: mdp.gaps):
        return "its policy takes the worst action: is argmin used for argmax?"
    return None


def mistakes(mdp: MDP) -> Iterator[tuple[str, Floats]]:
    """Sentences, and the values that they predict on the probe; plain dense sweeps."""
    matrix, overwritten = dense(mdp, add=True), dense(mdp, add=False)
    r = mdp.mean_rewards.reshape(mdp.n_states, mdp.n_actions)
    gamma, best = mdp.discount, mdp.optimal_values
    right = _values(matrix, r, gamma, mdp.horizon)
    yield (
        "its values are normalised: they are 1 - discount times the optimal ones, and rewards are not",
        (1 - gamma) * best,
    )
    yield "the discount multiplies the reward too: its values are discount times the optimal ones", gamma * best
    yield "its values are those of one step: what comes after is missing", np.broadcast_to(r.max(axis=-1), best.shape)
    yield "its values are minimal, not maximal: is min used for max?", _values(matrix, r, gamma, mdp.horizon, np.min)
    yield "it averages over actions where it should maximise", _values(matrix, r, gamma, mdp.horizon, np.mean)
    yield "the discount is applied twice a step", _values(matrix, r, gamma**2, mdp.horizon)
    padding = "lists of successors are padded and may name a state twice: probabilities are added up, not overwritten"
    yield padding, _values(overwritten, r, gamma, mdp.horizon)
    if mdp.horizon is not None:
        yield "the discount is missing", _values(matrix, r, 1.0, mdp.horizon)
        yield "its steps run backwards: value[h] is what is left from step h on", right[::-1]
        return
    summed = discounted = np.zeros(mdp.n_states)
    for k in range(1, SWEEPS):
        summed, discounted = (r + matrix @ summed).max(axis=-1), (r + gamma * matrix @ discounted).max(axis=-1)
        yield f"it stops too early: its values are those after {k} sweeps from 0", discounted
        yield f"the discount is missing: its values are undiscounted sums over {k} steps", summed


def dense(mdp: MDP, *, add: bool) -> Floats:
    """Transitions (S, A, S) of the probe, from lists whose entries are added up or overwrite each other."""
    matrix = np.zeros((mdp.n_states, mdp.n_actions, mdp.n_states))
    lists = mdp.next_states.reshape(mdp.n_states, mdp.n_actions, -1)
    for (s, a, b), successor in np.ndenumerate(lists):
        p = mdp.probabilities.reshape(lists.shape)[s, a, b]
        matrix[s, a, successor] = matrix[s, a, successor] + p if add else p
    return matrix


def _values(
    matrix: Floats, r: Floats, gamma: float, horizon: int | None, best: Callable[..., Floats] = np.max
) -> Floats:
    """Values of sweeps from 0: ([H,] S)."""
    v, steps = np.zeros(len(matrix)), []
    for _ in range(SWEEPS if horizon is None else horizon):
        v = np.asarray(best(r + gamma * matrix @ v, axis=-1))
        steps.append(v)
    return v if horizon is None else np.array(steps[::-1])
