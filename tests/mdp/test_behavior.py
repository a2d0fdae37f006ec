"""Behaviors: C* hit to 1e-12 or refused with the feasible interval, at every step; mixtures of whole episodes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pessimism.bandits import Bandit
from pessimism.bandits import behavior as bandit_behavior
from pessimism.mdp import MDP, MDPData, behavior
from tests.mdp import reference as plain
from tests.mdp.sizes import examples

HORIZONS = st.sampled_from([None, 1, 3])


@st.composite
def models(draw, min_actions=1):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    horizon = draw(HORIZONS)
    steps = () if horizon is None else (horizon,)
    tables = plain.tables(rng, draw(st.integers(1, 4)), draw(st.integers(min_actions, 3)), steps)
    discount = draw(st.sampled_from([0.0, 0.9, 0.999]))
    return MDP.dense(*tables, discount, horizon=horizon), rng


def random_law(rng, mdp):
    shape = mdp.gaps.shape
    law = rng.dirichlet(np.ones(shape[-2] * shape[-1]), shape[:-2]).reshape(shape)
    return law / law.sum(axis=(-2, -1), keepdims=True)


def by_step(mdp, mu, policy):
    """C* of every step, by the plain loop."""
    met = mdp.occupancy(policy)
    pairs = [(met, mu)] if mdp.horizon is None else zip(met, mu, strict=True)
    return np.array([plain.coverage(d, law) for d, law in pairs])


@examples(0.5)
@given(models(min_actions=2), st.floats(1, 1e12))
def test_the_default_mix_reaches_every_cstar(model, cstar):
    mdp, rng = model
    for policy in (mdp.best_policy, rng.integers(0, 2, mdp.best_policy.shape)):
        mu = behavior.prescribe(mdp, cstar=cstar, policy=policy)
        mdp.check_behavior(mu)
        assert mdp.coverage(mu, policy) == pytest.approx(cstar, rel=1e-12)
        assert by_step(mdp, mu, policy) == pytest.approx(cstar, rel=1e-12)  # at every step, not only the worst
        met = mdp.occupancy(policy)
        assert met[met > 0] / mu[met > 0] == pytest.approx(cstar, rel=1e-12)  # and at every covered pair
        assert mu.sum(axis=-1) == pytest.approx(met.sum(axis=-1), rel=1e-9)  # it keeps the law of the states


@examples(0.5)
@given(models(), st.floats(0, 1))
def test_any_mix_is_hit_inside_its_interval_and_refused_outside(model, position):
    mdp, rng = model
    nu, met = random_law(rng, mdp), mdp.occupancy(mdp.best_policy)
    kappa = np.min(np.where(met > 0, nu, np.inf) / np.where(met > 0, met, 1.0), axis=(-2, -1))
    largest = 1 / np.max(kappa)
    mu = behavior.prescribe(mdp, cstar=1 + position * (largest - 1), mix=nu)
    assert by_step(mdp, mu, mdp.best_policy) == pytest.approx(1 + position * (largest - 1), rel=1e-12)
    with pytest.raises(ValueError, match=r"cstar must be (in \[1, |1, the policy's own law,)"):
        behavior.prescribe(mdp, cstar=1.001 * largest + 0.001, mix=nu)


@given(st.integers(0, 2**32), st.floats(1, 1e12))
def test_states_without_a_future_have_the_behavior_of_the_bandit(seed, cstar):
    matrices, means, rho = plain.tables(np.random.default_rng(seed), 3, 3)
    mdp, bandit = MDP.dense(matrices, means, rho, 0.0), Bandit(means, rho)
    expected = bandit_behavior.prescribe(bandit, cstar=cstar)
    assert behavior.prescribe(mdp, cstar=cstar) == pytest.approx(expected, rel=1e-12)


def test_corners():
    mdp = MDP.dense([[[1.0, 0], [0, 1.0]], [[0, 1.0]] * 2], [[0.0, 0.0], [1.0, 0.0]], [1.0, 0.0], 0.75)
    assert mdp.best_policy.tolist() == [1, 0]
    assert np.array_equal(behavior.prescribe(mdp, cstar=1), behavior.expert(mdp))
    assert behavior.expert(mdp).tolist() == [[0.0, 0.25], [0.75, 0.0]]
    assert behavior.expert(mdp, [0, 0]).tolist() == [[1.0, 0.0], [0.0, 0.0]]
    assert behavior.expert(mdp, np.full((2, 2), 0.5)) == pytest.approx(np.array([[0.2, 0.2], [0.3, 0.3]]), rel=1e-14)
    assert behavior.prescribe(mdp, cstar=3.0, mix=behavior.uniform(mdp)).tolist() == [[0.25] * 2] * 2
    with pytest.raises(ValueError, match=r"cstar must be in \[1, 3\] for this mix, got 3.1"):
        behavior.prescribe(mdp, cstar=3.1, mix=behavior.uniform(mdp))
    with pytest.raises(ValueError, match=r"cstar must be 1, the policy's own law, for this mix, got 1\.1"):
        behavior.prescribe(mdp, cstar=1.1, mix=behavior.expert(mdp))
    single = MDP.dense([[[0.5, 0.5]]] * 2, [[1.0], [0.0]], discount=0.5)
    assert np.array_equal(behavior.prescribe(single, cstar=1), behavior.expert(single))
    with pytest.raises(ValueError, match="cstar must be 1, the policy's own law"):
        behavior.prescribe(single, cstar=2)


@pytest.mark.parametrize("cstar", [0.999, 0.0, -1.0, float("nan"), float("inf")])
def test_impossible_cstar_is_named(cstar):
    with pytest.raises(ValueError, match=r"cstar must be (finite|at least 1), got"):
        behavior.prescribe(MDP.dense(np.ones((1, 2, 1)), [[0.6, 0.5]], discount=0.5), cstar=cstar)


def test_bad_arguments_are_named():
    mdp = MDP.dense(np.ones((1, 2, 1)), [[0.6, 0.5]], discount=0.5)
    with pytest.raises(TypeError, match="policy must be deterministic"):
        behavior.prescribe(mdp, cstar=2, policy=[[0.5, 0.5]])
    with pytest.raises(ValueError, match="mix must sum to 1"):
        behavior.prescribe(mdp, cstar=2, mix=[[0.5, 0.4]])
    with pytest.raises(ValueError, match="shares must hold one number for each of 2 policies"):
        behavior.mixture(mdp, [[0], [1]], [1.0])
    with pytest.raises(ValueError, match="shares must sum to 1"):
        behavior.mixture(mdp, [[0], [1]], [0.5, 0.6])
    with pytest.raises(ValueError, match=r"policy\[0\] must be a whole number"):
        behavior.expert(mdp, [2])


def test_batches_of_cstar_and_models():
    rng = np.random.default_rng(1)
    matrices, _, rho = plain.tables(rng, 3, 2)
    cstar = np.array([1.0, 2.0, 3.0, 4.0])
    for horizon in (None, 2):
        mdp = MDP.dense(matrices, rng.random((3, 1, 3, 2)), rho, 0.9, horizon=horizon)
        mu = behavior.prescribe(mdp, cstar=cstar)
        assert mu.shape == (3, 4, *([horizon] if horizon else []), 3, 2)
        assert mdp.coverage(mu) == pytest.approx(np.broadcast_to(cstar, (3, 4)), rel=1e-12)
        with pytest.raises(ValueError, match=r"cstar must be in .* got 50"):
            behavior.prescribe(mdp, cstar=[1.0, 50.0], mix=np.full((*mdp.gaps.shape[2:],), 1 / 6))
        assert behavior.uniform(mdp).shape == (3, 1, *mu.shape[2:])
        assert mdp.coverage(behavior.uniform(mdp)) == pytest.approx(
            6 * mdp.occupancy(mdp.best_policy).max(axis=tuple(range(2, mu.ndim))), rel=1e-12
        )


def test_a_mixture_follows_one_policy_for_a_whole_episode():
    """From the root, "left" and "right" for good: nobody who follows one of them ever changes sides."""
    side = MDP.dense(
        [[[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]],
        np.zeros((3, 2)),
        [1.0, 0.0, 0.0],
        horizon=3,
    )
    left, right = [0, 0, 0], [1, 1, 1]
    mu = behavior.mixture(side, [left, right], [0.25, 0.75])
    assert mu[2].tolist() == [[0.0, 0.0], [0.25, 0.0], [0.0, 0.75]]
    one_by_one = side.occupancy(np.broadcast_to([0.25, 0.75], (3, 2)))
    assert one_by_one[2].tolist() == [[0.0, 0.0], [0.0625, 0.1875], [0.1875, 0.5625]]


@examples(0.5)
@given(models(), st.floats(0.01, 1))
def test_a_share_of_the_best_policy_bounds_cstar(model, share):
    mdp, rng = model
    other = rng.dirichlet(np.ones(mdp.n_actions), mdp.n_states)
    mu = behavior.mixture(mdp, [mdp.best_policy, other], [share, 1 - share])
    mdp.check_behavior(mu)
    assert mu == pytest.approx(share * mdp.occupancy(mdp.best_policy) + (1 - share) * mdp.occupancy(other), rel=1e-12)
    assert mdp.coverage(mu) <= 1 / share * (1 + 1e-12)


def test_from_data_is_the_empirical_law():
    data = MDPData([[[3, 1]], [[0, 2]]], [[[0], [0]]], [[[[3], [1]]], [[[0], [2]]]], np.zeros((2, 1, 2)))
    assert behavior.from_data(data).tolist() == [[[0.75, 0.25]], [[0.0, 1.0]]]
    steps = MDPData(data.counts, [[[[0], [0]]]], data.next_counts, data.reward_sums)
    assert steps.horizon == 2
    assert behavior.from_data(steps).tolist() == [[[0.75, 0.25]], [[0.0, 1.0]]]
    with pytest.raises(ValueError, match=r"data.counts.sum\(axis=\(-2, -1\)\) must be at least 1"):
        behavior.from_data(MDPData([[0, 0]], [[[0], [0]]], [[[0], [0]]], [[0.0, 0.0]]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: behavior.prescribe("x", cstar=2), "mdp must be a MDP, got str"),
        (lambda: behavior.expert([[0.5]]), "mdp must be a MDP, got list"),
        (lambda: behavior.uniform(None), "mdp must be a MDP, got NoneType"),
        (lambda: behavior.mixture(None, [[0]], [1.0]), "mdp must be a MDP, got NoneType"),
        (lambda: behavior.mixture(MDP.dense([[[1.0]]], [[0.5]], discount=0.5), None, [1.0]), "policies must be a seq"),
        (lambda: behavior.from_data([[3, 1]]), "data must be a MDPData, got list"),
    ],
)
def test_arguments_of_another_kind_are_named(call, message):
    with pytest.raises(TypeError, match=message):
        call()
