r"""What an estimator of a value gets wrong, exactly: bias, variance, and how often it is undefined.

A log of n rounds is drawn i.i.d. from the law :math:`\mu` of a `Bandit`; an estimate T of the value J has the bias
:math:`E[T] - J` and the variance :math:`E[T^2] - E[T]^2` (`Risk`). There are three ways to know them without
simulation:

- T averages terms of single rounds (`ips`, `clipped`, `doubly_robust`, ...): the terms are read off logs of one round,
  so that `average_risk` serves anybody's estimator of this kind, at any n;
- closed forms and integrals for the others: `direct_risk`, `ratio_risk`, `cross_fit_risk`;
- every log that n rounds can make, as one batch (`every_log`): `exact_risk` and `coverage_probability` serve any
  estimator and any interval where n is small.

As in `pessimism.bandits.estimators`, contexts are judged as they are logged unless ``contexts=`` says otherwise: J is
:math:`\sum_{s,a} \mu(s)\pi(a|s) r(s,a)` or :math:`\sum_{s,a} \rho(s)\pi(a|s) r(s,a)`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._objects import Speaking
from pessimism._risk import Risk, ratio_moments
from pessimism._types import Floats
from pessimism.bandits._engine import risk as engine
from pessimism.bandits._engine.forms import ratio
from pessimism.bandits._input import check_arm_law, check_contexts
from pessimism.bandits.data import BanditData
from pessimism.bandits.estimators._setting import ONE_LAW, check_model
from pessimism.bandits.interval import ValueInterval
from pessimism.bandits.model import Bandit

__all__ = [
    "Coverage",
    "Risk",
    "average_risk",
    "coverage_probability",
    "cross_fit_risk",
    "direct_risk",
    "every_log",
    "exact_risk",
    "log_probability",
    "ratio_risk",
]

MOST_LOGS = 3_000_000
"""Largest number of different logs that are enumerated."""

SPLIT = 1e-9
"""Relative difference between an estimate of two rounds and the average of its parts that rounding explains."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Coverage(Speaking):
    """How often an interval holds the value, and how wide it is.

    Attributes
    ----------
    probability : (...,) float
        That the interval holds the value; an undefined interval does not.
    width : (...,) float
        Mean width, in reward units, given that the interval is defined.
    undefined : (...,) float
        Probability that it is undefined.

    Examples
    --------
    >>> import numpy as np
    >>> from pessimism.bandits.risk import Coverage
    >>> float(Coverage(np.array(0.95), np.array(0.3), np.array(0.0)).probability)
    0.95
    """

    probability: Floats
    width: Floats
    undefined: Floats


