"""The minimax risk of two arms over a continuum of worlds: the game on finitely many worlds, which are then exchanged.

The game is solved on some worlds; where the mixture of rules loses most over the continuum, worlds are added; and so on
until no world costs more than the prior proves. A world that once was a maximum is never dropped: it would come back.
"""

from typing import NamedTuple

import numpy as np

from pessimism._boxes import ROUNDING, TINY, Bound, Slab
from pessimism._game import Bundle, tighten
from pessimism._types import Floats
from pessimism.bandits._engine import two_arms
from pessimism.bandits._engine.two_arms import Doubled, Logs, Table, Weights
from pessimism.bandits._engine.worst_worlds import certify, local_maxima, scales

MOST_ROUNDS = 120
"""Exchanges of worlds; 6 to 50 are usual."""


class Solved(NamedTuple):
    """Bounds of the risk, the worlds with mass (K, 3) and their prior, the mixture's errors, and how it ended."""

    lower: float
    upper: float
    worlds: Floats
    prior: Floats
    error: Table
    calls: int
    complete: bool


def solve(logs: Logs, slabs: list[Slab], tolerance: float, most_calls: int) -> Solved:
    """Bracket the minimax risk over all worlds whose law lies in a slab, within a relative tolerance."""
    game = _Game(logs, slabs, min(1e-4, tolerance / 20.0))
    inner = 0.03
    game.bundle.least = TINY
    for _ in range(MOST_ROUNDS):
        done = tighten(game.bundle, game.oracle, inner, most_calls)
        if not done:
            break
        error, lower = game.mixture(), max(game.bundle.lower, TINY)
        worlds, values = local_maxima(logs, error, slabs)
        excess = max(values.max() / lower - 1.0, -tolerance / 10.0)
        if excess <= tolerance / 2.0:
            bound = certify(logs, error, slabs, values.max(), 0.9 * tolerance - excess)
            if bound.bound <= lower * (1.0 + tolerance):
                return game.result(error, bound)
            if bound.loss > values.max():
                worlds, values = bound.world[None], np.array([bound.loss])
        new = values > game.bundle.upper * (1.0 + tolerance / 20.0)
        if np.any(new):
            game.add(worlds[new])
        inner = max(min(inner, excess / 3.0), tolerance / 4.0) if np.any(new) else max(inner / 3.0, tolerance / 6.0)
    error = game.mixture()
    bound = certify(logs, error, slabs, local_maxima(logs, error, slabs)[1].max(), tolerance)
    return game.result(error, bound._replace(complete=False))


class _Game:
    """The worlds so far with their binomial weights, and the bundle of rules.

    A Bayes rule is arbitrary where its prior has no mass, and would lose much there: every prior is mixed with a
    background of worlds all over the class, which has the small share `share`. The mixture is a prior like any other.
    """

    def __init__(self, logs: Logs, slabs: list[Slab], share: float) -> None:
        self.logs, self.slabs, self.share = logs, slabs, share
        self.worlds = _first_worlds(logs, slabs)
        self.weights = self._weights(self.worlds)
        self.bundle = Bundle(np.full(len(self.worlds), 1.0 / len(self.worlds)))
        self.background = _with_laws(_pairs(_means(9)), _laws(slabs, 5))
        mass = np.full(len(self.background), share / len(self.background))
        self.base = two_arms.joint(self._weights(self.background), mass)

    def _weights(self, worlds: Floats) -> Weights:
        of = two_arms.weights(self.logs, worlds)
        return of._replace(gaps=of.gaps / scales(worlds, self.slabs))

    def add(self, worlds: Floats) -> None:
        own = self._weights(worlds)
        self.bundle.extend(two_arms.losses_of_many(own, self.bundle.rules))
        self.worlds, self.weights = np.concatenate([self.worlds, worlds]), two_arms.join(self.weights, own)

    def oracle(self, prior: Floats) -> tuple[float, Floats, Doubled]:
        own = two_arms.joint(self.weights, (1.0 - self.share) * prior)
        risk, rule = two_arms.bayes(self.logs, [a + b for a, b in zip(own, self.base, strict=True)])
        return risk, two_arms.losses(self.weights, [matrix / 2.0 for matrix in rule]), rule

    def mixture(self) -> Table:
        return two_arms.mixture(self.logs, self.bundle.rules, self.bundle.weights)

    def result(self, error: Table, bound: Bound) -> Solved:
        """The bounds, computed again from the prior and from the mixture."""
        rest = np.full(len(self.background), self.share / len(self.background))
        prior = np.concatenate([(1.0 - self.share) * self.bundle.prior, rest])
        kept = prior > 0
        worlds = np.concatenate([self.worlds, self.background])[kept]
        risk, _ = two_arms.bayes(self.logs, two_arms.joint(self._weights(worlds), prior[kept] / prior.sum()))
        lower = risk * (1.0 - ROUNDING)
        return Solved(lower, bound.bound, worlds, prior[kept] / prior.sum(), error, self.bundle.calls, bound.complete)


def _pairs(means: Floats) -> Floats:
    """(K, 2) all pairs with the first larger."""
    i, j = np.nonzero(np.greater.outer(means, means))
    return np.column_stack([means[i], means[j]])


def _with_laws(pairs: Floats, laws: Floats) -> Floats:
    """Every pair of means with every law."""
    return np.column_stack([np.repeat(pairs, len(laws), axis=0), np.tile(laws, len(pairs))])


def _laws(slabs: list[Slab], count: int) -> Floats:
    return np.unique(np.concatenate([np.linspace(slab.low, slab.high, count) for slab in slabs]))


def _means(count: int) -> Floats:
    return np.asarray(np.sin(np.pi / 2.0 * np.linspace(0.0, 1.0, count)) ** 2)


def _first_worlds(logs: Logs, slabs: list[Slab]) -> Floats:
    """A coarse grid, and pairs about 1/2 whose gaps a log of this length can just tell."""
    half = np.array([0.35, 0.5, 0.7, 1.0, 1.4]) / np.sqrt(logs.n) / 2.0
    close = np.column_stack([0.5 + half, 0.5 - half])[half <= 0.5]
    return _with_laws(np.concatenate([_pairs(_means(7)), close]), _laws(slabs, 3))
