r"""Planning: the optimal policy of a known model, with a certificate.

Bellman's operator :math:`(TV)(s) = \max_a r(s,a) + \gamma \sum_{s'} P(s' \mid s,a) V(s')` contracts by :math:`\gamma`,
so any V whatever satisfies

.. math:: \|V - V^*\|_\infty \le \frac{\|TV - V\|_\infty}{1-\gamma},

which is the `error_bound` of every result: the iterations below differ only in how they find V. MacQueen's bounds say
more, :math:`TV + \frac{\gamma}{1-\gamma}\min(TV - V) \le V^* \le TV + \frac{\gamma}{1-\gamma}\max(TV - V)`; moving V to
their middle takes the slow constant part out of the error, and on models that mix fast it is almost all of it.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._draw import Floats, Ints
from pessimism._status import Status
from pessimism.mdp._batch import items, on_threads, part_of
from pessimism.mdp.model import MDP

METHODS = (
    "auto",
    "value_iteration",
    "value_iteration_sup",
    "modified_policy_iteration",
    "policy_iteration",
    "backward_induction",
)
NEVER = 2**62
LIMITS = {  # span shift, sweeps per improvement, improvement from which Krylov steps are tried, improvements
    "auto": (True, 10, 8, 100_000),
    "value_iteration": (True, 0, NEVER, 10_000_000),
    "value_iteration_sup": (False, 0, NEVER, 10_000_000),
    "modified_policy_iteration": (True, 20, NEVER, 500_000),
    "policy_iteration": (True, 20, 1, 100_000),
}


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
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
        Largest possible error of `value` as a fixed point, recomputed from `value` itself; 0 for finite recursions.

    Examples
    --------
    >>> mdp = MDP.dense([[[1.0]]], [[0.5]], discount=0.5)
    >>> plan(mdp).status.value
    'the error bound is within the tolerance'
    """

    policy: Any
    value: Floats
    status: Any
    iterations: Ints
    error_bound: Floats

    @property
    def shape(self) -> tuple[int, ...]:
        """Batch of plans."""
        return np.shape(self.iterations)


