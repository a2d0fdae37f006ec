"""What every estimator takes, checked once: data, policy, behavior and contexts become laws and weights."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._types import Floats, Ints
from pessimism.bandits._engine.forms import Form, ratio, weighted_average
from pessimism.bandits._input import check_arm_law, check_contexts
from pessimism.bandits.data import BanditData
from pessimism.bandits.propensities import PropensityData

ONE_LAW = "behavior must be the joint law of (context, arm), but each of its rows sums to 1: one law for each context? "
MAKE_JOINT = "Multiply it by the law of the contexts, as behavior.from_conditional does"


class Setting(NamedTuple):
    r"""Laws (..., S, A) of an estimate: what the policy plays and meets, what was logged, their ratio w.

    `target` is :math:`d` with the contexts of the estimate, `wanted` with those of the weights: as logged, the first
    knows the log's shares and the second the behavior's. `lacking` marks pairs without a round that an estimated
    behavior leaves without a weight.
    """

    policy: Floats
    contexts: Floats | None
    data: BanditData
    wanted: Floats
    law: Floats
    lacking: NDArray[np.bool_] | None

    @property
    def shares(self) -> Floats:
        """(..., S) law of the contexts of the estimate."""
        return context_shares(self.data) if self.contexts is None else self.contexts

    @property
    def target(self) -> Floats:
        """(..., S, A) law of what the policy meets and plays."""
        return self.shares[..., None] * self.policy

    @property
    def weight(self) -> Floats:
        """w = d / mu, with 0/0 = 0; NaN where it is lacking."""
        weight = ratio(self.wanted, self.law)
        return weight if self.lacking is None else np.where(self.lacking, np.nan, weight)


def setting(
    data: BanditData, policy: ArrayLike, behavior: ArrayLike | None, contexts: ArrayLike | None, *, free: bool = False
) -> Setting:
    """Check all four; with `free`, pairs that the behavior never plays are left to the estimator."""
    _check.instance("data", data, BanditData)
    chosen = check_arm_law(policy, data.n_contexts, data.n_arms)
    known = None if contexts is None else check_contexts(contexts, data.n_contexts, "data")
    batch = data.shape if known is None else known.shape[:-1]
    _check.broadcast("data, policy and contexts", data.shape, chosen.shape[:-2], batch)
    if behavior is None:
        law = data.counts / np.where(data.n > 0, data.n, np.nan)[..., None, None]
        target = (context_shares(data) if known is None else known)[..., None] * chosen
        return Setting(chosen, known, data, target, law, None if free else (target > 0) & (data.counts == 0))
    law = check_behavior(behavior, data)
    _check.broadcast("data, behavior and policy", data.shape, law.shape[:-2], chosen.shape[:-2])
    wanted = (law.sum(axis=-1) if known is None else known)[..., None] * chosen
    if not free:
        supported = (wanted == 0) | (law > 0)
        if not np.all(supported):
            *_, s, a = np.argwhere(~supported)[0].tolist()
            raise ValueError(
                f"behavior must be positive where the policy plays: it never plays arm {a} in context {s}, so no "
                "weight makes up for it (switch and switch_doubly_robust ask a model there)"
            )
    return Setting(chosen, known, data, wanted, law, None)


def context_shares(data: BanditData) -> Floats:
    """(..., S) shares of the contexts in the log; NaN if it is empty."""
    return np.asarray(np.einsum("...sa->...s", data.counts) / np.where(data.n > 0, data.n, np.nan)[..., None])


def check_unused(behavior: ArrayLike | None) -> None:
    """A behavior that plays no part must still be numbers: it may stand in the place of another argument."""
    if behavior is not None:
        _check.real_array("behavior", behavior, low=0.0)


def check_behavior(behavior: ArrayLike, data: BanditData) -> Floats:
    """The joint law, positive where the data have rounds."""
    given = _check.real_array("behavior", behavior, min_ndim=2, low=0.0)
    if given.shape[-2:] != data.counts.shape[-2:]:
        raise ValueError(f"behavior must end in shape {data.counts.shape[-2:]} like data, got {given.shape}")
    if data.n_contexts > 1 and np.all(np.abs(given.sum(axis=-1) - 1.0) <= _check.SUM_TOLERANCE):
        raise ValueError(ONE_LAW + MAKE_JOINT)
    law = _check.law("behavior", given, axes=2)
    if np.any(law == 0):
        _check.broadcast("data and behavior", data.shape, law.shape[:-2])
        possible = (law > 0) | (data.counts == 0)
        if not np.all(possible):
            *_, s, a = np.argwhere(~possible)[0].tolist()
            raise ValueError(f"behavior must be positive where data has rounds: it is 0 at context {s}, arm {a}")
    return law


def check_model(name: str, model: ArrayLike, data: BanditData | PropensityData) -> Floats:
    """Finite predictions of rewards, broadcast to (..., S, A)."""
    if not isinstance(data, BanditData | PropensityData):
        _check.instance("data", data, BanditData)
    table = _check.real_array(name, model)
    shape = (data.n_contexts, data.n_arms)
    if (table.ndim > 1 and table.shape[-2:] != shape) or (table.ndim == 1 and table.shape[-1] not in (1, shape[1])):
        raise ValueError(f"{name} must have shape (..., {shape[0]}, {shape[1]}) like data, got {table.shape}")
    return np.asarray(np.broadcast_to(table, (*table.shape[:-2], *shape)))


def check_fill(fill: ArrayLike, data: BanditData) -> Floats:
    """Rewards for unseen pairs: inside the range of rewards, or NaN."""
    given = _check.numeric("fill", fill)
    known = check_model("fill", np.where(np.isnan(given), 0.0, given), data)
    missing = np.broadcast_to(np.isnan(given), known.shape)
    low, high = data.reward_range
    _check.require("fill", known, missing | ((known >= low) & (known <= high)), f"in reward_range [{low:g}, {high:g}]")
    return np.where(missing, np.nan, known)


def check_rewards(name: str, table: Floats, data: BanditData) -> Floats:
    """A table inside the range of rewards."""
    low, high = data.reward_range
    _check.require(name, table, (table >= low) & (table <= high), f"in reward_range [{low:g}, {high:g}]")
    return table


def check_groups(groups: ArrayLike, data: BanditData) -> Ints:
    """(S, A) labels of groups from 0; one row serves all contexts."""
    labels = _check.whole_array("groups", groups, high=data.n_arms * data.n_contexts)
    if labels.shape not in (shape := data.counts.shape[-2:], shape[1:]):
        raise ValueError(f"groups must have shape {shape[1:]} or {shape}, got {labels.shape}")
    return np.broadcast_to(labels, shape)


def stated_policy(
    data: PropensityData, policy: ArrayLike, behavior: ArrayLike | None, contexts: ArrayLike | None
) -> Floats:
    """The policy; propensities of rounds leave nothing to be said about the behavior, and take contexts as logged."""
    if behavior is not None:
        raise ValueError("behavior must be None for PropensityData, which state the propensity of every round")
    if contexts is not None:
        raise ValueError("contexts must be None for PropensityData: only per_context_ips weighs contexts anew")
    chosen = check_arm_law(policy, data.n_contexts, data.n_arms)
    _check.broadcast("data and policy", data.shape, chosen.shape[:-2])
    return chosen


def of_table(form: Form, place: Setting, data: BanditData) -> Floats:
    """The estimates (...,) of a form; NaN where a weight is."""
    average = weighted_average(form, data.counts, data.sums, data.n)
    if form.base is None:
        return average
    return np.asarray(average + np.einsum("...s,...sa,...sa->...", place.shares, place.policy, form.base))


def by_round(
    data: PropensityData, policy: Floats, reduce: Callable[[Floats], tuple[Floats, Floats]]
) -> tuple[Floats, Floats]:
    """Sums (..., S, A) from a function of policies over the pairs of all logs in one axis, as rounds are sorted."""
    shape = np.broadcast_shapes(policy.shape[:-2], data.shape) + data.counts.shape[-2:]
    front = len(shape) - data.counts.ndim
    if shape[front:] != data.counts.shape:
        raise ValueError(f"policy must have batch axes that end in those of data, {data.shape}, got {policy.shape}")
    flat = np.ascontiguousarray(np.broadcast_to(policy, shape)).reshape(*shape[:front], data.counts.size)
    weighted, weights = (x.reshape(shape) for x in reduce(flat))
    return weighted, weights


def of_rounds(data: PropensityData, policy: Floats, sums: tuple[Floats, Floats], model: Floats | None = None) -> Floats:
    """Average of w (r - q) over rounds, plus the model under the policy, from sums (..., S, A) of w r and of w."""
    weighted, weights = sums
    total = np.einsum("...sa->...", weighted)
    if model is not None:
        total = total - np.einsum("...sa,...sa->...", weights, model)
        total = total + np.einsum("...s,...sa,...sa->...", data.counts.sum(axis=-1), policy, model)
    return np.asarray(total / np.where(data.n > 0, data.n, np.nan))
