r"""What every planner owes its user, one function a promise.

A planner maps a model to a policy and to values that claim to be :math:`V^*`. The truth is known here, so most promises
are the same comparison with it on a model that was changed in a way that a correct planner does not mind.
"""

import numpy as np

from pessimism.mdp import MDP
from pessimism.testing._driver import repeat
from pessimism.testing.mdp._answers import Answer
from pessimism.testing.mdp._planner import (
    Case,
    PlannerSubject,
    changed,
    permuted_actions,
    permuted_states,
    rounding,
    wrong_policy,
    wrong_value,
)
from pessimism.testing.mdp._planner_mistakes import likely_cause, likely_policy_cause

RELATIVES = (2, 3)
"""Batch in which a model is put beside five relatives of it."""


def value(subject: PlannerSubject, case: Case, answer: Answer) -> str | None:
    """Values within the tolerance of the optimal ones."""
    wrong = wrong_value(subject, case.mdp, answer)
    return None if wrong is None else subject.explained(likely_cause, wrong)


def policy(subject: PlannerSubject, case: Case, answer: Answer) -> str | None:
    """A policy that loses no more than greed for values within the tolerance can."""
    wrong = wrong_policy(subject, case.mdp, answer)
    return None if wrong is None else subject.explained(likely_policy_cause, wrong)


def certificate(subject: PlannerSubject, case: Case, answer: Answer) -> str | None:
    """An error bound is at least the true error of the values."""
    if answer.error_bound is None:
        return None
    error = float(np.abs(answer.value - case.mdp.optimal_values).max())
    if error <= float(answer.error_bound) + rounding(case.mdp):
        return None
    return (
        f"it certifies an error of at most {float(answer.error_bound):.3g}, and its values are {error:.3g} away "
        "from the optimum: the largest change of a sweep must be divided by 1 - discount (for the values after the "
        "sweep, times discount)"
    )


def batch(subject: PlannerSubject, case: Case, answer: Answer) -> str | None:
    """A model is planned within a batch of models as it is alone."""
    family = relatives(case.mdp)
    if not all(subject.admits(_member(family, index)) for index in np.ndindex(*RELATIVES)):
        return None
    together = subject.ask(family, "batch")
    wrong = wrong_value(subject, family, together) or wrong_policy(subject, family, together)
    if wrong is None or any(_is_wrong_alone(subject, family, index) for index in np.ndindex(*RELATIVES)):
        return None  # a mistake in one model alone is left to the other promises, which explain it better
    return (
        f"in a batch of models of shape {RELATIVES}, of which this is number 1, {wrong}. Alone they are planned "
        "correctly: axes are counted from the end, and a batch has not converged before its last model has"
    )


def _is_wrong_alone(subject: PlannerSubject, family: MDP, index: tuple[int, ...]) -> bool:
    mdp = _member(family, index)
    alone = subject.ask(mdp)
    return bool(wrong_value(subject, mdp, alone) or wrong_policy(subject, mdp, alone))


def _member(family: MDP, index: tuple[int, ...]) -> MDP:
    return changed(family, probabilities=family.probabilities[index], rewards=family.rewards[index])


def states(subject: PlannerSubject, case: Case, answer: Answer) -> str | None:
    """With the states renumbered, the answer is still optimal."""
    wrong = _wrong_about(subject, "states", case, answer, permuted_states(case.mdp, np.array(case.state_order)))
    order = f"with the states in the order {list(case.state_order)}"
    return None if wrong is None else f"{order}, {wrong}: it depends on their numbering"


def actions(subject: PlannerSubject, case: Case, answer: Answer) -> str | None:
    """With the actions renumbered, the answer is still optimal."""
    wrong = _wrong_about(subject, "actions", case, answer, permuted_actions(case.mdp, np.array(case.action_order)))
    order = f"with the actions in the order {list(case.action_order)}"
    return None if wrong is None else f"{order}, {wrong}: it depends on their numbering"


def shift(subject: PlannerSubject, case: Case, answer: Answer) -> str | None:
    """With a constant added to every reward, the answer is still optimal."""
    wrong = _wrong_about(subject, "shift", case, answer, changed(case.mdp, rewards=case.mdp.rewards + case.shift))
    return wrong and (
        f"with {case.shift:g} added to every reward, which moves all values by the same amount and changes no policy, "
        f"{wrong}: is 0 taken for the lowest value, or padding for a choice of value 0?"
    )


def scale(subject: PlannerSubject, case: Case, answer: Answer) -> str | None:
    """With every reward multiplied by a positive number, the answer is still optimal."""
    wrong = _wrong_about(subject, "scale", case, answer, changed(case.mdp, rewards=case.mdp.rewards * case.scale))
    return wrong and (
        f"with every reward times {case.scale:g}, {wrong}: does a constant of its own depend on the unit of the reward?"
    )


PROMISES = (repeat, value, policy, certificate, batch, states, actions, shift, scale)
"""In the order in which they are reported."""


def _wrong_about(subject: PlannerSubject, promise: str, case: Case, answer: Answer, moved: MDP) -> str | None:
    if wrong_value(subject, case.mdp, answer) or wrong_policy(subject, case.mdp, answer):
        return None  # a mistake in the model as it is
    there = subject.ask(moved, promise)
    return wrong_value(subject, moved, there) or wrong_policy(subject, moved, there)


def relatives(mdp: MDP) -> MDP:
    p, r, start = mdp.probabilities, mdp.rewards, mdp.start
    backwards = np.flip(r, axis=-2 if mdp.per_successor else -1)
    # the first and the last need no sweep at all
    family = [(p, 0 * r), (p, r), (p, -r), (p[..., ::-1], 3 * r), (p, backwards), (p, 0 * r)]
    tables, rewards = (np.stack(x).reshape(*RELATIVES, *x[0].shape) for x in zip(*family, strict=True))
    if not mdp.per_successor and rewards.shape[-mdp.next_states.ndim :] == mdp.next_states.shape:
        rewards = np.broadcast_to(rewards[..., None], tables.shape)  # it would be taken for rewards per successor
    return changed(mdp, probabilities=tables, rewards=rewards, start=start)
