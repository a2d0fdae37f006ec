"""Rules a person would write, each with one mistake: `check_rule` must find it and say what it is."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism._types import Floats
from pessimism.bandits import BanditData

Index = NDArray[np.intp]


def log_term(data: BanditData, base: float = np.e) -> Floats:
    """(..., 1, 1) L of Hoeffding's interval with delta = 1/n."""
    return hoeffding(data, np.maximum(data.n, 1), base)


def hoeffding(data: BanditData, confidence: ArrayLike, base: float = np.e) -> Floats:
    log = np.log(2 * data.n_contexts * data.n_arms * np.asarray(confidence)) / np.log(base)
    return np.asarray(0.5 * log[..., None, None])


def best(data: BanditData, index: Floats) -> Index:
    return np.asarray(np.where(data.counts > 0, index, -np.inf).argmax(axis=-1))


def pulls(data: BanditData) -> NDArray[np.int64]:
    return np.maximum(data.counts, 1)


def width(data: BanditData) -> float:
    low, high = data.reward_range
    return high - low


def correct(data: BanditData) -> Index:
    """The rule that all others meant to be."""
    return best(data, data.means - width(data) * np.sqrt(log_term(data) / pulls(data)))


def forgot_square_root(data: BanditData) -> Index:
    return best(data, data.means - width(data) * log_term(data) / pulls(data))


def log10(data: BanditData) -> Index:
    return best(data, data.means - width(data) * np.sqrt(log_term(data, base=10) / pulls(data)))


def log2(data: BanditData) -> Index:
    return best(data, data.means - width(data) * np.sqrt(log_term(data, base=2) / pulls(data)))


def fixed_delta(data: BanditData) -> Index:
    return best(data, data.means - width(data) * np.sqrt(hoeffding(data, 1 / 0.05) / pulls(data)))


def widths_by_total(data: BanditData) -> Index:
    n = np.maximum(data.n, 1)[..., None, None]
    return best(data, data.means - width(data) * np.sqrt(log_term(data) / n))


def upper_bound(data: BanditData) -> Index:
    return best(data, data.means + width(data) * np.sqrt(log_term(data) / pulls(data)))


def upper_bound_base_10(data: BanditData) -> Index:
    return best(data, data.means + width(data) * np.sqrt(log_term(data, base=10) / pulls(data)))


def wrong_constant(data: BanditData) -> Index:
    return best(data, data.means - 2 * width(data) * np.sqrt(log_term(data) / pulls(data)))


def cube_root(data: BanditData) -> Index:
    return best(data, data.means - width(data) * np.cbrt(log_term(data) / pulls(data)))


def root_of_the_count_only(data: BanditData) -> Index:
    return best(data, data.means - width(data) * log_term(data) / np.sqrt(pulls(data)))


def forgot_contexts(data: BanditData) -> Index:
    level = hoeffding(data, np.maximum(data.n, 1) / data.n_contexts)
    return best(data, data.means - width(data) * np.sqrt(level / pulls(data)))


def forgot_arms(data: BanditData) -> Index:
    level = hoeffding(data, np.maximum(data.n, 1) / data.n_arms)
    return best(data, data.means - width(data) * np.sqrt(level / pulls(data)))


def squared_rounds(data: BanditData) -> Index:
    """delta = 1/n^2."""
    level = hoeffding(data, np.maximum(data.n, 1).astype(np.float64) ** 2)
    return best(data, data.means - width(data) * np.sqrt(level / pulls(data)))


def argmin(data: BanditData) -> Index:
    bound = data.means - width(data) * np.sqrt(log_term(data) / pulls(data))
    return np.asarray(np.where(data.counts > 0, bound, np.inf).argmin(axis=-1))


def squeezed(data: BanditData) -> Index:
    return np.squeeze(correct(data))


def first_axis(data: BanditData) -> Index:
    """S from the first axis, which is that of the contexts only in a single data set."""
    level = hoeffding(data, np.maximum(data.n, 1) * len(data.counts) / data.n_contexts)
    return best(data, data.means - width(data) * np.sqrt(level / pulls(data)))


