r"""Checking an offline rule: known awkward logs, then many drawn ones, then, if it claims one, its lower bound.

As for bandits, most mistakes break a symmetry of the problem and are found without knowing what the rule is for
(`pessimism.testing.mdp._offline_promises`). That a value is a lower bound of :math:`V^\pi` is a claim about
probabilities, and is tried on data drawn from models whose values are known (`pessimism.testing.mdp._lower_bound`).
"""

from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

import numpy as np

from pessimism import _check
from pessimism.mdp import MDPData
from pessimism.testing._driver import PromiseError, Trial, Unasked, checked_arguments, kept
from pessimism.testing.bandit._level import Level, as_level
from pessimism.testing.mdp._level import broken_level
from pessimism.testing.mdp._lower_bound import broken_bound
from pessimism.testing.mdp._offline import Case, OfflineRule, OfflineSubject, cases, transformed
from pessimism.testing.mdp._offline_promises import PROMISES, TIES_MATTER, jittered

__all__ = ["check_offline_rule"]

NUMBERED = ("lists", "states", "actions")

LONG = 10**6
"""Transitions beyond which a log is not put into a batch."""


def check_offline_rule(
    rule: OfflineRule,
    *,
    discount: float = 0.9,
    horizon: int | None = None,
    level: Level | float | None = None,
    lower_bound: bool | str = False,
    waive: Collection[str] = (),
    accepts: Callable[[MDPData], bool] | None = None,
    examples: int = 100,
) -> None:
    r"""Raise a RuleError that shows the smallest data set found on which an offline rule breaks a promise.

    Parameters
    ----------
    rule : callable
        ``rule(data, discount=...) -> plan``, or ``rule(data, horizon=...)``: anything with ``.policy``,
        (..., [H,] S) int or (..., [H,] S, A) float, and ``.value``, (..., [H,] S) float; like a `Plan`.
    discount : float
        What the rule is called with, in (0, 1).
    horizon : int, optional
        H, at least 1: the rule is given data with H steps and called with ``horizon`` instead.
    level : callable or float, optional
        The rule claims to subtract :math:`V_{\max} w \sqrt{L/N(s,a)}` from the mean reward, where w is the width of the
        reward range, :math:`V_{\max} = 1/(1-\gamma)` and L is this number, or ``level(n, states, actions)``:
        `pessimism.bandits.hoeffding_level` for `pessimism.mdp.vi_lcb`. Not with a horizon. Default: no claim.
    lower_bound : bool or str
        Whether its values claim to be lower bounds of the value of its policy, in all states at once, with probability
        at least 0.9; "known rewards" if only when rewards are deterministic.
    waive : collection of str
        Promises that the rule does not make: those quoted in the Notes. With "seen" waived, policies are compared only
        in states whose actions were all logged. With "repeat" waived, data on which answers differ by themselves are
        not compared; ties may then be broken at random.
    accepts : callable, optional
        ``accepts(data) -> bool``: what the rule is made for, as with ``lambda data: data.n > 0``; nothing else is
        tried. Default: everything.
    examples : int
        Data sets to draw, besides a few fixed ones: one pair, one transition, none at all, ties, a very long log.

    Raises
    ------
    RuleError
        An AssertionError, so that a plain call is a test.
    ValueError, TypeError
        If an argument is out of its range.

    Notes
    -----
    The promises, in the order in which they are reported:

    - contract: policy and value have their shapes, actions exist, values are finite, also where nothing was logged; no
      exception and no RuntimeWarning
    - mutation: the data are left as they were
    - "repeat": the same data, the same answer
    - "batch": a data set is answered within a batch as it is alone
    - "seen": no action that was never logged is taken in a state where another was
    - "lists": neither the order in which a pair's successors are listed nor padding (entries of count 0) matters
    - "states", "actions": renumbered, the answer is the same
    - "shift": r + c in place of every reward r, with the reward range moved along, adds :math:`c \sum_t \gamma^t` to
      every value and changes no action; if it does not, the horizon the rule really uses is measured
    - "scale": b r in place of every reward r, with the range scaled along, multiplies every value by b
    - "highest": no value exceeds that of the highest reward at every step
    - "value": where every pair was logged 2^26 times, no value exceeds the exact one of the policy returned with it
    - "better": where two actions were logged equally often, the worse is not taken everywhere, whichever it is
    - level, if claimed: the widths are measured, to 3e-4 of each, where a state always earns 1; a mistake is named
    - lower bound, if claimed: on data sets from known models, 400 from each of two and 60 from others, values are above
      the true ones of the policy no more often than a bound of confidence 0.9 allows; one that keeps its claim is
      refuted with probability 1e-6 a model

    A lower bound is a test of the widths' order and units (a missing :math:`V_{\max}`, or its square root) and ties the
    value to the policy; it does not see a logarithm to base 10, an S missing from it or N + 1 in place of N, which a
    level does: it tells powers of N(s, a) and of :math:`V_{\max}`, N + c, n/(SA) or N(s) in place of N(s, a), and
    otherwise what L depends on. A value that is too low, as after few sweeps from the smallest value, is seen by a
    level only. A level sees the width where nothing varies, so of Bernstein's only what does not depend on variances;
    one visit more or less is seen while :math:`V_{\max}^2 L` is below about 1000. Policies may be stochastic.

    Values are compared to 1e-5 of the largest difference between values, plus the rule's own ``error_bound``. Drawn
    data have no ties in counts or means, and a policy that changes must do so again with slightly different rewards, so
    a rule may break ties as it likes; its values may be float32, unlike those of a planner. Data are of independent
    transitions, not of episodes, and their rewards are constant for every pair.

    Examples
    --------
    >>> from pessimism.mdp import Plan, plan
    >>> def certainty(data, *, discount):  # never an action that was not logged; an unseen state is worth the least
    ...     low, high = data.reward_range
    ...     seen = data.counts > 0
    ...     value = np.full(data.counts.shape[:-1], low / (1 - discount))
    ...     for _ in range(300):
    ...         later = (data.transition_shares * value[..., data.next_states]).sum(axis=-1)
    ...         q = np.where(seen, data.mean_rewards + discount * later, -np.inf)
    ...         value = np.where(seen.any(axis=-1), q.max(axis=-1), low / (1 - discount))
    ...     return Plan(q.argmax(axis=-1), value, None, np.full(data.shape, 300), np.zeros(data.shape))
    >>> check_offline_rule(certainty, examples=5)

    >>> from pessimism.testing import RuleError
    >>> try:
    ...     check_offline_rule(certainty, examples=5, lower_bound=True)
    ... except RuleError as error:
    ...     print(str(error).partition(":")[0])
    certainty breaks "lower bound"
    """
    __tracebackhide__ = True  # pytest then points at the line of the test
    number, waived = checked_arguments("rule", rule, "the data", waive, OfflineSubject.waivable, examples)
    if not isinstance(lower_bound, bool):
        _check.choice("lower_bound", lower_bound, ("known rewards",))
    steps = None if horizon is None else _check.count("horizon", horizon)
    if level is not None and steps is not None:
        raise ValueError("level must be None with a horizon: the widths of discounted rules are measured only")
    gamma = _check.open_unit_interval("discount", discount)
    subject = OfflineSubject(rule, waived, gamma, steps, accepts=accepts)
    trial = _OfflineTrial(subject, PROMISES, cases(steps), number)
    found = trial.collect(_fixed(steps), on_fixed=_on_fixed)
    claimed = as_level(level)
    if claimed is not None and not found.keys() & {"contract", "batch"}:
        with suppress(Unasked):
            broken = broken_level(subject, claimed)
            found |= {} if broken is None else {"level": kept(broken)}
    if lower_bound and not found.keys() & {"contract", "batch"}:
        with suppress(Unasked):
            broken = broken_bound(subject, known_rewards=lower_bound == "known rewards")
            found |= {} if broken is None else {"lower bound": kept(broken)}
    error = trial.report(found)
    if error is not None:
        raise error


