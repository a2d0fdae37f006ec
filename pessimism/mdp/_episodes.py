"""Logged episodes and two policies, checked: ratios as logarithms, and what an ended episode no longer counts for."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._types import Floats, Ints
from pessimism._warn import warn
from pessimism.mdp import _input
from pessimism.mdp._engine import weighing
from pessimism.mdp._engine.tables import as_law
from pessimism.mdp._off_policy import behavior_policy, never_plays
from pessimism.mdp.data import Transitions

Log = Transitions | Iterable[Transitions]


class Episodes(NamedTuple):
    """Logs (..., n, H) as estimators read them.

    Attributes
    ----------
    states, actions : (..., n, H) int
        Labels; 0 once the episode has ended.
    gains : (..., n, H) float
        Discounted rewards; 0 once the episode has ended.
    log_weight : (..., n, H) float
        Logarithms of W_t; the ratio is 1 once the episode has ended.
    factor : (..., n, H) float
        Powers of the discount; 0 once the episode has ended.
    target : (..., 1 or H, S, A) float
        What the policy would have done.
    lacking : (...,) bool
        Data sets whose estimated behavior never did what the policy does in a state that it comes to.
    """

    states: Ints
    actions: Ints
    gains: Floats
    log_weight: Floats
    factor: Floats
    target: Floats
    lacking: NDArray[np.bool_]

    @property
    def n(self) -> int:
        return int(self.gains.shape[-2])

    @property
    def final_weight(self) -> Floats:
        """(..., n) logarithms of the whole weights."""
        return self.log_weight[..., -1] if self.log_weight.shape[-1] else np.zeros(self.log_weight.shape[:-1])

    @property
    def weight_before(self) -> Floats:
        """(..., n, H) logarithms of W_{t-1}."""
        first = np.zeros((*self.log_weight.shape[:-1], min(1, self.log_weight.shape[-1])))
        return np.concatenate([first, self.log_weight[..., :-1]], axis=-1)

    def told(self, estimate: Floats) -> Floats:
        """The estimate, NaN where there is none."""
        unknown = self.lacking if self.n else True
        return np.asarray(np.where(unknown, np.nan, estimate))


def episodes(
    log: Log, policy: ArrayLike, behavior: ArrayLike | None, discount: float | None, q: Floats | None = None
) -> Episodes:
    """Check all four; Q (..., S, A) only says how many states and actions there are."""
    whole, live = _rectangle(log)
    horizon = whole.rewards.shape[-1]
    gamma = _input.discount(discount, horizon)
    states, actions = np.where(live, whole.states, 0), np.where(live, whole.actions, 0)
    sizes = _sizes(policy, behavior, q, actions)
    for name, labels, size in (("states", states, sizes[0]), ("actions", actions, sizes[1])):
        _check.require(f"log.{name}", labels, labels < size, f"below {size}, as policy and behavior say")
    every = np.ones(sizes, np.bool_)  # a log does not tell which actions are feasible
    target = as_law(_input.check_policy(policy, every, horizon), sizes[1])
    if behavior is None:
        logged = weighing.frequencies(states, actions, live, sizes)
    else:
        logged = behavior_policy(behavior, every, horizon)
    batch = states.shape[:-2]
    _check.broadcast("log, policy and behavior", batch, target.shape[:-3], logged.shape[:-3])
    by_policy, by_behavior = (weighing.gathered(law, states, actions) for law in (target, logged))
    _require_possible(by_behavior, states, actions, live)
    with np.errstate(divide="ignore"):
        ratio = np.where(live, np.log(by_policy) - np.log(np.where(live, by_behavior, 1.0)), 0.0)
    factor = np.where(live, gamma ** np.arange(horizon), 0.0)
    weight = np.cumsum(ratio, axis=-1)
    found = Episodes(states, actions, factor * whole.rewards, weight, factor, target, np.zeros(weight.shape[:-2], bool))
    return found._replace(lacking=_lacking(found, logged, live, known=behavior is not None))


def _sizes(policy: ArrayLike, behavior: ArrayLike | None, q: Floats | None, actions: Ints) -> tuple[int, int]:
    """S and A, from the shapes of the policies or of Q; A from the largest action if no shape tells."""
    given = [_check.numeric("policy", policy)]
    if behavior is not None:
        given.append(_check.numeric("behavior", behavior))
    for name, x in zip(("policy", "behavior"), given, strict=False):
        if x.ndim < (2 if x.dtype.kind == "f" else 1) or 0 in x.shape:
            raise ValueError(f"{name} must have shape (..., [H,] S) of int or (..., [H,] S, A) of float, got {x.shape}")
    laws = [x for x in given if x.dtype.kind == "f"] + ([] if q is None else [q])
    states = {int(x.shape[-2 if x.dtype.kind == "f" else -1]) for x in given}
    if len(states) > 1 or len({x.shape[-1] for x in laws}) > 1:
        shapes = " and ".join(str(x.shape) for x in given + ([] if q is None else [q]))
        raise ValueError(f"policy, behavior and q must be over the same states and actions, got shapes {shapes}")
    if laws:
        return int(laws[0].shape[-2]), int(laws[0].shape[-1])
    chosen = (int(x.max()) for x in given)
    return int(given[0].shape[-1]), 1 + max(int(actions.max(initial=0)), *chosen, 0)


def _require_possible(by_behavior: Floats, states: Ints, actions: Ints, live: NDArray[np.bool_]) -> None:
    bad = np.argwhere(live & (by_behavior == 0.0))
    if len(bad):
        place = tuple(bad[0].tolist())
        own = place[len(place) - states.ndim :]
        episode, step = own[-2:]
        raise ValueError(
            f"behavior must be positive where the log acts: in episode {episode}, step {step}, it took action "
            f"{actions[own]} in state {states[own]}, which has probability 0"
        )


def _lacking(found: Episodes, logged: Floats, live: NDArray[np.bool_], *, known: bool) -> NDArray[np.bool_]:
    """Data sets with an episode that is still possible under the policy where the log could not have followed it."""
    never = (found.target > 0.0) & (logged == 0.0)
    if not never.any():
        return found.lacking
    here = weighing.gathered(never.any(axis=-1), found.states)
    bad = here & live & (found.weight_before > -np.inf)
    if known and bad.any():
        place = tuple(np.argwhere(bad)[0].tolist())
        step, state = place[-1], int(found.states[place[len(place) - found.states.ndim :]])
        wide = np.broadcast_to(never, (*bad.shape[:-2], *never.shape[-3:]))
        action = int(wide[place[:-2]][step % wide.shape[-3], state].argmax())
        raise ValueError(never_plays(step, state, action))
    return np.asarray(bad.any(axis=(-2, -1)))


def _rectangle(log: Log) -> tuple[Transitions, NDArray[np.bool_]]:
    """Episodes (..., n, H), and which of their steps were before their end."""
    if isinstance(log, Transitions):
        whole, live = log, np.ones(log.rewards.shape, np.bool_)
        if whole.rewards.ndim < 2:
            shape = whole.rewards.shape
            raise ValueError(f"log must have shape (..., episodes, steps), or be a list of episodes, got {shape}")
    elif isinstance(log, Iterable):
        whole, live = _padded(_check.listed("log", log, "Transitions"))
    else:
        raise TypeError(f"log must be Transitions or a list of them, got {type(log).__name__}")
    ended = whole.terminated | whole.truncated
    over = np.zeros(ended.shape, np.bool_)
    over[..., 1:] = np.logical_or.accumulate(ended, axis=-1)[..., :-1]
    live = live & ~over & ~_closed(whole, over)
    _check.require("log.rewards", whole.rewards, live | (whole.rewards == 0.0), "0 after its episode has ended")
    joined = ~live[..., 1:] | (whole.states[..., 1:] == whole.next_states[..., :-1])
    _check.require("log.states[..., 1:]", whole.states[..., 1:], joined, "where the step before it led")
    _warn_of_cuts(whole, live)
    return whole, live


def _closed(log: Transitions, over: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Steps in states in which episodes terminate and which are never left: an episode may begin there."""
    ends = np.unique(log.next_states[log.terminated & ~over])
    inside = np.isin(log.states, ends)
    moves = inside & ~over & ((log.next_states != log.states) | (log.rewards != 0.0))
    return inside & ~np.isin(log.states, log.states[moves])


