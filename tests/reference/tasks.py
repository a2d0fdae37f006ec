"""Plain twins for relevance: every basis, every pattern of signs, one coordinate after the other."""

import itertools

import numpy as np


def task_vectors(rng, k, n_tasks, condition=1.0, batch=()):
    """Normal heads whose singular values spread over `condition`, in a random basis, and normal targets."""
    heads = rng.normal(size=(*batch, k, n_tasks)) * np.geomspace(1.0, 1.0 / condition, k)[:, None]
    turn = np.linalg.qr(rng.normal(size=(*batch, k, k)))[0]
    return turn @ heads, rng.normal(size=(*batch, k))


def vertices(heads, target):
    """All basic solutions of heads @ nu = target, as rows: supports are independent columns."""
    rank, n_tasks = np.linalg.matrix_rank(heads), heads.shape[1]
    found = []
    for support in itertools.combinations(range(n_tasks), rank):
        columns = heads[:, support]
        if np.linalg.matrix_rank(columns) == rank:
            nu = np.zeros(n_tasks)
            nu[list(support)] = np.linalg.lstsq(columns, target)[0]
            if np.linalg.norm(heads @ nu - target) <= 1e-9:
                found.append(nu)
    return np.array(found)


def lasso_objective(heads, target, penalty, nu):
    return 0.5 * np.sum((heads @ nu - target) ** 2) + penalty * np.abs(nu).sum()


def lasso_by_signs(heads, target, penalty):
    """Weights of the pattern of signs whose stationary point has the smallest objective."""
    best = np.zeros(heads.shape[1])
    for signs in itertools.product((-1.0, 0.0, 1.0), repeat=heads.shape[1]):
        used = np.flatnonzero(signs)
        columns = heads[:, used]
        if used.size and np.linalg.matrix_rank(columns) == used.size:
            nu = np.zeros(heads.shape[1])
            nu[used] = np.linalg.solve(columns.T @ columns, columns.T @ target - penalty * np.array(signs)[used])
            if lasso_objective(heads, target, penalty, nu) < lasso_objective(heads, target, penalty, best):
                best = nu
    return best


def lasso_by_coordinates(heads, target, penalty, sweeps):
    """Cyclic coordinate descent from 0."""
    nu, missed, sizes = np.zeros(heads.shape[1]), target.copy(), (heads**2).sum(axis=0)
    for _ in range(sweeps):
        for m in range(nu.size):
            pull = heads[:, m] @ missed + sizes[m] * nu[m]
            fresh = np.sign(pull) * max(abs(pull) - penalty, 0.0) / sizes[m]
            missed += heads[:, m] * (nu[m] - fresh)
            nu[m] = fresh
    return nu


def lasso_gap(heads, target, penalty, nu, dual):
    """Duality gap relative to half the squared length of the target; inf if the dual point is not feasible."""
    slope = np.abs(heads.T @ dual).max()
    if slope > penalty * (1 + 1e-9):
        return np.inf
    dual = dual * min(1.0, penalty / slope)  # what another order of summation leaves
    bound = 0.5 * target @ target - 0.5 * np.sum((target - dual) ** 2)
    return (lasso_objective(heads, target, penalty, nu) - bound) / (0.5 * target @ target)
