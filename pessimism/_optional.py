"""Packages that only some users need."""

import importlib
from typing import Any


def optional(module: str, extra: str) -> Any:
    """Import a package of an extra when it is first needed, untyped; or say how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise ImportError(f"this needs {name}: pip install 'pessimism[{extra}]', or pip install {name}") from error
