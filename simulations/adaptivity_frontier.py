r"""No rule is good at both compositions: the exact frontier of worst losses at C* = 1.5 and 4, and the path of LCB.

Two Bernoulli arms, one context. A dot of the frontier is a rule that minimises the larger of two worst losses, each
divided by a unit of its own, to 1 %; the units are varied. No rule is better than a dot at both compositions; the line
between dots only joins them. The level L of the index runs from 0 (greedy) to infinity (imitation): the default lies
well above the frontier, so that the trade-off is not LCB's fault, but LCB does not make it well.

See also `pessimism.bandits.minimax.adaptive`, `pessimism.bandits.minimax.certified_worst`,
`pessimism.bandits.index_rule`.
"""

import math
from functools import partial
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bandits import hoeffding_level, index_rule, minimax

from ._words import legend_above

VERSION = 1
LAST_BIT = "many priors and rules prove a bracket, and rounding decides which of them is found"
NEAR, BROAD = 1.5, 4.0
WEIGHTS, LEVELS = (0.05, 0.2, 0.5, 1.0, 4.0), (0.0, *(2.0**k for k in range(-2, 5)), math.inf)


def cells(sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    found = []
    for n in sizes:
        found += [{"n": n, "kind": "frontier", "at": weight} for weight in WEIGHTS]
        found += [{"n": n, "kind": "level", "at": level} for level in LEVELS]
        found.append({"n": n, "kind": "default level", "at": float(hoeffding_level(n, 1, 2))})
    return found


GRID = {"quick": cells((20,)), "full": cells((20, 50))}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Worst losses of one rule over both classes; exact, so `rng` is not used."""
    n, at = cell["n"], cell["at"]
    if cell["kind"] == "frontier":
        rule: Any = minimax.adaptive(n, [NEAR, BROAD], weights=[1.0, at], tolerance=1e-2).rule
    else:
        rule = partial(index_rule, level=at)
    near, broad = (minimax.certified_worst(rule, n, c, tolerance=2e-3).loss for c in (NEAR, BROAD))
    return {"loss_near": near, "loss_broad": broad}


def plot(rows: list[dict[str, Any]]) -> Any:
    sizes = rates.group(rows, "n")
    figure, axes = plotting.panels(1, len(sizes), width=4.5, height=3.6)
    for panel, (n, here) in zip(axes, sizes.items(), strict=True):
        kinds = rates.group(here, "kind")
        x, y = (np.array([row[key] for row in kinds["frontier"]], float) for key in ("loss_broad", "loss_near"))
        panel.plot(x, y, color="black", marker="D", linewidth=1.0, label="frontier: no rule beats a dot at both")
        levels = sorted(kinds["level"] + kinds["default level"], key=lambda row: float(row["at"]))
        x, y = (np.array([row[key] for row in levels], float) for key in ("loss_broad", "loss_near"))
        paint = plotting.COLORS["blue"]
        panel.plot(x, y, marker=".", color=paint, label="LCB at all levels")
        places = {"greedy": 0, "default level": levels.index(kinds["default level"][0]), "imitation": -1}
        for marker, (label, at) in zip("so^", places.items(), strict=True):
            look: Any = {"color": paint, "markerfacecolor": "white", "markersize": 7, "linestyle": ""}
            panel.plot(x[at], y[at], marker=marker, label=label, **look)
        plotting.loglog(
            panel, x=f"worst loss, C* at most {BROAD:g}", y=f"worst loss, C* at most {NEAR:g}", title=f"N = {n}"
        )
    legend_above(figure, axes[0])
    plotting.caption(
        figure,
        "Exact, in reward units; low and left is better. Two Bernoulli arms, means and law free: the worst losses of "
        "one rule over both classes, certified to 0.2 %.",
    )
    return figure
