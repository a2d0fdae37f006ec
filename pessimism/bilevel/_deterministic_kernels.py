r"""Compiled loops of the deterministic solvers; arguments and conventions are those of `_kernels`.

Every call is exact, whatever the problem could sample. A step is made on copies and written over the state at its end:
a budget that ends in the middle of it leaves the state of the last completed step. A direction that is not finite is
left in the memory, which tells the caller.
"""

import math

import numpy as np

from pessimism._compiled import compiled
from pessimism.bilevel._kernels import Floats, Oracle, World

# this and the small loops below stand in every file of loops: a cached loop does not see changes in other files
BUDGET, SPENT, REFUSED, COSTS = 0, 1, 2, 3
GF, GY, GX, H, C = 0, 1, 2, 3, 4  # the order of problem.KINDS


@compiled
def ask(oracle: Oracle, kind: int, world: World, x: Floats, y: Floats, v: Floats, out: Floats) -> bool:
    """Call an exact oracle and count the call; False, and no call, if the budget does not hold it."""
    reals, sizes, _, meter, calls, _ = world
    if meter[SPENT] + meter[COSTS + kind] > meter[BUDGET]:
        meter[REFUSED] = 1.0
        return False
    meter[SPENT] += meter[COSTS + kind]
    calls[kind] += 1
    oracle(reals, sizes, x, y, v, np.empty(0, np.int64), out)
    return True


@compiled
def dot(a: Floats, b: Floats) -> float:
    """Inner product, summed from the first entry to the last."""
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@compiled
def move(project: Oracle, world: World, x: Floats, y: Floats, direction: Floats, rate: float) -> None:
    """x less a multiple of a direction, projected."""
    wanted = np.empty(len(x))
    for i in range(len(x)):
        wanted[i] = x[i] - rate * direction[i]
    project(world[0], world[1], x, y, wanted, np.empty(0, np.int64), x)


@compiled
def descend(grad_g: Oracle, world: World, x: Floats, path: Floats, rate: float) -> bool:
    """Gradient steps on y from the first row of `path`, a row each; False if the budget ended them."""
    slope = np.empty(path.shape[1])
    for d in range(path.shape[0] - 1):
        if not ask(grad_g, GY, world, x, path[d], path[d], slope):
            return False
        for i in range(len(slope)):
            path[d + 1, i] = path[d, i] - rate * slope[i]
    return True


@compiled
def conjugate(hvp: Oracle, world: World, x: Floats, y: Floats, right: Floats, z: Floats, steps: int) -> bool:
    """Conjugate gradient steps on H z = right from the z given, with one product for its residual.

    They end early where the residual is 0 or the curvature not positive. False if the budget ended them.
    """
    product, residual = np.empty(len(z)), np.empty(len(z))
    if not ask(hvp, H, world, x, y, z, product):
        return False
    for i in range(len(z)):
        residual[i] = right[i] - product[i]
    along, square = residual.copy(), dot(residual, residual)
    for _ in range(steps):
        if square == 0.0:
            break
        if not ask(hvp, H, world, x, y, along, product):
            return False
        curvature = dot(along, product)
        if not curvature > 0.0:
            break
        rate = square / curvature
        for i in range(len(z)):
            z[i] += rate * along[i]
            residual[i] -= rate * product[i]
        before, square = square, dot(residual, residual)
        for i in range(len(z)):
            along[i] = residual[i] + square / before * along[i]
    return True


@compiled
def aid_cg(
    grad_f: Oracle, grad_g: Oracle, hvp: Oracle, cvp: Oracle, grad_gx: Oracle, project: Oracle, world: World,
    x: Floats, y: Floats, z: Floats, memory: Floats, options: Floats, start: int, steps: int,
) -> int:  # fmt: skip
    """Gradient steps on y, conjugate gradient steps on z, a gradient step on x.

    Options: eta, steps on y, rate on y, steps on z, decay. Memory: the last direction.
    """
    eta, inner, alpha, conjugates, decay = options[0], int(options[1]), options[2], int(options[3]), options[4]
    dx, dy = len(x), len(y)
    path, both, direction = np.empty((inner + 1, dy)), np.empty(dx + dy), np.empty(dx)
    for t in range(start, start + steps):
        path[0] = y
        if not descend(grad_g, world, x, path, alpha):
            return t - start
        point, solution = path[inner], z.copy()
        if not ask(grad_f, GF, world, x, point, point, both):
            return t - start
        if not conjugate(hvp, world, x, point, both[dx:], solution, conjugates):
            return t - start
        if not ask(cvp, C, world, x, point, solution, direction):
            return t - start
        for i in range(dx):
            direction[i] = both[i] - direction[i]
        length = math.sqrt(dot(direction, direction))
        if not length < math.inf:
            memory[0, :] = length
            return t - start
        y[:] = point
        z[:] = solution
        memory[0, :dx] = direction
        move(project, world, x, y, direction, eta / (1.0 + t) ** decay)
    return steps


@compiled
def itd(
    grad_f: Oracle, grad_g: Oracle, hvp: Oracle, cvp: Oracle, grad_gx: Oracle, project: Oracle, world: World,
    x: Floats, y: Floats, z: Floats, memory: Floats, options: Floats, start: int, steps: int,
) -> int:  # fmt: skip
    """Gradient steps on y, the derivative of f at their end back through them, a step on x.

    Options: eta, steps on y, rate on y, decay. Memory: the last direction. z is what the steps take for H^-1 f_y.
    """
    eta, inner, alpha, decay = options[0], int(options[1]), options[2], options[3]
    dx, dy = len(x), len(y)
    path, both, direction = np.empty((inner + 1, dy)), np.empty(dx + dy), np.empty(dx)
    term, total, product, cross = np.empty(dy), np.empty(dy), np.empty(dy), np.empty(dx)
    for t in range(start, start + steps):
        path[0] = y
        if not descend(grad_g, world, x, path, alpha):
            return t - start
        if not ask(grad_f, GF, world, x, path[inner], path[inner], both):
            return t - start
        direction[:] = both[:dx]
        term[:] = both[dx:]
        total[:] = 0.0
        for d in range(inner - 1, -1, -1):
            if not ask(cvp, C, world, x, path[d], term, cross):
                return t - start
            for i in range(dx):
                direction[i] -= alpha * cross[i]
            for i in range(dy):
                total[i] += alpha * term[i]
            if d > 0:  # the derivative in the first y is not used
                if not ask(hvp, H, world, x, path[d], term, product):
                    return t - start
                for i in range(dy):
                    term[i] -= alpha * product[i]
        length = math.sqrt(dot(direction, direction))
        if not length < math.inf:
            memory[0, :] = length
            return t - start
        y[:] = path[inner]
        z[:] = total
        memory[0, :dx] = direction
        move(project, world, x, y, direction, eta / (1.0 + t) ** decay)
    return steps
