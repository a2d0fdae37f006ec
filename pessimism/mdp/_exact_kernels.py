"""Compiled sums over all data sets of a stay-exit replica. No checks: callers pass clean, C-contiguous arrays.

An action logged m times stayed first + k times, k = 0, 1, ..., with probability row[k]. Two actions are compared by
VI-LCB's indices (1 - b) / (1 - discount * stays / m), b = sqrt(least / m): the second is ahead where its stays exceed a
threshold that is linear in the stays of the first.
"""

import math

import numpy as np
from numpy.typing import NDArray

from pessimism._compiled import compiled

Floats = NDArray[np.float64]

CUT = 1e-36  # joint weights below this are dropped: 1e10 of them are 1e-10 of a loss of 1e-16
TIE = 1e-9


@compiled
def binomial_row(m: int, p: float, q: float, cut: float, row: Floats) -> tuple[int, int]:
    """Fill row[:length] with P(X = first + k), X ~ Bin(m, p/(p+q)), where it exceeds `cut`; return first, length.

    Built outwards from the mode by ratios and normalised by its sum: relative error about 1e-13, no logarithms.
    """
    if m == 0 or p == 0.0 or q == 0.0:
        row[0] = 1.0
        return (m if q == 0.0 else 0), 1
    mode = min(m, int((m + 1) * (p / (p + q))))
    low, value = mode, 1.0
    while low > 0:
        value *= low / (m - low + 1) * (q / p)
        if value < cut:
            break
        low -= 1
    value, total = 1.0, 1.0
    row[mode - low] = 1.0
    for k in range(mode, low, -1):
        value *= k / (m - k + 1) * (q / p)
        row[k - 1 - low] = value
        total += value
    high, value = mode, 1.0
    while high < m:
        value *= (m - high) / (high + 1) * (p / q)
        if value < cut:
            break
        high += 1
        row[high - low] = value
        total += value
    for k in range(high - low + 1):
        row[k] /= total
    return low, high - low + 1


@compiled
def tails(row: Floats, length: int, tail: Floats) -> None:
    """tail[k] = row[k] + row[k + 1] + ... from the small end, to keep its relative accuracy."""
    tail[length] = 0.0
    for k in range(length - 1, -1, -1):
        tail[k] = tail[k + 1] + row[k]


@compiled
def overtakes(
    row: Floats, length: int, start: float, stride: float, other: int, other_tail: Floats, cut: float
) -> float:
    """P(outcome of the other > start + stride * k) + P(equal) / 2, k of law `row`; products below `cut` are dropped."""
    total, rising, first = 0.0, True, 0
    while first < length and row[first] < cut:
        first += 1
    for k in range(first, length):
        t = start + stride * k  # the other is ahead from outcome t on
        if t <= -TIE:
            term = row[k] * other_tail[0]
        elif t >= other - 1 + TIE:  # behind it whatever the outcome
            break
        else:
            j = math.ceil(t - TIE)
            tied = t > j - TIE
            term = row[k] * (0.5 * (other_tail[j] + other_tail[j + 1]) if tied else other_tail[j])
        total += term
        if term >= cut:
            rising = False
        elif not rising:  # both factors are log-concave: once the product has fallen below the cut it stays there
            break
    return total


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
def error_probability(n: int, law: Floats, stay: Floats, leave: Floats, discount: float, least: float) -> float:
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
