"""With two contexts LCB adapts: fitted exponents as the data tend to expert data, C* - 1 = N^-alpha.

Exact losses on `instances.ambiguous_contexts` (S = 2), gap chosen anew for every N and rule. LCB moves from -1/2 to
-1; imitation stays at -alpha, because it never learns in the ambiguous context.

See also `pessimism.bandits.bounds.transition_exponent`, `pessimism.bandits.bounds.imitation_floor`,
`pessimism.bandits.bounds.contextual_rate`, `pessimism.bandits.instances.ambiguous_contexts`.
"""

from functools import partial
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bandits import bounds, instances

from ._grid import cells
from ._worst import worst_rows

VERSION = 1
GRID = {
    "quick": cells(alpha=(0, 0.25, 0.5, 0.75, 1), n=(100, 300, 1000, 3000, 10_000)),
    "full": cells(alpha=[a / 8 for a in range(9)], n=[round(10 ** (k / 4)) for k in range(8, 21)]),
}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Worst loss and its gap for every rule; exact, so `rng` is not used."""
    n, cstar = cell["n"], 1.0 + cell["n"] ** -float(cell["alpha"])
    rows = worst_rows(partial(instances.ambiguous_contexts, cstar, 2), n, contexts=2)
    return [row | {"cstar": cstar} for row in rows]


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, (left, right) = plotting.panels(1, 2, height=3.3)
    shades = np.linspace(0.15, 0.9, len(rates.group(rows, "alpha")))
    for (alpha, points), shade in zip(rates.group(rows, "alpha").items(), shades, strict=True):
        for rule, marker in (("lcb", "o"), ("most_played", "^")):
            own = [row for row in points if row["rule"] == rule]
            x, y = ([row[key] for row in own] for key in ("n", "loss"))
            label = rf"$\alpha$ = {alpha:g}" if rule == "lcb" else None
            style = "-" if rule == "lcb" else "none"  # imitation lies on its floor, which joins the points
            left.plot(x, y, marker=marker, linestyle=style, color=plotting.sequential()(shade), label=label)
        floor = bounds.imitation_floor([row["cstar"] for row in own])
        plotting.theorem(left, x, floor, label="$(C^*-1)/2$" if shade == shades[-1] else None)
    plotting.loglog(left, x="rounds N", y="worst loss (reward units)", title="LCB (circles), imitation (triangles)")
    left.set_ylim(1e-6, 1)
    left.legend(loc="lower left", ncols=3, columnspacing=1.0)
    for rule, points in rates.group(rows, "rule").items():
        curves = {alpha: rates.fit_rows(own) for alpha, own in rates.group(points, "alpha").items()}
        plotting.curve(right, list(curves), [-fit.slope for fit in curves.values()], rule=rule)
        spread = [(-fit.local.max(), -fit.local.min()) for fit in curves.values()]
        right.vlines(list(curves), *np.transpose(spread), color="0.6", linewidth=0.8, zorder=1)
    line = np.linspace(0, 1, 2)
    plotting.theorem(right, line, bounds.transition_exponent(line), color="blue", label=r"LCB, $(1+\alpha)/2$")
    plotting.theorem(right, line, line, color="green", label=r"imitation, $\alpha$")
    right.set(xlabel=r"$\alpha$, where $C^* - 1 = N^{-\alpha}$", ylabel="exponent (minus the slope)", ylim=(-0.05, 1.1))
    right.set_title("fitted exponents", loc="left")
    right.legend(loc="lower right")
    plotting.caption(
        figure,
        "Two contexts, two arms. Exact, gap re-optimised for every N and rule; thin bars: range of local slopes.",
        "Dashed, right: LCB's rate is Theorems 4 and 5 of Rashidinejad et al. (2021), constants and logarithms hidden; "
        "imitation's is ours, as is its floor, (C* - 1)/2, on the left.",
    )
    return figure
