r"""An interior-point method for optimal designs and cheapest purchases.

With shares or samples :math:`x \ge 0`, heads W and functionals C, both minimise a smooth convex function of x made of

.. math::
    \varphi(x) = \mathrm{tr}\, C^\top M(x)^{-1} C, \qquad M(x) = W \mathrm{diag}(x) W^\top, \qquad
    \partial_m \varphi = -\|C^\top M^{-1} w_m\|^2 .

The second derivatives are closed forms, so that a primal-dual Newton method ends in a dozen steps with a relative gap
near rounding; conic programs for the same functions ended with gaps of 1e-6 to 5e-5. Convergence is never assumed:
every caller computes the gap again from the answer.
"""

from collections.abc import Callable

import numpy as np

from pessimism._types import Floats

GOAL = 1e-10
"""Relative gap at which the iterations stop."""

TOLERANCE = 1e-6
"""Largest relative gap of a design or a convex purchase that is returned; about 1e-9 is usual."""

STEPS = 100
"""Largest number of Newton steps; about fifteen are usual."""

Local = Callable[[Floats], tuple[float, Floats, Floats]]
"""Relative gap, gradient and matrix of second derivatives of a convex function at a point."""


def minimise(local: Local, floors: Floats, slack: Floats, *, total: bool) -> Floats:
    """Minimise over x >= floors, with sum(x) held constant if `total`; return x - floors at the point of least gap.

    `slack` is the start x - floors, positive. The iterations keep x - floors itself, which may be too small to show in
    x.
    """
    best, least = slack, np.inf
    multipliers, length = None, 0.0
    with np.errstate(all="ignore"):  # a value that is not finite ends the loop
        for _ in range(STEPS):
            try:
                gap, gradient, curvature = local(floors + slack)
                if gap < least:
                    best, least = slack, gap
                if multipliers is None:
                    multipliers = gradient - gradient.min() + 0.5 * np.abs(gradient).max()
                centring = 0.1 if length > 0.9 else 0.8  # after a short step, back towards the central path
                barrier = centring * (slack @ multipliers) / len(slack)
                scale = np.sqrt(multipliers / slack)[:, None]  # unbounded near the solution: divided out
                right = np.stack([barrier / slack - gradient, np.ones(len(slack))], axis=1) / scale
                step, shift = (np.linalg.solve(curvature / (scale * scale.T) + np.eye(len(slack)), right) / scale).T
            except np.linalg.LinAlgError:  # too close to the boundary for float64
                break
            if total:
                step = step - shift * (step.sum() / shift.sum())
            change = barrier / slack - multipliers - multipliers / slack * step
            lengths = _length(slack, step), _length(multipliers, change)
            slack, multipliers, length = slack + lengths[0] * step, multipliers + lengths[1] * change, min(lengths)
            if least < GOAL or not np.isfinite(slack + multipliers).all():
                break
    return best


def _length(point: Floats, step: Floats) -> float:
    """The largest part of the step, at most 1, that keeps the point positive, with a margin."""
    return min(1.0, 0.99 / max(float((-step / point).max()), 0.5))


def root(rows: Floats, x: Floats) -> Floats:
    """R (n, n) with R'R = M(x)^-1, by QR with pivoting: accurate for shares of very different sizes."""
    from scipy.linalg import qr

    basis, triangle, _ = qr(rows * np.sqrt(x), mode="economic", pivoting=True, check_finite=False)
    lengths = np.diagonal(triangle)[:, None]
    left, sizes, _ = np.linalg.svd(triangle / lengths, full_matrices=False)  # without the grading of the shares
    return np.asarray((left.T @ (basis.T / lengths)) / sizes[:, None])


def information(rows: Floats, functionals: Floats, x: Floats) -> tuple[Floats, Floats, Floats]:
    """M(x)^-1 C (n, p), the slopes -(d/dx) of tr C'M(x)^-1 C (M), and its second derivatives (M, M)."""
    half = root(rows, x)
    points = half.T @ (half @ functionals)
    effects, spread = rows.T @ points, half @ rows
    cross = effects @ effects.T
    return points, np.diagonal(cross), 2.0 * cross * (spread.T @ spread)
