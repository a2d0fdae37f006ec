r"""Checking an interval for the value of a policy: exact coverage over every short log, the width on a long one.

Coverage is a finite sum over all logs of twenty rounds with two arms, for a grid of mean rewards, so that an interval
that fails somewhere is shown the place. On a log of :math:`10^8` rounds the half-width is :math:`z s/\sqrt n` or
:math:`C\sqrt{L/(2n)}` to all digits: the z or L in use is read off, and a mistaken one is named.
"""

import math
from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np

from pessimism import _check
from pessimism._types import Floats
from pessimism.bandits import Bandit, BanditData, ValueInterval, risk
from pessimism.testing._driver import checked_arguments
from pessimism.testing.bandit._estimates import EstimatorError

__all__ = ["check_interval"]

Interval = Callable[..., Any]

PROMISES = ("coverage", "nested", "estimate", "range", "width", "shrinks", "like")
ROUNDS, GRID = 20, (21, 3)
LONG = 10**8
POLICY, LAW = np.array([[0.7, 0.3]]), np.array([[0.25, 0.75]])
MEANS = np.array([[0.5, 0.25]])
CLOSE = 1e-5
"""Relative agreement of a quantile, which is read off at LONG rounds."""
ASYMPTOTIC = "it is asymptotic"
FIXED = "the self-normaliser is treated as fixed: its centre is that of snips, its standard error that of ips"
IPS_FORM = "normal interval of importance sampling"


def check_interval(
    interval: Interval,
    *,
    like: Interval | None = None,
    delta: float = 0.05,
    arm: bool = False,
    waive: Collection[str] = (),
) -> None:
    r"""Raise an EstimatorError that says which promise an interval breaks, and where.

    Parameters
    ----------
    interval : callable
        ``interval(data, policy, behavior, delta=delta)`` for a batch of data sets: a `ValueInterval`, or a pair (low,
        high) of arrays; NaN where it is undefined. Two arms, one context, rewards 0 or 1.
    like : callable, optional
        What it is to be like, of the same signature: one of `pessimism.bandits.intervals`. It must agree on every log
        of twenty rounds to 1e-9.
    delta : float
        Probability of a miss, in (0, 1/2), for which it is asked.
    arm : bool
        Whether the policy is a single arm, for intervals that know no others; default a policy of two arms.
    waive : collection of str
        Promises that it does not make, of those quoted in the Notes.

    Raises
    ------
    EstimatorError
        An AssertionError, so that a plain call is a test. It names the likely mistake in the quantile.
    ValueError, TypeError
        If an argument is out of its range.

    Notes
    -----
    - "coverage": at least :math:`1-\delta`, exactly, for 21 x 3 pairs of means at n = 20; an undefined interval misses.
      Asymptotic intervals waive it
    - "nested": a smaller delta gives an interval that holds the other
    - "estimate": a `ValueInterval` holds its estimate
    - "range": low is at most high, and both are in [0, 1]
    - "width": no width 0 on a log whose rewards are all 0: where it has, it covers as often as the log holds a success
    - "shrinks": at four times as many rounds at most 0.6 of the width, at n = 10^8
    - "like": if given

    Examples
    --------
    >>> from pessimism.bandits import intervals
    >>> from pessimism.testing import EstimatorError, check_interval
    >>> check_interval(intervals.given_counts, like=intervals.given_counts)
    >>> try:
    ...     check_interval(intervals.normal_ips)
    ... except EstimatorError as error:
    ...     print(str(error).partition(":")[0])
    normal_ips breaks "coverage"
    """
    __tracebackhide__ = True  # pytest then points at the line of the test
    _, waived = checked_arguments("interval", interval, "data, policy, behavior, delta", waive, PROMISES, 1)
    miss = _check.between("delta", delta, 0.0, 0.5, "()")
    if like is not None:
        _check.function("like", like, "of data, policy, behavior, delta")
    policy = np.array([[1.0, 0.0]]) if _check.flag("arm", arm) else POLICY
    found = [
        f'{getattr(interval, "__name__", type(interval).__name__)} breaks "{name}": {wrong}'
        for name, wrong in _broken(interval, like, miss, policy)
        if name not in waived
    ]
    if found:
        cause = _likely_cause(interval, miss, policy)
        first, _, rest = found[0].partition(": ")
        lines = [f"{first}: {cause}. Where it shows: {rest}" if cause else found[0]]
        raise EstimatorError("\n  ".join(lines + [f"It also breaks {x.partition(' breaks ')[2]}" for x in found[1:]]))


