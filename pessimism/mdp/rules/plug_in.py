r"""Plug-in planning: the empirical model :math:`(\hat r, \hat P)` in place of the true one (certainty equivalence)."""

from dataclasses import replace

import numpy as np

from pessimism import _check
from pessimism.mdp._certificate import learned
from pessimism.mdp._engine.search import SEARCHES
from pessimism.mdp.data import MDPData
from pessimism.mdp.planning import Plan
from pessimism.mdp.rules._empirical import capped, empirical

__all__ = ["plug_in"]


def plug_in(
    data: MDPData,
    *,
    discount: float | None = None,
    horizon: int | None = None,
    tolerance: float = 1e-6,
    max_iterations: int | None = None,
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
    max_iterations : int, optional
        Largest number of iterations, each of which then is one application of the operator, so that tables can be
        followed by hand. Default: as many as any discount needs that float64 can tell from 1. Not used with a
        horizon.

    Returns
    -------
    Plan
        Its value is that of the empirical model, no bound of the true one. A pair that was never seen is chosen only
        in states where none was, and is then the lowest feasible one; such states are worth the smallest possible
        value.

    Raises
    ------
    ConvergenceError
        As for `plan`, and if `max_iterations` did not suffice.
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

        found = Plan(*backward_induction(tables, known.low_to_go))
        return replace(found, policy=known.admissible(found.policy))
    from pessimism.mdp._engine.fixed_point import iterate

    values = np.zeros((*data.shape, data.n_states))
    search, first = capped(SEARCHES["auto"], max_iterations), known.feasible.argmax(axis=-1)
    fixed = {"fallback": known.low_value, "start": first, "terminal": known.terminal}
    return learned(Plan(*iterate(tables, values, goal, search, **fixed)), goal)
