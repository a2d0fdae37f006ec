"""The level of pessimism, learned from held-out rewards, over the composition of the data: our own illustration.

Ten arms; the best one is logged with probability 1/C*, the others share the rest unevenly. One log gives the means and
the counts, another of the same law the held-out means, and BO-REP tunes the level of a soft LCB on them. The held-out
rounds of rarely played arms are as noisy as the logged ones: what is learned is only as good as they are.
"""

from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bandits import Bandit
from pessimism.bilevel import minimize_bilevel
from pessimism.bilevel.problems import PessimismTuning

VERSION = 1
ARMS = 10
BUDGET = 4000
CSTARS = (1.1, 1.5, 2, 4, 8, 16, 32)
GRID = {
    profile: [
        {"cstar": c, "n": n, "replicates_per_block": r, "block": b}
        for c in CSTARS for n in (100, 1000) for b in range(blocks)
    ]
    for profile, blocks, r in (("quick", 1, 60), ("full", 10, 200))
}  # fmt: skip


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Loss of the soft policy at level 0, at the learned level and at the level of the best x in hindsight."""
    means = np.linspace(0.6, 0.3, ARMS)
    rest = np.geomspace(1.0, 0.01, ARMS - 1)
    law = np.array([[1 / cell["cstar"], *((1 - 1 / cell["cstar"]) * rest / rest.sum())]])
    bandit = Bandit(means[None])
    logs, held = (bandit.sample(law, n=cell["n"], size=cell["replicates_per_block"], rng=rng) for _ in range(2))
    losses: dict[str, list[float]] = {"greedy": [], "learned": [], "hindsight": []}
    levels = []
    for i in range(cell["replicates_per_block"]):
        problem = PessimismTuning(np.maximum(logs.counts[i, 0], 1), logs.means[i, 0], held.means[i, 0], rho=1e-3)
        result = minimize_bilevel(problem, [0.0], budget=BUDGET, exact=True, step=0.5, momentum=0.0, rng=0)
        grid = np.linspace(-6, 4, 101)
        loss = [max(float(means[0] - problem.policy([x]) @ means), 0.0) for x in (-30.0, result.x[0], *grid)]
        losses["greedy"].append(loss[0])
        losses["learned"].append(loss[1])
        losses["hindsight"].append(min(loss[2:]))
        levels.append(float(np.exp(result.x[0])))
    summary = {"level": float(np.median(levels)), "level_low": float(np.quantile(levels, 0.25)),
               "level_high": float(np.quantile(levels, 0.75))}  # fmt: skip
    return [{"rule": rule, **rates.summarize("loss", values)} for rule, values in losses.items()] + [
        {"rule": "level", **summary}
    ]


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plotting.panels(1, 3, width=10.5, height=3.4)
    sizes = sorted({row["n"] for row in rows})
    looks = {"greedy": ("greedy", "level 0 (greedy)"), "learned": ("lcb", "learned level"),
             "hindsight": ("behavior_cloning", "best level in hindsight")}  # fmt: skip
    for panel, n in zip(axes, sizes, strict=False):
        here = [row for row in rows if row["n"] == n and row["rule"] != "level"]
        for rule, points in rates.group(rates.average_blocks(here), "rule").items():
            c, loss, se = ([row[key] for row in points] for key in ("cstar", "loss", "loss_se"))
            look, label = looks[rule]
            plotting.curve(panel, c, loss, se=se, rule=look, label=label)
        plotting.loglog(panel, x="$C^*$", y="loss of the soft policy (reward units)", title=f"N = {n:,}")
        panel.set_ylim(1e-3, 0.4)
    axes[0].legend(fontsize=7.5)
    for n, color in zip(sizes, ("sky", "blue"), strict=False):
        points = [row for row in rows if row["n"] == n and row["rule"] == "level" and row["block"] == 0]
        c, middle, low, high = ([row[key] for row in points] for key in ("cstar", "level", "level_low", "level_high"))
        axes[2].plot(c, middle, color=plotting.COLORS[color], marker="o", label=f"N = {n:,}")
        axes[2].fill_between(c, low, high, color=plotting.COLORS[color], alpha=0.2, linewidth=0)
    plotting.loglog(axes[2], x="$C^*$", y="learned level (median, quartiles)")
    axes[2].legend(fontsize=7.5)
    plotting.caption(
        figure,
        f"Our own illustration: {ARMS} arms, means 0.6 to 0.3, logged and held-out rounds of the same law, N each; "
        "policies softmax(y/0.1). Means over data sets, bars of two",
        "standard errors; hindsight knows the true means. Levels multiply 1/sqrt(n), as the width of LCB does.",
    )
    return figure
