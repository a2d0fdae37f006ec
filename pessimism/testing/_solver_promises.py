r"""What every bilevel solver owes its user, one function a promise; and problems that watch who calls them.

A solver sees a problem through a `Watched` one, which counts calls, refuses those beyond the budget, and knows for
which level a handle was drawn. Scaled, turned and empty problems are made by changing what goes in and comes out: with
:math:`x' = Q x` the gradients in x are Q times those at :math:`Q^\top x'`, and with f = 0 and g = |y|^2/2 every
direction is exactly 0.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from pessimism._draw import Floats
from pessimism.bilevel.problem import KINDS
from pessimism.bilevel.problems import Quadratic
from pessimism.testing import _plans, _trial
from pessimism.testing.bilevel_strategies import ENTRIES, SEEDS, Made, _recipes
from pessimism.testing.strategies import _several

Solver = Callable[..., Any]

MAX_BUDGET = 60
TOLERANCE = 1e-6
"""Largest relative difference between runs that are equal up to rounding: normalised steps enlarge it."""

LEVEL = {kind: "f" if kind == "grad_f" else "g" for kind in KINDS}

PROBE_CODE = "Quadratic([[2.0, 0.5], [0.5, 1.0]], [[1.0, 0.0, 0.5], [0.5, -1.0, 0.0]], [0.5, 0.0], [1.0, -1.0], 0.5)"
PROBE = Quadratic([[2.0, 0.5], [0.5, 1.0]], [[1.0, 0.0, 0.5], [0.5, -1.0, 0.0]], [0.5, 0.0], [1.0, -1.0], 0.5)
PROBE_BUDGET = 2000


class SolverError(AssertionError):
    """A solver broke a promise: the message says which, and on which problem."""

    __module__ = "pessimism.testing"  # where users find it, and what tracebacks print


class Overspent(BaseException):
    """A call beyond the budget. No Exception, so that no solver catches it and goes on for ever."""


class Misused(BaseException):
    """A call with arguments that mean nothing."""


class Handle(NamedTuple):
    """A sample, and the level for which it was drawn."""

    level: str
    rows: Any


class Case(NamedTuple):
    """A run, and what is done to it."""

    made: Made
    x0: Floats
    y0: Floats
    budget: int
    seed: int
    angle: int
    factor: float

    @property
    def fields(self) -> dict[str, Any]:
        return {"problem": self.made.code, "x0": self.x0, "y0": self.y0, "budget": self.budget, "rng": self.seed}


@st.composite
def cases(draw: st.DrawFn) -> Case:
    # the problem last: what comes before then stays in place while it shrinks
    seed, angle, factor = draw(SEEDS), draw(st.integers(1, 3)), draw(st.sampled_from([2.0**-30, 2.0**20]))
    budget = draw(st.integers(0, MAX_BUDGET))
    made = draw(_recipes(("quadratic", "cosh", "ridge"), 3, 3, True))
    entries = np.array(draw(_several(made.problem.dim_x + made.problem.dim_y, ENTRIES))) / 4.0
    dx = made.problem.dim_x
    return Case(made, entries[:dx], entries[dx:], budget, seed, angle, factor)


@dataclass(frozen=True, slots=True)
class View:
    """How a problem is changed: x turned by Q, f multiplied, everything emptied, no samples."""

    turn: Floats | None = None
    factor: float = 1.0
    empty: bool = False
    exact: bool = False


class Watched:
    """The oracles of a problem seen in a view, counted."""

    def __init__(self, problem: Any, view: View, budget: float) -> None:
        self.dim_x, self.dim_y = problem.dim_x, problem.dim_y
        self._problem, self._view, self._budget = problem, view, budget
        self.made = dict.fromkeys(KINDS, 0)
        if not view.exact:
            self.sample = self._sample

    def _sample(self, rng: Any, level: str) -> Handle:
        if level not in ("f", "g"):
            raise Misused(f"it drew a sample of level {level!r}: there are 'f' and 'g'")
        return Handle(level, self._problem.sample(rng, level))

    def grad_f(self, x: Any, y: Any, s: Any = None) -> tuple[Floats, Floats]:
        gx, gy = self._ask("grad_f", s, x, y)
        return self._view.factor * self._turned(gx), self._view.factor * gy

    def grad_g(self, x: Any, y: Any, s: Any = None) -> Floats:
        found = self._ask("grad_g", s, x, y)
        return np.array(y, np.float64) if self._view.empty else np.asarray(found)

    def grad_gx(self, x: Any, y: Any, s: Any = None) -> Floats:
        return self._turned(self._ask("grad_gx", s, x, y))

    def hvp(self, x: Any, y: Any, v: Any, s: Any = None) -> Floats:
        found = self._ask("hvp", s, x, y, v)
        return np.array(v, np.float64) if self._view.empty else np.asarray(found)

    def cvp(self, x: Any, y: Any, v: Any, s: Any = None) -> Floats:
        return self._turned(self._ask("cvp", s, x, y, v))

    def _turned(self, vector: Floats) -> Floats:
        return vector if self._view.turn is None else np.asarray(self._view.turn @ vector)

    def _ask(self, kind: str, handle: Any, *where: Any) -> Any:
        sizes = {"x": self.dim_x, "y": self.dim_y, "v": self.dim_y}
        for (name, size), value in zip(sizes.items(), where, strict=False):
            if np.shape(value) != (size,):
                raise Misused(f"it called {kind} with {name} of shape {np.shape(value)}, which must be ({size},)")
        if handle is not None and getattr(handle, "level", None) != LEVEL[kind]:
            drawn = f"one of level {handle.level!r}" if isinstance(handle, Handle) else repr(handle)
            raise Misused(f'it called {kind} on a sample that must come from sample(rng, "{LEVEL[kind]}"), got {drawn}')
        if sum(self.made.values()) + 1 > self._budget:
            raise Overspent(kind)
        self.made[kind] += 1
        x = np.asarray(where[0], np.float64)
        where = (x if self._view.turn is None else self._view.turn.T @ x, *where[1:])
        found = getattr(self._problem, kind)(*where, None if handle is None else handle.rows)
        if self._view.empty:
            return tuple(0.0 * part for part in found) if kind == "grad_f" else 0.0 * found
        return found


class Answer(NamedTuple):
    """What a solver returned, read with care, and the calls that were made."""

    x: Floats
    y: Floats
    result: Any
    made: dict[str, int]


@dataclass(frozen=True, slots=True)
class Subject:
    """The solver under test, its claims, and how it is asked."""

    method: Solver
    normalised: bool
    step: Callable[[int], float] | None
    resumable: bool
    waived: frozenset[str]

    def ask(
        self,
        case: Case,
        view: View | None = None,
        promise: str = "contract",
        *,
        x0: Any = None,
        rng: Any = None,
        where: str = "",
    ) -> Answer:
        """The solver's answer; a SolverError if it is not one. `x0` may be a result, `rng` a Generator in use."""
        problem = case.made.problem
        watched = Watched(problem, view or View(), case.budget)
        first = case.x0.copy() if x0 is None else x0
        y0 = case.y0.copy() if isinstance(first, np.ndarray) else None
        given = [np.array(part) for part in (first, y0)]
        try:
            result = _plans.called(
                self.method, watched, first, y0, budget=case.budget, rng=case.seed if rng is None else rng
            )
        except Overspent as error:
            wrong = f"it calls {error} once more when the budget of {case.budget} is spent"
            raise self.error("budget", wrong + ": compare before every call, also within a step", case) from None
        except Misused as error:
            raise self.error("oracles", str(error), case) from None
        except Exception as error:
            raise self.error(promise, where + _plans.raised(error), case) from error
        if y0 is not None and not all(map(np.array_equal, given, (first, y0))):
            raise self.error("mutation", "it wrote into x0 or y0: work on a copy", case)
        bad = _malformed(result, problem)
        if bad is not None:
            raise self.error(promise, where + bad, case)
        return Answer(np.array(result.x, np.float64), np.array(result.y, np.float64), result, watched.made)

    def error(self, promise: str, wrong: str, case: Case) -> SolverError:
        check = "check_solver" if promise in WAIVABLE else ""
        return SolverError(_trial.message(self.method, promise, wrong, check, case.fields))


