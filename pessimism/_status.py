"""Every way a computation can end, each a sentence for the user."""

from enum import Enum


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
    ROUNDING = (
        "the values are as exact as float64 allows, and yet the error bound, which counts rounding, is above the "
        "tolerance"
    )
    COMPLETED = "the prescribed number of steps was made: the values are not claimed to be a fixed point"
    NOT_CONVERGED = "the largest number of iterations was reached before the error bound met the tolerance"
