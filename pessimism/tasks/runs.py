"""What an active algorithm buys from, and what it comes back with."""

from dataclasses import dataclass
from typing import Protocol

from numpy.typing import ArrayLike

from pessimism._types import Floats, Ints, Rng
from pessimism.tasks.data import TaskData
from pessimism.tasks.relevance import Relevance
from pessimism.tasks.representation import Representation


class Source(Protocol):
    """What rows can be bought from.

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


@dataclass(frozen=True, slots=True, eq=False)
class ActiveRun:
    """The decision of an algorithm, what it bought and why; of one run or of a batch.

    Attributes
    ----------
    coefficients : (..., d) float
        The decision: coefficients for the target.
    representation : Representation or None
        The fit they come from, with its own certificate; None for the baselines that fit none by least squares.
    allocations : (..., phases, M) int
        Rows bought in every phase.
    relevances : tuple of Relevance
        What each later phase was divided by, with certificates; empty if nothing was estimated.
    risk : (...) float or None
        Excess risk by the source's own `risk`; None if it has none.

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
