"""The report of `BanditData.describe`, from the arrays of one data set: what a log says, and what it cannot say."""

import math

import numpy as np

from pessimism._types import Floats, Ints

LONGEST_TABLE = 12
"""Arms listed one by one in a report; beyond that, only the extremes."""

FEW = 10
"""Rule of thumb: with fewer successes or failures of a pair that the policy plays, normal limits deserve no trust."""


def describe(counts: Ints, sums: Floats, reward_range: tuple[float, float], policy: Ints | None) -> str:
    """Lines to be printed; `policy` (S,) holds one arm per context."""
    n, (s, a) = int(counts.sum()), counts.shape
    lines = [f"{n:,} rounds, {_many(s, 'context')}, {_many(a, 'arm')}, rewards in {_range(reward_range)}"]
    if n == 0:
        return "\n".join([*lines, "The log is empty: it says nothing about any policy."])
    lines += _arm_table(counts, sums) if a <= LONGEST_TABLE else _arm_extremes(counts)
    lines += ["Coverage (C* estimated from the log, contexts as logged):"]
    if policy is not None:
        lines.append(f"  the given policy: {_cstar(counts, policy)}")
        lines += _trust(counts, sums, reward_range, policy)
    lines.append(f"  the most played arms: {_cstar(counts, counts.argmax(axis=-1))}")
    pulled = np.where(counts > 0, counts, np.iinfo(np.int64).max)
    lines.append(f"  the least played of the pulled arms: {_cstar(counts, pulled.argmin(axis=-1))}")
    return "\n".join([*lines, "What this log cannot tell:", *_blind_spots(counts, reward_range)])


def _cstar(counts: Ints, arms: Ints) -> str:
    met = counts.sum(axis=-1)
    pulls = np.take_along_axis(counts, np.asarray(arms)[:, None], axis=-1)[:, 0]
    uncovered = np.flatnonzero((met > 0) & (pulls == 0))
    if uncovered.size:
        return f"C* infinite (its arm was never pulled in context {uncovered[0]})"
    return f"C* about {np.max(met[met > 0] / pulls[met > 0]):.3g}"


def _trust(counts: Ints, sums: Floats, reward_range: tuple[float, float], arms: Ints) -> list[str]:
    """What the log is worth to the policy, and which intervals for its value deserve trust."""
    met = counts.sum(axis=-1)
    pulls, hits = (np.take_along_axis(table, arms[:, None], axis=-1)[:, 0][met > 0] for table in (counts, sums))
    if np.any(pulls == 0):
        return ["    its value: only `given_counts` says something, and adds the whole range of what was never pulled"]
    worth = met.sum() ** 2 / (met[met > 0] ** 2 / pulls).sum()
    coins = reward_range == (0.0, 1.0) and np.array_equal(sums, np.floor(sums))
    fewest = int(np.minimum(hits, pulls - hits).min()) if coins else int(pulls.min())
    guaranteed = "given_counts" + (", clopper_pearson" if coins and len(counts) == 1 else "")
    kind = "successes or failures" if coins else "rounds"
    trust = f"a pair it plays has {fewest:,} {kind}" if fewest < FEW else f"{fewest:,} {kind} or more"
    return [
        f"    the log is worth about {worth:,.0f} rounds of its own",
        f"    intervals that hold at every n: {guaranteed}",
        f"    asymptotic intervals: {'do not trust them' if fewest < FEW else 'usable'}, {trust}",
    ]


def _arm_table(counts: Ints, sums: Floats) -> list[str]:
    lines = ["  arm       pulls   share  contexts without a pull  mean reward"]
    for arm, (count, total) in enumerate(zip(counts.sum(axis=0), sums.sum(axis=0), strict=True)):
        unseen = int(np.sum(counts[:, arm] == 0))
        mean = f"{total / count:.4g}" if count else "-"
        lines.append(f"  {arm:>3}  {count:>10,}  {count / int(counts.sum()):>6.1%}  {unseen:>23}  {mean:>11}")
    return lines


def _arm_extremes(counts: Ints) -> list[str]:
    pulls = counts.sum(axis=0)
    most, least = int(pulls.argmax()), int(pulls.argmin())
    return [
        f"  pulls from {pulls[least]:,} (arm {least}) to {pulls[most]:,} (arm {most}), median {np.median(pulls):,.0f}"
    ]


def _blind_spots(counts: Ints, reward_range: tuple[float, float]) -> list[str]:
    lines = []
    unmet = np.flatnonzero(counts.sum(axis=-1) == 0)
    if unmet.size:
        lines.append(f"  anything in {_many(unmet.size, 'context')} never met (first: {unmet[0]})")
    unseen = np.argwhere((counts == 0) & (counts.sum(axis=-1, keepdims=True) > 0))
    if len(unseen):
        where = f"context {unseen[0][0]}, arm {unseen[0][1]}"
        lines.append(f"  the worth of {_many(len(unseen), 'pair')} never pulled (first: {where}): no rule can learn it")
    low, high = reward_range
    if counts.shape[-1] > 1 and math.isfinite(high - low):
        pulls = np.sort(counts, axis=-1)[:, -2:]  # the two best known arms of every context
        level = 0.5 * math.log(2.0 * counts.size / 0.05)
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


def _range(reward_range: tuple[float, float]) -> str:
    low, high = reward_range
    return f"[{low:g}, {high:g}]" if math.isfinite(high - low) else "an unbounded range"
