"""Estimators of rows as estimators of tables."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pessimism._types import Floats
from pessimism.bandits import BanditData


@dataclass(frozen=True, slots=True)
class OfRows:
    """An estimator of tables that asks a function of rows about every data set."""

    function: Callable[..., float]

    @property
    def __name__(self) -> str:
        return str(getattr(self.function, "__name__", type(self.function).__name__))

    def __call__(self, data: BanditData, policy: ArrayLike, behavior: ArrayLike) -> Floats:
        pi, law = np.asarray(policy, np.float64), np.asarray(behavior, np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):  # NaN is an answer: there is no estimate
            p = law / law.sum(axis=1, keepdims=True)
            counts = data.counts.reshape(-1, *data.counts.shape[-2:])
            sums = data.sums.reshape(counts.shape)
            found = [self._estimate(c, s, pi, p) for c, s in zip(counts, sums, strict=True)]
        return np.array(found, np.float64).reshape(data.shape)

    def _estimate(self, counts: Any, sums: Any, pi: Floats, p: Floats) -> float:
        n = int(counts.sum())
        if n == 0:
            return float("nan")
        pairs = np.repeat(np.arange(counts.size), counts.ravel())
        place = np.arange(n) - np.repeat(np.cumsum(counts.ravel()) - counts.ravel(), counts.ravel())
        total = sums.ravel()[pairs]
        whole = np.array_equal(sums, np.floor(sums)) and bool(((sums >= 0) & (sums <= counts)).all())
        rewards = (place < total).astype(float) if whole else total / counts.ravel()[pairs]
        order = np.random.default_rng(0).permutation(n)
        s, a = np.divmod(pairs[order], counts.shape[1])
        return float(self.function(s, a, rewards[order], p[s, a], pi[s]))
