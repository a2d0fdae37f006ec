"""Dividing and joining data sets of transitions, in law, on their statistics alone."""

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from pessimism import _check, _draw
from pessimism._types import Floats, Ints
from pessimism.mdp._log import Fields
from pessimism.mdp._tables import States

if TYPE_CHECKING:
    from pessimism.mdp.data import MDPData

HYPERGEOMETRIC_LIMIT = 10**9
"""NumPy draws without replacement from fewer than this."""


def merged(logs: "list[MDPData]") -> Fields:
    first = logs[0]
    for i, log in enumerate(logs[1:]):
        if (log.n_states, log.n_actions, log.horizon) != (first.n_states, first.n_actions, first.horizon):
            raise ValueError(f"others[{i}] must have the states, actions and steps of the first log")
        if log.reward_range != first.reward_range:
            raise ValueError(f"others[{i}] must have reward_range {first.reward_range}, got {log.reward_range}")
    _check.broadcast("the batches of the logs", *(log.shape for log in logs))
    steps = () if first.horizon is None else (max(len(log.next_states) for log in logs),)
    lists = [np.broadcast_to(log.next_states, (*steps, *log.next_states.shape[-3:])) for log in logs]
    same = all(np.array_equal(each, lists[0]) for each in lists)
    successors, place = (lists[0], np.arange(lists[0].shape[-1])) if same else _union(np.concatenate(lists, axis=-1))
    width = successors.shape[-1]
    places = [place] * len(logs) if same else np.split(place, np.cumsum([x.shape[-1] for x in lists])[:-1], axis=-1)
    counts = _total([log.counts for log in logs])
    next_counts = _total([_moved(log.next_counts, at, width) for log, at in zip(logs, places, strict=True)])
    kinds, laws = {log.per_successor for log in logs}, {log.reward_law for log in logs}
    if kinds == {True}:
        sums = _total([_moved(log.reward_sums, at, width) for log, at in zip(logs, places, strict=True)])
        means = sums / np.maximum(next_counts, 1)
        expected = [
            np.take_along_axis(means, np.broadcast_to(at, (*means.shape[:-1], at.shape[-1])), -1) for at in places
        ]
    else:
        sums = _total([log.pair_sums for log in logs])
        expected = [sums / np.maximum(counts, 1)] * len(logs)
    law = laws.pop() if len(laws) == 1 else "other"
    if law == "deterministic" and not (len(kinds) == 1 and all(map(_constant, logs, expected))):
        law = "other"
    return counts, successors, next_counts, sums, first.reward_range, law


def _total(tables: list[Any]) -> Any:
    return functools.reduce(np.add, tables)


def _constant(log: "MDPData", means: Floats) -> bool:
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


def _moved(table: Any, place: Ints, width: int) -> Any:
    """Entries of the last axis added up at their new places."""
    full = np.broadcast_to(place, table.shape)
    moved = np.zeros((*table.shape[:-1], width), table.dtype)
    for b in range(table.shape[-1]):  # two old entries may share a place, so one at a time
        at = full[..., b : b + 1]
        np.put_along_axis(moved, at, np.take_along_axis(moved, at, axis=-1) + table[..., b : b + 1], axis=-1)
    return moved


def _require_divisible(data: "MDPData", *, steps: bool, limited: bool = True) -> None:
    if (data.horizon is not None) != steps:
        raise ValueError(
            "data must have a step axis: these are not logged episodes"
            if steps
            else "data must have no step axis: divide logged episodes with split_episodes"
        )
    if data.reward_law == "other":
        raise ValueError(
            "data must have rewards known to be 0 or 1, or constant for every (state, action, successor): sums of "
            "other rewards do not say which one to leave out; divide the raw log instead"
        )
    if limited and data.counts.size and data.n.max(initial=0) >= HYPERGEOMETRIC_LIMIT:
        raise ValueError(f"data must have fewer than 1e9 transitions to be divided, got {data.n.max()}")


