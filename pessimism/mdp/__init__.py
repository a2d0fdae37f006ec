"""Offline reinforcement learning: states, actions, logged transitions, and rules that turn them into a policy."""

from pessimism._status import ConvergenceError
from pessimism.mdp import behavior
from pessimism.mdp.baselines import behavior_cloning, plug_in
from pessimism.mdp.bernstein import vi_lcb_bernstein, vi_lcb_episodic
from pessimism.mdp.cql import cql, cql_values
from pessimism.mdp.data import MDPData, Transitions
from pessimism.mdp.lcb_q import lcb_q
from pessimism.mdp.model import MDP
from pessimism.mdp.pevi import pevi
from pessimism.mdp.planning import Plan, error_bound, plan
from pessimism.mdp.vi_lcb import algorithm_3, vi_lcb

__all__ = [
    "MDP",
    "ConvergenceError",
    "MDPData",
    "Plan",
    "Transitions",
    "algorithm_3",
    "behavior",
    "behavior_cloning",
    "cql",
    "cql_values",
    "error_bound",
    "lcb_q",
    "pevi",
    "plan",
    "plug_in",
    "vi_lcb",
    "vi_lcb_bernstein",
    "vi_lcb_episodic",
]
