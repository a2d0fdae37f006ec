"""FrozenLake from expert data to uniform coverage: VI-LCB, plug-in planning and cloning, losses exact.

The transition table is Gymnasium's own (4 x 4, slippery). The law of the logged pairs is (1 - w) times the occupancy of
the optimal policy plus w times the uniform law. Counts are drawn from their law, and the learned policies are valued
exactly. Holes and the goal are terminal: a draw that falls there logs nothing, so that N counts draws, not
transitions. Rewards depend on the successor, so they are noisy next to the goal; the Bernstein widths, which are
made for known rewards, ignore that.

See also `pessimism.mdp.vi_lcb`, `pessimism.mdp.vi_lcb_bernstein`, `pessimism.interop.gymnasium.mdp_from_env`.
"""

from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.mdp import behavior, behavior_cloning, plug_in, vi_lcb, vi_lcb_bernstein

from ._grid import cells
from ._words import legend_above

VERSION = 2
DISCOUNT = 0.95
CONSTANT = 0.005
WEIGHTS = (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
OFFSETS = {"behavior_cloning": -0.24, "plug_in": -0.08, "vi_lcb": 0.08, "vi_lcb_bernstein": 0.24}
GRID = {
    profile: cells(n=(1000, 10_000, 100_000), weight=WEIGHTS, block=range(blocks), replicates_per_block=[r])
    for profile, blocks, r in (("quick", 1, 200), ("full", 10, 1000))
}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Mean loss of every rule on the same data sets, and C* of their law."""
    from pessimism.interop.gymnasium import mdp_from_env

    mdp = mdp_from_env("FrozenLake-v1", discount=DISCOUNT)
    law = (1 - cell["weight"]) * behavior.expert(mdp) + cell["weight"] * behavior.uniform(mdp)
    data = mdp.sample(law, n=cell["n"], size=cell["replicates_per_block"], rng=rng)
    plans = {
        "behavior_cloning": behavior_cloning(data, discount=DISCOUNT),
        "plug_in": plug_in(data, discount=DISCOUNT),
        "vi_lcb": vi_lcb(data, discount=DISCOUNT, constant=CONSTANT),
        "vi_lcb_bernstein": vi_lcb_bernstein(data, discount=DISCOUNT, constant=CONSTANT),
    }
    known = {"cstar": float(mdp.coverage(law)), "best": float(mdp.value(mdp.best_policy))}
    losses = {rule: mdp.suboptimality(plan.policy) for rule, plan in plans.items()}
    return [{"rule": rule, **known, **rates.summarize("loss", loss)} for rule, loss in losses.items()]


def plot(rows: list[dict[str, Any]]) -> Any:
    sizes = rates.group(rates.average_blocks(rows), "n")
    ends = (min(sizes), max(sizes))  # the sizes between them say the same
    figure, axes = plotting.panels(2, 1, width=4.5, height=1.9)
    place = {w: i for i, w in enumerate(sorted({row["weight"] for row in rows}))}
    for panel, n in zip(axes, ends, strict=True):
        for rule, points in rates.group(sizes[n], "rule").items():
            x, y, se = ([row[key] for row in points] for key in ("weight", "loss", "loss_se"))
            plotting.curve(panel, [place[w] + OFFSETS[rule] for w in x], y, se=se, rule=rule)
        panel.set_title(f"N = {n:,}", loc="left")
        panel.axhline(rows[0]["best"], **plotting.THEOREM)
        panel.text(0, 1.05 * rows[0]["best"], "loss of earning nothing", fontsize=8, color="0.3")
        panel.set_ylim(-0.01, 1.35 * rows[0]["best"])
        panel.set_ylabel("loss")
        panel.set_xticks(list(place.values()), [""] * len(place))
    coverage = {row["weight"]: row["cstar"] for row in sizes[n]}
    labels = [f"{100 * w:g}\n{coverage[w]:.{1 if coverage[w] > 2 else 2}f}" for w in place]
    panel.set_xticks(list(place.values()), labels, fontsize=8)
    panel.set_xlabel("uniform data (%, above) and C* (below)")
    legend_above(figure, axes[0])
    plotting.caption(
        figure,
        f"Gymnasium's FrozenLake-v1, discount {DISCOUNT}. Losses in reward units, of policies exact, means over data "
        "sets with bars of two standard errors; the four rules are drawn side by side at every share. VI-LCB: constant "
        f"{CONSTANT}, no theorem at that size; Bernstein's widths ignore the noise of rewards.",
    )
    return figure
