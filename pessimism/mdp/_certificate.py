"""What a result must state before a solver returns it."""

from typing import Any, TypeVar

import numpy as np

from pessimism._status import ConvergenceError, Status

Result = TypeVar("Result")


def certified(plan: Result, tolerance: float) -> Result:
    """The plan, or a ConvergenceError that carries it if some iterations ended before their limit was reached.

    Where no further iteration can lower the error bound, rounding being what is left of it, the status says so.
    """
    result: Any = plan
    ended = np.asarray(result.status, object).reshape(-1)
    bad = ended == Status.NOT_CONVERGED
    if bad.any():
        worst = np.max(np.asarray(result.error_bound).reshape(-1)[bad])
        raise ConvergenceError(
            f"the error bound of {np.count_nonzero(bad)} of {len(ended)} models is above tolerance = {tolerance:g}, "
            f"the largest is {worst:.3g}, after at most {np.max(result.iterations)} iterations: {ended[bad][0].value}; "
            "the partial result is the attribute result",
            plan,
        )
    return plan
