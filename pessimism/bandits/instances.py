r"""Hard and instructive instances, each a function of its parameters that returns ``(bandit, behavior)``.

There are two kinds. In a **lower-bound** instance the law of the pairs is the same under every hypothesis, so that the
counts do not reveal the best arm; but for `missing_mass`, whose log is the expert's own: no rule knows the best arms of
the contexts that it has not met. In a **simulation** instance the law depends on the best arm: it shows how a rule
behaves, and says nothing about what no rule can do. Every function says which kind it is. Expected losses are computed
by `exact.suboptimality`; `greedy_failure` and `missing_mass` also have closed forms.

All constructions are derived by us; they attain the rates of Rashidinejad et al. (2021), arXiv:2103.12021, but
are not claimed to be that paper's own.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pessimism import _check
from pessimism._types import Floats
from pessimism.bandits._engine.normal import worst_gap
from pessimism.bandits.model import Bandit

__all__ = [
    "Instance",
    "ambiguous_contexts",
    "contextual_two_point",
    "covered_contexts",
    "greedy_failure",
    "lcb_failure",
    "missing_mass",
    "swapped",
    "symmetric",
    "two_point",
]

Instance = tuple[Bandit, Floats]


def two_point(cstar: float, gap: float, best: int = 0) -> Instance:
    r"""Lower-bound pair for :math:`C^* \ge 2`: one law, and arm 0 better or worse than a fair coin.

    Parameters
    ----------
    cstar : float
        :math:`C^*` of the hypothesis in which arm 0 is best, at least 2. In the other it is at most 2.
    gap : float
        Gap g, in (0, 1/2].
    best : {0, 1}
        The hypothesis: arm 0 has mean 1/2 + g (0) or 1/2 - g (1); arm 1 has mean 1/2.

    Returns
    -------
    Bandit, (1, 2) float
        The law is (1/C*, 1 - 1/C*) under both.

    See Also
    --------
    pessimism.bandits.bounds.minimax_lower : The bound that it proves.
    pessimism.bandits.instances.contextual_two_point : The same in several contexts.

    Notes
    -----
    For g <= 1/4 the divergence of the two logs is at most :math:`8.8 g^2 N/C^*`; at :math:`g = \sqrt{C^*/(17.6 N)}`
    any rule loses at least :math:`0.036\sqrt{C^*/N}` on one of them.

    Examples
    --------
    >>> bandit, mu = two_point(4.0, 0.1)
    >>> float(bandit.coverage(mu))
    4.0
    """
    c, g = _cstar(cstar, low=2.0), _gap(gap, high=0.5)
    first = 0.5 + g if _check.whole("best", best, high=1) == 0 else 0.5 - g
    return Bandit([[first, 0.5]]), np.array([[1.0 / c, 1.0 - 1.0 / c]])


def swapped(cstar: float, gap: float, best: int = 0) -> Instance:
    r"""Pair for :math:`1 < C^* < 2` in which means and law are swapped together.

    Parameters
    ----------
    cstar : float
        :math:`C^*` of both hypotheses, in [1, 2].
    gap : float
        Half the distance g of the means 1/2 + g and 1/2 - g, in (0, 1/2]; a wrong choice loses 2g.
    best : {0, 1}
        The better arm; it is played with probability 1/C*.

    Returns
    -------
    Bandit, (1, 2) float
        Simulation instance singly: the law differs between the hypotheses. As a pair it gives a lower bound.

    See Also
    --------
    pessimism.bandits.bounds.imitation_lower : The bound that it proves.
    pessimism.bandits.bounds.two_point_exponent : The exponent of the best rule on it.

    Notes
    -----
    The most played arm is exponent-optimal on this pair as the gap vanishes.

    Examples
    --------
    >>> bandit, mu = swapped(1.25, 0.1, best=1)
    >>> bandit.means.tolist(), mu.round(12).tolist()
    ([[0.4, 0.6]], [[0.2, 0.8]])
    """
    c, g = _cstar(cstar, high=2.0), _gap(gap, high=0.5)
    return _ordered([0.5 + g, 0.5 - g], [1.0 / c, 1.0 - 1.0 / c], _check.whole("best", best, high=1))


def symmetric(cstar: float, gap: float, best: int = 0) -> Instance:
    r"""Two arms with means :math:`1/2 \pm g/2`, the better one logged with probability :math:`1/C^*`.

    Parameters
    ----------
    cstar : float
        :math:`C^*`, at least 1.
    gap : float
        Gap g, in (0, 1]; a wrong choice loses g.
    best : {0, 1}
        The better arm.

    Returns
    -------
    Bandit, (1, 2) float
        Simulation instance. For a rate plot re-optimise the gap for every N and rule (`exact.worst_case`).

    See Also
    --------
    pessimism.bandits.bounds.lcb_normal_prediction : Predicts the worst loss of an index rule on it.
    simulations.bandit_rates : Draws the worst losses on it.

    Examples
    --------
    >>> bandit, mu = symmetric(4.0, 0.5)
    >>> bandit.means.tolist(), mu.tolist()
    ([[0.75, 0.25]], [[0.25, 0.75]])
    """
    c, g = _cstar(cstar), _gap(gap)
    return _ordered([0.5 + g / 2, 0.5 - g / 2], [1.0 / c, 1.0 - 1.0 / c], _check.whole("best", best, high=1))


def lcb_failure(cstar: float, n: int, level: float, best: int = 0) -> Instance:
    r"""The member of `symmetric` on which LCB of a given level has nearly its worst loss.

    Parameters
    ----------
    cstar : float
        :math:`C^*`, greater than 1.
    n : int
        Rounds in the log, at least 1.
    level : float
        Level L of the index :math:`\hat r - \sqrt{L/N(a)}`, positive.
    best : {0, 1}
        The better arm.

    Returns
    -------
    Bandit, (1, 2) float
        Simulation instance.

    See Also
    --------
    pessimism.bandits.bounds.lcb_normal_gap : The gap that it takes.
    pessimism.bandits.rules.lcb.lcb : The rule that it hurts.

    Notes
    -----
    In the symbols of `bounds.lcb_normal_prediction`, the gap is about :math:`\sigma^2/\Delta_b` for C* < 2 (pessimism
    helps, a wrong choice is a rare event) and just below :math:`|\Delta_b|` for C* > 2 (the better arm is the less
    played one, and LCB punishes it). At most 1.

    Examples
    --------
    >>> bandit, mu = lcb_failure(4.0, n=1000, level=3.0)
    >>> float(bandit.gaps.max().round(3))
    0.046
    """
    rounds, lvl = _check.whole("n", n, low=1), _check.positive("level", level)
    c = _check.scalar("cstar", cstar, lambda x: 1.0 < x < math.inf, "greater than 1 and finite")
    gap, _ = worst_gap(*np.array([rounds, c, lvl]))
    return symmetric(c, min(float(gap), 1.0), best)


def greedy_failure(n: int, q: float = 0.567143, shortfall: float = 1e-6) -> Instance:
    r"""Nearly expert data on which greedy loses a constant: one arm has fixed rewards, the other about one pull.

    Parameters
    ----------
    n : int
        Rounds in the log, at least 2.
    q : float
        Mean of the Bernoulli arm 1, in (0, 1). The default maximises the loss.
    shortfall : float
        Arm 0 always pays 1 - shortfall, in (0, 1e-3], so that a lucky arm 1 beats it.

    Returns
    -------
    Bandit, (1, 2) float
        Simulation instance, :math:`C^* = 1/(1 - 1/n)`: arm 1 is played with probability 1/n.

    See Also
    --------
    pessimism.bandits.bounds.greedy_failure_loss : The limit of the loss.
    pessimism.bandits.rules.greedy.greedy : The rule that it hurts.

    Notes
    -----
    Greedy errs when arm 1 was tried and always paid: its loss is
    :math:`(1 - q)[(1 - (1-q)/n)^n - (1 - 1/n)^n] \to (1-q)(e^{q-1} - e^{-1})` as shortfall vanishes. The limit is a
    constant (0.12153 at the default q, approached from above), while C* tends to 1: the empirically
    best arm fails on nearly expert data.

    Examples
    --------
    >>> from pessimism.bandits import exact
    >>> bandit, mu = greedy_failure(1000)
    >>> round(float(exact.suboptimality(bandit, mu, 1000, level=0.0)), 4)
    0.1216
    """
    rounds = _check.whole("n", n, low=2)
    mean = _check.open_unit_interval("q", q)
    short = _check.scalar("shortfall", shortfall, lambda x: 0.0 < x <= 1e-3, "in (0, 1e-3]")
    bandit = Bandit([[1.0 - short, mean]], rewards=[["deterministic", "bernoulli"]])
    return bandit, np.array([[1.0 - 1.0 / rounds, 1.0 / rounds]])


def ambiguous_contexts(cstar: float, contexts: int, gap: float, best: Sequence[int] | None = None) -> Instance:
    r"""Expert data in one context, both arms equally often in the others: the term C* - 1 of the rate for C* <= 2.

    Parameters
    ----------
    cstar : float
        :math:`C^*`, in [1, 2]; every covered ratio equals it.
    contexts : int
        S, at least 2. Context 0 has probability 2 - C*, the others share C* - 1.
    gap : float
        Gap g of every context, in (0, 1]; means 1/2 +- g/2.
    best : (S,) sequence of {0, 1}, optional
        Better arm of every context. Default: alternating, so that breaking ties by the lowest index has no advantage.

    Returns
    -------
    Bandit, (S, 2) float
        A lower-bound instance: in the ambiguous contexts both arms have probability rho(s)/C* under every hypothesis.
        The log shows the best arm of context 0, which the bound does not count.

    See Also
    --------
    pessimism.bandits.bounds.contextual_lower : The bound that it proves.
    pessimism.bandits.bounds.imitation_floor : What imitation loses on it at any N.
    simulations.context_transition : Draws the losses on it.

    Notes
    -----
    The marginal of the law is not :math:`\rho`. In the ambiguous contexts the most played arm is the better one with
    probability 1/2 at every N: it loses exactly (C* - 1) g/2, and in context 0 if the log has not met it. Any rule
    loses at least
    :math:`0.0511\sqrt{C^*(S-1)(C^*-1)/N}` at the worst gap.

    Examples
    --------
    >>> bandit, mu = ambiguous_contexts(1.25, contexts=3, gap=0.1)
    >>> float(bandit.coverage(mu)), float(mu.sum().round(12))
    (1.25, 1.0)
    """
    c, s = _cstar(cstar, high=2.0), _check.count("contexts", contexts, low=2)
    rho = np.concatenate([[2.0 - c], np.full(s - 1, (c - 1.0) / (s - 1))])
    other = rho / c
    other[0] = 0.0
    return _by_context(rho, np.stack([rho / c, other], axis=-1), _gap(gap), best)


def covered_contexts(cstar: float, contexts: int, gap: float, best: Sequence[int] | None = None) -> Instance:
    r"""S copies of `symmetric` under uniform contexts, any :math:`C^* \ge 1`.

    Parameters
    ----------
    cstar : float
        :math:`C^*`, at least 1.
    contexts : int
        S, at least 2.
    gap : float
        Gap g of every context, in (0, 1]; means 1/2 +- g/2.
    best : (S,) sequence of {0, 1}, optional
        Better arm of every context. Default: alternating.

    Returns
    -------
    Bandit, (S, 2) float
        A simulation instance, not a lower bound: for C* > 2 the least played arm is the best one.

    Examples
    --------
    >>> bandit, mu = covered_contexts(4.0, contexts=2, gap=0.1, best=[0, 0])
    >>> mu.tolist()
    [[0.125, 0.375], [0.125, 0.375]]
    """
    c, s = _cstar(cstar), _check.count("contexts", contexts, low=2)
    rho = np.full(s, 1.0 / s)
    return _by_context(rho, np.stack([rho / c, rho * (1.0 - 1.0 / c)], axis=-1), _gap(gap), best)


def contextual_two_point(cstar: float, contexts: int, gap: float, best: Sequence[int] | None = None) -> Instance:
    r"""S copies of `two_point` under uniform contexts, :math:`C^* \ge 2`: the contextual lower bound.

    Parameters
    ----------
    cstar : float
        :math:`C^*` as soon as arm 0 is best in some context, at least 2.
    contexts : int
        S, at least 2.
    gap : float
        Gap g, in (0, 1/2]: arm 0 has mean 1/2 +- g, arm 1 has 1/2.
    best : (S,) sequence of {0, 1}, optional
        Better arm of every context. Default: alternating.

    Returns
    -------
    Bandit, (S, 2) float
        A lower-bound instance: the law is (1/C*, 1 - 1/C*)/S in every context, under every hypothesis.

    See Also
    --------
    pessimism.bandits.bounds.contextual_lower : The bound that it proves.
    pessimism.bandits.instances.two_point : The case of one context.

    Notes
    -----
    At :math:`g = \sqrt{S C^*/(17.6 N)}` any rule loses at least :math:`0.036\sqrt{S C^*/N}` for N >= S C* under some
    hypothesis.

    Examples
    --------
    >>> bandit, mu = contextual_two_point(4.0, contexts=2, gap=0.1)
    >>> float(bandit.coverage(mu))
    4.0
    """
    c, s, g = _cstar(cstar, low=2.0), _check.count("contexts", contexts, low=2), _gap(gap, high=0.5)
    arms = _bests(best, s)
    means = np.stack([np.where(arms == 0, 0.5 + g, 0.5 - g), np.full(s, 0.5)], axis=-1)
    return Bandit(means), np.tile([1.0 / (c * s), (1.0 - 1.0 / c) / s], (s, 1))


def missing_mass(n: int, contexts: int, arms: int = 2, gap: float = 1.0, best: Sequence[int] | None = None) -> Instance:
    r"""Expert data, :math:`C^* = 1`, with a loss of order S/N from contexts that the log has not met.

    Parameters
    ----------
    n : int
        Rounds in the log, at least 1.
    contexts : int
        S, at least 2 and at most n + 2. All but context 0 have probability 1/(n + 1).
    arms : int
        A, at least 2.
    gap : float
        Gap g, in (0, 1]: the best arm has mean 1/2 + g/2, the others 1/2 - g/2.
    best : (S,) sequence of int, optional
        Best arm of every context. Default: s mod A. For the lower bound it is uniform and unknown.

    Returns
    -------
    Bandit, (S, A) float
        A lower-bound instance once `best` is drawn at random: the log shows it, but only in contexts that it has met.

    See Also
    --------
    pessimism.bandits.bounds.missing_mass_loss : The loss of any rule on it.
    simulations.context_map : Draws the losses on it.

    Notes
    -----
    Any rule loses :math:`\frac{S-1}{N+1}(\frac{N}{N+1})^N (1 - \frac1A) g` on average over `best`
    (`bounds.missing_mass_loss`).

    Examples
    --------
    >>> bandit, mu = missing_mass(9, contexts=3)
    >>> float(bandit.coverage(mu)), bandit.contexts.tolist()
    (1.0, [0.8, 0.1, 0.1])
    """
    rounds, s = _check.whole("n", n, low=1), _check.count("contexts", contexts, low=2)
    a, g = _check.count("arms", arms, low=2), _gap(gap)
    if s > rounds + 2:
        raise ValueError(f"contexts must be at most n + 2 = {rounds + 2}, got {s}")
    rho = np.full(s, 1.0 / (rounds + 1))
    rho[0] = (rounds + 2 - s) / (rounds + 1)
    on_best = _bests(best, s, a)[:, None] == np.arange(a)
    return Bandit(np.where(on_best, 0.5 + g / 2, 0.5 - g / 2), contexts=rho), np.where(on_best, rho[:, None], 0.0)


def _cstar(cstar: float, low: float = 1.0, high: float = math.inf) -> float:
    return _check.between("cstar", cstar, low, high, "[)" if high == math.inf else "[]")


def _gap(gap: float, high: float = 1.0) -> float:
    return _check.between("gap", gap, 0.0, high, "(]")


def _bests(best: Sequence[int] | None, contexts: int, arms: int = 2) -> NDArray[np.int64]:
    chosen = _check.whole_array("best", np.arange(contexts) % arms if best is None else best, high=arms - 1)
    if chosen.shape != (contexts,):
        raise ValueError(f"best must hold one arm for each of {contexts} contexts, got shape {chosen.shape}")
    return chosen


def _ordered(means: list[float], law: list[float], best: int) -> Instance:
    order = [best, 1 - best]  # its own inverse
    return Bandit([[means[i] for i in order]]), np.array([[law[i] for i in order]])


def _by_context(rho: Floats, law: Floats, gap: float, best: Sequence[int] | None) -> Instance:
    """Means 1/2 +- g/2; column 0 of `law` belongs to the better arm of every context."""
    arms = _bests(best, len(rho))[:, None]
    means = np.where(arms == np.arange(2), 0.5 + gap / 2, 0.5 - gap / 2)
    return Bandit(means, contexts=rho), np.where(arms == 0, law, law[:, ::-1])
