r"""The horizon that a rule really uses: how much more its values are worth where every reward is greater by 1."""

from collections.abc import Iterator
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
    for sentence, slope in _mistakes(subject, one):
        if _same(one, slope) and not _same(right, slope):
            return f"{said}: {sentence}"
    if np.isnan(one) or not _same(one, right):
        return f"{said}: no known mistake"
    if not _same(two, right):
        return (
            f"{said} where one pair was logged, and {two:.6g} where two were: the shares of the successors do not "
            "total one. next_counts must be divided by the visits N(s, a) of their own pair (data.transition_shares), "
            "not by a total"
        )
    return (
        "Where all was logged its values move as they should: it takes a fixed number such as 0 for the smallest "
        "possible value, as a floor or for what was never logged; that is reward_range[0] at every step to come"
    )


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-3 * max(1.0, abs(other))


def _mistakes(subject: OfflineSubject, one: float) -> Iterator[tuple[str, float]]:
    """Sentences, and what they make a reward of 1 at every step worth; `one` is what the rule does."""
    right = float(np.max(subject.worth))
    yield "the rewards have no effect on it, or are taken relative to the lowest one, which has to be put back", 0.0
    yield "sums of rewards stand where means belong", MANY * right
    if subject.horizon is not None:
        yield "it is the value of one step: what comes after is missing", 1.0
        for more in (-1, 1):
            yield f"it counts {abs(more)} step too {'many' if more > 0 else 'few'}", right + more
        if 1.0 < one < right:
            gamma = max(x.real for x in np.roots([*[1.0] * (subject.horizon - 1), 1.0 - one]) if abs(x.imag) < 1e-9)
            yield f"it discounts, by {gamma:.3g} a step: with a horizon nothing is discounted", one
        return
    gamma = subject.discount
    yield "the discount is applied twice a step", 1.0 / (1.0 - gamma**2)
    yield "it is the value of one step, or normalised by 1 - discount: what comes after is missing", 1.0
    yield "the discount multiplies the reward too", gamma / (1.0 - gamma)
    other = float(_slope(replace(subject, discount=(1.0 + 2.0 * gamma) / 3.0), [MANY]))
    if _same(other, one) and one > 1.0:
        fixed = 1.0 - 1.0 / one
        yield f"the discount it is called with makes no difference: it is fixed, at {fixed:.4g} if at one", one
    for k in range(1, MOST_SWEEPS):
        yield f"it stops too early: its values are those after {k} sweeps from 0", (1.0 - gamma**k) / (1.0 - gamma)


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
