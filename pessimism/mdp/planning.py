r"""Planning: the optimal policy of a known model, with a certificate.

Bellman's operator :math:`(TV)(s) = \max_a r(s,a) + \gamma \sum_{s'} P(s' \mid s,a) V(s')` contracts by :math:`\gamma`,
so every V satisfies

.. math:: \|V - V^*\|_\infty \le \frac{\|TV - V\|_\infty}{1-\gamma},

which is the `error_bound` of every result: the iterations below differ only in how they find V. MacQueen's bounds say
more, :math:`TV + \frac{\gamma}{1-\gamma}\min(TV - V) \le V^* \le TV + \frac{\gamma}{1-\gamma}\max(TV - V)`; moving V to
their middle takes the slow constant part out of the error, and on models that mix fast it is almost all of it.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._objects import Speaking
from pessimism._types import Floats, Ints
from pessimism.mdp._certificate import certified
from pessimism.mdp._engine.bellman import residual_bounds
from pessimism.mdp._engine.search import SEARCHES
from pessimism.mdp.model import MDP

__all__ = ["PLANNING_METHODS", "Plan", "error_bound", "plan"]

PLANNING_METHODS = (*SEARCHES, "backward_induction")
"""What `plan` takes as `method`."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Plan(Speaking):
    r"""A policy, its certificate and how it was found; of one model or data set, or of a batch.

    Attributes
    ----------
    policy : (..., [H,] S) int or (..., [H,] S, A) float
        The decision; some rules return laws over actions.
    value : (..., [H,] S) float
        V; a lower bound of the policy's true value where the rule says so.
    status : Status or (...) array of Status
        How it ended; ``status.value`` is a sentence.
    iterations : (...) int
        Improvements of the policy.
    error_bound : (...) float
        Largest possible error of `value` as a fixed point, rounding included, recomputed from `value` itself; 0 for
        finite recursions, inf where no fixed point is claimed.
    q : (..., [H,] S, A) float or None
        :math:`Q(s, a) = r(s, a) + \gamma \sum_{s'} P(s' \mid s, a) V(s')` for `value` (of the next step, if there is a
        horizon), less the width of a rule that has one; so its maximum is `value` up to the error bound, or less where
        the rule only raises values. -inf for what is never chosen: infeasible actions, and pairs that the rule
        excludes. None where a rule has none.

    Examples
    --------
    >>> plan(MDP.dense([[[1.0]]], [[0.5]], discount=0.5)).status.value
    'the error bound is within the tolerance'
    >>> plan(MDP.dense([[[1.0]]], [[0.5]], horizon=3))
    Plan(policy (3, 1), EXACT, error bound 0)
    """

    policy: Any
    value: Floats
    status: Any
    iterations: Ints
    error_bound: Floats
    q: Floats | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Batch of plans."""
        return np.shape(self.iterations)

    def __repr__(self) -> str:
        ends = Counter(end.name for end in np.asarray(self.status, object).flat)
        shown = ", ".join(f"{k} {name}" if self.shape else name for name, k in ends.items())
        shown += f", error bound {np.max(self.error_bound, initial=0.0):.3g}"
        imitating = ends["NO_UPDATE"] + ends["IMITATION"]
        if imitating:
            shown += f"; {imitating} of {ends.total()} depart" if self.shape else "; departs"
            shown += " nowhere from imitation"
        return f"Plan(policy {np.shape(self.policy)}, {shown})"


def plan(
    mdp: MDP,
    *,
    tolerance: float = 1e-6,
    method: str = "auto",
    initial: ArrayLike | None = None,
    max_iterations: int | None = None,
) -> Plan:
    r"""Optimal policy of a model, to a certified tolerance.

    Parameters
    ----------
    mdp : MDP
        The model, or a batch of models.
    tolerance : float
        Largest allowed error of the values, positive, in reward units. What rounding allows is about
        :math:`(B+4)\,2^{-52} \|V\|_\infty / (1-\gamma)`.
    method : str
        "value_iteration" (MacQueen's bounds), "value_iteration_sup" (the textbook's stop), "modified_policy_iteration"
        (20 sweeps a policy), "policy_iteration" (Krylov evaluation; sweeps instead where that does not pay) or "auto":
        ten sweeps a policy, and Krylov steps where the policy has nearly settled and the model mixes slowly. With a
        horizon only "auto" and "backward_induction", which are the same.
    initial : (..., S) array_like of float, optional
        Values to start from (a warm start). Default: 0. Not used with a horizon.
    max_iterations : int, optional
        Largest number of policy improvements: with "value_iteration_sup", which does nothing in between, k of them
        make `value` the k-th iterate of the textbook. Not used with a horizon. Default: more than any model needs
        while float64 can tell its discount from 1.

    Returns
    -------
    Plan
        Of the batch of the models. The policy is greedy for the values, lowest action among equals; it loses at most
        :math:`2 \gamma/(1-\gamma)` times the largest Bellman residual. The status is CONVERGED, EXACT with a horizon,
        or ROUNDING: no further sweep lowers the error bound, which is above the tolerance by the rounding it counts.

    Raises
    ------
    ConvergenceError
        With the partial result, if iterations ran out, or values are not finite, before the error bound of a model
        reached the tolerance or what rounding allows.
    ValueError, TypeError
        If an argument is out of its range.

    Notes
    -----
    A sweep costs O(SAB), a sweep under a fixed policy O(SB); a batch runs on all cores. The Krylov iteration is
    BiCGSTAB to a hundredth of the residual; after ten steps that do not halve the error bound, sweeps finish the work,
    which contract whatever the model. The first call ever compiles for some seconds; later processes load the compiled
    loops in about a second.

    Examples
    --------
    >>> mdp = MDP.dense([[[1, 0], [0, 1]], [[1, 0], [0, 1]]], [[0.0, 0.0], [0.0, 1.0]], discount=0.5)
    >>> plan(mdp).policy.tolist()
    [1, 1]
    """
    _check.instance("mdp", mdp, MDP)
    _check.choice("method", method, PLANNING_METHODS)
    goal = _check.positive("tolerance", tolerance)
    limit = None if max_iterations is None else _check.whole("max_iterations", max_iterations, low=1)
    values = np.zeros((*mdp.shape, mdp.n_states))
    if initial is not None:
        values[...] = np.where(mdp.terminal, 0.0, _initial(initial, values.shape))
    if mdp.horizon is not None:
        if method in SEARCHES and method != "auto":
            raise ValueError(f"method must be 'auto' or 'backward_induction' with a horizon, got {method!r}")
        from pessimism.mdp._engine.finite_horizon import backward_induction

        return Plan(*backward_induction(mdp.tables, np.zeros(mdp.horizon)))
    if method == "backward_induction":
        raise ValueError("method 'backward_induction' needs a model with a horizon")
    from pessimism.mdp._engine.fixed_point import iterate

    search = SEARCHES[method]
    if limit is not None:
        search = search._replace(limit=limit)
    return certified(Plan(*iterate(mdp.tables, values, goal, search, terminal=mdp.terminal)), goal)


def error_bound(mdp: MDP, value: ArrayLike) -> Floats:
    r"""Largest possible distance of any given values from the optimal ones: the certificate of a `Plan`, recomputed.

    Parameters
    ----------
    mdp : MDP
        The model, or a batch of models, without a horizon.
    value : (..., S) array_like of float
        V, from wherever it comes.

    Returns
    -------
    (...) float
        :math:`\|TV - V\|_\infty / (1-\gamma)` plus the rounding of that computation, in reward units.

    Raises
    ------
    ValueError, TypeError
        If the shape of `value` does not fit or the model has a horizon.

    Examples
    --------
    >>> mdp = MDP.dense([[[1.0]]], [[0.5]], discount=0.5)
    >>> float(error_bound(mdp, [1.25]).round(12))
    0.25
    """
    _check.instance("mdp", mdp, MDP)
    if mdp.horizon is not None:
        raise ValueError("mdp must have no horizon: backward induction is exact")
    given = _check.real_array("value", value, min_ndim=1)
    if given.shape[-1:] != (mdp.n_states,):
        raise ValueError(f"value must have shape (..., {mdp.n_states}), got {given.shape}")
    batch = _check.broadcast("value and mdp", given.shape[:-1], mdp.shape)
    return residual_bounds(mdp.tables, np.broadcast_to(given, (*batch, mdp.n_states)))


def _initial(initial: ArrayLike, shape: tuple[int, ...]) -> Floats:
    first = _check.real_array("initial", initial, min_ndim=1)
    if first.shape[-1:] != shape[-1:] or _check.broadcast("initial and mdp", first.shape, shape) != shape:
        raise ValueError(f"initial must broadcast to shape {shape}, got {first.shape}")
    return first
