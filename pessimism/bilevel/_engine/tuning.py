"""Compiled oracles of pessimism tuning.

``reals`` is tau, lambda, rho, the bonuses (K), the logged means (K) and the held-out means (K); ``sizes`` is (K,). One
sample is the whole problem: `rows` is not read.
"""

import numpy as np

from pessimism._compiled import compiled
from pessimism._types import Floats, Ints


@compiled
def grad_f(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """Rho x in x, -pi (r - pi'r) / tau in y, with pi = softmax(y / tau) and the held-out means r."""
    arms, highest, total, mean = sizes[0], y[0], 0.0, 0.0
    held_out = 3 + 2 * arms
    out[0] = reals[2] * x[0]
    for a in range(arms):
        highest = max(highest, y[a])
    for a in range(arms):
        out[1 + a] = np.exp((y[a] - highest) / reals[0])
        total += out[1 + a]
    for a in range(arms):
        mean += out[1 + a] * reals[held_out + a] / total
    for a in range(arms):
        out[1 + a] *= (mean - reals[held_out + a]) / (total * reals[0])


@compiled
def grad_g(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """y - r + e^x b + lambda y, with the logged means r."""
    arms, level = sizes[0], np.exp(x[0])
    for a in range(arms):
        out[a] = y[a] - reals[3 + arms + a] + level * reals[3 + a] + reals[1] * y[a]


@compiled
def hvp(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """(1 + lambda) v."""
    for a in range(sizes[0]):
        out[a] = (1.0 + reals[1]) * v[a]


@compiled
def cvp(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """e^x b'v."""
    total = 0.0
    for a in range(sizes[0]):
        total += reals[3 + a] * v[a]
    out[0] = np.exp(x[0]) * total


@compiled
def grad_gx(reals: Floats, sizes: Ints, x: Floats, y: Floats, v: Floats, rows: Ints, out: Floats) -> None:
    """e^x b'y."""
    cvp(reals, sizes, x, y, y, rows, out)
