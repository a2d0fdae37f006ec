"""What a result must state before a solver returns it."""

from typing import Any, TypeVar

import numpy as np

from pessimism._status import ConvergenceError, Status, conclude

Result = TypeVar("Result")


def certified(plan: Result, tolerance: float) -> Result:
    """The plan of a model, or a ConvergenceError that carries it if some iterations ended before their limit was met.

    Where no further iteration can lower the error bound, rounding being what is left of it, the status says so.
    """
    failed = _failure(plan, tolerance)
    if failed:
        raise ConvergenceError(f"{failed}; the partial result is the attribute result", plan)
    return plan


def learned(plan: Result, tolerance: float) -> Result:
    """The same of a rule: if only some data sets of a batch fail, their statuses and one warning say so."""
    result: Any = plan
    good = np.asarray(np.asarray(result.status, object) != Status.NOT_CONVERGED, np.bool_)
    return conclude(plan, good, _failure(plan, tolerance)) if good.any() else certified(plan, tolerance)


def _failure(plan: Any, tolerance: float) -> str:
    ended = np.asarray(plan.status, object).reshape(-1)
    bad = ended == Status.NOT_CONVERGED
    if not bad.any():
        return ""
    worst = np.max(np.asarray(plan.error_bound).reshape(-1)[bad])
    return (
        f"the error bound of {np.count_nonzero(bad)} of {len(ended)} models is above tolerance = {tolerance:g}, "
        f"the largest is {worst:.3g}, after at most {np.max(plan.iterations)} iterations: {ended[bad][0].value}"
    )
