"""The oracles of a user's problem in the form that the loops call."""

from typing import Any

import numpy as np

from pessimism._draw import Floats
from pessimism.bilevel.problem import OracleError, checked


class PlainOracles:
    """The oracles of a user's problem in the form of the compiled ones: they write into `out`.

    A sample is named by a ticket, a whole number from which a Generator draws the handle: the same ticket is the same
    sample, for whatever `sample` returns.
    """

    def __init__(self, problem: Any) -> None:
        self.problem = problem
        self.shapes = {"grad_g": problem.dim_y, "grad_gx": problem.dim_x, "hvp": problem.dim_y, "cvp": problem.dim_x}

    def handle(self, rows: Any, level: str) -> Any:
        if len(rows) == 0:
            return None
        return self.problem.sample(np.random.default_rng(int(rows[0])), level)

    def grad_f(self, reals: Any, sizes: Any, x: Floats, y: Floats, v: Floats, rows: Any, out: Floats) -> None:
        pair = self.problem.grad_f(x.copy(), y.copy(), self.handle(rows, "f"))
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise OracleError(f"grad_f must return a pair of gradients, in x and in y, got {type(pair).__name__}")
        out[: len(x)] = checked("grad_f in x", pair[0], len(x))
        out[len(x) :] = checked("grad_f in y", pair[1], len(y))

    def grad_g(self, reals: Any, sizes: Any, x: Floats, y: Floats, v: Floats, rows: Any, out: Floats) -> None:
        out[:] = checked("grad_g", self.problem.grad_g(x.copy(), y.copy(), self.handle(rows, "g")), len(y))

    def grad_gx(self, reals: Any, sizes: Any, x: Floats, y: Floats, v: Floats, rows: Any, out: Floats) -> None:
        out[:] = checked("grad_gx", self.problem.grad_gx(x.copy(), y.copy(), self.handle(rows, "g")), len(x))

    def hvp(self, reals: Any, sizes: Any, x: Floats, y: Floats, v: Floats, rows: Any, out: Floats) -> None:
        out[:] = checked("hvp", self.problem.hvp(x.copy(), y.copy(), v.copy(), self.handle(rows, "g")), len(y))

    def cvp(self, reals: Any, sizes: Any, x: Floats, y: Floats, v: Floats, rows: Any, out: Floats) -> None:
        out[:] = checked("cvp", self.problem.cvp(x.copy(), y.copy(), v.copy(), self.handle(rows, "g")), len(x))

    def project(self, reals: Any, sizes: Any, x: Floats, y: Floats, v: Floats, rows: Any, out: Floats) -> None:
        allowed = self.problem.project_x(v.copy()) if hasattr(self.problem, "project_x") else v
        out[:] = checked("project_x", allowed, len(x))
