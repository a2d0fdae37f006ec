"""Relevances and allocations a person would write, each with one mistake, and the message that must name it."""

from functools import partial
from types import SimpleNamespace

import numpy as np
from scipy.linalg import qr
from scipy.optimize import linprog

from pessimism.tasks import allocate, lasso, min_l1, min_l2

PART = 0.1
"""Regularization that all Lassos here claim."""


def table(*groups):
    return {name: (rule, claims, message) for claims, rows in groups for name, (rule, message) in rows.items()}


# relevances


def times(matrix, vector):
    return (matrix @ vector[..., None])[..., 0]


def pseudo_inverse(heads, target):
    """The shortest relevance, for any batch."""
    return times(np.linalg.pinv(heads), target)


def normal_equations(heads, target):
    across = np.swapaxes(heads, -1, -2)
    return times(across, np.linalg.solve(heads @ across, target[..., None])[..., 0])


def linear_program(heads, target):
    """Basis pursuit of one problem."""
    m = heads.shape[1]
    found = linprog(np.ones(2 * m), A_eq=np.hstack([heads, -heads]), b_eq=target, method="highs-ds").x
    return found[:m] - found[m:]


def least_absolute(heads, target):
    return min_l1(heads, target).weights


def penalised(heads, target, factor=1.0):
    return lasso(heads, target, regularization=factor * PART).weights


def slopes(heads, target):
    return np.abs(times(np.swapaxes(heads, -1, -2), target)).max(axis=-1)


def float32(heads, target):
    return pseudo_inverse(heads.astype(np.float32), target.astype(np.float32))


def one_equation(heads, target):
    row = heads.sum(axis=-2)
    size = np.maximum((row**2).sum(axis=-1), 1e-300)
    return row * (target.sum(axis=-1) / size)[..., None]


def each_task_alone(heads, target):
    return times(np.swapaxes(heads, -1, -2), target)


def ridge(heads, target):
    across = np.swapaxes(heads, -1, -2)
    return times(across @ np.linalg.inv(heads @ across + 1e-3 * np.eye(len(target.T))), target)


def first_tasks(heads, target):
    """Least squares without a minimum norm: a basic solution on the first tasks that will do."""
    k, m = heads.shape[-2:]
    weights = np.zeros((*heads.shape[:-2], m))
    for item in np.ndindex(heads.shape[:-2]):
        used = []
        for task in range(m):
            if len(used) < k and np.linalg.matrix_rank(heads[item][:, [*used, task]]) > len(used):
                used.append(task)
        weights[item][used] = np.linalg.lstsq(heads[item][:, used], target[item])[0]
    return weights


def pivoted_tasks(heads, target):
    """A basic solution on the tasks that QR with pivoting takes first, for the best of all."""
    weights = np.zeros((*heads.shape[:-2], heads.shape[-1]))
    for item in np.ndindex(heads.shape[:-2]):
        used = qr(heads[item], pivoting=True)[2][: np.linalg.matrix_rank(heads[item])]
        weights[item][used] = np.linalg.lstsq(heads[item][:, used], target[item])[0]
    return weights


def never_negative(heads, target):
    from scipy.optimize import nnls

    return np.reshape([nnls(heads[i], target[i])[0] for i in np.ndindex(heads.shape[:-2])], heads[..., 0, :].shape)


def interior_point(heads, target):
    """Optimal to 9 digits, with the junk of a barrier off the support."""
    weights = least_absolute(heads, target)
    return weights + 1e-10 * (np.abs(weights).max(axis=-1, keepdims=True) + 1e-3)


def alpha_for_lambda(heads, target):
    k = heads.shape[-2]
    return lasso(heads, target, regularization=min(PART * k, 1.0)).weights


def absolute_penalty(heads, target):
    top = np.maximum(slopes(heads, target), PART)
    return lasso(heads, target, regularization=PART / top).weights


