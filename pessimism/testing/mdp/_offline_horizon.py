r"""The horizon that a rule really uses: how much more its values are worth where every reward is greater by 1."""

import numpy as np

from pessimism.mdp import MDPData
from pessimism.testing._driver import RuleError
from pessimism.testing.mdp._offline import OfflineSubject, transformed

MANY = 10**8
"""Visits of the pairs on which a rule's horizon is measured: no width matters."""


def likely_cause(subject: OfflineSubject) -> str:
    """Why values do not move with the rewards: read off how much they move where every pair was logged often."""
    one, two = (_slope(subject, visits) for visits in ([MANY], [3 * MANY, MANY]))
    right = float(np.max(subject.worth))
    mistakes = {
        "the rewards have no effect on it, or are taken relative to the lowest one, which has to be put back": 0.0,
        "sums of rewards stand where means belong": MANY * right,
    }
    if subject.horizon is None:
        mistakes |= {
            "the discount is applied twice a step": 1.0 / (1.0 - subject.discount**2),
            "it is the value of one step, or normalised by 1 - discount: what comes after is missing": 1.0,
        }
    for sentence, slope in mistakes.items():
        if abs(one - slope) <= 1e-3 * max(1.0, slope) and abs(right - slope) > 1e-3 * slope:
            return f"A reward of 1 at every step is worth {right:.6g}, to this rule {one:.6g}: {sentence}"
    if abs(one - right) > 1e-3 * right or abs(two - right) > 1e-3 * right:
        return (
            f"A reward of 1 at every step is worth {right:.6g}, to this rule {one:.6g} where one pair was logged, and "
            f"{two:.6g} where two were: the shares of the successors do not total one. next_counts must be divided by "
            "the visits N(s, a) of their own pair (data.transition_shares), not by a total"
        )
    return (
        "Where all was logged its values move as they should: it takes a fixed number such as 0 for the smallest "
        "possible value, as a floor or for what was never logged; that is reward_range[0] at every step to come"
    )


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
