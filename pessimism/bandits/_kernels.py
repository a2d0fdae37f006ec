"""Compiled loops for bandits. No checks: callers pass clean, C-contiguous arrays."""

import math

import numpy as np
from numpy.typing import NDArray

from pessimism._compiled import compiled

Floats = NDArray[np.float64]


@compiled
def best_index(counts: NDArray[np.int64], sums: Floats, scale: Floats, unseen: float) -> NDArray[np.intp]:
    """Lowest arm with the largest sums/counts - scale/sqrt(counts) (data sets, contexts); one `scale` a data set."""
    best = np.empty(counts.shape[:2], np.intp)
    for i in range(counts.shape[0]):
        for s in range(counts.shape[1]):
            best[i, s], top = 0, -np.inf
            for a in range(counts.shape[2]):
                pulls = counts[i, s, a]
                index = sums[i, s, a] / pulls - scale[i] / math.sqrt(pulls) if pulls > 0 else unseen
                if index > top:
                    best[i, s], top = a, index
    return best


# Exact enumeration. An arm with m pulls has outcomes k = 0, 1, ... of probability row[k] and index base + step * k:
# m rewards of 0 or 1 (step 1/m), a fixed reward (one outcome), or a normal mean (no row).

BERNOULLI, GAUSSIAN, DETERMINISTIC = 0, 1, 2
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
def signed_width(level: float, m: int) -> float:
    return math.copysign(math.sqrt(abs(level) / m), level)


@compiled
def arm_row(kind: int, mean: float, m: int, width: float, cut: float, row: Floats) -> tuple[int, float, float]:
    """Outcomes of an arm with m >= 1 pulls: fill `row`; return its length, the base and the step of the index."""
    if kind == BERNOULLI:
        first, length = binomial_row(m, mean, 1.0 - mean, cut, row)
        return length, first / m - width, 1.0 / m
    row[0] = 1.0
    return 1, mean - width, 1.0


@compiled
def tails(row: Floats, length: int, tail: Floats, half: Floats) -> None:
    """tail[k] = row[k] + row[k + 1] + ... from the small end, to keep its relative accuracy; half[k] has row[k] / 2."""
    tail[length] = half[length] = 0.0
    for k in range(length - 1, -1, -1):
        tail[k] = tail[k + 1] + row[k]
        half[k] = tail[k + 1] + 0.5 * row[k]


@compiled
def overtakes(
    a_length: int,
    a_base: float,
    a_step: float,
    a_row: Floats,
    b_length: int,
    b_base: float,
    b_step: float,
    b_tail: Floats,
    b_half: Floats,
    cut: float,
) -> float:
    """P(index of b > index of a) + P(equal) / 2 for independent discrete arms; products below `cut` are dropped."""
    total, rising, first = 0.0, True, 0
    start, stride = (a_base - b_base) / b_step, a_step / b_step
    while first < a_length and a_row[first] < cut:
        first += 1
    for k in range(first, a_length):
        t = start + stride * k  # b wins from outcome t on
        if t <= -TIE:
            term = a_row[k] * b_tail[0]
        elif t >= b_length:
            break
        else:
            j = math.ceil(t - TIE)
            term = a_row[k] * (b_half[j] if t > j - TIE else b_tail[j])
        total += term
        if term >= cut:
            rising = False
        elif not rising:  # both factors are log-concave: once the product has fallen below the cut it stays there
            break
    return total


@compiled
def normal_above(x: float) -> float:
    return 0.5 * math.erfc(x / math.sqrt(2.0))


@compiled
def overtakes_normal(
    a_kind: int,
    a_mean: float,
    a_scale: float,
    a_m: int,
    a_width: float,
    b_kind: int,
    b_mean: float,
    b_scale: float,
    b_m: int,
    b_width: float,
    cut: float,
    row: Floats,
) -> float:
    """The same where at least one arm is Gaussian."""
    if a_kind == GAUSSIAN and b_kind == GAUSSIAN:
        spread = math.sqrt(a_scale**2 / a_m + b_scale**2 / b_m)
        return normal_above(((a_mean - a_width) - (b_mean - b_width)) / spread)
    total = 0.0
    if a_kind == GAUSSIAN:
        length, base, step = arm_row(b_kind, b_mean, b_m, b_width, cut, row)
        for k in range(length):
            total += row[k] * normal_above((a_mean - a_width - base - step * k) * math.sqrt(a_m) / a_scale)
    else:
        length, base, step = arm_row(a_kind, a_mean, a_m, a_width, cut, row)
        for k in range(length):
            total += row[k] * normal_above((base + step * k - b_mean + b_width) * math.sqrt(b_m) / b_scale)
    return total


