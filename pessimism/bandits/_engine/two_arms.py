r"""All logs of two Bernoulli arms, and sums over them: the Bayes rule of a prior, the losses of a rule.

A log of N rounds is :math:`(n_1, s_1, n_2, s_2)` with :math:`n_1 + n_2 = N`. In the world
:math:`(\theta_1, \theta_2, p)`, arm 1 the better, it has the probability
:math:`b(n_1; N, p)\, b(s_1; n_1, \theta_1)\, b(s_2; n_2, \theta_2)` with binomial weights b. The loss of a rule is the
gap times the probability that it takes arm 2. Worlds in which arm 2 is the better are images of these under an exchange
of logs x -> x': the arms change places (`swap`), or, for laws that are known, successes and failures do. A rule that
treats both alike, :math:`e(x') = 1 - e(x)` for its probability e of arm 2, has the same loss in a world and in its
image, and a prior that does has the Bayes risk :math:`\tfrac12 \sum_x \min(A(x), A(x'))`,
:math:`A(x) = \sum_w \lambda_w g_w P_w(x)`.

A table over logs is a list of matrices (s1, s2), one for each :math:`n_1` of `Logs.pulls`. Products of matrices add up
the sums, so a table worlds x logs is never held.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pessimism._types import Floats

Table = list[Floats]
Doubled = list[NDArray[np.int8]]
"""Twice an error table that is 0, 1/2 or 1."""


class Logs(NamedTuple):
    """Which logs there are: rounds N, the numbers of pulls of arm 1, whether exchange swaps arms or flips rewards."""

    n: int
    pulls: tuple[int, ...]
    swap: bool

    @property
    def others(self) -> tuple[int, ...]:
        """Pulls of arm 2."""
        return tuple(self.n - m for m in self.pulls)

    def shapes(self) -> Iterator[tuple[int, int]]:
        """Rows and columns of the matrix of every number of pulls."""
        return ((m + 1, self.n - m + 1) for m in self.pulls)


def images(logs: Logs, table: Table) -> Table:
    """The table at x' in the place of x; views."""
    if logs.swap:  # all pulls 0..N are there: N - n1 stands in the mirrored place
        return [matrix.T for matrix in reversed(table)]
    return [matrix[::-1, ::-1] for matrix in table]


def symmetric(logs: Logs, table: Table) -> Table:
    """The rule that renames the arms (or the rewards) by the toss of a fair coin."""
    return [(own + (1.0 - image)) / 2.0 for own, image in zip(table, images(logs, table), strict=True)]


def binomial(n: int, chance: Floats) -> Floats:
    """(n + 1, K) binomial weights of n rounds."""
    from scipy.special import gammaln, xlog1py, xlogy

    k = np.arange(n + 1)[:, None]
    log = xlogy(k, chance) + xlog1py(n - k, -chance)
    return np.asarray(np.exp(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) + log))


