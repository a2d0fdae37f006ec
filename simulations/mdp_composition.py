"""Loss over the plane of composition C* and sample size N in random MDPs, and which rule wins where.

Garnets of 20 states and 4 actions. The law of the data mixes the occupancy of the optimal policy with the uniform law
on the pairs that this policy does not use, so its marginal over states is not that of the expert.

See also `pessimism.mdp.vi_lcb`, `pessimism.mdp.vi_lcb_bernstein`, `pessimism.mdp.behavior.prescribe`,
`pessimism.mdp.generators.garnet`.
"""

import math
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.mdp import behavior, behavior_cloning, generators, plug_in, vi_lcb, vi_lcb_bernstein

from ._grid import cells

VERSION = 1
DISCOUNT = 0.9
CONSTANT = 0.005
GARNETS = 4
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
    figure, axes = plotting.panels(2, 3, width=9.0, height=2.9)
    averaged = rates.average_blocks(rates.average_blocks(rows), block="garnet")
    cstars, sizes = (sorted({row[key] for row in averaged}) for key in ("cstar", "n"))
    tables, errors = {}, {}
    for rule, points in rates.group(averaged, "rule").items():
        at = {(row["cstar"], row["n"]): row for row in points}
        tables[rule], errors[rule] = (
            np.array([[at[c, n][key] for n in sizes] for c in cstars]) for key in ("loss", "loss_se")
        )
    largest = math.log10(max(table.max() for table in tables.values()))
    for panel, (rule, table) in zip(axes, tables.items(), strict=False):
        shown = np.log10(np.maximum(table, 10 ** (largest - 4)))
        image = plotting.heatmap(
            panel, sizes, cstars, shown, cmap=plotting.sequential(), vmin=largest - 4, vmax=largest
        )
        panel.set_title(plotting.RULES[rule][0], loc="left")
    stack = np.stack(list(tables.values()))
    spread = np.stack(list(errors.values()))
    first, second = np.sort(stack, axis=0)[:2]
    winner = stack.argmin(axis=0)
    order = np.argsort(stack, axis=0, kind="stable")[:2]
    clear = second - first > 2 * np.hypot(*np.take_along_axis(spread, order, axis=0))
    draw_winners(axes[4], sizes, cstars, winner, clear, list(tables))
    axes[5].axis("off")
    axes[5].legend(*axes[4].get_legend_handles_labels(), loc="upper left", title="smallest loss", alignment="left")
    bar = axes[5].inset_axes((0.05, 0.2, 0.9, 0.07))
    figure.colorbar(image, cax=bar, orientation="horizontal", label="log10 of the mean loss (reward units)")
    for panel in axes[:5]:
        panel.set_xticks(range(len(sizes)), [plotting.power_label(n) for n in sizes])
        panel.set_xlabel("transitions N")
    for panel in (axes[0], axes[3]):
        panel.set_ylabel("$C^*$")
    plotting.caption(
        figure,
        f"{GARNETS} garnets, S = 20, A = 4, discount {DISCOUNT}; losses exact, means over data sets; below 1e-4 of the",
        f"largest drawn as that. Widths of VI-LCB: constant {CONSTANT}, no theorem at that size. Faint: within noise.",
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
    panel.set_title("smallest loss", loc="left")
