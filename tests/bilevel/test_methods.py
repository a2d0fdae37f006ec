"""Methods against their formulas and against themselves: twins, compiled and plain loops, users' oracles, options."""

from pathlib import Path

import numpy as np
import pytest

from pessimism._status import Status
from pessimism.bilevel import METHODS, methods, minimize_bilevel
from pessimism.bilevel.problems import Quadratic
from tests.bilevel import twin_methods as twins
from tests.bilevel.cases import (
    OPTIONS,
    PROBLEMS,
    Own,
    a_few_problems,
    every_method,
    method_by_calls,
    near,
    same,
    sampled_or_not,
    start,
    users_method,
)


@pytest.mark.kernels
@a_few_problems
@method_by_calls
@pytest.mark.parametrize("exact", [False, True])
def test_a_method_is_its_formula(make, method, exact):
    """On the same uniforms; the budget ends most of these runs in the middle of a step."""
    problem = make()
    y0 = np.random.default_rng(1).normal(size=problem.dim_y)
    shared = {"budget": 107, "rng": 8, "exact": exact}
    result = minimize_bilevel(problem, start(problem), y0, method=method, record=1, **shared, **OPTIONS[method])
    twin = twins.run(method, problem, start(problem), y0, **shared, options=OPTIONS[method])
    assert (result.nit, result.ncalls, result.cost) == (twin.nit, twin.calls, twin.cost)
    assert result.nit > 5
    for name in ("x", "y", "z"):
        assert getattr(result, name) == near(getattr(twin, name)), name
    assert result.history["x"][: twin.nit + 1] == near(np.array(twin.path))


@pytest.mark.kernels
@a_few_problems
@pytest.mark.parametrize("method", twins.BY_MATRICES)
@sampled_or_not
def test_a_method_with_memory_is_its_formula(make, method, exact):
    """On the same uniforms; steps enough for two periods of AccBO's y."""
    problem, steps = make(), 8
    y0 = np.random.default_rng(1).normal(size=problem.dim_y)
    samples = twins.Samples(problem, 8, exact)
    twin = twins.BY_MATRICES[method](problem, samples, start(problem), y0, **OPTIONS[method])
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


def test_every_method_has_its_entries_here():
    """A method is its file, its twin and its options; these none at its default, so that a mix-up shows."""
    files = {file.stem.replace("_", "-") for file in Path(methods.__file__).parent.glob("[!_]*.py")}
    assert files == set(METHODS) == set(OPTIONS) == set(twins.BY_CALLS) | set(twins.BY_MATRICES)
    for method, options in OPTIONS.items():
        declared = METHODS[method].options
        assert set(options) == set(declared)
        assert all(options[name] != choice.default for name, choice in declared.items()), method


def test_every_default_lies_in_its_range():
    for method in METHODS:
        for name, choice in METHODS[method].options.items():
            if not isinstance(choice.default, str):
                value = choice.allowed.read(name, choice.default)
                assert type(value) is type(choice.default) is METHODS[method].tuple_of_options.__annotations__[name]


@every_method
@pytest.mark.parametrize("name", ["quadratic", "quartic", "cosh", "ridge"])
@sampled_or_not
def test_compiled_and_plain_loops_agree(method, name, exact, uncompiled):
    """To the last bit where there are only + - * / and square roots."""
    problem = PROBLEMS[name]()
    options = {"method": method, "budget": 301, "rng": 4, "record": 7, "exact": exact, **OPTIONS[method]}
    fast = minimize_bilevel(problem, start(problem), **options)
    slow = uncompiled(problem, start(problem), **options)
    assert fast.ncalls == slow.ncalls
    if name in ("quadratic", "quartic"):
        assert same(fast, slow)
        assert np.array_equal(fast.history["x"], slow.history["x"])
    assert fast.x == near(slow.x)
    assert fast.history["x"] == near(slow.history["x"])


@users_method
def test_a_users_oracles_run_the_same_loops(method):
    problem = PROBLEMS["quadratic"]()
    own = Own(problem)
    options = {"method": method, "budget": 301, "rng": 4, **OPTIONS[method]}
    ours = minimize_bilevel(problem, start(problem), exact=True, **options)
    theirs = minimize_bilevel(own, start(problem), **options)  # without `sample` every call is exact
    assert same(ours, theirs)
    assert "gradient_norm" in ours.history
    assert "gradient_norm" not in theirs.history
    assert own.calls == theirs.ncalls == ours.ncalls


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"saba", "aid-cg", "itd"}))
def test_a_users_samples_are_drawn_from_tickets(method):
    """The same seed, the same samples; another seed, others; exact=True, none."""
    own = Own(PROBLEMS["quadratic"](), sampled=True)
    options = {"method": method, "budget": 90, **OPTIONS[method]}
    first, again, other = (minimize_bilevel(own, start(own), rng=seed, **options) for seed in (4, 4, 5))
    exact = minimize_bilevel(own, start(own), rng=4, exact=True, **options)
    assert same(first, again)
    for result in (other, exact):
        assert not same(first, result)
    ticket = int(np.random.default_rng(4).random() * 2**53)
    levels, handles = [], []

    def sample(rng, level):
        levels.append(level)
        handles.append(own.problem.sample(rng, level))
        return handles[-1]

    own.sample = sample
    minimize_bilevel(own, start(own), rng=4, **{**options, "budget": 1})
    assert levels == ["f" if method in ("soba", "ma-soba", "f2sa") else "g"]
    assert np.array_equal(handles[0], own.problem.sample(np.random.default_rng(ticket), levels[0]))


