"""Offline reinforcement learning: states, actions, logged transitions, and rules that turn them into a policy."""

from pessimism._status import ConvergenceError, ConvergenceWarning, ImitationWarning
from pessimism.mdp import behavior, bounds, estimators, exact, generators, instances, planning, risk
from pessimism.mdp.choice import moving_constant
from pessimism.mdp.data import MDPData, Transitions
from pessimism.mdp.model import MDP
from pessimism.mdp.planning import Plan, error_bound, plan
from pessimism.mdp.rules.behavior_cloning import behavior_cloning
from pessimism.mdp.rules.cql import cql, cql_values
from pessimism.mdp.rules.lcb_q import lcb_q
from pessimism.mdp.rules.pevi import pevi
from pessimism.mdp.rules.plug_in import plug_in
from pessimism.mdp.rules.vi_lcb import algorithm_3, vi_lcb
from pessimism.mdp.rules.vi_lcb_bernstein import vi_lcb_bernstein
from pessimism.mdp.rules.vi_lcb_episodic import vi_lcb_episodic

__all__ = [
    "MDP",
    "ConvergenceError",
    "ConvergenceWarning",
    "ImitationWarning",
    "MDPData",
    "Plan",
    "Transitions",
    "algorithm_3",
    "behavior",
    "behavior_cloning",
    "bounds",
    "cql",
    "cql_values",
    "error_bound",
    "estimators",
    "exact",
    "generators",
    "instances",
    "lcb_q",
    "moving_constant",
    "pevi",
    "plan",
    "planning",
    "plug_in",
    "risk",
    "vi_lcb",
    "vi_lcb_bernstein",
    "vi_lcb_episodic",
]
