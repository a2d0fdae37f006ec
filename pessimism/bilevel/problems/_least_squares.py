"""Training and validation rows with squared losses, compressed: Gram matrices for the oracles, R for closed forms.

A Gram matrix squares the condition of its rows. With [X, b] / sqrt(n) = Q [R, c] nothing is squared: the mean squared
error is |R theta - c|^2, its last row what no theta can explain, and a ridge regression is least squares on the rows of
R and those of the penalty.
"""

from dataclasses import dataclass

import numpy as np

from pessimism import _check
from pessimism._types import Floats, Ints
from pessimism.bilevel.problems._closed_form import ClosedForm, Rows, pack

DEPENDENT = 1e-14
"""A column is a combination of others if this share of its length or less is left without them: that is rounding."""


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class LeastSquares(ClosedForm):
    """Rows of both levels, X'X/n and X'b/n of each, from which exact oracles work, and (R, c), for closed forms."""

    inputs: Floats
    outputs: Floats
    validation_inputs: Floats
    validation_outputs: Floats
    rho: float
    grams: Floats
    moments: Floats
    reduced: tuple[tuple[Floats, Floats], ...]

    def _build(self, data: Rows, rho: float, damping: float, batch: int, dim_x: int, dim_y: int) -> None:
        x, b, xv, bv = data
        p, rho = x.shape[1], _check.nonnegative("rho", rho)
        pairs = ((x, b), (xv, bv))
        grams = np.array([rows.T @ rows / len(rows) for rows, _ in pairs])
        moments = np.array([rows.T @ outputs / len(rows) for rows, outputs in pairs])
        reduced = tuple(triangle(*pair) for pair in pairs)
        names = ("inputs", "outputs", "validation_inputs", "validation_outputs", "grams", "moments", "reduced")
        fields = dict(zip(names, (*data, grams, moments, reduced), strict=True))
        parts: list[Floats | float] = [rho, damping, grams[0], moments[0], x, b, grams[1], moments[1], xv, bv]
        counts = {"n_samples": len(x), "n_samples_f": len(xv), "batch": _check.whole("batch", batch, low=1)}
        sizes = [dim_x, dim_y, p, len(x), len(xv)]
        pack(self, parts, sizes, rho=rho, dim_x=dim_x, dim_y=dim_y, **fields, **counts)

    def _loss(self, theta: Floats, validation: bool, rows: Ints | None) -> float:
        """Half the mean squared error of coefficients of the inputs."""
        if rows is None:
            r, c = self.reduced[int(validation)]
            gap = r @ theta - c
            return float(0.5 * gap @ gap)
        x, b = (self.validation_inputs, self.validation_outputs) if validation else (self.inputs, self.outputs)
        return float(0.5 * np.mean((x[rows] @ theta - b[rows]) ** 2))

    def _slope(self, theta: Floats, validation: bool) -> Floats:
        r, c = self.reduced[int(validation)]
        return np.asarray(r.T @ (r @ theta - c))


def triangle(inputs: Floats, outputs: Floats) -> tuple[Floats, Floats]:
    """R and c of the module, of independent rows: where columns depend on each other there are fewer than columns."""
    from scipy.linalg import qr

    lengths = np.sqrt((inputs**2).sum(axis=0))
    lengths[lengths == 0.0] = 1.0
    table: Floats = np.asarray(np.linalg.qr(np.column_stack([inputs / lengths, outputs]), mode="r"))
    q, r, pivots = qr(table[:, :-1], pivoting=True)
    rank, turned = int((np.abs(np.diag(r)) > DEPENDENT).sum()), q.T @ table[:, -1]
    reduced = np.zeros((rank + 1, inputs.shape[1]))
    reduced[:rank, pivots] = r[:rank] * lengths[pivots]
    c = np.append(turned[:rank], np.sqrt((turned[rank:] ** 2).sum()))
    return reduced / np.sqrt(len(inputs)), c / np.sqrt(len(inputs))


class Stack:
    """T'T = diag(d)^2 + R'R with T from a QR factorisation of the stacked rows, by size, with column pivoting.

    So each row is as good as changed in its last bit, however small beside others (Cox and Higham, 1998): penalties of
    e^-50 decide where R says nothing, and e^50 hides nothing of R elsewhere.
    """

    def __init__(self, d: Floats, rows: Floats) -> None:
        from scipy.linalg import lapack

        self.lapack = lapack
        stack = np.concatenate([np.diag(d), rows])
        self.order = np.argsort(-np.abs(stack).max(axis=1), kind="stable")
        self.size = len(d)
        space = 35 * (self.size + 1)  # enough for blocks of 32 columns, ten times as fast where there are hundreds
        self.packed, pivots, self.reflectors, _, _ = lapack.dgeqp3(stack[self.order], lwork=space)
        self.pivots = pivots - 1

    def least_squares(self, right: Floats) -> Floats:
        """The w that is shortest in (d w, R w - right)."""
        stacked = np.concatenate([np.zeros(self.size), right])[self.order, None]
        turned = self.lapack.dormqr("L", "T", self.packed, self.reflectors, stacked, 64)[0]
        return self.back(turned[: self.size, 0])

    def forward(self, right: Floats) -> Floats:
        """T'^-1 right."""
        return self._triangular(right[self.pivots], 1)

    def back(self, right: Floats) -> Floats:
        """T^-1 right."""
        solution = np.empty_like(right)
        solution[self.pivots] = self._triangular(right, 0)
        return solution

    def _triangular(self, right: Floats, transposed: int) -> Floats:
        solution, singular = self.lapack.dtrtrs(self.packed[: self.size], right, trans=transposed)
        return np.full_like(right, np.nan) if singular else np.asarray(solution)


def regression(generator: np.random.Generator, n: int, theta: Floats, noise: float) -> tuple[Floats, Floats]:
    """Standard normal rows and their noisy outputs."""
    inputs = generator.standard_normal((n, len(theta)))
    return inputs, inputs @ theta + noise * generator.standard_normal(n)
