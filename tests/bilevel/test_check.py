"""`check_problem`: a correct problem passes, and every planted fault is named by a sentence of its own."""

import numpy as np
import pytest

from pessimism.bilevel._differences import compare
from pessimism.bilevel.check import ProblemError, check_problem
from pessimism.bilevel.problem import OracleError
from pessimism.bilevel.problems import PessimismTuning, Ridge


class Model:
    """Nonlinear in both levels, with samples: every derivative changes with x and y.

    g = mean_i (a_i.y - b_i.x)^2 / 2 + e^{x_0} |y|^2 / 2 + sum y^4 / 4,
    f = mean_i (a_i.y - 1)^2 / 2 + sum cosh x + x_0 y_0.
    """

    def __init__(self, dim_x=2, dim_y=3, n=20):
        rng = np.random.default_rng(0)
        self.dim_x, self.dim_y, self.n = dim_x, dim_y, n
        self.a, self.b = rng.normal(size=(n, dim_y)), rng.normal(size=(n, dim_x))

    def rows(self, s):
        s = np.arange(self.n) if s is None else s
        return self.a[s], self.b[s]

    def sample(self, rng, level):
        return rng.integers(self.n, size=5)

    def f(self, x, y, s=None):
        a, _ = self.rows(s)
        return ((a @ y - 1) ** 2).mean() / 2 + np.cosh(x).sum() + x[0] * y[0]

    def g(self, x, y, s=None):
        a, b = self.rows(s)
        return ((a @ y - b @ x) ** 2).mean() / 2 + np.exp(x[0]) * y @ y / 2 + (y**4).sum() / 4

    def grad_f(self, x, y, s=None):
        a, _ = self.rows(s)
        gx, gy = np.sinh(x), a.T @ (a @ y - 1) / len(a)
        gx[0] += y[0]
        gy[0] += x[0]
        return gx, gy

    def grad_g(self, x, y, s=None):
        a, b = self.rows(s)
        return a.T @ (a @ y - b @ x) / len(a) + np.exp(x[0]) * y + y**3

    def grad_gx(self, x, y, s=None):
        a, b = self.rows(s)
        gx = -b.T @ (a @ y - b @ x) / len(a)
        gx[0] += np.exp(x[0]) * y @ y / 2
        return gx

    def hvp(self, x, y, v, s=None):
        a, _ = self.rows(s)
        return a.T @ (a @ v) / len(a) + np.exp(x[0]) * v + 3 * y**2 * v

    def cvp(self, x, y, v, s=None):
        a, b = self.rows(s)
        out = -b.T @ (a @ v) / len(a)
        out[0] += np.exp(x[0]) * y @ v
        return out

    def cross(self, x, y):
        return np.array([self.cvp(x, y, v) for v in np.eye(self.dim_y)]).T

    def solve_y(self, x):
        y = np.zeros(self.dim_y)
        for _ in range(40):
            y = y - np.linalg.solve([self.hvp(x, y, v) for v in np.eye(self.dim_y)], self.grad_g(x, y))
        return y


def at(problem):
    return np.full(problem.dim_x, 0.4), np.full(problem.dim_y, -0.3)


@pytest.mark.parametrize(("dim_x", "dim_y"), [(1, 1), (2, 3), (4, 2), (3, 3), (1, 60)])
def test_a_correct_problem_passes(dim_x, dim_y):
    problem = Model(dim_x, dim_y)
    x, y = at(problem)
    report = check_problem(problem, x, y)
    errors = (report.grad_f_x, report.grad_f_y, report.grad_g, report.grad_gx, report.hvp, report.cvp, report.samples)
    assert all(0 < error < 1e-6 for error in errors)  # truncation and rounding leave 1e-8 or so
    assert report.symmetry < 1e-12
    assert report.solve_y < 1e-12
    assert report.verdict.startswith("every oracle passed: the largest relative error is ")


