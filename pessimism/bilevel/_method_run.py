"""A built-in method under way: compiled on built-in problems, the same loop as plain Python on a user's own."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from pessimism._compiled import plain
from pessimism.bilevel._engine import calls
from pessimism.bilevel._engine.calls import CALLS, DIVERGED, REFUSED, SPENT, Oracles, new_meter
from pessimism.bilevel._engine.kinds import HVP, KINDS
from pessimism.bilevel._engine.steps import Iterate
from pessimism.bilevel._method import Method
from pessimism.bilevel._options import CURVATURE
from pessimism.bilevel._run import Terms
from pessimism.bilevel._users_oracles import PlainOracles, has
from pessimism.bilevel.problem import OracleError
from pessimism.bilevel.state import SolverState

TICKETS = 2**53
"""Samples of a user's problem are named by a whole number below this."""

PIECE = 1000
"""Outer steps in one call of a compiled loop, between two moments at which Ctrl-C can interrupt the run."""


class MethodRun:
    """Oracles, counters, iterate and options of one run."""

    def __init__(self, method: Method, problem: Any, state: SolverState, terms: Terms) -> None:
        built_in, free = hasattr(problem, "compiled_oracles"), not has(problem, "project_x")
        self.run = method.run if built_in and free else plain(method.run)
        self.own = None if built_in and free else PlainOracles(problem)
        self.oracles = _oracles(method, problem, self.own, terms)
        if terms.exact or not has(problem, "sample"):
            self.oracles = self.oracles._replace(terms_f=0, batch_f=0, terms_g=0, batch_g=0)
        self.method, self.nit = method, state.nit
        self.options: dict[str, Any] = {}  # once they are settled
        self.at, self.memory = _joined(state)

    @property
    def state(self) -> SolverState:
        return SolverState(self.at.x, self.at.y, self.at.z, self.nit, self.memory)

    @property
    def calls(self) -> dict[str, int]:
        return dict(zip(KINDS, map(int, self.oracles.meter[CALLS:]), strict=True))

    @property
    def cost(self) -> float:
        return float(self.oracles.meter[SPENT])

    @property
    def refused(self) -> bool:
        return bool(self.oracles.meter[REFUSED])

    @property
    def diverged(self) -> bool:
        return bool(self.oracles.meter[DIVERGED]) or not np.isfinite(self.at.vectors).all()

    @property
    def fault(self) -> str:
        return self.own.fault if self.own is not None else ""

    def settle(self, settings: Mapping[str, float | str]) -> None:
        """Set the steps left open to one over the estimated curvature; without an estimate no step will be made."""
        curvature = self._curvature() if CURVATURE in settings.values() else 1.0
        if self.refused or not curvature < math.inf:
            return
        if not curvature > 0.0:
            raise OracleError(f"hvp must come from a positive definite Hessian, <v, Hv> of a unit v is {curvature}")
        self.options = {key: 1.0 / curvature if isinstance(value, str) else value for key, value in settings.items()}

    def advance(self, steps: int) -> int:
        done = made = 0
        options = self.method.tuple_of_options(**self.options) if self.options else None
        while done == made and done < steps and not self.refused and options is not None:
            made = min(steps, done + (PIECE if self.own is None else 1))
            with np.errstate(all="ignore"):  # a diverging run ends with a status
                new = self.run(self.oracles, self.at, self.memory, options, self.nit, made - done)
            done, self.nit = done + new, self.nit + new
            if self.own is not None:
                self.own.forget()
        return done

    def _curvature(self, iterations: int = 10) -> float:
        """Largest eigenvalue of the Hessian of g in y, from below, by power iterations that are counted.

        An exact product that is no ascent, <v, Hv> <= 0, is returned instead; so is what is not finite.
        """
        hvp, fresh = plain(calls.hvp), plain(calls.fresh)
        x, y = self.at.x, self.at.y
        v, product = np.random.default_rng(0).standard_normal(len(y)), np.empty(len(y))  # a structured v may miss it
        v /= np.linalg.norm(v)
        largest = 0.0
        for _ in range(iterations):
            hvp(self.oracles, x, y, v, fresh(self.oracles, HVP), product)
            if self.refused:
                break
            if not np.isfinite(product).all():
                return math.inf
            largest, along = float(np.linalg.norm(product)), float(v @ product)
            if largest == 0.0 or largest == math.inf:
                return largest
            if along <= 0.0 and self.oracles.batch_g == 0:  # exact: samples need not be definite
                return along
            v = product / largest
        return largest


def _oracles(method: Method, problem: Any, own: PlainOracles | None, terms: Terms) -> Oracles:
    """What the loop calls; `stay` stands in for what the method has no use for, so that it need not be compiled."""
    if hasattr(problem, "compiled_oracles"):
        found = problem.compiled_oracles._asdict()
        reals, sizes = problem.reals, problem.sizes
        terms_f, terms_g, batch = problem.n_samples_f, problem.n_samples, problem.batch
    elif own is not None:
        found = {kind: own.in_place(kind) for kind in KINDS}
        reals, sizes, terms_f, terms_g, batch = np.empty(0), np.empty(0, np.int64), TICKETS, TICKETS, 1
    functions: dict[str, Any] = {kind: found[kind] if kind in method.needs else calls.stay for kind in KINDS}
    functions["project"] = calls.stay if own is None else own.project
    numbers = {"terms_f": terms_f, "batch_f": batch, "terms_g": terms_g, "batch_g": batch}
    meter = new_meter(terms.budget, terms.costs)
    return Oracles(**functions, reals=reals, sizes=sizes, **numbers, meter=meter, rng=terms.rng)


def _joined(state: SolverState) -> tuple[Iterate, Any]:
    """x, y, z and the vectors of the memory as parts of one array; and the memory made of these parts."""
    kept = [] if state.memory is None else list(state.memory)
    parts = [state.x, state.y, state.z, *(part for part in kept if part.ndim == 1)]
    vectors = np.concatenate(parts)
    x, y, z, *views = np.split(vectors, np.cumsum([len(part) for part in parts])[:-1])
    for place, part in enumerate(kept):
        if part.ndim == 1:
            kept[place] = views.pop(0)
    memory = None if state.memory is None else type(state.memory)(*kept)
    return Iterate(x, y, z, vectors, np.empty(len(vectors))), memory
