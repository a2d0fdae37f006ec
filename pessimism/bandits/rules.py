r"""Rules: from logged rounds to one arm per context.

With :math:`N(s,a)` pulls (`counts`) and sample mean :math:`\hat r(s,a)` (`means`), every rule here but `bernstein_lcb`
maximises an index :math:`\hat r(s,a) - w\sqrt{L / N(s,a)}`, where w is the width of the reward range and L the `level`.
L = 0 is greedy, and as L grows the choice tends to the most played arm: pessimism is the road between optimising and
imitating. L < 0 is optimism.

Every rule is a plain function of the data; a user's function with the same signature is as good as ours.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._types import Floats, Ints, Rng
from pessimism.bandits.data import BanditData

Policy = NDArray[np.intp]

PAPER_CONSTANT, PAPER_UNSEEN = 2000.0, -1.0

LARGEST_ROUNDING = 1e-6
"""Of a variance, relative to the squared reward range: a standard deviation is then right to a thousandth of it."""

COMPILED_FROM = 10_000
"""Cells from which the index rules are one compiled loop, bit for bit the NumPy lines: threads then hardly wait for the
interpreter. Smaller data never load Numba."""


def hoeffding_level(
    n: ArrayLike, contexts: int, arms: int, delta: float | None = None, constant: float = 0.5
) -> Floats:
    r"""Level :math:`L = c \log(2SA/\delta)` at which all SA Hoeffding intervals hold together.

    Parameters
    ----------
    n : (...) array_like of int
        Rounds in the data set; used only for the default `delta`.
    contexts, arms : int
        S and A, at least 1.
    delta : float, optional
        Probability, in (0, 1), that some interval misses its mean. Default 1/max(n, 1), as the rates require.
    constant : float
        Factor c, positive. 1/2 is Hoeffding's for rewards in [0, 1].

    Returns
    -------
    (...) float
        Dimensionless; an arm with N pulls then has half-width :math:`w\sqrt{L/N}` for rewards in a range of width w.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    Notes
    -----
    Two-sided intervals and a union bound over SA pairs. Natural logarithm.

    Examples
    --------
    >>> float(hoeffding_level(100, contexts=1, arms=2).round(6))
    2.995732
    """
    rounds = _check.whole_array("n", n)
    cells = _check.whole("contexts", contexts, low=1) * _check.whole("arms", arms, low=1)
    c = _check.positive("constant", constant, _check.MAX_SIZE)
    if delta is None:
        return np.asarray(c * np.log(2.0 * cells * np.maximum(rounds, 1)))
    log_delta = math.log(_check.open_unit_interval("delta", delta))  # 1/delta may be more than float64 can hold
    return np.asarray(c * (math.log(2.0 * cells) - log_delta))


def lcb(
    data: BanditData,
    *,
    delta: float | None = None,
    constant: float = 0.5,
    sigma: float | None = None,
    unseen: float = -math.inf,
    paper_constants: bool = False,
    rng: Rng = None,
) -> Policy:
    r"""Arm with the highest Hoeffding lower confidence bound in every context.

    Parameters
    ----------
    data : BanditData
        Logged rounds whose arms were chosen without looking at their rewards.
    delta : float, optional
        Probability, in (0, 1), that some interval misses its mean. Default 1/max(n, 1), as the rates require.
    constant : float
        Factor c in :math:`L = c\log(2SA/\delta)`, positive. 1/2 is Hoeffding's.
    sigma : float, optional
        Sub-Gaussian parameter of the rewards, in reward units; the width is then
        :math:`\sigma\sqrt{2\log(2SA/\delta)/N}` at the default constant. Required when the reward range is infinite.
    unseen : float
        Index of an arm that was never pulled, in reward units. Default -inf: such an arm is chosen only in a context
        where no arm was pulled.
    paper_constants : bool
        Use the constants of the paper's contextual algorithm as printed: c = 2000 and an index of -1 for unseen arms.
        They are proof constants: until an arm has about L/4 pulls (L is 2e4 to 3.5e4), an unseen arm beats it.
    rng : Generator, SeedSequence or int, optional
        If given, ties are broken uniformly; otherwise by the lowest index.

    Returns
    -------
    (..., S) int
        An arm per context and data set.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, the range is infinite and `sigma` missing, or `paper_constants` comes with
        another `constant` or `unseen`.

    Notes
    -----
    All SA intervals hold together with probability :math:`1-\delta`, and then the loss against any policy is at most
    twice its average width. Cost O(SA). Source: Rashidinejad et al. (2021), arXiv:2103.12021, contextual-bandit
    section; the default constants are ours.

    Examples
    --------
    A thousand pulls with mean 0.5 are preferred to one lucky pull.

    >>> int(lcb(BanditData([[1000, 1]], [[500.0, 1.0]]))[0])
    0
    """
    if paper_constants:
        if constant != 0.5 or unseen != -math.inf:
            raise ValueError("paper_constants sets constant and unseen: pass one or the other")
        constant, unseen = PAPER_CONSTANT, PAPER_UNSEEN
    _check.instance("data", data, BanditData)
    level = hoeffding_level(data.n, data.n_contexts, data.n_arms, delta, constant)
    return index_rule(data, level, unseen, sigma=sigma, rng=rng)


def greedy(data: BanditData, *, unseen: float = -math.inf, rng: Rng = None) -> Policy:
    """Arm with the highest sample mean in every context: the index rule of level 0.

    Parameters
    ----------
    data : BanditData
        Logged rounds, any rewards.
    unseen : float
        Index of an arm that was never pulled, in reward units.
    rng : Generator, SeedSequence or int, optional
        If given, ties are broken uniformly; otherwise by the lowest index.

    Returns
    -------
    (..., S) int
        An arm per context and data set.

    Raises
    ------
    ValueError, TypeError
        If `unseen` is NaN.

    Examples
    --------
    >>> int(greedy(BanditData([[1000, 1]], [[500.0, 1.0]]))[0])
    1
    """
    return index_rule(data, 0.0, unseen, rng=rng)


def most_played(data: BanditData, *, rng: Rng = None) -> Policy:
    """Arm pulled most often in every context (imitation, behaviour cloning): the index rule of level inf.

    Parameters
    ----------
    data : BanditData
        Logged rounds; the rewards are not used.
    rng : Generator, SeedSequence or int, optional
        If given, ties are broken uniformly; otherwise by the lowest index.

    Returns
    -------
    (..., S) int
        An arm per context and data set; a context without pulls is a tie of all arms.

    Examples
    --------
    >>> int(most_played(BanditData([[10, 11]], [[10.0, 0.0]]))[0])
    1
    """
    return index_rule(data, math.inf, rng=rng)


def index_rule(
    data: BanditData,
    level: ArrayLike,
    unseen: float = -math.inf,
    *,
    sigma: float | None = None,
    rng: Rng = None,
) -> Policy:
    r"""Arm with the highest index :math:`\hat r - w \sqrt{L/N}` in every context: the family that holds them all.

    Parameters
    ----------
    data : BanditData
        Logged rounds.
    level : (...) array_like of float
        L, one number or one per data set. 0 is greedy, positive pessimistic, negative optimistic (the width
        :math:`w\sqrt{|L|/N}` is added); inf is the most and -inf the least played among the pulled arms, without a
        look at the rewards or at `unseen`.
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

    Raises
    ------
    ValueError, TypeError
        If `level` or `unseen` is NaN, `level` does not broadcast to the data sets, or `sigma` is missing.

    Notes
    -----
    Cost O(SA). As rules for fixed counts, all finite levels are minimax optimal up to logarithms (Xiao et al., 2021).

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
        return _argmax(_by_count(data.counts, lvl), rng)
    scale = np.zeros(lvl.shape)
    if np.any(finite & (lvl != 0)):
        scale = _range_width(data, sigma) * np.sign(lvl) * np.sqrt(np.abs(np.where(finite, lvl, 0.0)))
    if rng is None and data.counts.size >= COMPILED_FROM and finite.all():
        return _best_index(data, scale, fill)
    pulls = np.maximum(data.counts, 1)
    index = np.where(data.counts > 0, data.sums / pulls - scale[..., None, None] / np.sqrt(pulls), fill)
    if not finite.all():
        index = np.where(finite[..., None, None], index, _by_count(data.counts, lvl))
    return _argmax(index, rng)


