"""What rules by propensities share: the propensities, the default scale, and sums over rounds that state their own."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats, Ints
from pessimism.bandits.data import BanditData
from pessimism.bandits.estimators._setting import check_behavior
from pessimism.bandits.propensities import PropensityData


def propensities(data: BanditData, behavior: ArrayLike | None) -> Floats:
    """(..., S, A) probabilities of arms given the context; 0 in a context that is never met."""
    law = data.counts if behavior is None else check_behavior(behavior, data)
    met = law.sum(axis=-1, keepdims=True)
    return np.asarray(law / np.where(met > 0, met, 1))


def require_finite(data: BanditData | PropensityData, rule: str) -> None:
    """Raise unless rewards have a low end, towards which the rule is pessimistic, and a high one."""
    if not isinstance(data, BanditData | PropensityData):
        _check.instance("data", data, BanditData)
    low, high = data.reward_range
    if not math.isfinite(high - low):
        raise ValueError(f"data must have a finite reward_range for {rule}, got {data.reward_range}")


def default_gamma(n: Ints, contexts: int, arms: int, delta: float | None) -> Floats:
    r""":math:`\sqrt{\log(A^S/\delta)/(2n)}`, (..., 1, 1); delta = 1/n by default."""
    rounds = np.maximum(n, 1).astype(np.float64)
    miss = np.log(rounds) if delta is None else -math.log(_check.open_unit_interval("delta", delta))
    level = np.maximum(contexts * math.log(arms) + miss, np.finfo(float).tiny)
    return np.asarray(np.sqrt(level / (2.0 * rounds)))[..., None, None]


def stated_sums(
    data: PropensityData, rule: str, scale: Floats, term: Callable[[Floats, Floats, Floats], Floats]
) -> Floats:
    """(..., S, A) sums over rounds of ``term(scale, p, r - low)``; every log has a scale (..., 1, 1) of its own."""
    rounds = data.rounds(rule)
    pairs = np.repeat(np.arange(data.counts.size), np.diff(rounds.starts))
    scales = np.broadcast_to(scale, data.counts.shape).ravel()[pairs]
    terms = term(scales, rounds.propensities, rounds.rewards - data.reward_range[0])
    return np.bincount(pairs, terms, data.counts.size).astype(np.float64).reshape(data.counts.shape)


def scale(data: BanditData | PropensityData, name: str, value: float | None, delta: float | None) -> Floats:
    """The given scale, or gamma's default, (..., 1, 1)."""
    if value is None:
        return default_gamma(data.n, data.n_contexts, data.n_arms, delta)
    if delta is not None:
        raise ValueError(f"delta sets the default of {name}: pass one or the other")
    return np.full((*data.shape, 1, 1), _check.positive(name, value))
