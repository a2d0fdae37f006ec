r"""LCB with empirical Bernstein widths: pessimism that shrinks with the observed variance.

With :math:`\ell = \log(2SA/\delta)` (`log_term`), the unbiased sample variance :math:`\hat v` (`variance`) and the
width w of the reward range, the rule plays

.. math:: \arg\max_a \hat r - \sqrt{2 \hat v \ell / N} - \frac{7 w \ell}{3 (N - 1)}.
"""

import math

import numpy as np

from pessimism import _check
from pessimism._types import Rng
from pessimism.bandits._input import reward_width
from pessimism.bandits.data import BanditData
from pessimism.bandits.rules._ties import Policy, best_arm
from pessimism.bandits.rules.lcb import hoeffding_level

__all__ = ["bernstein_lcb"]

LARGEST_ROUNDING = 1e-6
"""Of a variance, relative to the squared reward range: a standard deviation is then right to a thousandth of it."""


def bernstein_lcb(
    data: BanditData, *, delta: float | None = None, unseen: float = -math.inf, rng: Rng = None
) -> Policy:
    r"""Arm with the highest empirical Bernstein lower bound: pessimism that shrinks with the observed variance.

    Parameters
    ----------
    data : BanditData
        Logged rounds with ``squares`` and a finite reward range of width w.
    delta : float, optional
        Probability, in (0, 1), that some lower bound exceeds its mean. Default 1/max(n, 1).
    unseen : float
        Index of an arm that was never pulled, in reward units.
    rng : Generator, SeedSequence or int, optional
        If given, ties are broken uniformly; otherwise by the lowest index.

    Returns
    -------
    (..., S) int
        An arm per context and data set.

    Raises
    ------
    ValueError, TypeError
        If squares are missing, the reward range is infinite or `delta` is outside (0, 1).

    See Also
    --------
    pessimism.bandits.rules.lcb.lcb : The rule with widths that only count pulls.

    Notes
    -----
    Index :math:`\hat r - \sqrt{2 \hat v \ell/N} - 7 w \ell/(3(N-1))` with :math:`\ell = \log(2SA/\delta)` and
    :math:`\hat v` the unbiased sample variance: Theorem 4 of Maurer and Pontil (2009), arXiv:0907.3740, with a union
    bound. For one pull :math:`N - 1` is read as 1; the width then exceeds w, so the bound still holds. Cost O(SA).

    Examples
    --------
    >>> data = BanditData([[100, 100]], [[50.0, 50.0]], squares=[[50.0, 25.0]])
    >>> int(bernstein_lcb(data)[0])
    1
    """
    _check.instance("data", data, BanditData)
    if data.squares is None:
        raise ValueError("bernstein_lcb needs data.squares: pass squares= to BanditData, or build it with from_log")
    if not math.isfinite(data.reward_range[1] - data.reward_range[0]):
        raise ValueError(f"bernstein_lcb needs a finite reward_range, got {data.reward_range}")
    width = reward_width(data.reward_range, None)
    _check_variance(data, width)
    fill = _check.not_nan("unseen", unseen)
    log_term = hoeffding_level(data.n, data.n_contexts, data.n_arms, delta, 1.0)[..., None, None]
    pulls, others = np.maximum(data.counts, 1), np.maximum(data.counts - 1, 1)
    # rounding can leave a variance of -1e-17, which is a variance of 0
    variance = np.maximum(data.squares - data.sums * data.means, 0.0) / others
    index = data.means - np.sqrt(2.0 * variance * log_term / pulls) - 7.0 * width * log_term / (3.0 * others)
    index[data.counts == 0] = fill
    return best_arm(index, rng)


def _check_variance(data: BanditData, width: float) -> None:
    """Refuse rewards whose variance is rounded away: it may be off by about this share of the squared width."""
    low, high = data.reward_range
    distance, pulls = max(low, -high, 0.0) / width, int(data.counts.max(initial=0))
    if np.finfo(np.float64).eps * pulls * distance * distance > LARGEST_ROUNDING:
        raise ValueError(
            f"bernstein_lcb cannot tell the variance of {pulls} rewards in [{low:.15g}, {high:.15g}] from the rounding "
            f"of their squares: subtract {low:.15g} from every reward and from reward_range, no choice depends on it"
        )
