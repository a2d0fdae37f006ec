"""One application of Bellman's operator to values of a batch, in NumPy: no compiler for what is done once.

Sums run over the successors in the order of their lists, as in the compiled sweeps: both have the same last bits.
"""

import numpy as np

from pessimism._types import Floats
from pessimism.mdp._engine.tables import States, Tables

EPSILON, ROUNDINGS = 2.0**-52, 4
"""An update over B successors is exact to (B + ROUNDINGS) EPSILON times the largest value."""


def action_values(
    next_states: States, probabilities: Floats, rewards: Floats, discount: float, values: Floats
) -> Floats:
    """Q (..., S, A) of values (..., S) in models without a step axis."""
    shape = np.broadcast_shapes(values.shape[:-1], probabilities.shape[:-3], rewards.shape[:-2])
    q = np.zeros((*shape, *next_states.shape[:2]))
    for b in range(next_states.shape[2]):
        q += probabilities[..., b] * values[..., next_states[..., b]]
    q *= discount
    q += rewards
    return q


def step_values(tables: Tables, values: Floats) -> Floats:
    """Q (..., H, S, A) of the values (..., H, S) of the steps of a finite horizon."""
    q = np.empty((*values.shape, tables.n_actions))
    for h in range(values.shape[-2]):
        later = values[..., h + 1, :] if h + 1 < values.shape[-2] else np.zeros_like(values[..., h, :])
        p, r = tables.probabilities, tables.rewards
        own = p[..., h % p.shape[-4], :, :, :], r[..., h % r.shape[-3], :, :]
        q[..., h, :, :] = action_values(tables.next_states[h % len(tables.next_states)], *own, tables.discount, later)
    return q


def residual_bounds(tables: Tables, values: Floats, floor: float = -np.inf, fallback: float = 0.0) -> Floats:
    r"""Error bounds (...) of values (..., S), from the residual of one update, its rounding included.

    The operator is max(floor, max_a Q); a state without actions is worth `fallback`.
    """
    best = action_values(*tables[:4], values).max(axis=-1)
    best = np.maximum(np.where(best > -np.inf, best, fallback), floor)
    rounding = (tables.next_states.shape[-1] + ROUNDINGS) * EPSILON * np.abs(best).max(axis=-1)
    return np.asarray((np.abs(best - values).max(axis=-1) + rounding) / (1.0 - tables.discount))
