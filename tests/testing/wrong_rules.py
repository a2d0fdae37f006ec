"""Rules a person would write, each with one mistake, and what `check_rule` must say of it."""

import numpy as np

from pessimism.bandits import bernstein_lcb, greedy


def log_term(data, confidence=None, base=np.e):
    """(..., 1, 1) L of Hoeffding's interval, with delta = 1/n if no other confidence 1/delta is given."""
    confidence = np.asarray(np.maximum(data.n, 1) if confidence is None else confidence)
    return (0.5 * np.log(2 * data.n_contexts * data.n_arms * confidence) / np.log(base))[..., None, None]


def best(data, index):
    return np.where(data.counts > 0, index, -np.inf).argmax(axis=-1)


def pulls(data):
    return np.maximum(data.counts, 1)


def width(data):
    return data.reward_range[1] - data.reward_range[0]


def bounds(data, level=None, sign=-1):
    return data.means + sign * width(data) * np.sqrt((log_term(data) if level is None else level) / pulls(data))


def lower(level):
    """The rule that maximises a lower bound of this level."""
    return lambda data: best(data, bounds(data, level(data)))


def correct(data):
    """The rule that all others meant to be."""
    return best(data, bounds(data))


def forgot_square_root(data):
    return best(data, data.means - width(data) * log_term(data) / pulls(data))


def first_axis(data):
    """S from the first axis, which is that of the contexts only in a single data set."""
    return lower(lambda d: log_term(d, np.maximum(d.n, 1) * len(d.counts) / d.n_contexts))(data)


def sums_for_means(data):
    return best(data, data.sums - width(data) * np.sqrt(log_term(data) / pulls(data)))


def no_batch(data):
    return [int(np.argmax(row)) for row in np.where(data.counts > 0, data.means, -np.inf).reshape(len(data.counts), -1)]


def positive_or_zero(data):
    """Gives up, though not on a pulled arm, in a context where no lower bound is positive."""
    bound = np.where(data.counts > 0, bounds(data), -np.inf)
    return np.where(bound.max(axis=-1) > 0, bound.argmax(axis=-1), (data.counts > 0).argmax(axis=-1))


def nan_for_unpulled(data):
    with np.errstate(all="ignore"):
        return (data.sums / data.counts).argmax(axis=-1)


def mutates_counts(data):
    unpulled = data.counts == 0
    data.counts[unpulled] = 1
    return np.where(unpulled, -np.inf, bounds(data)).argmax(axis=-1)


def random_ties(data):
    index = np.where(data.counts > 0, data.means, -np.inf)
    lots = np.random.default_rng().random(index.shape)
    return np.where(index == index.max(axis=-1, keepdims=True), lots, -1).argmax(axis=-1)


def raises(data):
    if data.n_arms > 2:
        raise NotImplementedError("two arms only")
    return correct(data)


def with_rounds(data):
    if not np.all(data.n):
        raise ValueError("no rounds")
    return data


def needs_rounds(data):
    return correct(with_rounds(data))


cached = {}


def remembers(data):
    """The first answer for a shape."""
    return cached.setdefault(data.counts.shape, correct(data))


def means_or(worth, data):
    return np.where(data.counts > 0, data.means, worth)


