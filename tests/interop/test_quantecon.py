"""QuantEcon's `DiscreteDP`: the same optimum in every formulation, in and out."""

import numpy as np
import pytest
from quantecon.markov import DiscreteDP
from scipy import sparse

from pessimism.interop.quantecon import from_discrete_dp, to_discrete_dp
from pessimism.mdp import MDP, generators
from tests.mdp import reference as plain


def problem(seed, size=6, actions=3):
    """A product formulation with infeasible pairs."""
    rng = np.random.default_rng(seed)
    matrices, rewards, _ = plain.tables(rng, size, actions)
    shut = rng.random((size, actions)) < 0.4
    shut[np.arange(size), rng.integers(0, actions, size)] = False
    shut[0, actions - 1] = False
    return DiscreteDP(np.where(shut, -np.inf, 5.0 * rewards - 1.0), matrices, 0.9), ~shut


def formulations(ddp):
    dense = ddp.to_sa_pair_form(sparse=False)
    shuffled = np.random.default_rng(0).permutation(len(dense.R))
    parts = dense.R[shuffled], dense.Q[shuffled], 0.9, dense.s_indices[shuffled], dense.a_indices[shuffled]
    return ddp, dense, ddp.to_sa_pair_form(), DiscreteDP(*parts)


@pytest.mark.parametrize("seed", range(3))
def test_every_formulation_has_the_optimum_that_quantecon_finds(seed):
    """Relative 1e-10: both evaluate the optimal policy exactly."""
    ddp, feasible = problem(seed)
    theirs = ddp.solve(method="policy_iteration")
    for given in formulations(ddp):
        mdp = from_discrete_dp(given)
        assert (mdp.discount, mdp.shape) == (0.9, ())
        assert np.array_equal(mdp.feasible, feasible)
        assert mdp.reward_range[0] >= -1.0
        assert mdp.optimal_values == pytest.approx(theirs.v, rel=1e-10)
        assert np.array_equal(mdp.best_policy, theirs.sigma)
        for pairs in (False, True):
            back = to_discrete_dp(mdp, pairs=pairs)
            assert sparse.issparse(back.Q) is pairs
            assert back.beta == 0.9
            assert back.solve(method="policy_iteration").v == pytest.approx(theirs.v, rel=1e-10)
            again = from_discrete_dp(back)
            assert np.array_equal(again.feasible, feasible)
            assert np.array_equal(again.mean_rewards, mdp.mean_rewards)


def test_terminal_states_and_repeated_successors_go_out():
    mdp = MDP(
        [[[0, 0, 1]], [[1, 1, 1]]],
        [[[0.25, 0.25, 0.5]], [[0, 0, 0]]],
        [[1.0], [0.0]],
        None,
        0.5,
        terminal=[False, True],
    )
    for pairs in (False, True):
        solved = to_discrete_dp(mdp, pairs=pairs).solve(method="policy_iteration")
        assert solved.v == pytest.approx([4 / 3, 0.0])


def test_a_horizon_serves_beta_one():
    with pytest.warns(UserWarning, match="beta=1"):
        ddp = DiscreteDP([[1.0]], [[[1.0]]], 1.0)
    assert from_discrete_dp(ddp, horizon=3).optimal_values[0].tolist() == [3.0]
    with pytest.raises(ValueError, match="horizon must be given"):
        from_discrete_dp(ddp)


def test_what_does_not_fit_is_named():
    with pytest.raises(TypeError, match=r"ddp must be a quantecon.markov.DiscreteDP, got 3"):
        from_discrete_dp(3)
    with pytest.raises(ValueError, match=r"transitions\[1\] \(state 1, action 0\) must sum to 1"):
        from_discrete_dp(DiscreteDP([0.0, 0.0], sparse.csr_matrix([[1.0, 0.0], [0.5, 0.0]]), 0.5, [0, 1], [0, 0]))
    with pytest.raises(ValueError, match="mdp must be one model without a horizon"):
        to_discrete_dp(generators.gamblers_problem(4, horizon=2))
