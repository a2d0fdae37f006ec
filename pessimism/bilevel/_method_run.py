"""A built-in method under way: compiled on built-in problems, the same loop as plain Python on a user's own."""

import copy
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from pessimism._compiled import plain
from pessimism._types import Floats
from pessimism.bilevel._engine import calls
from pessimism.bilevel._engine.calls import (
    CALLS,
    DIVERGED,
    LIMIT,
    REFUSED,
    SPENT,
    STEEPEST,
    Oracles,
    new_meter,
)
from pessimism.bilevel._engine.kinds import GRAD_F, GRAD_G, HVP, KINDS
from pessimism.bilevel._engine.steps import Iterate
from pessimism.bilevel._method import Method
from pessimism.bilevel._options import CURVATURE, FIRST_STEPS
from pessimism.bilevel._run import Terms
from pessimism.bilevel._users_oracles import PlainOracles, has
from pessimism.bilevel.problem import OracleError
from pessimism.bilevel.state import SolverState

TICKETS = 2**53
"""Samples of a user's problem are named by a whole number below this."""

PIECE = 1000
"""Outer steps in one call of a compiled loop, between two moments at which Ctrl-C can interrupt the run."""

ITERATIONS = 10
"""Of the power method, for an estimate of the curvature."""

RESTARTS = 12
"""Times that a run begins again with a shorter step on x."""

STABLE = 1.8
"""A step is shortened where it is more than this over the curvature: at 2 it neither converges nor diverges."""

STEEPER = 1e6
"""Factor by which the curvature may grow from one start: beyond it is x that diverges."""

quiet = np.errstate(all="ignore")  # a diverging run ends with a status


