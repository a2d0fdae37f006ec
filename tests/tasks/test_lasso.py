"""The Lasso: every sign pattern of small problems, other programs, certificates, bad options; kernels and twins."""

import numpy as np
import pytest

from pessimism._status import ConvergenceError, ConvergenceWarning, Status
from pessimism.tasks._engine import lasso as engine
from pessimism.tasks._engine import lasso_kernels as kernels
from pessimism.tasks.relevance import lasso, min_l1
from tests.conftest import with_entry
from tests.tasks import reference as plain

TIED = (
    np.array([[1.0, -1, 0, -1], [-1, -1, 1, -1], [0, -1, 0, -1], [-1, 1, -1, -1]]),
    np.array([0.0, 0, 0, -1]),
)
"""At a quarter of the largest penalty the plain homotopy ends with the wrong support: several tasks tie on the way."""


def penalty_of(heads, target, regularization):
    return regularization * np.abs(np.einsum("...km,...k->...m", heads, target)).max(axis=-1)


def test_lasso_agrees_with_coordinate_descent_scikit_learn_and_cvxpy():
    import cvxpy as cp
    from sklearn.linear_model import Lasso, lars_path

    heads, target = plain.task_vectors(np.random.default_rng(9), 8, 20)
    path = lasso(heads, target, regularization=[0.5, 0.1, 0.02])
    for nu, part in zip(path.weights, (0.5, 0.1, 0.02), strict=True):
        penalty = penalty_of(heads, target, part)
        alphas, _, ends = lars_path(heads, target, method="lasso", alpha_min=penalty / 8)
        assert alphas[-1] == pytest.approx(penalty / 8)
        assert nu == pytest.approx(ends[:, -1], abs=1e-10)
        model = Lasso(alpha=penalty / 8, fit_intercept=False, tol=1e-14, max_iter=10**6).fit(heads, target)
        assert nu == pytest.approx(model.coef_, abs=1e-6)
        a = cp.Variable(20)
        cp.Problem(cp.Minimize(0.5 * cp.sum_squares(heads @ a - target) + penalty * cp.norm1(a))).solve("CLARABEL")
        assert nu == pytest.approx(a.value, abs=1e-5)
    penalty = penalty_of(heads, target, 0.5)
    assert path.weights[0] == pytest.approx(plain.lasso_by_coordinates(heads, target, penalty, 500), abs=1e-9)


