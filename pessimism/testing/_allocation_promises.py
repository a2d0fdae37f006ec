r"""What every allocation owes its user, one function a promise; and the slips that explain a wrong one.

A rule divides a budget N among tasks of relevance :math:`\nu`. If it claims a power q, it must buy
:math:`n_m = \min(\max(c|\nu_m|^q, \text{floor}), \text{cap}_m)` within a row, with c such that the total is N: this
total is piecewise linear in c, so c is known to rounding (`shares`). Two allocations of the same problem may differ by
a row a task, since ties between remainders may be broken either way.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from pessimism._types import Floats, Ints
from pessimism.testing import _plans, _trial
from pessimism.testing.strategies import GRID, _several

Rule = Callable[..., ArrayLike]

RELATIVES = (2, 3)
"""Batch in which a relevance is put beside five relatives of it."""

MAX_TASKS = 6
MAX_ROOT = 40
"""Budgets above the floors are fourth powers of whole numbers up to this: small ones are common, large ones occur."""

ROUNDING = 1e-9
"""Part of the budget by which shares may be off, besides a row."""

PROBE = np.array([0.5, -0.3, 0.15, 0.05, 0.01])
"""Relevance on which every slip has an allocation of its own."""

PROBE_BUDGET, PROBE_FLOOR = 1_000_003, 50_000

ORDERS = st.sampled_from(list(permutations(range(MAX_TASKS)))[1:])
SIZES, ROOTS, FLOORS = st.integers(-GRID, GRID), st.integers(0, MAX_ROOT), st.integers(0, 5)
KINDS = st.integers(0, 4)
NOTHING = 4  # a task in five has relevance 0


class AllocationError(AssertionError):
    """An allocation broke a promise: the message says which, for which relevance, and what was bought."""

    __module__ = "pessimism.testing"  # where users find it, and what tracebacks print


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
    signs = draw(_several(MAX_TASKS, st.sampled_from([-1, 1])))
    m = draw(st.integers(1, MAX_TASKS))
    floor, extra = draw(FLOORS), draw(ROOTS) ** 4
    drawn = np.reshape(draw(_several(m, SIZES, KINDS, ROOTS)), (m, 3))
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
    return Case(problem, tuple(m for m in order if m < len(nu)), signs[: len(nu)], scale)


@dataclass(frozen=True, slots=True)
class Subject:
    """The rule under test, asked in such a way that it can neither pass over a warning nor touch our arrays."""

    rule: Rule
    power: float | None
    caps: bool
    waived: frozenset[str]
    causes: list[str | None] = field(default_factory=list)

    def ask(self, problem: Problem, promise: str = "contract") -> Ints:
        """The rule's answer about copies; an AllocationError if it is not one."""
        batch = problem.relevance.shape[:-1]
        where = f"on a batch of shape {batch} " if batch else ""
        relevance = np.array(problem.relevance)
        budget: Any = np.array(problem.budget) if batch else int(problem.budget)
        options: dict[str, Any] = {"floor": problem.floor}
        if problem.caps is not None:
            options["caps"] = np.array(problem.caps)
        try:
            rows = np.asarray(_plans.called(self.rule, relevance, budget, **options))
        except Exception as error:
            raise self.error(promise, where + _plans.raised(error), problem) from error
        for name, given, handed in (
            ("relevance", problem.relevance, relevance),
            ("budget", problem.budget, budget),
            ("caps", problem.caps, options.get("caps")),
        ):
            if handed is not None and not np.array_equal(np.asarray(given), handed):
                raise self.error("mutation", f"{where}it wrote into {name}: work on a copy", problem)
        wrong = _malformed(rows, problem)
        if wrong is not None:
            raise self.error(promise, where + wrong, problem, rows)
        return rows.astype(np.int64)

    def cause(self) -> str | None:
        """Which slip explains what the rule does on the probe; it is asked once."""
        if not self.causes:
            self.causes.append(likely_cause(self))
        return self.causes[0]

    def error(self, promise: str, wrong: str, problem: Problem, rows: NDArray[Any] | None = None) -> AllocationError:
        fields = {name: value for name, value in problem._asdict().items() if value is not None}
        if rows is not None:
            fields["rows"] = rows
        check = "check_allocation" if promise in WAIVABLE else ""
        return AllocationError(_trial.message(self.rule, promise, wrong, check, fields))


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


# ---- promises


