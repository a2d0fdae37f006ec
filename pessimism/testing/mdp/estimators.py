r"""Checking an estimator of the value of a policy from the episodes of another.

Mistakes in products of ratios leave plausible numbers, so the estimator is asked about 1,728 episodes that hold every
path exactly as often as it is likely: whatever averages episodes with the right weights gives the value to the last
digit, and every known mistake a number of its own. Weights that look into the future are unbiased too: the promise
"causal" finds them.
"""

from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats
from pessimism.mdp import Transitions
from pessimism.testing._driver import answer_of_like, checked_arguments
from pessimism.testing.bandit._estimates import EstimatorError
from pessimism.testing.mdp import _episode_slips as slips
from pessimism.testing.mdp._episode_slips import DISCOUNT, Episodes

__all__ = ["check_episode_estimator"]

Estimator = Callable[[Transitions, Any, Any, float], ArrayLike]

ALWAYS = ("repeat", "episodes", "states", "actions", "doubled")
CLAIMS = ("perfect", "causal", "constant", "scale")
CLOSE = 1e-9
FIELDS = ("states", "actions", "rewards", "next_states")


def check_episode_estimator(
    estimator: Estimator,
    *,
    like: Estimator | None = None,
    promises: Collection[str] = ("perfect",),
    waive: Collection[str] = (),
) -> None:
    r"""Raise an EstimatorError that names the mistake in an estimator of episodes.

    Parameters
    ----------
    estimator : callable
        ``estimator(log, policy, behavior, discount) -> float`` for `Transitions` of shape (n, H), a policy and a
        behavior (H, S, A), and a discount.
    like : callable, optional
        What it is to be like, to 1e-9, on parts of the log: one of `pessimism.mdp.estimators`. A ``q`` bound to it with
        `functools.partial` is also used to name mistakes of doubly robust estimators.
    promises : collection of str
        What it claims, of those quoted in the Notes.
    waive : collection of str
        Promises that it does not make, of those that are tried in any case.

    Raises
    ------
    EstimatorError
        An AssertionError, so that a plain call is a test.
    ValueError, TypeError
        If an argument is out of its range.

    Notes
    -----
    Tried in any case: contract (a finite float, no exception), mutation, "repeat", "episodes" (in another order),
    "states" and "actions" (renumbered), "doubled" (every episode twice).

    Claims, by default the first:

    - "perfect": on episodes that hold every path as often as it is likely, the value
    - "causal": what is done after a reward changes nothing of its weight; importance sampling of whole episodes does
      not promise it, nor can a model that stays where it is
    - "constant": rewards that are all 1 are worth :math:`\sum_t \gamma^t`; self-normalised forms promise it
    - "scale": rewards in another unit; not with a model that stays where it is

    With the right Q most mistakes of a doubly robust estimator are invisible: bind a wrong one.

    Examples
    --------
    >>> from pessimism.mdp import estimators
    >>> from pessimism.testing import EstimatorError, check_episode_estimator
    >>> check_episode_estimator(estimators.per_decision_is, promises=["perfect", "causal"])

    >>> def hasty(log, policy, behavior, discount):  # no product
    ...     h = np.arange(log.states.shape[1])
    ...     ratio = policy[h, log.states, log.actions] / behavior[h, log.states, log.actions]
    ...     return (discount**h * ratio * log.rewards).sum(axis=1).mean()
    >>> try:
    ...     check_episode_estimator(hasty)
    ... except EstimatorError as error:
    ...     print(str(error).partition(". ")[0])
    hasty breaks "perfect": the ratio of one step stands for the product of all up to it
    """
    __tracebackhide__ = True  # pytest then points at the line of the test
    _, waived = checked_arguments("estimator", estimator, "log, policy, behavior, discount", waive, ALWAYS, 1)
    claimed = _check.listed("promises", promises, "names")
    for name in claimed:
        _check.choice("promises", name, CLAIMS)
    if like is not None:
        _check.function("like", like, "of log, policy, behavior, discount")
    name = getattr(estimator, "__name__", None) or getattr(estimator, "func", estimator).__name__
    found = [
        f'{name} breaks "{promise}": {wrong}'
        for promise, wrong in _broken(estimator, like, claimed)
        if promise not in waived
    ]
    if found:
        raise EstimatorError(
            "\n  ".join([found[0], *(f"It also breaks {x.partition(' breaks ')[2]}" for x in found[1:])])
        )


def _broken(estimator: Estimator, like: Estimator | None, claimed: Collection[str]) -> Iterator[tuple[str, str]]:
    try:
        yield from _promises(estimator, like, claimed)
    except _Wrong as error:  # it did not answer at all
        yield error.args


