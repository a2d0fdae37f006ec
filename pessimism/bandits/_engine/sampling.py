"""Drawing logged rounds: in law as counts and sums, and one by one as the oracle of that law.

Counts and sums of Bernoulli rewards have one law and three samplers, of which the cheapest is used:

==================================  ===================================================================================
where                               how
==================================  ===================================================================================
few rounds a cell                   round by round; 10 ns a round
many data sets, a moderate n        cell by cell, from tables of binomial distribution functions; 35 ns a cell
otherwise                           NumPy's multinomial, then binomials; 150 ns a cell, for any n
==================================  ===================================================================================
"""

import math

import numpy as np
from numpy.typing import NDArray

from pessimism import _draw
from pessimism._types import Floats, Ints
from pessimism.bandits._engine.rewards import BERNOULLI, GAUSSIAN, Rewards

ROUNDS_PER_CELL = 10
"""Largest number of rounds per cell that are drawn one by one."""
COMPILED_FROM = 2_000
"""Rounds from which they are drawn by a compiled loop; NumPy draws fewer in 0.1 ms, without loading Numba."""
TABLES_FROM, TABLES_TO = 25_000, 20_000
"""Batches of so many cells, drawn in 3 ms at the least otherwise, use tables up to so many rounds: 35 ns a cell."""


def draw_data(
    rewards: Rewards, law: Floats, n: Ints, front: tuple[int, ...], rng: np.random.Generator
) -> tuple[Ints, Floats, Floats]:
    """Counts, sums and sums of squares (front, batch, S, A) of logs of n rounds; laws (batch, S, A)."""
    bernoulli = bool(np.all(rewards.kinds == BERNOULLI))
    if bernoulli and law.ndim == 2:
        cells, replicates = law.size, math.prod(front)
        if _tables_pay(int(n), cells, replicates):
            return _by_tables(law, rewards.means, int(n), front, rng)
        if n <= ROUNDS_PER_CELL * cells:
            return _by_rounds(law, rewards.means, int(n), front, rng)
    size = front + law.shape[:-2]
    flat = law.reshape(*law.shape[:-2], law.shape[-2] * law.shape[-1])
    counts = _draw.multinomial(rng, n, flat, size).reshape(size + law.shape[-2:])
    if bernoulli:
        sums = rng.binomial(counts, rewards.means).astype(np.float64)
        return counts, sums, sums
    return counts, *_mixed_sums(rewards, counts, rng)


def draw_log(
    rewards: Rewards, law: Floats, n: int, front: tuple[int, ...], rng: np.random.Generator
) -> tuple[Ints, Floats]:
    """Cells (context * A + arm) and rewards (front, batch, n) of n rounds; means, scales and laws (batch, S, A)."""
    kinds, batch = rewards.kinds.ravel(), law.shape[:-2]
    cells = np.empty((*front, *batch, n), np.int64)
    received = np.empty(cells.shape)
    for index in np.ndindex(batch):
        here = (..., *index, slice(None))
        cell = np.searchsorted(_draw.cdf(law[index]), rng.random((*front, n)), side="right")
        mean, kind = rewards.means[index].ravel()[cell], kinds[cell]
        coin = (rng.random(cell.shape) < mean).astype(np.float64)
        normal = mean + rewards.scales[index].ravel()[cell] * rng.standard_normal(cell.shape)
        cells[here] = cell
        received[here] = np.select([kind == BERNOULLI, kind == GAUSSIAN], [coin, normal], mean)
    return cells, received


