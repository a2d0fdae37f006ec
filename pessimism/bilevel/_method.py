"""What a method is: its loop, the oracles it needs, and its options with their defaults."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pessimism import _check
from pessimism._types import Floats

REQUIRED = "required"
CURVATURE = "1 / curvature of the lower level, estimated by ten products with its Hessian"

WHOLE = {"period": 1, "inner_steps": 0, "terms": 0, "epochs": 0, "epoch_length": 1, "warm_steps": 0, "cg_steps": 0}
"""Options that are whole numbers, and the least each may be."""

BELOW_ONE = ("momentum", "nesterov")
UP_TO_ONE = ("averaging", "weight")
POSITIVE = ("penalty",)
UNBOUNDED = ("radius", "epoch_radius", "clip")


def vectors(rows: int) -> Callable[[Any], tuple[int, int]]:
    """Memory of some vectors of x or of y."""
    return lambda problem: (rows, max(problem.dim_x, problem.dim_y))


TWO = vectors(2)


@dataclass(frozen=True, slots=True)
class Method:
    """A solver.

    `options` maps names to defaults; `order` lists, as the loop reads them, names or fixed numbers; `file` holds the
    loop; `memory` is the shape of its own state for a problem.
    """

    name: str
    loop: str
    needs: tuple[str, ...]
    options: Mapping[str, float | str]
    order: tuple[str | float, ...]
    file: str = "_kernels"
    memory: Callable[[Any], tuple[int, int]] = TWO

    def settings(self, given: Mapping[str, Any]) -> dict[str, float | str]:
        """Given options over the defaults; names and ranges are checked."""
        for name in given:
            if name not in self.options:
                known = ", ".join(self.options)
                raise TypeError(f"{self.name} has no option {name!r}; it has {known}")
        chosen: dict[str, float | str] = dict(self.options)
        for name, value in given.items():
            if name in WHOLE:
                chosen[name] = _check.whole(name, value, low=WHOLE[name])
            elif name in BELOW_ONE:
                chosen[name] = _check.scalar(name, value, lambda v: 0.0 <= v < 1.0, "in [0, 1)")
            elif name in UP_TO_ONE:
                chosen[name] = _check.scalar(name, value, lambda v: 0.0 <= v <= 1.0, "in [0, 1]")
            elif name in POSITIVE:
                chosen[name] = _check.positive(name, value)
            elif name in UNBOUNDED:
                chosen[name] = _check.scalar(name, value, lambda v: 0.0 <= v <= math.inf, "at least 0")
            else:
                chosen[name] = _check.scalar(name, value, lambda v: 0.0 <= v < math.inf, "at least 0 and finite")
        for name, value in chosen.items():
            if value == REQUIRED:
                raise TypeError(f"{self.name} needs the option {name}: its scale is that of the problem")
        return chosen

    def settled(self, settings: Mapping[str, float | str], curvature: float) -> dict[str, float]:
        """Settings as numbers; steps left open are one over the curvature."""
        return {name: 1.0 / curvature if isinstance(value, str) else value for name, value in settings.items()}

    def packed(self, settled: Mapping[str, float]) -> Floats:
        """Numbers in the order of the loop."""
        return np.array([settled[entry] if isinstance(entry, str) else entry for entry in self.order], np.float64)
