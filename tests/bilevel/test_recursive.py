"""Variance-reduced and deterministic bilevel solvers: plain twins, counted calls, fixed points, who diverges."""

import numpy as np
import pytest

from pessimism._status import Status
from pessimism.bilevel import METHODS, minimize_bilevel
from pessimism.bilevel._loops import LoopRun
from pessimism.bilevel.problems import Cosh, HyperCleaning, Quadratic, Quartic, Ridge

LEVELS = {"lower_step": 0.05, "z_step": 0.07}
STORM = {"step": 0.04, "terms": 3, "weight": 0.6, "decay": 0.3, "weight_decay": 0.2, **LEVELS}
OPTIONS = {  # none at its default, so that a number read from the wrong place shows
    "accbo": {"step": 0.3, "momentum": 0.7, "nesterov": 0.4, "averaging": 0.3, "period": 3, "inner_steps": 2,
              "terms": 4, "decay": 0.4, "warm_steps": 3, "warm_step": 0.11, **LEVELS},
    "sustain": STORM,
    "mrbo": STORM,
    "saba": {"step": 0.01, "lower_step": 0.05},
    "aid-cg": {"step": 0.04, "inner_steps": 3, "lower_step": 0.05, "cg_steps": 2, "decay": 0.3},
    "itd": {"step": 0.04, "inner_steps": 3, "lower_step": 0.05, "decay": 0.3},
}  # fmt: skip
SMALL = {"n_samples": 6, "batch": 3}
PROBLEMS = {
    "quadratic": lambda: Quadratic.random(3, 2, noise=0.3, curvature_noise=0.4, **SMALL, rng=1),
    "quartic": lambda: Quartic.random(2, 4, **SMALL, rng=5),
    "ridge": lambda: Ridge.random(7, 5, dim=3, rho=0.2, batch=3, rng=6),
    "cleaning": lambda: HyperCleaning.random(6, 4, dim=2, damping=0.1, rho=0.2, batch=3, rng=11),
}
every_method = pytest.mark.parametrize("method", OPTIONS)
every_problem = pytest.mark.parametrize("make", PROBLEMS.values(), ids=PROBLEMS)
sampled_or_not = pytest.mark.parametrize("exact", [False, True])


def start(problem, seed=0):
    return np.random.default_rng(seed).normal(size=problem.dim_x)


def near(expected, rel=1e-12):
    return pytest.approx(expected, rel=rel, abs=rel * (1 + np.abs(expected).max()))


def same(a, b):
    """Whether two results agree to the last bit."""
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("x", "y", "z", "memory"))


# Twins: formulas with whole matrices. Each yields x, y, z after an outer step.


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


def double_storm(problem, samples, x, y, whole, *, step, lower_step, terms, z_step, weight, decay, weight_decay):
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


def sustain(problem, samples, x, y, **options):
    return double_storm(problem, samples, x, y, False, **options)


def mrbo(problem, samples, x, y, **options):
    return double_storm(problem, samples, x, y, True, **options)


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


TWINS = {"accbo": accbo, "sustain": sustain, "mrbo": mrbo, "saba": saba, "aid-cg": aid_cg, "itd": itd}


@every_problem
@every_method
@sampled_or_not
def test_a_solver_is_its_formula(make, method, exact):
    """On the same uniforms; steps enough for two periods of AccBO's y."""
    problem, steps = make(), 8
    y0 = np.random.default_rng(1).normal(size=problem.dim_y)
    samples = Samples(problem, 8, exact)
    twin = TWINS[method](problem, samples, start(problem), y0, **OPTIONS[method])
    path = [start(problem)] + [next(twin) for _ in range(steps)]
    result = minimize_bilevel(
        problem, start(problem), y0, method=method, budget=10_000, rng=8, exact=exact, record=1,
        callback=lambda so_far: so_far.nit == steps, **OPTIONS[method],
    )  # fmt: skip
    assert result.status is Status.STOPPED
    assert result.history["x"] == near(np.array([path[0], *(x for x, _, _ in path[1:])]))
    _, y, z = path[-1]
    assert result.y == near(y)
    assert result.z == near(z)


def test_options_are_all_away_from_their_defaults():
    for method, options in OPTIONS.items():
        assert set(options) == set(METHODS[method].options)
        for name, value in options.items():
            assert value != METHODS[method].options[name], (method, name)


