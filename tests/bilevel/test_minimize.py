"""The face of all methods: history, callback, results, allowed sets, threads, bad input."""

import _thread
import re
import subprocess
import sys
import threading

import numpy as np
import pytest

from pessimism._status import Status
from pessimism.bilevel import METHODS, minimize_bilevel
from pessimism.bilevel.problem import OracleError
from pessimism.bilevel.problems import Cosh, Quadratic, Ridge
from tests.bilevel.cases import (
    OPTIONS,
    PROBLEMS,
    Own,
    every_method,
    near,
    same,
    start,
    users_method,
)


@every_method
def test_history_has_the_records(method):
    problem = PROBLEMS["quadratic"]()
    options = {"method": method, "budget": 300, "rng": 1, **OPTIONS[method]}
    every, some = (minimize_bilevel(problem, start(problem), record=n, **options) for n in (1, 4))
    assert same(every, some)  # looking changes nothing
    assert set(some.history) == {"nit", "cost", "x", "gradient_norm"}
    nit = some.history["nit"]
    assert nit[0] == 0
    assert nit[-1] == some.nit
    assert np.all(nit[:-1] % 4 == 0)
    assert np.array_equal(some.history["x"], every.history["x"][nit])
    assert np.array_equal(some.history["cost"][:-1], every.history["cost"][nit[:-1]])
    assert some.history["cost"][-1] == some.cost or some.nit % 4 == 0  # else the last record is of a whole step
    for x, norm in zip(some.history["x"], some.history["gradient_norm"], strict=True):
        assert norm == pytest.approx(np.linalg.norm(problem.gradient(x)), rel=1e-14)


def test_a_callback_sees_records_and_may_stop():
    problem = PROBLEMS["quadratic"]()
    seen = []

    def third(result):
        seen.append((result.nit, result.x.copy()))
        result.x[:] = np.nan  # its own copy
        return len(seen) == 3

    options = {"method": "soba", "record": 5, "rng": 1, **OPTIONS["soba"]}
    stopped = minimize_bilevel(problem, start(problem), budget=1000, callback=third, **options)
    assert [nit for nit, _ in seen] == [5, 10, 15]
    assert stopped.status is Status.STOPPED
    assert (stopped.nit, stopped.cost) == (15, 60.0)
    full = minimize_bilevel(problem, start(problem), budget=60, **options)
    assert same(stopped, full)
    assert np.array_equal(seen[-1][1], full.x)


def test_a_callback_sees_the_last_record_and_how_the_run_stands():
    seen = []
    problem = PROBLEMS["quadratic"]()
    result = minimize_bilevel(problem, start(problem), method="soba", budget=90, record=10, callback=seen.append,
                              rng=1, **OPTIONS["soba"])  # fmt: skip
    assert [r.nit for r in seen] == result.history["nit"][1:].tolist() == [10, 20, 22]
    assert [r.status for r in seen] == [Status.RUNNING, Status.RUNNING, Status.BUDGET]