def _malformed(result: Any, problem: Any) -> str | None:
    for name in ("x", "y", "ncalls", "cost"):
        if not hasattr(result, name):
            return f"its result must have .x, .y, .ncalls and .cost, got {type(result).__name__} without .{name}"
    for name, size in (("x", problem.dim_x), ("y", problem.dim_y)):
        value = np.asarray(getattr(result, name))
        if value.dtype.kind not in "iuf" or value.shape != (size,):
            return f"its {name} must hold {size} numbers, got shape {value.shape} and dtype {value.dtype}"
        if not np.isfinite(value).all():
            return f"its {name} is {value.tolist()}, on a problem where steps of a quarter are stable"
    if not isinstance(result.ncalls, Mapping) or not set(result.ncalls) <= set(KINDS):
        return f"ncalls must map kinds of calls ({', '.join(KINDS)}) to their numbers, got {result.ncalls!r}"
    return None


# ---- promises


def repeat(subject: Subject, case: Case, answer: Answer) -> None:
    again = subject.ask(case)
    if not (np.array_equal(answer.x, again.x) and np.array_equal(answer.y, again.y)):
        wrong = f"asked again with the same rng, it ends at x = {again.x.tolist()}, not {answer.x.tolist()}"
        raise subject.error("repeat", f"{wrong}: draw from rng alone", case)


