r"""The policy of a list with the best lower bound: :math:`\arg\max_{\pi \in \Pi} \underline{J}(\pi)`.

Pessimism with any interval: whatever bounds the value of one policy from below, at level :math:`\delta/|\Pi|`, bounds
all of a list at once, and the loss of the best bound against any policy of the list is at most the error of that
policy's own bound.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats, Ints
from pessimism.bandits._input import check_policy
from pessimism.bandits.data import BanditData
from pessimism.bandits.estimators._setting import check_unused
from pessimism.bandits.interval import ValueInterval
from pessimism.bandits.propensities import PropensityData

__all__ = ["best_of"]


def best_of(
    data: BanditData | PropensityData,
    policies: ArrayLike,
    bound: Callable[..., Any],
    behavior: ArrayLike | None = None,
) -> Ints | Floats:
    r"""Policy of a list with the largest lower bound on its value.

    Parameters
    ----------
    data : BanditData or PropensityData
        Logged rounds.
    policies : (P, S) array_like of int or (P, S, A) array_like of float
        The list, fixed before the data.
    bound : callable
        ``bound(data, policy, behavior)`` -> `ValueInterval`, whose `low` counts, or the lower bounds (...) themselves:
        one of `pessimism.bandits.intervals` or of `pessimism.bandits.estimators` with its options bound, or your own.
        For a simultaneous level :math:`1 - \delta` bind :math:`\delta/P`.
    behavior : (..., S, A) array_like of float, optional
        Joint law of the logged pairs, handed to `bound`.

    Returns
    -------
    (..., S) int or (..., S, A) float
        The policy chosen from each data set, of the kind of `policies`; ties are broken by the lowest index.

    Raises
    ------
    ValueError
        If the list is empty, or `bound` does not return one number for each data set, or NaN for all policies of one.

    Notes
    -----
    With a bound that couples contexts, such as an empirical variance (Swaminathan and Joachims 2015), a list is the
    only honest choice: the maximum over all policies does not separate. A bound that is NaN is never chosen.

    Examples
    --------
    >>> from functools import partial
    >>> from pessimism.bandits import BanditData, best_of, intervals
    >>> log = BanditData([[900, 100]], [[450.0, 55.0]])
    >>> best_of(log, [[0], [1]], partial(intervals.given_counts, delta=0.05 / 2)).tolist()
    [0]
    """
    if not isinstance(data, BanditData | PropensityData):
        _check.instance("data", data, BanditData)
    chosen = check_policy(policies, data.n_contexts, data.n_arms, "policies")
    check_unused(behavior)
    if chosen.ndim != (2 if chosen.dtype.kind == "i" else 3) or len(chosen) == 0:
        raise ValueError(f"policies must be a list (P, S) of int or (P, S, A) of float, got shape {chosen.shape}")
    _check.function("bound", bound, "of (data, policy, behavior)")
    lows = np.stack([_low(bound(data, policy, behavior), data) for policy in chosen])
    if np.any(unknown := np.isnan(lows).all(axis=0)):
        raise ValueError(
            f"bound must be a number for some policy of every data set, got NaN for all of {int(unknown.sum())}"
        )
    return np.asarray(chosen[np.nan_to_num(lows, nan=-np.inf).argmax(axis=0)])


def _low(found: Any, data: BanditData | PropensityData) -> Floats:
    low = np.asarray(found.low if isinstance(found, ValueInterval) else found)
    if low.shape != data.shape or low.dtype.kind not in "fiu":
        raise ValueError(f"bound must return a number for each data set {data.shape}, got {low.dtype} of {low.shape}")
    return low.astype(np.float64)
