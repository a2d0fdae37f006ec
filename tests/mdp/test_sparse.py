"""Transition matrices of scipy.sparse: the model of the dense ones, rows that are named, no dense matrix on the way."""

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from pessimism.mdp import MDP, plan
from tests.mdp import reference as plain

FORMATS = ("csr", "csc", "coo", "lil", "dok", "bsr")


def both(kind, seed=0, size=5, actions=3):
    """Random matrices (S, A, S), and the same as sparse ones of a format: an action each, and a row a pair."""
    matrices, rewards, start = plain.tables(np.random.default_rng(seed), size, actions)
    parts = [sparse.coo_array(matrices[:, a]).asformat(kind) for a in range(actions)]
    return matrices, rewards, start, (parts, sparse.coo_matrix(matrices.reshape(size * actions, size)).asformat(kind))


@pytest.mark.parametrize("kind", FORMATS)
def test_sparse_matrices_make_the_model_of_dense_ones(kind):
    matrices, rewards, start, given = both(kind)
    dense = MDP.dense(matrices, rewards, start, 0.9)
    by_successor = np.random.default_rng(1).integers(-3, 4, matrices.shape) * (matrices > 0.2)
    earned = [sparse.csc_array(by_successor[:, a]) for a in range(3)], sparse.csr_matrix(by_successor.reshape(15, 5))
    for transitions, gains in zip(given, earned, strict=True):
        mdp = MDP.sparse(transitions, rewards, start, 0.9)
        assert np.array_equal(mdp.probabilities, dense.probabilities)
        real = dense.probabilities > 0
        assert np.array_equal(mdp.next_states[real], dense.next_states[real])
        assert mdp.optimal_values == pytest.approx(dense.optimal_values, rel=1e-12)
        stepped = MDP.sparse(transitions, rewards, start, horizon=3)
        assert np.array_equal(stepped.optimal_values, MDP.dense(matrices, rewards, start, horizon=3).optimal_values)
        paid = MDP.sparse(transitions, gains, start, 0.9)
        assert paid.per_successor
        assert paid.mean_rewards == pytest.approx((matrices * by_successor).sum(axis=-1))


def test_entries_stored_twice_are_added_up_and_empty_rows_may_be_terminal_or_infeasible():
    rows, columns, shares = [0, 0, 0, 1, 4, 5], [0, 1, 1, 0, 2, 0], [0.5, 0.25, 0.25, 1.0, 1.0, 0.0]
    matrix = sparse.coo_array((shares, (rows, columns)), shape=(6, 3))  # the rows of state 1 are empty
    shut = np.ones((3, 2), bool)
    shut[2, 1] = False
    mdp = MDP.sparse(matrix, np.zeros((3, 2)), discount=0.5, terminal=[False, True, False], feasible=shut)
    assert mdp.n_successors == 2
    assert mdp.probabilities[0, 0].tolist() == [0.5, 0.5]
    assert mdp.next_states[1, :, 0].tolist() == [1, 1]
    assert mdp.feasible.tolist() == [[True, True], [True, True], [True, False]]
    assert matrix.nnz == 6  # the caller's is left as it was


def test_a_hundred_thousand_states_are_never_made_dense():
    """A dense matrix would take 80 GB an action."""
    size = 100_000
    here = np.arange(size)
    move = sparse.csr_array((np.full(2 * size, 0.5), (np.r_[here, here], np.r_[(here + 1) % size, here])), (size, size))
    mdp = MDP.sparse(
        [sparse.eye_array(size, format="csr"), move], np.stack([0.0 * here, 1.0 * (here == 7)], -1), None, 0.5
    )
    assert (mdp.n_states, mdp.n_successors) == (size, 2)
    found = plan(mdp)
    assert found.q.shape == (size, 2)
    assert found.value[7] == pytest.approx(4 / 3, abs=1e-6)


ROW = sparse.csr_array([[0.5, 0.5], [1.0, 0.0], [0.5, 0.0], [0.0, 1.0]])
STAY = sparse.eye_array(2, format="csr")
EARNED = np.zeros((2, 2))


@pytest.mark.parametrize(
    ("transitions", "rewards", "message"),
    [
        (ROW, EARNED, r"transitions\[2\] \(state 1, action 0\) must sum to 1 within 1e-12, got 0.5"),
        (
            [STAY, 0.5 * STAY],
            EARNED,
            r"transitions\[1\]\[0\] \(state 0, action 1\) must sum to 1 within 1e-12, got 0.5",
        ),
        ([STAY, -STAY], EARNED, r"transitions\[1\]\[0\] \(state 0, action 1\), to state 0, must hold prob.*, got -1.0"),
        ([STAY, np.nan * STAY], EARNED, r"transitions\[1\]\[0\] .* must hold probabilities, .* got nan"),
        (sparse.csr_array((4, 2)), EARNED, r"transitions\[0\] \(state 0, action 0\) must sum to 1"),
        (ROW[:3], EARNED, r"transitions must be a sparse matrix \(S A, S\), .* got shape \(3, 2\)"),
        ([STAY, ROW], EARNED, r"transitions must be .* got transitions\[1\] of shape \(4, 2\)"),
        ([], EARNED, "transitions must be .* got none"),
        ([STAY, STAY], [ROW], r"rewards must be .* got rewards\[0\] of shape \(4, 2\)"),
        ([STAY, STAY], [STAY], "rewards must be of 2 states and 2 actions, as transitions are"),
        ([STAY, STAY], [[1.0, 0.0, 0.0]], r"rewards must end in shape \(2, 2\)"),
    ],
)
def test_what_is_no_law_is_named_by_its_row(transitions, rewards, message):
    with pytest.raises(ValueError, match=message):
        MDP.sparse(transitions, rewards, discount=0.5)


def test_dense_and_sparse_point_to_each_other():
    with pytest.raises(TypeError, match=r"for matrices of scipy.sparse see MDP.sparse"):
        MDP.dense([STAY, STAY], EARNED, discount=0.5)
    with pytest.raises(TypeError, match=r"transitions\[1\] must be a scipy.sparse matrix, .* see MDP.dense"):
        MDP.sparse([STAY, np.eye(2)], EARNED, discount=0.5)
    with pytest.raises(TypeError, match="transitions must hold numbers"):
        MDP.sparse([STAY, 1j * STAY], EARNED, discount=0.5)


def test_the_page_of_the_wing_prints_what_it_says(capsys):
    page = (Path(__file__).parents[2] / "docs/wings/mdp.md").read_text()
    code, printed = re.search(r"```python\n(.*?)```\n\nprints `(.*?)`", page, re.DOTALL).groups()
    exec(code, {})
    assert capsys.readouterr().out.strip() == printed


def test_one_row_with_too_many_successors_is_named():
    size = 40_000
    full = sparse.vstack([sparse.csr_array(np.full((1, size), 1 / size)), sparse.eye_array(size, format="csr")[1:]])
    with pytest.raises(ValueError, match=r"transitions\[0\]\[0\] \(state 0, action 0\) must have fewer successors"):
        MDP.sparse([full], np.zeros((size, 1)), discount=0.5)
