r"""Pessimistic value iteration with variance-aware (Bernstein) widths, discounted.

For rewards in [0, 1] and :math:`\gamma \ge 1/2`, the fixed point of

.. math::
    Q(s,a) &= \max\{\hat r + \gamma \hat P V - b(s,a;V), 0\}, \\
    b &= \min\Big\{\max\Big(\sqrt{\tfrac{c\,\ell\,\mathrm{Var}_{\hat P}(V)}{N(s,a)}},
    \tfrac{2c\,\ell}{(1-\gamma)N(s,a)}\Big), \tfrac{1}{1-\gamma}\Big\} + \tfrac{5}{N},

with c the `constant` and :math:`\ell` the logarithm. The widths depend on V, and yet the operator is a monotone
:math:`\gamma`-contraction, thanks to the maximum of the two terms: with their sum, as in `vi_lcb_episodic`, it is none.
"""

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._status import Status
from pessimism.mdp._certificate import learned
from pessimism.mdp._engine.solution import as_status
from pessimism.mdp.data import MDPData
from pessimism.mdp.planning import Plan
from pessimism.mdp.rules._empirical import (
    empirical,
    inverse_delta,
    iteration_limit,
    logarithm,
    spread_over,
    stationary,
    width_constant,
)
from pessimism.mdp.rules._imitation import bernstein, marked, told

__all__ = ["vi_lcb_bernstein"]

CONSTANT, PAPER_CONSTANT = 0.05, 144.0
SWEEPS = 100.0
"""Most sweeps, times 1 - discount: rounding is reached before, by a factor of about 1/e every 1/(1 - discount)."""


def vi_lcb_bernstein(
    data: MDPData,
    *,
    discount: float,
    delta: float | None = None,
    constant: ArrayLike = CONSTANT,
    log_factor: ArrayLike | None = None,
    paper_constants: bool = False,
    tolerance: float = 1e-6,
    max_iterations: int | None = None,
) -> Plan:
    r"""Policy of discounted pessimistic value iteration with Bernstein widths.

    Parameters
    ----------
    data : MDPData
        Logged transitions, without a step axis. The rule is stated for known rewards. It uses the mean of the received
        rewards, which is the same if the pair decides the reward; its widths do not account for noise in the rewards.
    discount : float
        :math:`\gamma`, in [1/2, 1): below, the operator need not contract.
    delta : float, optional
        :math:`\delta` in :math:`\ell = \log(N/((1-\gamma)\delta))`, in (0, 1). Default 1/max(N, 2).
    constant : (...) array_like of float
        Factor c, positive. The theorem asks for a sufficiently large one. It broadcasts with the batch of the data.
    log_factor : (...) array_like of float, optional
        A number in place of :math:`\ell`, positive; 1 for widths without the logarithm. It broadcasts like `constant`.
    paper_constants : bool
        Use c = 144, a proof constant that we have not seen in a theorem: on a garnet of 20 states no value is raised up
        to 10^6 transitions (`moving_constant`).
    tolerance : float
        Largest allowed error of the fixed point, positive, in reward units.
    max_iterations : int, optional
        Largest number of applications of the operator. Default: as many as any discount needs that float64 can tell
        from 1.

    Returns
    -------
    Plan
        With value at most that of the fixed point, reached from below: a lower bound of the policy's value with
        probability :math:`1-2\delta` for a sufficiently large c, if (state, action) decides the reward. Where nothing
        is certified (value 0) every action is a maximiser and the most frequent one is chosen; if that is so everywhere
        the status is NO_UPDATE, and IMITATION if it is the most frequent one everywhere all the same.

    Raises
    ------
    ConvergenceError
        If the error bound does not reach `tolerance`, within `max_iterations` if they are given.
    ValueError, TypeError
        If an argument is out of its range.

    Warns
    -----
    ImitationWarning
        If no plan of the batch departs from imitation, with the numbers that decide it (`moving_constant`).

    See Also
    --------
    pessimism.mdp.rules.vi_lcb_episodic.vi_lcb_episodic : The rule for episodes.
    pessimism.mdp.bounds.bernstein_samples : Transitions with which the rule is epsilon-optimal.
    simulations.mdp_horizon : Figure of what Hoeffding widths and splitting cost.

    Notes
    -----
    N is the number of all transitions. A pair that was never seen has width :math:`V_{\max} + 5/N`. Cost O(SAB) an
    iteration, :math:`\log(\cdot)/(1-\gamma)` iterations, fewer where more than 10,000 would be needed and longer steps
    provably stay below the fixed point (not with `max_iterations`); batches run on all cores. Rewards of another range
    are scaled to [0, 1] first. Source: Li, Shi, Chen, Chi and Wei (2022), arXiv:2204.05275, discounted algorithm; reuse
    of all data in every iteration is theirs. The default constant is ours: under it values are often above the truth.

    Examples
    --------
    >>> data = MDPData([[9000, 500]], [[[0], [0]]], [[[9000], [500]]], [[900.0, 450.0]])
    >>> vi_lcb_bernstein(data, discount=0.5).policy.tolist()
    [1]
    """
    gamma = _check.between("discount", discount, 0.5, 1.0, "[)")
    c = width_constant(constant, CONSTANT, paper_constants, PAPER_CONSTANT)
    data = spread_over(stationary(data), constant=c, log_factor=log_factor)
    known = empirical(data, gamma, None)
    goal = _check.positive("tolerance", tolerance)
    n = np.maximum(data.n, 1)
    log = logarithm(n * inverse_delta(data, delta, least=2) / (1.0 - gamma), log_factor)
    limit = int(SWEEPS / (1.0 - gamma))
    if max_iterations is not None:  # by single applications, as one would by hand
        limit = min(limit, iteration_limit(max_iterations))
    low, high = known.reward_range

    from pessimism.mdp._engine.bernstein import PLAIN, discounted, discounted_q

    limits, given = (goal / (high - low), limit), known.known_values
    plain = PLAIN if max_iterations is None else limit
    values, policy, sweeps, bound = discounted(known.scaled, data.counts, c * log, n, *limits, given, plain)
    policy, q = known.admissible(policy), discounted_q(known.scaled, data.counts, c * log, n, values)
    bound = np.asarray((high - low) * bound)
    status = np.full(data.shape, Status.NOT_CONVERGED, object)
    status[sweeps < limit] = Status.ROUNDING
    status[bound <= goal] = Status.CONVERGED
    status[~(values > np.maximum(given, 0.0)).any(axis=-1)] = Status.NO_UPDATE
    value = known.ending(known.low_value + (high - low) * values)
    q = known.in_units(q, known.low_value)
    plan = learned(Plan(policy, value, as_status(status, data.shape), sweeps, bound, q), goal)
    plan = marked(plan, known.imitated)
    return told(plan, "vi_lcb_bernstein", data.counts, c, bernstein(known, n, log))