@every_method
@pytest.mark.parametrize("name", ["quadratic", "quartic"])
@sampled_or_not
def test_compiled_and_plain_loops_agree_to_the_last_bit(method, name, exact, monkeypatch):
    problem = PROBLEMS[name]()
    given = {"method": method, "budget": 800, "rng": 5, "exact": exact, **OPTIONS[method]}
    compiled = minimize_bilevel(problem, start(problem), **given)
    monkeypatch.setattr(LoopRun, "_compiled", staticmethod(LoopRun._plain))
    uncompiled = minimize_bilevel(problem, start(problem), **given)
    assert same(compiled, uncompiled)
    assert compiled.ncalls == uncompiled.ncalls


# Counted calls


def steps_of(problem, method, **options):
    """Results after every outer step, the start first."""
    seen = []
    last = minimize_bilevel(
        problem, start(problem), method=method, record=1, callback=seen.append, **{**OPTIONS[method], **options}
    )
    return [*seen, last]


COUNTS = {  # grad_f, grad_g, grad_gx, hvp, cvp
    "accbo": (
        lambda t: 3 if t == 0 else 2 if t % 3 == 0 else 0,
        lambda t: (1 if t == 0 else 2) * np.array([1, 0, 3, 1]),
    ),
    "mrbo": (lambda t: 1 if t == 0 else 2, lambda t: (1 if t == 0 else 2) * np.array([1, 0, 3, 1])),
    "saba": (lambda t: 7 if t == 0 else 1, lambda t: np.array([7, 0, 7, 7]) if t == 0 else np.array([1, 0, 1, 1])),
    "aid-cg": (lambda t: 3, lambda t: np.array([1, 0, 3, 1])),
    "itd": (lambda t: 3, lambda t: np.array([1, 0, 2, 3])),
}


@pytest.mark.parametrize("method", COUNTS)
def test_calls_of_a_step(method):
    """Three steps on y before the first and two every third; Q = 4 or 3 terms; six rows in each sum; D = 3, J = 2."""
    lower, others = COUNTS[method]
    results = steps_of(PROBLEMS["quadratic"](), method, budget=200, rng=3)
    calls = np.array([list(result.ncalls.values()) for result in results[:-1]])
    assert len(calls) > 6
    found = np.diff(calls, axis=0)
    first = calls[0]
    expected = [np.insert(others(t), 1, lower(t)) for t in range(len(calls))]
    assert np.array_equal(first, expected[0])
    assert np.array_equal(found, expected[1:])


