r"""Hypothesis strategies for Markov decision processes, laws of logged pairs and logged transitions.

As for bandits, everything is drawn as whole numbers and divided once: laws :math:`k_i / \sum_j k_j`, mean rewards
:math:`k / 100` in models and :math:`k / 1009` of the reward range in data. Lists of successors are drawn with entries
of weight 0 (padding) and with states that occur twice, which a model allows; states that nothing leads to, and states
that are never left, are common.

The kernels of the wing are loaded, or compiled, before the first example: deadlines do not count it.
"""

import math

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from pessimism import _check
from pessimism._types import Floats
from pessimism.mdp import MDP, MDPData
from pessimism.testing._whole_numbers import batch_axes, laws, length, limits, ready
from pessimism.testing.mdp._drawn import DISCOUNTS, EPISODIC_DISCOUNTS, drawn_data, drawn_mdps

__all__ = ["mdp_behaviors", "mdp_data", "mdps"]


def mdps(
    *, max_states: int = 4, max_actions: int = 3, horizon: int | None = None, discount: float | None = None
) -> SearchStrategy[MDP]:
    """Strategy for single models.

    Parameters
    ----------
    max_states, max_actions : int
        Largest S and A, at least 1.
    horizon : int, optional
        H, at least 1. The tables then are the same at all steps or differ from step to step.
    discount : float, optional
        As for `MDP`. Default: 0.5, 0.9, 0, 0.99 or 0.999; with a horizon 1, 0.5, 0.9 or 0.

    Returns
    -------
    SearchStrategy of MDP
        Rewards in [0, 1], per pair or per successor. Absorbing and unreachable states, states of start probability 0,
        deterministic transitions, padded lists, lists that name a state twice, and tied actions occur. Shrinks to one
        state, one action and reward 0.

    Raises
    ------
    ValueError, TypeError
        If a size, `horizon` or `discount` is out of its range.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, database=None, deadline=None)
    ... @given(mdps(max_states=3))
    ... def best_policy_loses_nothing(mdp):
    ...     assert mdp.suboptimality(mdp.best_policy) == 0
    >>> best_policy_loses_nothing()
    """
    states, actions = length("max_states", max_states), length("max_actions", max_actions)
    steps = _steps(horizon)
    known: tuple[float, ...] = DISCOUNTS if horizon is None else EPISODIC_DISCOUNTS
    if discount is not None:
        MDP.dense([[[1.0]]], [[0.0]], None, discount, horizon=steps)  # checks the discount
        known = (float(discount),)
    return ready("mdp", drawn_mdps(states, actions, steps, known))


def mdp_behaviors(
    *,
    mdp: MDP | None = None,
    max_states: int = 4,
    max_actions: int = 3,
    horizon: int | None = None,
    zeros: bool = True,
) -> SearchStrategy[Floats]:
    r"""Strategy for laws of the logged (state, action) pairs.

    Parameters
    ----------
    mdp : MDP, optional
        The model the law must fit. Default: any shape up to the two sizes.
    max_states, max_actions : int
        Largest S and A, at least 1; not used with an `mdp`.
    horizon : int, optional
        H, at least 1: a law for every step. Not used with an `mdp`.
    zeros : bool
        Whether pairs may have probability 0. Without zeros every :math:`C^*` is finite.

    Returns
    -------
    SearchStrategy of ([H,] S, A) float
        Non-negative, total one (at every step) within 1e-12. Shrinks to a law on the first pair, or to the uniform law
        without zeros.

    Raises
    ------
    ValueError, TypeError
        If a size is below 1 or `mdp` is not an MDP.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> mdp = MDP.dense([[[1.0], [1.0]]], [[0.6, 0.5]], discount=0.5)
    >>> @settings(max_examples=10, database=None, deadline=None)
    ... @given(mdp_behaviors(mdp=mdp, zeros=False))
    ... def is_covered(behavior):
    ...     assert 1 <= mdp.coverage(behavior) < float("inf")
    >>> is_covered()
    """
    largest = length("max_states", max_states), length("max_actions", max_actions)
    steps, zeros = _steps(horizon), _check.flag("zeros", zeros)
    if mdp is not None:
        if not isinstance(mdp, MDP):
            raise TypeError(f"mdp must be an MDP, got {type(mdp).__name__}: to draw it too, use mdps().flatmap")
        return ready("mdp", _step_laws(mdp.n_states, mdp.n_actions, mdp.horizon, zeros))
    shapes = st.tuples(st.integers(1, largest[0]), st.integers(1, largest[1]))
    return ready("mdp", shapes.flatmap(lambda shape: _step_laws(*shape, steps, zeros)))


def mdp_data(
    *,
    max_states: int = 4,
    max_actions: int = 3,
    max_visits: int = 100,
    horizon: int | None = None,
    size: int | tuple[int, ...] = (),
    reward_range: tuple[float, float] = (0.0, 1.0),
    ties: bool = True,
) -> SearchStrategy[MDPData]:
    """Strategy for data sets: visits, successors and reward sums that some log of independent transitions has.

    Parameters
    ----------
    max_states, max_actions : int
        Largest S and A, at least 1.
    max_visits : int
        Largest count of a pair (and step), at least 0; without ties, at least `max_actions`. Small counts are common
        however large it is.
    horizon : int, optional
        H, at least 1, for data with a step axis. Steps are drawn on their own: the data are not of episodes.
    size : int or tuple of int
        Batch of data sets, in front of ([H,] S, A).
    reward_range : (float, float)
        Interval that holds every reward; finite.
    ties : bool
        Whether two visited actions of a state may share their count or mean (or, for rewards in [0, 1], sum).

    Returns
    -------
    SearchStrategy of MDPData
        Of reward law "deterministic", with sums per pair or per successor. Pairs, states and logs that were never
        visited, padded lists and lists that name a state twice occur. Shrinks to one pair that was never visited.

    Raises
    ------
    ValueError, TypeError
        If a size is out of its range or `reward_range` is not a finite pair low < high.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from pessimism.mdp import plan
    >>> @settings(max_examples=10, database=None, deadline=None)
    ... @given(mdp_data(size=(3,)))
    ... def one_action_per_state(data):
    ...     assert plan(data.model(0.9)).policy.shape == data.counts.shape[:-1]
    >>> one_action_per_state()
    """
    states, actions = length("max_states", max_states), length("max_actions", max_actions)
    steps = _steps(horizon)
    most = limits("max_actions", actions, ("max_visits", max_visits), states * actions * (steps or 1), ties)
    low, high = _check.interval("reward_range", reward_range)
    if not math.isfinite(high - low):
        raise ValueError(f"reward_range must be finite, got {reward_range!r}")
    return ready("mdp", drawn_data((states, actions), most, steps, batch_axes(size), (low, high), ties))


def _steps(horizon: int | None) -> int | None:
    return None if horizon is None else length("horizon", horizon)


def _step_laws(n_states: int, n_actions: int, horizon: int | None, zeros: bool) -> SearchStrategy[Floats]:
    law = laws((n_states, n_actions), zeros)
    return law if horizon is None else st.tuples(*[law] * horizon).map(np.stack)
