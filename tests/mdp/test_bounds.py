"""Bounds: never violated by exact losses, and close where the proof says so.

A test marked with the name of a statement fails when it is moved by one per cent (conftest.py).
"""

import math
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pessimism.mdp import bounds, exact, generators, instances, vi_lcb
from pessimism.mdp.instances import lower_bounds
from tests.mdp.reference import half

checks = pytest.mark.checks


def kl(p, q):
    return sum(x * math.log(x / y) for x, y in ((p, q), (1 - p, 1 - q)) if x > 0)


def test_importing_loads_only_numpy():
    heavy = ("scipy", "numba", "cvxpy", "matplotlib", "hypothesis")
    names = "bounds, exact, instances, generators"
    code = f"from pessimism.mdp import {names}; import sys; print(*[m for m in {heavy!r} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == []


# Lower bounds


def test_constants_are_those_of_two_points():
    assert pytest.approx(math.exp(-0.5) * math.sqrt(3 / 32) / 20, rel=0.01) == bounds.TWO_POINT
    assert math.exp(-0.5) * math.sqrt(3 / 32) / 20 >= bounds.TWO_POINT
    assert pytest.approx(math.exp(-0.5) / (24 * math.sqrt(3)), rel=0.01) == bounds.AMBIGUOUS
    assert math.exp(-0.5) / (24 * math.sqrt(3)) >= bounds.AMBIGUOUS


@given(st.floats(0.75, 0.999), st.floats(1e-4, 1), st.floats(2, 50), st.integers(1, 5))
def test_steps_of_the_two_point_proof(discount, share, cstar, replicas):
    """Divergence at most 1/2 and loss at least what the proof says, for the gap it takes, at any N it allows."""
    p, lam = half(discount), discount / (1 - discount)
    n = 3 * lam * replicas * cstar / 8 / share
    gap = math.sqrt(3 * replicas * cstar / (32 * lam * n)) * (1 - 1e-12)
    assert gap <= (1 - p) / 2 + 1e-12
    _, law = lower_bounds.two_point_replicas(cstar, replicas, gap, discount=discount, best=[0] * replicas)
    assert n * law[0, 0] * kl(p + gap, p - gap) <= 0.5 + 1e-9
    lost = 1 / (1 - discount * p) - 1 / (1 - discount * (p - gap))
    assert lost >= discount * gap / (5 * (1 - discount) ** 2) * (1 - 1e-9)
    claimed = bounds.TWO_POINT * math.sqrt(discount * replicas * cstar / ((1 - discount) ** 3 * n))
    assert claimed <= lost / 4 * math.exp(-0.5)
    if cstar > 2 and replicas > 1:
        assert bounds.minimax_lower(n * (1 + 1e-9), cstar, replicas + 1, discount) >= claimed * (1 - 1e-8)


@given(st.floats(0.75, 0.999), st.floats(1e-4, 1), st.floats(1.01, 2), st.integers(1, 5))
def test_steps_of_the_ambiguous_proof(discount, share, cstar, replicas):
    p, lam = half(discount), discount / (1 - discount)
    n = lam * replicas * cstar / (3 * (cstar - 1)) / share
    gap = math.sqrt(replicas * cstar / (3 * lam * n * (cstar - 1))) * (1 - 1e-12)
    assert gap <= (1 - p) * (1 + 1e-12)
    _, law = lower_bounds.ambiguous_replicas(cstar, replicas, gap, discount=discount, best=[0] * replicas)
    assert n * law[1, 0] * (kl(p, p - gap) + kl(p - gap, p)) <= 0.5 + 1e-9
    lost = 1 / (1 - discount * p) - 1 / (1 - discount * (p - gap))
    assert lost >= discount * gap / (6 * (1 - discount) ** 2) * (1 - 1e-9)
    claimed = bounds.AMBIGUOUS * math.sqrt(discount * replicas * cstar * (cstar - 1) / ((1 - discount) ** 3 * n))
    assert claimed <= (cstar - 1) * lost / 4 * math.exp(-0.5)
    assert bounds.minimax_lower(n * (1 + 1e-9), cstar, replicas + 2, discount) >= claimed * (1 - 1e-8)


