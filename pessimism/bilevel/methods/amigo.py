r"""AmIGO: several warm-started steps on y and on z, then a step on x.

.. math::

    y \leftarrow y - \alpha_t \nabla_y g \text{ (`inner_steps` times)}, \quad
    z \leftarrow z - a(\nabla^2_{yy} g\, z - \nabla_y f) \text{ (`terms` times)}, \quad
    x \leftarrow x - \eta_t(\nabla_x f - \nabla^2_{xy} g\, z).

y and z begin where the last outer step left them, so no bias remains at a fixed point. :math:`\alpha`, a and
:math:`\eta` are the options `lower_step`, `z_step` and `step`; by default no step falls. Source: Arbel and Mairal
(2022).

See also `simulations.bilevel_budget`, `simulations.bilevel_bias`, `simulations.data_cleaning`.
"""

from typing import NamedTuple

import numpy as np

from pessimism._compiled import compiled
from pessimism.bilevel._engine.calls import Oracles, cvp, fresh, grad_f, hvp, norm, refused
from pessimism.bilevel._engine.kinds import CVP, GRAD_F, HVP
from pessimism.bilevel._engine.steps import Iterate, begin, descend_x, descend_y, keep_or_undo, subtract
from pessimism.bilevel._method import Method
from pessimism.bilevel._options import CURVATURE, NONNEGATIVE, OPEN, option, whole_from

__all__ = ["METHOD"]


class Options(NamedTuple):
    """What a user may set, and the loop reads."""

    step: float = option(OPEN, NONNEGATIVE, "first step on x, eta")
    inner_steps: int = option(10, whole_from(0), "steps on y in an outer step")
    lower_step: float = option(CURVATURE, NONNEGATIVE, "first step on y, alpha")
    terms: int = option(10, whole_from(0), "steps on z in an outer step")
    z_step: float = option(CURVATURE, NONNEGATIVE, "step on z, a")
    decay: float = option(0.0, NONNEGATIVE, "the step on x falls as (1 + t)^-decay")
    decay_y: float = option(0.0, NONNEGATIVE, "the step on y falls as (1 + t)^-decay_y")


@compiled
def _run(oracles: Oracles, at: Iterate, memory: None, options: Options, start: int, steps: int) -> int:
    x, y, z = at.x, at.y, at.z
    both, product, cross, direction = np.empty(len(x) + len(y)), np.empty(len(y)), np.empty(len(x)), np.empty(len(x))
    fx, fy = both[: len(x)], both[len(x) :]
    for t in range(start, start + steps):
        begin(at)
        descend_y(oracles, at, options.lower_step / (1.0 + t) ** options.decay_y, options.inner_steps)
        grad_f(oracles, x, y, fresh(oracles, GRAD_F), both)
        for _ in range(options.terms):
            if refused(oracles):
                break
            hvp(oracles, x, y, z, fresh(oracles, HVP), product)
            for j in range(len(y)):
                z[j] -= options.z_step * (product[j] - fy[j])
        cvp(oracles, x, y, z, fresh(oracles, CVP), cross)
        subtract(fx, cross, direction)
        if not keep_or_undo(oracles, at, norm(direction)):
            return t - start
        descend_x(oracles, at, options.step / (1.0 + t) ** options.decay, direction)
    return steps


METHOD = Method(Options, _run)
