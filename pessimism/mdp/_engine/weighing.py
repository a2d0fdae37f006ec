r"""Sums over logged episodes with weights that are products of ratios, kept as logarithms; pairs that no log has met.

A weight :math:`W_t` of H ratios grows or falls exponentially in H. A sum of weights times numbers is therefore a pair:
the logarithm of a scale, and a sum on that scale.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pessimism._types import Floats, Ints
from pessimism.mdp._engine.tables import States


def scaled_sum(log_weight: Floats, x: Floats, axes: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Logarithm of a scale and the sum of exp(log_weight) x over axes, divided by that scale."""
    counted = (x != 0.0) & (log_weight > -np.inf)
    largest = np.where(counted, log_weight, -np.inf).max(axis=axes, initial=-np.inf, keepdims=True)
    scale = np.where(np.isfinite(largest), largest, 0.0)
    total = (np.exp(np.where(counted, log_weight - scale, 0.0)) * np.where(counted, x, 0.0)).sum(axis=axes)
    return np.squeeze(scale, axis=axes), np.asarray(total)


def unscaled(scale: Floats, total: Floats) -> Floats:
    """total x exp(scale), infinite only if the product is."""
    with np.errstate(over="ignore"):
        half = np.exp(0.5 * scale)
        return np.asarray(total * half * half)


def quotient(above: tuple[Floats, Floats], below: tuple[Floats, Floats]) -> Floats:
    """Ratio of two scaled sums; NaN where the lower one is 0."""
    (over, numerator), (under, denominator) = above, below
    return unscaled(np.asarray(over - under), numerator / np.where(denominator > 0.0, denominator, np.nan))


def gathered(law: NDArray[Any], states: Ints, actions: Ints | None = None) -> NDArray[Any]:
    """Entries of tables (..., 1 or H, S[, A]) at logged states (and actions) (..., n, H), over their common batch."""
    core = 2 if actions is None else 3
    step = np.arange(states.shape[-1]) % law.shape[-core]
    place = (step, states) if actions is None else (step, states, actions)
    if law.ndim == core:
        return np.asarray(law[place])
    batch = np.broadcast_shapes(law.shape[:-core], states.shape[:-2])
    wide = np.broadcast_to(law, (*batch, *law.shape[-core:])).reshape(-1, *law.shape[-core:])
    item = np.arange(len(wide)).reshape(*batch, 1, 1)
    return np.asarray(wide[(item, *place)])


def frequencies(states: Ints, actions: Ints, live: NDArray[np.bool_], sizes: tuple[int, int]) -> Floats:
    """Shares (..., H, S, A) of the actions in every state and step of logs (..., n, H); uniform where none was met."""
    batch, (_, steps) = states.shape[:-2], states.shape[-2:]
    items = int(np.prod(batch))
    where = np.arange(items).reshape(*batch, 1, 1) * steps + np.arange(steps)
    pair = (where * sizes[0] + states) * sizes[1] + actions
    counts = np.bincount(pair[live], minlength=items * steps * sizes[0] * sizes[1])
    table = counts.reshape(*batch, steps, *sizes)
    visits = table.sum(axis=-1, keepdims=True)
    return np.where(visits > 0, table / np.maximum(visits, 1), 1.0 / sizes[1])


def meets_unseen(
    next_states: States,
    counts: Ints,
    next_counts: Ints,
    law: Floats,
    start: Floats,
    terminal: NDArray[np.bool_],
    steps: int | None,
) -> NDArray[np.bool_]:
    """(...,) whether a policy (..., [1 or G,] S, A) reaches a pair without visits within some steps, None for ever.

    What it reaches are the successors that the log has seen. Tables without a step axis serve all steps.
    """
    stepped = next_states.ndim == 4
    tables = [x if stepped else np.expand_dims(x, -k) for x, k in ((counts, 3), (next_counts, 4))]
    lists = next_states if stepped else next_states[None]
    batch = np.broadcast_shapes(tables[0].shape[:-3], law.shape[:-3], start.shape[:-1])
    size = start.shape[-1]
    reached = np.broadcast_to(start > 0.0, (*batch, size))
    found = np.zeros(batch, np.bool_)
    item = np.arange(found.size).reshape(*batch, 1, 1, 1) * size
    for h in range(size if steps is None else steps):
        seen, moved = (np.take(x, h % x.shape[-k], axis=-k) for x, k in zip(tables, (3, 4), strict=True))
        played = law[..., h % law.shape[-3], :, :] > 0.0
        plays = reached[..., None] & played & ~terminal[:, None]
        found = found | np.any(plays & (seen == 0), axis=(-2, -1))
        place = np.broadcast_to(item + lists[h % len(lists)], (*plays.shape, lists.shape[-1]))
        went = np.bincount(place[plays[..., None] & (moved > 0)], minlength=found.size * size) > 0
        later = went.reshape(*batch, size) | (reached if steps is None else False)
        if steps is None and np.array_equal(later, reached):
            break
        reached = later
    return found
