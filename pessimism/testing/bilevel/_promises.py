r"""What every bilevel solver owes its user, one function a promise."""

from typing import Any

import numpy as np

from pessimism._types import Floats
from pessimism.bilevel.problem import KINDS
from pessimism.testing.bilevel._gradient import descends, plain_factor
from pessimism.testing.bilevel._samples import samples
from pessimism.testing.bilevel._solver import LONG, MAX_BUDGET, PROBE, Answer, Case, SolverSubject, path_of
from pessimism.testing.bilevel._watched_problem import View

TOLERANCE = 1e-6
"""Largest relative difference between runs that are equal up to rounding: normalised steps enlarge it."""


def repeat(subject: SolverSubject, case: Case, answer: Answer) -> str | None:
    """The same rng, the same run."""
    again = subject.ask(case)
    for name, first, second in (("x", answer.x, again.x), ("y", answer.y, again.y)):
        if not np.array_equal(first, second):
            wrong = f"asked again with the same rng, it ends at {name} = {second.tolist()}, not {first.tolist()}"
            return f"{wrong}: draw from rng alone, and keep nothing between runs"
    return None


def seed(subject: SolverSubject, case: Case, answer: Answer) -> str | None:
    """On the probe another rng gives another run, if samples are drawn; elsewhere samples may be equal."""
    if case.recipe is not PROBE or not answer.watched.drawn:
        return None
    for budget in (case.budget, LONG):  # what sets up a run may be exact
        runs = [subject.ask(case._replace(budget=budget, seed=case.seed + k)) for k in (0, 1)]
        if not all(np.array_equal(getattr(runs[0], name), getattr(runs[1], name)) for name in "xy"):
            return None
    return f"it draws samples, and with rng={case.seed + 1} it ends at the same x and y: draw them from rng"


def counts(subject: SolverSubject, case: Case, answer: Answer) -> str | None:
    """ncalls and cost are the calls that were made."""
    return _miscounted(answer, "", "also those that set up a run")


def _miscounted(answer: Answer, where: str, hint: str, before: Any = None) -> str | None:
    made, told = dict(answer.watched.made), answer.result.ncalls
    if before is not None and sum(told.values()) == sum(made.values()) + sum(before.ncalls.values()):
        made = {kind: made[kind] + before.ncalls.get(kind, 0) for kind in KINDS}  # a solver may add up
    for kind in KINDS:
        told = answer.result.ncalls.get(kind, 0)
        if told != made[kind]:
            return f"{where}it made {made[kind]} calls of {kind} and reports {told}: every call counts, {hint}"
    total = sum(made.values())
    if float(answer.result.cost) != total:
        return f"{where}it made {total} calls and reports a cost of {answer.result.cost}"
    return None


def idle(subject: SolverSubject, case: Case, answer: Answer) -> str | None:
    """Neither x nor y moves without a call."""
    for name, start, end in (("x", case.x0, answer.x), ("y", case.y0, answer.y)):
        if not any(answer.watched.made.values()) and not np.array_equal(start, end):
            return f"without a single call it moved from {name}0 to {name} = {end.tolist()}"
    return None


def zero(subject: SolverSubject, case: Case, answer: Answer) -> None:
    """Where f = 0, g = |y|^2/2 and y0 = 0, x stays exactly where it is."""
    empty = case._replace(y0=np.zeros_like(case.y0))
    found = subject.ask(empty, "zero", View(empty=True, exact=True), where="where every direction is 0, ")
    if not np.array_equal(found.x, case.x0):
        wrong = f"with f = 0, g = |y|^2/2 and y0 = 0 every direction is 0, and it moves to x = {found.x.tolist()}"
        raise subject.error("zero", f"{wrong}: leave x where it is, and restart nothing at random", empty)


def length(subject: SolverSubject, case: Case, answer: Answer) -> str | None:
    """Every step has the claimed length, except where x does not move; or it is that multiple of the gradient."""
    if subject.step is None:
        return None
    wrong = _unclaimed(subject, case, answer)
    plain = subject.cause(plain_factor) if wrong is not None and not subject.normalised else None
    return wrong if plain is None else plain or None


