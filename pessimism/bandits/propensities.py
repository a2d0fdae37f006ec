r"""Logs whose propensities move from round to round, reduced to the sums that weighting needs.

Round i shows a context :math:`s_i`; the arm :math:`a_i` was drawn with the probability :math:`p_i` that the log
states, given the context and all rounds before. Every policy :math:`\pi(a|s)` is then evaluated from six sums over the
rounds of each pair: their number :math:`N` (`counts`), :math:`\sum 1/p` (`inverse`), :math:`\sum r/p` (`weighted`) and
the same with squares, :math:`\sum 1/p^2`, :math:`\sum r/p^2`, :math:`\sum r^2/p^2`. Importance sampling is
:math:`\frac1n\sum_{s,a}\pi(a|s)\sum r/p`, its self-normalised form divides by :math:`\sum_{s,a}\pi(a|s)\sum 1/p`.
Merging logs is adding arrays. What cuts or bends a weight (`clipped`, `log_smoothing`) needs the rounds themselves:
`PropensityData.from_log` keeps them sorted unless it is told not to.
"""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._objects import Stored, spread
from pessimism._types import Floats, Ints
from pessimism.bandits._engine import rounds as engine
from pessimism.bandits._engine.rounds import Rounds
from pessimism.bandits._input import check_sums
from pessimism.bandits.data import BanditData

__all__ = ["PropensityData"]

TABLES = ("counts", "sums", "squares", "inverse", "weighted", "inverse_squares", "weighted_rewards", "weighted_squares")

