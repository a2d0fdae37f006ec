r"""Estimates of the hypergradient from factors :math:`I - a H`, and the recursive momentum that joins two of them.

.. math::

    \nabla_x f - \nabla^2_{xy} g\, z, \qquad z = s \sum_{q=0}^{Q} \prod_{j \le q} (I - a H_j)\, \nabla_y f
    \quad \text{or its last term alone},

with a sample of its own for every factor.
"""

import numpy as np

from pessimism._compiled import INNER, compiled
from pessimism._types import Floats, Ints
from pessimism.bilevel._engine.calls import Oracles, cvp, fresh, grad_f, hvp, refused
from pessimism.bilevel._engine.kinds import HVP
from pessimism.bilevel._engine.steps import descend, subtract


@compiled(INNER)
def apply_factors(oracles: Oracles, x: Floats, y: Floats, v: Floats, rate: float, factors: int) -> None:
    """Replace v by (I - rate H)^factors v, a fresh sample for each factor."""
    product = np.empty(len(v))
    for _ in range(factors):
        if refused(oracles):
            break
        hvp(oracles, x, y, v, fresh(oracles, HVP), product)
        descend(v, rate, product)


@compiled(INNER)
def hypergradient(
    oracles: Oracles,
    x: Floats,
    y: Floats,
    upper: Ints,
    lower: Ints,
    rate: float,
    scale: float,
    summed: bool,
    z: Floats,
    out: Floats,
) -> None:
    """The formula of the module at a point, on samples drawn before.

    `upper` is the sample of f; `lower` has a row for each factor and a last one for the mixed product. z is the sum of
    the terms, or the last of them, times `scale`.
    """
    both, product, term = np.empty(len(x) + len(y)), np.empty(len(y)), np.empty(len(y))
    grad_f(oracles, x, y, upper, both)
    for j in range(len(y)):
        term[j] = z[j] = both[len(x) + j]
    factors = len(lower) - 1
    for q in range(factors):
        if refused(oracles):
            break
        hvp(oracles, x, y, term, lower[q], product)
        descend(term, rate, product)
        for j in range(len(y)):
            z[j] = z[j] + term[j] if summed else term[j]
    for j in range(len(y)):
        z[j] *= scale
    cvp(oracles, x, y, z, lower[factors], out)
    subtract(both, out, out)


@compiled(INNER)
def recur(direction: Floats, weight: float, new: Floats, old: Floats) -> None:
    """Recursive momentum (STORM): w new + (1 - w) (direction + new - old), both estimates on one sample."""
    for i in range(len(direction)):
        direction[i] = weight * new[i] + (1.0 - weight) * (direction[i] + new[i] - old[i])