class _OfflineTrial(Trial[Case]):
    def judge(self, case: Case, names: Collection[str]) -> dict[str, PromiseError]:
        """Where actions that are worth the same may have changed places, rewards without ties must show it again; and
        where all are at most 0, numbers can matter because values were cut off there, which "shift" tells."""
        found = super().judge(case, names)
        doubtful = [name for name in found if name in TIES_MATTER]
        if doubtful:
            data = jittered(case.data)
            again = super().judge(case._replace(data=data), doubtful)
            low, high = data.reward_range
            if high < 0 and (numbered := [name for name in again if name in NUMBERED]):
                there = super().judge(case._replace(data=transformed(data, -low, 1.0)), numbered)
                again = {name: error for name, error in again.items() if name not in numbered or name in there}
            found = {
                name: error
                for name, error in found.items()
                if name not in doubtful or again.keys() & {name, "contract"}
            }
        return found


def _fixed(horizon: int | None) -> dict[str, Case]:
    """Logs that are seldom drawn, with lists that name all states."""

    def case(counts: Any, mean: float) -> Case:
        visits = np.array(counts)
        moved = np.zeros((*visits.shape, len(visits)), np.int64)
        moved[..., -1] = visits
        successors = np.broadcast_to(np.arange(len(visits)), moved.shape)
        if horizon is not None:
            successors = successors[None]
            visits, moved = (np.broadcast_to(x, (horizon, *x.shape)) for x in (visits, moved))
        data = MDPData(visits, successors, moved, visits * mean, (0.0, 1.0), "deterministic")
        return Case(data, (), (), 1.0, 1.0)

    one = np.array([[0, 0, 0], [0, 1, 0]])
    return {
        "no transitions at all": case(0 * one, 0.0),
        "one state, one action": case([[3]], 0.5),
        "one pair, never logged": case([[0]], 0.0),
        "one transition, reward 1": case(one, 1.0),
        "one transition, reward 0": case(one, 0.0),
        "nothing but ties": case(np.full((4, 3), 2), 0.5),
        "a very long log": case([[10**8, 3 * 10**8]], 0.25),
    }


def _on_fixed(case: Case) -> list[str]:
    """Promises that ties do not break, and that a batch can hold."""
    return ["repeat", "batch", "seen"] if case.data.n < LONG else ["repeat", "seen"]
