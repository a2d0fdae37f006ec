"""The decorator of all kernels: compiled by Numba, without the GIL, cached on disk so that no stale code ever runs.

Numba's own cache looks at the file of a function alone: a kernel that calls a kernel of another file, or reads a
constant of it, would go on running the old one. Here the folder of the cache carries a digest of all sources that a
kernel can reach and of the versions that compile them, so a change anywhere means a new folder.

A cache can only save time. Whatever goes wrong with it (a read-only installation, a full disk, a damaged file, two
processes that write at once) ends in a compilation and in one warning that says how to get a cache again.
"""

import hashlib
import os
import platform
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar, cast, overload

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

PACKAGE = Path(__file__).parent
PREFIX, OWNER = "kernels-", "made-for"
ABOVE = {"interop", "testing", "__pycache__"}
"""Folders without sources that a kernel can import: imports go down only."""

INNER = object()
"""``@compiled(INNER)``: a kernel that only kernels call. An entry from Python can take longer to compile than it."""

_LOCK = threading.RLock()
_said: set[str] = set()
_edited: set[str] = set()
"""Modules imported after a source had changed: from then on this process neither reads nor writes the cache."""


@overload
def compiled(function: Kernel, /) -> Kernel: ...
@overload
def compiled(signature: Any, /) -> Callable[[Kernel], Kernel]: ...
def compiled(target: Any, /) -> Any:
    """Compile a function at its first call, or, as ``@compiled(signature)``, for this one signature at once.

    A signature keeps literal arguments from multiplying the versions of a helper, and gives a kernel that is passed as
    an argument (a `numba.types.FunctionType`) the one type that it can be passed by. With ``NUMBA_DISABLE_JIT=1`` the
    function itself is returned.
    """
    if isinstance(target, FunctionType):
        return _dispatcher(target, None)
    return lambda function: _dispatcher(function, target)


def plain(kernel: Kernel) -> Kernel:
    """The same kernel uncompiled, calling the kernels it calls uncompiled; each reads the globals of its own module."""
    if not hasattr(kernel, "py_func"):
        return kernel
    function: FunctionType = kernel.py_func
    names = _plain_globals(function.__module__)
    rebuilt: Any = FunctionType(function.__code__, names, function.__name__, function.__defaults__)
    return cast(Kernel, rebuilt)


def cache_folder() -> Path | None:
    """Where compiled kernels are kept, made if need be; None where nothing can be written."""
    return _cache_folder(_digest(), _configured())


def cache_roots() -> Iterator[Path]:
    """Folders that may hold the cache, the preferred one first: NUMBA_CACHE_DIR, the package, the user's cache."""
    configured = _configured()
    if configured:
        yield Path(configured)
    yield PACKAGE / "__pycache__"
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home
        return
    yield home / "pessimism"


def _config() -> Any:
    from numba import config

    return config


def _configured() -> str:
    return str(_config().CACHE_DIR or "")


@cache
def _cache_folder(digest: str, configured: str) -> Path | None:
    for root in cache_roots():
        folder = root / (PREFIX + digest)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
            if not (folder / OWNER).exists():
                (folder / OWNER).write_text(_owner())
            return folder
        except OSError:
            continue
    return None


def stale_folders() -> list[Path]:
    """Folders that this installation filled before its sources or its versions changed."""
    current = cache_folder()
    filled = [owner.parent for root in cache_roots() for owner in root.glob(f"{PREFIX}*/{OWNER}")]
    return [folder for folder in filled if folder != current and _read(folder / OWNER) == _owner()]


def _owner() -> str:
    return f"{PACKAGE.resolve()} {sys.prefix} {sys.implementation.cache_tag} {platform.machine()}"


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # another process deletes it as well
        return ""


def _sources() -> dict[Path, tuple[int, int]]:
    """Files that a kernel can reach, with time and size of their last change."""
    found = {}
    for folder, inner, names in os.walk(PACKAGE):
        inner[:] = [name for name in inner if name not in ABOVE]
        for name in names:
            if name.endswith(".py"):
                stat = os.stat(path := os.path.join(folder, name))
                found[Path(path)] = stat.st_mtime_ns, stat.st_size
    return dict(sorted(found.items()))


