"""Statistics of tasks against raw rows and exact laws; risks against their closed forms and their leading order.

Every test has a false alarm level of 1e-6, shared among its comparisons. Exact laws come from the theory of Gaussian
regression: no normal approximation of an average is used anywhere.
"""

import numpy as np
import pytest
from scipy.stats import chi2, f, ks_2samp, kstest, norm

from pessimism.tasks import (
    LinearTasks,
    TaskData,
    a_mtrl,
    fit_heads,
    fit_representation,
    instances,
    l1_a_mtrl,
    passive,
    target_only,
)
from pessimism.tasks.designs import variance
from pessimism.tasks.relevance import min_l1, min_l2
from tests.tasks import reference as plain

FALSE_ALARM = 1e-6
SIGMA, D = 0.7, 3
THETA = np.array([0.8, -0.6])


def copies(count):
    """A world of equal tasks, so that one draw of rows is a sample of data sets."""
    basis = np.linalg.qr(np.random.default_rng(1).normal(size=(D, 2))).Q
    return LinearTasks(basis, np.tile(THETA[:, None], count), THETA, noise=SIGMA)


def features(data, rng):
    """Numbers per data set that between them see every entry and how entries go together."""
    grams, b, c = data.grams, data.moments, data.squares
    u, v = rng.normal(size=(2, D))
    explained = np.einsum("...i,...ij,...j->...", b, np.linalg.pinv(grams, rcond=1e-11, hermitian=True), b)
    return [
        *(grams[..., i, j] for i in range(D) for j in range(i + 1)),
        *(b[..., i] for i in range(D)),
        c,
        (c - explained).round(9),
        np.linalg.det(grams).round(9),
        np.einsum("i,...ij,j->...", u, grams, v),
        grams[..., 0, 0] - b[..., 1] * u[0] + c * v[0],
        grams[..., 0, 1] * b[..., 2],
        np.einsum("...i,...ij,...j->...", b, grams, b),
    ]


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 8])
def test_statistics_have_the_law_of_raw_rows(n):
    """Bartlett's decomposition against rows added up: Kolmogorov and Smirnov on 17 features, n < d, = d and > d.

    With 10,000 data sets each it detects a distance of 0.06 in any feature with probability above 0.99.
    """
    world = copies(10_000)
    drawn = world.sample(n, rng=2)
    raw = TaskData.from_arrays(*world.sample_rows(n, rng=3), n_tasks=world.n_tasks)
    assert np.array_equal(drawn.counts, raw.counts)
    pairs = list(zip(features(drawn, np.random.default_rng(4)), features(raw, np.random.default_rng(4)), strict=True))
    for i, (first, second) in enumerate(pairs):
        assert ks_2samp(first, second, method="asymp").pvalue > FALSE_ALARM / len(pairs), i


