"""The choice that ends every rule: an arm of the highest index, with a rule for ties."""

import numpy as np
from numpy.typing import NDArray

from pessimism import _check
from pessimism._types import Floats, Ints, Rng

Policy = NDArray[np.intp]


def best_arm(index: Floats | Ints, rng: Rng) -> Policy:
    """An arm (..., S) of the highest index (..., S, A): the lowest of the tied, or a uniform one if `rng` is given."""
    if rng is None:
        return np.asarray(index.argmax(axis=-1))
    priority = _check.generator(rng).random(index.shape)
    return np.asarray(np.where(index == index.max(axis=-1, keepdims=True), priority, -1.0).argmax(axis=-1))
