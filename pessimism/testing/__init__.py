"""Properties that a rule must have, tried on many data sets: Hypothesis strategies, and checks for your own rules.

A rule is any function ``rule(data) -> policy`` (`check_rule`), an estimator ``estimator(data, policy, behavior) ->
value`` (`check_estimator`; of rows, through `from_rows`; of episodes, `check_episode_estimator`), an interval the same
with ``delta=`` (`check_interval`), an offline rule ``rule(data, discount=...) -> plan`` (`check_offline_rule`), a
planner ``planner(mdp) -> plan`` (`check_planner`), a relevance of source tasks ``rule(heads, target) -> weights``
(`check_relevance`), an allocation ``rule(relevance, budget, floor=...) -> rows`` (`check_allocation`) or a bilevel
solver ``method(problem, x0, y0, budget=..., rng=...) -> result`` (`check_solver`).
Most mistakes in such a function break a symmetry of the problem (the names of the arms, the unit of the reward, the
basis of a representation, the other data sets of the batch), so they are found without knowing what it is for; others
show where it is held to what it claims: the size of its intervals, a lower bound, the optimal value, the norm that it
minimises, the length of its steps. A message names the first broken promise with the smallest example found, and the
others in a line each. The strategies from which the checks draw are public.

Both work with Hypothesis as it comes. A strategy loads the kernels of its wing, or compiles them, before the first
example is drawn, so that no deadline counts it; ``python -m pessimism compile`` does it ahead. A check may stand in a
test that draws its arguments, and takes longer than Hypothesis allows an example: ``@settings(deadline=None)`` there.

Every wing has a folder with its checks, strategies and promises (bandit/, mdp/, tasks/, bilevel/); `_driver.py` is what
all checks share.

This is the only part of the package that imports Hypothesis.
"""

from pessimism.testing._driver import RuleError
from pessimism.testing.bandit.estimators import EstimatorError, check_estimator, from_rows
from pessimism.testing.bandit.intervals import check_interval
from pessimism.testing.bandit.rules import check_rule
from pessimism.testing.bandit.strategies import bandit_data, bandits, behaviors, logged_bandits, propensities
from pessimism.testing.bilevel.solvers import SolverError, check_solver
from pessimism.testing.bilevel.strategies import bilevel_problems
from pessimism.testing.mdp.estimators import check_episode_estimator
from pessimism.testing.mdp.offline_rules import check_offline_rule
from pessimism.testing.mdp.planners import PlannerError, check_planner
from pessimism.testing.mdp.strategies import mdp_behaviors, mdp_data, mdps
from pessimism.testing.tasks.allocations import AllocationError, check_allocation
from pessimism.testing.tasks.relevances import RelevanceError, check_relevance
from pessimism.testing.tasks.strategies import linear_tasks, task_data, task_problems

__all__ = [
    "AllocationError",
    "EstimatorError",
    "PlannerError",
    "RelevanceError",
    "RuleError",
    "SolverError",
    "bandit_data",
    "bandits",
    "behaviors",
    "bilevel_problems",
    "check_allocation",
    "check_episode_estimator",
    "check_estimator",
    "check_interval",
    "check_offline_rule",
    "check_planner",
    "check_relevance",
    "check_rule",
    "check_solver",
    "from_rows",
    "linear_tasks",
    "logged_bandits",
    "mdp_behaviors",
    "mdp_data",
    "mdps",
    "propensities",
    "task_data",
    "task_problems",
]
