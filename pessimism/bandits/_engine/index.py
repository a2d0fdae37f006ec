"""The compiled loop of the index rules; callers pass checked, C-contiguous arrays."""

import math

import numpy as np
from numpy.typing import NDArray

from pessimism._compiled import compiled
from pessimism._types import Floats, Ints


@compiled
def best_index(counts: Ints, sums: Floats, scale: Floats, unseen: float, best: NDArray[np.intp]) -> None:
    """Fill `best` (data sets, contexts) with the lowest arm of largest sums/counts - scale/sqrt(counts).

    One `scale` a data set; arms without pulls have the index `unseen`.
    """
    for i in range(counts.shape[0]):
        for s in range(counts.shape[1]):
            best[i, s], top = 0, -math.inf
            for a in range(counts.shape[2]):
                pulls = counts[i, s, a]
                index = sums[i, s, a] / pulls - scale[i] / math.sqrt(pulls) if pulls > 0 else unseen
                if index > top:
                    best[i, s], top = a, index
