r"""All logs of three Bernoulli arms, and the minimax risk over finitely many worlds that a search keeps adding to.

A log of N rounds holds pulls and successes of every arm, :math:`\binom{N+5}{5}` in all. In the world
:math:`(\theta_1, \theta_2, \theta_3, p_1, p_2, p_3)`, arm 1 the best, it has the probability
:math:`c(x) \prod_a u_a` with :math:`u_a = (p_a\theta_a)^{s_a} (p_a(1-\theta_a))^{n_a - s_a}`. Every world stands for
its six renamings, each with a sixth of its weight, and rules treat the arms alike. The worlds have five dimensions:
that no other one costs more was searched for and is not proved.
"""

from functools import lru_cache
from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from pessimism._boxes import ROUNDING
from pessimism._game import Bundle, tighten
from pessimism._types import Floats, Ints

ARMS = 3
BLOCK = 2**21
"""Probabilities worked on at once."""

TIE = 1e-12
"""Relative: sums over the six renamings are added up in different orders."""

MOST_ROUNDS, CANDIDATES = 80, 10

Sixths = NDArray[np.int8]
"""A rule: six times the probability of every arm (logs, 3); ties are split evenly."""


class Logs(NamedTuple):
    """M logs: the cell n (n + 1) / 2 + s of every arm (3, M), c(x), and where the renamed logs stand (6, M)."""

    n: int
    cells: Ints
    ways: Floats
    images: Ints


class Solved(NamedTuple):
    """A lower bound, the largest loss that was found, worlds (K, 6) with prior, the rule (M, 3), and how it ended."""

    lower: float
    found: float
    worlds: Floats
    prior: Floats
    rule: Floats
    calls: int
    complete: bool


RENAMINGS = tuple(permutations(range(ARMS)))


@lru_cache(maxsize=4)
def every_log(n: int) -> Logs:
    """All logs of n rounds, by rising pulls of the first arm and then of the second."""
    pulls = [(a, b, n - a - b) for a in range(n + 1) for b in range(n + 1 - a)]
    parts = [np.indices([k + 1 for k in each]).reshape(ARMS, -1) for each in pulls]
    successes = np.concatenate(parts, axis=1)
    counts = np.repeat(np.array(pulls).T, [part.shape[1] for part in parts], axis=1)
    cells = counts * (counts + 1) // 2 + successes
    log_ways = gammaln(n + 1) - (gammaln(successes + 1) + gammaln(counts - successes + 1)).sum(axis=0)
    return Logs(n, cells, np.exp(log_ways), np.stack([place(n, cells, cells[list(each)]) for each in RENAMINGS]))


