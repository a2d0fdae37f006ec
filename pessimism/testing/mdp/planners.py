r"""Checking a planner: known awkward models, then many drawn ones, against exact policy iteration.

The optimal values :math:`V^*` of a small model are known to rounding, so a planner that claims them can be held to them
(`pessimism.testing.mdp._planner_promises`).
"""

from collections.abc import Callable, Collection

import numpy as np

from pessimism import _check
from pessimism.mdp import MDP
from pessimism.testing._driver import Trial, checked_arguments
from pessimism.testing.mdp._planner import Case, Planner, PlannerError, PlannerSubject, case_of, cases
from pessimism.testing.mdp._planner_mistakes import chain, probe
from pessimism.testing.mdp._planner_promises import PROMISES

__all__ = ["PlannerError", "check_planner"]


def check_planner(
    planner: Planner,
    *,
    horizon: int | None = None,
    tolerance: float = 1e-6,
    waive: Collection[str] = (),
    accepts: Callable[[MDP], bool] | None = None,
    examples: int = 100,
) -> None:
    r"""Raise a PlannerError that shows the smallest model found on which a planner breaks a promise.

    Parameters
    ----------
    planner : callable
        ``planner(mdp) -> plan``: anything with ``.policy``, (..., [H,] S) int or (..., [H,] S, A) float, and
        ``.value``, (..., [H,] S) float; like `plan`.
    horizon : int, optional
        Try models with this horizon, at least 1. Default: discounted models.
    tolerance : float
        What the planner claims: largest error of its values, in reward units, for rewards in [-1, 1]; in proportion
        for larger ones.
    waive : collection of str
        Promises that the planner does not make: "repeat", "batch", "certificate", "states", "actions", "shift" or
        "scale".
    accepts : callable, optional
        ``accepts(mdp) -> bool``: what the planner is made for. Nothing else is tried. Default: everything.
    examples : int
        Models to draw, besides a few fixed ones: one state, ties, padded lists, a chain on which policy iteration takes
        a step a state, discount 0 and 0.999.

    Raises
    ------
    PlannerError
        An AssertionError, so that a plain call is a test.
    ValueError, TypeError
        If an argument is out of its range.

    Notes
    -----
    The promises, in the order in which they are reported:

    - contract: policy and value have their shapes, actions exist, values are finite; no exception, no RuntimeWarning
    - mutation: the model is left as it was
    - "repeat": the same model, the same answer
    - value: within the tolerance of the optimal ones, which are computed by exact policy iteration
    - policy: its exact loss from every state is at most :math:`2/(1-\gamma)` times the tolerance (2H with a horizon),
      what greed for values within the tolerance can lose
    - "certificate": an ``error_bound``, if there is one, is at least the true error of the values
    - "batch": a model is planned within a batch of models as it is alone
    - "states", "actions": renumbered, the answer is still optimal
    - "shift", "scale": so it is with r + a or b r in place of every reward r

    If a value is wrong, the planner is also asked about a model on which the known mistakes (no discount, discount used
    twice, too few sweeps, padding not respected, ...) all give different values, and the mistake is named.

    Examples
    --------
    >>> from pessimism.mdp import plan
    >>> check_planner(plan, examples=5)

    >>> from types import SimpleNamespace
    >>> def hasty(mdp):  # ten sweeps
    ...     value = np.zeros((*mdp.shape, mdp.n_states))
    ...     for _ in range(10):
    ...         later = (mdp.probabilities * value[..., mdp.next_states]).sum(axis=-1)
    ...         q = mdp.mean_rewards + mdp.discount * later
    ...         value = q.max(axis=-1)
    ...     return SimpleNamespace(policy=q.argmax(axis=-1), value=value)
    >>> try:
    ...     check_planner(hasty, examples=5)
    ... except PlannerError as error:
    ...     print(str(error).partition(".")[0])
    hasty breaks "value": it stops too early: its values are those after 10 sweeps from 0
    """
    __tracebackhide__ = True  # pytest then points at the line of the test
    number, waived = checked_arguments("planner", planner, "the model", waive, PlannerSubject.waivable, examples)
    steps = None if horizon is None else _check.count("horizon", horizon)
    subject = PlannerSubject(planner, waived, _check.positive("tolerance", tolerance), steps, accepts=accepts)
    error = Trial(subject, PROMISES, cases(steps), number).run(_fixed(steps))
    if error is not None:
        raise error


def _fixed(horizon: int | None) -> dict[str, Case]:
    """Models that are seldom drawn."""
    stay, swap = [[[1.0, 0.0]], [[0.0, 1.0]]], [[[0.0, 1.0]], [[1.0, 0.0]]]
    both = np.concatenate([stay, swap], axis=1)
    rewards = [[0.0, 0.0], [1.0, 0.0]]
    models = {
        "one state, one action, reward 1": MDP.dense([[[1.0]]], [[1.0]], None, 0.5, horizon=horizon),
        "nothing but ties": MDP.dense(both, np.ones((2, 2)), None, 0.9, horizon=horizon),
        "discount 0": MDP.dense(both, rewards, [1, 0], 0.0, horizon=horizon),
        "padded lists": probe(horizon),
        "a chain, on which policy iteration takes a step a state": chain(horizon),
    }
    if horizon is None:
        slow = [[[0.999, 0.001], [0.0, 1.0]], [[0.25, 0.75], [0.0, 1.0]]]
        models["a model that mixes slowly, discount 0.999"] = MDP.dense(slow, rewards, [1, 0], 0.999)
    return {what: case_of(mdp) for what, mdp in models.items()}
