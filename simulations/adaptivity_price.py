r"""What a rule pays that does not know C*: the least factor over the minimax risks of two classes at once.

Two Bernoulli arms, one context. The price of {C_1, C_2} is the smallest factor by which some one rule exceeds the
minimax risk of both classes. Between classes of at least 2 it tends to a constant, dashed, and the rule that pays it is
pessimistic, with a width that does not grow with N. Across 2 it grows: from 1.5 to 4 nearly like the root of N, so that
no rule, LCB included, serves near-expert and broad logs of two arms at once.

See also `pessimism.bandits.minimax.adaptive`, `pessimism.bandits.bounds.adaptivity_price`.
"""

from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bandits import bounds, minimax

VERSION = 1
LAST_BIT = "many priors and rules prove a bracket, and rounding decides which of them is found"
PAIRS = ((2.0, 4.0), (2.0, 10.0), (1.5, 2.0), (1.5, 4.0))
SIZES = (3, 5, 8, 12, 20, 30, 50)
GRID = {
    "quick": [{"low": a, "high": b, "n": n} for a, b in PAIRS for n in (3, 6, 12) if n < 12 or b < 10],
    "full": [{"low": a, "high": b, "n": n} for a, b in PAIRS for n in SIZES],
}
TOLERANCE = 3e-3


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Bounds of the price; exact, so `rng` is not used."""
    price = minimax.adaptive(cell["n"], [cell["low"], cell["high"]], tolerance=TOLERANCE)
    return {"price_low": price.lower, "price_high": price.upper}


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, (panel,) = plotting.panels(1, 1, width=4.5, height=3.4)
    looks = zip(("blue", "green", "orange", "vermillion"), ("o", "^", "s", "D"), strict=True)
    for ((low, high), points), (color, marker) in zip(rates.group(rows, "low", "high").items(), looks, strict=True):
        n, price = (np.array([row[key] for row in points], float) for key in ("n", "price_high"))
        label = f"C* at most {low:g} or {high:g}"
        plotting.curve(panel, n, price, rule=label, color=color, marker=marker)
        if low >= 2:
            limit = float(bounds.adaptivity_price(low, high))
            plotting.theorem(panel, n[[0, -1]], [limit, limit], color=color)
    plotting.theorem(panel, [], [], color="grey", label="its limit as N grows")
    plotting.loglog(panel, x="N", y="price (factor of the minimax risk)")
    ticks = [3, 6, 12] if max(row["n"] for row in rows) == 12 else [3, 5, 10, 20, 50]
    panel.set_xticks(ticks, labels=[str(tick) for tick in ticks])
    steps = [1, 1.5, 2, 3, 5]
    panel.set_yticks(steps, labels=[f"{step:g}" for step in steps])
    panel.minorticks_off()
    panel.legend(loc="upper left")
    plotting.caption(
        figure,
        "Certified from both sides to 0.6 %: no rule pays less, and one pays no more. The limits, of classes of at "
        "least 2, are derived by us.",
    )
    return figure
