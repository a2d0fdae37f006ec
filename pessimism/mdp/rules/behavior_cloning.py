"""Behavior cloning: the action most often seen, whatever it earned."""

import numpy as np

from pessimism.mdp._engine.solution import finished
from pessimism.mdp.data import MDPData
from pessimism.mdp.planning import Plan
from pessimism.mdp.rules._empirical import empirical

__all__ = ["behavior_cloning"]


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
        Its value is the smallest possible one: imitation certifies nothing. Ties are broken by the lowest action;
        states never seen have the lowest feasible one. It has no `q`.

    Raises
    ------
    ValueError, TypeError
        If neither `discount` nor `horizon` is given and the data have no step axis, or `horizon` is not theirs.

    See Also
    --------
    pessimism.mdp.rules.vi_lcb.vi_lcb : Departs from imitation only where something better is certified.
    pessimism.mdp.instances.lower_bounds.ambiguous_replicas : Models on which imitation never learns.

    Notes
    -----
    Cost O(SA).

    Examples
    --------
    >>> data = MDPData([[2, 3]], [[[0], [0]]], [[[2], [3]]], [[2.0, 0.0]])
    >>> behavior_cloning(data, discount=0.9).policy.tolist()
    [1]
    """
    known = empirical(data, discount, horizon)
    policy = known.imitated
    if known.tables.horizon is None:
        return Plan(*finished(policy, known.ending(np.full(policy.shape, known.low_value)), data.shape, 0))
    policy = np.broadcast_to(policy, (*data.shape, known.tables.horizon, data.n_states))
    return Plan(*finished(policy, known.ending(np.broadcast_to(known.low_to_go[:, None], policy.shape)), data.shape, 0))
