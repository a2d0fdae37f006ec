"""Two workloads, each through the public API and as a one-threaded vectorised NumPy script: the same mean losses."""

import math
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np

from pessimism import rates, sweep
from pessimism.bandits import Bandit, greedy, lcb, most_played

SIZES = tuple(10**k for k in range(2, 7))
RULES = {"lcb": lcb, "greedy": greedy, "most_played": most_played}
WORKLOADS = {  # contexts, arms, replicates for every N, blocks
    "W1": (1, 10, 10_000, 4),
    "W2": (100, 10, 2_000, 10),
}


@cache
def problem(contexts: int, arms: int) -> tuple[Bandit, np.ndarray]:
    """Means from 0.3 to 0.7, shuffled in every context; a law that prefers the arms of low index."""
    rng = np.random.default_rng(12)
    means = rng.permuted(np.tile(np.linspace(0.3, 0.7, arms), (contexts, 1)), axis=1)
    law = np.tile(np.arange(arms, 0, -1.0), (contexts, 1))
    return Bandit(means), law / law.sum()


def run_cell(cell: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """One block of replicates: rows for every N and rule."""
    bandit, law = problem(cell["contexts"], cell["arms"])
    rows = []
    for n in SIZES:
        data = bandit.sample(law, n=n, size=cell["size"], rng=rng)
        losses = bandit.suboptimality(np.stack([rule(data) for rule in RULES.values()]))  # (rules, size)
        rows += [{"n": n, "rule": k, **rates.summarize("loss", loss)} for k, loss in zip(RULES, losses, strict=True)]
    return rows


def ours(name: str, workers: int = 2) -> dict[tuple[int, str], tuple[float, float]]:
    """(N, rule) -> mean loss and standard error, by a sweep on threads."""
    contexts, arms, replicates, blocks = WORKLOADS[name]
    shape = {"contexts": contexts, "arms": arms, "size": replicates // blocks}
    cells = [shape | {"block": b} for b in range(blocks)]
    with ThreadPoolExecutor(workers) as pool:
        rows = sweep.run(run_cell, cells, seed=1, name=name, executor=pool, progress=False)
    return {(row["n"], row["rule"]): (row["loss"], row["loss_se"]) for row in rates.average_blocks(rows)}


def plain_numpy(name: str) -> dict[tuple[int, str], tuple[float, float]]:
    """The same by the script a researcher would write: no package, one thread."""
    contexts, arms, replicates, _ = WORKLOADS[name]
    bandit, law = problem(contexts, arms)
    means, gaps = bandit.means, (bandit.means.max(axis=1, keepdims=True) - bandit.means)
    rng, result = np.random.default_rng(2), {}
    for n in SIZES:
        counts = rng.multinomial(n, law.ravel(), size=replicates).reshape(replicates, contexts, arms)
        sums = rng.binomial(counts, means)
        pulls = np.maximum(counts, 1)
        averages = np.where(counts > 0, sums / pulls, -np.inf)
        width = np.sqrt(0.5 * math.log(2 * contexts * arms * n) / pulls)
        for rule, index in (("lcb", averages - width), ("greedy", averages), ("most_played", counts)):
            loss = gaps[np.arange(contexts), index.argmax(axis=-1)].mean(axis=-1)
            result[n, rule] = (float(loss.mean()), float(loss.std(ddof=1) / math.sqrt(replicates)))
    return result


def trajectories(replicates: int, n: int) -> np.ndarray:
    """Losses of LCB from logs drawn round by round in vectorised NumPy: what counts and sums replace."""
    bandit, law = problem(1, 10)
    rng, cdf = np.random.default_rng(3), np.cumsum(law.ravel())
    losses = np.empty(replicates)
    for i in range(replicates):
        arms = np.minimum(np.searchsorted(cdf, rng.random(n), side="right"), 9)
        hits = rng.random(n) < bandit.means[0, arms]
        counts = np.bincount(arms, minlength=10)
        averages = np.bincount(arms, hits, minlength=10) / np.maximum(counts, 1)
        index = np.where(counts > 0, averages - np.sqrt(0.5 * math.log(20 * n) / np.maximum(counts, 1)), -np.inf)
        losses[i] = bandit.gaps[0, index.argmax()]
    return losses