def two_points(cstar, n, lam):
    """The family of the proof at the gap it takes, with two replicas, and the part of the bound it proves."""
    family = lower_bounds.two_point_replicas(cstar, 2, math.sqrt(6 * cstar / (32 * lam * n)), discount=0.75)
    return family, bounds.TWO_POINT * math.sqrt(2 * cstar * lam / n) * 4


def ambiguous(cstar, n, lam):
    gap = min(math.sqrt(2 * cstar / (3 * lam * n * (cstar - 1))), half(0.75))
    family = lower_bounds.ambiguous_replicas(cstar, 2, gap, discount=0.75)
    return family, bounds.AMBIGUOUS * math.sqrt(2 * cstar * (cstar - 1) * lam / n) * 4


@pytest.mark.parametrize(
    ("part", "cstar", "n"),
    [
        *((two_points, cstar, n) for cstar, n in ((2.0, 40), (4.0, 100), (8.0, 150))),
        *((ambiguous, cstar, n) for cstar, n in ((1.2, 60), (1.5, 60), (2.0, 100))),
    ],
)
def test_minimax_lower_holds_for_the_rules_and_says_how_loose_it_is(part, cstar, n):
    """Averaged over the better actions, which is less than the worst; plug-in, VI-LCB at several levels, imitation."""
    (mdp, law), bound = part(cstar, n, 3.0)
    losses = [exact.stay_exit_loss(mdp, law, n, level=level).mean() for level in (0.0, 0.02, 0.1, 1.0, math.inf)]
    assert 2.8 * bound < min(losses) < 3.6 * bound
    assert bounds.minimax_lower(n, cstar, mdp.n_states, 0.75) >= bound * (1 - 1e-12)


@checks("mdp.minimax_lower")
@pytest.mark.parametrize(
    ("part", "cstar", "n", "ratio"),
    [(two_points, 4.0, 200, 3.3419), (two_points, 20.0, 600, 3.2802), (ambiguous, 2.0, 600, 3.1977)],
)
def test_minimax_lower_is_a_third_of_what_plug_in_loses(part, cstar, n, ratio):
    """On the families of its first two parts, at N where these speak."""
    (mdp, law), _ = part(cstar, n, 3.0)
    loss = exact.stay_exit_loss(mdp, law, n, level=0.0).mean()
    assert loss == pytest.approx(ratio * bounds.minimax_lower(n, cstar, mdp.n_states, 0.75), rel=2e-3)


def test_minimax_lower_says_which_part_speaks():
    h = 10.0
    value = partial(bounds.minimax_lower, discount=0.9)
    assert value(10**6, 4.0, 11) == pytest.approx(0.0092 * math.sqrt(0.9 * 10 * 4 * h**3 / 10**6))
    assert value(10**6, 1.5, 12) == pytest.approx(0.0145 * math.sqrt(0.9 * 10 * 1.5 * 0.5 * h**3 / 10**6))
    assert value(10**6, 1.0, 12) == pytest.approx(0.9 * 10 * h**2 / (2 * math.e * (10**6 + 1)))
    assert value(10**6, 1.0, 12) <= bounds.missing_mass_loss(10**6, 10, 0.9)
    assert math.isnan(value(50, 1.0, 12))  # fewer transitions than replicas/(1 - discount)
    assert math.isnan(bounds.missing_mass_loss(50, 10, 0.9))
    below = bounds.minimax_lower(10**6, 4.0, 12, 0.7)  # only the missing mass is stated for a short horizon
    assert below == pytest.approx(0.7 * 10 / 0.09 / (2 * math.e * (10**6 + 1)))


@given(st.floats(0.76, 0.99), st.floats(1, 20), st.integers(3, 30), st.integers(4, 9))
def test_derived_lower_bound_lies_below_the_recalled_rate(discount, cstar, states, power):
    """Same shape; for C* near 2 the derived second part has another constant, so only an order is compared."""
    lower, rate = (f(10**power, cstar, states, discount) for f in (bounds.minimax_lower, bounds.minimax_lower_rate))
    assert not lower > rate


