"""Largest losses over a family of gaps: exact ones of LCB, greedy and the most played arm, and those of rows."""

import math
from typing import Any

from pessimism import rates
from pessimism.bandits import exact, hoeffding_level


def worst_rows(family: exact.Family, n: int, contexts: int) -> list[dict[str, Any]]:
    """One row a rule: largest expected loss over the gaps of a two-armed family, and the gap that attains it."""
    levels = {"lcb": float(hoeffding_level(n, contexts, 2)), "greedy": 0.0, "most_played": math.inf}
    worst = {rule: exact.worst_case(family, n, level=level) for rule, level in levels.items()}
    return [{"rule": rule, "loss": w.loss, "gap": w.gap} for rule, w in worst.items()]


def worst_of(points: Any) -> list[Any]:
    """The row of the largest loss for every n, if it rests on enough events."""
    worst = (max(own, key=lambda row: row["loss"]) for own in rates.group(points, "n").values())
    return [row for row in worst if row["loss_events"] >= rates.MIN_EVENTS]
