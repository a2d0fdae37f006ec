"""Phases of buying, fitting and estimating: what the active algorithms share."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._draw import Floats, Ints, Rng
from pessimism.tasks.allocation import allocate
from pessimism.tasks.data import TaskData
from pessimism.tasks.relevance import Relevance
from pessimism.tasks.representation import Representation, fit_heads, fit_representation
from pessimism.tasks.runs import ActiveRun, Source

Estimate = Callable[[Floats, Floats], Relevance]
Allocate = Callable[..., Ints]


def in_phases(
    source: Source,
    target: TaskData,
    k: int,
    budgets: Sequence[int],
    floor: int,
    estimate: Estimate,
    divide: Allocate,
    known: Relevance | ArrayLike | None,
    pooled: bool,
    ridge: float,
    rng: Rng,
) -> ActiveRun:
    """Phases of buying, fitting and estimating: what the adaptive algorithms share."""
    check_target(target, k, ridge)
    least = _check.whole("floor", floor, low=1)
    totals = _check.whole_array("budgets", budgets)
    if totals.ndim != 1 or len(totals) == 0:
        raise ValueError(f"budgets must be a sequence with a number for each phase, got shape {totals.shape}")
    generator = np.random.default_rng(rng)
    even = np.ones((*target.shape, source.n_tasks))
    if known is not None:
        shape = np.shape(known.weights if isinstance(known, Relevance) else known)
        if shape[-1:] != even.shape[-1:]:
            raise ValueError(f"relevance must have shape (..., {source.n_tasks}), an entry for each task, got {shape}")
        even = np.ones(_check.broadcast("relevance and target", shape, even.shape))
    bought: list[Ints] = []
    found: list[Relevance] = []
    data: TaskData | None = None
    fit: Representation | None = None
    for budget in totals.tolist():
        caps = getattr(source, "caps", None)
        # a task that is nearly sold out gives what it has
        bounds: dict[str, Any] = {"floor": least if caps is None else np.minimum(least, caps), "caps": caps}
        if known is not None:
            rows = divide(known, budget, **bounds)
            rows = np.array(np.broadcast_to(rows, even.shape))
        elif fit is None:
            rows = allocate(even, budget, **bounds)
        else:
            heads = np.where(np.isnan(fit.heads), 0.0, fit.heads)  # sold out before the phase: not to be bought either
            found.append(estimate(heads, fit_heads(fit.basis, target, ridge=ridge)[..., 0]))
            rows = divide(found[-1], budget, **bounds)
        fresh = source.sample(rows, rng=generator)
        check_dimension(target, fresh.dimension)
        data = fresh if data is None or not pooled else data.merge(fresh)
        bought.append(fresh.counts)
        if known is None or len(bought) == len(totals):
            fit = fit_representation(data, k, ridge=ridge)
    assert fit is not None
    return finished(source, target, fit.basis, fit, np.stack(bought, axis=-2), tuple(found), ridge)


def check_target(target: TaskData, k: int | None = None, ridge: float = 0.0) -> None:
    """Raise unless the data are of one task and determine a head of k entries: before anything is bought."""
    if target.n_tasks != 1:
        raise ValueError(f"target must hold the rows of one task, got {target.n_tasks}")
    if k is not None:
        least = _check.whole("k", k, low=1, high=target.dimension)
        penalty = _check.scalar("ridge", ridge, lambda x: 0.0 <= x < np.inf, "at least 0 and finite")
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
