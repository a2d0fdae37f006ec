"""What solvers return: a policy, its values and how the computation ended."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pessimism._status import Status
from pessimism._types import Floats, Ints


class Solution(NamedTuple):
    """Policies (..., [H,] S), values (..., [H,] S), how every item of the batch ended, and Q (..., [H,] S, A)."""

    policy: NDArray[Any]
    value: Floats
    status: Any
    iterations: Ints
    error_bound: Floats
    q: Floats | None


def as_status(codes: NDArray[Any], batch: tuple[int, ...]) -> Any:
    """One `Status`, or an array of them in the shape of the batch."""
    return np.asarray(codes, object).reshape(batch) if batch else np.asarray(codes, object).item()


def finished(
    policy: NDArray[Any],
    value: Floats,
    batch: tuple[int, ...],
    iterations: int | Ints,
    *,
    status: Status = Status.EXACT,
    updated: NDArray[np.bool_] | None = None,
    q: Floats | None = None,
) -> Solution:
    """Solution of a finite computation, with status NO_UPDATE where no value was `updated` (...).

    The error bound is 0 for an exact recursion and inf where no fixed point is claimed.
    """
    ended = np.full(batch, status, object)
    if updated is not None:
        ended[~updated] = Status.NO_UPDATE
    bound = 0.0 if status is Status.EXACT else np.inf
    steps = np.array(np.broadcast_to(iterations, batch), np.int64)
    return Solution(np.array(policy), np.array(value), as_status(ended, batch), steps, np.full(batch, bound), q)
