"""Compiled loops that fit a representation against plain NumPy: Kronecker products, least squares, loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pessimism.tasks._engine import representation_kernels as kernels
from tests.tasks import fewer
from tests.tasks import reference as plain

pytestmark = pytest.mark.kernels

SEEDS = st.integers(0, 2**32)
SHAPES = st.tuples(st.integers(2, 5), st.integers(1, 2), st.integers(1, 4))
FULL = 12
"""Rows a task that make every system regular for the shapes above."""


def statistics(seed, shape, rows=FULL, gone=""):
    """Grams (M, d, d), moments (M, d), an orthonormal basis (d, k) and heads (M, k)."""
    rng = np.random.default_rng(seed)
    d, k, tasks = shape
    x, y = rng.normal(size=(tasks, rows, d)), rng.normal(size=(tasks, rows))
    basis = np.ascontiguousarray(np.linalg.qr(rng.normal(size=(d, k))).Q)
    if gone == "last coordinate":
        x[..., -1] = 0.0
    elif gone == "second task":
        x[1] = 0.0
    return *plain.frozen(np.swapaxes(x, 1, 2) @ x, np.einsum("mni,mn->mi", x, y)), basis, rng.normal(size=(tasks, k))


def stacked(grams):
    """Gram matrices (..., M d, d), task below task, read-only."""
    return plain.frozen(grams.reshape(*grams.shape[:-3], -1, grams.shape[-1]))[0]


@fewer
@given(SEEDS, SHAPES)
def test_best_heads(seed, shape):
    grams, moments, basis, heads = statistics(seed, shape)
    found = kernels.best_heads(stacked(grams), moments, basis, heads, images := np.empty((moments.size, shape[1])))
    assert images == pytest.approx(stacked(grams) @ basis, rel=1e-12, abs=1e-12)
    assert heads == pytest.approx(plain.best_heads(grams, moments, basis), rel=1e-9, abs=1e-10)
    assert found == pytest.approx(plain.profile(grams, moments, basis), rel=1e-10)


@fewer
@given(SEEDS)
def test_best_heads_with_too_few_rows_have_the_least_loss(seed):
    """One row for two entries: many heads are optimal, all with the same loss; no row: no loss."""
    grams, moments, basis, heads = statistics(seed, (4, 2, 3), rows=1, gone="second task")
    found = kernels.best_heads(stacked(grams), moments, basis, heads, np.empty((12, 2)))
    assert found == pytest.approx(plain.profile(grams, moments, basis), rel=1e-9)
    assert not heads[1].any()


@fewer
@given(SEEDS, st.integers(1, 7))
def test_solve_positive(seed, size):
    rng = np.random.default_rng(seed)
    x, right = rng.normal(size=(size + 3, size)), rng.normal(size=size)
    solution = right.copy()
    matrix = x.T @ x
    kernels.solve_positive(matrix, solution)
    assert matrix @ solution == pytest.approx(right, rel=1e-9, abs=1e-10)
    assert solution == pytest.approx(np.linalg.lstsq(matrix, right)[0], rel=1e-6, abs=1e-8)


@fewer
@given(SEEDS, st.integers(1, 6), st.floats(0, 12))
def test_solve(seed, size, digits):
    """The backward error is a few roundings at any condition number; LAPACK's solution is as near as that allows."""
    rng = np.random.default_rng(seed)
    left, right = (np.linalg.qr(rng.normal(size=(size, size))).Q for _ in range(2))
    matrix = left @ np.diag(10.0 ** -np.linspace(0, digits, size)) @ right
    wanted = rng.normal(size=size)
    kernels.solve(matrix.copy(), x := wanted.copy())
    expected = np.linalg.solve(matrix, wanted)
    assert np.linalg.norm(matrix @ x - wanted) <= 1e-14 * (np.linalg.norm(x) + np.linalg.norm(wanted))
    assert np.linalg.norm(x - expected) <= 1e-14 * np.linalg.cond(matrix) * np.linalg.norm(expected)


def test_solve_where_it_needs_pivots_and_where_it_is_singular():
    kernels.solve(np.array([[0.0, 1.0], [2.0, 0.0]]), x := np.array([3.0, 4.0]))
    assert x.tolist() == [2.0, 3.0]
    for matrix in (np.zeros((1, 1)), np.array([[1.0, 2.0], [2.0, 4.0]])):
        with pytest.raises(np.linalg.LinAlgError, match="singular"):
            kernels.solve(matrix, np.ones(len(matrix)))
    kernels.solve(5e-324 * np.eye(2), x := np.zeros(2))  # the system of a task without rows
    assert not x.any()


def best_basis(grams, moments, heads, basis):
    """One half of an alternation: the basis (d, k) of its normal equations, orthonormal."""
    d, k = basis.shape
    system, x = np.full((d * k, d * k), np.nan), np.empty(d * k)
    kernels.normal_equations(stacked(grams), moments, heads, basis, system, x)
    system[np.triu_indices(d * k, 1)] = 0.0  # only the lower half is written, and read
    kernels.solve_positive(system, x)
    found = np.ascontiguousarray(x.reshape(k, d).T)
    kernels.orthonormalize(found)
    return found


@fewer
@given(SEEDS, SHAPES.filter(lambda shape: shape[2] >= shape[1]))
def test_best_basis(seed, shape):
    grams, moments, basis, heads = statistics(seed, shape)
    found = best_basis(grams, moments, heads, basis)
    expected = plain.best_basis(grams, moments, heads)
    assert found.T @ found == pytest.approx(np.eye(shape[1]), abs=1e-13)
    if np.linalg.cond(heads) < 100 and np.linalg.cond(expected) < 100:
        assert plain.projector(found) == pytest.approx(plain.projector(expected), abs=1e-6)


