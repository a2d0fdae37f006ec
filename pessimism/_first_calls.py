"""Compiling ahead of time: every kernel is reached by the calls that users make.

A kernel that is compiled for a signature spelled out by hand may be one that no call ever asks for; so the package is
used instead, on the smallest inputs that take every path. A test holds that no kernel is left out.
"""

from collections.abc import Callable


def bandits() -> None:
    import numpy as np

    from pessimism.bandits import Bandit, behavior, exact, instances, lcb

    bandit = Bandit(means=[[0.6, 0.5]])
    law = behavior.prescribe(bandit, cstar=1.5)
    lcb(bandit.sample(law, n=20, size=20_000, rng=0))
    bandit.sample(law, n=1_000, size=20_000, rng=0)
    for kind in ("bernoulli", "gaussian", "deterministic"):
        world = Bandit(means=[[0.6, 0.5]], rewards=kind)
        exact.suboptimality(world, law, 10, level=[1.0, np.inf], unseen=0.2, sigma=0.5)
    mixed = Bandit(means=[[0.6, 0.5]], rewards=[["gaussian", "bernoulli"]])
    exact.suboptimality(mixed, law, 10, level=1.0, sigma=0.5)
    exact.most_played_log_error(0.6, 10)
    exact.suboptimality(*instances.symmetric(1.5, 0.1), 10, level=0.0)


WINGS: dict[str, Callable[[], None]] = {"bandits": bandits}
