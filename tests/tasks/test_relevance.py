"""Relevance: optimality by duality, every basis of small problems, invariances, near dependence, batches."""

import re
from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import linprog

from pessimism._status import ConvergenceError, ConvergenceWarning, Status
from pessimism.tasks import bounds
from pessimism.tasks._engine.linear_algebra import exact_rank
from pessimism.tasks.designs import variance
from pessimism.tasks.relevance import lasso, min_l1, min_l2
from tests.tasks import reference as plain


def problems(seed, sizes, kinds=("normal", "integer", "copies", "low rank")):
    """Heads of several kinds and targets in their span."""
    rng = np.random.default_rng(seed)
    for k, n_tasks in sizes:
        for kind in kinds:
            heads, _ = plain.task_vectors(rng, k, n_tasks)
            if kind == "integer":
                heads = rng.integers(-1, 2, (k, n_tasks)).astype(float)
            elif kind == "copies":
                heads = heads[:, rng.integers(0, max(n_tasks // 2, 1), n_tasks)] * rng.choice([-1.0, 1.0], n_tasks)
            elif kind == "low rank":
                heads = heads[:, : max(k // 2, 1)] @ rng.normal(size=(max(k // 2, 1), n_tasks))
            yield heads, heads @ rng.integers(-2, 3, n_tasks)


SMALL = [(1, 3), (2, 2), (2, 5), (3, 6), (4, 3), (4, 7)]


# Constrained relevance


def test_min_l1_is_the_best_of_all_vertices():
    for heads, target in problems(1, SMALL):
        corners, found = plain.vertices(heads, target), min_l1(heads, target)
        norms = np.abs(corners).sum(axis=1)
        assert np.abs(found.weights).sum() == pytest.approx(norms.min(), rel=1e-10, abs=1e-12)
        distance = np.abs(corners - found.weights).max(axis=1).min()
        assert distance <= 1e-9, "the answer is not a vertex"
        assert np.count_nonzero(found.weights) <= np.linalg.matrix_rank(heads)


def test_the_dual_point_proves_min_l1_optimal():
    """Elfving: the smallest norm is the largest w'y over |W'y| <= 1, here by a program of its own; equality on nu."""
    for heads, target in problems(2, [*SMALL, (6, 30)]):
        found = min_l1(heads, target)
        k = len(target)
        best = linprog(
            -target, A_ub=np.vstack([heads.T, -heads.T]), b_ub=np.ones(2 * heads.shape[1]), bounds=(None, None)
        )
        norm = np.abs(found.weights).sum()
        assert norm == pytest.approx(-best.fun, rel=1e-9, abs=1e-12)
        slopes = heads.T @ found.dual
        assert found.dual.shape == (k,)
        assert np.abs(slopes).max() <= 1 + 1e-12
        assert target @ found.dual == pytest.approx(norm, rel=1e-10, abs=1e-12)
        used = found.weights != 0
        assert slopes[used] == pytest.approx(np.sign(found.weights[used]), abs=1e-9)
        assert found.gap <= 1e-10
        assert found.residual <= 1e-12
        assert found.status in (Status.EXACT, Status.DEPENDENT)


def test_a_target_equal_to_a_task_or_a_pair_of_them_is_certified():
    """Degenerate vertices: the simplex method ends with basic variables that are 0 but for rounding, of either sign."""
    for seed, (k, n_tasks) in enumerate([(2, 8), (5, 20), (10, 42)]):
        heads = np.random.default_rng(seed).normal(size=(k, n_tasks))
        alone = min_l1(heads, heads.T)
        assert np.all(np.abs(alone.weights).sum(axis=-1) <= 1 + 1e-9)
        pairs = 2.0 * heads.T - np.roll(heads.T, 1, axis=0)
        assert np.all(np.abs(min_l1(heads, pairs).weights).sum(axis=-1) <= 3 + 1e-9)


def test_min_l2_is_the_pseudo_inverse():
    for heads, target in problems(3, [*SMALL, (6, 30)]):
        found = min_l2(heads, target)
        assert found.weights == pytest.approx(np.linalg.pinv(heads, rcond=1e-10) @ target, abs=1e-10)
        if target.any():
            assert np.linalg.norm(heads.T @ found.dual) == pytest.approx(1.0, rel=1e-12)
            assert target @ found.dual == pytest.approx(np.linalg.norm(found.weights), rel=1e-10)
        assert found.gap <= 1e-10
        assert found.residual <= 1e-12
        assert found.status in (Status.EXACT, Status.DEPENDENT)
        assert found.iterations == 0


@pytest.mark.parametrize("find", [min_l1, min_l2])
def test_constrained_relevance_does_not_depend_on_the_basis(find):
    rng = np.random.default_rng(4)
    heads, target = plain.task_vectors(rng, 4, 12)
    for change in (rng.normal(size=(4, 4)), rng.normal(size=(9, 4))):  # the second has more rows than the rank
        found, other = find(heads, target), find(change @ heads, change @ target)
        assert other.weights == pytest.approx(found.weights, abs=1e-10)  # unique for heads in general position
        assert other.gap <= 1e-10
    order = rng.permutation(12)
    assert find(heads[:, order], target).weights == pytest.approx(found.weights[order], abs=1e-11)
    signs = rng.choice([-1.0, 1.0], 12)
    assert find(heads * signs, target).weights == pytest.approx(found.weights * signs, abs=1e-11)
    scaled = find(heads * 2.0**400, target * 2.0**-300)
    assert np.array_equal(scaled.weights, found.weights * 2.0**-700)
    assert np.array_equal(scaled.gap, found.gap)


@pytest.mark.parametrize("find", [min_l1, min_l2, lasso])
def test_zero_columns_weigh_exactly_nothing(find):
    rng = np.random.default_rng(22)
    for _ in range(15):
        heads, _ = plain.task_vectors(rng, 4, 8)
        empty = rng.random(8) < 0.4
        heads[:, empty] = 0.0
        assert not find(heads, heads @ rng.normal(size=8)).weights[empty].any()


@pytest.mark.parametrize("find", [min_l1, min_l2])
def test_degenerate_heads(find):
    heads, target = plain.task_vectors(np.random.default_rng(5), 3, 6)
    found = find(heads, target)
    repeated = find(np.vstack([heads, heads]), np.concatenate([target, target]))
    assert repeated.weights == pytest.approx(found.weights, abs=1e-12)
    padded = find(np.insert(heads, 2, 0.0, axis=1), target)
    assert padded.weights == pytest.approx(np.insert(found.weights, 2, 0.0), abs=1e-12)
    nothing = find(heads, np.zeros(3))
    assert not nothing.weights.any()
    assert (nothing.gap, nothing.residual) == (0, 0)
    assert not find(np.zeros((3, 2)), np.zeros(3)).weights.any()
    tall = np.random.default_rng(6).normal(size=(5, 2))
    assert find(tall, tall @ [2.0, -1.0]).weights == pytest.approx([2.0, -1.0], rel=1e-12)


def test_of_equal_tasks_min_l1_takes_one_and_min_l2_shares():
    heads = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert np.count_nonzero(min_l1(heads, [1.0, 0.0]).weights) == 1
    assert min_l2(heads, [1.0, 0.0]).weights == pytest.approx([0.5, 0.5, 0.0])


@pytest.mark.parametrize("find", [min_l1, min_l2])
def test_a_target_outside_the_span_is_told_how_far(find):
    heads = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    with pytest.raises(
        ValueError, match=r"target must lie in the span of heads, its distance is 0.6 .* on their span$"
    ):
        find(heads, [0.0, 8.0, 6.0])
    with pytest.raises(ValueError, match=r"target \(1,\) of the batch must lie in the span"):
        find(heads, [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    found = lasso(heads, [0.0, 8.0, 6.0], regularization=0.25)
    assert found.weights == pytest.approx([0.0, 6.0])
    assert found.residual == pytest.approx(np.hypot(2.0, 6.0) / 10)


@pytest.mark.parametrize("find", [min_l1, min_l2])
def test_nearly_dependent_heads_are_not_returned_as_certified(find):
    heads, target = plain.task_vectors(np.random.default_rng(7), 6, 9, condition=1e11)
    with pytest.raises(ConvergenceError, match="nearly dependent: drop them from heads and target") as caught:
        find(heads, target)
    with pytest.warns(ConvergenceWarning, match="the certificate of 1 of 2 targets misses 1e-08.*; status says which"):
        partial = find(heads, [target, 0 * target])
    assert np.array_equal(caught.value.result.weights, partial.weights[0])
    assert partial.weights.shape == (2, 9)
    assert partial.status.tolist() == [Status.ROUNDING, Status.EXACT]
    assert max(partial.gap[0], partial.residual[0]) > 1e-8 >= max(partial.gap[1], partial.residual[1])


def test_lengths_of_heads_are_units_that_no_direction_is_lost_to():
    """Against exact fractions; where float64 cannot hold a proof, the lengths are named, and not a dependence."""
    for decades in (3, 5, 100):
        rng = np.random.default_rng(decades)
        heads, target = rng.normal(size=(3, 6)) * 10.0 ** rng.uniform(-decades, decades, 6), rng.normal(size=3)
        if decades < 100:
            found = min_l1(heads, target)
            assert (found.gap, found.residual) == pytest.approx((0, 0), abs=1e-8)
        else:
            with pytest.raises(ConvergenceError, match=r"lengths of the heads .* not nearly dependent") as caught:
                min_l1(heads, target)
            found = caught.value.result
        exact = plain.least_cost(heads, target, np.ones(6))
        assert float(Fraction(float(np.abs(found.weights).sum())) / exact) == pytest.approx(1.0, rel=1e-9)


def near_dependence(decades, seed):
    """Heads with a singular value 10^-decades of the others, in a random basis; a target somewhere in their span."""
    rng = np.random.default_rng([int(10 * decades), seed])
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    heads = turn @ (rng.normal(size=(3, 5)) * [[1.0], [1.0], [10.0**-decades]])
    return heads, heads @ rng.normal(size=5) if seed % 2 else rng.normal(size=3), rng.integers(1, 50, 5).astype(float)


@pytest.mark.parametrize("decades", [3, 8, 11, 12.5, 13, 14, 15, 15.7, 17])
def test_no_direction_is_lost_unseen(decades):
    """Right in all the digits claimed, or an error, or a status that says that heads were taken as dependent."""
    refused = False
    for seed in range(6):
        heads, target, n = near_dependence(decades, seed)
        exact = plain.exact_norms(heads, target, n)
        for find, truth, order in ((variance, exact[0], None), (min_l1, exact[1], 1), (min_l2, exact[2], 2)):
            try:
                found = find(heads, target, n) if order is None else find(heads, target)
            except (ConvergenceError, ValueError) as error:
                said = str(error)
            else:
                said = ""
            if said:
                refused = True
                assert re.search("nearly dependent|dependent but for rounding", said)
            elif order is None:
                assert found == pytest.approx(truth, rel=1e-6)
            elif found.status is Status.EXACT:
                assert np.linalg.norm(found.weights, order) == pytest.approx(truth, rel=1e-7)
            else:
                assert found.status is Status.DEPENDENT
                assert decades > 14
    assert refused == (decades > 7)


def test_dependence_that_is_exact_is_no_doubt():
    """Copies, multiples and repeated rows: EXACT. Products of two factors are dependent only up to rounding."""
    heads, _ = plain.task_vectors(np.random.default_rng(26), 3, 5)
    for matrix in (np.vstack([heads, heads[0]]), np.vstack([heads[:2], 2.0 * heads[0]]), heads[:, [0, 0, 1, 1]]):
        assert exact_rank(matrix) < min(matrix.shape)
        for find in (min_l1, min_l2):
            assert find(matrix, matrix @ np.ones(matrix.shape[1])).status is Status.EXACT
    product = heads[:, :2] @ np.random.default_rng(27).normal(size=(2, 6))
    assert (exact_rank(product), np.linalg.matrix_rank(product)) == (3, 2)
    assert exact_rank(np.array([[1.0, 1.0], [0.0, 1e-300]])) == 2
    graded = np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 1e-30, 2e-30, 0.0], [0.0, 0.0, 0.0, 1.0]])
    for find in (min_l1, min_l2):
        assert find(product, product @ np.ones(6)).status is Status.DEPENDENT
        # here rounding leaves a singular value of exactly 0
        assert find(graded, graded @ np.array([0.3, -0.5, 1.0, 0.2])).status is Status.DEPENDENT
    with pytest.raises(ConvergenceError, match="fewer than six digits"):
        variance(product, product @ np.ones(6), np.ones(6))


@pytest.mark.parametrize("lengths", [(1.0, 1e-13), (1e-20, 1.0), (1e12, 1e-12)])
def test_lengths_of_heads_are_no_dependence(lengths):
    """Two axes: the weights are the target over the lengths, exactly, and so is a target of two sizes."""
    for target in ([1.0, 1.0], [1.0, 1e-12], lengths):
        for find in (min_l1, min_l2):
            found = find(np.diag(lengths), target)
            assert found.weights == pytest.approx(np.divide(target, lengths), rel=1e-10)
            assert found.status is Status.EXACT


@pytest.mark.parametrize("find", [min_l1, min_l2])
def test_one_target_of_a_batch_that_cannot_be_certified_leaves_the_others(find):
    heads, target = plain.task_vectors(np.random.default_rng(16), 3, 5)
    poor, goal, n = near_dependence(12, 1)
    calls = (
        lambda: find([heads, poor], [target, goal]),
        lambda: variance([heads, poor], [target, goal], n),
        lambda: bounds.uniform_risk(10, [heads, poor], [target, goal], dimension=4),
    )
    answers = []
    for call in calls:
        with pytest.warns(ConvergenceWarning) as caught:
            answers.append(call())
        assert [warning.filename for warning in caught] == [__file__]
    found, values, risk = answers
    assert np.array_equal(found.weights[0], find(heads, target).weights)
    assert found.status.tolist() == [Status.EXACT, Status.ROUNDING]
    for array, alone in (
        (values, variance(heads, target, n)),
        (risk, bounds.uniform_risk(10, heads, target, dimension=4)),
    ):
        assert array[0] == pytest.approx(float(alone), rel=1e-12)
        assert np.isnan(array[1])


# Batches


@pytest.mark.parametrize("find", [min_l1, min_l2, lasso])
def test_a_batch_is_its_items_bit_for_bit(find):
    heads, targets = plain.task_vectors(np.random.default_rng(16), 4, 9, 1.0, (3, 2))
    found = find(heads, targets)
    shared = find(heads[0, 0], targets)
    for item in np.ndindex(3, 2):
        for batch, first in ((found, heads[item]), (shared, heads[0, 0])):
            alone = find(first, targets[item])
            for name in ("weights", "dual", "gap", "residual", "iterations"):
                assert np.array_equal(getattr(batch, name)[item], getattr(alone, name)), name
            assert batch.status[item] is alone.status
    assert find(heads[:, :1], targets[:1]).weights.shape == (3, 2, 9)
    empty = find(heads[:0], targets[:0])
    assert empty.weights.shape == (0, 2, 9)
    assert empty.gap.shape == (0, 2)
