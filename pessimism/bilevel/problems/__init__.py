"""Bilevel problems whose lower solution, value and gradient are known to rounding: by a formula, or by Newton steps.

Their constructors raise a ValueError or TypeError that names the argument, its first bad entry and what was expected.
`random` of each draws a standard instance; arguments that it shares with the constructor have the same meaning there.
"""

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
