"""Compiled loops for MDPs against plain NumPy on dense matrices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pessimism.mdp._engine import finite_horizon, fixed_point
from pessimism.mdp._engine.search import FROM_BELOW, NEVER, SEARCHES, Search
from tests.mdp import reference as plain
from tests.mdp.sizes import examples

pytestmark = pytest.mark.kernels

SEEDS = st.integers(0, 2**32)
SHARED = st.booleans()
LIMIT = 10**6
ROADS = [*SEARCHES.values(), FROM_BELOW, *(Search(*x, LIMIT) for x in ((False, 0, 1), (False, 10, 3), (True, 2, 2)))]


def read_only(*tables):
    """As `iterate` hands them over: unsigned lists, nothing to write to."""
    views = [np.ascontiguousarray(x).view(np.uint32 if x.dtype == np.int32 else x.dtype) for x in tables]
    for view in views:
        view.flags.writeable = False
    return views


def plain_improve(lists, p, r, discount, floor, fallback, values, policy):
    """Bellman's operator with forbidden actions and a floor, state by state."""
    improved, chosen, at_floor = [], [], []
    for s in range(len(r)):
        q = [r[s, a] + discount * p[s, a] @ values[lists[s, a]] for a in range(r.shape[1])]
        best = max(q) if max(q) > -np.inf else fallback
        moves = max(q) > -np.inf and best > floor
        improved.append(max(best, floor))
        chosen.append(int(np.argmax(q)) if moves else policy[s])
        at_floor.append(not moves)
    return np.array(improved), np.array(chosen), np.array(at_floor)


@given(SEEDS, st.sampled_from([-np.inf, 0.0, 0.7]))
def test_improve(seed, floor):
    rng = np.random.default_rng(seed)
    lists, p = plain.step_tables(rng, 1, 1)
    rewards, values = rng.normal(size=(4, 2)), rng.normal(size=4)
    rewards[rng.random((4, 2)) < 0.3] = -np.inf
    before = rng.integers(0, 2, 4)
    improved, policy, at_floor = np.empty(4), before.copy(), rng.random(4) < 0.5
    tables = read_only(lists[0], p[0, 0], rewards)
    low, high = fixed_point.improve(*tables, 0.9, floor, -0.5, values, improved, policy, at_floor)
    expected, chosen, fixed = plain_improve(lists[0], p[0, 0], rewards, 0.9, floor, -0.5, values, before)
    assert improved == pytest.approx(expected, rel=1e-12, abs=1e-13)
    assert (policy.tolist(), at_floor.tolist()) == (chosen.tolist(), fixed.tolist())
    assert (low, high) == ((improved - values).min(), (improved - values).max())


def test_improve_takes_the_lowest_among_equals():
    lists, p = np.zeros((1, 3, 1), np.int32), np.ones((1, 3, 1))
    policy = np.zeros(1, np.int64)
    tables = read_only(lists, p, np.array([[0.5, 1.0, 1.0]]))
    fixed_point.improve(*tables, 0.9, -np.inf, 0.0, np.zeros(1), np.empty(1), policy, np.zeros(1, bool))
    assert policy.tolist() == [1]


def policy_system(rng, size=6, width=3, discount=0.9):
    lists = rng.integers(0, size, (size, width)).astype(np.uint32)
    p = discount * rng.dirichlet(np.ones(width), size)
    return lists, p, plain.dense(lists[:, None], p[:, None])[:, 0]


@given(SEEDS)
def test_a_product_with_a_sparse_matrix(seed):
    rng = np.random.default_rng(seed)
    lists, p, matrix = policy_system(rng)
    x, out = rng.normal(size=6), np.empty(6)
    rewards = rng.normal(size=6)
    fixed_point.sweep(lists, p, rewards, x, out)
    assert out == pytest.approx(rewards + matrix @ x, rel=1e-12, abs=1e-14)


def plain_bicgstab(matrix, rewards, values, factor, max_products):
    """Van der Vorst (1992) with matrices; the shadow residual is the first residual."""
    system = np.eye(len(values)) - matrix
    residual = rewards - system @ values
    shadow, direction, first, products = residual.copy(), residual.copy(), np.abs(residual).max(), 1
    rho = shadow @ residual
    while products < max_products and rho != 0:
        v = system @ direction
        alpha = rho / (shadow @ v)
        half = residual - alpha * v
        t = system @ half
        omega = (t @ half) / (t @ t)
        values, residual, products = values + alpha * direction + omega * half, half - omega * t, products + 2
        if np.abs(residual).max() <= factor * first:
            break
        rho, beta = shadow @ residual, (shadow @ residual) / rho * alpha / omega
        direction = residual + beta * (direction - omega * v)
    return values, products


