"""What a result must state before a solver returns it."""

from typing import Any, TypeVar

import numpy as np

from pessimism._status import ConvergenceError, Status

Result = TypeVar("Result")


def certified(plan: Result, tolerance: float, accepted: tuple[Status, ...]) -> Result:
    """The plan, or a ConvergenceError that carries it unless the status of every item is one of the accepted."""
    result: Any = plan
    ended = np.asarray(result.status, object).reshape(-1)
    bad = ~np.isin(ended, np.array(accepted, object))
    if bad.any():
        worst = np.max(np.asarray(result.error_bound).reshape(-1)[bad])
        raise ConvergenceError(
            f"the error bound of {np.count_nonzero(bad)} of {len(ended)} models is above tolerance = {tolerance:g}, "
            f"the largest is {worst:.3g}, after at most {np.max(result.iterations)} iterations: {ended[bad][0].value}; "
            "the partial result is the attribute result",
            plan,
        )
    return plan
