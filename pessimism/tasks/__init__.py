"""Multi-task representation learning: how many samples to buy from each source task."""

from pessimism._status import ConvergenceError
from pessimism.tasks import bounds, costs, designs, instances
from pessimism.tasks.active import a_mtrl, l1_a_mtrl, top_s
from pessimism.tasks.allocation import allocate, keep_largest, phase_budgets
from pessimism.tasks.baselines import fixed, method_moments, passive, random_s, target_only
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
from pessimism.tasks.runs import ActiveRun, Source

__all__ = [
    "ActiveRun",
    "ConvergenceError",
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
