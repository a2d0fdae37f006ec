r"""TTSA: BSA with one step on y, on two time scales.

z and its options are those of `bsa`. The steps on y fall as :math:`t^{-2/5}`, those on x faster, as :math:`t^{-3/5}`.
Source: Hong, Wai, Wang, Yang (2023). There the number of terms grows along the run (from memory); here it is fixed,
which leaves a bias of order :math:`(1-a\mu)^Q`: a simplification of ours.

See also `simulations.bilevel_budget`, `simulations.data_cleaning`.
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


METHOD = Method(Options, _run, defaults={"inner_steps": 1, "decay": 0.6, "decay_y": 0.4})
