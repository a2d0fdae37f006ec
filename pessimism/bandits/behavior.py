r"""The composition: laws over (context, arm) whose concentrability is prescribed exactly.

Mixing the pairs :math:`d^*` of the optimal policy with any law :math:`\nu` gives :math:`\mu = (1-w) d^* + w\nu`. With
:math:`\kappa = \min_{d^*>0} \nu/d^*`,

.. math:: C^* = \frac{1}{1 - w(1-\kappa)}, \qquad 1-w = \frac{1/C^* - \kappa}{1-\kappa},

so every :math:`C^* \in [1, 1/\kappa]` is reached: :math:`C^* = 1` is expert data, and :math:`C^*` grows as the share
:math:`1-w` (`expert_weight`) of the expert falls. Behaviors are plain arrays (..., S, A). The mixture is one of laws
over pairs, not of the action probabilities of two policies.
"""

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats
from pessimism.bandits._input import check_contexts
from pessimism.bandits.data import BanditData
from pessimism.bandits.model import Bandit

__all__ = ["expert", "from_conditional", "from_data", "prescribe", "uniform"]

RELATIVE = 1e-12
"""Relative accuracy to which a prescribed C* is met."""


def prescribe(bandit: Bandit, *, cstar: ArrayLike, mix: ArrayLike | None = None) -> Floats:
    r"""Law of logged pairs under which the optimal policy has concentrability exactly C*.

    Parameters
    ----------
    bandit : Bandit
        The model; the policy covered is its `best_policy`.
    cstar : (...) array_like of float
        Target :math:`C^*`, at least 1; broadcasts with the batch of the model.
    mix : (..., S, A) array_like of float, optional
        The law :math:`\nu` mixed with the expert's. Default: :math:`\rho(s)/(A-1)` on every arm but the best, which
        lies off the expert's support, so that every :math:`C^* \ge 1` is reached and the ratio is :math:`C^*` at every
        covered pair. Its marginal over contexts is :math:`\rho`, with which imitation does well for :math:`C^* < 2`;
        with another marginal it may fail.

    Returns
    -------
    (..., S, A) float
        The law :math:`\mu`; its coverage, recomputed from the result, is :math:`C^*` to relative 1e-12.

    Raises
    ------
    ValueError
        If :math:`C^*` is not in the feasible interval :math:`[1, 1/\kappa]`, which the message states.

    See Also
    --------
    pessimism.bandits.model.Bandit.coverage : Computes C* of a law.

    Notes
    -----
    The expert's weight is computed from 1/C* - kappa, not from 1 - 1/C*, which loses all digits at large C*.

    Examples
    --------
    >>> prescribe(Bandit([[0.6, 0.5, 0.4]]), cstar=2).tolist()
    [[0.5, 0.25, 0.25]]
    """
    target = _check.real_array("cstar", cstar, low=1.0)
    expert_law = expert(bandit)
    if mix is None:
        nu = _off_support(bandit)
        kappa = np.full(nu.shape[:-2], 1.0 if bandit.n_arms == 1 else 0.0)
    else:
        nu = bandit._joint_law("mix", mix)
        ratio = np.full(np.broadcast_shapes(nu.shape, expert_law.shape), np.inf)
        with np.errstate(over="ignore"):  # more than float64 can hold is inf
            np.divide(nu, expert_law, out=ratio, where=expert_law > 0)
        kappa = ratio.min(axis=(-2, -1))
    batch = _check.broadcast("cstar and mix", target.shape, kappa.shape)
    feasible = target * kappa <= 1.0 + RELATIVE
    if not np.all(feasible):
        index = tuple(int(i) for i in np.argwhere(~feasible)[0])
        largest = 1.0 / np.broadcast_to(kappa, batch)[index]
        why = "with one arm" if bandit.n_arms == 1 else "for this mix"
        reached = (
            f"in [1, {largest:.12g}] {why}" if largest > 1 + RELATIVE else f"1 {why}, which is the expert's own law"
        )
        value = np.broadcast_to(target, batch)[index]
        raise ValueError(f"cstar must be {reached}, got {value:.12g}")
    rest = np.where(kappa < 1.0, 1.0 - kappa, 1.0)
    expert_weight = np.clip(np.where(kappa < 1.0, (1.0 / target - kappa) / rest, 1.0), 0.0, 1.0)
    weight = np.asarray(expert_weight)[..., None, None]
    mu = weight * expert_law + (1.0 - weight) * nu
    reached_cstar = bandit.coverage(mu)
    missed = np.abs(reached_cstar - target) > RELATIVE * target
    if np.any(missed):
        first = tuple(int(i) for i in np.argwhere(missed)[0])
        value, got = (np.broadcast_to(x, missed.shape)[first] for x in (target, reached_cstar))
        raise ValueError(f"cstar = {value:.15g} cannot be met to relative {RELATIVE:g} with this mix, only {got:.15g}")
    return np.asarray(mu)


