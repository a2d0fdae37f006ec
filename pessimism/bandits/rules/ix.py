r"""Pessimism by implicit exploration: :math:`\arg\max_a S(s,a)/(p(a|s) + \gamma)`.

The lower limit :math:`J \ge T_\gamma - \log(1/\delta)/(2\gamma n)` of `estimators.implicit_exploration` holds for every
policy of a list with the same last term, so the best lower limit is that of the largest :math:`T_\gamma`; over all
deterministic policies the maximum separates into contexts.
"""

import numpy as np
from numpy.typing import ArrayLike

from pessimism._types import Rng
from pessimism.bandits.data import BanditData
from pessimism.bandits.propensities import PropensityData
from pessimism.bandits.rules._ties import Policy, best_arm
from pessimism.bandits.rules._weighted import propensities, require_finite, scale, stated_sums

__all__ = ["ix"]


def ix(
    data: BanditData | PropensityData,
    behavior: ArrayLike | None = None,
    *,
    gamma: float | None = None,
    delta: float | None = None,
    rng: Rng = None,
) -> Policy:
    r"""Arm with the largest implicit-exploration estimate in every context.

    Parameters
    ----------
    data : BanditData or PropensityData
        Logged rounds, rewards in a finite range, measured from its low end; `PropensityData` need their rounds.
    behavior : (..., S, A) array_like of float, optional
        Joint law of the logged pairs, of which :math:`p(a|s)` is used. Default: estimated by the log's shares, which
        makes the index of one context :math:`\hat r N/(N + \gamma n)`, or stated by the data.
    gamma : float, optional
        :math:`\gamma`, positive. Default :math:`\sqrt{\log(A^S/\delta)/(2n)}`.
    delta : float, optional
        Probability, in (0, 1), that the lower limit misses some policy. Default 1/n.
    rng : Generator, SeedSequence or int, optional
        If given, ties are broken uniformly; otherwise by the lowest index.

    Returns
    -------
    (..., S) int
        An arm per context and data set.

    Raises
    ------
    ValueError
        If the range of rewards is infinite, `gamma` comes with `delta`, or a pair that was logged has probability 0.

    See Also
    --------
    pessimism.bandits.estimators.weighted.implicit_exploration : The estimate.
    pessimism.bandits.rules.log_smoothing_rule.log_smoothing_rule : A sharper one for rewards 0 or 1.
    pessimism.bandits.rules.lcb.lcb : Pessimism by counts, which is sharper still on tables.

    Notes
    -----
    Gabbianelli, Neu, Papini (2024). Holds for logs whose policy looked at earlier rewards, if propensities are stated.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, ix
    >>> int(ix(BanditData([[1000, 1]], [[500.0, 1.0]]))[0])
    0
    """
    require_finite(data, "ix")
    g = scale(data, "gamma", gamma, delta)
    low = data.reward_range[0]
    if isinstance(data, PropensityData):
        if behavior is not None:
            raise ValueError("behavior must be None for PropensityData, which state the propensity of every round")
        index = stated_sums(data, "ix", g, lambda scales, p, r: r / (p + scales))
    else:
        index = (data.sums - low * data.counts) / (propensities(data, behavior) + g)
    return best_arm(np.asarray(index), rng)
