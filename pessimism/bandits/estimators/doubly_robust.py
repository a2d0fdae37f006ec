"""Estimators that ask a model and weigh its errors, or switch between the two."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats
from pessimism.bandits._engine import forms
from pessimism.bandits._engine import rounds as engine
from pessimism.bandits._engine.forms import Form
from pessimism.bandits.data import BanditData
from pessimism.bandits.estimators._setting import (
    by_round,
    check_fill,
    check_model,
    of_rounds,
    of_table,
    setting,
    stated_policy,
)
from pessimism.bandits.propensities import PropensityData

__all__ = ["cross_fit", "doubly_robust", "shrunk_doubly_robust", "switch", "switch_doubly_robust"]


def doubly_robust(
    data: BanditData | PropensityData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    model: ArrayLike,
    contexts: ArrayLike | None = None,
) -> Floats:
    r"""Doubly robust: :math:`\sum d q + \frac1n \sum w (S - Nq)` for a model q of the rewards.

    Parameters
    ----------
    data : BanditData or PropensityData
        The log.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : (..., S, A) array_like of float, optional
        Joint law :math:`\mu` of the logged pairs. Default: estimated, which makes it `direct` for every model.
    model : float or (..., S, A) array_like of float
        Predicted rewards q, not learned from this log: with its own sample means the correction is 0 (`cross_fit`).
    contexts : (..., S) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    (...,) float
        In reward units; it may leave the range of rewards. NaN for an empty log.

    Raises
    ------
    ValueError
        If the behavior never plays a pair that the policy plays.

    See Also
    --------
    pessimism.bandits.estimators.doubly_robust.cross_fit : With a model from the other folds.
    pessimism.bandits.risk.doubly_robust : Its exact risk.

    Notes
    -----
    Normaliser of the correction: n. Unbiased for any q and a known behavior; the variance grows with the error of q.
    Dudík, Langford, Li (2011).

    Examples
    --------
    >>> from pessimism.bandits import BanditData, estimators
    >>> log = BanditData([[30, 10]], [[12.0, 6.0]])
    >>> float(estimators.doubly_robust(log, [1], [[0.8, 0.2]], model=0.5))
    0.625
    """
    q = check_model("model", model, data)
    if isinstance(data, PropensityData):
        chosen = stated_policy(data, policy, behavior, contexts)
        return of_rounds(data, chosen, (chosen * data.weighted, chosen * data.inverse), q)
    place = setting(data, policy, behavior, contexts)
    return of_table(Form(place.weight, q, q), place, data)


def switch(
    data: BanditData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    model: ArrayLike,
    threshold: float,
    contexts: ArrayLike | None = None,
) -> Floats:
    r"""SWITCH: weights where :math:`w \le \tau`, the model q where they are larger.

    Parameters
    ----------
    data : BanditData
        The log. Propensities that move by round do not tell the weights of arms that were not played;
        `switch_doubly_robust` needs only those of the rounds.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : (..., S, A) array_like of float, optional
        Joint law of the logged pairs; 0 where the policy plays is an infinite weight. Default: estimated.
    model : float or (..., S, A) array_like of float
        Predicted rewards q, not learned from this log.
    threshold : float
        :math:`\tau`, positive; a weight equal to it is used.
    contexts : (..., S) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    (...,) float
        In reward units; NaN for an empty log.

    Notes
    -----
    :math:`\frac1n\sum_{w\le\tau} w S + \sum_{w>\tau} d q`; normaliser of the first sum: n. Bias
    :math:`\sum_{w>\tau} d (q - r)`. Wang, Agarwal, Dudík (2017).

    Examples
    --------
    >>> from pessimism.bandits import BanditData, estimators
    >>> log = BanditData([[30, 10]], [[12.0, 6.0]])
    >>> float(estimators.switch(log, [[0.5, 0.5]], [[0.8, 0.2]], model=0.5, threshold=2.0))
    0.4375
    """
    if isinstance(data, PropensityData):
        raise TypeError(
            "data must be BanditData for switch: propensities by round do not tell the weights of arms that were not "
            "played; switch_doubly_robust takes them"
        )
    largest, q = _check.positive("threshold", threshold), check_model("model", model, data)
    place = setting(data, policy, behavior, contexts, free=True)
    weight = place.weight
    return of_table(Form(forms.switched(weight, largest), None, np.where(weight > largest, q, 0.0)), place, data)


def switch_doubly_robust(
    data: BanditData | PropensityData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    model: ArrayLike,
    threshold: float,
    contexts: ArrayLike | None = None,
) -> Floats:
    r"""Doubly robust with a switch: the model is corrected only where :math:`w \le \tau`.

    Parameters
    ----------
    data : BanditData or PropensityData
        The log; `PropensityData` need their rounds.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : (..., S, A) array_like of float, optional
        Joint law of the logged pairs; 0 where the policy plays is an infinite weight. Default: estimated.
    model : float or (..., S, A) array_like of float
        Predicted rewards q, not learned from this log.
    threshold : float
        :math:`\tau`, positive; a weight equal to it is used.
    contexts : (..., S) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    (...,) float
        In reward units; NaN for an empty log.

    Notes
    -----
    :math:`\sum d q + \frac1n\sum_{w\le\tau} w (S - Nq)`; normaliser of the correction: n. Bias
    :math:`\sum_{w>\tau} d (q - r)`, as for `switch`.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, estimators
    >>> log = BanditData([[30, 10]], [[12.0, 6.0]])
    >>> float(estimators.switch_doubly_robust(log, [[0.5, 0.5]], [[0.8, 0.2]], model=0.5, threshold=2.0).round(6))
    0.453125
    """
    largest, q = _check.positive("threshold", threshold), check_model("model", model, data)
    if isinstance(data, PropensityData):
        chosen = stated_policy(data, policy, behavior, contexts)
        rounds = data.rounds("switch_doubly_robust")
        return of_rounds(data, chosen, by_round(data, chosen, lambda pi: engine.cut(rounds, pi, largest, 0.0)), q)
    place = setting(data, policy, behavior, contexts, free=True)
    return of_table(Form(forms.switched(place.weight, largest), q, q), place, data)


def shrunk_doubly_robust(
    data: BanditData | PropensityData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    model: ArrayLike,
    shrinkage: float,
    contexts: ArrayLike | None = None,
) -> Floats:
    r"""Doubly robust with shrunken weights :math:`w' = \lambda w/(w^2 + \lambda)`.

    Parameters
    ----------
    data : BanditData or PropensityData
        The log; `PropensityData` need their rounds.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : (..., S, A) array_like of float, optional
        Joint law of the logged pairs. Default: estimated.
    model : float or (..., S, A) array_like of float
        Predicted rewards q, not learned from this log.
    shrinkage : float
        :math:`\lambda`, positive; the larger, the less is shrunk.
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
    Normaliser of the correction: n. Bias :math:`\sum (\mu w' - d)(r - q)`. As :math:`\lambda` grows it becomes
    `doubly_robust`, as it falls to 0 the model alone. Su, Dimakopoulou, Krishnamurthy, Dudík (2020).

    Examples
    --------
    >>> from pessimism.bandits import BanditData, estimators
    >>> log = BanditData([[30, 10]], [[12.0, 6.0]])
    >>> float(estimators.shrunk_doubly_robust(log, [1], [[0.8, 0.2]], model=0.5, shrinkage=25.0))
    0.5625
    """
    scale, q = _check.positive("shrinkage", shrinkage), check_model("model", model, data)
    if isinstance(data, PropensityData):
        chosen = stated_policy(data, policy, behavior, contexts)
        rounds = data.rounds("shrunk_doubly_robust")

        def corrected(w: Floats, r: Floats) -> tuple[Floats, Floats]:
            weight = forms.shrunk(w, scale)
            return weight * r, weight

        return of_rounds(data, chosen, by_round(data, chosen, lambda pi: engine.sum_over(rounds, pi, corrected)), q)
    place = setting(data, policy, behavior, contexts)
    return of_table(Form(forms.shrunk(place.weight, scale), q, q), place, data)


def cross_fit(
    folds: Sequence[BanditData],
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    fill: ArrayLike,
    contexts: ArrayLike | None = None,
) -> Floats:
    r"""Doubly robust with a model from the other folds, averaged over folds: :math:`\sum_k \frac{n_k}{n} T_k`.

    Parameters
    ----------
    folds : sequence of BanditData
        At least two logs over the same pairs, drawn independently (`BanditData.folds` divides a log); none empty.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : (..., S, A) array_like of float, optional
        Joint law of the logged pairs. Default: estimated in every fold.
    fill : float or (..., S, A) array_like of float
        Reward, in `reward_range`, that the model takes where the other folds have seen nothing.
    contexts : (..., S) array_like of float, optional
        Law in which the policy is judged. Default: as logged, in every fold.

    Returns
    -------
    (...,) float
        In reward units.

    Raises
    ------
    ValueError
        If there are fewer than two folds, one is empty, or the behavior never plays a pair that the policy plays.

    Notes
    -----
    Normaliser of each correction: n_k. Unbiased at every n and for any fill, since each model is independent of the
    rounds that it is corrected by; to leading order it attains the efficiency bound.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, estimators
    >>> folds = [BanditData([[3, 1]], [[1.0, 1.0]]), BanditData([[2, 2]], [[2.0, 1.0]])]
    >>> float(estimators.cross_fit(folds, [1], [[0.5, 0.5]], fill=0.5))
    0.625
    """
    if isinstance(folds, BanditData):
        raise TypeError("folds must be a sequence of BanditData, got a single one: divide it with folds(k)")
    logs = _check.listed("folds", folds, "BanditData")
    for k, log in enumerate(logs):
        _check.instance(f"folds[{k}]", log, BanditData)
        if log.counts.shape[-2:] != logs[0].counts.shape[-2:] or log.reward_range != logs[0].reward_range:
            raise ValueError(f"folds[{k}] must have the contexts, arms and reward_range of folds[0]")
        if np.any(log.n == 0):
            raise ValueError(f"folds[{k}] must not be empty: it has a data set without rounds")
    if len(logs) < 2:
        raise ValueError(f"folds must be at least 2 logs, got {len(logs)}")
    total = sum(log.n for log in logs)
    c = check_fill(fill, logs[0])
    _check.require("fill", c, ~np.isnan(c), "a number")
    estimate = 0.0
    for k, log in enumerate(logs):
        first, *rest = logs[:k] + logs[k + 1 :]
        others = first.merge(*rest) if rest else first
        model = np.where(others.counts > 0, others.means, c)
        own = doubly_robust(log, policy, behavior, model=model, contexts=contexts)
        estimate = estimate + log.n / total * own
    return np.asarray(estimate)
