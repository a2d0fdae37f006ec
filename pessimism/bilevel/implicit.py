r"""The gradient of the upper level through the solution of the lower one.

With H and C the derivatives :math:`\nabla^2_{yy} g` and :math:`\nabla^2_{xy} g` at (x, y),

.. math:: G(y, z) = \nabla_x f(x, y) - C z, \qquad H z = \nabla_y f(x, y), \qquad \nabla F(x) = G(y^*, z^*),

so that a hypergradient is a linear system, and it is wrong for two reasons: y is not :math:`y^*(x)`, and z does not
solve the system. Let :math:`r = H z - \nabla_y f`, :math:`\mu \le \lambda_{\min}(H(x, v))` for all v between y and
:math:`y^*`, :math:`c \ge \|C\|` and s a Lipschitz constant of :math:`v \mapsto G(v, H(x, v)^{-1} \nabla_y f(x, v))`
there. Then

.. math:: \|G(y, z) - \nabla F(x)\| \le \frac{c\,\|r\| + s\,\|\nabla_y g(x, y)\|}{\mu}.

First term: :math:`z - H^{-1} \nabla_y f = H^{-1} r`. Second: strong convexity gives :math:`\|y - y^*\| \le
\|\nabla_y g\| / \mu`. The residual r is that of the system without damping, so the bias of damping is counted.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._objects import Speaking
from pessimism._status import ConvergenceError, Status
from pessimism._types import Floats
from pessimism.bilevel._lower import newton, newton_step, norm
from pessimism.bilevel._method import SECOND_ORDER
from pessimism.bilevel._users_oracles import SYMMETRY, PlainOracles, finite, has, point, require_oracles, returned
from pessimism.bilevel.problem import BilevelProblem, OracleError

__all__ = ["Hypergradient", "hypergradient"]

SOLVERS = ("cg", "neumann", "direct")

REMEMBERED = 64
"""How many products with H serve to estimate its smallest eigenvalue."""

EXACT, ROUNDING = 16.0 * np.finfo(float).eps, 1e3 * np.finfo(float).eps
"""A lower gradient below this, times the length of y and the Frobenius norm of products with unit vectors, is 0: at the
user's y, and after the Newton step that judges one which is not."""

PROBES = 6
"""Random vectors for the norm of C: it then misses with probability 10 to the minus this."""

Solver = Callable[[Any, Floats, Floats, float], ArrayLike]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Hypergradient(Speaking):
    r"""A hypergradient, how it was reached, and how wrong it can be.

    Attributes
    ----------
    value : (dx,) float
        :math:`\nabla_x f - C z`.
    z : (dy,) float
        Solution of the linear system: the next warm start.
    y : (dy,) float
        Lower-level point at which everything was evaluated.
    residual : float
        :math:`\|(H + \lambda I) z - \nabla_y f\| / \|\nabla_y f\|`, recomputed from z; 0 if both are 0.
    error_bound : float
        Bound on the distance of `value` from :math:`\nabla F(x)`, up to rounding; infinite if nothing is known.
    iterations : int
        Products with H that the solver asked for.
    status : Status
        How the linear system was solved; it says nothing of y.

    Notes
    -----
    Statement: that of the module, with the constants named in `hypergradient`. Source: derived by us, from strong
    convexity and the perturbation of a linear system.

    Examples
    --------
    >>> from pessimism.bilevel.problems import Quadratic
    >>> found = hypergradient(Quadratic.random(2, 3, rng=0), [1.0, -1.0])
    >>> found.value.shape, found.z.shape, found.residual <= 1e-8
    ((2,), (3,), True)
    """

    value: Floats
    z: Floats
    y: Floats
    residual: float
    error_bound: float
    iterations: int
    status: Status


