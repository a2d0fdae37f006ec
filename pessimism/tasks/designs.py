r"""Optimal designs: shares of the source tasks under which a target, or targets of any direction, are learned best.

With samples in shares :math:`x_m \ge 0`, :math:`\sum_m x_m = 1`, of source tasks with heads W (k, M), the risk on a
target with head w is to leading order proportional to :math:`w^\top M(x)^{-1} w`, with :math:`M(x) = W \mathrm{diag}(x)
W^\top` (derived by us: `variance`). With floors :math:`f_m \le x_m` and :math:`F = \sum_m f_m`, the largest information
along a matrix N that shares can buy is

.. math:: h(N) = \sum_m f_m\, w_m^\top N w_m + (1 - F) \max_m w_m^\top N w_m \ge \mathrm{tr}\, N M(x),

and bounds every criterion by duality. For all shares x, targets w and any y, Y, positive definite N, or :math:`Z
\succeq 0` of trace 1:

.. math::
    w^\top M(x)^{-1} w &\ge (w^\top y)^2 / h(y y^\top) & \text{(c)} \\
    \mathrm{tr}\, M(x)^{-1} &\ge (\mathrm{tr}\, Y)^2 / h(Y Y^\top) & \text{(A)} \\
    \log\det M(x) &\le k \log(h(N) / k) - \log\det N & \text{(D)} \\
    \lambda_{\min}(M(x)) &\le h(Z) & \text{(E)}

Each design carries the point (`dual`) at which this bound, computed again from the shares returned, meets its value:
the equivalence theorems of optimal design with floors. Without floors they are those of Elfving and of Kiefer and
Wolfowitz. A ValueError or TypeError names the argument with an entry out of its range or of the wrong shape:
floors that exceed 1 in total, a target outside the span of the heads, heads of a rank below k for the other designs. A
`ConvergenceError` carries a design whose gap is above 1e-6, because the heads are nearly dependent.
"""

import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._objects import Speaking
from pessimism._status import ConvergenceError, Status
from pessimism._types import Floats
from pessimism.tasks._arguments import (
    heads_and_target,
    precisions,
    single_deviations,
    six_digits,
    source_deviations,
)
from pessimism.tasks._engine import interior_point
from pessimism.tasks._engine.linear_algebra import VAGUE, least_norm, near_one, span, whitened
from pessimism.tasks.relevance import _reached, min_l1

__all__ = ["Design", "a_optimal", "c_optimal", "d_optimal", "e_optimal", "variance"]

_PROGRAM = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-9)  # at 1e-12 CLARABEL can panic

_NO_SHARE = "floor must leave a share for the tasks that {}: lower the floors of the others"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Design(Speaking):
    r"""Shares of the source tasks, with a certificate that they are optimal.

    Attributes
    ----------
    shares : (M,) float
        x, at least the floors, with sum 1.
    value : float
        The criterion at the shares; 0 or inf where float64 underflows or overflows, as may be entries of `dual`.
    gap : float
        Relative distance of the value from the bound at `dual`; for D-optimality that of :math:`(\det M)^{1/k}`.
    dual : (k,) or (k, k) float
        The point of the bound: y for c-optimality, Y, N or Z for the others, in the basis of the heads.
    status : Status
        How it ended; DEPENDENT where heads that are dependent but for rounding were taken to be.

    Notes
    -----
    Statement: no shares that respect the floors are better by more than the gap, up to rounding. Cost :math:`O(k^2 M)`
    to check. Source: duality of concave criteria, derived by us with floors.

    Examples
    --------
    >>> design = d_optimal([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]])
    >>> design.shares.round(6).tolist(), design.gap < 1e-8
    ([0.5, 0.5, 0.0], True)
    """

    shares: Floats
    value: float
    gap: float
    dual: Floats
    status: Status


