"""The solvers' loops, compiled for built-in problems and as plain Python for users' own; one source for both."""

import importlib
import math
import threading
from collections.abc import Callable, Mapping
from functools import cache
from types import FunctionType
from typing import Any

import numpy as np

from pessimism._types import Floats
from pessimism.bilevel._method import CURVATURE, Method
from pessimism.bilevel._plain_oracles import PlainOracles
from pessimism.bilevel.problem import KINDS, OracleError, has
from pessimism.bilevel.state import SolverState

TICKETS = 2**53
"""Samples of a user's problem are named by a whole number below this."""

BUDGET, SPENT, REFUSED = 0, 1, 2
"""Places of the meter, as the loops know them; costs follow."""

PIECE = 1000
"""Outer steps between two moments at which an interrupt is heard."""

COMPILING = threading.Lock()

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


@cache
def compiled(name: str, file: str = "_kernels") -> Any:
    """One loop, for oracles of any problem: compiled once, read from disk afterwards; other threads wait."""
    loop = getattr(importlib.import_module(f"pessimism.bilevel.{file}"), name)
    with COMPILING:
        if hasattr(loop, "compile") and not loop.signatures:
            loop.compile(importlib.import_module("pessimism.bilevel._kernels").LOOP)
            loop.disable_compile()
    return loop


class LoopRun:
    """A built-in method under way: oracles, counters, stream and state of one run."""

    def __init__(
        self, method: Method, problem: Any, state: SolverState, budget: float, costs: Floats, rng: np.random.Generator,
        *, exact: bool,
    ) -> None:  # fmt: skip
        self.method, self.state = method, state
        self.meter = np.array([budget, 0.0, 0.0, *costs])
        self.tally = np.zeros(len(KINDS), np.int64)
        self.own = None
        self.functions: Callable[..., Any] = self._plain
        levels = [TICKETS, 1, TICKETS, 1]
        reals, sizes = np.empty(0), np.empty(0, np.int64)
        if hasattr(problem, "compiled_oracles"):
            levels = [problem.n_samples_f, problem.batch, problem.n_samples, problem.batch]
            reals, sizes = problem.reals, problem.sizes
        if hasattr(problem, "compiled_oracles") and not has(problem, "project_x"):
            self.functions = self._compiled
            self.oracles = (*problem.compiled_oracles, self._compiled("stay"))
        else:
            self.own = PlainOracles(problem)
            five = getattr(problem, "compiled_oracles", None) or [getattr(self.own, name) for name in ORACLES]
            self.oracles = (*five, self.own.project)
        if exact or not has(problem, "sample"):
            levels = [0, 0, 0, 0]
        self.world = (reals, sizes, np.array(levels, np.int64), self.meter, self.tally, rng)
        self.numbers = np.empty(0)

    @staticmethod
    def _compiled(name: str, file: str = "_kernels") -> Any:
        return compiled(name, file)

    @staticmethod
    def _plain(name: str, file: str = "_kernels") -> Any:
        return plain(file)[name]

    @property
    def calls(self) -> dict[str, int]:
        return dict(zip(KINDS, self.tally.tolist(), strict=True))

    @property
    def cost(self) -> float:
        return float(self.meter[SPENT])

    @property
    def refused(self) -> bool:
        """Whether the budget did not hold a call."""
        return bool(self.meter[REFUSED])

    @property
    def fault(self) -> str:
        """Where a number that is not finite was first seen, if the oracles are a user's."""
        return self.own.fault if self.own is not None else ""

    def vectors(self) -> tuple[Floats, ...]:
        return (*self.state[:3], self.state.memory)

    def settle(self, settings: Mapping[str, float | str]) -> dict[str, float]:
        """Settings with the steps left open set to one over the estimated curvature; no steps where there is none."""
        curvature = self._curvature() if CURVATURE in settings.values() else 1.0
        if self.refused or not curvature < math.inf:
            return {}
        if not curvature > 0.0:
            raise OracleError(f"hvp must come from a positive definite Hessian, <v, Hv> of a unit v is {curvature}")
        settled = self.method.settled(settings, curvature)
        self.numbers = self.method.packed(settled)
        return settled

    def advance(self, steps: int) -> int:
        """Make steps; how many were completed: fewer at the end of the budget and after a divergence."""
        x, y, z, nit, memory = self.state
        loop = self.functions(self.method.loop, self.method.file)
        done = made = 0
        while done == made and done < steps and not self.refused and len(self.numbers):
            made = min(steps, done + PIECE)
            with np.errstate(all="ignore"):  # a diverging run ends with a status
                done += int(loop(*self.oracles, self.world, x, y, z, memory, self.numbers, nit + done, made - done))
        self.state = SolverState(x, y, z, nit + done, memory)
        return done

    def _curvature(self, iterations: int = 10) -> float:
        """Largest eigenvalue of the Hessian of g in y, from below, by power iterations that are counted.

        An exact product that is no ascent, <v, Hv> <= 0, is returned instead; so is what is not finite.
        """
        ask, kind = plain()["ask"], plain()["H"]  # compiled for oracles of their own types, it is not read from disk
        x, y = self.state.x, self.state.y
        v, product = np.random.default_rng(0).standard_normal(len(y)), np.empty(len(y))  # a structured v may miss it
        v /= np.linalg.norm(v)
        largest = 0.0
        for _ in range(iterations):
            if not ask(self.oracles[2], kind, self.world, x, y, v, product):
                break
            if not np.isfinite(product).all():
                return math.inf
            largest, along = float(np.linalg.norm(product)), float(v @ product)
            if largest == 0.0 or largest == math.inf:
                return largest
            if along <= 0.0 and not self.world[2].any():  # exact: samples need not be definite
                return along
            v = product / largest
        return largest
