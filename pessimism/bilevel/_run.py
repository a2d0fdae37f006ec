"""What a run is, whichever kind of method it repeats, and the terms on which it runs."""

from typing import Any, NamedTuple, Protocol

import numpy as np

from pessimism._types import Floats
from pessimism.bilevel.state import SolverState


class Terms(NamedTuple):
    """The budget, the cost of a call of each kind (in the order of KINDS), and how samples are drawn, unless exact."""

    budget: float
    costs: Floats
    rng: np.random.Generator
    exact: bool


class Run(Protocol):
    """A method under way: a built-in one (`MethodRun`) or a step of the user's own (`OwnRun`)."""

    @property
    def state(self) -> SolverState:
        """The last completed step."""

    @property
    def options(self) -> dict[str, Any]:
        """Options of the method, with the steps that were estimated."""

    @property
    def calls(self) -> dict[str, int]:
        """Calls of each kind."""

    @property
    def cost(self) -> float:
        """What they cost together."""

    @property
    def refused(self) -> bool:
        """Whether the budget did not hold a call."""

    @property
    def diverged(self) -> bool:
        """Whether a direction or a vector is not finite."""

    @property
    def restarts(self) -> int:
        """How often it began again with a shorter step."""

    @property
    def notes(self) -> str:
        """What was done to the steps, and what a divergence is due to: the rest of a sentence, or nothing."""

    def advance(self, steps: int) -> int:
        """Make steps; how many were completed: fewer at the end of the budget and after a divergence."""
