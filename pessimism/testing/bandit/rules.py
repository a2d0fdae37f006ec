r"""Checking a rule: known awkward logs, then many drawn ones, then, if it claims a level, the widths it acts on.

Most mistakes in a rule break a symmetry of the problem, so they are found without knowing what the rule is for
(`pessimism.testing.bandit._promises`). A square root forgotten or a delta that stays fixed breaks none: the rule then
has to claim the level L that it uses, and its level is measured (`pessimism.testing.bandit._level`).
"""

from collections.abc import Callable, Collection
from contextlib import suppress

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism.bandits import BanditData, minimax
from pessimism.testing._driver import PromiseError, RuleError, Trial, Unasked, checked_arguments, kept
from pessimism.testing.bandit import _level, _promises, _widths
from pessimism.testing.bandit._promises import PROMISES, Case, Rule, RuleSubject

__all__ = ["RuleError", "check_rule"]

LONG = _check.MAX_TOTAL // (2 * _promises.REPLICATED)
"""Rounds beyond which a log cannot be repeated REPLICATED times."""


def check_rule(
    rule: Rule,
    *,
    level: _level.Level | float | None = None,
    waive: Collection[str] = (),
    accepts: Callable[[BanditData], bool] | None = None,
    examples: int = 100,
    against_minimax: tuple[int, float, float] | None = None,
) -> None:
    r"""Raise a RuleError that shows the smallest data set found on which a rule breaks a promise.

    Parameters
    ----------
    rule : callable
        ``rule(data) -> policy``: one arm per context, (..., S) int.
    level : callable or float, optional
        What the rule claims to choose: the arm with the highest :math:`\hat r - w\sqrt{L/N}`, where w is the width of
        the reward range and L is this number, or ``level(n, contexts, arms)``. `hoeffding_level` for a Hoeffding lower
        confidence bound with delta = 1/n, 0 for the highest mean, inf for the most pulls. Default: no claim.
    waive : collection of str
        Promises that the rule does not make: those quoted in the Notes. With "pulled" waived, "shift", "scale" and the
        level are tried only in contexts whose arms were all pulled, so that an unpulled arm may have any index. With
        "repeat" waived, data on which answers differ by themselves are not compared; ties may then be broken at random.
    accepts : callable, optional
        ``accepts(data) -> bool``: what the rule is made for, as with ``lambda data: data.n > 0``; nothing else is
        tried. Default: everything.
    examples : int
        Data sets to draw, besides a few fixed ones: one arm, one round, no rounds at all, ties, a very long log.
    against_minimax : (int, float, float), optional
        N, C* and a factor: the certified worst loss of the rule over the class "C* at most C" of two Bernoulli arms,
        after N rounds, is to be at most that many times the minimax risk. The message says how many times it is, and in
        which world. N is at most 200; see `pessimism.bandits.minimax`. Default: no claim.

    Raises
    ------
    RuleError
        An AssertionError, so that a plain call is a test.
    ValueError, TypeError
        If an argument is out of its range.

    Notes
    -----
    The promises, in the order in which they are reported:

    - contract: an integer array of shape (..., S) of arms that exist; no exception and no RuntimeWarning; no overflow
      of 32 bits: with 2^31 pulls of an arm the choice is the same as with one pull less
    - mutation: the data are left as they were
    - "repeat": the same data, the same answer
    - "batch": a data set is answered within a batch as it is alone
    - "pulled": no arm without pulls is chosen in a context that has an arm with pulls
    - "arms", "contexts": renumbered, they are chosen as before
    - "better": without a claimed level, of two arms pulled equally often and far apart the worse is not preferred
    - "shift": r + a in place of every reward r, with the reward range moved along, changes nothing
    - level: the claimed one, to 1 % of the width; otherwise the level in use is measured and the likely mistake named
    - "scale": b r in place of every reward r, with the reward range scaled along, changes nothing
    - minimax: if claimed

    A level is seen where the index is the mean less :math:`w\sqrt{L/N}`: the base of the logarithm, S, A, a 2 or
    :math:`\delta` missing from it, a constant, another power of N, N + c in place of N. Other mistakes are told by
    what L depends on otherwise than the claimed one: n, S, A, N, unpulled arms, the means, or the variances, which no
    level describes. n + 1 in place of n is forgiven, and a width that is common to the arms of a context, as one of
    N(s) or n/(SA), is told only as not that of the arm.

    Drawn data have no ties, and arms with the same statistics count as one, so a rule may break ties as it likes, but
    always in the same way. Squared sums are given, for rules that need them. What is drawn is the same in every run
    with the same packages and the same modules loaded: Hypothesis takes constants from the latter.

    Examples
    --------
    >>> from pessimism.bandits import hoeffding_level, lcb
    >>> check_rule(lcb, level=hoeffding_level, examples=20)

    >>> def hasty(data):  # no square root
    ...     L = hoeffding_level(data.n, data.n_contexts, data.n_arms)[..., None, None]
    ...     bound = data.means - L / np.maximum(data.counts, 1)
    ...     return np.where(data.counts > 0, bound, -np.inf).argmax(axis=-1)
    >>> try:
    ...     check_rule(hasty, level=hoeffding_level, examples=20)
    ... except RuleError as error:
    ...     print(str(error).partition(".")[0])
    hasty breaks "level": the square root is missing: its widths are L/N(a), not sqrt(L/N(a))

    >>> try:
    ...     check_rule(lcb, examples=1, against_minimax=(30, 4, 2))
    ... except RuleError as error:
    ...     print(str(error).partition(",")[0])
    lcb breaks "minimax": its worst loss over X(4) after 30 rounds is 3.59 times the minimax risk
    """
    __tracebackhide__ = True  # pytest then points at the line of the test
    number, waived = checked_arguments("rule", rule, "the data", waive, RuleSubject.waivable, examples)
    claim = _minimax_claim(against_minimax)
    subject = RuleSubject(rule, waived, _level.as_level(level), accepts=accepts)
    trial = Trial(subject, PROMISES, _promises.cases(), number)
    found = trial.collect(_fixed(), on_fixed=_on_fixed, first=[_ladder()])
    if found.keys() <= {"contract", "level", "scale"}:
        found = _probed(subject, found)
    error = trial.report(found)
    if error is not None:
        raise error
    if claim is not None and (wrong := _beyond_minimax(rule, *claim)):
        raise RuleError(f'{getattr(rule, "__name__", type(rule).__name__)} breaks "minimax": {wrong}')


