"""Arrays that describe a batch of decision processes: what every loop over states reads.

With a horizon every table has a step axis directly before its states, of length 1 if it is the same at all steps.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pessimism._types import Floats, Ints

States = NDArray[np.int32]


class Tables(NamedTuple):
    """Transitions and rewards of a batch of models.

    Attributes
    ----------
    next_states : ([1 or H,] S, A, B) int32
        Lists of successors, shared by the batch.
    probabilities : (..., [1 or H,] S, A, B) float
        Their probabilities.
    rewards : (..., [1 or H,] S, A) or (..., [1 or H,] S, A, B) float
        Mean rewards of pairs; only samplers also take those of pairs and successors. Planners read -inf as forbidden.
    discount : float
        Below 1 unless there is a horizon.
    horizon : int or None
        H.
    shape : tuple of int
        Batch of the models, to which the leading axes of all tables broadcast.
    """

    next_states: States
    probabilities: Floats
    rewards: Floats
    discount: float
    horizon: int | None
    shape: tuple[int, ...]

    @property
    def n_states(self) -> int:
        return int(self.next_states.shape[-3])

    @property
    def n_actions(self) -> int:
        return int(self.next_states.shape[-2])

    @property
    def per_successor(self) -> bool:
        return per_successor(self.rewards, self.next_states)


def per_successor(rewards: Floats, next_states: States) -> bool:
    """Whether rewards (..., S, A[, B]) have an entry for every successor."""
    return rewards.shape[-next_states.ndim :] == next_states.shape


def staying(next_states: Any, terminal: NDArray[np.bool_]) -> Any:
    """Lists (..., S, A, B) in which terminal states have no successor but themselves."""
    return np.where(terminal[:, None, None], np.arange(len(terminal))[:, None, None], next_states)


def as_law(policy: Ints | Floats, n_actions: int) -> Floats:
    """A policy as probabilities (..., A)."""
    chosen = policy if policy.dtype.kind == "f" else policy[..., None] == np.arange(n_actions)
    return np.asarray(chosen, dtype=np.float64)
