"""Two policies of one model, checked: the one that is judged, and the one that made the episodes."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._types import Floats
from pessimism.mdp import _input
from pessimism.mdp._engine import variance
from pessimism.mdp._engine.tables import as_law
from pessimism.mdp._engine.variance import Steps
from pessimism.mdp.model import MDP


def behavior_policy(behavior: ArrayLike, mask: NDArray[np.bool_], horizon: int | None) -> Floats:
    """Laws over actions (..., [1 or H,] S, A) of the policy that made a log; `mask` (S, A) says what is feasible."""
    given = _check.numeric("behavior", behavior)
    if given.dtype.kind == "f":
        _check.require("behavior", given, ~(given < 0.0), "at least 0 (are they logarithms?)")
    if given.dtype.kind == "f" and len(mask) > 1 and given.shape[-2:] == mask.shape:
        whole = np.abs(given.sum(axis=(-2, -1)) - 1.0) <= _check.SUM_TOLERANCE
        if whole.all() and whole.size:
            raise ValueError(
                "behavior must hold a law over actions for every state, but sums to 1 as a whole: the joint law of "
                "(state, action)? Divide it by the law of the states"
            )
    return as_law(_input.check_policy(behavior, mask, horizon, "behavior"), mask.shape[1])


class OffPolicy:
    """A model in steps, its start law, and the laws of both policies (1 or H, S, A).

    In terminal states both are the same: an episode that has ended has ratio 1 and reward 0.
    """

    def __init__(self, mdp: MDP, policy: ArrayLike, behavior: ArrayLike, *, horizon: bool = True) -> None:
        self.steps, self.target = judged(mdp, policy, horizon=horizon)
        self.logged = _single(mdp, "behavior", behavior_policy(behavior, mdp.feasible, mdp.horizon))
        self.start, self.discount, self.horizon = mdp.start, mdp.discount, mdp.horizon or 0
        self.forever = mdp.horizon is None

    @property
    def pair(self) -> tuple[Steps, Floats, Floats, Floats]:
        """What recursions over both policies begin with."""
        return self.steps, self.start, self.target, self.logged

    @property
    def whole(self) -> tuple[Steps, Floats, Floats, Floats, float, int]:
        """The same with discount and horizon."""
        return (*self.pair, self.discount, self.horizon)

    def uncovered(self) -> tuple[int, int, int] | None:
        """The first step, state and action that the policy reaches and the behavior never plays."""
        within = self.steps.size[0] if self.forever else self.horizon  # what is ever reached is within S steps
        return variance.uncovered(*self.pair, within)

    def require_support(self) -> None:
        lacking = self.uncovered()
        if lacking is not None:
            raise ValueError(never_plays(*lacking))


def never_plays(step: int, state: int, action: int) -> str:
    return (
        "behavior must be positive where the policy plays: "
        f"at step {step} it never takes action {action} in state {state}, so no weight makes up for it"
    )


def judged(mdp: MDP, policy: ArrayLike, *, horizon: bool = True) -> tuple[Steps, Floats]:
    """The steps of a single model and a single policy in it."""
    _check.instance("mdp", mdp, MDP)
    if mdp.shape:
        raise ValueError(f"mdp must be a single model, got a batch of shape {mdp.shape}")
    if horizon and mdp.horizon is None:
        raise ValueError("mdp must have a horizon: episodes have a length")
    target = _single(mdp, "policy", as_law(mdp._policy("policy", policy), mdp.n_actions))
    return Steps(mdp.tables, mdp.rewards, mdp.reward_law), target


def _single(mdp: MDP, name: str, law: Floats) -> Floats:
    core = 2 if mdp.horizon is None else 3
    if law.ndim != core:
        raise ValueError(f"{name} must be a single policy, got a batch of shape {law.shape[:-core]}")
    stepped = law if mdp.horizon is not None else law[None]
    return np.where(mdp.terminal[:, None], 1.0 / mdp.n_actions, stepped)


def per_step(mdp: MDP, name: str, table: Any, *, low: float = -np.inf) -> Floats:
    """Finite numbers (1 or H, S, A)."""
    clean = _check.real_array(name, table, low=low)
    shape = (mdp.n_states, mdp.n_actions)
    if clean.shape == shape:
        clean = clean[None]
    if clean.ndim != 3 or clean.shape[1:] != shape or len(clean) not in (1, mdp.horizon):
        raise ValueError(f"{name} must have shape (H, S, A) or (S, A) with H = {mdp.horizon}, got {np.shape(table)}")
    return clean
