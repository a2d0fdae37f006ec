"""The driver of every check: it calls the function under test, tries its promises, shrinks and reports a failure.

A check has a `Subject`, the function under test with what it claims; *cases*, the inputs on which it is called and how
they are then changed; and *promises*, functions ``promise(subject, case, answer)`` that return what is wrong, or
None. A promise is reported under the name of its function, and its docstring says what is promised. `Trial` tries the
promises in order on fixed and on drawn cases, and looks for the smallest drawn case that breaks the first broken one.
"""

import warnings
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from hypothesis import Phase, Verbosity, find, settings
from hypothesis.errors import Flaky, NoSuchExample
from hypothesis.strategies import SearchStrategy

from pessimism import _check
from pessimism._status import ImitationWarning

SHRINKS = 300
"""Smaller cases to try once a promise is found broken: the message then comes within seconds."""

REPEATS = 3
"""How often a function is asked again: random choices between few arms may well agree once."""

Case = TypeVar("Case")
Given = TypeVar("Given")
Answer = TypeVar("Answer")
Promise = Callable[[Any, Any, Any], str | None]


class PromiseError(AssertionError):
    """A function under test broke a promise."""

    def __init_subclass__(cls) -> None:
        cls.__module__ = "pessimism.testing"  # where users find it, and what tracebacks print


class RuleError(PromiseError):
    """A rule or an offline rule broke a promise: the message says which, on which data, and what it answered."""


