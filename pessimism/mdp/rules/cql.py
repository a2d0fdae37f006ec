r"""Conservative Q-learning (CQL) for tables, in closed form.

Minimising :math:`\alpha (E_{D,\nu} Q - E_D Q) + \tfrac12 E_D (Q - B^\pi Q_k)^2` over tables gives

.. math:: Q_{k+1}(s,a) = B^\pi Q_k(s,a) - \alpha \Big(\frac{\nu(a \mid s)}{\hat\pi_b(a \mid s)} - 1\Big)

with :math:`\hat\pi_b` the logged shares of the actions. For :math:`\nu = \pi` the value of a state pays a chi-square
penalty, :math:`\alpha \sum_a (\pi - \hat\pi_b)^2 / \hat\pi_b \ge 0`. `cql_values` is the fixed point for a given
policy. `cql` takes the best policy against that penalty in every state: a contraction of its own, whose value is never
below that of the logged shares. Actions that were never logged are excluded.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._status import Status
from pessimism._types import Floats
from pessimism.mdp import _input
from pessimism.mdp._certificate import learned
from pessimism.mdp._engine.evaluation import expected_sums
from pessimism.mdp._engine.solution import as_status
from pessimism.mdp._engine.tables import as_law
from pessimism.mdp.data import MDPData
from pessimism.mdp.planning import Plan
from pessimism.mdp.rules._empirical import Empirical, empirical, iteration_limit, stationary

__all__ = ["cql", "cql_values"]

MAX_ITERATIONS = 10_000

SWEEPS = 2_000
"""From so many iterations on, which only discounts next to 1 need, policies are evaluated exactly in between."""

ROUNDINGS = 64 * 2.0**-52
"""Part of the largest value to which one application of the operator is exact; the water level costs some digits."""


def cql_values(data: MDPData, policy: ArrayLike, *, discount: float, alpha: float) -> Floats:
    r"""Fixed point Q of conservative evaluation of a policy, with :math:`\nu = \pi`.

    Parameters
    ----------
    data : MDPData
        Logged transitions, without a step axis.
    policy : (..., S) array_like of int or (..., S, A) array_like of float
        The policy; it must keep to logged actions where there are any, and to feasible ones elsewhere.
    discount : float
        :math:`\gamma`, in [0, 1).
    alpha : float
        :math:`\alpha`, at least 0, in reward units.

    Returns
    -------
    (..., S, A) float
        Q; -inf for an action that was never logged. Averaged over the policy it is the value with the chi-square
        penalty. A state that was never seen is worth the smallest possible value, a terminal one 0.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range or the policy uses an action that was never logged in a logged state.

    See Also
    --------
    pessimism.mdp.rules.cql.cql : The best policy against the penalty.

    Notes
    -----
    One linear system a policy. Closed form: Kumar et al. (2020), arXiv:2006.04779, in the tabular case; derived here.

    Examples
    --------
    >>> data = MDPData([[3, 1]], [[[0], [0]]], [[[3], [1]]], [[0.0, 1.0]])
    >>> cql_values(data, [1], discount=0.0, alpha=0.25).tolist()
    [[0.25, 0.25]]
    """
    known, shares, weight = _known(data, discount, alpha)
    clean = _input.check_policy(policy, data.feasible, None)
    law = as_law(clean, data.n_actions)
    seen = data.counts.sum(axis=-1) > 0
    outside = (law > 0) & (data.counts == 0) & seen[..., None]
    if outside.any():
        index = tuple(int(i) for i in np.argwhere(outside)[0])
        raise ValueError(f"policy must keep to logged actions, got action {index[-1]} in state {index[-2]}")
    ratio = np.divide(law, shares, out=np.zeros(np.broadcast_shapes(law.shape, shares.shape)), where=shares > 0)
    gains = known.tables.rewards - weight * (ratio - 1.0)
    q = np.where(data.counts > 0, _backup(known, gains, _evaluated(known, seen, law, gains)), -np.inf)
    return np.where(known.terminal[:, None], 0.0, q)


def cql(
    data: MDPData, *, discount: float, alpha: float = 1.0, tolerance: float = 1e-6, max_iterations: int | None = None
) -> Plan:
    r"""Policy that is best against the chi-square penalty of conservative Q-learning.

    Parameters
    ----------
    data : MDPData
        Logged transitions, without a step axis.
    discount : float
        :math:`\gamma`, in [0, 1).
    alpha : float
        :math:`\alpha`, at least 0, in reward units: 0 is the plug-in rule, and as it grows the policy tends to the
        logged shares. It must change with the unit of the rewards; to check the rule at a fixed `alpha`, waive the
        promise "scale" of `check_offline_rule`.
    tolerance : float
        Largest allowed error of the fixed point, positive, in reward units.
    max_iterations : int, optional
        Largest number of applications of the operator. Default: 10,000.

    Returns
    -------
    Plan
        With a stochastic policy (..., S, A). Its value is the penalised one in the empirical model; no bound of the
        truth is claimed. States never seen have the uniform policy over feasible actions and the smallest possible
        value. `q` is :math:`\hat r + \gamma \hat P V`, without the penalty.

    Raises
    ------
    ConvergenceError
        As for `plan`, and if `max_iterations` did not suffice.
    ValueError, TypeError
        If an argument is out of its range.

    See Also
    --------
    pessimism.mdp.rules.plug_in.plug_in : The limit of a small `alpha`.
    pessimism.mdp.rules.behavior_cloning.behavior_cloning : Imitation by the most frequent action.

    Notes
    -----
    :math:`V(s) = \max_\pi \sum_a \pi(a) q(a) - \alpha\sum_a (\pi - \hat\pi_b)^2/\hat\pi_b` with
    :math:`q = \hat r + \gamma \hat P V`; the maximiser is
    :math:`\pi(a) = \hat\pi_b(a) (q(a) - \lambda)_+ / (2\alpha)`, with :math:`\lambda` such that it sums to one. A
    monotone :math:`\gamma`-contraction; derived here. Cost O(SA(B + log A)) an iteration; next to discount 1 policies
    are evaluated exactly between iterations, which improves them until they stay.

    Examples
    --------
    >>> data = MDPData([[3, 1]], [[[0], [0]]], [[[3], [1]]], [[0.0, 1.0]])
    >>> cql(data, discount=0.0, alpha=1.0).policy.tolist()
    [[0.65625, 0.34375]]
    """
    known, shares, weight = _known(data, discount, alpha)
    goal = _check.positive("tolerance", tolerance)
    seen = data.counts.sum(axis=-1) > 0
    unseen = known.ending(np.full((*data.shape, data.n_states), known.low_value))
    values = unseen
    iterations, bound = np.zeros(data.shape, np.int64), np.zeros(data.shape)
    unfinished = np.ones(data.shape, bool)
    for iteration in range(MAX_ITERATIONS if max_iterations is None else iteration_limit(max_iterations)):
        policy, best = _against_penalty(_logged(known, values), shares, weight)
        best = np.where(seen, best, unseen)
        residual = np.abs(best - values).max(axis=-1)
        rounding = ROUNDINGS * np.abs(best).max(axis=-1)
        bound = (residual + rounding) / (1.0 - known.tables.discount)
        iterations += unfinished
        unfinished = (bound > goal) & (residual > rounding)
        if not np.any(unfinished):
            break
        if iteration >= SWEEPS:
            penalty = _penalty(policy, shares, weight)
            best = _evaluated(known, seen, policy, known.tables.rewards - penalty[..., None])
        values = np.where(unfinished[..., None], best, values)
    policy = np.where(seen[..., None], policy, known.feasible / known.feasible.sum(axis=-1, keepdims=True))
    status = np.full(data.shape, Status.CONVERGED, object)
    status[bound > goal] = Status.ROUNDING
    status[unfinished] = Status.NOT_CONVERGED
    q = np.where(known.terminal[:, None], 0.0, _logged(known, values))
    return learned(Plan(policy, values, as_status(status, data.shape), iterations, np.asarray(bound), q), goal)


def _known(data: MDPData, discount: float, alpha: float) -> tuple[Empirical, Floats, float]:
    stationary(data)
    visits = data.counts.sum(axis=-1, keepdims=True)
    known = empirical(data, _check.scalar("discount", discount), None)
    weight = _check.between("alpha", alpha, 0.0, _check.MAX_SIZE)
    return known, data.counts / np.maximum(visits, 1), weight


def _backup(known: Empirical, rewards: Floats, values: Floats) -> Floats:
    """Rewards plus the discounted empirical value of the next state, (..., S, A)."""
    later = (known.tables.probabilities * values[..., known.tables.next_states]).sum(axis=-1)
    return np.asarray(rewards + known.tables.discount * later)


def _logged(known: Empirical, values: Floats) -> Floats:
    """Q of pairs that were logged, -inf of the others."""
    return np.where(known.counts > 0, _backup(known, known.tables.rewards, values), -np.inf)


def _evaluated(known: Empirical, seen: NDArray[np.bool_], law: Floats, gains: Floats) -> Floats:
    """Exact values of a policy that earns `gains` (..., S, A); in states never seen they are those given."""
    p = np.where(seen[..., None, None], known.tables.probabilities, 0.0)
    given = known.ending(np.full(seen.shape, known.low_value))[..., None]
    law, rewards = np.where(seen[..., None], law, 1.0 / law.shape[-1]), np.where(seen[..., None], gains, given)
    return expected_sums(known.tables._replace(probabilities=p, rewards=rewards), law)


def _penalty(law: Floats, shares: Floats, alpha: float) -> Floats:
    """What the value of a state pays, alpha sum (law - shares)^2 / shares."""
    return np.asarray(alpha * ((law - shares) ** 2 / np.where(shares > 0, shares, 1.0)).sum(axis=-1))


def _against_penalty(q: Floats, shares: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Best laws over actions and their penalised values; q is -inf where the share is 0."""
    if alpha == 0.0:
        best = q.argmax(axis=-1)[..., None] == np.arange(q.shape[-1])
        return best.astype(np.float64), q.max(axis=-1)
    # with differences from the best q and from the logged shares, to avoid cancellation at large and small alpha
    top = np.where(shares.any(axis=-1), q.max(axis=-1), 0.0)
    gaps = np.where(shares > 0, q - top[..., None], 0.0)
    order = np.argsort(-q, axis=-1, kind="stable")
    ranked, weights = np.take_along_axis(gaps, order, axis=-1), np.take_along_axis(shares, order, axis=-1)
    total, rest = np.cumsum(weights, axis=-1), np.zeros_like(weights)
    rest[..., :-1] = np.cumsum(weights[..., :0:-1], axis=-1)[..., ::-1]
    # with the k best actions lambda = (sum_k share q - 2 alpha) / sum_k share, and level = lambda + 2 alpha - top;
    # right is the last k for which the k-th best q is above lambda
    sums = np.cumsum(weights * ranked, axis=-1) - 2.0 * alpha * rest
    level = np.divide(sums, total, out=np.zeros_like(total), where=total > 0)
    used = np.maximum(((weights > 0) & (ranked - level > -2.0 * alpha)).sum(axis=-1, keepdims=True) - 1, 0)
    tilt = np.maximum(gaps - np.take_along_axis(level, used, axis=-1), -2.0 * alpha) / (2.0 * alpha)
    policy = shares * (1.0 + tilt)
    mass = policy.sum(axis=-1, keepdims=True)  # 1 up to rounding, 0 where nothing was seen
    policy = policy / np.where(mass > 0, mass, 1.0)
    return policy, np.asarray(top + (policy * gaps).sum(axis=-1) - alpha * (shares * tilt**2).sum(axis=-1))
