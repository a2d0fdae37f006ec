"""Relevances and allocations a person would write, each with one mistake, and the message that must name it."""

from types import SimpleNamespace

import numpy as np
from scipy.linalg import qr
from scipy.optimize import linprog

from pessimism.tasks import allocate, lasso, min_l1, min_l2

PART = 0.1
"""Regularization that all Lassos here claim."""


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


def float32_inside(heads, target):
    return float32(heads, target).astype(float)


def one_equation(heads, target):
    row = heads.sum(axis=-2)
    size = np.maximum((row**2).sum(axis=-1), 1e-300)
    return row * (target.sum(axis=-1) / size)[..., None]


def each_task_alone(heads, target):
    return times(np.swapaxes(heads, -1, -2), target)


def divides_by_lengths(heads, target):
    return each_task_alone(heads, target) / (heads**2).sum(axis=-2)


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


def absolute_values(heads, target):
    return np.abs(pseudo_inverse(heads, target))


def squares(heads, target):
    return pseudo_inverse(heads, target) ** 2


def never_negative(heads, target):
    from scipy.optimize import nnls

    return np.reshape([nnls(heads[i], target[i])[0] for i in np.ndindex(heads.shape[:-2])], heads[..., 0, :].shape)


def totals_one(heads, target):
    size = np.abs(least_absolute(heads, target))
    return size / np.maximum(size.sum(axis=-1, keepdims=True), 1e-300)


def interior_point(heads, target):
    """Optimal to 9 digits, with the junk of a barrier off the support."""
    weights = least_absolute(heads, target)
    return weights + 1e-10 * (np.abs(weights).max(axis=-1, keepdims=True) + 1e-3)


def stops_early(heads, target):
    return 0.999 * least_absolute(heads, target) + 0.001 * pseudo_inverse(heads, target)


def half_forgotten(heads, target):
    return penalised(heads, target, 0.5)


def twice_the_penalty(heads, target):
    return penalised(heads, target, 2.0)


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


def no_penalty(heads, target):
    return least_absolute(heads, target)


def averages_the_batch(heads, target):
    if heads.ndim > 2:
        heads = heads * 0 + heads.mean(axis=tuple(range(heads.ndim - 2)))
    return pseudo_inverse(heads, target)


def mixes_the_batch_up(heads, target):
    return pseudo_inverse(heads, target)[::-1]


def one_answer_for_the_batch(heads, target):
    return pseudo_inverse(heads, target)[(0,) * (heads.ndim - 2)]


def weights_of_rows(heads, target):
    return 0.0 * target if heads.shape[-2] != heads.shape[-1] else pseudo_inverse(heads, target)


def forgets_small_weights(heads, target):
    weights = pseudo_inverse(heads, target)
    return np.where(np.abs(weights) > 1e-3, weights, 0.0)


def noisy(heads, target, rng=np.random.default_rng(0)):  # noqa: B008
    return pseudo_inverse(heads, target) * (1 + 1e-12 * rng.random())


def scales_heads_in_place(heads, target):
    heads /= np.maximum(np.linalg.norm(heads, axis=-2, keepdims=True), 1e-300)
    return pseudo_inverse(heads, target)


def favours_the_first(heads, target):
    """Claims nothing, and goes by the number of a task."""
    return each_task_alone(heads, target) / np.arange(1, heads.shape[-1] + 1)


def largest_coordinate(heads, target):
    """Claims nothing, and looks at one coordinate of the basis."""
    return heads[..., 0, :] * target[..., :1]


def squared_target(heads, target):
    return each_task_alone(heads, target) * np.abs(each_task_alone(heads, target))


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


infeasible_proof = proof(lambda found: {"dual": 2 * found.dual})
empty_proof = proof(lambda found: {"dual": 0 * found.dual, "gap": found.weights.any(axis=-1) + 0 * found.gap})
false_gap = proof(lambda found: {"gap": found.gap + 0.1})
false_residual = proof(lambda found: {"residual": found.residual + 0.1})
shapeless_proof = proof(lambda found: {"gap": np.zeros(3)})

