r"""Measuring the intervals of a rule that is only seen from outside.

An index rule of level L prefers the less pulled of two arms (:math:`N_2 < N_1` pulls) exactly if its mean is ahead by
more than the *lead*

.. math:: g = \operatorname{sign}(L) \sqrt{|L|} \left( N_2^{-1/2} - N_1^{-1/2} \right)

for rewards in [0, 1]. So the lead at which a rule changes its mind measures its widths (`measure`), a rule that means
to use the level L must change its mind near the g above (`broken_duel`), and if it does not, leads measured at several
n tell which mistake explains it (`likely_cause`). Any change of the widths of a rule that claims nothing shows where it
changes its mind (`turning`).
"""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats, Ints
from pessimism.bandits import BanditData

Level = Callable[[int, int, int], ArrayLike]
Ask = Callable[[BanditData], Ints]

ACCURACY = 0.01
"""Relative accuracy to which a claimed width is held: a different constant is found, n + 1 for n forgiven."""

CLOSE = 1e-3
"""The same for the widths of one pull more or less, which are close to those claimed."""

RESOLUTION = 1e-6
"""Smallest lead told from none, in units of the reward range."""

WIDEST = 0.25
"""Duels are laid out so that the claimed width of the less pulled arm is at most this."""

LIMIT = 0.5
"""Largest lead that rewards in [0, 1] leave room for."""

LAYOUTS = ((1, 2, 4, 1), (2, 3, 4, 1), (1, 2, 4, 64), (2, 3, 64, 64), (1, 2, 4, 16384))
"""Duels: contexts, arms, pulls of many over few, and few over the smallest that keeps the claimed width narrow."""

FINE = 1e-8
"""A lead that 7 digits do not resolve."""

ELSEWHERE = 10**4
"""Pulls in another context than that of a short duel: they make n so large that n + 1 is forgiven there too."""

BEYOND_32_BITS = 5 * 10**9

TURNS = (4**4, 4**9)
"""Pulls of the challenger at which the lead of a rule that claims nothing is looked for; the second for an L of 1e5."""


