"""Checks of what several modules of the wing take: contexts, policies, widths of reward ranges."""

import math

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats, Ints

ROUNDING = 1e-9
"""Relative room for the rounding of summed rewards when they are checked against their range."""


def check_contexts(contexts: ArrayLike, n_contexts: int, partner: str) -> Floats:
    """Clean law (..., S) over the contexts of `partner`, the argument that fixes their number."""
    rho = _check.law("contexts", contexts, axes=1)
    if rho.shape[-1] != n_contexts:
        raise ValueError(f"contexts must have {n_contexts} entries to go with {partner}, got {rho.shape[-1]}")
    return rho


def check_policy(policy: ArrayLike, n_contexts: int, n_arms: int, name: str = "policy") -> Ints | Floats:
    """Clean policy: int64 (..., S) if `policy` holds integers, else a float64 law over arms (..., S, A)."""
    given = _check.numeric(name, policy)
    if given.dtype.kind in "iu":
        arms = _check.whole_array(name, policy, min_ndim=1, high=n_arms - 1)
        if arms.shape[-1] != n_contexts:
            raise ValueError(f"{name} must hold one arm for each of {n_contexts} contexts, got shape {arms.shape}")
        return arms
    if given.shape[-2:] != (n_contexts, n_arms):
        expected = f"(..., {n_contexts}) of int or (..., {n_contexts}, {n_arms}) of float"
        raise ValueError(f"{name} must have shape {expected}, got {given.dtype} of shape {given.shape}")
    return _check.law(name, given, axes=1)


def check_arm_law(policy: ArrayLike, n_contexts: int, n_arms: int) -> Floats:
    """Clean policy as a law over arms (..., S, A), whichever way it was given."""
    clean = check_policy(policy, n_contexts, n_arms)
    if clean.dtype.kind == "i":
        clean = clean[..., None] == np.arange(n_arms)
    return clean.astype(np.float64, copy=False)


def reward_width(reward_range: tuple[float, float], sigma: float | None) -> float:
    """Width w of the range of rewards, or 2 `sigma`, which takes its place for sub-Gaussian rewards."""
    if sigma is not None:
        return 2.0 * _check.positive("sigma", sigma, _check.MAX_SIZE)
    low, high = reward_range
    if not math.isfinite(high - low):
        raise ValueError(f"sigma must be given: the reward_range {reward_range} is infinite")
    return high - low


def check_sums(name: str, sums: Floats, of: str, counts: Ints | Floats, low: float, high: float) -> None:
    """Raise a ValueError unless every sum lies within its count, or weight, times the range of rewards."""
    slack = ROUNDING * counts
    with np.errstate(invalid="ignore"):  # 0 pulls x infinite range: replaced by 0 just below
        smallest = np.where(counts > 0, counts * low - slack * abs(low), 0.0)
        largest = np.where(counts > 0, counts * high + slack * abs(high), 0.0)
    good = (sums >= smallest) & (sums <= largest)
    _check.require(name, sums, good, f"within {of} x reward_range = {of} x [{low:g}, {high:g}]")