def average_risk(
    estimator: Callable[..., Any],
    bandit: Bandit,
    policy: ArrayLike,
    behavior: ArrayLike,
    *,
    n: ArrayLike,
    contexts: ArrayLike | None = None,
) -> Risk:
    r"""Exact risk, at any n, of an estimator that averages terms of single rounds.

    Parameters
    ----------
    estimator : callable
        ``estimator(data, policy, behavior) -> (...,)`` with a batch of data in front: one of
        `pessimism.bandits.estimators` with its options bound (`functools.partial`), or your own. If `contexts` are
        given they are passed on as a keyword.
    bandit : Bandit
        The world; a batch of them is one call. Bernoulli rewards, or others if the estimator is affine in them.
    policy : (S,) array_like of int or (S, A) array_like of float
        The policy whose value is estimated.
    behavior : (S, A) array_like of float
        Joint law :math:`\mu` of the logged pairs, known to the estimator.
    n : (...) array_like of int
        Rounds, at least 1; broadcasts with the batch of the bandit.
    contexts : (S,) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    Risk
        Over the batch of bandit and n.

    Raises
    ------
    ValueError
        If the estimate of two rounds is not the average of those of each: then it is no average (`exact_risk`).

    See Also
    --------
    pessimism.bandits.risk.exact_risk : For any estimator, by enumeration.

    Notes
    -----
    With terms g of mean m(x) and variance t(x) given the pair x: bias :math:`\sum \mu m - J`, variance
    :math:`\frac1n[\sum\mu(t + m^2) - (\sum\mu m)^2]`. For `ips` this is
    :math:`n \mathrm{Var} = \sum \frac{d^2}{\mu}(v + r^2) - J^2`. Cost O(K^2) for K pairs, most of it for the check.

    Examples
    --------
    >>> from pessimism.bandits import Bandit, estimators, risk
    >>> result = risk.average_risk(estimators.ips, Bandit([[0.5, 0.5]]), [1], [[0.8, 0.2]], n=100)
    >>> float(result.bias), round(float(result.variance), 6)
    (0.0, 0.0225)
    """
    world = _World(bandit, policy, behavior, contexts)
    rounds = _check.whole_array("n", n, low=1)
    _check.broadcast("n and bandit", rounds.shape, bandit.shape)
    nothing, one = _terms(estimator, world)
    slope = one - nothing  # of the two values of a 0/1 reward, or of an affine function of any other
    error = nothing + slope * bandit.means - world.value[..., None, None]
    moments = engine.average(rounds, _flat(world.law), _flat(error), _flat(world.variances * slope**2))
    bias, variance = np.broadcast_arrays(*moments)
    return Risk(bias, variance, np.zeros(variance.shape))


def direct_risk(
    bandit: Bandit,
    policy: ArrayLike,
    behavior: ArrayLike,
    *,
    n: ArrayLike,
    fill: ArrayLike,
    contexts: ArrayLike | None = None,
) -> Risk:
    r"""Exact risk of `pessimism.bandits.estimators.direct`, at any n.

    Parameters
    ----------
    bandit : Bandit
        The world; a batch of them is one call.
    policy : (S,) array_like of int or (S, A) array_like of float
        The policy whose value is estimated.
    behavior : (S, A) array_like of float
        Joint law :math:`\mu` of the logged pairs.
    n : (...) array_like of int
        Rounds, at least 1; broadcasts with the batch of the bandit.
    fill : float or (S, A) array_like of float
        Reward c taken for a pair that was never seen.
    contexts : (S,) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    Risk
        Over the batch of bandit and n.

    Notes
    -----
    With known contexts the bias is :math:`\sum d (c - r)(1-\mu)^n` and the variance
    :math:`\sum d^2 v f_n(\mu) + \sum_{x,y} d_x d_y b_x b_y [P_0(x,y) - (1-\mu_x)^n(1-\mu_y)^n]`, where b = c - r,
    :math:`f_n(p) = E[1\{N>0\}/N]` for N ~ Bin(n, p), and :math:`P_0` is the probability that neither pair has a round.
    As logged the contexts' own counts vary as well. Cost O(n K) up to n = 4096, O(500 K) beyond, and O(K^2).

    Examples
    --------
    >>> from pessimism.bandits import Bandit, risk
    >>> result = risk.direct_risk(Bandit([[0.5, 0.5]]), [1], [[0.8, 0.2]], n=100, fill=0.0)
    >>> round(float(result.variance), 6)
    0.013052
    """
    world = _World(bandit, policy, behavior, contexts)
    tables = (
        world.law,
        world.policy,
        world.target,
        world.variances,
        _filled(fill, world) - bandit.means,
    )
    law, pi, d, v, b = (_wide(table, world) for table in tables)

    def at(count: int) -> tuple[Floats, Floats]:  # numpydoc ignore=GL08
        if contexts is None:
            return engine.direct_logged(count, law, pi, _wide(bandit.means, world), v, b)
        return engine.direct_known(count, *map(_flat, (law, d, v, b)))

    bias, variance = _for_every_n(at, n, bandit)
    return Risk(bias, variance, np.zeros(bias.shape))