def c_optimal(heads: ArrayLike, target: ArrayLike, *, floor: ArrayLike = 0.0, source_noise: ArrayLike = 1.0) -> Design:
    r"""Find the best shares for one target.

    Parameters
    ----------
    heads : (k, M) array_like of float
        W, a column for each source task.
    target : (k) array_like of float
        Head w of the target, in the span of the heads.
    floor : float or (M,) array_like of float
        Smallest share of every task.
    source_noise : float or (M,) array_like of float
        Standard deviation :math:`\sigma_m` of the noise of each source task, positive.

    Returns
    -------
    Design
        With value :math:`w^\top M(x)^{-1} w`, in the sense of `variance` where M is singular.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, shapes do not fit or the target lies outside the span of the heads.
    ConvergenceError
        If the heads are nearly dependent.

    See Also
    --------
    pessimism.tasks.relevance.min_l1 : The same optimum without floors.
    pessimism.tasks.bounds.known_noise_risk : The risk of buying by it.
    pessimism.tasks.rules.fixed.fixed : The rule that buys by given shares.

    Notes
    -----
    Statement: :math:`\min_x w^\top M(x)^{-1} w = \max_y (w^\top y)^2 / h(y y^\top)`. Without floors it is
    :math:`\|\nu^1\|_1^2` at :math:`x \propto |\nu^1|`, the vertex found by `min_l1`, and y is its dual point. With
    floors it is a second-order cone program, solved by an interior-point method. Cost: a linear program, or a dozen
    steps of :math:`O(M^3)`. Source: Elfving (1952) without floors; with floors derived by us. For the target 0 all
    shares are optimal; what the floors leave is then shared evenly.

    With `source_noise`, :math:`M(x) = \sum_m x_m w_m w_m^\top / \sigma_m^2`: all of this holds for the heads
    :math:`w_m / \sigma_m`. Without floors :math:`x_m \propto \sigma_m |\nu_m|` for the weights of smallest
    :math:`\sum_m \sigma_m |\nu_m|`, whose square is the value. The tasks bought are then independent, so that only one
    :math:`\nu` composes the target of them: sums over rows attain the value, and so do rows weighted by
    :math:`1/\sigma_m^2` (derived by us).

    Examples
    --------
    >>> heads, target = [[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]], [3.0, 1.0]
    >>> design = c_optimal(heads, target)
    >>> design.shares.round(6).tolist(), round(design.value, 6)
    ([0.642857, 0.0, 0.357143], 12.25)
    >>> c_optimal(heads, target, floor=0.1).shares.min().round(9).item()
    0.1

    Of two copies of a task the one with less noise is bought.

    >>> c_optimal([[1.0, 1.0]], [2.0], source_noise=[3.0, 0.5]).shares.tolist()
    [0.0, 1.0]
    """
    columns, goal, sizes = near_one(*heads_and_target(heads, target, single=True))
    floors = _floors(floor, columns.shape[1])
    noise, exponent = single_deviations(source_noise, columns.shape[1])
    found = min_l1(columns, goal, source_noise=noise)
    if not goal.any():
        return Design(_feasible(np.ones(len(floors)), floors), 0.0, 0.0, np.zeros(len(goal)), Status.EXACT)
    columns, sizes = columns / noise, (sizes[0] - exponent, sizes[1])
    if not floors.any():
        shares = _feasible(noise * np.abs(found.weights), floors)
        return _c_design(columns, goal, floors, shares, found.dual, sizes, _reached(found, Status.EXACT))
    rows, change = whitened(columns)
    wanted = change @ goal[:, None]
    wanted = wanted / np.linalg.norm(wanted)
    shares = _minimise_trace(rows, wanted, floors)
    point = change.T @ np.linalg.lstsq((rows * shares) @ rows.T, wanted)[0][:, 0]  # singular without a free share
    return _c_design(columns, goal, floors, shares, point, sizes, _reached(found, Status.CONVERGED))


def a_optimal(heads: ArrayLike, *, floor: ArrayLike = 0.0, source_noise: ArrayLike = 1.0) -> Design:
    r"""Find the best shares on average over targets drawn from :math:`N(0, I)`.

    Parameters
    ----------
    heads : (k, M) array_like of float
        W, of rank k.
    floor : float or (M,) array_like of float
        Smallest share of every task.
    source_noise : float or (M,) array_like of float
        Standard deviation :math:`\sigma_m` of the noise of each source task, positive: what follows then holds for the
        heads :math:`w_m / \sigma_m`.

    Returns
    -------
    Design
        With value :math:`\mathrm{tr}\, M(x)^{-1}`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, or the heads do not have rank k.
    ConvergenceError
        If the heads are nearly dependent.

    Notes
    -----
    Statement: :math:`\min_x \mathrm{tr}\, M(x)^{-1} = \max_Y (\mathrm{tr}\, Y)^2 / h(Y Y^\top)`, met at
    :math:`Y = M^{-1}`. It depends on the basis of the heads, up to rotations. Cost: a dozen Newton steps of
    :math:`O(M^3)`. Source: the equivalence theorem of A-optimality (textbook); with floors derived by us.

    Examples
    --------
    >>> design = a_optimal([[1.0, 0.0], [0.0, 0.5]])
    >>> design.shares.round(6).tolist(), round(design.value, 6)
    ([0.333333, 0.666667], 9.0)
    """
    rows, change, floors, exponent = _problem(heads, floor, source_noise)
    size = np.linalg.norm(change)
    shares = _minimise_trace(rows, change / size, floors)
    points, slopes, _ = interior_point.information(rows, change, shares)
    value = float((change * points).sum())
    gap, dual = 1.0 - value / _largest(slopes, floors), change.T @ points
    return _certified(shares, _times(value, -2 * exponent), gap, _times(dual, -2 * exponent), Status.CONVERGED)


