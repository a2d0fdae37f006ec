r"""BO-REP: normalised momentum over a lower level that is refined first and updated periodically.

.. math::

    m \leftarrow \beta m + (1-\beta)(\nabla_x f - \nabla^2_{xy} g\, z), \qquad
    z \leftarrow z - \nu(\nabla^2_{yy} g\, z - \nabla_y f), \qquad
    x \leftarrow x - \eta_t\, m / \|m\|,

where m is formed with the old z, :math:`\eta_t = \eta (1+t)^{-d}`, and :math:`\beta`, :math:`\nu`, :math:`\eta` and d
are the options `momentum`, `z_step`, `step` and `decay`.

Before the first step y is refined: each epoch makes projected gradient steps in a ball around the y at which it began
and ends at the mean of its iterates; from epoch to epoch the number of steps is doubled, the step halved and the radius
divided by :math:`\sqrt 2`. Later, y is updated every `period` outer steps by one such epoch of `inner_steps` steps in a
ball of `radius`.

Source: Hao, Gong, Liu (2024), arXiv:2401.09587, for the structure. The schedule of the epochs is that of later code by
the same group; averaging in the periodic update and the order of m and z are unverified. The noise is assumed to be
bounded almost surely (so a later paper of the group), not in variance alone. The decay d = 1/2 is ours; ``decay=0`` is
the constant step of the paper.

See also `simulations.bilevel_budget`, `simulations.bilevel_bias`, `simulations.bilevel_rate`,
`simulations.bilevel_robustness`, `simulations.data_cleaning`, `pessimism.bilevel.problems.Cosh`.
"""

import math
from typing import NamedTuple

import numpy as np

from pessimism._compiled import INNER, compiled
from pessimism._types import Floats
from pessimism.bilevel._engine.calls import Oracles, cvp, fresh, grad_f, grad_g, hvp, norm, refused
from pessimism.bilevel._engine.kinds import CVP, GRAD_F, GRAD_G, HVP
from pessimism.bilevel._engine.steps import Iterate, begin, descend, descend_x, keep_or_undo, subtract
from pessimism.bilevel._method import Method
from pessimism.bilevel._options import BELOW_ONE, CURVATURE, NONNEGATIVE, OPEN, UNBOUNDED, option, whole_from

__all__ = ["METHOD"]


class Options(NamedTuple):
    """What a user may set, and the loop reads."""

    step: float = option(OPEN, NONNEGATIVE, "length of the first step on x, eta")
    momentum: float = option(0.9, BELOW_ONE, "weight beta of the old momentum")
    lower_step: float = option(CURVATURE, NONNEGATIVE, "step on y in the periodic updates")
    z_step: float = option(CURVATURE, NONNEGATIVE, "step on z, nu")
    period: int = option(5, whole_from(1), "outer steps from one update of y to the next")
    inner_steps: int = option(5, whole_from(0), "steps on y in an update")
    radius: float = option(math.inf, UNBOUNDED, "radius of the ball of an update")
    decay: float = option(0.5, NONNEGATIVE, "the step on x is eta (1 + t)^-decay")
    epochs: int = option(3, whole_from(0), "epochs of the refinement")
    epoch_length: int = option(10, whole_from(1), "steps on y in the first epoch, then doubled")
    epoch_step: float = option(CURVATURE, NONNEGATIVE, "step on y in the first epoch, then halved")
    epoch_radius: float = option(math.inf, UNBOUNDED, "radius of the first ball, then divided by sqrt(2)")


class Memory(NamedTuple):
    """What is kept between outer steps."""

    momentum: Floats


@compiled(INNER)
def _update_y(oracles: Oracles, at: Iterate, options: Options, t: int) -> None:
    """The refinement before the first outer step; one epoch at every later update."""
    x, y = at.x, at.y
    epochs, rate, radius, steps = 1, options.lower_step, options.radius, options.inner_steps
    if t == 0:
        epochs, rate, radius, steps = options.epochs, options.epoch_step, options.epoch_radius, options.epoch_length
    center, away, total, slope = np.empty(len(y)), np.empty(len(y)), np.empty(len(y)), np.empty(len(y))
    halving = 1.0
    for _ in range(epochs):
        if refused(oracles):
            break
        for j in range(len(y)):
            center[j], total[j] = y[j], 0.0
        for _ in range(steps):
            if refused(oracles):
                break
            grad_g(oracles, x, y, fresh(oracles, GRAD_G), slope)
            descend(y, rate / halving, slope)
            subtract(y, center, away)
            distance, ball = norm(away), radius / math.sqrt(halving)
            for j in range(len(y)):
                if distance > ball:
                    y[j] = center[j] + ball / distance * away[j]
                total[j] += y[j]
        if steps > 0:
            for j in range(len(y)):
                y[j] = total[j] / steps
        halving, steps = 2.0 * halving, 2 * steps


@compiled
def _run(oracles: Oracles, at: Iterate, memory: Memory, options: Options, start: int, steps: int) -> int:
    x, y, z, momentum = at.x, at.y, at.z, memory.momentum
    both, product, cross = np.empty(len(x) + len(y)), np.empty(len(y)), np.empty(len(x))
    fx, fy = both[: len(x)], both[len(x) :]
    for t in range(start, start + steps):
        begin(at)
        if t % options.period == 0:
            _update_y(oracles, at, options, t)
        grad_f(oracles, x, y, fresh(oracles, GRAD_F), both)
        cvp(oracles, x, y, z, fresh(oracles, CVP), cross)
        hvp(oracles, x, y, z, fresh(oracles, HVP), product)
        for i in range(len(x)):
            momentum[i] = options.momentum * momentum[i] + (1.0 - options.momentum) * (fx[i] - cross[i])
        for j in range(len(y)):
            z[j] -= options.z_step * (product[j] - fy[j])
        length = norm(momentum)
        if not keep_or_undo(oracles, at, length):
            return t - start
        if length > 0.0:
            descend_x(oracles, at, options.step / (1.0 + t) ** options.decay / length, momentum)
    return steps


METHOD = Method(Options, _run, lambda problem: Memory(np.zeros(problem.dim_x)))
