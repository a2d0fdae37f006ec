"""Training and validation rows with logistic losses, and damped Newton steps on the lower level: what two share."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from pessimism import _check
from pessimism._status import ConvergenceError
from pessimism._types import Floats, Ints
from pessimism.bilevel.problems._closed_form import ClosedForm, Data, Rows, clean_rows, pack, sigmoid, solve

STEPS = 1000
"""Newton steps at most. Ten are usual; separable rows with a small penalty take one for each unit of the margin."""

ROUNDING = 1e-12
"""A gradient counts as 0 below this, relative to the sizes of the terms that it is the sum of."""


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class Logistic(ClosedForm):
    """Labelled rows of both levels, `rows` and `validation_rows` times their labels, and the mean upper loss."""

    inputs: Floats
    labels: Floats
    validation_inputs: Floats
    validation_labels: Floats
    rho: float
    rows: Floats
    validation_rows: Floats

    def _build(self, data: Rows, dim_x: int, numbers: list[float], sizes: list[int], batch: int) -> None:
        """Pack `numbers`, of which rho is the last, and both tables of rows."""
        a, b, av, bv = data
        rows, validation_rows = b[:, None] * a, bv[:, None] * av
        names = ("inputs", "labels", "validation_inputs", "validation_labels", "rows", "validation_rows")
        fields = dict(zip(names, (*data, rows, validation_rows), strict=True))
        counts = {"n_samples": len(a), "n_samples_f": len(av), "batch": _check.whole("batch", batch, low=1)}
        parts: list[Floats | float] = [*numbers, rows, validation_rows]
        pack(self, parts, sizes, dim_x=dim_x, dim_y=a.shape[1], rho=numbers[-1], **fields, **counts)

    @abstractmethod
    def _weights(self, x: Floats) -> tuple[Floats, Floats]:
        """Of the losses of the rows and of y_j^2 / 2 in the lower level."""

    def _derivatives(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Gradient and Hessian of the lower level in y."""
        (weights, penalties), wrong = self._weights(x), sigmoid(-(self.rows @ y))
        hessian = (self.rows.T * (weights * wrong * (1.0 - wrong))) @ self.rows
        return penalties * y - (weights * wrong) @ self.rows, hessian + np.diag(penalties)

    def _solved(self, x: Floats, y: Floats, gradient: Floats) -> bool:
        """Whether the gradient is as small beside its terms as rounding of theirs and of the margins allows."""
        (weights, penalties), rows = self._weights(x), np.abs(self.rows)
        terms = (weights * sigmoid(-(self.rows @ y)) * (1.0 + rows @ np.abs(y))) @ rows + penalties * np.abs(y)
        return bool((np.abs(gradient) <= ROUNDING * terms).all())

    def _f(self, x: Floats, y: Floats, rows: Ints | None) -> float:
        z = self.validation_rows if rows is None else self.validation_rows[rows]
        return float(np.logaddexp(0.0, -(z @ y)).mean() + 0.5 * self.rho * x @ x)

    def _system(self, x: Floats, y: Floats) -> Floats:
        """Solution z of H z = f_y."""
        wrong = sigmoid(-(self.validation_rows @ y))
        return solve(self._derivatives(x, y)[1], -(wrong @ self.validation_rows) / len(wrong))

    def _solve(self, x: Floats) -> Floats:
        y, value = np.zeros(self.dim_y), self._g(x, np.zeros(self.dim_y), None)
        polish = 0
        for _ in range(STEPS):
            gradient, hessian = self._derivatives(x, y)
            if polish >= 3 and self._solved(x, y, gradient):
                return y
            step = solve(hessian, gradient)
            fall, length = float(gradient @ step), 1.0
            if not np.isfinite(value + fall):
                return np.full(self.dim_y, np.nan)
            if fall <= 1e-10 * value:  # too little for the value to guide; mostly two more steps reach rounding
                y, polish = y - step, polish + 1
                continue
            while self._g(x, y - length * step, None) > value - 0.25 * length * fall and length > 1e-10:
                length *= 0.5
            y = y - length * step
            value = self._g(x, y, None)
        raise ConvergenceError(f"the lower level was not solved in {STEPS} Newton steps", y)


def clean_labelled(data: Data) -> Rows:
    """Rows and labels whose shapes fit together."""
    rows = clean_rows(data, "labels")
    for name, labels in (("labels", rows[1]), ("validation_labels", rows[3])):
        _check.require(name, labels, np.abs(labels) == 1.0, "-1 or 1")
    return rows