@cache
def _sources_at_first() -> dict[Path, tuple[int, int]]:
    return _sources()


@cache
def _unchanged(module: str) -> bool:
    """Whether the sources are still those of the digest when a module with kernels is imported.

    A file that is edited while a process runs may be imported later by it, and then belongs to no digest.
    """
    return _sources() == _sources_at_first()


@cache
def _digest() -> str:
    """Of all sources that a kernel can reach, and of the versions that turn them into machine code."""
    import llvmlite
    import numba
    import numpy as np

    digest = hashlib.sha256(
        repr([sys.version, platform.machine(), numba.__version__, llvmlite.__version__, np.__version__]).encode()
    )
    for file in _sources_at_first():
        digest.update(f"\0{file.relative_to(PACKAGE)}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _dispatcher(function: FunctionType, signature: Any) -> Any:
    from numba import njit

    inner = signature is INNER
    wrappers: dict[str, Any] = {"no_cpython_wrapper": inner, "no_cfunc_wrapper": inner}  # not in the stubs
    kernel: Any = njit(nogil=True, **wrappers)(function)
    if _config().DISABLE_JIT:
        return kernel
    _enable_cache(kernel)
    if signature is not None and not inner:
        kernel.compile(signature)
        kernel.disable_compile()
    return kernel


def _enable_cache(kernel: Any) -> None:
    folder, config = cache_folder(), _config()
    if folder is None:
        _warn("compiled kernels cannot be kept: no folder can be written")
        return
    if not _unchanged(kernel.__module__):
        _edited.add(kernel.__module__)
        return
    with _LOCK:
        before, config.CACHE_DIR = config.CACHE_DIR, str(folder)
        try:
            kernel.enable_caching()
            if hasattr(kernel, "_cache"):
                kernel._cache = _Forgiving(kernel._cache)
        except Exception as error:
            _warn(f"compiled kernels cannot be kept: {error}")
        finally:
            config.CACHE_DIR = before


class _Forgiving:
    """Numba's cache of one kernel, whose troubles never reach a caller."""

    def __init__(self, numba_cache: Any) -> None:
        self._numba_cache = numba_cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._numba_cache, name)

    def load_overload(self, signature: Any, target: Any) -> Any:
        if _edited:
            return None
        arguments = _arguments(signature)
        try:
            loaded = self._numba_cache.load_overload(arguments, target)
        except Exception:
            self._discard()
            return None
        # two processes that wrote at once may have left the code of another signature under this name
        return loaded if loaded is None or tuple(loaded.signature.args) == arguments else None

    def save_overload(self, signature: Any, compiled_code: Any) -> None:
        if _edited:
            return
        try:
            self._numba_cache.save_overload(_arguments(signature), compiled_code)
        except Exception as error:
            _warn(f"a compiled kernel could not be kept: {error}")

    def _discard(self) -> None:
        """Empty a damaged index, or it would be in the way for ever."""
        try:
            self._numba_cache.flush()
        except Exception as error:
            _warn(f"a damaged file of compiled kernels could not be replaced: {error}")


def _arguments(signature: Any) -> tuple[Any, ...]:
    """Types of the arguments: one key for ``compile(signature)`` and for the calls that follow it."""
    from numba.core import sigutils

    normalize: Any = sigutils.normalize_signature
    return tuple(normalize(signature)[0])


def _warn(trouble: str) -> None:
    with _LOCK:
        if _said:
            return
        _said.add(trouble)
    warnings.warn(
        f"{trouble}; every process compiles them anew. Set NUMBA_CACHE_DIR to a folder that can be written.",
        RuntimeWarning,
        stacklevel=2,
    )


_plain_modules: dict[str, dict[str, Any]] = {}


def _plain_globals(module: str) -> dict[str, Any]:
    """The globals of a module with its kernels, and those it imports, replaced by their plain functions."""
    with _LOCK:
        if module not in _plain_modules:
            names = _plain_modules[module] = dict(vars(sys.modules[module]))
            for name, value in list(names.items()):
                if hasattr(value, "py_func"):
                    names[name] = plain(value)
        return _plain_modules[module]
