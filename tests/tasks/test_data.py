"""TaskData: added up from rows, pooled, weighted, indexed; squared errors; bad input."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pessimism.tasks import TaskData, TaskPool
from tests.tasks import fewer
from tests.tasks import reference as plain

SEEDS = st.integers(0, 2**32)
FIELDS = ("counts", "grams", "moments", "squares")


def rows(seed, tasks=3, d=2, most=5):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, most, tasks)
    return [rng.normal(size=(n, d)) for n in counts], [rng.normal(size=n) for n in counts]


def same(first, second, **tolerance):
    assert first.counts.tolist() == second.counts.tolist()
    for name in FIELDS[1:]:
        assert getattr(first, name) == pytest.approx(getattr(second, name), **tolerance or {"rel": 1e-12, "abs": 1e-12})


@fewer
@given(SEEDS)
def test_adding_up_rows_equals_a_plain_loop(seed):
    inputs, outputs = rows(seed)
    data = TaskData.from_arrays(inputs, outputs)
    for m, (x, y) in enumerate(zip(inputs, outputs, strict=True)):
        gram, moment, square = np.zeros((2, 2)), np.zeros(2), 0.0
        for row, output in zip(x, y, strict=True):
            gram, moment, square = gram + np.outer(row, row), moment + output * row, square + output**2
        assert data.counts[m] == len(y)
        assert data.grams[m] == pytest.approx(gram, rel=1e-12, abs=1e-13)
        assert data.moments[m] == pytest.approx(moment, rel=1e-12, abs=1e-13)
        assert data.squares[m] == pytest.approx(square, rel=1e-12)
    assert np.array_equal(data.grams, np.swapaxes(data.grams, 1, 2))
    same(TaskData(*(getattr(data, name) for name in FIELDS)), data)  # passes its own checks


@fewer
@given(SEEDS)
def test_labels_and_lists_of_tables_say_the_same(seed):
    inputs, outputs = rows(seed)
    labels = np.repeat(np.arange(3), [len(y) for y in outputs])
    order = np.random.default_rng(seed).permutation(len(labels))
    x, y = np.concatenate(inputs)[order], np.concatenate(outputs)[order]
    same(TaskData.from_arrays(x, y, labels[order], n_tasks=3), TaskData.from_arrays(inputs, outputs))
    more = TaskData.from_arrays(x, y, labels[order], n_tasks=5)
    assert more.counts[3:].tolist() == [0, 0]
    if 0 < labels.max(initial=0) <= len(labels):
        assert TaskData.from_arrays(x, y, labels[order]).n_tasks == labels.max() + 1


@fewer
@given(SEEDS)
def test_pooling_is_adding_rows(seed):
    (first, a), (second, b) = rows(seed), rows(seed + 1)
    both = TaskData.from_arrays(
        [np.concatenate(x) for x in zip(first, second, strict=True)],
        [np.concatenate(y) for y in zip(a, b, strict=True)],
    )
    parts = TaskData.from_arrays(first, a), TaskData.from_arrays(second, b)
    same(parts[0].merge(parts[1]), both)
    same(parts[0].merge(), parts[0])
    assert parts[0].merge(*parts).n == parts[0].n * 2 + parts[1].n


@fewer
@given(SEEDS)
def test_loss_is_the_sum_of_squared_errors(seed):
    inputs, outputs = rows(seed)
    data, rng = TaskData.from_arrays(inputs, outputs), np.random.default_rng(seed)
    shared, own = rng.normal(size=2), rng.normal(size=(3, 2))
    for theta, per_task in ((shared, [shared] * 3), (own, own)):
        expected = [np.sum((y - x @ t) ** 2) for x, y, t in zip(inputs, outputs, per_task, strict=True)]
        assert data.loss(theta) == pytest.approx(expected, rel=1e-10, abs=1e-12)
    assert data.loss(rng.normal(size=(7, 3, 2))).shape == (7, 3)


@fewer
@given(SEEDS)
def test_weights_are_multiples_of_rows(seed):
    """A row of weight three is three rows, but counts as one."""
    inputs, outputs = rows(seed)
    data = TaskData.from_arrays(inputs, outputs)
    weighted, repeated = data.weighted([1.0, 2.0, 3.0]), (1, 2, 3)
    thrice = TaskData.from_arrays(
        [np.repeat(x, r, axis=0) for x, r in zip(inputs, repeated, strict=True)],
        [np.repeat(y, r) for y, r in zip(outputs, repeated, strict=True)],
    )
    for name in FIELDS[1:]:
        assert getattr(weighted, name) == pytest.approx(getattr(thrice, name), rel=1e-12, abs=1e-12)
    assert np.array_equal(weighted.counts, data.counts)
    assert data.weighted(np.ones((4, 3))).shape == (4,)


def test_batches():
    data = plain.world(1, d=4, n_tasks=3).sample([5, 0, 7], size=(4, 2), rng=1)
    assert (data.shape, data.n_tasks, data.dimension, data.n.tolist()) == ((4, 2), 3, 4, [[12, 12]] * 4)
    same(data[1, 1], data[1][1], abs=0)
    same(data[..., 1], data[:, 1], abs=0)  # never an axis of the tasks
    same(data[np.array([True, False, True, False])], data[::2], abs=0)
    assert data[:, :, None].shape == (4, 2, 1)
    with pytest.raises(IndexError, match="too many indices"):
        data[0, 0, 0]
    with pytest.raises(IndexError, match="a single data set"):
        data[0, 0][0]
    assert data.merge(data[0]).shape == (4, 2)
    theta = np.random.default_rng(2).normal(size=(4, 2, 3, 4))
    assert data.loss(theta)[3, 1] == pytest.approx(data[3, 1].loss(theta[3, 1]), rel=1e-12)


def test_arrays_are_read_only_and_our_own():
    counts, grams, moments, squares = np.array([2]), np.full((1, 1, 1), 2.0), np.array([[3.0]]), np.array([5.0])
    data = TaskData(counts, grams, moments, squares)
    grams[:] = 7.0
    assert data.grams.item() == 2.0
    for name in FIELDS:
        with pytest.raises(ValueError, match="read-only"):
            getattr(data, name)[...] = 1
    same(pickle.loads(pickle.dumps(data)), data, abs=0)


def test_rows_of_any_scale():
    """Inputs of very different size pass: what is checked is relative."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(9, 4)) * [1e-60, 1.0, 0.0, 1e60], 1e-30 * rng.normal(size=9)
    data = TaskData.from_arrays([x], [y])
    same(TaskData(*(getattr(data, name) for name in FIELDS)), data)


