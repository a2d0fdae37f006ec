"""Active algorithms, baselines and pools: what they buy, what they divide by, what they decide."""

import numpy as np
import pytest

from pessimism._status import ConvergenceWarning, Status
from pessimism.tasks import (
    TaskData,
    TaskPool,
    a_mtrl,
    allocate,
    fit_heads,
    fit_representation,
    fixed,
    keep_largest,
    l1_a_mtrl,
    lasso,
    method_moments,
    min_l1,
    min_l2,
    moment_representation,
    passive,
    random_s,
    target_only,
    top_s,
)
from tests.tasks import reference as plain

WORLD = plain.world(1, d=6, k=2, n_tasks=5)
BUDGETS, FLOOR = [151, 302, 400], 15
PHASED = {"k": 2, "budgets": BUDGETS, "floor": FLOOR}
ADAPTIVE = {"l2": a_mtrl, "l1": l1_a_mtrl, "top": lambda *args, **kw: top_s(*args, s=2, **kw)}
EVERY = {
    **{name: lambda w, t, r=run, **kw: r(w, t, **PHASED, **kw) for name, run in ADAPTIVE.items()},
    "passive": lambda w, t, **kw: passive(w, t, k=2, budget=500, **kw),
    "random": lambda w, t, **kw: random_s(w, t, k=2, budget=500, floor=15, s=2, **kw),
    "fixed": lambda w, t, **kw: fixed(w, t, k=2, n=[100, 200, 50, 80, 70], **kw),
    "moments": lambda w, t, **kw: method_moments(w, t, k=2, n=[100, 200, 50, 80, 70], **kw),
    "target": lambda w, t, rng=None: target_only(w, t),
}
PHASES = {"l2": 3, "l1": 3, "top": 3, "passive": 1, "random": 1, "fixed": 1, "moments": 1, "target": 0}


@pytest.mark.parametrize(("name", "pooled", "floor"), [("l1", False, 5), ("l2", True, 2), ("top", False, 4)])
def test_an_unlucky_run_of_a_batch_leaves_the_others(name, pooled, floor):
    """With few rows some fits have no minimum: status and NaN. The others are what they would be alone."""
    source, rows = Recorder(WORLD), target(30, size=60)
    with pytest.warns(
        ConvergenceWarning, match=r"of 60 runs failed \(NOT_CONVERGED\) and decide on NaN; status"
    ) as caught:
        run = ADAPTIVE[name](source, rows, k=2, budgets=[5 * floor, 8 * floor], floor=floor, pooled=pooled, rng=1)
    assert [warning.filename for warning in caught] == [__file__]
    good = run.status == Status.STATIONARY
    assert 0 < good.sum() < 60
    assert set(run.status[~good]) == {Status.NOT_CONVERGED}
    assert np.isnan(run.coefficients[~good]).all()
    assert run.allocations.sum(axis=-1).tolist() == [[5 * floor, 8 * floor]] * 60
    for i in np.flatnonzero(good)[:5]:
        data = source.sold[0][i].merge(source.sold[1][i]) if pooled else source.sold[1][i]
        basis = fit_representation(data, 2).basis
        assert np.array_equal(run.coefficients[i], basis @ fit_heads(basis, rows[i])[..., 0])


def test_a_target_whose_rows_do_not_span_leaves_the_other_runs():
    """A copied input twice, in the rows of one target of two: alone it is an error, in a batch a status."""
    x = np.random.default_rng(1).normal(size=(2, 9, 6))
    x[1, :, :] = x[1, :, :1]
    rows = [TaskData.from_arrays([part], [part.sum(axis=1)]) for part in x]
    both = TaskData(*(np.stack([getattr(r, name) for r in rows]) for name in ("counts", "grams", "moments", "squares")))
    n = [40, 20, 30, 50, 60]
    with pytest.warns(ConvergenceWarning, match=r"1 of 2 runs failed \(UNDETERMINED\)"):
        run = fixed(WORLD, both, k=2, n=n, rng=1)
    assert run.status.tolist() == [Status.STATIONARY, Status.UNDETERMINED]
    assert np.isnan(run.risk).tolist() == [False, True]
    with pytest.raises(ValueError, match="target must determine its head: its rows do not span the representation"):
        fixed(WORLD, rows[1], k=2, n=n, rng=1)
    with pytest.raises(ValueError, match=r"data must determine the heads: the rows of task \[1, 0\] do not span"):
        fit_heads(np.eye(6, 2), both)


class Recorder:
    """A user's own source: no risk, no caps; it keeps what it sold."""

    def __init__(self, world):
        self.world, self.n_tasks, self.sold = world, world.n_tasks, []

    def sample(self, n, *, rng=None):
        self.sold.append(self.world.sample(n, rng=rng))
        return self.sold[-1]


