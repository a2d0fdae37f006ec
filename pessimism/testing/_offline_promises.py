r"""What every offline rule owes its user, one function a promise.

An offline rule maps visits :math:`N(s,a)`, :math:`N(s,a,s')` and reward sums to a policy and its value. Whatever it is
for, the answer should not depend on how states, actions and list entries are numbered, nor on the other data sets of
the batch; it should be repeatable, leave the data alone, and not bet on an action that was never logged in a state
where another was. And it should know its own units: r + c in place of every reward r is worth
:math:`c \sum_t \gamma^t` more, whatever was logged, which measures the horizon that a rule really uses
(`likely_cause`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from pessimism._types import Floats, Ints
from pessimism.mdp.data import MDPData
from pessimism.testing import _plans
from pessimism.testing._plans import Answer, Sizes
from pessimism.testing._promises import RELATIVES, RuleError
from pessimism.testing.mdp_strategies import mdp_data

OfflineRule = Callable[..., Any]

TABLES = ("counts", "next_states", "next_counts", "reward_sums")

VALUE_TOLERANCE = 1e-5
"""Values are compared to this part of the largest difference between values: rules stop when they are nearly done."""

LAW_TOLERANCE = 1e-6

JITTER = 1e-3
"""Part of the reward range by which rewards are moved to see whether a change of policy was only a tie."""

RANGES = ((0.0, 1.0), (-2.0, -1.0))
"""Reward ranges of drawn data: in the second, 0 is optimism."""

MANY = 10**8
"""Visits of the pairs on which a rule's horizon is measured: no width matters."""


class Case(NamedTuple):
    """A data set without ties, and what is done to it."""

    data: MDPData
    action_order: tuple[int, ...]
    state_order: tuple[int, ...]
    shift: float
    scale: float


REPLICATED = 10**4
"""How often the longest log of a batch repeats the data set: it can still be divided (10^9 transitions cannot)."""

ORDERS = st.sampled_from(list(permutations(range(4))))


@st.composite
def cases(draw: st.DrawFn, horizon: int | None) -> Case:
    # the data last: what comes before then stays in place while they shrink
    action_order, state_order = draw(ORDERS), draw(ORDERS)
    shift, scale = draw(st.sampled_from([1.0, -1.0, 4.0])), draw(st.sampled_from([4.0, 0.25]))
    size = 4 if horizon is None else 3
    ranges = {
        low_high: mdp_data(max_states=size, max_visits=500, horizon=horizon, reward_range=low_high, ties=False)
        for low_high in RANGES
    }
    data = draw(ranges[draw(st.sampled_from(RANGES))])
    actions = tuple(a for a in action_order if a < data.n_actions)
    return Case(data, actions, tuple(s for s in state_order if s < data.n_states), shift, scale)


@dataclass(frozen=True, slots=True)
class Subject:
    """The rule under test, asked in such a way that it can neither pass over a warning nor touch our arrays."""

    rule: OfflineRule
    discount: float
    horizon: int | None
    waived: frozenset[str]
    causes: list[str] = field(default_factory=list)

    @property
    def worth(self) -> Any:
        """Value of a reward of 1 at every step; with a horizon, (H, 1) for every step."""
        if self.horizon is None:
            return 1.0 / (1.0 - self.discount)
        return np.arange(self.horizon, 0, -1.0)[:, None]

    @property
    def keywords(self) -> dict[str, Any]:
        return {"discount": self.discount} if self.horizon is None else {"horizon": self.horizon}

    def ask(self, data: MDPData, promise: str = "contract") -> Answer:
        """The rule's answer about a copy of `data`; a RuleError if it is not one."""
        where = f"in a batch of shape {data.shape} " if data.shape else ""
        handed = mapped(data)
        for name in TABLES:
            getattr(handed, name).setflags(write=True)
        try:
            result = _plans.called(self.rule, handed, **self.keywords)
        except Exception as error:
            raise self.error(promise, where + _plans.raised(error), data) from error
        for name in TABLES:
            if not np.array_equal(getattr(data, name), getattr(handed, name)):
                raise self.error("mutation", f"{where}it wrote into data.{name}: work on a copy", data)
        answer = _plans.read(result, sizes(data))
        if isinstance(answer, str):
            raise self.error(promise, where + answer, data)
        return answer

    def error(self, promise: str, wrong: str, data: MDPData, answer: Answer | None = None) -> RuleError:
        if promise in WAIVABLE:
            wrong += f'\n  If that is meant, declare it: check_offline_rule(..., waive=["{promise}"])'
        if data.shape:
            fields: dict[str, Any] = {"counts.shape": data.counts.shape}
        else:
            fields = {name: getattr(data, name) for name in (*TABLES, "reward_range", "reward_law")}
        text = _plans.shown(fields | self.keywords, answer)
        return RuleError(f'{_plans.name_of(self.rule)} breaks "{promise}": {wrong}\n{text}')

    def comparable(self, data: MDPData) -> NDArray[np.bool_]:
        """(..., [H,] S) states in which the choice is between logged actions."""
        logged = data.counts > 0
        return np.asarray(logged.all(axis=-1) if "seen" in self.waived else logged.any(axis=-1))

    def slack(self, data: MDPData, *answers: Answer) -> float:
        """By how much values may differ that should be equal."""
        low, high = data.reward_range
        certified = sum(0.0 if answer.error_bound is None else float(np.max(answer.error_bound)) for answer in answers)
        return VALUE_TOLERANCE * (high - low) * float(np.max(self.worth)) + certified


