r"""Are the oracles of a bilevel problem what they should be? Finite differences and adjoint tests name the wrong one.

With :math:`D_h \phi(t) = (\phi(t + h) - \phi(t - h)) / 2h` and random directions u, v, w,

.. math::

   D_h f(x + t u, y) &\to \langle \nabla_x f, u \rangle, & D_h f(x, y + t v) &\to \langle \nabla_y f, v \rangle, \\
   D_h g(x, y + t v) &\to \langle \nabla_y g, v \rangle, & D_h \nabla_y g(x, y + t v) &\to H v, \\
   \langle D_h \nabla_y g(x + t u, y), v \rangle &\to \langle u, C v \rangle, & \langle w, H v \rangle &= \langle v, H w
   \rangle.

The error of a central difference is :math:`O(h^2)` and its rounding :math:`O(\epsilon / h)`; of four to six steps h the
best one counts, and a difference within rounding passes. A wrong derivative is wrong at every h.
"""

import inspect
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._objects import Speaking
from pessimism._types import Floats, Rng
from pessimism.bilevel._differences import (
    ROUNDING,
    TOLERANCE,
    Comparison,
    Field,
    close,
    compare,
    curvature,
    factor,
    length,
    mistake,
    shared,
)
from pessimism.bilevel._probe import Probe, ProblemError, Tests, naming, where
from pessimism.bilevel._promised import implicit, nearest, repeating, unbiased
from pessimism.bilevel._users_oracles import SYMMETRY, point, require_oracles, returned
from pessimism.bilevel.problem import BilevelProblem, OracleError

