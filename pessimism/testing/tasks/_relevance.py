"""The relevance under test: what it is asked, what it answers, and whether that is what it claims."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism._types import Floats
from pessimism.tasks import ConvergenceError, Relevance, lasso, min_l1, min_l2
from pessimism.testing._driver import PromiseError, Subject, assignments
from pessimism.testing._whole_numbers import below

Rule = Callable[[Floats, Floats], Relevance | ArrayLike]

TIGHT = 1e-10
"""Relative gap that is asked of our own Lasso."""


class RelevanceError(PromiseError):
    """A relevance broke a promise: the message says which, on which problem, and what it answered."""


class Case(NamedTuple):
    """A problem, and what is done to it."""

    heads: Floats
    target: Floats
    order: tuple[int, ...]
    basis: int
    scale: float


class Problem(NamedTuple):
    """Heads, target and an optimal dual point of it; None if nothing is claimed of its optimum."""

    heads: Floats
    target: Floats
    dual: Floats | None


class Answer(NamedTuple):
    """A valid answer, the proof that came with it, and the problem that it answers."""

    weights: Floats
    proof: tuple[Floats, Floats, Floats] | None
    problem: Problem


def case_of(
    heads: ArrayLike,
    target: ArrayLike,
    order: tuple[int, ...] = (5, 4, 3, 2, 1, 0),
    basis: int = 0,
    scale: float = -1.0,
) -> Case:
    columns = np.array(heads, np.float64)
    return Case(columns, np.array(target, np.float64), below(columns.shape[1], order), basis, scale)


@dataclass(frozen=True, slots=True)
class RelevanceSubject(Subject[Case, Problem, Answer]):
    """A relevance, and what it claims."""

    check, asked = "check_relevance", "problem"
    error_type = RelevanceError
    implied: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "feasible": ("optimal", "tasks", "basis", "scale"),
        "optimal": ("tasks", "basis", "scale"),
    }
    waivable = ("repeat", "certificate", "zeros", "batch", "tasks", "basis", "scale")

    norm: int | None = None
    regularization: float | None = None
    tolerance: float = 1e-8

    def about(self, case: Case) -> Problem:
        return Problem(case.heads, case.target, None)

    def ask(self, given: Problem, promise: str = "contract") -> Answer:
        """Weights, and the proof that comes with them."""
        batch = given.heads.shape[:-2]
        where = f"on a batch of shape {batch} " if batch else ""
        heads, target = np.array(given.heads), np.array(given.target)
        tables = {"heads": (given.heads, heads), "target": (given.target, target)}
        result = self.called(
            lambda: self.function(heads, target), given, promise, where=where, batch=bool(batch), tables=tables
        )
        weights = np.asarray(getattr(result, "weights", result))
        answer = Answer(weights, None, given)
        wrong = _malformed(weights, given.heads)
        if wrong is not None:
            raise self.error(promise, where + wrong, given, answer)
        return answer._replace(proof=self._proof(result, promise, where, answer))

    def answer(self, case: Case) -> Answer:
        """With a dual point of our own."""
        return self.ask(self.about(case))._replace(problem=self.solved(case.heads, case.target))

    def admits(self, given: Problem) -> bool:
        return self.accepts is None or bool(self.accepts(given.heads, given.target))

    def shown(self, given: Problem, answer: Answer | None) -> list[str]:
        """Problem and weights; of a batch, the shapes have to do."""
        fields: dict[str, Any] = {"heads": given.heads, "target": given.target}
        if given.heads.ndim > 2:
            fields = {f"{name}.shape": table.shape for name, table in fields.items()}
        if self.regularization is not None:
            fields["regularization"] = self.regularization
        return assignments(fields | ({} if answer is None else {"weights": answer.weights}))

    def text(self, answer: Answer) -> str:
        return str(answer.weights.tolist())

    def _proof(self, result: Any, promise: str, where: str, answer: Answer) -> tuple[Floats, Floats, Floats] | None:
        """Dual, gap and residual; None without a dual point, or where it is not held to be a proof."""
        parts = [getattr(result, name, None) for name in ("dual", "gap", "residual")]
        if parts[0] is None or "certificate" in self.waived:
            return None
        for name, part in zip(("gap", "residual"), parts[1:], strict=True):
            if part is None:
                raise self.error("certificate", f"it has a dual but no {name}", answer.problem, answer)
        dual, gap, residual = (np.asarray(part, np.float64) for part in parts)
        *batch, k, _ = answer.problem.heads.shape
        shapes, got = ((*batch, k), tuple(batch), tuple(batch)), (dual.shape, gap.shape, residual.shape)
        if got != shapes:
            wrong = f"{where}dual, gap and residual must have shapes {shapes}, got {got}"
            raise self.error(promise, wrong, answer.problem, answer)
        return dual, gap, residual

    def solved(self, heads: Floats, target: Floats) -> Problem:
        """The problem with the dual point of our own answer."""
        if self.regularization is not None:
            try:
                found = lasso(heads, target, regularization=self.regularization, tolerance=TIGHT)
            except ConvergenceError as error:  # its dual point is feasible all the same
                found = error.result
            return Problem(heads, target, found.dual)
        if self.norm is None:
            return Problem(heads, target, None)
        return Problem(heads, target, (min_l1 if self.norm == 1 else min_l2)(heads, target).dual)

    def penalty(self, heads: Floats, target: Floats) -> float:
        return float(self.regularization or 0.0) * float(np.abs(heads.T @ target).max())

    def wrong(self, problem: Problem, weights: Floats, expected: Floats | None = None) -> tuple[str, str] | None:
        """Promise and sentence, if the weights are not what is claimed; without a claim, if not as expected."""
        heads, target, dual = problem
        if dual is None:
            return self._differs(weights, expected)
        if self.regularization is not None:
            return self._not_lasso(heads, target, dual, weights)
        best = float(target @ dual)
        longest = float(np.linalg.norm(heads, axis=0).max())
        size = float(np.linalg.norm(target))
        missed = float(np.linalg.norm(heads @ weights - target))
        if missed > self.tolerance * (size + (best if best > 0 else 1.0) * longest):
            part = f"by {missed / size:.3g} of its length" if size > 0 else f"0 by {missed:.3g}"
            return "feasible", f"W nu misses the target {part}"
        if self.norm == 2:
            return self._differs(weights, best * (heads.T @ dual))
        total = float(np.abs(weights).sum())
        if total > best + self.tolerance * (best if best > 0 else 1.0):
            return "optimal", f"its |nu|_1 is {total:.6g}, the smallest is {best:.6g}, as a dual point proves"
        return None

    def _not_lasso(self, heads: Floats, target: Floats, dual: Floats, weights: Floats) -> tuple[str, str] | None:
        value = objective(heads, target, self.penalty(heads, target), weights)
        best = 0.5 * float(target @ target - (target - dual) @ (target - dual))
        if value > best + self.tolerance * (0.5 * float(target @ target) or 1.0):
            return "optimal", f"its 1/2 |W nu - w|^2 + lambda |nu|_1 is {value:.6g}, the smallest is {best:.6g}"
        return None

    def _differs(self, weights: Floats, expected: Floats | None) -> tuple[str, str] | None:
        if expected is None:
            return None
        apart, size = np.abs(weights - expected), float(np.abs(expected).max())
        if apart.max() > self.tolerance * (size if size > 0 else 1.0):
            m = int(apart.argmax())
            return "optimal", f"task {m} has weight {weights[m]:.6g}, and must have {expected[m]:.6g}"
        return None


def objective(heads: Floats, target: Floats, penalty: float, weights: Floats) -> float:
    missed = heads @ weights - target
    return float(0.5 * missed @ missed + penalty * np.abs(weights).sum())


def _malformed(weights: NDArray[Any], heads: Floats) -> str | None:
    expected = heads.shape[:-2] + heads.shape[-1:]
    if weights.dtype != np.float64:
        hint = ": 7 digits do not resolve nearly dependent heads" if weights.dtype == np.float32 else ""
        return f"weights are float64, its have dtype {weights.dtype}{hint}"
    if weights.shape != expected:
        hint = "a weight for each task"
        if weights.shape == heads.shape[:-1]:
            hint = "one for each row of heads: tasks are the columns"
        elif len(expected) > 1 and weights.shape == expected[-1:]:
            hint = "one answer for the whole batch: leading axes are kept"
        return f"its weights must have shape {expected}, got {weights.shape}, {hint}"
    if not np.isfinite(weights).all():
        return f"its weights must be finite, got {weights.tolist()}: is there a division by the length of a head?"
    return None
