"""Worst loss of LCB, greedy and the most played arm against N, from expert data to broad coverage.

For every N and rule the gap of `instances.symmetric` is chosen anew to make the loss of that rule largest. This is the
worst of one family, two arms with means 1/2 +- g/2, whose C* is exactly the one named. Over all worlds with C* at most
that, LCB loses more, by 12 % at C* = 1.1 and 18 % at 4 for N = 100, and greedy a constant however long the log is:
`pessimism.bandits.minimax.certified_worst` has both, and `minimax_risk` draws them. Losses are exact. The plot is our
own; as far as we know, the paper has none like it. It shows three of the five values of C* in the rows: at 1.9
imitation passes below the others only from N = 5,000 on, and at 2 it learns nothing.

See also `pessimism.bandits.bounds.imitation_upper`, `pessimism.bandits.bounds.lcb_normal_prediction`,
`pessimism.bandits.instances.symmetric`.
"""

import math
from functools import partial
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bandits import bounds, exact, hoeffding_level, instances

from ._words import signed
from ._worst import worst_rows

VERSION = 2
CSTARS = (1.1, 1.5, 1.9, 2, 4)
GRID = {  # even N only: with odd N no tie between two arms is possible
    "quick": [{"cstar": c, "n": n} for c in CSTARS for n in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)],
    "full": [{"cstar": c, "n": 2 * round(5 * 10 ** (k / 6))} for c in CSTARS for k in range(25)],
}
FLOOR = 1e-7
SHOWN = {1.1: "nearly expert", 1.5: "in between", 4: "broad"}
LABELS = {  # how far above the last point its slope is written
    1.1: {"lcb": 26, "greedy": 20, "most_played": 9},
    1.5: {"lcb": -10, "greedy": 20, "most_played": 9},
    4: {"lcb": 16, "greedy": -10, "most_played": 9},
}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Worst loss and its gap for every rule; exact, so `rng` is not used."""
    cstar, n = cell["cstar"], cell["n"]
    rows = worst_rows(partial(instances.symmetric, cstar), n, contexts=1)
    # its largest loss is at a gap of 1, and at small C* far below the smallest float
    rows[-1]["log10_loss"] = exact.most_played_log_error(1 / cstar, n) / math.log(10)
    return rows


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plotting.panels(1, len(SHOWN), width=4.5, height=3.1, sharey=True)
    for panel, (cstar, title) in zip(axes, SHOWN.items(), strict=True):
        plotting.loglog(panel, x="rounds N", y="", title=f"C* = {cstar:g}\n{title}")
        here = [row for row in rows if row["cstar"] == cstar]
        for rule, points in rates.group(here, "rule").items():
            x, y = (np.array([row[key] for row in points], float) for key in ("n", "loss"))
            drawn = y > FLOOR
            plotting.curve(panel, x[drawn], y[drawn], rule=rule)
            end, color = (x[drawn][-1], y[drawn][-1]), plotting.COLORS[plotting.RULES[rule][1]]
            place: dict[str, Any] = {"textcoords": "offset points", "va": "center", "color": color, "fontsize": 8}
            if drawn[-1]:
                slope = f"slope {signed(rates.local_slopes(x, y)[-1])}"
                panel.annotate(slope, end, (5, LABELS[cstar][rule]), ha="right", **place)
            else:
                panel.annotate("$e^{-cN}$", end, (16, 0), **place)
        smooth = np.geomspace(10, x.max(), 60)
        level = hoeffding_level(smooth.round().astype(int), 1, 2)
        prediction = bounds.lcb_normal_prediction(smooth, cstar, level)
        plotting.theorem(panel, smooth, prediction, color="black", label="LCB, predicted")
        imitation = bounds.imitation_upper(smooth, cstar)
        bound = np.where(imitation > FLOOR, imitation, np.nan)
        plotting.theorem(panel, smooth, bound, color="green", label="imitation, upper bound")
        panel.set_ylim(FLOOR, 20)
        panel.set_xticks([1e1, 1e2, 1e3, 1e4])
        panel.minorticks_off()
    axes[0].set_ylabel("worst loss (reward units)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    plotting.caption(
        figure,
        "Exact: two arms, the gap worst for each rule and N; slopes at the largest N. One family, C* exactly as named: "
        "over all worlds with C* at most that, greedy loses a constant. Prediction and bound are derived by us.",
    )
    return figure
