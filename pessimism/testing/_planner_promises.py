r"""What every planner owes its user, one function a promise; and the slips that explain a wrong value.

A planner maps a model to a policy and to values that claim to be :math:`V^*`. The truth is known here
(`MDP.optimal_values`, by exact policy iteration), so most promises are the same comparison with it on a model that was
changed in a way that a correct planner does not mind. What a wrong planner computed instead is read off a model on
which every known slip has values of its own (`probe`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from pessimism._types import Floats, Ints
from pessimism.mdp.model import MDP
from pessimism.testing import _plans
from pessimism.testing._plans import Answer, Sizes
from pessimism.testing.mdp_strategies import EPISODIC_DISCOUNTS, _mdps

Planner = Callable[[MDP], Any]

TABLES = ("next_states", "probabilities", "rewards", "start")

RELATIVES = (2, 3)
"""Batch in which a model is put beside five relatives of it."""

DRAWN_DISCOUNTS = (0.5, 0.9, 0.0, 0.99)
"""Discounts of drawn models; a fixed one has 0.999, where plain iterations are slow."""

ORDERS = st.sampled_from(list(permutations(range(4))))

SWEEPS = 1000
"""Sweeps after which a planner is no longer asked whether it stopped too early."""


class PlannerError(AssertionError):
    """A planner broke a promise: the message says which, on which model, and what the planner answered."""

    __module__ = "pessimism.testing"  # where users find it, and what tracebacks print


class Case(NamedTuple):
    """A model, and what is done to it."""

    mdp: MDP
    action_order: tuple[int, ...]
    state_order: tuple[int, ...]
    shift: float
    scale: float


@st.composite
def cases(draw: st.DrawFn, horizon: int | None) -> Case:
    # the model last: what comes before then stays in place while it shrinks
    action_order, state_order = draw(ORDERS), draw(ORDERS)
    shift, scale = draw(st.sampled_from([-1.0, -0.25, -4.0])), draw(st.sampled_from([4.0, 0.25]))
    mdp = draw(_mdps(4, 3, horizon, DRAWN_DISCOUNTS if horizon is None else EPISODIC_DISCOUNTS))
    return case_of(mdp, action_order, state_order, shift, scale)


def case_of(
    mdp: MDP,
    action_order: tuple[int, ...] = (3, 2, 1, 0),
    state_order: tuple[int, ...] = (3, 2, 1, 0),
    shift: float = -1.0,
    scale: float = 4.0,
) -> Case:
    return Case(
        mdp,
        tuple(a for a in action_order if a < mdp.n_actions),
        tuple(s for s in state_order if s < mdp.n_states),
        shift,
        scale,
    )


@dataclass(frozen=True, slots=True)
class Subject:
    """The planner under test, asked in such a way that it can neither pass over a warning nor touch our arrays."""

    planner: Planner
    tolerance: float
    horizon: int | None
    waived: frozenset[str]
    causes: dict[str, str | None] = field(default_factory=dict)

    def cause(self, what: str, find: "Callable[[Subject], str | None]") -> str | None:
        """What `find` says, which is asked once."""
        if what not in self.causes:
            self.causes[what] = find(self)
        return self.causes[what]

    def ask(self, mdp: MDP, promise: str = "contract") -> Answer:
        """The planner's answer about a copy of `mdp`; a PlannerError if it is not one."""
        where = f"on a batch of models of shape {mdp.shape} " if mdp.shape else ""
        handed = changed(mdp)
        for name in TABLES:
            object.__setattr__(handed, name, np.array(getattr(mdp, name)))  # writable
        try:
            result = _plans.called(self.planner, handed)
        except Exception as error:
            raise self.error(promise, where + _plans.raised(error), mdp) from error
        for name in TABLES:
            if not np.array_equal(getattr(mdp, name), getattr(handed, name)):
                raise self.error("mutation", f"{where}it wrote into mdp.{name}: work on a copy", mdp)
        answer = _plans.read(result, sizes(mdp))
        if isinstance(answer, str):
            raise self.error(promise, where + answer, mdp)
        return answer

    def error(self, promise: str, wrong: str, mdp: MDP, answer: Answer | None = None) -> PlannerError:
        if promise in WAIVABLE:
            wrong += f'\n  If that is meant, declare it: check_planner(..., waive=["{promise}"])'
        fields = {name: getattr(mdp, name) for name in (*TABLES, "discount", "horizon")}
        return PlannerError(
            f'{_plans.name_of(self.planner)} breaks "{promise}": {wrong}\n{_plans.shown(fields, answer)}'
        )


