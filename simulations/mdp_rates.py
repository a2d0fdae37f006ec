"""Worst loss against N of cloning, plug-in planning and VI-LCB with Hoeffding and Bernstein widths in an MDP.

One stay-exit replica (`instances.stay_exit`), the gap chosen anew for every N and rule; for two rules also by exact
enumeration at N = 100 and 300, where the worst gap of VI-LCB is the largest one, 0.889. Sampled gaps are z sqrt(C*/N),
and a point that rests on fewer than 100 errors is left out. At C* = 1.2 that leaves nothing of cloning and of VI-LCB
with Hoeffding widths: from N = 1,000 on they make no error in the 2,000 data sets a gap of the quick grid, and the
exact loss of the latter is 8e-9 at N = 300, below the panel. Near expert data imitation wins, and so does a rule that
imitates; at C* = 4 cloning learns nothing, and pessimism loses to plug-in planning. VI-LCB is used without a split. The
plot is our own; as far as we know, the paper has none like it.

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
from ._words import legend_above, signed, tell
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
    figure, axes = plotting.panels(1, 2, width=4.5, height=3.5, sharey=True)
    sampled = rates.average_blocks([row for row in rows if row["kind"] == "sampled"])
    exactly = [row for row in rows if row["kind"] == "exact"]
    for panel, (cstar, here) in zip(axes, rates.group(sampled, "cstar").items(), strict=True):
        title = "nearly expert" if cstar < 2 else "broad"
        plotting.loglog(panel, x="transitions N", y="", title=f"C* = {cstar:g}, {title}")
        few, slopes = [], []
        for rule, points in rates.group(here, "rule").items():
            x, y, se = (np.array([row[key] for row in worst_of(points)], float) for key in ("n", "loss", "loss_se"))
            if len(x):
                plotting.curve(panel, x, y, se=se, rule=rule)
                slope = rates.local_slopes(x, y)[-1] if len(x) > 1 else math.nan
                slopes.append((y[-1], f"slope {signed(slope)}", rule))
            else:
                few.append(plotting.RULES[rule][0])
        for rule, points in rates.group([row for row in exactly if row["cstar"] == cstar], "rule").items():
            n, loss = ([row[key] for row in points] for key in ("n", "loss"))
            panel.plot(n, loss, "x", color=plotting.COLORS[plotting.RULES[rule][1]], markersize=8, zorder=5)
        smooth = np.geomspace(100, 1e8, 60)
        bias = bounds.vi_lcb_normal_prediction(smooth, cstar, 1, DISCOUNT, 0.5 * np.log(2 * PAIRS * smooth))
        variance = bounds.vi_lcb_normal_prediction(smooth, cstar, 1, DISCOUNT, 0.0)
        plotting.theorem(panel, smooth, variance, color="vermillion", label="plug-in, predicted")
        plotting.theorem(panel, smooth, bias, color="blue", label="VI-LCB, Hoeffding, predicted")
        panel.set_ylim(1e-5, 20)
        panel.set_xticks([1e2, 1e4, 1e6, 1e8])
        panel.minorticks_off()
        tell(panel, slopes)
        if few:
            look: Any = {"transform": panel.transAxes, "fontsize": 8}
            panel.text(0.97, 0.97, "almost no errors:\n" + "\n".join(few), ha="right", va="top", **look)
    axes[0].set_ylabel("worst loss (reward units)")
    legend_above(figure, axes[-1], last=["predicted"])
    plotting.caption(
        figure,
        "Stay-exit replica, discount 0.9, the gap worst for each rule and N. Monte Carlo, bars of two standard errors; "
        "crosses: exact worst losses; slopes at the largest N. Predictions derived by us.",
    )
    return figure
