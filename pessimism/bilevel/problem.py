r"""Bilevel problems: the oracles that methods call.

.. math:: \min_x F(x) = f(x, y^*(x)), \qquad y^*(x) = \arg\min_y g(x, y),

with g strongly convex in y, x in :math:`R^{d_x}`, y in :math:`R^{d_y}`. With z solving
:math:`\nabla^2_{yy} g\, z = \nabla_y f` the gradient of F is

.. math::

    \nabla F(x) = \nabla_x f - \nabla^2_{xy} g\, z, \qquad
    \nabla^2_{xy} g\, v = \nabla_x \langle \nabla_y g, v\rangle.

A problem is any object with the four oracles `grad_f`, `grad_g`, `hvp` and `cvp`; the others are optional. A sample
handle `s`, opaque to the solvers, names the sample an oracle is evaluated on; None is exact. The same handle at two
points is the same sample, which is what variance reduction needs: `sample` is called once for a sample, and its handle
is passed on to every call that shares it. A sampler may therefore have a state of its own, as a data loader has; but
then the same `rng` repeats a run only from the same state, and `check_problem` says so.
"""

from typing import Any, Protocol

from pessimism._types import Floats
from pessimism.bilevel._engine.kinds import KINDS

__all__ = ["KINDS", "BilevelProblem", "OracleError"]


class BilevelProblem(Protocol):
    r"""The oracles of a problem: plain functions of arrays.

    Beyond these a problem may have ``f(x, y, s=None)`` and ``g(x, y, s=None)`` (values), ``grad_gx(x, y, s=None)``
    (:math:`\nabla_x g`, for first-order methods), ``solve_y(x)`` (:math:`y^*(x)`), ``gradient(x)`` (of F, exact; with
    either of these a run's history holds its norm), ``project_x(x)`` (the allowed x nearest to x) and ``sample(rng,
    level)`` (a handle, for "f" or "g"; without it every call is exact). One that is None counts as absent.

    Notes
    -----
    A built-in method runs on a problem of your own as plain Python: ``methods/`` has its loop, ``_engine/calls`` counts
    the calls that it makes, ``_method_run`` hands it your oracles in place of compiled ones, and ``_users_oracles``
    calls them with copies of x, y and v and checks what they return. A step of your own gets the problem wrapped by
    ``_own_run``, which counts and checks in the same way. `check_problem` compares the oracles with each other.

    Examples
    --------
    >>> from pessimism.bilevel.problems import Quadratic
    >>> problem: BilevelProblem = Quadratic.random(2, 3, rng=0)
    >>> problem.dim_x, problem.dim_y
    (2, 3)
    """

    __slots__ = ()

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
        x, y : (dx,) and (dy,) float
            Upper and lower variable.
        s : object, optional
            Handle of a sample of level "f"; None is exact.

        Returns
        -------
        gx : (dx,) float
            Gradient in x.
        gy : (dy,) float
            Gradient in y.

        Examples
        --------
        >>> from pessimism.bilevel.problems import Quadratic
        >>> Quadratic([[2.0]], [[1.0]], [0.0], target=[3.0], rho=1.0).grad_f([5.0], [4.0])
        (array([5.]), array([1.]))
        """
        ...

    def grad_g(self, x: Floats, y: Floats, s: Any = None) -> Floats:
        r"""Gradient of g in y.

        Parameters
        ----------
        x, y : (dx,) and (dy,) float
            Upper and lower variable.
        s : object, optional
            Handle of a sample of level "g"; None is exact.

        Returns
        -------
        (dy,) float
            The gradient, 0 at :math:`y^*(x)`.

        Examples
        --------
        >>> from pessimism.bilevel.problems import Quadratic
        >>> Quadratic([[2.0]], [[1.0]], [0.0], target=[3.0], rho=1.0).grad_g([5.0], [4.0])
        array([3.])
        """
        ...

    def hvp(self, x: Floats, y: Floats, v: Floats, s: Any = None) -> Floats:
        r"""Multiply a vector by :math:`\nabla^2_{yy} g`.

        Parameters
        ----------
        x, y : (dx,) and (dy,) float
            Upper and lower variable.
        v : (dy,) float
            The vector.
        s : object, optional
            Handle of a sample of level "g"; None is exact.

        Returns
        -------
        (dy,) float
            The product.

        Examples
        --------
        >>> from pessimism.bilevel.problems import Quadratic
        >>> Quadratic([[2.0]], [[1.0]], [0.0], target=[3.0], rho=1.0).hvp([5.0], [4.0], [1.0])
        array([2.])
        """
        ...

    def cvp(self, x: Floats, y: Floats, v: Floats, s: Any = None) -> Floats:
        r"""Compute the product :math:`\nabla_x \langle \nabla_y g, v \rangle` of the mixed derivative with a vector.

        Parameters
        ----------
        x, y : (dx,) and (dy,) float
            Upper and lower variable.
        v : (dy,) float
            The vector.
        s : object, optional
            Handle of a sample of level "g"; None is exact.

        Returns
        -------
        (dx,) float
            The product.

        Examples
        --------
        >>> from pessimism.bilevel.problems import Quadratic
        >>> Quadratic([[2.0]], [[1.0]], [0.0], target=[3.0], rho=1.0).cvp([5.0], [4.0], [1.0])
        array([-1.])
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