ONE, TWO, LASSO, NOTHING = {"norm": 1}, {"norm": 2}, {"regularization": PART}, {}

WRONG_RELEVANCES = {
    "nu^2 for nu^1": (pseudo_inverse, ONE, r'"optimal": its weights are nu\^2'),
    "nu^2 with its proof": (min_l2, ONE, r'"optimal": its weights are nu\^2'),
    "nu^1 for nu^2": (least_absolute, TWO, r'"optimal": its weights are nu\^1'),
    "one equation": (one_equation, TWO, '"feasible": W nu = w is imposed as one equation'),
    "one equation, norm 1": (one_equation, ONE, '"feasible": W nu = w is imposed as one equation'),
    "float32": (float32, TWO, '"contract": weights are float64, its have dtype float32: 7 digits'),
    "float32 inside": (float32_inside, TWO, '"feasible": its weights have 7 digits'),
    "task by task": (each_task_alone, TWO, r'"feasible": its weights look at each task alone \(w_m\'w\)'),
    "divides by 0": (divides_by_lengths, TWO, '"(contract|feasible)": it(s weights look| warned of RuntimeWarning)'),
    "ridge": (ridge, TWO, '"feasible": it is ridge regression: a penalty of 0.001 on'),
    "basic solution": (first_tasks, TWO, '"optimal": it is a basic solution, with k weights'),
    "basic solution, norm 1": (pivoted_tasks, ONE, '"optimal": it is a basic solution, .* by a linear program'),
    "absolute values": (absolute_values, TWO, '"feasible": its weights are absolute values'),
    "squares": (squares, TWO, '"feasible": its weights are squares'),
    "no negative weights": (never_negative, ONE, '"feasible": its weights are kept from being negative'),
    "total 1": (totals_one, ONE, '"feasible": its weights are divided by their total'),
    "interior point": (interior_point, ONE, r'"zeros": task . has weight \S+e-.*An interior point is not 0 anywhere'),
    "stops early": (stops_early, ONE, r'"optimal": its \|nu\|_1 is .*, the smallest is'),
    "1/2 forgotten": (half_forgotten, LASSO, '"optimal": its lambda is half the claimed one.* the 1/2 is missing'),
    "twice": (twice_the_penalty, LASSO, '"optimal": its lambda is twice the claimed one'),
    "alpha = lambda": (alpha_for_lambda, LASSO, '"optimal": its lambda is k = 3 times the claimed one'),
    "absolute penalty": (absolute_penalty, LASSO, '"optimal": its lambda is the regularization itself'),
    "intercept": (intercept, LASSO, '"optimal": it fits an intercept'),
    "no penalty": (no_penalty, LASSO, r'"optimal": its weights are nu\^1'),
    "averaged batch": (averages_the_batch, TWO, '"batch": number . in a batch .*Alone it is answered correctly'),
    "mixed batch": (mixes_the_batch_up, NOTHING, '"contract": its weights must|"batch"'),
    "one answer": (one_answer_for_the_batch, TWO, '"batch": on a batch .*one answer for the whole batch'),
    "rows for columns": (weights_of_rows, TWO, '"contract": .*, one for each row of heads: tasks are the columns'),
    "absolute threshold": (
        forgets_small_weights,
        TWO,
        '"scale": with the target times 0.000976562|"feasible": W nu misses the target by',  # where weights are small
    ),
    "noise": (noisy, TWO, '"repeat": asked again about the same problem'),
    "in place": (scales_heads_in_place, TWO, '"mutation": it wrote into heads'),
    "by number": (favours_the_first, NOTHING, '"tasks": .* it depends on their numbering'),
    "one coordinate": (largest_coordinate, NOTHING, r'"basis": in a rotated basis \(QW, Qw\)'),
    "square in the target": (squared_target, NOTHING, '"scale": .*a constant of its own'),
    "weight for nothing": (weight_for_nothing, NOTHING, '"zeros": .* its head is 0, which helps no target'),
    "infeasible dual point": (infeasible_proof, TWO, r'"certificate": its dual point is not feasible: \|W\'y\|_2 is 2'),
    "empty proof": (empty_proof, TWO, '"certificate": its dual point leaves a gap of 1,'),
    "false gap": (false_gap, TWO, '"certificate": its gap is said to be 0.1 and is'),
    "false residual": (false_residual, TWO, '"certificate": its residual is said to be 0.1 and is'),
    "proof without shape": (shapeless_proof, TWO, '"contract": dual, gap and residual must have shapes'),
}


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


