r"""Costs: the cheapest samples with which a target is learned to a given variance, for three kinds of cost.

With heads W (k, M) of the source tasks and the head w (k) of the target, samples :math:`n \ge 0` are bought so that
some weights :math:`\nu` with :math:`W\nu = w` have variance

.. math:: \sum_m \nu_m^2 / n_m \le e .

Times :math:`\sigma^2 (d-k)` this is the leading order of the risk (`designs.variance`). Where the noise
:math:`\sigma_m` differs between tasks and is known (`source_noise`), all of it holds with :math:`w_m/\sigma_m` for
:math:`w_m` and :math:`\sigma_m \nu_m` for :math:`\nu_m`, and the variance is in units of d - k. All that follows is
derived by us. For given weights the best samples are closed forms, and it remains to minimise a norm of the weights:

.. math::
    \text{linear } \sum_m c_m n_m: &\quad n_m \propto |\nu_m| / \sqrt{c_m}, &
        \min_\nu (\sum_m \sqrt{c_m} |\nu_m|)^2/e \\
    \text{power } \sum_m n_m^\alpha: &\quad n_m \propto |\nu_m|^{2/(\alpha+1)}, &
        \min_\nu \|\nu\|_p^{2\alpha} / e^\alpha, \quad p = 2\alpha/(\alpha+1) \\
    \text{jump } \sum_m (n_m + C\, 1\{n_m > 0\}): &\quad n_m \propto |\nu_m|, & \min_\nu \|\nu\|_1^2/e + C \|\nu\|_0 .

The linear cost, and the power cost with :math:`\alpha \ge 1`, are convex in the weights, and a dual point proves the
answer. The others are minimal at a basic solution, whose tasks are linearly independent: where there are few, all are
tried; otherwise the basic solution of smallest L1 norm is returned, with a lower bound. A jump that is charged only
above some floor, :math:`C\, 1\{n_m > N_{\min}\}`, is not covered: here the floor is 0.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import chain, combinations, islice
from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._batch import CHUNK_BYTES
from pessimism._objects import Speaking
from pessimism._status import ConvergenceError, Status
from pessimism._types import Floats
from pessimism.tasks._arguments import heads_and_target, single_deviations, six_digits
from pessimism.tasks._engine import interior_point
from pessimism.tasks._engine.linear_algebra import OUTSIDE, LeastNorm, least_norm, near_one, span, whitened
from pessimism.tasks._engine.pursuit import power_of_two, rounded
from pessimism.tasks.relevance import _cheapest

__all__ = ["Purchase", "jump_cost", "linear_cost", "power_cost"]

ENUMERATED = 200_000
"""Largest number of sets of rank(W) tasks that are all tried."""

NEGLIGIBLE = 1e-10
"""A task that contributes less than this part of the target's length to a basic solution is left out."""

_TOO_FAR = (
    "exponent, jump or prices, heads, target, variance and source_noise must be such that float64 can hold samples "
    "and cost, got {}"
)


class Problem(NamedTuple):
    """Heads and target near 1, the variance that goes with them, the power of two that the weights lost, the noise."""

    columns: Floats
    goal: Floats
    error: float
    shift: Any
    noise: Floats


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Purchase(Speaking):
    r"""Samples of every source task, what they cost, and a lower bound on the cost of any others.

    Attributes
    ----------
    samples : (M,) float
        n, not rounded.
    cost : float
        What they cost, computed from the samples.
    lower_bound : float
        No samples that meet the variance cost less, up to rounding.
    weights : (M,) float
        :math:`\nu`, with :math:`W\nu = w` and :math:`\sum_m \nu_m^2 / n_m` the variance asked for (with noise that
        is known, :math:`\sum_m \sigma_m^2 \nu_m^2 / n_m`).
    status : Status
        EXACT or CONVERGED for the optimum, SURROGATE for the basic solution of smallest L1 norm in its place; DEPENDENT
        where heads that are dependent but for rounding were taken to be.

    Notes
    -----
    Statement: lower_bound <= smallest cost <= cost. Where basic solutions were enumerated, the bound is the cost.
    Source: derived by us.

    Examples
    --------
    >>> found = linear_cost([[1.0, 0.0], [0.0, 1.0]], [3.0, 1.0], variance=0.1, prices=1.0)
    >>> found.samples.round(6).tolist(), round(found.cost, 6), round(found.lower_bound, 6)
    ([120.0, 40.0], 160.0, 160.0)
    """

    samples: Floats
    cost: float
    lower_bound: float
    weights: Floats
    status: Status