def target(n=60, size=None, world=WORLD):
    return world.sample_target(n, size=size, rng=99)


def divided(name, relevance, budget):
    """The allocation of a later phase, from its relevance."""
    if name == "top":
        relevance = keep_largest(relevance, 2)
    return allocate(relevance, budget, power=2.0 if name == "l2" else 1.0, floor=FLOOR)


@pytest.mark.parametrize(("pooled", "ridge"), [(True, 0.0), (False, 0.0), (True, 2.5)])
@pytest.mark.parametrize("name", ADAPTIVE)
def test_every_phase_is_what_the_algorithm_says(name, pooled, ridge):
    """Replayed from what was sold: even first; then fit, heads, relevance with certificate, division, floor."""
    source, rows = Recorder(WORLD), target()
    run = ADAPTIVE[name](source, rows, pooled=pooled, ridge=ridge, rng=3, **PHASED)
    assert run.risk is None
    assert run.allocations.sum(axis=-1).tolist() == BUDGETS
    assert run.allocations[0].tolist() == [31, 30, 30, 30, 30]
    assert len(run.relevances) == 2
    for phase in (1, 2):
        sold = source.sold[:phase] if pooled else source.sold[phase - 1 : phase]
        fit = fit_representation(sold[0].merge(*sold[1:]), 2, ridge=ridge)
        head = fit_heads(fit.basis, rows, ridge=ridge)[..., 0]
        expected = min_l2(fit.heads, head) if name == "l2" else lasso(fit.heads, head, regularization=1e-2)
        found = run.relevances[phase - 1]
        assert np.array_equal(found.weights, expected.weights)
        assert found.gap < 1e-8
        assert np.array_equal(run.allocations[phase], divided(name, found, BUDGETS[phase]))
        assert run.allocations[phase].min() >= FLOOR
    data = source.sold[0].merge(*source.sold[1:]) if pooled else source.sold[-1]
    fit = fit_representation(data, 2, ridge=ridge)
    assert np.array_equal(run.representation.basis, fit.basis)
    assert np.array_equal(run.coefficients, fit.basis @ fit_heads(fit.basis, rows, ridge=ridge)[..., 0])


def test_top_s_buys_the_floor_of_all_but_s():
    for s in (1, 2, 4):
        run = top_s(WORLD, target(size=4), s=s, rng=1, **PHASED)
        later = run.allocations[:, 1:]
        assert np.all((later > FLOOR).sum(axis=-1) <= s)
        assert np.all(later.sum(axis=-1) == BUDGETS[1:])


@pytest.mark.parametrize(("algorithm", "find", "power"), [(l1_a_mtrl, min_l1, 1), (a_mtrl, min_l2, 2)])
def test_known_relevance_divides_every_phase(algorithm, find, power):
    found = find(WORLD.heads, WORLD.target)
    for relevance in (found, found.weights):
        run = algorithm(WORLD, target(), relevance=relevance, rng=1, **PHASED)
        assert run.relevances == ()
        expected = [allocate(found, budget, power=power, floor=FLOOR) for budget in BUDGETS]
        assert np.array_equal(run.allocations, expected)
    own = np.abs(np.random.default_rng(1).normal(size=(3, 5)))  # one for each run
    run = algorithm(WORLD, target(size=3), relevance=own, rng=1, **PHASED)
    assert np.array_equal(run.allocations[2], [allocate(own[2], b, power=power, floor=FLOOR) for b in BUDGETS])
    assert algorithm(WORLD, target(), relevance=own, rng=1, **PHASED).allocations.shape == (3, 3, 5)


def test_the_ablation_does_not_square():
    run = a_mtrl(WORLD, target(), power=1.0, rng=3, **PHASED)
    square = a_mtrl(WORLD, target(), rng=3, **PHASED)
    assert np.array_equal(run.allocations[0], square.allocations[0])
    nu = run.relevances[0].weights
    assert np.array_equal(nu, square.relevances[0].weights)  # the same rows in phase one
    assert np.array_equal(run.allocations[1], allocate(nu, BUDGETS[1], floor=FLOOR))
    assert np.array_equal(square.allocations[1], allocate(nu**2, BUDGETS[1], floor=FLOOR))
    assert not np.array_equal(run.allocations[1], square.allocations[1])


def test_the_regularization_reaches_the_lasso():
    strong = l1_a_mtrl(WORLD, target(), regularization=1.0, rng=3, **PHASED)
    assert not strong.relevances[0].weights.any()
    assert strong.allocations[1].tolist() == [61, 61, 60, 60, 60]  # nothing is relevant: evenly
    thin = top_s(WORLD, target(), s=5, regularization=1e-3, rng=3, **PHASED)
    assert np.count_nonzero(thin.relevances[0].weights) <= 2


