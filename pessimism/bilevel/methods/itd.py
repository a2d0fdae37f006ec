r"""ITD: iterative differentiation, which takes the derivative of f back through the gradient steps on y.

With :math:`y_d = y_{d-1} - \alpha \nabla_y g(x, y_{d-1})`, d = 1, ..., D, and :math:`p = \nabla_y f(x, y_D)`,
:math:`h = \nabla_x f(x, y_D)`, for d from D down to 1

.. math::

    h \leftarrow h - \alpha \nabla^2_{xy} g(x, y_{d-1})\, p, \qquad
    p \leftarrow p - \alpha \nabla^2_{yy} g(x, y_{d-1})\, p,

and :math:`x \leftarrow x - \eta_t h`. The last p is not needed, which leaves D - 1 Hessian products. Deterministic:
every call of the loop is exact, and the D iterates are stored. The start y_0 is treated as a constant, which leaves a
bias of order :math:`(1-\alpha\mu)^D`. z is the sum of the :math:`\alpha p`, an approximation of
:math:`H^{-1} \nabla_y f`. D, :math:`\alpha` and :math:`\eta` are the options `inner_steps`, `lower_step` and `step`.
Source: standard.

See also `simulations.bilevel_budget`.
"""

from typing import NamedTuple

import numpy as np

from pessimism._compiled import compiled
from pessimism.bilevel._engine.calls import Oracles, cvp, grad_f, grad_g, hvp, norm, refused
from pessimism.bilevel._engine.steps import Iterate, begin, copy, descend, descend_x, keep_or_undo
from pessimism.bilevel._method import Method
from pessimism.bilevel._options import CURVATURE, NONNEGATIVE, OPEN, option, whole_from

__all__ = ["METHOD"]


class Options(NamedTuple):
    """What a user may set, and the loop reads."""

    step: float = option(OPEN, NONNEGATIVE, "first step on x, eta")
    inner_steps: int = option(10, whole_from(0), "steps on y in an outer step, D")
    lower_step: float = option(CURVATURE, NONNEGATIVE, "step on y, alpha")
    decay: float = option(0.0, NONNEGATIVE, "the step on x falls as (1 + t)^-decay")


@compiled
def _run(oracles: Oracles, at: Iterate, memory: None, options: Options, start: int, steps: int) -> int:
    x, y, z, exact, alpha = at.x, at.y, at.z, np.empty(0, np.int64), options.lower_step
    path, both, slope = np.empty((options.inner_steps, len(y))), np.empty(len(x) + len(y)), np.empty(len(y))
    h, p = both[: len(x)], both[len(x) :]
    cross, product = np.empty(len(x)), np.empty(len(y))
    for t in range(start, start + steps):
        begin(at)
        for d in range(options.inner_steps):
            if refused(oracles):
                break
            copy(y, path[d])
            grad_g(oracles, x, y, exact, slope)
            descend(y, alpha, slope)
        grad_f(oracles, x, y, exact, both)
        for j in range(len(y)):
            z[j] = 0.0
        for d in range(options.inner_steps - 1, -1, -1):
            if refused(oracles):
                break
            cvp(oracles, x, path[d], p, exact, cross)
            descend(h, alpha, cross)
            for j in range(len(y)):
                z[j] += alpha * p[j]
            if d > 0:  # no derivative in the first y is needed
                hvp(oracles, x, path[d], p, exact, product)
                descend(p, alpha, product)
        if not keep_or_undo(oracles, at, norm(h)):
            return t - start
        descend_x(oracles, at, options.step / (1.0 + t) ** options.decay, h)
    return steps


METHOD = Method(Options, _run)
