r"""StocBiO: the double loop with a truncated Neumann series for z.

.. math:: z = a \sum_{q=0}^{Q} \prod_{j \le q} (I - a H_j)\, \nabla_y f,

with a fresh sample for every factor, between the steps on y and on x of the module `_double_loop`; Q and a are the
options `terms` and `z_step`. The truncation leaves a bias of order :math:`(1-a\mu)^{Q+1}`, so even with exact oracles a
run ends at a wrong point. By default no step falls. Source: Ji, Yang, Liang (2021).

See also `simulations.bilevel_budget`, `simulations.bilevel_bias`, `simulations.bilevel_robustness`,
`simulations.data_cleaning`.
"""

from pessimism._compiled import compiled
from pessimism.bilevel._engine.calls import Oracles
from pessimism.bilevel._engine.steps import Iterate
from pessimism.bilevel._method import Method
from pessimism.bilevel.methods._double_loop import NEUMANN, Options, double_loop

__all__ = ["METHOD"]


@compiled
def _run(oracles: Oracles, at: Iterate, memory: None, options: Options, start: int, steps: int) -> int:
    return double_loop(oracles, at, options, NEUMANN, start, steps)


METHOD = Method(Options, _run)