SMALLEST = 1e-140
"""Smallest propensity that is taken: squares of inverses can be summed."""
"""Additive statistics, in the order of the fields."""


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class PropensityData(Stored):
    r"""Sums over rounds with stated propensities, of one or of many logs. Made by `from_log`.

    Parameters
    ----------
    counts : (..., S, A) array_like of int
        Pulls :math:`N`.
    sums, squares : (..., S, A) array_like of float
        :math:`\sum r` and :math:`\sum r^2`.
    inverse : (..., S, A) array_like of float
        :math:`\sum 1/p`; it has the expectation of N(s) if the propensities are right.
    weighted : (..., S, A) array_like of float
        :math:`\sum r/p`.
    inverse_squares, weighted_rewards, weighted_squares : (..., S, A) array_like of float
        :math:`\sum 1/p^2`, :math:`\sum r/p^2`, :math:`\sum r^2/p^2`.
    smallest : (..., S, A) array_like of float
        Smallest propensity of the pair, in (0, 1]; 1 where it has no rounds.
    reward_range : (float, float)
        Interval known to hold every reward.
    propensities, rewards : (total,) array_like of float, optional
        All rounds, pair by pair in the order of the tables, within a pair by rising propensity.

    Raises
    ------
    ValueError, TypeError
        If shapes differ or a statistic is impossible; the message names the first such entry.

    Examples
    --------
    >>> from pessimism.bandits import PropensityData
    >>> log = PropensityData.from_log(None, [0, 1, 0], [1.0, 0.0, 1.0], [0.5, 0.5, 0.25])
    >>> log.inverse.tolist(), log.weighted.tolist()
    ([[6.0, 2.0]], [[6.0, 0.0]])
    >>> one = [[1.0]]
    >>> PropensityData([[1]], one, one, [[2.0]], [[2.0]], [[4.0]], [[4.0]], [[4.0]], [[0.5]]).stated.tolist()
    [[0.5]]
    """

    counts: Ints
    sums: Floats
    squares: Floats
    inverse: Floats
    weighted: Floats
    inverse_squares: Floats
    weighted_rewards: Floats
    weighted_squares: Floats
    smallest: Floats
    reward_range: tuple[float, float]
    propensities: Floats | None
    rewards: Floats | None

    def __init__(
        self,
        counts: ArrayLike,
        sums: ArrayLike,
        squares: ArrayLike,
        inverse: ArrayLike,
        weighted: ArrayLike,
        inverse_squares: ArrayLike,
        weighted_rewards: ArrayLike,
        weighted_squares: ArrayLike,
        smallest: ArrayLike,
        reward_range: tuple[float, float] = (0.0, 1.0),
        propensities: ArrayLike | None = None,
        rewards: ArrayLike | None = None,
    ) -> None:
        data = BanditData(counts, sums, squares, reward_range)
        given = (inverse, weighted, inverse_squares, weighted_rewards, weighted_squares, smallest)
        names = (*TABLES[3:], "smallest")
        tables = {name: _check.real_array(name, value, min_ndim=2) for name, value in zip(names, given, strict=True)}
        for name, table in tables.items():
            if table.shape != data.counts.shape:
                raise ValueError(f"{name} must have the shape {data.counts.shape} of counts, got {table.shape}")
        least = tables["smallest"]
        _check.require("smallest", least, (least > 0) & (least <= 1), "a probability in (0, 1]")
        _require_invertible("smallest", least)
        for name, of, low in (("inverse", "counts", data.counts), ("inverse_squares", "inverse", tables["inverse"])):
            _check_inverse(name, tables[name], low, low / least, of)
        for name, of in (("weighted", "inverse"), ("weighted_rewards", "inverse_squares")):
            check_sums(name, tables[name], of, tables[of], *data.reward_range)
        kept = _kept_rounds(propensities, rewards, data.counts)
        self._set(data.counts, data.sums, data.squares, *tables.values(), data.reward_range, *kept)

    def _set(self, *values: Any) -> None:
        for name, value in zip(type(self).__slots__, values, strict=True):
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)

    @classmethod
    def _trusted(cls, *values: Any) -> Self:
        self = object.__new__(cls)
        self._set(*values)
        return self

    @classmethod
    def from_log(
        cls,
        contexts: ArrayLike | None,
        arms: ArrayLike,
        rewards: ArrayLike,
        propensities: ArrayLike,
        *,
        n_contexts: int | None = None,
        n_arms: int | None = None,
        reward_range: tuple[float, float] = (0.0, 1.0),
        batch: tuple[int, ...] | None = None,
        keep_rounds: bool = True,
    ) -> Self:
        """Add up raw rounds.

        Parameters
        ----------
        contexts : (..., n) array_like of int or None
            Context of every round, from 0; None if there is one context.
        arms : (..., n) array_like of int
            Arm of every round, from 0.
        rewards : (..., n) array_like of float
            Reward of every round, in `reward_range`.
        propensities : (..., n) array_like of float
            Probability, in (0, 1], with which the log's policy chose that arm in that round, given its context.
        n_contexts, n_arms : int, optional
            S and A. Default: one more than the largest label, which may miss arms that were never pulled.
        reward_range : (float, float)
            Interval known to hold every reward.
        batch : tuple of int, optional
            The leading axes. Needed only for logs of one round each.
        keep_rounds : bool
            Keep propensities and rewards of all rounds, 16 bytes a round, for estimators that cut or bend weights.

        Returns
        -------
        PropensityData
            Sums of one log, or of each log of the batch.

        Notes
        -----
        Cost O(n log n), for the sorting.

        Examples
        --------
        >>> from pessimism.bandits import PropensityData
        >>> PropensityData.from_log([0, 1], [1, 0], [0.0, 1.0], [0.5, 1.0]).counts.tolist()
        [[0, 1], [1, 0]]
        """
        keep = _check.flag("keep_rounds", keep_rounds)
        chance = _check.numeric("propensities", propensities)
        if chance.size and chance.min() < 0:
            raise ValueError(f"propensities must be in (0, 1], got {chance.min().item()!r}: are they logarithms?")
        chance = _check.real_array("propensities", chance, min_ndim=1)
        _check.require("propensities", chance, (chance > 0) & (chance <= 1), "in (0, 1]")
        _require_invertible("propensities", chance)
        data = BanditData.from_log(
            contexts, arms, rewards, n_contexts=n_contexts, n_arms=n_arms, reward_range=reward_range, batch=batch
        )
        reward = _check.real_array("rewards", rewards)
        if chance.shape != reward.shape:
            raise ValueError(f"propensities must have the shape {reward.shape} of rewards, got {chance.shape}")
        logs = np.arange(math.prod(data.shape)).reshape(*data.shape, 1)
        place = np.zeros(reward.shape, np.int64) if contexts is None else np.asarray(contexts).astype(np.int64)
        pair = ((logs * data.n_contexts + place) * data.n_arms + np.asarray(arms).astype(np.int64)).ravel()
        return cls._of_rounds(data, engine.sort_rounds(pair, chance.ravel(), reward.ravel(), data.counts.size), keep)

    @classmethod
    def _of_rounds(cls, data: BanditData, rounds: Rounds, keep: bool) -> Self:
        sums, squares, *tables = (table.reshape(data.counts.shape) for table in engine.moments(rounds))
        kept = (rounds.propensities, rounds.rewards) if keep else (None, None)
        return cls._trusted(data.counts, sums, squares, *tables, data.reward_range, *kept)

    @property
    def shape(self) -> tuple[int, ...]:
        """Batch of logs."""
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
        """(...,) int, rounds in each log."""
        return np.asarray(np.einsum("...sa->...", self.counts))

    @property
    def data(self) -> BanditData:
        """Counts, sums and squares alone, for what uses no propensities."""
        return BanditData.trusted(self.counts, self.sums, self.squares, self.reward_range)

    @property
    def stated(self) -> Floats:
        """(..., S, A) float, the law of arms given the context that the log states; NaN where an arm has no rounds."""
        # harmonic: sum 1/p has expectation N(s) for right propensities, moving or not; the arithmetic mean is too large
        out = np.full(self.counts.shape, np.nan)
        return np.asarray(np.divide(self.counts, self.inverse, out=out, where=self.counts > 0))

    def rounds(self, estimator: str) -> Rounds:
        """All rounds, pair by pair and sorted by propensity.

        Parameters
        ----------
        estimator : str
            Who asks, for the message if they were not kept.

        Returns
        -------
        Rounds
            Propensities, rewards, and where the rounds of every pair start.

        Raises
        ------
        ValueError
            If the rounds were not kept.

        Examples
        --------
        >>> from pessimism.bandits import PropensityData
        >>> PropensityData.from_log(None, [0, 0], [1.0, 0.0], [0.5, 0.25]).rounds("mine").propensities.tolist()
        [0.25, 0.5]
        """
        if self.propensities is None or self.rewards is None:
            raise ValueError(f"{estimator} needs the rounds themselves: make the data with keep_rounds=True")
        return Rounds(self.propensities, self.rewards, np.concatenate([[0], np.cumsum(self.counts)]))

    def merge(self, *others: "PropensityData") -> Self:
        """All rounds of several logs as one log.

        Parameters
        ----------
        *others : PropensityData
            Logs of the same batch, contexts, arms and reward range.

        Returns
        -------
        PropensityData
            The sums of all; with the rounds if every log has kept them.

        Examples
        --------
        >>> from pessimism.bandits import PropensityData
        >>> log = PropensityData.from_log(None, [0, 1], [1.0, 0.0], [0.5, 0.5])
        >>> int(log.merge(log).n)
        4
        """
        logs: tuple[PropensityData, ...] = (self, *others)
        for i, log in enumerate(others):
            _check.instance(f"others[{i}]", log, PropensityData)
            if log.counts.shape != self.counts.shape:
                raise ValueError(f"others[{i}] must have counts of shape {self.counts.shape}, got {log.counts.shape}")
            if log.reward_range != self.reward_range:
                raise ValueError(f"others[{i}] must have reward_range {self.reward_range}, got {log.reward_range}")
        if all(log.propensities is not None for log in logs):
            return self._of_rounds(
                self.data.merge(*(log.data for log in others)), engine.join([log.rounds("merge") for log in logs]), True
            )
        tables = [sum(getattr(log, name) for log in logs) for name in TABLES]
        smallest = np.minimum.reduce([log.smallest for log in logs])
        return self._trusted(*tables, smallest, self.reward_range, None, None)

    def _shown(self) -> dict[str, Any]:
        empty = not self.counts.size
        return {
            "batch": self.shape,
            "contexts": self.n_contexts,
            "arms": self.n_arms,
            "n": "0" if empty else spread(self.n),
            "smallest propensity": 1.0 if empty else float(self.smallest.min()),
            "reward_range": self.reward_range,
            "rounds": "dropped" if self.propensities is None else "kept",
        }


