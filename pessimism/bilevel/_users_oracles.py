"""The oracles of a user's problem: which there are, what they may return, and the form in which the loops call them."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats
from pessimism.bilevel.problem import OracleError

SYMMETRY = 1e-6
"""How far <u, Hv> and <v, Hu> may be apart, relative to the lengths of u, v and their images."""


def has(problem: Any, name: str) -> bool:
    """Whether a problem offers an oracle."""
    return callable(getattr(problem, name, None))


def require_oracles(problem: Any, names: tuple[str, ...], method: str) -> None:
    """Raise a TypeError for the first oracle that a method needs and the problem does not have."""
    for name in names:
        if not has(problem, name):
            raise TypeError(
                f"problem must have the oracle {name}, which {method} needs, and {type(problem).__name__} has none"
            )


def sizes(problem: Any) -> tuple[int, int]:
    """Lengths of x and of y."""
    for name in ("x", "y"):
        if not hasattr(problem, f"dim_{name}"):
            kind = problem.__name__ if isinstance(problem, type) else type(problem).__name__
            raise TypeError(f"problem must have dim_{name}, the length of {name}, and {kind} has none")
    if isinstance(problem, type):
        raise TypeError(f"problem must be an object, got the class {problem.__name__}: make an instance of it")
    return _check.whole("problem.dim_x", problem.dim_x, low=1), _check.whole("problem.dim_y", problem.dim_y, low=1)


def point(name: str, value: ArrayLike, length: int) -> Floats:
    """A user's point as a read-only vector of finite numbers."""
    array = _check.real_array(name, value)
    if array.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},), got {array.shape}")
    return array


def returned(name: str, value: Any, length: int) -> Floats:
    """What an oracle returned, as a vector of numbers; infinities and NaN pass, since a run may diverge."""
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


def finite(name: str, array: Floats) -> Floats:
    """The array, if all of it is finite."""
    if not np.isfinite(array).all():
        entry = int(np.argmin(np.isfinite(array)))
        raise OracleError(f"{name} must return finite numbers, got {array[entry].item()!r}")
    return array


def pair(value: Any) -> tuple[Any, Any]:
    """What `grad_f` returned: the gradient in x and the gradient in y."""
    if not isinstance(value, tuple) or len(value) != 2:
        raise OracleError(f"grad_f must return a pair of gradients, in x and in y, got {type(value).__name__}")
    return value


class Reader:
    """Reads what oracles return, and remembers where a number was first not finite."""

    def __init__(self) -> None:
        self.fault = ""

    def read(self, name: str, value: Any, size: int) -> Floats:
        array = returned(name, value, size)
        if not self.fault and not np.isfinite(array).all():
            first = int(np.argmin(np.isfinite(array)))
            self.fault = f"; the first number that is not came from {name}, entry {first}: {array[first]}"
        return array


class PlainOracles(Reader):
    """The oracles of a user's problem in the form of the compiled ones: they write into `out`.

    A sample is named by a ticket, a whole number from which a Generator draws the handle: the same ticket is the same
    sample, for whatever `sample` returns.
    """

    def __init__(self, problem: Any) -> None:
        super().__init__()
        self.problem = problem

    def handle(self, rows: Any, level: str) -> Any:
        if len(rows) == 0:
            return None
        return self.problem.sample(np.random.default_rng(int(rows[0])), level)

    def grad_f(self, reals: Any, sizes: Any, x: Floats, y: Floats, v: Floats, rows: Any, out: Floats) -> None:
        gx, gy = pair(self.problem.grad_f(x.copy(), y.copy(), self.handle(rows, "f")))
        out[: len(x)] = self.read("grad_f in x", gx, len(x))
        out[len(x) :] = self.read("grad_f in y", gy, len(y))

    def grad_g(self, reals: Any, sizes: Any, x: Floats, y: Floats, v: Floats, rows: Any, out: Floats) -> None:
        out[:] = self.read("grad_g", self.problem.grad_g(x.copy(), y.copy(), self.handle(rows, "g")), len(y))

    def grad_gx(self, reals: Any, sizes: Any, x: Floats, y: Floats, v: Floats, rows: Any, out: Floats) -> None:
        out[:] = self.read("grad_gx", self.problem.grad_gx(x.copy(), y.copy(), self.handle(rows, "g")), len(x))

    def hvp(self, reals: Any, sizes: Any, x: Floats, y: Floats, v: Floats, rows: Any, out: Floats) -> None:
        out[:] = self.read("hvp", self.problem.hvp(x.copy(), y.copy(), v.copy(), self.handle(rows, "g")), len(y))

    def cvp(self, reals: Any, sizes: Any, x: Floats, y: Floats, v: Floats, rows: Any, out: Floats) -> None:
        out[:] = self.read("cvp", self.problem.cvp(x.copy(), y.copy(), v.copy(), self.handle(rows, "g")), len(x))

    def project(self, reals: Any, sizes: Any, x: Floats, y: Floats, v: Floats, rows: Any, out: Floats) -> None:
        out[:] = (
            self.read("project_x", self.problem.project_x(v.copy()), len(x)) if has(self.problem, "project_x") else v
        )

    def evaluate(self, name: str, x: Floats, y: Floats, v: Floats | None = None, rows: tuple[int, ...] = ()) -> Floats:
        """What an oracle returns, as a new array of finite numbers; of `grad_f` both gradients, one after the other."""
        dx, dy = len(x), len(y)
        out = np.empty({"grad_f": dx + dy, "cvp": dx, "grad_gx": dx}.get(name, dy))
        getattr(self, name)(np.empty(0), np.empty(0, np.int64), x, y, y if v is None else v, rows, out)
        half = {True: " in x", False: " in y"}[bool(np.isfinite(out[dx:]).all())] if name == "grad_f" else ""
        return finite(name + half, out)
