"""Bilevel problems: data weights, penalties and representations learned by gradients through a lower level."""

from pessimism.bilevel import bounds, problems
from pessimism.bilevel.check import ProblemError, ProblemReport, check_problem
from pessimism.bilevel.implicit import Hypergradient, hypergradient
from pessimism.bilevel.minimize import METHODS, BilevelResult, minimize_bilevel
from pessimism.bilevel.problem import BilevelProblem, OracleError
from pessimism.bilevel.state import SolverState

__all__ = [
    "METHODS",
    "BilevelProblem",
    "BilevelResult",
    "Hypergradient",
    "OracleError",
    "ProblemError",
    "ProblemReport",
    "SolverState",
    "bounds",
    "check_problem",
    "hypergradient",
    "minimize_bilevel",
    "problems",
]