class ConvergenceError(RuntimeError):
    """The iterations ended before the error bound met the tolerance; `plan` holds what was reached.

    Parameters
    ----------
    message : str
        What was asked and what was reached.
    plan : Plan
        The partial result, with its own error bound.

    Examples
    --------
    >>> mdp = MDP.dense([[[1.0]]], [[0.5]], discount=0.9)
    >>> try:
    ...     plan(mdp, tolerance=1e-9, method="value_iteration_sup", max_iterations=3)
    ... except ConvergenceError as error:
    ...     print(error.plan.iterations)
    3
    """

    def __init__(self, message: str, plan: Plan) -> None:
        super().__init__(message)
        self.plan = plan


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
        Largest allowed error of the values, positive, in reward units.
    method : str
        "value_iteration" (MacQueen's bounds), "value_iteration_sup" (the textbook's stop), "modified_policy_iteration"
        (20 sweeps a policy), "policy_iteration" (Krylov evaluation; sweeps instead where that does not pay) or "auto":
        ten sweeps a policy, and Krylov steps where the policy has nearly settled and the model mixes slowly. With a
        horizon only "auto" and "backward_induction", which are the same.
    initial : (..., S) array_like of float, optional
        Values to start from (a warm start). Default: 0. Not used with a horizon.
    max_iterations : int, optional
        Largest number of policy improvements. Default: more than any model needs whose discount float64 can tell
        from 1.

    Returns
    -------
    Plan
        Of the batch of the models. The policy is greedy for the values, lowest action among equals; it
        loses at most :math:`2 \gamma/(1-\gamma)` times the largest Bellman residual.

    Raises
    ------
    ConvergenceError
        With the partial result, if the error bound of a model does not reach the tolerance.
    ValueError, TypeError
        If an argument is out of its range.

    Notes
    -----
    A sweep costs O(SAB), a sweep under a fixed policy O(SB); a batch runs on all cores. The Krylov iteration is
    BiCGSTAB to a hundredth of the residual; after ten steps that do not halve the error bound, sweeps finish the
    work, which contract whatever the model. The first call in a process compiles for some seconds, or loads the
    compiled loops in about a second.

    Examples
    --------
    >>> mdp = MDP.dense([[[1, 0], [0, 1]], [[1, 0], [0, 1]]], [[0.0, 0.0], [0.0, 1.0]], discount=0.5)
    >>> plan(mdp).policy.tolist()
    [1, 1]
    """
    _check.choice("method", method, METHODS)
    if mdp.horizon is not None:
        if method not in ("auto", "backward_induction"):
            raise ValueError(f"method must be 'auto' or 'backward_induction' with a horizon, got {method!r}")
        nothing = np.zeros(mdp.horizon)
        return finite_plan(mdp.next_states, mdp.probabilities, mdp.mean_rewards, mdp.discount, nothing, mdp.shape)
    if method == "backward_induction":
        raise ValueError("method 'backward_induction' needs a model with a horizon")
    values = np.zeros((*mdp.shape, mdp.n_states))
    if initial is not None:
        first = _check.real_array("initial", initial, min_ndim=1)
        shape = _check.broadcast("initial and mdp", first.shape, values.shape)
        if first.shape[-1:] != (mdp.n_states,) or shape != values.shape:
            raise ValueError(f"initial must broadcast to shape {values.shape}, got {first.shape}")
        values[...] = first
    limit = LIMITS[method][3] if max_iterations is None else _check.whole("max_iterations", max_iterations, low=1)
    return discounted_plan(
        mdp.next_states,
        mdp.probabilities,
        mdp.mean_rewards,
        mdp.discount,
        _check.positive("tolerance", tolerance),
        values,
        LIMITS[method][:3],
        limit,
    )


def discounted_plan(
    next_states: NDArray[np.int32],
    probabilities: Floats,
    rewards: Floats,
    discount: float,
    tolerance: float,
    values: Floats,
    search: tuple[bool, int, int],
    max_iterations: int,
    *,
    floor: float = -np.inf,
    fallback: float = 0.0,
    start: Ints | None = None,
) -> Plan:
    """Fixed point of max(floor, max_a Q) for tables of a batch; what `plan` and the pessimistic rules share.

    Parameters
    ----------
    next_states, probabilities, rewards : arrays
        Tables as in `MDP`, rewards per pair; -inf forbids an action.
    discount, tolerance : float
        As for `plan`.
    values : (..., S) float
        Start; its shape is the batch. Overwritten. With a floor it must be the floor itself, so that values rise.
    search : tuple
        Span shift, sweeps, improvement from which Krylov steps are tried.
    max_iterations : int
        Largest number of policy improvements.
    floor, fallback : float
        Smallest value, and value of a state without actions.
    start : (..., S) int, optional
        Policy where the value does not exceed the floor, and where there is no action. Default: 0.

    Returns
    -------
    Plan
        As for `plan`.

    Raises
    ------
    ConvergenceError
        As for `plan`.

    Examples
    --------
    >>> tables = np.zeros((1, 1, 1), np.int32), np.ones((1, 1, 1)), np.array([[-1.0]])
    >>> result = discounted_plan(*tables, 0.5, 1e-9, np.zeros(1), (False, 0, NEVER), 100, floor=0.0)
    >>> result.status is Status.NO_UPDATE
    True
    """
    from pessimism.mdp import _kernels

    batch, n_states = values.shape[:-1], values.shape[-1]
    flat = np.ascontiguousarray(values.reshape(-1, n_states))
    policies = np.zeros(flat.shape, np.int64)
    if start is not None:
        policies[...] = np.broadcast_to(start, values.shape).reshape(flat.shape)
    tables, gains = items(probabilities, batch, 3), items(rewards, batch, 2)
    span = search[0] and floor == -np.inf and bool(np.all((gains > -np.inf).any(axis=-1)))

    def work(part: slice) -> tuple[Ints, Floats]:  # numpydoc ignore=GL08
        return _kernels.solve_many(
            next_states.view(np.uint32),  # no check for negative positions in the inner loop: a quarter faster
            part_of(tables, part),
            part_of(gains, part),
            discount,
            floor,
            fallback,
            tolerance,
            span,
            search[1],
            search[2],
            max_iterations,
            flat[part],
            policies[part],
        )

    results = on_threads(work, len(flat))
    iterations, bounds = (np.concatenate(x) for x in zip(*results, strict=True))
    unmoved = (policies < 0).all(axis=-1) & (floor > -np.inf)
    policies = np.where(policies < 0, ~policies, policies)
    good = bounds <= tolerance  # false for NaN
    status = np.full(len(flat), Status.NOT_CONVERGED, object)
    status[good] = Status.CONVERGED
    status[good & unmoved] = Status.NO_UPDATE
    result = Plan(
        policies.reshape(*batch, n_states),
        flat.reshape(*batch, n_states),
        status.reshape(batch) if batch else status.item(),
        iterations.reshape(batch),
        bounds.reshape(batch),
    )
    if not good.all():
        result = replace(
            result, error_bound=_residual_bounds(result, next_states, tables, gains, discount, floor, fallback)
        )
        worst = np.max(result.error_bound)
        raise ConvergenceError(
            f"the error bound of {np.count_nonzero(~good)} of {len(flat)} models is above tolerance = {tolerance:g} "
            f"after at most {max_iterations} iterations, the largest is {worst:.3g}: raise max_iterations, or the "
            "tolerance if it is near the rounding of the values; the partial result is the attribute plan",
            result,
        )
    return result


def _residual_bounds(
    result: Plan,
    next_states: NDArray[np.int32],
    tables: Floats,
    gains: Floats,
    discount: float,
    floor: float,
    fallback: float,
) -> Floats:
    from pessimism.mdp import _kernels

    values = result.value.reshape(-1, result.value.shape[-1])
    best = _kernels.action_values(next_states, tables, gains, discount, np.ascontiguousarray(values)).max(axis=-1)
    best = np.maximum(np.where(best > -np.inf, best, fallback), floor)
    return np.asarray((np.abs(best - values).max(axis=-1) / (1.0 - discount)).reshape(result.shape))


def finite_plan(
    next_states: NDArray[np.int32],
    probabilities: Floats,
    rewards: Floats,
    discount: float,
    fallback: Floats,
    batch: tuple[int, ...],
) -> Plan:
    """Backward induction for tables of a batch.

    Parameters
    ----------
    next_states, probabilities, rewards : arrays
        Tables with a step axis, rewards per pair; -inf forbids an action.
    discount : float
        As for `MDP`.
    fallback : (H,) float
        Value at every step of a state without actions.
    batch : tuple of int
        Batch of the tables.

    Returns
    -------
    Plan
        With status EXACT.

    Examples
    --------
    >>> tables = np.zeros((1, 1, 1, 1), np.int32), np.ones((1, 1, 1, 1)), np.array([[[0.5]]])
    >>> finite_plan(*tables, 1.0, np.zeros(3), ()).value.tolist()
    [[1.5], [1.0], [0.5]]
    """
    from pessimism.mdp import _kernels

    count, horizon = int(np.prod(batch)), fallback.size
    tables, gains = items(probabilities, batch, 4), items(rewards, batch, 3)

    def work(part: slice) -> tuple[Floats, Ints]:  # numpydoc ignore=GL08
        return _kernels.plan_backward(next_states, part_of(tables, part), part_of(gains, part), discount, fallback)

    shared = len(tables) == len(gains) == 1
    results = [work(slice(0, 1))] if shared else on_threads(work, count)
    values, policies = (np.concatenate(x) for x in zip(*results, strict=True))
    tail = (horizon, next_states.shape[-3])
    status = np.full(batch, Status.EXACT, object)
    return Plan(
        np.broadcast_to(policies, (count, *tail)).reshape(*batch, *tail),
        np.broadcast_to(values, (count, *tail)).reshape(*batch, *tail),
        status if batch else Status.EXACT,
        np.full(batch, horizon),
        np.zeros(batch),
    )


__all__ = ["METHODS", "ConvergenceError", "Plan", "discounted_plan", "finite_plan", "plan"]