# ---- promises


def repeat(subject: Subject, case: Case, answer: Answer) -> None:
    again = subject.ask(case.mdp)
    if not (np.array_equal(answer.law, again.law) and np.array_equal(answer.value, again.value)):
        wrong = (
            f"asked again about the same model, it answered {again.policy.tolist()} with values {again.value.tolist()}"
        )
        raise subject.error("repeat", wrong, case.mdp, answer)


def value(subject: Subject, case: Case, answer: Answer) -> None:
    wrong = wrong_value(subject, case.mdp, answer)
    if wrong is not None:
        cause = subject.cause("value", likely_cause)
        raise subject.error("value", wrong if cause is None else f"{cause}. Where it shows: {wrong}", case.mdp, answer)


def policy(subject: Subject, case: Case, answer: Answer) -> None:
    wrong = wrong_policy(subject, case.mdp, answer)
    if wrong is not None:
        cause = subject.cause("policy", likely_policy_cause)
        raise subject.error("policy", wrong if cause is None else f"{cause}. Where it shows: {wrong}", case.mdp, answer)


def certificate(subject: Subject, case: Case, answer: Answer) -> None:
    if answer.error_bound is None:
        return
    error = float(np.abs(answer.value - case.mdp.optimal_values).max())
    if error > float(answer.error_bound) + rounding(case.mdp):
        wrong = (
            f"it certifies an error of at most {float(answer.error_bound):.3g}, and its values are {error:.3g} away "
            "from the optimum: the largest change of a sweep must be divided by 1 - discount (for the values after the "
            "sweep, times discount)"
        )
        raise subject.error("certificate", wrong, case.mdp, answer)


def batch(subject: Subject, case: Case, answer: Answer) -> None:
    family = relatives(case.mdp)
    together = subject.ask(family, "batch")
    wrong = wrong_value(subject, family, together) or wrong_policy(subject, family, together)
    if wrong is None or any(_is_wrong_alone(subject, family, index) for index in np.ndindex(*RELATIVES)):
        return  # what is wrong with a model alone, other promises say better
    text = (
        f"in a batch of models of shape {RELATIVES}, of which this is number 1, {wrong}. Alone they are planned well: "
        "axes are counted from the end, and a batch has not converged before its last model has"
    )
    raise subject.error("batch", text, case.mdp, answer)


def _is_wrong_alone(subject: Subject, family: MDP, index: tuple[int, ...]) -> bool:
    mdp = changed(family, probabilities=family.probabilities[index], rewards=family.rewards[index])
    alone = subject.ask(mdp)
    return bool(wrong_value(subject, mdp, alone) or wrong_policy(subject, mdp, alone))


def states(subject: Subject, case: Case, answer: Answer) -> None:
    moved = permuted_states(case.mdp, np.array(case.state_order))
    text = f"with the states in the order {list(case.state_order)}, {{}}: it goes by their number"
    _still_optimal(subject, "states", case, answer, moved, text)


def actions(subject: Subject, case: Case, answer: Answer) -> None:
    moved = permuted_actions(case.mdp, np.array(case.action_order))
    text = f"with the actions in the order {list(case.action_order)}, {{}}: it goes by their number"
    _still_optimal(subject, "actions", case, answer, moved, text)