def hypergradient(
    problem: BilevelProblem,
    x: ArrayLike,
    y: ArrayLike | Callable[[Floats], ArrayLike] | None = None,
    *,
    solver: str | Solver = "cg",
    rtol: float = 1e-8,
    damping: float = 0.0,
    z: ArrayLike | None = None,
    maxiter: int | None = None,
    mu: float | None = None,
    cross: float | None = None,
    slope: float | None = None,
) -> Hypergradient:
    r"""Gradient of :math:`F(x) = f(x, y^*(x))` by implicit differentiation.

    Parameters
    ----------
    problem : BilevelProblem
        With the exact oracles `grad_f`, `grad_g`, `hvp` and `cvp`.
    x : (dx,) array_like of float
        Upper-level point.
    y : (dy,) array_like of float, or callable, optional
        Lower-level point, taken for :math:`y^*(x)` if `grad_g` is rounding there, or a solver of the lower level,
        ``y(x)``. Default: ``problem.solve_y(x)``, or Newton steps from 0 with conjugate gradients where there is none.
    solver : {"cg", "neumann", "direct"} or callable, optional
        Conjugate gradients; the Neumann series :math:`z = a \sum_q (I - a H)^q \nabla_y f` with a the inverse of the
        largest eigenvalue found by power iterations; a dense matrix from dy products with H; or
        ``solver(operator, b, z0, rtol)``, which returns z alone, with a SciPy LinearOperator; b and z0 are divided by
        one power of 2, after which the largest entry of b is between 1 and 2.
    rtol : float, optional
        Largest relative residual, in (0, 1). Default 1e-8.
    damping : float, optional
        :math:`\lambda \ge 0`: the system solved is :math:`(H + \lambda I) z = \nabla_y f`. Default 0.
    z : (dy,) array_like of float, optional
        Warm start, for instance the `z` of a result near by. Default 0. It changes the effort, not the value.
    maxiter : int, optional
        Largest number of iterations of "cg" and "neumann". Default: 10 dy + 100, and 10 000.
    mu : float, optional
        Lower bound on the smallest eigenvalue of H at y and, unless y is :math:`y^*`, everywhere between the two.
        Default: unknown between them, see the notes. At y itself "direct"
        computes it; otherwise it is estimated from above, by the smallest Ritz value of the products already made, and
        the error bound is an estimate too.
    cross : float, optional
        Upper bound on the norm of C. Default: "direct" computes it, from dy products; otherwise
        :math:`10 \sqrt{2/\pi} \max_i \|C \omega_i\|` over 6 normal vectors (of seed 0), which is a bound with
        probability :math:`1 - 10^{-6}` (Halko, Martinsson and Tropp 2011, Lemma 4.1).
    slope : float, optional
        Lipschitz constant s of the module docstring; it needs `mu`. Default: unknown, see the notes.

    Returns
    -------
    Hypergradient
        With its error bound.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described, an oracle is missing, or H is not symmetric or not positive definite with
        its damping.
    OracleError
        Naming the oracle that returned a wrong shape, NaN or infinity.
    ConvergenceError
        If the residual is above `rtol`; ``error.result`` is the `Hypergradient` reached.

    Notes
    -----
    Statement: the bound of the module, met with equality for dx = dy = 1 with one of its terms; if C has rank dy, its
    first term is at most cond(H) cond(C) times the error made by r. Where y is not :math:`y^*` and `mu` or `slope` is
    unknown, the bound is the distance to the hypergradient after one Newton step on y plus the bound of that one, which
    is finite if `grad_g` is rounding there: for a y that is nearly right, and for any y of a quadratic g; otherwise it
    is infinite. That about doubles the cost: one `grad_f` and one `grad_g`; the solver's
    products with H and two or three more (a test of symmetry, the true residual); 7 with C, or 1 with `cross`, or
    dy + 1 with "direct". Source: the implicit function theorem (textbook); the bound is derived by us.

    Examples
    --------
    >>> from pessimism.bilevel.problems import Quadratic
    >>> problem = Quadratic.random(2, 3, rng=0)
    >>> found = hypergradient(problem, [1.0, -1.0], rtol=1e-12)
    >>> bool(np.linalg.norm(found.value - problem.gradient(np.array([1.0, -1.0]))) <= found.error_bound + 1e-12)
    True
    """
    require_oracles(problem, SECOND_ORDER, "hypergradient")
    if not callable(solver):
        _check.choice("solver", solver, SOLVERS)
    at = point("x", x, problem.dim_x)
    asked = _Asked(
        solver,
        _check.open_unit_interval("rtol", rtol),
        _check.nonnegative("damping", damping),
        None if maxiter is None else _check.whole("maxiter", maxiter, low=1),
        None if mu is None else _check.positive("mu", mu),
        None if cross is None else _check.nonnegative("cross", cross),
        None if slope is None else _check.nonnegative("slope", slope),
    )
    start = np.zeros(problem.dim_y) if z is None else point("z", z, problem.dim_y)
    oracles = PlainOracles(problem)
    result = _evaluate(oracles, at, _lower(oracles, at, y), start, asked, EXACT)
    if result.error_bound == math.inf:
        result = replace(result, error_bound=_bound_by_a_neighbour(oracles, at, result, asked))
    if result.residual > asked.rtol:
        more = "more iterations (maxiter), " if solver in ("cg", "neumann") else ""
        raise ConvergenceError(
            f"the relative residual {result.residual:.3g} is above rtol = {asked.rtol:g} after {result.iterations} "
            f"products with H: allow {more}a larger rtol, or some damping",
            result,
        )
    return result


