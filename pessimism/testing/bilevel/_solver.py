"""The solver under test: runs that it is asked for, and what it may return. It sees a `Watched` problem in a `View`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from pessimism._types import Floats
from pessimism.bilevel.problem import KINDS
from pessimism.bilevel.problems import Quadratic
from pessimism.testing._driver import PromiseError, Subject, assignments
from pessimism.testing._whole_numbers import several
from pessimism.testing.bilevel._recipes import ENTRIES, SEEDS, Recipe, recipe, recipes
from pessimism.testing.bilevel._watched_problem import Refused, View, Watched

Solver = Callable[..., Any]

MAX_BUDGET = 60

LONG = 1000
"""Calls within which a method is under way, whatever sets it up."""

PROBE = recipe(
    Quadratic,
    ([[2.0, -0.75], [-0.75, 2.5]], [[1.0, 0.0, 0.5], [0.5, -1.0, 0.0]], [0.5, 0.0], [4.0, -6.0]),
    {"rho": 0.5, "noise": 0.25, "curvature_noise": 0.25, "n_samples": 16, "batch": 2, "rng": 0},
)


class SolverError(PromiseError):
    """A solver broke a promise: the message says which, and on which problem."""


class Case(NamedTuple):
    """A run, and what is done to it."""

    recipe: Recipe
    x0: Floats
    y0: Floats
    budget: int
    seed: int
    angle: int
    factor: float

    @property
    def code(self) -> list[str]:
        """Lines of Python that make the arguments of the run."""
        kind = self.recipe.code.partition("(")[0]
        starts = {name: f"np.array({start.tolist()})" for name, start in (("x0", self.x0), ("y0", self.y0))}
        fields = {"problem": self.recipe.code, **starts, "budget": self.budget, "rng": self.seed}
        return ["import numpy as np", f"from pessimism.bilevel.problems import {kind}", *assignments(fields)]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    # the problem last: what comes before then stays in place while it shrinks
    seed, angle, factor = draw(SEEDS), draw(st.integers(1, 3)), draw(st.sampled_from([2.0**-30, 2.0**20]))
    budget = draw(st.integers(0, MAX_BUDGET))
    drawn = draw(recipes(("quadratic", "cosh", "ridge"), 3, 3, True))
    entries = np.array(draw(several(drawn.problem.dim_x + drawn.problem.dim_y, ENTRIES))) / 4.0
    dx = drawn.problem.dim_x
    return Case(drawn, entries[:dx], entries[dx:], budget, seed, angle, factor)


class Answer(NamedTuple):
    """What a solver returned, read with care, and the problem that watched it."""

    x: Floats
    y: Floats
    result: Any
    watched: Watched


@dataclass(frozen=True, slots=True)
class SolverSubject(Subject[Case, Case, Answer]):
    """A solver, and what it claims."""

    check = "check_solver"
    error_type = SolverError
    waivable = ("repeat", "samples", "seed", "zero", "rotation", "descends")

    normalised: bool = False
    step: Callable[[int], float] | None = None
    resumable: bool = False

    def about(self, case: Case) -> Case:
        return case

    def ask(
        self,
        given: Case,
        promise: str = "contract",
        view: View | None = None,
        *,
        x0: Any = None,
        rng: Any = None,
        where: str = "",
    ) -> Answer:
        """The end of a run on the problem in a view. `x0` may be a result, `rng` a Generator in use."""
        watched = Watched(given.recipe.problem, view or View(), given.budget)
        first = given.x0.copy() if x0 is None else x0
        y0 = given.y0.copy() if isinstance(first, np.ndarray) else None
        before = _stored(first, y0)
        options = {"budget": given.budget, "rng": given.seed if rng is None else rng}
        result: Any = None
        try:
            result = self.called(lambda: self.function(watched, first, y0, **options), given, promise, where=where)
        except Refused:
            pass  # the problem remembers
        except SolverError:
            if watched.fault is None:
                raise
        if watched.fault is not None:
            promise, wrong = watched.fault
            raise self.error(promise, where + wrong, given)
        after = _stored(first, y0)
        for name in before:
            if before[name] != after.get(name):
                raise self.error("mutation", f"{where}it wrote into {name}: work on a copy", given)
        bad = _malformed(result, given.recipe.problem)
        if bad is not None:
            raise self.error(promise, where + bad, given)
        return Answer(np.array(result.x, np.float64), np.array(result.y, np.float64), result, watched)

    def shown(self, given: Case, answer: Answer | None) -> list[str]:
        """The arguments of the run."""
        return given.code


def _stored(start: Any, y0: Floats | None) -> dict[str, bytes]:
    """The bytes of the arrays that a solver is given: x0 and y0, or those of an earlier result."""
    if y0 is not None:
        return {"x0": start.tobytes(), "y0": y0.tobytes()}
    held = {name: getattr(start, name, None) for name in dir(start) if not name.startswith("_")}
    return {f"{name} of the earlier result": v.tobytes() for name, v in held.items() if isinstance(v, np.ndarray)}


def numbers(value: Any) -> Floats | None:
    """An array of real numbers; None where there is anything else."""
    try:
        found = np.asarray(value)
    except ValueError:  # rows of different lengths
        return None
    return found.astype(np.float64) if found.dtype.kind in "iuf" else None


def path_of(answer: Answer, x0: Floats) -> tuple[Floats, list[int]] | str:
    """Every x of the run, and the numbers of the steps that follow; or what is wrong with the history."""
    history = getattr(answer.result, "history", None)
    held = history if isinstance(history, Mapping) else {}
    path, steps = numbers(held.get("x")), numbers(held.get("nit"))
    if path is None or steps is None or steps.ndim != 1 or path.shape != (len(steps), len(x0)):
        return 'a claimed step needs history["nit"] and history["x"], with a row for x0 and for every step'
    if np.any(np.diff(steps) != 1):
        return f'a claimed step needs every step in the history: record each, history["nit"] is {steps.tolist()}'
    if not (len(path) and np.array_equal(path[0], x0) and np.array_equal(path[-1], answer.x)):
        return f'history["x"] must lead from x0 to x = {answer.x.tolist()}, got {path.tolist()}'
    return path, [int(t) for t in steps]


def _malformed(result: Any, problem: Any) -> str | None:
    for name in ("x", "y", "ncalls", "cost"):
        if not hasattr(result, name):
            return f"its result must have .x, .y, .ncalls and .cost, got {type(result).__name__} without .{name}"
    for name, shape in (("x", (problem.dim_x,)), ("y", (problem.dim_y,)), ("cost", ())):
        told = getattr(result, name)
        value = numbers(told)
        if value is None or value.shape != shape:
            return f"its {name} must {f'hold {shape[0]} numbers' if shape else 'be a number'}, got {told!r}"
        if not np.isfinite(value).all():
            return f"its {name} is {value.tolist()}, on a problem where steps of a quarter are stable"
    if not isinstance(result.ncalls, Mapping) or not set(result.ncalls) <= set(KINDS):
        return f"ncalls must map kinds of calls ({', '.join(KINDS)}) to their numbers, got {result.ncalls!r}"
    for kind, told in result.ncalls.items():
        value = numbers(told)
        if value is None or value.shape != () or value != np.floor(value):
            return f"ncalls[{kind!r}] must be a whole number, got {told!r}"
    return None


def probe_case() -> Case:
    """A run on a problem that is easy for every solver."""
    return Case(PROBE, np.array([4.0, -4.0, 2.0]), np.zeros(2), 37, 0, 1, 2.0**-30)
