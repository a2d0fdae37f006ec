r"""Fixed policies: what they are worth and where they go, by linear algebra.

With :math:`P_\pi` the transition matrix of a policy and :math:`c_\pi` what a step earns, values solve
:math:`(I - \gamma P_\pi) x = c_\pi` and discounted occupancies the transposed system. Small models are solved densely
and in batches; large ones by sparse Krylov iterations whose residual is checked, with plain sweeps to fall back on.
"""

from typing import TYPE_CHECKING

import numpy as np

from pessimism._batch import chunks, items, part_of

if TYPE_CHECKING:
    from pessimism._types import Floats, Ints
    from pessimism.mdp.model import MDP

DENSE_STATES = 700
"""Largest number of states solved densely: above, sparse iterations are faster."""

ROUNDING = 1e-13
"""Relative residual of an exact solution, as far as float64 can tell."""


def as_law(policy: "Ints | Floats", n_actions: int) -> "Floats":
    """A policy as probabilities (..., A)."""
    chosen = policy if policy.dtype.kind == "f" else policy[..., None] == np.arange(n_actions)
    return np.asarray(chosen, dtype=np.float64)


def expected_sums(mdp: "MDP", source: "Floats", policy: "Ints | Floats") -> "Floats":
    """Discounted sums of a source (..., [G,] S, A) to come from every state, (..., [H,] S), following a policy."""
    law = as_law(policy, mdp.n_actions)
    core = 2 if mdp.horizon is None else 3
    batch = np.broadcast_shapes(mdp.shape, source.shape[:-core], law.shape[:-core])
    if mdp.horizon is None:
        gained = np.broadcast_to((source * law).sum(axis=-1), (*batch, mdp.n_states))
        return _solved(mdp, law, gained, batch, transposed=False)
    from pessimism.mdp._kernels import backward

    tables, sources, laws = items(mdp.probabilities, batch, 4), items(source, batch, 3), items(law, batch, 3, full=True)
    x = backward(mdp.next_states, tables, sources, laws, mdp.discount, mdp.horizon)
    return np.asarray(x.reshape(*batch, mdp.horizon, mdp.n_states))


def state_laws(mdp: "MDP", policy: "Ints | Floats") -> "Floats":
    """Normalised occupancy of the states, (..., S); with a horizon the law of the state at every step, (..., H, S)."""
    law = as_law(policy, mdp.n_actions)
    batch = np.broadcast_shapes(mdp.shape, law.shape[: -2 if mdp.horizon is None else -3])
    if mdp.horizon is None:
        start = np.broadcast_to((1.0 - mdp.discount) * mdp.start, (*batch, mdp.n_states))
        laws = _solved(mdp, law, start, batch, transposed=True)
        return np.asarray(laws / laws.sum(axis=-1, keepdims=True))  # rounding is mostly a factor
    from pessimism.mdp._kernels import forward

    tables, starts, laws = (
        items(mdp.probabilities, batch, 4),
        items(mdp.start, batch, 1),
        items(law, batch, 3, full=True),
    )
    x = forward(mdp.next_states, tables, starts, laws, mdp.horizon)
    return np.asarray(x.reshape(*batch, mdp.horizon, mdp.n_states))


def _solved(mdp: "MDP", law: "Floats", right: "Floats", batch: tuple[int, ...], transposed: bool) -> "Floats":
    from pessimism.mdp._kernels import policy_matrices

    tables, laws = items(mdp.probabilities, batch, 3), items(law, batch, 2, full=True)
    flat = right.reshape(-1, mdp.n_states)
    if mdp.n_states > DENSE_STATES:
        rows = [_sparse_solution(mdp, tables[i % len(tables)], laws[i], flat[i], transposed) for i in range(len(flat))]
        return np.array(rows).reshape(*batch, mdp.n_states)
    x = np.empty(flat.shape)
    for part in chunks(len(flat), 8 * mdp.n_states**2):
        moves = policy_matrices(mdp.next_states, part_of(tables, part), laws[part])
        matrices = np.eye(mdp.n_states) - mdp.discount * moves
        if transposed:
            matrices = matrices.transpose(0, 2, 1)
        x[part] = np.linalg.solve(matrices, flat[part][..., None])[..., 0]
    return x.reshape(*batch, mdp.n_states)


def _sparse_solution(mdp: "MDP", table: "Floats", law: "Floats", right: "Floats", transposed: bool) -> "Floats":
    from scipy import sparse
    from scipy.sparse import linalg

    size = mdp.n_states
    used = law > 0.0
    weights = (law[..., None] * table)[used]
    rows = np.repeat(np.nonzero(used)[0], table.shape[-1])
    moves = sparse.csr_array((weights.ravel(), (rows, mdp.next_states[used].ravel())), shape=(size, size))
    system = sparse.csr_array(sparse.eye_array(size) - mdp.discount * moves)
    if transposed:
        system = sparse.csr_array(system.T)
    x = right / (1.0 - mdp.discount) if not transposed else right.copy()
    for _ in range(20):
        residual = right - system @ x
        if _solves(x, right, residual):
            return x
        with np.errstate(all="ignore"):  # it may break down; the residual tells
            step, _ = linalg.bicgstab(system, residual, rtol=1e-6, atol=0.0, maxiter=1000)
        refined = x + step
        if not (np.isfinite(step).all() and np.abs(right - system @ refined).max() < 0.5 * np.abs(residual).max()):
            break
        x = refined
    # plain sweeps contract by the discount, whatever the model; the transposed ones in the 1-norm
    while not _solves(x, right, residual := right - system @ x):
        x = x + residual
    return x


def _solves(x: "Floats", right: "Floats", residual: "Floats") -> bool:
    return bool(np.abs(residual).max() <= ROUNDING * max(np.abs(right).max(), np.abs(x).max()))
