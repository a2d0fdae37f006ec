"""StocBiO's truncation bias against the terms Q of its series, beside methods without one: exact oracles.

On a quadratic problem with exact oracles nothing is random, and a method ends where its own direction vanishes. For
StocBiO that is the zero of a truncated gradient, which is known in closed form and is not the minimiser.
"""

from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bilevel import minimize_bilevel
from pessimism.bilevel.problems import Quadratic

VERSION = 1
BUDGET = 400_000
METHODS: dict[str, dict[str, Any]] = {
    "stocbio": {"inner_steps": 10},
    "amigo": {"inner_steps": 10},
    "ma-soba": {"step": 0.02},
    "bo-rep": {},
}
TERMS = {"quick": (0, 1, 2, 4, 8, 16, 32, 64), "full": (*range(10), 12, 16, 24, 32, 48, 64, 96)}
GRID = {
    profile: [
        {"method": method, "terms": q}
        for method in METHODS
        for q in (terms if "inner_steps" in METHODS[method] else [0])
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
    """Norm of the exact gradient where a method ends, and where it should; rng unused: oracles are exact."""
    problem = make()
    low, high = problem.curvature(np.zeros(problem.dim_x))
    options: dict[str, Any] = {"lower_step": 1.0 / high} | METHODS[cell["method"]]
    if cell["method"] in ("stocbio", "amigo"):
        options |= {
            "z_step": 1.0 / high,
            "terms": cell["terms"] if cell["method"] == "stocbio" else max(cell["terms"], 1),
        }
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
    figure, (axes,) = plotting.panels(1, 1, width=6.0, height=3.8)
    for method, points in rates.group(rows, "method").items():
        q, risk = ([row[key] for row in points] for key in ("terms", "risk"))
        if len(points) > 1:
            plotting.curve(axes, q, np.maximum(risk, 1e-15), rule=method)
        else:
            axes.axhline(max(risk[0], 1e-15), color=plotting.COLORS[plotting.RULES[method][1]], linewidth=1.0,
                         label=f"{plotting.RULES[method][0]} (has no Q)")  # fmt: skip
        if method == "stocbio":
            plotting.theorem(axes, q, [row["predicted"] for row in points], label="StocBiO's fixed point, closed form")
            order = np.array([row["rate"] for row in points]) ** (np.array(q) + 1.0)
            plotting.theorem(axes, q, order * risk[0] / order[0], label=r"$\propto (1 - a\mu)^{Q+1}$", color="orange")
    axes.set_yscale("log")
    axes.set_xlabel("terms Q")
    axes.set_ylabel("norm of the exact gradient at the end")
    axes.legend(fontsize=7.5)
    plotting.caption(
        figure,
        f"Exact: quadratic problem, condition 20, exact oracles, {BUDGET:,} calls; 1e-15 stands for 0. BO-REP ends in",
        "a cycle of the size of its last step, which falls as 1/sqrt(t).",
    )
    return figure
