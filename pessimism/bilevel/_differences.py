"""Claimed derivatives against central differences, what a disagreement looks like, and the ends of a spectrum."""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from pessimism._types import Floats

ROUNDING = 32.0 * float(np.finfo(float).eps)

TOLERANCE = 1e-4
"""Largest relative error of a derivative; what is correct stays far below, what is wrong is of size 1."""

STEPS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)

USUAL = 4
"""Steps tried in any case; the shorter ones are for functions that these do not resolve."""

LANCZOS = 40
"""Largest Krylov space; in lower dimensions its extremes are eigenvalues."""

Field = Callable[[Floats], Floats]


class Comparison(NamedTuple):
    error: float
    claimed: list[Floats]
    measured: list[Floats]


def compare(
    cases: Iterable[tuple[Field, Floats, Floats, Floats]], allowed: Callable[[Floats], bool] = lambda _: True
) -> Comparison:
    """Claims about the derivatives of functions at points along directions; the largest relative error.

    A difference stays among the `allowed` points where it can.
    """
    worst, claims, slopes = 0.0, [], []
    for function, origin, direction, claimed in cases:
        errors: list[float] = []
        measured: list[Floats] = []
        scale = max(1.0, length(origin) / math.sqrt(len(origin)))
        steps = [step * scale for step in STEPS]
        for h in [h for h in steps if allowed(origin + h * direction) and allowed(origin - h * direction)] or steps:
            up, down = function(origin + h * direction), function(origin - h * direction)
            measured.append((up - down) / (2.0 * h))
            rounding = ROUNDING * max(length(up), length(down)) / h
            # a gap within the rounding passes whatever the sizes, so that 0 may be compared with noise
            errors.append(_gap(measured[-1], claimed, rounding / TOLERANCE))
            # shorter steps allow for more rounding: they count only while the slopes still move
            if len(errors) >= USUAL and _gap(measured[-1], measured[-2], rounding / TOLERANCE) <= TOLERANCE:
                measured.pop()  # of two that agree the longer one has less rounding
                break
        worst = max(worst, min(errors))
        claims.append(claimed)
        slopes.append(measured[-1])
    return Comparison(worst, claims, slopes)


def _gap(one: Floats, other: Floats, more: float) -> float:
    gap = length(one - other)
    return gap / (max(length(one), length(other)) + more) if gap else 0.0


def length(vector: Floats) -> float:
    with np.errstate(over="ignore"):  # infinite: no difference can then be told from rounding
        return float(np.linalg.norm(vector))


def close(one: list[Floats], other: list[Floats]) -> bool:
    first, second = np.concatenate(one), np.concatenate(other)
    return length(first) > 0.0 and length(first - second) <= TOLERANCE * max(length(first), length(second))


def factor(found: Comparison) -> float | None:
    """The number that all claims are too large by, if there is one."""
    flat = np.concatenate(found.measured)
    number = float(np.concatenate(found.claimed) @ flat) / max(float(flat @ flat), np.finfo(float).tiny)
    return number if close(found.claimed, [number * entry for entry in found.measured]) else None


def shared(one: Comparison, other: Comparison) -> float | None:
    """The factor of two comparisons that both fail by it."""
    if min(one.error, other.error) <= TOLERANCE:
        return None
    first, second = factor(one), factor(other)
    return first if first and second and math.isclose(first, second, rel_tol=10.0 * TOLERANCE) else None


def mistake(of: str, found: Comparison, *known: tuple[list[Floats], list[Floats], str]) -> str:
    """The likeliest reason why a comparison failed; `known` are pairs that agree under one."""
    claimed, measured = found.claimed, found.measured
    if not np.concatenate(claimed).any():
        return f"is 0, but the {of} is not"
    if close(claimed, [-entry for entry in measured]):
        return f"has the wrong sign: it is minus the {of}"
    likely = [sentence for one, other, sentence in known if close(one, other)]
    if likely:
        return likely[0]
    number = factor(found)
    return f"is not the {of}" if number is None else f"is {number:.4g} times the {of}"


def curvature(product: Field, start: Floats) -> tuple[float, bool]:
    """Smallest eigenvalue of a symmetric matrix, and whether it is positive.

    Where rounding of the largest hides it, a diagonal scaled to 1 tells entries of many sizes from a singular matrix,
    and what is returned is a bound from below in low dimensions.
    """
    noise = len(start) * float(np.finfo(float).eps)
    low, high = _ritz(product, start)
    if low > noise * high:
        return low, True
    diagonal = np.array([product(unit)[i] for i, unit in enumerate(np.eye(len(start)))])
    if (diagonal <= 0.0).any():
        return low, False
    root = np.sqrt(diagonal)
    least, most = _ritz(lambda v: product(v / root) / root, start)
    return (least * float(diagonal.min()), True) if least > noise * most else (low, False)


def _ritz(product: Field, start: Floats) -> tuple[float, float]:
    """Smallest and largest Ritz value of a Krylov space; the eigenvalues themselves once it is everything."""
    rng, basis, images = np.random.default_rng(0), [start], [product(start)]
    while len(basis) < min(len(start), LANCZOS):
        new = _orthogonal(images[-1], basis)
        if length(new) <= 1e-10 * length(images[-1]):  # an invariant space: go on from another vector
            new = _orthogonal(rng.normal(size=len(start)), basis)
        basis.append(new / length(new))
        images.append(product(basis[-1]))
    small = np.array(basis) @ np.array(images).T
    values = np.linalg.eigvalsh((small + small.T) / 2.0)
    return float(values[0]), float(values[-1])


def _orthogonal(vector: Floats, basis: list[Floats]) -> Floats:
    rows = np.array(basis)
    for _ in range(2):  # the second time removes what rounding left
        vector = vector - rows.T @ (rows @ vector)
    return vector
