"""Built-in bilevel problems: oracles against the plain formulas, closed forms, invariances, bad input."""

import pickle
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from pessimism._compiled import plain
from pessimism.bilevel import check_problem
from pessimism.bilevel._engine import calls, cleaning, least_squares, logistic, quadratic
from pessimism.bilevel._engine import tuning as tuning_kernels
from pessimism.bilevel.problems import (
    Cosh,
    HyperCleaning,
    HyperRepresentation,
    LogisticRidge,
    PessimismTuning,
    Quadratic,
    Quartic,
    Ridge,
    _logistic,
    tuning,
)
from tests.bilevel import twin_problems as twins
from tests.bilevel.cases import PROBLEMS, every_problem, near


def points(problem, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=problem.dim_x), rng.normal(size=problem.dim_y), rng.normal(size=problem.dim_y)


def size(problem, kind):
    """Numbers that an oracle writes."""
    dx, dy = problem.dim_x, problem.dim_y
    return {"grad_f": dx + dy, "grad_g": dy, "hvp": dy}.get(kind, dx)


# Oracles


@every_problem
@pytest.mark.parametrize("sampled", [False, True])
def test_oracles_are_derivatives_of_the_plain_formulas(make, sampled):
    """Also of every sample: its four oracles belong to one function."""
    problem = make()
    x, y, v = points(problem)
    s_f, s_g = (problem.sample(5, level) if sampled else None for level in ("f", "g"))
    gx, gy, lower_x, lower_y, hessian, mixed = twins.derivatives(problem, x, y, s_f, s_g)
    found_x, found_y = problem.grad_f(x, y, s_f)
    assert found_x == near(gx)
    assert found_y == near(gy)
    assert problem.grad_gx(x, y, s_g) == near(lower_x)
    assert problem.grad_g(x, y, s_g) == near(lower_y)
    assert problem.hvp(x, y, v, s_g) == near(hessian @ v, rel=1e-8)
    assert problem.cvp(x, y, v, s_g) == near(mixed @ v, rel=1e-8)
    f, g = twins.levels(problem)
    assert problem.f(x, y, s_f) == near(f(x, y, s_f))
    assert problem.g(x, y, s_g) == near(g(x, y, s_g))


@every_problem
def test_the_hessian_is_symmetric_and_within_its_curvature(make):
    problem = make()
    x, y, _ = points(problem, 1)
    hessian = np.array([problem.hvp(x, y, e) for e in np.eye(problem.dim_y)])
    assert hessian == near(hessian.T, rel=1e-14)
    eigenvalues, (low, high) = np.linalg.eigvalsh(hessian), problem.curvature(x)
    assert low * (1 - 1e-12) <= eigenvalues[0] <= eigenvalues[-1] <= high * (1 + 1e-12)


@every_problem
def test_the_mean_over_all_samples_is_the_exact_problem(make):
    problem = make()
    x, y, v = points(problem, 2)
    for level, n, oracles in (
        ("f", problem.n_samples_f, [lambda s: np.concatenate(problem.grad_f(x, y, s)), lambda s: problem.f(x, y, s)]),
        (
            "g",
            problem.n_samples,
            [
                lambda s: problem.grad_g(x, y, s),
                lambda s: problem.grad_gx(x, y, s),
                lambda s: problem.hvp(x, y, v, s),
                lambda s: problem.cvp(x, y, v, s),
                lambda s: problem.g(x, y, s),
            ],
        ),
    ):
        assert problem.sample(0, level).max() < n
        for oracle in oracles:
            assert np.mean([oracle([i]) for i in range(n)], axis=0) == near(oracle(None))
            assert oracle(np.arange(n)) == near(oracle([]))


@pytest.mark.parametrize("make", [Quadratic, Cosh, Quartic])
def test_noise_cancels_to_the_last_bit(make):
    problem = make.random(3, 4, noise=2.0, curvature_noise=0.9, rng=0)
    x, y, v = points(problem)
    every = np.arange(problem.n_samples)
    for found, exact in (
        (problem.grad_g(x, y, every), problem.grad_g(x, y)),
        (problem.hvp(x, y, v, every), problem.hvp(x, y, v)),
        (np.concatenate(problem.grad_f(x, y, every)), np.concatenate(problem.grad_f(x, y))),
    ):
        assert np.array_equal(found, exact)
    assert np.all(problem.table[:, 0] > -1)  # every sample is strongly convex
    drawn = problem.table[::2, 1:]  # a false alarm in 1e6 seeds: 4.9 standard deviations of a standard deviation
    assert np.std(drawn) == pytest.approx(2.0, rel=4.9 / np.sqrt(2 * drawn.size))
    silent = make.random(3, 4, noise=0.0, curvature_noise=0.0, rng=0)
    assert np.array_equal(silent.grad_g(x, y, [7]), silent.grad_g(x, y))