def repeat(subject: Subject, case: Case, rows: Ints) -> None:
    again = subject.ask(case.problem)
    if not np.array_equal(rows, again):
        wrong = f"asked again about the same problem, it answered {again.tolist()}: give its generator a fixed seed"
        raise subject.error("repeat", wrong, case.problem, rows)


def floor(subject: Subject, case: Case, rows: Ints) -> None:
    least = case.problem.floor
    if (rows < least).any():
        m = int(np.argmax(rows < least))
        why = (
            "a head without rows stays unknown: is the floor forgotten, or lost when the rows are scaled to the total?"
        )
        text = f"task {m} gets {rows[m]} rows, and the floor is {least}: {why}"
        raise subject.error("floor", text, case.problem, rows)


def caps(subject: Subject, case: Case, rows: Ints) -> None:
    if case.problem.caps is not None and (rows > case.problem.caps).any():
        m = int(np.argmax(rows > case.problem.caps))
        text = f"task {m} gets {rows[m]} rows, and its cap is {case.problem.caps[m]}"
        raise subject.error("caps", text, case.problem, rows)


def total(subject: Subject, case: Case, rows: Ints) -> None:
    problem, n_tasks = case.problem, len(rows)
    bought, budget = int(rows.sum()), int(problem.budget)
    over = bought - budget
    if over == 0:
        return
    why = "the budget is what is bought, so that rules are compared at equal totals"
    if over > 0 and over == n_tasks * problem.floor:
        why = "the floors are added on top of the budget: they are part of it"
    elif over > 0 and problem.floor and (rows == problem.floor).any():
        why = "what raises tasks to the floor must come off the others: c is found again once the floors are set"
    elif -n_tasks < over < 0:
        why = "every share is cut to a whole number: give the rows left over to the largest remainders"
    elif abs(over) < n_tasks:
        why = "every share is rounded by itself: give rows to the largest remainders until the total is right"
    raise subject.error("total", f"it buys {bought} rows of a budget of {budget}: {why}", problem, rows)


def signs(subject: Subject, case: Case, rows: Ints) -> None:
    moved = case.problem._replace(relevance=case.problem.relevance * np.array(case.signs))
    text = (
        f"with the signs of the relevance times {list(case.signs)}, {{}}: a task of negative relevance is as useful, "
        "take the absolute value"
    )
    _as_before(subject, "signs", case, rows, moved, rows, text)


def power(subject: Subject, case: Case, rows: Ints) -> None:
    problem = case.problem
    exact = None if subject.power is None else shares(problem, subject.power)
    if exact is None:
        return
    wrong = np.abs(rows - exact) > 1 + ROUNDING * float(problem.budget)
    if wrong.any():
        m = int(np.argmax(np.abs(rows - exact)))
        cause = subject.cause()
        text = "" if cause is None else f"{cause}. Where it shows: "
        bounds = "the floor" if problem.caps is None else "floor and cap"
        text += (
            f"task {m} gets {rows[m]} rows, and c |nu|^{subject.power:g} within {bounds} is {exact[m]:.6g} at the c "
            "that spends the budget"
        )
        raise subject.error("power", text, problem, rows)


def monotone(subject: Subject, case: Case, rows: Ints) -> None:
    """A more relevant task gets no fewer rows, but for one that rounding may have given to its equal."""
    size, most = np.abs(case.problem.relevance), case.problem.most
    worse = (size[:, None] > size) & (most[:, None] >= most) & (rows[:, None] < rows - 1)
    if worse.any():
        i, j = (int(m) for m in np.argwhere(worse)[0])
        text = (
            f"task {i} is more relevant than task {j} ({size[i]:.6g} and {size[j]:.6g}) and gets fewer rows, {rows[i]} "
            f"and {rows[j]}"
        )
        raise subject.error("monotone", text, case.problem, rows)


def tasks(subject: Subject, case: Case, rows: Ints) -> None:
    order, problem = np.array(case.order), case.problem
    moved = problem._replace(
        relevance=problem.relevance[order], caps=None if problem.caps is None else problem.caps[order]
    )
    text = f"with the tasks in the order {list(case.order)}, {{}}: it goes by their number"
    _as_before(subject, "tasks", case, rows, moved, rows[order], text)


def scale(subject: Subject, case: Case, rows: Ints) -> None:
    moved = case.problem._replace(relevance=case.problem.relevance * case.scale)
    text = (
        f"with the relevance times {case.scale:g}, {{}}: only its proportions matter, c makes up for its size (is the "
        "relevance divided by its total?)"
    )
    _as_before(subject, "scale", case, rows, moved, rows, text)


