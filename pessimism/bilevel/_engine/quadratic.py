"""Compiled oracles of the problems with a quadratic lower level.

``reals`` is A (dy, dy), B (dy, dx), c (dy), t (dy), rho, and the table (n, 1 + 2 dy + dx) of (a, e, u); ``sizes`` is
(dx, dy). Sample i is (1 + a_i) (y'Ay/2 - y'(Bx + c)) + e_i'y below and f + u_i'(y, x) above.
"""

import numpy as np
from numba import types

from pessimism._compiled import INNER, compiled
from pessimism._types import Floats, Ints
from pessimism.bilevel._engine.calls import INTEGERS, REALS


@compiled(types.float64(REALS, INTEGERS, types.int64, INTEGERS))
def noise(reals: Floats, sizes: Ints, column: int, rows: Ints) -> float:
    """Mean of a column of the table over the rows; 0 without rows."""
    dx, dy = sizes[0], sizes[1]
    at, width, total = dy * dy + dy * dx + 2 * dy + 1 + column, 1 + 2 * dy + dx, 0.0
    for r in range(len(rows)):
        total += reals[at + rows[r] * width]
    return total / max(len(rows), 1)


@compiled
def grad_g(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """(1 + a) (Ay - Bx - c) + e."""
    dx, dy = sizes[0], sizes[1]
    coupling, offset, slope = dy * dy, dy * dy + dy * dx, 1.0 + noise(reals, sizes, 0, rows)
    for j in range(dy):
        total = -reals[offset + j]
        for k in range(dy):
            total += reals[j * dy + k] * y[k]
        for i in range(dx):
            total -= reals[coupling + j * dx + i] * x[i]
        out[j] = slope * total + noise(reals, sizes, 1 + j, rows)


@compiled
def hvp(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """(1 + a) A v."""
    dy, slope = sizes[1], 1.0 + noise(reals, sizes, 0, rows)
    for j in range(dy):
        total = 0.0
        for k in range(dy):
            total += reals[j * dy + k] * v[k]
        out[j] = slope * total


@compiled
def cvp(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """-(1 + a) B'v."""
    dx, dy, slope = sizes[0], sizes[1], 1.0 + noise(reals, sizes, 0, rows)
    coupling = dy * dy
    for i in range(dx):
        total = 0.0
        for j in range(dy):
            total += reals[coupling + j * dx + i] * v[j]
        out[i] = -slope * total


@compiled
def grad_gx(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """-(1 + a) B'y."""
    cvp(reals, sizes, x, y, y, rows, out)


@compiled(INNER)
def bounded_grad_f(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """r / sqrt(1 + r^2) + u in y, with r = y - t; only the noise in x."""
    dx, dy = sizes[0], sizes[1]
    target = dy * dy + dy * dx + dy
    for i in range(dx):
        out[i] = noise(reals, sizes, 1 + 2 * dy + i, rows)
    for j in range(dy):
        r = y[j] - reals[target + j]
        length = np.sqrt(1.0 + r * r) if abs(r) < 1e150 else abs(r)  # the square overflows
        out[dx + j] = r / length + noise(reals, sizes, 1 + dy + j, rows)


@compiled
def quadratic_grad_f(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """Rho x + u in x, y - t + u in y."""
    dx, dy = sizes[0], sizes[1]
    target, ridge = dy * dy + dy * dx + dy, dy * dy + dy * dx + 2 * dy
    for i in range(dx):
        out[i] = reals[ridge] * x[i] + noise(reals, sizes, 1 + 2 * dy + i, rows)
    for j in range(dy):
        out[dx + j] = y[j] - reals[target + j] + noise(reals, sizes, 1 + dy + j, rows)


@compiled
def cosh_grad_f(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """Sinh x + u in x, r / sqrt(1 + r^2) + u in y."""
    bounded_grad_f(reals, sizes, x, y, v, rows, out)
    for i in range(sizes[0]):
        out[i] += np.sinh(x[i])


@compiled
def quartic_grad_f(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """x^3 + u in x, r / sqrt(1 + r^2) + u in y."""
    bounded_grad_f(reals, sizes, x, y, v, rows, out)
    for i in range(sizes[0]):
        out[i] += x[i] * x[i] * x[i]
