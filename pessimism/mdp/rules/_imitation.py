"""When a pessimistic rule departs nowhere from imitation, and how its plan says so.

A rule with widths starts from the smallest possible values and raises one first where a mean reward exceeds its width.
For n visits whose rewards are on average `gain` above the smallest, that is so if c unit < n gain, with c the constant
of the widths and a `unit` that depends on the rule.
"""

from dataclasses import replace
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

    def visits(self, constant: float | Floats) -> Floats:
        """(...) visits of the best pair seen beyond which its value moves, inf if none earns enough."""
        best = np.maximum(_largest(np.where(self.counts > 0, self.gains, 0.0), self.unit.ndim), 0.0)
        return np.asarray(np.divide(constant * self.unit, best, out=np.full(best.shape, np.inf), where=best > 0))


def hoeffding(known: Empirical, pairs: Floats, folds: int = 1) -> First:
    """Widths V_max sqrt(c log(folds pairs) / n), for folds that have their share of all visits."""
    unit = np.log(folds * pairs) / (1.0 - known.tables.discount) ** 2
    return First(known.counts, np.maximum(_above(known)[0], 0.0) ** 2, np.asarray(unit), folds)


def bernstein(known: Empirical, total: Ints, log: Floats) -> First:
    """Widths max(sqrt(c log Var / n), 2 c log / ((1 - gamma) n)) + 5 / N."""
    gain, variance = _above(known)
    gain = np.maximum(gain - 5.0 / total[..., None, None], 0.0)
    by_variance = np.divide(gain**2, variance, out=np.full(gain.shape, np.inf), where=variance > 0)
    return First(known.counts, np.minimum(by_variance, gain * (1.0 - known.tables.discount) / 2.0), np.asarray(log))


def episodic(known: Empirical, log: Floats) -> First:
    """Widths sqrt(c log Var / n) + c H log / n: quadratic in sqrt(c log / n)."""
    gain, variance = _above(known)
    twice = 2.0 * max(known.counts.shape[-3], 1)
    root = (np.sqrt(variance + 2.0 * twice * np.maximum(gain, 0.0)) - np.sqrt(variance)) / twice
    return First(known.counts, root**2, np.asarray(log))


def marked(plan: Plan, imitated: Ints) -> Plan:
    """The plan, with status IMITATION where it ended as it should with the actions `imitated` everywhere."""
    status = np.array(plan.status, object)
    if plan.policy.size:
        same = (plan.policy == imitated).all(axis=tuple(range(len(plan.shape), plan.policy.ndim)))
        status[same & np.isin(status, np.array(DONE, object))] = Status.IMITATION
    return replace(plan, status=as_status(status, plan.shape))


def told(plan: Plan, rule: str, counts: Ints, constant: float | Floats = np.nan, first: First | None = None) -> Plan:
    """The plan; one warning if all of a batch depart nowhere from imitation.

    Nothing is said of logs without a state in which two actions were seen: there is nothing to depart to.
    """
    status = np.asarray(plan.status, object)
    imitates = np.isin(status, np.array([Status.NO_UPDATE, Status.IMITATION], object))
    if not imitates.all() or np.count_nonzero(counts, axis=-1).max(initial=0) < 2:
        return plan
    sets = f"any of the {imitates.size} data sets" if plan.shape else "this data set"
    factor = " to ".join(f"{c:g}" for c in dict.fromkeys((np.min(constant), np.max(constant))))
    message = f"{rule} departs nowhere from imitation in {sets}; the largest count of a pair is {counts.max()}"
    if first is not None and np.any(status == Status.IMITATION):
        message += f"; values move at constant = {factor}, but no action with them"
    elif first is not None and np.isinf(np.min(first.visits(constant))):
        message += "; no number of visits would move a value, since no reward exceeds the smallest possible one"
    elif first is not None:
        where = "" if first.folds == 1 else f" in one of {first.folds} folds"
        message += (
            f", a value can move only from {np.min(first.visits(constant)):.4g} visits{where} on at constant = "
            f"{factor}, and the largest constant that moves one is {np.max(first.constant):.3g}"
        )
    warn(f"{message}. See moving_constant.", ImitationWarning)
    return plan


def _above(known: Empirical) -> tuple[Floats, Floats]:
    """How much a pair is worth above the smallest possible value before anything has moved, and with what variance.

    Rewards are scaled to [0, 1], and then all values are 0 but those of terminal states.
    """
    tables, given = known.scaled, np.maximum(known.known_values, 0.0)
    if not known.terminal.any():
        return tables.rewards, np.zeros(tables.rewards.shape)
    if tables.horizon is None:
        later = given[tables.next_states]
    else:
        after, lists = np.concatenate([given[1:], 0.0 * given[:1]]), tables.next_states
        later = np.stack([after[h][lists[h % len(lists)]] for h in range(tables.horizon)])
    mean = (tables.probabilities * later).sum(axis=-1)
    return tables.rewards + tables.discount * mean, (tables.probabilities * (later - mean[..., None]) ** 2).sum(axis=-1)


def _largest(table: Any, batch: int) -> Floats:
    return np.asarray(table.max(axis=tuple(range(batch, table.ndim)), initial=-np.inf))
