r"""Markov decision processes: states, actions, transitions, rewards.

In state :math:`s` an action :math:`a` earns a reward of mean :math:`r(s, a)` (`mean_rewards`) and leads to
:math:`s' \sim P(\cdot \mid s, a)` (`next_states`, `probabilities`). A policy :math:`\pi` is worth
:math:`V^\pi(s) = E \sum_t \gamma^t r(s_t, a_t)` (`evaluate`) and, from a start drawn from :math:`\rho` (`start`),
:math:`J(\pi) = \sum_s \rho(s) V^\pi(s)` (`value`); it loses :math:`J(\pi^*) - J(\pi)` (`suboptimality`). All are exact:
linear systems, or a backward recursion when there is a horizon H.

Some states may be `terminal`: an episode ends there, and what follows is worth 0.

The occupancy is normalised, :math:`d^\pi(s, a) = (1-\gamma) \sum_t \gamma^t P(s_t = s, a_t = a)`, and with a horizon is
the law of each step. Data are logged under a law :math:`\mu(s, a)` (a *behavior*), which covers a policy with
:math:`C^* = \max_{s,a} d^\pi(s,a)/\mu(s,a)` (`coverage`).
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check, _draw
from pessimism._objects import Stored
from pessimism._types import Floats, Ints, Rng
from pessimism.mdp import _input, _sparse
from pessimism.mdp._engine import sampling
from pessimism.mdp._engine.evaluation import expected_sums, state_laws
from pessimism.mdp._engine.optimum import optimum
from pessimism.mdp._engine.tables import States, Tables, as_law, per_successor
from pessimism.mdp._feasible import require_none
from pessimism.mdp._input import Policy
from pessimism.mdp.data import MDPData, Transitions

__all__ = ["MDP"]


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class MDP(Stored):
    r"""States and actions with known transitions; values, occupancies and losses are exact.

    Parameters
    ----------
    next_states : ([H,] S, A, B) array_like of int
        Lists of successors, padded with any states of probability 0. Shared by a batch of models.
    probabilities : (..., [H,] S, A, B) array_like of float
        :math:`P(s' \mid s, a)` of those successors; every list sums to one.
    rewards : (..., [H,] S, A) or (..., [H,] S, A, B) array_like of float
        Mean reward of a pair, or of a pair and its successor. If the last three axes fit (S, A, B), it is the latter.
    start : (..., S) array_like of float, optional
        Law :math:`\rho` of the first state. Default: uniform.
    discount : float, optional
        :math:`\gamma`, in [0, 1). With a horizon also 1, which is then the default.
    horizon : int, optional
        H, the number of steps. Only with a horizon may the tables have a step axis (of length H or 1); `next_states`
        then has four axes and says so for all of them. A stationary model keeps a step axis of length 1.
    reward_law : str
        "deterministic": every reward equals its mean; or "bernoulli": rewards are 0 or 1 with the given means.
    reward_range : (float, float), optional
        Interval that a learner is told holds every reward; drawn data carry it, and widths scale with it. Default:
        (0, 1) if it holds all means, else from the smallest to the largest mean of any model in the batch; (r, r + 1)
        if all are r (beyond 1e9 in size a billionth more): a range of one point would say that there is nothing to
        learn about them.
    terminal : (S,) array_like of bool, optional
        States in which an episode ends: they are worth 0. Their rows need not say anything (probabilities may be 0);
        rows that move or earn are refused. Default: none.
    feasible : (S, A) array_like of bool, optional
        Actions that exist in a state; at least one in every state. Of the other pairs neither probabilities nor rewards
        are read (they may be 0, -inf or nan); nobody chooses or logs them, and they count in no range and no number of
        pairs. Rows of terminal states are not read, since nothing is chosen there. Default: all actions.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, its first bad entry and what was expected; the methods do the same.

    Notes
    -----
    Leading axes are a batch of models; every method broadcasts over them. A successor that occurs twice in a list has
    the sum of both probabilities. With a horizon the step axis stands directly before the state axis, everywhere.
    A terminal state is kept as one that leads to itself and earns 0, so that a policy's occupancy says how much of its
    time it has ended; `coverage` leaves these pairs out, and nothing is ever logged from them.
    Without a horizon small models need no compiled code; what does need it compiles at its first call, and later
    processes load it from the cache.

    Examples
    --------
    A state in which action 0 stays and earns 1, action 1 leaves for good.

    >>> mdp = MDP([[[0], [1]], [[1], [1]]], np.ones((2, 2, 1)), [[1.0, 0.0], [0.0, 0.0]], [1.0, 0.0], 0.5)
    >>> mdp.value([0, 0]).item(), mdp.suboptimality([1, 0]).item()
    (2.0, 2.0)
    """

    next_states: States
    probabilities: Floats
    rewards: Floats
    start: Floats
    discount: float
    horizon: int | None
    reward_law: str
    reward_range: tuple[float, float]
    terminal: NDArray[np.bool_]
    feasible: NDArray[np.bool_]
    _optimum: tuple[Ints, Floats, Floats] | None

    def __init__(
        self,
        next_states: ArrayLike,
        probabilities: ArrayLike,
        rewards: ArrayLike,
        start: ArrayLike | None = None,
        discount: float | None = None,
        *,
        horizon: int | None = None,
        reward_law: str = "deterministic",
        reward_range: tuple[float, float] | None = None,
        terminal: ArrayLike | None = None,
        feasible: ArrayLike | None = None,
    ) -> None:
        given = next_states, probabilities, rewards, start, discount
        self._set(*_input.model(*given, horizon, reward_law, reward_range, terminal, feasible))

    def _set(self, *fields: Any) -> None:
        for name, value in zip(self.__slots__, (*fields, None), strict=True):
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)

    @classmethod
    def dense(
        cls,
        transitions: ArrayLike,
        rewards: ArrayLike,
        start: ArrayLike | None = None,
        discount: float | None = None,
        *,
        horizon: int | None = None,
        reward_law: str = "deterministic",
        reward_range: tuple[float, float] | None = None,
        terminal: ArrayLike | None = None,
        feasible: ArrayLike | None = None,
    ) -> Self:
        r"""Model from full transition matrices.

        Parameters
        ----------
        transitions : (S, A, S) array_like of float
            :math:`P(s' \mid s, a)`; (H, S, A, S) with a horizon.
        rewards : (..., [H,] S, A) or (..., [H,] S, A, S) array_like of float
            Mean rewards, as for the class; a last axis is the next state.
        start, discount, horizon, reward_law, reward_range, terminal, feasible : optional
            As for the class.

        Returns
        -------
        MDP
            With lists as long as the largest number of successors of a pair.

        See Also
        --------
        pessimism.mdp.model.MDP.sparse : From matrices of scipy.sparse.

        Examples
        --------
        >>> MDP.dense([[[0.0, 1.0]], [[0.0, 1.0]]], [[1.0], [0.5]], [1, 0], discount=0.5).value([0, 0]).item()
        1.5
        """
        successors, p, r = _input.from_dense(transitions, rewards, horizon, terminal, feasible)
        return cls(
            successors,
            p,
            r,
            start,
            discount,
            horizon=horizon,
            reward_law=reward_law,
            reward_range=reward_range,
            terminal=terminal,
            feasible=feasible,
        )

    @classmethod
    def sparse(
        cls,
        transitions: Any,
        rewards: Any,
        start: ArrayLike | None = None,
        discount: float | None = None,
        *,
        horizon: int | None = None,
        reward_law: str = "deterministic",
        reward_range: tuple[float, float] | None = None,
        terminal: ArrayLike | None = None,
        feasible: ArrayLike | None = None,
    ) -> Self:
        r"""Model from transition matrices of scipy.sparse, which are never made dense.

        Parameters
        ----------
        transitions : sequence of A sparse (S, S), or sparse (SA, S)
            :math:`P(s' \mid s, a)`: one matrix an action, or one whose row s A + a is that of the pair (s, a), in any
            format; entries stored twice are added up. With a horizon they are those of every step.
        rewards : (..., S, A) array_like of float, or sparse like `transitions`
            Mean rewards of pairs; sparse ones are of a pair and its successor, 0 where nothing is stored.
        start, discount, horizon, reward_law, reward_range, terminal, feasible : optional
            As for the class. Rows of terminal states may be empty.

        Returns
        -------
        MDP
            With lists as long as the largest number of successors of a pair.

        Raises
        ------
        ValueError, TypeError
            Naming the row that is not a law, or the argument whose shape does not fit; or if the padded lists would
            have more than :math:`10^9` entries.

        Notes
        -----
        Time and memory are O(nnz) and those of the lists, SAB.

        Examples
        --------
        >>> from scipy.sparse import csr_array
        >>> stay, move = csr_array([[1.0, 0.0], [0.0, 1.0]]), csr_array([[0.0, 1.0], [0.0, 1.0]])
        >>> MDP.sparse([stay, move], [[0.0, 0.0], [1.0, 1.0]], discount=0.5).best_policy.tolist()
        [1, 0]
        """
        successors, p, r = _sparse.tables(transitions, rewards, terminal, feasible)
        return cls(
            successors,
            p,
            r,
            start,
            discount,
            horizon=horizon,
            reward_law=reward_law,
            reward_range=reward_range,
            terminal=terminal,
            feasible=feasible,
        )

    @classmethod
    def from_function(
        cls,
        step: Callable[[int, int], Iterable[tuple[float, int, float]]],
        n_states: int,
        n_actions: int,
        start: ArrayLike | None = None,
        discount: float | None = None,
        *,
        horizon: int | None = None,
        terminal: ArrayLike | None = None,
        feasible: ArrayLike | None = None,
    ) -> Self:
        """Model from a function that lists what can happen.

        Parameters
        ----------
        step : callable
            ``step(s, a)`` gives triples (probability, next state, reward). A next state that occurs twice has the sum
            of its probabilities and their mean reward. Not called for terminal states and infeasible actions.
        n_states, n_actions : int
            S and A, at least 1.
        start, discount, horizon, terminal, feasible : optional
            As for the class.

        Returns
        -------
        MDP
            With one reward for every (state, action, successor).

        Raises
        ------
        ValueError, TypeError
            As for the class; lists that do not sum to one are named by their state and action.

        Examples
        --------
        >>> ring = MDP.from_function(lambda s, a: [(1.0, (s + a) % 3, float(s == 2))], 3, 2, discount=0.5)
        >>> ring.best_policy.tolist()
        [1, 1, 0]
        """
        tables = _input.from_function(step, n_states, n_actions, terminal, feasible)
        return cls(*tables, start, discount, horizon=horizon, terminal=terminal, feasible=feasible)

    @classmethod
    def from_data(cls, data: MDPData, discount: float | None = None, *, start: ArrayLike | None = None) -> Self:
        r"""Empirical model :math:`(\hat P, \hat r)`: a plug-in estimate that can be planned in and evaluated.

        Parameters
        ----------
        data : MDPData
            Logged transitions; their step axis becomes the horizon.
        discount, start : optional
            As for the class.

        Returns
        -------
        MDP
            Of the batch of the data, with their terminal states and feasible actions. A pair that was never seen earns
            the low end of the reward range (0 if that is lower and there are terminal states) and goes to any successor
            on its list with equal probability.

        Examples
        --------
        >>> MDP.from_data(MDPData([[4]], [[[0]]], [[[4]]], [[2.0]]), 0.5).value([0]).item()
        1.0
        """
        _check.instance("data", data, MDPData)
        successors = data.next_states
        if data.horizon is not None and len(successors) != data.horizon:
            successors = np.broadcast_to(successors, (data.horizon, *successors.shape[1:]))
        shares, rewards = data.transition_shares, data.mean_rewards
        if rewards.shape[-successors.ndim :] == successors.shape:  # a batch that looks like rewards per successor
            rewards = np.broadcast_to(rewards[..., None], shares.shape)
        ends, mask = data.terminal, data.feasible
        return cls(successors, shares, rewards, start, discount, horizon=data.horizon, terminal=ends, feasible=mask)

    def _shown(self) -> dict[str, Any]:
        whole = Stored._shown(self)
        return {name: whole[name] for name in whole if name != "feasible" or not self.feasible.all()}

    @property
    def shape(self) -> tuple[int, ...]:
        """Batch of models."""
        core = self.next_states.ndim
        rewards = _input.batch(self.rewards, self.next_states)
        return np.broadcast_shapes(self.probabilities.shape[:-core], rewards, self.start.shape[:-1])

    @property
    def n_states(self) -> int:
        """S, the number of states."""
        return int(self.next_states.shape[-3])

    @property
    def n_actions(self) -> int:
        """A, the number of actions."""
        return int(self.next_states.shape[-2])

    @property
    def _pairs(self) -> tuple[int, ...]:
        """Shape ([H,] S, A) of laws and counts."""
        steps = () if self.horizon is None else (self.horizon,)
        return (*steps, self.n_states, self.n_actions)

    @property
    def n_successors(self) -> int:
        """B, the length of the padded lists of successors."""
        return int(self.next_states.shape[-1])

    @property
    def per_successor(self) -> bool:
        """Whether rewards depend on the next state."""
        return per_successor(self.rewards, self.next_states)

    @property
    def mean_rewards(self) -> Floats:
        """(..., [H or 1,] S, A) float, mean reward of every pair; 0 of an infeasible one."""
        return np.asarray((self.probabilities * self.rewards).sum(axis=-1)) if self.per_successor else self.rewards

    @property
    def tables(self) -> Tables:
        """The arrays that planners read: a named tuple, with mean rewards of pairs, and -inf of infeasible ones."""
        return self._tables(self._only_feasible(self.mean_rewards, -np.inf))

    def _only_feasible(self, table: Floats, instead: float) -> Floats:
        """A table (..., S, A) with another number for infeasible pairs."""
        return table if self.feasible.all() else np.where(self.feasible, table, instead)

    def _tables(self, rewards: Floats) -> Tables:
        return Tables(self.next_states, self.probabilities, rewards, self.discount, self.horizon, self.shape)

    @property
    def value_range(self) -> tuple[float, float]:
        """Smallest and largest value any policy can have, from the smallest and largest mean reward."""
        means = self.mean_rewards
        if means.size == 0:  # no steps or no models
            return 0.0, 0.0
        total = _input.total_discount(self.discount, self.horizon)
        low, high = self._only_feasible(means, np.inf).min(), self._only_feasible(means, -np.inf).max()
        return float(low) * total, float(high) * total

    @property
    def optimal_values(self) -> Floats:
        """(..., [H,] S) float, value of every state under an optimal policy."""
        return self._solved()[1]

    @property
    def best_policy(self) -> Ints:
        """(..., [H,] S) int, an optimal policy: the lowest among the actions that are tied up to rounding."""
        return self._solved()[0]

    @property
    def gaps(self) -> Floats:
        """(..., [H,] S, A) float, how much an action loses if the rest is optimal; 0 if tied, inf if infeasible."""
        return self._solved()[2]

    def _solved(self) -> tuple[Ints, Floats, Floats]:
        found = self._optimum
        if found is None:
            found = optimum(self.tables, max(map(abs, self.value_range)))
            object.__setattr__(self, "_optimum", found)
        return found

    def evaluate(self, policy: ArrayLike) -> Floats:
        r"""Value :math:`V^\pi(s)` of a policy from every state.

        Parameters
        ----------
        policy : (..., [H,] S) array_like of int or (..., [H,] S, A) array_like of float
            An action, or a law over actions, per state (and step); without a step axis it is the same at all steps.

        Returns
        -------
        (..., [H,] S) float
            In reward units, not normalised by 1 - discount.

        Raises
        ------
        ValueError, TypeError
            If an action does not exist or is infeasible in its state, a law does not sum to one or the shape does not
            fit.

        Notes
        -----
        Solves one linear system a policy: dense up to some hundred states, else sparse iterations to a relative
        residual of 1e-13; with a horizon O(HSAB).

        Examples
        --------
        >>> MDP.dense([[[0.0, 1.0]], [[0.0, 1.0]]], [[1.0], [0.5]], discount=0.5).evaluate([0, 0]).tolist()
        [1.5, 1.0]
        """
        return expected_sums(self._tables(self.mean_rewards), as_law(self.check_policy(policy), self.n_actions))

    def value(self, policy: ArrayLike) -> Floats:
        r"""Value :math:`J(\pi) = \sum_s \rho(s) V^\pi(s)` of a policy.

        Parameters
        ----------
        policy : (..., [H,] S) array_like of int or (..., [H,] S, A) array_like of float
            As for `evaluate`.

        Returns
        -------
        (...,) float
            In reward units; batch axes of policy and model broadcast.

        Examples
        --------
        >>> MDP.dense([[[1.0], [1.0]]], [[0.6, 0.5]], discount=0.0).value([1]).item()
        0.5
        """
        return self._from_start(self.evaluate(policy))

    def suboptimality(self, policy: ArrayLike) -> Floats:
        r"""Loss :math:`J(\pi^*) - J(\pi)`, summed from the gaps of its actions, so that small losses keep their digits.

        Parameters
        ----------
        policy : (..., [H,] S) array_like of int or (..., [H,] S, A) array_like of float
            As for `evaluate`.

        Returns
        -------
        (...,) float
            Non-negative, in reward units.

        Examples
        --------
        >>> MDP.dense([[[1.0], [1.0]]], [[0.75, 0.5]], discount=0.5).suboptimality([1]).item()
        0.5
        """
        law = as_law(self.check_policy(policy), self.n_actions)
        return self._from_start(expected_sums(self._tables(self._only_feasible(self.gaps, 0.0)), law))

    def _from_start(self, values: Floats) -> Floats:
        first = values if self.horizon is None else values[..., :1, :].sum(axis=-2)  # 0 if there are no steps
        return np.asarray((self.start * first).sum(axis=-1))

    def occupancy(self, policy: ArrayLike) -> Floats:
        r"""Normalised occupancy :math:`d^\pi(s, a)`: where a policy spends its (discounted) time.

        Parameters
        ----------
        policy : (..., [H,] S) array_like of int or (..., [H,] S, A) array_like of float
            As for `evaluate`.

        Returns
        -------
        (..., [H,] S, A) float
            Sums to one; with a horizon at every step.

        Examples
        --------
        >>> MDP.dense([[[0.0, 1.0]], [[0.0, 1.0]]], [[1.0], [0.5]], [1, 0], 0.75).occupancy([0, 0]).ravel().tolist()
        [0.25, 0.75]
        """
        law = as_law(self.check_policy(policy), self.n_actions)
        return np.asarray(state_laws(self._tables(self.rewards), self.start, law)[..., None] * law)

    def coverage(self, behavior: ArrayLike, policy: ArrayLike | None = None, *, clipped: bool = False) -> Floats:
        r"""Single-policy concentrability :math:`C^* = \max d^\pi(s,a)/\mu(s,a)`, with 0/0 = 0 and x/0 = inf.

        Parameters
        ----------
        behavior : (..., [H,] S, A) array_like of float
            Law :math:`\mu` of the logged pairs, at every step if there is a horizon.
        policy : (..., [H,] S) array_like of int or (..., [H,] S, A) array_like of float, optional
            The policy to be covered. Default: `best_policy`; with several optimal policies pass the one you mean.
        clipped : bool
            Use :math:`\min\{d^\pi(s,a), 1/S\}` in place of :math:`d^\pi`: the coefficient of Li et al., at most
            :math:`C^*` and at least 1/S. The numerator is clipped, not the ratio.

        Returns
        -------
        (...,) float
            The maximum over pairs that are not terminal, and steps; at least 1 unless clipped or part of the time is
            spent in terminal states.

        Raises
        ------
        ValueError, TypeError
            If `behavior` is not a law over (state, action) or `policy` is not a policy.

        Notes
        -----
        Rashidinejad et al. (2021), arXiv:2103.12021; clipped: Li et al. (2022), arXiv:2204.05275.

        Examples
        --------
        >>> mdp = MDP.dense([[[1.0], [1.0]]], [[0.6, 0.5]], discount=0.0)
        >>> float(mdp.coverage([[0.25, 0.75]]))
        4.0
        """
        mu = self.check_behavior(behavior)
        d = self.occupancy(self.best_policy if policy is None else policy)
        if _check.flag("clipped", clipped):
            d = np.minimum(d, 1.0 / self.n_states)
        axes = (-2, -1) if self.horizon is None else (-3, -2, -1)
        shape = _check.broadcast("behavior, policy and model", mu.shape, d.shape)
        d, mu = np.broadcast_to(np.where(self.terminal[:, None], 0.0, d), shape), np.broadcast_to(mu, shape)
        ratio = np.divide(d, mu, out=np.where(d > 0, math.inf, 0.0), where=mu > 0)
        return np.asarray(ratio.max(axis=axes, initial=0.0))

    def sample(
        self, behavior: ArrayLike, *, n: ArrayLike, size: int | tuple[int, ...] | None = None, rng: Rng = None
    ) -> MDPData:
        r"""Draw data sets of independent transitions, in law, as counts and sums.

        Parameters
        ----------
        behavior : (..., [H,] S, A) array_like of float
            Law of the logged pairs. With a horizon n transitions are drawn at every step, independently: for logged
            episodes see `sample_episodes`. Nothing is logged from a terminal state: draws that fall there are not
            counted.
        n : array_like of int
            Transitions of a data set (and step), in [0, 2^53].
        size : int or tuple of int, optional
            Data sets to draw; these axes come first.
        rng : Generator, SeedSequence or int, optional
            Source of randomness (SPEC 7).

        Returns
        -------
        MDPData
            Of batch ``size + batch``.

        Raises
        ------
        ValueError, TypeError
            If `behavior` is not a law over feasible (state, action), or `n` or `size` is not a whole number in range.

        Notes
        -----
        :math:`N \sim` Multinomial(n, :math:`\mu`), next states Multinomial(N(s,a), P(.|s,a)), then the rewards. Cost
        O(SAB), whatever n.

        Examples
        --------
        >>> mdp = MDP.dense([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], discount=0.5)
        >>> mdp.sample([[0.5], [0.5]], n=100, size=3, rng=0).counts.sum(axis=(-2, -1)).tolist()
        [100, 100, 100]
        """
        mu, total = self.check_behavior(behavior), _check.whole_array("n", n)
        core = mu.shape[-len(self._pairs) :]
        batch = _check.broadcast("n, behavior and model", total.shape, mu.shape[: -len(core)], self.shape)
        generator, shape = _check.generator(rng), (*_draw.front_axes(size), *batch, *core)
        draws = total if self.horizon is None else total[..., None]
        visits = sampling.visits(mu, draws, shape, generator)
        visits[..., self.terminal, :] = 0
        return self._outcomes(visits, generator)

    def sample_at(self, counts: ArrayLike, *, size: int | tuple[int, ...] | None = None, rng: Rng = None) -> MDPData:
        r"""Draw data sets whose numbers of transitions from every pair are given: a generative model.

        Parameters
        ----------
        counts : (..., [H,] S, A) array_like of int
            Transitions to draw from every pair (and step); 0 in terminal states and of infeasible actions.
        size, rng : as for `sample`
            The data sets to draw and the source of randomness.

        Returns
        -------
        MDPData
            With those counts.

        Raises
        ------
        ValueError, TypeError
            If `counts` are not whole numbers or their shape does not fit.

        Examples
        --------
        >>> mdp = MDP.dense([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], discount=0.5)
        >>> mdp.sample_at([[10], [5]], rng=0).next_counts.sum(axis=-1).tolist()
        [[10], [5]]
        """
        visits, core = _check.whole_array("counts", counts), self._pairs
        if visits.shape[-len(core) :] != core:
            raise ValueError(f"counts must end in shape {core}, got {visits.shape}")
        _check.require("counts", visits, (visits == 0) | ~self.terminal[:, None], "0 in terminal states")
        require_none("counts", visits, self.feasible)
        batch = _check.broadcast("counts and model", visits.shape[: -len(core)], self.shape)
        shape = (*_draw.front_axes(size), *batch, *core)
        return self._outcomes(np.broadcast_to(visits, shape).copy(), _check.generator(rng))

    def _outcomes(self, counts: Ints, rng: np.random.Generator) -> MDPData:
        next_counts, sums = sampling.outcomes(self._tables(self.rewards), self.reward_law, counts, rng)
        return self._logged(counts, next_counts, sums)

    def _logged(self, counts: Ints, next_counts: Ints, sums: Floats) -> MDPData:
        told = self.reward_range, self.reward_law, self.terminal, self.feasible
        return MDPData.trusted(counts, self.next_states, next_counts, sums, *told)

    def sample_episodes(
        self,
        policy: ArrayLike,
        *,
        n: int,
        steps: int | None = None,
        size: int | tuple[int, ...] | None = None,
        rng: Rng = None,
    ) -> MDPData:
        r"""Draw data sets of n episodes that follow a policy, in law, as counts and sums.

        Parameters
        ----------
        policy : ([H,] S) array_like of int or ([H,] S, A) array_like of float
            What the episodes follow.
        n : int
            Episodes of a data set.
        steps : int, optional
            Length of an episode where the model has no horizon; the steps are then added up.
        size, rng : as for `sample`
            The data sets to draw and the source of randomness.

        Returns
        -------
        MDPData
            With a step axis if the model has a horizon.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of its range, `steps` is missing, or model or policy have batch axes.

        Notes
        -----
        The number of episodes in each state flows from step to step, so the counts of different steps are dependent,
        as in real episodes. Cost O(HSAB), whatever n.

        Examples
        --------
        >>> mdp = MDP.dense([[[0.0, 1.0]], [[1.0, 0.0]]], [[1.0], [0.0]], [1, 0], horizon=3)
        >>> mdp.sample_episodes([0, 0], n=7, rng=0).counts[..., 0].tolist()
        [[7, 0], [0, 7], [7, 0]]
        """
        law, length = self._episode_law(policy, steps)
        generator, tables = _check.generator(rng), self._tables(self.rewards)
        front, count = _draw.front_axes(size), _check.whole("n", n)
        next_counts = sampling.episodes(tables, self.start, law, count, length, front, self.terminal, generator)
        counts = next_counts.sum(axis=-1)
        sums = sampling.reward_sums(tables, self.reward_law, counts, next_counts, generator)
        return self._logged(counts, next_counts, sums)

    def sample_log(
        self,
        policy: ArrayLike,
        *,
        n: int,
        steps: int | None = None,
        size: int | tuple[int, ...] | None = None,
        rng: Rng = None,
    ) -> Transitions:
        """Draw episodes step by step: the raw logs whose counts and sums `sample_episodes` draws in law.

        Parameters
        ----------
        policy, n, steps, size, rng : as for `sample_episodes`
            The policy, the number of episodes, their length, the logs to draw and the source of randomness.

        Returns
        -------
        Transitions
            Arrays ``size + (n, steps)``. An episode that has ended stays in its terminal state and earns 0, which
            `MDPData.from_transitions` does not count; one that has not is truncated by its last step.

        Notes
        -----
        Cost O(n steps) a log in time and memory.

        Examples
        --------
        >>> mdp = MDP.dense([[[0.0, 1.0]], [[1.0, 0.0]]], [[1.0], [0.0]], [1, 0], horizon=3)
        >>> mdp.sample_log([0, 0], n=2, rng=0).states.tolist()
        [[0, 1, 0], [0, 1, 0]]
        """
        law, length = self._episode_law(policy, steps)
        front, tables = (*_draw.front_axes(size), _check.count("n", n, low=0)), self._tables(self.rewards)
        fields = sampling.log(tables, self.reward_law, self.start, law, front, length, _check.generator(rng))
        led = self.terminal[fields[3]]
        terminated, truncated = led & ~self.terminal[fields[0]], np.zeros(led.shape, np.bool_)
        truncated[..., -1:] = ~led[..., -1:]
        return Transitions(*fields, terminated, truncated)

    def _episode_law(self, policy: ArrayLike, steps: int | None) -> tuple[Floats, int]:
        """The policy of episodes as a law (1 or H, S, A), and their length."""
        clean = self.check_policy(policy)
        law = as_law(clean, self.n_actions)
        if self.shape != () or law.ndim != (2 if self.horizon is None else 3):
            raise ValueError(f"episodes follow one policy in one model, got batches {self.shape} and {clean.shape}")
        if self.horizon is not None:
            if steps is not None:
                raise ValueError(f"steps must not be given: the horizon of the model is {self.horizon}")
            return law, self.horizon
        if steps is None:
            raise ValueError("steps must be given for a model without a horizon")
        return law[None], _check.whole("steps", steps)

    def check_policy(self, policy: ArrayLike) -> Policy:
        """Clean policy: int64 if `policy` holds integers, else a float64 law; with a horizon it has a step axis.

        Parameters
        ----------
        policy : (..., [H,] S) array_like of int or (..., [H,] S, A) array_like of float
            Candidate policy.

        Returns
        -------
        (..., [H or 1,] S) int or (..., [H or 1,] S, A) float
            The same policy, owned and read-only.

        Raises
        ------
        ValueError, TypeError
            If an action does not exist or is infeasible in its state, a law does not sum to one or the shape does not
            fit.

        Examples
        --------
        >>> MDP.dense([[[1.0]]], [[0.5]], discount=0.5).check_policy([0]).tolist()
        [0]
        >>> MDP.dense([[[1.0]]], [[0.5]], discount=0.5).check_policy([1])
        Traceback (most recent call last):
        ...
        ValueError: policy[0] must be a whole number in [0, 0], got 1
        """
        return self._policy("policy", policy)

    def _policy(self, name: str, value: ArrayLike) -> Policy:
        clean = _input.check_policy(value, self.feasible, self.horizon, name)
        core = (1 if self.horizon is None else 2) + (clean.dtype.kind == "f")
        _check.broadcast(f"{name} and model", clean.shape[: clean.ndim - core], self.shape)
        return clean

    def check_behavior(self, behavior: ArrayLike) -> Floats:
        """Clean law over (state, action), at every step if there is a horizon, that fits this model.

        Parameters
        ----------
        behavior : (..., [H,] S, A) array_like of float
            Candidate law.

        Returns
        -------
        (..., [H,] S, A) float
            The same numbers, owned and read-only.

        Raises
        ------
        ValueError, TypeError
            If it is not a law over feasible (state, action), or its shape does not fit the model.

        Examples
        --------
        >>> MDP.dense([[[1.0]]], [[0.5]], discount=0.5).check_behavior([[1.0]]).tolist()
        [[1.0]]
        >>> MDP.dense([[[1.0]]], [[0.5]], discount=0.5).check_behavior([[0.5]])
        Traceback (most recent call last):
        ...
        ValueError: behavior must sum to 1 within 1e-12, got 0.5: if that is what you mean, divide by it in float64
        """
        return self._joint_law("behavior", behavior)

    def _joint_law(self, name: str, value: ArrayLike) -> Floats:
        mu, core = _check.real_array(name, value, low=0.0), self._pairs
        if mu.shape[-len(core) :] != core:
            raise ValueError(f"{name} must end in shape {core}, got {mu.shape}")
        _check.require_total_one(name, mu, axes=2)
        require_none(name, mu, self.feasible)
        _check.broadcast(f"{name} and model", mu.shape[: -len(core)], self.shape)
        return mu


MDPData._model = MDP.from_data  # the hook of `MDPData.model`: see there
