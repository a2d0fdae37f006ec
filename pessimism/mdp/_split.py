"""Dividing and joining data sets of transitions, in law, on their statistics alone."""

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from pessimism import _draw
from pessimism._draw import Floats, Ints
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
    per_successor = all(log.per_successor for log in logs)
    sums = [log.reward_sums if per_successor else log.pair_sums for log in logs]
    laws = {log.reward_law for log in logs}
    law = laws.pop() if len(laws) == 1 else "other"
    if law == "deterministic" and not _same_rewards(sums, [x.next_counts if per_successor else x.counts for x in logs]):
        law = "other"
    counts = _total([log.counts for log in logs])
    if all(np.array_equal(log.next_states, first.next_states) for log in logs):
        successors, next_counts, total = first.next_states, _total([log.next_counts for log in logs]), _total(sums)
    else:
        steps = max(len(log.next_states) for log in logs) if first.horizon is not None else 0
        tails = [log.next_states.shape[-3:] for log in logs]
        lists = [
            np.broadcast_to(log.next_states, (steps, *tail)) if steps else log.next_states
            for log, tail in zip(logs, tails, strict=True)
        ]
        widths = [log.next_counts.shape[-1] for log in logs]
        successors, place = _union(np.concatenate(lists, axis=-1))
        places = np.split(place, np.cumsum(widths)[:-1], axis=-1)
        width = successors.shape[-1]
        next_counts = _total([_moved(log.next_counts, at, width) for log, at in zip(logs, places, strict=True)])
        if per_successor:
            sums = [_moved(x, at, width) for x, at in zip(sums, places, strict=True)]
        total = _total(sums)
    return counts, successors, next_counts, total, first.reward_range, law


def _total(tables: list[Any]) -> Any:
    return functools.reduce(np.add, tables)


def _same_rewards(sums: list[Floats], counts: list[Ints]) -> bool:
    means = [np.where(n > 0, x / np.maximum(n, 1), np.nan) for x, n in zip(sums, counts, strict=True)]
    if len({mean.shape for mean in means}) > 1:
        return False
    low, high = np.fmin.reduce(means), np.fmax.reduce(means)
    return bool(np.all(np.isnan(low) | np.isclose(low, high, rtol=1e-12, atol=0.0)))


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


def _require_divisible(data: "MDPData", *, steps: bool, rest: bool = True) -> None:
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
    if rest and data.counts.size and data.n.max(initial=0) >= HYPERGEOMETRIC_LIMIT:
        raise ValueError(f"data must have fewer than 1e9 transitions to be divided, got {data.n.max()}")


def part_rewards(data: "MDPData", part: Ints, rng: np.random.Generator) -> Floats:
    """Reward sums of a random part of the transitions, given how many of every (state, action, successor) it has."""
    whole = data.next_counts if data.per_successor else data.counts
    kept = part if data.per_successor else part.sum(axis=-1)
    if data.reward_law == "deterministic":
        return np.asarray(data.reward_sums / np.maximum(whole, 1) * kept)
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
    colors = data.next_counts.reshape(*data.shape, -1)
    kept = _draw.without_replacement(rng, colors, np.asarray(n))
    return _fields(data, kept.reshape(data.next_counts.shape), rng)


def thin(data: "MDPData", share: float, rng: np.random.Generator) -> tuple[Fields, Fields]:
    """Every transition goes to the part with probability `share`; the part and the rest."""
    _require_divisible(data, steps=False)
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
    colors = next_counts.reshape(*next_counts.shape[:-2], -1)
    return _draw.without_replacement(rng, colors, n).reshape(next_counts.shape)


def arrivals(next_states: States, next_counts: Ints, h: int) -> Ints:
    """How many transitions of step h led to each state, (..., S)."""
    moved = next_counts[..., h, :, :, :]
    batch = moved.shape[:-3]
    flat = moved.reshape(-1, int(np.prod(moved.shape[-3:])))
    target = next_states[h % len(next_states)].ravel()
    size = moved.shape[-3]
    offsets = np.arange(len(flat))[:, None] * size
    total = np.bincount((offsets + target).ravel(), flat.ravel().astype(np.float64), minlength=len(flat) * size)
    return total.astype(np.int64).reshape(*batch, size)