def shift(subject: Subject, case: Case, answer: Answer) -> None:
    moved = changed(case.mdp, rewards=case.mdp.rewards + case.shift)
    text = (
        f"with {case.shift:g} added to every reward, which moves all values by the same amount and changes no policy, "
        "{}: is 0 taken for the lowest value, or padding for a choice of value 0?"
    )
    _still_optimal(subject, "shift", case, answer, moved, text)


def scale(subject: Subject, case: Case, answer: Answer) -> None:
    moved = changed(case.mdp, rewards=case.mdp.rewards * case.scale)
    text = f"with every reward times {case.scale:g}, {{}}: does a constant of its own depend on the unit of the reward?"
    _still_optimal(subject, "scale", case, answer, moved, text)


PROMISES: dict[str, Callable[[Subject, Case, Answer], None]] = {
    "repeat": repeat,
    "value": value,
    "policy": policy,
    "certificate": certificate,
    "batch": batch,
    "states": states,
    "actions": actions,
    "shift": shift,
    "scale": scale,
}
"""Promises in the order in which they are reported."""

WAIVABLE = ("repeat", "batch", "certificate", "states", "actions", "shift", "scale")


def _still_optimal(subject: Subject, promise: str, case: Case, answer: Answer, moved: MDP, text: str) -> None:
    there = subject.ask(moved, promise)
    wrong = wrong_value(subject, moved, there) or wrong_policy(subject, moved, there)
    if wrong is not None:
        raise subject.error(promise, text.format(wrong), case.mdp, answer)


# ---- comparisons with the truth


def sizes(mdp: MDP) -> Sizes:
    return Sizes(mdp.shape, () if mdp.horizon is None else (mdp.horizon,), mdp.n_states, mdp.n_actions)


def total_discount(mdp: MDP) -> float:
    """Value of a reward of 1 at every step."""
    steps = np.inf if mdp.horizon is None else mdp.horizon
    return float(steps) if mdp.discount == 1.0 else float((1 - mdp.discount**steps) / (1 - mdp.discount))


def rounding(mdp: MDP) -> float:
    """What values computed in two ways may differ by."""
    return 1e-12 + 1e-14 * max(map(abs, mdp.value_range)) * total_discount(mdp)


def wrong_value(subject: Subject, mdp: MDP, answer: Answer) -> str | None:
    best = mdp.optimal_values
    allowed = subject.tolerance * max(1.0, float(np.abs(mdp.rewards).max())) + rounding(mdp)
    return _worst("its value is {:.6g}, the optimal one is {:.6g}", answer.value, best, allowed)


def wrong_policy(subject: Subject, mdp: MDP, answer: Answer) -> str | None:
    """A policy that is greedy for values within the tolerance loses at most 2/(1 - discount) times the tolerance."""
    allowed = subject.tolerance * max(1.0, float(np.abs(mdp.rewards).max())) + rounding(mdp)
    reached = mdp.evaluate(answer.law)
    text = "its policy is worth {:.6g}, an optimal one {:.6g}"
    return _worst(text, reached, mdp.optimal_values, 2 * allowed * total_discount(mdp))


def _worst(text: str, found: Floats, best: Floats, allowed: float) -> str | None:
    error = np.abs(found - best)
    if np.all(error <= allowed):
        return None
    index = np.unravel_index(int(error.argmax()), error.shape)
    place = f"state {index[-1]}" if len(index) == 1 else f"place {tuple(map(int, index))} of value"
    return f"in {place} {text.format(found[index], best[index])} (tolerance {allowed:.1g})"


# ---- models made from a model


def changed(mdp: MDP, **tables: Any) -> MDP:
    """A copy with other tables."""
    values = {name: np.array(getattr(mdp, name)) for name in TABLES} | tables
    return MDP(**values, discount=mdp.discount, horizon=mdp.horizon, reward_law=mdp.reward_law)


