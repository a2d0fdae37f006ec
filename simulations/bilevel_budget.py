"""Gradient norm against oracle calls for every method on every built-in problem, steps tuned on seeds of their own.

Each method gets one tuned number, its step on x; steps on y and z are one over the curvature of the lower level at the
start. The metric is the norm of the exact gradient of F, evaluated outside the count.
"""

from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bilevel import minimize_bilevel
from pessimism.bilevel.problems import (
    Cosh,
    HyperCleaning,
    HyperRepresentation,
    PessimismTuning,
    Quadratic,
    Quartic,
    Ridge,
)

VERSION = 1
RECORDS = 20
PROBLEMS: dict[str, tuple[Any, float]] = {  # an instance, and the entries of the start
    "quadratic": (lambda: Quadratic.random(5, 8, rng=0), 2.0),
    "cosh": (lambda: Cosh.random(5, 8, rng=0), 5.0),
    "quartic": (lambda: Quartic.random(5, 8, rng=0), 3.0),
    "ridge": (lambda: Ridge.random(rng=0), 0.0),
    "cleaning": (lambda: HyperCleaning.random(rng=0), 0.0),
    "representation": (lambda: HyperRepresentation.random(rng=0), 0.3),
    "tuning": (lambda: PessimismTuning.random(rho=0.01, rng=0), 0.0),
}
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "bo-rep": ("bo-rep", {}),
    "slip": ("slip", {}),
    "soba": ("soba", {}),
    "ma-soba": ("ma-soba", {}),
    "amigo": ("amigo", {"inner_steps": 5, "terms": 5}),
    "stocbio": ("stocbio", {"inner_steps": 5, "terms": 5}),
    "ttsa": ("ttsa", {}),
}
STEPS = [10.0 ** (k / 2) for k in range(-6, 3, 2)]
GRID = {
    profile: [
        {"problem": problem, "method": method, "budget": budget, "tuning": tuning, "replicates_per_block": runs}
        for problem in PROBLEMS
        for method in METHODS
    ]
    for profile, budget, tuning, runs in (("quick", 5_000, 2, 5), ("full", 100_000, 5, 50))
}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Best step on the tuning seeds, then quantiles of the gradient's norm along the runs on other seeds."""
    make, entry = PROBLEMS[cell["problem"]]
    problem = make()
    start = np.where(np.arange(problem.dim_x) % 2, -entry, entry)
    scores = []
    for step in STEPS:
        ends = [curve(problem, start, cell, step, rng)[-2:].mean() for _ in range(cell["tuning"])]
        scores.append(float(np.median(ends)))
    best = STEPS[int(np.argmin(scores))]
    runs = np.array([curve(problem, start, cell, best, rng) for _ in range(cell["replicates_per_block"])])
    low, middle, high = (np.quantile(runs, q, axis=0, method="nearest") for q in (0.1, 0.5, 0.9))
    return {
        "step": best,
        "risk": finite(middle),
        "low": finite(low),
        "high": finite(high),
        "cost": (np.arange(1, RECORDS + 1) * cell["budget"] / RECORDS).tolist(),
        "diverged": float(np.isinf(runs[:, -1]).mean()),
        "diverged_steps": int(np.isinf(scores).sum()),
    }


def curve(problem: Any, start: Any, cell: dict[str, Any], step: float, rng: np.random.Generator) -> Any:
    """Exact gradient norms at equal distances of the budget; inf after a divergence."""
    method, options = METHODS[cell["method"]]
    every = max(cell["budget"] // (RECORDS * (25 if "terms" in options else 8)), 1)  # outer steps: finer than the curve
    result = minimize_bilevel(
        problem, start, method=method, budget=cell["budget"], rng=rng, step=step, record=every, **options
    )
    cost, norms = result.history["cost"], result.history["gradient_norm"]
    if result.status.name == "DIVERGED":
        norms = np.where(np.arange(len(norms)) == len(norms) - 1, np.inf, norms)
    places = np.searchsorted(cost, np.arange(1, RECORDS + 1) * cell["budget"] / RECORDS, side="right") - 1
    return np.where(np.isfinite(norms), norms, np.inf)[places]


def finite(values: Any) -> list[Any]:
    return [float(value) if np.isfinite(value) else None for value in values]


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plotting.panels(2, 4, width=12.0, height=2.9)
    for panel, (problem, here) in zip(axes, rates.group(rows, "problem").items(), strict=False):
        for row in here:
            name, color, _ = plotting.RULES[row["method"]]
            cost, middle, low, high = (
                np.array([np.nan if v is None else v for v in row[key]], float)
                for key in ("cost", "risk", "low", "high")
            )
            panel.plot(cost, middle, color=plotting.COLORS[color], linewidth=1.3, label=name)
            panel.fill_between(cost, low, high, color=plotting.COLORS[color], alpha=0.12, linewidth=0)
        panel.set_yscale("log")
        panel.set_ylim(bottom=max(panel.get_ylim()[0], 1e-8))
        panel.set_title(problem, loc="left")
        panel.set_xlabel("oracle calls")
    for panel in (axes[0], axes[4]):
        panel.set_ylabel("norm of the exact gradient")
    axes[7].axis("off")
    axes[7].legend(*axes[0].get_legend_handles_labels(), loc="upper left", fontsize=8)
    runs = rows[0]["replicates_per_block"]
    plotting.caption(
        figure,
        f"Medians and 10 to 90 % of {runs} runs, sampled oracles; the step on x is the best of {len(STEPS)} on seeds "
        "of its own. Missing ends: more than half of the runs diverged.",
        "Normalised methods with a step that falls as 1/sqrt(t), which is ours. Tuning: exact, our own problem.",
    )
    return figure
