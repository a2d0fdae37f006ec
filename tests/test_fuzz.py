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
import datetime
import decimal
import doctest
import fractions
import functools
import importlib
import inspect
import itertools
import pkgutil
import re
import shutil
import signal
import sys
import types
import warnings

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import ArrayLike

import pessimism
from pessimism._types import Rng

SECONDS = 20
HUGE = 10**5000


class Hostile:
    """Nothing can be done with it."""

    def fails(self, *_, **__):
        raise RuntimeError("hostile")

    __repr__ = __bool__ = __len__ = __iter__ = __array__ = __float__ = __int__ = __eq__ = __getitem__ = fails
    __hash__ = object.__hash__


def bad_values():
    """Name -> maker of a value that hardly any argument should take."""
    return {
        "str": lambda: "a",
        "empty str": lambda: "",
        "bytes": lambda: b"\x00\x01",
        "None": lambda: None,
        "nan": lambda: np.nan,
        "inf": lambda: np.inf,
        "-inf": lambda: -np.inf,
        "-1": lambda: -1,
        "0": lambda: 0,
        "1.5": lambda: 1.5,
        "1e300": lambda: 1e300,
        "10**18": lambda: 10**18,
        "huge": lambda: HUGE,
        "-huge": lambda: -HUGE,
        "[huge]": lambda: [HUGE, 1],
        "True": lambda: True,
        "complex": lambda: 1j,
        "empty list": list,
        "nested empty": lambda: [[]],
        "ragged": lambda: [[1], [1, 2]],
        "strings": lambda: ["a", "b"],
        "mixed": lambda: [1, "a", None],
        "object array": lambda: np.array([1, None], object),
        "array": lambda: np.array([0.5, 0.5]),
        "ints": lambda: np.array([1, 0]),
        "5 axes": lambda: np.ones((1, 2, 1, 2, 3)),
        "nan array": lambda: np.array([[np.nan, 1.0], [0.0, 1.0]]),
        "complex array": lambda: np.array([1 + 2j]),
        "datetimes": lambda: np.array(["2020-01-01"], "M8[D]"),
        "timedelta": lambda: np.timedelta64(1, "D"),
        "structured": lambda: np.zeros(2, [("a", float), ("b", int)]),
        "masked": lambda: np.ma.masked_array([1.0, 2.0], [True, False]),
        "dict": dict,
        "dict of a": lambda: {"a": 1},
        "set": lambda: {1, 2},
        "generator": lambda: (i for i in range(3)),
        "function": lambda: lambda *_, **__: None,
        "constant": lambda: lambda *_, **__: 1,
        "class": lambda: int,
        "object": object,
        "module": lambda: sys,
        "date": lambda: datetime.date(2020, 1, 1),
        "decimal": lambda: decimal.Decimal("0.5"),
        "decimal nan": lambda: decimal.Decimal("nan"),
        "fraction": lambda: fractions.Fraction(1, 3),
        "tuple": lambda: (1, 2, 3),
        "pair": lambda: (2, 1),
        "namespace": types.SimpleNamespace,
        "random state": lambda: np.random,
        "number in words": lambda: "1",
        "ellipsis": lambda: ...,
        "slice": lambda: slice(2),
        "range": lambda: range(3),
        "memory": lambda: memoryview(b"\x01\x00"),
        "2**64": lambda: 2**64,
        "uint64": lambda: np.uint64(2**64 - 1),
        "long double": lambda: np.longdouble("1e400"),
        "tiny": lambda: 5e-324,
        "flags": lambda: np.array([True, False]),
        "matrix": lambda: np.ma.masked_array([[1.0, 0.0]]),
        "object number": lambda: np.array(1, object),
        "64 axes": lambda: np.ones((1,) * 64),
        "deep": lambda: functools.reduce(lambda inner, _: [inner], range(3000), 1.0),
        "hostile": Hostile,
    }


