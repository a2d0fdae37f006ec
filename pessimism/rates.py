r"""Exponents from rows: how fast a loss falls with n, and how well the points support saying so.

If the loss is :math:`c\,n^{-\beta}`, its logarithm is a line in :math:`\log n` of slope :math:`-\beta`. Logarithmic
factors bend that line, so a fit reports the *local* slopes between consecutive points as well. Monte Carlo means are
fitted by least squares with weights from :math:`\mathrm{Var}(\log \hat L) \approx \mathrm{se}^2/\hat L^2`; exact
losses have equal weights, and the fit has no sampling error. Points that do not support a slope raise `SlopeError` with
the reason.

Rows are the flat dicts of a sweep. For a Monte Carlo column ``loss`` the convention, written by `summarize`, is
``loss_se`` beside it, ``loss_events`` (replicates with a non-zero value) and ``replicates``.
"""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._objects import Speaking
from pessimism._types import Floats, Rng

__all__ = [
    "Slope",
    "SlopeError",
    "average_blocks",
    "fit",
    "fit_rows",
    "group",
    "local_slopes",
    "summarize",
    "worst_rows",
]

Row = dict[str, Any]

MIN_POINTS = 3
MIN_DECADES = 2.0
MAX_RELATIVE_ERROR = 0.1
MIN_EVENTS = 100
SMALLEST_ERROR = 1e-100


class SlopeError(ValueError):
    """The points do not support a slope; the message is the reason.

    Examples
    --------
    >>> try:
    ...     fit([10, 20], [0.2, 0.1])
    ... except SlopeError as reason:
    ...     print(reason)
    a slope needs at least 3 points, got 2
    """


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Slope(Speaking):
    """Slope of log y against log x.

    Attributes
    ----------
    slope : float
        Weighted least-squares slope; minus the exponent of a rate.
    low, high : float
        Interval from the Monte Carlo errors of the points, of probability `level`; equal to `slope` for exact points.
    level : float
        Probability with which the interval covers the slope of the best line through the true points.
    exact : bool
        Whether the points carry no Monte Carlo error.
    x, local : (k,) float and (k - 1,) float
        The points' positions and the slopes between neighbours: how far the curve is from a line.

    Examples
    --------
    >>> fit([10, 100, 1000], [1.0, 0.1, 0.01]).local.round(12).tolist()
    [-1.0, -1.0]
    """

    slope: float
    low: float
    high: float
    level: float
    exact: bool
    x: Floats
    local: Floats


def summarize(name: str, values: ArrayLike) -> Row:
    """Reduce one quantity to the columns of its Monte Carlo mean.

    Parameters
    ----------
    name : str
        Column of the mean.
    values : (replicates,) array_like of float
        One value a replicate, at least two.

    Returns
    -------
    dict
        ``name`` (mean), ``name_se`` (its standard error), ``name_events`` (replicates with a non-zero value) and
        ``replicates``.

    Raises
    ------
    ValueError, TypeError
        If there are fewer than two finite values.

    Examples
    --------
    >>> summarize("loss", [0.0, 1.0, 1.0, 0.0])["loss_events"]
    2
    """
    _check.instance("name", name, str)
    sample = _check.real_array("values", values, min_ndim=1)
    if sample.ndim != 1 or sample.size < 2:
        raise ValueError(f"values must be one axis of at least two replicates, got shape {sample.shape}")
    return {
        name: float(sample.mean()),
        f"{name}_se": float(sample.std(ddof=1) / math.sqrt(sample.size)),
        f"{name}_events": int(np.count_nonzero(sample)),
        "replicates": int(sample.size),
    }


