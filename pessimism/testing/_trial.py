"""What the checks of relevance and allocation share: their arguments, their messages, and the order of the trial."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from hypothesis.strategies import SearchStrategy

from pessimism import _check
from pessimism.testing import _plans
from pessimism.testing._search import Case, Error, first_failures, smallest

Judge = Callable[[Case, Collection[str]], dict[str, Error]]


def arguments(rule: Any, what: str, waive: Collection[str], waivable: tuple[str, ...], examples: int) -> int:
    """The number of examples; or an error that names the argument that is wrong."""
    if not callable(rule):
        raise TypeError(f"rule must be a function of {what}, got {rule!r}")
    if isinstance(waive, str):
        raise TypeError(f"waive must be a collection of names, like [{waive!r}]")
    for name in waive:
        _check.choice("waive", name, waivable)
    return _check.whole("examples", examples, low=1)


def message(rule: Callable[..., Any], promise: str, wrong: str, check: str, fields: dict[str, Any]) -> str:
    """What is broken, how to waive it (`check` is then the name of the check), and the example."""
    waiver = f'\n  If that is meant, declare it: {check}(..., waive=["{promise}"])' if check else ""
    return f'{_plans.name_of(rule)} breaks "{promise}": {wrong}{waiver}\n{_plans.shown(fields, None)}'


def first_error(
    judge: Judge[Case, Error],
    kind: type[Error],
    fixed: Mapping[str, Case],
    strategy: SearchStrategy[Case],
    names: Collection[str],
    examples: int,
    *,
    steady: bool,
    probe: Case | None = None,
) -> Error | None:
    """What the first fixed case breaks, or else the first broken promise on the smallest drawn case found.

    A promise broken on the probe, if there is one, comes before all others, and is then looked for on smaller cases.
    """
    found = {} if probe is None else judge(probe, names)
    if not found:
        for what, case in fixed.items():
            for error in judge(case, names).values():
                shown = kind(f"{error}\n  This is a fixed example: {what}.")
                shown.__cause__ = error.__cause__
                return shown
        found = first_failures(judge, strategy, names, examples)
    return smallest(judge, strategy, found, examples, steady=steady) if found else None