# Upper bounds


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "instance",
    [
        instances.stay_exit(3.0, 2, 0.02, discount=0.6),
        lower_bounds.ambiguous_replicas(1.5, 2, 0.02, discount=0.6, best=[0, 1]),
    ],
)
def test_vi_lcb_upper_holds_for_the_rule_and_its_value_is_a_lower_bound(instance, seed):
    """At N = 1e9 the bound speaks. False alarm: the widths fail with probability 1/N."""
    n, (mdp, law) = 10**9, instance
    bound = bounds.vi_lcb_upper(n, 3.0, mdp.n_states, 2, 0.6)
    assert bound < 0.1 / (1 - 0.6)
    found = vi_lcb(mdp.sample(law, n=n, rng=seed), discount=0.6, split=True, rng=seed)
    assert mdp.suboptimality(found.policy) <= bound
    assert np.all(found.value <= mdp.evaluate(found.policy))
    assert found.value[0] > 0


@checks("mdp.vi_lcb_upper")
def test_vi_lcb_upper_by_hand_and_capped():
    folds = math.ceil(math.log(10**8) * 5) + 1
    level = 0.5 * math.log(2 * folds * 4 * 3 * 10**8)
    wide = 2 * 25 * math.sqrt(2 * level * 4 * 2.0 * folds / (10**8 + 1)) + 2 * 5 / 10**8
    assert bounds.vi_lcb_upper(10**8, 2.0, 4, 3, 0.8) == pytest.approx(wide, rel=1e-9)
    assert bounds.vi_lcb_upper([1, 10, 1000], 2.0, 4, 3, 0.8) == pytest.approx([5.0] * 3)
    # (1 - discount)^(-5/2), but for logarithms
    values = bounds.vi_lcb_upper(10**15, 2.0, 4, 3, np.array([0.9, 0.99]))
    assert math.log10(values[1] / values[0]) == pytest.approx(2.5, abs=0.05)


def test_steps_of_the_upper_bound():
    """E (X v 1)^(-1/2) <= sqrt(2/((m + 1) q)) for binomial X: with m = N and q = mu/(T + 1), visits of a fold."""
    from scipy.stats import binom

    for m in (1, 5, 40):
        for q in (1e-4, 0.1, 0.5, 1.0):
            k = np.arange(m + 1)
            mean = (binom.pmf(k, m, q) / np.sqrt(np.maximum(k, 1))).sum()
            assert mean <= math.sqrt(2 / ((m + 1) * q)) + 1e-12


@checks("mdp.vi_lcb_rate")
@checks("mdp.nearly_expert_rate")
@checks("mdp.minimax_lower_rate")
def test_rates_have_the_powers_they_claim():
    n, far = 10**12, 10**14
    assert bounds.vi_lcb_rate(n, 3.0, 7, 0.9) == pytest.approx(math.sqrt(21 * 10**5 / n))
    assert bounds.vi_lcb_rate(n, 3.0, 7, 0.9) == pytest.approx(10 * bounds.vi_lcb_rate(far, 3.0, 7, 0.9))
    assert bounds.vi_lcb_rate(1, 3.0, 7, 0.9) == pytest.approx(10.0)
    assert bounds.nearly_expert_rate(10**6, 7, 0.9) == pytest.approx(7 * 10**4 / 10**6)
    assert bounds.minimax_lower_rate(10**6, 2.0, 7, 0.9) == pytest.approx(700 / 10**6 + math.sqrt(7000 / 10**6))
    assert bounds.minimax_lower_rate(1, 2.0, 7, 0.9) == pytest.approx(10.0)


@checks("mdp.discounted_rate")
@checks("mdp.horizon_exponent")
def test_exponents_agree_with_the_sample_rates():
    """Loss at a given N grows with half the power of the samples needed for a given loss."""
    for name, widths, split in (("vi_lcb_split", "hoeffding", True), ("vi_lcb_bernstein", "bernstein", False)):
        needed = bounds.discounted_rate(name, 0.1, 2.0, 5, np.array([0.9, 0.99]))
        assert math.log10(needed[1] / needed[0]) / 2 == pytest.approx(bounds.horizon_exponent(widths, split=split))
    assert bounds.horizon_exponent("hoeffding", split=False) == bounds.horizon_exponent("bernstein", split=True) == 2.0
    minimax = bounds.discounted_rate("minimax", 0.1, 2.0, 5, 0.9)
    assert minimax == pytest.approx(10 * 1000 / 0.01)
    assert bounds.discounted_rate("lcb_q", 0.1, 2.0, 5, 0.9) == pytest.approx(100 * minimax)
    assert bounds.discounted_rate("vr_q_lcb", 0.1, 2.0, 5, 0.9) == pytest.approx(minimax + 10 * 10**4 / 0.1)
    assert bounds.vi_lcb_rate(bounds.discounted_rate("vi_lcb_split", 0.1, 2.0, 5, 0.9), 2.0, 5, 0.9) == pytest.approx(
        0.1
    )


