"""The oracles of a user's problem: which there are, what they may return, and the form in which the loops call them."""

from collections.abc import Callable
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


def dimensions(problem: Any) -> tuple[int, int]:
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


class PlainOracles:
    """The oracles of a user's problem: what they return is checked, and where it is first not finite is remembered.

    In a loop a sample is named by a ticket, a whole number that seeds the Generator of its handle. The handle is drawn
    when an oracle first needs it and then handed to every other oracle that shares the sample, until `forget`.
    """

    def __init__(self, problem: Any) -> None:
        self.problem, self.fault = problem, ""
        self.dim_x, self.dim_y = dimensions(problem)
        self._handles: dict[tuple[str, int], Any] = {}

    def draw(self, ticket: int, level: str) -> Any:
        return self.problem.sample(np.random.default_rng(ticket), level)

    def handle(self, rows: Any, level: str) -> Any:
        """That of the sample with this ticket; None without one, which is exact."""
        if len(rows) == 0:
            return None
        key = level, int(rows[0])
        if key not in self._handles:
            self._handles[key] = self.draw(key[1], level)
        return self._handles[key]

    def forget(self) -> None:
        """End an outer step: no sample is shared by two."""
        self._handles.clear()

    def read(self, name: str, value: Any, size: int) -> Floats:
        array = returned(name, value, size)
        if not self.fault and not np.isfinite(array).all():
            first = int(np.argmin(np.isfinite(array)))
            self.fault = f"; the first number that is not came from {name}, entry {first}: {array[first]}"
        return array

    def call(self, kind: str, x: Floats, y: Floats, v: Floats | None, s: Any) -> Floats:
        """What an oracle returns, as a new array; of `grad_f` both gradients, one after the other."""
        factor = (np.array(v),) if kind in ("hvp", "cvp") else ()
        found = getattr(self.problem, kind)(np.array(x), np.array(y), *factor, s)
        if kind == "grad_f":
            gx, gy = pair(found)
            return np.concatenate([self.read("grad_f in x", gx, self.dim_x), self.read("grad_f in y", gy, self.dim_y)])
        return self.read(kind, found, self.dim_x if kind in ("grad_gx", "cvp") else self.dim_y)

    def evaluate(self, kind: str, x: Floats, y: Floats, v: Floats | None = None, rows: tuple[int, ...] = ()) -> Floats:
        """The same on the sample with a ticket, if all of it is finite."""
        found = self.call(kind, x, y, v, self.handle(rows, "f" if kind == "grad_f" else "g"))
        if kind != "grad_f":
            return finite(kind, found)
        finite("grad_f in x", found[: len(x)])
        finite("grad_f in y", found[len(x) :])
        return found

    def in_place(self, kind: str) -> Callable[..., None]:
        """An oracle that writes into `out`, as the compiled ones do; a user's problem is not packed into arrays."""
        level = "f" if kind == "grad_f" else "g"

        def oracle(reals: Any, sizes: Any, x: Floats, y: Floats, v: Floats, rows: Any, out: Floats) -> None:
            out[:] = self.call(kind, x, y, v, self.handle(rows, level))

        return oracle

    def project_x(self, x: Floats) -> Floats:
        """The allowed x nearest to x; x itself where the problem has no `project_x`."""
        if not has(self.problem, "project_x"):
            return x
        return self.read("project_x", self.problem.project_x(np.array(x)), self.dim_x)

    def project(self, reals: Any, sizes: Any, x: Floats, y: Floats, v: Floats, rows: Any, out: Floats) -> None:
        """The same, as the loops call it."""
        out[:] = self.project_x(v)
