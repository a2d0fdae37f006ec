r"""Pessimism by logarithmic smoothing: :math:`\arg\max_a \sum_i \log(1 + \lambda r_i/p_i)/\lambda`.

As for implicit exploration (`pessimism.bandits.rules.ix`), the lower limits of all policies differ from their estimates
by the same term, so the largest estimate is the best lower limit.
"""

import numpy as np
from numpy.typing import ArrayLike

from pessimism._types import Rng
from pessimism.bandits._engine.forms import ratio
from pessimism.bandits.data import BanditData
from pessimism.bandits.propensities import PropensityData
from pessimism.bandits.rules._ties import Policy, best_arm
from pessimism.bandits.rules._weighted import propensities, require_finite, scale, stated_sums

__all__ = ["log_smoothing_rule"]


def log_smoothing_rule(
    data: BanditData | PropensityData,
    behavior: ArrayLike | None = None,
    *,
    smoothing: float | None = None,
    delta: float | None = None,
    rng: Rng = None,
) -> Policy:
    r"""Arm with the largest logarithmically smoothed estimate in every context.

    Parameters
    ----------
    data : BanditData or PropensityData
        Logged rounds. `BanditData` need rewards known to be 0 or 1 (`squares` equal to `sums`), `PropensityData` their
        rounds, with rewards in a finite range, measured from its low end.
    behavior : (..., S, A) array_like of float, optional
        Joint law of the logged pairs, of which :math:`p(a|s)` is used. Default: estimated, or stated by the data.
    smoothing : float, optional
        :math:`\lambda`, positive. Default: twice the default :math:`\gamma` of `ix`.
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
        If rewards are not known round by round, or `smoothing` comes with `delta`.

    See Also
    --------
    pessimism.bandits.estimators.weighted.log_smoothing : The estimate.

    Notes
    -----
    Sakhi et al. (2024). With :math:`\lambda = 2\gamma` its lower limit is never below that of `ix`.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, log_smoothing_rule
    >>> log = BanditData([[1000, 1]], [[500.0, 1.0]], squares=[[500.0, 1.0]])
    >>> int(log_smoothing_rule(log)[0])
    0
    """
    require_finite(data, "log_smoothing_rule")
    bend = scale(data, "smoothing", smoothing, delta) * (2.0 if smoothing is None else 1.0)
    if isinstance(data, PropensityData):
        if behavior is not None:
            raise ValueError("behavior must be None for PropensityData, which state the propensity of every round")
        index = stated_sums(data, "log_smoothing_rule", bend, lambda scales, p, r: np.log1p(scales * r / p) / scales)
    else:
        if data.squares is None or data.reward_range != (0.0, 1.0) or not np.array_equal(data.squares, data.sums):
            raise ValueError(
                "data must hold rewards known to be 0 or 1 for log_smoothing_rule (reward_range (0, 1), squares equal "
                "to sums): other rewards need their rounds, as PropensityData"
            )
        p = propensities(data, behavior)
        index = data.sums * np.log1p(ratio(np.where(data.counts > 0, bend, 0.0), p)) / bend
    return best_arm(np.asarray(index), rng)
