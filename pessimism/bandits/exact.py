r"""Expected and worst-case suboptimality without Monte Carlo, for two arms per context.

The expected loss of an index rule is :math:`\sum_s \rho(s) g(s) \Pr(\text{the worse arm is chosen at } s)`, where g is
the gap. By linearity only the marginal law of the counts :math:`(N_0, N_1, \text{rest})` of each context matters, which
is trinomial. Given the counts, the reward sums are independent binomials and the comparison of the two indices is a
threshold on one of them (`suboptimality`). Imitation uses the counts alone, so its errors are binomial tails, summed in
log space (`most_played_log_error`). Maximising over the gap for each n gives the points of a rate plot (`worst_case`).

Ties are split evenly. This is the law of a rule that is given an `rng`, and the average over random labels of the arms
for a rule that breaks ties by the lowest index.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats
from pessimism._worst_case import WorstCase, largest_loss, member, model_and_law
from pessimism.bandits._engine.rewards import Rewards
from pessimism.bandits._input import reward_width
from pessimism.bandits.model import Bandit

__all__ = ["Family", "Level", "WorstCase", "most_played_log_error", "suboptimality", "worst_case"]

Level = float | Callable[[int], float]
Family = Callable[[float], tuple[Bandit, ArrayLike]]

LARGEST_N, LARGEST_N_ALONE = 10**6, 10**8
"""Largest n with several contexts (tables of 1 GB) and with one (1e10 terms): about a minute each."""

MONTE_CARLO = (
    "by Monte Carlo: bandit.suboptimality(index_rule(bandit.sample(behavior, n=n, size=10_000), level)).mean()"
)


def suboptimality(
    bandit: Bandit,
    behavior: ArrayLike,
    n: ArrayLike,
    *,
    level: ArrayLike,
    unseen: float = -math.inf,
    sigma: float | None = None,
) -> Floats:
    r"""Expected suboptimality of the index rule of a given level, by enumeration.

    Parameters
    ----------
    bandit : Bandit
        Two arms in every context; rewards of any kind.
    behavior : (..., S, 2) array_like of float
        Joint law of the logged (context, arm) pairs.
    n : (...) array_like of int
        Rounds in the log.
    level : (...) array_like of float
        As in `index_rule`: 0 is greedy, inf most played, -inf least played; for LCB pass `hoeffding_level`.
    unseen : float
        Index of an arm that was never pulled, in reward units.
    sigma : float, optional
        As in `index_rule`: required for Gaussian rewards unless the level is 0 or infinite.

    Returns
    -------
    (...) float
        Expected loss in reward units over the broadcast batch of model, law, n and level.

    Raises
    ------
    ValueError, TypeError
        If there are not two arms or n is too large, naming Monte Carlo instead, or an argument is out of its range.

    See Also
    --------
    pessimism.bandits.rules.index_rule.index_rule : The rule.
    pessimism.bandits.model.Bandit.suboptimality : The loss of a given policy.
    pessimism.bandits.exact.worst_case : The largest over the gap.

    Notes
    -----
    Joint probabilities below 1e-36 are dropped and everything else is a sum of positive terms: relative error about
    1e-10 for losses above 1e-16 (level inf: for all that float64 can hold). Cost O(n) for one context, O(n^1.5) for a
    context met in a constant share of the rounds; contexts with the same law and means are computed once. The first
    call in a process loads compiled code (0.3 s), the very first compiles it (1 to 2 s).

    Examples
    --------
    >>> bandit = Bandit([[1.0, 0.0]])
    >>> float(suboptimality(bandit, [[0.5, 0.5]], 2, level=0.0))  # wrong only if arm 0 was never pulled
    0.25
    """
    from pessimism.bandits._engine.enumeration import IndexRule, error_probabilities

    _check.instance("bandit", bandit, Bandit)
    if bandit.n_arms != 2:
        raise ValueError(f"exact enumeration needs two arms, got {bandit.n_arms}; {MONTE_CARLO}")
    mu = bandit.check_behavior(behavior)
    rounds = _check.whole_array("n", n)
    lvl = _check.extended_array("level", level)
    fill = _check.not_nan("unseen", unseen)
    widths_matter = sigma is not None or np.any(np.isfinite(lvl) & (lvl != 0))
    width = reward_width(bandit.reward_range, sigma) if widths_matter else 1.0
    batch = _check.broadcast("bandit, behavior, n and level", bandit.shape, mu.shape[:-2], rounds.shape, lvl.shape)
    largest = LARGEST_N if bandit.n_contexts > 1 else LARGEST_N_ALONE
    countable = (rounds <= largest) | ((lvl == math.inf) & (bandit.n_contexts == 1))
    if not np.all(countable):
        raise ValueError(
            f"n must be at most {largest:.0e} for exact enumeration here, got {rounds.max()}; {MONTE_CARLO}"
        )
    kinds, means, scales = bandit._rewards(batch + bandit.means.shape[-2:])
    law, rho = np.broadcast_to(mu, means.shape), np.broadcast_to(bandit.contexts, means.shape[:-1])
    rounds, lvl = np.broadcast_to(rounds, batch), np.broadcast_to(lvl, batch)
    loss = np.empty(batch)
    for i in np.ndindex(batch):
        rule = IndexRule(float(lvl[i]), width, fill)
        errors = error_probabilities(int(rounds[i]), law[i], Rewards(kinds, means[i], scales[i]), rule)
        loss[i] = np.sum(rho[i] * np.abs(means[i][:, 0] - means[i][:, 1]) * errors)
    return loss[()]


def most_played_log_error(p: float, n: int) -> float:
    r"""Natural logarithm of :math:`\Pr(N < n/2) + \tfrac12 \Pr(N = n/2)`, :math:`N \sim \mathrm{Bin}(n, p)`.

    Parameters
    ----------
    p : float
        Probability, in [0, 1], that a round plays the better of two arms: 1/C*.
    n : int
        Rounds.

    Returns
    -------
    float
        Log of the probability that the most played of two arms is the worse one, ties split evenly; -inf for
        probability 0.

    See Also
    --------
    pessimism.bandits.rules.most_played.most_played : The rule.
    pessimism.bandits.bounds.imitation_exponent : The exponent as n grows.

    Notes
    -----
    Valid far below the smallest float: relative error about 1e-13 of the logarithm. Only an even n allows ties, so
    compare even n with even n. Cost O(sqrt(n)) terms near p = 1/2, O(1) away from it.

    Examples
    --------
    >>> round(math.exp(most_played_log_error(0.5, 10)), 12)
    0.5
    >>> round(most_played_log_error(0.999, 2000) / math.log(10))
    -2400
    """
    from pessimism.bandits._engine.most_played import log_most_played_error

    good = _check.between("p", p, 0.0, 1.0)
    return log_most_played_error(_check.whole("n", n), np.array([good, 1.0 - good, 0.0]))


def worst_case(
    family: Family,
    n: int,
    *,
    level: Level,
    unseen: float = -math.inf,
    gaps: tuple[float, float] = (1e-6, 1.0),
    sigma: float | None = None,
) -> WorstCase:
    r"""Largest expected suboptimality over a one-parameter family, the gap re-optimised for this n and rule.

    Parameters
    ----------
    family : callable
        Maps gap -> (bandit, behavior), with two arms per context; the loss should be continuous in the gap.
    n : int
        Rounds in the log.
    level : float or callable
        Level of the index rule, or a function of n that returns it.
    unseen : float
        Index of an arm that was never pulled, in reward units.
    gaps : (float, float)
        Interval searched, 0 < low < high; every gap in it must be one that `family` accepts.
    sigma : float, optional
        As in `index_rule`.

    Returns
    -------
    WorstCase
        The largest loss, the gap that attains it, and whether that gap lies at an end of the interval.

    See Also
    --------
    pessimism.bandits.minimax.certified_worst : Over all worlds with C* at most C, certified, at N up to 400.
    pessimism.bandits.bounds.lcb_normal_prediction : A prediction of the result for `instances.symmetric`.
    simulations.bandit_rates : Draws the results against n.

    Notes
    -----
    A logarithmic grid of 41 gaps, then a bounded search around every local maximum of at least half the largest. At a
    fixed gap the loss decays exponentially in n; the supremum over the gap has a rate. It is the worst case of one rule
    on one family: a lower bound of that rule's worst loss over all problems with this C*.

    Examples
    --------
    >>> from pessimism.bandits import instances
    >>> worst = worst_case(lambda gap: instances.symmetric(4.0, gap), 100, level=0.0)
    >>> round(worst.loss, 4), round(worst.gap, 2), worst.status.name
    (0.0198, 0.09, 'INTERIOR_MAXIMUM')
    """
    _check.function("family", family, "gap -> (bandit, behavior)")
    rounds = _check.whole("n", n)
    lvl = _check.not_nan("level", level(rounds) if callable(level) else level)

    def loss(gap: float) -> float:  # numpydoc ignore=GL08
        expected = suboptimality(*model_and_law(member(family, gap)), rounds, level=lvl, unseen=unseen, sigma=sigma)
        if expected.ndim:
            raise ValueError(f"family must return one model and one law, got a batch of shape {expected.shape}")
        return float(expected)

    return largest_loss(loss, gaps)
