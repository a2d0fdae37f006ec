r"""Bilevel problems: what a solver may ask of them, and what it costs.

.. math:: \min_x F(x) = f(x, y^*(x)), \qquad y^*(x) = \arg\min_y g(x, y),

with g strongly convex in y, x in :math:`R^{d_x}`, y in :math:`R^{d_y}`. With z solving
:math:`\nabla^2_{yy} g\, z = \nabla_y f` the gradient of F is

.. math::

    \nabla F(x) = \nabla_x f - \nabla^2_{xy} g\, z, \qquad
    \nabla^2_{xy} g\, v = \nabla_x \langle \nabla_y g, v\rangle.

A problem is any object with the four oracles `grad_f`, `grad_g`, `hvp` and `cvp`; the others are optional. A sample
handle `s`, opaque to the solvers, names the sample an oracle is evaluated on; None is exact. The same handle at two
points is the same sample, which is what variance reduction needs.
"""

from typing import Any, Protocol

import numpy as np

from pessimism import _check
from pessimism._types import Floats

KINDS = ("grad_f", "grad_g", "grad_gx", "hvp", "cvp")
"""What is counted; `grad_f` gives both gradients of f in one call."""


class BilevelProblem(Protocol):
    r"""What a solver asks of a problem; plain functions of arrays.

    Beyond these a problem may have ``f(x, y, s=None)`` and ``g(x, y, s=None)`` (values), ``grad_gx(x, y, s=None)``
    (:math:`\nabla_x g`, for first-order methods), ``solve_y(x)`` (:math:`y^*(x)`), ``gradient(x)`` (of F, exact: a
    run's history then holds its norm), ``project_x(x)`` (the allowed x nearest to x) and ``sample(rng, level)`` (a
    handle, for "f" or "g"; without it every call is exact). One that is None is as good as absent.

    Examples
    --------
    >>> from pessimism.bilevel.problems import Quadratic
    >>> problem: BilevelProblem = Quadratic.random(2, 3, rng=0)
    >>> problem.dim_x, problem.dim_y
    (2, 3)
    """

    @property
    def dim_x(self) -> int:
        """Length of x."""
        ...

    @property
    def dim_y(self) -> int:
        """Length of y."""
        ...

    def grad_f(self, x: Floats, y: Floats, s: Any = None) -> tuple[Floats, Floats]:
        r"""Compute the gradients of f in x and in y, in one call.

        Parameters
        ----------
        x : (dx,) float
            Upper variable.
        y : (dy,) float
            Lower variable.
        s : object, optional
            Handle of a sample; None is exact.

        Returns
        -------
        (dx,) float, (dy,) float
            Both gradients.

        Examples
        --------
        >>> from pessimism.bilevel.problems import Quadratic
        >>> len(Quadratic.random(2, 3, rng=0).grad_f([0.0, 0.0], [0.0, 0.0, 0.0]))
        2
        """
        ...

    def grad_g(self, x: Floats, y: Floats, s: Any = None) -> Floats:
        r"""Gradient of g in y.

        Parameters
        ----------
        x : (dx,) float
            Upper variable.
        y : (dy,) float
            Lower variable.
        s : object, optional
            Handle of a sample; None is exact.

        Returns
        -------
        (dy,) float
            The gradient.

        Examples
        --------
        >>> from pessimism.bilevel.problems import Quadratic
        >>> Quadratic.random(2, 3, rng=0).grad_g([0.0, 0.0], [0.0, 0.0, 0.0]).shape
        (3,)
        """
        ...

    def hvp(self, x: Floats, y: Floats, v: Floats, s: Any = None) -> Floats:
        r"""Multiply a vector by :math:`\nabla^2_{yy} g`.

        Parameters
        ----------
        x : (dx,) float
            Upper variable.
        y : (dy,) float
            Lower variable.
        v : (dy,) float
            The vector.
        s : object, optional
            Handle of a sample; None is exact.

        Returns
        -------
        (dy,) float
            The product.

        Examples
        --------
        >>> from pessimism.bilevel.problems import Quadratic
        >>> Quadratic.random(2, 3, rng=0).hvp([0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]).shape
        (3,)
        """
        ...

    def cvp(self, x: Floats, y: Floats, v: Floats, s: Any = None) -> Floats:
        r"""Compute the product :math:`\nabla_x \langle \nabla_y g, v \rangle` of the mixed derivative with a vector.

        Parameters
        ----------
        x : (dx,) float
            Upper variable.
        y : (dy,) float
            Lower variable.
        v : (dy,) float
            The vector.
        s : object, optional
            Handle of a sample; None is exact.

        Returns
        -------
        (dx,) float
            The product.

        Examples
        --------
        >>> from pessimism.bilevel.problems import Quadratic
        >>> Quadratic.random(2, 3, rng=0).cvp([0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]).shape
        (2,)
        """
        ...