def part_rewards(data: "MDPData", part: Ints, rng: np.random.Generator) -> Floats:
    """Reward sums of a random part of the transitions, given how many of every (state, action, successor) it has."""
    whole = data.next_counts if data.per_successor else data.counts
    kept = part if data.per_successor else part.sum(axis=-1)
    if data.reward_law == "deterministic":
        # all or nothing leaves nothing or all, to the last digit
        return np.where(kept == whole, data.reward_sums, data.reward_sums / np.maximum(whole, 1) * kept)
    ones = data.reward_sums.astype(np.int64)
    return rng.hypergeometric(ones, whole - ones, kept).astype(np.float64)


def _fields(data: "MDPData", part: Ints, rng: np.random.Generator) -> Fields:
    sums = part_rewards(data, part, rng)
    return part.sum(axis=-1), data.next_states, part, sums, data.reward_range, data.reward_law


def _difference(data: "MDPData", part: Fields) -> Fields:
    rest = data.next_counts - part[2]
    return rest.sum(axis=-1), data.next_states, rest, data.reward_sums - part[3], data.reward_range, data.reward_law


def subsample(data: "MDPData", n: int, rng: np.random.Generator) -> Fields:
    _require_divisible(data, steps=False)
    if data.counts.size and n > data.n.min():
        raise ValueError(f"n must be at most the {data.n.min()} transitions of the log, got {n}")
    colors = data.next_counts.reshape(*data.shape, math.prod(data.next_counts.shape[-3:]))
    kept = _draw.without_replacement(rng, colors, np.asarray(n))
    return _fields(data, kept.reshape(data.next_counts.shape), rng)


def thin(data: "MDPData", share: float, rng: np.random.Generator) -> tuple[Fields, Fields]:
    """Every transition goes to the part with probability `share`; the part and the rest."""
    # binomials have no limit; only which rewards go along is hypergeometric
    _require_divisible(data, steps=False, limited=data.reward_law == "bernoulli")
    part = _fields(data, rng.binomial(data.next_counts, share), rng)
    return part, _difference(data, part)


def folds(data: "MDPData", k: int, rng: np.random.Generator) -> Fields:
    parts, rest = [], data
    for left in range(k, 0, -1):
        part, others = thin(rest, 1.0 / left, rng)
        parts.append(part)
        rest = type(data).trusted(*others)
    counts, next_counts, sums = (np.stack([part[i] for part in parts]) for i in (0, 2, 3))
    return counts, data.next_states, next_counts, sums, data.reward_range, data.reward_law


def episodes(data: "MDPData", rng: np.random.Generator) -> tuple[Fields, Fields]:
    _require_divisible(data, steps=True)
    assert data.horizon is not None
    leaving = data.counts.sum(axis=-1)
    part = np.zeros_like(data.next_counts)
    arrived = np.zeros((*data.shape, data.n_states), np.int64)
    for h in range(data.horizon):
        if h == 0:
            arrived = _draw.without_replacement(rng, leaving[..., 0, :], leaving[..., 0, :].sum(axis=-1) // 2)
        elif not np.array_equal(arrivals(data.next_states, data.next_counts, h - 1), leaving[..., h, :]):
            raise ValueError(f"data must be of episodes: what arrives at step {h} is not what leaves there")
        part[..., h, :, :, :] = keep(data.next_counts[..., h, :, :, :], arrived, rng)
        arrived = arrivals(data.next_states, part, h)
    main = _fields(data, part, rng)
    return main, _difference(data, main)


def keep(next_counts: Ints, n: Ints, rng: np.random.Generator) -> Ints:
    """n (..., S) of the transitions (..., S, A, B) that leave each state, drawn without replacement."""
    colors = next_counts.reshape(*next_counts.shape[:-2], math.prod(next_counts.shape[-2:]))
    return _draw.without_replacement(rng, colors, n).reshape(next_counts.shape)


def arrivals(next_states: States, next_counts: Ints, h: int) -> Ints:
    """How many transitions of step h led to each state, (..., S)."""
    moved = next_counts[..., h, :, :, :]
    batch = moved.shape[:-3]
    flat = moved.reshape(math.prod(batch), math.prod(moved.shape[-3:]))
    target = next_states[h % len(next_states)].ravel()
    size = moved.shape[-3]
    offsets = np.arange(len(flat))[:, None] * size
    total = np.bincount((offsets + target).ravel(), flat.ravel().astype(np.float64), minlength=len(flat) * size)
    return total.astype(np.int64).reshape(*batch, size)
