"""What every rule starts from: the empirical model, the range of values, and which pairs were never seen."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._types import Floats, Ints
from pessimism.mdp import _input
from pessimism.mdp._engine.search import NEVER, Search
from pessimism.mdp._engine.tables import Tables
from pessimism.mdp._feasible import admissible
from pessimism.mdp.data import MDPData


@dataclass(frozen=True, slots=True, eq=False)
class Empirical:
    """Empirical models of a batch of data sets; with a horizon all tables have a step axis.

    `tables` holds the shares of the successors and the mean rewards, `counts` the visits of all pairs. Where there are
    `terminal` states, worth 0, `reward_range` contains 0: the smallest and largest values come from its ends.
    """

    tables: Tables
    counts: Ints
    reward_range: tuple[float, float]
    terminal: NDArray[np.bool_]
    feasible: NDArray[np.bool_]

    @property
    def n_pairs(self) -> int:
        """Number of (state, action) that can be logged, at least 1."""
        return max(int((self.feasible & ~self.terminal[:, None]).sum()), 1)

    @property
    def imitated(self) -> Ints:
        """(..., [H,] S) int, the most frequent action; the lowest feasible one in states never seen."""
        return self.admissible(self.counts.argmax(axis=-1))

    def admissible(self, policy: Ints) -> Ints:
        """The policy of a rule with a feasible action where the rule had nothing to choose by."""
        return admissible(policy, self.feasible)

    def only_feasible(self, q: Floats) -> Floats:
        """Values of pairs (..., S, A) that nobody maximises at an infeasible one."""
        return q if self.feasible.all() else np.where(self.feasible, q, -np.inf)

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Pairs that were seen or are known."""
        return np.asarray((self.counts > 0) | self.terminal[:, None])

    @property
    def scaled(self) -> Tables:
        """The tables with rewards scaled to [0, 1]."""
        low, high = self.reward_range
        return self.tables._replace(rewards=(self.tables.rewards - low) / (high - low))

    @property
    def known_values(self) -> Floats:
        """([H,] S) float, scaled values of terminal states as for `scaled`; -1 elsewhere."""
        low, high = self.reward_range
        worth = -(self.low_value if self.tables.horizon is None else self.low_to_go[:, None]) / (high - low)
        return np.where(self.terminal, worth, -1.0)

    def ending(self, values: Floats) -> Floats:
        """Values (..., S) with 0 in terminal states."""
        return np.where(self.terminal, 0.0, values)

    def in_units(self, q: Floats, low: float | Floats) -> Floats:
        """Scaled values of pairs in reward units, from those of value `low` on; 0 where it has ended."""
        span = self.reward_range[1] - self.reward_range[0]
        return self.only_feasible(np.where(self.terminal[:, None], 0.0, low + span * q))

    @property
    def low_value(self) -> float:
        """Smallest possible value of a state; with a horizon of the first step."""
        return self.reward_range[0] * _input.total_discount(self.tables.discount, self.tables.horizon)

    @property
    def value_width(self) -> float:
        """V_max: largest minus smallest possible value."""
        low, high = self.reward_range
        return (high - low) * _input.total_discount(self.tables.discount, self.tables.horizon)

    @property
    def low_to_go(self) -> Floats:
        """(H,) float, smallest possible value of a state at every step."""
        assert self.tables.horizon is not None
        left = [_input.total_discount(self.tables.discount, k) for k in range(self.tables.horizon, 0, -1)]
        return self.reward_range[0] * np.array(left)


def empirical(data: MDPData, discount: float | None, horizon: int | None) -> Empirical:
    """Check `discount` and `horizon` against the data; data without a step axis serve every step of a horizon."""
    _check.instance("data", data, MDPData)
    steps = None if horizon is None else _check.count("horizon", horizon)
    if data.horizon is not None:
        if steps is not None and steps != data.horizon:
            raise ValueError(f"horizon must be the {data.horizon} steps of the data, got {steps}")
        steps = data.horizon
    gamma = _input.discount(discount, steps)
    lists, counts, shares, rewards = data.next_states, data.counts, data.transition_shares, data.mean_rewards
    if steps is not None and data.horizon is None:
        lists, counts = lists[None], counts[..., None, :, :]
        shares, rewards = shares[..., None, :, :, :], rewards[..., None, :, :]
    low, high = data.reward_range
    span = (min(low, 0.0), max(high, 0.0)) if data.terminal.any() else (low, high)
    tables = Tables(lists, shares, rewards, gamma, steps, data.shape)
    return Empirical(tables, counts, span, data.terminal, data.feasible)