def linear_cost(
    heads: ArrayLike, target: ArrayLike, *, variance: float, prices: ArrayLike, source_noise: ArrayLike = 1.0
) -> Purchase:
    r"""Find the cheapest samples if a sample of task m costs c_m.

    Parameters
    ----------
    heads : (k, M) array_like of float
        W, a column for each source task.
    target : (k) array_like of float
        Head w of the target, in the span of the heads.
    variance : float
        Largest variance e that the samples may leave, positive, in units of :math:`\sigma^2 (d - k)`.
    prices : float or (M,) array_like of float
        Price c of a sample of each task, positive; of any ratio.
    source_noise : float or (M,) array_like of float
        Standard deviation :math:`\sigma_m` of the noise of each source task, positive. The variance is then in units of
        d - k, and e bounds :math:`\sum_m \sigma_m^2 \nu_m^2/n_m`.

    Returns
    -------
    Purchase
        At most rank(W) tasks are bought.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, the target lies outside the span of the heads, or the cost overflows.
    ConvergenceError
        If the linear program cannot be certified to 1e-8, or the cost of a convex power to 1e-6, because the heads are
        nearly dependent.

    Notes
    -----
    Statement: the smallest cost is :math:`(\min_\nu \sum_m s_m |\nu_m|)^2 / e = \max_y \{(w^\top y)^2 / e :
    |w_m^\top y| \le s_m\}` with :math:`s_m = \sigma_m \sqrt{c_m}`, a weighted L1 norm, so that Elfving's theorem holds
    with heads :math:`w_m/s_m`. Cost: a linear program; where prices differ so much that float64 cannot certify it, the
    simplex method on whole numbers, which proves the bound in exact arithmetic. Source: derived by us (Cauchy-Schwarz).

    Examples
    --------
    Of two copies of a task the cheaper one is bought.

    >>> linear_cost([[1.0, 1.0]], [2.0], variance=0.5, prices=[3.0, 2.0]).samples.round(9).tolist()
    [0.0, 8.0]
    """
    problem = _problem(heads, target, variance, source_noise)
    columns, goal = problem.columns, problem.goal
    price = _check.extended_array("prices", prices)
    _check.require("prices", price, np.isfinite(price), "finite")
    if price.shape not in ((), columns.shape[1:]):
        raise ValueError(f"prices must be one number or have shape {columns.shape[1:]}, got {price.shape}")
    _check.require("prices", price, price > 0, "positive: of what costs nothing no number of samples is the cheapest")
    price = np.broadcast_to(price, columns.shape[1:])
    roots = np.sqrt(price) * problem.noise
    if not roots.all():
        raise ValueError("prices and source_noise must be such that float64 can hold sqrt(price) * noise, got 0")
    middle = int(np.frexp([roots.min(), roots.max()])[1].sum()) // 2  # all units of money are alike
    roots = np.ldexp(roots, -middle)
    weights, least, status = _cheapest(columns, goal, roots, unit="the roots of prices")
    if not goal.any():
        return _nothing(columns)
    parts = [Fraction(x) * Fraction(root) for x, root in zip(np.abs(weights).tolist(), roots.tolist(), strict=True)]
    unit = power_of_two(2 * middle)
    total, error = sum(parts, Fraction(0)), Fraction(problem.error)  # exact: no product need fit into float64
    samples = [
        rounded(part * total * unit / (Fraction(c) * error)) for part, c in zip(parts, price.tolist(), strict=True)
    ]
    bought = np.array(samples)
    return _bought(problem, bought, rounded(total**2 * unit / error), rounded(least**2 * unit / error), status, weights)


