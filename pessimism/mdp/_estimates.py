"""What every rule starts from: estimates of the model, the range of values, and which pairs were never seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pessimism import _check
from pessimism._types import Floats, Ints
from pessimism.mdp import _tables
from pessimism.mdp.data import MDPData


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """Tables of the empirical models of a batch; with a horizon all have a step axis."""

    next_states: NDArray[np.int32]
    counts: Ints
    shares: Floats
    mean_rewards: Floats
    discount: float
    horizon: int | None
    reward_range: tuple[float, float]

    @property
    def low_value(self) -> float:
        """Smallest possible value of a state; with a horizon of the first step."""
        return self.reward_range[0] * _tables.total_discount(self.discount, self.horizon)

    @property
    def value_width(self) -> float:
        """V_max: largest minus smallest possible value."""
        low, high = self.reward_range
        return (high - low) * _tables.total_discount(self.discount, self.horizon)

    @property
    def low_to_go(self) -> Floats:
        """(H,) float, smallest possible value of a state at every step."""
        assert self.horizon is not None
        left = [_tables.total_discount(self.discount, k) for k in range(self.horizon, 0, -1)]
        return self.reward_range[0] * np.array(left)


def estimates(data: MDPData, discount: float | None, horizon: int | None) -> Estimates:
    """Check `discount` and `horizon` against the data."""
    _check.instance("data", data, MDPData)
    if horizon is not None:
        horizon = _check.whole("horizon", horizon, low=1)
    if data.horizon is None:
        gamma = _tables.discount(discount, horizon)
        tables = data.next_states, data.counts, data.transition_shares, data.mean_rewards
        if horizon is None:
            return Estimates(*tables, gamma, None, data.reward_range)
        lists, counts, shares, rewards = tables
        stepped = lists[None], counts[..., None, :, :], shares[..., None, :, :, :], rewards[..., None, :, :]
        return Estimates(*stepped, gamma, horizon, data.reward_range)
    if horizon is not None and horizon != data.horizon:
        raise ValueError(f"horizon must be the {data.horizon} steps of the data, got {horizon}")
    gamma = _tables.discount(discount, data.horizon)
    return Estimates(
        data.next_states,
        data.counts,
        data.transition_shares,
        data.mean_rewards,
        gamma,
        data.horizon,
        data.reward_range,
    )


def unseen_excluded(counts: Ints, gains: Floats) -> Floats:
    """Rewards per pair with -inf where a pair was never seen: planners do not choose it."""
    return np.where(counts > 0, gains, -np.inf)


def stationary(data: MDPData) -> MDPData:
    """The data, for a rule that is for discounted problems."""
    _check.instance("data", data, MDPData)
    if data.horizon is not None:
        raise ValueError("data must have no step axis: this rule is for discounted problems, see vi_lcb_episodic")
    return data


def inverse_delta(data: MDPData, delta: float | None, *, least: int = 1) -> Floats:
    """1/delta for every data set; by default the number of transitions, at least `least`."""
    if delta is None:
        return np.asarray(np.maximum(data.n, least), dtype=np.float64)
    return np.full(data.shape, 1.0 / _check.open_unit_interval("delta", delta))
