"""Exact optima: policy iteration with exact evaluation, from a plan that is nearly there."""

from typing import TYPE_CHECKING

import numpy as np

from pessimism._batch import items
from pessimism._types import Floats, Ints

if TYPE_CHECKING:
    from pessimism.mdp.model import MDP

NEARLY = 1e-7
"""Part of the value range to which the plan is computed that policy iteration starts from."""

ROUNDS = 50

TIE = 256 * 2.0**-52
"""Actions whose values differ by less than this part of the largest value in their state are tied: it is rounding."""


def solve(mdp: "MDP") -> tuple[Ints, Floats, Floats]:
    """Policy, values and gaps of an optimal policy."""
    from pessimism._status import ConvergenceError
    from pessimism.mdp._kernels import action_values
    from pessimism.mdp.planning import plan

    scale = max(map(abs, mdp.value_range))
    if mdp.horizon is not None:
        return _finite(mdp)
    if scale == 0.0:
        nothing = np.zeros((*mdp.shape, mdp.n_states))
        return nothing.astype(np.int64), nothing, np.zeros((*nothing.shape, mdp.n_actions))
    try:
        policy = plan(mdp, tolerance=NEARLY * scale).policy
    except ConvergenceError as error:  # discounts next to 1: near enough for policy iteration to begin
        policy = error.result.policy
    tables, means = items(mdp.probabilities, mdp.shape, 3), items(mdp.mean_rewards, mdp.shape, 2)
    for _ in range(ROUNDS):
        values = mdp.evaluate(policy)
        q = action_values(mdp.next_states, tables, means, mdp.discount, values.reshape(-1, mdp.n_states))
        q = q.reshape(*mdp.shape, mdp.n_states, mdp.n_actions)
        own = np.take_along_axis(q, policy[..., None], axis=-1)
        better = (q > own + _tie(q)).any(axis=-1)
        if not np.any(better):
            break
        # an action is left only for a better one, so every round improves the policy
        policy = np.where(better, q.argmax(axis=-1), policy)
    else:
        raise RuntimeError(f"policy iteration did not settle within {ROUNDS} rounds")
    lowest, gaps = _lowest(q)
    return lowest, values, gaps


def _finite(mdp: "MDP") -> tuple[Ints, Floats, Floats]:
    from pessimism.mdp._kernels import action_values, plan_backward

    assert mdp.horizon is not None
    tables, means = items(mdp.probabilities, mdp.shape, 4), items(mdp.mean_rewards, mdp.shape, 3)
    values, _ = plan_backward(mdp.next_states, tables, means, mdp.discount, np.zeros(mdp.horizon))
    values = np.broadcast_to(values, (int(np.prod(mdp.shape)), *values.shape[1:]))
    q = np.empty((*values.shape, mdp.n_actions))
    for h in range(mdp.horizon):
        later = values[:, h + 1] if h + 1 < mdp.horizon else np.zeros_like(values[:, h])
        p, r = (np.ascontiguousarray(table[:, h % table.shape[1]]) for table in (tables, means))
        successors = mdp.next_states[h % len(mdp.next_states)]
        q[:, h] = action_values(successors, p, r, mdp.discount, np.ascontiguousarray(later))
    q = q.reshape(*mdp.shape, mdp.horizon, mdp.n_states, mdp.n_actions)
    policy, gaps = _lowest(q)
    return policy, values.reshape(*mdp.shape, mdp.horizon, mdp.n_states), gaps


def _tie(q: Floats) -> Floats:
    return np.asarray(TIE * np.abs(q).max(axis=-1, keepdims=True))


def _lowest(q: Floats) -> tuple[Ints, Floats]:
    gaps = q.max(axis=-1, keepdims=True) - q
    gaps = np.where(gaps <= _tie(q), 0.0, gaps)
    return np.asarray((gaps == 0.0).argmax(axis=-1)), gaps
