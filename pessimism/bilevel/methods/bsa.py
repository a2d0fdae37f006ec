r"""BSA: the double loop with one random term of the Neumann series for z.

.. math:: z = Q a \prod_{j=1}^{p} (I - a H_j)\, \nabla_y f,

with p uniform on {0, ..., Q - 1} and a fresh sample for every factor: z has the mean of a series of Q terms, and a
large variance. Q and a are the options `terms` and `z_step`. The steps of the module `_double_loop` fall as
:math:`t^{-1/2}` on y and on x. Source: Ghadimi and Wang (2018). There the numbers of steps on y and of terms grow along
the run (from memory); here both are fixed, which leaves a bias of order :math:`(1-a\mu)^Q`: a simplification of ours.

See also `simulations.bilevel_budget`.
"""

from pessimism._compiled import compiled
from pessimism.bilevel._engine.calls import Oracles
from pessimism.bilevel._engine.steps import Iterate
from pessimism.bilevel._method import Method
from pessimism.bilevel.methods._double_loop import ONE_TERM, Options, double_loop

__all__ = ["METHOD"]


@compiled
def _run(oracles: Oracles, at: Iterate, memory: None, options: Options, start: int, steps: int) -> int:
    return double_loop(oracles, at, options, ONE_TERM, start, steps)


METHOD = Method(Options, _run, defaults={"decay": 0.5, "decay_y": 0.5})
