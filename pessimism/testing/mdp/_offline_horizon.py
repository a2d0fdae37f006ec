r"""The horizon that a rule really uses: how much more its values are worth where every reward is greater by 1."""

from dataclasses import replace

import numpy as np

from pessimism.mdp import MDPData
from pessimism.testing._driver import RuleError
from pessimism.testing.mdp._offline import OfflineSubject, transformed

MANY = 10**8
"""Visits of the pairs on which a rule's horizon is measured: no width matters."""

MOST_SWEEPS = 10**4
"""Sweeps after which a rule is no longer asked whether it stops too early."""


def likely_cause(subject: OfflineSubject) -> str:
    """Why values do not move with the rewards: read off how much they move where every pair was logged often."""
    one, two = (_slope(subject, visits) for visits in ([MANY], [3 * MANY, MANY]))
    right = float(np.max(subject.worth))
    said = f"A reward of 1 at every step is worth {right:.6g}, to this rule {one:.6g}"
    if not _same(one, right):
        cause = _of_a_horizon(subject.horizon, one) if subject.horizon is not None else _of_a_discount(subject, one)
        return f"{said}: {cause or 'no known mistake'}"
    if not _same(two, right):
        return (
            f"{said} where one pair was logged, and {two:.6g} where two were: the shares of the successors do not "
            "total one. next_counts must be divided by the visits N(s, a) of their own pair (data.transition_shares), "
            "not by a total"
        )
    return _of_few(subject, right) or (
        "Where all was logged its values move as they should: it takes a fixed number such as 0 for the smallest "
        "possible value, as a floor or for what was never logged; that is reward_range[0] at every step to come"
    )


def _of_few(subject: OfflineSubject, right: float) -> str | None:
    """What makes the worth of a reward of 1 depend on how often a pair was logged, if it does."""
    few = {visits: _slope(subject, [visits]) for visits in (1, 3)}
    visits = next((visits for visits, slope in few.items() if not _same(slope, right)), None)
    if visits is None:
        return None
    times = "once" if visits == 1 else f"{visits} times"
    said = (
        f"A reward of 1 at every step is worth {right:.6g}, to this rule {few[visits]:.6g} where it was seen {times}: "
    )
    parts = [few[n] / right for n in few]
    added = [n / part - n for n, part in zip(few, parts, strict=True)]
    if min(parts) > 0 and _same(added[0], added[1]):
        return f"{said}its rewards are summed and divided by N(s, a) + {added[0]:.3g}, not by the visits N(s, a)"
    if subject.horizon is None and min(few.values()) > 0:
        totals = [(1.0 - 1.0 / few[n]) / subject.discount for n in few]
        added = [n / max(total, 1e-300) - n for n, total in zip(few, totals, strict=True)]
        if totals[0] < 1.0 and (_same(added[0], added[1]) or _same(totals[1], 1.0)):
            return (
                f"{said}the shares of its successors do not total one, but {totals[0]:.3g} after one visit. "
                "next_counts must be divided by the visits N(s, a), not by N(s, a) + 1"
            )
    return f"{said}do its widths go by the highest reward, not by the width of data.reward_range?"


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-4 * max(1.0, abs(other))


NO_EFFECT = "the rewards have no effect on it, or are taken relative to the lowest one, which has to be put back"
SUMS = "sums of rewards stand where means belong"
ONE_STEP = "it is the value of one step, or normalised by 1 - discount: what comes after is missing"


def _of_a_horizon(horizon: int, one: float) -> str | None:
    """What makes a reward of 1 at each of H steps worth so much."""
    known = {NO_EFFECT: 0.0, SUMS: MANY * horizon, "it is the value of one step: what comes after is missing": 1.0}
    known |= {"it counts one step too few": horizon - 1.0, "it counts one step too many": horizon + 1.0}
    cause = next((sentence for sentence, slope in known.items() if _same(one, slope)), None)
    if cause is None and 1.0 < one < horizon:
        sums = np.roots([*[1.0] * (horizon - 1), 1.0 - one])  # 1 + g + ... + g^(H-1) = one
        gamma = max(x.real for x in sums if abs(x.imag) < 1e-9)
        return f"it discounts, by {gamma:.3g} a step: with a horizon nothing is discounted"
    return cause


def _of_a_discount(subject: OfflineSubject, one: float) -> str | None:
    """What makes a reward of 1 at every step worth so much, at two discounts."""
    gammas = np.array([subject.discount, (1.0 + 2.0 * subject.discount) / 3.0])
    found = one, _slope(replace(subject, discount=float(gammas[1])), [MANY])
    known = {
        NO_EFFECT: 0.0 * gammas,
        SUMS: MANY / (1.0 - gammas),
        ONE_STEP: 0.0 * gammas + 1.0,
        "the discount is applied twice a step": 1.0 / (1.0 - gammas**2),
        "the discount multiplies the reward too": gammas / (1.0 - gammas),
    }
    for sentence, slopes in known.items():
        if all(map(_same, found, slopes)):
            return sentence
    if _same(*found) and one > 1.0:
        return f"the discount it is called with makes no difference: it is fixed, at {1.0 - 1.0 / one:.4g} if at one"
    for k in range(1, MOST_SWEEPS):
        if all(map(_same, found, (1.0 - gammas**k) / (1.0 - gammas))):
            return f"it stops too early: its values are those after {k} sweeps from 0"
    part = one * (1.0 - gammas[0])
    if _same(part, found[1] * (1.0 - gammas[1])):
        return f"it takes {part:.4g} of each reward: are rewards averaged with others, or cut off?"
    if min(found) > 1.0:
        return f"as if the discount were {1.0 - 1.0 / one:.5g} in place of {subject.discount:.5g}"
    return None


def _slope(subject: OfflineSubject, visits: list[int]) -> float:
    """How much more the only state is worth if every reward is greater by 1."""
    steps = () if subject.horizon is None else (subject.horizon,)
    counts = np.broadcast_to([visits], (*steps, 1, len(visits)))
    successors = np.zeros((*(1 for _ in steps), 1, len(visits), 1), np.int64)
    better = np.linspace(0.5, 0.4, len(visits))
    data = MDPData(counts, successors, counts[..., None], counts * better, (0.0, 1.0), "deterministic")
    try:
        values = [subject.ask(moved).value for moved in (data, transformed(data, 1.0, 1.0))]
    except RuleError:
        return float("nan")
    return float((values[1] - values[0]).ravel()[0])
