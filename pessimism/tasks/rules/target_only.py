r"""Target alone: no source rows, and ridge regression :math:`\hat\theta = (A + rI)^{-1} b` on the target's rows."""

import numpy as np

from pessimism._status import Status
from pessimism._types import Floats, Ints
from pessimism.tasks.data import TaskData
from pessimism.tasks.representation import SINGULAR
from pessimism.tasks.rules._buying import Outcome, check_target
from pessimism.tasks.runs import ActiveRun, Source

__all__ = ["target_only"]


def target_only(source: Source, target: TaskData, *, ridge: float = 0.0) -> ActiveRun:
    r"""Buy nothing, and fit the target by ridge regression on its own rows.

    Parameters
    ----------
    source : Source
        The source tasks; only their number and, if there is one, their `risk` are used.
    target : TaskData
        Rows of the target, one task; its batch is the batch of runs.
    ridge : float
        At least 0. At 0 it is least squares, of minimum norm if there are fewer rows than entries.

    Returns
    -------
    ActiveRun
        Without a fit and without phases.

    See Also
    --------
    pessimism.tasks.bounds.target_only_risk : Its expected risk, exact for Gaussian rows and no ridge.

    Notes
    -----
    For Gaussian rows and no ridge the expected excess risk is :math:`\sigma^2 d/(n_T - d - 1)` if
    :math:`n_T \ge d + 2`. Directions in which rows, each entry in units of its size, extend less than a millionth of
    their length count as absent: with status DEPENDENT, where there are as many rows and entries. Cost O(d^3).

    Examples
    --------
    >>> from pessimism.tasks import LinearTasks
    >>> tasks = LinearTasks(np.eye(3, 1), heads=[[1.0]], target=[1.0], noise=0.0)
    >>> (target_only(tasks, tasks.sample_target(9, rng=0)).coefficients.round(9) + 0.0).tolist()
    [1.0, 0.0, 0.0]
    """
    check_target(source, target, ridge)
    d = target.dimension
    gram = target.grams[..., 0, :, :] + ridge * np.eye(d)
    coefficients, rank = _least_squares(gram, target.moments[..., 0, :])
    used = np.asarray((np.einsum("...ii->...i", gram) > 0).sum(axis=-1))
    outcome = Outcome(target.shape, Status.EXACT)
    outcome.status[rank < (used if ridge > 0 else np.minimum(used, target.counts[..., 0]))] = Status.DEPENDENT
    return outcome.run(source, coefficients, None, np.zeros((*target.shape, 0, source.n_tasks), np.int64))


def _least_squares(gram: Floats, moment: Floats) -> tuple[Floats, Ints]:
    """The shortest solutions (..., d) of gram x = moment, and the ranks, decided where the diagonal is 1."""
    size = np.sqrt(np.einsum("...ii->...i", gram))
    size = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(gram / size[..., :, None] / size[..., None, :])
    kept = values > SINGULAR
    parts = (vectors.mT @ (moment / size)[..., None])[..., 0] / np.where(kept, values, 1.0)
    found = (vectors @ np.where(kept, parts, 0.0)[..., None])[..., 0] / size
    free = np.where(kept[..., None, :], 0.0, vectors) / size[..., None]  # what can be added
    return found - (free @ (np.linalg.pinv(free) @ found[..., None]))[..., 0], np.asarray(kept.sum(axis=-1))
