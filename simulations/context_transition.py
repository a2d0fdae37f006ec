"""With two contexts LCB adapts: fitted exponents as the data tend to expert data, C* - 1 = N^-alpha.

Exact losses on `instances.ambiguous_contexts` (S = 2), gap chosen anew for every N and rule. LCB moves from -1/2 to
-1; imitation stays at -alpha, because it never learns in the ambiguous context.

See also `pessimism.bandits.bounds.transition_exponent`, `pessimism.bandits.bounds.imitation_floor`,
`pessimism.bandits.bounds.contextual_upper`,
`pessimism.bandits.bounds.contextual_lower`, `pessimism.bandits.instances.ambiguous_contexts`.
"""

from functools import partial
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bandits import bounds, instances

from ._grid import cells
from ._words import legend_above
from ._worst import worst_rows

VERSION = 1
GRID = {
    "quick": cells(alpha=(0, 0.25, 0.5, 0.75, 1), n=(100, 300, 1000, 3000, 10_000)),
    "full": cells(alpha=[a / 8 for a in range(9)], n=[round(10 ** (k / 4)) for k in range(8, 21)]),
}

SHOWN = 0.5  # the speed at which losses are drawn


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Worst loss and its gap for every rule; exact, so `rng` is not used."""
    n, cstar = cell["n"], 1.0 + cell["n"] ** -float(cell["alpha"])
    rows = worst_rows(partial(instances.ambiguous_contexts, cstar, 2), n, contexts=2)
    return [row | {"cstar": cstar} for row in rows]


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, (left, right) = plotting.panels(1, 2, width=4.5, height=3.6)
    draw_losses(left, rows, min({row["alpha"] for row in rows}, key=lambda alpha: abs(alpha - SHOWN)))
    for rule, points in rates.group(rows, "rule").items():
        curves = {alpha: rates.fit_rows(own) for alpha, own in rates.group(points, "alpha").items()}
        plotting.curve(right, list(curves), [-fit.slope for fit in curves.values()], rule=rule)
        spread = [(-fit.local.max(), -fit.local.min()) for fit in curves.values()]
        right.vlines(list(curves), *np.transpose(spread), color="0.6", linewidth=0.8, zorder=1)
    line = np.linspace(0, 1, 2)
    plotting.theorem(right, line, bounds.transition_exponent(line), color="blue")
    plotting.theorem(right, line, line, color="green")
    right.text(0.0, 0.95, r"LCB: $(1+\alpha)/2$", color=plotting.COLORS["blue"], fontsize=8)
    right.text(0.36, 0.12, "imitation: $\\alpha$", color=plotting.COLORS["green"], fontsize=8)
    right.set(xlabel=r"$\alpha$", ylim=(-0.05, 1.1))
    right.set_title("exponent of the loss", loc="left")
    legend_above(figure, left, last=["floor", "bound"])
    plotting.caption(
        figure,
        "Two contexts, two arms, C* = 1 + N$^{-\\alpha}$. Exact, the gap worst for every N and rule; thin bars: range "
        "of local slopes. Dashed, right: LCB's rate is Theorems 4 and 5 of Rashidinejad et al. (2021), constants and "
        "logarithms hidden; imitation's is ours, and so are floor and bounds on the left.",
    )
    return figure


def draw_losses(panel: Any, rows: list[dict[str, Any]], alpha: float) -> None:
    """Worst losses at one speed of the composition, between the bounds for two contexts."""
    here = rates.group([row for row in rows if row["alpha"] == alpha], "rule")
    n, cstar = (np.array([row[key] for row in here["lcb"]], float) for key in ("n", "cstar"))
    plotting.loglog(panel, x="rounds N", y="worst loss (reward units)", title=rf"loss, $\alpha$ = {alpha:g}")
    for rule, points in here.items():
        plotting.curve(panel, n, [row["loss"] for row in points], rule=rule)
    plotting.theorem(panel, n, bounds.imitation_floor(cstar), color="green", label="imitation, floor (C* − 1)/2")
    plotting.theorem(panel, n, bounds.contextual_upper(n, cstar, 2, 2), color="blue", label="LCB, upper bound")
    plotting.theorem(panel, n, bounds.contextual_lower(n, cstar, 2), color="black", label="any rule, lower bound")
