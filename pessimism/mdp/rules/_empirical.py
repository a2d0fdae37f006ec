"""What every rule starts from: the empirical model, the range of values, and which pairs were never seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pessimism import _check
from pessimism._types import Floats, Ints
from pessimism.mdp import _input
from pessimism.mdp._engine.tables import Tables
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

    @property
    def n_pairs(self) -> int:
        """Number of (state, action) that can be logged, at least 1."""
        return max(int((~self.terminal).sum()) * self.tables.n_actions, 1)

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
    return Empirical(Tables(lists, shares, rewards, gamma, steps, data.shape), counts, span, data.terminal)


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


def width_constant(constant: float, default: float, paper_constants: bool, papers: float) -> float:
    """The factor c of a width: the given one, or that of the paper's proof."""
    if _check.flag("paper_constants", paper_constants):
        if constant != default:
            raise ValueError("paper_constants sets constant: pass one or the other")
        return papers
    return _check.positive("constant", constant)


def logarithm(argument: Floats, log_factor: float | None) -> Floats:
    """The logarithm of a width, or a number that stands for it."""
    if log_factor is None:
        return np.asarray(np.log(argument))
    return np.full(np.shape(argument), _check.positive("log_factor", log_factor))
