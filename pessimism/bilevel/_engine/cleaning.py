"""Compiled oracles of logistic hyper-cleaning.

``reals`` is mu, rho, the training rows (n, p) and the validation rows (m, p), both times their labels; ``sizes`` is
(n, p, m).
"""

import numpy as np

from pessimism._compiled import INNER, compiled
from pessimism._types import Floats, Ints


@compiled(INNER)
def sigmoid(t: float) -> float:
    """1 / (1 + e^-t), without overflow."""
    if t >= 0.0:
        return float(1.0 / (1.0 + np.exp(-t)))
    e = float(np.exp(t))
    return e / (1.0 + e)


@compiled(INNER)
def product(reals: Floats, at: int, y: Floats) -> float:
    """Inner product of a row with y."""
    total = 0.0
    for j in range(len(y)):
        total += reals[at + j] * y[j]
    return total


@compiled
def grad_f(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """Rho x in x, minus the mean of sigma(-z'y) z over validation rows in y."""
    n, p, m = sizes[0], sizes[1], sizes[2]
    for i in range(n):
        out[i] = reals[1] * x[i]
    for j in range(p):
        out[n + j] = 0.0
    count = len(rows) if len(rows) > 0 else m
    for r in range(count):
        at = 2 + n * p + p * (rows[r] if len(rows) > 0 else r)
        weight = sigmoid(-product(reals, at, y)) / count
        for j in range(p):
            out[n + j] -= weight * reals[at + j]


@compiled
def grad_g(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """Mu y minus the mean of sigma(x_i) sigma(-z'y) z."""
    p = sizes[1]
    for j in range(p):
        out[j] = reals[0] * y[j]
    count = len(rows) if len(rows) > 0 else sizes[0]
    for r in range(count):
        i = rows[r] if len(rows) > 0 else r
        weight = sigmoid(x[i]) * sigmoid(-product(reals, 2 + i * p, y)) / count
        for j in range(p):
            out[j] -= weight * reals[2 + i * p + j]


@compiled
def hvp(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """Mu v plus the mean of sigma(x_i) sigma'(z'y) z'v z."""
    p = sizes[1]
    for j in range(p):
        out[j] = reals[0] * v[j]
    count = len(rows) if len(rows) > 0 else sizes[0]
    for r in range(count):
        i = rows[r] if len(rows) > 0 else r
        margin = product(reals, 2 + i * p, y)
        weight = sigmoid(x[i]) * sigmoid(margin) * sigmoid(-margin) * product(reals, 2 + i * p, v) / count
        for j in range(p):
            out[j] += weight * reals[2 + i * p + j]


@compiled
def cvp(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """-sigma'(x_i) sigma(-z'y) z'v of every row over their number."""
    n, p = sizes[0], sizes[1]
    for i in range(n):
        out[i] = 0.0
    count = len(rows) if len(rows) > 0 else n
    for r in range(count):
        i = rows[r] if len(rows) > 0 else r
        weight = sigmoid(x[i]) * sigmoid(-x[i]) * sigmoid(-product(reals, 2 + i * p, y)) / count
        out[i] -= weight * product(reals, 2 + i * p, v)


@compiled
def grad_gx(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """sigma'(x_i) log(1 + e^-z'y) of every row over their number."""
    n, p = sizes[0], sizes[1]
    for i in range(n):
        out[i] = 0.0
    count = len(rows) if len(rows) > 0 else n
    for r in range(count):
        i = rows[r] if len(rows) > 0 else r
        margin = product(reals, 2 + i * p, y)
        loss = np.log1p(np.exp(-abs(margin))) + max(-margin, 0.0)
        out[i] += sigmoid(x[i]) * sigmoid(-x[i]) * loss / count
