r"""Exact variances of the value of a policy, estimated from one episode of another: recursions over the steps.

In every recursion one product with the transitions, a matrix (S A, S), takes a step: dense or sparse as the model is.
What grows exponentially in H is kept on a scale whose logarithm is returned.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pessimism._types import Floats, Ints
from pessimism.mdp._engine.tables import Tables

SPARSE = 0.1
"""Share of successors listed below which the transitions are a sparse matrix."""

LARGE = 1e100
"""Above it a scale is taken out."""


class Step(NamedTuple):
    """What one step does.

    Attributes
    ----------
    p : (S A, S) matrix
        Transitions, dense or sparse.
    r : (S, A) float
        Mean rewards.
    v : (S, A) float
        Their variances given the pair.
    lean : (S A, S) matrix or None
        Transitions times what the mean reward of a successor is above that of its pair; None if it never is.
    square : (S A, S) matrix or None
        Transitions times the mean square of what a reward is above the mean of its pair, given the successor.
    """

    p: Any
    r: Floats
    v: Floats
    lean: Any
    square: Any

    def mean(self, x: Floats) -> Floats:
        """(S, A) means of x (S,) over successors: the one product that costs."""
        return np.asarray((self.p @ x).reshape(self.r.shape))

    def with_reward(self, x: Floats, mean: Floats) -> Floats:
        """(S, A) means of reward times x (S,) at the successor, from those of x."""
        return self.r * mean + self._leaning(x)

    def with_square(self, x: Floats, mean: Floats) -> Floats:
        """(S, A) means of squared reward times x (S,) at the successor, from those of x."""
        if self.square is None:
            return (self.v + self.r**2) * mean
        own = np.asarray(self.square @ x).reshape(self.r.shape)
        return np.asarray(own + 2.0 * self.r * self._leaning(x) + self.r**2 * mean)

    def spread(self, x: Floats, mean: Floats, factor: float, weight: Floats | float = 1.0) -> Floats:
        """(S, A) variance of weight x reward + factor x (x at the successor), from the means of x."""
        middle = 0.5 * (x.max(initial=-np.inf) + x.min(initial=np.inf))
        centred = x - middle
        own = np.maximum(self.mean(centred**2) - (mean - middle) ** 2, 0.0)
        mixed = 2.0 * factor * weight * self._leaning(centred)
        return np.asarray(weight**2 * self.v + mixed + factor**2 * own).clip(min=0.0)

    def _leaning(self, x: Floats) -> Floats | float:
        return 0.0 if self.lean is None else np.asarray(self.lean @ x).reshape(self.r.shape)


class Steps:
    """The steps of a model; what is the same at all steps is made once."""

    def __init__(self, tables: Tables, rewards: Floats, law: str) -> None:
        stepped = tables.next_states.ndim == 4
        self.lists, self.p, self.r = (
            (tables.next_states, tables.probabilities, rewards)
            if stepped
            else (tables.next_states[None], tables.probabilities[None], rewards[None])
        )
        self.law, self.size = law, (tables.n_states, tables.n_actions)
        self.stationary = max(len(self.lists), len(self.p), len(self.r)) == 1
        self._first = self._made(0) if self.stationary else None

    def at(self, h: int) -> Step:
        return self._made(h) if self._first is None else self._first

    def _made(self, h: int) -> Step:
        lists, p, r = (x[h % len(x)] for x in (self.lists, self.p, self.r))
        if r.ndim == 2:
            v = r * (1.0 - r) if self.law == "bernoulli" else np.zeros_like(r)
            return Step(self._matrix(lists, p), r, v, None, None)
        mean = (p * r).sum(axis=-1)
        above = r - mean[..., None]
        square = above**2 + (r * (1.0 - r) if self.law == "bernoulli" else 0.0)
        matrices = (self._matrix(lists, x) for x in (p, p * above, p * square))
        moves, lean, squares = matrices
        return Step(moves, mean, (p * square).sum(axis=-1), lean, squares)

    def _matrix(self, lists: NDArray[np.int32], p: Floats) -> Any:
        pairs, size = self.size[0] * self.size[1], self.size[0]
        row = np.repeat(np.arange(pairs), lists.shape[-1])
        if lists.shape[-1] > SPARSE * size:
            flat = np.bincount(row * size + lists.ravel(), p.ravel(), minlength=pairs * size)
            return flat.reshape(pairs, size)
        from scipy import sparse

        return sparse.csr_array((p.ravel(), (row, lists.ravel())), shape=(pairs, size))


def at(table: Any, h: int) -> Any:
    """The table of a step, from one (1 or H, ...)."""
    return table[h % len(table)]


def weights(target: Floats, logged: Floats) -> Floats:
    """target / logged; 0 where nothing is logged, which no path of a covered policy meets."""
    return np.divide(target, logged, out=np.zeros(np.broadcast_shapes(target.shape, logged.shape)), where=logged > 0)


def laws(steps: Steps, start: Floats, policy: Floats, horizon: int) -> Floats:
    """(H, S, A) laws of the pairs that a policy meets."""
    met = np.empty((horizon, *steps.size))
    state = start
    for h in range(horizon):
        met[h] = state[:, None] * at(policy, h)
        state = steps.at(h).p.T @ met[h].ravel()
    return met


def uncovered(steps: Steps, start: Floats, target: Floats, logged: Floats, horizon: int) -> tuple[int, int, int] | None:
    """The first (step, state, action) that a policy reaches and the other never plays."""
    if not np.any((target > 0.0) & (logged == 0.0)):
        return None
    reached = start > 0.0
    for h in range(horizon):
        plays = reached[:, None] & (at(target, h) > 0.0)
        bad = np.argwhere(plays & (at(logged, h) == 0.0))
        if len(bad):
            return h, int(bad[0, 0]), int(bad[0, 1])
        reached = steps.at(h).p.T @ plays.ravel().astype(np.float64) > 0.0
    return None


def second_moments(steps: Steps, start: Floats, target: Floats, logged: Floats, horizon: int) -> Floats:
    """(H,) logarithms of E W_t^2."""
    found, log_scale, state = np.empty(horizon), 0.0, start
    for h in range(horizon):
        pairs = state[:, None] * at(logged, h) * weights(at(target, h), at(logged, h)) ** 2
        total = pairs.sum()
        log_scale += np.log(total)
        found[h] = log_scale
        state = steps.at(h).p.T @ (pairs / total).ravel()
    return found


def values(steps: Steps, policy: Floats, discount: float, horizon: int) -> Floats:
    """(H + 1, S) values of a policy from every step on; 0 at the end."""
    value = np.zeros((horizon + 1, steps.size[0]))
    for h in range(horizon - 1, -1, -1):
        step = steps.at(h)
        value[h] = (at(policy, h) * (step.r + discount * step.mean(value[h + 1]))).sum(axis=-1)
    return value


def corrected(
    steps: Steps,
    start: Floats,
    target: Floats,
    logged: Floats,
    discount: float,
    horizon: int,
    *,
    model: Floats | None = None,
    exact: bool = False,
    scale: Floats | None = None,
) -> tuple[float, float]:
    """Variance of sum g^t [W_{t-1} Vh + W_t (w_t r_t - Qh)], the doubly robust sum: of the steps, and of the start.

    Qh is `model` (1 or H, S, A), by default 0, or the right one if `exact`. Rewards are multiplied by w = `scale`
    (H, S, A), which are marginal weights if both policies are the same.
    """
    value, excess, log_scale = np.zeros(steps.size[0]), np.zeros(steps.size[0]), 0.0
    for h in range(horizon - 1, -1, -1):
        step, b, pi = steps.at(h), at(logged, h), at(target, h)
        w: Floats | float = 1.0 if scale is None else scale[h]
        u = weights(pi, b)
        later = step.mean(value)
        q = w * step.r + discount * later
        now = (b * u * q).sum(axis=-1)
        k = b * u**2
        local = k * step.spread(value, later, discount, w)
        if not exact:
            error, mean_error = q, now
            if model is not None:
                error, mean_error = q - at(model, h), now - (pi * at(model, h)).sum(axis=-1)
            local = local + b * (u * error - mean_error[:, None]) ** 2
        growth = discount**2 * (k * step.mean(excess)).sum(axis=-1)
        excess = local.sum(axis=-1) * np.exp(-log_scale) + growth
        if (largest := excess.max(initial=0.0)) > LARGE:
            excess, log_scale = excess / largest, log_scale + np.log(largest)
        value = now
    mean = start @ value
    return grown(log_scale, float(start @ excess)), float(start @ (value - mean) ** 2)


def whole_path(steps: Steps, start: Floats, target: Floats, logged: Floats, discount: float, horizon: int) -> float:
    """Variance of W_{H-1} G."""
    a, b, c = np.ones(steps.size[0]), np.zeros(steps.size[0]), np.zeros(steps.size[0])
    log_scale, value = 0.0, values(steps, target, discount, horizon)[0]
    for h in range(horizon - 1, -1, -1):
        step = steps.at(h)
        k = at(logged, h) * weights(at(target, h), at(logged, h)) ** 2
        next_a, next_b, next_c = step.mean(a), step.mean(b), step.mean(c)
        c = step.with_square(a, next_a) + 2.0 * discount * step.with_reward(b, next_b) + discount**2 * next_c
        b = step.with_reward(a, next_a) + discount * next_b
        a, b, c = ((k * x).sum(axis=-1) for x in (next_a, b, c))
        if (largest := max(x.max(initial=0.0) for x in (a, c))) > LARGE:
            a, b, c, log_scale = a / largest, b / largest, c / largest, log_scale + np.log(largest)
    return max(0.0, grown(log_scale, float(start @ c)) - float(start @ value) ** 2)


def grown(log_scale: float, x: float) -> float:
    """x exp(log_scale), infinite if it is too large."""
    with np.errstate(over="ignore"):
        return float(x * np.exp(0.5 * log_scale) * np.exp(0.5 * log_scale)) if x else 0.0


def fixed_counts(steps: Steps, start: Floats, target: Floats, counts: Ints, discount: float, horizon: int) -> float:
    """Variance of the plug-in value when every pair of every step has its own given number of transitions."""
    (size, actions), value = steps.size, np.zeros(steps.size[0])
    covariance = np.zeros((size, size))
    for h in range(horizon - 1, -1, -1):
        step, pi, n = steps.at(h), at(target, h), at(counts, h)
        p = step.p if isinstance(step.p, np.ndarray) else step.p.toarray()
        along = np.einsum("xs,xs->x", p @ covariance, p)
        later = step.mean(value)
        noise = step.spread(value, later, discount)
        noise = noise + discount**2 * (p @ np.diag(covariance) - along).reshape(size, actions)
        own = (np.divide(pi**2, n, out=np.zeros((size, actions)), where=n > 0) * noise).sum(axis=-1)
        moves = np.einsum("sa,sat->st", pi, p.reshape(size, actions, size))
        covariance = discount**2 * moves @ covariance @ moves.T
        covariance[np.diag_indices(size)] += own
        value = (pi * (step.r + discount * later)).sum(axis=-1)
    return float(start @ covariance @ start)