def test_a_handle_has_the_law_it_claims():
    """Levels of different size; one uniform a row, as the compiled loops spend."""
    problem = Ridge.random(7, 5, dim=3, batch=2000, rng=0)
    for level, n in (("f", 5), ("g", 7)):
        rows = problem.sample(3, level)
        assert (rows.dtype, rows.shape) == (np.int64, (2000,))
        assert np.array_equal(rows, np.floor(np.random.default_rng(3).random(2000) * n))
        assert set(rows) == set(range(n))


EXACT = {  # only + - * / and square roots: the compiler may change nothing
    quadratic: ("grad_g", "hvp", "cvp", "grad_gx", "quadratic_grad_f", "quartic_grad_f"),
    least_squares: ("ridge_grad_f", "representation_grad_f", "representation_grad_g", "representation_hvp",
                    "representation_cvp", "representation_grad_gx"),
    cleaning: (),
    logistic: (),
    tuning_kernels: ("hvp",),
}  # fmt: skip


@pytest.mark.kernels
@every_problem
@pytest.mark.parametrize("sampled", [False, True])
def test_kernels_compiled_and_not_agree(make, sampled):
    """Bit for bit, but for exponentials, which NumPy and the compiler take from different libraries."""
    problem = make()
    point = points(problem, 3)
    kernels = problem.compiled_oracles
    module = next(module for module in EXACT if kernels.grad_g in vars(module).values())
    for kind, kernel in kernels._asdict().items():
        handle = problem.sample(1, "f" if kind == "grad_f" else "g") if sampled else np.empty(0, np.int64)
        fast, slow = np.full(size(problem, kind), 7.0), np.full(size(problem, kind), 7.0)
        for loop, out in ((kernel, fast), (plain(kernel), slow)):
            loop(problem.reals, problem.sizes, *point, handle, out)
        if kernel.__name__ in EXACT[module]:
            assert np.array_equal(fast, slow), kernel.__name__
        else:
            assert fast == near(slow), kernel.__name__


@every_problem
def test_oracles_are_of_one_type(make):
    """However they are called first: a loop can only be handed this one."""
    problem = make()
    for kind, kernel in problem.compiled_oracles._asdict().items():
        out = np.empty(size(problem, kind))
        kernel(problem.reals, problem.sizes, *points(problem), np.empty(0, np.int64), out)
        assert getattr(kernel, "nopython_signatures", [calls.ORACLE.signature]) == [calls.ORACLE.signature]


# Closed forms


@every_problem
def test_y_star_minimises_the_lower_level(make):
    problem = make()
    x, y, _ = points(problem, 4)
    best = problem.solve_y(x)
    assert np.abs(problem.grad_g(x, best)).max() <= 1e-13 * problem.curvature(x)[1] * (1 + np.abs(best).max())
    assert problem.g(x, best) < problem.g(x, best + 1e-3 * y)
    assert problem.value(x) == problem.f(x, best)


@every_problem
def test_the_gradient_is_the_implicit_one(make):
    """f_x - C z with H z = f_y by a dense solve of the oracles; and the slope of F by central differences."""
    problem = make()
    x, _, _ = points(problem, 5)
    y = problem.solve_y(x)
    hessian = np.array([problem.hvp(x, y, e) for e in np.eye(problem.dim_y)]).T
    gx, gy = problem.grad_f(x, y)
    found = problem.gradient(x)
    assert found == near(gx - problem.cvp(x, y, np.linalg.solve(hessian, gy)), rel=1e-11)
    assert found == near(twins.central(problem.value, x), rel=1e-8)


@pytest.mark.parametrize("rho", [0.0, 0.5])
@pytest.mark.parametrize(("dim_x", "dim_y"), [(1, 1), (3, 5), (4, 2)])
def test_the_minimiser_has_no_gradient(rho, dim_x, dim_y):
    problem = Quadratic.random(dim_x, dim_y, rho=rho, rng=dim_x)
    best = problem.minimiser()
    assert np.abs(problem.gradient(best)).max() <= 1e-11
    for step in np.random.default_rng(0).normal(size=(5, dim_x)):
        assert problem.value(best + step) >= problem.value(best) - 1e-12


@pytest.mark.parametrize("make", [Cosh, Quartic])
def test_zero_is_the_minimiser_when_the_target_is_what_y_does_there(make):
    drawn = make.random(3, 4, rng=0)
    target = np.linalg.solve(drawn.hessian, drawn.offset)
    problem = make(drawn.hessian, drawn.coupling, drawn.offset, target)
    assert np.abs(problem.gradient(np.zeros(3))).max() <= 1e-14
    assert all(problem.value(x) > 0 for x in np.random.default_rng(1).normal(size=(5, 3)))


