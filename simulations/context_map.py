"""Local exponent of the worst loss over the plane of composition C* - 1 and sample size N.

Exact losses with two contexts, and their local slopes between neighbouring N at fixed C*. The loss is the larger one of
two families: `instances.ambiguous_contexts` and, since expert data belong to every class of C*,
`instances.missing_mass`. LCB passes from 1/N to N^-1/2 along N (C* - 1) = const, as the minimax rate does; imitation
stops learning there.

See also `pessimism.bandits.bounds.contextual_rate`, `pessimism.bandits.instances.ambiguous_contexts`,
`pessimism.bandits.instances.missing_mass`.
"""

import math
from functools import partial
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bandits import bounds, exact, hoeffding_level, instances

from ._grid import cells

VERSION = 2
GRID = {
    "quick": cells(excess=[10.0 ** (-k / 2) for k in range(8)], n=[32 * 2**k for k in range(8)]),
    "full": cells(excess=[10.0 ** (-k / 4) for k in range(17)], n=[64 * 2**k for k in range(11)]),
}


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Worst loss of both rules over the two families; exact, so `rng` is not used."""
    n, family = cell["n"], partial(instances.ambiguous_contexts, 1.0 + cell["excess"], 2)
    rows = []
    for rule, level in (("lcb", float(hoeffding_level(n, 2, 2))), ("most_played", math.inf)):
        ambiguous = exact.worst_case(family, n, level=level).loss
        missing = float(exact.suboptimality(*instances.missing_mass(n, 2), n, level=level))
        rows.append({"rule": rule, "loss": max(ambiguous, missing), "ambiguous": ambiguous, "missing": missing})
    return rows


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plotting.panels(1, 3, width=8.4, height=3.2, sharey=True)
    curves = {rule: rates.group(points, "excess") for rule, points in rates.group(rows, "rule").items()}
    excess = sorted(curves["lcb"])
    sizes = np.array([row["n"] for row in curves["lcb"][excess[0]]], float)
    middle = np.sqrt(sizes[1:] * sizes[:-1])
    losses = {
        plotting.RULES[rule][0]: [[row["loss"] for row in own[e]] for e in excess] for rule, own in curves.items()
    }
    theorem: list[Any] = [bounds.contextual_rate(sizes, 1.0 + e, 2) for e in excess]
    losses = {"minimax rate (Theorems 4, 5)": theorem, **losses}
    for panel, (title, lines) in zip(axes, losses.items(), strict=True):
        slopes = [-rates.local_slopes(sizes, line) for line in lines]
        image = plotting.heatmap(panel, middle, excess, slopes, cmap=plotting.sequential(), vmin=0.0, vmax=1.0)
        # N (C* - 1) = 1/e in cell coordinates: one octave of N is one cell
        across = np.log2(1.0 / (np.e * np.array(excess)) / middle[0])
        panel.autoscale(False)
        panel.plot(across, np.arange(len(excess)), color="white", linestyle=(0, (5, 2.5)), linewidth=1.2)
        panel.set_title(title, loc="left")
        panel.set_xlabel("rounds N")
        panel.set_xticks(range(len(middle)), [f"{m:,.0f}" for m in middle], rotation=45)
    axes[0].set_ylabel("$C^* - 1$")
    figure.colorbar(image, ax=axes, label="exponent (minus the local slope)")
    plotting.caption(
        figure,
        "Two contexts, two arms, gap re-optimised for every point; LCB and imitation exact, the larger of two losses;",
        "they change places near N (C* - 1) = 1/e (dashed), where cells show a kink. Rate: Rashidinejad et al. (2021).",
    )
    return figure
