r"""Fixed policies: what they are worth and where they go, by linear algebra.

With :math:`P_\pi` the transition matrix of a policy and :math:`c_\pi` the reward of a step, values solve
:math:`(I - \gamma P_\pi) x = c_\pi` and discounted occupancies the transposed system. Small models are solved densely
and in batches; large ones by sparse Krylov iterations whose residual is checked, with plain sweeps to fall back on.
With a horizon both are recursions over the steps.
"""

import numpy as np

from pessimism._batch import chunks, items, part_of
from pessimism._types import Floats
from pessimism.mdp._engine.tables import States, Tables

DENSE_STATES = 700
"""Largest number of states solved densely: above, sparse iterations are faster."""

ROUNDING = 1e-13
"""Relative residual of an exact solution, as far as float64 can tell."""


def expected_sums(tables: Tables, law: Floats) -> Floats:
    """Discounted sums of the rewards to come from every state, (..., [H,] S), under a policy (..., [G,] S, A)."""
    core = 2 if tables.horizon is None else 3
    batch = np.broadcast_shapes(tables.shape, tables.rewards.shape[:-core], law.shape[:-core])
    if tables.horizon is None:
        gained = np.broadcast_to((tables.rewards * law).sum(axis=-1), (*batch, tables.n_states))
        return _solved(tables, law, gained, batch, transposed=False)
    from pessimism.mdp._engine.finite_horizon import backward

    p, rewards = items(tables.probabilities, batch, 4), items(tables.rewards, batch, 3)
    laws = items(law, batch, 3, full=True)
    x = backward(tables.next_states, p, rewards, laws, tables.discount, tables.horizon)
    return np.asarray(x.reshape(*batch, tables.horizon, tables.n_states))


def state_laws(tables: Tables, start: Floats, law: Floats) -> Floats:
    """Normalised occupancy of the states, (..., S); with a horizon the law of the state at every step, (..., H, S)."""
    batch = np.broadcast_shapes(tables.shape, law.shape[: -2 if tables.horizon is None else -3])
    if tables.horizon is None:
        first = np.broadcast_to((1.0 - tables.discount) * start, (*batch, tables.n_states))
        met = _solved(tables, law, first, batch, transposed=True)
        return np.asarray(met / met.sum(axis=-1, keepdims=True))  # rounding is mostly a common factor
    from pessimism.mdp._engine.finite_horizon import forward

    p, starts, laws = items(tables.probabilities, batch, 4), items(start, batch, 1), items(law, batch, 3, full=True)
    x = forward(tables.next_states, p, starts, laws, tables.horizon)
    return np.asarray(x.reshape(*batch, tables.horizon, tables.n_states))


def policy_matrices(next_states: States, probabilities: Floats, laws: Floats) -> Floats:
    """Transition matrices (items, S, S) of policies (items, S, A); one table of probabilities may serve all items."""
    count, size, _ = laws.shape
    item, state, action = np.nonzero(laws > 0.0)
    weights = laws[item, state, action, None] * probabilities[item % len(probabilities), state, action]
    place = ((item * size + state) * size)[:, None] + next_states[state, action]
    sums = np.bincount(place.ravel(), weights.ravel(), minlength=count * size * size)
    return sums.astype(np.float64, copy=False).reshape(count, size, size)


def _solved(tables: Tables, law: Floats, right: Floats, batch: tuple[int, ...], transposed: bool) -> Floats:
    size = tables.n_states
    p, laws = items(tables.probabilities, batch, 3), items(law, batch, 2, full=True)
    flat = right.reshape(-1, size)
    if size > DENSE_STATES:
        rows = [_sparse_solution(tables, p[i % len(p)], laws[i], flat[i], transposed) for i in range(len(flat))]
        return np.array(rows).reshape(*batch, size)
    x = np.empty(flat.shape)
    for part in chunks(len(flat), 8 * size * max(size, tables.next_states[0].size)):
        matrices = np.eye(size) - tables.discount * policy_matrices(tables.next_states, part_of(p, part), laws[part])
        if transposed:
            matrices = matrices.transpose(0, 2, 1)
        x[part] = np.linalg.solve(matrices, flat[part][..., None])[..., 0]
    return x.reshape(*batch, size)


def _sparse_solution(tables: Tables, table: Floats, law: Floats, right: Floats, transposed: bool) -> Floats:
    from scipy import sparse
    from scipy.sparse import linalg

    size = tables.n_states
    used = law > 0.0
    weights = (law[..., None] * table)[used]
    rows = np.repeat(np.nonzero(used)[0], table.shape[-1])
    moves = sparse.csr_array((weights.ravel(), (rows, tables.next_states[used].ravel())), shape=(size, size))
    system = sparse.csr_array(sparse.eye_array(size) - tables.discount * moves)
    if transposed:
        system = sparse.csr_array(system.T)
    x = right / (1.0 - tables.discount) if not transposed else right.copy()
    for _ in range(20):
        residual = right - system @ x
        if _solves(x, right, residual):
            return x
        with np.errstate(all="ignore"):  # the iteration may break down, which the residual shows
            step, _ = linalg.bicgstab(system, residual, rtol=1e-6, atol=0.0, maxiter=1000)
        refined = x + step
        if not (np.isfinite(step).all() and np.abs(right - system @ refined).max() < 0.5 * np.abs(residual).max()):
            break
        x = refined
    # plain sweeps contract by the discount, whatever the model; the transposed ones in the 1-norm
    while not _solves(x, right, residual := right - system @ x):
        x = x + residual
    return x


def _solves(x: Floats, right: Floats, residual: Floats) -> bool:
    return bool(np.abs(residual).max() <= ROUNDING * max(np.abs(right).max(), np.abs(x).max()))
