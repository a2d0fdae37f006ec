r"""Exact bias and variance of estimators from n i.i.d. rounds: closed forms and one-dimensional integrals.

Pairs x are flat: laws, means r, variances v and weights w are (..., K). The bias and the second moment are always taken
about the value J that is estimated, so that neither is a difference of large numbers.
"""

import numpy as np
from numpy.typing import NDArray

from pessimism._types import Floats, Ints

RECURSION = 4096
"""Largest n at which E[1{N > 0} / N] is summed up from n = 1 on; beyond, it is integrated."""

NODES = 20
"""Of Gauss and Legendre, on every piece."""

STEP = 0.1
"""Of the trapezoidal rule in log t: its error is below exp(-4.9 / STEP)."""


def mean_inverse(n: int, p: Floats) -> Floats:
    """E[1{N > 0} / N] for N ~ Bin(n, p)."""
    q = 1.0 - p
    if n <= RECURSION:
        mean, power = np.zeros_like(p), np.ones_like(p)
        for k in range(1, n + 1):
            power = power * q
            mean = q * mean + (1.0 - power) / k if k > 1 else p.copy()
        return mean
    return np.array([_integrated(n, float(chance)) for chance in p.ravel()]).reshape(p.shape)


def _integrated(n: int, p: float) -> float:
    """The same as the integral over u of ((1 - p + pu)^n - (1 - p)^n) / u; v = 1 - u."""
    if p == 0.0:
        return 0.0
    y, q = n * p, 1.0 - p
    scales = 2.0 ** np.arange(-6.0, 7.0)
    ends = np.concatenate([[0.0, 1.0], scales / y, 1.0 - scales * q / y])
    ends = np.unique(ends[(ends >= 0.0) & (ends <= min(1.0, 64.0 / y))])
    x, weight = np.polynomial.legendre.leggauss(NODES)
    half = 0.5 * np.diff(ends)[:, None]
    v = ends[:-1, None] + half * (1.0 + x)
    with np.errstate(divide="ignore"):
        survives = n * np.log1p(-p * v)
        fewer = n * (np.log1p(p * (1.0 - v) / q) if q > 0 else np.full_like(v, np.inf))
    return float((half * weight * np.exp(survives) * -np.expm1(-fewer) / (1.0 - v)).sum())


def no_round(n: Floats | int, p: Floats) -> Floats:
    """(1 - p)^n."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.exp(n * np.log1p(-np.minimum(p, 1.0))) if np.all(np.asarray(n) > 0) else np.ones_like(p))


def direct_known(n: int, mu: Floats, d: Floats, v: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Bias and variance of sum d r-hat with fills; b = fill - r. The contexts' law is known."""
    unseen = no_round(n, mu)
    gap = d * b
    variance = (d**2 * v * mean_inverse(n, mu)).sum(axis=-1)
    both = _neither(n, mu) - unseen[..., :, None] * unseen[..., None, :]
    return (gap * unseen).sum(axis=-1), variance + np.einsum("...x,...xy,...y->...", gap, both, gap)


def _neither(n: int, mu: Floats) -> Floats:
    """(..., K, K) probabilities that neither of two pairs has a round."""
    pair = mu[..., :, None] + mu[..., None, :] * ~np.eye(mu.shape[-1], dtype=bool)
    return no_round(n, pair)


def direct_logged(n: int, mu: Floats, pi: Floats, r: Floats, v: Floats, b: Floats) -> tuple[Floats, Floats]:
    """The same with contexts as logged: sum over s of N(s)/n sum_a pi (r-hat or fill). Arrays are (..., S, A)."""
    shares = mu.sum(axis=-1)
    by_context = np.einsum("...sa,...sa->...s", *np.broadcast_arrays(pi, r))
    spread = by_context - np.einsum("...s,...s->...", shares, by_context)[..., None]
    gap, s_of = pi * b, np.repeat(np.arange(mu.shape[-2]), mu.shape[-1])

    def flat(x: Floats) -> Floats:
        return np.broadcast_to(x, np.broadcast_shapes(x.shape, mu.shape)).reshape(*x.shape[:-2], -1)

    mass, g, met = flat(mu), flat(gap), shares[..., s_of]
    left = 1.0 - mass
    rest = np.divide(met - mass, left, out=np.zeros_like(left), where=left > 0)  # the context without the pair
    unseen = no_round(n, mass)
    bias = (g * rest * unseen).sum(axis=-1)
    # rewards given the counts: E[N(s)^2 1{N > 0} / N], N(s) = N + others, others ~ Bin(n - N, rest) given N
    once, twice = n * rest + n * (n - 1.0) * rest**2, rest + (2.0 * n - 1.0) * rest**2
    squared = once * mean_inverse(n, mass) + (2.0 * n * rest - twice) * (1.0 - unseen)
    squared = squared + (1.0 - 2.0 * rest + rest**2) * n * mass
    within = (flat(pi) ** 2 * flat(v) * squared).sum(axis=-1) / n**2
    # counts: the contexts' share in the value, the fills, and how they move together
    contexts = np.einsum("...s,...s->...", shares, spread**2) / n
    own = spread[..., s_of]
    drift = np.divide(-mass * own, left, out=np.zeros_like(left), where=left > 0)
    together = (g * unseen * rest * ((n - 1.0) * drift + own)).sum(axis=-1) / n
    second = _both_unseen(n, mass, g, met, s_of)
    return bias, within + contexts + 2.0 * together + second - bias**2


