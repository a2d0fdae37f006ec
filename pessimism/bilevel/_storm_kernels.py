r"""Compiled loops of the variance-reduced solvers; arguments and conventions are those of `_kernels`.

Recursive momentum needs an oracle at two points on one sample, so samples are drawn first and handed to `ask`. A step
is made on copies and written over the state at its end: a budget that ends in the middle of it leaves the state of the
last completed step. A direction that is not finite is left in the memory, which tells the caller.
"""

import math

import numpy as np

from pessimism._compiled import compiled
from pessimism.bilevel._kernels import Floats, Ints, Oracle, World

# this and the small loops below stand in every file of loops: a cached loop does not see changes in other files
BUDGET, SPENT, REFUSED, COSTS = 0, 1, 2, 3
GF, GY, GX, H, C = 0, 1, 2, 3, 4  # the order of problem.KINDS
SMALLEST = 1e-290


@compiled
def affordable(kind: int, world: World) -> bool:
    """Whether the budget holds a call; asked before samples are drawn for it: a continued run then draws the same."""
    meter = world[3]
    if meter[SPENT] + meter[COSTS + kind] > meter[BUDGET]:
        meter[REFUSED] = 1.0
        return False
    return True


@compiled
def ask(oracle: Oracle, kind: int, world: World, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> bool:
    """Call an oracle on given rows and count the call; False, and no call, if the budget does not hold it."""
    reals, sizes, _, meter, calls, _ = world
    if not affordable(kind, world):
        return False
    meter[SPENT] += meter[COSTS + kind]
    calls[kind] += 1
    oracle(reals, sizes, x, y, v, rows, out)
    return True


@compiled
def draw(world: World, level: int, calls: int) -> Ints:
    """Rows of as many samples of f (level 0) or g (1), with replacement; rows of length 0 for exact oracles."""
    levels, rng = world[2], world[5]
    rows = np.empty((calls, levels[2 * level + 1]), np.int64)
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            rows[i, j] = np.int64(rng.random() * levels[2 * level])
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
def move(project: Oracle, world: World, x: Floats, y: Floats, direction: Floats, rate: float) -> None:
    """x less a multiple of a direction, projected."""
    wanted = np.empty(len(x))
    for i in range(len(x)):
        wanted[i] = x[i] - rate * direction[i]
    project(world[0], world[1], x, y, wanted, np.empty(0, np.int64), x)


@compiled
def accelerate(
    grad_g: Oracle, world: World, x: Floats, y: Floats, before: Floats, rate: float, momentum: float, steps: int
) -> bool:
    """Nesterov steps on y, with `before` the iterate in front of it; False if the budget ended them."""
    slope, ahead = np.empty(len(y)), np.empty(len(y))
    for _ in range(steps):
        for i in range(len(y)):
            ahead[i] = y[i] + momentum * (y[i] - before[i])
        if not affordable(GY, world):
            return False
        ask(grad_g, GY, world, x, ahead, ahead, draw(world, 1, 1)[0], slope)
        for i in range(len(y)):
            before[i] = y[i]
            y[i] = ahead[i] - rate * slope[i]
    return True


@compiled
def estimate(
    grad_f: Oracle,
    hvp: Oracle,
    cvp: Oracle,
    world: World,
    x: Floats,
    y: Floats,
    upper: Ints,
    lower: Ints,
    rate: float,
    scale: float,
    whole: bool,
    z: Floats,
    out: Floats,
) -> bool:
    """Hypergradient at a point on given samples: f_x - C z, z = scale times a Neumann sum or its last term.

    `lower` has a row for every factor I - rate H and one for C. False if the budget ended it.
    """
    both, product, term = np.empty(len(x) + len(y)), np.empty(len(y)), np.empty(len(y))
    if not ask(grad_f, GF, world, x, y, y, upper, both):
        return False
    for i in range(len(y)):
        term[i] = both[len(x) + i]
        z[i] = term[i]
    factors = len(lower) - 1
    for q in range(factors):
        if not ask(hvp, H, world, x, y, term, lower[q], product):
            return False
        for i in range(len(y)):
            term[i] -= rate * product[i]
            z[i] = z[i] + term[i] if whole else term[i]
    for i in range(len(y)):
        z[i] *= scale
    if not ask(cvp, C, world, x, y, z, lower[factors], out):
        return False
    for i in range(len(x)):
        out[i] = both[i] - out[i]
    return True


@compiled
def recur(direction: Floats, new: Floats, old: Floats, weight: float) -> None:
    """STORM: new + (1 - weight) (direction - old), in place."""
    for i in range(len(new)):
        direction[i] = weight * new[i] + (1.0 - weight) * (direction[i] + new[i] - old[i])


@compiled
def accbo(
    grad_f: Oracle, grad_g: Oracle, hvp: Oracle, cvp: Oracle, grad_gx: Oracle, project: Oracle, world: World,
    x: Floats, y: Floats, z: Floats, memory: Floats, options: Floats, start: int, steps: int,
) -> int:  # fmt: skip
    """Nesterov steps on y, their running average, a normalised recursive-momentum step on x.

    Options: eta, beta, alpha, gamma, tau, period, inner steps, terms Q, Neumann rate, decay, warm-start steps, rate.
    Memory: the direction, y before the last Nesterov step, the average of y, x before the last step.
    """
    eta, beta, alpha, gamma, tau, decay = options[0], options[1], options[2], options[3], options[4], options[9]
    period, inner, terms, a = int(options[5]), int(options[6]), int(options[7]), options[8]
    dx, dy = len(x), len(y)
    scale = a if terms > 0 else 0.0
    new, old, z_new, z_old, direction = np.empty(dx), np.empty(dx), np.empty(dy), np.empty(dy), np.empty(dx)
    for t in range(start, start + steps):
        point, before, mean = y.copy(), memory[1, :dy].copy(), memory[2, :dy].copy()
        if t == 0:
            if not accelerate(grad_g, world, x, point, y.copy(), options[11], 0.0, int(options[10])):
                return 0
            before[:] = point
            mean[:] = point
        else:
            if t % period == 0 and not accelerate(grad_g, world, x, point, before, alpha, gamma, inner):
                return t - start
            for i in range(dy):
                mean[i] = (1.0 - tau) * mean[i] + tau * point[i]
        if not affordable(GF, world):
            return t - start
        upper, lower = draw(world, 0, 1)[0], draw(world, 1, max(terms, 1))
        if not estimate(grad_f, hvp, cvp, world, x, mean, upper, lower, a, scale, True, z_new, new):
            return t - start
        if t == 0:
            direction[:] = new
        else:
            x_old, mean_old = memory[3, :dx].copy(), memory[2, :dy].copy()
            if not estimate(grad_f, hvp, cvp, world, x_old, mean_old, upper, lower, a, scale, True, z_old, old):
                return t - start
            direction[:] = memory[0, :dx]
            recur(direction, new, old, 1.0 - beta)
        length = norm(direction)
        if not length < math.inf:
            memory[0, :] = length
            return t - start
        y[:] = point
        z[:] = z_new
        memory[0, :dx] = direction
        memory[1, :dy] = before
        memory[2, :dy] = mean
        memory[3, :dx] = x
        if length > 0.0:
            move(project, world, x, y, direction, eta / (1.0 + t) ** decay / length)
    return steps


@compiled
def storm(
    grad_f: Oracle, grad_g: Oracle, hvp: Oracle, cvp: Oracle, grad_gx: Oracle, project: Oracle, world: World,
    x: Floats, y: Floats, z: Floats, memory: Floats, options: Floats, start: int, steps: int,
) -> int:  # fmt: skip
    """Recursive momentum on the directions of y and of x, both from the old iterate: SUSTAIN and MRBO.

    Options: eta, rate on y, terms Q, Neumann rate, kind of z (0: one random term of Q; 1: the sum of Q + 1), weight of
    the new sample, decay of the steps, decay of the weight. Memory: direction of x, of y, x and y before the last step.
    """
    eta, alpha, terms, a, whole = options[0], options[1], int(options[2]), options[3], options[4] == 1.0
    dx, dy = len(x), len(y)
    new, old, z_new, z_old, direction = np.empty(dx), np.empty(dx), np.empty(dy), np.empty(dy), np.empty(dx)
    slope, slope_old, lower_direction = np.empty(dy), np.empty(dy), np.empty(dy)
    scale = a if whole else terms * a
    for t in range(start, start + steps):
        weight, rate = min(1.0, options[5] / (1.0 + t) ** options[7]), 1.0 / (1.0 + t) ** options[6]
        x_old, y_old = memory[2, :dx].copy(), memory[3, :dy].copy()
        if not affordable(GY, world):
            return t - start
        rows = draw(world, 1, 1)[0]
        if not ask(grad_g, GY, world, x, y, y, rows, slope):
            return t - start
        if t > 0 and not ask(grad_g, GY, world, x_old, y_old, y_old, rows, slope_old):
            return t - start
        if not affordable(GF, world):
            return t - start
        factors = terms if whole else int(world[5].random() * terms)
        upper, lower = draw(world, 0, 1)[0], draw(world, 1, factors + 1)
        if not estimate(grad_f, hvp, cvp, world, x, y, upper, lower, a, scale, whole, z_new, new):
            return t - start
        if t == 0:
            direction[:] = new
            lower_direction[:] = slope
        else:
            if not estimate(grad_f, hvp, cvp, world, x_old, y_old, upper, lower, a, scale, whole, z_old, old):
                return t - start
            direction[:] = memory[0, :dx]
            lower_direction[:] = memory[1, :dy]
            recur(direction, new, old, weight)
            recur(lower_direction, slope, slope_old, weight)
        length = norm(direction) + norm(lower_direction)
        if not length < math.inf:
            memory[0, :] = length
            return t - start
        memory[0, :dx] = direction
        memory[1, :dy] = lower_direction
        memory[2, :dx] = x
        memory[3, :dy] = y
        z[:] = z_new
        for i in range(dy):
            y[i] -= alpha * rate * lower_direction[i]
        move(project, world, x, y, direction, eta * rate)
    return steps


@compiled
def terms_of(
    grad_f: Oracle,
    grad_g: Oracle,
    hvp: Oracle,
    cvp: Oracle,
    world: World,
    x: Floats,
    y: Floats,
    z: Floats,
    upper: Ints,
    lower: Ints,
    both: Floats,
    three: Floats,
    of_f: bool,
    of_g: bool,
) -> bool:
    """Gradients of f on a row; slope, Hessian and mixed product of g on a row; False if the budget ended it."""
    dy = len(y)
    if of_f and not ask(grad_f, GF, world, x, y, y, upper, both):
        return False
    if not of_g:
        return True
    if not ask(grad_g, GY, world, x, y, y, lower, three[:dy]):
        return False
    if not ask(hvp, H, world, x, y, z, lower, three[dy : 2 * dy]):
        return False
    return ask(cvp, C, world, x, y, z, lower, three[2 * dy :])


@compiled
def exchange(memory: Floats, mean: int, at: int, count: int, new: Floats, direction: Floats) -> None:
    """SAGA: new - old + mean of the table; the new term takes the old one's place in table and mean."""
    for i in range(len(new)):
        change = new[i] - memory[at, i]
        direction[i] = change + memory[mean, i]
        memory[mean, i] += change / count
        memory[at, i] = new[i]


@compiled
def saba(
    grad_f: Oracle, grad_g: Oracle, hvp: Oracle, cvp: Oracle, grad_gx: Oracle, project: Oracle, world: World,
    x: Floats, y: Floats, z: Floats, memory: Floats, options: Floats, start: int, steps: int,
) -> int:  # fmt: skip
    """SOBA's three steps with SAGA directions, one row of f and one of g a step; the first step fills the tables.

    Options: gamma, rho. Memory: means of the tables of f and of g, then their rows: both gradients of f; slope,
    Hessian product and mixed product of g. Exact oracles are sums of one term.
    """
    gamma, rho, levels, rng = options[0], options[1], world[2], world[5]
    dx, dy = len(x), len(y)
    n_f, n_g = max(levels[0], 1), max(levels[2], 1)
    upper, lower = np.zeros(min(levels[1], 1), np.int64), np.zeros(min(levels[3], 1), np.int64)
    both, three, direction = np.empty(dx + dy), np.empty(2 * dy + dx), np.empty(dx)
    both_mean, three_mean = np.empty(dx + dy), np.empty(2 * dy + dx)
    for t in range(start, start + steps):
        if t == 0:
            memory[:, :] = 0.0
            for i in range(max(n_f, n_g)):
                upper[:] = min(i, n_f - 1)
                lower[:] = min(i, n_g - 1)
                of_f, of_g = i < n_f, i < n_g
                if not terms_of(grad_f, grad_g, hvp, cvp, world, x, y, z, upper, lower, both, three, of_f, of_g):
                    memory[:, :] = 0.0
                    return 0
                if of_f:
                    exchange(memory, 0, 2 + i, n_f, both, both_mean)
                if of_g:
                    exchange(memory, 1, 2 + n_f + i, n_g, three, three_mean)
        if not affordable(GF, world):
            if t == 0:
                memory[:, :] = 0.0
            return t - start
        upper[:] = np.int64(rng.random() * n_f)
        lower[:] = np.int64(rng.random() * n_g)
        if not terms_of(grad_f, grad_g, hvp, cvp, world, x, y, z, upper, lower, both, three, True, True):
            if t == 0:
                memory[:, :] = 0.0
            return t - start
        exchange(memory, 0, 2 + (upper[0] if len(upper) else 0), n_f, both, both_mean)
        exchange(memory, 1, 2 + n_f + (lower[0] if len(lower) else 0), n_g, three, three_mean)
        for i in range(dx):
            direction[i] = both_mean[i] - three_mean[2 * dy + i]
        length = norm(direction)
        if not length < math.inf:
            memory[0, :] = length
            return t - start
        for i in range(dy):
            y[i] -= rho * three_mean[i]
            z[i] -= rho * (three_mean[dy + i] - both_mean[dx + i])
        move(project, world, x, y, direction, gamma)
    return steps