def ratio_risk(
    bandit: Bandit, policy: ArrayLike, behavior: ArrayLike, *, n: ArrayLike, contexts: ArrayLike | None = None
) -> Risk:
    r"""Exact risk of `pessimism.bandits.estimators.snips` with a known behavior, at any n.

    Parameters
    ----------
    bandit : Bandit
        The world; a batch of them is one call.
    policy : (S,) array_like of int or (S, A) array_like of float
        The policy whose value is estimated.
    behavior : (S, A) array_like of float
        Joint law :math:`\mu` of the logged pairs, positive where the policy plays.
    n : (...) array_like of int
        Rounds, at least 1; broadcasts with the batch of the bandit.
    contexts : (S,) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    Risk
        Given that a round has a positive weight; `undefined` is :math:`\mu(w = 0)^n`.

    Notes
    -----
    With :math:`\phi(t) = \sum\mu e^{-tw}` and centred rewards c = r - J the bias is
    :math:`\int_0^\infty n (\sum\mu w c e^{-tw}) \phi^{n-1} dt`, and the second moment
    :math:`\int_0^\infty t\{n(\sum\mu w^2(v + c^2)e^{-tw})\phi^{n-1} + n(n-1)(\sum\mu w c e^{-tw})^2\phi^{n-2}\} dt`,
    on the event that T is defined. To leading order n Var is :math:`\sum\mu w^2(v + c^2)` and n times the bias
    :math:`-\sum\mu w^2 c`. Cost about 1,000 K for each n.

    Examples
    --------
    >>> from pessimism.bandits import Bandit, risk
    >>> result = risk.ratio_risk(Bandit([[0.5, 0.25]]), [[0.5, 0.5]], [[0.8, 0.2]], n=10)
    >>> round(float(result.bias), 6), round(float(result.mse), 6)
    (0.012139, 0.032754)
    """
    world = _World(bandit, policy, behavior, contexts)
    world.require_support()
    with np.errstate(divide="ignore"):
        w = np.log(_flat(world.weight))
    mu, v = _flat(world.law), _flat(_wide(world.variances, world))
    c = _flat(_wide(bandit.means - world.value[..., None, None], world))

    def at(count: int) -> tuple[Floats, Floats, Floats]:  # numpydoc ignore=GL08
        items = [ratio_moments(count, mu, w, *pair) for pair in zip(_rows(v), _rows(c), strict=True)]
        first, second, undefined = (np.array(x).reshape(bandit.shape) for x in zip(*items, strict=True))
        defined = 1.0 - undefined
        return first / defined, second / defined - (first / defined) ** 2, undefined

    return Risk(*_for_every_n(at, n, bandit))


def cross_fit_risk(
    bandit: Bandit,
    policy: ArrayLike,
    behavior: ArrayLike,
    *,
    n: tuple[int, int],
    fill: ArrayLike,
    contexts: ArrayLike,
) -> Risk:
    r"""Exact risk of `pessimism.bandits.estimators.cross_fit` with two folds and known contexts, at any n.

    Parameters
    ----------
    bandit : Bandit
        The world; a batch of them is one call.
    policy : (S,) array_like of int or (S, A) array_like of float
        The policy whose value is estimated.
    behavior : (S, A) array_like of float
        Joint law :math:`\mu` of the logged pairs, positive where the policy plays.
    n : (int, int)
        Rounds in each fold, at least 1. For more folds, simulate.
    fill : float or (S, A) array_like of float
        The reward that a model takes where the other fold has seen nothing.
    contexts : (S,) array_like of float
        Law in which the policy is judged.

    Returns
    -------
    Risk
        Its bias is 0 at every n.

    Notes
    -----
    The two corrections are not independent: each fold is the other's model. Cost as for `direct_risk`.

    Examples
    --------
    >>> from pessimism.bandits import Bandit, risk
    >>> world = Bandit([[1 / 3, 3 / 4, 1 / 2]])
    >>> d, mu, fill = [[0.2, 0.6, 0.2]], [[0.5, 0.2, 0.3]], [[0.5, 0.5, 0.25]]
    >>> round(float(risk.cross_fit_risk(world, d, mu, n=(2, 3), fill=fill, contexts=[1.0]).variance), 6)
    0.115999
    """
    world = _World(bandit, policy, behavior, contexts)
    world.require_support()
    folds = _check.whole_array("n", n, low=1)
    if folds.shape != (2,):
        raise ValueError(f"n must be a pair, the rounds in each fold, got {_check.shown(n)}")
    sizes = (int(folds[0]), int(folds[1]))
    c = _filled(fill, world)
    tables = (world.law, world.target, world.variances, c - bandit.means)
    variance = engine.cross_fit(sizes, *(_flat(_wide(x, world)) for x in tables))
    return Risk(np.zeros(variance.shape), variance, np.zeros(variance.shape))


