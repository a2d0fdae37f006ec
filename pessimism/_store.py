"""One small file for each finished cell: written whole or not at all, and used only if checksum and identity are right.

Line 1 of ``<key>.json`` is canonical JSON: the identity of the cell (all that its numbers depend on) and its rows. Line
2 is the SHA-256 of line 1. A killed process leaves at most a draft under another name, which nobody reads; if a byte
changes later, the checksum fails; a file under a wrong name does not carry the identity that was asked for.
"""

import hashlib
import json
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from uuid import uuid4

from pessimism._version import __version__

Row = dict[str, Any]

encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True).encode


class StoreWarning(UserWarning):
    """Something in a store cannot be used, or was written by other versions.

    Examples
    --------
    To stop instead of computing damaged cells again:

    >>> import warnings
    >>> warnings.simplefilter("error", StoreWarning)
    """


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of finished cells; several sweeps may use it at once."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def open(self) -> None:
        """Make the folder, and its manifest unless there is a readable one."""
        manifest, now = self.path / "manifest.json", _versions()
        with self._named_in_errors():
            self.path.mkdir(parents=True, exist_ok=True)
            if not (manifest.exists() and self._compare(manifest, now)):
                _write_whole(manifest, json.dumps(now, indent=1, sort_keys=True).encode() + b"\n")

    def _compare(self, manifest: Path, now: dict[str, str]) -> bool:
        """Whether the manifest can be read; differences from `now` are reported."""
        try:
            then = dict(json.loads(manifest.read_bytes()))
        except (ValueError, TypeError):
            _warn(f"{manifest} is damaged and is replaced: which versions wrote the rows in {self} is unknown")
            return False
        differ = sorted(key for key in then.keys() | now.keys() if then.get(key) != now.get(key))
        if differ:
            changes = ", ".join(f"{key} {then.get(key)} (stored) against {now.get(key)} (now)" for key in differ)
            _warn(f"{self} was begun with other versions: {changes}; it will hold rows of both")
        return True

    def read(self, key: str, identity: str) -> list[Row] | None:
        """The rows of a finished cell. A damaged file is reported and never read."""
        path = self._file(key)
        with self._named_in_errors():
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                return None
        try:
            return _verified(data, identity)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            _warn(f"{path} is damaged ({error}): it is ignored, and its cell is computed again")
            return None

    def write(self, key: str, identity: str, rows: list[Row]) -> None:
        line = encode(json.loads(identity) | {"rows": rows}).encode()
        with self._named_in_errors():
            _write_whole(self._file(key), line + b"\n" + _checksum(line) + b"\n")

    def _file(self, key: str) -> Path:
        return self.path / f"{key}.json"

    @contextmanager
    def _named_in_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            error.add_note(f"The sweep's store is {self}.")
            raise


def _checksum(line: bytes) -> bytes:
    return hashlib.sha256(line).hexdigest().encode()


def _verified(data: bytes, identity: str) -> list[Row]:
    line, _, rest = data.partition(b"\n")
    if rest != _checksum(line) + b"\n":
        raise ValueError("wrong checksum")
    payload = json.loads(line)
    rows: list[Row] = payload.pop("rows")
    if encode(payload) != identity:
        raise ValueError("the rows of another cell")
    return rows


def _write_whole(path: Path, data: bytes) -> None:
    """Write the whole file or none of it, whatever interrupts."""
    draft = path.with_name(f".{path.name}.{uuid4().hex}.tmp")  # unique: two sweeps may write the same cell
    try:
        with open(draft, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _versions() -> dict[str, str]:
    versions = {"pessimism": __version__, "python": platform.python_version()}
    for package in ("numba", "numpy", "scipy"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "absent"
    return versions | {"platform": f"{platform.system()} {platform.machine()}"}


def _warn(message: str) -> None:
    warnings.warn(message, StoreWarning, stacklevel=5)  # the caller of `run` or `pending`
