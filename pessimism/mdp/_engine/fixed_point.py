r"""Fixed points of Bellman operators, V = max(floor, max_a Q), to a certified error, for a batch of models.

Policy improvements alternate with evaluation: by Jacobi sweeps under the improved policy, or by a Krylov iteration
where the policy has nearly settled and the model mixes slowly. MacQueen's bounds,
:math:`TV + \frac{\gamma}{1-\gamma}\min(TV - V) \le V^* \le TV + \frac{\gamma}{1-\gamma}\max(TV - V)`, say when the
middle between them is close enough.

Kernels take clean, C-contiguous arrays. Axes: items (models or data sets of a batch), states S, actions A, successors
B. An array whose first axis has length 1 is shared by all items.
"""

import numpy as np
from numpy.typing import NDArray

from pessimism._batch import items, on_threads, part_of, read_only
from pessimism._compiled import INNER, compiled
from pessimism._status import Status
from pessimism._types import Floats, Ints
from pessimism.mdp._engine.bellman import EPSILON, ROUNDINGS, action_values, residual_bounds
from pessimism.mdp._engine.search import Search
from pessimism.mdp._engine.solution import Solution, as_status
from pessimism.mdp._engine.tables import States, Tables

HUGE = 1e200
"""A Krylov step that leads here has broken down."""

WAITING = -1.0
"""Error bound of an item that has not been begun, or that waits for Krylov steps."""

PATIENCE = 10
"""Rounds: Krylov steps start unless so many of sweeps will do, and end after so many that do not halve the error."""


def iterate(
    tables: Tables,
    values: Floats,
    tolerance: float,
    search: Search,
    *,
    floor: float = -np.inf,
    fallback: float = 0.0,
    start: Ints | None = None,
    terminal: NDArray[np.bool_] | None = None,
) -> Solution:
    """Fixed point of V = max(floor, max_a Q), from `values` (..., S), whose leading axes are the batch.

    A reward of -inf forbids an action; a state without actions is worth `fallback`. With a floor `values` must be the
    floor, so that they rise; `start` is the policy where they do not rise above it. States that are `terminal` (S,)
    stay for a reward of 0, and `values` must be 0 there. The status says how each item ended; nothing is raised.
    """
    ends = np.zeros(values.shape[-1], np.bool_) if terminal is None else terminal
    if ends.any():  # a shift would move what is known
        search = search._replace(shift=False)
    batch = values.shape[:-1]
    flat = np.ascontiguousarray(values.reshape(-1, values.shape[-1]))
    begun = np.broadcast_to(0 if start is None else start, values.shape).reshape(flat.shape)
    policies = np.array(begun, np.int64)
    at_floor, movable = np.zeros(flat.shape, bool), np.full(len(flat), search.shift and floor == -np.inf)
    # unsigned positions need no check for negative ones in the inner loop: a quarter faster
    lists = read_only(tables.next_states.view(np.uint32))
    p, gains = items(tables.probabilities, batch, 3), items(tables.rewards, batch, 2)
    movable &= (gains > -np.inf).any(axis=-1).all(axis=-1)
    iterations, bounds = np.ones(len(flat), np.int64), np.full(len(flat), WAITING)

    def work(part: slice) -> None:
        own = part_of(p, part), part_of(gains, part), tables.discount, floor, fallback, tolerance, search
        found = flat[part], policies[part], at_floor[part], movable[part], iterations[part], bounds[part]
        if search.krylov_after > 1:
            solve(lists, *own, *found, None)
        if (bounds[part] == WAITING).any():  # only now Krylov steps are compiled
            solve(lists, *own, *found, True)

    on_threads(work, len(flat))
    status = np.full(len(flat), Status.NOT_CONVERGED, object)
    status[(iterations < search.limit) & (bounds < np.inf)] = Status.ROUNDING
    status[bounds <= tolerance] = Status.CONVERGED
    if floor > -np.inf:
        status[at_floor[:, ~ends].all(axis=-1) & (bounds < np.inf)] = Status.NO_UPDATE
    flat[:, ends] = 0.0  # also where a Krylov step was taken back
    policy, value = np.where(at_floor, begun, policies).reshape(values.shape), flat.reshape(values.shape)
    if (status == Status.NOT_CONVERGED).any():  # the last step changed the values that the bound was computed for
        bounds = residual_bounds(tables, value, floor, fallback)
    q = action_values(*tables[:4], value)
    return Solution(policy, value, as_status(status, batch), iterations.reshape(batch), bounds.reshape(batch), q)


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
    at_floor: NDArray[np.bool_],
) -> tuple[float, float]:
    """Bellman's operator: `improved` = max(floor, max_a Q), `policy` the lowest maximiser, and the range of changes.

    A reward of -inf forbids an action. A state without actions is worth `fallback`, if that is above the floor.
    `at_floor` marks these states and those in which no action is worth more than the floor; they keep their `policy`.
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
        at_floor[s] = best <= floor or choice < 0
        if at_floor[s]:
            best = max(best, floor)
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

    Van der Vorst's iteration. It may stall: the caller looks at Bellman's residual, not at this one. Where it breaks
    down, which shows in values above `HUGE`, the values are left as they were and the result is 0.
    """
    size, width = values.size, p.shape[1]
    residual, v, t, before = np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    shadow, direction = np.empty(size), np.empty(size)
    sweep(successors, p, rewards, values, v)
    first, rho = 0.0, 0.0
    for s in range(size):
        before[s] = values[s]
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
    sound = True
    for s in range(size):
        sound = sound and abs(values[s]) < HUGE
    if not sound:
        for s in range(size):
            values[s] = before[s]
    return products if sound else 0


