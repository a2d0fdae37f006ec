r"""MRBO: recursive momentum on both levels, with all terms of the Neumann sum.

.. math:: z = a \sum_{q=0}^{Q} \prod_{j \le q} (I - a H_j)\, \nabla_y f,

with a fresh sample for every factor; Q and a are the options `terms` and `z_step`, the recursion is that of the module
`_double_storm`. A bias of order :math:`(1-a\mu)^{Q+1}` remains. Source: Yang, Ji, Liang (2021), except that in
benchmark_bilevel, which we follow otherwise, the mixed product shares the sample of :math:`\nabla_y g`; here it has its
own.

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
    return double_storm(oracles, at, memory, options, False, start, steps)


METHOD = Method(Options, _run, memory)