def test_a_pool_sells_every_row_once():
    """Row i of a task is the only one with column i, and its output is i + 1."""
    sizes = [4, 7, 1]
    pool = TaskPool([np.eye(n, 7) for n in sizes], [np.arange(1.0, n + 1) for n in sizes])
    rng, sold = np.random.default_rng(4), np.zeros((3, 7))
    for n in ([1, 2, 0], [2, 2, 1], [0, 0, 0], [1, 3, 0]):
        before = pool.caps
        data = pool.sample(n, rng=rng)
        now = np.diagonal(data.grams, axis1=1, axis2=2)
        assert now.sum(axis=1).tolist() == data.counts.tolist() == n
        assert data.moments == pytest.approx(now * np.arange(1, 8))
        assert pool.caps.tolist() == (before - n).tolist()
        sold += now
    assert sold.sum(axis=1).tolist() == sizes
    assert sold.max() == 1.0
    assert pool.n_tasks == 3


def test_a_pool_sells_at_random_and_repeatably():
    def first(seed):
        pool = TaskPool([np.eye(6)], [np.zeros(6)])
        return pool.sample([3], rng=seed).grams.tobytes()

    assert first(1) == first(1)
    assert len({first(seed) for seed in range(30)}) > 10


def test_only_data_of_the_same_tasks_are_merged():
    data = TaskData.from_arrays([np.eye(2)] * 3, [[1.0, 2.0]] * 3)
    with pytest.raises(TypeError, match=r"others\[1\] must be a TaskData, got int"):
        data.merge(data, 3)
    with pytest.raises(ValueError, match=r"others\[1\] must have 3 tasks and inputs of length 2, got 1 and 2"):
        data.merge(data, TaskData.from_arrays([np.eye(2)], [[1.0, 2.0]]))
