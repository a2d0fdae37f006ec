r"""Oracle calls until the mean gradient over the trajectory is at most eps, beside eps^-4 and eps^-3.

The theorems on normalised momentum bound the average of :math:`\|\nabla F(x_t)\|` over the trajectory. Steps of length
:math:`\eta` need some :math:`\Delta / (\eta \varepsilon)` iterations to walk down a gap :math:`\Delta` with average
:math:`\varepsilon`, so that :math:`\eta \sim \varepsilon^3` (BO-REP, SLIP) and :math:`\varepsilon^2` (AccBO) set the
exponent on any problem. The left panel has such schedules, with constants tuned at the largest eps only. So its slopes
follow from the schedules: it shows that these reach eps, and measures no complexity. In the right panel step and
momentum weight are tuned for each eps, which shows what this problem needs: its smoothness is unbounded, but F is
strongly convex, so noise averages out along the way and steps of order eps^2 suffice for every method. The powers are
derived by us.

With a constant step :math:`\alpha`, y lags behind its minimiser by :math:`\eta / \alpha` and fluctuates by
:math:`\sigma \alpha^{1/2}`. AccBO, which moves x by :math:`\varepsilon^2` a step, therefore brings y to accuracy eps
only if the noise of the lower gradient is small (derived by us). A steep lower level makes it small, for all methods.
The bias of AccBO's Neumann sum is below 0.001, far below the smallest eps.

The problem is the hyperbolic cosine with 2 + 2 variables, noise of deviation 1 in every entry of a gradient and one
sample a call; calls of the set-up count. The dashed powers hold up to logarithms. Those of MA-SOBA's step and weight,
eps^2, are ours.

Three values of eps over half a decade support no slope with an interval, so the legend says by how much the calls grow
between the ends. The bars hold for the constants found by tuning, which itself varies more. With seeds 0 to 5 of the
quick grid, the slopes between the end points of the left panel were 3.9 to 4.5 for BO-REP and SLIP, above 4.2 only
where the longest step was chosen, 2.7 to 3.0 for AccBO, and 3.0 to 3.4 for MA-SOBA. The longer steps of AccBO amplify
the last bit: on another processor a trial ends after more or fewer draws, which changes what is drawn later in its
cell.

See also `pessimism.bilevel.bounds.calls_rate`, `pessimism.bilevel.minimize_bilevel`, `pessimism.bilevel.problems.Cosh`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism._types import Floats
from pessimism.bilevel import bounds, minimize_bilevel
from pessimism.bilevel.problems import Cosh

VERSION = 2
LAST_BIT = "long steps of AccBO amplify it, and a trial ends after more or fewer draws"
LOW, HIGH = 200.0, 400.0  # curvature of the lower level: y fluctuates by less than 0.01, and the smallest eps is 0.1
START = (3.0, -3.0)
LEVELS = [10.0 ** (-k / 4) for k in range(5)]  # from 1, so that a power of eps is a factor to the constant
POINTS = 5  # records while the number of steps doubles
RACE = 2.0  # a trial ends at this multiple of the best so far
FRONT = 3  # choices with more than one trial
METHODS = ("bo-rep", "slip", "accbo", "ma-soba")
FIXED: dict[str, dict[str, Any]] = {
    "bo-rep": {"decay": 0.0, "epoch_step": 1.0 / HIGH},
    "slip": {"decay": 0.0, "warm_step": 1.0 / HIGH},
    "accbo": {"decay": 0.0, "warm_step": 1.0 / HIGH, "nesterov": 0.2, "terms": 7, "z_step": 2.0 / (LOW + HIGH)},
    "ma-soba": {},
}
SCHEDULE: dict[str, dict[str, tuple[float, int]]] = {  # constant and power of eps
    "bo-rep": {"lower_step": (1.0 / HIGH, 2), "z_step": (1.0 / HIGH, 2), "period": (5.0, -2), "inner_steps": (5.0, -2)},
    "slip": {"lower_step": (1.0 / HIGH, 2), "z_step": (1.0 / HIGH, 2)},
    "accbo": {"lower_step": (1.0 / HIGH, 0)},
    "ma-soba": {"lower_step": (1.0 / HIGH, 2)},
}
THEOREMS = {"bo-rep": 4, "accbo": 3}  # calls are eps to minus these, up to logarithms; SLIP as BO-REP
STEP_POWER = {"bo-rep": 3, "slip": 3, "accbo": 2, "ma-soba": 2}
GRID = {
    profile: [{"method": method, **numbers, "replicates_per_block": runs} for method in METHODS]
    for profile, runs, numbers in (
        ("quick", 8, {"levels": 3, "ratio": 3, "ratios": 4, "weights": 3, "tuning": 2, "budget": 1_000_000}),
        ("full", 12, {"levels": 5, "ratio": 2, "ratios": 10, "weights": 4, "tuning": 5, "budget": 50_000_000}),
    )
}


def make() -> Cosh:
    """Two variables above and two below; noise of deviation 1 in every entry of a gradient, one sample a call."""
    shape = Cosh.random(2, 2, condition=HIGH / LOW, noise=0.0, curvature_noise=0.0, rng=0)
    lower = (LOW * shape.hessian, LOW * shape.coupling, LOW * shape.offset, shape.target)
    return Cosh(*lower, noise=1.0, curvature_noise=0.5, batch=1, rng=1)


def options(method: str, step: float, weight: float, eps: float) -> dict[str, Any]:
    """Settings at eps; at 1 all are their constants."""
    chosen: dict[str, Any] = {name: constant * eps**power for name, (constant, power) in SCHEDULE[method].items()}
    chosen |= {name: round(chosen[name]) for name in ("period", "inner_steps") if name in chosen}
    momentum = {"weight": weight * eps**2} if method == "ma-soba" else {"momentum": 1.0 - weight * eps**2}
    return FIXED[method] | chosen | momentum | {"step": step * eps ** STEP_POWER[method]}


def first_costs(
    method: str, settings: dict[str, Any], levels: Floats, budget: float, rng: np.random.Generator
) -> Floats:
    """Calls after which the mean gradient norm over the trajectory stays at most each level; inf if it never does.

    A run ends when it is at most the smallest level, so that for one level these are the calls until then.
    """
    problem, state = make(), None
    at, cost, norms = np.zeros(1), np.zeros(1), np.array([np.linalg.norm(problem.gradient(START))])
    means, every = norms, 1
    while means.min() > levels.min() and cost[-1] < budget:
        state = minimize_bilevel(
            problem, START if state is None else state, method=method, budget=budget - cost[-1], rng=rng,
            record=every, callback=lambda now: len(now.history["nit"]) > POINTS, **settings,
        )  # fmt: skip
        history = state.history
        if state.status.name == "DIVERGED":
            break
        at, norms = np.append(at, history["nit"][1:]), np.append(norms, history["gradient_norm"][1:])
        cost = np.append(cost, history["cost"][1:])
        means = np.append(norms[0], np.cumsum(np.diff(at) * (norms[1:] + norms[:-1]) / 2.0) / at[1:])
        if state.status.name == "BUDGET":
            break
        every = max(1, state.nit // POINTS)
    # a mean that falls below a level by chance and rises again does not count
    later = np.maximum.accumulate(means[::-1])[::-1]
    return np.where(later[-1] <= levels, np.interp(-levels, -later, cost), np.inf)


def tune(cell: dict[str, Any], levels: Floats, rng: np.random.Generator) -> list[tuple[float, float]]:
    """For each level the step and weight whose worst trial is the cheapest, among those that begin best."""
    steps = [cell["ratio"] ** -float(k + 1) for k in range(cell["ratios"])]
    choices = [(step, 10.0**-k) for k in range(cell["weights"]) for step in steps]
    first, limit = np.empty((len(choices), len(levels))), cell["budget"] / 10.0
    for i, (step, weight) in enumerate(choices):
        first[i] = first_costs(cell["method"], options(cell["method"], step, weight, 1.0), levels, limit, rng)
        limit = min(limit, RACE * float(first[i, -1]))
    best = []
    for j, costs in enumerate(first.T):
        front = np.argsort(costs, kind="stable")[:FRONT]  # of equal costs, inf above all, the first
        worst = costs[front]
        for k, i in enumerate(front):  # a step that is too long may succeed once by chance
            step, weight = choices[i]
            settings, most = options(cell["method"], step, weight, 1.0), min(limit, RACE * worst[: k + 1].min())
            for _ in range(cell["tuning"]):
                if worst[k] < np.inf:
                    worst[k] = max(worst[k], first_costs(cell["method"], settings, levels[[j]], most, rng)[0])
        best.append(choices[front[np.argmin(worst)]])
    return best


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Constants from trials of their own, then quantiles of the cost; a row for each eps and way of tuning."""
    levels = np.array(LEVELS[: cell["levels"]])
    best = tune(cell, levels, rng)
    ways = {"scheduled": [(best[0], float(eps)) for eps in levels], "tuned": [(choice, 1.0) for choice in best]}
    rows, measured = [], {}
    for way, plan in ways.items():
        for ((step, weight), shrink), eps in zip(plan, levels, strict=True):
            key = (step, weight, shrink, float(eps))
            if key not in measured:  # at the largest eps both ways are one
                settings, runs = options(cell["method"], step, weight, shrink), range(cell["replicates_per_block"])
                costs = [first_costs(cell["method"], settings, np.array([eps]), cell["budget"], rng)[0] for _ in runs]
                measured[key] = quantiles(np.array(costs))
            rows.append({"steps": way, "eps": float(eps), "step": step, "weight": weight} | measured[key])
    return rows


