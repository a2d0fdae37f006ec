r"""What an estimator of a value gets wrong, exactly, when the log is of episodes.

A log holds n independent episodes of an `MDP` with a horizon H, made by a behavior policy :math:`b_h(a|s)`. An estimate
T of the value :math:`J(\pi)` has the bias :math:`E[T] - J` and the variance :math:`E[T^2] - E[T]^2` (`Risk`). With the
ratios :math:`u_t = \pi/b`, their products :math:`W_t = u_0 \cdots u_t` and :math:`k = \pi^2/b` all are recursions from
the last step to the first, one product with the transitions a step:

==============================  ===================================================================================
function                        estimator whose risk it is
==============================  ===================================================================================
`trajectory_is_risk`            :math:`W_{H-1} G`, the whole weight times the whole return
`per_decision_is_risk`          :math:`\sum_t \gamma^t W_t r_t`
`doubly_robust_risk`            :math:`\sum_t \gamma^t [W_{t-1} \hat V(s_t) + W_t (r_t - \hat Q(s_t, a_t))]`
`marginal_weights_risk`         :math:`\sum_t \gamma^t w_t r_t` with the true :math:`w_h = d^\pi_h/d^b_h`
`weighted_is_risk`              :math:`\sum_i W G / \sum_i W`
`fixed_counts_risk`             the plug-in value of a model with a given number of transitions of every pair and step
==============================  ===================================================================================

The weights themselves: `log_second_moments` are :math:`\log E W_t^2`, which rise by the logarithm of `growth_rate` a
step: the curse of the horizon, as a number. Per-decision sums stay bounded in H where :math:`\gamma^2` times that rate
is below 1; the whole weight never does unless :math:`\pi = b`.

An episode that has ended stays where it is, with ratio 1 and reward 0. A state and step that the policy does not reach
needs no support; any other pair that the behavior never plays is refused. Smallest possible variances, by what is known
of the world: `value_markov`, `value_tree`, `value_pooled` and `value_pairs` in `pessimism.mdp.bounds`.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._risk import Risk, ratio_moments
from pessimism._types import Floats
from pessimism.mdp._engine import efficiency, paths, variance
from pessimism.mdp._off_policy import OffPolicy, judged, per_step
from pessimism.mdp.model import MDP

__all__ = [
    "Risk",
    "doubly_robust_risk",
    "fixed_counts_risk",
    "growth_rate",
    "log_second_moments",
    "marginal_weights_risk",
    "per_decision_is_risk",
    "trajectory_is_risk",
    "weighted_is_risk",
]

MOST_WEIGHTS = 5_000
"""Largest number of different (state, weight) that `weighted_is_risk` follows."""


def trajectory_is_risk(mdp: MDP, policy: ArrayLike, behavior: ArrayLike, *, n: ArrayLike) -> Risk:
    r"""Exact risk of `pessimism.mdp.estimators.trajectory_is`, at any n.

    Parameters
    ----------
    mdp : MDP
        A single model with a horizon.
    policy : ([H,] S) array_like of int or ([H,] S, A) array_like of float
        The policy :math:`\pi` that is judged.
    behavior : ([H,] S) array_like of int or ([H,] S, A) array_like of float
        The policy b that makes the episodes: a law over actions for every state, not the joint law.
    n : (...) array_like of int
        Episodes, at least 1.

    Returns
    -------
    Risk
        Of the shape of n, in reward units. The bias is 0. A variance beyond float64 is infinite; `log_second_moments`
        has its growth in logarithms.

    Raises
    ------
    ValueError
        If the policy reaches a pair that the behavior never plays: the message names step, state and action.

    See Also
    --------
    pessimism.mdp.risk.per_decision_is_risk : Weights up to the reward only.

    Notes
    -----
    :math:`n \mathrm{Var} = E C_0 - J^2` with, from :math:`A = 1`, :math:`B = C = 0` at the end,
    :math:`A = \sum_a k P A'`, :math:`B = \sum_a k (r P A' + \gamma P B')` and
    :math:`C = \sum_a k [(v + r^2) P A' + 2\gamma r P B' + \gamma^2 P C']`, where v is the variance of the reward.
    Derived here. Cost O(HSAB).

    Examples
    --------
    >>> from pessimism.mdp import MDP, risk
    >>> mdp = MDP.dense([[[1.0], [1.0]]], [[0.0, 1.0]], horizon=3)
    >>> risk.trajectory_is_risk(mdp, [1], [[0.5, 0.5]], n=[1, 9]).variance.tolist()
    [63.0, 7.0]
    """
    return _unbiased(variance.whole_path(*_supported(mdp, policy, behavior).whole), n)


def per_decision_is_risk(mdp: MDP, policy: ArrayLike, behavior: ArrayLike, *, n: ArrayLike) -> Risk:
    r"""Exact risk of `pessimism.mdp.estimators.per_decision_is`, at any n.

    Parameters
    ----------
    mdp, policy, behavior, n : as for `trajectory_is_risk`
        A single model with a horizon, the policy that is judged, the one that makes the episodes, and their number.

    Returns
    -------
    Risk
        Of the shape of n, in reward units. The bias is 0.

    Raises
    ------
    ValueError
        As for `trajectory_is_risk`.

    Notes
    -----
    `doubly_robust_risk` with a model of zeros. It stays bounded in H where :math:`\gamma^2` times `growth_rate` is
    below 1. Derived here. Cost O(HSAB).

    Examples
    --------
    >>> from pessimism.mdp import MDP, risk
    >>> mdp = MDP.dense([[[1.0], [1.0]]], [[0.0, 1.0]], horizon=3)
    >>> float(risk.per_decision_is_risk(mdp, [1], [[0.5, 0.5]], n=1).variance)
    21.0
    """
    return _unbiased(sum(variance.corrected(*_supported(mdp, policy, behavior).whole)), n)


def doubly_robust_risk(mdp: MDP, policy: ArrayLike, behavior: ArrayLike, *, n: ArrayLike, q: ArrayLike) -> Risk:
    r"""Exact risk of `pessimism.mdp.estimators.doubly_robust`, at any n, for a Q that is not from the log.

    Parameters
    ----------
    mdp, policy, behavior, n : as for `trajectory_is_risk`
        A single model with a horizon, the policy that is judged, the one that makes the episodes, and their number.
    q : (H, S, A) or (S, A) array_like of float
        :math:`\hat Q_h(s, a)`, in reward units: what is to come from a pair on. Taken as 0 in terminal states.

    Returns
    -------
    Risk
        Of the shape of n, in reward units. The bias is 0 for every Q.

    Raises
    ------
    ValueError
        As for `trajectory_is_risk`.

    See Also
    --------
    pessimism.mdp.bounds.value_tree : What it is with the right Q.

    Notes
    -----
    :math:`n \mathrm{Var} = E M_0 + \mathrm{Var}_\rho V_0` with
    :math:`M_h = \sum_a k [s^2 + (Q - \hat Q)^2] - (V - \hat V)^2 + \gamma^2 \sum_a k P M_{h+1}`, where
    :math:`s^2 = \mathrm{Var}(r + \gamma V_{h+1}(s') | s, a)`. Derived here; a recursion of this kind is recalled from
    Jiang and Li (2016), whose text has not been checked. The difference of squares is computed as one variance over
    the actions, so that small ones keep their digits. Cost O(HSAB).

    Examples
    --------
    >>> from pessimism.mdp import MDP, risk
    >>> mdp = MDP.dense([[[1.0], [1.0]]], [[0.0, 1.0]], horizon=3)
    >>> right = [[[2.0, 3.0]], [[1.0, 2.0]], [[0.0, 1.0]]]
    >>> float(risk.doubly_robust_risk(mdp, [1], [[0.5, 0.5]], n=1, q=right).variance)
    0.0
    """
    world = _supported(mdp, policy, behavior)
    model = np.where(mdp.terminal[:, None], 0.0, per_step(mdp, "q", q))
    return _unbiased(sum(variance.corrected(*world.whole, model=model)), n)


def marginal_weights_risk(mdp: MDP, policy: ArrayLike, behavior: ArrayLike, *, n: ArrayLike) -> Risk:
    r"""Exact risk of rewards weighted by the true marginal ratios, :math:`\frac1n\sum_i\sum_h \gamma^h w_h r_h`.

    Parameters
    ----------
    mdp, policy, behavior, n : as for `trajectory_is_risk`
        A single model with a horizon, the policy that is judged, the one that makes the episodes, and their number.

    Returns
    -------
    Risk
        Of the shape of n, in reward units. The bias is 0.

    Raises
    ------
    ValueError
        As for `trajectory_is_risk`.

    See Also
    --------
    pessimism.mdp.estimators.marginalised : With estimated ratios, which is better, not worse.

    Notes
    -----
    :math:`w_h = d^\pi_h/d^b_h` is known to nobody who needs an estimate. It shows that the weights of states do not
    explode: their size is at most the largest :math:`C^*_h`, whatever H. The variance is that of the return of the
    behavior with the rewards :math:`w_h r_h`. Derived here. Cost O(HSAB).

    Examples
    --------
    >>> from pessimism.mdp import MDP, risk
    >>> mdp = MDP.dense([[[1.0], [1.0]]], [[0.0, 1.0]], horizon=3)
    >>> float(risk.marginal_weights_risk(mdp, [1], [[0.5, 0.5]], n=1).variance)
    3.0
    """
    world = _supported(mdp, policy, behavior)
    steps, start, target, logged = world.pair
    met, seen = (variance.laws(steps, start, x, world.horizon) for x in (target, logged))
    ratio = variance.weights(met, seen)
    found = variance.corrected(steps, start, logged, logged, world.discount, world.horizon, scale=ratio)
    return _unbiased(sum(found), n)


def weighted_is_risk(mdp: MDP, policy: ArrayLike, behavior: ArrayLike, *, n: ArrayLike) -> Risk:
    r"""Exact risk of `pessimism.mdp.estimators.weighted_is`, at any n.

    Parameters
    ----------
    mdp, policy, behavior, n : as for `trajectory_is_risk`
        A single model with a horizon, the policy that is judged, the one that makes the episodes, and their number.

    Returns
    -------
    Risk
        Of the shape of n, in reward units, given that an episode has a positive weight; `undefined` is the probability
        :math:`P(W = 0)^n` that none has.

    Raises
    ------
    ValueError
        As for `trajectory_is_risk`, or if there are more than 5,000 different (state, weight) to follow.

    See Also
    --------
    pessimism.bandits.risk.ratio_risk : The case H = 1.

    Notes
    -----
    With the law of :math:`(W, G)` and c = G - J the bias is
    :math:`\int_0^\infty n\, E[W c e^{-tW}] \phi(t)^{n-1} dt` for :math:`\phi(t) = E e^{-tW}`, and the second moment
    likewise. Paths that share state and weight are followed as one, with the first two moments of their returns, so
    that few actions and states allow long horizons. Derived here. Cost about 1,000 operations for each weight and n.

    Examples
    --------
    >>> from pessimism.mdp import MDP, risk
    >>> mdp = MDP.dense([[[1.0], [1.0]]], [[0.0, 1.0]], horizon=3, reward_law="bernoulli")
    >>> result = risk.weighted_is_risk(mdp, [[0.5, 0.5]], [[0.8, 0.2]], n=10)
    >>> round(float(result.bias), 4), float(result.undefined)
    (-0.2393, 0.0)
    """
    world, rounds = _supported(mdp, policy, behavior), _check.whole_array("n", n, low=1)
    found = paths.weights_and_returns(*world.whole, MOST_WEIGHTS)
    if found is None:
        raise ValueError(
            f"mdp must have at most {MOST_WEIGHTS:,} different (state, weight) at a step to be exact: draw logs with "
            "sample_log and look at weighted_is over them"
        )
    mean, value = found.first / found.p, _value(world)
    spread = np.maximum(found.second / found.p - mean**2, 0.0)
    out = np.empty((3, *rounds.shape))
    for count in np.unique(rounds).tolist():
        first, second, undefined = ratio_moments(count, found.p, found.log_weight, spread, mean - value)
        defined = 1.0 - undefined
        moments = first / defined, second / defined - (first / defined) ** 2, undefined
        out[:, rounds == count] = np.array(moments)[:, None]
    return Risk(*out)


def fixed_counts_risk(mdp: MDP, policy: ArrayLike, counts: ArrayLike) -> Risk:
    r"""Exact risk of `pessimism.mdp.estimators.model_based` at given counts of every pair and step; the start is known.

    Parameters
    ----------
    mdp : MDP
        A single model with a horizon.
    policy : ([H,] S) array_like of int or ([H,] S, A) array_like of float
        The policy that is judged.
    counts : (H, S, A) array_like of int
        Transitions drawn from every pair at every step, as by `MDP.sample_at`; positive where the policy comes.

    Returns
    -------
    Risk
        In reward units. The bias is 0: every table is used once.

    Raises
    ------
    ValueError
        If the policy reaches a pair and step without transitions.

    Notes
    -----
    The covariance over states of the estimated values,
    :math:`\Sigma_h = \gamma^2 P_\pi \Sigma P_\pi^\top + \mathrm{diag}\bigl(\sum_a \tfrac{\pi^2}{N}
    [s^2 + \gamma^2 (P\, \mathrm{diag}\Sigma - P \Sigma P^\top)]\bigr)`. A table that serves several steps, or a
    discounted fixed point, is used more than once: then the plug-in is biased upwards. Derived here. Cost O(HS^2(A+S)).

    Examples
    --------
    >>> from pessimism.mdp import MDP, risk
    >>> mdp = MDP.dense([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], [1, 0], horizon=2)
    >>> round(float(risk.fixed_counts_risk(mdp, [0, 0], [[[10], [1]], [[5], [1]]]).variance), 9)
    0.025
    """
    steps, target = judged(mdp, policy)
    visits = _check.whole_array("counts", counts)
    horizon = mdp.horizon or 0
    if visits.shape != (horizon, mdp.n_states, mdp.n_actions):
        shape = (horizon, mdp.n_states, mdp.n_actions)
        raise ValueError(f"counts must have shape (H, S, A) = {shape}, got {visits.shape}")
    known = np.where(mdp.terminal[:, None], 1, visits)
    lacking = variance.uncovered(steps, mdp.start, target, known.astype(np.float64), horizon)
    if lacking is not None:
        h, s, a = lacking
        raise ValueError(f"counts[{h}, {s}, {a}] must be positive: the policy takes action {a} there, got 0")
    return _unbiased(variance.fixed_counts(steps, mdp.start, target, known, mdp.discount, horizon), 1)


def log_second_moments(mdp: MDP, policy: ArrayLike, behavior: ArrayLike) -> Floats:
    r"""How the weights grow: :math:`\log E W_t^2` for every step.

    Parameters
    ----------
    mdp, policy, behavior : as for `trajectory_is_risk`
        A single model with a horizon, the policy that is judged and the one that makes the episodes.

    Returns
    -------
    (H,) float
        The natural logarithms; at least 0. About :math:`n / E W_t^2` of n episodes count at step t.

    Raises
    ------
    ValueError
        As for `trajectory_is_risk`.

    Notes
    -----
    :math:`E W_t^2 = \rho K^{t+1} 1` with :math:`K(s, s') = \sum_a k P`. Cost O(HSAB).

    Examples
    --------
    >>> import numpy as np
    >>> from pessimism.mdp import MDP, risk
    >>> mdp = MDP.dense([[[1.0], [1.0]]], [[0.0, 1.0]], horizon=3)
    >>> np.exp(risk.log_second_moments(mdp, [1], [[0.5, 0.5]])).round(9).tolist()
    [2.0, 4.0, 8.0]
    """
    world = _supported(mdp, policy, behavior)
    return variance.second_moments(*world.pair, world.horizon)


def growth_rate(mdp: MDP, policy: ArrayLike, behavior: ArrayLike) -> float:
    r"""Factor by which :math:`E W_t^2` grows a step in the long run: the curse of the horizon.

    Parameters
    ----------
    mdp : MDP
        A single model that is the same at all steps, with a horizon or without.
    policy, behavior : (S,) array_like of int or (S, A) array_like of float
        The policy that is judged and the one that makes the episodes.

    Returns
    -------
    float
        The spectral radius of K on the states that the policy reaches, at least 1 and 1 for :math:`\pi = b`.

    Raises
    ------
    ValueError
        As for `trajectory_is_risk`, or if model or policies change with the step: then see `log_second_moments`.

    Notes
    -----
    :math:`K(s, s') = \sum_a \frac{\pi^2}{b} P`, class by class of states that reach each other: dense up to 700 states
    a class, beyond that by ARPACK. No power of it is formed, so that nothing overflows.

    Examples
    --------
    >>> from pessimism.mdp import MDP, risk
    >>> mdp = MDP.dense([[[1.0], [1.0]]], [[0.0, 1.0]], discount=0.9)
    >>> round(risk.growth_rate(mdp, [1], [[0.5, 0.5]]), 9)
    2.0
    """
    world = OffPolicy(mdp, policy, behavior, horizon=False)
    if not world.steps.stationary or len(world.target) != 1 or len(world.logged) != 1:
        raise ValueError("mdp, policy and behavior must be the same at all steps; log_second_moments takes the others")
    world.require_support()
    return efficiency.radius(*world.pair)


def _supported(mdp: MDP, policy: ArrayLike, behavior: ArrayLike) -> OffPolicy:
    world = OffPolicy(mdp, policy, behavior)
    world.require_support()
    return world


def _value(world: OffPolicy) -> float:
    if world.horizon == 0:
        return 0.0
    return math.fsum(world.start * variance.values(world.steps, world.target, world.discount, world.horizon)[0])


def _unbiased(of_one: float, n: ArrayLike) -> Risk:
    """The risk of an average of n independent terms, from the variance of one."""
    rounds = _check.whole_array("n", n, low=1)
    return Risk(np.zeros(rounds.shape), np.asarray(of_one / rounds), np.zeros(rounds.shape))