def place(n: int, cells: Ints, wanted: Ints) -> Ints:
    """Positions of logs, given by their cells (3, ...), among all."""
    size = np.array([((n + 1) * (n + 2) // 2) ** 2, (n + 1) * (n + 2) // 2, 1])
    codes = np.tensordot(size, cells, 1)
    order = np.argsort(codes)
    return order[np.searchsorted(codes[order], np.tensordot(size, wanted, 1))]


def chances(logs: Logs, worlds: Floats) -> Floats:
    """(K, M) probabilities of the logs."""
    n = np.arange(logs.n + 1)
    pulls, successes = (np.concatenate(x) for x in ([np.full(k + 1, k) for k in n], [np.arange(k + 1) for k in n]))
    out = np.broadcast_to(logs.ways, (len(worlds), len(logs.ways))).copy()
    for arm in range(ARMS):
        mean, p = worlds[:, arm, None], worlds[:, ARMS + arm, None]
        out *= ((p * mean) ** successes * (p * (1.0 - mean)) ** (pulls - successes))[:, logs.cells[arm]]
    return out


def gaps(worlds: Floats) -> Floats:
    """(K, 3) what every arm loses against the first."""
    return worlds[:, :1] - worlds[:, :ARMS]


def losses(logs: Logs, worlds: Floats, rules: Floats) -> Floats:
    """(R, K) losses of rules (R, M, 3)."""
    table = rules.transpose(1, 0, 2).reshape(len(logs.ways), -1)
    out, step = np.empty((len(rules), len(worlds))), max(1, BLOCK // len(logs.ways))
    for first in range(0, len(worlds), step):
        part = worlds[first : first + step]
        taken = (chances(logs, part) @ table).reshape(len(part), len(rules), ARMS)
        out[:, first : first + step] = np.einsum("krb,kb->rk", taken, gaps(part))
    return out


def bayes(logs: Logs, worlds: Floats, prior: Floats) -> tuple[float, Sixths]:
    """Bayes risk of a prior over the worlds and their renamings, and a Bayes rule."""
    table, step = np.zeros((ARMS, len(logs.ways))), max(1, BLOCK // len(logs.ways))
    for first in range(0, len(worlds), step):
        part = slice(first, first + step)
        table += (prior[part, None] * gaps(worlds[part])).T @ chances(logs, worlds[part])
    cost = np.zeros((len(logs.ways), ARMS))
    for renaming in RENAMINGS:  # arm a of the renamed world is arm renaming[a] of the world
        back = RENAMINGS.index(tuple(int(b) for b in np.argsort(renaming)))
        for arm in range(ARMS):
            cost[:, arm] += table[renaming[arm]][logs.images[back]] / len(RENAMINGS)
    least = cost.min(axis=1)
    best = cost <= least[:, None] * (1.0 + TIE)
    return float(least.sum()), (best * (6 // best.sum(axis=1, keepdims=True))).astype(np.int8)


def solve(n: int, cstar: float, tolerance: float, most_calls: int) -> Solved:
    """Lower bound and searched worst case of the minimax rule, which agree within a relative tolerance."""
    logs, share = every_log(n), min(1e-4, tolerance / 20.0)
    background = _worlds(_grid(3), cstar)
    worlds, bundle = background, Bundle(np.full(len(background), 1.0 / len(background)))
    inner, complete = 0.03, False
    for _ in range(MOST_ROUNDS):

        def oracle(prior: Floats, worlds: Floats = worlds) -> tuple[float, Floats, Sixths]:
            every = np.concatenate([worlds, background])
            mass = np.concatenate([(1.0 - share) * prior, np.full(len(background), share / len(background))])
            kept = mass > 0
            risk, rule = bayes(logs, every[kept], mass[kept])
            return risk, losses(logs, worlds, rule[None] / 6.0)[0], rule

        done = tighten(bundle, oracle, inner, most_calls)
        rule = np.tensordot(bundle.weights, np.array(bundle.rules), 1) / 6.0
        points, values = local_maxima(logs, cstar, rule)
        excess = values.max() / bundle.lower - 1.0
        complete = done and excess <= 0.9 * tolerance
        if complete or not done:
            break
        new = values > bundle.upper * (1.0 + tolerance / 20.0)
        if np.any(new):
            added = _worlds(points[new], cstar)
            bundle.extend(losses(logs, added, np.array(bundle.rules) / 6.0))
            worlds = np.concatenate([worlds, added])
        inner = max(min(inner, excess / 3.0), tolerance / 4.0) if np.any(new) else max(inner / 3.0, tolerance / 6.0)
    kept = bundle.prior > 0
    prior = bundle.prior[kept] / bundle.prior[kept].sum()
    lower, _ = bayes(logs, worlds[kept], prior)
    found = max(float(values.max()), bundle.upper)
    return Solved(lower * (1.0 - ROUNDING), found, worlds[kept], prior, rule, bundle.calls, complete)


def local_maxima(logs: Logs, cstar: float, rule: Floats) -> tuple[Floats, Floats]:
    """Points of the cube at which the loss of a rule is largest, by a pattern search from the best of a grid."""
    grid = _grid(5)
    loss = losses(logs, _worlds(grid, cstar), rule[None])[0]
    starts = np.argsort(-loss, kind="stable")[: 4 * CANDIDATES]
    points, best = grid[starts[::4]], loss[starts[::4]]
    step = np.full(len(points), 0.125)
    moves = np.concatenate([np.eye(5), -np.eye(5), _diagonals()])
    for _ in range(60):
        moving = np.flatnonzero(step > 1e-3 / np.sqrt(logs.n))
        if not len(moving):
            break
        tried = np.clip(points[moving, None] + step[moving, None, None] * moves, 0.0, 1.0)
        value = losses(logs, _worlds(tried.reshape(-1, 5), cstar), rule[None])[0].reshape(len(moving), -1)
        place = value.argmax(axis=1)
        top = value[np.arange(len(moving)), place]
        better = top > best[moving] * (1.0 + 1e-12)
        points[moving[better]] = tried[better, place[better]]
        best[moving[better]] = top[better]
        step[moving[~better]] /= 2.0
    return points, best


def _diagonals() -> Floats:
    """Moves of the means in pairs: ridges of the loss run along them."""
    signs = [(i, j, s) for i in range(ARMS) for j in range(i) for s in (1.0, -1.0)]
    out = np.zeros((len(signs), 5))
    for row, (i, j, s) in zip(out, signs, strict=True):
        row[i], row[j] = 1.0, s
    return np.concatenate([out, -out])


def _grid(side: int) -> Floats:
    axes = np.meshgrid(*[np.linspace(0.0, 1.0, side)] * 5, indexing="ij")
    grid = np.stack(axes, axis=-1).reshape(-1, 5)
    return grid[(grid[:, 0] >= grid[:, 1]) & (grid[:, 0] >= grid[:, 2])]


def _worlds(points: Floats, cstar: float) -> Floats:
    """(K, 6) means and law of points of the cube: three means, law of the best arm, share of the second of the rest."""
    means = np.sin(np.pi / 2.0 * points[:, :ARMS]) ** 2
    best = 1.0 / cstar + (1.0 - 1.0 / cstar) * points[:, 3]
    rest = (1.0 - best) * points[:, 4]
    return np.column_stack([means, best, rest, np.maximum(1.0 - best - rest, 0.0)])