def random_problems(count):
    """Batches of every shape: ordinary, nearly square, more rows than tasks; condition up to 1e6, penalties to 1e-4."""
    rng = np.random.default_rng(10)
    shapes = [(20, 100), (5, 40), (2, 3), (5, 5), (5, 6), (8, 6), (10, 11), (20, 18), (20, 20), (20, 22)]
    for k, n_tasks in shapes:
        for condition in (1.0, 1e2, 1e4, 1e6):
            batch = (max(count // (4 * len(shapes)), 1),)
            yield *plain.task_vectors(rng, k, n_tasks, condition, batch), 10 ** rng.uniform(-4, 0, batch)


def test_two_thousand_problems_are_certified_without_the_conic_program(monkeypatch):
    monkeypatch.setattr(engine, "conic", None)
    seen, worst = 0, 0.0
    for heads, targets, parts in random_problems(2000):
        found = lasso(heads, targets, regularization=parts)
        assert (found.gap <= 1e-8).all()
        assert all(status is Status.CONVERGED for status in found.status)
        for n, penalty in enumerate(penalty_of(heads, targets, parts)):  # the certificate, by other code
            gap = plain.lasso_gap(heads[n], targets[n], penalty, found.weights[n], found.dual[n])
            worst, seen = max(worst, gap), seen + 1
            assert gap <= 1e-8
    assert seen >= 2000
    assert worst <= 1e-10


def test_ties_are_certified_without_the_conic_program(monkeypatch):
    heads, target = TIED
    problem = heads[None], target[None], np.array([0.25])
    weights, points, _ = engine.homotopy(*problem, 1)
    assert engine.certify(*problem, weights, points)[0] > 1e-3
    monkeypatch.setattr(engine, "conic", None)
    found = lasso(heads, target, regularization=0.25)
    assert found.gap <= 1e-10
    best = plain.lasso_by_signs(heads, target, penalty_of(heads, target, 0.25))
    assert found.weights == pytest.approx(best, abs=1e-9)
    rng = np.random.default_rng(11)
    for k, n_tasks in [(3, 3), (4, 6), (6, 8), (6, 60)]:
        batch = (200,)
        signs = rng.integers(-1, 2, (*batch, k, n_tasks)).astype(float)
        assert (
            lasso(signs, rng.integers(-1, 2, (*batch, k)), regularization=10 ** rng.uniform(-4, 0, batch)).gap <= 1e-8
        ).all()


def test_the_conic_program_takes_over(monkeypatch):
    """With an engine that gives nothing, every answer comes from the conic program and is as good."""
    rng = np.random.default_rng(12)
    heads, targets = plain.task_vectors(rng, 6, 8, 1e3, (4,))
    expected = lasso(heads, targets, regularization=[0.3, 0.1, 0.01, 0.01])
    copies = lasso(*TIED, regularization=0.25)
    monkeypatch.setattr(engine, "homotopy", nothing)
    found = lasso(heads, targets, regularization=[0.3, 0.1, 0.01, 0.01])
    assert (found.gap <= 1e-8).all()
    assert found.weights == pytest.approx(expected.weights, abs=1e-7)
    assert np.array_equal(found.weights != 0, expected.weights != 0)
    assert (found.iterations > 0).all()
    assert lasso(*TIED, regularization=0.25).weights == pytest.approx(copies.weights, abs=1e-6)
    one_good = lasso(np.eye(3), [[0.0, 0.0, 0.0], [3.0, 0.0, 0.0]], regularization=0.5)  # 0 is right for the first
    assert one_good.weights == pytest.approx(np.array([[0.0, 0.0, 0.0], [1.5, 0.0, 0.0]]), abs=1e-9)
    assert one_good.iterations[0] == 0


def nothing(heads, targets, regularization, count):
    return np.zeros((count, heads.shape[-1])), np.zeros((count, heads.shape[-2])), np.zeros(count, np.int64)


def test_what_nobody_certifies_is_said_and_returned_with_the_others(monkeypatch):
    """Alone it is an error, which carries it; in a batch a status and one warning."""
    heads, targets = plain.task_vectors(np.random.default_rng(13), 4, 9, 1.0, (3,))
    with pytest.raises(ConvergenceError, match="the gap of 1 of 1 answers is above tolerance = 1e-30") as caught:
        lasso(heads[0], targets[0], tolerance=1e-30)
    assert caught.value.result.weights == pytest.approx(lasso(heads[0], targets[0]).weights, abs=1e-12)
    monkeypatch.setattr(engine, "homotopy", nothing)
    monkeypatch.setattr(engine, "conic", nothing)
    with pytest.warns(ConvergenceWarning, match="the gap of 2 of 3 answers is above tolerance = 1e-08"):
        partial = lasso(heads, [targets[0], 0 * targets[1], targets[2]], regularization=0.1)
    assert partial.status.tolist() == [Status.ROUNDING, Status.CONVERGED, Status.ROUNDING]
    assert partial.gap == pytest.approx([1.0, 0.0, 1.0])


def test_a_failing_conic_solver_leaves_what_there_was(monkeypatch):
    import cvxpy as cp

    def fail(self, **options):
        raise cp.SolverError("numerical trouble")

    monkeypatch.setattr(cp.Problem, "solve", fail)
    monkeypatch.setattr(engine, "homotopy", nothing)
    with pytest.raises(ConvergenceError, match="the gap of 1 of 1 answers"):
        lasso(np.eye(2), [1.0, 0.5])


def test_lasso_depends_on_the_basis_unless_it_is_rotated():
    rng = np.random.default_rng(14)
    heads, target = plain.task_vectors(rng, 4, 12)
    found = lasso(heads, target, regularization=0.1)
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    assert lasso(turn @ heads, turn @ target, regularization=0.1).weights == pytest.approx(found.weights, abs=1e-12)
    change = np.diag([1.0, 2.0, 3.0, 4.0])
    assert np.abs(lasso(change @ heads, change @ target, regularization=0.1).weights - found.weights).max() > 0.01
    order, signs = rng.permutation(12), rng.choice([-1.0, 1.0], 12)
    assert lasso(heads[:, order], target, regularization=0.1).weights == pytest.approx(found.weights[order], abs=1e-13)
    assert lasso(heads * signs, target, regularization=0.1).weights == pytest.approx(found.weights * signs, abs=1e-13)
    scaled = lasso(heads * 2.0**-200, target * 2.0**300, regularization=0.1)
    assert np.array_equal(scaled.weights, found.weights * 2.0**500)
    assert np.array_equal(scaled.dual, found.dual * 2.0**300)


def test_the_path_runs_from_nothing_to_basis_pursuit():
    heads, target = plain.task_vectors(np.random.default_rng(15), 6, 30)
    path = lasso(heads, target, regularization=[1.0, 0.5, 1e-2, 1e-4, 1e-9])
    assert not path.weights[0].any()
    norms = np.abs(path.weights).sum(axis=1)
    assert (np.diff(norms) > 0).all()
    assert (np.diff(path.residual) < 0).all()
    best = min_l1(heads, target)
    assert path.weights[-1] == pytest.approx(best.weights, abs=1e-7)
    assert path.dual[-1] / penalty_of(heads, target, 1e-9) == pytest.approx(best.dual, rel=1e-6)


@pytest.mark.kernels
def test_lasso_where_there_is_nothing_to_explain():
    """Zero targets, heads or columns, and a target that is orthogonal to all heads: weights 0, certified."""
    heads = np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 0.0]])
    for columns, target in ((heads, [0.0, 0.0]), (0 * heads, [1.0, 2.0]), (heads, [0.0, 3.0])):
        found = lasso(columns, target)
        assert not found.weights.any()
        assert found.gap == 0
        assert found.status is Status.CONVERGED
    assert lasso(heads, [1.0, 3.0]).weights[1] == 0


