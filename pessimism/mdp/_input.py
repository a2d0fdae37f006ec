"""User input to the tables of models and data, or one error that names the argument and what was expected.

With a horizon every table has a step axis, of length 1 if it is the same at all steps.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._types import Floats, Ints
from pessimism.mdp._engine.counting import Rows
from pessimism.mdp._engine.ending import conflict
from pessimism.mdp._engine.splitting import Statistics
from pessimism.mdp._engine.tables import States, per_successor, staying
from pessimism.mdp._feasible import feasible, require_actions, require_none, unread

Policy = Ints | Floats

MAX_STATES = 2**31 - 1


def model(
    next_states: ArrayLike,
    probabilities: ArrayLike,
    rewards_of: ArrayLike,
    start: ArrayLike | None,
    gamma: float | None,
    horizon: int | None,
    reward_law: str,
    span: tuple[float, float] | None,
    ending: ArrayLike | None,
    allowed: ArrayLike | None,
) -> tuple[Any, ...]:
    """The fields of a model, in their order."""
    steps = None if horizon is None else _check.whole("horizon", horizon, low=0, high=MAX_STATES)
    successors, p, ends, mask = transitions(next_states, probabilities, steps, ending, allowed)
    n_states = len(ends)
    law = _check.choice("reward_law", reward_law, ("deterministic", "bernoulli"))
    own_axes = successors.shape[successors.ndim - np.ndim(next_states) :]
    r = rewards(rewards_of, own_axes, steps, law, ends, mask)
    rho = _check.law("start", np.full(n_states, 1.0 / n_states) if start is None else start, axes=1)
    if rho.shape[-1] != n_states:
        raise ValueError(f"start must have {n_states} entries, one a state, got {rho.shape[-1]}")
    core = successors.ndim
    _check.broadcast("probabilities, rewards and start", p.shape[:-core], batch(r, successors), rho.shape[:-1])
    by_successor = p if per_successor(r, successors) else None
    known = reward_range(span, r, by_successor, law, mask & ~ends[:, None])
    return successors, p, r, rho, discount(gamma, steps), steps, law, known, ends, mask


def transitions(
    next_states: ArrayLike,
    probabilities: ArrayLike,
    horizon: int | None,
    ending: ArrayLike | None,
    allowed: ArrayLike | None,
) -> tuple[States, Floats, NDArray[np.bool_], NDArray[np.bool_]]:
    """Lists of successors and their probabilities, with a step axis if there is a horizon; terminal states; feasible.

    Infeasible pairs stay where they are, whatever was given for them.
    """
    successors = lists(next_states, (3,) if horizon is None else (3, 4))
    core = successors.ndim
    ends = terminal(ending, successors.shape[-3])
    mask = feasible(allowed, successors.shape[-3:-1], ends)
    if not mask.all():
        successors = np.where(mask[..., None], successors, np.arange(len(ends))[:, None, None])
        probabilities = unread("probabilities", probabilities, mask[..., None], np.eye(1, successors.shape[-1])[0])
    p = _check.real_array("probabilities", probabilities, low=0.0)
    if p.shape[p.ndim - core :] != successors.shape:
        raise ValueError(f"probabilities must end in the shape {successors.shape} of next_states, got {p.shape}")
    if ends.any():
        stays = (p == 0) | (successors == np.arange(len(ends))[:, None, None])
        _check.require("probabilities", p, stays | ~ends[:, None, None], "0 where a terminal state would be left")
        p = np.where(ends[:, None, None], np.eye(1, p.shape[-1])[0], p)
        successors = staying(successors, ends)
    _check.require_total_one("probabilities", p, axes=1)
    if horizon is not None:
        if core == 3:
            successors, p = successors[None], p[..., None, :, :, :]
        if successors.shape[0] not in (1, horizon):
            raise ValueError(f"next_states must have 1 or horizon = {horizon} steps, got {successors.shape[0]}")
    return successors.astype(np.int32), p, ends, mask


def terminal(value: ArrayLike | None, n_states: int) -> NDArray[np.bool_]:
    """(S,) bool, the states that end an episode; none by default."""
    return _check.flag_array("terminal", value, (n_states,), ", one a state")


def lists(next_states: ArrayLike, axes: tuple[int, ...]) -> Ints:
    """Lists of successors with one of the allowed numbers of `axes`."""
    successors = _check.whole_array("next_states", next_states)
    if successors.ndim not in axes or 0 in successors.shape[-3:]:
        known = " or ".join({3: "(S, A, B)", 4: "(H, S, A, B)"}[k] for k in axes)
        raise ValueError(f"next_states must have shape {known} with no axis of length 0, got {successors.shape}")
    return _check.whole_array("next_states", successors, high=successors.shape[-3] - 1)


def rewards(
    value: ArrayLike,
    table: tuple[int, ...],
    horizon: int | None,
    law: str,
    ends: NDArray[np.bool_],
    mask: NDArray[np.bool_],
) -> Floats:
    """Mean rewards, with a step axis if there is a horizon; terminal states and infeasible pairs earn nothing.

    `table` is the shape of next_states as given: it says whether the rewards have a step axis of their own.
    """
    if not mask.all():
        entries = _check.numeric("rewards", value).shape[-len(table) :] == table
        value = unread("rewards", value, mask[..., None] if entries else mask, 0.0)
    r = _check.real_array("rewards", value)
    if law == "bernoulli":
        _check.require("rewards", r, (r >= 0) & (r <= 1), "in [0, 1]: they are Bernoulli means")
    if r.shape[-len(table) :] != table and r.shape[1 - len(table) :] != table[:-1]:
        raise ValueError(f"rewards must end in shape {table[:-1]} or {table}, as the transitions have, got {r.shape}")
    if horizon is not None and horizon > 1 and len(table) == 3 and r.shape == (horizon, *table[:-1]) != table:
        raise ValueError(
            f"rewards of shape {r.shape} would be a batch of {horizon} models: for rewards that change with the step, "
            "give next_states and probabilities a step axis too; for a batch, rewards one more axis of length 1"
        )
    core = len(table) - (r.shape[-len(table) :] != table)
    by_state = ends.reshape(-1, *[1] * (1 if r.shape[-len(table) :] != table else 2))
    _check.require("rewards", r, (r == 0) | ~by_state, "0 in terminal states, which earn nothing")
    return np.expand_dims(r, -core - 1) if horizon is not None and len(table) == 3 else r


def above(low: float, high: float) -> float:
    """The upper end of a range of rewards from `low` to `high`; of one point it is one more, in digits that count."""
    return high if high > low else low + max(1.0, 1e-9 * abs(low))


def reward_range(
    given: tuple[float, float] | None, r: Floats, probabilities: Floats | None, law: str, logged: NDArray[np.bool_]
) -> tuple[float, float]:
    """The interval given, if it holds every reward that can occur; by default (0, 1) or the smallest that does.

    For rewards per successor pass their `probabilities`: what has probability 0 does not occur. Nor do pairs earn
    anything that are not `logged` (S, A): of terminal states, or infeasible.
    """
    low, high = 0.0, 1.0
    if law == "deterministic" and r.size and logged.any():
        occurs = logged if probabilities is None else (probabilities > 0) & logged[..., None]
        low = float(np.where(occurs, r, np.inf).min())
        high = float(np.where(occurs, r, -np.inf).max())
    if given is None:
        return (0.0, 1.0) if low >= 0 and high <= 1 else (low, above(low, high))
    a, b = _check.interval("reward_range", given)
    if not (a <= low and high <= b):
        raise ValueError(f"reward_range must hold the rewards, which are in [{low:g}, {high:g}], got {given!r}")
    return a, b


def room_for_ends(rows: Rows, terminated: NDArray[np.bool_], size: int, may_grow: bool) -> tuple[int, int | None]:
    """S, and the state of their own to which terminated transitions lead if one in which they end is also passed."""
    found = conflict(rows, terminated, size) if terminated.any() else None
    if found is None:
        return size, None
    if may_grow:
        return size + 1, size
    if size - 1 in (rows.states.max(), rows.next_states.max()):
        end, other = found
        raise ValueError(
            f"n_states must be at least {size + 1}: transition {end} terminates in state {rows.next_states[end]}, "
            f"which transition {other} passes, so that ends need a state of their own, the last"
        )
    return size, size - 1


def batch(r: Floats, next_states: States) -> tuple[int, ...]:
    """Leading axes of rewards."""
    core = next_states.ndim if per_successor(r, next_states) else next_states.ndim - 1
    return r.shape[: r.ndim - core]


def discount(value: float | None, horizon: int | None) -> float:
    """gamma in [0, 1), or in [0, 1] with a horizon, where 1 is the default."""
    if horizon is not None:
        return 1.0 if value is None else _check.between("discount", value, 0.0, 1.0)
    if value is None:
        raise ValueError("discount must be given, in [0, 1), unless there is a horizon")
    return _check.between("discount", value, 0.0, 1.0, "[)")


def total_discount(gamma: float, horizon: int | None) -> float:
    """Value of a reward of 1 at every step."""
    if horizon is None:
        return 1.0 / (1.0 - gamma)
    return float(horizon) if gamma == 1.0 else (1.0 - gamma**horizon) / (1.0 - gamma)


def check_policy(policy: ArrayLike, mask: NDArray[np.bool_], horizon: int | None, name: str = "policy") -> Policy:
    """Feasible actions (int64) or laws over them (float64), with a step axis if there is a horizon.

    `mask` (S, A) says which actions are feasible.
    """
    n_states, n_actions = mask.shape
    kind = {"i": "int", "u": "int", "b": "bool", "f": "float"}[_check.numeric(name, policy).dtype.kind]
    whole = kind == "int"
    if whole:
        clean: Policy = _check.whole_array(name, policy, high=n_actions - 1)
        core: tuple[int, ...] = (n_states,)
    else:
        clean = _check.law(name, policy, axes=1)
        core = (n_states, n_actions)
    if horizon is not None and clean.shape == core:
        clean = clean[None]  # the same at every step
    stepped = core if horizon is None else (horizon, *core)
    if clean.shape[-len(stepped) :] not in (stepped, (1, *core)[-len(stepped) :]):
        shown = ("H, " if horizon is not None else "") + "S"
        sizes = f"S = {n_states}, A = {n_actions}" + (f", H = {horizon}" if horizon is not None else "")
        expected = f"(..., {shown}) of int or (..., {shown}, A) of float with {sizes}"
        raise ValueError(f"{name} must have shape {expected}, got {kind} of shape {clean.shape}")
    if whole:
        require_actions(name, clean.astype(np.int64, copy=False), mask)
    else:
        require_none(name, clean, mask)
    return clean


def from_dense(
    matrices: ArrayLike, earned: ArrayLike, horizon: int | None, ends: ArrayLike | None, allowed: ArrayLike | None
) -> tuple[Ints, Floats, ArrayLike]:
    """Padded lists and rewards from matrices ([H,] S, A, S).

    Rows may be 0 in terminal states and anything if they are infeasible.
    """
    if any(hasattr(x, "tocsr") for x in (matrices if isinstance(matrices, (list, tuple)) else [matrices])):
        raise TypeError("transitions must be an array: for matrices of scipy.sparse see MDP.sparse")
    full = _check.numeric("transitions", matrices)
    if full.ndim not in (3, 4) or full.shape[-1] != full.shape[-3] or 0 in full.shape[-3:]:
        raise ValueError(f"transitions must have shape (S, A, S) or (H, S, A, S), got {full.shape}")
    if allowed is not None:
        none = np.zeros(full.shape[-1], np.bool_) if ends is None else terminal(ends, full.shape[-1])
        mask = feasible(allowed, full.shape[-3:-1], none)
        full = np.where(mask[..., None], full, np.eye(full.shape[-1])[:, None, :])
    full = _check.real_array("transitions", full, low=0.0)
    if ends is not None:
        empty = terminal(ends, full.shape[-1])[:, None] & ~full.any(axis=-1)
        full = np.where(empty[..., None], np.eye(full.shape[-1])[:, None, :], full)
    _check.require_total_one("transitions", full, axes=1)
    width = int((full > 0).sum(axis=-1).max(initial=1))
    order = np.argsort(full == 0, axis=-1, kind="stable")[..., :width]
    p, r = np.take_along_axis(full, order, axis=-1), _check.numeric("rewards", earned)
    if p.ndim == 4 and horizon is None:
        raise ValueError(f"transitions must have shape (S, A, S) without a horizon, got {full.shape}")
    if r.shape[-p.ndim :] == full.shape:
        if allowed is None:
            _check.real_array("rewards", r)  # also those of what never happens
        r = np.take_along_axis(r, np.broadcast_to(order, r.shape[:-1] + p.shape[-1:]), axis=-1)
    return order, p, r


def from_function(
    step: Callable[[int, int], Iterable[tuple[float, int, float]]],
    n_states: int,
    n_actions: int,
    ends: ArrayLike | None,
    allowed: ArrayLike | None,
) -> tuple[Ints, Floats, Floats]:
    """Padded lists, probabilities and rewards per successor from the outcomes that `step(s, a)` lists.

    It is not asked about terminal states and infeasible actions.
    """
    n_states, n_actions = _check.count("n_states", n_states), _check.count("n_actions", n_actions)
    _check.function("step", step, "of state and action")
    pairs: list[dict[int, tuple[float, float]]] = []
    ended = terminal(ends, n_states)
    asked = feasible(allowed, (n_states, n_actions), ended) & ~ended[:, None]
    for s in range(n_states):
        for a in range(n_actions):
            merged: dict[int, tuple[float, float]] = {}
            listed = _outcomes(f"step({s}, {a})", step(s, a), n_states) if asked[s, a] else [(1.0, s, 0.0)]
            for probability, successor, reward in listed:
                if probability > 0:
                    p, weighted = merged.get(successor, (0.0, 0.0))
                    merged[successor] = (p + probability, weighted + probability * reward)
            if abs(sum(p for p, _ in merged.values()) - 1.0) > _check.SUM_TOLERANCE:
                raise ValueError(f"step({s}, {a}) must list probabilities that sum to 1, got {merged}")
            pairs.append(merged)
    return padded(
        [[(successor, p, weighted / p) for successor, (p, weighted) in sorted(merged.items())] for merged in pairs],
        n_actions,
    )


def padded(pairs: list[list[tuple[int, float, float]]], n_actions: int) -> tuple[Ints, Floats, Floats]:
    """Lists (S, A, B) from the (successor, probability, reward) of every pair, all actions of a state in a row."""
    shape = (len(pairs) // n_actions, n_actions, max(map(len, pairs)))
    successors, probabilities, rewards = np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape)
    for index, outcomes in enumerate(pairs):
        place = divmod(index, n_actions)
        for b, outcome in enumerate(outcomes):
            successors[*place, b], probabilities[*place, b], rewards[*place, b] = outcome
    return successors, probabilities, rewards


def _outcomes(name: str, listed: Any, n_states: int) -> list[tuple[float, int, float]]:
    if not isinstance(listed, Iterable):
        raise TypeError(f"{name} must list outcomes (probability, next state, reward), got {_check.shown(listed)}")
    clean = []
    for i, outcome in enumerate(listed):
        try:
            probability, successor, reward = outcome
            exists = 0 <= successor < n_states and successor == int(successor)
            known = float(probability) == 0 or abs(float(reward)) <= _check.MAX_SIZE
            good = exists and float(probability) >= 0 and known
        except (TypeError, ValueError):
            good = False
        if not good:
            expected = f"(probability >= 0, next state below n_states = {n_states}, finite reward)"
            raise ValueError(f"{name}[{i}] must be {expected}, got {_check.shown(outcome)}")
        clean.append((float(probability), int(successor), float(reward)))
    return clean


def require_divisible(data: Statistics, *, steps: bool = False) -> None:
    """Raise a ValueError unless transitions can be drawn from the statistics."""
    if (data.next_states.ndim == 4) != steps:
        raise ValueError(
            "data must have a step axis: these are not logged episodes"
            if steps
            else "data must have no step axis: divide logged episodes with split_episodes"
        )
    if data.reward_law == "other":
        raise ValueError(
            "data must have rewards known to be 0 or 1, or constant for every (state, action, successor): sums of "
            "other rewards do not say which one to leave out; divide the raw log instead"
        )