@pytest.mark.parametrize("n", [1, 2, 3, 4, 8, 10**9])
@pytest.mark.parametrize("who", ["sources", "target"])
def test_entries_have_their_exact_laws(n, who):
    """Chi-squares on the diagonal, of the outputs and of the residuals; normals elsewhere, once standardised.

    A sum over data sets is again exact, and at n = 10^9 it detects a mean off by one part in 10^6. The marginals by
    Kolmogorov and Smirnov: 10,000 values at 1e-6 detect a distance of 0.05.
    """
    size = 10_000
    world = copies(2)
    if who == "sources":
        data, theta = world.sample(n, size=size // 2, rng=5), world.coefficients[0]
    else:
        data, theta = world.sample_target(n, size=size, rng=6), world.target_coefficients
    a, b, c = data.grams.reshape(-1, D, D), data.moments.reshape(-1, D), data.squares.ravel()
    signal = theta @ theta
    variance = signal + SIGMA**2
    across = np.linalg.qr(np.column_stack([theta, np.eye(D)[0]])).Q[:, 1]  # orthogonal to theta: only noise there
    along = (b @ theta - signal / variance * c) / np.sqrt(c * signal * SIGMA**2 / variance)
    normals = [a[:, 0, 1] / np.sqrt(a[:, 0, 0]), a[:, 1, 2] / np.sqrt(a[:, 1, 1]), b @ across / np.sqrt(c), along]
    if who == "sources":  # tasks are independent of each other
        normals += [(z[0::2] - z[1::2]) / np.sqrt(2.0) for z in normals] + [(normals[0][0::2] + along[1::2]) / 2**0.5]
    squares = [(a[:, i, i], n) for i in range(D)] + [(c / variance, n)]
    explained = np.einsum("ni,nij,nj->n", b, np.linalg.pinv(a, rcond=1e-11, hermitian=True), b)
    if n > D:
        squares.append(((c - explained) / SIGMA**2, n - D))
        shifted = b - a @ theta
        squares.append((np.einsum("ni,ni->n", shifted, np.linalg.solve(a, shifted[..., None])[..., 0]) / SIGMA**2, D))
    else:
        assert c == pytest.approx(explained, rel=1e-6)  # as many entries as rows: nothing is left
    level = FALSE_ALARM / 30
    for z in normals:
        assert kstest(z, norm.cdf).pvalue > level
        assert abs(z.sum()) / np.sqrt(len(z)) < norm.isf(level / 2)
    for values, freedom in squares:
        assert kstest(values, chi2(freedom).cdf).pvalue > level
        low, high = chi2.ppf(level / 2, freedom * len(values)), chi2.isf(level / 2, freedom * len(values))
        assert low < values.sum() < high


def test_the_determinant_has_its_exact_law():
    """For two columns twice the root of the determinant is chi-square of 2n - 2: sees the chi-squares row by row."""
    world = LinearTasks(np.eye(2, 1), [[1.0]], [1.0])
    for n in (2, 3, 7):
        values = 2.0 * np.sqrt(np.linalg.det(world.sample(n, size=20_000, rng=n).grams[:, 0]))
        assert kstest(values, chi2(2 * n - 2).cdf).pvalue > FALSE_ALARM / 3


@pytest.mark.parametrize(("k", "n_target"), [(1, 4), (2, 5), (2, 40), (3, 9)])
def test_the_total_risk_is_the_mean_of_an_exact_law(k, n_target):
    """(risk - rho) / (sigma^2 + rho) is k/(n - k + 1) F(k, n - k + 1), whose mean `total_risk` must give.

    20,000 draws of target rows at 1e-6: detects a distribution function off by 0.03.
    """
    world = plain.world(7, d=6, k=3, noise=0.5)
    basis = np.linalg.qr(np.random.default_rng(8).normal(size=(6, k))).Q
    rho = world.representation_risk(basis)
    tau = world.noise**2 + rho
    rows = n_target - k + 1
    law = f(k, rows, scale=tau * k / rows)
    assert world.total_risk(basis, n_target) == pytest.approx(rho + law.mean(), rel=1e-12)
    target = world.sample_target(n_target, size=20_000, rng=9)
    risks = world.risk((basis @ fit_heads(basis, target))[..., 0])
    assert kstest(risks - rho, law.cdf).pvalue > FALSE_ALARM


def test_target_only_has_its_exact_law():
    """sigma^2 d/(n - d + 1) F(d, n - d + 1), with mean sigma^2 d/(n - d - 1); 5,000 runs at 1e-6."""
    world = plain.world(10, noise=0.5)
    for n in (8, 30):
        run = target_only(world, world.sample_target(n, size=5000, rng=n))
        law = f(6, n - 5, scale=0.25 * 6 / (n - 5))
        assert law.mean() == pytest.approx(0.25 * 6 / (n - 7), rel=1e-12)
        assert kstest(run.risk, law.cdf).pvalue > FALSE_ALARM / 2


def leading_order(risks, predicted, freedom):
    """Where the sum of risks lies in its law at leading order, predicted/freedom times chi-square: two-sided."""
    place = chi2(freedom * len(risks)).cdf(risks.sum() * freedom / predicted)
    return 2.0 * min(place, 1.0 - place)


def test_risks_follow_the_leading_order_where_the_noise_differs():
    """Rows of equal weight, and rows weighted by their precision, each against its own prediction: as below."""
    alike, sigma, n = plain.world(11, d=6, k=2, n_tasks=4), [0.2, 3.0, 1.0, 0.5], [10**6, 4 * 10**6, 10**6, 2 * 10**6]
    world = LinearTasks(alike.representation, alike.heads, alike.target, 1.0, sigma)
    data = world.sample(n, size=2000, rng=13)
    predicted = [world.predicted_risk(n), 4 * variance(world.heads, world.target, n, source_noise=sigma)]
    assert predicted[1] < 0.8 * predicted[0] < 0.8 * 0.8 * 9 * alike.predicted_risk(n)
    for rows, line in zip((data, data.weighted(1 / np.array(sigma) ** 2)), predicted, strict=True):
        risks = world.representation_risk(fit_representation(rows, 2).basis)
        assert leading_order(risks, line, 4) > FALSE_ALARM / 2


@pytest.mark.parametrize("n", [[10**6] * 4, [9 * 10**6, 10**6, 10**5, 10**6], [3 * 10**6, 3 * 10**6, 0, 0]])
def test_risks_follow_the_leading_order(n):
    """At leading order the risk is the prediction times chi-square of d - k over d - k; corrections are of order d/n.

    d/n is below 1e-4 here, a hundredth of what 3,000 fits can tell: false alarm 1e-6, detects 5 %.
    """
    world = plain.world(11, d=6, k=2, n_tasks=4)
    data = world.sample(n, size=3000, rng=12)
    risks = world.representation_risk(fit_representation(data, 2).basis)
    predicted = world.predicted_risk(n)
    assert leading_order(risks, predicted, 4) > FALSE_ALARM / 2
    assert kstest(risks * 4 / predicted, chi2(4).cdf).pvalue > FALSE_ALARM / 2


def test_l1_beats_l2_beats_uniform_with_known_relevance():
    """Spike and pairs with nine tasks: risks 1 : 2 : 3 at equal budgets, but for the floor.

    The sums of independent runs are chi-squares: the chance that a ratio of 3/2 turns over is computed and below 1e-6.
    """
    world, budget, floor, runs = instances.spike_and_pairs(4, dimension=6), 10**7, 1000, 600
    target = world.sample_target(50, size=runs, rng=14)
    options = {"k": 2, "budgets": [budget], "floor": floor}
    found = [
        l1_a_mtrl(world, target, relevance=min_l1(world.heads, world.target), rng=15, **options),
        a_mtrl(world, target, relevance=min_l2(world.heads, world.target), rng=16, **options),
        passive(world, target, k=2, budget=budget, rng=17),
    ]
    totals, lines = [], []
    for run in found:
        risks = world.representation_risk(run.representation.basis)
        lines.append(float(world.predicted_risk(run.allocations[0, 0])))
        assert leading_order(risks, lines[-1], 4) > FALSE_ALARM / 3
        totals.append(risks.sum())
    assert np.array(lines[1:]) / lines[0] == pytest.approx([2.0, 3.0], rel=0.01)  # exact as the floor goes to 0
    for better, worse in ((0, 1), (1, 2)):
        assert f(4 * runs, 4 * runs).sf(lines[worse] / lines[better]) < FALSE_ALARM
        assert totals[better] < totals[worse]
