r"""What every allocation owes its user, one function a promise.

A rule divides a budget N among tasks of relevance :math:`\nu`. Two allocations of the same problem may differ by a row
a task, since ties between remainders may be broken either way.
"""

import numpy as np

from pessimism._types import Ints
from pessimism.testing._driver import repeat
from pessimism.testing.tasks._allocation import AllocationSubject, Case, Problem, shares
from pessimism.testing.tasks._allocation_mistakes import likely_cause

RELATIVES = (2, 3)
"""Batch in which a relevance is put beside five relatives of it."""

ROUNDING = 1e-9
"""Part of the budget by which shares may be off, besides a row."""


def total(subject: AllocationSubject, case: Case, rows: Ints) -> str | None:
    """Exactly the budget is bought."""
    problem, n_tasks = case.problem, len(rows)
    bought, budget = int(rows.sum()), int(problem.budget)
    over = bought - budget
    if over == 0:
        return None
    why = "the budget is what is bought, so that rules are compared at equal totals"
    exact = None if subject.power is None else shares(problem, subject.power)
    if exact is not None and n_tasks > 1 and np.array_equal(rows, np.ceil(exact - ROUNDING)):
        why = "every share is rounded up: give the rows left over to the largest remainders"
    elif over > 0 and over == n_tasks * problem.floor:
        why = "the floors are added on top of the budget: they are part of it"
    elif over > 0 and problem.floor and (rows == problem.floor).any():
        why = "rows that raise tasks to the floor must be taken from the others: find c again once floors are set"
    elif (
        over < 0
        and problem.floor
        and not rows[problem.relevance == 0].any()
        and over == -(problem.floor * np.count_nonzero(problem.relevance == 0))
    ):
        why = "tasks of no relevance get no floor: that is for every task"
    elif over <= -n_tasks and problem.caps is not None and (rows == problem.caps).any():
        why = "what is cut off at a cap must go to the others: find c again once caps are set"
    elif over % 2**32 == 0:
        why = "the rows are numbers of 32 bits, which are too few: compute in int64"
    elif -n_tasks < over < 0:
        why = "every share is cut to a whole number: give the rows left over to the largest remainders"
    elif abs(over) < n_tasks:
        why = "every share is rounded by itself: give rows to the largest remainders until the total is right"
    return f"it buys {bought} rows of a budget of {budget}: {why}"


def floor(subject: AllocationSubject, case: Case, rows: Ints) -> str | None:
    """No task is below the floor."""
    least = case.problem.floor
    m = int(np.argmax(rows < least))
    if rows[m] >= least:
        return None
    why = "a head without rows stays unknown: is the floor forgotten, or lost when the rows are scaled to the total?"
    return f"task {m} gets {rows[m]} rows, and the floor is {least}: {why}"


def caps(subject: AllocationSubject, case: Case, rows: Ints) -> str | None:
    """No task is above its cap."""
    if case.problem.caps is None or (rows <= case.problem.caps).all():
        return None
    m = int(np.argmax(rows > case.problem.caps))
    return f"task {m} gets {rows[m]} rows, and its cap is {case.problem.caps[m]}"


def signs(subject: AllocationSubject, case: Case, rows: Ints) -> str | None:
    """The signs of the relevance do not matter."""
    moved = case.problem._replace(relevance=case.problem.relevance * np.array(case.signs))
    wrong = _wrong_about(subject, "signs", moved, rows)
    return wrong and (
        f"with the signs of the relevance times {list(case.signs)}, {wrong}: a task of negative relevance is as "
        "useful, take the absolute value"
    )


def power(subject: AllocationSubject, case: Case, rows: Ints) -> str | None:
    """With a claimed power, the shares at the c that spends the budget, within a row."""
    problem = case.problem
    exact = None if subject.power is None else shares(problem, subject.power)
    if exact is None or np.all(np.abs(rows - exact) <= 1 + ROUNDING * float(problem.budget)):
        return None
    m = int(np.argmax(np.abs(rows - exact)))
    bounds = "the floor" if problem.caps is None else "floor and cap"
    return subject.explained(
        likely_cause,
        f"task {m} gets {rows[m]} rows, and c |nu|^{subject.power:g} within {bounds} is {exact[m]:.6g} at the c "
        "that spends the budget",
    )


def scale(subject: AllocationSubject, case: Case, rows: Ints) -> str | None:
    """A multiple of the relevance changes nothing."""
    moved = case.problem._replace(relevance=case.problem.relevance * case.scale)
    wrong = _wrong_about(subject, "scale", moved, rows)
    return wrong and (
        f"with the relevance times {case.scale:g}, {wrong}: only its proportions matter, c makes up for its size (is "
        "the relevance divided by its total?)"
    )


def batch(subject: AllocationSubject, case: Case, rows: Ints) -> None:
    """A problem is answered within a batch as it is alone."""
    family = subject.admitted(relatives(case.problem))
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


def tasks(subject: AllocationSubject, case: Case, rows: Ints) -> str | None:
    """With the tasks renumbered, they get what they got."""
    order, problem = np.array(case.order), case.problem
    moved = problem._replace(
        relevance=problem.relevance[order], caps=None if problem.caps is None else problem.caps[order]
    )
    wrong = _wrong_about(subject, "tasks", moved, rows[order])
    return wrong and f"with the tasks in the order {list(case.order)}, {wrong}: it depends on their numbering"


def monotone(subject: AllocationSubject, case: Case, rows: Ints) -> str | None:
    """A more relevant task gets no fewer rows, but for one that rounding may have given to its equal."""
    size, most = np.abs(case.problem.relevance), case.problem.most
    worse = (size[:, None] > size) & (most[:, None] >= most) & (rows[:, None] < rows - 1)
    if not worse.any():
        return None
    i, j = (int(m) for m in np.argwhere(worse)[0])
    return (
        f"task {i} is more relevant than task {j} ({size[i]:.6g} and {size[j]:.6g}) and gets fewer rows, {rows[i]} "
        f"and {rows[j]}"
    )


PROMISES = (repeat, total, floor, caps, signs, power, scale, batch, tasks, monotone)
"""In the order in which they are reported."""


def _wrong_about(subject: AllocationSubject, promise: str, moved: Problem, expected: Ints) -> str | None:
    found = subject.ask(moved, promise)
    m = int(np.abs(found - expected).argmax())
    if abs(found[m] - expected[m]) <= 1:
        return None
    return f"task {m} gets {found[m]} rows, and must get {expected[m]}, give or take one"


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