class MethodRun:
    """Oracles, counters, iterate and options of one run.

    Steps that were left open are shortened in two ways, and `notes` says so. Where g turns out to be so steep along
    some direction that the steps on y and z are too long, the outer step under way is undone and they become one over
    the curvature there. Where x diverges, the run begins again with a tenth of the step on x.
    """

    def __init__(self, method: Method, problem: Any, state: SolverState, terms: Terms) -> None:
        built_in, free = hasattr(problem, "compiled_oracles"), not has(problem, "project_x")
        self.run = method.run if built_in and free else plain(method.run)
        self.own = None if built_in and free else PlainOracles(problem)
        self.oracles = _oracles(method, problem, self.own, terms)
        if terms.exact or not has(problem, "sample"):
            self.oracles = self.oracles._replace(terms_f=0, batch_f=0, terms_g=0, batch_g=0)
        self.method, self.nit, self.restarts, self.shortened, self.steepest = method, state.nit, 0, 0, 0.0
        self.settings: Mapping[str, float | str] = {}
        self.options: dict[str, Any] = {}  # once they are settled
        self.settled: dict[str, Any] = {}  # as they are at the start
        self.at, self.memory = _joined(state)
        self.begun = copy.deepcopy(self.state)

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
    def notes(self) -> str:
        """What was done to the steps, and what a divergence is due to."""
        notes = ""
        if self.shortened:
            kept = ", ".join(f"{name} = {self.options[name]:.3g}" for name in self._lower)
            notes += f"; steps were shortened to {kept}, since the curvature of g in y grew"
        if self.restarts:
            notes += f"; the run diverged {self.restarts} times and began again, at last with step = "
            notes += f"{self.options['step']:.3g}"
        return notes + (self._blame() if self.diverged or not (self.options or self.refused) else "")

    def _blame(self) -> str:
        """Whose step was too long, as far as products with the Hessian of g tell, and where a number was first bad."""
        fault = "" if self.own is None else self.own.fault
        if not 0.0 < self.steepest < math.inf or not self.options:
            return fault
        given = [name for name in self.method.options if self.method.options[name].default == CURVATURE]
        given = [name for name in given if name not in self._lower and self.options[name] * self.steepest > 2.0]
        long = [f"{name} = {self.options[name]:.3g}" for name in given]
        if long:
            stable = f"steps on y and z below {2.0 / self.steepest:.3g} are stable"
            reached = f"the curvature of g in y reached {self.steepest:.3g}, for which {stable}"
            return f"; too long: {', '.join(long)}; {reached}{fault}"
        if self.nit == self.begun.nit:
            return fault
        return f"; too long: step = {self.options['step']:.3g}, since those on y and z are stable{fault}"

    @property
    def _lower(self) -> list[str]:
        """Open steps on the lower level."""
        return [name for name, value in self.settings.items() if value == CURVATURE]

    @quiet
    def settle(self, settings: Mapping[str, float | str], known: Mapping[str, float]) -> None:
        """Set the steps left open, to those `known` or anew; without an estimate no step will be made."""
        self.settings, curvature = settings, 0.0
        options = {key: known.get(key, value) for key, value in settings.items()}
        options = {
            key: FIRST_STEPS.get(value, value) if isinstance(value, str) else value for key, value in options.items()
        }
        if CURVATURE in options.values():
            curvature = self._curvature()
            if self.refused or not curvature < math.inf:
                return
            if not curvature > 0.0:
                raise OracleError(f"hvp must come from a positive definite Hessian, <v, Hv> of a unit v is {curvature}")
        self.options = {key: 1.0 / curvature if isinstance(value, str) else value for key, value in options.items()}
        self.settled = dict(self.options)
        self._limit()

    def _limit(self) -> None:
        """Judge by what is seen from now on."""
        longest = max((float(self.options[name]) for name in self._lower), default=0.0)
        self.oracles.meter[[STEEPEST, DIVERGED]] = 0.0
        self.oracles.meter[LIMIT] = STABLE / longest if longest > 0.0 else math.inf

    @quiet
    def advance(self, steps: int) -> int:
        done = made = 0
        while done == made and done < steps and not self.refused and self.options:
            made = min(steps, done + (PIECE if self.own is None else 1))
            options = self.method.tuple_of_options(**self.options)
            new = self.run(self.oracles, self.at, self.memory, options, self.nit, made - done)
            done, self.nit = done + new, self.nit + new
            self.steepest = max(self.steepest, float(self.oracles.meter[STEEPEST]))
            if self.own is not None:
                self.own.forget()
            if self.diverged and not self.refused:
                if self._shorten():
                    made = done
                elif self._begin_again():
                    done = made = 0
        return done

    def _shorten(self) -> bool:
        """Shorten the open steps on y and z if they are too long for g here; whether the run goes on."""
        meter, old = self.oracles.meter, float(self.oracles.meter[LIMIT]) / STABLE
        if not meter[STEEPEST] > meter[LIMIT]:
            return False
        curvature = max(self._curvature(), 2.0 * old)  # samples may be steeper than their mean
        if not curvature * max(self.settled[name] for name in self._lower) < STEEPER:
            return False
        self.options |= dict.fromkeys(self._lower, 1.0 / curvature)
        self.shortened += 1
        self._limit()
        return True

    def _begin_again(self) -> bool:
        """Go back to the start with a tenth of an open step on x; whether that is done."""
        if self.settings["step"] not in FIRST_STEPS or self.restarts == RESTARTS or self.nit == self.begun.nit:
            return False
        self.at, self.memory = _joined(copy.deepcopy(self.begun))
        self.nit, self.restarts, self.shortened = self.begun.nit, self.restarts + 1, 0
        self.options |= self.settled
        self.options["step"] /= 10.0**self.restarts
        if "hvp" not in self.method.needs:  # nothing says whether these are too long
            self.options |= {name: self.options[name] / 2.0**self.restarts for name in self._lower}
        if self.own is not None:
            self.own.fault = ""
        self._limit()
        return True

    def _curvature(self) -> float:
        """Largest eigenvalue of the Hessian of g in y, from below, by power iterations that are counted.

        An exact product that is no ascent, <v, Hv> <= 0, is returned instead; so is what is not finite. Methods without
        products with H take half as many differences of the gradient that y follows.
        """
        second_order = "hvp" in self.method.needs
        product = self._product if second_order else self._difference
        v = np.random.default_rng(0).standard_normal(len(self.at.y))  # a structured v may miss it
        v /= np.linalg.norm(v)
        largest = 0.0
        for _ in range(ITERATIONS if second_order else ITERATIONS // 2):
            image = product(v)
            if self.refused:
                break
            if not np.isfinite(image).all():
                return math.inf
            largest, along = float(np.linalg.norm(image)), float(v @ image)
            if largest == 0.0 or largest == math.inf:
                return largest
            if along <= 0.0 and second_order and self.oracles.batch_g == 0:  # exact: samples need not be definite
                return along
            v = image / largest
        return largest

    def _product(self, v: Floats) -> Floats:
        image = np.empty(len(v))
        rows = plain(calls.fresh)(self.oracles, HVP)
        plain(calls.hvp)(self.oracles, self.at.x, self.at.y, v, rows, image)
        return image

    def _difference(self, v: Floats) -> Floats:
        """Of the gradients of g + f / lambda along v, on one sample of each: four calls."""
        x, y, fresh = self.at.x, self.at.y, plain(calls.fresh)
        rows_f, rows_g = fresh(self.oracles, GRAD_F), fresh(self.oracles, GRAD_G)
        h = 1e-5 * max(1.0, float(np.linalg.norm(y)))
        slopes = []
        for at in (y + h * v, y - h * v):
            both, below = np.empty(len(x) + len(y)), np.empty(len(y))
            plain(calls.grad_f)(self.oracles, x, at, rows_f, both)
            plain(calls.grad_g)(self.oracles, x, at, rows_g, below)
            slopes.append(both[len(x) :] / float(self.settings["penalty"]) + below)
        return np.asarray((slopes[0] - slopes[1]) / (2.0 * h))


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
