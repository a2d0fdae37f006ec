"""The law of `sample` (counts and sums) against `sample_log` (raw rounds) and against its formula."""

import math

import numpy as np
import pytest
from scipy.stats import binom, chi2, chi2_contingency, kstest

from pessimism.bandits import Bandit, BanditData, behavior

FALSE_ALARM = 1e-6
MEANS = [[0.2, 0.7], [0.5, 0.9]]
LAW = np.array([[0.1, 0.3], [0.2, 0.4]])


def homogeneous(first, second):
    """Chi-square test that two samples of outcomes have one law; rare outcomes pooled to an expected 10 or more."""
    outcomes, codes = np.unique(np.concatenate([first, second]), axis=0, return_inverse=True)
    codes = codes.ravel()
    table = np.stack([np.bincount(c, minlength=len(outcomes)) for c in (codes[: len(first)], codes[len(first) :])])
    common = table.sum(axis=0) >= 20
    pooled = np.concatenate([table[:, common], table[:, ~common].sum(axis=1, keepdims=True)], axis=1)
    pooled = pooled[:, pooled.sum(axis=0) > 0]
    return chi2_contingency(pooled).pvalue if pooled.shape[1] > 1 else 1.0


@pytest.mark.parametrize("n", [1, 2, 9, 17, 40, [41]])
def test_counts_and_sums_have_the_joint_law_of_raw_logs(n):
    """False alarm 1e-6 a case; with 20,000 logs each it detects a total variation of 0.03 with probability 0.9.

    Up to 4SA = 16 rounds are drawn one by one, then by tables if there are 25,000 cells, by NumPy otherwise.
    """
    size = 20_000
    bandit = Bandit(MEANS)
    data = bandit.sample(LAW, n=n, size=size, rng=101)
    n = int(np.max(n))
    log = bandit.sample_log(LAW, n=n, size=size, rng=202)
    raw = BanditData.from_log(*log, n_contexts=2, n_arms=2, batch=(size,))
    flat = [np.concatenate([d.counts.reshape(size, 4), d.sums.reshape(size, 4)], axis=1) for d in (data, raw)]
    assert homogeneous(*flat) > FALSE_ALARM


def test_round_by_round_counts_have_the_multinomial_law():
    """False alarm 1e-6; the chi-square of pooled counts detects a cell off by 5 % with probability above 0.99."""
    rng, size = np.random.default_rng(3), 20_000
    law = rng.dirichlet(np.ones(24)).reshape(6, 4)
    law[2, 1] = 0.0
    law /= law.sum()
    data = Bandit(np.full((6, 4), 0.3)).sample(law, n=20, size=size, rng=4)
    pulls, expected = data.counts.sum(axis=0)[law > 0], 20 * size * law[law > 0]
    assert np.sum((pulls - expected) ** 2 / expected) < chi2.isf(FALSE_ALARM, 22)
    hits = data.sums.sum()
    assert binom.ppf(FALSE_ALARM, 20 * size, 0.3) <= hits <= binom.isf(FALSE_ALARM, 20 * size, 0.3)


@pytest.mark.parametrize("n", [10**3, 10**6, 10**12])
def test_large_samples_are_binomial_in_every_cell(n):
    """DKW with n = 4000 at 1e-6 allows 0.043; detects a standard deviation off by 15 %."""
    size = 4000
    bandit = Bandit(MEANS)
    data = bandit.sample(LAW, n=n, size=size, rng=7)
    allowed = math.sqrt(math.log(2 / FALSE_ALARM) / (2 * size))
    for s, a in np.ndindex(2, 2):
        p = LAW[s, a]
        assert kstest(data.counts[:, s, a], binom(n, p).cdf).statistic < allowed + 0.03 * (n == 1000)
        hits = (data.sums[:, s, a] - n * p * MEANS[s][a]) / math.sqrt(n * p * MEANS[s][a] * (1 - p * MEANS[s][a]))
        assert kstest(hits, "norm").statistic < allowed + 0.03 * (n == 1000)  # thinning: Bin(n, p r)


def test_gaussian_sums_and_squares_have_their_joint_law():
    """Mean and scatter given the counts: DKW at 1e-6; detects a scale off by 10 % and n instead of n - 1 freedoms."""
    size = 20_000
    bandit = Bandit([[0.3, -2.0]], rewards="gaussian", scale=[[0.5, 2.0]])
    data = bandit.sample([[0.4, 0.6]], n=12, size=size, rng=8)
    allowed = math.sqrt(math.log(2 / FALSE_ALARM) / (2 * size))
    for a, sigma in enumerate((0.5, 2.0)):
        for k in (4, 6, 8):
            here = data.counts[:, 0, a] == k
            slack = allowed * math.sqrt(size / here.sum())
            z = (data.means[here, 0, a] - bandit.means[0, a]) * math.sqrt(k) / sigma
            scatter = (data.squares - data.sums**2 / np.maximum(data.counts, 1))[here, 0, a] / sigma**2
            assert kstest(z, "norm").statistic < slack
            assert kstest(scatter, chi2(k - 1).cdf).statistic < slack
            assert abs(np.corrcoef(z, scatter)[0, 1]) < 4.9 / math.sqrt(here.sum())


def test_raw_logs_have_the_law_they_were_asked_for():
    """False alarm 1e-6; 40,000 rounds detect a pair off by 8 % of its probability."""
    bandit = Bandit([[0.2, 0.7], [0.25, 0.9]], rewards=[["bernoulli"] * 2, ["deterministic", "gaussian"]], scale=3.0)
    contexts, arms, rewards = bandit.sample_log(LAW, n=40_000, rng=9)
    pulls = np.bincount(2 * contexts + arms, minlength=4)
    assert np.sum((pulls - 40_000 * LAW.ravel()) ** 2 / (40_000 * LAW.ravel())) < chi2.isf(FALSE_ALARM, 3)
    coin = rewards[(contexts == 0) & (arms == 1)]
    assert set(coin) == {0.0, 1.0}
    assert binom.ppf(1e-6, coin.size, 0.7) <= coin.sum() <= binom.isf(1e-6, coin.size, 0.7)
    assert np.all(rewards[(contexts == 1) & (arms == 0)] == 0.25)
    noise = (rewards[(contexts == 1) & (arms == 1)] - 0.9) / 3.0
    assert kstest(noise, "norm").statistic < math.sqrt(math.log(2 / FALSE_ALARM) / (2 * noise.size))


def test_streams_are_reproducible_and_batches_do_not_repeat():
    bandit, law = Bandit(MEANS), behavior.uniform(Bandit(MEANS))
    first, second = (bandit.sample(law, n=50, size=10, rng=5) for _ in range(2))
    assert np.array_equal(first.counts, second.counts)
    assert np.array_equal(first.sums, second.sums)
    assert len(np.unique(first.counts.reshape(10, -1), axis=0)) > 5
    generator = np.random.default_rng(5)
    assert np.array_equal(bandit.sample(law, n=50, size=10, rng=generator).counts, first.counts)
    assert not np.array_equal(bandit.sample(law, n=50, size=10, rng=generator).counts, first.counts)
    sequence = np.random.SeedSequence(5)
    assert np.array_equal(bandit.sample(law, n=50, size=10, rng=sequence).counts, first.counts)
