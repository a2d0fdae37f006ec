r"""Rates and step schedules of bilevel methods, as functions to draw beside a run or to hand to one.

The problem is :math:`\min_x F(x) = f(x, y^*(x))` with :math:`y^*(x) = \arg\min_y g(x, y)`, g strongly convex in y with
modulus :math:`\mu`. What is bounded is the average of :math:`\|\nabla F(x_t)\|` over the trajectory, not the last one;
:math:`\varepsilon` is `eps`. The rates are orders: constants and logarithms are missing, so compare slopes, not levels.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats

__all__ = ["calls_lower_rate", "calls_rate", "drift", "noise_adaptive_rate", "theorem_schedule"]

POWERS: Mapping[str, int] = {"bo-rep": 4, "slip": 4, "accbo": 3}


def calls_rate(eps: ArrayLike, method: str = "bo-rep") -> Floats:
    r"""Order of the oracle calls until the average gradient is at most eps, under unbounded smoothness.

    Parameters
    ----------
    eps : (...) array_like of float
        :math:`\varepsilon`, positive.
    method : {"bo-rep", "slip", "accbo"}
        Whose theorem.

    Returns
    -------
    (...) float
        :math:`\varepsilon^{-4}`, for "accbo" :math:`\varepsilon^{-3}`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    See Also
    --------
    pessimism.bilevel.bounds.theorem_schedule : The steps with which the powers come.
    simulations.bilevel_rate : Draws calls beside both powers.

    Notes
    -----
    :math:`\tilde O(\varepsilon^{-4})` stochastic oracle calls for BO-REP and SLIP,
    :math:`\tilde O(\varepsilon^{-3})` for AccBO, where f is smooth relative to its own gradient, g is strongly
    convex and smooth, and the noise is bounded.

    :Status: published, as an order; read in the abstracts only.
    :Source: Hao, Gong, Liu (2024), arXiv:2401.09587 (BO-REP); Gong, Hao, Liu, ICML 2024 (SLIP); Gong, Hao, Liu (2024),
        arXiv:2409.19212 (AccBO).

    Examples
    --------
    >>> calls_rate([0.1, 0.01]).round().tolist(), calls_rate(0.1, "accbo").round().item()
    ([10000.0, 100000000.0], 1000.0)
    """
    e = _positive("eps", eps)
    with np.errstate(over="ignore"):  # infinite where float64 ends
        return e ** -float(POWERS[_check.choice("method", method, tuple(POWERS))])


def calls_lower_rate(eps: ArrayLike, condition: ArrayLike, *, noisy: bool = True) -> Floats:
    r"""Order of the oracle calls that every first-order method needs, f smooth.

    Parameters
    ----------
    eps : (...) array_like of float
        :math:`\varepsilon`, positive.
    condition : (...) array_like of float
        :math:`\kappa`, the condition number of the lower level, at least 1.
    noisy : bool
        Whether oracles are stochastic.

    Returns
    -------
    (...) float
        :math:`\kappa^{5/2}\varepsilon^{-4}` with noise, :math:`\kappa^{3/2}\varepsilon^{-2}` without.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    See Also
    --------
    pessimism.bilevel.bounds.calls_rate : What methods need, with products of second derivatives.

    Notes
    -----
    :math:`\Omega(\kappa^{3/2}\varepsilon^{-2})` calls for exact and :math:`\Omega(\kappa^{5/2}\varepsilon^{-4})` for
    stochastic gradient oracles, for zero-respecting methods and smooth f. The methods here, F2SA excepted, also
    use products with second derivatives, so the statement is not about them. Later work claims
    :math:`\Omega(\kappa^{5/2}\varepsilon^{-2})` for exact oracles (Chen and Zhang, arXiv:2511.22331).

    :Status: published, as an order; read in the abstract only.
    :Source: Ji (2025), arXiv:2511.19656.

    Examples
    --------
    >>> calls_lower_rate(0.1, 4.0).round().item(), calls_lower_rate(0.1, 4.0, noisy=False).round().item()
    (320000.0, 800.0)
    """
    e = _positive("eps", eps)
    kappa = _check.real_array("condition", condition, low=1.0)
    powers = (2.5, -4.0) if _check.flag("noisy", noisy) else (1.5, -2.0)
    _check.broadcast("eps and condition", e.shape, kappa.shape)
    with np.errstate(over="ignore"):
        return np.asarray(kappa ** powers[0] * e ** powers[1])


def noise_adaptive_rate(iterations: ArrayLike, noise: ArrayLike) -> Floats:
    r"""Order of the average gradient after T iterations of a method that need not know the noise.

    Parameters
    ----------
    iterations : (...) array_like of float
        T, at least 1.
    noise : (...) array_like of float
        :math:`\bar\sigma`, an upper bound on the noise of the gradients, at least 0.

    Returns
    -------
    (...) float
        :math:`T^{-1/2} + \bar\sigma^{1/2} T^{-1/4}`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    See Also
    --------
    pessimism.bilevel.bounds.calls_rate : Rates of methods whose steps know the noise.

    Notes
    -----
    :math:`\tilde O(1/\sqrt T + \sqrt{\bar\sigma}/T^{1/4})` for normalised momentum with steps that estimate the noise
    on the way, f smooth. No method of this package does so.

    :Status: published, as an order; read in the abstract only.
    :Source: *Adaptive algorithms with sharp convergence rates for stochastic hierarchical optimization* (2025),
        arXiv:2509.15399, where it is the rate of Ada-BiO.

    Examples
    --------
    >>> noise_adaptive_rate(10_000, [0.0, 1.0]).round(4).tolist()
    [0.01, 0.11]
    """
    t = _check.real_array("iterations", iterations, low=1.0)
    sigma = _check.real_array("noise", noise, low=0.0)
    _check.broadcast("iterations and noise", t.shape, sigma.shape)
    return np.asarray(t**-0.5 + sigma**0.5 * t**-0.25)


def drift(step: ArrayLike, *, cross: ArrayLike, modulus: ArrayLike) -> Floats:
    r"""How far the lower solution moves at most when x moves by a given length.

    Parameters
    ----------
    step : (...) array_like of float
        Length :math:`\eta` of the move of x, at least 0.
    cross : (...) array_like of float
        Largest norm of :math:`\nabla^2_{xy} g`, at least 0.
    modulus : (...) array_like of float
        :math:`\mu`, the modulus of strong convexity of g in y, positive.

    Returns
    -------
    (...) float
        :math:`\eta\, \|\nabla^2_{xy} g\| / \mu`.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    See Also
    --------
    pessimism.bilevel.problems.Quadratic : Attains it in the direction of the largest singular value.

    Notes
    -----
    :math:`\|y^*(x) - y^*(x')\| \le (\|\nabla^2_{xy} g\|/\mu)\, \|x - x'\|`: differentiate
    :math:`\nabla_y g(x, y^*(x)) = 0`. Normalised methods move by :math:`\eta` whatever the gradient, which is why
    y can keep up.

    :Status: derived; textbook.
    :Source: implicit function theorem.

    Examples
    --------
    >>> drift(0.1, cross=3.0, modulus=0.5).item()
    0.6000000000000001
    """
    eta = _check.real_array("step", step, low=0.0)
    top, mu = _check.real_array("cross", cross, low=0.0), _positive("modulus", modulus)
    _check.broadcast("step, cross and modulus", eta.shape, top.shape, mu.shape)
    with np.errstate(over="ignore"):
        return np.asarray(eta * top / mu)


def theorem_schedule(method: str, eps: float, *, scale: float = 1.0) -> dict[str, Any]:
    r"""Compute options of `minimize_bilevel` that shrink with eps as in the analysis of a method.

    Parameters
    ----------
    method : {"bo-rep", "slip", "accbo"}
        Name of the method.
    eps : float
        :math:`\varepsilon`, in [1e-150, 1]: the average gradient asked for, in units in which the problem's constants
        are 1.
    scale : float
        Factor of the step on x, positive: the theorems' constants, which depend on the problem.

    Returns
    -------
    dict
        ``step``, ``momentum`` and ``decay=0`` (a constant step), and for "bo-rep" the `period` of the lower updates.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    See Also
    --------
    pessimism.bilevel.minimize.minimize_bilevel : Takes them as options.
    pessimism.bilevel.bounds.calls_rate : The rate they lead to.

    Notes
    -----
    With noise of variance :math:`\sigma^2`, the momentum has :math:`1 - \beta = \Theta(\varepsilon^2/\sigma^2)`. A
    descent lemma for normalised momentum then asks for steps :math:`\eta = \Theta(\varepsilon^3)` (BO-REP, SLIP), and
    with the correction of AccBO :math:`\Theta(\varepsilon^2)`; some :math:`1/(\eta\varepsilon)` steps walk down a fixed
    gap, which gives the powers of `calls_rate`. The lower level may wait for
    :math:`\Theta(\varepsilon/\eta) = \Theta(\varepsilon^{-2})` steps, in which it drifts by :math:`\varepsilon`. All
    constants are 1 here, and no theorem is claimed for them.

    :Status: derived, as orders.
    :Source: our derivation; the papers' schedules have the same powers as far as abstracts and reviews tell.

    Examples
    --------
    >>> theorem_schedule("bo-rep", 0.5)
    {'step': 0.125, 'momentum': 0.75, 'decay': 0.0, 'period': 4}
    """
    name = _check.choice("method", method, tuple(POWERS))
    e = _check.between("eps", eps, 1.0 / _check.MAX_SIZE, 1.0)
    factor = _check.positive("scale", scale)
    options: dict[str, Any] = {
        "step": factor * e ** (POWERS[name] - 1.0),
        "momentum": 1.0 - e**2,
        "decay": 0.0,
    }
    if name == "bo-rep":
        options["period"] = max(1, round(e**-2))
    return options


def _positive(name: str, value: ArrayLike) -> Floats:
    array = _check.real_array(name, value, low=0.0)
    _check.require(name, array, array > 0.0, "positive")
    return array