@pytest.mark.parametrize("start", [0.0, 3.0, -5.0])
def test_it_passes_wherever_it_stands(start):
    problem = Model(2, 3)
    x = np.full(2, start)
    check_problem(problem, x, problem.solve_y(x))
    check_problem(problem, x, np.zeros(3), rng=1)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_it_passes_in_other_units(scale):
    problem, model = Model(), Model()
    for name in ("f", "g", "grad_g", "grad_gx", "hvp", "cvp"):
        setattr(problem, name, times(name, scale)(model)[name])
    problem.grad_f = lambda *a: tuple(scale * part for part in model.grad_f(*a))
    check_problem(problem, *at(problem))


def test_the_curvature_is_the_smallest_eigenvalue():
    class Constant(Model):  # no y^4, no e^x
        def __init__(self, dim_y):
            super().__init__(2, dim_y, n=200)

        sample = solve_y = f = g = grad_gx = None

        def grad_g(self, x, y, s=None):
            return self.a.T @ (self.a @ y - self.b @ x)

        def hvp(self, x, y, v, s=None):
            return self.a.T @ (self.a @ v)

        def cvp(self, x, y, v, s=None):
            return -self.b.T @ (self.a @ v)

    for dim_y, slack in ((3, 1e-10), (40, 1e-10), (90, 0.05)):  # beyond 40 an estimate from above
        problem = Constant(dim_y)
        smallest = np.linalg.eigvalsh(problem.a.T @ problem.a)[0]
        found = check_problem(problem, *at(problem)).curvature
        assert smallest * (1 - 1e-10) <= found <= smallest * (1 + slack)


def test_without_values_the_verdict_says_what_was_not_tested():
    problem = Model()
    problem.f = problem.g = problem.solve_y = problem.sample = None
    report = check_problem(problem, *at(problem))
    assert (report.grad_f_x, report.grad_f_y, report.grad_g, report.solve_y, report.samples) == (None,) * 5
    assert report.grad_gx < 1e-6
    assert report.verdict.endswith("without f, grad_f is tested less; without g, grad_g is tested less")


def test_no_coupling_is_no_fault():
    problem = Model()
    problem.sample, problem.g, problem.solve_y = None, lambda x, y: y @ y / 2, lambda x: np.zeros(3)
    problem.grad_g, problem.hvp = lambda x, y, s=None: 1.0 * y, lambda x, y, v, s=None: 1.0 * v
    problem.grad_gx = problem.cvp = lambda *a: np.zeros(2)
    check_problem(problem, *at(problem))


def test_what_is_remembered_of_x_must_not_be_of_y():
    problem, seen = Model(), {}
    exact = problem.hvp
    problem.hvp = lambda x, y, v, s=None: exact(x, seen.setdefault(x.tobytes(), y.copy()), v, s)
    with pytest.raises(ProblemError, match="hvp is not the derivative of grad_g in y"):
        check_problem(problem, *at(problem))


# Planted faults: each is what replaces oracles of the correct problem `m`, and a sentence.


def times(oracle, factor, **others):
    return lambda m: {oracle: lambda *a: factor * getattr(m, oracle)(*a), **others}


def plus(oracle, term, **others):
    """A term of x and y, and of v where the oracle takes it."""
    taken = 3 if oracle in ("hvp", "cvp") else 2
    return lambda m: {oracle: lambda *a: getattr(m, oracle)(*a) + term(*a[:taken]), **others}


def derived(g, grad_g, hvp, /, **others):
    """A term of the lower level with its derivatives, all right."""
    parts = plus("g", g), plus("grad_g", grad_g), plus("hvp", hvp)
    return lambda m: {name: oracle for part in parts for name, oracle in part(m).items()} | others


def halves(change):
    return lambda m: {"grad_f": lambda x, y, s=None: change(*m.grad_f(x, y, s), y)}


def first(v):
    return v * (np.arange(len(v)) == 0)


def turned(v):
    return np.append(v[1:], 0.0) - np.insert(v[:-1], 0, 0.0)


def bend(x, y, v):
    """Second derivative of the length of y."""
    r = np.linalg.norm(y)
    return v / r - y * (y @ v) / r**3


