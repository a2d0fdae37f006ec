"""What models, data sets and results have in common: a short repr, a table in a notebook, a refused ``==``, a file."""

import dataclasses
import enum
import html
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any, Self

import numpy as np

from pessimism import _check
from pessimism._store import write_whole
from pessimism._version import __version__

FORMAT = 1
"""Of the files that `Stored.save` writes."""

FEW = 6
"""Entries up to which an array is printed whole."""


class Speaking:
    """A frozen dataclass of arrays that prints a line, not its arrays, and does not compare as a whole."""

    __slots__ = ()

    def __repr__(self) -> str:
        shown = ", ".join(f"{name.replace(' ', '_')}={short(value)}" for name, value in self._shown().items())
        return f"{type(self).__name__}({shown})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(short(value))}</td></tr>"
            for name, value in self._shown().items()
        )
        return f"<table><caption>{html.escape(type(self).__name__)}</caption>{rows}</table>"

    def _shown(self) -> dict[str, Any]:
        """What a repr tells, by name; a class with more to say than its fields overrides it."""
        return {name: getattr(self, name) for name in fields(self)}

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, type(self)):
            return NotImplemented
        name = type(self).__name__
        raise TypeError(
            f"two objects {name} do not compare as a whole; compare what matters, as in "
            f"np.array_equal(a.{fields(self)[0]}, b.{fields(self)[0]})"
        )

    __hash__ = object.__hash__


class Stored(Speaking):
    """The same with a file: every field by name in one npz, which needs no pickle to be read."""

    __slots__ = ()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write all fields to one npz file, whole or not at all.

        Parameters
        ----------
        path : str or path
            Where; ".npz" is added if it is missing. The folder must exist.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        TypeError, ValueError
            If `path` is none.
        OSError
            If the file cannot be written there.

        Examples
        --------
        >>> import tempfile
        >>> from pessimism.bandits import Bandit
        >>> Bandit([[0.6, 0.5]]).save(f"{tempfile.mkdtemp()}/two arms").name
        'two arms.npz'
        """
        name = _check.path("path", path)
        arrays: dict[str, Any] = {}
        others: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field)
            (arrays if isinstance(value, np.ndarray) else others)[field] = value
        head = {"class": type(self).__name__, "format": FORMAT, "pessimism": __version__, "fields": others}
        file = io.BytesIO()
        np.savez_compressed(file, __head__=np.array(json.dumps(head)), **arrays)
        target = Path(name if name.endswith(".npz") else f"{name}.npz")
        write_whole(target, file.getvalue())
        return target

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote, and check it as if it came from a caller.

        Parameters
        ----------
        path : str or path
            A file that `save` of this class wrote.

        Returns
        -------
        object
            With the same fields, to the bit.

        Raises
        ------
        ValueError
            If the file is not one of this class, or is of a later format.
        TypeError
            If `path` is none.
        OSError
            If the file cannot be read.

        Examples
        --------
        >>> import tempfile
        >>> from pessimism.bandits import Bandit
        >>> Bandit.load(Bandit([[0.6, 0.5]]).save(f"{tempfile.mkdtemp()}/two arms")).means.tolist()
        [[0.6, 0.5]]
        """
        name = _check.path("path", path)
        try:
            with open(name, "rb") as file, np.load(file, allow_pickle=False) as stored:
                head = json.loads(str(stored["__head__"]))
                arrays = {key: stored[key] for key in stored.files if key != "__head__"}
        except (KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
            raise ValueError(f"path must be a file that {cls.__name__}.save wrote, got {name}") from error
        if head["class"] != cls.__name__:
            raise ValueError(f"{name} holds an object {head['class']}, not {cls.__name__}")
        if head["format"] > FORMAT:
            raise ValueError(f"{name} was written by pessimism {head['pessimism']}, which is newer")
        others = {key: tuple(value) if isinstance(value, list) else value for key, value in head["fields"].items()}
        return cls(**arrays, **others)


class Report(str):
    """A text of several lines that shows itself as it is, in a REPL and in a notebook."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def spread(values: Any) -> str:
    """One number, or the smallest and the largest of many."""
    low, high = np.min(values), np.max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def fields(thing: Any) -> list[str]:
    """Names of the public fields of a dataclass."""
    return [field.name for field in dataclasses.fields(thing) if not field.name.startswith("_")]


def short(value: Any) -> str:
    """A value in a few words: small arrays whole, large ones as type and shape."""
    if isinstance(value, np.ndarray):
        if value.dtype == object and value.size:
            names, counts = np.unique([short(entry) for entry in value.ravel()], return_counts=True)
            return ", ".join(f"{name} x {count}" for name, count in zip(names, counts, strict=True))
        if value.size <= FEW:
            return np.array2string(value, precision=6, separator=", ").replace("\n", "")
        return f"{value.dtype} {value.shape}"
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, np.generic):
        return short(value.item())
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {short(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        inside = ", ".join(map(short, value)) if len(value) <= FEW else f"{len(value)} entries"
        return f"({inside})" if isinstance(value, tuple) else f"[{inside}]"
    if hasattr(value, "_fields"):
        return type(value).__name__
    if isinstance(value, str):
        return value
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
