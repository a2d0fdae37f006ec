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
    figure, axes = plotting.panels(1, 3, width=10.0, height=3.4, sharey=True)
    place = {w: i for i, w in enumerate(sorted({row["weight"] for row in rows}))}
    for panel, (n, here) in zip(axes, rates.group(rates.average_blocks(rows), "n").items(), strict=False):
        for rule, points in rates.group(here, "rule").items():
            x, y, se = ([row[key] for row in points] for key in ("weight", "loss", "loss_se"))
            plotting.curve(panel, [place[w] + OFFSETS[rule] for w in x], y, se=se, rule=rule)
        coverage = {row["weight"]: row["cstar"] for row in here}
        panel.set_xticks(list(place.values()), [f"{w:g}\n{coverage[w]:.3g}" for w in place], fontsize=6.5)
        panel.set_title(f"N = {n:,}", loc="left")
        panel.set_xlabel("share of uniform data w, and C*")
        panel.axhline(rows[0]["best"], **plotting.THEOREM)
    axes[0].set_ylabel("loss (reward units)")
    axes[0].set_ylim(-0.005, 1.7 * rows[0]["best"])
    axes[0].legend(fontsize=7.5, loc="upper left")
    plotting.caption(
        figure,
        f"Gymnasium's FrozenLake-v1, discount {DISCOUNT}; dashed: the loss of earning nothing. Losses exact, means "
        "over data sets, bars of two standard errors;",
        "the four rules are drawn side by side at every w. VI-LCB: "
        f"constant {CONSTANT}, no theorem at that size; Bernstein's widths ignore the noise of rewards.",
    )
    return figure
