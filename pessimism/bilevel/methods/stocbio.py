r"""StocBiO: warm-started steps on y, a truncated Neumann series for z, a step on x.

.. math::

    y \leftarrow y - \alpha_t \nabla_y g \text{ (`inner_steps` times)}, \quad
    z = a \sum_{q=0}^{Q} (I - a \nabla^2_{yy} g)^q\, \nabla_y f, \quad
    x \leftarrow x - \eta_t(\nabla_x f - \nabla^2_{xy} g\, z),

with a fresh sample for every factor. The truncation leaves a bias of order :math:`(1-a\mu)^{Q+1}`, so even with exact
oracles a run ends at a wrong point. Q, a, :math:`\alpha` and :math:`\eta` are the options `terms`, `z_step`,
`lower_step` and `step`; by default no step falls. Source: Ji, Yang, Liang (2021).

See also `simulations.bilevel_budget`, `simulations.bilevel_bias`, `simulations.bilevel_robustness`,
`simulations.data_cleaning`.
"""

from typing import NamedTuple

import numpy as np

from pessimism._compiled import compiled
from pessimism.bilevel._engine.calls import Oracles, cvp, fresh, grad_f, hvp, norm, refused
from pessimism.bilevel._engine.kinds import CVP, GRAD_F, HVP
from pessimism.bilevel._engine.steps import (
    Iterate,
    begin,
    copy,
    descend,
    descend_x,
    descend_y,
    keep_or_undo,
    subtract,
)
from pessimism.bilevel._method import Method
from pessimism.bilevel._options import CURVATURE, NONNEGATIVE, OPEN, option, whole_from

__all__ = ["METHOD"]


class Options(NamedTuple):
    """What a user may set, and the loop reads."""

    step: float = option(OPEN, NONNEGATIVE, "first step on x, eta")
    inner_steps: int = option(10, whole_from(0), "steps on y in an outer step")
    lower_step: float = option(CURVATURE, NONNEGATIVE, "first step on y, alpha")
    terms: int = option(10, whole_from(0), "Hessian products Q of the Neumann series")
    z_step: float = option(CURVATURE, NONNEGATIVE, "factor a of the Neumann series")
    decay: float = option(0.0, NONNEGATIVE, "the step on x falls as (1 + t)^-decay")
    decay_y: float = option(0.0, NONNEGATIVE, "the step on y falls as (1 + t)^-decay_y")


@compiled
def _run(oracles: Oracles, at: Iterate, memory: None, options: Options, start: int, steps: int) -> int:
    x, y, z = at.x, at.y, at.z
    both, cross, direction = np.empty(len(x) + len(y)), np.empty(len(x)), np.empty(len(x))
    product, term = np.empty(len(y)), np.empty(len(y))
    fx, fy = both[: len(x)], both[len(x) :]
    for t in range(start, start + steps):
        begin(at)
        descend_y(oracles, at, options.lower_step / (1.0 + t) ** options.decay_y, options.inner_steps)
        grad_f(oracles, x, y, fresh(oracles, GRAD_F), both)
        copy(fy, term)
        copy(fy, z)
        for _ in range(options.terms):
            if refused(oracles):
                break
            hvp(oracles, x, y, term, fresh(oracles, HVP), product)
            descend(term, options.z_step, product)
            for j in range(len(y)):
                z[j] += term[j]
        for j in range(len(y)):
            z[j] *= options.z_step
        cvp(oracles, x, y, z, fresh(oracles, CVP), cross)
        subtract(fx, cross, direction)
        if not keep_or_undo(oracles, at, norm(direction)):
            return t - start
        descend_x(oracles, at, options.step / (1.0 + t) ** options.decay, direction)
    return steps


METHOD = Method(Options, _run)
