"""Finished cells in append-only segments: one file for each writer, a checksum on each line.

A segment ``rows-<random>.jsonl`` belongs to one call of `run`. Its lines are

    <checksum> header <JSON: name, seed, version and fingerprint of run_cell>
    <checksum> <key of a cell> <JSON: list of rows>

where the checksum is the first 16 digits of the SHA-256 of the rest of the line. A key is the hash of all that the rows
of a cell depend on, so an undamaged line under a key holds the rows of that cell. A writer that is killed leaves at
most an incomplete last line, which is ignored; any number of writers may each fill a segment at the same time. Stores
of version 0.1, with a file ``<key>.json`` for every cell, are still read.
"""

import hashlib
import json
import os
import platform
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any
from uuid import uuid4

from pessimism._cells import Job, Row, encode
from pessimism._version import __version__

SYNC_SECONDS = 5.0
"""Lines reach the operating system at once, and so survive a kill; the disk gets them this often."""

DRAFT_SECONDS = 3600.0
"""A draft of this age was left by a process that died."""


class StoreWarning(UserWarning):
    """Something in a store cannot be used, or was written by other versions or by another `run_cell`.

    Examples
    --------
    To stop instead of computing damaged cells again:

    >>> import warnings
    >>> warnings.simplefilter("error", StoreWarning)
    """

    __module__ = "pessimism.sweep"


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of finished cells; several sweeps may use it at once."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def open(self) -> None:
        """Make the folder, and its manifest unless there is a readable one."""
        manifest, now = self.path / "manifest.json", _versions()
        with self.named_in_errors():
            self.path.mkdir(parents=True, exist_ok=True)
            for draft in self.path.glob(".*.tmp"):
                if time.time() - draft.stat().st_mtime > DRAFT_SECONDS:
                    draft.unlink(missing_ok=True)
            if not (manifest.exists() and self._compare(manifest, now)):
                write_whole(manifest, json.dumps(now, indent=1, sort_keys=True).encode() + b"\n")

    def _compare(self, manifest: Path, now: dict[str, str]) -> bool:
        """Whether the manifest can be read; differences from `now` are reported."""
        then = _loaded(manifest.read_bytes())
        if not isinstance(then, dict):
            _warn(f"{manifest} is damaged and is replaced: which versions wrote the rows in {self} is unknown")
            return False
        differ = sorted(key for key in then.keys() | now.keys() if then.get(key) != now.get(key))
        if differ:
            changes = ", ".join(f"{key} {then.get(key)!s:.40} (stored) against {now.get(key)} (now)" for key in differ)
            _warn(f"{self} was begun with other versions: {changes}; it will hold rows of both")
        return True

    def read(self, jobs: Sequence[Job], fingerprint: str | None) -> dict[int, list[Row]]:
        """Rows of the finished cells by their place among `jobs`. Damaged lines and files are ignored, with a warning.

        Of a cell that several segments hold, the row of the `run_cell` with this fingerprint is preferred; a row of
        another is returned with a warning.
        """
        wanted = {job.key.encode(): i for i, job in enumerate(jobs)}
        found: dict[int, list[Row]] = {}
        foreign: dict[int, list[Row]] = {}
        with self.named_in_errors():
            names = sorted(entry.name for entry in os.scandir(self.path)) if self.path.is_dir() else []
            for name in names:
                if name.startswith("rows-") and name.endswith(".jsonl"):
                    _read_segment(self.path / name, wanted, fingerprint, found, foreign)
            single = {name for name in names if name.endswith(".json")} - {"manifest.json"}
            for i, job in enumerate(jobs) if single else ():
                if i not in found and f"{job.key}.json" in single:
                    rows = _read_single(self.path / f"{job.key}.json", job.identity)
                    if rows is not None:
                        found[i] = rows
        left = {i: rows for i, rows in foreign.items() if i not in found}
        if left:
            _warn(
                f"run_cell is no longer the one that wrote {len(left)} of the {len(jobs)} cells in {self}: its source "
                "or its constants have changed. Their rows are those of the old one; raise version= to compute new ones"
            )
        return found | left

    @contextmanager
    def segment(self, header: dict[str, Any]) -> Iterator["Segment"]:
        """A new segment, made with its first line; whoever finishes it calls `sync`, which may fail."""
        segment = Segment(self.path / f"rows-{uuid4().hex}.jsonl", header)
        try:
            yield segment
        finally:
            if segment.descriptor is not None:
                os.close(segment.descriptor)

    @contextmanager
    def named_in_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            error.add_note(f"The sweep's store is {self}.")
            raise


