"""Plain twins of the minimax engine: every log of two arms, probabilities by SciPy, a linear program over rules."""

import itertools

import numpy as np
from scipy.optimize import linprog
from scipy.stats import binom


def logs(n, pulls=None):
    """All (n1, s1, n2, s2)."""
    return [
        (k, s1, n - k, s2)
        for k in (range(n + 1) if pulls is None else [pulls])
        for s1, s2 in itertools.product(range(k + 1), range(n - k + 1))
    ]


def chances(every, n, world, drawn=True):
    """Probability of each log in the world (mean of arm 1, of arm 2, probability of arm 1)."""
    n1, s1, n2, s2 = np.array(every).T
    first, second, p = world
    law = binom.pmf(n1, n, p) if drawn else 1.0
    return law * binom.pmf(s1, n1, first) * binom.pmf(s2, n2, second)


def lp_value(n, worlds, *, pulls=None, known=False):
    """Minimax risk over finitely many worlds by a linear program over all rules; no symmetry is used."""
    every = logs(n, pulls)
    rows = []
    for better, other, p in worlds:
        pairs = [((better, other, p), 0), ((other, better, p if known else 1.0 - p), 1)]
        for world, best in pairs:
            rows.append((better - other, chances(every, n, world, pulls is None), best))
    table, right = [], []
    for gap, chance, best in rows:  # x: probability of the second arm
        sign = 1.0 if best == 0 else -1.0
        table.append(np.append(sign * gap * chance, -1.0))
        right.append(0.0 if best == 0 else -gap * chance.sum())
    cost = np.append(np.zeros(len(every)), 1.0)
    bounds = [(0, 1)] * len(every) + [(0, None)]
    return linprog(cost, np.array(table), right, bounds=bounds, method="highs").fun
