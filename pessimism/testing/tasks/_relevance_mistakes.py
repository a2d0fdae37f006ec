"""What a wrong relevance computed instead, read off a problem on which every known mistake has weights of its own."""

from collections.abc import Iterator

import numpy as np

from pessimism._types import Floats
from pessimism.tasks import lasso, min_l1, min_l2
from pessimism.testing.tasks._relevance import Problem, RelevanceSubject


def probe() -> tuple[Floats, Floats]:
    """A problem on which every mistake below has weights of its own."""
    heads = [[0.9, -0.3, 0.5, 0.1, 0.7], [0.2, 1.1, -0.6, 0.4, 0.3], [-0.4, 0.5, 0.8, -1.2, 0.6]]
    return np.array(heads), np.array([0.7, -1.3, 0.9])


def likely_cause(subject: RelevanceSubject) -> str | None:
    """The known mistake that explains the weights on the probe, if one does."""
    heads, target = probe()
    found = subject.ask(Problem(heads, target, None)).weights
    if np.array_equal(found, found.astype(np.float32)) and found.any():
        return "its weights have 7 digits: some step computes in float32"
    if found.any() and np.array_equal(found, subject.ask(Problem(heads, target * [1.0, 2.0, 3.0], None)).weights):
        return "it gives another problem of the same shape the same answer, as a cache does that does not look at w"
    problem = subject.solved(heads, target)
    if subject.wrong(problem, found) is None:
        return None
    close = max(1e-6, 10 * subject.tolerance)
    for sentence, candidate in mistakes(subject, heads, target):
        if np.abs(found - candidate).max() <= close * np.abs(candidate).max():
            return sentence
    if subject.norm and np.linalg.norm(heads @ found - target) <= close and np.sum(found != 0) <= len(target):
        which = "shortest: least squares with more tasks than rows needs a driver of minimum norm (lstsq or pinv)"
        if subject.norm == 1:
            which = "best one: which k tasks it takes is found by a linear program (simplex), not by pivots"
        return f"it is a basic solution, with k weights that are not 0, and not the {which}"
    missed = heads.T @ (target - heads @ found)
    pull, used = float(np.abs(missed).max()), found != 0
    if subject.norm and used.any() and np.abs(missed[used] - pull * np.sign(found[used])).max() < 1e-4 * pull:
        return f"it is a Lasso: a penalty of {pull:.3g} on |nu|_1 pulls W nu from the target, which is a constraint"
    ridge = (missed @ missed) / (found @ missed) if found @ missed != 0 else 0.0
    if ridge > 0 and np.abs(found - missed / ridge).max() <= close * np.abs(found).max():
        return f"it is ridge regression: a penalty of {ridge:.3g} on the squared weights pulls W nu from the target"
    return None


def mistakes(subject: RelevanceSubject, heads: Floats, target: Floats) -> Iterator[tuple[str, Floats]]:
    """Sentences, and the weights that they predict on the probe."""
    short, sparse = min_l2(heads, target).weights, min_l1(heads, target).weights
    if subject.regularization is not None:
        yield from lasso_mistakes(subject, heads, target)
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
    yield "its weights have the wrong sign", -right
    if subject.norm is not None:
        find, lengths = (min_l1 if subject.norm == 1 else min_l2), np.linalg.norm(heads, axis=0)
        text = "its weights are those of heads of length one: divide them by the lengths"
        yield text, find(heads / lengths, target).weights
        text = "it weighs every task by the length of its head: the norm of nu itself is the smallest"
        yield text, find(heads / lengths, target).weights / lengths
        yield "its weights are those of a target of length one", right / np.linalg.norm(target)
        text = "it centres the heads: W nu = w is no regression with an intercept"
        yield text, find(heads - heads.mean(axis=1, keepdims=True), target).weights
        for m in (0, heads.shape[1] - 1):
            left = np.insert(find(np.delete(heads, m, axis=1), target).weights, m, 0.0)
            if np.abs(left - right).max() > 1e-3:  # the best weights may do without it
                yield f"task {m} is left out", left
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


def lasso_mistakes(subject: RelevanceSubject, heads: Floats, target: Floats) -> Iterator[tuple[str, Floats]]:
    part, k = float(subject.regularization or 0.0), len(target)
    top = float(np.abs(heads.T @ target).max())
    middle = heads - heads.mean(axis=0), target - target.mean()
    lengths = np.linalg.norm(heads, axis=0)
    right, short = lasso(heads, target, regularization=part).weights, min_l2(heads, target).weights
    again, used = np.zeros(len(right)), right != 0
    again[used] = np.linalg.lstsq(heads[:, used], target)[0]
    yield "it fits the tasks in use again, by least squares: that takes the penalty from their weights", again
    text = "it is nu^2 with a soft threshold, as the Lasso is for orthogonal heads only"
    yield text, np.sign(short) * np.maximum(np.abs(short) - part * top, 0.0)
    text = "it standardises the heads: the penalty is then on |nu_m| times the length of the head"
    yield text, lasso(heads / lengths, target, regularization=part).weights / lengths
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