def test_calls_of_a_step_of_sustain():
    """The same random factors at both points: p uniform on {0, 1, 2}; every count within five deviations of its mean.

    False alarm below 1e-6; a p on {0, ..., 3} or never 0 is found.
    """
    steps = 600
    results = steps_of(PROBLEMS["quadratic"](), "sustain", budget=9 * steps, rng=3, exact=True)
    calls = np.diff([list(result.ncalls.values()) for result in results[:-1]], axis=0)
    for column in (0, 1, 4):
        assert np.all(calls[:, column] == 2)
    assert np.all(calls[:, 3] % 2 == 0)
    counts = np.bincount(calls[:, 3] // 2, minlength=3)
    assert len(counts) == 3
    assert np.abs(counts / len(calls) - 1 / 3).max() < 5 * np.sqrt(2 / 9 / len(calls))


@every_method
def test_a_budget_that_ends_in_a_step_keeps_the_last_whole_one(method):
    """For every budget up to that of some steps: spent to the last call, and nothing half updated."""
    problem = PROBLEMS["quadratic"]()
    whole = steps_of(problem, method, budget=75, rng=3)[:-1]
    ends = np.array([result.cost for result in whole])
    for budget in range(75):
        result = minimize_bilevel(problem, start(problem), method=method, budget=budget, rng=3, **OPTIONS[method])
        done = int((ends <= budget).sum())
        assert (result.nit, result.cost, sum(result.ncalls.values())) == (done, budget, budget)
        assert result.status is Status.BUDGET
        if done:
            assert same(result, whole[done - 1])
        else:
            assert np.array_equal(result.x, start(problem))
            assert not any(array.any() for array in (result.y, result.z, result.memory))


# Fixed points, with exact oracles on a quadratic


def affine(gradient, size):
    """Where an affine map is zero."""
    at_zero = gradient(np.zeros(size))
    return np.linalg.solve(np.stack([gradient(e) - at_zero for e in np.eye(size)], axis=1), -at_zero)


def biased(problem, rate, factors):
    """Zero of the gradient with a sum of `factors` Neumann terms for the inverse of A."""
    damp = np.eye(problem.dim_y) - rate * problem.hessian
    inverse = rate * sum(np.linalg.matrix_power(damp, q) for q in range(factors))

    def gradient(x):
        return problem.rho * x + problem.coupling.T @ inverse @ (problem.solve_y(x) - problem.target)

    return affine(gradient, problem.dim_x)


RATE = 0.1
TRUNCATED = {
    "mrbo": ({"terms": 4, "weight": 0.5, "decay": 0.0}, 5),
    "sustain": ({"terms": 1, "weight": 0.5, "decay": 0.0}, 1),
    "itd": ({"inner_steps": 6}, 6),
}


@pytest.mark.parametrize("method", TRUNCATED)
def test_a_truncated_sum_leaves_its_bias(method, sized):
    """Convergence, to the minimiser of the truncated problem; there grad F = B'A^-1 (I - aA)^K (y* - t)."""
    problem = Quadratic.random(3, 4, rho=1.0, condition=9.0, noise=0.0, curvature_noise=0.0, n_samples=2, rng=4)
    options, factors = TRUNCATED[method]
    levels = {"lower_step": RATE} if method == "itd" else {"lower_step": RATE, "z_step": RATE}
    result = minimize_bilevel(
        problem,
        start(problem),
        method=method,
        exact=True,
        budget=sized(60_000, 20_000),
        rng=0,
        step=0.05,
        **levels,
        **options,
    )
    fixed = biased(problem, RATE, factors)
    assert result.x == near(fixed, rel=1e-9)
    damped = np.linalg.matrix_power(np.eye(4) - RATE * problem.hessian, factors) @ (
        problem.solve_y(fixed) - problem.target
    )
    left = problem.coupling.T @ np.linalg.solve(problem.hessian, damped)
    assert problem.gradient(result.x) == near(left, rel=1e-8)
    assert np.linalg.norm(left) > 1e-3
    assert np.linalg.norm(damped) <= (1 - RATE) ** factors * np.linalg.norm(problem.solve_y(fixed) - problem.target)


def test_aid_leaves_no_bias():
    """Two conjugate gradient steps for four unknowns: the warm start does the rest."""
    problem = Quadratic.random(3, 4, rho=1.0, condition=9.0, rng=4)
    result = minimize_bilevel(
        problem, start(problem), method="aid-cg", budget=8000, step=0.05, inner_steps=3, cg_steps=2, lower_step=RATE
    )
    assert result.x == near(affine(problem.gradient, 3), rel=1e-9)


def test_conjugate_gradients_end_at_the_solution():
    """As many steps as unknowns solve the system; more are not made once the residual is 0, also for one unknown."""
    problem = Quadratic([[2.0]], [[1.0]], [0.0], target=[3.0], rho=1.0)
    options = {"step": 0.0, "inner_steps": 1, "lower_step": 0.25, "cg_steps": 9}
    result = minimize_bilevel(problem, [1.0], [0.5], method="aid-cg", budget=5, **options)
    assert result.nit == 1
    assert result.ncalls["hvp"] == 2  # for the residual and for the one step
    assert result.z.tolist() == [(result.y[0] - 3.0) / 2.0]
    wide = Quadratic.random(3, 4, condition=9.0, rng=4)
    result = minimize_bilevel(
        wide, start(wide), method="aid-cg", budget=13, **{**options, "cg_steps": 4, "lower_step": 0.1}
    )
    assert wide.hessian @ result.z == near(result.y - wide.target)


def test_saba_finds_the_minimiser_on_sampled_rows(sized):
    """Constant steps and noise that never fades: only the tables can remove it. Their means stay theirs."""
    problem = Quadratic.random(2, 2, condition=3.0, rho=1.0, noise=0.5, curvature_noise=0.3, **SMALL, rng=1)
    result = minimize_bilevel(
        problem, start(problem), method="saba", budget=sized(40_000, 12_000), rng=2, step=0.02, lower_step=0.1
    )
    assert np.linalg.norm(problem.gradient(result.x)) < 1e-9
    upper, lower = result.memory[2:8], result.memory[8:]
    assert lower.shape == (6, 6)
    assert result.memory[0] == near(upper.mean(axis=0), rel=1e-13)
    assert result.memory[1] == near(lower.mean(axis=0), rel=1e-13)
    noisy = minimize_bilevel(
        problem, start(problem), method="soba", budget=12_000, rng=2, step=0.02, lower_step=0.1, decay=0.0
    )
    assert np.linalg.norm(problem.gradient(noisy.x)) > 1e-4


# AccBO


def test_every_step_of_accbo_has_its_length():
    problem = Quartic.random(3, 4, rng=2)
    x = minimize_bilevel(problem, start(problem), method="accbo", budget=2000, rng=3, record=1, step=0.3).history["x"]
    lengths, steps = np.linalg.norm(np.diff(x[:-1], axis=0), axis=1), 0.3 / np.sqrt(1 + np.arange(len(x) - 2))
    assert np.all(np.abs(lengths - steps) <= 8 * np.finfo(float).eps * (np.linalg.norm(x[:-2], axis=1) + steps))


def test_accbo_stays_where_the_direction_is_zero():
    """The normaliser is not divided by."""
    problem = Quadratic([[2.0]], [[1.0]], [6.0], target=[3.0], rho=1.0)
    result = minimize_bilevel(problem, [0.0], [3.0], method="accbo", budget=300, step=1.0, lower_step=0.5)
    assert result.x.tolist() == [0.0]
    assert result.status is Status.BUDGET


def test_accbo_without_look_ahead_and_average_makes_gradient_steps():
    """A step of y every step; with no look-ahead and no average it is a gradient step on each."""
    problem = PROBLEMS["quadratic"]()
    plain = {"nesterov": 0.0, "averaging": 1.0, "period": 1, "inner_steps": 1, "warm_steps": 0, "lower_step": 0.05}
    result = minimize_bilevel(
        problem, start(problem), method="accbo", budget=400, exact=True, step=0.1, record=1, **plain
    )
    y = np.zeros(problem.dim_y)
    for x in result.history["x"][1:-1]:  # y moves at the x of every step but the first
        y = y - 0.05 * problem.grad_g(x, y)
    assert result.y == near(y)


def test_same_sample_recursion_reduces_the_error_of_the_direction():
    """Squared errors around the exact hypergradient at the same point, against momentum without the correction (which
    lags behind) and against single samples (as large as those of a correction on another sample).

    The statistic is a mean over independent runs, far above five standard errors of itself: false alarm below 1e-6. It
    finds a correction that is missing, or that stores the old estimate.
    """
    problem = Quadratic.random(3, 2, noise=0.5, curvature_noise=0.5, n_samples=64, batch=2, rng=1)
    options = {
        **OPTIONS["accbo"],
        "momentum": 0.9,
        "step": 0.05,
        "decay": 0.0,
        "terms": 3,
        "period": 1,
        "inner_steps": 1,
    }
    factors = options["terms"]

    def squared(direction, x, mean):
        exact = Samples(problem, 0, True)

        def weigh(parts):
            return options["z_step"] * np.sum(parts, axis=0)

        true, _ = exact.hypergradient(x, mean, None, [None] * (factors - 1), None, weigh, options["z_step"])
        return np.sum((direction - true) ** 2)

    runs, steps = 60, 25
    gains, singles = [], []
    for seed in range(runs):
        errors = {}
        for corrected in (True, False):
            seen = []
            twin = accbo(
                problem, Samples(problem, seed, False), start(problem), np.zeros(2), **options, corrected=corrected,
                directions=seen,
            )  # fmt: skip
            for _ in range(steps):
                next(twin)
            errors[corrected] = np.mean([squared(m, x, mean) for m, _, x, mean in seen[15:]])
            if corrected:
                singles.append(np.mean([squared(g, x, mean) for _, g, x, mean in seen[15:]]) - errors[True])
                result = minimize_bilevel(
                    problem, start(problem), method="accbo", budget=10_000, rng=seed, record=steps,
                    callback=lambda so_far: True, **options,
                )  # fmt: skip
                assert result.memory[0, :3] == near(seen[-1][0])
        gains.append(errors[False] - errors[True])
    for sample in (gains, singles):
        assert np.mean(sample) > 5 * np.std(sample) / np.sqrt(runs)


class Own:
    """A user's problem: the oracles of another one, and the handles they were given."""

    def __init__(self, problem):
        self.problem, self.dim_x, self.dim_y, self.handles = problem, problem.dim_x, problem.dim_y, {}

    def sample(self, rng, level):
        return self.problem.sample(rng, level)

    def _ask(self, kind, *where):
        self.handles.setdefault(kind, []).append(tuple(where[-1]))
        return getattr(self.problem, kind)(*where)

    def grad_f(self, x, y, s=None):
        return self._ask("grad_f", x, y, s)

    def grad_g(self, x, y, s=None):
        return self._ask("grad_g", x, y, s)

    def hvp(self, x, y, v, s=None):
        return self._ask("hvp", x, y, v, s)

    def cvp(self, x, y, v, s=None):
        return self._ask("cvp", x, y, v, s)


@pytest.mark.parametrize("method", ["accbo", "mrbo"])
def test_both_points_of_a_users_problem_have_one_sample(method):
    own = Own(Quadratic.random(2, 3, batch=4, rng=0))
    minimize_bilevel(own, [1.0, 1.0], method=method, budget=400, rng=1, **OPTIONS[method])
    for kind in ("grad_f", "cvp"):
        first, *rest = own.handles[kind]
        pairs = list(zip(rest[::2], rest[1::2], strict=False))
        assert all(new == old for new, old in pairs)
        assert len({first, *(new for new, _ in pairs)}) == 1 + len(pairs) > 10
    products = own.handles["hvp"]
    assert products[3:6] == products[6:9]
    assert len(set(products[3:6])) == 3


# How runs end


@pytest.mark.parametrize("method", METHODS)
@sampled_or_not
def test_a_direction_that_overflows_ends_as_diverged(method, exact):
    """Sinh 800 is infinite where all iterates still are finite."""
    options = {"step": 0.1} | ({"lower_step": 0.1, "w_step": 0.1} if method == "f2sa" else {})
    problem = Cosh.random(2, 3, n_samples=4, batch=2, rng=0)
    result = minimize_bilevel(problem, [800.0, 800.0], method=method, budget=1000, rng=1, exact=exact, **options)
    assert result.status is Status.DIVERGED
    assert result.cost < 200
    assert np.isfinite(result.x).all()


@every_method
def test_it_does_so_also_with_the_last_call_of_the_budget(method):
    """The state tells, where the budget cannot."""
    problem = Cosh.random(2, 3, n_samples=4, batch=2, rng=0)
    given = {"method": method, "step": 0.1, "rng": 1}
    cost = minimize_bilevel(problem, [800.0, 800.0], budget=1000, **given).cost
    result = minimize_bilevel(problem, [800.0, 800.0], budget=cost, **given)
    assert (result.cost, result.status) == (cost, Status.DIVERGED)


def test_large_steps_end_as_diverged_and_a_result_continues():
    problem = Quadratic.random(2, 3, rng=0)
    for method in OPTIONS:
        if method != "accbo":
            result = minimize_bilevel(problem, [1.0, 1.0], method=method, budget=200_000, rng=1, step=1e4)
            assert result.status is Status.DIVERGED
    first = minimize_bilevel(problem, [1.0, 1.0], method="saba", budget=5000, rng=1, step=0.01)
    more = minimize_bilevel(problem, first, method="saba", budget=40, rng=1, step=0.01, lower_step=0.1)
    assert more.nit == first.nit + 10  # the tables are not filled again


# Bad input


class Uncalled:
    """A user's problem, whose every call is an error."""

    dim_x, dim_y = 2, 3

    def sample(self, rng, level):
        raise AssertionError("called")

    grad_f = grad_g = hvp = cvp = sample


def test_bad_input():
    problem = Quadratic.random(2, 3, rng=0)
    with pytest.raises(TypeError, match="problem must be a built-in finite sum for saba, got Uncalled"):
        minimize_bilevel(Uncalled(), [1.0, 1.0], method="saba", step=0.1)
    with pytest.raises(ValueError, match=r"averaging must be in \[0, 1\], got 1.5"):
        minimize_bilevel(problem, [1.0, 1.0], method="accbo", step=0.1, averaging=1.5)
    with pytest.raises(ValueError, match=r"nesterov must be in \[0, 1\), got 1"):
        minimize_bilevel(problem, [1.0, 1.0], method="accbo", step=0.1, nesterov=1.0)
    with pytest.raises(ValueError, match="cg_steps must be"):
        minimize_bilevel(problem, [1.0, 1.0], method="aid-cg", step=0.1, cg_steps=-1)
    other = minimize_bilevel(problem, [1.0, 1.0], method="soba", budget=40, step=0.1)
    with pytest.raises(ValueError, match="x0 must be a result of saba on this problem"):
        minimize_bilevel(problem, other, method="saba", step=0.1)