@dataclass(frozen=True, slots=True)
class Subject(Generic[Case, Given, Answer]):
    """The function under test, called in such a way that it can neither hide a warning nor change our arrays.

    A subclass adds what is claimed, and says how a case is asked about (`about`, `ask`) and how it is shown (`shown`).
    """

    check: ClassVar[str]
    error_type: ClassVar[type[PromiseError]]
    waivable: ClassVar[tuple[str, ...]]
    asked: ClassVar[str]  # what it is asked about, in a message

    function: Callable[..., Any]
    waived: frozenset[str]
    causes: dict[str, str | None] = field(default_factory=dict, init=False)

    def about(self, case: Case) -> Given:
        """The input of a case, before it is changed."""
        raise NotImplementedError

    def ask(self, given: Given, promise: str = "contract") -> Answer:
        """The answer to copies of `given`; if it is not a valid one, an error that names `promise`."""
        raise NotImplementedError

    def shown(self, given: Given, answer: Answer | None) -> list[str]:
        """Lines of Python that rebuild an example."""
        raise NotImplementedError

    def text(self, answer: Any) -> str:
        """An answer, to the last digit."""
        return str(answer.tolist())

    def answer(self, case: Case) -> Answer:
        return self.ask(self.about(case))

    def called(
        self,
        call: Callable[[], Any],
        given: Given,
        promise: str,
        *,
        where: str = "",
        tables: Mapping[str, tuple[Any, Any]] | None = None,
    ) -> Any:
        """The result of a call that may neither fail, nor warn of a RuntimeWarning, nor write into its arguments.

        `tables` holds pairs of our array and the copy that was handed over, by name.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                warnings.simplefilter("ignore", ImitationWarning)  # drawn logs are short
                result = call()
        except Exception as error:
            verb = "warned of" if isinstance(error, Warning) else "raised"
            raise self.error(promise, f"{where}it {verb} {type(error).__name__}: {error}", given) from error
        for name, (ours, copy) in (tables or {}).items():
            if not np.array_equal(ours, copy):
                raise self.error("mutation", f"{where}it wrote into {name}: work on a copy", given)
        return result

    def cause(self, find: Callable[[Self], str | None]) -> str | None:
        """The likely cause that `find` returns; it is called once."""
        if find.__name__ not in self.causes:
            self.causes[find.__name__] = find(self)
        return self.causes[find.__name__]

    def explained(self, find: Callable[[Self], str | None], wrong: str) -> str:
        """What is wrong, after its likely cause if there is one."""
        cause = self.cause(find)
        return wrong if cause is None else f"{cause}. Where it shows: {wrong}"

    def error(self, promise: str, wrong: str, given: Given, answer: Answer | None = None) -> PromiseError:
        """What is broken, how to waive it, and the example."""
        if promise in self.waivable:
            wrong += f'\n  If that is meant, declare it: {self.check}(..., waive=["{promise}"])'
        lines = [f'{_name(self.function)} breaks "{promise}": {wrong}', *self.shown(given, answer)]
        return self.error_type("\n  ".join(lines))


def repeat(subject: Subject[Case, Given, Answer], case: Case, answer: Answer) -> str | None:
    """The same input, the same answer."""
    for _ in range(REPEATS):
        again = subject.text(subject.ask(subject.about(case)))
        if again != subject.text(answer):
            return f"asked again about the same {subject.asked}, it answered {again}: give its generator a fixed seed"
    return None


@dataclass(frozen=True, slots=True)
class Trial(Generic[Case]):
    """The promises that a subject is held to, in the order in which they are reported, and the cases to try them on."""

    subject: Subject[Case, Any, Any]
    promises: Collection[Promise]
    cases: SearchStrategy[Case]
    examples: int

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(promise.__name__ for promise in self.promises)

    def judge(self, case: Case, names: Collection[str]) -> dict[str, PromiseError]:
        """What is wrong on this case, by the name of the promise; without a valid answer no promise is tried."""
        try:
            answer = self.subject.answer(case)
        except PromiseError as error:
            return {"contract": error}
        found = {}
        for promise in self.promises:
            name = promise.__name__
            if name not in names or name in self.subject.waived:
                continue
            try:
                wrong = promise(self.subject, case, answer)
            except PromiseError as error:  # with an example of its own, or on a changed case without a valid answer
                found[name] = error
            else:
                if wrong is not None:
                    found[name] = self.subject.error(name, wrong, self.subject.about(case), answer)
        return found

    def run(
        self,
        fixed: Mapping[str, Case],
        *,
        on_fixed: Callable[[Case], Collection[str]] | None = None,
        probe: Case | None = None,
    ) -> PromiseError | None:
        """What the first fixed case breaks, or else the first broken promise on the smallest drawn case found.

        A promise broken on the probe, if there is one, comes before all others, and is then looked for on drawn cases.
        """
        found = {} if probe is None else self.judge(probe, self.names)
        if not found:
            error = self.on_fixed(fixed, on_fixed)
            if error is not None:
                return error
            found = self.on_drawn()
        return self.smallest(found) if found else None

    def on_fixed(
        self, fixed: Mapping[str, Case], names: Callable[[Case], Collection[str]] | None = None
    ) -> PromiseError | None:
        """What the first of the fixed cases to break a promise breaks; `names` are those tried on a case."""
        for what, case in fixed.items():
            for error in self.judge(case, self.names if names is None else names(case)).values():
                shown = type(error)(f"{error}\n  This is a fixed example: {what}.")
                shown.__cause__ = error.__cause__
                return shown
        return None

    def on_drawn(self, first: Collection[Case] = ()) -> dict[str, PromiseError]:
        """The first failure of every promise, on the first cases or on drawn ones."""
        found: dict[str, PromiseError] = {}

        def record(case: Case) -> bool:
            for name, error in self.judge(case, [name for name in self.names if name not in found]).items():
                found.setdefault(name, error)
            return "contract" in found

        if not any(record(case) for case in first):
            self._search(record, (Phase.generate,))
        return {name: found[name] for name in ("contract", *self.names) if name in found}

    def smallest(self, found: Mapping[str, PromiseError]) -> PromiseError:
        """The first of the broken promises, on the smallest case found to break it."""
        name, least = next(iter(found.items()))
        left = self.examples + SHRINKS

        def fails(case: Case) -> bool:
            nonlocal least, left
            left -= 1
            if left < 0:
                raise _Enough
            error = self.judge(case, (name,)).get(name)
            least = error or least
            return error is not None

        # an answer that changes by itself does not tell which data are smaller
        if name != "repeat" and "repeat" not in self.subject.waived:
            self._search(fails, (Phase.generate, Phase.shrink))
        return least.with_traceback(None)

    def _search(self, condition: Callable[[Case], bool], phases: tuple[Any, ...]) -> None:
        """Try the condition on drawn cases, and on smaller ones where it holds; what it finds, it keeps itself."""
        quiet = settings(
            max_examples=self.examples, phases=phases, database=None, deadline=None, verbosity=Verbosity.quiet
        )
        # Flaky: the function under test keeps something between calls
        with suppress(NoSuchExample, Flaky, _Enough):
            find(self.cases, condition, settings=quiet, random=Random(0))


class _Enough(BaseException):
    """The budget is spent. Not an Exception, which Hypothesis would take for a failure to shrink."""


def checked_arguments(
    role: str, function: Any, takes: str, waive: Collection[str], waivable: tuple[str, ...], examples: int
) -> int:
    """The number of examples, or an error that names the argument that is wrong."""
    if not callable(function):
        raise TypeError(f"{role} must be a function of {takes}, got {function!r}")
    if isinstance(waive, str):
        raise TypeError(f"waive must be a collection of names, like [{waive!r}]")
    for name in waive:
        _check.choice("waive", name, waivable)
    return _check.whole("examples", examples, low=1)


def assignments(fields: Mapping[str, Any]) -> list[str]:
    """Lines of Python that set variables, arrays as lists."""
    return [f"{name} = {x.tolist() if isinstance(x, np.ndarray) else x}" for name, x in fields.items()]


def _name(function: Callable[..., Any]) -> str:
    inner = function.func if isinstance(function, partial) else function
    shown = getattr(inner, "__name__", None) or repr(inner)
    return type(inner).__name__ if shown == object.__repr__(inner) else shown  # not an address