def average_blocks(rows: Iterable[Mapping[str, Any]], y: str = "loss", *, block: str = "block") -> list[Row]:
    """Merge rows that differ only in their block.

    Parameters
    ----------
    rows : iterable of dict
        Rows of a sweep, with the columns of `summarize` for `y`.
    y : str
        The Monte Carlo mean to average. Its columns, the block and ``replicates`` are merged. Rows that differ in any
        other column form different groups, so drop other Monte Carlo columns first.
    block : str
        Key that tells blocks apart.

    Returns
    -------
    list of dict
        One row a group, in order of first appearance, without `block`: mean weighted by replicates, its standard
        error, events and replicates added up.

    Raises
    ------
    ValueError
        If a row lacks one of the columns, or a group holds a block twice: its standard error would shrink without new
        data.

    Examples
    --------
    >>> rows = [{"n": 10, "block": b, "loss": l, "loss_se": 0.3, "loss_events": 5, "replicates": 9}
    ...         for b, l in ((0, 0.2), (1, 0.4))]
    >>> [round(x, 3) for x in (average_blocks(rows)[0]["loss"], average_blocks(rows)[0]["loss_se"])]
    [0.3, 0.212]
    """
    _check.instance("y", y, str)
    merged = (y, f"{y}_se", f"{y}_events", "replicates")
    groups: dict[Hashable, list[Mapping[str, Any]]] = {}
    for row in _with_columns(rows, block=block, y=y, **{f"the column {name}": name for name in merged[1:]}):
        rest = tuple((key, _hashable(value)) for key, value in sorted(row.items()) if key not in (*merged, block))
        groups.setdefault(rest, []).append(row)
    result = []
    for blocks in groups.values():
        first = {key: value for key, value in blocks[0].items() if key not in merged}
        if repeated := [b for b, times in Counter(_hashable(row[block]) for row in blocks).items() if times > 1]:
            raise ValueError(f"rows must hold every {block} once, got {repeated[0]!r} again beside {first!r}")
        del first[block]
        mean, se, events, count = (_check.numeric(f"column {key}", [row[key] for row in blocks]) for key in merged)
        share = count / count.sum()
        first |= {y: float(share @ mean), f"{y}_se": float(np.linalg.norm(share * se))}
        result.append(first | {f"{y}_events": int(events.sum()), "replicates": int(count.sum())})
    return result


def group(rows: Iterable[Mapping[str, Any]], *keys: str) -> dict[Any, list[Mapping[str, Any]]]:
    """Group rows by the values of some keys.

    Parameters
    ----------
    rows : iterable of dict
        Rows of a sweep.
    *keys : str
        One or more columns.

    Returns
    -------
    dict
        Value (or tuple of values, for several keys) -> rows, both in order of first appearance.

    Raises
    ------
    ValueError
        If a row lacks one of the keys.

    Examples
    --------
    >>> sorted(group([{"rule": "lcb"}, {"rule": "greedy"}], "rule"))
    ['greedy', 'lcb']
    """
    groups: dict[Any, list[Mapping[str, Any]]] = {}
    for row in _with_columns(rows, **{f"keys[{i}]": key for i, key in enumerate(keys)}):
        value = tuple(row[key] for key in keys)
        groups.setdefault(value[0] if len(keys) == 1 else value, []).append(row)
    return groups


def local_slopes(x: ArrayLike, y: ArrayLike) -> Floats:
    r"""Compute the slopes of log y against log x between neighbouring points.

    Parameters
    ----------
    x, y : (k,) array_like of float
        Positive, x increasing.

    Returns
    -------
    (k - 1,) float
        :math:`\log(y_{i+1}/y_i) / \log(x_{i+1}/x_i)`.

    Raises
    ------
    ValueError, TypeError
        If the arrays are not of one length, not positive, or x does not increase.

    Examples
    --------
    >>> local_slopes([1, 10, 100], [1.0, 0.1, 0.001]).round(12).tolist()
    [-1.0, -2.0]
    """
    position, value = _points(x, y)
    return np.asarray(np.diff(np.log(value)) / np.diff(np.log(position)))


