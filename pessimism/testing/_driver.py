"""The driver of every check: it calls the function under test, tries its promises, shrinks and reports a failure.

A check has a `Subject`, the function under test with what it claims; *cases*, the inputs on which it is called and how
they are then changed; and *promises*, functions ``promise(subject, case, answer)`` that return what is wrong, or
None. A promise is reported under the name of its function, and its docstring says what is promised. `Trial` tries all
promises on fixed and on drawn cases, looks for the smallest drawn case that breaks the first broken one, and says in a
line each what else is broken.
"""

import warnings
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from hypothesis import Phase, Verbosity, currently_in_test_context, find, settings
from hypothesis.errors import Flaky, NoSuchExample
from hypothesis.strategies import SearchStrategy

from pessimism import _check
from pessimism._status import ImitationWarning
from pessimism._types import Floats

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

    settled = False  # whether its example is the one to show

    def __init_subclass__(cls) -> None:
        cls.__module__ = "pessimism.testing"  # where users find it, and what tracebacks print


class Unasked(Exception):  # noqa: N818 - it is no error
    """The function under test is not made for this input: `accepts` says so."""


def guess(find: Callable[[], str | None]) -> str | None:
    """What `find` returns; None where the function under test does not answer the questions that it asks."""
    try:
        return find()
    except (Unasked, PromiseError):
        return None


def kept(error: PromiseError, *lines: str) -> PromiseError:
    """The error with further lines, whose example is not to be made smaller."""
    told = type(error)("\n  ".join([str(error), *lines]))
    told.__cause__, told.settled = error.__cause__, True
    return told


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
    implied: ClassVar[Mapping[str, tuple[str, ...]]] = {}  # promises that a broken one breaks too

    function: Callable[..., Any]
    waived: frozenset[str]
    accepts: Callable[..., Any] | None = field(default=None, kw_only=True)
    causes: dict[str, str | None] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if self.accepts is not None:
            _check.function("accepts", self.accepts, "of what is asked")

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

    def admits(self, given: Given) -> bool:
        """Whether the function is made for an input that is no batch."""
        return self.accepts is None or bool(self.accepts(given))

    def admitted(self, family: list[Given]) -> list[Given]:
        """A batch: in place of what the function is not made for, the first of the family."""
        return [member if self.admits(member) else family[0] for member in family]

    def differs(self, case: Case, answer: Answer, again: Answer) -> bool:
        """Whether two answers to the same question make a difference to the promises that compare answers."""
        return False

    def wavers(self, case: Case, answer: Answer) -> bool:
        """Whether a function that need not repeat itself answers differently when asked again."""
        return any(self.differs(case, answer, self.answer(case)) for _ in range(REPEATS))

    def answer(self, case: Case) -> Answer:
        return self.ask(self.about(case))

    def called(
        self,
        call: Callable[[], Any],
        given: Given,
        promise: str,
        *,
        where: str = "",
        batch: bool = False,
        tables: Mapping[str, tuple[Any, Any]] | None = None,
    ) -> Any:
        """The result of a call that may neither fail, nor warn of a RuntimeWarning, nor write into its arguments.

        `tables` holds pairs of our array and the copy that was handed over, by name.
        """
        if not batch and not self.admits(given):
            raise Unasked
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
            self.causes[find.__name__] = guess(lambda: find(self))
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
        except Unasked:
            return {}
        except PromiseError as error:
            return {"contract": error}
        self.subject.causes["answered"] = None
        found = {}
        for promise in self.promises:
            name = promise.__name__
            if name not in names or name in self.subject.waived:
                continue
            try:
                wrong = promise(self.subject, case, answer)
            except Unasked:
                continue
            except PromiseError as error:  # with an example of its own, or on a changed case without a valid answer
                found[name] = error
            else:
                if wrong is not None:
                    found[name] = self.subject.error(name, wrong, self.subject.about(case), answer)
        if found and "repeat" in self.subject.waived and self.subject.wavers(case, answer):
            return {}
        return found

    def run(
        self,
        fixed: Mapping[str, Case],
        *,
        on_fixed: Callable[[Case], Collection[str]] | None = None,
        probe: Case | None = None,
    ) -> PromiseError | None:
        """All that is found broken, as one error: see `collect` and `report`."""
        return self.report(self.collect(fixed, on_fixed=on_fixed, probe=probe))

    def collect(
        self,
        fixed: Mapping[str, Case],
        *,
        on_fixed: Callable[[Case], Collection[str]] | None = None,
        probe: Case | None = None,
        first: Collection[Case] = (),
    ) -> dict[str, PromiseError]:
        """The first failure of every promise: on the probe, on fixed cases, on the first ones, then on drawn ones."""
        found: dict[str, PromiseError] = {}

        def record(case: Case, names: Collection[str], what: str | None = None) -> bool:
            for name, error in self.judge(case, [name for name in names if name not in found]).items():
                found.setdefault(name, error if what is None else kept(error, f"This is a fixed example: {what}."))
            return found.keys() >= {"contract", *self.names}

        if probe is not None:
            record(probe, self.names)
        for what, case in fixed.items():
            record(case, self.names if on_fixed is None else on_fixed(case), what)
        for case in first:
            record(case, self.names)
        self._search(lambda case: record(case, self.names), (Phase.generate,))
        if "answered" not in self.subject.causes and not found:
            raise ValueError("accepts must hold for some of what is tried, and holds for nothing")
        return {name: found[name] for name in ("contract", *self.names) if name in found}

    def report(self, found: Mapping[str, PromiseError]) -> PromiseError | None:
        """The first of the broken promises on the smallest case found to break it, and a line on each of the others."""
        if not found:
            return None
        name = next(iter(found))
        error = found[name] if found[name].settled else self.smallest(name, found[name])
        if "repeat" in found:  # an answer that changes by itself breaks the others too
            return error
        implied = {other for key in found for other in self.subject.implied.get(key, ())}
        first, *said = (str(x).partition("\n")[0].partition(" breaks ")[2] for x in (error, *found.values()))
        others = [
            sentence
            for key, sentence in zip(found, said, strict=True)
            if key != name and sentence != first and key not in implied
        ]
        return kept(error, *(f"It also breaks {sentence}" for sentence in others))

    def smallest(self, name: str, least: PromiseError) -> PromiseError:
        """What breaks the promise on the smallest case found."""
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
        return least

    def _search(self, condition: Callable[[Case], bool], phases: tuple[Any, ...]) -> None:
        """Try the condition on drawn cases, and on smaller ones where it holds; what it finds, it keeps itself."""
        quiet = settings(
            max_examples=self.examples, phases=phases, database=None, deadline=None, verbosity=Verbosity.quiet
        )

        def search() -> None:
            # Flaky: the function under test keeps something between calls
            with suppress(NoSuchExample, Flaky, _Enough):
                find(self.cases, condition, settings=quiet, random=Random(0))

        if currently_in_test_context():
            with ThreadPoolExecutor(1) as thread:  # a thread of its own is no @given within a @given
                thread.submit(search).result()
        else:
            search()