def power_cost(
    heads: ArrayLike, target: ArrayLike, *, variance: float, exponent: float, source_noise: ArrayLike = 1.0
) -> Purchase:
    r"""Find the cheapest samples if n samples of a task cost a power of n.

    Parameters
    ----------
    heads, target, variance : as in `linear_cost`
        See there, also for what is raised.
    exponent : float
        :math:`\alpha`, positive. Below 1 further samples of a task are cheaper, above 1 dearer.
    source_noise : as in `linear_cost`
        With it, what follows holds for heads :math:`w_m/\sigma_m` and weights :math:`\sigma_m \nu_m`.

    Returns
    -------
    Purchase
        Below 1 with status EXACT where all basic solutions were tried, SURROGATE where there are more than 200,000.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, shapes do not fit or the target lies outside the span of the heads.
    ConvergenceError
        If the heads are nearly dependent.

    Notes
    -----
    Statement: the smallest cost is :math:`\min_\nu \|\nu\|_p^{2\alpha} / e^\alpha` with :math:`p = 2\alpha/(\alpha+1)`.
    For :math:`\alpha \ge 1` its dual is :math:`\max_y (w^\top y / \|W^\top y\|_q)^{2\alpha} / e^\alpha` with
    1/p + 1/q = 1. For :math:`\alpha < 1` the norm is concave in :math:`|\nu|` on every orthant, and the weights with
    :math:`W\nu = w` in an orthant are a polyhedron without lines, so some vertex, a basic solution, is optimal. Where
    there are too many to try, the vertex of smallest L1 norm is returned, and
    :math:`\|\nu\|_p \ge \|\nu\|_1 \ge \|\nu^1\|_1` gives the bound. Cost: Newton's method, or :math:`O(k^3)` for each
    of :math:`\binom{M}{k}` sets. Source: derived by us.

    Examples
    --------
    >>> heads, target = [[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]], [1.0, 0.9]
    >>> power_cost(heads, target, variance=0.01, exponent=2.0).samples.round(2).tolist()
    [26.89, 14.22, 80.22]
    >>> power_cost(heads, target, variance=0.01, exponent=0.5).samples.round(2).tolist()
    [5.33, 0.0, 99.72]
    """
    problem = _problem(heads, target, variance, source_noise)
    columns, goal, error = problem.columns / problem.noise, problem.goal, problem.error
    alpha = _check.positive("exponent", exponent)
    if alpha == 1.0:
        return linear_cost(heads, target, variance=variance, prices=1.0, source_noise=source_noise)
    weights, least, status = _cheapest(problem.columns, goal, problem.noise, unit="source_noise")
    if not goal.any():
        return _nothing(columns)
    price = partial(_powers, exponent=alpha)
    if alpha > 1.0:
        samples, norm = _least_power(columns, goal, alpha)
        ended = Status.DEPENDENT if status is Status.DEPENDENT else Status.CONVERGED
        return _convex(_purchase(problem, samples, price, _power(norm, error, alpha), ended))
    p = 2.0 * alpha / (alpha + 1.0)
    best = _best_basis(columns, goal, lambda sizes: (sizes**p).sum(axis=-1))
    lower = None if best is not None else _power(rounded(least), error, alpha)
    samples = np.abs(problem.noise * weights if best is None else best) ** (p / alpha)
    return _purchase(problem, samples, price, lower, status if best is not None else Status.SURROGATE)


def jump_cost(
    heads: ArrayLike, target: ArrayLike, *, variance: float, jump: float, source_noise: ArrayLike = 1.0
) -> Purchase:
    r"""Find the cheapest samples if every sample costs 1, and every task that is sampled at all a jump C more.

    Parameters
    ----------
    heads, target, variance : as in `linear_cost`
        See there, also for what is raised.
    jump : float
        C, at least 0.
    source_noise : as in `linear_cost`
        With it, what follows holds for heads :math:`w_m/\sigma_m` and weights :math:`\sigma_m \nu_m`.

    Returns
    -------
    Purchase
        With status EXACT where all basic solutions were tried, SURROGATE where there are more than 200,000.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, shapes do not fit or the target lies outside the span of the heads.
    ConvergenceError
        If the heads are nearly dependent.

    Notes
    -----
    Statement: the smallest cost is :math:`\min_\nu \|\nu\|_1^2/e + C\|\nu\|_0`. On the tasks of an optimal solution,
    a vertex of smallest L1 norm costs no more samples and no more tasks, so some basic solution is optimal. Where
    there are too many to try, the vertex :math:`\nu^1` is returned: it buys at most rank(W) tasks, and costs at most
    :math:`C(\|\nu^1\|_0 - s)` too much, where s = 1 if a task is parallel to the target, otherwise 2. Cost:
    :math:`O(k^3)` for each of :math:`\binom{M}{k}` sets. Source: derived by us.

    Examples
    --------
    One task more is worth its samples while a jump costs little.

    >>> heads, target = [[1.0, 0.0, 0.4], [0.0, 1.0, 0.4]], [1.0, 1.0]
    >>> for jump in (200.0, 300.0):
    ...     print(jump_cost(heads, target, variance=0.01, jump=jump).samples.round(6).tolist())
    [200.0, 200.0, 0.0]
    [0.0, 0.0, 625.0]
    """
    problem = _problem(heads, target, variance, source_noise)
    columns, goal, error = problem.columns / problem.noise, problem.goal, problem.error
    fixed = _check.nonnegative("jump", jump)
    if fixed == 0.0:
        return linear_cost(heads, target, variance=variance, prices=1.0, source_noise=source_noise)
    weights, least, status = _cheapest(problem.columns, goal, problem.noise, unit="source_noise")
    if not goal.any():
        return _nothing(columns)
    best = _best_basis(columns, goal, lambda sizes: sizes.sum(axis=-1) ** 2 / error + fixed * (sizes > 0).sum(axis=-1))
    samples = np.abs(problem.noise * weights if best is None else best)
    fewest = 1 if _parallel(columns, goal) else 2
    lower = None if best is not None else _power(rounded(least), error, 1.0) + fixed * fewest
    ended = status if best is not None else Status.SURROGATE
    return _purchase(problem, samples, lambda n: n.sum() + fixed * (n > 0).sum(), lower, ended)


