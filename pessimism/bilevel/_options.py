"""Options of a method: each is declared once, in the method's file, with its default, its range and its meaning."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from pessimism import _check

OPEN = "0.1, a tenth of it each time that the run diverges and begins again"
CAREFUL = OPEN.replace("0.1", "0.01")
FIRST_STEPS = {OPEN: 0.1, CAREFUL: 0.01}
"""Steps on x that are tried first where none is given."""

CURVATURE = (
    "1 / curvature of the lower level, estimated by ten products with its Hessian and again where it has doubled"
)


class Range(NamedTuple):
    """Values an option may have: in words, and as a function that raises for others."""

    text: str
    read: Callable[[str, Any], float]

    def __repr__(self) -> str:
        return self.text


NONNEGATIVE = Range("at least 0 and finite", _check.nonnegative)
UNBOUNDED = Range("at least 0", lambda name, value: _check.scalar(name, value, lambda v: v >= 0.0, "at least 0"))
POSITIVE = Range("positive and finite", _check.positive)
BELOW_ONE = Range("in [0, 1)", lambda name, value: _check.between(name, value, 0.0, 1.0, "[)"))
UP_TO_ONE = Range("in [0, 1]", lambda name, value: _check.between(name, value, 0.0, 1.0))


def whole_from(low: int) -> Range:
    """Whole numbers from `low` on."""
    return Range(f"a whole number, at least {low}", lambda name, value: _check.whole(name, value, low=low))


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its default (a number, or OPEN, or CURVATURE), the values allowed, and what it is."""

    default: float | str
    allowed: Range
    meaning: str


def option(default: float | str, allowed: Range, meaning: str) -> Any:
    """An `Option` where the type checker expects the number that the loop will read."""
    return Option(default, allowed, meaning)
