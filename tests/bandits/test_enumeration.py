"""Pieces of the exact enumeration: the values of an index and their probabilities, tables of them, normal errors."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm

from pessimism._binomial import CUT
from pessimism.bandits._engine import enumeration
from pessimism.bandits._engine.enumeration import tabulate
from pessimism.bandits._engine.rewards import BERNOULLI, DETERMINISTIC, GAUSSIAN
from tests.conftest import with_entry

pytestmark = pytest.mark.kernels

outcomes, overtakes_with_error = map(with_entry, (enumeration.outcomes, enumeration.overtakes_with_error))

INF = math.inf


@given(st.integers(1, 12), st.floats(0, 1), st.floats(-2, 2), st.floats(0.1, 3))
def test_the_index_has_the_law_of_a_binomial_mean_less_its_width(m, p, level, width):
    row = np.empty(m + 2)
    count, base, step = outcomes(BERNOULLI, p, m, level, width, 0.0, CUT, row)
    index, weight = base + step * np.arange(count), row[:count]
    first = round((base + width * math.copysign(math.sqrt(abs(level) / m), level)) * m)
    hits = np.arange(first, first + count)
    assert index == pytest.approx(hits / m - width * np.sign(level) * math.sqrt(abs(level) / m), abs=1e-12)
    assert weight == pytest.approx(binom.pmf(hits, m, p), rel=1e-9, abs=1e-36)
    assert weight.sum() == pytest.approx(1.0, rel=1e-12)


def test_an_index_of_one_value():
    """A fixed reward, the mean of a Gaussian one, no pulls, and counts alone."""
    row = np.empty(3)
    for kind in (GAUSSIAN, DETERMINISTIC):
        assert outcomes(kind, 0.3, 4, 1.0, 2.0, -1.0, CUT, row) == (1, 0.3 - 1.0, 1.0)
    for unseen in (-INF, -1.0, INF):
        assert outcomes(BERNOULLI, 0.3, 0, 1.0, 1.0, unseen, CUT, row)[:2] == (1, unseen)
    assert outcomes(BERNOULLI, 0.3, 4, -INF, 1.0, 0.5, CUT, row)[:2] == (1, -4.0)
    assert outcomes(BERNOULLI, 0.3, 0, -INF, 1.0, 0.5, CUT, row)[:2] == (1, -INF)
    assert row[0] == 1


@pytest.mark.parametrize("law", [(0.5, 0.3, 0.2), (0.2, 0.0, 0.8), (0.0, 0.4, 0.6)])
@pytest.mark.parametrize("n", [0, 1, 9])
def test_the_table_holds_every_number_of_pulls(n, law):
    low, indices, table = tabulate(n, np.array(law), BERNOULLI, 0.7, 0.4, 1.0, -1.0)
    row = np.empty(n + 2)
    assert (low, low + len(table)) == (0, n + 1 if law[1] > 0 else 1)
    for m in range(len(table)):
        count, base, step = outcomes(BERNOULLI, 0.7, m, 0.4, 1.0, -1.0, CUT, row)
        assert indices[m].tolist() == [base, step, count]
        plain = np.cumsum(row[:count][::-1])[::-1]
        assert np.array_equal(table[m, : count + 1], [*plain, 0.0])


@given(st.integers(0, 8), st.integers(0, 8), st.floats(-1, 1), st.floats(0.01, 1))
def test_a_normal_error_is_the_double_sum(m, n, start, spread):
    row, other = (binom.pmf(np.arange(k + 1), k, 0.4) for k in (m, n))
    fast = overtakes_with_error(start, spread, row, m + 1, 0.3, other, n + 1, 0.2)
    ahead = start + 0.3 * np.arange(m + 1)[:, None] - 0.2 * np.arange(n + 1)
    assert fast == pytest.approx(row @ norm.sf(ahead / spread) @ other, rel=1e-12)