@pytest.mark.parametrize("make", [Quadratic, Cosh, Quartic])
@pytest.mark.parametrize("factor", [2.0, 0.37, 1e6])
def test_the_scale_of_the_lower_level_does_not_matter(make, factor):
    problem = make.random(3, 4, rng=2)
    rest = (problem.rho,) if make is Quadratic else ()
    lower = (problem.hessian, problem.coupling, problem.offset)
    scaled = make(*(factor * part for part in lower), problem.target, *rest)
    x, _, _ = points(problem)
    assert scaled.solve_y(x) == near(problem.solve_y(x))
    assert scaled.value(x) == near(problem.value(x))
    assert scaled.gradient(x) == near(problem.gradient(x))


def test_rotations_of_the_representation_change_nothing():
    problem = HyperRepresentation.random(20, 10, dim=4, width=3, rng=0)
    rng = np.random.default_rng(1)
    w, q = rng.normal(size=(3, 4)), np.linalg.qr(rng.normal(size=(3, 3))).Q
    turned = (q @ w).ravel()
    assert problem.value(turned) == near(problem.value(w.ravel()))
    assert problem.solve_y(turned) == near(q @ problem.solve_y(w.ravel()))
    assert problem.gradient(turned).reshape(3, 4) == near(q @ problem.gradient(w.ravel()).reshape(3, 4))
    skew = rng.normal(size=(3, 3))
    orbit = ((skew - skew.T) @ w).ravel()  # along which F is flat
    assert problem.gradient(w.ravel()) @ orbit == pytest.approx(0.0, abs=1e-12)
    assert not problem.gradient(np.zeros(12)).any()


WIDE = Ridge.random(3, 20, dim=5, rho=0.0, rng=0)  # three rows for five coefficients


@pytest.mark.parametrize(
    ("problem", "x"),
    [
        (WIDE, [-30.0] * 5),
        (WIDE, [-36.0] * 5),
        (WIDE, [50.0, -50.0, -50.0, -50.0, -50.0]),
        (WIDE, [-50.0] * 5),
        (WIDE, [-800.0] * 5),  # its square is 0 in float64
        (WIDE, [300.0, -300.0, 20.0, -20.0, 0.0]),
        (Ridge.random(30, 20, dim=4, rho=0.0, rng=1), [50.0, -50.0, 50.0, -50.0]),
        (Ridge([[1, 1, 0], [1, 0, 1], [1, 1, 0], [1, 0, 1]], [1, 2, 4, 3], np.eye(3), [1, 2, 3]), [-50.0] * 3),
    ],
    ids=["-30", "-36", "50, -50", "-50", "-800", "all sizes", "curved", "dependent columns"],
)
def test_ridge_is_that_of_fractions_where_the_hessian_is_singular_in_float64(problem, x):
    y, value, gradient, hessian = twins.ridge_in_fractions(problem, x)
    for found, exact in ((problem.solve_y(x), y), (problem.value(x), value), (problem.gradient(x), gradient)):
        assert np.abs(found - exact).max() <= 5e-15 * np.abs(exact).max()
    with mpmath.workdps(1500 if min(x) < -100 else 100):
        exact = mpmath.eigsy(mpmath.matrix([[mpmath.mpf(t.numerator) / t.denominator for t in r] for r in hessian]))[0]
        low, high = problem.curvature(x)
        assert low == pytest.approx(float(min(exact)), rel=1e-14)
        assert high == pytest.approx(float(max(exact)), rel=1e-14)


def test_a_head_that_only_its_damping_tells_is_that_of_fractions():
    """Three rows of W for two inputs: damping decides between heads of the same fit, however small."""
    rng, damping = np.random.default_rng(3), 1e-18
    sets = [part for n in (9, 7) for part in (rng.normal(size=(n, 2)), rng.normal(size=n))]
    w = rng.normal(size=(3, 2))
    problem = HyperRepresentation(*sets, width=3, damping=damping)
    features = [
        [sum(Fraction(a) * Fraction(b) for a, b in zip(row, head, strict=True)) for head in w] for row in sets[0]
    ]
    hessian = [
        [sum(r[i] * r[j] for r in features) + 9 * Fraction(damping) * (i == j) for j in range(3)] for i in range(3)
    ]
    right = [sum(r[i] * Fraction(b) for r, b in zip(features, sets[1], strict=True)) for i in range(3)]
    exact = np.array(twins.solved(hessian, right), float)
    assert problem.solve_y(w.ravel()) == near(exact, rel=1e-14)
    assert problem.curvature(w.ravel())[0] >= damping
    # where heads fit alike, so do their derivatives: those of a damping that is no trouble are near
    mild = HyperRepresentation(*sets, width=3, damping=1e-12)
    assert problem.gradient(w.ravel()) == near(mild.gradient(w.ravel()), rel=1e-9)


