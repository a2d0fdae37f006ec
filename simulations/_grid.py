"""Grids of cells."""

from collections.abc import Iterable
from itertools import product
from typing import Any


def cells(**axes: Iterable[Any]) -> list[dict[str, Any]]:
    """A cell for every combination of the values, those of the last key changing fastest."""
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
