"""Reward distributions as arrays."""

from typing import NamedTuple

from pessimism._types import Floats, Ints

BERNOULLI, GAUSSIAN, DETERMINISTIC = 0, 1, 2


class Rewards(NamedTuple):
    """Kind (one of the codes above), mean and, for Gaussian rewards, standard deviation of every (context, arm)."""

    kinds: Ints
    means: Floats
    scales: Floats
