r"""SUSTAIN: recursive momentum on the directions of y and of x, with one random Neumann term.

.. math::

    d \leftarrow w_t D(s) + (1 - w_t)\,(d + D(s) - D'(s)), \qquad
    y \leftarrow y - \alpha_t d_y, \quad x \leftarrow x - \eta_t d_x,

where D(s) and D'(s) are evaluated at the iterate and at the one before, on the same samples: :math:`\nabla_y g` for y
and :math:`\nabla_x f - \nabla^2_{xy} g\, z`, :math:`z = Q a \prod_{j=1}^{p} (I - a H_j) \nabla_y f`, for x, with p
uniform on {0, ..., Q-1}. Every oracle has a sample of its own, each factor :math:`I - a H_j` too, and p and all samples
are the same at both points. Steps fall as :math:`t^{-1/3}`, weights as :math:`t^{-2/3}`; the first step has d = D. The
options are `step` and `lower_step` (:math:`\eta`, :math:`\alpha`), `terms` (Q), `z_step` (a) and `weight` (w). In the
mean over p a bias of order :math:`(1-a\mu)^Q` remains. Source: Khanduri, Zeng, Hong, Wai, Wang, Yang (2021), in the
form that benchmark_bilevel runs: both directions at the old iterate.

See also `simulations.bilevel_budget`.
"""

from typing import Any, NamedTuple

import numpy as np

from pessimism._compiled import compiled
from pessimism._types import Floats
from pessimism.bilevel._engine.calls import (
    Oracles,
    fresh,
    grad_g,
    norm,
    refuse_if_unaffordable,
    samples_of_g,
    uniform_below,
)
from pessimism.bilevel._engine.estimates import hypergradient, recur
from pessimism.bilevel._engine.kinds import GRAD_F, GRAD_G
from pessimism.bilevel._engine.steps import Iterate, begin, copy, descend, descend_x, keep_or_undo
from pessimism.bilevel._method import Method
from pessimism.bilevel._options import CURVATURE, NONNEGATIVE, OPEN, UP_TO_ONE, option, whole_from

__all__ = ["METHOD"]


class Options(NamedTuple):
    """What a user may set, and the loop reads."""

    step: float = option(OPEN, NONNEGATIVE, "first step on x, eta")
    lower_step: float = option(CURVATURE, NONNEGATIVE, "first step on y, alpha")
    terms: int = option(10, whole_from(0), "number of terms Q of the Neumann series, of which one is drawn")
    z_step: float = option(CURVATURE, NONNEGATIVE, "factor a of the Neumann series")
    weight: float = option(1.0, UP_TO_ONE, "weight w of the new sample in the first step")
    decay: float = option(1 / 3, NONNEGATIVE, "steps fall as (1 + t)^-decay")
    weight_decay: float = option(2 / 3, NONNEGATIVE, "the weight falls as (1 + t)^-weight_decay")


class Memory(NamedTuple):
    """What is kept between outer steps."""

    direction: Floats
    lower_direction: Floats
    x_before: Floats
    y_before: Floats


@compiled
def _run(oracles: Oracles, at: Iterate, memory: Memory, options: Options, start: int, steps: int) -> int:
    x, y, z, x_old, y_old = at.x, at.y, at.z, memory.x_before, memory.y_before
    direction, lower_direction = memory.direction, memory.lower_direction
    new, old, slope, slope_old = np.empty(len(x)), np.empty(len(x)), np.empty(len(y)), np.empty(len(y))
    z_old, a, scale = np.empty(len(y)), options.z_step, options.terms * options.z_step
    for t in range(start, start + steps):
        begin(at)
        weight, falling = options.weight / (1.0 + t) ** options.weight_decay, 1.0 / (1.0 + t) ** options.decay
        rows = fresh(oracles, GRAD_G)
        grad_g(oracles, x, y, rows, slope)
        if t > 0:
            grad_g(oracles, x_old, y_old, rows, slope_old)
        refuse_if_unaffordable(oracles.meter, GRAD_F)  # before a number of factors is drawn for it
        factors = uniform_below(oracles, options.terms)
        upper, lower = fresh(oracles, GRAD_F), samples_of_g(oracles, factors + 1)
        hypergradient(oracles, x, y, upper, lower, a, scale, False, z, new)
        if t == 0:
            copy(new, direction)
            copy(slope, lower_direction)
        else:
            hypergradient(oracles, x_old, y_old, upper, lower, a, scale, False, z_old, old)
            recur(direction, weight, new, old)
            recur(lower_direction, weight, slope, slope_old)
        copy(x, x_old)
        copy(y, y_old)
        descend(y, options.lower_step * falling, lower_direction)
        if not keep_or_undo(oracles, at, norm(direction) + norm(lower_direction)):
            return t - start
        descend_x(oracles, at, options.step * falling, direction)
    return steps


def _memory(problem: Any) -> Memory:
    dx, dy = problem.dim_x, problem.dim_y
    return Memory(direction=np.zeros(dx), lower_direction=np.zeros(dy), x_before=np.zeros(dx), y_before=np.zeros(dy))


METHOD = Method(Options, _run, _memory)
