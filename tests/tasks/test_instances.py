"""The worlds have the relevance and the ratios they claim: closed forms against programs and direct formulas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pessimism.tasks import allocate, instances, min_l1, min_l2
from pessimism.tasks.designs import variance
from tests.tasks import fewer

POWERS = st.one_of(st.sampled_from([0.0, 1.0, 2.0]), st.floats(0, 4))
OTHERS = st.floats(1e-3, 10)
few = settings(deadline=None, max_examples=20)  # each example solves linear programs


def relevances(tasks):
    return min_l1(tasks.heads, tasks.target).weights, min_l2(tasks.heads, tasks.target).weights


def ratio(tasks, power):
    """Leading-order risk of buying by powers of nu^2 over that of the L1 rule, from the definition."""
    first, second = relevances(tasks)
    shares = np.abs(second) ** power
    return variance(tasks.heads, tasks.target, shares / shares.sum()) / np.abs(first).sum() ** 2


@few
@given(st.integers(1, 30), st.one_of(st.none(), st.floats(0, 0.99)), POWERS)
def test_spike_and_pairs_claims(pairs, coherence, power):
    tasks = instances.spike_and_pairs(pairs, coherence=coherence, dimension=3, noise=0.5)
    m = 1 + 2 * pairs
    g = 1 / (np.sqrt(m) + 1) if coherence is None else coherence
    assert (tasks.n_tasks, tasks.rank, tasks.dimension, float(tasks.noise)) == (m, 2, 3, 0.5)
    assert (tasks.heads**2).sum(axis=0) == pytest.approx(1.0)
    first, second = relevances(tasks)
    assert first == pytest.approx(np.eye(m)[0], abs=1e-9)
    expected = np.full(m, np.sqrt(g) / (1 + (m - 1) * g))
    expected[0] = 1 / (1 + (m - 1) * g)
    assert second == pytest.approx(expected, abs=1e-12)
    if g == 0 or g > 1e-8:  # between, a coherence is below what the residual of nu^2 resolves
        closed = instances.spike_and_pairs_ratio(pairs, coherence, power=power)
        assert closed == pytest.approx(ratio(tasks, power), rel=1e-7)


@fewer
@given(st.integers(1, 10**6), st.floats(0, 0.999))
def test_the_default_coherence_is_the_worst(pairs, coherence):
    m = 1 + 2 * pairs
    largest = instances.spike_and_pairs_ratio(pairs)
    assert largest == pytest.approx((np.sqrt(m) + 1) / 2, rel=1e-12)
    assert instances.spike_and_pairs_ratio(pairs, coherence) <= largest * (1 + 1e-12)
    assert instances.spike_and_pairs_ratio(pairs, power=0) == pytest.approx(np.sqrt(m), rel=1e-12)
    plain = m / (1 + (m - 1) * coherence)
    assert instances.spike_and_pairs_ratio(pairs, coherence, power=0) == pytest.approx(plain, rel=1e-12)


@few
@given(st.integers(1, 8), OTHERS, POWERS)
def test_identity_claims(k, others, power):
    tasks = instances.identity(k, others=others, dimension=k + 1)
    for weights in relevances(tasks):
        assert weights == pytest.approx(tasks.target, rel=1e-9)
    closed = instances.identity_ratio(k, others, power=power)
    assert closed == pytest.approx(ratio(tasks, power), rel=1e-8)
    assert 1 - 1e-12 <= instances.identity_ratio(k, others) <= k * (1 + 1e-12)
    assert instances.identity_ratio(k, others) == pytest.approx(instances.identity_ratio(k, others, power=0))
    assert instances.identity_ratio(k, others, power=1) == pytest.approx(1.0, rel=1e-12)


@few
@given(st.integers(1, 4), st.integers(1, 12), OTHERS, POWERS)
def test_block_spikes_claims(blocks, size, others, power):
    tasks = instances.block_spikes(blocks, size, others=others, dimension=blocks)
    assert tasks.n_tasks == blocks * size
    assert tasks.heads @ tasks.heads.T == pytest.approx(size * np.eye(blocks), abs=1e-12)
    lengths = np.linalg.norm(tasks.heads, axis=0)
    assert (lengths**2).mean() == pytest.approx(1.0)
    if size > 1:
        assert lengths.max() / lengths.min() == pytest.approx(np.sqrt(np.sqrt(size) + 1))
    first, second = relevances(tasks)
    spikes = np.zeros((blocks, size))
    spikes[:, 0] = tasks.target * size**-0.25
    assert first == pytest.approx(spikes.ravel(), rel=1e-9, abs=1e-12)
    assert second == pytest.approx(tasks.heads.T @ tasks.target / size, rel=1e-9)
    closed = instances.block_spikes_ratio(blocks, size, others, power=power)
    assert closed == pytest.approx(ratio(tasks, power), rel=1e-8)


def test_ratios_are_limits_of_allocations_with_floors():
    tasks = instances.spike_and_pairs(20, dimension=30)
    first, second = relevances(tasks)
    gaps = []
    for budget in (10**6, 10**8, 10**10):
        risks = [
            tasks.predicted_risk(allocate(nu, budget, power=q, floor=600)) for nu, q in ((first, 1.0), (second, 2.0))
        ]
        gaps.append(abs(risks[1] / risks[0] - instances.spike_and_pairs_ratio(20)))
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-4
    assert gaps[0] < 0.1


def test_random_gaussian_is_random_and_reproducible():
    one, same, other = (instances.random_gaussian(3, 20, dimension=6, noise=0.1, rng=seed) for seed in (0, 0, 1))
    for name in ("representation", "heads", "target"):
        assert np.array_equal(getattr(one, name), getattr(same, name))
        assert not np.array_equal(getattr(one, name), getattr(other, name))
    assert (one.heads**2).sum(axis=0) == pytest.approx(1.0)
    assert one.representation.T @ one.representation == pytest.approx(np.eye(3), abs=1e-12)


def test_random_worlds_hardly_tell_the_rules_apart():
    """At these seeds, loosely: the median ratio is above 1 and far from M."""
    ratios = [ratio(instances.random_gaussian(3, 20, dimension=3, rng=seed), 2.0) for seed in range(30)]
    assert 1.2 < np.median(ratios) < 1.8


def test_uniform_directions():
    """Means of 3 coordinates and of their squares over uniform directions; false alarm level 1e-6 by Hoeffding.

    Detects a representation, head or target whose mean coordinates are off by 0.6, or their squares by 0.3.
    """
    n = 400
    worlds = [instances.random_gaussian(1, 1, dimension=3, rng=seed) for seed in range(n)]
    axes = np.array([w.representation[:, 0] for w in worlds])
    planes = [instances.random_gaussian(3, 3, dimension=3, rng=seed) for seed in range(n)]
    width = np.sqrt(np.log(2 * 18 / 1e-6) / (2 * n))
    for vectors in (axes, np.array([w.heads[:, 0] for w in planes]), np.array([w.target for w in planes])):
        assert np.abs(vectors.mean(axis=0)).max() <= 2 * width
        assert np.abs((vectors**2).mean(axis=0) - 1 / 3).max() <= width