def every_log(n: int, contexts: int, arms: int) -> BanditData:
    r"""All logs that n rounds with 0/1 rewards can make, as one batch.

    Parameters
    ----------
    n : int
        Rounds, at least 1.
    contexts, arms : int
        S and A.

    Returns
    -------
    BanditData
        A batch of :math:`\binom{n + 2SA - 1}{n}` data sets, each once, in lexicographic order; `log_probability` says
        how likely each is.

    Raises
    ------
    ValueError
        If there are more than three million of them.

    Examples
    --------
    >>> from pessimism.bandits import risk
    >>> risk.every_log(3, contexts=2, arms=3).shape
    (364,)
    """
    rounds = _check.whole("n", n, low=1)
    contexts, arms = _check.whole("contexts", contexts, low=1), _check.whole("arms", arms, low=1)
    pairs = contexts * arms
    few = min(rounds, 2 * pairs - 1) < 100  # else the binomial is above 10^59, and long to write
    logs = math.comb(rounds + 2 * pairs - 1, rounds) if few else 10**59
    if logs > MOST_LOGS:
        many = f"{logs:,}" if logs < 10**15 else "more than 10^14"
        raise ValueError(
            f"n = {rounds} rounds over {pairs} pairs (contexts x arms) make {many} logs, more than {MOST_LOGS:,}"
        )
    table = np.array(list(_compositions(rounds, 2 * pairs)), np.int64) if pairs > 1 else _one_pair(rounds)
    misses, hits = (x.reshape(logs, contexts, arms) for x in (table[:, :pairs], table[:, pairs:]))
    sums = hits.astype(np.float64)
    return BanditData.trusted(np.ascontiguousarray(misses + hits), sums, sums)


def log_probability(data: BanditData, bandit: Bandit, behavior: ArrayLike) -> Floats:
    r"""Logarithm of the probability of a data set of 0/1 rewards.

    Parameters
    ----------
    data : BanditData
        Data sets (L,) with `sums` that count the ones.
    bandit : Bandit
        Bernoulli rewards; a batch stands in front of the data's.
    behavior : (S, A) array_like of float
        Joint law :math:`\mu` of the logged pairs.

    Returns
    -------
    (..., L) float
        :math:`\log\bigl[\tfrac{n!}{\prod N_0! N_1!} \prod (\mu(1-r))^{N_0} (\mu r)^{N_1}\bigr]`; -inf if impossible.

    Examples
    --------
    >>> import numpy as np
    >>> from pessimism.bandits import Bandit, risk
    >>> logs = risk.every_log(4, contexts=1, arms=2)
    >>> float(np.exp(risk.log_probability(logs, Bandit([[0.5, 0.25]]), [[0.5, 0.5]])).sum().round(12))
    1.0
    """
    from scipy.special import gammaln, xlogy

    _check.instance("data", data, BanditData)
    _check.instance("bandit", bandit, Bandit)
    if np.any(bandit.rewards != "bernoulli"):
        raise ValueError("bandit must have Bernoulli rewards for its logs to be counted")
    mu = bandit.check_behavior(behavior)
    if mu.ndim != 2:
        raise ValueError(f"behavior must be a single law, got a batch of shape {mu.shape[:-2]}")
    if data.counts.shape[-2:] != mu.shape[-2:]:
        raise ValueError(f"data must have (contexts, arms) = {mu.shape[-2:]}, got {data.counts.shape[-2:]}")
    hits = data.sums
    misses = data.counts - hits
    ways = gammaln(data.n + 1.0) - (gammaln(hits + 1.0) + gammaln(misses + 1.0)).sum(axis=(-2, -1))
    r = bandit.means[..., None, :, :]
    chance = xlogy(hits, mu * r) + xlogy(misses, mu * (1.0 - r))
    return np.asarray(ways + chance.sum(axis=(-2, -1)))


