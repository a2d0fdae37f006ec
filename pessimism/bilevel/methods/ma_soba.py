r"""MA-SOBA: SOBA along a moving average of its directions, whose length may be clipped.

.. math::

    h \leftarrow (1-\theta) h + \theta (\nabla_x f - \nabla^2_{xy} g\, z), \qquad
    x \leftarrow x - \gamma_t h \min(1, \text{clip}/\|h\|),

with y and z as in SOBA: steps :math:`\rho_t = \rho (1+t)^{-d}` on both, all derivatives at the old iterate, one sample
of f and one of g in a step. x moves along the new h; whether it does in the paper is unverified, and it matters: from
the far starts of `simulations.bilevel_robustness` runs end below BO-REP with the new h, and above it with the old one.
:math:`\theta`, :math:`\gamma`, :math:`\rho` and d are the options `weight`, `step`, `lower_step` and `decay` (0:
constant steps). Source: Chen, Xiao, Balasubramanian (2023). Clipping, which makes it a rival of the normalised methods,
is ours.

See also `simulations.bilevel_budget`, `simulations.bilevel_bias`, `simulations.bilevel_rate`,
`simulations.bilevel_robustness`, `simulations.data_cleaning`.
"""

import math
from typing import NamedTuple

import numpy as np

from pessimism._compiled import compiled
from pessimism._types import Floats
from pessimism.bilevel._engine.calls import Oracles, cvp, fresh, grad_f, grad_g, hvp, norm
from pessimism.bilevel._engine.kinds import GRAD_F, GRAD_G
from pessimism.bilevel._engine.steps import Iterate, begin, descend_x, keep_or_undo
from pessimism.bilevel._method import Method
from pessimism.bilevel._options import CAREFUL, CURVATURE, NONNEGATIVE, UNBOUNDED, UP_TO_ONE, option

__all__ = ["METHOD"]


class Options(NamedTuple):
    """What a user may set, and the loop reads."""

    step: float = option(CAREFUL, NONNEGATIVE, "step on x, gamma")
    lower_step: float = option(CURVATURE, NONNEGATIVE, "step on y and on z, rho")
    weight: float = option(0.1, UP_TO_ONE, "weight theta of the new direction in the average")
    clip: float = option(math.inf, UNBOUNDED, "the average is shortened to this length")
    decay: float = option(0.0, NONNEGATIVE, "steps fall as (1 + t)^-decay")


class Memory(NamedTuple):
    """What is kept between outer steps."""

    average: Floats


@compiled
def _run(oracles: Oracles, at: Iterate, memory: Memory, options: Options, start: int, steps: int) -> int:
    x, y, z, average = at.x, at.y, at.z, memory.average
    both, slope, product, cross = np.empty(len(x) + len(y)), np.empty(len(y)), np.empty(len(y)), np.empty(len(x))
    fx, fy = both[: len(x)], both[len(x) :]
    for t in range(start, start + steps):
        begin(at)
        grad_f(oracles, x, y, fresh(oracles, GRAD_F), both)
        rows = fresh(oracles, GRAD_G)
        grad_g(oracles, x, y, rows, slope)
        hvp(oracles, x, y, z, rows, product)
        cvp(oracles, x, y, z, rows, cross)
        falling = 1.0 / (1.0 + t) ** options.decay
        for i in range(len(x)):
            average[i] = (1.0 - options.weight) * average[i] + options.weight * (fx[i] - cross[i])
        for j in range(len(y)):
            y[j] -= options.lower_step * falling * slope[j]
            z[j] -= options.lower_step * falling * (product[j] - fy[j])
        length = norm(average)
        if not keep_or_undo(oracles, at, length):
            return t - start
        shrink = 1.0 if length <= options.clip else options.clip / length
        descend_x(oracles, at, options.step * falling * shrink, average)
    return steps


METHOD = Method(Options, _run, lambda problem: Memory(np.zeros(problem.dim_x)))
