r"""One function for all solvers, with every oracle call counted.

A run ends in the middle of a step when the budget holds no further call, so that methods are compared on equal costs.
The cost of a call is 1 for each kind unless told otherwise: `grad_f` (both gradients of f), `grad_g`, `grad_gx`, `hvp`,
`cvp`. Work that sets a run up (curvature estimates, refinement, warm starts) is counted like any other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._draw import Floats, Rng
from pessimism._status import Status
from pessimism.bilevel import accbo, aid_cg, bo_rep, double_loops, f2sa, itd, mrbo, saba, slip, soba, sustain
from pessimism.bilevel._loops import Machine
from pessimism.bilevel._method import CURVATURE, Method
from pessimism.bilevel.problem import KINDS, OracleError, checked, require_oracles

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        bo_rep.METHOD,
        slip.METHOD,
        soba.SOBA,
        soba.MA_SOBA,
        double_loops.AMIGO,
        double_loops.STOCBIO,
        double_loops.BSA,
        double_loops.TTSA,
        f2sa.METHOD,
        accbo.METHOD,
        sustain.METHOD,
        mrbo.METHOD,
        saba.METHOD,
        aid_cg.METHOD,
        itd.METHOD,
    )
}


@dataclass(frozen=True, slots=True, eq=False)
class BilevelResult:
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
    memory : (rows, n) float
        The method's own vectors, from which a run is continued.

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
    memory: Floats


def minimize_bilevel(
    problem: Any,
    x0: ArrayLike | BilevelResult,
    y0: ArrayLike | None = None,
    *,
    method: str = "bo-rep",
    budget: float = 10_000,
    rng: Rng = None,
    callback: Callable[[BilevelResult], bool | None] | None = None,
    record: int = 200,
    exact: bool = False,
    costs: Mapping[str, float] | None = None,
    **options: float,
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
    method : str
        One of "bo-rep", "slip", "soba", "ma-soba", "amigo", "stocbio", "bsa", "ttsa", "f2sa", "accbo", "sustain",
        "mrbo", "saba", "aid-cg", "itd".
    budget : float
        Cost of all oracle calls together.
    rng : Generator, SeedSequence or int, optional
        Source of the samples (SPEC 7).
    callback : callable, optional
        Called with the result so far at every record; a true answer ends the run.
    record : int
        Outer steps between records.
    exact : bool
        Ask for exact oracles, whatever the problem could sample.
    costs : mapping of str to float, optional
        Cost of a call of some kinds, in place of 1.
    **options : float
        Of the method: the module that bears its name lists them. ``step`` has no default.

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
        If an oracle returns something of the wrong shape.

    Notes
    -----
    Steps left open are estimated when a run begins, and again when it is continued. Normalised methods move by the step
    in every iteration and end in a cycle whose radius is a multiple of it, which
    is why their step falls by default. Cost: that of the oracle calls. The first run compiles for some twenty seconds,
    once.

    Examples
    --------
    >>> from pessimism.bilevel.problems import Cosh
    >>> problem = Cosh.random(2, 3, rng=0)
    >>> result = minimize_bilevel(problem, [9.0, -9.0], step=1.0, budget=20_000, rng=1)
    >>> bool(np.linalg.norm(problem.gradient(result.x)) < 1.0)
    True
    """
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(map(repr, METHODS))}, got {method!r}")
    chosen = METHODS[method]
    require_oracles(problem, chosen.needs, chosen.name)
    settings = chosen.settings(options)
    x, y, z, memory, start = _start(problem, x0, y0, chosen)
    limit = _check.scalar("budget", budget, lambda v: 0.0 <= v < np.inf, "at least 0 and finite")
    every = _check.whole("record", record, low=1)
    machine = Machine(problem, limit, _costs(costs), np.random.default_rng(rng), bool(exact))
    curvature = machine.curvature(x, y) if CURVATURE in settings.values() else 1.0
    if not 0.0 < curvature < np.inf and machine.meter[1] < limit:
        raise OracleError(f"hvp must come from a positive definite Hessian, its products have length {curvature}")
    numbers = chosen.packed(settings, curvature or 1.0)

    history: list[tuple[Any, ...]] = []
    status, nit = Status.BUDGET, start
    while True:
        history.append(_record(problem, nit, float(machine.meter[1]), x))
        if (
            callback is not None
            and len(history) > 1
            and callback(_result(x, y, z, nit, machine, status, history, memory))
        ):
            return _result(x, y, z, nit, machine, Status.STOPPED, history, memory)
        done = machine.run(chosen.loop, chosen.file, (x, y, z, memory), numbers, nit, every)
        nit += done
        finite = all(np.isfinite(array).all() for array in (x, y, z, memory))
        if not finite or (done < every and not machine.spent(chosen.needs)):  # a loop also ends on a step not finite
            status = Status.DIVERGED
        if done < every or status is Status.DIVERGED:
            if done > 0 or status is Status.DIVERGED:
                history.append(_record(problem, nit, float(machine.meter[1]), x))
            return _result(x, y, z, nit, machine, status, history, memory)