def bernstein_lcb(
    data: BanditData, *, delta: float | None = None, unseen: float = -math.inf, rng: Rng = None
) -> Policy:
    r"""Arm with the highest empirical Bernstein lower bound: pessimism that shrinks with the observed variance.

    Parameters
    ----------
    data : BanditData
        Logged rounds with ``squares`` and a finite reward range of width w.
    delta : float, optional
        Probability, in (0, 1), that some lower bound exceeds its mean. Default 1/max(n, 1).
    unseen : float
        Index of an arm that was never pulled, in reward units.
    rng : Generator, SeedSequence or int, optional
        If given, ties are broken uniformly; otherwise by the lowest index.

    Returns
    -------
    (..., S) int
        An arm per context and data set.

    Raises
    ------
    ValueError, TypeError
        If squares are missing, the reward range is infinite or `delta` is outside (0, 1).

    Notes
    -----
    Index :math:`\hat r - \sqrt{2 \hat v \ell/N} - 7 w \ell/(3(N-1))` with :math:`\ell = \log(2SA/\delta)` and
    :math:`\hat v` the unbiased sample variance: Theorem 4 of Maurer and Pontil (2009), arXiv:0907.3740, with a union
    bound. For one pull :math:`N - 1` is read as 1; the width then exceeds w, so the bound still holds. Cost O(SA).

    Examples
    --------
    >>> data = BanditData([[100, 100]], [[50.0, 50.0]], squares=[[50.0, 25.0]])
    >>> int(bernstein_lcb(data)[0])
    1
    """
    _check.instance("data", data, BanditData)
    if data.squares is None:
        raise ValueError("bernstein_lcb needs data.squares: pass squares= to BanditData, or build it with from_log")
    if not math.isfinite(data.reward_range[1] - data.reward_range[0]):
        raise ValueError(f"bernstein_lcb needs a finite reward_range, got {data.reward_range}")
    width = _range_width(data, None)
    _check_variance(data, width)
    fill = _check.not_nan("unseen", unseen)
    log_term = hoeffding_level(data.n, data.n_contexts, data.n_arms, delta, 1.0)[..., None, None]
    pulls, others = np.maximum(data.counts, 1), np.maximum(data.counts - 1, 1)
    # rounding can leave a variance of -1e-17, which is a variance of 0
    variance = np.maximum(data.squares - data.sums * data.means, 0.0) / others
    index = data.means - np.sqrt(2.0 * variance * log_term / pulls) - 7.0 * width * log_term / (3.0 * others)
    index[data.counts == 0] = fill
    return _argmax(index, rng)


