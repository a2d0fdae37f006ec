r"""Hypothesis strategies for bilevel problems whose minimisers and gradients are known in closed form.

Matrices are drawn as whole numbers over powers of two. The Hessian of a quadratic lower level is
:math:`I + D + v v^\top` with a diagonal D and one vector v, of curvature between 1 and 4, so that steps on y and z of
up to a quarter are stable on all of them.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from pessimism import _check
from pessimism.bilevel.problems import Cosh, Quadratic, Ridge
from pessimism.testing.strategies import _several, _size

__all__ = ["bilevel_problems"]

KINDS = ("quadratic", "cosh", "ridge")

# made once: Hypothesis then knows them again
ENTRIES, STEPS, SEEDS = st.integers(-4, 4), st.integers(0, 4), st.integers(0, 999)


class Made(NamedTuple):
    """A problem and the Python that makes it."""

    problem: Any
    code: str

    def __repr__(self) -> str:
        return self.code


def bilevel_problems(
    *, kinds: tuple[str, ...] = KINDS, max_dim_x: int = 3, max_dim_y: int = 3, noisy: bool = True
) -> SearchStrategy[Any]:
    """Strategy for small bilevel problems with closed forms.

    Parameters
    ----------
    kinds : tuple of str
        Among "quadratic", "cosh" and "ridge".
    max_dim_x, max_dim_y : int
        Largest sizes, at least 1. A ridge problem has as many penalties as coefficients, or one.
    noisy : bool
        Whether samples may differ from the exact problem, for "quadratic" and "cosh"; those of "ridge" always do.

    Returns
    -------
    SearchStrategy of Quadratic, Cosh or Ridge
        Sizes of one, and sizes that differ, are common. Shrinks to a quadratic problem of one by one.

    Raises
    ------
    ValueError, TypeError
        If a size or a kind is not among those allowed.

    Notes
    -----
    The lower curvature of "quadratic" and "cosh" is between 1 and 4; that of "ridge" depends on x.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, database=None, deadline=None)
    ... @given(bilevel_problems(kinds=("quadratic",)))
    ... def minimisers_have_no_gradient(problem):
    ...     assert np.abs(problem.gradient(problem.minimiser())).max() < 1e-9
    >>> minimisers_have_no_gradient()
    """
    for kind in kinds:
        _check.choice("kinds", kind, KINDS)
    sizes = _size("max_dim_x", max_dim_x), _size("max_dim_y", max_dim_y)
    return _recipes(tuple(kinds), *sizes, bool(noisy)).map(lambda made: made.problem)


@st.composite
def _recipes(draw: st.DrawFn, kinds: tuple[str, ...], max_dim_x: int, max_dim_y: int, noisy: bool) -> Made:
    """Problems and how to make them."""
    kind = draw(st.sampled_from(kinds))
    dx, dy = draw(st.integers(1, max_dim_x)), draw(st.integers(1, max_dim_y))
    if kind == "ridge":
        rows = np.reshape(draw(_several(6 * (dy + 1), ENTRIES)), (6, dy + 1)) / 4.0
        # rows of the identity, so that no problem is flat
        inputs = np.vstack([np.eye(dy), rows[:3, :dy]])
        outputs = np.concatenate([np.ones(dy), rows[:3, dy]])
        each = dx > 1 and dy <= max_dim_x
        arrays = inputs, outputs, rows[3:, :dy], rows[3:, dy]
        return _made(Ridge, arrays, {"rho": 0.5, "per_coordinate": each, "batch": 2})
    diagonal, line = np.array(draw(_several(dy, STEPS))) / 4.0, np.array(draw(_several(dy, ENTRIES))) / 4.0
    line /= 2.0 ** math.ceil(max(0.0, 0.5 * math.log2(max(float(line @ line), 1.0) / 1.5)))  # |v|^2 <= 1.5, exactly
    hessian = np.eye(dy) + np.diag(diagonal) + np.outer(line, line)
    coupling = np.reshape(draw(_several(dy * dx, ENTRIES)), (dy, dx)) / 4.0
    offset, target = np.reshape(draw(_several(2 * dy, ENTRIES)), (2, dy)) / 2.0
    options: dict[str, Any] = {"rho": 0.5} if kind == "quadratic" else {}
    if noisy and draw(st.booleans()):
        options |= {"noise": 0.25, "curvature_noise": 0.25, "n_samples": 4, "batch": 2, "rng": draw(SEEDS)}
    return _made(Quadratic if kind == "quadratic" else Cosh, (hessian, coupling, offset, target), options)


def _made(kind: Any, arrays: tuple[Any, ...], options: dict[str, Any]) -> Made:
    parts = [str((np.asarray(array) + 0.0).tolist()) for array in arrays] + [
        f"{key}={value}" for key, value in options.items()
    ]
    return Made(kind(*arrays, **options), f"{kind.__name__}({', '.join(parts)})")
