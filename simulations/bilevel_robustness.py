"""Who diverges where: the largest safe step and the lowest end from near and far, under unbounded smoothness.

Cosh and quartic upper levels over a quadratic lower level: their curvature grows without limit, so that a step that is
safe near the solution diverges from far away. Normalised steps have a given length, and no run with them diverges
here. They do not end at smaller gradients, though: MA-SOBA at its best step is a serious rival, and clipped
MA-SOBA, which the papers do not run, is the one to beat. The falling step of BO-REP is ours; against the constant one
of its paper MA-SOBA, whose step is constant, ends lower from fewer starts. Oracles are exact, budgets equal. A run
whose normalised steps circle the solution amplifies its last bit: such rows are those of one processor.

See also `pessimism.bilevel.minimize_bilevel`, `pessimism.bilevel.problems.Cosh`, `pessimism.bilevel.problems.Quartic`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bilevel import minimize_bilevel
from pessimism.bilevel.problems import Cosh, Quartic

from ._grid import cells
from ._words import legend_above

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
LOOKS: dict[str, dict[str, Any]] = {
    "BO-REP": {"rule": "bo-rep"},
    "BO-REP, constant step": {"rule": "bo-rep", "label": "BO-REP, constant step", "color": "sky", "marker": "v"},
    "clipped MA-SOBA": {"rule": "clipped-ma-soba"},
    "MA-SOBA": {"rule": "ma-soba"},
    "SOBA": {"rule": "soba"},
    "StocBiO": {"rule": "stocbio"},
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
    figure, axes = plotting.panels(2, 2, width=4.5, height=2.5)
    steps = sorted({row["step"] for row in rows})
    for column, problem in enumerate(PROBLEMS):
        above, below = axes[column], axes[2 + column]
        for place, (method, look) in enumerate(LOOKS.items()):
            own = [row for row in rows if (row["problem"], row["method"]) == (problem, method)]
            starts = rates.group(own, "distance")
            safe = [largest_step(runs, steps[0] / 10) for runs in starts.values()]
            lowest = [10 ** float(np.nanmin([1.0, *map(exponent, runs)])) for runs in starts.values()]
            x = np.array(list(starts), float)
            plotting.curve(above, x, np.array(safe) * 1.18 ** (len(LOOKS) - 1 - place), **look)
            plotting.curve(below, x, lowest, **look)
        for panel in (above, below):
            panel.set_yscale("log")
            panel.set_xticks(sorted({row["distance"] for row in rows}))
        above.set_title(problem, loc="left")
        above.set_yticks([steps[0] / 10, *steps[::2]], ["none", *map(plotting.power_label, steps[::2])])
        below.set_xlabel("distance of the start")
        below.set_ylim(1e-13, 30)
    axes[0].set_ylabel("largest step that\nnever diverges")
    axes[2].set_ylabel("final gradient\nat the best step")
    legend_above(figure, axes[0])
    plotting.caption(
        figure,
        "Exact: gradient of F at the last iterate over that at distance 1, 1e-12 for that or less; exact oracles, "
        f"{BUDGET:,} calls for every run, dx = {DIMENSIONS[0]}, dy = {DIMENSIONS[1]}. Above: of the steps tried, moved "
        "apart where curves coincide. Steps on x fall as 1/sqrt(t) for SOBA and BO-REP, whose fall is ours; the others "
        "are constant. No run with normalised or clipped steps diverges here, but that does not buy a lower end: "
        f"{ahead(rows)}.",
    )
    return figure


def largest_step(runs: Sequence[Mapping[str, Any]], none: float) -> float:
    """Largest step up to which no run from a start diverged; `none` if the smallest did."""
    diverged = [row["step"] for row in runs if np.isnan(exponent(row))]
    return max((row["step"] for row in runs if row["step"] < min(diverged, default=np.inf)), default=none)


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


def exponent(cell: Mapping[str, Any]) -> float:
    """log10 of the final gradient; NaN if the run diverged."""
    if cell["status"] == "DIVERGED" or not np.isfinite(float(cell["risk"])):
        return float("nan")
    return float(np.log10(max(float(cell["risk"]), 1e-12)))
