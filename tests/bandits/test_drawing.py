"""The loops that draw logs against plain twins, and their tables of binomial distribution functions against SciPy."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import binom

from pessimism import _draw
from pessimism.bandits import Bandit
from pessimism.bandits._engine import sampling
from pessimism.bandits._engine.drawing import binomial_cdfs, draw_binomials, draw_cells

pytestmark = pytest.mark.kernels

CHANCES = st.floats(1e-300, 1 - 2**-53)


def plain_cdfs(low, high, p):
    """The table by its definition: Bernstein's window, ratios outwards from the mode, Pascal's rule."""
    margin = [13 + math.sqrt(161 + 76 * n * p * (1 - p)) for n in (low, high)]
    first, last = max(0, int(low * p - margin[0])), min(high, 1 + int(high * p + margin[1]))
    end, odds = min(low, 1 + int(low * p + margin[0])), p / (1 - p)
    mode = min(max(int((low + 1) * p), first), end)
    weights = {mode: 1.0}
    for k in range(mode, end):
        weights[k + 1] = weights[k] * ((low - k) / (k + 1) * odds)
    for k in range(mode, first, -1):
        weights[k - 1] = weights[k] * (k / ((low - k + 1) * odds))
    row = np.cumsum([weights[k] for k in range(first, end + 1)])
    rows = [np.append(row / row[-1], np.ones(last - end))]
    for _ in range(low, high):
        rows.append(rows[-1] - p * np.diff(rows[-1], prepend=0.0))
    return first, np.array(rows)


def plain_binomials(n, p, rng):
    if p in (0, 1):
        return n * int(p)
    first, rows = plain_cdfs(n.min(), n.max(), p)
    return first + np.array(
        [min(np.searchsorted(rows[m - n.min()], rng.random(), side="right"), rows.shape[1] - 1) for m in n]
    )


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40).filter(any), st.integers(0, 2**32))
def test_rounds_equal_plain_numpy_bit_for_bit(weights, seed):
    """Compiled and not; also where the law is in multiples of 1/k, which puts the cdf exactly on the guide's edges."""
    law = np.array([weights]) / sum(weights)
    means = np.linspace(0, 1, law.size)[None]
    cdf = _draw.cdf(np.stack([law * (1 - means), law * means]))
    outcomes = np.searchsorted(cdf, np.random.default_rng(seed).random((20, 30)), side="right")
    plain = np.array([np.bincount(row, minlength=cdf.size) for row in outcomes]).reshape(20, 2, 1, law.size)
    for compiled_from in (0, math.inf):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sampling, "COMPILED_FROM", compiled_from)
            counts, sums, _ = sampling._by_rounds(law, means, 30, (20,), np.random.default_rng(seed))
        assert np.array_equal(counts, plain.sum(axis=1))
        assert np.array_equal(sums, plain[:, 1])


@pytest.mark.parametrize(("n", "replicates"), [(0, 3), (3, 0), (0, 0)])
def test_no_rounds_are_no_counts(monkeypatch, n, replicates):
    monkeypatch.setattr(sampling, "COMPILED_FROM", 0)
    data = Bandit([[0.5]]).sample([[1.0]], n=n, size=replicates, rng=0)
    assert data.counts.tolist() == [[[n]]] * replicates


@given(st.integers(0, 3000), st.integers(0, 20), CHANCES)
@example(0, 0, 0.5)
@example(1, 20, 1 - 2**-53)
@example(3000, 20, 1e-300)
@example(2000, 700, 0.3)
def test_tables_are_distribution_functions(low, more, p):
    """Bit for bit the plain twin; within 1e-13 of SciPy, whose own error that is; nothing is drawn beyond n."""
    first, rows = binomial_cdfs(low, low + more, p)
    start, plain = plain_cdfs(low, low + more, p)
    assert first == start
    assert np.array_equal(rows, plain)
    n, k = np.arange(low, low + more + 1)[:, None], np.arange(first, first + rows.shape[1])
    assert np.abs(rows - binom.cdf(k, n, p)).max() < 1e-13
    assert np.all(rows[k >= n] == 1)
    assert np.all(binom.cdf(first - 1, n, p) < 2**-53)
    assert np.all(rows[:, -1] >= 1 - (more + 2) * 2**-53)  # one rounding a row


@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=30),
    st.one_of(CHANCES, st.sampled_from([0.0, 1.0])),
    st.integers(0, 99),
)
def test_draw_binomials_equals_plain_numpy_bit_for_bit(n, p, seed):
    n = np.array(n)
    drawn = np.empty_like(n)
    draw_binomials(n, p, drawn, np.random.default_rng(seed))
    assert np.array_equal(drawn, plain_binomials(n, p, np.random.default_rng(seed)))
    assert np.all((drawn >= 0) & (drawn <= n))


@pytest.mark.parametrize("likeliest", [0, 1, 3])
def test_large_batches_of_some_rounds_are_drawn_by_tables(likeliest):
    """Cell after cell, the likeliest last: the counts of all data sets, then their rewards; no round is left over."""
    law, means = np.array([0.3, 0.0, 0.2, 0.1]), np.array([0.2, 0.5, 1.0, 0.6])
    law[likeliest] += 1 - law.sum()
    data = Bandit(means.reshape(2, 2)).sample(law.reshape(2, 2), n=40, size=(125, 50), rng=5)
    order = list(range(4))
    order[likeliest], order[3] = 3, likeliest
    rng, left = np.random.default_rng(5), np.full(6250, 40)
    for j, k in enumerate(order):
        counts = plain_binomials(left, law[k] / law[order[j:]].sum(), rng)
        assert np.array_equal(data.counts.reshape(6250, 4)[:, k], counts)
        assert np.array_equal(data.sums.reshape(6250, 4)[:, k], plain_binomials(counts, means[k], rng))
        left = left - counts
    assert np.all(left == 0)
    assert np.array_equal(data.squares, data.sums)
    assert data.counts.flags.c_contiguous
    assert data.sums.flags.c_contiguous


@pytest.mark.parametrize("replicates", [0, 7])
def test_draw_cells_equals_plain_numpy_cell_by_cell(replicates):
    chances, means = np.array([0.3, 0.0, 0.6, 1.0]), np.array([0.5, 0.2, 0.9, 1.0])
    counts, hits = np.full((4, replicates), -1), np.full((4, replicates), -1)
    draw_cells(chances, means, 40, counts, hits, np.random.default_rng(0))
    rng, left = np.random.default_rng(0), np.full(replicates, 40)
    for k in range(4):
        assert np.array_equal(counts[k], plain_binomials(left, chances[k], rng) if replicates else left)
        assert np.array_equal(hits[k], plain_binomials(counts[k], means[k], rng) if replicates else left)
        left = left - counts[k]
    assert not left.any()
