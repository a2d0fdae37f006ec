"""Dividing and joining data sets of transitions, in law, on their statistics alone."""

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pessimism import _draw
from pessimism._types import Floats, Ints
from pessimism.mdp._engine.tables import States, staying


class Statistics(NamedTuple):
    """What a batch of logs is reduced to: the fields of the data, in their order.

    Visits (..., [H,] S, A); lists of successors ([1 or H,] S, A, B), shared by the batch, and their visits; summed
    rewards (..., [H,] S, A[, B]); the interval that holds every reward; "bernoulli", "deterministic" or "other"; the
    states (S,) that end an episode; the feasible pairs (S, A).
    """

    counts: Ints
    next_states: States
    next_counts: Ints
    reward_sums: Floats
    reward_range: tuple[float, float]
    reward_law: str
    terminal: NDArray[np.bool_]
    feasible: NDArray[np.bool_]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.counts.shape[: 1 - self.next_states.ndim]

    @property
    def per_successor(self) -> bool:
        return self.reward_sums.shape == self.next_counts.shape


def merged(logs: list[Statistics]) -> Statistics:
    """All transitions of several logs of the same states, actions, steps and reward range as one log."""
    first = logs[0]
    steps = () if first.next_states.ndim == 3 else (max(len(log.next_states) for log in logs),)
    lists = [np.broadcast_to(log.next_states, (*steps, *log.next_states.shape[-3:])) for log in logs]
    same = all(np.array_equal(each, lists[0]) for each in lists)
    successors, place = (lists[0], np.arange(lists[0].shape[-1])) if same else _union(np.concatenate(lists, axis=-1))
    width = successors.shape[-1]
    places = [place] * len(logs) if same else np.split(place, np.cumsum([x.shape[-1] for x in lists])[:-1], axis=-1)
    counts = _total([log.counts for log in logs])
    next_counts = _total([_regrouped(log.next_counts, at, width) for log, at in zip(logs, places, strict=True)])
    if all(log.per_successor for log in logs):
        sums = _total([_regrouped(log.reward_sums, at, width) for log, at in zip(logs, places, strict=True)])
        means = sums / np.maximum(next_counts, 1)
        expected = [
            np.take_along_axis(means, np.broadcast_to(at, (*means.shape[:-1], at.shape[-1])), -1) for at in places
        ]
    else:
        sums = _total([log.reward_sums.sum(axis=-1) if log.per_successor else log.reward_sums for log in logs])
        expected = [sums / np.maximum(counts, 1)] * len(logs)
    law = first.reward_law if len({log.reward_law for log in logs}) == 1 else "other"
    alike = len({log.per_successor for log in logs}) == 1
    if law == "deterministic" and not (alike and all(map(_constant, logs, expected))):
        law = "other"
    ends = functools.reduce(np.logical_or, (log.terminal for log in logs))
    lists_of_all = staying(successors, ends).astype(np.int32) if ends.any() else successors
    feasible = first.feasible | ends[:, None]
    return Statistics(counts, lists_of_all, next_counts, sums, first.reward_range, law, ends, feasible)


def subsample(data: Statistics, n: int, rng: np.random.Generator) -> Statistics:
    """n of the transitions, without replacement."""
    colors = data.next_counts.reshape(*data.shape, math.prod(data.next_counts.shape[-3:]))
    kept = _draw.without_replacement(rng, colors, np.asarray(n))
    return part(data, kept.reshape(data.next_counts.shape), rng)


def thin(data: Statistics, share: float, rng: np.random.Generator) -> tuple[Statistics, Statistics]:
    """Every transition goes to the part with probability `share`; the part and the rest."""
    chosen = part(data, rng.binomial(data.next_counts, share), rng)
    return chosen, _rest(data, chosen)


def folds(data: Statistics, k: int, rng: np.random.Generator) -> Statistics:
    """Every transition goes to one of k folds, the first axis of the result, with equal probability."""
    parts = []
    for left in range(k, 0, -1):
        chosen, data = thin(data, 1.0 / left, rng)
        parts.append(chosen)
    counts, next_counts, sums = (np.stack(x) for x in zip(*((p[0], p[2], p[3]) for p in parts), strict=True))
    return data._replace(counts=counts, next_counts=next_counts, reward_sums=sums)


