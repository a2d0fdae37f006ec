"""Compiled loops for MDPs. No checks: callers pass clean, C-contiguous arrays.

Axes: items (models, data sets or policies of a batch), steps, states S, actions A, successors B. An array whose first
axis has length 1 is shared by all items; a table with one step serves all steps.
"""

import numpy as np
from numpy.typing import NDArray

from pessimism._compiled import compiled

Floats = NDArray[np.float64]
States = NDArray[np.int32]

EPSILON, ROUNDINGS = 2.0**-52, 4
"""A Bellman update of B successors is exact to (B + ROUNDINGS) EPSILON times the largest value."""

HUGE = 1e200
"""A Krylov step that leads here has broken down."""

# ---- fixed policies


@compiled
def policy_matrices(next_states: States, probabilities: Floats, policies: Floats) -> Floats:
    """Transition matrices (items, S, S) of policies (items, S, A)."""
    items, n_states, n_actions = policies.shape
    matrices = np.zeros((items, n_states, n_states))
    for i in range(items):
        p = probabilities[i % probabilities.shape[0]]
        for s in range(n_states):
            for a in range(n_actions):
                weight = policies[i, s, a]
                if weight > 0.0:
                    for b in range(p.shape[2]):
                        matrices[i, s, next_states[s, a, b]] += weight * p[s, a, b]
    return matrices


@compiled
def backward(
    next_states: States, probabilities: Floats, source: Floats, policies: Floats, discount: float, horizon: int
) -> Floats:
    """Sums of `source` (items, steps, S, A) to come (items, horizon, S), following policies (items, steps, S, A)."""
    items, n_states, n_actions = policies.shape[0], policies.shape[2], policies.shape[3]
    values = np.zeros((items, horizon + 1, n_states))
    for i in range(items):
        for h in range(horizon - 1, -1, -1):
            p = probabilities[i % probabilities.shape[0], h % probabilities.shape[1]]
            c = source[i % source.shape[0], h % source.shape[1]]
            chosen = policies[i, h % policies.shape[1]]
            successors = next_states[h % next_states.shape[0]]
            for s in range(n_states):
                for a in range(n_actions):
                    weight = chosen[s, a]
                    if weight > 0.0:
                        later = 0.0
                        for b in range(p.shape[2]):
                            later += p[s, a, b] * values[i, h + 1, successors[s, a, b]]
                        values[i, h, s] += weight * (c[s, a] + discount * later)
    return values[:, :horizon]


@compiled
def forward(next_states: States, probabilities: Floats, start: Floats, policies: Floats, horizon: int) -> Floats:
    """Laws of the states (items, horizon, S) met by policies (items, steps, S, A) from `start` (items, S)."""
    items, n_states, n_actions = policies.shape[0], policies.shape[2], policies.shape[3]
    laws = np.zeros((items, horizon, n_states))
    for i in range(items):
        laws[i, :1] = start[i % start.shape[0]]  # nothing if there are no steps
        for h in range(horizon - 1):
            p = probabilities[i % probabilities.shape[0], h % probabilities.shape[1]]
            chosen = policies[i, h % policies.shape[1]]
            successors = next_states[h % next_states.shape[0]]
            for s in range(n_states):
                for a in range(n_actions):
                    weight = laws[i, h, s] * chosen[s, a]
                    if weight > 0.0:
                        for b in range(p.shape[2]):
                            laws[i, h + 1, successors[s, a, b]] += weight * p[s, a, b]
    return laws


# ---- one sweep of Bellman's operator


@compiled
def action_values(
    next_states: States, probabilities: Floats, rewards: Floats, discount: float, values: Floats
) -> Floats:
    """Q (items, S, A) of values (items, S)."""
    items, n_states = values.shape
    n_actions = next_states.shape[1]
    q = np.empty((items, n_states, n_actions))
    for i in range(items):
        p, r = probabilities[i % probabilities.shape[0]], rewards[i % rewards.shape[0]]
        for s in range(n_states):
            for a in range(n_actions):
                later = 0.0
                for b in range(p.shape[2]):
                    later += p[s, a, b] * values[i, next_states[s, a, b]]
                q[i, s, a] = r[s, a] + discount * later
    return q


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
        change = best - values[s] if values[s] == values[s] else np.inf  # NaN must not pass for converged
        lowest, highest = min(lowest, change), max(highest, change)
    return lowest, highest