def pascal(pulls: tuple[int, ...], chance: Floats) -> list[Floats]:
    """The same (m + 1, K) for each m of `pulls`: one, or all of 0..n, without logarithms."""
    if len(pulls) == 1:
        return [binomial(pulls[0], chance)]
    n = len(pulls) - 1
    triangle = np.empty(((n + 1) * (n + 2) // 2, chance.size))  # in one piece, row m from m (m + 1) / 2 on
    rows = [triangle[m * (m + 1) // 2 : (m + 1) * (m + 2) // 2] for m in range(n + 1)]
    rows[0][:] = 1.0
    for row, following in pairwise(rows):
        np.multiply(row, 1.0 - chance, out=following[:-1])
        following[-1] = 0.0
        following[1:] += row * chance
    return [rows[m] for m in pulls]


class Weights(NamedTuple):
    """Of K worlds, by entry of `Logs.pulls`: binomial weights (m + 1, K) of both arms, and of the pulls (K,)."""

    first: list[Floats]
    second: list[Floats]
    pulls: list[Floats]
    gaps: Floats


def weights(logs: Logs, worlds: Floats) -> Weights:
    """Of worlds (K, 3): means of the better arm and of the other, probability of the better arm."""
    better, other, p = np.ascontiguousarray(worlds.T)
    law = np.ones((1, len(worlds))) if len(logs.pulls) == 1 else binomial(logs.n, p)
    return Weights(pascal(logs.pulls, better), pascal(logs.others, other), list(law), better - other)


def join(one: Weights, other: Weights) -> Weights:
    """The worlds of both."""

    def side_by_side(first: list[Floats], second: list[Floats]) -> list[Floats]:
        return [np.concatenate(pair, axis=-1) for pair in zip(first, second, strict=True)]

    first, second = side_by_side(one.first, other.first), side_by_side(one.second, other.second)
    return Weights(first, second, side_by_side(one.pulls, other.pulls), np.concatenate([one.gaps, other.gaps]))


def joint(of: Weights, mass: Floats) -> Table:
    """A: the sum over worlds of mass x gap x probability of every log."""
    scaled = mass * of.gaps
    return [(one * (scaled * chance)) @ two.T for one, two, chance in zip(*of[:3], strict=True)]


def bayes(logs: Logs, table: Table) -> tuple[float, Doubled]:
    """Bayes risk of a symmetric prior from its A, and twice the error of a Bayes rule, ties split: 0, 1 or 2."""
    risk, rule = 0.0, []
    for own, image in zip(table, images(logs, table), strict=True):
        risk += float(np.minimum(own, image).sum())
        rule.append((own < image).astype(np.int8) + (own <= image))
    return risk / 2.0, rule


def losses(of: Weights, error: Table) -> Floats:
    """(K,) losses of a rule with a probability `error` of arm 2 at every log."""
    total = np.zeros(of.gaps.size)
    for one, two, chance, matrix in zip(*of[:3], error, strict=True):
        total += chance * (one * (matrix @ two)).sum(axis=0)
    return of.gaps * total


def losses_of_many(of: Weights, rules: list[Doubled]) -> Floats:
    """(R, K) losses of rules given as by `bayes`."""
    total = np.zeros((len(rules), of.gaps.size))
    for i, (one, two, chance) in enumerate(zip(*of[:3], strict=True)):
        stacked = np.concatenate([rule[i] for rule in rules]).astype(np.float64)
        inner = (stacked @ two).reshape(len(rules), len(one), -1)
        total += chance * (one * inner).sum(axis=1)
    return of.gaps * total / 2.0


def mixture(logs: Logs, rules: list[Doubled], shares: Floats) -> Table:
    """The error table of a mixture of rules as by `bayes`."""
    out = [np.zeros(shape) for shape in logs.shapes()]
    for rule, share in zip(rules, shares, strict=True):
        if share > 0:
            for matrix, own in zip(out, rule, strict=True):
                matrix += 0.5 * share * own
    return [np.minimum(matrix, 1.0) for matrix in out]  # shares add up to 1 but for rounding


def chances_on_blocks(logs: Logs, error: Table, first: Floats, second: Floats, p: Floats) -> Floats:
    """(M, I, J, L) probabilities of arm 2 where block b holds the means first[b] x second[b] and the laws p[b]."""
    (blocks, rows), columns, laws = first.shape, second.shape[1], p.shape[1]
    inner = np.empty((blocks, rows, columns, len(logs.pulls)))
    ones, twos = pascal(logs.pulls, first.ravel()), pascal(logs.others, second.ravel())
    for i, (one, two, matrix) in enumerate(zip(ones, twos, error, strict=True)):
        left = (one.T @ matrix).reshape(blocks, rows, -1)
        inner[..., i] = left @ two.reshape(-1, blocks, columns).transpose(1, 0, 2)
    if len(logs.pulls) == 1:
        return np.broadcast_to(inner, (blocks, rows, columns, laws))
    law = binomial(logs.n, p.ravel()).reshape(-1, blocks, laws).transpose(1, 0, 2)
    return np.asarray(inner.reshape(blocks, rows * columns, -1) @ law).reshape(blocks, rows, columns, laws)