def expert(bandit: Bandit, policy: ArrayLike | None = None) -> Floats:
    r"""Law of the pairs that a policy itself meets, :math:`d^\pi(s,a) = \rho(s)\pi(a|s)`: expert data, C* = 1.

    Parameters
    ----------
    bandit : Bandit
        The model.
    policy : (..., S) array_like of int or (..., S, A) array_like of float, optional
        Default: the model's `best_policy`.

    Returns
    -------
    (..., S, A) float
        The law.

    Examples
    --------
    >>> expert(Bandit([[0.5, 0.6]])).tolist()
    [[0.0, 1.0]]
    """
    _check.instance("bandit", bandit, Bandit)
    return bandit.occupancy(bandit.best_policy if policy is None else policy)


def uniform(bandit: Bandit) -> Floats:
    r"""Uniform coverage: every (context, arm) pair with probability 1/(SA).

    Parameters
    ----------
    bandit : Bandit
        The model.

    Returns
    -------
    (..., S, A) float
        The law; its :math:`C^*` is :math:`SA \max_s \rho(s)`.

    Examples
    --------
    >>> bandit = Bandit([[0.6, 0.5], [0.1, 0.2]], contexts=[0.75, 0.25])
    >>> float(bandit.coverage(uniform(bandit)))
    3.0
    """
    _check.instance("bandit", bandit, Bandit)
    cells = bandit.n_contexts * bandit.n_arms
    return np.full((*bandit.shape, bandit.n_contexts, bandit.n_arms), 1.0 / cells)


def from_data(data: BanditData) -> Floats:
    r"""Empirical law of the logged pairs, :math:`\hat\mu(s, a) = N(s, a) / N`.

    Parameters
    ----------
    data : BanditData
        Data sets of at least one round each.

    Returns
    -------
    (..., S, A) float
        The law. A :math:`C^*` computed from it is an estimate: unseen pairs have empirical mass 0.

    Examples
    --------
    >>> from_data(BanditData([[3, 1]], [[0.0, 0.0]])).tolist()
    [[0.75, 0.25]]
    """
    _check.instance("data", data, BanditData)
    _check.require("data.n", data.n, data.n > 0, "at least 1: an empty log has no empirical law")
    return np.asarray(data.counts / data.n[..., None, None])


def _off_support(bandit: Bandit) -> Floats:
    """The arms that are not best, equally, under the contexts' own law; the expert's law if there is one arm."""
    if bandit.n_arms == 1:
        return expert(bandit)
    best = bandit.best_policy[..., None] == np.arange(bandit.n_arms)
    return np.asarray(bandit.contexts[..., None] * ~best / (bandit.n_arms - 1))


def from_conditional(conditional: ArrayLike, contexts: ArrayLike) -> Floats:
    r"""Joint law :math:`\mu(s, a) = \rho(s) p(a|s)` of a policy that logs.

    Parameters
    ----------
    conditional : (..., S, A) array_like of float
        Law of the arms in every context; each row sums to 1.
    contexts : (..., S) array_like of float
        Law of the contexts.

    Returns
    -------
    (..., S, A) float
        Sums to one over the last two axes.

    Examples
    --------
    >>> from pessimism.bandits import behavior
    >>> behavior.from_conditional([[0.5, 0.5], [1.0, 0.0]], [0.25, 0.75]).tolist()
    [[0.125, 0.125], [0.75, 0.0]]
    """
    p = _check.law("conditional", conditional, axes=1)
    if p.ndim < 2:
        raise ValueError(f"conditional must have shape (..., contexts, arms), got {p.shape}")
    rho = check_contexts(contexts, p.shape[-2], "conditional")
    _check.broadcast("conditional and contexts", p.shape[:-2], rho.shape[:-1])
    return np.asarray(rho[..., None] * p)
