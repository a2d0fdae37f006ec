r"""Hypothesis strategies for bilevel problems whose minimisers and gradients are known in closed form.

Matrices are drawn as whole numbers over powers of two. The Hessian of a quadratic lower level is
:math:`I + D + v v^\top` with a diagonal D and one vector v, of curvature between 1 and 4, so that steps on y and z of
up to a quarter are stable on all of them.
"""

from typing import Any

from hypothesis.strategies import SearchStrategy

from pessimism import _check
from pessimism.testing._whole_numbers import length
from pessimism.testing.bilevel._recipes import recipes

__all__ = ["bilevel_problems"]

KINDS = ("quadratic", "cosh", "ridge")


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
    >>> import numpy as np
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=10, database=None, deadline=None)
    ... @given(bilevel_problems(kinds=("quadratic",)))
    ... def minimisers_have_no_gradient(problem):
    ...     assert np.abs(problem.gradient(problem.minimiser())).max() < 1e-9
    >>> minimisers_have_no_gradient()
    """
    for kind in _check.listed("kinds", kinds, "names"):
        _check.choice("kinds", kind, KINDS)
    largest = length("max_dim_x", max_dim_x), length("max_dim_y", max_dim_y)
    return recipes(tuple(kinds), *largest, _check.flag("noisy", noisy)).map(lambda recipe: recipe.problem)