def exact_risk(
    estimator: Callable[..., Any],
    bandit: Bandit,
    policy: ArrayLike,
    behavior: ArrayLike,
    *,
    n: int,
    contexts: ArrayLike | None = None,
) -> Risk:
    r"""Exact risk of any estimator, by enumerating every log.

    Parameters
    ----------
    estimator : callable
        ``estimator(data, policy, behavior) -> (L,)`` for a batch of L data sets; NaN where it is undefined. If
        `contexts` are given they are passed on as a keyword.
    bandit : Bandit
        Bernoulli rewards; a batch of them, such as a grid of means, is one call.
    policy : (S,) array_like of int or (S, A) array_like of float
        The policy whose value is estimated.
    behavior : (S, A) array_like of float
        Joint law :math:`\mu` of the logged pairs.
    n : int
        Rounds; with SA pairs there are :math:`\binom{n + 2SA - 1}{n}` logs, at most three million.
    contexts : (S,) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    Risk
        Over the batch of the bandit.

    Raises
    ------
    ValueError
        If there are too many logs, or the estimator does not return one number for each.

    Examples
    --------
    >>> from pessimism.bandits import Bandit, estimators, risk
    >>> world, mu = Bandit([[1 / 3, 3 / 4, 1 / 2]]), [[0.5, 0.2, 0.3]]
    >>> result = risk.exact_risk(estimators.snips, world, [[0.2, 0.6, 0.2]], mu, n=5)
    >>> round(float(result.bias), 6), round(float(result.variance), 6)
    (-0.047576, 0.077814)
    """
    world = _World(bandit, policy, behavior, contexts)
    data = every_log(n, bandit.n_contexts, bandit.n_arms)
    chance = np.exp(log_probability(data, bandit, world.law))
    estimate = _estimates(estimator, data, world)
    known = ~np.isnan(estimate)
    error = np.where(known, estimate, 0.0) - world.value[..., None]
    with np.errstate(invalid="ignore"):
        defined = (chance * known).sum(axis=-1)
        defined = np.where(defined > 0, defined, np.nan)
        bias = (chance * known * error).sum(axis=-1) / defined
        variance = (chance * known * (error - bias[..., None]) ** 2).sum(axis=-1) / defined
    return Risk(bias, variance, np.asarray((chance * ~known).sum(axis=-1)))