class OracleError(ValueError):
    """An oracle returned something that is not what it should be.

    Examples
    --------
    >>> raise OracleError("hvp must return 3 numbers, got shape (2,)")
    Traceback (most recent call last):
    ...
    pessimism.bilevel.problem.OracleError: hvp must return 3 numbers, got shape (2,)
    """


def require_oracles(problem: Any, names: tuple[str, ...], method: str) -> None:
    """Raise unless a problem has the oracles that a method needs.

    Parameters
    ----------
    problem : BilevelProblem
        The problem.
    names : tuple of str
        Oracles.
    method : str
        For the message.

    Raises
    ------
    TypeError
        Naming the first oracle that is missing.

    Examples
    --------
    >>> require_oracles(object(), ("hvp",), "soba")
    Traceback (most recent call last):
    ...
    TypeError: problem must have the oracle hvp, which soba needs, and object has none
    """
    for name in names:
        if not has(problem, name):
            raise TypeError(
                f"problem must have the oracle {name}, which {method} needs, and {type(problem).__name__} has none"
            )


def has(problem: Any, name: str) -> bool:
    """Whether a problem offers an optional oracle.

    Parameters
    ----------
    problem : BilevelProblem
        The problem.
    name : str
        Oracle.

    Returns
    -------
    bool
        Whether it can be called.

    Examples
    --------
    >>> has(object(), "project_x")
    False
    """
    return callable(getattr(problem, name, None))


def sizes(problem: Any) -> tuple[int, int]:
    """Find the lengths of x and of y.

    Parameters
    ----------
    problem : BilevelProblem
        The problem.

    Returns
    -------
    int, int
        Its `dim_x` and `dim_y`.

    Raises
    ------
    ValueError, TypeError
        If one is missing, or no whole number from 1 on.

    Examples
    --------
    >>> sizes(object())
    Traceback (most recent call last):
    ...
    TypeError: problem must have dim_x, the length of x, and object has none
    """
    for name in ("x", "y"):
        if not hasattr(problem, f"dim_{name}"):
            kind = problem.__name__ if isinstance(problem, type) else type(problem).__name__
            raise TypeError(f"problem must have dim_{name}, the length of {name}, and {kind} has none")
    if isinstance(problem, type):
        raise TypeError(f"problem must be an object, got the class {problem.__name__}: make one of it")
    return _check.whole("problem.dim_x", problem.dim_x, low=1), _check.whole("problem.dim_y", problem.dim_y, low=1)


def checked(name: str, value: Any, length: int) -> Floats:
    """What an oracle returned, as a vector of numbers; infinities and NaN pass: a run may diverge.

    Parameters
    ----------
    name : str
        Oracle.
    value : array_like
        What it returned.
    length : int
        Entries it should have.

    Returns
    -------
    (length,) float
        The vector.

    Raises
    ------
    OracleError
        If it is no vector of that length.

    Examples
    --------
    >>> checked("hvp", [1.0, 2.0], 2).tolist()
    [1.0, 2.0]
    """
    try:
        array = np.asarray(value)
    except ValueError:  # ragged
        raise OracleError(
            f"{name} must return {length} numbers, got a {type(value).__name__} of unlike parts"
        ) from None
    if array.dtype.kind not in "biuf":
        raise OracleError(f"{name} must return numbers, got dtype {array.dtype}")
    if array.shape != (length,):
        raise OracleError(f"{name} must return {length} numbers, got shape {array.shape}")
    return array.astype(np.float64)


def pair(value: Any) -> tuple[Any, Any]:
    """What `grad_f` returned, both gradients.

    Parameters
    ----------
    value : object
        What it returned.

    Returns
    -------
    tuple
        The gradient in x and the gradient in y.

    Raises
    ------
    OracleError
        If it is no pair.

    Examples
    --------
    >>> pair(([1.0], [2.0]))
    ([1.0], [2.0])
    """
    if not isinstance(value, tuple) or len(value) != 2:
        raise OracleError(f"grad_f must return a pair of gradients, in x and in y, got {type(value).__name__}")
    return value