def intercept(heads, target):
    top = slopes(heads, target)
    heads, target = heads - heads.mean(axis=-2, keepdims=True), target - target.mean(axis=-1, keepdims=True)
    share = PART * top / np.maximum(slopes(heads, target), PART * top + 1e-300)
    return lasso(heads, target, regularization=np.where(share > 0, share, 1.0)).weights


def averages_the_batch(heads, target):
    if heads.ndim > 2:
        heads = heads * 0 + heads.mean(axis=tuple(range(heads.ndim - 2)))
    return pseudo_inverse(heads, target)


def mixes_the_batch_up(heads, target):
    return pseudo_inverse(heads, target)[::-1]


def noisy(heads, target, rng=np.random.default_rng(0)):  # noqa: B008
    return pseudo_inverse(heads, target) * (1 + 1e-12 * rng.random())


def scales_heads_in_place(heads, target):
    heads /= np.maximum(np.linalg.norm(heads, axis=-2, keepdims=True), 1e-300)
    return pseudo_inverse(heads, target)


def weight_for_nothing(heads, target):
    """Claims nothing, and gives tasks without a head the mean of the others."""
    weights = each_task_alone(heads, target)
    return np.where((heads == 0).all(axis=-2), np.abs(weights).max(axis=-1, keepdims=True), weights)


def proof(change, find=min_l2):
    def rule(heads, target):
        found = find(heads, target)
        fields = {name: getattr(found, name) for name in ("weights", "dual", "gap", "residual")}
        return SimpleNamespace(**fields | change(found))

    return rule


def without(name):
    """The rule min_l2, whose answers lack an attribute."""

    def rule(heads, target):
        found = min_l2(heads, target)
        kept = {"weights", "dual", "gap", "residual"} - {name}
        return SimpleNamespace(**{key: getattr(found, key) for key in kept})

    return rule


infeasible_proof = proof(lambda found: {"dual": 2 * found.dual})
empty_proof = proof(lambda found: {"dual": 0 * found.dual, "gap": found.weights.any(axis=-1) + 0 * found.gap})
false_gap = proof(lambda found: {"gap": found.gap + 0.1})
false_residual = proof(lambda found: {"residual": found.residual + 0.1})
shapeless_proof = proof(lambda found: {"gap": np.zeros(3)})

ONE, TWO, LASSO, NOTHING = {"norm": 1}, {"norm": 2}, {"regularization": PART}, {}

