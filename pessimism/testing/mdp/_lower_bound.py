r"""Whether the values of a rule are lower bounds, on data drawn from known models.

A rule that claims :math:`\hat V \le V^{\hat\pi}` in every state with probability at least 0.9 may miss in a tenth of
the data sets, so the number of misses among R independent ones is at most a Binomial(R, 0.1) variable in law, and a
count beyond its 1 - 10^-6 quantile refutes the claim. Three models tell what is wrong: in `coins` only rewards are
random, in `forks` only next states are, and what hangs on them is a whole future, :math:`V_{\max}`; in `choices` there
are logs of two actions, one far worse. In all there is a state of which nothing was logged, and it earns nothing.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from pessimism.mdp import MDP, MDPData
from pessimism.testing._driver import PromiseError, guess
from pessimism.testing.mdp._answers import Answer
from pessimism.testing.mdp._offline import OfflineSubject
from pessimism.testing.mdp._widths import LOOSE, powers

CONFIDENCE = 0.9
"""A lower bound holds in all states at once with at least this probability."""

FALSE_ALARM = 1e-6
"""Probability with which a rule that keeps its claim is refuted, in each of the two models."""

SETS = 400

NEAR_ONE, FEWER_SETS = 0.99, 60
"""A discount at which the square root of V_max is no V_max, and how many data sets show it there."""

FEW, MANY, TOSSES = 1000, 10**8, 10**6
"""Visits: of a fork, of what it leads to, and of a state that tosses a coin (so many that a missing root shows)."""

NOISY = 4
"""States whose value is uncertain, in each model: all of them have to be covered at once."""


def coins(discount: float, horizon: int | None) -> tuple[MDP, ArrayLike]:
    """States that stay and earn 0 or 1, each half of the time; and the visits of action 0 in each state."""
    size = NOISY + 1
    moves, rewards = np.zeros((size, 2, size)), np.zeros((size, 2))
    moves[range(size), 0, range(size)] = 1.0
    moves[:, 1, -1] = 1.0
    rewards[:NOISY, 0] = 0.5
    return _model(moves, rewards, discount, horizon), [TOSSES] * NOISY + [0]


def forks(discount: float, horizon: int | None) -> tuple[MDP, ArrayLike]:
    """States that lead to a state that always earns 1 or to one that never does; and the visits of action 0."""
    size = NOISY + 3
    moves, rewards = np.zeros((size, 2, size)), np.zeros((size, 2))
    moves[:NOISY, 0, NOISY : NOISY + 2] = 0.5
    moves[range(NOISY, size), 0, range(NOISY, size)] = 1.0
    moves[:, 1, -1] = 1.0
    rewards[NOISY, 0] = 1.0
    return _model(moves, rewards, discount, horizon), [FEW] * NOISY + [MANY, MANY, 0]


def choices(discount: float, horizon: int | None) -> tuple[MDP, ArrayLike]:
    """Forks of which one action leads to the good state in 9 of 10 cases and the other in 1 of 10; visits of both."""
    model, _ = forks(discount, horizon)
    moves = np.array(model.probabilities)
    for s in range(NOISY):
        good, bad = (0, 1) if s % 2 else (1, 0)
        moves[..., s, good, NOISY : NOISY + 2], moves[..., s, bad, NOISY : NOISY + 2] = [0.9, 0.1], [0.1, 0.9]
        moves[..., s, 1, -1] = 0.0
    visits = [[10 * FEW, 10 * FEW]] * NOISY + [[MANY, 0], [MANY, 0], [0, 0]]
    return MDP(model.next_states, moves, model.rewards, None, model.discount, horizon=horizon), visits


def _model(moves: np.ndarray, rewards: np.ndarray, discount: float, horizon: int | None) -> MDP:
    """Every list names all states, so that lists say nothing about what was not logged."""
    successors = np.broadcast_to(np.arange(len(moves)), moves.shape)
    gamma = discount if horizon is None else None
    return MDP(successors, moves, rewards, None, gamma, horizon=horizon, reward_law="bernoulli")


def broken_bound(subject: OfflineSubject, *, known_rewards: bool) -> PromiseError | None:
    """A RuleError if values are above the truth too often."""
    tries = [(make, subject, SETS) for make in ((forks,) if known_rewards else (coins, forks))]
    tries.append((choices, subject, FEWER_SETS))
    if subject.horizon is None and subject.discount < NEAR_ONE:
        tries.append((forks, replace(subject, discount=NEAR_ONE), FEWER_SETS))
    for make, asked, sets in tries:
        model, visits = make(asked.discount, asked.horizon)
        counts = np.array(visits)
        counts = counts if counts.ndim == 2 else np.stack([counts, np.zeros_like(counts)], axis=-1)
        if asked.horizon is not None:
            counts = np.broadcast_to(counts, (asked.horizon, *counts.shape))
        data = model.sample_at(counts, size=sets, rng=0)
        answer = _answers(asked, data)
        truth = model.evaluate(answer.law)
        above = (answer.value > truth + asked.slack(data, answer)).reshape(sets, -1, model.n_states)
        missed = above.any(axis=(-2, -1))
        if missed.sum() > allowed_misses(sets):
            first = int(missed.argmax())
            state = int(above[first].any(axis=0).argmax())
            cause = _cause(make.__name__, bool(above[first, :, -1].any()), known_rewards)
            if asked.horizon is None and make is not choices and (more := guess(lambda: powers(subject, FEW, LOOSE))):
                cause = f"{cause} Measured: {more}" if "V_max" in more else f"{cause.partition(':')[0]}: {more}"
            own = Answer(answer.law[first], answer.value[first], None, answer.policy[first])
            text = (
                f"in {missed.sum()} of {sets} data sets drawn from a known model some value is above the true value of "
                f"the policy returned with it, and bounds of confidence {CONFIDENCE:g} miss more than "
                f"{allowed_misses(sets)} times with probability {FALSE_ALARM:g}. {cause}. Where it shows: in state "
                f"{state} the true value of its policy is {truth[first].reshape(-1, model.n_states)[0, state]:.6g}"
            )
            return asked.error("lower bound", text, data[first], own)
    return None


def allowed_misses(sets: int = SETS) -> int:
    from scipy.stats import binom

    return int(binom.isf(FALSE_ALARM, sets, 1 - CONFIDENCE))


def _answers(subject: OfflineSubject, data: MDPData) -> Answer:
    if "batch" not in subject.waived:
        return subject.ask(data)
    alone = [subject.ask(data[i]) for i in range(len(data.n))]
    bounds = [np.max(x.error_bound) for x in alone if x.error_bound is not None]
    law, value, policy = (np.stack([getattr(x, name) for x in alone]) for name in ("law", "value", "policy"))
    return Answer(law, value, np.array(bounds) if bounds else None, policy)


def _cause(model: str, unseen: bool, known_rewards: bool) -> str:
    if unseen:
        return (
            "A state of which nothing was logged is given a value above the smallest possible one, which is "
            "reward_range[0] at every step to come"
        )
    if model == "choices":
        return "A value is what the policy returned with it can earn: is argmin used for argmax, or another Q"
    if model == "coins":
        return (
            "Its widths do not cover the noise of the rewards: they must be subtracted, be of the order "
            "1/sqrt(N(s, a)), and have a logarithm for all pairs at once"
        )
    rewards = "" if known_rewards else "They cover the noise of the rewards. "
    return (
        f"{rewards}Its widths do not cover the noise of the next states: one step decides over a whole future, so they "
        "grow with V_max, the reward range times 1/(1 - discount) (or the steps left), not with the reward range alone"
    )
