r"""Logged transitions, reduced to what a learner needs of them.

A log of transitions :math:`(s_i, a_i, r_i, s'_i)` enters every tabular rule through the visits :math:`N(s, a)`
(`counts`), the visits of every successor :math:`N(s, a, s')` (`next_counts`, on the lists `next_states`) and the summed
rewards (`reward_sums`). Logs of any length therefore cost the same, and merging logs is adding arrays.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._objects import Stored, spread
from pessimism._shares import apportion
from pessimism._types import Floats, Ints, Rng
from pessimism.mdp import _feasible, _input, _raw
from pessimism.mdp._engine import splitting
from pessimism.mdp._engine.counting import Rows
from pessimism.mdp._engine.splitting import Statistics
from pessimism.mdp._engine.tables import States

__all__ = ["MDPData", "Transitions"]

REWARD_LAWS = ("bernoulli", "deterministic", "other")

ROUNDING = 1e-9
"""Relative room for the rounding of summed rewards when they are checked against their range."""


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class Transitions(Stored):
    """A raw log: what happened, step by step.

    Parameters
    ----------
    states, actions : (...) array_like of int
        Where each transition began and what was done; of episodes (..., K, H), the last axis being the step.
    rewards : (...) array_like of float
        What was received.
    next_states : (...) array_like of int
        Where each transition led.
    terminated : (...) array_like of bool, optional
        Which transitions ended their episode for good: from there on everything is worth 0. Default: none.
    truncated : (...) array_like of bool, optional
        After which transitions the log merely stops, as at a time limit: nothing is known of what follows. Where both
        are set the episode has terminated. Default: none.

    Raises
    ------
    ValueError, TypeError
        If a label is not a whole number at least 0, a reward is not finite, a mark is no bool or the shapes differ.

    Examples
    --------
    >>> Transitions([0, 1], [0, 0], [1.0, 0.0], [1, 1]).states.tolist()
    [0, 1]
    """

    states: Ints
    actions: Ints
    rewards: Floats
    next_states: Ints
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]

    def __init__(
        self,
        states: ArrayLike,
        actions: ArrayLike,
        rewards: ArrayLike,
        next_states: ArrayLike,
        terminated: ArrayLike | None = None,
        truncated: ArrayLike | None = None,
    ) -> None:
        received = _check.real_array("rewards", rewards, min_ndim=1)
        labels = {"states": states, "actions": actions, "next_states": next_states}
        for name, value in labels.items():
            clean = _check.whole_array(name, value, min_ndim=1, high=2**31 - 1)
            if clean.shape != received.shape:
                raise ValueError(f"{name} must have the shape {received.shape} of rewards, got {clean.shape}")
            object.__setattr__(self, name, clean)
        object.__setattr__(self, "rewards", received)
        for name, marks in (("terminated", terminated), ("truncated", truncated)):
            object.__setattr__(self, name, _raw.marked(name, marks, received.shape))


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class MDPData(Stored):
    """Visits, successors and reward sums of every pair (and step), of one or of many data sets.

    Parameters
    ----------
    counts : (..., [H,] S, A) array_like of int
        Visits, at least 0; at most 2^53 in all.
    next_states : ([1 or H,] S, A, B) array_like of int
        Lists of possible successors, shared by the batch. Four axes say that the data are of H steps.
    next_counts : (..., [H,] S, A, B) array_like of int
        Visits that went on to each successor; they add up to `counts`.
    reward_sums : (..., [H,] S, A) or (..., [H,] S, A, B) array_like of float
        Summed rewards of a pair, or of a pair and its successor; the latter if the last axes fit.
    reward_range : (float, float)
        Interval known to hold every reward, in reward units. Finite.
    reward_law : str
        "bernoulli": every reward is 0 or 1. "deterministic": the rewards of one entry of `reward_sums` are all equal.
        "other": neither is known, and the data cannot be divided (`folds`, `subsample`, ...).
    terminal : (S,) array_like of bool, optional
        States in which an episode ends. They are worth 0, have no visits and no width, and are not counted among the
        pairs; visits given for them must stay and earn 0, and are dropped. Default: none.
    feasible : (S, A) array_like of bool, optional
        Actions that exist in a state, at least one in every state. Visits of other pairs are refused; no rule chooses
        them, and they are not counted among the pairs. Rows of terminal states are not read. Default: all actions.

    Raises
    ------
    ValueError, TypeError
        If an entry is impossible: a fractional count, successors that do not add up, sums outside counts x range, a
        visit of an infeasible pair. The message names the first such entry.

    Examples
    --------
    >>> data = MDPData([[3]], [[[0]]], [[[3]]], [[2.0]])
    >>> data.mean_rewards.round(3).tolist()
    [[0.667]]
    """

    counts: Ints
    next_states: States
    next_counts: Ints
    reward_sums: Floats
    reward_range: tuple[float, float]
    reward_law: str
    terminal: NDArray[np.bool_]
    feasible: NDArray[np.bool_]
    # The hook behind `model`: `MDP.from_data`, set by model.py. That file imports this one (models draw data), so this
    # one cannot import `MDP`, and cannot name it as a type either.
    _model: ClassVar[Any]

    def __init__(
        self,
        counts: ArrayLike,
        next_states: ArrayLike,
        next_counts: ArrayLike,
        reward_sums: ArrayLike,
        reward_range: tuple[float, float] = (0.0, 1.0),
        reward_law: str = "bernoulli",
        terminal: ArrayLike | None = None,
        feasible: ArrayLike | None = None,
    ) -> None:
        visits = _check.whole_array("counts", counts)
        successors = _input.lists(next_states, (3, 4)).astype(np.int32)
        pairs, core = successors.shape[:-1], visits.shape[1 - successors.ndim :]
        if len(core) != len(pairs) or core[-2:] != pairs[-2:] or pairs[:-2] not in ((), (1,), core[:-2]):
            raise ValueError(f"counts must end in shape {pairs} to go with next_states, got {visits.shape}")
        # in float64 first: int64 sums could wrap around
        about = visits.sum(axis=(-2, -1), dtype=np.float64)
        if np.any(about > 2.0 * _check.MAX_TOTAL) or np.any(visits.sum(axis=(-2, -1)) > _check.MAX_TOTAL):
            raise ValueError("counts must total at most 2**53 transitions a data set: beyond it sums are not exact")
        moved = _check.whole_array("next_counts", next_counts)
        if moved.shape != (*visits.shape, successors.shape[-1]):
            shape = (*visits.shape, successors.shape[-1])
            raise ValueError(
                f"next_counts must have shape {shape} to go with counts and next_states, got {moved.shape}"
            )
        _check.require("next_counts.sum(axis=-1)", moved.sum(axis=-1), moved.sum(axis=-1) == visits, "equal to counts")
        low, high = _check.interval("reward_range", reward_range)
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError(f"reward_range must be finite, got {_check.shown(reward_range)}")
        law = _check.choice("reward_law", reward_law, REWARD_LAWS)
        sums = _check.real_array("reward_sums", reward_sums)
        if sums.shape not in (visits.shape, moved.shape):
            raise ValueError(f"reward_sums must have shape {visits.shape} or {moved.shape}, got {sums.shape}")
        ends = _input.terminal(terminal, visits.shape[-2])
        if ends.any():
            visits, successors, moved, sums = _raw.ended(visits, successors, moved, sums, ends)
        mask = _feasible.feasible(feasible, visits.shape[-2:], ends)
        _feasible.require_none("counts", visits, mask)
        per_entry = moved if sums.shape == moved.shape else visits
        slack = ROUNDING * per_entry * max(abs(low), abs(high))
        good = (sums >= per_entry * low - slack) & (sums <= per_entry * high + slack)
        _check.require("reward_sums", sums, good, f"within counts x reward_range = counts x [{low:g}, {high:g}]")
        if law == "bernoulli":
            coins = (sums == np.floor(sums)) & (sums >= 0) & (sums <= per_entry)
            expected = "whole and at most the visits: rewards are 0 or 1 unless reward_law says otherwise"
            _check.require("reward_sums", sums, coins, expected)
        self._set(visits, successors, moved, sums, (low, high), law, ends, mask)

    def _set(self, *values: Any) -> None:
        for name, value in zip(self.__slots__, values, strict=True):
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)

    @classmethod
    def trusted(
        cls,
        counts: Ints,
        next_states: States,
        next_counts: Ints,
        reward_sums: Floats,
        reward_range: tuple[float, float],
        reward_law: str,
        terminal: NDArray[np.bool_] | None = None,
        feasible: NDArray[np.bool_] | None = None,
    ) -> Self:
        """Data from arrays that are right by construction: no copy, no check. For samplers.

        Parameters
        ----------
        counts, next_states, next_counts, reward_sums, reward_range, reward_law, terminal, feasible : fields
            The arrays of the dtypes int64, int32, int64 and float64, and bool; terminal states have no visits, lead to
            themselves and count as feasible.

        Returns
        -------
        MDPData
            Holding the arrays themselves, now read-only.

        Examples
        --------
        >>> data = MDPData([[3]], [[[0]]], [[[3]]], [[2.0]])
        >>> fields = [getattr(data, name) for name in data.__slots__]
        >>> int(MDPData.trusted(*fields).n)
        3
        """
        self = object.__new__(cls)
        ends = np.zeros(counts.shape[-2], np.bool_) if terminal is None else terminal
        mask = np.ones(counts.shape[-2:], np.bool_) if feasible is None else feasible
        self._set(counts, next_states, next_counts, reward_sums, reward_range, reward_law, ends, mask)
        return self

    @classmethod
    def from_transitions(
        cls,
        log: Transitions,
        *,
        n_states: int | None = None,
        n_actions: int | None = None,
        per_step: bool = False,
        reward_range: tuple[float, float] | None = None,
        terminated: ArrayLike | None = None,
        truncated: ArrayLike | None = None,
        batch: tuple[int, ...] | None = None,
        feasible: ArrayLike | None = None,
    ) -> Self:
        """Add up a raw log.

        Parameters
        ----------
        log : Transitions
            Of shape (..., n), or of episodes (..., K, H) if `per_step`.
        n_states, n_actions : int, optional
            S and A. Default: those of `feasible`, else one more than the largest label. Pass them: a label that was
            never seen is missed.
        per_step : bool
            Keep the last axis as the step axis of finite-horizon data; the axis before it is added up. Otherwise the
            last axis is added up and the axes before it are separate logs.
        reward_range : (float, float), optional
            Interval known to hold every reward. Default: (0, 1) if it holds those of the log, else the smallest and
            the largest of the log, or (r, r + 1) if all of its rewards are r (beyond 1e9 in size a billionth more): a
            range of one point would say that there is nothing to learn about them.
        terminated, truncated : array_like of bool, optional
            In place of those of the log.
        batch : tuple of int, optional
            The axes in front of n. Needed only for logs of one transition each, unless they are kept per step: arrays
            (n, 1) usually are columns of one log.
        feasible : (S, A) array_like of bool, optional
            As for the class. A state that is added for the ends of episodes needs no row.

        Returns
        -------
        MDPData
            With sums per successor; its `reward_law` is what the log shows. Lists hold the successors seen anywhere in
            the batch. States in which an episode terminated are `terminal`.

        Raises
        ------
        ValueError, TypeError
            If a label or a reward is out of its range, an action was infeasible, or `n_states` leaves no room for a
            state of its own where terminated transitions need one.

        Warns
        -----
        UserWarning
            If states are entered and never left, in any log of the batch, by transitions that are not marked.

        Notes
        -----
        *Ends.* The next state of a terminated transition is terminal: worth 0, without visits. Rows that stay there and
        earn 0 pad an episode that has ended and are not counted. If such a state is also left, or entered without an
        end, terminated transitions lead to a state of their own instead, the last (of label `n_states` - 1, or one
        more than the largest). A truncated episode ends in no terminal state: a state that is never left otherwise is
        worth the low end of the range of values, like all that was never seen.

        Cost O(n log n), once. A default range read off the log is known only after the fact, and bounds hold for a
        range fixed beforehand: pass it if you know it.

        Examples
        --------
        >>> log = Transitions([0, 1, 0], [0, 0, 0], [1.0, 0.0, 1.0], [1, 1, 0])
        >>> MDPData.from_transitions(log).counts.tolist()
        [[2], [1]]
        """
        _check.instance("log", log, Transitions)
        keep_steps = _check.flag("per_step", per_step)
        shape = log.rewards.shape
        if keep_steps and log.rewards.ndim < 2:
            raise ValueError(f"log must have shape (..., episodes, steps) with per_step, got {shape}")
        ended = log.terminated if terminated is None else _raw.marked("terminated", terminated, shape)
        cut = log.truncated if truncated is None else _raw.marked("truncated", truncated, shape)
        if not keep_steps:
            _check.log_axes("log.rewards", shape, batch)
        leading, sizes = shape[: -2 if keep_steps else -1], _raw.sizes_of({"": log}, n_states, n_actions, feasible)
        place = np.arange(math.prod(leading)).reshape(*leading, *[1] * (len(shape) - len(leading)))
        rows = _raw.in_a_row(log, np.broadcast_to(place, shape))
        steps, marks = shape[-1] if keep_steps else None, (ended.ravel(), cut.ravel())
        told = steps, reward_range, feasible
        return cls.trusted(*_raw.added_up(rows, marks, (leading, shape), sizes, n_states is None, *told))

    @classmethod
    def from_episodes(
        cls,
        episodes: Iterable[Transitions],
        *,
        n_states: int | None = None,
        n_actions: int | None = None,
        reward_range: tuple[float, float] | None = None,
        horizon: int | None = None,
        feasible: ArrayLike | None = None,
    ) -> Self:
        """Add up episodes, which may differ in length.

        Parameters
        ----------
        episodes : iterable of Transitions
            Each of shape (T,), its steps in order; only its last step may have terminated. One that has not was
            truncated, if the end of any episode is marked.
        n_states, n_actions, reward_range : optional
            As for `from_transitions`.
        horizon : int, optional
            H, to keep the step axis; no episode may be longer. Default: the steps are added up.
        feasible : (S, A) array_like of bool, optional
            As for `from_transitions`.

        Returns
        -------
        MDPData
            A single data set. What follows an episode shorter than H is worth 0 if it terminated; otherwise nothing is
            known of it.

        Raises
        ------
        ValueError, TypeError
            If a step does not begin where the step before it led, an episode goes on after it terminated or is longer
            than H, or as for `from_transitions`. The message names the episode.

        Warns
        -----
        UserWarning
            As for `from_transitions`.

        Examples
        --------
        Two steps to the goal, state 2; and a walk that was cut short.

        >>> there = Transitions([0, 1], [0, 0], [-1.0, -1.0], [1, 2], terminated=[False, True])
        >>> cut = Transitions([0], [1], [-1.0], [0])
        >>> data = MDPData.from_episodes([there, cut], horizon=5)
        >>> data.counts.shape, data.terminal.tolist()
        ((5, 3, 2), [False, False, True])
        """
        logs = _check.listed("episodes", episodes, "Transitions")
        for k, log in enumerate(logs):
            _check.instance(f"episodes[{k}]", log, Transitions)
            _raw.require_episode(f"episodes[{k}]", log)
        if not logs:
            raise ValueError("episodes must hold at least one episode, got none")
        lengths = np.array([log.rewards.size for log in logs])
        steps = None if horizon is None else _check.count("horizon", horizon)
        _check.require("lengths of episodes", lengths, lengths <= (steps or np.inf), f"at most horizon = {steps}")
        sizes = _raw.sizes_of({f"episodes[{k}].": log for k, log in enumerate(logs)}, n_states, n_actions, feasible)
        parts = zip(*(_raw.in_a_row(log, np.zeros(log.rewards.shape, np.int64)) for log in logs), strict=True)
        rows = Rows._make(map(np.concatenate, parts))
        ended, cut = (np.concatenate([getattr(log, name) for log in logs]) for name in ("terminated", "truncated"))
        if ended.any() or cut.any():
            cut[np.cumsum(lengths) - 1] = True
        told = steps, reward_range, feasible
        return cls.trusted(*_raw.added_up(rows, (ended, cut), ((), ended.shape), sizes, n_states is None, *told))

    @property
    def statistics(self) -> Statistics:
        """The arrays and labels of the data as a named tuple: what loops over data sets read."""
        return Statistics(*(getattr(self, name) for name in Statistics._fields))

    @property
    def horizon(self) -> int | None:
        """H if the data have a step axis, else None."""
        return int(self.counts.shape[-3]) if self.next_states.ndim == 4 else None

    def _shown(self) -> dict[str, Any]:
        cells = self.counts.size // max(1, math.prod(self.shape))
        seen = spread((self.counts > 0).reshape(*self.shape, cells).sum(axis=-1)) if self.counts.size else "0"
        pairs = cells if self.feasible.all() else cells // self.feasible.size * np.count_nonzero(self.feasible)
        steps = {"horizon": self.horizon} if self.horizon is not None else {}
        return {
            "batch": self.shape,
            **steps,
            "states": self.n_states,
            "actions": self.n_actions,
            "n": spread(self.n) if self.counts.size else "0",
            "pairs seen": f"{seen} of {pairs}",
            "reward_range": self.reward_range,
        }

    @property
    def shape(self) -> tuple[int, ...]:
        """Batch of data sets."""
        return self.counts.shape[: 1 - self.next_states.ndim]

    @property
    def n_states(self) -> int:
        """S, the number of states."""
        return int(self.counts.shape[-2])

    @property
    def n_actions(self) -> int:
        """A, the number of actions."""
        return int(self.counts.shape[-1])

    @property
    def n(self) -> Ints:
        """(...,) int, transitions in each data set, all steps together."""
        return np.asarray(self.counts.sum(axis=tuple(range(1 - self.next_states.ndim, 0))))

    @property
    def per_successor(self) -> bool:
        """Whether `reward_sums` are kept per successor."""
        return self.reward_sums.shape == self.next_counts.shape

    @property
    def pair_sums(self) -> Floats:
        """(..., [H,] S, A) float, summed rewards of every pair."""
        return np.asarray(self.reward_sums.sum(axis=-1)) if self.per_successor else self.reward_sums

    @property
    def mean_rewards(self) -> Floats:
        """(..., [H,] S, A) float, mean rewards; the low end of the range where never seen, 0 in terminal states."""
        # 0 is the worst a state can be worth if others earn more and end
        low = min(self.reward_range[0], 0.0) if self.terminal.any() else self.reward_range[0]
        unseen = np.where(self.terminal, 0.0, low)[:, None]
        return np.where(self.counts > 0, self.pair_sums / np.maximum(self.counts, 1), unseen)

    @property
    def transition_shares(self) -> Floats:
        """(..., [H,] S, A, B) float, shares of the successors; uniform on the list where a pair was never seen."""
        shares = self.next_counts / np.maximum(self.counts, 1)[..., None]
        unseen = self.counts == 0
        if unseen.any():
            shares[unseen] = 1.0 / self.next_states.shape[-1]
        return np.asarray(shares)

    def __getitem__(self, index: "int | slice | NDArray[np.integer | np.bool_] | tuple[int | slice, ...]") -> Self:
        """Data sets picked from the batch."""
        if not self.shape:
            raise IndexError("this is a single data set: it has no batch axis to index")
        place = np.arange(math.prod(self.shape)).reshape(self.shape)
        chosen = place[index]

        def pick(array: Any) -> Any:  # numpydoc ignore=GL08
            return array.reshape(place.size, *array.shape[len(self.shape) :])[chosen]

        counts, next_counts, sums = pick(self.counts), pick(self.next_counts), pick(self.reward_sums)
        told = self.reward_range, self.reward_law, self.terminal, self.feasible
        return self.trusted(counts, self.next_states, next_counts, sums, *told)

    def model(self, discount: float | None = None, *, start: ArrayLike | None = None) -> Any:
        r"""Empirical model :math:`(\hat P, \hat r)`: `MDP.from_data` as a method, which type checkers see as Any.

        Parameters
        ----------
        discount, start : optional
            As for `MDP`; the horizon is that of the data.

        Returns
        -------
        MDP
            Of the batch of the data.

        Examples
        --------
        >>> MDPData([[4]], [[[0]]], [[[4]]], [[2.0]]).model(0.5).value([0]).item()
        1.0
        """
        return self._model(self, discount, start=start)

    def merge(self, *others: "MDPData") -> Self:
        """All transitions of several logs as one log.

        Parameters
        ----------
        *others : MDPData
            Logs over the same states, feasible actions and steps, with the same reward range; batches broadcast.

        Returns
        -------
        MDPData
            On lists that hold the successors of all logs. A state is terminal if it is in one of them.

        Raises
        ------
        ValueError
            If sizes, masks or reward ranges differ, or a state that is terminal in one log was left in another.

        Examples
        --------
        >>> data = MDPData([[3]], [[[0]]], [[[3]]], [[2.0]])
        >>> data.merge(data).counts.tolist()
        [[6]]
        """
        return type(self)(*splitting.merged([log.statistics for log in _alike(self, others)]))

    def mix(self, *others: "MDPData", shares: Sequence[float], n: int, rng: Rng = None) -> Self:
        r"""A log of n transitions whose composition is chosen: a share from each log, without replacement.

        Parameters
        ----------
        *others : MDPData
            Logs over the same states and actions, with the same reward range.
        shares : sequence of float
            Share of each log, this one first; non-negative, total one.
        n : int
            Transitions of the result.
        rng : Generator, SeedSequence or int, optional
            Source of randomness (SPEC 7); spent on this log first, then on the others in order.

        Returns
        -------
        MDPData
            Log i gives n times its share, rounded to a total of n by largest remainders.

        Raises
        ------
        ValueError
            If the shares are not a law over the logs, or `subsample` cannot draw from one of them.

        Examples
        --------
        >>> a, b = (MDPData([[9]], [[[0]]], [[[9]]], [[x]]) for x in (9.0, 0.0))
        >>> a.mix(b, shares=(0.25, 0.75), n=8, rng=0).reward_sums.tolist()
        [[2.0]]
        """
        share = _check.law("shares", shares, axes=1)
        if share.shape != (1 + len(others),):
            raise ValueError(f"shares must hold one number for each of {1 + len(others)} logs, got shape {share.shape}")
        parts, generator = apportion(share, _check.whole("n", n)), _check.generator(rng)
        drawn = [log.subsample(int(k), generator) for log, k in zip(_logs(self, others), parts, strict=True)]
        return self.trusted(*splitting.merged([log.statistics for log in _alike(drawn[0], tuple(drawn[1:]))]))

    def subsample(self, n: int, rng: Rng = None) -> Self:
        """Draw transitions without replacement, in law, from the statistics alone.

        Parameters
        ----------
        n : int
            Transitions to keep, at most those of the smallest data set in the batch.
        rng : Generator, SeedSequence or int, optional
            Source of randomness (SPEC 7).

        Returns
        -------
        MDPData
            Of n transitions each.

        Raises
        ------
        ValueError
            If n is more than there are, the data have a step axis (see `split_episodes`), or the rewards are neither
            known to be 0 or 1 nor constant.

        Notes
        -----
        One hypergeometric draw for every successor of every pair; the rewards kept are hypergeometric given those.

        Examples
        --------
        >>> data = MDPData([[9]], [[[0]]], [[[9]]], [[9.0]])
        >>> data.subsample(4, rng=0).reward_sums.tolist()
        [[4.0]]
        """
        kept = _check.whole("n", n)
        _input.require_divisible(self.statistics)
        if self.counts.size and kept > self.n.min():
            raise ValueError(f"n must be at most the {self.n.min()} transitions of the log, got {kept}")
        return self.trusted(*splitting.subsample(self.statistics, kept, _check.generator(rng)))

    def folds(self, k: int, rng: Rng = None) -> Self:
        """Divide the data at random into k folds.

        Parameters
        ----------
        k : int
            Folds, at least 1.
        rng : Generator, SeedSequence or int, optional
            Source of randomness (SPEC 7).

        Returns
        -------
        MDPData
            With a first axis of length k. Every transition goes to one of the folds with equal probability,
            independently: the sizes are random, and folds of independent transitions are independent given them.

        Raises
        ------
        ValueError
            As for `subsample`, if rewards cannot be divided or the data have a step axis.

        Examples
        --------
        >>> data = MDPData([[9]], [[[0]]], [[[9]]], [[9.0]])
        >>> data.folds(3, rng=0).counts.sum(axis=0).tolist()
        [[9]]
        """
        count = _check.count("k", k)
        _input.require_divisible(self.statistics)
        return self.trusted(*splitting.folds(self.statistics, count, _check.generator(rng)))

    def split_episodes(self, rng: Rng = None) -> tuple[Self, Self]:
        """Divide logged episodes at random into two halves.

        Parameters
        ----------
        rng : Generator, SeedSequence or int, optional
            Source of randomness (SPEC 7).

        Returns
        -------
        main : MDPData
            Half of the episodes, the smaller half of an odd number.
        auxiliary : MDPData
            The others; both add up to the data.

        Raises
        ------
        ValueError
            If the data have no step axis, are not of episodes (what arrives at a state is not what leaves it), or their
            rewards cannot be divided.

        Notes
        -----
        Given the counts of a Markov chain, any matching of arrivals and departures is as likely as any other: the
        first states of one half are a multivariate hypergeometric draw, and at every later step so is what leaves each
        state, given how many of that half arrived. This is exact in law and costs O(HSAB), not O(K).

        Examples
        --------
        >>> from pessimism.mdp import MDP
        >>> mdp = MDP.dense([[[0.0, 1.0]], [[1.0, 0.0]]], [[1.0], [0.0]], [1, 0], horizon=3)
        >>> main, auxiliary = mdp.sample_episodes([0, 0], n=7, rng=0).split_episodes(rng=1)
        >>> main.counts[..., 0].tolist()
        [[3, 0], [0, 3], [3, 0]]
        """
        _require_episodes(self)
        main, auxiliary = splitting.episodes(self.statistics, _check.generator(rng))
        return self.trusted(*main), self.trusted(*auxiliary)


def _logs(first: MDPData, others: tuple[MDPData, ...]) -> list[MDPData]:
    for i, log in enumerate(others):
        _check.instance(f"others[{i}]", log, MDPData)
    return [first, *others]


def _alike(first: MDPData, others: tuple[MDPData, ...]) -> list[MDPData]:
    """The logs, if they can be joined."""
    logs = _logs(first, others)
    for i, log in enumerate(others):
        if (log.n_states, log.n_actions, log.horizon) != (first.n_states, first.n_actions, first.horizon):
            raise ValueError(f"others[{i}] must have the states, actions and steps of the first log")
        if log.reward_range != first.reward_range:
            raise ValueError(f"others[{i}] must have reward_range {first.reward_range}, got {log.reward_range}")
    _check.broadcast("the batches of the logs", *(log.shape for log in logs))
    ends = np.logical_or.reduce([log.terminal for log in logs])
    for i, log in enumerate(others):
        apart = np.argwhere((log.feasible != first.feasible) & ~ends[:, None])
        if apart.size:
            raise ValueError(f"others[{i}] must have the feasible actions of the first log, in state {apart[0][0]} too")
    for i, log in enumerate(logs):
        left = np.flatnonzero(ends & log.counts.any(axis=(*range(log.counts.ndim - 2), -1)))
        if left.size:
            name = f"others[{i - 1}]" if i else "this log"
            raise ValueError(f"{name} must not leave state {left[0]}, which is terminal in another log")
    return logs


def _require_episodes(data: MDPData) -> None:
    _input.require_divisible(data.statistics, steps=True)
    leaving = data.counts.sum(axis=-1)
    for h in range(1, leaving.shape[-2]):
        lists = data.next_states[(h - 1) % len(data.next_states)]
        arrived = splitting.arrivals(lists, data.next_counts[..., h - 1, :, :, :])
        if not np.array_equal(np.where(data.terminal, 0, arrived), leaving[..., h, :]):
            raise ValueError(f"data must be of episodes: what arrives at step {h} is not what leaves there")
