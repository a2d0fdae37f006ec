"""Largest expected losses of LCB, greedy and the most played arm over a family of gaps, for the exact simulations."""

import math
from typing import Any

from pessimism.bandits import exact, hoeffding_level


def worst_rows(family: exact.Family, n: int, contexts: int) -> list[dict[str, Any]]:
    """One row a rule: largest expected loss over the gaps of a two-armed family, and the gap that attains it."""
    levels = {"lcb": float(hoeffding_level(n, contexts, 2)), "greedy": 0.0, "most_played": math.inf}
    worst = {rule: exact.worst_case(family, n, level=level) for rule, level in levels.items()}
    return [{"rule": rule, "loss": w.loss, "gap": w.gap} for rule, w in worst.items()]
