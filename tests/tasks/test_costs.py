"""Cost-sensitive purchases: closed forms, dual bounds, brute force over supports, direct minimisation over samples."""

from fractions import Fraction
from functools import partial
from itertools import combinations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from pessimism._status import ConvergenceError, Status
from pessimism.tasks import costs
from pessimism.tasks.costs import jump_cost, linear_cost, power_cost
from pessimism.tasks.designs import c_optimal, variance
from pessimism.tasks.relevance import min_l1
from tests.tasks import reference as plain

CONVEX, CONCAVE = (1.0, 1.001, 1.5, 2.0, 5.0, 30.0), (0.05, 0.5, 0.9, 0.999)


@st.composite
def problems(draw, max_k=3, more=5):
    """Heads and a target in their span, among them duplicated tasks, zero columns, k = 1, M = k and low rank."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    k = draw(st.integers(1, max_k))
    heads = rng.normal(size=(k, k + draw(st.integers(0, more))))
    kind = draw(st.sampled_from(["plain", "duplicate", "zero", "graded", "flat"]))
    if kind == "duplicate":
        heads = np.hstack([heads, -heads[:, :1]])
    elif kind == "zero":
        heads = np.hstack([np.zeros((k, 1)), heads])
    elif kind == "graded":
        heads = heads * 10.0 ** rng.uniform(-1, 1, heads.shape[1])
    elif kind == "flat":
        heads = np.vstack([heads, heads[0]])
    weights = rng.normal(size=heads.shape[1]) * (rng.random(heads.shape[1]) < draw(st.sampled_from([0.3, 1.0])))
    return heads, heads @ weights, 10.0 ** rng.uniform(-3, 1), rng


def check(found, heads, target, error, price, *, gap=None):
    """The samples cost what is said, meet the variance, and the bound is one."""
    assert np.all(found.samples >= 0)
    assert found.cost == pytest.approx(price(found.samples), rel=1e-12)
    assert found.lower_bound <= found.cost * (1 + 1e-9)
    assert heads @ found.weights == pytest.approx(target, abs=1e-7 * np.linalg.norm(target))
    assert not np.any(found.weights[found.samples == 0])
    if np.any(target):
        bought = found.samples > 0
        spent = (found.weights[bought] ** 2 / found.samples[bought]).sum()
        assert spent == pytest.approx(error, rel=1e-9)
        assert variance(heads, target, found.samples) <= error * (1 + 1e-9)
    if gap is not None:
        assert found.cost <= found.lower_bound * (1 + gap)


def power(exponent):
    return lambda n: (n**exponent).sum()


def basic_solutions(heads, target):
    """Every solution on independent tasks, support by support, of any size: the plain twin."""
    rank, n_tasks = np.linalg.matrix_rank(heads), heads.shape[1]
    for size in range(1, rank + 1):
        for support in map(list, combinations(range(n_tasks), size)):
            if np.linalg.matrix_rank(heads[:, support], tol=1e-9) == size:
                part = np.linalg.lstsq(heads[:, support], target)[0]
                if np.linalg.norm(heads[:, support] @ part - target) <= 1e-9 * np.linalg.norm(target):
                    weights = np.zeros(n_tasks)
                    weights[support] = part
                    yield weights


def power_value(weights, exponent, error):
    p = 2 * exponent / (exponent + 1)
    return (np.abs(weights) ** p).sum() ** (exponent + 1) / error**exponent


def jump_value(weights, jump, error):
    return np.abs(weights).sum() ** 2 / error + jump * np.count_nonzero(np.abs(weights) > 1e-9)


@settings(max_examples=25)
@given(problems())
def test_linear_costs_are_a_weighted_l1_norm(problem):
    heads, target, error, rng = problem
    prices = rng.uniform(0.1, 10, heads.shape[1])
    found = linear_cost(heads, target, variance=error, prices=prices)
    check(found, heads, target, error, lambda n: prices @ n, gap=1e-8)
    assert np.count_nonzero(found.samples) <= np.linalg.matrix_rank(heads)
    assert (np.sqrt(prices) @ np.abs(found.weights)) ** 2 / error == pytest.approx(found.cost, rel=1e-9)
    if np.any(target):
        unit = linear_cost(heads, target, variance=error, prices=1.0)
        assert unit.cost == pytest.approx(c_optimal(heads, target).value / error, rel=1e-9)
        for others in basic_solutions(heads, target):
            assert (np.sqrt(prices) @ np.abs(others)) ** 2 / error >= found.cost * (1 - 1e-8)


@pytest.mark.parametrize("ratio", [1e-100, 1e-25, 1e-23, 1e-12, 1e7, 1e30])
def test_prices_of_any_ratio_are_weighed(ratio):
    """On two axes both tasks are bought: cost (sqrt(c) |w|)^2 / e at n = (sqrt(c) |w|) |w_m| / (sqrt(c_m) e)."""
    prices, target = np.array([ratio, 1.0]), np.array([1.0, -3.0])
    total = np.sqrt(prices) @ np.abs(target)
    for scale in (1.0, 1e-9, 1e9):  # the same samples for all units of money
        found = linear_cost(np.eye(2), target, variance=0.1, prices=scale * prices)
        assert found.samples == pytest.approx(total * np.abs(target) / (np.sqrt(prices) * 0.1), rel=1e-9)
        assert found.cost == pytest.approx(scale * total**2 / 0.1, rel=1e-9)
        assert found.lower_bound == pytest.approx(found.cost, rel=1e-8)
        assert found.status is Status.EXACT


@pytest.mark.parametrize("decades", [5, 15, 50, 150])
def test_prices_of_any_spread_are_those_of_exact_fractions(decades):
    """General heads, and whole numbers with dependent tasks and a target on few of them: degenerate vertices."""
    rng = np.random.default_rng(decades)
    for trial in range(6):
        heads = np.hstack([np.eye(3), rng.integers(-2, 3, (3, 4))]) if trial % 2 else rng.normal(size=(3, 6))
        target = heads @ [1, 0, 0, 2, 0, 0, 0] if trial == 3 else rng.normal(size=3)
        prices = 10.0 ** rng.uniform(-decades, decades, heads.shape[1])
        found = linear_cost(heads, target, variance=0.25, prices=prices)
        exact = plain.least_cost(heads, target, np.sqrt(prices)) ** 2 * 4
        assert [float(Fraction(x) / exact) for x in (found.cost, found.lower_bound)] == pytest.approx([1, 1], abs=1e-8)
        assert heads @ found.weights == pytest.approx(target, abs=1e-10)
        assert (found.weights[found.samples > 0] ** 2 / found.samples[found.samples > 0]).sum() == pytest.approx(0.25)
        assert found.status is Status.EXACT


def test_prices_at_the_ends_of_float64():
    """What can be held is answered, the rest is refused for what it is."""
    chain = [[1, 1, 0], [0, 1, 1]]
    found = linear_cost(chain, [1, 1], variance=0.1, prices=[1e30, 1, 1e-30])
    assert (found.cost, found.lower_bound) == pytest.approx((10, 10), rel=1e-12)
    assert linear_cost(np.eye(2), [1, 1], variance=100, prices=1e308).samples == pytest.approx([0.02, 0.02])
    both = linear_cost(chain, [1, 1], variance=1e-3, prices=[5e-324, 1e308, 5e-324])
    assert both.samples == pytest.approx([2e3, 0, 2e3])
    for prices, what in (([5e-324, 1e308], "got samples of inf"), ([1e308, 1e308], "got a cost of inf")):
        with pytest.raises(ValueError, match=f"prices, heads, .* float64 can hold samples and cost, {what}"):
            linear_cost(np.eye(2), [1, 1], variance=100 if prices[0] < 1 else 1e-3, prices=prices)
    large = np.random.default_rng(0).normal(size=(40, 2000))
    prices = 10.0 ** np.linspace(-40, 40, 2000)
    with pytest.raises(ConvergenceError, match=r"over the roots of prices differ by a factor of 1e4\d"):
        linear_cost(large, large[:, 0], variance=1.0, prices=prices)


def test_prices_that_cannot_be_weighed_are_named():
    with pytest.raises(ValueError, match=r"prices\[1\] must be positive: of what costs nothing no number"):
        linear_cost(np.eye(2), [1, 1], variance=1.0, prices=[1.0, 0.0])
    heads, target = np.array([[1.0, 1.0], [1.0, 1.0 + 1e-10]]), np.array([1.0, 2.0])
    with pytest.raises(ConvergenceError, match="sampled heads are nearly dependent, drop"):
        linear_cost(heads, target, variance=1.0, prices=[1.0, 2.0])


def test_linear_costs_agree_with_cvxpy():
    rng = np.random.default_rng(0)
    for k, n_tasks in ((2, 5), (4, 9)):
        heads, target, prices = rng.normal(size=(k, n_tasks)), rng.normal(size=k), rng.uniform(0.5, 3, n_tasks)
        n, nu = cp.Variable(n_tasks), cp.Variable(n_tasks)
        spent = sum(cp.quad_over_lin(nu[m], n[m]) for m in range(n_tasks))
        value = cp.Problem(cp.Minimize(prices @ n), [spent <= 0.7, heads @ nu == target]).solve(solver=cp.CLARABEL)
        assert linear_cost(heads, target, variance=0.7, prices=prices).cost == pytest.approx(value, rel=1e-5)


@settings(max_examples=25)
@given(problems(), st.sampled_from(CONVEX))
def test_convex_power_costs_are_proved_by_their_bound(problem, exponent):
    heads, target, error, rng = problem
    found = power_cost(heads, target, variance=error, exponent=exponent)
    check(found, heads, target, error, power(exponent), gap=1e-6)
    if not np.any(target):
        return
    assert power_value(found.weights, exponent, error) == pytest.approx(found.cost, rel=1e-5)
    kernel = np.eye(heads.shape[1]) - np.linalg.pinv(heads) @ heads
    for move in rng.normal(size=(20, heads.shape[1])) * 10.0 ** rng.uniform(-3, 0, (20, 1)):
        others = found.weights + kernel @ move * np.abs(found.weights).max()
        assert power_value(others, exponent, error) >= found.lower_bound * (1 - 1e-9)


@settings(max_examples=25)
@given(problems(), st.sampled_from(CONCAVE))
def test_concave_power_costs_equal_brute_force_over_supports(problem, exponent):
    heads, target, error, rng = problem
    found = power_cost(heads, target, variance=error, exponent=exponent)
    check(found, heads, target, error, power(exponent))
    if not np.any(target):
        return
    assert (found.status, found.lower_bound) == (Status.EXACT, found.cost)
    best = min(power_value(weights, exponent, error) for weights in basic_solutions(heads, target))
    assert found.cost == pytest.approx(best, rel=1e-6)
    kernel = np.eye(heads.shape[1]) - np.linalg.pinv(heads) @ heads
    for move in rng.normal(size=(20, heads.shape[1])):  # no other weights are cheaper, basic or not
        assert power_value(found.weights + kernel @ move, exponent, error) >= found.cost * (1 - 1e-9)


@settings(max_examples=25)
@given(problems(), st.floats(-3, 4))
def test_jump_costs_equal_brute_force_over_supports(problem, decades):
    heads, target, error, _ = problem
    jump = 10.0**decades
    found = jump_cost(heads, target, variance=error, jump=jump)
    check(found, heads, target, error, lambda n: n.sum() + jump * np.count_nonzero(n))
    if np.any(target):
        best = min(jump_value(weights, jump, error) for weights in basic_solutions(heads, target))
        assert found.cost == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("exponent", [0.6, 1.4, 3.0])
def test_no_direct_search_over_samples_is_cheaper(exponent):
    """Samples of any proportions, scaled to the variance, cost sum(n^a) V(n)^a / e^a; convex if a >= 1."""
    rng = np.random.default_rng(5)
    heads, target = rng.normal(size=(2, 5)), rng.normal(size=2)
    found = power_cost(heads, target, variance=0.3, exponent=exponent)

    def log_cost(log_samples):
        n = np.exp(np.clip(log_samples, -60, 60))
        return np.log((n**exponent).sum()) + exponent * np.log(variance(heads, target, n) / 0.3)

    ends = [minimize(log_cost, rng.normal(size=5), method="BFGS").fun for _ in range(3)]
    assert min(ends) >= np.log(found.cost) - 1e-9
    assert min(ends) == pytest.approx(np.log(found.cost), abs=1e-3)


@settings(max_examples=25)
@given(problems(), st.sampled_from([*CONVEX, *CONCAVE]), st.floats(0.1, 10))
def test_power_costs_scale_with_the_variance(problem, exponent, factor):
    heads, target, error, _ = problem
    here = power_cost(heads, target, variance=error, exponent=exponent)
    there = power_cost(heads, target, variance=factor * error, exponent=exponent)
    assert there.cost == pytest.approx(here.cost * factor**-exponent, rel=1e-5)
    units = power_cost(heads, 3.0 * target, variance=9.0 * error, exponent=exponent)
    assert units.cost == pytest.approx(here.cost, rel=1e-5)


@settings(max_examples=15)
@given(problems())
def test_power_and_jump_costs_start_from_the_linear_cost(problem):
    heads, target, error, _ = problem
    unit = linear_cost(heads, target, variance=error, prices=1.0)
    for exponent in (1 - 1e-9, 1.0, 1 + 1e-9):
        assert power_cost(heads, target, variance=error, exponent=exponent).cost == pytest.approx(unit.cost, rel=1e-6)
    assert jump_cost(heads, target, variance=error, jump=0).samples == pytest.approx(unit.samples)
    last = -1.0
    for jump in (0.0, 0.1, 10.0, 1e3):
        cost = jump_cost(heads, target, variance=error, jump=jump).cost
        assert cost >= last
        last = cost * (1 - 1e-12)


@settings(max_examples=25)
@given(problems())
def test_a_huge_jump_buys_from_the_fewest_tasks(problem):
    heads, target, error, _ = problem
    if np.any(target):
        fewest = min(np.count_nonzero(np.abs(weights) > 1e-9) for weights in basic_solutions(heads, target))
        found = jump_cost(heads, target, variance=error, jump=1e14)
        assert np.count_nonzero(found.samples) == fewest


@settings(max_examples=25)
@given(problems(), st.sampled_from(CONCAVE), st.floats(-2, 3))
def test_beyond_enumeration_the_surrogate_and_its_bound_enclose_the_optimum(problem, exponent, decades):
    heads, target, error, _ = problem
    if not np.any(target):
        return
    jump, support = 10.0**decades, np.count_nonzero(min_l1(heads, target).weights)
    for solve in (
        lambda: power_cost(heads, target, variance=error, exponent=exponent),
        lambda: jump_cost(heads, target, variance=error, jump=jump),
    ):
        exact = solve()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(costs, "ENUMERATED", 0)
            surrogate = solve()
        assert surrogate.status is Status.SURROGATE
        assert surrogate.lower_bound <= exact.cost * (1 + 1e-9)
        assert exact.cost <= surrogate.cost * (1 + 1e-9)
        assert np.count_nonzero(surrogate.samples) == support
    assert surrogate.cost - surrogate.lower_bound <= jump * (support - 1) + 1e-6 * surrogate.cost


def test_a_surrogate_at_its_real_size():
    rng = np.random.default_rng(1)
    heads, target = rng.normal(size=(10, 40)), rng.normal(size=10)
    found = jump_cost(heads, target, variance=0.1, jump=1.0)
    assert found.status is Status.SURROGATE
    assert found.lower_bound < found.cost <= found.lower_bound + 8.0 + 1e-6
    on_a_task = jump_cost(heads, heads[:, 3], variance=0.1, jump=1000.0)
    assert on_a_task.lower_bound <= on_a_task.cost


def test_enumeration_in_parts_changes_nothing(monkeypatch):
    rng = np.random.default_rng(2)
    heads, target = rng.normal(size=(3, 9)), rng.normal(size=3)
    whole = power_cost(heads, target, variance=1.0, exponent=0.3)
    monkeypatch.setattr(costs, "CHUNK_BYTES", 3000)
    assert power_cost(heads, target, variance=1.0, exponent=0.3).samples == pytest.approx(whole.samples, rel=1e-12)


def test_a_target_of_zero_costs_nothing():
    heads = np.array([[1.0, 2.0], [0.0, 1.0]])
    for found in (
        linear_cost(heads, [0.0, 0.0], variance=1.0, prices=[1.0, 2.0]),
        power_cost(heads, [0.0, 0.0], variance=1.0, exponent=2.0),
        power_cost(heads, [0.0, 0.0], variance=1.0, exponent=0.5),
        jump_cost(heads, [0.0, 0.0], variance=1.0, jump=5.0),
    ):
        assert (found.cost, found.lower_bound) == (0.0, 0.0)
        assert not found.samples.any()


BUYERS = (
    partial(linear_cost, prices=[1.0, 2.0, 3.0]),
    partial(jump_cost, jump=3.0),
    partial(power_cost, exponent=0.5),
    partial(power_cost, exponent=2.0),
)


@pytest.mark.parametrize("buy", [partial(linear_cost, prices=np.arange(1.0, 7.0)), *BUYERS[1:]])
def test_known_noise_is_a_unit_of_each_task(buy):
    """Samples for heads over their noise, here powers of two, and weights in units of theirs."""
    rng = np.random.default_rng(6)
    heads, target, noise = rng.normal(size=(3, 6)), rng.normal(size=3), 2.0 ** rng.integers(-3, 4, 6)
    found = buy(heads, target, variance=0.1, source_noise=noise)
    plainly = buy(heads / noise, target, variance=0.1)
    assert found.samples == pytest.approx(plainly.samples, rel=1e-5, abs=1e-9)
    assert (found.cost, found.lower_bound) == pytest.approx((plainly.cost, plainly.lower_bound), rel=1e-6)
    assert found.weights == pytest.approx(plainly.weights / noise, rel=1e-5, abs=1e-9)
    assert variance(heads, target, found.samples, source_noise=noise) == pytest.approx(0.1, rel=1e-6)


@pytest.mark.parametrize("buy", BUYERS)
def test_sizes_of_heads_and_target_do_not_matter(buy):
    """Weights larger by a factor, with a variance larger by its square, need the same samples."""
    heads, target = np.array([[1.0, 0.3, 0.8], [0.0, 1.0, 0.6]]), np.array([1.0, 2.0])
    usual = buy(heads, target, variance=1.0)
    for by, to in ((1e-160, 1e-160), (1e140, 1e-10), (1.0, 1e-150), (1e-100, 1e-30)):
        found = buy(by * heads, to * target, variance=(to / by) ** 2)
        assert found.samples == pytest.approx(usual.samples, rel=1e-6)
        assert found.lower_bound == pytest.approx(usual.lower_bound, rel=1e-6)
        assert found.weights * (by / to) == pytest.approx(usual.weights, rel=1e-6)
    for by, to in ((1e-160, 1.0), (1.0, 1e-200), (1e-154, 10.0)):
        with pytest.raises(
            ValueError, match="heads, target, variance and source_noise must be such that float64 can hold"
        ):
            buy(by * heads, to * target, variance=0.01)
    if buy is BUYERS[0]:
        tiny = buy(heads, 1e-200 * target, variance=1e-300)
        assert tiny.samples * 1e100 == pytest.approx(usual.samples, rel=1e-9)


def test_one_task_and_a_square_basis_have_closed_forms():
    assert power_cost([[2.0]], [3.0], variance=0.5, exponent=3.0).samples == pytest.approx([4.5])
    assert power_cost([[2.0]], [3.0], variance=0.5, exponent=0.5).samples == pytest.approx([4.5])
    assert jump_cost([[2.0]], [3.0], variance=0.5, jump=7.0).cost == pytest.approx(11.5)
    for exponent in (0.5, 1.0, 2.0):  # W = I: the weights are the target
        sizes = np.array([1.0, 2.0, 4.0]) ** (2 / (exponent + 1))
        found = power_cost(np.eye(3), [1.0, -2.0, 4.0], variance=1.0, exponent=exponent)
        assert found.samples / found.samples[0] == pytest.approx(sizes, rel=1e-4)


def test_what_is_not_proved_is_not_returned(monkeypatch):
    monkeypatch.setattr(costs.interior_point, "STEPS", 2)
    with pytest.raises(ConvergenceError, match="gap of the cost") as caught:
        power_cost([[1.0, 0.3, 0.8], [0.0, 1.0, 0.6]], [1.0, 2.0], variance=1.0, exponent=2.0)
    assert caught.value.result.status is Status.NOT_CONVERGED
    assert caught.value.result.lower_bound < caught.value.result.cost