def flat(m):
    """g that ignores the sum of y, derived without a mistake: convex, but not strongly."""
    p = np.eye(m.dim_y) - 1 / m.dim_y
    return {
        "g": lambda x, y, s=None: m.g(x, p @ y, s),
        "grad_g": lambda x, y, s=None: p @ m.grad_g(x, p @ y, s),
        "hvp": lambda x, y, v, s=None: p @ m.hvp(x, p @ y, p @ v, s),
    }


def buffered(m):
    out = np.empty(m.dim_y)

    def grad_g(x, y, s=None):
        out[:] = m.grad_g(x, y, s)
        return out

    return {"grad_g": grad_g}


def overwriting(m):
    def grad_g(x, y, s=None):
        value = m.grad_g(x, y, s)
        y -= 0.1 * value
        return value

    return {"grad_g": grad_g}


def noisy(m):
    rng = np.random.default_rng(0)
    return {"grad_g": lambda x, y, s=None: m.grad_g(x, y, s) + (0.0 if s is None else 1e-3 * rng.normal(size=m.dim_y))}


def forgetful(m):
    rng = np.random.default_rng(0)
    return {"sample": lambda _, level: rng.integers(m.n, size=5)}


def raising(m):
    def hvp(x, y, v, s=None):
        raise RuntimeError("out of memory")

    return {"hvp": hvp}


def broken(oracle, bad):
    return lambda m: {oracle: lambda *a: np.append(getattr(m, oracle)(*a)[:-1], bad)}


def other_rows(oracle):
    """Right when exact, but a sample of its own."""

    def plant(m):
        def call(*a):
            *point, s = (*a, None)[: 4 if oracle in ("hvp", "cvp") else 3]
            return getattr(m, oracle)(*point, None if s is None else (s + 1) % m.n)

        return {oracle: call}

    return plant