@pytest.mark.usefixtures("interruptible")
def test_a_run_between_records_can_be_interrupted():
    problem = PROBLEMS["quadratic"]()
    threading.Timer(0.3, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        minimize_bilevel(problem, start(problem), method="soba", budget=1e15, record=10**9, **OPTIONS["soba"])


def test_a_gradient_is_a_stranger():
    """It may write into what it is given, and it is not asked where x is not finite."""

    class Rude(Own):
        def gradient(self, x):
            assert np.isfinite(x).all()
            x[:] = 0.0
            return x

    given = {"method": "soba", "budget": 40, "record": 1, **OPTIONS["soba"]}
    polite, rude = (minimize_bilevel(kind(PROBLEMS["quadratic"]()), np.ones(3), **given) for kind in (Own, Rude))
    assert np.array_equal(polite.x, rude.x)
    far = Rude(Cosh.random(3, 2, rng=0))
    assert minimize_bilevel(far, [9.0, -9.0, 9.0], **given | {"step": 1e9}).status is Status.DIVERGED


def test_arguments_are_left_as_they_were():
    problem = PROBLEMS["quadratic"]()
    x0, y0 = start(problem), np.ones(problem.dim_y)
    given = x0.copy(), problem.reals.copy()
    minimize_bilevel(problem, x0, y0, method="amigo", budget=99, rng=0, **OPTIONS["amigo"])
    assert np.array_equal(x0, given[0])
    assert np.array_equal(y0, np.ones(problem.dim_y))
    assert np.array_equal(problem.reals, given[1])


@users_method
def test_x_stays_where_the_problem_allows_it(method):
    """A box, for a user's problem; every iterate is the projection of the step."""

    class Boxed(Own):
        def project_x(self, x):
            return np.clip(x, -0.5, 0.5)

    problem = Boxed(Quadratic.random(3, 2, rng=1))
    x0 = np.array([4.0, -4.0, 0.2])
    options = OPTIONS.get(method, {"step": 0.3, "lower_step": 0.05})
    result = minimize_bilevel(problem, x0, method=method, budget=300, record=1, **options)
    assert np.array_equal(result.history["x"][0], [0.5, -0.5, 0.2])
    assert np.abs(result.history["x"]).max() <= 0.5
    assert np.abs(np.diff(result.history["x"], axis=0)).max() > 0


@pytest.mark.parametrize("method", ["soba", "saba"])
def test_a_box_on_a_built_in_problem_is_respected(method):
    """Its own rows are drawn, and a box that is never reached changes nothing."""

    class Boxed(Ridge):
        __slots__ = ("wide",)

        def project_x(self, x):
            return np.clip(x, -self.wide, self.wide)

    problem, free = Boxed.random(7, 5, dim=3, rng=0), Ridge.random(7, 5, dim=3, rng=0)
    for wide in (0.01, 1e9):
        object.__setattr__(problem, "wide", wide)
        given = {"method": method, "step": 0.5, "lower_step": 0.01, "budget": 100, "rng": 0}
        result = minimize_bilevel(problem, np.zeros(3), **given)
        assert np.abs(result.x).max() <= wide
    assert result.x == near(minimize_bilevel(free, np.zeros(3), **given).x)


def test_threads_may_start_their_first_runs_together():
    """In a fresh process, where the loop is not in memory yet: compiled, or read, by one of them for all."""
    code = """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from pessimism.bilevel import minimize_bilevel
from pessimism.bilevel.problems import Quartic
together = Barrier(4)
def first(_):
    problem = Quartic.random(2, 2, rng=1)
    together.wait()
    return minimize_bilevel(problem, [1.0, 1.0], method="soba", step=0.01, lower_step=0.01, budget=9, rng=1).ncalls
with ThreadPoolExecutor(4) as pool:
    assert len({tuple(calls.items()) for calls in pool.map(first, range(4))}) == 1
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# Bad input


class Untouchable(Own):
    """Any call is one too many."""

    def _ask(self, kind, *where):
        raise AssertionError(kind)


@every_method
def test_a_missing_oracle_is_named_before_any_call(method):
    for oracle in METHODS[method].needs:
        problem = Untouchable(PROBLEMS["quadratic"]())
        setattr(problem, oracle, None)
        text = f"problem must have the oracle {oracle}, which {method} needs, and Untouchable has none"
        with pytest.raises(TypeError, match=text):
            minimize_bilevel(problem, np.zeros(3), method=method, **OPTIONS[method])


@every_method
def test_an_unknown_option_is_answered_by_the_known_ones(method):
    known = ", ".join(METHODS[method].options)
    with pytest.raises(TypeError, match=f"{method} has no option 'stepp'; it has {known}$"):
        minimize_bilevel(Untouchable(PROBLEMS["quadratic"]()), np.zeros(3), method=method, stepp=1.0)


BAD = {
    "unknown method": ({"method": "sobo"}, ValueError, "method must be one of 'accbo', 'aid-cg', "),
    "x0 too long": ({"x0": np.zeros(4)}, ValueError, r"x0 must have shape \(3,\), got \(4,\)"),
    "x0 a number": ({"x0": 0.0}, ValueError, r"x0 must have shape \(3,\)"),
    "x0 NaN": ({"x0": [0.0, np.nan, 0.0]}, ValueError, r"x0\[1\]"),
    "x0 text": ({"x0": ["a", "b", "c"]}, TypeError, "x0"),
    "y0 too long": ({"y0": np.zeros(3)}, ValueError, r"y0 must have shape \(2,\), got \(3,\)"),
    "y0 infinite": ({"y0": [np.inf, 0.0]}, ValueError, r"y0\[0\]"),
    "budget negative": ({"budget": -1}, ValueError, "budget"),
    "budget endless": ({"budget": np.inf}, ValueError, "budget"),
    "budget NaN": ({"budget": np.nan}, ValueError, "budget"),
    "record 0": ({"record": 0}, ValueError, "record"),
    "record a fraction": ({"record": 1.5}, ValueError, "record"),
    "cost of nothing known": ({"costs": {"hessian": 1.0}}, ValueError, "costs"),
    "costs a list": ({"costs": [1, 2]}, TypeError, "costs must map kinds of calls to their costs, got list"),
    "callback a number": ({"callback": 3}, TypeError, "callback must be a function of a result, got 3"),
    "step infinite": ({"step": np.inf}, ValueError, "step must be at least 0 and finite"),
    "cost negative": ({"costs": {"hvp": -1.0}}, ValueError, r"costs\['hvp'\]"),
    "cost NaN": ({"costs": {"hvp": np.nan}}, ValueError, r"costs\['hvp'\]"),
    "cost 0, which ends no run": ({"costs": {"hvp": 0.0}}, ValueError, r"costs\['hvp'\]"),
    "step negative": ({"step": -0.1}, ValueError, "step"),
    "step NaN": ({"step": np.nan}, ValueError, "step"),
    "momentum 1": ({"momentum": 1.0}, ValueError, "momentum"),
    "warm_steps a fraction": ({"warm_steps": 2.5}, ValueError, "warm_steps"),
    "warm_steps negative": ({"warm_steps": -1}, ValueError, "warm_steps"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_named_before_any_call(case):
    changes, kind, text = BAD[case]
    arguments = {"x0": np.zeros(3), "y0": None, "method": "slip", **OPTIONS["slip"], **changes}
    problem = Untouchable(PROBLEMS["quadratic"]())
    with pytest.raises(kind, match=text):
        minimize_bilevel(problem, arguments.pop("x0"), arguments.pop("y0"), **arguments)


class Uncalled:
    dim_x, dim_y = 3, 2


def test_bad_options_of_methods_with_memory_are_named():
    problem = Quadratic.random(2, 3, rng=0)
    with pytest.raises(TypeError, match="problem must be a built-in finite sum for saba, got Untouchable"):
        minimize_bilevel(Untouchable(problem), [1.0, 1.0], method="saba", step=0.1)
    with pytest.raises(ValueError, match=r"averaging must be in \[0, 1\], got 1.5"):
        minimize_bilevel(problem, [1.0, 1.0], method="accbo", step=0.1, averaging=1.5)
    with pytest.raises(ValueError, match=r"nesterov must be in \[0, 1\), got 1"):
        minimize_bilevel(problem, [1.0, 1.0], method="accbo", step=0.1, nesterov=1.0)
    with pytest.raises(ValueError, match="cg_steps must be"):
        minimize_bilevel(problem, [1.0, 1.0], method="aid-cg", step=0.1, cg_steps=-1)
    other = minimize_bilevel(problem, [1.0, 1.0], method="soba", budget=40, step=0.1)
    with pytest.raises(ValueError, match="x0 must be a result of saba on this problem"):
        minimize_bilevel(problem, other, method="saba", step=0.1)


def test_a_budget_of_0_is_a_run_without_calls():
    x0 = np.arange(3.0)
    for method in set(METHODS) - {"saba"}:
        result = minimize_bilevel(Untouchable(PROBLEMS["quadratic"]()), x0, method=method, budget=0, **OPTIONS[method])
        assert (result.nit, result.cost, result.status) == (0, 0.0, Status.BUDGET)
        assert np.array_equal(result.x, x0)


def test_a_result_brings_its_own_y():
    problem = PROBLEMS["quadratic"]()
    result = minimize_bilevel(problem, np.zeros(3), method="soba", budget=9, rng=0, **OPTIONS["soba"])
    with pytest.raises(ValueError, match="y0 must be left out"):
        minimize_bilevel(problem, result, np.zeros(2), method="soba", budget=9, **OPTIONS["soba"])


WRONG = {
    "grad_f in x": ("grad_f", lambda x, y: (y, y), "bo-rep"),
    "grad_f in y": ("grad_f", lambda x, y: (x, x), "f2sa"),
    "grad_f must return a pair": ("grad_f", lambda x, y: np.concatenate([x, y]), "soba"),
    "grad_g": ("grad_g", lambda x, y: x, "slip"),
    "grad_gx": ("grad_gx", lambda x, y: y, "f2sa"),
    "hvp": ("hvp", lambda x, y, v: np.outer(v, v), "amigo"),
    "cvp": ("cvp", lambda x, y, v: v, "stocbio"),
    "hvp must return numbers": ("hvp", lambda x, y, v: 1j * v, "soba"),
    "project_x": ("project_x", lambda x: x[:2], "soba"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_oracle_of_the_wrong_shape_is_named(case):
    oracle, wrong, method = WRONG[case]
    problem = Own(PROBLEMS["quadratic"]())
    setattr(problem, oracle, lambda *arguments: wrong(*arguments[: wrong.__code__.co_argcount]))
    with pytest.raises(OracleError, match=case):
        minimize_bilevel(problem, np.ones(3), method=method, **OPTIONS[method])


def test_a_lower_level_without_curvature_is_told():
    for scale in (0.0, -1.0):
        problem = Own(PROBLEMS["quadratic"]())
        problem.hvp = lambda x, y, v, s=None, scale=scale: scale * v
        with pytest.raises(OracleError, match="hvp must come from a positive definite Hessian"):
            minimize_bilevel(problem, np.ones(3), method="slip", step=0.1)
    for bad in (np.nan, np.inf):
        problem.hvp = lambda x, y, v, s=None, bad=bad: bad * np.ones(2)
        result = minimize_bilevel(problem, np.ones(3), method="slip", step=0.1)
        assert (result.status, result.nit, result.options) == (Status.DIVERGED, 0, {})
        assert result.message.endswith(f"came from hvp, entry 0: {bad}")


def test_an_oracle_that_is_none_is_absent():
    problem = Own(PROBLEMS["quadratic"]())
    problem.sample = problem.project_x = problem.gradient = None
    result = minimize_bilevel(problem, np.ones(3), method="soba", budget=40, **OPTIONS["soba"])
    assert "gradient_norm" not in result.history
    assert np.array_equal(
        result.x,
        minimize_bilevel(Own(PROBLEMS["quadratic"]()), np.ones(3), method="soba", budget=40, **OPTIONS["soba"]).x,
    )


def test_a_problem_without_sizes_is_told():
    problem = Own(PROBLEMS["quadratic"]())
    for size, kind, text in (("2", TypeError, "dim_x"), (0, ValueError, "dim_x"), (2.5, ValueError, "dim_x")):
        problem.dim_x = size
        with pytest.raises(kind, match=text):
            minimize_bilevel(problem, np.ones(3), method="soba", **OPTIONS["soba"])
    with pytest.raises(TypeError, match="problem must have dim_x, the length of x, and object has none"):
        minimize_bilevel(object(), np.ones(3), method=lambda *_: None)
    with pytest.raises(TypeError, match="problem must be an object, got the class Uncalled"):
        minimize_bilevel(Uncalled, np.ones(3), method=lambda *_: None)


@users_method
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_oracles_that_return_nan_end_the_run(method, bad):
    problem = Own(PROBLEMS["quadratic"]())
    problem.grad_f = lambda x, y, s=None: (np.full(3, bad), np.full(2, bad))
    result = minimize_bilevel(problem, np.ones(3), method=method, budget=500, **OPTIONS[method])
    assert result.status is Status.DIVERGED
    first = rf"; the first number that is not came from grad_f in x, entry 0: {bad}$"
    assert re.search(first, result.message)