@given(SEEDS, st.sampled_from([3, 5, 50]))
def test_bicgstab_equals_its_textbook_and_solves_the_system(seed, limit):
    rng = np.random.default_rng(seed)
    lists, p, matrix = policy_system(rng)
    rewards, values = rng.random(6), np.zeros(6)
    products = fixed_point.bicgstab(lists, p, rewards, values, 1e-2, limit)
    expected, spent = plain_bicgstab(matrix, rewards, np.zeros(6), 1e-2, limit)
    assert products == spent
    assert values == pytest.approx(expected, rel=1e-6)
    if products < limit:
        residual, first = rewards + matrix @ values - values, rewards
        assert np.abs(residual).max() <= 1.0001e-2 * np.abs(first).max()


def test_bicgstab_stops_where_it_breaks_down():
    """A solved system, and a shift, on which the second direction vanishes."""
    lists, p, _ = policy_system(np.random.default_rng(1))
    rewards, zeros = np.zeros(6), np.zeros(6)
    assert fixed_point.bicgstab(lists, p, rewards, zeros, 1e-2, 200) == 1
    assert np.array_equal(zeros, np.zeros(6))
    ring = ((np.arange(6) + 1) % 6).astype(np.uint32)[:, None]
    values = np.zeros(6)
    assert fixed_point.bicgstab(ring, np.full((6, 1), 0.999), np.eye(6)[0], values, 1e-2, 200) <= 201


def bound_of(lists, p, r, discount, floor, fallback, values):
    improved, _, _ = plain_improve(lists, p, r, discount, floor, fallback, values, np.zeros(len(r), int))
    return np.abs(improved - values).max() / (1 - discount)


def solve(lists, p, rewards, *settings):
    """The kernel as `iterate` calls it, on read-only tables; one model without its batch axis is a batch of one."""
    *numbers, floor, fallback, tolerance, search, values, policies = settings
    single = values.ndim == 1
    tables = read_only(lists, *((p[None], rewards[None]) if single else (p, rewards)))
    changed = [x[None] if single else x for x in (values, policies)]
    count, at_floor = len(changed[0]), np.zeros(changed[0].shape, bool)
    movable = (tables[2] > -np.inf).any(axis=-1).all(axis=-1) & (search.shift and floor == -np.inf)
    iterations, bounds = np.ones(count, np.int64), np.full(count, fixed_point.WAITING)
    for krylov_steps in (None, True):
        own = floor, fallback, tolerance, search, *changed, at_floor, movable | np.zeros(count, bool)
        fixed_point.solve(*tables, *numbers, *own, iterations, bounds, krylov_steps)
    return (iterations[0], bounds[0], at_floor[0]) if single else (iterations, bounds, at_floor)


@given(SEEDS, st.sampled_from(ROADS), st.sampled_from([0.0, 0.5, 0.95]), SHARED)
def test_solve_finds_the_fixed_point_by_every_road(seed, search, discount, shared):
    rng = np.random.default_rng(seed)
    lists, p = plain.step_tables(rng, 1 if shared else 2, 1, n_states=6)
    p, rewards = p[:, 0].copy(), rng.random((2, 6, 2))
    values, policies = rng.random((2, 6)), np.zeros((2, 6), np.int64)
    iterations, bounds, _ = solve(lists[0], p, rewards, discount, -np.inf, 0.0, 1e-9, search, values, policies)
    assert np.all(bounds <= 1e-9)
    assert np.all(iterations >= 1)
    for i in range(2):
        matrices = plain.dense(lists[0], p[i % len(p)])
        best = plain.value_iteration(matrices, rewards[i], discount, 600)
        assert values[i] == pytest.approx(best, abs=1e-9)
        assert bounds[i] == pytest.approx(
            bound_of(lists[0], p[i % len(p)], rewards[i], discount, -np.inf, 0, values[i]), abs=1e-12
        )
        q = rewards[i] + discount * matrices @ values[i]
        assert np.all(np.take_along_axis(q, policies[i][:, None], axis=1)[:, 0] >= q.max(axis=1) - 1e-12)


@examples(0.5)
@given(SEEDS, st.sampled_from([0, 10]))
def test_solve_with_a_floor_and_forbidden_actions(seed, sweeps):
    """The fixed point of max(floor, max Q) from below; a state at its floor is marked and keeps its action."""
    rng = np.random.default_rng(seed)
    lists, p = plain.step_tables(rng, 1, 1, n_states=6)
    rewards = rng.normal(size=(6, 2))
    rewards[rng.random((6, 2)) < 0.2] = -np.inf
    values, policy, start = np.zeros(6), np.ones(6, np.int64), np.zeros(6)
    search = Search(False, sweeps, NEVER, LIMIT)
    _, bound, at_floor = solve(lists[0], p[0, 0], rewards, 0.8, 0.0, 0.0, 1e-9, search, values, policy)
    for _ in range(130):
        start, chosen, _ = plain_improve(lists[0], p[0, 0], rewards, 0.8, 0.0, 0.0, start, np.ones(6, int))
    assert bound <= 1e-9
    assert values == pytest.approx(start, abs=2e-9)
    assert np.all((policy == chosen) | (np.abs(start) < 1e-8))
    assert np.all(values[at_floor] == 0.0)


