"""Estimators that ask the sample means: no weights, and a word on the pairs that were never seen."""

import math

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats
from pessimism.bandits._engine.forms import policy_means
from pessimism.bandits._input import check_arm_law, check_contexts
from pessimism.bandits.data import BanditData
from pessimism.bandits.estimators._setting import check_fill, check_model, check_rewards, check_unused, context_shares
from pessimism.bandits.propensities import PropensityData

__all__ = ["direct", "shrunken"]


def direct(
    data: BanditData | PropensityData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    fill: ArrayLike = math.nan,
    contexts: ArrayLike | None = None,
) -> Floats:
    r"""Direct method: :math:`\sum_{s,a} d(s,a)\, \hat r(s,a)`, with a fill where nothing was seen.

    Parameters
    ----------
    data : BanditData or PropensityData
        The log; propensities are not used.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : array_like, optional
        Not used; there so that all estimators are called alike.
    fill : float or (..., S, A) array_like of float
        Reward, in `reward_range`, taken for a pair that was never seen. Default: NaN, no estimate at all if the policy
        plays such a pair.
    contexts : (..., S) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    (...,) float
        In reward units; NaN for an empty log.

    See Also
    --------
    pessimism.bandits.data.BanditData.value : The same with an interval.
    pessimism.bandits.risk.direct : Its exact risk.

    Notes
    -----
    Normaliser: N(s, a). Bias :math:`\sum d (c - r)(1-\mu)^n` with the fill c, when the contexts' law is known. The fill
    decides wherever contexts are many: report the estimate for more than one.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, estimators
    >>> log = BanditData([[3, 1, 0]], [[1.5, 1.0, 0.0]])
    >>> float(estimators.direct(log, [[0.5, 0.5, 0.0]])), float(estimators.direct(log, [2], fill=0.5))
    (0.75, 0.5)
    """
    log, chosen, shares = _place(data, policy, contexts)
    check_unused(behavior)
    c = check_fill(fill, log)
    return _over_contexts(shares, policy_means(chosen, log.counts, log.sums, c))


def shrunken(
    data: BanditData | PropensityData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    strength: float,
    center: ArrayLike,
    contexts: ArrayLike | None = None,
) -> Floats:
    r"""Direct method with means that are drawn towards a center: :math:`\sum d\,(S + k m)/(N + k)`.

    Parameters
    ----------
    data : BanditData or PropensityData
        The log; propensities are not used.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : array_like, optional
        Not used; there so that all estimators are called alike.
    strength : float
        Rounds k that the center is worth, positive.
    center : float or (..., S, A) array_like of float
        The center m, in reward units and `reward_range`.
    contexts : (..., S) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    (...,) float
        In reward units; NaN for an empty log.

    Notes
    -----
    Normaliser: N(s, a) + k. As k falls to 0 it becomes `direct` with the fill m.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, estimators
    >>> float(estimators.shrunken(BanditData([[3, 1]], [[3.0, 1.0]]), [1], strength=1.0, center=0.5))
    0.75
    """
    log, chosen, shares = _place(data, policy, contexts)
    check_unused(behavior)
    k = _check.positive("strength", strength, _check.MAX_SIZE)
    m = check_rewards("center", check_model("center", center, log), log)
    return _over_contexts(shares, np.einsum("...sa,...sa->...s", chosen, (log.sums + k * m) / (log.counts + k)))


def _place(
    data: BanditData | PropensityData, policy: ArrayLike, contexts: ArrayLike | None
) -> tuple[BanditData, Floats, Floats]:
    """The log without its propensities, the policy (..., S, A), and the law of the contexts, NaN for empty logs."""
    log = data.data if isinstance(data, PropensityData) else data
    _check.instance("data", log, BanditData)
    chosen = check_arm_law(policy, log.n_contexts, log.n_arms)
    shares = context_shares(log) if contexts is None else check_contexts(contexts, log.n_contexts, "data")
    _check.broadcast("data, policy and contexts", log.shape, chosen.shape[:-2], shares.shape[:-1])
    if contexts is not None and not np.all(log.n):
        shares = np.where(log.n[..., None] > 0, shares, np.nan)
    return log, chosen, shares


def _over_contexts(shares: Floats, by_context: Floats) -> Floats:
    """Average over contexts; one that does not count may be unknown."""
    return np.asarray(np.where(shares == 0, 0.0, shares * by_context).sum(axis=-1))
