"""Exact optima: policy iteration with exact evaluation.

A small model starts from the actions of largest reward: a few dense systems, and nothing to compile. A large one starts
from a plan that is nearly optimal.
"""

import numpy as np

from pessimism._batch import items
from pessimism._types import Floats, Ints
from pessimism.mdp._engine.bellman import action_values, step_values
from pessimism.mdp._engine.evaluation import expected_sums
from pessimism.mdp._engine.search import SEARCHES
from pessimism.mdp._engine.tables import Tables, as_law

SMALL_STATES = 100
"""Largest number of states of a small model: a round of policy iteration takes less than a millisecond."""

NEARLY = 1e-7
"""Part of the value range to which the plan is computed that policy iteration starts from."""

ROUNDS = 50

HUGE = 2.0**1000

TIE = 256 * 2.0**-52
"""Actions whose values differ by less than this part of the largest value in their state are tied: it is rounding."""

Optimum = tuple[Ints, Floats, Floats]
"""Policy (lowest of the tied actions), values and gaps."""


def optimum(tables: Tables, scale: float) -> Optimum:
    """An optimal policy, its values and the gaps of all actions; `scale` is the largest size of a value.

    A reward of -inf forbids an action, whose gap is inf; every state has another.
    """
    if tables.horizon is not None:
        return _by_induction(tables)
    if scale == 0.0 and np.all(tables.rewards > -np.inf):
        nothing = np.zeros((*tables.shape, tables.n_states))
        return nothing.astype(np.int64), nothing, np.zeros((*nothing.shape, tables.n_actions))
    found = _policy_iteration(tables, _greedy(tables)) if tables.n_states <= SMALL_STATES else None
    found = found or _policy_iteration(tables, _nearly_optimal(tables, scale))
    if found is None:
        raise RuntimeError(f"policy iteration did not settle within {ROUNDS} rounds")
    return found


def _policy_iteration(tables: Tables, policy: Ints) -> Optimum | None:
    """The optimum, or None if it is not reached within `ROUNDS`."""
    earned = tables._replace(rewards=np.maximum(tables.rewards, -HUGE))  # times a probability of 0 it must be 0
    for _ in range(ROUNDS):
        values = expected_sums(earned, as_law(policy, tables.n_actions))
        q = action_values(*tables[:4], values)
        own = np.take_along_axis(q, policy[..., None], axis=-1)
        better = (q > own + _tie(q)).any(axis=-1)
        if not np.any(better):
            lowest, gaps = _lowest(q)
            return lowest, values, gaps
        # an action is left only for a better one, so every round improves the policy
        policy = np.where(better, q.argmax(axis=-1), policy)
    return None


def _greedy(tables: Tables) -> Ints:
    return np.broadcast_to(tables.rewards.argmax(axis=-1), (*tables.shape, tables.n_states))


def _nearly_optimal(tables: Tables, scale: float) -> Ints:
    from pessimism.mdp._engine.fixed_point import iterate

    values = np.zeros((*tables.shape, tables.n_states))
    return iterate(tables, values, NEARLY * scale, SEARCHES["auto"]).policy


def _by_induction(tables: Tables) -> Optimum:
    from pessimism.mdp._engine.finite_horizon import plan_backward

    assert tables.horizon is not None
    p, means = items(tables.probabilities, tables.shape, 4), items(tables.rewards, tables.shape, 3)
    values, _ = plan_backward(tables.next_states, p, means, tables.discount, np.zeros(tables.horizon))
    values = np.broadcast_to(values, (int(np.prod(tables.shape)), *values.shape[1:]))
    values = values.reshape(*tables.shape, tables.horizon, tables.n_states)
    policy, gaps = _lowest(step_values(tables, values))
    return policy, values, gaps


def _tie(q: Floats) -> Floats:
    return np.asarray(TIE * np.where(q > -np.inf, np.abs(q), 0.0).max(axis=-1, keepdims=True))


def _lowest(q: Floats) -> tuple[Ints, Floats]:
    gaps = q.max(axis=-1, keepdims=True) - q
    gaps = np.where(gaps <= _tie(q), 0.0, gaps)
    return np.asarray((gaps == 0.0).argmax(axis=-1)), gaps
