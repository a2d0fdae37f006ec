"""Bandit: exact values against plain loops, coverage, batches, sampling, bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pessimism.bandits import Bandit, BanditData
from pessimism.bandits._engine.drawing import draw_rounds
from tests.bandits import FEW

RNG = 8723645


def random_law(rng, *shape):
    law = rng.dirichlet(np.ones(math.prod(shape))).reshape(shape)
    return law / law.sum()


@FEW
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32))
def test_values_equal_plain_loops(contexts, arms, seed):
    rng = np.random.default_rng(seed)
    means, rho = rng.random((contexts, arms)), random_law(rng, contexts)
    policy, mixed = rng.integers(0, arms, contexts), rng.dirichlet(np.ones(arms), contexts)
    bandit = Bandit(means, rho)
    best = sum(rho[s] * max(means[s]) for s in range(contexts))
    value = sum(rho[s] * means[s, policy[s]] for s in range(contexts))
    stochastic = sum(rho[s] * mixed[s, a] * means[s, a] for s in range(contexts) for a in range(arms))
    assert bandit.value(policy) == pytest.approx(value, rel=1e-12)
    assert bandit.suboptimality(policy) == pytest.approx(best - value, abs=1e-12)
    assert bandit.value(mixed) == pytest.approx(stochastic, rel=1e-12)
    assert bandit.suboptimality(mixed) == pytest.approx(best - stochastic, abs=1e-12)
    assert bandit.value(bandit.best_policy) == pytest.approx(best, rel=1e-12)
    assert bandit.suboptimality(bandit.best_policy) == 0.0


def test_small_losses_are_not_differences_of_large_values():
    bandit = Bandit([[1.0, 1.0 - 2**-50]])
    assert bandit.suboptimality([1]) == 2**-50


@FEW
@given(st.integers(0, 2**32))
def test_coverage_equals_its_definition(seed):
    rng = np.random.default_rng(seed)
    means, rho, mu = rng.random((3, 2)), random_law(rng, 3), random_law(rng, 3, 2)
    mu[0, 0] = 0.0
    mu /= mu.sum()
    bandit = Bandit(means, rho)
    for policy in ([0, 0, 1], [1, 1, 1]):
        ratios = [math.inf if mu[s, a] == 0 else rho[s] / mu[s, a] for s, a in enumerate(policy)]
        assert bandit.coverage(mu, policy) == pytest.approx(max(ratios), rel=1e-12)
    assert bandit.coverage(mu) == bandit.coverage(mu, bandit.best_policy)


def test_coverage_at_its_corners():
    bandit = Bandit([[0.6, 0.5], [0.3, 0.9]], contexts=[1.0, 0.0])
    assert bandit.coverage([[1.0, 0.0], [0.0, 0.0]]) == 1.0  # 0/0 = 0 in the context that never comes
    assert bandit.coverage([[0.0, 1.0], [0.0, 0.0]]) == math.inf
    assert Bandit([[0.6, 0.5]]).coverage([[1e-310, 1 - 1e-310]]) == math.inf  # 1e310: more than float64 can hold
    tied = Bandit([[0.5, 0.5]])
    assert tied.coverage([[0.25, 0.75]]) == 4.0  # the lowest index is the policy unless one is passed
    assert tied.coverage([[0.25, 0.75]], [1]) == pytest.approx(4 / 3)
    assert tied.coverage([[0.25, 0.75]], [[0.25, 0.75]]) == 1.0


def test_batches_broadcast():
    rng = np.random.default_rng(RNG)
    means, rho = rng.random((4, 1, 2, 3)), np.stack([random_law(rng, 2) for _ in range(5)])
    bandit = Bandit(means, rho)
    policy = rng.integers(0, 3, (6, 4, 5, 2))
    assert bandit.shape == (4, 5)
    values, laws = bandit.value(policy), np.stack([random_law(rng, 2, 3) for _ in range(5)])
    for k, i, j in np.ndindex(6, 4, 5):
        assert values[k, i, j] == Bandit(means[i, 0], rho[j]).value(policy[k, i, j])
    coverage = bandit.coverage(laws)
    for i, j in np.ndindex(4, 5):
        assert coverage[i, j] == Bandit(means[i, 0], rho[j]).coverage(laws[j])


def test_size_stands_before_the_batch():
    bandit = Bandit(np.full((4, 1, 2, 3), 0.5))
    laws = np.broadcast_to(np.full((2, 3), 1 / 6), (5, 2, 3))
    data = bandit.sample(laws, n=[10, 20, 30, 40, 50], size=(7,), rng=RNG)
    assert data.counts.shape == (7, 4, 5, 2, 3)
    assert np.array_equal(data.n, np.broadcast_to([10, 20, 30, 40, 50], (7, 4, 5)))
    contexts, arms, rewards = bandit.sample_log(laws, n=9, size=2, rng=RNG)
    assert contexts.shape == arms.shape == rewards.shape == (2, 4, 5, 9)
    assert Bandit([[0.5, 0.2]]).sample([[0.5, 0.5]], n=3, rng=RNG).shape == ()


@pytest.mark.parametrize("n", [0, 1, 7, 1000, 10**12, 2**53])
def test_every_round_is_counted_and_impossible_pairs_never_are(n):
    """A pair of probability 0 is never pulled, not even once in 1e15 rounds; nothing is left over for it either."""
    law = np.array([[0.1, 0.0], [0.2, 0.3], [0.4, 0.0]])
    data = Bandit(np.full((3, 2), 0.5)).sample(law, n=n, size=200, rng=RNG)
    assert np.all(data.n == n)
    assert np.all(data.counts[:, law == 0] == 0)
    assert np.all((data.sums >= 0) & (data.sums <= data.counts))


def test_a_rare_pair_behind_a_common_one_keeps_its_probability():
    """False alarm 1e-6 (Poisson, mean 200); detects a mean off by 40 %, as a difference from one would give."""
    law = np.array([[1 - 2e-15, 1e-15, 1e-15]])
    law[0, 0] = 1 - law[0, 1:].sum()
    data = Bandit([[0.5, 0.5, 0.5]]).sample(law, n=10**12, size=200_000, rng=RNG)
    assert 134 < data.counts[:, 0, 1].sum() < 275
    assert 134 < data.counts[:, 0, 2].sum() < 275


def test_deterministic_rewards_are_exact_and_gaussian_ones_have_squares():
    bandit = Bandit([[0.25, 3.0]], rewards=[["deterministic", "gaussian"]], scale=2.0)
    data = bandit.sample([[0.5, 0.5]], n=1000, size=50, rng=RNG)
    assert np.array_equal(data.sums[..., 0], 0.25 * data.counts[..., 0])
    assert np.array_equal(data.squares[..., 0], 0.0625 * data.counts[..., 0])
    checked = BanditData(data.counts, data.sums, data.squares, data.reward_range)  # passes its own checks
    assert checked.reward_range == (-math.inf, math.inf)


def test_input_arrays_stay_the_callers():
    means = np.array([[0.6, 0.5]])
    bandit = Bandit(means)
    means[0, 0] = 0.1
    assert bandit.means[0, 0] == 0.6
    with pytest.raises(ValueError, match="read-only"):
        bandit.means[0, 0] = 0.2
    with pytest.raises(AttributeError):
        bandit.means = means


@pytest.mark.parametrize(
    "means",
    [
        np.asfortranarray([[0.6, 0.5], [0.1, 0.2]]),
        np.array([[0.6, 9, 0.5], [0.1, 9, 0.2]])[:, ::2],
        np.array([[0.6, 0.5], [0.1, 0.2]], dtype=">f8"),
        [[0.6, 0.5], [0.1, 0.2]],
    ],
)
def test_any_layout_gives_the_same_numbers(means):
    plain = Bandit(np.array([[0.6, 0.5], [0.1, 0.2]]))
    law = np.full((2, 2), 0.25)
    law.setflags(write=False)
    odd = Bandit(means).sample(law, n=3, size=5, rng=RNG)
    assert np.array_equal(odd.sums, plain.sample(law, n=3, size=5, rng=RNG).sums)


@pytest.mark.compiled_only
def test_layouts_do_not_multiply_compiled_versions():
    for means in (np.asfortranarray(np.eye(4)), np.eye(4)[::-1], np.eye(4, dtype=np.float32)):
        Bandit(means).sample(np.full((4, 4), 1 / 16), n=2, size=10_000, rng=RNG)
    assert len(draw_rounds.signatures) == 1


def test_the_largest_rewards_still_have_squares():
    huge = Bandit([[1e60, -1e60]], rewards="gaussian", scale=1e60).sample([[0.5, 0.5]], n=2**52, rng=RNG)
    assert huge.merge(huge).n == 2**53  # through the checks of data from outside


HALF = [[0.5, 0.5]]
PAIR, MODELS = Bandit(HALF), Bandit(np.full((3, 2, 2), 0.5))
BAD = [
    (lambda: Bandit([0.5, 0.5]), ValueError, r"means must have shape \(..., contexts, arms\), got \(2,\)"),
    (lambda: Bandit([[0.5, math.nan]]), ValueError, r"means\[0, 1\] must be finite, got nan"),
    (lambda: Bandit([[0.5, math.inf]]), ValueError, r"means\[0, 1\] must be finite, got inf"),
    (lambda: Bandit([[0.5, 1.5]]), ValueError, r"means\[0, 1\] must be in \[0, 1\] unless Gaussian, got 1.5"),
    (lambda: Bandit([[0.5, -1.5]], rewards="deterministic"), ValueError, r"means\[0, 1\] must be in \[0, 1\]"),
    (lambda: Bandit([["a", "b"]]), TypeError, "means must hold numbers"),
    (lambda: Bandit(np.array([[0.5, None]])), TypeError, "means must hold numbers, got dtype object"),
    (lambda: Bandit([[0.5], [0.5, 0.6]]), ValueError, "means must be a rectangular array"),
    (lambda: Bandit(np.ma.array([[0.5, 0.5]], mask=[[0, 1]])), TypeError, "means must not be masked"),
    (lambda: Bandit(np.empty((0, 2))), ValueError, "at least one context and one arm"),
    (lambda: Bandit([[1j, 0.5]]), TypeError, "means must hold numbers"),
    (lambda: Bandit(HALF, contexts=[0.5]), ValueError, r"contexts must sum to 1 within 1e-12, got 0.5"),
    (lambda: Bandit(HALF, contexts=[0.5, 0.5]), ValueError, "contexts must have 1 entries"),
    (lambda: Bandit([[0.5]] * 2, contexts=[1.5, -0.5]), ValueError, r"contexts\[1\] must be in \[0, inf\]"),
    (lambda: Bandit([[0.5]] * 3, contexts=np.float32([1 / 3] * 3)), ValueError, "contexts must sum to 1"),
    (lambda: Bandit(HALF, rewards="poisson"), ValueError, "rewards must be one of 'bernoulli'"),
    (lambda: Bandit(HALF, rewards=[["bernoulli", "x"]]), ValueError, r"rewards\[0, 1\] must be one of"),
    (lambda: Bandit(HALF, rewards=3), TypeError, "rewards must be one of"),
    (lambda: Bandit(HALF, rewards=[["bernoulli"] * 3]), ValueError, "rewards"),
    (lambda: Bandit(HALF, scale=0.0), ValueError, r"scale must be in \[1e-60, 1e\+60\], got 0.0"),
    (lambda: Bandit(HALF, rewards="gaussian", scale=1e-200), ValueError, "scale must be in"),
    (lambda: Bandit([[1e150, 0.5]], rewards="gaussian"), ValueError, r"means\[0, 0\] must be in \[-1e\+60, 1e\+60\]"),
    (lambda: Bandit([[10**400, 0]], rewards="gaussian"), ValueError, "means must hold numbers that float64 can hold"),
    (lambda: Bandit(HALF, scale=[1.0, 2.0, 3.0]), ValueError, "means and scale must have shapes"),
    (lambda: PAIR.value([2]), ValueError, r"policy\[0\] must be a whole number in \[0, 1\], got 2"),
    (lambda: PAIR.value([0, 1]), ValueError, "policy must hold one arm for each of 1 contexts"),
    (lambda: PAIR.value([[0.7, 0.7]]), ValueError, r"policy\[0\] must sum to 1"),
    (lambda: PAIR.value([0.5, 0.5]), ValueError, "policy must have shape"),
    (lambda: PAIR.value([0.0]), ValueError, r"policy must have shape .*, got float64 of shape \(1,\)"),
    (lambda: PAIR.value([True]), ValueError, r"policy must have shape .*, got bool of shape \(1,\)"),
    (lambda: PAIR.value([[0], [0, 0]]), ValueError, "policy must be a rectangular array"),
    (lambda: MODELS.value(np.full((2, 2, 2), 0.5)), ValueError, "policy and model must have shapes that broadcast"),
    (lambda: MODELS.value([[0, 0]] * 2), ValueError, "policy and model must have shapes that broadcast"),
    (
        lambda: Bandit(np.full((2, 2), 0.5), contexts=[[0.5, 0.5]] * 3).occupancy([[0, 1]] * 2),
        ValueError,
        "policy and contexts must have shapes that broadcast",
    ),
    (lambda: PAIR.sample(HALF, n=-1), ValueError, r"n must be a whole number in \[0, 2\*\*53\]"),
    (lambda: PAIR.sample(HALF, n=2.5), ValueError, "n must be a whole number"),
    (lambda: PAIR.sample(HALF, n=2**54), ValueError, "n must be a whole number"),
    (lambda: PAIR.sample(HALF, n=10**30), ValueError, r"n must be a whole number in \[0, 2\*\*53\], got 1e\+30"),
    (lambda: PAIR.sample(HALF, n=math.nan), ValueError, "n must be a whole number"),
    (lambda: PAIR.sample(HALF, n=5, size=-1), ValueError, "size must be"),
    (lambda: PAIR.sample([[0.5, 0.5 + 1e-9]], n=5), ValueError, "behavior must sum to 1"),
    (lambda: PAIR.sample([[0.5, 0.25, 0.25]], n=5), ValueError, "behavior must end in shape"),
    (lambda: PAIR.coverage([[1.5, -0.5]]), ValueError, r"behavior\[0, 1\] must be in"),
    (lambda: PAIR.sample_log(HALF, n=-1), ValueError, "n must be a whole number"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_input_is_one_error_that_names_it(call, error, message):
    with pytest.raises(error, match=message):
        call()
