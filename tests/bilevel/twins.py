"""Kernels and the tests that hold their plain twins; helpers are reached through the kernels."""

from pathlib import Path

_ENGINE, _METHODS = "pessimism/bilevel/_engine", "pessimism/bilevel/methods"
_ORACLES = ("grad_f", "grad_g", "hvp", "cvp", "grad_gx")
_PROBLEMS, _LOOPS = "tests/bilevel/test_problems.py", "tests/bilevel/test_methods.py"

TWINS = {
    f"{_ENGINE}/quadratic.py": dict.fromkeys(
        (*_ORACLES[1:], "quadratic_grad_f", "cosh_grad_f", "quartic_grad_f"), _PROBLEMS
    ),
    f"{_ENGINE}/least_squares.py": dict.fromkeys(
        (f"{name}_{oracle}" for name in ("ridge", "representation") for oracle in _ORACLES), _PROBLEMS
    ),
    f"{_ENGINE}/logistic.py": dict.fromkeys((*_ORACLES[:3], "slope", "products", "add"), _PROBLEMS),
    f"{_ENGINE}/cleaning.py": dict.fromkeys(_ORACLES, _PROBLEMS),
    f"{_ENGINE}/tuning.py": dict.fromkeys(_ORACLES, _PROBLEMS),
}
TWINS |= {
    f"{_METHODS}/{file.name}": {"_run": _LOOPS} for file in (Path(__file__).parents[2] / _METHODS).glob("[!_]*.py")
}
HELPERS = {
    f"{_ENGINE}/calls.py": {
        *_ORACLES, "refused", "refuse_if_unaffordable", "call", "draw", "fresh", "samples_of_g", "stay",
        "uniform_below", "norm",
    },
    f"{_ENGINE}/cleaning.py": {"sigmoid", "product"},
    f"{_ENGINE}/estimates.py": {"apply_factors", "hypergradient", "recur"},
    f"{_ENGINE}/least_squares.py": {"slope", "lower", "head_slope"},
    f"{_ENGINE}/logistic.py": {"spread", "touch"},
    f"{_ENGINE}/quadratic.py": {"noise", "bounded_grad_f"},
    f"{_ENGINE}/steps.py": {
        "copy", "begin", "keep_or_undo", "subtract", "descend", "descend_and_project", "descend_x", "descend_y",
    },
    f"{_METHODS}/accbo.py": {"_accelerate"},
    f"{_METHODS}/aid_cg.py": {"_dot", "_conjugate_gradients"},
    f"{_METHODS}/bo_rep.py": {"_update_y"},
    f"{_METHODS}/saba.py": {"_name", "_evaluate_g", "_exchange", "_fill", "_clear"},
}  # fmt: skip
