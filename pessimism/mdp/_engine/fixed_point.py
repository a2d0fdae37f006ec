r"""Fixed points of Bellman operators, V = max(floor, max_a Q), to a certified error, for a batch of models.

Policy improvements alternate with evaluation: by Jacobi sweeps under the improved policy, or by a Krylov iteration
where the policy has nearly settled and the model mixes slowly. MacQueen's bounds,
:math:`TV + \frac{\gamma}{1-\gamma}\min(TV - V) \le V^* \le TV + \frac{\gamma}{1-\gamma}\max(TV - V)`, say when the
middle between them is close enough.

Kernels take clean, C-contiguous arrays. Axes: items (models or data sets of a batch), states S, actions A, successors
B. An array whose first axis has length 1 is shared by all items.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pessimism._batch import items, on_threads, part_of
from pessimism._compiled import compiled
from pessimism._status import Status
from pessimism._types import Floats, Ints
from pessimism.mdp._engine.bellman import EPSILON, ROUNDINGS, residual_bounds
from pessimism.mdp._engine.solution import Solution, as_status
from pessimism.mdp._engine.tables import States, Tables

HUGE = 1e200
"""A Krylov step that leads here has broken down."""

NEVER = 2**62


class Search(NamedTuple):
    """How a fixed point is sought.

    `shift`: move the values to the middle of MacQueen's bounds. `sweeps`: Jacobi sweeps between two improvements, an
    even number. `krylov_after`: the improvement from which Krylov steps are tried. `limit`: largest number of
    improvements.
    """

    shift: bool
    sweeps: int
    krylov_after: int
    limit: int


SEARCHES = {
    "auto": Search(True, 10, 8, 100_000),
    "value_iteration": Search(True, 0, NEVER, 10_000_000),
    "value_iteration_sup": Search(False, 0, NEVER, 10_000_000),
    "modified_policy_iteration": Search(True, 20, NEVER, 500_000),
    "policy_iteration": Search(True, 20, 1, 100_000),
    "from_below": Search(False, 10, NEVER, 100_000),
}
"""By the name of the method; "from_below" never leaves the set of values that an operator with a floor raises."""


def iterate(
    tables: Tables,
    values: Floats,
    tolerance: float,
    search: Search,
    *,
    floor: float = -np.inf,
    fallback: float = 0.0,
    start: Ints | None = None,
) -> Solution:
    """Fixed point of V = max(floor, max_a Q), from `values` (..., S), whose leading axes are the batch.

    A reward of -inf forbids an action; a state without actions is worth `fallback`. With a floor `values` must be the
    floor, so that they rise; `start` is the policy where they do not rise above it. The status says how each item
    ended; nothing is raised.
    """
    batch = values.shape[:-1]
    flat = np.ascontiguousarray(values.reshape(-1, values.shape[-1]))
    policies = np.array(np.broadcast_to(0 if start is None else start, values.shape), np.int64).reshape(flat.shape)
    # unsigned positions need no check for negative ones in the inner loop: a quarter faster
    lists = _read_only(tables.next_states.view(np.uint32))
    p, gains = (_read_only(items(x, batch, k)) for x, k in ((tables.probabilities, 3), (tables.rewards, 2)))

    def work(part: slice) -> Any:
        settings = tables.discount, floor, fallback, tolerance, *search
        return solve(lists, part_of(p, part), part_of(gains, part), *settings, flat[part], policies[part])

    iterations, bounds = (np.concatenate(x) for x in zip(*on_threads(work, len(flat)), strict=True))
    status = np.full(len(flat), Status.NOT_CONVERGED, object)
    status[(iterations < search.limit) & (bounds < np.inf)] = Status.ROUNDING
    status[bounds <= tolerance] = Status.CONVERGED
    if floor > -np.inf:
        status[(policies < 0).all(axis=-1) & (bounds < np.inf)] = Status.NO_UPDATE
    policy, value = np.where(policies < 0, ~policies, policies).reshape(values.shape), flat.reshape(values.shape)
    if (status == Status.NOT_CONVERGED).any():  # the last step changed the values that the bound was computed for
        bounds = residual_bounds(tables, value, floor, fallback)
    return Solution(policy, value, as_status(status, batch), iterations.reshape(batch), bounds.reshape(batch))


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A view that nobody can write to: one compiled version of the kernels for tables of models and of data."""
    view = array.view()
    view.flags.writeable = False
    return view