class _Enough(BaseException):
    """The budget is spent. Not an Exception, which Hypothesis would take for a failure to shrink."""


def checked_arguments(
    role: str, function: Any, takes: str, waive: Collection[str], waivable: tuple[str, ...], examples: int
) -> tuple[int, frozenset[str]]:
    """The number of examples and the names that are waived, or an error that names the argument that is wrong."""
    if not callable(function):
        raise TypeError(f"{role} must be a function of {takes}, got {_check.shown(function)}")
    if isinstance(waive, str):
        raise TypeError(f"waive must be a collection of names, like [{waive!r}]")
    names = [_check.choice("waive", name, waivable) for name in _check.listed("waive", waive, "names")]
    return _check.whole("examples", examples, low=1), frozenset(names)


def answer_of_like(found: Any, shape: tuple[int, ...]) -> Floats:
    """What the function to be like returned, if it is numbers of the shape that the estimator's answer has."""
    numbers = _check.numeric("the answer of like", found)
    if numbers.shape != shape:
        raise ValueError(f"the answer of like must have shape {shape}, got {numbers.shape}")
    return numbers.astype(np.float64)


def apart(found: float, right: float) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to tell them apart, at least 6."""
    for digits in range(6, 18):
        texts = f"{found + 0.0:.{digits}g}", f"{right + 0.0:.{digits}g}"  # no -0
        if texts[0] != texts[1]:
            break
    return texts


def assignments(fields: Mapping[str, Any]) -> list[str]:
    """Lines of Python that set variables, arrays as lists."""
    return [f"{name} = {x.tolist() if isinstance(x, np.ndarray) else x}" for name, x in fields.items()]


def _name(function: Callable[..., Any]) -> str:
    inner = function.func if isinstance(function, partial) else function
    shown = getattr(inner, "__name__", None) or repr(inner)
    return type(inner).__name__ if shown == object.__repr__(inner) else shown  # not an address
