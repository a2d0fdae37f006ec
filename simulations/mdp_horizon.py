"""Worst loss against the horizon 1/(1 - discount): the price of Hoeffding widths and of splitting the data.

One stay-exit replica at C* = 4 and a large N, the gap chosen anew for every rule and horizon. In theory the loss grows
with the power 3/2 of the horizon for Bernstein widths (and for plug-in planning on this family), 2 for Hoeffding's, and
5/2 when every iteration has a fold of its own.
"""

import math
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.mdp import bounds, instances, plug_in, vi_lcb, vi_lcb_bernstein

VERSION = 1
CSTAR, N = 4.0, 10**8
EXPONENTS = {
    "plug_in": bounds.horizon_exponent("bernstein", split=False),
    "vi_lcb_bernstein": bounds.horizon_exponent("bernstein", split=False),
    "vi_lcb": bounds.horizon_exponent("hoeffding", split=False),
    "vi_lcb_split": bounds.horizon_exponent("hoeffding", split=True),
}


def cells(blocks: int, replicates: int, horizons: list[int], scales: list[float]) -> list[dict[str, Any]]:
    return [
        {"horizon": h, "n": N, "scale": z, "block": b, "replicates_per_block": replicates}
        for h in horizons
        for z in scales
        for b in range(blocks)
    ]


GRID = {
    "quick": cells(1, 400, [4, 8, 16, 32], [2.0**k for k in range(-3, 8)]),
    "full": cells(4, 1000, [4, 6, 8, 11, 16, 23, 32, 45, 64], [2.0 ** (k / 2) for k in range(-8, 19)]),
}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Mean losses at one gap, scale x sqrt(C*/N), on the same data."""
    discount = 1.0 - 1.0 / cell["horizon"]
    gap = min((2 * discount - 1) / discount, cell["scale"] * math.sqrt(CSTAR / cell["n"]))
    mdp, law = instances.stay_exit(CSTAR, 1, gap, discount=discount)
    data = mdp.sample(law, n=cell["n"], size=cell["replicates_per_block"], rng=rng)
    plans = {
        "plug_in": plug_in(data, discount=discount),
        "vi_lcb_bernstein": vi_lcb_bernstein(data, discount=discount),
        "vi_lcb": vi_lcb(data, discount=discount),
    }
    if cell["scale"] >= 1:  # smaller gaps are far from the worst for the split rule, which is the slowest
        plans["vi_lcb_split"] = vi_lcb(data, discount=discount, split=True, rng=rng)
    losses = {rule: mdp.suboptimality(plan.policy) for rule, plan in plans.items()}
    return [{"rule": rule, "gap": gap, **rates.summarize("loss", loss)} for rule, loss in losses.items()]


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, (panel,) = plotting.panels(1, 1, width=5.6, height=4.0)
    plotting.loglog(panel, x=r"horizon $1/(1-\gamma)$", y="worst loss (reward units)", title="$C^*$ = 4, N = $10^8$")
    averaged = rates.average_blocks(rows)
    for rule, points in rates.group(averaged, "rule").items():
        worst = [max(own, key=lambda row: row["loss"]) for own in rates.group(points, "horizon").values()]
        x, y, se = (np.array([row[key] for row in worst], float) for key in ("horizon", "loss", "loss_se"))
        slope = rates.local_slopes(x[[0, -1]], y[[0, -1]])[0] if len(x) > 1 else math.nan
        plotting.curve(panel, x, y, se=se, rule=rule, note=f": {slope:.2f} (theory {EXPONENTS[rule]:g})")
        middle = len(x) // 2
        plotting.theorem(panel, x, y[middle] * (x / x[middle]) ** EXPONENTS[rule])
    horizons = sorted({row["horizon"] for row in rows})
    panel.set_xticks(horizons, labels=[str(h) for h in horizons])
    panel.minorticks_off()
    panel.set_ylim(top=1e3)
    panel.legend(loc="upper left", title="exponent between the ends (theory: upper bounds)", alignment="left")
    plotting.caption(
        figure,
        "Stay-exit replica; Monte Carlo, bars of two standard errors; worst over gaps z sqrt(C*/N).",
        "Dashed: the powers of the upper bounds. The three of VI-LCB are published; the family is ours.",
    )
    return figure
