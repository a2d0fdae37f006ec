r"""What a log is worth: exact mean squared errors of five estimators over n and over the composition C*.

The target plays one arm, which the log played with probability 1/C*; its rewards are 0 or 1 with mean r. Every error
falls as 1/n. What the composition changes is the constant, and what knowing the propensities costs: importance sampling
(IPS) uses them, the direct method does not, and n times their errors stand as (C* - r) to C*(1 - r).

See also `pessimism.bandits.risk`, `pessimism.bandits.estimators`, `pessimism.bandits.bounds.value_van_trees`,
`pessimism.bandits.bounds.value_missing_mass`, `pessimism.bandits.bounds.value_efficiency`.
"""

from functools import partial
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bandits import Bandit, bounds, estimators, risk

from ._grid import cells
from ._looks import draw

VERSION = 1
FILL = 0.3
"""Model of the doubly robust estimators and fill of the direct ones: a stated guess, right for none of the means."""

GRID = {
    "quick": [
        *cells(n=[10, 30, 100, 300, 1000, 100_000], cstar=[10], mean=[0.5]),
        *cells(n=[10_000], cstar=[1.5, 2, 3, 5, 10, 20, 50, 100], mean=[0.05, 0.5, 0.9]),
    ],
    "full": [
        *cells(n=[round(10 ** (k / 4)) for k in range(4, 25) if k != 16], cstar=[10], mean=[0.5]),
        *cells(n=[10_000], cstar=[round(10 ** (k / 8), 4) for k in range(1, 17)], mean=[0.05, 0.5, 0.9]),
    ],
}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Bias and mean squared error of every estimator; exact, so `rng` is not used."""
    n, share = cell["n"], 1.0 / cell["cstar"]
    bandit, law, policy = Bandit([[cell["mean"], 0.5]]), [[share, 1.0 - share]], [0]
    robust = partial(estimators.doubly_robust, model=FILL)
    halves = (n - n // 2, n // 2)
    found = {
        "direct": risk.direct_risk(bandit, policy, law, n=n, fill=FILL),
        "ips": risk.average_risk(estimators.ips, bandit, policy, law, n=n),
        "snips": risk.ratio_risk(bandit, policy, law, n=n),
        "doubly_robust": risk.average_risk(robust, bandit, policy, law, n=n),
        "cross_fit": risk.cross_fit_risk(bandit, policy, law, n=halves, fill=FILL, contexts=[1.0]),
    }
    return [{"estimator": name, "mse": float(each.mse), "bias": float(each.bias)} for name, each in found.items()]


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plotting.panels(1, 2, width=4.5, height=3.4)
    left, right = axes
    plotting.loglog(left, x="rounds n", y="mean squared error", title="C* = 10, mean 0.5")
    sizes = [row for row in rows if row["cstar"] == 10 and row["mean"] == 0.5]
    for name, points in rates.group(sizes, "estimator").items():
        points = sorted(points, key=lambda row: row["n"])
        draw(left, [row["n"] for row in points], [row["mse"] for row in points], name)
    smooth = np.geomspace(10, max(row["n"] for row in sizes), 80)
    plotting.theorem(
        left, smooth, bounds.value_van_trees(smooth, 10.0, 10.0), color="black", label="van Trees, worst r"
    )
    left.legend(fontsize=7.5, loc="lower left")
    plotting.loglog(right, x="composition C*", y="error of IPS / error of direct", title="Cost of using weights")
    many = [row for row in rows if row["n"] == 10_000]
    for (mean, points), color in zip(rates.group(many, "mean").items(), ("grey", "sky", "blue"), strict=True):
        errors = {
            name: {row["cstar"]: row["mse"] for row in own} for name, own in rates.group(points, "estimator").items()
        }
        c = np.array(sorted(errors["ips"]), float)
        ratio = [errors["ips"][x] / errors["direct"][x] for x in sorted(errors["ips"])]
        plotting.curve(right, c, ratio, rule=f"mean {mean:g}", color=color, marker="o")
        fine = np.geomspace(c[0], c[-1], 60)
        plotting.theorem(right, fine, (fine - mean) / (fine * (1.0 - mean)))
    right.set_ylim(0.8, 20)
    right.set_yticks([1, 2, 5, 10], ["1", "2", "5", "10"])
    right.set_xticks([2, 10, 100], ["2", "10", "100"])
    right.legend(fontsize=7.5, loc="upper left")
    plotting.caption(
        figure,
        f"Exact. The target plays one arm of probability 1/C*; fill and model {FILL:g}. Dashed on the right: "
        "(C* − r)/(C*(1 − r)), derived by us. All errors fall as 1/n; weights cost most where rewards vary least.",
    )
    return figure