__all__ = ["ProblemError", "ProblemReport", "check_problem"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ProblemReport(Speaking):
    r"""What was measured on a problem that passed; None for what it has no oracles for.

    Attributes
    ----------
    grad_f_x : float or None
        Relative error of the first half of `grad_f` as the gradient of f in x.
    grad_f_y : float or None
        The same of its second half, in y.
    grad_g : float or None
        Relative error of `grad_g` as the gradient of g in y.
    grad_gx : float or None
        Relative error of `grad_gx` as the gradient of g in x; without g, of C as its derivative in y.
    hvp : float
        Relative error of `hvp` as the derivative of `grad_g` in y.
    cvp : float
        Relative error of `cvp` as the derivative of `grad_g` in x.
    symmetry : float
        Largest :math:`|\langle w, H v \rangle - \langle v, H w \rangle|`, relative to the lengths.
    solve_y : float or None
        Size of `grad_g` at ``solve_y(x)``, relative to that at the points tried.
    gradient : float or None
        Relative error of `gradient` as :math:`f_x - C z` where y minimises g and :math:`H z = f_y`.
    samples : float or None
        Largest relative error of a derivative on one sample.
    curvature : float
        Smallest eigenvalue of H; an estimate for dy above 40, or where rounding of the largest hides it.
    verdict : str
        A sentence.

    Notes
    -----
    Statement: every error is at most 1e-4, the symmetry 1e-6, and the curvature positive, at four points. That is
    evidence, no proof. Source: textbook finite differences.

    Examples
    --------
    >>> from pessimism.bilevel.problems import Quadratic
    >>> check_problem(Quadratic.random(2, 3, rng=0), [0.0, 1.0], [0.0, 0.0, 1.0]).cvp < 1e-6
    True
    """

    grad_f_x: float | None
    grad_f_y: float | None
    grad_g: float | None
    grad_gx: float | None
    hvp: float
    cvp: float
    symmetry: float
    solve_y: float | None
    gradient: float | None
    samples: float | None
    curvature: float
    verdict: str


def check_problem(problem: BilevelProblem, x: ArrayLike, y: ArrayLike, *, rng: Rng = 0) -> ProblemReport:
    r"""Test every oracle of a problem against the others, and name the one that is wrong.

    Parameters
    ----------
    problem : BilevelProblem
        With its four oracles; `f`, `g`, `grad_gx`, `solve_y`, `gradient`, `project_x` and `sample` are tested if it
        has them. Give it `f` and `g` if you can: without them nothing says that `grad_f` and `grad_g` are right.
    x : (dx,) array_like of float
        Upper-level point: three points around (x, y) are tried, each entry moved by a tenth of its size or of 1 at
        random, then into the allowed set if there is a `project_x`, and the first x with the second y. Messages say
        which point.
    y : (dy,) array_like of float
        Lower-level point.
    rng : Generator, SeedSequence or int, optional
        Source of the points and directions. Default 0: the same every time.

    Returns
    -------
    ProblemReport
        The errors measured, all small.

    Raises
    ------
    ProblemError
        Naming every oracle that is wrong, and how: its sign, a factor, a transpose, an asymmetry, a kink, a shape, a
        type, a NaN, memory it shares or writes to, a sample handle it does not respect, samples that are not right on
        average, a point that is not the nearest. What relies on a wrong oracle is then not tested.
    ValueError, TypeError
        If x or y does not fit the problem, or one of the four oracles is missing.

    Notes
    -----
    Statement: that of the module. A derivative is wrong if its relative error is above 1e-4 at every step h of 1e-2 to
    1e-5, and to 1e-7 while these disagree. Samples are wrong if the mean of 200 of them is 2 standard errors, and that
    of 4000 others 7, from the exact value, which right ones are with probability below 1e-9. Cost: some 1000 calls,
    most of them of f, g and `grad_g`, and with samples another 2000 to 20,000. Source: textbook. Use a problem in
    float64, and numbers of ordinary size: what cannot be told from rounding, or from noise, passes.

    Examples
    --------
    >>> from pessimism.bilevel.problems import Quadratic
    >>> check_problem(Quadratic.random(2, 3, rng=0), [0.0, 1.0], [0.0, 0.0, 1.0]).verdict.partition(":")[0]
    'every oracle passed'
    """
    require_oracles(problem, ("grad_f", "grad_g", "hvp", "cvp"), "check_problem")
    start = point("x", x, problem.dim_x), point("y", y, problem.dim_y)
    probe = Probe(problem, start, _check.generator(rng))
    tests = Tests(probe)
    for name in ("grad_f", "grad_g", "hvp", "cvp", "grad_gx"):
        tests.run(name, partial(_require_clean, name=name), (name,))
    tests.run("grad_f", _grad_f, ("grad_f", "f"), into="grad_f")
    tests.run("grad_g", _grad_g, ("grad_g", "g"), into="grad_g")
    tests.run("grad_g", _require_increasing, ("grad_g",))
    tests.run("grad_g", _require_smooth, ("grad_g",))
    tests.run("hvp", _require_symmetric, ("grad_g", "hvp"), into="symmetry")
    tests.run("hvp", _hvp, ("grad_g", "hvp"), into="hvp")
    tests.run("hvp", _require_convex, ("grad_g", "hvp"), into="curvature")
    tests.run("cvp", _cvp, ("grad_g", "cvp"), into="cvp")
    tests.run("grad_gx", _grad_gx, ("grad_gx", "cvp"), into="grad_gx")
    tests.run("solve_y", _solve_y, ("grad_g", "solve_y"), into="solve_y")
    tests.run("project_x", nearest, ("project_x",))
    tests.run("gradient", implicit, ("grad_f", "grad_g", "hvp", "cvp", "gradient"), into="gradient")
    tests.run("sample", _samples, ("grad_f", "grad_g", "hvp", "cvp", "sample"), into="samples")
    return ProblemReport(**tests.report(), verdict=_verdict(tests.errors))


def _verdict(errors: dict[str, Any]) -> str:
    measured = {name: error for name, error in errors.items() if error is not None and name != "curvature"}
    worst = max(measured, key=lambda name: float(measured[name]))
    missing = [name for name, oracle in (("f", "grad_f_x"), ("g", "grad_g")) if errors[oracle] is None]
    untested = "".join(f"; without {name}, grad_{name} is tested less" for name in missing)
    return f"every oracle passed: the largest relative error is {measured[worst]:.1e} ({worst}){untested}"


# What an oracle may do at all.


def _require_clean(probe: Probe, name: str) -> None:
    """Shapes, types, numbers; nothing written into what it was given, nor later into what it returned."""
    x, y = probe.points[0]
    v = probe.direction(y)
    arguments = (x, y, v) if name in ("hvp", "cvp") else (x, y)
    given = [array.copy() for array in arguments]
    try:
        returned = getattr(probe.problem, name)(*given)
    except Exception as error:
        sentence = _hint(probe, name) or f"{name} raised {type(error).__name__}: {error}"
        raise ProblemError(sentence + where(x, y)) from error
    parts = list(returned) if name == "grad_f" and isinstance(returned, (tuple, list)) else [returned]
    if not all(np.array_equal(array, before) for array, before in zip(given, arguments, strict=True)):
        raise ProblemError(f"{name} writes into the arrays it is given: it must leave x, y and v as they are")
    try:
        probe.oracles.evaluate(name, x, y, v)
    except OracleError as error:
        raise ProblemError((_hint(probe, name) or str(error)) + where(x, y)) from error
    for part in parts:
        kind = np.asarray(part).dtype
        if kind.kind == "f" and kind.itemsize < 8:
            raise ProblemError(f"{name} computes in {kind}: float64 is needed, here and in every solver")
    kept = [np.array(part) for part in parts]
    other = probe.evaluate(name, *probe.points[1], v)
    told = np.concatenate([np.ravel(part) for part in kept])
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite there, and differs
        halved = [z.astype(np.float32) for z in (told, other)]
    if not np.array_equal(told, other) and all(map(np.array_equal, (told, other), halved)):
        raise ProblemError(f"{name} has 7 digits or fewer: some step computes in float32, or rounds{where(x, y)}")
    if not all(np.array_equal(part, before) for part, before in zip(parts, kept, strict=True)):
        raise ProblemError(f"{name} returns the same memory at every call: it must return a new array, or a copy")


def _hint(probe: Probe, name: str) -> str | None:
    """The mistake that wrong shapes betray."""
    x, y = probe.points[0]
    if len(x) == len(y):
        return None
    try:
        if name == "grad_f":
            first, second = probe.problem.grad_f(x.copy(), y.copy())
            if np.shape(first) == y.shape and np.shape(second) == x.shape:
                return f"grad_f returns its halves in the wrong order: the gradient in x ({len(x)}) comes first"
        if name == "cvp" and np.shape(probe.problem.cvp(x.copy(), y.copy(), probe.direction(x))) == y.shape:
            return f"cvp is transposed: it must take v with {len(y)} entries and return {len(x)}"
    except Exception:
        return None
    return None


def _blame(
    name: str, of: str, found: Comparison, *known: tuple[list[Floats], list[Floats], str], more: str = ""
) -> None:
    if found.error > TOLERANCE:
        raise ProblemError(f"{name} {mistake(of, found, *known)} (relative error {found.error:.1e}){more}")


# The upper level.


def _grad_f(probe: Probe, rows: tuple[int, ...] = ()) -> dict[str, float]:
    in_x, in_y, other_x, other_y = [], [], [], []
    for x, y, u, v in probe.cases():
        gradients = probe.evaluate("grad_f", x, y, rows=rows)
        gx, gy = gradients[: len(x)], gradients[len(x) :]
        in_x.append((probe.of_x("f", y, rows), x, u, np.atleast_1d(gx @ u)))
        in_y.append((probe.of_y("f", x, rows), y, v, np.atleast_1d(gy @ v)))
        if len(x) == len(y):
            other_x.append(np.atleast_1d(gy @ u))
            other_y.append(np.atleast_1d(gx @ v))
    of_x, of_y = compare(in_x, probe.allows), compare(in_y)
    wrong = other_x and max(of_x.error, of_y.error) > TOLERANCE
    if wrong and close(other_x, of_x.measured) and close(other_y, of_y.measured):
        raise ProblemError("grad_f returns its halves in the wrong order: the gradient in x comes first")
    more = f" on one sample{_ON_A_SAMPLE}" if rows else ""
    if shared(of_x, of_y):
        _blame("grad_f", "gradient of f", of_x, more=f"{more}; or f is wrong, for both halves of grad_f say so")
    _blame("grad_f in x", "gradient of f in x", of_x, more=more)
    _blame("grad_f in y", "gradient of f in y", of_y, more=more)
    return {"grad_f_x": of_x.error, "grad_f_y": of_y.error}


# The lower level.

_ON_A_SAMPLE = ": with one handle all oracles of a level must be of the same rows, though the exact ones agree"


def _grad_g(probe: Probe, rows: tuple[int, ...] = ()) -> float:
    found = compare(
        (probe.of_y("g", x, rows), y, v, np.atleast_1d(probe.evaluate("grad_g", x, y, rows=rows) @ v))
        for x, y, _, v in probe.cases()
    )
    who = "grad_g"
    if found.error > TOLERANCE and not rows and max(_along_y(probe)[0].error, _along_x(probe).error) <= TOLERANCE:
        # a factor that the derivatives share is no slip in grad_g alone
        others = "all of grad_g, hvp and cvp are" if factor(found) else "grad_g is, by a term that hvp and cvp lack too"
        who = f"g is wrong, or {others}: grad_g"
    _blame(who, "gradient of g in y", found, more=f" on one sample{_ON_A_SAMPLE}" if rows else "")
    return found.error


def _require_increasing(probe: Probe) -> None:
    for x, y, _, v in probe.cases():
        up, down = (probe.evaluate("grad_g", x, y + h * v) for h in (1e-2, -1e-2))
        if float((up - down) @ v) < -ROUNDING * (length(up) + length(down)):
            sign = "" if probe.has("g") else ", unless grad_g has the wrong sign"
            raise ProblemError(f"grad_g decreases along a direction: g is not strongly convex in y{sign}{where(x, y)}")


def _require_smooth(probe: Probe) -> None:
    """A norm whose square was meant: its gradient jumps at y = 0, by as much at any distance.

    The shorter one tells it from a smooth one of large curvature, and 0 has neighbours as near as that.
    """
    x, y = probe.points[0]
    w = probe.direction(y)
    try:
        far, near = (
            length(probe.evaluate("grad_g", x, h * w) - probe.evaluate("grad_g", x, -h * w)) for h in (1e-3, 1e-12)
        )
        rounding = 1e3 * np.finfo(float).eps * length(probe.evaluate("grad_g", x, 1e-12 * w))
    except ProblemError:
        return  # y = 0 may lie outside the domain
    if near > max(1e-2 * far, rounding):
        raise ProblemError(
            f"grad_g jumps by {near:.3g} at y = 0: g has a kink there, like a norm where its square is meant"
        )


def _products(probe: Probe) -> Iterator[tuple[Floats, Floats, Floats]]:
    for x, y, _, v in probe.cases():
        yield x, y, v


def _require_linear(probe: Probe, name: str) -> None:
    for x, y, v in _products(probe):
        w = probe.direction(y)
        one, other = probe.evaluate(name, x, y, v), probe.evaluate(name, x, y, w)
        both = probe.evaluate(name, x, y, 2.0 * v - 3.0 * w)
        gap, size = length(both - 2.0 * one + 3.0 * other), 2.0 * length(one) + 3.0 * length(other)
        if gap > SYMMETRY * size:
            raise ProblemError(f"{name} is not linear in v (relative error {gap / size:.1e})")


def _along_y(probe: Probe, rows: tuple[int, ...] = ()) -> tuple[Comparison, list[Floats]]:
    """Products with H against the derivative of grad_g in y; and the directions."""
    cases = [
        (probe.of_y("grad_g", x, rows), y, v, probe.evaluate("hvp", x, y, v, rows)) for x, y, v in _products(probe)
    ]
    return compare(cases), [case[2] for case in cases]


def _require_symmetric(probe: Probe) -> float:
    _require_linear(probe, "hvp")
    worst = 0.0
    for x, y, v in _products(probe):
        w = probe.direction(y)
        hv, hw = probe.evaluate("hvp", x, y, v), probe.evaluate("hvp", x, y, w)
        gap, size = abs(float(w @ hv - v @ hw)), length(hv) + length(hw)
        worst = max(worst, gap / size if gap else 0.0)
    if worst > SYMMETRY:
        faithful = _along_y(probe)[0].error <= TOLERANCE
        why = ", and yet it is the derivative of grad_g in y: grad_g is no gradient" if faithful else ""
        raise ProblemError(f"hvp is not symmetric: <w, Hv> and <v, Hw> differ (relative error {worst:.1e}){why}")
    return worst


def _hvp(probe: Probe, rows: tuple[int, ...] = ()) -> float:
    found, directions = _along_y(probe, rows)
    added = np.concatenate(found.claimed) - np.concatenate(found.measured)
    damping = float(added @ np.concatenate(directions)) / len(directions)  # they have length 1
    damped = [entry + damping * v for entry, v in zip(found.measured, directions, strict=True)]
    known = (found.claimed, damped, f"adds {damping:.4g} v: damping is an option of hypergradient, no part of H")
    more = _ON_A_SAMPLE if rows else "" if probe.has("g") else "; or grad_g is wrong, which g would tell"
    if found.error > TOLERANCE and not rows and not probe.has("g"):
        number = shared(found, _along_x(probe))
        if number:
            raise ProblemError(f"grad_g is {1.0 / number:.4g} times what hvp and cvp say, or both of these are wrong")
    _blame("hvp", f"derivative of grad_g in y{' on one sample' if rows else ''}", found, known, more=more)
    return found.error


def _require_convex(probe: Probe) -> float:
    lowest = math.inf
    for x, y in probe.points:
        low, convex = curvature(partial(probe.evaluate, "hvp", x, y), probe.direction(y))
        if not convex:
            raise ProblemError(f"g is not strongly convex in y: hvp has the eigenvalue {low:.3g}{where(x, y)}")
        lowest = min(lowest, low)
    return lowest


def _inner(function: Field, v: Floats) -> Field:
    return lambda t: np.atleast_1d(function(t) @ v)


def _along_x(probe: Probe, rows: tuple[int, ...] = ()) -> Comparison:
    """Products with C against the derivative of grad_g in x."""
    cases = []
    for x, y, u, v in probe.cases():
        along, claimed = _inner(probe.of_x("grad_g", y, rows), v), probe.evaluate("cvp", x, y, v, rows)
        cases.append((along, x, u, np.atleast_1d(claimed @ u)))
    return compare(cases, probe.allows)


def _cvp(probe: Probe, rows: tuple[int, ...] = ()) -> float:
    if not rows:
        _require_linear(probe, "cvp")
    found, known = _along_x(probe, rows), []
    if found.error > TOLERANCE and len(probe.points[0][0]) == len(probe.points[0][1]):
        cases = [
            (probe.of_x("grad_g", y, rows), x, v, probe.evaluate("cvp", x, y, v, rows)) for x, y, v in _products(probe)
        ]
        transposed = compare(cases, probe.allows)
        known = [(transposed.claimed, transposed.measured, _TRANSPOSED)]
    more = _ON_A_SAMPLE if rows else ""
    _blame("cvp", f"derivative of <grad_g, v> in x{' on one sample' if rows else ''}", found, *known, more=more)
    return found.error


_TRANSPOSED = "is transposed: it must be the gradient in x of <grad_g, v>, not the derivative of grad_g in x along v"


def _grad_gx(probe: Probe, rows: tuple[int, ...] = ()) -> float:
    more = f" on one sample{_ON_A_SAMPLE}" if rows else ""
    if probe.has("g") and (not rows or _takes_handle(probe, "g")):
        found = compare(
            (
                (probe.of_x("g", y, rows), x, u, np.atleast_1d(probe.evaluate("grad_gx", x, y, rows=rows) @ u))
                for x, y, u, _ in probe.cases()
            ),
            probe.allows,
        )
        _blame("grad_gx", "gradient of g in x", found, more=more)
        return found.error
    found = compare(
        (probe.of_y("grad_gx", x, rows), y, v, probe.evaluate("cvp", x, y, v, rows)) for x, y, _, v in probe.cases()
    )
    if found.error > TOLERANCE:
        wrong = f"grad_gx has another derivative in y than cvp says (relative error {found.error:.1e})"
        raise ProblemError(wrong + more)
    return found.error


def _solve_y(probe: Probe) -> float:
    worst = 0.0
    for x, y in probe.points:
        with naming("solve_y", x):
            solved = returned("solve_y", probe.problem.solve_y(x.copy()), len(y))
        rest, usual = length(probe.evaluate("grad_g", x, solved)), length(probe.evaluate("grad_g", x, y))
        worst = max(worst, rest / usual if rest else 0.0)
    if not worst <= SYMMETRY:
        raise ProblemError(f"solve_y does not minimise g: grad_g there is {worst:.1e} times its usual size")
    return worst


# Samples.


def _samples(probe: Probe) -> float:
    """The same identities with one handle, which solvers with memory rely on."""
    x, y = probe.points[0]
    rows = (int(probe.rng.integers(2**31)),)
    for level, name in (("f", "grad_f"), ("g", "grad_g")):
        with naming("sample"):
            handle, twin = (probe.oracles.draw(rows[0], level) for _ in range(2))
        with naming(name, x, y):
            once, again = (np.hstack(getattr(probe.problem, name)(x.copy(), y.copy(), handle)) for _ in range(2))
        if not np.array_equal(once, again):
            raise ProblemError(f"{name} returns two values for one sample handle: all chance must be in the handle")
        if not np.array_equal(once, np.hstack(getattr(probe.problem, name)(x.copy(), y.copy(), twin))):
            raise ProblemError("sample draws two handles from one state of rng: all chance must come from rng")
    errors: list[float] = []
    for ticket in (rows[0], *repeating(probe)):
        rows = (ticket,)
        errors += [_hvp(probe, rows), _cvp(probe, rows)]
        if probe.has("grad_gx"):
            errors.append(_grad_gx(probe, rows))
        if _takes_handle(probe, "f"):
            errors += _grad_f(probe, rows).values()
        if _takes_handle(probe, "g"):
            errors.append(_grad_g(probe, rows))
    unbiased(probe)
    return max(errors)


def _takes_handle(probe: Probe, name: str) -> bool:
    return probe.has(name) and len(inspect.signature(getattr(probe.problem, name)).parameters) > 2