def coverage_probability(
    interval: Callable[..., Any],
    bandit: Bandit,
    policy: ArrayLike,
    behavior: ArrayLike,
    *,
    n: int,
    contexts: ArrayLike | None = None,
) -> Coverage:
    r"""Exact coverage of any interval, by enumerating every log.

    Parameters
    ----------
    interval : callable
        ``interval(data, policy, behavior) -> ValueInterval`` for a batch of L data sets, with NaN ends where it is
        undefined. If `contexts` are given they are passed on as a keyword.
    bandit : Bandit
        Bernoulli rewards; a batch of them, such as a grid of means, is one call.
    policy : (S,) array_like of int or (S, A) array_like of float
        The policy whose value is estimated.
    behavior : (S, A) array_like of float
        Joint law :math:`\mu` of the logged pairs.
    n : int
        Rounds; with SA pairs there are :math:`\binom{n + 2SA - 1}{n}` logs, at most three million.
    contexts : (S,) array_like of float, optional
        Law in which the policy is judged. Default: as logged.

    Returns
    -------
    Coverage
        Over the batch of the bandit.

    Examples
    --------
    >>> from pessimism.bandits import Bandit, risk
    >>> given_counts = lambda data, policy, behavior: data.value(policy)
    >>> result = risk.coverage_probability(given_counts, Bandit([[0.5, 0.5]]), [0], [[0.5, 0.5]], n=20)
    >>> round(float(result.probability), 4)
    0.9967
    """
    world = _World(bandit, policy, behavior, contexts)
    data = every_log(n, bandit.n_contexts, bandit.n_arms)
    chance = np.exp(log_probability(data, bandit, world.law))
    found = _called(interval, data, world, "interval")
    _check.instance("what interval returns", found, ValueInterval)
    low, high = (np.broadcast_to(np.asarray(x, np.float64), data.shape) for x in (found.low, found.high))
    known = ~(np.isnan(low) | np.isnan(high))
    low, high = np.where(known, low, 0.0), np.where(known, high, 0.0)
    value = world.value[..., None]
    # an end that equals the value up to rounding holds it
    slack = 1e-12
    holds = known & (low <= value + slack) & (high >= value - slack)
    defined = (chance * known).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        width = (chance * known * (high - low)).sum(axis=-1) / np.where(defined > 0, defined, np.nan)
    return Coverage((chance * holds).sum(axis=-1), width, np.asarray((chance * ~known).sum(axis=-1)))


class _World:
    """What all risks take, checked: laws (S, A), the value J (...) and the variances (..., S, A) of the rewards."""

    def __init__(self, bandit: Bandit, policy: ArrayLike, behavior: ArrayLike, contexts: ArrayLike | None) -> None:
        _check.instance("bandit", bandit, Bandit)
        self.policy = check_arm_law(policy, bandit.n_contexts, bandit.n_arms)
        given = _check.real_array("behavior", behavior, min_ndim=2, low=0.0)
        if bandit.n_contexts > 1 and np.all(np.abs(given.sum(axis=-1) - 1.0) <= _check.SUM_TOLERANCE):
            raise ValueError(ONE_LAW + "Multiply it by the law of the contexts, as behavior.from_conditional does")
        self.law = bandit.check_behavior(given)
        for name, x in (("policy", self.policy), ("behavior", self.law)):
            if x.ndim != 2:
                raise ValueError(f"{name} must be a single law, got a batch of shape {x.shape[:-2]}")
        self.contexts = contexts
        shares = self.law.sum(axis=-1) if contexts is None else check_contexts(contexts, bandit.n_contexts, "bandit")
        if shares.ndim != 1:
            raise ValueError(f"contexts must be a single law, got a batch of shape {shares.shape[:-1]}")
        self.target = shares[:, None] * self.policy
        self.weight = ratio(self.target, self.law)
        self.value = np.asarray(np.broadcast_to((self.target * bandit.means).sum(axis=(-2, -1)), bandit.shape))
        self.variances = bandit.variances
        self.batch = bandit.shape
        self.shaped = BanditData.trusted(np.zeros(self.law.shape, np.int64), np.zeros(self.law.shape))

    def require_support(self) -> None:
        lacking = np.argwhere(np.isinf(self.weight))
        if len(lacking):
            s, a = lacking[0].tolist()
            raise ValueError(f"behavior must be positive where the policy plays: it never plays arm {a} in context {s}")


def _filled(fill: ArrayLike, world: _World) -> Floats:
    """Predictions (..., S, A) of unseen pairs; a batch of them goes with that of the bandit."""
    table = check_model("fill", fill, world.shaped)
    if _check.broadcast("fill and bandit", table.shape[:-2], world.batch) != world.batch:
        raise ValueError(f"fill must have axes in front like those of bandit, {world.batch}, got {table.shape[:-2]}")
    return table


