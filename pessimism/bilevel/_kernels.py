r"""Compiled loops of the solvers. No checks: callers pass clean, C-contiguous arrays.

Every loop has the same arguments, of the types LOOP, so that it compiles once and is read from disk afterwards:

- six oracles of one type, ``oracle(reals, sizes, x, y, v, rows, out)``: `grad_f` writes both gradients of f one after
  the other, `grad_g`, `hvp`, `cvp` and `grad_gx` what their names say, `project` the allowed x nearest to v;
- the `world`: `reals` and `sizes`, what the oracles know; `levels`, how many samples of f there are and how many a call
  draws, and the same of g; `meter`, budget, spent, whether a call was refused, and the cost of a call of each kind;
  `calls`, how many of each there were; the Generator;
- the state x, y, z and `memory`, rows of a method's own vectors, all written over; `options`, its numbers;
- `start`: outer steps made so far; `steps`: how many to make now.

A loop returns how many outer steps it completed: fewer than asked for when the budget ended one in the middle or a
direction was not finite; x, y and z are then those of the last whole step. A sample is drawn anew for every call unless
a formula wants the same one twice; it spends one uniform a row.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from pessimism._compiled import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Oracle = Callable[[Floats, Ints, Floats, Floats, Floats, Ints, Floats], None]
World = tuple[Floats, Ints, Ints, Floats, Ints, np.random.Generator]

REALS, WHOLE = types.float64[::1], types.int64[::1]
ORACLE = types.FunctionType(types.void(REALS, WHOLE, REALS, REALS, REALS, WHOLE, REALS))
TYPES: Any = types  # half of its names are untyped
WORLD = TYPES.Tuple((REALS, WHOLE, WHOLE, REALS, WHOLE, types.npy_rng))
LOOP = types.int64(*[ORACLE] * 6, WORLD, REALS, REALS, REALS, types.float64[:, ::1], REALS, types.int64, types.int64)

BUDGET, SPENT, REFUSED, COSTS = 0, 1, 2, 3
GF, GY, GX, H, C = 0, 1, 2, 3, 4  # the order of problem.KINDS
SMALLEST = 1e-290


@compiled
def ask(oracle: Oracle, kind: int, world: World, x: Floats, y: Floats, v: Floats, out: Floats) -> bool:
    """Call an oracle on a fresh sample and count the call; False, and no call, if the budget does not hold it."""
    if not afford(kind, world):
        return False
    oracle(world[0], world[1], x, y, v, draw(world[5], world[2], 0 if kind == GF else 1), out)
    return True


@compiled
def afford(kind: int, world: World) -> bool:
    """Count a call that is about to be made; False, and no count, if the budget does not hold it."""
    meter, calls = world[3], world[4]
    if meter[SPENT] + meter[COSTS + kind] > meter[BUDGET]:
        meter[REFUSED] = 1.0
        return False
    meter[SPENT] += meter[COSTS + kind]
    calls[kind] += 1
    return True


@compiled
def draw(rng: np.random.Generator, levels: Ints, level: int) -> Ints:
    """Positions of samples of f (level 0) or g (1), with replacement; none for exact oracles."""
    rows = np.empty(levels[2 * level + 1], np.int64)
    for i in range(len(rows)):
        rows[i] = np.int64(rng.random() * levels[2 * level])
    return rows


@compiled
def norm(vector: Floats) -> float:
    """Euclidean length, summed from the first entry on; 0 below 1e-290, so that a step divided by it is finite."""
    total = 0.0
    for i in range(len(vector)):
        total += vector[i] * vector[i]
    if not (total < SMALLEST or total == math.inf):
        return math.sqrt(total)
    largest = 0.0  # the squares are too large or too small for float64, the length need not be
    for i in range(len(vector)):
        largest = max(largest, abs(vector[i]))
    if largest < SMALLEST or largest == math.inf:
        return 0.0 if largest < SMALLEST else largest
    total = 0.0
    for i in range(len(vector)):
        total += (vector[i] / largest) ** 2
    return largest * math.sqrt(total)


@compiled
def descend_y(grad_g: Oracle, world: World, x: Floats, y: Floats, rate: float, steps: int) -> bool:
    """Gradient steps on y; False if the budget ended them."""
    slope = np.empty(len(y))
    for _ in range(steps):
        if not ask(grad_g, GY, world, x, y, y, slope):
            return False
        y -= rate * slope
    return True


@compiled
def average_in_ball(grad_g: Oracle, world: World, x: Floats, y: Floats, rate: float, radius: float, steps: int) -> bool:
    """Projected gradient steps in a ball around y, which ends at their mean; False if the budget ended them."""
    center, total, slope = y.copy(), np.zeros(len(y)), np.empty(len(y))
    for _ in range(steps):
        if not ask(grad_g, GY, world, x, y, y, slope):
            return False
        y -= rate * slope
        away = norm(y - center)
        if away > radius:
            y[:] = center + (radius / away) * (y - center)
        total += y
    if steps > 0:
        y[:] = total / steps
    return True


@compiled
def apply_inverse(hvp: Oracle, world: World, x: Floats, y: Floats, v: Floats, rate: float, terms: int) -> bool:
    """(I - rate H)^terms v, in place, a fresh sample each; False if the budget ended it."""
    product = np.empty(len(y))
    for _ in range(terms):
        if not ask(hvp, H, world, x, y, v, product):
            return False
        v -= rate * product
    return True


@compiled
def undone(y: Floats, z: Floats, y_before: Floats, z_before: Floats, done: int) -> int:
    """y and z back where a step began that was not completed; returns the steps that were."""
    y[:] = y_before
    z[:] = z_before
    return done


@compiled
def move(project: Oracle, world: World, x: Floats, y: Floats, step: Floats) -> None:
    """x less a step, projected."""
    wanted = x - step
    project(world[0], world[1], x, y, wanted, np.empty(0, np.int64), x)


@compiled(types.void(REALS, WHOLE, REALS, REALS, REALS, WHOLE, REALS))
def stay(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """The projection of a problem without constraints."""
    out[:] = v


@compiled
def bo_rep(
    grad_f: Oracle, grad_g: Oracle, hvp: Oracle, cvp: Oracle, grad_gx: Oracle, project: Oracle, world: World,
    x: Floats, y: Floats, z: Floats, memory: Floats, options: Floats, start: int, steps: int,
) -> int:  # fmt: skip
    """Initialisation refinement, periodic averaged updates of y, one step on z, a normalised momentum step on x.

    Options: eta, beta, gamma, nu, period, inner steps, radius, decay; epochs, length, rate, radius of the refinement.
    """
    eta, beta, gamma, nu, radius, decay = options[0], options[1], options[2], options[3], options[6], options[7]
    period, inner = int(options[4]), int(options[5])
    both, product, cross, momentum = np.empty(len(x) + len(y)), np.empty(len(y)), np.empty(len(x)), memory[0, : len(x)]
    y_old, z_old = y.copy(), z.copy()
    for t in range(start, start + steps):
        y_old[:] = y
        z_old[:] = z
        if t == 0:
            for epoch in range(int(options[8])):
                n, rate = int(options[9]) * 2**epoch, options[10] / 2.0**epoch
                ball = options[11] / math.sqrt(2.0**epoch)
                if not average_in_ball(grad_g, world, x, y, rate, ball, n):
                    return undone(y, z, y_old, z_old, 0)
        elif t % period == 0 and not average_in_ball(grad_g, world, x, y, gamma, radius, inner):
            return undone(y, z, y_old, z_old, t - start)
        if not ask(grad_f, GF, world, x, y, y, both):
            return undone(y, z, y_old, z_old, t - start)
        if not ask(cvp, C, world, x, y, z, cross):
            return undone(y, z, y_old, z_old, t - start)
        if not ask(hvp, H, world, x, y, z, product):
            return undone(y, z, y_old, z_old, t - start)
        momentum *= beta
        momentum += (1.0 - beta) * (both[: len(x)] - cross)
        z -= nu * (product - both[len(x) :])
        length = norm(momentum)
        if not length < math.inf:
            return undone(y, z, y_old, z_old, t - start)
        if length > 0.0:
            move(project, world, x, y, (eta / (1.0 + t) ** decay / length) * momentum)
    return steps


@compiled
def slip(
    grad_f: Oracle, grad_g: Oracle, hvp: Oracle, cvp: Oracle, grad_gx: Oracle, project: Oracle, world: World,
    x: Floats, y: Floats, z: Floats, memory: Floats, options: Floats, start: int, steps: int,
) -> int:  # fmt: skip
    """Warm start of y, then one step on y, one on z and a normalised momentum step on x, all from the old iterate.

    Options: eta, beta, alpha, nu, decay, warm-start steps, warm-start rate.
    """
    eta, beta, alpha, nu, decay = options[0], options[1], options[2], options[3], options[4]
    both, slope, product = np.empty(len(x) + len(y)), np.empty(len(y)), np.empty(len(y))
    cross, momentum = np.empty(len(x)), memory[0, : len(x)]
    y_old, z_old = y.copy(), z.copy()
    for t in range(start, start + steps):
        y_old[:] = y
        z_old[:] = z
        if t == 0 and not descend_y(grad_g, world, x, y, options[6], int(options[5])):
            return undone(y, z, y_old, z_old, 0)
        if not ask(grad_f, GF, world, x, y, y, both):
            return undone(y, z, y_old, z_old, t - start)
        if not ask(cvp, C, world, x, y, z, cross):
            return undone(y, z, y_old, z_old, t - start)
        if not ask(grad_g, GY, world, x, y, y, slope):
            return undone(y, z, y_old, z_old, t - start)
        if not ask(hvp, H, world, x, y, z, product):
            return undone(y, z, y_old, z_old, t - start)
        momentum *= beta
        momentum += (1.0 - beta) * (both[: len(x)] - cross)
        y -= alpha * slope
        z -= nu * (product - both[len(x) :])
        length = norm(momentum)
        if not length < math.inf:
            return undone(y, z, y_old, z_old, t - start)
        if length > 0.0:
            move(project, world, x, y, (eta / (1.0 + t) ** decay / length) * momentum)
    return steps


@compiled
def soba(
    grad_f: Oracle, grad_g: Oracle, hvp: Oracle, cvp: Oracle, grad_gx: Oracle, project: Oracle, world: World,
    x: Floats, y: Floats, z: Floats, memory: Floats, options: Floats, start: int, steps: int,
) -> int:  # fmt: skip
    """One step on y, z and x from the old iterate; with theta < 1 the x-direction is averaged, and clipped.

    A step has one sample of f and one of g, which all three quantities of g share.

    Options: gamma, rho, theta, clip, decay.
    """
    gamma, rho, theta, clip, decay = options[0], options[1], options[2], options[3], options[4]
    both, slope, product = np.empty(len(x) + len(y)), np.empty(len(y)), np.empty(len(y))
    cross, average = np.empty(len(x)), memory[0, : len(x)]
    for t in range(start, start + steps):
        if not ask(grad_f, GF, world, x, y, y, both):
            return t - start
        if not afford(GY, world):
            return t - start
        rows = draw(world[5], world[2], 1)
        grad_g(world[0], world[1], x, y, y, rows, slope)
        if not afford(H, world):
            return t - start
        hvp(world[0], world[1], x, y, z, rows, product)
        if not afford(C, world):
            return t - start
        cvp(world[0], world[1], x, y, z, rows, cross)
        rate = 1.0 / (1.0 + t) ** decay
        for i in range(len(x)):
            average[i] = (1.0 - theta) * average[i] + theta * (both[i] - cross[i])
        length = norm(average)
        if not length < math.inf:
            return t - start
        for i in range(len(y)):
            y[i] -= rho * rate * slope[i]
            z[i] -= rho * rate * (product[i] - both[len(x) + i])
        shrink = 1.0 if length <= clip else clip / length
        move(project, world, x, y, (gamma * rate * shrink) * average)
    return steps


@compiled
def double_loop(
    grad_f: Oracle, grad_g: Oracle, hvp: Oracle, cvp: Oracle, grad_gx: Oracle, project: Oracle, world: World,
    x: Floats, y: Floats, z: Floats, memory: Floats, options: Floats, start: int, steps: int,
) -> int:  # fmt: skip
    """Several steps on y, an estimate of z, a step on x: AmIGO, StocBiO, BSA and TTSA.

    Options: eta, steps on y, rate on y, terms Q, rate on z, kind of z (0: steps on the old z; 1: a Neumann sum of Q + 1
    terms; 2: one random term of it), decay of x, decay of y.
    """
    eta, inner, alpha, terms, a = options[0], int(options[1]), options[2], int(options[3]), options[4]
    kind, decay, decay_y = int(options[5]), options[6], options[7]
    both, product, cross = np.empty(len(x) + len(y)), np.empty(len(y)), np.empty(len(x))
    y_old, z_old = y.copy(), z.copy()
    for t in range(start, start + steps):
        y_old[:] = y
        z_old[:] = z
        rate = alpha / (1.0 + t) ** decay_y
        if not descend_y(grad_g, world, x, y, rate, inner):
            return undone(y, z, y_old, z_old, t - start)
        if not ask(grad_f, GF, world, x, y, y, both):
            return undone(y, z, y_old, z_old, t - start)
        if kind == 0:
            for _ in range(terms):
                if not ask(hvp, H, world, x, y, z, product):
                    return undone(y, z, y_old, z_old, t - start)
                z -= a * (product - both[len(x) :])
        elif kind == 1:
            term = both[len(x) :].copy()
            total = term.copy()
            for _ in range(terms):
                if not apply_inverse(hvp, world, x, y, term, a, 1):
                    return undone(y, z, y_old, z_old, t - start)
                total += term
            z[:] = a * total
        else:
            term = both[len(x) :].copy()
            factors = int(world[5].random() * terms)
            if not apply_inverse(hvp, world, x, y, term, a, factors):
                return undone(y, z, y_old, z_old, t - start)
            z[:] = (terms * a) * term
        if not ask(cvp, C, world, x, y, z, cross):
            return undone(y, z, y_old, z_old, t - start)
        step = both[: len(x)] - cross
        if not norm(step) < math.inf:
            return undone(y, z, y_old, z_old, t - start)
        move(project, world, x, y, (eta / (1.0 + t) ** decay) * step)
    return steps


@compiled
def f2sa(
    grad_f: Oracle, grad_g: Oracle, hvp: Oracle, cvp: Oracle, grad_gx: Oracle, project: Oracle, world: World,
    x: Floats, y: Floats, z: Floats, memory: Floats, options: Floats, start: int, steps: int,
) -> int:  # fmt: skip
    """First-order penalty method: y near argmin f + lambda g, w near argmin g, and the difference of their slopes.

    Options: eta, inner steps, rate on y, rate on w, first lambda, growth of lambda, decay of x. Memory: w, lambda.
    """
    eta, inner, rate_y, rate_w, decay = options[0], int(options[1]), options[2], options[3], options[6]
    both, slope = np.empty(len(x) + len(y)), np.empty(len(y))
    here, there, w = np.empty(len(x)), np.empty(len(x)), np.empty(len(y))
    y_old = y.copy()
    for t in range(start, start + steps):
        y_old[:] = y
        w[:] = y
        penalty = options[4]
        if t > 0:
            w[:] = memory[0, : len(y)]
            penalty = memory[1, 0]
        for _ in range(inner):
            if not ask(grad_f, GF, world, x, y, y, both):
                return undone(y, z, y_old, z, t - start)
            if not ask(grad_g, GY, world, x, y, y, slope):
                return undone(y, z, y_old, z, t - start)
            y -= rate_y * (both[len(x) :] / penalty + slope)
            if not ask(grad_g, GY, world, x, w, w, slope):
                return undone(y, z, y_old, z, t - start)
            w -= rate_w * slope
        if not ask(grad_f, GF, world, x, y, y, both):
            return undone(y, z, y_old, z, t - start)
        if not ask(grad_gx, GX, world, x, y, y, here):
            return undone(y, z, y_old, z, t - start)
        if not ask(grad_gx, GX, world, x, w, w, there):
            return undone(y, z, y_old, z, t - start)
        step = both[: len(x)] + penalty * (here - there)
        if not norm(step) < math.inf:
            return undone(y, z, y_old, z, t - start)
        memory[0, : len(y)] = w
        memory[1, 0] = penalty + options[5]
        move(project, world, x, y, (eta / (1.0 + t) ** decay) * step)
    return steps
