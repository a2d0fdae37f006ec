r"""What an estimator of the value of a policy owes its user, one function a promise.

An estimator maps counts N(s, a), reward sums S(s, a), a policy pi(a|s) and a behavior mu(s, a) to a number. Whatever
it is, arms and contexts may be renumbered (by a transposition: a cyclic renaming would not see an off-by-one arm), and
what nobody plays may be left out. What it claims besides is a promise by name.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from pessimism._types import Floats
from pessimism.bandits import Bandit, BanditData, risk
from pessimism.testing._driver import PromiseError, Subject, answer_of_like, assignments
from pessimism.testing.bandit import _slips
from pessimism.testing.bandit._rare import hidden_limit
from pessimism.testing.bandit._rows import OfRows
from pessimism.testing.bandit._slips import Log

CONTEXTS, ARMS = 2, 3
"""Size of every log that is tried, so that an estimator may hold a model of its own."""

RELATIVE = 1e-9
"""Agreement that rounding leaves."""

COUNTS = np.array([[300, 294, 6], [100, 100, 200]])
MEANS = np.array([[1 / 3, 1 / 2, 5 / 6], [1 / 4, 3 / 5, 1 / 8]])
POLICY = np.array([[0.2, 0.0, 0.8], [0.5, 0.3, 0.2]])
VALUE = 0.572
"""Of the perfect log: its counts are n mu and its sums n mu r. It is lopsided, so that no two mistakes look alike."""

RARE = np.array([[0.3, 0.2, 0.1], [0.2, 0.2 - 1e-9, 1e-9]])
"""A law with a pair so rare that any limit of the weights shows."""


class EstimatorError(PromiseError):
    """An estimator or an interval broke a promise: the message says which, on which log, and what it answered."""


class Given(NamedTuple):
    """What an estimator is called with."""

    data: BanditData
    policy: Floats
    behavior: Floats


class Case(NamedTuple):
    """A log, and in which arm and context the transpositions begin."""

    given: Given
    arm: int


@dataclass(frozen=True, slots=True)
class EstimatorSubject(Subject[Case, Given, Floats]):
    """An estimator, the one that it claims to be, and what else it claims."""

    check, asked = "check_estimator", "log"
    error_type = EstimatorError
    waivable = ("repeat", "batch", "arms", "contexts", "unused", "support", "perfect", "doubled", "like")

    like: Callable[..., Any] | None = None
    model: Floats | None = None

    def about(self, case: Case) -> Given:
        return case.given

    def ask(self, given: Given, promise: str = "contract") -> Floats:
        data = given.data
        copy = BanditData(data.counts, data.sums, data.squares, data.reward_range)
        policy, law = given.policy.copy(), given.behavior.copy()
        tables = {
            "data.counts": (data.counts, copy.counts),
            "data.sums": (data.sums, copy.sums),
            "policy": (given.policy, policy),
            "behavior": (given.behavior, law),
        }
        for array in (copy.counts, copy.sums, policy, law):
            array.setflags(write=True)
        where = f"in a batch of shape {data.shape} " if data.shape else ""
        estimate = self.called(
            lambda: np.asarray(self.function(copy, policy, law)),
            given,
            promise,
            where=where,
            batch=bool(data.shape),
            tables=tables,
        )
        if estimate.shape != data.shape or estimate.dtype != np.float64:
            wrong = f"{where}it returned {estimate.dtype} of shape {estimate.shape}, not float64 of shape {data.shape}"
            raise self.error(promise, wrong, given)
        return np.asarray(estimate)

    def shown(self, given: Given, answer: Floats | None) -> list[str]:
        data = given.data
        shown = {"counts": data.counts, "sums": data.sums} if not data.shape else {"counts.shape": data.counts.shape}
        rest = {"policy": given.policy, "behavior": given.behavior}
        return assignments(shown | rest | ({} if answer is None else {"answer": answer}))

    def told(self, given: Given, value: float, wrong: str) -> str:
        """What is wrong, after the mistake that gives this number on this log."""
        data = given.data
        cause = _slips.named(Log(data.counts, data.sums, given.policy, given.behavior, self.model), value)
        return wrong if cause is None else f"{cause}. Where it shows: {wrong}"


def same(one: Floats, other: Floats) -> bool:
    return bool(np.allclose(one, other, rtol=RELATIVE, atol=RELATIVE, equal_nan=True))


# ---- promises on drawn logs


def batch(subject: EstimatorSubject, case: Case, answer: Floats) -> str | None:
    """A data set is valued within a batch as it is alone."""
    given = case.given
    other = BanditData(given.data.counts + 1, given.data.sums + 0.5)
    counts, sums = (np.stack([getattr(d, f) for d in (given.data, other)]) for f in ("counts", "sums"))
    together = subject.ask(Given(BanditData(counts, sums), given.policy, given.behavior), "batch")
    alone = np.array([float(answer), float(subject.ask(Given(other, *given[1:]), "batch"))])
    if not same(together, alone):
        return f"in a batch of two it gave {together.tolist()}, alone {alone.tolist()}"
    return None


def arms(subject: EstimatorSubject, case: Case, answer: Floats) -> str | None:
    """Two arms change their numbers."""
    order = list(range(ARMS))
    first, second = case.arm % ARMS, (case.arm + 1) % ARMS
    order[first], order[second] = order[second], order[first]
    again = subject.ask(_renumbered(case.given, slice(None), order), "arms")
    return None if same(again, answer) else f"arms {first} and {second} renumbered, it gave {float(again):.17g}"


def contexts(subject: EstimatorSubject, case: Case, answer: Floats) -> str | None:
    """The contexts change their numbers."""
    again = subject.ask(_renumbered(case.given, [1, 0], slice(None)), "contexts")
    return None if same(again, answer) else f"the contexts renumbered, it gave {float(again):.17g}"


def unused(subject: EstimatorSubject, case: Case, answer: Floats) -> str | None:
    """An arm that nobody plays may be added."""
    given = case.given
    counts, sums, policy, law = (
        np.concatenate([x, np.zeros((CONTEXTS, 1), x.dtype)], axis=1)
        for x in (given.data.counts, given.data.sums, given.policy, given.behavior)
    )
    again = subject.ask(Given(BanditData(counts, sums), policy, law), "unused")
    return None if same(again, answer) else f"with an arm added that nobody plays it gave {float(again):.17g}"


def doubled(subject: EstimatorSubject, case: Case, answer: Floats) -> str | None:
    """The log written twice has the same value."""
    data = case.given.data
    again = subject.ask(Given(BanditData(2 * data.counts, 2 * data.sums), *case.given[1:]), "doubled")
    return None if same(again, answer) else f"the log written twice, it gave {float(again):.17g}"


def split(subject: EstimatorSubject, case: Case, answer: Floats) -> str | None:
    """The estimate of a log is the average of those of its parts, by rounds."""
    data = case.given.data
    half = data.counts // 2
    parts = [BanditData(c, c * data.means) for c in (half, data.counts - half)]
    if any(part.n == 0 for part in parts):
        return None
    values = [float(subject.ask(Given(part, *case.given[1:]), "split")) for part in parts]
    average = sum(float(part.n) * value for part, value in zip(parts, values, strict=True)) / float(data.n)
    return None if same(answer, np.asarray(average)) else f"its parts average to {average:.17g}"


def linear(subject: EstimatorSubject, case: Case, answer: Floats) -> str | None:
    """The estimate is linear in the policy."""
    given, uniform = case.given, np.full((CONTEXTS, ARMS), 1.0 / ARMS)
    other = float(subject.ask(given._replace(policy=uniform), "linear"))
    mixed = float(subject.ask(given._replace(policy=0.25 * given.policy + 0.75 * uniform), "linear"))
    expected = 0.25 * float(answer) + 0.75 * other
    return (
        None if same(np.asarray(mixed), np.asarray(expected)) else f"a mixture gave {mixed:.17g}, not {expected:.17g}"
    )


def on_policy(subject: EstimatorSubject, case: Case, answer: Floats) -> str | None:
    """The behavior itself is worth the mean reward."""
    given = case.given
    law = given.behavior
    own = law / law.sum(axis=1, keepdims=True)
    found, mean = subject.ask(given._replace(policy=own), "on_policy"), given.data.sums.sum() / given.data.n
    return (
        None
        if same(found, np.asarray(mean))
        else f"of the behavior itself it gave {float(found):.17g}, not {mean:.17g}"
    )


def scale(subject: EstimatorSubject, case: Case, answer: Floats) -> str | None:
    """Rewards in another unit give the value in that unit."""
    data = case.given.data
    found = subject.ask(case.given._replace(data=BanditData(data.counts, 4 * data.sums, None, (0, 4))), "scale")
    return None if same(found, 4 * answer) else f"of rewards four times as large it gave {float(found):.17g}"


def shift(subject: EstimatorSubject, case: Case, answer: Floats) -> str | None:
    """Rewards that are all larger by 1 are worth 1 more."""
    data = case.given.data
    found = subject.ask(
        case.given._replace(data=BanditData(data.counts, data.sums + data.counts, None, (1, 2))), "shift"
    )
    return None if same(found, 1 + answer) else f"of rewards larger by 1 it gave {float(found):.17g}"


def within(subject: EstimatorSubject, case: Case, answer: Floats) -> str | None:
    """The estimate lies in the range of rewards, of this log and of one whose rewards are all 1."""
    given = case.given
    ones = BanditData(given.data.counts, given.data.counts * 1.0)
    for value in (float(answer), float(subject.ask(given._replace(data=ones), "within"))):
        if not -RELATIVE <= value <= 1 + RELATIVE:
            return f"{value:.17g} is outside [0, 1]"
    return None


def constant(subject: EstimatorSubject, case: Case, answer: Floats) -> str | None:
    """Rewards that are all 1 are worth 1, and all 0 are worth 0."""
    given = case.given
    for reward in (1.0, 0.0):
        found = subject.ask(given._replace(data=BanditData(given.data.counts, reward * given.data.counts)), "constant")
        if not same(found, np.asarray(reward)):
            cause = "; self-normalisation is missing" if reward else ""
            return f"where every reward is {reward:g} it gave {float(found):.17g}{cause}"
    return None


def like(subject: EstimatorSubject, case: Case, answer: Floats) -> str | None:
    """What it claims to be."""
    if subject.like is None:
        return None
    ours = answer_of_like(subject.like(*case.given), np.shape(answer))
    if same(answer, ours):
        return None
    wrong = f"it gave {float(answer):.10g}, the estimator that it is to be like {float(ours):.10g}"
    return subject.told(case.given, float(answer), wrong)


# ---- promises on logs of our own


def perfect(subject: EstimatorSubject) -> None:
    """On a log that repeats the law exactly, the value."""
    given = Given(BanditData(COUNTS, COUNTS * MEANS), POLICY, COUNTS / COUNTS.sum())
    found = float(subject.ask(given, "perfect"))
    if not abs(found - VALUE) <= RELATIVE:
        wrong = f"on a log whose counts are n mu and whose sums are n mu r it gave {found:.10g}, the value is {VALUE}"
        raise subject.error("perfect", subject.told(given, found, wrong), given)
    limit = hidden_limit(lambda *asked: float(subject.ask(Given(*asked), "perfect")))
    if limit is not None:
        cause, data, law = limit
        raise subject.error("perfect", cause, Given(data, POLICY, law))


def support(subject: EstimatorSubject) -> None:
    """What the behavior never plays cannot be weighed: a ValueError, not a number; rows never show such a pair."""
    if isinstance(subject.function, OfRows):
        return
    counts = np.array([[3, 0, 2], [2, 1, 2]])
    law = counts / 10
    policy = np.array([[0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    given = Given(BanditData(counts, counts * 0.5), policy, law)
    try:
        found = np.asarray(subject.function(given.data, policy.copy(), law.copy()))
    except ValueError:
        return
    except Exception as error:
        wrong = f"the policy plays arm 1 in context 0, which the behavior never plays: it raised {type(error).__name__}"
        raise subject.error("support", f"{wrong}, not a ValueError", given) from error
    met = law.sum(axis=1, keepdims=True)
    if np.all(np.isfinite(found)) and not same(found, subject.ask(given._replace(behavior=met / ARMS), "support")):
        wrong = f"the policy plays arm 1 in context 0, which the behavior never plays, and it gave {found.tolist()}"
        raise subject.error("support", f"{wrong} in place of a ValueError", given)


def unbiased(subject: EstimatorSubject) -> None:
    """Over every log of three rounds, each as often as it occurs, the value on average."""
    worlds = Bandit(np.array([MEANS, 1.0 - MEANS]))
    data = risk.every_log(3, CONTEXTS, ARMS)
    for law in (COUNTS / COUNTS.sum(), RARE):
        given = Given(data, POLICY, law)
        estimate = subject.ask(given, "unbiased")
        chance = np.exp(risk.log_probability(data, worlds, law))
        values = (law.sum(axis=1, keepdims=True) * POLICY * worlds.means).sum(axis=(-2, -1))
        found = chance @ estimate
        for mean, value in zip(found.tolist(), values.tolist(), strict=True):
            if not abs(mean - value) <= 1e-7 * (1.0 if law is not RARE else 10.0):
                wrong = f"over all logs of three rounds it is {mean:.10g} on average, the value is {value:.10g}"
                raise subject.error("unbiased", _single(subject, data, estimate, law, wrong), given)


def everywhere_like(subject: EstimatorSubject) -> None:
    """What it claims to be, on every log of three rounds."""
    assert subject.like is not None
    data = risk.every_log(3, CONTEXTS, ARMS)
    for law in (COUNTS / COUNTS.sum(), RARE):
        given = Given(data, POLICY, law)
        ours, found = answer_of_like(subject.like(data, POLICY, law), data.shape), subject.ask(given, "like")
        off = ~np.isclose(found, ours, rtol=RELATIVE, atol=RELATIVE, equal_nan=True)
        if off.any():
            at = int(np.flatnonzero(off)[0])
            wrong = f"it gave {float(found[at]):.10g}, the estimator that it is to be like {float(ours[at]):.10g}"
            raise subject.error("like", _single(subject, data, found, law, wrong, at), given._replace(data=data[at]))


def _single(
    subject: EstimatorSubject, data: BanditData, found: Floats, law: Floats, wrong: str, at: int | None = None
) -> str:
    """The mistake that explains the answers on all logs of a batch, or on one."""
    votes: dict[str, int] = {}
    places = range(0, len(found), 7) if at is None else [at, *range(0, len(found), 7)]
    for i in places:
        log = Log(data.counts[i], data.sums[i], POLICY, law, subject.model)
        cause = None if math.isnan(found[i]) else _slips.named(log, float(found[i]))
        if cause is not None:
            votes[cause] = votes.get(cause, 0) + 1
    told = {cause for cause, count in votes.items() if count >= len(list(places)) // 2}
    return f"{min(told, key=len)}. Where it shows: {wrong}" if told else wrong


def _renumbered(given: Given, contexts: Any, arms: Any) -> Given:
    def moved(table: Any) -> Any:
        return np.ascontiguousarray(table[contexts][:, arms])

    data = BanditData(moved(given.data.counts), moved(given.data.sums))
    return Given(data, moved(given.policy), moved(given.behavior))


ALWAYS = (batch, arms, contexts, unused)
CLAIMS = {
    "doubled": doubled,
    "split": split,
    "linear": linear,
    "on_policy": on_policy,
    "scale": scale,
    "shift": shift,
    "within": within,
    "constant": constant,
}
OF_THEIR_OWN = {"perfect": perfect, "support": support, "unbiased": unbiased, "like": everywhere_like}


@st.composite
def cases(draw: st.DrawFn) -> Case:
    numbers = draw(
        st.tuples(*[st.integers(1, 40)] * (2 * CONTEXTS * ARMS), *[st.integers(0, 9)] * (2 * CONTEXTS * ARMS))
    )
    tables = np.reshape(numbers, (4, CONTEXTS, ARMS))
    counts, law = tables[0], tables[1] / tables[1].sum()
    sums = np.minimum(tables[2], counts).astype(float)
    policy = tables[3] + np.eye(CONTEXTS, ARMS)
    return Case(
        Given(BanditData(counts, sums), policy / policy.sum(axis=1, keepdims=True), law), draw(st.integers(0, 2))
    )
