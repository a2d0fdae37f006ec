r"""A step of the user's own in place of a built-in method.

.. math:: (x, y, z)_{t+1} = \text{step}(\text{problem}, (x, y, z)_t, \text{rng}),

repeated until a call would exceed the budget: that call ends the step, and the state before the step is kept.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from pessimism._types import Floats
from pessimism.bilevel._run import Terms
from pessimism.bilevel._users_oracles import PlainOracles, has, require_oracles, returned
from pessimism.bilevel.problem import KINDS
from pessimism.bilevel.state import SolverState

Step = Callable[..., SolverState]


class Spent(BaseException):
    """A call beyond the budget; no Exception, so that a step that catches all of those does not go on for ever."""


class CountedProblem(PlainOracles):
    """The oracles of a problem, each call counted before it is made.

    Samples come from `sample`, None where oracles are exact; `project_x` is that of the problem, or the identity.
    """

    def __init__(self, problem: Any, terms: Terms) -> None:
        super().__init__(problem)
        self.budget, self.cost, self.refused = terms.budget, 0.0, False
        self.calls = dict.fromkeys(KINDS, 0)
        self._costs = dict(zip(KINDS, terms.costs.tolist(), strict=True))
        self._sampled = not terms.exact and has(problem, "sample")

    def sample(self, rng: np.random.Generator, level: str) -> Any:
        """Draw a handle for oracles of f ("f") or of g ("g"); not for a call that the budget does not hold."""
        self._refuse_if_unaffordable(min(self._costs.values()))
        return self.problem.sample(rng, level) if self._sampled else None

    def grad_f(self, x: Floats, y: Floats, s: Any = None) -> tuple[Floats, Floats]:
        """Both gradients of f."""
        both = self.call("grad_f", x, y, None, s)
        return both[: self.dim_x], both[self.dim_x :]

    def grad_g(self, x: Floats, y: Floats, s: Any = None) -> Floats:
        """Gradient of g in y."""
        return self.call("grad_g", x, y, None, s)

    def grad_gx(self, x: Floats, y: Floats, s: Any = None) -> Floats:
        """Gradient of g in x."""
        return self.call("grad_gx", x, y, None, s)

    def hvp(self, x: Floats, y: Floats, v: Floats, s: Any = None) -> Floats:
        """Product with the Hessian of g in y."""
        return self.call("hvp", x, y, v, s)

    def cvp(self, x: Floats, y: Floats, v: Floats, s: Any = None) -> Floats:
        """Product with the mixed derivative of g."""
        return self.call("cvp", x, y, v, s)

    def call(self, kind: str, x: Floats, y: Floats, v: Floats | None, s: Any) -> Floats:
        require_oracles(self.problem, (kind,), "method")
        self._refuse_if_unaffordable(self._costs[kind])
        self.cost += self._costs[kind]
        self.calls[kind] += 1
        return super().call(kind, x, y, v, s)

    def _refuse_if_unaffordable(self, cost: float) -> None:
        """End the step at a call that the budget does not hold; a step that goes on is refused every later call."""
        if self.refused or self.cost + cost > self.budget:
            self.refused = True
            raise Spent


class OwnRun:
    """A user's step, repeated."""

    def __init__(self, step: Step, problem: Any, state: SolverState, terms: Terms, options: dict[str, Any]) -> None:
        self.step, self.problem, self.state = step, CountedProblem(problem, terms), state
        self.rng, self.options, self.restarts = terms.rng, options, 0

    @property
    def calls(self) -> dict[str, int]:
        return dict(self.problem.calls)

    @property
    def cost(self) -> float:
        return self.problem.cost

    @property
    def refused(self) -> bool:
        return self.problem.refused

    @property
    def notes(self) -> str:
        return self.problem.fault if self.diverged else ""

    @property
    def diverged(self) -> bool:
        return not all(np.isfinite(vector).all() for vector in self.state[:3])

    def advance(self, steps: int) -> int:
        for done in range(steps):
            before = self.problem.cost
            try:
                with np.errstate(all="ignore"):  # a diverging run ends with a status
                    found = self.step(self.problem, self._copied(), self.rng, **self.options)
            except Spent:
                return done
            if self.refused:  # and the step caught it
                return done
            if self.problem.cost == before:
                raise ValueError("method must call an oracle in every step, or no budget ends it; it called none")
            self.state = self._read(found)
            if self.diverged:
                return done + 1
        return steps

    def _copied(self) -> SolverState:
        x, y, z, nit, memory = self.state
        return SolverState(x.copy(), y.copy(), z.copy(), nit, memory)

    def _read(self, found: Any) -> SolverState:
        if not isinstance(found, SolverState):
            raise TypeError(f"method must return a SolverState, got {type(found).__name__}: state._replace makes one")
        vectors = zip(("x", "y", "z"), found[:3], self.state[:3], strict=True)
        x, y, z = (returned(f"method in {name}", vector, len(old)) for name, vector, old in vectors)
        return SolverState(x, y, z, self.state.nit + 1, found.memory)
