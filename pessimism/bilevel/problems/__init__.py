"""Bilevel problems whose lower solution, value and gradient are known to rounding: by a formula, or by Newton steps."""

from pessimism.bilevel.problems.cleaning import HyperCleaning
from pessimism.bilevel.problems.logistic import LogisticRidge
from pessimism.bilevel.problems.quadratic import Cosh, Quadratic, Quartic
from pessimism.bilevel.problems.representation import HyperRepresentation
from pessimism.bilevel.problems.ridge import Ridge
from pessimism.bilevel.problems.tuning import PessimismTuning

__all__ = [
    "Cosh",
    "HyperCleaning",
    "HyperRepresentation",
    "LogisticRidge",
    "PessimismTuning",
    "Quadratic",
    "Quartic",
    "Ridge",
]
