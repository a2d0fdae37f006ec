r"""SLIP: a single loop of one step on y, one on z and a normalised momentum step on x.

.. math::

    m \leftarrow \beta m + (1-\beta)(\nabla_x f - \nabla^2_{xy} g\, z), \quad y \leftarrow y - \alpha \nabla_y g, \quad
    z \leftarrow z - \nu(\nabla^2_{yy} g\, z - \nabla_y f), \quad x \leftarrow x - \eta_t\, m/\|m\|,

all evaluated at the old iterate, after `warm_steps` gradient steps on y. :math:`\beta`, :math:`\alpha` and :math:`\nu`
are the options `momentum`, `lower_step` and `z_step`, and :math:`\eta_t = \eta (1+t)^{-d}` with `step` and `decay`.
Source: Gong, Hao, Liu (2024, ICML); the noise is assumed to be bounded almost surely (so a later paper of the group),
not in variance alone. The decay d = 1/2 is ours (``decay=0`` is the constant step of the paper), and so is the default
number of warm steps.

See also `simulations.bilevel_budget`, `simulations.bilevel_rate`, `simulations.data_cleaning`,
`pessimism.bilevel.problems.Cosh`.
"""

from typing import NamedTuple

import numpy as np

from pessimism._compiled import compiled
from pessimism._types import Floats
from pessimism.bilevel._engine.calls import Oracles, cvp, fresh, grad_f, grad_g, hvp, norm
from pessimism.bilevel._engine.kinds import CVP, GRAD_F, GRAD_G, HVP
from pessimism.bilevel._engine.steps import Iterate, begin, descend, descend_x, descend_y, keep_or_undo
from pessimism.bilevel._method import Method
from pessimism.bilevel._options import BELOW_ONE, CURVATURE, NONNEGATIVE, OPEN, option, whole_from

__all__ = ["METHOD"]


class Options(NamedTuple):
    """What a user may set, and the loop reads."""

    step: float = option(OPEN, NONNEGATIVE, "length of the first step on x, eta")
    momentum: float = option(0.9, BELOW_ONE, "weight beta of the old momentum")
    lower_step: float = option(CURVATURE, NONNEGATIVE, "step on y, alpha")
    z_step: float = option(CURVATURE, NONNEGATIVE, "step on z, nu")
    decay: float = option(0.5, NONNEGATIVE, "the step on x is eta (1 + t)^-decay")
    warm_steps: int = option(10, whole_from(0), "steps on y before the first outer step")
    warm_step: float = option(CURVATURE, NONNEGATIVE, "their size")


class Memory(NamedTuple):
    """What is kept between outer steps."""

    momentum: Floats


@compiled
def _run(oracles: Oracles, at: Iterate, memory: Memory, options: Options, start: int, steps: int) -> int:
    x, y, z, momentum = at.x, at.y, at.z, memory.momentum
    both, slope, product, cross = np.empty(len(x) + len(y)), np.empty(len(y)), np.empty(len(y)), np.empty(len(x))
    fx, fy = both[: len(x)], both[len(x) :]
    for t in range(start, start + steps):
        begin(at)
        if t == 0:
            descend_y(oracles, at, options.warm_step, options.warm_steps)
        grad_f(oracles, x, y, fresh(oracles, GRAD_F), both)
        cvp(oracles, x, y, z, fresh(oracles, CVP), cross)
        grad_g(oracles, x, y, fresh(oracles, GRAD_G), slope)
        hvp(oracles, x, y, z, fresh(oracles, HVP), product)
        for i in range(len(x)):
            momentum[i] = options.momentum * momentum[i] + (1.0 - options.momentum) * (fx[i] - cross[i])
        for j in range(len(y)):
            z[j] -= options.z_step * (product[j] - fy[j])
        descend(y, options.lower_step, slope)
        length = norm(momentum)
        if not keep_or_undo(oracles, at, length):
            return t - start
        if length > 0.0:
            descend_x(oracles, at, options.step / (1.0 + t) ** options.decay / length, momentum)
    return steps


METHOD = Method(Options, _run, lambda problem: Memory(np.zeros(problem.dim_x)))
