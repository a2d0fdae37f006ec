"""Drawing logged rounds: in law as counts and sums, and one by one as the oracle of that law."""

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check, _draw
from pessimism._types import Floats, Ints
from pessimism.bandits.data import BanditData

if TYPE_CHECKING:
    from pessimism.bandits.model import Bandit

ROUNDS_PER_CELL = 10
"""Up to here rounds are drawn one by one: 10 ns a round against 150 ns a cell for its multinomial and binomial."""
TABLES_FROM, TABLES_TO = 25_000, 20_000
"""Batches of so many cells, drawn in 3 ms at the least otherwise, use tables up to so many rounds: 35 ns a cell."""


def sample(
    bandit: "Bandit", mu: Floats, n: ArrayLike, size: int | tuple[int, ...] | None, rng: np.random.Generator
) -> BanditData:
    rounds = _check.whole_array("n", n)
    front = _draw.front_axes(size)
    batch = _check.broadcast("n, behavior and model", rounds.shape, mu.shape[:-2], bandit.shape)
    cells = bandit.n_contexts * bandit.n_arms
    bernoulli = bool(np.all(bandit.rewards == "bernoulli"))
    if bernoulli and batch == () and bandit.means.ndim == 2:
        n, replicates = int(rounds), math.prod(front)
        if _tables_pay(n, cells, replicates):
            return BanditData.trusted(*_by_tables(mu, bandit.means, n, front, rng))
        if n <= ROUNDS_PER_CELL * cells:
            return BanditData.trusted(*_by_rounds(mu, bandit.means, n, front, rng))
    counts = _counts(np.broadcast_to(mu, batch + mu.shape[-2:]), rounds, front, rng)
    if bernoulli:
        sums = rng.binomial(counts, bandit.means).astype(np.float64)
        return BanditData.trusted(counts, sums, sums)
    return BanditData.trusted(counts, *_mixed_sums(bandit, counts, rng), bandit.reward_range)


def sample_log(
    bandit: "Bandit", mu: Floats, n: int, size: int | tuple[int, ...] | None, rng: np.random.Generator
) -> tuple[Ints, Ints, Floats]:
    rounds = _check.whole("n", n)
    front = _draw.front_axes(size)
    batch = _check.broadcast("behavior and model", mu.shape[:-2], bandit.shape)
    law, means, scale = (np.broadcast_to(x, batch + mu.shape[-2:]) for x in (mu, bandit.means, bandit.scale))
    kinds = bandit.rewards.ravel()
    cells = np.empty(front + batch + (rounds,), np.int64)
    rewards = np.empty(cells.shape)
    for index in np.ndindex(batch):
        here = (..., *index, slice(None))
        cell = np.searchsorted(_draw.cdf(law[index]), rng.random((*front, rounds)), side="right")
        mean, kind = means[index].ravel()[cell], kinds[cell]
        coin = (rng.random(cell.shape) < mean).astype(np.float64)
        normal = mean + scale[index].ravel()[cell] * rng.standard_normal(cell.shape)
        cells[here] = cell
        rewards[here] = np.select([kind == "bernoulli", kind == "gaussian"], [coin, normal], mean)
    return cells // bandit.n_arms, cells % bandit.n_arms, rewards


def _tables_pay(n: int, cells: int, replicates: int) -> bool:
    # rounds one by one win below 4 a cell; tables take 0.4 ns for each of some 100 n sqrt(cells) numbers and then save
    # 30 ns a draw
    enough = replicates * cells >= TABLES_FROM and n <= 2 * math.sqrt(cells) * replicates
    return enough and 4 * cells < n <= TABLES_TO


def _by_tables(
    law: Floats, means: Floats, n: int, front: tuple[int, ...], rng: np.random.Generator
) -> tuple[Ints, Floats, Floats]:
    """Counts, sums and squares: cell by cell, the likeliest last, the binomials of all data sets at once."""
    from pessimism.bandits import _draw_kernels

    cells, likeliest = np.arange(law.size), law.argmax()
    cells[likeliest], cells[-1] = law.size - 1, likeliest  # its own inverse
    ordered = law.ravel()[cells]
    chances = ordered / np.cumsum(ordered[::-1])[::-1]
    counts, hits = _draw_kernels.draw_cells(chances, means.ravel()[cells], n, math.prod(front), rng)
    counts, hits = (np.ascontiguousarray(x[cells].T).reshape(front + law.shape) for x in (counts, hits))
    sums = hits.astype(np.float64)
    return counts, sums, sums


def _by_rounds(
    law: Floats, means: Floats, n: int, front: tuple[int, ...], rng: np.random.Generator
) -> tuple[Ints, Floats, Floats]:
    """Counts, sums and squares from rounds whose outcome is a pair (cell, reward of 0 or 1)."""
    from pessimism.bandits import _draw_kernels

    outcomes = np.stack([law * (1.0 - means), law * means])
    drawn = _draw_kernels.draw_rounds(_draw.cdf(outcomes), n, math.prod(front), rng).reshape(*front, *outcomes.shape)
    missed, hit = drawn[..., 0, :, :], drawn[..., 1, :, :]
    sums = hit.astype(np.float64)
    return missed + hit, sums, sums


def _counts(law: Floats, rounds: NDArray[np.int64], front: tuple[int, ...], rng: np.random.Generator) -> Ints:
    flat = law.reshape(*law.shape[:-2], law.shape[-2] * law.shape[-1])
    return _draw.multinomial(rng, rounds, flat, front + law.shape[:-2]).reshape(front + law.shape)


def _mixed_sums(bandit: "Bandit", counts: Ints, rng: np.random.Generator) -> tuple[Floats, Floats]:
    # every cell spends a binomial, a normal and a chi-square, whatever its kind: one stream for all mixtures of kinds
    bernoulli, gaussian = bandit.rewards == "bernoulli", bandit.rewards == "gaussian"
    hits = rng.binomial(counts, np.where(bernoulli, bandit.means, 0.0)).astype(np.float64)
    normal = counts * bandit.means + bandit.scale * np.sqrt(counts) * rng.standard_normal(counts.shape)
    scatter = rng.chisquare(np.maximum(counts - 1, 1)) * (counts > 1)
    sums = np.select([bernoulli, gaussian], [hits, normal], counts * bandit.means)
    squares = np.select(
        [bernoulli, gaussian],
        [hits, normal**2 / np.maximum(counts, 1) + bandit.scale**2 * scatter],
        counts * bandit.means**2,
    )
    return sums, squares