def _promises(estimator: Estimator, like: Estimator | None, claimed: Collection[str]) -> Iterator[tuple[str, str]]:
    whole = slips.perfect()
    answer = _ask(estimator, whole)
    if "perfect" in claimed and not abs(answer - slips.value()) <= CLOSE:
        wrong = f"on episodes that hold every path as often as it is likely it gave {answer:.10g}"
        yield "perfect", _told(whole, answer, like, f"{wrong}, the value is {slips.value():.10g}", estimator)
    again = _ask(estimator, whole)
    if again != answer:
        yield "repeat", f"asked again, it gave {again!r} and not {answer!r}"
    rng = np.random.default_rng(0)
    for promise, changed in _changes(whole, rng):
        other = _ask(estimator, changed)
        if abs(other - answer) > CLOSE * max(1.0, abs(answer)):
            yield promise, f"it gave {other:.10g}, and {answer:.10g} before"
    told: set[str] = set()
    for promise, changed, expected in _claims(estimator, whole, answer):
        other = _ask(estimator, changed)
        if promise in claimed and promise not in told and abs(other - expected) > CLOSE * max(1.0, abs(expected)):
            told.add(promise)
            yield promise, f"it gave {other:.10g}, not {expected:.10g}"
    for size in (40, 7, 2, 1) if like is not None else ():
        few = _part(whole, rng.integers(len(whole.log.rewards), size=size))
        ours, theirs = float(answer_of_like(like(*few, DISCOUNT), ())), _ask(estimator, few)  # type: ignore[misc]
        if abs(ours - theirs) > CLOSE * max(1.0, abs(ours)):
            yield "like", _told(few, theirs, like, f"of {size} episodes it gave {theirs:.10g}, not {ours:.10g}")
            return


class _Wrong(Exception):  # noqa: N818 - it becomes an EstimatorError
    """A promise and what is wrong."""


def _ask(estimator: Estimator, episodes: Episodes) -> float:
    log = Transitions(*(getattr(episodes.log, field).copy() for field in FIELDS))
    policy, behavior = episodes.policy.copy(), episodes.behavior.copy()
    try:
        found = np.asarray(estimator(log, policy, behavior, DISCOUNT))
    except Exception as error:
        raise _Wrong("contract", f"it raised {type(error).__name__}: {error}") from error
    if found.shape != () or found.dtype.kind != "f" or not np.isfinite(found):
        raise _Wrong("contract", f"it returned {_check.shown(found)}, not a finite float")
    if not (np.array_equal(policy, episodes.policy) and np.array_equal(behavior, episodes.behavior)):
        raise _Wrong("mutation", "it wrote into policy or behavior: work on a copy")
    return float(found)


def _told(
    episodes: Episodes, found: float, like: Estimator | None, wrong: str, estimator: Estimator | None = None
) -> str:
    q = like.keywords.get("q") if isinstance(like, partial) else None
    model = None if q is None else np.broadcast_to(np.asarray(q, np.float64), episodes.policy.shape)
    causes = slips.named(episodes, found, model, CLOSE)
    if estimator is not None and len(causes) > 1:  # alike on perfect episodes, not on some of them
        some = _part(episodes, np.arange(0, len(episodes.log.rewards), 7))
        on_some = slips.named(some, _ask(estimator, some), model, CLOSE)
        causes = [cause for cause in causes if cause in on_some] or causes[-1:]
    return f"{causes[0]}. Where it shows: {wrong}" if causes else wrong


def _changes(whole: Episodes, rng: np.random.Generator) -> Iterator[tuple[str, Episodes]]:
    log = whole.log
    yield "episodes", _part(whole, rng.permutation(len(log.rewards)))
    yield "doubled", _part(whole, np.tile(np.arange(len(log.rewards)), 2))
    states = Transitions(1 - log.states, log.actions, log.rewards, 1 - log.next_states)
    yield "states", Episodes(states, whole.policy[:, ::-1], whole.behavior[:, ::-1])
    actions = Transitions(log.states, 1 - log.actions, log.rewards, log.next_states)
    yield "actions", Episodes(actions, whole.policy[..., ::-1], whole.behavior[..., ::-1])


def _claims(estimator: Estimator, whole: Episodes, answer: float) -> Iterator[tuple[str, Episodes, float]]:
    log = whole.log
    few = _part(whole, np.arange(0, len(log.rewards), 7))

    def paid(episodes: Episodes, rewards: Floats) -> Episodes:
        own = episodes.log
        return episodes._replace(log=Transitions(own.states, own.actions, rewards, own.next_states))

    yield "scale", paid(whole, 4.0 * log.rewards), 4.0 * answer
    yield "constant", paid(few, np.ones_like(few.log.rewards)), float((DISCOUNT ** np.arange(slips.STEPS)).sum())
    for step in range(slips.STEPS - 1):  # rewards up to a step, and other actions after it
        early = few.log.rewards * (np.arange(slips.STEPS) <= step)
        actions = few.log.actions.copy()
        actions[:, step + 1 :] = 1 - actions[:, step + 1 :]
        other = few._replace(log=Transitions(few.log.states, actions, early, few.log.next_states))
        yield "causal", other, _ask(estimator, paid(few, early))


def _part(episodes: Episodes, which: Any) -> Episodes:
    return episodes._replace(log=Transitions(*(getattr(episodes.log, field)[which] for field in FIELDS)))