MISREAD: dict[str, Callable[[int, int, int], tuple[int, int, int]]] = {
    "S is missing from the union bound over SA pairs, or n is taken per context": lambda n, s, a: (n, 1, a),
    "A is missing from the union bound over SA pairs": lambda n, s, a: (n, s, 1),
    "its delta is 1/n^2, where the claim has 1/n": lambda n, s, a: (min(n * n, _check.MAX_TOTAL), s, a),
    "a factor 2 is missing in the logarithm, as of two-sided intervals": lambda n, s, a: (n // 2, s, a),
}
"""Mistakes, and what each takes for (n, S, A)."""


class Duel(NamedTuple):
    """A log in which every context compares an arm pulled `few` times with arms pulled `many` times."""

    contexts: int
    arms: int
    few: int
    many: int
    elsewhere: int = 0  # pulls of one arm of a context more

    @property
    def n(self) -> int:
        return self.contexts * (self.few + self.many + (self.arms - 2) * (self.many - 1)) + self.elsewhere

    @property
    def n_contexts(self) -> int:
        return self.contexts + (self.elsewhere > 0)

    @property
    def challengers(self) -> Ints:
        """(S,) the less pulled arm of every context: not always arm 0."""
        return np.arange(self.contexts) % self.arms

    @property
    def champions(self) -> Ints:
        """(S,) the best of the arms that are pulled often."""
        return (self.challengers + 1) % self.arms

    def data(self, lead: float) -> BanditData:
        """Rewards in [0, 1]; the challenger's mean is `lead` above the champion's, all others are out of the race."""
        rows, shape = np.arange(self.contexts), (self.n_contexts, self.arms)
        counts, means = np.full(shape, self.many - 1), np.full(shape, 0.25 - lead / 2)
        counts[self.contexts :] = [[self.elsewhere, *[0] * (self.arms - 1)]]
        counts[rows, self.challengers], counts[rows, self.champions] = self.few, self.many
        means[rows, self.champions] = 0.5 - lead / 2
        means[rows, self.challengers] = 0.5 + lead / 2
        squares = means**2 if self.elsewhere else means  # of constant rewards; of rewards of 0 and 1
        return BanditData(counts, counts * means, counts * squares)

    def lead(self, level: float) -> float:
        """The lead g at which an index rule of this level changes its mind."""
        return math.copysign(math.sqrt(abs(level)), level) * (1 / math.sqrt(self.few) - 1 / math.sqrt(self.many))

    def level(self, lead: float) -> float:
        """The level at which an index rule changes its mind at this lead: the inverse of `lead`."""
        return math.copysign((lead / self.lead(1.0)) ** 2, lead)


def as_level(level: Level | float | None) -> Level | None:
    if level is None:
        return None
    if callable(level):
        claimed = level
        return lambda n, contexts, arms: _number(np.squeeze(claimed(n, contexts, arms)))
    number = _number(level)
    return lambda n, contexts, arms: number


def _number(level: Any) -> float:
    """A level whose widths neither overflow nor vanish: 0, infinite or of a size that can be squared."""
    size, most = abs(_check.not_nan("level", level)), _check.MAX_SIZE
    if size not in (0.0, math.inf) and not 1.0 / most <= size <= most:
        raise ValueError(f"level must be 0, infinite or in [{1.0 / most:g}, {most:g}] in size, got {level!r}")
    return float(np.asarray(level))


def duels(level: Level) -> list[Duel]:
    """Duels at several n that tell the claimed level from its neighbours."""
    chosen = []
    for contexts, arms, ratio, further in LAYOUTS:
        candidates = (Duel(contexts, arms, 4**k, ratio * 4**k) for k in range(1, 18))
        narrow = (duel.few for duel in candidates if _is_narrow(claim_at(level, duel), duel))
        few = next(narrow, None)
        if few is None:
            raise ValueError(
                "level must be small beside n: not even at n = 10^12 is the width below the reward range / 4"
            )
        chosen.append(Duel(contexts, arms, few * further, ratio * few * further))
    return chosen


def short_duel(level: Level) -> Duel | None:
    """A duel at so few pulls that one more or less shows; None if no such duel has room for the claimed lead."""
    for few in range(1, 60):
        duel = Duel(1, 2, few, few + 1, ELSEWHERE)
        if RESOLUTION < abs(duel.lead(claim_at(level, duel))) < 0.8 * LIMIT:
            return duel
    return None


def long_duel(level: Level) -> Duel:
    """A duel whose pulls do not fit in 32 bits, nor the products of two of them in 64."""
    few = max(duels(level)[0].few, BEYOND_32_BITS)
    return Duel(1, 2, few, 4 * few)


def claim_at(level: Level, duel: Duel) -> float:
    return _check.not_nan("level", float(np.asarray(level(duel.n, duel.n_contexts, duel.arms))))


def _is_narrow(claim: float, duel: Duel) -> bool:
    return math.isinf(claim) or abs(claim) <= WIDEST**2 * duel.few


def broken_duel(ask: Ask, level: Level) -> tuple[Duel, float] | None:
    """The first duel, and its lead, that a rule of the claimed level decides the other way; None if there is none."""
    short = short_duel(level)
    fine = duels(level)[0]
    fine = fine._replace(few=fine.many)
    for duel in (*duels(level), long_duel(level), *([] if short is None else [short]), fine):
        claim = claim_at(level, duel)
        if duel is fine and math.isinf(claim):
            continue  # it goes by the pulls, which are equal
        change = duel.lead(claim) if duel.few < duel.many else 0.0
        slack = FINE if duel is fine else max(ACCURACY * abs(change), RESOLUTION)
        for lead in (change - slack, change + slack) if math.isfinite(claim) else (-0.8 * LIMIT, 0.8 * LIMIT):
            expected = duel.challengers if lead > change else duel.champions
            if not np.array_equal(ask(duel.data(lead))[: duel.contexts], expected):
                return duel, lead
    return None


def measure(ask: Ask, duel: Duel) -> float:
    """The lead at which the rule changes its mind in context 0; +-inf beyond the limit."""
    from scipy.optimize import bisect

    def side(lead: float) -> float:
        return 1.0 if ask(duel.data(lead))[0] == duel.challengers[0] else -1.0

    if side(-LIMIT) > 0:
        return -math.inf
    if side(LIMIT) < 0:
        return math.inf
    return float(bisect(side, -LIMIT, LIMIT, xtol=RESOLUTION * ACCURACY))


def turning(ask: Ask) -> tuple[Duel, float] | None:
    """A duel that the rule decides by the means, and the lead at which it changes its mind; None if there is none."""
    for few in TURNS:
        duel = Duel(2, 3, few, 4 * few)
        lead = measure(ask, duel)
        if math.isfinite(lead):
            return duel, lead
    return None


def likely_cause(ask: Ask, level: Level) -> str | None:
    """One sentence: which known mistake explains the leads that the rule asks for."""
    laid_out = duels(level)
    claims = np.array([claim_at(level, duel) for duel in laid_out])
    leads = np.array([measure(ask, duel) for duel in laid_out])
    measured = np.array([duel.level(lead) for duel, lead in zip(laid_out, leads, strict=True)])
    if np.all(leads == math.inf):
        return "it goes by the pulls alone: no mean makes up for fewer of them"
    if _prefers_worse(ask, laid_out[0]):
        return "of two arms far apart it chooses the worse: argmin may stand where argmax belongs"
    if np.all(np.isfinite(claims) & (claims != 0)) and np.all(np.isfinite(leads)):
        no_root = [claim * (1 / duel.few - 1 / duel.many) for duel, claim in zip(laid_out, claims, strict=True)]
        if np.all(np.abs(leads) <= RESOLUTION):
            return (
                "its widths do not depend on an arm's own count (it chooses the highest mean): the number of "
                "rounds N, or n/(SA), or the context's N(s), may stand where the arm's N(a) belongs"
            )
        if _agree(leads, np.array(no_root)):
            return "the square root is missing: its widths are L/N(a), not sqrt(L/N(a))"
        if (ratio := _constant(measured / claims)) is not None:
            return _ratio_cause(ratio) if abs(ratio - 1) > 2 * ACCURACY else _short_cause(ask, level)
        if _agree(measured, claims**2):
            return "L stands outside the square root: its widths are L/sqrt(N(a)), not sqrt(L/N(a))"
        for mistake, misread in MISREAD.items():
            with suppress(ArithmeticError, ValueError):  # a claim need not be defined for these arguments
                meant = [float(np.asarray(level(*misread(d.n, d.contexts, d.arms)))) for d in laid_out]
                if _agree(measured, np.array(meant)):
                    return mistake
        if (offset := _constant(measured - claims)) is not None:
            return f"its L is {offset:+.3g} from the claimed one at every n, S and A: a factor is off in the logarithm"
        if (frozen := _frozen_rounds(laid_out, measured, level)) is not None:
            return (
                f"its L does not grow with n, and is the claimed one at n = {frozen:.0f}: delta is fixed at "
                f"{1 / frozen:.2g}, where the claim has it shrink like 1/n"
            )
    return None


def amounts(ask: Ask, level: Level) -> str:
    """The levels to which the choices of a rule amount."""
    found = ", ".join(
        f"{duel.level(measure(ask, duel)):.3g} for {claim_at(level, duel):.3g} at n = {duel.n}" for duel in duels(level)
    )
    return f"no known mistake. Its choices amount to L = {found}"


def _short_cause(ask: Ask, level: Level) -> str | None:
    """Why a rule that holds its level at many pulls breaks it in another duel; None if for its widths."""
    duel = short_duel(level)
    if duel is not None and abs(measure(ask, duel) - duel.lead(claim_at(level, duel))) > CLOSE:
        return None
    return "it does not tell means apart that differ in the eighth digit: some step computes in float32, or rounds"


def _prefers_worse(ask: Ask, duel: Duel) -> bool:
    """Against a lead far beyond every width, in both directions."""
    worse = ask(duel.data(LIMIT))[0], ask(duel.data(-LIMIT))[0]
    return worse == (duel.champions[0], duel.challengers[0])


def _ratio_cause(ratio: float) -> str:
    for sign, verb in ((1, ""), (-1, ", and the width is added instead of subtracted")):
        base = base_of_logarithm(sign * ratio)
        if base is not None:
            return f"{base}{verb}"
    if abs(ratio + 1) <= 2 * ACCURACY:
        return "the width is added to the mean, not subtracted: an upper confidence bound, optimism for pessimism"
    return (
        f"a constant is off: its L is {ratio:.3g} times the claimed one, its widths {math.sqrt(abs(ratio)):.3g} times"
    )


def base_of_logarithm(ratio: float) -> str | None:
    """What a level that is off by this ratio says of the base of its logarithm."""
    bases = (base for base in (10, 2) if abs(ratio * math.log(base) - 1) <= 2 * ACCURACY)
    return next((f"the logarithm has base {base}, not e" for base in bases), None)


def _agree(found: Floats, expected: Floats, accuracy: float = 2 * ACCURACY) -> bool:
    return bool(np.all(np.abs(found - expected) <= accuracy * np.abs(expected) + RESOLUTION))


def _constant(values: Floats) -> float | None:
    middle = float(np.median(values))
    return middle if np.all(np.abs(values - middle) <= 2 * ACCURACY * abs(middle)) else None


def _frozen_rounds(laid_out: Sequence[Duel], measured: Floats, level: Level) -> float | None:
    """The one n at which the claimed level is the measured one in every duel, if there is one."""
    grid = np.unique(np.geomspace(1, 1e6, 2000).astype(np.int64))
    nearest = []
    for duel, found in zip(laid_out, measured, strict=True):
        claims = np.array([float(np.asarray(level(int(n), duel.contexts, duel.arms))) for n in grid])
        best = int(np.argmin(np.abs(claims - found)))
        if abs(claims[best] - found) > 2 * ACCURACY * abs(found):
            return None
        nearest.append(float(grid[best]))
    return float(np.median(nearest)) if max(nearest) <= 1.2 * min(nearest) else None
