r"""One function for all methods, with every oracle call counted.

.. math:: \min_x F(x) = f(x, y^*(x)), \qquad y^*(x) = \arg\min_y g(x, y), \qquad
   \nabla^2_{yy} g\, z = \nabla_y f,

with iterates `x`, `y` and `z`. A run ends when the budget does not hold the next call, even in the middle of a step, so
that methods are compared at equal costs; the step is then undone. A call costs 1 unless `costs` says otherwise, and
there are five kinds: `grad_f` (both gradients of f), `grad_g`, `grad_gx`, `hvp` and `cvp`. Work that prepares a run
(curvature estimates, refinement, warm starts) is counted like any other.
"""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._objects import Speaking
from pessimism._status import ConvergenceError, Status
from pessimism._types import Floats, Rng
from pessimism.bilevel._method import SECOND_ORDER
from pessimism.bilevel._methods import METHODS
from pessimism.bilevel._own_run import OwnRun, Step
from pessimism.bilevel._run import Run, Terms
from pessimism.bilevel._users_oracles import dimensions, has, point, require_oracles, returned
from pessimism.bilevel.implicit import hypergradient
from pessimism.bilevel.problem import KINDS
from pessimism.bilevel.state import SolverState

__all__ = ["METHODS", "BilevelResult", "minimize_bilevel"]

