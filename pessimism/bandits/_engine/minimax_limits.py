r"""The pair of worlds that bounds the minimax risk for C* < 2, and limits of the risk and of the price as N grows."""

import math
from typing import Any

import numpy as np

from pessimism._types import Floats
from pessimism.bandits._engine.most_played import log_most_played_error
from pessimism.bandits._engine.two_arms import binomial

NORMAL_RISK = 0.16997120747990366
"""The largest x Phi(-x)."""

CLOSE_TO_TWO = 4e-4
"""Log-odds of the law below which kappa is taken to be its limit."""

END = 1e-14
"""Distance of means from 0 and 1, where ratios of likelihoods are infinite."""


def pair_risk(n: int, p: float, better: float, other: float) -> float:
    """Bayes risk of the world (better, other, p) and its image with the arms renamed, each with weight 1/2.

    Given (n1, s1) the likelihood ratio of the two worlds rises with s2, so the sum of minima is a tail of one world
    and the head of the other.
    """
    from scipy.special import gammaln

    odds = math.log(p / (1.0 - p))
    successes, failures = np.log([better, other]), np.log1p([-better, -other])
    up, down = successes[0] - successes[1], failures[0] - failures[1]
    law, logs, whole = binomial(n, np.array([p, 1.0 - p])), gammaln(np.arange(n + 1) + 1.0), np.arange(n + 1)
    between = np.sqrt(law[:, 0] * law[:, 1])  # a minimum is below the geometric mean

    def rows(m: int) -> Floats:
        """Binomial weights of m rounds with both means."""
        k = whole[: m + 1]
        ways = logs[m] - logs[: m + 1] - logs[m::-1]
        weights: Floats = np.exp(ways + np.multiply.outer(successes, k) + np.multiply.outer(failures, m - k))
        return weights

    total = 0.0
    for n1 in np.flatnonzero(between > 1e-15 * between.max()).tolist():
        n2, s1 = n - n1, whole[: n1 + 1]
        one, two = rows(n1), rows(n2)
        own, image = law[n1, 0] * one[0], law[n1, 1] * one[1]
        ratio = (n2 - n1) * odds - s1 * up - (n1 - s1) * down  # log of image / own, without s2
        last = np.floor((-ratio - n2 * down) / (up - down)).clip(-1, n2).astype(np.int64)
        head = np.concatenate([[0.0], np.cumsum(two[0])])
        tail = np.concatenate([np.cumsum(two[1, ::-1])[::-1], [0.0]])
        total += float((image * head[last + 1] + own * tail[last + 1]).sum())
    return (better - other) * total / 2.0


def best_pair(n: int, p: float) -> float:
    """The largest `pair_risk` over both means."""
    from scipy.optimize import minimize

    def loss(at: Floats) -> float:
        better, other = np.clip(np.sin(np.pi / 2.0 * np.asarray(at)) ** 2, END, 1.0 - END)
        return -pair_risk(n, p, better, other) if better > other else 0.0

    gaps = np.array([0.4, 0.7, 1.0, 1.4]) / math.sqrt(n) / 2.0
    middle = [(c + g, c - g) for c in (0.5, 0.7) for g in gaps if c + g < 1.0 and c - g > 0.0]
    starts = [*middle, *((1.0 - END, x) for x in (0.2, 0.4, 0.6, 0.8))]
    angles = [2.0 / np.pi * np.arcsin(np.sqrt(np.array(start))) for start in starts]
    best = sorted(angles, key=loss)[: 2 if n < 50 else 1]
    options: Any = {"xatol": 1e-5, "fatol": 1e-300, "maxfev": 200}
    simplex = np.array([[0.0, 0.0], [0.02, 0.0], [0.0, -0.02]])
    found = []
    for at in best:
        options["initial_simplex"] = at + simplex
        found.append(float(minimize(loss, at, method="Nelder-Mead", options=options).fun))
    return -min(found)


def kappa(ell: float, odd: bool) -> float:
    r"""max over x of x e^(-x^2/2) S(x) / S(0), S(x) = sum over d of E exp(-|d ell/2 + x Z|), d odd or even."""
    from scipy.optimize import minimize_scalar
    from scipy.special import ndtr

    if ell < CLOSE_TO_TWO:
        return math.exp(-0.5)
    a = np.arange(int(odd), 80.0 / ell + 2.0, 2.0) * ell / 2.0
    twice = np.where(a > 0, 2.0, 1.0)  # d and -d

    def value(x: float) -> float:
        terms = np.exp(-a) * ndtr(a / x - x) + np.exp(a + _log_ndtr(-a / x - x))
        return float(x * (twice * terms).sum() / (twice * np.exp(-a)).sum())

    found = minimize_scalar(lambda x: -value(x), bounds=(1e-3, 4.0), method="bounded", options={"xatol": 1e-9})
    return -float(found.fun)


def _log_ndtr(x: Floats) -> Floats:
    from scipy.special import log_ndtr

    return np.asarray(log_ndtr(x))


def leading(n: int, cstar: float) -> float:
    """Leading term of the minimax risk."""
    if cstar >= 2.0:
        return NORMAL_RISK * cstar / (2.0 * math.sqrt((cstar - 1.0) * n))
    if cstar == 1.0:
        return 0.0
    p = 1.0 / cstar
    error = math.exp(log_most_played_error(n, np.array([p, 1.0 - p, 0.0])))
    return kappa(-math.log(cstar - 1.0), n % 2 == 1) * error / math.sqrt(n)


def shifted(d: float) -> float:
    """The largest x Phi(-(x + d))."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_ndtr

    high = 2.0 + abs(min(d, 0.0)) + 2.0
    found = minimize_scalar(lambda x: -math.log(x) - log_ndtr(-(x + d)), bounds=(1e-6, high), method="bounded")
    return math.exp(-float(found.fun))


def price(low: float, high: float) -> float:
    """The limit of the price of the classes `low` and `high`, both at least 2."""
    from scipy.optimize import brentq

    def spread(c: float) -> float:
        return c / (2.0 * math.sqrt(c - 1.0))

    aim = math.log(spread(low) / spread(high))
    if aim == 0.0:
        return 1.0
    d = brentq(lambda d: math.log(shifted(d) / shifted(-d)) - aim, 0.0, 30.0, xtol=1e-10)
    return shifted(-d) / NORMAL_RISK
