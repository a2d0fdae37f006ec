"""How a fixed point of Bellman's operator is sought: settings of the loops in `fixed_point`, by method."""

from typing import NamedTuple

NEVER = 2**62


class Search(NamedTuple):
    """Settings of one method.

    `shift`: move the values to the middle of MacQueen's bounds. `sweeps`: Jacobi sweeps between two improvements, an
    even number. `krylov_after`: the improvement from which Krylov steps are tried. `limit`: largest number of
    improvements.
    """

    shift: bool
    sweeps: int
    krylov_after: int
    limit: int


SEARCHES = {
    "auto": Search(True, 10, 8, 100_000),
    "value_iteration": Search(True, 0, NEVER, 10_000_000),
    "value_iteration_sup": Search(False, 0, NEVER, 10_000_000),
    "modified_policy_iteration": Search(True, 20, NEVER, 500_000),
    "policy_iteration": Search(True, 20, 1, 100_000),
}

FROM_BELOW = Search(False, 10, 500, 100_000)
"""Stays in the set of values that an operator with a floor raises; Krylov steps only next to discount 1."""