def d_optimal(heads: ArrayLike, *, floor: ArrayLike = 0.0, source_noise: ArrayLike = 1.0) -> Design:
    r"""Find the shares of the smallest confidence ellipsoid; without floors also the best for the worst source task.

    Parameters
    ----------
    heads, floor, source_noise : as in `a_optimal`
        See there.

    Returns
    -------
    Design
        With value :math:`\log\det M(x)`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, or the heads do not have rank k.
    ConvergenceError
        If the heads are nearly dependent.

    Notes
    -----
    Statement: :math:`\max_x \log\det M(x) = \min_N k \log(h(N)/k) - \log\det N`, met at :math:`N = M^{-1}`; without
    floors optimality is :math:`\max_m w_m^\top M^{-1} w_m = k`. The shares are the same in every basis of the heads.
    Cost: a dozen Newton steps of :math:`O(M^3)`. Source: Kiefer and Wolfowitz (1960); with floors derived by us.

    Examples
    --------
    >>> design = d_optimal([[1.0, 0.0], [0.0, 0.5]])
    >>> design.shares.round(6).tolist(), round(design.value, 6)
    ([0.5, 0.5], -2.772589)
    """
    rows, change, floors, exponent = _problem(heads, floor, source_noise)
    local = partial(_det, rows, floors)
    shares = _minimise(local, floors)
    half = interior_point.root(rows, shares) @ change
    value = float(2.0 * (len(rows) * exponent * np.log(2.0) - np.linalg.slogdet(half)[1]))
    return _certified(shares, value, local(shares)[0], _times(half.T @ half, -2 * exponent), Status.CONVERGED)


def e_optimal(heads: ArrayLike, *, floor: ArrayLike = 0.0, source_noise: ArrayLike = 1.0) -> Design:
    r"""Find the best shares for the hardest target of length 1.

    Parameters
    ----------
    heads, floor, source_noise : as in `a_optimal`
        See there.

    Returns
    -------
    Design
        With value :math:`\lambda_{\min}(M(x))`, one over the variance of the hardest target.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, or the heads do not have rank k.
    ConvergenceError
        If the heads are nearly dependent.

    Notes
    -----
    Statement: :math:`\max_x \lambda_{\min}(M(x)) = \min\{h(Z) : Z \succeq 0, \mathrm{tr}\, Z = 1\}`; at most 1/k if
    the heads have length 1. It depends on the basis of the heads, up to rotations. Cost: a semidefinite
    program with k x k matrices, by CLARABEL through cvxpy; its dual is projected before it is used as Z. Source:
    duality (textbook); with floors derived by us.

    Examples
    --------
    >>> design = e_optimal([[1.0, 0.0], [0.0, 0.5]])
    >>> design.shares.round(6).tolist(), round(design.value, 6)
    ([0.2, 0.8], 0.2)
    """
    rows, change, floors, exponent = _problem(heads, floor, source_noise)
    cost = change @ change.T
    size = np.linalg.norm(cost, 2)
    shares, dual = _semidefinite(rows, cost / size, floors)
    value = float(1.0 / np.linalg.norm(interior_point.root(rows, shares) @ change, 2) ** 2)
    bound = _largest((rows * (dual @ rows)).sum(axis=0), floors) / size
    gap, dual = float(bound / value - 1.0), change.T @ dual @ change / size
    return _certified(shares, _times(value, 2 * exponent), gap, dual, Status.CONVERGED)


