"""The oracles of a user's problem in the form that the loops call."""

from typing import Any

import numpy as np

from pessimism._types import Floats
from pessimism.bilevel.problem import checked, has, pair


class Reader:
    """Reads what oracles return, and remembers where a number was first not finite."""

    def __init__(self) -> None:
        self.fault = ""

    def read(self, name: str, value: Any, size: int) -> Floats:
        array = checked(name, value, size)
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
