"""Estimators that weigh rewards by how much oftener the policy would have played their pair than the log did."""

import math

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats
from pessimism.bandits._engine import forms
from pessimism.bandits._engine import rounds as engine
from pessimism.bandits._engine.forms import Form
from pessimism.bandits._input import check_contexts
from pessimism.bandits.data import BanditData
from pessimism.bandits.estimators._setting import (
    by_round,
    check_groups,
    of_rounds,
    of_table,
    setting,
    stated_policy,
)
from pessimism.bandits.propensities import PropensityData

__all__ = ["clipped", "implicit_exploration", "ips", "log_smoothing", "lumped", "per_context_ips", "snips"]


def ips(
    data: BanditData | PropensityData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    contexts: ArrayLike | None = None,
) -> Floats:
    r"""Importance sampling, or inverse propensity scoring: :math:`\frac1n\sum_{s,a} w(s,a)\, S(s,a)`.

    Parameters
    ----------
    data : BanditData or PropensityData
        The log.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : (..., S, A) array_like of float, optional
        Joint law :math:`\mu` of the logged pairs. Default: estimated, which makes it `direct`.
    contexts : (..., S) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    (...,) float
        In reward units; it may leave the range of rewards. NaN for an empty log.

    Raises
    ------
    ValueError
        If the behavior never plays a pair that the policy plays: the message names it.

    See Also
    --------
    pessimism.bandits.estimators.weighted.snips : Divides by the sum of the weights.
    pessimism.bandits.risk.ips : Its exact risk.

    Notes
    -----
    Normaliser: n. Unbiased for a known behavior, and for logs whose policy looked at earlier rewards if every round
    states its propensity. With an estimated behavior it is never worse to leading order (Hirano, Imbens, Ridder 2003
    know this as a paradox), since estimating ignores what weights add to the variance.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, estimators
    >>> log = BanditData([[30, 10]], [[12.0, 6.0]])
    >>> float(estimators.ips(log, [1], [[0.8, 0.2]])), float(estimators.ips(log, [1]))
    (0.75, 0.6)
    """
    if isinstance(data, PropensityData):
        chosen = stated_policy(data, policy, behavior, contexts)
        return of_rounds(data, chosen, (chosen * data.weighted, chosen * data.inverse))
    place = setting(data, policy, behavior, contexts)
    return of_table(Form(place.weight), place, data)


def per_context_ips(
    data: BanditData | PropensityData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    contexts: ArrayLike | None = None,
) -> Floats:
    r"""Importance sampling within contexts: :math:`\sum_s \frac{\rho(s)}{N(s)} \sum_a \frac{\pi(a|s)}{p(a|s)} S(s,a)`.

    Parameters
    ----------
    data : BanditData or PropensityData
        The log.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : (..., S, A) array_like of float, optional
        Joint law of the logged pairs, of which only :math:`p(a|s)` is used. Default: estimated, or stated by the data.
    contexts : (..., S) array_like of float, optional
        Law :math:`\rho` in which the policy is judged. Default: as logged, which makes it `ips`.

    Returns
    -------
    (...,) float
        In reward units. NaN for an empty log, and where a context that counts was never met.

    Notes
    -----
    Normaliser: N(s). It needs no law of the contexts in the log, and no luck in how often each was met.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, estimators
    >>> log = BanditData([[2, 2], [8, 8]], [[1.0, 2.0], [4.0, 4.0]])
    >>> mu = [[0.25, 0.25], [0.25, 0.25]]
    >>> float(estimators.per_context_ips(log, [1, 1], mu, contexts=[0.5, 0.5]))
    0.75
    """
    if isinstance(data, PropensityData):
        chosen = stated_policy(data, policy, behavior, None)
        by_context = np.einsum("...sa,...sa->...s", chosen, data.weighted)
    else:
        weight = setting(data, policy, behavior, None).weight  # with contexts as logged: pi / p
        by_context = np.einsum("...sa,...sa->...s", weight, data.sums)
    met = np.einsum("...sa->...s", data.counts)
    n = data.n[..., None]
    share = met / np.where(n > 0, n, np.nan)
    if contexts is not None:
        share = np.where(n > 0, check_contexts(contexts, data.n_contexts, "data"), np.nan)
    average = by_context / np.where(met > 0, met, np.nan)
    return np.asarray(np.where(share == 0, 0.0, share * average).sum(axis=-1))


