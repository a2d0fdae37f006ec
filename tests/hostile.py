"""Values that hardly any argument should take, valid values spoilt, and valid values in other clothes."""

import collections
import datetime
import decimal
import enum
import fractions
import functools
import pathlib
import sys
import types

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pessimism._types import Rng

HUGE = 10**5000


class Hostile:
    """Nothing can be done with it."""

    def fails(self, *_, **__):
        raise RuntimeError("hostile")

    __repr__ = __bool__ = __len__ = __iter__ = __array__ = __float__ = __int__ = __eq__ = __getitem__ = fails
    __hash__ = object.__hash__


class Endless:
    """It says that it is a sequence, and has no entry."""

    def __len__(self):
        return 10**6

    def __getitem__(self, index):
        raise KeyError(index)


class Word(str):
    __slots__ = ()


class Level(enum.IntEnum):
    ONE = 1


class Color(enum.Enum):
    RED = "red"


def cyclic():
    inner = [1]
    inner.append(inner)
    return inner


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
        "1e308": lambda: 1e308,
        "1e150": lambda: 1e150,
        "1e-300": lambda: 1e-300,
        "-tiny": lambda: -5e-324,
        "nearly 1": lambda: 1 - 1.2e-16,
        "2**31": lambda: 2**31,
        "2**53": lambda: 2**53,
        "-2**63": lambda: -(2**63),
        "float16 number": lambda: np.float16(0.5),
        "int8": lambda: np.int8(3),
        "complex 2": lambda: 2 + 0j,
        "zero axes": lambda: np.array(5),
        "zero axes nan": lambda: np.array(np.nan),
        "zero axes str": lambda: np.array("a"),
        "NaT": lambda: np.datetime64("NaT"),
        "word": lambda: Word("a"),
        "IntEnum": lambda: Level.ONE,
        "Enum": lambda: Color.RED,
        "Enum class": lambda: Color,
        "[None]": lambda: [None],
        "(0, 3)": lambda: np.ones((0, 3)),
        "(3, 0)": lambda: np.ones((3, 0)),
        "(2, 0, 2)": lambda: np.ones((2, 0, 2)),
        "empty objects": lambda: np.array([], object),
        "timedeltas": lambda: np.array([1, 2], "m8[s]"),
        "bytes array": lambda: np.array([b"a"]),
        "void": lambda: np.void(b"ab"),
        "numbers in words": lambda: np.array(["1", "2"]),
        "infs": lambda: [-np.inf, np.inf],
        "1e308s": lambda: (-1e308, 1e308),
        "tinies": lambda: [5e-324, 5e-324],
        "(tiny, 1)": lambda: (5e-324, 1),
        "negative zeros": lambda: [-0.0, -0.0],
        "(None, None)": lambda: (None, None),
        "words": lambda: ("a", "b"),
        "[2**63]": lambda: [2**63, 1],
        "[-2**70]": lambda: [-(2**70), 1],
        "float16 near its end": lambda: np.array([6e4, 1], np.float16),
        "int8s": lambda: np.array([100, 100], np.int8),
        "uint64s": lambda: np.array([2**64 - 1, 1], np.uint64),
        "all masked": lambda: np.ma.masked_all(2),
        "the masked": lambda: np.ma.masked,
        "np.matrix": lambda: np.ones((1, 2)).view(np.matrix),
        "Series": lambda: pd.Series([0.5, 0.5], index=["x", "y"]),
        "Series of words": lambda: pd.Series(["a", "b"]),
        "Series with NA": lambda: pd.Series([1, None], dtype="Int64"),
        "Series of categories": lambda: pd.Series(["a", "b"], dtype="category"),
        "Series of times": lambda: pd.Series(pd.to_datetime(["2020-01-01", None])),
        "frame": lambda: pd.DataFrame({"a": [0.5, 0.5], "b": [1, 2]}),
        "empty frame": pd.DataFrame,
        "NA": lambda: pd.NA,
        "dict of arrays": lambda: {"a": np.ones(2)},
        "dict of ints": lambda: {1: 2},
        "dicts": lambda: [{"a": 1}, {"b": 2}],
        "counter": collections.Counter,
        "zip": lambda: zip([1], [2], strict=True),
        "deeply ragged": lambda: [[[1, 2], [3]], [[1]]],
        "ragged objects": lambda: np.array([np.ones(2), np.ones(3), None], object)[:2],
        "generators": lambda: [(i for i in range(2))],
        "cyclic": cyclic,
        "endless": Endless,
        "dtype": lambda: np.dtype(float),
        "NotImplemented": lambda: NotImplemented,
        "exception": lambda: ValueError("x"),
        "Generator": lambda: np.random.default_rng(0),
        "RandomState": lambda: np.random.RandomState(0),
        "Generators": lambda: [np.random.default_rng(0)],
        "[-1]": lambda: [-1],
        "long str": lambda: "a" * 10**4,
        "NUL": lambda: "\x00",
        "half a character": lambda: "\ud800",
        "format": lambda: "{0}%s",
        "bytearray": lambda: bytearray(b"\x01\x00"),
        "path": lambda: pathlib.Path("nowhere"),
        "decimals": lambda: [decimal.Decimal("0.5")] * 2,
        "huge fraction": lambda: fractions.Fraction(HUGE),
        "hostile": Hostile,
    }


