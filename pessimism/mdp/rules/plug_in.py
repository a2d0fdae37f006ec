r"""Plug-in planning: the empirical model :math:`(\hat r, \hat P)` in place of the true one (certainty equivalence)."""

import numpy as np

from pessimism import _check
from pessimism.mdp._certificate import learned
from pessimism.mdp._engine.search import SEARCHES
from pessimism.mdp.data import MDPData
from pessimism.mdp.planning import Plan
from pessimism.mdp.rules._empirical import empirical

__all__ = ["plug_in"]


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
        Its value is that of the empirical model, no bound of the true one. A pair that was never seen is chosen only
        in states where none was; such states are worth the smallest possible value.

    Raises
    ------
    ConvergenceError
        As for `plan`.
    ValueError, TypeError
        If an argument is out of its range.

    See Also
    --------
    pessimism.mdp.bounds.plug_in_failure_loss : What this rule loses on nearly expert data.
    pessimism.mdp.instances.simulation.plug_in_failure : The instance on which it loses that.
    pessimism.mdp.exact.stay_exit_loss : Its exact loss on stay-exit replicas, at level 0.

    Notes
    -----
    Cost O(SAB) an iteration, or O(HSAB) with a horizon; batches run on all cores.

    Examples
    --------
    >>> data = MDPData([[2, 3]], [[[0], [0]]], [[[2], [3]]], [[2.0, 0.0]])
    >>> plug_in(data, discount=0.5).value.tolist()
    [2.0]
    """
    goal = _check.positive("tolerance", tolerance)
    known = empirical(data, discount, horizon)
    # planners do not choose what earns -inf
    tables = known.tables._replace(rewards=np.where(known.seen, known.tables.rewards, -np.inf))
    if tables.horizon is not None:
        from pessimism.mdp._engine.finite_horizon import backward_induction

        return Plan(*backward_induction(tables, known.low_to_go))
    from pessimism.mdp._engine.fixed_point import iterate

    values = np.zeros((*data.shape, data.n_states))
    search, low = SEARCHES["auto"], known.low_value
    return learned(Plan(*iterate(tables, values, goal, search, fallback=low, terminal=known.terminal)), goal)
