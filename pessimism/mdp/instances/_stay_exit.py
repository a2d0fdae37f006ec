r"""Stay-exit replicas: what the instances made of them share.

In each decision state both actions earn 1; action a stays with probability :math:`p_a` and else falls into a sink that
earns nothing, for good. So :math:`V = 1/(1-\gamma p)`, and everything is decided by which p is larger.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from pessimism import _check
from pessimism._types import Floats, Ints
from pessimism.mdp.model import MDP

Instance = tuple[MDP, Floats]

HALF = 0.5
"""Occupancy of the decision states, D = (1 - gamma) V, for the probability of leaving that `leaving` gives."""


def leaving(discount: float) -> tuple[float, float]:
    """The discount, and the probability (1 - gamma)/gamma of leaving at which (1 - gamma) V = 1/2."""
    gamma = _check.between("discount", discount, 0.5, 1.0, "()")
    return gamma, (1.0 - gamma) / gamma


def model(exits: Floats, start: Floats, discount: float) -> MDP:
    """Decision states with probabilities of leaving `exits` (..., R, 2); the last state is the sink."""
    size = exits.shape[-2] + 1
    successors = np.full((size, 2, 2), size - 1)
    successors[..., 0] = np.arange(size)[:, None]
    leave = np.concatenate([exits, np.zeros((*exits.shape[:-2], 1, 2))], axis=-2)
    rewards = np.ones((size, 2))
    rewards[-1] = 0.0
    return MDP(successors, np.stack([1.0 - leave, leave], axis=-1), rewards, np.append(start, 0.0), discount)


def by_label(best: Ints, better: float | Floats, worse: float | Floats) -> Floats:
    """(..., R, 2): `better` for the better action of every replica, `worse` for the other."""
    return np.where(best[..., None] == np.arange(2), better, worse)


def labels(best: ArrayLike | Sequence[int] | None, replicas: int, *, family: bool) -> Ints:
    """Better action of every replica: alternating by default; of a `family` that and its opposite, on a first axis."""
    count = _check.count("replicas", replicas)
    default = np.arange(count) % 2
    chosen = _check.whole_array("best", (np.stack([default, 1 - default]) if family else default), high=1)
    if best is not None:
        chosen = _check.whole_array("best", best, high=1)
    if chosen.shape[-1:] != (count,) or (not family and chosen.ndim > 1):
        shape = f"(..., {count})" if family else f"({count},)"
        raise ValueError(f"best must have shape {shape}, one action for each of replicas = {count}, got {chosen.shape}")
    return chosen


def cstar(value: float, low: float = 1.0, high: float = np.inf) -> float:
    return _check.between("cstar", value, low, high, "[)" if high == np.inf else "[]")


def gap(value: float, high: float, of: str = "") -> float:
    """A gap in (0, high]; `high` itself may be exceeded by its rounding, and `of` says what it comes of."""
    most = high * (1.0 + 1e-12)
    return min(_check.scalar("gap", value, lambda x: 0.0 < x <= most, f"in (0, {most:g}]{of}"), high)
