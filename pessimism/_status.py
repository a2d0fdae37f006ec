"""Every way in which a computation can end, each with a sentence for the user."""

from enum import Enum
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pessimism._warn import warn

Result = TypeVar("Result")


class Status(Enum):
    """How a computation ended; ``status.value`` is the sentence."""

    INTERIOR_MAXIMUM = "the maximum lies inside the interval searched"
    EDGE_MAXIMUM = "the maximum lies at an end of the interval searched: a wider interval may hold a larger one"

    CONVERGED = "the error bound is within the tolerance"
    EXACT = "a finite recursion: exact up to rounding"
    NO_UPDATE = (
        "no update: every width is too large to certify anything above the smallest possible value, so the policy is "
        "the start policy, the most frequent action"
    )
    IMITATION = (
        "the computation ended as it should, but the policy departs nowhere from imitation: in every state it takes "
        "the most frequent action"
    )
    ROUNDING = (
        "the values are as exact as float64 allows, and yet the error bound, which counts rounding, is above the "
        "tolerance"
    )
    COMPLETED = "the prescribed number of steps was made: the values are not claimed to be a fixed point"
    SURROGATE = (
        "too many basic solutions to try: the one of smallest L1 norm stands in, and the lower bound says how far it "
        "may be from the optimum"
    )
    DEPENDENT = (
        "exact if what differs by hardly more than rounding is linearly dependent, as it was taken to be: float64 "
        "cannot tell"
    )
    UNDETERMINED = "the rows do not determine the answer"
    STATIONARY = (
        "a further step lowers the loss by less than the tolerance and the gradient is small: a stationary point, not "
        "certified to be the global minimum"
    )
    BUDGET = "the budget of oracle calls is spent"
    DIVERGED = "an iterate or a direction is not finite: are the steps too long for this start?"
    RUNNING = "the run goes on"
    STOPPED = "the callback asked to stop"
    SEARCHED = (
        "the lower bound is proved; the upper bound is the largest loss that a search over the worlds found, and is "
        "not certified"
    )
    NOT_CONVERGED = "the largest number of iterations was reached before the error bound met the tolerance"


class ImitationWarning(UserWarning):
    """A pessimistic rule departs nowhere from imitation in any of the data sets it was given.

    Examples
    --------
    Where that is what one expects, at the small sizes of a sweep for instance, the warning can be left out.

    >>> import warnings
    >>> warnings.simplefilter("ignore", ImitationWarning)
    """

    __module__ = "pessimism.mdp"


class ConvergenceError(RuntimeError):
    """The iterations ended before the certificate met the tolerance; `result` holds what was reached.

    Parameters
    ----------
    message : str
        What was asked and what was reached.
    result : object
        The partial result, with its own certificate.

    Examples
    --------
    >>> try:
    ...     raise ConvergenceError("0.1 is above the tolerance", 0.1)
    ... except ConvergenceError as error:
    ...     print(error.result)
    0.1
    """

    __module__ = "pessimism.mdp"

    def __init__(self, message: str, result: Any) -> None:
        super().__init__(message)
        self.result = result

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle both arguments, so that a worker process can send the error back."""
        return type(self), (str(self), self.result)


class ConvergenceWarning(UserWarning):
    """Some items of a batch ended as a `ConvergenceError` says of one: their statuses name them.

    Examples
    --------
    >>> import warnings
    >>> warnings.simplefilter("error", ConvergenceWarning)  # for those who want no batch with a gap
    """

    __module__ = "pessimism.mdp"


def conclude(result: Result, good: NDArray[np.bool_], message: str, marked: str = "status") -> Result:
    """The result. One that is not good is a ConvergenceError; some that are not good in a batch are one warning."""
    if not good.ndim and not good:
        raise ConvergenceError(f"{message}; the partial result is the attribute result", result)
    if not good.all():
        warn(f"{message}; {marked} says which", ConvergenceWarning)
    return result