def _problem(heads: ArrayLike, target: ArrayLike, variance: float, source_noise: ArrayLike) -> Problem:
    columns, goal, sizes = near_one(*heads_and_target(heads, target, single=True))
    noise, exponent = single_deviations(source_noise, columns.shape[1])
    shift = sizes[1] - sizes[0]
    with np.errstate(over="ignore", under="ignore"):
        error = float(np.ldexp(_check.positive("variance", variance), -2 * (shift + exponent)))
        held = np.isfinite(columns / noise).all()
    if goal.any() and not (np.finfo(float).tiny <= error < np.inf and held):
        raise ValueError(_TOO_FAR.format("a cost of 0" if error > 1.0 and held else "a cost of inf"))
    return Problem(columns, goal, error, shift, noise)


def _spent(problem: Problem, samples: Floats) -> LeastNorm:
    """The least variance of samples, in the unit of the problem's error."""
    return least_norm(problem.columns, problem.goal, samples / problem.noise**2)


def _nothing(columns: Floats) -> Purchase:
    zeros = np.zeros(columns.shape[1])
    return Purchase(zeros, 0.0, 0.0, zeros, Status.EXACT)


def _purchase(
    problem: Problem,
    samples: Floats,
    price: Callable[[Floats], Any],
    lower: float | None,
    status: Status,
) -> Purchase:
    """The purchase of these samples, scaled to meet the variance; without a lower bound it is the cost itself."""
    with np.errstate(over="ignore", invalid="ignore"):
        samples = samples * (_spent(problem, samples).value / problem.error)
        cost = float(price(samples))
    return _bought(problem, samples, cost, cost if lower is None else float(lower), status)


def _bought(
    problem: Problem, samples: Floats, cost: float, lower: float, status: Status, weights: Floats | None = None
) -> Purchase:
    """The purchase, if float64 can hold it; weights that are not given are those of least variance."""
    if not (0.0 < cost < np.inf and np.isfinite(samples).all()):
        raise ValueError(_TOO_FAR.format("samples of inf" if 0.0 < cost < np.inf else f"a cost of {cost}"))
    # on a vertex the weights are known, and samples that differ by 1e300 need not be summed
    spent = _spent(problem, samples if weights is None else problem.noise**2 * (samples > 0))
    six_digits(spent)
    weights = spent.weights if weights is None else weights
    return Purchase(samples, cost, lower, np.ldexp(weights, problem.shift), status)


def _powers(samples: Floats, exponent: float) -> Any:
    return (samples**exponent).sum()


def _power(norm: float, error: float, alpha: float) -> float:
    with np.errstate(over="ignore"):
        return float((np.float64(norm) ** 2 / error) ** alpha)