def slow_models(rng, n):
    """Models on which Krylov steps stall or break down: a deterministic ring, a lazy ring, two rooms with a slit."""
    ahead = (np.arange(n) + 1) % n
    ring = np.stack([ahead, (ahead + 1) % n], axis=1)[..., None].astype(np.int32)
    yield ring, np.ones((n, 2, 1)), rng.random((n, 2)) ** 8
    lazy = np.stack([np.broadcast_to(np.arange(n)[:, None], (n, 2)), ring[..., 0]], axis=-1).astype(np.int32)
    yield lazy, np.broadcast_to([0.1, 0.9], (n, 2, 2)).copy(), np.eye(n)[:, :1] * [1.0, 0.9]
    rooms = rng.integers(0, n // 2, (n, 2, 3)).astype(np.int32)
    rooms[n // 2 :] += n // 2
    rooms[:, 0, 2] = (rooms[:, 0, 2] + n // 2) % n
    yield rooms, np.broadcast_to([0.5, 0.499, 0.001], (n, 2, 3)).copy(), rng.random((n, 2))
    yield (*(x.astype(np.int32) if i == 0 else x for i, x in enumerate(plain.garnet(rng, n, 2, 1))),)


@pytest.mark.parametrize("search", [(True, 20, 1), (False, 2, 1), (True, 10, 10), (False, 0, 1)])
@pytest.mark.parametrize("seed", range(3))
def test_where_krylov_steps_fail_sweeps_finish(search, seed, sized):
    rng = np.random.default_rng(seed)
    for lists, p, rewards in slow_models(rng, sized(40, 8)):
        values, policy, discount = np.zeros(len(lists)), np.zeros(len(lists), np.int64), sized(0.999, 0.9)
        _, bound, _ = solve(lists, p, rewards, discount, -np.inf, 0.0, 1e-6, Search(*search, LIMIT), values, policy)
        assert bound <= 1e-6
        assert bound_of(lists, p, rewards, discount, -np.inf, 0.0, values) <= 1.0001e-6
        rows = np.arange(len(lists))
        matrices = plain.dense(lists, p)
        exact = np.linalg.solve(np.eye(len(lists)) - discount * matrices[rows, policy], rewards[rows, policy])
        assert np.abs(plain.bellman(matrices, rewards, discount, exact) - exact).max() < 2e-6  # nearly optimal


def test_solve_stops_at_its_limit_and_where_values_are_no_numbers():
    lists, p, rewards = np.zeros((1, 1, 1), np.int32), np.ones((1, 1, 1)), np.ones((1, 1))
    values, policy = np.zeros(1), np.zeros(1, np.int64)
    plainly = Search(False, 0, NEVER, 3)
    spent, bound, _ = solve(lists, p, rewards, 0.9, -np.inf, 0.0, 1e-9, plainly, values, policy)
    assert (spent, bound) == (3, pytest.approx(10 * 0.9**2))
    assert values[0] == pytest.approx(1 + 0.9 + 0.81)
    absorbing, p, rewards = np.array([[[1]], [[1]]], np.int32), np.ones((2, 1, 1)), np.ones((2, 1))
    for values in (np.array([np.nan, 10.0]), np.array([np.nan, np.nan])):  # the first would be right in one more step
        once, policy = Search(False, 0, NEVER, 1), np.zeros(2, np.int64)
        assert solve(absorbing, p, rewards, 0.9, -np.inf, 0.0, 1e-6, once, values, policy)[:2] == (1, np.inf)


@examples(0.5)
@given(SEEDS, st.integers(0, 4), SHARED)
def test_plan_backward(seed, horizon, one_step):
    rng = np.random.default_rng(seed)
    steps = 1 if one_step else max(horizon, 1)
    lists, p = plain.step_tables(rng, 1, steps)
    rewards, fallback = rng.random((2, steps, 4, 2)), rng.random(horizon)
    rewards[rng.random(rewards.shape) < 0.2] = -np.inf
    values, actions = finite_horizon.plan_backward(lists, p, rewards, 0.9, fallback)
    for i in range(2):
        later = np.zeros(4)
        for h in reversed(range(horizon)):
            q = rewards[i, h % steps] + 0.9 * plain.dense(lists[h % steps], p[0, h % steps]) @ later
            free = q.max(axis=1) > -np.inf
            later = np.where(free, q.max(axis=1), fallback[h])
            assert values[i, h] == pytest.approx(later, rel=1e-13)
            assert actions[i, h].tolist() == np.where(free, q.argmax(axis=1), 0).tolist()