WRONG_L1 = {
    "nu^2 for nu^1": (pseudo_inverse, r'"optimal": its weights are nu\^2'),
    "nu^2 with its proof": (min_l2, r'"optimal": its weights are nu\^2'),
    "one equation, norm 1": (one_equation, '"feasible": W nu = w is imposed as one equation'),
    "basic solution, norm 1": (pivoted_tasks, '"optimal": it is a basic solution, .* by a linear program'),
    "no negative weights": (never_negative, '"feasible": its weights are kept from being negative'),
    "total 1": (
        lambda *problem: share(least_absolute(*problem)) * 1.0,
        '"feasible": its weights are divided by their total',
    ),
    "interior point": (interior_point, r'"zeros": task . has weight \S+e-.*An interior point is not 0 anywhere'),
    "stops early": (
        lambda *problem: 0.999 * least_absolute(*problem) + 0.001 * pseudo_inverse(*problem),
        r'"optimal": its \|nu\|_1 is .*, the smallest is',
    ),
}
WRONG_L2 = {
    "nu^1 for nu^2": (least_absolute, r'"optimal": its weights are nu\^1'),
    "one equation": (one_equation, '"feasible": W nu = w is imposed as one equation'),
    "float32": (float32, '"contract": weights are float64, its have dtype float32: 7 digits'),
    "float32 inside": (lambda heads, target: float32(heads, target).astype(float), '"feasible": its weights have 7 '),
    "task by task": (each_task_alone, r'"feasible": its weights look at each task alone \(w_m\'w\)'),
    "divides by 0": (
        lambda heads, target: each_task_alone(heads, target) / (heads**2).sum(axis=-2),
        '"(contract|feasible)": it(s weights look| warned of RuntimeWarning)',
    ),
    "ridge": (ridge, '"feasible": it is ridge regression: a penalty of 0.001 on'),
    "basic solution": (first_tasks, '"optimal": it is a basic solution, with k weights'),
    "absolute values": (lambda *problem: np.abs(pseudo_inverse(*problem)), '"feasible": its weights are abs'),
    "squares": (lambda *problem: pseudo_inverse(*problem) ** 2, '"feasible": its weights are squares'),
    "averaged batch": (averages_the_batch, '"batch": number . in a batch .*Alone it is answered correctly'),
    "one answer": (
        lambda heads, target: pseudo_inverse(heads, target)[(0,) * (heads.ndim - 2)],
        '"batch": on a batch .*one answer',
    ),
    "rows for columns": (
        lambda heads, target: 0.0 * target if heads.shape[-2] != heads.shape[-1] else pseudo_inverse(heads, target),
        '"contract": .*, one for each row of heads: tasks are the columns',
    ),
    "absolute threshold": (
        lambda *problem: np.where(np.abs(pseudo_inverse(*problem)) > 1e-3, pseudo_inverse(*problem), 0.0),
        '"scale": with the target times 0.0009|"feasible": W nu misses the target',
    ),
    "noise": (noisy, '"repeat": asked again about the same problem'),
    "in place": (scales_heads_in_place, '"mutation": it wrote into heads'),
    "infeasible dual point": (infeasible_proof, r'"certificate": its dual point is not feasible: \|W\'y\|_2 is 2'),
    "empty proof": (empty_proof, '"certificate": its dual point leaves a gap of 1,'),
    "false gap": (false_gap, '"certificate": its gap is said to be 0.1 and is'),
    "false residual": (false_residual, '"certificate": its residual is said to be 0.1 and is'),
    "proof without shape": (shapeless_proof, '"contract": dual, gap and residual must have shapes'),
}
WRONG_L2 |= {
    "heads of length one": (
        lambda heads, target: pseudo_inverse(
            heads / np.maximum(np.linalg.norm(heads, axis=-2, keepdims=True), 1e-300), target
        ),
        '"feasible": its weights are those of heads of length one',
    ),
    "minus": (lambda heads, target: -pseudo_inverse(heads, target), '"feasible": its weights have the wrong sign'),
    "threshold": (
        lambda heads, target: np.where(
            np.abs(pseudo_inverse(heads, target)) > 1e-3 * np.abs(target).max(), pseudo_inverse(heads, target), 0.0
        ),
        '"(feasible|contract|batch)": ',
    ),
    "last task left out": (
        lambda heads, target: np.concatenate([pseudo_inverse(heads[..., :-1], target), 0 * target[..., :1]], axis=-1),
        '"feasible": task 4 is left out|"contract"|"optimal": task 4 is left out',
    ),
}
WRONG_LASSO = {
    "1/2 forgotten": (partial(penalised, factor=0.5), '"optimal": its lambda is half the .* the 1/2 is missing'),
    "twice": (partial(penalised, factor=2.0), '"optimal": its lambda is twice the claimed one'),
    "alpha = lambda": (alpha_for_lambda, '"optimal": its lambda is k = 3 times the claimed one'),
    "absolute penalty": (absolute_penalty, '"optimal": its lambda is the regularization itself'),
    "intercept": (intercept, '"optimal": it fits an intercept'),
    "no penalty": (least_absolute, r'"optimal": its weights are nu\^1'),
}
WRONG_WEIGHTS = {
    "mixed batch": (mixes_the_batch_up, r'"(zeros|contract|batch)"'),
    "by number": (
        lambda heads, target: each_task_alone(heads, target) / np.arange(1, heads.shape[-1] + 1),
        '"tasks": .* numbering',
    ),
    "one coordinate": (lambda heads, target: heads[..., 0, :] * target[..., :1], '"basis": in a rotated basis .QW, Qw'),
    "square in the target": (
        lambda *problem: each_task_alone(*problem) * np.abs(each_task_alone(*problem)),
        '"scale": .*a constant of its own',
    ),
    "weight for nothing": (weight_for_nothing, '"zeros": .* its head is 0, which helps no target'),
}


