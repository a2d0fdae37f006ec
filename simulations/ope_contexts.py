"""Many contexts: the direct method turns into its fill, and importance sampling does not notice.

A thousand rounds over S uniform contexts with two arms, played evenly; the target plays the first with probability
0.9. Both arms have mean 0.8 in half of the contexts and 0.4 in the others, so that the value is 0.6. Between S = n/10
and S = n/3 most pairs are no longer seen, and the direct method reports what it was told to fill in: a fill of 0.6
looks like the best estimator of all and has used no data.

See also `pessimism.bandits.risk`, `pessimism.bandits.estimators.direct`.
"""

from functools import partial
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bandits import Bandit, estimators, risk

from ._grid import cells
from ._looks import draw

VERSION = 1
N = 1000
FILLS = {"direct, fill 0": 0.0, "direct, fill 0.5": 0.5, "direct, lucky fill 0.6": 0.6}
GRID = {
    "quick": cells(contexts=[2, 10, 30, 100, 300, 1000]),
    "full": cells(contexts=[2, 4, 6, 10, 18, 30, 56, 100, 178, 300, 562, 1000]),
}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """n times the mean squared error, the law of the contexts known; exact, so `rng` is not used."""
    size = cell["contexts"]
    means = np.where(np.arange(size)[:, None] < size // 2, 0.8, 0.4) * np.ones((size, 2))
    bandit, law, policy = Bandit(means), np.full((size, 2), 0.5 / size), np.tile([0.9, 0.1], (size, 1))
    rho = bandit.contexts
    at: dict[str, Any] = {"n": N, "contexts": rho}
    robust = partial(estimators.doubly_robust, model=0.5)
    found = {name: risk.direct_risk(bandit, policy, law, fill=fill, **at) for name, fill in FILLS.items()}
    found["ips"] = risk.average_risk(estimators.ips, bandit, policy, law, **at)
    found["snips"] = risk.ratio_risk(bandit, policy, law, **at)
    found["doubly_robust"] = risk.average_risk(robust, bandit, policy, law, **at)
    found["cross_fit"] = risk.cross_fit_risk(bandit, policy, law, n=(N // 2, N // 2), fill=0.5, contexts=rho)
    return [{"estimator": name, "n_mse": N * float(each.mse)} for name, each in found.items()]


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, (panel,) = plotting.panels(1, 1, width=3.6, height=3.6)
    plotting.loglog(panel, x="contexts S", y="n × mean squared error", title="1,000 rounds, value 0.6")
    shades = dict(zip(FILLS, ("blue", "sky", "grey"), strict=True))
    for name, points in rates.group(rows, "estimator").items():
        x, y = ([row[key] for row in points] for key in ("contexts", "n_mse"))
        if name in FILLS:
            plotting.curve(panel, x, y, rule=name, color=shades[name], marker="o")
        else:
            draw(panel, x, y, name)
    panel.axvspan(N / 10, N / 3, color="0.92", zorder=0)
    panel.set_ylim(0.05, 400)
    panel.set_xticks([10, 100, 1000], ["10", "100", "1,000"])
    panel.legend(fontsize=7.5, loc="upper left")
    plotting.caption(
        figure,
        "Exact; law of the contexts known. Shaded: n/10 to n/3, where most pairs stop being seen. "
        "The lucky fill equals the answer and has used no data: never show one fill.",
    )
    return figure
