"""Compiled loops that fit a representation against plain NumPy: Kronecker products, least squares, loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pessimism.tasks import _kernels
from tests.reference import representation as plain

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
    return *frozen(np.swapaxes(x, 1, 2) @ x, np.einsum("mni,mn->mi", x, y)), basis, rng.normal(size=(tasks, k))


def frozen(*arrays):
    """Read-only, as statistics come from `TaskData`: the loops are compiled for that once."""
    for array in arrays:
        array.setflags(write=False)
    return arrays


@given(SEEDS, SHAPES)
def test_best_heads(seed, shape):
    grams, moments, basis, heads = statistics(seed, shape)
    found = _kernels.best_heads(grams, moments, basis, heads)
    assert heads == pytest.approx(plain.best_heads(grams, moments, basis), rel=1e-9, abs=1e-10)
    assert found == pytest.approx(plain.profile(grams, moments, basis), rel=1e-10)


@given(SEEDS)
def test_best_heads_with_too_few_rows_have_the_least_loss(seed):
    """One row for two entries: many heads are optimal, all with the same loss; no row: no loss."""
    grams, moments, basis, heads = statistics(seed, (4, 2, 3), rows=1, gone="second task")
    found = _kernels.best_heads(grams, moments, basis, heads)
    assert found == pytest.approx(plain.profile(grams, moments, basis), rel=1e-9)
    assert not heads[1].any()


@given(SEEDS, st.integers(1, 7))
def test_solve_positive(seed, size):
    rng = np.random.default_rng(seed)
    x, right = rng.normal(size=(size + 3, size)), rng.normal(size=size)
    given_right = right.copy()
    matrix = x.T @ x
    solution = _kernels.solve_positive(matrix, right)
    assert matrix @ solution == pytest.approx(right, rel=1e-9, abs=1e-10)
    assert solution == pytest.approx(np.linalg.lstsq(matrix, right)[0], rel=1e-6, abs=1e-8)
    assert np.array_equal(right, given_right)  # not written over


@given(SEEDS, SHAPES.filter(lambda shape: shape[2] >= shape[1]))
def test_best_basis(seed, shape):
    grams, moments, basis, heads = statistics(seed, shape)
    found = _kernels.best_basis(grams, moments, heads, basis)
    expected = plain.best_basis(grams, moments, heads)
    assert found.T @ found == pytest.approx(np.eye(shape[1]), abs=1e-13)
    if np.linalg.cond(heads) < 100 and np.linalg.cond(expected) < 100:
        assert plain.projector(found) == pytest.approx(plain.projector(expected), abs=1e-6)


def test_a_direction_without_data_stays_where_it_was():
    """No task reaches the last coordinate: the least-squares basis is undetermined there, the old one is kept."""
    grams, moments, old, heads = statistics(3, (4, 2, 3), gone="last coordinate")
    found = _kernels.best_basis(grams, moments, heads, old)
    inner = plain.best_basis(grams[:, :3, :3], moments[:, :3], heads)
    expected = np.vstack([inner, old[3]])
    assert plain.projector(found) == pytest.approx(plain.projector(expected), abs=1e-8)


@given(SEEDS, st.integers(1, 6), st.integers(0, 4))
def test_orthonormal(seed, k, more):
    matrix = np.random.default_rng(seed).normal(size=(k + more, k))
    found = _kernels.orthonormal(matrix)
    assert found.T @ found == pytest.approx(np.eye(k), abs=1e-13)
    assert plain.projector(found) @ matrix == pytest.approx(matrix, abs=1e-12)


@given(SEEDS, SHAPES)
def test_gradient(seed, shape):
    grams, moments, basis, heads = statistics(seed, shape)
    found = _kernels.gradient(grams, moments, heads, basis)
    assert found == pytest.approx(plain.gradient(grams, moments, heads, basis), rel=1e-10, abs=1e-11)
    turn, eps = np.random.default_rng(seed).normal(size=basis.shape), 1e-5
    ahead, behind = (plain.loss(grams, moments, heads @ (basis + s * eps * turn).T) for s in (1, -1))
    assert 2.0 * np.vdot(found, turn) == pytest.approx((ahead - behind) / (2 * eps), rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("engine", ["alternate", "descend"])
def test_engines_step_by_step(engine, sized):
    """Losses and spans after 1 to 4 steps are those of the plain loop, in a batch of unrelated items."""
    run = getattr(_kernels, engine)
    items = [statistics(seed, (5, 2, 6)) for seed in range(sized(20, 4))]
    grams, moments, starts = (np.array([item[i] for item in items]) for i in range(3))
    frozen(grams, moments)
    for steps in range(1, 5):
        bases, heads = starts.copy(), np.zeros((len(items), 6, 2))
        ended = run(grams, moments, bases, heads, np.ones(len(items)), 1e-300, steps)
        assert np.array_equal(ended, np.full(len(items), -steps))
        for i, (a, b, start, _) in enumerate(items):
            losses, basis = getattr(plain, engine)(a, b, start, steps)
            assert plain.loss(a, b, heads[i] @ bases[i].T) == pytest.approx(losses[-1], rel=1e-9)
            assert plain.projector(bases[i]) == pytest.approx(plain.projector(basis), abs=1e-6)


@pytest.mark.parametrize("engine", ["alternate", "descend"])
@pytest.mark.parametrize("rows", [1, 3, 6, 12])
def test_the_loss_never_rises(engine, rows, sized):
    """Step by step, from random starts, with few rows and many; up to the rounding of the squares."""
    run, shape = getattr(_kernels, engine), (6, 2, 5)
    for seed in range(sized(20, 2)):
        grams, moments, basis, _ = statistics(seed, shape, rows)
        bases, heads = basis[None].copy(), np.zeros((1, 5, 2))
        before = plain.profile(grams, moments, basis)
        for _ in range(15):
            run(grams[None], moments[None], bases, heads, np.ones(1), 1e-300, 1)
            after = plain.loss(grams, moments, heads[0] @ bases[0].T)
            assert after <= before + 1e-12 * rows * shape[2]
            before = after


def test_the_step_limit_and_the_end():
    """Ends by itself: the number of steps; at the limit: minus the limit."""
    grams, moments, basis, _ = statistics(1, (5, 2, 6))
    for engine in (_kernels.alternate, _kernels.descend):
        arrays = *frozen(grams[None], moments[None]), basis[None].copy(), np.zeros((1, 6, 2)), np.ones(1)
        (steps,) = engine(*arrays, 1e-9, 5000)
        assert 1 < steps < 5000
        assert engine(*arrays, 1e-9, 5000)[0] < steps  # from where it ended
        arrays[2][0] = basis
        assert engine(*arrays, 1e-9, steps)[0] == steps
        arrays[2][0] = basis
        assert engine(*arrays, 1e-9, steps - 1)[0] == 1 - steps
