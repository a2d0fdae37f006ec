r"""Expected and worst-case suboptimality without Monte Carlo, on stay-exit replicas.

In a replica (see `instances`) VI-LCB without splitting converges to the action with the largest

.. math:: \frac{1-b_a}{1-\gamma\hat p_a}, \qquad b_a = \frac1{1-\gamma}\sqrt{\frac{L}{N(s,a)}},

among those with :math:`b_a < 1`, and keeps the most played action where there is none: 1 - b_a is the certain part of
a reward of 1, :math:`\hat p_a` the empirical probability of staying. The two counts of a replica are trinomial and the
stays binomial given the counts, so the probability of a wrong replica is a finite sum (`stay_exit_loss`). Maximising
over the gap for each n gives the points of a rate plot (`worst_case`).

An action that was never logged has a width of at least 1/(1 - gamma), whatever L is, and is never preferred to one
that was; plug-in planning is L = 0. Ties are split evenly.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._types import Floats
from pessimism._worst_case import WorstCase, largest_loss, member, model_and_law
from pessimism.mdp.model import MDP

__all__ = ["WorstCase", "stay_exit_loss", "worst_case"]

Level = float | Callable[[int], float]
Family = Callable[[float], tuple[MDP, ArrayLike]]

LARGEST_N = 10**6
"""Where the sum takes minutes, and its tables up to 1 GB."""
TOLERANCE = 1e-12


def stay_exit_loss(mdp: MDP, behavior: ArrayLike, n: ArrayLike, *, level: ArrayLike) -> Floats:
    r"""Expected suboptimality of Hoeffding VI-LCB without splitting on stay-exit replicas, by enumeration.

    Parameters
    ----------
    mdp : MDP
        Discounted, two actions. Every state is a decision state, in which both actions earn 1 and lead to the state
        itself or to a sink, or a sink, which earns nothing and is not left.
    behavior : (..., S, 2) array_like of float
        Joint law of the logged (state, action) pairs.
    n : (...) array_like of int
        Logged transitions.
    level : (...) array_like of float
        L of the widths :math:`b = \sqrt{L/N(s,a)}/(1-\gamma)`, at least 0: 0 is plug-in planning, inf the most played
        action. With ``m = N/(T+1)`` in place of n it is not the split rule, whose folds differ.

    Returns
    -------
    (...) float
        Expected loss in reward units over the broadcast batch of model, law, n and level.

    Raises
    ------
    ValueError, TypeError
        If the model is not of this kind (the message points to the Monte Carlo alternative), or an argument is out of
        its range.

    See Also
    --------
    pessimism.mdp.instances.simulation.stay_exit : Instances that it takes.
    pessimism.mdp.rules.vi_lcb.vi_lcb : The rule.

    Notes
    -----
    The limit of the iterations is meant, not T of them. Joint probabilities below 1e-36 are dropped and everything else
    is a sum of positive terms: relative error below 1e-9 for losses above 1e-16. Cost O(m^1.5) for m expected visits of
    a replica; identical replicas are computed once. The first call ever compiles for some seconds; later processes
    load the compiled loops.

    Examples
    --------
    Two transitions. Always wrong if only the worse action was logged, half of the time if neither was.

    >>> from pessimism.mdp import instances
    >>> mdp, mu = instances.stay_exit(2.0, 1, 1 / 3, discount=0.6, best=[0])
    >>> stay_exit_loss(mdp, mu, 2, level=[0.0, np.inf]).round(4).tolist()
    [0.1536, 0.1641]
    """
    _check.instance("mdp", mdp, MDP)
    mu, rounds = mdp.check_behavior(behavior), _check.whole_array("n", n)
    lvl = _check.extended_array("level", level)
    _check.require("level", lvl, lvl >= 0.0, "at least 0")
    decision, stay, leave = _replicas(mdp)
    if np.any(rounds > LARGEST_N):
        raise ValueError(f"n must be at most {LARGEST_N:.0e} for exact enumeration, got {rounds.max()}; {_MONTE_CARLO}")
    batch = _check.broadcast("mdp, behavior, n and level", mdp.shape, mu.shape[:-2], rounds.shape, lvl.shape)
    pairs = (*batch, mdp.n_states, 2)
    law, stay, leave = (np.broadcast_to(x, pairs)[..., decision, :] for x in (mu, stay, leave))
    total = np.broadcast_to(mu, pairs).sum(axis=-1)
    start = np.broadcast_to(mdp.start, pairs[:-1])[..., decision]
    rounds, lvl = np.broadcast_to(rounds, batch), np.broadcast_to(lvl, batch)
    left = (1.0 - mdp.discount) + mdp.discount * leave  # 1 - discount * stay, with all its digits
    lost = mdp.discount * np.abs(stay[..., 0] - stay[..., 1]) / left.prod(axis=-1)
    loss = np.empty(batch)

    from pessimism.mdp._engine.stay_exit import replica_errors

    for i in np.ndindex(batch):
        least = _width_one(float(lvl[i]), mdp.discount)
        rest = _elsewhere(total[i])[decision]
        errors = replica_errors(int(rounds[i]), law[i], rest, stay[i], leave[i], mdp.discount, least)
        loss[i] = np.sum(start[i] * lost[i] * errors)
    return loss[()]


def worst_case(family: Family, n: int, *, level: Level, gaps: tuple[float, float] = (1e-6, 0.5)) -> WorstCase:
    r"""Largest expected suboptimality over a one-parameter family, the gap re-optimised for this n and rule.

    Parameters
    ----------
    family : callable
        Maps gap -> (mdp, behavior), as `stay_exit_loss` takes them; of a batch of hypotheses the worst counts. The
        loss should be continuous in the gap.
    n : int
        Logged transitions.
    level : float or callable
        L of the widths, or a function of n that returns it.
    gaps : (float, float)
        Interval searched, 0 < low < high; every gap in it must be one that `family` accepts.

    Returns
    -------
    WorstCase
        The largest loss, the gap that attains it, and whether that gap lies at an end of the interval.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range; errors of `family` pass through.

    See Also
    --------
    pessimism.mdp.bounds.vi_lcb_normal_prediction : Prediction of the worst loss.
    simulations.mdp_rates : Figure of both against N.

    Notes
    -----
    Searched, and to be read, as `pessimism.bandits.exact.worst_case`.

    Examples
    --------
    >>> from pessimism.mdp import instances
    >>> worst = worst_case(lambda gap: instances.stay_exit(4.0, 1, gap, discount=0.8), 30, level=0.0)
    >>> round(worst.loss, 3), round(worst.gap, 2), worst.status.name
    (0.167, 0.18, 'INTERIOR_MAXIMUM')
    """
    _check.function("family", family, "gap -> (mdp, behavior)")
    rounds = _check.whole("n", n, low=1)
    lvl = _check.between("level", level(rounds) if callable(level) else level, 0.0, math.inf)

    def loss(gap: float) -> float:  # numpydoc ignore=GL08
        return float(np.max(stay_exit_loss(*model_and_law(member(family, gap)), rounds, level=lvl)))

    return largest_loss(loss, gaps)


_MONTE_CARLO = (
    "by Monte Carlo: mdp.suboptimality(rule(mdp.sample(behavior, n=n, size=10_000), discount=...).policy).mean()"
)


def _replicas(mdp: MDP) -> tuple[NDArray[np.bool_], Floats, Floats]:
    """Which states are decision states, and the probabilities (..., S, 2) of staying and of falling into a sink."""
    if mdp.horizon is not None or mdp.n_actions != 2:
        raise ValueError(f"exact enumeration needs a discounted model with two actions; {_MONTE_CARLO}")
    if not mdp.feasible.all():
        raise ValueError(f"exact enumeration needs both actions to be feasible in every state; {_MONTE_CARLO}")
    p, here = mdp.probabilities, mdp.next_states == np.arange(mdp.n_states)[:, None, None]
    rewards = mdp.rewards if mdp.per_successor else mdp.rewards[..., None]
    sink, decision = (_everywhere((np.abs(rewards - earned) <= TOLERANCE) | (p == 0)) for earned in (0.0, 1.0))
    lost = sink[mdp.next_states]
    good = _everywhere(np.where(sink[:, None, None], lost, here | lost) | (p == 0)) & (sink | decision)
    if not good.all():
        raise ValueError(
            "exact enumeration needs stay-exit replicas, states that earn 1 and lead to themselves or to a sink, and "
            f"sinks that earn 0: state {np.flatnonzero(~good)[0]} is neither; {_MONTE_CARLO}"
        )
    return decision, np.asarray((p * here).sum(axis=-1)), np.asarray((p * lost).sum(axis=-1))


def _everywhere(pattern: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(S,): whether a pattern (..., S, A, B) holds for all models, actions and successors."""
    axes = tuple(i for i in range(pattern.ndim) if i != pattern.ndim - 3)
    return np.asarray(pattern.all(axis=axes))


def _width_one(level: float, discount: float) -> float:
    """Visits at which a width is exactly 1; a whole number if it is one up to rounding."""
    least = level / (1.0 - discount) ** 2
    if least == math.inf:
        return least
    whole = float(np.rint(least))
    return whole if abs(least - whole) <= TOLERANCE * least else least


def _elsewhere(mass: Floats) -> Floats:
    """Mass of all the other states, added up from both sides so that a small one keeps its digits and none is 0."""
    met = np.concatenate([[0.0], mass, [0.0]])
    return np.asarray(np.cumsum(met)[:-2] + np.cumsum(met[::-1])[:-2][::-1])
