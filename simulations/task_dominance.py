"""How much better the L1 rule is than L2 and uniform, against the number of tasks M, on the spike and pairs.

One task is the target itself, and pairs of other tasks contain a small part of it: the relevance of minimum Euclidean
norm spreads over all M tasks, that of minimum L1 norm is on the one task. The construction is ours, not the paper's.
The relevance is known; every task gets a floor of rows, together a tenth of the budget.

See also `pessimism.tasks.bounds.l1_risk`, `pessimism.tasks.bounds.uniform_risk`,
`pessimism.tasks.instances.spike_and_pairs_ratio`.
"""

from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.tasks import allocate, bounds, fixed, instances, min_l1, min_l2

from ._grid import cells

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


def uniform_over_l1(pairs: int) -> float:
    """Ratio of the two risks without a floor."""
    tasks = instances.spike_and_pairs(pairs, dimension=DIMENSION)
    world: Any = {"heads": tasks.heads, "target": tasks.target, "dimension": DIMENSION}
    return float(bounds.uniform_risk(1, **world) / bounds.l1_risk(1, **world))


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, (left, right) = plotting.panels(1, 2, width=8.4, height=3.5)
    curves = rates.group(rates.average_blocks(rows, "risk"), "rule")
    base = {row["tasks"]: row for row in curves["l1"]}
    for rule, points in curves.items():
        m, risk, se, budget = (np.array([row[key] for row in points], float) for key in COLUMNS)
        color = plotting.RULES[rule][1]
        predicted, limit = (np.array([row[key] for row in points]) for key in ("predicted", "predicted_without_floor"))
        scale = budget / (DIMENSION - 2)
        plotting.curve(right, m, risk * scale, se=se * scale, rule=rule)
        plotting.theorem(right, m, predicted * scale, color=color)
        if rule != "l1":
            one = [base[int(t)] for t in m]
            ratio = risk / np.array([row["risk"] for row in one])
            error = ratio * np.hypot(se / risk, [row["risk_se"] / row["risk"] for row in one])
            plotting.curve(left, m, ratio, se=error, rule=rule)
            plotting.theorem(left, m, predicted / np.array([row["predicted"] for row in one]), color=color)
            exact, name = limit / np.array([row["predicted_without_floor"] for row in one]), r"$(\sqrt{M}+1)/2$"
            if rule == "uniform":
                exact, name = np.array([uniform_over_l1(row["pairs"]) for row in one]), r"$\sqrt{M}$, also L2's bound"
            left.plot(m, exact, color=plotting.COLORS[color], linewidth=0.9, label=f"no floor: {name}")
    plotting.loglog(left, x="source tasks M", y="risk / risk of L1")
    plotting.loglog(right, x="source tasks M", y=r"risk $\times N\,/\,\sigma^2(d-k)$")
    left.legend()
    right.legend()
    plotting.caption(
        figure,
        f"Spike and pairs (our construction), d = {DIMENSION}, k = 2, relevance known. Points: Monte Carlo with two "
        f"standard errors, every task has {FLOOR} rows at least, a tenth of the budget in all.",
        "Dashed: leading-order risk of the same allocation, thin lines: its limit without a floor, both derived by us.",
    )
    return figure


COLUMNS = ("tasks", "risk", "risk_se", "budget")
