"""Fitting a representation: brute force, closed forms, both engines, invariances, certificates, bad input."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pessimism import _batch
from pessimism.tasks import (
    ConvergenceError,
    ConvergenceWarning,
    TaskData,
    fit_heads,
    fit_representation,
    moment_representation,
    principal_angles,
    representation,
)
from tests.tasks import fewer
from tests.tasks import reference as plain

SEEDS = st.integers(0, 2**32)
ENGINES = pytest.mark.parametrize("method", ["alternate", "descend"])


def apart(basis, other):
    """The largest angle between two spans."""
    return principal_angles(basis, other).max()


def rows_of(seed, counts, d=6, k=2, noise=1.0):
    """A world, raw rows of its tasks, and their statistics."""
    world = plain.world(seed, d, k, len(counts), noise=noise)
    x, y, labels = world.sample_rows(counts, rng=seed)
    pairs = [x[labels == m] for m in range(len(counts))], [y[labels == m] for m in range(len(counts))]
    return world, *pairs, TaskData.from_arrays(*pairs)


@ENGINES
def test_the_answer_is_the_optimum_over_all_directions_of_the_plane(method):
    """d = 2, k = 1: every angle is tried. From three starts; from one alone where tasks have many rows."""
    for seed in range(30):
        rows = [3, 5, 4] if seed % 2 else [40, 20, 30]
        data = rows_of(seed, rows, d=2, k=1)[3]
        best = data.squares.sum() + plain.scanned(data.grams, data.moments)
        starts = ["auto", [[1.0], [0.0]], [[0.0], [1.0]]] if seed % 2 else ["auto"]
        found = [float(fit_representation(data, 1, method=method, start=start).loss) for start in starts]
        assert min(found) == pytest.approx(best, rel=1e-9)
        assert min(found) >= best * (1 - 1e-9)


@pytest.mark.parametrize("start", ["auto", "ols", "moments"])
@ENGINES
def test_with_gram_matrices_n_times_one_it_is_a_singular_value_decomposition(method, start):
    """A_m = n_m G: the leading left singular vectors of [sqrt(n_m) theta_m], in the metric of G; I is the start."""
    rng, counts = np.random.default_rng(20), np.array([12, 500, 90, 40])
    theta = rng.normal(size=(4, 6))
    for root in (np.eye(6), np.linalg.cholesky(np.cov(rng.normal(size=(6, 40))))):
        grams = counts[:, None, None] * (root @ root.T)
        moments = np.einsum("mij,mj->mi", grams, theta)
        data = TaskData(counts, grams, moments, np.einsum("mi,mi->m", moments, theta) + counts)
        u, values, _ = np.linalg.svd(root.T @ theta.T * np.sqrt(counts))
        found = fit_representation(data, 2, method=method, start=start)
        assert found.loss == pytest.approx(counts.sum() + np.sum(values[2:] ** 2), rel=1e-10)
        assert apart(found.basis, np.linalg.solve(root.T, u[:, :2])) < 1e-4
        if root[0, 0] == 1.0:
            assert found.iterations == 1


@pytest.mark.kernels
@ENGINES
@pytest.mark.parametrize("k", [2, 6])
def test_with_no_more_tasks_than_columns_it_is_least_squares_task_by_task(k, method):
    """The rank constraint is void: tasks without rows do not count, and k = d never binds."""
    counts = [9, 0, 14, 0] if k < 6 else [9, 10, 14, 0]
    _, inputs, outputs, data = rows_of(1, counts)
    found = fit_representation(data, k, method=method)
    expected = 0.0
    for m in np.flatnonzero(counts):
        theta = np.linalg.lstsq(inputs[m], outputs[m])[0]
        expected += np.sum((outputs[m] - inputs[m] @ theta) ** 2)
        assert found.basis @ found.heads[:, m] == pytest.approx(theta, abs=1e-5)
    assert found.loss == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("rows", [12, 30, 10**6])
@ENGINES
def test_without_noise_the_span_is_found(rows, method):
    world = plain.world(2, noise=0.0)
    found = fit_representation(world.sample(rows, rng=1), 2, method=method)
    assert apart(found.basis, world.representation) < 1e-6
    assert found.basis @ found.heads == pytest.approx(world.coefficients.T, abs=1e-6)
    assert world.representation_risk(found.basis) < 1e-12


def test_without_noise_and_with_fewer_rows_than_entries_the_span_is_found():
    """Five rows a task for six entries: no task could be solved alone, together they can."""
    world = plain.world(3, n_tasks=8, noise=0.0)
    found = fit_representation(world.sample(5, rng=1), 2, tolerance=1e-15)
    assert apart(found.basis, world.representation) < 1e-6


def test_both_engines_and_all_starts_agree():
    """At five rows an entry: the spectral starts and random ones reach one loss and one span."""
    data = plain.world(4, d=6, k=2, n_tasks=6).sample(30, size=8, rng=1)
    best = fit_representation(data, 2)
    rng = np.random.default_rng(2)
    starts = ["auto", "ols", "moments", *rng.normal(size=(12, 6, 2)), rng.normal(size=(8, 6, 2))]
    for method in ("alternate", "descend"):
        for start in starts:
            found = fit_representation(data, 2, start=start, method=method)
            assert found.loss == pytest.approx(best.loss, rel=1e-9)
            assert np.all(principal_angles(found.basis, best.basis) < 1e-3)


def test_the_basis_is_orthonormal_and_the_loss_is_the_loss():
    world, inputs, outputs, data = rows_of(5, [8, 0, 9, 20, 6])
    found = fit_representation(data, 2)
    assert found.basis.T @ found.basis == pytest.approx(np.eye(2), abs=1e-12)
    assert (found.basis.shape, found.heads.shape, found.loss.shape) == ((6, 2), (2, 5), ())
    theta = found.basis @ np.nan_to_num(found.heads)
    errors = [np.sum((y - x @ theta[:, m]) ** 2) for m, (x, y) in enumerate(zip(inputs, outputs, strict=True))]
    assert found.loss == pytest.approx(sum(errors), rel=1e-10)
    assert found.loss == pytest.approx(data.loss(theta.T).sum(), rel=1e-10)
    truth = data.loss(world.coefficients).sum()
    assert found.loss < truth  # least squares fits the rows better than the truth does


@fewer
@given(SEEDS)
def test_turning_the_inputs_turns_the_answer(seed):
    data = plain.world(6, n_tasks=6).sample(18, rng=seed)
    q = np.linalg.qr(np.random.default_rng(seed).normal(size=(6, 6))).Q
    grams = q @ data.grams @ q.T
    turned = TaskData(data.counts, (grams + grams.mT) / 2, data.moments @ q.T, data.squares)
    first, second = fit_representation(data, 2), fit_representation(turned, 2)
    assert second.loss == pytest.approx(first.loss, rel=1e-9)
    assert apart(second.basis, q @ first.basis) < 1e-3


@pytest.mark.parametrize("ridge", [0.1, 25.0])
def test_a_ridge_is_rows_of_zeros(ridge):
    """sqrt(ridge) I with outputs 0, added to every task that has rows; the others stay out."""
    _, inputs, outputs, data = rows_of(7, [8, 0, 20, 15, 9])
    more = [np.sqrt(ridge) * np.eye(6) if len(y) else np.empty((0, 6)) for y in outputs]
    rows = TaskData.from_arrays(
        [np.concatenate(x) for x in zip(inputs, more, strict=True)],
        [np.concatenate([y, np.zeros(len(x))]) for y, x in zip(outputs, more, strict=True)],
    )
    with_ridge, with_rows = fit_representation(data, 2, ridge=ridge), fit_representation(rows, 2)
    assert with_ridge.loss == pytest.approx(with_rows.loss, rel=1e-10)
    assert apart(with_ridge.basis, with_rows.basis) < 1e-4
    assert with_ridge.heads.shape == (2, 5)
    assert np.isnan(with_ridge.heads[:, 1]).all()


@pytest.mark.kernels
@ENGINES
def test_tasks_without_rows_have_no_head_and_no_influence(method):
    data = plain.world(8, n_tasks=6).sample([18, 0, 20, 30, 0, 25], rng=1)
    there = data.counts > 0
    less = TaskData(data.counts[there], data.grams[there], data.moments[there], data.squares[there])
    found, alone = fit_representation(data, 2, method=method), fit_representation(less, 2, method=method)
    assert np.isnan(found.heads[:, ~there]).all()
    assert np.isfinite(found.heads[:, there]).all()
    assert found.loss == pytest.approx(alone.loss, rel=1e-10)
    assert apart(found.basis, alone.basis) < 1e-4


@pytest.mark.kernels
def test_inputs_that_do_not_span_the_space():
    """A constant zero and a copied column, as pixels have: the fit of the others, and nothing on the zero."""
    _, inputs, outputs, data = rows_of(9, [30, 40, 50])
    wide = [np.column_stack([x, np.zeros(len(x)), x[:, 0]]) for x in inputs]
    for start in ("auto", "ols", "moments"):
        for method in ("alternate", "descend"):
            found = fit_representation(TaskData.from_arrays(wide, outputs), 2, start=start, method=method)
            assert found.loss == pytest.approx(fit_representation(data, 2).loss, rel=1e-8)
            assert np.abs(found.basis[6]).max() < 1e-9


@pytest.mark.parametrize(
    ("by", "to"), [(1e90, 1e90), (1e-140, 1e145), (1e140, 1e-140), (1e-145, 1e-145), (1e149, 1e149)]
)
@ENGINES
def test_units_of_inputs_and_outputs_do_not_matter(by, to, method):
    """Squares near the ends of float64: certified as before, without a warning, next to a data set of usual size."""
    _, inputs, outputs, data = rows_of(5, [12, 30, 15])
    large = TaskData.from_arrays([by * x for x in inputs], [to * y for y in outputs])
    both = (np.stack([getattr(x, name) for x in (data, large)]) for name in ("counts", "grams", "moments", "squares"))
    found, plainly = (
        fit_representation(TaskData.trusted(*both), 2, method=method),
        fit_representation(data, 2, method=method),
    )
    assert same(item(found, 0), plainly)
    assert found.stationarity[1] == pytest.approx(plainly.stationarity, rel=0.01)
    assert apart(found.basis[1], plainly.basis) < 1e-6
    assert found.loss[1] / to / to == pytest.approx(plainly.loss, rel=1e-9)
    assert found.basis[1] @ found.heads[1] * (by / to) == pytest.approx(plainly.basis @ plainly.heads, rel=1e-5)


@pytest.mark.kernels
def test_a_data_set_of_zeros_is_fitted_by_nothing():
    _, inputs, outputs, data = rows_of(5, [12, 30, 15])
    zeros = TaskData.from_arrays([0 * x for x in inputs], outputs)
    both = (np.stack([getattr(x, name) for x in (data, zeros)]) for name in ("counts", "grams", "moments", "squares"))
    found = fit_representation(TaskData.trusted(*both), 2, ridge=1e-3)
    assert found.loss[1] == pytest.approx(sum(np.sum(y**2) for y in outputs))
    assert not found.heads[1].any()


def test_what_is_no_number_is_not_certified(monkeypatch):
    monkeypatch.setattr(representation, "STEEP", np.nan)  # as a stationarity that is NaN: no comparison holds
    with pytest.raises(ConvergenceError):
        fit_representation(plain.world(10).sample(30, rng=1), 2)


def test_starting_at_the_answer_ends_at_once():
    data = plain.world(10).sample(30, rng=1)
    found = fit_representation(data, 2)
    again = fit_representation(data, 2, start=found.basis @ np.array([[2.0, 1.0], [0.0, 3.0]]))  # any basis of the span
    assert again.iterations == 1
    assert again.loss == pytest.approx(found.loss, rel=1e-12)
    exact = plain.world(10, noise=0.0)
    assert fit_representation(exact.sample(30, rng=1), 2, start=exact.representation).iterations == 1


@ENGINES
def test_the_certificate_is_the_gradient_along_the_span(method):
    """Recomputed by finite differences; small at the answer, not at a start that had one step."""
    data = plain.world(11).sample(18, rng=1)
    found = fit_representation(data, 2, method=method)
    assert found.stationarity < 1e-5
    assert found.stationarity == pytest.approx(plain_stationarity(data, found), abs=1e-7)


def plain_stationarity(data, found):
    """Relative norm of half the gradient of the best loss over turns of the span, by central differences."""
    basis, eps = found.basis, 1e-4
    around = np.linalg.svd(basis).U[:, basis.shape[1] :]
    slopes = []
    for i, j in np.ndindex(around.shape[1], basis.shape[1]):
        turn = np.outer(around[:, i], np.eye(basis.shape[1])[j])
        ahead, behind = (plain.profile(data.grams, data.moments, basis + s * eps * turn) for s in (1, -1))
        slopes.append((ahead - behind) / (4 * eps))
    return np.linalg.norm(slopes) / np.linalg.norm(data.moments.T @ np.nan_to_num(found.heads).T)


@ENGINES
def test_an_answer_that_did_not_end_is_an_error_that_carries_it(method, monkeypatch):
    monkeypatch.setattr(representation.engine, "LIMITS", {"alternate": 2, "descend": 2})
    data = plain.world(12).sample([[30] * 5, [4] * 5], rng=1)
    with pytest.warns(ConvergenceWarning, match="2 of 2 fits are not stationary after 2 steps.*; status says which"):
        partial = fit_representation(data, 2, method=method)
    with pytest.raises(ConvergenceError, match="1 of 1 fits are not stationary after 2 steps") as caught:
        fit_representation(data[1], 2, method=method)
    assert same(caught.value.result, item(partial, 1))
    assert [status.name for status in partial.status][1] == "NOT_CONVERGED"
    assert partial.iterations.tolist() == [2, 2]
    assert partial.basis.shape == (2, 6, 2)
    assert partial.stationarity[1] == pytest.approx(plain_stationarity(data[1], item(partial, 1)), abs=1e-5)
    assert partial.stationarity[1] > 1e-4


def test_thin_data_without_a_minimum_are_reported_and_a_ridge_gives_them_one():
    """Three rows and one row: the loss goes on falling while a head goes to infinity."""
    data = rows_of(7, [3, 0, 9, 20, 1])[3]
    with pytest.raises(ConvergenceError, match="add rows or a ridge") as caught:
        fit_representation(data, 2)
    partial = caught.value.result
    assert (partial.status.name, int(partial.iterations)) == ("NOT_CONVERGED", 1000)
    assert np.nanmax(np.abs(partial.heads)) > 30
    assert partial.loss < data.squares.sum()
    found = fit_representation(data, 2, ridge=0.1)
    assert found.status.name == "STATIONARY"
    assert np.nanmax(np.abs(found.heads)) < 10


def item(found, i):
    fields = ("basis", "heads", "loss", "stationarity", "status", "iterations")
    return type(found)(*(getattr(found, name)[i] for name in fields))


def same(first, second):
    return all(
        np.array_equal(getattr(first, name), getattr(second, name), equal_nan=name == "heads")
        for name in ("basis", "heads", "loss", "stationarity", "status", "iterations")
    )


@pytest.mark.parametrize(("method", "ridge"), [("alternate", 0.0), ("alternate", 0.5), ("descend", 0.0)])
def test_a_batch_is_its_items_bit_for_bit(method, ridge):
    """Thin and rich data sets side by side: each has its own start and its own end."""
    counts = np.array([[30] * 5, [3, 30, 30, 30, 4], [0, 12, 12, 0, 50], [18] * 5])
    data = plain.world(13).sample(counts[:, None], size=2, rng=1)
    many = fit_representation(data[:, :, 0], 2, method=method, ridge=ridge)
    for i, j in np.ndindex(2, 4):
        one = fit_representation(data[i, j, 0], 2, method=method, ridge=ridge)
        assert same(item(many, (i, j)), one)


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_threads_do_not_change_the_answer(cores, monkeypatch):
    data = plain.world(14).sample([[30] * 5, [12] * 5, [18] * 5, [9] * 5, [50] * 5], rng=1)
    expected, found = fit_representation(data, 2), []
    monkeypatch.setattr(_batch.os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert same(fit_representation(data, 2), expected)
    thread = threading.Thread(target=lambda: found.append(fit_representation(data, 2)))
    thread.start()
    thread.join()
    assert same(found[0], expected)


@pytest.mark.kernels
def test_an_empty_batch():
    found = fit_representation(plain.world(15).sample(30, size=0, rng=1), 2)
    assert (found.basis.shape, found.loss.shape) == ((0, 6, 2), (0,))


# Heads, moments, angles


@fewer
@given(SEEDS)
def test_heads_are_least_squares_on_the_representation(seed):
    _, inputs, outputs, data = rows_of(seed % 1000, [9, 3, 20])
    basis = np.random.default_rng(seed).normal(size=(6, 2))
    heads = fit_heads(basis, data)
    for m, (x, y) in enumerate(zip(inputs, outputs, strict=True)):
        assert heads[:, m] == pytest.approx(np.linalg.lstsq(x @ basis, y)[0], rel=1e-6, abs=1e-7)


def test_the_ridge_of_heads_is_rows_of_zeros():
    _, inputs, outputs, data = rows_of(19, [9, 0, 1])
    q = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 2))).Q
    heads = fit_heads(q, data, ridge=0.7)
    for m, (x, y) in enumerate(zip(inputs, outputs, strict=True)):
        rows = np.concatenate([x @ q, np.sqrt(0.7) * np.eye(2)])
        assert heads[:, m] == pytest.approx(np.linalg.lstsq(rows, np.concatenate([y, [0.0, 0.0]]))[0], abs=1e-10)
    skew = q @ np.array([[2.0, 1.0], [0.0, 3.0]])  # of the coefficients: the basis does not matter
    assert skew @ fit_heads(skew, data, ridge=0.7) == pytest.approx(q @ heads, abs=1e-10)


def test_heads_in_batches():
    data = plain.world(16).sample(9, size=(3, 2), rng=1)
    bases = np.random.default_rng(2).normal(size=(2, 6, 2))
    heads = fit_heads(bases, data)
    assert heads.shape == (3, 2, 2, 5)
    assert heads[2, 1] == pytest.approx(fit_heads(bases[1], data[2, 1]), rel=1e-12)


def test_moments_of_raw_rows():
    """Leading eigenvectors of the plain sum; with many rows near the representation."""
    world = plain.world(17, n_tasks=6)
    inputs, outputs, _ = world.sample_rows(5000, rng=1)
    found = moment_representation(inputs, outputs, 2)
    matrix = sum(y**2 * np.outer(x, x) for x, y in zip(inputs, outputs, strict=True))
    values = np.linalg.eigvalsh(matrix)
    assert found.T @ found == pytest.approx(np.eye(2), abs=1e-12)
    assert np.trace(found.T @ matrix @ found) == pytest.approx(values[-2:].sum(), rel=1e-10)
    assert apart(found, world.representation) < 0.3


@fewer
@given(SEEDS, st.integers(1, 3))
def test_principal_angles_of_bases_with_known_angles(seed, k):
    """cos a_i e_i + sin a_i e_{k+i}, in random bases of the spans and of the space; small angles keep their digits."""
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.choice([0.0, 1e-9, 1e-4, 0.3, 1.0, np.pi / 2], k))
    q = np.linalg.qr(rng.normal(size=(6, 6))).Q
    first = q[:, :k] @ rng.normal(size=(k, k))
    second = (q[:, :k] * np.cos(angles) + q[:, k : 2 * k] * np.sin(angles)) @ np.linalg.qr(rng.normal(size=(k, k))).Q
    assert principal_angles(second, first) == pytest.approx(angles, rel=1e-5, abs=1e-11)
    assert principal_angles(first, second) == pytest.approx(angles, rel=1e-5, abs=1e-11)
