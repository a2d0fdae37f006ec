"""What passes from one outer step of a solver to the next."""

from typing import Any, NamedTuple

from pessimism._types import Floats

__all__ = ["SolverState"]


class SolverState(NamedTuple):
    """What a step is given and returns.

    Attributes
    ----------
    x : (dx,) float
        Upper variable.
    y, z : (dy,) float
        Lower variable and the solution of the linear system; leave those alone that the step has no use for.
    nit : int
        Number of the step, from 0; counted by the caller.
    memory : object
        The step's own, None at first: momentum, tables, a schedule.

    Examples
    --------
    >>> import numpy as np
    >>> state = SolverState(np.zeros(2), np.zeros(3), np.zeros(3), 0, None)
    >>> state._replace(x=state.x - 0.1).x
    array([-0.1, -0.1])
    """

    x: Floats
    y: Floats
    z: Floats
    nit: int
    memory: Any
