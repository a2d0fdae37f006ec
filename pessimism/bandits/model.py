r"""The model: contexts, arms, rewards.

A context :math:`s` is drawn from the law :math:`\rho` (`contexts`), the learner plays an arm :math:`a` and receives a
reward with mean :math:`r(s, a)` (`means`). The value of a policy :math:`\pi` is
:math:`J(\pi) = \sum_s \rho(s) r(s, \pi(s))` (`value`) and its loss :math:`J(\pi^*) - J(\pi)` (`suboptimality`). Both
are finite sums, so the loss of a known policy is exact. A multi-armed bandit is the case of one context.

Data are logged under a joint law :math:`\mu(s, a)` (a *behavior*), whose marginal over contexts need not be
:math:`\rho`. The single-policy concentrability :math:`C^* = \max_{s,a} d^\pi(s,a)/\mu(s,a)`, with
:math:`d^\pi(s,a) = \rho(s)\pi(a|s)` (`occupancy`), says how well it covers a policy (`coverage`).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check, _draw
from pessimism._objects import Stored
from pessimism._types import Floats, Ints, Rng
from pessimism.bandits._engine import sampling
from pessimism.bandits._engine.rewards import DETERMINISTIC, GAUSSIAN, Rewards
from pessimism.bandits._input import check_arm_law, check_contexts, check_policy
from pessimism.bandits.data import BanditData

__all__ = ["KINDS", "Bandit"]

KINDS = ("bernoulli", "gaussian", "deterministic")
"""Names of the distributions of rewards."""

SMALLEST, LARGEST = 1e-60, 1e60
"""Limits of scales, and of means in size: 2^53 squared rewards add up without overflow, and no squared scale is 0."""


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class Bandit(Stored):
    r"""Contexts and arms with known mean rewards, in which values and losses are exact.

    Parameters
    ----------
    means : (..., S, A) array_like of float
        Mean reward :math:`r(s, a)`. In [0, 1] for Bernoulli and deterministic rewards, finite for Gaussian ones.
    contexts : (..., S) array_like of float, optional
        Law :math:`\rho` of the contexts in which the policy is judged. Default: uniform.
    rewards : str or (S, A) array_like of str
        "bernoulli", "gaussian" or "deterministic", one for all or one per (context, arm), up to broadcasting.
    scale : float or array_like of float
        Standard deviation of the Gaussian rewards, positive; broadcast against `means`.

    Raises
    ------
    ValueError, TypeError
        Here and in all methods: if an argument is not what is described; the message names the first bad entry.

    Notes
    -----
    Leading axes are a batch of models; every method broadcasts over them.

    Examples
    --------
    >>> bandit = Bandit(means=[[0.6, 0.5]])
    >>> round(float(bandit.suboptimality([1])), 12)
    0.1
    """

    means: Floats
    contexts: Floats
    rewards: NDArray[np.str_]
    scale: Floats

    def __init__(
        self,
        means: ArrayLike,
        contexts: ArrayLike | None = None,
        rewards: str | ArrayLike = "bernoulli",
        scale: ArrayLike = 0.5,
    ) -> None:
        mean = _check.real_array("means", means, min_ndim=2, low=-LARGEST, high=LARGEST)
        n_contexts, n_arms = mean.shape[-2:]
        if 0 in (n_contexts, n_arms):
            raise ValueError(f"means must have at least one context and one arm, got shape {mean.shape}")
        if contexts is None:
            contexts = np.full(n_contexts, 1.0 / n_contexts)
        rho = check_contexts(contexts, n_contexts, "means")
        _check.broadcast("means and contexts", mean.shape[:-2], rho.shape[:-1])
        kinds = _kinds(rewards, n_contexts, n_arms)
        bounded = np.broadcast_to(kinds != "gaussian", mean.shape)
        _check.require("means", mean, ~bounded | ((mean >= 0) & (mean <= 1)), "in [0, 1] unless Gaussian")
        deviation = _check.real_array("scale", scale, low=SMALLEST, high=LARGEST)
        if _check.broadcast("means and scale", mean.shape, deviation.shape) != mean.shape:
            raise ValueError(f"scale must broadcast to the shape {mean.shape} of means, got {deviation.shape}")
        for name, value in (("means", mean), ("contexts", rho), ("rewards", kinds), ("scale", deviation)):
            object.__setattr__(self, name, value)

    @property
    def shape(self) -> tuple[int, ...]:
        """Batch of models."""
        return np.broadcast_shapes(self.means.shape[:-2], self.contexts.shape[:-1])

    @property
    def n_contexts(self) -> int:
        """S, the number of contexts."""
        return int(self.means.shape[-2])

    @property
    def n_arms(self) -> int:
        """A, the number of arms."""
        return int(self.means.shape[-1])

    @property
    def gaps(self) -> Floats:
        """(..., S, A) float, mean reward of the best arm of the context minus that of the arm."""
        return np.asarray(self.means.max(axis=-1, keepdims=True) - self.means)

    @property
    def best_policy(self) -> NDArray[np.intp]:
        """(..., S) int, the best arm of every context; ties are broken by the lowest index."""
        return np.asarray(self.means.argmax(axis=-1))

    @property
    def reward_range(self) -> tuple[float, float]:
        """Smallest interval known to hold every reward: (0, 1), or the whole line if any arm is Gaussian."""
        return (-math.inf, math.inf) if np.any(self.rewards == "gaussian") else (0.0, 1.0)

    @property
    def variances(self) -> Floats:
        """(..., S, A) float, variance of the rewards: r(1 - r), the squared scale, or 0."""
        kinds = [self.rewards == "bernoulli", self.rewards == "gaussian"]
        squares = [self.means * (1.0 - self.means), np.broadcast_to(self.scale**2, self.means.shape)]
        return np.asarray(np.select(kinds, squares, 0.0))

    def value(self, policy: ArrayLike) -> Floats:
        r"""Mean reward :math:`J(\pi)` of a policy.

        Parameters
        ----------
        policy : (..., S) array_like of int or (..., S, A) array_like of float
            An arm per context, or a law over arms per context.

        Returns
        -------
        (...,) float
            In reward units; batch axes of policy and model broadcast.

        Examples
        --------
        >>> float(Bandit([[0.6, 0.5]]).value([[0.5, 0.5]]))
        0.55
        """
        return _expectation(self.means, self.contexts, policy)

    def suboptimality(self, policy: ArrayLike) -> Floats:
        r"""Loss :math:`J(\pi^*) - J(\pi)` of a policy, summed from the gaps, so that small losses are not rounded away.

        Parameters
        ----------
        policy : (..., S) array_like of int or (..., S, A) array_like of float
            An arm per context, or a law over arms per context.

        Returns
        -------
        (...,) float
            Non-negative, in reward units.

        Examples
        --------
        >>> float(Bandit([[0.75, 0.5]]).suboptimality([[0.5, 0.5]]))
        0.125
        """
        return _expectation(self.gaps, self.contexts, policy)

    def coverage(self, behavior: ArrayLike, policy: ArrayLike | None = None) -> Floats:
        r"""Single-policy concentrability :math:`C^* = \max_{s,a} d^\pi(s,a) / \mu(s,a)`, with 0/0 = 0 and x/0 = inf.

        Parameters
        ----------
        behavior : (..., S, A) array_like of float
            Joint law :math:`\mu` of the logged (context, arm) pairs.
        policy : (..., S) array_like of int or (..., S, A) array_like of float, optional
            The policy to be covered. Default: `best_policy`. If there are several optimal policies, their
            :math:`C^*` may differ: pass the one you mean.

        Returns
        -------
        (...,) float
            At least 1; infinite where the policy uses a pair that is never logged.

        Notes
        -----
        Rashidinejad et al. (2021), arXiv:2103.12021.

        Examples
        --------
        >>> float(Bandit([[0.6, 0.5]]).coverage([[0.25, 0.75]]))
        4.0
        """
        mu = self.check_behavior(behavior)
        target = self.occupancy(self.best_policy if policy is None else policy)
        batch = _check.broadcast("behavior, policy and model", mu.shape[:-2], target.shape[:-2], self.shape)
        target, mu = (np.broadcast_to(x, batch + x.shape[-2:]) for x in (target, mu))
        with np.errstate(over="ignore"):  # more than float64 can hold is inf
            ratio = np.divide(target, mu, out=np.where(target > 0, np.inf, 0.0), where=mu > 0)
        return np.asarray(ratio.max(axis=(-2, -1)))

    def occupancy(self, policy: ArrayLike) -> Floats:
        r"""Law :math:`d^\pi(s, a) = \rho(s) \pi(a|s)` of the pairs a policy meets.

        Parameters
        ----------
        policy : (..., S) array_like of int or (..., S, A) array_like of float
            An arm per context, or a law over arms per context.

        Returns
        -------
        (..., S, A) float
            Sums to one over the last two axes.

        Examples
        --------
        >>> Bandit([[0.6, 0.5]]).occupancy([0]).tolist()
        [[1.0, 0.0]]
        """
        clean = check_arm_law(policy, self.n_contexts, self.n_arms)
        _check.broadcast("policy and contexts", clean.shape[:-2], self.contexts.shape[:-1])
        return np.asarray(self.contexts[..., None] * clean)

    def sample(
        self,
        behavior: ArrayLike,
        *,
        n: ArrayLike,
        size: int | tuple[int, ...] | None = None,
        rng: Rng = None,
    ) -> BanditData:
        r"""Data sets of n rounds each, drawn in law as counts and sums.

        Parameters
        ----------
        behavior : (..., S, A) array_like of float
            Joint law :math:`\mu` of the logged (context, arm) pairs.
        n : (...) array_like of int
            Rounds in each data set; broadcasts with the batches of model and law.
        size : int or tuple of int, optional
            Replicates, in front of the broadcast batch.
        rng : Generator, SeedSequence or int, optional
            Source of randomness (SPEC 7).

        Returns
        -------
        BanditData
            Counts of shape ``size + batch + (S, A)``.

        Notes
        -----
        Multinomial counts, then binomial (Bernoulli), normal and chi-square (Gaussian) sums given the counts: the cost
        is O(SA) a data set, whatever n. Where it is cheaper, Bernoulli rounds are drawn one by one (n <= 10SA) or by
        inverting tables of binomial distribution functions (batches of 25,000 cells or more, n <= 20,000); large
        batches of either kind call compiled code, which is compiled once, within a second or two. Each way draws other
        numbers, but from the same law: that of `sample_log` followed by `BanditData.from_log`.

        Examples
        --------
        >>> Bandit([[0.6, 0.5]]).sample([[0.5, 0.5]], n=10**12, size=3, rng=0).counts.shape
        (3, 1, 2)
        """
        mu, rounds, front = self.check_behavior(behavior), _check.whole_array("n", n), _draw.front_axes(size)
        batch = _check.broadcast("n, behavior and model", rounds.shape, mu.shape[:-2], self.shape)
        law = np.broadcast_to(mu, batch + mu.shape[-2:])
        drawn = sampling.draw_data(self._rewards(), law, rounds, front, _check.generator(rng))
        return BanditData.trusted(*drawn, self.reward_range)

    def sample_log(
        self,
        behavior: ArrayLike,
        *,
        n: int,
        size: int | tuple[int, ...] | None = None,
        rng: Rng = None,
    ) -> tuple[Ints, Ints, Floats]:
        r"""Raw rounds, drawn one by one: slow but plain, the reference for the law of `sample`.

        Parameters
        ----------
        behavior : (..., S, A) array_like of float
            Joint law :math:`\mu` of the logged (context, arm) pairs.
        n : int
            Rounds in each log.
        size : int or tuple of int, optional
            Replicates, in front of the broadcast batch.
        rng : Generator, SeedSequence or int, optional
            Source of randomness (SPEC 7).

        Returns
        -------
        contexts, arms : ``size + batch + (n,)`` int
            Context and arm of every round.
        rewards : ``size + batch + (n,)`` float
            Reward of every round.

        Notes
        -----
        Cost O(n) a log in time and memory.

        Examples
        --------
        >>> contexts, arms, rewards = Bandit([[1.0, 0.0]]).sample_log([[0.5, 0.5]], n=50, rng=0)
        >>> bool(np.all(rewards == (arms == 0)))
        True
        """
        mu, rounds, front = self.check_behavior(behavior), _check.count("n", n, low=0), _draw.front_axes(size)
        law = np.broadcast_to(mu, _check.broadcast("behavior and model", mu.shape[:-2], self.shape) + mu.shape[-2:])
        cells, rewards = sampling.draw_log(self._rewards(law.shape), law, rounds, front, _check.generator(rng))
        return cells // self.n_arms, cells % self.n_arms, rewards

    def check_behavior(self, behavior: ArrayLike) -> Floats:
        """Clean joint law over (context, arm) that fits this model.

        Parameters
        ----------
        behavior : (..., S, A) array_like of float
            Candidate law.

        Returns
        -------
        (..., S, A) float
            The same numbers, owned and read-only.

        Examples
        --------
        >>> Bandit([[0.6, 0.5]]).check_behavior([[0.5, 0.5]]).tolist()
        [[0.5, 0.5]]
        >>> Bandit([[0.6, 0.5]]).check_behavior([[0.5, 0.6]])
        Traceback (most recent call last):
        ...
        ValueError: behavior must sum to 1 within 1e-12, got 1.1: if that is what you mean, divide by it in float64
        """
        return self._joint_law("behavior", behavior)

    def _joint_law(self, name: str, value: ArrayLike) -> Floats:
        mu = _check.law(name, value, axes=2)
        if mu.shape[-2:] != self.means.shape[-2:]:
            raise ValueError(f"{name} must end in shape {self.means.shape[-2:]} like means, got {mu.shape}")
        _check.broadcast(f"{name} and model", mu.shape[:-2], self.shape)
        return mu

    def _rewards(self, shape: tuple[int, ...] | None = None) -> Rewards:
        """The distributions of the rewards as arrays, means and scales broadcast to a shape (..., S, A)."""
        kinds = GAUSSIAN * (self.rewards == "gaussian") + DETERMINISTIC * (self.rewards == "deterministic")
        if shape is None:
            return Rewards(kinds, self.means, self.scale)
        return Rewards(kinds, np.broadcast_to(self.means, shape), np.broadcast_to(self.scale, shape))


def _kinds(rewards: str | ArrayLike, n_contexts: int, n_arms: int) -> NDArray[np.str_]:
    try:
        kinds = np.asarray(rewards)
    except Exception:  # what is no array
        kinds = np.asarray(None)
    if kinds.dtype.kind != "U":
        raise TypeError(f"rewards must be one of {KINDS} or an array of them, got {_check.shown(rewards)}")
    known = np.isin(kinds, KINDS)
    _check.require("rewards", kinds, known, f"one of {', '.join(map(repr, KINDS))}")
    if _check.broadcast("means and rewards", kinds.shape, (n_contexts, n_arms)) != (n_contexts, n_arms):
        raise ValueError(f"rewards must have shape ({n_contexts}, {n_arms}), got {kinds.shape}")
    filled = np.broadcast_to(kinds, (n_contexts, n_arms)).copy()
    filled.setflags(write=False)
    return filled


def _expectation(table: Floats, rho: Floats, policy: ArrayLike) -> Floats:
    clean = check_policy(policy, *table.shape[-2:])
    batch = clean.shape[: -2 if clean.dtype.kind == "f" else -1]
    _check.broadcast("policy and model", batch, table.shape[:-2], rho.shape[:-1])
    if clean.dtype.kind == "f":
        per_context = np.asarray((table * clean).sum(axis=-1))
    elif table.ndim == 2:
        per_context = table[np.arange(table.shape[0]), clean]
    else:
        batch = np.broadcast_shapes(table.shape[:-2], batch)
        full = np.broadcast_to(table, batch + table.shape[-2:])
        arms = np.broadcast_to(clean, batch + clean.shape[-1:]).astype(np.intp)
        per_context = np.take_along_axis(full, arms[..., None], axis=-1)[..., 0]
    return np.asarray((rho * per_context).sum(axis=-1))
