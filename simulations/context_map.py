"""Local exponent of the worst loss over the plane of composition C* - 1 and sample size N.

Exact losses with two contexts, and their local slopes between neighbouring N at fixed C*. The loss is the larger one of
two families: `instances.ambiguous_contexts` and, since expert data belong to every class of C*,
`instances.missing_mass`. LCB passes from 1/N to N^-1/2 along N (C* - 1) = const, as the minimax rate does; imitation
stops learning there.

See also `pessimism.bandits.bounds.contextual_rate`, `pessimism.bandits.instances.ambiguous_contexts`,
`pessimism.bandits.instances.missing_mass`.
"""

import math
from functools import partial
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bandits import bounds, exact, hoeffding_level, instances

from ._grid import cells

VERSION = 2
GRID = {
    "quick": cells(excess=[10.0 ** (-k / 2) for k in range(8)], n=[32 * 2**k for k in range(8)]),
    "full": cells(excess=[10.0 ** (-k / 4) for k in range(17)], n=[64 * 2**k for k in range(11)]),
}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Worst loss of both rules over the two families; exact, so `rng` is not used."""
    n, family = cell["n"], partial(instances.ambiguous_contexts, 1.0 + cell["excess"], 2)
    rows = []
    for rule, level in (("lcb", float(hoeffding_level(n, 2, 2))), ("most_played", math.inf)):
        ambiguous = exact.worst_case(family, n, level=level).loss
        missing = float(exact.suboptimality(*instances.missing_mass(n, 2), n, level=level))
        rows.append({"rule": rule, "loss": max(ambiguous, missing), "ambiguous": ambiguous, "missing": missing})
    return rows


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plotting.panels(1, 3, width=4.5, height=3.3, sharey=True)
    curves = {rule: rates.group(points, "excess") for rule, points in rates.group(rows, "rule").items()}
    excess = sorted(curves["lcb"])
    sizes = np.array([row["n"] for row in curves["lcb"][excess[0]]], float)
    middle = np.sqrt(sizes[1:] * sizes[:-1])
    losses = {
        plotting.RULES[rule][0]: [[row["loss"] for row in own[e]] for e in excess] for rule, own in curves.items()
    }
    theorem: list[Any] = [bounds.contextual_rate(sizes, 1.0 + e, 2) for e in excess]
    names = ("minimax rate", *(name.replace(" (", "\n(") for name in losses))
    for panel, title, lines in zip(axes, names, (theorem, *losses.values()), strict=True):
        slopes = [-rates.local_slopes(sizes, line) for line in lines]
        image = plotting.heatmap(panel, middle, excess, slopes, cmap=plotting.sequential(), vmin=0.0, vmax=1.0)
        # N (C* - 1) = 1/e in cell coordinates: one octave of N is one cell
        across = np.log2(1.0 / (np.e * np.array(excess)) / middle[0])
        panel.autoscale(False)
        panel.plot(across, np.arange(len(excess)), color="white", linestyle=(0, (5, 2.5)), linewidth=1.2)
        panel.set_title(title, loc="left")
        panel.set_xlabel("rounds N")
        # a column lies between two sizes
        every = max(1, (len(sizes) - 1) // 2)
        panel.set_xticks(np.arange(0, len(sizes), every) - 0.5, [f"{n:,.0f}" for n in sizes[::every]])
        whole = [i for i, e in enumerate(excess) if abs(np.log10(e) - round(np.log10(e))) < 1e-9]
        panel.set_yticks(whole, [f"$10^{{{round(np.log10(excess[i]))}}}$" for i in whole])
        slow = "$N^{-1/2}$" if panel is not axes[-1] else "no rate"
        look: dict[str, Any] = {"transform": panel.transAxes, "fontsize": 10, "fontweight": "bold"}
        panel.text(0.05, 0.05, "1/N", color="black", **look)
        panel.text(0.95, 0.95, slow, color="white", ha="right", va="top", **look)
    axes[0].set_ylabel("C* − 1")
    bar = figure.colorbar(image, ax=axes, location="bottom", aspect=40, ticks=[0, 0.5, 1])
    bar.set_ticklabels(["0", "1/2", "1"])
    bar.set_label("the loss falls as 1/N to this power", fontsize=8)
    plotting.caption(
        figure,
        "Two contexts, two arms, the gap worst for every point; LCB and imitation exact, the larger of two losses, "
        "which change places near the dashed line, N (C* − 1) = 1/e. Minimax rate: Rashidinejad et al. (2021), "
        "Theorems 4, 5.",
    )
    return figure
