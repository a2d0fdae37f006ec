r"""What every bilevel solver owes its user, one function a promise.

A solver sees a problem through a `Watched` one, in a `View`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from pessimism._types import Floats
from pessimism.bilevel.problem import KINDS
from pessimism.bilevel.problems import Quadratic
from pessimism.testing import _plans, _trial
from pessimism.testing._watched_problem import Refused, View, Watched
from pessimism.testing.bilevel_strategies import ENTRIES, SEEDS, Made, _made, _recipes
from pessimism.testing.strategies import _several

Solver = Callable[..., Any]

MAX_BUDGET = 60
TOLERANCE = 1e-6
"""Largest relative difference between runs that are equal up to rounding: normalised steps enlarge it."""

PROBE = _made(
    Quadratic,
    ([[2.0, 0.5], [0.5, 1.0]], [[1.0, 0.0, 0.5], [0.5, -1.0, 0.0]], [0.5, 0.0], [1.0, -1.0]),
    {"rho": 0.5, "noise": 0.25, "curvature_noise": 0.25, "n_samples": 16, "batch": 2, "rng": 0},
)
PROBE_BUDGET = 2000
PROBE_SHARE = 0.05
"""Least share of what F can fall on the probe: wrong signs make it rise, and slow methods are not wrong."""


class SolverError(AssertionError):
    """A solver broke a promise: the message says which, and on which problem."""

    __module__ = "pessimism.testing"  # where users find it, and what tracebacks print


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
    def code(self) -> str:
        """Python that makes the arguments of the run."""
        kind = self.made.code.partition("(")[0]
        starts = {name: f"np.array({start.tolist()})" for name, start in (("x0", self.x0), ("y0", self.y0))}
        fields = {"problem": self.made.code, **starts, "budget": self.budget, "rng": self.seed}
        return f"  import numpy as np\n  from pessimism.bilevel.problems import {kind}\n{_plans.shown(fields, None)}"


@st.composite
def cases(draw: st.DrawFn) -> Case:
    # the problem last: what comes before then stays in place while it shrinks
    seed, angle, factor = draw(SEEDS), draw(st.integers(1, 3)), draw(st.sampled_from([2.0**-30, 2.0**20]))
    budget = draw(st.integers(0, MAX_BUDGET))
    made = draw(_recipes(("quadratic", "cosh", "ridge"), 3, 3, True))
    entries = np.array(draw(_several(made.problem.dim_x + made.problem.dim_y, ENTRIES))) / 4.0
    dx = made.problem.dim_x
    return Case(made, entries[:dx], entries[dx:], budget, seed, angle, factor)


class Answer(NamedTuple):
    """What a solver returned, read with care, and the problem that watched it."""

    x: Floats
    y: Floats
    result: Any
    watched: Watched


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
        watched = Watched(case.made.problem, view or View(), case.budget)
        first = case.x0.copy() if x0 is None else x0
        y0 = case.y0.copy() if isinstance(first, np.ndarray) else None
        before = _stored(first, y0)
        result: Any = None
        failed: Exception | None = None
        try:
            result = _plans.called(
                self.method, watched, first, y0, budget=case.budget, rng=case.seed if rng is None else rng
            )
        except Refused:
            pass  # the problem remembers
        except Exception as error:
            failed = error
        if watched.fault is not None:
            promise, wrong = watched.fault
            raise self.error(promise, where + wrong, case)
        if failed is not None:
            raise self.error(promise, where + _plans.raised(failed), case) from failed
        after = _stored(first, y0)
        for name in before:
            if before[name] != after.get(name):
                raise self.error("mutation", f"{where}it wrote into {name}: work on a copy", case)
        bad = _malformed(result, case.made.problem)
        if bad is not None:
            raise self.error(promise, where + bad, case)
        return Answer(np.array(result.x, np.float64), np.array(result.y, np.float64), result, watched)

    def error(self, promise: str, wrong: str, case: Case) -> SolverError:
        check = "check_solver" if promise in WAIVABLE else ""
        return SolverError(_trial.message(self.method, promise, wrong, check, {}) + case.code)


def _stored(start: Any, y0: Floats | None) -> dict[str, bytes]:
    """The bytes of the arrays that a solver is given: x0 and y0, or those of an earlier result."""
    if y0 is not None:
        return {"x0": start.tobytes(), "y0": y0.tobytes()}
    held = {name: getattr(start, name, None) for name in dir(start) if not name.startswith("_")}
    return {f"{name} of the earlier result": v.tobytes() for name, v in held.items() if isinstance(v, np.ndarray)}


def _numbers(value: Any) -> Floats | None:
    """An array of real numbers; None where there is anything else."""
    try:
        found = np.asarray(value)
    except ValueError:  # rows of different lengths
        return None
    return found.astype(np.float64) if found.dtype.kind in "iuf" else None


def _malformed(result: Any, problem: Any) -> str | None:
    for name in ("x", "y", "ncalls", "cost"):
        if not hasattr(result, name):
            return f"its result must have .x, .y, .ncalls and .cost, got {type(result).__name__} without .{name}"
    for name, shape in (("x", (problem.dim_x,)), ("y", (problem.dim_y,)), ("cost", ())):
        told = getattr(result, name)
        value = _numbers(told)
        if value is None or value.shape != shape:
            return f"its {name} must {f'hold {shape[0]} numbers' if shape else 'be a number'}, got {told!r}"
        if not np.isfinite(value).all():
            return f"its {name} is {value.tolist()}, on a problem where steps of a quarter are stable"
    if not isinstance(result.ncalls, Mapping) or not set(result.ncalls) <= set(KINDS):
        return f"ncalls must map kinds of calls ({', '.join(KINDS)}) to their numbers, got {result.ncalls!r}"
    for kind, told in result.ncalls.items():
        value = _numbers(told)
        if value is None or value.shape != () or value != np.floor(value):
            return f"ncalls[{kind!r}] must be a whole number, got {told!r}"
    return None


# ---- promises


def repeat(subject: Subject, case: Case, answer: Answer) -> None:
    again = subject.ask(case)
    for name, first, second in (("x", answer.x, again.x), ("y", answer.y, again.y)):
        if not np.array_equal(first, second):
            wrong = f"asked again with the same rng, it ends at {name} = {second.tolist()}, not {first.tolist()}"
            raise subject.error("repeat", f"{wrong}: draw from rng alone, and keep nothing between runs", case)


def seed(subject: Subject, case: Case, answer: Answer) -> None:
    """On the probe, since elsewhere samples may be equal."""
    if case.made is not PROBE or not answer.watched.drawn:
        return
    other = subject.ask(case._replace(seed=case.seed + 1))
    if np.array_equal(other.x, answer.x) and np.array_equal(other.y, answer.y):
        wrong = f"it draws samples, and with rng={case.seed + 1} it ends at the same x and y: draw them from rng"
        raise subject.error("seed", wrong, case)


def counts(subject: Subject, case: Case, answer: Answer, where: str = "") -> None:
    made = answer.watched.made
    for kind in KINDS:
        told = answer.result.ncalls.get(kind, 0)
        if told != made[kind]:
            wrong = f"{where}it made {made[kind]} calls of {kind} and reports {told}"
            hint = "and no call of the run before" if where else "those that set a run up too"
            raise subject.error("counts", f"{wrong}: every call counts, {hint}", case)
    total = sum(made.values())
    if float(answer.result.cost) != total:
        wrong = f"{where}it made {total} calls and reports a cost of {answer.result.cost}"
        raise subject.error("counts", wrong, case)


def idle(subject: Subject, case: Case, answer: Answer) -> None:
    for name, start, end in (("x", case.x0, answer.x), ("y", case.y0, answer.y)):
        if not any(answer.watched.made.values()) and not np.array_equal(start, end):
            wrong = f"without a single call it moved from {name}0 to {name} = {end.tolist()}"
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
    # where a gradient is exactly 0, it is rounding in other coordinates, and a normalised step goes anywhere
    if _apart(found.x, expected) and not answer.watched.flat:
        wrong = (
            f"in coordinates Qx, Q = {turn.round(3).tolist()}, it ends at {found.x.tolist()}, and Q times its answer "
            f"is {expected.tolist()}: is each coordinate normalised, clipped or scaled by itself?"
        )
        raise subject.error("rotation", wrong, case)


def length(subject: Subject, case: Case, answer: Answer) -> None:
    if subject.step is None:
        return
    path, numbers = _path(subject, case, answer)
    claims = {t: float(subject.step(t)) for t in numbers[:-1]}
    for before, after, t in zip(path[:-1], path[1:], claims, strict=True):
        moved, size = float(np.linalg.norm(after - before)), float(np.linalg.norm(before))
        near = {i for i, eta in claims.items() if abs(moved - eta) <= 8 * np.finfo(float).eps * (size + eta)}
        if moved > 0 and t not in near:
            wrong = f"step {t} is {moved:.17g} long, and {claims[t]:.17g} was claimed"
            hint = (
                "is the schedule off by one" if near & {t - 1, t + 1} else "is all of the direction normalised at once"
            )
            raise subject.error("length", f"{wrong}: {hint}?", case)


def _path(subject: Subject, case: Case, answer: Answer) -> tuple[Floats, list[int]]:
    """Every x of the run, and the numbers of the steps that follow."""
    history = getattr(answer.result, "history", None)
    held = history if isinstance(history, Mapping) else {}
    path, numbers = _numbers(held.get("x")), _numbers(held.get("nit"))
    if path is None or numbers is None or numbers.ndim != 1 or path.shape != (len(numbers), len(case.x0)):
        wrong = 'a claimed step needs history["nit"] and history["x"], with a row for x0 and for every step'
    elif np.any(np.diff(numbers) != 1):
        wrong = f'a claimed step needs every step in the history: record each, history["nit"] is {numbers.tolist()}'
    elif not (len(path) and np.array_equal(path[0], case.x0) and np.array_equal(path[-1], answer.x)):
        wrong = f'history["x"] must lead from x0 to x = {answer.x.tolist()}, got {path.tolist()}'
    else:
        return path, [int(t) for t in numbers]
    raise subject.error("length", wrong, case)


def resume(subject: Subject, case: Case, answer: Answer) -> None:
    """Between two moves of x a step ends, at which call only the solver knows: one cut must do."""
    moves = _moves(subject, case) if subject.resumable else []
    if len(moves) < 2:
        return
    low, high = moves[-2:]
    for cut in range(low, high):
        rng, rest = np.random.default_rng(case.seed), case._replace(budget=case.budget - cut)
        where = f"resumed after {cut} calls for {rest.budget} more, "
        first = subject.ask(case._replace(budget=cut), rng=rng).result
        found = subject.ask(rest, promise="resume", x0=first, rng=rng, where=where)
        counts(subject, case, found, where)
        if not _apart(found.x, answer.x):
            return
    wrong = (
        f"{cut} calls and, from that result, {rest.budget} more end at x = {found.x.tolist()}, and {case.budget} at "
        f"once at {answer.x.tolist()}, as for each cut since {low}: are momentum, z and the number of the step kept, "
        "warm starts not made again, and no sample drawn before the first call of a step?"
    )
    raise subject.error("resume", wrong, case)


def _moves(subject: Subject, case: Case) -> list[int]:
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


def descends(subject: Subject, case: Case, answer: Answer) -> None:
    """On one well-conditioned problem some of what there is to gain is gained."""
    if case.made is not PROBE:
        return
    longer, value = case._replace(budget=PROBE_BUDGET), PROBE.problem.value
    found = subject.ask(longer, View(exact=True), "descends", where=f"with {PROBE_BUDGET} exact calls, ")
    first, last, best = (value(x) for x in (case.x0, found.x, PROBE.problem.minimiser()))
    if not first - last >= PROBE_SHARE * (first - best):
        wrong = (
            f"with {PROBE_BUDGET} exact calls F goes from {first:.4g} to {last:.4g}, and {best:.4g} is the least: the "
            "gradient is f_x - C z with H z = f_y, is a sign or a transpose wrong, or are the steps too small for "
            f"{PROBE_BUDGET} calls?"
        )
        raise subject.error("descends", wrong, longer)


def probe_case() -> Case:
    """A run on a problem that is easy for every solver."""
    return Case(PROBE, np.array([4.0, -4.0, 2.0]), np.zeros(2), 37, 0, 1, 2.0**-30)


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
    "seed": seed,
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

WAIVABLE = ("repeat", "seed", "zero", "rotation", "descends")
