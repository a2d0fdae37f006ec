"""Offline RL and planning: ours through the public API beside NumPy sampling and quantecon, on the same tables."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from quantecon.markov import DiscreteDP
from scipy import sparse

from pessimism import rates, sweep
from pessimism.mdp import MDP, generators, plan, vi_lcb

DISCOUNT, LEARNT, TOLERANCE = 0.95, 100_000, 1e-6
CONSTANT = 1e-4  # Hoeffding's 1/2 lets nothing move at a hundred visits a pair; both sides use this
REPLICATES, BLOCKS = 200, 4


@cache
def small() -> tuple[MDP, np.ndarray]:
    """S = 200, A = 5, 10 successors, and the uniform law."""
    mdp = generators.garnet(200, 5, 10, discount=DISCOUNT, rng=1)
    return mdp, np.full((200, 5), 1 / 1000)


def learn_cell(cell: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    mdp, law = small()
    data = mdp.sample(law, n=LEARNT, size=cell["size"], rng=rng)
    learnt = vi_lcb(data, discount=DISCOUNT, constant=CONSTANT, monotone=False, tolerance=TOLERANCE)
    return rates.summarize("value", learnt.value.mean(axis=-1))


def learn() -> float:
    """W3, ours: mean learnt value over 200 data sets, a sweep on two threads."""
    cells = [{"size": REPLICATES // BLOCKS, "block": b} for b in range(BLOCKS)]
    with ThreadPoolExecutor(2) as pool:
        rows = sweep.run(learn_cell, cells, seed=1, name="W3", executor=pool, progress=False)
    return float(rates.average_blocks(rows, y="value")[0]["value"])


def learn_plainly() -> float:
    """The same by NumPy and quantecon's modified policy iteration, one data set after the other."""
    mdp, law = small()
    rng, values = np.random.default_rng(2), []
    pairs, width = 1000, 10
    rows = np.repeat(np.arange(pairs), width)
    states, actions = np.repeat(np.arange(200), 5), np.tile(np.arange(5), 200)
    level = CONSTANT * np.log(2 * pairs * LEARNT)
    table, means = mdp.probabilities.reshape(pairs, width), mdp.rewards.ravel()
    for _ in range(REPLICATES):
        counts = rng.multinomial(LEARNT, law.ravel())
        moved = rng.multinomial(counts, table)
        shares = moved / np.maximum(counts, 1)[:, None]
        gains = means - np.sqrt(level / np.maximum(counts, 1)) / (1 - DISCOUNT)
        matrix = sparse.csr_matrix((shares.ravel(), (rows, mdp.next_states.ravel())), shape=(pairs, 200))
        problem = DiscreteDP(gains, matrix, DISCOUNT, states, actions)
        values.append(solved(problem).mean())
    return float(np.mean(values))


@cache
def large(name: str, side: int = 316) -> MDP:
    """S about 1e5, A = 4, 5 successors: the slow torus, the fast garnet."""
    if name == "torus":
        return generators.torus(side, discount=0.99)
    return generators.garnet(side**2, 4, 5, discount=0.99, rng=3)


def planned(name: str) -> np.ndarray:
    return plan(large(name), tolerance=TOLERANCE).value


@cache
def as_quantecon(name: str) -> DiscreteDP:
    mdp = large(name)
    s, a, b = mdp.next_states.shape
    table = sparse.csr_matrix(
        (mdp.probabilities.ravel(), (np.repeat(np.arange(s * a), b), mdp.next_states.ravel())), shape=(s * a, s)
    )
    return DiscreteDP(mdp.mean_rewards.ravel(), table, 0.99, np.repeat(np.arange(s), a), np.tile(np.arange(a), s))


def planned_by_quantecon(name: str) -> np.ndarray:
    return solved(as_quantecon(name))


def solved(problem: DiscreteDP) -> np.ndarray:
    """Quantecon's fastest method on these models; its epsilon is twice the error allowed."""
    result = problem.solve(method="mpi", epsilon=2 * TOLERANCE, k=20, max_iter=100_000)
    return np.asarray(result.v)
