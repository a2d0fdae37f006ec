"""What `check_problem` asks beyond derivatives: the gradient, the projection, samples; and that all faults are told."""

import numpy as np
import pytest

from pessimism.bilevel.check import ProblemError, check_problem
from pessimism.bilevel.problems import (
    Cosh,
    HyperCleaning,
    HyperRepresentation,
    LogisticRidge,
    PessimismTuning,
    Quadratic,
    Quartic,
    Ridge,
)

NOISY = {"n_samples": 16, "batch": 2, "rng": 0}
RIGHT = [
    Quadratic.random(2, 3, noise=1.0, curvature_noise=0.5, **NOISY),
    Cosh.random(3, 2, **NOISY),
    Quartic.random(2, 2, **NOISY),
    Ridge.random(40, 40, dim=4, relevant=2, rng=0),
    HyperCleaning.random(40, 30, dim=4, batch=8, rng=0),
    HyperRepresentation.random(rng=0),
    LogisticRidge.random(rng=0),
    PessimismTuning.random(rng=0),
]


class Weighted:
    """Rows with weights e^x_i: a sample is a batch of rows, drawn with replacement, so that a row may come twice."""

    dim_x, dim_y, batch = 12, 3, 4

    def __init__(self):
        rng = np.random.default_rng(1)
        self.rows, self.outputs = rng.normal(size=(self.dim_x, self.dim_y)), rng.normal(size=self.dim_x)

    def sample(self, rng, level):
        return rng.integers(self.dim_x, size=self.batch)

    def at(self, x, y, s):
        s = np.arange(self.dim_x) if s is None else s
        a = self.rows[s]
        return s, a, np.exp(x[s]), a @ y - self.outputs[s]

    def scattered(self, s, values):
        out = np.zeros(self.dim_x)
        np.add.at(out, s, values / len(s))
        return out

    def f(self, x, y):
        return 0.5 * (y - 1) @ (y - 1) + 0.05 * x @ x

    def grad_f(self, x, y, s=None):
        return 0.1 * x, y - 1

    def grad_g(self, x, y, s=None):
        s, a, w, gap = self.at(x, y, s)
        return a.T @ (w * gap) / len(s) + y

    def hvp(self, x, y, v, s=None):
        s, a, w, _ = self.at(x, y, s)
        return a.T @ (w * (a @ v)) / len(s) + v

    def cvp(self, x, y, v, s=None):
        s, a, w, gap = self.at(x, y, s)
        return self.scattered(s, w * gap * (a @ v))

    def grad_gx(self, x, y, s=None):
        s, _, w, gap = self.at(x, y, s)
        return self.scattered(s, 0.5 * w * gap**2)

    def system(self, x, y):
        return np.linalg.solve([self.hvp(x, y, e) for e in np.eye(self.dim_y)], y - 1)

    def solve_y(self, x):
        zero = np.zeros(self.dim_y)
        return np.linalg.solve([self.hvp(x, zero, e) for e in np.eye(self.dim_y)], -self.grad_g(x, zero))

    def gradient(self, x):
        y = self.solve_y(x)
        return 0.1 * x - self.cvp(x, y, self.system(x, y))

    def project_x(self, x):
        return np.clip(x, -0.5, 2.0)


class Assigns(Weighted):
    def scattered(self, s, values):
        out = np.zeros(self.dim_x)
        out[s] = values / len(s)
        return out


def started(problem):
    return np.full(problem.dim_x, 0.3), np.full(problem.dim_y, -0.2)


@pytest.mark.parametrize("problem", [*RIGHT, Weighted()], ids=lambda problem: type(problem).__name__)
def test_right_problems_pass_for_every_seed(problem):
    for seed in range(2):
        report = check_problem(problem, *started(problem), rng=seed)
    assert report.gradient < 1e-6
    assert report.samples < 1e-5


def test_the_gradient_needs_no_solver_of_the_lower_level():
    problem = Weighted()
    problem.solve_y = None
    problem.gradient = lambda x: Weighted().gradient(x)
    assert check_problem(problem, *started(problem)).gradient < 1e-9


def test_a_row_that_comes_twice_counts_twice():
    """Assigned, it counts once: that is seen for every seed, by the sampled derivatives or by their mean."""
    for seed in range(20):
        with pytest.raises(ProblemError, match=r"^(cvp|grad_gx) .* on (one|a) sample"):
            check_problem(Assigns(), *started(Assigns()), rng=seed)


def times(name, factor, sampled=False):
    """An oracle that is too large; if so said, on samples alone."""

    def plant(problem):
        def oracle(*a):
            exact = len(a) < (4 if name in ("hvp", "cvp") else 3) or a[-1] is None
            return getattr(problem, name)(*a) * (1.0 if sampled and exact else factor)

        return {name: oracle}

    return plant


def together(*plants):
    return lambda problem: {name: oracle for plant in plants for name, oracle in plant(problem).items()}


def boxed(problem):
    """Onto the right box, by making all of x smaller."""
    return {"project_x": lambda x: x / max(1.0, np.abs(x).max())}


SUMS = together(*(times(name, 3.0, sampled=True) for name in ("grad_g", "hvp", "cvp", "grad_gx")))
FAULTS = {
    "sign of gradient": (times("gradient", -1.0), "gradient has the wrong sign: it is minus the gradient of F"),
    "factor of gradient": (times("gradient", 2.0), "gradient is 2 times the gradient of F"),
    "gradient without y": (lambda p: {"gradient": lambda x: 0.1 * x}, "gradient is f_x alone: y moves with x"),
    "gradient with C z added": (
        lambda p: {"gradient": lambda x: 0.2 * x - Weighted.gradient(p, x)},
        "gradient adds C z, which is to be subtracted",
    ),
    "gradient at another y": (
        lambda p: {"gradient": lambda x: 0.1 * x - p.cvp(x, np.ones(3), p.system(x, np.zeros(3)))},
        "gradient is not the gradient of F, f_x - C z",
    ),
    "sums for means": (SUMS, "grad_g on a sample is on average (2.9|3|3.1) times the exact one"),
    "a fifth less of f": (
        lambda p: {"grad_f": lambda x, y, s=None: (0.1 * x, (y - 1) * (1.0 if s is None else 0.8))},
        "grad_f on a sample is on average 0.[0-9]+ times the exact one",
    ),
    "half a projection": (lambda p: {"project_x": lambda x: 0.9 * x}, "project_x moves a point that it has moved, by"),
    "another projection": (boxed, "project_x is not the nearest allowed x: its answer is"),
    "grad_gx on samples": (
        times("grad_gx", 2.0, sampled=True),
        "grad_gx has another derivative in y than cvp says .* on one",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_named_for_every_seed(fault):
    plant, sentence = FAULTS[fault]
    for seed in range(5):
        wrong = Weighted()
        vars(wrong).update(plant(Weighted()))
        with pytest.raises(ProblemError, match=f"^{sentence}"):
            check_problem(wrong, *started(wrong), rng=seed)


def test_all_faults_are_told_and_nothing_that_follows_from_them():
    wrong, right = Weighted(), Weighted()
    wrong.hvp = lambda *a: -right.hvp(*a)
    wrong.project_x = lambda x: 0.9 * x
    wrong.grad_f = lambda x, y, s=None: (0.1 * x, 1 - y)
    with pytest.raises(ProblemError) as error:
        check_problem(wrong, *started(wrong))
    told = [line.partition(" ")[0] + " " + line.split()[1] for line in str(error.value).split("\n")]
    assert told == ["grad_f in", "And hvp", "And project_x"]