def fit(
    x: ArrayLike, y: ArrayLike, se: ArrayLike | None = None, events: ArrayLike | None = None, *, level: float = 0.95
) -> Slope:
    r"""Slope of log y against log x, or the reason why the points do not have one.

    Parameters
    ----------
    x, y : (k,) array_like of float
        Positive; x increasing over at least two decades; at least three points.
    se : (k,) array_like of float, optional
        Standard errors of y, positive and at most a tenth of it. None: the points are exact.
    events : (k,) array_like of int, optional
        Replicates with a non-zero loss behind every point, at least 100.
    level : float
        Probability of the interval, in (0, 1).

    Returns
    -------
    Slope
        With local slopes beside the fitted one.

    Raises
    ------
    SlopeError
        If the points are too few, too close together, not positive, too noisy or rest on too few events.
    ValueError, TypeError
        If the arrays are not of one length, not finite, or x does not increase.

    Notes
    -----
    Weights :math:`y^2/\mathrm{se}^2` and, for the interval, the exact law of the weighted least-squares slope under
    normal errors of known variance: :math:`\pm z\,(\sum w (\log x - \overline{\log x})^2)^{-1/2}`. It accounts for
    Monte Carlo error and for nothing else: compare with a finite-n prediction to judge logarithms.

    Examples
    --------
    >>> result = fit([100, 1000, 10_000], [0.1, 0.032, 0.01], se=[0.001, 0.0003, 0.0001])
    >>> round(result.slope, 2), result.low < -0.5 < result.high
    (-0.5, True)
    """
    from scipy.special import ndtri

    confidence = _check.open_unit_interval("level", level)
    position, value = _points(x, y)
    if position.size < MIN_POINTS:
        raise SlopeError(f"a slope needs at least {MIN_POINTS} points, got {position.size}")
    decades = math.log10(position[-1] / position[0])
    if decades < MIN_DECADES * (1 - 1e-9):
        span = f"{position[0]:g} to {position[-1]:g}"
        raise SlopeError(f"a slope needs x over at least {MIN_DECADES:g} decades, got {span}")
    relative = np.ones(position.shape)
    if se is not None:
        error = _same_length("se", _check.real_array("se", se, low=0.0), position)
        relative = error / value
        _check.require("se", error, (error == 0.0) | (relative >= SMALLEST_ERROR), f"at least {SMALLEST_ERROR:g} of y")
        _refuse(position, relative > 0, "has standard error 0: no replicate differed, so its error is unknown")
        _refuse(position, relative <= MAX_RELATIVE_ERROR, f"has a relative error above {MAX_RELATIVE_ERROR:.0%}")
    if events is not None:
        count = _same_length("events", _check.real_array("events", events, low=0.0), position)
        _refuse(position, count >= MIN_EVENTS, f"rests on fewer than {MIN_EVENTS} events")
    weight = relative**-2.0
    u, v = np.log(position), np.log(value)
    centred = u - np.average(u, weights=weight)
    information = float(np.sum(weight * centred**2))
    slope = float(np.sum(weight * centred * v) / information)
    half = 0.0 if se is None else float(ndtri(0.5 + confidence / 2)) / math.sqrt(information)
    return Slope(slope, slope - half, slope + half, confidence, se is None, position, local_slopes(position, value))


def fit_rows(rows: Sequence[Mapping[str, Any]], x: str = "n", y: str = "loss", *, level: float = 0.95) -> Slope:
    """`fit` on the columns of some rows; Monte Carlo errors are used where the rows carry them.

    Parameters
    ----------
    rows : sequence of dict
        Rows of one curve, blocks averaged; in any order.
    x, y : str
        Columns.
    level : float
        Probability of the interval, in (0, 1).

    Returns
    -------
    Slope
        As from `fit`.

    Raises
    ------
    SlopeError
        As from `fit`.
    ValueError
        If a row lacks a column.
    TypeError
        If an entry is not a number; a string that spells one is, as rows read from CSV have them.

    Examples
    --------
    >>> fit_rows([{"n": n, "loss": 1 / n} for n in (1000, 10, 100)]).local.round(12).tolist()
    [-1.0, -1.0]
    """
    rows = _with_columns(rows, x=x, y=y)
    for i, row in enumerate(rows):
        optional = [name for name in (f"{y}_se", f"{y}_events") if row.get(name) is not None]
        for name in (x, y, *optional):
            try:
                float(row[name])
            except (TypeError, ValueError, OverflowError):
                raise TypeError(f"rows[{i}][{name!r}] must be a number, got {_check.shown(row[name])}") from None
    ordered = sorted(rows, key=lambda row: float(row[x]))

    def column(name: str) -> Floats | None:  # numpydoc ignore=GL08
        have = [row.get(name) is not None for row in ordered]
        if any(have) and not all(have):
            raise ValueError(
                f"{name} must be in every row or in none: the row at {x} = {ordered[have.index(False)][x]}"
            )
        return np.array([float(row[name]) for row in ordered]) if any(have) else None

    positions = [float(row[x]) for row in ordered]
    return fit(positions, [float(row[y]) for row in ordered], column(f"{y}_se"), column(f"{y}_events"), level=level)