def _require_invertible(name: str, chance: Floats) -> None:
    good = chance >= SMALLEST
    _check.require(name, chance, good, f"at least {SMALLEST:g}: squares of inverses of smaller ones may overflow")


def _check_inverse(name: str, table: Floats, low: Floats | Ints, high: Floats, of: str) -> None:
    slack = 1e-9
    good = (table >= low * (1 - slack)) & (table <= high * (1 + slack))
    _check.require(name, table, good, f"what {of} and propensities in [smallest, 1] can have")


def _kept_rounds(
    propensities: ArrayLike | None, rewards: ArrayLike | None, counts: Ints
) -> tuple[Floats | None, Floats | None]:
    if propensities is None and rewards is None:
        return None, None
    if propensities is None or rewards is None:
        raise ValueError("propensities and rewards must be given together, or neither")
    chance, reward = _check.real_array("propensities", propensities), _check.real_array("rewards", rewards)
    expected = (int(counts.sum()),)
    for name, array in (("propensities", chance), ("rewards", reward)):
        if array.shape != expected:
            raise ValueError(f"{name} must have shape {expected}, one entry for each round, got {array.shape}")
    _check.require("propensities", chance, (chance > 0) & (chance <= 1), "in (0, 1]")
    _require_invertible("propensities", chance)
    return chance, reward
