"""What is asked of f, g and the optional oracles, whichever package differentiates them."""

import inspect
from collections.abc import Callable
from typing import Any

from pessimism._shown import shown
from pessimism.bilevel._lower import solved
from pessimism.bilevel.problems._closed_form import variable

__all__ = ["given", "of_three", "users_solver", "with_solver"]

SAMPLE = ("sample", "s")
"""What the third argument of f and g may be called if it has a default."""


def of_three(
    f: Callable[..., Any], g: Callable[..., Any], sample: Any
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Both functions as functions of (x, y, sample); those of two arguments leave the sample unused.

    A third argument is the sample if it has no default or is called sample or s: others are the caller's own.
    """
    taken = []
    for name, function in (("f", f), ("g", g)):
        if not callable(function):
            raise TypeError(f"{name} must be a function, got {type(function).__name__}")
        parameters = list(inspect.signature(function).parameters.values())
        if any(p.kind is p.VAR_POSITIONAL for p in parameters):
            raise TypeError(f"{name} must name its arguments, (x, y) or (x, y, sample), and not take any number")
        places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        meant = [p for i, p in enumerate(places) if i < 2 or p.default is p.empty or (i == 2 and p.name in SAMPLE)]
        if len(meant) not in (2, 3):
            raise TypeError(f"{name} must take (x, y) or (x, y, sample), got {len(meant)} arguments")
        taken.append(len(meant) == 3)
    if sample is not None and not any(taken):
        raise TypeError(
            "sample must come with an f or g that takes (x, y, sample), and neither does: a third argument with a "
            "default must be called sample or s"
        )
    upper, lower = (
        function if three else lambda x, y, s, function=function: function(x, y)
        for function, three in zip((f, g), taken, strict=True)
    )
    return upper, lower


def given(**oracles: Any) -> dict[str, Callable[..., Any]]:
    """The oracles that are not None: a problem has no attribute for an oracle that it does not have."""
    found = {name: oracle for name, oracle in oracles.items() if oracle is not None}
    for name, oracle in found.items():
        if not callable(oracle):
            raise TypeError(f"{name} must be a function, got {type(oracle).__name__}")
    return found


def with_solver(problem: Any, solve_y: Any) -> Any:
    """The problem, with Newton steps as its `solve_y` where these were asked for."""
    if isinstance(solve_y, str):
        problem.solve_y = lambda x: solved(problem, variable("x", x, problem.dim_x))
    return problem


def users_solver(solve_y: Any) -> Any:
    """The function that a caller gave; None if there is none, or Newton steps were asked for."""
    if solve_y is None or callable(solve_y):
        return solve_y
    if not isinstance(solve_y, str) or solve_y != "newton":
        raise TypeError(f"solve_y must be a function or 'newton', got {shown(solve_y)}")
    return None
