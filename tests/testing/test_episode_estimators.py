"""`check_episode_estimator`: every mistake by its own name, no right estimator accused."""

from functools import partial

import numpy as np
import pytest

from pessimism.mdp import estimators
from pessimism.testing import EstimatorError, check_episode_estimator
from pessimism.testing.mdp import _episode_slips as slips

Q = np.array([[[0.4, 0.9], [1.3, 0.2]], [[0.7, 0.1], [0.5, 0.6]], [[0.3, 0.8], [0.2, 0.9]]])
robust = partial(estimators.doubly_robust, q=Q)


def parts(log, policy, behavior):
    h = np.arange(log.states.shape[1])
    return h, policy[h, log.states, log.actions] / behavior[h, log.states, log.actions], log.rewards


def weighted(weight, discount=lambda g, h: g**h):
    """A per-decision estimator with somebody's weights (n, H) and discounts (H,)."""

    def estimator(log, policy, behavior, g):
        h, u, r = parts(log, policy, behavior)
        return (discount(g, h) * weight(u) * r).sum(axis=1).mean()

    return estimator


def product(u):
    return np.cumprod(u, axis=1)


def lagged(w):
    return np.concatenate([np.ones((len(w), 1)), w[:, :-1]], axis=1)


def doubly_robust(value, weight=product, base=lagged):
    def estimator(log, policy, behavior, g):
        h, u, r = parts(log, policy, behavior)
        w, v = weight(u), value(h, log, policy, behavior)
        return (g**h * (base(w) * v + w * (r - Q[h, log.states, log.actions]))).sum(axis=1).mean()

    return estimator


def under(which):
    return lambda h, log, policy, behavior: ((policy, behavior)[which] * Q).sum(axis=-1)[h, log.states]


def of_states(log, policy, behavior, discount):
    """A marginal weight, of a tabular model, in which the ratio of the actions was forgotten."""
    reached, value = np.array([1.0, 0.0]), 0.0
    for h in range(log.states.shape[1]):
        s, a, after = log.states[:, h], log.actions[:, h], log.next_states[:, h]
        logged = np.array([np.mean(s == x) for x in (0, 1)])
        value += discount**h * np.mean((reached / logged.clip(1e-300))[s] * log.rewards[:, h])
        kernel = [
            [
                [np.mean(after[(s == x) & (a == i)] == y) if np.any((s == x) & (a == i)) else 0.0 for y in (0, 1)]
                for i in (0, 1)
            ]
            for x in (0, 1)
        ]
        reached = np.einsum("s,sa,sat->t", reached, policy[h], kernel)
    return value


WRONG = {
    "one step": (weighted(lambda u: u), "the ratio of one step stands for the product"),
    "lagged": (weighted(lambda u: lagged(product(u))), "lacks the ratio of its own step"),
    "sum": (weighted(lambda u: np.cumsum(u, axis=1)), "ratios are added and not multiplied"),
    "across episodes": (weighted(lambda u: np.cumprod(u, axis=0)), "the product runs over episodes"),
    "no weights": (weighted(np.ones_like), "there are no weights"),
    "turned round": (weighted(lambda u: product(1 / u)), "ratios are turned round"),
    "g^2t": (weighted(product, lambda g, h: g ** (2 * h)), "the discount is squared"),
    "g^(t+1)": (weighted(product, lambda g, h: g ** (h + 1)), "the first reward is discounted"),
    "no discount": (weighted(product, lambda g, h: 1.0), "rewards are not discounted"),
    "reversed": (weighted(product, lambda g, h: g ** h[::-1]), "discounts run backwards"),
    "mean over steps": (weighted(product, lambda g, h: g**h / len(h)), "a mean over steps"),
    "1 - g": (weighted(product, lambda g, h: (1 - g) * g**h), "a factor 1 - g is too much"),
    "states alone": (of_states, "weights are those of the states alone"),
    "future": (weighted(lambda u: product(u)[:, -1:]), r'breaks "causal"'),
    "next weight": (weighted(lambda u: np.concatenate([product(u)[:, 1:], product(u)[:, -1:]], axis=1)), r'"causal"'),
}  # fmt: skip

WRONG_ROBUST = {
    "V under b": (doubly_robust(under(1)), "the model's value is taken under the behavior"),
    "no V": (doubly_robust(lambda h, *rest: 0.0), "the model's value is missing"),
    "V not weighted": (doubly_robust(under(0), base=np.ones_like), "the model's value is not weighted"),
    "one step": (doubly_robust(under(0), weight=lambda u: u), "the ratio of one step stands for the product"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_has_its_own_name(name):
    estimator, message = WRONG[name]
    with pytest.raises(EstimatorError, match=message):
        check_episode_estimator(estimator, like=estimators.per_decision_is, promises=["perfect", "causal"])


@pytest.mark.parametrize("name", WRONG_ROBUST)
def test_a_mistake_of_a_doubly_robust_estimator_has_its_own_name(name):
    estimator, message = WRONG_ROBUST[name]
    with pytest.raises(EstimatorError, match=message):
        check_episode_estimator(estimator, like=robust, waive=["states", "actions"])


@pytest.mark.parametrize(
    ("estimator", "promises", "waive"),
    [
        (estimators.trajectory_is, ["perfect", "scale"], []),
        (estimators.per_decision_is, ["perfect", "causal", "scale"], []),
        (estimators.weighted_is, ["perfect", "constant", "scale"], []),
        (estimators.weighted_per_decision_is, ["perfect", "causal", "constant", "scale"], []),
        (robust, ["perfect"], ["states", "actions"]),
        (weighted(product), ["perfect", "causal"], []),
        (doubly_robust(under(0)), ["perfect"], ["states", "actions"]),
    ],
)
def test_a_right_estimator_is_not_accused(estimator, promises, waive):
    check_episode_estimator(estimator, like=estimator, promises=promises, waive=waive)


def test_perfect_episodes_hold_the_law():
    episodes = slips.perfect()
    assert episodes.log.rewards.shape == (1728, 3)
    assert float(estimators.per_decision_is(*episodes, slips.DISCOUNT)) == pytest.approx(slips.value(), rel=1e-12)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (lambda *args: 1 / 0, 'breaks "contract": it raised ZeroDivisionError'),
        (lambda *args: np.nan, "not a finite float"),
        (lambda log, pi, b, g: pi.fill(0.5) or 0.5, 'breaks "mutation"'),
        (lambda log, pi, b, g: float(log.rewards[0].sum()), 'breaks "perfect".*\n.*"episodes"'),
    ],
)
def test_the_contract_is_told(estimator, message):
    with pytest.raises(EstimatorError, match=message):
        check_episode_estimator(estimator)


def test_an_estimator_that_fails_on_few_episodes_is_told():
    def choosy(log, policy, behavior, discount):
        if len(log.rewards) < 100:
            raise RuntimeError("too few")
        return estimators.per_decision_is(log, policy, behavior, discount=discount)

    with pytest.raises(EstimatorError, match='breaks "contract": it raised RuntimeError: too few'):
        check_episode_estimator(choosy, like=lambda *given: estimators.per_decision_is(*given[:3], discount=given[3]))
