"""Estimators beside the Open Bandit Pipeline's on the same log, and beside one NumPy pass over a batch of tables."""

from functools import partial

import numpy as np

from pessimism.bandits import Bandit, BanditData, PropensityData, estimators, risk
from tests import obp

ROUNDS, DATA_SETS = 100_000, 2000


def pairs():
    """(label, ours, peer, difference of the answers) for `make bench`."""
    log = obp.log(ROUNDS)
    *rounds, policy, model = log
    data = PropensityData.from_log(*rounds, n_contexts=3, n_arms=80)
    theirs, own = obp.calls(obp.estimators(), *log), obp.ours(data, policy, model)
    for name, peer in theirs.items():
        yield f"{name}, {ROUNDS:,} rounds, obp", own[name], peer, abs(float(own[name]()) / peer() - 1.0)
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 9, size=(DATA_SETS, 100, 10))
    tables = BanditData.trusted(counts, rng.random(counts.shape) * counts)
    pi, law = np.full((100, 10), 0.1), np.full((100, 10), 1e-3)
    weight = pi * 10.0

    def one_pass():
        return (weight * tables.sums).sum(axis=(-2, -1)) / tables.counts.sum(axis=(-2, -1))

    for name in ("direct", "ips", "snips"):
        estimator = partial(getattr(estimators, name), tables, pi, law)
        yield f"{name}, {DATA_SETS:,} data sets of 100 x 10, one NumPy pass", estimator, one_pass, 0.0
    world = Bandit([[1 / 3, 3 / 4, 1 / 2]])
    exact = partial(risk.ratio_risk, world, [[0.2, 0.6, 0.2]], [[0.5, 0.2, 0.3]], n=10**12)
    small = partial(risk.exact_risk, estimators.snips, world, [[0.2, 0.6, 0.2]], [[0.5, 0.2, 0.3]], n=8)
    yield "SNIPS risk at n = 10^12, enumeration at n = 8", exact, small, 0.0
