"""Truncation bias of StocBiO against the number Q of terms in its series, beside methods without one: exact oracles.

On a quadratic problem with exact oracles nothing is random, and a method ends where its direction vanishes. For StocBiO
that is the zero of a truncated gradient, which is known in closed form and is not the minimiser. BO-REP ends in steps
of constant length around the minimiser, which amplify the last bit: its row is that of one processor.

See also `pessimism.bilevel.minimize_bilevel`, `pessimism.bilevel.problems.Quadratic`.
"""

from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bilevel import minimize_bilevel
from pessimism.bilevel.problems import Quadratic

from ._words import legend_above

VERSION = 2
ROUNDING_FLOOR = 1e-13  # a gradient of entries near 1 is not known to be smaller
LAST_BIT = "BO-REP's normalised steps jump about the minimiser and amplify it"
BUDGET = 400_000
FLOOR = 1e-16  # smaller values are drawn here
PANELS = (("stocbio", "bo-rep"), ("amigo", "ma-soba"))  # those with a bias or a cycle, and those without
METHODS: dict[str, dict[str, Any]] = {
    "stocbio": {"inner_steps": 10},
    "amigo": {"inner_steps": 10},
    "ma-soba": {"step": 0.02},
    "bo-rep": {},
}
TERMS = {"quick": (0, 1, 2, 4, 8, 16, 32, 64, 128), "full": (*range(10), 12, 16, 24, 32, 48, 64, 96, 128)}
GRID = {
    profile: [
        {"method": method, "terms": q}
        for method in METHODS
        for q in (terms if "inner_steps" in METHODS[method] else [0])
        if q > 0 or method != "amigo"  # its Q counts steps on z, which without any never moves
    ]
    for profile, terms in TERMS.items()
}


def make() -> Quadratic:
    return Quadratic.random(5, 8, condition=20.0, rho=0.1, rng=0)


def truncated_minimiser(problem: Quadratic, step: float, terms: int) -> Any:
    """Where rho x + B' a sum_{q <= Q} (I - a A)^q (y*(x) - t) vanishes: a linear system in x."""
    a, b = problem.hessian, problem.coupling
    inverse = step * sum(np.linalg.matrix_power(np.eye(len(a)) - step * a, q) for q in range(terms + 1))
    slope = problem.rho * np.eye(b.shape[1]) + b.T @ inverse @ np.linalg.solve(a, b)
    return np.linalg.solve(slope, b.T @ inverse @ (problem.target - np.linalg.solve(a, problem.offset)))


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Norm of the exact gradient where a method ends, and where theory says it does; `rng` is unused: exact oracles."""
    problem = make()
    low, high = problem.curvature(np.zeros(problem.dim_x))
    options: dict[str, Any] = {"lower_step": 1.0 / high} | METHODS[cell["method"]]
    if cell["method"] in ("stocbio", "amigo"):
        options |= {"z_step": 1.0 / high, "terms": cell["terms"]}
    if cell["method"] == "bo-rep":
        options |= {"z_step": 1.0 / high, "epoch_step": 1.0 / high, "momentum": 0.0}
    start = np.ones(problem.dim_x)
    options = {"step": 0.1} | options
    result = minimize_bilevel(problem, start, method=cell["method"], budget=BUDGET, exact=True, rng=0, **options)
    end = truncated_minimiser(problem, 1.0 / high, cell["terms"]) if cell["method"] == "stocbio" else None
    return {
        "risk": float(np.linalg.norm(problem.gradient(result.x))),
        "predicted": None if end is None else float(np.linalg.norm(problem.gradient(end))),
        "rate": 1.0 - low / high,
    }


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plotting.panels(2, 1, width=4.5, height=2.1)
    curves = rates.group(rows, "method")
    for panel, methods in zip(axes, PANELS, strict=True):
        for method in methods:
            q, risk = (np.array([row[key] for row in curves[method]], float) for key in ("terms", "risk"))
            if "inner_steps" in METHODS[method]:
                plotting.curve(panel, q, np.maximum(risk, FLOOR), rule=method)
            else:
                name, color, _ = plotting.RULES[method]
                look: Any = {"color": plotting.COLORS[color], "linewidth": 1.0, "label": f"{name}, no Q"}
                panel.axhline(max(risk[0], FLOOR), **look)
            if method == "stocbio":
                predicted, rate = ([row[key] for row in curves[method]] for key in ("predicted", "rate"))
                plotting.theorem(panel, q, predicted, label="StocBiO, closed form")
                guide = risk[-1] * np.array(rate) ** (q - q[-1])
                plotting.theorem(panel, q, guide, label=r"rate $(1 - a\mu)^Q$", color="wine")
        panel.set_yscale("log")
    cut(*axes)
    axes[1].set_xlabel("terms Q")
    figure.supylabel("norm of the exact gradient at the end", fontsize=9)
    axes[0].text(0.97, 0.9, "truncated: biased", transform=axes[0].transAxes, ha="right", fontsize=9)
    axes[1].text(0.97, 0.85, "without bias: rounding alone", transform=axes[1].transAxes, ha="right", fontsize=9)
    legend_above(figure, *axes, columns=2)
    plotting.caption(
        figure,
        f"Exact: quadratic problem, condition 20, exact oracles, {BUDGET:,} calls. AmIGO's Q are steps on a z that it "
        "keeps, so that it needs at least one. BO-REP ends in a cycle of the size of its last step, which falls as "
        "1/sqrt(t).",
    )
    return figure


def cut(above: Any, below: Any) -> None:
    """One vertical axis from two: the empty decades between them are left out."""
    above.get_gridspec().set_height_ratios([3, 1])
    below.sharex(above)
    above.spines["bottom"].set_visible(False)
    above.tick_params(axis="x", bottom=False, labelbottom=False)
    below.set_ylim(FLOOR, 1e4 * below.get_ylim()[1])
    mark: dict[str, Any] = {"marker": [(-1, -0.5), (1, 0.5)], "markersize": 7, "color": "black", "clip_on": False}
    above.plot(0, 0, transform=above.transAxes, linestyle="none", **mark)
    below.plot(0, 1, transform=below.transAxes, linestyle="none", **mark)
