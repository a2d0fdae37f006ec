"""The world of linear tasks: risks by brute force, identities of drawn statistics, batches, streams, bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from pessimism.tasks import LinearTasks, TaskData, instances
from tests.tasks import fewer
from tests.tasks import reference as plain

SEEDS = st.integers(0, 2**32)


def test_shapes_and_coefficients():
    world = plain.world(1, d=6, k=2, n_tasks=5)
    assert (world.shape, world.dimension, world.rank, world.n_tasks) == ((), 6, 2, 5)
    for m in range(5):
        assert world.coefficients[m] == pytest.approx(world.representation @ world.heads[:, m])
    assert world.target_coefficients == pytest.approx(world.representation @ world.target)


@fewer
@given(SEEDS, st.integers(1, 4))
def test_representation_risk_is_what_the_best_head_leaves(seed, columns):
    """Projection by least squares on any basis of the span, and no head does better."""
    world, rng = plain.world(seed), np.random.default_rng(seed)
    basis = rng.normal(size=(6, columns))
    head = np.linalg.lstsq(basis, world.target_coefficients)[0]
    rho = world.representation_risk(basis)
    assert rho == pytest.approx(world.risk(basis @ head), rel=1e-9, abs=1e-12)
    assert rho == pytest.approx(
        np.sum(((np.eye(6) - plain.projector(basis)) @ world.target_coefficients) ** 2), rel=1e-9, abs=1e-12
    )
    for other in head + 0.1 * rng.normal(size=(5, columns)):
        assert rho <= world.risk(basis @ other)
    turned = basis @ rng.normal(size=(columns, columns))
    assert world.representation_risk(turned) == pytest.approx(rho, rel=1e-6, abs=1e-9)


def test_risk_is_the_excess_squared_error_on_new_rows():
    """E (y - x'a)^2 - sigma^2 over a lattice of inputs with covariance I: no sampling."""
    world, theta = plain.world(2, noise=0.5), np.random.default_rng(2).normal(size=6)
    inputs = np.sqrt(6.0) * np.concatenate([np.eye(6), -np.eye(6)])
    errors = inputs @ (world.target_coefficients - theta)
    assert world.risk(theta) == pytest.approx(np.mean(errors**2), rel=1e-12)
    assert world.risk(world.target_coefficients) == 0.0


@fewer
@given(SEEDS)
def test_total_risk_averages_over_the_inverse_gram(seed):
    """rho + tau^2 E tr(G^-1) with E G^-1 = I/(n - k - 1); the law itself is tested with the laws."""
    world, rng = plain.world(seed, noise=0.3), np.random.default_rng(seed)
    basis, n = np.linalg.qr(rng.normal(size=(6, 2))).Q, int(rng.integers(4, 50))
    rho = world.representation_risk(basis)
    assert world.total_risk(basis, n) == pytest.approx(rho + (0.09 + rho) * 2 / (n - 3), rel=1e-12)
    assert world.total_risk(world.representation, n) == pytest.approx(0.09 * 2 / (n - 3), rel=1e-9)
    assert world.total_risk(2.0 * basis, [n, n + 1]).shape == (2,)


@fewer
@given(SEEDS)
def test_predicted_risk_is_the_least_variance(seed):
    """sigma^2 (d - k) min {sum nu^2/n : W nu = w}: by least squares in scaled unknowns and by a general minimiser."""
    world, rng = plain.world(seed, noise=0.7), np.random.default_rng(seed)
    n = rng.integers(1, 1000, 5)
    expected = 0.49 * 4 * plain.least_variance(world.heads, world.target, n)
    assert world.predicted_risk(n) == pytest.approx(expected, rel=1e-9)
    total = expected + (0.49 + expected) * 2 / (20 - 3)
    assert world.predicted_risk(n, 20) == pytest.approx(total, rel=1e-9)
    start = np.linalg.lstsq(world.heads, world.target)[0]
    null = np.linalg.svd(world.heads).Vh[2:]
    free = minimize(lambda t: np.sum((start + t @ null) ** 2 * (n.min() / n)), np.zeros(3)).fun / n.min()
    assert world.predicted_risk(n) == pytest.approx(0.49 * 4 * free, rel=1e-5)
    assert world.predicted_risk(n / n.sum()) == pytest.approx(expected * n.sum(), rel=1e-9)


def test_predicted_risk_without_the_tasks_it_needs():
    world = LinearTasks(np.eye(4, 2), [[1.0, 0.0], [0.0, 1.0]], [1.0, 0.0], noise=[1.0, 0.0])
    assert world.predicted_risk([5, 0]) == pytest.approx([0.4, 0.0], rel=1e-14)  # the other task is not needed
    assert world.predicted_risk([0, 5]).tolist() == [np.inf, np.inf]
    assert world.predicted_risk([0, 5], 10).tolist() == [np.inf, np.inf]
    whole = LinearTasks(np.eye(2), np.eye(2), [1.0, 1.0])
    assert whole.predicted_risk([3, 4]) == 0.0  # d = k: there is nothing to learn
    assert whole.predicted_risk([5, 0]) == 0.0  # even where the tasks sampled miss the target
    assert instances.spike_and_pairs(3, dimension=6).predicted_risk([10, 0, 0, 0, 0, 0, 0]) == pytest.approx(4 / 10)


def test_a_batch_of_worlds_is_its_worlds():
    rng = np.random.default_rng(3)
    parts = [plain.world(seed) for seed in range(3)]
    heads, noise = rng.normal(size=(2, 1, 2, 5)), [0.5, 1.0, 2.0]
    many = LinearTasks([p.representation for p in parts], heads, [p.target for p in parts], noise)
    basis, theta, n = rng.normal(size=(3, 6, 2)), rng.normal(size=(2, 3, 6)), rng.integers(1, 99, (3, 5))
    assert (many.shape, many.coefficients.shape, many.target_coefficients.shape) == ((2, 3), (2, 3, 5, 6), (3, 6))
    for i, j in np.ndindex(2, 3):
        one = LinearTasks(parts[j].representation, heads[i, 0], parts[j].target, noise[j])
        assert many.risk(theta)[i, j] == pytest.approx(one.risk(theta[i, j]), rel=1e-13)
        assert many.representation_risk(basis)[j] == pytest.approx(one.representation_risk(basis[j]), rel=1e-12)
        assert many.total_risk(basis, 9)[j] == pytest.approx(one.total_risk(basis[j], 9), rel=1e-12)
        assert many.predicted_risk(n, 9)[i, j] == pytest.approx(one.predicted_risk(n[j], 9), rel=1e-12)
    data = many.sample(n, size=4, rng=1)
    assert (data.shape, data.n_tasks) == ((4, 2, 3), 5)
    assert np.array_equal(data.counts, np.broadcast_to(n, (4, 2, 3, 5)))
    assert many.sample_target([7, 8, 9], size=(4, 5), rng=1).counts.shape == (4, 5, 2, 3, 1)


@pytest.mark.parametrize("n", [0, 1, 2, 4, 5, 6, 12])
def test_drawn_statistics_could_be_those_of_rows(n):
    """Symmetric, of rank min(n, d), squares at least what is explained; with no more rows than entries nothing more."""
    world = plain.world(4, d=5, k=2, n_tasks=2, noise=0.8)
    data = world.sample(n, size=30, rng=5)
    assert np.array_equal(data.grams, np.swapaxes(data.grams, -1, -2))
    assert np.all(np.linalg.matrix_rank(data.grams, hermitian=True, tol=1e-8) == min(n, 5))
    inverse = np.linalg.pinv(data.grams, rcond=1e-10, hermitian=True)
    explained = np.einsum("...i,...ij,...j->...", data.moments, inverse, data.moments)
    assert np.all(data.squares >= explained - 1e-9)
    assert (data.squares - explained == pytest.approx(0.0, abs=1e-7)) == (n <= 5)
    whole = np.concatenate([data.grams, data.moments[..., None]], axis=-1)
    last = np.concatenate([data.moments, data.squares[..., None]], axis=-1)[..., None, :]
    assert np.linalg.eigvalsh(np.concatenate([whole, last], axis=-2)).min() > -1e-12
    TaskData(data.counts, data.grams, data.moments, data.squares)  # passes its own checks
    if n == 0:
        assert not data.grams.any()
        assert not data.squares.any()


def test_without_noise_outputs_are_the_signal():
    world = plain.world(6, noise=0.0)
    data = world.sample([0, 1, 3, 6, 10**9], size=10, rng=7)
    theta = world.coefficients
    assert data.moments == pytest.approx(np.einsum("...mij,mj->...mi", data.grams, theta), rel=1e-12, abs=1e-6)
    assert data.squares == pytest.approx(np.einsum("...mij,mi,mj->...m", data.grams, theta, theta), rel=1e-12)


def test_noise_of_each_task():
    """Equal noise is what one number was, bit for bit; tasks without noise show their signal; batches are worlds."""
    world, n = plain.world(4, noise=0.5), [3, 9, 1, 7, 20]
    parts = world.representation, world.heads, world.target
    same = LinearTasks(*parts, 0.5, [0.5] * 5)
    for name in ("grams", "moments", "squares"):
        assert np.array_equal(getattr(same.sample(n, rng=1), name), getattr(world.sample(n, rng=1), name))
    assert np.array_equal(same.predicted_risk(n, 9), world.predicted_risk(n, 9))
    noise = np.array([0.0, 1.0, 0.0, 2.0, 0.5])
    mixed = LinearTasks(*parts, 0.5, noise)
    inputs, outputs, task = mixed.sample_rows(9, rng=2)
    signal = np.einsum("nd,nd->n", inputs, mixed.coefficients[task])
    assert [np.array_equal(outputs[task == m], signal[task == m]) for m in range(5)] == (noise == 0).tolist()
    quiet = mixed.sample(9, rng=2).loss(mixed.coefficients)
    assert quiet[noise == 0] == pytest.approx(0, abs=1e-9)
    assert (quiet[noise > 0] > 1e-3).all()
    assert np.array_equal(mixed.sample_target(9, rng=3).moments, world.sample_target(9, rng=3).moments)
    both = LinearTasks(*parts, 0.5, [[0.5] * 5, noise])
    assert both.shape == (2,)
    assert np.array_equal(both.predicted_risk(n), [world.predicted_risk(n), mixed.predicted_risk(n)])


def test_no_world_is_a_batch_too():
    none = LinearTasks(np.zeros((0, 4, 2)), np.eye(2), [1.0, 1.0])
    assert none.sample(3, rng=1).shape == none.shape == (0,)
    assert none.risk(np.ones(4)).shape == (0,)


def test_streams_are_reproducible():
    world = plain.world(10)
    calls = [
        lambda rng: world.sample([9, 2, 0, 30, 7], size=3, rng=rng).grams,
        lambda rng: world.sample_target(9, size=3, rng=rng).moments,
        lambda rng: world.sample_rows([9, 2, 0, 30, 7], rng=rng)[1],
    ]
    for call in calls:
        assert np.array_equal(call(5), call(np.random.default_rng(5)))
        assert np.array_equal(call(np.random.SeedSequence(6)), call(np.random.SeedSequence(6)))
        assert not np.array_equal(call(5), call(6))


def test_rows_come_in_order():
    world = plain.world(11, noise=0.0)
    inputs, outputs, tasks = world.sample_rows([2, 0, 1, 3, 1], rng=1)
    assert tasks.tolist() == [0, 0, 2, 3, 3, 3, 4]
    assert outputs == pytest.approx(np.sum(inputs * world.coefficients[tasks], axis=1))
    assert world.sample_rows(2, rng=1)[2].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