def _convex(result: Purchase) -> Purchase:
    """The result; raises unless its lower bound proves it."""
    limit = interior_point.TOLERANCE
    if not result.cost * (1.0 - limit) <= result.lower_bound:
        raise ConvergenceError(
            f"the relative gap of the cost is {1.0 - result.lower_bound / result.cost:.3g}, above {limit:g}: "
            "directions of heads are nearly dependent, or exponent is too large for float64; the partial result is the "
            "attribute result",
            replace(result, status=Status.NOT_CONVERGED),
        )
    return result


def _least_power(columns: Floats, goal: Floats, alpha: float) -> tuple[Floats, float]:
    """Samples x for the convex power cost, up to a factor, and a lower bound of |nu|_p by a dual point.

    They minimise w'M(x)^-1 w + sum x^alpha / alpha.
    """
    rows, change = whitened(columns)
    wanted = change @ goal
    size = np.linalg.norm(wanted)
    wanted = wanted / size
    p, q = 2.0 * alpha / (alpha + 1.0), 2.0 * alpha / (alpha - 1.0)

    def dual_norm(points: Floats) -> float:
        return float(np.log(wanted @ points) - _log_norm(rows.T @ points, q))

    def local(x: Floats) -> tuple[float, Floats, Floats]:
        points, slopes, curvature = interior_point.information(rows, wanted[:, None], x)
        gap = 2.0 * alpha * (_log_norm(x * np.sqrt(slopes), p) - dual_norm(points[:, 0]))
        return gap, x ** (alpha - 1.0) - slopes, curvature + np.diag((alpha - 1.0) * x ** (alpha - 2.0))

    n_tasks = columns.shape[1]
    start = np.full(n_tasks, n_tasks ** (-2.0 / (alpha + 1.0)))
    found = interior_point.minimise(local, np.zeros(n_tasks), start, total=False)
    points, slopes, _ = interior_point.information(rows, wanted[:, None], found)
    return (found * np.sqrt(slopes)) ** (p / alpha), float(size * np.exp(dual_norm(points[:, 0])))


def _log_norm(vector: Floats, order: float) -> float:
    """log |vector|_order, for orders of at least 1, without overflow."""
    sizes = np.abs(vector)
    return float(np.log(sizes.max()) + np.log(((sizes / sizes.max()) ** order).sum()) / order)


def _best_basis(columns: Floats, goal: Floats, cost: Callable[[Floats], Floats]) -> Floats | None:
    """The cheapest basic solution of W nu = w; None if there are too many. `cost` maps |nu| (..., n) to (...)."""
    used = np.flatnonzero(columns.any(axis=0))
    spanned = span(columns)
    basis = spanned.basis[:, spanned.sizes > 0]
    rank = basis.shape[1]
    if comb(len(used), rank) > ENUMERATED:
        return None
    lengths, distance = np.linalg.norm(columns[:, used], axis=0), np.linalg.norm(goal)
    units, right = basis.T @ (columns[:, used] / lengths), basis.T @ (goal / distance)
    sets = combinations(range(len(used)), rank)
    best, least = None, np.inf
    while (index := np.fromiter(chain.from_iterable(islice(sets, 1 + CHUNK_BYTES // (32 * rank**2))), np.intp)).size:
        index = index.reshape(-1, rank)
        square = np.moveaxis(units[:, index], 0, -2)
        regular = np.linalg.slogdet(square)[0] != 0  # singular sets can be left out: every vertex has a regular one
        index, square = index[regular], square[regular]
        parts = np.linalg.solve(square, np.broadcast_to(right[:, None], (len(index), rank, 1)))[..., 0]
        parts = np.where(np.abs(parts) > NEGLIGIBLE, parts, 0.0)
        missed = np.linalg.norm((square @ parts[..., None])[..., 0] - right, axis=-1)
        weights = parts * distance / lengths[index]
        with np.errstate(over="ignore"):
            costs = np.where(missed <= 0.1 * OUTSIDE, cost(np.abs(weights)), np.inf)
        if costs.size and costs.min() < least:
            first = int(costs.argmin())
            best, least = np.zeros(columns.shape[1]), float(costs[first])
            best[used[index[first]]] = weights[first]
    return best


def _parallel(columns: Floats, goal: Floats) -> bool:
    """Whether a task alone reaches the target."""
    lengths = np.linalg.norm(columns, axis=0)
    units, direction = columns[:, lengths > 0] / lengths[lengths > 0], goal / np.linalg.norm(goal)
    return bool((np.linalg.norm(direction[:, None] - units * (direction @ units), axis=0) <= OUTSIDE).any())