def head_lengths(heads):
    sizes = np.linalg.norm(heads, axis=-2)
    return np.where(sizes > 0, sizes, 1.0)


def of_heads_of_length_one(heads, target, find=pseudo_inverse):
    """The weights in units of the lengths, so that the lengths weigh in the norm."""
    sizes = head_lengths(heads)
    return find(heads / sizes[..., None, :], target) / sizes


def keeps_answers(heads, target, kept={}):  # noqa: B006
    """A cache that looks at the heads only."""
    return kept.setdefault(heads.tobytes(), least_absolute(heads, target))


def fits_again(heads, target):
    weights = np.array(penalised(heads, target))
    for item in np.ndindex(weights.shape[:-1]):
        used = np.flatnonzero(weights[item])
        weights[item][used] = np.linalg.lstsq(heads[item][:, used], target[item])[0]
    return weights


def soft_threshold(heads, target):
    weights, limit = pseudo_inverse(heads, target), PART * slopes(heads, target)
    return np.sign(weights) * np.maximum(np.abs(weights) - limit[..., None], 0.0)


def keeps_shapes(heads, target, kept={}):  # noqa: B006
    """A cache that looks at nothing."""
    return kept.setdefault(heads.shape, pseudo_inverse(heads, target))


WRONG_L1 |= {
    "small Lasso": (partial(penalised, factor=1e-2), '"feasible": it is a Lasso: a penalty of'),
    "cache": (keeps_answers, '"scale": .*its answer is the same, as that of a cache'),
    "target of length one": (
        lambda heads, target: least_absolute(
            heads, target / np.maximum(np.linalg.norm(target, axis=-1)[..., None], 1e-9)
        ),
        '"feasible": its weights are those of a target of length one',
    ),
}
WRONG_L2 |= {
    "cache of shapes": (keeps_shapes, '"feasible": it gives another problem of the same shape the same answer'),
    "lengths weigh": (of_heads_of_length_one, '"optimal": it weighs every task by the length of its head'),
    "heads centred": (
        lambda heads, target: pseudo_inverse(heads - heads.mean(axis=-1, keepdims=True), target),
        '"feasible": it centres the heads',
    ),
}
WRONG_LASSO |= {
    "fitted again": (fits_again, '"optimal": it fits the tasks in use again'),
    "soft threshold": (soft_threshold, '"optimal": it is nu.2 with a soft threshold'),
    "standardised": (partial(of_heads_of_length_one, find=penalised), '"optimal": it standardises the heads'),
}
WRONG_RELEVANCES = table((ONE, WRONG_L1), (TWO, WRONG_L2), (LASSO, WRONG_LASSO), (NOTHING, WRONG_WEIGHTS))


# allocations


def share(relevance, q=1.0):
    size = np.abs(relevance) ** q
    total = size.sum(axis=-1, keepdims=True)
    return np.where(total > 0, size, 1.0) / np.where(total > 0, total, size.shape[-1])


def largest_remainders(exact, budget):
    """Whole numbers with the total of one budget, or of a batch."""
    rows = np.floor(exact).astype(np.int64)
    missing = np.asarray(budget) - rows.sum(axis=-1)
    rank = np.argsort(np.argsort(rows - exact, axis=-1, kind="stable"), axis=-1, kind="stable")
    return rows + (rank < missing[..., None])


def within_floor(relevance, budget, floor):
    """Fractions max(c |nu|, floor) by bisection on c; any batch."""
    size, total = share(relevance), np.asarray(budget, float)[..., None]
    low, high = 0 * total, total + floor * relevance.shape[-1]
    high = high / np.where(size > 0, size, np.inf).min(axis=-1, keepdims=True)
    for _ in range(100):
        middle = (low + high) / 2
        over = np.maximum(middle * size, floor).sum(axis=-1, keepdims=True) > total
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    return np.maximum(low * size, floor)


def divided(relevance, budget):
    return largest_remainders(share(relevance) * column(budget), budget)