def test_baselines_buy_what_they_say():
    rows = target(size=40)
    assert passive(WORLD, rows, k=2, budget=502, rng=1).allocations[7].tolist() == [[101, 101, 100, 100, 100]]
    run = random_s(WORLD, rows, k=2, budget=500, floor=15, s=2, rng=1)
    assert np.all(run.allocations.sum(axis=-1) == 500)
    assert np.all(np.sort(run.allocations[:, 0])[:, :3] == 15)
    assert np.all(np.sort(run.allocations[:, 0])[:, 3:] >= 227)
    chosen = {tuple(np.flatnonzero(n > 15)) for n in run.allocations[:, 0]}
    assert len(chosen) > 5  # of ten pairs, anew for every run
    first, second = (random_s(WORLD, rows, k=2, budget=500, floor=15, s=5, rng=seed) for seed in (1, 2))
    assert not np.array_equal(first.coefficients, second.coefficients)  # the rows are drawn from the same stream
    n = np.arange(1, 16).reshape(3, 1, 5) * 20
    run = fixed(WORLD, target(size=2), k=2, n=n, rng=1)
    assert run.allocations.shape == (3, 2, 1, 5)
    assert np.array_equal(run.allocations[1, 0, 0], n[1, 0])
    assert target_only(WORLD, rows).allocations.shape == (40, 0, 5)


@pytest.mark.parametrize(("ridge", "n_target"), [(0.0, 60), (2.5, 60), (0.1, 1), (0.1, 0)])
def test_fixed_is_fit_and_heads(ridge, n_target):
    """A ridge does without the k rows of the target; without any the decision is 0."""
    n, rows = [40, 20, 30, 50, 60], target(n_target)
    run = fixed(WORLD, rows, k=2, n=n, ridge=ridge, rng=5)
    fit = fit_representation(WORLD.sample(n, rng=5), 2, ridge=ridge)
    assert np.array_equal(run.coefficients, fit.basis @ fit_heads(fit.basis, rows, ridge=ridge)[..., 0])
    assert run.risk == WORLD.risk(run.coefficients)
    assert run.coefficients.any() == (n_target > 0)


def test_the_ridge_of_the_blind_baselines():
    rows, n = target(), allocate(np.ones(5), 500)
    run = fixed(WORLD, rows, k=2, n=n, ridge=2.5, rng=5)
    assert np.array_equal(passive(WORLD, rows, k=2, budget=500, ridge=2.5, rng=5).coefficients, run.coefficients)
    first, second = (random_s(WORLD, rows, k=2, budget=500, floor=15, s=5, ridge=r, rng=5) for r in (0.0, 1e6))
    assert np.linalg.norm(second.coefficients) < 0.1 * np.linalg.norm(first.coefficients)


def test_method_moments_is_moments_and_heads():
    n, rows = [40, 20, 30, 50, 60], target()
    run = method_moments(WORLD, rows, k=2, n=n, rng=5)
    inputs, outputs, _ = WORLD.sample_rows(n, rng=5)
    basis = moment_representation(inputs, outputs, 2)
    assert np.array_equal(run.coefficients, basis @ fit_heads(basis, rows)[..., 0])
    assert run.representation is None
    assert run.allocations.tolist() == [n]
    assert method_moments(WORLD, target(size=(2, 3)), k=2, n=30, rng=5).allocations.shape == (2, 3, 1, 5)


