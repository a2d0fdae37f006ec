"""The offline rule under test: data that it is asked about, and how it is asked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from pessimism._types import Ints
from pessimism.mdp import MDP, MDPData
from pessimism.testing._driver import RuleError, Subject, assignments
from pessimism.testing._whole_numbers import ORDERS, below
from pessimism.testing.mdp._answers import Answer, Sizes, lines, read
from pessimism.testing.mdp._drawn import drawn_data

OfflineRule = Callable[..., Any]

TABLES = ("counts", "next_states", "next_counts", "reward_sums")

LAW_TOLERANCE = 1e-6

VALUE_TOLERANCE = 1e-5
"""Values are compared to this part of the largest difference between values: rules stop when they are nearly done."""

RANGES = ((0.0, 1.0), (-2.0, -1.0))
"""Reward ranges of drawn data: in the second, 0 is optimism."""


class Case(NamedTuple):
    """A data set without ties, and what is done to it."""

    data: MDPData
    action_order: tuple[int, ...]
    state_order: tuple[int, ...]
    shift: float
    scale: float


@st.composite
def cases(draw: st.DrawFn, horizon: int | None) -> Case:
    # the data last: what comes before then stays in place while they shrink
    action_order, state_order = draw(ORDERS), draw(ORDERS)
    shift, scale = draw(st.sampled_from([1.0, -1.0, 4.0])), draw(st.sampled_from([4.0, 0.25]))
    size = 4 if horizon is None else 3
    ranges = {low_high: drawn_data((size, 3), 500, horizon, (), low_high, False) for low_high in RANGES}
    data = draw(ranges[draw(st.sampled_from(RANGES))])
    return Case(data, below(data.n_actions, action_order), below(data.n_states, state_order), shift, scale)


@dataclass(frozen=True, slots=True)
class OfflineSubject(Subject[Case, MDPData, Answer]):
    """An offline rule, and what it is called with."""

    check, asked = "check_offline_rule", "data"
    error_type = RuleError
    waivable = (
        *("repeat", "batch", "seen", "lists", "states", "actions", "shift", "scale", "highest"),
        *("value", "better"),
    )

    discount: float
    horizon: int | None = None

    @property
    def worth(self) -> Any:
        """Value of a reward of 1 at every step; with a horizon, (H, 1) for every step."""
        if self.horizon is None:
            return 1.0 / (1.0 - self.discount)
        return np.arange(self.horizon, 0, -1.0)[:, None]

    @property
    def keywords(self) -> dict[str, Any]:
        """What the rule is called with beside the data."""
        return {"discount": self.discount} if self.horizon is None else {"horizon": self.horizon}

    def about(self, case: Case) -> MDPData:
        return case.data

    def ask(self, given: MDPData, promise: str = "contract") -> Answer:
        """Policy and values."""
        where = f"in a batch of shape {given.shape} " if given.shape else ""
        copy = mapped(given)
        tables = {f"data.{name}": (getattr(given, name), getattr(copy, name)) for name in TABLES}
        for _, table in tables.values():
            table.setflags(write=True)
        result = self.called(
            lambda: self.function(copy, **self.keywords),
            given,
            promise,
            where=where,
            batch=bool(given.shape),
            tables=tables,
        )
        answer = read(result, sizes(given), single=True)
        if isinstance(answer, str):
            raise self.error(promise, where + answer, given)
        return answer

    def shown(self, given: MDPData, answer: Answer | None) -> list[str]:
        """Data and answer; of a batch, the shape has to do."""
        names = () if given.shape else (*TABLES, "reward_range", "reward_law")
        fields = {name: getattr(given, name) for name in names} or {"counts.shape": given.counts.shape}
        return assignments(fields | self.keywords | lines(answer))

    def text(self, answer: Answer) -> str:
        return str(answer)

    def differs(self, case: Case, answer: Answer, again: Answer) -> bool:
        apart = np.abs(again.value - answer.value) > self.slack(case.data, answer, again)
        moved = (np.abs(again.law - answer.law) > LAW_TOLERANCE).any(axis=-1) & self.comparable(case.data)
        return bool(apart.any() or moved.any())

    def comparable(self, data: MDPData) -> NDArray[np.bool_]:
        """(..., [H,] S) states in which the choice is between logged actions."""
        logged = data.counts > 0
        return np.asarray(logged.all(axis=-1) if "seen" in self.waived else logged.any(axis=-1))

    def slack(self, data: MDPData, *answers: Answer) -> float:
        """By how much values may differ that should be equal."""
        low, high = data.reward_range
        certified = sum(0.0 if answer.error_bound is None else float(np.max(answer.error_bound)) for answer in answers)
        return VALUE_TOLERANCE * (high - low) * float(np.max(self.worth)) + certified


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


def model_of(subject: OfflineSubject, data: MDPData) -> MDP:
    """The model in which every pair does what was logged of it."""
    model: MDP = data.model(subject.discount) if data.horizon is None else data.model()
    return model


def everywhere(data: MDPData, visits: int) -> MDPData:
    """The log with every pair seen `visits` times or a little less, in the same shares; what was not seen, as listed
    first and at the lowest reward."""
    seen = data.counts > 0
    times = visits // np.maximum(data.counts, 1)
    moved = data.next_counts * times[..., None]
    moved[..., 0] += np.where(seen, 0, visits)
    low = np.where(seen, 0.0, visits * data.reward_range[0])
    if data.per_successor:
        sums = data.reward_sums * times[..., None]
        sums[..., 0] += low
    else:
        sums = data.reward_sums * times + low
    tables = {"counts": moved.sum(axis=-1), "next_counts": moved, "reward_sums": sums}
    return mapped(data, lambda name, same: tables.get(name, same))


def listed(data: MDPData, name: str) -> bool:
    """Whether the last axis of a table is that of the successors."""
    return name in ("next_states", "next_counts") or (name == "reward_sums" and data.per_successor)


def permuted_states(data: MDPData, order: Ints) -> MDPData:
    def change(name: str, table: NDArray[Any]) -> NDArray[Any]:
        taken = np.take(table, order, axis=-3 if listed(data, name) else -2)
        return np.argsort(order).astype(np.int32)[taken] if name == "next_states" else taken

    return mapped(data, change)


def permuted_actions(data: MDPData, order: Ints) -> MDPData:
    return mapped(data, lambda name, table: np.take(table, order, axis=-2 if listed(data, name) else -1))


def transformed(data: MDPData, a: float, b: float) -> MDPData:
    """The same transitions with rewards a + b r."""
    visits = data.next_counts if data.per_successor else data.counts
    low, high = data.reward_range
    moved = a * visits + b * data.reward_sums
    return mapped(data, lambda name, x: moved if name == "reward_sums" else x, (a + b * low, a + b * high))
