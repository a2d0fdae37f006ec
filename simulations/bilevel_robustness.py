"""Which methods diverge: final gradient over step size x distance of the start, on problems of unbounded smoothness.

Cosh and quartic upper levels over a quadratic lower level: their curvature grows without limit, so that a step that is
safe near the solution diverges from far away. Normalised steps have a given length, and no run with them diverges
here. They do not end at smaller gradients, though: MA-SOBA at its best step is a serious rival, and clipped
MA-SOBA, which the papers do not run, is the one to beat. The falling step of BO-REP is ours; against the constant one
of its paper MA-SOBA, whose step is constant, ends lower from fewer starts. Oracles are exact, budgets equal. A run
whose normalised steps circle the solution amplifies its last bit: such rows are those of one processor.

See also `pessimism.bilevel.minimize_bilevel`, `pessimism.bilevel.problems.Cosh`, `pessimism.bilevel.problems.Quartic`.
"""

from typing import Any

import numpy as np

from pessimism import plotting
from pessimism.bilevel import minimize_bilevel
from pessimism.bilevel.problems import Cosh, Quartic

from ._grid import cells

VERSION = 2
ROUNDING_FLOOR = 1e-13  # a gradient of entries near 1 is not known to be smaller
LAST_BIT = "normalised steps circle the solution and amplify it"
DIMENSIONS = (5, 8)
BUDGET = 20_000
PROBLEMS: dict[str, Any] = {"cosh": Cosh, "quartic": Quartic}
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "SOBA": ("soba", {"decay": 0.5}),
    "MA-SOBA": ("ma-soba", {}),
    "clipped MA-SOBA": ("ma-soba", {"clip": 1.0}),
    "StocBiO": ("stocbio", {}),
    "BO-REP, constant step": ("bo-rep", {"decay": 0.0}),
    "BO-REP": ("bo-rep", {}),
}
STEPS = {"quick": [10.0**k for k in range(-4, 1)], "full": [10.0 ** (k / 2) for k in range(-10, 3)]}
DISTANCES = {"quick": (1, 3, 6, 10, 14), "full": (0.5, 1, 2, 3, 4, 6, 8, 10, 14)}
GRID = {
    profile: cells(problem=PROBLEMS, method=METHODS, step=STEPS[profile], distance=DISTANCES[profile])
    for profile in ("quick", "full")
}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Norm of the exact gradient at the end, relative to the start of distance 1; rng unused: oracles are exact."""
    problem = PROBLEMS[cell["problem"]].random(*DIMENSIONS, rng=0)
    signs = np.where(np.arange(problem.dim_x) % 2, -1.0, 1.0)
    method, options = METHODS[cell["method"]]
    result = minimize_bilevel(
        problem, cell["distance"] * signs, method=method, budget=BUDGET, exact=True, rng=0, step=cell["step"], **options
    )
    near = float(np.linalg.norm(problem.gradient(signs)))
    end = float(result.history["gradient_norm"][-1])
    return {"risk": end / near if np.isfinite(end) else float("inf"), "status": result.status.name}


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plotting.panels(2, len(METHODS), width=12.5, height=2.4, sharey=True)
    steps, distances = (sorted({row[key] for row in rows}) for key in ("step", "distance"))
    at = {(row["problem"], row["method"], row["step"], row["distance"]): row for row in rows}
    for line, problem in enumerate(PROBLEMS):
        for column, method in enumerate(METHODS):
            panel = axes[line * len(METHODS) + column]
            cells = [[at[problem, method, step, distance] for step in steps] for distance in distances]
            shown = [[exponent(cell) for cell in line] for line in cells]
            image = plotting.heatmap(panel, steps, distances, shown, cmap=plotting.sequential(), vmin=-4, vmax=1)
            for (i, j), value in np.ndenumerate(np.array(shown)):
                text = "×" if np.isnan(value) else str(round(value))
                panel.text(
                    j, i, text, ha="center", va="center", fontsize=6.5, color="white" if value < -1.5 else "black"
                )
            powers = [np.log10(step) for step in steps]
            panel.set_xticks(range(len(steps)), [f"$10^{{{p:.0f}}}$" if p.is_integer() else "" for p in powers])
            panel.set_title(f"{problem}: {method}", loc="left", fontsize=8)
            panel.set_xlabel("step")
        axes[line * len(METHODS)].set_ylabel("start: distance of every entry")
    figure.colorbar(image, ax=axes, shrink=0.6, pad=0.01, label="log10 of the final gradient / that at distance 1")
    plotting.caption(
        figure,
        f"Exact: gradient of F at the last iterate, exact oracles, {BUDGET:,} calls for every run, "
        f"dx = {DIMENSIONS[0]}, dy = {DIMENSIONS[1]}, steps on y and z by ten power iterations. "
        "Cross: diverged. -12: that or less.",
        "Steps on x fall as 1/sqrt(t) for SOBA, and for BO-REP, which is ours; the others are constant, and BO-REP's "
        "then ends in a cycle whose size is a multiple of the step. StocBiO stops at its truncation bias.",
        "No run with normalised or clipped steps diverges, but normalising buys no lower end: at its best step "
        f"{ahead(rows)}.",
    )
    return figure


def ahead(rows: list[dict[str, Any]]) -> str:
    """Where MA-SOBA, plain or clipped, ends lower than BO-REP with either step, all at their best steps."""
    best: dict[tuple[str, str, float], float] = {}
    for row in rows:
        key = (row["problem"], row["method"], row["distance"])
        value = exponent(row)
        best[key] = min(best.get(key, np.inf), np.inf if np.isnan(value) else value)
    starts = [(problem, distance) for problem, method, distance in best if method == "BO-REP"]
    plain, clipped = (
        [sum(best[p, rival, d] < best[p, ours, d] for p, d in starts) for ours in ("BO-REP", "BO-REP, constant step")]
        for rival in ("MA-SOBA", "clipped MA-SOBA")
    )
    return (
        f"plain MA-SOBA is below BO-REP at its own from {plain[0]} of {len(starts)} starts ({plain[1]} where BO-REP's "
        f"is constant, as in its paper), clipped from {clipped[0]} ({clipped[1]})"
    )


def exponent(cell: dict[str, Any]) -> float:
    """log10 of the final gradient; NaN if the run diverged."""
    if cell["status"] == "DIVERGED" or not np.isfinite(float(cell["risk"])):
        return float("nan")
    return float(np.log10(max(float(cell["risk"]), 1e-12)))
