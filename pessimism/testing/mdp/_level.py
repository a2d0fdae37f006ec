r"""Measuring the widths of an offline rule that claims a level.

A state that one action never leaves, logged N times with the highest reward 1, is worth :math:`(1-b)/(1-\gamma)` to a
rule that subtracts b from the mean reward: its value measures b. A rule that means :math:`b = V_{\max}\sqrt{L/N}`, with
:math:`V_{\max} = 1/(1-\gamma)`, is held to it at several numbers of states, actions and visits, to the accuracy of its
values; if b is another, the widths tell which mistake explains them.
"""

import math
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from pessimism import _check
from pessimism._types import Floats
from pessimism.mdp import MDPData
from pessimism.testing._driver import PromiseError
from pessimism.testing.bandit._level import MISREAD, Level, base_of_logarithm
from pessimism.testing.mdp._offline import OfflineSubject

ACCURACY = 3e-4
"""Part of a width by which it may be off: one visit more or less of some hundreds is found."""

WIDTH = 0.8
"""Width of the pair logged least, in reward units: just small enough for its value to be above the lowest."""

LAYOUTS = ((1, 1, 1), (2, 3, 4), (5, 2, 4), (2, 2, 4096))
"""States, actions, and how much more often than the first the other states are logged."""


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


def logs(subject: OfflineSubject, level: Level) -> list[Log]:
    """A log of every layout, whose rarest pair has the widest width that a value can show."""
    found = []
    for n_states, n_actions, more in LAYOUTS:
        visits = 1.0
        for _ in range(100):  # the level grows like log n: a fixed point
            every = np.array([visits, *[more * visits] * (n_states - 1)])
            claim = claim_at(level, Log(every, n_actions))
            visits = min(max(1.0, math.ceil(claim * (subject.worth / WIDTH) ** 2)), 1e11)
        every = np.array([visits, *[more * visits] * (n_states - 1)])
        found.append(Log(every, n_actions))
    return found


def claim_at(level: Level, log: Log, misread: tuple[int, int, int] | None = None) -> float:
    n, n_states, n_actions = (log.n, len(log.visits), log.n_actions) if misread is None else misread
    claim = _check.not_nan("level", float(np.asarray(level(n, n_states, n_actions))))
    if not 0.0 <= claim < math.inf:
        raise ValueError(f"level must be at least 0 and finite, got {claim!r} at n = {n}")
    return claim


def broken_level(subject: OfflineSubject, level: Level) -> PromiseError | None:
    """A RuleError if some width is not the claimed one."""
    laid_out = logs(subject, level)
    claims = [claim_at(level, log) for log in laid_out]
    answers = [subject.ask(log.data(), "level") for log in laid_out]
    measured = np.concatenate([1.0 - answer.value / subject.worth for answer in answers])
    claimed = _widths(subject, laid_out, claims)
    if _agree(measured, claimed):
        return None
    i = int(np.argmax(np.abs(measured - claimed) > ACCURACY * claimed))
    which = int(np.searchsorted(np.cumsum([len(log.visits) for log in laid_out]), i, side="right"))
    log = laid_out[which]
    visits = int(np.concatenate([log.visits for log in laid_out])[i])
    text = (
        f"{_cause(subject, level, laid_out, measured)}. Where it shows: at the claimed L = {claims[which]:.4g} "
        f"(n = {log.n}) the width of a pair logged {visits} times is V_max sqrt(L/N) = {claimed[i]:.6g}, and the value "
        f"of a state that earns 1 at every step shows {measured[i]:.6g}"
    )
    return subject.error("level", text, log.data(), answers[which])


def _widths(subject: OfflineSubject, laid_out: list[Log], levels: list[float], more: int = 0) -> Floats:
    """Widths of all pairs that are logged, if each has so many visits more."""
    parts = [np.sqrt(level / np.maximum(log.visits + more, 1)) for log, level in zip(laid_out, levels, strict=True)]
    return np.asarray(subject.worth * np.concatenate(parts))


def _agree(found: Floats, expected: Floats) -> bool:
    return bool(np.all(np.abs(found - expected) <= ACCURACY * np.abs(expected) + 1e-7))


def _cause(subject: OfflineSubject, level: Level, laid_out: list[Log], measured: Floats) -> str:
    """One sentence: which mistake explains the widths."""
    claims = [claim_at(level, log) for log in laid_out]
    claimed, worth = _widths(subject, laid_out, claims), float(subject.worth)
    visits = np.concatenate([log.visits for log in laid_out])
    totals = np.concatenate([np.full(len(log.visits), log.n) for log in laid_out])
    in_state = np.concatenate([log.visits * min(log.n_actions, 2) for log in laid_out])
    known = {
        "it does not subtract its widths": 0.0 * claimed,
        "it adds its widths": -claimed,
        "V_max is missing: its widths are sqrt(L/N(s, a)), in reward units": claimed / worth,
        "its widths grow with sqrt(V_max), not with V_max": claimed / math.sqrt(worth),
        "its widths grow with V_max^2, not with V_max": claimed * worth,
        "the square root is missing: its widths are V_max L/N(s, a)": claimed**2 / worth,
        "its widths do not depend on a pair's own count: n stands where N(s, a) belongs": claimed
        * np.sqrt(visits / totals),
        "its widths do not depend on the action: N(s) stands where N(s, a) belongs": claimed
        * np.sqrt(visits / in_state),
        "its widths are those of N(s, a) + 1 visits": _widths(subject, laid_out, claims, 1),
        "its widths are those of N(s, a) - 1 visits": _widths(subject, laid_out, claims, -1),
    }
    for mistake, misread in MISREAD.items():
        with suppress(ArithmeticError, ValueError):  # a claim need not be defined for these arguments
            levels = [claim_at(level, x, misread(x.n, len(x.visits), x.n_actions)) for x in laid_out]
            known[mistake] = _widths(subject, laid_out, levels)
    for sentence, widths in known.items():
        if _agree(measured, widths):
            return sentence
    ratio = float(np.median(measured / claimed))
    if _agree(measured, ratio * claimed):
        base = base_of_logarithm(ratio**2)
        return f"a constant is off: its widths are {ratio:.4g} times the claimed ones" if base is None else base
    return "no known mistake"
