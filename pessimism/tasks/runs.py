"""Runs: the source tasks that a rule buys rows from (`Source`), and the decision it returns (`ActiveRun`)."""

from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import ArrayLike

from pessimism._objects import Speaking
from pessimism._types import Floats, Ints, Rng
from pessimism.tasks.data import TaskData
from pessimism.tasks.relevance import Relevance
from pessimism.tasks.representation import Representation

__all__ = ["ActiveRun", "Source"]


class Source(Protocol):
    """Source tasks from which rows can be bought: `n_tasks` and `sample`, as a `LinearTasks` or a `TaskPool` has.

    Two more attributes are used if there are any: `caps` (M,) int, the rows of every task that can still be bought,
    and ``risk(coefficients)``, the excess risk of a decision.

    Examples
    --------
    >>> import numpy as np
    >>> from pessimism.tasks import LinearTasks
    >>> tasks: Source = LinearTasks(np.eye(3, 1), heads=[[1.0, 2.0]], target=[1.0])
    >>> tasks.n_tasks
    2
    """

    @property
    def n_tasks(self) -> int:
        """M, the number of source tasks."""
        ...

    def sample(self, n: ArrayLike, *, rng: Rng = None) -> TaskData:
        """Buy rows.

        Parameters
        ----------
        n : (..., M) array_like of int
            Rows of each task.
        rng : Generator, SeedSequence or int, optional
            Source of randomness.

        Returns
        -------
        TaskData
            Their statistics.

        Examples
        --------
        >>> import numpy as np
        >>> from pessimism.tasks import LinearTasks
        >>> LinearTasks(np.eye(3, 1), heads=[[1.0, 2.0]], target=[1.0]).sample([4, 5], rng=0).counts.tolist()
        [4, 5]
        """
        ...


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ActiveRun(Speaking):
    """The decision of a rule, the rows it bought and the relevance it bought by; of one run or of a batch.

    Attributes
    ----------
    coefficients : (..., d) float
        The decision: coefficients for the target.
    representation : Representation or None
        The fit that gave them, with its own certificate; None for rules that fit none by least squares.
    allocations : (..., phases, M) int
        Rows bought in every phase.
    relevances : tuple of Relevance
        Estimates by which the later phases were divided, with certificates; empty if none was made.
    risk : (...) float or None
        Excess risk by the `risk` of the source; None if it has none.
    status : Status or (...) array of Status
        How each run ended. Where a run of a batch failed (NOT_CONVERGED if a fit did not end, ROUNDING if a relevance
        could not be certified, UNDETERMINED if rows did not determine an answer), coefficients and risk are NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from pessimism.tasks import LinearTasks, passive
    >>> tasks = LinearTasks(np.eye(4, 1), heads=[[1.0, 1.0]], target=[1.0], noise=0.0)
    >>> run = passive(tasks, tasks.sample_target(5, rng=0), k=1, budget=20, rng=1)
    >>> run.allocations.tolist(), bool(run.risk < 1e-12)
    ([[10, 10]], True)
    """

    coefficients: Floats
    representation: Representation | None
    allocations: Ints
    relevances: tuple[Relevance, ...]
    risk: Floats | None
    status: Any
