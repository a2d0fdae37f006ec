"""Worst loss against the horizon 1/(1 - discount): the price of Hoeffding widths and of splitting the data.

One stay-exit replica at C* = 4 and a very large N, the gap chosen anew for every rule and horizon; at smaller N the
split rule is still in its burn-in at long horizons. The upper bounds grow with the power 3/2 of the horizon for
Bernstein widths (as does the loss of plug-in planning on this family) and 5/2 for Hoeffding widths when every iteration
has a fold of its own, which is published; without folds Hoeffding widths give the power 2, for which there is no
theorem. The gap is chosen on the draws that are then averaged, which raises the maximum by less than its error
bar; the intervals cover Monte Carlo error, but not the spacing of the gap grid.

See also `pessimism.mdp.bounds.horizon_exponent`, `pessimism.mdp.bounds.vi_lcb_bias`,
`pessimism.mdp.bounds.vi_lcb_upper`, `pessimism.mdp.vi_lcb`, `pessimism.mdp.vi_lcb_bernstein`,
`pessimism.mdp.instances.stay_exit`.
"""

import math
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.mdp import bounds, instances, plug_in, vi_lcb, vi_lcb_bernstein

from ._grid import cells
from ._words import legend_above, tell

VERSION = 2
CSTAR, N = 4.0, 10**10
PAIRS = 4  # S = 2 states, A = 2 actions
SPLIT_SIZE = 200  # data sets of a block on which the split rule is run: it is much the slowest
SPLIT_SCALE = 32  # from here on the other rules never err, while the worst gaps of the split rule are far larger
EXPONENTS = {
    "plug_in": bounds.horizon_exponent("bernstein", split=False),
    "vi_lcb_bernstein": bounds.horizon_exponent("bernstein", split=False),
    "vi_lcb": bounds.horizon_exponent("hoeffding", split=False),
    "vi_lcb_split": bounds.horizon_exponent("hoeffding", split=True),
}
GRID = {
    profile: cells(horizon=horizons, n=[N], scale=scales, block=range(blocks), replicates_per_block=[r])
    for profile, blocks, r, horizons, scales in (
        ("quick", 1, 1000, (8, 16, 32, 64), [2.0 ** (k / 2) for k in range(-10, 19)]),
        ("full", 4, 2500, (4, 6, 8, 11, 16, 23, 32, 45, 64), [2.0 ** (k / 4) for k in range(-20, 37)]),
    )
}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Mean losses at one gap, scale x sqrt(C*/N), of the rules whose worst gaps are of that size, on the same data."""
    discount = 1.0 - 1.0 / cell["horizon"]
    gap = min((2 * discount - 1) / discount, cell["scale"] * math.sqrt(CSTAR / cell["n"]))
    mdp, law = instances.stay_exit(CSTAR, 1, gap, discount=discount)
    data = mdp.sample(law, n=cell["n"], size=cell["replicates_per_block"], rng=rng)
    if cell["scale"] >= SPLIT_SCALE:
        plans = {"vi_lcb_split": vi_lcb(data[:SPLIT_SIZE], discount=discount, split=True, rng=rng)}
    else:
        plans = {
            "plug_in": plug_in(data, discount=discount),
            "vi_lcb_bernstein": vi_lcb_bernstein(data, discount=discount),
            "vi_lcb": vi_lcb(data, discount=discount),
        }
    losses = {rule: mdp.suboptimality(plan.policy) for rule, plan in plans.items()}
    return [{"rule": rule, "gap": gap, **rates.summarize("loss", loss)} for rule, loss in losses.items()]


def worst_points(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """For every rule the worst row of each horizon, if it is inside the gap grid and rests on enough errors."""
    worst: dict[str, list[dict[str, Any]]] = {}
    for rule, points in rates.group(rates.average_blocks(rows), "rule").items():
        worst[rule] = []
        for own in rates.group(points, "horizon").values():
            scales = [row["scale"] for row in own]
            top = max(own, key=lambda row: row["loss"])
            if min(scales) < top["scale"] < max(scales) and top["loss_events"] >= rates.MIN_EVENTS:
                worst[rule].append(dict(top))
    return worst


def exponent(points: list[dict[str, Any]]) -> tuple[float, float]:
    """Exponent between the first and the last horizon, and half of its 95 % Monte Carlo interval."""
    first, last = points[0], points[-1]
    octaves = math.log(last["horizon"] / first["horizon"])
    error = math.hypot(*(row["loss_se"] / row["loss"] for row in (first, last)))
    return math.log(last["loss"] / first["loss"]) / octaves, 1.96 * error / octaves


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, (panel,) = plotting.panels(1, 1, width=4.5, height=4.0)
    plotting.loglog(panel, x=r"horizon $1/(1-\gamma)$", y="worst loss (reward units)")
    notes = []
    for rule, points in worst_points(rows).items():
        x, y, se = (np.array([row[key] for row in points], float) for key in ("horizon", "loss", "loss_se"))
        plotting.curve(panel, x, y, se=se, rule=rule)
        if len(points) > 1:
            slope, margin = exponent(points)
            middle = len(x) // 2
            if rule != "vi_lcb":  # whose prediction has that power
                plotting.theorem(panel, x, y[middle] * (x / x[middle]) ** EXPONENTS[rule])
            notes.append((y[-1], f"power {slope:.2f} ± {margin:.2f}, in theory {EXPONENTS[rule]:g}", rule))
    horizons = np.array(sorted({row["horizon"] for row in rows}), float)
    discount = 1.0 - 1.0 / horizons
    level = 0.5 * math.log(2 * PAIRS * N)
    bias = bounds.vi_lcb_bias(N, CSTAR, 1, discount, level)
    plotting.theorem(panel, horizons, bias, color="blue", label="VI-LCB, Hoeffding, bias predicted")
    upper = bounds.vi_lcb_upper(N, CSTAR, 2, 2, discount)
    plotting.theorem(panel, horizons, upper, color="sky", label="VI-LCB, split, upper bound")
    panel.set_xticks(horizons, labels=[f"{h:g}" for h in horizons])
    panel.minorticks_off()
    panel.set_ylim(2e-8, 200)
    tell(panel, notes, step=0.07)
    legend_above(figure, panel, last=["predicted", "bound"])
    plotting.caption(
        figure,
        f"Stay-exit replica, our family, C* = {CSTAR:g}, N = {plotting.power_label(rows[0]['n'])}; bars of two "
        "standard errors, powers between the ends with 95 % Monte Carlo intervals. Worst over gaps z sqrt(C*/N), "
        "maxima inside the grid of z; points with fewer than 100 errors are left out. Grey: the powers of the upper "
        "bounds (published: Bernstein, split). Bias and upper bound are derived by us.",
    )
    return figure