@dataclass(slots=True)
class Segment:
    """One writer's file. A line is there whole or not at all, whatever interrupts the writing."""

    path: Path
    header: dict[str, Any]
    descriptor: int | None = None
    length: int = 0
    synced: float = field(default_factory=time.monotonic)

    def write(self, key: str, rows: str) -> None:
        """Append the rows of a cell, given as JSON text."""
        if self.descriptor is None:
            self.descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
            self._append("header", encode(self.header))
        self._append(key, rows)
        if time.monotonic() - self.synced > SYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Send to the disk what the operating system holds."""
        if self.descriptor is not None:
            os.fsync(self.descriptor)
            self.synced = time.monotonic()

    def _append(self, key: str, text: str) -> None:
        assert self.descriptor is not None
        body = f"{key} {text}".encode()
        rest = line = b"%s %s\n" % (_checksum(body), body)
        try:
            while rest:  # a disk that is nearly full takes a part
                rest = rest[os.write(self.descriptor, rest) :]
        except BaseException:
            os.ftruncate(self.descriptor, self.length)
            raise
        self.length += len(line)


def _read_segment(
    path: Path,
    wanted: dict[bytes, int],
    fingerprint: str | None,
    found: dict[int, list[Row]],
    foreign: dict[int, list[Row]],
) -> None:
    damaged: list[int] = []
    target = found
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if line[-1:] != b"\n":  # its writer was killed, or is still writing
                break
            checksum, _, body = line[:-1].partition(b" ")
            key, _, text = body.partition(b" ")
            if checksum != _checksum(body):
                damaged.append(number)
            elif key == b"header":
                header = _loaded(text)
                if not isinstance(header, dict):
                    damaged.append(number)
                    continue
                written = header.get("run_cell")
                target = found if None in (written, fingerprint) or written == fingerprint else foreign
            elif (i := wanted.get(key)) is not None and i not in target:
                rows = _parsed(text)
                if rows is None:
                    damaged.append(number)
                else:
                    target[i] = rows
    if damaged:
        more = f" and {len(damaged) - 1} more" if len(damaged) > 1 else ""
        _warn(f"{path}, line {damaged[0]}{more}: damaged; it is ignored, and its cells are computed again")


def _parsed(text: bytes) -> list[Row] | None:
    rows = _loaded(text)
    return rows if type(rows) is list and rows and all(type(row) is dict for row in rows) else None


def _loaded(text: bytes) -> Any:
    """What the JSON text says; None if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _read_single(path: Path, identity: str) -> list[Row] | None:
    """The rows of a cell in a file of its own, as version 0.1 wrote them: a line of JSON and its checksum."""
    try:
        line, _, rest = path.read_bytes().partition(b"\n")
        if rest != hashlib.sha256(line).hexdigest().encode() + b"\n":
            raise ValueError("wrong checksum")
        payload = json.loads(line)
        rows: list[Row] = payload.pop("rows")
        if encode(payload) != identity:
            raise ValueError("the rows of another cell")
        return rows
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        _warn(f"{path} is damaged ({error}): it is ignored, and its cell is computed again")
        return None


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:16].encode()


def write_whole(path: Path, data: bytes) -> None:
    """Write the whole file or none of it, whatever interrupts; an error of the disk names the file."""
    draft = path.with_name(f".{path.name}.{uuid4().hex}.tmp")  # unique: two processes may write the same file
    try:
        with open(draft, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException as error:
        draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)
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
