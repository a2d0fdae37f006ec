"""Rounds sorted by pair and propensity: sums of functions of their weights, and cuts of them as prefix sums."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pessimism._types import Floats, Ints


class Rounds(NamedTuple):
    """Propensities and rewards of all rounds: those of pair k from starts[k] on, by rising propensity."""

    propensities: Floats
    rewards: Floats
    starts: Ints

    def of(self, pair: int) -> tuple[Floats, Floats]:
        own = slice(self.starts[pair], self.starts[pair + 1])
        return self.propensities[own], self.rewards[own]


def sort_rounds(pairs: Ints, propensities: Floats, rewards: Floats, n_pairs: int) -> Rounds:
    """Stable: rounds of one pair and one propensity keep their order."""
    order = np.argsort(propensities, kind="stable")
    small = pairs.astype(np.min_scalar_type(n_pairs))  # NumPy sorts short integers by their digits
    order = order[np.argsort(small[order], kind="stable")]
    starts = np.concatenate([[0], np.cumsum(np.bincount(pairs, minlength=n_pairs))])
    return Rounds(propensities[order], rewards[order], starts)


def join(parts: list[Rounds]) -> Rounds:
    """The rounds of several logs as those of one."""
    pairs = np.concatenate([np.repeat(np.arange(len(part.starts) - 1), np.diff(part.starts)) for part in parts])
    propensities = np.concatenate([part.propensities for part in parts])
    rewards = np.concatenate([part.rewards for part in parts])
    return sort_rounds(pairs, propensities, rewards, len(parts[0].starts) - 1)


def moments(rounds: Rounds) -> tuple[Floats, ...]:
    """By pair: sums of r, r^2, 1/p, r/p, 1/p^2, r/p^2 and r^2/p^2, and the smallest p (1 where there is none)."""
    p, r, starts = rounds
    pairs = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    inverse = 1.0 / p
    terms: tuple[Floats, ...] = (r, r**2, inverse, r * inverse, inverse**2, r * inverse**2, (r * inverse) ** 2)
    sums: list[Floats] = [np.bincount(pairs, term, minlength=len(starts) - 1).astype(np.float64) for term in terms]
    smallest = np.ones(len(starts) - 1)
    seen = np.diff(starts) > 0
    smallest[seen] = p[starts[:-1][seen]]
    return (*sums, smallest)


def _pairs(rounds: Rounds, policy: Floats) -> Iterator[tuple[int, tuple[Floats, Floats], Floats]]:
    """Every pair with rounds: its number, its rounds, and the probabilities (...) that the policies play it."""
    flat = policy.reshape(-1, policy.shape[-1])
    for pair, (first, last) in enumerate(pairwise(rounds.starts.tolist())):
        if last > first:
            yield pair, rounds.of(pair), flat[:, pair]


def sums_by_pair(rounds: Rounds, function: Callable[[Floats, Floats], tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """By pair: sums of two functions of (p, r)."""
    pairs = np.repeat(np.arange(len(rounds.starts) - 1), np.diff(rounds.starts))
    by_pair = (np.bincount(pairs, x, len(rounds.starts) - 1) for x in function(rounds.propensities, rounds.rewards))
    first, second = (x.astype(np.float64) for x in by_pair)  # bincount of no rounds counts in integers
    return first, second


def sum_over(
    rounds: Rounds, policy: Floats, function: Callable[[Floats, Floats], tuple[Floats, Floats]]
) -> tuple[Floats, Floats]:
    """By policy and pair: sums of two functions of (pi / p, r). `policy` is (..., pairs) over the pairs of `rounds`."""
    totals = np.zeros((2, policy.size // policy.shape[-1], policy.shape[-1]))
    for pair, (p, r), chance in _pairs(rounds, policy):
        for i, share in enumerate(chance):
            first, second = function(share / p, r)
            totals[:, i, pair] = first.sum(), second.sum()
    first, second = totals.reshape(2, *policy.shape)
    return first, second


def cut(rounds: Rounds, policy: Floats, largest: float, keep: float) -> tuple[Floats, Floats]:
    """By policy and pair: sums of w r and w, where weights w = pi / p above `largest` count as `keep`.

    Rounds of one pair are sorted by propensity, so those with large weights come first and every sum is a prefix.
    """
    totals = np.zeros((2, policy.size // policy.shape[-1], policy.shape[-1]))
    for pair, (p, r), chance in _pairs(rounds, policy):
        before = [np.concatenate([[0.0], np.cumsum(x)]) for x in (r, r / p, 1.0 / p)]
        at = np.searchsorted(p, chance / largest)
        # pi / p and pi / largest round differently: move the cut until it agrees with the weights themselves
        edge = np.append(p, np.inf)
        while np.any(wrong := chance / edge[at] > largest):
            at = at + wrong
        while np.any(wrong := (at > 0) & (chance / edge[at - 1] <= largest)):
            at = at - wrong
        rewards, weighted, inverse = (x[at] for x in before)
        totals[0, :, pair] = chance * (before[1][-1] - weighted) + keep * rewards
        totals[1, :, pair] = chance * (before[2][-1] - inverse) + keep * at
    first, second = totals.reshape(2, *policy.shape)
    return first, second
