"""The planner under test: models that it is asked about, how it is asked, and how far it is from the truth.

The optimal values of a small model are known to rounding (`MDP.optimal_values`, by exact policy iteration).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from hypothesis import strategies as st

from pessimism._types import Floats, Ints
from pessimism.mdp import MDP
from pessimism.testing._driver import PromiseError, Subject, apart, assignments
from pessimism.testing._whole_numbers import ORDERS, below
from pessimism.testing.mdp._answers import Answer, Sizes, lines, read
from pessimism.testing.mdp._drawn import EPISODIC_DISCOUNTS, drawn_mdps

Planner = Callable[[MDP], Any]

TABLES = ("next_states", "probabilities", "rewards", "start")

DRAWN_DISCOUNTS = (0.5, 0.9, 0.0, 0.99)
"""Discounts of drawn models; a fixed one has 0.999, where plain iterations are slow."""


BACKWARDS = tuple(range(20))[::-1]


class PlannerError(PromiseError):
    """A planner broke a promise: the message says which, on which model, and what the planner answered."""


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
    mdp = draw(drawn_mdps(4, 3, horizon, DRAWN_DISCOUNTS if horizon is None else EPISODIC_DISCOUNTS))
    return case_of(mdp, action_order, state_order, shift, scale)


def case_of(
    mdp: MDP,
    action_order: tuple[int, ...] = BACKWARDS,
    state_order: tuple[int, ...] = BACKWARDS,
    shift: float = -1.0,
    scale: float = 4.0,
) -> Case:
    return Case(mdp, below(mdp.n_actions, action_order), below(mdp.n_states, state_order), shift, scale)


@dataclass(frozen=True, slots=True)
class PlannerSubject(Subject[Case, MDP, Answer]):
    """A planner, and what it claims."""

    check, asked = "check_planner", "model"
    error_type = PlannerError
    implied: ClassVar[Mapping[str, tuple[str, ...]]] = {"value": ("states", "actions", "shift", "scale")}
    waivable = ("repeat", "batch", "certificate", "states", "actions", "shift", "scale")

    tolerance: float
    horizon: int | None = None

    def about(self, case: Case) -> MDP:
        return case.mdp

    def ask(self, given: MDP, promise: str = "contract") -> Answer:
        """Policy and values."""
        where = f"on a batch of models of shape {given.shape} " if given.shape else ""
        copy = changed(given)
        for name in TABLES:
            object.__setattr__(copy, name, np.array(getattr(given, name)))  # writable
        tables = {f"mdp.{name}": (getattr(given, name), getattr(copy, name)) for name in TABLES}
        batch = bool(given.shape)
        result = self.called(lambda: self.function(copy), given, promise, where=where, batch=batch, tables=tables)
        answer = read(result, sizes(given))
        if isinstance(answer, str):
            raise self.error(promise, where + answer, given)
        return answer

    def shown(self, given: MDP, answer: Answer | None) -> list[str]:
        """Model and answer."""
        fields = {name: getattr(given, name) for name in (*TABLES, "discount", "horizon")}
        return assignments(fields | lines(answer))

    def text(self, answer: Answer) -> str:
        return str(answer)


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


def wrong_value(subject: PlannerSubject, mdp: MDP, answer: Answer) -> str | None:
    return _worst(subject, mdp, "its value is {}, the optimal one is {}", answer.value)


def wrong_policy(subject: PlannerSubject, mdp: MDP, answer: Answer) -> str | None:
    """A policy that is greedy for values within the tolerance loses at most 2/(1 - discount) times the tolerance."""
    text = "its policy is worth {}, an optimal one {}"
    return _worst(subject, mdp, text, mdp.evaluate(answer.law), 2 * total_discount(mdp))


def _worst(subject: PlannerSubject, mdp: MDP, text: str, found: Floats, times: float = 1.0) -> str | None:
    best = mdp.optimal_values
    allowed = times * (subject.tolerance * max(1.0, float(np.abs(mdp.rewards).max())) + rounding(mdp))
    error = np.abs(found - best)
    if np.all(error <= allowed):
        return None
    index = np.unravel_index(int(error.argmax()), error.shape)
    place = f"state {index[-1]}" if len(index) == 1 else f"place {tuple(map(int, index))} of value"
    return f"in {place} {text.format(*apart(float(found[index]), float(best[index])))} (tolerance {allowed:.1g})"


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