def permuted_states(mdp: MDP, order: Ints) -> MDP:
    axis = -3 if mdp.per_successor else -2
    return changed(
        mdp,
        next_states=np.argsort(order)[mdp.next_states[..., order, :, :]],
        probabilities=mdp.probabilities[..., order, :, :],
        rewards=np.take(mdp.rewards, order, axis=axis),
        start=mdp.start[..., order],
    )


def permuted_actions(mdp: MDP, order: Ints) -> MDP:
    axis = -2 if mdp.per_successor else -1
    return changed(
        mdp,
        next_states=mdp.next_states[..., order, :],
        probabilities=mdp.probabilities[..., order, :],
        rewards=np.take(mdp.rewards, order, axis=axis),
    )


def relatives(mdp: MDP) -> MDP:
    p, r, start = mdp.probabilities, mdp.rewards, mdp.start
    backwards = np.flip(r, axis=-2 if mdp.per_successor else -1)
    # the first and the last need no sweep at all
    family = [(p, 0 * r), (p, r), (p, -r), (p[..., ::-1], 3 * r), (p, backwards), (p, 0 * r)]
    tables, rewards = (np.stack(x).reshape(*RELATIVES, *x[0].shape) for x in zip(*family, strict=True))
    if not mdp.per_successor and rewards.shape[-mdp.next_states.ndim :] == mdp.next_states.shape:
        rewards = np.broadcast_to(rewards[..., None], tables.shape)  # it would be taken for rewards per successor
    return changed(mdp, probabilities=tables, rewards=rewards, start=start)


# ---- what a wrong planner computed instead


def probe(horizon: int | None) -> MDP:
    """A model on which every slip below has values of its own: padding, a successor named twice, no symmetry."""
    successors = [[[1, 2, 0], [2, 0, 2]], [[0, 1, 0], [0, 2, 1]], [[2, 0, 0], [1, 0, 0]]]
    weights = [[[3, 2, 5], [6, 3, 1]], [[7, 3, 0], [4, 4, 2]], [[9, 1, 0], [4, 6, 0]]]
    rewards = [[0.17, 0.31], [0.83, 0.29], [0.41, 0.35]]
    return MDP(successors, np.array(weights) / 10, rewards, [0.5, 0.3, 0.2], 0.9, horizon=horizon)


def likely_cause(subject: Subject) -> str | None:
    """Which slip explains the values on the probe, if one does."""
    mdp = probe(subject.horizon)
    try:
        found = subject.ask(mdp).value
    except PlannerError:
        return None
    close = max(10 * subject.tolerance, 1e-9)
    if np.abs(found - mdp.optimal_values).max() <= close:
        return None
    for sentence, candidate in slips(mdp):
        if np.abs(found - candidate).max() <= close:
            return sentence
    if found.max() > mdp.value_range[1] + close:
        return (
            f"on a model with rewards up to {mdp.rewards.max():g} and discount {mdp.discount:g} its values reach "
            f"{found.max():.4g}, and none can exceed {mdp.value_range[1]:.4g}: is the discount missing?"
        )
    return None


def likely_policy_cause(subject: Subject) -> str | None:
    """Which slip explains the policy on the probe, if one does."""
    mdp = probe(subject.horizon)
    try:
        found = subject.ask(mdp).law.argmax(axis=-1)
    except PlannerError:
        return None
    best = mdp.best_policy
    if np.array_equal(found, best):
        return None
    if np.array_equal(found, np.broadcast_to(mdp.mean_rewards.argmax(axis=-1), best.shape)):
        return "its policy is greedy for the next reward: the value of what comes after is not in its Q"
    if np.array_equal(found, mdp.gaps.argmax(axis=-1)):
        return "its policy takes the worst action: is argmin used for argmax?"
    return None


def slips(mdp: MDP) -> Iterator[tuple[str, Floats]]:
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
