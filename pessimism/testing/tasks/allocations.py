r"""Checking an allocation: known awkward budgets, then many drawn ones.

Totals, floors and symmetries need no claim; a rule that claims to buy in proportion to :math:`|\nu|^q` is held to the
exact fractions, which are known (`pessimism.testing.tasks._allocation`).
"""

from collections.abc import Callable, Collection

from pessimism import _check
from pessimism._types import Floats, Ints
from pessimism.testing._driver import Trial, checked_arguments
from pessimism.testing.tasks._allocation import AllocationError, AllocationSubject, Case, Rule, case_of, cases
from pessimism.testing.tasks._allocation_promises import PROMISES

__all__ = ["AllocationError", "check_allocation"]


def check_allocation(
    rule: Rule,
    *,
    power: float | None = None,
    caps: bool = False,
    waive: Collection[str] = (),
    accepts: Callable[[Floats, Ints], bool] | None = None,
    examples: int = 100,
) -> None:
    r"""Raise an AllocationError that shows the smallest problem found on which a rule breaks a promise.

    Parameters
    ----------
    rule : callable
        ``rule(relevance, budget, floor=...) -> rows``: from (..., M) float and a whole number or (...) int to (..., M)
        int, like `allocate`. The floor is a whole number.
    power : float, optional
        The rule claims to buy :math:`c|\nu_m|^q` within floor and cap, with this q, at least 0. Default: no claim.
    caps : bool
        Whether the rule takes ``caps=...`` too, (M,) int.
    waive : collection of str
        Promises that the rule does not make: "repeat", "signs", "scale", "batch", "tasks" or "monotone".
    accepts : callable, optional
        ``accepts(relevance, budget) -> bool``: what the rule is made for. Nothing else is tried. Default: everything.
    examples : int
        Problems to draw, besides a few fixed ones: one task, a budget of 0, nothing but floors, no relevant task, a
        very large budget.

    Raises
    ------
    AllocationError
        An AssertionError, so that a plain call is a test.
    ValueError, TypeError
        If an argument is out of its range.

    Notes
    -----
    The promises, in the order in which they are reported:

    - contract: whole numbers (int) of shape (..., M); no exception, no RuntimeWarning
    - mutation: the arguments are left as they were
    - "repeat": the same problem, the same answer
    - total: exactly the budget
    - floor, caps: no task below the one or above the other
    - "signs": the signs of the relevance do not matter
    - power: within a row of :math:`\min(\max(c|\nu_m|^q, \text{floor}), \text{cap}_m)`, at the c that spends the
      budget. Not held where no c does: if no task is relevant, or all relevant ones are at their caps. If it is
      broken, the power in use is measured
    - "scale": a multiple of the relevance changes nothing
    - "batch": a problem is answered within a batch as it is alone
    - "tasks": renumbered, they get what they got
    - "monotone": of two tasks the more relevant one gets no fewer rows, if its cap is no lower

    "signs" and the last four allow a difference of one row a task, as ties between remainders leave. The reference
    allocation is derived by us: the total is piecewise linear in c, with at most 2M kinks. Cost: below a millisecond a
    problem.

    Examples
    --------
    >>> from pessimism.tasks import allocate
    >>> check_allocation(allocate, power=1, caps=True, examples=5)

    >>> def squared(relevance, budget, floor=0):
    ...     return allocate(relevance, budget, power=2, floor=floor)
    >>> try:
    ...     check_allocation(squared, power=1, examples=5)
    ... except AllocationError as error:
    ...     print(str(error).partition(".")[0])
    squared breaks "power": it buys in proportion to |nu|^2, not |nu|^1
    """
    __tracebackhide__ = True  # pytest then points at the line of the test
    number, waived = checked_arguments(
        "rule", rule, "relevance and budget", waive, AllocationSubject.waivable, examples
    )
    q = (
        None if power is None else _check.nonnegative("power", power, 100.0)
    )  # above it float64 holds no row but the largest
    subject = AllocationSubject(rule, waived, q, _check.flag("caps", caps), accepts=accepts)
    error = Trial(subject, PROMISES, cases(subject.caps), number).run(_fixed(subject.caps))
    if error is not None:
        raise error


def _fixed(caps: bool) -> dict[str, Case]:
    """Problems that are seldom drawn."""
    found = {
        "one task": case_of([0.5], 7, 2, [9] if caps else None),
        "a budget of 0": case_of([0.5, 0.25], 0, 0, [9, 9] if caps else None),
        "nothing but floors": case_of([0.5, 0.25, 0.0], 6, 2, [9, 9, 9] if caps else None),
        "no relevant task": case_of([0.0, 0.0, 0.0], 7, 1, [9, 9, 9] if caps else None),
        "a very large budget": case_of([1 / 3, -1 / 7, 0.0], 10**12 + 1, 10, [10**12] * 3 if caps else None),
    }
    if caps:
        found["nothing but caps"] = case_of([0.5, 0.25, 0.0], 9, 1, [2, 3, 4])
    return found
