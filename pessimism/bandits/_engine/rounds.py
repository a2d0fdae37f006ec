"""Rounds sorted by pair and propensity: sums of functions of their weights, and cuts of them as prefix sums."""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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


def sums_by_pair(rounds: Rounds, function: Callable[[Floats, Floats], tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """By pair: sums of two functions of (p, r)."""
    return _by_pair(rounds, *function(rounds.propensities, rounds.rewards))


def sum_over(
    rounds: Rounds, policy: Floats, function: Callable[[Floats, Floats], tuple[Floats, Floats]]
) -> tuple[Floats, Floats]:
    """By policy and pair: sums of two functions of (pi / p, r). `policy` is (..., pairs) over the pairs of `rounds`."""
    flat = policy.reshape(-1, policy.shape[-1])
    sizes = np.diff(rounds.starts)
    found = [_by_pair(rounds, *function(np.repeat(own, sizes) / rounds.propensities, rounds.rewards)) for own in flat]
    first, second = (np.reshape([each[i] for each in found], policy.shape) for i in (0, 1))
    return first, second


def _by_pair(rounds: Rounds, first: Floats, second: Floats) -> tuple[Floats, Floats]:
    pairs = np.repeat(np.arange(len(rounds.starts) - 1), np.diff(rounds.starts))
    # bincount of no rounds counts in integers
    one, other = (np.bincount(pairs, x, len(rounds.starts) - 1).astype(np.float64) for x in (first, second))
    return one, other


def cut(rounds: Rounds, policy: Floats, largest: float, keep: float) -> tuple[Floats, Floats]:
    """By policy and pair: sums of w r and w, where weights w = pi / p above `largest` count as `keep`.

    Rounds of one pair are sorted by propensity, so those with large weights come first and every sum is a prefix: the
    cost is that of one pass over the rounds, and of a binary search for each policy and pair.
    """
    p, r, starts = rounds
    flat, pairs = policy.reshape(-1, policy.shape[-1]), len(starts) - 1
    prefix, at = np.zeros((3, len(p) + pairs)), np.zeros(flat.shape, np.int64)
    terms = np.stack([r, r / p, 1.0 / p])
    for k, (first, last) in enumerate(pairwise(starts.tolist())):
        if last > first:  # sums start anew in every pair: one with large 1/p leaves the digits of the others alone
            np.cumsum(terms[:, first:last], axis=1, out=prefix[:, first + k + 1 : last + k + 1])
            at[:, k] = np.searchsorted(p[first:last], flat[:, k] / largest)
    sizes, begin = np.diff(starts), starts[:-1]

    def exceeds(place: Ints) -> NDArray[np.bool_]:
        inside = (place >= 0) & (place < sizes)
        return inside & (flat / p[np.where(inside, begin + place, 0)] > largest)

    if len(p):  # pi / p and pi / largest round differently: move the cut until it agrees with the weights themselves
        while np.any(more := exceeds(at)):
            at = at + more
        while np.any(less := (at > 0) & ~exceeds(at - 1)):
            at = at - less
    head = begin + np.arange(pairs)
    rewards, weighted, inverse = (x[head + at] for x in prefix)
    whole = prefix[:, head + sizes]
    first_sum = flat * (whole[1] - weighted) + keep * rewards
    second_sum = flat * (whole[2] - inverse) + keep * at
    return first_sum.reshape(policy.shape), second_sum.reshape(policy.shape)
