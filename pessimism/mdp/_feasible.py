"""Which actions are feasible in which states: a mask (S, A), and one error for what does not keep to it.

In terminal states nothing is chosen: there the mask holds True, whatever was given.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pessimism import _check
from pessimism._types import Ints

Mask = NDArray[np.bool_]


def feasible(value: ArrayLike | None, shape: tuple[int, ...], ends: Mask) -> Mask:
    """The mask given; by default every action is feasible. Every state needs one that is."""
    if value is None:
        return np.ones(shape, np.bool_)
    mask = np.asarray(_check.flag_array("feasible", value, shape, ", one a state and action") | ends[:, None])
    empty = np.flatnonzero(~mask.any(axis=-1))
    if empty.size:
        raise ValueError(f"feasible[{empty[0]}] must hold a True: state {empty[0]} has no feasible action")
    return mask


def unread(name: str, value: ArrayLike, mask: Mask, instead: Any) -> ArrayLike:
    """A table (..., S, A[, B]) with something else in place of the entries of infeasible pairs, if its shape fits."""
    given = _check.numeric(name, value)
    tail, width = given.shape[-mask.ndim :], np.shape(instead)
    fits = len(tail) == mask.ndim and tail[:2] == mask.shape[:2] and width in ((), tail[2:])
    return np.where(mask, given, instead) if fits else given


def require_actions(name: str, policy: Ints, mask: Mask) -> None:
    """Raise a ValueError for the first action of a policy (..., S) that is infeasible."""
    if mask.all():
        return
    good = np.asarray(mask[np.arange(len(mask)), policy])
    if not good.all():
        state = np.argwhere(~good)[0][-1]
        _check.require(name, policy, good, f"an action that is feasible in state {state}")


def require_none(name: str, table: NDArray[Any], mask: Mask) -> None:
    """Raise a ValueError for the first entry of a table (..., S, A) that is not 0 although its pair is infeasible."""
    if mask.all():
        return
    good = np.asarray((table == 0) | mask)
    if not good.all():
        state, action = np.argwhere(~good)[0][-2:]
        _check.require(name, table, good, f"0: action {action} is infeasible in state {state}")


def admissible(policy: Ints, mask: Mask) -> Ints:
    """A policy (..., S) with the lowest feasible action wherever its own is infeasible.

    Rules need it where there is nothing to choose by: in states that no data set has seen.
    """
    if mask.all():
        return policy
    return np.where(mask[np.arange(len(mask)), policy], policy, mask.argmax(axis=-1))