FAULTS = {
    "factor of f": (times("f", 2.0), "grad_f is 0.5 times the gradient of f .*; or f is wrong, for both"),
    "sign of f": (times("f", -1.0), "grad_f has the wrong sign: .*; or f is wrong, for both"),
    "factor of g": (times("g", 2.0), "g is wrong, or all of grad_g, hvp and cvp are: grad_g is 0.5 times the gradient"),
    "sign of g": (times("g", -1.0), "g is wrong, or all of grad_g, hvp and cvp are: grad_g has the wrong sign"),
    "constant in grad_g": (plus("grad_g", lambda x, y: 1.0), "g is wrong, or grad_g is, by a term that hvp and cvp "
                           "lack too: grad_g is not the gradient of g in y"),
    "factor of grad_g without g": (times("grad_g", 2.0, g=None), "grad_g is 2 times what hvp and cvp say, or both of "
                                   "these are wrong$"),
    "factor of hvp without g": (times("hvp", 0.5, g=None), "hvp is 0.5 times the derivative of grad_g in y .*; or "
                                "grad_g is wrong, which g would tell"),
    "sign of grad_f in x": (halves(lambda gx, gy, y: (-gx, gy)), "grad_f in x has the wrong sign: it is minus the "),
    "sign of grad_f in y": (halves(lambda gx, gy, y: (gx, -gy)), "grad_f in y has the wrong sign: it is minus the "),
    "grad_f in x dropped": (halves(lambda gx, gy, y: (0 * gx, gy)), "grad_f in x is 0, but the gradient of f in x is"),
    "grad_f in y wrong": (halves(lambda gx, gy, y: (gx, gy + y**2)), "grad_f in y is not the gradient of f in y"),
    "halves of grad_f swapped": (halves(lambda gx, gy, y: (gy, gx)), "grad_f returns its halves in the wrong order: "
                                 "the gradient in x"),
    "grad_f without a pair": (halves(lambda gx, gy, y: gx), "grad_f must return a pair of gradients"),
    "sign of grad_g": (times("grad_g", -1.0), "grad_g has the wrong sign: it is minus the gradient of g in y"),
    "sign of grad_g without g": (times("grad_g", -1.0, g=None), "grad_g decreases along a direction: g is not strongly "
                                 "convex in y, unless grad_g has the wrong sign"),
    "factor of grad_g": (times("grad_g", 2.0), "grad_g is 2 times the gradient of g in y"),
    "grad_g without a term": (plus("grad_g", lambda x, y: -(y**3)), "grad_g is not the gradient of g in y"),
    "grad_g no gradient": (derived(lambda x, y: 0.0, lambda x, y: turned(y), lambda x, y, v: turned(v), g=None),
                           "hvp is not symmetric.*, and yet it is the derivative of grad_g in y: grad_g is no"),
    "kink": (derived(lambda x, y: 0.1 * np.linalg.norm(y), lambda x, y: 0.1 * y / np.linalg.norm(y),
                     lambda x, y, v: 0.1 * bend(x, y, v), solve_y=None),
             "grad_g jumps by 0.2 at y = 0: g has a kink there, like a norm where its square is meant"),
    "concave": (derived(lambda x, y: -10 * y @ y, lambda x, y: -20 * y, lambda x, y, v: -20 * v),
                r"grad_g decreases along a direction: g is not strongly convex in y \(at x"),
    "saddle": (derived(lambda x, y: 20 * y @ y - 22.5 * y[0] ** 2, lambda x, y: 40 * y - 45 * first(y),
                       lambda x, y, v: 40 * v - 45 * first(v)),
               "g is not strongly convex in y: hvp has the eigenvalue -[1-9]"),
    "flat": (flat, r"g is not strongly convex in y: hvp has the eigenvalue -?[0-9.]+e-[0-9]+ \(at x"),
    "sign of hvp": (times("hvp", -1.0), "hvp has the wrong sign: it is minus the derivative of grad_g in y"),
    "factor of hvp": (times("hvp", 0.5), "hvp is 0.5 times the derivative of grad_g in y"),
    "damped hvp": (plus("hvp", lambda x, y, v: 0.25 * v), "hvp adds 0.25 v: damping is an option of hypergradient"),
    "hvp without a term": (plus("hvp", lambda x, y, v: -3 * y**2 * v), "hvp is not the derivative of grad_g in y"),
    "asymmetric hvp": (plus("hvp", lambda x, y, v: 0.1 * np.roll(v, 1)),
                       r"hvp is not symmetric: <w, Hv> and <v, Hw> differ \(relative error [0-9.e-]+\)$"),
    "nonlinear hvp": (lambda m: {"hvp": lambda x, y, v, s=None: m.hvp(x, y, v / np.linalg.norm(v), s)},
                      "hvp is not linear in v"),
    "sign of cvp": (times("cvp", -1.0), "cvp has the wrong sign: it is minus the derivative of <grad_g, v> in x"),
    "factor of cvp": (times("cvp", 0.05), "cvp is 0.05 times the derivative of <grad_g, v> in x"),
    "transposed cvp": (lambda m: {"cvp": lambda x, y, v, s=None: m.cross(x, y).T @ v}, "cvp is transposed: it must"),
    "affine cvp": (plus("cvp", lambda x, y, v: 1.0), "cvp is not linear in v"),
    "cvp without a term": (plus("cvp", lambda x, y, v: -first(np.exp(x)) * (y @ v)),
                           "cvp is not the derivative of <grad_g, v> in x"),
    "sign of grad_gx": (times("grad_gx", -1.0), "grad_gx has the wrong sign: it is minus the gradient of g in x"),
    "grad_gx without g": (times("grad_gx", -1.0, g=None), "grad_gx has another derivative in y than cvp says"),
    "solve_y": (lambda m: {"solve_y": lambda x: m.solve_y(x) + 1e-4}, "solve_y does not minimise g"),
    "nan": (broken("hvp", np.nan), "hvp must return finite numbers, got nan"),
    "infinity": (broken("cvp", np.inf), "cvp must return finite numbers, got inf"),
    "shape": (lambda m: {"grad_g": lambda x, y, s=None: m.grad_g(x, y, s)[:, None]},
              r"grad_g must return . numbers, got shape \(., 1\)"),
    "value": (lambda m: {"g": lambda x, y, s=None: m.grad_g(x, y)}, "g must return one finite number"),
    "float32": (lambda m: {"hvp": lambda x, y, v, s=None: m.hvp(x, y, v, s).astype(np.float32)},
                "hvp computes in float32: float64 is needed"),
    "exception": (raising, "hvp raised RuntimeError: out of memory"),
    "buffer": (buffered, "grad_g returns the same memory at every call"),
    "mutation": (overwriting, "grad_g writes into the arrays it is given"),
    "chance outside the handle": (noisy, "grad_g returns two values for one sample handle"),
    "chance outside rng": (forgetful, "sample draws two handles from one state of rng"),
    "rows of hvp": (other_rows("hvp"), "hvp is not the derivative of grad_g in y on one sample .*: with one handle all "
                    "oracles of a level"),
    "rows of cvp": (other_rows("cvp"), "cvp is not the derivative of <grad_g, v> in x on one sample .*: with one ha"),
    "rows of grad_f": (other_rows("grad_f"), "grad_f in y is not the gradient of f in y .* on one sample"),
}  # fmt: skip


