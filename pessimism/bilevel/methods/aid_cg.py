r"""AID-CG: approximate implicit differentiation, with conjugate gradients for the linear system.

.. math::

    y \leftarrow y - \alpha \nabla_y g \text{ (D times)}, \quad
    \nabla^2_{yy} g\, z = \nabla_y f \text{ (J conjugate gradient steps from the old z)}, \quad
    x \leftarrow x - \eta_t(\nabla_x f - \nabla^2_{xy} g\, z).

Deterministic: every call of the loop is exact. The residual of the old z costs one more product, so J steps cost J + 1.
Both equations are warm started, so no bias remains at a fixed point. D, :math:`\alpha`, J and :math:`\eta` are the
options `inner_steps`, `lower_step`, `cg_steps` and `step`. Source: standard.

See also `simulations.bilevel_budget`.
"""

from typing import NamedTuple

import numpy as np

from pessimism._compiled import INNER, compiled
from pessimism._types import Floats
from pessimism.bilevel._engine.calls import Oracles, cvp, grad_f, grad_g, hvp, norm, refused
from pessimism.bilevel._engine.steps import Iterate, begin, copy, descend, descend_x, keep_or_undo, subtract
from pessimism.bilevel._method import Method
from pessimism.bilevel._options import CURVATURE, NONNEGATIVE, OPEN, option, whole_from

__all__ = ["METHOD"]


class Options(NamedTuple):
    """What a user may set, and the loop reads."""

    step: float = option(OPEN, NONNEGATIVE, "first step on x, eta")
    inner_steps: int = option(10, whole_from(0), "steps on y in an outer step, D")
    lower_step: float = option(CURVATURE, NONNEGATIVE, "step on y, alpha")
    cg_steps: int = option(5, whole_from(0), "conjugate gradient steps on z, J")
    decay: float = option(0.0, NONNEGATIVE, "the step on x falls as (1 + t)^-decay")


@compiled(INNER)
def _dot(a: Floats, b: Floats) -> float:
    """Inner product, summed from the first entry to the last."""
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@compiled(INNER)
def _conjugate_gradients(oracles: Oracles, at: Iterate, right: Floats, steps: int) -> None:
    """Steps on H z = right from the old z, with one product for its residual.

    They end early where the residual is 0 or the curvature is not positive.
    """
    x, y, z, n, exact = at.x, at.y, at.z, len(at.z), np.empty(0, np.int64)
    product, residual, along = np.empty(n), np.empty(n), np.empty(n)
    hvp(oracles, x, y, z, exact, product)
    subtract(right, product, residual)
    copy(residual, along)
    square = _dot(residual, residual)
    for _ in range(steps):
        if square == 0.0 or refused(oracles):
            break
        hvp(oracles, x, y, along, exact, product)
        curvature = _dot(along, product)
        if not curvature > 0.0:
            break
        rate = square / curvature
        for j in range(n):
            z[j] += rate * along[j]
        descend(residual, rate, product)
        before, square = square, _dot(residual, residual)
        for j in range(n):
            along[j] = residual[j] + square / before * along[j]


@compiled
def _run(oracles: Oracles, at: Iterate, memory: None, options: Options, start: int, steps: int) -> int:
    x, y, z, exact = at.x, at.y, at.z, np.empty(0, np.int64)
    both, slope, cross, direction = np.empty(len(x) + len(y)), np.empty(len(y)), np.empty(len(x)), np.empty(len(x))
    fx, fy = both[: len(x)], both[len(x) :]
    for t in range(start, start + steps):
        begin(at)
        for _ in range(options.inner_steps):
            if refused(oracles):
                break
            grad_g(oracles, x, y, exact, slope)
            descend(y, options.lower_step, slope)
        grad_f(oracles, x, y, exact, both)
        _conjugate_gradients(oracles, at, fy, options.cg_steps)
        cvp(oracles, x, y, z, exact, cross)
        subtract(fx, cross, direction)
        if not keep_or_undo(oracles, at, norm(direction)):
            return t - start
        descend_x(oracles, at, options.step / (1.0 + t) ** options.decay, direction)
    return steps


METHOD = Method(Options, _run)
