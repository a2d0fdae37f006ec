"""Planning: every method against enumeration and QuantEcon; the certificate; batches, warm starts, bad input."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pessimism._status import Status
from pessimism.mdp import MDP, ConvergenceError, Plan, error_bound, plan, plug_in
from pessimism.mdp._engine import finite_horizon
from pessimism.mdp.planning import PLANNING_METHODS
from tests.mdp import reference as plain

SEEDS = st.integers(0, 2**32)
DISCOUNTED = [method for method in PLANNING_METHODS if method != "backward_induction"]
ALL = plain.policies(3, 2)


def random_garnet(rng, n_states, discount, batch=(), n_actions=3):
    return MDP(*plain.garnet(rng, n_states, n_actions, 3, batch), discount=discount)


def matrices_of(mdp):
    return plain.dense(mdp.next_states, mdp.probabilities)


@pytest.mark.parametrize("method", DISCOUNTED)
@given(seed=SEEDS, discount=st.sampled_from([0.0, 0.5, 0.9]))
def test_every_method_finds_the_best_of_all_policies(method, seed, discount):
    rng = np.random.default_rng(seed)
    matrices, rewards, rho = plain.tables(rng, 3, 2)
    values = np.array([plain.evaluate(matrices, rewards, discount, plain.as_law(p, 2)) for p in ALL])
    best = values.max(axis=0)
    result = plan(MDP.dense(matrices, rewards, rho, discount), tolerance=1e-7, method=method)
    assert result.status is Status.CONVERGED
    assert np.abs(result.value - best).max() <= result.error_bound + 1e-13
    assert result.error_bound <= 1e-7
    residual = np.abs(plain.bellman(matrices, rewards, discount, result.value) - result.value).max()
    rounding = (3 + 4) * 2.0**-52 * np.abs(result.value).max() / (1 - discount)
    assert result.error_bound == pytest.approx(residual / (1 - discount) + rounding, abs=1e-13)
    own = values[ALL.tolist().index(result.policy.tolist())]
    assert np.max(best - own) <= 2 * discount / (1 - discount) * residual + 1e-12


@pytest.mark.parametrize("discount", [0.5, 0.95, 0.999])
def test_optimal_values_agree_with_quantecon(discount):
    """Relative 1e-10: both evaluate the optimal policy exactly."""
    from quantecon.markov import DiscreteDP

    rng = np.random.default_rng(int(1000 * discount))
    for n_states in (2, 7, 60):
        mdp = random_garnet(rng, n_states, discount)
        theirs = DiscreteDP(mdp.rewards, matrices_of(mdp), discount).solve(method="policy_iteration")
        assert mdp.optimal_values == pytest.approx(theirs.v, rel=1e-10)
        for method in DISCOUNTED:
            result = plan(mdp, tolerance=1e-8, method=method)
            assert mdp.evaluate(result.policy) == pytest.approx(theirs.v, rel=1e-10)
            assert result.value == pytest.approx(theirs.v, abs=1e-8)


@pytest.mark.parametrize("method", DISCOUNTED)
def test_a_warm_start_at_the_solution_is_recognised(method):
    mdp = random_garnet(np.random.default_rng(1), 10, 0.99, (2,))
    cold = plan(mdp, tolerance=1e-6, method=method)
    warm = plan(mdp, tolerance=1e-6, method=method, initial=cold.value)
    assert warm.iterations.tolist() == [1, 1]
    assert np.array_equal(warm.value, cold.value)
    assert np.array_equal(warm.policy, cold.policy)
    shared = plan(mdp, tolerance=1e-6, method=method, initial=np.full(10, 50.0))
    assert np.abs(shared.value - mdp.optimal_values).max() <= 1e-6
    assert np.all(cold.iterations > 1)


@pytest.mark.parametrize("method", DISCOUNTED)
def test_what_does_not_converge_says_so_with_its_own_bound(method):
    mdp = random_garnet(np.random.default_rng(2), 10, 0.99, (3,))
    with pytest.raises(ConvergenceError, match=r"error bound of 3 of 3 models is above tolerance = 1e-13") as caught:
        plan(mdp, tolerance=1e-13, method=method, max_iterations=2)
    partial = caught.value.result
    assert partial.shape == (3,)
    assert partial.iterations.tolist() == [2, 2, 2]
    assert all(status is Status.NOT_CONVERGED for status in partial.status)
    for i in range(3):
        matrices = plain.dense(mdp.next_states, mdp.probabilities[i])
        residual = plain.bellman(matrices, mdp.rewards[i], 0.99, partial.value[i]) - partial.value[i]
        assert partial.error_bound[i] == pytest.approx(np.abs(residual).max() / 0.01, rel=1e-10, abs=1e-10)
        assert np.abs(partial.value[i] - mdp.optimal_values[i]).max() <= partial.error_bound[i] + 1e-10


@pytest.mark.kernels
def test_the_textbook_stop_by_hand():
    """One state that earns 1: after k sweeps the value is 1 + ... + gamma^(k-1), its error gamma^k / (1 - gamma)."""
    mdp = MDP.dense([[[1.0]]], [[1.0]], discount=0.5)
    goal = 2**-10 + 2**-40  # room for the rounding that the bound counts
    result = plan(mdp, tolerance=goal, method="value_iteration_sup")
    assert (result.iterations, result.value.tolist()) == (12, [2 - 2**-10])
    assert 2**-10 < result.error_bound < goal
    assert plan(mdp, tolerance=goal, method="value_iteration").iterations == 2  # the error is constant: one shift


def test_tables_can_be_followed_by_hand():
    """k sweeps of the textbook from 0, and Q of a plan: one application of the operator to its values."""
    mdp = random_garnet(np.random.default_rng(4), 5, 0.9)
    matrices = matrices_of(mdp)
    for k in (1, 2, 7):
        with pytest.raises(ConvergenceError) as caught:
            plan(mdp, method="value_iteration_sup", max_iterations=k)
        found = caught.value.result
        assert found.value == pytest.approx(plain.value_iteration(matrices, mdp.rewards, 0.9, k), rel=1e-13)
        assert found.q == pytest.approx(mdp.rewards + 0.9 * matrices @ found.value, rel=1e-13)
    solved = plan(mdp, tolerance=1e-9)
    assert solved.q.max(axis=-1) == pytest.approx(solved.value, abs=1e-9)
    steps = MDP(mdp.next_states, mdp.probabilities, mdp.rewards, horizon=3)
    exact = plan(steps)
    assert np.array_equal(exact.q.max(axis=-1), exact.value)
    assert np.array_equal(exact.q[2], mdp.rewards)
    assert exact.q[0] == pytest.approx(mdp.rewards + matrices @ exact.value[1], rel=1e-13)


@pytest.mark.parametrize("method", ["auto", "modified_policy_iteration", "value_iteration"])
def test_a_batch_is_each_model_alone(method):
    mdp = random_garnet(np.random.default_rng(3), 5, 0.95, (5, 10))
    result = plan(mdp, method=method)
    assert (result.shape, result.value.shape, result.status.shape) == ((5, 10), (5, 10, 5), (5, 10))
    elsewhere: list[Plan] = []
    thread = threading.Thread(target=lambda: elsewhere.append(plan(mdp, method=method)))
    thread.start()
    thread.join()
    for name in ("value", "policy", "iterations", "error_bound"):
        assert np.array_equal(getattr(elsewhere[0], name), getattr(result, name))  # threads change nothing
    for i in np.ndindex(5, 10):
        single = plan(MDP(mdp.next_states, mdp.probabilities[i], mdp.rewards[i], discount=0.95), method=method)
        assert np.array_equal(result.value[i], single.value)
        assert np.array_equal(result.policy[i], single.policy)
        assert result.iterations[i] == single.iterations
        assert result.error_bound[i] == single.error_bound


@pytest.mark.parametrize("horizon", [0, 4])
def test_a_horizon_is_backward_induction(horizon):
    matrices, _, rho = plain.tables(np.random.default_rng(1), 3, 2, (horizon,))
    mdp = MDP.dense(matrices, np.random.default_rng(2).random((2, horizon, 3, 2)), rho, 0.9, horizon=horizon)
    for result in (plan(mdp), plan(mdp, method="backward_induction")):
        assert result.value == pytest.approx(mdp.optimal_values, rel=1e-13)
        assert np.array_equal(result.policy, mdp.best_policy)
        assert result.status.tolist() == [Status.EXACT] * 2
        assert result.error_bound.tolist() == [0.0] * 2


@pytest.mark.parametrize("method", ["auto", "value_iteration", "modified_policy_iteration", "policy_iteration"])
def test_a_discount_near_one_still_ends(method):
    mdp = random_garnet(np.random.default_rng(4), 40, 0.9999)
    result = plan(mdp, tolerance=1e-5, method=method)
    assert np.abs(result.value - mdp.optimal_values).max() <= 1e-5
    assert mdp.suboptimality(result.policy) <= 1e-8


@given(SEEDS, st.floats(0.1, 10), st.floats(-5, 5))
def test_values_scale_and_shift_with_the_rewards(seed, scale, shift):
    mdp = random_garnet(np.random.default_rng(seed), 6, 0.9)
    moved = MDP(mdp.next_states, mdp.probabilities, scale * mdp.rewards + shift, discount=0.9)
    assert moved.optimal_values == pytest.approx(scale * mdp.optimal_values + shift / 0.1, rel=1e-10, abs=1e-10)
    assert moved.gaps == pytest.approx(scale * mdp.gaps, abs=1e-9)
    assert np.array_equal(moved.best_policy, mdp.best_policy)
    assert plan(moved, tolerance=1e-6).value == pytest.approx(moved.optimal_values, abs=1e-6)


def test_ties_go_to_the_lowest_action():
    mdp = MDP.dense(np.ones((1, 3, 1)), [[0.5, 1.0, 1.0]], discount=0.5)
    for method in DISCOUNTED:
        assert plan(mdp, method=method).policy.tolist() == [1]
    assert plan(MDP.dense(np.ones((1, 3, 1)), [[0.5, 1.0, 1.0]], horizon=2)).policy.tolist() == [[1], [1]]


MODEL = MDP.dense([[[1.0]]], [[0.5]], discount=0.5)
STEPS = MDP.dense([[[1.0]]], [[0.5]], horizon=2)
BAD = [
    (lambda: plan(MODEL, method="newton"), "method must be one of 'auto', 'value_iteration'"),
    (lambda: plan(MODEL, method="backward_induction"), "method 'backward_induction' needs a model with a horizon"),
    (lambda: plan(STEPS, method="policy_iteration"), "method must be 'auto' or 'backward_induction' with a horizon"),
    (lambda: plan(MODEL, tolerance=0.0), "tolerance must be positive and finite, got 0.0"),
    (lambda: plan(MODEL, tolerance=float("nan")), "tolerance must be positive and finite, got nan"),
    (lambda: plan(MODEL, max_iterations=0), r"max_iterations must be a whole number in \[1"),
    (lambda: plan(STEPS, tolerance=-5.0), "tolerance must be positive"),
    (lambda: plan(STEPS, max_iterations=-3), "max_iterations must be a whole number"),
    (lambda: plan(STEPS, initial=[1.0, 2.0, 3.0]), "initial must broadcast"),
    (lambda: plan(MODEL, initial=[0.0, 0.0]), r"initial must broadcast to shape \(1,\), got \(2,\)"),
    (lambda: plan(MODEL, initial=[float("nan")]), r"initial\[0\] must be finite"),
]


@pytest.mark.parametrize("call", [plan, lambda x: error_bound(x, [1.0])])
def test_only_models_are_planned_in(call):
    with pytest.raises(TypeError, match="mdp must be a MDP, got str"):
        call("x")


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input_is_one_error_that_names_it(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_error_bound_counts_rounding():
    """Against rational arithmetic: two states, a discount at which the residual alone would claim too much."""
    from fractions import Fraction

    rng = np.random.default_rng(0)
    for _ in range(30):
        discount = 1 - 10.0 ** -int(rng.integers(3, 7))
        p, r = rng.integers(1, 8, (2, 2)) / 8.0, rng.random(2)
        mdp = MDP.dense([[[p[s, 0], 1 - p[s, 0]]] for s in (0, 1)], r[:, None], discount=discount)
        result = plan(mdp, tolerance=1e-3)
        g, a, b = Fraction(discount), Fraction(p[0, 0]), Fraction(p[1, 0])
        m = [[1 - g * a, -g * (1 - a)], [-g * b, 1 - g * (1 - b)]]
        determinant = m[0][0] * m[1][1] - m[0][1] * m[1][0]
        x, y = Fraction(r[0]), Fraction(r[1])
        exact = [(x * m[1][1] - m[0][1] * y) / determinant, (m[0][0] * y - m[1][0] * x) / determinant]
        error = max(abs(Fraction(float(v)) - e) for v, e in zip(result.value, exact, strict=True))
        assert error <= Fraction(float(result.error_bound))
        assert float(error_bound(mdp, result.value)) == pytest.approx(float(result.error_bound), rel=1e-9)
        assert error_bound(mdp, result.value + np.array([0.0, 1.0])) > 0.4  # altered, it is worse


@pytest.mark.parametrize("method", DISCOUNTED)
def test_where_rounding_is_the_limit_the_best_values_there_are_say_so(method):
    """One state: all of the error is constant, MacQueen's bounds meet at once, and no span is left to divide by."""
    found = plan(MDP.dense([[[1.0]]], [[1e9]], discount=0.9), method=method)
    assert found.status is Status.ROUNDING
    assert abs(found.value[0] - 1e10) <= found.error_bound < 1e-3
    mdp = random_garnet(np.random.default_rng(5), 5, 0.99)
    for tolerance in (1e-300, 1e-12):
        found = plan(mdp, tolerance=tolerance, method=method)
        assert found.status is Status.ROUNDING
        assert np.abs(found.value - mdp.optimal_values).max() <= found.error_bound + 1e-12 < 3e-11
        # the span falls as the chain mixes, not as the discount does
        assert method == "value_iteration_sup" or found.iterations < 400


