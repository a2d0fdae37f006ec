r"""A game between nature and a learner, solved from both sides: worlds against rules whose Bayes answers are exact.

Worlds are w = 1..K; rules :math:`\pi` form a convex set, and losses :math:`L_w(\pi)` are linear in the rule. The
value is

.. math:: v = \min_\pi \max_w L_w(\pi) = \max_{\lambda} F(\lambda), \qquad
          F(\lambda) = \min_\pi \sum_w \lambda_w L_w(\pi)

over priors :math:`\lambda` in the simplex. Any prior gives a lower bound, any mixture of rules an upper bound. A Bayes
rule for :math:`\lambda` is a cut of the concave F: :math:`F(\lambda') \le \sum_w \lambda'_w L_w` for every other prior.
The level bundle method keeps such cuts. Each step asks for the Bayes rule of a prior; solves the game between all rules
so far and the worlds, a linear program whose value is the upper bound; and goes on from the prior nearest to the best
one so far, among those that no cut forbids to reach halfway between the two bounds.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pessimism._types import Floats

MOST_CUTS, IDLE = 90, 15
"""Cuts that had no weight for `IDLE` steps are dropped while there are more than `MOST_CUTS`."""

Oracle = Callable[[Floats], tuple[float, Floats, Any]]
"""Maps a prior (K,) to F, the losses (K,) of a Bayes rule, and the rule in any form."""


@dataclass
class Bundle:
    """Rules found so far with their losses, and the bounds they prove.

    `prior` (K,) proves `lower`; the mixture of `rules` with `weights` proves `upper` on these worlds. Values below
    `least` are not told apart.
    """

    prior: Floats
    lower: float = 0.0
    upper: float = np.inf
    losses: Floats = field(default_factory=lambda: np.empty((0, 0)))
    weights: Floats = field(default_factory=lambda: np.empty(0))
    rules: list[Any] = field(default_factory=list)
    idle: list[int] = field(default_factory=list)
    calls: int = 0
    least: float = 0.0

    def ask(self, oracle: Oracle, prior: Floats) -> None:
        """Call the oracle; keep its rule, and the prior if it proves more."""
        value, losses, rule = oracle(prior)
        self.calls += 1
        self.losses = np.vstack([self.losses.reshape(-1, losses.size), losses])
        self.rules.append(rule)
        self.idle.append(0)
        if value > self.lower:
            self.lower, self.prior = value, prior

    def mix(self) -> None:
        """The best mixture of the rules so far."""
        from scipy.optimize import linprog

        m, worlds = self.losses.shape
        scale = self._scale()
        # max t, t <= (losses @ prior)_i for every rule i: the duals of these rows are the best mixture
        table = np.hstack([-self.losses / scale, np.ones((m, 1))])
        cost, once = np.zeros(worlds + 1), np.ones((1, worlds + 1))
        cost[-1], once[0, -1] = -1.0, 0.0
        bounds = [(0.0, None)] * worlds + [(None, None)]
        found = linprog(cost, table, np.zeros(m), once, [1.0], bounds, method="highs-ds")
        weights = np.full(m, 1.0 / m) if found.x is None else np.maximum(-found.ineqlin.marginals, 0.0)
        self.weights = weights / weights.sum()
        self.upper = float((self.weights @ self.losses).max())
        self.idle = [0 if w > 0 else i + 1 for w, i in zip(self.weights, self.idle, strict=True)]
        self._drop()

    def next_prior(self) -> Floats:
        """The prior nearest to the best one where every cut allows the middle of the bracket."""
        import clarabel
        from scipy import sparse

        m, worlds = self.losses.shape
        scale = self._scale()
        level = (self.lower + self.upper) / (2.0 * scale)
        rows = sparse.csc_array(np.vstack([np.ones((1, worlds)), -np.eye(worlds), -self.losses / scale]))
        right = np.concatenate([[1.0], np.zeros(worlds), np.full(m, -level)])
        cones = [clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(worlds + m)]
        settings = clarabel.DefaultSettings()
        settings.verbose = False
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-6  # any prior serves
        square = sparse.csc_array(np.eye(worlds))
        found = np.maximum(clarabel.DefaultSolver(square, -self.prior, rows, right, cones, settings).solve().x, 0.0)
        total = found.sum()
        return found / total if np.isfinite(total) and total > 0 else self.prior

    def extend(self, losses: Floats) -> None:
        """New worlds, with the losses (rules, new worlds) of every rule in them; the prior has no mass there."""
        self.losses = np.hstack([self.losses, losses])
        self.prior = np.concatenate([self.prior, np.zeros(losses.shape[1])])
        self.upper = float((self.weights @ self.losses).max())

    def _scale(self) -> float:
        return self.upper if 0 < self.upper < np.inf else float(self.losses.max()) or 1.0

    def _drop(self) -> None:
        if len(self.rules) > MOST_CUTS:
            keep = [i for i, idle in enumerate(self.idle) if idle <= IDLE]
            self.losses, self.weights = self.losses[keep], self.weights[keep]
            self.rules, self.idle = [self.rules[i] for i in keep], [self.idle[i] for i in keep]


def tighten(bundle: Bundle, oracle: Oracle, tolerance: float, most_calls: int) -> bool:
    """Go on until the bounds on these worlds agree within a relative tolerance, or all calls are spent."""
    while bundle.upper > max(bundle.lower, bundle.least) * (1.0 + tolerance):
        if bundle.calls >= most_calls:
            return False
        bundle.ask(oracle, bundle.prior if not bundle.rules else bundle.next_prior())
        bundle.mix()
    return True
