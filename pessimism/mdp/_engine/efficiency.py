"""Smallest asymptotic variances of the value of a policy, by what is known of the world, and how fast weights grow."""

from typing import Any

import numpy as np

from pessimism._types import Floats
from pessimism.mdp._engine.evaluation import DENSE_STATES
from pessimism.mdp._engine.variance import Steps, at, values, weights


def of_steps(
    steps: Steps, start: Floats, target: Floats, weight: Floats, discount: float, horizon: int
) -> tuple[float, float]:
    """Sum over steps and pairs of g^2h weight (H, S, A) x Var(r + g V(s') | s, a), and the variance of V_0."""
    total, value = 0.0, np.zeros(steps.size[0])
    for h in range(horizon - 1, -1, -1):
        step = steps.at(h)
        later = step.mean(value)
        total = discount**2 * total + float((weight[h] * step.spread(value, later, discount)).sum())
        value = (at(target, h) * (step.r + discount * later)).sum(axis=-1)
    return total, _of_start(start, value)


def pooled(
    steps: Steps, start: Floats, target: Floats, met: Floats, visits: Floats, discount: float, horizon: int
) -> tuple[float, float]:
    """The same where all steps share one table: sum over pairs of Var(Y | s, a) / visits, and the variance of V_0.

    Y is the sum over steps of g^h met_h (r + g V_{h+1}(s')): the same transition tells of all steps.
    """
    value = values(steps, target, discount, horizon)
    factor = discount ** np.arange(horizon)
    amount = np.einsum("h,hsa->sa", factor, met)
    lists, r = steps.lists[0], steps.r[0]
    if lists.shape[-1] ** 2 > steps.size[0]:  # a product of matrices is faster than H gathers
        to_all = np.tensordot(discount * factor[:, None, None] * met, value[1:], axes=(0, 0))
        later = np.take_along_axis(to_all, lists.astype(np.int64), axis=-1)
    else:
        later = np.zeros((*steps.size, lists.shape[-1]))
        for h in range(horizon):
            later += (discount * factor[h] * met[h])[..., None] * value[h + 1][lists]
    p = steps.p[0]
    own = later if r.ndim == 2 else later + amount[..., None] * r
    centre = (p * own).sum(axis=-1, keepdims=True)
    noise = (p * (own - centre) ** 2).sum(axis=-1)
    if steps.law == "bernoulli":
        coins = r * (1.0 - r) if r.ndim == 2 else (p * r * (1.0 - r)).sum(axis=-1)
        noise = noise + amount**2 * coins
    per_visit = np.divide(noise, visits, out=np.zeros(steps.size), where=visits > 0)
    return float(per_visit.sum()), _of_start(start, value[0])


def _of_start(start: Floats, value: Floats) -> float:
    return float(start @ (value - start @ value) ** 2)


def radius(steps: Steps, start: Floats, target: Floats, logged: Floats) -> float:
    """Spectral radius of sum_a pi^2 / b P on the states that the policy reaches."""
    from scipy import sparse
    from scipy.sparse import csgraph

    size, actions = steps.size
    k = at(logged, 0) * weights(at(target, 0), at(logged, 0)) ** 2
    pairs = np.arange(size * actions)
    over = sparse.csr_array((k.ravel(), (pairs // actions, pairs)), shape=(size, size * actions))
    moves = sparse.csr_array(over @ sparse.csr_array(steps.at(0).p))
    moves.eliminate_zeros()
    reached = start > 0.0
    while True:
        later = reached | (moves.T @ reached.astype(np.float64) > 0.0)
        if np.array_equal(later, reached):
            break
        reached = later
    kept = sparse.csr_array(moves[reached][:, reached])
    count, member = csgraph.connected_components(kept, directed=True, connection="strong")
    order = np.argsort(member, kind="stable")
    classes = np.split(order, np.cumsum(np.bincount(member, minlength=count))[:-1])
    return max(_of_class(sparse.csr_array(kept[states][:, states])) for states in classes)


def _of_class(matrix: Any) -> float:
    """Spectral radius of an irreducible matrix, which is its largest real eigenvalue."""
    from scipy.sparse import linalg

    size = matrix.shape[0]
    if size > DENSE_STATES:
        try:
            first = np.ones(size)
            return float(linalg.eigs(matrix, k=1, which="LR", v0=first, return_eigenvectors=False)[0].real)
        except linalg.ArpackNoConvergence:
            pass
    return float(np.linalg.eigvals(matrix.toarray()).real.max())
