r"""Greedy: the arm with the highest sample mean, :math:`\arg\max_a \hat r(s,a)`."""

import math

from pessimism._types import Rng
from pessimism.bandits.data import BanditData
from pessimism.bandits.rules._ties import Policy
from pessimism.bandits.rules.index_rule import index_rule

__all__ = ["greedy"]


def greedy(data: BanditData, *, unseen: float = -math.inf, rng: Rng = None) -> Policy:
    """Arm with the highest sample mean in every context: the index rule of level 0.

    Parameters
    ----------
    data : BanditData
        Logged rounds, any rewards.
    unseen : float
        Index of an arm that was never pulled, in reward units.
    rng : Generator, SeedSequence or int, optional
        If given, ties are broken uniformly; otherwise by the lowest index.

    Returns
    -------
    (..., S) int
        An arm per context and data set.

    See Also
    --------
    pessimism.bandits.bounds.greedy_width_bound : Bounds its loss from the counts of a log.
    pessimism.bandits.instances.greedy_failure : An instance on which it fails.
    pessimism.bandits.rules.lcb.lcb : The pessimistic rule.

    Examples
    --------
    >>> int(greedy(BanditData([[1000, 1]], [[500.0, 1.0]]))[0])
    1
    """
    return index_rule(data, 0.0, unseen, rng=rng)
