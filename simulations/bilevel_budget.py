"""Gradient norm against oracle calls for every method on every built-in problem, steps tuned on separate seeds.

One option of each method is tuned, its step on x; the others are the defaults of the library, with steps on y and z of
one over the curvature of the lower level at the start, which is given. Every step of the grid is tried on one tuning
seed, and the best two on the other tuning seeds. The metric is the norm of the exact gradient of F, whose evaluations
are not counted. A method is judged by the mean over the last tenth of the budget; the rows also hold the mean over the
whole run.

Every problem is a finite sum, and the unit of cost is a call on one batch. A call on the whole sum, as AID-CG and ITD
make it, costs the number of terms over the batch size. A call of SABA, also one that fills its tables, looks at one
term and costs one over the batch size; its steps on y and z are a third of one over the curvature of the steepest term.
The problem "tuning", our own, is a sum of one term without noise. BO-REP, SLIP and AccBO have a step that falls as
1/sqrt(t), which is ours.

A run diverges when its gradient is not finite or exceeds 1,000 times that at the start; in the figure, a method whose
median run diverges stands at the right edge. SABA needs finite sums: it keeps their terms in tables, so that its noise
vanishes. The rows also hold how many of the reported runs diverged.

A run that diverges amplifies its last bit and ends after more or fewer draws on another processor, which changes what
is drawn later in its cell; the conjugate gradients of AID-CG stop at rounding, one product sooner or later.

See also `pessimism.bilevel.minimize_bilevel`, `pessimism.bilevel.problems`.
"""

import math
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from pessimism import plotting
from pessimism.bilevel import BilevelResult, minimize_bilevel, problems
from pessimism.bilevel.minimize import METHODS
from pessimism.bilevel.problem import KINDS

from ._grid import cells

VERSION = 2
LAST_BIT = "a run that diverges amplifies it and draws more or less, conjugate gradients stop by it"
SUM: dict[str, int] = {"n_samples": 256, "batch": 16}
PROBLEMS: dict[str, tuple[Callable[[], Any], float, float]] = {  # an instance, the entries of the start, unit of steps
    "quadratic": (lambda: problems.Quadratic.random(5, 8, **SUM, rng=0), 2.0, 1.0),
    "cosh": (lambda: problems.Cosh.random(5, 8, **SUM, rng=0), 5.0, 1.0),
    "quartic": (lambda: problems.Quartic.random(5, 8, **SUM, rng=0), 3.0, 1.0),
    "ridge": (lambda: problems.Ridge.random(batch=16, rng=0), 0.0, 1.0),
    "cleaning": (
        lambda: problems.HyperCleaning.random(batch=16, rng=0),
        0.0,
        10.0**1.5,
    ),  # a weight's slope is one of 100 terms
    "representation": (lambda: problems.HyperRepresentation.random(batch=16, rng=0), 0.3, 1.0),
    "tuning": (lambda: problems.PessimismTuning.random(rho=0.01, rng=0), 0.0, 1.0),
}
GROUPS = (  # normalised; single loops; double loops; recursive momentum; first order; calls on the whole sum
    ("bo-rep", "slip", "accbo"),
    ("soba", "saba", "ma-soba", "clipped-ma-soba"),
    ("amigo", "stocbio", "bsa", "ttsa"),
    ("sustain", "mrbo"),
    ("f2sa",),
    ("aid-cg", "itd"),
)
SHOWN = ("bo-rep", "slip", "accbo", "soba", "ma-soba", "clipped-ma-soba", "saba")
ENDS = (-6.0, 0.5)  # exponents between which ends are drawn
LOW, HIGH = -2.5, 1.0  # exponents of the first and the last step, in the problem's unit
FINALISTS = 2  # steps that are tried on all tuning seeds; the others on the first
BLOWN_UP = 1e3  # a gradient this many times larger than at the start counts as divergence
GRID = {
    profile: [cell | sizes for cell in cells(problem=PROBLEMS, method=chain(*GROUPS))]
    for profile, sizes in {
        "quick": {"budget": 4_000, "per_decade": 2, "tuning": 3, "replicates_per_block": 5, "records": 10},
        "full": {"budget": 50_000, "per_decade": 4, "tuning": 5, "replicates_per_block": 30, "records": 40},
    }.items()
}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Best step on the tuning seeds, then quantiles of the gradient's norm along the runs on other seeds."""
    make, entry, unit = PROBLEMS[cell["problem"]]
    problem = make()
    start = np.where(np.arange(problem.dim_x) % 2, -entry, entry)
    begin, budget = float(np.linalg.norm(problem.gradient(start))), cell["budget"]
    solve = partial(
        minimize_bilevel, problem, start, budget=budget, rng=rng, **arguments(problem, start, cell["method"])
    )
    steps = unit * 10.0 ** np.linspace(LOW, HIGH, round((HIGH - LOW) * cell["per_decade"]) + 1)
    outer = solve(step=0.0, record=10**9).nit  # number of outer steps within the budget

    def norms(step: float, records: float, grid: Any) -> Any:
        return curve(solve(step=step, record=max(math.ceil(outer / records), 1)), grid, BLOWN_UP * begin)

    end = budget * np.array([0.9, 1.0])
    place, scores = tune(lambda step: float(norms(step, 1 / 0.9, end).mean()), steps, cell["tuning"])
    best = float(steps[place])
    grid = budget * np.arange(cell["records"] + 1) / cell["records"]
    runs = np.array([norms(best, cell["records"], grid) for _ in range(cell["replicates_per_block"])])
    low, middle, high = (np.quantile(runs, q, axis=0, method="nearest") for q in (0.1, 0.5, 0.9))
    last = runs[:, grid >= end[0]].mean(axis=1)
    return {
        "step": best,
        "steps": len(steps),
        "at_edge": int(place in (0, len(steps) - 1)),
        "diverged": float(np.isinf(last).mean()),
        "diverged_steps": int(np.isinf(scores).sum()),
        "cost": grid.tolist(),
        "risk": middle.tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
        "risk_start": begin,
        "risk_end": float(np.quantile(last, 0.5, method="nearest")),
        "risk_average": float(np.quantile(runs.mean(axis=1), 0.5, method="nearest")),
    }