def worst_rows(
    rules: Mapping[str, Callable[..., Any]], *, cstar: float, n: Sequence[int], size: int = 4_000, rng: Rng = None
) -> list[Row]:
    r"""Estimate the largest loss of any rules over the gap of two arms, for every N.

    Parameters
    ----------
    rules : mapping of str to callable
        ``rule(data) -> policy`` by name.
    cstar : float
        :math:`C^*` of the log, at least 1.
    n : sequence of int
        Rounds N, each at least 1.
    size : int
        Data sets for each gap, at least 4.
    rng : Generator, SeedSequence or int, optional
        Source of the data sets; all rules see the same.

    Returns
    -------
    list of dict
        A row for every N and rule: ``n``, ``rule``, ``cstar``, the worst ``gap``, and ``loss`` with its standard error
        as `summarize` writes them.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range, or a rule returns no policies.

    See Also
    --------
    pessimism.bandits.exact.worst_case : The same without sampling, for index rules.
    pessimism.plotting.rate_plot : Draws the rows.

    Notes
    -----
    The family is `pessimism.bandits.instances.symmetric`, on a grid of 25 gaps a factor 1.2 apart around
    :math:`2\sqrt{C^*/N}`. Half of the data sets choose the gap and the other half estimate its loss: choosing and
    estimating on the same ones would make it too large. The grid makes it too small, by less than one per cent where
    the loss is smooth in the gap, and the largest loss on a family is a lower bound of the rule's largest loss on all
    problems with this C*. Cost: 25 times `size` data sets for every N.

    Examples
    --------
    >>> from pessimism.bandits import lcb
    >>> (row,) = worst_rows({"lcb": lcb}, cstar=4, n=[1_000], size=2_000, rng=0)
    >>> round(row["loss"], 3), row["replicates"]
    (0.027, 1000)
    """
    from pessimism.bandits import instances

    generator, c = _check.generator(rng), _check.between("cstar", cstar, 1.0, _check.MAX_SIZE)
    half = _check.count("size", size, low=4) // 2
    sizes = _check.whole_array("n", n, min_ndim=1, low=1)
    if sizes.ndim != 1 or not sizes.size:
        raise ValueError(f"n must have one axis with at least one number, got shape {sizes.shape}")
    if not isinstance(rules, Mapping) or not all(isinstance(name, str) for name in rules):
        raise TypeError(f"rules must be a dict of functions by name, got {_check.shown(rules)}")
    for name, rule in rules.items():
        _check.function(f"rules[{name!r}]", rule, "of a data set that returns its policy")
    rows: list[Row] = []
    for count in sizes.tolist():
        gaps = np.minimum(1.0, 2.0 * math.sqrt(c / count) * 1.2 ** np.arange(-12.0, 13.0))
        losses: dict[str, list[Floats]] = {name: [] for name in rules}
        for gap in gaps:
            bandit, law = instances.symmetric(c, gap)
            data = bandit.sample(law, n=count, size=2 * half, rng=generator)
            for name, rule in rules.items():
                losses[name].append(_loss(bandit, rule(data), name))
        for name, by_gap in losses.items():
            worst = int(np.argmax([loss[:half].mean() for loss in by_gap]))
            found = summarize("loss", by_gap[worst][half:])
            rows.append({"n": count, "rule": name, "cstar": c, "gap": float(gaps[worst]), **found})
    return rows


def _loss(bandit: Any, policy: ArrayLike, name: str) -> Floats:
    try:
        loss: Floats = bandit.suboptimality(policy)
    except (TypeError, ValueError) as error:
        raise type(error)(f"rules[{name!r}] must return a policy of the data set: {error}") from error
    return loss


def _with_columns(rows: Iterable[Mapping[str, Any]], **columns: str) -> list[Mapping[str, Any]]:
    """The rows, all of which have the columns that the arguments name."""
    for argument, column in columns.items():
        _check.instance(argument, column, str)
    found = _check.listed("rows", rows, "dicts")
    for i, row in enumerate(found):
        if not isinstance(row, Mapping):
            raise TypeError(f"rows[{i}] must be a mapping of columns to values, got {type(row).__name__}")
        for argument, column in columns.items():
            if column not in row:
                known = ", ".join(map(repr, row))
                raise ValueError(f"{argument} must name a column of rows[{i}], which are {known}, got {column!r}")
    return found


def _points(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    position, value = _check.real_array("x", x, min_ndim=1), _check.real_array("y", y, min_ndim=1)
    if position.ndim != 1:
        raise ValueError(f"x must have one axis, got shape {position.shape}")
    _same_length("y", value, position)
    _check.require("x", position, position > 0, "positive")
    for name, array in (("x", position), ("y", value)):
        _check.require(name, array, (array <= 0.0) | (array >= 1.0 / _check.MAX_SIZE), "at least 1e-150")
    if not np.all(np.diff(position) > 0):
        raise ValueError("x must increase: average blocks and sort first")
    _refuse(position, value > 0, "is not positive: its logarithm has no slope")
    return position, value


def _same_length(name: str, array: Floats, position: Floats) -> Floats:
    if array.shape != position.shape:
        raise ValueError(f"{name} must have the shape {position.shape} of x, got {array.shape}")
    return array


def _refuse(position: Floats, good: NDArray[np.bool_], reason: str) -> None:
    if not good.all():
        raise SlopeError(f"the point at x = {position[~good][0]:g} {reason}")


def _hashable(value: Any) -> Hashable:
    if isinstance(value, dict):
        value = sorted(value.items())
    return tuple(map(_hashable, value)) if isinstance(value, list | tuple) else value