def planted(fault, *dims):
    wrong = Model(*dims)
    for name, oracle in FAULTS[fault][0](Model(*dims)).items():
        setattr(wrong, name, oracle)
    return wrong


@pytest.mark.parametrize("dims", [(2, 3), (3, 3)], ids=["dx < dy", "dx = dy"])
@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_named(fault, dims):
    wrong = planted(fault, *dims)
    with pytest.raises(ProblemError, match=f"^{FAULTS[fault][1]}"):
        check_problem(wrong, *at(wrong))


@pytest.mark.parametrize("fault", ["sign of hvp", "factor of grad_g", "sign of cvp", "kink", "damped hvp"])
def test_faults_are_named_in_one_dimension(fault):
    wrong = planted(fault, 1, 1)
    sentence = "hvp (adds|is)" if fault == "damped hvp" else FAULTS[fault][1]  # everything is a multiple of everything
    with pytest.raises(ProblemError, match=f"^{sentence}"):
        check_problem(wrong, *at(wrong))


def test_every_fault_has_a_sentence_of_its_own():
    sentences = [sentence for _, sentence in FAULTS.values()]
    assert len(set(sentences)) == len(sentences) >= 12


def test_a_wrong_problem_is_an_assertion_that_failed_and_keeps_its_cause():
    wrong = Model()
    wrong.hvp = lambda x, y, v, s=None: v[:2]
    with pytest.raises(AssertionError, match=r"hvp must return 3 numbers, got shape \(2,\)") as caught:
        check_problem(wrong, *at(wrong))
    assert isinstance(caught.value.__cause__, OracleError)


def test_one_wrong_case_is_enough():
    x, u = np.ones(2), np.array([0.6, 0.8])
    right, wrong = (lambda t: t**2, x, u, 2 * u), (lambda t: t**2, x, u, 3 * u)
    assert compare([right, right]).error < 1e-9
    for cases in ([wrong, right], [right, wrong]):
        # the allowance for rounding, 32 eps |f| / h over the tolerance of 1e-4, takes off some 1e-5 at h = 1e-5
        assert compare(cases).error == pytest.approx(1 / 3, rel=1e-5)


# Right problems at the edge of what float64 can tell.


