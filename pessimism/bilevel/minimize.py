r"""One function for all methods, with every oracle call counted.

.. math:: \min_x F(x) = f(x, y^*(x)), \qquad y^*(x) = \arg\min_y g(x, y), \qquad
   \nabla^2_{yy} g\, z = \nabla_y f,

with iterates `x`, `y` and `z`. A run ends when the budget does not hold the next call, even in the middle of a step, so
that methods are compared at equal costs; the step is then undone. A call costs 1 unless `costs` says otherwise, and
there are five kinds: `grad_f` (both gradients of f), `grad_g`, `grad_gx`, `hvp` and `cvp`. Work that prepares a run
(curvature estimates, refinement, warm starts) is counted like any other.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._objects import Speaking
from pessimism._status import Status
from pessimism._types import Floats, Rng
from pessimism.bilevel._methods import METHODS
from pessimism.bilevel._options import CURVATURE
from pessimism.bilevel._own_run import OwnRun, Step
from pessimism.bilevel._run import Run, Terms
from pessimism.bilevel._users_oracles import dimensions, has, point, require_oracles, returned
from pessimism.bilevel.problem import KINDS
from pessimism.bilevel.state import SolverState

__all__ = ["METHODS", "BilevelResult", "minimize_bilevel"]


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
        Calls of each oracle.
    cost : float
        What they cost together, at most the budget.
    status : Status
        How it ended.
    message : str
        The same as a sentence.
    history : dict of arrays
        ``nit``, ``cost``, ``x`` at the records, and ``gradient_norm``, the norm of the exact gradient of F there, if
        the problem knows it; evaluated outside the count.
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
    record: int = 200,
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
        Cost of all oracle calls together.
    rng : Generator, SeedSequence or int, optional
        Source of the samples (SPEC 7).
    callback : callable, optional
        Called with the result so far at every record after the start, the last one included; the run ends if it
        returns something true.
    record : int
        Outer steps between records.
    exact : bool
        Call exact oracles only, even if the problem can sample.
    costs : mapping of str to float, optional
        Cost of a call of some kinds, in place of 1.
    **options : float
        Of the method: ``METHODS[name].options`` lists them with their defaults, ranges and meanings. ``step`` has no
        default (in f2sa nor have the steps on y). For a step of your own, whatever it takes.

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
    Steps left open are estimated when a run begins. A continued run draws what one run would have drawn if it is given
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
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be a function of a result, got {callback!r}")
    dimensions(problem)
    generator, limit = np.random.default_rng(rng), _check.nonnegative("budget", budget)
    every, terms = _check.whole("record", record, low=1), Terms(limit, _costs(costs), generator, bool(exact))
    run: Run
    if callable(method):
        name = getattr(method, "__name__", type(method).__name__)
        run = OwnRun(method, problem, _start(problem, x0, y0, name, None), terms, dict(options))
    else:
        from pessimism.bilevel._method_run import MethodRun

        name = _check.choice("method", method, tuple(METHODS))
        settings = METHODS[name].settings(name, options)
        require_oracles(problem, METHODS[name].needs, name)
        state = _start(problem, x0, y0, name, METHODS[name].memory(problem))
        run = MethodRun(METHODS[name], problem, state, terms)
        run.settle(_continued(settings, x0))

    history = [_record(problem, run)]
    while True:
        done = run.advance(every)
        ended = run.diverged or done < every
        status = Status.RUNNING
        if ended:
            status = Status.BUDGET if run.refused and not run.diverged else Status.DIVERGED
        stop = False
        if done > 0:
            history.append(_record(problem, run))
            stop = callback is not None and bool(callback(_result(run, name, status, history)))
        if ended or stop:
            return _result(run, name, status if ended else Status.STOPPED, history)


def _continued(settings: dict[str, float | str], x0: Any) -> dict[str, float | str]:
    """Steps left open are those of the run that is continued; one that made no step is begun anew."""
    if not isinstance(x0, BilevelResult) or x0.nit == 0:
        return settings
    return {name: x0.options[name] if value == CURVATURE else value for name, value in settings.items()}


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


def _record(problem: Any, run: Run) -> tuple[Any, ...]:
    x, length = run.state.x.copy(), np.nan
    if has(problem, "gradient") and np.isfinite(x).all():
        with np.errstate(all="ignore"):
            length = float(np.linalg.norm(problem.gradient(x.copy())))
    return run.state.nit, run.cost, x, length


def _result(run: Run, name: str, status: Status, history: list[Any]) -> BilevelResult:
    columns = dict(zip(("nit", "cost", "x", "gradient_norm"), map(np.array, zip(*history, strict=True)), strict=True))
    if np.isnan(columns["gradient_norm"]).all():
        del columns["gradient_norm"]
    x, y, z, nit, memory = copy.deepcopy(run.state)
    message = status.value + (run.fault if status is Status.DIVERGED else "")
    return BilevelResult(x, y, z, nit, run.calls, run.cost, status, message, columns, name, dict(run.options), memory)