RECORDS = 100
"""Of a run whose user does not say how often to look."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BilevelResult(Speaking):
    """Where a run ended, what it cost, and the way there.

    Attributes
    ----------
    x : (dx,) float
        Upper variable, the last iterate.
    y, z : (dy,) float
        Lower variable and the solution of the linear system.
    nit : int
        Outer steps completed.
    ncalls : dict
        Calls of each oracle, with those of the runs that this one continues.
    cost : float
        What they cost together.
    status : Status
        How it ended.
    message : str
        The same as a sentence, with what was done to open steps and which step a divergence is due to.
    history : dict of arrays
        ``nit``, ``cost``, ``x`` at the records, and ``gradient_norm``, the norm of the exact gradient of F there, if
        the problem has `gradient`, or `solve_y` from which `hypergradient` finds it; evaluated outside the count, and
        NaN where x is too large for it.
    method : str
        Name of the method.
    options : dict
        Its options, with the steps that were estimated.
    memory : named tuple of arrays, or None
        What the method keeps between steps (a momentum, a table), from which a run is continued; of a user's step,
        what it last returned.

    Examples
    --------
    >>> from pessimism.bilevel.problems import Quadratic
    >>> result = minimize_bilevel(Quadratic.random(2, 3, rng=0), [1.0, 1.0], method="soba", step=0.1, budget=99, rng=1)
    >>> result.cost, sum(result.ncalls.values()), result.status.name
    (99.0, 99, 'BUDGET')
    """

    x: Floats
    y: Floats
    z: Floats
    nit: int
    ncalls: dict[str, int]
    cost: float
    status: Status
    message: str
    history: dict[str, Floats]
    method: str
    options: dict[str, Any]
    memory: Any


def minimize_bilevel(
    problem: Any,
    x0: ArrayLike | BilevelResult,
    y0: ArrayLike | None = None,
    *,
    method: str | Step = "bo-rep",
    budget: float = 10_000,
    rng: Rng = None,
    callback: Callable[[BilevelResult], bool | None] | None = None,
    record: int | None = None,
    tol: float | None = None,
    exact: bool = False,
    costs: Mapping[str, float] | None = None,
    **options: Any,
) -> BilevelResult:
    r"""Minimise :math:`f(x, y^*(x))` until a budget of oracle calls is spent.

    Parameters
    ----------
    problem : BilevelProblem
        The oracles. Built-in problems run compiled, others the same loops in Python.
    x0 : (dx,) array_like of float or BilevelResult
        Start; a result continues its run, with its y, z and memory.
    y0 : (dy,) array_like of float, optional
        Start of y. Default: zeros.
    method : str or callable
        A name in `METHODS`, "bo-rep" or "soba" for instance: each is a file of `pessimism.bilevel.methods`. Or a step
        of your own, ``step(problem, state, rng, **options) -> state``, with a `SolverState`, and a problem that has the
        same oracles and counts their calls. A step that the budget ends is not made; what it returns as memory must be
        new, not the old one written over.
    budget : float
        Cost of all oracle calls together; where a run is continued, of the new ones.
    rng : Generator, SeedSequence or int, optional
        Source of the samples (SPEC 7).
    callback : callable, optional
        Called with the result so far at every record after the start, the last one included; the run ends if it
        returns something true.
    record : int, optional
        Outer steps between records. Default: so many that about 100 records divide the budget evenly.
    tol : float, optional
        End the run as CONVERGED at the first record where the exact gradient of F has at most this norm; for problems
        with `gradient` or `solve_y`. Default: the budget is spent.
    exact : bool
        Call exact oracles only, even if the problem can sample.
    costs : mapping of str to float, optional
        Cost of a call of some kinds, in place of 1.
    **options : float
        Of the method: ``METHODS[name].options`` lists them with their defaults, ranges and meanings. For a step of your
        own, whatever it takes.

    Returns
    -------
    BilevelResult
        A run that diverges ends with status DIVERGED and its history; it does not raise.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, the method or an option is unknown, or an oracle that the method needs is
        missing; before anything is called.
    OracleError
        If an oracle returns something of the wrong shape. Numbers that are not finite end a run as DIVERGED, and the
        message says where they were first seen.

    Notes
    -----
    Steps left open are chosen by the run. On y and z they are one over an estimate of the curvature of g; products with
    its Hessian show where that has nearly doubled, and then the outer step under way is undone and the estimate made
    anew. On x the step is 0.1, and a run that diverges begins again with a tenth of it. All calls are counted, and the
    message says what was done. Steps that are given are never changed: a run that diverges says which was too long.

    A continued run draws what one run would have drawn if it is given
    the same Generator. Normalised methods move by the step in every iteration and end in a cycle whose radius is a
    multiple of it, which is why their step falls by default. Where the budget ends within a step, x, y and z are those
    of the last completed step. Cost: that of the oracle calls. The first run of a method on a kind of problem compiles
    for a few seconds; later processes read the result from a cache.

    Examples
    --------
    >>> from pessimism.bilevel.problems import Cosh
    >>> problem = Cosh.random(2, 3, rng=0)
    >>> result = minimize_bilevel(problem, [9.0, -9.0], step=1.0, budget=20_000, rng=1)
    >>> bool(np.linalg.norm(problem.gradient(result.x)) < 1.0)
    True

    A step of your own, gradient descent that solves the lower level by five steps and ignores the implicit part:

    >>> def ignorant(problem, state, rng, *, step):
    ...     y = state.y
    ...     for _ in range(5):
    ...         y = y - 0.1 * problem.grad_g(state.x, y, problem.sample(rng, "g"))
    ...     gx, _ = problem.grad_f(state.x, y, problem.sample(rng, "f"))
    ...     return state._replace(x=state.x - step * gx, y=y)
    >>> minimize_bilevel(problem, [1.0, 1.0], method=ignorant, step=0.1, budget=60, rng=1).ncalls["grad_g"]
    50
    """
    if callback is not None:
        _check.function("callback", callback, "of a result")
    dimensions(problem)
    generator, limit = _check.generator(rng), _check.nonnegative("budget", budget, _check.MAX_TOTAL)
    terms = Terms(limit, _costs(costs), generator, _check.flag("exact", exact))
    every = None if record is None else _check.whole("record", record, low=1)
    gradient, small = _exact_gradient(problem), -1.0 if tol is None else _check.nonnegative("tol", tol)
    if tol is not None and gradient is None:
        raise ValueError(f"tol needs the exact gradient: {type(problem).__name__} has neither gradient nor solve_y")
    name, run = _run(problem, x0, y0, method, terms, options)
    told = _Told(run, name, gradient, x0 if isinstance(x0, BilevelResult) else None)
    told.record()
    status = Status.RUNNING
    while status is Status.RUNNING and not told.length <= small:
        restarts, steps = run.restarts, every or told.steps_a_record(limit)
        done = run.advance(steps)
        if run.restarts > restarts:
            told.forget()
        if run.diverged or done < steps:
            status = Status.BUDGET if run.refused and not run.diverged else Status.DIVERGED
        if done > 0:
            told.record()
            if callback is not None and bool(callback(told.result(status))) and status is Status.RUNNING:
                status = Status.STOPPED
    if told.length <= small:
        return told.result(Status.CONVERGED, f"the exact gradient has the norm {told.length:.3g}, tol is {small:g}")
    return told.result(status)


def _run(
    problem: Any,
    x0: ArrayLike | BilevelResult,
    y0: ArrayLike | None,
    method: str | Step,
    terms: Terms,
    options: dict[str, Any],
) -> tuple[str, Run]:
    """The name of the method and its run, of which no step is made yet."""
    if callable(method):
        name = getattr(method, "__name__", type(method).__name__)
        return name, OwnRun(method, problem, _start(problem, x0, y0, name, None), terms, dict(options))
    from pessimism.bilevel._method_run import MethodRun

    name = _check.choice("method", method, tuple(METHODS))
    settings = METHODS[name].settings(name, options)
    require_oracles(problem, METHODS[name].needs, name)
    state = _start(problem, x0, y0, name, METHODS[name].memory(problem))
    run = MethodRun(METHODS[name], problem, state, terms)
    run.settle(settings, _known(settings, x0))
    return name, run


def _exact_gradient(problem: Any) -> Callable[[Floats], Floats] | None:
    """The gradient of F: the problem's own, or the hypergradient at its `solve_y`; None if it has neither."""
    if has(problem, "gradient"):
        gradient: Callable[[Floats], Floats] = problem.gradient
        return gradient
    if not has(problem, "solve_y") or not all(has(problem, name) for name in SECOND_ORDER):
        return None

    def value(x: Floats) -> Floats:
        try:
            return hypergradient(problem, x).value
        except ConvergenceError as error:
            return np.asarray(error.result.value)

    return value