def _unclaimed(subject: SolverSubject, case: Case, answer: Answer) -> str | None:
    found = path_of(answer, case.x0)
    if isinstance(found, str) or subject.step is None:
        return found if isinstance(found, str) else None
    path, steps = found
    claims = {t: float(subject.step(t)) for t in steps[:-1]}
    for before, after, t in zip(path[:-1], path[1:], claims, strict=True):
        moved, size = float(np.linalg.norm(after - before)), float(np.linalg.norm(before))
        near = {i for i, eta in claims.items() if abs(moved - eta) <= 8 * np.finfo(float).eps * (size + eta)}
        if moved > 0 and t not in near:
            wrong = f"step {t} is {moved:.17g} long, and {claims[t]:.17g} was claimed"
            hint = (
                "is the schedule off by one" if near & {t - 1, t + 1} else "is all of the direction normalised at once"
            )
            return f"{wrong}: {hint}?"
    return None


def scale(subject: SolverSubject, case: Case, answer: Answer) -> str | None:
    """A multiple of f changes no x of a normalised method."""
    if not subject.normalised:
        return None
    found = subject.ask(case, "scale", View(factor=case.factor), where=f"with f times {case.factor:g}, ")
    if not _apart(found.x, answer.x):
        return None
    return (
        f"with f times {case.factor:g} it ends at x = {found.x.tolist()}, not {answer.x.tolist()}: a normalised "
        "direction has no scale, is a constant added to its length, or z not begun at 0?"
    )


def rotation(subject: SolverSubject, case: Case, answer: Answer) -> str | None:
    """In coordinates Qx, Q orthogonal, it ends at Q times its x."""
    turn = turned(case)
    found = subject.ask(case, "rotation", View(turn=turn), x0=turn @ case.x0, where="in turned coordinates of x, ")
    expected = turn @ answer.x
    # where a gradient is exactly 0, it is rounding in other coordinates, and a normalised step goes anywhere
    if not _apart(found.x, expected) or answer.watched.flat:
        return None
    return (
        f"in coordinates Qx, Q = {turn.round(3).tolist()}, it ends at {found.x.tolist()}, and Q times its answer "
        f"is {expected.tolist()}: is each coordinate normalised, clipped or scaled by itself?"
    )


def resume(subject: SolverSubject, case: Case, answer: Answer) -> str | None:
    """A run cut after a step and resumed from its result ends where one run does, and counts its own calls.

    Between two moves of x a step ends, at which call only the solver knows: one cut must do.
    """
    if not subject.resumable:
        return None
    ready = 0
    if case.recipe is PROBE:  # also where what sets up a run outlasts the budget of the case
        ready = subject.ask(case._replace(budget=LONG)).watched.before_x_moved or 0
        case = case._replace(budget=max(case.budget, ready + MAX_BUDGET // 2))
        answer = subject.ask(case)
    moves = _moves(subject, case, max(ready, 1))
    if len(moves) < 2:
        return None
    low, high = moves[-2:]
    for cut in range(low, high):
        rng, rest = np.random.default_rng(case.seed), case._replace(budget=case.budget - cut)
        where = f"resumed after {cut} calls for {rest.budget} more, "
        first = subject.ask(case._replace(budget=cut), rng=rng).result
        found = subject.ask(rest, "resume", x0=first, rng=rng, where=where)
        wrong = _miscounted(found, where, "and those of the run before all or none", first)
        if wrong is not None:
            raise subject.error("counts", wrong, case)
        if not _apart(found.x, answer.x):
            return None
    return (
        f"{cut} calls and, from that result, {rest.budget} more end at x = {found.x.tolist()}, and {case.budget} at "
        f"once at {answer.x.tolist()}, as for each cut since {low}: are momentum, z and the number of the step kept, "
        "warm starts not made again, and no sample drawn before the first call of a step?"
    )


def _moves(subject: SolverSubject, case: Case, first: int) -> list[int]:
    """The calls from the first on at which x moves, at most three: a first step is often special."""
    found, before = [], case.x0
    for budget in range(first, case.budget + 1):
        x = subject.ask(case._replace(budget=budget)).x
        if not np.array_equal(x, before):
            found.append(budget)
            before = x
        if len(found) == 3:
            break
    return found


PROMISES = (repeat, samples, seed, counts, idle, zero, length, scale, rotation, resume, descends)
"""In the order in which they are reported."""


def turned(case: Case) -> Floats:
    """An orthogonal matrix; -1 in one dimension."""
    n = case.recipe.problem.dim_x
    if n == 1:
        return np.array([[-1.0]])
    v = np.arange(1.0, n + 1.0) ** case.angle
    return np.asarray(np.eye(n) - 2.0 * np.outer(v, v) / (v @ v))  # a reflection that mixes all coordinates


def _apart(found: Floats, expected: Floats) -> bool:
    return bool(np.abs(found - expected).max() > TOLERANCE * (1.0 + np.abs(expected).max()))