# ---- planning


@compiled
def follow(successors: States, p: Floats, x: Floats, out: Floats) -> None:
    """out = p x for a sparse matrix with rows `p` (S, B)."""
    for s in range(out.size):
        total = 0.0
        for b in range(p.shape[1]):
            total += p[s, b] * x[successors[s, b]]
        out[s] = total


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
    size = values.size
    residual, v, t = np.empty(size), np.empty(size), np.empty(size)
    follow(successors, p, values, v)
    first = 0.0
    for s in range(size):
        residual[s] = rewards[s] + v[s] - values[s]
        first = max(first, abs(residual[s]))
    shadow, direction = residual.copy(), residual.copy()
    rho, products = np.dot(residual, residual), 1
    while products < max_iterations and rho != 0.0:
        follow(successors, p, direction, v)
        for s in range(size):
            v[s] = direction[s] - v[s]
        alignment = np.dot(shadow, v)
        if alignment == 0.0:
            break
        alpha = rho / alignment
        for s in range(size):
            residual[s] -= alpha * v[s]
        follow(successors, p, residual, t)
        for s in range(size):
            t[s] = residual[s] - t[s]
        products += 2
        length = np.dot(t, t)
        omega = np.dot(t, residual) / length if length > 0.0 else 0.0
        largest = 0.0
        for s in range(size):
            values[s] += alpha * direction[s] + omega * residual[s]
            residual[s] -= omega * t[s]
            largest = max(largest, abs(residual[s]))
        if largest <= factor * first or omega == 0.0:
            break
        rho_next = np.dot(shadow, residual)
        beta = rho_next / rho * alpha / omega
        rho = rho_next
        for s in range(size):
            direction[s] = residual[s] + beta * (direction[s] - omega * v[s])
    return products


