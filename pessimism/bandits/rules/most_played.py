r"""The most played arm, :math:`\arg\max_a N(s,a)`: imitation of the logging policy, also called behaviour cloning."""

import math

from pessimism._types import Rng
from pessimism.bandits.data import BanditData
from pessimism.bandits.rules._ties import Policy
from pessimism.bandits.rules.index_rule import index_rule

__all__ = ["most_played"]


def most_played(data: BanditData, *, rng: Rng = None) -> Policy:
    """Arm pulled most often in every context (imitation, behaviour cloning): the index rule of level inf.

    Parameters
    ----------
    data : BanditData
        Logged rounds; the rewards are not used.
    rng : Generator, SeedSequence or int, optional
        If given, ties are broken uniformly; otherwise by the lowest index.

    Returns
    -------
    (..., S) int
        An arm per context and data set; a context without pulls is a tie of all arms.

    See Also
    --------
    pessimism.bandits.bounds.imitation_upper : Bounds its loss in one context for C* below 2.
    pessimism.bandits.bounds.imitation_floor : What it loses in several contexts at any N.
    pessimism.bandits.exact.most_played_log_error : The exact probability of an error.

    Examples
    --------
    >>> int(most_played(BanditData([[10, 11]], [[10.0, 0.0]]))[0])
    1
    """
    return index_rule(data, math.inf, rng=rng)