# ---- promises


def repeat(subject: Subject, case: Case, answer: Answer) -> None:
    again = subject.ask(case.data)
    if not (np.array_equal(answer.law, again.law) and np.array_equal(answer.value, again.value)):
        wrong = (
            f"asked again about the same data, it answered {again.policy.tolist()} with values {again.value.tolist()}: "
            "give its generator a fixed seed"
        )
        raise subject.error("repeat", wrong, case.data, answer)


def batch(subject: Subject, case: Case, answer: Answer) -> None:
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
                "data.n, its axes are counted from the end, and lots, if it draws any, must not depend on what else is "
                "in the batch"
            )
            raise subject.error("batch", text, data, alone)


def seen(subject: Subject, case: Case, answer: Answer) -> None:
    data = case.data
    wrong = ((data.counts == 0) & (answer.law > LAW_TOLERANCE)).any(axis=-1) & data.counts.any(axis=-1)
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        action, known = int(answer.law[where].argmax()), int(data.counts[where].argmax())
        text = (
            f"{_place(where)} it chose action {action}, which was never logged there, though action {known} was "
            f"({data.counts[where][known]} times). {_why_unseen(subject, data, where, action, known)}"
        )
        raise subject.error("seen", text, data, answer)


def lists(subject: Subject, case: Case, answer: Answer) -> None:
    data = case.data
    flip = mapped(data, lambda name, x: x[..., ::-1] if name != "counts" and _listed(data, name) else x)
    text = (
        "with every list of successors (next_states, next_counts) written backwards {}: lists are padded with entries "
        "of count 0 and may name a state twice, so their entries are added up, never overwritten or looked up by place"
    )
    _compare(subject, "lists", case, answer, subject.ask(flip, "lists"), answer.value, text)


def states(subject: Subject, case: Case, answer: Answer) -> None:
    order = np.array(case.state_order)
    text = f"with the states in the order {order.tolist()} {{}}: it goes by their number, or mixes states up"
    there = subject.ask(permuted_states(case.data, order), "states").renumbered(states=order)
    _compare(subject, "states", case, answer, there, answer.value, text)


def actions(subject: Subject, case: Case, answer: Answer) -> None:
    order = np.array(case.action_order)
    text = f"with the actions in the order {order.tolist()} {{}}: it goes by their number"
    there = subject.ask(permuted_actions(case.data, order), "actions").renumbered(actions=order)
    _compare(subject, "actions", case, answer, there, answer.value, text)


def shift(subject: Subject, case: Case, answer: Answer) -> None:
    moved = transformed(case.data, case.shift, 1.0)
    there = subject.ask(moved, "shift")
    text = f"with {case.shift:g} added to every reward and reward_range = {moved.reward_range} {{}}"
    expected = answer.value + case.shift * subject.worth
    if _difference(subject, case.data, answer, there, expected) is not None:
        if not subject.causes:
            subject.causes.append(likely_cause(subject))
        text += f". {subject.causes[0]}"
    _compare(subject, "shift", case, answer, there, expected, text)


def scale(subject: Subject, case: Case, answer: Answer) -> None:
    moved = transformed(case.data, 0.0, case.scale)
    there = subject.ask(moved, "scale")
    text = (
        f"with every reward times {case.scale:g} and reward_range = {moved.reward_range} {{}}: widths are in reward "
        "units, so they grow with the width of data.reward_range"
    )
    _compare(subject, "scale", case, answer, there, case.scale * answer.value, text)


def highest(subject: Subject, case: Case, answer: Answer) -> None:
    _, high = case.data.reward_range
    limit = np.broadcast_to(high * subject.worth, answer.value.shape)
    wrong = answer.value > limit + subject.slack(case.data, answer)
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        text = (
            f"{_place(where)} its value is {answer.value[where]:.6g}, and rewards of at most {high:g} are worth at "
            f"most {limit[where]:.6g}: is a width added instead of subtracted?"
        )
        raise subject.error("highest", text, case.data, answer)


PROMISES: dict[str, Callable[[Subject, Case, Answer], None]] = {
    "repeat": repeat,
    "batch": batch,
    "seen": seen,
    "lists": lists,
    "states": states,
    "actions": actions,
    "shift": shift,
    "scale": scale,
    "highest": highest,
}
"""Promises in the order in which they are reported: a broken one often breaks those after it, seldom those before."""

WAIVABLE = tuple(PROMISES)

TIES_MATTER = ("batch", "lists", "states", "actions", "shift", "scale")


def _compare(
    subject: Subject, promise: str, case: Case, answer: Answer, there: Answer, value: Floats, text: str
) -> None:
    wrong = _difference(subject, case.data, answer, there, value)
    if wrong is not None:
        raise subject.error(promise, text.format(wrong), case.data, answer)