@compiled
def improve(
    next_states: States,
    p: Floats,
    r: Floats,
    discount: float,
    floor: float,
    fallback: float,
    values: Floats,
    improved: Floats,
    policy: NDArray[np.int64],
) -> tuple[float, float]:
    """Bellman's operator: `improved` = max(floor, max_a Q), `policy` the lowest maximiser, and the range of changes.

    A reward of -inf forbids an action. A state without actions is worth `fallback`. A state at its floor keeps its
    action in `policy` and is marked by the complement of it.
    """
    lowest, highest = np.inf, -np.inf
    for s in range(values.size):
        best, choice = -np.inf, -1
        for a in range(p.shape[1]):
            later = 0.0
            for b in range(p.shape[2]):
                later += p[s, a, b] * values[next_states[s, a, b]]
            q = r[s, a] + discount * later
            if q > best:
                best, choice = q, a
        if choice < 0:
            best = fallback
        if best <= floor or choice < 0:
            best = max(best, floor)
            policy[s] = policy[s] if policy[s] < 0 else ~policy[s]
        else:
            policy[s] = choice
        improved[s] = best
        change = best - values[s] if values[s] == values[s] else np.inf  # NaN must not count as converged
        lowest, highest = min(lowest, change), max(highest, change)
    return lowest, highest


@compiled
def sweep(successors: States, p: Floats, rewards: Floats, x: Floats, out: Floats) -> None:
    """out = rewards + p x: one Jacobi sweep under a fixed policy, `p` holding the discount."""
    for s in range(out.size):
        total = rewards[s]
        for b in range(p.shape[1]):
            total += p[s, b] * x[successors[s, b]]
        out[s] = total


@compiled
def bicgstab(successors: States, p: Floats, rewards: Floats, values: Floats, factor: float, max_iterations: int) -> int:
    """Improve `values` towards (I - p)^-1 rewards until the largest residual has fallen by `factor`; matrix products.

    Van der Vorst's iteration. It may break down or stall: the caller looks at Bellman's residual, not at this one.
    """
    size, width = values.size, p.shape[1]
    residual, v, t = np.empty(size), np.empty(size), np.empty(size)
    shadow, direction = np.empty(size), np.empty(size)
    sweep(successors, p, rewards, values, v)
    first, rho = 0.0, 0.0
    for s in range(size):
        residual[s] = v[s] - values[s]
        shadow[s] = direction[s] = residual[s]
        first = max(first, abs(residual[s]))
        rho += residual[s] * residual[s]
    products = 1
    while products < max_iterations and rho != 0.0:
        alignment = 0.0
        for s in range(size):
            moved = 0.0
            for b in range(width):
                moved += p[s, b] * direction[successors[s, b]]
            v[s] = direction[s] - moved
            alignment += shadow[s] * v[s]
        if alignment == 0.0:
            break
        alpha = rho / alignment
        for s in range(size):
            residual[s] -= alpha * v[s]
        length, overlap = 0.0, 0.0
        for s in range(size):
            moved = 0.0
            for b in range(width):
                moved += p[s, b] * residual[successors[s, b]]
            t[s] = residual[s] - moved
            length += t[s] * t[s]
            overlap += t[s] * residual[s]
        products += 2
        omega = overlap / length if length > 0.0 else 0.0
        largest, rho_next = 0.0, 0.0
        for s in range(size):
            values[s] += alpha * direction[s] + omega * residual[s]
            residual[s] -= omega * t[s]
            largest = max(largest, abs(residual[s]))
            rho_next += shadow[s] * residual[s]
        if largest <= factor * first or omega == 0.0:
            break
        beta = rho_next / rho * alpha / omega
        rho = rho_next
        for s in range(size):
            direction[s] = residual[s] + beta * (direction[s] - omega * v[s])
    return products


