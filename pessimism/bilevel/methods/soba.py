r"""SOBA: one stochastic step on y, z and x, all evaluated at the old iterate.

.. math::

    y \leftarrow y - \rho_t \nabla_y g, \quad z \leftarrow z - \rho_t(\nabla^2_{yy} g\, z - \nabla_y f), \quad
    x \leftarrow x - \gamma_t (\nabla_x f - \nabla^2_{xy} g\, z),

with :math:`\gamma_t = \gamma (1+t)^{-d}` and :math:`\rho_t = \rho (1+t)^{-d}`; :math:`\gamma`, :math:`\rho` and d are
the options `step`, `lower_step` and `decay`. Source: Dagreou, Ablin, Vaiter, Moreau (2022), whose algorithm draws one
sample of f and one of g in a step, which all three quantities of g share. The decay d = 1/2 of all steps is that of
benchmark_bilevel; in the version that we have read they fall as :math:`t^{-2/5}` and :math:`t^{-3/5}`.

See also `simulations.bilevel_budget`, `simulations.bilevel_robustness`, `simulations.data_cleaning`.
"""

from typing import NamedTuple

import numpy as np

from pessimism._compiled import compiled
from pessimism.bilevel._engine.calls import Oracles, cvp, fresh, grad_f, grad_g, hvp, norm
from pessimism.bilevel._engine.kinds import GRAD_F, GRAD_G
from pessimism.bilevel._engine.steps import Iterate, begin, descend_x, keep_or_undo, subtract
from pessimism.bilevel._method import Method
from pessimism.bilevel._options import CURVATURE, NONNEGATIVE, OPEN, option

__all__ = ["METHOD"]


class Options(NamedTuple):
    """What a user may set, and the loop reads."""

    step: float = option(OPEN, NONNEGATIVE, "first step on x, gamma")
    lower_step: float = option(CURVATURE, NONNEGATIVE, "first step on y and on z, rho")
    decay: float = option(0.5, NONNEGATIVE, "both fall as (1 + t)^-decay")


@compiled
def _run(oracles: Oracles, at: Iterate, memory: None, options: Options, start: int, steps: int) -> int:
    x, y, z = at.x, at.y, at.z
    both, slope, product, cross = np.empty(len(x) + len(y)), np.empty(len(y)), np.empty(len(y)), np.empty(len(x))
    fx, fy, direction = both[: len(x)], both[len(x) :], np.empty(len(x))
    for t in range(start, start + steps):
        begin(at)
        grad_f(oracles, x, y, fresh(oracles, GRAD_F), both)
        rows = fresh(oracles, GRAD_G)
        grad_g(oracles, x, y, rows, slope)
        hvp(oracles, x, y, z, rows, product)
        cvp(oracles, x, y, z, rows, cross)
        falling = 1.0 / (1.0 + t) ** options.decay
        for j in range(len(y)):
            y[j] -= options.lower_step * falling * slope[j]
            z[j] -= options.lower_step * falling * (product[j] - fy[j])
        subtract(fx, cross, direction)
        if not keep_or_undo(oracles, at, norm(direction)):
            return t - start
        descend_x(oracles, at, options.step * falling, direction)
    return steps


METHOD = Method(Options, _run)