def _start(problem: Any, x0: ArrayLike | BilevelResult, y0: ArrayLike | None, method: Method) -> tuple[Any, ...]:
    """Writable state: x, y, z, memory, outer steps made."""
    shape = method.memory(problem)
    if isinstance(x0, BilevelResult):
        if y0 is not None:
            raise ValueError("y0 must be left out when x0 is a result: it has its own y")
        if (x0.x.shape, x0.y.shape, x0.memory.shape) != ((problem.dim_x,), (problem.dim_y,), shape):
            raise ValueError(f"x0 must be a result of {method.name} on this problem, its memory has other shapes")
        return x0.x.copy(), x0.y.copy(), x0.z.copy(), x0.memory.copy(), x0.nit
    x = np.array(_check.real_array("x0", x0))
    if x.shape != (problem.dim_x,):
        raise ValueError(f"x0 must have shape ({problem.dim_x},), got {x.shape}")
    y = np.zeros(problem.dim_y) if y0 is None else np.array(_check.real_array("y0", y0))
    if y.shape != (problem.dim_y,):
        raise ValueError(f"y0 must have shape ({problem.dim_y},), got {y.shape}")
    if hasattr(problem, "project_x"):
        x = checked("project_x", problem.project_x(x), len(x))
    return x, y, np.zeros(len(y)), np.zeros(shape), 0


def _costs(costs: Mapping[str, float] | None) -> Floats:
    values = dict.fromkeys(KINDS, 1.0)
    for kind, cost in (costs or {}).items():
        _check.choice("costs", kind, KINDS)
        values[kind] = _check.positive(f"costs[{kind!r}]", cost)
    return np.array(list(values.values()))


def _record(problem: Any, nit: int, cost: float, x: Floats) -> tuple[Any, ...]:
    gradient = problem.gradient(x) if hasattr(problem, "gradient") else np.nan
    with np.errstate(all="ignore"):
        return nit, cost, x.copy(), float(np.sqrt(np.sum(np.square(gradient))))


def _result(
    x: Floats, y: Floats, z: Floats, nit: int, machine: Machine, status: Status, history: list[Any], memory: Floats
) -> BilevelResult:
    columns = {
        name: np.array([entry[i] for entry in history]) for i, name in enumerate(("nit", "cost", "x", "gradient_norm"))
    }
    if np.isnan(columns["gradient_norm"]).all():
        del columns["gradient_norm"]
    calls = dict(zip(KINDS, machine.calls.tolist(), strict=True))
    cost = float(machine.meter[1])
    state = x.copy(), y.copy(), z.copy()
    return BilevelResult(*state, nit, calls, cost, status, status.value, columns, memory.copy())
