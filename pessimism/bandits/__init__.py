"""Offline contextual bandits: models, logged data, rules that turn data into a policy, exact losses and bounds.

An argument that is not what its docstring describes raises one ValueError or TypeError, which names the argument, the
first bad entry and what was expected; the sections "Raises" list what goes without saying nowhere else.
"""

from pessimism.bandits import behavior, bounds, estimators, exact, instances, intervals, minimax, risk
from pessimism.bandits.data import BanditData
from pessimism.bandits.interval import ValueInterval
from pessimism.bandits.model import Bandit
from pessimism.bandits.propensities import PropensityData
from pessimism.bandits.rules.bernstein_lcb import bernstein_lcb
from pessimism.bandits.rules.best_of import best_of
from pessimism.bandits.rules.count_vote import count_vote
from pessimism.bandits.rules.greedy import greedy
from pessimism.bandits.rules.index_rule import index_rule
from pessimism.bandits.rules.ix import ix
from pessimism.bandits.rules.lcb import hoeffding_level, lcb
from pessimism.bandits.rules.log_smoothing_rule import log_smoothing_rule
from pessimism.bandits.rules.most_played import most_played
from pessimism.bandits.rules.screened_greedy import screened_greedy

__all__ = [
    "Bandit",
    "BanditData",
    "PropensityData",
    "ValueInterval",
    "behavior",
    "bernstein_lcb",
    "best_of",
    "bounds",
    "count_vote",
    "estimators",
    "exact",
    "greedy",
    "hoeffding_level",
    "index_rule",
    "instances",
    "intervals",
    "ix",
    "lcb",
    "log_smoothing_rule",
    "minimax",
    "most_played",
    "risk",
    "screened_greedy",
]
