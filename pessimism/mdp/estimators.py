r"""The value of a policy from episodes, or transitions, that another policy made.

A log holds n episodes of H steps of a behavior policy :math:`b_h(a|s)`; wanted is the value
:math:`J = E_\pi \sum_t \gamma^t r_t` of a policy :math:`\pi_h(a|s)`. With the ratios :math:`u_t = \pi/b` of what was
done, the weights :math:`W_t = u_0 \cdots u_t` and the returns :math:`G = \sum_t \gamma^t r_t` the estimators are

============================  ====================================================================================
from `MDPData`                what it computes
============================  ====================================================================================
`model_based`                 the value in the empirical model :math:`(\hat P, \hat r)`, by a backward recursion
`marginalised`                :math:`\sum_h \gamma^h \sum_i \frac{\hat d^\pi_h}{N_h/n} r_i/n`, which is the same number
============================  ====================================================================================

============================  ====================================================================================
from episodes, `Transitions`  what it computes
============================  ====================================================================================
`trajectory_is`               :math:`\frac1n \sum_i W_{H-1} G`
`per_decision_is`             :math:`\frac1n \sum_i \sum_t \gamma^t W_t r_t`
`weighted_is`                 :math:`\sum_i W_{H-1} G / \sum_i W_{H-1}`
`weighted_per_decision_is`    :math:`\sum_t \gamma^t \sum_i W_t r_t / \sum_i W_t`
`doubly_robust`               :math:`\frac1n \sum_i \sum_t \gamma^t [W_{t-1} \hat V + W_t (r_t - \hat Q)]`
============================  ====================================================================================

*Two normalisers.* The number n of episodes, or the sum of the weights (over episodes, at every step of its own): every
docstring says which one it is.

*Behavior.* For episodes it is a law over actions for every state (and step), not the joint law that draws independent
pairs. ``None`` estimates it by how often each action was taken in every state and step of the same log. An estimate is
NaN for an empty log and, with an estimated behavior or a model, where the policy comes to a pair that was never seen; a
known behavior that never takes such an action is refused. No count table suffices: the weight depends on the path.

*Episodes of unequal length* are padded with ratio 1 and reward 0: in a list of `Transitions`, such as ``episodes()`` of
a log that was read from a data frame, and after a step that terminated or was truncated. So an episode is worth what it
earned up to its end, which for truncated ones leaves out what would have followed: a warning says so.

Weights are multiplied as sums of logarithms, so that nothing overflows on the way. The exact bias and variance:
`pessimism.mdp.risk`.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._types import Floats
from pessimism.mdp import _input
from pessimism.mdp._engine.tables import as_law
from pessimism.mdp._engine.weighing import gathered, meets_unseen, quotient, scaled_sum, unscaled
from pessimism.mdp._episodes import Log, episodes
from pessimism.mdp.data import MDPData
from pessimism.mdp.model import MDP

__all__ = [
    "doubly_robust",
    "marginalised",
    "model_based",
    "per_decision_is",
    "trajectory_is",
    "weighted_is",
    "weighted_per_decision_is",
]


def model_based(
    data: MDPData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    discount: float | None = None,
    *,
    start: ArrayLike | None = None,
    horizon: int | None = None,
) -> Floats:
    r"""Plug-in value: that of the policy in the empirical model :math:`(\hat P, \hat r)`.

    Parameters
    ----------
    data : MDPData
        The log; its step axis, if there is one, is the horizon.
    policy : (..., [H,] S) array_like of int or (..., [H,] S, A) array_like of float
        An action, or a law over actions, per state (and step).
    behavior : array_like, optional
        Not used; there so that all estimators are called alike.
    discount : float, optional
        :math:`\gamma`, in [0, 1), or in [0, 1] over a horizon, where 1 is the default.
    start : (..., S) array_like of float, optional
        Law :math:`\rho` of the first state. Default: as logged at the first step; data without steps do not tell it.
    horizon : int, optional
        Value H steps of data without a step axis: all steps share one table.

    Returns
    -------
    (...,) float
        In reward units, over the batch of data, policy and start. NaN for an empty log, and where the policy comes to
        a pair that was never seen: `MDPData.model` would fill it in.

    Raises
    ------
    ValueError
        If `start` is missing and the data have no steps, or `horizon` is given and they have.

    See Also
    --------
    pessimism.mdp.estimators.marginalised : The same number, as an average of weighted rewards.
    pessimism.mdp.risk.fixed_counts_risk : Its exact variance at given counts.
    pessimism.mdp.bounds.value_markov : What it attains as n grows, without its knowing the behavior.

    Notes
    -----
    Normaliser: the visits N(s, a) of every pair (and step). Fitted Q evaluation in tables is this number: k sweeps from
    0 give the horizon k. Unbiased at fixed counts if every step has a table of its own; a shared table, as for
    discounted pairs, is used again and again, and biases the value (upwards for a reward of 1 that may end). Attains
    the asymptotic bound (Yin and Wang 2020 state this for the marginalised form; their abstract has been read).

    Examples
    --------
    >>> from pessimism.mdp import MDPData, Transitions, estimators
    >>> log = Transitions([[0, 1], [0, 1]], [[0, 0], [1, 0]], [[1, 0], [0, 1]], [[1, 1], [1, 1]])
    >>> float(estimators.model_based(MDPData.from_transitions(log, per_step=True), [0, 0]))
    1.5
    """
    model, unknown = _empirical(data, policy, behavior, discount, start, horizon)
    return np.asarray(np.where(unknown, np.nan, model.value(policy)))


def marginalised(
    data: MDPData,
    policy: ArrayLike,
    behavior: ArrayLike | None = None,
    discount: float | None = None,
    *,
    start: ArrayLike | None = None,
    horizon: int | None = None,
) -> Floats:
    r"""Marginalised importance sampling: rewards weighted by :math:`\hat d^\pi_h/(N_h/n)`, averaged.

    Parameters
    ----------
    data : MDPData
        The log; its step axis, if there is one, is the horizon.
    policy : (..., [H,] S) array_like of int or (..., [H,] S, A) array_like of float
        An action, or a law over actions, per state (and step).
    behavior : array_like, optional
        Not used: the log's own shares :math:`N_h/n` stand in its place.
    discount : float, optional
        :math:`\gamma`, in [0, 1), or in [0, 1] over a horizon, where 1 is the default.
    start : (..., S) array_like of float, optional
        Law :math:`\rho` of the first state. Default: as logged at the first step; data without steps do not tell it.
    horizon : int, optional
        Value H steps of data without a step axis: all steps share one table.

    Returns
    -------
    (...,) float
        In reward units; up to rounding the number of `model_based`, and NaN where that is.

    Raises
    ------
    ValueError
        As for `model_based`.

    Notes
    -----
    Normaliser: n. The occupancy :math:`\hat d^\pi` is that of the empirical model; without a horizon it is normalised,
    and the average is divided by :math:`1 - \gamma`. That the weighted average of rewards, the plug-in value and fitted
    Q evaluation are one estimator is derived here, and tested.

    Examples
    --------
    >>> from pessimism.mdp import MDPData, Transitions, estimators
    >>> log = Transitions([[0, 1], [0, 1]], [[0, 0], [1, 0]], [[1, 0], [0, 1]], [[1, 1], [1, 1]])
    >>> float(estimators.marginalised(MDPData.from_transitions(log, per_step=True), [0, 0]))
    1.5
    """
    model, unknown = _empirical(data, policy, behavior, discount, start, horizon)
    met = model.occupancy(policy)
    stepped = data.horizon is not None
    if model.horizon is None:
        met = met / (1.0 - model.discount)
    else:
        met = met * (model.discount ** np.arange(model.horizon))[:, None, None]
        met = met if stepped else met.sum(axis=-3)
    total = data.counts.sum(axis=(-2, -1), keepdims=True)
    shares = data.counts / np.maximum(total, 1)
    weight = np.divide(met, shares, out=np.zeros(np.broadcast_shapes(met.shape, shares.shape)), where=shares > 0)
    axes = (-3, -2, -1) if stepped else (-2, -1)
    estimate = (weight * (data.pair_sums / np.maximum(total, 1))).sum(axis=axes)
    return np.asarray(np.where(unknown, np.nan, estimate))


def trajectory_is(
    log: Log, policy: ArrayLike, behavior: ArrayLike | None = None, discount: float | None = None
) -> Floats:
    r"""Importance sampling of whole episodes: :math:`\frac1n\sum_i W_{H-1} G`.

    Parameters
    ----------
    log : Transitions or iterable of Transitions
        Episodes of shape (..., n, H), the last axis being the step; or a list of single ones of shape (T,), which may
        differ in length.
    policy : (..., [H,] S) array_like of int or (..., [H,] S, A) array_like of float
        The policy :math:`\pi` that is judged.
    behavior : (..., [H,] S) array_like of int or (..., [H,] S, A) array_like of float, optional
        The policy b that made the log: a law over actions for every state. Default: estimated.
    discount : float, optional
        :math:`\gamma`, in [0, 1]. Default: 1.

    Returns
    -------
    (...,) float
        In reward units; it may leave the range of returns, and is infinite beyond float64. NaN for an empty log, and
        where the estimated behavior never took an action that the policy takes in a state that was met.

    Raises
    ------
    ValueError
        If an episode did what the behavior never does, or the behavior never takes an action that the policy takes in a
        state that an episode came to: the message names the place. If a step does not begin where the one before it
        led, or an episode earns after its end.

    Warns
    -----
    UserWarning
        If an episode was truncated before the last step.

    See Also
    --------
    pessimism.mdp.risk.trajectory_is_risk : Its exact risk.

    Notes
    -----
    Normaliser: n. Unbiased for a known behavior. Its variance grows exponentially in H for every discount, unless
    :math:`\pi = b`.

    Examples
    --------
    >>> from pessimism.mdp import Transitions, estimators
    >>> log = Transitions([[0, 0], [0, 0]], [[1, 1], [0, 1]], [[1, 1], [0, 1]], [[0, 0], [0, 0]])
    >>> round(float(estimators.trajectory_is(log, [1], [[0.5, 0.5]])), 9)
    4.0
    """
    found = episodes(log, policy, behavior, discount)
    scale, total = scaled_sum(found.final_weight, found.gains.sum(axis=-1), (-1,))
    return found.told(unscaled(scale, total / max(found.n, 1)))


def per_decision_is(
    log: Log, policy: ArrayLike, behavior: ArrayLike | None = None, discount: float | None = None
) -> Floats:
    r"""Importance sampling of every reward: :math:`\frac1n\sum_i\sum_t \gamma^t W_t r_t`.

    Parameters
    ----------
    log, policy, behavior, discount : as for `trajectory_is`
        The episodes, the policy that is judged, the one that made the log, and :math:`\gamma`.

    Returns
    -------
    (...,) float
        In reward units, infinite beyond float64, and NaN where `trajectory_is` is.

    Raises
    ------
    ValueError
        As for `trajectory_is`.

    Warns
    -----
    UserWarning
        As for `trajectory_is`.

    See Also
    --------
    pessimism.mdp.risk.per_decision_is_risk : Its exact risk.

    Notes
    -----
    Normaliser: n. Unbiased for a known behavior: what is done after a reward does not change its weight. With an
    estimated behavior it is neither this nor the plug-in, and often better than with the known one; estimated for every
    history, it would be the plug-in on the tree of histories.

    Examples
    --------
    >>> from pessimism.mdp import Transitions, estimators
    >>> log = Transitions([[0, 0], [0, 0]], [[1, 1], [0, 1]], [[1, 1], [0, 1]], [[0, 0], [0, 0]])
    >>> round(float(estimators.per_decision_is(log, [1], [[0.5, 0.5]])), 9)
    3.0
    """
    found = episodes(log, policy, behavior, discount)
    scale, total = scaled_sum(found.log_weight, found.gains, (-2, -1))
    return found.told(unscaled(scale, total / max(found.n, 1)))


def weighted_is(
    log: Log, policy: ArrayLike, behavior: ArrayLike | None = None, discount: float | None = None
) -> Floats:
    r"""Self-normalised importance sampling of whole episodes: :math:`\sum_i W_{H-1} G / \sum_i W_{H-1}`.

    Parameters
    ----------
    log, policy, behavior, discount : as for `trajectory_is`
        The episodes, the policy that is judged, the one that made the log, and :math:`\gamma`.

    Returns
    -------
    (...,) float
        In reward units, within the range of the returns. NaN where `trajectory_is` is, and where no episode has a
        positive weight.

    Raises
    ------
    ValueError
        As for `trajectory_is`.

    Warns
    -----
    UserWarning
        As for `trajectory_is`.

    See Also
    --------
    pessimism.mdp.risk.weighted_is_risk : Its exact risk.

    Notes
    -----
    Normaliser: the sum of the weights. Biased by O(1/n), with a constant that grows like the variance of the weights.

    Examples
    --------
    >>> from pessimism.mdp import Transitions, estimators
    >>> log = Transitions([[0, 0], [0, 0]], [[1, 1], [0, 1]], [[1, 1], [0, 1]], [[0, 0], [0, 0]])
    >>> round(float(estimators.weighted_is(log, [1], [[0.5, 0.5]])), 9)
    2.0
    """
    found = episodes(log, policy, behavior, discount)
    weight = found.final_weight
    above = scaled_sum(weight, found.gains.sum(axis=-1), (-1,))
    return found.told(quotient(above, scaled_sum(weight, np.ones(weight.shape), (-1,))))


def weighted_per_decision_is(
    log: Log, policy: ArrayLike, behavior: ArrayLike | None = None, discount: float | None = None
) -> Floats:
    r"""Self-normalised importance sampling at every step: :math:`\sum_t \gamma^t \sum_i W_t r_t / \sum_i W_t`.

    Parameters
    ----------
    log, policy, behavior, discount : as for `trajectory_is`
        The episodes, the policy that is judged, the one that made the log, and :math:`\gamma`.

    Returns
    -------
    (...,) float
        In reward units. NaN where `trajectory_is` is, and where at some step no episode has a positive weight.

    Raises
    ------
    ValueError
        As for `trajectory_is`.

    Warns
    -----
    UserWarning
        As for `trajectory_is`.

    Notes
    -----
    Normaliser: the sum of the weights at every step, in which an episode that has ended keeps its weight. Biased by
    O(1/n).

    Examples
    --------
    >>> from pessimism.mdp import Transitions, estimators
    >>> log = Transitions([[0, 0], [0, 0]], [[1, 1], [0, 1]], [[1, 1], [0, 1]], [[0, 0], [0, 0]])
    >>> round(float(estimators.weighted_per_decision_is(log, [1], [[0.5, 0.5]])), 9)
    2.0
    """
    found = episodes(log, policy, behavior, discount)
    above = scaled_sum(found.log_weight, found.gains, (-2,))
    by_step = quotient(above, scaled_sum(found.log_weight, np.ones(found.log_weight.shape), (-2,)))
    return found.told(by_step.sum(axis=-1))


def doubly_robust(
    log: Log, policy: ArrayLike, behavior: ArrayLike | None = None, discount: float | None = None, *, q: ArrayLike
) -> Floats:
    r"""Doubly robust: :math:`\frac1n\sum_i\sum_t \gamma^t [W_{t-1} \hat V(s_t) + W_t (r_t - \hat Q(s_t, a_t))]`.

    Parameters
    ----------
    log, policy, behavior, discount : as for `trajectory_is`
        The episodes, the policy that is judged, the one that made the log, and :math:`\gamma`.
    q : (..., [H,] S, A) array_like of float
        :math:`\hat Q_h(s, a)`, in reward units: predicted sum of what is to come from a pair on, the reward included,
        discounted to its own step; not learned from this log. Nothing is predicted once an episode has ended.

    Returns
    -------
    (...,) float
        In reward units, infinite beyond float64, and NaN where `trajectory_is` is.

    Raises
    ------
    ValueError
        As for `trajectory_is`, or if the shape of `q` does not fit.

    Warns
    -----
    UserWarning
        As for `trajectory_is`.

    See Also
    --------
    pessimism.mdp.risk.doubly_robust_risk : Its exact risk.

    Notes
    -----
    Normaliser: n. :math:`\hat V = \sum_a \pi \hat Q`. Unbiased for any Q and a known behavior; Q = 0 is
    `per_decision_is`. With the right Q its variance is `pessimism.mdp.bounds.value_tree`, which still grows
    exponentially in H: the weights :math:`W_t` do not know that the world is Markov.

    Examples
    --------
    >>> from pessimism.mdp import Transitions, estimators
    >>> log = Transitions([[0, 0], [0, 0]], [[1, 1], [0, 1]], [[1, 1], [0, 1]], [[0, 0], [0, 0]])
    >>> round(float(estimators.doubly_robust(log, [1], [[0.5, 0.5]], q=[[[1.0, 2.0]], [[0.0, 1.0]]])), 9)
    2.0
    """
    table = _check.real_array("q", q, min_ndim=2)
    found = episodes(log, policy, behavior, discount, table)
    sizes, steps = found.target.shape[-2:], found.gains.shape[-1]
    if table.ndim == 2:
        table = table[None]
    if table.shape[-2:] != sizes or table.shape[-3] not in (1, steps):
        shape = f"(..., [{steps},] {sizes[0]}, {sizes[1]})"
        raise ValueError(f"q must have shape {shape} like the policies and the log, got {np.shape(q)}")
    _check.broadcast("q, log and policies", table.shape[:-3], found.log_weight.shape[:-2])
    value = gathered((found.target * table).sum(axis=-1), found.states)
    error = found.gains - found.factor * gathered(table, found.states, found.actions)
    terms = np.broadcast_arrays(found.weight_before, found.factor * value, found.log_weight, error)
    before, planned, after, surprise = terms
    weight, x = (np.concatenate(pair, axis=-1) for pair in ((before, after), (planned, surprise)))
    scale, total = scaled_sum(weight, x, (-2, -1))
    return found.told(unscaled(scale, total / max(found.n, 1)))


def _empirical(
    data: MDPData,
    policy: ArrayLike,
    behavior: ArrayLike | None,
    discount: float | None,
    start: ArrayLike | None,
    horizon: int | None,
) -> tuple[MDP, NDArray[np.bool_]]:
    """The empirical model, and which data sets leave the value unknown."""
    _check.instance("data", data, MDPData)
    if behavior is not None:
        _check.real_array("behavior", behavior)
    if horizon is not None and data.horizon is not None:
        raise ValueError(f"horizon must not be given: data have {data.horizon} steps")
    empty = np.asarray(data.n == 0)
    law = _start(data, start)
    model: Any = data.model(_input.discount(discount, horizon or data.horizon), start=law)
    if horizon is not None:
        steps = _check.count("horizon", horizon)
        tables = model.next_states, model.probabilities, model.rewards
        model = MDP(*tables, law, discount, horizon=steps, terminal=data.terminal, feasible=data.feasible)
    plays = as_law(model.check_policy(policy), model.n_actions)
    plays = plays if model.horizon is not None else plays[..., None, :, :]
    counted = 1 if model.discount == 0.0 else model.horizon  # what has no weight may be unknown
    log = data.next_states, data.counts, data.next_counts
    return model, empty | meets_unseen(*log, plays, law, data.terminal, counted)


def _start(data: MDPData, start: ArrayLike | None) -> Floats:
    """The law of the first state, as given or as logged; uniform for an empty log, which has no estimate."""
    if start is not None:
        law = _check.law("start", start, axes=1)
        if law.shape[-1] != data.n_states:
            raise ValueError(f"start must have {data.n_states} entries, one a state, got {law.shape[-1]}")
        return law
    if data.horizon is None:
        raise ValueError("start must be given: data without steps do not tell where episodes begin")
    if data.horizon == 0:
        return np.full(data.n_states, 1.0 / data.n_states)
    first = data.counts[..., 0, :, :].sum(axis=-1)
    n = first.sum(axis=-1, keepdims=True)
    return np.where(n > 0, first / np.maximum(n, 1), 1.0 / data.n_states)