@pytest.mark.parametrize(("discount", "scale"), [(0.9, 1.0), (0.9, 1e9), (1 - 1e-6, 1.0)])
def test_plan_and_plug_in_answer_alike(discount, scale):
    """In the model that the data make: also where rounding is the limit."""
    mdp = MDP(*plain.garnet(np.random.default_rng(7), 6, 2, 3), discount=discount)
    data = MDP(mdp.next_states, mdp.probabilities, scale * mdp.rewards, discount=discount).sample_at(
        np.full((6, 2), 50), rng=1
    )
    ours, theirs = plan(data.model(discount)), plug_in(data, discount=discount)
    assert ours.status is theirs.status
    assert (ours.status is Status.CONVERGED) == (scale == 1.0 and discount == 0.9)
    assert np.array_equal(ours.policy, theirs.policy)
    assert ours.value == pytest.approx(theirs.value, rel=1e-9)


@pytest.mark.parametrize("method", ["auto", "value_iteration", "modified_policy_iteration"])
def test_a_start_far_above_is_left_and_certified(method):
    """The rounding of large first values is not that of the answer."""
    mdp = random_garnet(np.random.default_rng(6), 12, 0.9)
    for start in (1e4, 1e9):
        found = plan(mdp, tolerance=1e-8, initial=np.full(12, start), method=method)
        assert np.abs(found.value - mdp.optimal_values).max() <= found.error_bound <= 1e-8


