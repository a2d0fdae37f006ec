r"""Estimators that average rounds, as tables: one description serves the estimate of a log and its exact risk.

Such an estimator is :math:`T = \sum_{s,a} \rho(s)\pi(a|s) b(s,a) + \frac1n \sum_i w'(x_i)\,(r_i - q(x_i))`, with pairs
:math:`x = (s, a)`, weights :math:`w'` (`weight`), a model :math:`q` that is subtracted (`model`) and one that is added
(`base`). Importance sampling has neither model, the doubly robust estimator has both the same, a switch adds one where
it does not weight.
"""

import math
from typing import NamedTuple

import numpy as np

from pessimism._types import Floats, Ints

CACHED_CELLS = 2**16
"""Cells of a block of data sets whose tables and work arrays stay in the processor's cache."""


class Form(NamedTuple):
    """Weights of the rounds, the model subtracted from their rewards and the model added; None for a model of zeros."""

    weight: Floats
    model: Floats | None = None
    base: Floats | None = None


def ratio(target: Floats, law: Floats) -> Floats:
    """target / law, with 0/0 = 0 and x/0 = inf; as large as float64 allows."""
    target, law = np.broadcast_arrays(target, law)
    with np.errstate(over="ignore"):
        return np.divide(target, law, out=np.where(target > 0, np.inf, 0.0), where=law > 0)


def switched(weight: Floats, threshold: float) -> Floats:
    """The weights up to a threshold, 0 beyond it."""
    return np.where(weight <= threshold, weight, 0.0)


def shrunk(weight: Floats, shrinkage: float) -> Floats:
    """shrinkage w / (w^2 + shrinkage), written so that nothing overflows; 0 for infinite weights."""
    with np.errstate(divide="ignore"):
        return np.where(weight > 0, 1.0 / (weight / shrinkage + 1.0 / weight), 0.0)


def lumped(target: Floats, law: Floats, groups: Ints) -> Floats:
    """(..., S, A) ratio of the probabilities of the group of every arm; `groups` (S, A) counts from 0."""
    member = groups[..., None, :] == np.arange(groups.max(initial=0) + 1)[:, None]  # (S, groups, A)
    by_group = ratio(*(np.einsum("...sa,sga->...sg", x, member) for x in (target, law)))
    return np.asarray(np.where(member, by_group[..., None], 0.0).sum(axis=-2))


def total(weight: Floats, table: Floats | Ints) -> Floats:
    """(...,) sums of weight x table over pairs; weights without a batch take one pass over the tables."""
    if weight.ndim > 2 or table.ndim == 2 or table.dtype != weight.dtype:
        return np.asarray(np.einsum("...sa,...sa->...", weight, table))
    return np.asarray(table.reshape(*table.shape[:-2], weight.size) @ weight.ravel())


def weighted_average(form: Form, counts: Ints, sums: Floats, n: Ints) -> Floats:
    """The average over rounds, without the base, from counts and sums (..., S, A). NaN where n = 0."""
    weighted = total(form.weight, sums)
    if form.model is not None:
        weighted = weighted - total(form.weight * form.model, counts)
    return np.asarray(weighted / np.where(n > 0, n, np.nan))


def policy_means(policy: Floats, counts: Ints, sums: Floats, fill: Floats) -> Floats:
    """(..., S) average of the sample means under the policy, with the fill where it plays what was never seen."""
    if counts.ndim == 2 or policy.ndim > 2 or fill.ndim > 2:
        return _policy_means(policy, counts, sums, fill)
    cells = counts.shape[-2] * counts.shape[-1]
    step, size = max(1, CACHED_CELLS // max(cells, 1)), math.prod(counts.shape[:-2])
    counts_of, sums_of = counts.reshape(size, *counts.shape[-2:]), sums.reshape(size, *sums.shape[-2:])
    out = np.empty((size, counts.shape[-2]))
    for part in (slice(first, first + step) for first in range(0, size, step)):
        out[part] = _policy_means(policy, counts_of[part], sums_of[part], fill)
    return out.reshape(counts.shape[:-1])


def _policy_means(policy: Floats, counts: Ints, sums: Floats, fill: Floats) -> Floats:
    unseen = counts == 0
    if not np.any(unseen):
        return np.asarray(np.einsum("...sa,...sa->...s", policy, sums / counts))
    means = np.einsum("...sa,...sa->...s", policy, sums / np.maximum(counts, 1))
    return np.asarray(means + np.where(unseen & (policy > 0), policy * fill, 0.0).sum(axis=-1))