class Heard(Own):
    """It keeps the handles that its oracles are given."""

    def __init__(self, problem):
        super().__init__(problem, sampled=True)
        self.handles = {}

    def _ask(self, kind, *where):
        self.handles.setdefault(kind, []).append(tuple(where[-1]))
        return super()._ask(kind, *where)


@pytest.mark.parametrize("method", ["accbo", "mrbo"])
def test_both_points_of_a_users_problem_have_one_sample(method):
    own = Heard(Quadratic.random(2, 3, batch=4, rng=0))
    minimize_bilevel(own, [1.0, 1.0], method=method, budget=400, rng=1, **OPTIONS[method])
    for kind in ("grad_f", "cvp"):
        first, *rest = own.handles[kind]
        pairs = list(zip(rest[::2], rest[1::2], strict=False))
        assert all(new == old for new, old in pairs)
        assert len({first, *(new for new, _ in pairs)}) == 1 + len(pairs) > 10
    products = own.handles["hvp"]
    assert products[3:6] == products[6:9]
    assert len(set(products[3:6])) == 3


@pytest.mark.parametrize("exact", [False, True])
def test_steps_left_open_are_one_over_an_estimate_that_is_counted(exact):
    """Ten power iterations from one normal vector, always the same, on samples of their own."""
    problem = PROBLEMS["quadratic"]()
    rng, v = np.random.default_rng(3), np.random.default_rng(0).standard_normal(problem.dim_y)
    v /= np.linalg.norm(v)
    x0, y0 = start(problem), np.zeros(problem.dim_y)
    for _ in range(10):
        product = problem.hvp(x0, y0, v, None if exact else problem.sample(rng, "g"))
        v = product / np.linalg.norm(product)
    rate = 1 / np.linalg.norm(product)
    result = minimize_bilevel(problem, x0, method="slip", step=0.3, budget=200, rng=3, exact=exact)
    rates = {"lower_step": rate, "z_step": rate, "warm_step": rate, "warm_steps": 10, "momentum": 0.9, "decay": 0.5}
    twin = twins.run("slip", problem, x0, budget=190, rng=rng, exact=exact, options={"step": 0.3, **rates})
    assert result.x == near(twin.x, 1e-11)
    assert result.ncalls == {**twin.calls, "hvp": twin.calls["hvp"] + 10}
    assert result.cost == 200
    if exact:
        assert 1 / rate <= problem.curvature(x0)[1] * (1 + 1e-12)  # from below
    bought = minimize_bilevel(problem, x0, method="slip", step=0.3, budget=7, rng=3)
    assert (bought.nit, bought.ncalls["hvp"], bought.cost) == (0, 7, 7.0)
    dear = minimize_bilevel(problem, x0, method="slip", step=0.3, budget=100, costs={"hvp": 1000.0})
    assert (dear.cost, dear.status, dear.options) == (0.0, Status.BUDGET, {})  # no estimate, no steps


def test_the_estimate_sees_a_structured_hessian():
    """The vector of ones is an eigenvector of mu I + a graph's Laplacian, to its smallest eigenvalue."""
    n = 6
    ring = 2 * np.eye(n) - np.roll(np.eye(n), 1, 0) - np.roll(np.eye(n), -1, 0)
    problem = Quadratic(0.1 * np.eye(n) + 5 * ring, np.ones((n, 2)), np.arange(6.0), np.zeros(n), 1.0)
    rate = minimize_bilevel(problem, [1, 1], method="slip", step=0.01, budget=50, exact=True).options["lower_step"]
    assert 1 / 20.1 <= rate <= 1.5 / 20.1


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
        exact = twins.Samples(problem, 0, True)

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
            samples, counted = twins.Samples(problem, seed, False), {"corrected": corrected, "directions": seen}
            twin = twins.accbo(problem, samples, start(problem), np.zeros(2), **options, **counted)
            for _ in range(steps):
                next(twin)
            errors[corrected] = np.mean([squared(m, x, mean) for m, _, x, mean in seen[15:]])
            if corrected:
                singles.append(np.mean([squared(g, x, mean) for _, g, x, mean in seen[15:]]) - errors[True])
                result = minimize_bilevel(
                    problem, start(problem), method="accbo", budget=10_000, rng=seed, record=steps,
                    callback=lambda so_far: True, **options,
                )  # fmt: skip
                assert result.memory.direction == near(seen[-1][0])
        gains.append(errors[False] - errors[True])
    for sample in (gains, singles):
        assert np.mean(sample) > 5 * np.std(sample) / np.sqrt(runs)
