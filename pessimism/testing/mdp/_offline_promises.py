r"""What every offline rule owes its user, one function a promise.

An offline rule maps visits :math:`N(s,a)`, :math:`N(s,a,s')` and reward sums to a policy and its value. Whatever it is
for, the answer should not depend on how states, actions and list entries are numbered, nor on the other data sets of
the batch; it should be repeatable, leave the data alone, and not bet on an action that was never logged in a state
where another was. And it should know its own units: r + c in place of every reward r is worth
:math:`c \sum_t \gamma^t` more, whatever was logged, which measures the horizon that a rule really uses.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pessimism._types import Floats
from pessimism.mdp import MDPData
from pessimism.testing._driver import repeat
from pessimism.testing.mdp._answers import Answer
from pessimism.testing.mdp._offline import (
    Case,
    OfflineSubject,
    listed,
    mapped,
    permuted_actions,
    permuted_states,
    transformed,
)
from pessimism.testing.mdp._offline_horizon import likely_cause

LAW_TOLERANCE = 1e-6

JITTER = 1e-3
"""Part of the reward range by which rewards are moved to see whether a change of policy was only a tie."""

RELATIVES = (2, 3)
"""Batch in which a data set is put beside five relatives of it."""

REPLICATED = 10**4
"""How often the longest log of a batch repeats the data set: it can still be divided (10^9 transitions cannot)."""


def batch(subject: OfflineSubject, case: Case, answer: Answer) -> None:
    """A data set is answered within a batch as it is alone."""
    family = relatives(case.data)
    together = subject.ask(family, "batch")
    for index in np.ndindex(*RELATIVES):
        data = family[index]
        alone = answer if not any(index) else subject.ask(data)
        bound = None if together.error_bound is None else np.asarray(np.max(together.error_bound))
        member = Answer(together.law[index], together.value[index], bound, together.policy[index])
        wrong = _difference(subject, data, alone, member, alone.value)
        if wrong is not None:
            text = (
                f"within a batch of shape {RELATIVES} {wrong}, and alone it does not: a data set's totals are "
                "data.n, its axes are counted from the end, and random tie-breaking, if there is any, must not depend "
                "on what else is in the batch"
            )
            raise subject.error("batch", text, data, alone)


def seen(subject: OfflineSubject, case: Case, answer: Answer) -> str | None:
    """No action that was never logged is taken in a state where another was."""
    data = case.data
    wrong = ((data.counts == 0) & (answer.law > LAW_TOLERANCE)).any(axis=-1) & data.counts.any(axis=-1)
    if not wrong.any():
        return None
    where = tuple(int(i) for i in np.argwhere(wrong)[0])
    action, known = int(answer.law[where].argmax()), int(data.counts[where].argmax())
    return (
        f"{_place(where)} it chose action {action}, which was never logged there, though action {known} was "
        f"({data.counts[where][known]} times). {_why_unseen(subject, data, where, action, known)}"
    )


def lists(subject: OfflineSubject, case: Case, answer: Answer) -> str | None:
    """The order in which a pair's successors are listed does not matter."""
    data = case.data
    flip = mapped(data, lambda name, x: x[..., ::-1] if name != "counts" and listed(data, name) else x)
    wrong = _difference(subject, data, answer, subject.ask(flip, "lists"), answer.value)
    return wrong and (
        f"with every list of successors (next_states, next_counts) written backwards {wrong}: lists are padded with "
        "entries of count 0 and may name a state twice, so their entries are added up, never overwritten or looked up "
        "by place"
    )


def states(subject: OfflineSubject, case: Case, answer: Answer) -> str | None:
    """With the states renumbered, the answer is the same."""
    order = np.array(case.state_order)
    there = subject.ask(permuted_states(case.data, order), "states").renumbered(states=order)
    wrong = _difference(subject, case.data, answer, there, answer.value)
    found = f"with the states in the order {order.tolist()} {wrong}"
    return wrong and f"{found}: it depends on their numbering, or mixes states up"


def actions(subject: OfflineSubject, case: Case, answer: Answer) -> str | None:
    """With the actions renumbered, the answer is the same."""
    order = np.array(case.action_order)
    there = subject.ask(permuted_actions(case.data, order), "actions").renumbered(actions=order)
    wrong = _difference(subject, case.data, answer, there, answer.value)
    return wrong and f"with the actions in the order {order.tolist()} {wrong}: it depends on their numbering"


def shift(subject: OfflineSubject, case: Case, answer: Answer) -> str | None:
    """A constant c added to every reward adds its discounted sum to every value and changes no action."""
    moved = transformed(case.data, case.shift, 1.0)
    expected = answer.value + case.shift * subject.worth
    wrong = _difference(subject, case.data, answer, subject.ask(moved, "shift"), expected)
    return wrong and (
        f"with {case.shift:g} added to every reward and reward_range = {moved.reward_range} {wrong}. "
        f"{subject.cause(likely_cause)}"
    )