class _Asked(NamedTuple):
    """How a hypergradient is to be found, and what is known of the problem."""

    solver: str | Solver
    rtol: float
    damping: float
    limit: int | None
    mu: float | None
    cross: float | None
    slope: float | None


def _evaluate(
    oracles: PlainOracles, x: Floats, y: Floats, start: Floats, asked: _Asked, rounding: float
) -> Hypergradient:
    """The hypergradient at a lower-level point, which is the solution if its gradient is rounding."""
    gradients = oracles.evaluate("grad_f", x, y)
    system = _System(oracles, x, y, asked.damping, gradients[len(x) :])
    slack = norm(oracles.evaluate("grad_g", x, y))
    z = _solve(system, asked, start / system.unit) if system.b.any() else np.zeros(len(y))
    if slack <= rounding * norm(y) * norm(np.array(system.images)):
        slack = 0.0
    return _result(system, gradients[: len(x)], z, asked, slack)


def _bound_by_a_neighbour(oracles: PlainOracles, x: Floats, found: Hypergradient, asked: _Asked) -> float:
    """Distance to the hypergradient after one Newton step on y, and the bound of that one; infinite if it has none."""
    try:
        neighbour = found.y - newton_step(oracles, x, found.y)
        other = _evaluate(oracles, x, neighbour, found.z, asked, ROUNDING)
    except ValueError:  # of a solver or an oracle, away from where the user asked
        return math.inf
    return norm(found.value - other.value) + other.error_bound


def _lower(oracles: PlainOracles, x: Floats, y: Any) -> Floats:
    """The lower-level point: given, or from the user's solver, or by Newton steps."""
    problem = oracles.problem
    if y is not None and not callable(y):
        return point("y", y, problem.dim_y)
    if callable(y) or has(problem, "solve_y"):
        name, solve = ("y", y) if callable(y) else ("solve_y", problem.solve_y)
        return finite(name, returned(name, solve(x.copy()), problem.dim_y))
    return newton(oracles, x)[0]