def _called(function: Callable[..., Any], data: BanditData, world: _World, name: str = "estimator") -> Any:
    _check.function(name, function, "of (data, policy, behavior)")
    if world.contexts is None:
        return function(data, world.policy, world.law)
    return function(data, world.policy, world.law, contexts=world.contexts)


def _estimates(estimator: Callable[..., Any], data: BanditData, world: _World) -> Floats:
    estimate = np.asarray(_called(estimator, data, world))
    if estimate.shape != data.shape or estimate.dtype.kind not in "fiu":
        raise ValueError(
            f"estimator must return one number for each of {data.shape[0]} data sets, "
            f"got {estimate.dtype} of shape {estimate.shape}"
        )
    return estimate.astype(np.float64)


def _terms(estimator: Callable[..., Any], world: _World) -> tuple[Floats, Floats]:
    """Estimates (S, A) from one round of every pair, with reward 0 and with reward 1."""
    pairs = world.law.size
    seen = np.flatnonzero(world.law.ravel() > 0)
    single = np.eye(pairs)[seen].reshape(-1, *world.law.shape)
    counts = single.astype(np.int64)

    def of(counts: Any, sums: Floats) -> Floats:
        return _estimates(estimator, BanditData.trusted(counts, sums, sums), world)

    nothing, one = np.zeros(pairs), np.zeros(pairs)
    nothing[seen], one[seen] = of(counts, np.zeros(single.shape)), of(counts, single)
    # two rounds of different pairs with rewards 1 and 0, and two of one pair: an average splits
    other = np.roll(np.arange(len(seen)), 1)
    both = of(counts + counts[other], single.copy())
    parts = 0.5 * (one[seen] + nothing[seen][other])
    good = np.isfinite(both) & (np.abs(both - parts) <= SPLIT * (1.0 + np.abs(both) + np.abs(parts)))
    if not good.all():
        raise ValueError(
            f"estimator must be an average of terms of single rounds: on two rounds it is {both[~good][0]:g}, the "
            f"average of their terms {parts[~good][0]:g}; use exact_risk, direct_risk or ratio_risk"
        )
    return nothing.reshape(world.law.shape), one.reshape(world.law.shape)


def _for_every_n(at: Callable[[int], tuple[Floats, ...]], n: ArrayLike, bandit: Bandit) -> tuple[Floats, ...]:
    rounds = _check.whole_array("n", n, low=1)
    if rounds.size == 0:
        raise ValueError(f"n must hold at least one number of rounds, got shape {rounds.shape}")
    shape = _check.broadcast("n and bandit", rounds.shape, bandit.shape)
    known = {count: at(count) for count in np.unique(rounds).tolist()}
    wide = np.broadcast_to(rounds, shape)
    fields = range(len(next(iter(known.values()))))
    out = [np.empty(shape) for _ in fields]
    for count, values in known.items():
        for field, value in zip(out, values, strict=True):
            field[wide == count] = np.broadcast_to(value, shape)[wide == count]
    return tuple(out)


def _wide(table: Floats, world: _World) -> Floats:
    return np.broadcast_to(table, world.batch + world.law.shape)


def _flat(table: Floats) -> Floats:
    return table.reshape(*table.shape[:-2], -1)


def _rows(table: Floats) -> Floats:
    return table.reshape(-1, table.shape[-1])


def _one_pair(n: int) -> Any:
    return np.stack([np.arange(n + 1)[::-1], np.arange(n + 1)], axis=-1)


def _compositions(total: int, parts: int) -> Iterator[Sequence[int]]:
    """All ways to write a total as an ordered sum of non-negative parts."""
    for bars in combinations(range(total + parts - 1), parts - 1):
        ends = (-1, *bars, total + parts - 1)
        yield [right - left - 1 for left, right in pairwise(ends)]
