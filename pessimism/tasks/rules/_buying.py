"""What the rules share: checks before anything is bought, the state of a run in phases, the decision at its end."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats, Ints, Rng
from pessimism.tasks._arguments import sampled, weights
from pessimism.tasks.data import TaskData
from pessimism.tasks.relevance import Relevance, lasso
from pessimism.tasks.representation import Representation, fit_heads, fit_representation
from pessimism.tasks.runs import ActiveRun, Source


def check_run(source: Any, target: Any, k: int, ridge: float = 0.0) -> None:
    """Raise unless there is a source, and a target of one task that determines a head of k entries."""
    penalty = check_sides(source, target, ridge)
    least = _check.whole("k", k, low=1, high=target.dimension)
    if least > source.n_tasks:
        raise ValueError(f"k must be at most the number of source tasks, {source.n_tasks}, got {least}")
    if (caps := getattr(source, "caps", None)) is not None:
        sampled("source", np.asarray(caps), least, target.dimension)
    enough = (target.counts >= least) | (penalty > 0)
    _check.require("target.counts", target.counts, enough, f"at least k = {least}, or ridge positive")


def check_sides(source: Any, target: Any, ridge: float) -> float:
    """Raise unless there is a source and a target of one task; return the penalty."""
    if not (hasattr(source, "n_tasks") and hasattr(source, "sample")):
        raise TypeError(f"source must have n_tasks and sample, as LinearTasks and TaskPool have, got {type(source)}")
    _check.instance("target", target, TaskData)
    if target.n_tasks != 1:
        raise ValueError(f"target must hold the rows of one task, got {target.n_tasks}")
    return _check.nonnegative("ridge", ridge)


def check_dimension(target: TaskData, length: int) -> None:
    """Raise unless inputs of the target are as long as those of the sources."""
    if target.dimension != length:
        raise ValueError(f"target must have inputs of length {length}, as the source's are, got {target.dimension}")


def limits(source: Source, floor: int) -> dict[str, Any]:
    """Floor and caps of a purchase, for `allocate`; a task with fewer rows left than the floor gives all it has."""
    caps = getattr(source, "caps", None)
    return {"floor": floor if caps is None else np.minimum(floor, caps), "caps": caps}


def by_lasso(regularization: float) -> Callable[[Floats, Floats], Relevance]:
    """The estimate of the relevance by the Lasso, its option checked before anything is bought."""
    return partial(lasso, regularization=_check.between("regularization", regularization, 0.0, 1.0, "(]"))


def decision(
    source: Source,
    target: TaskData,
    basis: Floats,
    fit: Representation | None,
    allocations: Ints,
    relevances: tuple[Relevance, ...] = (),
    ridge: float = 0.0,
) -> ActiveRun:
    """The run that ends with the target's head fitted on a basis."""
    coefficients = (basis @ fit_heads(basis, target, ridge=ridge))[..., 0]
    return ActiveRun(coefficients, fit, allocations, relevances, risk_of(source, coefficients))


def risk_of(source: Source, coefficients: Floats) -> Floats | None:
    """Excess risk of a decision, if the source values it."""
    risk: Floats | None = source.risk(coefficients) if hasattr(source, "risk") else None
    return risk


class Phases:
    """A run that buys in phases: its options, checked before anything is bought, and what was bought so far."""

    def __init__(
        self,
        source: Source,
        target: TaskData,
        k: int,
        budgets: Sequence[int],
        floor: int,
        pooled: bool,
        ridge: float,
        rng: Rng,
        relevance: Relevance | ArrayLike | None = None,
    ) -> None:
        check_run(source, target, k, ridge)
        self.source, self.target, self.k, self.ridge, self.known = source, target, int(k), float(ridge), relevance
        self.floor, self.pooled = _check.whole("floor", floor, low=1), _check.flag("pooled", pooled)
        self.budgets = self._checked(budgets)
        self.shape: tuple[int, ...] = (*target.shape, source.n_tasks)
        if relevance is not None:
            given = weights("relevance", relevance).shape
            if given[-1] != source.n_tasks:
                raise ValueError(
                    f"relevance must have shape (..., {source.n_tasks}), an entry for each task, got {given}"
                )
            self.shape = _check.broadcast("relevance and target", given, self.shape)
        self.generator = _check.generator(rng)
        self.bought: list[Ints] = []
        self.relevances: list[Relevance] = []
        self.data: TaskData | None = None

    def _checked(self, budgets: Sequence[int]) -> list[int]:
        totals = _check.whole_array("budgets", budgets)
        if totals.ndim != 1 or len(totals) == 0:
            raise ValueError(f"budgets must be a sequence with a number for each phase, got shape {totals.shape}")
        least, caps = limits(self.source, self.floor).values()
        floors = int(np.broadcast_to(least, self.source.n_tasks).sum())
        _check.require("budgets", totals, totals >= floors, f"at least {floors}, the total of the floors")
        if caps is not None and totals.sum() > np.sum(caps):
            raise ValueError(f"budgets must total at most {np.sum(caps)}, what the source has, got {totals.sum()}")
        whole: list[int] = totals.tolist()
        return whole

    def relevance(self, estimate: Callable[[Floats, Floats], Relevance]) -> Relevance | ArrayLike:
        """The known relevance; else 1 for all tasks in the first phase, and then ``estimate(W, w)`` of fitted heads."""
        if self.known is not None:
            return self.known
        if self.data is None:
            return np.ones(self.shape)
        fit = fit_representation(self.data, self.k, ridge=self.ridge)
        heads = np.where(np.isnan(fit.heads), 0.0, fit.heads)  # NaN where a task had no row left to buy
        found = estimate(heads, fit_heads(fit.basis, self.target, ridge=self.ridge)[..., 0])
        self.relevances.append(found)
        return found

    def buy(self, n: Ints) -> None:
        """Buy the rows of a phase."""
        fresh = self.source.sample(np.array(np.broadcast_to(n, self.shape)), rng=self.generator)
        check_dimension(self.target, fresh.dimension)
        self.data = fresh if self.data is None or not self.pooled else self.data.merge(fresh)
        self.bought.append(fresh.counts)

    def decision(self) -> ActiveRun:
        """The run that ends with a fit to the rows bought."""
        assert self.data is not None  # there is at least one budget
        fit = fit_representation(self.data, self.k, ridge=self.ridge)
        allocations = np.stack(self.bought, axis=-2)
        return decision(self.source, self.target, fit.basis, fit, allocations, tuple(self.relevances), self.ridge)
