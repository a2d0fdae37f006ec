r"""What every bilevel solver owes its user, one function a promise."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pessimism._types import Floats
from pessimism.bilevel.problem import KINDS
from pessimism.testing.bilevel._solver import PROBE, Answer, Case, SolverSubject, numbers
from pessimism.testing.bilevel._watched_problem import View

TOLERANCE = 1e-6
"""Largest relative difference between runs that are equal up to rounding: normalised steps enlarge it."""

PROBE_BUDGET = 2000
PROBE_SHARE = 0.05
"""Least share of what F can fall on the probe: wrong signs make it rise, and slow methods are not wrong."""


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
    other = subject.ask(case._replace(seed=case.seed + 1))
    if not (np.array_equal(other.x, answer.x) and np.array_equal(other.y, answer.y)):
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
    """Every step has the claimed length, except where x does not move."""
    if subject.step is None:
        return None
    found = _path(case, answer)
    if isinstance(found, str):
        return found
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


def _path(case: Case, answer: Answer) -> tuple[Floats, list[int]] | str:
    """Every x of the run, and the numbers of the steps that follow; or what is wrong with the history."""
    history = getattr(answer.result, "history", None)
    held = history if isinstance(history, Mapping) else {}
    path, steps = numbers(held.get("x")), numbers(held.get("nit"))
    if path is None or steps is None or steps.ndim != 1 or path.shape != (len(steps), len(case.x0)):
        return 'a claimed step needs history["nit"] and history["x"], with a row for x0 and for every step'
    if np.any(np.diff(steps) != 1):
        return f'a claimed step needs every step in the history: record each, history["nit"] is {steps.tolist()}'
    if not (len(path) and np.array_equal(path[0], case.x0) and np.array_equal(path[-1], answer.x)):
        return f'history["x"] must lead from x0 to x = {answer.x.tolist()}, got {path.tolist()}'
    return path, [int(t) for t in steps]


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
    moves = _moves(subject, case) if subject.resumable else []
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


def _moves(subject: SolverSubject, case: Case) -> list[int]:
    """The calls at which x moves, at most three: a first step is often special."""
    found, before = [], case.x0
    for budget in range(1, case.budget + 1):
        x = subject.ask(case._replace(budget=budget)).x
        if not np.array_equal(x, before):
            found.append(budget)
            before = x
        if len(found) == 3:
            break
    return found


def descends(subject: SolverSubject, case: Case, answer: Answer) -> None:
    """On one well-conditioned problem some of what there is to gain is gained."""
    if case.recipe is not PROBE:
        return
    longer, value = case._replace(budget=PROBE_BUDGET), PROBE.problem.value
    found = subject.ask(longer, "descends", View(exact=True), where=f"with {PROBE_BUDGET} exact calls, ")
    first, last, best = (value(x) for x in (case.x0, found.x, PROBE.problem.minimiser()))
    if not first - last >= PROBE_SHARE * (first - best):
        wrong = (
            f"with {PROBE_BUDGET} exact calls F goes from {first:.4g} to {last:.4g}, and {best:.4g} is the least: the "
            "gradient is f_x - C z with H z = f_y, is a sign or a transpose wrong, or are the steps too small for "
            f"{PROBE_BUDGET} calls?"
        )
        raise subject.error("descends", wrong, longer)


PROMISES = (repeat, seed, counts, idle, zero, length, scale, rotation, resume, descends)
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
