"""Offline bandits: contexts, arms, logged rounds, and rules that turn them into a policy."""

from pessimism.bandits import behavior, bounds, exact, instances
from pessimism.bandits._estimate import ValueInterval
from pessimism.bandits.data import BanditData
from pessimism.bandits.model import Bandit
from pessimism.bandits.rules import bernstein_lcb, greedy, hoeffding_level, index_rule, lcb, most_played

__all__ = [
    "Bandit",
    "BanditData",
    "ValueInterval",
    "behavior",
    "bernstein_lcb",
    "bounds",
    "exact",
    "greedy",
    "hoeffding_level",
    "index_rule",
    "instances",
    "lcb",
    "most_played",
]
