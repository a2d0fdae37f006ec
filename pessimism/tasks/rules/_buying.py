"""What the rules share: checks before anything is bought, the state of a run in phases, the decision at its end."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._status import Status, conclude
from pessimism._types import Floats, Ints, Rng
from pessimism.tasks._arguments import sampled, weights
from pessimism.tasks.data import TaskData
from pessimism.tasks.relevance import Relevance
from pessimism.tasks.representation import Representation, _fitted, _heads_on
from pessimism.tasks.runs import ActiveRun, Source

Estimate = Callable[[Floats, Floats], tuple[Relevance, NDArray[np.bool_], str]]
"""A relevance from heads and target, which of it is certified, and what to say of the rest."""


def check_target(source: Any, target: Any, ridge: float) -> None:
    """Raise unless there is a source, and a target of one task."""
    if not (hasattr(source, "n_tasks") and hasattr(source, "sample")):
        raise TypeError(f"source must have n_tasks and sample, as LinearTasks and TaskPool have, got {type(source)}")
    _check.instance("target", target, TaskData)
    if target.n_tasks != 1:
        raise ValueError(f"target must hold the rows of one task, got {target.n_tasks}")
    _check.nonnegative("ridge", ridge)


def check_run(source: Any, target: Any, k: int, ridge: float = 0.0) -> None:
    """Raise unless besides the target determines a head of k entries, or a ridge does, and the source has k tasks."""
    check_target(source, target, ridge)
    least = _check.whole("k", k, low=1, high=target.dimension)
    if least > source.n_tasks:
        raise ValueError(f"k must be at most the number of source tasks, {source.n_tasks}, got {least}")
    if (caps := getattr(source, "caps", None)) is not None:
        sampled("source", np.asarray(caps), least, target.dimension)
    enough = (target.counts >= least) | (ridge > 0)
    _check.require("target.counts", target.counts, enough, f"at least k = {least}, or ridge positive")


def check_dimension(target: TaskData, length: int) -> None:
    """Raise unless inputs of the target are as long as those of the sources."""
    if target.dimension != length:
        raise ValueError(f"target must have inputs of length {length}, as the source's are, got {target.dimension}")


def limits(source: Source, floor: int) -> dict[str, Any]:
    """Floor and caps of a purchase, for `allocate`; a task with fewer rows left than the floor gives all it has."""
    caps = getattr(source, "caps", None)
    return {"floor": floor if caps is None else np.minimum(floor, caps), "caps": caps}


class Outcome:
    """How the runs of a batch end: as `good` says, or as the first part of them that failed. A single run raises."""

    def __init__(self, shape: tuple[int, ...], good: Status = Status.STATIONARY) -> None:
        self.status, self.good = np.full(shape, good, object), np.ones(shape, np.bool_)

    def add(self, result: Any, good: NDArray[np.bool_], message: str, status: Any) -> None:
        """Note a part, which may hold for the whole batch, and its statuses."""
        if not self.good.ndim:
            conclude(result, np.asarray(good.all()), message)
        failed = self.good & ~good
        self.status[failed] = np.broadcast_to(np.asarray(status, object), self.status.shape)[failed]
        self.good &= good

    def run(
        self,
        source: Source,
        coefficients: Floats,
        fit: Representation | None,
        allocations: Ints,
        relevances: tuple[Relevance, ...] = (),
    ) -> ActiveRun:
        """The run that ends with these coefficients: NaN, with one warning, where it failed."""
        good = self.good[..., None]
        risk = risk_of(source, np.where(good, coefficients, 0.0))
        result = ActiveRun(
            np.where(good, coefficients, np.nan),
            fit,
            allocations,
            relevances,
            risk if risk is None else np.where(self.good, risk, np.nan)[()],
            self.status if self.good.ndim else self.status.item(),
        )
        bad = np.count_nonzero(~self.good)
        if bad:
            reasons = sorted({status.name for status in self.status[~self.good]})
            conclude(
                result, self.good, f"{bad} of {self.good.size} runs failed ({', '.join(reasons)}) and decide on NaN"
            )
        return result


def decision(
    source: Source,
    target: TaskData,
    basis: Floats,
    fit: Representation | None,
    allocations: Ints,
    outcome: Outcome,
    relevances: tuple[Relevance, ...] = (),
    ridge: float = 0.0,
) -> ActiveRun:
    """The run that ends with the target's head fitted on a basis."""
    heads = target_head(basis, target, ridge, outcome)
    coefficients = (np.nan_to_num(basis) @ heads[..., None])[..., 0]
    return outcome.run(source, coefficients, fit, allocations, relevances)


def target_head(basis: Floats, target: TaskData, ridge: float, outcome: Outcome) -> Floats:
    """The head (..., k) on a basis; a basis that is NaN, which a failed fit leaves, gives 0."""
    there = np.asarray(np.isfinite(basis).all(axis=(-2, -1)))[..., None, None]
    heads, determined = _heads_on(np.where(there, basis, np.eye(*basis.shape[-2:])), target, ridge)
    if not outcome.good.ndim and not determined.all():
        raise ValueError("target must determine its head: its rows do not span the representation")
    outcome.add(heads, determined[..., 0], "", Status.UNDETERMINED)
    return np.where(there[..., 0], heads[..., 0], 0.0)


def risk_of(source: Source, coefficients: Floats) -> Floats | None:
    """Excess risk of a decision, if the source values it."""
    risk: Floats | None = source.risk(coefficients) if hasattr(source, "risk") else None
    return risk


def checked_regularization(value: float) -> Floats:
    """The option of the Lasso, checked before anything is bought."""
    return np.asarray(_check.between("regularization", value, 0.0, 1.0, "(]"))


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
        self.outcome = Outcome(self.shape[:-1])
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
        _check.require("budgets", totals, totals >= floors, f"at least {floors}, the total of the floor of every task")
        if caps is not None and totals.sum() > np.sum(caps):
            raise ValueError(f"budgets must total at most {np.sum(caps)}, what the source has, got {totals.sum()}")
        whole: list[int] = totals.tolist()
        return whole

    def relevance(self, estimate: Estimate) -> Relevance | ArrayLike:
        """The known relevance; else 1 for all tasks in the first phase, and then ``estimate(W, w)`` of fitted heads."""
        if self.known is not None:
            return self.known
        if self.data is None:
            return np.ones(self.shape)
        fit = self.fit()
        heads = np.where(np.isnan(fit.heads), 0.0, fit.heads)  # NaN where a task had no row left to buy
        found, good, message = estimate(heads, target_head(fit.basis, self.target, self.ridge, self.outcome))
        self.outcome.add(found, good, message, found.status)
        self.relevances.append(found)
        return found

    def fit(self) -> Representation:
        """The fit to the rows bought."""
        assert self.data is not None  # there is at least one budget
        fit, good, message = _fitted(self.data, self.k, ridge=self.ridge)
        self.outcome.add(fit, good, message, fit.status)
        return fit

    def buy(self, n: Ints) -> None:
        """Buy the rows of a phase."""
        fresh = self.source.sample(np.array(np.broadcast_to(n, self.shape)), rng=self.generator)
        check_dimension(self.target, fresh.dimension)
        self.data = fresh if self.data is None or not self.pooled else self.data.merge(fresh)
        self.bought.append(fresh.counts)

    def decision(self) -> ActiveRun:
        """The run that ends with a fit to the rows bought."""
        fit, allocations = self.fit(), np.stack(self.bought, axis=-2)
        ended = self.outcome, tuple(self.relevances), self.ridge
        return decision(self.source, self.target, fit.basis, fit, allocations, *ended)
