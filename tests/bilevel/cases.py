"""What the tests of the methods share: options, problems, a user's problem, and how results are compared."""

import numpy as np
import pytest

from pessimism.bilevel import METHODS
from pessimism.bilevel.problem import KINDS
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
from tests.bilevel.twin_methods import BY_CALLS

NORMALISED = ("bo-rep", "slip")
LEVELS = {"lower_step": 0.05, "z_step": 0.07}
DOUBLE = {"step": 0.02, "inner_steps": 3, "terms": 4, "decay": 0.3, "decay_y": 0.2, **LEVELS}
STORM = {"step": 0.04, "terms": 3, "weight": 0.6, "decay": 0.3, "weight_decay": 0.2, **LEVELS}
OPTIONS = {  # none at its default, so that a number read from the wrong place shows
    "bo-rep": {"step": 0.3, "momentum": 0.7, "period": 3, "inner_steps": 4, "radius": 0.15, "decay": 0.4, "epochs": 2,
               "epoch_length": 3, "epoch_step": 0.11, "epoch_radius": 0.5, **LEVELS},
    "slip": {"step": 0.3, "momentum": 0.7, "decay": 0.4, "warm_steps": 4, "warm_step": 0.11, **LEVELS},
    "soba": {"step": 0.03, "lower_step": 0.05, "decay": 0.4},
    "ma-soba": {"step": 0.03, "lower_step": 0.05, "weight": 0.3, "clip": 0.8, "decay": 0.2},
    "amigo": DOUBLE, "stocbio": DOUBLE, "bsa": DOUBLE, "ttsa": {**DOUBLE, "inner_steps": 2},
    "f2sa": {"step": 0.02, "inner_steps": 3, "lower_step": 0.03, "w_step": 0.06, "penalty": 2.0, "penalty_growth": 0.1,
             "decay": 0.3},
    "accbo": {"step": 0.3, "momentum": 0.7, "nesterov": 0.4, "averaging": 0.3, "period": 3, "inner_steps": 2,
              "terms": 4, "decay": 0.4, "warm_steps": 3, "warm_step": 0.11, **LEVELS},
    "sustain": STORM,
    "mrbo": STORM,
    "saba": {"step": 0.01, "lower_step": 0.05},
    "aid-cg": {"step": 0.04, "inner_steps": 3, "lower_step": 0.05, "cg_steps": 2, "decay": 0.3},
    "itd": {"step": 0.04, "inner_steps": 3, "lower_step": 0.05, "decay": 0.3},
}  # fmt: skip
SMALL = {"n_samples": 6, "batch": 3}
NOISY = {"noise": 0.3, "curvature_noise": 0.4, **SMALL}
PROBLEMS = {
    "quadratic": lambda: Quadratic.random(3, 2, **NOISY, rng=1),
    "quadratic, one by one": lambda: Quadratic.random(1, 1, **NOISY, rng=2),
    "cosh": lambda: Cosh.random(2, 3, **NOISY, rng=3),
    "cosh, one by one": lambda: Cosh.random(1, 1, **NOISY, rng=4),
    "quartic": lambda: Quartic.random(2, 4, **NOISY, rng=5),
    "ridge": lambda: Ridge.random(7, 5, dim=3, rho=0.2, batch=3, rng=6),
    "ridge, one penalty": lambda: Ridge.random(7, 5, dim=3, rho=0.2, per_coordinate=False, batch=3, rng=7),
    "ridge, one by one": lambda: Ridge.random(4, 1, dim=1, batch=2, rng=8),
    "representation": lambda: HyperRepresentation.random(7, 5, dim=3, width=2, batch=3, rng=9),
    "representation, one by one": lambda: HyperRepresentation.random(4, 3, dim=1, width=1, batch=2, rng=10),
    "cleaning": lambda: HyperCleaning.random(6, 4, dim=2, damping=0.1, rho=0.2, batch=3, rng=11),
    "cleaning, one by one": lambda: HyperCleaning.random(1, 1, dim=1, flipped=0.0, rng=12),
    "logistic": lambda: LogisticRidge.random(7, 66, dim=3, rho=0.2, batch=6, rng=15),
    "logistic, one penalty": lambda: LogisticRidge.random(67, 5, dim=3, rho=0.2, per_coordinate=False, rng=16),
    "logistic, terms of rows": lambda: LogisticRidge.random(9, 6, dim=3, batch=2, block=3, rng=18),
    "logistic, one by one": lambda: LogisticRidge.random(4, 1, dim=1, batch=2, rng=17),
    "tuning": lambda: PessimismTuning.random(4, 40, rho=0.1, rng=13),
    "tuning, one arm": lambda: PessimismTuning.random(1, 5, rho=0.1, rng=14),
}
LOOPED = ("quadratic", "quadratic, one by one", "quartic", "cosh", "ridge", "ridge, one penalty", "cleaning", "tuning")
every_method = pytest.mark.parametrize("method", METHODS)
method_by_calls = pytest.mark.parametrize("method", BY_CALLS)
every_problem = pytest.mark.parametrize("make", PROBLEMS.values(), ids=PROBLEMS)
a_few_problems = pytest.mark.parametrize("make", [PROBLEMS[name] for name in LOOPED], ids=LOOPED)
normalised = pytest.mark.parametrize("method", NORMALISED)
users_method = pytest.mark.parametrize("method", sorted(set(METHODS) - {"saba"}))
sampled_or_not = pytest.mark.parametrize("exact", [False, True])


def start(problem, seed=0):
    return np.random.default_rng(seed).normal(size=problem.dim_x)


def near(expected, rel=1e-12):
    return pytest.approx(expected, rel=rel, abs=rel * (1 + np.abs(expected).max()))


def same(a, b):
    """Whether two results agree to the last bit."""
    kept = [(getattr(a, name), getattr(b, name)) for name in ("x", "y", "z")]
    if a.memory is not None:
        kept += zip(a.memory, b.memory, strict=True)
    return all(np.array_equal(one, other, equal_nan=True) for one, other in kept)


class Own:
    """A user's problem: the oracles of another one, as plain functions, and a count of the calls."""

    def __init__(self, problem, *, sampled=False):
        self.problem, self.dim_x, self.dim_y = problem, problem.dim_x, problem.dim_y
        self.calls = dict.fromkeys(KINDS, 0)
        if sampled:
            self.sample = problem.sample

    def _ask(self, kind, *where):
        self.calls[kind] += 1
        return getattr(self.problem, kind)(*where)

    def grad_f(self, x, y, s=None):
        return self._ask("grad_f", x, y, s)

    def grad_g(self, x, y, s=None):
        return self._ask("grad_g", x, y, s)

    def grad_gx(self, x, y, s=None):
        return self._ask("grad_gx", x, y, s)

    def hvp(self, x, y, v, s=None):
        return self._ask("hvp", x, y, v, s)

    def cvp(self, x, y, v, s=None):
        return self._ask("cvp", x, y, v, s)