@checks("mdp.episodic_rate")
def test_episodic_rates():
    rate = partial(bounds.episodic_rate, epsilon=0.1, cstar=2.0, states=5, horizon=10)
    assert rate("minimax") == rate("vi_lcb_subsampled") == pytest.approx(10 * 10**4 / 0.01)
    assert rate("vi_lcb_split") == rate("lcb_q") == pytest.approx(10 * 10**6 / 0.01)
    assert rate("lcb_q_advantage") == pytest.approx(10 * (10**4 / 0.01 + 10**5 / 0.1))
    assert rate("pevi_adv") == pytest.approx(10 * (10**4 / 0.01 + 10**6.5 / 0.1))


@checks("mdp.bernstein_samples")
@checks("mdp.subsampled_episodes")
@checks("mdp.samples_needed")
def test_published_sample_sizes():
    assert bounds.bernstein_samples(0.1, 2.0, 10, 0.9) == pytest.approx(21_000 * 144 * 20 * 1000 / 0.01)
    assert bounds.bernstein_samples(0.1, 2.0, 10, 0.9, log_factor=3.0, bernstein_constant=200) == pytest.approx(
        21_000 * 200 * 20 * 3 * 1000 / 0.01
    )
    assert np.isnan(bounds.bernstein_samples([0.1, 11.0], 2.0, 10, [0.4, 0.9])).all()
    assert np.isfinite(bounds.bernstein_samples(10.0, 0.1, 10, 0.9))  # no burn-in, and C* below 1 when clipped
    assert bounds.subsampled_episodes(0.5, 2.0, 10, 20) == pytest.approx(12_800 * 16 * 20 * 8000 / 0.25)
    assert np.isnan(bounds.subsampled_episodes(21.0, 2.0, 10, 20))
    assert bounds.samples_needed(0.01, 2.0, 10, 0.9) == pytest.approx(20 * 1000 / (25088 * 1e-4))
    assert np.isnan(bounds.samples_needed([0.01, 0.01, 0.3], [2.0, 0.7, 2.0], 10, [0.6, 0.9, 0.9])).all()
    assert np.isfinite(bounds.samples_needed(0.01, 4.0, 10, 2 / 3))


@pytest.mark.parametrize("n", [50, 2000])
def test_the_published_lower_bound_is_met_by_plug_in_on_its_instance(n):
    """With at most `samples_needed` transitions plug-in misses epsilon often under some hypothesis (Monte Carlo)."""
    discount, states, cstar = 0.75, 4, 8.0
    epsilon = math.sqrt(states * cstar / (25_088 * (1 - discount) ** 3 * n))
    assert bounds.samples_needed(epsilon, cstar, states, discount) == pytest.approx(n)
    missed = []
    for best in (0, 1):
        mdp, law = lower_bounds.rare_state(cstar, states, epsilon, discount=discount, best=best)
        data = mdp.sample(law, n=n, size=400, rng=best)
        shares = data.transition_shares
        stay = (shares * (data.next_states == np.arange(states)[:, None, None]))[..., 0, :, :].sum(axis=-1)
        policy = np.zeros((400, states), int)
        policy[:, 0] = np.where(data.counts[:, 0].min(axis=-1) > 0, stay.argmax(axis=-1), data.counts[:, 0].argmax(-1))
        missed.append((mdp.suboptimality(policy) > epsilon).mean())
    assert max(missed) > 0.2


# No update


