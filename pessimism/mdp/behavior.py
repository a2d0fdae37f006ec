r"""The composition: laws over (state, action) whose concentrability is prescribed exactly, and mixtures of policies.

Mixing the occupancy :math:`d^*` of the optimal policy with any law :math:`\nu` over pairs gives
:math:`\mu = (1-w) d^* + w\nu`. With :math:`\kappa = \min_{d^*>0} \nu/d^*`,

.. math:: C^* = \frac{1}{1 - w(1-\kappa)}, \qquad 1-w = \frac{1/C^* - \kappa}{1-\kappa},

so every :math:`C^* \in [1, 1/\kappa]` is reached (`prescribe`). To follow one of several policies for a whole episode
is a different thing (`mixture`): it mixes occupancies. Mixing action probabilities state by state is different again,
because it changes which states are met. Behaviors are plain arrays (..., [H,] S, A); with a horizon every step has its
law and its own :math:`w`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats
from pessimism.mdp.data import MDPData
from pessimism.mdp.model import MDP

__all__ = ["expert", "from_data", "mixture", "prescribe", "uniform"]

RELATIVE = 1e-12
"""Relative accuracy to which a prescribed C* is met."""


def prescribe(mdp: MDP, *, cstar: ArrayLike, mix: ArrayLike | None = None, policy: ArrayLike | None = None) -> Floats:
    r"""Law of logged pairs under which a policy has concentrability exactly C*.

    Parameters
    ----------
    mdp : MDP
        The model.
    cstar : (...) array_like of float
        Target :math:`C^*`, at least 1; broadcasts with the batch of the model.
    mix : (..., [H,] S, A) array_like of float, optional
        The law :math:`\nu` mixed with the policy's occupancy. Default: :math:`d(s)`, divided equally between the
        feasible actions other than the policy's: off its support, so that every :math:`C^* \ge 1` is reached and the
        ratio is :math:`C^*` at every covered pair of a state with a choice. It keeps the law of the states, the case in
        which imitation looks good; where a state has one feasible action that action keeps its own law.
    policy : (..., [H,] S) array_like of int, optional
        The deterministic policy to be covered. Default: `best_policy`.

    Returns
    -------
    (..., [H,] S, A) float
        The law :math:`\mu`; its coverage, recomputed from the result, is :math:`C^*` to relative 1e-12, at every step.

    Raises
    ------
    ValueError, TypeError
        If :math:`C^*` is not in the feasible interval :math:`[1, 1/\kappa]`, which the message states.

    See Also
    --------
    pessimism.mdp.model.MDP.coverage : The coefficient of any law.
    simulations.mdp_composition : Figure of losses over prescribed compositions.

    Examples
    --------
    >>> mdp = MDP.dense([[[1.0], [1.0]]], [[0.6, 0.5]], discount=0.5)
    >>> prescribe(mdp, cstar=4).tolist()
    [[0.25, 0.75]]
    """
    _check.instance("mdp", mdp, MDP)
    target = _check.real_array("cstar", cstar)
    _check.require("cstar", target, target >= 1.0, "at least 1")
    chosen = mdp.check_policy(mdp.best_policy if policy is None else policy)
    if chosen.dtype.kind != "i":
        raise TypeError("policy must be deterministic: one action a state, of an integer dtype")
    d = mdp.occupancy(chosen)
    nu = _off_support(mdp, d, np.asarray(chosen)) if mix is None else mdp._joint_law("mix", mix)
    counts = (d > 0) & ~mdp.terminal[:, None]
    ratio = np.divide(nu, d, out=np.full(np.broadcast_shapes(nu.shape, d.shape), np.inf), where=counts)
    kappa = ratio.min(axis=(-2, -1))
    goal = target if mdp.horizon is None else target[..., None]
    _check.broadcast("cstar, mix and model", goal.shape, kappa.shape)
    feasible = goal * kappa <= 1.0 + RELATIVE
    if not np.all(feasible):
        index = tuple(int(i) for i in np.argwhere(~feasible)[0])
        largest = 1.0 / np.broadcast_to(kappa, feasible.shape)[index]
        value = np.broadcast_to(goal, feasible.shape)[index]
        reached = f"in [1, {largest:.12g}]" if largest > 1 + RELATIVE else "1, the policy's own law,"
        raise ValueError(f"cstar must be {reached} for this mix, got {value:.12g}")
    rest = np.where(kappa < 1.0, 1.0 - kappa, 1.0)
    own_weight = np.clip(np.where(kappa < 1.0, (1.0 / goal - kappa) / rest, 1.0), 0.0, 1.0)[..., None, None]
    mu = own_weight * d + (1.0 - own_weight) * nu
    reached_cstar = mdp.coverage(mu, chosen)
    missed = np.abs(reached_cstar - target) > RELATIVE * target
    if np.any(missed):
        first = tuple(int(i) for i in np.argwhere(missed)[0])
        value, got = (np.broadcast_to(x, missed.shape)[first] for x in (target, reached_cstar))
        raise ValueError(f"cstar = {value:.15g} cannot be met to relative {RELATIVE:g} with this mix, only {got:.15g}")
    return np.asarray(mu)


def expert(mdp: MDP, policy: ArrayLike | None = None) -> Floats:
    r"""Law of the pairs that a policy itself meets, its occupancy: expert data, C* = 1.

    Parameters
    ----------
    mdp : MDP
        The model.
    policy : (..., [H,] S) array_like of int or (..., [H,] S, A) array_like of float, optional
        Default: the model's `best_policy`.

    Returns
    -------
    (..., [H,] S, A) float
        The law.

    Raises
    ------
    ValueError, TypeError
        If `policy` is not a policy of this model.

    Examples
    --------
    >>> expert(MDP.dense([[[1.0], [1.0]]], [[0.5, 0.6]], discount=0.5)).tolist()
    [[0.0, 1.0]]
    """
    _check.instance("mdp", mdp, MDP)
    return mdp.occupancy(mdp.best_policy if policy is None else policy)


def uniform(mdp: MDP) -> Floats:
    r"""Uniform coverage: every feasible pair with equal probability, at every step; terminal states are not counted.

    Parameters
    ----------
    mdp : MDP
        The model.

    Returns
    -------
    (..., [H,] S, A) float
        The law; its :math:`C^*` is :math:`SA \max d^*` if all actions are feasible.

    Examples
    --------
    >>> uniform(MDP.dense([[[1.0], [1.0]]], [[0.5, 0.6]], discount=0.5)).tolist()
    [[0.5, 0.5]]
    """
    _check.instance("mdp", mdp, MDP)
    steps = () if mdp.horizon is None else (mdp.horizon,)
    open_states = ~mdp.terminal if not mdp.terminal.all() else mdp.terminal
    pairs = open_states[:, None] & mdp.feasible
    law = pairs / pairs.sum()
    return np.array(np.broadcast_to(law, (*mdp.shape, *steps, *law.shape)))


def mixture(mdp: MDP, policies: Sequence[ArrayLike], shares: ArrayLike) -> Floats:
    r"""Law of the pairs met when each episode follows one of several policies, :math:`\sum_i w_i d^{\pi_i}`.

    Parameters
    ----------
    mdp : MDP
        The model.
    policies : sequence of policies
        Each as for `MDP.evaluate`.
    shares : (k,) array_like of float
        Probability that an episode follows each of the k policies.

    Returns
    -------
    (..., [H,] S, A) float
        The law. If an optimal policy has share w, its :math:`C^*` is at most 1/w, and usually smaller.

    Raises
    ------
    ValueError, TypeError
        If a policy does not fit the model or the shares are not a law over the policies.

    Examples
    --------
    >>> mdp = MDP.dense([[[1.0], [1.0]]], [[0.5, 0.6]], discount=0.5)
    >>> mixture(mdp, [[0], [1]], [0.25, 0.75]).tolist()
    [[0.25, 0.75]]
    """
    _check.instance("mdp", mdp, MDP)
    policies = _check.listed("policies", policies, "policies")
    weights = _check.law("shares", shares, axes=1)
    if weights.shape != (len(policies),):
        raise ValueError(f"shares must hold one number for each of {len(policies)} policies, got {weights.shape}")
    clean = [mdp._policy(f"policies[{i}]", policy) for i, policy in enumerate(policies)]
    return np.asarray(sum(w * mdp.occupancy(policy) for w, policy in zip(weights, clean, strict=True)))


def from_data(data: MDPData) -> Floats:
    r"""Empirical law of the logged pairs, :math:`\hat\mu(s, a) = N(s, a) / N`, at every step.

    Parameters
    ----------
    data : MDPData
        Data sets of at least one transition each (and step).

    Returns
    -------
    (..., [H,] S, A) float
        The law. A :math:`C^*` computed from it is an estimate: unseen pairs have empirical mass 0.

    Raises
    ------
    ValueError
        If a data set (or step) is empty.

    Examples
    --------
    >>> from_data(MDPData([[3, 1]], [[[0], [0]]], [[[3], [1]]], [[0.0, 0.0]])).tolist()
    [[0.75, 0.25]]
    """
    _check.instance("data", data, MDPData)
    total = data.counts.sum(axis=(-2, -1))
    _check.require("data.counts.sum(axis=(-2, -1))", total, total > 0, "at least 1: an empty log has no law")
    return np.asarray(data.counts / total[..., None, None])


def _off_support(mdp: MDP, d: Floats, policy: np.ndarray) -> Floats:
    """The feasible actions that the policy does not take, equally, under its own law of states.

    In states with one feasible action it is its own law.
    """
    others = mdp.feasible & (policy[..., None] != np.arange(mdp.n_actions))
    count = others.sum(axis=-1, keepdims=True)
    return np.where(count > 0, d.sum(axis=-1, keepdims=True) * others / np.maximum(count, 1), d)
