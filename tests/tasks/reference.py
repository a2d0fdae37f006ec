"""Plain twins: rows one by one, bisection, Kronecker systems, dense scans, every basis, every pattern of signs."""

import itertools
from fractions import Fraction

import numpy as np


def world(seed, d=6, k=2, n_tasks=5, noise=1.0):
    """A random world with heads and target of length one."""
    from pessimism.tasks.instances import random_gaussian

    return random_gaussian(k, n_tasks, dimension=d, noise=noise, rng=seed)


def frozen(*arrays):
    """Read-only, as the package passes them to kernels, which are compiled for that once."""
    for array in arrays:
        array.setflags(write=False)
    return arrays


def least_variance(heads, target, n):
    """min sum nu^2/n over W nu = w: a least-squares problem in nu / sqrt(n)."""
    scale = np.sqrt(np.asarray(n, float))
    found = np.linalg.lstsq(heads * scale, target)[0]
    return found @ found


def exact_norms(heads, target, n):
    """Least sum nu^2/n, |nu|_1 and |nu|_2 over heads nu = target, in 100 digits: entries are taken as exact."""
    import mpmath

    with mpmath.workdps(100):
        matrix, right = mpmath.matrix(heads.tolist()), mpmath.matrix(target.tolist())

        def form(counts):
            return (right.T * mpmath.lu_solve(matrix * mpmath.diag(counts) * matrix.T, right))[0]

        sets = itertools.combinations(range(heads.shape[1]), len(heads))
        sizes = (mpmath.lu_solve(mpmath.matrix(heads[:, list(s)].tolist()), right) for s in sets)
        least = min(sum(abs(x) for x in size) for size in sizes)
        return float(form(n.tolist())), float(least), float(mpmath.sqrt(form([1.0] * len(n))))


def least_cost(heads, target, costs):
    """Least sum costs |nu| over heads nu = target of full rank, over all bases, in fractions: entries are exact."""

    def solved(columns):
        rows = [[Fraction(x) for x in (*row, y)] for row, y in zip(columns.tolist(), target.tolist(), strict=True)]
        for i in range(len(rows)):
            pivot = next((r for r in range(i, len(rows)) if rows[r][i]), None)
            if pivot is None:
                return None
            rows[i], rows[pivot] = rows[pivot], rows[i]
            rows[i] = [x / rows[i][i] for x in rows[i]]
            for r in range(len(rows)):
                if r != i and rows[r][i]:
                    rows[r] = [x - rows[r][i] * y for x, y in zip(rows[r], rows[i], strict=True)]
        return [row[-1] for row in rows]

    sets = map(list, itertools.combinations(range(heads.shape[1]), len(heads)))
    found = ((solved(heads[:, part]), costs[part].tolist()) for part in sets)
    return min(sum(abs(x) * Fraction(c) for x, c in zip(nu, part, strict=True)) for nu, part in found if nu is not None)


def projector(basis):
    return basis @ np.linalg.pinv(basis)


# Allocation


def shares(weights, total, least, most):
    """c * weights between bounds, c by bisection."""
    low, high = 0.0, total / weights[weights > 0].min() + 1.0
    for _ in range(200):
        c = (low + high) / 2
        low, high = (c, high) if np.clip(c * weights, least, most).sum() < total else (low, c)
    return np.clip(high * weights, least, most)


def roundings(values, total, most):
    """All ways to round values up or down to whole numbers of a given total, within caps."""
    down = np.floor(values).astype(int)
    for up in itertools.combinations(range(len(values)), total - down.sum()):
        rows = down.copy()
        rows[list(up)] += 1
        if np.all(rows <= most):
            yield rows


# Representation, item by item: grams (M, d, d), moments (M, d), basis (d, k), heads (M, k)


def loss(grams, moments, theta):
    """Summed squared error minus the squares of the outputs, for coefficients (M, d)."""
    return np.einsum("mi,mij,mj->", theta, grams, theta) - 2.0 * np.einsum("mi,mi->", moments, theta)


def best_heads(grams, moments, basis):
    inner = np.einsum("ia,mij,jb->mab", basis, grams, basis)
    right = np.einsum("ia,mi->ma", basis, moments)
    return np.array([np.linalg.lstsq(g, r, rcond=1e-12)[0] for g, r in zip(inner, right, strict=True)])


def profile(grams, moments, basis):
    """The loss with the best heads."""
    return loss(grams, moments, best_heads(grams, moments, basis) @ basis.T)


def best_basis(grams, moments, heads):
    """Least squares over vec(B) through explicit Kronecker products."""
    d, k = moments.shape[1], heads.shape[1]
    system = sum(np.kron(np.outer(w, w), a) for w, a in zip(heads, grams, strict=True))
    right = sum(np.kron(w, b) for w, b in zip(heads, moments, strict=True))
    return np.linalg.lstsq(system, right, rcond=1e-13)[0].reshape(k, d).T


def gradient(grams, moments, heads, basis):
    return np.einsum("mij,jk,mk,ma->ia", grams, basis, heads, heads) - np.einsum("mi,ma->ia", moments, heads)


def alternate(grams, moments, basis, steps):
    """Losses before and after every alternation, and the last basis."""
    losses = [profile(grams, moments, basis)]
    for _ in range(steps):
        basis = np.linalg.qr(best_basis(grams, moments, best_heads(grams, moments, basis))).Q
        losses.append(profile(grams, moments, basis))
    return losses, basis


def descend(grams, moments, basis, steps):
    """The same with preconditioned gradient steps, halved until they pay, then fitted to a parabola."""
    losses, length, d = [profile(grams, moments, basis)], 1.0, moments.shape[1]
    mean = grams.sum(axis=0) * d / np.einsum("mii->", grams)
    for _ in range(steps):
        heads = best_heads(grams, moments, basis)
        slope = gradient(grams, moments, heads, basis)
        direction = np.linalg.inv(mean) @ slope @ np.linalg.inv(np.einsum("mii,ma,mb->ab", grams, heads, heads) / d)
        fall = np.vdot(slope, direction)
        while (
            losses[-1] - profile(grams, moments, trial := np.linalg.qr(basis - length * direction).Q)
            < 0.1 * length * fall
        ):
            length /= 2
        losses.append(profile(grams, moments, trial))
        curvature = (losses[-1] - losses[-2]) / length**2 + 2.0 * np.vdot(slope, direction) / length
        basis = trial
        if curvature > 0:
            length = min(max(np.vdot(slope, direction) / curvature, 0.1), 4.0)
    return losses, basis


def scanned(grams, moments, points=20_001):
    """Least loss of one direction in the plane, on a dense grid of angles and then by golden sections."""
    from scipy.optimize import minimize_scalar

    def value(angle):
        u = np.stack([np.cos(angle), np.sin(angle)])
        return -np.sum((moments @ u) ** 2 / np.einsum("i...,mij,j...->m...", u, grams, u), axis=0)

    grid = np.linspace(0.0, np.pi, points)
    best = grid[value(grid).argmin()]
    step = np.pi / points
    return minimize_scalar(value, bounds=(best - step, best + step), method="bounded", options={"xatol": 1e-12}).fun


# Relevance


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
