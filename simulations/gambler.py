"""The gambler's problem of Li et al. (2022): gap against N and per state, plug-in and pessimistic value iteration.

Their experiment: capital 0 ... 50, heads with probability 0.45, 100 tosses, N independent draws at every allowed stake,
state and step, Bernstein widths with c = 0.05 and no logarithm. Rewards depend on the successor and are estimated with
it; the widths use Var(V) alone, as theirs do.

The paper does not say what the gambler does where every stake has the pessimistic value 0, that is, where the data
certify nothing. With the lowest index, a stake of 1, our least-squares slope is -0.402 ± 0.005 (full profile), far from
the published -0.502. With no stake, which an argmax over stakes from 0 on would choose, it is -0.520 ± 0.005. That is
0.018 from the published slope, which rests on ten repetitions and has, judging by our data, an error of ± 0.022. We
found this reading while looking for their slope, so that the agreement does not confirm it; both are drawn.

Nor is a slope near -1/2 evidence for a rate of N^(-1/2). From N = 1,096 on the losses of both readings are the same,
and the line is not straight: with no stake the slope is -0.49 up to that N and -0.63 from there on (quick profile).

See also `pessimism.mdp.vi_lcb_episodic`, `pessimism.mdp.generators.gamblers_problem`.
"""

import math
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.mdp import MDP, generators, plug_in, vi_lcb_episodic

from ._grid import cells
from ._words import legend_above, signed, tell

VERSION = 2
GOAL, STEPS = 50, 100
SIZES = [math.floor(math.exp(k / 2)) for k in range(8, 21)]  # e^4, e^4.5, ..., e^10
PUBLISHED_SLOPE, REPETITIONS = -0.502, 10
GRID = {
    profile: cells(n=[50, *SIZES], replicates_per_block=[r], block=range(blocks))
    for profile, r, blocks in (("quick", 20, 2), ("full", 20, 10))
}


def with_no_stake(mdp: MDP) -> MDP:
    """The same game with one more action: no stake, so that a toss changes nothing."""
    one = mdp.next_states[..., :1, :]
    kept = np.broadcast_to(np.arange(mdp.n_states)[:, None, None], one.shape)
    return MDP(
        np.concatenate([mdp.next_states, kept], axis=-2),
        np.concatenate([mdp.probabilities, mdp.probabilities[..., :1, :]], axis=-2),
        np.concatenate([mdp.rewards, np.zeros(one.shape)], axis=-2),
        horizon=mdp.horizon,
    )


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Mean gap of the rules from a uniform start on the same data, and at N = 50 the gap of every state."""
    mdp = generators.gamblers_problem(GOAL, horizon=STEPS)
    game = with_no_stake(mdp)
    allowed = generators.allowed_stakes(GOAL)
    counts = np.broadcast_to(cell["n"] * allowed, (STEPS, *allowed.shape))
    data = mdp.sample_at(counts, size=cell["replicates_per_block"], rng=rng)
    pessimistic = vi_lcb_episodic(data, constant=0.05, log_factor=1.0)
    policies = {
        "plug_in": plug_in(data).policy,
        "vi_lcb_bernstein": pessimistic.policy,
        "vi_lcb_no_stake": np.where(pessimistic.value > 0, pessimistic.policy, mdp.n_actions),
    }
    rows: list[dict[str, Any]] = []
    for rule, policy in policies.items():
        row = {"rule": rule, **rates.summarize("loss", game.suboptimality(policy))}
        if cell["n"] == 50:
            gaps = game.optimal_values[0] - game.evaluate(policy)[:, 0]  # (repetitions, capital)
            row["state_gaps"] = gaps.mean(axis=0).round(12).tolist()
        rows.append(row)
    return rows


def fitted_slope(points: list[Any]) -> tuple[float, float]:
    """Unweighted least-squares slope of log gap against log N, and half of its 95 % Monte Carlo interval.

    The slope is linear in the logarithms of the means, whose standard errors are se/mean; the interval follows.
    """
    n, gap, se = (np.array([row[key] for row in points], float) for key in ("n", "loss", "loss_se"))
    u = np.log(n) - np.log(n).mean()
    weights = u / (u @ u)
    return float(weights @ np.log(gap)), 1.96 * float(np.linalg.norm(weights * se / gap))


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, (left, right) = plotting.panels(1, 2, width=4.5, height=3.6)
    for rule, points in rates.group([row for row in rows if row["n"] == 50], "rule").items():
        gaps = np.mean([row["state_gaps"] for row in points], axis=0)
        name, color, _ = plotting.RULES[rule]
        left.plot(np.arange(len(gaps)), gaps, color=plotting.COLORS[color], label=name)
    left.set_title("each capital, N = 50", loc="left")
    left.set_xlabel("capital")
    left.set_ylabel("loss (probability of winning)")
    plotting.loglog(right, x="draws N of every stake", y="", title="uniform start")
    averaged = rates.average_blocks([row for row in rows if row["n"] != 50])
    notes = []
    for rule, points in rates.group(averaged, "rule").items():
        x, y, se = ([row[key] for row in points] for key in ("n", "loss", "loss_se"))
        slope, half = fitted_slope(points)
        plotting.curve(right, x, y, se=se, rule=rule)
        notes.append((y[0], f"slope {signed(slope)} ± {half:.2f}", rule))
        if rule == "vi_lcb_no_stake":
            line = np.exp(np.log(y).mean() + PUBLISHED_SLOPE * (np.log(x) - np.log(x).mean()))
            plotting.theorem(right, x, line, label=f"published slope {signed(PUBLISHED_SLOPE, 3)}")
            ten = half * math.sqrt(points[0]["replicates"] / REPETITIONS)
    tell(right, notes)
    right.set_ylim(1e-5, 1)
    legend_above(figure, right, last=["published"])
    plotting.caption(
        figure,
        "Our run of the experiment of Li et al. (2022), arXiv:2204.05275. Where every stake has the pessimistic value "
        "0 we stake 1 or none: they do not say, and the second was found in search of their slope, of ten repetitions "
        f"(± {ten:.3f} by our data). For large N both lose the same, and more steeply: no evidence for a power of N. "
        "Least squares with 95 % Monte Carlo errors; losses of policies exact, bars of two standard errors. Bernstein "
        "widths of Var(V), c = 0.05, no logarithm.",
    )
    return figure
