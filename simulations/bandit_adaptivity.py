"""No single level of pessimism serves both ends: worst loss at C* = 1.5 against worst loss at C* = 6.

Losses are exact, and the worst over the gap of one family of two arms; the level L of the index runs from 0 (greedy) to
infinity (imitation). This is our version of the statement that LCB is not adaptive in multi-armed bandits.

See also `pessimism.bandits.index_rule`, `pessimism.bandits.exact.worst_case`, `pessimism.bandits.instances.symmetric`,
`pessimism.bandits.instances.lcb_failure`.
"""

import math
from functools import partial
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bandits import exact, hoeffding_level, instances

VERSION = 1
LEVELS = (0.0, *(2.0**k for k in range(-3, 8)), math.inf)
NEAR, BROAD = 1.5, 6.0


def cells(sizes: tuple[int, ...], levels: tuple[float, ...]) -> list[dict[str, Any]]:
    named = [(f"{level:g}", level) for level in levels]
    default = [("default", float(hoeffding_level(n, 1, 2))) for n in sizes]
    return [{"n": n, "name": a, "level": b} for n, own in zip(sizes, default, strict=True) for a, b in (*named, own)]


GRID = {
    "quick": cells((100, 200, 400), LEVELS),
    "full": cells((100, 200, 400), (0.0, *(2.0 ** (k / 2) for k in range(-6, 15)), math.inf)),
}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Worst loss and its gap at both compositions; exact, so `rng` is not used."""
    row: dict[str, Any] = {}
    for name, cstar in (("near", NEAR), ("broad", BROAD)):
        worst = exact.worst_case(partial(instances.symmetric, cstar), cell["n"], level=cell["level"])
        row |= {f"loss_{name}": worst.loss, f"gap_{name}": worst.gap}
    return row


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, (panel,) = plotting.panels(1, 1, width=4.5, height=3.6)
    for (n, points), color in zip(rates.group(rows, "n").items(), ("sky", "blue", "black"), strict=True):
        swept = [row for row in points if row["name"] != "default"]
        default = next(row for row in points if row["name"] == "default")
        x, y = (np.array([row[f"loss_{name}"] for row in swept]) for name in ("broad", "near"))
        paint = plotting.COLORS[color]
        panel.plot(x, y, marker=".", color=paint, label=f"N = {n:,}")
        ends = (("s", x[0], y[0]), ("^", x[-1], y[-1]), ("o", default["loss_broad"], default["loss_near"]))
        for marker, across, up in ends:
            panel.plot(across, up, marker=marker, color=paint, markersize=7, markerfacecolor="white")
    for marker, label in (("s", "greedy, L = 0"), ("o", r"LCB, $\delta$ = 1/N"), ("^", "imitation, L = ∞")):
        panel.plot([], [], marker=marker, color="0.4", markerfacecolor="white", linestyle="", label=label)
    plotting.loglog(
        panel, x=f"worst loss at C* = {BROAD:g} (broad data)", y=f"worst loss at C* = {NEAR:g} (near expert)"
    )
    panel.legend(loc="lower left")
    look: Any = {"xycoords": "axes fraction", "textcoords": "axes fraction", "fontsize": 8, "color": "0.3"}
    panel.annotate("", (0.72, 0.88), (0.4, 0.98), arrowprops={"arrowstyle": "->", "color": "0.3"}, **look)
    panel.annotate("more pessimism", (0.6, 0.96), ha="left", **look)
    plotting.caption(
        figure,
        "Exact, in reward units; low and left is better. Two arms, level L from 0 to 128 and infinity, the gap worst "
        "for every point. Imitation ignores the gap, so that its worst gap is 1: hence the upturn at N = 100.",
    )
    return figure
