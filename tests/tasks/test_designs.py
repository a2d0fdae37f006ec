"""Optimal designs: equivalence theorems recomputed plainly, closed forms, cvxpy; variance: spans, mpmath, batches."""

import math
import warnings
from functools import partial

import cvxpy as cp
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pessimism._status import ConvergenceError, Status
from pessimism.tasks import designs
from pessimism.tasks.designs import a_optimal, c_optimal, d_optimal, e_optimal, variance
from pessimism.tasks.relevance import min_l1
from tests.tasks import reference as plain

AGNOSTIC = (a_optimal, d_optimal, e_optimal)


@st.composite
def problems(draw, max_k=4):
    """Heads of full row rank, among them duplicated tasks, zero columns and columns of very different length."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    k = draw(st.integers(1, max_k))
    heads = rng.normal(size=(k, k + draw(st.integers(0, 8))))
    kind = draw(st.sampled_from(["plain", "duplicate", "zero", "graded", "skewed"]))
    if kind == "duplicate":
        heads = np.hstack([heads, heads[:, :1], -2 * heads[:, :1]])
    elif kind == "zero":
        heads = np.hstack([np.zeros((k, 1)), heads])
    elif kind == "graded":
        heads = heads * 10.0 ** rng.uniform(-1.5, 1.5, heads.shape[1])
    elif kind == "skewed":
        heads = heads * 10.0 ** rng.uniform(-1, 1, (k, 1))
    target = heads[:, -1] if draw(st.booleans()) else rng.normal(size=k) * np.linalg.norm(heads)
    return heads, target, rng


def floors(rng, n_tasks, part):
    """Uneven floors, some of them 0, with total `part`."""
    floor = rng.dirichlet(np.full(n_tasks, 0.5))
    return part * np.where(floor < 0.01, 0.0, floor)


def information(heads, shares):
    return (heads * shares) @ heads.T


def largest(heads, matrix, floor):
    """h(N), task by task."""
    sensitivity = np.array([w @ matrix @ w for w in heads.T])
    return floor @ sensitivity + (1 - floor.sum()) * sensitivity.max()


def plain_value(design, heads, shares, target):
    if design is c_optimal:
        return variance(heads, target, shares)
    roots = np.linalg.svd(heads * np.sqrt(shares), compute_uv=False)[: len(heads)]  # of the eigenvalues of M(x)
    if design is a_optimal:
        return (1 / roots**2).sum()
    if design is d_optimal:
        return 2 * np.log(roots).sum()
    return roots[-1] ** 2


def plain_bound(design, heads, found, target, floor):
    dual = found.dual
    if design is c_optimal:
        return (target @ dual) ** 2 / largest(heads, np.outer(dual, dual), floor)
    if design is a_optimal:
        return np.trace(dual) ** 2 / largest(heads, dual @ dual.T, floor)
    if design is d_optimal:
        k = len(heads)
        return k * np.log(largest(heads, dual, floor) / k) - np.linalg.slogdet(dual)[1]
    assert np.trace(dual) == pytest.approx(1, rel=1e-9)
    assert np.linalg.eigvalsh(dual)[0] >= -1e-9 * np.linalg.norm(dual)
    return largest(heads, dual, floor)


def solve(design, heads, target, floor):
    return c_optimal(heads, target, floor=floor) if design is c_optimal else design(heads, floor=floor)


def check(design, heads, target, floor, rng):
    """Feasible, certified by the bound written out above, and better than other shares."""
    found = solve(design, heads, target, floor)
    assert np.all(found.shares >= floor)
    assert abs(math.fsum(found.shares) - 1) <= 1e-15
    sign = -1 if design in (d_optimal, e_optimal) else 1
    value, bound = plain_value(design, heads, found.shares, target), plain_bound(design, heads, found, target, floor)
    scale = 1.0 if design is d_optimal else abs(value)
    assert value == pytest.approx(found.value, rel=1e-9, abs=1e-9)
    assert -1e-9 <= sign * (value - bound) / scale <= 1e-7
    assert found.gap <= 1e-7
    for others in rng.dirichlet(np.ones(heads.shape[1]), 20):
        other = plain_value(design, heads, floor + (1 - floor.sum()) * others, target)
        assert sign * (other - value) >= -1e-7 * scale


@settings(max_examples=25)
@given(problems(), st.sampled_from([0.0, 0.02, 0.5, 0.99]))
def test_c_optimal_shares_are_proved_by_their_dual_point(problem, part):
    heads, target, rng = problem
    check(c_optimal, heads, target, floors(rng, heads.shape[1], part), rng)


@settings(max_examples=25)
@given(problems(), st.sampled_from([0.0, 0.02, 0.5, 0.99]))
def test_target_agnostic_shares_are_proved_by_their_dual_point(problem, part):
    heads, target, rng = problem
    floor = floors(rng, heads.shape[1], part)
    for design in AGNOSTIC:
        check(design, heads, target, floor, rng)


@settings(max_examples=25)
@given(problems())
def test_elfving(problem):
    """Without floors the variance is |nu|_1 squared, and no other support is cheaper; a tiny floor changes nothing."""
    heads, target, _ = problem
    found, relevance = c_optimal(heads, target), min_l1(heads, target)
    size = np.abs(relevance.weights)
    assert found.value == pytest.approx(size.sum() ** 2, rel=1e-10)
    assert found.shares == pytest.approx(size / size.sum(), abs=1e-12)
    assert found.status is Status.EXACT
    assert c_optimal(heads, target, floor=1e-13).value == pytest.approx(found.value, rel=1e-8)


@settings(max_examples=30)
@given(problems())
def test_kiefer_and_wolfowitz(problem):
    heads, _, _ = problem
    inverse = np.linalg.inv(information(heads, d_optimal(heads).shares))
    sensitivity = np.einsum("im,ij,jm->m", heads, inverse, heads)
    assert sensitivity.max() == pytest.approx(len(heads), rel=1e-7)


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(0, 6))
def test_heads_of_length_one_allow_no_smallest_eigenvalue_above_one_in_k(seed, k, more):
    rng = np.random.default_rng(seed)
    heads = rng.normal(size=(k, k + more))
    heads /= np.linalg.norm(heads, axis=0)
    assert e_optimal(heads).value <= (1 + 1e-9) / k
    rotation = np.linalg.qr(rng.normal(size=(k, k)))[0]
    basis = e_optimal(np.hstack([rotation, heads]))
    # an outside solver reached it, and the gap is what the certificate proves
    assert (1 - basis.gap) / k * (1 - 1e-12) <= basis.value <= (1 + 1e-9) / k


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_orthogonal_tasks_have_closed_forms(seed, k):
    rng = np.random.default_rng(seed)
    lengths, target = 10.0 ** rng.uniform(-2, 2, k), rng.normal(size=k)
    heads = np.linalg.qr(rng.normal(size=(k, k)))[0] * lengths
    along = np.abs(target @ (heads / lengths)) / lengths
    for found, parts in (
        (c_optimal(heads, target), along),
        (a_optimal(heads), 1 / lengths),
        (d_optimal(heads), np.ones(k)),
        (e_optimal(heads), 1 / lengths**2),
    ):
        assert found.shares == pytest.approx(parts / parts.sum(), rel=1e-4)  # a gap g leaves errors of order sqrt(g)
    assert c_optimal(heads, target).value == pytest.approx(along.sum() ** 2, rel=1e-10)
    assert a_optimal(heads).value == pytest.approx((1 / lengths).sum() ** 2, rel=1e-9)
    assert d_optimal(heads).value == pytest.approx(2 * np.log(lengths).sum() - k * np.log(k), abs=1e-8)
    assert e_optimal(heads).value == pytest.approx(1 / (1 / lengths**2).sum(), rel=1e-7)


def test_floors_are_filled_up_like_water():
    """Orthonormal tasks: D and E raise the lowest shares to one level."""
    floor = np.array([0.4, 0.25, 0.05, 0.0])
    for design in (a_optimal, d_optimal, e_optimal):
        shares = design(np.eye(4), floor=floor).shares
        assert shares == pytest.approx([0.4, 0.25, 0.175, 0.175], abs=1e-5)


def test_floors_that_leave_nothing_to_choose():
    floor = np.array([0.2, 0.5, 0.3])
    heads, target = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]]), np.array([1.0, 1.0])
    for design in (c_optimal, *AGNOSTIC):
        assert solve(design, heads, target, floor).shares == pytest.approx(floor, abs=1e-15)
    assert c_optimal(np.eye(2), [1.0, 0.0], floor=[1.0, 0.0]).value == pytest.approx(1.0)
    for design in (c_optimal, *AGNOSTIC):
        with pytest.raises(ValueError, match="floor must leave a share for the tasks that"):
            solve(design, np.eye(2), [1.0, 1.0], np.array([1.0, 0.0]))
    wide = np.random.default_rng(5).normal(size=(3, 6))
    for design in AGNOSTIC:
        with pytest.raises(ValueError, match="floor must leave a share for the tasks that rank k needs"):
            design(wide, floor=[0.5, 0.5, 0, 0, 0, 0])


@pytest.mark.parametrize(("by", "to"), [(1e-160, 1e-160), (1.0, 1e-200), (1e-160, 1.0), (1e140, 1e-140)])
def test_sizes_of_heads_and_target_do_not_matter(by, to):
    """The shares are those of usual sizes; values in units in which float64 has them, 0 or inf otherwise."""
    heads, target = np.array([[1.0, 0.3, 0.8], [0.0, 1.0, 0.6]]), np.array([1.0, 2.0])
    for floor in (0.0, 0.05):
        usual, found = c_optimal(heads, target, floor=floor), c_optimal(by * heads, to * target, floor=floor)
        assert found.shares == pytest.approx(usual.shares, abs=1e-7)
        assert found.value == pytest.approx({0: usual.value, 40: np.inf}.get(round(np.log10(to / by)) // 4, 0.0))
        assert found.dual * by == pytest.approx(usual.dual, rel=1e-6)
    for design in AGNOSTIC:
        usual, found = design(heads, floor=0.05), design(by * heads, floor=0.05)
        assert found.shares == pytest.approx(usual.shares, abs=1e-5)
        assert found.gap <= 1e-7
    assert d_optimal(by * heads).value == pytest.approx(d_optimal(heads).value + 4 * np.log(by), rel=1e-9)


def conic_value(design, heads, target, floor):
    """The textbook programs, by cvxpy."""
    k, n_tasks = heads.shape
    x, nu, square = cp.Variable(n_tasks), cp.Variable(n_tasks), cp.Variable((k, k), symmetric=True)
    moment = heads @ cp.diag(x) @ heads.T
    program = {
        c_optimal: (cp.Minimize(sum(cp.quad_over_lin(nu[m], x[m]) for m in range(n_tasks))), [heads @ nu == target]),
        a_optimal: (cp.Minimize(cp.trace(square)), [cp.bmat([[square, np.eye(k)], [np.eye(k), moment]]) >> 0]),
        d_optimal: (cp.Maximize(cp.log_det(moment)), []),
        e_optimal: (cp.Maximize(cp.lambda_min(moment)), []),
    }[design]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lower accuracy than asked for: the comparison says which
        return cp.Problem(program[0], [*program[1], cp.sum(x) == 1, x >= floor]).solve(solver=cp.CLARABEL)


@pytest.mark.parametrize("design", [c_optimal, *AGNOSTIC])
def test_designs_agree_with_cvxpy(design):
    rng = np.random.default_rng(7)
    for k, n_tasks, part in ((2, 5, 0.0), (3, 8, 0.3), (5, 12, 0.0)):
        heads, target = rng.normal(size=(k, n_tasks)), rng.normal(size=k)
        floor = floors(rng, n_tasks, part)
        found = solve(design, heads, target, floor)
        assert conic_value(design, heads, target, floor) == pytest.approx(found.value, rel=1e-5, abs=1e-5)


@settings(max_examples=15)
@given(problems())
def test_designs_in_other_bases_orders_and_units(problem):
    heads, target, rng = problem
    k, n_tasks = heads.shape
    floor, order = floors(rng, n_tasks, 0.2), rng.permutation(n_tasks)
    mixed, rotation = rng.normal(size=(k, k)) + 3 * np.eye(k), np.linalg.qr(rng.normal(size=(k, k)))[0]
    for design, change in ((c_optimal, mixed), (d_optimal, mixed), (a_optimal, rotation), (e_optimal, rotation)):
        here = solve(design, heads, target, floor)
        there = solve(design, 7.0 * change @ heads[:, order], 7.0 * change @ target, floor[order])
        shift = {c_optimal: 1.0, a_optimal: 1 / 49, e_optimal: 49.0}.get(design, 0.0)
        if design is d_optimal:
            assert there.value - here.value == pytest.approx(2 * np.linalg.slogdet(7 * change)[1], abs=1e-6)
        else:
            assert there.value == pytest.approx(shift * here.value, rel=1e-6)


def test_a_target_of_zero_makes_every_design_optimal():
    found = c_optimal([[1.0, 2.0, 0.0]], [0.0], floor=[0.4, 0.0, 0.0])
    assert (found.value, found.gap) == (0.0, 0.0)
    assert found.shares == pytest.approx([0.6, 0.2, 0.2])


def test_near_dependence_is_no_design_with_wrong_digits():
    """Two axes of lengths 1 and s: closed forms while six digits are left, then a sentence."""
    assert a_optimal(np.diag([1.0, 1e-4])).value == pytest.approx((1 + 1e4) ** 2, rel=1e-6)
    assert e_optimal(np.diag([1.0, 1e-2])).value == pytest.approx(1 / (1 + 1e4), rel=1e-6)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(2, 2))).Q
    for design in AGNOSTIC:
        for size in (1e-10, 1e-13, 1e-16):
            with pytest.raises(ValueError, match=r"got rank 1 from 2 tasks: .*fewer than six digits, and counts as 0"):
                design(turn @ np.diag([1.0, size]) @ turn)


def test_a_target_needs_no_full_rank():
    heads = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    for floor in (0.0, 0.1):
        found = c_optimal(heads, [1.0, -1.0, 0.0], floor=floor)
        assert found.value == pytest.approx(c_optimal(heads[:2], [1.0, -1.0], floor=floor).value, rel=1e-8)


def test_what_is_not_proved_is_not_returned(monkeypatch):
    heads = np.array([[1.0, 0.3, 0.8], [0.0, 1.0, 0.6]])
    monkeypatch.setattr(designs.interior_point, "STEPS", 2)
    for design in (a_optimal, d_optimal):
        with pytest.raises(ConvergenceError, match="gap") as caught:
            design(heads, floor=0.01)
        assert caught.value.result.status is Status.NOT_CONVERGED
        assert caught.value.result.gap > 1e-6
        assert caught.value.result.shares.sum() == pytest.approx(1)


@pytest.mark.parametrize("error", [cp.SolverError("stuck"), None])
def test_a_conic_solver_that_fails_is_not_trusted(monkeypatch, error):
    def fail(self, **options):
        if error:
            raise error

    monkeypatch.setattr(cp.Problem, "solve", fail)
    with pytest.raises(ConvergenceError) as caught:
        e_optimal([[1.0, 0.0], [0.0, 0.5]])
    assert caught.value.result.shares.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("unit", [1e-10, 1e-20, 1e-100])
def test_units_of_tasks_lose_no_direction(unit):
    """Short heads count as directions too: on two axes (1, unit) all designs have closed forms."""
    heads = np.diag([1.0, unit])
    assert d_optimal(heads).shares == pytest.approx([0.5, 0.5])
    assert d_optimal(heads).value == pytest.approx(2 * np.log(unit / 2))
    for design, value in ((a_optimal, (1 + 1 / unit) ** 2), (e_optimal, 1 / (1 + 1 / unit**2))):
        assert design(heads).value == pytest.approx(value, rel=1e-6)
    floored = c_optimal(heads, [1.0, 1.0], floor=0.1)
    assert floored.shares == pytest.approx([0.1, 0.9])
    assert floored.value == pytest.approx(10 + 1 / (0.9 * unit**2))
    with pytest.raises(ValueError, match=r"heads must have rank k = 2, got rank 1 .*with heads of length 1"):
        d_optimal([[1.0, unit], [1.0, unit]])


def test_known_noise_is_a_unit_of_each_task():
    """Heads over their noise, here powers of two, for every design; of c-optimality all bases in exact fractions."""
    rng = np.random.default_rng(5)
    heads, target, noise = rng.normal(size=(3, 6)), rng.normal(size=3), 2.0 ** rng.integers(-3, 4, 6)
    for design in (partial(c_optimal, target=target), *AGNOSTIC):
        for floor in (0.0, 0.05):
            found, plainly = design(heads, floor=floor, source_noise=noise), design(heads / noise, floor=floor)
            assert found.shares == pytest.approx(plainly.shares, abs=1e-6)
            assert found.value == pytest.approx(plainly.value, rel=1e-6)
            assert found.dual == pytest.approx(plainly.dual, rel=1e-3, abs=1e-3 * np.abs(plainly.dual).max())
    best, found = plain.least_cost(heads, target, noise), c_optimal(heads, target, source_noise=noise)
    assert found.value == pytest.approx(float(best) ** 2, rel=1e-9)
    assert variance(heads, target, found.shares, source_noise=noise) == pytest.approx(found.value, rel=1e-9)
    others = rng.dirichlet(np.ones(6), 200)
    assert (variance(heads, target, others, source_noise=noise) > found.value).all()
    assert variance(heads, target, others) == pytest.approx(variance(heads, target, others, source_noise=7) / 49)
    with pytest.raises(ValueError, match=r"source_noise must be one number or have shape \(6,\), got \(2, 6\)"):
        c_optimal(heads, target, source_noise=np.ones((2, 6)))


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