def episodes(data: Statistics, rng: np.random.Generator) -> tuple[Statistics, Statistics]:
    """Two halves of the episodes."""
    leaving = data.counts.sum(axis=-1)
    kept = np.zeros_like(data.next_counts)
    arrived = np.zeros((*data.shape, leaving.shape[-1]), np.int64)
    for h in range(data.counts.shape[-3]):
        if h == 0:
            arrived = _draw.without_replacement(rng, leaving[..., 0, :], leaving[..., 0, :].sum(axis=-1) // 2)
        kept[..., h, :, :, :] = keep(data.next_counts[..., h, :, :, :], arrived, rng)
        arrived = arrivals(data.next_states[h % len(data.next_states)], kept[..., h, :, :, :])
        arrived[..., data.terminal] = 0
    main = part(data, kept, rng)
    return main, _rest(data, main)


def keep(next_counts: Ints, n: Ints, rng: np.random.Generator) -> Ints:
    """n (..., S) of the transitions (..., S, A, B) that leave each state, drawn without replacement."""
    colors = next_counts.reshape(*next_counts.shape[:-2], math.prod(next_counts.shape[-2:]))
    return _draw.without_replacement(rng, colors, n).reshape(next_counts.shape)


def arrivals(next_states: States, next_counts: Ints) -> Ints:
    """How many transitions (..., S, A, B) of one step led to each state, (..., S)."""
    batch, size = next_counts.shape[:-3], next_counts.shape[-3]
    flat = next_counts.reshape(math.prod(batch), math.prod(next_counts.shape[-3:]))
    place = np.arange(len(flat))[:, None] * size + next_states.ravel()
    total = np.bincount(place.ravel(), flat.ravel().astype(np.float64), minlength=len(flat) * size)
    return total.astype(np.int64).reshape(*batch, size)


def part(data: Statistics, next_counts: Ints, rng: np.random.Generator) -> Statistics:
    """A random part of the transitions, given how many of every (state, action, successor) it has."""
    whole = data.next_counts if data.per_successor else data.counts
    counts = next_counts.sum(axis=-1)
    kept = next_counts if data.per_successor else counts
    if data.reward_law == "deterministic":
        # if all transitions of an entry are kept, so is their sum, to the last digit; if none, it is 0
        sums = np.where(kept == whole, data.reward_sums, data.reward_sums / np.maximum(whole, 1) * kept)
    else:
        ones = data.reward_sums.astype(np.int64)
        sums = _draw.hypergeometric(rng, ones, whole - ones, kept).astype(np.float64)
    return data._replace(counts=counts, next_counts=next_counts, reward_sums=sums)


def _rest(data: Statistics, chosen: Statistics) -> Statistics:
    left = data.next_counts - chosen.next_counts
    sums = data.reward_sums - chosen.reward_sums
    return data._replace(counts=left.sum(axis=-1), next_counts=left, reward_sums=sums)


def _total(tables: list[Any]) -> Any:
    return functools.reduce(np.add, tables)


def _constant(log: Statistics, means: Floats) -> bool:
    """Whether the mean rewards of a log are those of all logs together, wherever it has any."""
    visits = log.next_counts if log.per_successor else log.counts
    own = log.reward_sums / np.maximum(visits, 1)
    return bool(np.all((visits == 0) | np.isclose(own, means, rtol=1e-9, atol=0.0)))


def _union(lists: States) -> tuple[States, Ints]:
    """Lists without repetitions, and the place of every old entry in the new one."""
    order = np.argsort(lists, axis=-1, kind="stable")
    ordered = np.take_along_axis(lists, order, axis=-1)
    rank = np.zeros(lists.shape, np.int64)
    rank[..., 1:] = np.cumsum(ordered[..., 1:] != ordered[..., :-1], axis=-1)
    width = int(rank.max()) + 1
    union = np.repeat(ordered[..., :1], width, axis=-1)
    np.put_along_axis(union, rank, ordered, axis=-1)
    place = np.empty_like(rank)
    np.put_along_axis(place, order, rank, axis=-1)
    return union, place


def _regrouped(table: Any, place: Ints, width: int) -> Any:
    """Entries of the last axis added up at their new places."""
    full = np.broadcast_to(place, table.shape)
    regrouped = np.zeros((*table.shape[:-1], width), table.dtype)
    for b in range(table.shape[-1]):  # two old entries may share a place, so one at a time
        at = full[..., b : b + 1]
        np.put_along_axis(regrouped, at, np.take_along_axis(regrouped, at, axis=-1) + table[..., b : b + 1], axis=-1)
    return regrouped
