r"""Checking an estimator of the value of a policy: a log that repeats the law exactly, every short log, drawn ones.

Most mistakes in an estimator (a propensity of the next arm, a joint law for a conditional one, a hidden clip, the wrong
normaliser) leave plausible numbers. Three things find them. A *perfect log*, whose counts are exactly n mu and whose
sums n mu r, must give the value to the last digit; it is lopsided, so that every known mistake gives a number of its
own, its fingerprint, by which it is named. *Every log* of three rounds, each with its probability, makes unbiasedness
an exact dot product. And an estimator that is to be *like* one of ours must equal it on all of them.
"""

from collections.abc import Callable, Collection
from functools import partial, wraps
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats
from pessimism.bandits import BanditData
from pessimism.testing._driver import Promise, PromiseError, Trial, checked_arguments, repeat
from pessimism.testing.bandit import _estimates
from pessimism.testing.bandit._estimates import EstimatorError, EstimatorSubject
from pessimism.testing.bandit._rows import OfRows

__all__ = ["EstimatorError", "check_estimator", "from_rows"]

Estimator = Callable[[BanditData, Any, Any], ArrayLike]

PROMISES = (*_estimates.CLAIMS, "perfect", "unbiased", "support")
USUAL = ("perfect", "doubled", "support")


def check_estimator(
    estimator: Estimator,
    *,
    like: Estimator | None = None,
    promises: Collection[str] | None = None,
    waive: Collection[str] = (),
    examples: int = 100,
) -> None:
    r"""Raise an EstimatorError that names the mistake, or shows the smallest log found on which a promise is broken.

    Parameters
    ----------
    estimator : callable
        ``estimator(data, policy, behavior) -> (...,) float`` for a batch of data sets, a policy (S, A) and a joint law
        :math:`\mu` (S, A), contexts as logged. All logs have two contexts and three arms, so that it may hold a model
        of its own. Estimators of rows: `from_rows`.
    like : callable, optional
        What it is to be like: one of `pessimism.bandits.estimators`, its options bound with `functools.partial`, or any
        other. It must be equal to 1e-9 on every log of three rounds and on the drawn ones; what the other one does not
        keep, this one need not keep, unless `promises` say so. A ``model`` bound to it is also used to name mistakes
        of doubly robust estimators.
    promises : collection of str, optional
        What it claims: some of those quoted in the Notes. Default: the first three.
    waive : collection of str
        Promises that it does not make, of those that are tried in any case.
    examples : int
        Logs to draw.

    Raises
    ------
    EstimatorError
        An AssertionError, so that a plain call is a test.
    ValueError, TypeError
        If an argument is out of its range.

    Notes
    -----
    Tried in any case: contract (shape, float64, no exception, no RuntimeWarning), mutation, "repeat", "batch", "arms"
    and "contexts" (renumbered by a transposition), "unused" (an arm that nobody plays is added), and "like", if given.

    Claims, by default the first three:

    - "perfect": on the perfect log the value, exactly, and half of a propensity of 1e-9 is twice the weight: hidden
      limits of the weights are named; not for estimators that shrink or clip
    - "doubled": the log written twice has the same value
    - "support": a policy that plays what the behavior never plays is a ValueError, not a number; not for estimators
      that do not read the behavior, nor for those of rows, which never see such a pair
    - "unbiased": on average over every log of three rounds, with propensities down to 1e-9, the value
    - "split": an average over rounds: the parts of a log average to the log
    - "linear": in the policy
    - "on_policy": the behavior itself is worth the mean reward
    - "constant": rewards that are all alike are worth that much; IPS does not promise it, self-normalised forms do
    - "within": the estimate is in the range of rewards
    - "scale", "shift": moves with the unit and the zero of the reward; not with a model that stays where it is

    IPS keeps perfect, doubled, support, unbiased, split, linear, on_policy and scale; SNIPS perfect, doubled, support,
    on_policy, constant, within, scale and shift; DR with a fixed model perfect, doubled, support, unbiased, split and
    linear. With the right model most mistakes of a doubly robust estimator are invisible: check it with a wrong one.

    Examples
    --------
    >>> from pessimism.bandits import estimators
    >>> from pessimism.testing import EstimatorError, check_estimator
    >>> check_estimator(estimators.ips, promises=["perfect", "unbiased", "split"], examples=20)

    >>> def hasty(data, policy, behavior):  # the joint law in place of the conditional one
    ...     return (policy / behavior * data.sums).sum(axis=(-2, -1)) / data.n
    >>> try:
    ...     check_estimator(hasty, examples=20, waive=["unused"])
    ... except EstimatorError as error:
    ...     print(str(error).partition(". ")[0])
    hasty breaks "perfect": propensities are of the joint law of (context, arm), not given the context
    """
    __tracebackhide__ = True  # pytest then points at the line of the test
    number, waived = checked_arguments(
        "estimator", estimator, "data, policy, behavior", waive, EstimatorSubject.waivable, examples
    )
    claimed = USUAL if promises is None else _check.listed("promises", promises, "names")
    for name in claimed:
        _check.choice("promises", name, PROMISES)
    if like is not None:
        _check.function("like", like, "of data, policy, behavior")
    subject = EstimatorSubject(estimator, waived, like=like, model=_model_of(like))
    pattern = None if like is None else EstimatorSubject(like, frozenset())
    found: dict[str, PromiseError] = {}
    for name, promise in _estimates.OF_THEIR_OWN.items():
        if name in waived or (name not in claimed and (name != "like" or like is None)):
            continue
        try:
            promise(subject)
        except PromiseError as broken:
            if promises is not None or name == "like" or not _breaks(promise, pattern):
                found[name] = _settled(broken)
    drawn: list[Promise] = [promise for name, promise in _estimates.CLAIMS.items() if name in claimed]
    usual: list[Promise] = [*_estimates.ALWAYS]
    usual, drawn = (usual, drawn) if promises is not None else ([*usual, *drawn], [])
    tried: tuple[Promise, ...] = (repeat, _estimates.like, *(_as_far_as(pattern, promise) for promise in usual), *drawn)
    trial = Trial(subject, tried, _estimates.cases(), number)
    error = trial.report({**found, **{k: e for k, e in trial.collect({}).items() if k not in found}})
    if error is not None:
        raise error


