"""Compiled oracles of ridge penalties for logistic regression.

``reals`` is rho, the training rows (n, p) and the validation rows (m, p), both times their labels; ``sizes`` is
(dim_x, p, n, m, rows in a term). Rows are added up four at a time: a processor adds to several sums at once, but to one
only when its previous addition is complete.
"""

import numpy as np

from pessimism._compiled import INNER, compiled
from pessimism._types import Floats, Ints

BLOCK = 64
"""Rows that are handled together, few enough to stay in the L1 cache."""


@compiled(INNER)
def spread(terms: Ints, width: int, start: int, rows: Ints) -> None:
    """Positions in the table of the rows of a sample, from row `start` on; without terms, of all rows of the table."""
    term, offset = start // width, start % width
    for r in range(len(rows)):
        rows[r] = start + r if len(terms) == 0 else terms[term] * width + offset
        offset += 1
        if offset == width:
            term, offset = term + 1, 0


@compiled(INNER)
def touch(table: Floats, rows: Ints, out: Floats) -> None:
    """Bring rows that are far apart into the cache, by reading one number from each of their cache lines.

    These reads overlap, while `products` would wait for the memory row after row. `out` is scratch.
    """
    for r in range(len(rows)):
        total = 0.0
        for j in range(0, table.shape[1], 8):
            total += table[rows[r], j]
        out[r] = total


@compiled
def products(table: Floats, rows: Ints, y: Floats, out: Floats) -> None:
    """Inner products of the rows with y."""
    count = len(out)
    for r in range(0, count - 3, 4):
        h, i, k, m = rows[r], rows[r + 1], rows[r + 2], rows[r + 3]
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        for j in range(len(y)):
            a += table[h, j] * y[j]
            b += table[i, j] * y[j]
            c += table[k, j] * y[j]
            d += table[m, j] * y[j]
        out[r], out[r + 1], out[r + 2], out[r + 3] = a, b, c, d
    for r in range(count - count % 4, count):
        total = 0.0
        for j in range(len(y)):
            total += table[rows[r], j] * y[j]
        out[r] = total


@compiled
def add(table: Floats, rows: Ints, weights: Floats, out: Floats) -> None:
    """Add the rows, each times its weight."""
    count = len(weights)
    for r in range(0, count - 3, 4):
        h, i, k, m = rows[r], rows[r + 1], rows[r + 2], rows[r + 3]
        a, b, c, d = weights[r], weights[r + 1], weights[r + 2], weights[r + 3]
        for j in range(len(out)):
            out[j] += (a * table[h, j] + b * table[i, j]) + (c * table[k, j] + d * table[m, j])
    for r in range(count - count % 4, count):
        for j in range(len(out)):
            out[j] += weights[r] * table[rows[r], j]


@compiled
def slope(table: Floats, terms: Ints, width: int, y: Floats, out: Floats) -> None:
    """Minus the mean of sigma(-z'y) z over rows z of the table; where e^z'y overflows, sigma is 0, as it should be."""
    count, places, buffer = len(terms) * width, np.empty(BLOCK, np.int64), np.empty(BLOCK)
    if count == 0:
        count = len(table)
    for j in range(len(y)):
        out[j] = 0.0
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        rows, weights = places[:size], buffer[:size]
        spread(terms, width, start, rows)
        if width == 1:
            touch(table, rows, weights)
        products(table, rows, y, weights)
        for r in range(size):
            weights[r] = -1.0 / ((1.0 + np.exp(weights[r])) * count)
        add(table, rows, weights, out)


@compiled
def grad_f(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """Rho x in x, minus the mean of sigma(-z'y) z over validation rows in y."""
    dx, p, n, m = sizes[0], sizes[1], sizes[2], sizes[3]
    for i in range(dx):
        out[i] = reals[0] * x[i]
    slope(reals[1 + n * p :].reshape((m, p)), rows, sizes[4], y, out[dx:])


@compiled
def grad_g(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """e^x y minus the mean of sigma(-z'y) z."""
    p, n = sizes[1], sizes[2]
    slope(reals[1 : 1 + n * p].reshape((n, p)), rows, sizes[4], y, out)
    for j in range(p):
        out[j] += np.exp(x[j if sizes[0] > 1 else 0]) * y[j]


@compiled
def hvp(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """e^x v plus the mean of sigma'(z'y) z'v z."""
    p, n, width = sizes[1], sizes[2], sizes[4]
    table, count = reals[1 : 1 + n * p].reshape((n, p)), len(rows) * width if len(rows) > 0 else n
    places, first, second = np.empty(BLOCK, np.int64), np.empty(BLOCK), np.empty(BLOCK)
    for j in range(p):
        out[j] = np.exp(x[j if sizes[0] > 1 else 0]) * v[j]
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        here, margins, weights = places[:size], first[:size], second[:size]
        spread(rows, width, start, here)
        if width == 1:
            touch(table, here, margins)
        products(table, here, y, margins)
        products(table, here, v, weights)
        for r in range(size):
            e = np.exp(-abs(margins[r]))
            weights[r] *= e / ((1.0 + e) * (1.0 + e) * count)
        add(table, here, weights, out)
