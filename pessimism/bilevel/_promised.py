"""What a problem promises beyond derivatives: its gradient, its projection, and samples that are right on average."""

from collections.abc import Iterator

import numpy as np

from pessimism._types import Floats
from pessimism.bilevel._differences import TOLERANCE, Comparison, length, mistake
from pessimism.bilevel._probe import Probe, ProblemError, naming, where
from pessimism.bilevel._users_oracles import returned

DENSE = 200
"""Largest dy for which H is written out."""

NEWTON = 50
FEW, MANY = 200, 4000
SUSPICIOUS, CERTAIN = 2.0, 7.0
"""Standard errors of a mean of few, and of many other, samples."""

REPEATED = 1
DRAWS = 2000
"""Samples to look through for one that holds a row twice."""


def implicit(probe: Probe) -> float | None:
    """Relative error of `gradient`; None where y cannot be solved for."""
    found, others = Comparison(0.0, [], []), []
    worst = 0.0
    for x, y in probe.points:
        solved = _lower(probe, x, y)
        if solved is None:
            return None
        parts = probe.evaluate("grad_f", x, solved)
        fx, fy = parts[: len(x)], parts[len(x) :]
        z: Floats = np.asarray(np.linalg.solve(_hessian(probe, x, solved), fy))
        cross = probe.evaluate("cvp", x, solved, z)
        with naming("gradient", x):
            claimed = returned("gradient", probe.problem.gradient(x.copy()), len(x))
        gap = length(claimed - (fx - cross))
        worst = max(worst, gap / max(length(fx) + length(cross), length(claimed)) if gap else 0.0)
        found.claimed.append(claimed)
        found.measured.append(fx - cross)
        others.append((fx, cross))
    if worst > TOLERANCE:
        known = (
            (found.claimed, [fx for fx, _ in others], "is f_x alone: y moves with x, so that C z is missing"),
            (found.claimed, [fx + cross for fx, cross in others], "adds C z, which is to be subtracted"),
        )
        told = mistake("gradient of F, f_x - C z with H z = f_y where y minimises g", found, *known)
        raise ProblemError(f"gradient {told} (relative error {worst:.1e})")
    return worst


def _lower(probe: Probe, x: Floats, y: Floats) -> Floats | None:
    """The y that minimises g: that of `solve_y`, or what Newton steps come to."""
    if len(y) > DENSE:
        return None
    if probe.has("solve_y"):
        with naming("solve_y", x):
            return returned("solve_y", probe.problem.solve_y(x.copy()), len(y))
    slope = probe.evaluate("grad_g", x, y)
    start = length(slope)
    for _ in range(NEWTON):
        if length(slope) <= 1e-10 * start:
            return y
        move = np.linalg.solve(_hessian(probe, x, y), slope)
        ends = [(y - share * move, probe.evaluate("grad_g", x, y - share * move)) for share in (1.0, 0.5, 0.1)]
        y, slope = min(ends, key=lambda end: length(end[1]))
    return None


def _hessian(probe: Probe, x: Floats, y: Floats) -> Floats:
    columns: Floats = np.array([probe.evaluate("hvp", x, y, unit) for unit in np.eye(len(y))]).T
    return columns


def nearest(probe: Probe) -> None:
    """A projection stays where it has gone, and no other allowed point is nearer."""
    for x, _ in probe.points:
        size = np.maximum(1.0, np.abs(x))
        for scale in (0.1, 1.0, 10.0):
            far = x + scale * size * probe.rng.normal(size=len(x))
            once = probe.project(far)
            again = probe.project(once)
            if length(again - once) > 1e-9 * (1.0 + length(once)):
                moved = f"a point that it has moved, by {length(again - once):.3g}"
                raise ProblemError(f"project_x moves {moved}: an allowed x must stay where it is{where(far)}")
            _none_nearer(probe, far, once)


def _none_nearer(probe: Probe, far: Floats, once: Floats) -> None:
    distance = length(far - once)
    if distance == 0.0:
        return
    for share in np.repeat([1e-3, 1e-2, 0.1, 0.5], 8):
        other = probe.project(once + share * distance * probe.direction(once))
        if length(far - other) < distance * (1.0 - 1e-9) - 1e-12:
            gap = f"{distance:.6g} away, and {length(far - other):.6g} away there is another allowed x"
            raise ProblemError(f"project_x is not the nearest allowed x: its answer is {gap}{where(far)}")


def repeating(probe: Probe) -> Iterator[int]:
    """Tickets of samples that hold an entry twice: an oracle that assigns where it should add loses one."""
    found = 0
    for ticket in map(int, probe.rng.integers(2**31, size=DRAWS)):
        with naming("sample"):
            rows = probe.problem.sample(np.random.default_rng(ticket), "g")
        entries = np.asarray(rows) if isinstance(rows, np.ndarray | list | tuple) else np.empty(0)
        if entries.dtype.kind not in "iu" or entries.ndim != 1:
            return
        if len(np.unique(entries)) < len(entries):
            yield ticket
            found += 1
        if found == REPEATED:
            return


def unbiased(probe: Probe) -> None:
    """The mean over samples of each oracle is its exact value, along that value and along a random direction."""
    x, y = probe.points[0]
    v = probe.direction(y)
    for name in filter(probe.has, ("grad_f", "grad_g", "hvp", "cvp", "grad_gx")):
        exact = probe.evaluate(name, x, y, v)
        for axis in (exact / max(length(exact), 1e-300), probe.direction(exact)):
            value = float(exact @ axis)
            with naming(name, x, y):
                if _errors_off(_sampled(probe, name, v, FEW) @ axis, value) < SUSPICIOUS:
                    continue
                values = _sampled(probe, name, v, MANY) @ axis
            off = _errors_off(values, value)
            if off > CERTAIN:
                times = f"{values.mean() / value:.2g} times" if value > 0.9 * length(exact) > 0.0 else "not"
                wrong = f"{name} on a sample is on average {times} the exact one ({off:.3g} standard errors)"
                raise ProblemError(f"{wrong}: samples must be without bias{where(x, y)}")


def _sampled(probe: Probe, name: str, v: Floats, number: int) -> Floats:
    """Values on as many samples, one a row."""
    x, y = probe.points[0]
    factor, oracle = ((v,) if name in ("hvp", "cvp") else ()), getattr(probe.problem, name)
    handles = (probe.problem.sample(probe.rng, "f" if name == "grad_f" else "g") for _ in range(number))
    given = [array.copy() for array in (x, y, *factor)]
    return np.array([np.hstack(oracle(*given, handle)) for handle in handles], dtype=np.float64)


def _errors_off(values: Floats, exact: float) -> float:
    """Standard errors between a mean and its exact value; infinite where nothing varies and it is another."""
    gap, error = abs(float(values.mean()) - exact), float(values.std(ddof=1)) / len(values) ** 0.5
    rounding = 1e-9 * (abs(exact) + float(np.abs(values).max()))
    return gap / max(error, rounding) if gap > rounding else 0.0
