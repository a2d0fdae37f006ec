"""Exact error probabilities of VI-LCB in stay-exit replicas: sums over all data sets.

An action logged m times stayed first + k times, k = 0, 1, ..., with probability row[k]. Two actions are compared by
VI-LCB's indices (1 - b) / (1 - discount * stays / m), b = sqrt(least / m): the second is ahead where its stays exceed a
threshold that is linear in the stays of the first. Kernels take clean, C-contiguous arrays.
"""

import math

import numpy as np

from pessimism._binomial import CUT, binomial_row, overtakes, tails
from pessimism._compiled import compiled
from pessimism._types import Floats


def replica_errors(
    n: int, law: Floats, rest: Floats, stay: Floats, leave: Floats, discount: float, least: float
) -> Floats:
    """P(worse action) in each of R replicas; those that cannot be told apart are computed once.

    `law`, `stay` and `leave` are (R, 2), `rest` (R,) the mass of all other states, `least` as in `replica_error`.
    """
    better = (stay[:, 1] > stay[:, 0]).astype(np.int64)[:, None]
    order = np.concatenate([better, 1 - better], axis=-1)
    table = np.concatenate([np.take_along_axis(x, order, axis=-1) for x in (law, stay, leave)], axis=-1)
    # between replicas with the same law the mass elsewhere differs by rounding only
    _, first, inverse = np.unique(table, axis=0, return_index=True, return_inverse=True)
    errors = np.zeros(len(first))
    for i, row in enumerate(first):
        shares, stays, leaves = np.append(table[row, :2], rest[row]), table[row, 2:4].copy(), table[row, 4:].copy()
        if discount > 0.0 and stays[0] != stays[1]:
            errors[i] = replica_error(n, shares, stays, leaves, discount, least)
    return np.asarray(errors[inverse.ravel()])


@compiled
def by_counts(m0: int, m1: int, least: float) -> float:
    """Error where counts decide, else -1: only actions with more than `least` visits have a positive index.

    Without one the most played action is kept; ties are one half.
    """
    active0, active1 = m0 > least, m1 > least
    if active0 and active1:
        return -1.0
    if active0 or active1:
        return 1.0 if active1 else 0.0
    return 0.5 if m0 == m1 else (1.0 if m1 > m0 else 0.0)


@compiled
def replica_error(n: int, law: Floats, stay: Floats, leave: Floats, discount: float, least: float) -> float:
    """P(VI-LCB plays action 1 in a replica) after n transitions with law (action 0, action 1, elsewhere).

    N0 ~ Bin(n, .) outside, N1 given N0 inside; the tails of action 1 are tabulated once for every N1. `least` is
    level/(1 - discount)^2, the visits at which a width is 1.
    """
    outer, inner, row = np.empty(n + 2), np.empty(n + 2), np.empty(n + 2)
    low, slots = binomial_row(n, law[1], law[0] + law[2], CUT, inner)
    starts, lengths, size = np.zeros(slots, np.int64), np.zeros(slots, np.int64), 0
    for j in range(slots):
        if low + j > least:
            starts[j], lengths[j] = binomial_row(low + j, stay[1], leave[1], CUT, row)
            size = max(size, lengths[j])
    table = np.empty((slots, size + 1))
    for j in range(slots):
        if low + j > least:
            binomial_row(low + j, stay[1], leave[1], CUT, row)
            tails(row, lengths[j], table[j])
    first0, length0 = binomial_row(n, law[0], law[1] + law[2], CUT, outer)
    total = 0.0
    for i in range(length0):
        m0 = first0 + i
        start0, stays0, c0 = 0, 0, 1.0
        if m0 > least:
            start0, stays0 = binomial_row(m0, stay[0], leave[0], CUT / outer[i], row)
            c0 = 1.0 - math.sqrt(least / m0)
        first, length = binomial_row(n - m0, law[1], law[2], CUT / outer[i], inner)
        for j in range(length):
            m1, weight = first + j, outer[i] * inner[j]
            if weight < CUT or not low <= m1 < low + slots:
                continue
            error = by_counts(m0, m1, least)
            if error < 0.0:
                k = m1 - low
                ratio = (1.0 - math.sqrt(least / m1)) / c0
                stride = ratio * m1 / m0
                start = m1 / discount * (1.0 - ratio) + stride * start0 - starts[k]
                error = overtakes(row, stays0, start, stride, lengths[k], table[k], CUT / weight)
            total += weight * error
    return total
