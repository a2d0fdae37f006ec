"""Unknown relevance: L1 and L2 against uniform, over the share spent on exploration and the number of target rows.

The budget is spent in two phases: the first is divided evenly, the second by the relevance estimated from the first;
the rows of both are fitted together. With little exploration the Lasso concentrates on wrong tasks and loses, and with
hardly more target rows than k the relevance cannot be estimated. The floor is one row a task. On another processor a
fit may end a step sooner or later, which changes a risk by up to 2e-9 of itself.

See also `pessimism.tasks.a_mtrl`, `pessimism.tasks.l1_a_mtrl`, `pessimism.tasks.bounds.l1_a_mtrl_order`,
`pessimism.tasks.instances.spike_and_pairs`.
"""

from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.tasks import a_mtrl, l1_a_mtrl, passive

from ._grid import cells
from .task_budget import DIMENSION, WORLDS, make

VERSION = 1
LAST_BIT = "it decides after which step a fit ends"
ROWS_PER_TASK = 240  # the budget over M
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
TARGET_ROWS = (5, 10, 30, 120, 2000)
GRID = {
    profile: cells(
        world=sorted(WORLDS),
        share=SHARES,
        n_target=TARGET_ROWS,
        replicates_per_block=[r],
        block=range(blocks),
    )
    for profile, blocks, r in (("quick", 1, 100), ("full", 10, 200))
}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Risk of the representation for the adaptive rules and for uniform; the rules have the same target rows."""
    tasks = make(cell["world"])
    target = tasks.sample_target(cell["n_target"], size=cell["replicates_per_block"], rng=rng)
    total = ROWS_PER_TASK * tasks.n_tasks
    first = round(cell["share"] * total)
    phases: Any = {"k": tasks.rank, "budgets": [first, total - first], "floor": 1}
    seed = int(rng.integers(2**62))  # common random numbers: the first phase of both rules is the same
    runs = {
        "l1": l1_a_mtrl(tasks, target, **phases, rng=seed),
        "l2": a_mtrl(tasks, target, **phases, rng=seed),
        "uniform": passive(tasks, target, k=tasks.rank, budget=total, rng=rng),
    }
    rows = []
    for rule, run in runs.items():
        assert run.representation is not None
        rows.append({"rule": rule, **rates.summarize("risk", tasks.representation_risk(run.representation.basis))})
    return rows


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plotting.panels(2, 2, width=4.5, height=1.9, sharey=True)
    averaged = rates.average_blocks(rows, "risk")
    at = {(row["world"], row["rule"], row["share"], row["n_target"]): row for row in averaged}
    shares, sizes = (sorted({row[key] for row in averaged}) for key in ("share", "n_target"))
    shown = [(other, world) for other in ("uniform", "l2") for world in sorted({row["world"] for row in averaged})]
    for panel, (other, world) in zip(axes, shown, strict=True):
        mine, theirs = ([[at[world, rule, share, n] for share in shares] for n in sizes] for rule in ("l1", other))
        ratio, noise = compare(mine, theirs)
        image = plotting.heatmap(panel, shares, sizes, np.log2(ratio), cmap=plotting.diverging(), vmin=-2, vmax=2)
        unclear = np.nonzero(abs(ratio - 1) <= 2 * noise)
        panel.plot(unclear[1], unclear[0], "x", color="0.3", markersize=4)
        panel.set_title(f"L1 / {plotting.RULES[other][0]}, {world}", loc="left")
        panel.set_xticks(range(len(shares)), [f"{100 * share:g}" for share in shares])
        panel.set_yticks(range(len(sizes)), [f"{n:,}" for n in sizes])
        if other == "l2":
            panel.set_xlabel("budget in phase 1 (%)")
    axes[0].set_ylabel("target rows")
    axes[2].set_ylabel("target rows")
    bar = figure.colorbar(image, ax=axes, location="top", aspect=40, ticks=[-2, -1, 0, 1, 2])
    bar.ax.set_xticklabels(["1/4", "1/2", "1", "2", "4"])
    bar.set_label("risk of L1 / risk of the other (red: L1 loses)")
    plotting.caption(
        figure,
        f"Risk of the representation, d = {DIMENSION}, noise 1, {ROWS_PER_TASK} rows a task in all, two phases fitted "
        "together; Lasso at 0.01 of its largest penalty; floor: one row. Means over Monte Carlo runs; crosses: within "
        "two standard errors of 1.",
    )
    return figure


def compare(mine: Any, theirs: Any) -> tuple[Any, Any]:
    """Ratios of the mean risks and their standard errors, as if the two were independent."""
    risk, other = (np.array([[row["risk"] for row in line] for line in table]) for table in (mine, theirs))
    error, other_error = (np.array([[row["risk_se"] for row in line] for line in table]) for table in (mine, theirs))
    return risk / other, risk / other * np.hypot(error / risk, other_error / other)