@given(
    st.lists(st.integers(0, 500), min_size=4, max_size=4),
    st.floats(0, 5),
    st.sampled_from([0.0, 0.5, 0.9]),
    st.integers(0, 10**6),
)
def test_no_update_is_right_about_any_model(counts, level, discount, seed):
    """Algorithm 3 on one log, rewards at their best: where `no_update` says so no value ever rises above 0."""
    counts = np.array(counts).reshape(2, 2)
    mdp = generators.garnet(2, 2, 2, discount=discount, rng=seed)
    h, value = 1 / (1 - discount), np.zeros(2)
    width = np.sqrt(level / np.maximum(counts, 1)) * h
    for _ in range(20):
        later = (mdp.probabilities * value[mdp.next_states]).sum(axis=-1)
        value = np.maximum(value, (np.where(counts > 0, 1.0, 0.0) - width + discount * later).max(axis=-1))
    if bounds.no_update(counts, level, discount):
        assert value.max() <= 1e-11
    elif level > 0:  # and with rewards at their best it is also necessary
        assert value.max() > 0


@checks("mdp.no_update")
def test_no_update_at_the_threshold():
    counts = np.array([[[99, 0]], [[100, 7]], [[101, 7]]])
    assert bounds.no_update(counts, 1.0, 0.9).tolist() == [True, True, False]
    assert bounds.no_update(counts, [0.0, 1.0, 2.0], 0.9).tolist() == [False, True, True]
    assert bounds.no_update([[0, 0]], 0.0, 0.9)


@pytest.mark.filterwarnings("ignore::pessimism.mdp.ImitationWarning")
def test_no_update_agrees_with_the_rule():
    from pessimism._status import Status

    mdp, law = instances.stay_exit(2.0, 2, 0.3, discount=0.75)
    for n, expected in ((150, True), (20_000, False)):
        data = mdp.sample(law, n=n, size=20, rng=0)
        level = 0.5 * math.log(2 * 3 * 2 * n)  # what the rule takes by default
        plans = vi_lcb(data, discount=0.75)
        assert np.all(bounds.no_update(data.counts, level, 0.75) == expected)
        assert np.all((plans.status == Status.NO_UPDATE) == expected)


# Predictions


@pytest.mark.parametrize(("cstar", "level"), [(1.3, 0.0), (4.0, 0.0), (4.0, 0.05)])
def test_normal_prediction_is_close_to_the_exact_worst_case(cstar, level):
    n, discount = 1500, 0.75
    gaps = np.geomspace(0.25, 2.0, 12) * math.sqrt(cstar / n)
    losses = [
        exact.stay_exit_loss(*instances.stay_exit(cstar, 1, gap, discount=discount), n, level=level) for gap in gaps
    ]
    assert max(losses[0], losses[-1]) < max(losses)  # the maximum lies inside
    prediction = bounds.vi_lcb_normal_prediction(n, cstar, 1, discount, level)
    assert prediction == pytest.approx(max(losses), rel=0.2)


@checks("mdp.vi_lcb_normal_prediction")
@checks("mdp.vi_lcb_normal_gap")
@checks("mdp.vi_lcb_bias")
def test_normal_prediction_is_a_supremum():
    from scipy.stats import norm

    n, cstar, discount, level, replicas = 10**5, 3.0, 0.8, 0.5, 2
    p, value, h = half(discount), 2.5, 5.0
    counts = n / (2 * replicas * cstar), n * (1 - 1 / cstar) / replicas
    b1, b2 = (h * math.sqrt(level / m) for m in counts)
    variances = [discount**2 * value**4 * p * (1 - p) / m for m in counts]
    sigma = math.sqrt((1 - b1) ** 2 * variances[0] + (1 - b2) ** 2 * variances[1])
    gaps = np.geomspace(1e-4, 2, 200_000)
    losses = gaps * norm.sf(((1 - b2) * gaps - (b1 - b2) * value) / sigma)
    arguments = (n, cstar, replicas, discount, level)
    assert bounds.vi_lcb_normal_prediction(*arguments) == pytest.approx(losses.max(), rel=1e-7)
    assert bounds.vi_lcb_normal_gap(*arguments) == pytest.approx(gaps[losses.argmax()], rel=1e-3)
    assert bounds.vi_lcb_bias(*arguments) == pytest.approx(value * (b1 - b2))
    plain = math.sqrt(variances[0] + variances[1])
    assert bounds.vi_lcb_normal_prediction(n, cstar, replicas, discount, 0.0) == pytest.approx(0.17 * plain, rel=1e-3)
    assert bounds.vi_lcb_normal_gap(n, cstar, replicas, discount, 0.0) == pytest.approx(0.7518 * plain, rel=1e-4)


