"""Steps of the user's own: the built-in methods written again, the budget, what is kept, and what is refused."""

import re

import numpy as np
import pytest

from pessimism._status import Status
from pessimism.bilevel import SolverState, minimize_bilevel
from pessimism.bilevel.problem import KINDS, OracleError
from pessimism.bilevel.problems import Cosh, Quadratic
from pessimism.testing import check_solver
from tests.bilevel.cases import Own

PROBLEM = Quadratic.random(3, 2, noise=0.3, n_samples=6, batch=3, rng=1)
X0 = np.array([1.0, -2.0, 0.5])


def soba(problem, state, rng, *, step, lower_step):
    f, g = problem.sample(rng, "f"), problem.sample(rng, "g")
    fx, fy = problem.grad_f(state.x, state.y, f)
    below = problem.grad_g(state.x, state.y, g)
    product = problem.hvp(state.x, state.y, state.z, problem.sample(rng, "g"))
    cross = problem.cvp(state.x, state.y, state.z, problem.sample(rng, "g"))
    rate = 1.0 / np.sqrt(1.0 + state.nit)
    return state._replace(
        x=problem.project_x(state.x - step * rate * (fx - cross)),
        y=state.y - lower_step * rate * below,
        z=state.z - lower_step * rate * (product - fy),
    )


def normalised(problem, state, rng, *, step=0.1, momentum=0.5):
    """SLIP with a constant step; its momentum is the memory."""
    fx, fy = problem.grad_f(state.x, state.y, problem.sample(rng, "f"))
    below = problem.grad_g(state.x, state.y, problem.sample(rng, "g"))
    product = problem.hvp(state.x, state.y, state.z, problem.sample(rng, "g"))
    cross = problem.cvp(state.x, state.y, state.z, problem.sample(rng, "g"))
    old = np.zeros(problem.dim_x) if state.memory is None else state.memory
    m = momentum * old + (1 - momentum) * (fx - cross)
    length = np.linalg.norm(m)
    x = state.x - step * m / length if length > 0 else state.x
    return SolverState(x, state.y - 0.2 * below, state.z - 0.2 * (product - fy), state.nit, m)


RATES = {"step": 0.03, "lower_step": 0.05}


@pytest.mark.parametrize("budget", [0, 3, 4, 203])
def test_a_method_written_again_is_that_method(budget):
    """With exact oracles, wherever the budget ends."""
    given = {"budget": budget, "exact": True, "record": 7, **RATES}
    own = minimize_bilevel(PROBLEM, X0, method=soba, **given)
    built_in = minimize_bilevel(PROBLEM, X0, method="soba", **given)
    assert (own.nit, own.status) == (built_in.nit, Status.BUDGET)
    assert (own.ncalls, own.cost) == (built_in.ncalls, budget)
    for name in ("x", "y", "z"):
        assert getattr(own, name) == pytest.approx(getattr(built_in, name), rel=1e-12, abs=1e-15)
    assert set(own.history) == set(built_in.history)
    assert own.history["gradient_norm"] == pytest.approx(built_in.history["gradient_norm"], rel=1e-12)
    assert (own.method, own.options) == ("soba", RATES)


def test_samples_are_those_of_the_problem_and_of_rng_alone():
    runs = [minimize_bilevel(PROBLEM, X0, method=soba, budget=80, rng=seed, **RATES).x for seed in (1, 1, 2)]
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])
    rng = np.random.default_rng(1)
    rows = PROBLEM.sample(rng, "f")
    fx, _ = PROBLEM.grad_f(X0, np.zeros(2), rows)
    first = minimize_bilevel(PROBLEM, X0, method=soba, budget=4, rng=1, **RATES)
    assert np.array_equal(first.x, X0 - 0.03 * fx)  # z is 0, and rows of f are drawn first


@pytest.mark.parametrize("exact", [False, True])
def test_a_run_in_pieces_is_one_run(exact):
    given = {"method": normalised, "exact": exact}
    whole = minimize_bilevel(PROBLEM, X0, budget=40, rng=3, **given)
    rng = np.random.default_rng(3)
    first = minimize_bilevel(PROBLEM, X0, budget=12, rng=rng, **given)
    kept = first.memory.copy()
    second = minimize_bilevel(PROBLEM, first, budget=28, rng=rng, **given)
    assert np.array_equal(second.x, whole.x)
    assert np.array_equal(second.memory, whole.memory)
    assert np.array_equal(first.memory, kept)
    assert second.nit == whole.nit == 10


def test_it_can_be_checked_like_any_solver():
    def solver(problem, x0, y0, *, budget, rng):
        return minimize_bilevel(problem, x0, y0, method=normalised, budget=budget, rng=rng, record=1)

    check_solver(solver, normalised=True, step=0.1, resumable=True, examples=5)


