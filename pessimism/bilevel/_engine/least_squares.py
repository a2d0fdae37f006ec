"""Compiled oracles of the problems with squared losses: ridge penalties and a linear representation.

``reals`` is rho, lambda, then for the training and for the validation rows the block (X'X/n (p, p), X'b/n (p),
X (n, p), b (n)); ``sizes`` is (dim_x, dim_y, p, n, m). Without rows the oracles read the Gram matrices only.
"""

import numpy as np
from numba import types

from pessimism._compiled import INNER, compiled
from pessimism._types import Floats, Ints
from pessimism.bilevel._engine.calls import INTEGERS, REALS


@compiled(types.void(REALS, INTEGERS, types.boolean, types.float64, INTEGERS, REALS, REALS))
def slope(reals: Floats, sizes: Ints, validation: bool, weight: float, rows: Ints, theta: Floats, out: Floats) -> None:
    """Mean over the rows of x (x'theta - weight b); over all of them from the Gram matrix."""
    p, n, at = sizes[2], sizes[3], 2
    if validation:
        at, n = at + p * p + p + n * p + n, sizes[4]
    inputs = at + p * p + p
    outputs, batch = inputs + n * p, len(rows)
    for a in range(p):
        out[a] = 0.0
    for r in range(batch):
        row, residual = inputs + rows[r] * p, -weight * reals[outputs + rows[r]]
        for b in range(p):
            residual += reals[row + b] * theta[b]
        for a in range(p):
            out[a] += reals[row + a] * residual
    for a in range(p):
        if batch > 0:
            out[a] /= batch
        else:
            total = -weight * reals[at + p * p + a]
            for b in range(p):
                total += reals[at + a * p + b] * theta[b]
            out[a] = total


@compiled
def ridge_grad_f(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """Rho x in x, X_v'(X_v y - b_v)/m in y."""
    dx = sizes[0]
    for i in range(dx):
        out[i] = reals[0] * x[i]
    slope(reals, sizes, True, 1.0, rows, y, out[dx:])


@compiled
def ridge_grad_g(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """X'(Xy - b)/n + e^x y."""
    slope(reals, sizes, False, 1.0, rows, y, out)
    for j in range(sizes[1]):
        out[j] += np.exp(x[j if sizes[0] > 1 else 0]) * y[j]


@compiled
def ridge_hvp(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """X'Xv/n + e^x v."""
    slope(reals, sizes, False, 0.0, rows, v, out)
    for j in range(sizes[1]):
        out[j] += np.exp(x[j if sizes[0] > 1 else 0]) * v[j]


@compiled
def ridge_cvp(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """e^x y v, summed if x is one number."""
    for i in range(sizes[0]):
        out[i] = 0.0
    for j in range(sizes[1]):
        i = j if sizes[0] > 1 else 0
        out[i] += np.exp(x[i]) * y[j] * v[j]


@compiled
def ridge_grad_gx(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """e^x y^2 / 2, summed if x is one number."""
    ridge_cvp(reals, sizes, x, y, y, rows, out)
    for i in range(sizes[0]):
        out[i] *= 0.5


@compiled(INNER)
def lower(sizes: Ints, x: Floats, y: Floats, out: Floats) -> None:
    """W'y: coefficients of the inputs."""
    p = sizes[2]
    for a in range(p):
        out[a] = 0.0
    for j in range(sizes[1]):
        for a in range(p):
            out[a] += x[j * p + a] * y[j]


@compiled(INNER)
def head_slope(reals: Floats, sizes: Ints, weight: float, rows: Ints, x: Floats, y: Floats, out: Floats) -> None:
    """W X'(X W'y - weight b)/n + lambda y."""
    p = sizes[2]
    theta, s = np.empty(p), np.empty(p)
    lower(sizes, x, y, theta)
    slope(reals, sizes, False, weight, rows, theta, s)
    for j in range(sizes[1]):
        total = reals[1] * y[j]
        for a in range(p):
            total += x[j * p + a] * s[a]
        out[j] = total


@compiled
def representation_grad_f(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """Rho W + y s' in W, W s in y, with s = X_v'(X_v W'y - b_v)/m."""
    p, dx = sizes[2], sizes[0]
    theta, s = np.empty(p), np.empty(p)
    lower(sizes, x, y, theta)
    slope(reals, sizes, True, 1.0, rows, theta, s)
    for j in range(sizes[1]):
        total = 0.0
        for a in range(p):
            out[j * p + a] = reals[0] * x[j * p + a] + y[j] * s[a]
            total += x[j * p + a] * s[a]
        out[dx + j] = total


@compiled
def representation_grad_g(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """W X'(X W'y - b)/n + lambda y."""
    head_slope(reals, sizes, 1.0, rows, x, y, out)


@compiled
def representation_hvp(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """(W X'X W'/n + lambda) v."""
    head_slope(reals, sizes, 0.0, rows, x, v, out)


@compiled
def representation_cvp(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """v s' + y (X'X W'v/n)' with s = X'(X W'y - b)/n."""
    p = sizes[2]
    theta, s, t = np.empty(p), np.empty(p), np.empty(p)
    lower(sizes, x, y, theta)
    slope(reals, sizes, False, 1.0, rows, theta, s)
    lower(sizes, x, v, theta)
    slope(reals, sizes, False, 0.0, rows, theta, t)
    for j in range(sizes[1]):
        for a in range(p):
            out[j * p + a] = v[j] * s[a] + y[j] * t[a]


@compiled
def representation_grad_gx(
    reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats
) -> None:
    """y s' with s = X'(X W'y - b)/n."""
    p = sizes[2]
    theta, s = np.empty(p), np.empty(p)
    lower(sizes, x, y, theta)
    slope(reals, sizes, False, 1.0, rows, theta, s)
    for j in range(sizes[1]):
        for a in range(p):
            out[j * p + a] = y[j] * s[a]
