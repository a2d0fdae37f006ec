"""Bad input, whatever it is: an error that names its argument, or an answer without surprises.

The calls are those of all doctests. In each, one argument at a time is replaced by values that do not belong there,
and the call must return, or raise a TypeError, a ValueError or an error that its docstring lists, with the name of the
argument in the message; it warns of what its docstring says only, returns NaN only where it is documented, and leaves
its input as it was.
"""

import ast
import collections
import copy
import dataclasses
import doctest
import functools
import importlib
import inspect
import itertools
import pathlib
import pkgutil
import re
import shutil
import signal
import traceback
import types
import warnings

import numpy as np
import pytest
from hypothesis import settings

import pessimism
from tests.hostile import ALIEN, NUMBERS, bad_values, in_other_clothes, pairs_of_bad_values, twisted

SECONDS = 60
HOUSE = pathlib.Path(pessimism.__file__).parent


# The calls of the doctests.


TRUSTED = ("bandits.data.BanditData", "mdp.data.MDPData", "tasks.data.TaskData")
PROTOCOL = "what somebody else's class is to have"
UNCALLED = {
    **{
        f"pessimism.bilevel.problem.BilevelProblem{part}": PROTOCOL
        for part in ("", ".cvp", ".grad_f", ".grad_g", ".hvp")
    },
    "pessimism.tasks.runs.Source": PROTOCOL,
    "pessimism.tasks.runs.Source.sample": PROTOCOL,
    "pessimism.interop.torch_problem.from_torch": "needs PyTorch: make test-torch",
    **{f"pessimism.{data}.trusted": "takes clean arrays unseen" for data in TRUSTED},
}
"""Public callables without a valid call in a doctest of their module, and why."""


PASSING = ("pessimism.bilevel._own_run",)
"""Modules whose objects hand every call on to a user's problem, whose errors are the user's."""


@functools.cache
def modules():
    names = [info.name for info in pkgutil.walk_packages(pessimism.__path__, "pessimism.")]
    return [name for name in names if "._" not in name] + [
        "pessimism._objects",
        "pessimism.bilevel.problems._closed_form",
        "pessimism.interop._logs",
    ]