def counts(subject: Subject, case: Case, answer: Answer) -> None:
    told = {kind: int(answer.result.ncalls.get(kind, 0)) for kind in KINDS}
    for kind in KINDS:
        if told[kind] != answer.made[kind]:
            wrong = f"it made {answer.made[kind]} calls of {kind} and reports {told[kind]}"
            raise subject.error("counts", f"{wrong}: every call counts, those that set a run up too", case)
    total = sum(answer.made.values())
    if float(answer.result.cost) != total:
        raise subject.error("counts", f"it made {total} calls and reports a cost of {answer.result.cost}", case)


def idle(subject: Subject, case: Case, answer: Answer) -> None:
    if not any(answer.made.values()) and not np.array_equal(answer.x, case.x0):
        wrong = f"without a single call it moved from x0 to x = {answer.x.tolist()}"
        raise subject.error("idle", wrong, case)


def zero(subject: Subject, case: Case, answer: Answer) -> None:
    empty = case._replace(y0=np.zeros_like(case.y0))
    found = subject.ask(empty, View(empty=True, exact=True), "zero", where="where every direction is 0, ")
    if not np.array_equal(found.x, case.x0):
        wrong = f"with f = 0, g = |y|^2/2 and y0 = 0 every direction is 0, and it moves to x = {found.x.tolist()}"
        raise subject.error("zero", f"{wrong}: leave x where it is, and restart nothing at random", empty)


def scale(subject: Subject, case: Case, answer: Answer) -> None:
    if not subject.normalised:
        return
    found = subject.ask(case, View(factor=case.factor), "scale", where=f"with f times {case.factor:g}, ")
    if _apart(found.x, answer.x):
        wrong = (
            f"with f times {case.factor:g} it ends at x = {found.x.tolist()}, not {answer.x.tolist()}: a normalised "
            "direction has no scale, is a constant added to its length, or z not begun at 0?"
        )
        raise subject.error("scale", wrong, case)


def rotation(subject: Subject, case: Case, answer: Answer) -> None:
    turn = turned(case)
    found = subject.ask(case, View(turn=turn), "rotation", x0=turn @ case.x0, where="in turned coordinates of x, ")
    expected = turn @ answer.x
    if _apart(found.x, expected):
        wrong = (
            f"in coordinates Qx, Q = {turn.round(3).tolist()}, it ends at {found.x.tolist()}, and Q times its answer "
            f"is {expected.tolist()}: is each coordinate normalised, clipped or scaled by itself?"
        )
        raise subject.error("rotation", wrong, case)


