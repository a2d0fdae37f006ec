r"""The allocation under test: what is divided, how it is asked, and what it must buy if it claims a power q.

That is :math:`n_m = \min(\max(c|\nu_m|^q, \text{floor}), \text{cap}_m)` within a row, with c such that the total is the
budget: this total is piecewise linear in c, so c is known to rounding (`shares`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any, ClassVar, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from pessimism._types import Floats, Ints
from pessimism.testing._driver import PromiseError, Subject, assignments
from pessimism.testing._whole_numbers import GRID, below, several

Rule = Callable[..., ArrayLike]

MAX_TASKS = 6
MAX_ROOT = 40
"""Budgets above the floors are fourth powers of whole numbers up to this: small ones are common, large ones occur."""

ORDERS = st.sampled_from(list(permutations(range(MAX_TASKS)))[1:])
SIZES, ROOTS, FLOORS = st.integers(-GRID, GRID), st.integers(0, MAX_ROOT), st.integers(0, 5)
KINDS = st.integers(0, 4)
NOTHING = 4  # a task in five has relevance 0


class AllocationError(PromiseError):
    """An allocation broke a promise: the message says which, for which relevance, and what was bought."""


class Problem(NamedTuple):
    """What is divided: relevance (..., M), budget (...), a floor, and caps (M) if the rule takes them."""

    relevance: Floats
    budget: Ints
    floor: int
    caps: Ints | None

    @property
    def most(self) -> Ints:
        """(M,) the most rows of each task."""
        return np.full(self.relevance.shape[-1], int(self.budget)) if self.caps is None else self.caps


class Case(NamedTuple):
    """A problem, and what is done to it."""

    problem: Problem
    order: tuple[int, ...]
    signs: tuple[int, ...]
    scale: float


@st.composite
def cases(draw: st.DrawFn, caps: bool) -> Case:
    # the problem last: what comes before then stays in place while it shrinks
    order, scale = draw(ORDERS), draw(st.sampled_from([4.0, 0.25, 2.0**20]))
    signs = draw(several(MAX_TASKS, st.sampled_from([-1, 1])))
    m = draw(st.integers(1, MAX_TASKS))
    floor, extra = draw(FLOORS), draw(ROOTS) ** 4
    drawn = np.reshape(draw(several(m, SIZES, KINDS, ROOTS)), (m, 3))
    relevance = np.where(drawn[:, 1] == NOTHING, 0, drawn[:, 0]) / GRID
    most = floor + drawn[:, 2] ** 4 if caps else None
    budget = m * floor + extra
    return case_of(
        relevance, budget if most is None else min(budget, int(most.sum())), floor, most, order, signs, scale
    )


def case_of(
    relevance: ArrayLike,
    budget: int,
    floor: int = 0,
    caps: ArrayLike | None = None,
    order: tuple[int, ...] = (5, 4, 3, 2, 1, 0),
    signs: tuple[int, ...] = (-1, -1, 1, -1, 1, 1),
    scale: float = 4.0,
) -> Case:
    nu = np.array(relevance, np.float64)
    most = None if caps is None else np.array(caps, np.int64)
    problem = Problem(nu, np.array(budget, np.int64), floor, most)
    return Case(problem, below(len(nu), order), signs[: len(nu)], scale)


@dataclass(frozen=True, slots=True)
class AllocationSubject(Subject[Case, Problem, Ints]):
    """An allocation, and what it claims."""

    check, asked = "check_allocation", "problem"
    error_type = AllocationError
    implied: ClassVar[Mapping[str, tuple[str, ...]]] = {"total": ("power",), "floor": ("power",)}
    waivable = ("repeat", "signs", "scale", "batch", "tasks", "monotone")

    power: float | None = None
    caps: bool = False

    def about(self, case: Case) -> Problem:
        return case.problem

    def ask(self, given: Problem, promise: str = "contract") -> Ints:
        """Rows of every task."""
        batch = given.relevance.shape[:-1]
        where = f"on a batch of shape {batch} " if batch else ""
        relevance, budget = np.array(given.relevance), np.array(given.budget)
        tables = {"relevance": (given.relevance, relevance), "budget": (given.budget, budget)}
        options: dict[str, Any] = {"floor": given.floor}
        if given.caps is not None:
            options["caps"] = np.array(given.caps)
            tables["caps"] = given.caps, options["caps"]

        def call() -> NDArray[Any]:
            return np.asarray(self.function(relevance, budget if batch else int(budget), **options))

        rows = self.called(call, given, promise, where=where, batch=bool(batch), tables=tables)
        wrong = _malformed(rows, given)
        if wrong is not None:
            raise self.error(promise, where + wrong, given, rows)
        return np.asarray(rows.astype(np.int64))

    def admits(self, given: Problem) -> bool:
        return self.accepts is None or bool(self.accepts(given.relevance, given.budget))

    def shown(self, given: Problem, answer: Ints | None) -> list[str]:
        """Problem and rows."""
        fields = {name: value for name, value in given._asdict().items() if value is not None}
        return assignments(fields | ({} if answer is None else {"rows": answer}))


def _malformed(rows: NDArray[Any], problem: Problem) -> str | None:
    expected = problem.relevance.shape
    if rows.dtype.kind not in "iu":
        return f"rows are whole numbers (int), its have dtype {rows.dtype}: round them to the largest remainders"
    if rows.shape != expected:
        hint = "rows for each task"
        if rows.shape == expected[-1:]:
            hint = "one answer for the whole batch: leading axes are kept"
        return f"its answer must have shape {expected}, got {rows.shape}, {hint}"
    return None


def shares(problem: Problem, q: float) -> Floats | None:
    """Fractions min(max(c |nu|^q, floor), cap) of total N; None where no c has it, or any."""
    size = np.abs(problem.relevance)
    weights = (size / size.max()) ** q if size.any() else size**q
    low, high = np.full(len(size), float(problem.floor)), problem.most.astype(np.float64)
    used = weights > 0
    if not used.any() or np.where(used, high, low).sum() < float(problem.budget):
        return None
    ends = np.unique(np.concatenate([low[used] / weights[used], high[used] / weights[used], [0.0]]))
    totals = np.clip(ends[:, None] * weights, low, high).sum(axis=-1)
    c = np.interp(float(problem.budget), totals, ends)
    return np.asarray(np.clip(c * weights, low, high))
