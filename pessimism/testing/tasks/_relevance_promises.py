r"""What every relevance owes its user, one function a promise.

Heads W and a target w are answered by weights :math:`\nu`. A dual point y of our own proves what the best objective is
(`pessimism.tasks.relevance`), and it moves along when the problem is changed: with tasks renumbered it stays, in
another basis (QW, Qw) it is :math:`Q^{-\top}y`, for the target b w it is :math:`\mathrm{sign}(b)\,y`. So every promise
is the same comparison, of values where the best weights need not be unique.
"""

from itertools import permutations

import numpy as np
from hypothesis import strategies as st

from pessimism._types import Floats
from pessimism.testing._driver import repeat
from pessimism.testing.tasks._drawn import drawn_problems
from pessimism.testing.tasks._relevance import Answer, Case, Problem, RelevanceSubject, case_of, objective
from pessimism.testing.tasks._relevance_mistakes import likely_cause

RELATIVES = (2, 3)
"""Batch in which a problem is put beside five relatives of it."""

INACTIVE = 1e-3
"""A task whose slope is below its limit by this part has weight 0 in every optimum."""

ZERO = 1e-12
"""What rounding may leave of such a weight, as a part of the largest."""

MAX_TASKS = 6
ORDERS = st.sampled_from(list(permutations(range(MAX_TASKS)))[1:])

LOWER = [[-2.0, 0.0, 0.0], [3.0, 1.0, 0.0], [1.0, -2.0, 4.0]]
BASES = (np.array(LOWER), np.array(LOWER).T)
"""Changes of basis. Their leading blocks are invertible too, whatever k."""


@st.composite
def cases(draw: st.DrawFn, rank_deficient: bool) -> Case:
    # the problem last: what comes before then stays in place while it shrinks
    order, basis, scale = draw(ORDERS), draw(st.integers(0, 1)), draw(st.sampled_from([-1.0, 4.0, 2.0**-10]))
    heads, target = draw(drawn_problems(3, MAX_TASKS, rank_deficient, 16.0, ()))
    return case_of(heads, target, order, basis, scale)


def feasible(subject: RelevanceSubject, case: Case, answer: Answer) -> str | None:
    """With a claimed norm, W nu = w."""
    return _claimed(subject, "feasible", answer)


def optimal(subject: RelevanceSubject, case: Case, answer: Answer) -> str | None:
    """The claimed objective is as small as a dual point of our own proves possible."""
    return _claimed(subject, "optimal", answer)


def _claimed(subject: RelevanceSubject, promise: str, answer: Answer) -> str | None:
    found = subject.wrong(answer.problem, answer.weights)
    return subject.explained(likely_cause, found[1]) if found is not None and found[0] == promise else None


def certificate(subject: RelevanceSubject, case: Case, answer: Answer) -> str | None:
    """A dual point that comes with the weights is feasible and proves them optimal; gap and residual are right."""
    if answer.proof is None:
        return None
    heads, target = case.heads, case.target
    dual, gap, residual = answer.proof
    wrong = None
    size = float(np.linalg.norm(target)) or 1.0
    missed = float(np.linalg.norm(heads @ answer.weights - target)) / size
    if not abs(missed - float(residual)) <= subject.tolerance:
        wrong = f"its residual is said to be {float(residual):.3g} and is {missed:.3g}"
    if answer.problem.dual is not None:
        slope = float(np.linalg.norm(heads.T @ dual, 2 if subject.norm == 2 else np.inf))
        limit = 1.0 if subject.regularization is None else subject.penalty(heads, target)
        true = _gap(subject, case, answer.weights, dual)
        if not slope <= limit * (1 + subject.tolerance):
            order = "2" if subject.norm == 2 else "inf"
            wrong = f"its dual point is not feasible: |W'y|_{order} is {slope:.6g}, and must be at most {limit:.6g}"
        elif not abs(true) <= subject.tolerance:
            wrong = f"its dual point leaves a gap of {true:.3g}, and it says {float(gap):.3g}: y proves nothing better"
        elif not abs(true - float(gap)) <= subject.tolerance:
            wrong = f"its gap is said to be {float(gap):.3g} and is {true:.3g}"
    return wrong


def _gap(subject: RelevanceSubject, case: Case, weights: Floats, dual: Floats) -> float:
    target = case.target
    if subject.regularization is not None:
        best = 0.5 * float(target @ target - (target - dual) @ (target - dual))
        value = objective(case.heads, target, subject.penalty(case.heads, target), weights)
        return (value - best) / (0.5 * float(target @ target) or 1.0)
    norm = float(np.linalg.norm(weights, subject.norm))
    return (norm - float(target @ dual)) / (norm or 1.0)