def test_the_state_of_the_last_whole_step_stays():
    """Also where the step catches what ends it, or writes into the state it was given."""

    def stubborn(problem, state, rng):
        for vector in state[:3]:
            vector += 1.0
        try:
            while True:
                problem.grad_g(state.x, state.y)
        except BaseException:
            return state

    result = minimize_bilevel(PROBLEM, X0, method=stubborn, budget=9)
    assert np.array_equal(result.x, X0)
    assert (result.nit, result.cost, result.status) == (0, 9.0, Status.BUDGET)


def test_a_refusal_holds_for_every_later_call():
    """Also for samples, and for calls that the rest of the budget would hold, in a step that goes on."""
    drawn = []

    class Watched(Own):
        def sample(self, rng, level):
            drawn.append(level)

    def stubborn(problem, state, rng):
        for name in ["grad_f"] * 4 + ["hvp", "grad_g", "sample", "cvp", "hvp", "grad_g"]:
            vectors = (state.x, state.y, state.z)[: 3 if name in ("hvp", "cvp") else 2]
            try:
                getattr(problem, name)(*((rng, "g") if name == "sample" else vectors))
            except BaseException:
                continue
        return state

    own = Watched(PROBLEM)
    result = minimize_bilevel(own, X0, method=stubborn, budget=10, costs={"hvp": 7.0})
    assert (result.nit, result.cost, result.status, drawn) == (0, 4.0, Status.BUDGET, [])
    assert own.calls == result.ncalls == dict.fromkeys(KINDS, 0) | {"grad_f": 4}


def test_costs_and_the_box_are_respected():
    class Boxed(Own):
        def project_x(self, x):
            return np.clip(x, -0.1, 0.1)

    result = minimize_bilevel(Boxed(PROBLEM), X0, method=soba, budget=50, costs={"hvp": 3.0}, step=1.0, lower_step=0.1)
    assert (result.nit, result.cost) == (8, 50.0)  # a step costs 6; of the ninth, the two first calls
    assert result.ncalls == {"grad_f": 9, "grad_g": 9, "grad_gx": 0, "hvp": 8, "cvp": 8}
    assert np.abs(result.x).max() <= 0.1


def test_a_divergence_is_a_status_and_a_callback_may_stop():
    cosh = Cosh.random(3, 2, rng=0)
    result = minimize_bilevel(cosh, [9.0, -9.0, 9.0], method=soba, budget=400, exact=True, step=3.0, lower_step=0.1)
    assert result.status is Status.DIVERGED
    assert result.nit == result.history["nit"][-1] > 0
    stopped = minimize_bilevel(PROBLEM, X0, method=soba, budget=400, record=2, callback=lambda r: r.nit == 4, **RATES)
    assert (stopped.status, stopped.nit) == (Status.STOPPED, 4)


def idle(problem, state, rng):
    return state


def forgetful(problem, state, rng):
    problem.grad_g(state.x, state.y)


def short(problem, state, rng):
    problem.grad_g(state.x, state.y)
    return state._replace(y=state.y[:1])


def first_order(problem, state, rng):
    problem.grad_gx(state.x, state.y)
    return state


class Lacking:
    dim_x, dim_y = 3, 2

    def grad_g(self, x, y, s=None):
        return np.zeros(3)

    def grad_f(self, x, y, s=None):
        return np.zeros(5)


@pytest.mark.parametrize(
    ("problem", "method", "kind", "text"),
    [
        (PROBLEM, idle, ValueError, "method must call an oracle in every step, or no budget ends it; it called none"),
        (PROBLEM, forgetful, TypeError, "method must return a SolverState, got NoneType"),
        (PROBLEM, short, OracleError, "method in y must return 2 numbers, got shape (1,)"),
        (Lacking(), first_order, TypeError, "problem must have the oracle grad_gx, which method needs, and Lacking"),
        (Lacking(), forgetful, OracleError, "grad_g must return 2 numbers, got shape (3,)"),
        (Lacking(), normalised, OracleError, "grad_f must return a pair of gradients, in x and in y, got ndarray"),
        (PROBLEM, 3, ValueError, "method must be one of 'accbo', 'aid-cg'"),
    ],
)
def test_bad_input(problem, method, kind, text):
    with pytest.raises(kind, match=re.escape(text)):
        minimize_bilevel(problem, X0, method=method)


def test_a_result_belongs_to_its_method():
    own = minimize_bilevel(PROBLEM, X0, method=normalised, budget=40)
    text = "x0 must be a result of soba on this problem, got one of normalised with x of shape (3,): to change"
    with pytest.raises(ValueError, match=re.escape(text)):
        minimize_bilevel(PROBLEM, own, method="soba", **RATES)
    with pytest.raises(ValueError, match="x0 must be a result of soba on this problem"):
        minimize_bilevel(Quadratic.random(2, 2, rng=0), own, method=soba, **RATES)
