r"""Pessimistic value iteration for linear models (PEVI).

With features :math:`\phi(s,a) \in R^d` and, at every step, :math:`\Lambda_h = \sum \phi\phi^\top + \lambda I`,

.. math::
    w_h = \Lambda_h^{-1} \sum \phi\,(r + V_{h+1}(s')), \quad
    \Gamma_h = \beta \sqrt{\phi^\top \Lambda_h^{-1} \phi}, \quad
    Q_h = \min\{\max\{\phi^\top w_h - \Gamma_h, 0\}, H-h+1\}.

Sums over the log are sums over counts, so tables of visits are enough. With one feature a pair
:math:`\Lambda = N + \lambda`: a ridge that shrinks :math:`\hat r` towards 0 is itself pessimistic.
"""

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats
from pessimism.mdp._engine.solution import finished
from pessimism.mdp.data import MDPData
from pessimism.mdp.planning import Plan
from pessimism.mdp.rules._empirical import empirical, episodic, positive, spread_over
from pessimism.mdp.rules._imitation import marked, told

__all__ = ["pevi"]


def pevi(
    data: MDPData,
    features: ArrayLike,
    *,
    horizon: int | None = None,
    beta: ArrayLike | None = None,
    constant: ArrayLike = 0.05,
    delta: float | None = None,
    ridge: float = 1.0,
) -> Plan:
    r"""Policy of pessimistic value iteration with linear features.

    Parameters
    ----------
    data : MDPData
        Logged transitions with a step axis; rewards in [0, 1], or of another range, which is scaled to it.
    features : ([H,] S, A, d) array_like of float
        :math:`\phi`, at every step or the same at all; d at least 1. The default of `beta` assumes
        :math:`\|\phi\| \le 1`.
    horizon : int, optional
        H; that of the data.
    beta : (...) array_like of float, optional
        Multiplier of the width, at least 0; it broadcasts with the batch of the data. Default
        :math:`c\,d H\sqrt{\log(2dHK/\delta)}` with K the transitions of the first step.
    constant : (...) array_like of float
        Factor c in the default of `beta`, positive. The theorem has an absolute constant. It broadcasts like `beta`.
    delta : float, optional
        In (0, 1). Default 1/max(K, 2).
    ridge : float
        :math:`\lambda`, positive; 1 in the theorem.

    Returns
    -------
    Plan
        Its value is a lower bound of the policy's on the event that every estimate lies within its width. Where nothing
        is certified (value 0) the most frequent action is chosen; status and warning as for `vi_lcb_episodic`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range or the features do not fit.

    Warns
    -----
    ImitationWarning
        If the policy departs nowhere from imitation in all data sets.

    See Also
    --------
    pessimism.mdp.bounds.episodic_rate : Rates of rules for episodes.

    Notes
    -----
    On that event the loss is at most :math:`2\sum_h E_{\pi^*}[\Gamma_h]`. Cost :math:`O(H(SAd^2 + d^3 + SAB))`. Source:
    Jin, Yang and Wang (2021), ICML; the default constant is ours.

    Examples
    --------
    >>> data = MDPData([[[90, 50]]], [[[[0], [0]]]], [[[[90], [50]]]], [[[9.0, 45.0]]])
    >>> pevi(data, np.eye(2)[None], beta=1.0).policy.tolist()
    [[1]]
    """
    steps = episodic(data)
    data = spread_over(data, beta=beta, constant=constant)
    known = empirical(data, None, horizon)
    phi = _features(features, (data.n_states, data.n_actions), steps)
    lam = _check.positive("ridge", ridge)
    multiplier = _beta(data, phi.shape[-1], beta, constant, delta)[..., None, None]
    low, high = known.reward_range
    sums = (data.pair_sums - low * data.counts) / (high - low)
    value, given = np.zeros((*data.shape, steps + 1, data.n_states)), known.known_values
    policy, values_of_pairs = np.array(known.imitated), np.zeros(data.counts.shape)
    for h in range(steps - 1, -1, -1):
        own = phi if phi.ndim == 3 else phi[h]
        later = value[..., h + 1, :][..., data.next_states[h % len(data.next_states)]]
        target = sums[..., h, :, :] + (data.next_counts[..., h, :, :, :] * later).sum(axis=-1)
        gram = np.einsum("...sa,sai,saj->...ij", data.counts[..., h, :, :], own, own) + lam * np.eye(own.shape[-1])
        try:
            weights = np.linalg.solve(gram, np.einsum("...sa,sai->...i", target, own)[..., None])[..., 0]
            spread = np.einsum("sai,...ij,saj->...sa", own, np.linalg.inv(gram), own)
        except np.linalg.LinAlgError:
            raise ValueError(f"ridge must be larger for these features, which are collinear, got {lam:g}") from None
        q = np.einsum("sai,...i->...sa", own, weights) - multiplier * np.sqrt(np.maximum(spread, 0.0))
        q = known.only_feasible(q)
        best = q.max(axis=-1)
        values_of_pairs[..., h, :, :] = np.where(known.terminal[:, None], given[h][:, None], np.clip(q, 0.0, steps - h))
        value[..., h, :] = np.where(known.terminal, given[h], np.clip(best, 0.0, steps - h))
        policy[..., h, :] = np.where((best > 0) & ~known.terminal, q.argmax(axis=-1), policy[..., h, :])
    value = value[..., :-1, :]
    updated = np.asarray((value > np.maximum(given, 0.0)).any(axis=(-2, -1)))
    total = known.ending(known.low_to_go[:, None] + (high - low) * value)
    q = known.in_units(values_of_pairs, known.low_to_go[:, None, None])
    plan = marked(Plan(*finished(policy, total, data.shape, steps, updated=updated, q=q)), known.imitated)
    return told(plan, "pevi", data.counts)


def _features(features: ArrayLike, pairs: tuple[int, int], steps: int) -> Floats:
    phi = _check.real_array("features", features, min_ndim=1)
    fits = phi.ndim in (3, 4) and phi.shape[-3:-1] == pairs and phi.shape[:-3] in ((), (steps,)) and phi.shape[-1] > 0
    if not fits:
        shapes = f"{(*pairs, 'd')} or {(steps, *pairs, 'd')}"
        raise ValueError(f"features must have shape {shapes} with d >= 1, got {phi.shape}")
    return phi


def _beta(data: MDPData, d: int, beta: ArrayLike | None, constant: ArrayLike, delta: float | None) -> Floats:
    assert data.horizon is not None
    c = positive("constant", constant)
    episodes = np.maximum(data.counts[..., :1, :, :].sum(axis=(-3, -2, -1)), 2)
    xi = 1.0 / episodes if delta is None else _check.open_unit_interval("delta", delta)
    if beta is not None:
        if _check.numeric("beta", beta).ndim == 0:
            return np.full(data.shape, _check.nonnegative("beta", beta))  # type: ignore[arg-type]
        return np.array(np.broadcast_to(_check.real_array("beta", beta, low=0.0), data.shape))
    if data.horizon == 0:
        return np.zeros(data.shape)
    return np.asarray(c * d * data.horizon * np.sqrt(np.log(2.0 * d * data.horizon * episodes / xi)))
