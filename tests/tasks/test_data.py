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


def one(**changes):
    fields = {"counts": [2], "grams": [[[2.0, 1.0], [1.0, 2.0]]], "moments": [[1.0, 1.0]], "squares": [2.0]}
    return lambda: TaskData(**fields | changes)


DATA = TaskData.from_arrays([np.eye(2)] * 3, [[1.0, 2.0]] * 3)
INDEFINITE = [[[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (one(counts=[-1]), r"counts\[0\] must be a whole number"),
        (one(counts=[1.5]), r"counts\[0\] must be a whole number"),
        (one(counts=[np.nan]), r"counts\[0\] must be a whole number"),
        (one(counts=2), r"counts must have shape \(..., tasks\)"),
        (one(counts=[]), r"counts must have shape \(..., tasks\)"),
        (one(counts=[2, 2]), "moments must have shape"),
        (one(grams=[[[2.0, np.nan], [1.0, 2.0]]]), r"grams\[0, 0, 1\] must be finite"),
        (one(grams=[[2.0, 1.0], [1.0, 2.0]]), "grams must have shape"),
        (one(grams=[[[2.0, 1.0], [0.5, 2.0]]]), r"grams\[0, 0, 1\] must be symmetric"),
        (one(grams=[[[-2.0, 1.0], [1.0, 2.0]]]), r"grams\[0, 0\] must be at least 0 on the diagonal"),
        (one(grams=[[[2.0, 3.0], [3.0, 2.0]]]), r"grams, moments and squares at \[0\] must be those of some rows"),
        (
            lambda: TaskData([5], [[[1.0, 0.99], [0.99, 1.0]]], [[1.0, -1.0]], [1.0]),
            "must be those of some rows",
        ),
        (one(grams=INDEFINITE, moments=[[0.0] * 3]), r"grams, moments and squares at \[0\] must be those of some rows"),
        (one(moments=[[1.0, np.inf]]), r"moments\[0, 1\] must be finite"),
        (one(moments=[[1.0, 3.0]]), r"grams, moments and squares at \[0\] must be those of some rows"),
        (one(moments=[[1.0, 1.0, 1.0]]), "grams must have shape"),
        (one(moments=1.0), "moments must have shape"),
        (one(squares=[-1.0]), r"squares\[0\] must be at least 0"),
        (one(squares=[np.nan]), r"squares\[0\] must be finite"),
        (one(squares=2.0), "squares must have shape"),
        (one(counts=[0]), r"squares\[0\] must be 0 where counts are 0"),
        (one(counts=[0], squares=[0.0], moments=[[0.0, 0.0]]), r"grams\[0, 0\] must be 0 where counts are 0"),
        (lambda: TaskData.from_arrays([[[1.0, np.nan]]], [[1.0]]), r"inputs\[0\]\[0, 1\] must be finite"),
        (lambda: TaskData.from_arrays([[[1.0]], [[1.0]]], [[1.0], [np.inf]]), r"outputs\[1\]\[0\] must be finite"),
        (lambda: TaskData.from_arrays([], []), "inputs and outputs must have an entry for every task"),
        (lambda: TaskData.from_arrays([[[1.0]]], [[1.0], [2.0]]), "as many as each other, got 1 and 2"),
        (lambda: TaskData.from_arrays([[[1.0]]], [[1.0, 2.0]]), r"outputs\[0\] must have shape \(1,\)"),
        (lambda: TaskData.from_arrays([[[1.0]], [[1.0, 2.0]]], [[1.0]] * 2), r"inputs\[1\] must have 1 columns"),
        (lambda: TaskData.from_arrays([[1.0, 2.0]], [1.0]), r"inputs\[0\] must have shape \(rows, d\)"),
        (lambda: TaskData.from_arrays([[[1.0]]], [[1.0]], n_tasks=1), "n_tasks goes with tasks"),
        (lambda: TaskData.from_arrays([[1.0]], [1.0], [-1]), r"tasks\[0\] must be a whole number"),
        (
            lambda: TaskData.from_arrays([[1.0]], [1.0], [2], n_tasks=2),
            r"tasks\[0\] must be below n_tasks = 2, got 2",
        ),
        (lambda: TaskData.from_arrays([[1.0]], [1.0], [0.5]), r"tasks\[0\] must be a whole number"),
        (lambda: TaskData.from_arrays([[1.0]], [1.0], [0, 0]), r"tasks must have shape \(1,\)"),
        (lambda: TaskData.from_arrays([[1.0]], [1.0], [0], n_tasks=0), "n_tasks must be a whole number"),
        (lambda: DATA.merge(DATA, TaskData.from_arrays([np.eye(2)], [[1.0, 2.0]])), r"others\[1\] must have 3 tasks"),
        (lambda: DATA.merge(TaskData.from_arrays([np.eye(3)] * 3, [[1.0] * 3] * 3)), "inputs of length 2"),
        (lambda: DATA.weighted([1.0, 0.0, 1.0]), r"weights\[1\] must be positive"),
        (lambda: DATA.weighted([1.0, np.nan, 1.0]), r"weights\[1\] must be finite"),
        (lambda: DATA.weighted([1.0, 1.0]), r"weights must have shape \(..., 3\)"),
        (lambda: DATA.weighted(1.0), r"weights must have shape \(..., 3\)"),
        (lambda: DATA.loss([1.0, np.nan]), r"coefficients\[1\] must be finite"),
        (lambda: DATA.loss([1.0, 2.0, 3.0]), r"coefficients must have shape \(..., 2\)"),
        (lambda: DATA.loss(1.0), r"coefficients must have shape \(..., 2\)"),
        (lambda: TaskPool([[[1.0, np.nan]]], [[1.0]]), r"inputs\[0\]\[0, 1\] must be finite"),
        (lambda: TaskPool([], []), "inputs and outputs must have an entry"),
        (lambda: TaskPool([np.eye(2)], [[1.0, 2.0]]).sample([3]), r"n\[0\] must be at most the rows left"),
        (lambda: TaskPool([np.eye(2)], [[1.0, 2.0]]).sample([-1]), r"n\[0\] must be a whole number"),
        (lambda: TaskPool([np.eye(2)], [[1.0, 2.0]]).sample([np.nan]), r"n\[0\] must be a whole number"),
        (lambda: TaskPool([np.eye(2)], [[1.0, 2.0]]).sample(1), r"n must have shape \(1,\)"),
        (lambda: TaskPool([np.eye(2)], [[1.0, 2.0]]).sample([[1]]), r"n must have shape \(1,\)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_only_data_are_merged():
    with pytest.raises(TypeError, match=r"others\[1\] must be a TaskData, got int"):
        DATA.merge(DATA, 3)


def test_words_are_not_numbers():
    with pytest.raises(TypeError, match="outputs must hold numbers"):
        TaskData.from_arrays([[1.0]], ["a"], [0])
