r"""Intervals for the value of a policy from the log of another, and how far the log overlaps with the policy.

Every interval is a function ``(data, policy, behavior=None, *, delta=0.05)`` that returns a `ValueInterval` of level
:math:`1 - \delta`, cut to the range of rewards. Some hold at every n (``guarantee="every n"``), others as n grows
(``guarantee="asymptotic"``): the second kind ends at the probability that the log holds a success of the policy at all,
however often it is used. `pessimism.bandits.risk.coverage_probability` gives the exact coverage of each.

=========================  =============  =======================================================================
interval                   guarantee      for
=========================  =============  =======================================================================
`given_counts`             every n        any policy, if arms were not chosen by looking at rewards
`hoeffding`                every n        a known behavior
`empirical_bernstein`      every n        a known behavior; needs squares
`clopper_pearson`          every n        one context, one arm, rewards 0 or 1
`implicit_exploration`     every n        a lower limit; also logs whose policy looked at earlier rewards
`log_smoothing`            every n        the same
`wilson`                   asymptotic     one context, one arm, rewards 0 or 1
`normal_direct`            asymptotic     no behavior
`normal_ips`               asymptotic     a known behavior, or propensities by round
`normal_snips`             asymptotic     the same
=========================  =============  =======================================================================

Read `overlap` first: where the largest weight is of the size of n, no interval is short and an asymptotic one is wrong.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._objects import Speaking
from pessimism._types import Floats
from pessimism.bandits import estimators
from pessimism.bandits._engine.forms import ratio
from pessimism.bandits._input import check_arm_law
from pessimism.bandits.data import BanditData
from pessimism.bandits.estimators._setting import Setting, check_unused, setting, stated_policy
from pessimism.bandits.interval import ValueInterval
from pessimism.bandits.propensities import PropensityData

__all__ = [
    "Overlap",
    "clopper_pearson",
    "empirical_bernstein",
    "given_counts",
    "hoeffding",
    "implicit_exploration",
    "log_smoothing",
    "normal_direct",
    "normal_ips",
    "normal_snips",
    "overlap",
    "wilson",
]

ASYMPTOTIC = "asymptotic"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Overlap(Speaking):
    r"""How far a log overlaps with a policy.

    Attributes
    ----------
    largest : (...,) float
        Largest weight: :math:`C^* = \max d/\mu` for a known or estimated behavior, the largest of the log's rounds'
        pairs for stated propensities; infinite where a pair lacks support.
    second_moment : (...,) float
        :math:`V = \sum d^2/\mu = 1 + \chi^2(d\|\mu)`, at most C*: a log of n rounds is worth n/V of the policy's own.
    mean_weight : (...,) float
        Average weight of the rounds; 1 in expectation for right propensities. Near 1 it proves nothing where large
        weights are unseen.
    kish_size : (...,) float
        :math:`(\sum_i w_i)^2/\sum_i w_i^2`, the rounds that would tell as much if all weighed the same.
    unsupported : (..., S, A) bool
        Pairs that the policy plays and the behavior, or where it is unknown the log, does not.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, intervals
    >>> float(intervals.overlap(BanditData([[90, 10]], [[0.0, 0.0]]), [1]).largest)
    10.0
    """

    largest: Floats
    second_moment: Floats
    mean_weight: Floats
    kish_size: Floats
    unsupported: NDArray[np.bool_]


def overlap(
    data: BanditData | PropensityData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    contexts: ArrayLike | None = None,
) -> Overlap:
    r"""How much a log can say about a policy: to be read before any estimate.

    Parameters
    ----------
    data : BanditData or PropensityData
        The log.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : (..., S, A) array_like of float, optional
        Joint law of the logged pairs. Default: estimated, or stated by the data.
    contexts : (..., S) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    Overlap
        Largest weight, V, mean weight, Kish's size and the pairs without support; NaN for an empty log.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, intervals
    >>> seen = intervals.overlap(BanditData([[30, 10]], [[12.0, 6.0]]), [[0.5, 0.5]], [[0.8, 0.2]])
    >>> float(seen.largest), round(float(seen.kish_size), 1)
    (2.5, 25.8)
    """
    if isinstance(data, PropensityData):
        chosen = stated_policy(data, policy, behavior, contexts)
        unsupported = (chosen > 0) & (data.counts == 0) & (data.counts.sum(axis=-1, keepdims=True) > 0)
        weight = np.where(data.counts > 0, chosen / data.smallest, 0.0)
        total = np.einsum("...sa,...sa->...", chosen, data.inverse)
        squares = np.einsum("...sa,...sa->...", chosen**2, data.inverse_squares)
        second = squares / _positive(data.n)
    else:
        place = setting(data, policy, behavior, contexts, free=True)
        weight = ratio(place.wanted, place.law)
        unsupported = np.isinf(weight)
        finite = np.where(unsupported, 0.0, weight)
        total = np.einsum("...sa,...sa->...", finite, data.counts)
        squares = np.einsum("...sa,...sa->...", finite**2, data.counts)
        second = np.asarray(np.where(place.wanted > 0, place.wanted * weight, 0.0).sum(axis=(-2, -1)))
    largest = np.where(unsupported.any(axis=(-2, -1)), np.inf, weight.max(axis=(-2, -1)))
    empty = data.n == 0
    kish = total**2 / np.where(squares > 0, squares, np.nan)
    return Overlap(np.where(empty, np.nan, largest), second, total / _positive(data.n), kish, unsupported)


def given_counts(
    data: BanditData | PropensityData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    delta: float = 0.05,
    contexts: ArrayLike | None = None,
) -> ValueInterval:
    r"""Interval of Hoeffding given the counts, around the direct method: `BanditData.value`.

    Parameters
    ----------
    data : BanditData or PropensityData
        The log; its arms must not have been chosen by looking at rewards.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : array_like, optional
        Not used; there so that all intervals are called alike.
    delta : float
        Probability, in (0, 1), of a miss.
    contexts : (..., S) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    ValueInterval
        Half-width :math:`\sqrt{\tfrac12\log(2/\delta)\sum d^2/N}` for rewards in [0, 1]; unseen pairs add their range.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, intervals
    >>> round(float(intervals.given_counts(BanditData([[400, 100]], [[200.0, 60.0]]), [1]).low), 3)
    0.464
    """
    log = data.data if isinstance(data, PropensityData) else data
    _check.instance("data", log, BanditData)
    check_unused(behavior)
    return log.value(policy, contexts=contexts, delta=delta)


def hoeffding(
    data: BanditData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    delta: float = 0.05,
    contexts: ArrayLike | None = None,
) -> ValueInterval:
    r"""Interval of Hoeffding around importance sampling.

    Parameters
    ----------
    data : BanditData
        The log, rewards in a finite range.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : (..., S, A) array_like of float
        Joint law of the logged pairs; it must be known, for the range of weighted rewards may not be read off a sample.
    delta : float
        Probability, in (0, 1), of a miss.
    contexts : (..., S) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    ValueInterval
        Half-width :math:`C^* \sqrt{\log(2/\delta)/(2n)}` for rewards in [0, 1].

    Examples
    --------
    >>> from pessimism.bandits import BanditData, intervals
    >>> found = intervals.hoeffding(BanditData([[800, 200]], [[400.0, 100.0]]), [1], [[0.8, 0.2]])
    >>> round(float(found.low), 3), round(float(found.high), 3)
    (0.285, 0.715)
    """
    miss = _check.open_unit_interval("delta", delta)
    place = _known("hoeffding", data, policy, behavior, contexts)
    half = _spread(place, data) * np.sqrt(math.log(2.0 / miss) / (2.0 * _positive(data.n)))
    return _around(estimators.ips(data, policy, behavior, contexts=contexts), half, data, miss)


def empirical_bernstein(
    data: BanditData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    delta: float = 0.05,
    contexts: ArrayLike | None = None,
) -> ValueInterval:
    r"""Interval of Bernstein around importance sampling, with the observed variance.

    Parameters
    ----------
    data : BanditData
        The log, with squares, rewards in a finite range.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : (..., S, A) array_like of float
        Joint law of the logged pairs; it must be known.
    delta : float
        Probability, in (0, 1), of a miss.
    contexts : (..., S) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    ValueInterval
        Half-width :math:`\sqrt{2 s^2 \log(4/\delta)/n} + 7 C^* \log(4/\delta)/(3(n-1))` for rewards in [0, 1], with the
        sample variance s^2 of the weighted rewards; the whole range below two rounds.

    Notes
    -----
    Maurer and Pontil (2009), theorem 4, on both sides.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, intervals
    >>> log = BanditData([[8000, 2000]], [[4000.0, 1000.0]], squares=[[4000.0, 1000.0]])
    >>> round(float(intervals.empirical_bernstein(log, [1], [[0.8, 0.2]]).low), 3)
    0.45
    """
    miss = _check.open_unit_interval("delta", delta)
    place = _known("empirical_bernstein", data, policy, behavior, contexts)
    n, log_term = _positive(data.n), math.log(4.0 / miss)
    estimate = estimators.ips(data, policy, behavior, contexts=contexts)
    variance = _sample_variance(place, data, estimate)
    with np.errstate(divide="ignore", invalid="ignore"):
        half = np.sqrt(2.0 * variance * log_term / n) + 7.0 * _spread(place, data) * log_term / (3.0 * (n - 1.0))
    return _around(estimate, np.where(n > 1, half, np.inf), data, miss)


def clopper_pearson(
    data: BanditData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    delta: float = 0.05,
) -> ValueInterval:
    r"""Compute the limits of Clopper and Pearson for one arm of one context with rewards 0 or 1.

    Parameters
    ----------
    data : BanditData
        The log: one context, range (0, 1), whole sums that count the ones.
    policy : (..., 1) array_like of int
        The arm.
    behavior : (..., 1, A) array_like of float, optional
        If given, the limits are those of the probability p r of a matched success among all n rounds, times w = 1/p;
        if not, those of r among the N rounds of the arm, which are shorter.
    delta : float
        Probability, in (0, 1), of a miss.

    Returns
    -------
    ValueInterval
        It holds at every n: with probability at least 1 - delta, and more where few outcomes are possible.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, intervals
    >>> found = intervals.clopper_pearson(BanditData([[90, 10]], [[45.0, 6.0]]), [1])
    >>> round(float(found.low), 3), round(float(found.high), 3)
    (0.262, 0.878)
    """
    from scipy.special import betaincinv

    miss = _check.open_unit_interval("delta", delta)
    hits, rounds, weight = _matched("clopper_pearson", data, policy, behavior)
    misses = rounds - hits
    low = np.where(hits > 0, betaincinv(np.maximum(hits, 1), misses + 1, miss / 2.0), 0.0)
    high = np.where(misses > 0, betaincinv(hits + 1, np.maximum(misses, 1), 1.0 - miss / 2.0), 1.0)
    return _cut(weight * hits / _positive(rounds), weight * low, weight * high, data, miss)


def wilson(
    data: BanditData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    delta: float = 0.05,
) -> ValueInterval:
    r"""Compute the limits of Wilson for one arm of one context with rewards 0 or 1; asymptotic.

    Parameters
    ----------
    data : BanditData
        The log: one context, range (0, 1), whole sums that count the ones.
    policy : (..., 1) array_like of int
        The arm.
    behavior : (..., 1, A) array_like of float, optional
        As in `clopper_pearson`.
    delta : float
        Probability, in (0, 1), of a miss, to leading order.

    Returns
    -------
    ValueInterval
        Shorter than `clopper_pearson`, and below its level for some r.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, intervals
    >>> round(float(intervals.wilson(BanditData([[90, 10]], [[45.0, 6.0]]), [1]).low), 3)
    0.313
    """
    miss = _check.open_unit_interval("delta", delta)
    hits, rounds, weight = _matched("wilson", data, policy, behavior)
    n, z = _positive(rounds), _quantile(miss)
    share = hits / n
    center = (share + z**2 / (2.0 * n)) / (1.0 + z**2 / n)
    half = z / (1.0 + z**2 / n) * np.sqrt(share * (1.0 - share) / n + z**2 / (4.0 * n**2))
    return _cut(weight * share, weight * (center - half), weight * (center + half), data, miss, ASYMPTOTIC)


def normal_direct(
    data: BanditData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    delta: float = 0.05,
    contexts: ArrayLike | None = None,
) -> ValueInterval:
    r"""Normal interval around the direct method given the counts; asymptotic.

    Parameters
    ----------
    data : BanditData
        The log, with squares.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : array_like, optional
        Not used; there so that all intervals are called alike.
    delta : float
        Probability, in (0, 1), of a miss, to leading order.
    contexts : (..., S) array_like of float, optional
        Law in which the policy is judged. Default: as logged, taken as given.

    Returns
    -------
    ValueInterval
        Half-width :math:`z\sqrt{\sum d^2 \hat v/N}`, :math:`\hat v` with divisor N; NaN where a pair was never seen.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, intervals
    >>> log = BanditData([[400, 100]], [[200.0, 60.0]], squares=[[200.0, 60.0]])
    >>> round(float(intervals.normal_direct(log, [1]).low), 3)
    0.504
    """
    miss = _check.open_unit_interval("delta", delta)
    estimate = estimators.direct(data, policy, behavior, contexts=contexts)
    place, pulls = setting(data, policy, None, contexts), np.maximum(data.counts, 1)
    variance = np.maximum(_squares(data) / pulls - data.means**2, 0.0)
    half = _quantile(miss) * np.sqrt((place.target**2 * variance / pulls).sum(axis=(-2, -1)))
    return _around(estimate, half, data, miss, ASYMPTOTIC)


def normal_ips(
    data: BanditData | PropensityData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    delta: float = 0.05,
    contexts: ArrayLike | None = None,
) -> ValueInterval:
    r"""Normal interval around importance sampling; asymptotic.

    Parameters
    ----------
    data : BanditData or PropensityData
        The log, with squares.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : (..., S, A) array_like of float
        Joint law of the logged pairs; it must be known, or stated by the data.
    delta : float
        Probability, in (0, 1), of a miss, to leading order.
    contexts : (..., S) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    ValueInterval
        Half-width :math:`z s/\sqrt n` with the sample variance s^2 of the weighted rewards (divisor n - 1); NaN below
        two rounds. A log without a success of the policy gives an interval of width 0.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, intervals
    >>> log = BanditData([[400, 100]], [[200.0, 60.0]], squares=[[200.0, 60.0]])
    >>> round(float(intervals.normal_ips(log, [1], [[0.8, 0.2]]).low), 3)
    0.457
    """
    miss = _check.open_unit_interval("delta", delta)
    estimate = estimators.ips(data, policy, behavior, contexts=contexts)
    if isinstance(data, PropensityData):
        chosen = stated_policy(data, policy, behavior, contexts)
        n = _positive(data.n)
        second = np.einsum("...sa,...sa->...", chosen**2, data.weighted_squares) / n
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = np.where(n > 1, np.maximum(second - estimate**2, 0.0) * n / (n - 1.0), np.nan)
    else:
        variance = _sample_variance(_known("normal_ips", data, policy, behavior, contexts), data, estimate)
    return _around(estimate, _quantile(miss) * np.sqrt(variance / _positive(data.n)), data, miss, ASYMPTOTIC)


def normal_snips(
    data: BanditData | PropensityData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    delta: float = 0.05,
    contexts: ArrayLike | None = None,
) -> ValueInterval:
    r"""Normal interval around self-normalised importance sampling, by the delta method; asymptotic.

    Parameters
    ----------
    data : BanditData or PropensityData
        The log, with squares.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : (..., S, A) array_like of float
        Joint law of the logged pairs; it must be known, or stated by the data.
    delta : float
        Probability, in (0, 1), of a miss, to leading order.
    contexts : (..., S) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    ValueInterval
        Half-width :math:`z\sqrt{\sum_i w_i^2 (r_i - T)^2}/\sum_i w_i`: the normaliser varies too. NaN where T is.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, intervals
    >>> log = BanditData([[400, 100]], [[200.0, 60.0]], squares=[[200.0, 60.0]])
    >>> round(float(intervals.normal_snips(log, [1], [[0.8, 0.2]]).low), 3)
    0.504
    """
    miss = _check.open_unit_interval("delta", delta)
    estimate = estimators.snips(data, policy, behavior, contexts=contexts)
    tables: tuple[NDArray[Any], ...]
    if isinstance(data, PropensityData):
        weight = stated_policy(data, policy, behavior, contexts)
        tables = (data.inverse, data.inverse_squares, data.weighted_rewards, data.weighted_squares)
    else:
        weight = _known("normal_snips", data, policy, behavior, contexts).weight
        tables = (data.counts, data.counts, data.sums, _squares(data))
    total = np.einsum("...sa,...sa->...", weight, tables[0])
    n2, r2, q2 = (np.einsum("...sa,...sa->...", weight**2, table) for table in tables[1:])
    with np.errstate(invalid="ignore"):
        variance = np.maximum(q2 - 2.0 * estimate * r2 + estimate**2 * n2, 0.0)
        half = _quantile(miss) * np.sqrt(variance) / np.where(total > 0, total, np.nan)
    return _around(estimate, half, data, miss, ASYMPTOTIC)


def implicit_exploration(
    data: BanditData | PropensityData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    gamma: float,
    delta: float = 0.05,
    contexts: ArrayLike | None = None,
) -> ValueInterval:
    r"""Lower limit by implicit exploration: :math:`J \ge T_\gamma - \log(1/\delta)/(2\gamma n)`.

    Parameters
    ----------
    data : BanditData or PropensityData
        The log, rewards in [0, 1]; its policy may have looked at earlier rewards.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : (..., S, A) array_like of float
        Joint law of the logged pairs; it must be known, or stated by the data.
    gamma : float
        :math:`\gamma`, positive, fixed before the data.
    delta : float
        Probability, in (0, 1), of a miss.
    contexts : (..., S) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    ValueInterval
        Its upper end is that of the range.

    Notes
    -----
    Needs no largest weight. Gabbianelli, Neu, Papini (2024). `log_smoothing` at :math:`\lambda = 2\gamma` is never
    below it.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, intervals
    >>> log = BanditData([[800, 200]], [[400.0, 120.0]])
    >>> round(float(intervals.implicit_exploration(log, [1], [[0.8, 0.2]], gamma=0.02).low), 3)
    0.471
    """
    miss = _check.open_unit_interval("delta", delta)
    g = _check.positive("gamma", gamma)
    _unit_range("implicit_exploration", data)
    _known_or_stated("implicit_exploration", data, behavior)
    estimate = estimators.implicit_exploration(data, policy, behavior, gamma=g, contexts=contexts)
    low = estimate - math.log(1.0 / miss) / (2.0 * g * _positive(data.n))
    return _cut(estimate, low, np.full_like(low, np.inf), data, miss)


def log_smoothing(
    data: BanditData | PropensityData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    *,
    smoothing: float,
    delta: float = 0.05,
    contexts: ArrayLike | None = None,
) -> ValueInterval:
    r"""Lower limit by logarithmic smoothing: :math:`J \ge (e^{\lambda T_\lambda - \log(1/\delta)/n} - 1)/\lambda`.

    Parameters
    ----------
    data : BanditData or PropensityData
        The log, rewards in [0, 1]; its policy may have looked at earlier rewards.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        An arm per context, or a law over arms per context.
    behavior : (..., S, A) array_like of float
        Joint law of the logged pairs; it must be known, or stated by the data.
    smoothing : float
        :math:`\lambda`, positive, fixed before the data.
    delta : float
        Probability, in (0, 1), of a miss.
    contexts : (..., S) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    ValueInterval
        Its upper end is that of the range.

    Notes
    -----
    :math:`\prod_i (1 + \lambda w_i r_i)/(1 + \lambda J)^n` has mean 1: Markov's inequality. At least
    :math:`T_\lambda - \log(1/\delta)/(\lambda n)`, the limit of Sakhi et al. (2024). Needs no largest weight.

    Examples
    --------
    >>> from pessimism.bandits import BanditData, intervals
    >>> log = BanditData([[800, 200]], [[400.0, 120.0]], squares=[[400.0, 120.0]])
    >>> round(float(intervals.log_smoothing(log, [1], [[0.8, 0.2]], smoothing=0.04).low), 3)
    0.477
    """
    miss = _check.open_unit_interval("delta", delta)
    scale = _check.positive("smoothing", smoothing)
    _unit_range("log_smoothing", data)
    _known_or_stated("log_smoothing", data, behavior)
    estimate = estimators.log_smoothing(data, policy, behavior, smoothing=scale, contexts=contexts)
    low = np.expm1(scale * estimate - math.log(1.0 / miss) / _positive(data.n)) / scale
    return _cut(estimate, low, np.full_like(low, np.inf), data, miss)


def _known_or_stated(interval: str, data: BanditData | PropensityData, behavior: ArrayLike | None) -> None:
    if behavior is None and not isinstance(data, PropensityData):
        raise ValueError(f"behavior must be given to {interval}: an estimated one leaves its level unproved")


def _known(
    interval: str, data: BanditData, policy: ArrayLike, behavior: ArrayLike | None, contexts: ArrayLike | None
) -> Setting:
    if isinstance(data, PropensityData):
        raise TypeError(
            f"data must be BanditData with a known behavior for {interval}: stated propensities bound no weight"
        )
    _known_or_stated(interval, data, behavior)
    return setting(data, policy, behavior, contexts)


def _unit_range(interval: str, data: BanditData | PropensityData) -> None:
    if not isinstance(data, BanditData | PropensityData):
        _check.instance("data", data, BanditData)
    if data.reward_range != (0.0, 1.0):
        raise ValueError(
            f"data must have the reward_range (0, 1) for {interval}, got {data.reward_range}: rescale them"
        )


def _matched(
    interval: str, data: BanditData, policy: ArrayLike, behavior: ArrayLike | None
) -> tuple[Floats, Floats, Floats]:
    """Successes (...) of the arm, the rounds they are counted among, and the weight of a success."""
    _check.instance("data", data, BanditData)
    _unit_range(interval, data)
    if data.n_contexts != 1:
        raise ValueError(f"data must have one context for {interval}, got {data.n_contexts}")
    if not np.array_equal(data.sums, np.floor(data.sums)):
        raise ValueError(f"data must have rewards 0 or 1 for {interval}, got sums that are not whole")
    chosen = check_arm_law(policy, 1, data.n_arms)
    if not np.all((chosen == 0) | (chosen == 1)):
        raise ValueError(f"policy must be a single arm for {interval}")
    hits = np.einsum("...sa,...sa->...", chosen, data.sums)
    if behavior is None:
        return hits, np.einsum("...sa,...sa->...", chosen, data.counts), np.asarray(1.0)
    weight = setting(data, policy, behavior, None).weight
    return hits, data.n.astype(np.float64), weight.max(axis=(-2, -1))


def _spread(place: Setting, data: BanditData) -> Floats:
    """Width of the interval that holds every weighted reward."""
    low, high = data.reward_range
    if not math.isfinite(high - low):
        raise ValueError(f"data must have a finite reward_range, got {data.reward_range}")
    return np.asarray(place.weight.max(axis=(-2, -1)) * (max(high, 0.0) - min(low, 0.0)))


def _squares(data: BanditData) -> Floats:
    if data.squares is None:
        raise ValueError("data must have squares for an interval that uses the observed variance")
    return data.squares


def _sample_variance(place: Setting, data: BanditData, mean: Floats) -> Floats:
    """Of the weighted rewards, divisor n - 1; NaN below two rounds."""
    n = _positive(data.n)
    second = np.einsum("...sa,...sa->...", place.weight**2, _squares(data)) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(n > 1, np.maximum(second - mean**2, 0.0) * n / (n - 1.0), np.nan))


def _positive(n: ArrayLike) -> Floats:
    """Numbers of rounds to divide by; NaN for none."""
    return np.where(np.asarray(n) > 0, n, np.nan)


def _quantile(delta: float) -> float:
    from scipy.special import ndtri

    return float(-ndtri(max(delta / 2.0, 5e-324)))  # half of the smallest number is 0, whose quantile is infinite


def _around(
    estimate: Floats, half: Floats, data: BanditData | PropensityData, delta: float, guarantee: str = "every n"
) -> ValueInterval:
    return _cut(estimate, estimate - half, estimate + half, data, delta, guarantee)


def _cut(
    estimate: Floats,
    low: Floats,
    high: Floats,
    data: BanditData | PropensityData,
    delta: float,
    guarantee: str = "every n",
) -> ValueInterval:
    """The part of an interval that lies in the range of rewards; all of the range where a guarantee says nothing."""
    smallest, largest = data.reward_range
    low, high = (np.clip(end, smallest, largest) for end in (low, high))
    if guarantee != ASYMPTOTIC:
        low, high = np.where(np.isnan(low), smallest, low), np.where(np.isnan(high), largest, high)
    return ValueInterval(np.asarray(estimate), low, high, 1.0 - delta, guarantee)
