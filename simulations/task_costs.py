"""Cost of a given accuracy when rows have prices, get cheaper in bulk, or need an initial fee: exact.

The allocation of every rule is scaled until the leading-order risk of the representation is the same; what it then
costs is drawn relative to the cheapest allocation known.

See also `pessimism.tasks.costs.linear_cost`, `pessimism.tasks.costs.power_cost`, `pessimism.tasks.costs.jump_cost`,
`pessimism.tasks.designs.variance`.
"""

from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.tasks import costs, designs, instances, min_l1, min_l2

from ._words import legend_above

VERSION = 1
TASKS, RANK = 16, 3
VARIANCE = 1e-3  # w' (W D W')^{-1} w
WORLDS = {"quick": 20, "full": 200}
KNOBS = {
    "linear": (1, 2, 4, 8, 16, 32, 64),  # largest price over the smallest
    "power": (0.3, 0.5, 0.7, 1, 1.4, 2, 3),  # exponent of n
    "jump": (1, 10, 100, 1000, 10_000, 100_000),  # fee for each task bought from
}
GRID = {
    profile: [
        {"kind": kind, "knob": knob, "n": world} for kind in KNOBS for knob in KNOBS[kind] for world in range(count)
    ]
    for profile, count in WORLDS.items()
}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Costs for one set of random tasks; `rng` is unused: tasks and prices are seeded by their number, the key n."""
    tasks = instances.random_gaussian(RANK, TASKS, dimension=RANK, rng=cell["n"])
    heads, target, knob = tasks.heads, tasks.target, cell["knob"]
    if cell["kind"] == "jump":  # a difference of two tasks: these two suffice, but three may have the smaller L1 norm
        target = heads[:, 0] - heads[:, 1]
    prices = knob ** np.random.default_rng(cell["n"]).random(TASKS)
    if cell["kind"] == "linear":
        best = costs.linear_cost(heads, target, variance=VARIANCE, prices=prices)
    elif cell["kind"] == "power":
        best = costs.power_cost(heads, target, variance=VARIANCE, exponent=knob)
    else:
        best = costs.jump_cost(heads, target, variance=VARIANCE, jump=knob)
    shares = {
        "optimal_design": best.samples,
        "l1": np.abs(min_l1(heads, target).weights),
        "l2": min_l2(heads, target).weights ** 2,
        "uniform": np.ones(TASKS),
    }
    rows = []
    for rule, share in shares.items():
        n = share / share.sum()
        n = n * designs.variance(heads, target, n) / VARIANCE
        rows.append(
            {"rule": rule, "cost": price(cell["kind"], knob, prices, n), "bought": int((n > 0).sum()),
             "lower_bound": best.lower_bound}
        )  # fmt: skip
    return rows


def price(kind: str, knob: float, prices: Any, n: Any) -> float:
    if kind == "linear":
        return float((prices * n).sum())
    if kind == "power":
        return float((n**knob).sum())
    return float(n.sum() + knob * (n > 0).sum())


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plotting.panels(1, 3, width=4.5, height=3.6, sharey=True)
    names = {"optimal_design": "made for the cost", "l1": "L1"}
    labels = {
        "linear": ("largest price\n/ smallest", "prices"),
        "power": (r"power $\alpha$ of $n^\alpha$", "bulk"),
        "jump": ("fee a task", "fees"),
    }
    for panel, kind in zip(axes, KNOBS, strict=True):
        here = [row for row in rows if row["kind"] == kind]
        best = {(row["knob"], row["n"]): row["cost"] for row in here if row["rule"] == "optimal_design"}
        counts = []
        for rule, points in rates.group(here, "rule").items():
            ratio = rates.group([{**row, "ratio": row["cost"] / best[row["knob"], row["n"]]} for row in points], "knob")
            x = sorted(ratio)
            middle, low, high = (
                [float(np.quantile([row["ratio"] for row in ratio[k]], q)) for k in x] for q in (0.5, 0.25, 0.75)
            )
            counts.append(f"{names.get(rule, plotting.RULES[rule][0])} {bought(ratio[x[0]], ratio[x[-1]])}")
            plotting.curve(panel, x, middle, rule=rule, label=names.get(rule))
            panel.fill_between(x, low, high, color=plotting.COLORS[plotting.RULES[rule][1]], alpha=0.15, linewidth=0)
        name, title = labels[kind]
        plotting.loglog(panel, x=name, y="", title=title)
        ticks = {"linear": (1, 8, 64), "power": (0.3, 1, 3), "jump": (1, 1e2, 1e4)}[kind]
        panel.set_xticks(ticks, [plotting.power_label(tick) for tick in ticks])
        panel.set_xticks([], minor=True)
    tick_plainly(axes[0])
    axes[0].set_ylabel("cost / that of the rule\nmade for it")
    legend_above(figure, axes[0])
    plotting.caption(
        figure,
        f"Exact to leading order in the samples: k = {RANK}, M = {TASKS}, medians and quartiles over random unit "
        "tasks, every rule scaled to the same accuracy. Made for the cost: weighted L1; least p-norm (below 1 by "
        "enumeration of all bases); enumeration with a fee for each task, targets w1 − w2. Tasks bought on average, "
        f"from the lowest to the highest fee: {'; '.join(counts)}. Derived by us.",
    )
    return figure


def bought(cheap: Any, dear: Any) -> str:
    """Mean number of tasks bought at the lowest and at the highest fee."""
    low, high = (f"{np.mean([row['bought'] for row in rows]):.3g}" for rows in (cheap, dear))
    return low if low == high else f"{low} to {high}"


def tick_plainly(panel: Any) -> None:
    ticks = [t for t in (1, 1.5, 2, 3, 5, 10, 20, 50, 100) if t <= panel.get_ylim()[1]]
    panel.set_yticks(ticks, [f"{t:g}" for t in ticks])
    panel.set_yticks([], minor=True)
