r"""Source-task selection for multi-task representation learning: how many rows to buy from each source task.

The tasks share a representation B (d, k): task m has the coefficients :math:`B w_m`, the target :math:`B w` (`model`).
From the rows bought (`data`, `pool`) a learner fits B (`representation`) and estimates how the target is composed of
the source tasks, :math:`W\nu = w` (`relevance`), by which it divides the next budget (`allocation`); `rules` do all of
this. Where the heads are known, `designs` and `costs` give the best purchases. `bounds` has the theorems, `instances`
the worlds that show them.

What cannot be certified is never returned unseen. For a single problem or run it is a `ConvergenceError`, which carries
what was reached; in a batch it is a status of that item, or NaN where there is no status, and one `ConvergenceWarning`.
"""

from pessimism._status import ConvergenceError, ConvergenceWarning
from pessimism.tasks import bounds, costs, designs, instances
from pessimism.tasks.allocation import allocate, keep_largest, phase_budgets
from pessimism.tasks.data import TaskData
from pessimism.tasks.model import LinearTasks
from pessimism.tasks.pool import TaskPool
from pessimism.tasks.relevance import Relevance, lasso, min_l1, min_l2
from pessimism.tasks.representation import (
    Representation,
    fit_heads,
    fit_representation,
    moment_representation,
    principal_angles,
)
from pessimism.tasks.rules.a_mtrl import a_mtrl
from pessimism.tasks.rules.fixed import fixed
from pessimism.tasks.rules.l1_a_mtrl import l1_a_mtrl
from pessimism.tasks.rules.method_moments import method_moments
from pessimism.tasks.rules.passive import passive
from pessimism.tasks.rules.random_s import random_s
from pessimism.tasks.rules.target_only import target_only
from pessimism.tasks.rules.top_s import top_s
from pessimism.tasks.runs import ActiveRun, Source

__all__ = [
    "ActiveRun",
    "ConvergenceError",
    "ConvergenceWarning",
    "LinearTasks",
    "Relevance",
    "Representation",
    "Source",
    "TaskData",
    "TaskPool",
    "a_mtrl",
    "allocate",
    "bounds",
    "costs",
    "designs",
    "fit_heads",
    "fit_representation",
    "fixed",
    "instances",
    "keep_largest",
    "l1_a_mtrl",
    "lasso",
    "method_moments",
    "min_l1",
    "min_l2",
    "moment_representation",
    "passive",
    "phase_budgets",
    "principal_angles",
    "random_s",
    "target_only",
    "top_s",
]
