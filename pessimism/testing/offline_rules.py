r"""Checking an offline rule: known awkward logs, then many drawn ones, then, if it claims one, its lower bound.

As for bandits, most mistakes break a symmetry of the problem and are found without knowing what the rule is for
(`pessimism.testing._offline_promises`). That a value is a lower bound of :math:`V^\pi` is a claim about probabilities,
and is tried on data drawn from models whose values are known (`pessimism.testing._lower_bound`).
"""

from collections.abc import Collection
from functools import partial
from typing import Any

import numpy as np

from pessimism import _check
from pessimism.mdp.data import MDPData
from pessimism.testing import _lower_bound, _offline_promises
from pessimism.testing._offline_promises import PROMISES, TIES_MATTER, WAIVABLE, Case, OfflineRule, Subject, jittered
from pessimism.testing._promises import RuleError
from pessimism.testing._search import failures, first_failures, smallest

__all__ = ["check_offline_rule"]

LONG = 10**6
"""Transitions beyond which a log is not put into a batch."""


def check_offline_rule(
    rule: OfflineRule,
    *,
    discount: float = 0.9,
    horizon: int | None = None,
    lower_bound: bool | str = False,
    waive: Collection[str] = (),
    examples: int = 100,
) -> None:
    r"""Raise a RuleError that shows the smallest data set found on which an offline rule does what it must not do.

    Parameters
    ----------
    rule : callable
        ``rule(data, discount=...) -> plan``, or ``rule(data, horizon=...)``: anything with ``.policy``,
        (..., [H,] S) int or (..., [H,] S, A) float, and ``.value``, (..., [H,] S) float; like a `Plan`.
    discount : float
        What the rule is called with, in (0, 1).
    horizon : int, optional
        H, at least 1: the rule is given data with H steps and called with ``horizon`` instead.
    lower_bound : bool or str
        Whether its values claim to be lower bounds of the value of its policy, in all states at once, with probability
        at least 0.9; "known rewards" if only when rewards are deterministic.
    waive : collection of str
        Promises that the rule does not make: those quoted in the Notes. With "seen" waived, policies are compared only
        in states whose actions were all logged.
    examples : int
        Data sets to draw, besides a few fixed ones: one pair, one transition, none at all, ties, a very long log.

    Raises
    ------
    RuleError
        An AssertionError: a plain call is a test.
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
    - "lists": the order in which a pair's successors are listed does not matter
    - "states", "actions": renumbered, the answer is the same
    - "shift": r + c in place of every reward r, with the reward range moved along, adds :math:`c \sum_t \gamma^t` to
      every value and changes no action; if it does not, the horizon the rule really uses is measured
    - "scale": b r in place of every reward r, with the range scaled along, multiplies every value by b
    - "highest": no value exceeds that of the highest reward at every step
    - lower bound, if claimed: on 400 data sets from each of two known models, values are above the true ones no more
      often than a bound of confidence 0.9 allows; one that keeps its claim is refuted with probability 1e-6 a model.
      It is a test of the widths' order and units, not of their constants.

    Values are compared to 1e-5 of the largest difference between values, plus the rule's own ``error_bound``. Drawn
    data have no ties in counts or means, and a policy that changes must do so again with slightly different rewards, so
    a rule may break ties as it likes. They are of independent transitions, not of episodes, their rewards are constant
    for every pair, and they depend on nothing but the versions of the packages.

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

    >>> try:
    ...     check_offline_rule(certainty, examples=5, lower_bound=True)
    ... except RuleError as error:
    ...     print(str(error).partition(":")[0])
    certainty breaks "lower bound"
    """
    __tracebackhide__ = True  # pytest then points at the line of the test
    if not callable(rule):
        raise TypeError(f"rule must be a function of the data, got {rule!r}")
    if isinstance(waive, str):
        raise TypeError(f"waive must be a collection of names, like [{waive!r}]")
    for name in waive:
        _check.choice("waive", name, WAIVABLE)
    if not isinstance(lower_bound, bool):
        _check.choice("lower_bound", lower_bound, ("known rewards",))
    number = _check.whole("examples", examples, low=1)
    steps = None if horizon is None else _check.whole("horizon", horizon, low=1)
    subject = Subject(rule, _check.open_unit_interval("discount", discount), steps, frozenset(waive))
    error = _fixed_failure(subject) or _drawn_failure(subject, number)
    if error is None and lower_bound:
        error = _lower_bound.broken_bound(subject, known_rewards=lower_bound == "known rewards")
    if error is not None:
        raise error


def _fixed(horizon: int | None) -> dict[str, MDPData]:
    """Logs that random ones seldom are; lists that name all states."""

    def data(counts: Any, mean: float) -> MDPData:
        visits = np.array(counts)
        moved = np.zeros((*visits.shape, len(visits)), np.int64)
        moved[..., -1] = visits
        successors = np.broadcast_to(np.arange(len(visits)), moved.shape)
        if horizon is not None:
            successors = successors[None]
            visits, moved = (np.broadcast_to(x, (horizon, *x.shape)) for x in (visits, moved))
        return MDPData(visits, successors, moved, visits * mean, (0.0, 1.0), "deterministic")

    one = np.array([[0, 0, 0], [0, 1, 0]])
    return {
        "no transitions at all": data(0 * one, 0.0),
        "one state, one action": data([[3]], 0.5),
        "one pair, never logged": data([[0]], 0.0),
        "one transition, reward 1": data(one, 1.0),
        "one transition, reward 0": data(one, 0.0),
        "nothing but ties": data(np.full((4, 3), 2), 0.5),
        "a very long log": data([[10**8, 3 * 10**8]], 0.25),
    }


def _fixed_failure(subject: Subject) -> RuleError | None:
    for what, data in _fixed(subject.horizon).items():
        case = Case(data, tuple(range(data.n_actions)), tuple(range(data.n_states)), 1.0, 1.0)
        names = [name for name in ("repeat", "batch", "seen") if name != "batch" or data.n < LONG]
        for error in _failures(subject, case, names).values():
            shown = RuleError(f"{error}\n  This is a fixed example: {what}.")
            shown.__cause__ = error.__cause__
            return shown
    return None


def _drawn_failure(subject: Subject, examples: int) -> RuleError | None:
    judge, cases = partial(_failures, subject), _offline_promises.cases(subject.horizon)
    found = first_failures(judge, cases, PROMISES, examples)
    return smallest(judge, cases, found, examples, steady="repeat" not in subject.waived) if found else None


def _failures(subject: Subject, case: Case, names: Collection[str]) -> dict[str, RuleError]:
    held = {name: partial(PROMISES[name], subject) for name in PROMISES if name not in subject.waived}

    def judged(case: Case, names: Collection[str]) -> dict[str, RuleError]:
        return failures(lambda case: subject.ask(case.data), held, RuleError, case, names)

    found = judged(case, names)
    doubtful = [name for name in found if name in TIES_MATTER]
    if doubtful:  # two actions may be worth the same by an accident of arithmetic
        again = judged(case._replace(data=jittered(case.data)), doubtful)
        found = {
            name: error for name, error in found.items() if name not in doubtful or again.keys() & {name, "contract"}
        }
    return found
