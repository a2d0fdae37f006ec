"""Properties that a rule must have, tried on many data sets: Hypothesis strategies, and checks for your own rules.

A rule is any function ``rule(data) -> policy`` (`check_rule`), an offline rule ``rule(data, discount=...) -> plan``
(`check_offline_rule`), a planner ``planner(mdp) -> plan`` (`check_planner`). Most mistakes in one break a symmetry of
the problem (the names of the arms, the unit of the reward, the other data sets of the batch), so they are found without
knowing what the rule is for; the rest show against what a rule claims: the size of its intervals, a lower bound, the
optimal value.

This is the only part of the package that imports Hypothesis.
"""

from pessimism.testing.mdp_strategies import mdp_behaviors, mdp_data, mdps
from pessimism.testing.offline_rules import check_offline_rule
from pessimism.testing.planners import PlannerError, check_planner
from pessimism.testing.rules import RuleError, check_rule
from pessimism.testing.strategies import bandit_data, bandits, behaviors

__all__ = [
    "PlannerError",
    "RuleError",
    "bandit_data",
    "bandits",
    "behaviors",
    "check_offline_rule",
    "check_planner",
    "check_rule",
    "mdp_behaviors",
    "mdp_data",
    "mdps",
]