class _System:
    """The linear system (H + damping I) z = b at one point; its products are checked, counted and remembered.

    It is kept in a unit, a power of 2, in which b has ordinary size: so has what a solver squares.
    """

    __slots__ = ("b", "damping", "eigenvalues", "images", "oracles", "probe", "products", "unit", "vectors", "x", "y")

    def __init__(self, oracles: PlainOracles, x: Floats, y: Floats, damping: float, b: Floats) -> None:
        self.oracles, self.x, self.y, self.damping = oracles, x, y, damping
        self.unit = 2.0 ** (math.frexp(float(np.abs(b).max()) or 1.0)[1] - 1)
        self.b = b / self.unit
        self.products = 0
        self.vectors: deque[Floats] = deque(maxlen=REMEMBERED)
        self.images: deque[Floats] = deque(maxlen=REMEMBERED)
        self.eigenvalues: Floats | None = None  # once the matrix is known
        self.probe: tuple[Floats, Floats, float] | None = None
        u = np.random.default_rng(0).normal(size=len(y))
        u /= np.linalg.norm(u)
        image = self.hessian(u)
        self.probe = u, image, norm(image)

    def hessian(self, v: Floats) -> Floats:
        """H v, after which H is still symmetric and positive definite for all we know."""
        size = norm(v)
        if not math.isfinite(size):
            raise ValueError("solver must ask for products with finite vectors: it diverges")
        image = self.oracles.evaluate("hvp", self.x, self.y, v)
        if size == 0.0:
            return image
        unit, scaled = v / size, image / size
        if self.probe is not None:
            u, hu, size_hu = self.probe
            gap = abs(float(u @ scaled - unit @ hu))
            if gap > SYMMETRY * (norm(scaled) + size_hu):
                raise ValueError(f"hvp must be symmetric: for two unit vectors <u, Hv> and <v, Hu> are {gap:.3g} apart")
        curvature = float(unit @ scaled)
        if curvature + self.damping <= 0.0:
            _refuse(curvature, self.damping)
        self.vectors.append(unit)
        self.images.append(scaled)
        return image

    def product(self, v: Floats) -> Floats:
        """(H + damping I) v, counted."""
        self.products += 1
        flat = np.array(v, dtype=np.float64).ravel()
        return self.hessian(flat) + self.damping * flat

    def left(self, z: Floats) -> Floats:
        """(H + damping I) z - b, not counted: for judging a solution."""
        return self.hessian(z) + self.damping * z - self.b

    def smallest(self) -> float:
        """Smallest eigenvalue of H; a Ritz value, at least that, where the matrix is unknown."""
        if self.eigenvalues is not None:
            return float(self.eigenvalues[0])
        left, sizes, basis = np.linalg.svd(np.array(self.vectors), full_matrices=False)
        keep = sizes > 1e-5 * sizes[0]  # directions that rounding made up are dropped
        images = (left[:, keep].T @ np.array(self.images)) / sizes[keep, None]
        return float(np.linalg.eigvalsh((images @ basis[keep].T + basis[keep] @ images.T) / 2.0)[0])


def _refuse(curvature: float, damping: float) -> None:
    advice = "" if damping else ", or damp it"
    raise ValueError(
        f"hvp must be positive definite{f' with damping {damping:g}' if damping else ''}, got a direction of curvature "
        f"{curvature:.3g}: g must be strongly convex in y{advice}"
    )


def _solve(system: _System, asked: _Asked, z: Floats) -> Floats:
    from scipy.sparse.linalg import LinearOperator

    dim, solver, limit = len(z), asked.solver, asked.limit
    operator = LinearOperator((dim, dim), matvec=system.product, rmatvec=system.product, dtype=np.float64)
    if callable(solver):
        found = solver(operator, system.b.copy(), z.copy(), asked.rtol)
        if isinstance(found, tuple) and any(np.ndim(part) for part in found):
            raise OracleError(f"solver must return z alone, got a tuple of {len(found)}")
        return finite("solver", returned("solver", found, dim))
    if solver == "direct":
        return _direct(system)
    if solver == "neumann":
        return _neumann(system, z, asked.rtol, limit or 10_000)
    return _cg(system, operator, z, asked.rtol, limit or 10 * dim + 100)


