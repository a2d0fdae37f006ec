"""Worst loss against N of cloning, plug-in planning and VI-LCB with Hoeffding and Bernstein widths in an MDP.

One stay-exit replica (`instances.stay_exit`), the gap chosen anew for every N and rule; for two rules also by exact
enumeration at N = 100 and 300. The plot is our own; as far as we know, the paper has none like it.

See also `pessimism.mdp.bounds.vi_lcb_normal_prediction`, `pessimism.mdp.vi_lcb`, `pessimism.mdp.vi_lcb_bernstein`,
`pessimism.mdp.exact.worst_case`, `pessimism.mdp.instances.stay_exit`.
"""

import math
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.mdp import (
    behavior_cloning,
    bounds,
    exact,
    instances,
    plug_in,
    vi_lcb,
    vi_lcb_bernstein,
)

from ._grid import cells
from ._worst import worst_of

VERSION = 1
DISCOUNT = 0.9
LARGEST_GAP = (2 * DISCOUNT - 1) / DISCOUNT
PAIRS = 4  # S = 2 states, A = 2 actions
RULES: dict[str, Any] = {
    "behavior_cloning": behavior_cloning,
    "plug_in": plug_in,
    "vi_lcb": vi_lcb,
    "vi_lcb_bernstein": vi_lcb_bernstein,
}
CSTARS = (1.2, 4)
GRID = {
    profile: cells(kind=["sampled"], cstar=CSTARS, n=sizes, scale=scales, block=range(blocks), replicates_per_block=[r])
    + cells(kind=["exact"], cstar=CSTARS, n=(100, 300))
    for profile, blocks, r, sizes, scales in (
        ("quick", 1, 2000, [10**k for k in range(2, 9)], [*(2.0**k for k in range(-3, 8)), math.inf]),
        ("full", 10, 5000, [round(10 ** (k / 2)) for k in range(4, 19)],
         [*(2.0 ** (k / 2) for k in range(-6, 16)), math.inf]),
    )
}  # fmt: skip


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Mean losses at one gap, scale x sqrt(C*/N), on the same data; or exact worst losses of two rules."""
    cstar, n = cell["cstar"], cell["n"]
    if cell["kind"] == "exact":
        levels = {"plug_in": 0.0, "vi_lcb": 0.5 * math.log(2 * PAIRS * n)}

        def family(gap: float) -> instances.Instance:
            return instances.stay_exit(cstar, 1, gap, discount=DISCOUNT)

        worst = {rule: exact.worst_case(family, n, level=L, gaps=(1e-3, LARGEST_GAP)) for rule, L in levels.items()}
        return [{"rule": rule, "loss": w.loss, "gap": w.gap} for rule, w in worst.items()]
    gap = min(LARGEST_GAP, cell["scale"] * math.sqrt(cstar / n))
    mdp, law = instances.stay_exit(cstar, 1, gap, discount=DISCOUNT)
    data = mdp.sample(law, n=n, size=cell["replicates_per_block"], rng=rng)
    plans = {rule: learn(data, discount=DISCOUNT) for rule, learn in RULES.items()}
    losses = {rule: mdp.suboptimality(plan.policy) for rule, plan in plans.items()}
    return [{"rule": rule, "gap": gap, **rates.summarize("loss", loss)} for rule, loss in losses.items()]


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plotting.panels(1, 2, width=7.6, height=3.6, sharey=True)
    sampled = rates.average_blocks([row for row in rows if row["kind"] == "sampled"])
    exactly = [row for row in rows if row["kind"] == "exact"]
    for panel, (cstar, here) in zip(axes, rates.group(sampled, "cstar").items(), strict=True):
        plotting.loglog(panel, x="transitions N", y="worst loss (reward units)", title=f"$C^*$ = {cstar:g}")
        for rule, points in rates.group(here, "rule").items():
            worst = worst_of(points)
            x, y, se = ([row[key] for row in worst] for key in ("n", "loss", "loss_se"))
            slope = ": fewer than 100 errors" if len(x) < 2 else f": {rates.local_slopes(x, y)[-1] + 0.0:.2f}"
            plotting.curve(panel, x, y, se=se, rule=rule, note=slope)
        for rule, points in rates.group([row for row in exactly if row["cstar"] == cstar], "rule").items():
            color = plotting.COLORS[plotting.RULES[rule][1]]
            for marker, at_edge in (("x", False), ("+", True)):
                shown = [row for row in points if (row["gap"] > 0.999 * LARGEST_GAP) == at_edge]
                x, y = ([row[key] for row in shown] for key in ("n", "loss"))
                panel.plot(x, y, marker, color=color, markersize=8 + 3 * at_edge, zorder=5)
        n = np.geomspace(100, 1e8, 60)
        bias = bounds.vi_lcb_normal_prediction(n, cstar, 1, DISCOUNT, 0.5 * np.log(2 * PAIRS * n))
        plotting.theorem(panel, n, bias, color="blue")
        plotting.theorem(panel, n, bounds.vi_lcb_normal_prediction(n, cstar, 1, DISCOUNT, 0.0), color="vermillion")
        panel.set_ylim(1e-9, 300)
    corners: list[Any] = ["lower right", "lower left"]
    for panel, corner in zip(axes, corners, strict=True):
        panel.legend(loc=corner, title="slope of the last decade", alignment="left", fontsize=7.5)
    axes[1].set_ylabel("")
    plotting.caption(
        figure,
        "Stay-exit replica, discount 0.9. Monte Carlo, bars of two standard errors; worst over gaps z sqrt(C*/N); "
        "points with fewer than",
        "100 errors are left out. Crosses: exact worst case, upright where it is at the largest gap, "
        f"{LARGEST_GAP:.3f}. Dashed: normal predictions,",
        "derived by us. VI-LCB without a split.",
    )
    return figure
