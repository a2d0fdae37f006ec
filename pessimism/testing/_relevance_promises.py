r"""What every relevance owes its user, one function a promise; and the slips that explain a wrong one.

Heads W and a target w are answered by weights :math:`\nu`. A dual point y of our own proves what the best objective is
(`pessimism.tasks.relevance`), and it moves along when the problem is changed: with tasks renumbered it stays, in
another basis (QW, Qw) it is :math:`Q^{-\top}y`, for the target b w it is :math:`\mathrm{sign}(b)\,y`. So every promise
is the same comparison, of values where the best weights need not be unique.
"""

from collections.abc import Callable, Iterator
from itertools import permutations

import numpy as np
from hypothesis import strategies as st

from pessimism._types import Floats
from pessimism.tasks.relevance import lasso, min_l1, min_l2
from pessimism.testing._relevances import Answer, Case, Problem, RelevanceError, Subject, case_of, objective
from pessimism.testing.task_strategies import task_problems

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
    heads, target = draw(task_problems(max_k=3, max_tasks=MAX_TASKS, rank_deficient=rank_deficient, spread=16.0))
    return case_of(heads, target, order, basis, scale)


# ---- promises


def repeat(subject: Subject, case: Case, answer: Answer) -> None:
    again = subject.ask(case.heads, case.target).weights
    if not np.array_equal(answer.weights, again):
        wrong = f"asked again about the same problem, it answered {again.tolist()}: give its generator a fixed seed"
        raise subject.error("repeat", wrong, answer.problem, answer.weights)


def claim(promise: str) -> Callable[[Subject, Case, Answer], None]:
    """The promise "feasible" or "optimal"."""

    def held(subject: Subject, case: Case, answer: Answer) -> None:
        found = subject.wrong(answer.problem, answer.weights)
        if found is not None and found[0] == promise:
            cause = subject.cause(likely_cause)
            text = found[1] if cause is None else f"{cause}. Where it shows: {found[1]}"
            raise subject.error(promise, text, answer.problem, answer.weights)

    return held


def certificate(subject: Subject, case: Case, answer: Answer) -> None:
    if answer.proof is None:
        return
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
    if wrong is not None:
        raise subject.error("certificate", wrong, answer.problem._replace(dual=dual), answer.weights)


def _gap(subject: Subject, case: Case, weights: Floats, dual: Floats) -> float:
    target = case.target
    if subject.regularization is not None:
        best = 0.5 * float(target @ target - (target - dual) @ (target - dual))
        value = objective(case.heads, target, subject.penalty(case.heads, target), weights)
        return (value - best) / (0.5 * float(target @ target) or 1.0)
    norm = float(np.linalg.norm(weights, subject.norm))
    return (norm - float(target @ dual)) / (norm or 1.0)


def zeros(subject: Subject, case: Case, answer: Answer) -> None:
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
    if wrong.any():
        m = int(np.argmax(wrong))
        raise subject.error(
            "zeros", f"task {m} has weight {answer.weights[m]:.3g}: {why}", answer.problem, answer.weights
        )


def batch(subject: Subject, case: Case, answer: Answer) -> None:
    family = relatives(subject, answer.problem)
    heads, target = (
        np.stack([getattr(member, name) for member in family]).reshape(*RELATIVES, *getattr(family[0], name).shape)
        for name in ("heads", "target")
    )
    together = subject.ask(heads, target, "batch").weights.reshape(len(family), -1)
    for i, (member, weights) in enumerate(zip(family, together, strict=True)):
        alone = None if member.dual is not None else subject.ask(member.heads, member.target).weights
        found = subject.wrong(member, weights, alone)
        if found is None or _is_wrong_alone(subject, member):
            continue  # what is wrong with a problem alone, other promises say better
        text = (
            f"number {i} in a batch of shape {RELATIVES} is answered {weights.tolist()}: {found[1]}. Alone it is "
            "answered well: leading axes are problems, heads are the last two axes"
        )
        raise subject.error("batch", text, member, weights)


def _is_wrong_alone(subject: Subject, member: Problem) -> bool:
    return member.dual is not None and bool(subject.wrong(member, subject.ask(member.heads, member.target).weights))


def tasks(subject: Subject, case: Case, answer: Answer) -> None:
    order = np.array(case.order)
    moved = answer.problem._replace(heads=case.heads[:, order])
    text = f"with the tasks in the order {list(case.order)}, {{}}: it goes by their number"
    _as_before(subject, "tasks", answer, moved, answer.weights[order], text)


def basis(subject: Subject, case: Case, answer: Answer) -> None:
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
    text = (
        f"in {kind} (QW, Qw) of the representation, Q = {change.round(6).tolist()}, {{}}: only the span of an "
        "estimated representation means anything"
    )
    _as_before(subject, "basis", answer, moved, answer.weights, text)


def scale(subject: Subject, case: Case, answer: Answer) -> None:
    moved = scaled(subject, answer.problem, case.scale)
    text = (
        f"with the target times {case.scale:g}, which only multiplies the weights, {{}}: does a constant of its own "
        "depend on the unit?"
    )
    _as_before(subject, "scale", answer, moved, answer.weights * case.scale, text)


PROMISES: dict[str, Callable[[Subject, Case, Answer], None]] = {
    "repeat": repeat,
    "feasible": claim("feasible"),
    "optimal": claim("optimal"),
    "certificate": certificate,
    "zeros": zeros,
    "batch": batch,
    "tasks": tasks,
    "basis": basis,
    "scale": scale,
}
"""Promises in the order in which they are reported."""


