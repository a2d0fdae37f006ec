r"""What the widths of a rule depend on, measured one thing at a time, where no known mistake explains them.

Pulls in a context that is not asked about keep n where it is, so that the level L stays too while the pulls m of a
challenger change, against a champion with 4m: the lead at which the rule changes its mind then falls as its width does.
"""

import math
from typing import NamedTuple

import numpy as np

from pessimism._types import Ints
from pessimism.bandits import BanditData
from pessimism.testing.bandit._level import CLOSE, RESOLUTION, Ask, Duel, Level, claim_at, measure

RATIO, DUELS = 16, 4
"""Of one number of pulls to the next, and how many there are."""

ROUNDS = 10**7
"""n of the duels, but for those in which it changes."""

STEEPNESS = 0.004
"""Accuracy of a measured exponent of N(a)."""

COARSE = 5e-6
"""Half a difference of means that 7 digits show."""

APART = 2e-3
"""Part of the claimed level by which a difference of two levels may be off."""


class Ladder(NamedTuple):
    """Duels with the same n, S and A: the claimed level, pulls, and the leads at which a rule changes its mind."""

    level: float
    few: list[int]
    leads: list[float]


def sized(few: int, *, n: int = ROUNDS, contexts: int = 2, arms: int = 2) -> Duel:
    """A duel of so many rounds, contexts and arms in all."""
    duel = Duel(contexts - 1, arms, few, 4 * few)
    return duel._replace(elsewhere=n - duel.n)


def ladder_of(ask: Ask, level: Level) -> Ladder | None:
    """Duels from the fewest pulls that leave room for the claimed lead on; None if too few of them have a lead."""
    claim = claim_at(level, sized(1))
    if not 0.0 < abs(claim) < ROUNDS / (10 * RATIO**DUELS):
        return None
    pulls = [math.ceil(2.0 * abs(claim)) * RATIO**k for k in range(DUELS)]
    found = [(few, measure(ask, sized(few))) for few in pulls]
    finite = [(few, lead) for few, lead in found if math.isfinite(lead)]
    return Ladder(claim, *map(list, zip(*finite, strict=True))) if len(finite) > 2 else None


def likely_widths(ask: Ask, level: Level) -> str | None:
    """One sentence: how its widths fall with N(a), or on what its level depends."""

    def spread(data: BanditData) -> Ints:
        return ask(_spread(data))

    ladder = ladder_of(spread, level)
    if ladder is None:
        return None
    cause = _too_coarse(ask, ladder) or _by_variance(spread, ladder)
    return cause or _offset(ladder) or _exponent(ladder) or _dependence(ask, spread, level, ladder)


def _too_coarse(ask: Ask, ladder: Ladder) -> str | None:
    """Whether it does not see what float32 would: of arms pulled equally often the better is not chosen."""
    duel = sized(ladder.few[-1])
    duel = duel._replace(few=duel.many)
    chosen = {lead: ask(duel.data(lead))[0] for lead in (-COARSE, COARSE)}
    if chosen[COARSE] != chosen[-COARSE]:
        return None
    return f"it does not tell means apart that differ by {2 * COARSE:g}: some step computes in float16, or rounds"


def _by_variance(ask: Ask, ladder: Ladder) -> str | None:
    duel = sized(ladder.few[1])
    constant, noisy = measure(ask, duel), measure(lambda data: ask(_noisy(data)), duel)
    if abs(duel.level(noisy) - duel.level(constant)) <= APART * abs(ladder.level):
        return None
    return (
        f"its widths go by the variance of the rewards, as Bernstein's do, and no level does: its L is "
        f"{duel.level(constant):.3g} where rewards are constant and {duel.level(noisy):.3g} where they are 0 or 1"
    )