def _cg(system: _System, operator: Any, z: Floats, rtol: float, limit: int) -> Floats:
    from scipy.sparse.linalg import cg

    end = system.products + limit
    for _ in range(3):  # its own residual drifts from the true one: go on from where that is still too large
        z, info = cg(operator, system.b, x0=z, rtol=rtol, atol=0.0, maxiter=end - system.products)
        if info != 0 or system.products >= end or norm(system.left(z)) <= rtol * norm(system.b):
            break
    return np.array(z)


def _direct(system: _System) -> Floats:
    dim = len(system.b)
    matrix = np.array([system.product(unit) for unit in np.eye(dim)]).T
    gap, size = float(np.abs(matrix - matrix.T).max()), float(np.abs(matrix).max())
    if gap > SYMMETRY * size:
        raise ValueError(f"hvp must be symmetric: two entries of H that should be equal are {gap:.3g} apart")
    damped = np.linalg.eigvalsh(matrix)
    system.eigenvalues = damped - system.damping
    if damped[0] <= dim * np.finfo(float).eps * abs(damped[-1]):
        _refuse(float(system.eigenvalues[0]), system.damping)
    return np.linalg.solve(matrix, system.b)


def _neumann(system: _System, z: Floats, rtol: float, limit: int) -> Floats:
    v = np.array(system.images[0])  # of the random probe
    for _ in range(20):
        v = system.product(v / norm(v))
    rate = 1.0 / norm(v)
    z, goal = z.copy(), 0.5 * rtol * norm(system.b)  # half: room for the drift of the residual
    left = system.b - system.product(z)
    for _ in range(limit):
        size = norm(left)
        if size <= goal:
            break
        image = system.product(left)
        while norm(left - rate * image) > size:  # more than 2 / L: the power iterations fell short
            rate /= 2.0
        z += rate * left
        left = left - rate * image
    return z


def _result(system: _System, gx: Floats, z: Floats, asked: _Asked, slack: float) -> Hypergradient:
    left, size, dense = system.left(z), norm(system.b), asked.solver == "direct"
    residual = norm(left) / size if size else 0.0
    bound = _error_bound(system, asked, system.unit * norm(left - system.damping * z), slack, dense)
    z = system.unit * z
    value = gx - system.oracles.evaluate("cvp", system.x, system.y, z)
    exact = dense or size == 0.0
    if residual <= asked.rtol:
        status = Status.EXACT if exact else Status.CONVERGED
    else:
        status = Status.ROUNDING if exact else Status.NOT_CONVERGED
    for array in (value, z, system.y):
        array.setflags(write=False)
    return Hypergradient(value, z, system.y, residual, bound, system.products, status)


def _error_bound(system: _System, asked: _Asked, left: float, slack: float, dense: bool) -> float:
    """The statement of the module; a term whose residual is 0 needs no constant."""
    if left == 0.0 and slack == 0.0:
        return 0.0
    lowest, mu, cross, slope = system.smallest(), asked.mu, asked.cross, asked.slope
    if mu is not None and mu > lowest + 1e-6 * abs(lowest):
        raise ValueError(f"mu must be at most the smallest eigenvalue of H, which is at most {lowest:.6g}, got {mu!r}")
    if slack > 0.0 and (mu is None or slope is None):  # H at y says nothing of H between y and y*
        return math.inf
    mu = lowest if mu is None else mu
    if mu <= 0.0:
        return math.inf
    if left > 0.0 and cross is None:
        cross = _cross_norm(system, dense)
    return left / mu * (cross or 0.0) + slack / mu * (slope or 0.0)


def _cross_norm(system: _System, dense: bool) -> float:
    dim = len(system.y)
    if dense:
        return float(np.linalg.norm([system.oracles.evaluate("cvp", system.x, system.y, v) for v in np.eye(dim)], 2))
    # the largest singular direction has a normal weight w, and P(|w| <= sqrt(pi/2) / 10) <= 1/10
    probes = np.random.default_rng(0).normal(size=(PROBES, dim))
    images = [norm(system.oracles.evaluate("cvp", system.x, system.y, v)) for v in probes]
    return 10.0 * math.sqrt(2.0 / math.pi) * max(images)