def _broken(interval: Interval, like: Interval | None, delta: float, policy: Floats) -> Iterator[tuple[str, str]]:
    data = risk.every_log(ROUNDS, 1, 2)
    low, high, estimate = _ends(interval, data, policy, delta)
    known = ~(np.isnan(low) | np.isnan(high))
    first, second = (np.linspace(0.0, 1.0, k) for k in GRID)
    worlds = Bandit(np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 1, 2))
    chance = np.exp(risk.log_probability(data, worlds, LAW))
    value = (policy * worlds.means).sum(axis=(-2, -1))[:, None]
    holds = known & (low <= value + 1e-12) & (high >= value - 1e-12)
    coverage = (chance * holds).sum(axis=-1)
    if coverage.min() < 1.0 - delta - 1e-12:
        worst = int(coverage.argmin())
        yield "coverage", f"{coverage[worst]:.4f} at means {worlds.means[worst, 0].tolist()}, below {1 - delta:g}"
    yield from _of_ends(low, high, estimate, known, data)
    wide_low, wide_high, _ = _ends(interval, data, policy, delta / 5)
    apart = known & ~((wide_low <= low + 1e-12) & (wide_high >= high - 1e-12))
    if apart.any():
        yield "nested", f"at delta = {delta / 5:g} it does not hold that at {delta:g} on {_log(data, apart)}"
    short, longer = (_ends(interval, _long(n), policy, delta) for n in (LONG, 4 * LONG))
    ratio = float((longer[1] - longer[0]) / (short[1] - short[0]))
    if not ratio <= 0.6:
        grown = "; does it multiply by sqrt(n) or n, where it should divide?" if short[1] - short[0] >= 1.0 else ""
        yield "shrinks", f"at four times as many rounds it has {ratio:.3g} of its width, sqrt(n) would be 0.5{grown}"
    if like is not None:
        ours = _ends(like, data, policy, delta, "like")
        off = ~(np.isclose(low, ours[0], 1e-9, 1e-9, True) & np.isclose(high, ours[1], 1e-9, 1e-9, True))
        if off.any():
            i = int(off.argmax())
            yield (
                "like",
                f"[{low[i]:.6g}, {high[i]:.6g}], not [{ours[0][i]:.6g}, {ours[1][i]:.6g}], on {_log(data, off)}",
            )


def _of_ends(
    low: Floats, high: Floats, estimate: Floats | None, known: Any, data: BanditData
) -> Iterator[tuple[str, str]]:
    if estimate is not None:
        out = known & ~np.isnan(estimate) & ((estimate < low - 1e-12) | (estimate > high + 1e-12))
        inside = out & (estimate >= 0) & (estimate <= 1)
        if inside.any():
            yield "estimate", f"it does not hold its estimate on {_log(data, inside)}"
    wrong = known & ((low > high) | (low < 0) | (high > 1))
    if wrong.any():
        i = int(wrong.argmax())
        yield "range", f"[{low[i]:.6g}, {high[i]:.6g}] on {_log(data, wrong)}"
    nothing = known & (data.sums.sum(axis=(-2, -1)) == 0) & (high - low <= 0)
    if nothing.any():
        yield (
            "width",
            f"it has no width on a log without a reward, {_log(data, nothing)}: its range is read off the sample",
        )


def _ends(
    interval: Interval, data: BanditData, policy: Floats, delta: float, role: str = "interval"
) -> tuple[Floats, Floats, Floats | None]:
    def wrong(what: str) -> Exception:
        if role == "like":
            return ValueError(f"like must return an interval (low, high) for every log of the data: {what}")
        return EstimatorError(f'interval breaks "contract": {what}')

    found = interval(data, policy.copy(), LAW.copy(), delta=delta)
    if isinstance(found, ValueInterval):
        ends, estimate = (found.low, found.high), np.broadcast_to(found.estimate, data.shape)
    elif isinstance(found, (tuple, list)) and len(found) == 2:
        ends, estimate = (found[0], found[1]), None
    else:
        raise wrong(f"it returned {_check.shown(found)}, not (low, high)")
    low, high = (np.asarray(end, np.float64) for end in ends)
    if low.shape != data.shape or high.shape != data.shape:
        raise wrong(f"its ends have shape {low.shape}, not {data.shape} of the data")
    return low, high, estimate