def _difference(subject: Subject, data: MDPData, answer: Answer, there: Answer, value: Floats) -> str | None:
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


def _why_unseen(subject: Subject, data: MDPData, where: tuple[int, ...], action: int, known: int) -> str:
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


# ---- the horizon that a rule really uses


def likely_cause(subject: Subject) -> str:
    """Why values do not move with the rewards: read off how much they move where every pair was logged often."""
    one, two = (_slope(subject, visits) for visits in ([MANY], [3 * MANY, MANY]))
    right = float(np.max(subject.worth))
    slips = {
        "the rewards have no effect on it, or are taken relative to the lowest one, which has to be put back": 0.0,
        "sums of rewards stand where means belong": MANY * right,
    }
    if subject.horizon is None:
        slips |= {
            "the discount is applied twice a step": 1.0 / (1.0 - subject.discount**2),
            "it is the value of one step, or normalised by 1 - discount: what comes after is missing": 1.0,
        }
    for sentence, slope in slips.items():
        if abs(one - slope) <= 1e-3 * max(1.0, slope) and abs(right - slope) > 1e-3 * slope:
            return f"A reward of 1 at every step is worth {right:.6g}, to this rule {one:.6g}: {sentence}"
    if abs(one - right) > 1e-3 * right or abs(two - right) > 1e-3 * right:
        return (
            f"A reward of 1 at every step is worth {right:.6g}, to this rule {one:.6g} where one pair was logged, and "
            f"{two:.6g} where two were: the shares of the successors do not total one. next_counts must be divided by "
            "the visits N(s, a) of their own pair (data.transition_shares), not by a total"
        )
    return (
        "Where all was logged its values move as they should: it takes a fixed number such as 0 for the smallest "
        "possible value, as a floor or for what was never logged; that is reward_range[0] at every step to come"
    )


def _slope(subject: Subject, visits: list[int]) -> float:
    """How much more the only state is worth if every reward is greater by 1."""
    steps = () if subject.horizon is None else (subject.horizon,)
    counts = np.broadcast_to([visits], (*steps, 1, len(visits)))
    successors = np.zeros((*(1 for _ in steps), 1, len(visits), 1), np.int64)
    better = np.linspace(0.5, 0.4, len(visits))
    data = MDPData(counts, successors, counts[..., None], counts * better, (0.0, 1.0), "deterministic")
    try:
        values = [subject.ask(moved).value for moved in (data, transformed(data, 1.0, 1.0))]
    except RuleError:
        return float("nan")
    return float((values[1] - values[0]).ravel()[0])


# ---- data made from data


def sizes(data: MDPData) -> Sizes:
    return Sizes(data.shape, () if data.horizon is None else (data.horizon,), data.n_states, data.n_actions)


def mapped(
    data: MDPData,
    change: Callable[[str, NDArray[Any]], NDArray[Any]] = lambda name, same: same,
    reward_range: tuple[float, float] | None = None,
) -> MDPData:
    """A copy whose tables are ``change(name, table)``."""
    counts, successors, moved, sums = (np.array(change(name, getattr(data, name)), order="C") for name in TABLES)
    return MDPData.trusted(counts, successors, moved, sums, reward_range or data.reward_range, data.reward_law)


def _listed(data: MDPData, name: str) -> bool:
    """Whether the last axis of a table is that of the successors."""
    return name in ("next_states", "next_counts") or (name == "reward_sums" and data.per_successor)


def permuted_states(data: MDPData, order: Ints) -> MDPData:
    def change(name: str, table: NDArray[Any]) -> NDArray[Any]:
        taken = np.take(table, order, axis=-3 if _listed(data, name) else -2)
        return np.argsort(order).astype(np.int32)[taken] if name == "next_states" else taken

    return mapped(data, change)


def permuted_actions(data: MDPData, order: Ints) -> MDPData:
    return mapped(data, lambda name, table: np.take(table, order, axis=-2 if _listed(data, name) else -1))


def transformed(data: MDPData, a: float, b: float) -> MDPData:
    """The same transitions with rewards a + b r."""
    visits = data.next_counts if data.per_successor else data.counts
    low, high = data.reward_range
    moved = a * visits + b * data.reward_sums
    return mapped(data, lambda name, x: moved if name == "reward_sums" else x, (a + b * low, a + b * high))


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
            places = {"s": -3, "a": -2} if _listed(data, name) else {"s": -2, "a": -1}
            return np.asarray(np.flip(x, axis=tuple(places[axis] for axis in axes)) * times)

        return mapped(data, change)

    family = [member(*x) for x in (("", 1), ("a", 1), ("s", 1), ("", 0), ("", 2), ("", REPLICATED))]
    counts, next_counts, sums = (
        np.stack([getattr(x, name) for x in family]).reshape(*RELATIVES, *getattr(data, name).shape)
        for name in ("counts", "next_counts", "reward_sums")
    )
    return MDPData.trusted(counts, data.next_states, next_counts, sums, data.reward_range, data.reward_law)
