"""Models with the laws of their logs, each a function of its parameters that returns ``(mdp, behavior)``.

Two kinds, kept apart. In a `simulation` instance the law follows the optimal action: it shows how a rule behaves, never
what no rule can do. In a family of `lower_bounds` (but for `missing_mass`) all models share one law of their pairs,
so no rule can read the answer off the counts: what any rule must lose on them is in `pessimism.mdp.bounds`.
"""

from pessimism.mdp.instances._stay_exit import Instance
from pessimism.mdp.instances.lower_bounds import (
    ambiguous_replicas,
    missing_mass,
    rare_state,
    two_point_replicas,
    unknowable_coverage,
)
from pessimism.mdp.instances.simulation import plug_in_failure, stay_exit, vi_lcb_failure

__all__ = [
    "Instance",
    "ambiguous_replicas",
    "missing_mass",
    "plug_in_failure",
    "rare_state",
    "stay_exit",
    "two_point_replicas",
    "unknowable_coverage",
    "vi_lcb_failure",
]
