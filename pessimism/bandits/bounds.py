r"""Theorems and predictions on offline bandits, as functions to draw beside a simulation.

The notes of every function end with two fields. `Status` begins with *published* (checked against a published text or
an independent restatement of it), *derived* (by us; the proof is short and the test suite compares both sides with
exact losses), *prediction* (a normal approximation, not a bound) or *unverified* (recalled; do not quote it as the
paper's). `Source` names the text, or says that the derivation is ours.

Where the assumptions of a statement fail, the function returns NaN, which a plot leaves blank. Arguments out of their
range raise a ValueError or a TypeError that names the first bad entry. N may be a fraction, for smooth curves.
Losses are expected suboptimality for rewards in [0, 1], data are N i.i.d. rounds, delta = 1/N, `log` is natural.
The worst loss of a rule over a one-parameter family is a lower bound of that rule's worst loss over all problems with
this :math:`C^*`, and says nothing about other rules.
The paper is Rashidinejad, Zhu, Ma, Jiao, Russell (2021), arXiv:2103.12021, of which texts of March 2021 and July 2023
exist: we follow its abstract and later works that restate it, not the text of one version.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _bound, _check
from pessimism._types import Floats, Ints
from pessimism.bandits._engine.forms import ratio
from pessimism.bandits._engine.normal import worst_gap
from pessimism.bandits._input import check_arm_law, check_contexts, check_policy
from pessimism.bandits.data import BanditData
from pessimism.bandits.model import Bandit
from pessimism.bandits.rules.lcb import hoeffding_level

__all__ = [
    "TWO_POINT",
    "TWO_SIDED",
    "adaptivity_price",
    "contextual_lower",
    "contextual_rate",
    "contextual_upper",
    "crossing",
    "greedy_failure_loss",
    "greedy_floor",
    "greedy_width_bound",
    "imitation_equal_marginals",
    "imitation_exponent",
    "imitation_floor",
    "imitation_lower",
    "imitation_lower_recalled",
    "imitation_upper",
    "lcb_exponent",
    "lcb_normal_gap",
    "lcb_normal_prediction",
    "lcb_upper",
    "lcb_width_bound",
    "minimax_leading",
    "minimax_lower",
    "missing_mass_loss",
    "missing_mass_published",
    "missing_mass_upper",
    "one_round_minimax",
    "transition_exponent",
    "two_point_exponent",
    "two_point_minimax",
    "value_efficiency",
    "value_missing_mass",
    "value_van_trees",
]

TWO_POINT = 0.036
"""sqrt(1/17.6) exp(-1/2) / 4, rounded down: two points, Bretagnolle-Huber."""

TWO_SIDED = 0.0511
"""sqrt(1/8.8) exp(-1/2) / 4, rounded down: the same with means 1/2 +- g/2 on both arms."""

WORST_PULLS = 1.5366
"""Where `greedy_floor` is largest: -log(1 - q) / q at the maximum of q (1 - q)^(1/q)."""


def lcb_upper(n: ArrayLike, cstar: ArrayLike, arms: int) -> Floats:
    r"""Upper bound on the loss of LCB in a multi-armed bandit.

    Parameters
    ----------
    n, cstar : (...) array_like of float
        Rounds and :math:`C^*`, at least 1.
    arms : int
        A.

    Returns
    -------
    (...) float
        Bound on the expected loss, in reward units; NaN where :math:`N < 8 C^* \log N`.

    See Also
    --------
    pessimism.bandits.rules.lcb.lcb : The rule that is bounded.
    pessimism.bandits.bounds.contextual_upper : The bound for several contexts.
    pessimism.bandits.instances.symmetric : The family on which its looseness is measured.
    simulations.bandit_scale : Draws it beside ten arms.

    Notes
    -----
    :math:`2\sqrt{C^*\log(2AN)/N} + 2/N` for N >= 8 C* log N and delta = 1/N: on an event of probability 1 - 1/N the
    loss is at most twice the width of the best arm, and N(a*) >= N/(2C*) with probability 1 - 1/N. Loose: 11 times the
    worst loss on `instances.symmetric` at C* = 5 and N = 300, more at smaller C*.

    :Status: derived.
    :Source: our derivation, by Hoeffding's and Chernoff's inequalities.

    Examples
    --------
    >>> float(lcb_upper(10_000, 4.0, 2).round(4))
    0.1304
    """
    rounds, c = _rounds_and_cstar(n, cstar)
    a = _check.whole("arms", arms, low=1)
    bound = 2.0 * np.sqrt(c * np.log(2.0 * a * rounds) / rounds) + 2.0 / rounds
    return _bound.where(rounds >= 8.0 * c * np.log(rounds), bound)


def minimax_lower(n: ArrayLike, cstar: ArrayLike) -> Floats:
    r"""Lower bound on the worst loss of any rule in a multi-armed bandit with :math:`C^* \ge 2`.

    Parameters
    ----------
    n, cstar : (...) array_like of float
        Rounds and :math:`C^*`, at least 1.

    Returns
    -------
    (...) float
        :math:`0.036\sqrt{C^*/N}`; NaN where N < C* or C* < 2.

    See Also
    --------
    pessimism.bandits.instances.two_point : The pair of instances of the proof.
    pessimism.bandits.bounds.contextual_lower : The bound for several contexts.

    Notes
    -----
    Two points, `instances.two_point`, Bretagnolle-Huber, which is loose: no rule loses less than 2.1 times this on
    them, and 2.35 times at the hardest gap.

    :Status: derived.
    :Source: our derivation, by the inequality of Bretagnolle and Huber.

    Examples
    --------
    >>> float(minimax_lower(10_000, 4.0).round(6))
    0.00072
    """
    rounds, c = _rounds_and_cstar(n, cstar)
    return _bound.where((rounds >= c) & (c >= 2.0), TWO_POINT * np.sqrt(c / rounds))


def imitation_exponent(cstar: ArrayLike) -> Floats:
    r"""Rate E(C*) at which the most played arm errs for C* < 2.

    Parameters
    ----------
    cstar : (...) array_like of float
        :math:`C^*`, at least 1.

    Returns
    -------
    (...) float
        :math:`E(C^*) = \mathrm{KL}(\tfrac12 \| \tfrac1{C^*}) = \tfrac12\log\frac{C^{*2}}{4(C^*-1)}`; inf at 1, 0 at
        2; NaN above 2, where imitation is not bounded by its exponent.

    See Also
    --------
    pessimism.bandits.rules.most_played.most_played : The rule that has this exponent.
    pessimism.bandits.instances.swapped : The pair on which no rule has a better one as the gap vanishes.

    Notes
    -----
    Also the best exponent of any rule as the gap vanishes subexponentially: the Chernoff information of
    `instances.swapped`.

    :Status: derived.
    :Source: our derivation, by Chernoff's theorem.

    Examples
    --------
    >>> imitation_exponent([1.1, 1.5, 1.9, 2.0]).round(6).tolist()
    [0.553456, 0.058892, 0.001387, 0.0]
    """
    c = _bound.concentrability(cstar)
    with np.errstate(divide="ignore"):
        far = 2.0 * np.log(c) - np.log(4.0) - np.log(c - 1.0)
        near = -np.log1p(-(((2.0 - c) / c) ** 2))  # the same, without cancellation near 2
    return _bound.where(c <= 2.0, 0.5 * np.where(c < 1.5, far, near))


def imitation_upper(n: ArrayLike, cstar: ArrayLike) -> Floats:
    r"""Upper bound on the loss of the most played arm for :math:`1 \le C^* \le 2`, any number of arms.

    Parameters
    ----------
    n, cstar : (...) array_like of float
        Rounds and :math:`C^*`, at least 1.

    Returns
    -------
    (...) float
        :math:`\exp(-N E(C^*))`; NaN above 2.

    See Also
    --------
    pessimism.bandits.rules.most_played.most_played : The rule that is bounded.
    pessimism.bandits.exact.most_played_log_error : The exact probability of an error.
    simulations.bandit_rates : Draws the exact loss.

    Notes
    -----
    The loss is at most :math:`\Pr(N(a^*) \le N/2)`. The exponent is that of the exact loss with two arms, of which the
    bound is a multiple that grows as :math:`\sqrt N`: 9 at C* = 1.5 and N = 100. With more arms imitation can be good
    above 2, too: if the rest of the rounds is spread over many arms.

    :Status: derived.
    :Source: our derivation, by Chernoff's inequality.

    Examples
    --------
    >>> float(imitation_upper(100, 1.5).round(6))
    0.002769
    """
    rounds, c = _rounds_and_cstar(n, cstar)
    with np.errstate(under="ignore"):
        return np.asarray(np.exp(-rounds * imitation_exponent(c)))


def imitation_lower(n: ArrayLike, cstar: ArrayLike, gap: ArrayLike) -> Floats:
    r"""Lower bound on the worse of the two losses of any rule on `instances.swapped`, :math:`1 < C^* < 2`.

    Parameters
    ----------
    n, cstar : (...) array_like of float
        Rounds and :math:`C^*`, at least 1.
    gap : (...) array_like of float
        Gap g, where a wrong choice loses 2g.

    Returns
    -------
    (...) float
        :math:`\tfrac g2\exp(-N[(2/C^*-1)\log\frac1{C^*-1} + 8.8 g^2])`; NaN unless 1 < C* < 2 and 0 < 2g <= 1/2.

    See Also
    --------
    pessimism.bandits.instances.swapped : The pair of instances of the proof.

    Notes
    -----
    Two points with the divergence of law and rewards added. Its exponent is above `imitation_exponent`: a bound, not
    the best one. The best rule loses 10 times this at N = 10, C* = 1.5, g = 0.1.

    :Status: derived.
    :Source: our derivation, by the inequality of Bretagnolle and Huber.

    Examples
    --------
    >>> float(imitation_lower(10, 1.5, 0.1).round(5))
    0.00206
    """
    rounds, c, g = _bound.rounds(n), _bound.concentrability(cstar), _check.real_array("gap", gap)
    _check.broadcast("n, cstar and gap", rounds.shape, c.shape, g.shape)
    inside = (c > 1.0) & (c < 2.0) & (g > 0.0) & (g <= 0.25)
    safe = np.where(c > 1.0, c, 1.5)
    exponent = (2.0 / safe - 1.0) * np.log(1.0 / (safe - 1.0)) + 8.8 * g**2
    return _bound.where(inside, 0.5 * g * np.exp(-rounds * exponent))


def imitation_lower_recalled(n: ArrayLike, cstar: ArrayLike) -> Floats:
    r"""A lower bound for :math:`1 < C^* < 2` quoted from memory; its source was not checked.

    Parameters
    ----------
    n, cstar : (...) array_like of float
        Rounds and :math:`C^*`, at least 1.

    Returns
    -------
    (...) float
        :math:`\exp(-(2-C^*)\log(2/(C^*-1)) N)`; NaN unless 1 < C* < 2.

    See Also
    --------
    pessimism.bandits.bounds.imitation_exponent : The exponent of the best rule.

    Notes
    -----
    It does not contradict `imitation_exponent`, because its exponent is larger everywhere on (1, 2); no more has been
    verified.

    :Status: unverified; not to be quoted as the paper's.
    :Source: quoted from memory; no text that states it has been checked.

    Examples
    --------
    >>> bool(imitation_lower_recalled(50, 1.5) < imitation_upper(50, 1.5))
    True
    """
    rounds, c = _rounds_and_cstar(n, cstar)
    inside = (c > 1.0) & (c < 2.0)
    safe = np.where(inside, c, 1.5)
    return _bound.where(inside, np.exp(-(2.0 - safe) * np.log(2.0 / (safe - 1.0)) * rounds))


def two_point_exponent(cstar: ArrayLike, gap: ArrayLike) -> Floats:
    r"""Exact exponent of the best rule on `instances.swapped` at a fixed gap.

    Parameters
    ----------
    cstar : (...) array_like of float
        :math:`C^*`, in [1, 2].
    gap : (...) array_like of float
        Gap g, in [0, 1/2]; means 1/2 +- g.

    Returns
    -------
    (...) float
        :math:`E(C^*) - \tfrac12\log(1 - 4g^2)`; NaN above C* = 2.

    See Also
    --------
    pessimism.bandits.rules.most_played.most_played : The rule that attains it at g = 0.
    pessimism.bandits.instances.swapped : The pair of instances.

    Notes
    -----
    Chernoff information of one round. At g = 0 the most played arm attains it.

    :Status: derived.
    :Source: our derivation, by Chernoff's theorem.

    Examples
    --------
    >>> float(two_point_exponent(1.5, 0.0) - imitation_exponent(1.5))
    0.0
    """
    c, g = _bound.concentrability(cstar), _check.real_array("gap", gap, low=0.0, high=0.5)
    _check.broadcast("cstar and gap", c.shape, g.shape)
    with np.errstate(divide="ignore"):
        return np.asarray(imitation_exponent(c) - 0.5 * np.log1p(-4.0 * g**2))


def greedy_failure_loss(q: ArrayLike) -> Floats:
    r"""Limit of the loss of greedy on `instances.greedy_failure` as N grows: a constant, though C* tends to 1.

    Parameters
    ----------
    q : (...) array_like of float
        Mean of the arm that was hardly tried, in [0, 1].

    Returns
    -------
    (...) float
        :math:`(1-q)(e^{q-1} - e^{-1})`, at most 0.12153.

    See Also
    --------
    pessimism.bandits.rules.greedy.greedy : The rule.
    pessimism.bandits.instances.greedy_failure : The instance.

    Notes
    -----
    In the limit arm 1 has a Poisson number of pulls with mean 1. Greedy errs where there was one and all of them paid,
    with probability :math:`e^{q-1} - e^{-1}`, and loses 1 - q.

    :Status: derived.
    :Source: our derivation. That the empirical best arm fails even at :math:`C^*` near 1 is in Rashidinejad et al.
        (2021), arXiv:2103.12021.

    Examples
    --------
    >>> float(greedy_failure_loss(0.5671).round(5))
    0.12153
    """
    mean = _check.real_array("q", q, low=0.0, high=1.0)
    return np.asarray((1.0 - mean) * (np.exp(mean - 1.0) - math.exp(-1.0)))


def lcb_normal_prediction(n: ArrayLike, cstar: ArrayLike, level: ArrayLike) -> Floats:
    r"""Finite-N prediction of the worst loss of an index rule on `instances.symmetric`.

    Parameters
    ----------
    n : (...) array_like of float
        Rounds, at least 1.
    cstar : (...) array_like of float
        :math:`C^*`, greater than 1.
    level : (...) array_like of float
        Level L of the index, at least 0 and finite; 0 is greedy.

    Returns
    -------
    (...) float
        :math:`\sup_g g\,\bar\Phi((g + \Delta_b)/\sigma)` with
        :math:`\Delta_b = \sqrt{L/N}(1/\sqrt{1-p} - 1/\sqrt p)`, :math:`\sigma^2 = \frac1{4N}(\frac1p+\frac1{1-p})`,
        p = 1/C*.

    See Also
    --------
    pessimism.bandits.instances.symmetric : The family of instances.
    pessimism.bandits.exact.worst_case : The exact worst loss.
    pessimism.bandits.rules.lcb.lcb : The rule, at the level of `hoeffding_level`.
    simulations.bandit_composition : Draws both.

    Notes
    -----
    Normal approximation with counts at their means and rewards near 1/2. For L = 0 it is 0.17 sigma. Compare measured
    slopes with this curve, not with its asymptote, which logarithms hide.

    :Status: prediction.
    :Source: our derivation, by a normal approximation.

    Examples
    --------
    >>> float(lcb_normal_prediction(1000, 4.0, 3.0).round(4))
    0.0232
    """
    return _normal_sup(n, cstar, level)[1]


def lcb_normal_gap(n: ArrayLike, cstar: ArrayLike, level: ArrayLike) -> Floats:
    r"""The gap at which `lcb_normal_prediction` attains its supremum.

    Parameters
    ----------
    n : (...) array_like of float
        Rounds, at least 1.
    cstar : (...) array_like of float
        :math:`C^*`, greater than 1.
    level : (...) array_like of float
        Level L of the index, at least 0 and finite.

    Returns
    -------
    (...) float
        The gap, in reward units; 0.7518 sigma for L = 0. May exceed 1 at small N.

    See Also
    --------
    pessimism.bandits.rules.lcb.lcb : The rule, at the level of `hoeffding_level`.
    pessimism.bandits.instances.symmetric : The family of instances.

    Notes
    -----
    The maximiser g of the product in `lcb_normal_prediction`: counts at their means, rewards near 1/2.

    :Status: prediction.
    :Source: our derivation, by a normal approximation.

    Examples
    --------
    >>> float((lcb_normal_gap(100, 2.0, 0.0) / 0.1).round(3))
    0.752
    """
    return _normal_sup(n, cstar, level)[0]


def lcb_exponent(cstar: ArrayLike, k: float = 1.0) -> Floats:
    r"""Asymptotic exponent of the worst loss of LCB with delta = N^-k on `instances.symmetric`.

    Parameters
    ----------
    cstar : (...) array_like of float
        :math:`C^*`, at least 1.
    k : float
        Power of N in delta, non-negative. 1 is the default of `lcb`.

    Returns
    -------
    (...) float
        Loss :math:`\approx N^{-\text{exponent}}` up to logarithms: :math:`\tfrac12 + k(1 - 2\sqrt{p(1-p)})` for
        C* <= 2, p = 1/C*, and 1/2 above.

    See Also
    --------
    pessimism.bandits.rules.lcb.lcb : The rule.
    pessimism.bandits.bounds.lcb_normal_prediction : The prediction at finite N.
    pessimism.bandits.instances.symmetric : The family of instances.

    Notes
    -----
    For C* < 2 the loss of LCB is polynomial in N where that of imitation is exponential, so no single delta is best on
    both sides of C* = 2. The limit is reached slowly: at C* = 1.1 the finite-N prediction is 0.949 at N = 1e16.

    :Status: derived.
    :Source: our derivation, as the limit of `lcb_normal_prediction`.

    Examples
    --------
    >>> lcb_exponent([1.1, 1.5, 1.9, 4.0]).round(3).tolist()
    [0.925, 0.557, 0.501, 0.5]
    """
    p = 1.0 / _bound.concentrability(cstar)
    power = _check.nonnegative("k", k)
    return np.asarray(0.5 + np.where(p > 0.5, power * (1.0 - 2.0 * np.sqrt(p * (1.0 - p))), 0.0))


def crossing(n: ArrayLike) -> Floats:
    r"""Where the worst losses of imitation and LCB cross on `instances.symmetric`, approximately.

    Parameters
    ----------
    n : (...) array_like of float
        Rounds, at least 1.

    Returns
    -------
    (...) float
        :math:`C^* \approx 2 - 2\sqrt{\log N/N}`: imitation is better below, LCB above; NaN where that is below 1.

    See Also
    --------
    pessimism.bandits.instances.symmetric : The family of instances.
    pessimism.bandits.rules.most_played.most_played : Imitation.
    pessimism.bandits.rules.lcb.lcb : LCB.
    simulations.bandit_composition : Draws the crossing.

    Notes
    -----
    Where :math:`e^{-N E(C^*)} = N^{-1/2}` with :math:`E(C^*) \approx (2-C^*)^2/8`, which holds near 2. The constants of
    both losses and the logarithm in that of LCB are left out.

    :Status: prediction.
    :Source: our derivation, from the leading terms.

    Examples
    --------
    >>> float(crossing(10_000).round(3))
    1.939
    """
    rounds = _bound.rounds(n)
    cstar = 2.0 - 2.0 * np.sqrt(np.log(rounds) / rounds)
    return _bound.where(cstar >= 1.0, cstar)


def contextual_rate(n: ArrayLike, cstar: ArrayLike, contexts: int) -> Floats:
    r"""Rate of LCB in contextual bandits, and of the minimax risk, with constants and logarithms left out.

    Parameters
    ----------
    n, cstar : (...) array_like of float
        Rounds and :math:`C^*`, at least 1.
    contexts : int
        S, at least 2.

    Returns
    -------
    (...) float
        :math:`1 \wedge (\sqrt{S(C^*-1)/N} + S/N)`.

    See Also
    --------
    pessimism.bandits.bounds.contextual_upper : An upper bound with constants.
    pessimism.bandits.bounds.contextual_lower : A lower bound with constants.
    pessimism.bandits.rules.lcb.lcb : The rule whose rate it is.
    pessimism.bandits.instances.ambiguous_contexts : The family that shows the rate.
    simulations.context_map : Draws the local exponents.

    Notes
    -----
    Upper bound: Theorem 4 of the paper (delta = 1/N, constant 2000, logarithms hidden); lower bound of the same form:
    its Theorem 5. A shape to compare slopes with, not a bound: constants are missing.

    :Status: published, without constants and logarithms; read in a restatement.
    :Source: Rashidinejad et al. (2021), arXiv:2103.12021, Theorems 4 and 5.

    Examples
    --------
    >>> float(contextual_rate(10_000, 1.0, 10).round(6))
    0.001
    """
    (rounds, c), s = _rounds_and_cstar(n, cstar), _check.whole("contexts", contexts, low=2)
    return np.asarray(np.minimum(1.0, np.sqrt(s * (c - 1.0) / rounds) + s / rounds))


def contextual_upper(n: ArrayLike, cstar: ArrayLike, contexts: int, arms: int) -> Floats:
    r"""Explicit upper bound on the loss of LCB in contextual bandits.

    Parameters
    ----------
    n, cstar : (...) array_like of float
        Rounds and :math:`C^*`, at least 1.
    contexts, arms : int
        S and A.

    Returns
    -------
    (...) float
        :math:`2\sqrt{S C^* \log(2SAN)/N} + 8 S C^*/(eN) + 1/N`, at most 1.

    See Also
    --------
    pessimism.bandits.rules.lcb.lcb : The rule that is bounded.
    pessimism.bandits.bounds.contextual_lower : The lower bound.
    pessimism.bandits.instances.covered_contexts : The family on which its looseness is measured.
    simulations.context_transition : Draws it beside exact losses.

    Notes
    -----
    With C* where Theorem 4 has C* - 1, which makes the proof simple. With probability 1 - 1/N every interval holds and
    context s loses at most twice the width of its best arm; that arm has at least half of its expected
    :math:`N\rho(s)/C^*` pulls but for probability :math:`e^{-N\rho(s)/(8C^*)}`; sum over s. It is loose: 14 times the
    worst loss on `instances.covered_contexts` at C* = 4, S = 2 and N = 400.

    :Status: derived.
    :Source: our derivation, after Theorem 4 of Rashidinejad et al. (2021), arXiv:2103.12021.

    Examples
    --------
    >>> float(contextual_upper(10**6, 1.5, 10, 2).round(4))
    0.0325
    """
    (rounds, c), s = _rounds_and_cstar(n, cstar), _check.whole("contexts", contexts, low=1)
    a = _check.whole("arms", arms, low=1)
    wide = 2.0 * np.sqrt(s * c * np.log(2.0 * s * a * rounds) / rounds)
    return np.asarray(np.minimum(1.0, wide + 8.0 * s * c / (math.e * rounds) + 1.0 / rounds))


def contextual_lower(n: ArrayLike, cstar: ArrayLike, contexts: int, arms: int = 2) -> Floats:
    r"""Explicit lower bound on the worst loss of any rule in contextual bandits.

    Parameters
    ----------
    n, cstar : (...) array_like of float
        Rounds and :math:`C^*`, at least 1.
    contexts, arms : int
        S and A, at least 2.

    Returns
    -------
    (...) float
        The largest of :math:`0.0511\sqrt{C^*(S-1)(C^*-1)/N}` (for C* <= 2 and N >= C*(S-1)/(C*-1)),
        :math:`0.036\sqrt{SC^*/N}` (C* >= 2, N >= S C*) and :math:`(S-1)(1-1/A)/(e(N+1))` (S - 1 <= N + 1); NaN where
        none of them holds.

    See Also
    --------
    pessimism.bandits.bounds.contextual_upper : The upper bound.
    pessimism.bandits.instances.ambiguous_contexts : The family of the first term.
    pessimism.bandits.instances.contextual_two_point : That of the second.
    pessimism.bandits.instances.missing_mass : The instance of the third.
    simulations.context_transition : Draws it beside exact losses.

    Notes
    -----
    One term for each of `instances.ambiguous_contexts`, `instances.contextual_two_point` and `instances.missing_mass`.
    The form is that of the paper's Theorem 5. No rule loses less than 2.1 times the first two on their instances; the
    third is attained as N grows.

    :Status: derived.
    :Source: our derivation; the form is that of Theorem 5 of Rashidinejad et al. (2021), arXiv:2103.12021.

    Examples
    --------
    >>> float(contextual_lower(10_000, 1.5, 11).round(6))
    0.001399
    """
    (rounds, c), s = _rounds_and_cstar(n, cstar), _check.whole("contexts", contexts, low=2)
    a = _check.whole("arms", arms, low=2)
    with np.errstate(divide="ignore"):
        ambiguous = (c <= 2.0) & (rounds >= c * (s - 1) / (c - 1.0))
    parts = [
        _bound.where(ambiguous, TWO_SIDED * np.sqrt(c * (s - 1) * (c - 1.0) / rounds)),
        _bound.where((c >= 2.0) & (rounds >= s * c), TWO_POINT * np.sqrt(s * c / rounds)),
        _bound.where(s - 1 <= rounds + 1, (s - 1) * (1.0 - 1.0 / a) / (math.e * (rounds + 1.0))),
    ]
    return np.asarray(np.fmax.reduce(np.broadcast_arrays(*parts)))


def missing_mass_upper(n: ArrayLike, cstar: ArrayLike, contexts: int) -> Floats:
    r"""Upper bound on the probability of a context whose best arm the log has never tried.

    Parameters
    ----------
    n, cstar : (...) array_like of float
        Rounds and :math:`C^*`, at least 1.
    contexts : int
        S.

    Returns
    -------
    (...) float
        :math:`S C^*/(eN)`.

    See Also
    --------
    pessimism.bandits.bounds.missing_mass_loss : What every rule loses because of such contexts.

    Notes
    -----
    :math:`N \max_z z(1-z)^N = (N/(N+1))^{N+1} < 1/e`. Sharper than `missing_mass_published`, and attained as N grows by
    equal contexts of probability C*/(N + 1).

    :Status: derived.
    :Source: our derivation.

    Examples
    --------
    >>> float(missing_mass_upper(1000, 1.0, 10).round(5))
    0.00368
    """
    rounds, c = _rounds_and_cstar(n, cstar)
    return np.asarray(_check.whole("contexts", contexts, low=1) * c / (math.e * rounds))


def missing_mass_published(n: ArrayLike, cstar: ArrayLike, contexts: int) -> Floats:
    r"""The paper's bound on the probability of a context whose best arm the log has never tried.

    Parameters
    ----------
    n, cstar : (...) array_like of float
        Rounds and :math:`C^*`, at least 1.
    contexts : int
        S.

    Returns
    -------
    (...) float
        :math:`4 S C^*/(9N)`.

    See Also
    --------
    pessimism.bandits.bounds.missing_mass_upper : The sharper bound.

    Notes
    -----
    A step of the proof of Theorem 4; 1.21 times `missing_mass_upper`.

    :Status: published, as a step of a proof; read in a restatement.
    :Source: Rashidinejad et al. (2021), arXiv:2103.12021, proof of Theorem 4.

    Examples
    --------
    >>> float(missing_mass_published(1000, 1.0, 9))
    0.004
    """
    rounds, c = _rounds_and_cstar(n, cstar)
    return np.asarray(4.0 * _check.whole("contexts", contexts, low=1) * c / (9.0 * rounds))


def missing_mass_loss(n: ArrayLike, contexts: int, arms: int = 2, gap: ArrayLike = 1.0) -> Floats:
    r"""Lower bound on the loss of any rule on `instances.missing_mass`, averaged over the best arms: expert data, S/N.

    Parameters
    ----------
    n : (...) array_like of float
        Rounds, at least 1.
    contexts, arms : int
        S and A, at least 2.
    gap : (...) array_like of float
        Gap of every context.

    Returns
    -------
    (...) float
        :math:`\frac{S-1}{N+1}\left(\frac N{N+1}\right)^N (1-\frac1A)\,g`.

    See Also
    --------
    pessimism.bandits.instances.missing_mass : The instance.

    Notes
    -----
    Only the contexts of probability 1/(N+1) are counted; context 0 adds to the loss in the rare case that the log has
    not met it.

    :Status: derived.
    :Source: our derivation.

    Examples
    --------
    >>> float(missing_mass_loss(1000, 11).round(6))
    0.001838
    """
    rounds, s = _bound.rounds(n), _check.whole("contexts", contexts, low=2)
    a, g = _check.whole("arms", arms, low=2), _check.real_array("gap", gap, low=0.0)
    _check.broadcast("n and gap", rounds.shape, g.shape)
    unmet = np.exp(-rounds * np.log1p(1.0 / rounds))  # (N/(N+1))^N, which keeps its digits at large N
    return np.asarray((s - 1) / (rounds + 1.0) * unmet * (1.0 - 1.0 / a) * g)


def imitation_equal_marginals(n: ArrayLike, cstar: float, contexts: ArrayLike) -> Floats:
    r"""Upper bound on the loss of imitation when the log meets contexts as the test does, :math:`C^* \le 2`.

    Parameters
    ----------
    n : (...) array_like of float
        Rounds, at least 1.
    cstar : float
        :math:`C^*`, at least 1.
    contexts : (S,) array_like of float
        Law :math:`\rho` of the contexts, in the log and in the test.

    Returns
    -------
    (...) float
        :math:`\sum_s \rho(s)(1-\rho(s)\kappa')^N \le S/(e\kappa' N)`, :math:`\kappa' = 1 - e^{-E(C^*)}`; NaN for
        C* > 2.

    See Also
    --------
    pessimism.bandits.behavior.prescribe : Its default law has equal marginals.
    pessimism.bandits.bounds.imitation_floor : What happens without them.
    pessimism.bandits.rules.most_played.most_played : The rule that is bounded.

    Notes
    -----
    Exponential in N for a fixed law, S/N uniformly. Without equal marginals imitation fails for every C* > 1
    (`imitation_floor`): a small C* alone does not make imitation work. At C* = 1 it is twice the loss of two arms,
    which split the tie of an unmet context.

    :Status: derived.
    :Source: our derivation.

    Examples
    --------
    >>> bool(imitation_equal_marginals(100, 1.1, [0.5, 0.5]) < 1e-9)
    True
    """
    rounds, rho = _bound.rounds(n), _check.law("contexts", contexts, axes=1)
    _check.broadcast("n and contexts", rounds.shape, rho.shape[:-1])
    kappa = -np.expm1(-imitation_exponent(_check.scalar("cstar", cstar, lambda c: c >= 1.0, "at least 1")))
    with np.errstate(divide="ignore"):
        unmet = np.exp(rounds[..., None] * np.log1p(-rho * kappa))
    return np.asarray((rho * unmet).sum(axis=-1))


def imitation_floor(cstar: ArrayLike, gap: ArrayLike = 1.0) -> Floats:
    r"""Loss of imitation on `instances.ambiguous_contexts` that does not vanish as N grows.

    Parameters
    ----------
    cstar : (...) array_like of float
        :math:`C^*`, in [1, 2].
    gap : (...) array_like of float
        Gap of every context.

    Returns
    -------
    (...) float
        :math:`(C^*-1)g/2`; NaN above C* = 2. If the worse arms are logged slightly more often, it is nearly (C* - 1) g.

    See Also
    --------
    pessimism.bandits.instances.ambiguous_contexts : The instance.
    pessimism.bandits.rules.most_played.most_played : The rule.
    simulations.context_transition : Draws the loss of imitation.

    Notes
    -----
    In one context the loss of imitation falls exponentially in N for C* < 2; with two contexts or more it stops
    falling, while that of LCB goes to 0.

    :Status: derived.
    :Source: our derivation.

    Examples
    --------
    >>> float(imitation_floor(1.5))
    0.25
    """
    c, g = _bound.concentrability(cstar), _check.real_array("gap", gap, low=0.0)
    _check.broadcast("cstar and gap", c.shape, g.shape)
    return _bound.where(c <= 2.0, 0.5 * (c - 1.0) * g)


def transition_exponent(alpha: ArrayLike) -> Floats:
    r"""Exponent of LCB's worst loss in contextual bandits when :math:`C^* - 1 = N^{-\alpha}`.

    Parameters
    ----------
    alpha : (...) array_like of float
        How fast the data tend to expert data, in [0, 1].

    Returns
    -------
    (...) float
        :math:`(1+\alpha)/2`: from 1/2 (broad data) to 1 (expert data). Imitation has alpha.

    See Also
    --------
    pessimism.bandits.rules.lcb.lcb : The rule.
    pessimism.bandits.instances.ambiguous_contexts : The family that shows it.

    Notes
    -----
    With the gap re-optimised for every N and rule.

    :Status: derived, from `contextual_rate`.
    :Source: our derivation, from Theorems 4 and 5 of Rashidinejad et al. (2021), arXiv:2103.12021.

    Examples
    --------
    >>> transition_exponent([0.0, 0.5, 1.0]).tolist()
    [0.5, 0.75, 1.0]
    """
    return np.asarray((1.0 + _check.real_array("alpha", alpha, low=0.0, high=1.0)) / 2.0)


def lcb_width_bound(data: BanditData, policy: ArrayLike, contexts: ArrayLike, delta: float) -> Floats:
    r"""High-probability bound on the loss of LCB against any policy, from the counts alone.

    Parameters
    ----------
    data : BanditData
        The log that LCB was given; rewards in [0, 1].
    policy : (..., S) array_like of int
        Comparator :math:`\pi`.
    contexts : (..., S) array_like of float
        Law :math:`\rho` of the contexts.
    delta : float
        Probability, in (0, 1), that the bound fails; the same as LCB's.

    Returns
    -------
    (...) float
        :math:`2\,E_\rho[1 \wedge \sqrt{\log(2SA/\delta)/(2N(s,\pi(s)))}]`.

    See Also
    --------
    pessimism.bandits.rules.lcb.lcb : The rule that is bounded.
    pessimism.bandits.bounds.greedy_width_bound : The bound for greedy.

    Notes
    -----
    For ``lcb(data, delta=delta)`` it holds whenever every mean lies in its interval. Attained by the worst such means
    if the indices of the chosen arm and of the comparator's are equal.

    :Status: derived.
    :Source: our derivation; Rashidinejad et al. (2021), arXiv:2103.12021, have the same argument.

    Examples
    --------
    >>> data = BanditData([[500, 500]], [[300.0, 200.0]])
    >>> float(lcb_width_bound(data, [0], [1.0], 0.05).round(3))
    0.132
    """
    _check.instance("data", data, BanditData)
    chosen = check_policy(policy, data.n_contexts, data.n_arms)
    if chosen.dtype.kind == "f":
        raise TypeError("policy must hold one arm per context as integers: the bound is for deterministic policies")
    rho = check_contexts(contexts, data.n_contexts, "data")
    batch = _check.broadcast("data, policy and contexts", data.shape, chosen.shape[:-1], rho.shape[:-1])
    counts = np.broadcast_to(data.counts, batch + data.counts.shape[-2:])
    arms: NDArray[Any] = np.broadcast_to(chosen[..., None], (*batch, data.n_contexts, 1))
    pulls = np.take_along_axis(counts, arms, axis=-1)[..., 0]
    return np.asarray(2.0 * (rho * _capped_width(data, pulls, delta)).sum(axis=-1))


def greedy_width_bound(data: BanditData, policy: ArrayLike, contexts: ArrayLike, delta: float) -> Floats:
    r"""High-probability bound on the loss of greedy against any policy, from the counts alone.

    Parameters
    ----------
    data : BanditData
        The log that greedy was given; rewards in [0, 1].
    policy : (..., S) array_like of int
        Comparator :math:`\pi`.
    contexts : (..., S) array_like of float
        Law :math:`\rho` of the contexts.
    delta : float
        Probability, in (0, 1), that the bound fails.

    Returns
    -------
    (...) float
        :math:`E_\rho[1 \wedge b(s,\pi(s)) + 1 \wedge \max_a b(s,a)]` with :math:`b = \sqrt{\log(2SA/\delta)/(2N)}`: a
        single arm with few pulls makes it large.

    See Also
    --------
    pessimism.bandits.rules.greedy.greedy : The rule that is bounded.
    pessimism.bandits.bounds.lcb_width_bound : The bound for LCB.

    Notes
    -----
    Attained, if every mean lies in its interval, where the arm with the fewest pulls has the same sample mean as the
    comparator's.

    :Status: derived.
    :Source: our derivation.

    Examples
    --------
    >>> data = BanditData([[999, 1]], [[600.0, 0.0]])
    >>> float(greedy_width_bound(data, [0], [1.0], 0.05).round(3))
    1.047
    """
    half = 0.5 * lcb_width_bound(data, policy, contexts, delta)
    widest = _capped_width(data, data.counts.min(axis=-1), delta)
    return np.asarray(half + (_check.law("contexts", contexts, axes=1) * widest).sum(axis=-1))


def value_efficiency(
    bandit: Bandit, policy: ArrayLike, behavior: ArrayLike, n: ArrayLike, *, contexts: ArrayLike | None = None
) -> Floats:
    r"""Asymptotic lower bound on the mean squared error of any regular estimator of a value.

    Parameters
    ----------
    bandit : Bandit
        The world.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        The policy whose value is estimated.
    behavior : (..., S, A) array_like of float
        Joint law :math:`\mu` of the logged pairs, positive where the policy plays.
    n : (...) array_like of float
        Rounds, at least 1.
    contexts : (..., S) array_like of float, optional
        Law in which the policy is judged, if it is known. Default: as logged.

    Returns
    -------
    (...) float
        :math:`\frac1n \sum \frac{d^2}{\mu} v`, with v the variance of the rewards; with contexts as logged,
        :math:`\frac1n \mathrm{Var}_{\mu}(\sum_a \pi r)` is added. Infinite where the behavior never plays a pair.

    See Also
    --------
    pessimism.bandits.estimators.model_based.direct : Attains it.
    pessimism.bandits.estimators.doubly_robust.cross_fit : Attains it.
    pessimism.bandits.risk.direct_risk : The exact risk at finite n.

    Notes
    -----
    Knowing the behavior does not lower it. At small n a biased estimator may be below it.

    :Status: derived.
    :Source: our derivation by the delta method, for finitely many pairs.

    Examples
    --------
    >>> from pessimism.bandits import Bandit, bounds
    >>> float(bounds.value_efficiency(Bandit([[0.5, 0.5]]), [1], [[0.75, 0.25]], 100))
    0.01
    """
    _check.instance("bandit", bandit, Bandit)
    rounds, mu = _bound.rounds(n), bandit.check_behavior(behavior)
    pi = check_arm_law(policy, bandit.n_contexts, bandit.n_arms)
    rho = mu.sum(axis=-1) if contexts is None else check_contexts(contexts, bandit.n_contexts, "bandit")
    d = rho[..., None] * pi
    bound = np.where(d > 0, d * ratio(d, mu) * bandit.variances, 0.0).sum(axis=(-2, -1))
    if contexts is None:
        by_context = (pi * bandit.means).sum(axis=-1)
        mean = (rho * by_context).sum(axis=-1, keepdims=True)
        bound = bound + (rho * (by_context - mean) ** 2).sum(axis=-1)
    return np.asarray(bound / rounds)


def value_missing_mass(target: ArrayLike, behavior: ArrayLike, n: ArrayLike) -> Floats:
    r"""Lower bound on the worst mean squared error of any estimator, from what the log has never seen.

    Parameters
    ----------
    target : (..., S, A) array_like of float
        Law :math:`d = \rho\pi` of the pairs that the policy meets.
    behavior : (..., S, A) array_like of float
        Joint law :math:`\mu` of the logged pairs.
    n : (...) array_like of float
        Rounds, at least 1.

    Returns
    -------
    (...) float
        :math:`\max_B \tfrac14 d(B)^2 (1 - \mu(B))^n` over the sets B of the k pairs of largest :math:`d/\mu`, for
        rewards in [0, 1].

    See Also
    --------
    pessimism.bandits.estimators.model_based.direct : With a fill of 1/2 it attains the bound for a single pair.

    Notes
    -----
    Two worlds that pay nothing everywhere but on B, where one of them pays 1: a log without a round in B does not tell
    them apart. Every set B gives a bound; those of the largest weights are tried.

    :Status: derived.
    :Source: our derivation.

    Examples
    --------
    >>> from pessimism.bandits import bounds
    >>> round(float(bounds.value_missing_mass([[0.5, 0.5]], [[0.99, 0.01]], 100)), 6)
    0.022877
    """
    rounds, d, mu = _bound.rounds(n), _check.law("target", target, axes=2), _check.law("behavior", behavior, axes=2)
    if d.shape[-2:] != mu.shape[-2:]:
        raise ValueError(f"target must end in the shape {mu.shape[-2:]} of behavior, got {d.shape}")
    d, mu = (x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1]) for x in np.broadcast_arrays(d, mu))
    order = np.argsort(-ratio(d, mu), axis=-1, kind="stable")
    mass, share = (np.cumsum(np.take_along_axis(x, order, axis=-1), axis=-1) for x in (d, mu))
    with np.errstate(divide="ignore"):
        missed = np.exp(rounds[..., None] * np.log1p(-np.minimum(share, 1.0)))
    return np.asarray((0.25 * mass**2 * missed).max(axis=-1))


def value_van_trees(n: ArrayLike, cstar: ArrayLike, second_moment: ArrayLike) -> Floats:
    r"""Lower bound on the worst mean squared error of any estimator over Bernoulli rewards, at every n.

    Parameters
    ----------
    n, cstar : (...) array_like of float
        Rounds and :math:`C^* = \max d/\mu`, at least 1.
    second_moment : (...) array_like of float
        :math:`V = \sum d^2/\mu`, in :math:`[1, C^*]`.

    Returns
    -------
    (...) float
        :math:`\frac{V}{4n} \bigl(1 + \frac{\pi C^*}{\sqrt{nV}}\bigr)^{-2}`.

    See Also
    --------
    pessimism.bandits.risk.direct_risk : The direct method's supremum is V/(4n) to leading order.

    Notes
    -----
    The inequality of van Trees for a cos^2 prior in the direction of the weights, at the best width. Sharp to leading
    order; 1.55 times below the Bayes risk under that prior at V = C* = 10 and n = 100.

    :Status: derived.
    :Source: our derivation, by the inequality of van Trees.

    Examples
    --------
    >>> from pessimism.bandits import bounds
    >>> round(float(bounds.value_van_trees(100, 10.0, 10.0)), 5)
    0.00629
    """
    rounds, c = _rounds_and_cstar(n, cstar)
    v = _check.real_array("second_moment", second_moment, low=1.0)
    _check.broadcast("n, cstar and second_moment", rounds.shape, c.shape, v.shape)
    wide = np.broadcast_to(v, np.broadcast_shapes(v.shape, c.shape))
    _check.require("second_moment", wide, wide <= c * (1.0 + 1e-9), "at most cstar")
    return np.asarray(0.25 * v / rounds / (1.0 + math.pi * c / np.sqrt(rounds * v)) ** 2)


def two_point_minimax(n: ArrayLike, cstar: ArrayLike) -> Floats:
    r"""Lower bound of the minimax risk of two arms for C* < 2: the hardest world against itself with the arms renamed.

    Parameters
    ----------
    n : (...) array_like of int
        Rounds, at least 1.
    cstar : (...) array_like of float
        Single-policy concentrability C*, at least 1.

    Returns
    -------
    (...) float
        :math:`\max_{\theta_1 > \theta_2} (\theta_1 - \theta_2) \tfrac12 \sum_x \min(P_w(x), P_{w'}(x))`, w at
        :math:`p = 1/C^*`, w' = w with the arms renamed; NaN for :math:`C^* \ge 2`.

    See Also
    --------
    pessimism.bandits.minimax.solve : The minimax risk itself, at N up to 200.
    pessimism.bandits.bounds.minimax_leading : Its leading term.
    pessimism.bandits.rules.count_vote.count_vote : About the Bayes rule of the hardest pair.
    simulations.minimax_risk : Draws it.

    Notes
    -----
    Two Bernoulli arms, one context, the class of all laws that play the better arm with probability at least
    :math:`1/C^*`. A lower bound for every N. Equality was found within 4e-4 for :math:`1.01 \le C^* \le 1.9` and N from
    20 to 51, 96 cases; it fails by up to 0.5 % for :math:`C^*` in [1.95, 2), by 5 to 6 % at 1.001 for odd N, by 2 % at
    (1.1, 3) and 3.5 % at (1.5, 1). Cost O(N^2) for each of a hundred evaluations: 0.7 s at N = 100, 4 s at N = 1,000.

    :Status: derived, as a lower bound; the equality is numeric.
    :Source: our derivation: the Bayes risk of a prior.

    Examples
    --------
    >>> float(two_point_minimax(1, 1.5).round(4))
    0.1667
    """
    from pessimism.bandits._engine.minimax_limits import best_pair

    def value(rounds: int, c: float) -> float:  # numpydoc ignore=GL08
        return math.nan if c >= 2.0 else 0.0 if c == 1.0 else best_pair(rounds, 1.0 / c)

    return _each(value, n, cstar)


def minimax_leading(n: ArrayLike, cstar: ArrayLike) -> Floats:
    r"""Leading term of the minimax risk of two arms as N grows.

    Parameters
    ----------
    n : (...) array_like of int
        Rounds, at least 1; for C* < 2 the term depends on whether N is even.
    cstar : (...) array_like of float
        Single-policy concentrability C*, at least 1.

    Returns
    -------
    (...) float
        For :math:`C^* < 2`, :math:`\kappa_N P_N/\sqrt N` with the probability :math:`P_N` that the most played arm is
        the worse one (ties one half), and :math:`\kappa_N = \max_x x e^{-x^2/2} S(x)/S(0)`. There
        :math:`S(x) = \sum_d E\, e^{-|d \ell/2 + x Z|}` over the d of the parity of N,
        :math:`\ell = \log\frac{1}{C^*-1}` and Z is standard normal. For :math:`C^* \ge 2`,
        :math:`0.16997\, C^* / (2\sqrt{(C^*-1)N})`, where the number is :math:`\max_x x \Phi(-x)`.

    See Also
    --------
    pessimism.bandits.minimax.solve : The minimax risk itself, at N up to 200.
    pessimism.bandits.bounds.two_point_minimax : A lower bound at finite N for C* < 2.
    simulations.minimax_risk : Draws it.

    Notes
    -----
    :math:`\kappa_N` tends to :math:`e^{-1/2}` as :math:`C^* \to 2` and, for even N, to
    :math:`2 \max_x x \Phi(-x) = 0.33994` as :math:`C^* \to 1`. That the risk is not below the term in the limit is
    derived; that it is not above was seen at finite N only: they agree within 0.3 % at N = 100 for C* = 2 and 4, and
    within 2 % at N = 200 for C* = 1.5.

    :Status: derived, as a lower bound in the limit; the other half is numeric.
    :Source: our derivation, by the normal approximation of the hardest pair of worlds.

    Examples
    --------
    >>> float(minimax_leading(100, 4.0).round(5))
    0.01963
    """
    from pessimism.bandits._engine.minimax_limits import leading

    return _each(leading, n, cstar)


def one_round_minimax(cstar: ArrayLike) -> Floats:
    r"""Minimax risk of two arms after one round.

    Parameters
    ----------
    cstar : (...) array_like of float
        Single-policy concentrability C*, at least 1.

    Returns
    -------
    (...) float
        :math:`(C^*-1)(2-C^*)/C^*` for :math:`C^* \le (17-\sqrt{33})/8 = 1.4069`, :math:`\tfrac14\sqrt{1 - 1/C^*}` for
        :math:`C^* \ge 2`; NaN between, where no closed form is known.

    See Also
    --------
    pessimism.bandits.minimax.solve : The minimax risk for any N up to 200.

    Notes
    -----
    For :math:`C^* \ge 2` the rule keeps the arm that was played after a success, and after a failure with probability
    :math:`1 - \sqrt{1 - 1/C^*}`.

    :Status: derived.
    :Source: our derivation.

    Examples
    --------
    >>> one_round_minimax([1.25, 1.7, 4.0]).round(4).tolist()
    [0.15, nan, 0.2165]
    """
    c = _bound.concentrability(cstar)
    low = (c - 1.0) * (2.0 - c) / c
    return np.select([c <= (17.0 - math.sqrt(33.0)) / 8.0, c >= 2.0], [low, np.sqrt(1.0 - 1.0 / c) / 4.0], np.nan)


def adaptivity_price(low: ArrayLike, high: ArrayLike) -> Floats:
    r"""Limit of the factor that a rule loses which does not know which of two classes above 2 it is in.

    Parameters
    ----------
    low, high : (...) array_like of float
        Constants :math:`2 \le C_1 \le C_2 \le 10^{12}` of the classes.

    Returns
    -------
    (...) float
        :math:`f(-d)/f(0)` with :math:`f(d) = \max_x x \Phi(-(x+d))` and d the root of
        :math:`f(d)/f(-d) = s(C_1)/s(C_2)`, :math:`s(C) = C/(2\sqrt{C-1})`.

    See Also
    --------
    pessimism.bandits.minimax.adaptive : The price at finite N.
    simulations.adaptivity_price : Draws both.

    Notes
    -----
    The limit as N grows, for the classes "C* at most C_k". The rule that pays it shifts the comparison of means by d
    standard errors against the arm that was played less: exact minimax adaptivity is pessimism, with a width that does
    not grow with N. It is also the price of the whole range [C_1, C_2], and grows like the root of log C_2, slowly.

    :Status: derived, in the normal limit; certified at N = 50 for (2, 4): the price lies in [1.0723, 1.0743].
    :Source: our derivation.

    Examples
    --------
    >>> adaptivity_price(2.0, [2.0, 4.0, 100.0]).round(4).tolist()
    [1.0, 1.0737, 2.0343]
    """
    from pessimism.bandits._engine.minimax_limits import price

    first, second = (_check.real_array(name, x, low=2.0, high=1e12) for name, x in (("low", low), ("high", high)))
    shape = _check.broadcast("low and high", first.shape, second.shape)
    one, two = np.broadcast_to(first, shape), np.broadcast_to(second, shape)
    _check.require("high", two, two >= one, "at least low")
    return np.asarray(np.vectorize(price, otypes=[float])(one, two))


def greedy_floor(pulls: ArrayLike | None = None) -> Floats:
    r"""What greedy loses at worst on every class "C* at most C" with C > 1, however many rounds there are: a constant.

    Parameters
    ----------
    pulls : (...) array_like of float, optional
        Expected number m of rounds that play the worse arm, in [0.001, 1e6]. Default: the worst, 1.537.

    Returns
    -------
    (...) float
        :math:`\max_g g\,(e^{-m g} - e^{-m})`, at most 0.1303.

    See Also
    --------
    pessimism.bandits.bounds.greedy_failure_loss : The same at m = 1 for every mean of the worse arm.
    pessimism.bandits.minimax.certified_worst : Greedy's worst loss at finite N.
    pessimism.bandits.rules.greedy.greedy : The rule.

    Notes
    -----
    The better arm has a mean just below 1 and is played in all but m rounds of N. Greedy errs where the other arm,
    whose mean is 1 - g, was pulled and always paid. The limit as N grows; the class holds the world once
    :math:`N(1 - 1/C) \ge m`. No more than 0.1303 was found on any class.

    :Status: derived, as a lower bound; that no world costs more is numeric.
    :Source: our derivation.

    Examples
    --------
    >>> greedy_floor([1.0, 1.537]).round(5).tolist(), float(greedy_floor().round(4))
    ([0.12153, 0.13031], 0.1303)
    """
    from scipy.special import lambertw

    m = np.asarray(WORST_PULLS) if pulls is None else _check.real_array("pulls", pulls)
    _check.require("pulls", m, (m >= 1e-3) & (m <= 1e6), "in [0.001, 1e6]")
    gap = (1.0 - np.real(lambertw(np.exp(1.0 - m), 0))) / m  # stationary where (1 - m g) e^(-m g) = e^(-m)
    return np.asarray(gap * np.exp(-m * gap) * -np.expm1(-m * (1.0 - gap)))


def _capped_width(data: BanditData, pulls: Ints, delta: float) -> Floats:
    if data.reward_range != (0.0, 1.0):
        raise ValueError(f"data.reward_range must be (0, 1), got {data.reward_range}")
    level = hoeffding_level(data.n, data.n_contexts, data.n_arms, delta)[..., None]
    return np.asarray(np.where(pulls > 0, np.minimum(1.0, np.sqrt(level / np.maximum(pulls, 1))), 1.0))


def _normal_sup(n: ArrayLike, cstar: ArrayLike, level: ArrayLike) -> tuple[Floats, Floats]:
    rounds, c = _bound.rounds(n), _bound.concentrability(cstar)
    _check.require("cstar", c, c > 1.0, "greater than 1")
    lvl = _check.real_array("level", level, low=0.0)
    _check.broadcast("n, cstar and level", rounds.shape, c.shape, lvl.shape)
    return worst_gap(rounds, c, lvl)


def _rounds_and_cstar(n: ArrayLike, cstar: ArrayLike) -> tuple[Floats, Floats]:
    rounds, c = _bound.rounds(n), _bound.concentrability(cstar)
    _check.broadcast("n and cstar", rounds.shape, c.shape)
    return rounds, c


def _each(value: Callable[[int, float], float], n: ArrayLike, cstar: ArrayLike) -> Floats:
    rounds, c = _check.whole_array("n", n, low=1, high=10**6), _bound.concentrability(cstar)
    _check.broadcast("n and cstar", rounds.shape, c.shape)
    return np.asarray(np.vectorize(value, otypes=[float])(rounds, c))