class Spread(Model):
    """g = sum sqrt(y^2 + width^2) + |y|^2 / 2 - (sum x)(sum y), f = sum sin(pace x) + sum sin(pace y)."""

    sample = solve_y = grad_gx = None

    def __init__(self, dim_x=2, dim_y=3, pace=1.0, width=1.0):
        super().__init__(dim_x, dim_y)
        self.pace, self.width = pace, width

    def f(self, x, y):
        return np.sin(self.pace * x).sum() + np.sin(self.pace * y).sum()

    def g(self, x, y):
        return np.sqrt(y**2 + self.width**2).sum() + y @ y / 2 - x.sum() * y.sum()

    def grad_f(self, x, y, s=None):
        return self.pace * np.cos(self.pace * x), self.pace * np.cos(self.pace * y)

    def grad_g(self, x, y, s=None):
        return y / np.sqrt(y**2 + self.width**2) + y - x.sum()

    def hvp(self, x, y, v, s=None):
        return self.width**2 / (y**2 + self.width**2) ** 1.5 * v + v

    def cvp(self, x, y, v, s=None):
        return np.full(self.dim_x, -v.sum())


@pytest.mark.parametrize("width", [1e-2, 1e-4, 1e-5, 1e-8])
def test_a_rounded_corner_is_no_kink(width):
    check_problem(Spread(width=width), *at(Spread()))


@pytest.mark.parametrize("pace", [1e3, 1e4, 1e5])
def test_fast_functions_need_short_steps(pace):
    problem = Spread(pace=pace)
    check_problem(problem, *at(problem))
    problem.grad_f = lambda x, y, s=None: tuple(2 * part for part in Spread.grad_f(problem, x, y))
    with pytest.raises(ProblemError, match=r"^grad_f is 2 times the gradient of f "):
        check_problem(problem, *at(problem))


@pytest.mark.parametrize("scale", [30.0, 35.0, 40.0])
def test_exponents_of_many_sizes_are_convex(scale):
    tuning = PessimismTuning.random(4, 40, rho=0.1, rng=13)
    check_problem(tuning, np.full(tuning.dim_x, scale), np.zeros(tuning.dim_y))
    ridge, draw = Ridge.random(20, 20, dim=8, relevant=2, rng=0), np.random.default_rng(0)
    report = check_problem(ridge, scale * draw.normal(size=8), scale * draw.normal(size=8))
    assert report.curvature > 0


@pytest.mark.parametrize("dim_y", [8, 60])
def test_many_sizes_hide_no_singular_matrix(dim_y):
    class Fewer(Model):  # rows than columns
        sample = solve_y = f = g = grad_gx = None
        weights = np.geomspace(1e-9, 1.0, dim_y)

        def grad_g(self, x, y, s=None):
            return self.weights * (self.a.T @ (self.a @ (self.weights * y) - self.b @ x))

        def hvp(self, x, y, v, s=None):
            return self.weights * (self.a.T @ (self.a @ (self.weights * v)))

        def cvp(self, x, y, v, s=None):
            return -self.b.T @ (self.a @ (self.weights * v))

    problem = Fewer(2, dim_y, n=dim_y // 3)
    with pytest.raises(ProblemError, match=r"^g is not strongly convex in y: hvp has the eigenvalue"):
        check_problem(problem, *at(problem))


@pytest.mark.parametrize("start", [1.0, 0.1, 0.01, 1e-6])
def test_it_stays_among_the_allowed_points(start):
    class Positive(Spread):
        def f(self, x, y):
            return -np.log(x).sum() + y @ y / 2

        def grad_f(self, x, y, s=None):
            return -1 / x, 1.0 * y

    problem = Positive()
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(ProblemError, match=r"^f must .*nan.* \(at x = \[.*, y = \[.*, moved from the"),
    ):
        check_problem(problem, np.full(2, 0.01), np.zeros(3))
    problem.project_x = lambda x: np.maximum(x, 1e-6)
    check_problem(problem, np.full(2, start), np.zeros(3))


def test_bad_input():
    with pytest.raises(ValueError, match=r"x must have shape \(2,\), got \(3,\)"):
        check_problem(Model(), np.zeros(3), np.zeros(3))
    with pytest.raises(ValueError, match=r"y\[1\] must be finite"):
        check_problem(Model(), np.zeros(2), [0.0, np.nan, 0.0])
    bare = Model()
    bare.hvp = None
    with pytest.raises(TypeError, match="must have the oracle hvp, which check_problem needs"):
        check_problem(bare, np.zeros(2), np.zeros(3))