@compiled(INNER)
def error_bounds(
    improved: Floats, lowest: float, highest: float, discount: float, width: int, movable: bool
) -> tuple[float, float, float, float, float]:
    r"""MacQueen's shift, and the error of V and of the shifted TV, where lowest <= TV - V <= highest, TV = `improved`.

    `shift` :math:`= \frac{\gamma}{1-\gamma} (\min + \max)/2` moves TV to the middle of the bounds. The error of V is at
    most `residual` :math:`= \|TV - V\|_\infty/(1-\gamma)` plus `rounding`, that of TV + shift at most `spread`
    :math:`= \frac{\gamma}{1-\gamma} (\max - \min)/2` plus `shifted_rounding`. Unless `movable` the shift is 0 and the
    spread :math:`\gamma` times the residual.
    """
    shift = discount / (1.0 - discount) * (highest + lowest) / 2.0 if movable else 0.0
    scale, shifted_scale = 0.0, 0.0
    for s in range(improved.size):
        scale = max(scale, abs(improved[s]))
        shifted_scale = max(shifted_scale, abs(improved[s] + shift))
    residual = max(-lowest, highest) / (1.0 - discount)
    rounding = (width + ROUNDINGS) * EPSILON * scale / (1.0 - discount)
    spread = discount / (1.0 - discount) * (highest - lowest) / 2.0 if movable else discount * residual
    shifted_rounding = (width + ROUNDINGS) * EPSILON * shifted_scale / (1.0 - discount)
    return shift, residual, rounding, spread, shifted_rounding


@compiled(INNER)
def follow(
    next_states: States,
    p: Floats,
    r: Floats,
    discount: float,
    improved: Floats,
    policy: NDArray[np.int64],
    at_floor: NDArray[np.bool_],
    followed: NDArray[np.int64],
    successors: States,
    kept: Floats,
    gained: Floats,
) -> int:
    """The linear system x = gained + kept x of a policy, in the last three arrays; how many states changed `followed`.

    A state at its floor keeps the value `improved` and is followed as action -1.
    """
    changed = 0
    for s in range(policy.size):
        a, fixed = policy[s], at_floor[s]
        action = -1 if fixed else a
        changed += action != followed[s]
        followed[s] = action
        gained[s] = improved[s] if fixed else r[s, a]
        for b in range(kept.shape[1]):
            successors[s, b] = next_states[s, a, b]
            kept[s, b] = 0.0 if fixed else discount * p[s, a, b]
    return changed


