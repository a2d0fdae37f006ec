r"""SUSTAIN: recursive momentum on both levels, with one random Neumann term.

.. math:: z = Q a \prod_{j=1}^{p} (I - a H_j)\, \nabla_y f,

with p uniform on {0, ..., Q - 1} and a fresh sample for every factor; Q and a are the options `terms` and `z_step`. p
and all samples are the same at both points of the recursion, which is that of the module `_double_storm`. In the mean
over p a bias of order :math:`(1-a\mu)^Q` remains. Source: Khanduri, Zeng, Hong, Wai, Wang, Yang (2021).

See also `simulations.bilevel_budget`.
"""

from pessimism._compiled import compiled
from pessimism.bilevel._engine.calls import Oracles
from pessimism.bilevel._engine.steps import Iterate
from pessimism.bilevel._method import Method
from pessimism.bilevel.methods._double_storm import Memory, Options, double_storm, memory

__all__ = ["METHOD"]


@compiled
def _run(oracles: Oracles, at: Iterate, memory: Memory, options: Options, start: int, steps: int) -> int:
    return double_storm(oracles, at, memory, options, True, start, steps)


METHOD = Method(Options, _run, memory)
