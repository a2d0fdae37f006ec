r"""What the widths of an offline rule depend on, measured one thing at a time.

A state that one action never leaves, logged N times with the highest reward 1, is worth :math:`(1-b)/(1-\gamma)` to a
rule that subtracts b from the mean reward: its value measures b. Visits of the other states keep n where it is.
"""

import math
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pessimism._types import Floats
from pessimism.mdp import MDPData
from pessimism.testing.bandit._level import Level
from pessimism.testing.bandit._widths import STEEPNESS, Change, power, told
from pessimism.testing.mdp._offline import OfflineSubject

WIDTH = 0.8
"""Width of the pair logged least, in reward units: just small enough for its value to be above the lowest."""

RATIO, ROUNDS = 16, 10**8
"""Of one number of visits to the next, and transitions of the whole log."""

GROWTH = 10**4
"""Of the whole log, where n changes."""

FARTHER = 1.0 / 3.0
"""1 - discount, of what it was, where V_max is another."""

APART = 2e-3
"""Part of the claimed level by which a difference of two levels may be off."""

LOOSE = 0.1
"""How far a power may be off where logarithms are not known."""


class Log(NamedTuple):
    """States that stay, with one logged action each that earns 1, and another, as often, that earns 0."""

    visits: Floats
    n_actions: int

    @property
    def n(self) -> int:
        return int(self.visits.sum()) * min(self.n_actions, 2)

    def data(self) -> MDPData:
        n_states = len(self.visits)
        counts = np.zeros((n_states, self.n_actions), np.int64)
        counts[:, :2] = self.visits[:, None]
        sums = counts * (np.arange(self.n_actions) == 0)
        lists = np.broadcast_to(np.arange(n_states)[:, None, None], (*counts.shape, 1))
        return MDPData(counts, lists, counts[..., None], 1.0 * sums, (0.0, 1.0), "deterministic")


def sized(visits: int, n: int, n_states: int = 2, n_actions: int = 2) -> Log:
    """A log of n transitions whose first state is visited so often."""
    others = (n // min(n_actions, 2) - visits) // (n_states - 1)
    return Log(np.array([visits, *[others] * (n_states - 1)]), n_actions)


def width(subject: OfflineSubject, log: Log) -> float:
    """Of the first pair, in reward units."""
    return 1.0 - float(subject.ask(log.data(), "level").value[0] / subject.worth)


def further(subject: OfflineSubject) -> OfflineSubject:
    """Asked at a discount nearer to 1."""
    return replace(subject, discount=1.0 - FARTHER * (1.0 - subject.discount))


def dependence(subject: OfflineSubject, level: Level, visits: int) -> str | None:
    """On what the level depends otherwise than the claimed one."""
    base = sized(visits, ROUNDS)
    tried = [
        (
            "N(s, a) greater, n the same",
            sized(RATIO * visits, ROUNDS),
            "does N(s, a) stand in the logarithm, or are widths cut off?",
        ),
        ("10,000 times the transitions", sized(visits, GROWTH * ROUNDS), ""),
        ("8 states in place of 2", sized(visits, ROUNDS, 8), ""),
        ("5 actions in place of 2", sized(visits, ROUNDS, 2, 5), ""),
    ]

    def levels(log: Log) -> Floats:
        found = (width(subject, log) / float(subject.worth)) ** 2 * log.visits[0]
        return np.array([found, float(np.asarray(level(log.n, len(log.visits), log.n_actions)))])

    here = levels(base)
    rises = [(what, levels(log) - here, hint) for what, log, hint in tried]
    changes = [Change(what, float(rise[0]), float(rise[1]), hint) for what, rise, hint in rises]
    return told(changes, APART * float(here[1]))


def powers(subject: OfflineSubject, visits: int, slack: float = STEEPNESS) -> str | None:
    """As which powers of N(s, a), of other visits and of V_max widths grow, if not as the claimed ones."""
    base = sized(visits, ROUNDS)
    here, grown = width(subject, base), width(subject, sized(visits, GROWTH * ROUNDS))
    if not here > 1e-6:
        return None
    rarer = [here, *(width(subject, sized(RATIO**k * visits, ROUNDS)) for k in (1, 2))]
    fall, next_fall = (_power(x, y, RATIO) for x, y in pairwise(rarer))
    if fall < LOOSE < _power(here, grown, GROWTH):
        return (
            "its widths fall where other pairs are logged more often, and not with N(s, a): a share of n stands where "
            "N(s, a) belongs"
        )
    if abs(fall - 0.5) > slack:
        constant = abs(fall - next_fall) <= slack
        return f"where N(s, a) alone changes its widths fall as N(s, a)^{power(fall)}, {NOT}" if constant else None
    beyond = further(subject)
    rise = -_power(here, width(beyond, base), 1.0 / FARTHER)
    return (
        f"its widths grow as V_max^{power(rise)[1:]}, not as V_max = 1/(1 - discount)"
        if abs(rise - 1) > slack
        else None
    )


NOT = "not as N(s, a)^-1/2"


def _power(before: float, after: float, ratio: float) -> float:
    """Minus the exponent of what grows by this ratio."""
    return math.log(before / max(after, 1e-300)) / math.log(ratio)
