r"""Statistics of Gaussian regressions, drawn in law.

With :math:`X = QR` for n rows of d standard normal entries, R is upper trapezoidal with independent entries: standard
normals above the diagonal and :math:`R_{ii} = \sqrt{\chi^2_{n-i}}`, i = 0, 1, ..., min(n, d) - 1 (Bartlett). With
:math:`y = X\theta + \sigma\epsilon` and :math:`z = Q^\top\epsilon`,

.. math::

    A = R^\top R, \qquad b = A\theta + \sigma R^\top z, \qquad
    c = \theta^\top A\theta + 2\sigma\,\theta^\top R^\top z + \sigma^2\bigl(\|z\|^2 + \chi^2_{n-\min(n,d)}\bigr),

where z has min(n, d) standard normal entries. This takes d(d+3)/2 + 1 random numbers a task, whatever n is.
"""

import math

import numpy as np

from pessimism._batch import on_threads
from pessimism._types import Floats, Ints


def draw_statistics(
    rng: np.random.Generator, counts: Ints, theta: Floats, noise: Floats
) -> tuple[Floats, Floats, Floats]:
    """Gram matrices (..., M, d, d), moments (..., M, d) and squares (..., M) of regressions with coefficients theta.

    theta (..., M, d) and noise (..., M) broadcast against counts (..., M). Draws in this order: normals above the
    diagonals, chi-squares on them, z, the chi-squares of the residuals.
    """
    d = theta.shape[-1]
    places = np.arange(d)
    rows, columns = np.triu_indices(d, 1)
    factor = np.zeros((*counts.shape, d * d))
    factor[..., rows * d + columns] = rng.standard_normal((*counts.shape, len(rows)))
    freedom = np.maximum(counts[..., None] - places, 0)
    factor[..., places * (d + 1)] = np.sqrt(2.0 * rng.standard_gamma(0.5 * freedom))  # 0 for no degrees of freedom
    z = rng.standard_normal((*counts.shape, d))
    rest = 2.0 * rng.standard_gamma(0.5 * np.maximum(counts - d, 0))
    factor = factor.reshape(*counts.shape, d, d)
    if np.any(counts < d):  # there are then no such rows of R
        factor *= (freedom > 0)[..., None]
        z *= freedom > 0
    grams = _squared(factor)
    # R theta + sigma z: the first entries of Q'y
    signal = np.einsum("...ij,...j->...i", factor, theta) + noise[..., None] * z
    moments = np.einsum("...ji,...j->...i", factor, signal)
    return grams, moments, (signal**2).sum(axis=-1) + noise**2 * rest


def _squared(factor: Floats) -> Floats:
    """R'R of every factor R, on all cores."""
    flat = factor.reshape(-1, *factor.shape[-2:])
    grams = np.empty_like(flat)

    def work(part: slice) -> None:
        np.matmul(flat[part].mT, flat[part], out=grams[part])

    on_threads(work, math.prod(factor.shape[:-2]), blas=True)
    return grams.reshape(factor.shape)
