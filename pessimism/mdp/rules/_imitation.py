"""When a pessimistic rule departs nowhere from imitation, and how its plan says so.

A rule with widths starts from the smallest possible values and raises one first where a mean reward exceeds its width.
For n visits whose rewards are on average `gain` above the smallest, that is so if c unit < n gain, with c the constant
of the widths and a `unit` that depends on the rule.
"""

from typing import Any, NamedTuple

import numpy as np

from pessimism._status import ImitationWarning, Status
from pessimism._types import Floats, Ints
from pessimism._warn import warn
from pessimism.mdp._engine.solution import as_status
from pessimism.mdp.planning import Plan
from pessimism.mdp.rules._empirical import Empirical

DONE = (Status.CONVERGED, Status.EXACT, Status.COMPLETED)


class First(NamedTuple):
    """What decides which value of a data set moves first: visits and gains (..., [H,] S, A), units (...)."""

    counts: Ints
    gains: Floats
    unit: Floats
    folds: int = 1

    @property
    def constant(self) -> Floats:
        """(...) supremum of the constants at which a value moves; 0 if there is none."""
        return np.asarray(
            np.maximum(_largest(self.counts * self.gains, self.unit.ndim) / (self.folds * self.unit), 0.0)
        )

    def visits(self, constant: float) -> Floats:
        """(...) visits of the best pair seen beyond which its value moves, inf if none earns enough."""
        best = np.maximum(_largest(np.where(self.counts > 0, self.gains, 0.0), self.unit.ndim), 0.0)
        return np.asarray(np.divide(constant * self.unit, best, out=np.full(best.shape, np.inf), where=best > 0))


def hoeffding(known: Empirical, pairs: Floats, folds: int = 1) -> First:
    """Widths V_max sqrt(c log(folds pairs) / n), for folds that have their share of all visits."""
    unit = np.log(folds * pairs) / (1.0 - known.tables.discount) ** 2
    return First(known.counts, _above(known) ** 2, np.asarray(unit), folds)


def bernstein(known: Empirical, total: Ints, log: Floats) -> First:
    """Widths 2 c log / ((1 - gamma) n) + 5 / N: all values are the same, and their variance 0."""
    gains = _above(known) - 5.0 / total[..., None, None]
    return First(known.counts, gains, np.asarray(2.0 * log / (1.0 - known.tables.discount)))


def episodic(known: Empirical, log: Floats) -> First:
    """Widths c H log / n."""
    assert known.tables.horizon is not None
    return First(known.counts, _above(known), np.asarray(known.tables.horizon * log))


def marked(plan: Plan, imitated: Ints) -> Plan:
    """The plan, with status IMITATION where it ended as it should with the actions `imitated` everywhere."""
    status = np.array(plan.status, object)
    if plan.policy.size:
        same = (plan.policy == imitated).all(axis=tuple(range(len(plan.shape), plan.policy.ndim)))
        status[same & np.isin(status, np.array(DONE, object))] = Status.IMITATION
    return Plan(plan.policy, plan.value, as_status(status, plan.shape), plan.iterations, plan.error_bound)


def told(plan: Plan, rule: str, counts: Ints, constant: float = np.nan, first: First | None = None) -> Plan:
    """The plan; one warning if all of a batch depart nowhere from imitation.

    Nothing is said of logs without a state in which two actions were seen: there is nothing to depart to.
    """
    imitates = np.isin(np.asarray(plan.status, object), np.array([Status.NO_UPDATE, Status.IMITATION], object))
    if not imitates.all() or np.count_nonzero(counts, axis=-1).max(initial=0) < 2:
        return plan
    sets = f"any of the {imitates.size} data sets" if plan.shape else "this data set"
    message = f"{rule} departs nowhere from imitation in {sets}; the largest count of a pair is {counts.max()}"
    if first is not None:
        where = "" if first.folds == 1 else f" in one of {first.folds} folds"
        message += (
            f", a value can move only from {np.min(first.visits(constant)):.4g} visits{where} on at constant = "
            f"{constant:g}, and the largest constant that moves one is {np.max(first.constant):.3g}"
        )
    warn(f"{message}. See moving_constant.", ImitationWarning)
    return plan


def _above(known: Empirical) -> Floats:
    """Mean rewards of pairs above the smallest possible one, as a part of the range."""
    low, high = known.reward_range
    return np.asarray((known.tables.rewards - low) / (high - low))


def _largest(table: Any, batch: int) -> Floats:
    return np.asarray(table.max(axis=tuple(range(batch, table.ndim)), initial=-np.inf))
