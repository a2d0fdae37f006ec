"""The methods by name: each is a file of ``methods/`` with a constant METHOD, called as the file is, "-" for "_"."""

import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

from pessimism.bilevel._method import Method

_FILES = [file.name for file in pkgutil.iter_modules([str(Path(__file__).parent / "methods")])]
_NAMES = tuple(name.replace("_", "-") for name in _FILES if not name.startswith("_"))


class _Methods(Mapping[str, Method]):
    """The methods found in the folder; a file is imported when its method is asked for."""

    def __getitem__(self, name: str) -> Method:
        if name not in _NAMES:
            raise KeyError(name)
        method: Method = import_module(f"pessimism.bilevel.methods.{name.replace('-', '_')}").METHOD
        return method

    def __iter__(self) -> Iterator[str]:
        return iter(_NAMES)

    def __len__(self) -> int:
        return len(_NAMES)

    def __repr__(self) -> str:
        return f"METHODS({', '.join(_NAMES)})"


METHODS = _Methods()
