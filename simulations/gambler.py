"""The gambler's problem of Li et al. (2022): gap against N and per state, plug-in and pessimistic value iteration.

Their experiment: capital 0 ... 50, heads with probability 0.45, 100 tosses, N independent draws at every allowed stake,
state and step, Bernstein widths with c = 0.05 and no logarithm. Rewards fall on the successor and are estimated with
it; the widths use Var(V) alone, as theirs do.

The published slope of -0.502 is not reproduced. Our least-squares line through all sizes has slope -0.40, and its Monte
Carlo interval excludes -0.502; so does that of the slope between the smallest and the largest N, -0.47. The loss is not
a line in these axes, so a slope depends on how it is fitted, and how the published one was is not known to us.
"""

import math
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.mdp import generators, plug_in, vi_lcb_episodic

VERSION = 1
GOAL, STEPS = 50, 100
SIZES = [math.floor(math.exp(k / 2)) for k in range(8, 21)]  # e^4, e^4.5, ..., e^10
PUBLISHED_SLOPE = -0.502
GRID = {
    profile: [{"n": n, "replicates_per_block": r, "block": b} for n in [50, *SIZES] for b in range(blocks)]
    for profile, r, blocks in (("quick", 20, 1), ("full", 20, 10))
}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Mean gap of both rules from a uniform start on the same data, and at N = 50 the gap of every state."""
    mdp = generators.gamblers_problem(GOAL, horizon=STEPS)
    allowed = generators.allowed_stakes(GOAL)
    counts = np.broadcast_to(cell["n"] * allowed, (STEPS, *allowed.shape))
    data = mdp.sample_at(counts, size=cell["replicates_per_block"], rng=rng)
    plans = {"plug_in": plug_in(data), "vi_lcb_bernstein": vi_lcb_episodic(data, constant=0.05, log_factor=1.0)}
    rows: list[dict[str, Any]] = []
    for rule, plan in plans.items():
        row = {"rule": rule, **rates.summarize("loss", mdp.suboptimality(plan.policy))}
        if cell["n"] == 50:
            gaps = mdp.optimal_values[0] - mdp.evaluate(plan.policy)[:, 0]  # (repetitions, capital)
            row["state_gaps"] = gaps.mean(axis=0).round(12).tolist()
        rows.append(row)
    return rows


def fitted_slope(points: list[Any]) -> tuple[float, float, float]:
    """Unweighted least-squares slope of log gap against log N, and the ends of its 95 % Monte Carlo interval.

    The slope is linear in the logarithms of the means, whose standard errors are se/mean: the interval is that formula.
    """
    n, gap, se = (np.array([row[key] for row in points], float) for key in ("n", "loss", "loss_se"))
    u = np.log(n) - np.log(n).mean()
    weights = u / (u @ u)
    slope, half = float(weights @ np.log(gap)), 1.96 * float(np.linalg.norm(weights * se / gap))
    return slope, slope - half, slope + half


def end_slope(points: list[Any]) -> tuple[float, float, float]:
    """The same for the line between the smallest and the largest N."""
    return fitted_slope([points[0], points[-1]])


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, (left, right) = plotting.panels(1, 2, width=8.4, height=3.6)
    for rule, points in rates.group([row for row in rows if row["n"] == 50], "rule").items():
        gaps = np.mean([row["state_gaps"] for row in points], axis=0)
        name, color, marker = plotting.RULES[rule]
        left.plot(np.arange(len(gaps)), gaps, color=plotting.COLORS[color], marker=marker, markersize=3, label=name)
    left.set_title("N = 50", loc="left")
    left.set_xlabel("capital")
    left.set_ylabel("gap of the first step (probability)")
    left.legend()
    plotting.loglog(right, x="draws N of every (stake, capital, step)", y="gap, uniform start (probability)")
    averaged = rates.average_blocks([row for row in rows if row["n"] != 50])
    for rule, points in rates.group(averaged, "rule").items():
        x, y, se = ([row[key] for row in points] for key in ("n", "loss", "loss_se"))
        slope, low, high = fitted_slope(points)
        note = f": {slope:.3f} [{low:.3f}, {high:.3f}]; ends {end_slope(points)[0]:.2f}"
        plotting.curve(right, x, y, se=se, rule=rule, note=note)
        if rule == "vi_lcb_bernstein":
            line = np.exp(np.log(y).mean() + PUBLISHED_SLOPE * (np.log(x) - np.log(x).mean()))
            plotting.theorem(right, x, line, label=f"published slope {PUBLISHED_SLOPE}: not reproduced")
    right.set_ylim(1e-5, 1)
    right.legend(title="fitted slope [95 % interval]", alignment="left", loc="lower left", fontsize=7)
    plotting.caption(
        figure,
        "Our run of the experiment of Li et al. (2022), arXiv:2204.05275; their slope is not reproduced, and how it "
        "was fitted is not known to us.",
        "Fits: least squares over all N, Monte Carlo interval; ends: smallest to largest N. Policies valued "
        "exactly, bars of two standard errors.",
        "VI-LCB: Bernstein widths of Var(V) alone, c = 0.05, no logarithm; rewards fall on successors and are "
        "estimated with them.",
    )
    return figure