def _padded(parts: list[Transitions]) -> tuple[Transitions, NDArray[np.bool_]]:
    if not parts:
        raise ValueError("log must hold at least one episode, got none")
    for k, part in enumerate(parts):
        _check.instance(f"log[{k}]", part, Transitions)
        if part.rewards.ndim != 1:
            raise ValueError(f"log[{k}] must be one episode of shape (T,), got {part.rewards.shape}")
        passed = ~part.terminated[:-1]
        _check.require(f"log[{k}].terminated", part.terminated[:-1], passed, "False before the last step")
    lengths = np.array([part.rewards.size for part in parts], np.int64)
    live = np.arange(lengths.max(initial=0)) < lengths[:, None]
    marks = any(part.terminated.any() or part.truncated.any() for part in parts)
    fields = {}
    for name in ("states", "actions", "rewards", "next_states", "terminated", "truncated"):
        rows = [getattr(part, name) for part in parts]
        table = np.zeros(live.shape, rows[0].dtype if rows else np.int64)
        table[live] = np.concatenate(rows) if rows else table[live]
        fields[name] = table.astype(np.bool_) if name.endswith("ated") else table
    last = live & ~np.roll(np.append(live, np.zeros((len(live), 1), np.bool_), axis=1), -1, axis=1)[:, :-1]
    if marks:  # where the end of any episode is marked, one without a mark was cut
        fields["truncated"] = fields["truncated"] | (last & ~fields["terminated"])
    return Transitions(**fields), live


def _warn_of_cuts(log: Transitions, live: NDArray[np.bool_]) -> None:
    cut = (log.truncated & ~log.terminated & live)[..., :-1]
    if cut.any():
        *_, episode, step = np.argwhere(cut)[0].tolist()
        warn(
            f"{int(cut.sum())} episodes were truncated before the last of {live.shape[-1]} steps, the first of them "
            f"episode {episode} after step {step}: what would have followed counts as 0. If only the first steps are "
            "to be valued, cut all episodes there"
        )