def subsample(counts: Ints, ones: Ints, n: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Counts and rewards of 1 among n rounds drawn without replacement from each log of 0/1 rewards."""
    colors = np.stack([ones, counts - ones], axis=-1)
    kept = np.empty_like(colors)
    for index in np.ndindex(counts.shape[:-2]):
        cells = colors[index].ravel()
        if cells.sum() < _draw.NUMPY_LIMIT:
            draw = rng.multivariate_hypergeometric(cells, n, method="marginals")
        else:
            draw = _draw.without_replacement(rng, cells, np.asarray(n))
        kept[index] = draw.reshape(colors.shape[-3:])
    return np.asarray(kept.sum(axis=-1)), kept[..., 0]


def _tables_pay(n: int, cells: int, replicates: int) -> bool:
    # below 4 rounds a cell, drawing them one by one is faster. Filling the tables costs 0.4 ns for each of about
    # 100 n sqrt(cells) numbers, and each of the replicates * cells draws then saves 30 ns.
    enough = replicates * cells >= TABLES_FROM and n <= 2 * math.sqrt(cells) * replicates
    return enough and 4 * cells < n <= TABLES_TO


def _by_tables(
    law: Floats, means: Floats, n: int, front: tuple[int, ...], rng: np.random.Generator
) -> tuple[Ints, Floats, Floats]:
    """Cell by cell, the likeliest last: the counts of all data sets, then their rewards."""
    from pessimism.bandits._engine.drawing import draw_cells

    cells, likeliest = np.arange(law.size), law.argmax()
    cells[likeliest], cells[-1] = law.size - 1, likeliest  # its own inverse
    ordered = law.ravel()[cells]
    chances = ordered / np.cumsum(ordered[::-1])[::-1]  # of a round that no cell before has taken
    counts: Ints = np.empty((law.size, math.prod(front)), np.int64)
    hits: Ints = np.empty_like(counts)
    draw_cells(chances, means.ravel()[cells], n, counts, hits, rng)
    counts, hits = (np.ascontiguousarray(x[cells].T).reshape(front + law.shape) for x in (counts, hits))
    sums = hits.astype(np.float64)
    return counts, sums, sums


def _by_rounds(
    law: Floats, means: Floats, n: int, front: tuple[int, ...], rng: np.random.Generator
) -> tuple[Ints, Floats, Floats]:
    """Round by round: one uniform decides cell and reward, misses of all cells first, then hits."""
    outcomes = np.stack([law * (1.0 - means), law * means])
    cdf, replicates = _draw.cdf(outcomes), math.prod(front)
    if n * replicates < COMPILED_FROM:
        drawn = np.searchsorted(cdf, rng.random((replicates, n)), side="right")
        drawn += np.arange(replicates)[:, None] * cdf.size
        counts = np.bincount(drawn.ravel(), minlength=replicates * cdf.size)
    else:
        from pessimism.bandits._engine.drawing import draw_rounds

        counts, slots = np.zeros((replicates, cdf.size), np.int64), 4
        while slots < 4 * cdf.size:
            slots *= 2
        draw_rounds(cdf, np.searchsorted(cdf, np.arange(slots) / slots, side="right"), n, counts, rng)
    missed, hit = np.moveaxis(counts.reshape(*front, *outcomes.shape), -3, 0)
    sums = hit.astype(np.float64)
    return missed + hit, sums, sums


def _mixed_sums(rewards: Rewards, counts: Ints, rng: np.random.Generator) -> tuple[Floats, Floats]:
    # every cell spends a binomial, a normal and a chi-square, whatever its kind: one stream for all mixtures of kinds
    kinds, means, scales = rewards
    which: list[NDArray[np.bool_]] = [kinds == BERNOULLI, kinds == GAUSSIAN]
    hits = rng.binomial(counts, np.where(which[0], means, 0.0)).astype(np.float64)
    normal = counts * means + scales * np.sqrt(counts) * rng.standard_normal(counts.shape)
    scatter = rng.chisquare(np.maximum(counts - 1, 1)) * (counts > 1)
    scattered = normal**2 / np.maximum(counts, 1) + scales**2 * scatter
    sums = np.select(which, [hits, normal], counts * means)
    return sums, np.select(which, [hits, scattered], counts * means**2)
