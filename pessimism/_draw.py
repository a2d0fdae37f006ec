"""Drawing counts: what the samplers of every wing share."""

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
    return tuple(axes.ravel().tolist())


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

    One hypergeometric draw a color, over the whole batch at once; fewer than 10^9 of each color and of its rest.
    """
    drawn = np.zeros_like(colors)
    rest, left = colors.sum(axis=-1), np.broadcast_to(n, colors.shape[:-1]).copy()
    for k in range(colors.shape[-1]):
        rest = rest - colors[..., k]
        drawn[..., k] = rng.hypergeometric(colors[..., k], rest, left)
        left = left - drawn[..., k]
    return drawn
