"""Source-task selection: the Lasso in a batch beside one call a problem of others, and fits beside plain einsum."""

import time
from collections.abc import Callable
from functools import cache

import cvxpy as cp
import numpy as np
from sklearn.linear_model import Lasso, lars_path

from pessimism.tasks import LinearTasks, TaskData, fit_representation, instances, lasso
from pessimism.tasks._engine.representation import spectral_start

K, M, COUNT, PART, GAP = 20, 100, 2000, 1e-2, 1e-8

# Lasso: k = 20, M = 100, a hundredth of the largest penalty, relative gap 1e-8


@cache
def problems() -> tuple[np.ndarray, np.ndarray]:
    """Unit-norm normal heads and targets."""
    rng = np.random.default_rng(1)
    heads, targets = rng.normal(size=(COUNT, K, M)), rng.normal(size=(COUNT, K))
    return (
        heads / np.linalg.norm(heads, axis=1, keepdims=True),
        targets / np.linalg.norm(targets, axis=1, keepdims=True),
    )


def ours() -> np.ndarray:
    """All problems in one call, on all cores."""
    return lasso(*problems(), regularization=PART, tolerance=GAP).weights


def one_by_one(solve: Callable[[np.ndarray, np.ndarray, float], np.ndarray], count: int) -> np.ndarray:
    """The first `count` problems, one after the other."""
    heads, targets = problems()
    penalties = PART * np.abs(np.einsum("nkm,nk->nm", heads, targets)).max(axis=1)
    return np.array([solve(*problem) for problem in zip(heads[:count], targets[:count], penalties, strict=False)])


def alone(heads: np.ndarray, target: np.ndarray, _: float) -> np.ndarray:
    return lasso(heads, target, regularization=PART, tolerance=GAP).weights


def by_lars(heads: np.ndarray, target: np.ndarray, penalty: float) -> np.ndarray:
    return lars_path(heads, target, method="lasso", alpha_min=penalty / K, return_path=False)[2]


def by_coordinates(heads: np.ndarray, target: np.ndarray, penalty: float) -> np.ndarray:
    model = Lasso(alpha=penalty / K, fit_intercept=False, tol=GAP / 2, max_iter=10**6)
    return model.fit(heads, target).coef_


def by_celer(heads: np.ndarray, target: np.ndarray, penalty: float) -> np.ndarray:
    from celer import Lasso as Celer

    return Celer(alpha=penalty / K, fit_intercept=False, tol=GAP / 2, max_iter=10**4).fit(heads, target).coef_


@cache
def program() -> tuple[cp.Problem, cp.Variable, tuple[cp.Parameter, cp.Parameter, cp.Parameter]]:
    a, heads, target, penalty = cp.Variable(M), cp.Parameter((K, M)), cp.Parameter(K), cp.Parameter(nonneg=True)
    loss = 0.5 * cp.sum_squares(heads @ a - target) + penalty * cp.norm1(a)
    return cp.Problem(cp.Minimize(loss)), a, (heads, target, penalty)


def by_cvxpy(heads: np.ndarray, target: np.ndarray, penalty: float) -> np.ndarray:
    problem, a, parameters = program()
    for parameter, value in zip(parameters, (heads, target, penalty), strict=True):
        parameter.value = value
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    return a.value


PEERS = {
    "ours, one call a problem": (alone, 200),
    "scikit-learn lars_path": (by_lars, 200),
    "scikit-learn Lasso": (by_coordinates, 200),
    "celer": (by_celer, 200),
    "cvxpy, Clarabel": (by_cvxpy, 50),
}
"""Name: the solver of one problem, and how many are solved."""


def worst_gap(weights: np.ndarray) -> float:
    """Largest relative duality gap, with the residual as dual point."""
    heads, targets = (array[: len(weights)] for array in problems())
    penalties = PART * np.abs(np.einsum("nkm,nk->nm", heads, targets)).max(axis=1)
    rest = targets - np.einsum("nkm,nm->nk", heads, weights)
    slopes = np.abs(np.einsum("nkm,nk->nm", heads, rest)).max(axis=1)
    points = rest * np.minimum(1.0, penalties / slopes)[:, None]
    primal = 0.5 * (rest**2).sum(axis=1) + penalties * np.abs(weights).sum(axis=1)
    dual = 0.5 * (targets**2).sum(axis=1) - 0.5 * ((targets - points) ** 2).sum(axis=1)
    return float(((primal - dual) / (0.5 * (targets**2).sum(axis=1))).max())


# Representation: d = 100, k = 5, M = 100 for one data set, and a sweep of 200 data sets


@cache
def world(dimension: int, tasks: int, replicates: int) -> tuple[LinearTasks, TaskData]:
    made = instances.random_gaussian(5, tasks, dimension=dimension, rng=1)
    return made, made.sample(3 * dimension, size=replicates, rng=2)


@cache
def first() -> np.ndarray:
    """Where both sides start, so that only the steps are timed."""
    data = world(100, 100, 1)[1]
    return spectral_start(data.grams, data.moments, data.counts, 5)[0]


def fitted(method: str) -> tuple[int, float]:
    """Steps and loss of our fit."""
    fit = fit_representation(world(100, 100, 1)[1], 5, start=first(), method=method)
    return int(fit.iterations[0]), float(fit.loss[0])


def fitted_plainly(*, optimize: bool = False) -> tuple[int, float]:
    """Alternating least squares as one writes it: the normal equations of the basis by einsum, plain or optimised."""
    data = world(100, 100, 1)[1]
    grams, moments, squares = data.grams[0], data.moments[0], data.squares[0].sum()
    basis = first()
    d, k = basis.shape
    before, steps = np.inf, 0
    while True:
        inner = np.einsum("ia,mij,jb->mab", basis, grams, basis, optimize=True)
        right = moments @ basis
        heads = np.linalg.solve(inner, right[..., None])[..., 0]
        loss = squares - np.einsum("ma,ma->", heads, right)
        if before - loss < 1e-12 * squares:
            return steps, float(loss)
        system = np.einsum("ma,mb,mij->aibj", heads, heads, grams, optimize=optimize).reshape(k * d, k * d)
        basis = np.linalg.qr(np.linalg.solve(system, np.einsum("ma,mi->ai", heads, moments).ravel()).reshape(k, d).T)[0]
        before, steps = loss, steps + 1


def risk_sweep() -> float:
    """Seconds for 200 data sets, from the draw to the exact risks."""
    start = time.perf_counter()
    made = instances.random_gaussian(5, 50, dimension=50, rng=1)
    made.representation_risk(fit_representation(made.sample(200, size=200, rng=3), 5).basis).mean()
    return time.perf_counter() - start