@pytest.mark.parametrize("rows", [3, 9])
def test_target_only_is_regression_on_the_targets_rows(rows):
    """Least squares, of minimum norm with fewer rows than entries; ridge by its normal equations."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(rows, 6)), rng.normal(size=rows)
    data = TaskData.from_arrays([x], [y])
    assert target_only(WORLD, data).coefficients == pytest.approx(np.linalg.lstsq(x, y)[0], abs=1e-9)
    expected = np.linalg.solve(x.T @ x + 0.5 * np.eye(6), x.T @ y)
    assert target_only(WORLD, data, ridge=0.5).coefficients == pytest.approx(expected, rel=1e-9)


def test_target_only_in_inputs_of_very_different_units_and_with_copies():
    """Units are no loss of a direction; a copied input is one, shared evenly, and the status says so."""
    rng = np.random.default_rng(3)
    x, theta = rng.normal(size=(20, 6)), np.arange(1.0, 7.0)
    units = 10.0 ** np.array([0, -9, 3, 7, -4, 0])
    run = target_only(WORLD, TaskData.from_arrays([x * units], [x @ theta]))
    assert run.status is Status.EXACT
    assert run.coefficients * units == pytest.approx(theta, rel=1e-7)
    x[:, 5] = x[:, 0]
    run = target_only(WORLD, TaskData.from_arrays([x], [x @ theta]))
    assert run.status is Status.DEPENDENT
    assert run.coefficients == pytest.approx([3.5, 2.0, 3.0, 4.0, 5.0, 3.5], rel=1e-7)


@pytest.mark.parametrize("name", EVERY)
def test_batches_and_seeds(name):
    """A batch of targets is a batch of runs; the same seed gives the same bytes, another one other rows."""
    rows = target(size=(2, 3))
    run, again, other = (EVERY[name](WORLD, rows, rng=seed) for seed in (7, np.random.default_rng(7), 8))
    assert run.coefficients.shape == (2, 3, 6)
    assert run.allocations.shape == (2, 3, PHASES[name], 5)
    assert run.risk.shape == (2, 3)
    assert run.risk == pytest.approx(WORLD.risk(run.coefficients), rel=1e-14)
    assert run.coefficients.tobytes() == again.coefficients.tobytes()
    assert run.allocations.tobytes() == again.allocations.tobytes()
    if name != "target":
        assert run.coefficients.tobytes() != other.coefficients.tobytes()
    if run.representation is not None:
        assert run.representation.basis.shape == (2, 3, 6, 2)
        assert run.representation.heads.shape == (2, 3, 2, 5)
    for relevance in run.relevances:
        assert relevance.weights.shape == (2, 3, 5)


@pytest.mark.parametrize("name", [name for name in EVERY if name != "moments"])
def test_a_world_without_noise_is_learned_exactly(name):
    """Two target rows suffice for a head of two entries; without sources one needs as many as entries."""
    world = plain.world(2, noise=0.0)
    run = EVERY[name](world, target(n=6 if name == "target" else 3, world=world), rng=1)
    assert run.risk < 1e-9
    assert run.allocations.sum() == {"l2": 853, "l1": 853, "top": 853, "target": 0}.get(name, 500)


def pool(sizes=(80, 90, 60, 120, 100), seed=3):
    """Rows of a world as a pool; the rows of a task are told apart by a last column of their own."""
    inputs, outputs, tasks = plain.world(1).sample_rows(sizes, rng=seed)
    return TaskPool(*([x[tasks == m] for m in range(5)] for x in (inputs, outputs)))


@pytest.mark.parametrize("name", [name for name in EVERY if name not in ("moments", "target")])
def test_pools_are_sources(name):
    """Caps shrink from phase to phase and are respected; there is no risk to report."""
    rows, caps = pool(), np.array([80, 90, 60, 120, 100])
    budgets = {"k": 2, "budgets": [100, 200, 150], "floor": 5}
    if name in ADAPTIVE:
        run = ADAPTIVE[name](rows, target(), rng=1, **budgets)
        assert run.allocations.sum(axis=-1).tolist() == [100, 200, 150]
        assert np.array_equal(run.allocations.sum(axis=0), caps)  # everything was bought in the end
    elif name == "fixed":
        run = fixed(rows, target(), k=2, n=[10, 20, 30, 40, 50], rng=1)
    else:
        run = EVERY[name](pool((120,) * 5), target(), rng=1)
        assert run.allocations.sum() == 500
        assert run.allocations.max() <= 120
    assert run.risk is None
    if name in (*ADAPTIVE, "fixed"):
        assert np.array_equal(rows.caps, caps - run.allocations.sum(axis=0))


def test_tasks_that_are_sold_out_are_passed_over():
    """Without pooling a sold-out task has no rows in the last phase, so no head: it is not relevant any more."""
    sizes = np.array([200, 25, 200, 25, 200])
    run = a_mtrl(pool(sizes), target(), k=2, budgets=[200, 100, 100, 100], floor=20, pooled=False, ridge=0.1, rng=1)
    assert np.all(run.allocations.sum(axis=0) <= sizes)
    assert run.allocations[0].tolist() == [50, 25, 50, 25, 50]
    assert not run.allocations[1:, [1, 3]].any()
    assert not any(relevance.weights[[1, 3]].any() for relevance in run.relevances[1:])


def test_tasks_with_unequal_sources_of_the_users_own():
    """A source of one's own needs n_tasks and sample alone; with `risk` its decision is valued."""

    class Own(Recorder):
        def risk(self, coefficients):
            return 2.0 * self.world.risk(coefficients)

    run, same = (passive(source, target(), k=2, budget=500, rng=1) for source in (Own(WORLD), WORLD))
    assert run.risk == 2.0 * same.risk