def pulls_in_32_bits(data: BanditData) -> Index:
    narrow = np.maximum(data.counts.astype(np.int32), 1)
    return best(data, data.means - width(data) * np.sqrt(log_term(data) / narrow))


def products_in_64_bits(data: BanditData) -> Index:
    """L from the square root of n^2, which overflows where no choice but the closest shows it."""
    n = np.sqrt(np.maximum(data.n**2, 1))
    return best(data, data.means - width(data) * np.sqrt(hoeffding(data, n) / pulls(data)))


def imitates(data: BanditData) -> Index:
    return np.asarray(data.counts.argmax(axis=-1))


def unit_range(data: BanditData) -> Index:
    """Widths for rewards in [0, 1], whatever the range."""
    return best(data, data.means - np.sqrt(log_term(data) / pulls(data)))


def sums_for_means(data: BanditData) -> Index:
    return best(data, data.sums - width(data) * np.sqrt(log_term(data) / pulls(data)))


def unpulled_at_zero(data: BanditData) -> Index:
    widths = width(data) * np.sqrt(log_term(data) / pulls(data))
    return np.asarray(np.where(data.counts > 0, data.means - widths, 0.0).argmax(axis=-1))


def falls_back_to_zero(data: BanditData) -> Index:
    """Gives up in a context where some arm was never pulled."""
    complete = data.counts.all(axis=-1)
    return np.asarray(np.where(complete, correct(data), 0))


def positive_or_zero(data: BanditData) -> Index:
    """Gives up, though not on a pulled arm, in a context where no lower bound is positive."""
    bound = np.where(data.counts > 0, data.means - width(data) * np.sqrt(log_term(data) / pulls(data)), -np.inf)
    first_pulled = (data.counts > 0).argmax(axis=-1)
    return np.asarray(np.where(bound.max(axis=-1) > 0, bound.argmax(axis=-1), first_pulled))


def nan_for_unpulled(data: BanditData) -> Index:
    with np.errstate(all="ignore"):
        return np.asarray((data.sums / data.counts).argmax(axis=-1))


def divides_by_zero(data: BanditData) -> Index:
    return np.asarray((data.sums / data.counts).argmax(axis=-1))


def mutates_counts(data: BanditData) -> Index:
    unpulled = data.counts == 0
    data.counts[unpulled] = 1
    index = data.sums / data.counts - width(data) * np.sqrt(log_term(data) / data.counts)
    return np.asarray(np.where(unpulled, -np.inf, index).argmax(axis=-1))


def argmax_over_contexts(data: BanditData) -> Index:
    return np.asarray(np.where(data.counts > 0, data.means, -np.inf).argmax(axis=0))


def argmax_over_axis_one(data: BanditData) -> Index:
    """Right for a single data set, whose arms are axis 1."""
    return np.asarray(np.where(data.counts > 0, data.means, -np.inf).argmax(axis=1))


def flat_argmax(data: BanditData) -> Index:
    return np.asarray(np.where(data.counts > 0, data.means, -np.inf).argmax())


def max_for_argmax(data: BanditData) -> Floats:
    return np.asarray(data.means.max(axis=-1))


def forgot_argmax(data: BanditData) -> NDArray[np.int64]:
    return data.counts


def counts_arms_from_one(data: BanditData) -> Index:
    return correct(data) + 1


def total_over_batch(data: BanditData) -> Index:
    """n summed over every data set of the batch."""
    level = hoeffding(data, max(int(data.counts.sum()), 1))
    return best(data, data.means - width(data) * np.sqrt(level / pulls(data)))


def no_batch(data: BanditData) -> list[int]:
    return [
        int(np.argmax(row)) for row in np.where(data.counts > 0, data.means, -np.inf).reshape(data.counts.shape[0], -1)
    ]


def random_ties(data: BanditData) -> Index:
    index = np.where(data.counts > 0, data.means, -np.inf)
    lots = np.random.default_rng().random(index.shape)
    return np.asarray(np.where(index == index.max(axis=-1, keepdims=True), lots, -1).argmax(axis=-1))


def randomised(data: BanditData) -> Index:
    return best(data, data.means + 0.3 * np.random.default_rng().random(data.counts.shape))