ALIEN = {"bytes", "complex", "strings", "mixed", "object array", "complex array", "datetimes", "timedelta"}
ALIEN |= {
    "structured",
    "dict",
    "dict of a",
    "set",
    "generator",
    "object",
    "module",
    "date",
    "decimal",
    "namespace",
    "ellipsis",
    "slice",
    "hostile",
}
"""What is no number, no flag and no generator of random numbers."""

NUMBERS = {kind for plain in (float, int, bool, ArrayLike, Rng) for kind in (plain, plain | None)}
NUMBERS |= {tuple[float, float], tuple[float, float] | None, int | tuple[int, ...] | None, int | tuple[int, ...]}


def twisted(value):
    """Name -> a valid value, spoilt."""
    if isinstance(value, (bool, str, bytes)) or value is None:
        return {"array of it": [value]}
    found = {}
    try:
        array = np.asarray(value)
    except Exception:
        return {}
    if array.dtype.kind not in "iuf":
        return {"list of it": [value]}
    with np.errstate(over="ignore"):
        found["float16"] = array.astype(np.float16)
    found["complex of it"] = array + 0j
    found["objects"] = array.astype(object)
    found["text"] = array.astype(str)
    found["negative"] = -array
    found["column"] = array[..., None]
    found["row"] = array[None]
    if array.ndim:
        found["none of it"] = array[:0]
        found["first"] = array[0] if len(array) else array
        found["twice"] = np.concatenate([array, array])
        found["longer"] = np.concatenate([array, array[:1]])
        if array.size:
            spoilt = array.astype(float)
            spoilt.flat[-1] = np.nan
            found["a nan"] = spoilt
            found["an inf"] = np.where(np.isnan(spoilt), np.inf, spoilt)
            words = array.astype(object)
            words.flat[0] = "a"
            found["a word"] = words
            huge = array.astype(object)
            huge.flat[0] = HUGE
            found["a huge"] = huge
    return found


# The calls of the doctests.


def modules():
    names = [info.name for info in pkgutil.walk_packages(pessimism.__path__, "pessimism.")]
    return [name for name in names if "._" not in name]