def batch(subject: Subject, case: Case, rows: Ints) -> None:
    family = relatives(case.problem)
    together = subject.ask(
        case.problem._replace(
            relevance=np.stack([member.relevance for member in family]).reshape(*RELATIVES, -1),
            budget=np.reshape([member.budget for member in family], RELATIVES),
        ),
        "batch",
    ).reshape(len(family), -1)
    for i, (member, found) in enumerate(zip(family, together, strict=True)):
        alone = subject.ask(member)
        if np.abs(found - alone).max() > 1 or (found.sum() != alone.sum()):
            text = (
                f"number {i} in a batch of shape {RELATIVES} gets {found.tolist()}, not what it gets alone: totals are "
                "sums over the last axis, one for each relevance of the batch"
            )
            raise subject.error("batch", text, member, alone)


PROMISES: dict[str, Callable[[Subject, Case, Ints], None]] = {
    "repeat": repeat,
    "total": total,
    "floor": floor,
    "caps": caps,
    "signs": signs,
    "power": power,
    "scale": scale,
    "batch": batch,
    "tasks": tasks,
    "monotone": monotone,
}
"""Promises in the order in which they are reported."""

WAIVABLE = ("repeat", "signs", "scale", "batch", "tasks", "monotone")


def _as_before(
    subject: Subject, promise: str, case: Case, rows: Ints, moved: Problem, expected: Ints, text: str
) -> None:
    found = subject.ask(moved, promise)
    apart = np.abs(found - expected)
    if apart.max() > 1:
        m = int(apart.argmax())
        wrong = f"task {m} gets {found[m]} rows, and must get {expected[m]}, give or take one"
        raise subject.error(promise, text.format(wrong), case.problem, rows)


def relatives(problem: Problem) -> list[Problem]:
    nu, least = problem.relevance, np.array(problem.floor * problem.relevance.shape[-1], np.int64)
    half = (problem.budget + least) // 2
    return [
        problem,
        problem._replace(relevance=nu[::-1]),
        problem._replace(relevance=8.0 * nu),
        problem._replace(relevance=nu**2),
        problem._replace(budget=least),
        problem._replace(budget=np.asarray(half)),
    ]


# ---- the claimed allocation


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


# ---- what a wrong rule does instead


def likely_cause(subject: Subject) -> str | None:
    """Which slip explains the allocations of the probe, if one does."""
    free, bound = (Problem(PROBE, np.array(PROBE_BUDGET), floor, None) for floor in (0, PROBE_FLOOR))
    if subject.caps:
        free, bound = (part._replace(caps=np.full(len(PROBE), PROBE_BUDGET)) for part in (free, bound))
    try:
        rows, floored = subject.ask(free), subject.ask(bound)
    except AllocationError:
        return None
    claimed = float(subject.power or 0.0)
    exact = shares(free, claimed)
    if exact is None or np.abs(rows - exact).max() > 2:
        return _measured(rows, claimed)
    exact = shares(bound, claimed)
    if exact is not None and np.abs(floored - exact).max() > 2:
        rest = shares(free._replace(budget=free.budget - len(PROBE) * PROBE_FLOOR), claimed)
        if rest is not None and np.abs(floored - PROBE_FLOOR - rest).max() <= 2:
            return "it buys the floor and then a share of the rest, the sum and not the maximum of both"
        return "it divides well without floors and not with them: c is found again once the floors are set"
    return None


def _measured(rows: Ints, claimed: float) -> str:
    """The power in use, if it is one."""
    size = np.abs(PROBE)
    if (rows > 0).all():
        powers = np.diff(np.log(rows)) / np.diff(np.log(size))
        if np.ptp(powers) < 0.01:
            return f"it buys in proportion to |nu|^{powers.round(2)[0] + 0.0:g}, not |nu|^{claimed:g}"
        heights = np.diff(np.log(rows)) / np.diff(size)
        if np.ptp(heights) < 0.01 * np.abs(heights).max():
            return f"it is a softmax: it buys in proportion to exp({heights[0]:.3g} |nu|), not |nu|^{claimed:g}"
    elif np.count_nonzero(rows) == 1:
        return "all goes to one task: several are relevant"
    return f"it does not buy in proportion to |nu|^{claimed:g} where no floor binds, nor to another power of it"