def pairs_of_bad_values():
    """Name -> makers of two values, for two arguments at once."""
    words, none, nan, low = (lambda: "a"), (lambda: None), (lambda: np.nan), (lambda: -1)
    empty, axes, huge, large = list, (lambda: np.ones((1, 2, 1, 2, 3))), (lambda: HUGE), (lambda: 2**53)
    return {
        "a word and nothing": (words, none),
        "nan and -1": (nan, low),
        "an empty list and five axes": (empty, axes),
        "five axes and a huge number": (axes, huge),
        "two large": (large, large),
        "two tiny": (lambda: 5e-324, lambda: 5e-324),
        "1e140 and 1e-300": (lambda: 1e140, lambda: 1e-300),
        "an object and a dict": (object, dict),
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
    "NaT",
    "NA",
    "void",
    "words",
    "numbers in words",
    "bytes array",
    "timedeltas",
    "Series of words",
    "Series of times",
    "dicts",
    "dict of arrays",
    "dict of ints",
    "dtype",
    "Enum",
    "exception",
    "cyclic",
    "endless",
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
    found["int8"] = array.astype(np.int8)
    found["bytes of it"] = array.astype(bytes)
    found["datetimes of it"] = array.astype(np.int64).astype("M8[s]")
    found["structure of it"] = np.zeros(array.shape, [("a", float)])
    found["masked of it"] = np.ma.masked_array(array, mask=np.ones(array.shape, bool))
    found["zeros"] = array * 0
    found["ones"] = array * 0 + 1
    found["tinies"] = array * 0 + 5e-324
    found["halves"] = array + 0.5
    found["nearly"] = array * (1 + 1e-9)
    found["many"] = array.astype(np.int64) * 2**40
    found["no rows"] = array[None][:0]
    found["two rows"] = np.stack([array, array])
    for scale in (1e-300, 1e140, 1e300):
        found[f"times {scale:g}"] = array * scale
    found["negative"] = -array
    found["column"] = array[..., None]
    found["row"] = array[None]
    if array.ndim:
        found["none of it"] = array[:0]
        found["first"] = array[0] if len(array) else array
        found["twice"] = np.concatenate([array, array])
        found["shorter"] = array[:-1]
        found["wider"] = np.concatenate([array, array[..., :1]], -1)
        found["narrower"] = array[..., :-1]
        found["transposed"] = array.T
        found["flat"] = array.ravel()
        found["a dict"] = dict(enumerate(array.tolist()))
        found["a generator"] = (entry for entry in array.tolist())
        found["ragged of it"] = [*array.tolist(), [1, 2, [3]]]
        found["a None"] = [*array.tolist(), None]
        found["longer"] = np.concatenate([array, array[:1]])
        if array.size:
            for first in (-np.inf, 1e308, 5e-324, -1.0, -0.0, 1e16):
                changed = array.astype(float)
                changed.flat[0] = first
                found[f"a first {first:g}"] = changed
            hidden = np.ma.masked_array(array.copy(), mask=np.zeros(array.shape, bool))
            hidden.mask.flat[0] = True
            found["one masked"] = hidden
            lists = array.astype(object)
            lists.flat[-1] = [1]
            found["a list in it"] = lists
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


def in_other_clothes(value):
    """Name -> the same value in a form that every argument which takes it must take as well."""
    if isinstance(value, (bool, str, bytes)) or value is None or callable(value):
        return {}
    try:
        array = np.asarray(value)
    except Exception:
        return {}
    if array.dtype.kind not in "iuf":
        return {}
    if array.ndim == 0:
        return {"a scalar of NumPy": array[()]} if isinstance(value, (int, float)) else {}
    locked = array.copy()
    locked.setflags(write=False)
    wide = np.zeros(tuple(2 * length for length in array.shape), array.dtype)
    strided = wide[tuple(slice(None, None, 2) for _ in array.shape)]
    strided[...] = array
    found = {"read-only": locked, "strided": strided, "Fortran": np.asfortranarray(array), "list": array.tolist()}
    found["reversed twice"] = array[::-1].copy()[::-1]
    found["other bytes first"] = array.astype(array.dtype.newbyteorder(">"))
    found["nothing masked"] = np.ma.masked_array(array)
    if array.ndim == 1 and isinstance(value, np.ndarray):
        found["Series"] = pd.Series(array, index=[f"row {i}" for i in range(len(array))][::-1])
    return found