def _offset(ladder: Ladder) -> str | None:
    """Whether widths are the claimed ones of some pulls more or less."""
    from scipy.optimize import brentq

    def beyond(more: float, i: int = 0) -> float:
        few = ladder.few[i]
        lead = math.sqrt(abs(ladder.level)) * (1 / math.sqrt(few + more) - 1 / math.sqrt(4 * few + more))
        return math.copysign(lead, ladder.level) / ladder.leads[i] - 1.0

    ends = 0.1 - ladder.few[0], 20.0 * ladder.few[0]
    if min(map(abs, ladder.leads)) <= RESOLUTION or beyond(ends[0]) * beyond(ends[1]) >= 0:
        return None
    more = float(brentq(beyond, *ends))
    whole = round(more)
    if not 0.0 < abs(whole) > 16 * abs(more - whole):
        return None
    if any(abs(beyond(more, i)) > CLOSE for i in range(len(ladder.few))):
        return None
    return f"its widths are those of N(a) {whole:+d} pulls: sqrt(L/(N(a) {whole:+d}))"


def _exponent(ladder: Ladder) -> str | None:
    """The power of N(a) as which widths fall, if it is one, and not the claimed one."""
    if min(map(abs, ladder.leads)) <= RESOLUTION:
        return None
    slopes = -np.diff(np.log(np.abs(ladder.leads))) / np.diff(np.log(ladder.few))
    slope = float(np.median(slopes))
    if np.ptp(slopes) > STEEPNESS or abs(slope - 0.5) < STEEPNESS:
        return None
    return f"where N(a) alone changes its widths fall as N(a)^{power(slope)}, not as N(a)^-1/2"


def power(slope: float) -> str:
    """Minus an exponent, as a fraction if it is a simple one."""
    near = (f"-{p}" if q == 1 else f"-{p}/{q}" for q in range(1, 5) for p in range(1, 9) if abs(slope - p / q) < 0.002)
    return next(near, f"{-slope:.3g}")


def _noisy(data: BanditData) -> BanditData:
    """With rewards of 0 and 1 in place of constant ones."""
    return BanditData(data.counts, data.sums, data.sums)


def _higher(data: BanditData) -> BanditData:
    means = data.means + 0.2
    return BanditData(data.counts, data.counts * means, data.counts * means**2)


def _spread(data: BanditData) -> BanditData:
    """With every arm of the last context pulled: only one is."""
    counts, squares = data.counts.copy(), np.array(data.squares)
    counts[-1] = counts[-1].sum() // data.n_arms
    squares[-1] = counts[-1] * data.means[-1] ** 2
    return BanditData(counts, counts * data.means, squares)


def _dependence(few_arms: Ask, ask: Ask, level: Level, ladder: Ladder) -> str | None:
    """On what its level depends otherwise than the claimed one; to `few_arms` some arms were never pulled."""
    rare, base, many = (sized(few) for few in (ladder.few[0], ladder.few[1], ladder.few[-1]))

    def higher(data: BanditData) -> Ints:
        return ask(_higher(data))

    tried = [
        ("an arm that was never pulled", base, base, few_arms, "A counts all arms"),
        ("all means higher by 0.2", rare, rare, higher, "are means drawn towards a prior, or bounds cut off?"),
        ("N(a) greater, n the same", base, many, ask, "does N(a) stand in the logarithm, or are widths cut off?"),
        ("100,000 times the rounds", base, sized(base.few, n=10**5 * ROUNDS), ask, ""),
        ("8 contexts in place of 2", base, sized(base.few, contexts=8), ask, ""),
        ("5 arms in place of 2", base, sized(base.few, arms=5), ask, ""),
    ]
    changes = []
    for what, before, after, asked, hint in tried:
        rise = after.level(measure(asked, after)) - before.level(measure(ask, before))
        changes.append(Change(what, rise, claim_at(level, after) - claim_at(level, before), hint))
    return told(changes, APART * abs(ladder.level))


class Change(NamedTuple):
    """What was changed, by how much a level is greater then, and the claimed one; and what it may mean."""

    what: str
    rise: float
    claimed: float
    hint: str


def told(changes: list[Change], slack: float) -> str | None:
    """The changes of a level that are not the claimed ones; if one has a hint, that alone."""
    wrong = [change for change in changes if abs(change.rise - change.claimed) > slack]
    if not wrong:
        return None
    wrong = [change for change in wrong if change.hint][:1] or wrong
    parts = (f"with {x.what} by {round(x.rise, 4) + 0.0:.3g}, where {x.claimed:.3g} is claimed" for x in wrong)
    return f"its L changes {', and '.join(parts)}" + (f" ({wrong[0].hint})" if wrong[0].hint else "")