WRONG = {
    "no square root": (forgot_square_root, r'"level": the square root is missing: its widths are L/N\(a\)'),
    "log10": (lower(lambda d: log_term(d, base=10)), '"level": the logarithm has base 10, not e'),
    "log2": (lower(lambda d: log_term(d, base=2)), '"level": the logarithm has base 2, not e'),
    "fixed delta": (lower(lambda d: log_term(d, 1 / 0.05)), r'"level": its L does not grow.*delta is fixed at 0\.05'),
    "widths by the total": (
        lambda d: best(d, d.means - width(d) * np.sqrt(log_term(d) / np.maximum(d.n, 1)[..., None, None])),
        r'"level": its widths do not depend on an arm\'s own count.*N, or .* may stand where .* belongs',
    ),
    "upper bound": (lambda d: best(d, bounds(d, sign=1)), '"level": the width is added to the mean, not subtracted'),
    "upper bound, base 10": (
        lambda d: best(d, bounds(d, log_term(d, base=10), sign=1)),
        '"level": the logarithm has base 10, not e, and the width is added instead of subtracted',
    ),
    "root of the count only": (lower(lambda d: log_term(d) ** 2), '"level": L stands outside the square root'),
    "no S": (lower(lambda d: log_term(d, np.maximum(d.n, 1) / d.n_contexts)), '"level": S is missing from the union'),
    "no A": (lower(lambda d: log_term(d, np.maximum(d.n, 1) / d.n_arms)), '"level": A is missing from the union bound'),
    "delta = 1/n^2": (lower(lambda d: log_term(d, np.maximum(d.n, 1.0) ** 2)), r'"level": its delta is 1/n\^2, where'),
    "argmin": (
        lambda d: np.where(d.counts > 0, bounds(d), np.inf).argmin(axis=-1),
        '"level": of two arms far .* the worse: argmin',
    ),
    "products in 64 bits": (  # n^2 overflows where no choice but the closest shows it
        lower(lambda d: log_term(d, np.sqrt(np.maximum(d.n**2, 1)))),
        '"level": it holds its level until an arm has billions of pulls: whole numbers may overflow',
    ),
    "imitation": (lambda d: d.counts.argmax(axis=-1), '"level": it goes by the pulls alone: no mean makes up'),
    "constant": (lower(lambda d: 4 * log_term(d)), '"level": a constant is off: its L is 4 times .* 2 times'),
    "N - 1": (
        lambda d: best(d, d.means - width(d) * np.sqrt(log_term(d) / np.maximum(d.counts - 1, 1))),
        '"level": its widths are those of N.a. -1 pulls',
    ),
    "one-sided": (
        lower(lambda d: log_term(d, np.maximum(d.n, 1) / 2)),
        '"level": a factor 2 is missing in the logarithm',
    ),
    "A = 2": (
        lower(lambda d: log_term(d, np.maximum(d.n, 1) * 2 / d.n_arms)),
        '"level": its L changes with 5 arms in place of 2 by 0, where 0.458 is claimed. Where',
    ),
    "N + 2": (
        lambda d: best(d, d.means - width(d) * np.sqrt(log_term(d) / (d.counts + 2))),
        '"level": .*of N.a. .2 pulls',
    ),
    "arms that were pulled": (
        lower(lambda d: log_term(d, np.maximum((d.counts > 0).mean(axis=(-2, -1)), 0.5) * np.maximum(d.n, 1))),
        '"level": .* with an arm that was never pulled by -.* .A counts all arms',
    ),
    "N(a) in the logarithm": (
        lower(lambda d: log_term(d) + 0.5 * np.log(pulls(d) / np.maximum(d.n, 1)[..., None, None])),
        '"level": its L changes with N.a. greater, n the same by .* in the logarithm',
    ),
    "a mean with a prior": (
        lambda d: best(d, bounds(d) + (np.mean(d.reward_range) - d.means) / (d.counts + 1)),
        '"level": its L changes with all means higher .* towards a prior',
    ),
    "float16": (
        lambda d: best(d, bounds(d).astype(np.float16)),
        '"level": .* that differ by 1e-05: some step computes in float16',
    ),
    "Bernstein": (bernstein_lcb, '"level": its widths go by the variance of the rewards, as Bernstein'),
    "delta = 0.05/n": (
        lower(lambda d: log_term(d, np.maximum(d.n, 1) * 20)),
        r'"level": its L is \+1.5 from the claimed',
    ),
    "float32": (
        lambda d: best(d, bounds(d).astype(np.float32)),
        '"level": .* in the eighth digit: some step computes in',
    ),
    "cut off": (lambda d: best(d, np.maximum(bounds(d), d.reward_range[0])), '"(arms|level)": .*cut off'),
    "remembers": (remembers, '"(repeat|batch)"'),
    "last arm left out": (
        lambda d: np.where(d.counts > 0, bounds(d), -np.inf)[..., : max(d.n_arms - 1, 1)].argmax(axis=-1),
        '"(pulled|arms)"',
    ),
    "range from 0": (
        lambda d: best(d, d.means - d.reward_range[1] * np.sqrt(log_term(d) / pulls(d))),
        '"shift": .*or take 0 for the lowest reward',
    ),
    "cube root": (
        lambda d: best(d, d.means - width(d) * np.cbrt(log_term(d) / pulls(d))),
        '"level": where N.a. alone changes its widths fall as N.a..-1/3, not as N.a..-1/2',
    ),
    "sums for means": (sums_for_means, '"shift": .*does it compare sums where means belong'),
    "unpulled at 0": (
        lambda d: np.where(d.counts > 0, bounds(d), 0.0).argmax(axis=-1),
        '"pulled": .*never pulled.*no mean: give it the index -inf .0 beats every bound below 0',
    ),
    "falls back to arm 0": (
        lambda d: np.where(d.counts.all(axis=-1), correct(d), 0),
        '"pulled": .*It falls back to index 0',
    ),
    "NaN": (nan_for_unpulled, '"pulled": .*never pulled.*NaN wins any argmax'),
    "0/0": (lambda d: (d.sums / d.counts).argmax(axis=-1), '"contract": it warned of RuntimeWarning: invalid value'),
    "in place": (mutates_counts, r'"mutation": it wrote into data\.counts: work on a copy'),
    "argmax over contexts": (
        lambda d: means_or(-np.inf, d).argmax(axis=0),
        r'"contract": .*got \(3,\), as if .* over axis 0: arms are',
    ),
    "argmax over axis 1": (
        lambda d: means_or(-np.inf, d).argmax(axis=1),
        r'"batch": in a batch .*as if .* over axis 1',
    ),
    "squeezed": (lambda d: np.squeeze(correct(d)), r'"contract": .*got \(\), without the axis .* squeezed'),
    "S from the first axis": (first_axis, r'"batch": within a batch of shape \((64,|2, 3)\) .*S and A are the lengths'),
    "pulls in 32 bits": (
        lambda d: best(d, d.means - width(d) * np.sqrt(log_term(d) / np.maximum(d.counts.astype(np.int32), 1))),
        '"contract": with 2147483647 pulls in place of 2147483648 it answered .*overflow',
    ),
    "flat argmax": (
        lambda d: np.asarray(means_or(-np.inf, d).argmax()),
        r'"contract": .*a single arm: the argmax needs axis',
    ),
    "max": (lambda d: d.means.max(axis=-1), '"contract": .*it returned dtype float64: is max used for argmax'),
    "no argmax": (lambda d: d.counts, '"contract": .*one number per arm: is the argmax missing'),
    "counts from 1": (lambda d: correct(d) + 1, '"contract": it chose arm 1, but arms are numbered from 0 to 0'),
    "total over the batch": (
        lower(lambda d: log_term(d, max(int(d.counts.sum()), 1))),
        '"batch": .*totals are sums over the last',
    ),
    "no batch": (no_batch, r'"batch": in a batch of shape \(2, 3\) its answer must have shape'),
    "random ties": (random_ties, '"repeat": asked again .*fixed seed'),
    "random": (
        lambda d: best(d, d.means + 0.3 * np.random.default_rng().random(d.counts.shape)),
        '"repeat": asked again .*fixed seed',
    ),
    "unit range": (
        lambda d: best(d, d.means - np.sqrt(log_term(d) / pulls(d))),
        '"scale": .*widths are in reward unit',
    ),
    "positive or 0": (positive_or_zero, '"arms": with the arms in the order .* numbering'),
    "low numbers": (
        lambda d: best(d, d.means - 0.3 * np.arange(d.n_arms)),
        '"arms": with the arms in the order .* numbering',
    ),
    "odd contexts": (
        lambda d: np.where(np.arange(d.n_contexts) % 2, best(d, -1.0 * d.counts), greedy(d)),
        '"contexts": .*it depends on their numbering, or mixes contexts up',
    ),
    "raises": (raises, '"contract": it raised NotImplementedError: two arms only'),
}