def _minimax_claim(claim: tuple[int, float, float] | None) -> tuple[int, float, float] | None:
    if claim is None:
        return None
    if not isinstance(claim, (tuple, list)) or len(claim) != 3:
        raise ValueError(f"against_minimax must be (n, cstar, factor), got {_check.shown(claim)}")
    n, cstar, factor = claim
    return (
        _check.whole("against_minimax[0]", n, low=1, high=minimax.LARGEST_N),
        _check.between("against_minimax[1]", cstar, 1.0, 1e6, "(]"),
        _check.between("against_minimax[2]", factor, 1.0, _check.MAX_SIZE),
    )


def _beyond_minimax(rule: Rule, n: int, cstar: float, factor: float) -> str | None:
    """By how much the worst loss certainly exceeds the claim; None if it does not."""
    worst, risk = minimax.certified_worst(rule, n, cstar), minimax.solve(n, cstar)
    if worst.loss <= factor * risk.upper:
        return None
    means, law = (", ".join(f"{x:.3g}" for x in pair) for pair in (worst.world.means, worst.world.law or ()))
    return (
        f"its worst loss over X({cstar:g}) after {n} rounds is {worst.loss / risk.upper:.3g} times the minimax risk, "
        f"in the world with means {means} and law {law}: it loses {worst.loss:.4g} there, the least possible is "
        f"{risk.upper:.4g}, and at most {factor:g} times that was claimed"
    )


def _fixed() -> dict[str, Case]:
    """Logs that are seldom drawn; rewards are 0 or 1, so that sums are sums of squares too."""
    one_round = np.array([[0, 0, 0], [0, 1, 0]])
    logs: dict[str, tuple[ArrayLike, ArrayLike]] = {
        "no rounds at all": (0 * one_round, 0 * one_round),
        "one arm": ([[3]], [[1]]),
        "one arm, never pulled": ([[0]], [[0]]),
        "one round, reward 1": (one_round, one_round),
        "one round, reward 0": (one_round, 0 * one_round),
        "nothing but ties": (np.full((8, 4), 2), np.full((8, 4), 1)),
        "a very long log": ([[10**12, 3 * 10**12]], [[4 * 10**11, 15 * 10**11]]),
    }
    made = {what: BanditData(counts, sums, sums) for what, (counts, sums) in logs.items()}
    return {what: Case(data, (), (), 1.0, 1.0) for what, data in made.items()}


def _on_fixed(case: Case) -> list[str]:
    """Promises that ties do not break, and that a batch can hold."""
    return ["repeat", "batch", "pulled"] if case.data.n < LONG else ["repeat", "pulled"]


def _ladder() -> Case:
    """In every context the arm with fewer pulls is a step further ahead: a change of any width changes a choice."""
    counts = np.tile([100, 10], (8, 1))
    lead = (np.arange(8)[:, None] + 0.5) / 8 * [-1, 1]
    sums = counts * (0.5 + lead / 2)
    return Case(BanditData(counts, sums, sums), (1, 0), tuple(range(8))[::-1], -1.0, 4.0)


def _probed(subject: RuleSubject, found: dict[str, PromiseError]) -> dict[str, PromiseError]:
    """What probes tell besides: a duel says more about a level than a drawn example does."""
    probed: dict[str, PromiseError] = {}
    with suppress(RuleError, Unasked):  # where the rule answers no duel, all else has been said
        error = _probe_failure(subject)
        name = "level" if error is None else "probe"
        error = error or _level_failure(subject)
        if error is not None:
            probed = {name: kept(error)}
    return (
        {key: found[key] for key in found if key == "contract"}
        | probed
        | {key: found[key] for key in found if key not in probed}
    )


def _probe_failure(subject: RuleSubject) -> PromiseError | None:
    """What drawn data are too small, or too far from where the rule changes its mind, to show."""
    if "repeat" in subject.waived:  # its answers differ anyway
        return None
    try:
        _promises.wrap(subject)
        if "batch" not in subject.waived:
            _promises.crowd(subject)
    except PromiseError as error:
        return error.with_traceback(None)
    return None


def _level_failure(subject: RuleSubject) -> PromiseError | None:
    broken = None if subject.level is None else _level.broken_duel(subject.ask, subject.level)
    if subject.level is None or broken is None:
        return None
    duel, lead = broken
    claim = _level.claim_at(subject.level, duel)
    if duel == _level.long_duel(subject.level):
        cause = "it holds its level until an arm has billions of pulls: whole numbers may overflow"
    else:
        asked = subject.ask, subject.level
        cause = _level.likely_cause(*asked) or _widths.likely_widths(*asked) or _level.amounts(*asked)
    text = (
        f"{cause}. Where it shows: at the claimed L = {claim:.4g} "
        f"(n = {duel.n}) an arm with {duel.few} pulls must be ahead by {duel.lead(claim):.4g} of one with {duel.many} "
        f"to be chosen, and is by {lead:.4g}"
    )
    return subject.error("level", text, duel.data(lead), subject.ask(duel.data(lead)))