def name_of(function):
    """The public name of a callable of the package, or None."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not (isinstance(module, str) and isinstance(name, str) and module.split(".")[0] == "pessimism"):
        return None
    hidden = any(part.startswith("_") for part in [*module.split("."), *name.split(".")])
    inherited = inspect.ismethod(function) and not function.__name__.startswith("_")
    if (
        (hidden and not inherited) or "<" in name or module in PASSING or name.endswith(".trusted")
    ):  # which takes clean arrays unseen
        return None
    return None if inspect.isclass(function) and issubclass(function, BaseException) else f"{module}.{name}"


def offered():
    """Names of what users can call: `__all__` of all public modules, with the methods of classes and their bases."""
    found = set()
    for module in map(importlib.import_module, modules()):
        for thing in (getattr(module, entry) for entry in getattr(module, "__all__", ())):
            exception = inspect.isclass(thing) and issubclass(thing, BaseException)
            if not callable(thing) or exception or not str(thing.__module__).startswith("pessimism."):
                continue
            if not is_record(thing):
                found.add(name_of(thing))
            for base in thing.__mro__ if inspect.isclass(thing) else ():
                methods = (getattr(member, "__func__", member) for key, member in vars(base).items() if key[0] != "_")
                if base.__module__.startswith("pessimism."):
                    found |= {f"{m.__module__}.{m.__qualname__}" for m in methods if inspect.isfunction(m)}
    return {name for name in found if name} - set(UNCALLED)


def module_of(name):
    """The public module that a callable is from; None for what a private class gives to public ones."""
    for name_of_module, rest in ((name.rsplit(".", k)[0], name.rsplit(".", k)[1:]) for k in (1, 2)):
        if name_of_module in modules() and rest[0][0] != "_":
            return name_of_module
    return None


class Recorder(ast.NodeTransformer):
    """``f(x)`` becomes ``__recorded__(f, x)``."""

    def visit_Call(self, node):
        self.generic_visit(node)
        return ast.Call(ast.Name("__recorded__", ast.Load()), [node.func, *node.args], node.keywords)


def harvest(names):
    """{name of a public callable: its calls (callable, bound arguments)} in the doctests of some modules."""
    calls = collections.defaultdict(list)

    def recorded(function, *args, **kwargs):
        name = name_of(function)
        if name is None or len(calls[name]) == 2:
            return function(*args, **kwargs)
        bound = inspect.signature(function).bind(*args, **kwargs)
        bound.arguments = {key: copied(value) for key, value in bound.arguments.items()}
        frozen = function
        if inspect.ismethod(function) and not inspect.isclass(function.__self__):
            frozen = types.MethodType(function.__func__, copied(function.__self__))
        result = function(*args, **kwargs)
        if all(set(bound.arguments) != set(other.arguments) for _, other in calls[name]):
            calls[name].append((frozen, bound))
        return result

    for name in names:
        module = importlib.import_module(name)
        for test in doctest.DocTestFinder(exclude_empty=True).find(module):
            space = test.globs | {"__recorded__": recorded, "__name__": "fuzz"}
            for example in test.examples:
                if example.options.get(doctest.SKIP):
                    continue
                tree = ast.fix_missing_locations(Recorder().visit(ast.parse(example.source)))
                try:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        exec(compile(tree, test.name, "exec"), space)
                except Exception:  # an example may show an error
                    continue
    return {name: made for name, made in calls.items() if made}


def copied(value):
    try:
        return copy.deepcopy(value)
    except Exception:
        return value


# The contract.


VALID = "valid: "


class TooSlowError(BaseException):
    pass


def too_slow(*_):
    raise TooSlowError


def has_nan(value, depth=0):
    if depth > 4:
        return False
    if isinstance(value, (float, np.floating, complex)):
        return bool(np.isnan(value))
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fc" and bool(np.isnan(value).any())
    if isinstance(value, dict):
        return any(has_nan(entry, depth + 1) for entry in value.values())
    if isinstance(value, (list, tuple)):
        return any(has_nan(entry, depth + 1) for entry in value[:50])
    if dataclasses.is_dataclass(value) and not inspect.isclass(value):
        return any(has_nan(getattr(value, f.name, None), depth + 1) for f in dataclasses.fields(value))
    return False


def fingerprints(arguments):
    return {
        name: (np.asarray(value).tobytes(), value.shape)
        for name, value in arguments.items()
        if isinstance(value, np.ndarray) and value.dtype.kind != "O"
    }


def section(function, title):
    return (inspect.getdoc(function) or "").partition(f"\n{title}\n----")[2].partition("\n----")[0]


def docs(function, result):
    text = inspect.getdoc(function) or ""
    for kind in type(getattr(function, "__self__", None)).__mro__:  # a class may say it for all its methods
        text += inspect.getdoc(kind) or "" if kind.__module__.startswith("pessimism") else ""
    for thing in result if isinstance(result, tuple) else (result,):
        if type(thing).__module__.startswith("pessimism"):
            text += inspect.getdoc(type(thing)) or ""
    return text


def is_ours(error):
    """Whether an error comes of a line that raises it (or of Python, which found no such parameter)."""
    frames = traceback.extract_tb(error.__traceback__)
    written = pathlib.Path(frames[-1].filename)
    ours = written.is_relative_to(HOUSE) or written == pathlib.Path(__file__)
    return len(frames) == 1 or (ours and frames[-1].line.startswith("raise"))


bare = inspect.Parameter("bare", inspect.Parameter.KEYWORD_ONLY)


def is_record(function):
    """A class that takes its fields as they come: what a function returns."""
    if not inspect.isclass(function) or hasattr(function, "__post_init__"):
        return False
    parameters = getattr(function, "__dataclass_params__", None)
    return issubclass(function, tuple) or (parameters is not None and parameters.init)


def spoilt_call(bound, changes):
    """The call with other values of some parameters; one that the signature lacks is a keyword more."""
    arguments, named = {key: copied(value) for key, value in bound.arguments.items()}, []
    for parameter, bad in changes.items():
        kind = bound.signature.parameters[parameter].kind if parameter in bound.signature.parameters else None
        if kind is inspect.Parameter.VAR_POSITIONAL:
            arguments[parameter] = (bad, *arguments[parameter][1:])
        elif kind is inspect.Parameter.VAR_KEYWORD:
            first = next(iter(arguments[parameter]))
            arguments[parameter] = arguments[parameter] | {first: bad}
            parameter = first
        elif kind is not None:
            arguments[parameter] = bad
        named.append(parameter)
    call = inspect.BoundArguments(
        bound.signature, {k: arguments[k] for k in bound.signature.parameters if k in arguments}
    )
    return call, named


def complaint(function, bound, changes, what):
    """What is wrong with the outcome of one call, or None."""
    if inspect.ismethod(function) and not inspect.isclass(function.__self__):
        function = types.MethodType(function.__func__, copied(function.__self__))  # a pool is used up
    call, named = spoilt_call(bound, changes)
    unknown = {parameter: bad for parameter, bad in changes.items() if parameter not in bound.signature.parameters}
    before = fingerprints(call.arguments)
    old = signal.signal(signal.SIGALRM, too_slow)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    result = None
    said = []
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            result = function(*call.args, **call.kwargs, **unknown)
        raised = None
    except TooSlowError:
        return "slow"
    except BaseException as error:
        raised = error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    if raised is not None and what.startswith(VALID) and not isinstance(raised, OSError):  # its file is gone
        return f"refuses what it takes otherwise: {type(raised).__name__}: {raised}"
    if raised is not None:
        try:
            message = str(raised)
        except BaseException:
            return "message"
        plain = type(raised) in (TypeError, ValueError)
        if not (plain or any(base.__name__ in section(function, "Raises") for base in type(raised).__mro__[:-3])):
            return f"{type(raised).__name__}: {message}"
        names = "|".join(map(re.escape, named))
        if plain and not re.search(rf"(?<![A-Za-z0-9_])({names})(?![A-Za-z0-9_])", message):
            return f"does not name {' or '.join(named)}: {type(raised).__name__}: {message}"
        if plain and not unknown and not is_ours(raised):
            return f"error of another library: {type(raised).__name__}: {message}"
    for warning in said:
        if warning.category.__name__ not in section(function, "Warns"):
            return f"warns: {warning.category.__name__}: {warning.message}"
    if raised is None and unknown:
        return "took a keyword that it does not have"
    numbers = all(bound.signature.parameters.get(name, bare).annotation in NUMBERS for name in named)
    if raised is None and not is_record(function) and what in ALIEN and numbers:
        return "took what is no number"
    if raised is None and not is_record(function) and has_nan(result) and "NaN" not in docs(function, result):
        return "returns NaN"
    if fingerprints(call.arguments) != before:
        return "changed its input"
    return None


PATIENT = {"budget", "examples", "max_iterations"}
"""Parameters that say how much work is to be done: a large one is no mistake, and takes its time."""

MANY = {"10**18", "2**31", "2**53", "many", "1e150", "two large"}


def trials(function, bound):
    """({parameter: value}, what) for every bad call; checks of users' rules try a single example."""
    if "examples" in bound.signature.parameters:
        bound.arguments["examples"] = 1
    for parameter, about in bound.signature.parameters.items():
        given = bound.arguments.get(parameter, about.default)
        if about.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            if not bound.arguments.get(parameter):
                continue
            given = next(iter(bound.arguments[parameter])) if isinstance(given, tuple) else next(iter(given.values()))
        for what, make in bad_values().items():
            if parameter in PATIENT and what in MANY:
                continue
            if what in ("class", "Enum class") and (callable(given) or "Callable" in str(about.annotation)):
                # its errors are those of a user's function
                continue
            yield {parameter: make()}, what
        with np.errstate(all="ignore"):
            spoilt = twisted(given)
        for what, value in spoilt.items():
            if not (parameter in PATIENT and what in MANY):
                yield {parameter: value}, what
        if parameter in bound.arguments:
            for what, value in in_other_clothes(given).items():
                yield {parameter: value}, VALID + what
    yield {"unheard_of": 1}, "unknown keyword"
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    plain = [name for name, about in bound.signature.parameters.items() if about.kind not in kinds]
    for pair in itertools.combinations(plain, 2):
        for what, makers in pairs_of_bad_values().items():
            if not (what in MANY and PATIENT & set(pair)):
                yield {name: make() for name, make in zip(pair, makers, strict=True)}, what


