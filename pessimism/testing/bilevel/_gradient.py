r"""What the implicit gradient demands: on one quadratic problem, moves against it and a fall of F.

In units in which x hardly moves, y and z come to rest and every momentum at its limit, whatever the steps are. All
moves are then along one direction, which is minus that of :math:`\nabla F = f_x - C z` but for what is truncated. It is
looked at from points around the minimiser, where the two terms nearly cancel: there a wrong one decides. That y and z
follow when x does move is seen from a start far away, by what F has lost on the way.
"""

import numpy as np

from pessimism._types import Floats
from pessimism.testing.bilevel._solver import LONG, PROBE, Answer, Case, SolverSubject, path_of, probe_case
from pessimism.testing.bilevel._watched_problem import View, Watched

UNIT = 2.0**-16
"""Of x: a step of 1 moves it by as much."""

OFFSETS = 0.5 * np.array([[0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
"""Of the points from the minimiser."""

COSINE = 0.2
"""Least cosine between moves and minus the gradient: short series have 0.3 or more, z = f_y or no z at all -0.6."""

LIKE = 0.999
"""Least cosine with the moves of a known mistake."""

RESTING = 1e-3
"""Between the y of half a run that is at rest."""

SAME = 2e-3
"""Relative accuracy of a direction where everything has come to rest."""

SEEDS = 16
"""Runs whose moves are added where a solver draws at random also without samples, as the length of a series."""

FACTOR = 1.5
"""Of a plain step over the one claimed: a series cut short changes the length of a direction, too."""

BUDGET = 2000
SHARE, PATH_SHARE = 0.05, 0.9
"""Least share of what F can fall: in all, as slow methods are not wrong, and within the distance that x has gone."""


def descends(subject: SolverSubject, case: Case, answer: Answer) -> None:
    """On one well-conditioned problem the moves are against the gradient of F, and F falls as they allow."""
    if case.recipe is not PROBE:
        return
    longer = case._replace(budget=BUDGET)
    found = subject.ask(longer, "descends", View(exact=True), where=f"with {BUDGET} exact calls, ")
    wrong = _misled(subject, case) or _fallen_short(case.x0, found.x) or _left_behind(found.watched)
    if wrong is not None:
        raise subject.error("descends", wrong, longer)


def _left_behind(watched: Watched) -> str | None:
    """Which oracle is called at the first x or y to the end, though that moves: here C and H do not tell."""
    for name in "xy":
        stays = {kind: stays for (axis, kind), stays in watched.stays.items() if axis == name}
        stale = [kind for kind, here in stays.items() if here]
        if stale and not all(stays.values()):
            where = f"at the first {name} to the end, and {name} has moved"
            return f"it calls {stale[0]} {where}: on other problems C and H change with {name}"
    return None


def _fallen_short(start: Floats, end: Floats) -> str | None:
    value = PROBE.problem.value
    first, last, best = (float(value(x)) for x in (start, end, PROBE.problem.minimiser()))
    near = lowest_within(start, float(np.linalg.norm(end - start)))
    if first - last >= max(SHARE * (first - best), PATH_SHARE * (first - near)):
        return None
    fall = f"with {BUDGET} exact calls F goes from {first:.4g} to {last:.4g}"
    if near - best > 0.5 * (first - best):
        return f"{fall}, and {best:.4g} is the least: are the steps too small for {BUDGET} calls?"
    why = "do y and z follow when x moves, or are the steps too long?"
    return f"{fall}, and no farther away {near:.4g} is the least: {why}"


def lowest_within(x: Floats, radius: float) -> float:
    """The least value of F, which is quadratic, in a ball; a little more, since multipliers are on a grid."""
    problem = PROBE.problem
    slope = np.linalg.solve(problem.hessian, problem.coupling)
    values, vectors = np.linalg.eigh(problem.rho * np.eye(len(x)) + slope.T @ slope)
    multipliers = np.append(0.0, np.geomspace(1e-6, 1e6, 1000))
    moves = -(vectors.T @ problem.gradient(x)) / (values + multipliers[:, None]) @ vectors.T
    inside = np.linalg.norm(moves, axis=1) <= radius
    return min((float(problem.value(x + move)) for move in moves[inside]), default=float(problem.value(x)))


def _misled(subject: SolverSubject, case: Case) -> str | None:
    """What is wrong with the directions of the moves where x hardly moves."""
    starts = [PROBE.problem.minimiser() + offset for offset in OFFSETS]
    runs = _frozen(subject, case)
    asked = {kind for run in runs for kind, made in run.watched.made.items() if made}
    if asked == {"grad_f"}:
        return "it never asks about g: F is f(x, y) at the y that minimises g, which moves with x"
    if all(np.array_equal(run.x, run.x.astype(np.float32)) for run in runs):
        return "its x is rounded to float32, which hides small steps: compute in float64"
    for name, is_rounded in runs[0].watched.rounded.items():
        if is_rounded and all(run.watched.rounded[name] for run in runs):
            return f"every {name} at which it calls an oracle is rounded to float32 or less: compute in float64"
    if (wrong := _resting(starts[0], case.y0, runs[0].watched)) is not None:
        return wrong
    moves = _moves(runs)
    if not np.any(moves, axis=1).all():
        return f"x is at rest from call {LONG // 2} to call {LONG} of an exact run, away from the minimiser"
    for seed in range(1, SEEDS):
        if _least([-PROBE.problem.gradient(x) for x in starts], moves) >= COSINE:
            return _weighed(starts, moves)
        more = _moves(_frozen(subject, case._replace(seed=case.seed + seed)))
        if seed == 1 and np.array_equal(moves, more):
            break
        moves = moves + more
    known = [_mistakes(x, case.y0) for x in starts]
    told = "is a sign or a transpose wrong, or are y and z not solved for?"
    for what in known[0]:
        if _least([-here[what] for here in known], moves) >= LIKE:
            told = f"they are along {what}"
    return f"where x hardly moves, its moves are not against the gradient of F, f_x - C z with H z = f_y: {told}"


def _resting(x: Floats, y0: Floats, watched: Watched) -> str | None:
    """Whether y is at rest where it does not minimise g."""
    if not watched.lower:
        return None
    y, slope = watched.lower[-1], PROBE.problem.grad_g
    rest, first = (float(np.linalg.norm(slope(x, at))) for at in (y, y0))
    if np.ptp(watched.lower, axis=0).max() > RESTING or rest < 0.1 * first:
        return None
    return f"y comes to rest where it does not minimise g: grad_g is {rest:.3g} there, and {first:.3g} at y0"


def _weighed(starts: list[Floats], moves: Floats) -> str | None:
    """Whether all moves are along f_x - c C z for one c that is not 1; those of a short series are not, for any c."""
    factors = []
    for x, move in zip(starts, moves, strict=True):
        (fx, fy), axis = PROBE.problem.grad_f(x, y := PROBE.problem.solve_y(x)), move / np.linalg.norm(move)
        indirect = PROBE.problem.cvp(x, y, np.linalg.solve(PROBE.problem.hessian, fy))
        across, along = (part - (part @ axis) * axis for part in (fx, indirect))
        factor = float(across @ along / (along @ along))
        if np.linalg.norm(across - factor * along) > SAME * np.linalg.norm(fx):
            return None
        factors.append(factor)
    factor = float(np.mean(factors))
    if np.ptp(factors) > SAME or abs(factor - 1.0) < 10 * SAME:
        return None
    return f"where x hardly moves, its moves are along f_x - {factor:.3g} C z with H z = f_y, not along f_x - C z"


def _frozen(subject: SolverSubject, case: Case) -> list[Answer]:
    """A run from each of the points, x in units in which it hardly moves."""
    where = f"with {LONG} exact calls and x in units of {UNIT:.1e}, "
    starts = [(PROBE.problem.minimiser() + offset) / UNIT for offset in OFFSETS]
    view, longer = View(exact=True, unit=UNIT), case._replace(budget=LONG)
    return [subject.ask(longer._replace(x0=x), "descends", view, where=where) for x in starts]


def _moves(runs: list[Answer]) -> Floats:
    """Moves of x in the second half of each run."""
    return np.array([run.x - (run.x if run.watched.halfway is None else run.watched.halfway) for run in runs])


def _mistakes(x: Floats, y0: Floats) -> dict[str, Floats]:
    """Directions of known mistakes, by what they are."""
    problem = PROBE.problem
    y = problem.solve_y(x)
    (fx, fy), start = problem.grad_f(x, y), problem.grad_f(x, y0)[1]
    z, z0 = (np.linalg.solve(problem.hessian, right) for right in (fy, start))
    return {
        "f_x alone, as if y stayed where it is when x moves": fx,
        "f_x - C f_y: solve H z = f_y": fx - problem.cvp(x, y, fy),
        "f_x + C z: is a sign or a transpose wrong?": fx + problem.cvp(x, y, z),
        "f_x - 2 C z: is z or its part counted twice?": fx - 2.0 * problem.cvp(x, y, z),
        "f_x - C z / 2: is z or its part halved?": fx - 0.5 * problem.cvp(x, y, z),
        "-C z: f_x is missing": -problem.cvp(x, y, z),
        "C z - f_x, uphill: is a sign or a transpose wrong?": problem.cvp(x, y, z) - fx,
        "what it would be at y0: solve the lower level": fx - problem.cvp(x, y0, z0),
    }


def _least(directions: list[Floats], moves: Floats) -> float:
    """Least cosine of pairs."""
    sizes = np.linalg.norm(directions, axis=1) * np.linalg.norm(moves, axis=1)
    return float((np.sum(directions * moves, axis=1) / np.maximum(sizes, 1e-300)).min())


def plain_factor(subject: SolverSubject) -> str | None:
    """Whether steps are the claimed multiples of the gradient: "" if so, None if they are no multiples of it."""
    case, ratios = probe_case(), []
    for run, offset in zip(_frozen(subject, case), OFFSETS, strict=True):
        x = PROBE.problem.minimiser() + offset
        found = path_of(run, x / UNIT)
        if isinstance(found, str) or subject.step is None:
            return None
        path, steps = found
        half = len(steps) // 2
        claimed = (
            sum(float(subject.step(t)) for t in steps[half:-1])
            * UNIT
            * float(np.linalg.norm(PROBE.problem.gradient(x)))
        )
        ratios.append(float(np.linalg.norm(path[-1] - path[half])) / max(claimed, 1e-300))
    ratio = float(np.exp(np.mean(np.log(np.maximum(ratios, 1e-300)))))
    if ratio > 1e-2 / UNIT:
        return None
    if 1.0 / FACTOR <= ratio <= FACTOR:
        return ""
    hint = "is the new direction weighted by 1 minus the weight of the old momentum?"
    return f"where x hardly moves, a step is {ratio:.3g} times the claimed multiple of the gradient of F: {hint}"