def test_losses_and_slopes_do_not_cancel_where_inputs_are_far_from_zero():
    """Inputs near 1e6, whose squares leave four digits of a residual of one."""
    rng = np.random.default_rng(0)
    sets = [part for n in (9, 7) for part in (rng.normal(size=(n, 2)) + 1e6, rng.normal(size=n))]
    for problem, x, y in (
        (Ridge(*sets), np.zeros(2), np.array([1.0, -1.0])),
        (HyperRepresentation(*sets, width=1), np.array([1.0, -1.0]), np.ones(1)),
    ):
        assert problem.f(x, y) == near(problem.f(x, y, np.arange(7)), rel=1e-9)
        assert problem.g(x, y) == near(problem.g(x, y, np.arange(9)), rel=1e-9)


@pytest.mark.parametrize("per_coordinate", [False, True])
def test_ridge_solves_its_normal_equations(per_coordinate):
    problem = Ridge.random(30, 10, dim=4, rho=0.0, per_coordinate=per_coordinate, rng=0)
    x = np.full(problem.dim_x, 0.3)
    rows = np.concatenate([problem.inputs / np.sqrt(30), np.exp(0.15) * np.eye(4)])
    expected = np.linalg.lstsq(rows, np.concatenate([problem.outputs / np.sqrt(30), np.zeros(4)]))[0]
    assert problem.solve_y(x) == near(expected)


@pytest.mark.parametrize(("kind", "answers"), [(Ridge, "outputs"), (LogisticRidge, "labels")])
def test_one_penalty_is_many_equal_ones(kind, answers):
    one = kind.random(30, 10, dim=4, per_coordinate=False, rho=0.0, rng=0)
    many = kind(*(getattr(one, name) for name in ("inputs", answers, "validation_inputs", f"validation_{answers}")))
    assert one.value([0.3]) == near(many.value(np.full(4, 0.3)))
    assert one.gradient([0.3]) == near(many.gradient(np.full(4, 0.3)).sum())


@pytest.mark.parametrize("make", [lambda: Ridge.random(30, 10, dim=4, rng=0), PROBLEMS["representation"]])
def test_exact_least_squares_never_touch_the_rows(make):
    problem, spoilt = make(), make()
    _, _, p, n, m = problem.sizes
    first, second = 2 + p * p + p, 2 + 2 * (p * p + p) + n * p + n
    spoilt.reals[first : first + n * p + n] = np.nan
    spoilt.reals[second : second + m * p + m] = np.nan
    for name in ("inputs", "outputs", "validation_inputs", "validation_outputs"):
        object.__setattr__(spoilt, name, None)
    x, y, v = points(problem)
    assert np.array_equal(spoilt.gradient(x), problem.gradient(x))
    assert spoilt.value(x) == problem.value(x)
    assert np.array_equal(spoilt.grad_f(x, y)[1], problem.grad_f(x, y)[1])
    assert np.array_equal(spoilt.grad_g(x, y), problem.grad_g(x, y))
    assert np.array_equal(spoilt.hvp(x, y, v), problem.hvp(x, y, v))
    assert np.array_equal(spoilt.cvp(x, y, v), problem.cvp(x, y, v))
    assert np.isnan(spoilt.grad_g(x, y, [0])).all()


def test_wrong_labels_lose_weight():
    """Gradient descent on F to stationarity: on this instance every wrong row falls below every right one's median."""
    problem = HyperCleaning.random(30, 60, dim=2, flipped=0.2, rho=0.01, rng=1)
    x = np.zeros(30)
    for _ in range(60):
        x -= 20.0 * problem.gradient(x)
    assert np.abs(problem.gradient(x)).max() < 1e-3
    assert x[:6].max() < np.median(x[6:])
    assert np.argsort(x)[:4].max() < 6


def test_newton_solves_hard_lower_levels_to_rounding():
    """Rows and weights of very different sizes, hardly any damping: full steps cycle on one instance in twenty."""
    for seed in range(100):
        rng = np.random.default_rng(seed)
        n, p = rng.integers(2, 8), rng.integers(2, 4)
        rows = rng.normal(size=(n, p)) * np.exp(rng.uniform(-4, 4, (n, 1)))
        problem = HyperCleaning(rows, np.ones(n), rows, np.ones(n), damping=10.0 ** rng.uniform(-7, -2))
        x = rng.uniform(-12, 6, n)
        y = problem.solve_y(x)
        size = (np.abs(rows).sum(axis=1) / (1 + np.exp(-x))).mean() + problem.damping * np.abs(y).max()
        assert np.abs(problem.grad_g(x, y)).max() <= 1e-14 * size, seed


def test_newton_does_not_stop_where_a_row_of_no_weight_says_little_about_the_value():
    """Two rows that cancel hold the value at log 2; the third, of weight 5e-12, has five steps to go."""
    rows = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    problem = HyperCleaning(rows, [1, -1, 1], rows, [1, -1, 1], damping=1e-15)
    y = problem.solve_y([0.0, 0.0, -25.0])
    assert 1e-15 * y[1] == pytest.approx(1 / (3 * (1 + np.exp(25.0)) * (1 + np.exp(y[1]))), rel=1e-12)


