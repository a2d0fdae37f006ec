"""The solvers' loops, compiled for built-in problems and as plain Python for users' own; one source for both."""

import importlib
from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

import numpy as np

from pessimism._draw import Floats
from pessimism.bilevel._plain_oracles import PlainOracles
from pessimism.bilevel.problem import KINDS

TICKETS = 2**53
"""Samples of a user's problem are named by a whole number below this."""

ORACLES = ("grad_f", "grad_g", "hvp", "cvp", "grad_gx")


@cache
def plain(module: str = "_kernels") -> dict[str, Any]:
    """The functions of a file of kernels, uncompiled and calling each other uncompiled."""
    kernels = vars(importlib.import_module(f"pessimism.bilevel.{module}"))
    space: dict[str, Any] = dict(kernels)
    for name, function in kernels.items():
        if hasattr(function, "py_func"):
            space[name] = FunctionType(function.py_func.__code__, space, name)
    return space


class Machine:
    """Oracles, counters and stream of one run: what a loop needs besides its state."""

    def __init__(self, problem: Any, budget: float, costs: Floats, rng: np.random.Generator, exact: bool) -> None:
        self.meter = np.array([budget, 0.0, *costs])
        self.calls = np.zeros(len(KINDS), np.int64)
        compiled = hasattr(problem, "kernels") and not hasattr(problem, "project_x")
        self.functions: Callable[..., Any] = self._compiled if compiled else self._plain
        if compiled:
            self.oracles = (*problem.kernels, self._compiled("stay"))
            levels = [problem.n_samples_f, problem.batch, problem.n_samples, problem.batch]
            reals, sizes = problem.reals, problem.sizes
        else:
            own = PlainOracles(problem)
            self.oracles = (*(getattr(own, name) for name in ORACLES), own.project)
            levels = [TICKETS, 1, TICKETS, 1]
            reals, sizes = np.empty(0), np.empty(0, np.int64)
        if exact or not hasattr(problem, "sample"):
            levels = [0, 0, 0, 0]
        self.world = (reals, sizes, np.array(levels, np.int64), self.meter, self.calls, rng)

    @staticmethod
    def _compiled(name: str, file: str = "_kernels") -> Any:
        return getattr(importlib.import_module(f"pessimism.bilevel.{file}"), name)

    @staticmethod
    def _plain(name: str, file: str = "_kernels") -> Any:
        return plain(file)[name]

    def run(self, loop: str, file: str, state: tuple[Any, ...], options: Floats, start: int, steps: int) -> int:
        """Outer steps of a loop; how many were completed."""
        with np.errstate(all="ignore"):  # a diverging run ends with a status
            return int(self.functions(loop, file)(*self.oracles, self.world, *state, options, start, steps))

    def spent(self, needs: tuple[str, ...]) -> bool:
        """Whether the budget may have refused a call of one of these kinds."""
        dearest = max(self.meter[2 + KINDS.index(kind)] for kind in needs)
        return bool(self.meter[1] + dearest > self.meter[0])

    def curvature(self, x: Floats, y: Floats, iterations: int = 10) -> float:
        """Largest eigenvalue of the Hessian of g in y, from below, by power iterations that are counted."""
        ask, kind = plain()["ask"], plain()["H"]  # compiled for oracles of their own types, it is not read from disk
        v, product = np.ones(len(y)) / np.sqrt(len(y)), np.empty(len(y))
        largest = 0.0
        for _ in range(iterations):
            if not ask(self.oracles[2], kind, self.world, x, y, v, product):
                break
            largest = float(np.linalg.norm(product))
            if not 0.0 < largest < np.inf:
                break
            v = product / largest
        return largest
