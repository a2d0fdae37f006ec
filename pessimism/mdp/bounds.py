r"""The theorems and predictions, as functions to draw beside a simulation.

The notes of every function end with two fields. `Status` begins with *published* (checked against a published text or
an independent restatement of it), *derived* (here; the proof is short and the test suite compares both sides),
*prediction* (a normal approximation, not a bound) or *unverified* (recalled; do not quote it as the paper's). `Source`
names the text, or says that the derivation is ours.

Where a statement says nothing (its assumptions fail), the function returns NaN, which a plot leaves blank. A *rate*
is a shape to compare slopes with: it has no constant and no logarithm. Losses are :math:`J(\pi^*) - J(\hat\pi)`, not
normalised, for rewards in [0, 1], so at most :math:`1/(1-\gamma)`; data are N i.i.d. transitions, not trajectories;
delta = 1/N (expected loss) unless it is an argument (high probability); `log` is natural. The worst loss of a rule over
a one-parameter family is a lower bound of that rule's worst loss over all problems with this :math:`C^*`, and says
nothing about other rules. Every function raises a ValueError or TypeError that names the first argument out of its
range.

The paper is Rashidinejad, Zhu, Ma, Jiao, Russell (2021), arXiv:2103.12021, followed as in `pessimism.bandits.bounds`;
Li et al. is Li, Shi, Chen, Chi, Wei (2022), arXiv:2204.05275.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _bound, _check
from pessimism._types import Floats
from pessimism.mdp._engine import efficiency, variance
from pessimism.mdp._engine.tables import as_law
from pessimism.mdp._off_policy import OffPolicy
from pessimism.mdp.model import MDP

__all__ = [
    "bernstein_samples",
    "discounted_rate",
    "episodic_rate",
    "horizon_exponent",
    "minimax_lower",
    "minimax_lower_rate",
    "missing_mass_loss",
    "nearly_expert_rate",
    "no_update",
    "plug_in_failure_loss",
    "samples_needed",
    "subsampled_episodes",
    "value_markov",
    "value_pairs",
    "value_pooled",
    "value_tree",
    "vi_lcb_bias",
    "vi_lcb_normal_gap",
    "vi_lcb_normal_prediction",
    "vi_lcb_rate",
    "vi_lcb_upper",
]

TWO_POINT = 0.0092
"""exp(-1/2) sqrt(3/32) / 20, rounded down: `instances.two_point_replicas`."""

AMBIGUOUS = 0.0145
"""exp(-1/2) / (24 sqrt(3)), rounded down: `instances.ambiguous_replicas`."""

DISCOUNTED = {  # powers x of 1/(1-gamma) in S C* (...)^x / epsilon^2, and of a second term over epsilon
    "minimax": (3.0, None),
    "vi_lcb_bernstein": (3.0, None),
    "vi_lcb_split": (5.0, None),
    "lcb_q": (5.0, None),
    "vr_q_lcb": (3.0, 4.0),
}
EPISODIC = {  # powers of H; samples, that is H times the number of episodes
    "minimax": (4.0, None),
    "vi_lcb_subsampled": (4.0, None),
    "vi_lcb_split": (6.0, None),
    "lcb_q": (6.0, None),
    "lcb_q_advantage": (4.0, 5.0),
    "pevi_adv": (4.0, 6.5),
}


def vi_lcb_rate(n: ArrayLike, cstar: ArrayLike, states: int, discount: ArrayLike) -> Floats:
    r"""Rate of the paper's VI-LCB (Hoeffding widths, a fresh fold for every iteration).

    Parameters
    ----------
    n, cstar : (...) array_like of float
        N, the logged transitions, and :math:`C^*`, both at least 1.
    states : int
        S.
    discount : (...) array_like of float
        :math:`\gamma`, in [0, 1).

    Returns
    -------
    (...) float
        :math:`\frac1{1-\gamma} \wedge \sqrt{S C^*/((1-\gamma)^5 N)}`.

    See Also
    --------
    pessimism.mdp.rules.vi_lcb.vi_lcb : The rule, with `split`.
    pessimism.mdp.bounds.vi_lcb_upper : The bound with its constants.

    Notes
    -----
    As listed by Li et al.: :math:`N \sim S C^*/((1-\gamma)^5\varepsilon^2)`. Constants and logarithms are missing: a
    rate, not a bound; for a bound with constants see `vi_lcb_upper`. Reusing one data set in all iterations does not
    have this theorem.

    :Status: published, as a rate, without constants and logarithms; read where Li et al. list it.
    :Source: Rashidinejad et al. (2021), arXiv:2103.12021, as listed by Li et al. (2022), arXiv:2204.05275.

    Examples
    --------
    >>> vi_lcb_rate(10**8, 4.0, 10, 0.9).round(3).item()
    0.2
    """
    rounds, c, s, h = _bound.rounds(n), _bound.concentrability(cstar), _states(states), _effective_horizon(discount)
    _check.broadcast("n, cstar and discount", rounds.shape, c.shape, h.shape)
    return np.asarray(np.minimum(h, np.sqrt(s * c * h**5 / rounds)))


def vi_lcb_upper(n: ArrayLike, cstar: ArrayLike, states: int, actions: int, discount: ArrayLike) -> Floats:
    r"""Explicit upper bound on the loss of VI-LCB with a fresh fold for every iteration and Hoeffding's constant.

    Parameters
    ----------
    n, cstar, states, actions, discount : as for `vi_lcb_rate`
        N, :math:`C^*`, S, A, an int of at least 1, and :math:`\gamma`.

    Returns
    -------
    (...) float
        :math:`\frac2{(1-\gamma)^2}\sqrt{\frac{2LSC^*(T+1)}{N+1}} + \frac2{(1-\gamma)N}`, at most
        :math:`1/(1-\gamma)`, with :math:`T = \lceil\log N/(1-\gamma)\rceil` iterations, T + 1 folds and
        :math:`L = \tfrac12\log(2(T+1)SAN)`.

    See Also
    --------
    pessimism.mdp.rules.vi_lcb.vi_lcb : The rule, with `split`.
    pessimism.mdp.bounds.vi_lcb_rate : The rate of the paper.
    pessimism.mdp.instances.stay_exit : The family on which its looseness is measured.
    simulations.mdp_horizon : Draws it against the horizon.

    Notes
    -----
    With probability 1 - 1/N every :math:`|\hat r_t + \gamma\hat P_t V_{t-1} - r - \gamma P V_{t-1}|` is at most its
    width :math:`b_t = \sqrt{L/(m_t \vee 1)}/(1-\gamma)`, because :math:`V_{t-1}` does not depend on fold t (pairs the
    fold did not meet have b of at least :math:`1/(1-\gamma)`, since L >= 1). Then :math:`V_t \le V^{\pi_t}` (the update
    is monotone) and :math:`V^* - V_t \le \gamma P^{\pi^*}(V^* - V_{t-1}) + 2b_t(\cdot,\pi^*)`; unrolled, the loss is at
    most :math:`\gamma^T/(1-\gamma) + \frac2{1-\gamma}\sum_s d^*(s)b(s,\pi^*(s))`. Every transition goes to a fold at
    random, so a pair is met there :math:`X \sim \mathrm{Bin}(N,\mu/(T+1))` times; then
    :math:`E(X \vee 1)^{-1/2} \le \sqrt{2(T+1)/((N+1)\mu)}`, :math:`\mu \ge d^*/C^*`, and
    :math:`\sum_s\sqrt{d^*(s)} \le \sqrt S`. The power 5/2 of :math:`1/(1-\gamma)` is 2 from the widths and 1/2 from
    the folds. Needs splitting. Loose: on `instances.stay_exit` ten to thirteen times the worst loss of the rule at
    C* = 4, N = 1e10 and horizons of 8 to 64.

    :Status: derived.
    :Source: our derivation.

    Examples
    --------
    >>> vi_lcb_upper(10**9, 2.0, 5, 2, 0.8).round(3).item()
    0.273
    """
    rounds, c, s, h = _bound.rounds(n), _bound.concentrability(cstar), _states(states), _effective_horizon(discount)
    _check.broadcast("n, cstar and discount", rounds.shape, c.shape, h.shape)
    folds = np.ceil(np.log(rounds) * h) + 1.0
    level = 0.5 * np.log(2.0 * folds * s * _check.whole("actions", actions, low=1) * rounds)
    wide = 2.0 * h**2 * np.sqrt(2.0 * level * s * c * folds / (rounds + 1.0))
    return np.asarray(np.minimum(h, wide + 2.0 * h / rounds))


def nearly_expert_rate(n: ArrayLike, states: int, discount: ArrayLike) -> Floats:
    r"""Rate of VI-LCB on nearly expert data, :math:`C^* = 1 + O(1/N)`, as remembered, source not checked.

    Parameters
    ----------
    n, states, discount : as for `vi_lcb_rate`
        N, S and :math:`\gamma`.

    Returns
    -------
    (...) float
        :math:`\frac1{1-\gamma} \wedge S/((1-\gamma)^4 N)`.

    See Also
    --------
    pessimism.mdp.instances.lower_bounds.missing_mass : Expert data on which every rule loses.
    pessimism.mdp.rules.vi_lcb.vi_lcb : The rule, with `split`.

    Notes
    -----
    That the loss is of order 1/N on nearly expert data is published; the powers of S and :math:`1/(1-\gamma)` and where
    the regime ends are not checked here.

    :Status: unverified, but for the order 1/N.
    :Source: recalled; that the loss is of order 1/N is in Rashidinejad et al. (2021), arXiv:2103.12021.

    Examples
    --------
    >>> nearly_expert_rate(10**6, 10, 0.9).round(3).item()
    0.1
    """
    rounds, s, h = _bound.rounds(n), _states(states), _effective_horizon(discount)
    _check.broadcast("n and discount", rounds.shape, h.shape)
    return np.asarray(np.minimum(h, s * h**4 / rounds))


def minimax_lower_rate(n: ArrayLike, cstar: ArrayLike, states: int, discount: ArrayLike) -> Floats:
    r"""Rate below which no rule's worst loss can fall, as remembered from the paper, source not checked.

    Parameters
    ----------
    n, cstar, states, discount : as for `vi_lcb_rate`
        N, :math:`C^*`, S and :math:`\gamma`.

    Returns
    -------
    (...) float
        :math:`\frac1{1-\gamma} \wedge \bigl(\frac{S}{(1-\gamma)^2N} + \sqrt{\frac{S(C^*-1)}{(1-\gamma)^3N}}\bigr)`.

    See Also
    --------
    pessimism.mdp.bounds.minimax_lower : Lower bound with constants.

    Notes
    -----
    Both terms are proved with constants, by instances of ours, in `minimax_lower`.

    :Status: unverified as the paper's.
    :Source: recalled from Rashidinejad et al. (2021), arXiv:2103.12021; the text of its theorem has not been checked.

    Examples
    --------
    >>> minimax_lower_rate(10**6, 1.0, 10, 0.9).round(6).item()
    0.001
    """
    rounds, c, s, h = _bound.rounds(n), _bound.concentrability(cstar), _states(states), _effective_horizon(discount)
    _check.broadcast("n, cstar and discount", rounds.shape, c.shape, h.shape)
    return np.asarray(np.minimum(h, s * h**2 / rounds + np.sqrt(s * (c - 1.0) * h**3 / rounds)))


def minimax_lower(n: ArrayLike, cstar: ArrayLike, states: int, discount: ArrayLike) -> Floats:
    r"""Explicit lower bound on the worst loss of any rule over models with S states and coefficient at most C*.

    Parameters
    ----------
    n, cstar, states, discount : as for `vi_lcb_rate`
        N, :math:`C^*`, S, at least 3, and :math:`\gamma`; two actions or more.

    Returns
    -------
    (...) float
        The largest of :math:`0.0092\sqrt{\gamma(S-1)C^*/((1-\gamma)^3N)}` (C* >= 2, gamma >= 3/4,
        :math:`N \ge \frac{3\gamma(S-1)C^*}{8(1-\gamma)}`),
        :math:`0.0145\sqrt{\gamma(S-2)C^*(C^*-1)/((1-\gamma)^3N)}` (C* <= 2, gamma >= 3/4,
        :math:`N \ge \frac{\gamma(S-2)C^*}{3(1-\gamma)(C^*-1)}`) and
        :math:`\frac{\gamma(S-2)}{2e(1-\gamma)^2(N+1)}` (:math:`N+1 \ge \frac{S-2}{1-\gamma}`); NaN where
        none is stated.

    See Also
    --------
    pessimism.mdp.bounds.minimax_lower_rate : Its shape.
    pessimism.mdp.instances.two_point_replicas : The family of the first part.
    pessimism.mdp.instances.ambiguous_replicas : That of the second.
    pessimism.mdp.instances.missing_mass : The instance of the third.

    Notes
    -----
    By `instances.two_point_replicas`, `instances.ambiguous_replicas`, `instances.missing_mass`. In the first two every
    replica is a pair of hypotheses under one law; by Bretagnolle-Huber the two error probabilities add up to at least
    :math:`\frac12e^{-\mathrm{KL}}`, and a stochastic decision loses no less than a random one, V being convex in p.

    First (R = S - 1): :math:`g^2 = 3RC^*(1-\gamma)/(32\gamma N)` is at most :math:`((1-p^*)/2)^2`, so
    :math:`p^*-g \ge 1/2`, :math:`D_+ \le 2/3`,
    :math:`\mathrm{KL} \le N\frac{D_+}{RC^*}\frac{4g^2}{(p^*-g)(1-p^*)} \le \frac12`, and each wrong replica loses at
    least :math:`\frac{\gamma g}{5(1-\gamma)^2}/R`. Second (R = S - 2): :math:`g^2 = (1-\gamma)RC^*/(3\gamma N(C^*-1))`
    is at most :math:`(1-p^*)^2`, both divergences together
    :math:`N\frac{3(C^*-1)}{4RC^*}g^2(\frac1{p^*-g}+\frac1{1-p^*}) \le \frac12`, the loss at least
    :math:`\frac{\gamma g}{6(1-\gamma)^2}(C^*-1)/R`. Third: `missing_mass_loss` with :math:`(N/(N+1))^N \ge 1/e`. The
    shape is that of `minimax_lower_rate`. Loose: on the families of the first two parts plug-in planning and VI-LCB at
    its best level lose 2.9 to 3.5 times as much; the third is attained but for its 1/e.

    :Status: derived.
    :Source: our derivation, by the inequality of Bretagnolle and Huber.

    Examples
    --------
    >>> minimax_lower(10**6, 4.0, 11, 0.9).round(5).item()
    0.00175
    """
    rounds, c = _bound.rounds(n), _bound.concentrability(cstar)
    s, h = _states(states, low=3), _effective_horizon(discount)
    _check.broadcast("n, cstar and discount", rounds.shape, c.shape, h.shape)
    gamma = 1.0 - 1.0 / h
    long = gamma >= 0.75 - 1e-12
    with np.errstate(divide="ignore"):
        enough = rounds >= gamma * (s - 2) * c * h / (3.0 * (c - 1.0))
    many = rounds >= 3.0 * gamma * (s - 1) * c * h / 8.0
    parts = [
        _bound.where((c >= 2.0) & long & many, TWO_POINT * np.sqrt(gamma * (s - 1) * c * h**3 / rounds)),
        _bound.where((c <= 2.0) & long & enough, AMBIGUOUS * np.sqrt(gamma * (s - 2) * c * (c - 1.0) * h**3 / rounds)),
        _bound.where(rounds + 1.0 >= (s - 2) * h, gamma * (s - 2) * h**2 / (2.0 * math.e * (rounds + 1.0))),
    ]
    return np.asarray(np.fmax.reduce(np.broadcast_arrays(*parts)))


def missing_mass_loss(n: ArrayLike, replicas: int, discount: ArrayLike) -> Floats:
    r"""Lower bound on the loss of any rule on `instances.missing_mass`, averaged over the better actions.

    Parameters
    ----------
    n, replicas, discount : as for `vi_lcb_rate`
        N, R, the rare states, an int of at least 1, and :math:`\gamma`.

    Returns
    -------
    (...) float
        :math:`\frac{\gamma R}{2(1-\gamma)^2(N+1)}\left(\frac N{N+1}\right)^N`; NaN where
        :math:`N+1 < R/(1-\gamma)`.

    See Also
    --------
    pessimism.mdp.instances.missing_mass : The instance.
    pessimism.mdp.bounds.minimax_lower : Where it is the third part.

    Notes
    -----
    Expert data. A rare state is missed with probability :math:`(1-\frac1{N+1})^N`; then the rule is wrong half of the
    time and loses :math:`\gamma/(1-\gamma)` of a start of probability :math:`1/((1-\gamma)(N+1))`. A rule that plays
    what it saw loses exactly this.

    :Status: derived.
    :Source: our derivation.

    Examples
    --------
    >>> missing_mass_loss(10**4, 10, 0.9).round(4).item()
    0.0166
    """
    rounds, count, h = _bound.rounds(n), _check.whole("replicas", replicas, low=1), _effective_horizon(discount)
    _check.broadcast("n and discount", rounds.shape, h.shape)
    unmet = np.exp(-rounds * np.log1p(1.0 / rounds))  # (N/(N+1))^N, which keeps its digits at large N
    loss = (1.0 - 1.0 / h) * count * h**2 / (2.0 * (rounds + 1.0)) * unmet
    return _bound.where(rounds + 1.0 >= count * h, loss)


def bernstein_samples(
    epsilon: ArrayLike,
    cstar: ArrayLike,
    states: int,
    discount: ArrayLike,
    *,
    log_factor: ArrayLike = 1.0,
    bernstein_constant: float = 144.0,
) -> Floats:
    r"""Number of transitions with which VI-LCB with Bernstein widths is epsilon-optimal; constants not seen.

    Parameters
    ----------
    epsilon : (...) array_like of float
        Accuracy, in :math:`(0, 1/(1-\gamma)]`.
    cstar : (...) array_like of float
        Clipped :math:`C^*`, at least 1/S.
    states : int
        S.
    discount : (...) array_like of float
        :math:`\gamma`, in [1/2, 1) for the theorem; NaN below.
    log_factor : (...) array_like of float
        The value of the theorem's logarithm, at least 1. Its argument :math:`NS/((1-\gamma)\delta)` holds N itself, so
        the value is yours to give; 1 leaves the logarithm out.
    bernstein_constant : float
        :math:`c_b`, the constant of the widths; at least 144, a proof constant not seen.

    Returns
    -------
    (...) float
        :math:`21000\,c_b\,S C^* \log(\cdot)/((1-\gamma)^3\varepsilon^2)`.

    See Also
    --------
    pessimism.mdp.rules.vi_lcb_bernstein.vi_lcb_bernstein : The rule, with `paper_constants`.

    Notes
    -----
    Theorem 1 of Li et al. (eq. 35 in Annals of Statistics 52(1)): with
    :math:`c_1 S C^*\log\frac{NS}{(1-\gamma)\delta}/((1-\gamma)^3\varepsilon^2)` transitions and c_b, c_1 sufficiently
    large, the loss is at most epsilon with probability 1 - 2 delta. Every epsilon is allowed: there is no burn-in.
    Samples are reused in all iterations; rewards are known. "Sufficiently large" is all that the theorem says: 144 and
    21000 are proof constants, not seen in any theorem that we have read. At :math:`c_b = 144` no value is raised before
    `choice.moving_constant` of the log exceeds it: on a garnet of 20 states at discount 0.9 not by 10^6 transitions.
    The constants that are used, 0.005 to 0.1, are without this theorem.

    :Status: published (the shape), unverified (the numbers).
    :Source: Li et al. (2022), arXiv:2204.05275, Theorem 1 (eq. 35 in Annals of Statistics 52(1)).

    Examples
    --------
    >>> f"{bernstein_samples(0.1, 2.0, 10, 0.9):.3g}"
    '6.05e+12'
    """
    h, s = _effective_horizon(discount), _states(states)
    small, c = _epsilon(epsilon), _check.real_array("cstar", cstar, low=1.0 / s)
    constant = _check.scalar("bernstein_constant", bernstein_constant, lambda x: x >= 144.0, "at least 144")
    log = _check.real_array("log_factor", log_factor, low=1.0)
    _check.broadcast("epsilon, cstar, discount and log_factor", small.shape, c.shape, h.shape, log.shape)
    with np.errstate(over="ignore"):  # more than float64 can hold is infinite
        amount = 21_000.0 * constant * s * c * log * h**3 / small**2
    return _bound.where((h >= 2.0) & (small <= h), amount)


def subsampled_episodes(
    epsilon: ArrayLike,
    cstar: ArrayLike,
    states: int,
    horizon: ArrayLike,
    *,
    log_factor: ArrayLike = 1.0,
    bernstein_constant: float = 16.0,
) -> Floats:
    r"""Number of episodes with which the two-fold subsampled VI-LCB is epsilon-optimal; constants not seen.

    Parameters
    ----------
    epsilon : (...) array_like of float
        Accuracy, in (0, H].
    cstar, states : as for `bernstein_samples`
        Clipped :math:`C^*`, a maximum over steps, and S.
    horizon : (...) array_like of int
        H.
    log_factor : (...) array_like of float
        The value of the theorem's logarithm, at least 1; its argument is :math:`KH/\delta`. 1 leaves it out.
    bernstein_constant : float
        :math:`c_b`, the constant of the widths; at least 16, a proof constant not seen.

    Returns
    -------
    (...) float
        :math:`12800\,c_b\,H^3 S C^* \log(\cdot)/\varepsilon^2` episodes: H times as many transitions. NaN where
        epsilon is above H.

    See Also
    --------
    pessimism.mdp.rules.vi_lcb_episodic.vi_lcb_episodic : The rule, with `subsample` and `paper_constants`.

    Notes
    -----
    Li et al. (eq. 59 in Annals of Statistics 52(1)), i.i.d. trajectories, probability 1 - 12 delta, for sufficiently
    large constants; 16 and 12800 are proof constants, not seen in any theorem that we have read. Half of the episodes
    only count how much of the other half may be used; below 100 log(HS/delta) visits of a state that is nothing.

    :Status: published (the shape), unverified (the numbers).
    :Source: Li et al. (2022), arXiv:2204.05275 (eq. 59 in Annals of Statistics 52(1)).

    Examples
    --------
    >>> f"{subsampled_episodes(1.0, 2.0, 10, 20):.3g}"
    '3.28e+10'
    """
    h, s = _check.real_array("horizon", horizon, low=1.0), _states(states)
    small, c = _epsilon(epsilon), _check.real_array("cstar", cstar, low=1.0 / s)
    constant = _check.scalar("bernstein_constant", bernstein_constant, lambda x: x >= 16.0, "at least 16")
    log = _check.real_array("log_factor", log_factor, low=1.0)
    _check.broadcast("epsilon, cstar, horizon and log_factor", small.shape, c.shape, h.shape, log.shape)
    with np.errstate(over="ignore"):  # more than float64 can hold is infinite
        amount = 12_800.0 * constant * s * c * log * h**3 / small**2
    return _bound.where(small <= h, amount)


def samples_needed(epsilon: ArrayLike, cstar: ArrayLike, states: int, discount: ArrayLike) -> Floats:
    r"""Number of transitions without which no rule is epsilon-optimal on both of two models; constant not seen.

    Parameters
    ----------
    epsilon, cstar, states, discount : as for `bernstein_samples`
        Accuracy, clipped :math:`C^*`, S, at least 2, and :math:`\gamma`.

    Returns
    -------
    (...) float
        :math:`S C^*/(25088(1-\gamma)^3\varepsilon^2)`; NaN unless gamma >= 2/3, :math:`C^* \ge 8\gamma/S` and
        :math:`\varepsilon \le 1/(42(1-\gamma))`.

    See Also
    --------
    pessimism.mdp.instances.rare_state : The structure of the two models.
    pessimism.mdp.bounds.bernstein_samples : The number that is enough.

    Notes
    -----
    Lower bound of Li et al.: with fewer transitions every rule misses epsilon with probability at least 1/8 on one of
    two models. `instances.rare_state` has their structure. 25088 is a proof constant, not seen in the theorem.

    :Status: published (the shape and its conditions), unverified (25088).
    :Source: Li et al. (2022), arXiv:2204.05275, the lower bound for discounted models.

    Examples
    --------
    >>> samples_needed(0.01, 2.0, 10, 0.9).round(1).item()
    7971.9
    """
    h, s, small = _effective_horizon(discount), _states(states, low=2), _epsilon(epsilon)
    c = _check.real_array("cstar", cstar, low=0.0)
    _check.broadcast("epsilon, cstar and discount", small.shape, c.shape, h.shape)
    inside = (h >= 3.0 - 1e-12) & (c >= 8.0 * (1.0 - 1.0 / h) / s) & (small <= h / 42.0)
    return _bound.where(inside, s * c * h**3 / (25_088.0 * small**2))


def discounted_rate(method: str, epsilon: ArrayLike, cstar: ArrayLike, states: int, discount: ArrayLike) -> Floats:
    r"""Rate of the transitions that a method needs to be epsilon-optimal, discounted models.

    Parameters
    ----------
    method : str
        "minimax", "vi_lcb_bernstein", "vi_lcb_split", "lcb_q" or "vr_q_lcb".
    epsilon : (...) array_like of float
        Accuracy, positive.
    cstar : (...) array_like of float
        :math:`C^*` (clipped where the source has it so), positive.
    states : int
        S.
    discount : (...) array_like of float
        :math:`\gamma`, in [0, 1).

    Returns
    -------
    (...) float
        :math:`S C^*(1-\gamma)^{-x}\varepsilon^{-2}`: x = 3 for "minimax" and Bernstein widths with all samples reused,
        5 for Hoeffding widths with folds and for Q-learning; with variance reduction
        :math:`S C^*[(1-\gamma)^{-3}\varepsilon^{-2} + (1-\gamma)^{-4}\varepsilon^{-1}]`.

    See Also
    --------
    pessimism.mdp.bounds.episodic_rate : The same for a finite horizon.
    pessimism.mdp.rules.vi_lcb.vi_lcb : Hoeffding widths, with folds by `split`.
    pessimism.mdp.rules.vi_lcb_bernstein.vi_lcb_bernstein : Bernstein widths.
    pessimism.mdp.rules.lcb_q.lcb_q : Q-learning.

    Notes
    -----
    Orders without constants and logarithms.

    :Status: published, as orders; the powers 5 are as other works list them.
    :Source: Li et al. (2022), arXiv:2204.05275, for "minimax" and both VI-LCB; Yan et al. (2023) for Q-learning.

    Examples
    --------
    >>> (discounted_rate("vi_lcb_split", 0.1, 2, 5, 0.9) / discounted_rate("minimax", 0.1, 2, 5, 0.9)).round(6).item()
    100.0
    """
    return _sample_rate(DISCOUNTED, method, epsilon, cstar, states, _effective_horizon(discount), "discount")


def episodic_rate(method: str, epsilon: ArrayLike, cstar: ArrayLike, states: int, horizon: ArrayLike) -> Floats:
    r"""Rate of the transitions, H times the episodes, that a method needs to be epsilon-optimal, finite horizon.

    Parameters
    ----------
    method : str
        "minimax", "vi_lcb_subsampled", "vi_lcb_split", "lcb_q", "lcb_q_advantage" or "pevi_adv".
    epsilon, cstar, states : as for `discounted_rate`
        Accuracy, :math:`C^*`, a maximum over steps, and S.
    horizon : (...) array_like of int
        H.

    Returns
    -------
    (...) float
        :math:`S C^* H^x\varepsilon^{-2}`, x = 4 for "minimax" and the subsampled VI-LCB, 6 for H folds with Hoeffding
        widths and for Q-learning; with reference and advantage a second term :math:`S C^* H^y\varepsilon^{-1}`, y = 5
        ("lcb_q_advantage") or 6.5 ("pevi_adv").

    See Also
    --------
    pessimism.mdp.bounds.discounted_rate : The same for discounted models.
    pessimism.mdp.rules.vi_lcb_episodic.vi_lcb_episodic : The rule, with `subsample`.
    pessimism.mdp.rules.lcb_q.lcb_q : Q-learning.

    Notes
    -----
    Orders without constants and logarithms; transitions change with the step. K episodes are KH transitions: divide by
    H to compare with counts of episodes.

    :Status: published, as orders; the powers 6 and the second term of "pevi_adv" are as other works list them.
    :Source: Li et al. (2022), arXiv:2204.05275; Shi et al. (2022) for Q-learning; Xie et al. (2021) for the H folds and
        "pevi_adv".

    Examples
    --------
    >>> (episodic_rate("vi_lcb_split", 0.1, 2, 5, 10) / episodic_rate("minimax", 0.1, 2, 5, 10)).round(6).item()
    100.0
    """
    length = _check.real_array("horizon", horizon, low=1.0)
    return _sample_rate(EPISODIC, method, epsilon, cstar, states, length, "horizon")


def horizon_exponent(widths: str, *, split: bool) -> float:
    r"""Power of :math:`1/(1-\gamma)` in the loss of VI-LCB at a given N.

    Parameters
    ----------
    widths : str
        "hoeffding" or "bernstein".
    split : bool
        Whether every iteration has a fold of its own.

    Returns
    -------
    float
        3/2, plus 1/2 for Hoeffding's widths, plus 1/2 for splitting.

    See Also
    --------
    pessimism.mdp.bounds.discounted_rate : Numbers of transitions with these exponents.
    pessimism.mdp.rules.vi_lcb.vi_lcb : Hoeffding widths.
    pessimism.mdp.rules.vi_lcb_bernstein.vi_lcb_bernstein : Bernstein widths.
    simulations.mdp_horizon : Figure of measured exponents.

    Notes
    -----
    Li et al. state both gains: from :math:`(1-\gamma)^{-5}` samples (Hoeffding, split) to :math:`(1-\gamma)^{-3}`
    (Bernstein, all samples reused), which is also the exponent 3/2 of `minimax_lower`. That Hoeffding's widths without
    splitting have 2 is how the product splits up, not a theorem for that rule.

    :Status: published (the two ends).
    :Source: Li et al. (2022), arXiv:2204.05275.

    Examples
    --------
    >>> horizon_exponent("bernstein", split=False), horizon_exponent("hoeffding", split=True)
    (1.5, 2.5)
    """
    hoeffding = _check.choice("widths", widths, ("hoeffding", "bernstein")) == "hoeffding"
    return 1.5 + 0.5 * hoeffding + 0.5 * _check.flag("split", split)


def no_update(counts: ArrayLike, level: ArrayLike, discount: float) -> NDArray[np.bool_]:
    r"""Whether Hoeffding's VI-LCB is certain to return its start policy, the most played actions.

    Parameters
    ----------
    counts : (..., S, A) array_like of int
        Visits; with splitting those of every fold, and all folds must answer True.
    level : (...) array_like of float
        L of the widths :math:`b = \sqrt{L/(N(s,a) \vee 1)}/(1-\gamma)`, at least 0.
    discount : float
        :math:`\gamma`, in [0, 1).

    Returns
    -------
    (...) bool
        True where :math:`\max_{s,a} N(s,a) \le L/(1-\gamma)^2`.

    See Also
    --------
    pessimism.mdp.rules.vi_lcb.vi_lcb : The rule, whose status is then NO_UPDATE.

    Notes
    -----
    Then every width of a visited pair is at least 1, rewards are at most 1 and the iteration starts at V = 0: no pair
    has a positive index, and VI-LCB changes its policy only where V rises. (Unvisited pairs have reward 0 and a
    positive width.) The converse does not hold. Even with L = 10 and :math:`\gamma = 0.9` some pair needs more than
    1000 visits a fold. Exact, up to 1e-12 of the threshold.

    :Status: derived.
    :Source: our derivation.

    Examples
    --------
    >>> no_update([[[1000, 3]], [[1001, 0]]], 10.0, 0.9).tolist()
    [True, False]
    """
    visits, lvl = _check.whole_array("counts", counts), _check.real_array("level", level, low=0.0)
    if visits.ndim < 2:
        raise ValueError(f"counts must have shape (..., states, actions), got {visits.shape}")
    h = _effective_horizon(_check.scalar("discount", discount))
    largest = np.asarray(visits.max(axis=(-2, -1), initial=0))
    _check.broadcast("counts and level", largest.shape, lvl.shape)
    return np.asarray(largest <= lvl * h**2 * (1.0 + 1e-12))


def plug_in_failure_loss(discount: ArrayLike, stay: ArrayLike) -> Floats:
    r"""Smallest loss of plug-in planning on `instances.plug_in_failure` as N grows: constant, though C* tends to 1.

    Parameters
    ----------
    discount : (...) array_like of float
        :math:`\gamma`, in (1/2, 1).
    stay : (...) array_like of float
        Probability q with which the action that was hardly tried stays, in [0, 1].

    Returns
    -------
    (...) float
        :math:`\bigl(\frac1{2(1-\gamma)} - \frac1{1-\gamma q}\bigr)(e^{q-1}-e^{-1})`; NaN where q is not below
        :math:`(2\gamma-1)/\gamma`.

    See Also
    --------
    pessimism.mdp.rules.plug_in.plug_in : The rule.
    pessimism.mdp.instances.plug_in_failure : The instance.

    Notes
    -----
    The worse action was logged a Poisson number of times with mean 1 and never left, so its empirical value is the
    largest there is. More is lost where it left and is ahead all the same: at the default q of the instance twice as
    much at :math:`\gamma = 0.6`, 6 % more at 0.75, 1 % at 0.8, less than 0.01 % from 0.9 on.

    :Status: derived.
    :Source: our derivation.

    Examples
    --------
    >>> plug_in_failure_loss(0.9, 0.65).round(3).item()
    0.872
    """
    h, q = _effective_horizon(discount), _check.real_array("stay", stay, low=0.0, high=1.0)
    _check.broadcast("discount and stay", h.shape, q.shape)
    gamma = 1.0 - 1.0 / h
    _check.require("discount", gamma, gamma > 0.5, "in (0.5, 1)")
    lost = 0.5 * h - 1.0 / (1.0 - gamma * q)
    return _bound.where(lost > 0.0, lost * (np.exp(q - 1.0) - math.exp(-1.0)))


def vi_lcb_bias(n: ArrayLike, cstar: ArrayLike, replicas: int, discount: ArrayLike, level: ArrayLike) -> Floats:
    r"""What VI-LCB without splitting loses on `instances.vi_lcb_failure` because the better action is logged less.

    Parameters
    ----------
    n, cstar : (...) array_like of float
        N, the logged transitions, at least 1, and :math:`C^*`, greater than 1.
    replicas : int
        R.
    discount, level : (...) array_like of float
        :math:`\gamma`, in (1/2, 1), and L, at least 0 and finite.

    Returns
    -------
    (...) float
        :math:`V_1(b_1-b_2)`, :math:`V_1 = \frac1{2(1-\gamma)}`, :math:`b_a = \frac1{1-\gamma}\sqrt{L/n_a}`,
        :math:`n_1 = \frac N{2RC^*}`, :math:`n_2 = \frac NR(1-\frac1{C^*})`; 0 for C* <= 3/2.

    See Also
    --------
    pessimism.mdp.bounds.vi_lcb_normal_prediction : Prediction that counts the noise too.
    pessimism.mdp.rules.vi_lcb.vi_lcb : The rule, without `split`.
    pessimism.mdp.instances.vi_lcb_failure : The instance.
    simulations.mdp_horizon : Draws it against the horizon.

    Notes
    -----
    Counts at their means, first order in the widths: :math:`(1-\gamma)^{-2}\sqrt{RC^*L/N}` up to a constant. A fresh
    fold for each of T iterations multiplies it by :math:`\sqrt T`.

    :Status: prediction.
    :Source: our derivation, to first order in the widths.

    Examples
    --------
    >>> vi_lcb_bias(10**7, 4.0, 1, 0.9, 1.0).round(4).item()
    0.0265
    """
    _, value, widths, _ = _stay_exit(n, cstar, replicas, discount, level)
    return np.asarray(np.maximum(0.0, value * (widths[0] - widths[1])))


def vi_lcb_normal_prediction(
    n: ArrayLike, cstar: ArrayLike, replicas: int, discount: ArrayLike, level: ArrayLike
) -> Floats:
    r"""Finite-N prediction of the worst loss of VI-LCB without splitting on `instances.stay_exit`; level 0 is plug-in.

    Parameters
    ----------
    n, cstar, replicas, discount, level : as for `vi_lcb_bias`
        N, :math:`C^*`, R, :math:`\gamma` and L.

    Returns
    -------
    (...) float
        :math:`\sup_g g\,\bar\Phi\bigl(\frac{(1-b_2)g-(b_1-b_2)V_1}{\sigma}\bigr)` with
        :math:`\sigma^2 = \gamma^2V_1^4\,p^*(1-p^*)\bigl(\frac{(1-b_1)^2}{n_1}+\frac{(1-b_2)^2}{n_2}\bigr)` and the
        symbols of `vi_lcb_bias`; NaN where a width is 1 or more and the rule goes by counts.

    See Also
    --------
    pessimism.mdp.exact.worst_case : The exact worst loss over it.
    pessimism.mdp.rules.vi_lcb.vi_lcb : The rule, without `split`.
    pessimism.mdp.instances.stay_exit : The family of instances.
    simulations.mdp_rates : Figure of both against N.

    Notes
    -----
    Delta method for the index :math:`(1-b)/(1-\gamma\hat p)`, counts at their means. For L = 0 it is
    :math:`0.17\sigma`, of order :math:`(1-\gamma)^{-3/2}\sqrt{RC^*/N}`. Compare measured slopes with this curve, not
    with its asymptote.

    :Status: prediction.
    :Source: our derivation, by the delta method.

    Examples
    --------
    >>> vi_lcb_normal_prediction(10**6, 4.0, 1, 0.9, [0.0, 1.0]).round(4).tolist()
    [0.0037, 0.0534]
    """
    return _worst_gap(n, cstar, replicas, discount, level)[0]


def vi_lcb_normal_gap(n: ArrayLike, cstar: ArrayLike, replicas: int, discount: ArrayLike, level: ArrayLike) -> Floats:
    r"""The gap in value at which `vi_lcb_normal_prediction` attains its supremum.

    Parameters
    ----------
    n, cstar, replicas, discount, level : as for `vi_lcb_bias`
        N, :math:`C^*`, R, :math:`\gamma` and L.

    Returns
    -------
    (...) float
        :math:`V_1 - V_2`; 0.7518 sigma for L = 0. May exceed :math:`V_1 - 1`, the largest gap there is, at small N.
        NaN where a width is 1 or more.

    See Also
    --------
    pessimism.mdp.bounds.vi_lcb_normal_prediction : The supremum.
    pessimism.mdp.instances.simulation.vi_lcb_failure : The member of the family with this gap.
    pessimism.mdp.rules.vi_lcb.vi_lcb : The rule, without `split`.

    Notes
    -----
    The maximiser g of the product in `vi_lcb_normal_prediction`, by the same approximation.

    :Status: prediction.
    :Source: our derivation, by the delta method.

    Examples
    --------
    >>> vi_lcb_normal_gap(10**6, 4.0, 1, 0.9, 0.0).round(4).item()
    0.0162
    """
    return _worst_gap(n, cstar, replicas, discount, level)[1]


def _stay_exit(
    n: ArrayLike, cstar: ArrayLike, replicas: int, discount: ArrayLike, level: ArrayLike
) -> tuple[Floats, Floats, list[Floats], list[Floats]]:
    """Discount, value of the better action, widths and expected counts of both actions."""
    rounds, c, h = _bound.rounds(n), _bound.concentrability(cstar), _effective_horizon(discount)
    _check.require("cstar", c, c > 1.0, "greater than 1")
    gamma = 1.0 - 1.0 / h
    _check.require("discount", gamma, gamma > 0.5, "in (0.5, 1)")
    lvl, count = _check.real_array("level", level, low=0.0), _check.whole("replicas", replicas, low=1)
    _check.broadcast("n, cstar, discount and level", rounds.shape, c.shape, h.shape, lvl.shape)
    visits = [np.asarray(rounds / (2.0 * count * c)), np.asarray(rounds * (c - 1.0) / (c * count))]
    return gamma, np.asarray(0.5 * h), [np.asarray(h * np.sqrt(lvl / m)) for m in visits], visits


def _worst_gap(
    n: ArrayLike, cstar: ArrayLike, replicas: int, discount: ArrayLike, level: ArrayLike
) -> tuple[Floats, Floats]:
    """The supremum of `vi_lcb_normal_prediction` and the gap g that attains it; NaN where a width is 1 or more."""
    gamma, value, (b1, b2), visits = _stay_exit(n, cstar, replicas, discount, level)
    certain = (b1 < 1.0) & (b2 < 1.0)
    b1, b2 = np.where(certain, b1, 0.0), np.where(certain, b2, 0.0)
    spread = (2.0 * gamma - 1.0) * (1.0 - gamma) / gamma**2
    sigma = gamma * value**2 * np.sqrt(spread * ((1.0 - b1) ** 2 / visits[0] + (1.0 - b2) ** 2 / visits[1]))
    shift = -value * (b1 - b2) / sigma

    z, tail = _bound.normal_peak(shift)
    gap = sigma * z / (1.0 - b2)
    return _bound.where(certain, gap * tail), _bound.where(certain, gap)


def _sample_rate(
    table: dict[str, tuple[float, float | None]],
    method: str,
    epsilon: ArrayLike,
    cstar: ArrayLike,
    states: int,
    length: Floats,
    of: str,
) -> Floats:
    first, second = table[_check.choice("method", method, tuple(table))]
    small, c = _epsilon(epsilon), _check.real_array("cstar", cstar, low=0.0)
    _check.broadcast(f"epsilon, cstar and {of}", small.shape, c.shape, length.shape)
    with np.errstate(over="ignore"):  # infinite where float64 ends
        total = length**first / small**2 + (0.0 if second is None else length**second / small)
        return np.asarray(_states(states) * c * total)


def value_markov(
    mdp: MDP, policy: ArrayLike, behavior: ArrayLike, n: ArrayLike, *, known_start: bool = False
) -> Floats:
    r"""Asymptotic lower bound on the mean squared error of any regular estimator of a value from episodes.

    Parameters
    ----------
    mdp : MDP
        A single model with a horizon.
    policy : ([H,] S) array_like of int or ([H,] S, A) array_like of float
        The policy :math:`\pi` that is judged.
    behavior : ([H,] S) array_like of int or ([H,] S, A) array_like of float
        The policy b that makes the episodes: a law over actions for every state.
    n : (...) array_like of float
        Episodes, at least 1.
    known_start : bool
        The law of the first state is known and used.

    Returns
    -------
    (...) float
        :math:`\frac1n\bigl(\mathrm{Var}_\rho V_0 + \sum_h \gamma^{2h} \sum \frac{(d^\pi_h)^2}{d^b_h} s_h^2\bigr)` with
        :math:`s_h^2 = \mathrm{Var}(r + \gamma V_{h+1}(s') | s, a)`; with a known start without its variance. Infinite
        if the policy reaches a pair that the behavior never plays.

    See Also
    --------
    pessimism.mdp.estimators.model_based : Attains it.
    pessimism.mdp.bounds.value_tree : Where the history may matter.
    pessimism.mdp.bounds.value_pooled : Where all steps are alike.

    Notes
    -----
    The world is Markov, and every step may have its own dynamics. Knowing the behavior does not lower it. At finite n a
    biased estimator may be below it. That the three regimes differ is in the abstract of Kallus and Uehara (2020) on
    double reinforcement learning; the formulas are ours.

    :Status: derived.
    :Source: our derivation by the delta method, for finitely many states and actions.

    Examples
    --------
    >>> from pessimism.mdp import MDP, bounds
    >>> mdp = MDP.dense([[[1.0], [1.0]]], [[0.5, 0.5]], horizon=3, reward_law="bernoulli")
    >>> round(float(bounds.value_markov(mdp, [1], [[0.5, 0.5]], 100)), 9)
    0.015
    """
    world, rounds = OffPolicy(mdp, policy, behavior), _bound.rounds(n)
    met, seen = (variance.laws(world.steps, world.start, x, world.horizon) for x in (world.target, world.logged))
    weight = met * variance.weights(met, seen)
    parts = efficiency.of_steps(world.steps, world.start, world.target, weight, world.discount, world.horizon)
    return _efficient(world, parts, rounds, known_start)


def value_tree(mdp: MDP, policy: ArrayLike, behavior: ArrayLike, n: ArrayLike, *, known_start: bool = False) -> Floats:
    r"""The same bound for estimators that do not use that the world is Markov: the curse of the horizon.

    Parameters
    ----------
    mdp, policy, behavior, n, known_start : as for `value_markov`
        A single model with a horizon, the policy that is judged, the one that makes the episodes, their number, and
        whether the law of the first state is known.

    Returns
    -------
    (...) float
        :math:`\frac1n\bigl(\mathrm{Var}_\rho V_0 + \sum_h \gamma^{2h} E_b[W_h^2 s_h^2]\bigr)`.

    See Also
    --------
    pessimism.mdp.estimators.doubly_robust : Has exactly this variance, at every n, with the right Q.
    pessimism.mdp.risk.growth_rate : How fast it grows.

    Notes
    -----
    A world in which the next state may depend on the whole history is Markov on the tree of histories, where the
    marginal weights are the :math:`W_h`. See `value_markov`.

    :Status: derived.
    :Source: our derivation by the delta method, on the tree of histories.

    Examples
    --------
    >>> from pessimism.mdp import MDP, bounds
    >>> mdp = MDP.dense([[[1.0], [1.0]]], [[0.5, 0.5]], horizon=3, reward_law="bernoulli")
    >>> round(float(bounds.value_tree(mdp, [1], [[0.5, 0.5]], 100)), 9)
    0.035
    """
    world, rounds = OffPolicy(mdp, policy, behavior), _bound.rounds(n)
    return _efficient(world, variance.corrected(*world.whole, exact=True), rounds, known_start)


def value_pooled(
    mdp: MDP, policy: ArrayLike, behavior: ArrayLike, n: ArrayLike, *, known_start: bool = False
) -> Floats:
    r"""The same bound where all steps are known to have the same dynamics, so that they share one table.

    Parameters
    ----------
    mdp : MDP
        A single model with a horizon that is the same at all steps. The policies may change with the step.
    policy, behavior, n, known_start : as for `value_markov`
        The policy that is judged, the one that makes the episodes, their number, and whether the law of the first
        state is known.

    Returns
    -------
    (...) float
        :math:`\frac1n\bigl(\mathrm{Var}_\rho V_0 + \sum_{s,a} \mathrm{Var}(Y | s, a) / \sum_h d^b_h(s, a)\bigr)` with
        :math:`Y = \sum_h \gamma^h d^\pi_h(s, a) (r + \gamma V_{h+1}(s'))`.

    See Also
    --------
    pessimism.mdp.estimators.model_based : Attains it, from data whose steps are added up, with ``horizon=``.
    pessimism.mdp.bounds.value_markov : With a table for every step.

    Notes
    -----
    One transition tells of all steps at once: Y is what it moves the value by. At small n the plug-in, which is biased
    here, may be below it. See `value_markov`.

    :Status: derived.
    :Source: our derivation by the delta method.

    Examples
    --------
    >>> from pessimism.mdp import MDP, bounds
    >>> mdp = MDP.dense([[[1.0], [1.0]]], [[0.5, 0.5]], horizon=3, reward_law="bernoulli")
    >>> round(float(bounds.value_pooled(mdp, [1], [[0.5, 0.5]], 100)), 9)
    0.015
    """
    world, rounds = OffPolicy(mdp, policy, behavior), _bound.rounds(n)
    if not world.steps.stationary:
        raise ValueError("mdp must be the same at all steps for its transitions to be pooled")
    met, seen = (variance.laws(world.steps, world.start, x, world.horizon) for x in (world.target, world.logged))
    visits = seen.sum(axis=0)
    parts = efficiency.pooled(world.steps, world.start, world.target, met, visits, world.discount, world.horizon)
    return _efficient(world, parts, rounds, known_start)


def value_pairs(mdp: MDP, policy: ArrayLike, behavior: ArrayLike, n: ArrayLike) -> Floats:
    r"""The same bound for independent transitions of a discounted model; the start law is known.

    Parameters
    ----------
    mdp : MDP
        A single model without a horizon.
    policy : (S,) array_like of int or (S, A) array_like of float
        The policy :math:`\pi` that is judged.
    behavior : (S, A) array_like of float
        Joint law :math:`\mu` of the logged pairs.
    n : (...) array_like of float
        Transitions, at least 1.

    Returns
    -------
    (...) float
        :math:`\frac1{n(1-\gamma)^2} \sum \frac{(d^\pi)^2}{\mu} \mathrm{Var}(r + \gamma V(s') | s, a)`. Infinite if
        :math:`\mu` is 0 where the policy comes.

    See Also
    --------
    pessimism.mdp.estimators.model_based : Attains it.

    Notes
    -----
    The plug-in uses its table again and again and is biased at finite n, where it may be below.

    :Status: derived.
    :Source: our derivation by the delta method.

    Examples
    --------
    >>> from pessimism.mdp import MDP, bounds
    >>> mdp = MDP.dense([[[1.0], [1.0]]], [[0.5, 0.5]], discount=0.5, reward_law="bernoulli")
    >>> round(float(bounds.value_pairs(mdp, [1], [[0.5, 0.5]], 100)), 9)
    0.02
    """
    _check.instance("mdp", mdp, MDP)
    if mdp.horizon is not None or mdp.shape:
        raise ValueError("mdp must be a single model without a horizon")
    rounds, mu = _bound.rounds(n), mdp.check_behavior(behavior)
    law = as_law(mdp.check_policy(policy), mdp.n_actions)
    if mu.ndim != 2 or law.ndim != 2:
        raise ValueError(f"policy and behavior must be single laws, got batches {law.shape[:-2]} and {mu.shape[:-2]}")
    steps, d = variance.Steps(mdp.tables, mdp.rewards, mdp.reward_law), mdp.occupancy(law)
    value, step = mdp.evaluate(law), steps.at(0)
    noise = step.spread(value, step.mean(value), mdp.discount)
    played = (d > 0.0) & ~mdp.terminal[:, None]
    weight = np.divide(d, mu, out=np.full(d.shape, math.inf), where=mu > 0.0)
    if np.any(played & (mu == 0.0)):
        return np.full(rounds.shape, math.inf)
    total = np.where(played, d * np.where(played, weight, 0.0) * noise, 0.0).sum()
    return np.asarray(total / (1.0 - mdp.discount) ** 2 / rounds)


def _efficient(world: OffPolicy, parts: tuple[float, float], rounds: Floats, known_start: bool) -> Floats:
    """The variance of the steps, plus that of the start unless its law is known, divided by n."""
    total = parts[0] if _check.flag("known_start", known_start) else sum(parts)
    return np.asarray((total if world.uncovered() is None else math.inf) / rounds)


def _states(states: int, low: int = 1) -> int:
    return _check.whole("states", states, low=low)


def _epsilon(epsilon: ArrayLike) -> Floats:
    small = _check.real_array("epsilon", epsilon)
    _check.require("epsilon", small, small >= 1.0 / _check.MAX_SIZE, "positive, at least 1e-150")
    return small


def _effective_horizon(discount: ArrayLike) -> Floats:
    gamma = _check.real_array("discount", discount, low=0.0)
    _check.require("discount", gamma, gamma < 1.0, "in [0, 1)")
    return np.asarray(1.0 / (1.0 - gamma))