def variance(heads: ArrayLike, target: ArrayLike, samples: ArrayLike, *, source_noise: ArrayLike = 1.0) -> Floats:
    r"""Compute the variance with which a target is learned from given samples, in units of :math:`\sigma^2 (d - k)`.

    Parameters
    ----------
    heads : (..., k, M) array_like of float
        W, a column for each source task.
    target : (..., k) array_like of float
        Head w of the target.
    samples : (..., M) array_like of float
        Counts n or shares, at least 0. Leading axes broadcast.
    source_noise : float or (..., M) array_like of float
        Standard deviation :math:`\sigma_m` of the noise of each source task, positive. The variance is then in units of
        d - k, for a fit that weights the rows of a task by :math:`1/\sigma_m^2` (`TaskData.weighted`).

    Returns
    -------
    (...) float
        :math:`w^\top (W \mathrm{diag}(n/\sigma^2) W^\top)^{-1} w`; inf where w is outside the span of the sampled
        tasks; NaN, with a `ConvergenceWarning`, where sampled heads of a batch are nearly dependent.

    Raises
    ------
    ConvergenceError
        If the sampled heads are nearly dependent, and it is no batch.

    See Also
    --------
    pessimism.tasks.model.LinearTasks.predicted_risk : The risk that it predicts.

    Notes
    -----
    Statement: :math:`\min_\nu \{\sum_m \sigma_m^2 \nu_m^2 / n_m : W\nu = w\}`, tasks without samples left out.
    A sampled task adds a direction if its head, scaled to length 1, is further from the span of those before it, in the
    order of pivoting, than the rounding of its entries, 2e-16 max(k, M); within 1e-9 the value has fewer than six
    digits, and is NaN or an error. A target counts as reached within 1e-8 of its length. Neither depends on the counts,
    and counts of very different sizes cost no accuracy. Cost :math:`O(k^2 M)` an item. Source: derived by us, as the
    leading order of the risk of least squares over representations.

    Examples
    --------
    >>> float(variance([[1.0, 0.0], [0.0, 1.0]], [1.0, 2.0], [10, 20]).round(12))
    0.3
    >>> float(variance([[1.0, 0.0], [0.0, 1.0]], [1.0, 2.0], [10, 0]))
    inf
    """
    columns, goal = heads_and_target(heads, target)
    counts = _check.vector("samples", samples, columns.shape[-1], "an entry for each column of heads", low=0.0)
    noise, exponents = source_deviations(source_noise, columns.shape[-1])
    batches = columns.shape[:-2], goal.shape[:-1], counts.shape[:-1], noise.shape[:-1]
    _check.broadcast("heads, target, samples and source_noise", *batches)
    found = least_norm(columns, goal, precisions("samples", counts, noise))
    with np.errstate(over="ignore", under="ignore"):
        return six_digits(found._replace(value=np.ldexp(found.value, 2 * exponents)))


def _floors(floor: ArrayLike, n_tasks: int) -> Floats:
    floors = _check.real_array("floor", floor, low=0.0, high=1.0)
    if floors.shape not in ((), (n_tasks,)):
        raise ValueError(f"floor must be one number or have shape ({n_tasks},), got {floors.shape}")
    kept = (floors == 0) | (floors >= _check.MIN_SIZE)
    _check.require("floor", floors, kept, f"0 or at least {_check.MIN_SIZE:g}")
    floors = np.broadcast_to(floors, (n_tasks,))
    total = floors.sum()
    if total > 1.0 + _check.SUM_TOLERANCE:
        raise ValueError(f"floor must leave a total of at most 1 over {n_tasks} tasks, got {total:.6g}: lower it")
    return np.asarray(floors / max(total, 1.0))


def _problem(heads: ArrayLike, floor: ArrayLike, source_noise: ArrayLike) -> tuple[Floats, Floats, Floats, Any]:
    """Whitened heads, the change of basis that whitens them, floors, and the power of two divided out of the heads."""
    columns = _check.matrix("heads", heads, "k, tasks", single=True)
    columns, _, (exponent, _) = near_one(columns, np.zeros(len(columns)))
    floors = _floors(floor, columns.shape[1])
    noise, less = single_deviations(source_noise, columns.shape[1])
    with np.errstate(over="ignore"):
        columns, exponent = columns / noise, exponent - less
    largest = np.abs(columns).max()
    _check.require("heads / source_noise", columns, np.isfinite(columns), "finite")
    columns = np.where(np.abs(columns) < _check.MIN_SIZE * largest, 0.0, columns)  # too few digits to compute with
    sizes = span(columns).sizes
    rank = np.count_nonzero(sizes > VAGUE * sizes[0])
    if rank < len(columns):
        raise ValueError(
            f"heads must have rank k = {len(columns)}, got rank {rank} from {columns.shape[1]} tasks: add source "
            "tasks in the missing directions, or express the heads in a basis of their span (with heads of length 1, a "
            f"singular value below {VAGUE:g} of the largest leaves a design fewer than six digits, and counts as 0)"
        )
    rows, change = whitened(columns)
    if floors.sum() >= 1.0 and np.isinf(least_norm(rows, np.eye(len(rows)), floors).value).any():
        raise ValueError(_NO_SHARE.format("rank k needs"))
    return rows, change, floors, exponent


