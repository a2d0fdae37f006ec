r"""The family of index rules: from the most played arm through pessimism and greed to optimism.

With :math:`N(s,a)` pulls (`counts`) and sample mean :math:`\hat r(s,a)` (`means`), the rule of level L (`level`) plays

.. math:: \arg\max_a \hat r(s,a) - w\sqrt{L / N(s,a)},

where w is the width of the reward range (`reward_width`). L = 0 is greedy, and as L grows the choice tends to the most
played arm: pessimism is the road between optimising and imitating. L < 0 is optimism.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats, Ints, Rng
from pessimism.bandits._input import reward_width
from pessimism.bandits.data import BanditData
from pessimism.bandits.rules._ties import Policy, best_arm

__all__ = ["index_rule"]

COMPILED_FROM = 10_000
"""Cells from which the rule is one compiled loop, equal to the NumPy lines bit for bit, so that threads hardly wait for
the GIL. Smaller data never load Numba."""


def index_rule(
    data: BanditData,
    level: ArrayLike,
    unseen: float = -math.inf,
    *,
    sigma: float | None = None,
    rng: Rng = None,
) -> Policy:
    r"""Arm with the highest index :math:`\hat r - w \sqrt{L/N}` in every context.

    Parameters
    ----------
    data : BanditData
        Logged rounds.
    level : (...) array_like of float
        L, one number or one per data set. 0 is greedy, positive pessimistic, negative optimistic (the width
        :math:`w\sqrt{|L|/N}` is added); inf is the most and -inf the least played among the pulled arms, whatever the
        rewards and `unseen`.
    unseen : float
        Index of an arm that was never pulled, in reward units.
    sigma : float, optional
        Sub-Gaussian parameter of the rewards; w is then 2 sigma instead of the width of the reward range. Required
        when that range is infinite and the level neither 0 nor infinite.
    rng : Generator, SeedSequence or int, optional
        If given, ties are broken uniformly; otherwise by the lowest index.

    Returns
    -------
    (..., S) int
        An arm per context and data set.

    See Also
    --------
    pessimism.bandits.rules.lcb.lcb : The level at which all intervals hold together.
    pessimism.bandits.exact.suboptimality : Its exact expected loss for two arms.
    simulations.bandit_adaptivity : Draws its worst loss over all levels.

    Notes
    -----
    Cost O(SA). For given counts, all finite levels are minimax optimal up to logarithms (Xiao et al., 2021).

    Examples
    --------
    >>> data = BanditData([[100, 4]], [[60.0, 3.0]])
    >>> [int(index_rule(data, level)[0]) for level in (-1.0, 0.0, 1.0)]
    [1, 1, 0]
    """
    _check.instance("data", data, BanditData)
    lvl = _check.extended_array("level", level)
    if _check.broadcast("level and data", lvl.shape, data.shape) != data.shape:
        raise ValueError(f"level must broadcast to the batch {data.shape} of data, got {lvl.shape}")
    fill = _check.not_nan("unseen", unseen)
    finite = np.isfinite(lvl)
    if not finite.any():
        return best_arm(_by_count(data.counts, lvl), rng)
    scale = np.zeros(lvl.shape)
    if np.any(finite & (lvl != 0)):
        scale = reward_width(data.reward_range, sigma) * np.sign(lvl) * np.sqrt(np.abs(np.where(finite, lvl, 0.0)))
    if rng is None and data.counts.size >= COMPILED_FROM and finite.all():
        return _best_index(data, scale, fill)
    pulls = np.maximum(data.counts, 1)
    index = np.where(data.counts > 0, data.sums / pulls - scale[..., None, None] / np.sqrt(pulls), fill)
    if not finite.all():
        index = np.where(finite[..., None, None], index, _by_count(data.counts, lvl))
    return best_arm(index, rng)


def _best_index(data: BanditData, scale: Floats, unseen: float) -> Policy:
    from pessimism.bandits._engine.index import best_index

    flat = (-1, data.n_contexts, data.n_arms)
    best = np.empty(data.counts.shape[:-1], np.intp)
    scales = np.broadcast_to(scale, data.shape).ravel()
    best_index(data.counts.reshape(flat), data.sums.reshape(flat), scales, unseen, best.reshape(flat[:2]))
    return best


def _by_count(counts: Ints, level: Floats) -> Floats | Ints:
    """Index of the most (level inf) or least (-inf) played among the pulled arms."""
    if np.all(level > 0):
        return counts
    return np.where(counts > 0, np.sign(level)[..., None, None] * counts, -math.inf)