def _as_before(subject: Subject, promise: str, answer: Answer, moved: Problem, expected: Floats, text: str) -> None:
    weights = subject.ask(moved.heads, moved.target, promise).weights
    found = subject.wrong(moved, weights, expected)
    if found is not None:
        raise subject.error(promise, text.format(found[1]), answer.problem, answer.weights)


def scaled(subject: Subject, problem: Problem, factor: float) -> Problem:
    dual = problem.dual
    if dual is not None:
        dual = dual * (np.sign(factor) if subject.regularization is None else factor)
    return Problem(problem.heads, problem.target * factor, dual)


def relatives(subject: Subject, problem: Problem) -> list[Problem]:
    backwards = problem._replace(heads=problem.heads[:, ::-1])
    return [
        problem,
        scaled(subject, problem, 0.0),
        backwards,
        scaled(subject, problem, -2.0),
        problem._replace(heads=-problem.heads),
        scaled(subject, backwards, 4.0),
    ]


# ---- what a wrong rule computed instead


def probe() -> tuple[Floats, Floats]:
    """A problem on which every slip below has weights of its own."""
    heads = [[0.9, -0.3, 0.5, 0.1, 0.7], [0.2, 1.1, -0.6, 0.4, 0.3], [-0.4, 0.5, 0.8, -1.2, 0.6]]
    return np.array(heads), np.array([0.7, -1.3, 0.9])


def likely_cause(subject: Subject) -> str | None:
    """Which slip explains the weights on the probe, if one does."""
    heads, target = probe()
    try:
        found = subject.ask(heads, target).weights
    except RelevanceError:
        return None
    if np.array_equal(found, found.astype(np.float32)) and found.any():
        return "its weights have 7 digits: float32 has come in on the way"
    problem = subject.solved(heads, target)
    if subject.wrong(problem, found) is None:
        return None
    close = max(1e-6, 10 * subject.tolerance)
    for sentence, candidate in slips(subject, heads, target):
        if np.abs(found - candidate).max() <= close * np.abs(candidate).max():
            return sentence
    if subject.norm and np.linalg.norm(heads @ found - target) <= close and np.sum(found != 0) <= len(target):
        which = "shortest: least squares with more tasks than rows needs a driver of minimum norm (lstsq or pinv)"
        if subject.norm == 1:
            which = "best one: which k tasks it takes is found by a linear program (simplex), not by pivots"
        return f"it is a basic solution, with k weights that are not 0, and not the {which}"
    missed = heads.T @ (target - heads @ found)
    ridge = (missed @ missed) / (found @ missed) if found @ missed != 0 else 0.0
    if ridge > 0 and np.abs(found - missed / ridge).max() <= close * np.abs(found).max():
        return f"it is ridge regression: a penalty of {ridge:.3g} on the squared weights pulls W nu from the target"
    return None


def slips(subject: Subject, heads: Floats, target: Floats) -> Iterator[tuple[str, Floats]]:
    """Sentences, and the weights that they predict on the probe."""
    short, sparse = min_l2(heads, target).weights, min_l1(heads, target).weights
    if subject.regularization is not None:
        yield from lasso_slips(subject, heads, target)
        right = lasso(heads, target, regularization=subject.regularization).weights
    else:
        right = sparse if subject.norm == 1 else short
    if subject.norm != 2:
        yield "its weights are nu^2, which has the smallest Euclidean norm and spreads over all tasks", short
    if subject.norm != 1:
        yield "its weights are nu^1, which has the smallest sum of absolute values", sparse
    yield "its weights are absolute values: relevance has signs, the allocation drops them", np.abs(right)
    yield "its weights are squares: relevance is not squared, the allocation does that by its power", right**2
    yield "its weights are divided by their total", np.abs(right) / np.abs(right).sum()
    yield "its weights are divided by their length", right / np.linalg.norm(right)
    row, goal = heads.sum(axis=0), target.sum()
    heaviest = int(np.abs(row).argmax())
    text = "W nu = w is imposed as one equation, sum(W nu - w) = 0: it is k equations"
    yield text, row * goal / (row @ row)
    yield text, np.where(np.arange(len(row)) == heaviest, goal / row[heaviest], 0.0)
    inner = heads.T @ target
    text = "its weights look at each task alone ({}): W nu = w is solved for all tasks together"
    yield text.format("w_m'w"), inner
    yield text.format("w_m'w / |w_m|^2"), inner / (heads**2).sum(axis=0)
    yield text.format("the cosine"), inner / np.linalg.norm(heads, axis=0) / np.linalg.norm(target)
    from scipy.optimize import nnls

    yield "its weights are kept from being negative: relevance has signs", nnls(heads, target)[0]


def lasso_slips(subject: Subject, heads: Floats, target: Floats) -> Iterator[tuple[str, Floats]]:
    part, k = float(subject.regularization or 0.0), len(target)
    top = float(np.abs(heads.T @ target).max())
    middle = heads - heads.mean(axis=0), target - target.mean()
    offers = [
        (0.5, "its lambda is half the claimed one: it minimises |W nu - w|^2 + lambda |nu|_1, and the 1/2 is missing"),
        (2.0, "its lambda is twice the claimed one"),
        (float(k), f"its lambda is k = {k} times the claimed one: scikit-learn's alpha is lambda / k"),
        (1.0 / k, f"its lambda is the claimed one divided by k = {k}, as scikit-learn's alpha is"),
        (1.0 / top, "its lambda is the regularization itself, which is a part of max |W'w|"),
    ]
    for factor, sentence in offers:
        if 0 < part * factor < 1:
            yield sentence, lasso(heads, target, regularization=part * factor).weights
    centred = part * top / float(np.abs(middle[0].T @ middle[1]).max())
    if centred < 1:
        text = "it fits an intercept: W nu = w has none (fit_intercept=False)"
        yield text, lasso(*middle, regularization=centred).weights
