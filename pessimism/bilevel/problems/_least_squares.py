"""Training and validation rows with squared losses, and their Gram matrices: what P3 and P5 share."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._draw import Floats, Ints
from pessimism.bilevel.problems._closed_form import ClosedForm, matrix, not_negative, pack, vector

Data = tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike]


@dataclass(frozen=True, slots=True, eq=False, init=False)
class LeastSquares(ClosedForm):
    """Rows of both levels, and X'X/n, X'b/n, b'b/n of each, from which exact oracles work."""

    inputs: Floats
    outputs: Floats
    validation_inputs: Floats
    validation_outputs: Floats
    rho: float
    grams: Floats
    moments: Floats
    squares: Floats

    def _build(self, data: Data, rho: float, damping: float, batch: int, dim_x: int, dim_y: int) -> None:
        x, b, xv, bv = data = checked(data)
        p, rho = x.shape[1], not_negative("rho", rho)
        pairs = ((x, b), (xv, bv))
        grams = np.array([rows.T @ rows / len(rows) for rows, _ in pairs])
        moments = np.array([rows.T @ outputs / len(rows) for rows, outputs in pairs])
        squares = np.array([outputs @ outputs / len(outputs) for _, outputs in pairs])
        names = ("inputs", "outputs", "validation_inputs", "validation_outputs", "grams", "moments", "squares")
        fields = dict(zip(names, (*data, grams, moments, squares), strict=True))
        parts: list[Floats | float] = [rho, damping, grams[0], moments[0], x, b, grams[1], moments[1], xv, bv]
        counts = {"n_samples": len(x), "n_samples_f": len(xv), "batch": _check.whole("batch", batch, low=1)}
        sizes = [dim_x, dim_y, p, len(x), len(xv)]
        pack(self, parts, sizes, rho=rho, dim_x=dim_x, dim_y=dim_y, **fields, **counts)

    def _loss(self, theta: Floats, validation: bool, rows: Ints | None) -> float:
        """Half the mean squared error of coefficients of the inputs."""
        if rows is None:
            k = int(validation)
            return float(0.5 * (theta @ self.grams[k] @ theta - 2.0 * self.moments[k] @ theta + self.squares[k]))
        x, b = (self.validation_inputs, self.validation_outputs) if validation else (self.inputs, self.outputs)
        return float(0.5 * np.mean((x[rows] @ theta - b[rows]) ** 2))

    def _slope(self, theta: Floats, validation: bool) -> Floats:
        k = int(validation)
        return np.asarray(self.grams[k] @ theta - self.moments[k])


def checked(data: Data) -> tuple[Floats, Floats, Floats, Floats]:
    """Clean rows whose shapes fit together."""
    inputs = matrix("inputs", data[0], (None, None), "a row for each sample")
    outputs = vector("outputs", data[1], len(inputs), "an entry for each row of inputs")
    validation_inputs = matrix("validation_inputs", data[2], (None, inputs.shape[1]), "columns as inputs")
    what = "an entry for each row of validation_inputs"
    return inputs, outputs, validation_inputs, vector("validation_outputs", data[3], len(validation_inputs), what)


def regression(generator: np.random.Generator, n: int, theta: Floats, noise: float) -> tuple[Floats, Floats]:
    """Standard normal rows and their noisy outputs."""
    inputs = generator.standard_normal((n, len(theta)))
    return inputs, inputs @ theta + noise * generator.standard_normal(n)
