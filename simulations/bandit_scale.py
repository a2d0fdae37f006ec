"""Ten arms and up to a billion rounds by Monte Carlo, beside the explicit bounds.

Every data set is drawn as counts and sums, so N = 10^9 costs what N = 10^2 costs. The best arm has probability 1/C*;
the rest lies on one other arm, where LCB and imitation lose more, or is shared by nine, where greedy does: at C* = 1.5
and 4 each is covered less than the best arm, and imitation is nearly always right even at C* = 4. The largest loss over
both splits and several gaps is drawn for every N and rule.

See also `pessimism.bandits.bounds.lcb_upper`, `pessimism.bandits.bounds.minimax_lower`,
`pessimism.bandits.behavior.prescribe`.
"""

import math
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bandits import Bandit, behavior, bernstein_lcb, bounds, greedy, lcb, most_played

from ._grid import cells
from ._words import legend_above, signed, tell
from ._worst import worst_of

VERSION = 3
ARMS = 10
RULES = {"lcb": lcb, "greedy": greedy, "most_played": most_played, "bernstein_lcb": bernstein_lcb}
SCALES = (0.25, 0.5, 1, 2, 4, math.inf)


AXES: dict[str, Any] = {
    "cstar": (1.5, 4),
    "n": [10**k for k in range(2, 10)],
    "split": ("one", "nine"),
    "scale": SCALES,
}
GRID = {
    "quick": cells(**AXES, block=range(2), replicates_per_block=[5000]),
    "full": cells(**AXES, block=range(10), replicates_per_block=[20_000]),
}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Mean loss of every rule on the same data sets; the gap is scale x sqrt(C*/N), at most 1."""
    gap = min(1.0, cell["scale"] * (cell["cstar"] / cell["n"]) ** 0.5)
    means = np.full((1, ARMS), 0.5 - gap / 2)
    means[0, 0] = 0.5 + gap / 2
    bandit = Bandit(means)
    other = np.eye(ARMS)[[1]] if cell["split"] == "one" else None
    law = behavior.prescribe(bandit, cstar=cell["cstar"], mix=other)
    data = bandit.sample(law, n=cell["n"], size=cell["replicates_per_block"], rng=rng)
    losses = {name: bandit.suboptimality(rule(data)) for name, rule in RULES.items()}
    return [{"rule": name, "gap": gap, **rates.summarize("loss", loss)} for name, loss in losses.items()]


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plotting.panels(1, 2, width=4.5, height=3.6, sharey=True)
    averaged = rates.average_blocks(rows)
    for panel, (cstar, here) in zip(axes, rates.group(averaged, "cstar").items(), strict=True):
        plotting.loglog(panel, x="rounds N", y="", title=f"C* = {cstar:g}")
        notes, few = [], []
        for rule, points in rates.group(here, "rule").items():
            worst = worst_of(points)
            x, y, se = ([row[key] for row in worst] for key in ("n", "loss", "loss_se"))
            try:
                fit = rates.fit_rows(worst)
                notes.append((y[-1], f"slope {signed(fit.slope, 3)}", rule))
            except rates.SlopeError:
                if len(worst) < 4:
                    few.append(plotting.RULES[rule][0])
                    continue
            plotting.curve(panel, x, y, se=se, rule=rule)
        n = np.geomspace(100, 1e9, 100)
        plotting.theorem(panel, n, bounds.lcb_upper(n, cstar, ARMS), label="LCB, upper bound")
        if cstar >= 2:  # below, the bound is void
            plotting.theorem(panel, n, bounds.minimax_lower(n, cstar), label="any rule, lower bound", color="black")
        panel.set_ylim(1e-9, 30)
        panel.set_xticks([1e2, 1e4, 1e6, 1e8])
        panel.minorticks_off()
        tell(panel, notes)
        if few:
            told = "almost no errors:\n" + "\n".join(few)
            panel.text(0.97, 0.97, told, transform=panel.transAxes, ha="right", va="top", fontsize=8)
    axes[0].set_ylabel("worst loss (reward units)")
    legend_above(figure, axes[-1], last=["bound"])
    plotting.caption(
        figure,
        "Ten arms, Monte Carlo, bars of two standard errors; the worst of two splits and of gaps 1 and z sqrt(C*/N), "
        "z = 1/4 ... 4, where points with fewer than 100 errors are left out and a maximum of noisy means lies a "
        "little too high. Slopes: fitted lines. The bounds are ours.",
    )
    return figure
