r"""Logged rounds, reduced to the statistics that rules use.

A log of rounds :math:`(s_i, a_i, r_i)` enters every rule only through the pulls :math:`N(s, a)` of every pair
(`counts`), the sums of their rewards (`sums`) and, for variance-aware rules, of their squared rewards (`squares`). The
cost of a rule therefore does not depend on the length of the log, and merging logs is adding arrays.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._objects import Report, Stored, spread
from pessimism._shares import apportion
from pessimism._types import Floats, Ints, Rng
from pessimism.bandits import _report
from pessimism.bandits._engine import estimate, sampling
from pessimism.bandits._input import ROUNDING, check_arm_law, check_contexts, check_policy, check_sums, reward_width
from pessimism.bandits.interval import ValueInterval

__all__ = ["BanditData"]

SINGLE = 1e-6
"""The same for squares, which may have been taken in float32."""

LARGEST_TABLE = 10**9
"""Cells of the tables of one call of `from_log`: more of them means that a label was mistaken for a position."""


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class BanditData(Stored):
    """Pulls and reward sums per (context, arm), of one or of many data sets.

    Parameters
    ----------
    counts : (..., S, A) array_like of int
        Pulls, at least 0; at most 2^53 in all.
    sums : (..., S, A) array_like of float
        Summed rewards, 0 where there are no pulls.
    squares : (..., S, A) array_like of float, optional
        Summed squared rewards; needed by `bernstein_lcb` and `subsample`.
    reward_range : (float, float)
        Interval known to hold every reward, in reward units, low < high: of rewards known to be all the same there is
        nothing to learn. ``(-inf, inf)`` for unbounded rewards.

    Raises
    ------
    ValueError, TypeError
        If an entry is impossible: a negative or fractional count, a sum outside counts x range, squares that no
        rewards of that sum could have. The message names the first such entry.

    Examples
    --------
    >>> data = BanditData(counts=[[3, 1]], sums=[[2.0, 1.0]])
    >>> data.means.round(3).tolist()
    [[0.667, 1.0]]
    """

    counts: Ints
    sums: Floats
    squares: Floats | None
    reward_range: tuple[float, float]

    def __init__(
        self,
        counts: ArrayLike,
        sums: ArrayLike,
        squares: ArrayLike | None = None,
        reward_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        pulls = _check.whole_array("counts", counts, min_ndim=2)
        if 0 in pulls.shape[-2:]:
            raise ValueError(f"counts must have at least one context and one arm, got shape {pulls.shape}")
        # in float64 first: int64 sums could wrap around
        about = pulls.sum(axis=(-2, -1), dtype=np.float64)
        if np.any(about > 2.0 * _check.MAX_TOTAL) or np.any(pulls.sum(axis=(-2, -1)) > _check.MAX_TOTAL):
            raise ValueError("counts must total at most 2**53 rounds a data set: beyond it sums are not exact")
        total = _check.real_array("sums", sums, min_ndim=2)
        if total.shape != pulls.shape:
            raise ValueError(f"sums must have the shape {pulls.shape} of counts, got {total.shape}")
        low, high = _check.interval("reward_range", reward_range)
        check_sums("sums", total, "counts", pulls, low, high)
        second = None
        if squares is not None:
            second = _check.real_array("squares", squares, min_ndim=2, low=0.0)
            if second.shape != pulls.shape:
                raise ValueError(f"squares must have the shape {pulls.shape} of counts, got {second.shape}")
            _check_squares(pulls, total, second, low, high)
        self._set(pulls, total, second, (low, high))

    def _set(self, counts: Ints, sums: Floats, squares: Floats | None, reward_range: tuple[float, float]) -> None:
        for name, value in (("counts", counts), ("sums", sums), ("squares", squares), ("reward_range", reward_range)):
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)

    @classmethod
    def trusted(
        cls,
        counts: Ints,
        sums: Floats,
        squares: Floats | None = None,
        reward_range: tuple[float, float] = (0.0, 1.0),
    ) -> Self:
        """Data from arrays that are correct by construction, without copies or checks; for samplers.

        Parameters
        ----------
        counts : (..., S, A) int64
            Pulls.
        sums : (..., S, A) float64
            Summed rewards.
        squares : (..., S, A) float64, optional
            Summed squared rewards.
        reward_range : (float, float)
            Interval known to hold every reward.

        Returns
        -------
        BanditData
            Data that own the arrays, which become read-only.

        Examples
        --------
        >>> int(BanditData.trusted(np.array([[3, 1]]), np.array([[2.0, 1.0]])).n)
        4
        """
        self = object.__new__(cls)
        self._set(counts, sums, squares, reward_range)
        return self

    @classmethod
    def from_log(
        cls,
        contexts: ArrayLike | None,
        arms: ArrayLike,
        rewards: ArrayLike,
        *,
        n_contexts: int | None = None,
        n_arms: int | None = None,
        reward_range: tuple[float, float] = (0.0, 1.0),
        batch: tuple[int, ...] | None = None,
    ) -> Self:
        """Count and sum raw rounds.

        Parameters
        ----------
        contexts : (..., n) array_like of int or None
            Context of every round, from 0; None if there is one context.
        arms : (..., n) array_like of int
            Arm of every round, from 0.
        rewards : (..., n) array_like of float
            Reward of every round, in `reward_range`.
        n_contexts, n_arms : int, optional
            S and A. Default: one more than the largest label, which may miss arms that were never pulled.
        reward_range : (float, float)
            Interval known to hold every reward.
        batch : tuple of int, optional
            The leading axes. Needed only for logs of one round each: arrays (n, 1) usually are columns of one log.

        Returns
        -------
        BanditData
            One data set for each log, squares included; leading axes are the batch.

        Notes
        -----
        Cost O(n), once; the rewards are added up in the order of the rounds.

        Examples
        --------
        >>> BanditData.from_log(None, [0, 1, 0], [1.0, 0.0, 0.0], n_arms=3).counts.tolist()
        [[2, 1, 0]]
        """
        low, high = _check.interval("reward_range", reward_range)
        reward = _check.real_array("rewards", rewards, min_ndim=1)
        _check.require("rewards", reward, (reward >= low) & (reward <= high), f"in reward_range [{low:g}, {high:g}]")
        _check.log_axes("rewards", reward.shape, batch)
        arm = _labels("arms", arms, n_arms, reward.shape)
        context = _labels(
            "contexts", np.zeros(reward.shape, int) if contexts is None else contexts, n_contexts, reward.shape
        )
        s = int(context.max(initial=0)) + 1 if n_contexts is None else int(n_contexts)
        a = int(arm.max(initial=0)) + 1 if n_arms is None else int(n_arms)
        front = reward.shape[:-1]
        logs = math.prod(front)
        if logs * s * a > LARGEST_TABLE:
            raise ValueError(
                f"contexts and arms make a table of {s} (n_contexts) x {a} (n_arms) cells, which is too large: labels "
                "must be positions 0, 1, 2, ...; "
                "pessimism.interop.frames.bandit_log makes positions of any labels"
            )
        cell = ((np.arange(logs).reshape(*front, 1) * s + context) * a + arm).ravel()

        def total(weights: Floats | None) -> NDArray[np.number]:  # numpydoc ignore=GL08
            return np.bincount(cell, weights, minlength=logs * s * a).reshape(*front, s, a)

        sums, squares = total(reward.ravel()).astype(np.float64), total(reward.ravel() ** 2).astype(np.float64)
        return cls.trusted(total(None).astype(np.int64), sums, squares, (low, high))

    def _shown(self) -> dict[str, Any]:
        seen = spread((self.counts > 0).sum(axis=(-2, -1))) if self.counts.size else "0"
        return {
            "batch": self.shape,
            "contexts": self.n_contexts,
            "arms": self.n_arms,
            "n": spread(self.n) if self.counts.size else "0",
            "pairs seen": f"{seen} of {self.n_contexts * self.n_arms}",
            "reward_range": self.reward_range,
        }

    @property
    def shape(self) -> tuple[int, ...]:
        """Batch of data sets."""
        return self.counts.shape[:-2]

    @property
    def n_contexts(self) -> int:
        """S, the number of contexts."""
        return int(self.counts.shape[-2])

    @property
    def n_arms(self) -> int:
        """A, the number of arms."""
        return int(self.counts.shape[-1])

    @property
    def n(self) -> Ints:
        """(...,) int, rounds in each data set."""
        # faster than a sum over two short axes
        return np.asarray(self.counts.reshape(*self.shape, self.n_contexts * self.n_arms).sum(axis=-1))

    @property
    def means(self) -> Floats:
        """(..., S, A) float, sample means; 0 where there are no pulls."""
        return self.sums / np.maximum(self.counts, 1)

    def __getitem__(self, index: int | slice | NDArray[np.integer] | tuple[int | slice, ...]) -> Self:
        """Data sets picked from the batch."""
        if not self.shape:
            raise IndexError("this is a single data set: it has no batch axis to index")
        place = np.arange(math.prod(self.shape)).reshape(self.shape)[index]
        table = (math.prod(self.shape), *self.counts.shape[-2:])
        counts, sums = self.counts.reshape(table)[place], self.sums.reshape(table)[place]
        squares = None if self.squares is None else self.squares.reshape(table)[place]
        return self.trusted(counts, sums, squares, self.reward_range)

    def restrict(self, arms: ArrayLike) -> Self:
        r"""The log of some of the arms: the rounds of all others are left out.

        Parameters
        ----------
        arms : (K,) array_like of int, or (A,) array_like of bool
            Positions of the arms to keep, each once, in the order wanted; or which arms to keep.

        Returns
        -------
        BanditData
            K arms, all contexts, the same batch and reward range. ``data.n - data.restrict(arms).n`` rounds were left
            out of each data set.

        Raises
        ------
        ValueError, TypeError
            If no arm is kept, an arm is not among 0 to A - 1 or named twice, or a mask has another length than A.

        Notes
        -----
        The same as filtering the rows before they are counted. Policies learned from it name arms by their positions
        in `arms`; ``np.asarray(arms)[policy]`` names those of the whole log (with a mask: ``np.flatnonzero(arms)``).
        If :math:`\mu(s, a)` is the law of pairs in the log, what is left is a log of
        :math:`\mu(s, a) / \sum_{t, b \in K} \mu(t, b)`: the shares of contexts change with those of arms, and so does
        :math:`C^*`. Widths count K arms in place of A. Intervals and bounds hold if the arms were chosen without
        looking at these rewards.

        Examples
        --------
        >>> log = BanditData([[5, 3, 2]], [[4.0, 0.0, 1.0]])
        >>> kept = log.restrict([2, 0])
        >>> kept.counts.tolist(), int(log.n - kept.n)
        ([[2, 5]], 3)
        """
        keep = _check.positions("arms", arms, self.n_arms, "arms")
        squares = None if self.squares is None else self.squares.take(keep, axis=-1)
        return self.trusted(self.counts.take(keep, axis=-1), self.sums.take(keep, axis=-1), squares, self.reward_range)

    def merge(self, *others: "BanditData") -> Self:
        """All rounds of several logs as one log.

        Parameters
        ----------
        *others : BanditData
            Logs over the same contexts and arms, with the same reward range; batches broadcast.

        Returns
        -------
        BanditData
            The rounds of all logs; with squares if every log has them.

        Examples
        --------
        >>> a, b = BanditData([[1, 0]], [[1.0, 0.0]]), BanditData([[2, 3]], [[1.0, 2.0]])
        >>> a.merge(b).counts.tolist()
        [[3, 3]]
        """
        logs: tuple[BanditData, ...] = (self, *others)
        for i, log in enumerate(others):
            _check_alike(f"others[{i}]", log, self)
        _check.broadcast("the logs", *(log.shape for log in logs))
        squares = [log.squares for log in logs if log.squares is not None]
        counts, sums = sum(log.counts for log in logs), sum(log.sums for log in logs)
        both = sum(squares) if len(squares) == len(logs) else None
        return type(self)(counts, sums, both, self.reward_range)

    def mix(self, *others: "BanditData", shares: Sequence[float], n: int | None = None, rng: Rng = None) -> Self:
        r"""A log of n rounds composed of given shares of several logs, drawn without replacement.

        Parameters
        ----------
        *others : BanditData
            Logs over the same contexts and arms, with the same reward range and 0/1 rewards.
        shares : sequence of float
            Share of each log, this one first; non-negative, total one.
        n : int, optional
            Rounds of the result. Default: the largest number that the logs hold at these shares.
        rng : Generator, SeedSequence or int, optional
            Source of randomness (SPEC 7); spent on this log first, then on the others in order.

        Returns
        -------
        BanditData
            A log of n rounds; log i gives n times its share, rounded to a total of n by largest remainders.

        Raises
        ------
        ValueError
            If the shares are not a law over the logs, a log has too few rounds, or `subsample` cannot draw from it.

        Examples
        --------
        >>> a, b = (BanditData([[9, 9]], s, s) for s in ([[4.0, 4.0]], [[0.0, 0.0]]))
        >>> int(a.mix(b, shares=(0.25, 0.75), n=8, rng=0).n)
        8
        """
        logs: tuple[BanditData, ...] = (self, *others)
        for i, log in enumerate(others):
            _check_alike(f"others[{i}]", log, self)
        share = _check.law("shares", shares, axes=1)
        if share.shape != (len(logs),):
            raise ValueError(f"shares must hold one number for each of {len(logs)} logs, got shape {share.shape}")
        if n is None:
            available = np.array([log.n.min() for log in logs])
            n = int(np.floor((available[share > 0] / share[share > 0]).min() + ROUNDING))
        total = _check.whole("n", n)
        rounds = apportion(share, total).tolist()
        generator = _check.generator(rng)
        for i, (log, k) in enumerate(zip(logs, rounds, strict=True)):
            if k > log.n.min():
                raise ValueError(
                    f"n = {total} at shares[{i}] = {share[i]:g} asks log {i} for {k} rounds, it has {log.n.min()}"
                )
        first, *rest = (log.subsample(k, generator) for log, k in zip(logs, rounds, strict=True))
        return type(self)(first.counts, first.sums, first.squares, first.reward_range).merge(*rest)

    def subsample(self, n: int, rng: Rng = None) -> Self:
        """Draw rounds from the log without replacement; the statistics alone determine their law.

        Parameters
        ----------
        n : int
            Rounds to keep, at most those of the smallest data set in the batch.
        rng : Generator, SeedSequence or int, optional
            Source of randomness (SPEC 7).

        Returns
        -------
        BanditData
            Data sets of n rounds each.

        Raises
        ------
        ValueError
            If the rewards are not known to be 0 or 1 (other sums do not tell which rewards they consist of), or the log
            has fewer rounds than n.

        Notes
        -----
        One multivariate hypergeometric draw over (context, arm, reward) a data set. Rewards in [0, 1] are known to be
        0 or 1 exactly when ``squares`` equals ``sums``.

        Examples
        --------
        >>> log = BanditData.from_log(None, [0, 0, 1, 1], [1.0, 1.0, 0.0, 0.0])
        >>> half = log.subsample(2, rng=0)
        >>> int(half.n), bool(half.sums[0, 0] == half.counts[0, 0])
        (2, True)
        """
        keep = _check.whole("n", n)
        coins = self.squares is not None and np.array_equal(self.squares, self.sums)
        if self.reward_range != (0.0, 1.0) or not coins or not np.array_equal(self.sums, np.floor(self.sums)):
            raise ValueError(
                "subsample needs rewards known to be 0 or 1 (reward_range (0, 1), whole sums, squares equal to sums); "
                "for other rewards subsample the raw rounds and use from_log"
            )
        if self.n.size and keep > self.n.min():
            raise ValueError(f"n must be at most the {self.n.min()} rounds of the log, got {keep}")
        ones = self.sums.astype(np.int64)
        counts, kept = sampling.subsample(self.counts, ones, keep, _check.generator(rng))
        sums = kept.astype(np.float64)
        return self.trusted(counts, sums, sums, self.reward_range)

    def folds(self, k: int, rng: Rng = None) -> list[Self]:
        """Divide the log into k logs at random, without replacement; their sizes differ by one at most.

        Parameters
        ----------
        k : int
            Folds, at least 2.
        rng : Generator, SeedSequence or int, optional
            Source of randomness (SPEC 7).

        Returns
        -------
        list of BanditData
            Logs that merge into this one, the larger ones first.

        Raises
        ------
        ValueError
            If the rewards are not known to be 0 or 1, the data sets of a batch differ in n, or there are fewer rounds
            than folds.

        Notes
        -----
        A fold of a log of i.i.d. rounds is again such a log, and independent of the others.

        Examples
        --------
        >>> import numpy as np
        >>> log = BanditData.from_log(None, [0, 0, 1, 1, 1], [1.0, 1.0, 0.0, 0.0, 1.0])
        >>> [int(fold.n) for fold in log.folds(2, rng=0)]
        [3, 2]
        """
        parts, generator = _check.whole("k", k, low=2), _check.generator(rng)
        sizes = np.unique(self.n)
        if sizes.size > 1:
            raise ValueError(f"folds needs data sets of equal size, got n from {sizes[0]} to {sizes[-1]}")
        total = int(sizes[0]) if sizes.size else 0
        if total < parts:
            raise ValueError(f"k must be at most the {total} rounds of the log, got {parts}")
        rest, logs = self, []
        for left in range(parts, 1, -1):
            fold = rest.subsample(-(-total // left), generator)
            total -= int(fold.n.flat[0])
            sums = rest.sums - fold.sums
            logs.append(fold)
            rest = self.trusted(rest.counts - fold.counts, sums, sums, self.reward_range)
        return [*logs, rest]

    def value(
        self,
        policy: ArrayLike,
        *,
        contexts: ArrayLike | None = None,
        delta: float = 0.05,
        sigma: float | None = None,
    ) -> ValueInterval:
        r"""Estimated value of a policy, with an interval.

        Parameters
        ----------
        policy : (..., S) array_like of int or (..., S, A) array_like of float
            An arm per context, or a law over arms per context; chosen without looking at these rewards.
        contexts : (..., S) array_like of float, optional
            Law of the contexts in which the policy is judged. Default: their shares in the log, taken as given.
        delta : float
            Probability, in (0, 1), that the interval misses the value.
        sigma : float, optional
            Sub-Gaussian parameter of the rewards, in reward units. Required when the reward range is infinite.

        Returns
        -------
        ValueInterval
            Estimate, low, high (batch axes of data and policy broadcast) and level 1 - delta. The interval is
            intersected with the reward range, in which the value must lie: all of it for an empty log.

        Notes
        -----
        Given the counts, the estimate :math:`\sum_{s,a} \rho(s)\pi(a|s)\hat r(s,a)` is a weighted sum of independent
        rewards, so by Hoeffding's inequality the half-width is
        :math:`w\sqrt{\tfrac12\log(2/\delta)\sum_{s,a} \rho(s)^2\pi(a|s)^2/N(s,a)}`, w being the width of the reward
        range. A pair that was never logged adds its weight times the whole range. The interval does not account for a
        policy chosen with the same rewards: `bounds.lcb_width_bound` does.

        Examples
        --------
        >>> interval = BanditData([[400, 100]], [[200.0, 60.0]]).value([1])
        >>> [round(float(x), 3) for x in (interval.low, interval.estimate, interval.high)]
        [0.464, 0.6, 0.736]
        """
        miss = _check.open_unit_interval("delta", delta)
        if contexts is None:
            met = self.counts.sum(axis=-1) + (self.n == 0)[..., None]  # an empty log knows nothing under any law
            rho = np.asarray(met / met.sum(axis=-1, keepdims=True))
        else:
            rho = check_contexts(contexts, self.n_contexts, "data")
        chosen = check_arm_law(policy, self.n_contexts, self.n_arms)
        _check.broadcast("data, contexts and policy", self.shape, rho.shape[:-1], chosen.shape[:-2])
        factor = reward_width(self.reward_range, sigma) * math.sqrt(0.5 * math.log(2.0 / miss))
        weight = rho[..., None] * chosen
        ends = estimate.value_interval(self.counts, self.means, weight, self.reward_range, factor)
        return ValueInterval(*ends, level=1.0 - miss)

    def describe(self, policy: ArrayLike | None = None) -> str:
        r"""Report in words: what was logged, how well it covers a policy, and what it cannot tell.

        Parameters
        ----------
        policy : (S,) array_like of int, optional
            A policy whose :math:`C^*` is to be estimated from the log.

        Returns
        -------
        str
            A few lines, to be printed.

        Raises
        ------
        ValueError, TypeError
            If the data are a batch or `policy` is not one arm per context.

        Examples
        --------
        >>> print(BanditData([[90, 10, 0]], [[45.0, 6.0, 0.0]]).describe(policy=[1]))
        100 rounds, 1 context, 3 arms, rewards in [0, 1]
          arm       pulls   share  contexts without a pull  mean reward
            0          90   90.0%                        0          0.5
            1          10   10.0%                        0          0.6
            2           0    0.0%                        1            -
        Coverage (C* estimated from the log, contexts as logged):
          the given policy: C* about 10
            the log is worth about 10 rounds of its own
            intervals that hold at every n: given_counts, clopper_pearson
            asymptotic intervals: do not trust them, a pair it plays has 4 successes or failures
          the most played arms: C* about 1.11
          the least played of the pulled arms: C* about 10
        What this log cannot tell:
          the worth of 1 pair never pulled (first: context 0, arm 2): no rule can learn it
          gaps below 0.65 even between its best known arms (95% intervals)
          whether arms were chosen by looking at rewards: intervals assume they were not
        """
        if self.shape:
            raise ValueError(
                f"describe reports on one data set, got a batch of shape {self.shape}: pick one, as in data[0]"
            )
        arms = None if policy is None else check_policy(policy, self.n_contexts, self.n_arms)
        if arms is not None and (arms.dtype.kind == "f" or arms.ndim != 1):
            raise ValueError("policy must be one arm per context, an integer array of shape (contexts,)")
        chosen = None if arms is None else arms.astype(int)
        return Report(_report.describe(self.counts, self.sums, self.reward_range, chosen))


def _labels(name: str, value: ArrayLike, kinds: int | None, shape: tuple[int, ...]) -> Ints:
    if kinds is not None:
        kinds = _check.whole(f"n_{name}", kinds, low=1)
    labels = _check.whole_array(name, value, min_ndim=1)
    if kinds is not None:
        _check.require(name, labels, labels < kinds, f"below n_{name} = {kinds}")
    if labels.shape != shape:
        raise ValueError(f"{name} must have the shape {shape} of rewards, got {labels.shape}")
    return labels


def _check_alike(name: str, log: BanditData, first: BanditData) -> None:
    _check.instance(name, log, BanditData)
    if log.counts.shape[-2:] != first.counts.shape[-2:]:
        raise ValueError(f"{name} must have (contexts, arms) = {first.counts.shape[-2:]}, got {log.counts.shape[-2:]}")
    if log.reward_range != first.reward_range:
        raise ValueError(f"{name} must have reward_range {first.reward_range}, got {log.reward_range}")


def _check_squares(counts: Ints, sums: Floats, squares: Floats, low: float, high: float) -> None:
    # Cauchy-Schwarz below, attained by one pull; (x - low)(high - x) >= 0, summed over the rounds, above
    least = sums**2 / np.maximum(counts, 1)
    good = (squares >= least * (1 - SINGLE)) & ((counts != 1) | (squares <= least * (1 + SINGLE)))
    if math.isfinite(low) and math.isfinite(high):
        scale = max(abs(low), abs(high)) ** 2
        good &= squares <= (low + high) * sums - low * high * counts + ROUNDING * counts * scale
    else:
        good &= (counts > 0) | (squares == 0)
    _check.require("squares", squares, good, "what rewards in reward_range with these sums can have")
