"""Whole numbers in given proportions."""

import numpy as np

from pessimism._types import Floats, Ints


def largest_remainders(shares: Floats, total: Ints, least: Ints, most: Ints) -> Ints:
    """Round shares (..., K), whose sum is `total` (...), to whole numbers between `least` and `most` (..., K).

    Every share is rounded down; what is missing then goes to the largest remainders, the lowest index among equals.
    """
    rows = np.minimum(np.floor(shares).astype(np.int64), most)
    missing = total - rows.sum(axis=-1)
    while np.any(missing < 0):  # near 2**53 rounding errors are whole rows: take them from where they weigh least
        rows -= (np.arange(rows.shape[-1]) == (rows - least).argmax(axis=-1)[..., None]) & (missing < 0)[..., None]
        missing = total - rows.sum(axis=-1)
    while np.any(missing > 0):  # a second turn only near 2**53
        remainder = np.where(rows < most, shares - rows, -np.inf)
        rank = np.argsort(np.argsort(-remainder, axis=-1, kind="stable"), axis=-1, kind="stable")
        rows += (rank < missing[..., None]) & (rows < most)
        missing = total - rows.sum(axis=-1)
    return np.asarray(rows)


def apportion(shares: Floats, total: int) -> Ints:
    """`total` rounds divided by shares (K,) that add up to one, by largest remainders."""
    free = np.zeros(shares.shape, np.int64), np.full(shares.shape, total)
    return largest_remainders(total * shares, np.asarray(total), *free)