def test_a_lower_level_that_is_not_solved_is_not_returned(monkeypatch):
    monkeypatch.setattr(_logistic, "STEPS", 2)
    with pytest.raises(_logistic.ConvergenceError, match="in 2 Newton steps"):
        HyperCleaning.random(rng=0).solve_y(np.zeros(100))


@pytest.mark.parametrize("per_coordinate", [False, True])
def test_penalised_logistic_regression_is_that_of_scipy(per_coordinate):
    from scipy.optimize import root
    from scipy.special import expit

    problem = LogisticRidge.random(60, 10, dim=4, per_coordinate=per_coordinate, rng=0)
    x = np.random.default_rng(1).normal(-2.0, 1.0, problem.dim_x)
    a, b = problem.inputs, problem.labels
    peer = root(lambda y: np.exp(x) * y - a.T @ (b * expit(-b * (a @ y))) / 60, np.zeros(4), tol=1e-14)
    assert problem.solve_y(x) == near(peer.x, rel=1e-10)


@pytest.mark.parametrize("name", [name for name in PROBLEMS if name.startswith("logistic")])
def test_check_problem_accepts_penalised_logistic_regression(name):
    problem = PROBLEMS[name]()
    x, y, _ = points(problem, 6)
    check_problem(problem, x, y, rng=0)


def test_separable_rows_are_solved_as_far_as_numbers_go():
    """The margin t of one row solves sigma(-t) = e^x t: about -x for the lowest x."""
    problem = LogisticRidge([[1.0]], [1], [[1.0]], [1])
    for x in (5.0, -1.0, -30.0, -300.0, -700.0):
        (margin,) = problem.solve_y([x])
        assert margin + np.logaddexp(0, -margin) == near(-x - np.log(margin))  # its logarithm
    assert np.isnan(problem.solve_y([-1e4])).all()
    assert np.isnan(problem.gradient([-1e4])).all()