@compiled
def solve(
    next_states: States,
    probabilities: Floats,
    rewards: Floats,
    discount: float,
    floor: float,
    fallback: float,
    tolerance: float,
    shift: bool,
    sweeps: int,
    krylov_after: int,
    limit: int,
    values: Floats,
    policies: NDArray[np.int64],
) -> tuple[NDArray[np.int64], Floats]:
    """Improvements and error bounds (items,) of `values` and `policies` (items, S), which are overwritten.

    Between improvements the policy is evaluated by `sweeps` (an even number of) Jacobi sweeps, or, from improvement
    `krylov_after` on where that promises to be faster, by `bicgstab`. Should ten Krylov steps not halve the error, or
    one blow up, sweeps do the rest. The error bound counts the rounding of a sweep; an item is finished when little
    more than that is left. When MacQueen's bounds are close enough, or as close as a tolerance below rounding lets them
    come, the values are moved to their middle if `shift`, unless some are fixed by a floor or for want of actions. A
    policy below 0 is a state at its floor (see `improve`); its value is fixed.
    """
    items, size, width = values.shape[0], values.shape[1], probabilities.shape[3]
    iterations, bounds = np.empty(items, np.int64), np.empty(items)
    improved, spare, gained = np.empty(size), np.empty(size), np.empty(size)
    successors, kept = np.empty((size, width), next_states.dtype), np.empty((size, width))
    followed = np.empty(size, np.int64)
    for i in range(items):
        p, r = probabilities[i % probabilities.shape[0]], rewards[i % rewards.shape[0]]
        x, policy = values[i], policies[i]
        movable = shift and floor == -np.inf
        for s in range(size):
            followed[s] = -1
            allowed = False
            for a in range(r.shape[1]):
                allowed = allowed or r[s, a] > -np.inf
            movable = movable and allowed
        iterations[i], bound = limit, np.inf
        best, last, krylov, patience, settled = np.inf, np.inf, False, 10, False
        for iteration in range(1, limit + 1):
            lowest, highest = improve(next_states, p, r, discount, floor, fallback, x, improved, policy)
            ahead = discount / (1.0 - discount) * (highest + lowest) / 2.0 if movable else 0.0
            scale, moved_scale = 0.0, 0.0
            for s in range(size):
                scale = max(scale, abs(improved[s]))
                moved_scale = max(moved_scale, abs(improved[s] + ahead))
            residual = max(-lowest, highest) / (1.0 - discount)
            rounding = (width + ROUNDINGS) * EPSILON * scale / (1.0 - discount)
            bound = residual + rounding
            if bound <= tolerance or residual <= rounding or settled or not bound < np.inf:
                iterations[i] = iteration
                break
            spread = discount / (1.0 - discount) * (highest - lowest) / 2.0 if movable else discount * residual
            left = (width + ROUNDINGS) * EPSILON * moved_scale / (1.0 - discount)
            # the constant part of the error would take 1 / (1 - discount) sweeps to fall below rounding
            settled = movable and spread <= left and left > tolerance
            if settled or spread + min(rounding, left) <= tolerance:
                # next time the bound is this spread; before, a shift would change no policy and no spread
                for s in range(size):
                    x[s] = improved[s] + ahead
                continue
            pace = spread / last
            if krylov:
                # a Krylov step may first raise the error: its policy is new everywhere
                patience = 10 if spread <= 0.5 * best else patience - 1
                best = spread if spread <= 0.5 * best else best
                krylov = patience > 0
            elif patience > 0 and krylov_after <= 1:
                krylov = True
            last, changed = spread, 0
            for s in range(size):
                a = policy[s]
                changed += a != followed[s]
                followed[s] = a
                x[s] = improved[s]
                gained[s] = r[s, a] if a >= 0 else improved[s]
                for b in range(width):
                    successors[s, b] = next_states[s, max(a, 0), b]
                    kept[s, b] = discount * p[s, a, b] if a >= 0 else 0.0
            if not krylov and patience > 0 and iteration >= krylov_after and 100 * changed < size:
                # exact evaluation pays for a policy that has nearly settled, unless ten more rounds of sweeps will do
                square = pace * pace
                krylov = spread * square * square * square * square * square > tolerance
            for _ in range(2 if krylov else sweeps // 2):
                sweep(successors, kept, gained, x, spare)
                sweep(successors, kept, gained, spare, x)
            if krylov:
                for s in range(size):
                    spare[s] = x[s]
                bicgstab(successors, kept, gained, x, 0.01, 200)
                for s in range(size):
                    krylov = krylov and abs(x[s]) < HUGE
                if not krylov:
                    patience = 0
                    for s in range(size):
                        x[s] = spare[s]
        bounds[i] = bound
    return iterations, bounds
