r"""What AmIGO, StocBiO, BSA and TTSA share: steps on y, an estimate of z, a step on x.

.. math::

    y \leftarrow y - \alpha_t \nabla_y g \text{ (`inner_steps` times)}, \quad
    z \approx (\nabla^2_{yy} g)^{-1} \nabla_y f, \quad
    x \leftarrow x - \eta_t(\nabla_x f - \nabla^2_{xy} g\, z),

with :math:`\alpha_t = \alpha (1+t)^{-d_y}` and :math:`\eta_t = \eta (1+t)^{-d}`; every call has a fresh sample.
:math:`\alpha`, :math:`\eta`, :math:`d_y` and d are the options `lower_step`, `step`, `decay_y` and `decay`; the
estimate has the options `terms` and `z_step`.
"""

from typing import Any, NamedTuple

import numpy as np

from pessimism._compiled import INNER, compiled
from pessimism._types import Floats
from pessimism.bilevel._engine.calls import Oracles, cvp, fresh, grad_f, hvp, refused, uniform_below
from pessimism.bilevel._engine.kinds import CVP, GRAD_F, HVP
from pessimism.bilevel._engine.steps import Iterate, begin, copy, descend, descend_x, descend_y, keep_or_undo, norm
from pessimism.bilevel._options import CURVATURE, NONNEGATIVE, REQUIRED, option, whole_from

_numbers: Any = np.arange(3)  # NumPy's, of one type for the compiler
DESCENT, NEUMANN, ONE_TERM = _numbers
"""Estimates of z: steps from the old one, the sum of a series, one random term of it."""


class Options(NamedTuple):
    """What a user may set, and the loop reads."""

    step: float = option(REQUIRED, NONNEGATIVE, "first step on x, eta")
    inner_steps: int = option(10, whole_from(0), "steps on y in an outer step")
    lower_step: float = option(CURVATURE, NONNEGATIVE, "first step on y, alpha")
    terms: int = option(10, whole_from(0), "length Q of the estimate of z: its steps, factors or terms")
    z_step: float = option(CURVATURE, NONNEGATIVE, "step or factor a of the estimate of z")
    decay: float = option(0.0, NONNEGATIVE, "the step on x falls as (1 + t)^-decay")
    decay_y: float = option(0.0, NONNEGATIVE, "the step on y falls as (1 + t)^-decay_y")


@compiled(INNER)
def _estimate_z(oracles: Oracles, at: Iterate, fy: Floats, options: Options, estimate: int) -> None:
    x, y, z, a = at.x, at.y, at.z, options.z_step
    products = uniform_below(oracles, options.terms) if estimate == ONE_TERM else options.terms
    term, product = np.empty(len(y)), np.empty(len(y))
    if estimate != DESCENT:
        copy(fy, z)
        copy(fy, term)
    for _ in range(products):
        if refused(oracles):
            break
        if estimate == DESCENT:
            hvp(oracles, x, y, z, fresh(oracles, HVP), product)
            for j in range(len(y)):
                z[j] -= a * (product[j] - fy[j])
        else:
            hvp(oracles, x, y, term, fresh(oracles, HVP), product)
            descend(term, a, product)
            for j in range(len(y)):
                z[j] = term[j] + (z[j] if estimate == NEUMANN else 0.0)
    if estimate != DESCENT:
        for j in range(len(y)):
            z[j] *= a if estimate == NEUMANN else options.terms * a


@compiled(INNER)
def double_loop(oracles: Oracles, at: Iterate, options: Options, estimate: int, start: int, steps: int) -> int:
    """The loop of a method, which is named by its estimate of z."""
    x, y, z = at.x, at.y, at.z
    both, direction = np.empty(len(x) + len(y)), np.empty(len(x))
    fx, fy = both[: len(x)], both[len(x) :]
    for t in range(start, start + steps):
        begin(at)
        descend_y(oracles, at, options.lower_step / (1.0 + t) ** options.decay_y, options.inner_steps)
        grad_f(oracles, x, y, fresh(oracles, GRAD_F), both)
        _estimate_z(oracles, at, fy, options, estimate)
        cvp(oracles, x, y, z, fresh(oracles, CVP), direction)
        for i in range(len(x)):
            direction[i] = fx[i] - direction[i]
        if not keep_or_undo(oracles, at, norm(direction)):
            return t - start
        descend_x(oracles, at, options.step / (1.0 + t) ** options.decay, direction)
    return steps