def test_certificates_scale_dual_points_to_be_feasible():
    heads, target = plain.task_vectors(np.random.default_rng(24), 3, 5)
    problem, penalty = (heads[None], target[None], np.array([0.1])), penalty_of(heads, target, 0.1)
    weights, points, _ = engine.homotopy(*problem, 1)
    gaps, scaled = engine.certify(*problem, weights, 5.0 * points)
    assert np.abs(heads.T @ scaled[0]).max() == pytest.approx(penalty, rel=1e-12)
    assert gaps[0] <= 1e-12
    gaps, scaled = engine.certify(*problem, weights, 0.5 * points)  # feasible as it is, and not the best
    assert np.array_equal(scaled, 0.5 * points)
    assert gaps[0] > 1e-3


@pytest.mark.kernels
def test_regularization_broadcasts_with_the_batch():
    heads, targets = plain.task_vectors(np.random.default_rng(18), 3, 5, 1.0, (4,))
    parts = np.array([[0.5], [0.05]])
    found = lasso(heads, targets, regularization=parts)
    assert found.weights.shape == (2, 4, 5)
    assert found.dual.shape == (2, 4, 3)
    assert found.status.shape == found.gap.shape == found.residual.shape == found.iterations.shape == (2, 4)
    assert np.array_equal(found.weights[1], lasso(heads, targets, regularization=0.05).weights)
    with pytest.raises(ValueError, match="heads, target and regularization must have shapes that broadcast"):
        lasso(heads, targets, regularization=[0.5, 0.1, 0.05])


# Kernels and their twins

HELPERS = {
    name: with_entry(getattr(kernels, name)) for name in ("solve_upper", "solve_lower", "enter", "lines", "defect")
}
solve_upper, solve_lower, enter, lines, defect = HELPERS.values()


def factors(heads, columns):
    """Factors after the columns have entered, in order."""
    k = len(heads)
    rows, factor, at = np.full((k + 1, k), np.nan), np.zeros((k + 1, k + 1)), np.empty((7, k + 1))
    for n, column in enumerate(columns):
        assert enter(heads, column, rows, factor, n, at)
    return rows, factor


@pytest.mark.kernels
def test_factors_of_columns_that_entered():
    heads, _ = plain.frozen(*plain.task_vectors(np.random.default_rng(19), 5, 9, 1e3))
    columns, n = [7, 0, 3, 4], 4
    rows, factor = factors(heads, columns)
    assert rows[:n].T @ factor[:n, :n] == pytest.approx(heads[:, columns], abs=1e-14)
    assert rows[:n] @ rows[:n].T == pytest.approx(np.eye(n), abs=1e-14)
    assert not np.tril(factor[:n, :n], -1).any()
    right = np.arange(1.0, n + 1)
    at = np.tile(right, (2, 1))
    solve_upper(factor, n, at, 0)
    solve_lower(factor, n, at, 1)
    assert at[0] == pytest.approx(np.linalg.solve(factor[:n, :n], right), rel=1e-9)
    assert at[1] == pytest.approx(np.linalg.solve(factor[:n, :n].T, right), rel=1e-9)