def _both_unseen(n: int, mass: Floats, g: Floats, met: Floats, s_of: Ints) -> Floats:
    """E[(sum_x N(s) g 1{N = 0} / n)^2]."""
    other = mass[..., None, :] * ~np.eye(mass.shape[-1], dtype=bool)
    same = s_of[:, None] == s_of
    left = 1.0 - mass[..., :, None] - other
    with np.errstate(divide="ignore", invalid="ignore"):
        first = np.where(left > 0, (met - mass)[..., :, None] - same * other, 0.0) / np.where(left > 0, left, 1.0)
        last = np.where(left > 0, met[..., None, :] - _lost(mass, same), 0.0) / np.where(left > 0, left, 1.0)
    moment = (1.0 - 1.0 / n) * first * last + same * first / n
    return np.asarray(np.einsum("...x,...xy,...y->...", g, no_round(n, mass[..., :, None] + other) * moment, g))


def _lost(mass: Floats, same: NDArray[np.bool_]) -> Floats:
    """(..., K, K) mass that the context of y loses where x and y have no rounds."""
    off = ~np.eye(mass.shape[-1], dtype=bool)
    return np.asarray(mass[..., None, :] + same * off * mass[..., :, None])


def average(n: Ints, mu: Floats, mean: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """Bias and variance of an average of rounds, from E[g | x] - J and Var[g | x] of its terms."""
    bias = (mu * mean).sum(axis=-1)
    return bias, ((mu * (spread + mean**2)).sum(axis=-1) - bias**2) / n


def ratio(n: int, mu: Floats, w: Floats, v: Floats, c: Floats) -> tuple[Floats, Floats, Floats]:
    r"""First and second moment of the self-normalised estimator about J, where it is defined, and P(undefined).

    E[A / B] is the integral of E[A exp(-tB)] over t. c = r - J.
    """
    weighted = (mu > 0) & (w > 0)
    undefined = np.asarray((mu * (w == 0)).sum(axis=-1)) ** n
    largest, smallest = float(w[weighted].max()), float(w[weighted].min())
    t = np.exp(np.arange(np.log(1e-12 / (n * largest)), np.log(800.0 / smallest), STEP))[:, None]
    decay, less = np.exp(-t * w), np.expm1(-t * w)
    early = t[:, 0] * largest < 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        log_phi = np.where(early, np.log1p((mu * less).sum(axis=-1)), np.log((mu * decay).sum(axis=-1)))
        first = np.where(early, (mu * w * c * less).sum(axis=-1), (mu * w * c * decay).sum(axis=-1))
        second = (mu * w**2 * (v + c**2) * decay).sum(axis=-1)
        # of the other rounds; log_phi may be -inf, and one round has no second one
        power = np.exp((n - 1) * log_phi) if n > 1 else np.ones_like(log_phi)
        lower = np.exp((n - 2) * log_phi) if n > 2 else np.full_like(log_phi, n - 1.0)
        squared = n * second * power + np.where(first != 0, n * (n - 1.0) * first**2 * lower, 0.0)
    step = STEP * t[:, 0]
    return np.asarray((step * n * first * power).sum()), np.asarray((step * t[:, 0] * squared).sum()), undefined


def cross_fit(n: tuple[int, int], mu: Floats, d: Floats, v: Floats, b: Floats) -> Floats:
    """Variance of two-fold cross-fitting with known contexts; b = fill - r."""
    with np.errstate(divide="ignore", invalid="ignore"):
        w = np.where(d > 0, d / mu, 0.0)
    total = float(sum(n))
    off = ~np.eye(mu.shape[-1], dtype=bool)
    variance = np.zeros(mu.shape[:-1])
    errors = []
    for own, other in (n, n[::-1]):
        square = v * mean_inverse(other, mu) + b**2 * no_round(other, mu)
        mixed = b[..., :, None] * b[..., None, :] * _neither(other, mu)
        mixed = np.where(off, mixed, square[..., :, None])
        spread = (w * d * v).sum(axis=-1) + (mu * w**2 * square).sum(axis=-1)
        variance = variance + (own / total) ** 2 * (spread - np.einsum("...x,...xy,...y->...", d, mixed, d)) / own
        unseen = no_round(own, mu)
        left = np.where(mu < 1, 1.0 - mu, 1.0)
        cross = (b * unseen / left)[..., None, :] * mu[..., :, None] * mu[..., None, :]
        errors.append(np.where(off, cross, (-mu * unseen * b)[..., :, None]))
    first, second = errors
    together = np.einsum("...x,...y,...xy,...yx->...", w, w, first, second)
    return np.asarray(variance + 2.0 * n[0] * n[1] / total**2 * together)