def scale(subject: OfflineSubject, case: Case, answer: Answer) -> str | None:
    """A multiple of every reward multiplies every value."""
    moved = transformed(case.data, 0.0, case.scale)
    wrong = _difference(subject, case.data, answer, subject.ask(moved, "scale"), case.scale * answer.value)
    return wrong and (
        f"with every reward times {case.scale:g} and reward_range = {moved.reward_range} {wrong}: widths are in reward "
        "units, so they grow with the width of data.reward_range"
    )


def highest(subject: OfflineSubject, case: Case, answer: Answer) -> str | None:
    """No value exceeds that of the highest reward at every step."""
    _, high = case.data.reward_range
    limit = np.broadcast_to(high * subject.worth, answer.value.shape)
    wrong = answer.value > limit + subject.slack(case.data, answer)
    if not wrong.any():
        return None
    where = tuple(int(i) for i in np.argwhere(wrong)[0])
    return (
        f"{_place(where)} its value is {answer.value[where]:.6g}, and rewards of at most {high:g} are worth at "
        f"most {limit[where]:.6g}: is a width added instead of subtracted?"
    )


PROMISES = (repeat, batch, seen, lists, states, actions, shift, scale, highest)
"""In the order in which they are reported: a broken one often breaks those after it, seldom those before."""

TIES_MATTER = ("batch", "lists", "states", "actions", "shift", "scale")


def _difference(subject: OfflineSubject, data: MDPData, answer: Answer, there: Answer, value: Floats) -> str | None:
    """How an answer differs from the one expected: its values, then its policy where actions were logged."""
    growth = max(1.0, float(np.abs(value).max(initial=0.0)) / max(1e-12, float(np.max(np.abs(answer.value)))))
    apart = np.abs(there.value - value) > subject.slack(data, answer, there) * growth
    if apart.any():
        where = tuple(int(i) for i in np.argwhere(apart)[0])
        return f"{_place(where)} its value is {there.value[where]:.6g}, not {value[where]:.6g}"
    apart = (np.abs(there.law - answer.law) > LAW_TOLERANCE).any(axis=-1) & subject.comparable(data)
    if apart.any():
        where = tuple(int(i) for i in np.argwhere(apart)[0])
        found, own = (law[where].round(6).tolist() for law in (there.law, answer.law))
        return f"{_place(where)} it takes the actions with probabilities {found}, not {own}"
    return None


def _place(where: tuple[int, ...]) -> str:
    return f"in state {where[-1]}" + (f" at step {where[-2]}" if len(where) > 1 else "")


def _why_unseen(subject: OfflineSubject, data: MDPData, where: tuple[int, ...], action: int, known: int) -> str:
    # let action 0 and the logged one change places, and rewards be high: a fall-back stays at 0, a good opinion of the
    # unseen moves away, and an index of 0 loses
    order = np.arange(data.n_actions)
    order[[0, known]] = known, 0
    high = transformed(data, 100.0 * (1.0 + max(map(abs, data.reward_range))), 1.0)
    answers = [subject.ask(x).law[where].argmax() for x in (permuted_actions(data, order), high)]
    if action == 0 and not any(answers):
        return "It falls back to action 0, whichever that is"
    return (
        "A pair that was never logged has no mean and no successors: leave it out of the maximum, or give it the "
        "smallest possible value and break ties for logged actions (0 is optimism when rewards are negative)"
    )


def jittered(data: MDPData) -> MDPData:
    """Mean rewards moved a little, each by an amount of its own: ties that were accidents of arithmetic are gone."""
    visits = data.next_counts if data.per_successor else data.counts
    low, high = data.reward_range
    pairs = data.counts.size
    goals = low + (high - low) * (np.sqrt(2.0) * np.arange(1, pairs + 1) % 1.0).reshape(data.counts.shape)
    sums = (1 - JITTER) * data.reward_sums + JITTER * visits * (goals[..., None] if data.per_successor else goals)
    return mapped(data, lambda name, x: sums if name == "reward_sums" else x)


def relatives(data: MDPData) -> MDPData:
    """The data set and five others on the same lists, in a batch."""

    def member(axes: str, times: int) -> MDPData:
        def change(name: str, x: NDArray[Any]) -> NDArray[Any]:
            if name == "next_states":
                return x
            places = {"s": -3, "a": -2} if listed(data, name) else {"s": -2, "a": -1}
            return np.asarray(np.flip(x, axis=tuple(places[axis] for axis in axes)) * times)

        return mapped(data, change)

    family = [member(*x) for x in (("", 1), ("a", 1), ("s", 1), ("", 0), ("", 2), ("", REPLICATED))]
    counts, next_counts, sums = (
        np.stack([getattr(x, name) for x in family]).reshape(*RELATIVES, *getattr(data, name).shape)
        for name in ("counts", "next_counts", "reward_sums")
    )
    return MDPData.trusted(counts, data.next_states, next_counts, sums, data.reward_range, data.reward_law)
