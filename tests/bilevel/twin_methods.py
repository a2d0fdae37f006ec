"""Plain twins of the bilevel solvers, from their formulas: one generator a method, which yields after an outer step.

A twin spends the same uniforms in the same order as the loops, one row of a handle each, and stops where they do.
"""

from types import SimpleNamespace

import numpy as np

KINDS = ("grad_f", "grad_g", "grad_gx", "hvp", "cvp")


class SpentError(Exception):
    """The budget holds no further call."""


class Oracles:
    """Public oracles of a problem, on handles from one stream, each counted and paid for."""

    def __init__(self, problem, budget, rng, exact, costs):
        self.problem, self.budget, self.exact = problem, budget, exact
        self.rng = np.random.default_rng(rng)
        self.costs = dict.fromkeys(KINDS, 1.0) | (costs or {})
        self.last = {}
        self.calls, self.cost = dict.fromkeys(KINDS, 0), 0.0

    def ask(self, kind, *where, again=False):
        """On a fresh handle, or on the last one of this level again."""
        if self.cost + self.costs[kind] > self.budget:
            raise SpentError
        self.cost += self.costs[kind]
        self.calls[kind] += 1
        level = "f" if kind == "grad_f" else "g"
        if not again:
            self.last[level] = None if self.exact else self.problem.sample(self.rng, level)
        return getattr(self.problem, kind)(*where, self.last[level])


def run(method, problem, x0, y0=None, *, budget, rng=None, exact=False, costs=None, options):
    """Where a run ends: x, y, z, its path, its calls; ``cost`` and ``nit``."""
    y = np.zeros(problem.dim_y) if y0 is None else np.array(y0, float)
    s = SimpleNamespace(x=np.array(x0, float), y=y, z=np.zeros(problem.dim_y), nit=0)
    s.path = [s.x]
    oracles = Oracles(problem, budget, rng, exact, costs)
    whole = s.y, s.z
    try:
        for _ in METHODS[method](oracles.ask, s, oracles.rng, **options):
            s.nit += 1
            s.path.append(s.x)
            whole = s.y, s.z
    except SpentError:
        s.y, s.z = whole
    s.calls, s.cost = oracles.calls, oracles.cost
    return s


def length(vector):
    return np.sqrt(sum(vector**2))


def averaged(ask, s, rate, radius, steps):
    """Projected gradient steps around the y at which they begin, then the mean of the iterates."""
    center, seen = s.y, []
    for _ in range(steps):
        away = s.y - rate * ask("grad_g", s.x, s.y) - center
        s.y = center + away * min(1.0, radius / length(away))
        seen.append(s.y)
    if seen:
        s.y = np.mean(seen, axis=0)


def bo_rep(
    ask, s, rng, *, step, momentum, lower_step, z_step, period, inner_steps, radius, decay,
    epochs, epoch_length, epoch_step, epoch_radius,
):  # fmt: skip
    for epoch in range(1, epochs + 1):
        halved = 2.0 ** (epoch - 1)
        averaged(ask, s, epoch_step / halved, epoch_radius / np.sqrt(halved), epoch_length * 2 ** (epoch - 1))
    m, t = 0.0, 0
    while True:
        if t > 0 and t % period == 0:
            averaged(ask, s, lower_step, radius, inner_steps)
        fx, fy = ask("grad_f", s.x, s.y)
        hypergradient = fx - ask("cvp", s.x, s.y, s.z)
        residual = ask("hvp", s.x, s.y, s.z) - fy
        m = momentum * m + (1 - momentum) * hypergradient
        s.z = s.z - z_step * residual
        s.x = s.x - step * (1 + t) ** -decay * m / length(m)
        t += 1
        yield


def slip(ask, s, rng, *, step, momentum, lower_step, z_step, decay, warm_steps, warm_step):
    for _ in range(warm_steps):
        s.y = s.y - warm_step * ask("grad_g", s.x, s.y)
    m, t = 0.0, 0
    while True:
        fx, fy = ask("grad_f", s.x, s.y)
        u = fx - ask("cvp", s.x, s.y, s.z)
        below = ask("grad_g", s.x, s.y)
        residual = ask("hvp", s.x, s.y, s.z) - fy
        m = momentum * m + (1 - momentum) * u
        s.y, s.z = s.y - lower_step * below, s.z - z_step * residual
        s.x = s.x - step * (1 + t) ** -decay * m / length(m)
        t += 1
        yield


def soba(ask, s, rng, *, step, lower_step, decay, weight=1.0, clip=np.inf):
    h, t = 0.0, 0
    while True:
        fx, fy = ask("grad_f", s.x, s.y)
        below = ask("grad_g", s.x, s.y)
        residual = ask("hvp", s.x, s.y, s.z, again=True) - fy
        h = (1 - weight) * h + weight * (fx - ask("cvp", s.x, s.y, s.z, again=True))
        falling = (1 + t) ** -decay
        s.y, s.z = s.y - lower_step * falling * below, s.z - lower_step * falling * residual
        s.x = s.x - step * falling * h * min(1.0, clip / length(h))
        t += 1
        yield


def double_loop(estimate):
    def steps(ask, s, rng, *, step, inner_steps, lower_step, terms, z_step, decay, decay_y):
        t = 0
        while True:
            for _ in range(inner_steps):
                s.y = s.y - lower_step * (1 + t) ** -decay_y * ask("grad_g", s.x, s.y)
            fx, fy = ask("grad_f", s.x, s.y)
            estimate(ask, s, rng, fy, terms, z_step)
            s.x = s.x - step * (1 + t) ** -decay * (fx - ask("cvp", s.x, s.y, s.z))
            t += 1
            yield

    return steps


def descent(ask, s, rng, fy, terms, a):
    for _ in range(terms):
        s.z = s.z - a * (ask("hvp", s.x, s.y, s.z) - fy)


def neumann(ask, s, rng, fy, terms, a):
    powers = [fy]
    for _ in range(terms):
        powers.append(powers[-1] - a * ask("hvp", s.x, s.y, powers[-1]))
    s.z = a * sum(powers)


def one_term(ask, s, rng, fy, terms, a):
    for _ in range(int(np.floor(rng.random() * terms))):
        fy = fy - a * ask("hvp", s.x, s.y, fy)
    s.z = terms * a * fy


def f2sa(ask, s, rng, *, step, inner_steps, lower_step, w_step, penalty, penalty_growth, decay):
    s.w, t = s.y, 0
    while True:
        for _ in range(inner_steps):
            _, fy = ask("grad_f", s.x, s.y)
            s.y = s.y - lower_step / penalty * (fy + penalty * ask("grad_g", s.x, s.y))
            s.w = s.w - w_step * ask("grad_g", s.x, s.w)
        fx, _ = ask("grad_f", s.x, s.y)
        apart = ask("grad_gx", s.x, s.y) - ask("grad_gx", s.x, s.w)
        s.x = s.x - step * (1 + t) ** -decay * (fx + penalty * apart)
        penalty += penalty_growth
        t += 1
        yield


METHODS = {
    "bo-rep": bo_rep,
    "slip": slip,
    "soba": soba,
    "ma-soba": soba,
    "amigo": double_loop(descent),
    "stocbio": double_loop(neumann),
    "bsa": double_loop(one_term),
    "ttsa": double_loop(one_term),
    "f2sa": f2sa,
}