def by_bisection(relevance, budget, floor):
    """The L1 allocation that all others meant to be."""
    return largest_remainders(within_floor(relevance, budget, floor) * (1 + 1e-15), budget)


def column(budget):
    return np.asarray(budget)[..., None]


def top(relevance):
    return np.abs(relevance).max(axis=-1, keepdims=True)


def scaled(rows, budget):
    return rows * column(budget) / np.maximum(rows.sum(axis=-1, keepdims=True), 1)


def floor_and_share(relevance, budget, floor):
    rest = np.asarray(budget) - floor * relevance.shape[-1]
    return floor + divided(relevance, rest)


def takes_from_the_largest(relevance, budget, floor):
    rows = np.maximum(divided(relevance, budget), floor)
    most = np.argmax(rows, axis=-1)[..., None]
    over = rows.sum(axis=-1, keepdims=True) - column(budget)
    np.put_along_axis(rows, most, np.take_along_axis(rows, most, axis=-1) - over, axis=-1)
    return rows


def least_relevant_first(relevance, budget, floor):
    return allocate(1.0 / (1e-3 + np.abs(share(relevance))), budget, floor=floor)


def unscaled(relevance, budget, floor):
    return allocate(np.abs(relevance) + 0.01, budget, floor=floor)


def draws_lots(relevance, budget, floor, rng=np.random.default_rng(0)):  # noqa: B008
    rest = np.asarray(budget) - floor * relevance.shape[-1]
    return floor + rng.multinomial(rest, share(relevance))


def spills_on_the_last(relevance, budget, floor, caps):
    rows = np.minimum(allocate(relevance, budget, floor=floor), caps)
    for m in range(relevance.shape[-1]):
        room = np.minimum(np.asarray(budget) - rows.sum(axis=-1), caps[m] - rows[..., m])
        rows[..., m] += room
    return rows


PLAIN, SQUARE, CAPPED = {"power": 1}, {"power": 2}, {"power": 1, "caps": True}

