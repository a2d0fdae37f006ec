r"""Gymnasium's toy-text environments as models: their transition tables become an `MDP` that is solved exactly.

FrozenLake (of any map), CliffWalking and Taxi list their own transition probabilities: ``env.unwrapped.P[s][a]`` holds
tuples (probability, next state, reward, terminated).

=====================  ============================================================================================
in the environment     in our structure
=====================  ============================================================================================
tuples of P[s][a]      :math:`P(s' \mid s, a)` and the reward of each successor; tuples with the same successor and
                       reward are one, with the sum of their probabilities
initial_state_distrib  ``start``
terminated             a terminal state, worth 0, see below
truncated              nothing: a time limit is a wrapper. If it is part of the problem, pass it as `horizon`
=====================  ============================================================================================

*Where an episode ends.* Call a state terminal if some transition into it is terminated. If terminal states are entered
by termination only (transitions out of terminal states do not count), they are the model's ``terminal`` states and S is
the environment's: FrozenLake, CliffWalking. Otherwise (Taxi: a passenger can be at the destination without having been
driven there) terminated transitions lead to one more state, of index S, and there are S + 1. Either way the value of a
policy is the expected sum of what ``env.step`` pays until it says terminated.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._optional import optional
from pessimism._shown import shown
from pessimism.mdp import MDP
from pessimism.mdp._input import padded

__all__ = ["mdp_from_env"]

Outcome = tuple[float, int, float, bool]
"""Probability, next state, reward, terminated."""

Law = list[list[list[Outcome]]]
"""What can happen, by state and action."""


def mdp_from_env(
    env: Any, *, discount: float | None = None, horizon: int | None = None, start: ArrayLike | None = None
) -> MDP:
    r"""Model of an environment that lists its transitions.

    Parameters
    ----------
    env : gymnasium.Env or str
        Anything with ``env.unwrapped.P``; or an id, from which it is made with its default options. Wrappers are not
        looked at.
    discount : float, optional
        :math:`\gamma`, as for `MDP`.
    horizon : int, optional
        H, as for `MDP`.
    start : (..., S) array_like of float, optional
        Law of the first state, over the states of the environment. Default: its ``initial_state_distrib``.

    Returns
    -------
    MDP
        With a reward for every entry of its lists. S states, or S + 1 by the rule in the module docstring.

    Raises
    ------
    TypeError
        If the environment lists no transitions.
    ValueError
        If an entry of ``P`` cannot be (the message names it), if ``P`` is not all that the environment does (a fickle
        taxi), if there is no law of the first state, or as for `MDP`.
    ImportError
        If `env` is an id and Gymnasium is not installed.

    Notes
    -----
    A successor with several rewards (on slippery cliffs: into a wall, or down the cliff and back) keeps an entry for
    each, so that what is drawn from the model has the environment's law. Cost O(SAB).

    Examples
    --------
    The goal of a lake without wind is six steps away, and the sixth pays 1.

    >>> import gymnasium
    >>> lake = mdp_from_env(gymnasium.make("FrozenLake-v1", is_slippery=False), discount=0.9)
    >>> round(float(lake.optimal_values[0]), 5) == round(0.9**5, 5)
    True

    Along the cliff it is thirteen steps, each at a cost of 1.

    >>> float(mdp_from_env("CliffWalking-v1", horizon=20).optimal_values[0, 36])
    -13.0
    """
    if isinstance(env, str):
        made = optional("gymnasium", "rl").make(env)
        try:
            return mdp_from_env(made, discount=discount, horizon=horizon, start=start)
        finally:
            made.close()
    law, own = _law(env), getattr(env.unwrapped, "initial_state_distrib", None)
    if start is None and own is None:
        raise ValueError("start must be given: env.unwrapped has no initial_state_distrib")
    first = _start("initial_state_distrib", own, len(law)) if start is None else _start("start", start, len(law))
    begins = set() if own is None else set(np.flatnonzero(own).tolist())
    tables = _absorbed(law, begins, first)
    return MDP(*tables[:3], start=tables[3], discount=discount, horizon=horizon, terminal=tables[4])


def _law(env: Any) -> Law:
    """Clean outcomes of every state and action."""
    inner: Any = getattr(env, "unwrapped", None)
    if not hasattr(inner, "P"):
        raise TypeError(
            f"env must list its transitions in env.unwrapped.P, as toy-text environments do, got {shown(env)}: "
            "write a model with MDP.from_function, or log data"
        )
    if getattr(inner, "fickle_passenger", False):
        raise ValueError("env must do what its table P says: passengers who change their mind (fickle) are not in it")
    law: Law = []
    n_states = len(inner.P)
    for s in range(n_states):
        actions = _entry(inner.P, s, "P")
        if s and len(actions) != len(law[0]):
            raise ValueError(f"P[{s}] must have the {len(law[0])} actions of P[0], got {len(actions)}")
        names = [f"P[{s}][{a}]" for a in range(len(actions))]
        law.append([_outcomes(name, _entry(actions, a, f"P[{s}]"), n_states) for a, name in enumerate(names)])
    return law


def _entry(table: Any, key: int, name: str) -> Any:
    try:
        return table[key]
    except (LookupError, TypeError):
        raise ValueError(f"{name} must have the keys 0 to {len(table) - 1}, got none for {key}") from None


def _outcomes(name: str, listed: Any, n_states: int) -> list[Outcome]:
    clean = []
    for i, outcome in enumerate(listed):
        try:
            probability, successor, reward, terminated = outcome
            exists = 0 <= successor < n_states and successor == int(successor)
            good = exists and 0.0 <= probability <= 1.0 + _check.SUM_TOLERANCE
        except (TypeError, ValueError):
            good = False
        if not good:
            expected = f"(probability, next state in [0, {n_states - 1}], reward, terminated)"
            raise ValueError(f"{name}[{i}] must be {expected}, got {shown(outcome)}")
        if probability > 0:
            clean.append((float(probability), int(successor), float(reward), bool(terminated)))
    total = sum(outcome[0] for outcome in clean)
    if not abs(total - 1.0) <= _check.SUM_TOLERANCE:
        raise ValueError(f"{name} must list probabilities that sum to 1, got {shown(total)}")
    return clean


def _start(name: str, law: Any, n_states: int) -> Any:
    first = _check.law(name, law, axes=1)
    if first.shape[-1] != n_states:
        raise ValueError(f"{name} must have {n_states} entries, one a state of env, got {first.shape[-1]}")
    return first


def _absorbed(law: Law, begins: set[int], start: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Tables of the model in which whatever terminates is absorbed, its start, and its terminal states."""
    n_states = len(law)
    all_outcomes = [(s, outcome) for s, actions in enumerate(law) for outcomes in actions for outcome in outcomes]
    terminal = {successor for _, (_, successor, _, terminated) in all_outcomes if terminated}
    elsewhere = any(s not in terminal and x[1] in terminal and not x[3] for s, x in all_outcomes)
    extra = elsewhere or bool(terminal & begins)
    stays = {n_states} if extra else terminal
    merged: list[list[tuple[int, float, float]]] = []
    for s in range(n_states + extra):
        for a in range(len(law[0])):
            pair: dict[tuple[int, float], float] = {}
            for probability, successor, reward, terminated in [(1.0, s, 0.0, False)] if s in stays else law[s][a]:
                key = (n_states if extra and terminated else successor, reward)
                pair[key] = pair.get(key, 0.0) + probability
            merged.append([(successor, p, reward) for (successor, reward), p in sorted(pair.items())])
    padding = np.zeros((*start.shape[:-1], int(extra)))
    ends = np.isin(np.arange(n_states + extra), list(stays))
    return *padded(merged, len(law[0])), np.concatenate([start, padding], axis=-1), ends
