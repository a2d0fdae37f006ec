"""The lower level solved by Newton steps, for problems that come without a solver of it."""

import math
from typing import Any

import numpy as np

from pessimism._types import Floats
from pessimism.bilevel._users_oracles import PlainOracles
from pessimism.bilevel.problem import OracleError

NEWTON = 200
"""Newton steps at most on a lower level for which there is no solver."""

CLOSE = 1e-8
"""How far y may be from the minimiser by the next Newton step, relative to the length of y or to 1."""


def solved(problem: Any, x: Floats) -> Floats:
    """Minimiser of g at x, in y, by Newton steps from 0; an OracleError where the next step would not be short."""
    y, left = newton(PlainOracles(problem), x)
    if not left <= CLOSE * max(1.0, norm(y)):  # true for NaN as well
        raise OracleError(
            f"solve_y must come closer to the minimiser of g than {CLOSE:g} max(1, |y|), but Newton steps end about "
            f"{left:.3g} away: is g strongly convex in y? If it is, pass a solver of your own"
        )
    return y


def newton(oracles: PlainOracles, x: Floats) -> tuple[Floats, float]:
    """Minimiser of g from 0, by Newton steps that are halved until the gradient is shorter; and the step left."""
    y = step = np.zeros(oracles.dim_y)
    slack = shorter = norm(oracles.evaluate("grad_g", x, y))
    for _ in range(NEWTON):
        step = newton_step(oracles, x, y)
        for length in 0.5 ** np.arange(40):
            shorter = norm(oracles.call("grad_g", x, y - length * step, None, None))
            if shorter < slack:
                break
        else:  # rounding, or no way down
            break
        y, slack = y - length * step, shorter
    return y, norm(step)


def newton_step(oracles: PlainOracles, x: Floats, y: Floats) -> Floats:
    """Solution of H v = grad_g, as far as conjugate gradients come."""
    from scipy.sparse.linalg import LinearOperator, cg

    gradient, size = oracles.evaluate("grad_g", x, y), len(y)
    unit = norm(gradient)
    if unit == 0.0:
        return gradient
    operator = LinearOperator((size, size), matvec=lambda v: oracles.evaluate("hvp", x, y, v.ravel()), dtype=np.float64)
    with np.errstate(all="ignore"):  # a singular H
        return np.asarray(unit * cg(operator, gradient / unit, rtol=1e-10, atol=0.0, maxiter=10 * size + 100)[0])


def norm(vector: Floats) -> float:
    """Euclidean length, also where the squares of the entries are 0 or infinite in float64."""
    largest = float(abs(vector).max())
    if 1e-120 < largest < 1e120 or largest in (0.0, math.inf):
        return float(np.linalg.norm(vector))
    return largest * float(np.linalg.norm(vector / largest))
