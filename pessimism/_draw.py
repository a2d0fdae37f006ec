"""Drawing counts: what the samplers of every wing share."""

import math

import numpy as np

from pessimism import _check
from pessimism._types import Floats, Ints


def front_axes(size: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """The argument `size` as a tuple of axes."""
    if size is None:
        return ()
    axes = _check.whole_array("size", size)
    if axes.ndim > 1:
        raise ValueError(f"size must be a whole number or a tuple of them, got shape {axes.shape}")
    front = tuple(axes.ravel().tolist())
    if len(front) > _check.MAX_AXES or math.prod(front) > _check.MAX_COUNT:
        raise ValueError(
            f"size must have at most {_check.MAX_AXES} axes and {_check.MAX_COUNT} data sets, got {_check.shown(size)}"
        )
    return front


def cdf(law: Floats) -> Floats:
    """Distribution function of a law, flattened, and exactly 1 from the last cell of positive probability on.

    A uniform number below 1 then never selects a cell of probability 0.
    """
    flat = law.ravel()
    steps: Floats = np.cumsum(flat)
    steps[np.flatnonzero(flat)[-1] :] = 1.0
    return steps


def multinomial(rng: np.random.Generator, n: Ints, law: Floats, size: tuple[int, ...]) -> Ints:
    """Counts (size, K) of n draws from laws (..., K); n and laws broadcast against `size`.

    NumPy draws cell after cell from the rounds that remain and gives the rest to the last cell. With the likeliest cell
    last, the remaining probability never loses precision, and a cell of probability 0 is never drawn, whatever n.
    """
    batch, cells = law.shape[:-1], law.shape[-1]
    likeliest = law.argmax(axis=-1, keepdims=True)
    order = np.broadcast_to(np.arange(cells), law.shape).copy()
    np.put_along_axis(order, likeliest, cells - 1, axis=-1)
    order[..., -1:] = likeliest
    counts = rng.multinomial(n, np.take_along_axis(law, order, axis=-1), size=size)
    # the exchange of two cells is its own inverse
    if batch == ():
        pair = [int(likeliest[0]), cells - 1]
        counts[..., pair] = counts[..., pair[::-1]]
        return counts
    return np.take_along_axis(counts, np.broadcast_to(order, counts.shape), axis=-1)


def without_replacement(rng: np.random.Generator, colors: Ints, n: Ints) -> Ints:
    """How many of each color (..., K) are among n (...) drawn without replacement: multivariate hypergeometric.

    One hypergeometric draw a color, over the whole batch at once.
    """
    drawn = np.zeros_like(colors)
    rest, left = colors.sum(axis=-1), np.broadcast_to(n, colors.shape[:-1]).copy()
    for k in range(colors.shape[-1]):
        rest = rest - colors[..., k]
        drawn[..., k] = hypergeometric(rng, colors[..., k], rest, left)
        left = left - drawn[..., k]
    return drawn


NUMPY_LIMIT = 10**9
"""NumPy draws without replacement from fewer than this."""


def hypergeometric(rng: np.random.Generator, good: Ints, bad: Ints, n: Ints) -> Ints:
    """How many are good of n drawn without replacement, elementwise, from up to 2^53; as NumPy's where it goes."""
    large = np.asarray(good + bad >= NUMPY_LIMIT)
    if not large.any():
        return np.asarray(rng.hypergeometric(good, bad, n))
    good, bad, n = np.broadcast_arrays(good, bad, n)
    drawn = np.empty(good.shape, np.int64)
    drawn[~large] = rng.hypergeometric(good[~large], bad[~large], n[~large])
    drawn[large] = _from_many(rng, good[large], bad[large], n[large])
    return drawn


def _from_many(rng: np.random.Generator, good: Ints, bad: Ints, n: Ints) -> Ints:
    """Hypergeometric numbers by Stadlober's ratio of uniforms (1990), as in NumPy, but for its logarithms.

    The rarer kind is counted among the smaller of the sample and its rest. Differences of logarithms of factorials are
    accurate to some 1e-16 times the deviation from the mode, differences of `gammaln` would not be.
    """
    total = good + bad
    few, many, m = np.minimum(good, bad), np.maximum(good, bad), np.minimum(n, total - n)
    p = few / total
    mean, spread = m * p, np.sqrt(m * p * (1.0 - p) * ((total - m) / (total - 1.0)) + 0.5)
    mode = np.floor((m + 1.0) * ((few + 1.0) / (total + 2.0)))
    highest = np.minimum(np.minimum(m, few) + 1.0, np.floor(mean + 16.0 * spread))
    drawn, left = np.zeros(good.shape, np.int64), np.arange(good.size)
    while left.size:
        u, v = 1.0 - rng.random(left.size), rng.random(left.size)
        x = mean[left] + 0.5 + (1.7155277699214135 * spread[left] + 0.8989161620588988) * (v - 0.5) / u
        inside = (x >= 0.0) & (x < highest[left])
        z, top = np.where(inside, np.floor(x), mode[left]), mode[left]
        falls = [(top, z), (few[left] - top, few[left] - z), (m[left] - top, m[left] - z)]
        rise = many[left] - m[left]
        height = sum(_log_factorials(a, b) for a, b in [*falls, (rise + top, rise + z)])
        accepted = inside & (2.0 * np.log(u) <= height)
        drawn[left[accepted]] = z[accepted]
        left = left[~accepted]
    drawn = np.where(good > bad, m - drawn, drawn)
    return np.where(m < n, good - drawn, drawn)


def _log_factorials(a: Floats, b: Floats) -> Floats:
    """log a! - log b!, of whole numbers, by Stirling's series where they are large."""
    from scipy.special import gammaln

    low, d = np.maximum(b, 1.0), a - b
    ratio = np.log1p(d / np.maximum(low, -d + 1.0))
    stirling = (a + 0.5) * ratio + d * np.log(low) - d + (1.0 / np.maximum(a, 1.0) - 1.0 / low) / 12.0
    return np.asarray(np.where(np.minimum(a, b) < 1e4, gammaln(a + 1.0) - gammaln(b + 1.0), stirling))
