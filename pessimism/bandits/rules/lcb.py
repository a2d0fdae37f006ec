r"""LCB with Hoeffding's widths: pessimism that needs no knowledge of the composition.

Let w be the width of the reward range. At the level :math:`L = \tfrac12 \log(2SA/\delta)` (`hoeffding_level`) all SA
intervals :math:`\hat r(s,a) \pm w\sqrt{L/N(s,a)}` hold together with probability at least :math:`1 - \delta`. LCB plays
the arm whose interval has the highest lower end (`lcb`).
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats, Rng
from pessimism.bandits.data import BanditData
from pessimism.bandits.rules._ties import Policy
from pessimism.bandits.rules.index_rule import index_rule

__all__ = ["hoeffding_level", "lcb"]

PAPER_CONSTANT, PAPER_UNSEEN = 2000.0, -1.0


def hoeffding_level(
    n: ArrayLike, contexts: int, arms: int, delta: float | None = None, constant: float = 0.5
) -> Floats:
    r"""Level :math:`L = c \log(2SA/\delta)` at which all SA Hoeffding intervals hold together.

    Parameters
    ----------
    n : (...) array_like of int
        Rounds in the data set; used only for the default `delta`.
    contexts, arms : int
        S and A, at least 1.
    delta : float, optional
        Probability, in (0, 1), that some interval misses its mean. Default 1/max(n, 1), as the rates require.
    constant : float
        Factor c, positive. 1/2 is Hoeffding's for rewards in [0, 1].

    Returns
    -------
    (...) float
        Dimensionless; an arm with N pulls then has half-width :math:`w\sqrt{L/N}` for rewards in a range of width w.

    See Also
    --------
    pessimism.bandits.rules.lcb.lcb : The rule at this level.
    pessimism.bandits.data.BanditData.value : The interval of a single value.

    Notes
    -----
    Two-sided intervals and a union bound over SA pairs. Natural logarithm.

    Examples
    --------
    >>> float(hoeffding_level(100, contexts=1, arms=2).round(6))
    2.995732
    """
    rounds = _check.whole_array("n", n)
    cells = _check.whole("contexts", contexts, low=1) * _check.whole("arms", arms, low=1)
    c = _check.positive("constant", constant, _check.MAX_SIZE)
    if delta is None:
        return np.asarray(c * np.log(2.0 * cells * np.maximum(rounds, 1)))
    log_delta = math.log(_check.open_unit_interval("delta", delta))  # 1/delta may be more than float64 can hold
    return np.asarray(c * (math.log(2.0 * cells) - log_delta))


def lcb(
    data: BanditData,
    *,
    delta: float | None = None,
    constant: float = 0.5,
    sigma: float | None = None,
    unseen: float = -math.inf,
    paper_constants: bool = False,
    rng: Rng = None,
) -> Policy:
    r"""Arm with the highest Hoeffding lower confidence bound in every context.

    Parameters
    ----------
    data : BanditData
        Logged rounds whose arms were chosen without looking at their rewards.
    delta : float, optional
        Probability, in (0, 1), that some interval misses its mean. Default 1/max(n, 1), as the rates require.
    constant : float
        Factor c in :math:`L = c\log(2SA/\delta)`, positive. 1/2 is Hoeffding's.
    sigma : float, optional
        Sub-Gaussian parameter of the rewards, in reward units; the width is then
        :math:`\sigma\sqrt{2\log(2SA/\delta)/N}` at the default constant. Required when the reward range is infinite.
    unseen : float
        Index of an arm that was never pulled, in reward units. Default -inf: such an arm is chosen only in a context
        where no arm was pulled.
    paper_constants : bool
        Use the constants of the paper's contextual algorithm as printed: c = 2000 and an index of -1 for unseen arms.
        They are proof constants: an unseen arm beats one of mean r until that has L/(1 + r)^2 pulls, where L is about
        2e4 for 10^4 rounds and 4e4 for 10^8. Beside two arms of mean 1/2 that were pulled equally often, it is chosen
        below 21,000 rounds.
    rng : Generator, SeedSequence or int, optional
        If given, ties are broken uniformly; otherwise by the lowest index.

    Returns
    -------
    (..., S) int
        An arm per context and data set.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, the range is infinite and `sigma` missing, or `paper_constants` comes with
        another `constant` or `unseen`.

    See Also
    --------
    pessimism.bandits.bounds.lcb_upper : Bounds its expected loss in one context.
    pessimism.bandits.bounds.contextual_upper : Bounds its expected loss in several contexts.
    pessimism.bandits.bounds.lcb_width_bound : Bounds its loss from the counts of a log.
    pessimism.bandits.instances.lcb_failure : An instance on which it does badly.
    pessimism.bandits.rules.bernstein_lcb.bernstein_lcb : The rule with widths from the observed variance.
    simulations.bandit_rates : Its worst loss beside the bounds.

    Notes
    -----
    All SA intervals hold together with probability at least :math:`1-\delta`, and then the loss against any policy is
    at most twice its average width. Cost O(SA). Source: Rashidinejad et al. (2021), arXiv:2103.12021, contextual-bandit
    section; the default constants are ours.

    Examples
    --------
    A thousand pulls with mean 0.5 are preferred to one lucky pull.

    >>> int(lcb(BanditData([[1000, 1]], [[500.0, 1.0]]))[0])
    0
    """
    if _check.flag("paper_constants", paper_constants):
        if constant != 0.5 or unseen != -math.inf:
            raise ValueError("paper_constants sets constant and unseen: pass one or the other")
        constant, unseen = PAPER_CONSTANT, PAPER_UNSEEN
    _check.instance("data", data, BanditData)
    level = hoeffding_level(data.n, data.n_contexts, data.n_arms, delta, constant)
    return index_rule(data, level, unseen, sigma=sigma, rng=rng)
