"""Which rule loses least over the plane of composition C* and sample size N in random MDPs.

Garnets of 20 states and 4 actions. The law of the data mixes the occupancy of the optimal policy with the uniform law
on the pairs that this policy does not use, so its marginal over states is not that of the expert.

See also `pessimism.mdp.vi_lcb`, `pessimism.mdp.vi_lcb_bernstein`, `pessimism.mdp.behavior.prescribe`,
`pessimism.mdp.generators.garnet`.
"""

from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.mdp import behavior, behavior_cloning, generators, plug_in, vi_lcb, vi_lcb_bernstein

from ._grid import cells
from ._words import legend_above

VERSION = 1
DISCOUNT = 0.9
CONSTANT = 0.005
GARNETS = 4
FLOOR = 1e-4  # smaller losses are not told apart
RULES: dict[str, Any] = {
    "behavior_cloning": behavior_cloning,
    "plug_in": plug_in,
    "vi_lcb": lambda data, discount: vi_lcb(data, discount=discount, constant=CONSTANT),
    "vi_lcb_bernstein": lambda data, discount: vi_lcb_bernstein(data, discount=discount, constant=CONSTANT),
}
CSTARS = (1, 1.05, 1.2, 1.5, 2, 4, 8, 16)
GRID = {
    profile: cells(cstar=CSTARS, n=sizes, garnet=range(GARNETS), block=range(blocks), replicates_per_block=[r])
    for profile, blocks, r, sizes in (
        ("quick", 1, 50, [10**k for k in range(2, 7)]),
        ("full", 4, 250, [round(10 ** (k / 2)) for k in range(4, 13)]),
    )
}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Mean loss of every rule on the same data sets of one garnet."""
    mdp = generators.garnet(20, 4, 5, discount=DISCOUNT, rng=cell["garnet"])
    off = mdp.best_policy[:, None] != np.arange(mdp.n_actions)
    law = behavior.prescribe(mdp, cstar=cell["cstar"], mix=off / off.sum())
    data = mdp.sample(law, n=cell["n"], size=cell["replicates_per_block"], rng=rng)
    losses = {rule: mdp.suboptimality(plan(data, discount=DISCOUNT).policy) for rule, plan in RULES.items()}
    return [{"rule": rule, **rates.summarize("loss", loss)} for rule, loss in losses.items()]


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plotting.panels(1, 2, width=4.5, height=3.6, sharey=True)
    averaged = rates.average_blocks(rates.average_blocks(rows), block="garnet")
    cstars, sizes = (sorted({row[key] for row in averaged}) for key in ("cstar", "n"))
    tables, errors = {}, {}
    for rule, points in rates.group(averaged, "rule").items():
        at = {(row["cstar"], row["n"]): row for row in points}
        tables[rule], errors[rule] = (
            np.array([[at[c, n][key] for n in sizes] for c in cstars]) for key in ("loss", "loss_se")
        )
    stack = np.stack(list(tables.values()))
    spread = np.stack(list(errors.values()))
    first, second = np.sort(stack, axis=0)[:2]
    order = np.argsort(stack, axis=0, kind="stable")[:2]
    clear = second - first > 2 * np.hypot(*np.take_along_axis(spread, order, axis=0))
    draw_winners(axes[0], sizes, cstars, stack.argmin(axis=0), clear, list(tables))
    lost = np.log10(np.maximum(tables["vi_lcb_bernstein"], FLOOR) / np.maximum(tables["plug_in"], FLOOR))
    image = plotting.heatmap(axes[1], sizes, cstars, lost, cmap=plotting.diverging(), vmin=-2, vmax=2)
    axes[1].set_title("VI-LCB, Bernstein\nagainst plug-in", loc="left")
    for panel in axes:
        panel.set_xticks(range(len(sizes)), [plotting.power_label(n) for n in sizes])
        panel.set_xlabel("transitions N")
    axes[0].set_ylabel("C*")
    bar = figure.colorbar(image, ax=axes[1], location="bottom", ticks=[-2, 0, 2])
    bar.set_ticklabels(["1/100", "1", "100"])
    bar.set_label("loss of VI-LCB /\nloss of plug-in", fontsize=8)
    legend_above(figure, axes[0])
    plotting.caption(
        figure,
        f"Means over {GARNETS} garnets, S = 20, A = 4, discount {DISCOUNT}; losses of policies exact, means over data "
        f"sets. Faint: within two standard errors of the next. Losses below {FLOOR:g} count as that in the ratio. "
        f"Widths of VI-LCB: constant {CONSTANT}, no theorem at that size.",
    )
    return figure


def draw_winners(panel: Any, sizes: Any, cstars: Any, winner: Any, clear: Any, rules: list[str]) -> None:
    """Mark the rule of the smallest mean loss; faint if the next one is within two standard errors."""
    for index, rule in enumerate(rules):
        name, color, marker = plotting.RULES[rule]
        for strong in (True, False):
            rows, columns = np.nonzero((winner == index) & (clear == strong))
            look = {"color": plotting.COLORS[color], "marker": marker, "linestyle": "none", "markersize": 7}
            panel.plot(columns, rows, **look, alpha=1.0 if strong else 0.3, label=name if strong else None)
    panel.set_xlim(-0.5, len(sizes) - 0.5)
    panel.set_ylim(-0.5, len(cstars) - 0.5)
    panel.set_yticks(range(len(cstars)), [f"{c:g}" for c in cstars])
    panel.grid(False)
    panel.set_title("rule of the\nsmallest loss", loc="left")
