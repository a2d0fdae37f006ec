"""Trying promises on drawn cases, and looking for the smallest case that breaks one."""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from random import Random
from typing import Any, TypeVar

from hypothesis import Phase, Verbosity, find, settings
from hypothesis.errors import Flaky, NoSuchExample
from hypothesis.strategies import SearchStrategy

SHRINKS = 300
"""Smaller cases to try once a promise is found broken: the message then comes within seconds."""


class _Enough(BaseException):
    """The budget is spent. No Exception, as Hypothesis would take one for a failure to shrink."""


Case = TypeVar("Case")
Answer = TypeVar("Answer")
Error = TypeVar("Error", bound=AssertionError)


def failures(
    ask: Callable[[Case], Answer],
    promises: Mapping[str, Callable[[Case, Answer], None]],
    kind: type[Error],
    case: Case,
    names: Collection[str],
) -> dict[str, Error]:
    """What is wrong on this case, in order; without a valid answer there is nothing else to ask."""
    found = {}
    try:
        answer = ask(case)
    except kind as error:
        return {"contract": error}
    for name in names:
        if name not in promises:
            continue
        try:
            promises[name](case, answer)
        except kind as error:
            found[name] = error
    return found


def first_failures(
    judge: Callable[[Case, Collection[str]], dict[str, Error]],
    strategy: SearchStrategy[Case],
    names: Collection[str],
    examples: int,
    first: Collection[Case] = (),
) -> dict[str, Error]:
    """The first failure of every promise, on the first or a drawn case, in the order of `names`."""
    found: dict[str, Error] = {}

    def record(case: Case) -> bool:
        for name, error in judge(case, [name for name in names if name not in found]).items():
            found.setdefault(name, error)
        return "contract" in found

    if not any(record(case) for case in first):
        _search(strategy, record, examples, (Phase.generate,))
    return {name: found[name] for name in ("contract", *names) if name in found}


def smallest(
    judge: Callable[[Case, Collection[str]], dict[str, Error]],
    strategy: SearchStrategy[Case],
    found: Mapping[str, Error],
    examples: int,
    *,
    steady: bool,
) -> Error:
    """The first of the broken promises, on the smallest case found to break it."""
    name, least = next(iter(found.items()))
    left = examples + SHRINKS

    def fails(case: Case) -> bool:
        nonlocal least, left
        left -= 1
        if left < 0:
            raise _Enough
        error = judge(case, (name,)).get(name)
        least = error or least
        return error is not None

    # an answer that changes by itself does not tell which data are smaller
    if name != "repeat" and steady:
        _search(strategy, fails, examples, (Phase.generate, Phase.shrink))
    return least.with_traceback(None)


def _search(
    strategy: SearchStrategy[Case], condition: Callable[[Case], bool], examples: int, phases: tuple[Any, ...]
) -> None:
    """Try the condition on drawn cases, and on smaller ones where it holds; what it finds, it keeps itself."""
    quiet = settings(max_examples=examples, phases=phases, database=None, deadline=None, verbosity=Verbosity.quiet)
    # flaky: the function under test has a memory
    with suppress(NoSuchExample, Flaky, _Enough):
        find(strategy, condition, settings=quiet, random=Random(0))