class _Told:
    """The history of a run, and results that tell it."""

    def __init__(
        self, run: Run, name: str, gradient: Callable[[Floats], Floats] | None, before: BilevelResult | None
    ) -> None:
        self.run, self.name, self.gradient, self.length = run, name, gradient, math.nan
        self.cost = 0.0 if before is None else before.cost
        self.calls = {} if before is None else before.ncalls
        self.rows: list[tuple[int, float, Floats, float]] = []

    def record(self) -> None:
        x, self.length = self.run.state.x.copy(), math.nan
        if self.gradient is not None and np.isfinite(x).all():
            try:
                with np.errstate(all="ignore"):
                    self.length = float(np.linalg.norm(self.gradient(x.copy())))
            except ValueError:  # where a run has gone, what is wrong with an oracle must not end it
                if not self.rows:
                    raise
        self.rows.append((self.run.state.nit, self.cost + self.run.cost, x, self.length))

    def forget(self) -> None:
        """All but the start, from which the run began again."""
        del self.rows[1:]

    def steps_a_record(self, budget: float) -> int:
        """Outer steps to the next record, so that all divide the budget evenly."""
        made = self.run.state.nit - self.rows[0][0]
        return max(1, round(made * budget / (RECORDS * max(self.run.cost, 1.0))))

    def result(self, status: Status, message: str = "") -> BilevelResult:
        names = ("nit", "cost", "x", "gradient_norm")
        columns = dict(zip(names, map(np.array, zip(*self.rows, strict=True)), strict=True))
        if np.isnan(columns["gradient_norm"]).all():
            del columns["gradient_norm"]
        calls = {kind: made + self.calls.get(kind, 0) for kind, made in self.run.calls.items()}
        told, options = (message or status.value) + self.run.notes, dict(self.run.options)
        x, y, z, nit, memory = copy.deepcopy(self.run.state)
        cost = self.cost + self.run.cost
        return BilevelResult(x, y, z, nit, calls, cost, status, told, columns, self.name, options, memory)


def _known(settings: dict[str, float | str], x0: Any) -> dict[str, float]:
    """Steps left open that are those of the run that is continued; one that made no step is begun anew."""
    if not isinstance(x0, BilevelResult) or x0.nit == 0:
        return {}
    return {name: x0.options[name] for name, value in settings.items() if isinstance(value, str)}


def _start(problem: Any, x0: ArrayLike | BilevelResult, y0: ArrayLike | None, name: str, memory: Any) -> SolverState:
    """State of its own before the first step; `memory` is that of a built-in method at first, None for a user's."""
    dx, dy = dimensions(problem)
    if isinstance(x0, BilevelResult):
        if y0 is not None:
            raise ValueError("y0 must be left out when x0 is a result: it has its own y")
        same = (x0.method, x0.x.shape, x0.y.shape) == (name, (dx,), (dy,))
        if not same or (memory is not None and _shapes(memory) != _shapes(x0.memory)):
            raise ValueError(
                f"x0 must be a result of {name} on this problem, got one of {x0.method} with x of shape {x0.x.shape}: "
                "to change the method, begin at its x and y"
            )
        return SolverState(x0.x.copy(), x0.y.copy(), x0.z.copy(), x0.nit, copy.deepcopy(x0.memory))
    x = np.array(point("x0", x0, dx))
    y = np.zeros(dy) if y0 is None else np.array(point("y0", y0, dy))
    if has(problem, "project_x"):
        x = returned("project_x", problem.project_x(x), dx)
    return SolverState(x, y, np.zeros(dy), 0, memory)


def _shapes(memory: Any) -> list[tuple[int, ...]]:
    return [np.shape(part) for part in memory]


def _costs(costs: Mapping[str, float] | None) -> Floats:
    values = dict.fromkeys(KINDS, 1.0)
    if costs is not None and not isinstance(costs, Mapping):
        raise TypeError(f"costs must map kinds of calls to their costs, got {type(costs).__name__}")
    for kind, cost in (costs or {}).items():
        _check.choice("costs", kind, KINDS)
        values[kind] = _check.positive(f"costs[{kind!r}]", cost)
    return np.array(list(values.values()))