def snips(
    data: BanditData | PropensityData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    contexts: ArrayLike | None = None,
) -> Floats:
    r"""Self-normalised importance sampling: :math:`\sum w S / \sum w N`.

    Parameters
    ----------
    data : BanditData or PropensityData
        The log.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : (..., S, A) array_like of float, optional
        Joint law of the logged pairs. Default: estimated, which makes it `direct`.
    contexts : (..., S) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    (...,) float
        In reward units, within the range of the rewards seen. NaN where no round has a positive weight.

    Raises
    ------
    ValueError
        If the behavior never plays a pair that the policy plays.

    See Also
    --------
    pessimism.bandits.risk.snips : Its exact risk at any n, and how often it is undefined.

    Notes
    -----
    Normaliser: the sum of the weights. Bias O(1/n). It moves with a shift of all rewards, which `ips` does not.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, estimators
    >>> float(estimators.snips(BanditData([[30, 10]], [[12.0, 6.0]]), [[0.5, 0.5]], [[0.8, 0.2]]).round(6))
    0.514286
    """
    if isinstance(data, PropensityData):
        chosen = stated_policy(data, policy, behavior, contexts)
        top, bottom = (np.einsum("...sa,...sa->...", chosen, x) for x in (data.weighted, data.inverse))
    else:
        weight = setting(data, policy, behavior, contexts).weight
        top, bottom = (forms.total(weight, x) for x in (data.sums, data.counts))
    with np.errstate(invalid="ignore"):
        return np.asarray(top / np.where(bottom > 0, bottom, np.nan))


def clipped(
    data: BanditData | PropensityData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    cap: float,
    contexts: ArrayLike | None = None,
) -> Floats:
    r"""Importance sampling with clipped weights: :math:`\frac1n\sum \min(w, M)\, S`.

    Parameters
    ----------
    data : BanditData or PropensityData
        The log; `PropensityData` need their rounds.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : (..., S, A) array_like of float, optional
        Joint law of the logged pairs. Default: estimated.
    cap : float
        M, positive: the largest weight.
    contexts : (..., S) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    (...,) float
        In reward units; NaN for an empty log.

    Raises
    ------
    ValueError
        If the behavior never plays a pair that the policy plays, or the rounds were not kept.

    Notes
    -----
    Normaliser: n. Bias :math:`-\sum (d - \mu\min(w, M))\, r`, towards 0. Without a limit on M it is `ips`.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, estimators
    >>> float(estimators.clipped(BanditData([[30, 10]], [[12.0, 6.0]]), [1], [[0.8, 0.2]], cap=4.0))
    0.6
    """
    largest = _check.positive("cap", cap)
    if isinstance(data, PropensityData):
        chosen = stated_policy(data, policy, behavior, contexts)
        rounds = data.rounds("clipped")
        return of_rounds(data, chosen, by_round(data, chosen, lambda pi: engine.cut(rounds, pi, largest, largest)))
    place = setting(data, policy, behavior, contexts)
    return of_table(Form(np.minimum(place.weight, largest)), place, data)


def lumped(
    data: BanditData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    groups: ArrayLike,
    contexts: ArrayLike | None = None,
) -> Floats:
    r"""Importance sampling on groups of arms: :math:`\frac1n\sum w(s, e(a))\, S(s,a)`, w(s, e) = d(s, e)/mu(s, e).

    Parameters
    ----------
    data : BanditData
        The log.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : (..., S, A) array_like of float, optional
        Joint law of the logged pairs. Default: estimated.
    groups : (A,) or (S, A) array_like of int
        Group e of every arm, from 0.
    contexts : (..., S) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    (...,) float
        In reward units; NaN for an empty log.

    Raises
    ------
    ValueError
        If the behavior never plays a group that the policy plays.

    Notes
    -----
    Normaliser: n. Unbiased if rewards depend on the arm through its group only; else the bias is
    :math:`\sum (\mu w_e - d)\, r`. An arm that was never played is no obstacle if its group was. Saito and Joachims
    (2022) call it the marginalised estimator, with groups that are embeddings.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, estimators
    >>> log = BanditData([[5, 5, 10]], [[3.0, 2.0, 2.0]])
    >>> float(estimators.lumped(log, [1], [[0.25, 0.25, 0.5]], groups=[0, 0, 1]))
    0.5
    """
    place = setting(data, policy, behavior, contexts, free=True)
    weight = forms.lumped(place.wanted, place.law, check_groups(groups, data))
    lacking = np.isinf(weight)
    if behavior is not None and np.any(lacking):
        *_, s, a = np.argwhere(lacking)[0].tolist()
        raise ValueError(f"behavior must play every group that the policy plays: not that of arm {a} in context {s}")
    return of_table(Form(np.where(lacking, np.nan, weight)), place, data)


