"""Risk against the budget N for L1, L2, uniform, the optimal design and the target alone, beside the leading order.

The relevance is known, so that the rules differ only in their allocation. There are two families of tasks: the spike
and pairs, our construction that separates the rules, and random unit tasks, where little can be gained.

See also `pessimism.tasks.LinearTasks.predicted_risk`, `pessimism.tasks.bounds.target_only_risk`,
`pessimism.tasks.bounds.target_term`, `pessimism.tasks.designs.c_optimal`,
`pessimism.tasks.instances.spike_and_pairs`.
"""

from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.tasks import LinearTasks, allocate, bounds, designs, fixed, instances, min_l1, min_l2, target_only

from ._grid import cells
from ._words import legend_above, signed, tell

VERSION = 1
DIMENSION = 20
FLOOR = 3 * DIMENSION
TARGET_ROWS = 100
WORLDS = {"spike and pairs": "M = 41, k = 2", "random tasks": "M = 20, k = 3"}
SIZES = (3000, 10_000, 30_000, 100_000, 300_000)
GRID = {
    profile: cells(world=WORLDS, n=SIZES, replicates_per_block=[r], block=range(blocks))
    for profile, blocks, r in (("quick", 2, 100), ("full", 10, 200))
}


def make(world: str) -> LinearTasks:
    if world == "spike and pairs":
        return instances.spike_and_pairs(20, dimension=DIMENSION)
    return instances.random_gaussian(3, 20, dimension=DIMENSION, rng=1)


def allocations(tasks: LinearTasks, budget: int) -> dict[str, Any]:
    """What every rule buys, all with the same floor and the same total."""
    least, shortest = min_l1(tasks.heads, tasks.target), min_l2(tasks.heads, tasks.target)
    design = designs.c_optimal(tasks.heads, tasks.target, floor=FLOOR / budget)
    return {
        "uniform": allocate(least, budget, power=0),
        "l2": allocate(shortest, budget, power=2, floor=FLOOR),
        "l2_not_squared": allocate(shortest, budget, floor=FLOOR),
        "optimal_design": allocate(design.shares, budget, floor=FLOOR),
        "l1": allocate(least, budget, floor=FLOOR),
    }


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Risk of the representation and of the decision for every rule, with the leading-order predictions."""
    tasks = make(cell["world"])
    target = tasks.sample_target(TARGET_ROWS, size=cell["replicates_per_block"], rng=rng)
    rows: list[dict[str, Any]] = []
    for rule, n in allocations(tasks, cell["n"]).items():
        run = fixed(tasks, target, k=tasks.rank, n=n, rng=rng)
        assert run.representation is not None
        rho = tasks.representation_risk(run.representation.basis)
        rows += [
            measured(rule, "representation", rho, tasks.predicted_risk(n)),
            measured(rule, "decision", run.risk, tasks.predicted_risk(n, TARGET_ROWS)),
        ]
    alone = target_only(tasks, target)
    return [*rows, measured("target_only", "decision", alone.risk, bounds.target_only_risk(TARGET_ROWS, DIMENSION))]


def measured(rule: str, of: str, risk: Any, predicted: Any) -> dict[str, Any]:
    return {"rule": rule, "of": of, "predicted": float(predicted), **rates.summarize("risk", risk)}


def slope_note(points: Any) -> str:
    """Local slope over the last decade: floors bend the curves before that, so one slope of all would mean nothing."""
    last = points[-1]
    first = next(row for row in points if 10 * row["n"] >= last["n"])
    if first is last:
        return "no slope"
    ends = (first, last)
    measured, predicted = (
        rates.local_slopes([row["n"] for row in ends], [row[key] for row in ends])[0] for key in ("risk", "predicted")
    )
    error = 2 * np.hypot(*(row["risk_se"] / row["risk"] for row in ends)) / np.log(last["n"] / first["n"])
    return f"slope {signed(measured)} ± {error:.2f} ({signed(predicted)})"


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plotting.panels(2, 2, width=4.5, height=2.3)
    averaged = rates.group(rates.average_blocks(rows, "risk"), "world", "of")
    shown = [(world, of) for of in ("representation", "decision") for world in WORLDS]
    for panel, (world, of) in zip(axes, shown, strict=True):
        for rule, points in rates.group(averaged[world, of], "rule").items():
            n, risk, se, predicted = ([row[key] for row in points] for key in ("n", "risk", "risk_se", "predicted"))
            plotting.curve(panel, n, risk, se=se, rule=rule)
            plotting.theorem(panel, n, predicted, color=plotting.RULES[rule][1])
            if of == "representation" and rule == "l1":
                tell(panel, [(0.0, slope_note(points), rule)])
                panel.set_ylim(1e-5, 0.1)
                panel.set_yticks([1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
        title = f"{world}\n{WORLDS[world]}" if of == "representation" else ""
        plotting.loglog(panel, x="", y="", title=title)
        if of == "decision":
            panel.set_xlabel("budget N (rows)")
            least = bounds.target_term(TARGET_ROWS, make(world).rank)
            plotting.theorem(panel, n, np.full(len(n), least), color="purple", label="target's head only")
            panel.set_yticks([0.02, 0.05, 0.1, 0.2, 0.3], ["0.02", "0.05", "0.1", "0.2", "0.3"])
            panel.set_yticks([], minor=True)
    axes[0].set_ylabel("risk of the\nrepresentation")
    axes[2].set_ylabel("risk of the\ndecision")
    legend_above(figure, axes[2], last=["head"])
    plotting.caption(
        figure,
        f"d = {DIMENSION}, noise 1, {FLOOR} rows of every task at least, inside N; target rows {TARGET_ROWS}. Points: "
        "Monte Carlo, bars of two standard errors. Dashed, derived by us: leading-order risk of the same allocation, "
        "low where floors of three d rows matter, and the cost of the target's head on a perfect representation. "
        "Slope: L1's over the last decade, in brackets that of its dashed line. The optimal design knows the floor, L1 "
        "does not: their curves lie on each other.",
    )
    return figure