@pytest.mark.parametrize("gap", [5e-9, 1e-3])
def test_small_gaps_are_not_ties(gap):
    """Neither beside large values nor beside another model with large rewards."""
    mdp = MDP.dense([[[1.0], [1.0]]], [[[1.0, 1.0 + gap]], [[1e9, 0.0]]], discount=0.9999)
    loss = gap / (1 - 0.9999)
    assert mdp.suboptimality([[0], [0]])[0] == pytest.approx(loss, rel=1e-3)  # 1 + gap itself is rounded


def test_discounts_next_to_one_are_solved():
    rng = np.random.default_rng(3)
    mdp = MDP.dense(rng.dirichlet(np.ones(3), (3, 2)), rng.random((3, 2)), discount=1 - 1e-10)
    assert mdp.suboptimality(mdp.best_policy) == 0


@pytest.mark.compiled_only
def test_stored_and_computed_rewards_have_one_compiled_version():
    moves, known = np.full((2, 2, 2), 0.5), []
    for rewards in (np.ones((2, 2)), np.ones((2, 2, 2))):  # the mean of the second is computed, and could be written to
        plan(MDP(np.tile([0, 1], (2, 2, 1)), moves, rewards, horizon=3))
        known.append(len(finite_horizon.plan_backward.signatures))
    assert known[0] == known[1]
