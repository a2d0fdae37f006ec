"""A rule asked about every log of two Bernoulli arms, and a table over these logs used as a rule."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats, Rng
from pessimism.bandits._engine.two_arms import Logs, Table, images, symmetric
from pessimism.bandits.data import BanditData

CHUNK = 2**20
"""Logs that a rule is asked about at once."""

Rule = Callable[[BanditData], Any]
Case = tuple[tuple[float, float], bool, Logs, Table]


class Setting(NamedTuple):
    """The logs there are, the limits of the law of the better arm, and what the rule knows."""

    logs: Logs
    low: float
    high: float
    known: Any


def setting_of(n: int, cstar: float | None, law: ArrayLike | None, counts: ArrayLike | None) -> Setting:
    given = [name for name, value in (("cstar", cstar), ("law", law), ("counts", counts)) if value is not None]
    if len(given) != 1:
        raise ValueError(f"cstar, law or counts must be given, one of them, got {' and '.join(given) or 'none'}")
    every = tuple(range(n + 1))
    if cstar is not None:
        c = _check.between("cstar", cstar, 1.0, 1e6)
        return Setting(Logs(n, every, True), 1.0 / c, 1.0, None)
    if law is not None:
        chances = _check.law("law", _two("law", law), axes=1)
        _check.require("law", chances, chances > 0, "positive: an arm that is never played is never the better one")
        p = float(chances[0])
        return Setting(Logs(n, every, False), p, p, (p, float(chances[1])))
    assert counts is not None  # one of the three is given
    pulls = _check.whole_array("counts", _two("counts", counts))
    if pulls.sum() != n:
        raise ValueError(f"counts must have the total n = {n}, got {pulls.tolist()} with total {int(pulls.sum())}")
    first, second = pulls.tolist()
    return Setting(Logs(n, (first,), False), 0.5, 0.5, (first, second))


def _two(name: str, value: ArrayLike) -> ArrayLike:
    pair = _check.numeric(name, value)
    if pair.shape != (2,):
        raise ValueError(f"{name} must have one entry for each of two arms, got shape {pair.shape}")
    return value


def cases(rule: Rule, setting: Setting, split: bool) -> list[Case]:
    """Limits of the law, whether the second arm is the better one, the logs with the better arm first, the errors."""
    logs = setting.logs
    errors = _errors_of(rule, logs, False)
    if logs.swap:
        limits = (setting.low, setting.high)
        if split:
            return [(limits, False, logs, symmetric(logs, errors))]
        return [(limits, False, logs, errors), (limits, True, logs, [1.0 - image for image in images(logs, errors)])]
    if split:
        renamed = _errors_of(rule, logs, True)
        errors = [(own + other) / 2.0 for own, other in zip(errors, renamed, strict=True)]
    mirrored = Logs(logs.n, tuple(logs.n - k for k in reversed(logs.pulls)), False)
    p = setting.low
    return [
        ((p, p), False, logs, errors),
        ((1.0 - p, 1.0 - p), True, mirrored, [1.0 - matrix.T for matrix in reversed(errors)]),
    ]


def _errors_of(rule: Rule, logs: Logs, renamed: bool) -> Table:
    """Probability of the second arm at every log; `renamed` shows the rule the second arm first."""
    out: Table = []
    shapes, start = list(logs.shapes()), 0
    while start < len(shapes):
        stop, size = start, 0
        while stop < len(shapes) and (stop == start or size + math.prod(shapes[stop]) <= CHUNK):
            size += math.prod(shapes[stop])
            stop += 1
        counts = np.empty((size, 1, 2), np.int64)
        sums, at = np.empty((size, 1, 2)), 0
        for k, shape in zip(logs.pulls[start:stop], shapes[start:stop], strict=True):
            part = slice(at, at := at + math.prod(shape))
            counts[part] = (k, logs.n - k)
            sums[part, 0] = np.indices(shape).reshape(2, -1).T
        second = (
            _second_arm(rule, BanditData(counts, sums, sums), size)
            if not renamed
            else (1.0 - _second_arm(rule, BanditData(counts[..., ::-1], sums[..., ::-1], sums[..., ::-1]), size))
        )
        ends = np.cumsum([math.prod(shape) for shape in shapes[start:stop]])[:-1]
        out += [part.reshape(shape) for part, shape in zip(np.split(second, ends), shapes[start:stop], strict=True)]
        start = stop
    return out


def _second_arm(rule: Rule, data: BanditData, size: int) -> Floats:
    policy = _check.numeric("rule(data)", rule(data))
    if policy.dtype.kind in "iub" and policy.shape == (size, 1):
        _check.require("rule(data)", policy, (policy == 0) | (policy == 1), "an arm, 0 or 1")
        return policy[:, 0].astype(np.float64)
    if policy.shape != (size, 1, 2):
        raise ValueError(
            f"rule must return arms of shape ({size}, 1) or their probabilities ({size}, 1, 2) for a batch of {size} "
            f"logs, got {policy.dtype} of shape {policy.shape}"
        )
    return np.asarray(_check.law("rule(data)", policy, axes=1)[:, 0, 1])


def play(errors: tuple[Floats, ...], n: int, known: Any, data: BanditData, rng: Rng) -> Any:
    _check_logs(data, n, 2)
    pulls, sums = data.counts[..., 0, :], data.sums[..., 0, :]
    if len(errors) == 1 and n:
        _check.require(
            "data.counts", pulls, pulls == np.array(known), f"the counts {known}, for which the rule was made"
        )
    table = np.concatenate([matrix.ravel() for matrix in errors])
    starts = np.concatenate([[0], np.cumsum([matrix.size for matrix in errors])])
    entry = pulls[..., 0] if len(errors) > 1 else np.zeros(pulls.shape[:-1], np.int64)
    first, second = (sums[..., i].astype(np.int64) for i in (0, 1))
    second_arm = table[starts[entry] + first * (pulls[..., 1] + 1) + second][..., None]
    if rng is None:
        return np.stack([1.0 - second_arm, second_arm], axis=-1)
    return (_check.generator(rng).random(second_arm.shape) < second_arm).astype(np.intp)


def play_three(rule: Floats, n: int, data: BanditData, rng: Rng) -> Any:
    """The same for three arms: `rule` (logs, 3) holds the probabilities of all arms."""
    from pessimism.bandits._engine.three_arms import every_log, place

    _check_logs(data, n, 3)
    counts, sums = data.counts[..., 0, :], data.sums[..., 0, :].astype(np.int64)
    cells = np.moveaxis(counts * (counts + 1) // 2 + sums, -1, 0)
    chances = rule[place(n, every_log(n).cells, cells)][..., None, :]
    if rng is None:
        return chances
    drawn = _check.generator(rng).random((*chances.shape[:-1], 1))
    return np.minimum((np.cumsum(chances, axis=-1) <= drawn).sum(axis=-1), 2).astype(np.intp)


def _check_logs(data: BanditData, n: int, arms: int) -> None:
    _check.instance("data", data, BanditData)
    if data.counts.shape[-2:] != (1, arms):
        number = {2: "two", 3: "three"}[arms]
        raise ValueError(f"data must have one context and {number} arms, got {data.counts.shape[-2:]}")
    _check.require("data.n", data.n, data.n == n, f"{n} rounds, for which the rule was made")
    _check.require("data.sums", data.sums, data.sums == np.floor(data.sums), "whole: rewards are 0 or 1")
    if tuple(data.reward_range) != (0.0, 1.0):
        raise ValueError(f"data must have reward_range (0, 1), got {data.reward_range}")
