"""Choosing by weights or by counts: pessimistic rules on a log with one tempting arm, and on two close arms.

Left, ten arms: one of mean 0.6 has 91 per cent of the log, nine of mean 0.3 have one per cent each, so that some of
them look good by luck. Every pessimistic rule stays with the good arm; greedy and importance sampling do not. Right,
two arms 1/2 ± gap/2, the gap worst for each rule, the better arm played with probability 1/4: there pessimism by
weights (implicit exploration, logarithmic smoothing) loses to LCB, and LCB to greedy.

See also `pessimism.bandits.ix`, `pessimism.bandits.log_smoothing_rule`, `pessimism.bandits.lcb`,
`pessimism.bandits.instances.symmetric`.
"""

from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bandits import Bandit, greedy, instances, ix, lcb, log_smoothing_rule

from ._grid import cells

VERSION = 2
REPLICATES = 20_000
GAPS = [0.5, 1, 2, 4, 8, 16]
"""Gaps of the two arms, times sqrt(1/n); 0 stands for the ten arms, whose means are given."""

GRID = {
    "quick": [
        *cells(
            kind=["ten arms"],
            n=[50, 100, 200, 400, 800, 1600],
            scale=[0],
            replicates_per_block=[REPLICATES],
            block=[0],
        ),
        *cells(kind=["two arms"], n=[50, 200, 1000, 4000], scale=GAPS, replicates_per_block=[REPLICATES], block=[0]),
    ],
    "full": [
        *cells(
            kind=["ten arms"],
            n=[50, 70, 100, 140, 200, 280, 400, 560, 800, 1130, 1600, 3200],
            scale=[0],
            replicates_per_block=[REPLICATES],
            block=range(10),
        ),
        *cells(
            kind=["two arms"],
            n=[50, 100, 200, 400, 1000, 2000, 4000, 10_000],
            scale=[0.5, 0.7, 1, 1.4, 2, 2.8, 4, 5.6, 8, 11, 16],
            replicates_per_block=[REPLICATES],
            block=range(10),
        ),
    ],
}
LOOKS = {
    "lcb": ("LCB", "blue", "o"),
    "ix": ("implicit exploration", "purple", "s"),
    "log_smoothing": ("log smoothing", "green", "D"),
    "greedy": ("greedy", "vermillion", "v"),
    "ips": ("best by IPS", "orange", "^"),
}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Mean loss of every rule on the same logs."""
    n = cell["n"]
    if cell["kind"] == "ten arms":
        bandit, law = Bandit([[0.6, *[0.3] * 9]]), np.array([[0.91, *[0.01] * 9]])
    else:
        bandit, law = instances.symmetric(4.0, min(0.9, cell["scale"] / np.sqrt(n)))
    data = bandit.sample(law, n=n, size=cell["replicates_per_block"], rng=rng)
    policies = {
        "lcb": lcb(data),
        "ix": ix(data, law),
        "log_smoothing": log_smoothing_rule(data, law),
        "greedy": greedy(data),
        "ips": (data.sums / law).argmax(axis=-1),
    }
    losses = {name: bandit.suboptimality(policy) for name, policy in policies.items()}
    return [{"rule": name, **rates.summarize("loss", loss)} for name, loss in losses.items()]


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plotting.panels(1, 2, width=4.5, height=3.5)
    averaged = rates.average_blocks(rows)
    for panel, (kind, here) in zip(axes, rates.group(averaged, "kind").items(), strict=True):
        plotting.loglog(panel, x="rounds n", y="", title={"ten arms": "ten arms", "two arms": "two arms, C* = 4"}[kind])
        none: list[str] = []
        for rule, points in rates.group(here, "rule").items():
            worst = [max(own, key=lambda row: row["loss"]) for own in rates.group(points, "n").values()]
            label, color, marker = LOOKS[rule]
            if not any(row["loss"] for row in worst):
                none.append(label)
            x, y, se = ([row[key] for row in worst] for key in ("n", "loss", "loss_se"))
            plotting.curve(panel, x, y, se=se, rule=rule, label=label, color=color, marker=marker)
        if none:
            panel.text(0.97, 0.5, "no errors:\n" + "\n".join(none), transform=panel.transAxes, ha="right", fontsize=8)
    axes[0].set_ylim(1e-5, 0.5)
    axes[0].set_ylabel("expected loss (reward units)")
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=7.5)
    plotting.caption(
        figure,
        "Monte Carlo, bars of two standard errors; no errors, no point. Left: one arm of mean 0.6 has 91 % of the log, "
        "nine of 0.3 have 1 % each. Right: the gap worst for each rule and n; default scales.",
    )
    return figure
