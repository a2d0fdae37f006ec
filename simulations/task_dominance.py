"""How much better the L1 rule is than L2 and uniform, against the number of tasks M, on the spike and pairs.

One task is the target itself, and pairs of other tasks contain a small part of it: the relevance of minimum Euclidean
norm spreads over all M tasks, that of minimum L1 norm is on the one task. The construction is ours, not the paper's.
The relevance is known; every task gets a floor of rows, together a tenth of the budget.

See also `pessimism.tasks.bounds.l1_risk`, `pessimism.tasks.bounds.uniform_risk`, `pessimism.tasks.bounds.l2_bound`,
`pessimism.tasks.instances.spike_and_pairs_ratio`.
"""

from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.tasks import allocate, bounds, fixed, instances, min_l1, min_l2

from ._grid import cells
from ._words import legend_above

VERSION = 1
DIMENSION = 12
FLOOR = 20 * DIMENSION
FLOOR_SHARE = 0.1
TARGET_ROWS = 100  # the representation's risk, which is drawn, does not depend on them
PAIRS = {"quick": (1, 3, 10, 30, 100, 200), "full": (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 500)}
GRID = {
    profile: cells(pairs=PAIRS[profile], replicates_per_block=[r], block=range(blocks))
    for profile, blocks, r in (("quick", 2, 50), ("full", 10, 100))
}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Risk of the fitted representation for the three rules, beside its leading order with and without the floor."""
    tasks = instances.spike_and_pairs(cell["pairs"], dimension=DIMENSION)
    least, shortest = min_l1(tasks.heads, tasks.target), min_l2(tasks.heads, tasks.target)
    target = tasks.sample_target(TARGET_ROWS, size=cell["replicates_per_block"], rng=rng)
    budget = round(tasks.n_tasks * FLOOR / FLOOR_SHARE)
    rows: list[dict[str, Any]] = []
    for rule, relevance, power in (("l1", least, 1), ("l2", shortest, 2), ("uniform", shortest, 0)):
        n = allocate(relevance, budget, power=power, floor=FLOOR)
        run = fixed(tasks, target, k=tasks.rank, n=n, rng=rng)
        assert run.representation is not None
        risk = tasks.representation_risk(run.representation.basis)
        shares = np.abs(relevance.weights) ** power  # without a floor
        rows.append(
            {
                "rule": rule,
                "tasks": tasks.n_tasks,
                "budget": budget,
                "predicted": float(tasks.predicted_risk(n)),
                "predicted_without_floor": float(tasks.predicted_risk(shares / shares.sum() * budget)),
                **rates.summarize("risk", risk),
            }
        )
    return rows


def over_l1(risk: Any, pairs: int) -> float:
    """A risk or bound over the risk of L1, both without a floor."""
    tasks = instances.spike_and_pairs(pairs, dimension=DIMENSION)
    world: Any = {"heads": tasks.heads, "target": tasks.target, "dimension": DIMENSION}
    return float(risk(1, **world) / bounds.l1_risk(1, **world))


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, (panel,) = plotting.panels(1, 1, width=4.5, height=3.8)
    curves = rates.group(rates.average_blocks(rows, "risk"), "rule")
    base = {row["tasks"]: row for row in curves["l1"]}
    plotting.loglog(panel, x="source tasks M", y="risk / risk of L1")
    for rule in ("uniform", "l2"):
        m, risk, se = (np.array([row[key] for row in curves[rule]], float) for key in COLUMNS)
        one = [base[int(t)] for t in m]
        ratio = risk / np.array([row["risk"] for row in one])
        error = ratio * np.hypot(se / risk, [row["risk_se"] / row["risk"] for row in one])
        plotting.curve(panel, m, ratio, se=error, rule=rule)
        color = plotting.RULES[rule][1]
        predicted, limit = (
            np.array([row[key] for row in curves[rule]]) / np.array([row[key] for row in one])
            for key in ("predicted", "predicted_without_floor")
        )
        plotting.theorem(panel, m, predicted, color=color, label=f"{plotting.RULES[rule][0]}, predicted")
        if rule == "uniform":
            limit = np.array([over_l1(bounds.uniform_risk, row["pairs"]) for row in one])
        panel.plot(m, limit, color=plotting.COLORS[color], linewidth=0.8)
        name = r"$\sqrt{M}$" if rule == "uniform" else r"$(\sqrt{M}+1)/2$"
        look: dict[str, Any] = {"textcoords": "offset points", "color": plotting.COLORS[color], "fontsize": 8}
        panel.annotate(name, (m[-2], limit[-2]), (-26, 6) if rule == "uniform" else (4, -22), **look)
    bound = [over_l1(bounds.l2_bound, row["pairs"]) for row in one]
    plotting.theorem(panel, m, bound, color="black", label="L2, upper bound")
    panel.axhline(1.0, color=plotting.COLORS["blue"], label="L1")
    legend_above(figure, panel, last=["predicted", "bound"])
    plotting.caption(
        figure,
        f"Spike and pairs (our construction), d = {DIMENSION}, k = 2, relevance known. Points: Monte Carlo, bars of "
        f"two standard errors; every task has {FLOOR} rows at least, a tenth of the budget in all. Dashed: leading "
        "order of the same allocation; thin: without that floor. The bound of L2 is the line of uniform. All "
        "derived by us.",
    )
    return figure


COLUMNS = ("tasks", "risk", "risk_se")
