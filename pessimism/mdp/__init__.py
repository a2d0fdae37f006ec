"""Offline reinforcement learning: states, actions, logged transitions, and rules that turn them into a policy."""

from pessimism.mdp.data import MDPData, Transitions
from pessimism.mdp.model import MDP
from pessimism.mdp.planning import ConvergenceError, Plan, plan

__all__ = ["MDP", "ConvergenceError", "MDPData", "Plan", "Transitions", "plan"]
