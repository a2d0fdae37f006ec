r"""AmIGO: the double loop with warm-started steps on z.

.. math:: z \leftarrow z - a(\nabla^2_{yy} g\, z - \nabla_y f) \text{ (`terms` times)},

between the steps on y and on x of the module `_double_loop`, with the option `z_step` for a. y and z begin where the
last outer step left them, so no bias remains at a fixed point. By default no step falls. Source: Arbel and Mairal
(2022).

See also `simulations.bilevel_budget`, `simulations.bilevel_bias`, `simulations.data_cleaning`.
"""

from pessimism._compiled import compiled
from pessimism.bilevel._engine.calls import Oracles
from pessimism.bilevel._engine.steps import Iterate
from pessimism.bilevel._method import Method
from pessimism.bilevel.methods._double_loop import DESCENT, Options, double_loop

__all__ = ["METHOD"]


@compiled
def _run(oracles: Oracles, at: Iterate, memory: None, options: Options, start: int, steps: int) -> int:
    return double_loop(oracles, at, options, DESCENT, start, steps)


METHOD = Method(Options, _run)