def by_bisection(relevance, budget, floor=0):
    """The L1 allocation that all others meant to be."""
    return largest_remainders(within_floor(relevance, budget, floor) * (1 + 1e-15), budget)


def column(budget):
    return np.asarray(budget)[..., None]


def truncates(relevance, budget, floor=0):
    return within_floor(relevance, budget, floor).astype(int)


def rounds_each(relevance, budget, floor=0):
    return np.rint(within_floor(relevance, budget, floor)).astype(int)


def returns_fractions(relevance, budget, floor=0):
    return within_floor(relevance, budget, floor)


def floors_on_top(relevance, budget, floor=0):
    return floor + largest_remainders(share(relevance) * column(budget), budget)


def floors_after_division(relevance, budget, floor=0):
    return np.maximum(largest_remainders(share(relevance) * column(budget), budget), floor)


def forgets_the_floor(relevance, budget, floor=0):
    return largest_remainders(share(relevance) * column(budget), budget)


def scales_down_after_floors(relevance, budget, floor=0):
    raised = np.maximum(share(relevance) * column(budget), floor)
    return largest_remainders(raised * column(budget) / np.maximum(raised.sum(axis=-1, keepdims=True), 1), budget)


def floor_and_share(relevance, budget, floor=0):
    rest = np.asarray(budget) - floor * relevance.shape[-1]
    return floor + largest_remainders(share(relevance) * column(rest), rest)


def squares_it(relevance, budget, floor=0):
    return allocate(relevance, budget, power=2, floor=floor)


def uniform(relevance, budget, floor=0):
    return allocate(relevance, budget, power=0, floor=floor)


def forgets_the_absolute_value(relevance, budget, floor=0):
    return allocate(np.maximum(relevance, 0.0), budget, floor=floor)


def softmax(relevance, budget, floor=0):
    size = np.abs(relevance)
    return allocate(np.exp(size - size.max(axis=-1, keepdims=True)), budget, floor=floor)


def softmax_times_five(relevance, budget, floor=0):
    size = np.abs(relevance) / np.maximum(np.abs(relevance).max(axis=-1, keepdims=True), 1e-300)
    return allocate(np.exp(5 * size - 5), budget, floor=floor)


def winner_takes_all(relevance, budget, floor=0):
    best = np.abs(relevance) == np.abs(relevance).max(axis=-1, keepdims=True)
    return allocate(best.astype(float), budget, floor=floor)


def takes_from_the_largest(relevance, budget, floor=0):
    rows = np.maximum(largest_remainders(share(relevance) * column(budget), budget), floor)
    most = np.argmax(rows, axis=-1)[..., None]
    over = rows.sum(axis=-1, keepdims=True) - column(budget)
    np.put_along_axis(rows, most, np.take_along_axis(rows, most, axis=-1) - over, axis=-1)
    return rows


def least_relevant_first(relevance, budget, floor=0):
    return allocate(1.0 / (1e-3 + np.abs(share(relevance))), budget, floor=floor)


def unscaled(relevance, budget, floor=0):
    return allocate(np.abs(relevance) + 0.01, budget, floor=floor)


def divides_by_zero(relevance, budget, floor=0):
    return allocate(relevance / np.abs(relevance).sum(axis=-1, keepdims=True), budget, floor=floor)


def one_total_for_the_batch(relevance, budget, floor=0):
    batched = relevance.ndim > 1
    return allocate(relevance + (relevance.mean() if batched else 0.0), budget, floor=floor)


def only_one(relevance, budget, floor=0):
    return allocate(relevance.reshape(-1, relevance.shape[-1])[0], np.ravel(budget)[0], floor=floor)