def test_predictions_have_the_powers_they_claim():
    gammas = np.array([0.99, 0.999])
    plug_in = bounds.vi_lcb_normal_prediction(10**12, 4.0, 1, gammas, 0.0)
    assert math.log10(plug_in[1] / plug_in[0]) == pytest.approx(1.5, abs=0.01)
    bias = bounds.vi_lcb_bias(10**12, 4.0, 1, gammas, 5.0)
    assert math.log10(bias[1] / bias[0]) == pytest.approx(2.0, abs=1e-9)
    assert bounds.vi_lcb_bias(10**6, [1.2, 1.5], 1, 0.9, 1.0) == pytest.approx([0.0, 0.0], abs=1e-12)
    assert np.isnan(bounds.vi_lcb_normal_prediction(100, 4.0, 1, 0.9, 1.0))
    far = bounds.vi_lcb_normal_prediction(10**12, 4.0, 1, 0.9, 50.0)  # widths dominate: the bias is what is lost
    assert far == pytest.approx(bounds.vi_lcb_bias(10**12, 4.0, 1, 0.9, 50.0), rel=0.2)


def test_plug_in_failure_loss_is_silent_where_the_hardly_tried_action_is_better():
    assert np.isnan(bounds.plug_in_failure_loss(0.9, [0.9, 1.0])).all()
    assert bounds.plug_in_failure_loss(0.9, 0.0) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bounds.vi_lcb_rate(0, 2.0, 3, 0.9), r"n must be in \[1, inf\]"),
        (lambda: bounds.vi_lcb_rate(10, 0.5, 3, 0.9), r"cstar must be in \[1, inf\]"),
        (lambda: bounds.vi_lcb_rate(10, 2.0, 3, 1.0), r"discount must be in \[0, 1\), got 1.0"),
        (lambda: bounds.vi_lcb_rate(10, 2.0, 0, 0.9), "states must be a whole number"),
        (lambda: bounds.vi_lcb_upper(10, 2.0, 3, 0, 0.9), "actions must be a whole number"),
        (lambda: bounds.minimax_lower(10, 2.0, 2, 0.9), r"states must be a whole number in \[3"),
        (lambda: bounds.missing_mass_loss(10, 0, 0.9), "replicas must be a whole number"),
        (lambda: bounds.bernstein_samples(0.0, 2.0, 3, 0.9), "epsilon must be positive"),
        (lambda: bounds.bernstein_samples(0.1, 0.1, 3, 0.9), "cstar must be in"),
        (lambda: bounds.bernstein_samples(0.1, 2.0, 3, 0.9, log_factor=0.5), "log_factor must be in"),
        (lambda: bounds.bernstein_samples(0.1, 2.0, 3, 0.9, bernstein_constant=1), "bernstein_constant must be at"),
        (lambda: bounds.subsampled_episodes(0.1, 2.0, 3, 9, bernstein_constant=1), "bernstein_constant must be at"),
        (lambda: bounds.discounted_rate("dqn", 0.1, 2.0, 3, 0.9), "method must be one of 'minimax'"),
        (lambda: bounds.horizon_exponent("chernoff", split=True), "widths must be one of"),
        (lambda: bounds.no_update([1, 2], 1.0, 0.9), "counts must have shape"),
        (lambda: bounds.no_update([[1.5]], 1.0, 0.9), "must be a whole number"),
        (lambda: bounds.no_update([[1]], -1.0, 0.9), "level must be in"),
        (lambda: bounds.vi_lcb_bias(10, 1.0, 1, 0.9, 1.0), "cstar must be greater than 1"),
        (lambda: bounds.vi_lcb_bias(10, 2.0, 1, 0.5, 1.0), r"discount must be in \(0.5, 1\)"),
        (lambda: bounds.plug_in_failure_loss(0.4, 0.1), r"discount must be in \(0.5, 1\)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