def _log(data: BanditData, where: Any) -> str:
    i = int(np.argmax(where))
    return f"counts {data.counts[i].tolist()}, sums {data.sums[i].tolist()}"


def _long(n: int) -> BanditData:
    """The law repeated exactly."""
    counts = np.rint(n * LAW).astype(np.int64)
    sums = counts * MEANS
    return BanditData(counts, sums, sums)


def _likely_cause(interval: Interval, delta: float, policy: Floats) -> str | None:
    """What is wrong with the quantile that the width of a long log shows; None if it is right or unknown."""
    low, high, _ = _ends(interval, _long(LONG), policy, delta)
    half, w = 0.5 * float(high - low), policy / LAW
    for width in _widths(policy, w).values():
        if math.isclose(2.0 * LONG * half**2 / width, math.log(2.0 / delta), rel_tol=CLOSE):
            return None
    for form, unit, causes in (*_normal(policy, w, delta), *_hoeffding(policy, w, delta)):
        for cause, expected in causes.items():
            if math.isclose(half, unit * expected, rel_tol=CLOSE):
                fixed = form == IPS_FORM and _centre_is_self_normalised(interval, delta, policy, w)
                return FIXED if fixed and cause == ASYMPTOTIC else f"{cause} ({form})"
    return None


def _centre_is_self_normalised(interval: Interval, delta: float, policy: Floats, w: Floats) -> bool:
    """On a log whose shares differ from the law, so that the sum of weights differs from n."""
    counts = np.rint(LONG * (LAW + np.array([[-0.05, 0.05]]))).astype(np.int64)
    sums = counts * MEANS
    low, high, _ = _ends(interval, BanditData(counts, sums, sums), policy, delta)
    return math.isclose(float(low + high) / 2.0, float((w * sums).sum() / (w * counts).sum()), rel_tol=CLOSE)


def _normal(policy: Floats, w: Floats, delta: float) -> Iterator[tuple[str, float, dict[str, float]]]:
    """Form, standard error and, by mistake, the quantile that multiplies it."""
    from scipy.special import ndtri

    value, v, root = float((policy * MEANS).sum()), MEANS * (1.0 - MEANS), math.sqrt(LONG)
    right = float(-ndtri(delta / 2.0))
    deviations = {
        "importance sampling": math.sqrt(float((LAW * w**2 * MEANS).sum()) - value**2),
        "self-normalised sampling": math.sqrt(float((LAW * w**2 * (v + (MEANS - value) ** 2)).sum())),
        "the direct method": math.sqrt(float((policy * w * v).sum())),
    }
    for what, s in deviations.items():
        causes = {
            ASYMPTOTIC: right,
            "the quantile is of 1 - delta, not 1 - delta/2: one side's, on both sides": float(-ndtri(delta)),
            "delta and 1 - delta are swapped": float(-ndtri((1.0 - delta) / 2.0)),
            "the quantile is that of delta/4": float(-ndtri(delta / 4.0)),
            "the half-width is halved": 0.5 * right,
            "the half-width is doubled": 2.0 * right,
            "sqrt(n) is missing": right * root,
            "it divides by n, not sqrt(n)": right / root,
            "it multiplies by sqrt(n), where it should divide": right * LONG,
            "it multiplies by n, where it should divide by its root": right * LONG * root,
            "the variance stands for the standard deviation": right * s,
        }
        yield f"normal interval of {what}", s / root, causes


def _widths(policy: Floats, w: Floats) -> dict[str, float]:
    return {"the counts": float((policy**2 / LAW).sum()), "the largest weight": float(w.max()) ** 2}


def _hoeffding(policy: Floats, w: Floats, delta: float) -> Iterator[tuple[str, float, dict[str, float]]]:
    """Form, unit of the half-width and, by mistake, the root of the level that multiplies it."""
    causes = {
        "delta is not halved: log(1/delta) in place of log(2/delta)": math.sqrt(math.log(1.0 / delta)),
        "the logarithm is of base 10": math.sqrt(math.log10(2.0 / delta)),
        "the logarithm is of base 2": math.sqrt(math.log2(2.0 / delta)),
        "the square root is missing": math.log(2.0 / delta) / math.sqrt(2.0 * LONG),
        "a factor 1/2 is missing under the root": math.sqrt(2.0 * math.log(2.0 / delta)),
    }
    for what, width in _widths(policy, w).items():
        yield f"Hoeffding's interval by {what}", math.sqrt(width / (2.0 * LONG)), causes
