"""Worst loss of LCB, greedy and the most played arm against N, from expert data to broad coverage.

For every N and rule the gap of `instances.symmetric` is chosen anew to make the loss of that rule largest. This is the
worst of one family, two arms with means 1/2 +- g/2: with means around 0.95 LCB loses 0.067 at C* = 4 and N = 200, where
the worst here is 0.055. Losses are exact. The plot is our own; as far as we know, the paper has none like it.

See also `pessimism.bandits.bounds.imitation_upper`, `pessimism.bandits.bounds.lcb_normal_prediction`,
`pessimism.bandits.instances.symmetric`.
"""

import math
from functools import partial
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bandits import bounds, exact, hoeffding_level, instances

from ._worst import worst_rows

VERSION = 2
CSTARS = (1.1, 1.5, 1.9, 2, 4)
GRID = {  # even N only: with odd N no tie between two arms is possible
    "quick": [{"cstar": c, "n": n} for c in CSTARS for n in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)],
    "full": [{"cstar": c, "n": 2 * round(5 * 10 ** (k / 6))} for c in CSTARS for k in range(25)],
}
FLOOR = 1e-9


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Worst loss and its gap for every rule; exact, so `rng` is not used."""
    cstar, n = cell["cstar"], cell["n"]
    rows = worst_rows(partial(instances.symmetric, cstar), n, contexts=1)
    # its largest loss is at a gap of 1, and at small C* far below the smallest float
    rows[-1]["log10_loss"] = exact.most_played_log_error(1 / cstar, n) / math.log(10)
    return rows


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plotting.panels(2, 3, height=2.5)
    for panel, (cstar, here) in zip(axes, rates.group(rows, "cstar").items(), strict=False):
        plotting.loglog(panel, x="rounds N", y="worst loss (reward units)", title=f"$C^*$ = {cstar:g}")
        for rule, points in rates.group(here, "rule").items():
            x, y = (np.array([row[key] for row in points], float) for key in ("n", "loss"))
            drawn = y > FLOOR
            label = "exp." if y[-1] < FLOOR else f"{round(rates.local_slopes(x, y)[-1], 2) + 0.0:.2f}"
            plotting.curve(panel, x[drawn], y[drawn], rule=rule, label=label)
        smooth = np.geomspace(10, x.max(), 60)
        level = hoeffding_level(smooth.round().astype(int), 1, 2)
        prediction = bounds.lcb_normal_prediction(smooth, cstar, level)
        plotting.theorem(
            panel, smooth, prediction, color="black", label=f"{rates.local_slopes(smooth, prediction)[-1]:.2f}"
        )
        imitation = bounds.imitation_upper(smooth, cstar)
        plotting.theorem(panel, smooth, np.where(imitation > FLOOR, imitation, np.nan), color="green")
        plotting.theorem(panel, smooth, 0.3 / np.sqrt(smooth))
        panel.set_ylim(FLOOR / 300, 2)
        panel.set_yticks([1e-9, 1e-6, 1e-3, 1])
        panel.legend(ncols=2, loc="lower right", fontsize=7, handlelength=1.3, columnspacing=0.7, handletextpad=0.4)
    key = axes[-1]
    key.axis("off")
    for rule in ("lcb", "greedy", "most_played"):
        plotting.curve(key, [], [], rule=rule)
    plotting.theorem(key, [], [], label="LCB, normal prediction", color="black")
    plotting.theorem(key, [], [], label=r"imitation, $e^{-N E(C^*)}$ ($C^*\leq 2$)", color="green")
    plotting.theorem(key, [], [], label=r"slope $-1/2$")
    key.legend(loc="center left", title="exact, gap re-optimised for every N", alignment="left")
    plotting.caption(
        figure,
        "Two arms, means 1/2 ± g/2. Exact enumeration, no sampling error; prediction and bound derived by us.",
        "Numbers: local slope at the largest N (exp.: exponential, has left the panel).",
    )
    return figure
