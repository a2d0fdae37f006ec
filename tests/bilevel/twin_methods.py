"""Plain twins of the bilevel methods, from their formulas: one generator a method, which yields after an outer step.

A twin spends the same uniforms in the same order as the loops, one row of a handle each. Those in BY_CALLS count their
calls and stop where a budget does; those in BY_MATRICES have the derivatives of g as matrices.
"""

from functools import partial
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
        for _ in BY_CALLS[method](oracles.ask, s, oracles.rng, **options):
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


BY_CALLS = {
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


# With whole matrices: each yields x, y, z after an outer step.


class Samples:
    """Handles from one stream, or None; derivatives of g as matrices."""

    def __init__(self, problem, rng, exact):
        self.problem, self.rng, self.exact = problem, np.random.default_rng(rng), exact

    def __call__(self, level):
        return None if self.exact else self.problem.sample(self.rng, level)

    def hessian(self, x, y, s):
        return np.stack([self.problem.hvp(x, y, e, s) for e in np.eye(len(y))], axis=1)

    def mixed(self, x, y, s):
        return np.stack([self.problem.cvp(x, y, e, s) for e in np.eye(len(y))], axis=1)

    def hypergradient(self, x, y, s_f, s_h, s_c, weigh, rate):
        """f_x - C z, z = weigh(terms), terms q = (I - rate H_q) ... (I - rate H_1) f_y for q = 0, ..., len(s_h)."""
        fx, fy = self.problem.grad_f(x, y, s_f)
        terms = [fy]
        for s in s_h:
            terms.append((np.eye(len(y)) - rate * self.hessian(x, y, s)) @ terms[-1])
        z = weigh(terms)
        return fx - self.mixed(x, y, s_c) @ z, z


def accbo(
    problem, samples, x, y, *, step, momentum, lower_step, nesterov, averaging, period, inner_steps, terms, z_step,
    decay, warm_steps, warm_step, corrected=True, directions=None,
):  # fmt: skip
    for _ in range(warm_steps):
        y = y - warm_step * problem.grad_g(x, y, samples("g"))
    y_before, mean, x_old, t = y, y, x, 0
    while True:
        if t > 0:
            for _ in range(inner_steps if t % period == 0 else 0):
                w = y + nesterov * (y - y_before)
                y, y_before = w - lower_step * problem.grad_g(x, w, samples("g")), y
            old = x_old, mean
            mean = (1 - averaging) * mean + averaging * y
        s = samples("f"), [samples("g") for _ in range(terms - 1)], samples("g")
        weigh = (lambda parts: z_step * np.sum(parts, axis=0)), z_step
        g, z = samples.hypergradient(x, mean, *s, *weigh)
        if t == 0:
            m = g
        elif corrected:
            m = momentum * m + (1 - momentum) * g + momentum * (g - samples.hypergradient(*old, *s, *weigh)[0])
        else:
            m = momentum * m + (1 - momentum) * g
        if directions is not None:
            directions.append((m, g, x, mean))
        x_old, x = x, x - step * (1 + t) ** -decay * m / np.linalg.norm(m)
        t += 1
        yield x, y, z


def double_storm(problem, samples, x, y, *, whole, step, lower_step, terms, z_step, weight, decay, weight_decay):
    t, h_x, h_y, old = 0, None, None, None
    while True:
        s, rate = samples("g"), (1 + t) ** -decay
        factors = terms if whole else int(samples.rng.random() * terms)
        handles = samples("f"), [samples("g") for _ in range(factors)], samples("g")
        scale = z_step if whole else terms * z_step

        def weigh(parts, scale=scale):
            return scale * np.sum(parts if whole else parts[-1:], axis=0)

        d_y, (d_x, z) = problem.grad_g(x, y, s), samples.hypergradient(x, y, *handles, weigh, z_step)
        if t > 0:
            kept = 1 - min(1, weight * (1 + t) ** -weight_decay)
            d_y = d_y + kept * (h_y - problem.grad_g(*old, s))
            d_x = d_x + kept * (h_x - samples.hypergradient(*old, *handles, weigh, z_step)[0])
        h_x, h_y, old = d_x, d_y, (x, y)
        x, y = x - step * rate * h_x, y - lower_step * rate * h_y
        t += 1
        yield x, y, z


def saba(problem, samples, x, y, *, step, lower_step):
    """The means are those of the tables, anew in every step."""
    z = np.zeros(len(y))

    def upper(i):
        return np.concatenate(problem.grad_f(x, y, i))

    def lower(j):
        return np.concatenate([problem.grad_g(x, y, j), problem.hvp(x, y, z, j), problem.cvp(x, y, z, j)])

    rows = (
        ([None], [None]) if samples.exact else (np.arange(n)[:, None] for n in (problem.n_samples_f, problem.n_samples))
    )
    rows_f, rows_g = rows
    table_f, table_g = np.array([upper(i) for i in rows_f]), np.array([lower(j) for j in rows_g])
    dx, dy = len(x), len(y)
    while True:
        i, j = int(samples.rng.random() * len(rows_f)), int(samples.rng.random() * len(rows_g))
        new_f, new_g = upper(rows_f[i]), lower(rows_g[j])
        d_f, d_g = new_f - table_f[i] + table_f.mean(axis=0), new_g - table_g[j] + table_g.mean(axis=0)
        table_f[i], table_g[j] = new_f, new_g
        y = y - lower_step * d_g[:dy]
        z = z - lower_step * (d_g[dy : 2 * dy] - d_f[dx:])
        x = x - step * (d_f[:dx] - d_g[2 * dy :])
        yield x, y, z


def aid_cg(problem, samples, x, y, *, step, inner_steps, lower_step, cg_steps, decay):
    """z by what conjugate gradients are: the minimiser of the quadratic on the Krylov space of the first residual."""
    z, t = np.zeros(len(y)), 0
    while True:
        for _ in range(inner_steps):
            y = y - lower_step * problem.grad_g(x, y)
        fx, fy = problem.grad_f(x, y)
        hessian = samples.hessian(x, y, None)
        residual = fy - hessian @ z
        powers = [np.linalg.matrix_power(hessian, k) @ residual for k in range(min(cg_steps, len(y)))]
        basis = np.linalg.qr(np.stack(powers, axis=1)).Q
        z = z + basis @ np.linalg.solve(basis.T @ hessian @ basis, basis.T @ residual)
        x = x - step * (1 + t) ** -decay * (fx - samples.mixed(x, y, None) @ z)
        t += 1
        yield x, y, z


def itd(problem, samples, x, y, *, step, inner_steps, lower_step, decay):
    """Forward mode: dy/dx through the steps, by the chain rule."""
    t = 0
    while True:
        slope, inverse = np.zeros((len(y), len(x))), np.zeros((len(y), len(y)))
        for _ in range(inner_steps):
            damp = np.eye(len(y)) - lower_step * samples.hessian(x, y, None)
            slope = damp @ slope - lower_step * samples.mixed(x, y, None).T
            inverse = damp @ inverse + lower_step * np.eye(len(y))
            y = y - lower_step * problem.grad_g(x, y)
        fx, fy = problem.grad_f(x, y)
        x = x - step * (1 + t) ** -decay * (fx + slope.T @ fy)
        t += 1
        yield x, y, inverse.T @ fy


BY_MATRICES = {
    "accbo": accbo,
    "sustain": partial(double_storm, whole=False),
    "mrbo": partial(double_storm, whole=True),
    "saba": saba,
    "aid-cg": aid_cg,
    "itd": itd,
}