# All of it in `make deep`, a slice of a few seconds otherwise.

DEEP = settings.default.max_examples > 1000
SLICE = ("bandits.behavior", "bandits.model", "bandits.rules.lcb", "mdp.behavior", "tasks.allocation", "sweep")
STEP = 1 if DEEP else 9


def test_every_public_callable_has_a_valid_call_to_spoil():
    called = collections.defaultdict(set)
    for module in modules():
        for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(module)):
            for example in test.examples:
                if not (example.options.get(doctest.SKIP) or example.exc_msg):
                    calls = [node.func for node in ast.walk(ast.parse(example.source)) if isinstance(node, ast.Call)]
                    called[module] |= {getattr(call, "id", None) or getattr(call, "attr", None) for call in calls}
    called[None] = set().union(*called.values())
    names = offered()
    assert len(names) > 250
    assert sorted(name for name in names if name.split(".")[-1] not in called[module_of(name)]) == []


@pytest.mark.parametrize("module", modules() if DEEP else [f"pessimism.{name}" for name in SLICE])
def test_bad_input_is_one_error_or_an_answer(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    wrong, calls, harvested = [], 0, harvest([module])
    assert {name for name in offered() if module_of(name) == module} <= set(harvested)
    for name, made in harvested.items():
        for function, bound in made if module_of(name) in (module, None) else ():
            for changes, what in itertools.islice(trials(function, bound), 0, None, STEP):
                calls += 1
                if said := complaint(function, bound, changes, what):
                    wrong.append(f"{name}({', '.join(changes)}={what}): {said:.300}")
                for left in tmp_path.iterdir():  # what was written must not be in the way of the next call
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
    assert wrong == []
    assert DEEP or calls > 20


def test_what_is_outside_the_contract_is_seen():
    """By functions that break it, one by one."""

    def good(x):
        """Return x.

        Warns
        -----
        UserWarning
            If x is 0.
        """
        if not isinstance(x, float):
            raise TypeError(f"x must be a float, got {type(x)}")
        return x if x == x else 0.0

    def key(x):
        return {"a": 1}[x]

    def nameless(x):
        raise ValueError("must be positive")

    def borrowed(x):
        return float("x")

    def warns(x):
        warnings.warn("x is odd", UserWarning, stacklevel=2)

    def invalid(x):
        return np.array([np.nan])

    def writes(x):
        x += 1

    seen = {}
    for function in (good, key, nameless, borrowed, warns, invalid, writes):
        bound = inspect.signature(function).bind(np.ones(2))
        seen[function.__name__] = complaint(function, bound, {"x": np.zeros(2)}, "array")
    assert seen.pop("good") is None
    assert all(seen.values()), seen
