r"""What every rule owes its user, one function a promise.

A rule maps the pulls :math:`N(s,a)` (`counts`) and reward sums of a log to one arm per context. Whatever it is for, the
answer should not depend on how arms and contexts are numbered, on the zero and the unit of the reward, or on the other
data sets of the batch; it should be repeatable, leave the data alone, and not bet on an arm that nobody has tried while
a tried one is there. None of this sees an interval that is too narrow; that is what a claimed level is for.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from pessimism._types import Floats, Ints
from pessimism.bandits import BanditData
from pessimism.testing._driver import RuleError, Subject, assignments, guess, repeat
from pessimism.testing._whole_numbers import ORDERS, below
from pessimism.testing.bandit import _level
from pessimism.testing.bandit._drawn import drawn_rounds

Rule = Callable[[BanditData], ArrayLike]

FIELDS = ("counts", "sums", "squares")

NUMBERS = "it depends on their numbering"

UNITS = "widths are in reward units, so they grow with the width of data.reward_range"

RELATIVES = (2, 3)
"""Batch in which a data set is put beside five relatives of it."""

CROWDS = ((64,), (1, 64))
"""Batches whose first axes are far from S and A, in which a rule is asked close to where it changes its mind."""

WRAPS = (2**31, 2**32, math.isqrt(2**63) + 1)
"""Pulls at which counts in 32 bits, with and without a sign, and their squares in 64 bits overflow."""

WRAP_LEAD, WRAP_SHARE = 0.0437, 0.2718
"""A lead far beyond any width at these pulls, and how many pulls the other arm has: no thresholds of any rule."""

EQUAL = 10**6
"""Pulls of every arm where the worse is not to be preferred."""

COUNTLESS = 10**10
"""How often a data set is repeated to see whether a mistake has to do with widths."""

REPLICATED = 10**6
"""How often the longest log of that batch repeats the data set: a total over the whole batch is then far off."""


class Case(NamedTuple):
    """A data set without ties, and what is done to it."""

    data: BanditData
    arm_order: tuple[int, ...]
    context_order: tuple[int, ...]
    shift: float
    scale: float


UNTIED = drawn_rounds((3, 4), 500, (), (0.0, 1.0), False)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    # the data last: what comes before then stays in place while they shrink
    arm_order, context_order = draw(ORDERS), draw(ORDERS)
    # powers of two: scaling is then exact, and what changes is the rule's doing
    shift, scale = draw(st.sampled_from([1.0, -1.0, 4.0])), draw(st.sampled_from([4.0, 0.25, 1024.0]))
    data = draw(UNTIED)
    return Case(data, below(data.n_arms, arm_order), below(data.n_contexts, context_order), shift, scale)


@dataclass(frozen=True, slots=True)
class RuleSubject(Subject[Case, BanditData, Ints]):
    """A rule, and the level that it claims."""

    check, asked = "check_rule", "data"
    error_type = RuleError
    waivable = (
        "repeat",
        "batch",
        "pulled",
        "arms",
        "contexts",
        "better",
        "shift",
        "scale",
    )

    level: _level.Level | None = None

    def about(self, case: Case) -> BanditData:
        return case.data

    def ask(self, given: BanditData, promise: str = "contract") -> Ints:
        """(..., S) arms."""
        where = f"in a batch of shape {given.shape} " if given.shape else ""
        copy = _mapped(given, np.copy)
        tables = {f"data.{name}": (getattr(given, name), getattr(copy, name)) for name in FIELDS}
        for _, table in tables.values():
            table.setflags(write=True)
        policy = self.called(
            lambda: np.asarray(self.function(copy)), given, promise, where=where, batch=bool(given.shape), tables=tables
        )
        wrong = _malformed(policy, given)
        if wrong is not None:
            raise self.error(promise, where + wrong, given, policy)
        return np.asarray(policy.astype(np.int64))

    def shown(self, given: BanditData, answer: Ints | None) -> list[str]:
        """Of a batch, the shape has to do."""
        names = () if given.shape else FIELDS
        fields = {name: getattr(given, name) for name in names} or {"counts.shape": given.counts.shape}
        return assignments(
            {**fields, "reward_range": given.reward_range} | ({} if answer is None else {"answer": answer})
        )

    def differs(self, case: Case, answer: Ints, again: Ints) -> bool:
        return bool(_differs(case.data, answer, again).any())

    def comparable(self, data: BanditData) -> NDArray[np.bool_]:
        """(..., S) contexts in which the choice is between pulled arms, which have a mean and a width."""
        pulled = data.counts > 0
        return np.asarray(pulled.all(axis=-1) if "pulled" in self.waived else pulled.any(axis=-1))


# ---- promises, in the order in which they are reported: a broken one often breaks those after it, seldom those before


def batch(subject: RuleSubject, case: Case, policy: Ints) -> None:
    """A data set is answered within a batch as it is alone."""
    family = _relatives(subject, case.data)
    together = subject.ask(family, "batch")
    for index in np.ndindex(*RELATIVES):
        alone = policy if not any(index) else subject.ask(family[index])
        _as_alone(subject, family, together, index, alone)


def pulled(subject: RuleSubject, case: Case, policy: Ints) -> str | None:
    """No arm without pulls is chosen in a context that has an arm with pulls."""
    data = case.data
    wrong = (_at(data.counts, policy) == 0) & data.counts.any(axis=-1)
    if not wrong.any():
        return None
    s = int(np.argmax(wrong))
    seen = int(np.argmax(data.counts[s]))
    return (
        f"in context {s} it chose arm {policy[s]}, which was never pulled, though arm {seen} was "
        f"(pulls: {data.counts[s, seen]}). {guess(lambda: _why_unpulled(subject, data, s, policy, seen)) or ''}"
    )


def arms(subject: RuleSubject, case: Case, policy: Ints) -> str | None:
    """Renumbered, the same arms are chosen."""
    order = np.array(case.arm_order)
    answer = order[subject.ask(_taken(case.data, order, -1), "arms")]
    if not _differs(case.data, policy, answer).any():
        return None
    found = f"with the arms in the order {order.tolist()} it answered, in the numbers below, {answer.tolist()}"
    return f"{found}: {guess(lambda: _why_numbers(subject, case, order)) or NUMBERS}"


def contexts(subject: RuleSubject, case: Case, policy: Ints) -> str | None:
    """With the contexts renumbered, the same arms are chosen in them."""
    order = np.array(case.context_order)
    answer = subject.ask(_taken(case.data, order, -2), "contexts")[np.argsort(order)]
    if not _differs(case.data, policy, answer).any():
        return None
    found = f"with the contexts in the order {order.tolist()} it answered, in the order below, {answer.tolist()}"
    return f"{found}: it depends on their numbering, or mixes contexts up"


def better(subject: RuleSubject, case: Case, policy: Ints) -> str | None:
    """Of two arms pulled equally often and far apart, the worse is not preferred, whichever it is."""
    return None if subject.level is not None else subject.cause(_prefers_the_worse)  # a claimed level says more


def shift(subject: RuleSubject, case: Case, policy: Ints) -> str | None:
    """A constant added to every reward, with the reward range moved along, changes nothing."""
    answer = _transformed_answer(subject, "shift", case, policy, case.shift, 1.0)
    if answer is None:
        return None
    low, high = case.data.reward_range
    return (
        f"with {case.shift:g} added to every reward and reward_range = ({low + case.shift:g}, {high + case.shift:g}), "
        f"it answered {answer}: does it compare sums where means belong, or take 0 for the lowest reward?"
    )


def level(subject: RuleSubject, case: Case, policy: Ints) -> str | None:
    """The chosen arm has the highest index of the claimed level, to the accuracy of its width."""
    data = case.data
    if subject.level is None or data.n == 0:
        return None
    claim = float(np.asarray(subject.level(int(data.n), data.n_contexts, data.n_arms)))
    index, width = _claimed_index(data, claim)
    best = index.argmax(axis=-1)
    slack = _level.ACCURACY * (_at(width, policy) + _at(width, best)) + _level.RESOLUTION
    wrong = subject.comparable(data) & (_at(index, best) - _at(index, policy) > slack)
    if not wrong.any():
        return None
    s = int(np.argmax(wrong))
    return (
        f"in context {s} it chose arm {policy[s]}, with index {index[s, policy[s]]:.4g} at the claimed level "
        f"L = {claim:.4g}; arm {best[s]} has {index[s, best[s]]:.4g}"
    )


def scale(subject: RuleSubject, case: Case, policy: Ints) -> str | None:
    """A multiple of every reward, with the reward range scaled along, changes nothing."""
    answer = _transformed_answer(subject, "scale", case, policy, 0.0, case.scale)
    if answer is None:
        return None
    low, high = case.data.reward_range
    return (
        f"with every reward times {case.scale:g} and reward_range = ({low * case.scale:g}, {high * case.scale:g}), "
        f"it answered {answer}: {guess(lambda: _why_scale(subject, case)) or UNITS}"
    )


PROMISES = (repeat, batch, pulled, arms, contexts, better, shift, level, scale)


# ---- promises tried once, where drawn data are too small, or too far from where the rule changes its mind


def crowd(subject: RuleSubject) -> None:
    """The promise "batch" close to where the rule changes its mind: there S or A off by the shape of a batch shows."""
    turn = _level.turning(subject.ask)
    if turn is None:
        return
    duel, lead = turn
    slack = max(_level.ACCURACY * abs(lead), _level.RESOLUTION)
    members = [duel.data(lead - slack), duel.data(lead + slack)]
    alone = [subject.ask(member) for member in members]
    for shape in CROWDS:
        family = _stacked(members * (math.prod(shape) // 2), shape)
        together = subject.ask(family, "batch")
        for place, index in enumerate(np.ndindex(*shape)):
            _as_alone(subject, family, together, index, alone[place % 2])


def wrap(subject: RuleSubject) -> None:
    """One pull more or less, of billions, changes no choice."""
    for edge in WRAPS:
        for lead in (-WRAP_LEAD, WRAP_LEAD):
            below, above = (_level.Duel(2, 2, int(WRAP_SHARE * edge), many).data(lead) for many in (edge - 1, edge))
            before, after = subject.ask(below), subject.ask(above)
            if not np.array_equal(before, after):
                wrong = (
                    f"with {edge - 1} pulls in place of {edge} it answered {before.tolist()}: do whole numbers "
                    "overflow? counts are int64, and so are totals"
                )
                raise subject.error("contract", wrong, above, after)


# ---- what the promises share


def _as_alone(subject: RuleSubject, family: BanditData, together: Ints, index: tuple[int, ...], alone: Ints) -> None:
    if _differs(family[index], alone, together[index]).any():  # ties may be broken anew
        wrong = (
            f"within a batch of shape {family.shape} this data set is answered {together[index].tolist()}, not as it "
            "is alone: a data set's totals are sums over the last two axes (data.n), S and A are the lengths of these "
            "(data.n_contexts, data.n_arms), its maxima are over the last, and what is drawn must not depend on what "
            "else is in the batch"
        )
        raise subject.error("batch", wrong, family[index], alone)


def _transformed_answer(
    subject: RuleSubject, promise: str, case: Case, policy: Ints, a: float, b: float
) -> list[int] | None:
    """The answer for rewards a + b r, if it is another one where the choice is between pulled arms."""
    answer = subject.ask(_transformed(case.data, a, b), promise)
    # the index of an unpulled arm may be a number of the rule's own
    differs = _differs(case.data, policy, answer) & subject.comparable(case.data)
    return answer.tolist() if differs.any() else None


def _differs(data: BanditData, policy: Ints, answer: NDArray[Any]) -> NDArray[np.bool_]:
    """(S,) contexts with another choice; arms with the same statistics are one and the same."""
    differs = np.zeros(policy.shape, dtype=bool)
    for name in FIELDS:
        statistic = getattr(data, name)
        differs |= _at(statistic, policy) != _at(statistic, answer)
    return differs


def _why_unpulled(subject: RuleSubject, data: BanditData, s: int, policy: Ints, seen: int) -> str:
    # let arm 0 and the pulled arm change places: a fall-back stays at 0, a good opinion of unpulled arms moves away
    order = np.arange(data.n_arms)
    order[[0, seen]] = seen, 0
    if policy[s] == 0 and subject.ask(_taken(data, order, -1))[s] == 0:
        return "It falls back to index 0, whichever arm that is"
    return "An arm without pulls has no mean: give it the index -inf (0 beats every bound below 0, NaN wins any argmax)"


def _prefers_the_worse(subject: RuleSubject) -> str | None:
    counts, means = np.full((2, 2), EQUAL), np.array([[0.9, 0.1], [0.9, 0.1]])
    answers = [subject.ask(BanditData(counts, counts * x, counts * x), "better") for x in (means, means[:, ::-1])]
    if (answers[0] == 0).any() or (answers[1] == 1).any():
        return None
    return (
        f"where both arms were pulled {EQUAL} times it chose {answers[0].tolist()} when arm 0 was best by far, and "
        f"{answers[1].tolist()} when arm 1 was: argmin may stand where argmax belongs"
    )


def _why_numbers(subject: RuleSubject, case: Case, order: NDArray[np.integer]) -> str:
    # with so many pulls no width matters, and no bound is cut off
    many = _mapped(case.data, partial(np.multiply, COUNTLESS))
    there = order[subject.ask(_taken(many, order, -1))]
    if _differs(many, subject.ask(many), there).any():
        return NUMBERS
    return (
        "with ten billion times the pulls, where no width matters, it does not depend on their numbering. Are an arm's "
        "own pulls in its width? Or are bounds cut off, at 0 or at the lowest reward? They are then equal and the "
        "first arm wins: compare them before they are cut off"
    )


def _why_scale(subject: RuleSubject, case: Case) -> str:
    many = _mapped(case.data, partial(np.multiply, COUNTLESS))
    if _transformed_answer(subject, "scale", case._replace(data=many), subject.ask(many), 0.0, case.scale) is None:
        return UNITS
    return "so it does with ten billion times the pulls, where no width matters: are means rounded, or set against 0.5?"


def _malformed(policy: NDArray[Any], data: BanditData) -> str | None:
    shape, expected = data.counts.shape, data.counts.shape[:-1]
    if policy.dtype.kind not in "iu":
        return f"a policy holds arm numbers (int), it returned dtype {policy.dtype}: is max used for argmax?"
    if policy.shape != expected:
        hint = "one arm per context"
        if policy.shape == shape:
            hint = "one number per arm: is the argmax missing?"
        elif expected == (*policy.shape, 1):
            hint = "without the axis of the one context: is the answer squeezed?"
        elif policy.ndim == 0:
            hint = "a single arm: the argmax needs axis=-1"
        elif taken := [axis for axis in range(len(shape)) if policy.shape == shape[:axis] + shape[axis + 1 :]]:
            hint = f"as if the best were taken over axis {taken[0]}: arms are the last axis (axis=-1)"
        return f"its answer must have shape {expected}, got {policy.shape}, {hint}"
    bad = (policy < 0) | (policy >= data.n_arms)
    if bad.any():
        return f"it chose arm {policy[bad][0]}, but arms are numbered from 0 to {data.n_arms - 1}"
    return None


def _claimed_index(data: BanditData, claim: float) -> tuple[Floats, Floats]:
    """Index and width of every arm of one data set; an unpulled arm is worse than any other."""
    if np.isinf(claim):
        index, width = np.sign(claim) * data.counts, np.zeros(data.counts.shape)
    else:
        low, high = data.reward_range
        width = (high - low) * np.sqrt(abs(claim) / np.maximum(data.counts, 1))
        index = data.means - np.sign(claim) * width
    return np.where(data.counts > 0, index, np.finfo(np.float64).min), width


def _at(table: NDArray[Any], policy: NDArray[Any]) -> NDArray[Any]:
    return np.take_along_axis(table, policy[..., None], axis=-1)[..., 0]


def _mapped(data: BanditData, change: Callable[[NDArray[Any]], NDArray[Any]]) -> BanditData:
    counts, sums, squares = (np.ascontiguousarray(change(getattr(data, name))) for name in FIELDS)
    return BanditData.trusted(counts, sums, squares, data.reward_range)


def _taken(data: BanditData, order: NDArray[np.integer], axis: int) -> BanditData:
    return _mapped(data, lambda array: np.take(array, order, axis=axis))


def _transformed(data: BanditData, a: float, b: float) -> BanditData:
    """The same rounds with rewards a + b r."""
    squares = np.zeros_like(data.sums) if data.squares is None else data.squares
    low, high = data.reward_range
    return BanditData.trusted(
        data.counts,
        a * data.counts + b * data.sums,
        a * a * data.counts + 2 * a * b * data.sums + b * b * squares,
        (a + b * low, a + b * high),
    )


def _relatives(subject: RuleSubject, data: BanditData) -> BanditData:
    turned = [_taken(data, np.arange(data.counts.shape[axis])[::-1], axis) for axis in (-1, -2)]
    repeated = [_mapped(data, partial(np.multiply, times)) for times in (0, 2, REPLICATED)]
    return _stacked(subject.admitted([data, *turned, *repeated]), RELATIVES)


def _stacked(members: list[BanditData], shape: tuple[int, ...]) -> BanditData:
    first = members[0]
    counts, sums, squares = (
        np.stack([getattr(member, name) for member in members]).reshape(*shape, *first.counts.shape) for name in FIELDS
    )
    return BanditData.trusted(counts, sums, squares, first.reward_range)
