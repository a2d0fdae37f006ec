"""Laws with a prescribed C*: hit to 1e-12 or refused with the feasible interval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pessimism.bandits import Bandit, BanditData, behavior
from tests.bandits import FEW


@st.composite
def models(draw, min_arms=1):
    contexts, arms = draw(st.integers(1, 4)), draw(st.integers(min_arms, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rho = rng.dirichlet(np.ones(contexts))
    return Bandit(rng.random((contexts, arms)), rho / rho.sum()), rng


@FEW
@given(models(min_arms=2), st.floats(1, 1e15))
def test_the_default_mix_reaches_every_cstar(model, cstar):
    bandit, _ = model
    mu = behavior.prescribe(bandit, cstar=cstar)
    assert bandit.coverage(mu) == pytest.approx(cstar, rel=1e-12)
    bandit.check_behavior(mu)
    best = bandit.best_policy[:, None]
    covered = np.take_along_axis(bandit.occupancy(bandit.best_policy) / np.where(mu > 0, mu, 1), best, axis=1)
    assert covered == pytest.approx(cstar, rel=1e-12)  # the ratio is C* at every covered pair


@FEW
@given(models(), st.floats(0, 1))
def test_any_mix_is_hit_inside_its_interval_and_refused_outside(model, position):
    bandit, rng = model
    nu = rng.dirichlet(np.ones(bandit.means.size)).reshape(bandit.means.shape)
    nu /= nu.sum()
    kappa = np.min(np.take_along_axis(nu, bandit.best_policy[:, None], axis=1)[:, 0] / bandit.contexts)
    cstar = 1 + position * (1 / kappa - 1)
    mu = behavior.prescribe(bandit, cstar=cstar, mix=nu)
    assert bandit.coverage(mu) == pytest.approx(cstar, rel=1e-12)
    with pytest.raises(ValueError, match=r"cstar must be (in \[1, |1 )"):
        behavior.prescribe(bandit, cstar=1.001 / kappa + 0.001, mix=nu)


@given(st.floats(1, 1e12))
def test_weights_equal_the_formula_with_exact_numbers(cstar):
    """Two arms, kappa = 0: (1/C*, 1 - 1/C*), to the last digits."""
    mu = behavior.prescribe(Bandit([[0.6, 0.5]]), cstar=cstar)
    assert mu[0, 0] == pytest.approx(1 / cstar, rel=1e-15)


def test_corners():
    bandit = Bandit([[0.6, 0.5], [0.1, 0.2]], contexts=[0.75, 0.25])
    assert np.array_equal(behavior.prescribe(bandit, cstar=1), behavior.expert(bandit))
    assert behavior.expert(bandit, [1, 1]).tolist() == [[0, 0.75], [0, 0.25]]
    assert behavior.prescribe(bandit, cstar=3.0, mix=behavior.uniform(bandit)).tolist() == [[0.25] * 2] * 2
    with pytest.raises(ValueError, match=r"cstar must be in \[1, 3\] for this mix, got 3.1"):
        behavior.prescribe(bandit, cstar=3.1, mix=behavior.uniform(bandit))
    with pytest.raises(ValueError, match="cstar must be 1 for this mix, which is the expert's own law"):
        behavior.prescribe(bandit, cstar=1.1, mix=behavior.expert(bandit))
    single = Bandit([[0.5]])
    assert behavior.prescribe(single, cstar=1).tolist() == [[1.0]]
    with pytest.raises(ValueError, match="cstar must be 1 with one arm"):
        behavior.prescribe(single, cstar=2)


@pytest.mark.parametrize("cstar", [0.999, 0.0, -1.0, float("nan"), float("inf")])
def test_impossible_cstar_is_named(cstar):
    with pytest.raises(ValueError, match="cstar must be"):
        behavior.prescribe(Bandit([[0.6, 0.5]]), cstar=cstar)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: behavior.prescribe([[0.6, 0.5]], cstar=2), "bandit must be a Bandit, got list"),
        (lambda: behavior.uniform(None), "bandit must be a Bandit, got NoneType"),
        (lambda: behavior.from_data([[3, 1]]), "data must be a BanditData, got list"),
    ],
)
def test_other_objects_are_named(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_contexts_that_hardly_come_do_not_overflow():
    bandit = Bandit(np.full((2, 2), 0.5), contexts=[1e-310, 1 - 1e-310])
    assert bandit.coverage(behavior.prescribe(bandit, cstar=2, mix=behavior.uniform(bandit))) == 2


def test_batches_of_cstar_and_models():
    bandit = Bandit(np.random.default_rng(1).random((3, 1, 2, 3)))
    cstar = np.array([1.0, 2.0, 3.0, 4.0])
    mu = behavior.prescribe(bandit, cstar=cstar)
    assert mu.shape == (3, 4, 2, 3)
    assert bandit.coverage(mu) == pytest.approx(np.broadcast_to(cstar, (3, 4)), rel=1e-12)
    with pytest.raises(ValueError, match="got 5"):
        behavior.prescribe(bandit, cstar=[1.0, 5.0], mix=np.full((2, 3), 1 / 6))


def test_free_marginal_differs_from_the_contexts_law():
    bandit = Bandit([[0.6, 0.5], [0.2, 0.4]])
    mix = np.array([[0.0, 0.9], [0.1, 0.0]])
    mu = behavior.prescribe(bandit, cstar=2, mix=mix)
    assert bandit.coverage(mu) == 2
    assert mu.sum(axis=1) == pytest.approx([0.7, 0.3])


def test_from_data_is_the_empirical_law():
    data = BanditData([[[3, 1]], [[0, 2]]], [[[1.0, 0.0]], [[0.0, 2.0]]])
    assert behavior.from_data(data).tolist() == [[[0.75, 0.25]], [[0.0, 1.0]]]
    with pytest.raises(ValueError, match=r"data.n\[0\] must be at least 1"):
        behavior.from_data(BanditData([[[0, 0]]], [[[0.0, 0.0]]]))


def test_mixed_policies_are_experts_too():
    bandit = Bandit([[0.6, 0.5]])
    assert behavior.expert(bandit, [[0.25, 0.75]]).tolist() == [[0.25, 0.75]]
