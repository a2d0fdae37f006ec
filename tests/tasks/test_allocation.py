"""Allocations: totals, floors, caps, the (p, q) family by bisection, rounding by enumeration, phases, bad input."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pessimism.tasks import allocate, bounds, keep_largest, min_l1, min_l2, phase_budgets
from pessimism.tasks.costs import power_cost
from pessimism.tasks.designs import c_optimal
from tests.tasks import fewer
from tests.tasks import reference as plain

SIZES = st.integers(1, 7)
POWERS = st.sampled_from([0.0, 0.5, 1.0, 2.0])


@st.composite
def orders(draw, spare=200):
    """Relevance, budget, floors and caps that fit together."""
    m = draw(SIZES)
    weights = draw(hnp.arrays(np.float64, m, elements=st.floats(-2, 2).map(lambda x: x if abs(x) > 1e-3 else 0.0)))
    least = draw(hnp.arrays(np.int64, m, elements=st.integers(0, 20)))
    most = least + draw(hnp.arrays(np.int64, m, elements=st.integers(0, spare)))
    return weights, draw(st.integers(int(least.sum()), int(most.sum()))), least, most


@fewer
@given(orders(), POWERS)
def test_totals_floors_and_caps_are_kept(order, power):
    weights, budget, least, most = order
    rows = allocate(weights, budget, power=power, floor=least, caps=most)
    assert rows.dtype == np.int64
    assert rows.sum() == budget
    assert np.all((least <= rows) & (rows <= most))


@fewer
@given(orders(), POWERS)
def test_rows_are_the_clipped_multiple_of_the_power_rounded(order, power):
    """c |nu|^q between its bounds, c by bisection: no task is a row or more off."""
    weights, budget, least, most = order
    assume(budget <= np.where(weights != 0, most, least).sum())  # nothing is left over
    assume(weights.any())
    powers = np.abs(weights) ** power
    exact = plain.shares(powers, budget, least, most)
    rows = allocate(weights, budget, power=power, floor=least, caps=most)
    assert np.abs(rows - exact).max() < 1.0 + 1e-9


@fewer
@given(orders(), st.sampled_from([0.5, 1.0, 2.0]), st.data())
def test_what_caps_leave_over_is_spread_evenly_over_the_others(order, power, data):
    weights, _, least, most = order
    weights[data.draw(st.integers(0, len(weights) - 1))] = 0.0
    relevant = weights != 0
    rest = data.draw(st.integers(int(least[~relevant].sum()), int(most[~relevant].sum())))
    rows = allocate(weights, rest + most[relevant].sum(), power=power, floor=least, caps=most)
    assert np.array_equal(rows[relevant], most[relevant])
    exact = plain.shares(np.ones((~relevant).sum()), rest, least[~relevant], most[~relevant])
    assert np.abs(rows[~relevant] - exact).max() < 1.0 + 1e-9


@fewer
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 40), st.integers(0, 3))
def test_no_other_rounding_is_nearer(weights, spare, floor):
    """Largest remainders against all roundings of the same shares: none has a smaller largest deviation."""
    budget = floor * len(weights) + spare
    caps = np.full(len(weights), max(floor + 9, -(-budget // len(weights))))
    exact = plain.shares(np.array(weights, float), budget, floor, caps)
    near = np.where(np.abs(exact - exact.round()) < 1e-9, exact.round(), exact)  # what bisection leaves
    rows = allocate(weights, budget, floor=floor, caps=caps)
    deviations = [np.abs(other - near).max() for other in plain.roundings(near, budget, caps)]
    assert np.abs(rows - near).max() <= min(deviations) + 1e-9


def test_among_equal_remainders_the_lowest_index_comes_first():
    assert allocate([1.0, 1.0, 1.0], 5).tolist() == [2, 2, 1]
    assert allocate([1.0, 1.0, 1.0], 5, caps=[1, 4, 4]).tolist() == [1, 2, 2]
    assert allocate([0.5, 0.25, 0.25], 2).tolist() == [1, 1, 0]


def test_the_named_rules():
    nu = np.array([0.6, -0.3, 0.1, 0.0])
    assert allocate(nu, 1000).tolist() == [600, 300, 100, 0]
    assert allocate(nu, 460, power=2).tolist() == [360, 90, 10, 0]
    assert allocate(nu, 1000, power=0).tolist() == [250, 250, 250, 250]
    assert allocate(nu, 1000, floor=150).tolist() == [467, 233, 150, 150]
    assert allocate(nu, 1000, caps=[300, 1000, 1000, 1000]).tolist() == [300, 525, 175, 0]
    assert allocate(np.zeros(4), 1000).tolist() == [250, 250, 250, 250]
    assert allocate(nu, 0).tolist() == [0, 0, 0, 0]
    assert allocate(nu, 40, floor=10).tolist() == [10, 10, 10, 10]


def test_noise_weighs_the_relevance():
    """n ~ sigma |nu| has the least sum sigma^2 nu^2/n at a total: none of its neighbours has less."""
    nu, sigma = np.array([0.5, -0.25, 0.1]), np.array([1.0, 4.0, 0.5])
    found = allocate(nu, 10_000, source_noise=sigma)
    assert found.tolist() == allocate(sigma * nu, 10_000).tolist() == [3226, 6452, 322]
    spent = (sigma**2 * nu**2 / found).sum()
    for move in itertools.permutations([100, -100, 0]):
        assert (sigma**2 * nu**2 / (found + move)).sum() > spent
    assert np.array_equal(allocate(nu, 99, source_noise=3.0), allocate(nu, 99))
    assert allocate(nu, 99, source_noise=[sigma, np.ones(3)]).shape == (2, 3)


def test_a_relevance_is_read_by_its_weights():
    heads, target = [[1.0, 0.0, 0.8], [0.0, 1.0, 0.6]], [0.5, 0.6]
    for found in (min_l1(heads, target), min_l2(heads, target)):
        assert np.array_equal(allocate(found, 977), allocate(found.weights, 977))
        assert np.array_equal(keep_largest(found, 2), keep_largest(found.weights, 2))


@fewer
@given(st.integers(0, 2**32), st.integers(1, 60), POWERS, st.integers(0, 3))
def test_the_largest_budgets_are_still_exact(seed, m, power, kind):
    rng = np.random.default_rng(seed)
    budget = 2**53 - int(rng.integers(0, 3))
    even = 2**53 // m
    bounds = [{}, {"floor": 10**12}, {"caps": min(even + 5, 2**53)}, {"floor": even - 9, "caps": min(even + 9, 2**53)}]
    bounds, weights = bounds[kind], rng.normal(size=m) if kind < 3 else np.ones(m)
    rows = allocate(weights, budget, power=power, **bounds).tolist()
    assert sum(rows) == budget
    assert min(rows) >= bounds.get("floor", 0)
    assert max(rows) <= bounds.get("caps", 2**53)


def test_what_has_other_weights_is_not_divided_by_them():
    """The weights of a purchase are nu, not what it buys; a design has none."""
    purchase = power_cost(np.eye(2), [3.0, 1.0], variance=0.01, exponent=3.0)
    for read in (lambda x: allocate(x, 100), lambda x: keep_largest(x, 1), lambda x: bounds.effective_tasks(10, x)):
        with pytest.raises(TypeError, match="got a Purchase: pass its samples"):
            read(purchase)
        with pytest.raises(TypeError, match="got a Design: pass its shares"):
            read(c_optimal(np.eye(2), [3.0, 1.0]))
    assert allocate(purchase.samples, 100).sum() == 100


def test_sizes_of_any_scale_are_the_same_rule():
    nu = np.array([0.5, -0.3, 0.2])
    for scale in (1e-150, 1e-5, 1e149):
        assert allocate(nu * scale, 977, power=2).tolist() == allocate(nu, 977, power=2).tolist()
    assert allocate([1e-200, 1.0], 10, power=2).tolist() == [0, 10]  # its square is 0 in float64


def test_a_batch_is_its_items():
    rng = np.random.default_rng(5)
    nu, budgets, floors = rng.normal(size=(3, 1, 5)), np.array([200, 317]), rng.integers(0, 20, (2, 5))
    caps = rng.integers(60, 300, 5)
    rows = allocate(nu, budgets, floor=floors, caps=caps, power=2)
    assert rows.shape == (3, 2, 5)
    for i, j in np.ndindex(3, 2):
        one = allocate(nu[i, 0], budgets[j], floor=floors[j], caps=caps, power=2)
        assert np.array_equal(rows[i, j], one)
    assert np.array_equal(keep_largest(nu, 2)[1, 0], keep_largest(nu[1, 0], 2))
    assert allocate(nu[0, 0], [100, 200]).shape == (2, 5)


@fewer
@given(hnp.arrays(np.float64, SIZES, elements=st.integers(-3, 3).map(float)), st.data())
def test_keep_largest(weights, data):
    s = data.draw(st.integers(1, len(weights)))
    kept = keep_largest(weights, s)
    order = sorted(range(len(weights)), key=lambda m: (-abs(weights[m]), m))
    assert kept.tolist() == [weights[m] if m in order[:s] else 0.0 for m in range(len(weights))]


@fewer
@given(st.integers(0, 10**9), st.integers(1, 30), st.floats(0.1, 10))
def test_phases_add_up_and_grow(total, phases, growth):
    budgets = phase_budgets(total, phases, growth=growth)
    shares = np.array([growth**i for i in range(phases)])
    assert sum(budgets) == total
    assert len(budgets) == phases
    assert budgets == pytest.approx(total * shares / shares.sum(), abs=1.0 + 1e-6)


def test_phases():
    assert phase_budgets(700, 3) == [100, 200, 400]
    assert phase_budgets(9, 4, growth=1) == [3, 2, 2, 2]
    assert phase_budgets(2**53, 1) == [2**53]
    assert sum(phase_budgets(10**6, 1000)) == 10**6