def first_come(relevance, budget, floor=0):
    return allocate(relevance / np.arange(1.0, relevance.shape[-1] + 1), budget, floor=floor)


def draws_lots(relevance, budget, floor=0, rng=np.random.default_rng(0)):  # noqa: B008
    rest = np.asarray(budget) - floor * relevance.shape[-1]
    return floor + rng.multinomial(rest, share(relevance))


def sorts_in_place(relevance, budget, floor=0):
    relevance.sort()
    return allocate(relevance, budget, floor=floor)


def ignores_caps(relevance, budget, floor=0, caps=None):
    return allocate(relevance, budget, floor=floor)


def spills_on_the_last(relevance, budget, floor=0, caps=None):
    rows = np.minimum(allocate(relevance, budget, floor=floor), caps)
    for m in range(relevance.shape[-1]):
        room = np.minimum(np.asarray(budget) - rows.sum(axis=-1), caps[m] - rows[..., m])
        rows[..., m] += room
    return rows


PLAIN, SQUARE, CAPPED = {"power": 1}, {"power": 2}, {"power": 1, "caps": True}

WRONG_ALLOCATIONS = {
    "truncation": (truncates, PLAIN, '"total": .* every share is cut to a whole number'),
    "rounding": (rounds_each, PLAIN, '"total": .* every share is (rounded by itself|cut)'),
    "fractions": (returns_fractions, PLAIN, '"contract": rows are whole numbers .*dtype float64'),
    "floors on top": (floors_on_top, PLAIN, '"total": .* floors are added on top of the budget'),
    "floors late": (floors_after_division, PLAIN, '"total": .* must be taken from the others'),
    "no floor": (forgets_the_floor, PLAIN, '"floor": .* gets . rows, and the floor is .*stays unknown'),
    "scaled down": (scales_down_after_floors, PLAIN, '"floor": .*or lost when the rows are scaled'),
    "floor and share": (floor_and_share, PLAIN, '"power": it buys the floor and then a share of the rest'),
    "squares for sizes": (squares_it, PLAIN, r'"power": it buys in proportion to \|nu\|\^2, not \|nu\|\^1'),
    "sizes for squares": (by_bisection, SQUARE, r'"power": it buys in proportion to \|nu\|\^1, not \|nu\|\^2'),
    "uniform": (uniform, PLAIN, r'"power": it buys in proportion to \|nu\|\^0, not'),
    "no absolute value": (forgets_the_absolute_value, PLAIN, '"signs": .* take the absolute value'),
    "softmax": (softmax_times_five, PLAIN, '"power": it is a softmax'),
    "softmax without claim": (softmax, NOTHING, '"scale": .* only its proportions matter'),
    "winner": (winner_takes_all, PLAIN, '"power": all rows go to one task'),
    "largest pays": (
        takes_from_the_largest,
        PLAIN,
        '"floor": task . gets|"power": it divides correctly without floors and not with them',  # by what is drawn
    ),
    "least relevant first": (least_relevant_first, NOTHING, '"monotone": task . is more relevant than task .'),
    "no such power": (least_relevant_first, PLAIN, '"power": it does not buy in proportion'),
    "a constant": (unscaled, NOTHING, '"scale": with the relevance times'),
    "divides by 0": (divides_by_zero, PLAIN, '"contract": it warned of RuntimeWarning: invalid value'),
    "batch mean": (one_total_for_the_batch, PLAIN, '"batch": number . in a batch of shape'),
    "one answer": (only_one, PLAIN, '"batch": on a batch .*one answer for the whole batch'),
    "first come": (first_come, NOTHING, '"tasks": .* it depends on their numbering'),
    "lots": (draws_lots, PLAIN, '"repeat": asked again'),
    "in place": (sorts_in_place, PLAIN, '"mutation": it wrote into relevance'),
    "no caps": (ignores_caps, CAPPED, '"caps": task . gets .* rows, and its cap is'),
    "spills in order": (spills_on_the_last, CAPPED, '"power": task . gets .* within floor and cap'),
}
