"""Real contexts, known truth: what would one insurance plan for all have done? Exact errors of four estimates.

The RAND health insurance experiment (20,190 person-years, in statsmodels): five coinsurance plans, four contexts by
health, reward "saw a doctor". The means of the full log are taken as the truth; logs of n rounds are drawn from it. The
target puts everybody on the plan of 100 per cent, the rarest: C* is 43.5 and n rounds are worth n/31 of its own.

See also `pessimism.bandits.risk`, `pessimism.bandits.intervals.overlap`, `pessimism.bandits.bounds.value_efficiency`.
"""

from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bandits import Bandit, behavior, bounds, estimators, risk

from ._grid import cells
from ._looks import draw
from .health_insurance import read_log

VERSION = 1
PLAN = 4
FILLS = {"direct, fill 0": (0.0, "blue"), "direct, fill 0.5": (0.5, "sky")}
GRID = {
    "quick": cells(n=[30, 100, 300, 1000, 3000, 10_000, 100_000]),
    "full": cells(n=[round(10 ** (k / 4)) for k in range(6, 25)]),
}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """n times the mean squared error, contexts judged by their known law; exact, so `rng` is not used."""
    log = read_log("visit", 4)
    law = behavior.from_data(log)
    bandit = Bandit(log.means, contexts=law.sum(axis=-1))
    world = (bandit, [PLAN] * 4, law)
    at: dict[str, Any] = {"n": cell["n"], "contexts": bandit.contexts}
    found = {name: risk.direct_risk(*world, fill=fill, **at) for name, (fill, _) in FILLS.items()}
    found["ips"] = risk.average_risk(estimators.ips, *world, **at)
    found["snips"] = risk.ratio_risk(*world, **at)
    efficient = cell["n"] * float(bounds.value_efficiency(*world, **at))
    cstar = float(bandit.coverage(law, [PLAN] * 4))
    return [
        {"estimator": name, "n_mse": cell["n"] * float(each.mse), "efficient": efficient, "cstar": cstar}
        for name, each in found.items()
    ]


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, (panel,) = plotting.panels(1, 1, width=3.6, height=3.4)
    title = f"plan of 100 % for all, C* = {rows[0]['cstar']:.1f}"
    plotting.loglog(panel, x="rounds n", y="n × mean squared error", title=title)
    for name, points in rates.group(rows, "estimator").items():
        x, y = ([row[key] for row in points] for key in ("n", "n_mse"))
        if name in FILLS:
            plotting.curve(panel, x, y, rule=name, color=FILLS[name][1], marker="o")
        else:
            draw(panel, x, y, name)
    sizes = [min(row["n"] for row in rows), max(row["n"] for row in rows)]
    plotting.theorem(panel, sizes, [rows[0]["efficient"]] * 2, color="black", label="efficiency bound, n → ∞")
    panel.set_ylim(0.5, 40)
    panel.set_yticks([1, 3, 10, 30], ["1", "3", "10", "30"])
    panel.legend(fontsize=7.5, loc="lower right")
    plotting.caption(
        figure,
        "RAND health insurance experiment; the full log's means are the truth, law of the contexts known. Exact. "
        "Below a thousand rounds the fill decides; the bound is asymptotic, so a biased estimate may be below it.",
    )
    return figure
