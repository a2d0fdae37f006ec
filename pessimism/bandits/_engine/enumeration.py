r"""Probability that an index rule prefers the worse of two arms, by summing over everything that a log can hold.

The numbers of pulls :math:`(N_0, N_1, \text{rest})` are trinomial. Given them the two indices are independent, and the
index of an arm with m pulls is ``base + step * k`` with probability ``row[k]``. Rewards of 0 or 1 make steps of 1/m; a
fixed reward, the mean of Gaussian rewards or an arm without pulls make a single value. Gaussian rewards add a normal
error to the difference of the two indices.
"""

import math
from typing import NamedTuple

import numpy as np

from pessimism._binomial import CUT, binomial_row, overtakes, tails
from pessimism._compiled import INNER, compiled
from pessimism._types import Floats, Ints
from pessimism.bandits._engine.most_played import log_most_played_error
from pessimism.bandits._engine.rewards import BERNOULLI, GAUSSIAN, Rewards


class IndexRule(NamedTuple):
    """The index mean - width * sqrt(level / pulls), plus instead of minus for level < 0, and that of unpulled arms."""

    level: float
    width: float
    unseen: float


def error_probabilities(n: int, law: Floats, rewards: Rewards, rule: IndexRule) -> Floats:
    """Probability (S,) of the worse arm after n rounds with law (S, 2), 0 where the arms are equally good.

    Contexts that look the same are computed once.
    """
    order = np.stack([rewards.means.argmax(axis=-1), rewards.means.argmin(axis=-1)], axis=-1)  # better arm first
    order[rewards.means[:, 0] == rewards.means[:, 1]] = (0, 1)
    # added up from both sides, not subtracted from one: a rare elsewhere keeps its digits, and none is exactly 0
    met = np.concatenate([[0.0], law.sum(axis=-1), [0.0]])
    elsewhere = np.cumsum(met)[:-2] + np.cumsum(met[::-1])[:-2][::-1]
    pairs = [np.take_along_axis(x, order, axis=-1) for x in (law, *rewards)]
    table = np.concatenate([pairs[0], elsewhere[:, None], *pairs[1:]], axis=-1)
    distinct, inverse = np.unique(table, axis=0, return_inverse=True)
    errors = np.zeros(len(distinct))
    for i, row in enumerate(distinct):
        shares, kinds, means, scales = np.split(row, [3, 5, 7])
        if means[0] != means[1]:
            errors[i] = _error_probability(n, shares, Rewards(kinds.astype(np.int64), means, scales), rule)
    return errors[inverse.ravel()]


def _error_probability(n: int, shares: Floats, rewards: Rewards, rule: IndexRule) -> float:
    if rule.level == math.inf:
        return math.exp(log_most_played_error(n, shares))
    kinds, means, scales = rewards
    variances = np.where((kinds == GAUSSIAN) & (rule.level > -math.inf), scales**2, 0.0)
    if shares[2] > 0.0 and not variances.any():  # every N1 is met many times
        table = tabulate(n, shares, kinds[1], means[1], *rule)
    else:
        table = 0, np.empty((0, 3)), np.empty((0, 1))
    return float(error_probability(n, shares, kinds, means, variances, *rule, *table))


@compiled(INNER)
def outcomes(
    kind: int, mean: float, m: int, level: float, width: float, unseen: float, cut: float, row: Floats
) -> tuple[int, float, float]:
    """Values of the index of an arm with m pulls: fill `row`; return how many there are, base and step.

    Level -inf prefers the arm with fewer pulls, if it has any.
    """
    row[0] = 1.0
    if level == -math.inf:
        return 1, -float(m) if m > 0 else level, 1.0
    if m == 0:
        return 1, unseen, 1.0
    penalty = width * math.copysign(math.sqrt(abs(level) / m), level)
    if kind != BERNOULLI:
        return 1, mean - penalty, 1.0
    first, length = binomial_row(m, mean, 1.0 - mean, cut, row)
    return length, first / m - penalty, 1.0 / m


@compiled
def tabulate(
    n: int, law: Floats, kind: int, mean: float, level: float, width: float, unseen: float
) -> tuple[int, Floats, Floats]:
    """Indices of arm 1 for every N1 = low, low + 1, ... that n rounds can bring.

    Returns low, a row (base, step, number of values) for each N1, and the tails of their probabilities.
    """
    row = np.empty(n + 2)
    low, slots = binomial_row(n, law[1], law[0] + law[2], CUT, row)
    indices, longest = np.empty((slots, 3)), 0
    for j in range(slots):
        count, indices[j, 0], indices[j, 1] = outcomes(kind, mean, low + j, level, width, unseen, CUT, row)
        indices[j, 2], longest = count, max(longest, count)
    table = np.empty((slots, longest + 1))
    for j in range(slots):
        count, _, _ = outcomes(kind, mean, low + j, level, width, unseen, CUT, row)
        tails(row, count, table[j])
    return low, indices, table


@compiled(INNER)
def overtakes_with_error(
    start: float, spread: float, row: Floats, length: int, step: float, other: Floats, count: int, other_step: float
) -> float:
    """P(the other index is larger) where they differ by start + step * k - other_step * j and a normal error."""
    total = 0.0
    for k in range(length):
        for j in range(count):
            ahead = (start + step * k - other_step * j) / spread
            total += row[k] * other[j] * (0.5 * math.erfc(ahead / math.sqrt(2.0)))
    return total


@compiled
def error_probability(
    n: int,
    law: Floats,
    kinds: Ints,
    means: Floats,
    variances: Floats,
    level: float,
    width: float,
    unseen: float,
    low: int,
    indices: Floats,
    table: Floats,
) -> float:
    """P(arm 1 is chosen over arm 0) after n rounds with law (arm 0, arm 1, elsewhere); ties count one half.

    N0 ~ Bin(n, .) outside, N1 given N0 inside. Indices of arm 1 come from `tabulate` where they are in its table.
    """
    outer, inner = np.empty(n + 2), np.empty(n + 2)
    row, other, other_tail = np.empty(n + 2), np.empty(n + 2), np.empty(n + 2)
    first0, length0 = binomial_row(n, law[0], law[1] + law[2], CUT, outer)
    total = 0.0
    for i in range(length0):
        n0 = first0 + i
        length, base, step = outcomes(kinds[0], means[0], n0, level, width, unseen, CUT / outer[i], row)
        first1, length1 = binomial_row(n - n0, law[1], law[2], CUT / outer[i], inner)
        for j in range(length1):
            n1, weight = first1 + j, outer[i] * inner[j]
            if weight < CUT:
                continue
            if n0 + n1 == 0:
                total += 0.5 * weight
                continue
            slot, tail = n1 - low, other_tail
            if 0 <= slot < table.shape[0]:
                tail = table[slot]
                other_base, other_step, count = indices[slot, 0], indices[slot, 1], int(indices[slot, 2])
            else:
                count, other_base, other_step = outcomes(kinds[1], means[1], n1, level, width, unseen, CUT, other)
                tails(other, count, tail)
            if n1 == 0:
                other_step = step  # ties are told in steps of the arm that was pulled
            variance = (variances[0] / n0 if n0 > 0 else 0.0) + (variances[1] / n1 if n1 > 0 else 0.0)
            if variance > 0.0:
                start, spread = base - other_base, math.sqrt(variance)
                error = overtakes_with_error(start, spread, row, length, step, other, count, other_step)
            else:
                start = (base - other_base) / other_step
                error = overtakes(row, length, start, step / other_step, count, tail, CUT / weight)
            total += weight * error
    return total
