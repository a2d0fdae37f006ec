"""Compiled pieces of exact sums over binomial outcomes: probabilities, tails, and which of two outcomes is ahead.

No checks: callers pass clean, C-contiguous arrays.
"""

import math

from pessimism._compiled import INNER, compiled
from pessimism._types import Floats

CUT = 1e-36
"""Joint probabilities below this are dropped: 1e10 of them are 1e-10 of a loss of 1e-16."""

TIE = 1e-9
"""Outcomes nearer than this are equal: thresholds are computed with rounding."""


@compiled(INNER)
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


@compiled(INNER)
def tails(row: Floats, length: int, tail: Floats) -> None:
    """tail[k] = row[k] + row[k + 1] + ... from the small end, to keep its relative accuracy."""
    tail[length] = 0.0
    for k in range(length - 1, -1, -1):
        tail[k] = tail[k + 1] + row[k]


@compiled(INNER)
def overtakes(
    row: Floats, length: int, start: float, stride: float, other: int, other_tail: Floats, cut: float
) -> float:
    """P(outcome of the other > start + stride * k) + P(equal) / 2, k of law `row`; products below `cut` are dropped.

    The other has the outcomes 0 to `other` - 1, with the tails of `tails`.
    """
    total, rising, first = 0.0, True, 0
    while first < length and row[first] < cut:
        first += 1
    for k in range(first, length):
        t = start + stride * k  # the other is ahead from outcome t on
        if t <= -TIE:
            term = row[k] * other_tail[0]
        elif t >= other - 1 + TIE:  # behind, whatever its outcome
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