@compiled
def against_unseen(
    kind: int, mean: float, scale: float, m: int, width: float, unseen: float, row: Floats
) -> tuple[float, float]:
    """P(index > unseen) + P(equal) / 2 for an arm with m >= 1 pulls, and its complement, each summed by itself."""
    if math.isinf(unseen):
        return (0.0, 1.0) if unseen > 0 else (1.0, 0.0)
    if kind == GAUSSIAN:
        z = (unseen - mean + width) * math.sqrt(m) / scale
        return normal_above(z), normal_above(-z)
    length, base, step = arm_row(kind, mean, m, width, CUT, row)
    above, below = 0.0, 0.0
    for k in range(length):
        t = (base + step * k - unseen) / step
        if abs(t) < TIE:
            above += 0.5 * row[k]
            below += 0.5 * row[k]
        elif t > 0:
            above += row[k]
        else:
            below += row[k]
    return above, below


@compiled
def tabulate(
    kind: int, mean: float, first: int, slots: int, level: float, unit: float, row: Floats
) -> tuple[NDArray[np.int64], Floats, Floats, Floats, Floats]:
    """Lengths, bases, steps, tails and half tails of an arm with first, first + 1, ... pulls; 0 pulls stay empty."""
    lengths, bases, steps = np.zeros(slots, np.int64), np.empty(slots), np.empty(slots)
    for j in range(slots):
        if first + j > 0:
            width = unit * signed_width(level, first + j)
            lengths[j], bases[j], steps[j] = arm_row(kind, mean, first + j, width, CUT, row)
    tail, half = np.empty((slots, lengths.max() + 1)), np.empty((slots, lengths.max() + 1))
    for j in range(slots):
        if first + j > 0:
            arm_row(kind, mean, first + j, 0.0, CUT, row)
            tails(row, lengths[j], tail[j], half[j])
    return lengths, bases, steps, tail, half


@compiled
def error_probability(
    n: int,
    law: Floats,
    kinds: NDArray[np.int64],
    means: Floats,
    scales: Floats,
    level: float,
    unit: float,
    unseen: float,
) -> float:
    """P(arm 1 is chosen over arm 0) after n rounds with law (arm 0, arm 1, elsewhere); ties count one half.

    N0 ~ Bin(n, .) outside, N1 given N0 inside; outcomes of arm 1 are tabulated once for every N1. `unit` is the width
    of the reward range. Level -inf plays the less pulled of the pulled arms; level inf is done in log space elsewhere.
    """
    by_count = math.isinf(level)
    normal = kinds[0] == GAUSSIAN or kinds[1] == GAUSSIAN
    alone = law[2] == 0.0
    outer, inner, a_row = np.empty(n + 2), np.empty(n + 2), np.empty(n + 2)
    row, tail, half = np.empty(n + 2), np.empty(n + 2), np.empty(n + 2)
    low, slots = binomial_row(n, law[1], law[0] + law[2], CUT, inner)
    table = not (alone or by_count or normal)
    lengths, bases, steps, all_tails, all_halves = tabulate(
        kinds[1], means[1], low if table else 0, slots if table else 1, level, unit, row
    )
    first0, length0 = binomial_row(n, law[0], law[1] + law[2], CUT, outer)
    total = 0.0
    for i in range(length0):
        n0 = first0 + i
        width0 = unit * signed_width(level, n0) if n0 > 0 and not by_count else 0.0
        a_length, a_base, a_step = 0, 0.0, 1.0
        if n0 > 0 and not (normal or by_count):
            a_length, a_base, a_step = arm_row(kinds[0], means[0], n0, width0, CUT / outer[i], a_row)
        first, length = binomial_row(n - n0, law[1], law[2], CUT / outer[i], inner)
        for j in range(length):
            n1, weight = first + j, outer[i] * inner[j]
            if weight < CUT or (table and not low <= n1 < low + slots):
                continue
            width1 = unit * signed_width(level, n1) if n1 > 0 and not by_count else 0.0
            if n0 == 0 and n1 == 0:
                error = 0.5
            elif by_count:
                error = 1.0 if n0 == 0 or 0 < n1 < n0 else (0.5 if n0 == n1 else 0.0)
            elif n0 == 0:
                error, _ = against_unseen(kinds[1], means[1], scales[1], n1, width1, unseen, row)
            elif n1 == 0:
                _, error = against_unseen(kinds[0], means[0], scales[0], n0, width0, unseen, row)
            elif normal:
                error = overtakes_normal(
                    kinds[0], means[0], scales[0], n0, width0, kinds[1], means[1], scales[1], n1, width1, CUT, row
                )
            elif alone:  # every N1 is met once: nothing to tabulate
                b_length, b_base, b_step = arm_row(kinds[1], means[1], n1, width1, CUT, row)
                tails(row, b_length, tail, half)
                error = overtakes(a_length, a_base, a_step, a_row, b_length, b_base, b_step, tail, half, CUT / weight)
            else:
                k = n1 - low
                error = overtakes(
                    a_length,
                    a_base,
                    a_step,
                    a_row,
                    lengths[k],
                    bases[k],
                    steps[k],
                    all_tails[k],
                    all_halves[k],
                    CUT / weight,
                )
            total += weight * error
    return total