@compiled(INNER)
def reaches(goal: float, spread: float, last: float) -> bool:
    """Whether `PATIENCE` more rounds of sweeps will, at the pace of the last one."""
    pace = spread / last
    for _ in range(PATIENCE // 2):
        spread *= pace * pace
    return spread <= goal


@compiled
def solve(
    next_states: States,
    probabilities: Floats,
    rewards: Floats,
    discount: float,
    floor: float,
    fallback: float,
    tolerance: float,
    search: Search,
    values: Floats,
    policies: NDArray[np.int64],
    at_floor: NDArray[np.bool_],
    movable: NDArray[np.bool_],
    iterations: NDArray[np.int64],
    bounds: Floats,
    krylov_steps: bool | None,
) -> None:
    r"""Solve the items whose bound is `WAITING`, from improvement `iterations` on; overwrites all from `values` on.

    An item is finished when residual + rounding :math:`\le` tolerance or residual :math:`\le` rounding, with the names
    of `error_bounds`. If it is `movable`, values move to the middle of MacQueen's bounds once spread +
    min(rounding, shifted rounding) :math:`\le` tolerance or, for tolerances below rounding, spread :math:`\le` shifted
    rounding; the next improvement is then the last.

    Between improvements the policy is evaluated by sweeps. Where Krylov steps promise to be faster, from improvement
    `krylov_after` on, the item is left `WAITING`. With `krylov_steps` (True, or None: then they are not even compiled)
    it is evaluated by `bicgstab` instead, until `PATIENCE` steps do not halve the error or one breaks down.
    """
    size, width = values.shape[1], probabilities.shape[3]
    improved, spare, gained = np.empty(size), np.empty(size), np.empty(size)
    successors, kept = np.empty((size, width), next_states.dtype), np.empty((size, width))
    followed = np.empty(size, np.int64)
    for i in range(values.shape[0]):
        if bounds[i] != WAITING:
            continue
        p, r = probabilities[i % probabilities.shape[0]], rewards[i % rewards.shape[0]]
        x, policy, fixed = values[i], policies[i], at_floor[i]
        for s in range(size):
            followed[s] = -1
        settled, last, krylov, best, patience = False, np.inf, False, np.inf, PATIENCE
        for iteration in range(iterations[i], search.limit + 1):
            lowest, highest = improve(next_states, p, r, discount, floor, fallback, x, improved, policy, fixed)
            shift, residual, rounding, spread, left = error_bounds(
                improved, lowest, highest, discount, width, movable[i]
            )
            iterations[i], bounds[i] = iteration, residual + rounding
            if krylov_steps is not None:  # noqa: SIM102 - with one condition more the compiler would not leave it out
                if floor > -np.inf and lowest < (discount - 1.0) * rounding:
                    # a Krylov step went above the fixed point: down to values that the operator raises
                    for s in range(size):
                        x[s] = max(floor, x[s] + lowest / (1.0 - discount))
                    continue
            if bounds[i] <= tolerance or residual <= rounding or settled or not bounds[i] < np.inf:
                break
            # the constant part of the error would take 1 / (1 - discount) sweeps to fall below rounding
            settled = movable[i] and spread <= left and left > tolerance
            if settled or spread + min(rounding, left) <= tolerance:
                # next time the bound is this spread; before, a shift would change no policy and no spread
                for s in range(size):
                    x[s] = improved[s] + shift
                continue
            changed = follow(next_states, p, r, discount, improved, policy, fixed, followed, successors, kept, gained)
            if krylov_steps is None:
                # exact evaluation pays for a policy that has nearly settled
                if iteration >= search.krylov_after and 100 * changed < size and not reaches(tolerance, spread, last):
                    bounds[i] = WAITING
                    break
                last = spread
            else:
                if krylov and spread <= 0.5 * best:
                    best, patience = spread, PATIENCE
                elif krylov:  # the first step may raise the error: its policy is new everywhere
                    patience -= 1
                krylov = patience > 0
            for s in range(size):
                x[s] = improved[s]
            for _ in range(2 if krylov else search.sweeps // 2):
                sweep(successors, kept, gained, x, spare)
                sweep(successors, kept, gained, spare, x)
            if krylov_steps is not None:  # noqa: SIM102
                if krylov and bicgstab(successors, kept, gained, x, 0.01, 200) == 0:
                    patience = 0