def length(subject: Subject, case: Case, answer: Answer) -> None:
    if subject.step is None:
        return
    history = getattr(answer.result, "history", None)
    if not isinstance(history, Mapping) or not {"nit", "x"} <= set(history):
        raise subject.error("length", 'a claimed step needs history["nit"] and history["x"] of every step', case)
    path, numbers = np.asarray(history["x"], np.float64), np.asarray(history["nit"])
    for before, after, t in zip(path[:-1], path[1:], numbers[:-1], strict=True):
        moved, eta = float(np.linalg.norm(after - before)), float(subject.step(int(t)))
        rounding = 8 * np.finfo(float).eps * (float(np.linalg.norm(before)) + eta)
        if moved > 0 and abs(moved - eta) > rounding:
            wrong = f"step {t} is {moved:.17g} long, and {eta:.17g} was claimed"
            raise subject.error("length", f"{wrong}: is the direction divided by the length of all of it?", case)


def resume(subject: Subject, case: Case, answer: Answer) -> None:
    """Cut where x moves: that call ended a step. The second such cut, since a first step is often special."""
    if not subject.resumable:
        return
    view, cuts, before = View(exact=True), [], case.x0
    whole = subject.ask(case, view)
    for budget in range(1, case.budget):
        x = subject.ask(case._replace(budget=budget), view).x
        if not np.array_equal(x, before):
            cuts.append(budget)
            before = x
        if len(cuts) == 2:
            break
    if not cuts:
        return
    cut, rng = cuts[-1], np.random.default_rng(case.seed)
    first = subject.ask(case._replace(budget=cut), view, rng=rng).result
    rest = case._replace(budget=case.budget - cut)
    found = subject.ask(rest, view, "resume", x0=first, rng=rng, where=f"resumed after {cut} calls, ")
    if _apart(found.x, whole.x):
        wrong = (
            f"{cut} calls and, from that result, {rest.budget} more end at x = {found.x.tolist()}, and {case.budget} "
            f"at once at {whole.x.tolist()}: are momentum, z and the number of the step kept, and warm starts not "
            "made again?"
        )
        raise subject.error("resume", wrong, case)


def descends(subject: Subject, case: Case, answer: Answer) -> None:
    """On one well-conditioned problem half of what there is to gain is gained."""
    if case.made.problem is not PROBE:
        return
    longer = case._replace(budget=PROBE_BUDGET)
    found = subject.ask(longer, View(exact=True), "descends", where=f"with {PROBE_BUDGET} exact calls, ")
    first, last, best = (PROBE.value(x) for x in (case.x0, found.x, PROBE.minimiser()))
    if not first - last >= 0.5 * (first - best):
        wrong = (
            f"with {PROBE_BUDGET} exact calls F goes from {first:.4g} to {last:.4g}, and {best:.4g} is the least: the "
            "gradient is f_x - C z with H z = f_y, is a sign or a transpose wrong?"
        )
        raise subject.error("descends", wrong, longer)


def probe_case() -> Case:
    """A run on a problem that is easy for every solver."""
    return Case(Made(PROBE, PROBE_CODE), np.array([4.0, -4.0, 2.0]), np.zeros(2), 37, 0, 1, 2.0**-30)


def turned(case: Case) -> Floats:
    """An orthogonal matrix; -1 in one dimension."""
    n = case.made.problem.dim_x
    if n == 1:
        return np.array([[-1.0]])
    v = np.arange(1.0, n + 1.0) ** case.angle
    return np.asarray(np.eye(n) - 2.0 * np.outer(v, v) / (v @ v))  # a reflection that mixes all coordinates


def _apart(found: Floats, expected: Floats) -> bool:
    return bool(np.abs(found - expected).max() > TOLERANCE * (1.0 + np.abs(expected).max()))


PROMISES: dict[str, Callable[[Subject, Case, Answer], None]] = {
    "repeat": repeat,
    "counts": counts,
    "idle": idle,
    "zero": zero,
    "length": length,
    "scale": scale,
    "rotation": rotation,
    "resume": resume,
    "descends": descends,
}
"""Promises in the order in which they are reported."""

WAIVABLE = ("repeat", "zero", "rotation", "descends")