def _best_index(data: BanditData, scale: Floats, unseen: float) -> Policy:
    from pessimism.bandits import _kernels

    flat = (-1, data.n_contexts, data.n_arms)
    scales = np.broadcast_to(scale, data.shape).ravel()
    choice = _kernels.best_index(data.counts.reshape(flat), data.sums.reshape(flat), scales, unseen)
    return np.asarray(choice.reshape(*data.shape, data.n_contexts))


def _by_count(counts: Ints, level: Floats) -> Floats | Ints:
    """Index of the most (level inf) or least (-inf) played among the pulled arms."""
    if np.all(level > 0):
        return counts
    return np.where(counts > 0, np.sign(level)[..., None, None] * counts, -math.inf)


def _range_width(data: BanditData, sigma: float | None) -> float:
    if sigma is not None:
        return 2.0 * _check.positive("sigma", sigma, _check.MAX_SIZE)
    low, high = data.reward_range
    if not math.isfinite(high - low):
        raise ValueError(f"sigma must be given: the reward_range {data.reward_range} of data is infinite")
    return high - low


def _check_variance(data: BanditData, width: float) -> None:
    """Refuse rewards whose variance is rounded away: it may be off by about this share of the squared width."""
    low, high = data.reward_range
    distance, pulls = max(low, -high, 0.0) / width, int(data.counts.max(initial=0))
    if np.finfo(np.float64).eps * pulls * distance * distance > LARGEST_ROUNDING:
        raise ValueError(
            f"bernstein_lcb cannot tell the variance of {pulls} rewards in [{low:.15g}, {high:.15g}] from the rounding "
            f"of their squares: subtract {low:.15g} from every reward and from reward_range, no choice depends on it"
        )


def _argmax(index: Floats | Ints, rng: Rng) -> Policy:
    if rng is None:
        return np.asarray(index.argmax(axis=-1))
    lots = np.random.default_rng(rng).random(index.shape)
    return np.asarray(np.where(index == index.max(axis=-1, keepdims=True), lots, -1.0).argmax(axis=-1))


__all__ = ["bernstein_lcb", "greedy", "hoeffding_level", "index_rule", "lcb", "most_played"]
