"""Every way a computation can end, each a sentence for the user."""

from enum import Enum


class Status(Enum):
    """How a computation ended; ``status.value`` is the sentence."""

    INTERIOR_MAXIMUM = "the maximum lies inside the interval searched"
    EDGE_MAXIMUM = "the maximum lies at an end of the interval searched: a wider interval may hold a larger one"