def _as_far_as(pattern: EstimatorSubject | None, promise: Promise) -> Promise:
    """The promise, where an estimator that ours is to be like keeps it."""
    if pattern is None:
        return promise

    @wraps(promise)
    def held(subject: EstimatorSubject, case: Any, answer: Floats) -> str | None:
        try:
            wrong = promise(subject, case, answer)
        except PromiseError:
            if _breaks(promise, pattern, case):
                return None
            raise
        return None if wrong is None or _breaks(promise, pattern, case) else wrong

    return held


def _breaks(promise: Promise | Callable[[Any], None], pattern: EstimatorSubject | None, *cases: Any) -> bool:
    if pattern is None:
        return False
    try:
        return promise(pattern, *(part for case in cases for part in (case, pattern.answer(case)))) is not None
    except PromiseError:
        return True


def _settled(error: PromiseError) -> PromiseError:
    error.settled = True
    return error.with_traceback(None)


def _model_of(like: Estimator | None) -> Floats | None:
    model = like.keywords.get("model") if isinstance(like, partial) else None
    if model is None:
        return None
    return np.asarray(np.broadcast_to(np.asarray(model, np.float64), (_estimates.CONTEXTS, _estimates.ARMS)))


def from_rows(function: Callable[..., float]) -> Estimator:
    r"""An estimator of tables from one of rows, so that `check_estimator` can try it.

    Parameters
    ----------
    function : callable
        ``function(contexts, arms, rewards, propensities, target) -> float``: arrays (n,) over rounds, the last one
        (n, A) with the policy's law of the arms in every round's context. Rounds come shuffled, always alike.

    Returns
    -------
    callable
        ``estimator(data, policy, behavior)``, one call of `function` for each data set. Where rewards are not known to
        be 0 or 1, every round of a pair has the pair's mean reward. An empty log is NaN without a call, and a division
        by zero is no RuntimeWarning, but NaN.

    Examples
    --------
    >>> from pessimism.testing import check_estimator, from_rows
    >>> def ips(contexts, arms, rewards, propensities, target):
    ...     return (target[range(len(arms)), arms] / propensities * rewards).mean()
    >>> check_estimator(from_rows(ips), promises=["perfect", "unbiased", "split"], examples=5)
    """
    _check.function("function", function, "of contexts, arms, rewards, propensities, target")
    return OfRows(function)
