"""Phases of buying, fitting and estimating: what the active algorithms share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats, Ints, Rng
from pessimism.tasks._shapes import sampled, weights
from pessimism.tasks.allocation import allocate
from pessimism.tasks.data import TaskData
from pessimism.tasks.relevance import Relevance
from pessimism.tasks.representation import Representation, fit_heads, fit_representation
from pessimism.tasks.runs import ActiveRun, Source

Estimate = Callable[[Floats, Floats], Relevance]
Divide = Callable[..., Ints]


@dataclass(frozen=True, slots=True)
class Phases:
    """What a run is asked to do, checked before anything is bought."""

    k: int
    budgets: tuple[int, ...]
    floor: int
    pooled: bool
    ridge: float


def phases(
    source: Source, target: TaskData, *, k: int, budgets: Sequence[int], floor: int, pooled: bool, ridge: float
) -> Phases:
    """The checked options of an adaptive run."""
    check_run(source, target, k, ridge)
    least = _check.whole("floor", floor, low=1)
    _check.flag("pooled", pooled)
    totals = _check.whole_array("budgets", budgets)
    if totals.ndim != 1 or len(totals) == 0:
        raise ValueError(f"budgets must be a sequence with a number for each phase, got shape {totals.shape}")
    caps = getattr(source, "caps", None)
    floors = least * source.n_tasks if caps is None else int(np.minimum(least, caps).sum())
    _check.require("budgets", totals, totals >= floors, f"at least {floors}, the total of the floors")
    if caps is not None and totals.sum() > np.sum(caps):
        raise ValueError(f"budgets must total at most {np.sum(caps)}, what the source has, got {totals.sum()}")
    return Phases(int(k), tuple(totals.tolist()), least, bool(pooled), float(ridge))


def in_phases(
    source: Source,
    target: TaskData,
    plan: Phases,
    known: Relevance | ArrayLike | None,
    estimate: Estimate,
    divide: Divide,
    rng: Rng,
) -> ActiveRun:
    """Buy, fit, estimate, and divide the next budget by the estimate."""
    generator = np.random.default_rng(rng)
    even = np.ones(_batch_of(known, target, source.n_tasks))
    bought: list[Ints] = []
    found: list[Relevance] = []
    data: TaskData | None = None
    fit: Representation | None = None
    for budget in plan.budgets:
        caps = getattr(source, "caps", None)
        # a task that is nearly sold out gives what it has
        bounds: dict[str, Any] = {"floor": plan.floor if caps is None else np.minimum(plan.floor, caps), "caps": caps}
        if known is not None:
            rows = np.array(np.broadcast_to(divide(known, budget, **bounds), even.shape))
        elif fit is None:
            rows = allocate(even, budget, **bounds)
        else:
            heads = np.where(np.isnan(fit.heads), 0.0, fit.heads)  # sold out before the phase: not to be bought either
            found.append(estimate(heads, fit_heads(fit.basis, target, ridge=plan.ridge)[..., 0]))
            rows = divide(found[-1], budget, **bounds)
        fresh = source.sample(rows, rng=generator)
        check_dimension(target, fresh.dimension)
        data = fresh if data is None or not plan.pooled else data.merge(fresh)
        bought.append(fresh.counts)
        if known is None or len(bought) == len(plan.budgets):
            fit = fit_representation(data, plan.k, ridge=plan.ridge)
    assert fit is not None
    return finished(source, target, fit.basis, fit, np.stack(bought, axis=-2), tuple(found), plan.ridge)


def _batch_of(known: Relevance | ArrayLike | None, target: TaskData, n_tasks: int) -> tuple[int, ...]:
    """Shape (..., M) of what is bought in a phase."""
    if known is None:
        return (*target.shape, n_tasks)
    shape = np.shape(weights("relevance", known))
    if shape[-1] != n_tasks:
        raise ValueError(f"relevance must have shape (..., {n_tasks}), an entry for each task, got {shape}")
    return _check.broadcast("relevance and target", shape, (*target.shape, n_tasks))


def check_run(source: Any, target: Any, k: int | None = None, ridge: float = 0.0) -> None:
    """Raise unless there is a source, and a target of one task that determines a head of k entries."""
    if not (hasattr(source, "n_tasks") and hasattr(source, "sample")):
        raise TypeError(f"source must have n_tasks and sample, as LinearTasks and TaskPool have, got {type(source)}")
    _check.instance("target", target, TaskData)
    if target.n_tasks != 1:
        raise ValueError(f"target must hold the rows of one task, got {target.n_tasks}")
    penalty = _check.scalar("ridge", ridge, lambda x: 0.0 <= x < np.inf, "at least 0 and finite")
    if k is not None:
        least = _check.whole("k", k, low=1, high=target.dimension)
        if least > source.n_tasks:
            raise ValueError(f"k must be at most the number of source tasks, {source.n_tasks}, got {least}")
        if (caps := getattr(source, "caps", None)) is not None:
            sampled("source", np.asarray(caps), least, target.dimension)
        enough = (target.counts >= least) | (penalty > 0)
        _check.require("target.counts", target.counts, enough, f"at least k = {least}, or ridge positive")


def check_dimension(target: TaskData, length: int) -> None:
    """Raise unless inputs of the target are as long as those of the sources."""
    if target.dimension != length:
        raise ValueError(f"target must have inputs of length {length}, as the source's are, got {target.dimension}")


def finished(
    source: Any,
    target: TaskData,
    basis: Floats,
    fit: Representation | None,
    allocations: Ints,
    relevances: tuple[Relevance, ...] = (),
    ridge: float = 0.0,
) -> ActiveRun:
    """The run that ends with the target's head on a basis."""
    coefficients = (basis @ fit_heads(basis, target, ridge=ridge))[..., 0]
    risk = source.risk(coefficients) if hasattr(source, "risk") else None
    return ActiveRun(coefficients, fit, allocations, relevances, risk)
