r"""What an estimator gives on a log if it makes a known mistake: its fingerprint.

A log is counts N, sums S, a policy pi and a joint law mu, all (S, A). Every mistake is a function of these; whatever an
estimator returned is compared with all of them, and a mistake is named if it alone gives that number.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from pessimism._types import Floats, Ints

CLOSE = 1e-9
"""Relative agreement that is no accident on a log without symmetries."""


class Log(NamedTuple):
    """One data set with what an estimator is told of it."""

    counts: Ints
    sums: Floats
    policy: Floats
    law: Floats
    model: Floats | None


def named(log: Log, value: float) -> str | None:
    """The mistake that gives a value, if there is one; the first in the order of the list."""
    with np.errstate(all="ignore"):
        for cause, wrong in _all(log):
            if np.isfinite(wrong) and abs(wrong - value) <= CLOSE * max(1.0, abs(value)):
                return cause
        return _cut_off(log, value)


def _weights(log: Log) -> Iterator[tuple[str, Floats]]:
    pi, mu = log.policy, log.law
    p = mu / mu.sum(axis=1, keepdims=True)
    plays = pi > 0
    yield "weights are turned round: they are p/pi, not pi/p", np.where(plays, p / pi, 0.0)
    yield "the target's probability stands for the behavior's, so every weight is 1", plays.astype(float)
    yield "the propensities are not divided by: weights are pi", pi
    yield "weights are 1: the policy is not looked at, or taken for the behavior", np.ones_like(pi)
    yield "propensities are of the next arm", pi / np.roll(p, -1, axis=1)
    yield "propensities are of the arm before", pi / np.roll(p, 1, axis=1)
    yield "the policy's probabilities are of the next arm", np.roll(pi, -1, axis=1) / p
    yield "the policy's probabilities are of the arm before", np.roll(pi, 1, axis=1) / p
    yield "the policy is that of another context", pi[::-1] / p
    yield "propensities are those of another context", pi / p[::-1]
    yield "propensities are p(a) over all contexts, not p(a|s)", pi / mu.sum(axis=0)
    yield "propensities are of the joint law of (context, arm), not given the context", pi / mu
    yield "weights are squared", (pi / p) ** 2
    yield "the square root of the weights is taken", np.sqrt(pi / p)
    yield "propensities are logarithms and used as if they were not", pi / np.log(p)
    yield "logarithms of both probabilities are divided", np.where(plays, np.log(pi) / np.log(p), 0.0)
    yield "weights are logarithms: they are not exponentiated", np.where(plays, np.log(pi / p), 0.0)
    yield "the policy's most likely arm stands for the policy", (pi == pi.max(axis=1, keepdims=True)) / p
    yield "weights are in single precision", (pi.astype(np.float32) / p.astype(np.float32)).astype(float)


def _all(log: Log) -> Iterator[tuple[str, float]]:
    counts, sums, pi, mu, model = log
    n, met = counts.sum(), counts.sum(axis=1)
    w = pi / (mu / mu.sum(axis=1, keepdims=True))
    total, weight = float((w * sums).sum()), float((w * counts).sum())
    mean = np.where(counts > 0, sums / np.maximum(counts, 1), 0.0)
    for cause, wrong in _weights(log):
        yield cause, float((wrong * sums).sum()) / n
    yield "it divides by n - 1, not n", total / (n - 1)
    yield "it divides by n + 1, not n", total / (n + 1)
    yield "it is a sum: nothing divides it", total
    yield "it divides by n twice", total / n**2
    yield "it divides by the rounds that match the policy, not by all", total / counts[pi > 0].sum()
    yield "it divides by the sum of the weights: it is self-normalised", total / weight
    yield "it divides by n: self-normalisation is missing", total / n
    yield "contexts count alike, however often they were met", float(((w * sums).sum(axis=1) / met).mean())
    yield "it multiplies by n where it divides", total * n
    yield "it is the mean over pairs, not over rounds", float((w * mean).mean())
    yield "it is a model of the rewards (direct): no weights", float((met / n * (pi * mean).sum(axis=1)).sum())
    yield "it adds up arms without the policy", float((met / n * mean.sum(axis=1)).sum())
    yield "the shares of the contexts are missing", float((pi * mean).sum())
    if model is not None:
        base, error = float((met * (pi * model).sum(axis=1)).sum()), sums - counts * model
        yield "the correction of the model is not weighted", (base + float(error.sum())) / n
        yield "the correction of the model has the wrong sign", (base - float((w * error).sum())) / n
        yield (
            "the baseline is the model at the logged arm, not under the policy",
            float(((counts * model).sum() + (w * error).sum()) / n),
        )
        yield "the correction of the model is missing", base / n
        yield "the model is subtracted and not added: its baseline is missing", float((w * error).sum()) / n
        yield (
            "the model's baseline counts contexts alike",
            float((pi * model).sum(axis=1).mean() + (w * error).sum() / n),
        )
        yield "it adds the model and does not subtract it", (base + total) / n
    for cause, wrong in _weights(log):
        yield f"{cause}, and normalised by their sum", float((wrong * sums).sum() / (wrong * counts).sum())
        if model is not None:
            correction = float((wrong * (sums - counts * model)).sum())
            yield f"{cause}, in the correction of the model", (base + correction) / n


def _cut_off(log: Log, value: float) -> str | None:
    """A limit of the weights, a floor of the propensities or an addition to them that gives a value."""
    p = log.law / log.law.sum(axis=1, keepdims=True)
    w, n = log.policy / p, log.counts.sum()
    bends: tuple[tuple[str, float, float, Callable[[float], Floats]], ...] = (
        ("weights are clipped at", 1e-3, float(w.max()), lambda limit: np.minimum(w, limit)),
        ("propensities have a floor of", float(p.min()), 1.0, lambda floor: log.policy / np.maximum(p, floor)),
        ("propensities are enlarged by", 1e-12, 10.0, lambda more: log.policy / (p + more)),
    )
    found = ((what, _three_digits(partial(_estimate, log, bent, int(n)), value, *ends)) for what, *ends, bent in bends)
    return " or ".join(f"{what} {written:g}" for what, written in found if written is not None) or None


def _estimate(log: Log, bent: Callable[[float], Floats], n: int, x: float) -> float:
    return float((bent(x) * log.sums).sum()) / n


def _three_digits(curve: Callable[[float], float], value: float, low: float, high: float) -> float | None:
    """Where a monotone curve takes a value, if that is a number that somebody may have written: of three digits."""
    ends = curve(low), curve(high)
    if not min(ends) <= value <= max(ends):
        return None
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if (curve(middle) < value) == (ends[0] < ends[1]) else (low, middle)
    written = float(f"{low:.3g}")
    return written if abs(curve(written) - value) <= CLOSE * max(1.0, abs(value)) else None
