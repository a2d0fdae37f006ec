"""The level of pessimism, learned from held-out rewards, over the composition of the data: our own illustration.

Of ten arms with means from 0.6 to 0.3, the best one is logged with probability 1/C*, and the others share the rest
unevenly. One log gives means and counts, and a second log of the same law the held-out estimates on which BO-REP tunes
the level of a soft LCB. An arm that was never logged enters with the largest bonus (count 1) and the worst mean (0).

Held-out rounds may miss an arm too. Importance weighting, which divides sums of rewards by N times the known law of the
arms, is unbiased even then. Means need a guess for a missed arm, and the guess matters: 0 is pessimistic before any
level is learned, and the logged mean of the arm favours arms that were lucky in the log.

The policies are softmax(y/0.1), the lower problem has lambda = 0.1, and rho = 0.001 pulls the level, which multiplies
1/sqrt(n), to 1. Hindsight knows the true means. The rows also hold the levels that importance weights found: their
medians are 2 to 5 for N = 100, and 3 to 13 for N = 1,000.

See also `pessimism.bilevel.problems.PessimismTuning`, `pessimism.bilevel.minimize_bilevel`, `pessimism.bandits.lcb`.
"""

from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bandits import Bandit
from pessimism.bilevel import minimize_bilevel
from pessimism.bilevel.problems import PessimismTuning

from ._grid import cells

VERSION = 2
ARMS = 10
BUDGET = 2000
RHO = 1e-3
CSTARS = (1.1, 1.5, 2, 4, 8, 16, 32)
LOOKS = {  # label, colour, marker
    "greedy": ("greedy (level 0)", "vermillion", "s"),
    "logged": ("learned: means, else logged", "orange", "D"),
    "zero": ("learned: means, else 0", "purple", "v"),
    "weighted": ("learned: importance weights", "blue", "o"),
    "hindsight": ("best level in hindsight", "black", "^"),
}
GRID = {
    profile: cells(cstar=CSTARS, n=(100, 1000), replicates_per_block=[r], block=range(blocks))
    for profile, blocks, r in (("quick", 1, 60), ("full", 10, 200))
}


def estimates(n: int, law: Any, logged: Any, counts: Any, sums: Any) -> dict[str, Any]:
    """Held-out estimates of the arms from n rounds of a known law, with the logged means as one of the guesses."""
    seen, means = counts > 0, sums / np.maximum(counts, 1)
    return {"weighted": sums / (n * law), "zero": means, "logged": np.where(seen, means, logged)}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Loss of the soft policy at level 0, at the learned levels and at the best level in hindsight."""
    means = np.linspace(0.6, 0.3, ARMS)
    rest = np.geomspace(1.0, 0.01, ARMS - 1)
    law = np.array([[1 / cell["cstar"], *((1 - 1 / cell["cstar"]) * rest / rest.sum())]])
    bandit, n = Bandit(means[None]), cell["n"]
    logs, held = (bandit.sample(law, n=n, size=cell["replicates_per_block"], rng=rng) for _ in range(2))
    losses: dict[str, list[float]] = {rule: [] for rule in LOOKS}
    levels = []
    for i in range(cell["replicates_per_block"]):
        ends = {"greedy": -30.0}
        for rule, estimate in estimates(n, law[0], logs.means[i, 0], held.counts[i, 0], held.sums[i, 0]).items():
            problem = PessimismTuning(np.maximum(logs.counts[i, 0], 1), logs.means[i, 0], estimate, rho=RHO)
            run: dict[str, Any] = {"budget": BUDGET, "record": BUDGET, "exact": True, "rng": 0}
            ends[rule] = float(minimize_bilevel(problem, [0.0], step=0.5, momentum=0.0, **run).x[0])
        places = [*ends.values(), *np.linspace(-6, 4, 101)]
        loss = [max(float(means[0] - problem.policy([x]) @ means), 0.0) for x in places]  # the same for all estimates
        for rule, value in zip(ends, loss, strict=False):
            losses[rule].append(value)
        losses["hindsight"].append(min(loss))
        levels.append(round(ends["weighted"], 3))
    return [{"rule": rule, **rates.summarize("loss", values)} for rule, values in losses.items()] + [
        {"rule": "level", "log_levels": levels}
    ]


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plotting.panels(1, 2, width=4.5, height=3.6, sharey=True)
    sizes = sorted({row["n"] for row in rows})
    keys = ("cstar", "block", "rule", "loss", "loss_se", "loss_events", "replicates")
    for panel, n in zip(axes, sizes, strict=False):
        here = [{key: row[key] for key in keys} for row in rows if row["n"] == n and row["rule"] != "level"]
        for place, (rule, points) in enumerate(rates.group(rates.average_blocks(here), "rule").items()):
            c, loss, se = (np.array([row[key] for row in points]) for key in ("cstar", "loss", "loss_se"))
            label, color, marker = LOOKS[rule]
            aside = c * 1.03 ** (place - 2)  # so that bars at the same C* do not hide each other
            plotting.curve(panel, aside, loss, se=se, rule=rule, label=label, color=color, marker=marker)
        panel.set_title(f"N = {n:,}", loc="left")
        panel.set_xscale("log")
        panel.set_xlabel("C*")
        panel.set_xticks(CSTARS[::2], [f"{c:g}" for c in CSTARS[::2]])
        panel.set_xticks([], minor=True)
        panel.set_ylim(-0.005, 0.2)
        panel.set_yticks([0, 0.05, 0.1, 0.15, 0.2])
    axes[0].set_ylabel("loss of the soft policy (reward units)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    runs = sum(row["replicates"] for row in rows if row["rule"] == "greedy") // (len(CSTARS) * len(sizes))
    plotting.caption(
        figure,
        f"Our own illustration: {ARMS} arms, N logged and N held-out rounds. Learned levels differ in the held-out "
        f"estimate: means, with a guess for a missed arm, or importance weights. {runs} data sets, bars of two "
        "standard errors.",
    )
    return figure
