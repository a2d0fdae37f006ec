"""Bilevel problems drawn together with the Python that makes them, so that a message can show them."""

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from pessimism.bilevel.problems import Cosh, Quadratic, Ridge
from pessimism.testing._whole_numbers import several

# made once, so that Hypothesis caches what it knows of them
ENTRIES, STEPS, SEEDS = st.integers(-4, 4), st.integers(0, 4), st.integers(0, 999)


class Recipe(NamedTuple):
    """A problem and the Python that makes it."""

    problem: Any
    code: str

    def __repr__(self) -> str:
        return self.code


@st.composite
def recipes(draw: st.DrawFn, kinds: tuple[str, ...], max_dim_x: int, max_dim_y: int, noisy: bool) -> Recipe:
    """Problems and how to make them."""
    kind = draw(st.sampled_from(kinds))
    dx, dy = draw(st.integers(1, max_dim_x)), draw(st.integers(1, max_dim_y))
    if kind == "ridge":
        rows = np.reshape(draw(several(6 * (dy + 1), ENTRIES)), (6, dy + 1)) / 4.0
        # rows of the identity, so that no problem is flat
        inputs = np.vstack([np.eye(dy), rows[:3, :dy]])
        outputs = np.concatenate([np.ones(dy), rows[:3, dy]])
        each = dx > 1 and dy <= max_dim_x
        arrays = inputs, outputs, rows[3:, :dy], rows[3:, dy]
        return recipe(Ridge, arrays, {"rho": 0.5, "per_coordinate": each, "batch": 2})
    diagonal, line = np.array(draw(several(dy, STEPS))) / 4.0, np.array(draw(several(dy, ENTRIES))) / 4.0
    line /= 2.0 ** math.ceil(max(0.0, 0.5 * math.log2(max(float(line @ line), 1.0) / 1.5)))  # |v|^2 <= 1.5, exactly
    hessian = np.eye(dy) + np.diag(diagonal) + np.outer(line, line)
    coupling = np.reshape(draw(several(dy * dx, ENTRIES)), (dy, dx)) / 4.0
    offset, target = np.reshape(draw(several(2 * dy, ENTRIES)), (2, dy)) / 2.0
    options: dict[str, Any] = {"rho": 0.5} if kind == "quadratic" else {}
    if noisy and draw(st.booleans()):
        options |= {"noise": 0.25, "curvature_noise": 0.25, "n_samples": 4, "batch": 2, "rng": draw(SEEDS)}
    return recipe(Quadratic if kind == "quadratic" else Cosh, (hessian, coupling, offset, target), options)


def recipe(kind: Any, arrays: tuple[Any, ...], options: dict[str, Any]) -> Recipe:
    parts = [str((np.asarray(array) + 0.0).tolist()) for array in arrays] + [
        f"{key}={value}" for key, value in options.items()
    ]
    return Recipe(kind(*arrays, **options), f"{kind.__name__}({', '.join(parts)})")
