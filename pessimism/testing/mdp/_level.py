r"""Measuring the widths of an offline rule that claims a level.

A state that is never left and earns 1 shows the width b (`pessimism.testing.mdp._widths`). A rule that means
:math:`b = V_{\max}\sqrt{L/N}`, with :math:`V_{\max} = 1/(1-\gamma)`, is held to it at several numbers of states,
actions and visits, to the accuracy of its values; if b is another, the widths tell which mistake explains them.
"""

import math
from contextlib import suppress

import numpy as np

from pessimism import _check
from pessimism._types import Floats
from pessimism.testing._driver import PromiseError
from pessimism.testing.bandit._level import MISREAD, Level, base_of_logarithm
from pessimism.testing.mdp._offline import OfflineSubject
from pessimism.testing.mdp._widths import WIDTH, Log, dependence, further, powers, width

ACCURACY = 3e-4
"""Part of a width by which it may be off: one visit more or less of some hundreds is found."""

LAYOUTS = ((1, 1, 1), (2, 3, 4), (5, 2, 4), (2, 2, 4096))
"""States, actions, and how much more often than the first the other states are logged."""


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
    claimed = _widths(subject, laid_out, claims)
    visits = np.concatenate([log.visits for log in laid_out])
    for sentence, widths in _known(subject, level, laid_out, claims).items():
        if _agree(measured, widths):
            return sentence
    more = round(float(visits[0] * ((claimed[0] / measured[0]) ** 2 - 1.0))) if measured[0] > 0 else 0
    if _agree(measured, _widths(subject, laid_out, claims, more)):
        return f"its widths are those of N(s, a) {'+' if more > 0 else '-'} {abs(more)} visits"
    ratio = float(np.median(measured / claimed))
    left = (1.0 - measured) / (1.0 - claimed)  # of the value
    if subject.discount > 0 and 0.0 < left.min() <= left.max() < 1.0 and np.ptp(left) < ACCURACY:
        sweeps = math.log1p(-left[0]) / math.log(subject.discount)
        if abs(sweeps - round(sweeps)) < 0.05:
            return f"it stops too early: its values are those after {round(sweeps)} sweeps from the smallest value"
    rare = int(max(log.visits[0] for log in laid_out))
    if _agree(measured, ratio * claimed):
        beyond, one = further(subject), laid_out[0]
        there = width(beyond, one) / (float(beyond.worth) * math.sqrt(claims[0] / one.visits[0]))
        if abs(ratio - subject.discount) + abs(there - beyond.discount) <= ACCURACY:
            return "its widths grow with discount/(1 - discount), not with V_max = 1/(1 - discount)"
        if abs(there / ratio - 1.0) > ACCURACY and (cause := powers(subject, rare)) is not None:
            return cause
        base = base_of_logarithm(ratio**2)
        return f"a constant is off: its widths are {ratio:.4g} times the claimed ones" if base is None else base
    return powers(subject, rare) or dependence(subject, level, rare) or "no known mistake"


def _known(subject: OfflineSubject, level: Level, laid_out: list[Log], claims: list[float]) -> dict[str, Floats]:
    """Widths of known mistakes, by a sentence on them."""
    claimed, worth = _widths(subject, laid_out, claims), float(subject.worth)
    visits, states, actions, totals = (
        np.concatenate([np.broadcast_to(part, len(log.visits)) for part, log in zip(parts, laid_out, strict=True)])
        for parts in zip(*[(x.visits, len(x.visits), x.n_actions, x.n) for x in laid_out], strict=True)
    )
    in_state = visits * np.minimum(actions, 2)
    known = {
        "it does not subtract its widths": 0.0 * claimed,
        "it adds its widths": -claimed,
        "V_max is missing: its widths are sqrt(L/N(s, a)), in reward units": claimed / worth,
        "its widths grow with sqrt(V_max), not with V_max": claimed / math.sqrt(worth),
        "its widths grow with V_max^2, not with V_max": claimed * worth,
        "the square root is missing: its widths are V_max L/N(s, a)": claimed**2 / worth,
    }
    for mistake, misread in MISREAD.items():
        with suppress(ArithmeticError, ValueError):  # a claim need not be defined for these arguments
            levels = [claim_at(level, x, misread(x.n, len(x.visits), x.n_actions)) for x in laid_out]
            known[mistake] = _widths(subject, laid_out, levels)
    known["L stands outside the square root: its widths are V_max L/sqrt(N(s, a))"] = _widths(
        subject, laid_out, [claim**2 for claim in claims]
    )
    for count, stand_in in {
        "n": totals,
        "n/S": totals / states,
        "n/A": totals / actions,
        "n/(SA)": totals / (states * actions),
        "N(s)": in_state,
        "N(s)/A": in_state / actions,
    }.items():
        known[f"its widths do not depend on a pair's own count: {count} stands where N(s, a) belongs"] = (
            claimed * np.sqrt(visits / stand_in)
        )
    return known