def zeros(subject: RelevanceSubject, case: Case, answer: Answer) -> str | None:
    """Weights that are 0 in every optimum, since their slope is below its limit; of a head 0 the slope is 0."""
    sizes = np.abs(answer.weights)
    limit = ZERO * (sizes.max() if case.target.any() else max(1.0, sizes.max()))
    if subject.norm == 2 or answer.problem.dual is None:
        wrong = (case.heads == 0).all(axis=0) & (sizes > limit)
        why = "its head is 0, which helps no target"
    else:
        slope = np.abs(case.heads.T @ answer.problem.dual)
        most = 1.0 if subject.regularization is None else subject.penalty(case.heads, case.target)
        wrong = (slope < (1 - INACTIVE) * most) & (sizes > limit)
        why = (
            "it is 0 in every optimum. An interior point is not 0 anywhere: end with a vertex (simplex), or set to 0 "
            "what is below 1e-8 of the largest, before the support is read"
        )
    m = int(np.argmax(wrong))
    return f"task {m} has weight {answer.weights[m]:.3g}: {why}" if wrong.any() else None


def batch(subject: RelevanceSubject, case: Case, answer: Answer) -> None:
    """A problem is answered within a batch of problems as it is alone."""
    family = subject.admitted(relatives(subject, answer.problem))
    heads, target = (
        np.stack([getattr(member, name) for member in family]).reshape(*RELATIVES, *getattr(family[0], name).shape)
        for name in ("heads", "target")
    )
    together = subject.ask(Problem(heads, target, None), "batch").weights.reshape(len(family), -1)
    for i, (member, weights) in enumerate(zip(family, together, strict=True)):
        alone = None if member.dual is not None else subject.ask(member).weights
        found = subject.wrong(member, weights, alone)
        if found is None or _is_wrong_alone(subject, member):
            continue  # a mistake in one problem alone is left to the other promises, which explain it better
        text = (
            f"number {i} in a batch of shape {RELATIVES} is answered {weights.tolist()}: {found[1]}. Alone it is "
            "answered correctly: leading axes are problems, heads are the last two axes"
        )
        raise subject.error("batch", text, member, Answer(weights, None, member))


def _is_wrong_alone(subject: RelevanceSubject, member: Problem) -> bool:
    return member.dual is not None and bool(subject.wrong(member, subject.ask(member).weights))


def tasks(subject: RelevanceSubject, case: Case, answer: Answer) -> str | None:
    """With the tasks renumbered, the weights are as good as before."""
    order = np.array(case.order)
    moved = answer.problem._replace(heads=case.heads[:, order])
    wrong = _wrong_about(subject, "tasks", answer, moved, answer.weights[order])
    return wrong and f"with the tasks in the order {list(case.order)}, {wrong}: it depends on their numbering"


def basis(subject: RelevanceSubject, case: Case, answer: Answer) -> str | None:
    """In another basis (QW, Qw) of the representation, the weights are as good as before."""
    k = len(case.target)
    change, dual = BASES[case.basis][:k, :k], answer.problem.dual
    if subject.norm is None:
        change = np.linalg.qr(change)[0]
        kind = "a rotated basis"
    else:
        kind = "another basis"
    if dual is not None:
        dual = np.linalg.solve(change.T, dual)
    moved = Problem(change @ case.heads, change @ case.target, dual)
    wrong = _wrong_about(subject, "basis", answer, moved, answer.weights)
    return wrong and (
        f"in {kind} (QW, Qw) of the representation, Q = {change.round(6).tolist()}, {wrong}: only the span of an "
        "estimated representation means anything"
    )


def scale(subject: RelevanceSubject, case: Case, answer: Answer) -> str | None:
    """For a multiple of the target, the weights are as good as before."""
    moved = scaled(subject, answer.problem, case.scale)
    wrong = _wrong_about(subject, "scale", answer, moved, answer.weights * case.scale)
    if wrong is None:
        return None
    why = "does a constant of its own depend on the unit?"
    if answer.weights.any() and np.array_equal(subject.ask(moved, "scale").weights, answer.weights):
        why = "its answer is the same, as that of a cache, or of a target that is divided by its length"
    return f"with the target times {case.scale:g}, which only multiplies the weights, {wrong}: {why}"


PROMISES = (repeat, feasible, optimal, certificate, zeros, batch, tasks, basis, scale)
"""In the order in which they are reported."""


def _wrong_about(
    subject: RelevanceSubject, promise: str, answer: Answer, moved: Problem, expected: Floats
) -> str | None:
    if subject.wrong(answer.problem, answer.weights) is not None:
        return None  # a mistake in the problem as it is
    found = subject.wrong(moved, subject.ask(moved, promise).weights, expected)
    return None if found is None else found[1]


def scaled(subject: RelevanceSubject, problem: Problem, factor: float) -> Problem:
    dual = problem.dual
    if dual is not None:
        dual = dual * (np.sign(factor) if subject.regularization is None else factor)
    return Problem(problem.heads, problem.target * factor, dual)


def relatives(subject: RelevanceSubject, problem: Problem) -> list[Problem]:
    backwards = problem._replace(heads=problem.heads[:, ::-1])
    return [
        problem,
        scaled(subject, problem, 0.0),
        backwards,
        scaled(subject, problem, -2.0),
        problem._replace(heads=-problem.heads),
        scaled(subject, backwards, 4.0),
    ]