def tune(score: Callable[[float], float], steps: Any, seeds: int) -> tuple[int, Any]:
    """Index of the best step, and all scores: every step is tried on one seed, the best few on all seeds."""
    scores = np.array([score(step) for step in steps])
    finalists = np.argsort(scores, kind="stable")[:FINALISTS]
    for i in finalists:
        scores[i] = np.mean([scores[i], *(score(steps[i]) for _ in range(seeds - 1))])
    return int(finalists[np.argmin(scores[finalists])]), scores


def arguments(problem: Any, start: Any, name: str) -> dict[str, Any]:
    """Method, prices of its calls and steps on y and z."""
    method = name.removeprefix("clipped-")
    lower, costs = 1.0 / problem.curvature(start)[1], dict.fromkeys(KINDS, 1.0)
    if method in ("aid-cg", "itd"):
        costs = dict.fromkeys(KINDS, problem.n_samples / problem.batch)
        costs["grad_f"] = problem.n_samples_f / problem.batch
    if method == "saba":
        lower, costs = 1.0 / (3.0 * steepest(problem, start)), dict.fromkeys(KINDS, 1.0 / problem.batch)
    named = ("lower_step", "z_step", "w_step", "epoch_step", "warm_step")
    options = {option: lower for option in named if option in METHODS[method].options}
    return {"method": method, "costs": costs, **options} | ({"clip": 1.0} if method != name else {})


def steepest(problem: Any, x: Any) -> float:
    """Largest curvature in y, at y = 0, of a single term of g."""
    y, basis = np.zeros(problem.dim_y), np.eye(problem.dim_y)
    handles = (np.full(problem.batch, i) for i in range(problem.n_samples))
    return max(float(np.linalg.eigvalsh([problem.hvp(x, y, v, s) for v in basis])[-1]) for s in handles)


def curve(result: BilevelResult, grid: Any, limit: float) -> Any:
    """Exact gradient norms over a grid of costs, interpolated on a log scale; infinite after a divergence."""
    cost, norm = result.history["cost"], result.history["gradient_norm"].copy()
    if result.status.name == "DIVERGED":
        norm[-1] = np.inf
    bad = ~(norm <= limit)
    gone = cost[bad.argmax()] if bad.any() else np.inf
    exponents = np.interp(grid, cost[~bad], np.log(np.maximum(norm[~bad], 1e-300)))
    return np.where(grid < gone, np.exp(exponents), np.inf)


def plot(rows: list[dict[str, Any]]) -> Any:
    """Where every method ends, and how often it diverges: a band for each problem, in it a height for each method."""
    figure, axes = plotting.panels(1, 2, width=4.8, height=4.4, sharey=True)
    there = {row["method"] for row in rows}
    methods = [name for group in GROUPS for name in group if name in there]
    others = [name for name in methods if name not in SHOWN]
    for name, height in zip(methods, np.linspace(-0.36, 0.36, len(methods)), strict=True):
        own = [row for row in rows if row["method"] == name]
        at = np.array([list(PROBLEMS).index(row["problem"]) + height for row in own])
        look: dict[str, Any] = {"color": "0.7", "marker": "o", "markersize": 3}
        look["label"] = f"the {len(others)} other methods" if name == others[0] else None
        if name in SHOWN:
            label, color, marker = plotting.RULES[name]
            look = {"color": plotting.COLORS[color], "marker": marker, "markersize": 5, "label": label, "zorder": 3}
        ends = [np.clip(exponent(row), *ENDS) for row in own]
        shares = [row["diverged_steps"] for row in own]
        for panel, values in zip(axes, (ends, shares), strict=True):
            panel.plot(values, at, linestyle="", clip_on=False, **look)
    titles = "where it ends: gradient\nnorm over the start", f"of {rows[0]['steps']} steps tried,\nthis many diverge"
    for panel, title in zip(axes, titles, strict=True):
        panel.set_title(title, loc="left")
        panel.grid(visible=False, axis="y")
        panel.tick_params(axis="y", length=0)
        for edge in range(1, len(PROBLEMS)):
            panel.axhline(edge - 0.5, color="0.85", linewidth=0.6)
    axes[0].set_yticks(range(len(PROBLEMS)), list(PROBLEMS))
    axes[0].set_ylim(len(PROBLEMS) - 0.5, -0.5)
    axes[0].set_xlim(*ENDS)
    axes[0].set_xticks([-6, -4, -2, 0], ["≤ $10^{-6}$", "$10^{-4}$", "$10^{-2}$", "1"])
    axes[1].set_xlim(0, rows[0]["steps"])
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    runs, edge = rows[0]["replicates_per_block"], sum(row["at_edge"] for row in rows)
    plotting.caption(
        figure,
        "BO-REP, SLIP and AccBO normalise their steps. Equal budgets; medians of "
        f"{runs} runs at the step that is best on other seeds ({edge} of {len(rows)} lie at an end of the grid).",
    )
    return figure


def exponent(row: dict[str, Any]) -> float:
    """log10 of the last gradients over the first; infinite if the median run diverged."""
    ratio = float(row["risk_end"]) / float(row["risk_start"])
    return float(np.log10(max(ratio, 1e-99))) if np.isfinite(ratio) else math.inf
