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
from pessimism.mdp import MDP, MDPData
from pessimism.testing._driver import apart, guess, repeat
from pessimism.testing.mdp._answers import Answer
from pessimism.testing.mdp._offline import (
    LAW_TOLERANCE,
    VALUE_TOLERANCE,
    Case,
    OfflineSubject,
    everywhere,
    listed,
    mapped,
    model_of,
    permuted_actions,
    permuted_states,
    transformed,
)
from pessimism.testing.mdp._offline_horizon import likely_cause

JITTER = 1e-3
"""Part of the reward range by which rewards are moved to see whether a change of policy was only a tie."""

RELATIVES = (2, 3)
"""Batch in which a data set is put beside five relatives of it."""

REPLICATED = 10**4
"""How often the longest log of a batch repeats the data set: it can still be divided (10^9 transitions cannot)."""


def batch(subject: OfflineSubject, case: Case, answer: Answer) -> None:
    """A data set is answered within a batch as it is alone."""
    family = relatives(subject, case.data)
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
                "data.n, its axes are counted from the end, it has not converged before its last member has, and "
                "random tie-breaking, if there is any, must not depend on what else is in the batch"
            )
            raise subject.error("batch", text, data, alone)


def seen(subject: OfflineSubject, case: Case, answer: Answer) -> str | None:
    """No action that was never logged is taken in a state where another was."""
    data = case.data
    wrong = ((data.counts == 0) & (answer.law > LAW_TOLERANCE)).any(axis=-1) & data.counts.any(axis=-1)
    if not wrong.any():
        return None
    where = tuple(int(i) for i in np.argwhere(wrong)[0])
    unseen = np.where(data.counts[where] == 0, answer.law[where], 0.0)
    action, known = int(unseen.argmax()), int(data.counts[where].argmax())
    sometimes = f" with probability {unseen[action]:.3g}" if unseen[action] < 1.0 else ""
    return (
        f"{_place(where)} it chose action {action}{sometimes}, which was never logged there, though action {known} was "
        f"({data.counts[where][known]} times). {guess(lambda: _why_unseen(subject, data, where, action, known)) or ''}"
    )


PADDING = 5
"""Entries of count 0 with which every list of successors is padded."""


def lists(subject: OfflineSubject, case: Case, answer: Answer) -> str | None:
    """The order in which a pair's successors are listed does not matter."""
    data = case.data
    after, before = (
        _difference(subject, data, answer, subject.ask(_padded(data, at_end=at_end), "lists"), answer.value)
        for at_end in (True, False)
    )
    if after is not None and before is not None:
        return (
            f"with {PADDING} entries of count 0 more in every list of successors {after}: the length of a list is no "
            "number of successors, which are the states, or those with a count above 0 (does smoothing divide by it?)"
        )
    flip = mapped(data, lambda name, x: x[..., ::-1] if name != "counts" and listed(data, name) else x)
    flipped = _difference(subject, data, answer, subject.ask(flip, "lists"), answer.value)
    how, wrong = ("padded at its end", after) if after else ("written backwards", flipped)
    return wrong and (
        f"with every list of successors (next_states, next_counts) {how} {wrong}: lists are padded with "
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
        f"with every reward times {case.scale:g} and reward_range = {moved.reward_range} {wrong}: "
        f"{guess(lambda: _why_scale(subject, case)) or UNITS}"
    )


UNITS = "widths are in reward units, so they grow with the width of data.reward_range"


