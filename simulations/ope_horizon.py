r"""The curse of the horizon as a number: importance sampling over episodes of length H, and what knows better.

A ring of five states; actions step left or right and are reversed with probability 0.1. Every reward is a coin, of mean
0.6 in one state and 0.1 elsewhere. The log plays both actions alike, the target steps right with probability 0.9. The
variance of the weights grows by R = 1.64 a step, and with it that of importance sampling, per decision too, and that of
the doubly robust estimator even at the true action values: it is the bound for estimators that do not use that the
world is Markov. The one for those that do grows slowly, and the plug-in estimate is on it.

See also `pessimism.mdp.estimators`, `pessimism.mdp.risk`, `pessimism.mdp.bounds.value_markov`,
`pessimism.mdp.bounds.value_tree`, `pessimism.mdp.bounds.value_pooled`.
"""

import math
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.mdp import MDP, bounds, estimators, risk

from ._grid import cells

VERSION = 1
STATES, EPISODES = 5, 1000
TARGET, BEHAVIOR = np.tile([0.1, 0.9], (STATES, 1)), np.full((STATES, 2), 0.5)
LOOKS = {
    "is": ("whole episodes", "vermillion", "^"),
    "pdis": ("per decision", "orange", "v"),
    "dr": ("doubly robust, true Q", "green", "D"),
    "plug_in": ("plug-in", "blue", "o"),
}
GRID = {
    "quick": [
        *cells(kind=["exact"], horizon=[1, 2, 5, 10, 20, 40, 80], replicates_per_block=[0], block=[0]),
        *cells(kind=["sampled"], horizon=[2, 5, 10, 20], replicates_per_block=[400], block=[0]),
    ],
    "full": [
        *cells(
            kind=["exact"], horizon=[1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 57, 80], replicates_per_block=[0], block=[0]
        ),
        *cells(kind=["sampled"], horizon=[2, 5, 10, 20, 40, 80], replicates_per_block=[400], block=range(10)),
    ],
}


def ring(horizon: int) -> MDP:
    s, a = np.ogrid[:STATES, :2]
    lists = np.stack([(s + 2 * a - 1) % STATES, (s - 2 * a + 1) % STATES], axis=-1)
    means = np.where(np.arange(STATES) == 2, 0.6, 0.1)[:, None].repeat(2, axis=1)
    p = np.broadcast_to([0.9, 0.1], lists.shape)
    return MDP(lists, p, means, np.eye(STATES)[0], horizon=horizon, reward_law="bernoulli")


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """n times the variance of every estimator with the bounds, exact; or that of the plug-in estimate, drawn."""
    mdp = ring(cell["horizon"])
    world = (mdp, TARGET, BEHAVIOR)
    if cell["kind"] == "sampled":
        data = mdp.sample_episodes(BEHAVIOR, n=EPISODES, size=cell["replicates_per_block"], rng=rng)
        errors = EPISODES * (estimators.model_based(data, TARGET) - mdp.value(TARGET)) ** 2
        return [{"estimator": "plug_in", **rates.summarize("n_mse", errors)}]
    value = np.append(mdp.evaluate(TARGET), np.zeros((1, STATES)), axis=0)
    q = mdp.rewards + (mdp.probabilities * value[1:][:, mdp.next_states[0]]).sum(axis=-1)
    found = {
        "is": risk.trajectory_is_risk(*world, n=1).variance,
        "pdis": risk.per_decision_is_risk(*world, n=1).variance,
        "dr": risk.doubly_robust_risk(*world, n=1, q=q).variance,
        "markov": bounds.value_markov(*world, 1),
        "tree": bounds.value_tree(*world, 1),
        "pooled": bounds.value_pooled(*world, 1),
    }
    growth = risk.growth_rate(ring(1), TARGET, BEHAVIOR)
    return [{"estimator": name, "n_mse": float(each), "growth": growth} for name, each in found.items()]


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, (panel,) = plotting.panels(1, 1, width=3.6, height=3.8)
    plotting.loglog(panel, x="horizon H", y="episodes × mean squared error", title="weights grow by 1.64 a step")
    exact = rates.group([row for row in rows if row["kind"] == "exact"], "estimator")
    drawn = rates.average_blocks([row for row in rows if row["kind"] == "sampled"], y="n_mse")
    for name in ("is", "pdis", "dr"):
        label, color, marker = LOOKS[name]
        x, y = ([float(row[key]) for row in exact[name]] for key in ("horizon", "n_mse"))
        plotting.curve(panel, x, y, rule=name, label=label, color=color, marker=marker)
    label, color, marker = LOOKS["plug_in"]
    x, y, se = ([row[key] for row in drawn] for key in ("horizon", "n_mse", "n_mse_se"))
    plotting.curve(panel, x, y, se=se, rule="plug_in", label=label, color=color, marker=marker)
    for name, label, color in (("tree", "bound, not Markov", "grey"), ("markov", "bound, Markov", "black"),
                               ("pooled", "bound, one table", "purple")):  # fmt: skip
        x, y = ([float(row[key]) for row in exact[name]] for key in ("horizon", "n_mse"))
        plotting.theorem(panel, x, y, label=label, color=color)
    panel.set_ylim(0.1, 10.0 ** math.ceil(math.log10(max(row["n_mse"] for row in rows)) + 1))
    panel.set_xticks([1, 10, 80], ["1", "10", "80"])
    panel.minorticks_off()
    panel.legend(fontsize=7.5, loc="upper left")
    plotting.caption(
        figure,
        "Ring of five states, target 0.1/0.9, behavior even. Exact; the plug-in estimate by Monte Carlo, 1,000 "
        "episodes, bars of two standard errors. Bounds are asymptotic in the number of episodes, derived by us.",
    )
    return figure
