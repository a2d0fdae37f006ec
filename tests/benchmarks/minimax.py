"""The level bundle beside a linear program over all rules on the same worlds, and a certificate beside a search."""

from functools import partial

import numpy as np

from pessimism._batch import small_matrices
from pessimism._boxes import Slab
from pessimism._game import tighten
from pessimism.bandits import exact, hoeffding_level, instances, lcb, minimax
from pessimism.bandits._engine import exchange, two_arms
from tests.bandits import logs as plain

ROUNDS, WORLDS = 40, 150


def pairs():
    """(label, ours, peer, difference of the answers) for `make bench`."""
    logs, slabs = two_arms.Logs(ROUNDS, tuple(range(ROUNDS + 1)), True), [Slab(0.25, 1.0)]
    worlds = exchange._Game(logs, slabs, 1e-6).worlds[:WORLDS]

    def bundle():
        game = exchange._Game(logs, slabs, 1e-6)
        game.worlds, game.weights = worlds, game._weights(worlds)
        game.bundle.prior = np.full(len(worlds), 1.0 / len(worlds))
        with small_matrices():
            tighten(game.bundle, game.oracle, 1e-4, 1000)
        return game.bundle.upper

    program = partial(plain.lp_value, ROUNDS, worlds)
    yield (
        f"game of {WORLDS} worlds, N = {ROUNDS}, linear program over rules",
        bundle,
        program,
        abs(bundle() / program() - 1),
    )
    family = partial(exact.worst_case, partial(instances.symmetric, 4.0), 100, level=float(hoeffding_level(100, 1, 2)))
    ours = partial(minimax.certified_worst, lcb, 100, 4.0)
    yield "worst case of LCB on a class, N = 100, along one family", ours, family, 0.0
