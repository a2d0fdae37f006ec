"""What every bilevel solver owes its user of samples: each step has its own, and uses them."""

from collections import defaultdict
from itertools import pairwise

import numpy as np

from pessimism._types import Floats
from pessimism.testing.bilevel._gradient import OFFSETS, UNIT
from pessimism.testing.bilevel._solver import LONG, PROBE, Answer, Case, SolverSubject
from pessimism.testing.bilevel._watched_problem import View, Watched

OVERSHOOT = 1.5
"""Of x on its way over where a sample moves it in all: momentum approaches that from below."""

FEW = 4
"""Samples, or steps, that do not yet say that all are alike."""


def samples(subject: SolverSubject, case: Case, answer: Answer) -> None:
    """On the probe, which is noisy, every step draws samples of its own."""
    if case.recipe is PROBE:
        longer = case._replace(budget=LONG)
        try:
            watched = subject.ask(longer).watched
            wrong = _stale(watched) or (_against(subject, longer) if _several(watched) else None)
        except subject.error_type:  # infinite or above the budget: "descends" tells, which makes longer runs
            return
        if wrong is not None:
            raise subject.error("samples", wrong, longer)


def _stale(watched: Watched) -> str | None:
    """What is wrong with the samples of a run."""
    if watched.drawn and not watched.uses:
        return "it draws samples, and calls every oracle without one: pass the handle on, as in grad_f(x, y, s)"
    for level in "fg":
        drawn = [handle.rows for handle in watched.drawn if handle.level == level]
        if len(drawn) > FEW and all(np.array_equal(rows, drawn[0]) for rows in drawn):
            return f'each sample(rng, "{level}") is the same: make one Generator a run, and draw on from it'
    points: dict[tuple[str, int], set[bytes]] = defaultdict(set)
    for kind, x, number in watched.uses:
        points[kind, number].add(x)
    for (kind, _), at in points.items():
        if len(at) > 2:
            many = f"it calls {kind} on one sample at {len(at)} different x"
            return f"{many}: draw anew for each step (recursive momentum has two x a sample, the new and the old one)"
    return _unpaired(watched)


def _unpaired(watched: Watched) -> str | None:
    """Whether it goes back to the x before in every step, with a sample that the new x has not seen."""
    calls: dict[str, list[tuple[bytes, str]]] = defaultdict(list)
    for kind, x, number in watched.uses:
        calls[kind].append((x, str(watched.drawn[number].rows)))  # what it holds: one drawn twice is one sample
    for kind, made in calls.items():
        order = {x: i for i, x in enumerate(dict.fromkeys(x for x, _ in made))}
        seen = {x: {rows for at, rows in made if at == x} for x in order}
        back = {
            old for (new, _), (old, rows) in pairwise(made)
            if order[old] == order[new] - 1 and rows not in seen[new]
        }  # fmt: skip
        if len(back) > max(FEW, len(order) // 2):
            return (
                f"in each step it calls {kind} at the x before with a sample that it does not use at the new x: {TWO}"
            )
    return None


def _several(watched: Watched) -> bool:
    """Whether f is asked on more than one sample at most x: else each is the sample of its own x."""
    samples: dict[bytes, set[int]] = defaultdict(set)
    for kind, x, number in watched.uses:
        if kind == "grad_f":
            samples[x].add(number)
    return 2 * sum(len(numbers) > 1 for numbers in samples.values()) > len(samples)


def _against(subject: SolverSubject, case: Case) -> str | None:
    """Whether a sample, in all, moves x against its own gradient: then another one has its part with the sign right.

    Where x hardly moves, values are exact but for one sample of f, whose f_x is another: x must end farther along it,
    or where it was.
    """
    x = PROBE.problem.minimiser() + OFFSETS[0]
    case, gradient = case._replace(x0=x / UNIT), PROBE.problem.gradient(x)
    extra = np.linalg.norm(gradient) * np.cross(gradient, [1.0, 0.0, 0.0]) / np.linalg.norm(gradient[1:])
    plain = subject.ask(case, view=View(exact_values=True, unit=UNIT))
    drawn = [handle for handle in plain.watched.drawn if handle.level == "f"]
    middle = drawn[len(drawn) // 2 :][:FEW]
    runs = [subject.ask(case, view=View(exact_values=True, unit=UNIT, extra=(handle, extra))) for handle in middle]
    gains = [-float((run.x - plain.x) @ extra) for run in runs]
    if not gains or max(gains) < 1e-8:
        return None
    if min(gains) <= -0.3 * max(gains):
        return f"there are samples of f whose f_x moves x the wrong way: {TWO}"
    peaks = [_peak(plain.watched, run.watched, extra) for run in runs]
    if any(peak > OVERSHOOT * max(gain, 0.1 * max(gains)) for peak, gain in zip(peaks, gains, strict=True)):
        return (
            "f_x on a sample moves x at once by more than it does in all, and is taken back: recursive momentum is "
            "u + (1 - a)(m - b), with u and b at the new and the old x, so that the noise in u - b goes"
        )
    return None


def _peak(plain: Watched, watched: Watched, extra: Floats) -> float:
    """How far x goes, on its way, along the gradient that one sample has more."""
    paths = [[np.frombuffer(x) for kind, x, _ in run.uses if kind == "grad_f"] for run in (plain, watched)]
    return max((-float((there - here) @ extra) for here, there in zip(*paths, strict=False)), default=0.0)


TWO = "recursive momentum takes the difference of the new and the old x on one sample, or the noise adds up"
