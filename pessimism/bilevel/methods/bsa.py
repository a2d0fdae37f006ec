r"""BSA: several steps on y, one random term of the Neumann series for z, a step on x.

.. math::

    y \leftarrow y - \alpha_t \nabla_y g \text{ (`inner_steps` times)}, \quad
    z = Q a \prod_{j=1}^{p} (I - a \nabla^2_{yy} g)\, \nabla_y f, \quad
    x \leftarrow x - \eta_t(\nabla_x f - \nabla^2_{xy} g\, z),

with p uniform on {0, ..., Q - 1} and a fresh sample for every factor: z has the mean of a series of Q terms, and a
large variance. :math:`\alpha_t` and :math:`\eta_t` fall as :math:`t^{-1/2}`. Q, a, :math:`\alpha` and :math:`\eta` are
the options `terms`, `z_step`, `lower_step` and `step`. Source: Ghadimi and Wang (2018), where the numbers of steps on y
and of terms grow along the run (from memory). Here both are fixed, which is a simplification of ours and leaves a bias
of order :math:`(1-a\mu)^Q`.

See also `simulations.bilevel_budget`.
"""

from typing import NamedTuple

import numpy as np

from pessimism._compiled import compiled
from pessimism.bilevel._engine.calls import Oracles, cvp, fresh, grad_f, norm, uniform_below
from pessimism.bilevel._engine.estimates import apply_factors
from pessimism.bilevel._engine.kinds import CVP, GRAD_F
from pessimism.bilevel._engine.steps import Iterate, begin, copy, descend_x, descend_y, keep_or_undo, subtract
from pessimism.bilevel._method import Method
from pessimism.bilevel._options import CURVATURE, NONNEGATIVE, OPEN, option, whole_from

__all__ = ["METHOD"]


class Options(NamedTuple):
    """What a user may set, and the loop reads."""

    step: float = option(OPEN, NONNEGATIVE, "first step on x, eta")
    inner_steps: int = option(10, whole_from(0), "steps on y in an outer step")
    lower_step: float = option(CURVATURE, NONNEGATIVE, "first step on y, alpha")
    terms: int = option(10, whole_from(0), "number of terms Q of the Neumann series, of which one is drawn")
    z_step: float = option(CURVATURE, NONNEGATIVE, "factor a of the Neumann series")
    decay: float = option(0.5, NONNEGATIVE, "the step on x falls as (1 + t)^-decay")
    decay_y: float = option(0.5, NONNEGATIVE, "the step on y falls as (1 + t)^-decay_y")


@compiled
def _run(oracles: Oracles, at: Iterate, memory: None, options: Options, start: int, steps: int) -> int:
    x, y, z = at.x, at.y, at.z
    both, cross, direction = np.empty(len(x) + len(y)), np.empty(len(x)), np.empty(len(x))
    fx, fy = both[: len(x)], both[len(x) :]
    for t in range(start, start + steps):
        begin(at)
        descend_y(oracles, at, options.lower_step / (1.0 + t) ** options.decay_y, options.inner_steps)
        grad_f(oracles, x, y, fresh(oracles, GRAD_F), both)
        copy(fy, z)
        apply_factors(oracles, x, y, z, options.z_step, uniform_below(oracles, options.terms))
        for j in range(len(y)):
            z[j] *= options.terms * options.z_step
        cvp(oracles, x, y, z, fresh(oracles, CVP), cross)
        subtract(fx, cross, direction)
        if not keep_or_undo(oracles, at, norm(direction)):
            return t - start
        descend_x(oracles, at, options.step / (1.0 + t) ** options.decay, direction)
    return steps


METHOD = Method(Options, _run)
