"""Fixed points of Bellman operators and backward recursions, for the tables of a batch: what all planners share."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pessimism._batch import items, on_threads, part_of
from pessimism._status import ConvergenceError, Status
from pessimism._types import Floats, Ints
from pessimism.mdp.planning import Plan

States = NDArray[np.int32]


def iterate(
    next_states: States,
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
    """Fixed point of V = max(floor, max_a Q), from `values` (..., S), whose leading axes are the batch.

    A reward of -inf forbids an action; a state without actions is worth `fallback`. With a floor `values` must be the
    floor, so that they rise; `start` is the policy where they do not rise above it. `search`: shift, sweeps,
    improvement from which Krylov steps are tried. The status says how each item ended; nothing is raised.
    """
    from pessimism.mdp import _kernels

    batch = values.shape[:-1]
    flat = np.ascontiguousarray(values.reshape(-1, values.shape[-1]))
    policies = np.array(np.broadcast_to(0 if start is None else start, values.shape), np.int64).reshape(flat.shape)
    tables, gains = items(probabilities, batch, 3), items(rewards, batch, 2)

    def work(part: slice) -> Any:
        return _kernels.solve_many(
            next_states.view(np.uint32),  # no check for negative positions in the inner loop: a quarter faster
            part_of(tables, part),
            part_of(gains, part),
            *(discount, floor, fallback, tolerance, *search, max_iterations),
            flat[part],
            policies[part],
        )

    iterations, bounds = (np.concatenate(x) for x in zip(*on_threads(work, len(flat)), strict=True))
    status = np.full(len(flat), Status.NOT_CONVERGED, object)
    status[(iterations < max_iterations) & (bounds < np.inf)] = Status.ROUNDING
    status[bounds <= tolerance] = Status.CONVERGED
    if floor > -np.inf:
        status[(policies < 0).all(axis=-1) & (bounds < np.inf)] = Status.NO_UPDATE
    if (status == Status.NOT_CONVERGED).any():  # the last step changed the values that the bound was computed for
        bounds = residual_bounds(flat, next_states, tables, gains, discount, floor, fallback)
    return Plan(
        np.where(policies < 0, ~policies, policies).reshape(values.shape),
        flat.reshape(values.shape),
        statuses(status, batch),
        iterations.reshape(batch),
        bounds.reshape(batch),
    )


def statuses(status: NDArray[Any], batch: tuple[int, ...]) -> Any:
    """One Status, or an array of them in the shape of the batch."""
    return np.asarray(status, object).reshape(batch) if batch else np.asarray(status, object).item()


def require(plan: Plan, tolerance: float, accepted: tuple[Status, ...]) -> None:
    """Raise a ConvergenceError unless every status is one of the accepted."""
    ended = np.asarray(plan.status, object).reshape(-1)
    bad = ~np.isin(ended, np.array(accepted, object))
    if bad.any():
        worst = np.max(np.asarray(plan.error_bound).reshape(-1)[bad])
        raise ConvergenceError(
            f"the error bound of {np.count_nonzero(bad)} of {len(ended)} models is above tolerance = {tolerance:g}, "
            f"the largest is {worst:.3g}, after at most {np.max(plan.iterations)} iterations: {ended[bad][0].value}; "
            "the partial result is the attribute result",
            plan,
        )


def residual_bounds(
    values: Floats,
    next_states: States,
    probabilities: Floats,
    rewards: Floats,
    discount: float,
    floor: float = -np.inf,
    fallback: float = 0.0,
) -> Floats:
    """Error bounds (...) of values (..., S), from the residual of one application of the operator and its rounding."""
    from pessimism.mdp import _kernels

    batch, n_states = values.shape[:-1], values.shape[-1]
    tables, gains = items(probabilities, batch, 3), items(rewards, batch, 2)
    flat = np.ascontiguousarray(values.reshape(-1, n_states))
    best = _kernels.action_values(next_states, tables, gains, discount, flat).max(axis=-1)
    best = np.maximum(np.where(best > -np.inf, best, fallback), floor)
    rounding = (next_states.shape[-1] + _kernels.ROUNDINGS) * _kernels.EPSILON * np.abs(best).max(axis=-1)
    return np.asarray(((np.abs(best - flat).max(axis=-1) + rounding) / (1.0 - discount)).reshape(batch))


def backward_induction(
    next_states: States,
    probabilities: Floats,
    rewards: Floats,
    discount: float,
    fallback: Floats,
    batch: tuple[int, ...],
) -> Plan:
    """Optimal policies of tables with a step axis; a state without actions is worth `fallback` (H,)."""
    from pessimism.mdp import _kernels

    count, horizon = int(np.prod(batch)), fallback.size
    tables, gains = items(probabilities, batch, 4), items(rewards, batch, 3)

    def work(part: slice) -> Any:
        return _kernels.plan_backward(next_states, part_of(tables, part), part_of(gains, part), discount, fallback)

    shared = len(tables) == len(gains) == 1
    results = [work(slice(0, 1))] if shared else on_threads(work, count)
    values, policies = (np.concatenate(x) for x in zip(*results, strict=True))
    shape = (*batch, horizon, next_states.shape[-3])
    policy, value = (np.array(np.broadcast_to(x, (count, *shape[-2:]))).reshape(shape) for x in (policies, values))
    return finished(policy, value, batch, horizon)


def finished(
    policy: NDArray[Any],
    value: Floats,
    batch: tuple[int, ...],
    iterations: int,
    *,
    status: Status = Status.EXACT,
    moved: NDArray[np.bool_] | None = None,
) -> Plan:
    """Plan of a finite computation; NO_UPDATE where nothing was `moved` (...)."""
    ended = np.full(batch, status, object)
    if moved is not None:
        ended[~moved] = Status.NO_UPDATE
    bound = 0.0 if status is Status.EXACT else np.inf
    return replace(
        Plan(np.array(policy), np.array(value), None, np.full(batch, iterations), np.full(batch, bound)),
        status=statuses(ended, batch),
    )
