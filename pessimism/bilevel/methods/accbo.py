r"""AccBO: recursive momentum on the hypergradient, normalised, over Nesterov steps on y.

.. math::

    m \leftarrow \beta m + (1-\beta)\, G(x, \hat y; s) + \beta\,(G(x, \hat y; s) - G(x', \hat y'; s)), \qquad
    x \leftarrow x - \eta_t\, m / \|m\|, \\
    G(x, y; s) = \nabla_x f - \nabla^2_{xy} g\, v, \qquad
    v = a \sum_{q=0}^{Q-1} \prod_{j \le q} (I - a H_j)\, \nabla_y f,

with both G on the same sample s (one of f, one of g for each factor, one of g for the mixed product) and
:math:`(x', \hat y')` the point before. Every `period` outer steps y makes `inner_steps` Nesterov steps,
:math:`w = y + \gamma(y - y')`, :math:`y \leftarrow w - \alpha \nabla_y g(x, w)` (option II; 1 and 1 are option I), and
in every outer step :math:`\hat y \leftarrow (1-\tau)\hat y + \tau y`, with :math:`\tau` = `averaging`. The first step
follows `warm_steps` gradient steps on y and has m = G. :math:`\beta`, :math:`\gamma`, :math:`\alpha`, Q and a are the
options `momentum`, `nesterov`, `lower_step`, `terms` and `z_step`.

Source: Gong, Hao, Liu (2024), arXiv:2409.19212, for both options, the average, the Neumann sum and the weights as in
their released code; that code, as we read it, does not evaluate the old point on the new sample. Keeping y' from one
period to the next, the defaults, and the step :math:`\eta_t = \eta (1+t)^{-1/2}` are ours; ``decay=0`` is a constant
step. The Neumann sum leaves a bias of order :math:`(1 - a\mu)^Q`.

See also `simulations.bilevel_budget`, `simulations.bilevel_rate`, `pessimism.bilevel.problems.Cosh`.
"""

from typing import Any, NamedTuple

import numpy as np

from pessimism._compiled import INNER, compiled
from pessimism._types import Floats
from pessimism.bilevel._engine.calls import Oracles, fresh, grad_g, norm, refused, samples_of_g
from pessimism.bilevel._engine.estimates import hypergradient, recur
from pessimism.bilevel._engine.kinds import GRAD_F, GRAD_G
from pessimism.bilevel._engine.steps import Iterate, begin, copy, descend_x, descend_y, keep_or_undo
from pessimism.bilevel._method import Method
from pessimism.bilevel._options import BELOW_ONE, CURVATURE, NONNEGATIVE, OPEN, UP_TO_ONE, option, whole_from

__all__ = ["METHOD"]


class Options(NamedTuple):
    """What a user may set, and the loop reads."""

    step: float = option(OPEN, NONNEGATIVE, "length of the first step on x, eta")
    momentum: float = option(0.9, BELOW_ONE, "weight beta of the old momentum")
    lower_step: float = option(CURVATURE, NONNEGATIVE, "step on y, alpha")
    nesterov: float = option(0.5, BELOW_ONE, "momentum of the steps on y, gamma")
    averaging: float = option(0.5, UP_TO_ONE, "weight tau of the new y in its average")
    period: int = option(1, whole_from(1), "outer steps from one update of y to the next")
    inner_steps: int = option(1, whole_from(0), "Nesterov steps in an update")
    terms: int = option(10, whole_from(0), "number of terms Q of the Neumann sum")
    z_step: float = option(CURVATURE, NONNEGATIVE, "factor a of the Neumann sum")
    decay: float = option(0.5, NONNEGATIVE, "the step on x is eta (1 + t)^-decay")
    warm_steps: int = option(10, whole_from(0), "gradient steps on y before the first outer step")
    warm_step: float = option(CURVATURE, NONNEGATIVE, "their size")


class Memory(NamedTuple):
    """What is kept between outer steps."""

    direction: Floats
    y_before: Floats
    average: Floats
    x_before: Floats


@compiled(INNER)
def _accelerate(oracles: Oracles, at: Iterate, y_before: Floats, options: Options) -> None:
    """Nesterov steps on y; `y_before` is the iterate before y, and is moved along with it."""
    x, y, slope, ahead = at.x, at.y, np.empty(len(at.y)), np.empty(len(at.y))
    for _ in range(options.inner_steps):
        if refused(oracles):
            break
        for j in range(len(y)):
            ahead[j] = y[j] + options.nesterov * (y[j] - y_before[j])
        grad_g(oracles, x, ahead, fresh(oracles, GRAD_G), slope)
        for j in range(len(y)):
            y_before[j] = y[j]
            y[j] = ahead[j] - options.lower_step * slope[j]


@compiled
def _run(oracles: Oracles, at: Iterate, memory: Memory, options: Options, start: int, steps: int) -> int:
    x, y, z = at.x, at.y, at.z
    direction, average = memory.direction, memory.average
    new, old, z_old, average_old = np.empty(len(x)), np.empty(len(x)), np.empty(len(y)), np.empty(len(y))
    scale = options.z_step if options.terms > 0 else 0.0
    for t in range(start, start + steps):
        begin(at)
        copy(average, average_old)
        if t == 0:
            descend_y(oracles, at, options.warm_step, options.warm_steps)
            copy(y, memory.y_before)
            copy(y, average)
        else:
            if t % options.period == 0:
                _accelerate(oracles, at, memory.y_before, options)
            for j in range(len(y)):
                average[j] = (1.0 - options.averaging) * average[j] + options.averaging * y[j]
        upper, lower = fresh(oracles, GRAD_F), samples_of_g(oracles, max(options.terms, 1))
        hypergradient(oracles, x, average, upper, lower, options.z_step, scale, True, z, new)
        if t == 0:
            copy(new, direction)
        else:
            hypergradient(oracles, memory.x_before, average_old, upper, lower, options.z_step, scale, True, z_old, old)
            recur(direction, 1.0 - options.momentum, new, old)
        copy(x, memory.x_before)
        length = norm(direction)
        if not keep_or_undo(oracles, at, length):
            return t - start
        if length > 0.0:
            descend_x(oracles, at, options.step / (1.0 + t) ** options.decay / length, direction)
    return steps


def _memory(problem: Any) -> Memory:
    dx, dy = problem.dim_x, problem.dim_y
    return Memory(direction=np.zeros(dx), y_before=np.zeros(dy), average=np.zeros(dy), x_before=np.zeros(dx))


METHOD = Method(Options, _run, _memory)
