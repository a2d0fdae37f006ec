r"""The least worst-case loss of any rule, exactly, beside what known rules lose at worst on the same class.

Two Bernoulli arms, one context, and the class of all worlds whose law plays the better arm with probability at least
1/C, whatever the means and the law. The minimax risk is drawn as a band between a prior that proves the lower end and a
rule that proves the upper one; the worst losses of the rules are certified on the whole class, too. The rules that know
C come close to the least possible; what pessimism pays for not knowing it is the distance of LCB from the band. On
these classes greedy loses a constant, for they hold logs in which the other arm was hardly played.

See also `pessimism.bandits.minimax.solve`, `pessimism.bandits.minimax.certified_worst`,
`pessimism.bandits.bounds.minimax_leading`, `pessimism.bandits.bounds.two_point_minimax`,
`pessimism.bandits.bounds.greedy_floor`, `pessimism.bandits.bounds.one_round_minimax`,
`pessimism.bandits.count_vote`, `pessimism.bandits.screened_greedy`.
"""

from functools import partial
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bandits import bounds, count_vote, greedy, lcb, minimax, most_played, screened_greedy

from ._words import legend_above

VERSION = 1
LAST_BIT = "many priors and rules prove a bracket, and rounding decides which of them is found"
CSTARS = (1.1, 1.5, 2.0, 4.0)
SIZES = (4, 6, 10, 16, 24, 40, 64, 100)
GRID = {
    "quick": [{"cstar": c, "n": n} for c in CSTARS for n in (4, 8, 16, 32) if n <= (16 if c > 2 else 32)],
    "full": [{"cstar": c, "n": n} for c in CSTARS for n in SIZES],
}
TOLERANCE = 2e-3


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Bounds of the minimax risk and of the worst loss of every rule; exact, so `rng` is not used."""
    n, cstar = cell["n"], cell["cstar"]
    knows = partial(count_vote if cstar < 2 else screened_greedy, cstar=cstar)
    risk = minimax.solve(n, cstar, tolerance=TOLERANCE)
    rows = [{"rule": "minimax", "loss_low": risk.lower, "loss_high": risk.upper}]
    rules: dict[str, Any] = {"lcb": lcb, "greedy": greedy, "most_played": most_played, "knows_cstar": knows}
    for name, rule in rules.items():
        worst = minimax.certified_worst(rule, n, cstar, tolerance=TOLERANCE)
        rows.append({"rule": name, "loss_low": worst.loss, "loss_high": worst.bound})
    return rows


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plotting.panels(2, 2, width=4.5, height=4.0)
    for panel, (cstar, here) in zip(axes, rates.group(rows, "cstar").items(), strict=True):
        for rule, points in rates.group(here, "rule").items():
            n, low, high = (np.array([row[key] for row in points], float) for key in ("n", "loss_low", "loss_high"))
            if rule == "minimax":
                panel.fill_between(n, low, high, color="black", linewidth=1.6, label="minimax risk, certified")
                leading = bounds.minimax_leading(n.astype(int), cstar)
                plotting.theorem(panel, n, leading, color="black", label="its leading term")
            elif rule == "knows_cstar":
                plotting.curve(panel, n, high, rule=rule, color="purple", marker="D", label="a rule that knows C")
            else:
                plotting.curve(panel, n, high, rule=rule)
        plotting.theorem(
            panel, n[[0, -1]], [float(bounds.greedy_floor())] * 2, color="vermillion", label="greedy, limit"
        )
        plotting.loglog(panel, x="N", y="worst loss" if cstar in (1.1, 2.0) else "", title=f"C* at most {cstar:g}")
        ticks = [4, 8, 16, 32] if n.max() <= 32 else [4, 10, 40, 100]
        panel.set_xticks(ticks, labels=[str(tick) for tick in ticks])
        panel.minorticks_off()
    legend_above(figure, axes[0])
    plotting.caption(
        figure,
        "Exact brackets, narrower than the lines: no rule loses less at worst than the black line. Two Bernoulli arms, "
        "means and law free. The rule that knows C is the count vote below 2, screened greedy from 2 on. The leading "
        "terms are derived by us as lower bounds; that they are attained is seen at finite N only.",
    )
    return figure