@pytest.mark.kernels
@pytest.mark.parametrize(("count", "width"), [(1, 1), (4, 1), (6, 1), (64, 1), (131, 1), (2, 3), (50, 3), (1, 9)])
def test_rows_four_at_a_time_are_rows_one_by_one(count, width):
    """Blocks of 64 and what is left of them, terms across their ends, a term twice; compiled and not bit for bit."""
    rng = np.random.default_rng(count)
    table, y = rng.normal(size=(9, 3)), rng.normal(size=3)
    terms = rng.integers(0, 9 // width, count)
    rows = (terms[:, None] * width + np.arange(width)).ravel()
    slope, products, total = np.empty(3), np.empty(len(rows)), np.zeros(3)
    logistic.slope(table, terms, width, y, slope)
    assert slope == near(-(table[rows].T / (1 + np.exp(table[rows] @ y))).mean(axis=1))
    logistic.products(table, rows, y, products)
    assert products == near(table[rows] @ y)
    logistic.add(table, rows, products, total)
    plainly, summed = np.empty(len(rows)), np.zeros(3)
    plain(logistic.products)(table, rows, y, plainly)
    plain(logistic.add)(table, rows, plainly, summed)
    assert np.array_equal(plainly, products)
    assert np.array_equal(summed, total)


# Pessimism tuning


def test_the_lower_solution_is_the_shrunken_confidence_bound():
    problem = PessimismTuning([4, 100], [0.9, 0.5], [0.2, 0.5], damping=0.25)
    assert problem.solve_y([np.log(2.0)]) == pytest.approx([(0.9 - 1.0) / 1.25, (0.5 - 0.2) / 1.25])


@pytest.mark.parametrize("seed", range(5))
def test_the_gradient_is_a_covariance_of_bonus_and_held_out_reward(seed):
    problem = PessimismTuning.random(6, 60, temperature=0.3, damping=0.2, rho=0.4, rng=seed)
    x = np.array([0.7])
    policy = problem.policy(x)
    bonus = 1 / np.sqrt(problem.counts)
    covariance = np.cov(bonus, problem.held_out, aweights=policy, ddof=0)[0, 1]
    assert problem.gradient(x)[0] == near(0.4 * 0.7 + np.exp(0.7) / (0.3 * 1.2) * covariance)
    assert policy.sum() == near(1.0)


def test_pessimism_rises_while_the_held_out_rewards_find_little_known_arms_bad():
    counts, lucky = [100, 1], [0.5, 0.9]
    assert PessimismTuning(counts, lucky, held_out=[0.5, 0.1]).gradient([0.0])[0] < 0
    assert PessimismTuning(counts, lucky, held_out=[0.5, 0.9]).gradient([0.0])[0] > 0  # the same noise: de-pessimised
    equal = PessimismTuning([5, 5], lucky, held_out=[0.5, 0.1])  # equal bonuses say nothing
    assert abs(equal.gradient([0.0])[0]) < 1e-15


def test_a_level_of_any_height_is_followed():
    """Means far below a bonus decide among arms that share it; others are never taken."""
    problem = PessimismTuning([100, 100, 1], [0.5, 0.6, 0.9], held_out=[0.5, 0.2, 0.9])
    share = 1 / (1 + np.exp(0.1 / (0.1 * 1.1)))
    for x in (40.0, 705.0, 800.0):
        assert problem.policy([x]) == near(np.array([share, 1 - share, 0.0]))
        assert problem.value([x]) == near(-0.5 * share - 0.2 * (1 - share))
        assert problem.gradient([x]) == [0.0]
    assert np.isnan(problem.policy([np.inf])).all()
    below, above = (problem.policy([tuning.LEVEL + d]) for d in (-1e-9, 1e-9))
    assert below == near(above, rel=1e-7)


# What is claimed about growth and step sizes


def test_where_gradient_descent_on_the_quartic_diverges():
    problem = Quartic([[1.0]], [[0.0]], [0.0], [0.0])
    for start, diverges in ((np.sqrt(2 / 0.1) - 1e-3, False), (np.sqrt(2 / 0.1) + 1e-3, True)):
        after = np.array([start]) - 0.1 * problem.gradient([start])
        assert bool(np.abs(after[0]) > start) is diverges


def test_growth_is_bounded_by_the_gradient():
    """Second derivatives of f in x: at most 1 + |f_x| for cosh, 4 / L^2 + L |f_x| for the quartic and every L."""
    x, h = np.linspace(-8, 8, 161), 1e-3

    def derivatives(make):
        """f_x and f_xx, by differences that are exact for both up to rounding, once corrected."""
        made = make([[1.0]], np.zeros((1, 161)), [0.0], [0.0])
        fx, ahead, behind = (made.grad_f(at, [0.0])[0] for at in (x, x + h, x - h))
        return np.abs(fx), (ahead - behind) / 2

    fx, rise = derivatives(Cosh)
    assert np.all(rise / np.sinh(h) <= 1 + fx + 1e-9)
    assert np.all(rise / np.sinh(h) >= fx - 1e-9)  # and hardly less: the second constant cannot be lower than 1
    fx, rise = derivatives(Quartic)
    for slope in (0.1, 1.0, 5.0):
        assert np.all(rise / h - h**2 <= 4 / slope**2 + slope * fx + 1e-9)  # equal at 2 / L
    problem = Cosh.random(2, 3, rng=0)
    for y in 1e3 * np.random.default_rng(0).normal(size=(10, 3)):
        assert np.linalg.norm(problem.grad_f([0.0, 0.0], y)[1]) <= np.sqrt(3)


def test_x_and_y_relaxed_smoothness_of_cosh_in_the_form_of_gradients():
    """|sinh u - sinh v| <= (L0 + L1 |sinh u|) |u - v| within 1 / L1: (1.5, 1.5) works, (1, 1) does not."""
    u, share = (part.ravel() for part in np.meshgrid(np.linspace(-6, 6, 121), np.linspace(-1, 1, 50)))
    problem = Cosh([[1.0]], np.zeros((1, u.size)), [0.0], [0.0], n_samples=2)

    def worst(constant):
        v = u + share / constant
        fu, fv = problem.grad_f(u, [0.0])[0], problem.grad_f(v, [0.0])[0]
        return (np.abs(fu - fv) / (constant * (1 + np.abs(fu)) * np.abs(u - v))).max()

    assert worst(1.5) <= 1
    assert worst(1.0) > 1


# Infinities, packing, bad input


@every_problem
def test_a_diverged_point_gives_no_warning_and_no_error(make):
    problem = make()
    y, v = np.ones(problem.dim_y), np.ones(problem.dim_y)
    for entry in (np.nan, np.inf, -np.inf, 1e5, -1e5, 1e300):
        x = np.full(problem.dim_x, entry)
        problem.value(x), problem.curvature(x), problem.f(x, y), problem.g(x, y), problem.grad_f(x, y)
        (
            problem.grad_g(x, y),
            problem.hvp(x, y, v),
            problem.cvp(x, y, v),
            problem.grad_gx(x, y),
            problem.grad_g(x, x[:1] * y),
        )
        if not np.isfinite(entry):
            assert np.isnan(problem.solve_y(x)).all()
            assert np.isnan(problem.gradient(x)).all()
        assert problem.gradient(x).shape == x.shape


def test_overflow_is_infinite_and_a_singular_lower_level_nan():
    assert Cosh([[1.0]], [[0.0]], [0.0], [0.0]).gradient([1e4])[0] == np.inf
    wide = Ridge([[1.0, 1.0]], [1.0], [[1.0, 0.0]], [1.0])  # one row for two coefficients
    assert np.isnan(wide.solve_y([-2000.0, -2000.0])).all()
    assert np.isnan(wide.gradient([-2000.0, -2000.0])).all()
    assert wide.solve_y([2000.0, -2000.0]) == near(np.array([0.0, 1.0]))
    assert Cosh(*ONE).grad_f([0.0], [-1e200])[1] == Quartic(*ONE).grad_f([0.0], [-1e200])[1] == [-1.0]


# Instances


def test_curvature_of_logistic_problems_is_reached_at_zero():
    for problem in (PROBLEMS["cleaning"](), PROBLEMS["logistic"]()):
        x = points(problem)[0]
        hessian = np.array([problem.hvp(x, np.zeros(problem.dim_y), e) for e in np.eye(problem.dim_y)])
        low = problem.damping if isinstance(problem, HyperCleaning) else np.exp(x).min()
        assert problem.curvature(x) == pytest.approx((low, np.linalg.eigvalsh(hessian)[-1]), rel=1e-13)


def test_random_instances_are_as_described():
    hessian = Quadratic.random(2, 6, condition=32.0, rng=0).hessian
    assert np.linalg.eigvalsh(hessian) == near(2.0 ** np.arange(6))
    for flipped, wrong in ((0.0, 0), (0.24, 2), (1.0, 10)):
        problem = HyperCleaning.random(10, 20, flipped=flipped, rng=1)
        right = problem.labels * problem.inputs.sum(axis=1) > 0
        assert right.tolist() == [False] * wrong + [True] * (10 - wrong)
        assert np.all(problem.validation_labels * problem.validation_inputs.sum(axis=1) > 0)


@every_problem
def test_a_pickled_problem_is_the_same_problem(make):
    problem = make()
    again = pickle.loads(pickle.dumps(problem))
    x, y, _ = points(problem)
    s = problem.sample(0, "g")
    assert np.array_equal(again.gradient(x), problem.gradient(x))
    assert np.array_equal(again.grad_g(x, y, s), problem.grad_g(x, y, s))


def test_a_problem_is_frozen_and_its_own():
    rows, outputs = np.eye(2), np.ones(2)
    problem = Ridge(rows, outputs, rows, outputs)
    before = problem.gradient([0.0, 0.0])
    rows[:] = 5.0
    assert np.array_equal(problem.gradient([0.0, 0.0]), before)
    with pytest.raises(AttributeError):
        problem.rho = 3.0
    with pytest.raises(ValueError, match="read-only"):
        problem.inputs[0, 0] = 1.0
    frozen = np.ones(2)
    frozen.setflags(write=False)
    assert problem.grad_g(frozen, frozen, np.array([0])) == pytest.approx([np.e, np.e + 1 - 1])


ONE = ([[1.0]], [[1.0]], [0.0], [0.0])
ROWS = (np.eye(2), [1.0, 2.0], np.eye(2), [1.0, 2.0])
SIGNS = (np.eye(2), [1, -1], np.eye(2), [1, -1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: Quadratic([[1.0, 2.0], [0.0, 1.0]], np.eye(2), [0, 0], [0, 0]),
            r"hessian\[0, 1\] must be the entry ac",
        ),
        (lambda: Quadratic([[1.0, 2.0], [2.0, 1.0]], np.eye(2), [0, 0], [0, 0]), "hessian must be positive definite"),
        (lambda: Quadratic([[1.0, 0.0]], np.eye(2), [0], [0]), r"hessian must be square, got shape \(1, 2\)"),
        (lambda: Quadratic([1.0], np.eye(2), [0], [0]), r"hessian must have shape \(n, n\)"),
        (lambda: Quadratic([[np.nan]], *ONE[1:]), r"hessian\[0, 0\] must be finite"),
        (lambda: Cosh(np.eye(2), np.ones((1, 2)), [0, 0], [0, 0]), r"coupling must have shape \(2, dx\)"),
        (lambda: Cosh(np.eye(2), np.ones((2, 1)), [0], [0, 0]), r"offset must have shape \(2,\)"),
        (lambda: Quartic(np.eye(2), np.ones((2, 1)), [0, 0], [0]), r"target must have shape \(2,\)"),
        (lambda: Quadratic(*ONE, rho=-1.0), "rho must be at least 0"),
        (lambda: Quadratic(*ONE, noise=-1.0), "noise must be at least 0"),
        (lambda: Quadratic(*ONE, noise=np.nan), "noise must be at least 0"),
        (lambda: Quadratic(*ONE, curvature_noise=1.0), r"curvature_noise must be in \[0, 1\)"),
        (lambda: Quadratic(*ONE, n_samples=7), "n_samples must be even"),
        (lambda: Quadratic(*ONE, n_samples=0), "n_samples must be a whole number"),
        (lambda: Quadratic(*ONE, batch=0), "batch must be a whole number"),
        (lambda: Cosh.random(0, 3), "dim_x must be a whole number"),
        (lambda: Cosh.random(condition=0.5), r"condition must be in \[1, 1e\+14\], got 0.5"),
        (lambda: Ridge(np.eye(2), [1.0], np.eye(2), [1, 2]), r"outputs must have shape \(2,\)"),
        (lambda: Ridge(np.eye(2), [1, 2], np.eye(3), [1, 2]), r"validation_inputs must have shape \(m, 2\)"),
        (lambda: Ridge(*ROWS[:3], [1.0]), r"validation_outputs must have shape \(2,\)"),
        (lambda: Ridge(*ROWS, rho=np.inf), "rho must be at least 0 and finite"),
        (lambda: Ridge(*ROWS, batch=0), "batch must be a whole number"),
        (lambda: Ridge(np.empty((0, 2)), [], np.eye(2), [1, 2]), r"inputs must have shape \(n, p\)"),
        (lambda: HyperRepresentation(*ROWS, width=0), "width must be a whole number"),
        (lambda: HyperRepresentation(*ROWS, width=1, damping=0.0), "damping must be positive"),
        (lambda: HyperCleaning(np.eye(2), [0, 1], *SIGNS[2:]), r"labels\[0\] must be -1 or 1, got 0"),
        (lambda: HyperCleaning(*SIGNS[:3], [1, 2]), r"validation_labels\[1\] must be -1 or 1"),
        (lambda: HyperCleaning(*SIGNS, damping=0.0), "damping must be positive"),
        (lambda: HyperCleaning.random(flipped=1.5), r"flipped must be in \[0, 1\]"),
        (lambda: LogisticRidge(np.eye(2), [1, 3], *SIGNS[2:]), r"labels\[1\] must be -1 or 1, got 3"),
        (lambda: LogisticRidge(*SIGNS[:2], np.eye(3), [1, 1, 1]), r"validation_inputs must have shape \(m, 2\)"),
        (lambda: LogisticRidge(*SIGNS[:3], [1]), r"validation_labels must have shape \(2,\)"),
        (lambda: LogisticRidge(*SIGNS, rho=-1.0), "rho must be at least 0"),
        (lambda: LogisticRidge(*SIGNS, batch=0), "batch must be a whole number"),
        (lambda: LogisticRidge(*SIGNS, block=3), "block must divide the numbers of rows, 2 and 2, got 3"),
        (lambda: LogisticRidge.random(dim=0), "dim must be a whole number"),
        (lambda: PessimismTuning([3, 0], [1, 1], [1, 1]), r"counts\[1\] must be a whole number in \[1"),
        (lambda: PessimismTuning([], [], []), r"counts must have shape \(n,\)"),
        (lambda: PessimismTuning([3, 1], [1], [1, 1]), r"means must have shape \(2,\)"),
        (lambda: PessimismTuning([3, 1], [1, 1], [1, np.inf]), r"held_out\[1\] must be finite"),
        (lambda: PessimismTuning([3], [1], [1], temperature=0.0), "temperature must be positive"),
        (lambda: PessimismTuning([3], [1], [1], damping=-1.0), "damping must be at least 0"),
        (lambda: Quadratic(*ONE).grad_f([1.0, 2.0], [1.0]), r"x must have shape \(1,\), got \(2,\)"),
        (lambda: Quadratic(*ONE).grad_g([1.0], 1.0), r"y must have shape \(1,\), got \(\)"),
        (lambda: Quadratic(*ONE).hvp([1.0], [1.0], [1.0, 2.0]), r"v must have shape \(1,\)"),
        (
            lambda: Quadratic(*ONE, n_samples=4).cvp([1.0], [1.0], [1.0], [0, 4]),
            r"s\[1\] must be a whole number in \[0, 3",
        ),
        (lambda: Quadratic(*ONE).f([1.0], [1.0], [-1]), r"s\[0\] must be a whole number"),
        (lambda: Ridge.random(7, 5, rng=0).grad_f(np.zeros(20), np.zeros(20), [6]), r"s\[0\] must be .* in \[0, 4\]"),
        (lambda: Quadratic(*ONE).sample(0, "upper"), "level must be one of 'f', 'g'"),
        (lambda: Quadratic(*ONE).value([[1.0]]), r"x must have shape \(1,\)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("point", [[None], ["5"], [1j], [1 << 70, None]])
def test_a_point_is_of_numbers(point):
    with pytest.raises(TypeError, match="x must hold numbers"):
        Quadratic(*ONE).value(point)


@pytest.mark.parametrize("handle", [[0.5], [[0]], 0, "all"])
def test_a_handle_is_a_row_of_positions(handle):
    with pytest.raises(TypeError, match="s must be a handle from sample"):
        Quadratic(*ONE).grad_g([1.0], [1.0], handle)
