"""Variance: least squares, spans, every basis, mpmath where counts differ by many decades, batches."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings

from pessimism.tasks.designs import variance
from tests.tasks.test_designs import problems


@settings(max_examples=25)
@given(problems())
def test_variance_is_the_least_over_weights(problem):
    """A twin by least squares, on the tasks with samples."""
    heads, target, rng = problem
    counts = rng.integers(1, 100, heads.shape[1]) * (rng.random(heads.shape[1]) < 0.8)
    seen = np.sqrt(counts[counts > 0]) * heads[:, counts > 0]
    found = variance(heads, target, counts)
    if np.linalg.matrix_rank(seen) < len(heads):
        return  # below
    assert found == pytest.approx(np.linalg.lstsq(seen, target)[0] @ np.linalg.lstsq(seen, target)[0], rel=1e-7)
    weights = rng.normal(size=(20, len(counts))) * (counts > 0)
    others = weights @ heads.T
    missing = np.linalg.lstsq(seen, (target - others).T)[0].T * np.sqrt(counts[counts > 0])
    weights[:, counts > 0] += missing  # now W nu = w
    assert np.all((weights[:, counts > 0] ** 2 / counts[counts > 0]).sum(axis=1) >= found * (1 - 1e-9))


def test_variance_is_infinite_exactly_out_of_the_span():
    heads = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    assert variance(heads, [1.0, 1.0], [0, 0, 4]) == pytest.approx(0.25)
    assert variance(heads, [1.0, 1.0], [4, 0, 0]) == math.inf
    assert variance(heads, [1.0, 1.0], [0, 0, 0]) == math.inf
    assert variance(heads, [0.0, 0.0], [0, 0, 0]) == 0.0
    assert variance(heads, [1.0, 1e-6], [4, 0, 0]) == math.inf
    assert variance(heads, [1.0, 0.0], [1e-300, 0, 0]) == pytest.approx(1e300)
    assert variance(1e-120 * heads, [1e-120, 1.1e-120], [0, 0, 4]) == math.inf  # no length is too small to count
    assert variance(np.zeros((2, 3)), [1.0, 0.0], [1, 1, 1]) == math.inf
    assert variance(np.ones((3, 1)), [2.0, 2.0, 2.0], [8]) == pytest.approx(0.5)  # more rows than tasks


@settings(max_examples=25)
@given(problems())
def test_variance_is_the_same_in_every_basis(problem):
    heads, target, rng = problem
    counts = rng.integers(0, 50, heads.shape[1])
    k = len(heads)
    change = np.linalg.qr(rng.normal(size=(k, k)))[0] * 10.0 ** rng.uniform(-1, 1, k)
    expected = variance(heads, target, counts)
    assert variance(change @ heads, change @ target, counts) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("decades", [8, 16, 60])
def test_variance_loses_no_digits_to_counts_of_different_size(decades):
    rng = np.random.default_rng(decades)
    for n_tasks in (3, 4, 8):
        heads, target = rng.normal(size=(3, n_tasks)), rng.normal(size=3)
        counts = 10.0 ** rng.uniform(0, decades, n_tasks)
        with mpmath.workdps(200):
            w, right = mpmath.matrix(heads.tolist()), mpmath.matrix(target.tolist())
            exact = (right.T * mpmath.lu_solve(w * mpmath.diag(counts.tolist()) * w.T, right))[0]
            assert abs(variance(heads, target, counts) / exact - 1) < 1e-12


def test_variance_of_a_batch_is_that_of_its_items():
    rng = np.random.default_rng(0)
    heads, target = rng.normal(size=(4, 1, 2, 5)), rng.normal(size=(3, 2))
    counts = rng.integers(0, 2, (4, 3, 5)) * rng.integers(1, 9, (4, 3, 5))
    together = variance(heads, target, counts)
    alone = [[variance(heads[i, 0], target[j], counts[i, j]) for j in range(3)] for i in range(4)]
    assert together == pytest.approx(np.array(alone), rel=1e-12)
    assert np.isinf(together).any()
    assert np.isfinite(together).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: variance(np.eye(2), [1.0, 1.0], [1.0, -1.0]), r"samples\[1\] must be in"),
        (lambda: variance(np.eye(2), [1.0, 1.0], [1.0, math.nan]), r"samples\[1\] must be finite"),
        (lambda: variance(np.eye(2), [1.0, 1.0], [1.0]), r"samples must have shape \(..., 2\), an entry for each"),
        (lambda: variance(np.eye(2), [1.0], [1.0, 1.0]), r"target must have shape \(..., 2\)"),
        (lambda: variance(np.ones(2), [1.0], [1.0, 1.0]), r"heads must have shape \(..., k, tasks\)"),
        (lambda: variance(np.ones((2, 1, 1)), np.ones((3, 1)), [1.0]), "heads and target must have shapes that broad"),
        (lambda: variance(np.ones((2, 1, 1)), [1.0], np.ones((3, 1))), "heads, target and samples must have shapes"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