def _why_scale(subject: OfflineSubject, case: Case) -> str:
    """Whether what is off falls with the visits, as widths do."""
    off = []
    for visits in (OFTEN // 64, OFTEN):
        data = everywhere(case.data, visits)
        here, there = subject.ask(data), subject.ask(transformed(data, 0.0, case.scale))
        moved = np.abs(there.value - case.scale * here.value).max() / case.scale, np.abs(there.law - here.law).max()
        off.append(float(max(moved)))
    if off[1] <= max(subject.slack(case.data), off[0] / 2.0):
        return UNITS
    return (
        f"so it is where every pair was logged {OFTEN} times and no width matters: are rewards rounded, or is a "
        "constant such as a penalty or a temperature, which is in reward units, fixed?"
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


OFTEN = 2**26
"""Visits of every pair where nothing is uncertain any more."""

EXACT = 1e-4
"""Part of the largest difference between values by which a value may exceed that of the policy then."""


def value(subject: OfflineSubject, case: Case, answer: Answer) -> str | None:
    """Where every pair was logged often, no value exceeds that of the policy returned with it."""
    data = everywhere(case.data, OFTEN)
    model, there = model_of(subject, data), subject.ask(data, "value")
    truth = model.evaluate(there.law)
    over = there.value - truth - subject.slack(data, there) * EXACT / VALUE_TOLERANCE
    if not (over > 0).any():
        return None
    where = tuple(int(i) for i in np.argwhere(over == over.max())[0])
    found, right = apart(float(there.value[where]), float(truth[where]))
    return (
        f"where every pair was logged {OFTEN} times or so, {_place(where)} its value is {found}, and "
        f"the policy returned with it is worth {right}: {_why_value(subject, model, there)}"
    )


def better(subject: OfflineSubject, case: Case, answer: Answer) -> str | None:
    """Of two actions logged equally often and far apart, the worse is not taken everywhere, whichever it is."""
    return subject.cause(_takes_the_worse)


PROMISES = (repeat, batch, seen, lists, states, actions, shift, scale, highest, value, better)
"""In the order in which they are reported: a broken one often breaks those after it, seldom those before."""

TIES_MATTER = ("batch", "lists", "states", "actions", "shift", "scale")


def _difference(subject: OfflineSubject, data: MDPData, answer: Answer, there: Answer, value: Floats) -> str | None:
    """How an answer differs from the one expected: its values, then its policy where actions were logged."""
    growth = max(1.0, float(np.abs(value).max(initial=0.0)) / max(1e-12, float(np.max(np.abs(answer.value)))))
    off = np.abs(there.value - value) > subject.slack(data, answer, there) * growth
    if off.any():
        where = tuple(int(i) for i in np.argwhere(off)[0])
        found, right = apart(float(there.value[where]), float(value[where]))
        return f"{_place(where)} its value is {found}, not {right}"
    moved = (np.abs(there.law - answer.law) > LAW_TOLERANCE).any(axis=-1) & subject.comparable(data)
    if moved.any():
        where = tuple(int(i) for i in np.argwhere(moved)[0])
        taken, own = (law[where].round(6).tolist() for law in (there.law, answer.law))
        return f"{_place(where)} it takes the actions with probabilities {taken}, not {own}"
    return None


def _padded(data: MDPData, *, at_end: bool) -> MDPData:
    """With entries in every list that repeat its first successor, of count and reward 0."""

    def change(name: str, table: NDArray[Any]) -> NDArray[Any]:
        if not listed(data, name):
            return table
        more = np.repeat(table[..., :1], PADDING, axis=-1)
        more = more if name == "next_states" else 0 * more
        return np.concatenate([table, more] if at_end else [more, table], axis=-1)

    return mapped(data, change)


def _takes_the_worse(subject: OfflineSubject) -> str | None:
    for sign in (1, -1):
        data = _two_ways(subject, sign)
        model = model_of(subject, data)
        reached = model.evaluate(subject.ask(data, "better").law)
        if (reached > 0.1 * model.optimal_values).any():
            return None
    return (
        f"where both actions of every state were logged {OFTEN} times, and one always earns 1 and the other 0, it "
        "takes the worse one, whichever it is: argmin or min may stand where argmax or max belongs"
    )


def _two_ways(subject: OfflineSubject, sign: int) -> MDPData:
    """Two states that are never left, with a good and a bad action each: the first is good for one sign."""
    steps = () if subject.horizon is None else (subject.horizon,)
    counts = np.full((*steps, 2, 2), OFTEN)
    successors = np.broadcast_to(np.arange(2)[:, None, None], (*(1 for _ in steps), 2, 2, 1))
    gains = np.array([[1.0, 0.0], [0.0, 1.0]])[::sign]
    return MDPData(counts, successors, counts[..., None], counts * gains, (0.0, 1.0), "deterministic")


def _why_value(subject: OfflineSubject, model: MDP, there: Answer) -> str:
    """What an engineer slips into: the policy and the value are of two minds."""
    if not (there.law * model.gaps).any():
        return (
            "and no policy is worth more: do its rewards or its shares of the successors differ from the logged ones?"
        )
    if (there.law < 1.0).all(axis=-1).any():
        return "a value is what the probabilities returned with it can earn"
    told = guess(
        lambda: KINDS_OF_ACTIONS.get(int(subject.ask(_five_ways(subject)).law[..., 0, :].reshape(-1, 5)[0].argmax()))
    )
    return told or "a value is what the policy returned with it can earn, so both must come from one Q"


KINDS_OF_ACTIONS = {
    0: "it is greedy for the next reward, and the value looks further",
    2: "it takes the worst action, argmin may stand where argmax belongs",
    3: "it takes the action logged most, and the value is of a better one",
    4: "it takes the action logged least, and the value is of a better one",
}
"""What the actions of `_five_ways` stand for; action 1 is the best, which leads to a better state."""


def _five_ways(subject: OfflineSubject) -> MDPData:
    """A state whose five actions are each the first by another standard, and a better state."""
    steps = () if subject.horizon is None else (subject.horizon,)
    times = OFTEN * np.array([[2, 2, 2, 3, 1], [2, 2, 2, 3, 1]])
    gains = np.array([[0.6, 0.5, 0.1, 0.2, 0.25], [0.9, 0.8, 0.7, 0.6, 0.5]])
    successors = np.array([[0, 1, 0, 0, 0], [1, 1, 1, 1, 1]]).reshape(*(1 for _ in steps), 2, 5, 1)
    counts = np.broadcast_to(times, (*steps, 2, 5))
    return MDPData(counts, successors, counts[..., None], counts * gains, (0.0, 1.0), "deterministic")


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


def relatives(subject: OfflineSubject, data: MDPData) -> MDPData:
    """The data set and five others on the same lists, in a batch."""

    def member(axes: str, times: int) -> MDPData:
        def change(name: str, x: NDArray[Any]) -> NDArray[Any]:
            if name == "next_states":
                return x
            places = {"s": -3, "a": -2} if listed(data, name) else {"s": -2, "a": -1}
            return np.asarray(np.flip(x, axis=tuple(places[axis] for axis in axes)) * times)

        return mapped(data, change)

    family = [member(*x) for x in (("", 1), ("a", 1), ("s", 1), ("", 0), ("", 2), ("", REPLICATED))]
    family = subject.admitted(family)
    counts, next_counts, sums = (
        np.stack([getattr(x, name) for x in family]).reshape(*RELATIVES, *getattr(data, name).shape)
        for name in ("counts", "next_counts", "reward_sums")
    )
    return MDPData.trusted(counts, data.next_states, next_counts, sums, data.reward_range, data.reward_law)
