r"""F2SA: first-order oracles only, by a penalty.

.. math::

    y \approx \arg\min f + \lambda g, \quad w \approx \arg\min g, \quad
    x \leftarrow x - \eta_t\bigl(\nabla_x f(x,y) + \lambda(\nabla_x g(x,y) - \nabla_x g(x,w))\bigr), \quad
    \lambda \leftarrow \lambda + \delta.

It needs `grad_gx`, but no products with second derivatives, and its bias falls as :math:`\lambda` grows. The steps on y
follow :math:`g + f/\lambda`, so that `lower_step` keeps its scale for any :math:`\lambda`; where the steps on y and w
are left open they are one over the curvature of that sum at first, from five differences of its gradient (20 calls).
:math:`\eta`, :math:`\lambda` at first and :math:`\delta` are the options `step`, `penalty` and `penalty_growth`.
Source: Kwon, Kwon, Wright, Nowak (2023). Constant steps on y and w, and a penalty that grows by the same amount in
every step, are our simplification: the method is analysed with schedules for all of them.

See also `simulations.bilevel_budget`.
"""

from typing import NamedTuple

import numpy as np

from pessimism._compiled import compiled
from pessimism._types import Floats
from pessimism.bilevel._engine.calls import Oracles, fresh, grad_f, grad_g, grad_gx, norm, refused
from pessimism.bilevel._engine.kinds import GRAD_F, GRAD_G, GRAD_GX
from pessimism.bilevel._engine.steps import Iterate, begin, copy, descend, descend_x, keep_or_undo
from pessimism.bilevel._method import FIRST_ORDER, Method
from pessimism.bilevel._options import CURVATURE, NONNEGATIVE, OPEN, POSITIVE, option, whole_from

__all__ = ["METHOD"]


class Options(NamedTuple):
    """What a user may set, and the loop reads."""

    step: float = option(OPEN, NONNEGATIVE, "first step on x, eta")
    inner_steps: int = option(5, whole_from(0), "steps on y and on w in an outer step")
    lower_step: float = option(CURVATURE, NONNEGATIVE, "step on y, along g + f / lambda")
    w_step: float = option(CURVATURE, NONNEGATIVE, "step on w, along g")
    penalty: float = option(1.0, POSITIVE, "first lambda")
    penalty_growth: float = option(0.01, NONNEGATIVE, "what lambda grows by in an outer step, delta")
    decay: float = option(0.0, NONNEGATIVE, "the step on x falls as (1 + t)^-decay")


class Memory(NamedTuple):
    """What is kept between outer steps."""

    w: Floats
    penalty: Floats


@compiled
def _run(oracles: Oracles, at: Iterate, memory: Memory, options: Options, start: int, steps: int) -> int:
    x, y, w, penalty = at.x, at.y, memory.w, memory.penalty
    both, slope = np.empty(len(x) + len(y)), np.empty(len(y))
    fx, fy, here, there = both[: len(x)], both[len(x) :], np.empty(len(x)), np.empty(len(x))
    direction = np.empty(len(x))
    for t in range(start, start + steps):
        begin(at)
        if t == 0:
            copy(y, w)
            penalty[0] = options.penalty
        for _ in range(options.inner_steps):
            if refused(oracles):
                break
            grad_f(oracles, x, y, fresh(oracles, GRAD_F), both)
            grad_g(oracles, x, y, fresh(oracles, GRAD_G), slope)
            for j in range(len(y)):
                y[j] -= options.lower_step * (fy[j] / penalty[0] + slope[j])
            grad_g(oracles, x, w, fresh(oracles, GRAD_G), slope)
            descend(w, options.w_step, slope)
        grad_f(oracles, x, y, fresh(oracles, GRAD_F), both)
        grad_gx(oracles, x, y, fresh(oracles, GRAD_GX), here)
        grad_gx(oracles, x, w, fresh(oracles, GRAD_GX), there)
        for i in range(len(x)):
            direction[i] = fx[i] + penalty[0] * (here[i] - there[i])
        penalty[0] += options.penalty_growth
        if not keep_or_undo(oracles, at, norm(direction)):
            return t - start
        descend_x(oracles, at, options.step / (1.0 + t) ** options.decay, direction)
    return steps


METHOD = Method(
    Options, _run, lambda problem: Memory(w=np.zeros(problem.dim_y), penalty=np.zeros(1)), needs=FIRST_ORDER
)