def implicit_exploration(
    data: BanditData | PropensityData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    gamma: float,
    contexts: ArrayLike | None = None,
) -> Floats:
    r"""Implicit exploration: :math:`\frac1n\sum \frac{\pi}{p + \gamma}\, S`, a lower bound in expectation.

    Parameters
    ----------
    data : BanditData or PropensityData
        The log, rewards in a finite range; `PropensityData` need their rounds.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : (..., S, A) array_like of float, optional
        Joint law of the logged pairs. Default: estimated.
    gamma : float
        :math:`\gamma`, positive.
    contexts : (..., S) array_like of float, optional
        Law in which the policy is judged; weights are then :math:`w/(1 + \gamma w)`. Default: as logged.

    Returns
    -------
    (...,) float
        In reward units; NaN for an empty log.

    Raises
    ------
    ValueError
        If the behavior never plays a pair that the policy plays, the range of rewards is infinite, or the rounds were
        not kept.

    See Also
    --------
    pessimism.bandits.rules.ix.ix : Chooses arms by it.

    Notes
    -----
    Normaliser: n. For rewards from 0 on the bias :math:`-\sum d r \gamma/(p + \gamma)` is towards 0. With an estimated
    behavior in one context it is :math:`\hat r N/(N + \gamma n)`: shrinkage. Gabbianelli, Neu, Papini (2024).

    Examples
    --------
    >>> from pessimism.bandits import BanditData, estimators
    >>> log = BanditData([[30, 10]], [[12.0, 6.0]])
    >>> float(estimators.implicit_exploration(log, [1], [[0.8, 0.2]], gamma=0.05).round(6))
    0.6
    """
    g = _check.positive("gamma", gamma)
    _finite_range("implicit_exploration", data)
    if isinstance(data, PropensityData):
        chosen = stated_policy(data, policy, behavior, contexts)
        rounds = data.rounds("implicit_exploration")

        def explored(p: Floats, r: Floats) -> tuple[Floats, Floats]:
            return r / (p + g), 1.0 / (p + g)

        weighted, weights = (x.reshape(data.counts.shape) for x in engine.sums_by_pair(rounds, explored))
        return of_rounds(data, chosen, (chosen * weighted, chosen * weights))
    place = setting(data, policy, behavior, contexts)
    if contexts is not None:
        return of_table(Form(place.weight / (1.0 + g * place.weight)), place, data)
    p = place.law / np.where((met := place.law.sum(axis=-1, keepdims=True)) > 0, met, 1.0)
    weight = np.where(place.wanted > 0, place.policy / (p + g), 0.0)
    if place.lacking is not None:
        weight = np.where(place.lacking, np.nan, weight)
    return of_table(Form(weight), place, data)


def log_smoothing(
    data: BanditData | PropensityData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    smoothing: float,
    contexts: ArrayLike | None = None,
) -> Floats:
    r"""Logarithmic smoothing: :math:`\frac1n\sum_i \log(1 + \lambda w_i r_i)/\lambda`.

    Parameters
    ----------
    data : BanditData or PropensityData
        The log, rewards in a finite range from 0 on. `BanditData` need rewards known to be 0 or 1 (`squares` equal to
        `sums`), `PropensityData` their rounds.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : (..., S, A) array_like of float, optional
        Joint law of the logged pairs. Default: estimated.
    smoothing : float
        :math:`\lambda`, positive.
    contexts : (..., S) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    (...,) float
        In reward units; NaN for an empty log.

    Raises
    ------
    ValueError
        If rewards may be negative or are not known round by round, or the behavior never plays a pair that the policy
        plays.

    Notes
    -----
    Normaliser: n. Never above `ips`; with :math:`\lambda = 2\gamma` never below `implicit_exploration`. Sakhi et al.
    (2024).

    Examples
    --------
    >>> from pessimism.bandits import BanditData, estimators
    >>> log = BanditData([[30, 10]], [[12.0, 6.0]], squares=[[12.0, 6.0]])
    >>> float(estimators.log_smoothing(log, [1], [[0.8, 0.2]], smoothing=0.1).round(6))
    0.608198
    """
    scale = _check.positive("smoothing", smoothing)
    _finite_range("log_smoothing", data)
    if data.reward_range[0] < 0:
        raise ValueError(f"data must have rewards from 0 on for log_smoothing, got reward_range {data.reward_range}")
    if isinstance(data, PropensityData):
        chosen = stated_policy(data, policy, behavior, contexts)

        def smoothed(w: Floats, r: Floats) -> tuple[Floats, Floats]:
            return np.log1p(scale * w * r) / scale, w

        rounds = data.rounds("log_smoothing")
        return of_rounds(data, chosen, by_round(data, chosen, lambda pi: engine.sum_over(rounds, pi, smoothed)))
    place = setting(data, policy, behavior, contexts)
    if data.squares is None or data.reward_range != (0.0, 1.0) or not np.array_equal(data.squares, data.sums):
        raise ValueError(
            "data must hold rewards known to be 0 or 1 for log_smoothing (reward_range (0, 1), squares equal to sums): "
            "other rewards need their rounds, as PropensityData"
        )
    return of_table(Form(np.log1p(scale * place.weight) / scale), place, data)


def _finite_range(estimator: str, data: BanditData | PropensityData) -> None:
    if not isinstance(data, BanditData | PropensityData):
        _check.instance("data", data, BanditData)
    if not math.isfinite(data.reward_range[1] - data.reward_range[0]):
        raise ValueError(f"data must have a finite reward_range for {estimator}, got {data.reward_range}")
