r"""Greedy among the arms that a known C* allows: :math:`\arg\max \{\hat r(a) : N(a) \ge N/(2 C^*)\}`."""

import numpy as np

from pessimism import _check
from pessimism._types import Rng
from pessimism.bandits.data import BanditData
from pessimism.bandits.rules._ties import Policy, best_arm

__all__ = ["screened_greedy"]


def screened_greedy(data: BanditData, *, cstar: float, rng: Rng = None) -> Policy:
    r"""Arm of the highest sample mean among those that were played in at least a share 1/(2 C*) of the rounds.

    Parameters
    ----------
    data : BanditData
        Logged rounds, any rewards.
    cstar : float
        C*, at least 1: the best arm is played with probability at least 1/C*.
    rng : Generator, SeedSequence or int, optional
        If given, ties are broken uniformly; otherwise by the lowest index.

    Returns
    -------
    (..., S) int
        An arm per context and data set; where no arm passes, the most played one.

    Raises
    ------
    ValueError, TypeError
        If `cstar` is out of its range.

    See Also
    --------
    pessimism.bandits.rules.greedy.greedy : Without the screen, which loses a constant on every class.
    pessimism.bandits.rules.lcb.lcb : Needs no C*.
    pessimism.bandits.bounds.minimax_leading : What the minimax risk tends to.
    simulations.minimax_risk : Draws its certified worst case beside the minimax risk.

    Notes
    -----
    Derived by us for two Bernoulli arms in one context; the rounds of a context are its own N. Its certified worst
    loss over the class "C* at most C" is 1.01 to 1.12 times the minimax risk at C = 2, 4 and 10 where N/C is at least
    10, and 2.4 times at C = 4, N = 25. It has to know C*.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, greedy, screened_greedy
    >>> data = BanditData([[97, 3]], [[60.0, 3.0]])
    >>> int(greedy(data)[0]), int(screened_greedy(data, cstar=4)[0])
    (1, 0)
    """
    _check.instance("data", data, BanditData)
    c = _check.between("cstar", cstar, 1.0, _check.MAX_SIZE)
    most = data.counts.max(axis=-1, keepdims=True)
    rounds = data.counts.sum(axis=-1, keepdims=True)
    allowed = (2.0 * c * data.counts >= rounds) | (data.counts == most)
    means = np.where(data.counts > 0, data.means, -np.inf)
    return best_arm(np.where(allowed, means, -np.inf), rng)
