r"""Target alone: no source rows, and ridge regression :math:`\hat\theta = (A + rI)^{-1} b` on the target's rows."""

import numpy as np

from pessimism._types import Floats
from pessimism.tasks.data import TaskData
from pessimism.tasks.rules._buying import check_run, risk_of
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
    :math:`n_T \ge d + 2`. Cost O(d^3).

    Examples
    --------
    >>> from pessimism.tasks import LinearTasks
    >>> tasks = LinearTasks(np.eye(3, 1), heads=[[1.0]], target=[1.0], noise=0.0)
    >>> (target_only(tasks, tasks.sample_target(9, rng=0)).coefficients.round(9) + 0.0).tolist()
    [1.0, 0.0, 0.0]
    """
    check_run(source, target, ridge=ridge)
    gram, moment = target.grams[..., 0, :, :], target.moments[..., 0, :, None]
    # with a ridge no eigenvalue is cut off: they are at least the ridge
    inverse = np.linalg.pinv(gram + ridge * np.eye(target.dimension), rcond=1e-12, hermitian=True)
    coefficients: Floats = (inverse @ moment)[..., 0]
    allocations = np.zeros((*target.shape, 0, source.n_tasks), np.int64)
    return ActiveRun(coefficients, None, allocations, (), risk_of(source, coefficients))
