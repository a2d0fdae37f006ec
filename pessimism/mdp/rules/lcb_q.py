r"""Pessimistic Q-learning (LCB-Q): one pass over logged episodes, without a model.

At the n-th visit of (h, s, a), with learning rate :math:`\eta_n = (H+1)/(H+n)` and width
:math:`b_n = c\sqrt{H^3\iota^2/n}`,

.. math:: Q_h \leftarrow (1-\eta_n) Q_h + \eta_n (r + V_{h+1}(s') - b_n), \qquad V_h \leftarrow \max\{V_h, \max_a Q_h\},

from Q = V = 0; the policy changes only where V rises.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._batch import on_threads, read_only
from pessimism._status import Status
from pessimism._types import Ints
from pessimism.mdp import _input, _raw
from pessimism.mdp._engine import ending
from pessimism.mdp._engine.counting import Rows
from pessimism.mdp._engine.solution import finished
from pessimism.mdp._feasible import admissible
from pessimism.mdp.data import Transitions
from pessimism.mdp.planning import Plan
from pessimism.mdp.rules._empirical import positive
from pessimism.mdp.rules._imitation import marked, told

__all__ = ["lcb_q"]


def lcb_q(
    log: Transitions,
    *,
    n_states: int | None = None,
    n_actions: int | None = None,
    delta: float | None = None,
    constant: ArrayLike = 0.01,
    reward_range: tuple[float, float] = (0.0, 1.0),
    feasible: ArrayLike | None = None,
) -> Plan:
    r"""Policy of pessimistic Q-learning on episodes in their order.

    Parameters
    ----------
    log : Transitions
        Episodes (..., K, H); leading axes are separate logs. What follows a terminated transition must stay in its
        state and earn 0; it is not learned from, and the state is worth 0.
    n_states, n_actions : int, optional
        S and A. Default: one more than the largest label. Pass them: a label that was never seen is missed.
    delta : float, optional
        :math:`\delta` in :math:`\iota = \log(SAT/\delta)` with T = KH, in (0, 1). Default 1/max(K, 2).
    constant : (...) array_like of float
        Factor c, positive. The constant of the analysis is larger; its size is not known to us. It broadcasts with the
        batch of the logs.
    reward_range : (float, float)
        Interval known to hold every reward.
    feasible : (S, A) array_like of bool, optional
        As for `MDPData.from_transitions`.

    Returns
    -------
    Plan
        Its value is meant as a lower bound, and no fixed point (status COMPLETED, error bound inf); `iterations` counts
        how often a value rose. Where it never did, the policy is the most frequent action; if that is so everywhere,
        the status is NO_UPDATE, and IMITATION if it is the most frequent one everywhere all the same. A warning says
        where that is so in all logs.

    Raises
    ------
    ValueError, TypeError
        If the log is not of episodes, an action was infeasible or an argument is out of its range.

    Warns
    -----
    ImitationWarning
        If the policy departs nowhere from imitation in all data sets.

    See Also
    --------
    pessimism.mdp.bounds.episodic_rate : Rates of this and other rules for episodes.

    Notes
    -----
    Cost O(KH + HSA) a log; logs of a batch run on all cores. Source: Shi et al. (2022), ICML. Their rate,
    :math:`H^6 S C^*/\varepsilon^2` samples, is published; the update and its widths are written down here from memory
    and not verified against the paper.

    Examples
    --------
    >>> log = Transitions(np.zeros((500, 1), int), np.ones((500, 1), int), np.ones((500, 1)), np.zeros((500, 1), int))
    >>> lcb_q(log, n_states=1, n_actions=2).policy.tolist()
    [[1]]
    """
    _check.instance("log", log, Transitions)
    if log.rewards.ndim < 2:
        raise ValueError(f"log must be of episodes (..., K, H), got shape {log.rewards.shape}")
    low, high = _check.interval("reward_range", reward_range)
    if not math.isfinite(high - low):
        raise ValueError(f"reward_range must be finite, got {_check.shown(reward_range)}")
    episodes, horizon = log.rewards.shape[-2:]
    ended, mask = _ended(log, _sizes(log, n_states, n_actions, feasible), n_states is None, feasible)
    sizes, counted = (mask.shape[0], mask.shape[1]), ended.counted.reshape(log.rewards.shape)
    inside = (log.rewards >= low) & (log.rewards <= high)
    _check.require("rewards", log.rewards, inside | ~counted, f"in reward_range [{low:g}, {high:g}]")
    if ended.terminal.any():  # what has ended is worth 0
        low, high = min(low, 0.0), max(high, 0.0)
    d = 1.0 / max(episodes, 2) if delta is None else _check.open_unit_interval("delta", delta)
    pairs = max(int((mask & ~ended.terminal[:, None]).sum()), 1)
    iota = math.log(pairs * max(episodes * horizon, 1) / d)
    bonus = positive("constant", constant) * math.sqrt(horizon**3) * iota

    from pessimism.mdp._engine.q_learning import q_learning

    batch = _check.broadcast("log and constant", log.rewards.shape[:-2], np.shape(bonus))
    flat, bonuses = (math.prod(batch), episodes, horizon), np.array(np.broadcast_to(bonus, batch)).ravel()

    def wide(x: Any) -> Any:  # numpydoc ignore=GL08
        full = np.broadcast_to(x.reshape(log.rewards.shape), (*batch, episodes, horizon))
        return read_only(np.ascontiguousarray(full).reshape(flat))

    states, actions, later, received = map(wide, (log.states, log.actions, ended.next_states, log.rewards))
    left = np.arange(horizon, 0, -1.0)[:, None]
    given = np.where(ended.terminal, -low / (high - low) * left, -1.0)
    rewards = (received - low) / (high - low)
    results = on_threads(
        lambda part: q_learning(states[part], actions[part], rewards[part], later[part], *sizes, bonuses[part], given),
        len(states),
    )
    values, policies, updates, tables = (np.concatenate(x) for x in zip(*results, strict=True))
    shape, rises = (*batch, horizon, sizes[0]), updates.reshape(batch)
    value = np.where(ended.terminal, 0.0, low * left + (high - low) * values.reshape(shape))
    q = np.where(ended.terminal[:, None], 0.0, low * left[..., None] + (high - low) * tables.reshape(*shape, sizes[1]))
    policy, updated = admissible(policies.reshape(shape), mask), np.asarray(rises > 0)
    done = finished(policy, value, batch, rises, status=Status.COMPLETED, updated=updated, q=np.where(mask, q, -np.inf))
    visits = _visits(states, actions, wide(counted), sizes).reshape(*shape, sizes[1])
    return told(marked(Plan(*done), admissible(visits.argmax(axis=-1), mask)), "lcb_q", visits)


def _visits(states: Ints, actions: Ints, counted: NDArray[np.bool_], sizes: tuple[int, int]) -> Ints:
    """How often the pairs of every step (items, H, S, A) were met in logs (items, K, H)."""
    items, _, horizon = states.shape
    step = np.arange(items)[:, None, None] * horizon + np.arange(horizon)
    cells = (step * sizes[0] + states) * sizes[1] + actions
    table = (items, horizon, *sizes)
    return np.bincount(cells[counted], minlength=math.prod(table)).reshape(table)


def _ended(
    log: Transitions, sizes: tuple[int, int], may_grow: bool, feasible: ArrayLike | None
) -> tuple[ending.Ending, NDArray[np.bool_]]:
    """The log with its terminal states, and the mask (S, A) of all its states."""
    fields = (x.ravel() for x in (log.states, log.actions, log.rewards, log.next_states))
    nowhere = np.zeros(log.rewards.size, np.int64)
    rows, terminated = Rows._make((*fields, nowhere, nowhere)), log.terminated.ravel()
    size, extra = _input.room_for_ends(rows, terminated, sizes[0], may_grow)
    ended = ending.resolve(rows, terminated, size, extra)
    return ended, _raw.mask_of(feasible, rows, ended.terminal, ended.counted.reshape(log.rewards.shape), sizes)


def _sizes(
    log: Transitions, n_states: int | None, n_actions: int | None, feasible: ArrayLike | None
) -> tuple[int, int]:
    given = _raw.sizes_given(n_states, n_actions, feasible)
    return _size("n_states", given[0], log.states, log.next_states), _size("n_actions", given[1], log.actions)


def _size(name: str, given: int | None, *labels: Ints) -> int:
    seen = 1 + max((int(x.max(initial=0)) for x in labels), default=0)
    if given is not None and seen > _check.count(name, given):
        raise ValueError(f"{name} must be at least {seen}, the labels of the log, got {given}")
    return seen if given is None else int(given)
