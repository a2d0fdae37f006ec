r"""Bounds: the theorems and predictions, as functions to draw beside a simulation.

For :math:`n_m` rows of source m, N in all, and :math:`n_T` target rows, the excess risk of least squares over
representations is the sum of a source and a target term,

.. math::
    \rho = \sigma^2 (d-k) \sum_m \frac{\nu_m^2}{n_m}, \qquad
    (\sigma^2 + \rho) \frac{k}{n_T - k - 1}, \qquad W\nu = w.

The source term is the leading order as all :math:`n_m/d` grow: `LinearTasks.predicted_risk` gives it for any n, the
functions here for the allocations of the rules. The target term is exact. The rates of the papers are here with all
constants and logarithms set to 1: only their slopes mean something, not their heights. A ValueError or TypeError names
the argument that is out of its range, or the arguments whose shapes do not fit; what else is raised is said of each.
Worlds of a batch whose heads are nearly dependent have the value NaN, with a warning.

The notes of every function end with two fields. `Status` begins with *published* (checked against a published text or
an independent restatement of it), *derived* (by us; the proof is short and the test suite checks it), *prediction* (an
approximation, not a bound) or *unverified* (recalled; do not quote it as the paper's). `Source` names the text, or says
that the derivation is ours. Risks are squared errors: a statement in terms
of :math:`\epsilon` with risk :math:`\epsilon^2` needs :math:`N \sim \epsilon^{-2}`, that is :math:`\rho \sim 1/N`.

Du, Hu, Kakade, Lee, Lei (2021), arXiv:2002.09434; Chen, Du, Jamieson (2022), arXiv:2202.00911 (Chen, Jamieson, Du in
the proceedings); Wang, Chen, Jamieson, Du (2023), arXiv:2306.02556.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._status import Status
from pessimism._types import Floats
from pessimism.tasks import _arguments
from pessimism.tasks._arguments import six_digits
from pessimism.tasks._engine.linear_algebra import fit_variance, least_norm
from pessimism.tasks.relevance import Relevance, min_l1, min_l2

__all__ = [
    "a_mtrl_order",
    "effective_tasks",
    "known_noise_risk",
    "l1_a_mtrl_order",
    "l1_risk",
    "l2_bound",
    "passive_order",
    "power_bound",
    "target_only_risk",
    "target_term",
    "uniform_risk",
    "weighted_risk",
]


def power_bound(n: ArrayLike, relevance: Relevance | ArrayLike, *, power: ArrayLike) -> Floats:
    r"""Compute :math:`\sum_m \nu_m^2/n_m` for a budget divided in proportion to :math:`|\nu_m|^q`.

    Parameters
    ----------
    n : (...) array_like of float
        N, the budget, positive.
    relevance : Relevance or (..., M) array_like of float
        :math:`\nu`.
    power : (...) array_like of float
        Exponent q, in [0, 2]. Tasks of relevance 0 get nothing, at q = 0 too.

    Returns
    -------
    (...) float
        :math:`\bigl(\sum_m |\nu_m|^{2-q}\bigr)\bigl(\sum_m |\nu_m|^q\bigr)/N`, in units of :math:`\sigma^2 (d-k)`.

    See Also
    --------
    pessimism.tasks.allocation.allocate : The division of a budget by such a power.

    Notes
    -----
    The same for q and 2 - q, least at q = 1 (Cauchy and Schwarz), where it is :math:`\|\nu\|_1^2/N`; at q = 2 it is
    :math:`\|\nu\|_0 \|\nu\|_2^2/N`, as for uniform on the support. An upper bound on the leading-order risk, which is
    the least value over all :math:`\nu` (`designs.variance`): comparing bounds exaggerates what q = 2 loses. Cost O(M).

    :Status: derived.
    :Source: our derivation, by the inequality of Cauchy and Schwarz.

    Examples
    --------
    >>> power_bound(100, [0.75, 0.25], power=[0.0, 1.0, 2.0]).tolist()
    [0.0125, 0.01, 0.0125]
    """
    budget = _positive("n", n)
    weights = np.abs(_arguments.weights("relevance", relevance, each=budget.shape, of="a budget n"))
    q = _check.real_array("power", power, low=0.0, high=2.0)
    _check.broadcast("n, relevance and power", budget.shape, weights.shape[:-1], q.shape)

    def total(exponent: Floats) -> Any:  # numpydoc ignore=GL08
        return np.where(weights > 0, weights ** exponent[..., None], 0.0).sum(axis=-1)

    with np.errstate(over="ignore"):  # more than float64 can hold is infinite
        return np.asarray(total(2.0 - q) * total(q) / budget)


def l1_risk(n: ArrayLike, heads: ArrayLike, target: ArrayLike, *, dimension: int, noise: ArrayLike = 1.0) -> Floats:
    r"""Compute the source term of the L1 rule, the least of all allocations.

    Parameters
    ----------
    n : (...) array_like of float
        N, the budget, positive.
    heads : (..., k, M) array_like of float
        W, a column for each source task.
    target : (..., k) array_like of float
        Its head w, in the span of the heads.
    dimension : int
        Length d of an input, at least k.
    noise : (...) array_like of float
        :math:`\sigma`, at least 0.

    Returns
    -------
    (...) float
        :math:`\sigma^2 (d-k) \|\nu^1\|_1^2 / N`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, shapes do not fit or the target lies outside the span of the heads.
    ConvergenceError
        If the heads are nearly dependent.

    See Also
    --------
    pessimism.tasks.rules.l1_a_mtrl.l1_a_mtrl : The rule.
    pessimism.tasks.designs.c_optimal : The optimum with floors.
    pessimism.tasks.instances.spike_and_pairs : Tasks on which L2 and uniform lose a factor of order :math:`\sqrt M`.
    simulations.task_budget : Simulation of the rule beside its predicted risk.

    Notes
    -----
    To leading order no allocation of N rows has a smaller source term, for this estimator, a known target and tasks
    of equal noise; it is attained at :math:`n_m = N|\nu^1_m|/\|\nu^1\|_1`, floors being negligible.
    Where the noise differs between tasks the rule may lose any factor: see `known_noise_risk`. Elfving's theorem on
    c-optimal designs, applied to the leading order. Cost: a linear program for each world.

    :Status: derived.
    :Source: our derivation, by Elfving's theorem on c-optimal designs.

    Examples
    --------
    >>> l1_risk(100, [[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]], [0.6, 0.8], dimension=12).round(12).item()
    0.1
    """
    weights = _certain(min_l1(heads, target))
    return _risk(n, _squared(np.abs(weights).sum(axis=-1)), heads, dimension, noise)


def known_noise_risk(
    n: ArrayLike, heads: ArrayLike, target: ArrayLike, *, dimension: int, source_noise: ArrayLike
) -> Floats:
    r"""Compute the least source term of all allocations where the noise of every source task is known.

    Parameters
    ----------
    n, heads, target, dimension : as in `l1_risk`
        See there, also for what is raised.
    source_noise : float or (..., M) array_like of float
        Standard deviation :math:`\sigma_m` of the noise of each source task, positive.

    Returns
    -------
    (...) float
        :math:`(d-k) \bigl(\min\{\sum_m \sigma_m |\nu_m| : W\nu = w\}\bigr)^2 / N`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, shapes do not fit or the target lies outside the span of the heads.
    ConvergenceError
        If the heads are nearly dependent.

    See Also
    --------
    l1_risk : The same for equal noise.
    pessimism.tasks.relevance.min_l1 : The weights, with the same `source_noise`.
    pessimism.tasks.allocation.allocate : The division, with the same `source_noise`.
    pessimism.tasks.designs.c_optimal : The optimum with floors.

    Notes
    -----
    To leading order no allocation of N rows has a smaller source term, however the rows are weighted in the fit; it is
    attained at :math:`n_m \propto \sigma_m |\nu_m|`, floors being negligible, with rows of equal weight. Proof: a fit
    takes some :math:`\nu`, and by Cauchy and Schwarz
    :math:`\sum_m \sigma_m^2\nu_m^2/n_m \ge (\sum_m \sigma_m|\nu_m|)^2/N`; the tasks bought at the minimum are
    independent, so that only one :math:`\nu` composes the target of them. The rule that ignores the noise has
    :math:`\|\nu^1\|_1 \sum_m \sigma_m^2 |\nu^1_m| / N` instead. Cost: a linear program for each world.

    :Status: derived.
    :Source: our derivation, by Elfving's theorem for heads divided by their noise.

    Examples
    --------
    The third task alone would do, but its noise is ten times that of the others.

    >>> heads, target = [[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]], [0.6, 0.8]
    >>> known_noise_risk(100, heads, target, dimension=12, source_noise=[1.0, 1.0, 10.0]).round(12).item()
    0.196
    >>> known_noise_risk(100, heads, target, dimension=12, source_noise=1.0).round(12).item()
    0.1
    """
    noise, exponents = _arguments.source_deviations(source_noise, _check.matrix("heads", heads, "k, tasks").shape[-1])
    weights = _certain(min_l1(heads, target, source_noise=noise))
    return _risk(n, _squared((noise * np.abs(weights)).sum(axis=-1)), heads, dimension, np.ldexp(1.0, exponents))


def l2_bound(n: ArrayLike, heads: ArrayLike, target: ArrayLike, *, dimension: int, noise: ArrayLike = 1.0) -> Floats:
    r"""Bound the source term of the L2 rule.

    Parameters
    ----------
    n, heads, target, dimension, noise : as in `l1_risk`
        See there, also for what is raised.

    Returns
    -------
    (...) float
        :math:`\sigma^2 (d-k) \|\nu^2\|_0 \|\nu^2\|_2^2 / N`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, shapes do not fit or the target lies outside the span of the heads.
    ConvergenceError
        If the heads are nearly dependent.

    See Also
    --------
    pessimism.tasks.rules.a_mtrl.a_mtrl : The rule.
    pessimism.tasks.instances.identity : The instance for which the ratio to `l1_risk` tends to M.
    simulations.task_dominance : Draws it beside the risk.

    Notes
    -----
    `power_bound` of :math:`\nu^2` at q = 2, to leading order; entries below 1e-12 of the largest count as 0. The risk
    itself is smaller, often by much: `LinearTasks.predicted_risk` at :math:`n \propto (\nu^2)^2` serves to compare
    rules. The bound is between 1 and :math:`\|\nu^2\|_0` times `l1_risk`.

    :Status: derived.
    :Source: our derivation.

    Examples
    --------
    >>> l2_bound(100, [[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]], [0.6, 0.8], dimension=12).round(12).item()
    0.15
    """
    weights = np.abs(_certain(min_l2(heads, target)))
    used = (weights > 1e-12 * weights.max(axis=-1, keepdims=True)).sum(axis=-1)
    return _risk(n, used * _squared(weights).sum(axis=-1), heads, dimension, noise)


def uniform_risk(
    n: ArrayLike, heads: ArrayLike, target: ArrayLike, *, dimension: int, noise: ArrayLike = 1.0
) -> Floats:
    r"""Compute the source term for equal numbers of rows of every task.

    Parameters
    ----------
    n, heads, target, dimension, noise : as in `l1_risk`
        See there, also for what is raised.

    Returns
    -------
    (...) float
        :math:`\sigma^2 (d-k) M \|\nu^2\|_2^2 / N`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, shapes do not fit or the target lies outside the span of the heads.
    ConvergenceError
        If the heads are nearly dependent.

    See Also
    --------
    pessimism.tasks.rules.passive.passive : The rule.
    pessimism.tasks.instances.spike_and_pairs : Tasks for which it is :math:`\sqrt M` times `l1_risk`.
    simulations.task_budget : Simulation of the rule beside its predicted risk.

    Notes
    -----
    The leading order itself, not a bound. It is no smaller than `l2_bound`, and equal to it where every task is
    relevant: bounds alone do not distinguish the L2 rule from uniform.

    :Status: derived.
    :Source: our derivation.

    Examples
    --------
    >>> uniform_risk(100, [[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]], [0.6, 0.8], dimension=12).round(12).item()
    0.15
    """
    weights = _certain(min_l2(heads, target))
    return _risk(n, weights.shape[-1] * _squared(weights).sum(axis=-1), heads, dimension, noise)


def weighted_risk(
    counts: ArrayLike,
    weights: ArrayLike,
    heads: ArrayLike,
    target: ArrayLike,
    *,
    dimension: int,
    noise: ArrayLike = 1.0,
    source_noise: ArrayLike = 1.0,
) -> Floats:
    r"""Compute the source term when the rows of the tasks are weighted in the loss, as by `TaskData.weighted`.

    Parameters
    ----------
    counts : (..., M) array_like of float
        :math:`n_m`, at least 0.
    weights : (..., M) array_like of float
        :math:`v_m`, weight of a row of each task, positive: 1 for the loss summed over rows, ``1 / counts`` for the
        average of every task.
    heads, target, dimension, noise : as in `l1_risk`
        See there; here the target may lie outside the span of the heads.
    source_noise : float or (..., M) array_like of float
        Standard deviation :math:`\sigma_m` of the noise of each source task, positive, in units of `noise`.

    Returns
    -------
    (...) float
        :math:`\sigma^2 (d-k) \sum_m \sigma_m^2 \nu_m^2/n_m` at
        :math:`\nu = \arg\min\{\sum_m \nu_m^2/(v_m n_m) : W\nu = w\}`; inf where the tasks sampled do not span
        the target.

    See Also
    --------
    pessimism.tasks.data.TaskData.weighted : The weighting.

    Notes
    -----
    Leading order, all :math:`n_m \gg d`; least at :math:`v_m = 1/\sigma_m^2`, so for equal noise at equal weights. If
    the loss averages the rows of each task, :math:`\nu = \nu^2` whatever was bought: buying by :math:`|\nu^1|` and
    fitting averages combines the weaknesses of both, and may be many times worse than uniform. Cost :math:`O(k^2 M)`.

    :Status: derived.
    :Source: our derivation.

    Examples
    --------
    >>> heads, target = [[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]], [0.6, 0.8]
    >>> n = np.array([10, 10, 980])
    >>> [weighted_risk(n, v, heads, target, dimension=12).round(4).item() for v in (np.ones(3), 1 / n)]
    [0.0101, 0.2526]
    """
    matrices, goal = _arguments.heads_and_target(heads, target)
    tasks = matrices.shape[-1]
    rows = _check.vector("counts", counts, tasks, "an entry for each task, a column of heads", low=0.0)
    factor = _check.vector("weights", _positive("weights", weights), tasks, "an entry for each task")
    each, exponents = _arguments.source_deviations(source_noise, tasks)
    parts = (matrices.shape[:-2], goal.shape[:-1], rows.shape[:-1], factor.shape[:-1], each.shape[:-1])
    _check.broadcast("counts, weights, heads, target and source_noise", *parts)
    found = least_norm(matrices, goal, rows * factor)
    value = six_digits(found)
    terms = np.ldexp(fit_variance(found.weights, rows, each), 2 * exponents)
    return _risk(1.0, np.where(np.isfinite(value), terms, value), heads, dimension, noise)


def target_term(n: ArrayLike, k: int, *, noise: ArrayLike = 1.0, source_term: ArrayLike = 0.0) -> Floats:
    r"""Compute the risk of fitting the target's head on a given representation.

    Parameters
    ----------
    n : (...) array_like of int
        :math:`n_T`, target rows.
    k : int
        Entries of the head, at least 1.
    noise : (...) array_like of float
        :math:`\sigma`, at least 0.
    source_term : (...) array_like of float
        :math:`\rho`, what the best head on that representation leaves, at least 0.

    Returns
    -------
    (...) float
        :math:`(\sigma^2 + \rho)\,k/(n_T - k - 1)`, to be added to :math:`\rho`; inf for k and k + 1 rows, NaN for
        fewer, which do not determine the head.

    See Also
    --------
    pessimism.tasks.model.LinearTasks.total_risk : The sum of both terms.

    Notes
    -----
    Exact for least squares on standard normal inputs that are independent of the representation; linear in
    :math:`\rho`, so that the mean of :math:`\rho` is enough. For too few rows the value is inf or NaN, so that a curve
    over n can be drawn; `LinearTasks.total_risk` raises an error there.

    :Status: derived.
    :Source: our derivation.

    Examples
    --------
    >>> target_term([1, 3, 12], 2, noise=0.3).round(12).tolist()
    [nan, inf, 0.02]
    """
    rows, entries = _check.whole_array("n", n), _check.whole("k", k, low=1)
    deviation, rho = (
        _check.real_array("noise", noise, low=0.0),
        _check.real_array("source_term", source_term, low=0.0),
    )
    _check.broadcast("n, noise and source_term", rows.shape, deviation.shape, rho.shape)
    spread, free = deviation**2 + rho, rows - entries - 1.0
    value = np.where(free > 0, spread * entries / np.where(free > 0, free, 1.0), np.inf)
    return np.asarray(np.where(rows < entries, np.nan, np.where(spread == 0, 0.0, value)))


def target_only_risk(n: ArrayLike, dimension: int, *, noise: ArrayLike = 1.0) -> Floats:
    r"""Compute the risk of least squares on the target's rows alone, for all d coefficients.

    Parameters
    ----------
    n : (...) array_like of int
        :math:`n_T`, target rows.
    dimension : int
        Length d of an input, at least 1.
    noise : (...) array_like of float
        :math:`\sigma`, at least 0.

    Returns
    -------
    (...) float
        :math:`\sigma^2 d/(n_T - d - 1)`; inf for d and d + 1 rows, NaN for fewer.

    See Also
    --------
    pessimism.tasks.rules.target_only.target_only : The rule.

    Notes
    -----
    `target_term` with k = d; exact for standard normal inputs.

    :Status: derived.
    :Source: our derivation.

    Examples
    --------
    >>> target_only_risk([40, 240], 19, noise=0.5).round(4).tolist()
    [0.2375, 0.0216]
    """
    return target_term(n, _check.whole("dimension", dimension, low=1), noise=noise)


def passive_order(n: ArrayLike, n_target: ArrayLike, *, dimension: int, k: int, noise: ArrayLike = 1.0) -> Floats:
    r"""Compute the order of the risk of uniform sampling.

    Parameters
    ----------
    n : (...) array_like of float
        N, rows of all source tasks together, positive.
    n_target : (...) array_like of float
        :math:`n_T`, target rows, positive.
    dimension : int
        Length d of an input, at least k.
    k : int
        Rank, at least 1.
    noise : (...) array_like of float
        :math:`\sigma`, at least 0.

    Returns
    -------
    (...) float
        :math:`\sigma^2 (kd/N + k/n_T)`.

    See Also
    --------
    pessimism.tasks.rules.passive.passive : The rule.

    Notes
    -----
    Du et al. (2021) state :math:`\tilde O(dk/(n_1 M) + k/n_T)` for :math:`n_1` rows of each of M tasks, whose heads
    cover all directions evenly; constants, logarithms and the factor :math:`\sigma^2` are ours. For a single target
    the source term itself has d - k, not dk (`uniform_risk`).

    :Status: published, as an order only.
    :Source: Du et al. (2021), arXiv:2002.09434, abstract.

    Examples
    --------
    >>> passive_order(10_000, 100, dimension=50, k=4).round(12).item()
    0.06
    """
    sources, rows = _positive("n", n), _positive("n_target", n_target)
    scale = _scale(dimension, k, noise)
    _check.broadcast("n, n_target and noise", sources.shape, rows.shape, np.shape(noise))
    with np.errstate(over="ignore"):  # more than float64 can hold is infinite
        return np.asarray(scale / sources + scale / (rows * dimension))


def a_mtrl_order(
    n: ArrayLike, relevance: Relevance | ArrayLike, *, dimension: int, k: int, noise: ArrayLike = 1.0
) -> Floats:
    r"""Compute the order of the source term of the L2 rule.

    Parameters
    ----------
    n, relevance, dimension, k, noise : as in `passive_order`
        See there; the relevance is :math:`\nu^2`, a Relevance or (..., M) array_like of float.

    Returns
    -------
    (...) float
        :math:`\sigma^2 k d\, s^* \|\nu^2\|_2^2 / N`, with s* of `effective_tasks`.

    See Also
    --------
    pessimism.tasks.rules.a_mtrl.a_mtrl : The rule.

    Notes
    -----
    After Chen et al. (2022), in whose rate a smaller number takes the place of the number of source tasks in that of
    uniform sampling, :math:`M\|\nu^2\|_2^2/N`. The form of s*, the front factor and the terms in the floors, left out
    here, are recalled from memory, and constants are set to 1.

    :Status: unverified.
    :Source: recalled from Chen et al. (2022), arXiv:2202.00911.

    Examples
    --------
    >>> a_mtrl_order(10_000, [0.5, 0.5, 0.0], dimension=50, k=2).round(12).item()
    0.01
    """
    weights = _arguments.weights("relevance", relevance, each=_positive("n", n).shape, of="a budget n")
    value = effective_tasks(n, relevance) * (weights**2).sum(axis=-1)
    return _order(n, value, dimension, k, noise)


def effective_tasks(n: ArrayLike, relevance: Relevance | ArrayLike) -> Floats:
    r"""Compute the number s* of source tasks that matter at a budget, between 0 and M.

    Parameters
    ----------
    n : (...) array_like of float
        N, the budget, positive.
    relevance : Relevance or (..., M) array_like of float
        :math:`\nu`.

    Returns
    -------
    (...) float
        :math:`s^* = \min_{0 \le \gamma \le 1} (1-\gamma) s(\gamma) + \gamma M` with :math:`s(\gamma)` the number of
        tasks that have :math:`|\nu_m| > \sqrt{\gamma/N}\,\|\nu\|_2`.

    See Also
    --------
    a_mtrl_order : The order in which it takes the place of M.
    pessimism.tasks.rules.a_mtrl.a_mtrl : The rule.

    Notes
    -----
    Between jumps of s the objective rises, so that the minimum is at 0 or at a jump: the value is exact. It grows with
    N towards :math:`\|\nu\|_0`. Cost O(M log M).

    :Status: unverified.
    :Source: recalled from Chen et al. (2022), arXiv:2202.00911.

    Examples
    --------
    >>> effective_tasks([100, 10**9], [1.0, 1e-3, 1e-3]).round(6).tolist()
    [1.0002, 3.0]
    """
    budget = _positive("n", n)
    weights = _arguments.weights("relevance", relevance, each=budget.shape, of="a budget n")
    _check.broadcast("n and relevance", budget.shape, weights.shape[:-1])
    largest = np.abs(weights).max(axis=-1, keepdims=True)
    parts = (weights / np.where(largest > 0, largest, 1.0)) ** 2  # the squares of tiny weights would be 0
    total = parts.sum(axis=-1, keepdims=True)
    parts = -np.sort(-parts / np.where(total > 0, total, 1.0), axis=-1)
    tasks = parts.shape[-1]
    jumps = np.concatenate([parts, np.zeros_like(total)], axis=-1) * budget[..., None]
    above = np.arange(tasks + 1)  # tasks above a jump; the first of equal jumps has the right number, the least
    return np.asarray((above + jumps * (tasks - above)).min(axis=-1))  # jumps at gamma > 1 give M or more


def l1_a_mtrl_order(
    n: ArrayLike, relevance: Relevance | ArrayLike, *, dimension: int, k: int, noise: ArrayLike = 1.0
) -> Floats:
    r"""Compute the order of the source term of the L1 rule.

    Parameters
    ----------
    n, relevance, dimension, k, noise : as in `passive_order`
        See there; the relevance is :math:`\nu^1`, a Relevance or (..., M) array_like of float.

    Returns
    -------
    (...) float
        :math:`\sigma^2 k d \|\nu^1\|_1^2 / N`.

    See Also
    --------
    pessimism.tasks.rules.l1_a_mtrl.l1_a_mtrl : The rule.

    Notes
    -----
    The order of Wang et al. (2023) as we derive it from bounds of this form; their constants and lower-order terms, for
    known and for unknown relevance, are unverified. The leading order itself, with d - k for kd, is `l1_risk`.

    :Status: derived, as an order only.
    :Source: our derivation from bounds of this form, after Wang et al. (2023), arXiv:2306.02556.

    Examples
    --------
    >>> l1_a_mtrl_order(10_000, [1.0, 0.0, 0.0], dimension=50, k=2).round(12).item()
    0.01
    """
    weights = _arguments.weights("relevance", relevance, each=_positive("n", n).shape, of="a budget n")
    return _order(n, np.abs(weights).sum(axis=-1) ** 2, dimension, k, noise)


def _positive(name: str, value: ArrayLike) -> Floats:
    array: NDArray[np.float64] = _check.real_array(name, value)
    _check.require(name, array, array > 0.0, "positive")
    return array


def _squared(values: Floats) -> Floats:
    with np.errstate(over="ignore"):  # more than float64 can hold is infinite
        return np.square(values)


def _certain(found: Relevance) -> Floats:
    """Weights; NaN those of a batch that are not certified."""
    good = np.isin(np.asarray(found.status, object), np.array([Status.EXACT, Status.DEPENDENT], object))
    return np.where(good[..., None], found.weights, np.nan)


def _risk(n: ArrayLike, value: Floats, heads: ArrayLike, dimension: int, noise: ArrayLike) -> Floats:
    """sigma^2 (d - k) value / n, for checked heads."""
    k = np.shape(heads)[-2]
    budget, deviation = _positive("n", n), _check.real_array("noise", noise, low=0.0)
    _check.broadcast("n, noise and the worlds", budget.shape, deviation.shape, value.shape)
    excess = _check.whole("dimension", dimension, low=k) - k
    reached = ~np.isinf(value)
    with np.errstate(over="ignore"):  # more than float64 can hold is infinite
        risk = deviation**2 * excess * np.where(reached, value, 0.0) / budget
    return np.asarray(np.where(reached | (excess == 0), risk, np.inf))  # if d = k, every basis spans all inputs


def _scale(dimension: int, k: int, noise: ArrayLike) -> Any:
    rank = _check.whole("k", k, low=1)
    return _check.real_array("noise", noise, low=0.0) ** 2 * rank * _check.at_least("dimension", dimension, rank, "k")


def _order(n: ArrayLike, value: Floats, dimension: int, k: int, noise: ArrayLike) -> Floats:
    budget, scale = _positive("n", n), _scale(dimension, k, noise)
    _check.broadcast("n, noise and relevance", budget.shape, np.shape(noise), value.shape)
    with np.errstate(over="ignore"):  # more than float64 can hold is infinite
        return np.asarray(scale * value / budget)