def quantiles(costs: Floats) -> dict[str, float | None]:
    """Median, 10 and 90 %, and the median's error for the normal law that has these; None beyond the budget."""
    low, middle, high = (np.quantile(costs, q, method="nearest") for q in (0.1, 0.5, 0.9))
    error = np.sqrt(np.pi / 2 / len(costs)) * (high - low) / 2.563 if np.isfinite(high) else np.inf
    columns = {"cost": middle, "cost_se": error, "low": low, "high": high}
    return {name: float(value) if np.isfinite(value) else None for name, value in columns.items()}


def growth(rows: Sequence[Mapping[str, Any]]) -> str:
    """By how much the median grows from the largest eps to the smallest: a few points support no slope."""
    first, last = rows[0]["cost"], rows[-1]["cost"]
    return f"{plotting.RULES[rows[0]['method']][0]}: " + (
        f"{last / first:,.0f} times" if first and last else "not reached"
    )


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plotting.panels(1, 2, width=4.5, height=3.7, sharey=True)
    titles = {"scheduled": "steps as powers of ε", "tuned": "steps tuned for each ε"}
    most = max((row["cost"] for row in rows if row["cost"]), default=1.0)
    for panel, (steps, here) in zip(axes, rates.group(rows, "steps").items(), strict=True):
        plotting.loglog(panel, x="gradient norm ε to reach", y="", title=titles[steps])
        for method, points in rates.group(here, "method").items():
            _, color, marker = plotting.RULES[method]
            eps, cost, low, high = (
                np.array([np.nan if row[key] is None else row[key] for row in points], float)
                for key in ("eps", "cost", "low", "high")
            )
            panel.errorbar(
                eps, cost, yerr=[cost - low, high - cost], color=plotting.COLORS[color], marker=marker, capsize=2,
                elinewidth=0.9, label=growth(points),
            )  # fmt: skip
            if method in THEOREMS:
                power = THEOREMS[method]
                line = cost[0] * bounds.calls_rate(eps, method)  # eps begins at 1
                plotting.theorem(panel, eps, line)
                panel.annotate(rf"$\varepsilon^{{-{power}}}$", (eps[-1], line[-1]), (4, 0), textcoords="offset points",
                               va="center", color="0.35")  # fmt: skip
        panel.set_xlim(1.15 * eps[0], eps[-1] / 1.4)
        panel.set_ylim(top=300.0 * most)  # room for the legend
        panel.set_xticks(eps, [f"{value:.2g}" for value in eps])
        panel.set_xticks([], minor=True)
        panel.legend(loc="upper left", title=f"calls at {eps[-1]:.2g} over calls at {eps[0]:.2g}", title_fontsize=8,
                     alignment="left")  # fmt: skip
    axes[0].set_ylabel("oracle calls")
    plotting.caption(
        figure,
        f"Medians, 10 to 90 % of {rows[0]['replicates_per_block']} runs; another seed's tuning moves the curves more. "
        "Dashed: theorems for BO-REP and SLIP (ε to the −4), AccBO (−3). Left: growth follows from the powers of ε in "
        "the steps, and measures no complexity (derived by us).",
    )
    return figure
