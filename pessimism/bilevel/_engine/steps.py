r"""What every outer step is made of: how it begins, how it ends or is undone, and the vector arithmetic between.

A loop is ``run(oracles, at, memory, options, start, steps)`` and makes the outer steps start, ..., start + steps - 1 in
place. Each begins with ``begin(at)`` and, before x moves, calls ``keep_or_undo(oracles, at, size)``: after a refused
call, with a direction that is not finite, or where g is so steep that its steps are too long, everything is put back to
where the step began, and the loop returns how many steps it completed.
"""

import math
from typing import NamedTuple

import numpy as np

from pessimism._compiled import INNER, compiled
from pessimism._types import Floats, Ints
from pessimism.bilevel._engine.calls import DIVERGED, LIMIT, REFUSED, STEEPEST, Oracle, Oracles, fresh, grad_g, refused
from pessimism.bilevel._engine.kinds import GRAD_G


class Iterate(NamedTuple):
    """Where a run is. x, y, z and the vectors of a method's memory are parts of the one array `vectors`.

    `before` holds what `vectors` was when the step under way began. Tables (matrices) of a memory are not in it: a
    method that has one writes into it when a step is kept.
    """

    x: Floats
    y: Floats
    z: Floats
    vectors: Floats
    before: Floats


@compiled(INNER)
def copy(source: Floats, target: Floats) -> None:
    """Write one vector over another."""
    for i in range(len(source)):
        target[i] = source[i]


@compiled(INNER)
def begin(at: Iterate) -> None:
    """Remember where a step begins."""
    copy(at.vectors, at.before)


@compiled(INNER)
def keep_or_undo(oracles: Oracles, at: Iterate, size: float) -> bool:
    """Keep a step if no call was refused, its direction has a finite size and g was not too steep; else undo it.

    Returns whether it is kept. A step undone for another reason than a refusal sets DIVERGED.
    """
    meter = oracles.meter
    if meter[REFUSED] == 0.0 and size < math.inf and meter[STEEPEST] <= meter[LIMIT]:
        return True
    if meter[REFUSED] == 0.0:
        meter[DIVERGED] = 1.0
    copy(at.before, at.vectors)
    return False


@compiled(INNER)
def subtract(a: Floats, b: Floats, out: Floats) -> None:
    """The difference a - b of two vectors."""
    for i in range(len(out)):
        out[i] = a[i] - b[i]


@compiled(INNER)
def descend(vector: Floats, rate: float, direction: Floats) -> None:
    """One step of a vector against a direction."""
    for i in range(len(vector)):
        vector[i] -= rate * direction[i]


@compiled(INNER)
def descend_and_project(
    project: Oracle, reals: Floats, sizes: Ints, x: Floats, y: Floats, rate: float, direction: Floats
) -> None:
    """Replace x by the allowed point nearest to x - rate direction."""
    wanted = np.empty(len(x))
    for i in range(len(wanted)):
        wanted[i] = x[i] - rate * direction[i]
    project(reals, sizes, x, y, wanted, sizes[:0], x)


@compiled(INNER)
def descend_x(oracles: Oracles, at: Iterate, rate: float, direction: Floats) -> None:
    """One step of x against a direction, projected to the allowed x."""
    descend_and_project(oracles.project, oracles.reals, oracles.sizes, at.x, at.y, rate, direction)


@compiled(INNER)
def descend_y(oracles: Oracles, at: Iterate, rate: float, steps: int) -> None:
    """Gradient steps of y on g, a fresh sample each."""
    slope = np.empty(len(at.y))
    for _ in range(steps):
        if refused(oracles):
            break
        grad_g(oracles, at.x, at.y, fresh(oracles, GRAD_G), slope)
        descend(at.y, rate, slope)