@compiled
def solve(
    next_states: States,
    p: Floats,
    r: Floats,
    discount: float,
    floor: float,
    fallback: float,
    tolerance: float,
    span: bool,
    sweeps: int,
    krylov_after: int,
    max_iterations: int,
    values: Floats,
    policy: NDArray[np.int64],
) -> tuple[int, float]:
    """Policy improvements alternating with evaluation; returns their number and the error bound of `values`.

    Between improvements the policy is evaluated by `sweeps` (an even number of) Jacobi sweeps, or, from improvement
    `krylov_after` on where that promises to be faster, by `bicgstab`. Should ten Krylov steps not halve the error, or
    one blow up, sweeps do the rest. The error bound counts the rounding of a sweep; nothing is left to do when that is
    all of it. When MacQueen's bounds are close enough, or as close as a tolerance below rounding lets them come,
    `values` is shifted to their middle if `span`. A policy below 0 is a state at its floor (see `improve`); its value
    is fixed.
    """
    size, width = values.size, p.shape[2]
    improved, spare = np.empty(size), np.empty(size)
    successors = np.empty((size, width), next_states.dtype)
    kept, gained, followed = np.empty((size, width)), np.empty(size), np.full(size, -1)
    best, last, bound, krylov, patience, settled = np.inf, np.inf, np.inf, False, 10, False
    for iteration in range(1, max_iterations + 1):
        lowest, highest = improve(next_states, p, r, discount, floor, fallback, values, improved, policy)
        scale = 0.0
        for s in range(size):
            scale = max(scale, abs(improved[s]))
        residual = max(-lowest, highest) / (1.0 - discount)
        rounding = (width + ROUNDINGS) * EPSILON * scale / (1.0 - discount)
        bound = residual + rounding
        if bound <= tolerance or residual <= rounding or settled or not bound < np.inf:
            return iteration, bound
        spread = discount / (1.0 - discount) * (highest - lowest) / 2.0 if span else discount * residual
        shift = discount / (1.0 - discount) * (highest + lowest) / 2.0 if span else 0.0
        scale = 0.0
        for s in range(size):
            scale = max(scale, abs(improved[s] + shift))
        left = (width + ROUNDINGS) * EPSILON * scale / (1.0 - discount)
        # the constant part of the error would take 1 / (1 - discount) sweeps to fall below rounding
        settled = span and spread <= left and left > tolerance
        if settled or spread + min(rounding, left) <= tolerance:
            # next time the bound is this spread; before, a shift would change no policy and no spread
            for s in range(size):
                values[s] = improved[s] + shift
            continue
        values[:] = improved
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
            gained[s] = r[s, a] if a >= 0 else improved[s]
            for b in range(width):
                successors[s, b] = next_states[s, max(a, 0), b]
                kept[s, b] = discount * p[s, a, b] if a >= 0 else 0.0
        if not krylov and patience > 0 and iteration >= krylov_after and 100 * changed < size:
            # exact evaluation pays for a policy that has nearly settled, unless ten more rounds of sweeps will do
            krylov = spread * pace**10 > tolerance
        for _ in range(2 if krylov else sweeps // 2):
            sweep(successors, kept, gained, values, spare)
            sweep(successors, kept, gained, spare, values)
        if krylov:
            spare[:] = values
            bicgstab(successors, kept, gained, values, 0.01, 200)
            if not np.abs(values).max() < HUGE:
                values[:] = spare
                krylov, patience = False, 0
    return max_iterations, bound


@compiled
def solve_many(
    next_states: States,
    probabilities: Floats,
    rewards: Floats,
    discount: float,
    floor: float,
    fallback: float,
    tolerance: float,
    span: bool,
    sweeps: int,
    krylov_after: int,
    max_iterations: int,
    values: Floats,
    policies: NDArray[np.int64],
) -> tuple[NDArray[np.int64], Floats]:
    """`solve` for every item: values (items, S) and policies (items, S) are overwritten.

    Values that are fixed somewhere, by a floor or for want of actions, cannot be shifted.
    """
    items = values.shape[0]
    iterations, bounds = np.empty(items, np.int64), np.empty(items)
    for i in range(items):
        own = rewards[i % rewards.shape[0]]
        movable = span and floor == -np.inf
        for s in range(own.shape[0]):
            movable = movable and own[s].max() > -np.inf  # a state without actions has a fixed value
        iterations[i], bounds[i] = solve(
            next_states,
            probabilities[i % probabilities.shape[0]],
            own,
            discount,
            floor,
            fallback,
            tolerance,
            movable,
            sweeps,
            krylov_after,
            max_iterations,
            values[i],
            policies[i],
        )
    return iterations, bounds


@compiled
def plan_backward(
    next_states: States, probabilities: Floats, rewards: Floats, discount: float, fallback: Floats
) -> tuple[Floats, NDArray[np.int64]]:
    """Optimal values (items, horizon, S) and lowest optimal actions of finite-horizon models (items, steps, S, A, B).

    A reward of -inf forbids an action; a state without actions is worth `fallback` (horizon,) and has action 0.
    """
    horizon = fallback.size
    items = max(probabilities.shape[0], rewards.shape[0])
    n_states, n_actions, width = probabilities.shape[2:]
    values = np.zeros((items, horizon + 1, n_states))
    policies = np.zeros((items, horizon, n_states), np.int64)
    for i in range(items):
        for h in range(horizon - 1, -1, -1):
            p = probabilities[i % probabilities.shape[0], h % probabilities.shape[1]]
            r = rewards[i % rewards.shape[0], h % rewards.shape[1]]
            successors = next_states[h % next_states.shape[0]]
            for s in range(n_states):
                best = -np.inf
                for a in range(n_actions):
                    if r[s, a] > -np.inf:
                        later = 0.0
                        for b in range(width):
                            later += p[s, a, b] * values[i, h + 1, successors[s, a, b]]
                        q = r[s, a] + discount * later
                        if q > best:
                            best, policies[i, h, s] = q, a
                values[i, h, s] = best if best > -np.inf else fallback[h]
    return values[:, :horizon], policies
