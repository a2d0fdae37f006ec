r"""Rules without pessimism: imitation, and planning in the empirical model.

`behavior_cloning` plays the action most often seen and looks at no reward. `plug_in` plans in
:math:`(\hat r, \hat P)` as if it were the truth (certainty equivalence). The pessimistic rules lie between them.
"""

import numpy as np

from pessimism import _check
from pessimism._status import Status
from pessimism.mdp import _fixed_point
from pessimism.mdp._estimates import estimates, unseen_excluded
from pessimism.mdp.data import MDPData
from pessimism.mdp.planning import LIMITS, Plan


def behavior_cloning(data: MDPData, *, discount: float | None = None, horizon: int | None = None) -> Plan:
    """Action seen most often in every state (and step): imitation.

    Parameters
    ----------
    data : MDPData
        Logged transitions; the rewards are not used.
    discount : float, optional
        As for `MDP`.
    horizon : int, optional
        H; for data without a step axis the policy is then the same at every step.

    Returns
    -------
    Plan
        Its value is the smallest possible one: imitation claims nothing. Ties, and states never seen, have the lowest
        action.

    Raises
    ------
    ValueError, TypeError
        If neither `discount` nor `horizon` is given and the data have no step axis, or `horizon` is not theirs.

    Examples
    --------
    >>> data = MDPData([[2, 3]], [[[0], [0]]], [[[2], [3]]], [[2.0, 0.0]])
    >>> behavior_cloning(data, discount=0.9).policy.tolist()
    [1]
    """
    known = estimates(data, discount, horizon)
    policy = known.counts.argmax(axis=-1)
    if known.horizon is not None:
        policy = np.broadcast_to(policy, (*data.shape, known.horizon, data.n_states))
        value = np.broadcast_to(known.low_to_go[:, None], policy.shape)
    else:
        value = np.full(policy.shape, known.low_value)
    return _fixed_point.finished(policy, value, data.shape, 0)


def plug_in(
    data: MDPData, *, discount: float | None = None, horizon: int | None = None, tolerance: float = 1e-6
) -> Plan:
    r"""Optimal policy of the empirical model (certainty equivalence).

    Parameters
    ----------
    data : MDPData
        Logged transitions.
    discount : float, optional
        As for `MDP`.
    horizon : int, optional
        H; data without a step axis are then used at every step.
    tolerance : float
        Largest allowed error of the values in the empirical model, positive, in reward units.

    Returns
    -------
    Plan
        Its value is that of the empirical model, no bound of the truth. A pair that was never seen is chosen only in
        states where none was; such states are worth the smallest possible value.

    Raises
    ------
    ConvergenceError
        If the error bound does not reach `tolerance` and more than rounding is missing.
    ValueError, TypeError
        If an argument is out of its range.

    Examples
    --------
    >>> data = MDPData([[2, 3]], [[[0], [0]]], [[[2], [3]]], [[2.0, 0.0]])
    >>> plug_in(data, discount=0.5).value.tolist()
    [2.0]
    """
    goal = _check.positive("tolerance", tolerance)
    known = estimates(data, discount, horizon)
    gains = unseen_excluded(known.counts, known.mean_rewards)
    tables = known.next_states, known.shares, gains, known.discount
    if known.horizon is not None:
        return _fixed_point.backward_induction(*tables, known.low_to_go, data.shape)
    values, search, limit = np.zeros((*data.shape, data.n_states)), LIMITS["auto"][:3], LIMITS["auto"][3]
    plan = _fixed_point.iterate(*tables, goal, values, search, limit, fallback=known.low_value)
    _fixed_point.require(plan, goal, (Status.CONVERGED, Status.ROUNDING))
    return plan


__all__ = ["behavior_cloning", "plug_in"]