@pytest.mark.kernels
def test_dependent_columns_do_not_enter():
    (heads,) = plain.frozen(np.array([[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]))
    rows, factor = factors(heads, [0])
    work = np.empty((7, 3))
    assert not enter(heads, 1, rows, factor, 1, work)
    assert not enter(heads, 2, rows, factor, 1, work)
    assert enter(heads, 3, rows, factor, 1, work)
    assert not enter(heads, 1, rows, factor, 2, work)


@pytest.mark.kernels
def test_lines_and_correction_are_least_squares():
    rng = np.random.default_rng(20)
    heads, target = plain.frozen(*plain.task_vectors(rng, 5, 9))
    columns, signs = np.array([8, 2, 5]), np.array([1.0, -1.0, 1.0])
    rows, factor = factors(heads, columns)
    work, at = np.empty((2, 9)), np.empty((7, 6))
    lines(heads, target, rows, factor, signs, 0, 2, work, at)
    lines(heads, target, rows, factor, signs, 2, 3, work, at)  # the first two are kept
    used = heads[:, columns]
    gram = used.T @ used
    exact = np.linalg.solve(gram, used.T @ target), np.linalg.solve(gram, signs)
    found = np.linalg.solve(factor[:3, :3], at[:2, :3].T).T
    assert found == pytest.approx(np.array(exact), rel=1e-11)
    assert work[0] == pytest.approx(heads.T @ (target - used @ exact[0]), abs=1e-12)
    assert work[1] == pytest.approx(heads.T @ used @ exact[1], abs=1e-12)
    at[0, :3] = rng.normal(size=3)
    defect(heads, target, 0.3, columns, signs, 3, at)
    assert at[1, :3] == pytest.approx(used.T @ (target - used @ at[0, :3]) - 0.3 * signs, abs=1e-12)


@pytest.mark.kernels
def test_the_correction_halves_the_error(sized, monkeypatch):
    """Median error of stationarity at the end of the homotopy, in long doubles, with the correction and without."""
    monkeypatch.setattr(kernels, "homotopy", getattr(kernels.homotopy, "py_func", kernels.homotopy))
    for name, helper in HELPERS.items():  # which it then looks up
        monkeypatch.setattr(kernels, name, helper)
    rng = np.random.default_rng(23)
    heads, targets = plain.frozen(*plain.task_vectors(rng, 20, 40, 1.0, (sized(60, 20),)))
    parts = 10 ** rng.uniform(-4, 0, len(heads))

    def median_error():
        found, _, _ = engine.paths(heads, targets, parts, len(heads), 1000)
        errors = []
        for columns, target, part, nu in zip(heads, targets, parts, found, strict=True):
            slopes = columns.T.astype(np.longdouble) @ (target - columns.astype(np.longdouble) @ nu)
            errors.append(np.abs(np.abs(slopes[nu != 0]) / penalty_of(columns, target, part) - 1).max())
        return np.median(np.array(errors, float))

    corrected = median_error()
    monkeypatch.setattr(kernels, "defect", lambda *arguments: arguments[-1][1].fill(0.0))
    assert corrected <= 0.7 * median_error()


@pytest.mark.kernels
def test_the_homotopy_is_the_best_of_all_sign_patterns():
    heads, targets = plain.frozen(*plain.task_vectors(np.random.default_rng(21), 3, 5, 10.0, (6,)))
    (parts,) = plain.frozen(np.array([0.9, 0.5, 0.1, 0.01, 1e-3, 1e-4]))
    weights, duals, steps = engine.paths(heads, targets, parts, 6, 100)
    for n in range(6):
        penalty = penalty_of(heads[n], targets[n], parts[n])
        assert weights[n] == pytest.approx(plain.lasso_by_signs(heads[n], targets[n], penalty), rel=1e-8, abs=1e-10)
        assert duals[n] == pytest.approx(targets[n] - heads[n] @ weights[n], abs=1e-11)
        alone = engine.paths(heads[n : n + 1], targets[n : n + 1], parts[n : n + 1], 1, 100)
        assert all(np.array_equal(one[0], all_[n]) for one, all_ in zip(alone, (weights, duals, steps), strict=True))
    assert steps.max() >= 3
    assert (engine.paths(heads, targets, parts, 6, 1)[2] == 1).all()
