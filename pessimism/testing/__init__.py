"""Properties that a rule must have, tried on many data sets: Hypothesis strategies, and `check_rule` for your own rule.

A rule is any function ``rule(data) -> policy``. Most mistakes in one break a symmetry of the problem (the names of the
arms, the unit of the reward, the other data sets of the batch), so they are found without knowing what the rule is
for; the rest show in the size of its intervals, if it says which `level` it means to use.

This is the only part of the package that imports Hypothesis.
"""

from pessimism.testing.rules import RuleError, check_rule
from pessimism.testing.strategies import bandit_data, bandits, behaviors

__all__ = ["RuleError", "bandit_data", "bandits", "behaviors", "check_rule"]