def prefers_low_numbers(data: BanditData) -> Index:
    return best(data, data.means - 0.3 * np.arange(data.n_arms))


def explores_in_odd_contexts(data: BanditData) -> Index:
    odd = np.arange(data.n_contexts) % 2 == 1
    return np.asarray(np.where(odd, best(data, -data.counts.astype(np.float64)), best(data, data.means)))


def raises(data: BanditData) -> Index:
    if data.n_arms > 2:
        raise NotImplementedError("two arms only")
    return correct(data)


WRONG: dict[Callable[[BanditData], Any], str] = {
    forgot_square_root: r'"level": the square root is missing: its widths are L/N\(a\)',
    log10: r'"level": the logarithm has base 10, not e',
    log2: r'"level": the logarithm has base 2, not e',
    fixed_delta: r'"level": its L does not grow with n.*delta is fixed at 0\.05',
    widths_by_total: r'"level": its widths do not depend on an arm\'s own count.*N may stand where .* belongs',
    upper_bound: r'"level": the width is added to the mean, not subtracted',
    upper_bound_base_10: r'"level": the logarithm has base 10, not e, and the width is added instead of subtracted',
    root_of_the_count_only: r'"level": L stands outside the square root',
    forgot_contexts: r'"level": S is missing from the union bound',
    forgot_arms: r'"level": A is missing from the union bound',
    squared_rounds: r'"level": its delta is 1/n\^2, where the claim has 1/n',
    argmin: r'"level": of two arms far apart it chooses the worse: argmin may stand',
    products_in_64_bits: r'"level": it holds its level until an arm has billions of pulls: whole numbers may overflow',
    imitates: r'"level": it goes by the pulls alone: no mean makes up for fewer of them',
    wrong_constant: r'"level": a constant is off: its L is 4 times the claimed one, its widths 2 times',
    cube_root: r'"level": no known mistake\. Its choices amount to L = ',
    sums_for_means: r'"shift": .*does it compare sums where means belong',
    unpulled_at_zero: r'"pulled": .*never pulled.*no mean: give it the index -inf \(0 beats every bound below 0',
    falls_back_to_zero: r'"pulled": .*never pulled.*It falls back to index 0',
    nan_for_unpulled: r'"pulled": .*never pulled.*NaN wins any argmax',
    divides_by_zero: r'"contract": it warned of RuntimeWarning: invalid value encountered in divide',
    mutates_counts: r'"mutation": it wrote into data\.counts: work on a copy',
    argmax_over_contexts: r'"contract": .*got \(3,\), as if the best were taken over axis 0: arms are the last axis',
    argmax_over_axis_one: r'"batch": in a batch of shape \(2, 3\) .*as if the best were taken over axis 1',
    squeezed: r'"contract": .*got \(\), without the axis of the one context: is the answer squeezed',
    first_axis: r'"batch": within a batch of shape \((64,|2, 3)\) .*S and A are the lengths of these \(data\.',
    pulls_in_32_bits: r'"contract": with 2147483647 pulls in place of 2147483648 it answered .*overflow',
    flat_argmax: r'"contract": .*got \(\), a single arm: the argmax needs axis=-1',
    max_for_argmax: r'"contract": .*it returned dtype float64: is max used for argmax\?',
    forgot_argmax: r'"contract": .*one number per arm: is the argmax missing\?',
    counts_arms_from_one: r'"contract": it chose arm 1, but arms are numbered from 0 to 0',
    total_over_batch: r'"batch": .*a data set\'s totals are sums over the last two axes',
    no_batch: r'"batch": in a batch of shape \(2, 3\) its answer must have shape',
    random_ties: r'"repeat": asked again .*give its generator a fixed seed',
    randomised: r'"repeat": asked again .*give its generator a fixed seed',
    unit_range: r'"scale": .*widths are in reward units',
    positive_or_zero: r'"arms": with the arms in the order .*: it depends on their numbering',
    prefers_low_numbers: r'"arms": with the arms in the order .*: it depends on their numbering',
    explores_in_odd_contexts: r'"contexts": .*it depends on their numbering, or mixes contexts up',
    raises: r'"contract": it raised NotImplementedError: two arms only',
}
