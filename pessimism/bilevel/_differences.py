"""Claimed derivatives against central differences, what a disagreement looks like, and the ends of a spectrum."""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from pessimism._draw import Floats

TOLERANCE = 1e-4
"""Largest relative error of a derivative; what is correct stays far below, what is wrong is of size 1."""

STEPS = (1e-2, 1e-3, 1e-4, 1e-5)

LANCZOS = 40
"""Largest Krylov space; in lower dimensions its extremes are eigenvalues."""

Field = Callable[[Floats], Floats]


class Comparison(NamedTuple):
    error: float
    claimed: list[Floats]
    measured: list[Floats]


def compare(cases: Iterable[tuple[Field, Floats, Floats, Floats]]) -> Comparison:
    """Claims about the derivatives of functions at points along directions; the largest relative error."""
    worst, claims, slopes = 0.0, [], []
    for function, origin, direction, claimed in cases:
        errors, measured = [], []
        for step in STEPS:
            h = step * max(1.0, float(np.linalg.norm(origin)) / math.sqrt(len(origin)))
            up, down = function(origin + h * direction), function(origin - h * direction)
            slope = (up - down) / (2.0 * h)
            rounding = 32.0 * np.finfo(float).eps * max(length(up), length(down)) / h
            # a gap within the rounding passes whatever the sizes, so that 0 may be compared with noise
            gap, usual = length(slope - claimed), max(length(slope), length(claimed)) + rounding / TOLERANCE
            errors.append(float(gap / usual) if gap else 0.0)
            measured.append(slope)
        worst = max(worst, min(errors))
        claims.append(claimed)
        slopes.append(measured[2])
    return Comparison(worst, claims, slopes)


def length(vector: Floats) -> float:
    return float(np.linalg.norm(vector))


def close(one: list[Floats], other: list[Floats]) -> bool:
    first, second = np.concatenate(one), np.concatenate(other)
    return length(first) > 0.0 and length(first - second) <= TOLERANCE * max(length(first), length(second))


def mistake(of: str, found: Comparison, *known: tuple[list[Floats], list[Floats], str]) -> str:
    """The likeliest reason why a comparison failed; `known` are pairs that agree under one."""
    claimed, measured = found.claimed, found.measured
    flat = np.concatenate(measured)
    factor = float(np.concatenate(claimed) @ flat) / max(float(flat @ flat), np.finfo(float).tiny)
    if not np.concatenate(claimed).any():
        return f"is 0, but the {of} is not"
    if close(claimed, [-entry for entry in measured]):
        return f"has the wrong sign: it is minus the {of}"
    likely = [sentence for one, other, sentence in known if close(one, other)]
    if likely:
        return likely[0]
    if close(claimed, [factor * entry for entry in measured]):
        return f"is {factor:.4g} times the {of}"
    return f"is not the {of}"


def extremes(product: Field, start: Floats) -> tuple[float, float]:
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