def test_a_direction_without_data_stays_where_it_was():
    """No task reaches the last coordinate: the least-squares basis is undetermined there, the old one is kept."""
    grams, moments, old, heads = statistics(3, (4, 2, 3), gone="last coordinate")
    found = best_basis(grams, moments, heads, old)
    inner = plain.best_basis(grams[:, :3, :3], moments[:, :3], heads)
    expected = np.vstack([inner, old[3]])
    assert plain.projector(found) == pytest.approx(plain.projector(expected), abs=1e-8)


@fewer
@given(SEEDS, st.integers(1, 6), st.integers(0, 4))
def test_orthonormal(seed, k, more):
    matrix = np.random.default_rng(seed).normal(size=(k + more, k))
    kernels.orthonormalize(found := matrix.copy())
    assert found.T @ found == pytest.approx(np.eye(k), abs=1e-13)
    assert plain.projector(found) @ matrix == pytest.approx(matrix, abs=1e-12)
    assert found == pytest.approx(np.linalg.qr(matrix).Q, abs=1e-9)  # its signs too


@pytest.mark.parametrize("digits", [0, 6, 12, 16, np.inf])
def test_orthonormal_columns_of_nearly_dependent_and_dependent_ones(digits):
    rng = np.random.default_rng(2)
    matrix = rng.normal(size=(7, 1)) + 10.0**-digits * rng.normal(size=(7, 3))
    matrix[0] = 0.0
    kernels.orthonormalize(found := matrix.copy())
    assert found.T @ found == pytest.approx(np.eye(3), abs=1e-14)
    assert found @ (found.T @ matrix) == pytest.approx(matrix, abs=1e-14)
    kernels.orthonormalize(nothing := np.zeros((3, 2)))
    assert np.array_equal(nothing, np.eye(3, 2))


@fewer
@given(SEEDS, SHAPES)
def test_gradient(seed, shape):
    grams, moments, basis, heads = statistics(seed, shape)
    kernels.gradient(moments, heads, stacked(grams) @ basis, found := np.empty(basis.shape))
    assert found == pytest.approx(plain.gradient(grams, moments, heads, basis), rel=1e-10, abs=1e-11)
    turn, eps = np.random.default_rng(seed).normal(size=basis.shape), 1e-5
    ahead, behind = (plain.loss(grams, moments, heads @ (basis + s * eps * turn).T) for s in (1, -1))
    assert 2.0 * np.vdot(found, turn) == pytest.approx((ahead - behind) / (2 * eps), rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("engine", ["alternate", "descend"])
def test_engines_step_by_step(engine, sized):
    """Losses and spans after 1 to 4 steps are those of the plain loop, in a batch of unrelated items."""
    run = getattr(kernels, engine)
    items = [statistics(seed, (5, 2, 6)) for seed in range(sized(20, 4))]
    grams, moments, starts = (np.array([item[i] for item in items]) for i in range(3))
    plain.frozen(grams, moments)
    for steps in range(1, 5):
        bases, heads = starts.copy(), np.zeros((len(items), 6, 2))
        ended = run(stacked(grams), moments, bases, heads, np.ones(len(items)), 1e-300, steps)
        assert np.array_equal(ended, np.full(len(items), -steps))
        for i, (a, b, start, _) in enumerate(items):
            losses, basis = getattr(plain, engine)(a, b, start, steps)
            assert plain.loss(a, b, heads[i] @ bases[i].T) == pytest.approx(losses[-1], rel=1e-9)
            assert plain.projector(bases[i]) == pytest.approx(plain.projector(basis), abs=1e-6)


@pytest.mark.parametrize("engine", ["alternate", "descend"])
@pytest.mark.parametrize("rows", [1, 3, 6, 12])
def test_the_loss_never_rises(engine, rows, sized):
    """Step by step, from random starts, with few rows and many; up to the rounding of the squares."""
    run, shape = getattr(kernels, engine), (6, 2, 5)
    for seed in range(sized(20, 2)):
        grams, moments, basis, _ = statistics(seed, shape, rows)
        bases, heads = basis[None].copy(), np.zeros((1, 5, 2))
        before = plain.profile(grams, moments, basis)
        for _ in range(15):
            run(stacked(grams[None]), moments[None], bases, heads, np.ones(1), 1e-300, 1)
            after = plain.loss(grams, moments, heads[0] @ bases[0].T)
            assert after <= before + 1e-12 * rows * shape[2]
            before = after


def test_the_step_limit_and_the_end():
    """Ends by itself: the number of steps; at the limit: minus the limit."""
    grams, moments, basis, _ = statistics(1, (5, 2, 6))
    for engine in (kernels.alternate, kernels.descend):
        arrays = *plain.frozen(stacked(grams[None]), moments[None]), basis[None].copy(), np.zeros((1, 6, 2)), np.ones(1)
        (steps,) = engine(*arrays, 1e-9, 5000)
        assert 1 < steps < 5000
        assert engine(*arrays, 1e-9, 5000)[0] < steps  # from where it ended
        arrays[2][0] = basis
        assert engine(*arrays, 1e-9, steps)[0] == steps
        arrays[2][0] = basis
        assert engine(*arrays, 1e-9, steps - 1)[0] == 1 - steps