WRONG_SIZES = {
    "truncation": (lambda nu, n, floor: within_floor(nu, n, floor).astype(int), '"total": .* every share is cut to'),
    "rounding": (
        lambda nu, n, floor: np.rint(within_floor(nu, n, floor)).astype(int),
        '"total": .* share is (rounded|cut)',
    ),
    "fractions": (within_floor, '"contract": rows are whole numbers .*dtype float64'),
    "floors on top": (lambda nu, n, floor: floor + divided(nu, n), '"total": .* floors are added on top of the budget'),
    "floors late": (lambda nu, n, floor: np.maximum(divided(nu, n), floor), '"total": .* must be taken from'),
    "no floor": (lambda nu, n, floor: divided(nu, n), '"floor": .* gets . rows, and the floor is .*stays unknown'),
    "scaled down": (
        lambda nu, n, floor: largest_remainders(scaled(np.maximum(share(nu) * column(n), floor), n), n),
        '"floor": .*or lost when the rows are scaled',
    ),
    "floor and share": (floor_and_share, '"power": it buys the floor and then a share of the rest'),
    "squares for sizes": (partial(allocate, power=2), r'"power": it buys in proportion to \|nu\|\^2, not \|nu\|\^1'),
    "uniform": (partial(allocate, power=0), r'"power": it buys in proportion to \|nu\|\^0, not'),
    "no absolute value": (
        lambda nu, n, floor: allocate(np.maximum(nu, 0.0), n, floor=floor),
        '"signs": .* absolute value',
    ),
    "softmax": (
        lambda nu, n, floor: allocate(np.exp(5 * np.abs(nu) / np.maximum(top(nu), 1e-300) - 5), n, floor=floor),
        '"power": it is a softmax',
    ),
    "winner": (
        lambda nu, n, floor: allocate((np.abs(nu) == top(nu)) * 1.0, n, floor=floor),
        '"power": all rows go to one task',
    ),
    "largest pays": (takes_from_the_largest, '"floor": task . gets|"power": it divides correctly without floors'),
    "no such power": (least_relevant_first, '"power": it does not buy in proportion'),
    "divides by 0": (
        lambda nu, n, floor: allocate(nu / np.abs(nu).sum(axis=-1, keepdims=True), n, floor=floor),
        '"contract": it warned of RuntimeWarning: invalid value',
    ),
    "batch mean": (
        lambda nu, n, floor: allocate(nu + (nu.mean() if nu.ndim > 1 else 0.0), n, floor=floor),
        '"batch": number . in a batch of shape',
    ),
    "one answer": (
        lambda nu, n, floor: allocate(nu.reshape(-1, nu.shape[-1])[0], np.ravel(n)[0], floor=floor),
        '"batch": on a batch .*one answer',
    ),
    "lots": (draws_lots, '"repeat": asked again'),
    "in place": (
        lambda nu, n, floor: (nu.sort(), allocate(nu, n, floor=floor))[1],
        '"mutation": it wrote into relevance',
    ),
}
WRONG_SIZES |= {
    "rounded up": (
        lambda nu, n, floor: np.ceil(within_floor(nu, n, floor) - 1e-9).astype(int),
        '"total": .*every share is (rounded|cut)|"total": .*rows that raise',
    ),
    "a digit lost": (lambda nu, n, floor: allocate(np.round(nu, 2), n, floor=floor), '"power": '),
    "a row too few": (
        lambda nu, n, floor: allocate(nu, np.maximum(np.asarray(n) - 1, floor * nu.shape[-1]), floor=floor),
        '"total": ',
    ),
}
WRONG_SIZES |= {
    "least dropped": (
        lambda nu, n, floor: allocate(np.where(np.abs(nu) < 0.05 * top(nu), 0.0, nu), n, floor=floor),
        '"power": the least relevant tasks are dropped',
    ),
    "a tenth for all": (
        lambda nu, n, floor: allocate(0.9 * share(nu) + 0.1 / nu.shape[-1], n, floor=floor),
        r'"power": it adds the same 2e\+04 rows to all',
    ),
    "no floor for nothing": (
        lambda nu, n, floor: np.where(nu != 0, allocate(nu, n, floor=floor), 0),
        '"total": .*tasks of no relevance get no floor',
    ),
    "32 bits": (
        lambda nu, n, floor: allocate(nu, n, floor=floor).astype(np.int32),
        '"total": .*numbers of 32 bits',
    ),
    "kept": (
        lambda nu, n, floor, kept={}: kept.setdefault(
            (nu.shape, np.asarray(n).tobytes(), floor), allocate(nu, n, floor=floor)
        ),
        '"power": it gives another relevance of the same shape the same rows',
    ),
}
WRONG_SQUARES = {
    "sizes for squares": (by_bisection, r'"power": it buys in proportion to \|nu\|\^1, not \|nu\|\^2'),
}
WRONG_CAPS = {
    "no caps": (lambda nu, n, floor, caps: allocate(nu, n, floor=floor), '"caps": task . gets .* rows, and its cap is'),
    "cut off": (
        lambda nu, n, floor, caps: np.minimum(allocate(nu, n, floor=floor), caps),
        '"total": .*what is cut off at a cap must go to the others',
    ),
    "spills in order": (spills_on_the_last, '"power": task . gets .* within floor and cap'),
}
WRONG_ANYHOW = {
    "softmax without claim": (
        lambda nu, n, floor: allocate(np.exp(np.abs(nu) - top(nu)), n, floor=floor),
        '"scale": .* only its proportions matter',
    ),
    "least relevant first": (least_relevant_first, '"monotone": task . is more relevant than task .'),
    "a constant": (unscaled, '"scale": with the relevance times'),
    "first come": (
        lambda nu, n, floor: allocate(nu / np.arange(1.0, nu.shape[-1] + 1), n, floor=floor),
        '"tasks": .* numbering',
    ),
}
WRONG_ALLOCATIONS = table((PLAIN, WRONG_SIZES), (SQUARE, WRONG_SQUARES), (CAPPED, WRONG_CAPS), (NOTHING, WRONG_ANYHOW))
