"""Real data: which coinsurance sends people to a doctor? One log, two compositions, all rules.

The RAND health insurance experiment (20,190 person-years, in statsmodels) assigned five coinsurance levels, the free
plan most often. Under the reward "saw a doctor" the most common arm is a good one; under "did not" it is a bad one.
The means of the full log are taken as the truth, and N rows are drawn from the log with replacement. Since persons
appear for several years, the rounds of the log itself are not independent; the rows drawn from it are.

See also `pessimism.bandits.lcb`, `pessimism.bandits.bernstein_lcb`, `pessimism.bandits.behavior.from_data`.
"""

from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bandits import Bandit, BanditData, behavior, bernstein_lcb, greedy, lcb, most_played

from ._grid import cells
from ._words import legend_above

VERSION = 2
RULES = {"lcb": lcb, "greedy": greedy, "most_played": most_played, "bernstein_lcb": bernstein_lcb}
REWARDS = {"visit": "saw a doctor", "no_visit": "did not see a doctor"}
DISEASE_INDEX = 13  # splits both health groups so that the rarest plan keeps 134 rows or more
GRID = {
    profile: cells(contexts=(1, 4), reward=REWARDS, n=sizes, block=range(blocks))
    for profile, blocks, sizes in (
        ("quick", 2, [10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000]),
        ("full", 20, [round(10 ** (k / 4)) for k in range(4, 25)]),
    )
}


def read_log(reward: str, contexts: int) -> BanditData:
    """The experiment as logged rounds.

    Arms: coinsurance of 0, 25, 50, 95, 100 %. Contexts: one, or four by self-rated health (excellent or not) and index
    of chronic diseases (above 13 or not). Reward: whether there was a visit to a doctor in the year, or its opposite.
    """
    from statsmodels.datasets import randhie

    table = randhie.load_pandas().data
    arms = np.unique(table["lncoins"].to_numpy().round(6), return_inverse=True)[1].ravel()
    excellent = (table[["hlthg", "hlthf", "hlthp"]].sum(axis=1) == 0).to_numpy()
    group = 2 * excellent + (table["disea"] > DISEASE_INDEX).to_numpy() if contexts == 4 else 0 * arms
    visited = (table["mdvis"] > 0).to_numpy()
    return BanditData.from_log(group, arms, visited if reward == "visit" else ~visited)


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Mean loss of every rule on the same 2,000 redrawn logs, and the C* of the log."""
    log = read_log(cell["reward"], cell["contexts"])
    law = behavior.from_data(log)
    bandit = Bandit(log.means, contexts=law.sum(axis=-1))
    data = bandit.sample(law, n=cell["n"], size=2000, rng=rng)
    cstar = float(bandit.coverage(law))
    losses = {name: bandit.suboptimality(rule(data)) for name, rule in RULES.items()}
    return [{"rule": name, "cstar": cstar, **rates.summarize("loss", loss)} for name, loss in losses.items()]


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plotting.panels(2, 2, width=4.5, height=2.1, sharey=True)
    averaged = rates.average_blocks(rows)
    for panel, ((contexts, reward), here) in zip(
        axes, rates.group(averaged, "contexts", "reward").items(), strict=True
    ):
        question = REWARDS[reward] if contexts == 1 else ""
        title = f"{question}\nC* = {here[0]['cstar']:.2f}".strip()
        plotting.loglog(panel, x="", y="", title=title)
        for rule, points in rates.group(here, "rule").items():
            x, y, se = ([row[key] for row in points] for key in ("n", "loss", "loss_se"))
            plotting.curve(panel, x, y, se=se, rule=rule)
        panel.set_xlim(7, 1.5e5)
        panel.set_ylim(1e-4, 0.3)
        if reward == next(iter(REWARDS)):
            panel.set_ylabel("loss, " + ("no contexts" if contexts == 1 else f"{contexts} contexts"))
        if contexts != 1:
            panel.set_xlabel("rows drawn, N")
    legend_above(figure, axes[0])
    plotting.caption(
        figure,
        "RAND health insurance experiment: 20,190 person-years, five coinsurance levels. The means of the full log are "
        "the truth, and N rows are drawn from it with replacement. Loss: probability of the outcome, Monte Carlo, bars "
        "of two standard errors; zeros left out.",
    )
    return figure
