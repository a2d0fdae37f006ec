r"""Which intervals keep their promise: exact coverage over the composition C*, one arm, rewards 0 or 1, level 95 %.

The target plays one arm of probability 1/C* and mean r. An interval whose width is read off the sample has width zero
on a log without a success of the target, so it covers with probability :math:`1 - (1 - r/C^*)^n` at most, however
often it is used; intervals that hold at every n pay for it with their width.

See also `pessimism.bandits.intervals`, `pessimism.bandits.risk.coverage_probability`.
"""

from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bandits import Bandit, intervals, risk

from ._grid import cells

VERSION = 1
INTERVALS = {
    "normal (IPS)": (intervals.normal_ips, "vermillion", "^"),
    "Wilson": (intervals.wilson, "orange", "v"),
    "Clopper–Pearson": (intervals.clopper_pearson, "blue", "o"),
    "Clopper–Pearson given N": (lambda data, policy, behavior: intervals.clopper_pearson(data, policy), "sky", "s"),
    "Hoeffding given counts": (intervals.given_counts, "green", "D"),
    "empirical Bernstein": (intervals.empirical_bernstein, "purple", "P"),
}
GRID = {
    "quick": cells(n=[40], cstar=[2, 4, 8, 16, 32], mean=[0.05, 0.5]),
    "full": cells(n=[100], cstar=[2, 3, 5, 8, 12, 20, 32, 50], mean=[0.05, 0.5]),
}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Coverage and mean width of every interval over all logs; exact, so `rng` is not used."""
    share = 1.0 / cell["cstar"]
    bandit, law = Bandit([[cell["mean"], 0.0]]), [[share, 1.0 - share]]
    rows = []
    for name, (interval, *_) in INTERVALS.items():
        found = risk.coverage_probability(interval, bandit, [0], law, n=cell["n"])
        rows.append({"interval": name, "coverage": float(found.probability), "width": float(found.width)})
    return rows


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plotting.panels(1, 2, width=4.5, height=3.5, sharey=True)
    for panel, (mean, here) in zip(axes, rates.group(rows, "mean").items(), strict=True):
        n = here[0]["n"]
        for name, points in rates.group(here, "interval").items():
            _, color, marker = INTERVALS[name]
            x, y = ([row[key] for row in points] for key in ("cstar", "coverage"))
            plotting.curve(panel, x, y, rule=name, color=color, marker=marker)
        smooth = np.geomspace(2, max(row["cstar"] for row in here), 60)
        plotting.theorem(panel, smooth, 1.0 - (1.0 - mean / smooth) ** n, color="black", label="P(a success)")
        panel.axhline(0.95, color="0.6", linewidth=0.8)
        panel.set_xscale("log")
        panel.set_xticks([2, 8, 32], ["2", "8", "32"])
        panel.minorticks_off()
        panel.set_xlabel("composition C*")
        panel.set_title(f"mean reward {mean:g}", loc="left")
        panel.set_ylim(0, 1.03)
    axes[0].set_ylabel("coverage (95 % promised)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=7.5)
    plotting.caption(
        figure,
        f"Exact, {n} rounds, one arm of probability 1/C*. The normal interval ends at the probability, dashed, that "
        "the log holds a success of the target at all.",
    )
    return figure
