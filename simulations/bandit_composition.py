"""Worst loss over the whole range of data composition C* at fixed N: where imitation and LCB cross.

Losses are exact; the gap of `instances.symmetric` is chosen anew for every C* and rule, so that they are the worst of
this family, whose C* is exactly the one named. For C* > 2 greedy beats LCB on it, and imitation is useless: of its two
arms the better one is the less played one, and pessimism penalises it. That holds at exactly this C*. Over all worlds
with C* at most C greedy loses a constant, however long the log is; LCB loses up to 18 % more than here (at 4, N = 100):
`pessimism.bandits.minimax.certified_worst`, drawn by `minimax_risk`.

See also `pessimism.bandits.bounds.imitation_upper`, `pessimism.bandits.bounds.lcb_normal_prediction`,
`pessimism.bandits.bounds.crossing`, `pessimism.bandits.instances.symmetric`.
"""

import math
from functools import partial
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bandits import bounds, hoeffding_level, instances

from ._words import legend_above
from ._worst import worst_rows

VERSION = 1
QUICK = sorted({*np.linspace(1.1, 2.3, 25).round(3), *np.linspace(2.5, 6, 8).round(3), 1.02, 1.05})
FULL = sorted({*np.linspace(1.02, 2.3, 65).round(3), *np.linspace(2.4, 6, 19).round(3)})
GRID = {
    "quick": [{"cstar": float(c), "n": n} for n in (100, 1000) for c in QUICK],
    "full": [{"cstar": float(c), "n": n} for n in (100, 1000, 10_000) for c in FULL],
}
FLOOR = 1e-6


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Worst loss and its gap for every rule; exact, so `rng` is not used."""
    return worst_rows(partial(instances.symmetric, cell["cstar"]), cell["n"], contexts=1)


def crossing(rows: list[Any]) -> float:
    """C* at which the worst losses of imitation and LCB meet, log losses interpolated between grid points."""
    curves = rates.group(rows, "rule")
    cstar = np.array([row["cstar"] for row in curves["lcb"]], float)
    ahead = [math.log(max(row["loss"], 1e-300)) for row in curves["most_played"]]
    behind = [math.log(row["loss"]) for row in curves["lcb"]]
    difference = np.subtract(ahead, behind)
    right = int(np.argmax(difference > 0))
    return float(np.interp(0.0, difference[right - 1 : right + 1], cstar[right - 1 : right + 1]))


def plot(rows: list[dict[str, Any]]) -> Any:
    sizes = rates.group(rows, "n")
    figure, axes = plotting.panels(1, len(sizes), width=4.5, height=3.3, sharey=True)
    for panel, (n, here) in zip(axes, sizes.items(), strict=True):
        for rule, points in rates.group(here, "rule").items():
            x, y = (np.array([row[key] for row in points], float) for key in ("cstar", "loss"))
            plotting.curve(panel, x[y > FLOOR], y[y > FLOOR], rule=rule)
            panel.get_lines()[-1].set_markevery(3)
        smooth = np.linspace(1.02, 2.0, 200)
        plotting.theorem(
            panel, smooth, bounds.imitation_upper(n, smooth), color="green", label="imitation, upper bound"
        )
        wide = np.linspace(1.02, 6, 300)
        prediction = bounds.lcb_normal_prediction(n, wide, hoeffding_level(n, 1, 2))
        plotting.theorem(panel, wide, prediction, color="black", label="LCB, predicted")
        met, expected = crossing(here), float(bounds.crossing(n))
        panel.axvline(met, color="0.6", linewidth=0.8)
        plotting.loglog(panel, x="C*  (1: expert data)", y="", title=f"N = {n:,}")
        told = f"LCB and imitation\ncross at {met:.2f},\npredicted: {expected:.2f}"
        panel.text(0.97, 0.04, told, transform=panel.transAxes, ha="right", fontsize=8)
        panel.set_xscale("linear")
        panel.set_xticks(range(1, 7))
        panel.set_ylim(FLOOR, 1.5)
    axes[0].set_ylabel("worst loss (reward units)")
    legend_above(figure, axes[0])
    plotting.caption(
        figure,
        "Exact: two arms, the gap worst for every point, C* exactly as named; on the class of all C* up to it greedy "
        "loses a constant. Bound, prediction of LCB and the predicted crossing, $2-2\\sqrt{\\log N/N}$, are ours.",
    )
    return figure