def _times(value: Any, exponent: Any) -> Any:
    """The value times a power of two; 0 or inf where float64 underflows or overflows."""
    with np.errstate(over="ignore", under="ignore"):
        product = np.ldexp(value, exponent)
    return product if np.ndim(value) else float(product)


def _feasible(parts: Floats, floors: Floats) -> Floats:
    """Floors plus the rest of the total in proportion to `parts`; a rounding error goes to the largest."""
    free = max(1.0 - floors.sum(), 0.0)
    shares = floors + free * (parts / parts.sum())
    shares[np.argmax(shares - floors)] += 1.0 - shares.sum()
    return np.asarray(np.maximum(shares, floors))


def _largest(sensitivities: Floats, floors: Floats) -> float:
    """h: the largest total that shares can give, if a share of task m gives its sensitivity."""
    return float(floors @ sensitivities + max(1.0 - floors.sum(), 0.0) * sensitivities.max())


def _minimise(local: interior_point.Local, floors: Floats) -> Floats:
    n_tasks, free = len(floors), 1.0 - floors.sum()
    if free <= 0.0:  # nothing to choose
        return _feasible(np.ones(n_tasks), floors)
    return _feasible(interior_point.minimise(local, floors, np.full(n_tasks, free / n_tasks), total=True), floors)


def _det(rows: Floats, floors: Floats, x: Floats) -> tuple[float, Floats, Floats]:
    spread = interior_point.root(rows, x) @ rows
    products = spread.T @ spread
    slopes = np.diagonal(products)
    return float(np.log(_largest(slopes, floors) / len(rows))), -slopes, products**2


def _minimise_trace(rows: Floats, functionals: Floats, floors: Floats) -> Floats:
    def local(x: Floats) -> tuple[float, Floats, Floats]:
        points, slopes, curvature = interior_point.information(rows, functionals, x)
        return 1.0 - float((functionals * points).sum()) / _largest(slopes, floors), -slopes, curvature

    return _minimise(local, floors)


def _semidefinite(rows: Floats, cost: Floats, floors: Floats) -> tuple[Floats, Floats]:
    """Shares and a matrix D >= 0, tr D cost = 1, of max t: M(x) >= t cost; feasible whatever the solver returns."""
    import cvxpy

    cp: Any = cvxpy  # its types are incomplete
    shares, level = cp.Variable(len(floors)), cp.Variable()
    above = rows @ cp.diag(shares) @ rows.T - level * cost >> 0
    program = cp.Problem(cp.Maximize(level), [above, cp.sum(shares) == 1, shares >= floors])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the gap decides whether the answer is accurate
        with suppress(cp.SolverError):
            program.solve(solver=cp.CLARABEL, **_PROGRAM)
    found, dual = shares.value, above.dual_value
    if found is None or dual is None or not np.isfinite(found).all() or not np.isfinite(dual).all():
        found, dual = np.ones(len(floors)), np.eye(len(rows))
    parts = np.maximum(found - floors, 0.0)
    sizes, vectors = np.linalg.eigh((dual + dual.T) / 2.0)
    dual = (vectors * np.maximum(sizes, 0.0)) @ vectors.T
    return _feasible(parts if parts.any() else np.ones(len(floors)), floors), dual / (dual * cost).sum()


def _c_design(
    heads: Floats, target: Floats, floors: Floats, shares: Floats, point: Floats, sizes: tuple[Any, Any], status: Status
) -> Design:
    value = float(least_norm(heads, target, shares).value)
    if value == np.inf:
        raise ValueError(_NO_SHARE.format("the target needs"))
    bound = float(target @ point) ** 2 / _largest((heads.T @ point) ** 2, floors)
    exponent = 2 * (sizes[1] - sizes[0])
    return _certified(shares, _times(value, exponent), 1.0 - bound / value, _times(point, -sizes[0]), status)


def _certified(shares: Floats, value: float, gap: float, dual: Floats, status: Status) -> Design:
    good = abs(gap) <= interior_point.TOLERANCE
    design = Design(shares, value, abs(gap), dual, status if good else Status.NOT_CONVERGED)
    if not good:
        raise ConvergenceError(
            f"the relative gap is {gap:.3g}, above {interior_point.TOLERANCE:g}: directions of heads are nearly "
            "dependent; drop them from heads and target. The partial result is the attribute result",
            design,
        )
    return design
