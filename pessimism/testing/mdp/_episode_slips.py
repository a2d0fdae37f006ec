r"""Episodes that repeat their law exactly, and what an estimator gives on them if it makes a known mistake.

Three steps, two states, two actions; the behavior is in thirds and the dynamics in quarters, so that 12^3 = 1,728
episodes hold every path exactly as often as it is likely. Rewards are deterministic; everything depends on the step.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from pessimism._types import Floats
from pessimism.mdp import Transitions

STEPS, STATES, ACTIONS, DISCOUNT = 3, 2, 2, 0.9
TAKEN = np.array([[[0, 1, 1], [0, 0, 1]], [[0, 0, 1], [0, 1, 1]], [[0, 1, 1], [0, 0, 1]]])
"""(step, state, third): the action."""

REACHED = np.array(
    [
        [[[0, 0, 0, 1], [0, 1, 1, 1]], [[0, 0, 1, 1], [0, 1, 1, 1]]],
        [[[0, 1, 1, 1], [0, 0, 0, 1]], [[0, 0, 0, 1], [0, 0, 1, 1]]],
        [[[0, 0, 1, 1], [0, 1, 1, 1]], [[0, 0, 0, 1], [0, 0, 1, 1]]],
    ]
)
"""(step, state, action, quarter): the next state."""

REWARDS = np.array([[[0.3, 0.9], [0.5, 0.1]], [[0.7, 0.2], [0.4, 0.8]], [[0.6, 0.35], [0.15, 0.95]]])
POLICY = np.array([[[0.85, 0.15], [0.3, 0.7]], [[0.1, 0.9], [0.45, 0.55]], [[0.75, 0.25], [0.2, 0.8]]])
BEHAVIOR: Floats = np.eye(ACTIONS)[TAKEN].mean(axis=-2)


class Episodes(NamedTuple):
    """What an estimator of episodes is called with."""

    log: Transitions
    policy: Floats
    behavior: Floats


def perfect() -> Episodes:
    slots = np.stack(np.unravel_index(np.arange(12**STEPS), (3, 4) * STEPS), axis=-1)
    state = np.zeros(len(slots), np.int64)
    states, actions, following = [], [], []
    for h in range(STEPS):
        action = TAKEN[h, state, slots[:, 2 * h]]
        states.append(state)
        actions.append(action)
        state = REACHED[h, state, action, slots[:, 2 * h + 1]]
        following.append(state)
    s, a, after = (np.stack(x, axis=-1) for x in (states, actions, following))
    return Episodes(Transitions(s, a, REWARDS[np.arange(STEPS), s, a], after), POLICY, BEHAVIOR)


def value() -> float:
    """Of the target, by the backward recursion."""
    v = np.zeros(STATES)
    for h in reversed(range(STEPS)):
        ahead = np.stack([(REACHED[h] == s).mean(axis=-1) for s in range(STATES)], axis=-1) @ v
        v = (POLICY[h] * (REWARDS[h] + DISCOUNT * ahead)).sum(axis=-1)
    return float(v[0])


def named(episodes: Episodes, found: float, q: Floats | None, close: float) -> list[str]:
    """The mistakes that give a number."""
    with np.errstate(all="ignore"):
        return [
            cause
            for cause, wrong in _all(episodes, q)
            if np.isfinite(wrong) and abs(wrong - found) <= close * max(1.0, abs(found))
        ]


def _weights(episodes: Episodes) -> Iterator[tuple[str, Any]]:
    """Weights (n, H) of the rewards by mistake."""
    log, pi, b = episodes
    h, s, a = np.arange(log.states.shape[1]), log.states, log.actions
    target, chance = pi[h, s, a], b[h, s, a]
    u = target / chance
    w = np.cumprod(u, axis=1)
    before = np.concatenate([np.ones((len(u), 1)), w[:, :-1]], axis=1)
    yield "ratios are turned round: b/pi, not pi/b", np.cumprod(chance / target, axis=1)
    yield "the weight of a reward lacks the ratio of its own step", before
    yield "the ratio of one step stands for the product of all up to it", u
    yield "ratios are added and not multiplied", np.cumsum(u, axis=1)
    yield "ratios are averaged and not multiplied", np.cumsum(u, axis=1) / (h + 1)
    yield "the product runs over episodes, not over steps", np.cumprod(u, axis=0)
    yield "the product runs backwards", np.cumprod(u[:, ::-1], axis=1)[:, ::-1]
    yield "there are no weights", np.ones_like(u)
    yield "the policy's probability is not divided by the behavior's", np.cumprod(target, axis=1)
    yield "the behavior is that of the first step at all steps", np.cumprod(target / b[0, s, a], axis=1)
    yield "the policy is that of the first step at all steps", np.cumprod(pi[0, s, a] / chance, axis=1)
    yield "probabilities are those at the next state", np.cumprod(target / b[h, log.next_states, a], axis=1)
    yield (
        "the policy's probabilities are those at the next state",
        np.cumprod(pi[h, log.next_states, a] / chance, axis=1),
    )
    yield "weights are clipped at 1", np.minimum(w, 1.0)
    marginal = np.empty_like(w)
    for t in h:
        visits = np.maximum(np.bincount(s[:, t]), 1)
        marginal[:, t] = (np.bincount(s[:, t], before[:, t]) / visits)[s[:, t]]
    yield "weights are those of the states alone: the ratio of the actions is missing", marginal
    yield "weights are squared", w**2


def _all(episodes: Episodes, q: Floats | None) -> Iterator[tuple[str, float]]:
    log, pi, b = episodes
    h, s, a, r = np.arange(log.states.shape[1]), log.states, log.actions, log.rewards
    g, u = DISCOUNT**h, pi[h, s, a] / b[h, s, a]
    w = np.cumprod(u, axis=1)
    whole = w[:, -1:]
    discounts = {
        "the discount is squared: g^(2t)": g**2,
        "the first reward is discounted: g^(t+1)": DISCOUNT * g,
        "rewards are not discounted": np.ones(len(h)),
        "discounts run backwards: g^(H-1-t)": g[::-1],
    }
    for name, weight in (("", w), (", with weights of whole episodes", whole)):
        for cause, wrong in discounts.items():
            yield cause + name, float((wrong * weight * r).sum(axis=1).mean())
            yield (
                f"{cause}{name}, self-normalised",
                float(((wrong * weight * r).mean(axis=0) / weight.mean(axis=0)).sum()),
            )
        right = float((g * weight * r).sum(axis=1).mean())
        yield "it is a mean over steps, not their sum" + name, right / len(h)
        yield "a factor 1 - g is too much" + name, right * (1.0 - DISCOUNT)
        yield "a factor 1 - g is missing" + name, right / (1.0 - DISCOUNT)
        yield "it is a sum over episodes, not their mean" + name, right * len(r)
        yield "it divides by n - 1" + name, right * len(r) / max(len(r) - 1, 1)
    for cause, weight in _weights(episodes):
        yield cause, float((g * weight * r).sum(axis=1).mean())
        yield f"{cause}, self-normalised", float(((g * weight * r).mean(axis=0) / weight.mean(axis=0)).sum())
        yield f"{cause}, in the weights of whole episodes", float((weight[:, -1] * (g * r).sum(axis=1)).mean())
    if q is not None:
        yield from _doubly_robust(episodes, q, w)


def _doubly_robust(episodes: Episodes, q: Floats, w: Any) -> Iterator[tuple[str, float]]:
    log, pi, b = episodes
    h, s, a, r = np.arange(log.states.shape[1]), log.states, log.actions, log.rewards
    g, model = DISCOUNT**h, q[h, s, a]
    v, under_b = ((law * q).sum(axis=-1)[h, s] for law in (pi, b))
    before = np.concatenate([np.ones((len(w), 1)), w[:, :-1]], axis=1)

    def mean(terms: Any) -> float:
        return float((g * terms).sum(axis=1).mean())

    yield "the model's value is taken under the behavior", mean(before * under_b + w * (r - model))
    yield "the model's value is missing", mean(w * (r - model))
    yield "the model's value is not weighted", mean(v + w * (r - model))
    yield "the model's value is that of the logged action", mean(before * model + w * (r - model))
    yield "the correction of the model is missing", float(v[:, 0].mean())
    yield "the correction of the model has the wrong sign", mean(before * v - w * (r - model))
    yield "the correction of the model is not weighted", mean(before * v + (r - model))
    yield "the model is added and not subtracted", mean(before * v + w * r)
    for cause, weight in _weights(episodes):
        lagged = np.concatenate([np.ones((len(weight), 1)), weight[:, :-1]], axis=1)
        yield f"{cause} (doubly robust)", mean(lagged * v + weight * (r - model))
