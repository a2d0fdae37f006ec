"""The law of a whole weight W_{H-1} and of the return that comes with it: paths of equal weight and state are one."""

from typing import NamedTuple

import numpy as np

from pessimism._types import Floats, Ints
from pessimism.mdp._engine.variance import Steps, at

SAME = 1e-11
"""Relative difference of logarithms of weights that rounding explains."""


class Atoms(NamedTuple):
    """States, logarithms of weights, probabilities, and probabilities times the first two moments of the return."""

    state: Ints
    log_weight: Floats
    p: Floats
    first: Floats
    second: Floats


def weights_and_returns(
    steps: Steps, start: Floats, target: Floats, logged: Floats, discount: float, horizon: int, most: int
) -> Atoms | None:
    """Atoms (K,) at the end of the episodes that `logged` makes; None if there are more than `most` on the way."""
    first = np.flatnonzero(start > 0.0)
    nothing = np.zeros(len(first))
    atoms = Atoms(first, nothing, start[first], nothing, nothing)
    for h in range(horizon):
        atoms = _merged(_moved(steps, atoms, at(target, h), at(logged, h), discount, h))
        if len(atoms.p) > most:
            return None
    return _merged(atoms._replace(state=np.zeros_like(atoms.state)))


def _moved(steps: Steps, atoms: Atoms, target: Floats, logged: Floats, discount: float, h: int) -> Atoms:
    lists, p, r = (x[h % len(x)] for x in (steps.lists, steps.p, steps.r))
    r = np.broadcast_to(r[..., None] if r.ndim == 2 else r, p.shape)
    v = r * (1.0 - r) if steps.law == "bernoulli" else np.zeros_like(r)
    item, action, branch = np.nonzero((logged[..., None] * p)[atoms.state])
    s = atoms.state[item]
    chance = logged[s, action] * p[s, action, branch]
    with np.errstate(divide="ignore"):
        ratio = np.log(target[s, action]) - np.log(logged[s, action])
    gain, noise = discount**h * r[s, action, branch], discount ** (2 * h) * v[s, action, branch]
    own, first, second = (x[item] for x in (atoms.p, atoms.first, atoms.second))
    return Atoms(
        lists[s, action, branch].astype(np.int64),
        atoms.log_weight[item] + ratio,
        chance * own,
        chance * (first + gain * own),
        chance * (second + 2.0 * gain * first + (gain**2 + noise) * own),
    )


def _merged(atoms: Atoms) -> Atoms:
    order = np.lexsort((atoms.log_weight, atoms.state))
    state, weight = atoms.state[order], atoms.log_weight[order]
    if not len(order):
        return atoms
    with np.errstate(invalid="ignore"):
        apart = np.diff(weight) > SAME * (1.0 + np.abs(weight[1:]))  # of two times -inf it is NaN: the same
    head = np.concatenate([[0], 1 + np.flatnonzero(apart | (np.diff(state) != 0))])
    sums = (np.add.reduceat(x[order], head) for x in (atoms.p, atoms.first, atoms.second))
    return Atoms(state[head], weight[head], *sums)