def name_of(function):
    """The public name of a callable of the package, or None."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not (isinstance(module, str) and isinstance(name, str) and module.split(".")[0] == "pessimism"):
        return None
    hidden = any(part.startswith("_") for part in [*module.split("."), *name.split(".")])
    if hidden or "<" in name or name.endswith(".trusted"):  # which takes clean arrays unseen
        return None
    return None if inspect.isclass(function) and issubclass(function, BaseException) else f"{module}.{name}"


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
        name: (value.tobytes(), value.shape)
        for name, value in arguments.items()
        if isinstance(value, np.ndarray) and value.dtype.kind != "O"
    }


def section(function, title):
    return (inspect.getdoc(function) or "").partition(f"\n{title}\n----")[2].partition("\n----")[0]


def docs(function, result):
    text = inspect.getdoc(function) or ""
    for thing in result if isinstance(result, tuple) else (result,):
        if type(thing).__module__.startswith("pessimism"):
            text += inspect.getdoc(type(thing)) or ""
    return text


bare = inspect.Parameter("bare", inspect.Parameter.KEYWORD_ONLY)


def is_record(function):
    """A class that takes its fields as they come: what a function returns."""
    if not inspect.isclass(function) or hasattr(function, "__post_init__"):
        return False
    return dataclasses.is_dataclass(function) or issubclass(function, tuple)


def complaint(function, bound, parameter, what, bad):
    """What is wrong with the outcome of one call, or None."""
    if inspect.ismethod(function) and not inspect.isclass(function.__self__):
        function = types.MethodType(function.__func__, copied(function.__self__))  # a pool is used up
    arguments = {key: copied(value) for key, value in bound.arguments.items()}
    kind = bound.signature.parameters[parameter].kind
    if kind is inspect.Parameter.VAR_POSITIONAL:
        arguments[parameter] = (bad, *arguments[parameter][1:])
    elif kind is inspect.Parameter.VAR_KEYWORD:
        first = next(iter(arguments[parameter]))
        arguments[parameter] = arguments[parameter] | {first: bad}
        parameter = first
    else:
        arguments[parameter] = bad
    call = inspect.BoundArguments(
        bound.signature, {k: arguments[k] for k in bound.signature.parameters if k in arguments}
    )
    before = fingerprints(call.arguments)
    old = signal.signal(signal.SIGALRM, too_slow)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    result = None
    said = []
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            result = function(*call.args, **call.kwargs)
        raised = None
    except TooSlowError:
        return "slow"
    except BaseException as error:
        raised = error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    if raised is not None:
        try:
            message = str(raised)
        except BaseException:
            return "message"
        plain = type(raised) in (TypeError, ValueError)
        if not (plain or any(base.__name__ in section(function, "Raises") for base in type(raised).__mro__[:-3])):
            return f"{type(raised).__name__}: {message}"
        if plain and not re.search(rf"(?<![A-Za-z0-9_]){re.escape(parameter)}(?![A-Za-z0-9_])", message):
            return f"does not name {parameter}: {type(raised).__name__}: {message}"
    for warning in said:
        if warning.category.__name__ not in section(function, "Warns"):
            return f"warns: {warning.category.__name__}: {warning.message}"
    if (
        raised is None
        and not is_record(function)
        and what in ALIEN
        and bound.signature.parameters.get(parameter, bare).annotation in NUMBERS
    ):
        return "took what is no number"
    if raised is None and not is_record(function) and has_nan(result) and "NaN" not in docs(function, result):
        return "returns NaN"
    if fingerprints(call.arguments) != before:
        return "changed its input"
    return None


def trials(function, bound):
    """(parameter, what, value) for every bad call; checks of users' rules try a single example."""
    if "examples" in bound.signature.parameters:
        bound.arguments["examples"] = 1
    for parameter, about in bound.signature.parameters.items():
        given = bound.arguments.get(parameter, about.default)
        if about.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            if not bound.arguments.get(parameter):
                continue
            given = next(iter(bound.arguments[parameter])) if isinstance(given, tuple) else next(iter(given.values()))
        for what, make in bad_values().items():
            if what == "class" and (callable(given) or "Callable" in str(about.annotation)):
                # its errors are those of a user's function
                continue
            yield parameter, what, make()
        for what, value in twisted(given).items():
            yield parameter, what, value


# All of it in `make deep`, a slice of a few seconds otherwise.

DEEP = settings.default.max_examples > 1000
SLICE = ("bandits.behavior", "bandits.model", "bandits.rules.lcb", "mdp.behavior", "tasks.allocation", "sweep")
STEP = 1 if DEEP else 9


@pytest.mark.parametrize("module", modules() if DEEP else [f"pessimism.{name}" for name in SLICE])
def test_bad_input_is_one_error_or_an_answer(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    wrong, calls = [], 0
    for name, made in harvest([module]).items():
        for function, bound in made if name.startswith(f"{module}.") else ():
            for parameter, what, value in itertools.islice(trials(function, bound), 0, None, STEP):
                calls += 1
                if said := complaint(function, bound, parameter, what, value):
                    wrong.append(f"{name}({parameter}={what}): {said:.300}")
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

    def warns(x):
        warnings.warn("x is odd", UserWarning, stacklevel=2)

    def invalid(x):
        return np.array([np.nan])

    def writes(x):
        x += 1

    seen = {}
    for function in (good, key, nameless, warns, invalid, writes):
        bound = inspect.signature(function).bind(np.ones(2))
        seen[function.__name__] = complaint(function, bound, "x", "array", np.zeros(2))
    assert seen.pop("good") is None
    assert all(seen.values()), seen
