r"""What a log says about a policy, and what it cannot say.

The value of a policy under contexts :math:`\rho` is estimated by :math:`\sum_{s,a} \rho(s)\pi(a|s)\hat r(s,a)`. Given
the counts this is a weighted sum of independent rewards, so Hoeffding's inequality bounds its error without any
assumption on their law beyond their range; a pair that was never logged adds its whole range to the interval.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check

if TYPE_CHECKING:
    from pessimism._types import Floats
    from pessimism.bandits.data import BanditData

LONGEST_TABLE = 12
"""Arms listed one by one in a report; beyond that, only the extremes."""


@dataclass(frozen=True, slots=True, eq=False)
class ValueInterval:
    """Estimated value of a policy with an interval of stated level.

    Attributes
    ----------
    estimate : (...,) float
        Point estimate in reward units; NaN where the policy uses a pair that was never logged.
    low, high : (...,) float
        Interval; infinite where it has to be.
    level : float
        Probability with which the interval covers the value, at least.

    Examples
    --------
    >>> float(ValueInterval(np.array(0.5), np.array(0.4), np.array(0.6), 0.95).low)
    0.4
    """

    estimate: "Floats"
    low: "Floats"
    high: "Floats"
    level: float


def value(
    data: "BanditData", policy: ArrayLike, contexts: ArrayLike | None, delta: float, sigma: float | None
) -> ValueInterval:
    """See `BanditData.value`."""
    from pessimism.bandits.model import check_policy

    miss = _check.open_unit_interval("delta", delta)
    rho = _context_law(data, contexts)
    chosen = check_policy(policy, data.n_contexts, data.n_arms)
    if chosen.dtype.kind == "i":
        chosen = (chosen[..., None] == np.arange(data.n_arms)).astype(np.float64)
    _check.broadcast("data, contexts and policy", data.shape, rho.shape[:-1], chosen.shape[:-2])
    weight = rho[..., None] * chosen
    seen = data.counts > 0
    low, high = data.reward_range
    spread = _check.positive("sigma", sigma, _check.MAX_SIZE) * 2.0 if sigma is not None else high - low
    if not math.isfinite(spread):
        raise ValueError(f"sigma must be given: the reward_range {data.reward_range} of data is infinite")
    variance = np.where(seen, weight**2 / np.maximum(data.counts, 1), 0.0).sum(axis=(-2, -1))
    half = spread * np.sqrt(0.5 * math.log(2.0 / miss) * variance)
    known = np.where(seen, weight * data.means, 0.0).sum(axis=(-2, -1))
    unknown = np.where(seen, 0.0, weight).sum(axis=(-2, -1))
    with np.errstate(invalid="ignore"):  # 0 x infinity where nothing is unknown: replaced by 0
        below = np.where(unknown > 0, unknown * low, 0.0)
        above = np.where(unknown > 0, unknown * high, 0.0)
    return ValueInterval(
        estimate=np.where(unknown > 0, np.nan, known),
        low=np.maximum(known - half + below, low),  # the value itself lies in the range
        high=np.minimum(known + half + above, high),
        level=1.0 - miss,
    )


def describe(data: "BanditData", policy: ArrayLike | None) -> str:
    """See `BanditData.describe`."""
    from pessimism.bandits.model import check_policy

    if data.shape:
        raise ValueError(
            f"describe reports on one data set, got a batch of shape {data.shape}: pick one, as in data[0]"
        )
    n, s, a = int(data.n), data.n_contexts, data.n_arms
    arms = None if policy is None else check_policy(policy, s, a)
    if arms is not None and (arms.dtype.kind == "f" or arms.ndim != 1):
        raise ValueError("policy must be one arm per context, an integer array of shape (contexts,)")
    lines = [f"{n:,} rounds, {_many(s, 'context')}, {_many(a, 'arm')}, rewards in {_range(data)}"]
    if n == 0:
        return "\n".join([*lines, "The log is empty: it says nothing about any policy."])
    lines += _arm_table(data) if a <= LONGEST_TABLE else _arm_extremes(data)
    lines += ["Coverage (C* estimated from the log, contexts as logged):"]
    rho = _context_law(data, None)
    if arms is not None:
        lines.append(f"  the given policy: {_cstar(data, arms, rho)}")
    lines.append(f"  the most played arms: {_cstar(data, data.counts.argmax(axis=-1), rho)}")
    pulled = np.where(data.counts > 0, data.counts, np.iinfo(np.int64).max)
    lines.append(f"  the least played of the pulled arms: {_cstar(data, pulled.argmin(axis=-1), rho)}")
    return "\n".join([*lines, "What this log cannot tell:", *_blind_spots(data)])


def _context_law(data: "BanditData", contexts: ArrayLike | None) -> "Floats":
    if contexts is None:
        _check.require("data.n", data.n, data.n > 0, "at least 1 unless contexts are given")
        return np.asarray(data.counts.sum(axis=-1) / data.n[..., None])
    return check_contexts(data, contexts)


def check_contexts(data: "BanditData", contexts: ArrayLike) -> "Floats":
    """Clean law over the contexts of `data`."""
    rho = _check.law("contexts", contexts, axes=1)
    if rho.shape[-1] != data.n_contexts:
        raise ValueError(f"contexts must have {data.n_contexts} entries to go with data, got {rho.shape[-1]}")
    return rho


def _cstar(data: "BanditData", arms: ArrayLike, rho: "Floats") -> str:
    pulls = np.take_along_axis(data.counts, np.asarray(arms)[:, None], axis=-1)[:, 0]
    needed = rho > 0
    if np.any(pulls[needed] == 0):
        first = int(np.flatnonzero(needed & (pulls == 0))[0])
        return f"C* infinite (its arm was never pulled in context {first})"
    return f"C* about {np.max(rho[needed] * int(data.n) / pulls[needed]):.3g}"


def _arm_table(data: "BanditData") -> list[str]:
    pulls, sums = data.counts.sum(axis=0), data.sums.sum(axis=0)
    lines = ["  arm       pulls   share  contexts without a pull  mean reward"]
    for arm, (count, total) in enumerate(zip(pulls, sums, strict=True)):
        unseen = int(np.sum(data.counts[:, arm] == 0))
        mean = f"{total / count:.4g}" if count else "-"
        lines.append(f"  {arm:>3}  {count:>10,}  {count / int(data.n):>6.1%}  {unseen:>23}  {mean:>11}")
    return lines


def _arm_extremes(data: "BanditData") -> list[str]:
    pulls = data.counts.sum(axis=0)
    most, least = int(pulls.argmax()), int(pulls.argmin())
    return [
        f"  pulls from {pulls[least]:,} (arm {least}) to {pulls[most]:,} (arm {most}), median {np.median(pulls):,.0f}"
    ]


def _blind_spots(data: "BanditData") -> list[str]:
    lines = []
    unmet = np.flatnonzero(data.counts.sum(axis=-1) == 0)
    if unmet.size:
        lines.append(f"  anything in {_many(unmet.size, 'context')} never met (first: {unmet[0]})")
    unseen = np.argwhere((data.counts == 0) & (data.counts.sum(axis=-1, keepdims=True) > 0))
    if len(unseen):
        where = f"context {unseen[0][0]}, arm {unseen[0][1]}"
        lines.append(f"  the worth of {_many(len(unseen), 'pair')} never pulled (first: {where}): no rule can learn it")
    low, high = data.reward_range
    if data.n_arms > 1 and math.isfinite(high - low):
        pulls = np.sort(data.counts, axis=-1)[:, -2:]  # the two best known arms of every context
        level = 0.5 * math.log(2.0 * data.counts.size / 0.05)
        widths = np.sqrt(level / np.maximum(pulls, 1)).sum(axis=-1)
        overlap = float(np.where(pulls.min(axis=-1) > 0, widths, np.inf).min())
        if overlap < 1.0:
            lines.append(f"  gaps below {(high - low) * overlap:.2g} even between its best known arms (95% intervals)")
        else:
            lines.append("  any gap: the 95% intervals of any two arms of a context overlap whatever their rewards")
    lines.append("  whether arms were chosen by looking at rewards: intervals assume they were not")
    return lines


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _range(data: "BanditData") -> str:
    low, high = data.reward_range
    return f"[{low:g}, {high:g}]" if math.isfinite(high - low) else "an unbounded range"