# Tails of counts in log space: valid far below the smallest float.


@compiled
def stirling_error(count: int) -> float:
    """log(n!) - log(sqrt(2 pi n) (n/e)^n), to 1e-16."""
    n = float(count)  # the square of an int64 would overflow
    if n < 16:
        return math.lgamma(n + 1.0) - ((n + 0.5) * math.log(n) - n + 0.5 * math.log(2.0 * math.pi))
    x = 1.0 / n / n
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - x / 1188) * x) * x) * x) / n


@compiled
def log_binomial(k: int, m: int, p: float, q: float) -> float:
    """log P(X = k), X ~ Bin(m, p/(p+q)), by Loader's saddle-point expansion: no difference of large logarithms."""
    if p == 0.0 or q == 0.0:
        return 0.0 if k == (m if q == 0.0 else 0) else -math.inf
    log_p, log_q = math.log(p / (p + q)), math.log(q / (p + q))
    if k == 0:
        return m * log_q
    if k == m:
        return m * log_p
    rest = m - k
    divergence = k * (math.log(k / m) - log_p) + rest * (math.log(rest / m) - log_q)
    shape = stirling_error(m) - stirling_error(k) - stirling_error(rest)
    return shape - divergence + 0.5 * math.log(m / (2.0 * math.pi * k * rest))


@compiled
def log_minority(m: int, p: float, q: float) -> float:
    """log[P(X < m/2) + P(X = m/2) / 2] for X ~ Bin(m, p/(p+q)), p >= q."""
    half = m // 2
    term = 0.5 if 2 * half == m else 1.0  # relative to P(X = half)
    total, k = 0.0, half
    ratio = 1.0
    while True:
        total += term * ratio
        term = 1.0
        if k == 0:
            break
        ratio *= k / (m - k + 1) * (q / p)
        k -= 1
        if ratio < 1e-17 * total:
            break
    return log_binomial(half, m, p, q) + math.log(total)


@compiled
def log_majority_error(m: int, p: float, q: float) -> float:
    """The same for any p and q: the complement of the smaller tail when p < q."""
    if p >= q:
        return log_minority(m, p, q)
    return math.log1p(-math.exp(log_minority(m, q, p)))


@compiled
def log_most_played_error(n: int, law: Floats) -> float:
    """log P(arm 1 has more pulls than arm 0, ties one half) after n rounds with law (arm 0, arm 1, elsewhere)."""
    if law[2] == 0.0:
        return log_majority_error(n, law[0], law[1])
    both = law[0] + law[1]
    best, total = -math.inf, 0.0
    for m in range(n + 1):
        term = log_binomial(m, n, both, law[2])
        if term > -math.inf:
            term += log_majority_error(m, law[0], law[1])
        if term > best:
            total = total * math.exp(best - term) + 1.0
            best = term
        elif term > -math.inf:
            total += math.exp(term - best)
    return best + math.log(total) if total > 0.0 else -math.inf