def stationary(data: MDPData) -> MDPData:
    """The data, for a rule that is for discounted problems."""
    _check.instance("data", data, MDPData)
    if data.horizon is not None:
        raise ValueError("data must have no step axis: this rule is for discounted problems, see vi_lcb_episodic")
    return data


def episodic(data: MDPData, otherwise: str = "") -> int:
    """H of the data, for a rule that is for episodes; `otherwise` points to a rule for other data."""
    _check.instance("data", data, MDPData)
    if data.horizon is None:
        raise ValueError(f"data must have a step axis: this rule is for episodes{otherwise}")
    return data.horizon


def inverse_delta(data: MDPData, delta: float | None, *, least: int = 1) -> Floats:
    """1/delta for every data set; by default the number of transitions, at least `least`."""
    if delta is None:
        return np.asarray(np.maximum(data.n, least), dtype=np.float64)
    certain = _check.open_unit_interval("delta", delta)
    if certain < 1.0 / _check.MAX_SIZE:
        raise ValueError(f"delta must be at least {1.0 / _check.MAX_SIZE:g}, got {certain}")
    return np.full(data.shape, 1.0 / certain)


def width_constant(constant: ArrayLike, default: float, paper_constants: bool, papers: float) -> float | Floats:
    """The factor c of a width, or one for every data set: the given one, or that of the paper's proof."""
    if _check.flag("paper_constants", paper_constants):
        if np.any(_check.numeric("constant", constant) != default):
            raise ValueError("paper_constants sets constant: pass one or the other")
        return papers
    return positive("constant", constant)


def positive(name: str, value: ArrayLike) -> float | Floats:
    """A positive number, or one for every data set."""
    if _check.numeric(name, value).ndim == 0:
        return _check.positive(name, value)  # type: ignore[arg-type]
    numbers = _check.real_array(name, value)
    _check.require(name, numbers, numbers > 0.0, "positive and finite")
    return numbers


def logarithm(argument: Floats, log_factor: ArrayLike | None) -> Floats:
    """The logarithm of a width, or a number that stands for it."""
    if log_factor is None:
        return np.asarray(np.log(argument))
    return np.array(np.broadcast_to(positive("log_factor", log_factor), np.shape(argument)))


def spread_over(data: MDPData, **knobs: ArrayLike | None) -> MDPData:
    """The data in the batch that they and the knobs of a rule, by name, broadcast to: one of each for every plan."""
    _check.instance("data", data, MDPData)
    given = {name: _check.numeric(name, value) for name, value in knobs.items() if value is not None}
    shapes = {name: value.shape for name, value in given.items() if value.ndim}
    if not shapes:
        return data
    batch = _check.broadcast(" and ".join(["data", *shapes]), data.shape, *shapes.values())
    if batch == data.shape:
        return data

    def wide(table: Any) -> Any:
        return np.broadcast_to(table, batch + table.shape[len(data.shape) :])

    counts, moved, sums = wide(data.counts), wide(data.next_counts), wide(data.reward_sums)
    return MDPData.trusted(*data.statistics._replace(counts=counts, next_counts=moved, reward_sums=sums))


def capped(search: Search, max_iterations: int | None) -> Search:
    """How a fixed point is sought; with a cap by single applications of the operator, as one would by hand."""
    if max_iterations is None:
        return search
    return search._replace(sweeps=0, krylov_after=NEVER, shift=False, limit=iteration_limit(max_iterations))


def iteration_limit(max_iterations: int) -> int:
    return _check.whole("max_iterations", max_iterations, low=1)
