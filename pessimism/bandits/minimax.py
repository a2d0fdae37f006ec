r"""The least worst-case loss that any rule can have at finite N: two Bernoulli arms, one context.

A log holds N rounds: an arm drawn with the law :math:`(p, 1 - p)`, and its reward in {0, 1}. A rule turns counts and
sums into an arm, perhaps at random; its loss in a world is the gap times the probability that it takes the worse arm.
The class :math:`X(C)` holds all worlds, means free in [0, 1], whose law plays the better arm with probability at least
:math:`1/C`; the rule knows C but not the law. The minimax risk is

.. math:: R_N(C) = \min_{\text{rules}} \max_{X(C)} \text{loss}.

`solve` brackets it: a prior over worlds is a lower bound, a mixture of Bayes rules an upper one, and both are computed
again from the answer (`lower`, `upper`). `certified_worst` bounds the worst case of any rule in the same way, and
`adaptive` finds what a rule pays that does not know which of several classes it is in.

How: the game is solved on finitely many worlds by a level bundle method with exact Bayes rules (`pessimism._game`);
worlds are exchanged where the mixture loses more; and the maximum over the continuum is bounded by branch and bound on
the log-odds of means and law (`pessimism._boxes`). Matrices are multiplied, so the last digits depend on the machine.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._batch import small_matrices
from pessimism._boxes import Bound, Slab
from pessimism._objects import Speaking
from pessimism._status import Status
from pessimism._types import Floats, Rng
from pessimism.bandits import _every_log as every_log
from pessimism.bandits.data import BanditData
from pessimism.bandits.model import Bandit

__all__ = ["AdaptivityPrice", "CertifiedWorst", "MinimaxRisk", "World", "adaptive", "certified_worst", "solve"]

LARGEST_N, LARGEST_FIXED, LARGEST_THREE, LARGEST_RULE = 200, 800, 16, 400
"""Largest N of `solve`, with fixed counts, of three arms, and of `certified_worst`: seconds to a minute or two each."""


class World(NamedTuple):
    """Two Bernoulli arms and the law of the log.

    Attributes
    ----------
    means : (float, float)
        Means of the arms.
    law : (float, float) or None
        Probability of each arm in a round; None where the counts are fixed.

    Examples
    --------
    >>> from pessimism.bandits.minimax import World
    >>> World((0.7, 0.4), (0.25, 0.75)).bandit.means.tolist()
    [[0.7, 0.4]]
    """

    means: tuple[float, float]
    law: tuple[float, float] | None

    @property
    def bandit(self) -> Bandit:
        """The world as a model, whose `sample` takes ``[law]``."""
        return Bandit([self.means])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CertifiedWorst(Speaking):
    """Worst loss of a rule over a class of worlds.

    Attributes
    ----------
    loss : float
        Largest loss that was found, in reward units; it is attained in `world`.
    bound : float
        No world of the class costs more.
    world : World
        Where the loss is attained.
    status : Status
        CONVERGED if the bound is within the tolerance of the loss, or below 1e-300.

    Examples
    --------
    >>> from pessimism.bandits import minimax, most_played
    >>> worst = minimax.certified_worst(most_played, 10, 1.5)
    >>> worst.loss <= worst.bound <= 1.001 * worst.loss, worst.status.name
    (True, 'CONVERGED')
    """

    loss: float
    bound: float
    world: World
    status: Status

    def _shown(self) -> dict[str, Any]:
        law = {} if self.world.law is None else {"law": np.array(self.world.law)}
        return {
            "loss": self.loss,
            "bound": self.bound,
            "means": np.array(self.world.means),
            **law,
            "status": self.status,
        }


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MinimaxRisk(Speaking):
    """Minimax risk between two bounds, with the prior and the rule that prove them.

    Attributes
    ----------
    lower, upper : float
        The least worst-case loss of any rule lies between them, in reward units.
    n : int
        Rounds in the log.
    worlds : (K, 3) float
        Worlds of the prior: mean of the better arm, of the other, probability of the better arm in a round (NaN where
        the counts are fixed). For three arms (K, 6): means and law, the best arm first.
    prior : (K,) float
        Their weights; half of each belongs to the world with the arms exchanged (for a law or counts that are known: to
        the world with successes and failures exchanged; for three arms a sixth to each of its renamings).
    status : Status
        CONVERGED, EXACT, BUDGET if the calls were spent before the bounds met, or SEARCHED, where the upper bound is
        the largest loss that was found and not certified.
    calls : int
        Bayes rules computed.
    known : (float, float), (int, int) or None
        The law or the counts that the rule knows.

    Examples
    --------
    >>> from pessimism.bandits import minimax
    >>> risk = minimax.solve(1, 2)
    >>> risk.lower <= (1 / 2) ** 0.5 / 4 <= risk.upper  # the closed form sqrt(1 - 1/C) / 4
    True
    """

    lower: float
    upper: float
    n: int
    worlds: Floats
    prior: Floats
    status: Status
    calls: int
    known: tuple[float, float] | tuple[int, int] | None
    _errors: tuple[Floats, ...]

    def rule(self, data: BanditData, rng: Rng = None) -> Floats | Any:
        """What the minimax rule does with logs: a mixture of Bayes rules, whose worst loss is at most `upper`.

        Parameters
        ----------
        data : BanditData
            Logs of exactly `n` rounds of two Bernoulli arms in one context.
        rng : Generator, SeedSequence or int, optional
            If given, an arm is drawn for every log.

        Returns
        -------
        (..., 1, 2) float, or (..., 1) int
            Probabilities of the arms; with `rng`, an arm.

        Raises
        ------
        ValueError, TypeError
            If the logs are of another kind or length.

        Examples
        --------
        >>> from pessimism.bandits import BanditData, minimax
        >>> minimax.solve(20, 2).rule(BanditData([[10, 10]], [[7.0, 4.0]])).round(3).tolist()
        [[1.0, 0.0]]
        """
        if self.worlds.shape[1] == 6:
            return every_log.play_three(self._errors[0], self.n, data, rng)
        return every_log.play(self._errors, self.n, self.known, data, rng)

    def _shown(self) -> dict[str, Any]:
        names = ("n", "lower", "upper", "status", "calls")
        return {name: getattr(self, name) for name in names} | {"worlds": len(self.worlds)}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AdaptivityPrice(Speaking):
    r"""Factor that is lost by not knowing the class: :math:`\min_{\text{rules}} \max_k \sup_{X(C_k)} L / R_N(C_k)`.

    Attributes
    ----------
    lower, upper : float
        The price lies between them; the brackets of the risks that it divides by are counted.
    n : int
        Rounds in the log.
    cstars : (m,) float
        Classes, rising.
    risks : tuple of MinimaxRisk
        Minimax risk of each class.
    status : Status
        As in `MinimaxRisk`.

    Examples
    --------
    >>> from pessimism.bandits import minimax
    >>> price = minimax.adaptive(5, [1.5, 2])
    >>> round(price.lower, 3), round(price.upper, 3)
    (1.103, 1.105)
    """

    lower: float
    upper: float
    n: int
    cstars: Floats
    risks: tuple[MinimaxRisk, ...]
    status: Status
    _errors: tuple[Floats, ...]

    def rule(self, data: BanditData, rng: Rng = None) -> Floats | Any:
        """What the rule that attains `upper` does with logs, as in `MinimaxRisk.rule`.

        Parameters
        ----------
        data : BanditData
            Logs of exactly `n` rounds of two Bernoulli arms in one context.
        rng : Generator, SeedSequence or int, optional
            If given, an arm is drawn for every log.

        Returns
        -------
        (..., 1, 2) float, or (..., 1) int
            Probabilities of the arms; with `rng`, an arm.

        Examples
        --------
        >>> from pessimism.bandits import BanditData, minimax
        >>> minimax.adaptive(5, [1.5, 2]).rule(BanditData([[5, 0]], [[4.0, 0.0]])).round(3).tolist()
        [[1.0, 0.0]]
        """
        return every_log.play(self._errors, self.n, None, data, rng)

    def _shown(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("n", "cstars", "lower", "upper", "status")}


def solve(
    n: int,
    cstar: float | None = None,
    *,
    arms: int = 2,
    law: ArrayLike | None = None,
    counts: ArrayLike | None = None,
    tolerance: float = 1e-3,
    max_calls: int = 2000,
) -> MinimaxRisk:
    r"""Bracket the minimax risk of N logged rounds of two Bernoulli arms, or of three with a searched upper bound.

    Parameters
    ----------
    n : int
        Rounds N: at most 200, with fixed `counts` at most 800, of three arms at most 16.
    cstar : float, optional
        C of the class X(C), at least 1. Not with `law` or `counts`.
    arms : int
        2, or 3: then only with `cstar`, and the status is SEARCHED.
    law : (2,) array_like of float, optional
        A law of the arms that the rule knows, both positive; either arm may be the better one.
    counts : (2,) array_like of int, optional
        Pulls of both arms, with total N, that are fixed; either arm may be the better one.
    tolerance : float
        The bounds agree within this relative tolerance, in [1e-6, 0.5].
    max_calls : int
        Bayes rules that may be computed.

    Returns
    -------
    MinimaxRisk
        Bounds, least favourable prior and minimax rule; status BUDGET if the bounds did not meet, SEARCHED for three
        arms.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, or a log of this size has too many values.

    See Also
    --------
    pessimism.bandits.bounds.two_point_minimax : A lower bound for C* < 2 at N beyond those of this function.
    pessimism.bandits.bounds.minimax_leading : What the risk tends to.
    pessimism.bandits.minimax.certified_worst : What a given rule loses at worst.
    simulations.minimax_risk : Draws both.

    Notes
    -----
    C = 1 leaves one arm that is always played: the risk is 0. N = 0 is a fair coin: it is 1/2. Risks below 1e-300 are
    not told apart: their lower bound may be 0. Knowing the law is worth little at C = 4 and N = 100, and everything at
    C < 2, where the law names the better arm. There are (N+1)(N+2)(N+3)/6 logs; a Bayes rule costs one pass over them
    for each world. About 1.5 s at N = 100 and :math:`C \le 2`, 7 s at N = 200, 20 to 30 s at N = 100 and C = 4. The
    bounds count rounding (1e-9). The worlds of three arms have five dimensions: the lower bound is proved, the upper
    one only searched for; half a minute at N = 12, two at 16.

    Examples
    --------
    >>> from pessimism.bandits import minimax
    >>> risk = minimax.solve(10, 1.5)
    >>> 0.0222 < risk.lower <= risk.upper < 0.0223, risk.status.name
    (True, 'CONVERGED')
    """
    from pessimism.bandits._engine import exchange

    rounds, tol = _check.whole("n", n), _tolerance(tolerance)
    calls = _check.count("max_calls", max_calls)
    if _check.whole("arms", arms, low=2, high=3) == 3:
        return _three_arms(rounds, cstar, law, counts, tol, calls)
    largest = LARGEST_FIXED if counts is not None else LARGEST_N
    if rounds > largest:
        raise ValueError(
            f"n must be at most {largest}, got {rounds}: certified_worst serves up to {LARGEST_RULE}, and "
            "bounds.two_point_minimax bounds the risk for C* below 2"
        )
    setting = every_log.setting_of(rounds, cstar, law, counts)
    known = None if setting.logs.swap else setting.known
    if rounds == 0 or setting.low == 1.0:
        risk = 0.5 if rounds == 0 else 0.0
        shapes = zip(setting.logs.pulls, setting.logs.shapes(), strict=True)
        errors = [np.full(shape, 0.5 if 2 * k == rounds else float(2 * k < rounds)) for k, shape in shapes]
        world = np.array([[1.0, 0.0, setting.low]])
        return MinimaxRisk(risk, risk, rounds, world, np.ones(1), Status.EXACT, 0, known, tuple(map(_frozen, errors)))
    slabs = [Slab(setting.low, setting.high)]
    with small_matrices():
        found = exchange.solve(setting.logs, slabs, tol, calls)
    if counts is not None:
        found.worlds[:, 2] = np.nan
    return MinimaxRisk(
        *(found.lower, found.upper, rounds, _frozen(found.worlds), _frozen(found.prior)),
        *(_status(found.complete), found.calls, known, tuple(map(_frozen, found.error))),
    )


def adaptive(
    n: int,
    cstars: Sequence[float],
    *,
    weights: Sequence[float] | None = None,
    tolerance: float = 1e-3,
    max_calls: int = 4000,
) -> AdaptivityPrice:
    r"""Price of not knowing which of several classes X(C_1), ..., X(C_m) the world belongs to.

    Parameters
    ----------
    n : int
        Rounds N, from 1 to 200.
    cstars : (m,) array_like of float
        The constants C_k, distinct and above 1.
    weights : (m,) array_like of float, optional
        Weights :math:`w_k` in :math:`\max_k w_k \sup_{X(C_k)} L / R_N(C_k)`, for other points of the frontier of what
        one rule can lose on every class. Default: 1 each.
    tolerance : float
        Relative tolerance of the game and of every risk, in [1e-6, 0.5].
    max_calls : int
        Bayes rules that may be computed for the price.

    Returns
    -------
    AdaptivityPrice
        Bounds of the price, the risks, and a rule that pays no more than the upper bound.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    See Also
    --------
    pessimism.bandits.bounds.adaptivity_price : The limit for classes above 2.
    simulations.adaptivity_price : Draws both.

    Notes
    -----
    The game of `solve`, in which the loss in a world is divided by the risk of the smallest class that holds it. The
    risks are known within brackets; their geometric means are used, and the brackets widen that of the price. Keep the
    constants away from 1: there the risk vanishes, and imitation is forced.

    Examples
    --------
    >>> from pessimism.bandits import minimax
    >>> price = minimax.adaptive(5, [1.5, 4])
    >>> round(price.lower, 2), price.status.name
    (1.34, 'CONVERGED')
    """
    from pessimism.bandits._engine import exchange, two_arms

    rounds, tol = _check.whole("n", n, low=1, high=LARGEST_N), _tolerance(tolerance)
    classes, shares = _classes(cstars, weights)
    calls = _check.count("max_calls", max_calls)
    risks = tuple(solve(rounds, c, tolerance=tol) for c in classes.tolist())
    if risks[0].lower < 1e-290:
        raise ValueError(
            f"cstars must be further from 1: after {rounds} rounds the risk at {classes[0]} is below 1e-290"
        )
    scales = np.array([math.sqrt(risk.lower) * math.sqrt(risk.upper) for risk in risks]) / shares
    ends = [1.0, *(1.0 / classes).tolist()]  # a world of a class is one of all larger classes
    slabs = [Slab(ends[k + 1], ends[k], float(scales[k:].min())) for k in range(len(classes))]
    logs = two_arms.Logs(rounds, tuple(range(rounds + 1)), True)
    with small_matrices():
        found = exchange.solve(logs, slabs, tol, calls)
    widest = max(math.sqrt(risk.upper / risk.lower) for risk in risks)
    complete = found.complete and all(risk.status is not Status.BUDGET for risk in risks)
    return AdaptivityPrice(
        *(max(shares.max(), found.lower / widest), found.upper * widest, rounds, _frozen(classes), risks),
        *(_status(complete), tuple(map(_frozen, found.error))),
    )


def certified_worst(
    rule: Callable[[BanditData], Any],
    n: int,
    cstar: float | None = None,
    *,
    law: ArrayLike | None = None,
    counts: ArrayLike | None = None,
    split_ties: bool = True,
    tolerance: float = 1e-3,
) -> CertifiedWorst:
    r"""Worst-case loss of any rule over a class of worlds, with a bound that no world exceeds.

    Parameters
    ----------
    rule : callable
        Maps a batch of `BanditData` with one context and two arms to arms (..., 1) of int or to their probabilities
        (..., 1, 2) of float. It is asked about all logs of N rounds at once.
    n : int
        Rounds N, from 0 to 400.
    cstar : float, optional
        C of the class X(C), at least 1. Not with `law` or `counts`.
    law : (2,) array_like of float, optional
        The law of the arms, both positive, if the class is that of one law: either arm may be the better one.
    counts : (2,) array_like of int, optional
        Pulls of both arms, with total N, if they are fixed.
    split_ties : bool
        True: judge the rule with its arms named at random, which splits the ties of one that takes the lowest index and
        treats the arms alike otherwise. False: take it as it is, in the worse order of the arms; right for a rule that
        knows which arm is which, as does `MinimaxRisk.rule` for a law or for counts that are known.
    tolerance : float
        The bound is within this relative tolerance of a loss that is attained, in [1e-6, 0.5].

    Returns
    -------
    CertifiedWorst
        Largest loss found, upper bound, and the world that attains the loss.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range or the rule returns no arms.

    See Also
    --------
    pessimism.bandits.exact.worst_case : Along a one-parameter family only, at any N.
    pessimism.bandits.minimax.solve : The least that any rule can have.

    Notes
    -----
    The bound is relative: it serves losses of 1e-27, and only those below 1e-300 are not told apart. What it rests on:
    in the log-odds of means and law, the log of the probability of any event is nowhere more concave than that of N
    rounds. About 0.4 s at N = 100, half a minute at N = 400.

    Examples
    --------
    >>> from pessimism.bandits import lcb, minimax
    >>> worst = minimax.certified_worst(lcb, 30, 4)
    >>> round(worst.loss, 3), worst.world.law
    (0.129, (0.25, 0.75))
    """
    _check.function("rule", rule, "BanditData -> policy")
    rounds, tol = _check.whole("n", n, high=LARGEST_RULE), _tolerance(tolerance)
    split = _check.flag("split_ties", split_ties)
    setting = every_log.setting_of(rounds, cstar, law, counts)
    cases = [
        (Slab(*law), swapped, logs, errors) for law, swapped, logs, errors in every_log.cases(rule, setting, split)
    ]
    with small_matrices():
        found = [_bounded(slab, swapped, logs, errors, tol) for slab, swapped, logs, errors in cases]
    top, world, swapped = max(found, key=lambda each: each[0].loss)
    complete = all(bound.complete for bound, *_ in found)
    return CertifiedWorst(
        top.loss, max(bound.bound for bound, *_ in found), _world(world, swapped, counts is None), _status(complete)
    )


def _three_arms(
    n: int, cstar: float | None, law: ArrayLike | None, counts: ArrayLike | None, tolerance: float, calls: int
) -> MinimaxRisk:
    from pessimism.bandits._engine import three_arms

    if cstar is None or law is not None or counts is not None:
        raise ValueError("cstar must be given, and neither law nor counts, for three arms")
    c = _check.between("cstar", cstar, 1.0, 1e6, "(]")
    if not 1 <= n <= LARGEST_THREE:
        raise ValueError(f"n must be in [1, {LARGEST_THREE}] for three arms, got {n}: their logs are too many")
    with small_matrices():
        found = three_arms.solve(n, c, tolerance, calls)
    status = Status.SEARCHED if found.complete else Status.BUDGET
    return MinimaxRisk(
        *(found.lower, found.found, n, _frozen(found.worlds), _frozen(found.prior), status, found.calls, None),
        (_frozen(found.rule),),
    )


def _classes(cstars: Sequence[float], weights: Sequence[float] | None) -> tuple[Floats, Floats]:
    """The constants in rising order, and their weights."""
    given = np.atleast_1d(_check.real_array("cstars", cstars))
    if given.ndim != 1 or not given.size:
        raise ValueError(f"cstars must hold at least one constant, in one axis, got shape {given.shape}")
    _check.require("cstars", given, (given > 1.0) & (given <= 1e6), "above 1 and at most 1e6")
    first = np.unique(given, return_index=True)[1]
    _check.require("cstars", given, np.isin(np.arange(given.size), first), "named once")
    shares = np.ones(given.shape) if weights is None else _check.vector("weights", weights, given.size, single=True)
    _check.require("weights", shares, (shares >= 1e-6) & (shares <= 1e6), "in [1e-06, 1e+06]")
    order = np.argsort(given)
    return given[order], shares[order]


def _bounded(
    slab: Slab, swapped: bool, logs: Any, errors: list[Floats], tolerance: float
) -> tuple[Bound, Floats, bool]:
    from pessimism.bandits._engine.worst_worlds import certify, local_maxima

    worlds, losses = local_maxima(logs, errors, [slab])
    bound = certify(logs, errors, [slab], max(float(losses[0]), 0.0), tolerance)
    return bound, worlds[0] if np.isnan(bound.world).any() else bound.world, swapped


def _tolerance(tolerance: float) -> float:
    return _check.between("tolerance", tolerance, 1e-6, 0.5)


def _status(complete: bool) -> Status:
    return Status.CONVERGED if complete else Status.BUDGET


def _frozen(array: Floats) -> Floats:
    array = np.ascontiguousarray(array)
    array.setflags(write=False)
    return array


def _world(place: Floats, swapped: bool, drawn: bool) -> World:
    better, other, p = place.tolist()
    means, law = (better, other), (p, 1.0 - p)
    if swapped:
        means, law = means[::-1], law[::-1]
    return World(means, law if drawn else None)
